//! The dispatcher: which executable it runs, and how it ends.

use std::os::unix::fs::symlink;

use crate::world::terminal::on_terminal;
use crate::world::{World, bin, bins, json};

fn with_path(world: &mut World, directories: &str) {
    world.set("PATH", format!("{directories}:/usr/bin:/bin"));
}

#[test]
fn a_tool_replaces_the_dispatcher() {
    let world = World::with_home("0.169.0");
    assert_eq!(world.ok(&["codex-agent", "ls", "-n", "1"]), world.ok(&["codex-agent-ls", "-n", "1"]));
    // Everything after the name is the tool's: flags, '--', '-h'.
    world.script("bin/codex-agent-echo", "#!/bin/sh\nprintf '%s|' \"$0\" \"$@\"\n");
    let mut world = world;
    let directory = world.path("bin");
    with_path(&mut world, directory.to_str().unwrap());
    let out = world.ok(&["codex-agent", "echo", "-h", "--", "a b", "", "--list"]);
    assert_eq!(out, format!("{}|-h|--|a b||--list|", directory.join("codex-agent-echo").display()));
}

#[test]
fn exit_codes_and_signals_are_those_of_the_tool() {
    let mut world = World::new();
    world.script("bin/codex-agent-seven", "#!/bin/sh\nexit 7\n");
    world.script("bin/codex-agent-killed", "#!/bin/sh\nkill -KILL $$\n");
    world.script("bin/codex-agent-pid", "#!/bin/sh\necho $$\n");
    let directory = world.path("bin");
    with_path(&mut world, directory.to_str().unwrap());
    world.run(&["codex-agent", "seven"]).exits(7);
    world.run(&["codex-agent", "killed"]).exits(128 + 9);
    let mut command = world.command("codex-agent");
    let child = command.arg("pid").stdout(std::process::Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(out.trim(), pid.to_string(), "a second process was made");
}

#[test]
fn the_environment_is_passed_on() {
    let mut world = World::new();
    world.script(
        "bin/codex-agent-env",
        "#!/bin/sh\necho \"$CODEX_AGENT|$CODEX_AGENT_PROTOCOL|$CODEX_AGENT_VERSION|$CODEX_HOME|$CODEX_AGENT_CONFIG_HOME|$(pwd)\"\n",
    );
    std::fs::create_dir(world.path("down")).unwrap();
    let directory = world.path("bin");
    with_path(&mut world, directory.to_str().unwrap());
    let out = world.ok(&["codex-agent", "-C", "down", "--codex-home", "h", "--config-home=/c", "env"]);
    let down = std::fs::canonicalize(world.path("down")).unwrap();
    let down = down.display();
    assert_eq!(
        out,
        format!("{}|1|{}|{down}/h|/c|{down}\n", bin("codex-agent").display(), env!("CARGO_PKG_VERSION"))
    );
    let ran = world.run(&["codex-agent", "-C", "nowhere", "env"]);
    ran.exits(2);
    ran.reports("cannot change to 'nowhere': no such file or directory");
}

#[test]
fn tools_are_found_beside_the_dispatcher_then_on_exec_path_then_on_path() {
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
fn the_listed_tool_is_the_one_that_runs() {
    let mut world = World::new();
    world.script("bin/codex-agent-good", "#!/bin/sh\necho good\n");
    world.script("bin/codex-agent-2nd-tool", "#!/bin/sh\necho second\n");
    world.script("bin/codex-agent-Big", "#!/bin/sh\n");
    world.script("bin/codex-agent-with blank", "#!/bin/sh\n");
    world.write("bin/codex-agent-plain", "not executable");
    std::fs::create_dir(world.path("bin/codex-agent-folder")).unwrap();
    symlink("/nowhere", world.path("bin/codex-agent-dangling")).unwrap();
    symlink("codex-agent-good", world.path("bin/codex-agent-linked")).unwrap();
    let directory = world.path("bin");
    with_path(&mut world, directory.to_str().unwrap());
    let listed = world.ok(&["codex-agent", "--list"]);
    let names: Vec<&str> = listed.lines().map(|row| row.split('\t').next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "2nd-tool", "archive", "config", "demo", "find", "fork", "good", "grep", "group", "linked", "ls",
            "name", "pick", "plugin", "queue", "resume", "run", "schema", "setup", "show", "stats", "status",
            "watch"
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
        ran.case(name).exits(126);
        assert_eq!(ran.err.contains("chmod +x"), is_advised, "{name}: {}", ran.err);
        ran.reports(why);
    }
    for name in ["Big", "with blank", "../ls", "/bin/ls", ""] {
        let ran = world.run(&["codex-agent", name]);
        ran.case(name).exits(127);
        ran.reports("cannot be the name of a tool");
    }
}

#[test]
fn relative_entries_of_path_are_ignored() {
    let mut world = World::new();
    // Not in the directory of the executable, so that only PATH could have it.
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
fn an_unknown_tool_is_reported_with_suggestions() {
    let world = World::new();
    for (typed, near) in [("lss", "'ls'"), ("gruop", "'group'"), ("finds", "'find'"), ("gro", "'group'")] {
        let ran = world.run(&["codex-agent", typed]);
        ran.exits(127).prints("");
        ran.case(typed).reports(format!("did you mean {near}"));
    }
    let ran = world.run(&["codex-agent", "xyzzy"]);
    ran.exits(127).reports("'codex-agent --list' lists the tools");
    let ran = world.run(&["codex-agent", "--lst"]);
    ran.exits(2).reports("did you mean '--list'?");
}

#[test]
fn a_missing_interpreter_is_reported() {
    let mut world = World::new();
    world.script("bin/codex-agent-broken", "#!/no/such/interpreter\n");
    let directory = world.path("bin");
    with_path(&mut world, directory.to_str().unwrap());
    let ran = world.run(&["codex-agent", "broken"]);
    ran.exits(126);
    ran.reports("its first line names '/no/such/interpreter', which does not exist");
    world.script("bin/codex-agent-broken", "#!/bin/sh\r\necho hello\r\n");
    let ran = world.run(&["codex-agent", "broken"]);
    ran.exits(126).reports("'/bin/sh', which ends in a carriage return");
}

#[test]
fn help_shows_the_page_of_a_tool_or_its_usage() {
    let mut world = World::new();
    world.script("bin/codex-agent-foo", "#!/bin/sh\necho \"foo helps: $*\"\n");
    let directory = world.path("bin");
    with_path(&mut world, directory.to_str().unwrap());
    assert_eq!(world.ok(&["codex-agent", "help", "foo"]), "foo helps: --help\n");
    for (topic, want) in [
        ("ls", "codex-agent-ls"),
        ("codex-agent-ls", "codex-agent-ls"),
        ("guide", "codex-agent"),
        ("records", "codex-agent-records"),
        ("files", "codex-agent-files"),
        ("plugins", "codex-agent-plugins"),
        ("transcripts", "codex-agent-transcripts"),
        ("distributed", "codex-agent-distributed"),
    ] {
        let page = world.ok(&["codex-agent", "help", topic]);
        assert!(page.contains(want) && page.contains("NAME"), "{topic}: {page}");
    }
    assert!(world.ok(&["codex-agent", "help"]).contains("run a codex-agent tool"));
    world.run(&["codex-agent", "help", "xyzzy"]).exits(127);
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
fn a_manual_page_that_cannot_be_written_is_an_error() {
    let world = World::new();
    for topic in ["codex-agent", "guide"] {
        let ran = world.sh(&format!("codex-agent help {topic} > /dev/full"));
        ran.case(topic).exits(2);
        assert!(ran.err.contains("No space left") || ran.err.contains("no space left"), "{}", ran.err);
        // A reader who has seen enough is none.
        world.sh(&format!("codex-agent help {topic} | head -n 1")).reports_exactly("");
    }
}

#[test]
fn a_directory_for_a_page_that_cannot_be_made_is_reported_as_other_errors() {
    let mut world = World::new();
    world.set("TMPDIR", "/no/such/place");
    for words in [&["help", "ls"][..], &["demo", "true"]] {
        let ran = world.run(&[&["codex-agent"], words].concat());
        ran.exits(2).reports("cannot make a directory in '/no/such/place': no such file or directory");
        assert!(!ran.err.contains("os error"), "{}", ran.err);
    }
}

#[test]
fn a_home_directory_that_does_not_exist_is_not_created() {
    let mut world = World::new();
    world.set("HOME", world.path("nobody").display().to_string());
    for words in [
        &["group", "create", "x"][..],
        &["queue", "create", "x"],
        &["run", "-p", "hello", "--codex", "true"],
        &["setup", "--yes"],
    ] {
        let ran = world.run(&[&["codex-agent"], words].concat());
        assert!(ran.code != 0, "{words:?}");
        assert!(!world.path("nobody").exists(), "{words:?} created a home directory: {}", ran.err);
    }
    let ran = world.run(&["codex-agent", "group", "create", "x"]);
    ran.exits(2).reports("nobody' does not exist").reports("set HOME to a directory that exists");
    // What needs no file works.
    world.run(&["codex-agent", "group", "list"]).succeeds();
    let given = world.path("given").display().to_string();
    world.set("CODEX_AGENT_CONFIG_HOME", given);
    world.run(&["codex-agent", "group", "create", "x"]).succeeds();
}

#[test]
fn the_list_of_tools_in_the_help_is_wrapped_below_its_text() {
    let world = World::new();
    let shown = on_terminal(&world, &["codex-agent", "--help"], 60);
    let lines: Vec<&str> = shown.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("  setup ")).unwrap();
    let column = lines[at].find("install").unwrap();
    assert!(lines[at + 1].starts_with(&" ".repeat(column)) && !lines[at + 1].trim().is_empty(), "{shown}");
    assert!(lines.iter().all(|line| line.chars().count() < 60), "{shown}");
}

#[test]
fn an_operand_without_effect_is_refused() {
    let world = World::new();
    let told: [(&[&str], &str); 5] = [
        (&["--list", "ls"], "unexpected operand 'ls' after --list"),
        (&["--list=json", "ls"], "unexpected operand 'ls' after --list"),
        (&["--exec-path", "ls"], "unexpected operand 'ls' after --exec-path"),
        (&["help", "ls", "find"], "unexpected operand 'find'"),
        (&["help", "queue", "add"], "'codex-agent queue add --help' describes a verb of queue"),
    ];
    for (words, want) in told {
        let ran = world.run(&[&["codex-agent"], words].concat());
        ran.exits(2).prints("");
        ran.reports(want);
    }
}

#[test]
fn a_linked_dispatcher_finds_its_own_tools() {
    let world = World::with_home("0.169.0");
    symlink(bin("codex-agent"), world.path("ca")).unwrap();
    let link = world.path("ca");
    assert_eq!(world.ok(&[link.to_str().unwrap(), "ls", "--count"]), "11\n");
}

/// The rows of a database, whole.
pub fn rows(database: &std::path::Path) -> String {
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
fn the_dispatcher_contains_no_sqlite() {
    let holds = |name: &str| {
        let bytes = std::fs::read(bin(name)).unwrap();
        bytes.windows(15).any(|window| window == b"SQLite format 3")
    };
    assert!(holds("codex-agent-ls"), "the test looks for the wrong text");
    assert!(!holds("codex-agent"));
}

#[test]
fn a_missing_home_is_reported_by_the_tool() {
    let world = World::new();
    let ran = world.run(&["codex-agent", "--codex-home", "nowhere", "ls"]);
    ran.exits(2);
    ran.reports("cannot open Codex's home").reports("CODEX_HOME");
}
