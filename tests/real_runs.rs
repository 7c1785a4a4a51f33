//! The real Codex in runs: what the engine promises, proved by what the model was asked.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::real::{Real, VERSIONS, real, told};
use crate::world::json as records;

#[test]
fn three_new_sessions_at_two_at_once_and_one_turn_more() {
    let Some(codex) = Real::new() else { return };
    let words = ["--skip-git-repo-check", "-j", "2", "--json", "one SLEEP1", "two SLEEP1", "three"];
    let (output, events) = codex.run_agent(&words, "");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
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
    // One turn more for each, in its own directory, with its own usage, and no more rights than before.
    let moved = codex.exec("beta", &["-s", "workspace-write", "resume", ids[0], "and there"]);
    assert_eq!(moved, ids[0]);
    let job =
        |id: &str| format!("{}\n", json!({"type": "job", "session": id, "prompt": format!("again {id}")}));
    let nobody = job("01a202e0-0000-7000-8000-000000000000");
    let input: String = ids.iter().map(|id| job(id)).chain([nobody]).collect();
    let (output, events) = codex.run_agent(&["--skip-git-repo-check", "--jobs", "--json"], &input);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
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
    let (output, events) = codex.run_agent(&["-j1", "--json", "FAIL401", "never"], "");
    assert_eq!(output.status.code(), Some(75), "{}", told(&output));
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
            .chain(prompts.iter().map(String::as_str))
            .collect();
        let silent = |words: &[&str]| {
            let mut command = codex.agent("alpha", words);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let mut runner = silent(&words);
        // Not before its plan is whole: then there is nothing to go on with.
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
fn a_codex_whose_launcher_is_killed_goes_on_and_is_followed() {
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
    assert_eq!(runner.wait().unwrap().code(), Some(0), "{events:?}");
    let completed = events.iter().find(|event| event["type"] == "job.completed").unwrap();
    assert_eq!(completed["last_message"], "echo: kept SLEEP3");
    assert_eq!(codex.seen(), ["kept SLEEP3"]);
}

#[test]
fn a_group_run_adds_one_turn_to_each_member_in_its_directory() {
    for version in VERSIONS {
        if let Some(codex) = Real::of(version) {
            runs_over_a_group(&codex);
        }
    }
}

fn runs_over_a_group(codex: &Real) {
    std::fs::create_dir(codex.world.path("gamma")).unwrap();
    let projects = ["alpha", "beta", "gamma", "alpha", "beta"];
    let ids: Vec<String> =
        projects.iter().map(|project| codex.exec(project, &[&format!("Begin in {project}")])).collect();
    let mut add = vec!["codex-agent-group", "add", "work"];
    add.extend(ids.iter().map(String::as_str));
    assert_eq!(codex.world.run(&add).code, 0);
    let before = codex.model.requests().len();
    let run = [
        "codex-agent-group",
        "run",
        "work",
        "--prompt",
        "One more SLEEP1",
        "--json",
        "--skip-git-repo-check",
        "-j",
        "2",
    ];
    let ran = codex.world.run(&run);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let events = records(&ran.out);
    let done: Vec<&Value> = events.iter().filter(|event| event["type"] == "job.completed").collect();
    assert_eq!(done.len(), 5, "{}", ran.out);
    for event in &done {
        assert_eq!(event["last_message"], "echo: One more SLEEP1", "{event}");
        let tokens = event["usage"]["input_tokens"].as_i64().unwrap();
        assert!(tokens > 0 && tokens <= 100, "not this turn's own tokens: {event}");
    }
    let most = events.iter().filter_map(|event| event["counts"]["running"].as_i64()).max();
    assert_eq!(most, Some(2), "{}", ran.out);
    let asked = codex.model.requests();
    assert_eq!(asked.len() - before, 5, "each prompt reaches the model once");
    for request in &asked[before..] {
        assert_eq!(request.user_texts.len(), 2, "{:?}", request.user_texts);
    }
    // Each ran where its session is, and in no new session.
    let list = codex.list(&["--full", "--no-database"]);
    assert_eq!(list.len(), 5);
    for (id, project) in ids.iter().zip(projects) {
        let record = list.iter().find(|record| record["id"] == id.as_str()).unwrap();
        assert_eq!(record["cwd"].as_str(), Some(real(codex.world.path(project)).as_str()), "{record}");
        assert_eq!(record["status"], "idle", "{record}");
    }
    // One that fails makes the exit code, and does not stop the others.
    let fails = codex.world.run(&[
        "codex-agent-group",
        "run",
        "work",
        "--prompt",
        "FAIL400",
        "--skip-git-repo-check",
    ]);
    assert_eq!(fails.code, 1, "{}{}", fails.out, fails.err);
    assert_eq!(fails.out.matches("job.failed").count(), 5, "{}", fails.out);
}

#[test]
fn resume_with_a_prompt_needs_no_screen() {
    let Some(codex) = Real::new() else { return };
    let one = codex.exec("alpha", &["Begin"]);
    let two = codex.exec("beta", &["Begin too"]);
    let ran = codex.world.run(&["codex-agent-resume", &one, "--prompt", "Go on", "--answers"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "echo: Go on\n"), "{}", ran.err);
    std::fs::write(codex.world.path("prompt"), "From a file\n").unwrap();
    let line =
        "codex-agent ls --json | codex-agent resume --prompt-file prompt --skip-git-repo-check --answers";
    let ran = codex.world.sh(line);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for id in [&one, &two] {
        assert!(ran.out.contains(&format!("==> {id} <==\necho: From a file")), "{}", ran.out);
    }
    assert_eq!(codex.model.requests().len(), 5);
}

#[test]
fn a_killed_group_run_is_continued_and_repeats_nothing() {
    let Some(codex) = Real::new() else { return };
    let ids: Vec<String> = (0..4).map(|n| codex.exec("alpha", &[&format!("Begin {n}")])).collect();
    let mut add = vec!["codex-agent-group", "add", "work"];
    add.extend(ids.iter().map(String::as_str));
    codex.world.run(&add);
    let runs = || records(&codex.world.ok(&["codex-agent-run", "list", "--json"]));
    let mut continued = 0;
    for round in 0..20u64 {
        let wait = 120 + round * 70;
        let before = codex.model.requests().len();
        let known: BTreeSet<String> = runs().iter().map(|run| run["id"].to_string()).collect();
        let prompt = format!("Round {round}{}", if round % 4 == 0 { " SLEEP1" } else { "" });
        let mut command = codex.world.command("codex-agent-group");
        command
            .args(["run", "work", "-j", "2", "--prompt", &prompt])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut runner = command.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        runner.kill().unwrap();
        runner.wait().unwrap();
        // The journal and not the process: a runner that is killed between its last event and its exit was done.
        let is_new = |run: &&Value| !known.contains(&run["id"].to_string());
        if runs().iter().filter(is_new).any(|run| run["state"] == "finished") {
            // The same command typed again is another run, rightly.
            continue;
        }
        // The same command typed again must not send the prompt twice.
        let again = codex.world.run(&["codex-agent-group", "run", "work", "--prompt", &prompt]);
        if again.code != 0 {
            assert_eq!(again.code, 2, "{}", again.err);
            assert!(again.err.contains("codex-agent run continue"), "{}", again.err);
            let on = codex.world.run(&["codex-agent-run", "continue"]);
            assert_eq!(on.code, 0, "{}{}", on.out, on.err);
            continued += 1;
        }
        let mut asked: Vec<String> = codex.model.requests()[before..]
            .iter()
            .filter(|r| r.last_user_text == prompt)
            .map(|r| r.session.clone())
            .collect();
        asked.sort();
        let mut want = ids.clone();
        want.sort();
        assert_eq!(asked, want, "round {round}, killed after {wait} ms");
    }
    println!("20 group runs were killed, {continued} had work left and were continued");
    assert!(continued >= 5, "only {continued} kills hit");
}

#[test]
fn a_fork_with_a_prompt_gets_its_first_turn() {
    let Some(codex) = Real::new() else { return };
    let one = codex.exec("alpha", &["First"]);
    codex.exec("alpha", &["resume", &one, "Second"]);
    let ran = codex.world.run(&[
        "codex-agent-fork",
        &one,
        "--nth-message",
        "-1",
        "--prompt",
        "Another way",
        "--answers",
    ]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "echo: Another way\n"), "{}", ran.err);
    assert_eq!(codex.model.requests().pop().unwrap().user_texts, ["First", "Another way"]);
    // A prompt that cannot be sent forks nothing.
    let before = codex.list(&[]).len();
    for words in
        [&["--prompt", " "][..], &["--prompt-file", "nowhere"], &["--prompt", "x", "--image", "nowhere"]]
    {
        let mut line = vec!["codex-agent-fork", &one];
        line.extend(words);
        assert_eq!(codex.world.run(&line).code, 2, "{words:?}");
    }
    assert_eq!(codex.list(&[]).len(), before);
}
