//! Queues at their edges: ids that are not unique, readers that do not read, what is said anew or kept when a
//! run is continued, edits that come at a bad moment, and runs that nobody goes on with.

use std::fs;
use std::io::{PipeReader, Read, Write};
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::faked::{Fake, crash, end, of_type, wait_for_end, wait_until};
use crate::queue::queue;
use crate::terminal::Terminal;
use crate::world::json as records;

/// A file with these queues, each with its id, name and prompts.
fn file(fake: &Fake, queues: Value) {
    fake.0.write("home/.config/codex-agent/queues.json", json!({ "queues": queues }).to_string());
}

/// A queue as an editor may have left it.
fn odd(fake: &Fake, id: &str, name: &str, prompts: Value) -> Value {
    let project = fs::canonicalize(fake.0.path("work")).unwrap();
    json!({ "id": id, "name": name, "projectPath": project, "prompts": prompts, "createdAt": "x" })
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}

#[test]
fn prompts_of_one_id_are_each_sent_once() {
    let fake = Fake::newest();
    let prompts = json!([
        {"id": "x", "prompt": "a"}, {"id": "x", "prompt": "b"}, {"id": "y", "prompt": "c", "retries": 1},
        {"id": "y.1", "prompt": "d"}, {"id": "x-2", "prompt": "e"},
    ]);
    file(&fake, json!([odd(&fake, "q", "q", prompts)]));
    let (ran, events) = fake.events(&["queue", "run", "q"]);
    assert_eq!((ran.code, fake.prompts()), (0, ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec()));
    assert_eq!(of_type(&events, "job.completed").len(), 5);
    assert_eq!(fake.each("q", "status"), ["completed"; 5]);
    let ids = fake.each("q", "id");
    assert!((1..5).all(|at| !ids[..at].contains(&ids[at])), "{ids:?}");
}

#[test]
fn a_queue_is_run_by_its_id_whatever_others_are_called() {
    let fake = Fake::newest();
    let one = odd(&fake, "first", "a", json!([{"id": "1", "prompt": "of a"}]));
    let two = odd(&fake, "second", "first", json!([{"id": "1", "prompt": "of first"}]));
    let three = odd(&fake, "first", "c", json!([{"id": "1", "prompt": "of c"}]));
    file(&fake, json!([one, two, three]));
    fake.good(&["queue", "run", "a"]);
    assert_eq!(fake.prompts(), ["of a"]);
    fake.good(&["queue", "run", "c"]);
    assert_eq!(fake.prompts(), ["of a", "of c"]);
    assert_eq!(fake.each("first", "status"), ["pending"]);
}

#[test]
fn an_id_that_is_a_number_is_not_taken_for_one() {
    let fake = Fake::newest();
    let prompts = json!([{"id": "2", "prompt": "a"}, {"id": "1", "prompt": "b"}, {"id": "3", "prompt": "c"}]);
    file(&fake, json!([odd(&fake, "q", "q", prompts)]));
    let ran = fake.tool(&["queue", "edit", "q", "1", "x"]);
    assert!(ran.code == 2 && ran.err.contains("'1' could be 2 prompts"), "{}", ran.err);
    fake.good(&["queue", "edit", "q", "3", "C"]);
    assert_eq!(fake.each("q", "prompt"), ["a", "b", "C"]);
}

/// Starts a tool whose output and errors go into one pipe, which nobody reads yet.
fn unread(fake: &Fake, words: &[&str]) -> (Child, PipeReader) {
    let (ours, mut theirs) = std::io::pipe().unwrap();
    // A full pipe, but for a few words.
    theirs.write_all(&vec![b'\n'; (64 << 10) - 4096]).unwrap();
    let again = theirs.try_clone().unwrap();
    (fake.started(words).stdout(theirs).stderr(again).spawn().unwrap(), ours)
}

#[test]
fn a_pipe_that_nobody_reads_holds_up_nothing_but_the_end() {
    let fake = Fake::newest();
    let prompts: Vec<String> = (0..60).map(|n| format!("prompt {n} {}", "x".repeat(500))).collect();
    queue(&fake, "q", &prompts.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut runner, mut pipe) = unread(&fake, &["queue", "run", "q", "--json", "--max-failures", "9"]);
    fake.wait_for_sent(60);
    wait_until(|| fake.each("q", "status").iter().all(|status| status == "completed"));
    // It waits for its reader, and holds nothing any more.
    wait_until(|| fake.queues()["queues"][0].get("run").is_none());
    assert!(runner.try_wait().unwrap().is_none());
    queue(&fake, "q", &["another"]);
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 0);
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(end(&mut runner), 0);
    let text = reader.join().unwrap();
    let events = records(&text.lines().filter(|line| line.starts_with('{')).collect::<Vec<_>>().join("\n"));
    assert_eq!(of_type(&events, "job.completed").len(), 60);
    assert!(text.contains("running queue 'q', 60 to send"));
}

#[test]
fn errors_into_a_pipe_that_nobody_reads_leave_it_ready_for_signals() {
    let fake = Fake::newest();
    let long = "y".repeat(300);
    // Each failure of '--answers' is told on standard error.
    let prompts: Vec<String> = (0..40).map(|n| format!("FAIL400 {n} {long}")).collect();
    queue(&fake, "q", &prompts.iter().map(String::as_str).collect::<Vec<_>>());
    queue(&fake, "q", &["HANG", "next"]);
    let (mut runner, pipe) = unread(&fake, &["queue", "run", "q", "--answers"]);
    fake.wait_for_sent(41);
    wait_until(|| fake.journal().iter().filter(|line| line["type"] == "job.spawned").count() == 41);
    // What runs is stopped, and only the pipe is waited for.
    signal(&runner, Signal::INT);
    std::thread::sleep(Duration::from_millis(200));
    signal(&runner, Signal::INT);
    wait_until(|| fake.journal().iter().any(|line| line["type"] == "run.stopped"));
    assert_eq!(fake.each("q", "status")[40..], ["failed", "pending"]);
    std::thread::sleep(Duration::from_millis(200));
    signal(&runner, Signal::INT);
    let code = end(&mut runner);
    assert!(code == 130, "it ends by the signal, or as one that was interrupted: {code}");
    drop(pipe);
}

/// A journal in which a prompt was cut off and is to go on with "Continue.", and the runner died then.
fn cut_off(fake: &Fake) -> String {
    queue(fake, "q", &["HANG", "next"]);
    let mut runner = fake.start(&["queue", "run", "q", "--interrupted=continue", "--max-failures=1"]);
    fake.wait_for_sent(1);
    wait_until(|| !fake.each("q", "session")[0].is_empty());
    crash(&mut runner);
    kill_process(Pid::from_raw(fake.pid()).unwrap(), Signal::KILL).unwrap();
    wait_for_end(&fake.out(1));
    // Somebody else has a limit by now, so that the next runner judges, and may start nothing.
    assert_eq!(fake.tool(&["run", "LIMIT300"]).code, 75);
    let ran = fake.tool(&["queue", "run", "q", "--interrupted=continue"]);
    assert_eq!(ran.code, 75, "{}", ran.err);
    let runs = fake.runs();
    let text = fs::read_to_string(runs[0].join("journal.ndjson")).unwrap();
    let failed: Vec<Value> = records(&text).into_iter().filter(|line| line["type"] == "job.failed").collect();
    assert_eq!((&failed[0]["again"], &failed[0]["continues"]), (&json!(true), &json!(true)));
    failed[0]["session"].as_str().unwrap().to_owned()
}

#[test]
fn to_go_on_with_a_session_outlives_the_runner() {
    let fake = Fake::newest();
    let session = cut_off(&fake);
    assert_eq!(fake.tool(&["queue", "run", "q", "--on-limit=try"]).code, 0);
    let sent = fake.sent();
    let texts: Vec<&str> = sent.iter().map(|line| line["prompt"].as_str().unwrap()).collect();
    assert_eq!(texts, ["HANG", "LIMIT300", "Continue.", "next"]);
    assert_eq!(sent[2]["session"], session.as_str());

    // Where the prompt was changed meanwhile, the new text is what is sent.
    let fake = Fake::newest();
    cut_off(&fake);
    fake.good(&["queue", "edit", "q", "1", "changed"]);
    assert_eq!(fake.tool(&["queue", "run", "q", "--on-limit=try"]).code, 0);
    assert_eq!(fake.prompts(), ["HANG", "LIMIT300", "changed", "next"]);
}

#[test]
fn a_continued_queue_is_told_what_it_was_told() {
    let fake = Fake::newest();
    let image = fake.0.write("work/a.png", "picture");
    queue(&fake, "q", &["MS400", "two", "three", "four", "five"]);
    let told =
        ["--sandbox", "read-only", "-m", "o", "-c", "a=b", "--codex-arg=--add-dir=/tmp", "-i", "a.png"];
    let flags = [&["queue", "run", "q"][..], &told, &["--max-failures", "7", "--retries", "2"]].concat();
    let mut runner = fake.start(&flags);
    fake.wait_for_sent(1);
    crash(&mut runner);
    wait_for_end(&fake.out(1));
    let dry = records(&fake.good(&["queue", "run", "q", "--dry-run"]));
    assert_eq!(dry[0]["options"]["model"], "o");
    let mut runner = fake.start(&["queue", "run", "q"]);
    assert_eq!(end(&mut runner), 0);
    let argv = |at: usize| fake.sent()[at]["argv"].to_string();
    for at in 1..5 {
        for word in ["--sandbox=read-only", "--model=o", "--config=a=b", "--add-dir=/tmp", "image-1-"] {
            assert!(argv(at).contains(word), "{word} in {}", argv(at));
        }
    }
    let started = fake.journal().into_iter().rfind(|line| line["type"] == "run.started").unwrap();
    let (settings, image) = (&started["settings"], fs::canonicalize(image).unwrap());
    assert_eq!((&settings["max_failures"], &settings["retries"]), (&json!(7), &json!(2)));
    assert_eq!(settings["told"]["images"], json!([image]));

    // What is said now beats it, each by itself; a new run knows nothing of it.
    let fake = Fake::newest();
    queue(&fake, "q", &["FAIL401", "two", "FAIL401", "four"]);
    assert_eq!(fake.tool(&["queue", "run", "q", "-s", "read-only", "-m", "o"]).code, 75);
    fake.good(&["queue", "edit", "q", "1", "fine"]);
    assert_eq!(fake.tool(&["queue", "run", "q", "-m", "p"]).code, 75);
    let argv = |at: usize| fake.sent()[at]["argv"].to_string();
    assert!(argv(2).contains("--sandbox=read-only") && argv(2).contains("--model=p"), "{}", argv(2));
    fake.good(&["queue", "edit", "q", "3", "fine"]);
    fake.good(&["queue", "run", "q", "--new"]);
    assert!(!argv(5).contains("--sandbox") && !argv(5).contains("--model"), "{}", argv(5));
}

#[test]
fn a_dead_queue_whose_job_lives_is_not_left_to_itself() {
    let fake = Fake::newest();
    queue(&fake, "q", &["HANG", "next"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    wait_until(|| !fake.each("q", "session")[0].is_empty());
    crash(&mut runner);
    for words in [&["delete", "q"][..], &["run", "--new", "q"]] {
        let ran = fake.tool(&[&["queue"], words].concat());
        assert!(ran.code == 2 && ran.err.contains("but a job is still running"), "{words:?}: {}", ran.err);
        assert!(ran.err.contains("queue stop --now q"), "{words:?}: {}", ran.err);
    }
    let ran = fake.tool(&["queue", "edit", "q", "1", "x"]);
    assert!(ran.code == 2 && ran.err.contains("codex-agent queue run q reads the result"), "{}", ran.err);
    assert_eq!(fake.prompts(), ["HANG"]);
    assert!(fake.tool(&["queue", "stop", "--now", "q"]).err.contains("interrupted 1 job"));
    wait_for_end(&fake.out(1));
    // What came of it is looked at, and told, before the run is left.
    assert_eq!(fake.tool(&["queue", "run", "--new", "q"]).code, 0);
    assert_eq!(fake.each("q", "status"), ["failed", "completed"]);
    assert_eq!(fake.prompts(), ["HANG", "next"]);
    let journal = fs::read_to_string(fake.runs()[0].join("journal.ndjson")).unwrap();
    let journal = records(&journal);
    let last = journal.last().unwrap();
    assert_eq!((&last["type"], &last["why"]), (&json!("run.stopped"), &json!("abandoned")));
    assert_eq!((&last["counts"]["failed"], &last["counts"]["running"]), (&json!(1), &json!(0)));
}

#[test]
fn what_was_completed_while_nobody_looked_is_completed_in_a_run_that_is_left() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS300", "next"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    wait_until(|| !fake.each("q", "session")[0].is_empty());
    crash(&mut runner);
    wait_for_end(&fake.out(1));
    assert_eq!(fake.tool(&["queue", "run", "--new", "q"]).code, 0);
    assert_eq!(fake.each("q", "status"), ["completed", "completed"]);
    assert_eq!(fake.prompts(), ["MS300", "next"]);
    // The same where the queue is deleted: the log of its run tells the truth.
    let fake = Fake::newest();
    queue(&fake, "q", &["MS300", "next"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    wait_until(|| !fake.each("q", "session")[0].is_empty());
    crash(&mut runner);
    wait_for_end(&fake.out(1));
    fake.good(&["queue", "delete", "q"]);
    let log = fake.journal();
    assert_eq!(of_type(&log, "job.completed").len(), 1);
    assert_eq!(log.last().unwrap()["why"], "deleted");
    assert_eq!(fake.good(&["status"]), "");
}

#[test]
fn a_run_of_which_a_job_lives_is_not_pruned() {
    let fake = Fake::newest();
    let mut runner = fake.start(&["run", "HANG"]);
    fake.wait_for_sent(1);
    wait_until(|| fake.journal().iter().any(|line| line["type"] == "job.spawned"));
    crash(&mut runner);
    // As a run that somebody else has ended meanwhile.
    let journal = fake.runs()[0].join("journal.ndjson");
    let mut text = fs::read_to_string(&journal).unwrap();
    let counts = json!({"pending": 0, "running": 0, "completed": 0, "failed": 0, "skipped": 0});
    let ended = json!({"type": "run.completed", "v": 1, "run": "x", "at": "2020-01-01T00:00:00.000Z", "counts": counts});
    text.push_str(&format!("{ended}\n"));
    fs::write(&journal, text).unwrap();
    // Runs are told from older ones by their names.
    let old = fake.runs()[0].with_file_name("20200101T000000Z-new-0000");
    fs::rename(&fake.runs()[0], &old).unwrap();
    fake.good(&["run", "prune"]);
    assert!(old.exists());
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        if fs::read_link(entry.path().join("fd/1")).is_ok_and(|target| target.starts_with(&old)) {
            let pid: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        }
    }
    wait_for_end(&old.join("jobs/1/1.out"));
    fake.good(&["run", "prune"]);
    assert!(!old.exists());
}

#[test]
fn prompts_that_come_in_at_the_very_end_are_not_forgotten() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS600"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    queue(&fake, "q", &["late"]);
    signal(&runner, Signal::INT);
    assert_eq!(end(&mut runner), 75, "there is work left");
    assert_eq!(fake.journal().last().unwrap()["left"], 1);
    fake.good(&["queue", "run", "q"]);
    assert_eq!(fake.prompts(), ["MS600", "late"]);
}

#[test]
fn one_session_is_not_scattered() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--one-session", "one", "two"]);
    for how in ["fork", "skip"] {
        let ran = fake.tool(&["queue", "run", "q", &format!("--on-busy={how}")]);
        let want = format!("invalid value '{how}' for '--on-busy'");
        assert!(ran.code == 2 && ran.err.contains(&want), "{}", ran.err);
    }
    assert!(fake.sent().is_empty());
    assert_eq!(fake.tool(&["queue", "run", "q", "--on-busy=fail"]).code, 0);
}

#[test]
fn a_prompt_that_waits_for_its_session_can_be_edited() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--one-session", "one"]);
    fake.good(&["queue", "run", "q"]);
    let id = fake.each("q", "session")[0].clone();
    let mut other = fake.spawn(&["exec", "--json", "resume", &id, "-"], "HANG");
    fake.wait_for_sent(2);
    fake.good(&["queue", "add", "q", "two"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    let is_withdrawn = |line: &Value| line["type"] == "job.skipped" && line["withdrawn"] == true;
    wait_until(|| fake.journal().iter().any(is_withdrawn));
    // A moment may be spent in looking again.
    wait_until(|| fake.tool(&["queue", "edit", "q", "2", "TWO"]).code == 0);
    wait_until(|| fake.each("q", "status")[1] == "pending");
    crash(&mut other);
    assert_eq!(end(&mut runner), 0);
    assert_eq!(fake.prompts(), ["one", "HANG", "TWO"]);
    assert_eq!(fake.sent()[2]["session"], id.as_str());
}

#[test]
fn what_an_editor_wrote_is_not_lost() {
    let mut fake = Fake::newest();
    let go = fake.0.path("work/go");
    let wait = "while [ ! -e go ]; do sleep 0.02; done; rm go";
    let editor = format!("#!/bin/sh\n: > open\n{wait}\nprintf 'with care' > \"$1\"\n");
    let editor = fake.0.script("bin/editor", &editor);
    fake.0.set("EDITOR", editor.to_str().unwrap());
    queue(&fake, "q", &["one", "two"]);
    let edit = |name: &str, meanwhile: &dyn Fn()| {
        let _ = fs::remove_file(fake.0.path("work/open"));
        let terminal = Terminal::open(fake.started(&["queue", "edit", name, "1"]), 200, 24);
        wait_until(|| fake.0.path("work/open").exists());
        meanwhile();
        fs::write(&go, "").unwrap();
        terminal.end()
    };
    let rename = || drop(fake.good(&["queue", "rename", "q", "r"]));
    let (shown, code) = edit("q", &rename);
    assert_eq!(
        (code, fake.each("r", "prompt")),
        (0, vec!["with care".to_owned(), "two".to_owned()]),
        "{shown}"
    );
    let change = || drop(fake.good(&["queue", "edit", "r", "1", "by another"]));
    let send = || drop(fake.good(&["queue", "run", "r"]));
    let remove = || drop(fake.good(&["queue", "remove", "r", "1"]));
    let all: [(&dyn Fn(), i32, &str); 2] =
        [(&change, 2, "was changed meanwhile"), (&send, 2, "it was already sent")];
    for (meanwhile, want, why) in all {
        let (shown, code) = edit("r", meanwhile);
        assert!(code == want && shown.contains(why), "{code} {shown}");
        let path = shown.split("the text is in '").nth(1).unwrap().split('\'').next().unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "with care");
        assert_eq!(fake.each("r", "prompt")[0], "by another");
    }
    fake.good(&["queue", "retry", "r", "1"]);
    let (shown, code) = edit("r", &remove);
    assert!(
        code == 1 && shown.contains("was removed") && shown.contains("the text is in '"),
        "{code} {shown}"
    );
}

#[test]
fn counts_are_those_after_the_event() {
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
fn a_failure_that_was_mended_while_it_ran_is_none() {
    let fake = Fake::newest();
    let wait = "SHELL{while [ ! -e go ]; do sleep 0.02; done}";
    queue(&fake, "q", &["FAIL400", wait]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(2);
    fake.good(&["queue", "retry", "q", "1"]);
    fake.good(&["queue", "edit", "q", "1", "mended"]);
    fs::write(fake.0.path("work/go"), "").unwrap();
    assert_eq!(end(&mut runner), 0);
    assert_eq!(fake.prompts(), ["FAIL400", wait, "mended"]);
    assert_eq!(fake.journal().last().unwrap()["counts"]["failed"], 0);
    assert_eq!(fake.tool(&["queue", "watch", "q"]).code, 0);
}

#[test]
fn a_project_that_is_not_there_can_be_mended() {
    let fake = Fake::newest();
    let mut relative = odd(&fake, "q", "q", json!([{"id": "1", "prompt": "one"}]));
    relative["projectPath"] = json!("some/where");
    file(&fake, json!([relative]));
    let ran = fake.tool(&["queue", "run", "q"]);
    assert!(
        ran.code == 2 && ran.err.contains("cannot go to 'some/where', the project of queue 'q'"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("codex-agent queue project q DIR"), "{}", ran.err);
    let ran = fake.tool(&["queue", "project", "q", "nowhere"]);
    assert!(ran.code == 2 && ran.err.contains("cannot change to 'nowhere'"), "{}", ran.err);
    fake.good(&["queue", "project", "q", "."]);
    fake.good(&["queue", "run", "q"]);
    assert_eq!(fake.prompts(), ["one"]);
}

#[test]
fn manual_prompts_alone_are_nothing_that_waits() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--manual", "later"]);
    assert_eq!(fake.good(&["status"]), "");
    queue(&fake, "q", &["now"]);
    let row = fake.good(&["status"]);
    assert!(row.contains("queue\tq\tidle\t1 left\tnow"), "{row}");
}

#[test]
fn a_failure_of_a_later_release_is_read() {
    let fake = Fake::newest();
    let failure = json!({"class": "melted", "message": "m"});
    let prompts = json!([{"id": "1", "prompt": "a", "status": "failed", "failure": failure}, {"id": "2", "prompt": "b"}]);
    file(&fake, json!([odd(&fake, "q", "q", prompts)]));
    assert_eq!(fake.shown("q")[0]["failure"]["class"], "other");
    fake.good(&["queue", "run", "q"]);
    assert_eq!(fake.prompts(), ["b"]);
}
