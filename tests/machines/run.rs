//! `run --on`: the jobs of a run on hosts, with the fake Codex.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::machines::homes::{Homes, of_type, prompts};
use crate::world::fake::wait_until;
use crate::world::hosts::{Hosts, NAMES};
use crate::world::json as records;

#[test]
fn jobs_run_on_three_hosts_and_the_run_stays_here() {
    let Some(hosts) = Hosts::over_ssh() else { return };
    let all = prompts(12, " MS700");
    let words = ["codex-agent-run", "--on", "h1:2,h2:2,h3:2", "--json", "-"];
    let ran = hosts.feed(&words, all.join("\n"));
    ran.exits(0);
    let events = records(&ran.out);
    let completed = of_type(&events, "job.completed");
    assert_eq!(completed.len(), 12, "{}", ran.out);
    assert_eq!(of_type(&events, "job.bound").len(), 12);
    for event in &completed {
        let host = event["host"].as_str().unwrap();
        let prompt = &all[event["number"].as_u64().unwrap() as usize - 1];
        assert_eq!(event["last_message"], format!("echo: {prompt}"));
        assert!(hosts.host(host).prompts().contains(prompt));
    }
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["counts"]["completed"]), (&"run.completed".into(), &12.into()));
    assert_eq!(hosts.all_prompts(), all);
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

/// Runners and workers are killed at random, and the run is continued.
#[test]
fn kills_of_runner_and_worker_send_each_prompt_once() {
    kill_at_random(1..=if crate::world::is_long() { 100 } else { 6 });
}

fn kill_at_random(seeds: std::ops::RangeInclusive<u64>) {
    let names = ["a", "b", "c"];
    let mut kills = 0;
    for seed in seeds {
        let homes = Homes::new(&names);
        let mut random = seed;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % limit
        };
        let all = prompts(12, " MS500");
        let mut runner = homes.start(&["--on", "a:2,b:2,c:2"], &all);
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(30 + below(300)));
            if below(3) == 0 {
                kills += usize::from(runner.kill().is_ok());
                let _ = runner.wait();
                runner = homes.0.start(&["run", "continue", "--yes"]);
                continue;
            }
            let is_worker = |command: &str| command.contains("--worker");
            let workers: Vec<_> =
                homes.processes().into_iter().filter(|process| is_worker(&process.command)).collect();
            if !workers.is_empty() {
                let worker = &workers[below(workers.len() as u64) as usize];
                kills += usize::from(kill_process(worker.pid, Signal::KILL).is_ok());
            }
        }
        let _ = runner.wait();
        for _ in 0..9 {
            let ran = homes.0.tool(&["run", "continue", "--yes"]);
            if ran.err.contains("there is no unfinished run") {
                break;
            }
        }
        let log = homes.0.good(&["run", "log"]);
        assert_eq!(homes.all_prompts(&names), all, "seed {seed}\n{log}");
        let run = homes.newest();
        let counts = &run["counts"]["completed"];
        assert_eq!((&run["state"], counts), (&"finished".into(), &12.into()), "seed {seed}\n{log}");
    }
    println!("{kills} kills");
}

/// A host at its usage limit gives its jobs back; the others do them.
#[test]
fn a_host_at_its_limit_leaves_its_jobs_to_the_others() {
    let names = ["a", "b", "c"];
    let homes = Homes::new(&names);
    homes.run_on("a", &["run", "reach the LIMIT3600"]).exits(75);
    let all = prompts(12, " MS100");
    let (ran, events) = homes.run(&["--on", "a:2,b:2,c:2"], &all);
    ran.exits(0).reports("host 'a' gets no more jobs until ");
    let returned = of_type(&events, "job.returned");
    assert!(!returned.is_empty() && returned.len() <= 2, "{}", ran.out);
    for event in returned {
        assert_eq!((&event["host"], &event["why"]), (&"a".into(), &"usage_limit".into()));
        assert!(event["until"].is_string());
    }
    assert_eq!(homes.all_prompts(&["b", "c"]), all);
    assert_eq!(homes.prompts("a").len(), 1);
    // Only the job that reached the limit is left there.
    let runs = records(&homes.run_on("a", &["run", "list", "--json"]).out);
    let worker = runs.iter().find(|run| run["kind"] == "worker").unwrap();
    homes.run_on("a", &["run", "continue", worker["id"].as_str().unwrap()]).exits(0).reports("no work left");
    assert_eq!(homes.prompts("a").len(), 1);
}

#[test]
fn a_run_stops_when_all_hosts_are_at_their_limit() {
    let homes = Homes::new(&["a", "b"]);
    homes.run_on("a", &["run", "reach the LIMIT3600"]).exits(75);
    homes.run_on("b", &["run", "reach the LIMIT7200"]).exits(75);
    let (ran, events) = homes.run(&["--on", "a,b"], &prompts(4, ""));
    ran.exits(75).reports("stopped (usage_limit until ");
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["left"]), (&"run.stopped".into(), &4.into()));
    let limits = records(&homes.run_on("a", &["status", "--json"]).out);
    let limit = limits.iter().find(|record| record["type"] == "limit").unwrap();
    // The earliest time.
    assert!(last["until"].as_str().unwrap() >= limit["until"].as_str().unwrap());
    assert!(last["until"].as_str().unwrap()[..16] == limit["until"].as_str().unwrap()[..16], "{last}");
    assert_eq!(homes.all_prompts(&["a", "b"]).len(), 2);
}

/// A limit that is reached in this run: the job is done elsewhere.
#[test]
fn a_job_that_reaches_the_limit_of_its_host_is_done_elsewhere() {
    let homes = Homes::new(&["a", "b"]);
    let all = ["one LIMIT2".to_owned(), "two MS1500".to_owned()];
    let (ran, events) = homes.run(&["--on", "a:1,b:1", "--on-limit", "wait"], &all);
    ran.exits(0);
    assert_eq!(of_type(&events, "job.completed").len(), 2, "{}", ran.out);
}

/// What each broken host costs: a line, and nothing sent.
#[test]
fn a_host_that_cannot_carry_out_jobs_is_named_and_its_work_is_left() {
    let hello = |protocol: u32| {
        format!(
            "echo; echo '{{\"type\":\"worker.hello\",\"protocol\":{protocol},\"version\":\"9\",\"codex\":{{\"path\":null,\
             \"version\":null}},\"place\":\"p\",\"boot\":null,\"cpus\":1}}'"
        )
    };
    for (name, script, want) in [
        (
            "down",
            "echo 'ssh: connect to host h port 22: Connection refused' >&2; exit 255",
            "Connection refused",
        ),
        ("none", "echo 'sh: 1: codex-agent: not found' >&2; exit 127", "host.none.command in config.toml"),
        (
            "old",
            "echo \"codex-agent-run: unknown option '--worker'\" >&2; exit 2",
            "too old for 'codex-agent run --on'",
        ),
        ("newer", &(hello(2) + "; cat > /dev/null"), "speaks version 2 of the protocol"),
        ("nocodex", &(hello(1) + "; cat > /dev/null"), "there is no Codex"),
        ("mute", "sleep 60", "no greeting of a worker came within 3 s"),
        ("deaf", "trap '' INT TERM HUP; sleep 60 & sleep 60", "no greeting of a worker came within 3 s"),
        ("babble", "seq 1 100000", "text that is not an answer of codex-agent"),
        ("ends", "exit 0", "it ended without an answer of codex-agent"),
        ("dies", "kill -9 $$", "was ended by signal 9"),
    ] {
        let homes = Homes::new(&[]);
        homes.add_script(name, script);
        let begun = std::time::Instant::now();
        let (ran, events) = homes.run(&["--on", name], &prompts(2, ""));
        ran.exits(75).reports(want);
        let said = ran.err.lines().filter(|line| line.contains(&format!("host '{name}'"))).count();
        assert!((1..=3).contains(&said), "{name}: {}", ran.err);
        let last = events.last().unwrap();
        assert_eq!((&last["why"], &last["left"]), (&"host".into(), &2.into()), "{name}: {}", ran.out);
        assert_eq!(homes.prompts(name), [""; 0], "{name}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{name}: {:?}", begun.elapsed());
        wait_until(|| !homes.processes().iter().any(|process| process.command.contains("sleep 60")));
    }
    let homes = Homes::new(&[]);
    homes.configure("gone", "\"/nowhere/ssh\"");
    let (ran, _) = homes.run(&["--on", "gone"], &prompts(2, ""));
    ran.exits(75).reports("cannot run '/nowhere/ssh'").reports("host.gone.via in config.toml");
}

#[test]
fn a_banner_before_the_greeting_and_torn_lines_do_no_harm() {
    let homes = Homes::new(&[]);
    homes.add_script("loud", "echo Welcome; printf '{\"type\":\"job.comp'; exec \"$@\"");
    let all = prompts(3, "");
    let (ran, events) = homes.run(&["--on", "loud"], &all);
    ran.exits(0);
    assert_eq!(of_type(&events, "job.completed").len(), 3, "{}", ran.out);
    assert_eq!(homes.prompts("loud"), all);
}

/// A host that lost its state directory would begin its jobs again.
#[test]
fn jobs_of_a_host_that_was_renewed_are_interrupted() {
    let homes = Homes::new(&["a"]);
    let mut runner = homes.start(&["--on", "a"], &prompts(2, " SLEEP30"));
    wait_until(|| homes.prompts("a").len() == 2);
    runner.kill().unwrap();
    runner.wait().unwrap();
    homes.signal("", Signal::KILL);
    std::fs::remove_dir_all(homes.0.0.path("a/state")).unwrap();
    homes.0.tool(&["run", "continue"]).exits(1).reports("2 jobs were interrupted");
    let log = homes.0.good(&["run", "log", "--json"]);
    let failed = records(&log);
    let failed = of_type(&failed, "job.failed");
    assert_eq!(failed.len(), 2, "{log}");
    assert!(failed[0]["failure"]["message"].as_str().unwrap().contains("another state directory"), "{log}");
    assert_eq!(homes.prompts("a").len(), 2);
}

#[test]
fn a_host_that_is_gone_for_good_is_given_up() {
    let homes = Homes::new(&["a", "b"]);
    let mut runner = homes.start(&["--on", "a:1,b:1"], &prompts(2, " SLEEP3"));
    wait_until(|| homes.all_prompts(&["a", "b"]).len() == 2);
    runner.kill().unwrap();
    runner.wait().unwrap();
    homes.signal("", Signal::KILL);
    let path = "home/.config/codex-agent/config.toml";
    let config = std::fs::read_to_string(homes.0.0.path(path)).unwrap();
    homes.0.0.write(path, config.replacen("\"env\", ", "\"false\", ", 1));
    homes.0.tool(&["run", "continue"]).exits(75).reports("host 'a': 'false' ended with status 1");
    homes.0.tool(&["run", "continue", "--give-up", "a"]).exits(1).reports("interrupted");
    assert_eq!(homes.all_prompts(&["a", "b"]).len(), 2);
    assert_eq!(homes.newest()["state"], "finished");
}

#[test]
fn the_first_signal_hears_out_what_runs_and_the_second_stops_it() {
    let homes = Homes::new(&["a", "b"]);
    let mut runner = homes.start(&["--on", "a:1,b:1"], &prompts(5, " SLEEP2"));
    wait_until(|| homes.all_prompts(&["a", "b"]).len() == 2);
    kill_process(rustix::process::Pid::from_child(&runner), Signal::INT).unwrap();
    assert_eq!(runner.wait().unwrap().code(), Some(75));
    assert_eq!(homes.newest()["counts"]["completed"], 2);
    let mut runner = homes.0.start(&["run", "continue", "--yes"]);
    wait_until(|| homes.all_prompts(&["a", "b"]).len() == 4);
    kill_process(rustix::process::Pid::from_child(&runner), Signal::INT).unwrap();
    // Two signals at once may be one.
    std::thread::sleep(Duration::from_millis(500));
    kill_process(rustix::process::Pid::from_child(&runner), Signal::INT).unwrap();
    assert_eq!(runner.wait().unwrap().code(), Some(130));
    let counts = &homes.newest()["counts"];
    assert_eq!((&counts["completed"], &counts["failed"]), (&2.into(), &2.into()), "{counts}");
    assert_eq!(homes.all_prompts(&["a", "b"]).len(), 4);
    wait_until(|| !homes.processes().iter().any(|process| process.command.contains("codex")));
}

#[test]
fn stop_now_leaves_nothing_running_on_any_host() {
    let homes = Homes::new(&["a", "b"]);
    let mut runner = homes.start(&["--on", "a:1,b:1"], &prompts(4, " SLEEP60"));
    wait_until(|| homes.all_prompts(&["a", "b"]).len() == 2);
    let name = homes.newest()["id"].as_str().unwrap().to_owned();
    homes.0.good(&["run", "stop", "--now", &name]);
    assert_eq!(runner.wait().unwrap().code(), Some(130));
    wait_until(|| !homes.processes().iter().any(|process| process.command.contains("codex")));
    // Without a runner.
    let mut runner = homes.0.start(&["run", "continue", "--yes"]);
    wait_until(|| homes.all_prompts(&["a", "b"]).len() == 4);
    runner.kill().unwrap();
    runner.wait().unwrap();
    wait_until(|| homes.0.tool(&["run", "stop", &name]).err.contains("may be running on a, b"));
    homes.0.good(&["run", "stop", "--now", &name]);
    wait_until(|| !homes.processes().iter().any(|process| process.command.contains("codex")));
    assert_eq!(homes.newest()["counts"]["failed"], 4, "{}", homes.0.good(&["run", "log"]));
    assert_eq!(homes.all_prompts(&["a", "b"]).len(), 4);
}

#[test]
fn two_runs_share_a_host_and_a_record_names_only_known_hosts() {
    let homes = Homes::new(&["a"]);
    let all = prompts(4, " MS300");
    let mut first = homes.start(&["--on", "a:2"], &all[..2]);
    let (ran, _) = homes.run(&["--on", "a:2"], &all[2..]);
    ran.exits(0);
    assert!(first.wait().unwrap().success());
    assert_eq!(homes.prompts("a"), all);
    for (host, want) in [("-oProxyCommand=touch", "host"), ("unknown", "neither --on nor config.toml names")]
    {
        let record = format!("{{\"type\":\"job\",\"prompt\":\"go on\",\"cwd\":\"/\",\"host\":\"{host}\"}}\n");
        homes.0.feed(&["run", "--jobs"], record).exits(2).reports(want).reports("nothing was started");
    }
    let record = "{\"type\":\"job\",\"prompt\":\"go on\",\"cwd\":\"/\",\"host\":\"a\"}\n";
    homes.0.feed(&["run", "--jobs"], record).exits(0);
    assert_eq!(homes.prompts("a").len(), 5);
    assert_eq!(homes.0.prompts(), [""; 0]);
}

#[test]
fn the_prompts_of_a_queue_are_sent_on_a_host() {
    let homes = Homes::new(&["a", "b"]);
    homes.0.good(&["queue", "create", "book"]);
    homes.0.feed(&["queue", "add", "book", "-"], "write one thing\nwrite two things\n").exits(0);
    homes.0.tool(&["queue", "run", "book", "--on", "a,b"]).exits(2).reports("is run on one host");
    homes.0.tool(&["queue", "run", "book", "--on", "a"]).exits(0);
    assert_eq!(homes.prompts("a"), ["write one thing", "write two things"]);
    let shown = records(&homes.0.good(&["queue", "show", "book", "--json"]));
    assert!(of_type(&shown, "prompt").iter().all(|prompt| prompt["status"] == "completed"));
}

/// A host whose Codex has no login fails one job, and gets no others.
#[test]
fn a_host_without_a_login_gets_no_more_jobs() {
    let homes = Homes::new(&["a", "b"]);
    let codex = homes.0.0.path("bin/codex").display().to_string();
    let script = format!(
        "#!/bin/sh\ncase $1 in --version) exec {codex} --version ;; esac\n(cat; echo ' FAIL401') | exec {codex} \"$@\"\n"
    );
    let script = homes.0.0.script("logged-out", &script);
    homes.add_script("out", &format!("CODEX_AGENT_CODEX={} exec \"$@\"", script.display()));
    let all = prompts(8, "");
    let (ran, events) = homes.run(&["--on", "out:1,b:1"], &all);
    ran.exits(0).reports("host 'out' gets no more jobs in this run: auth");
    let failed = of_type(&events, "job.failed");
    assert!(failed.len() <= 1, "{}", ran.out);
    // Codex has done nothing, so the job is done elsewhere.
    assert!(failed.iter().all(|event| event["again"] == true), "{}", ran.out);
    assert_eq!(of_type(&events, "job.completed").len(), 8, "{}", ran.out);
    // Alone, it stops the run.
    let (ran, events) = homes.run(&["--on", "out:1"], &all);
    ran.exits(75);
    assert_eq!(events.last().unwrap()["why"], "auth", "{}", ran.out);
}

/// The state directory of a host is full: nothing is sent there, and the jobs are done elsewhere.
#[test]
fn a_host_with_a_full_disk_leaves_its_jobs_to_the_others() {
    let homes = Homes::new(&["a", "b"]);
    let state = homes.0.0.path("a/state");
    std::fs::create_dir_all(&state).unwrap();
    let place = state.to_str().unwrap();
    let mounted = crate::world::is_root()
        && homes.0.0.run(&["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", place]).code == 0;
    if !mounted {
        eprintln!("SKIPPED: no small disk can be mounted here");
        return;
    }
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        homes.0.0.run(&["dd", "if=/dev/zero", &format!("of={place}/fill"), "bs=4k"]);
        let all = prompts(6, "");
        let (ran, _) = homes.run(&["--on", "a:2,b:2"], &all);
        ran.exits(0).reports("host 'a'").reports("no space left on device");
        assert_eq!(homes.all_prompts(&["a", "b"]), all);
        let (ran, events) = homes.run(&["--on", "a"], &all);
        ran.exits(75);
        assert_eq!(events.last().unwrap()["left"], 6);
        std::fs::remove_file(state.join("fill")).unwrap();
        homes.0.tool(&["run", "continue", "--yes"]).exits(0);
        assert_eq!(homes.all_prompts(&["a", "b"]).len(), 12);
    }));
    homes.0.0.run(&["umount", "-l", place]);
    tried.unwrap_or_else(|why| std::panic::resume_unwind(why));
}

/// The depth of nested runs counts over hosts.
#[test]
fn runs_are_not_nested_more_deeply_on_hosts() {
    let mut homes = Homes::new(&["a"]);
    homes.0.0.set("CODEX_AGENT_DEPTH", "2");
    let (ran, events) = homes.run(&["--on", "a"], &["say SHELL{echo depth $CODEX_AGENT_DEPTH}".to_owned()]);
    ran.exits(0);
    assert!(events.iter().any(|event| event["type"] == "job.completed"));
    homes.0.0.set("CODEX_AGENT_DEPTH", "3");
    let (ran, _) = homes.run(&["--on", "a"], &prompts(1, ""));
    ran.exits(2).reports("nested");
    // A record that a deeper run wrote is refused by the worker.
    homes.0.0.set("CODEX_AGENT_DEPTH", "0");
    let record = serde_json::json!({
        "type": "job", "v": 1, "run": "r", "host": "a", "id": "1", "prompt": "go on", "cwd": "/", "depth": 3, "attempt": 1
    });
    let ran = homes.0.feed(&["run", "--worker"], format!("{record}\n"));
    ran.exits(0);
    assert!(ran.out.contains("nested more than 3 deep"), "{}", ran.out);
}

/// The session of an interrupted job is continued on its host, even if another one is free first.
#[test]
fn an_interrupted_session_is_continued_on_its_host() {
    let homes = Homes::new(&["a", "b"]);
    let mut runner = homes.start(&["--on", "b:1"], &prompts(1, " SLEEP60"));
    wait_until(|| homes.prompts("b").len() == 1);
    let run = homes.newest()["id"].as_str().unwrap().to_owned();
    homes.0.good(&["run", "stop", "--now", &run]);
    runner.wait().unwrap();
    homes.0.tool(&["run", "continue", &run, "--interrupted", "continue", "--on", "a,b"]).exits(0);
    assert_eq!(homes.prompts("a"), [""; 0]);
    assert_eq!(homes.prompts("b"), ["Continue.".to_owned(), prompts(1, " SLEEP60")[0].clone()]);
}

/// What a run without a runner has left is done as the run was begun, and not on this machine.
#[test]
fn a_run_that_was_stopped_keeps_its_hosts() {
    let homes = Homes::new(&["a"]);
    let all = prompts(3, " SLEEP2");
    let mut runner = homes.start(&["--on", "a:1", "--timeout", "1h"], &all);
    wait_until(|| homes.prompts("a").len() == 1);
    runner.kill().unwrap();
    runner.wait().unwrap();
    let run = homes.newest()["id"].as_str().unwrap().to_owned();
    homes.0.good(&["run", "stop", "--now", &run]);
    homes.0.tool(&["run", "continue", &run]).exits(1);
    assert_eq!((homes.prompts("a"), homes.0.prompts()), (all, vec![]));
    let log = homes.0.good(&["run", "log", "--json"]);
    let begun = records(&log);
    assert_eq!(of_type(&begun, "run.started").last().unwrap()["settings"]["timeout_ms"], 3_600_000);
}

#[test]
fn a_run_whose_only_host_is_given_up_ends() {
    let homes = Homes::new(&["a"]);
    let mut runner = homes.start(&["--on", "a"], &prompts(1, " SLEEP60"));
    wait_until(|| homes.prompts("a").len() == 1);
    runner.kill().unwrap();
    runner.wait().unwrap();
    homes.0.tool(&["run", "continue", "--give-up", "b"]).exits(2).reports("its hosts: a");
    homes.0.tool(&["run", "continue", "--give-up", "a"]).exits(1).reports("interrupted");
    assert_eq!(homes.newest()["state"], "finished");
}

/// A worker knows what it knows of a state directory and of a Codex home.
#[test]
fn another_codex_home_of_a_host_begins_no_job_again() {
    let homes = Homes::new(&["a"]);
    let mut runner = homes.start(&["--on", "a"], &prompts(1, " SLEEP60"));
    wait_until(|| homes.prompts("a").len() == 1);
    runner.kill().unwrap();
    runner.wait().unwrap();
    let config = homes.0.0.path("home/.config/codex-agent/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::create_dir_all(homes.0.0.path("a/other")).unwrap();
    std::fs::write(&config, text.replace("/a/codex", "/a/other")).unwrap();
    homes.0.tool(&["run", "continue"]).exits(1).reports("interrupted");
    assert_eq!(homes.prompts("a").len(), 1);
}

/// Output that is longer than a pipe, and more lines than are read at a time, arrive at once.
#[test]
fn long_answers_and_many_lines_arrive_at_once() {
    let homes = Homes::new(&["a"]);
    let long = "word ".repeat(200_000);
    let begun = std::time::Instant::now();
    let (ran, events) = homes.run(&["--on", "a"], &[format!("say {long}")]);
    ran.exits(0);
    let message = of_type(&events, "job.completed")[0]["last_message"].as_str().unwrap().len();
    assert!(message > 900_000, "{message}");
    let hello = homes.0.feed(&["run", "--worker"], "").out;
    let noise = "i=0; while [ $i -lt 3000 ]; do echo '{}'; i=$((i+1)); done";
    homes.add_script("noisy", &format!("echo; echo '{}'; {noise}; exec \"$@\"", hello.trim()));
    let (ran, _) = homes.run(&["--on", "noisy"], &prompts(1, ""));
    assert_ne!(ran.code, 101, "{}", ran.err);
    assert!(begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
}

#[test]
fn a_tested_limit_is_waited_for_and_keeps_the_host_open() {
    let homes = Homes::new(&["a"]);
    homes.run_on("a", &["run", "reach the LIMIT1"]).exits(75);
    std::thread::sleep(Duration::from_secs(3));
    let (ran, _) = homes.run(&["--on", "a:2"], &prompts(2, " SLEEP2"));
    ran.exits(0);
    homes.run_on("a", &["run", "reach the LIMITX"]).exits(75);
    let (ran, _) = homes.run(&["--on", "a:2", "--on-limit", "try"], &prompts(2, " MS500"));
    ran.exits(0);
}

#[test]
fn records_with_a_host_are_refused_where_jobs_run_here() {
    let homes = Homes::new(&["a"]);
    let record =
        "{\"type\":\"job\",\"run\":\"r\",\"id\":\"1\",\"prompt\":\"go on\",\"cwd\":\"/\",\"host\":\"a\"}\n";
    homes.0.feed(&["run", "--jobs", "--once"], record).exits(2).reports("names host 'a'");
    homes
        .0
        .tool(&["run", "--on", "a", "--codex-home", "/tmp", "-p", "go on"])
        .exits(2)
        .reports("--codex-home");
    homes.append("[host.second]\nvia = [\"env\"]\n");
    homes.0.tool(&["run", "--on", "secnd", "-p", "go on"]).exits(2).reports("did you mean 'second'?");
    assert_eq!(homes.all_prompts(&["a"]), [""; 0]);
}

/// A host that invents events changes neither other jobs nor the numbers of attempts.
#[test]
fn events_that_a_host_invents_do_no_harm() {
    let homes = Homes::new(&["a"]);
    let hello = homes.0.feed(&["run", "--worker"], "").out;
    let event = |kind: &str, job: &str, attempt: u32, more: &str| {
        format!(
            "{{\"type\":\"{kind}\",\"job\":\"{job}\",\"number\":7,\"attempt\":{attempt},\"session\":null,\"name\":null{more},\
             \"v\":1,\"run\":\"r\",\"at\":\"2026-11-22T10:00:00.000Z\",\"counts\":{{\"pending\":0,\"running\":0,\
             \"completed\":0,\"failed\":0,\"skipped\":0}}}}"
        )
    };
    let started = ",\"cwd\":null,\"sandbox\":null,\"resent\":false,\"boot\":null,\"usage_before\":null";
    let done = ",\"last_message\":\"done\",\"usage\":{\"input_tokens\":9223372036854775807},\"duration_ms\":1,\"adopted\":false";
    let lines = [
        event("job.completed", "2", 1, done),
        event("job.started", "1", 4_294_967_295, started),
        event("job.started", "1", 4_294_967_295, started),
        event("job.completed", "1", 4_294_967_295, done),
        event("job.completed", "1", 1, done),
    ];
    let script = homes.0.0.write("evil.lines", format!("{}\n{}\n", hello.trim(), lines.join("\n")));
    homes.add_script(
        "evil",
        &format!("head -n 1 {0}; read -r line; tail -n +2 {0}; cat > /dev/null", script.display()),
    );
    let (ran, events) = homes.run(&["--on", "evil:1"], &prompts(1, ""));
    ran.exits(0);
    let completed = of_type(&events, "job.completed");
    assert_eq!(completed.len(), 1, "{}", ran.out);
    assert_eq!((&completed[0]["attempt"], &completed[0]["number"]), (&1.into(), &1.into()), "{}", ran.out);
    assert_eq!(of_type(&events, "job.started").len(), 1, "{}", ran.out);
    homes.0.good(&["run", "log"]);
}
