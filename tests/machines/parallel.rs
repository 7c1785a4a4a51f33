//! Jobs handed out by GNU parallel over ssh, with the commands of codex-agent-distributed(7).

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{example, prepare};
use crate::world::fake::{Fake, crash, end, of_type, wait_until};
use crate::world::hosts::{Hosts, NAMES, has_program};

/// The events in what parallel printed. The end of a connection may leave a part of a line.
fn events(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The completed jobs, each once.
fn completed(text: &str) -> Vec<String> {
    let events = events(text);
    let jobs =
        of_type(&events, "job.completed").into_iter().map(|event| event["job"].as_str().unwrap().to_owned());
    jobs.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Records of a run whose prompts have this word.
fn jobs(count: usize, word: &str) -> String {
    let job =
        |n| json!({"type": "job", "run": "r", "id": format!("{n}"), "prompt": format!("{word} prompt {n}")});
    (0..count).map(|n| format!("{}\n", job(n))).collect()
}

/// Lets all hosts have one state directory.
fn share_state(hosts: &mut Hosts<Fake>) {
    let state = hosts.planner.0.path("state").display().to_string();
    for name in NAMES {
        hosts.set_on(name, "CODEX_AGENT_STATE_HOME", &state);
    }
}

const PARALLEL: [&str; 15] = [
    "parallel",
    "--pipe",
    "-N1",
    "--line-buffer",
    "--termseq",
    "HUP,1",
    "--retries",
    "3",
    "-S",
    "1/h1,1/h2,1/h3",
    "codex-agent",
    "run",
    "--jobs",
    "--once",
    "--json",
];

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
    share_state(&mut hosts);
    let jobs = hosts.planner.0.write("work/jobs.ndjson", jobs(6, "MS1500"));
    let mut command = hosts.command(&PARALLEL);
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
    assert_eq!(completed(&out), ["0", "1", "2", "3", "4", "5"]);
    // The same command again sends nothing, whichever host gets a record.
    hosts.start_sshd("h3");
    let mut command = hosts.command(&PARALLEL);
    let output = command.stdin(fs::File::open(&jobs).unwrap()).output().unwrap();
    assert!(output.status.success());
    assert_eq!(of_type(&events(&String::from_utf8(output.stdout).unwrap()), "job.completed").len(), 6);
    assert_eq!(hosts.all_prompts().len(), 6);
}

/// The hosts have state directories of their own. One has reached its usage limit, and refuses each record at once.
#[test]
fn a_host_at_its_usage_limit_keeps_no_jobs() {
    let Some(hosts) = Hosts::over_ssh() else { return };
    if !has_program("parallel") {
        return;
    }
    hosts.run(&["ssh", "h3", "codex-agent", "run", "-p", "LIMIT3000"]).exits(75);
    let input = jobs(6, "MS200");
    let run = "parallel --pipe -N1 --line-buffer --termseq HUP,1 --retries 3 -S 1/h1,1/h3 codex-agent run --jobs --once \
               --json";
    let ran = hosts.feed(&["bash", "-c", run], &input);
    ran.succeeds();
    assert_eq!(of_type(&events(&ran.out), "job.completed").len(), 6);
    let [one, _, three] = hosts.prompts();
    assert_eq!((one.len(), three), (6, vec!["LIMIT3000".to_owned()]));
    // What the user could continue there is the run of before, and no job that parallel gave to another host.
    let runs = events(&hosts.run_on("h3", &["codex-agent-run", "list", "--json"]).out);
    let (given, own): (Vec<&Value>, Vec<&Value>) = runs.iter().partition(|run| run["kind"] == "once");
    assert!(!given.is_empty(), "h3 got no record");
    assert!(given.iter().all(|run| run["counts"]["pending"] == 0 && run["state"] == "stopped"), "{given:?}");
    assert_eq!((own.len(), &own[0]["counts"]["pending"]), (1, &json!(1)));
}

/// parallel itself is killed. Its connections live on, and the same command hears what they did.
#[test]
fn after_a_kill_of_parallel_the_same_command_does_the_rest() {
    let Some(mut hosts) = Hosts::over_ssh() else { return };
    if !has_program("parallel") {
        return;
    }
    share_state(&mut hosts);
    let path = hosts.planner.0.write("work/jobs.ndjson", jobs(9, "MS700"));
    let start = |hosts: &Hosts<Fake>| {
        let mut command = hosts.command(&PARALLEL);
        command.stdin(fs::File::open(&path).unwrap()).stderr(Stdio::null());
        command
    };
    let mut first = start(&hosts).stdout(Stdio::null()).spawn().unwrap();
    hosts.wait_for_prompts(4);
    crash(&mut first);
    let output = start(&hosts).output().unwrap();
    assert!(output.status.success());
    assert_eq!(completed(&String::from_utf8(output.stdout).unwrap()).len(), 9);
    assert_eq!(hosts.all_prompts(), (0..9).map(|n| format!("MS700 prompt {n}")).collect::<Vec<_>>());
}
