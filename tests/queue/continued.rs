//! Continuing a queue: settings, sessions and interrupted prompts from one run to the next.

use std::fs;

use serde_json::{Value, json};

use crate::queue::crash::killed;
use crate::queue::queue;
use crate::world::fake::{Fake, crash, end, of_type, wait_for_end, wait_until};
use crate::world::json as records;
use crate::world::ran;

/// The prompts and whether each was sent again, as the journals of all runs have it.
fn started(fake: &Fake) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for run in fake.runs() {
        let lines = records(&fs::read_to_string(run.join("journal.ndjson")).unwrap());
        for line in of_type(&lines, "job.started") {
            all.push((line["job"].as_str().unwrap().to_owned(), line["resent"] == true));
        }
    }
    all
}

#[test]
fn a_new_image_replaces_that_of_the_first_run() {
    let fake = Fake::newest();
    let [one, two] = ["a", "b"].map(|name| fake.0.write(&format!("work/{name}.png"), name));
    queue(&fake, "q", &["LIMIT300"]);
    fake.tool(&["queue", "run", "q", "--image", "a.png"]).exits(75);
    fake.good(&["queue", "edit", "q", "1", "fine"]);
    let image = |at: usize| {
        let argv = fake.sent()[at]["argv"].as_array().unwrap().clone();
        let word =
            argv.iter().find_map(|word| word.as_str().unwrap().strip_prefix("--image=")).unwrap().to_owned();
        fs::read_to_string(word).unwrap()
    };
    assert_eq!(image(0), "a");
    fake.tool(&["queue", "run", "q", "--on-limit=try", "--image", "b.png"]).succeeds();
    assert_eq!(image(1), "b");
    drop((one, two));
}

#[test]
fn a_missing_image_fails_no_prompt() {
    let fake = Fake::newest();
    let image = fake.0.write("work/a.png", "a");
    queue(&fake, "q", &["FAIL401", "two"]);
    fake.tool(&["queue", "run", "q", "--image", "a.png"]).exits(75);
    fs::remove_file(image).unwrap();
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.exits(2).reports("with which the run was started");
    assert_eq!((fake.each("q", "status"), fake.sent().len()), (vec!["pending".to_owned(); 2], 1));
}

#[test]
fn a_new_run_continues_the_one_session() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--one-session", "-p", "MS400", "-p", "two", "-p", "three"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    wait_until(|| !fake.each("q", "session")[0].is_empty());
    crash(&mut runner);
    wait_for_end(&fake.out(1));
    fake.tool(&["queue", "run", "q", "--new"]).succeeds();
    let sent = fake.sent();
    assert_eq!(fake.prompts(), ["MS400", "two", "three"]);
    assert!(sent.iter().all(|line| line["session"] == sent[0]["session"]), "{sent:?}");
}

#[test]
fn a_new_run_does_not_resend_a_prompt_that_was_to_be_continued() {
    let fake = Fake::newest();
    queue(&fake, "q", &["HANG", "two"]);
    fake.interrupt(&["queue", "run", "q"]);
    let work = fake.0.path("work");
    fs::rename(&work, fake.0.path("away")).unwrap();
    let mut command = fake.started(&["queue", "run", "q", "--interrupted=continue"]);
    ran::finish(command.current_dir(fake.0.path(""))).case("the project is missing").exits(2);
    fs::rename(fake.0.path("away"), &work).unwrap();
    fake.tool(&["queue", "run", "q", "--new"]).succeeds();
    assert_eq!(fake.prompts(), ["HANG", "two"]);
    assert_eq!(fake.each("q", "status"), ["failed", "completed"]);
}

#[test]
fn a_prompt_that_is_sent_again_is_marked_as_resent() {
    // By the third runner of the same run.
    let fake = Fake::newest();
    queue(&fake, "q", &["HANG"]);
    fake.interrupt(&["queue", "run", "q"]);
    let work = fake.0.path("work");
    fs::rename(&work, fake.0.path("away")).unwrap();
    for _ in 0..2 {
        let mut command = fake.started(&["queue", "run", "q", "--interrupted=retry"]);
        ran::finish(command.current_dir(fake.0.path(""))).exits(2);
    }
    fs::rename(fake.0.path("away"), &work).unwrap();
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(2);
    fake.good(&["queue", "stop", "--now", "q"]);
    end(&mut runner);
    assert_eq!(started(&fake).iter().map(|(_, resent)| *resent).collect::<Vec<_>>(), [false, true]);

    // By another run: a prompt that met a limit and did nothing.
    let fake = Fake::newest();
    queue(&fake, "q", &["LIMITX"]);
    fake.tool(&["queue", "run", "q"]).exits(75);
    fake.tool(&["queue", "run", "q", "--new"]);
    let marks: Vec<bool> = started(&fake).iter().map(|(_, resent)| *resent).collect();
    assert_eq!(marks, [false, true]);
}

#[test]
fn a_new_option_keeps_the_others_of_the_first_run() {
    let fake = Fake::newest();
    queue(&fake, "q", &["FAIL401", "two"]);
    let strict = ["--config", "sandbox_mode=read-only", "--config", "model=a", "--codex-arg=--strict"];
    fake.tool(&[&["queue", "run", "q"][..], &strict[..4]].concat()).exits(75);
    let dry = fake.good(&["queue", "run", "q", "--dry-run", "--config", "model=b", "-c", "x=1"]);
    let options = records(&dry)[0]["options"].clone();
    assert_eq!(options["config"], json!(["sandbox_mode=read-only", "model=b", "x=1"]));
    let fresh = records(&fake.good(&["queue", "run", "q", "--new", "--dry-run"]));
    assert_eq!(fresh[0]["options"]["config"], json!([]));
}

#[test]
fn wrong_usage_leaves_an_unfinished_run_unchanged() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--one-session", "-p", "FAIL401", "-p", "two"]);
    fake.tool(&["queue", "run", "q", "--sandbox", "read-only"]).exits(75);
    let before = (fs::read(fake.0.config("queues.json")).unwrap(), fake.runs().len(), fake.journal().len());
    fake.tool(&["queue", "run", "q", "--new", "--on-busy=fork"]).exits(2);
    let after = (fs::read(fake.0.config("queues.json")).unwrap(), fake.runs().len(), fake.journal().len());
    assert!(before == after);
}

#[test]
fn prompts_that_no_runner_sends_automatically_are_reported() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--manual", "-p", "later"]);
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.succeeds().reports("nothing to send; 1 manual");
    queue(&fake, "r", &["FAIL400"]);
    fake.tool(&["queue", "run", "r"]).exits(1);
    let ran = fake.tool(&["queue", "run", "r"]);
    ran.reports("'codex-agent queue retry r --failed'");
}

/// A journal in which a prompt was interrupted and is to be continued with "Continue."; then the runner was killed.
fn interrupted_before_a_limit(fake: &Fake) -> String {
    queue(fake, "q", &["HANG", "next"]);
    fake.interrupt(&["queue", "run", "q", "--interrupted=continue", "--max-failures=1"]);
    // Another run has met a limit, so that the next runner reads the outcome and may start no job.
    fake.tool(&["run", "LIMIT300"]).exits(75);
    let ran = fake.tool(&["queue", "run", "q", "--interrupted=continue"]);
    ran.exits(75);
    let runs = fake.runs();
    let text = fs::read_to_string(runs[0].join("journal.ndjson")).unwrap();
    let failed: Vec<Value> = records(&text).into_iter().filter(|line| line["type"] == "job.failed").collect();
    assert_eq!((&failed[0]["again"], &failed[0]["continues"]), (&json!(true), &json!(true)));
    failed[0]["session"].as_str().unwrap().to_owned()
}

#[test]
fn a_session_that_is_to_be_continued_is_remembered() {
    let fake = Fake::newest();
    let session = interrupted_before_a_limit(&fake);
    fake.tool(&["queue", "run", "q", "--on-limit=try"]).succeeds();
    let sent = fake.sent();
    let texts: Vec<&str> = sent.iter().map(|line| line["prompt"].as_str().unwrap()).collect();
    assert_eq!(texts, ["HANG", "LIMIT300", "Continue.", "next"]);
    assert_eq!(sent[2]["session"], session.as_str());

    // Where the prompt was changed meanwhile, the new text is what is sent.
    let fake = Fake::newest();
    interrupted_before_a_limit(&fake);
    fake.good(&["queue", "edit", "q", "1", "changed"]);
    fake.tool(&["queue", "run", "q", "--on-limit=try"]).succeeds();
    assert_eq!(fake.prompts(), ["HANG", "LIMIT300", "changed", "next"]);
}

#[test]
fn a_continued_queue_keeps_its_options() {
    let fake = Fake::newest();
    let image = fake.0.write("work/a.png", "picture");
    queue(&fake, "q", &["MS400", "two", "three", "four", "five"]);
    let told =
        ["--sandbox", "read-only", "-m", "o", "-c", "a=b", "--codex-arg=--add-dir=/tmp", "-i", "a.png"];
    let flags = [&["queue", "run", "q"][..], &told, &["--max-failures", "7", "--retries", "2"]].concat();
    let mut runner = fake.start(&flags);
    fake.wait_for_sent(1);
    crash(&mut runner);
    wait_for_end(&fake.out(1));
    let dry = records(&fake.good(&["queue", "run", "q", "--dry-run"]));
    assert_eq!(dry[0]["options"]["model"], "o");
    let mut runner = fake.start(&["queue", "run", "q"]);
    assert_eq!(end(&mut runner), 0);
    let argv = |at: usize| fake.sent()[at]["argv"].to_string();
    for at in 1..5 {
        for word in ["--sandbox=read-only", "--model=o", "--config=a=b", "--add-dir=/tmp", "image-1-"] {
            assert!(argv(at).contains(word), "{word} in {}", argv(at));
        }
    }
    let started = fake.journal().into_iter().rfind(|line| line["type"] == "run.started").unwrap();
    let (settings, image) = (&started["settings"], fs::canonicalize(image).unwrap());
    assert_eq!((&settings["max_failures"], &settings["retries"]), (&json!(7), &json!(2)));
    assert_eq!(settings["told"]["images"], json!([image]));

    // Each new option replaces the former one; a new run has none of them.
    let fake = Fake::newest();
    queue(&fake, "q", &["FAIL401", "two", "FAIL401", "four"]);
    fake.tool(&["queue", "run", "q", "-s", "read-only", "-m", "o"]).exits(75);
    fake.good(&["queue", "edit", "q", "1", "fine"]);
    fake.tool(&["queue", "run", "q", "-m", "p"]).exits(75);
    let argv = |at: usize| fake.sent()[at]["argv"].to_string();
    assert!(argv(2).contains("--sandbox=read-only") && argv(2).contains("--model=p"), "{}", argv(2));
    fake.good(&["queue", "edit", "q", "3", "fine"]);
    fake.good(&["queue", "run", "q", "--new"]);
    assert!(!argv(5).contains("--sandbox") && !argv(5).contains("--model"), "{}", argv(5));
}

#[test]
fn a_run_of_another_home_is_not_continued() {
    let fake = Fake::newest();
    killed(&fake, "MS300");
    fs::create_dir(fake.0.path("other")).unwrap();
    let other = fs::canonicalize(fake.0.path("other")).unwrap();
    let ran = fake.tool(&["queue", "run", "q", "--codex-home", other.to_str().unwrap()]);
    ran.exits(2).reports("uses Codex's home");
    ran.reports("--codex-home /").reports("--new");
    fake.tool(&["queue", "run", "q"]).succeeds();
    assert_eq!(fake.prompts(), ["MS300", "next"]);
}

#[test]
fn an_interrupted_prompt_that_was_manual_is_not_resent_automatically() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "-p", "SLEEP30 A", "-p", "B"]);
    fake.interrupt(&["queue", "run", "q"]);
    fake.good(&["queue", "mode", "q", "1", "manual"]);
    fake.tool(&["queue", "run", "q", "--interrupted=continue"]);
    fake.good(&["queue", "mode", "q", "1", "auto"]);
    fake.tool(&["queue", "run", "q"]);
    assert_eq!(fake.prompts(), ["SLEEP30 A", "B"]);
    assert_eq!(fake.each("q", "status"), ["failed", "completed"]);
}

#[test]
fn a_prompt_that_met_a_limit_and_was_manual_is_marked_as_resent() {
    for new in [false, true] {
        let fake = Fake::newest();
        fake.good(&["queue", "add", "q", "-p", "LIMIT2", "-p", "B"]);
        fake.tool(&["queue", "run", "q"]).exits(75);
        fake.good(&["queue", "mode", "q", "1", "manual"]);
        let words: &[&str] = if new {
            &["queue", "run", "q", "--on-limit=wait", "--new"]
        } else {
            &["queue", "run", "q", "--on-limit=wait"]
        };
        fake.tool(words).succeeds();
        fake.good(&["queue", "mode", "q", "1", "auto"]);
        let (ran, events) = fake.events(&["queue", "run", "q"]);
        ran.succeeds();
        assert_eq!(of_type(&events, "job.started")[0]["resent"], json!(true), "{new}");
    }
}

#[test]
fn a_queue_continues_in_the_home_that_its_run_created() {
    let fake = Fake::newest();
    fs::remove_dir_all(fake.0.codex_home()).unwrap();
    fake.good(&["queue", "add", "q", "-p", "LIMIT2", "-p", "x"]);
    fake.tool(&["queue", "run", "q"]).exits(75);
    fs::create_dir(fake.0.path("other")).unwrap();
    let other = fake.0.path("other").display().to_string();
    let ran = fake.tool(&["queue", "run", "q", "--codex-home", &other]);
    ran.exits(2).reports("uses Codex's home");
    let ran = fake.tool(&["queue", "run", "q", "--on-limit=wait"]);
    ran.succeeds();
    assert_eq!(fake.each("q", "status"), vec!["completed".to_owned(); 2], "{}", ran.err);
}
