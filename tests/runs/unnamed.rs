//! The run that `run retry` and `run continue` mean without RUN, and questions, during which other commands work.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::queue::queue;
use crate::world::fake::{Fake, of_type};
use crate::world::json as records;
use crate::world::terminal::{Terminal, columns_of, on_terminal, without_escapes};

fn name(run: &Path) -> String {
    run.file_name().unwrap().to_str().unwrap().to_owned()
}

/// The text between the quotes of the first command in a text that begins so.
fn command<'t>(text: &'t str, start: &str) -> &'t str {
    let at = text.find(&format!("'{start}")).unwrap_or_else(|| panic!("no '{start}' in {text}")) + 1;
    text[at..].split('\'').next().unwrap()
}

/// Puts the end of the last run so many hours back.
fn age(fake: &Fake, hours: i64) {
    let journal = fake.runs().pop().unwrap().join("journal.ndjson");
    let text = fs::read_to_string(&journal).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let last = lines.last_mut().unwrap();
    let mut event: serde_json::Value = serde_json::from_str(last).unwrap();
    let at = codex_agent_shared::time::Timestamp::parse(event["at"].as_str().unwrap()).unwrap();
    event["at"] = json!(codex_agent_shared::time::Timestamp(at.0 - hours * 3_600_000).to_string());
    *last = event.to_string();
    fs::write(&journal, lines.join("\n") + "\n").unwrap();
}

#[test]
fn a_hint_names_its_run_and_can_be_typed_after_other_runs() {
    let fake = Fake::newest();
    let ran = fake.tool(&["run", "-p", "bad FAIL400"]);
    ran.exits(1);
    let first = name(&fake.runs()[0]);
    let hint = command(&ran.err, "codex-agent run retry ").to_owned();
    assert!(hint.len() < 40 && first.ends_with(hint.rsplit(' ').next().unwrap()), "{hint}");
    fake.tool(&["run", "-p", "other FAIL400"]).exits(1);
    fake.0
        .sh(&format!("cd work && {hint}"))
        .exits(1)
        .reports(format!("retrying 1 failed job of run '{first}'"));
    assert_eq!(fake.prompts(), ["bad FAIL400", "other FAIL400", "bad FAIL400"]);
    // A run that was stopped is continued in the same way.
    let ran = fake.tool(&["run", "-j1", "--max-failures", "1", "-p", "FAIL400", "-p", "next"]);
    ran.exits(75);
    let hint = command(&ran.err, "codex-agent run continue ").to_owned();
    fake.tool(&["run", "-p", "last"]).succeeds();
    fake.0.sh(&format!("cd work && {hint}")).exits(1);
    assert_eq!(fake.prompts().last().unwrap(), "next");
}

/// Where nothing can be asked, only the newest run, of this day and of this directory, is used without its name.
#[test]
fn an_unnamed_run_of_another_time_or_place_is_refused() {
    let fake = Fake::newest();
    fake.tool(&["run", "-p", "bad FAIL400"]).exits(1);
    let first = name(&fake.runs()[0]);
    let refused = |part: &str, verb: &str| {
        let ran = fake.tool(&["run", verb]);
        ran.exits(2).reports(part).reports("nothing was started").reports("the command names no run");
        command(&ran.err, &format!("codex-agent run {verb} ")).to_owned()
    };
    let sent = || fake.prompts().len();
    fake.tool(&["run", "-p", "fine"]).succeeds();
    let hint = refused("and is not the newest run", "retry");
    assert!(first.ends_with(hint.rsplit(' ').next().unwrap()), "{hint}");
    assert_eq!(sent(), 2);
    fake.tool(&["run", "retry", "--dry-run"]).succeeds();
    fake.tool(&["run", "retry", "--yes"]).exits(1).reports("retrying 1 failed job");
    fake.tool(&["run", "retry"]).exits(1);
    assert_eq!(sent(), 4);
    // In another directory.
    fs::create_dir(fake.0.path("work/below")).unwrap();
    let ran = fake.0.sh("cd work/below && codex-agent run retry");
    ran.exits(2).reports("was begun in ").reports("/work, ended ").reports("; nothing was started");
    fake.0.sh("cd work/below && codex-agent -C .. run retry").exits(1);
    assert_eq!(sent(), 5);
    // After a day.
    age(&fake, 23);
    fake.tool(&["run", "retry", "--class", "busy"]).succeeds();
    age(&fake, 2);
    refused("ended 1d ago", "retry");
    assert_eq!(sent(), 5);
    // A run with pending jobs.
    fake.tool(&["run", "-j1", "--max-failures", "1", "-p", "FAIL400", "-p", "next"]).exits(75);
    let stopped = name(&fake.runs().pop().unwrap());
    age(&fake, 30);
    let hint = refused("ended 1d ago", "continue");
    assert!(stopped.ends_with(hint.rsplit(' ').next().unwrap()), "{hint}");
    assert_eq!(sent(), 6);
    fake.tool(&["run", "continue", "--yes"]).exits(1);
    assert_eq!(fake.prompts().last().unwrap(), "next");
}

#[test]
fn a_terminal_asks_about_an_unnamed_run() {
    let fake = Fake::newest();
    fake.tool(&["run", "-p", "bad FAIL400", "-p", "worse FAIL400"]).exits(1);
    let first = name(&fake.runs()[0]);
    fake.tool(&["run", "-j1", "--max-failures", "1", "-p", "FAIL400", "-p", "next"]).exits(75);
    let second = name(&fake.runs()[1]);
    fake.tool(&["run", "retry", &second]).exits(1);
    fake.tool(&["run", "-p", "fine"]).succeeds();
    let on_terminal = |words: &[&str], want: &str, keys: &str| {
        let mut terminal = Terminal::open(fake.started(words), 400, 24);
        let question = terminal.until("[y/N] ");
        assert!(
            // Of the reasons only the one that applies.
            question.contains(want) && !question.contains("/work") && question.contains(" and is not"),
            "{question}"
        );
        terminal.press(keys);
        terminal.end()
    };
    let sent = || fake.prompts().len();
    let before = sent();
    fake.tool(&["run", "retry", &name(&fake.runs()[2])]).exits(1);
    let newest = fake.runs().pop().unwrap();
    fake.tool(&["run", "-p", "fine"]).succeeds();
    let retry = format!("Retry 1 failed job of run '{}', which ended ", name(&newest));
    let (shown, code) = on_terminal(&["run", "retry"], &retry, "n\n");
    assert!(code == 1 && shown.contains("nothing was started") && sent() == before + 2, "{shown}");
    let (shown, code) = on_terminal(&["run", "retry"], &retry, "y\n");
    assert!(code == 1 && shown.contains("retrying 1 failed job") && sent() == before + 3, "{shown}");
    let continues = format!("Continue 1 job of run '{second}', which ended ");
    let (shown, code) = on_terminal(&["run", "continue"], &continues, "y\n");
    assert!(code == 1 && fake.prompts().last().unwrap() == "next", "{shown}");
    // The older run keeps its failed jobs.
    let listed = fake.good(&["run", "retry", "--dry-run", &first]);
    assert_eq!(records(&listed).len(), 2);
}

/// Other commands plan runs while a question stands, and the answer counts only if nothing changed.
#[test]
fn a_question_holds_no_lock_and_its_answer_is_checked() {
    let fake = Fake::newest();
    let ids: Vec<String> = ["one", "two", "three"].iter().map(|prompt| fake.begin(prompt)).collect();
    for id in &ids {
        fake.good(&["group", "add", "g", id]);
    }
    let other = fake.begin("four");
    fake.0.write("home/.config/codex-agent/config.toml", "runs.confirm_above = 2\n");
    let mut terminal = Terminal::open(fake.started(&["group", "run", "g", "-p", "x"]), 200, 24);
    terminal.until("[y/N] ");
    fake.tool(&["resume", &other, "--prompt", "five"]).succeeds();
    fake.tool(&["run", "list"]).succeeds();
    assert_eq!(fake.runs().len(), 1, "a run that is not confirmed is not planned");
    fake.tool(&["group", "run", "g", "-p", "LIMIT300 y"]).exits(75);
    let sent = fake.sent().len();
    terminal.press("y\n");
    let (shown, code) = terminal.end();
    assert!(code == 2 && shown.contains("is unfinished; nothing was started"), "{shown}");
    assert_eq!((fake.sent().len(), fake.runs().len()), (sent, 2));
    // Failed jobs that were retried meanwhile.
    let fake = Fake::newest();
    fake.0.write("home/.config/codex-agent/config.toml", "runs.confirm_above = 1\n");
    fake.tool(&["run", "-p", "a FAIL400", "-p", "b FAIL400"]).exits(1);
    let first = name(&fake.runs()[0]);
    let mut terminal = Terminal::open(fake.started(&["run", "retry", &first]), 200, 24);
    terminal.until("[y/N] ");
    fake.tool(&["run", "retry", &first]).exits(1);
    terminal.press("y\n");
    let (shown, code) = terminal.end();
    assert!(code == 1 && shown.contains("were already retried by run"), "{shown}");
    assert_eq!((fake.sent().len(), fake.runs().len()), (4, 2));
}

/// On a terminal, lines are broken between words, commands stay whole, and a directory is named once.
#[test]
fn the_lines_of_a_run_fit_the_terminal() {
    let fake = Fake::newest();
    for wide in [60, 80, 120] {
        let words = ["run", "-s", "workspace-write", "-p", "one FAIL400", "-p", "two"];
        let (shown, code) = Terminal::open(fake.started(&words), wide, 40).end();
        let shown = without_escapes(&shown);
        assert_eq!(code, 1, "{shown}");
        let wrong = shown.lines().find(|line| columns_of(line) > usize::from(wide));
        assert_eq!(wrong, None, "{shown}");
        let run = name(&fake.runs().pop().unwrap());
        let is_command = |line: &str, verb: &str, end: &str| {
            let Some((_, rest)) = line.split_once(&format!("'codex-agent run {verb} ")) else { return false };
            let Some((short, _)) = rest.split_once(&format!("{end}'")) else { return false };
            run.ends_with(short)
        };
        // A run with a failed job has answers too.
        for (verb, end) in [("retry", ""), ("log", " --answers")] {
            assert!(shown.lines().any(|line| is_command(line, verb, end)), "{verb} in {wide}: {shown}");
        }
        let joined = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains("2 of 2 jobs share this directory"), "{shown}");
        assert_eq!(shown.matches("/work").count(), 1, "{shown}");
    }
}

/// A table says of a run what `status` says; its record keeps its states.
#[test]
fn the_table_of_runs_names_failures_and_an_empty_one_is_a_line() {
    let fake = Fake::newest();
    let list = || {
        let (shown, code) = Terminal::open(fake.started(&["run", "list"]), 120, 24).end();
        assert_eq!(code, 0, "{shown}");
        without_escapes(&shown)
    };
    assert_eq!(list(), "codex-agent-run: there are no runs; 'codex-agent run PROMPT' starts a run\n");
    fake.tool(&["run", "list"]).succeeds().reports_exactly("").prints("");
    fake.tool(&["run", "-p", "bad FAIL400", "-p", "good"]).exits(1);
    let shown = list();
    assert!(shown.contains("  failed  ") && shown.contains("1 completed, 1 failed"), "{shown}");
    assert!(fake.good(&["run", "list"]).contains("\tfinished\t"));
    fake.tool(&["run", "-p", "good"]).succeeds();
    assert!(list().contains("  finished  "));
    let shown = on_terminal(&fake.0, &["codex-agent-queue", "list"], 120);
    assert!(shown.contains("there are no queues; 'codex-agent queue add NAME PROMPT' creates"), "{shown}");
    fake.tool(&["queue", "list"]).succeeds().reports_exactly("").prints("");
}

#[test]
fn a_queue_that_changed_during_the_question_is_not_deleted() {
    let fake = Fake::newest();
    queue(&fake, "q", &["one"]);
    let delete = |change: &dyn Fn()| {
        let mut terminal = Terminal::open(fake.started(&["queue", "delete", "q"]), 200, 24);
        terminal.until("[y/N] ");
        change();
        terminal.press("y\n");
        terminal.end()
    };
    let refused = |change: &dyn Fn()| {
        let (shown, code) = delete(change);
        let want = "queue 'q' was changed during the question; nothing was deleted";
        assert!(code == 2 && shown.contains(want), "{shown}");
    };
    refused(&|| drop(fake.good(&["queue", "add", "q", "-p", "two"])));
    assert_eq!(fake.each("q", "prompt"), ["one", "two"]);
    refused(&|| drop(fake.good(&["queue", "edit", "q", "2", "-p", "other"])));
    refused(&|| {
        fake.good(&["queue", "delete", "-y", "q"]);
        queue(&fake, "q", &["one", "other"]);
    });
    assert_eq!(fake.each("q", "prompt"), ["one", "other"]);
    let (shown, code) = delete(&|| drop(fake.good(&["queue", "add", "p", "-p", "two"])));
    assert_eq!(code, 0, "{shown}");
    fake.tool(&["queue", "show", "q"]).exits(1);
}

/// The directory in which a run was begun is in its journal, also after it was continued elsewhere.
#[test]
fn the_directory_of_a_run_is_recorded() {
    let fake = Fake::newest();
    fake.tool(&["run", "-j1", "--max-failures", "1", "-p", "FAIL400", "-p", "next"]).exits(75);
    let run = name(&fake.runs()[0]);
    fake.0.sh(&format!("codex-agent run continue {run}")).exits(1);
    let work = fs::canonicalize(fake.0.path("work")).unwrap();
    let journal = fake.journal();
    let started = of_type(&journal, "run.started");
    assert_eq!(started.len(), 2);
    assert!(started.iter().all(|event| event["cwd"] == json!(work)), "{started:?}");
}
