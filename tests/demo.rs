//! The demo: its sample home, its shell, and what it leaves behind.

use crate::dispatch::run::rows;
use crate::world::World;
use crate::world::fake::end;
use crate::world::terminal::Terminal;

#[test]
fn the_demo_shows_the_pipe_and_cleans_up() {
    let world = World::new();
    let tour = world.run(&["codex-agent", "demo"]);
    tour.succeeds();
    let pipe = "codex-agent ls --json --under beta | codex-agent group add work";
    tour.shows(pipe);
    tour.reports("created group and added 4 sessions to 'work'");
    assert_eq!(tour.out.matches("\necho: Check it once more\n").count(), 4, "{}", tour.out);
    tour.shows("There are no sessions of your own yet");
    let codex = "codex-agent run --answers hello && codex --version && readlink $CODEX_AGENT_CODEX";
    let own =
        format!("echo: hello\ncodex-cli 0.171.0\n{}\n", crate::world::bin("codex-agent-demo").display());
    world.run(&["codex-agent-demo", "sh", "-c", codex]).prints(own);
    assert!(!world.path("home/.local").exists(), "a run in the demo left something behind");
    assert_eq!(
        world.ok(&["codex-agent", "demo", "codex-agent", "ls", "--count", "--archived", "--subagents"]),
        "13\n"
    );
    world.run(&["codex-agent-demo", "sh", "-c", "exit 9"]).exits(9);
    world.run(&["codex-agent-demo", "sh", "-c", "kill -TERM $$"]).exits(128 + 15);
    world.run(&["codex-agent-demo", "no-such-program"]).exits(126);
    let left: Vec<_> =
        std::fs::read_dir(world.path("")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["home"], "the demo leaves nothing in TMPDIR");
    let kept = world.run(&["codex-agent-demo", "--keep", "kept"]);
    kept.succeeds();
    assert_eq!(kept.out.lines().filter(|line| line.starts_with("export CODEX_")).count(), 4, "{}", kept.out);
    assert_eq!(world.ok(&["codex-agent-ls", "--codex-home", "kept", "--count"]), "11\n");
    world.run(&["codex-agent-demo", "--keep", "kept"]).exits(2);
    // A file at the path of the demo's Codex belongs to the user.
    world.sh("mkdir mine-bin; ln -s /usr/bin/true mine-bin/codex");
    let ran = world.run(&["codex-agent-demo", "--keep", "mine"]);
    ran.exits(2).reports("mine-bin/codex' exists already");
    assert!(!world.path("mine").exists() && world.path("mine-bin/codex").is_symlink());
    let own = World::with_home("0.169.0");
    let tour = own.run(&["codex-agent", "demo"]);
    tour.shows("has 11 sessions: try 'codex-agent ls'");
}

/// The lines that are printed for a kept sample are all that a shell needs: nothing is written to the user's home.
#[test]
fn a_kept_sample_can_be_used() {
    let mut world = World::new();
    world.set("CODEX_SQLITE_HOME", "/nowhere");
    let script = "eval \"$(codex-agent demo --keep \"it's kept\")\" && codex-agent ls --json | \
                  codex-agent group add all && cd *-projects/alpha && codex-agent run --answers hello";
    let ran = world.run(&["sh", "-c", script]);
    ran.succeeds().prints("echo: hello\n");
    assert!(
        world.path("it's kept-config/groups.json").exists() && world.path("it's kept-state/runs").exists()
    );
    let own: Vec<_> = std::fs::read_dir(world.path("home")).unwrap().collect();
    assert!(own.is_empty(), "{own:?}");
    // The Codex of a removed sample may still exist.
    std::fs::remove_dir_all(world.path("it's kept")).unwrap();
    world.run(&["codex-agent", "demo", "--keep", "it's kept"]).succeeds();
}

#[test]
fn a_shell_of_the_demo_starts_at_the_projects() {
    let world = World::new();
    let mut command = world.command("codex-agent-demo");
    command.args(["sh"]);
    let mut terminal = Terminal::open(command, 80, 24);
    let printed = terminal.until("the sample home is removed");
    assert!(
        printed.contains("this shell uses the sample home") && printed.contains("'exit' ends the shell"),
        "{printed}"
    );
    terminal.press("echo \"<$(ls; cd alpha; codex-agent find @ --format '{title}')>\"\n");
    terminal.until("<alpha\r\nbeta\r\nnotes\r\nTry another approach>");
    terminal.press("exit\n");
    assert_eq!(terminal.end().1, 0);
    // A script, a line, and what comes from a pipe, may have paths of where one is.
    let here = std::fs::canonicalize(world.path("")).unwrap();
    let here = format!("{}\n", here.display());
    std::fs::write(world.path("script"), "pwd -P\n").unwrap();
    for command in
        ["codex-agent-demo sh script", "codex-agent-demo sh -c 'pwd -P'", "codex-agent-demo sh < script"]
    {
        assert_eq!(world.ok(&["sh", "-c", command]), here, "{command}");
        let mut on = world.command("sh");
        on.args(["-c", command]);
        let (shown, code) = Terminal::open(on, 200, 24).end();
        assert_eq!((shown, code), (here.clone(), 0), "{command}");
    }
}

#[test]
fn an_interrupted_demo_cleans_up() {
    let world = World::new();
    let mut child = world
        .command("codex-agent-demo")
        .args(["sh", "-c", "echo on; sleep 30"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(end(&mut child), 128 + 15);
    assert_eq!(std::fs::read_dir(world.path("")).unwrap().count(), 1);
}

#[test]
fn the_sample_home_is_the_recording() {
    let world = World::new();
    world.run(&["codex-agent-demo", "--keep", "kept"]).succeeds();
    // A copy, since opening a database may write to it.
    let recording = World::with_home("0.169.0");
    let recorded = recording.codex_home();
    let list = world.sh("cd kept && find . -type f | sort").out;
    assert!(list.lines().count() >= 16, "{list}");
    let kept = world.path("kept");
    let moved = |text: String| {
        let projects = format!("{}-projects", kept.display());
        let text = text.replace("/tmp/codex-fixture/projects", &projects);
        text.replace("/tmp/codex-fixture/home-0.169.0", kept.to_str().unwrap())
    };
    for file in list.lines() {
        let [file, recorded] = [kept.join(file), recorded.join(file)];
        let name = file.to_str().unwrap();
        if name.contains(".sqlite-") {
            continue; // SQLite's own.
        } else if name.ends_with("state_5.sqlite") {
            assert_eq!(rows(&file), moved(rows(&recorded)), "{name}");
        } else {
            let [file, recorded] = [&file, &recorded].map(|file| std::fs::read(file).unwrap());
            let is_text = name.ends_with(".jsonl");
            let recorded =
                if is_text { moved(String::from_utf8(recorded).unwrap()).into_bytes() } else { recorded };
            assert_eq!(file, recorded, "{name}");
        }
    }
    for project in ["alpha", "beta", "notes"] {
        assert!(world.path("kept-projects").join(project).is_dir());
    }
    let check = world.run(&["codex-agent-ls", "--codex-home", "kept", "--check"]);
    check.succeeds().reports("0 problems");
}
