//! Group runs of the real Codex.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::world::json as records;
use crate::world::real::{Real, VERSIONS, real};

#[test]
fn the_pipe_from_find_to_group_works_in_a_home_of_the_real_codex() {
    let Some(codex) = Real::new() else { return };
    let one = codex.exec("alpha", &["One"]);
    let two = codex.exec("beta", &["Two"]);
    let ran = codex.world.sh("codex-agent ls --json | codex-agent group add work --json | wc -l");
    ran.succeeds();
    assert_eq!(ran.out.trim(), "2", "{}", ran.err);
    let groups = records(&codex.world.ok(&["codex-agent-group", "list", "--json"]));
    assert_eq!(groups[0]["session_ids"], json!([two, one]));
    let under = codex.world.sh("codex-agent ls --under beta --group work --fields title");
    under.succeeds().prints("Two\n");
    // In the directory of a session, '@' is it.
    let output = codex
        .world
        .command("codex-agent-find")
        .args(["@", "--format", "{title}"])
        .current_dir(codex.world.path("alpha"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "One\n");
}

#[test]
fn a_group_run_adds_one_turn_to_each_member_in_its_directory() {
    for version in VERSIONS {
        if let Some(codex) = Real::with_version(version) {
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
    codex.world.run(&add).succeeds();
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
    ran.succeeds();
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
    // A failed job sets the exit code, and does not stop the others.
    let fails = codex.world.run(&[
        "codex-agent-group",
        "run",
        "work",
        "--prompt",
        "FAIL400",
        "--skip-git-repo-check",
    ]);
    fails.exits(1);
    assert_eq!(fails.out.matches("job.failed").count(), 5, "{}", fails.out);
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
    let rounds = if crate::world::is_long() { 20 } else { 8 };
    for round in 0..rounds {
        // From the start to the end of all turns.
        let wait = 120 + round * 1400 / rounds;
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
            // The same command after a complete run is another run.
            continue;
        }
        // The same command after an interrupted run must not send the prompt twice.
        let again = codex.world.run(&["codex-agent-group", "run", "work", "--prompt", &prompt]);
        if again.code != 0 {
            again.exits(2);
            again.reports("codex-agent run continue");
            let on = codex.world.run(&["codex-agent-run", "continue"]);
            on.succeeds();
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
    println!("{rounds} group runs were killed, {continued} had work left and were continued");
    assert!(continued * 4 >= rounds, "only {continued} kills hit");
}
