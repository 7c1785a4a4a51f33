//! How runs end that are not left alone: runners that are killed, signals, journals that are torn, two
//! runners at once.

use std::fs;
use std::time::{Duration, Instant};

use codex_agent_engine::liveness;
use rustix::process::Signal;
use serde_json::json;

use crate::run_engine::{CODEX, Fake, failures, of_type, signal};
use crate::world::{World, json as records};

#[test]
fn the_runner_is_killed_at_every_step() {
    const ROUNDS: u64 = 40;
    let workers: Vec<_> = (0..2u64)
        .map(|half| {
            std::thread::spawn(move || {
                let mut kills = 0;
                let mut continued = 0;
                for round in (half..ROUNDS).step_by(2) {
                    let fake = Fake::new();
                    let prompts: Vec<String> = (0..5)
                        .map(|n| format!("prompt {n}{}", if n == 2 { " SLOWSTART" } else { "" }))
                        .collect();
                    let words: Vec<&str> =
                        ["-j", "2"].into_iter().chain(prompts.iter().map(String::as_str)).collect();
                    let mut runner = fake.spawn(&words);
                    let mut wait = Duration::from_millis(5 + round * 12);
                    loop {
                        std::thread::sleep(wait);
                        if runner.try_wait().unwrap().is_some() {
                            break;
                        }
                        signal(&runner, Signal::KILL);
                        runner.wait().unwrap();
                        kills += 1;
                        if fake.runs().is_empty() {
                            break;
                        }
                        runner = fake.spawn(&["continue"]);
                        wait = Duration::from_millis(20 + (round * 37 + kills * 61) % 230);
                        continued += 1;
                    }
                    if runner.try_wait().unwrap().is_none() {
                        runner.wait().unwrap();
                    }
                    let begun = records(&fake.0.ok(&["codex-agent-run", "list", "--json"]));
                    if begun.is_empty() {
                        // Killed while it planned: nothing was started, and nothing will be.
                        assert_eq!(fake.sent(), Vec::<String>::new());
                        continue;
                    }
                    let ran = fake.run(&["continue"]);
                    assert_eq!(ran.code, 0, "{}", ran.err);
                    assert_eq!(fake.sent(), prompts, "round {round}");
                    let run = &records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0];
                    assert_eq!((&run["state"], &run["counts"]["completed"]), (&json!("finished"), &json!(5)));
                }
                (kills, continued)
            })
        })
        .collect();
    let (mut kills, mut continued) = (0, 0);
    for worker in workers {
        let (more, again) = worker.join().unwrap();
        kills += more;
        continued += again;
    }
    println!("{kills} kills, {continued} times continued: no prompt twice, none lost");
    assert!(kills >= 30, "only {kills} kills hit");
}

#[test]
fn a_living_job_is_adopted() {
    let fake = Fake::new();
    let mut runner = fake.spawn(&["SLEEPS"]);
    fake.wait_for_sent(1);
    signal(&runner, Signal::KILL);
    runner.wait().unwrap();
    let run = &records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0];
    assert_eq!(run["state"], "dead");
    let (ran, events) = fake.events(&["continue"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let completed = of_type(&events, "job.completed");
    assert_eq!(
        (&completed[0]["adopted"], &completed[0]["last_message"]),
        (&json!(true), &json!("echo: SLEEPS"))
    );
    assert_eq!((fake.sent().len(), of_type(&events, "job.started").len()), (1, 0));
    // One that was cut off is a failure, and only sent again where that was asked for.
    let mut runner = fake.spawn(&["HANGS twice"]);
    fake.wait_for_sent(2);
    signal(&runner, Signal::KILL);
    runner.wait().unwrap();
    let folder = fake.runs().pop().unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    assert!(fake.run(&["stop", name, "--now"]).err.contains("interrupted 1 job"));
    fake.0.script("bin/codex", &CODEX.replace("*HANGS*)", "*NEVER*)"));
    let (ran, events) = fake.events(&["continue", "--interrupted", "retry"]);
    assert_eq!(ran.code, 0, "{} {}", ran.err, ran.out);
    assert_eq!(of_type(&events, "job.started")[0]["resent"], true);
    assert_eq!(fake.sent().len(), 3);
}

#[test]
fn the_first_signal_finishes_and_the_second_stops() {
    for first in [Signal::TERM, Signal::HUP, Signal::INT] {
        let fake = Fake::new();
        let mut runner = fake.spawn(&["-j", "1", "SLEEPS", "next"]);
        fake.wait_for_sent(1);
        signal(&runner, first);
        assert_eq!(runner.wait().unwrap().code(), Some(75), "{first:?}");
        assert_eq!(fake.sent(), ["SLEEPS"]);
        let (ran, events) = fake.events(&["continue"]);
        assert_eq!((ran.code, of_type(&events, "job.completed").len()), (0, 1), "{}", ran.err);
        assert_eq!(fake.sent(), ["SLEEPS", "next"]);
    }
    let fake = Fake::new();
    let mut runner = fake.spawn(&["-j", "1", "HANGS", "next"]);
    fake.wait_for_sent(1);
    let began = Instant::now();
    signal(&runner, Signal::INT);
    std::thread::sleep(Duration::from_millis(100));
    assert!(runner.try_wait().unwrap().is_none());
    signal(&runner, Signal::INT);
    assert_eq!(runner.wait().unwrap().code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(4));
    let events = records(&fake.0.ok(&["codex-agent-run", "log", "--json"]));
    assert_eq!(failures(&events)[0].0, "stopped");
    assert_eq!(
        (&events.last().unwrap()["type"], &events.last().unwrap()["left"]),
        (&json!("run.stopped"), &json!(1))
    );
}

#[test]
fn a_codex_that_ignores_signals_is_killed_and_the_third_signal_leaves_it() {
    let fake = Fake::new();
    let began = Instant::now();
    let (ran, events) = fake.events(&["--timeout", "1s", "DEAF"]);
    assert_eq!((ran.code, &*failures(&events)[0].0), (1, "timeout"));
    assert!((10..16).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let mut runner = fake.spawn(&["DEAF"]);
    fake.wait_for_sent(2);
    for _ in 0..3 {
        signal(&runner, Signal::TERM);
        std::thread::sleep(Duration::from_millis(150));
    }
    assert_eq!(runner.wait().unwrap().code(), Some(130));
    let out = fake.runs().pop().unwrap().join("jobs/1/1.out");
    assert!(liveness::may_be_locked(&out), "the job lives on");
    fake.run(&["stop", fake.runs().pop().unwrap().file_name().unwrap().to_str().unwrap(), "--now"]);
    assert!(!liveness::may_be_locked(&out), "what was told to stop now is stopped in the end");
    let (ran, events) = fake.events(&["continue", "--timeout", "2s"]);
    assert_eq!((ran.code, &*failures(&events)[0].0), (1, "interrupted"), "{}", ran.err);
}

#[test]
fn a_codex_that_stays_after_its_last_word() {
    let fake = Fake::new();
    let began = Instant::now();
    let (ran, events) = fake.events(&["LINGERS", "LEAVES"]);
    assert_eq!((ran.code, of_type(&events, "job.completed").len()), (0, 2), "{}", ran.out);
    assert!((9..18).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[test]
fn a_run_goes_on_without_its_output() {
    let fake = Fake::new();
    let ran = fake.0.sh("codex-agent-run --json -j1 one two three four | head -1");
    assert_eq!(ran.out.lines().count(), 1);
    let patience = Instant::now() + Duration::from_secs(10);
    let state = || records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0]["state"].clone();
    while state() != "finished" {
        assert!(Instant::now() < patience, "{}", state());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(fake.sent(), ["four", "one", "three", "two"]);
}

#[test]
fn a_journal_that_is_torn_or_of_another_release() {
    let fake = Fake::new();
    let mut runner = fake.spawn(&["-j1", "SLEEPS", "next"]);
    fake.wait_for_sent(1);
    signal(&runner, Signal::KILL);
    runner.wait().unwrap();
    let journal = fake.journal();
    let append = |text: &str| {
        use std::io::Write;
        fs::OpenOptions::new().append(true).open(&journal).unwrap().write_all(text.as_bytes()).unwrap();
    };
    append("{\"type\":\"job.completed\",\"job\":\"1\",\"num");
    assert_eq!(records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0]["state"], "dead");
    assert_eq!(fake.run(&["continue"]).code, 0);
    assert_eq!(fake.sent(), ["SLEEPS", "next"]);
    assert!(fs::read_to_string(&journal).unwrap().lines().all(|line| line.ends_with('}')));
    fake.0.foreign();
    append("{\"type\":\"run.stopped\",\"v\":2,\"run\":\"x\"}\n");
    for words in [&["list"][..], &["continue", "Z-new"], &["log", "Z-new"]] {
        let ran = fake.run(words);
        assert!(
            ran.code == 2 && ran.err.contains("journal version 2 is not known here"),
            "{words:?} {}",
            ran.err
        );
    }
    assert_eq!(fake.run(&["prune", "--older", "now"]).code, 0);
    assert!(journal.exists(), "what is not understood is not removed");
}

#[test]
fn one_runner_a_run() {
    let fake = Fake::new();
    let mut runner = fake.spawn(&["-j1", "SLEEPS", "next"]);
    fake.wait_for_sent(1);
    assert!(fake.run(&["continue", "Z-new"]).err.contains("has a runner"));
    signal(&runner, Signal::KILL);
    runner.wait().unwrap();
    let mut both = [fake.spawn(&["continue", "Z-new"]), fake.spawn(&["continue", "Z-new"])];
    let mut codes = both.each_mut().map(|child| child.wait().unwrap().code().unwrap());
    codes.sort_unstable();
    assert_eq!(codes, [0, 2]);
    assert_eq!(fake.sent(), ["SLEEPS", "next"]);
    assert_eq!(fake.run(&["stop", "nothing"]).code, 1);
    let ran = fake.run(&["prune", "--older", "now"]);
    assert!(ran.err.contains("removed 1 run"), "{}", ran.err);
    assert_eq!(fake.runs().len(), 0);
}

#[test]
fn two_who_ask_at_once_do_not_see_each_other() {
    let world = World::new();
    let path = world.write("out", "");
    let ask = || {
        let path = path.clone();
        std::thread::spawn(move || (0..10_000).filter(|_| liveness::may_be_locked(&path)).count())
    };
    let free = [ask(), ask()].map(|prober| prober.join().unwrap());
    assert_eq!(free, [0, 0], "a prober saw the other one");
    let holder = fs::File::open(&path).unwrap();
    holder.lock().unwrap();
    assert_eq!([ask(), ask()].map(|prober| prober.join().unwrap()), [10_000, 10_000]);
}

/// A child that a runner had just made when it was killed holds the lock of the journal for a moment.
#[test]
fn a_lock_that_outlives_its_runner_for_a_moment_hides_no_work() {
    let fake = Fake::new();
    let mut runner = fake.spawn(&["-j1", "SLEEPS", "next"]);
    fake.wait_for_sent(1);
    signal(&runner, Signal::KILL);
    runner.wait().unwrap();
    let lock = fs::File::open(fake.runs()[0].join("journal.ndjson")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut more = fake.spawn(&["continue"]);
    std::thread::sleep(Duration::from_millis(200));
    drop(lock);
    assert_eq!(more.wait().unwrap().code(), Some(0));
    assert_eq!(fake.sent(), ["SLEEPS", "next"]);
}
