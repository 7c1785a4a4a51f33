//! More machines than one, each a host of [`Hosts`].

pub mod files;
pub mod homes;
pub mod parallel;
pub mod real;
pub mod run;
pub mod sessions;
pub mod slurm;

use std::time::Instant;

use rustix::process::Signal;

use crate::documents::unroff;
use crate::world::fake::{of_type, wait_until};
use crate::world::hosts::{Hosts, Machine, NAMES};
use crate::world::json as records;

/// The example of codex-agent-distributed(7) that contains a text.
fn example(part: &str) -> String {
    let page = include_str!("../man/codex-agent-distributed.7");
    let blocks = page.split(".nf\n").skip(1).filter_map(|rest| rest.split(".fi\n").next());
    let blocks: Vec<String> = blocks
        .map(|block| {
            block.lines().filter(|line| !line.starts_with('.')).map(|line| unroff(line) + "\n").collect()
        })
        .collect();
    let mut found = blocks.iter().filter(|block| block.contains(part));
    found.next().unwrap_or_else(|| panic!("no example with '{part}'")).clone()
}

/// Puts so many prompts beside the planner, as the examples expect, and a repository on each host.
fn prepare<M: Machine>(hosts: &Hosts<M>, count: usize) -> Vec<String> {
    let mut prompts: Vec<String> = (0..count).map(|n| format!("prompt number {n} of {count}")).collect();
    std::fs::write(hosts.planner.place().join("prompts.txt"), prompts.join("\n") + "\n").unwrap();
    for name in NAMES {
        hosts.run_on(name, &["git", "init", "-q", "../home/src/docs"]).succeeds();
    }
    prompts.sort();
    prompts
}

#[test]
fn each_host_has_its_own_home_and_codex() {
    let begun = Instant::now();
    let Some(mut hosts) = Hosts::over_ssh() else { return };
    println!("three sshd after {:?}", begun.elapsed());
    hosts.run(&["ssh", "h1", "codex-agent", "--version"]).succeeds().shows("codex-agent ");
    for name in NAMES {
        hosts.run_on(name, &["codex-agent-run", &format!("begin {name}")]).succeeds();
    }
    for name in NAMES {
        let ran = hosts.run(&["ssh", name, "codex-agent", "ls", "--json"]);
        ran.succeeds().reports_exactly("");
        let listed = records(&ran.out);
        assert_eq!((listed.len(), &listed[0]["first_user_message"]), (1, &format!("begin {name}").into()));
        assert_eq!(hosts.host(name).prompts(), [format!("begin {name}")]);
        let home = hosts.host(name).0.path("home").display().to_string();
        hosts
            .sh(&format!("ssh {name} 'pwd; echo $HOME $FAKE_HOST'"))
            .prints(format!("{home}\n{home} {name}\n"));
    }
    assert_eq!(hosts.all_prompts().len(), 3);
    hosts.set_on("h2", "WORD", "it's");
    hosts.script_on("h2", "greet", "#!/bin/sh\necho $WORD; exit 7\n");
    hosts.run(&["ssh", "h2", "greet"]).exits(7).prints("it's\n");
    hosts.run(&["ssh", "dead", "true"]).exits(255).reports("refused");
    hosts.run(&["ssh", "refused", "true"]).exits(255).reports("Permission denied");
    hosts.run(&["ssh", "-o", "ConnectTimeout=1", "mute", "true"]).exits(255).reports("timed out");
}

#[test]
fn sshd_of_a_host_stops_pauses_and_starts_again() {
    let Some(mut hosts) = Hosts::over_ssh() else { return };
    let mut waits = hosts.command(&["ssh", "h1", "sleep", "77"]).spawn().unwrap();
    let is_running =
        |hosts: &Hosts<_>| hosts.processes("h1").iter().any(|process| process.command == "sleep 77");
    wait_until(|| is_running(&hosts));
    hosts.pause_sshd("h1");
    hosts.run(&["ssh", "-o", "ConnectTimeout=1", "h1", "true"]).exits(255);
    hosts.resume_sshd("h1");
    hosts.run(&["ssh", "h1", "true"]).succeeds();
    hosts.stop_sshd("h1");
    assert_eq!(waits.wait().unwrap().code(), Some(255));
    hosts.run(&["ssh", "h1", "true"]).exits(255).reports("refused");
    assert!(is_running(&hosts), "the command ended with its connection");
    assert_eq!(hosts.signal_on("h1", "sleep 77", Signal::KILL), 1);
    hosts.start_sshd("h1");
    hosts.run(&["ssh", "h1", "true"]).succeeds();
}

#[test]
fn nodes_of_slurm_are_hosts() {
    let begun = Instant::now();
    let Some(hosts) = Hosts::over_slurm() else { return };
    println!("slurmctld and three slurmd after {:?}", begun.elapsed());
    let ran = hosts.sh("srun -Q -N3 -l on-node sh -c 'echo $FAKE_HOST' | sort");
    ran.succeeds().prints("0: h1\n1: h2\n2: h3\n");
    let ran =
        hosts.run(&["srun", "-Q", "-n1", "-w", "n2", "on-node", "codex-agent-run", "--json", "on a node"]);
    ran.succeeds();
    assert_eq!(hosts.prompts(), [vec![], vec!["on a node".to_owned()], vec![]]);
}

/// The examples of codex-agent-distributed(7) that need neither parallel nor Slurm.
#[test]
fn the_examples_over_ssh_run() {
    let Some(mut hosts) = Hosts::over_ssh() else { return };
    let prompts = prepare(&hosts, 3);
    // A codex of this name is on the PATH of a host.
    for name in NAMES {
        let codex = hosts.host(name).0.path("bin/codex");
        std::os::unix::fs::symlink(codex, hosts.host(name).0.path("own/codex")).unwrap();
    }
    hosts.sh(&example("--version")).succeeds().shows("codex-agent ").shows("codex-cli 0.");
    hosts.sh(&example("echo \"$PATH\"")).succeeds().shows("/own/codex\n").shows("/codex-agent\n");
    hosts.sh(&example("--dry-run")).succeeds();
    hosts.sh(&example("ssh h1 codex-agent run")).succeeds();
    let events = std::fs::read_to_string(hosts.planner.place().join("events.ndjson")).unwrap();
    assert_eq!(of_type(&records(&events), "job.completed").len(), 3);
    assert!(events.contains("home/src/docs"), "{events}");
    assert_eq!((hosts.host("h1").prompts(), hosts.all_prompts()), (prompts.clone(), prompts));
    // The directories of the planner and of the hosts have one place in the example.
    std::fs::create_dir_all(hosts.planner.place().join("src/docs")).unwrap();
    hosts.planner.0.write("home/.config/codex-agent/config.toml", {
        let here = hosts.planner.place();
        let table = |name: &str| {
            let there = hosts.host(name).0.path("home");
            format!("[host.{name}.paths]\n\"{}\" = \"{}\"\n", here.display(), there.display())
        };
        table("h1") + &table("h2")
    });
    hosts.sh(&example("--on h1")).succeeds().shows("job.completed");
    assert_eq!(hosts.all_prompts().len(), 6);
    hosts.sh(&example("ssh h1 codex-agent ls")).succeeds().shows("prompt number 2 of 3");
    let shared = hosts.planner.0.path("shared").display().to_string();
    std::fs::create_dir(&shared).unwrap();
    for name in NAMES {
        std::os::unix::fs::symlink(&shared, hosts.host(name).0.path("home/shared")).unwrap();
    }
    hosts.sh(&example("flock")).succeeds().prints("busy\n");
    // Without PATH nothing is found.
    hosts.set_on("h2", "PATH", "/usr/bin:/bin");
    hosts.run(&["ssh", "h2", "codex-agent", "ls"]).exits(127).reports("codex-agent: command not found");
}

#[test]
fn the_real_codex_of_a_host_asks_the_model_of_the_host() {
    let Some(hosts) = Hosts::real_over_ssh() else { return };
    let words =
        ["ssh", "h3", "codex-agent", "run", "--skip-git-repo-check", "--answers", "-p", "'over there'"];
    hosts.run(&words).succeeds().shows("echo: over there");
    assert_eq!(hosts.prompts(), [vec![], vec![], vec!["over there".to_owned()]]);
    assert_eq!(hosts.all_prompts().len(), 1);
    assert!(!hosts.planner.world.codex_home().join("sessions").exists());
}
