//! Queues whose runner or Codex was killed: no prompt is sent twice, and none is lost.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::queue::queue;
use crate::world::fake::{Fake, crash, end, of_type, wait_for_end, wait_until};
use crate::world::{Dice, json as records};

/// Runs the queue `q`, and kills the runner when the first prompt has a session.
fn crash_in_the_first_turn(fake: &Fake) {
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    wait_until(|| !fake.each("q", "session")[0].is_empty());
    crash(&mut runner);
}

#[test]
fn a_queue_whose_job_still_runs_is_not_deleted_or_run_anew() {
    let fake = Fake::newest();
    queue(&fake, "q", &["HANG", "next"]);
    crash_in_the_first_turn(&fake);
    for words in [&["delete", "q"][..], &["run", "--new", "q"]] {
        let ran = fake.tool(&[&["queue"], words].concat());
        ran.exits(2).reports("but a job is still running");
        ran.reports("queue stop --now q");
    }
    let ran = fake.tool(&["queue", "edit", "q", "1", "x"]);
    ran.exits(2).reports("'codex-agent queue run q' reads the result");
    assert_eq!(fake.prompts(), ["HANG"]);
    fake.tool(&["queue", "stop", "--now", "q"]).reports("interrupted 1 job");
    wait_for_end(&fake.out(1));
    // The outcome of the job is read and recorded before the run is abandoned.
    fake.tool(&["queue", "run", "--new", "q"]).succeeds();
    assert_eq!(fake.each("q", "status"), ["failed", "completed"]);
    assert_eq!(fake.prompts(), ["HANG", "next"]);
    let journal = fs::read_to_string(fake.runs()[0].join("journal.ndjson")).unwrap();
    let journal = records(&journal);
    let last = journal.last().unwrap();
    assert_eq!((&last["type"], &last["why"]), (&json!("run.stopped"), &json!("abandoned")));
    assert_eq!((&last["counts"]["failed"], &last["counts"]["running"]), (&json!(1), &json!(0)));
}

#[test]
fn a_prompt_that_completed_without_a_runner_counts_as_completed() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS300", "next"]);
    crash_in_the_first_turn(&fake);
    wait_for_end(&fake.out(1));
    fake.tool(&["queue", "run", "--new", "q"]).succeeds();
    assert_eq!(fake.each("q", "status"), ["completed", "completed"]);
    assert_eq!(fake.prompts(), ["MS300", "next"]);
    // The log of the run of a deleted queue records the outcome too.
    let fake = Fake::newest();
    queue(&fake, "q", &["MS300", "next"]);
    crash_in_the_first_turn(&fake);
    wait_for_end(&fake.out(1));
    fake.good(&["queue", "delete", "q"]);
    let log = fake.journal();
    assert_eq!(of_type(&log, "job.completed").len(), 1);
    assert_eq!(log.last().unwrap()["why"], "deleted");
    assert_eq!(fake.good(&["status"]), "");
}

/// A queue whose runner was killed while its first prompt was at the model, with one more behind it.
pub fn killed(fake: &Fake, first: &str) {
    queue(fake, "q", &[first, "next"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    crash(&mut runner);
}

#[test]
fn a_torn_journal_is_repaired_and_an_unknown_one_kept() {
    let append = |fake: &Fake, text: &str| {
        use std::io::Write;
        let journal = fake.runs().pop().unwrap().join("journal.ndjson");
        fs::OpenOptions::new().append(true).open(journal).unwrap().write_all(text.as_bytes()).unwrap();
    };
    let fake = Fake::newest();
    killed(&fake, "MS300");
    append(&fake, "{\"type\":\"job.failed\",\"job\":\"");
    assert_eq!(fake.each("q", "status"), ["running", "pending"]);
    fake.tool(&["queue", "run", "q"]).succeeds();
    assert_eq!(fake.prompts(), ["MS300", "next"]);
    assert_eq!(fake.each("q", "status"), ["completed", "completed"]);

    let fake = Fake::newest();
    killed(&fake, "MS300");
    wait_for_end(&fake.out(1));
    fake.0.foreign();
    append(&fake, "{\"type\":\"run.stopped\",\"v\":2,\"run\":\"x\"}\n");
    let run = fake.runs().pop().unwrap();
    let before = fs::read(run.join("journal.ndjson")).unwrap();
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.exits(2).reports("journal version 2 is unknown");
    ran.reports("queue run --new q");
    // Another queue is not affected.
    queue(&fake, "other", &["of another"]);
    fake.tool(&["queue", "run", "other"]).succeeds();
    let ran = fake.tool(&["queue", "list"]);
    ran.shows("other\tidle\t0\t0\t1\t0\t");
    let ran = fake.tool(&["queue", "run", "--new", "q"]);
    ran.succeeds();
    assert_eq!(fs::read(run.join("journal.ndjson")).unwrap(), before);
    // The sent prompts of this run are unknown, so that only those in the file are not sent again.
    assert_eq!(fake.prompts().last().unwrap(), "next");
}

#[test]
fn the_prompt_of_a_killed_codex_is_not_resent() {
    for adopted in [false, true] {
        let fake = Fake::newest();
        queue(&fake, "q", &["HANG", "next"]);
        let mut runner = fake.start(&["queue", "run", "q"]);
        fake.wait_for_sent(1);
        wait_until(|| !fake.each("q", "session")[0].is_empty());
        if adopted {
            crash(&mut runner);
            assert!(fake.good(&["queue", "list"]).starts_with("q\tdead\t1\t1\t"));
        }
        kill_process(Pid::from_raw(fake.pid()).unwrap(), Signal::KILL).unwrap();
        let left = end(&mut runner);
        let code = if adopted { fake.tool(&["queue", "run", "q"]).code } else { left };
        assert_eq!((code, fake.prompts()), (1, vec!["HANG".to_owned(), "next".to_owned()]));
        let first = &fake.shown("q")[0];
        assert_eq!((&first["status"], &first["failure"]["class"]), (&json!("failed"), &json!("interrupted")));
    }
}

#[test]
fn two_runners_send_nothing_twice() {
    for _ in 0..3 {
        let fake = Fake::newest();
        queue(&fake, "q", &["MS1500", "b", "c"]);
        let mut both = [fake.start(&["queue", "run", "q"]), fake.start(&["queue", "run", "q"])];
        let mut codes = both.each_mut().map(end);
        codes.sort_unstable();
        assert_eq!((codes, fake.prompts().len()), ([0, 2], 3));
    }
}

#[test]
fn a_runner_that_waits_for_another_keeps_no_file_locked() {
    for _ in 0..3 {
        let fake = Fake::newest();
        queue(&fake, "q", &["MS200"]);
        let mut first = fake.start(&["queue", "run", "q"]);
        fake.wait_for_sent(1);
        fake.good(&["queue", "add", "q", "next"]);
        fake.good(&["queue", "mode", "q", "2", "manual"]);
        // The first runner ends while the second one waits for it.
        let mut second = fake.start(&["queue", "run", "q"]);
        assert_eq!((end(&mut first), end(&mut second)), (0, 0));
        assert_eq!(fake.prompts(), ["MS200"]);
    }
}

#[test]
fn a_file_that_is_replaced_without_a_lock_sends_nothing_twice() {
    let fake = Fake::newest();
    // A large file takes long to read, and is replaced between two reads.
    let filler = vec!["x".repeat(2_000); 500];
    let manual: Vec<&str> = ["queue", "add", "q", "--manual"]
        .into_iter()
        .chain(filler.iter().flat_map(|prompt| ["-p", prompt.as_str()]))
        .collect();
    fake.good(&manual);
    let prompts: Vec<String> = (0..25).map(|n| format!("prompt {n} MS20")).collect();
    let prompts: Vec<&str> = ["queue", "add", "q"]
        .into_iter()
        .chain(prompts.iter().flat_map(|prompt| ["-p", prompt.as_str()]))
        .collect();
    fake.good(&prompts);
    let file = fake.0.config("queues.json");
    let mut runner = fake.start(&["queue", "run", "q"]);
    let mut replaced = 0;
    while runner.try_wait().unwrap().is_none() && replaced < 100 {
        let mut all: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let prompts = all["queues"][0]["prompts"].as_array_mut().unwrap();
        if prompts[0]["prompt"] == "extra" {
            prompts.remove(0);
        } else {
            let mut extra = prompts[0].clone();
            (extra["id"], extra["prompt"]) =
                (json!(format!("00000000-0000-4000-8000-{replaced:012}")), json!("extra"));
            prompts.insert(0, extra);
        }
        let new = file.with_extension("new");
        fs::write(&new, all.to_string()).unwrap();
        fs::rename(&new, &file).unwrap();
        replaced += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    fake.tool(&["queue", "stop", "q"]);
    end(&mut runner);
    let sent = fake.prompts();
    let distinct: std::collections::BTreeSet<&String> = sent.iter().collect();
    assert!(sent.len() > 3 && replaced > 10, "{} prompts, {replaced} files", sent.len());
    assert_eq!(distinct.len(), sent.len(), "{sent:?}");
    assert!(sent.iter().all(|prompt| prompt.starts_with("prompt ")), "{sent:?}");
}

#[test]
fn a_queue_of_one_session_keeps_it_after_a_crash() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--one-session", "-p", "one", "-p", "HANGSTART"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    // The first prompt is completed in the journal, and the file hardly knows its session yet.
    let spawned = || fake.journal().iter().filter(|line| line["type"] == "job.spawned").count();
    wait_until(|| spawned() == 2);
    crash(&mut runner);
    kill_process(Pid::from_raw(fake.pid()).unwrap(), Signal::KILL).unwrap();
    wait_for_end(&fake.out(2));
    if !fake.queues()["queues"][0]["sessionId"].is_null() {
        println!("the kill came too late to tell anything");
    }
    // Nothing was sent of the second one, so that it is started again: in the same session.
    let mut runner = fake.start(&["queue", "run", "q"]);
    wait_until(|| spawned() == 3);
    let words = fs::read(format!("/proc/{}/cmdline", fake.pid())).unwrap();
    let words = String::from_utf8(words).unwrap();
    fake.good(&["queue", "stop", "--now", "q"]);
    assert_eq!(end(&mut runner), 130);
    let session = fake.sent()[0]["session"].as_str().unwrap().to_owned();
    assert!(words.contains(&format!("resume\0{session}\0")), "{words:?}");
}

/// Kills runners of a queue at swept moments until nothing is left. Gives the kills.
fn drain(seed: u64, one_session: bool) -> u32 {
    let fake = Fake::newest();
    let mut dice = Dice(seed);
    let prompts: Vec<String> = (0..8).map(|n| format!("prompt {n} MS{}", n % 3 * 10)).collect();
    let mut words = vec!["queue", "add", "q"];
    if one_session {
        words.push("--one-session");
    }
    words.extend(prompts.iter().flat_map(|prompt| ["-p", prompt.as_str()]));
    fake.good(&words);
    let mut kills = 0;
    loop {
        let mut runner = fake.start(&["queue", "run", "q"]);
        // Longer each time, as a busy machine may need more than that to begin.
        std::thread::sleep(Duration::from_micros(2000 + dice.below(45_000 + u64::from(kills) * 500)));
        if let Some(status) = runner.try_wait().unwrap() {
            assert!(status.success(), "{status} {:?}", fake.tool(&["queue", "run", "q"]));
            if fake.each("q", "status").iter().all(|status| status == "completed") {
                break;
            }
        } else {
            crash(&mut runner);
            kills += 1;
        }
        assert!(kills < 2000, "it never ends: {:?}", fake.each("q", "status"));
    }
    assert_eq!(fake.prompts(), prompts, "seed {seed}");
    let sent = fake.sent();
    if one_session {
        assert!(sent.iter().all(|line| line["session"] == sent[0]["session"]), "seed {seed}: {sent:?}");
    }
    kills
}

#[test]
fn runners_killed_at_swept_moments_send_each_prompt_once() {
    let workers = [0u64, 1, 2].map(|worker| {
        std::thread::spawn(move || (0..6).map(|n| drain(worker * 100 + n, n % 2 == 1)).sum::<u32>())
    });
    let kills: u32 = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    println!("{kills} kills of 'queue run': no prompt twice, none lost");
    assert!(kills >= 60, "only {kills} kills hit");
}
