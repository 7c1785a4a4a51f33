//! The settings in `config.toml` apply to the tools, and problems in it are reported.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::world::fake::{Fake, of_type};
use crate::world::terminal::on_terminal;
use crate::world::{World, is_root, json};

fn configured(text: &str) -> World {
    let world = World::with_home("0.169.0");
    world.write("home/.config/codex-agent/config.toml", text);
    world
}

/// Runs `ls` in a world whose configuration must be refused, and gives its standard error.
fn refused(world: &World) -> String {
    let ran = world.run(&["codex-agent-ls", "--count"]);
    ran.exits(2).prints("");
    ran.err.replace(world.config("config.toml").to_str().unwrap(), "FILE")
}

#[test]
fn without_a_file_the_defaults_hold() {
    let mut world = World::with_home("0.169.0");
    assert_eq!(world.ok(&["codex-agent-ls", "--count"]), "11\n");
    assert!(!world.path("home/.config").exists(), "nothing is made to be read");
    world.write("home/.config/codex-agent/config.toml", "");
    assert_eq!(world.ok(&["codex-agent-ls", "--count"]), "11\n");
    let home = world.codex_home().display().to_string();
    world.set("HOME", "").set("CODEX_HOME", home);
    assert_eq!(world.ok(&["codex-agent-ls", "--count"]), "11\n");
}

#[test]
fn codex_home_of_the_file_comes_after_flag_and_variable() {
    let mut world = configured("[codex]\nhome = '~/other'\n");
    fs::create_dir(world.path("home/other")).unwrap();
    let count = |world: &World, more: &[&str]| {
        let words: Vec<&str> = ["codex-agent-ls", "--count"].iter().chain(more).copied().collect();
        world.ok(&words)
    };
    assert_eq!(count(&world, &[]), "0\n");
    assert_eq!(count(&world, &["--codex-home", "home/.codex"]), "11\n");
    let home = world.codex_home().display().to_string();
    world.set("CODEX_HOME", home);
    assert_eq!(count(&world, &[]), "11\n");
    world.set("CODEX_HOME", "");
    assert_eq!(count(&world, &[]), "0\n");
}

#[test]
fn a_missing_home_is_reported_with_its_line() {
    let world = configured("codex.home = '/nowhere/at/all'\n");
    let want = "cannot open Codex's home '/nowhere/at/all' (FILE:1:7): no such file or directory";
    assert!(refused(&world).contains(want), "{}", refused(&world));
    let world = configured("codex.home = '/etc/passwd'\n");
    assert!(refused(&world).contains("'/etc/passwd' is not a directory"), "{}", refused(&world));
}

#[test]
fn codex_gets_the_home_of_the_file() {
    let mut world = configured("");
    fs::rename(world.codex_home(), world.path("home/other")).unwrap();
    let stub = |name: &str, line: &str| {
        let version = "[ \"$1\" = --version ] && { echo codex-cli 0.169.0; exit; }";
        world
            .script(&format!("stubs/{name}"), &format!("#!/bin/sh\n{version}\n{line}\n"))
            .display()
            .to_string()
    };
    let (theirs, mine) = (stub("theirs", "printf '%s' \"$CODEX_HOME\""), stub("mine", "printf mine"));
    let text = format!("codex.home = '~/other'\ncodex.binary = '{theirs}'\n");
    fs::write(world.config("config.toml"), text).unwrap();
    let resume = ["codex-agent-resume", "login work", "--cwd", "/"];
    let home = fs::canonicalize(world.path("home/other")).unwrap();
    assert_eq!(world.ok(&resume), home.to_str().unwrap());
    world.set("CODEX_AGENT_CODEX", mine);
    assert_eq!(world.ok(&resume), "mine");
}

#[test]
fn runs_use_the_home_of_the_file() {
    let fake = Fake::newest();
    fs::rename(fake.0.codex_home(), fake.0.path("home/other")).unwrap();
    fake.0.write("home/.config/codex-agent/config.toml", "codex.home = '~/other'\n");
    for words in [&["run", "hello"][..], &["run", "--jobs"]] {
        let ran = fake.feed(words, "{\"type\":\"job\",\"v\":1,\"prompt\":\"again\"}\n");
        ran.succeeds();
    }
    assert_eq!(fake.list().len(), 2);
    assert!(fake.0.path("home/other/sessions").exists() && !fake.0.codex_home().exists());
}

#[test]
fn the_demo_ignores_the_settings() {
    let world = configured("codex.home = '/nowhere'\ncodex.binary = '/nowhere'\nunknown = 1\n");
    assert_eq!(world.ok(&["codex-agent", "demo", "codex-agent", "ls", "--count"]), "11\n");
    assert_eq!(
        world.ok(&["codex-agent", "demo", "codex-agent", "run", "--answers", "hello"]),
        "echo: hello\n"
    );
}

#[test]
fn a_missing_codex_is_reported_with_its_line() {
    let world = configured("[codex]\nbinary = '/no/codex'\n");
    let ran = world.run(&["codex-agent-run", "hello"]);
    let want = format!("cannot run codex at '/no/codex' ({}:2:1)", world.config("config.toml").display());
    ran.exits(2).reports(&want);
}

#[test]
fn runs_are_kept_as_long_as_the_file_sets() {
    let fake = Fake::newest();
    let runs = || fs::read_dir(fake.0.path("home/.local/state/codex-agent/runs")).unwrap().count();
    let run = || drop(fake.good(&["run", "hello"]));
    let keep = |time: &str| {
        fake.0.write("home/.config/codex-agent/config.toml", format!("runs.keep = '{time}'\n"));
    };
    run();
    run();
    assert_eq!(runs(), 2, "30 days are built in");
    keep("forever");
    run();
    assert_eq!(runs(), 3);
    let ran = fake.tool(&["run", "prune"]);
    ran.exits(2).reports("keeps runs forever");
    keep("1d12h");
    fake.tool(&["run", "prune"]).reports("removed 0 runs");
    keep("0s");
    run();
    assert_eq!(runs(), 1, "those before are removed when another is begun");
    fake.tool(&["run", "prune"]).reports("removed 1 run");
    // An invalid duration removes nothing.
    run();
    keep("soon");
    let ran = fake.tool(&["run", "-p", "again"]);
    ran.exits(2).reports("'soon' is not a duration");
    assert_eq!(runs(), 1);
}

#[test]
fn as_many_jobs_run_concurrently_as_the_file_sets() {
    let fake = Fake::newest();
    fake.0.write("home/.config/codex-agent/config.toml", "[runs]\nmax_concurrent = 7\n");
    let at_once = |words: &[&str]| {
        let ran = fake.tool(words);
        ran.succeeds();
        of_type(&json(&ran.out), "run.started")[0]["max_concurrent"].as_u64().unwrap()
    };
    assert_eq!(at_once(&["run", "--json", "hello"]), 7);
    assert_eq!(at_once(&["run", "--json", "-j2", "hello"]), 2);
    fake.0.write("home/.config/codex-agent/config.toml", "");
    assert_eq!(at_once(&["run", "--json", "hello"]), 3);
}

#[test]
fn colours_are_those_of_the_file() {
    let mut world = configured("ui.color = 'never'\n");
    let is_coloured = |world: &World, more: &[&str]| {
        let words: Vec<&str> = ["codex-agent-ls"].iter().chain(more).copied().collect();
        on_terminal(world, &words, 100).contains("\x1b[33m")
    };
    assert!(!is_coloured(&world, &[]));
    assert!(is_coloured(&world, &["--color=always"]));
    world.set("CLICOLOR_FORCE", "1");
    assert!(is_coloured(&world, &[]));
    fs::write(world.config("config.toml"), "ui.color = 'always'\n").unwrap();
    world.set("CLICOLOR_FORCE", "0");
    assert!(is_coloured(&world, &[]));
    world.set("NO_COLOR", "1");
    assert!(!is_coloured(&world, &[]));
}

#[test]
fn unknown_keys_are_reported_and_ignored() {
    for (text, message) in [
        ("[runs]\nkeeep = '9d'\n", "FILE:2:1: unknown key 'runs.keeep'; did you mean 'runs.keep'?"),
        ("[run]\nkeep = '9d'\n", "FILE:1:2: unknown table 'run'; did you mean 'runs'?"),
        ("color = 'always'\n", "FILE:1:1: unknown key 'color'; did you mean 'ui.color'?"),
        ("colour = 'always'\n", "FILE:1:1: unknown key 'colour'; did you mean 'ui.color'?"),
        ("ui.colour = 3\n", "FILE:1:4: unknown key 'ui.colour'; did you mean 'ui.color'?"),
        ("ui.theme.dark = 3\n", "FILE:1:4: unknown key 'ui.theme'\n"),
        ("'\\u001b[31m' = 3\n", "FILE:1:1: unknown key '\\u001b[31m'\n"),
        ("\"\\u001b[31m\\nx\" = 3\n", "FILE:1:1: unknown key '\\x1b[31m\\nx'\n"),
        ("[alias]\n'A b' = 'ls'\n", "FILE:2:1: invalid alias name 'A b': use lower case"),
        ("[alias]\n\"\\u001b\" = 'ls'\n", "FILE:2:1: invalid alias name '\\x1b': use lower case"),
    ] {
        let world = configured(text);
        let ran = world.run(&["codex-agent-ls", "--count"]);
        let err = ran.err.replace(world.config("config.toml").to_str().unwrap(), "FILE");
        ran.succeeds().prints("11\n");
        assert!(err.starts_with("codex-agent-ls: FILE:") && err.contains(message), "{text}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    let many: String = (0..50).map(|n| format!("key{n} = 1\n")).collect();
    let ran = configured(&many).run(&["codex-agent-ls", "--count"]);
    ran.succeeds();
    assert_eq!(ran.err.lines().count(), 6, "{}", ran.err);
    ran.reports("'codex-agent config check' reports 45 more");
}

#[test]
fn an_invalid_value_is_reported_with_line_and_column() {
    for (text, message) in [
        ("[codex]\nhome = \"/x\n", "FILE:2:"),
        ("# über\nüü = 1\n", "FILE:2:1: "),
        ("[codex\n", "FILE:1:7: "),
        ("[ui]\ncolor = \n", "FILE:2:9: "),
        ("[ui]\ncolor = 'never'\ncolor = 'auto'\n", "FILE:3:1: duplicate key"),
        (
            "[codex]\n  home = 3\n",
            "FILE:2:10: invalid value for 'codex.home': expected a string, found a number",
        ),
        ("runs.keep = 30\n", "FILE:1:13: invalid value for 'runs.keep': expected a string, found a number"),
        ("runs.keep = '30'\n", "FILE:1:13: invalid value for 'runs.keep': '30' is not a duration"),
        ("runs.keep = ''\n", "invalid value for 'runs.keep': it is empty"),
        ("codex.home = ''\n", "invalid value for 'codex.home': it is empty"),
        ("codex.home = \"a\\u0000\"\n", "invalid value for 'codex.home': it contains a NUL"),
        ("codex.home = 'codex'\n", "expected a path that begins with / or ~/, not 'codex'"),
        ("codex.home = './codex'\n", "expected a path that begins with / or ~/, not './codex'"),
        ("codex.home = '~me/codex'\n", "expected a path that begins with / or ~/, not '~me/codex'"),
        ("codex.home = \"x\\u001b[2J\"\n", "not 'x\\x1b[2J'"),
        ("ui.color = 'sometimes'\n", "expected auto or always or never, not 'sometimes'"),
        ("ui.color = true\n", "expected a string, found true or false"),
        ("runs.max_concurrent = 0\n", "invalid value for 'runs.max_concurrent': it must be from 1 to 256"),
        ("runs.max_concurrent = 99999999999999999999\n", "it must be from 1 to 256"),
        ("runs.max_concurrent = '3'\n", "expected a whole number, found a string"),
        ("runs.max_concurrent = 1.5\n", "expected a whole number, found a number with a point"),
        ("runs = 3\n", "FILE:1:8: expected a table for 'runs', found a number"),
    ] {
        let err = refused(&configured(text));
        assert!(err.contains(message) && err.contains("FILE:"), "{text}: {err}");
    }
    // An invalid alias is reported, and stops no tool that does not use it.
    for (text, message) in [
        ("alias = 'ls'\n", "FILE:1:9: expected a table for 'alias', found a string"),
        ("[[alias]]\nx = 'ls'\n", "expected a table for 'alias', found an array"),
        (
            "[alias]\nx = 3\n",
            "FILE:2:5: invalid value for alias 'x': expected a string or an array of strings, found a number",
        ),
        ("[alias]\nx = ['ls', 3]\n", "expected a string or an array of strings, found an array"),
        ("[alias]\nx = ''\n", "FILE:2:5: invalid value for alias 'x': it is empty"),
        ("[alias]\nx = []\n", "invalid value for alias 'x': it is empty"),
        (
            "[alias]\nx = \"ls 'a\"\n",
            "invalid value for alias 'x': it has an unclosed quote or a final backslash",
        ),
    ] {
        let world = configured(text);
        let ran = world.run(&["codex-agent-ls", "--count"]);
        let err = ran.err.replace(world.config("config.toml").to_str().unwrap(), "FILE");
        ran.case(text).succeeds().prints("11\n");
        assert!(err.contains(message), "{text}: {err}");
        let ran = world.run(&["codex-agent", "x"]);
        let err = ran.err.replace(world.config("config.toml").to_str().unwrap(), "FILE");
        ran.case(text).exits(2);
        assert!(err.contains(message), "{text}: {err}");
        world.run(&["codex-agent-config", "check"]).case(text).exits(2);
    }
    let err = refused(&configured("a = 1\nruns.keep = 1\nui.color = 2\n"));
    assert!(err.contains("FILE:2:13:") && err.contains("'codex-agent config check' reports 1 more"), "{err}");
}

#[test]
fn a_path_that_is_no_file_is_reported() {
    let said = |make: &dyn Fn(&World)| {
        let world = configured("");
        fs::remove_file(world.config("config.toml")).unwrap();
        make(&world);
        refused(&world)
    };
    let path = |world: &World| world.config("config.toml");
    let err = said(&|world| fs::create_dir(path(world)).unwrap());
    assert!(err.contains("cannot read 'FILE': it is a directory"), "{err}");
    let err = said(&|world| symlink("/nowhere", path(world)).unwrap());
    assert!(err.contains("cannot read 'FILE': it is a symbolic link to a file that does not exist"), "{err}");
    let err = said(&|world| symlink("config.toml", path(world)).unwrap());
    assert!(err.contains("cannot read 'FILE': too many levels of symbolic links"), "{err}");
    let err = said(&|world| symlink("/dev/zero", path(world)).unwrap());
    assert!(err.contains("cannot read 'FILE': it is a device"), "{err}");
    let err = said(&|world| fs::write(path(world), vec![b'\n'; (1 << 20) + 1]).unwrap());
    assert!(err.contains("cannot read 'FILE': it is larger than 1 MiB"), "{err}");
    let err = said(&|world| fs::write(path(world), b"# \xc3\xbc\nx = '\xff'\n").unwrap());
    assert!(err.contains("FILE:2:6: it is not UTF-8"), "{err}");
    let err = said(&|world| {
        let made = world.run(&["mkfifo", path(world).to_str().unwrap()]);
        made.succeeds();
    });
    assert!(err.contains("cannot read 'FILE': it is a pipe"), "{err}");
    let err = said(&|world| {
        fs::remove_dir(world.path("home/.config/codex-agent")).unwrap();
        world.write("home/.config/codex-agent", "");
    });
    assert!(err.contains("cannot read 'FILE': not a directory"), "{err}");
    if is_root() {
        eprintln!("SKIPPED: root can read everything");
    } else {
        let err = said(&|world| {
            fs::write(path(world), "").unwrap();
            fs::set_permissions(path(world), fs::Permissions::from_mode(0o000)).unwrap();
        });
        assert!(err.contains("cannot read 'FILE': permission denied"), "{err}");
    }
}

#[test]
fn unusual_files_are_read() {
    // The longest file; one with a byte order mark; one with the line ends of Windows.
    let long = format!("runs.keep = '1d'\n#{}", "x".repeat((1 << 20) - 18));
    for text in [long.as_str(), "\u{feff}ui.color = 'never'\n", "[ui]\r\ncolor = 'never'\r\n"] {
        let world = configured(text);
        assert_eq!(world.ok(&["codex-agent-ls", "--count"]), "11\n");
    }
    let world = configured("");
    fs::remove_file(world.config("config.toml")).unwrap();
    let real = world.write("dotfiles/mine.toml", "codex.home = '/nowhere'\n");
    symlink(real, world.config("config.toml")).unwrap();
    assert!(refused(&world).contains("'/nowhere' (FILE:1:7)"));
    // The usual way to have none.
    let world = configured("");
    fs::remove_file(world.config("config.toml")).unwrap();
    symlink("/dev/null", world.config("config.toml")).unwrap();
    assert_eq!(world.ok(&["codex-agent-ls", "--count"]), "11\n");
    // Brackets that are never closed are reported once, at one place.
    let world = configured(&format!("a = {}\n", "[".repeat(200)));
    let printed = world.run(&["codex-agent-config", "check"]).out;
    assert_eq!(printed.matches("unclosed array").count(), 1, "{printed}");
    let world = configured("[UI]\ncolor = 'never'\n[runs]\nKEEP = '1d'\n");
    let printed = world.run(&["codex-agent-config", "check", "--json"]).out;
    assert!(
        printed.contains("did you mean \'ui\'?") && printed.contains("did you mean 'runs.keep'?"),
        "{printed}"
    );
    // Thousands of keys in one line and as many levels as bytes are reported quickly, without a crash.
    let keys: String = (0..40_000).map(|n| format!("k{n} = 1, ")).collect();
    let world = configured(&format!("x = {{ {keys} }}\n"));
    world.run(&["codex-agent-ls", "--count"]).succeeds();
    assert!(refused(&configured(&format!("x = {}\n", "[".repeat(500_000)))).contains("FILE:1:"));
}

#[test]
fn a_relative_directory_is_refused_or_ignored() {
    let mut world = configured("");
    world.write("here/config.toml", "codex.home = '/nowhere'\n");
    world.set("CODEX_AGENT_CONFIG_HOME", "here");
    let err = refused(&world);
    assert!(err.contains("cannot use CODEX_AGENT_CONFIG_HOME: 'here' is not an absolute path"), "{err}");
    // A relative directory in a variable of the XDG standard is ignored, as the standard requires.
    world.set("CODEX_AGENT_CONFIG_HOME", "").set("XDG_CONFIG_HOME", "here");
    assert_eq!(world.ok(&["codex-agent-ls", "--count"]), "11\n");
}

#[test]
fn a_tool_that_needs_no_setting_ignores_an_invalid_file() {
    let world = configured("[[[\n");
    assert_eq!(world.ok(&["codex-agent-ls", "--count", "--codex-home", "home/.codex"]), "11\n");
    assert_eq!(world.ok(&["codex-agent-group", "list"]), "");
    let shown = on_terminal(&world, &["codex-agent-ls", "--codex-home", "home/.codex"], 100);
    assert!(shown.contains("config.toml:1:") && shown.contains("login work"), "{shown}");
    assert_eq!(fs::read_to_string(world.config("config.toml")).unwrap(), "[[[\n");
}
