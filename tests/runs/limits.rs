//! Usage limits, retries and timeouts.

use std::fs;

use serde_json::{Value, json};

use crate::queue::queue;
use crate::world::fake::{Fake, crash, end, failures, of_type, wait_for_end};
use crate::world::terminal::{Terminal, without_escapes};

#[test]
fn an_unreadable_limit_stops_a_run_and_is_reported() {
    let fake = Fake::newest();
    fake.tool(&["run", "LIMIT1"]);
    let locks = fs::read_dir(fake.0.path("home/.local/state/codex-agent/locks")).unwrap().flatten();
    let gate = locks.map(|entry| entry.path()).find(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("limit-") && !name.contains('.')
    });
    fs::write(gate.unwrap(), "{oops").unwrap();
    let ran = fake.tool(&["run", "-p", "y", "-p", "z"]);
    ran.exits(2).reports("limit-");
    assert!(fake.journal().iter().any(|line| line["type"] == "run.stopped" && line["why"] == "trouble"));
    let ran = fake.tool(&["status"]);
    ran.exits(2).shows("run\t");
}

/// When the model saw the prompts, in milliseconds since the first.
fn moments(fake: &Fake) -> Vec<i64> {
    let all: Vec<i64> = fake.sent().iter().map(|line| line["at_ms"].as_i64().unwrap()).collect();
    all.iter().map(|at| at - all[0]).collect()
}

/// After the wait for a limit one prompt is sent alone, and the others when it has ended: each takes so
/// many milliseconds.
fn one_probes(fake: &Fake, took: i64) {
    let moments = moments(fake);
    let probe =
        moments.iter().position(|at| *at > 4000).unwrap_or_else(|| panic!("nobody waited: {moments:?}"));
    assert!(moments[probe + 1..].iter().all(|at| at - moments[probe] >= took), "{moments:?}");
}

#[test]
fn a_queue_waits_until_a_limit_resets() {
    let fake = Fake::newest();
    queue(&fake, "q", &["LIMIT3 a", "LIMIT3 b", "c"]);
    let (ran, events) = fake.events(&["queue", "run", "q", "--on-limit", "wait"]);
    ran.succeeds();
    assert_eq!(fake.prompts(), ["LIMIT3 a", "LIMIT3 a", "LIMIT3 b", "c"]);
    ran.reports("waiting: the usage limit of");
    assert!(of_type(&events, "run.waiting").len() == 1);
    let resent: Vec<&Value> =
        of_type(&events, "job.started").into_iter().map(|event| &event["resent"]).collect();
    assert_eq!(resent, [false, true, false, false]);
    assert_eq!(fake.each("q", "status"), ["completed"; 3]);
    one_probes(&fake, 0);
}

#[test]
fn one_of_four_jobs_probes_a_limit() {
    let fake = Fake::newest();
    let prompts = ["a", "b", "c", "d"].map(|name| format!("MS400 LIMIT3 {name}"));
    let mut words = vec!["run", "-j4", "--on-limit", "wait"];
    words.extend(prompts.iter().flat_map(|prompt| ["-p", prompt.as_str()]));
    let (ran, events) = fake.events(&words);
    ran.succeeds();
    assert_eq!(of_type(&events, "job.completed").len(), 4, "{}", ran.err);
    assert!(!of_type(&events, "run.waiting").is_empty());
    one_probes(&fake, 400);
    let resent = of_type(&events, "job.started").iter().filter(|event| event["resent"] == true).count();
    assert_eq!(resent, of_type(&events, "job.failed").len());
    assert_eq!(fake.sent().len(), 4 + resent);
}

#[test]
fn one_of_two_waiting_runs_probes_a_limit() {
    let fake = Fake::newest();
    let run = |name: &str| fake.start(&["run", "--on-limit", "wait", &format!("MS400 LIMIT3 {name}")]);
    let mut both = [run("a"), run("b")];
    assert_eq!(both.each_mut().map(end), [0, 0]);
    one_probes(&fake, 400);
}

#[test]
fn a_limit_stops_a_queue_and_later_runs() {
    let fake = Fake::newest();
    queue(&fake, "q", &["LIMIT300 a", "b"]);
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.exits(75).reports("stopped (usage_limit until ");
    assert_eq!(fake.each("q", "status"), ["pending", "pending"]);
    for words in [&["queue", "run", "q"][..], &["run", "x"]] {
        let ran = fake.tool(words);
        ran.exits(75).reports("usage limit").reports("until");
    }
    assert_eq!(fake.prompts(), ["LIMIT300 a"]);
    fake.tool(&["run", "--on-limit", "try", "-p", "fine"]).succeeds();
    // The job was completed, which clears the limit for all runs.
    fake.tool(&["run", "-p", "y"]).succeeds();
    assert_eq!(fake.prompts(), ["LIMIT300 a", "fine", "y"]);
    // If Codex does not report the end of the limit, each run may probe it.
    let fake = Fake::newest();
    for _ in 0..2 {
        let ran = fake.tool(&["run", "LIMITX"]);
        ran.exits(75).never_reports("until");
    }
    assert_eq!(fake.prompts().len(), 2);
}

/// A limit whose reported end has passed stops no run.
#[test]
fn a_limit_that_has_reset_stops_nothing() {
    let fake = Fake::newest();
    fake.tool(&["run", "LIMIT300 a"]).exits(75);
    let limit = |out: &str| out.lines().find(|line| line.starts_with("limit")).unwrap().to_owned();
    let told = limit(&fake.good(&["status"]));
    assert!(told.contains("\treached\t"), "{told}");
    let locks = fake.0.path("home/.local/state/codex-agent/locks");
    let is_gate = |name: &str| name.starts_with("limit-") && !name.contains('.');
    let mut files = fs::read_dir(locks).unwrap().map(|entry| entry.unwrap().path());
    let gate = files.find(|path| is_gate(path.file_name().unwrap().to_str().unwrap())).unwrap();
    let mut saved: Value = serde_json::from_str(&fs::read_to_string(&gate).unwrap()).unwrap();
    for field in ["since", "until", "next"] {
        saved["limit"][field] = json!("2026-01-02T03:04:05.000Z");
    }
    fs::write(&gate, saved.to_string()).unwrap();
    let told = limit(&fake.good(&["status"]));
    assert!(told.contains("\tover\t") && told.ends_with("\t2026-01-02T03:04:05.000Z"), "{told}");
    let mut status = fake.0.command("codex-agent-status");
    status.env("TZ", "UTC");
    let (shown, _) = Terminal::open(status, 200, 24).end();
    let shown = without_escapes(&shown);
    assert!(
        shown.contains("  over  ") && shown.contains("since 2026-01-02 03:04, as Codex reported"),
        "{shown}"
    );
    fake.tool(&["run", "b"]).succeeds();
}

#[test]
fn a_failed_login_starts_no_more_jobs() {
    let fake = Fake::newest();
    let mut words = vec!["run", "-j3", "-p", "MS1500 FAIL401", "-p", "MS1800 a", "-p", "MS1800 b"];
    words.extend(["c", "d", "e", "f", "g", "h", "i"].iter().flat_map(|prompt| ["-p", prompt]));
    let (ran, events) = fake.events(&words);
    ran.exits(75);
    assert_eq!(failures(&events), ["auth"], "{}", ran.err);
    assert_eq!((of_type(&events, "job.completed").len(), fake.sent().len()), (2, 3));
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["why"], &last["left"]),
        (&json!("run.stopped"), &json!("auth"), &json!(8))
    );
}

#[test]
fn a_temporary_failure_is_retried_with_growing_delays() {
    let fake = Fake::newest();
    let (ran, events) = fake.events(&["run", "-j1", "--retries", "2", "-p", "FAIL400", "-p", "OVERLOADED"]);
    ran.exits(1);
    assert_eq!(
        failures(&events),
        ["refused", "overloaded", "overloaded", "overloaded"].map(str::to_owned).to_vec()
    );
    assert_eq!(fake.prompts(), ["FAIL400", "OVERLOADED", "OVERLOADED", "OVERLOADED"]);
    let at = moments(&fake);
    assert!(at[2] - at[1] >= 2000 && at[3] - at[2] >= 4000, "{at:?}");
    let resent: Vec<&Value> =
        of_type(&events, "job.started").into_iter().map(|event| &event["resent"]).collect();
    assert_eq!(resent, [false, false, true, true]);
    let again: Vec<&Value> =
        of_type(&events, "job.failed").into_iter().map(|event| &event["again"]).collect();
    assert_eq!(again, [false, true, true, false]);
}

#[test]
fn jobs_are_stopped_at_their_timeouts() {
    for (prompt, flag, class) in [
        ("QUIET", "--idle-timeout", "timeout"),
        ("NETWORK", "--network-timeout", "network"),
        ("NETWORK", "--timeout", "network"),
        ("HANG", "--timeout", "timeout"),
        ("HANGSTART", "--timeout", "timeout"),
    ] {
        let fake = Fake::newest();
        let (ran, events) = fake.events(&["run", flag, "1s", "-p", prompt, "-p", "fine"]);
        ran.case((&prompt, &flag)).exits(1);
        assert_eq!(failures(&events), vec![class.to_owned()], "{prompt} {flag}: {}", ran.err);
        wait_for_end(&fake.out(1));
    }
    // A job that prints all the time is not idle.
    let fake = Fake::newest();
    fake.tool(&["run", "--idle-timeout", "20s", "--timeout", "20s", "MS500"]).succeeds();
}

#[test]
fn a_busy_session_is_continued_in_a_fork() {
    let fake = Fake::newest();
    let id = fake.begin("one");
    let mut other = fake.spawn(&["exec", "--json", "resume", &id, "-"], "HANG");
    fake.wait_for_sent(2);
    let (ran, events) = fake.events(&["resume", &id, "--prompt", "two", "--on-busy=fork"]);
    let got = of_type(&events, "job.completed");
    ran.succeeds();
    assert_eq!(got.len(), 1, "{}", ran.err);
    ran.reports("continues in a fork of the session");
    assert!(got[0]["session"] != id.as_str(), "{}", ran.err);
    let sent = fake.sent().pop().unwrap();
    assert_eq!((&sent["session"], &sent["history"][0]), (&got[0]["session"], &json!("one")));
    assert!(sent["argv"].as_array().unwrap().contains(&json!("fork")));
    crash(&mut other);
}

/// Changes the saved limit.
fn set_gate(fake: &Fake, change: impl FnOnce(&mut Value)) {
    let locks = fs::read_dir(fake.0.path("home/.local/state/codex-agent/locks")).unwrap().flatten();
    let is_gate = |name: &str| name.starts_with("limit-") && !name.contains('.');
    let gate =
        locks.map(|entry| entry.path()).find(|path| is_gate(path.file_name().unwrap().to_str().unwrap()));
    let gate = gate.unwrap();
    let mut saved: Value = serde_json::from_slice(&fs::read(&gate).unwrap()).unwrap();
    change(&mut saved["limit"]);
    fs::write(gate, saved.to_string()).unwrap();
}

#[test]
fn a_run_that_stops_at_limits_does_not_stop_for_its_own_probe() {
    let fake = Fake::newest();
    fake.tool(&["run", "LIMIT300"]).exits(75);
    set_gate(&fake, |limit| {
        assert!(limit["until"].is_string());
        for time in ["since", "until", "next"] {
            limit[time] = json!("2026-01-01T00:00:00.000Z");
        }
    });
    let (ran, events) = fake.events(&["run", "-j2", "-p", "MS700 a", "-p", "b", "-p", "c"]);
    ran.succeeds();
    assert_eq!(of_type(&events, "job.completed").len(), 3, "{}", ran.err);
    // Only when the probe went through were the others sent.
    let first = &of_type(&events, "job.completed")[0]["job"];
    let order: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "job.started" || event["type"] == "job.completed")
        .map(|event| &event["job"])
        .collect();
    assert_eq!((order[0], order[1]), (first, first), "{order:?}");
}

#[test]
fn a_job_that_started_before_a_limit_does_not_clear_it() {
    let fake = Fake::newest();
    let ran = fake.tool(&["run", "-j2", "--on-limit", "wait", "-p", "MS2500 a", "-p", "LIMIT4 b", "-p", "c"]);
    ran.succeeds();
    let moments = moments(&fake);
    assert!(moments.len() == 4 && moments[2] >= 4500, "{moments:?}");
}

#[test]
fn a_failure_of_an_older_job_starts_no_second_probe() {
    let fake = Fake::newest();
    let prompts = ["-p", "MS7300 FAIL400 a", "-p", "MS1500 LIMIT3 b", "-p", "c"];
    let (ran, events) = fake.events(&[&["run", "-j2", "--on-limit", "wait"][..], &prompts].concat());
    ran.exits(1);
    let at = |kind: &str, job: &str| {
        let is_it = |event: &Value| event["type"] == kind && event["job"] == job;
        events.iter().rposition(is_it).unwrap_or_else(|| panic!("no {kind} of {job}: {}", ran.out))
    };
    assert!(at("job.completed", "2") < at("job.started", "3"), "{}", ran.out);
    let probes = at("job.started", "2")..at("job.completed", "2");
    println!("the old job failed while another one probed: {}", probes.contains(&at("job.failed", "1")));
}

#[test]
fn a_limit_counts_as_a_failure_of_a_job_that_is_not_retried() {
    let mut fake = Fake::newest();
    // A Codex that meets the limit after its first action.
    let codex = fake.0.script(
        "bin/limited",
        r#"#!/bin/sh
case $* in *--version*) echo codex-cli 0.169.0; exit;; esac
cat >> "$CODEX_HOME/seen"
echo '{"type":"thread.started","thread_id":"01a202e0-a4f9-7700-959a-22150ae31fea"}'
echo '{"type":"item.completed","item":{"type":"command_execution","command":"true"}}'
echo '{"type":"turn.failed","error":{"message":"You have hit your usage limit. Try again later."}}'
exit 1
"#,
    );
    fake.0.set("CODEX_AGENT_CODEX", codex.to_str().unwrap());
    let flags = ["run", "-j1", "--on-limit", "wait", "--max-failures", "1"];
    let (ran, events) = fake.events(&[&flags[..], &["-p", "one ", "-p", "next"]].concat());
    ran.exits(75);
    assert_eq!(failures(&events), ["usage_limit"], "{}", ran.err);
    assert_eq!(events.last().unwrap()["why"], "max_failures");
    assert_eq!(fs::read_to_string(fake.0.codex_home().join("seen")).unwrap(), "one ");
}

/// A limit whose end Codex recorded to the second is tried once, when it has reset.
#[test]
fn a_wait_for_a_limit_leaves_one_session_without_an_answer() {
    let fake = Fake::newest();
    let (ran, events) = fake.events(&["run", "--on-limit", "wait", "-p", "LIMIT5 a"]);
    ran.succeeds().never_reports("unknown");
    assert_eq!(fake.sent().len(), 2, "{}", ran.err);
    let failed = &of_type(&events, "job.failed")[0]["failure"];
    let until = failed["until"].as_str().unwrap();
    assert!(until.ends_with(".000Z"), "{until}");
    let waiting = &of_type(&events, "run.waiting")[0]["until"];
    assert!(waiting.as_str().unwrap() > until, "{waiting} {until}");
}

/// On a terminal a limit is one line that counts down, and its attempts are limited and not failed.
#[test]
fn a_terminal_shows_one_line_that_counts_down() {
    let fake = Fake::newest();
    let words = ["run", "-j1", "--on-limit", "wait", "-p", "LIMIT4 Write one", "-p", "Write two"];
    let mut command = fake.started(&words);
    command.env("TZ", "UTC");
    let (shown, code) = Terminal::open(command, 80, 24).end();
    let plain = without_escapes(&shown);
    assert_eq!(code, 0, "{plain}");
    let counts = |seconds: u32| plain.contains(&format!("(in {seconds}s); 2 pending"));
    assert!(counts(2) && counts(1) && plain.contains("limited until "), "{plain}");
    assert!(plain.contains(" limited     ") && !plain.contains("failed"), "{plain}");
    assert!(!plain.contains("waiting"), "{plain}");
    assert!(plain.contains("the usage limit left 1 session without an answer"), "{plain}");
}

/// The overview has the windows of a limit, failures, and the commands to type next.
#[test]
fn the_overview_names_limits_failures_and_the_next_commands() {
    let fake = Fake::newest();
    fake.tool(&["run", "-p", "bad FAIL400"]).exits(1);
    queue(&fake, "book", &["FAIL400", "LIMIT300 Write two"]);
    fake.tool(&["queue", "run", "book"]).exits(75);
    let overview = |wide: u16| {
        let mut command = fake.0.command("codex-agent-status");
        command.env("TZ", "UTC");
        let (shown, code) = Terminal::open(command, wide, 40).end();
        assert_eq!(code, 0, "{shown}");
        without_escapes(&shown)
    };
    for wide in [60, 80, 120] {
        let shown = overview(wide);
        let parts = ["until ", ", in "];
        assert!(parts.iter().all(|part| shown.contains(part)), "a time is cut in {wide} columns: {shown}");
        for part in [
            "WHAT",
            "STATE",
            "limited",
            "5h 100%, 7d 37%",
            "1 left, 1 failed",
            "NEXT COMMAND",
            "codex-agent run retry ",
            "codex-agent queue run book",
            "codex-agent queue retry book --failed",
            "next: LIMIT300 Write two",
        ] {
            assert!(shown.contains(part), "no {part} in {wide} columns: {shown}");
        }
        assert_eq!(shown.matches("book").count(), 3, "the run of the queue is not shown twice: {shown}");
        let wrong = shown.lines().find(|line| crate::world::terminal::columns_of(line) > usize::from(wide));
        assert_eq!(wrong, None, "{shown}");
    }
    let shown = overview(120);
    assert!(shown.contains(", in 4m") || shown.contains(", in 5m"), "{shown}");
    // What was retried is no failure any more.
    fake.tool(&["run", "retry", "--on-limit=try", "--yes"]).exits(1);
    let shown = overview(120);
    assert_eq!(shown.matches("  failed  ").count(), 1, "{shown}");
}

/// A run that was stopped and has failed jobs is one row, and its commands are whole on any terminal.
#[test]
fn the_overview_has_one_row_for_a_stopped_run_with_failures() {
    let fake = Fake::newest();
    fake.tool(&["run", "-j1", "--max-failures", "1", "-p", "bad FAIL400", "-p", "next"]).exits(75);
    let run = fake.runs().pop().unwrap();
    let run = run.file_name().unwrap().to_str().unwrap();
    for wide in [40, 60, 80, 120] {
        let (shown, code) = Terminal::open(fake.0.command("codex-agent-status"), wide, 40).end();
        let shown = without_escapes(&shown);
        assert_eq!(code, 0, "{shown}");
        let rows = shown.lines().filter(|line| line.starts_with("run ")).count();
        assert_eq!((rows, shown.matches("1 left, 1 failed").count()), (1, 1), "{shown}");
        for verb in ["continue", "retry"] {
            let start = format!("codex-agent run {verb} ");
            let line =
                shown.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{shown}"));
            let short = line.split(' ').next().unwrap();
            assert!(short.len() >= 4 && run.ends_with(short), "{wide}: {shown}");
        }
        let wrong = shown.lines().find(|line| crate::world::terminal::columns_of(line) > usize::from(wide));
        assert_eq!(wrong, None, "{shown}");
    }
}

/// Each try at a limit leaves a session, so a limit of unknown reset time is not tried for ever.
#[test]
fn a_wait_for_a_limit_of_unknown_reset_time_ends() {
    let fake = Fake::newest();
    fake.tool(&["run", "LIMITX a"]).exits(75);
    set_gate(&fake, |limit| {
        assert!(limit["until"].is_null());
        (limit["tries"], limit["next"]) = (json!(13), limit["since"].clone());
    });
    let wait = ["run", "-j1", "--on-limit", "wait", "-p", "LIMITX b", "-p", "c"];
    let (ran, events) = fake.events(&wait);
    ran.exits(75).reports("no attempt before ").reports(", after 14 that failed; its reset time is unknown");
    ran.reports("2 jobs left");
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["why"], &last["left"]),
        (&json!("run.stopped"), &json!("usage_limit"), &json!(2))
    );
    assert_eq!(fake.prompts(), ["LIMITX a", "LIMITX b"]);
    // No run tries before the hour is over, unless the user wants it; after it, one job is the test.
    fake.tool(&["run", "continue"]).exits(75).reports("after 14 that failed");
    assert_eq!(fake.prompts().len(), 2);
    set_gate(&fake, |limit| limit["next"] = limit["since"].clone());
    fake.tool(&["run", "continue"]).exits(75).reports("after 15 that failed");
    assert_eq!(fake.prompts().len(), 3);
    // A limit that nothing has met for the time of a window is another one, with tests of its own.
    set_gate(&fake, |limit| {
        limit["since"] = json!("2026-11-01T08:00:00.000Z");
        limit["next"] = json!("2026-11-01T09:00:00.000Z");
    });
    fake.tool(&["run", "-j1", "--on-limit", "stop", "-p", "LIMITX d"]).exits(75);
    set_gate(&fake, |limit| assert_eq!(limit["tries"], 0));
    fake.tool(&["run", "--on-limit", "try", "-p", "fine"]).succeeds();
}
