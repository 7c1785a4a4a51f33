//! `config set` and `config unset`, which change one key of config.toml.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::world::{Ran, World, json};

const FILE: &str = "# mine\n\n[runs] # of runs\n# how long\nkeep = '30d'   # days\n\n# short names\n[alias]\ntoday = \"ls --since 1d\"\n";

fn config(world: &World, words: &[&str]) -> Ran {
    world.run(&[&["codex-agent-config"], words].concat())
}

fn text(world: &World) -> String {
    fs::read_to_string(world.config("config.toml")).unwrap()
}

fn configured(text: &str) -> World {
    let world = World::new();
    world.write("home/.config/codex-agent/config.toml", text);
    world
}

#[test]
fn one_value_changes_and_everything_else_stays() {
    let world = configured(FILE);
    config(&world, &["set", "runs.keep", "90d"]).succeeds().reports("set runs.keep to '90d' in");
    assert_eq!(text(&world), FILE.replace("'30d'", "\"90d\""));
    config(&world, &["set", "runs.max_concurrent", "5"]).succeeds();
    config(&world, &["get", "runs.max_concurrent"]).succeeds().prints("5\n");
    let ran = config(&world, &["set", "alias.mine", "ls --under '/my projects'", "--json"]);
    ran.succeeds();
    assert_eq!(json(&ran.out)[0]["name"], "mine", "{}", ran.out);
    world.run(&["codex-agent", "config", "get", "alias.mine"]).prints("ls --under '/my projects'\n");
    for key in ["runs.max_concurrent", "alias.mine"] {
        config(&world, &["unset", key]).succeeds();
        config(&world, &["unset", key]).exits(1).reports("does not set");
    }
    assert_eq!(text(&world), FILE.replace("'30d'", "\"90d\""));
    config(&world, &["unset", "runs.keep"]).succeeds();
    assert_eq!(text(&world), FILE.replace("keep = '30d'   # days\n", ""));
    config(&world, &["check"]).succeeds();
}

#[test]
fn comments_behind_the_last_key_stay_where_they_are() {
    let file = "[alias]\n# one\ntoday = 'ls --since 1d' # mine\n# these two are for later\n# week = 'ls'\n\n[runs]\nkeep = '30d'\n# the end\n";
    let world = configured(file);
    config(&world, &["unset", "alias.today"]).succeeds();
    let without = file.replace("today = 'ls --since 1d' # mine\n", "");
    assert_eq!(text(&world), without);
    config(&world, &["unset", "runs.keep"]).succeeds();
    assert_eq!(text(&world), without.replace("keep = '30d'\n", ""));
    config(&world, &["set", "alias.today", "ls"]).succeeds();
    config(&world, &["set", "runs.keep", "9d"]).succeeds();
    config(&world, &["set", "ui.color", "never"]).succeeds();
    let want = without.replace("[alias]\n", "[alias]\ntoday = \"ls\"\n");
    assert_eq!(text(&world), want.replace("'30d'", "\"9d\"") + "\n[ui]\ncolor = \"never\"\n");
}

#[test]
fn a_table_is_not_replaced_by_a_value() {
    for file in ["[runs.keep]\ndays = 3\n", "[runs]\nkeep = { days = 3 }\n", "[[runs.keep]]\ndays = 3\n"] {
        let world = configured(file);
        for words in [&["set", "runs.keep", "9d"][..], &["unset", "runs.keep"]] {
            let ran = config(&world, words);
            ran.case((file, words)).exits(2).reports("cannot change 'runs.keep' in '");
            ran.reports("'runs.keep' is a table, and not a value").reports("'codex-agent config edit' opens");
            assert_eq!(text(&world), file);
        }
    }
    let world = configured("alias = 'ls'\n");
    let ran = config(&world, &["set", "alias.today", "ls"]);
    ran.exits(2).reports("'alias' is not a table").reports("nothing was changed; 'codex-agent config edit'");
    assert_eq!(text(&world), "alias = 'ls'\n");
}

#[test]
fn a_new_file_is_private() {
    let world = World::new();
    config(&world, &["unset", "runs.keep"]).exits(1);
    assert!(!world.config("").exists(), "nothing is created for nothing");
    config(&world, &["set", "ui.color", "never"]).succeeds();
    assert_eq!(text(&world), "[ui]\ncolor = \"never\"\n");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(world.config("config.toml")), mode(world.config(""))), (0o600, 0o700));
}

#[test]
fn an_invalid_value_is_refused_as_when_the_file_is_read() {
    let world = configured(FILE);
    for (words, code, why) in [
        (&["runs.keep", "soon"][..], 2, "invalid value 'soon' for 'runs.keep': 'soon' is not a duration"),
        (&["runs.max_concurrent", "0"], 2, "it must be from 1 to 256"),
        (&["runs.max_concurrent", "x"], 2, "expected a number from 1 to 256"),
        (&["runs.confirm_above", "1000001"], 2, "it must be from 0 to 1000000"),
        (&["ui.color", "red"], 2, "expected auto or always or never, not 'red'"),
        (&["ui.color", ""], 2, "it is empty"),
        (&["codex.home", "here"], 2, "expected a path that begins with / or ~/"),
        (&["ui.colour", "never"], 1, "did you mean 'ui.color'?"),
        (&["state.folder", "/x"], 1, "config.toml has no setting 'state.folder'"),
        (&["keep", "9d"], 1, "config.toml has no setting 'keep'"),
        (&["alias.A B", "ls"], 2, "invalid alias name 'A B'"),
        (&["alias.x", "ls 'x"], 2, "invalid value"),
        (&["runs.keep"], 2, "'codex-agent config unset runs.keep' removes the setting"),
        (&["runs.keep=9d"], 2, "did you mean 'runs.keep 9d'?"),
        (&["alias.x", "ls", "here"], 2, "alias.x 'ls here'"),
        (&[], 2, "expected the operands KEY VALUE"),
    ] {
        let ran = config(&world, &[&["set"], words].concat());
        ran.case(words).exits(code).reports(why);
        assert_eq!(text(&world), FILE, "{words:?}");
    }
}

#[test]
fn a_file_that_cannot_be_parsed_is_never_overwritten() {
    for (bytes, why) in [
        (&b"[runs\n"[..], "config.toml:1:6: unclosed table"),
        (b"runs = 5\n", "'runs' is not a table"),
        (b"# \xff\n", "it is not UTF-8"),
        (b"a = 1\na = 2\n", "config.toml:2:1"),
    ] {
        let world = World::new();
        let path = world.write("home/.config/codex-agent/config.toml", bytes);
        let ran = config(&world, &["set", "runs.keep", "9d"]);
        ran.case(String::from_utf8_lossy(bytes)).exits(2).reports(why).reports("nothing was changed");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    // An invalid value of another key, or of this key, is no obstacle.
    let world = configured("[runs]\nkeep = 5\n[ui]\ncolor = 'red'\n");
    config(&world, &["set", "runs.keep", "9d"]).succeeds();
    assert_eq!(text(&world), "[runs]\nkeep = \"9d\"\n[ui]\ncolor = 'red'\n");
    config(&world, &["unset", "ui.color"]).succeeds();
    config(&world, &["check"]).succeeds();
}

#[test]
fn a_link_is_kept_and_its_target_changed() {
    let world = World::new();
    let target = world.write("dotfiles/agent.toml", FILE);
    fs::create_dir_all(world.config("")).unwrap();
    symlink(&target, world.config("config.toml")).unwrap();
    config(&world, &["set", "runs.keep", "90d"]).succeeds();
    assert!(world.config("config.toml").is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), FILE.replace("'30d'", "\"90d\""));
    fs::remove_file(&target).unwrap();
    config(&world, &["set", "runs.keep", "9d"]).exits(2).reports("a file that does not exist");
    assert!(!target.exists());
}

#[test]
fn concurrent_changes_are_all_saved() {
    let world = configured(FILE);
    let names: Vec<String> = (0..24).map(|n| format!("alias.a{n}")).collect();
    let start =
        |name: &String| world.command("codex-agent-config").args(["set", name, "ls"]).spawn().unwrap();
    let mut all: Vec<_> = names.iter().map(start).collect();
    assert!(all.iter_mut().all(|one| one.wait().unwrap().success()));
    for name in &names {
        config(&world, &["get", name]).case(name).succeeds().prints("ls\n");
    }
    assert!(text(&world).starts_with(&FILE[..FILE.len() - 1]), "{}", text(&world));
    let left: Vec<_> =
        fs::read_dir(world.config("")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn what_overrides_a_setting_is_reported() {
    let mut world = configured("");
    world.set("NO_COLOR", "1");
    config(&world, &["set", "ui.color", "always"])
        .succeeds()
        .reports("the variable NO_COLOR overrides the setting");
    config(&world, &["set", "alias.ls", "ls -n 3"]).succeeds().reports("is shadowed by");
    config(&world, &["set", "codex.home", "/no/such/home"]).succeeds().reports("cannot open Codex's home");
}
