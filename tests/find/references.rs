//! Finding sessions by reference.

use crate::world::{World, json};

pub const LOGIN: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";

pub const FORK: &str = "01a202e0-c928-7713-b151-bb42e03ce4e5";

pub const CHILD: &str = "01a202e0-c59a-76c0-bb17-358a76a0ac56";

pub const ARCHIVED: &str = "01a202e0-a882-7561-9efc-bb4191db6294";

pub fn found_ids(world: &World, words: &[&str]) -> Vec<String> {
    let mut line = vec!["codex-agent-find", "--format", "{id}"];
    line.extend(words);
    let ran = world.run(&line);
    ran.succeeds().reports_exactly("");
    ran.out.lines().map(str::to_owned).collect()
}

#[test]
fn every_form_of_reference_finds_its_session() {
    let world = World::with_home("0.169.0");
    for source in ["--color=never", "--no-database"] {
        for (reference, want) in [
            (LOGIN, LOGIN),
            (&LOGIN.to_uppercase(), LOGIN),
            ("cd6d1b0c", LOGIN),
            ("CD6D-1b0c", LOGIN),
            ("id:cd6d1b0c", LOGIN),
            ("1b0c", LOGIN),
            ("cd6d", LOGIN),
            ("01a202e0-8d", LOGIN),
            ("login work", LOGIN),
            ("name:login work", LOGIN),
            ("@@", FORK),
            // Hidden ones are meant where nothing visible is.
            (CHILD, CHILD),
            ("76a0ac56", CHILD),
            ("91db6294", ARCHIVED),
        ] {
            assert_eq!(found_ids(&world, &[source, reference]), [want], "{source} {reference}");
        }
    }
    let path = json(&world.ok(&["codex-agent-ls", "--json", "--named"]))[0]["rollout_path"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(found_ids(&world, &[&path]), [LOGIN]);
    assert_eq!(found_ids(&world, &["cd6d1b0c", "@@", "login work"]), [LOGIN, FORK]);
}

#[test]
fn at_finds_the_newest_session_of_the_directory() {
    let world = World::with_home("0.169.0");
    std::fs::create_dir(world.path("project")).unwrap();
    let here = std::fs::canonicalize(world.path("project")).unwrap();
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    database
        .execute("UPDATE threads SET cwd = ?1 WHERE cwd LIKE '%/beta'", [here.to_str().unwrap()])
        .unwrap();
    drop(database);
    let at = |reference: &str| {
        let mut command = world.command("codex-agent-find");
        let output = command.current_dir(&here).args(["--format", "{short}", reference]).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    assert_eq!(at("@"), ("a7c92fd5\n".into(), Some(0)));
    assert_eq!(at("@1"), ("a7c92fd5\n".into(), Some(0)));
    assert_eq!(at("@4"), ("a9b95443\n".into(), Some(0)));
    assert_eq!(at("@5"), (String::new(), Some(1)));
    let ran = world.run(&["codex-agent-find", "@"]);
    ran.exits(1);
    assert!(ran.err.starts_with("codex-agent-find: no session '@' of "), "{}", ran.err);
    assert!(ran.err.contains("\n  '@@' is the newest session of all directories\n"), "{}", ran.err);
}

#[test]
fn a_part_of_several_ids_is_ambiguous() {
    let world = World::with_home("0.169.0");
    assert_eq!(found_ids(&world, &["01a202e0"]).len(), 11);
    let ran = world.run(&["codex-agent-find", "--one", "01a202e0"]);
    ran.exits(2).prints("");
    ran.reports("it matches 11 sessions").reports("and 1 more");
    ran.reports(FORK);
    assert_eq!(found_ids(&world, &["--last", "01a202e0"]), [FORK]);
}

#[test]
fn a_word_that_is_a_name_and_hex_of_another_is_ambiguous() {
    let world = World::with_home("0.169.0");
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    database.execute("UPDATE threads SET name = 'cd6d1b0c' WHERE id = ?1", [FORK]).unwrap();
    drop(database);
    let ran = world.run(&["codex-agent-find", "--one", "cd6d1b0c"]);
    ran.exits(2);
    ran.reports(LOGIN).reports(FORK);
    assert_eq!(found_ids(&world, &["id:cd6d1b0c"]), [LOGIN]);
    assert_eq!(found_ids(&world, &["name:cd6d1b0c"]), [FORK]);
    let ran = world.run(&["codex-agent-group", "add", "g", "cd6d1b0c"]);
    ran.exits(2);
    assert!(!world.config("groups.json").exists());
}

#[test]
fn a_name_that_a_fork_shares_means_the_parent() {
    let world = World::with_home("0.169.0");
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    database.execute("UPDATE threads SET name = 'login work' WHERE id = ?1", [FORK]).unwrap();
    drop(database);
    let ran = world.run(&["codex-agent-find", "--one", "login work", "--format", "{id}"]);
    ran.succeeds();
    assert_eq!(ran.out.trim(), LOGIN);
    ran.reports("a fork of it has the same name");
}

#[test]
fn a_rollout_outside_the_home_is_refused() {
    let world = World::with_home("0.169.0");
    let name = format!("rollout-2026-11-22T10-50-00-{LOGIN}.jsonl");
    world.write(&name, "{}");
    let ran = world.run(&["codex-agent-find", &name]);
    ran.exits(2);
    ran.reports("is not a file in Codex's home");
    let ran = world.run(&["codex-agent-find", "missing.jsonl"]);
    ran.exits(1);
}

#[test]
fn sessions_on_another_disk_belong_to_the_home() {
    let world = World::with_home("0.169.0");
    std::fs::rename(world.codex_home().join("sessions"), world.path("disk")).unwrap();
    std::os::unix::fs::symlink(world.path("disk"), world.codex_home().join("sessions")).unwrap();
    let path = world.ok(&["codex-agent-ls", "--named", "--fields", "rollout_path"]);
    assert_eq!(found_ids(&world, &[path.trim()]), [LOGIN]);
}
