//! The real Codex behind a queue: killed runners, a killed Codex, usage limits.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::world::fake::end;
use crate::world::real::Real;
use crate::world::{NEWEST, Ran, json as records};

impl Real {
    fn queue(&self, words: &[&str]) -> Ran {
        let mut all = vec!["codex-agent-queue"];
        all.extend(words);
        self.world.run(&all)
    }

    /// A queue of the project alpha, which is in git.
    fn add(&self, name: &str, prompts: &[String]) {
        let alpha = self.world.path("alpha");
        let mut words = vec!["add", name, "--project", alpha.to_str().unwrap()];
        words.extend(prompts.iter().flat_map(|prompt| ["-p", prompt]));
        let ran = self.queue(&words);
        ran.succeeds();
    }

    fn run_queue(&self, name: &str) -> Child {
        let mut command = self.world.command("codex-agent-queue");
        command.args(["run", name]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn prompts(&self, name: &str) -> Vec<Value> {
        let all = records(&self.world.ok(&["codex-agent-queue", "show", name, "--json"]));
        all.into_iter().filter(|record| record["type"] == "prompt").collect()
    }

    /// Kills runners of a queue at swept moments until it is drained; how many were killed.
    fn drain_by_killing(&self, name: &str, seed: u64) -> u64 {
        let mut kills = 0;
        loop {
            let mut runner = self.run_queue(name);
            let wait = 60 + (seed * 397 + kills * 613) % 1500;
            std::thread::sleep(Duration::from_millis(wait));
            if let Some(status) = runner.try_wait().unwrap() {
                assert_eq!(status.code(), Some(0), "{name}");
                return kills;
            }
            runner.kill().unwrap();
            runner.wait().unwrap();
            kills += 1;
        }
    }

    fn statuses(&self, name: &str) -> Vec<String> {
        self.prompts(name).iter().map(|prompt| prompt["status"].as_str().unwrap().to_owned()).collect()
    }
}

fn texts(of: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{of} prompt {n}")).collect()
}

#[test]
fn killed_runners_send_each_prompt_once() {
    let began = Instant::now();
    let (mut kills, mut queues) = (0, 0);
    let newest = if crate::world::is_long() { 20 } else { 6 };
    for (version, rounds) in [(NEWEST, newest), ("0.120.0", 2), ("0.106.0", 2)] {
        let Some(codex) = Real::with_version(version) else { return };
        let mut wanted = Vec::new();
        for round in 0..rounds {
            let name = format!("round {round}");
            let prompts = texts(&name, 6);
            codex.add(&name, &prompts);
            wanted.extend(prompts);
        }
        // Two at a time, as there are two cores; each queue has one runner.
        let halves = std::thread::scope(|scope| {
            let codex = &codex;
            let work = |half: u64| {
                (half..rounds)
                    .step_by(2)
                    .map(|n| codex.drain_by_killing(&format!("round {n}"), n))
                    .sum::<u64>()
            };
            let other = scope.spawn(move || work(1));
            work(0) + other.join().unwrap()
        });
        (kills, queues) = (kills + halves, queues + rounds);
        wanted.sort();
        assert_eq!(codex.seen(), wanted, "{version}");
        for round in 0..rounds {
            assert_eq!(codex.statuses(&format!("round {round}")), ["completed"; 6], "{version} {round}");
        }
    }
    println!("{queues} queues, {kills} kills of the runner, {:.0} s", began.elapsed().as_secs_f64());
    assert!(kills >= queues, "only {kills} kills hit");
}

#[test]
fn an_interrupted_prompt_is_not_resent_automatically() {
    let Some(codex) = Real::new() else { return };
    codex.add("q", &["cut SLEEP60".to_owned(), "next".to_owned()]);
    let mut command = codex.world.command("codex-agent-queue");
    let mut runner =
        command.args(["run", "q", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut pid = 0;
    let mut cut = None;
    for line in std::io::BufRead::lines(std::io::BufReader::new(runner.stdout.take().unwrap())) {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        match event["type"].as_str().unwrap() {
            "job.spawned" if pid == 0 => pid = event["pid"].as_i64().unwrap() as i32,
            "job.session" if cut.is_none() => {
                let patience = Instant::now() + Duration::from_secs(30);
                while codex.seen().is_empty() {
                    assert!(Instant::now() < patience);
                    std::thread::sleep(Duration::from_millis(20));
                }
                kill_process_group(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
                cut = Some(event["session"].clone());
            }
            _ => {}
        }
    }
    assert_eq!(end(&mut runner), 1);
    assert_eq!(codex.seen(), ["cut SLEEP60", "next"]);
    let prompts = codex.prompts("q");
    assert_eq!(
        (&prompts[0]["status"], &prompts[0]["failure"]["class"], Some(&prompts[0]["session"])),
        (&"failed".into(), &"interrupted".into(), cut.as_ref())
    );
    assert_eq!(codex.statuses("q"), ["failed", "completed"]);
    // The prompt is sent again only on request, and the resending is reported.
    codex.queue(&["retry", "q", "1"]).succeeds();
    codex.queue(&["edit", "q", "1", "cut no more"]).succeeds();
    let ran = codex.queue(&["run", "q", "--json"]);
    ran.succeeds();
    let started = records(&ran.out).into_iter().find(|event| event["type"] == "job.started").unwrap();
    assert_eq!(started["resent"], true);
    assert_eq!(codex.statuses("q"), ["completed", "completed"]);
}

#[test]
fn a_usage_limit_is_waited_for() {
    let Some(codex) = Real::new() else { return };
    codex.add("night", &["LIMIT5 one".to_owned(), "two".to_owned()]);
    let began = Instant::now();
    let ran = codex.queue(&["run", "night", "--on-limit", "wait", "--json"]);
    ran.succeeds();
    let took = began.elapsed();
    println!("a limit of 5 s was passed in {:.1} s", took.as_secs_f64());
    // Codex prints the minute in which the limit resets; the wait ends in its second.
    assert!((5..40).contains(&took.as_secs()), "{took:?}");
    assert_eq!(codex.seen(), ["LIMIT5 one", "LIMIT5 one", "two"]);
    assert_eq!(codex.statuses("night"), ["completed", "completed"]);
    let events = records(&ran.out);
    assert!(events.iter().any(|event| event["type"] == "run.waiting"), "{}", ran.out);
    let resent: Vec<&Value> =
        events.iter().filter(|e| e["type"] == "job.started" && e["resent"] == true).collect();
    assert!(!resent.is_empty() && resent.iter().all(|event| event["job"] == resent[0]["job"]), "{}", ran.out);
    ran.reports("waiting: the usage limit of");
}

#[test]
fn a_usage_limit_stops_the_queue_and_its_end_is_reported() {
    let Some(codex) = Real::new() else { return };
    codex.add("night", &["LIMIT600 one".to_owned(), "two".to_owned()]);
    let ran = codex.queue(&["run", "night", "--json"]);
    ran.exits(75);
    ran.reports("stopped (usage_limit until ");
    assert_eq!(codex.statuses("night"), ["pending", "pending"]);
    let asked = codex.seen().len();
    // While the limit lasts by Codex's own report, no job of this home is sent.
    let refused = codex.world.run(&["codex-agent-run", "--cwd", "alpha", "three"]);
    refused.exits(75);
    assert_eq!(codex.seen().len(), asked, "{}", refused.err);
    refused.reports("the usage limit of");
    let limits = records(&codex.world.ok(&["codex-agent-status", "--json"]));
    let limit = limits.iter().find(|record| record["type"] == "limit").unwrap();
    assert!(limit["until"].is_string(), "{limit}");
    let tried = codex.world.run(&["codex-agent-run", "--cwd", "alpha", "--on-limit", "try", "three"]);
    tried.succeeds();
    assert_eq!(codex.seen().len(), asked + 1, "{}", tried.err);
    // The completed job has cleared the limit.
    let limits = codex.world.ok(&["codex-agent-status"]);
    assert!(!limits.contains("limit\t"), "{limits}");
}

#[test]
fn a_failed_login_stops_the_run_after_the_started_jobs() {
    let Some(codex) = Real::new() else { return };
    let mut input = "FAIL401\none SLEEP2\ntwo SLEEP2\n".to_owned();
    (0..7).for_each(|n| input.push_str(&format!("later {n}\n")));
    let (ran, events) = codex.run_agent(&["-j", "3", "--json", "-"], &input);
    ran.exits(75);
    let count = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    let started = count("job.started");
    assert!((1..=3).contains(&started), "{started} jobs were started");
    assert_eq!((count("job.completed"), count("job.failed")), (started - 1, 1));
    let last = events.last().unwrap();
    assert_eq!((last["why"].as_str(), last["left"].as_u64()), (Some("auth"), Some(11 - started as u64)));
    assert!(codex.seen().iter().all(|text| !text.starts_with("later")));
}

#[test]
fn prompts_of_one_session_are_turns_of_it() {
    for version in [NEWEST, "0.106.0"] {
        let Some(codex) = Real::with_version(version) else { return };
        let alpha = codex.world.path("alpha");
        let made = codex.queue(&["create", "book", "--one-session", "--project", alpha.to_str().unwrap()]);
        made.succeeds();
        codex.queue(&["add", "book", "-p", "one", "-p", "two", "-p", "three"]).succeeds();
        let ran = codex.queue(&["run", "book", "--json"]);
        ran.case(version).succeeds();
        assert_eq!(codex.model.requests().pop().unwrap().user_texts, ["one", "two", "three"], "{version}");
        let events = records(&ran.out);
        let used: Vec<i64> =
            events.iter().filter_map(|event| event["usage"]["input_tokens"].as_i64()).collect();
        assert_eq!(used, [100, 100, 100], "{version}: each turn's own");
        assert_eq!(codex.list(&[]).len(), 1);
    }
}

#[test]
fn a_busy_session_is_waited_for_or_forked() {
    let Some(codex) = Real::new() else { return };
    let (mut child, id) = codex.exec_slowly("alpha", "Think SLEEP12");
    let forked =
        codex.world.run(&["codex-agent-resume", &id, "--prompt", "meanwhile", "--on-busy=fork", "--json"]);
    forked.succeeds();
    let completed = records(&forked.out).into_iter().find(|e| e["type"] == "job.completed").unwrap();
    assert_ne!(completed["session"].as_str(), Some(id.as_str()));
    assert!(child.try_wait().unwrap().is_none(), "the fork did not wait for it");
    let waited = codex.world.run(&["codex-agent-resume", &id, "--prompt", "after", "--answers"]);
    waited.succeeds().prints("echo: after\n");
    waited.reports("; the job waits for the session");
    child.wait().unwrap();
    let last = codex.model.requests().pop().unwrap();
    assert_eq!((last.user_texts, last.session), (vec!["Think SLEEP12".to_owned(), "after".into()], id));
}
