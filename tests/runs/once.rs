//! `run --jobs --once`: a job is known by its run and its id, and is started once, however often its record is given.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::world::fake::{Fake, crash, end, failures, of_type, signal, wait_for_end, wait_until};
use crate::world::{Ran, World, json as records};

const ONCE: [&str; 4] = ["run", "--jobs", "--once", "--json"];

fn job(run: &str, id: &str, prompt: &str) -> String {
    format!("{}\n", json!({"type": "job", "run": run, "id": id, "prompt": prompt}))
}

fn jobs(prompts: &[&str]) -> String {
    prompts.iter().zip(1..).map(|(prompt, id): (_, usize)| job("nightly", &id.to_string(), prompt)).collect()
}

/// Gives records to one command, which prints events.
fn give(fake: &Fake, input: &str) -> (Ran, Vec<Value>) {
    let ran = fake.feed(&ONCE, input);
    let events = records(&ran.out);
    (ran, events)
}

/// Starts a command with these records.
fn start(fake: &Fake, input: &str, more: &[&str]) -> Child {
    let records = fake.0.write("records", input);
    let mut command = fake.started(&ONCE);
    command.args(more).stdin(fs::File::open(records).unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn ids(events: &[Value], kind: &str) -> Vec<String> {
    of_type(events, kind).iter().map(|event| event["job"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_job_that_is_given_again_is_reported_and_not_started() {
    let fake = Fake::newest();
    let input = jobs(&["one", "FAIL400 two", "three"]);
    let (first, events) = give(&fake, &input);
    first.exits(1).reports("1 job failed").reports("codex-agent run log");
    let started = of_type(&events, "run.started")[0];
    assert_eq!((&started["kind"], &started["name"]), (&json!("once"), &json!("nightly")));
    let sent = fake.prompts().len();
    let (again, told) = give(&fake, &input);
    again.exits(1).reports("1 job failed");
    assert_eq!(fake.prompts().len(), sent);
    let of_jobs = |events: &[Value]| -> Vec<Value> {
        events.iter().filter(|event| !event["job"].is_null()).cloned().collect()
    };
    assert_eq!(of_jobs(&told), of_jobs(&events), "the events are those of the first command");
    assert!(told.iter().all(|event| !event["job"].is_null()), "no event of a run");
    // Some of them, with a new one.
    let more = job("nightly", "3", "three") + &job("nightly", "4", "four");
    let (ran, told) = give(&fake, &more);
    ran.succeeds();
    assert_eq!(ids(&told, "job.completed"), ["3", "4"]);
    assert_eq!((fake.prompts().len(), fake.runs().len()), (sent + 1, 2));
    // The same ids in another run are other jobs.
    give(&fake, &job("weekly", "3", "three")).0.succeeds();
    assert_eq!(fake.prompts().len(), sent + 2);
    fake.feed(&["run", "--jobs", "--once", "--answers"], job("nightly", "4", "four"))
        .succeeds()
        .prints("echo: four\n");
    let dry = fake.feed(&["run", "--jobs", "--once", "--dry-run"], input + &job("nightly", "5", "five"));
    let planned = records(&dry.succeeds().out);
    assert_eq!((planned.len(), &planned[0]["id"], &planned[0]["run"]), (1, &json!("5"), &json!("nightly")));
}

#[test]
fn a_record_without_a_name_is_refused() {
    let fake = Fake::newest();
    let refused = |input: &str, why: &str| {
        fake.feed(&ONCE, input).case(input).exits(2).reports(why).prints("");
    };
    let bare = |value: Value| format!("{value}\n");
    refused(
        &bare(json!({"type": "job", "run": "r", "prompt": "p"})),
        "stdin:1: the job has no field 'id', and --once knows a job by its run and its id",
    );
    refused(
        &(job("r", "a", "p") + &bare(json!({"type": "job", "id": "x", "prompt": "p"}))),
        "stdin:2: job 'x' has no field 'run'",
    );
    refused(
        &(job("r", "a", "p") + &job("s", "b", "p")),
        "stdin:2: job 'b' is of run 's', and the jobs before of run 'r'",
    );
    refused(&(job("r", "a", "p") + &job("r", "a", "p")), "stdin:2: two jobs of the run have the id 'a'");
    refused(&job("r\u{1}", "a", "p"), "the run of job 'a' contains a control character");
    fake.feed(&["run", "--once", "-"], "prompt\n").exits(2).reports("--once needs --jobs");
    assert_eq!((fake.runs().len(), fake.sent().len()), (0, 0));
    assert!(!fake.0.path("home/.local/state/codex-agent/claims").exists());
    give(&fake, &job("r", "a", "p")).0.succeeds();
    refused(&job("r", "a", "another"), "stdin:1: job 'a' of run 'r' is known with another prompt");
    let id = fake.sent()[0]["session"].clone();
    let record = bare(json!({"type": "job", "run": "r", "id": "a", "prompt": "p", "session": id}));
    refused(&record, "is known with another session");
    assert_eq!((fake.runs().len(), fake.sent().len()), (1, 1));
}

/// GNU parallel runs several commands on a host at the same time, each with jobs of the same run.
#[test]
fn concurrent_commands_have_jobs_of_one_run() {
    let fake = Fake::newest();
    let inputs: Vec<String> =
        (0..6).map(|n| job("nightly", &n.to_string(), &format!("MS300 prompt {n}"))).collect();
    let give = |input: &String| {
        let ran = fake.feed(&ONCE, input);
        assert_eq!(of_type(&records(&ran.out), "job.completed").len(), 1, "{ran}");
        ran.code
    };
    // Each record is given three times at once.
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let all = inputs.iter().chain(&inputs).chain(&inputs);
        let all: Vec<_> = all.map(|input| scope.spawn(move || give(input))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(codes, [0; 18]);
    let mut sent = fake.prompts();
    sent.sort();
    assert_eq!(sent, (0..6).map(|n| format!("MS300 prompt {n}")).collect::<Vec<_>>());
}

#[test]
fn a_running_job_is_followed_and_a_left_one_adopted() {
    let fake = Fake::newest();
    let input = jobs(&["MS1500 one"]);
    let mut first = start(&fake, &input, &[]);
    fake.wait_for_sent(1);
    let (ran, events) = give(&fake, &input);
    ran.succeeds();
    assert_eq!((ids(&events, "job.started").len(), ids(&events, "job.completed").len()), (1, 1));
    assert_eq!(of_type(&events, "job.completed")[0]["adopted"], false);
    assert_eq!(end(&mut first), 0);

    let input = job("other", "1", "MS1500 two") + &job("other", "2", "MS1500 three");
    let mut first = start(&fake, &input, &[]);
    fake.wait_for_sent(3);
    crash(&mut first);
    // Only one of them is given again; the other one is heard out too, and reported to the command that has its record.
    let (ran, events) = give(&fake, &job("other", "1", "MS1500 two"));
    ran.succeeds();
    let completed = of_type(&events, "job.completed");
    assert_eq!((completed.len(), &completed[0]["adopted"]), (1, &json!(true)));
    let (ran, events) = give(&fake, &input);
    ran.succeeds();
    assert_eq!((ids(&events, "job.completed").len(), fake.sent().len()), (2, 3));
}

/// A job that was interrupted is not sent again; a job of which nothing was sent is.
#[test]
fn after_a_crash_only_what_was_not_sent_is_started() {
    for (prompt, class, sent) in [("HANG", "interrupted", 1), ("HANGSTART", "", 1)] {
        let fake = Fake::newest();
        let input = jobs(&[prompt, "next"]);
        let mut first = start(&fake, &input, &["-j1"]);
        wait_until(|| fake.journal().iter().any(|line| line["type"] == "job.spawned"));
        if prompt == "HANG" {
            fake.wait_for_sent(1);
            wait_until(|| fake.journal().iter().any(|line| line["type"] == "job.session"));
        }
        crash(&mut first);
        kill_process(Pid::from_raw(fake.pid()).unwrap(), Signal::KILL).unwrap();
        wait_for_end(&fake.out(1));
        let (ran, events) = match prompt {
            "HANG" => give(&fake, &input),
            // It would hang again.
            _ => give(&fake, &job("nightly", "2", "next")),
        };
        ran.case(prompt).exits(i32::from(prompt == "HANG"));
        assert_eq!(failures(&events), if class.is_empty() { vec![] } else { vec![class.to_owned()] });
        let prompts = fake.prompts();
        assert_eq!(prompts.iter().filter(|sent| *sent == "next").count(), 1, "{prompts:?}");
        assert_eq!(
            prompts.iter().filter(|sent| *sent == "HANG").count() + usize::from(class.is_empty()),
            sent
        );
        let run = &records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0];
        assert_eq!(run["state"], "finished", "{run}");
        if class.is_empty() {
            // It is started when its record is given again, in the same run.
            let mut again = start(&fake, &input, &["-j1"]);
            let starts = || {
                fake.journal()
                    .iter()
                    .filter(|line| line["type"] == "job.started" && line["job"] == "1")
                    .count()
            };
            wait_until(|| starts() == 2);
            fake.good(&["run", "stop", run["id"].as_str().unwrap(), "--now"]);
            let code = end(&mut again);
            assert_eq!((code, fake.prompts().len(), fake.runs().len()), (130, 1, 1));
        }
    }
}

#[test]
fn kills_at_any_time_send_each_prompt_once() {
    let rounds: u64 = if crate::world::is_long() { 200 } else { 16 };
    let kills: u64 = std::thread::scope(|scope| {
        let half = |half: u64| move || (half..rounds).step_by(2).map(kill_at_random).sum::<u64>();
        let halves = [0, 1].map(|number| scope.spawn(half(number)));
        halves.map(|half| half.join().unwrap()).into_iter().sum()
    });
    println!("{kills} kills");
    assert!(kills > 2 * rounds, "only {kills} kills hit");
}

fn kill_at_random(round: u64) -> u64 {
    let fake = Fake::newest();
    let prompts: Vec<String> = (0..6).map(|n| format!("MS{} prompt {n}", 100 + n * 30)).collect();
    let input = jobs(&prompts.iter().map(String::as_str).collect::<Vec<_>>());
    let mut kills = 0;
    for turn in 0.. {
        let mut runner = start(&fake, &input, &["-j2"]);
        std::thread::sleep(Duration::from_millis(5 + (round * 23 + turn * 31) % 260 + turn * 20));
        if runner.try_wait().unwrap().is_some() {
            break;
        }
        crash(&mut runner);
        kills += 1;
    }
    let (ran, events) = give(&fake, &input);
    ran.case(round).succeeds();
    let mut completed = ids(&events, "job.completed");
    completed.sort();
    assert_eq!(completed, ["1", "2", "3", "4", "5", "6"], "round {round}");
    let mut sent = fake.prompts();
    sent.sort();
    assert_eq!(sent, prompts, "round {round}");
    kills
}

/// The runner is killed at each of its writes, syncs and locks: between planning, claim, start, session and end.
#[test]
fn a_kill_at_each_step_sends_each_prompt_once() {
    let fake = Fake::newest();
    if fake.0.sh("strace -o /dev/null -e trace=none true").code != 0 {
        eprintln!("SKIPPED: there is no strace that may look");
        return;
    }
    let mut killed = 0;
    for call in ["write", "pwrite64", "ftruncate", "fsync", "fdatasync", "flock", "mkdir"] {
        let mut nth = 1;
        while is_killed(call, nth) {
            killed += 1;
            nth += if crate::world::is_long() { 1 } else { 4 };
        }
    }
    println!("{killed} kills");
    assert!(killed > 8, "only {killed} kills");
}

/// Kills a runner at a system call, and gives its records again. False if the runner made fewer of these calls.
fn is_killed(call: &str, nth: usize) -> bool {
    let fake = Fake::newest();
    let input = jobs(&["MS50 one", "two"]);
    let path = fake.0.write("records", &input);
    let mut command = fake.0.command("strace");
    command.args(["-o", "/dev/null", "-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:signal=KILL:when={nth}"), "codex-agent-run"]);
    command.args(&ONCE[1..]).arg("-j1").current_dir(fake.0.path("work"));
    command.stdin(fs::File::open(path).unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
    let is_killed = end(&mut command.spawn().unwrap()) != 0;
    let (ran, events) = give(&fake, &input);
    ran.case((call, nth)).succeeds();
    let (mut completed, mut sent) = (ids(&events, "job.completed"), fake.prompts());
    completed.sort();
    sent.sort();
    assert_eq!(completed, ["1", "2"], "killed at {call} {nth}: {ran}");
    assert_eq!(sent, ["MS50 one", "two"], "killed at {call} {nth}: {ran}");
    is_killed
}

/// What is not started when a command ends is left to a later command, here or on another machine: nothing of it is
/// pending in the run.
#[test]
fn a_stopped_run_has_nothing_to_continue() {
    let fake = Fake::newest();
    let input = jobs(&["LIMIT3 one", "two", "three"]);
    let ran = fake.feed(&["run", "--jobs", "--once", "--json", "-j1"], &input);
    ran.exits(75)
        .reports("stopped (usage_limit until ")
        .reports("3 jobs left; the same command starts them later");
    let events = records(&ran.out);
    assert_eq!(ids(&events, "job.skipped"), ["1", "2", "3"]);
    assert_eq!(of_type(&events, "run.stopped")[0]["left"], 0);
    fake.tool(&["run", "continue"]).succeeds().reports("there is no unfinished run");
    let run = &records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0];
    assert_eq!(
        (&run["state"], &run["counts"]["skipped"], &run["counts"]["pending"]),
        (&json!("stopped"), &json!(3), &json!(0))
    );
    assert!(!fake.good(&["status", "--json"]).contains("nightly"), "a run without pending work");
    fake.tool(&["run", "retry"]).succeeds().reports("no run has failed jobs");
    let ran = fake.feed(&["run", "--jobs", "--once", "--json", "-j1", "--on-limit", "wait"], &input);
    ran.succeeds();
    let events = records(&ran.out);
    assert_eq!((ids(&events, "job.completed").len(), fake.runs().len()), (3, 1));
    assert_eq!(fake.prompts().iter().filter(|prompt| *prompt == "two").count(), 1);

    // The first SIGHUP, which ends a connection, lets running jobs finish.
    let input = job("hangup", "1", "MS700 one") + &job("hangup", "2", "two");
    let mut first = start(&fake, &input, &["-j1"]);
    wait_until(|| fake.prompts().contains(&"MS700 one".to_owned()));
    signal(&first, Signal::HUP);
    assert_eq!(end(&mut first), 75);
    let (ran, events) = give(&fake, &input);
    ran.succeeds();
    assert_eq!(ids(&events, "job.completed"), ["1", "2"]);
    assert_eq!(fake.prompts().iter().filter(|prompt| prompt.contains("MS700")).count(), 1);
}

/// The verbs of runs work on a run of --once: log, watch, continue, stop and prune.
#[test]
fn the_verbs_of_runs_know_these_runs() {
    let fake = Fake::newest();
    let input = jobs(&["MS800 one", "two"]);
    let mut first = start(&fake, &input, &["-j1"]);
    fake.wait_for_sent(1);
    crash(&mut first);
    let run = &records(&fake.0.ok(&["codex-agent-run", "list", "--json"]))[0];
    let name = run["id"].as_str().unwrap().to_owned();
    assert_eq!((&run["state"], &run["kind"]), (&json!("dead"), &json!("once")));
    fake.tool(&["run", "watch", &name]).exits(75).reports("ended early");
    // Another machine may have done the job that was not started.
    let (ran, events) = fake.events(&["run", "continue", &name]);
    ran.succeeds();
    assert_eq!(
        (ids(&events, "job.completed"), ids(&events, "job.skipped")),
        (vec!["1".to_owned()], vec!["2".to_owned()])
    );
    assert_eq!(fake.prompts(), ["MS800 one"]);
    fake.good(&["run", "log", &name]);
    fake.tool(&["run", "watch", &name]).succeeds();
    let (ran, events) = give(&fake, &input);
    ran.succeeds();
    assert_eq!((ids(&events, "job.completed").len(), fake.runs().len()), (2, 1));
    // A run whose directory was removed by hand: what became of the job is unknown.
    let claims = fake.0.path("home/.local/state/codex-agent/claims");
    fs::rename(fake.runs()[0].clone(), fake.0.path("away")).unwrap();
    let (ran, events) = give(&fake, &input);
    ran.exits(1);
    assert_eq!(failures(&events), ["interrupted", "interrupted"]);
    fs::rename(fake.0.path("away"), fake.0.path("home/.local/state/codex-agent/runs").join(&name)).unwrap();
    assert_eq!(fs::read_dir(&claims).unwrap().count(), 1);
    fake.tool(&["run", "prune", "--older", "now"]).succeeds().reports("removed 1 run");
    assert_eq!((fake.runs().len(), fs::read_dir(&claims).unwrap().count()), (0, 0));
    give(&fake, &input).0.succeeds();
    assert_eq!(fake.prompts().len(), 4, "a job whose run was pruned is not known");
}

/// A crash between the claim and the start leaves a run that was never begun.
#[test]
fn a_claimed_job_that_was_never_begun_is_started_when_it_is_given_again() {
    let fake = Fake::newest();
    // The query of the version comes after the claims.
    let slow = fake.0.script(
        "bin/slow",
        "#!/bin/sh\ncase $1 in --version) echo >> ../queried; sleep 5 ;; esac\nexec ../bin/codex \"$@\"\n",
    );
    let records_of = jobs(&["one", "two"]);
    let path = fake.0.write("records", &records_of);
    let mut first = fake.started(&ONCE);
    first.env("CODEX_AGENT_CODEX", &slow).stdin(fs::File::open(path).unwrap());
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until(|| fake.0.path("queried").exists());
    // A second command waits for the first, and takes over.
    let mut second = start(&fake, &records_of, &[]);
    std::thread::sleep(Duration::from_millis(300));
    assert!(second.try_wait().unwrap().is_none());
    let claimed = |world: &World| world.path("home/.local/state/codex-agent/claims").exists();
    assert!(claimed(&fake.0) && fake.sent().is_empty());
    crash(&mut first);
    assert_eq!(end(&mut second), 0);
    let (ran, events) = give(&fake, &records_of);
    ran.succeeds();
    assert_eq!((ids(&events, "job.completed"), fake.runs().len()), (vec!["1".to_owned(), "2".to_owned()], 1));
    assert_eq!(fake.sent().len(), 2);
    // A power failure may lose the plan, and not the claims.
    let journal = fake.runs()[0].join("journal.ndjson");
    fs::write(&journal, "").unwrap();
    fs::remove_dir_all(fake.runs()[0].join("jobs")).unwrap();
    fake.0.foreign();
    give(&fake, &records_of).0.succeeds();
    assert_eq!(fake.sent().len(), 4, "nothing of the run was on disk");
}
