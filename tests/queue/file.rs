//! The file of the queues: of the predecessor, damaged, read-only, of a later release.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::queue::{queue, queue_record, write_queues};
use crate::world::fake::{Fake, end, of_type, wait_until};

#[test]
fn a_file_that_is_read_only_for_a_while_repeats_no_prompt() {
    let fake = Fake::newest();
    let wait = "SHELL{while [ ! -e go ]; do sleep 0.02; done}";
    queue(&fake, "q", &["one", wait, "three", "four", "five", "six"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(2);
    wait_until(|| fake.queues()["queues"][0]["prompts"][0]["status"] == "completed");
    fake.good(&["queue", "remove", "q", "3", "4", "5", "6"]);
    fake.good(&["queue", "remove", "q", "1"]);
    // The file is read-only from now on, and the runner has not read the change yet.
    let path = fake.0.config("queues.json");
    let mut mode = fs::metadata(&path).unwrap().permissions();
    mode.set_readonly(true);
    fs::set_permissions(&path, mode.clone()).unwrap();
    fs::write(fake.0.path("work/go"), "").unwrap();
    let code = end(&mut runner);
    assert!(code == 0 || code == 2, "{code}");
    assert_eq!(fake.prompts(), ["one", wait]);
    #[allow(clippy::permissions_set_readonly_false)] // It is this user's alone.
    mode.set_readonly(false);
    fs::set_permissions(&path, mode).unwrap();
    assert_eq!(fake.each("q", "status"), ["completed"]);
}

#[test]
fn the_run_of_a_missing_queue_is_not_continued_and_is_pruned() {
    let fake = Fake::newest();
    queue(&fake, "q", &["FAIL401", "two"]);
    fake.tool(&["queue", "run", "q"]).exits(75);
    // The file as an editor may leave it, or a kill during a deletion.
    fake.0.write("home/.config/codex-agent/queues.json", "{\"queues\":[]}");
    let ran = fake.tool(&["run", "continue"]);
    ran.succeeds().reports("there is no unfinished run");
    assert_eq!(fake.runs().len(), 1);
    // A run of the current second is not older than zero seconds.
    wait_until(|| {
        fake.good(&["run", "prune", "--older", "0s"]);
        fake.runs().is_empty()
    });
}

#[test]
fn prompts_of_one_id_are_each_sent_once() {
    let fake = Fake::newest();
    let prompts = json!([
        {"id": "x", "prompt": "a"}, {"id": "x", "prompt": "b"}, {"id": "y", "prompt": "c", "retries": 1},
        {"id": "y.1", "prompt": "d"}, {"id": "x-2", "prompt": "e"},
    ]);
    write_queues(&fake, json!([queue_record(&fake, "q", "q", prompts)]));
    let (ran, events) = fake.events(&["queue", "run", "q"]);
    ran.succeeds();
    assert_eq!(fake.prompts(), ["a", "b", "c", "d", "e"]);
    assert_eq!(of_type(&events, "job.completed").len(), 5);
    assert_eq!(fake.each("q", "status"), ["completed"; 5]);
    let ids = fake.each("q", "id");
    assert!((1..5).all(|at| !ids[..at].contains(&ids[at])), "{ids:?}");
}

#[test]
fn a_failure_class_of_a_later_release_is_read() {
    let fake = Fake::newest();
    let failure = json!({"class": "melted", "message": "m"});
    let prompts = json!([{"id": "1", "prompt": "a", "status": "failed", "failure": failure}, {"id": "2", "prompt": "b"}]);
    write_queues(&fake, json!([queue_record(&fake, "q", "q", prompts)]));
    assert_eq!(fake.shown("q")[0]["failure"]["class"], "other");
    fake.good(&["queue", "run", "q"]);
    assert_eq!(fake.prompts(), ["b"]);
}

const FILE: &str = "home/.config/codex-agent/queues.json";

/// A file as the predecessor wrote it, with one queue of these prompts.
fn old_file(fake: &Fake, prompts: &[Value]) -> PathBuf {
    let project = fs::canonicalize(fake.0.path("work")).unwrap();
    let queue = json!({
        "id": "11111111-0000-4000-8000-000000000000", "name": "old", "projectPath": project, "prompts": prompts,
        "createdAt": "2026-01-01T00:00:00.000Z",
    });
    fake.0.write(FILE, format!("{:#}\n", json!({ "queues": [queue] })))
}

fn old_prompt(n: u32, status: &str) -> Value {
    json!({
        "id": format!("22222222-0000-4000-8000-00000000000{n}"), "prompt": format!("prompt {n}"),
        "status": status, "mode": "auto", "addedAt": "2026-01-01T00:00:00.000Z",
    })
}

#[test]
fn a_file_of_the_predecessor_is_used_and_kept() {
    let fake = Fake::newest();
    let path =
        old_file(&fake, &[old_prompt(1, "completed"), old_prompt(2, "pending"), old_prompt(3, "failed")]);
    let text = fs::read_to_string(&path).unwrap();
    let extra = r#""color": {"r": 1.50, "big": 123456789012345678901234567890},"#;
    fs::write(&path, text.replacen("\"createdAt\"", &format!("{extra} \"createdAt\""), 1)).unwrap();
    assert_eq!(fake.each("old", "status"), ["completed", "pending", "failed"]);
    fake.good(&["queue", "run", "old"]);
    assert_eq!(fake.prompts(), ["prompt 2"]);
    fake.good(&["queue", "add", "old", "-p", "more"]);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(r#"{"r": 1.50, "big": 123456789012345678901234567890}"#), "{text}");
    let prompt = &fake.queues()["queues"][0]["prompts"][1];
    assert_eq!((&prompt["status"], &prompt["result"]["exitCode"]), (&json!("completed"), &json!(0)));
}

#[test]
fn a_prompt_that_the_predecessor_left_running_is_failed() {
    let fake = Fake::newest();
    old_file(&fake, &[old_prompt(1, "running"), old_prompt(2, "pending")]);
    assert_eq!(fake.each("old", "status"), ["failed", "pending"]);
    assert_eq!(fake.shown("old")[0]["failure"]["class"], "interrupted");
    fake.good(&["queue", "run", "old"]);
    assert_eq!(fake.prompts(), ["prompt 2"]);
    assert_eq!(fake.queues()["queues"][0]["prompts"][0]["status"], "failed");
    fake.good(&["queue", "retry", "old", "1"]);
    fake.good(&["queue", "run", "old"]);
    assert_eq!(fake.prompts(), ["prompt 2", "prompt 1"]);
}

#[test]
fn a_damaged_file_is_named_and_never_written() {
    let fake = Fake::newest();
    let whole = fs::read_to_string(old_file(&fake, &[old_prompt(1, "pending")])).unwrap();
    for text in ["", "{", &whole[..whole.len() / 2], "[]", "{}", r#"{"queues":[{"name":"x"}]}"#] {
        let path = fake.0.write(FILE, text);
        for words in [
            &["list"][..],
            &["show", "old"],
            &["add", "old", "x"],
            &["add", "new", "x"],
            &["create", "new"],
            &["edit", "old", "1", "x"],
            &["delete", "old"],
            &["pause", "old"],
            &["run", "old"],
        ] {
            let ran = fake.tool(&[&["queue"], words].concat());
            ran.case(text).exits(2).reports("queues.json");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    assert!(fake.sent().is_empty());
}
