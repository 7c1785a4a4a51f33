//! Archiving, unarchiving and deleting, with the fake and with the real Codex.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::world::fake::{Fake, wait_until};
use crate::world::json as records;
use crate::world::ran;
use crate::world::real::{Real, VERSIONS, end};
use crate::world::terminal::{Terminal, joined};

/// The ids of the sessions that are listed.
fn listed(fake: &Fake, words: &[&str]) -> Vec<String> {
    let out = fake.good(&[&["ls", "--fields", "id"], words].concat());
    out.lines().map(str::to_owned).collect()
}

/// Runs a tool without standard input.
fn alone(fake: &Fake, words: &[&str]) -> ran::Ran {
    ran::finish(&mut fake.started(words))
}

fn types(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["type"].as_str().unwrap()).collect()
}

#[test]
fn sessions_are_archived_and_unarchived_and_each_result_is_reported() {
    let fake = Fake::newest();
    let (one, two, three) = (fake.begin("one"), fake.begin("two"), fake.begin("three"));
    let ran = fake.tool(&["archive", &one]);
    ran.succeeds()
        .prints("")
        .reports_exactly(format!("codex-agent-archive: archived: {}  one\n", &one[28..]));
    assert_eq!(listed(&fake, &[]), [three.as_str(), &two]);
    // Records on standard input, of which one is archived already and one is given twice.
    let all = fake.good(&["ls", "--archived", "--json"]);
    let ran = fake.feed(&["archive", "-", &two, "--json"], &all);
    ran.succeeds().reports("already archived").reports("2 sessions archived, 1 already archived");
    let events = records(&ran.out);
    assert_eq!(types(&events), ["session.archived"; 3]);
    for event in &events {
        let path = event["path"].as_str().unwrap();
        assert!(path.contains("/archived_sessions/") && fs::exists(path).unwrap(), "{event}");
        assert!(path.contains(event["session"].as_str().unwrap()), "{event}");
    }
    assert!(listed(&fake, &[]).is_empty());
    let archived = fake.good(&["ls", "--archived=only", "--json"]);
    assert_eq!(archived.lines().count(), 3);
    // All of it back, and once more.
    let ran = fake.feed(&["archive", "--undo", "--json"], &archived);
    ran.succeeds().reports("3 sessions unarchived");
    let events = records(&ran.out);
    assert_eq!(types(&events), ["session.unarchived"; 3]);
    assert!(events.iter().all(|event| fs::exists(event["path"].as_str().unwrap()).unwrap()), "{events:?}");
    assert_eq!(listed(&fake, &["--sort", "created"]).len(), 3);
    fake.tool(&["archive", "--undo", &one]).succeeds().reports("not archived: ");
    fake.check(3);
}

#[test]
fn a_dry_run_changes_nothing_and_prints_what_would_change() {
    let fake = Fake::newest();
    let (one, two) = (fake.begin("one"), fake.begin("two"));
    fake.good(&["archive", &one]);
    let before = fake.0.snapshot();
    let ran = fake.tool(&["archive", "--dry-run", &one, &two]);
    ran.succeeds().shows(&two).never_shows(format!("{one}\t")).reports("already archived");
    let ran = fake.tool(&["archive", "--dry-run", "--delete", &one, &two, "--json"]);
    assert_eq!(types(&records(&ran.out)), ["session"; 2]);
    assert_eq!(fake.0.snapshot(), before);
}

#[test]
fn a_session_that_codex_refuses_is_reported_and_the_others_are_archived() {
    let fake = Fake::newest();
    let (one, two) = (fake.begin("one"), fake.begin("two"));
    let mut busy = fake.start(&["resume", &one, "--prompt", "SLEEP30"]);
    fake.wait_for_sent(3);
    let ran = fake.tool(&["archive", &one, &two, "--json"]);
    ran.exits(1)
        .reports(format!("cannot archive session '{one}': thread {one} already has an active writer"));
    ran.reports(format!("process {}", fake.pid())).reports("1 session archived, 1 not archived");
    let events = records(&ran.out);
    assert_eq!(types(&events), ["session.refused", "session.archived"]);
    assert_eq!((&events[0]["session"], &events[0]["action"]), (&one.as_str().into(), &"archive".into()));
    assert!(events[0]["message"].as_str().unwrap().contains("active writer"), "{events:?}");
    fake.tool(&["archive", "--delete", "--yes", &one]).exits(1).reports("cannot delete session");
    assert_eq!(listed(&fake, &[]), [one.as_str()]);
    fake.good(&["run", "stop", "--now", fake.runs()[0].file_name().unwrap().to_str().unwrap()]);
    busy.wait().unwrap();
    fake.tool(&["archive", &one]).succeeds();
}

/// Versions without a lock would move the rollout away from its writer.
#[test]
fn an_open_session_of_an_old_codex_is_refused() {
    let fake = Fake::new("0.137.0");
    let one = fake.begin("one");
    let mut busy = fake.start(&["resume", &one, "--prompt", "SLEEP30"]);
    fake.wait_for_sent(2);
    let ran = fake.tool(&["archive", &one]);
    ran.exits(1).reports("a process has the session open").reports(format!("process {}", fake.pid()));
    assert_eq!(listed(&fake, &[]), [one.as_str()]);
    fake.good(&["run", "stop", "--now", fake.runs()[0].file_name().unwrap().to_str().unwrap()]);
    busy.wait().unwrap();
}

#[test]
fn a_reference_without_a_session_archives_nothing() {
    let fake = Fake::newest();
    let one = fake.begin("one");
    let before = fake.0.snapshot();
    let missing = "01a202e0-0000-7000-8000-000000000000";
    fake.tool(&["archive", &one, missing]).exits(1).reports("no session");
    fake.feed(&["archive"], format!("{one}\n{missing}\n")).exits(1).reports("nothing was archived");
    fake.feed(&["archive"], "").succeeds().reports("the input has no sessions; nothing was archived");
    fake.tool(&["archive", "--undo", "--delete", &one]).exits(2).reports("cannot be combined");
    assert_eq!(fake.0.snapshot(), before);
}

/// Filters alone select all sessions that match. Above `runs.confirm_above` the user is asked, or `--yes` is needed.
#[test]
fn filters_select_sessions_and_many_are_confirmed() {
    let fake = Fake::newest();
    let ids: Vec<String> = (0..3).map(|at| fake.begin(&format!("message-{at}"))).collect();
    fake.good(&["archive", &ids[0]]);
    // A pipe may have the sessions that are meant.
    let ran = fake.feed(&["archive", "--since", "1d"], "");
    ran.exits(2)
        .reports("--since ")
        .reports("cannot be combined with sessions on standard input; nothing was archived");
    // Nothing to do on most days is no error.
    let ran = alone(&fake, &["archive", "--until", "90d"]);
    ran.succeeds()
        .prints("")
        .reports("--until ")
        .reports("matches no session")
        .reports("nothing was archived");
    alone(&fake, &["archive", "--under", "no-such"]).succeeds().reports("is not a directory");
    let ran = alone(&fake, &["archive", "--since", "1d", "--dry-run", "--json"]);
    ran.succeeds().reports("selects 2 sessions");
    let found: Vec<Value> = records(&ran.out).iter().map(|session| session["id"].clone()).collect();
    assert_eq!(found, [ids[2].as_str(), &ids[1]]);
    fake.0.write("home/.config/codex-agent/config.toml", "runs.confirm_above = 1\n");
    let before = fake.0.snapshot();
    let ran = alone(&fake, &["archive", "--since", "1d"]);
    ran.exits(2)
        .reports("cannot archive 2 sessions without a confirmation")
        .reports("--yes archives the sessions");
    let ask = |words: &[&str], answer: &str| {
        let mut terminal = Terminal::open(fake.started(&[&["archive"], words].concat()), 100, 24);
        let question = joined(&terminal.until("[y/N] "));
        terminal.press(answer);
        let (shown, code) = terminal.end();
        (question, joined(&shown), code)
    };
    for answer in ["n\r", "\r", "\u{4}"] {
        let (question, shown, code) = ask(&["--since", "1d"], answer);
        assert!(question.contains("Archive 2 sessions?"), "{question}");
        assert!(question.contains("the oldest: ") && question.contains("message-1"), "{question}");
        assert!(question.contains("the newest: ") && question.contains("message-2"), "{question}");
        assert!(
            shown.contains("nothing was archived: the answer was not yes") && code == 1,
            "{shown} {code}"
        );
    }
    assert_eq!(fake.0.snapshot(), before);
    // No question for a single session, nor for references.
    fake.tool(&["archive", "--find", "message-1", "--since", "1d"]).succeeds().reports("archived: ");
    fake.tool(&["archive", &ids[1], &ids[2]]).succeeds().reports("1 session archived, 1 already archived");
    let (question, _, code) = ask(&["--undo", "--since", "1d"], "y\r");
    assert!(question.contains("Unarchive 3 sessions?") && code == 0, "{question} {code}");
    alone(&fake, &["archive", "--since", "1d", "--yes"]).succeeds().reports("3 sessions archived");
    // Archived sessions are deleted too.
    fake.tool(&["archive", "--undo", &ids[0]]).succeeds();
    let ran = alone(&fake, &["archive", "--delete", "--since", "1d"]);
    ran.exits(2).reports("cannot delete sessions without a confirmation");
    alone(&fake, &["archive", "--delete", "--since", "1d", "-y"]).succeeds().reports("3 sessions deleted");
    fake.check(0);
}

/// A session that a run or a queue still needs is archived only with `--yes`.
#[test]
fn sessions_with_pending_jobs_are_skipped() {
    let fake = Fake::newest();
    let mut ids: Vec<String> = (0..3).map(|at| fake.begin(&format!("message-{at}"))).collect();
    fake.good(&["queue", "create", "book", "--one-session"]);
    fake.good(&["queue", "add", "book", "-p", "first chapter"]);
    fake.good(&["queue", "run", "book"]);
    ids.insert(2, listed(&fake, &["-n", "1"]).remove(0));
    let job = |id: &str| format!("{{\"type\":\"job\",\"session\":\"{id}\",\"prompt\":\"go on {id}\"}}\n");
    // The first job of the run uses up the failures that it may have.
    let jobs = job(&ids[0]).replace("go on", "FAIL400") + &job(&ids[1]) + &job(&ids[1]);
    fake.feed(&["run", "--jobs", "-j1", "--max-failures", "1"], &jobs).exits(75);
    let run = fake.runs().pop().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    fake.good(&["queue", "add", "book", "-p", "next chapter"]);
    for words in [&["archive", "--since", "1d"][..], &["archive", &ids[1], &ids[2], &ids[3], &ids[0]]] {
        let ran = alone(&fake, &[words, &["--json", "--dry-run"]].concat());
        let left: Vec<Value> = records(&ran.out).iter().map(|session| session["id"].clone()).collect();
        assert!(left.contains(&ids[0].as_str().into()) && left.contains(&ids[3].as_str().into()), "{ran}");
        assert_eq!(left.len(), 2, "{ran}");
    }
    let ran = alone(&fake, &["archive", "--since", "1d", "--json"]);
    ran.exits(1).reports(format!("run '{run}' has 2 pending jobs of the session"));
    ran.reports("queue 'book' has 1 pending prompt for the session")
        .reports("2 sessions archived, 2 not archived");
    let mut events = types(&records(&ran.out)).iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
    events.sort();
    assert_eq!(events, ["session.archived", "session.archived", "session.refused", "session.refused"]);
    assert_eq!(listed(&fake, &[]), [ids[2].as_str(), &ids[1]]);
    fake.tool(&["archive", "--delete", &ids[1]]).exits(1).reports("cannot delete session");
    fake.tool(&["archive", "--yes", &ids[1], &ids[2]]).succeeds().reports("2 sessions archived");
    fake.tool(&["archive", "--undo", &ids[1], &ids[2]]).succeeds();
    // The session that a pending job forks is needed too.
    fake.tool(&["archive", "--undo", &ids[0], &ids[3]]).succeeds();
    let fork = job(&ids[3]).replace("\"type\":\"job\"", "\"type\":\"job\",\"kind\":\"fork\"");
    let failing = job(&ids[0]).replace("go on", "FAIL400 again");
    fake.feed(&["run", "--jobs", "-j1", "--max-failures", "1"], failing + &fork).exits(75);
    let ran = fake.tool(&["archive", "--dry-run", &ids[3]]);
    ran.exits(1).prints("").reports("has 1 pending job of the session");
    let forks = fake.runs().pop().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    fake.tool(&["run", "continue", &forks]).exits(1);
    fake.tool(&["archive", "--dry-run", &ids[3]]).succeeds();
    // A damaged file of queues is no reason to lose a session.
    let queues = fake.0.path("home/.config/codex-agent/queues.json");
    let text = fs::read_to_string(&queues).unwrap();
    fs::write(&queues, "{broken").unwrap();
    fake.tool(&["archive", &ids[3]]).exits(2).reports("nothing was archived").reports("--yes archives");
    fs::write(&queues, text).unwrap();
    // When the work is done, nothing is in the way.
    fake.tool(&["run", "continue", &run]).exits(1);
    fake.good(&["queue", "run", "book"]);
    fake.tool(&["archive", &ids[1], &ids[2]]).succeeds().reports("2 sessions archived");
}

#[test]
fn deleting_needs_a_confirmation() {
    let fake = Fake::newest();
    let (one, two) = (fake.begin("one"), fake.begin("two\u{1b}[31m"));
    let ran = fake.tool(&["archive", "--delete", &one]);
    ran.exits(2).reports("without a confirmation").reports("--yes deletes");
    fake.feed(&["archive", "--delete"], format!("{one}\n")).exits(2).reports("--yes deletes");
    let ask = |answer: &str, words: &[&str]| {
        let mut terminal = Terminal::open(fake.started(&[&["archive", "--delete"], words].concat()), 80, 24);
        let question = joined(&terminal.until("[y/N] "));
        terminal.press(answer);
        let (shown, code) = terminal.end();
        (question, joined(&shown), code)
    };
    let (question, shown, code) = ask("n\r", &[&one, &two]);
    assert!(question.contains("Delete these 2 sessions, their transcripts"), "{question}");
    assert!(question.contains("They cannot be restored.") && question.contains("two"), "{question}");
    assert!(question.contains("two\\x1b[31m"), "{question:?}");
    assert!(shown.contains("nothing was deleted") && code == 1, "{shown} {code}");
    // The end of the input is no confirmation.
    let (_, shown, code) = ask("\u{4}", &[&one]);
    assert!(shown.contains("nothing was deleted") && code == 1, "{shown} {code}");
    assert_eq!(listed(&fake, &[]).len(), 2);
    let (question, shown, code) = ask("yes\r", &[&one]);
    assert!(question.contains("Delete this session, its transcript"), "{question}");
    assert!(shown.contains("deleted: ") && code == 0, "{shown} {code}");
    let ran = fake.tool(&["archive", "--delete", "-y", &two, "--json"]);
    ran.succeeds();
    assert_eq!(types(&records(&ran.out)), ["session.deleted"]);
    fake.check(0);
}

/// Codex deletes no session in whose transcript a fork begins, so that forks are deleted first, whatever their order.
#[test]
fn forks_are_deleted_before_the_session_that_was_forked() {
    let fake = Fake::newest();
    let one = fake.begin("one");
    let fork = |of: &str| records(&fake.good(&["fork", of, "--json"]))[0]["id"].as_str().unwrap().to_owned();
    let two = fork(&one);
    let three = fork(&two);
    let ran = fake.tool(&["archive", "--delete", "--yes", &one]);
    ran.exits(1).reports("forked history still references it").reports(format!("ls --forks-of {one}"));
    let ran = fake.tool(&["archive", "--delete", "--yes", "--json", &one, &two, &three]);
    ran.succeeds().reports("3 sessions deleted");
    let order: Vec<Value> = records(&ran.out).iter().map(|record| record["session"].clone()).collect();
    assert_eq!(order, [three.as_str(), &two, &one]);
    fake.check(0);
}

#[test]
fn a_closed_pipe_stops_no_work() {
    let fake = Fake::newest();
    let ids: Vec<String> = (0..5).map(|at| fake.begin(&format!("message-{at}"))).collect();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = fake.started(&["archive", "--json"]);
    command.args(&ids).stdout(Stdio::from(writer)).stderr(Stdio::null());
    assert!(command.status().unwrap().success());
    assert_eq!(listed(&fake, &["--archived=only"]).len(), 5);
}

/// A server that ends in the middle: the error reports how far it came, and the rest can be archived later.
#[test]
fn a_server_that_dies_is_reported_with_what_was_done() {
    let fake = Fake::newest();
    let ids: Vec<String> = (0..4).map(|at| fake.begin(&format!("message-{at}"))).collect();
    let real = fake.0.path("bin/codex").display().to_string();
    // Four lines: initialize, initialized, and the requests for two sessions.
    let few = "for n in 1 2 3 4; do read -r line; printf '%s\\n' \"$line\"; done";
    let text =
        format!("#!/bin/sh\n[ \"$1\" = app-server ] || exec {real} \"$@\"\n{{ {few}; }} | {real} \"$@\"\n");
    let dying = fake.0.script("dying", &text);
    let mut command = fake.started(&["archive"]);
    let ran = ran::finish(command.args(&ids).env("CODEX_AGENT_CODEX", &dying));
    ran.exits(2)
        .reports("it ended without an answer")
        .reports("2 sessions were archived; 2 sessions were not");
    assert_eq!(listed(&fake, &["--archived=only"]).len(), 2);
    let ran = fake.tool(&[&["archive"], &ids.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    ran.succeeds().reports("2 sessions archived, 2 already archived");
}

#[test]
fn a_version_without_the_request_is_named() {
    let fake = Fake::new("0.137.0");
    let one = fake.begin("one");
    let ran = fake.tool(&["archive", "--delete", "--yes", &one]);
    ran.exits(2).reports("Codex 0.137.0 cannot delete sessions").reports("0.140");
    fake.tool(&["archive", &one]).succeeds();
    fake.tool(&["archive", "--undo", &one]).succeeds();
    fake.check(1);
}

#[test]
fn resuming_an_archived_session_names_the_command_that_unarchives_it() {
    let fake = Fake::newest();
    let one = fake.begin("one");
    fake.good(&["archive", &one]);
    let hint = format!("'codex-agent archive --undo {one}'");
    fake.tool(&["resume", &one, "--print"]).exits(2).reports("is archived").reports(&hint);
    fake.tool(&["resume", &one, "--prompt", "x"]).exits(1).shows(&hint);
    assert_eq!(fake.prompts(), ["one"]);
}

#[test]
fn the_real_codex_archives_unarchives_and_deletes() {
    for version in VERSIONS {
        if let Some(codex) = Real::with_version(version) {
            archives(&codex, version);
        }
    }
}

fn archives(codex: &Real, version: &str) {
    let ids: Vec<String> = (0..3).map(|at| codex.exec("alpha", &[&format!("message-{at}")])).collect();
    let run = |words: &[&str]| codex.world.run(&[&["codex-agent-archive", "--json"], words].concat());
    let states = || -> Vec<bool> {
        let all = codex.list(&["--archived"]);
        let find = |id: &String| all.iter().find(|session| session["id"] == **id).unwrap();
        ids.iter().map(|id| find(id)["archived_at"].is_string()).collect()
    };
    let ran = run(&[&ids[0], &ids[1]]);
    ran.case(version).succeeds();
    assert_eq!(types(&records(&ran.out)), ["session.archived"; 2], "{version}");
    assert_eq!(states(), [true, true, false], "{version}");
    let output =
        codex.command("alpha").args(["exec", "--skip-git-repo-check", "resume", &ids[0], "x"]).output();
    assert!(
        version.starts_with("0.106") || !output.unwrap().status.success(),
        "{version} resumes an archived session"
    );
    let ran = run(&["--undo", &ids[0], &ids[2]]);
    ran.case(version).succeeds().reports("not archived: ");
    assert_eq!(types(&records(&ran.out)), ["session.unarchived"; 2], "{version}");
    assert_eq!(states(), [false, true, false], "{version}");
    codex.exec("alpha", &["resume", &ids[0], "Still there"]);
    // A running turn: the real Codex and, before its locks, this tool refuse to archive the session.
    let (child, busy) = codex.exec_slowly("beta", "Wait SLEEP60");
    // 0.106 begins the turn before it creates the rollout.
    wait_until(|| codex.list(&[]).iter().any(|session| session["id"] == *busy));
    let ran = run(&[&busy, &ids[2]]);
    ran.case(version).exits(1).reports("cannot archive session");
    let events = records(&ran.out);
    assert_eq!(types(&events), ["session.refused", "session.archived"], "{version}");
    end(child);
    let ran = run(&["--delete", "--yes", &ids[0], &ids[1]]);
    if version != VERSIONS[0] {
        ran.case(version).exits(2).reports("cannot delete sessions").reports("0.140");
        return;
    }
    ran.succeeds();
    assert_eq!(types(&records(&ran.out)), ["session.deleted"; 2]);
    let left = codex.list(&["--archived"]);
    assert!(!left.iter().any(|session| session["id"] == *ids[0] || session["id"] == *ids[1]), "{left:?}");
    // What Codex refuses is in its own words.
    let fork = codex.world.run(&["codex-agent-fork", &ids[2], "--json"]);
    fork.exits(1);
    run(&["--undo", &ids[2]]).succeeds();
    codex.world.run(&["codex-agent-fork", &ids[2], "--json"]).succeeds();
    run(&["--delete", "--yes", &ids[2]]).exits(1).reports("forked history still references it");
}
