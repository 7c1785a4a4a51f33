//! The demo: its sample home, its shell, and what it leaves behind.

use crate::dispatch::run::rows;
use crate::world::World;
use crate::world::fake::end;
use crate::world::terminal::{Terminal, columns_of, joined, without_escapes};

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
    let printed = joined(&terminal.until("is removed"));
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

/// The shells that are installed here.
fn installed(world: &World) -> Vec<(&'static str, String)> {
    let found = ["bash", "zsh", "fish"].map(|shell| (shell, world.sh(&format!("command -v {shell}")).out));
    found
        .into_iter()
        .filter(|(_, path)| !path.is_empty())
        .map(|(shell, path)| (shell, path.trim().to_owned()))
        .collect()
}

#[test]
fn a_shell_of_the_demo_is_that_of_the_user_with_completion_and_a_prompt() {
    for (shell, path) in installed(&World::new()) {
        let mut world = World::new();
        world.set("SHELL", path);
        world.set("HISTFILE", world.path("home/history").display().to_string());
        // The startup files of the user are read, and change neither the tools nor the sample.
        let setting = "export MINE=yes CODEX_HOME=/nowhere PATH=/usr/bin:/bin\n";
        world.write("home/.bashrc", format!("{setting}PS1='mine> '\n"));
        world.write("home/.zshrc", format!("{setting}PROMPT='mine> '\n"));
        world.write(
            "home/.config/fish/config.fish",
            format!(
                "set -g fish_greeting\n{}function fish_prompt; echo -n 'mine> '; end\n",
                setting.replace(" CODEX", "; export CODEX").replace(" PATH", "; export PATH")
            ),
        );
        for word in ["sh", "shell", shell] {
            // A shell with job control needs a controlling terminal.
            let mut command = world.command("setsid");
            let line = format!("codex-agent-demo {word}; echo \"<ended: $?>\"");
            command.args(["--ctty", "--wait", "sh", "-c", &line]);
            let mut terminal = Terminal::open(command, 100, 30);
            terminal.until("is removed");
            terminal.until("(demo) ");
            terminal.until("mine> ");
            terminal.press("codex-agent finda\x7f @@ --format \"$MINE{title}\"\r");
            terminal.until("yesTry another approach");
            terminal.until("mine> ");
            // Only one tool begins so; the rest of its name is completed.
            terminal.press("codex-agent statu\t --generate describe | head -c 30\r");
            terminal.until("{\"type\":\"tool\",\"name\":\"statu");
            terminal.until("(demo) ");
            terminal.press("exit 3\r");
            // The first fish of a user leaves a process in the background, which keeps the terminal open.
            terminal.until("<ended: 3>");
        }
        assert!(!world.path("home/history").exists(), "{shell} wrote a history");
        // fish has a directory of its own in TMPDIR.
        let left = world.ok(&["sh", "-c", "ls -A | grep -vx 'home\\|fish.root' || true"]);
        assert_eq!(left, "", "{shell} left files");
    }
}

#[test]
fn a_shell_with_arguments_or_without_a_terminal_is_the_one_that_is_named() {
    let mut world = World::new();
    world.set("SHELL", "/no/such/bash");
    assert_eq!(world.ok(&["codex-agent-demo", "sh", "-c", "echo $0"]), "sh\n");
    // Without a bash that exists, the shell is one that is found.
    assert_eq!(world.ok(&["codex-agent-demo", "shell", "-c", "codex-agent ls --count"]), "11\n");
    // A program called 'shell' is run.
    world.script("own/shell", "#!/bin/sh\necho \"mine $*\"\n");
    world.set("PATH", format!("{}:/usr/bin:/bin", world.path("own").display()));
    assert_eq!(world.ok(&["codex-agent-demo", "shell", "x"]), "mine x\n");
}

/// The demo on a terminal, after the first step.
fn tour(world: &World, columns: u16, rows: u16) -> (Terminal, String) {
    let mut terminal = Terminal::open(world.command("codex-agent-demo"), columns, rows);
    let first = terminal.until("q ends the demo --");
    (terminal, first)
}

#[test]
fn the_demo_waits_for_a_key_after_each_step_and_each_step_fits_the_screen() {
    let world = World::new();
    for (columns, rows) in [(80, 24), (60, 24), (120, 24)] {
        let (mut terminal, mut shown) = tour(&world, columns, rows);
        let mut step = 1;
        loop {
            let lines = without_escapes(&shown).replace('\r', "");
            let height: usize =
                lines.lines().map(|line| columns_of(line).div_ceil(columns.into()).max(1)).sum();
            assert!(height <= rows.into(), "step {step} has {height} rows in {columns} columns: {lines}");
            assert!(lines.contains(&format!("step {step} of 8")), "{lines}");
            // Other keys do nothing.
            terminal.press(if step % 2 == 0 { "x " } else { "x\r" });
            if step == 8 {
                break;
            }
            step += 1;
            shown = terminal.until("q ends the demo --");
        }
        let (end, code) = terminal.end();
        assert!(end.contains("This was the sample."), "{end}");
        assert_eq!(code, 0);
    }
}

#[test]
fn the_demo_ends_at_q_and_at_an_interrupt_and_restores_the_terminal() {
    let world = World::new();
    for (key, code) in [("q", 0), ("\x04", 0), ("\x03", 130)] {
        let (mut terminal, _) = tour(&world, 80, 24);
        terminal.press(key);
        let (end, ended) = terminal.end();
        assert!(!end.contains("step 2") && !end.contains("continue"), "{key:?}: {end}");
        assert_eq!(ended, code, "{key:?}");
    }
    // The terminal shows what is typed again.
    let mut command = world.command("sh");
    command.args(["-c", "codex-agent-demo; stty -a"]);
    let mut terminal = Terminal::open(command, 80, 24);
    terminal.until("q ends the demo --");
    terminal.press("\x03");
    let (end, _) = terminal.end();
    assert!(end.contains(" icanon") && end.contains(" echo ") && end.contains("isig "), "{end}");
    // A signal ends the wait.
    let mut on = world.command("sh");
    on.args(["-c", "echo \"<$$>\"; exec codex-agent-demo"]);
    let mut terminal = Terminal::open(on, 80, 24);
    let first = terminal.until("q ends the demo --");
    let pid = first.split(['<', '>']).nth(1).unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(terminal.end().1, 128 + 15);
    let left: Vec<_> =
        std::fs::read_dir(world.path("")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["home"], "the demo leaves nothing in TMPDIR");
}

#[test]
fn the_demo_waits_for_nothing_in_a_pipe() {
    let world = World::new();
    let mut command = world.command("sh");
    command.args(["-c", "codex-agent-demo | cat"]);
    let (shown, code) = Terminal::open(command, 80, 24).end();
    assert!(shown.contains("This was the sample.") && !shown.contains("q ends"), "{shown}");
    assert_eq!(code, 0);
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

/// The words by which the Codex without a model fails are in the manual page, and fail as it says.
#[test]
fn the_words_of_the_manual_page_fail_a_turn() {
    let world = World::new();
    let manual = world.ok(&["codex-agent-demo", "--generate", "man"]);
    for word in ["SLEEPn", "MSn", "SHELL{COMMAND}", "HANG", "QUIET"] {
        assert!(manual.contains(word), "{word}");
    }
    for (word, class) in [
        ("FAIL400", "refused"),
        ("FAIL401", "auth"),
        ("FAIL403", "auth"),
        ("FAIL500", "overloaded"),
        ("OVERLOADED", "overloaded"),
        ("CONTEXT", "context"),
        ("NOMODEL", "model"),
        ("RATELIMIT", "rate_limit"),
        ("LIMIT300", "usage_limit"),
        ("LIMITX", "usage_limit"),
        ("NETWORK", "network"),
        ("CUT", "network"),
        ("DIES", "interrupted"),
        ("EXITS", "crashed"),
    ] {
        let fake = crate::world::fake::Fake::newest();
        let known = word.strip_suffix("300").map_or(word.to_owned(), |word| format!("{word}n"));
        assert!(manual.contains(&known), "{known}");
        let (_, events) =
            fake.events(&["run", "--network-timeout", "1s", "-p", &format!("Write one {word}")]);
        assert_eq!(crate::world::fake::failures(&events), [class], "{word}");
    }
}
