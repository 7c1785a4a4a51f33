//! The verbs of a queue: each changes the file as documented, and wrong usage changes nothing.

use std::fs;

use serde_json::{Value, json};

use crate::queue::{queue, queue_record, write_queues};
use crate::world::fake::{Fake, end, of_type, wait_until};

#[test]
fn wrong_usage_gets_a_hint() {
    let fake = Fake::newest();
    let ran = fake.tool(&["queue", "show", "q"]);
    ran.exits(1).reports("no queue 'q'");
    assert_eq!(fake.good(&["queue", "list"]), "");
    assert!(!fake.0.config("queues.json").exists(), "looking makes nothing");
    queue(&fake, "chores", &["one", "two"]);
    let all: [(&[&str], i32, &str); 28] = [
        (&["show"], 2, "the name of a queue is missing"),
        (&["show", "chore"], 1, "did you mean 'chores'?"),
        (&["show", "else"], 1, "'codex-agent queue list' lists the queues"),
        (&["show", "chores", "x"], 2, "unexpected operand 'x'"),
        (&["list", "x"], 2, "unexpected operand 'x'"),
        (&["create", "chores"], 2, "queue 'chores' exists already"),
        (&["create", "a\nb"], 2, "control character"),
        (&["create", "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c"], 2, "id"),
        (&["create", "x", "--project", "nowhere"], 2, "cannot use the project directory 'nowhere'"),
        (&["add", "new", "x", "--existing"], 1, "no queue 'new'"),
        (&["add", "chores", "x", "--one-session"], 2, "was not created with --one-session"),
        (&["add", "chores", "x", "--project", "/"], 2, "', not '/'"),
        (&["add", "chores", "x", "--project", "/"], 2, "codex-agent queue project chores DIR"),
        (&["edit", "chores"], 2, "a prompt of the queue is missing"),
        (&["edit", "chores", "7", "x"], 1, "'codex-agent queue show chores' prints the numbers"),
        (&["edit", "chores", "1", ""], 2, "the prompt is empty"),
        (&["edit", "chores", "1", "a", "b"], 2, "unexpected operand 'b'"),
        (&["edit", "chores", "1", "a", "-p", "b"], 2, "the new text of the prompt is given twice"),
        (&["edit", "chores", "1"], 2, "the new text of the prompt is missing"),
        (&["move", "chores", "1"], 2, "expected the operands NAME PROMPT... PLACE"),
        (&["move", "chores", "1", "9"], 2, "expected first, last or 1 to 2"),
        (&["remove", "chores", "1", "9"], 1, "there is no prompt '9'"),
        (&["retry", "chores"], 2, "expected either PROMPT operands or --failed"),
        (&["mode", "chores", "1", "sometimes"], 2, "expected auto or manual"),
        (&["rename", "chores", "chores"], 2, "queue 'chores' exists already"),
        (&["delete", "chores", "none"], 1, "no queue 'none'"),
        (&["stop", "chores"], 1, "queue 'chores' has never been run"),
        (&["log", "chores"], 1, "codex-agent queue run chores"),
    ];
    let before = fs::read(fake.0.config("queues.json")).unwrap();
    for (words, code, want) in all {
        let ran = fake.tool(&[&["queue"], words].concat());
        ran.exits(code).reports(want);
        ran.prints("");
    }
    assert_eq!(fs::read(fake.0.config("queues.json")).unwrap(), before);
    assert_eq!(fake.runs().len(), 0);
}

#[test]
fn each_verb_changes_the_queue_as_documented() {
    let fake = Fake::newest();
    let made = fake.good(&["queue", "create", "q", "--project", ".", "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(
        (&made["type"], &made["name"], &made["state"]),
        (&json!("queue"), &json!("q"), &json!("idle"))
    );
    queue(&fake, "q", &["a", "b", "c", "d\te"]);
    let rows: Vec<String> = fake.good(&["queue", "show", "q"]).lines().map(str::to_owned).collect();
    let ids = fake.each("q", "id");
    assert_eq!(rows[3], format!("4\t{}\tpending\tauto\t\td\\te\t", ids[3]));
    let project = made["project"].as_str().unwrap();
    let id = made["id"].as_str().unwrap();
    assert_eq!(fake.good(&["queue", "ls"]), format!("q\tidle\t4\t0\t0\t0\t{project}\t{id}\n"));
    // By number, by the end of an id, by the queue's own id.
    fake.good(&["queue", "move", "q", "4", &ids[2][28..], "first"]);
    assert_eq!(fake.each(id, "prompt"), ["d\te", "c", "a", "b"]);
    fake.good(&["queue", "move", "q", "1", "3"]);
    assert_eq!(fake.each("q", "prompt"), ["c", "a", "d\te", "b"]);
    fake.good(&["queue", "move", "q", "1", "last"]);
    fake.good(&["queue", "edit", "q", "1", "A"]);
    fake.feed(&["queue", "edit", "q", "2", "-"], "x\ny").succeeds();
    fake.good(&["queue", "edit", "q", "3", "--prompt", "-"]);
    fake.tool(&["queue", "edit", "q", "3", "-p", "-"]).reports("did not change");
    assert_eq!(fake.each("q", "prompt"), ["A", "x\ny", "-", "c"]);
    let gone = fake.good(&["queue", "remove", "q", "2", "3", "--json"]);
    assert_eq!(gone.lines().count(), 2);
    fake.good(&["queue", "rename", "q", "other"]);
    fake.tool(&["queue", "show", "q"]).exits(1);
    fake.good(&["queue", "pause", "other"]);
    assert!(fake.good(&["queue", "list"]).starts_with("other\tpaused\t2\t"));
    let ran = fake.tool(&["queue", "run", "other"]);
    ran.exits(75).reports("unpause");
    fake.good(&["queue", "resume", "other"]);
    let dry = fake.good(&["queue", "run", "other", "--dry-run"]);
    assert_eq!(dry.lines().count(), 2);
    assert!(fake.prompts().is_empty() && fake.runs().is_empty());
    let ran = fake.tool(&["queue", "run", "other", "--answers"]);
    ran.succeeds();
    assert_eq!(ran.out.lines().filter(|line| line.starts_with("echo: ")).count(), 2);
    let log = fake.good(&["queue", "log", "other", "--answers"]);
    assert!(log.contains("echo: A\n") && log.contains("echo: c\n"), "{log}");
    fake.tool(&["queue", "watch", "other"]).succeeds();
    fake.tool(&["queue", "stop", "other"]).reports("is not running");
    assert_eq!(fake.each("other", "status"), ["completed", "completed"]);
    let ran = fake.tool(&["queue", "edit", "other", "1", "x"]);
    ran.exits(2).reports("queue retry other 1");
    fake.good(&["queue", "retry", "other", "1"]);
    let (ran, events) = fake.events(&["queue", "run", "other"]);
    ran.succeeds();
    let started: Vec<&Value> = of_type(&events, "job.started");
    assert_eq!((started.len(), &started[0]["resent"]), (1, &json!(true)));
    assert_eq!(fake.prompts(), ["A", "c", "A"]);
    let gone = fake.good(&["queue", "delete", "other", "--json"]);
    assert!(gone.contains("\"name\":\"other\""), "{gone}");
    assert_eq!(fake.good(&["queue", "list"]), "");
}

#[test]
fn a_deleted_queue_leaves_no_unfinished_run() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "-p", "FAIL401", "-p", "next"]);
    fake.tool(&["queue", "run", "q"]).exits(75);
    assert!(fake.good(&["status"]).contains("\tstopped\t2 left"));
    fake.good(&["queue", "delete", "q"]);
    assert_eq!(fake.good(&["status"]), "");
    let ran = fake.tool(&["run", "continue"]);
    ran.succeeds().reports("there is no unfinished run");
}

#[test]
fn a_prompt_with_the_highest_count_of_retries_is_not_requeued() {
    let fake = Fake::newest();
    let prompt: Value = json!({"id": "1", "prompt": "x", "status": "failed", "retries": u32::MAX});
    let project = fs::canonicalize(fake.0.path("work")).unwrap();
    let queues = json!({"queues": [{"id": "q", "name": "q", "projectPath": project, "prompts": [prompt], "createdAt": "x"}]});
    fake.0.write("home/.config/codex-agent/queues.json", queues.to_string());
    let ran = fake.tool(&["queue", "retry", "q", "1"]);
    ran.exits(2).reports("adds the text as another prompt");
}

#[test]
fn an_id_of_digits_is_no_position() {
    let fake = Fake::newest();
    let prompts = json!([{"id": "2", "prompt": "a"}, {"id": "1", "prompt": "b"}, {"id": "3", "prompt": "c"}]);
    write_queues(&fake, json!([queue_record(&fake, "q", "q", prompts)]));
    let ran = fake.tool(&["queue", "edit", "q", "1", "x"]);
    ran.exits(2).reports("ambiguous prompt '1': 2 prompts of queue");
    fake.good(&["queue", "edit", "q", "3", "C"]);
    assert_eq!(fake.each("q", "prompt"), ["a", "b", "C"]);
}

#[test]
fn a_missing_project_can_be_replaced() {
    let fake = Fake::newest();
    let mut relative = queue_record(&fake, "q", "q", json!([{"id": "1", "prompt": "one"}]));
    relative["projectPath"] = json!("some/where");
    write_queues(&fake, json!([relative]));
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.exits(2).reports("cannot change to 'some/where', the project of queue 'q'");
    ran.reports("codex-agent queue project q DIR");
    let ran = fake.tool(&["queue", "project", "q", "nowhere"]);
    ran.exits(2).reports("cannot use the project directory 'nowhere'");
    fake.good(&["queue", "project", "q", "."]);
    fake.good(&["queue", "run", "q"]);
    assert_eq!(fake.prompts(), ["one"]);
}

#[test]
fn manual_prompts_are_no_pending_work() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--manual", "-p", "later"]);
    assert_eq!(fake.good(&["status"]), "");
    queue(&fake, "q", &["now"]);
    let row = fake.good(&["status"]);
    assert!(row.contains("queue\tq\tidle\t1 left\tnow"), "{row}");
}

#[test]
fn a_queue_with_an_unreadable_journal_can_be_paused() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "-p", "SLEEP3 1", "-p", "2"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    // The next event of the runner comes at the end of the turn.
    wait_until(|| of_type(&fake.journal(), "job.session").len() == 1);
    let journal = fake.runs()[0].join("journal.ndjson");
    let later = "{\"type\":\"job.started\",\"v\":2}\n";
    std::io::Write::write_all(
        &mut fs::File::options().append(true).open(&journal).unwrap(),
        later.as_bytes(),
    )
    .unwrap();
    for words in [&["queue", "pause", "q"][..], &["queue", "rename", "q", "r"]] {
        let ran = fake.tool(words);
        ran.succeeds().reports("journal");
    }
    assert_eq!(end(&mut runner), 75);
    assert_eq!(fake.prompts(), ["SLEEP3 1"]);
    // The end of a test validates the journals, and this line was not written by a tool.
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replace(later, "")).unwrap();
}
