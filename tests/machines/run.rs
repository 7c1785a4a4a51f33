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
    let is_long = std::env::var_os("CODEX_AGENT_TEST_LONG").is_some();
    kill_at_random(1..=if is_long { 100 } else { 6 });
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
fn what_a_job_needs_travels_and_its_paths_are_mapped() {
    let homes = Homes::new(&["a"]);
    let (here, there) = (homes.0.0.path("work"), homes.0.0.path("there"));
    std::fs::create_dir_all(there.join("deep")).unwrap();
    std::fs::create_dir_all(here.join("deep")).unwrap();
    homes.append(&format!("[host.a.paths]\n\"{}\" = \"{}\"\n", here.display(), there.display()));
    let image = homes.0.0.write("picture.png", "not a picture");
    let words = ["--on", "a", "--cwd", "deep", "--image", image.to_str().unwrap()];
    let (ran, events) = homes.run(&words, &prompts(1, ""));
    ran.exits(0);
    let started = of_type(&events, "job.started")[0];
    assert_eq!(started["cwd"], there.join("deep").to_str().unwrap(), "{}", ran.out);
    assert_eq!(started["host"], "a");
    let runs = homes.0.0.path("a/state/runs");
    let run = std::fs::read_dir(runs).unwrap().flatten().next().unwrap().path();
    let copies: Vec<String> = std::fs::read_dir(run.join("jobs/1"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_str().unwrap().starts_with("image-1"))
        .map(|entry| std::fs::read_to_string(entry.path()).unwrap())
        .collect();
    assert_eq!(copies, ["not a picture"]);
    // A directory that is not there is no reason to work elsewhere.
    std::fs::remove_dir_all(there.join("deep")).unwrap();
    let (ran, events) = homes.run(&["--on", "a", "--cwd", "deep"], &prompts(1, ""));
    ran.exits(1);
    assert_eq!(of_type(&events, "job.failed")[0]["failure"]["class"], "cwd");
    assert_eq!(homes.prompts("a").len(), 1);
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
    ran.exits(1).reports("host 'out' gets no more jobs in this run: auth");
    let failed = of_type(&events, "job.failed");
    assert!(failed.len() <= 1, "{}", ran.out);
    assert_eq!(of_type(&events, "job.completed").len() + failed.len(), 8, "{}", ran.out);
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
        && homes.0.0.run(&["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", place]).code == 0;
    if !mounted {
        eprintln!("SKIPPED: no small disk can be mounted here");
        return;
    }
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        homes.0.0.run(&["dd", "if=/dev/zero", &format!("of={place}/fill"), "bs=4k"]);
        let all = prompts(6, "");
        let (ran, _) = homes.run(&["--on", "a:2,b:2"], &all);
        ran.exits(0).reports("host 'a'").reports("No space left on device");
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
