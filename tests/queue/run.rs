//! Running a queue: the order of prompts, failures, sessions, projects.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::queue::{queue, queue_record, write_queues};
use crate::world::fake::{Fake, end, failures, wait_until};
use crate::world::ran;

#[test]
fn the_prompts_of_one_session_stop_at_a_failure() {
    let fake = Fake::newest();
    fake.good(&[
        "queue",
        "add",
        "q",
        "--one-session",
        "-p",
        "one",
        "-p",
        "two",
        "-p",
        "FAIL400",
        "-p",
        "four",
    ]);
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.exits(75);
    let sent = fake.sent();
    assert_eq!(fake.prompts(), ["one", "two", "FAIL400"]);
    assert!(sent.iter().all(|line| line["session"] == sent[0]["session"]));
    assert_eq!(sent[1]["history"], json!(["one"]));
    assert_eq!(fake.each("q", "status"), ["completed", "completed", "failed", "pending"]);
    // The next run continues, in the same session.
    fake.tool(&["queue", "run", "q"]).case("one of them has failed").exits(1);
    let last = fake.sent().pop().unwrap();
    assert_eq!((&last["prompt"], &last["session"]), (&json!("four"), &sent[0]["session"]));
    let session = &fake.queues()["queues"][0]["sessionId"];
    assert_eq!(session, &sent[0]["session"]);
}

#[test]
fn a_failure_stops_the_queue_only_at_max_failures() {
    let fake = Fake::newest();
    queue(&fake, "q", &["one", "FAIL400", "EXITS", "four"]);
    let (ran, events) = fake.events(&["queue", "run", "q"]);
    ran.exits(1);
    assert_eq!(failures(&events), ["refused", "crashed"]);
    assert_eq!(fake.prompts(), ["one", "FAIL400", "four"]);
    assert_eq!(fake.shown("q")[2]["exit_code"], 3);
    let ran = fake.tool(&["queue", "retry", "q", "--failed"]);
    ran.reports("requeued 2 prompts of 'q'");
    let ran = fake.tool(&["queue", "run", "q", "--max-failures", "1"]);
    ran.exits(75);
    assert_eq!(fake.prompts().len(), 4, "{}", ran.err);
    assert_eq!(fake.each("q", "status"), ["completed", "failed", "pending", "completed"]);
}

#[test]
fn a_codex_that_never_begins_stops_the_queue() {
    let fake = Fake::newest();
    queue(&fake, "q", &["one", "two", "three", "four", "five"]);
    let broken = fake.0.script("bin/broken", "#!/bin/sh\necho 'Error loading config.toml: no' >&2\nexit 1\n");
    let ran = fake.tool(&["queue", "run", "q", "--codex", broken.to_str().unwrap()]);
    ran.exits(75).reports("stopped (config), 5 jobs left");
    assert_eq!(fake.each("q", "status"), ["pending"; 5]);
    // Single ones in between are failures as any other.
    let fake = Fake::newest();
    queue(&fake, "q", &["EXITS", "EXITS", "fine", "EXITS", "EXITS", "fine"]);
    fake.tool(&["queue", "run", "q"]).exits(1);
    assert_eq!(fake.prompts().len(), 2);
}

#[test]
fn a_prompt_that_waits_for_its_session_is_sent_when_it_is_free() {
    let fake = Fake::newest();
    let big = "long ".repeat(100_000);
    fake.good(&["queue", "add", "q", "--one-session", "one"]);
    fake.good(&["queue", "run", "q"]);
    let session = fake.each("q", "session").remove(0);
    let mut other = fake.start(&["resume", &session, "--prompt", "SLEEP6"]);
    fake.wait_for_sent(2);
    fake.feed(&["queue", "add", "q", "-"], &big).succeeds();
    let mut runner = fake.start(&["queue", "run", "q"]);
    let withdrawn = |fake: &Fake| {
        // The newest may have none yet.
        let directory = fake.runs().pop().unwrap_or_default();
        let journal = fs::read_to_string(directory.join("journal.ndjson")).unwrap_or_default();
        (journal.matches("\"withdrawn\":true").count(), journal.len())
    };
    wait_until(|| withdrawn(&fake).0 == 1);
    // The runner looks for the session again and again, and records nothing.
    let (_, before) = withdrawn(&fake);
    std::thread::sleep(Duration::from_millis(2500));
    fake.good(&["queue", "edit", "q", "2", "--prompt", "short"]);
    assert_eq!((withdrawn(&fake), fake.prompts().len()), ((1, before), 2));
    assert_eq!((end(&mut other), end(&mut runner)), (0, 0));
    assert_eq!(fake.prompts().last().unwrap(), "short");
    assert_eq!(fake.each("q", "status"), ["completed", "completed"]);
}

#[test]
fn a_queue_is_run_by_its_id_even_if_another_has_that_name() {
    let fake = Fake::newest();
    let one = queue_record(&fake, "first", "a", json!([{"id": "1", "prompt": "of a"}]));
    let two = queue_record(&fake, "second", "first", json!([{"id": "1", "prompt": "of first"}]));
    let three = queue_record(&fake, "first", "c", json!([{"id": "1", "prompt": "of c"}]));
    write_queues(&fake, json!([one, two, three]));
    fake.good(&["queue", "run", "a"]);
    assert_eq!(fake.prompts(), ["of a"]);
    fake.good(&["queue", "run", "c"]);
    assert_eq!(fake.prompts(), ["of a", "of c"]);
    assert_eq!(fake.each("first", "status"), ["pending"]);
}

#[test]
fn a_queue_of_one_session_refuses_other_sessions() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--one-session", "-p", "one", "-p", "two"]);
    for how in ["fork", "skip"] {
        let ran = fake.tool(&["queue", "run", "q", &format!("--on-busy={how}")]);
        let want = format!("invalid value '{how}' for '--on-busy'");
        ran.exits(2).reports(&want);
    }
    assert!(fake.sent().is_empty());
    fake.tool(&["queue", "run", "q", "--on-busy=fail"]).succeeds();
}

#[test]
fn the_counts_of_an_event_include_it() {
    let fake = Fake::newest();
    queue(&fake, "q", &["one", "FAIL400", "three"]);
    let (_, events) = fake.events(&["queue", "run", "q"]);
    let counts = |event: &Value| {
        ["pending", "running", "completed", "failed"].map(|name| event["counts"][name].as_i64().unwrap())
    };
    let ends = ["job.started", "job.completed", "job.failed"];
    let told: Vec<[i64; 4]> =
        events.iter().filter(|event| ends.contains(&event["type"].as_str().unwrap())).map(counts).collect();
    let want = [[2, 1, 0, 0], [2, 0, 1, 0], [1, 1, 1, 0], [1, 0, 1, 1], [0, 1, 1, 1], [0, 0, 2, 1]];
    assert_eq!(told, want);
}

#[test]
fn a_queue_has_one_runner_in_all_state_directories() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "-p", "SLEEP2 1", "-p", "2"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    let other = fake.0.path("other").display().to_string();
    let mut second = fake.started(&["queue", "run", "q"]);
    ran::finish(second.env("CODEX_AGENT_STATE_HOME", other)).exits(2);
    assert_eq!(end(&mut runner), 0);
    assert_eq!(fake.prompts(), ["SLEEP2 1", "2"]);
}

#[test]
fn a_queue_without_prompts_to_send_waits_for_no_limit() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "LIMIT600"]);
    for change in [&["queue", "pause", "q"][..], &["queue", "remove", "q", "1"]] {
        let mut runner = fake.start(&["queue", "run", "q", "--on-limit=wait"]);
        wait_until(|| fake.journal().iter().any(|line| line["type"] == "run.waiting"));
        fake.good(change);
        assert_eq!(end(&mut runner), if change[1] == "pause" { 75 } else { 0 }, "{change:?}");
        fake.tool(&["queue", "unpause", "q"]);
    }
}

#[test]
fn a_queue_with_a_missing_project_keeps_its_prompts() {
    let fake = Fake::newest();
    fs::create_dir(fake.0.path("work/project")).unwrap();
    fake.good(&["queue", "add", "q", "--project", "project", "-p", "one", "-p", "two"]);
    fs::remove_dir(fake.0.path("work/project")).unwrap();
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.exits(2).reports("the project of queue 'q'");
    assert_eq!(fake.each("q", "status"), ["pending", "pending"]);
    fs::create_dir(fake.0.path("work/project")).unwrap();
    fake.tool(&["queue", "run", "q"]).succeeds();
    assert_eq!(fake.prompts(), ["one", "two"]);
}
