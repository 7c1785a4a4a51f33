//! Stopping a runner: by `queue stop`, by signals, and while its streams or its file are blocked.

use std::fs;
use std::io::{PipeReader, Read, Write};
use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;

use crate::queue::queue;
use crate::world::fake::{Fake, crash, end, of_type, signal, wait_until};
use crate::world::json as records;

#[test]
fn a_stop_ends_the_runner_and_keeps_pending_prompts() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS700", "two", "HANG", "four"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    let ran = fake.tool(&["queue", "stop", "q"]);
    ran.succeeds().reports("stopping run ");
    assert_eq!(end(&mut runner), 75);
    assert_eq!(fake.each("q", "status"), ["completed", "pending", "pending", "pending"]);
    assert!(fake.good(&["queue", "list"]).starts_with("q\tidle\t3\t"));
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(3);
    fake.good(&["queue", "stop", "--now", "q"]);
    assert_eq!(end(&mut runner), 130);
    assert_eq!(fake.each("q", "status"), ["completed", "completed", "failed", "pending"]);
    assert_eq!(fake.shown("q")[2]["failure"]["class"], "stopped");
    fake.tool(&["queue", "run", "q"]).exits(1);
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

#[test]
fn a_signal_stops_the_runner_of_a_new_run() {
    let fake = Fake::newest();
    queue(&fake, "q", &["HANG", "MS700", "three"]);
    fake.interrupt(&["queue", "run", "q"]);
    let mut runner = fake.start(&["queue", "run", "q", "--new"]);
    fake.wait_for_sent(2);
    signal(&runner, Signal::TERM);
    assert_eq!(end(&mut runner), 75, "the running job is completed");
    assert_eq!(fake.each("q", "status"), ["failed", "completed", "pending"]);
    assert_eq!(fake.journal().last().unwrap()["type"], "run.stopped");
}

#[test]
fn a_signal_before_the_first_job_starts_none() {
    let mut fake = Fake::newest();
    let real = fake.0.path("bin/codex");
    let slow = format!(
        "#!/bin/sh\ncase $1 in --version) : > asked; sleep 1;; esac\nexec {} \"$@\"\n",
        real.display()
    );
    let slow = fake.0.script("bin/slow", &slow);
    fake.0.set("CODEX_AGENT_CODEX", slow.to_str().unwrap());
    queue(&fake, "q", &["one"]);
    let mut runner = fake.start(&["queue", "run", "q", "--sandbox", "read-only"]);
    wait_until(|| fake.0.path("work/asked").exists());
    signal(&runner, Signal::TERM);
    let code = end(&mut runner);
    assert!(code == 128 + 15 || code == 75, "{code}");
    assert!(fake.sent().is_empty());
    assert_eq!(fake.each("q", "status"), ["pending"]);
    // The options of the first run hold although none of its jobs was started.
    let (ran, _) = fake.events(&["queue", "run", "q"]);
    ran.succeeds().reports("1 to send, read-only;");
    assert!(fake.sent()[0]["argv"].to_string().contains("--sandbox=read-only"));
}

#[test]
fn a_locked_file_does_not_block_signals() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS300", "HANG", "three"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(2);
    let lock = fs::File::open(fake.0.config("queues.json.lock")).unwrap();
    lock.lock().unwrap();
    // The runner tries to save the file each second, and meets the lock.
    std::thread::sleep(Duration::from_millis(1500));
    signal(&runner, Signal::TERM);
    signal(&runner, Signal::USR1);
    wait_until(|| fake.journal().iter().any(|line| line["type"] == "run.stopped"));
    drop(lock);
    assert_eq!(end(&mut runner), 130);
    assert_eq!(fake.each("q", "status"), ["completed", "failed", "pending"]);
}

#[test]
fn repeated_hangups_count_as_one_signal() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS1200", "two"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    for _ in 0..4 {
        signal(&runner, Signal::HUP);
    }
    assert_eq!(end(&mut runner), 75, "what runs is finished");
    assert_eq!(fake.each("q", "status"), ["completed", "pending"]);
    // And a stop after it is the second.
    queue(&fake, "q", &["HANG"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(3);
    signal(&runner, Signal::HUP);
    signal(&runner, Signal::TERM);
    assert_eq!(end(&mut runner), 130);
}

/// Starts a tool whose output and errors go into one pipe, which is not read yet.
fn unread(fake: &Fake, words: &[&str]) -> (Child, PipeReader) {
    let (ours, mut theirs) = std::io::pipe().unwrap();
    // A full pipe, but for a few words.
    theirs.write_all(&vec![b'\n'; (64 << 10) - 4096]).unwrap();
    let again = theirs.try_clone().unwrap();
    (fake.started(words).stdout(theirs).stderr(again).spawn().unwrap(), ours)
}

#[test]
fn an_unread_pipe_delays_only_the_end_of_a_runner() {
    let fake = Fake::newest();
    let prompts: Vec<String> = (0..60).map(|n| format!("prompt {n} {}", "x".repeat(500))).collect();
    queue(&fake, "q", &prompts.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut runner, mut pipe) = unread(&fake, &["queue", "run", "q", "--json", "--max-failures", "9"]);
    fake.wait_for_sent(60);
    wait_until(|| fake.each("q", "status").iter().all(|status| status == "completed"));
    // The runner waits for its reader, and holds no lock.
    wait_until(|| fake.queues()["queues"][0].get("run").is_none());
    assert!(runner.try_wait().unwrap().is_none());
    queue(&fake, "q", &["another"]);
    fake.tool(&["queue", "run", "q"]).succeeds();
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
fn errors_in_an_unread_pipe_do_not_block_signals() {
    let fake = Fake::newest();
    let long = "y".repeat(300);
    // With '--answers', each failure is reported on standard error.
    let prompts: Vec<String> = (0..40).map(|n| format!("FAIL400 {n} {long}")).collect();
    queue(&fake, "q", &prompts.iter().map(String::as_str).collect::<Vec<_>>());
    queue(&fake, "q", &["HANG", "next"]);
    let (mut runner, pipe) = unread(&fake, &["queue", "run", "q", "--answers"]);
    fake.wait_for_sent(41);
    wait_until(|| fake.journal().iter().filter(|line| line["type"] == "job.spawned").count() == 41);
    // The running job is stopped, and the runner waits only for the pipe.
    signal(&runner, Signal::INT);
    signal(&runner, Signal::INT);
    wait_until(|| fake.journal().iter().any(|line| line["type"] == "run.stopped"));
    assert_eq!(fake.each("q", "status")[40..], ["failed", "pending"]);
    signal(&runner, Signal::INT);
    let code = end(&mut runner);
    assert!(code == 130, "it ends by the signal, or as one that was interrupted: {code}");
    drop(pipe);
}

#[test]
fn a_job_that_ignores_signals_is_killed() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "DEAF"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    crash(&mut runner);
    let ran = fake.tool(&["queue", "stop", "--now", "q"]);
    ran.succeeds().reports("interrupted 1 job");
    fake.good(&["queue", "delete", "q"]);
}
