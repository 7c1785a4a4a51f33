//! The output of a run, and the output of Codex that it reads.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::queue::queue;
use crate::world::fake::{Fake, end, wait_until};
use crate::world::json as records;
use crate::world::script::Scripted;

#[test]
fn a_full_standard_output_is_reported() {
    let fake = Fake::newest();
    let full = |words: &[&str]| {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = fake.started(words).stdout(full).stderr(Stdio::piped()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    queue(&fake, "q", &["one", "two"]);
    for words in [&["run", "--answers", "hello"][..], &["run", "--json", "hello"], &["queue", "run", "q"]] {
        let (code, err) = full(words);
        assert!(
            code == 2 && err.contains("cannot write to standard output: no space left"),
            "{words:?} {code} {err}"
        );
        assert!(err.contains("the run itself continued; 'codex-agent run log "), "{words:?} {err}");
    }
    assert_eq!(fake.prompts(), ["hello", "hello", "one", "two"]);
    let (code, err) = full(&["queue", "log", "q"]);
    assert!(code == 2 && err.contains("no space left"), "{err}");
    let (code, err) = full(&["queue", "add", "q", "three", "--json"]);
    assert!(code == 2 && err.contains("the change of the queue itself was saved"), "{err}");
    assert_eq!(fake.each("q", "prompt"), ["one", "two", "three"]);
}

#[test]
fn a_heading_precedes_the_messages_of_codex() {
    let fake = Fake::newest();
    let (ran, events) = fake.events(&["run", "--events", "-p", "a", "-p", "b"]);
    ran.succeeds();
    for job in ["1", "2"] {
        let of_job = events.iter().filter(|event| event["job"] == job);
        let words: Vec<&str> = of_job.map(|event| event["type"].as_str().unwrap()).collect();
        let place = |word: &str| words.iter().position(|own| *own == word).unwrap();
        assert!(place("job.session") < place("job.event"), "{words:?}");
        assert_eq!(words.last(), Some(&"job.completed"), "{words:?}");
    }
}

#[test]
fn a_run_continues_without_its_reader() {
    let fake = Scripted::new();
    let ran = fake.0.sh("codex-agent-run --json -j1 -p one -p two -p three -p four | head -1");
    assert_eq!(ran.out.lines().count(), 1);
    let state = || records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0]["state"].clone();
    wait_until(|| state() == "finished");
    assert_eq!(fake.sent(), ["four", "one", "three", "two"]);
}

#[test]
fn a_stopped_reader_does_not_delay_a_run() {
    let fake = Fake::newest();
    let long = "x".repeat(300_000);
    let input = format!("{long}\n{long} two\nthree MS1500\nfour\n");
    fake.0.write("work/input", input);
    let mut command = fake.0.command("sh");
    command
        .args(["-c", "exec codex-agent-run -j1 --json - < input"])
        .current_dir(fake.0.path("work"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut runner = command.spawn().unwrap();
    fake.wait_for_sent(3);
    kill_process(Pid::from_child(&runner), Signal::TERM).unwrap();
    wait_until(|| fake.journal().last().is_some_and(|line| line["type"] == "run.stopped"));
    // The unread rest can still be read.
    let mut text = String::new();
    runner.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(end(&mut runner), 75);
    assert_eq!(records(&text).last().unwrap()["type"], "run.stopped");
    assert_eq!(fake.sent().len(), 3);
}

#[test]
fn a_line_of_a_hundred_megabytes_is_one_event() {
    let fake = Fake::newest();
    let ran = fake.tool(&["run", "--json", "LONGLINE"]);
    let events = records(&ran.out);
    let done = events.iter().find(|event| event["type"] == "job.completed").unwrap();
    ran.succeeds();
    assert_eq!(&done["last_message"], &json!("echo: LONGLINE"), "{}", ran.err);
    let out = fs::metadata(fake.out(1)).unwrap().len();
    assert!(out > 100_000_000, "{out}");
}
