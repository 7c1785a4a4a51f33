//! Runners that are killed, journals that are torn, boots that change: each job is sent once.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use codex_agent_engine::liveness;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::world::fake::{Fake, crash, end, failures, of_type, signal, wait_for_end, wait_until};
use crate::world::script::{CODEX, Scripted, failure_messages};
use crate::world::{World, json as records};

#[test]
fn a_started_job_counts_as_sent_whatever_happens_to_its_output() {
    type Harm = fn(&std::path::Path);
    let harms: [Harm; 4] = [
        |directory| fs::remove_dir_all(directory.join("jobs")).unwrap(),
        |directory| fs::remove_file(directory.join("jobs/1/1.out")).unwrap(),
        |directory| fs::write(directory.join("jobs/1/1.out"), "").unwrap(),
        // An id as a later release may write it.
        |directory| {
            let out = directory.join("jobs/1/1.out");
            let text = fs::read_to_string(&out).unwrap().replace("\"thread_id\":\"", "\"thread_id\":\"thr_");
            fs::write(out, text).unwrap();
            let journal = directory.join("journal.ndjson");
            let lines = fs::read_to_string(&journal).unwrap();
            let kept = lines.lines().filter(|line| !line.contains("job.session"));
            fs::write(&journal, kept.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        },
    ];
    for (nth, harm) in harms.iter().enumerate() {
        let fake = Fake::newest();
        harm(&fake.interrupt(&["run", "SLEEP30 first"]));
        let (ran, events) = fake.events(&["run", "continue"]);
        ran.case(nth).exits(1);
        assert_eq!(failures(&events), ["interrupted"], "{nth}: {}", ran.err);
        let fake = Fake::newest();
        fake.good(&["queue", "add", "q", "-p", "SLEEP30 first", "-p", "two"]);
        harm(&fake.interrupt(&["queue", "run", "q"]));
        fake.tool(&["queue", "run", "q"]).case(nth).exits(1);
        assert_eq!(fake.prompts(), ["SLEEP30 first", "two"], "{nth}");
        assert_eq!(fake.each("q", "status"), ["failed", "completed"], "{nth}");
    }
}

#[test]
fn a_codex_whose_start_could_not_be_recorded_is_adopted() {
    // The lengths of the lines are the same in each world.
    let limit = |fake: &Fake| {
        let journal = fs::read_to_string(fake.runs()[0].join("journal.ndjson")).unwrap();
        let spawned = journal.lines().find(|line| line.contains("job.spawned")).unwrap();
        journal.find(spawned).unwrap() + spawned.len() - 12
    };
    let start = |fake: &mut Fake| {
        let codex = fake.0.path("bin/codex").display().to_string();
        let wrapper = format!("#!/bin/sh\nulimit -S -f unlimited; exec {codex} \"$@\"\n");
        let wrapper = fake.0.script("bin/wrapper", &wrapper).display().to_string();
        fake.0.set("CODEX_AGENT_CODEX", wrapper);
    };
    for tool in ["queue", "run"] {
        let prepare = |fake: &mut Fake| {
            start(fake);
            if tool == "queue" {
                fake.good(&["queue", "add", "q", "SLEEP2 two"]);
            }
        };
        let words: &[&str] = if tool == "queue" { &["queue", "run", "q"] } else { &["run", "SLEEP2 two"] };
        let mut fake = Fake::newest();
        prepare(&mut fake);
        fake.good(words);
        let limit = limit(&fake);
        let mut fake = Fake::newest();
        prepare(&mut fake);
        let program = format!("codex-agent-{}", words[0]);
        let mut line = vec![
            "bash",
            "-c",
            "trap '' XFSZ; cd work; limit=$1; shift; exec prlimit --fsize=$limit:unlimited \"$@\"",
            "bash",
        ];
        let limit = limit.to_string();
        line.extend([limit.as_str(), program.as_str()]);
        line.extend(&words[1..]);
        let ran = fake.0.run(&line);
        if ran.err.contains("prlimit: command not found") {
            println!("SKIPPED: there is no prlimit here");
            return;
        }
        ran.case(tool).exits(2).reports("journal");
        assert!(!fake.journal().iter().any(|line| line["type"] == "run.stopped"), "{tool}");
        let again: &[&str] = if tool == "queue" { words } else { &["run", "continue"] };
        fake.tool(again).case(tool).succeeds();
        assert_eq!(fake.prompts(), ["SLEEP2 two"], "{tool}");
    }
}

#[test]
fn a_runner_killed_at_every_step_sends_each_prompt_once() {
    const ROUNDS: u64 = 40;
    let workers: Vec<_> = (0..2u64)
        .map(|half| {
            std::thread::spawn(move || {
                let mut kills = 0;
                let mut continued = 0;
                for round in (half..ROUNDS).step_by(2) {
                    let fake = Scripted::new();
                    let prompts: Vec<String> = (0..5)
                        .map(|n| format!("prompt {n}{}", if n == 2 { " SLOWSTART" } else { "" }))
                        .collect();
                    let words: Vec<&str> = ["-j", "2"]
                        .into_iter()
                        .chain(prompts.iter().flat_map(|prompt| ["-p", prompt.as_str()]))
                        .collect();
                    let mut runner = fake.spawn(&words);
                    let mut wait = Duration::from_millis(5 + round * 12);
                    loop {
                        std::thread::sleep(wait);
                        if runner.try_wait().unwrap().is_some() {
                            break;
                        }
                        signal(&runner, Signal::KILL);
                        runner.wait().unwrap();
                        kills += 1;
                        if fake.runs().is_empty() {
                            break;
                        }
                        runner = fake.spawn(&["continue"]);
                        wait = Duration::from_millis(20 + (round * 37 + kills * 61) % 230);
                        continued += 1;
                    }
                    if runner.try_wait().unwrap().is_none() {
                        runner.wait().unwrap();
                    }
                    let begun = records(&fake.0.ok(&["codex-agent-run", "list", "--json"]));
                    if begun.is_empty() {
                        // Killed while it planned: nothing was started, and nothing will be.
                        assert_eq!(fake.sent(), Vec::<String>::new());
                        continue;
                    }
                    let ran = fake.run(&["continue"]);
                    ran.succeeds();
                    assert_eq!(fake.sent(), prompts, "round {round}");
                    let run = &records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0];
                    assert_eq!((&run["state"], &run["counts"]["completed"]), (&json!("finished"), &json!(5)));
                }
                (kills, continued)
            })
        })
        .collect();
    let (mut kills, mut continued) = (0, 0);
    for worker in workers {
        let (more, again) = worker.join().unwrap();
        kills += more;
        continued += again;
    }
    println!("{kills} kills, {continued} times continued: no prompt twice, none lost");
    assert!(kills >= 30, "only {kills} kills hit");
}

#[test]
fn a_running_job_is_adopted() {
    let fake = Scripted::new();
    let mut runner = fake.spawn(&["SLEEPS"]);
    fake.wait_for_sent(1);
    signal(&runner, Signal::KILL);
    runner.wait().unwrap();
    let run = &records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0];
    assert_eq!(run["state"], "dead");
    let (ran, events) = fake.events(&["continue"]);
    ran.succeeds();
    let completed = of_type(&events, "job.completed");
    assert_eq!(
        (&completed[0]["adopted"], &completed[0]["last_message"]),
        (&json!(true), &json!("echo: SLEEPS"))
    );
    assert_eq!((fake.sent().len(), of_type(&events, "job.started").len()), (1, 0));
    // An interrupted job is a failure, and is sent again only on request.
    let mut runner = fake.spawn(&["HANGS twice"]);
    fake.wait_for_sent(2);
    signal(&runner, Signal::KILL);
    runner.wait().unwrap();
    let directory = fake.runs().pop().unwrap();
    let name = directory.file_name().unwrap().to_str().unwrap();
    fake.run(&["stop", name, "--now"]).reports("interrupted 1 job");
    fake.0.script("bin/codex", &CODEX.replace("*HANGS*)", "*NEVER*)"));
    let (ran, events) = fake.events(&["continue", "--interrupted", "retry"]);
    ran.succeeds();
    assert_eq!(of_type(&events, "job.started")[0]["resent"], true);
    assert_eq!(fake.sent().len(), 3);
}

#[test]
fn a_torn_journal_is_repaired_and_a_later_one_refused() {
    let fake = Scripted::new();
    let mut runner = fake.spawn(&["-j1", "-p", "SLEEPS", "-p", "next"]);
    fake.wait_for_sent(1);
    signal(&runner, Signal::KILL);
    runner.wait().unwrap();
    let journal = fake.journal();
    let append = |text: &str| {
        use std::io::Write;
        fs::OpenOptions::new().append(true).open(&journal).unwrap().write_all(text.as_bytes()).unwrap();
    };
    append("{\"type\":\"job.completed\",\"job\":\"1\",\"num");
    assert_eq!(records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0]["state"], "dead");
    fake.run(&["continue"]).succeeds();
    assert_eq!(fake.sent(), ["SLEEPS", "next"]);
    assert!(fs::read_to_string(&journal).unwrap().lines().all(|line| line.ends_with('}')));
    fake.0.foreign();
    append("{\"type\":\"run.stopped\",\"v\":2,\"run\":\"x\"}\n");
    for words in [&["list"][..], &["continue", "Z-new"], &["log", "Z-new"]] {
        let ran = fake.run(words);
        ran.exits(2).reports("journal version 2 is unknown");
    }
    fake.run(&["prune", "--older", "now"]).succeeds();
    assert!(journal.exists(), "what is not understood is not removed");
}

#[test]
fn a_run_has_one_runner() {
    let fake = Scripted::new();
    let mut runner = fake.spawn(&["-j1", "-p", "SLEEPS", "-p", "next"]);
    fake.wait_for_sent(1);
    fake.run(&["continue", "Z-new"]).reports("is already being run by another process");
    signal(&runner, Signal::KILL);
    runner.wait().unwrap();
    let mut both = [fake.spawn(&["continue", "Z-new"]), fake.spawn(&["continue", "Z-new"])];
    let mut codes = both.each_mut().map(|child| child.wait().unwrap().code().unwrap());
    codes.sort_unstable();
    assert_eq!(codes, [0, 2]);
    assert_eq!(fake.sent(), ["SLEEPS", "next"]);
    fake.run(&["stop", "nothing"]).exits(1);
    let ran = fake.run(&["prune", "--older", "now"]);
    ran.reports("removed 1 run");
    assert_eq!(fake.runs().len(), 0);
}

#[test]
fn two_readers_of_a_lock_do_not_see_each_other() {
    let world = World::new();
    let path = world.write("out", "");
    let ask = || {
        let path = path.clone();
        std::thread::spawn(move || (0..10_000).filter(|_| liveness::may_be_locked(&path)).count())
    };
    let free = [ask(), ask()].map(|prober| prober.join().unwrap());
    assert_eq!(free, [0, 0], "a prober saw the other one");
    let holder = fs::File::open(&path).unwrap();
    holder.lock().unwrap();
    assert_eq!([ask(), ask()].map(|prober| prober.join().unwrap()), [10_000, 10_000]);
}

/// A child that a runner had just made when it was killed holds the lock of the journal for a moment.
#[test]
fn a_lock_that_outlives_its_runner_briefly_hides_no_work() {
    let fake = Scripted::new();
    let mut runner = fake.spawn(&["-j1", "-p", "SLEEPS", "-p", "next"]);
    fake.wait_for_sent(1);
    signal(&runner, Signal::KILL);
    runner.wait().unwrap();
    let lock = fs::File::open(fake.runs()[0].join("journal.ndjson")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut more = fake.spawn(&["continue"]);
    // Shorter than a runner waits for the lock.
    std::thread::sleep(Duration::from_millis(200));
    drop(lock);
    assert_eq!(end(&mut more), 0);
    assert_eq!(fake.sent(), ["SLEEPS", "next"]);
}

#[test]
fn after_another_boot_no_started_job_counts_as_unsent() {
    let fake = Scripted::new();
    let mut runner = fake.spawn(&["-j1", "-p", "SLOWSTART", "-p", "next"]);
    let calls = fake.0.path("fake/calls");
    wait_until(|| fs::read_to_string(&calls).unwrap_or_default().contains("exec --json"));
    signal(&runner, Signal::KILL);
    runner.wait().unwrap();
    let out = fake.runs()[0].join("jobs/1/1.out");
    wait_for_end(&out);
    let journal = fake.journal();
    let text = fs::read_to_string(&journal).unwrap();
    // The state after a power cut: another boot, and less in the output than Codex printed.
    fs::write(&journal, text.replace(&liveness::boot_id().unwrap(), "00000000-0000-4000-8000-000000000000"))
        .unwrap();
    fs::write(&out, "").unwrap();
    let (ran, events) = fake.events(&["continue"]);
    ran.exits(1);
    assert_eq!(failure_messages(&events)[0].0, "interrupted");
    assert_eq!(fake.sent(), ["SLOWSTART", "next"]);
}

#[test]
fn a_lock_that_cannot_be_examined_counts_as_held() {
    let fake = Fake::newest();
    let mut runner =
        fake.start(&["run", "-j", "6", "-p", "HANGSTART MS1", "-p", "b MS1500", "-p", "c MS1500"]);
    wait_until(|| fake.journal().iter().filter(|line| line["type"] == "job.spawned").count() == 3);
    runner.kill().unwrap();
    runner.wait().unwrap();
    // So few that the outputs of all jobs cannot be looked at.
    let line = "ulimit -n 15; codex-agent-run continue --timeout 3s";
    let few = fake.0.command("sh").args(["-c", line]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    drop(few);
    let mut more = fake.started(&["run", "continue", "--timeout", "3s", "--json"]);
    let output = more.stderr(Stdio::null()).output().unwrap();
    assert!(output.status.code().is_some());
    let mut sent = fake.prompts();
    sent.sort();
    sent.dedup();
    assert_eq!(sent.len(), fake.prompts().len(), "{:?}", fake.prompts());
}

/// Leaves a job as a power cut does after an event of the journal: its runner is gone, the boot is another one, and
/// the output of Codex is not on disk.
fn power_cut(fake: &Fake, command: &[&str], event: &str) {
    let before = fake.sent().len();
    let mut runner = fake.start(command);
    fake.wait_for_sent(before + 1);
    wait_until(|| fake.journal().iter().any(|line| line["type"] == event));
    crash(&mut runner);
    wait_for_end(&fake.out(1));
    let journal = fake.runs()[0].join("journal.ndjson");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replace(&liveness::boot_id().unwrap(), "00000000-0000-4000-8000-000000000000"))
        .unwrap();
    fs::write(fake.out(1), "").unwrap();
}

#[test]
fn after_another_boot_the_rollout_shows_the_end_of_our_turn_only() {
    for event in ["job.spawned", "job.session"] {
        let ours = Fake::newest();
        let id = ours.begin("one");
        power_cut(&ours, &["resume", &id, "--prompt", "MS300 mine"], event);
        let (ran, events) = ours.events(&["run", "continue"]);
        ran.case(event).succeeds();
        assert_eq!(of_type(&events, "job.completed").len(), 1, "{event}: {}", ran.err);

        let theirs = Fake::newest();
        let id = theirs.begin("one");
        power_cut(&theirs, &["resume", &id, "--prompt", "MS300 mine"], event);
        theirs.resume(&id, "of another user").succeeds();
        let (ran, events) = theirs.events(&["run", "continue"]);
        ran.case(event).exits(1);
        assert_eq!(failures(&events), ["interrupted"], "{event}: {}", ran.err);

        let failed = Fake::newest();
        let id = failed.begin("one");
        power_cut(&failed, &["resume", &id, "--prompt", "FAIL400 mine MS300"], event);
        let (ran, events) = failed.events(&["run", "continue"]);
        ran.case(event).exits(1);
        assert_eq!(failures(&events), ["refused"], "{event}: {}", ran.err);
        for fake in [&ours, &failed] {
            assert_eq!(fake.sent().len(), 2);
        }
    }
    let new = Fake::newest();
    power_cut(&new, &["run", "MS300 mine"], "job.session");
    let (ran, events) = new.events(&["run", "continue"]);
    let done = of_type(&events, "job.completed");
    ran.succeeds();
    assert_eq!((done.len(), new.sent().len()), (1, 1), "{}", ran.err);
    assert_eq!(done[0]["session"], new.sent()[0]["session"]);
}

#[test]
fn an_interrupted_prompt_is_continued_or_resent_on_request() {
    for (how, code, sent) in
        [("fail", 1, &["DIES"][..]), ("continue", 0, &["DIES", "Continue."]), ("retry", 1, &["DIES", "DIES"])]
    {
        let fake = Fake::newest();
        let (ran, events) = fake.events(&["run", "--interrupted", how, "DIES"]);
        ran.case(how).exits(code);
        assert_eq!(fake.prompts(), sent, "{how}: {}", ran.err);
        let log = fake.sent();
        assert_eq!(log.last().unwrap()["session"] == log[0]["session"], how != "retry", "{how}");
        let starts = of_type(&events, "job.started");
        // The message that continues a session is not the prompt.
        assert_eq!(starts.last().unwrap()["resent"] == true, how == "retry", "{how}");
    }
    // After a crash of the runner and Codex.
    let fake = Fake::newest();
    let mut runner = fake.start(&["run", "HANG"]);
    fake.wait_for_sent(1);
    wait_until(|| fake.journal().iter().any(|line| line["type"] == "job.spawned"));
    crash(&mut runner);
    kill_process(Pid::from_raw(fake.pid()).unwrap(), Signal::KILL).unwrap();
    wait_for_end(&fake.out(1));
    let ran = fake.tool(&["run", "continue", "--interrupted=continue"]);
    let log = fake.sent();
    ran.succeeds();
    assert_eq!(fake.prompts(), vec!["HANG".to_owned(), "Continue.".to_owned()], "{}", ran.err);
    assert_eq!(log[0]["session"], log[1]["session"]);
}
