//! `run --on`: the jobs of a run on hosts, with the fake Codex.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::world::fake::Fake;
use crate::world::hosts::{Hosts, NAMES, processes_of};
use crate::world::json as records;

/// The events of this type.
fn of_type<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

#[test]
fn jobs_run_on_three_hosts_and_the_run_stays_here() {
    let Some(hosts) = Hosts::over_ssh() else { return };
    let prompts: String = (1..=12).map(|number| format!("do thing {number} MS700\n")).collect();
    let ran = hosts.feed(&["codex-agent-run", "--on", "h1:2,h2:2,h3:2", "--json", "-"], &prompts);
    ran.exits(0);
    let events = records(&ran.out);
    let completed = of_type(&events, "job.completed");
    assert_eq!(completed.len(), 12, "{}", ran.out);
    assert_eq!(of_type(&events, "job.bound").len(), 12);
    for event in &completed {
        let host = event["host"].as_str().unwrap();
        let number = event["number"].as_u64().unwrap();
        assert_eq!(event["last_message"], format!("echo: do thing {number} MS700"));
        assert!(hosts.host(host).0.path("home").exists());
    }
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["counts"]["completed"]), (&"run.completed".into(), &12.into()));
    assert_eq!(hosts.all_prompts().len(), 12);
    for (name, prompts) in NAMES.iter().zip(hosts.prompts()) {
        assert!(prompts.len() >= 2, "{name}: {prompts:?}");
    }
    // Nothing was sent from here.
    assert!(!hosts.planner.0.codex_home().join("sessions").exists());
    let log = hosts.run(&["codex-agent-run", "log", "--answers"]);
    log.exits(0);
    assert_eq!(log.out.matches("echo: do thing ").count(), 12, "{}", log.out);
    hosts.run(&["codex-agent-run", "continue"]).exits(0);
    for name in NAMES {
        hosts.run_on(name, &["codex-agent-run", "continue"]).exits(0).reports("there is no unfinished run");
    }
    assert_eq!(hosts.all_prompts().len(), 12);
}

/// The environment of a Codex home of its own on this machine, as a `via`.
fn add_home(fake: &Fake, name: &str) {
    let own = fake.0.path(name);
    std::fs::create_dir_all(own.join("codex")).unwrap();
    let config = fake.0.path("home/.config/codex-agent/config.toml");
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    let old = std::fs::read_to_string(&config).unwrap_or_default();
    let own = own.display();
    let via = format!(
        "[\"env\", \"CODEX_HOME={own}/codex\", \"CODEX_AGENT_STATE_HOME={own}/state\", \"CODEX_FAKE_LOG={own}/log\"]"
    );
    std::fs::write(&config, format!("{old}[host.{name}]\nvia = {via}\nconnect_timeout = \"5s\"\n")).unwrap();
}

/// The prompts that the model of a home got.
fn prompts_of(fake: &Fake, name: &str) -> Vec<String> {
    let log = std::fs::read_to_string(fake.0.path(name).join("log")).unwrap_or_default();
    let log = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
    let mut all: Vec<String> =
        records(log).iter().map(|line| line["prompt"].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

/// Runners, workers and the commands between are killed at random, and the run is continued.
#[test]
fn kills_of_runner_worker_and_connection_send_each_prompt_once() {
    for seed in 1..=6_u64 {
        let fake = Fake::newest();
        ["a", "b", "c"].iter().for_each(|name| add_home(&fake, name));
        let mut random = seed;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % limit
        };
        let prompts: Vec<String> = (0..12).map(|number| format!("do thing {number} MS300")).collect();
        fake.0.write("prompts", prompts.join("\n") + "\n");
        let words = ["run", "--on", "a:2,b:2,c:2", "-"];
        let mut command = fake.started(&words);
        command.stdin(std::fs::File::open(fake.0.path("prompts")).unwrap());
        let mut runner = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let home = fake.0.path("home");
        let mut kills = 0;
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(50 + below(250)));
            match below(3) {
                0 => {
                    let _ = runner.kill();
                    let _ = runner.wait();
                    kills += 1;
                    let mut again = fake.started(&["run", "continue", "--yes"]);
                    again.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                    runner = again.spawn().unwrap();
                }
                _ => {
                    let workers: Vec<_> = processes_of(&home)
                        .into_iter()
                        .filter(|process| process.command.contains("--worker"))
                        .collect();
                    if !workers.is_empty() {
                        let worker = &workers[below(workers.len() as u64) as usize];
                        kills += usize::from(kill_process(worker.pid, Signal::KILL).is_ok());
                    }
                }
            }
        }
        let _ = runner.wait();
        let is_done = || {
            let ran = fake.tool(&["run", "continue", "--yes"]);
            ran.err.contains("there is no unfinished run") || ran.err.contains("no work left")
        };
        for _ in 0..5 {
            if is_done() {
                break;
            }
        }
        let mut sent: Vec<String> = ["a", "b", "c"].iter().flat_map(|name| prompts_of(&fake, name)).collect();
        sent.sort();
        let mut wanted = prompts.clone();
        wanted.sort();
        let log = fake.good(&["run", "log"]);
        assert_eq!(sent, wanted, "seed {seed}, {kills} kills\n{log}");
        let run = &records(&fake.good(&["run", "list", "--json"]))[0];
        assert_eq!((&run["state"], &run["counts"]["completed"]), (&"finished".into(), &12.into()), "{log}");
    }
}
