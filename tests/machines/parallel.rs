//! Jobs handed out by GNU parallel over ssh, with the commands of codex-agent-distributed(7).

use std::fs;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use super::{example, prepare};
use crate::world::fake::{end, of_type, wait_until};
use crate::world::hosts::{Hosts, NAMES, has_program};
use crate::world::json as records;

fn events(text: &str) -> Vec<Value> {
    records(text)
}

#[test]
fn jobs_are_spread_over_hosts_and_each_prompt_is_sent_once() {
    let Some(hosts) = Hosts::real_over_ssh() else { return };
    if !has_program("parallel") {
        return;
    }
    let prompts = prepare(&hosts, 12);
    hosts.sh(&example("dry-run")).succeeds();
    hosts.sh(&example("parallel --pipe")).succeeds();
    let place = |name: &str| hosts.planner.world.path("alpha").join(name);
    let events = events(&fs::read_to_string(place("events.ndjson")).unwrap());
    assert_eq!(of_type(&events, "job.completed").len(), 12);
    assert_eq!(hosts.all_prompts(), prompts);
    let counts = hosts.prompts().map(|sent| sent.len());
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert!(!hosts.planner.world.codex_home().join("sessions").exists());
}

/// A connection ends in the middle of a job, and parallel gives the record to another host. The hosts share the state
/// directory.
#[test]
fn a_retry_after_a_lost_connection_sends_no_prompt_twice() {
    let Some(mut hosts) = Hosts::over_ssh() else { return };
    if !has_program("parallel") {
        return;
    }
    let state = hosts.planner.0.path("state").display().to_string();
    for name in NAMES {
        hosts.set_on(name, "CODEX_AGENT_STATE_HOME", &state);
    }
    let input: String = (0..6)
        .map(|n| {
            format!("{{\"type\":\"job\",\"run\":\"r\",\"id\":\"{n}\",\"prompt\":\"MS1500 prompt {n}\"}}\n")
        })
        .collect();
    let jobs = hosts.planner.0.write("work/jobs.ndjson", input);
    let words = "--pipe -N1 --line-buffer --termseq HUP,1 --retries 3 -S 1/h1,1/h2,1/h3 codex-agent run --jobs --once \
                 --json";
    let words: Vec<&str> = ["parallel"].into_iter().chain(words.split(' ')).collect();
    let mut command = hosts.command(&words);
    command.stdin(fs::File::open(&jobs).unwrap()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut parallel = command.spawn().unwrap();
    wait_until(|| hosts.prompts().iter().all(|sent| !sent.is_empty()));
    // The connection of one host, and on another host its sshd.
    assert!(hosts.signal_planner(" h2 ", Signal::KILL) > 0);
    hosts.stop_sshd("h3");
    let mut out = String::new();
    std::io::Read::read_to_string(&mut parallel.stdout.take().unwrap(), &mut out).unwrap();
    assert_eq!(end(&mut parallel), 0, "{out}");
    let sent = hosts.all_prompts();
    assert_eq!(sent, (0..6).map(|n| format!("MS1500 prompt {n}")).collect::<Vec<_>>());
    let mut completed: Vec<String> = out
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["type"] == "job.completed")
        .map(|event| event["job"].as_str().unwrap().to_owned())
        .collect();
    completed.sort();
    completed.dedup();
    assert_eq!(completed, ["0", "1", "2", "3", "4", "5"]);
    // The same command again sends nothing, whichever host gets a record.
    hosts.start_sshd("h3");
    let mut command = hosts.command(&words);
    let output = command.stdin(fs::File::open(&jobs).unwrap()).output().unwrap();
    assert!(output.status.success());
    assert_eq!(of_type(&events(&String::from_utf8(output.stdout).unwrap()), "job.completed").len(), 6);
    assert_eq!(hosts.all_prompts().len(), 6);
}
