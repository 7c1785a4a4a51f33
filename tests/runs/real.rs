//! The real Codex in runs: what the engine promises, proved by the prompts that the model got.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::world::fake::end;
use crate::world::json as records;
use crate::world::real::{Real, real};
use crate::world::terminal::{Terminal, joined, without_escapes};

#[test]
fn three_sessions_are_started_two_at_a_time_and_get_one_more_turn() {
    let Some(codex) = Real::new() else { return };
    let words =
        ["--skip-git-repo-check", "-j", "2", "--json", "-p", "one SLEEP1", "-p", "two SLEEP1", "-p", "three"];
    let (ran, events) = codex.run_agent(&words, "");
    ran.succeeds();
    assert_eq!(codex.seen(), ["one SLEEP1", "three", "two SLEEP1"]);
    assert!(events.iter().all(|event| event["counts"]["running"].as_u64().unwrap() <= 2));
    let completed: Vec<&Value> = events.iter().filter(|event| event["type"] == "job.completed").collect();
    let mut answers: Vec<&str> =
        completed.iter().map(|event| event["last_message"].as_str().unwrap()).collect();
    answers.sort_unstable();
    assert_eq!(answers, ["echo: one SLEEP1", "echo: three", "echo: two SLEEP1"]);
    let listed = codex.list(&[]);
    let ids: Vec<&str> = completed.iter().map(|event| event["session"].as_str().unwrap()).collect();
    assert_eq!((listed.len(), ids.iter().all(|id| listed.iter().any(|row| row["id"] == **id))), (3, true));
    // One more turn of each session, in its own directory, with its own usage and no more permissions than before.
    let moved = codex.exec("beta", &["-s", "workspace-write", "resume", ids[0], "and there"]);
    assert_eq!(moved, ids[0]);
    let job =
        |id: &str| format!("{}\n", json!({"type": "job", "session": id, "prompt": format!("again {id}")}));
    let nobody = job("01a202e0-0000-7000-8000-000000000000");
    let input: String = ids.iter().map(|id| job(id)).chain([nobody]).collect();
    let (ran, events) = codex.run_agent(&["--skip-git-repo-check", "--jobs", "--json"], &input);
    ran.exits(1);
    let of = |kind: &str, id: &str| -> Value {
        events.iter().find(|event| event["type"] == kind && event["session"] == id).unwrap().clone()
    };
    for (at, id) in ids.iter().enumerate() {
        let (started, completed) = (of("job.started", id), of("job.completed", id));
        let (place, mode) = if at == 0 { ("beta", "workspace-write") } else { ("alpha", "read-only") };
        assert_eq!(started["cwd"].as_str().unwrap(), real(codex.world.path(place)));
        assert_eq!(started["sandbox"], mode);
        assert_eq!(completed["usage"]["input_tokens"], 100, "{completed}");
    }
    assert_eq!(events.iter().find(|e| e["type"] == "job.failed").unwrap()["failure"]["class"], "not_found");
    assert_eq!(codex.list(&[]).len(), 3, "a session that is not there was begun");
    let (ran, events) = codex.run_agent(&["-j1", "--json", "-p", "FAIL401", "-p", "never"], "");
    ran.exits(75);
    assert_eq!(events.iter().find(|e| e["type"] == "job.failed").unwrap()["failure"]["class"], "auth");
    let (_, events) = codex.run_agent(&["-j1", "--json", "LIMITX"], "");
    assert_eq!(events.iter().find(|e| e["type"] == "job.failed").unwrap()["failure"]["class"], "usage_limit");
}

#[test]
fn a_killed_runner_sends_nothing_twice_and_loses_nothing() {
    let Some(codex) = Real::new() else { return };
    let mut kills = 0;
    let mut wanted = Vec::new();
    for round in 0..8u64 {
        let prompts: Vec<String> = (0..3).map(|n| format!("round {round} prompt {n} SLEEP1")).collect();
        wanted.extend(prompts.iter().cloned());
        let words: Vec<&str> = ["--skip-git-repo-check", "-j", "2"]
            .into_iter()
            .chain(prompts.iter().flat_map(|prompt| ["-p", prompt]))
            .collect();
        let silent = |words: &[&str]| {
            let mut command = codex.agent("alpha", words);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let mut runner = silent(&words);
        // Not before the plan is complete: until then there is no run to continue.
        let mut wait = 400 + round * 250;
        let code = loop {
            std::thread::sleep(std::time::Duration::from_millis(wait));
            if let Some(status) = runner.try_wait().unwrap() {
                break status.code();
            }
            let pid = rustix::process::Pid::from_child(&runner);
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            runner.wait().unwrap();
            kills += 1;
            runner = silent(&["continue", "--max-concurrent", "2"]);
            wait = 250 + kills * 370 % 1300;
        };
        assert_eq!(code, Some(0), "round {round}");
    }
    println!("{kills} kills of the runner");
    assert_eq!(codex.seen(), wanted);
    assert_eq!(codex.list(&[]).len(), 24);
    let runs = records(&codex.world.ok(&["codex-agent-run", "list", "--json"]));
    assert!(runs.iter().all(|run| run["state"] == "finished" && run["counts"]["completed"] == 3), "{runs:?}");
}

#[test]
fn a_codex_whose_launcher_is_killed_is_followed_to_its_end() {
    let Some(codex) = Real::new() else { return };
    let mut command = codex.agent("alpha", &["--skip-git-repo-check", "--json", "kept SLEEP3"]);
    let mut runner = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut events = Vec::new();
    for line in BufReader::new(runner.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["type"] == "job.session" {
            let spawned: &Value =
                events.iter().find(|event: &&Value| event["type"] == "job.spawned").unwrap();
            let pid = rustix::process::Pid::from_raw(spawned["pid"].as_i64().unwrap() as i32).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        events.push(event);
    }
    assert_eq!(end(&mut runner), 0, "{events:?}");
    let completed = events.iter().find(|event| event["type"] == "job.completed").unwrap();
    assert_eq!(completed["last_message"], "echo: kept SLEEP3");
    assert_eq!(codex.seen(), ["kept SLEEP3"]);
}

/// Only the failed jobs of a run are done again: a new job in a new session, a resumed one in its own.
#[test]
fn a_retry_does_only_the_failed_jobs() {
    let Some(codex) = Real::new() else { return };
    let own = codex.exec("alpha", &["begin"]);
    let job = |value: Value| format!("{value}\n");
    let input: String = [
        json!({"type": "job", "id": "good", "prompt": "fine"}),
        json!({"type": "job", "id": "new", "prompt": "new FAIL400"}),
        json!({"type": "job", "id": "own", "session": own, "prompt": "own FAIL400"}),
    ]
    .map(job)
    .concat();
    let flags = ["--skip-git-repo-check", "-j1", "--json"];
    let (ran, events) = codex.run_agent(&[&flags[..], &["--jobs"]].concat(), &input);
    ran.exits(1);
    let of = |events: &[Value], kind: &str, job: &str| -> Value {
        let found = events.iter().find(|event| event["type"] == kind && event["job"] == job);
        found.unwrap_or_else(|| panic!("no {kind} of {job}: {events:?}")).clone()
    };
    let first = of(&events, "job.failed", "new");
    let sessions = codex.list(&[]).len();
    let (ran, again) = codex.run_agent(&["retry", "--json"], "");
    ran.exits(1);
    assert_eq!((&again[0]["type"], &again[0]["retry_of"]), (&json!("run.started"), &events[0]["run"]));
    let started: Vec<&Value> = again.iter().filter(|event| event["type"] == "job.started").collect();
    let ids: Vec<&Value> = started.iter().map(|event| &event["job"]).collect();
    assert_eq!(ids, ["new", "own"], "{again:?}");
    assert!(started.iter().all(|event| event["resent"] == true), "{started:?}");
    let second = of(&again, "job.failed", "new");
    assert_ne!(first["session"], second["session"]);
    assert_eq!(of(&again, "job.failed", "own")["session"], own.as_str());
    assert_eq!(codex.list(&[]).len(), sessions + 1);
    let seen = codex.seen();
    let count = |text: &str| seen.iter().filter(|prompt| *prompt == text).count();
    assert_eq!((count("fine"), count("new FAIL400"), count("own FAIL400")), (1, 2, 2), "{seen:?}");
    let runs = records(&codex.world.ok(&["codex-agent-run", "list", "--json"]));
    assert_eq!((&runs[0]["retry_of"], &runs[1]["retry_of"]), (&runs[1]["id"], &Value::Null));
}

/// A terminal shows one line that counts down until the limit resets, and `status` the windows of the limit meanwhile.
#[test]
fn a_terminal_counts_down_to_the_end_of_a_limit() {
    let Some(codex) = Real::new() else { return };
    let words = ["--skip-git-repo-check", "-j1", "--on-limit", "wait", "-p", "LIMIT15 one", "-p", "two"];
    let mut terminal = Terminal::open(codex.agent("alpha", &words), 100, 24);
    let mut plain = terminal.until("limited until ");
    let mut status = codex.world.command("codex-agent-status");
    status.env("CODEX_HOME", codex.world.codex_home());
    let (shown, code) = Terminal::open(status, 100, 24).end();
    let shown = without_escapes(&shown);
    assert_eq!(code, 0, "{shown}");
    for part in ["limited", "5h 100%, 7d 40%", "until ", ", in ", "running", "2 left"] {
        assert!(shown.contains(part), "no {part}: {shown}");
    }
    let (rest, code) = terminal.end();
    plain = without_escapes(&(plain + &rest));
    assert_eq!(code, 0, "{plain}");
    let counts = |seconds: u32| plain.contains(&format!("(in {seconds}s); 2 pending"));
    assert!((1..15).filter(|seconds| counts(*seconds)).count() > 1, "{plain}");
    assert!(plain.contains(" limited     ") && !plain.contains("failed"), "{plain}");
    assert!(
        plain.contains("2 completed in ") && joined(&plain).contains("left 1 session without an answer"),
        "{plain}"
    );
    assert_eq!(codex.seen(), ["LIMIT15 one", "LIMIT15 one", "two"]);
}
