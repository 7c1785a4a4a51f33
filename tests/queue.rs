//! Queues: what each verb does, in which order prompts are sent, and what the file survives.

use std::fs;

use serde_json::{Value, json};

use crate::faked::{Fake, end, wait_until};
use crate::terminal::Terminal;

/// A queue of this name with these prompts.
pub(crate) fn queue(fake: &Fake, name: &str, prompts: &[&str]) {
    fake.good(&[&["queue", "add", name, "--"], prompts].concat());
}

#[test]
fn prompts_come_in_by_every_door() {
    let fake = Fake::newest();
    let ran = fake.tool(&["queue", "add", "q", "one", "two words"]);
    let work = fs::canonicalize(fake.0.path("work")).unwrap();
    let made = format!("created queue 'q' for '{}', and added 2 prompts to 'q'; 2 pending", work.display());
    assert!(ran.code == 0 && ran.out.is_empty() && ran.err.contains(&made), "{}", ran.err);
    let lines = "line\n\n{\"type\":\"prompt\",\"prompt\":\"a\\nrecord\"}\r\n--dash\n";
    assert!(fake.feed(&["queue", "add", "q"], lines).err.contains("added 3 prompts to 'q'; 5 pending"));
    assert_eq!(fake.feed(&["queue", "add", "q", "--text", "-"], "{x}\n").code, 0);
    assert_eq!(fake.feed(&["queue", "add", "q", "-0", "-"], "n\nul\0two\0").code, 0);
    let file = fake.0.write("work/file", "a whole\nfile");
    assert_eq!(fake.tool(&["queue", "add", "q", "--prompt-file", file.to_str().unwrap()]).code, 0);
    assert_eq!(fake.tool(&["queue", "add", "q", "-p", "-", "--first"]).code, 0);
    assert_eq!(fake.tool(&["queue", "add", "q", "--manual", "later"]).code, 0);
    let image = fake.0.write("work/a,b.png", "picture");
    let ran = fake.tool(&["queue", "add", "q", "--image", "a,b.png", "look", "--json"]);
    let record: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&record["type"], &record["prompt"], &record["status"]),
        (&json!("prompt"), &json!("look"), &json!("pending"))
    );
    assert_eq!(record["images"], json!([fs::canonicalize(image).unwrap()]));
    let all = fake.each("q", "prompt");
    let want = [
        "-",
        "one",
        "two words",
        "line",
        "a\nrecord",
        "--dash",
        "{x}",
        "n\nul",
        "two",
        "a whole\nfile",
        "later",
        "look",
    ];
    assert_eq!(all, want);
    assert_eq!(fake.each("q", "mode").iter().filter(|mode| *mode == "manual").count(), 1);
    // The order of the list is the order of sending, and manual prompts are passed over.
    let ran = fake.tool(&["queue", "run", "q"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let mut sent: Vec<&str> = want.to_vec();
    sent.retain(|prompt| *prompt != "later");
    assert_eq!(fake.prompts(), sent);
    let argv = fake.sent().pop().unwrap()["argv"].to_string();
    assert!(argv.contains("image-1-") && !argv.contains("a,b"), "{argv}");
    assert!(!fake.sent().iter().any(|line| line["argv"].to_string().contains("--dash")));
    let ran = fake.tool(&["queue", "run", "q"]);
    assert!(ran.code == 0 && ran.err.contains("queue 'q' has nothing to send"), "{}", ran.err);
    assert!(fake.tool(&["queue", "mode", "q", "later", "auto"]).err.contains("no prompt 'later'"));
    fake.good(&["queue", "mode", "q", "11", "auto"]);
    fake.good(&["queue", "run", "q"]);
    assert_eq!(fake.prompts().last().unwrap(), "later");
}

#[test]
fn a_bad_line_adds_nothing() {
    let fake = Fake::newest();
    queue(&fake, "q", &["one"]);
    let before = fs::read(fake.0.config("queues.json")).unwrap();
    let all: [(&[&str], &[u8], &str); 9] = [
        (&["q", "-"], b"good\na\0b\n", "stdin:2: the prompt contains a NUL character"),
        (&["q", "-"], b"good\n\xff\n", "stdin:2: the prompt is not UTF-8"),
        (&["q", "-"], b"good\n{\"a\":1}\n", "stdin:2: expected a prompt record"),
        (&["q", "-"], b"good\n{\"type\":\"session\",\"prompt\":\"x\"}\n", "not one of type 'session'"),
        (
            &["q", "-"],
            b"good\n{\"type\":\"prompt\",\"prompt\":\"x\",\"images\":[\"/no/pic\"]}\n",
            "stdin:2: cannot open the image '/no/pic'",
        ),
        (&["q", "good", " "], b"", "the prompt is empty"),
        (&["q", "-0", "-"], b"good\0\xfe\0", "stdin:2: the prompt is not UTF-8"),
        (&["q", "--image", "no.png", "x"], b"", "cannot open the image 'no.png'"),
        (&["q", "--prompt-file", "no.txt"], b"", "no.txt"),
    ];
    for (words, input, want) in all {
        let ran = fake.feed(&[&["queue", "add"], words].concat(), input);
        assert!(ran.code == 2 && ran.err.contains(want), "{words:?}: {} {}", ran.code, ran.err);
    }
    assert_eq!(fs::read(fake.0.config("queues.json")).unwrap(), before);
    let ran = fake.feed(&["queue", "add", "new", "-"], "\n\n");
    assert!(ran.code == 0 && ran.err.contains("queue 'new' was not created"), "{}", ran.err);
    assert_eq!(fs::read(fake.0.config("queues.json")).unwrap(), before);
}

#[test]
fn wrong_names_and_words_have_a_way_out() {
    let fake = Fake::newest();
    let ran = fake.tool(&["queue", "show", "q"]);
    assert!(ran.code == 1 && ran.err.contains("no queue 'q'"), "{}", ran.err);
    assert_eq!(fake.good(&["queue", "list"]), "");
    assert!(!fake.0.config("queues.json").exists(), "looking makes nothing");
    queue(&fake, "chores", &["one", "two"]);
    let all: [(&[&str], i32, &str); 28] = [
        (&["show"], 2, "the name of a queue is missing"),
        (&["show", "chore"], 1, "did you mean 'chores'?"),
        (&["show", "else"], 1, "'codex-agent queue list' lists the queues"),
        (&["show", "chores", "x"], 2, "unexpected operand 'x'"),
        (&["list", "x"], 2, "unexpected operand 'x'"),
        (&["create", "chores"], 2, "there is a queue 'chores' already"),
        (&["create", "a\nb"], 2, "control character"),
        (&["create", "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c"], 2, "id"),
        (&["create", "x", "--project", "nowhere"], 2, "cannot change to 'nowhere'"),
        (&["add", "new", "x", "--existing"], 1, "no queue 'new'"),
        (&["add", "chores", "x", "--one-session"], 2, "was not created with --one-session"),
        (&["add", "chores", "x", "--project", "/"], 2, "', not '/'"),
        (&["add", "chores", "x", "--project", "/"], 2, "codex-agent queue project chores DIR"),
        (&["edit", "chores"], 2, "the prompt is missing"),
        (&["edit", "chores", "7", "x"], 1, "codex-agent queue show chores numbers them"),
        (&["edit", "chores", "1", ""], 2, "the prompt is empty"),
        (&["edit", "chores", "1", "a", "b"], 2, "unexpected operand 'b'"),
        (&["edit", "chores", "1", "a", "-p", "b"], 2, "the text is given twice"),
        (&["edit", "chores", "1"], 2, "the text is missing"),
        (&["move", "chores", "1"], 2, "expected NAME PROMPT... PLACE"),
        (&["move", "chores", "1", "9"], 2, "expected first, last or 1 to 2"),
        (&["remove", "chores", "1", "9"], 1, "there is no prompt '9'"),
        (&["retry", "chores"], 2, "expected PROMPT or --failed"),
        (&["mode", "chores", "1", "sometimes"], 2, "expected auto or manual"),
        (&["rename", "chores", "chores"], 2, "there is a queue 'chores' already"),
        (&["delete", "chores", "none"], 1, "no queue 'none'"),
        (&["stop", "chores"], 1, "queue 'chores' has never been run"),
        (&["log", "chores"], 1, "codex-agent queue run chores"),
    ];
    let before = fs::read(fake.0.config("queues.json")).unwrap();
    for (words, code, want) in all {
        let ran = fake.tool(&[&["queue"], words].concat());
        assert!(ran.code == code && ran.err.contains(want), "{words:?}: {} {}", ran.code, ran.err);
        assert_eq!(ran.out, "", "{words:?}");
    }
    assert_eq!(fs::read(fake.0.config("queues.json")).unwrap(), before);
    assert_eq!(fake.runs().len(), 0);
}

#[test]
fn every_verb_changes_what_it_says() {
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
    assert_eq!(fake.feed(&["queue", "edit", "q", "2", "-"], "x\ny").code, 0);
    fake.good(&["queue", "edit", "q", "3", "--prompt", "-"]);
    assert!(fake.tool(&["queue", "edit", "q", "3", "-p", "-"]).err.contains("did not change"));
    assert_eq!(fake.each("q", "prompt"), ["A", "x\ny", "-", "c"]);
    let gone = fake.good(&["queue", "remove", "q", "2", "3", "--json"]);
    assert_eq!(gone.lines().count(), 2);
    fake.good(&["queue", "rename", "q", "other"]);
    assert_eq!(fake.tool(&["queue", "show", "q"]).code, 1);
    fake.good(&["queue", "pause", "other"]);
    assert!(fake.good(&["queue", "list"]).starts_with("other\tpaused\t2\t"));
    let ran = fake.tool(&["queue", "run", "other"]);
    assert!(ran.code == 75 && ran.err.contains("unpause"), "{}", ran.err);
    fake.good(&["queue", "resume", "other"]);
    let dry = fake.good(&["queue", "run", "other", "--dry-run"]);
    assert_eq!(dry.lines().count(), 2);
    assert!(fake.prompts().is_empty() && fake.runs().is_empty());
    let ran = fake.tool(&["queue", "run", "other", "--answers"]);
    assert_eq!((ran.code, ran.out.lines().filter(|line| line.starts_with("echo: ")).count()), (0, 2));
    let log = fake.good(&["queue", "log", "other", "--answers"]);
    assert!(log.contains("echo: A\n") && log.contains("echo: c\n"), "{log}");
    assert_eq!(fake.tool(&["queue", "watch", "other"]).code, 0);
    assert!(fake.tool(&["queue", "stop", "other"]).err.contains("is not running"));
    assert_eq!(fake.each("other", "status"), ["completed", "completed"]);
    let ran = fake.tool(&["queue", "edit", "other", "1", "x"]);
    assert!(ran.code == 2 && ran.err.contains("queue retry other 1"), "{}", ran.err);
    fake.good(&["queue", "retry", "other", "1"]);
    let (ran, events) = fake.events(&["queue", "run", "other"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let started: Vec<&Value> = crate::faked::of_type(&events, "job.started");
    assert_eq!((started.len(), &started[0]["resent"]), (1, &json!(true)));
    assert_eq!(fake.prompts(), ["A", "c", "A"]);
    let gone = fake.good(&["queue", "delete", "other", "--json"]);
    assert!(gone.contains("\"name\":\"other\""), "{gone}");
    assert_eq!(fake.good(&["queue", "list"]), "");
}

#[test]
fn an_editor_opens_on_a_terminal() {
    let mut fake = Fake::newest();
    queue(&fake, "q", &["old text"]);
    let editor = fake.0.script(
        "bin/editor",
        "#!/bin/sh\ntest \"$1\" = -x && shift\ncat \"$1\"\nprintf 'new\\n\\ntext\\n' > \"$1\"\n",
    );
    fake.0.set("EDITOR", format!("{} -x", editor.display()));
    let (shown, code) = Terminal::open(fake.started(&["queue", "edit", "q", "1"]), 80, 24).end();
    assert!(code == 0 && shown.starts_with("old text") && shown.contains("changed prompt 1"), "{shown}");
    assert_eq!(fake.each("q", "prompt"), ["new\n\ntext"]);
    fake.0.set("VISUAL", "false");
    let (shown, code) = Terminal::open(fake.started(&["queue", "edit", "q", "1"]), 80, 24).end();
    assert!(
        code == 2 && shown.contains("'false' failed") && shown.contains("nothing was changed"),
        "{shown}"
    );
    fake.0.set("VISUAL", "sh -c ': > $1' sh");
    let (shown, code) = Terminal::open(fake.started(&["queue", "edit", "q", "1"]), 80, 24).end();
    assert!(code == 2 && shown.contains("the prompt is empty"), "{shown}");
    assert_eq!(fake.each("q", "prompt"), ["new\n\ntext"]);
}

#[test]
fn an_error_about_the_file_of_an_editor_names_that_file() {
    let mut fake = Fake::newest();
    queue(&fake, "q", &["old text"]);
    fake.0.set("EDITOR", "true");
    let edit = |before: &str| {
        let mut command = fake.0.command("sh");
        let script = format!("{before}; exec codex-agent-queue edit q 1");
        command.args(["-c", &script]).current_dir(fake.0.path("work"));
        let (shown, code) = Terminal::open(command, 400, 24).end();
        assert_eq!(code, 2, "{before}: {shown}");
        assert!(!shown.contains("standard output") && shown.contains("nothing was changed"), "{shown}");
        shown
    };
    // A full disk, a directory that does not exist, and one that is a file.
    let shown = edit("trap '' XFSZ; ulimit -f 0");
    assert!(shown.contains("cannot write '") && shown.contains("prompt-"), "{shown}");
    for directory in ["/nowhere", "/dev/null"] {
        let shown = edit(&format!("export TMPDIR={directory}"));
        assert!(shown.contains(&format!("cannot make a temporary file in '{directory}'")), "{shown}");
    }
    assert_eq!(fake.each("q", "prompt"), ["old text"]);
    // Standard output itself is still named, where it is full.
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let ran =
        fake.0.command("codex-agent-queue").args(["show", "q", "--json"]).stdout(full).output().unwrap();
    let err = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(err.contains("cannot write to standard output: no space left"), "{err}");
}

#[test]
fn one_session_has_all_prompts_and_stops_at_a_failure() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--one-session", "one", "two", "FAIL400", "four"]);
    let ran = fake.tool(&["queue", "run", "q"]);
    assert_eq!(ran.code, 75, "{}", ran.err);
    let sent = fake.sent();
    assert_eq!(fake.prompts(), ["one", "two", "FAIL400"]);
    assert!(sent.iter().all(|line| line["session"] == sent[0]["session"]));
    assert_eq!(sent[1]["history"], json!(["one"]));
    assert_eq!(fake.each("q", "status"), ["completed", "completed", "failed", "pending"]);
    // The next run goes on, in the same session.
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 1, "one of them has failed");
    let last = fake.sent().pop().unwrap();
    assert_eq!((&last["prompt"], &last["session"]), (&json!("four"), &sent[0]["session"]));
    let session = &fake.queues()["queues"][0]["sessionId"];
    assert_eq!(session, &sent[0]["session"]);
}

#[test]
fn failures_leave_the_rest_or_stop_it() {
    let fake = Fake::newest();
    queue(&fake, "q", &["one", "FAIL400", "EXITS", "four"]);
    let (ran, events) = fake.events(&["queue", "run", "q"]);
    assert_eq!(
        (ran.code, crate::faked::failures(&events)),
        (1, vec!["refused".to_owned(), "crashed".to_owned()])
    );
    assert_eq!(fake.prompts(), ["one", "FAIL400", "four"]);
    assert_eq!(fake.shown("q")[2]["exit_code"], 3);
    let ran = fake.tool(&["queue", "retry", "q", "--failed"]);
    assert!(ran.err.contains("requeued 2 prompts of 'q'"), "{}", ran.err);
    let ran = fake.tool(&["queue", "run", "q", "--max-failures", "1"]);
    assert_eq!((ran.code, fake.prompts().len()), (75, 4), "{}", ran.err);
    assert_eq!(fake.each("q", "status"), ["completed", "failed", "pending", "completed"]);
}

#[test]
fn fifty_at_once_are_all_kept() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS400", "first"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    let texts: Vec<String> = (0..50).map(|n| format!("prompt {n}")).collect();
    let adding: Vec<_> = texts.iter().map(|text| fake.start(&["queue", "add", "q", text])).collect();
    for mut child in adding {
        assert_eq!(end(&mut child), 0);
    }
    let code = end(&mut runner);
    assert_eq!(code, 0);
    // What came in after its last look is sent by the next.
    fake.good(&["queue", "run", "q"]);
    let mut sent = fake.prompts();
    let mut want: Vec<String> = texts;
    want.extend(["MS400", "first"].map(str::to_owned));
    sent.sort();
    want.sort();
    assert_eq!(sent, want);
    assert_eq!(fake.each("q", "status").iter().filter(|status| *status == "completed").count(), 52);
}

#[test]
fn edits_of_another_process_are_obeyed_while_it_runs() {
    let fake = Fake::newest();
    let gate = fake.0.path("work/go");
    let wait = "SHELL{while [ ! -e go ]; do sleep 0.02; done; rm go}";
    queue(&fake, "q", &[wait, "b", "c", "d", "e", "f"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    assert_eq!(fake.each("q", "status")[0], "running");
    assert!(fake.good(&["queue", "list"]).starts_with("q\trunning\t5\t1\t0\t0\t"));
    for verb in ["edit", "remove", "retry"] {
        let words: &[&str] = if verb == "edit" { &["x"] } else { &[] };
        let ran = fake.tool(&[&["queue", verb, "q", "1"], words].concat());
        assert!(ran.code == 2 && ran.err.contains("it is being sent"), "{verb}: {} {}", ran.code, ran.err);
    }
    let ran = fake.tool(&["queue", "delete", "q"]);
    assert!(ran.code == 2 && ran.err.contains("it is being run"), "{}", ran.err);
    let ran = fake.tool(&["queue", "run", "q"]);
    assert!(ran.code == 2 && ran.err.contains("queue 'q' has a runner"), "{}", ran.err);
    fake.good(&["queue", "add", "q", "new last"]);
    fake.good(&["queue", "add", "q", "--first", "new first"]);
    assert_eq!(fake.each("q", "prompt")[1], "new first", "before all that is pending");
    fake.good(&["queue", "edit", "q", "3", "B"]);
    fake.good(&["queue", "mode", "q", "4", "manual"]);
    fake.good(&["queue", "remove", "q", "5"]);
    fake.good(&["queue", "move", "q", "6", "2"]);
    assert_eq!(fake.each("q", "prompt")[1..], ["f", "new first", "B", "c", "e", "new last"]);
    fake.good(&["queue", "rename", "q", "renamed"]);
    // A gate before the end, so that a pause comes in time.
    fake.good(&["queue", "edit", "renamed", "6", wait]);
    fs::write(&gate, "").unwrap();
    fake.wait_for_sent(5);
    fake.good(&["queue", "pause", "renamed"]);
    fs::write(&gate, "").unwrap();
    assert_eq!(end(&mut runner), 75);
    let sent = [wait, "f", "new first", "B", wait];
    assert_eq!(fake.prompts(), sent);
    let states = ["completed", "completed", "completed", "completed", "pending", "completed", "pending"];
    assert_eq!(fake.each("renamed", "status"), states);
    fake.good(&["queue", "unpause", "renamed"]);
    fake.good(&["queue", "run", "renamed"]);
    assert_eq!(fake.prompts().last().unwrap(), "new last");
    assert_eq!(fake.prompts().len(), 6);
}

#[test]
fn a_deleted_queue_is_in_nobodys_way() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "FAIL401", "next"]);
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 75);
    assert!(fake.good(&["status"]).contains("\tstopped\t2 left"));
    fake.good(&["queue", "delete", "q"]);
    assert_eq!(fake.good(&["status"]), "");
    let ran = fake.tool(&["run", "continue"]);
    assert!(ran.code == 0 && ran.err.contains("there is no unfinished run"), "{} {}", ran.code, ran.err);
}

#[test]
fn a_stop_ends_the_runner_and_leaves_the_queue() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS700", "two", "HANG", "four"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    let ran = fake.tool(&["queue", "stop", "q"]);
    assert!(ran.code == 0 && ran.err.contains("stopping run "), "{}", ran.err);
    assert_eq!(end(&mut runner), 75);
    assert_eq!(fake.each("q", "status"), ["completed", "pending", "pending", "pending"]);
    assert!(fake.good(&["queue", "list"]).starts_with("q\tidle\t3\t"));
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(3);
    fake.good(&["queue", "stop", "--now", "q"]);
    assert_eq!(end(&mut runner), 130);
    assert_eq!(fake.each("q", "status"), ["completed", "completed", "failed", "pending"]);
    assert_eq!(fake.shown("q")[2]["failure"]["class"], "stopped");
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 1);
    assert_eq!(fake.prompts(), ["MS700", "two", "HANG", "four"]);
    // Stopped before it has begun, nothing was sent: it is pending, and may be edited.
    queue(&fake, "r", &["HANGSTART"]);
    let mut runner = fake.start(&["queue", "run", "r"]);
    wait_until(|| fake.each("r", "status") == ["running"]);
    fake.good(&["queue", "stop", "--now", "r"]);
    assert_eq!(end(&mut runner), 130);
    assert_eq!(fake.each("r", "status"), ["pending"]);
    fake.good(&["queue", "edit", "r", "1", "another"]);
    fake.good(&["queue", "run", "r"]);
    assert_eq!(fake.prompts().last().unwrap(), "another");
}
