//! Standard input of `find`: every kind of it, invalid lines, and the exit status.

use crate::find::references::{ARCHIVED, FORK, LOGIN};
use crate::world::World;

#[test]
fn every_kind_of_standard_input_is_read() {
    let world = World::with_home("0.169.0");
    let input = format!(
        "{LOGIN}\t2026\ta title\n\"{FORK}\"\n{{\"type\":\"session\",\"id\":\"{LOGIN}\",\"mine\":{{\"n\": 1.0e400}}}}\n\
         {{\"type\":\"group\",\"id\":\"x\",\"kept\":0.10}}\n{{\"type\":\"session\",\"id\":\"{ARCHIVED}\",\"big\":123456789012345678901234567890}}"
    );
    let ran = world.feed(&["codex-agent-find", "--json"], &input);
    ran.succeeds().reports_exactly("");
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
fn an_invalid_line_is_reported_and_the_others_continue() {
    let world = World::with_home("0.169.0");
    let input = format!("{{\"type\":\"session\"}}\n{{oops\nno such thing\n{LOGIN}\n");
    let ran = world.feed(&["codex-agent-find", "--format", "{short}"], input);
    ran.exits(2).prints("cd6d1b0c\n");
    for told in [
        "stdin:1: expected a session record: missing field 'id'",
        "stdin:2: column 2: key must be a string",
        "stdin:3: no session 'no such thing'",
    ] {
        ran.reports(told);
    }
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
    ran.exits(1).prints("cd6d1b0c\n");
    ran.reports("no session '00000000-");
    world.run(&["codex-agent-find", "--one", "--last", "login"]).exits(2);
}

#[test]
fn records_of_other_types_may_have_any_id() {
    let world = World::with_home("0.169.0");
    for note in
        [r#"{"type":"note","id":7}"#, r#"{"id":{"a":null},"type":"note"}"#, r#"{"type":"note","id":null}"#]
    {
        let ran = world.sh(&format!("(echo '{note}'; codex-agent ls -n 1 --json) | codex-agent find --json"));
        ran.succeeds();
        assert_eq!(ran.out.lines().next(), Some(note), "{}", ran.err);
        assert_eq!(ran.out.lines().count(), 2);
    }
    let ran = world.sh("echo '{\"type\":\"session\",\"id\":7}' | codex-agent find --json");
    ran.exits(2).reports("stdin:1: expected a session record: the id is not a string");
}

#[test]
fn an_empty_reference_finds_nothing() {
    let world = World::with_home("0.169.0");
    for words in [
        &["find", "-w", ""][..],
        &["find", ""],
        &["ls", "--cwd", ""],
        &["ls", "--under", ""],
        &["ls", "--branch", ""],
    ] {
        let ran = world.run(&[&["codex-agent"], words].concat());
        ran.exits(2).prints("");
    }
}

/// A wrong id among several turns all of them into words, and is named.
#[test]
fn an_operand_that_is_no_session_is_named() {
    let world = World::with_home("0.169.0");
    let ran = world.run(&["codex-agent-find", "cd6d1b0c", "cd6d1b0d"]);
    ran.exits(1).prints("");
    ran.reports_exactly("codex-agent-find: no session matches 'cd6d1b0d', so all operands were searched for as words; no session has all of these words\n");
    // Words alone are reported nowhere, nor are requested words.
    for words in [&["cd6d1b0d", "xyzzy"][..], &["-w", "cd6d1b0c", "cd6d1b0d"], &["xyzzy"]] {
        let ran = world.run(&[&["codex-agent-find"], words].concat());
        ran.exits(1).prints("").reports_exactly("");
    }
}
