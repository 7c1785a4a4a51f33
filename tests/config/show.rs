//! `codex-agent config`: the settings, the origin of each, and the problems of each.

use std::fs;
use std::os::unix::fs::symlink;

use codex_agent_shared::config::SETTINGS;
use serde_json::{Value, json as value};

use crate::world::terminal::{joined, on_terminal};
use crate::world::{Ran, World, json};

const KEYS: [&str; 11] = [
    "codex.home",
    "codex.binary",
    "runs.keep",
    "runs.max_concurrent",
    "runs.confirm_above",
    "runs.on_end",
    "ui.color",
    "ui.pager",
    "codex.database",
    "config.folder",
    "state.folder",
];

fn configured(text: &str) -> World {
    let world = World::with_home("0.169.0");
    world.write("home/.config/codex-agent/config.toml", text);
    world.script("stubs/codex", "#!/bin/sh\nexit 3\n");
    world
}

fn run(world: &World, words: &[&str]) -> Ran {
    let all: Vec<&str> = ["codex-agent-config"].iter().chain(words).copied().collect();
    let ran = world.run(&all);
    let file = |text: &str| text.replace(world.config("config.toml").to_str().unwrap(), "FILE");
    Ran { out: file(&ran.out), err: file(&ran.err), ..ran }
}

/// The record of one key.
fn record(world: &World, words: &[&str], key: &str) -> Value {
    let all: Vec<&str> = ["codex-agent-config", "list", "--json"].iter().chain(words).copied().collect();
    let ran = world.run(&all);
    json(&ran.out).into_iter().find(|record| record["key"] == key).unwrap()
}

#[test]
fn each_setting_is_listed_with_its_origin() {
    let mut world = configured("[codex]\nhome = '~/.codex'\n\n[runs]\nkeep = '90d'\n");
    let path = format!("{}:/usr/bin:/bin", world.path("stubs").display());
    world.set("PATH", path);
    let home = fs::canonicalize(world.codex_home()).unwrap();
    let ran = run(&world, &[]);
    ran.succeeds().reports_exactly("");
    run(&world, &["list"]).prints(&ran.out);
    let rows: Vec<Vec<&str>> = ran.out.lines().map(|row| row.split('\t').collect()).collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), KEYS);
    let row = |key: &str| rows.iter().find(|row| row[0] == key).unwrap()[1..].to_vec();
    assert_eq!(row("codex.home"), [home.to_str().unwrap(), "file", "FILE:2:1"]);
    assert_eq!(row("codex.binary"), [world.path("stubs/codex").to_str().unwrap(), "environment", "PATH"]);
    assert_eq!(row("runs.keep"), ["90d", "file", "FILE:5:1"]);
    assert_eq!(row("runs.max_concurrent"), ["3", "built-in", ""]);
    assert_eq!(row("ui.color"), ["auto", "built-in", ""]);
    assert_eq!(row("codex.database"), [home.join("state_5.sqlite").to_str().unwrap(), "built-in", ""]);
    let directory = world.path("home/.config/codex-agent");
    assert_eq!(row("config.folder"), [directory.to_str().unwrap(), "built-in", ""]);
    let state = world.path("home/.local/state/codex-agent");
    assert_eq!(row("state.folder"), [state.to_str().unwrap(), "built-in", ""]);
    // A variable or a flag that precedes the file is named as the origin.
    let said = |world: &World, words: &[&str], key: &str| {
        let record = record(world, words, key);
        ["value", "source", "by"].map(|field| record[field].clone())
    };
    let flags = ["--codex-home", "home", "--codex", "/bin/true", "--color=never"];
    let outer = fs::canonicalize(world.path("home")).unwrap();
    assert_eq!(said(&world, &flags, "codex.home"), [value!(outer), "flag".into(), "--codex-home".into()]);
    assert_eq!(said(&world, &flags, "codex.binary"), ["/bin/true", "flag", "--codex"].map(Value::from));
    assert_eq!(said(&world, &flags, "ui.color"), ["never", "flag", "--color"].map(Value::from));
    world.set("CODEX_HOME", "home").set("CODEX_AGENT_CODEX", "/bin/false").set("CLICOLOR_FORCE", "1");
    world.set("CODEX_AGENT_STATE_HOME", "/s").set("CODEX_SQLITE_HOME", "/elsewhere");
    assert_eq!(said(&world, &[], "codex.home"), [value!(outer), "environment".into(), "CODEX_HOME".into()]);
    let environment = |key: &str, value: &str, name: &str| {
        assert_eq!(said(&world, &[], key), [value, "environment", name].map(Value::from));
    };
    environment("codex.binary", "/bin/false", "CODEX_AGENT_CODEX");
    environment("ui.color", "always", "CLICOLOR_FORCE");
    environment("state.folder", "/s", "CODEX_AGENT_STATE_HOME");
    let database =
        ["source", "by", "value"].map(|field| record(&world, &[], "codex.database")[field].clone());
    assert_eq!(database, ["environment".into(), "CODEX_SQLITE_HOME".into(), Value::Null]);
    world.set("NO_COLOR", "1").set("XDG_CONFIG_HOME", "/x");
    assert_eq!(said(&world, &[], "ui.color"), ["never", "environment", "NO_COLOR"].map(Value::from));
    let directory = ["/x/codex-agent", "environment", "XDG_CONFIG_HOME"].map(Value::from);
    assert_eq!(said(&world, &[], "config.folder"), directory);
}

#[test]
fn a_record_has_every_property_of_a_setting() {
    let world = configured("runs.max_concurrent = 7\n");
    assert_eq!(
        record(&world, &[], "runs.max_concurrent"),
        value!({
            "type": "setting", "key": "runs.max_concurrent", "value": 7, "source": "file",
            "by": world.config("config.toml"), "line": 1, "column": 6, "default": "3",
            "about": "the number of concurrent jobs of a run", "settable": true, "problem": null,
        })
    );
    let moved = configured("");
    fs::write(moved.codex_home().join("config.toml"), "sqlite_home = '/moved'\n").unwrap();
    let database = record(&moved, &[], "codex.database");
    let home = fs::canonicalize(moved.codex_home()).unwrap();
    assert_eq!(database["by"], home.join("config.toml").to_str().unwrap());
    assert_eq!((&database["source"], &database["settable"]), (&"file".into(), &false.into()));
}

#[test]
fn an_invalid_setting_is_listed_with_the_reason() {
    let world = configured("codex.home = '/nowhere'\ncodex.binary = '/no/codex'\n");
    let ran = run(&world, &[]);
    ran.succeeds();
    assert!(ran.out.starts_with("codex.home\t/nowhere\tfile\tFILE:1:7\n"), "{}", ran.out);
    ran.reports("cannot open Codex's home '/nowhere' (FILE:1:7): no such file");
    ran.reports("cannot run codex at '/no/codex' (FILE:2:7): no such file");
    let home = record(&world, &[], "codex.home");
    assert!(home["problem"].as_str().unwrap().contains("no such file or directory"));
    // A Codex need not be installed.
    let mut world = configured("");
    world.set("PATH", "/nowhere");
    let ran = run(&world, &[]);
    ran.succeeds().reports_exactly("");
    ran.shows("\ncodex.binary\t\tbuilt-in\t\n");
    // The valid settings of a broken file are listed.
    let world = configured("runs.keep = '9d'\nui.color = 3\n[alias]\nx = 'ls'\n");
    let ran = run(&world, &[]);
    ran.exits(2);
    ran.shows("runs.keep\t9d\tfile\t").shows("alias.x\tls\tfile\tFILE:4:1\n");
    ran.reports("FILE:2:12: invalid value for 'ui.color'");
    run(&world, &["get", "runs.keep"]).prints("9d\n");
    run(&world, &["get", "alias.x"]).prints("ls\n");
    run(&world, &["get", "ui.color"]).exits(2);
}

#[test]
fn one_setting_is_printed_for_a_script() {
    let mut world = configured("runs.keep = '9d'\n[alias]\ntoday = ['ls', 'a b']\nsh = '!echo'\n");
    let get = |world: &World, key: &str| {
        let ran = run(world, &["get", key]);
        (ran.code, ran.out, ran.err)
    };
    assert_eq!(get(&world, "runs.keep"), (0, "9d\n".to_owned(), String::new()));
    assert_eq!(get(&world, "runs.max_concurrent").1, "3\n");
    assert_eq!(get(&world, "alias.today").1, "ls 'a b'\n");
    assert_eq!(get(&world, "alias.sh").1, "!echo\n");
    assert_eq!(json(&run(&world, &["get", "--json", "runs.keep"]).out)[0]["value"], "9d");
    assert_eq!(json(&run(&world, &["get", "--json", "alias.today"]).out)[0]["words"], value!(["ls", "a b"]));
    for (key, near) in [
        ("runs.kep", "did you mean 'runs.keep'?"),
        ("codex.hom", "did you mean 'codex.home'?"),
        ("alias.tody", "did you mean 'alias.today'?"),
        ("nonsense", "'codex-agent config list' lists the settings"),
        ("", "'codex-agent config list' lists the settings"),
    ] {
        let (code, out, err) = get(&world, key);
        assert_eq!((code, out.as_str()), (1, ""), "{key}");
        assert!(err.contains(&format!("there is no setting '{key}'")) && err.contains(near), "{err}");
    }
    world.set("PATH", "/nowhere");
    let (code, out, err) = get(&world, "codex.binary");
    assert!(
        (code, out.as_str()) == (1, "") && err.contains("there is no executable 'codex' on PATH"),
        "{err}"
    );
    run(&world, &["get"]).reports("the key of a setting is missing");
    run(&world, &["get", "a", "b"]).exits(2);
    run(&world, &["lst"]).reports("did you mean 'list'?");
}

#[test]
fn the_path_is_printed_with_and_without_a_file() {
    let mut world = World::new();
    run(&world, &["path"]).prints("FILE\n");
    assert_eq!(world.ok(&["codex-agent", "--config-home", "rel", "config", "path"]), {
        format!("{}\n", fs::canonicalize(world.path("")).unwrap().join("rel/config.toml").display())
    });
    assert_eq!(fs::read_dir(world.path("home")).unwrap().count(), 0, "nothing is made");
    world.set("HOME", "");
    let ran = run(&world, &["path"]);
    ran.exits(2).reports("HOME is not set");
}

#[test]
fn a_check_reports_every_problem() {
    let ran = run(&configured("runs.keep = '9d'\n[alias]\ntoday = 'ls'\n"), &["check"]);
    ran.succeeds().prints("").reports_exactly("");
    run(&World::new(), &["check"]).succeeds();
    let warned = "runs.kep = 1\n[alias]\nls = 'find'\na = 'b'\nb = 'a'\nno = 'nonsense'\n'A' = 'ls'\n";
    let ran = run(&configured(warned), &["check"]);
    ran.exits(1).reports_exactly("");
    let rows: Vec<Vec<&str>> = ran.out.lines().map(|row| row.split('\t').collect()).collect();
    let want = [
        ("1", "6", "unknown key 'runs.kep'; did you mean 'runs.keep'?"),
        ("3", "1", "alias 'ls' (FILE:3:1) is shadowed by "),
        ("4", "1", "alias 'a' refers to itself: a -> b -> a"),
        ("5", "1", "alias 'b' refers to itself: b -> a -> b"),
        ("6", "1", "alias 'no' refers to no tool: there is no tool 'nonsense'"),
        ("7", "1", "invalid alias name 'A'"),
    ];
    assert_eq!(rows.len(), want.len(), "{}", ran.out);
    for (row, (line, column, message)) in rows.iter().zip(want) {
        assert_eq!(row[..4], ["FILE", line, column, "warning"]);
        assert!(row[4].starts_with(message), "{row:?}");
    }
    let wrong = "codex.home = '/nowhere'\ncodex.binary = '/etc/passwd'\nruns.keep = 3\nx = 'a\ny = 1\n";
    let ran = run(&configured(wrong), &["check"]);
    ran.exits(2);
    for message in [
        "FILE\t1\t7\terror\tcannot open Codex's home '/nowhere': no such file or directory\n",
        "FILE\t2\t7\terror\tcannot run codex at '/etc/passwd': it is not an executable file\n",
        "FILE\t3\t13\terror\tinvalid value for 'runs.keep': expected a string, found a number\n",
        "FILE\t4\t",
    ] {
        ran.case(message).shows(message);
    }
    let records = json(&configured(wrong).run(&["codex-agent-config", "check", "--json"]).out);
    assert!(records.iter().all(|record| record["type"] == "config.problem"));
    let first = ["problem", "level", "line", "column"].map(|field| records[0][field].clone());
    assert_eq!(first, [value!("bad_value"), value!("error"), value!(1), value!(7)]);
    let words: Vec<&str> = records.iter().map(|record| record["problem"].as_str().unwrap()).collect();
    assert!(words.contains(&"wrong_type") && words.contains(&"syntax"), "{words:?}");
    let broken = configured("");
    fs::remove_file(broken.config("config.toml")).unwrap();
    symlink("/nowhere", broken.config("config.toml")).unwrap();
    let ran = run(&broken, &["check"]);
    ran.exits(2).prints("FILE\t\t\terror\tit is a symbolic link to a file that does not exist\n");
}

#[test]
fn a_terminal_gets_a_table_without_control_characters() {
    let world = configured("codex.home = \"/\\u001b[2J\"\n[alias]\nx = \"echo \\u001b[31m\\n\"\n");
    let shown = on_terminal(&world, &["codex-agent-config", "--color=never"], 90);
    assert!(!shown.contains("\x1b["), "{shown}");
    assert!(shown.contains("\\x1b[2J") && shown.contains("'\\x1b[31m"), "{shown}");
    assert!(
        shown.lines().any(|row| row.starts_with("config.folder") && row.contains("~/.config/codex-agent"))
    );
    assert!(shown.contains("built in") && shown.contains("config.toml:1:7"), "{shown}");
    let shown = on_terminal(&configured(""), &["codex-agent-config", "check"], 90);
    assert!(joined(&shown).contains("nothing is wrong with '"), "{shown}");
    for columns in [20, 40, 60] {
        let shown = on_terminal(&configured("runs.keep = '9d'\n"), &["codex-agent-config"], columns);
        assert!(shown.lines().count() >= KEYS.len(), "{shown}");
    }
}

#[test]
fn the_file_is_edited_and_checked() {
    let mut world = configured("runs.keep = '9d'\n");
    let editor = |world: &World, line: &str| {
        world.script("stubs/editor", &format!("#!/bin/sh\n{line}\n")).display().to_string()
    };
    let path = editor(&world, "echo \"ui.color = 'never'\" >> \"$1\"");
    world.set("EDITOR", "false").set("VISUAL", path);
    let ran = run(&world, &["edit"]);
    ran.succeeds().prints("").reports_exactly("");
    let text = || fs::read_to_string(world.config("config.toml")).unwrap();
    assert_eq!(text(), "runs.keep = '9d'\nui.color = 'never'\n");
    editor(&world, "echo nonsense >> \"$1\"");
    let ran = run(&world, &["edit"]);
    ran.exits(2);
    assert!(ran.out.starts_with("FILE\t3\t"), "{}", ran.out);
    editor(&world, "exit 1");
    let ran = run(&world, &["edit"]);
    ran.exits(2).reports("failed");
    assert!(text().ends_with("nonsense\n"));
}

#[test]
fn a_new_file_lists_every_setting() {
    let mut world = World::new();
    let copy = world.path("copy");
    let stub = "stat -c %a \"$1\" \"${1%/*}\"";
    let seen = world.script("stubs/editor", &format!("#!/bin/sh\ncp \"$1\" {}\n{stub}\n", copy.display()));
    world.set("VISUAL", format!("{} ", seen.display()));
    let ran = run(&world, &["edit"]);
    ran.succeeds().prints("600\n700\n").reports_exactly("");
    assert!(!world.config("").exists(), "what was not changed is not kept");
    let text = fs::read_to_string(&copy).unwrap();
    // Without its comment signs it is a valid file in which every setting is known and has an effect.
    let bare: String = text
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|line| line.contains(" = ") || line.starts_with('['))
                .unwrap_or(line)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    for setting in SETTINGS {
        let name = setting.key.split_once('.').unwrap().1;
        assert!(bare.contains(&format!("\n{name} = ")), "{name} is not in {bare}");
    }
    world.write("home/.config/codex-agent/config.toml", bare);
    let ran = run(&world, &["check"]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines.iter().all(|line| line.contains("/path/to/it") || line.contains(".codex'")), "{}", ran.out);
    world.set("VISUAL", "").set("EDITOR", " ");
    let ran = run(&world, &["edit"]);
    ran.exits(2).reports("set the variable VISUAL or EDITOR to an editor");
}

#[test]
fn the_manual_has_every_setting() {
    let world = World::new();
    let own = world.ok(&["codex-agent-config", "--generate", "man"]).replace('\\', "");
    let files = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man/codex-agent-files.5")).unwrap();
    let files = files.replace('\\', "");
    for setting in SETTINGS {
        for (page, text) in [("codex-agent-config(1)", &own), ("codex-agent-files(5)", &files)] {
            let names =
                setting.variables.iter().map(|(name, _)| *name).chain(setting.flag).chain([setting.key]);
            for name in names {
                assert!(text.contains(name), "{page} lacks {name}");
            }
        }
    }
}
