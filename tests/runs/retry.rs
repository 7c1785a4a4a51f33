//! Retries: the failed jobs of a run, done again by another run; and interrupted jobs, continued in their sessions.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::runs::job;
use crate::world::fake::{Fake, end, failures, of_type, signal, wait_until};
use crate::world::json as records;
use crate::world::script::Scripted;
use crate::world::terminal::{Terminal, joined, on_terminal};

fn prompts(words: &[&str]) -> Vec<String> {
    words.iter().flat_map(|word| ["--prompt".to_owned(), (*word).to_owned()]).collect()
}

fn run(fake: &Fake, flags: &[&str], texts: &[&str]) -> (crate::world::Ran, Vec<Value>) {
    let all = prompts(texts);
    let words: Vec<&str> =
        ["run"].into_iter().chain(flags.iter().copied()).chain(all.iter().map(String::as_str)).collect();
    fake.events(&words)
}

fn name(fake: &Fake) -> String {
    fake.runs().pop().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn failed_jobs_are_done_again_and_completed_ones_never() {
    let fake = Fake::newest();
    let (ran, _) = run(&fake, &["-j1"], &["good", "bad FAIL400", "worse FAIL500", "fine"]);
    let first = name(&fake);
    ran.exits(1).reports("2 jobs failed; 'codex-agent run retry ").reports("' retries them");
    let (ran, events) = fake.events(&["run", "retry"]);
    let want = format!("retrying 2 failed jobs of run '{first}'; their numbers stay 2 and 3");
    ran.exits(1).reports(want);
    let started = &events[0];
    assert_eq!((&started["type"], &started["retry_of"]), (&json!("run.started"), &json!(first)));
    assert_eq!(started["kind"], "new");
    // The jobs keep their ids, and their prompts may have been sent before.
    let started = of_type(&events, "job.started");
    let ids: Vec<(&Value, &Value)> = started.iter().map(|event| (&event["job"], &event["resent"])).collect();
    assert_eq!(ids, [(&json!("2"), &json!(true)), (&json!("3"), &json!(true))]);
    assert!(started.iter().all(|event| event["session"].is_null()), "a new session: {started:?}");
    let second = name(&fake);
    // The next retry is one of the retry, and the first run has none left.
    let (_, events) = fake.events(&["run", "retry"]);
    assert_eq!(events[0]["retry_of"], json!(second));
    let ran = fake.tool(&["run", "retry", &first]);
    ran.exits(1)
        .reports(format!("were already retried by run '{second}'"))
        .reports("codex-agent run retry 2");
    let sent = fake.prompts();
    let count = |text: &str| sent.iter().filter(|prompt| *prompt == text).count();
    assert_eq!((count("good"), count("fine"), count("bad FAIL400"), count("worse FAIL500")), (1, 1, 3, 3));
    let listed = records(&fake.good(&["run", "list", "--json"]));
    assert_eq!(listed[2]["retry_of"], Value::Null);
    assert_eq!((&listed[0]["retry_of"], &listed[1]["retry_of"]), (&json!(second), &json!(first)));
}

/// The retry of a run is known as long as the run is, also if the clock was set back between the two.
#[test]
fn a_retry_is_kept_with_its_run_and_found_with_any_time() {
    let fake = Fake::newest();
    let (ran, _) = run(&fake, &["-j1", "--max-failures", "1"], &["bad FAIL400", "next"]);
    ran.exits(75);
    let first = name(&fake);
    fake.tool(&["run", "retry"]).exits(1);
    let second = name(&fake);
    fake.tool(&["run", "prune", "--older", "now"]).succeeds();
    let names = || {
        let of = |run: std::path::PathBuf| run.file_name().unwrap().to_str().unwrap().to_owned();
        fake.runs().into_iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(names(), [first.clone(), second.clone()]);
    let ran = fake.tool(&["run", "retry", &first]);
    ran.exits(1).reports(format!("were already retried by run '{second}'"));
    let old = format!("2020{}", &second[4..]);
    let runs = fake.runs();
    fs::rename(&runs[1], runs[1].with_file_name(&old)).unwrap();
    fake.tool(&["run", "retry", &first]).exits(1).reports("were already retried by run '2020");
    assert_eq!(fake.prompts(), ["bad FAIL400", "bad FAIL400"]);
}

#[test]
fn jobs_are_chosen_by_class_and_what_is_left_can_be_retried_later() {
    let fake = Fake::newest();
    run(&fake, &["-j1"], &["a FAIL400", "b OVERLOADED", "c FAIL400"]);
    let first = name(&fake);
    let ran = fake.tool(&["run", "retry", "--dry-run", "--class", "refused"]);
    let jobs = records(&ran.out);
    let ids: Vec<&Value> = jobs.iter().map(|job| &job["id"]).collect();
    assert_eq!((ids, &jobs[0]["resent"]), (vec![&json!("1"), &json!("3")], &json!(true)));
    assert_eq!((fake.runs().len(), fake.prompts().len()), (1, 3), "a dry run sends nothing");
    let (_, events) = fake.events(&["run", "retry", "--class", "overloaded"]);
    assert_eq!(failures(&events), ["overloaded"]);
    let (_, events) = fake.events(&["run", "retry", &first]);
    assert_eq!(failures(&events), ["refused", "refused"]);
    fake.tool(&["run", "retry", "--class", "busy"]).succeeds().reports("no run has failed jobs to retry");
    fake.tool(&["run", "retry", "--class", "nonsense"])
        .exits(2)
        .reports("invalid value 'nonsense'")
        .reports("overloaded");
    fake.tool(&["run", "retry", "--interrupted", &first]).exits(1).reports("has no such failed jobs");
    assert_eq!(fake.prompts().len(), 6);
}

/// A job that resumed a session adds its turn to the same session; a prompt that never reached the model is not resent.
#[test]
fn a_resumed_session_is_resumed_again_and_an_unsent_prompt_is_sent_as_before() {
    let mut fake = Fake::newest();
    let id = fake.begin("one");
    let gone = fake.0.path("gone");
    fs::create_dir(&gone).unwrap();
    let lines = [
        json!({"type": "job", "id": "x", "session": id, "prompt": "two FAIL400"}),
        json!({"type": "job", "id": "y", "prompt": "three", "cwd": gone}),
    ];
    fs::remove_dir(&gone).unwrap();
    let input: String = lines.into_iter().map(job).collect();
    fake.feed(&["run", "--jobs", "-j1"], &input).exits(1);
    fs::create_dir(&gone).unwrap();
    let (_, events) = fake.events(&["run", "retry"]);
    let started = of_type(&events, "job.started");
    assert_eq!((&started[0]["session"], &started[0]["resent"]), (&json!(id), &json!(true)));
    assert_eq!((&started[1]["job"], &started[1]["resent"]), (&json!("y"), &json!(false)));
    assert_eq!(of_type(&events, "job.completed").len(), 1);
    assert_eq!(fake.sent().iter().filter(|line| line["session"] == json!(id)).count(), 3);
    // The options of the run are those of the first one.
    fake.0.set("CODEX_AGENT_CODEX", "/nowhere");
    fake.tool(&["run", "retry"]).exits(2).reports("/nowhere");
    assert_eq!(fake.sent().len(), 4);
}

#[test]
fn a_running_run_and_the_run_of_a_queue_are_refused() {
    let fake = Fake::newest();
    let texts = prompts(&["bad FAIL400", "HANG"]);
    let words: Vec<&str> = ["run", "-j1"].into_iter().chain(texts.iter().map(String::as_str)).collect();
    let mut runner = fake.start(&words);
    fake.wait_for_sent(2);
    for words in [&["run", "retry"][..], &["run", "retry", &name(&fake)]] {
        fake.tool(words).exits(2).reports("is still running; nothing was started").reports("run watch");
    }
    signal(&runner, Signal::TERM);
    signal(&runner, Signal::TERM);
    assert_eq!(end(&mut runner), 130);
    assert_eq!(fake.sent().len(), 2);
    let fake = Fake::newest();
    crate::queue::queue(&fake, "my book", &["FAIL400"]);
    fake.tool(&["queue", "run", "my book"])
        .exits(1)
        .reports("'codex-agent queue retry 'my book' --failed' requeues it");
    fake.tool(&["run", "retry"]).succeeds().reports("no run has failed jobs to retry");
    fake.tool(&["run", "retry", &name(&fake)]).exits(2).reports("codex-agent queue retry 'my book' --failed");
    assert_eq!(fake.sent().len(), 1);
}

/// Two retries at once send each prompt once.
#[test]
fn concurrent_retries_send_each_prompt_once() {
    let fake = Fake::newest();
    run(&fake, &["-j4"], &["a FAIL400", "b FAIL400", "c FAIL400"]);
    let first = name(&fake);
    let mut all: Vec<_> = (0..4).map(|_| fake.start(&["run", "retry", &first])).collect();
    all.iter_mut().for_each(|runner| assert_eq!(end(runner), 1));
    assert_eq!(fake.prompts().len(), 6);
    assert_eq!(fake.runs().len(), 2);
}

/// After a second Ctrl-C the interrupted jobs are continued in their sessions, or their prompts are sent again.
#[test]
fn interrupted_jobs_are_continued_or_retried() {
    let interrupted = || {
        let fake = Fake::newest();
        let texts = prompts(&["HANG a", "HANG b"]);
        let words: Vec<&str> = ["run", "-j2"].into_iter().chain(texts.iter().map(String::as_str)).collect();
        let mut runner = fake
            .started(&words)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        fake.wait_for_sent(2);
        wait_until(|| of_type(&fake.journal(), "job.session").len() == 2);
        signal(&runner, Signal::INT);
        signal(&runner, Signal::INT);
        assert_eq!(end(&mut runner), 130);
        let mut err = String::new();
        std::io::Read::read_to_string(&mut runner.stderr.take().unwrap(), &mut err).unwrap();
        assert!(err.contains("2 jobs were interrupted; 'codex-agent run continue "), "{err}");
        assert!(
            err.contains(" --interrupted continue' continues their sessions, 'codex-agent run retry "),
            "{err}"
        );
        fake
    };
    let fake = interrupted();
    // Nothing is sent that nobody asked for.
    fake.tool(&["run", "continue"])
        .succeeds()
        .reports("2 interrupted: 'codex-agent run continue ")
        .reports(" --interrupted continue' continues their sessions");
    fake.tool(&["run", "continue", &name(&fake)])
        .exits(1)
        .reports("has no pending jobs, and 2 interrupted")
        .reports("run retry");
    fake.tool(&["run", "continue", "--interrupted", "fail"]).succeeds();
    assert_eq!(fake.sent().len(), 2);
    let (ran, events) = fake.events(&["run", "continue", "--interrupted", "continue"]);
    ran.succeeds().reports("2 jobs left");
    assert_eq!(&fake.prompts()[2..], ["Continue.", "Continue."]);
    let sessions = |events: &[Value], kind: &str| -> Vec<String> {
        let mut all: Vec<String> =
            of_type(events, kind).iter().map(|event| event["session"].to_string()).collect();
        all.sort();
        all
    };
    assert_eq!(sessions(&events, "job.completed"), sessions(&fake.journal()[..10], "job.session"));
    fake.tool(&["run", "retry"]).succeeds().reports("no run has failed jobs");
    let fake = interrupted();
    let first = name(&fake);
    fake.tool(&["run", "retry", "--failed"]).succeeds().reports("no run has failed jobs");
    let mut retry = fake.start(&["run", "retry", "--interrupted", "--timeout", "1s"]);
    assert_eq!(end(&mut retry), 1);
    assert_eq!(fake.prompts()[2..].iter().filter(|prompt| prompt.starts_with("HANG")).count(), 2);
    // The jobs that were retried are not continued as well.
    fake.tool(&["run", "continue", "--interrupted", "continue", &first]).exits(1);
    assert_eq!(fake.sent().len(), 4);
}

/// On a terminal 'run continue' asks about the sessions that Ctrl-C interrupted.
#[test]
fn a_terminal_asks_whether_interrupted_sessions_are_continued() {
    let fake = Fake::newest();
    let mut runner = fake.start(&["run", "-j2", "-p", "HANG a", "-p", "HANG b", "-p", "next"]);
    fake.wait_for_sent(2);
    wait_until(|| of_type(&fake.journal(), "job.session").len() == 2);
    signal(&runner, Signal::INT);
    signal(&runner, Signal::INT);
    assert_eq!(end(&mut runner), 130);
    let status = on_terminal(&fake.0, &["codex-agent-status"], 100);
    assert!(
        status.contains("1 left, 2 interrupted") && status.contains("does 2 interrupted jobs again"),
        "{status}"
    );
    let go_on = |question: &str, answer: &str| {
        let mut terminal = Terminal::open(fake.started(&["run", "continue"]), 100, 24);
        let shown = joined(&terminal.until("[y/N] "));
        assert!(shown.contains(question), "{shown}");
        terminal.press(answer);
        terminal.end().1
    };
    let asks = "2 jobs of the run were interrupted. Continue these sessions too?";
    assert_eq!(go_on(asks, "n\r"), 1);
    assert_eq!(&fake.prompts()[2..], ["next"]);
    let asks = "There is no unfinished run. Continue the sessions of 2 interrupted jobs of run '";
    assert_eq!(go_on(asks, "n\r"), 1);
    assert_eq!(fake.sent().len(), 3);
    assert_eq!(go_on(asks, "y\r"), 0);
    assert_eq!(&fake.prompts()[3..], ["Continue.", "Continue."]);
}

/// A run and its retries are removed by one command, whatever the order of their times.
#[test]
fn a_chain_of_retries_is_pruned_at_once() {
    let fake = Fake::newest();
    fake.tool(&["run", "-p", "bad FAIL400"]).exits(1);
    fake.tool(&["run", "retry"]).exits(1);
    fake.tool(&["run", "retry"]).exits(1);
    fake.tool(&["run", "prune", "--older", "now"]).succeeds().reports("removed 3 runs");
    assert!(fake.runs().is_empty());
}

/// A retry that was killed between the plan and the start of a job is continued, and knows that its prompts were sent.
#[test]
fn a_retry_that_was_killed_is_continued_like_any_run() {
    let fake = Scripted::new();
    fake.run(&["-j1", "--prompt", "FAILS HANGSNOT"]).exits(1);
    let text = fs::read_to_string(fake.journal()).unwrap();
    let old = fake.runs().pop().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    fake.run(&["retry"]).exits(1);
    // The same journal, as a crash leaves it before the first job of the retry is started.
    let journal = fake.journal();
    let lines = fs::read_to_string(&journal).unwrap();
    assert!(text.lines().count() > 3 && lines.contains(&format!("\"retry_of\":\"{old}\"")), "{lines}");
    let begun: Vec<&str> = lines.lines().take(3).collect();
    assert!(begun[2].contains("run.started"), "{begun:?}");
    fs::write(&journal, begun.join("\n") + "\n").unwrap();
    fs::remove_dir_all(journal.parent().unwrap().join("jobs")).unwrap();
    let (_, events) = fake.events(&["continue"]);
    assert_eq!(of_type(&events, "job.started")[0]["resent"], true, "{events:?}");
    assert_eq!((&events[0]["continued"], &events[0]["retry_of"]), (&json!(true), &json!(old)));
}
