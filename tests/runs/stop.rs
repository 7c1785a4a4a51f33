//! Stopping a run: by signals, by `run stop`, and a Codex that ignores both.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use codex_agent_engine::liveness;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use crate::world::fake::{Fake, end, failures, of_type, signal, wait_until};
use crate::world::json as records;
use crate::world::script::{Scripted, failure_messages};

#[test]
fn a_stopped_terminal_does_not_block_signals() {
    for stream in ["out", "err"] {
        let fake = Fake::newest();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = fs::File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut words = vec!["run", "-j1", "--answers"];
        let prompts: Vec<String> = (0..60)
            .map(|n| format!("{} {n} {}", if stream == "err" { "FAIL400" } else { "" }, "z".repeat(300)))
            .collect();
        words.extend(prompts.iter().flat_map(|prompt| ["-p", prompt.as_str()]));
        words.extend(["-p", "HANG"]);
        let mut command = fake.started(&words);
        let end_of = |stream: fs::File| Stdio::from(OwnedFd::from(stream));
        match stream {
            "out" => command.stdout(end_of(slave)).stderr(Stdio::null()),
            _ => command.stdout(Stdio::null()).stderr(end_of(slave)),
        };
        let mut runner = command.spawn().unwrap();
        drop(command);
        // The terminal is not read, and the run reaches its last job all the same.
        fake.wait_for_sent(61);
        signal(&runner, Signal::TERM);
        signal(&runner, Signal::TERM);
        wait_until(|| {
            fake.journal().iter().any(|line| line["type"] == "run.completed" || line["type"] == "run.stopped")
        });
        signal(&runner, Signal::TERM);
        let code = end(&mut runner);
        assert!([130, 128 + 15].contains(&code), "{stream}: {code}");
        drop(master);
    }
}

#[test]
fn the_first_signal_finishes_and_the_second_stops() {
    for first in [Signal::TERM, Signal::HUP, Signal::INT] {
        let fake = Scripted::new();
        let mut runner = fake.spawn(&["-j", "1", "-p", "SLEEPS", "-p", "next"]);
        fake.wait_for_sent(1);
        signal(&runner, first);
        assert_eq!(end(&mut runner), 75, "{first:?}");
        assert_eq!(fake.sent(), ["SLEEPS"]);
        let (ran, events) = fake.events(&["continue"]);
        ran.succeeds();
        assert_eq!(of_type(&events, "job.completed").len(), 1, "{}", ran.err);
        assert_eq!(fake.sent(), ["SLEEPS", "next"]);
    }
    let fake = Scripted::new();
    let mut runner = fake.spawn(&["-j", "1", "-p", "HANGS", "-p", "next"]);
    fake.wait_for_sent(1);
    let began = Instant::now();
    signal(&runner, Signal::INT);
    std::thread::sleep(Duration::from_millis(100));
    assert!(runner.try_wait().unwrap().is_none());
    signal(&runner, Signal::INT);
    assert_eq!(end(&mut runner), 130);
    assert!(began.elapsed() < Duration::from_secs(4));
    let events = records(&fake.0.ok(&["codex-agent-run", "log", "--json"]));
    assert_eq!(failure_messages(&events)[0].0, "stopped");
    assert_eq!(
        (&events.last().unwrap()["type"], &events.last().unwrap()["left"]),
        (&json!("run.stopped"), &json!(1))
    );
}

#[test]
fn a_codex_that_ignores_signals_is_killed_and_the_third_signal_leaves_it() {
    let fake = Scripted::new();
    let began = Instant::now();
    let (ran, events) = fake.events(&["--timeout", "1s", "DEAF"]);
    ran.exits(1);
    assert_eq!(&*failure_messages(&events)[0].0, "timeout");
    assert!((10..16).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let mut runner = fake.spawn(&["DEAF"]);
    fake.wait_for_sent(2);
    for _ in 0..3 {
        signal(&runner, Signal::TERM);
    }
    assert_eq!(end(&mut runner), 130);
    let out = fake.runs().pop().unwrap().join("jobs/1/1.out");
    assert!(liveness::may_be_locked(&out), "the job lives on");
    fake.run(&["stop", fake.runs().pop().unwrap().file_name().unwrap().to_str().unwrap(), "--now"]);
    assert!(!liveness::may_be_locked(&out), "what was told to stop now is stopped in the end");
    let (ran, events) = fake.events(&["continue", "--timeout", "2s"]);
    ran.exits(1);
    assert_eq!(&*failure_messages(&events)[0].0, "interrupted", "{}", ran.err);
}

#[test]
fn a_codex_that_stays_after_its_last_event_is_ended() {
    let fake = Scripted::new();
    let began = Instant::now();
    let (ran, events) = fake.events(&["-p", "LINGERS", "-p", "LEAVES"]);
    ran.succeeds();
    assert_eq!(of_type(&events, "job.completed").len(), 2, "{}", ran.out);
    assert!((9..18).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[test]
fn stop_now_after_stop_ends_the_running_job() {
    let fake = Fake::newest();
    let mut runner = fake.start(&["run", "-j1", "-p", "HANG", "-p", "next"]);
    fake.wait_for_sent(1);
    let run = fake.runs().pop().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    fake.good(&["run", "stop", &run]);
    fake.good(&["run", "stop", &run, "--now"]);
    fake.good(&["run", "stop", &run, "--now"]);
    assert_eq!(end(&mut runner), 130);
    let events = fake.journal();
    assert!(failures(&events).contains(&"stopped".to_owned()), "{events:?}");
    assert_eq!(events.last().unwrap()["type"], "run.stopped");
}
