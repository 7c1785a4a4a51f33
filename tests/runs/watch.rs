//! Watching runs, and which run is the newest.

use codex_agent_engine::liveness;
use rustix::process::Signal;
use serde_json::Value;

use crate::world::fake::{Fake, crash, end, of_type, signal, wait_until, wait_until_open};
use crate::world::json as records;

#[test]
fn a_run_that_never_began_is_not_the_newest() {
    let fake = Fake::newest();
    fake.good(&["run", "x"]);
    let mut planner = fake.started(&["run", "-"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(planner.stdin.as_mut().unwrap(), b"planned\n").unwrap();
    wait_until(|| fake.runs().len() == 2);
    let ran = fake.tool(&["run", "log"]);
    ran.succeeds().shows("job.completed");
    let events: Vec<Value> = records(&fake.good(&["run", "log", "--json"]));
    assert_eq!(of_type(&events, "run.completed").len(), 1);
    crash(&mut planner);
    let ran = fake.tool(&["run", "watch"]);
    ran.succeeds().shows("job.completed");
}

#[test]
fn a_watcher_exits_with_the_status_of_the_run() {
    for prompts in [&["SLEEP30 a"][..], &["-p", "SLEEP30 a", "-p", "b"]] {
        let fake = Fake::newest();
        let mut runner = fake.start(&[&["run", "-j", "1"], prompts].concat());
        fake.wait_for_sent(1);
        let mut watcher = fake.start(&["run", "watch"]);
        wait_until_open(&watcher, &fake.runs()[0]);
        for _ in 0..2 {
            signal(&runner, Signal::TERM);
        }
        assert_eq!((end(&mut runner), end(&mut watcher)), (130, 130), "{prompts:?}");
    }
}

#[test]
fn a_planned_run_is_watched_to_its_end() {
    let fake = Fake::newest();
    fake.good(&["run", "-p", "old"]);
    let mut planner = fake.started(&["run", "-"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdin = planner.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"planned\n").unwrap();
    wait_until(|| fake.runs().len() == 2);
    let planned = fake.runs().pop().unwrap();
    let journal = planned.join("journal.ndjson");
    wait_until(|| journal.exists() && liveness::may_be_locked(&journal));
    let watcher =
        fake.started(&["run", "watch", "--answers"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    wait_until_open(&watcher, &planned);
    drop(stdin);
    let output = watcher.wait_with_output().unwrap();
    assert_eq!(
        (end(&mut planner), String::from_utf8(output.stdout).unwrap().as_str()),
        (0, "echo: planned\n")
    );
}
