//! The real Codex on hosts, and real connections that are cut.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use crate::machines::homes::{of_type, prompts};
use crate::world::fake::wait_until;
use crate::world::hosts::{Hosts, Machine, NAMES};
use crate::world::json as records;

/// Runs 12 prompts on three hosts with the real Codex, and the same here, and compares.
fn compare(hosts: &Hosts<crate::world::real::Real>, on: &str) {
    let all = prompts(12, "");
    let words = ["codex-agent-run", "--skip-git-repo-check", "--json", "--on", on, "-"];
    let ran = hosts.feed(&words, all.join("\n"));
    ran.exits(0);
    let events = records(&ran.out);
    let completed = of_type(&events, "job.completed");
    assert_eq!(completed.len(), 12, "{}", ran.out);
    for event in &completed {
        let prompt = &all[event["number"].as_u64().unwrap() as usize - 1];
        let host = event["host"].as_str().unwrap().replace('n', "h");
        assert!(hosts.host(&host).prompts().contains(prompt), "{event}");
        assert!(event["usage"]["input_tokens"].as_i64().unwrap() > 0, "{event}");
    }
    assert_eq!(hosts.all_prompts(), all);
    assert!(!hosts.planner.world.codex_home().join("sessions").exists(), "the planner's home was used");
    let answers = |ran: &crate::world::Ran| {
        let mut lines: Vec<String> =
            ran.out.lines().filter(|line| !line.starts_with("==>")).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let far = hosts.run(&["codex-agent-run", "log", "--answers"]);
    far.exits(0);
    let far_counts = events.last().unwrap()["counts"].clone();
    let near = hosts.feed(&["codex-agent-run", "--skip-git-repo-check", "--json", "-"], all.join("\n"));
    near.exits(0);
    assert_eq!(records(&near.out).last().unwrap()["counts"], far_counts);
    let near = hosts.run(&["codex-agent-run", "log", "--answers"]);
    assert_eq!(answers(&near), answers(&far));
}

#[test]
fn the_real_codex_carries_out_jobs_over_ssh() {
    let Some(hosts) = Hosts::real_over_ssh() else { return };
    compare(&hosts, "h1:2,h2:2,h3:2");
}

#[test]
fn the_real_codex_carries_out_jobs_over_slurm() {
    let Some(hosts) = Hosts::real_over_slurm() else { return };
    let table = |n: u32| {
        format!(
            "[host.n{n}]\nvia = [\"srun\", \"-Q\", \"-n1\", \"-w\", \"n{n}\", \"on-node\"]\nmax_concurrent = 2\n"
        )
    };
    let config = [1, 2, 3].map(table).concat();
    hosts.planner.world.write("home/.config/codex-agent/config.toml", config);
    compare(&hosts, "all");
}

/// ssh, workers, Codex's runners and the planner are killed at random; the planner is continued.
#[test]
fn kills_of_ssh_worker_and_planner_send_each_prompt_once() {
    kill_with_seeds(2, Hosts::over_ssh, " MS700");
}

#[test]
fn kills_of_ssh_worker_and_planner_send_each_prompt_of_the_real_codex_once() {
    kill_with_seeds(1, Hosts::real_over_ssh, " SLEEP1");
}

fn kill_with_seeds<M: Machine>(few: u64, make: fn() -> Option<Hosts<M>>, end: &str) {
    let (mut kills, mut sent) = (0, 0);
    for seed in 1..=if crate::world::is_long() { 20 } else { few } {
        let Some(hosts) = make() else { return };
        let (killed, prompts) = kill_at_random(&hosts, seed, end);
        kills += killed;
        sent += prompts;
    }
    println!("{kills} kills, {sent} prompts sent once each");
}

fn kill_at_random<M: Machine>(hosts: &Hosts<M>, seed: u64, end: &str) -> (usize, usize) {
    let mut random = seed;
    let mut below = |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % limit
    };
    let all = prompts(12, end);
    let file = hosts.planner.world().write("prompts", all.join("\n"));
    let words = ["codex-agent-run", "--skip-git-repo-check", "--on", "h1:2,h2:2,h3:2", "-"];
    let mut command = hosts.command(&words);
    command.stdin(std::fs::File::open(file).unwrap());
    let mut planner = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // A run that is killed before it has begun is none, and nothing continues it.
    wait_until(|| !hosts.run(&["codex-agent-run", "list", "--json"]).out.is_empty());
    let mut kills = 0;
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(100 + below(500) as u64));
        let host = NAMES[below(3)];
        kills += match below(4) {
            0 => {
                let _ = planner.kill();
                let _ = planner.wait();
                let mut again = hosts.command(&["codex-agent-run", "continue", "--yes"]);
                planner =
                    again.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
                1
            }
            1 => hosts.signal_planner(&format!(" {host} codex-agent run --worker"), Signal::KILL),
            2 => hosts.signal_planner("--worker", Signal::KILL),
            _ => hosts.signal_on(host, "--worker", Signal::KILL),
        };
    }
    let _ = planner.wait();
    for _ in 0..9 {
        let ran = hosts.run(&["codex-agent-run", "continue", "--yes"]);
        if ran.err.contains("there is no unfinished run") {
            break;
        }
    }
    let log = hosts.run(&["codex-agent-run", "log"]).out;
    assert_eq!(hosts.all_prompts(), all, "seed {seed}\n{log}");
    let run = records(&hosts.run(&["codex-agent-run", "list", "--json", "-n1"]).out)[0].clone();
    assert_eq!((&run["state"], &run["counts"]["completed"]), (&"finished".into(), &12.into()), "{log}");
    (kills, all.len())
}

/// A connection that is open and through which nothing comes: ssh notices it, and the host is asked again.
#[test]
fn a_half_open_connection_is_noticed_and_nothing_is_sent_twice() {
    let Some(hosts) = Hosts::over_ssh() else { return };
    let all = prompts(4, " SLEEP2");
    let file = hosts.planner.0.write("prompts", all.join("\n"));
    hosts.planner.0.write(
        "home/.config/codex-agent/config.toml",
        "[host.h1]\nvia = [\"ssh\", \"-o\", \"ServerAliveInterval=1\", \"-o\", \"ServerAliveCountMax=2\", \"h1\"]\n",
    );
    let mut command = hosts.command(&["codex-agent-run", "--on", "h1:2,h2:1", "-"]);
    command.stdin(std::fs::File::open(file).unwrap());
    let mut planner = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    hosts.wait_for_prompts(3);
    hosts.pause_sshd("h1");
    std::thread::sleep(Duration::from_secs(4));
    hosts.resume_sshd("h1");
    assert_eq!(planner.wait().unwrap().code(), Some(0));
    assert_eq!(hosts.all_prompts(), all);
    let log = hosts.run(&["codex-agent-run", "log", "--json"]).out;
    assert!(!of_type(&records(&log), "host.lost").is_empty(), "{log}");
}
