//! Finding by reference and by words.

use crate::world::{World, json};

const LOGIN: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";
const FORK: &str = "01a202e0-c928-7713-b151-bb42e03ce4e5";
const CHILD: &str = "01a202e0-c59a-76c0-bb17-358a76a0ac56";
const ARCHIVED: &str = "01a202e0-a882-7561-9efc-bb4191db6294";

fn found(world: &World, words: &[&str]) -> Vec<String> {
    let mut line = vec!["codex-agent-find", "--format", "{id}"];
    line.extend(words);
    let ran = world.run(&line);
    assert!(ran.code == 0 && ran.err.is_empty(), "{words:?}: {} {}", ran.code, ran.err);
    ran.out.lines().map(str::to_owned).collect()
}

#[test]
fn every_form_of_reference() {
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
            assert_eq!(found(&world, &[source, reference]), [want], "{source} {reference}");
        }
    }
    let path = json(&world.ok(&["codex-agent-ls", "--json", "--named"]))[0]["rollout_path"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(found(&world, &[&path]), [LOGIN]);
    assert_eq!(found(&world, &["cd6d1b0c", "@@", "login work"]), [LOGIN, FORK]);
}

#[test]
fn the_newest_of_this_directory() {
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
    assert!(ran.code == 1 && ran.err.starts_with("codex-agent-find: no session '@' of "), "{}", ran.err);
}

#[test]
fn a_part_of_an_id_may_fit_several() {
    let world = World::with_home("0.169.0");
    assert_eq!(found(&world, &["01a202e0"]).len(), 11);
    let ran = world.run(&["codex-agent-find", "--one", "01a202e0"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("it matches 11 sessions") && ran.err.contains("and 1 more"), "{}", ran.err);
    assert!(ran.err.contains(FORK), "{}", ran.err);
    assert_eq!(found(&world, &["--last", "01a202e0"]), [FORK]);
}

#[test]
fn words_are_all_wanted_anywhere_in_any_case() {
    let world = World::with_home("0.169.0");
    for source in ["--color=never", "--no-database"] {
        assert_eq!(found(&world, &[source, "AUTH.rs", "fix"]), [LOGIN], "{source}");
        assert_eq!(found(&world, &[source, "WORK", "alpha"]), [LOGIN], "{source}");
        assert_eq!(found(&world, &[source, "ŽLUŤOUČKÝ"]).len(), 1, "{source}");
        assert_eq!(found(&world, &[source, "notes"]), ["01a202e0-a01c-7360-aadc-a95de78b050e"], "{source}");
        assert_eq!(found(&world, &[source, "--archived", "archive"]), [ARCHIVED], "{source}");
        assert_eq!(found(&world, &[source, "--subagents", "look", "around"]), [CHILD], "{source}");
    }
    assert_eq!(found(&world, &["--last", "login"]), [FORK]);
    assert_eq!(found(&world, &["--words", "login work"]), [LOGIN]);
    for nothing in [
        &["fix", "xyzzy"][..],
        &["archive"],
        &["name:nobody"],
        &["id:ffffffff"],
        &["00000000-0000-7000-8000-000000000000"],
    ] {
        let mut line = vec!["codex-agent-find"];
        line.extend(nothing);
        let ran = world.run(&line);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{nothing:?}: {}", ran.err);
    }
}

#[test]
fn a_word_that_is_a_name_and_hex_of_another_is_ambiguous() {
    let world = World::with_home("0.169.0");
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    database.execute("UPDATE threads SET name = 'cd6d1b0c' WHERE id = ?1", [FORK]).unwrap();
    drop(database);
    let ran = world.run(&["codex-agent-find", "--one", "cd6d1b0c"]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(ran.err.contains(LOGIN) && ran.err.contains(FORK), "{}", ran.err);
    assert_eq!(found(&world, &["id:cd6d1b0c"]), [LOGIN]);
    assert_eq!(found(&world, &["name:cd6d1b0c"]), [FORK]);
    let ran = world.run(&["codex-agent-group", "add", "g", "cd6d1b0c"]);
    assert_eq!(ran.code, 2);
    assert!(!world.config("groups.json").exists());
}

#[test]
fn a_fork_has_its_parents_name_and_the_parent_is_meant() {
    let world = World::with_home("0.169.0");
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    database.execute("UPDATE threads SET name = 'login work' WHERE id = ?1", [FORK]).unwrap();
    drop(database);
    let ran = world.run(&["codex-agent-find", "--one", "login work", "--format", "{id}"]);
    assert_eq!((ran.code, ran.out.trim()), (0, LOGIN));
    assert!(ran.err.contains("a fork of it has the same name"), "{}", ran.err);
}

#[test]
fn standard_input_of_every_kind() {
    let world = World::with_home("0.169.0");
    let input = format!(
        "{LOGIN}\t2026\ta title\n\"{FORK}\"\n{{\"type\":\"session\",\"id\":\"{LOGIN}\",\"mine\":{{\"n\": 1.0e400}}}}\n\
         {{\"type\":\"group\",\"id\":\"x\",\"kept\":0.10}}\n{{\"type\":\"session\",\"id\":\"{ARCHIVED}\",\"big\":123456789012345678901234567890}}"
    );
    let ran = world.feed(&["codex-agent-find", "--json"], &input);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ran.out);
    assert!(
        lines[0].starts_with(&format!("{{\"type\":\"session\",\"id\":\"{LOGIN}\",\"name\":\"login work\""))
    );
    assert_eq!(lines[2], "{\"type\":\"group\",\"id\":\"x\",\"kept\":0.10}");
    assert!(
        lines[3].contains(ARCHIVED) && lines[3].ends_with(",\"big\":123456789012345678901234567890}"),
        "{}",
        lines[3]
    );
}

#[test]
fn words_narrow_the_sessions_of_a_pipe() {
    let world = World::with_home("0.169.0");
    let ran = world.sh("codex-agent-ls --json | codex-agent-find parser - --format '{short}'");
    assert_eq!((ran.code, ran.out.as_str()), (0, "a38a6c50\n"), "{}", ran.err);
    let ran = world.sh("codex-agent-ls | codex-agent-find - xyzzy");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    let ran = world.sh("codex-agent-ls | codex-agent-find - --last --format '{short}'");
    assert_eq!((ran.code, ran.out.as_str()), (0, "e03ce4e5\n"));
}

#[test]
fn a_bad_line_is_reported_and_the_others_continue() {
    let world = World::with_home("0.169.0");
    let input = format!("{{\"type\":\"session\"}}\n{{oops\nno such thing\n{LOGIN}\n");
    let ran = world.feed(&["codex-agent-find", "--format", "{short}"], input);
    assert_eq!((ran.code, ran.out.as_str()), (2, "cd6d1b0c\n"));
    for told in [
        "stdin:1: expected a session record: missing field 'id'",
        "stdin:2: column 2: key must be a string",
        "stdin:3: no session 'no such thing'",
    ] {
        assert!(ran.err.contains(told), "{}", ran.err);
    }
}

#[test]
fn a_rollout_elsewhere_is_refused() {
    let world = World::with_home("0.169.0");
    let name = format!("rollout-2026-11-22T10-50-00-{LOGIN}.jsonl");
    world.write(&name, "{}");
    let ran = world.run(&["codex-agent-find", &name]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("is not a file in Codex's home"), "{}", ran.err);
    let ran = world.run(&["codex-agent-find", "missing.jsonl"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
}

#[test]
fn a_session_that_is_not_found_sets_the_exit_status() {
    let world = World::with_home("0.169.0");
    let ran = world.run(&[
        "codex-agent-find",
        LOGIN,
        "00000000-0000-7000-8000-000000000000",
        "--format",
        "{short}",
    ]);
    assert_eq!((ran.code, ran.out.as_str()), (1, "cd6d1b0c\n"));
    assert!(ran.err.contains("no session '00000000-"), "{}", ran.err);
    assert_eq!(world.run(&["codex-agent-find", "--one", "--last", "login"]).code, 2);
}

#[test]
fn sessions_on_another_disk_are_in_the_home() {
    let world = World::with_home("0.169.0");
    std::fs::rename(world.codex_home().join("sessions"), world.path("disk")).unwrap();
    std::os::unix::fs::symlink(world.path("disk"), world.codex_home().join("sessions")).unwrap();
    let path = world.ok(&["codex-agent-ls", "--named", "--fields", "rollout_path"]);
    assert_eq!(found(&world, &[path.trim()]), [LOGIN]);
}

#[test]
fn records_of_other_types_may_have_any_id() {
    let world = World::with_home("0.169.0");
    for note in
        [r#"{"type":"note","id":7}"#, r#"{"id":{"a":null},"type":"note"}"#, r#"{"type":"note","id":null}"#]
    {
        let ran = world.sh(&format!("(echo '{note}'; codex-agent ls -n 1 --json) | codex-agent find --json"));
        assert_eq!((ran.code, ran.out.lines().next()), (0, Some(note)), "{}", ran.err);
        assert_eq!(ran.out.lines().count(), 2);
    }
    let ran = world.sh("echo '{\"type\":\"session\",\"id\":7}' | codex-agent find --json");
    assert!(
        ran.code == 2 && ran.err.contains("stdin:1: expected a session record: the id is not a string"),
        "{}",
        ran.err
    );
}

#[test]
fn nothing_is_not_everything() {
    let world = World::with_home("0.169.0");
    for words in [
        &["find", "-w", ""][..],
        &["find", ""],
        &["ls", "--cwd", ""],
        &["ls", "--under", ""],
        &["ls", "--branch", ""],
    ] {
        let ran = world.run(&[&["codex-agent"], words].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{words:?}: {}", ran.err);
    }
}

/// One wrong id among several makes words of them all, and is named.
#[test]
fn what_is_no_session_among_sessions_is_named() {
    let world = World::with_home("0.169.0");
    let ran = world.run(&["codex-agent-find", "cd6d1b0c", "cd6d1b0d"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert_eq!(
        ran.err,
        "codex-agent-find: 'cd6d1b0d' is no session, so that all operands were taken for words, and nothing has them\n"
    );
    // Of words alone nothing is to be said, and neither is it where they were asked for.
    for words in [&["cd6d1b0d", "xyzzy"][..], &["-w", "cd6d1b0c", "cd6d1b0d"], &["xyzzy"]] {
        let ran = world.run(&[&["codex-agent-find"], words].concat());
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (1, "", ""), "{words:?}");
    }
}
