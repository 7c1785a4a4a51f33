//! Aliases: the user's own words for a tool with arguments, or for a line of shell.

use std::fs;
use std::os::unix::fs::symlink;

use crate::world::terminal::{Terminal, on_terminal};
use crate::world::{Ran, World, bin, bins, json};

/// A world with these aliases and a tool that prints what it gets.
fn world(aliases: &str) -> World {
    let mut world = World::with_home("0.169.0");
    world.script("bin/codex-agent-echo", "#!/bin/sh\nprintf '%s|' \"$@\"; exit ${EXIT:-0}\n");
    let path = format!("{}:/usr/bin:/bin", world.path("bin").display());
    world.set("PATH", path);
    world.write("home/.config/codex-agent/config.toml", format!("[alias]\n{aliases}"));
    world
}

fn run(world: &World, words: &[&str]) -> Ran {
    let all: Vec<&str> = ["codex-agent"].iter().chain(words).copied().collect();
    let ran = world.run(&all);
    Ran { err: ran.err.replace(world.config("config.toml").to_str().unwrap(), "FILE"), ..ran }
}

fn ok(world: &World, words: &[&str]) -> String {
    let ran = run(world, words);
    ran.succeeds().reports_exactly("");
    ran.out
}

#[test]
fn an_alias_stands_for_a_tool_and_its_first_arguments() {
    let world = world(
        "few = 'ls -n 2'\nsay = \"echo 'a b' \\\"c $HOME\\\" d\\\\ e ''\"\nlist = ['echo', 'x y', '|', '*']\n\
         more = 'say again'\nmost = 'more and'\n2nd-word = 'echo 2'\n",
    );
    assert_eq!(ok(&world, &["few"]), world.ok(&["codex-agent-ls", "-n", "2"]));
    assert_eq!(ok(&world, &["few", "-n", "1", "--json"]), world.ok(&["codex-agent-ls", "-n", "1", "--json"]));
    assert_eq!(ok(&world, &["say", "-x", "", "f g"]), "a b|c $HOME|d e||-x||f g|");
    assert_eq!(ok(&world, &["list"]), "x y|||*|");
    assert_eq!(ok(&world, &["most", "on"]), "a b|c $HOME|d e||again|and|on|");
    assert_eq!(ok(&world, &["2nd-word", "--help"]), "2|--help|");
}

#[test]
fn an_alias_has_the_exit_code_and_environment_of_its_tool() {
    let mut world =
        world("say = 'echo'\nhome = '!printf %s \"$CODEX_HOME|$CODEX_AGENT|$CODEX_AGENT_PROTOCOL|$PWD\"'\n");
    world.set("EXIT", "7");
    run(&world, &["say", "x"]).exits(7);
    let there = fs::canonicalize(world.path("home")).unwrap();
    let there = there.display();
    let out = ok(&world, &["-C", "home", "--codex-home", "h", "home"]);
    assert_eq!(out, format!("{there}/h|{}|1|{there}", bin("codex-agent").display()));
}

#[test]
fn a_shell_alias_gets_the_arguments() {
    let world = world(
        "say = '!printf \"<%s>\"'\nturned = '!f() { printf \"%s-%s\" \"$2\" \"$1\"; }; f'\nends = '!(exit 5)'\n\
         pipe = '!\"$CODEX_AGENT\" ls --count | tr 1 x'\nlate = '!kill -TERM $$'\nname = '!nonsense-xyz'\n\
         long = '''!echo a\necho b\n'''\n",
    );
    assert_eq!(ok(&world, &["say", "a b", "", "$HOME", "'"]), "<a b><><$HOME><'>");
    assert_eq!(ok(&world, &["say"]), "<>");
    assert_eq!(ok(&world, &["turned", "1", "2"]), "2-1");
    assert_eq!(ok(&world, &["pipe"]), "xx\n");
    assert_eq!(ok(&world, &["long", "c"]), "a\nb c\n");
    run(&world, &["ends"]).exits(5);
    run(&world, &["late"]).exits(128 + 15);
    // A tool of the name wins, and so this one is none.
    run(&world, &["name"]).exits(2);
    let mut command = world.command("codex-agent");
    let child = command.args(["say", "x"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"<x>");
}

#[test]
fn a_tool_precedes_an_alias_of_its_name() {
    let world =
        world("ls = 'echo hostile'\nhelp = 'echo hostile'\necho = '!echo hostile'\nfine = 'echo 1'\n");
    assert_eq!(ok(&world, &["ls", "--count"]), "11\n");
    assert_eq!(ok(&world, &["echo", "x"]), "x|");
    assert!(ok(&world, &["help"]).contains("NAME"));
    let ran = run(&world, &["--list"]);
    ran.never_shows("hostile").shows("fine\talias for echo 1\t");
    let shadowed = |name: &str, line: u8, by: &str| {
        let want = format!("codex-agent: alias '{name}' (FILE:{line}:1) is shadowed by '{by}'\n");
        ran.case(&want).reports(&want);
    };
    shadowed("ls", 2, bin("codex-agent-ls").to_str().unwrap());
    shadowed("help", 3, bin("codex-agent").to_str().unwrap());
    shadowed("echo", 4, world.path("bin/codex-agent-echo").to_str().unwrap());
    assert_eq!(ran.err.lines().count(), 3);
    let records = json(&world.run(&["codex-agent", "--list=json"]).out);
    let alias = |name: &str| records.iter().find(|r| r["type"] == "alias" && r["name"] == name).unwrap();
    assert_eq!(alias("ls")["shadowed_by"], bin("codex-agent-ls").to_str().unwrap());
    assert_eq!(
        *alias("fine"),
        serde_json::json!({
            "type": "alias", "name": "fine", "alias": "echo 1", "words": ["echo", "1"], "shell": null,
            "path": world.config("config.toml").to_str().unwrap(), "line": 5, "column": 1, "shadowed_by": null,
        })
    );
    assert_eq!(
        (&alias("echo")["words"], &alias("echo")["shell"]),
        (&serde_json::Value::Null, &"echo hostile".into())
    );
}

#[test]
fn the_file_is_not_read_for_a_tool() {
    let world = world("");
    fs::write(world.config("config.toml"), "[[[").unwrap();
    assert_eq!(ok(&world, &["echo", "x"]), "x|");
    assert_eq!(ok(&world, &["ls", "--count", "--codex-home", "home/.codex"]), "11\n");
    // Without a file it is unknown whether an alias was meant.
    let ran = run(&world, &["ehco"]);
    ran.exits(2).prints("");
    ran.reports("FILE:1:").reports("there is no tool 'ehco'");
    let ran = run(&world, &["--list"]);
    ran.exits(2).shows("echo\t").reports("FILE:1:");
    // A trace of the system calls proves it, where strace is installed.
    if world.sh("command -v strace").out.is_empty() {
        eprintln!("SKIPPED: there is no strace to look with");
        return;
    }
    let traced =
        format!("strace -e trace=open,openat,getdents64 -o trace {} echo x", bin("codex-agent").display());
    let trace = world.sh(&traced);
    trace.succeeds();
    let trace = fs::read_to_string(world.path("trace")).unwrap();
    assert!(!trace.contains("config.toml") && !trace.contains("getdents"), "{trace}");
}

#[test]
fn circular_aliases_are_refused_with_their_chain() {
    let world = world("self = 'self'\na = 'b 1'\nb = 'c 2'\nc = 'a 3'\nto = 'a'\n");
    for (name, way) in [
        ("self", "alias 'self' refers to itself: self -> self"),
        ("a", "alias 'a' refers to itself: a -> b -> c -> a"),
        ("c", "alias 'c' refers to itself: c -> a -> b -> c"),
        ("to", "alias 'to' refers to itself: to -> a -> b -> c -> a"),
    ] {
        let ran = run(&world, &[name, "x"]);
        ran.case(name).exits(2).prints("");
        ran.case(name).reports(way);
    }
}

#[test]
fn circular_aliases_through_the_shell_end() {
    let world = world(
        "a = '!\"$CODEX_AGENT\" b'\nb = '!\"$CODEX_AGENT\" a'\nonce = '!\"$CODEX_AGENT\" say'\nsay = 'echo fine'\n",
    );
    let ran = run(&world, &["a"]);
    ran.exits(2).prints("");
    ran.reports("too many aliases refer to each other: ... b -> a -> b -> a");
    assert_eq!(ok(&world, &["once"]), "fine|");
}

#[test]
fn an_alias_to_nothing_is_reported_with_its_chain() {
    let world = world("a = 'b'\nb = 'ehco x'\nwrong = '2 x'\nplain = 'paper'\n");
    let ran = run(&world, &["a"]);
    ran.exits(127).prints("");
    ran.reports("there is no tool 'ehco'");
    ran.reports("did you mean 'echo'?");
    ran.reports("aliases: a -> b -> ehco (FILE:2:1)");
    // A tool that cannot be run is another error, and is reported with the chain too.
    world.write("bin/codex-agent-paper", "not executable");
    let ran = run(&world, &["plain"]);
    ran.exits(126);
    ran.reports("codex-agent-paper': it is not executable");
    ran.reports("aliases: plain -> paper (FILE:5:1)");
}

#[test]
fn a_mistyped_name_suggests_aliases() {
    let world = world("today = 'ls --since 1d'\n");
    let ran = run(&world, &["tody"]);
    ran.exits(127).reports("did you mean 'today'?");
    let ran = run(&world, &["help", "tody"]);
    ran.exits(127).reports("did you mean 'today'?");
}

#[test]
fn help_shows_the_value_of_an_alias() {
    let world = world("today = 'ls --since 1d'\nmanual = 'help ls'\nodd = \"!printf '\\u001b[2J'\"\n");
    let path = world.config("config.toml");
    let want = format!("'today' is an alias for 'ls --since 1d' ({}:2:1)\n", path.display());
    assert_eq!(ok(&world, &["help", "today"]), want);
    assert_eq!(ok(&world, &["manual"]), ok(&world, &["help", "ls"]));
    assert!(ok(&world, &["help", "odd"]).contains("\\x1b[2J"));
    // Every verb of the dispatcher itself still works.
    assert!(ok(&world, &["help", "echo"]).contains("--help|"));
}

#[test]
fn aliases_come_from_the_named_directory() {
    let world = world("here = 'echo default'\n");
    world.write("other/config.toml", "alias.here = 'echo other'\n");
    world.write("deep/down/config.toml", "alias.here = 'echo deep'\n");
    assert_eq!(ok(&world, &["here"]), "default|");
    assert_eq!(ok(&world, &["--config-home", "other", "here"]), "other|");
    assert_eq!(ok(&world, &["-C", "deep", "--config-home=down", "here"]), "deep|");
    assert!(ok(&world, &["--config-home", "other", "--list"]).contains("alias for echo other"));
    run(&world, &["--config-home", "nowhere", "here"]).exits(127);
    fs::remove_file(world.config("config.toml")).unwrap();
    symlink(world.path("other/config.toml"), world.config("config.toml")).unwrap();
    assert_eq!(ok(&world, &["here"]), "other|");
    fs::remove_file(world.path("other/config.toml")).unwrap();
    let ran = run(&world, &["here"]);
    ran.exits(2).reports("it is a symbolic link to a file that does not exist");
}

#[test]
fn no_alias_controls_the_terminal() {
    let text = "evil = \"echo \\u001b]0;x\\u0007\\t\\nnew\\trow \\u202e\"\n'../x' = 'echo'\n'' = 'echo'\n'-n' = 'echo'\n\"\\u001b[31m\" = 'echo'\n";
    let world = world(text);
    let shown = on_terminal(&world, &["codex-agent", "--list"], 200);
    let shown = shown.replace("\x1b[36m", "").replace("\x1b[0m", "");
    let row = shown.lines().find(|row| row.starts_with("evil")).unwrap().trim_end();
    let row = row.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(row, "evil alias alias for echo '\\x1b]0;x\\x07' new row '\\u{202e}'");
    let listed = ok(&world, &["--list"]);
    assert!(listed.contains("\nevil\talias for echo '\\x1b]0;x\\x07' new row '\u{202e}'\t"), "{listed}");
    assert!(listed.lines().all(|row| row.split('\t').count() == 4), "{listed}");
    for name in ["../x", "", "\u{1b}[31m"] {
        let ran = run(&world, &[name]);
        ran.exits(127).reports("cannot be the name of a tool");
        assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    }
    run(&world, &["-n"]).exits(2);
}

#[test]
fn an_alias_has_the_terminal() {
    let world = world("tty = '![ -t 0 ] && [ -t 1 ] && echo yes'\n");
    let mut command = world.command("codex-agent");
    command.arg("tty");
    let (shown, code) = Terminal::open(command, 80, 24).end();
    assert_eq!((shown.trim_end(), code), ("yes", 0));
}

#[test]
fn an_invalid_value_elsewhere_stops_no_alias() {
    let world = World::with_home("0.169.0");
    let text = "[alias]\nfew = 'ls --count'\nbad = '-C / ls'\n[ui]\ncolor = 'sometimes'\n";
    world.write("home/.config/codex-agent/config.toml", text);
    // The tool that it leads to needs a setting, and may not have it.
    let ran = world.run(&["codex-agent", "few"]);
    ran.exits(2).reports("ui.color").never_reports("is unknown");
    let ran = world.run(&["codex-agent", "--codex-home", "home/.codex", "few"]);
    ran.succeeds().prints("11\n");
    let ran = world.run(&["codex-agent", "bad"]);
    ran.exits(2).reports("config.toml:3:");
    ran.never_reports("is unknown");
    // An alias that leads to an invalid one is invalid too.
    world.write("home/.config/codex-agent/config.toml", text.replace("[ui]", "to = 'bad'\n[ui]"));
    let ran = world.run(&["codex-agent", "to"]);
    ran.exits(2).reports("config.toml:3:").reports("to -> bad");
    let ran = world.run(&["codex-agent", "fwe"]);
    ran.exits(127).reports("few");
    // A file that is no TOML has no aliases.
    world.write("home/.config/codex-agent/config.toml", "[alias]\nfew = 'ls --count'\nx = \n");
    let ran = world.run(&["codex-agent", "few"]);
    ran.exits(2).reports("config.toml may have an alias");
}

/// 400 aliases open no directory more often than one does.
#[test]
fn the_search_path_is_read_once_for_all_aliases() {
    let some: String = (0..400).map(|n| format!("a{n} = 'nothing-{n}'\n")).collect();
    let opened = |aliases: &str, line: &str| {
        let mut world = world(aliases);
        if world.sh("command -v strace").out.is_empty() {
            return None;
        }
        let directories: Vec<String> =
            (0..50).map(|n| world.path(&format!("path/{n}")).to_str().unwrap().to_owned()).collect();
        directories.iter().for_each(|directory| fs::create_dir_all(directory).unwrap());
        world.set("PATH", format!("{}:{}:/usr/bin:/bin", bins().display(), directories.join(":")));
        let ran = world.sh(&format!("strace -e trace=openat,getdents64,newfstatat,access -o trace {line}"));
        assert!(ran.out.contains("a399"), "{line}: {}", ran.err);
        let trace = fs::read_to_string(world.path("trace")).unwrap();
        let count = |name: &str| trace.lines().filter(|line| line.contains(name)).count();
        assert!(count("path/49") > 0, "{trace}");
        Some((count("path/49"), count("getdents64")))
    };
    for line in ["codex-agent --list", "codex-agent-config check"] {
        let (Some(one), Some(all)) = (opened("a399 = 'nothing'\n", line), opened(&some, line)) else {
            eprintln!("SKIPPED: there is no strace to look with");
            return;
        };
        assert_eq!(one, all, "{line}");
    }
}

#[test]
fn a_tool_in_an_unreadable_directory_precedes_an_alias() {
    if crate::world::is_root() {
        eprintln!("SKIPPED: root can read everything");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let mut world = world("foo = 'ls'\n");
    world.script("dark/codex-agent-foo", "#!/bin/sh\n");
    world.set("PATH", format!("{}:{}:/usr/bin:/bin", bins().display(), world.path("dark").display()));
    fs::set_permissions(world.path("dark"), fs::Permissions::from_mode(0o111)).unwrap();
    let ran = world.run(&["codex-agent", "--list"]);
    fs::set_permissions(world.path("dark"), fs::Permissions::from_mode(0o755)).unwrap();
    ran.reports("alias 'foo'").reports("is shadowed by");
}

#[test]
fn the_working_directory_defines_no_alias() {
    let mut world = world("planted = '!echo planted'\n");
    world.set("HOME", "home");
    for words in [&["codex-agent", "planted"][..], &["codex-agent", "help", "planted"]] {
        let ran = world.run(words);
        ran.exits(127).prints("");
    }
    for words in [
        &["codex-agent-config", "path"][..],
        &["codex-agent-group", "list"],
        &["codex-agent-ls"],
        &["codex-agent-setup", "--dry-run"],
    ] {
        let ran = world.run(words);
        ran.exits(2).prints("");
        ran.reports("HOME is 'home', which is not an absolute path");
    }
    // With an explicit path no home is needed.
    let directory = world.config("");
    world.set("CODEX_AGENT_CONFIG_HOME", directory.to_str().unwrap());
    world.run(&["codex-agent", "planted"]).prints("planted\n");
    world.set("CODEX_AGENT_CONFIG_HOME", "home/.config/codex-agent");
    let ran = world.run(&["codex-agent", "planted"]);
    ran.exits(2).reports("is not an absolute path");
}
