//! Jobs that are refused before anything is sent, or that Codex refuses: each has its class and its reason,
//! and is not used up for a fault that is not its own.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::world::fake::{Fake, crash, end, of_type, wait_until};
use crate::world::json as records;
use crate::world::real::Real;
use crate::world::script::{CODEX, Scripted, failure_messages};

/// A Codex that ends before it begins, with these words.
fn broken(words: &str) -> String {
    let start = "case $1 in --version) echo \"codex-cli 0.169.0\"; exit 0 ;; esac";
    format!("#!/bin/sh\n{start}\ncat > /dev/null\ncat >&2 <<'END'\n{words}\nEND\nexit 1\n")
}

const BAD_TOML: &str = "Error loading config.toml:\n/h/config.toml:2:8: unclosed array, expected `]`\n  |\n2 | foo = [\n  |        ^";

#[test]
fn jobs_whose_codex_never_began_stay_pending() {
    for (words, class) in [(BAD_TOML, "config"), ("Error: boom", "crashed")] {
        for at_once in ["1", "2", "3", "5"] {
            let fake = Scripted::new();
            fake.0.script("bin/codex", &broken(words));
            let prompts: Vec<String> = (10..22).map(|n| format!("prompt {n}")).collect();
            let input = prompts.join("\n");
            let ran = fake.feed(&["-j", at_once, "-", "--json"], &input);
            ran.exits(75);
            let events = records(&ran.out);
            let last = events.last().unwrap();
            assert_eq!(
                (&last["type"], &last["why"], &last["left"]),
                (&json!("run.stopped"), &json!(class), &json!(12))
            );
            let failed = of_type(&events, "job.failed");
            assert!(failed.iter().all(|event| event["failure"]["class"] == class), "{failed:?}");
            let again: std::collections::BTreeSet<&str> = failed
                .iter()
                .filter(|event| event["again"] == true)
                .map(|event| event["job"].as_str().unwrap())
                .collect();
            assert!(again.len() >= 3, "{failed:?}");
            if class == "config" {
                let message = failed[0]["failure"]["message"].as_str().unwrap();
                let want = "Error loading config.toml: /h/config.toml:2:8: unclosed array, expected `]`";
                assert_eq!(message, want);
            }
            fake.0.script("bin/codex", CODEX);
            let ran = fake.run(&["continue"]);
            ran.succeeds();
            assert_eq!(fake.sent(), prompts, "-j {at_once}");
        }
    }
}

#[test]
fn prompts_of_a_queue_whose_codex_never_began_stay_pending() {
    let fake = Fake::newest();
    crate::queue::queue(&fake, "q", &["a", "b", "c", "d", "e"]);
    let codex = fake.0.path("bin/codex");
    fs::rename(&codex, fake.0.path("bin/kept")).unwrap();
    fake.0.script("bin/codex", &broken(BAD_TOML));
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.exits(75);
    assert_eq!(fake.each("q", "status"), ["pending"; 5]);
    fs::rename(fake.0.path("bin/kept"), &codex).unwrap();
    fake.tool(&["queue", "run", "q"]).succeeds();
    assert_eq!(fake.prompts(), ["a", "b", "c", "d", "e"]);
}

#[test]
fn the_real_codex_with_an_invalid_configuration_leaves_jobs_pending() {
    let Some(codex) = Real::with_version("0.171.0") else { return };
    let config = codex.world.codex_home().join("config.toml");
    let good = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{good}\nfoo = [\n")).unwrap();
    let (ran, events) = codex.run_agent(&["-j1", "--json", "-"], "one\ntwo\nthree\nfour\n");
    ran.exits(75);
    assert_eq!(events.last().unwrap()["left"], 4);
    let (class, message) = &failure_messages(&events)[0];
    assert_eq!(class, "config");
    assert!(
        message.starts_with("Error loading config.toml: ") && message.contains("unclosed array"),
        "{message}"
    );
    fs::write(&config, good).unwrap();
    let (ran, _) = codex.run_agent(&["continue", "--json"], "");
    ran.succeeds();
    assert_eq!(codex.seen(), ["four", "one", "three", "two"]);
}

#[test]
fn a_job_without_a_sandbox_needs_the_flag() {
    let bypass = "--dangerously-bypass-approvals-and-sandbox";
    let danger = "--sandbox=danger-full-access";
    let job = |options: Value| {
        format!("{}\n", json!({"type": "job", "id": "x", "prompt": "p", "options": options}))
    };
    for (options, allowed) in [
        (json!({"bypass": true}), &[bypass][..]),
        (json!({"sandbox": "danger-full-access"}), &[danger, bypass]),
        (json!({"args": ["--yolo"]}), &[bypass]),
        (json!({"args": ["--sandbox=danger-full-access"]}), &[bypass]),
        (json!({"config": ["sandbox_mode=\"danger-full-access\""]}), &[bypass]),
    ] {
        let fake = Scripted::new();
        let input = format!("{}{}", json!({"type": "job", "prompt": "first"}), "\n") + &job(options.clone());
        for words in [&["--jobs"][..], &["--jobs", "--dry-run"], &["--jobs", "--sandbox=workspace-write"]] {
            let ran = fake.feed(words, &input);
            ran.case(&options).exits(2);
            ran.reports("stdin:2: job 'x' asks to run without a sandbox");
        }
        assert_eq!((fake.sent().len(), fake.runs().len()), (0, 0), "{options}");
        for flag in allowed {
            let ran = fake.feed(&["--jobs", flag], &input);
            ran.case((&options, &flag)).succeeds();
            ran.reports("stdin:2: job 'x' runs without a sandbox");
        }
    }
}

#[test]
fn an_argument_for_a_remote_turn_is_refused() {
    let fake = Scripted::new();
    for word in
        ["--remote", "--remote=ws://127.0.0.1:1", "--remote-auth-token-env", "--remote-auth-token-env=TOKEN"]
    {
        let ran = fake.run(&["p", &format!("--codex-arg={word}")]);
        ran.case(word).exits(2).reports("another process");
        let job = json!({"type": "job", "prompt": "p", "options": {"args": [word]}});
        let ran = fake.feed(&["--jobs"], format!("{job}\n"));
        ran.case(word).exits(2).reports("another process");
    }
    assert_eq!((fake.sent().len(), fake.runs().len()), (0, 0));
}

#[test]
fn a_missing_home_is_named() {
    let fake = Fake::newest();
    let job = json!({"type": "job", "prompt": "p", "codex_home": "/no/such/home"});
    let ran = fake.feed(&["run", "--jobs", "--json"], format!("{job}\n"));
    let (class, message) = failure_messages(&records(&ran.out)).remove(0);
    ran.exits(1);
    assert_eq!(class.as_str(), "home", "{}", ran.err);
    assert!(
        message.contains("'/no/such/home' does not exist; ") && message.contains("--codex-home"),
        "{message}"
    );
    assert!(fake.sent().is_empty());
}

/// Adds a line without a number to the end of a rollout, as a Codex before 0.148 does.
fn damage(rollout: &PathBuf) {
    let text = fs::read_to_string(rollout).unwrap();
    let mut line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    line.as_object_mut().unwrap().remove("ordinal");
    fs::write(rollout, format!("{text}{line}\n")).unwrap();
}

fn rollout(rows: &[Value], id: &str) -> PathBuf {
    PathBuf::from(rows.iter().find(|row| row["id"] == id).unwrap()["rollout_path"].as_str().unwrap())
}

#[test]
fn a_session_that_codex_refuses_starts_nothing() {
    let fake = Fake::newest();
    let [one, two, three] = ["one", "two", "three"].map(|prompt| fake.begin(prompt));
    damage(&rollout(&fake.list(), &one));
    let jobs =
        [&one, &two].map(|id| format!("{}\n", json!({"type": "job", "session": id, "prompt": "more"})));
    let ran = fake.feed(&["run", "--jobs", "--json"], jobs.concat());
    let (class, message) = failure_messages(&records(&ran.out)).remove(0);
    ran.exits(1);
    assert_eq!(class.as_str(), "damaged", "{}", ran.err);
    assert!(message.contains(&one) && message.contains("has no ordinal"), "{message}");
    assert_eq!(of_type(&records(&ran.out), "job.started").len(), 1);
    // A session that was archived after its job was planned.
    let mut runner = fake.started(&["run", "--jobs", "-j1"]);
    let jobs =
        [json!({"type": "job", "prompt": "SLEEP2"}), json!({"type": "job", "session": three, "prompt": "x"})];
    let input: String = jobs.iter().map(|job| format!("{job}\n")).collect();
    let input = fake.0.write("input", input);
    let mut runner = runner.stdin(fs::File::open(input).unwrap()).spawn().unwrap();
    fake.wait_for_sent(5);
    fake.codex(&["archive", &three], "").succeeds();
    assert_eq!(end(&mut runner), 1);
    let (class, message) = failure_messages(&fake.journal()).remove(0);
    assert_eq!(class, "archived");
    assert!(message.contains(&format!("archive --undo {three}")), "{message}");
}

#[test]
fn the_real_codex_is_not_started_for_a_session_that_it_refuses() {
    let Some(codex) = Real::with_version("0.171.0") else { return };
    let id = codex.exec("alpha", &["Begin"]);
    let config = codex.world.codex_home().join("config.toml");
    let good = fs::read_to_string(&config).unwrap();
    let provider =
        good.lines().find_map(|line| line.strip_prefix("[model_providers.")?.strip_suffix(']')).unwrap();
    // The provider has another name by now: it is missed by a session that has the old one.
    fs::write(&config, good.replace(provider, "another")).unwrap();
    let more = |words: &[&str], job: Value| {
        let (ran, events) = codex.run_agent(
            &[&["--skip-git-repo-check", "--jobs", "--json"], words].concat(),
            &format!("{job}\n"),
        );
        (ran.code, failure_messages(&events), ran.to_string())
    };
    let resume = json!({"type": "job", "session": id, "prompt": "more"});
    let (code, failed, told) = more(&[], resume.clone());
    assert_eq!((code, failed[0].0.as_str()), (1, "provider"), "{told}");
    assert!(failed[0].1.contains("--config model_provider=NAME"), "{told}");
    let new = json!({"type": "job", "prompt": "new", "options": {"config": ["model_provider=gone"]}});
    let (code, failed, told) = more(&[], new);
    assert_eq!((code, failed[0].0.as_str()), (1, "provider"), "{told}");
    // The hint is right: a fork can have another directory.
    let fork = json!({"type": "job", "kind": "fork", "session": id, "prompt": "forked"});
    let (code, _, told) = more(&["--config=model_provider=another"], fork);
    assert_eq!(code, 0, "{told}");
    fs::write(&config, good).unwrap();
    damage(&rollout(&codex.list(&["--full"]), &id));
    let (code, failed, told) = more(&[], resume);
    assert_eq!((code, failed[0].0.as_str()), (1, "damaged"), "{told}");
    assert_eq!(codex.seen(), ["Begin", "forked"]);
}

#[test]
fn a_locked_database_of_codex_is_waited_for() {
    let fake = Scripted::new();
    let locked = "error returned from database: (code: 5) database is locked";
    let busy = "thread/resume: thread/resume failed: thread $id already has an active writer (code -32600)";
    fake.0.script("bin/codex", &CODEX.replace(busy, locked));
    // A locked database is no busy session, whatever the policy for those.
    for policy in ["fail", "skip", "fork"] {
        fs::write(fake.0.path("fake/calls"), "").unwrap();
        let ran = fake.run(&["BUSY", &format!("--on-busy={policy}")]);
        ran.case(policy).succeeds();
        ran.reports("database is locked");
    }
    assert_eq!(fake.sent(), ["BUSY"; 3]);
}

#[test]
fn the_real_codex_with_a_locked_database_loses_nothing() {
    let Some(codex) = Real::with_version("0.171.0") else { return };
    let id = codex.exec("alpha", &["Begin"]);
    let database = rusqlite::Connection::open(codex.world.codex_home().join("state_5.sqlite")).unwrap();
    database.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let jobs =
        [json!({"type": "job", "prompt": "new"}), json!({"type": "job", "session": id, "prompt": "more"})];
    let input: String = jobs.iter().map(|job| format!("{job}\n")).collect();
    let input = codex.world.write("input", input);
    let mut command = codex.agent("alpha", &["--jobs", "--json", "-j2"]);
    let mut runner = command.stdin(fs::File::open(input).unwrap()).spawn().unwrap();
    // Longer than Codex itself waits for a locked database, which it reports nowhere.
    std::thread::sleep(Duration::from_secs(8));
    database.execute_batch("ROLLBACK").unwrap();
    assert_eq!(end(&mut runner), 0);
    assert_eq!(codex.seen(), ["Begin", "more", "new"]);
}

#[test]
fn the_process_that_has_a_busy_session_is_named() {
    let fake = Fake::newest();
    let id = fake.begin("one");
    let mut holder = fake.spawn(&["exec", "--json", "resume", &id, "-"], "SLEEP60");
    fake.wait_for_sent(2);
    let ran = fake.tool(&["resume", &id, "--prompt", "x", "--on-busy=fail", "--json"]);
    let events = records(&ran.out);
    let failure = &of_type(&events, "job.failed")[0]["failure"];
    ran.exits(1);
    assert_eq!(&failure["class"], &json!("busy"), "{}", ran.err);
    assert_eq!(failure["holder"]["pid"], holder.id(), "{failure}");
    assert!(failure["holder"]["command"].as_str().unwrap().contains(&id), "{failure}");
    let said = format!("(process {}: ", holder.id());
    assert!(failure["message"].as_str().unwrap().contains(&said), "{failure}");
    crash(&mut holder);
}

#[test]
fn the_next_prompt_waits_for_the_outcome_of_an_interrupted_one() {
    for (first, more, class) in [
        ("CUT one", &[][..], "network"),
        ("NETWORK one", &["--network-timeout=1s"], "network"),
        ("DIES one", &[], "interrupted"),
    ] {
        let fake = Fake::newest();
        crate::queue::queue(&fake, "q", &[first, "two"]);
        let (ran, events) = fake.events(&[&["queue", "run", "q"], more].concat());
        let place = |kind: &str, nth: usize| {
            let all: Vec<usize> = (0..events.len()).filter(|at| events[*at]["type"] == kind).collect();
            all[nth]
        };
        assert_eq!(failure_messages(&events)[0].0, class, "{}", ran.err);
        assert!(place("job.failed", 0) < place("job.started", 1), "{events:?}");
        assert_eq!(fake.prompts(), [first, "two"], "{}", ran.err);
    }
}

#[test]
fn a_broken_stream_of_the_real_codex_has_an_outcome_before_the_next_prompt() {
    let Some(codex) = Real::with_version("0.171.0") else { return };
    let alpha = codex.world.path("alpha");
    let add =
        ["codex-agent-queue", "add", "q", "--project", alpha.to_str().unwrap(), "-p", "CUT one", "-p", "two"];
    codex.world.run(&add).succeeds();
    let ran = codex.world.run(&["codex-agent-queue", "run", "q", "--json"]);
    let kinds: Vec<String> = records(&ran.out)
        .iter()
        .filter(|event| {
            ["job.started", "job.failed", "job.completed"].contains(&event["type"].as_str().unwrap())
        })
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["job.started", "job.failed", "job.started", "job.completed"], "{}", ran.err);
    assert_eq!(codex.seen(), ["CUT one", "two"]);
}

#[test]
fn a_refused_login_starts_no_more_jobs() {
    let fake = Scripted::new();
    let says = "unexpected status 401 Unauthorized: no";
    let reused = "Your access token could not be refreshed: refresh_token_reused";
    fake.0.script("bin/codex", &CODEX.replace(says, reused));
    let input: String = (0..20).map(|n| format!("AUTH {n}\n")).collect();
    let ran = fake.feed(&["-j", "2", "-", "--json"], &input);
    ran.exits(75);
    let events = records(&ran.out);
    let first = events.iter().position(|event| event["type"] == "job.failed").unwrap();
    assert!(events[first..].iter().all(|event| event["type"] != "job.started"), "{}", ran.out);
    assert!(failure_messages(&events).iter().all(|(class, _)| class == "auth"));
    assert_eq!(events.last().unwrap()["left"], 20);
    wait_until(|| fake.sent().len() <= 2);
}
