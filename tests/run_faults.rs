//! What must not hurt a run: words of others, too few descriptors, a full disk, slow readers, odd jobs.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use codex_agent_engine::liveness;

use crate::faked::{Fake, crash, end, failures, of_type, wait_for_end, wait_until};
use crate::world::json as records;

/// Puts a script in the place of Codex, which may hand over to the one without a model as `$FAKE`.
fn script(fake: &mut Fake, text: &str) {
    let real = fake.0.path("bin/codex");
    let script = fake.0.script("bin/script", &format!("#!/bin/sh\nFAKE={}\n{text}\n", real.display()));
    fake.0.set("CODEX_AGENT_CODEX", script.to_str().unwrap());
}

fn job(value: Value) -> String {
    format!("{value}\n")
}

#[test]
fn words_of_a_tool_are_not_codexs_refusal() {
    let mut fake = Fake::newest();
    let id = fake.begin("mine");
    // In the middle of the turn somebody writes what Codex writes before one.
    script(
        &mut fake,
        "case $1 in --version) exec $FAKE --version ;; esac\n$FAKE \"$@\"; code=$?\n\
         echo 'Error: thread y already has an active writer' >&2; echo 'not logged in' >&2; exit $code",
    );
    let ran = fake.tool(&["resume", &id, "--prompt", "FAIL400 once", "--json"]);
    assert_eq!((ran.code, failures(&records(&ran.out))), (1, vec!["refused".to_owned()]), "{}", ran.err);
    assert_eq!(fake.prompts(), ["mine", "FAIL400 once"]);
}

#[test]
fn a_lock_that_cannot_be_looked_at_is_held() {
    let fake = Fake::newest();
    let mut runner = fake.start(&["run", "-j", "6", "HANGSTART MS1", "b MS1500", "c MS1500"]);
    wait_until(|| fake.journal().iter().filter(|line| line["type"] == "job.spawned").count() == 3);
    runner.kill().unwrap();
    runner.wait().unwrap();
    // So few that the outputs of all jobs cannot be looked at.
    let line = "ulimit -n 15; codex-agent-run continue --timeout 3s";
    let few = fake.0.command("sh").args(["-c", line]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    drop(few);
    let mut more = fake.started(&["run", "continue", "--timeout", "3s", "--json"]);
    let output = more.stderr(Stdio::null()).output().unwrap();
    assert!(output.status.code().is_some());
    let mut sent = fake.prompts();
    sent.sort();
    sent.dedup();
    assert_eq!(sent.len(), fake.prompts().len(), "{:?}", fake.prompts());
}

#[test]
fn the_trouble_of_one_job_is_its_own() {
    let mut fake = Fake::newest();
    let work = fs::canonicalize(fake.0.path("work")).unwrap();
    let picture = fake.0.write("locked.png", "x");
    fs::set_permissions(&picture, fs::Permissions::from_mode(0o444)).unwrap();
    let input = [
        job(json!({"type": "job", "prompt": "home", "cwd": work, "codex_home": "/no/such/home", "session": "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c"})),
        job(json!({"type": "job", "prompt": "memory", "cwd": work, "images": ["/proc/self/mem"]})),
        job(json!({"type": "job", "prompt": "long", "cwd": work, "options": {"config": [format!("a={}", "x".repeat(200_000))]}})),
        job(json!({"type": "job", "prompt": "gone", "cwd": "/no/such/place"})),
        job(json!({"type": "job", "prompt": "picture OVERLOADED", "cwd": work, "images": [picture]})),
        job(json!({"type": "job", "prompt": "fine", "cwd": work})),
    ]
    .concat();
    let ran = fake.feed(&["run", "--jobs", "--json", "-j1", "--retries", "1"], &input);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let events = records(&ran.out);
    let done: Vec<&Value> = events.iter().filter(|event| event["type"] == "job.completed").collect();
    assert_eq!((done.len(), &done[0]["job"]), (1, &json!("6")), "{}", ran.out);
    let classes = failures(&events);
    assert_eq!(classes.iter().filter(|class| *class == "overloaded").count(), 2, "{classes:?}");
    assert_eq!(events.last().unwrap()["type"], "run.completed");
    let copies = fs::read_dir(fake.runs().pop().unwrap().join("jobs/5")).unwrap().flatten();
    let copy = copies.map(|entry| entry.path()).find(|path| path.display().to_string().ends_with(".png"));
    assert_eq!(fs::metadata(copy.unwrap()).unwrap().permissions().mode() & 0o777, 0o600);
    // An original that is gone between two attempts is not asked for again.
    script(
        &mut fake,
        "case $1 in --version) exec $FAKE --version ;; esac\nrm -f ../here.png\nexec $FAKE \"$@\"",
    );
    fake.0.write("here.png", "x");
    let ran = fake.tool(&["run", "--image", "../here.png", "--retries", "1", "--json", "OVERLOADED"]);
    assert_eq!(failures(&records(&ran.out)), ["overloaded", "overloaded"], "{}", ran.err);
}

#[test]
fn waiting_costs_nothing() {
    let fake = Fake::newest();
    let id = fake.begin("mine");
    let input: String = (0..200)
        .map(|n| job(json!({"type": "job", "session": id, "prompt": format!("{n} MS400")})))
        .collect();
    fake.0.write("work/input", input);
    // All but one wait for their session, and nobody can signal.
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
fn a_reader_that_has_stopped_does_not_hold_a_run_up() {
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
    // What it has not read yet it can read still.
    let mut text = String::new();
    runner.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(end(&mut runner), 75);
    assert_eq!(records(&text).last().unwrap()["type"], "run.stopped");
    assert_eq!(fake.sent().len(), 3);
}

#[test]
fn of_a_codex_that_does_not_say_its_version_the_worst_is_thought() {
    let mut fake = Fake::newest();
    let id = fake.begin("mine");
    script(&mut fake, "case $1 in --version) echo something else; exit ;; esac\nexec $FAKE \"$@\"");
    let ran = fake.tool(&["resume", &id, "--prompt", "x", "--json"]);
    assert_eq!(failures(&records(&ran.out)), ["refused"], "{}", ran.err);
    assert_eq!(fake.prompts(), ["mine"]);
    assert_eq!(fake.tool(&["run", "new"]).code, 0, "a new session is nothing to be damaged");
}

#[test]
fn a_stop_now_after_a_stop_ends_what_runs() {
    let fake = Fake::newest();
    let mut runner = fake.start(&["run", "-j1", "HANG", "next"]);
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
        let words: Vec<&str> = ["-j", "2"].into_iter().chain(prompts.iter().map(String::as_str)).collect();
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
        assert_eq!(fake.0.sh(&format!("umount {}", state.display())).code, 0);
        println!("{free} KiB free: first {first:?}, then {last:?}, {all} sent");
    }
}

#[test]
fn a_clock_that_was_set_back_does_no_harm() {
    let fake = Fake::newest();
    let mut runner = fake.start(&["run", "-j1", "one MS800", "two"]);
    fake.wait_for_sent(1);
    runner.kill().unwrap();
    runner.wait().unwrap();
    let journal = fake.runs().pop().unwrap().join("journal.ndjson");
    let text = fs::read_to_string(&journal).unwrap();
    let year = &text[text.find("\"at\":\"").unwrap() + 6..][..4].to_owned();
    fs::write(&journal, text.replace(&format!("\"at\":\"{year}"), "\"at\":\"2999")).unwrap();
    let (ran, events) = fake.events(&["run", "continue", "--timeout", "20s"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let took = events.iter().filter(|event| event["type"] == "job.completed");
    assert!(took.clone().count() == 2 && took.into_iter().all(|e| e["duration_ms"].as_i64().unwrap() >= 0));
    assert_eq!(fake.prompts(), ["one MS800", "two"]);
    assert_eq!(fake.tool(&["run", "list"]).code, 0);
}

#[test]
fn ids_of_a_group_that_are_none_start_nothing() {
    let fake = Fake::newest();
    let id = fake.begin("mine");
    let group = json!({"groups": [{"id": "g", "name": "odd", "sessionIds": ["--yolo", "../x", id],
        "createdAt": "2026-11-22T10:00:00.000Z", "updatedAt": "2026-11-22T10:00:00.000Z"}]});
    fake.0.write("home/.config/codex-agent/groups.json", group.to_string());
    for id in ["--yolo", "../x"] {
        let ran = fake.tool(&["group", "run", "odd", "--prompt", "on", "--answers"]);
        let want = format!("'{id}' in group 'odd' is not the id of a session; nothing was started");
        assert!(ran.code == 2 && ran.err.contains(&want), "{} {}", ran.code, ran.err);
        assert_eq!(fake.tool(&["group", "remove", "odd", "--", id]).code, 0);
    }
    assert_eq!(fake.good(&["group", "run", "odd", "--prompt", "on", "--answers"]), "echo: on\n");
    assert_eq!(fake.prompts(), ["mine", "on"]);
}

#[test]
fn forty_runs_at_once_each_have_a_folder() {
    let fake = Fake::newest();
    let began = Instant::now();
    let mut all: Vec<_> = (0..40).map(|n| fake.start(&["run", &format!("prompt {n}")])).collect();
    assert!(all.iter_mut().all(|run| end(run) == 0));
    assert_eq!((fake.runs().len(), fake.sent().len()), (40, 40));
    assert!(began.elapsed() < Duration::from_secs(120));
}

#[test]
fn runs_in_jobs_of_runs_end_somewhere() {
    let mut fake = Fake::newest();
    script(
        &mut fake,
        "case $1 in --version) exec $FAKE --version ;; esac\necho $CODEX_AGENT_DEPTH >> ../depths\n\
         codex-agent-run --codex \"$0\" deeper < /dev/null > /dev/null 2>> ../said\nexec $FAKE \"$@\"",
    );
    assert_eq!(fake.tool(&["run", "first"]).code, 0);
    assert_eq!(fs::read_to_string(fake.0.path("depths")).unwrap(), "1\n2\n3\n");
    let said = fs::read_to_string(fake.0.path("said")).unwrap();
    assert!(said.contains("may not be nested"), "{said}");
    assert_eq!(fake.prompts(), ["deeper", "deeper", "first"]);
}

#[test]
fn a_session_may_go_between_plan_and_start() {
    let fake = Fake::newest();
    let (archived, gone) = (fake.begin("to be archived"), fake.begin("to be lost"));
    let work = fs::canonicalize(fake.0.path("work")).unwrap();
    let turn = |id: &str| job(json!({"type": "job", "session": id, "prompt": "never"}));
    let first = job(json!({"type": "job", "prompt": "first MS1500", "cwd": work}));
    fake.0.write("work/input", [first, turn(&archived), turn(&gone)].concat());
    let mut command = fake.0.command("sh");
    command.args(["-c", "exec codex-agent-run --jobs -j1 < input"]).current_dir(&work);
    let mut runner = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    fake.wait_for_sent(3);
    assert_eq!(fake.codex(&["archive", &archived], "").code, 0);
    let lost = fake.list().into_iter().find(|row| row["id"] == gone.as_str()).unwrap();
    fs::remove_file(lost["rollout_path"].as_str().unwrap()).unwrap();
    assert_eq!(end(&mut runner), 1);
    assert_eq!(failures(&fake.journal()), ["archived", "not_found"]);
    assert_eq!(fake.sent().len(), 3);
}

#[test]
fn a_queue_whose_project_is_gone_keeps_its_prompts() {
    let fake = Fake::newest();
    fs::create_dir(fake.0.path("work/project")).unwrap();
    fake.good(&["queue", "add", "q", "--project", "project", "one", "two"]);
    fs::remove_dir(fake.0.path("work/project")).unwrap();
    let ran = fake.tool(&["queue", "run", "q"]);
    assert!(ran.code == 2 && ran.err.contains("the project of queue 'q'"), "{} {}", ran.code, ran.err);
    assert_eq!(fake.each("q", "status"), ["pending", "pending"]);
    fs::create_dir(fake.0.path("work/project")).unwrap();
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 0);
    assert_eq!(fake.prompts(), ["one", "two"]);
}

#[test]
fn a_line_of_a_hundred_megabytes_is_one_line() {
    let fake = Fake::newest();
    let ran = fake.tool(&["run", "--json", "LONGLINE"]);
    let events = records(&ran.out);
    let done = events.iter().find(|event| event["type"] == "job.completed").unwrap();
    assert_eq!((ran.code, &done["last_message"]), (0, &json!("echo: LONGLINE")), "{}", ran.err);
    let out = fs::metadata(fake.out(1)).unwrap().len();
    assert!(out > 100_000_000, "{out}");
}

/// Leaves a job of a session as a power cut does: its runner is gone, the boot is another one, and of what
/// Codex printed nothing is on disk.
fn power_cut(fake: &Fake, id: &str, prompt: &str) {
    let mut runner = fake.start(&["resume", id, "--prompt", prompt]);
    fake.wait_for_sent(2);
    wait_until(|| fake.journal().iter().any(|line| line["type"] == "job.spawned"));
    crash(&mut runner);
    wait_for_end(&fake.out(1));
    let journal = fake.runs()[0].join("journal.ndjson");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replace(&liveness::boot().unwrap(), "00000000-0000-4000-8000-000000000000"))
        .unwrap();
    fs::write(fake.out(1), "").unwrap();
}

#[test]
fn after_another_boot_the_rollout_tells_the_end_of_our_turn_alone() {
    let ours = Fake::newest();
    let id = ours.begin("one");
    power_cut(&ours, &id, "MS300 mine");
    let (ran, events) = ours.events(&["run", "continue"]);
    assert_eq!((ran.code, of_type(&events, "job.completed").len()), (0, 1), "{}", ran.err);

    let theirs = Fake::newest();
    let id = theirs.begin("one");
    power_cut(&theirs, &id, "MS300 mine");
    assert_eq!(theirs.resume(&id, "of somebody else").code, 0);
    let (ran, events) = theirs.events(&["run", "continue"]);
    assert_eq!((ran.code, failures(&events)), (1, vec!["interrupted".to_owned()]), "{}", ran.err);

    let failed = Fake::newest();
    let id = failed.begin("one");
    power_cut(&failed, &id, "FAIL400 mine MS300");
    let (ran, events) = failed.events(&["run", "continue"]);
    assert_eq!((ran.code, failures(&events)), (1, vec!["refused".to_owned()]), "{}", ran.err);
    for fake in [&ours, &failed] {
        assert_eq!(fake.sent().len(), 2);
    }
}
