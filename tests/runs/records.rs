//! The directories of runs: what `run prune` removes, and what can be read beside unreadable files.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::world::fake::{Fake, crash, wait_for_end, wait_until};
use crate::world::json as records;

#[test]
fn a_run_with_a_running_job_is_not_pruned() {
    let fake = Fake::newest();
    let mut runner = fake.start(&["run", "HANG"]);
    fake.wait_for_sent(1);
    wait_until(|| fake.journal().iter().any(|line| line["type"] == "job.spawned"));
    crash(&mut runner);
    // The journal of a run that another process has ended meanwhile.
    let journal = fake.runs()[0].join("journal.ndjson");
    let mut text = fs::read_to_string(&journal).unwrap();
    let counts = json!({"pending": 0, "running": 0, "completed": 0, "failed": 0, "skipped": 0});
    let ended = json!({"type": "run.completed", "v": 1, "run": "x", "at": "2020-01-01T00:00:00.000Z", "counts": counts});
    text.push_str(&format!("{ended}\n"));
    fs::write(&journal, text).unwrap();
    // The name of a run has its age.
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
fn prune_removes_only_runs() {
    let fake = Fake::newest();
    fake.good(&["run", "x"]);
    let runs = fake.0.path("home/.local/state/codex-agent/runs");
    fs::create_dir_all(runs.join("kept/old")).unwrap();
    fs::create_dir_all(fake.0.path("precious/jobs")).unwrap();
    symlink(fake.0.path("precious"), runs.join("link")).unwrap();
    symlink(fake.0.path("precious"), runs.join("20200101T000000Z-new-x-0000")).unwrap();
    fs::write(runs.join("README"), "mine").unwrap();
    let left = runs.join("20200101T000000Z-new-y-0000");
    fs::create_dir_all(left.join("jobs")).unwrap();
    fake.0.ok(&["sh", "-c", "touch -h -d '2 hours ago' \"$0\"/* precious", runs.to_str().unwrap()]);
    let ran = fake.tool(&["run", "prune"]);
    ran.succeeds().reports_exactly("codex-agent-run: removed 0 runs\n");
    for kept in ["kept/old", "link/jobs", "README"] {
        assert!(runs.join(kept).exists(), "{kept}");
    }
    assert!(!left.exists());
    fake.tool(&["run", "-p", "y"]).reports_exactly("");
}

#[test]
fn an_unreadable_queues_file_hides_no_run() {
    let fake = Fake::newest();
    fake.tool(&["run", "-p", "FAIL401", "-p", "two"]).exits(75);
    fake.0.write("home/.config/codex-agent/queues.json", "{");
    let ran = fake.tool(&["status", "--json"]);
    ran.exits(2);
    assert_eq!(records(&ran.out).len(), 1, "{}", ran.err);
    ran.reports("queues.json");
    let ran = fake.tool(&["run", "prune", "--older", "0s"]);
    ran.succeeds().reports("queues.json");
    let ran = fake.tool(&["run", "continue"]);
    ran.exits(75);
    assert_eq!(fake.runs().len(), 1);
}

#[test]
fn readers_ignore_runs_that_are_pruned_meanwhile() {
    let fake = Fake::newest();
    fake.good(&["run", "x"]);
    let id = fake.list()[0]["id"].as_str().unwrap().to_owned();
    fake.0.sh(&format!("echo {id} | codex-agent-group add g"));
    let runs = fake.0.path("home/.local/state/codex-agent/runs");
    let journal = fs::read_to_string(fake.runs()[0].join("journal.ndjson")).unwrap();
    for nth in 0..600 {
        let directory = runs.join(format!("20200101T000000Z-new-x-{nth:04x}"));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("journal.ndjson"), journal.replace("2026-", "2020-")).unwrap();
    }
    let mut pruner = fake.start(&["run", "prune", "--older", "1d"]);
    let mut others = 0;
    while pruner.try_wait().unwrap().is_none() {
        for words in [&["status"][..], &["run", "list"], &["group", "run", "g", "--prompt", "x"]] {
            let ran = fake.tool(words);
            ran.succeeds().never_reports("journal");
        }
        others += 1;
    }
    assert!(others > 0);
}
