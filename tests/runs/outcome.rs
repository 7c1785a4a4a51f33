//! The outcome of a job: each failure has a class, and affects no other job.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::runs::{job, script};
use crate::world::fake::{Fake, end, failures, of_type};
use crate::world::json as records;
use crate::world::script::{CODEX, Scripted, failure_messages};

#[test]
fn failures_have_a_class() {
    let fake = Scripted::new();
    let prompts =
        ["EXITS", "UNTRUSTED", "FAILS", "DIES", "BADEND", "GARBAGE", "LONG", "fine"].map(str::to_owned);
    let words: Vec<&str> = prompts.iter().flat_map(|prompt| ["-p", prompt.as_str()]).collect();
    let (ran, events) = fake.events(&words);
    ran.exits(1);
    let failures = failure_messages(&events);
    let classes: Vec<&str> = failures.iter().map(|(class, _)| class.as_str()).collect();
    assert_eq!(classes, ["crashed", "crashed", "interrupted", "not_trusted", "refused"]);
    assert_eq!(failures[0].1, "Codex exited with status 3 before it began: Error: boom");
    assert_eq!(failures[1].1, "the turn was completed, but then Codex exited with status 4");
    assert_eq!(failures[2].1, "Codex was killed by signal 9 in the middle of the turn");
    assert_eq!(of_type(&events, "job.completed").len(), 3);
    assert_eq!(events.last().unwrap()["type"], "run.completed");
    // A finished run has its failures, and is finished.
    fake.run(&["continue"]).succeeds();
    assert_eq!(fake.sent().len(), 6);
}

#[test]
fn one_failed_login_stops_the_run() {
    let fake = Scripted::new();
    let mut input = "AUTH\n".to_owned();
    (0..9).for_each(|n| input.push_str(&format!("job {n}\n")));
    let ran = fake.feed(&["-j", "1", "-", "--json"], &input);
    ran.exits(75);
    let events = records(&ran.out);
    assert_eq!(failure_messages(&events)[0].0, "auth");
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["why"], &last["left"]),
        (&json!("run.stopped"), &json!("auth"), &json!(10))
    );
    // The job that met the failed login is sent again, and marked as resent.
    fake.0.script("bin/codex", &CODEX.replace("*AUTH*)", "*NEVER*)"));
    let (ran, events) = fake.events(&["continue"]);
    ran.succeeds();
    let resent: Vec<&Value> =
        of_type(&events, "job.started").into_iter().filter(|event| event["resent"] == true).collect();
    assert_eq!((resent.len(), &resent[0]["job"], &resent[0]["attempt"]), (1, &json!("1"), &json!(2)));
    assert_eq!(resent[0]["session"], json!(null), "a new attempt is a new session");
    let of_first = |kind: &str| of_type(&events, kind).into_iter().find(|event| event["job"] == "1").unwrap();
    assert_eq!(of_first("job.session")["session"], of_first("job.completed")["session"]);
    assert_eq!(fake.sent().len(), 11);
    let (ran, events) = fake.events(&["-j1", "--max-failures", "1", "-p", "FAILS", "-p", "x", "-p", "y"]);
    ran.exits(75);
    assert_eq!(&events.last().unwrap()["why"], &json!("max_failures"));
}

#[test]
fn output_of_a_tool_is_no_refusal_of_codex() {
    let mut fake = Fake::newest();
    let id = fake.begin("mine");
    // During the turn a tool writes the message that Codex writes before one.
    script(
        &mut fake,
        "case $1 in --version) exec $FAKE --version ;; esac\n$FAKE \"$@\"; code=$?\n\
         echo 'Error: thread y already has an active writer' >&2; echo 'not logged in' >&2; exit $code",
    );
    let ran = fake.tool(&["resume", &id, "--prompt", "FAIL400 once", "--json"]);
    ran.exits(1);
    assert_eq!(failures(&records(&ran.out)), vec!["refused".to_owned()], "{}", ran.err);
    assert_eq!(fake.prompts(), ["mine", "FAIL400 once"]);
}

#[test]
fn the_failure_of_one_job_affects_no_other() {
    let mut fake = Fake::newest();
    let work = fs::canonicalize(fake.0.path("work")).unwrap();
    let picture = fake.0.write("locked.png", "x");
    fs::set_permissions(&picture, fs::Permissions::from_mode(0o444)).unwrap();
    let input = [
        job(json!({"type": "job", "prompt": "home", "cwd": work, "codex_home": "/no/such/home", "session": "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c"})),
        job(json!({"type": "job", "prompt": "memory", "cwd": work, "images": ["/proc/self/mem"]})),
        job(json!({"type": "job", "prompt": "long", "cwd": work, "options": {"config": [format!("a={}", "x".repeat(200_000))]}})),
        job(json!({"type": "job", "prompt": "gone", "cwd": "/no/such/place"})),
        job(json!({"type": "job", "prompt": "picture OVERLOADED", "cwd": work, "images": [picture]})),
        job(json!({"type": "job", "prompt": "fine", "cwd": work})),
    ]
    .concat();
    let ran = fake.feed(&["run", "--jobs", "--json", "-j1", "--retries", "1"], &input);
    ran.exits(1);
    let events = records(&ran.out);
    let done: Vec<&Value> = events.iter().filter(|event| event["type"] == "job.completed").collect();
    assert_eq!((done.len(), &done[0]["job"]), (1, &json!("6")), "{}", ran.out);
    let classes = failures(&events);
    assert_eq!(classes.iter().filter(|class| *class == "overloaded").count(), 2, "{classes:?}");
    assert_eq!(events.last().unwrap()["type"], "run.completed");
    let copies = fs::read_dir(fake.runs().pop().unwrap().join("jobs/5")).unwrap().flatten();
    let copy = copies.map(|entry| entry.path()).find(|path| path.display().to_string().ends_with(".png"));
    assert_eq!(fs::metadata(copy.unwrap()).unwrap().permissions().mode() & 0o777, 0o600);
    // An original that is gone between two attempts is not asked for again.
    script(
        &mut fake,
        "case $1 in --version) exec $FAKE --version ;; esac\nrm -f ../here.png\nexec $FAKE \"$@\"",
    );
    fake.0.write("here.png", "x");
    let ran = fake.tool(&["run", "--image", "../here.png", "--retries", "1", "--json", "OVERLOADED"]);
    assert_eq!(failures(&records(&ran.out)), ["overloaded", "overloaded"], "{}", ran.err);
}

#[test]
fn a_session_that_vanishes_before_its_job_fails_that_job() {
    let fake = Fake::newest();
    let (archived, gone) = (fake.begin("to be archived"), fake.begin("to be lost"));
    let work = fs::canonicalize(fake.0.path("work")).unwrap();
    let turn = |id: &str| job(json!({"type": "job", "session": id, "prompt": "never"}));
    let first = job(json!({"type": "job", "prompt": "first MS1500", "cwd": work}));
    fake.0.write("work/input", [first, turn(&archived), turn(&gone)].concat());
    let mut command = fake.0.command("sh");
    command.args(["-c", "exec codex-agent-run --jobs -j1 < input"]).current_dir(&work);
    let mut runner = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    fake.wait_for_sent(3);
    fake.codex(&["archive", &archived], "").succeeds();
    let lost = fake.list().into_iter().find(|row| row["id"] == gone.as_str()).unwrap();
    fs::remove_file(lost["rollout_path"].as_str().unwrap()).unwrap();
    assert_eq!(end(&mut runner), 1);
    assert_eq!(failures(&fake.journal()), ["archived", "not_found"]);
    assert_eq!(fake.sent().len(), 3);
}

/// A turn that fails after an answer of the model has used tokens, which are in the rollout.
#[test]
fn the_tokens_of_a_failed_turn_are_reported_where_they_are_known() {
    let fake = Fake::newest();
    let usage = |words: &[&str], kind: &str| {
        let (_, events) = fake.events(words);
        of_type(&events, kind)[0]["usage"].clone()
    };
    let completed = usage(&["run", "-p", "hello"], "job.completed");
    for name in ["input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens"] {
        assert!(completed[name].is_u64(), "{completed}");
    }
    assert_eq!(usage(&["run", "-p", "BADEND"], "job.failed"), completed);
    let id = fake.list()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(usage(&["resume", &id, "-p", "BADEND more"], "job.failed"), completed);
    // The tokens are those that the transcript has.
    let stats =
        |id: &str| records(&fake.good(&["stats", "--by", "session", "--json", id]))[0]["tokens"].clone();
    let first =
        fake.list().iter().map(|row| row["id"].as_str().unwrap().to_owned()).find(|one| *one != id).unwrap();
    for (name, of) in
        [("input_tokens", "input"), ("output_tokens", "output"), ("reasoning_output_tokens", "reasoning")]
    {
        assert_eq!(completed[name], stats(&first)[of], "{name}");
    }
    // Nothing was used, or nothing is known.
    let nothing = usage(&["resume", &id, "-p", "FAIL400"], "job.failed");
    assert_eq!(nothing["input_tokens"], 0, "{nothing}");
    assert!(usage(&["run", "-p", "FAIL400"], "job.failed").is_null());
}
