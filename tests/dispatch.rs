//! The dispatcher, and external tools.

use std::os::unix::fs::symlink;

use crate::terminal::Terminal;
use crate::world::{World, bin, bins, json};

fn with_path(world: &mut World, folders: &str) {
    world.set("PATH", format!("{folders}:/usr/bin:/bin"));
}

#[test]
fn a_tool_is_found_and_becomes_the_process() {
    let world = World::with_home("0.169.0");
    assert_eq!(world.ok(&["codex-agent", "ls", "-n", "1"]), world.ok(&["codex-agent-ls", "-n", "1"]));
    // Everything after the name is the tool's: flags, '--', '-h'.
    world.script("bin/codex-agent-echo", "#!/bin/sh\nprintf '%s|' \"$0\" \"$@\"\n");
    let mut world = world;
    let folder = world.path("bin");
    with_path(&mut world, folder.to_str().unwrap());
    let out = world.ok(&["codex-agent", "echo", "-h", "--", "a b", "", "--list"]);
    assert_eq!(out, format!("{}|-h|--|a b||--list|", folder.join("codex-agent-echo").display()));
}

#[test]
fn exit_codes_and_signals_are_the_tools_own() {
    let mut world = World::new();
    world.script("bin/codex-agent-seven", "#!/bin/sh\nexit 7\n");
    world.script("bin/codex-agent-killed", "#!/bin/sh\nkill -KILL $$\n");
    world.script("bin/codex-agent-pid", "#!/bin/sh\necho $$\n");
    let folder = world.path("bin");
    with_path(&mut world, folder.to_str().unwrap());
    assert_eq!(world.run(&["codex-agent", "seven"]).code, 7);
    assert_eq!(world.run(&["codex-agent", "killed"]).code, 128 + 9);
    let mut command = world.command("codex-agent");
    let child = command.arg("pid").stdout(std::process::Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(out.trim(), pid.to_string(), "a second process was made");
}

#[test]
fn the_environment_is_handed_down() {
    let mut world = World::new();
    world.script(
        "bin/codex-agent-env",
        "#!/bin/sh\necho \"$CODEX_AGENT|$CODEX_AGENT_PROTOCOL|$CODEX_HOME|$CODEX_AGENT_CONFIG_HOME|$(pwd)\"\n",
    );
    std::fs::create_dir(world.path("down")).unwrap();
    let folder = world.path("bin");
    with_path(&mut world, folder.to_str().unwrap());
    let out = world.ok(&["codex-agent", "-C", "down", "--codex-home", "h", "--config-home=/c", "env"]);
    let down = std::fs::canonicalize(world.path("down")).unwrap();
    let down = down.display();
    assert_eq!(out, format!("{}|1|{down}/h|/c|{down}\n", bin("codex-agent").display()));
    let ran = world.run(&["codex-agent", "-C", "nowhere", "env"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cannot change to 'nowhere': no such file or directory"), "{}", ran.err);
}

#[test]
fn own_folder_first_then_the_exec_path_then_path() {
    let mut world = World::with_home("0.169.0");
    for place in ["first", "second"] {
        world.script(&format!("{place}/codex-agent-ls"), "#!/bin/sh\necho hostile\n");
        world.script(&format!("{place}/codex-agent-both"), &format!("#!/bin/sh\necho {place}\n"));
    }
    let (first, second) = (world.path("first"), world.path("second"));
    with_path(&mut world, second.to_str().unwrap());
    world.set("CODEX_AGENT_EXEC_PATH", first.to_str().unwrap());
    assert_eq!(world.ok(&["codex-agent", "ls", "--count"]), "11\n");
    assert_eq!(world.ok(&["codex-agent", "both"]), "first\n");
    let tools = json(&world.ok(&["codex-agent", "--list=json"]));
    let tool = |name: &str| tools.iter().find(|tool| tool["name"] == name).unwrap().clone();
    assert_eq!(tool("both")["shadows"], serde_json::json!([second.join("codex-agent-both")]));
    assert_eq!(tool("ls")["shadows"].as_array().unwrap().len(), 2);
    assert_eq!((tool("ls")["ours"].clone(), tool("both")["ours"].clone()), (true.into(), false.into()));
    let path = world.ok(&["codex-agent", "--exec-path"]);
    assert_eq!(
        path.lines().take(3).collect::<Vec<_>>(),
        [bins().to_str().unwrap(), first.to_str().unwrap(), second.to_str().unwrap()]
    );
}

#[test]
fn what_is_listed_is_what_is_run() {
    let mut world = World::new();
    world.script("bin/codex-agent-good", "#!/bin/sh\necho good\n");
    world.script("bin/codex-agent-2nd-tool", "#!/bin/sh\necho second\n");
    world.script("bin/codex-agent-Big", "#!/bin/sh\n");
    world.script("bin/codex-agent-with blank", "#!/bin/sh\n");
    world.write("bin/codex-agent-plain", "not executable");
    std::fs::create_dir(world.path("bin/codex-agent-folder")).unwrap();
    symlink("/nowhere", world.path("bin/codex-agent-dangling")).unwrap();
    symlink("codex-agent-good", world.path("bin/codex-agent-linked")).unwrap();
    let folder = world.path("bin");
    with_path(&mut world, folder.to_str().unwrap());
    let listed = world.ok(&["codex-agent", "--list"]);
    let names: Vec<&str> = listed.lines().map(|row| row.split('\t').next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "2nd-tool", "config", "demo", "find", "fork", "good", "group", "linked", "ls", "name", "plugin",
            "queue", "resume", "run", "schema", "setup", "status"
        ]
    );
    assert_eq!(world.ok(&["codex-agent", "linked"]), "good\n");
    // Only where it helps are more rights advised.
    for (name, why, is_advised) in [
        ("plain", "it is not executable", true),
        ("folder", "it is a directory", false),
        ("dangling", "it is a symbolic link to a file that does not exist", false),
    ] {
        let ran = world.run(&["codex-agent", name]);
        assert_eq!((ran.code, ran.err.contains("chmod +x")), (126, is_advised), "{name}: {}", ran.err);
        assert!(ran.err.contains(why), "{}", ran.err);
    }
    for name in ["Big", "with blank", "../ls", "/bin/ls", ""] {
        let ran = world.run(&["codex-agent", name]);
        assert_eq!(ran.code, 127, "{name}: {}", ran.err);
        assert!(ran.err.contains("cannot be a tool"), "{}", ran.err);
    }
}

#[test]
fn nothing_relative_on_path_is_ever_run() {
    let mut world = World::new();
    // Not in the folder of the executable, so that only PATH could give it.
    let hostile = world.script("here/codex-agent-trap", "#!/bin/sh\necho hostile\n");
    world.script("here/man", "#!/bin/sh\necho hostile\n");
    let here = hostile.parent().unwrap().to_owned();
    for path in ["", ".", ":", "::/usr/bin", "./", "here:../here"] {
        world.set("PATH", path).set("CODEX_AGENT_EXEC_PATH", path);
        for words in [&["trap"][..], &["help", "ls"], &["--list"]] {
            let output = world.command("codex-agent").current_dir(&here).args(words).output().unwrap();
            let out = String::from_utf8_lossy(&output.stdout);
            assert!(!out.contains("hostile") && !out.contains("trap"), "{path:?} {words:?}: {out}");
        }
    }
}

#[test]
fn an_unknown_tool_is_a_lesson() {
    let world = World::new();
    for (typed, near) in [("lss", "'ls'"), ("gruop", "'group'"), ("finds", "'find'"), ("gr", "'group'")] {
        let ran = world.run(&["codex-agent", typed]);
        assert_eq!((ran.code, ran.out.as_str()), (127, ""));
        assert!(ran.err.contains(&format!("did you mean {near}?")), "{typed}: {}", ran.err);
    }
    let ran = world.run(&["codex-agent", "xyzzy"]);
    assert!(ran.code == 127 && ran.err.contains("codex-agent --list lists the tools"), "{}", ran.err);
    let ran = world.run(&["codex-agent", "--lst"]);
    assert!(ran.code == 2 && ran.err.contains("did you mean '--list'?"), "{}", ran.err);
}

#[test]
fn a_broken_first_line_is_reported() {
    let mut world = World::new();
    world.script("bin/codex-agent-broken", "#!/no/such/interpreter\n");
    let folder = world.path("bin");
    with_path(&mut world, folder.to_str().unwrap());
    let ran = world.run(&["codex-agent", "broken"]);
    assert_eq!(ran.code, 126);
    assert!(
        ran.err.contains("its first line names '/no/such/interpreter', which does not exist"),
        "{}",
        ran.err
    );
    world.script("bin/codex-agent-broken", "#!/bin/sh\r\necho hello\r\n");
    let ran = world.run(&["codex-agent", "broken"]);
    assert!(ran.code == 126 && ran.err.contains("'/bin/sh', which ends in a carriage return"), "{}", ran.err);
}

#[test]
fn help_of_our_tools_of_external_ones_and_of_none() {
    let mut world = World::new();
    world.script("bin/codex-agent-foo", "#!/bin/sh\necho \"foo helps: $*\"\n");
    let folder = world.path("bin");
    with_path(&mut world, folder.to_str().unwrap());
    assert_eq!(world.ok(&["codex-agent", "help", "foo"]), "foo helps: --help\n");
    for (topic, want) in [
        ("ls", "codex-agent-ls"),
        ("codex-agent-ls", "codex-agent-ls"),
        ("guide", "codex-agent"),
        ("records", "codex-agent-records"),
        ("files", "codex-agent-files"),
        ("plugins", "codex-agent-plugins"),
    ] {
        let page = world.ok(&["codex-agent", "help", topic]);
        assert!(page.contains(want) && page.contains("NAME"), "{topic}: {page}");
    }
    assert!(world.ok(&["codex-agent", "help"]).contains("run a codex-agent tool"));
    assert_eq!(world.run(&["codex-agent", "help", "xyzzy"]).code, 127);
    let bare = world.ok(&["codex-agent"]);
    assert!(
        bare.contains("Usage: codex-agent [OPTION...] TOOL")
            && bare.contains("  group   manage and run named groups"),
        "{bare}"
    );
    // Where there is no man(1) the pages are still to be read.
    world.set("PATH", "/nowhere");
    let page = world.ok(&["codex-agent", "help", "guide"]);
    assert!(page.contains("NAME") && !page.contains("\\fB") && !page.contains(".PP"), "{page}");
    assert!(world.ok(&["codex-agent", "help", "ls"]).contains("Usage: codex-agent-ls"));
}

#[test]
fn a_manual_that_cannot_be_written_is_an_error() {
    let world = World::new();
    for topic in ["codex-agent", "guide"] {
        let ran = world.sh(&format!("codex-agent help {topic} > /dev/full"));
        assert_eq!(ran.code, 2, "{topic}: {}", ran.err);
        assert!(ran.err.contains("No space left") || ran.err.contains("no space left"), "{}", ran.err);
        // A reader who has seen enough is none.
        assert_eq!(world.sh(&format!("codex-agent help {topic} | head -n 1")).err, "");
    }
}

#[test]
fn what_would_be_passed_over_is_refused() {
    let world = World::new();
    let told: [(&[&str], &str); 5] = [
        (&["--list", "ls"], "unexpected operand 'ls' beside --list"),
        (&["--list=json", "ls"], "unexpected operand 'ls' beside --list"),
        (&["--exec-path", "ls"], "unexpected operand 'ls' beside --exec-path"),
        (&["help", "ls", "find"], "unexpected operand 'find'"),
        (&["help", "queue", "add"], "codex-agent queue add --help describes the verb"),
    ];
    for (words, want) in told {
        let ran = world.run(&[&["codex-agent"], words].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{words:?}");
        assert!(ran.err.contains(want), "{words:?}: {}", ran.err);
    }
}

#[test]
fn a_linked_dispatcher_finds_its_own_tools() {
    let world = World::with_home("0.169.0");
    symlink(bin("codex-agent"), world.path("ca")).unwrap();
    let link = world.path("ca");
    assert_eq!(world.ok(&[link.to_str().unwrap(), "ls", "--count"]), "11\n");
}

#[test]
fn the_demo_shows_the_pipe_and_cleans_up() {
    let world = World::new();
    let tour = world.run(&["codex-agent", "demo"]);
    assert_eq!(tour.code, 0, "{}", tour.err);
    let pipe = "codex-agent ls --json --under beta | codex-agent group add work";
    assert!(tour.out.contains(pipe), "{}", tour.out);
    assert!(tour.err.contains("created group and added 4 sessions to 'work'"), "{}", tour.err);
    assert_eq!(tour.out.matches("\necho: Check it once more\n").count(), 4, "{}", tour.out);
    assert!(tour.out.contains("There are no sessions of your own yet"), "{}", tour.out);
    let codex = "codex-agent run --answers hello && codex --version && readlink $CODEX_AGENT_CODEX";
    let own =
        format!("echo: hello\ncodex-cli 0.171.0\n{}\n", crate::world::bin("codex-agent-demo").display());
    assert_eq!(world.run(&["codex-agent-demo", "sh", "-c", codex]).out, own);
    assert!(!world.path("home/.local").exists(), "a run in the demo left something behind");
    assert_eq!(
        world.ok(&["codex-agent", "demo", "codex-agent", "ls", "--count", "--archived", "--subagents"]),
        "13\n"
    );
    assert_eq!(world.run(&["codex-agent-demo", "sh", "-c", "exit 9"]).code, 9);
    assert_eq!(world.run(&["codex-agent-demo", "sh", "-c", "kill -TERM $$"]).code, 128 + 15);
    assert_eq!(world.run(&["codex-agent-demo", "no-such-program"]).code, 126);
    let left: Vec<_> =
        std::fs::read_dir(world.path("")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["home"], "the demo leaves nothing in TMPDIR");
    let kept = world.run(&["codex-agent-demo", "--keep", "kept"]);
    assert_eq!(kept.code, 0, "{}", kept.err);
    assert_eq!(kept.out.lines().filter(|line| line.starts_with("export CODEX_")).count(), 4, "{}", kept.out);
    assert_eq!(world.ok(&["codex-agent-ls", "--codex-home", "kept", "--count"]), "11\n");
    assert_eq!(world.run(&["codex-agent-demo", "--keep", "kept"]).code, 2);
    // What lies where it would put its Codex is somebody's.
    world.sh("mkdir mine-bin; ln -s /usr/bin/true mine-bin/codex");
    let ran = world.run(&["codex-agent-demo", "--keep", "mine"]);
    assert!(ran.code == 2 && ran.err.contains("mine-bin/codex' is there already"), "{}", ran.err);
    assert!(!world.path("mine").exists() && world.path("mine-bin/codex").is_symlink());
    let own = World::with_home("0.169.0");
    let tour = own.run(&["codex-agent", "demo"]);
    assert!(tour.out.contains("has 11 sessions: try 'codex-agent ls'"), "{}", tour.out);
}

/// What is printed of a sample that is kept is all that a shell needs: nothing goes into one's own home.
#[test]
fn a_kept_sample_is_worked_in() {
    let mut world = World::new();
    world.set("CODEX_SQLITE_HOME", "/nowhere");
    let script = "eval \"$(codex-agent demo --keep \"it's kept\")\" && codex-agent ls --json | \
                  codex-agent group add all && cd *-projects/alpha && codex-agent run --answers hello";
    let ran = world.run(&["sh", "-c", script]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "echo: hello\n"), "{}", ran.err);
    assert!(
        world.path("it's kept-config/groups.json").exists() && world.path("it's kept-state/runs").exists()
    );
    let own: Vec<_> = std::fs::read_dir(world.path("home")).unwrap().collect();
    assert!(own.is_empty(), "{own:?}");
    // Of what was removed its Codex may be there still.
    std::fs::remove_dir_all(world.path("it's kept")).unwrap();
    assert_eq!(world.run(&["codex-agent", "demo", "--keep", "it's kept"]).code, 0);
}

#[test]
fn a_shell_of_the_demo_starts_at_the_projects() {
    let world = World::new();
    let mut command = world.command("codex-agent-demo");
    command.args(["sh"]);
    let mut terminal = Terminal::open(command, 80, 24);
    let told = terminal.until("it is removed");
    assert!(told.contains("a shell in the sample") && told.contains("'exit' leaves it"), "{told}");
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
fn a_demo_that_is_interrupted_cleans_up_too() {
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
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert_eq!(std::fs::read_dir(world.path("")).unwrap().count(), 1);
}

#[test]
fn the_sample_home_is_the_recording() {
    let world = World::new();
    assert_eq!(world.run(&["codex-agent-demo", "--keep", "kept"]).code, 0);
    // A copy: whoever opens a database may write to it.
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
    assert!(check.code == 0 && check.err.contains("0 problems"), "{}", check.err);
}

/// The rows of a database, whole.
fn rows(database: &std::path::Path) -> String {
    let connection = rusqlite::Connection::open(database).unwrap();
    let mut statement = connection.prepare("SELECT * FROM threads ORDER BY id").unwrap();
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut text = String::new();
    while let Some(row) = rows.next().unwrap() {
        for column in 0..columns {
            let value: rusqlite::types::Value = row.get(column).unwrap();
            text.push_str(&match value {
                rusqlite::types::Value::Text(value) => value,
                other => format!("{other:?}"),
            });
            text.push('\n');
        }
    }
    text
}

#[test]
fn the_dispatcher_holds_no_sqlite() {
    let holds = |name: &str| {
        let bytes = std::fs::read(bin(name)).unwrap();
        bytes.windows(15).any(|window| window == b"SQLite format 3")
    };
    assert!(holds("codex-agent-ls"), "the test looks for the wrong text");
    assert!(!holds("codex-agent"));
}

#[test]
fn a_named_home_that_is_not_there_is_an_error_for_the_tool() {
    let world = World::new();
    let ran = world.run(&["codex-agent", "--codex-home", "nowhere", "ls"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cannot open Codex's home") && ran.err.contains("CODEX_HOME"), "{}", ran.err);
}
