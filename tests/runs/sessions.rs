//! Jobs that resume sessions: busy ones, and those of other versions and homes.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::world::fake::{Fake, of_type};
use crate::world::ran;
use crate::world::script::{CODEX, Scripted, failure_messages};
use crate::world::{World, json as records};

#[test]
fn a_home_that_is_not_utf_8_is_refused_and_a_missing_one_created() {
    use std::os::unix::ffi::OsStringExt;
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "one"]);
    let odd = fake.0.path("").join(std::ffi::OsString::from_vec(b"h\xff".to_vec()));
    fs::create_dir(&odd).unwrap();
    for words in [&["queue", "run", "q"][..], &["run", "x"]] {
        ran::finish(fake.started(words).env("CODEX_HOME", &odd)).exits(2).reports("not UTF-8");
    }
    assert!(fake.sent().is_empty());
    // Where Codex has not been used yet it makes its home itself.
    fs::remove_dir_all(fake.0.codex_home()).unwrap();
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.succeeds();
    assert_eq!(fake.each("q", "status"), vec!["completed".to_owned()], "{}", ran.err);
}

/// The sessions of a recorded home, whose rollouts are really there.
fn with_sessions() -> (Scripted, Vec<String>) {
    let fake = Scripted::over(World::with_home("0.169.0"));
    let list = records(&fake.0.ok(&["codex-agent-ls", "--json"]));
    let ids = list.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect();
    (fake, ids)
}

pub fn job(session: &str, prompt: &str, cwd: &std::path::Path) -> String {
    format!("{}\n", json!({"type": "job", "session": session, "prompt": prompt, "cwd": cwd}))
}

#[test]
fn jobs_resume_only_their_sessions() {
    let (fake, ids) = with_sessions();
    let here = fs::canonicalize(fake.0.path("")).unwrap();
    let input = [
        job(&ids[0], "go on", &here),
        job(&ids[1], "OTHER", &here),
        job("01a202e0-0000-7000-8000-000000000000", "nobody", &here),
        format!("{}\n", json!({"type": "job", "session": ids[2], "prompt": "its directory is gone"})),
        format!(
            "{}\n",
            json!({"type": "job", "session": ids[3], "prompt": "x", "cwd": here, "images": ["/no/pic.png"]})
        ),
        job(&ids[0], "and again", &here),
    ]
    .concat();
    let ran = fake.feed(&["--jobs", "--json"], &input);
    ran.exits(1);
    let events = records(&ran.out);
    let classes: Vec<String> = failure_messages(&events).into_iter().map(|(class, _)| class).collect();
    assert_eq!(classes, ["cwd", "not_found", "refused", "wrong_session"], "{}", ran.out);
    let completed: Vec<&Value> = of_type(&events, "job.completed");
    assert_eq!(
        completed.iter().map(|event| event["session"].as_str().unwrap()).collect::<Vec<_>>(),
        [&ids[0], &ids[0]]
    );
    let calls = fs::read_to_string(fake.0.path("fake/calls")).unwrap();
    assert!(calls.contains(&format!("exec --json --sandbox=read-only resume {} -|", ids[0])), "{calls}");
    // Two jobs of one session never run at once, and keep their order.
    let at = |kind: &str, job: &str| {
        events.iter().position(|event| event["type"] == kind && event["job"] == job).unwrap()
    };
    assert!(at("job.completed", "1") < at("job.started", "6"));
}

#[test]
fn a_busy_session_is_waited_for_skipped_or_failed() {
    let (fake, ids) = with_sessions();
    let here = fs::canonicalize(fake.0.path("")).unwrap();
    let input = job(&ids[0], "BUSY", &here);
    for (policy, code, kind) in [("fail", 1, "job.failed"), ("skip", 0, "job.skipped")] {
        fs::remove_file(fake.0.path("fake/calls")).ok();
        let ran = fake.feed(&["--jobs", "--json", "--on-busy", policy], &input);
        ran.case(policy).exits(code);
        assert_eq!(of_type(&records(&ran.out), kind).len(), 1, "{policy} {}", ran.out);
    }
    fs::remove_file(fake.0.path("fake/calls")).ok();
    let ran = fake.feed(&["--jobs", "--json"], &input);
    let events = records(&ran.out);
    ran.succeeds();
    assert_eq!(of_type(&events, "job.completed").len(), 1, "{}", ran.out);
    assert_eq!(of_type(&events, "job.completed")[0]["attempt"], 3);
    ran.reports("already has an active writer").reports("; the job waits for the session");
    assert_eq!(fake.sent().len(), 1);
    // Another run of ours that drives it is the same, and is seen before anything is started.
    let mut other = fake.0.command("sh");
    fake.0.write("job", job(&ids[0], "SLEEPS", &here));
    let mut other = other.args(["-c", "codex-agent-run --jobs < job"]).stdout(Stdio::null()).spawn().unwrap();
    fake.wait_for_sent(2);
    let ran = fake.feed(&["--jobs", "--json", "--on-busy=fail"], job(&ids[0], "x", &here));
    assert_eq!(
        failure_messages(&records(&ran.out))[0].1,
        format!("session '{}' is used by another job", ids[0])
    );
    let ran = fake.feed(&["--jobs", "--json", "--on-busy=wait=20s"], job(&ids[0], "after", &here));
    ran.succeeds();
    other.wait().unwrap();
    assert_eq!(fake.sent(), ["BUSY", "SLEEPS", "after"]);
}

#[test]
fn an_older_codex_resumes_no_session_that_it_would_damage() {
    let (fake, ids) = with_sessions();
    fake.0.script("bin/codex", &CODEX.replace("codex-cli 0.169.0", "codex-cli 0.137.0"));
    let here = fs::canonicalize(fake.0.path("")).unwrap();
    let ran = fake.feed(&["--jobs", "--json"], job(&ids[0], "x", &here));
    let (class, message) = failure_messages(&records(&ran.out)).remove(0);
    ran.exits(1);
    assert_eq!(class.as_str(), "refused");
    assert!(message.contains("0.137.0") && message.contains("0.169.0"), "{message}");
    assert_eq!(fake.sent(), Vec::<String>::new());
}
