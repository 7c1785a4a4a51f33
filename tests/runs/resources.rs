//! Runs with little memory, few descriptors, a full disk, a changed clock, and many at a time.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::runs::{job, script};
use crate::world::fake::{Fake, crash, end, failures, of_type, wait_until};
use crate::world::json as records;
use crate::world::script::Scripted;

#[test]
fn two_hundred_jobs_need_constant_memory_and_few_descriptors() {
    let fake = Scripted::new();
    let input: String = (0..200).map(|n| format!("job {n}\n")).collect();
    fake.0.write("prompts", input);
    let mut command = fake.0.command("sh");
    command.args(["-c", "exec codex-agent-run -j 16 --json - < prompts"]).stdout(Stdio::null());
    let mut runner = command.stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", runner.id());
    let descriptors = format!("/proc/{}/fd", runner.id());
    let (mut early, mut most, mut open) = (0, 0, 0);
    while runner.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = kib.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0);
        open = open.max(fs::read_dir(&descriptors).map_or(0, Iterator::count));
        let done = fake.sent().len();
        if done < 40 {
            early = early.max(kib);
        }
        most = most.max(kib);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(end(&mut runner), 0);
    assert_eq!(fake.sent().len(), 200);
    println!("200 jobs at 16: {early} KiB early, {most} KiB at most, {open} descriptors");
    assert!(most < 30 << 10 && most < early + 4096, "{early} KiB, then {most} KiB");
    // Three for each kind of signal, some for the journal and the locks.
    assert!(open < 16 + 27, "{open} descriptors");
}

#[test]
fn waiting_jobs_use_no_cpu() {
    let fake = Fake::newest();
    let id = fake.begin("mine");
    let input: String = (0..200)
        .map(|n| job(json!({"type": "job", "session": id, "prompt": format!("{n} MS400")})))
        .collect();
    fake.0.write("work/input", input);
    // All jobs but one wait for their session, and signals are ignored.
    let line = "trap '' INT TERM HUP; exec codex-agent-run --jobs < input";
    let mut command = fake.0.command("sh");
    command.args(["-c", line]).current_dir(fake.0.path("work")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut runner = command.spawn().unwrap();
    fake.wait_for_sent(6);
    let stat = fs::read_to_string(format!("/proc/{}/stat", runner.id())).unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 1..].split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    kill_process(Pid::from_child(&runner), Signal::KILL).unwrap();
    runner.wait().unwrap();
    assert!(ticks < 100, "{ticks} ticks of CPU for two seconds of waiting");
}

#[test]
fn a_full_disk_sends_nothing_twice_and_loses_nothing() {
    for free in [40, 80, 130, 200] {
        let fake = Fake::newest();
        let state = fake.0.path("state");
        fs::create_dir(&state).unwrap();
        let mounted = fake.0.sh(&format!("mount -t tmpfs -o size=320k,mode=700 none {}", state.display()));
        if mounted.code != 0 {
            eprintln!("SKIPPED: no file system can be mounted here: {}", mounted.err);
            return;
        }
        let run = |words: &[&str]| {
            let mut command = fake.started(&[&["run"], words].concat());
            command.env("CODEX_AGENT_STATE_HOME", &state).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().unwrap().code()
        };
        fs::write(state.join("ballast"), vec![0; (320 - free) << 10]).unwrap();
        let prompts: Vec<String> = (0..8).map(|n| format!("prompt {n}")).collect();
        let words: Vec<&str> = ["-j", "2"]
            .into_iter()
            .chain(prompts.iter().flat_map(|prompt| ["-p", prompt.as_str()]))
            .collect();
        let first = run(&words);
        fs::remove_file(state.join("ballast")).unwrap();
        let began = Path::new(&state).join("runs").read_dir().is_ok_and(|mut runs| runs.next().is_some());
        let mut last = first;
        for _ in 0..3 {
            if began && last != Some(0) && last != Some(1) {
                last = run(&["continue"]);
            }
        }
        let mut sent = fake.prompts();
        let all = sent.len();
        sent.sort();
        sent.dedup();
        assert_eq!(sent.len(), all, "{free} KiB free: something was sent twice");
        if last == Some(0) {
            assert!(all == 8 || all == 0, "{free} KiB free: {sent:?}");
        }
        fake.0.sh(&format!("umount {}", state.display())).succeeds();
        println!("{free} KiB free: first {first:?}, then {last:?}, {all} sent");
    }
}

#[test]
fn a_clock_that_was_set_back_stops_no_run() {
    let fake = Fake::newest();
    let mut runner = fake.start(&["run", "-j1", "-p", "one MS800", "-p", "two"]);
    fake.wait_for_sent(1);
    runner.kill().unwrap();
    runner.wait().unwrap();
    let journal = fake.runs().pop().unwrap().join("journal.ndjson");
    let text = fs::read_to_string(&journal).unwrap();
    let year = &text[text.find("\"at\":\"").unwrap() + 6..][..4].to_owned();
    fs::write(&journal, text.replace(&format!("\"at\":\"{year}"), "\"at\":\"2999")).unwrap();
    let (ran, events) = fake.events(&["run", "continue", "--timeout", "20s"]);
    ran.succeeds();
    let took = events.iter().filter(|event| event["type"] == "job.completed");
    assert!(took.clone().count() == 2 && took.into_iter().all(|e| e["duration_ms"].as_i64().unwrap() >= 0));
    assert_eq!(fake.prompts(), ["one MS800", "two"]);
    fake.tool(&["run", "list"]).succeeds();
}

#[test]
fn forty_concurrent_runs_have_a_directory_each() {
    let fake = Fake::newest();
    let began = Instant::now();
    let mut all: Vec<_> = (0..40).map(|n| fake.start(&["run", &format!("prompt {n}")])).collect();
    assert!(all.iter_mut().all(|run| end(run) == 0));
    assert_eq!((fake.runs().len(), fake.sent().len()), (40, 40));
    assert!(began.elapsed() < Duration::from_secs(120));
}

#[test]
fn runs_are_nested_three_levels_at_most() {
    let mut fake = Fake::newest();
    script(
        &mut fake,
        "case $1 in --version) exec $FAKE --version ;; esac\necho $CODEX_AGENT_DEPTH >> ../depths\n\
         codex-agent-run --codex \"$0\" deeper < /dev/null > /dev/null 2>> ../said\nexec $FAKE \"$@\"",
    );
    fake.tool(&["run", "first"]).succeeds();
    assert_eq!(fs::read_to_string(fake.0.path("depths")).unwrap(), "1\n2\n3\n");
    let said = fs::read_to_string(fake.0.path("said")).unwrap();
    assert!(said.contains("may not be nested"), "{said}");
    assert_eq!(fake.prompts(), ["deeper", "deeper", "first"]);
}

#[test]
fn a_clock_that_was_set_stops_no_job() {
    // Forwards, backwards; and a journal that does not know the time since the boot, by which the clock decides.
    for (years, knows, code) in [(-1, true, 0), (1, true, 0), (-1, false, 1)] {
        let fake = Fake::newest();
        let mut runner = fake.start(&["run", "SLEEP3 x", "--timeout=1h"]);
        fake.wait_for_sent(1);
        wait_until(|| !of_type(&fake.journal(), "job.session").is_empty());
        crash(&mut runner);
        let path = fake.runs()[0].join("journal.ndjson");
        let mut lines = fake.journal();
        let started = lines.iter_mut().find(|line| line["type"] == "job.started").unwrap();
        let (year, rest) = started["at"].as_str().unwrap().split_at(4);
        started["at"] = json!(format!("{}{rest}", year.parse::<i32>().unwrap() + years));
        if !knows {
            started["uptime_ms"] = Value::Null;
        }
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(path, text).unwrap();
        let ran = fake.tool(&["run", "continue", "--json"]);
        let events = records(&ran.out);
        ran.case((&years, &knows)).exits(code);
        if code == 0 {
            let took = of_type(&events, "job.completed")[0]["duration_ms"].as_i64().unwrap();
            assert!((2000..120_000).contains(&took), "{took}");
        } else {
            assert_eq!(failures(&events), ["timeout"]);
        }
        assert_eq!(fake.prompts().len(), 1);
    }
}
