//! The Codex without a model is a Codex: what it prints, writes, locks and ends with is what the real
//! versions were recorded to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::world::fake::{Fake, end, wait_until};
use crate::world::real::{Real, VERSIONS};
use crate::world::{NEWEST, World, data, json as records};

/// The recorded versions that have a database, the oldest of which had it behind a flag.
const RECORDED: [&str; 7] = ["0.101.0", "0.106.0", "0.120.0", "0.137.0", "0.150.0", "0.169.0", NEWEST];

/// Whether a version is 0.`minor` or later.
fn since(version: &str, minor: u32) -> bool {
    version.split('.').nth(1).unwrap().parse::<u32>().unwrap() >= minor
}

/// Each event with its names and, where all Codexes have the same text, its texts.
fn shapes(out: &str) -> Vec<String> {
    records(out).into_iter().filter(|event| !is_warning(event)).map(|event| shape(&event)).collect()
}

/// The recordings were made with a model that is unknown to Codex, which prints a warning.
fn is_warning(event: &Value) -> bool {
    event["item"]["type"] == "error"
}

fn shape(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<&String, String> = fields
                .iter()
                .map(|(name, value)| {
                    let told = matches!(name.as_str(), "type" | "status" | "exit_code" | "usage");
                    (name, if told { value.to_string() } else { shape(value) })
                })
                .collect();
            format!("{fields:?}")
        }
        Value::Array(parts) => format!("{:?}", parts.iter().map(shape).collect::<Vec<_>>()),
        Value::String(_) => "text".to_owned(),
        Value::Number(_) => "number".to_owned(),
        other => other.to_string(),
    }
}

#[test]
fn events_are_those_that_were_recorded() {
    for version in RECORDED {
        if !data(&format!("homes/{version}/exec-json")).exists() {
            println!("the crate as it is published has no recorded events of {version}: not tried");
            return;
        }
        let fake = Fake::new(version);
        let recorded =
            |name: &str| fs::read_to_string(data(&format!("homes/{version}/exec-json/{name}.out"))).unwrap();
        let first = fake.codex(&["exec", "--json", "-"], "Fix the login bug in auth.rs");
        assert_eq!(shapes(&first.out), shapes(&recorded("login-1")), "{version}");
        let id = records(&first.out)[0]["thread_id"].as_str().unwrap().to_owned();
        assert_eq!(shapes(&fake.resume(&id, "more").out), shapes(&recorded("login-2")), "{version}");
        assert_eq!(shapes(&fake.resume(&id, "more").out), shapes(&recorded("login-3")), "{version}");
        if since(version, 150) {
            let fork = fake.codex(&["exec", "--json", "fork", &id, "Try another approach"], "");
            assert_eq!(shapes(&fork.out), shapes(&recorded("fork")), "{version}");
        }
        let failed = fake.resume(&id, "FAIL400");
        assert_eq!(shapes(&failed.out), shapes(&recorded("failed-2")), "{version}");
        failed.exits(1);
        let shell = fake.codex(&["exec", "--json", "-"], "List files SHELL{ls -1}");
        assert_eq!(shapes(&shell.out), shapes(&recorded("shell")), "{version}");
        fake.0.run(&["codex-agent-ls", "--check"]).succeeds();
    }
}

/// Every kind of line, and the names in its payload.
fn kinds(home: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut directories = vec![home.join("sessions")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            if entry.path().is_dir() {
                directories.push(entry.path());
                continue;
            }
            for line in records(&fs::read_to_string(entry.path()).unwrap()) {
                let payload = line["payload"].as_object().unwrap();
                let inner = payload.get("type").or(payload.get("role")).and_then(Value::as_str);
                let item = line["payload"]["item"]["type"].as_str();
                let kind = format!(
                    "{} {} {} ordinal={}",
                    line["type"].as_str().unwrap(),
                    inner.unwrap_or_default(),
                    item.unwrap_or_default(),
                    line.get("ordinal").is_some()
                );
                kinds.entry(kind).or_default().extend(payload.keys().cloned());
            }
        }
    }
    kinds
}

#[test]
fn rollouts_have_the_lines_that_were_recorded() {
    for version in RECORDED {
        let fake = Fake::new(version);
        let id = fake.begin("one SHELL{true}");
        fake.resume(&id, "two FAIL500");
        let mut slow = fake.spawn(&["exec", "--json", "resume", &id, "-"], "SLEEP30");
        wait_until(|| fake.sent().len() == 3);
        kill_process(Pid::from_child(&slow), Signal::INT).unwrap();
        slow.wait().unwrap();
        let recorded = kinds(&data(&format!("homes/{version}")));
        let mut foreign = Vec::new();
        for (kind, names) in kinds(&fake.0.codex_home()) {
            match recorded.get(&kind) {
                Some(known) => foreign.extend(names.difference(known).map(|name| format!("{kind}: {name}"))),
                None => foreign.push(kind),
            }
        }
        assert!(foreign.is_empty(), "{version} knows none of {foreign:#?}");
    }
}

#[test]
fn sessions_of_the_fake_are_listed() {
    for version in ["0.92.0"].iter().chain(&RECORDED[1..]).copied() {
        let fake = Fake::new(version);
        let id = fake.begin("  First things first\n");
        fake.resume(&id, "Second");
        let failed = fake.begin("Third");
        fake.resume(&failed, "FAIL401");
        let list = fake.list();
        let of = |id: &str| list.iter().find(|record| record["id"] == id).unwrap();
        let work = fs::canonicalize(fake.0.path("work")).unwrap();
        assert_eq!(list.len(), 2, "{version}");
        let session = of(&id);
        assert_eq!(session["title"], "First things first", "{version}");
        assert_eq!(session["cwd"].as_str(), work.to_str());
        assert_eq!(session["cli_version"], version);
        if version != "0.92.0" {
            assert_eq!(session["status"], "idle", "{session}");
            assert_eq!(session["tokens_used"], 214, "{session}");
            assert_eq!(session["found_in"], "both");
            fake.check(2);
        }
        if since(version, 169) {
            assert_eq!(of(&failed)["status"], "failed", "{list:?}");
            assert_eq!(session["history"], "paginated");
        }
    }
}

#[test]
fn sessions_of_a_recorded_home_are_resumed() {
    for version in &RECORDED[1..] {
        let fake = Fake::over(World::with_home(version), version);
        let before = fake.list();
        let manifest = fs::read_to_string(data(&format!("homes/{version}/manifest.tsv"))).unwrap();
        let login = manifest.lines().find_map(|line| line.strip_prefix("login\t")).unwrap();
        let id = &login[..36];
        let ran = fake.resume(id, "And on");
        let events = records(&ran.out);
        ran.case(version).succeeds();
        assert_eq!(events[0]["thread_id"].as_str(), Some(id), "{version}: {}", ran.err);
        assert_eq!(events.last().unwrap()["usage"]["input_tokens"], 400, "{version}");
        let sent = fake.sent().pop().unwrap();
        let history: Vec<&str> =
            sent["history"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        assert_eq!(history.len(), 3, "{history:?}");
        assert_eq!(history[0], "Fix the login bug in auth.rs");
        let after = fake.list();
        assert_eq!(before.len(), after.len());
        let of = |list: &[Value]| list.iter().find(|record| record["id"] == id).unwrap().clone();
        assert_eq!(of(&before)["title"], of(&after)["title"], "{version}");
        assert_eq!(of(&after)["tokens_used"], 428, "{version}");
        assert!(of(&after)["updated_at"].as_str() > of(&before)["updated_at"].as_str());
    }
}

#[test]
fn exit_statuses_are_those_of_the_version() {
    const NOBODY: &str = "01a202e0-0000-7d62-82ce-fdb2cd6d1b0c";
    for (version, unknown, interrupted) in
        [("0.106.0", 0, 0), ("0.120.0", 1, 1), ("0.169.0", 1, 1), (NEWEST, 1, 1)]
    {
        let fake = Fake::new(version);
        fake.codex(&["--version"], "").prints(format!("codex-cli {version}\n"));
        let ran = fake.resume(NOBODY, "hello");
        ran.exits(unknown);
        match unknown {
            0 => assert_ne!(records(&ran.out)[0]["thread_id"], NOBODY),
            _ => {
                let code = if since(version, 169) { " (code -32600)" } else { "" };
                let said = format!("no rollout found for thread id {NOBODY}{code}\n");
                ran.prints("");
                assert!(ran.err.ends_with(&said), "{}", ran.err);
            }
        }
        fake.resume("no-such-name", "hello").succeeds();
        fake.codex(&["exec", "--json", "--nosuch"], "").exits(2);
        let empty = fake.codex(&["exec", "--json", "-"], " \n");
        empty.exits(1).reports_exactly("No prompt provided via stdin.\n");
        assert_eq!(
            fake.codex(&["exec", "--json", "--full-auto", "-"], "x").code,
            if since(version, 169) { 2 } else { 0 }
        );
        let id = fake.begin("one");
        let mut slow = fake.spawn(&["exec", "--json", "resume", &id, "-"], "SLEEP30");
        let count = fake.sent().len();
        wait_until(|| fake.sent().len() > count);
        if since(version, 169) {
            let busy = fake.resume(&id, "too");
            busy.exits(1);
            let want = format!(
                "Error: thread/resume: thread/resume failed: thread {id} already has an active writer (code -32600)\n"
            );
            busy.prints("").reports_exactly(want);
        }
        kill_process(Pid::from_child(&slow), Signal::INT).unwrap();
        assert_eq!(end(&mut slow), interrupted, "{version}");
        let session = fake.list().into_iter().find(|record| record["id"] == id.as_str()).unwrap();
        assert_eq!(session["status"], "interrupted");
        let killed = fake.spawn(&["exec", "--json", "resume", &id, "-"], "SLEEP30");
        wait_until(|| fake.sent().last().unwrap()["session"] == id.as_str() && fake.sent().len() > count + 1);
        kill_process(Pid::from_child(&killed), Signal::TERM).unwrap();
        assert_eq!(killed.wait_with_output().unwrap().status.signal(), Some(15));
        fake.resume(&id, "on").case("a lock outlived its holder").succeeds();
    }
    let fake = Fake::newest();
    let id = fake.begin("one");
    fake.codex(&["archive", &id], "").succeeds();
    let ran = fake.resume(&id, "two");
    ran.exits(1).reports("Run `codex unarchive");
    assert!(fake.list()[0]["archived_at"].is_string());
    fake.check(1);
    fake.codex(&["unarchive", &id], "").succeeds();
    fake.resume(&id, "two").succeeds();
}

#[test]
fn failures_have_the_recorded_messages() {
    let fake = Fake::newest();
    let classes = [
        ("FAIL401", "auth"),
        ("FAIL403", "auth"),
        ("OVERLOADED", "overloaded"),
        ("CONTEXT", "context"),
        ("NOMODEL", "model"),
        ("RATELIMIT", "rate_limit"),
        ("CUT", "network"),
        ("LIMITX", "usage_limit"),
        ("FAIL400", "refused"),
        ("EXITS", "crashed"),
        ("DIES", "interrupted"),
    ];
    for (word, class) in classes {
        let ran = fake.0.run(&["codex-agent-run", "--json", "-p", word]);
        let events = records(&ran.out);
        let failed =
            events.iter().find(|event| event["type"] == "job.failed" || event["type"] == "run.stopped");
        let failed = failed.unwrap_or_else(|| panic!("{word}: {}{}", ran.out, ran.err));
        assert!(failed.to_string().contains(class), "{word}: {failed}");
    }
}

#[test]
fn a_usage_limit_resets() {
    let fake = Fake::newest();
    let ran = fake.codex(&["exec", "--json", "-"], "LIMIT1");
    ran.exits(1);
    ran.shows("You’ve hit your usage limit. Upgrade to Pro");
    ran.shows("M.\"}");
    wait_until(|| fake.codex(&["exec", "--json", "-"], "LIMIT1").code == 0);
}

#[test]
fn steering_words_have_their_effect() {
    let fake = Fake::newest();
    fake.codex(&["exec", "--json", "-"], "BADEND").exits(4);
    fake.codex(&["exec", "--json", "-"], "DIES").exits(128 + 9);
    let mut garbage = fake.command(&["exec", "--json", "GARBAGE"]);
    let garbage = garbage.output().unwrap();
    assert!(garbage.status.success() && garbage.stdout.windows(3).any(|bytes| bytes == b"\xff\xfe\n"));
    let long = fake.codex(&["exec", "--json", "-"], "LONGLINE");
    long.succeeds();
    assert!(long.out.lines().any(|line| line.len() > 100_000_000));
    let id = fake.begin("one");
    assert_ne!(records(&fake.resume(&id, "OTHER").out)[0]["thread_id"], id.as_str());
    let plain = fake.codex(&["exec", "one"], "");
    plain.succeeds().prints("echo: one\n");
    assert!(plain.err.starts_with("Reading additional input from stdin...\n"), "{}", plain.err);
    let deaf = fake.spawn(&["exec", "--json", "-"], "DEAF");
    let count = fake.sent().len();
    wait_until(|| fake.sent().len() > count);
    std::thread::sleep(Duration::from_millis(50));
    for signal in [Signal::INT, Signal::TERM] {
        kill_process(Pid::from_child(&deaf), signal).unwrap();
    }
    std::thread::sleep(Duration::from_millis(100));
    assert!(Path::new(&format!("/proc/{}/exe", deaf.id())).read_link().is_ok());
    kill_process(Pid::from_child(&deaf), Signal::KILL).unwrap();
    assert_eq!(deaf.wait_with_output().unwrap().status.signal(), Some(9));
    let git = {
        let mut command = fake.command(&["exec", "--json", "x"]);
        command.env("CODEX_FAKE_GIT_CHECK", "1").output().unwrap()
    };
    assert_eq!(git.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&git.stderr).starts_with("Not inside a trusted directory"));
}

#[test]
fn sixteen_processes_write_one_home() {
    for version in ["0.120.0", "0.169.0", NEWEST] {
        let fake = Fake::new(version);
        let start = |n: usize| fake.spawn(&["exec", "--json", "-"], &format!("job {n}"));
        let jobs: Vec<Child> = (0..16).map(start).collect();
        for job in jobs {
            let output = job.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let mut prompts: Vec<String> =
            fake.sent().iter().map(|line| line["prompt"].as_str().unwrap().to_owned()).collect();
        prompts.sort();
        prompts.dedup();
        assert_eq!(prompts.len(), 16);
        fake.check(16);
    }
}

#[test]
fn forks_and_names_use_the_app_server() {
    for version in &RECORDED[1..] {
        let fake = Fake::new(version);
        let id = fake.begin("one");
        fake.resume(&id, "two");
        fake.resume(&id, "three");
        for (nth, kept) in [("2", &["one"][..]), ("-1", &["one", "two"]), ("1", &[])] {
            let out = fake.0.ok(&["codex-agent-fork", &id, "--nth-message", nth, "--json"]);
            let fork = records(&out)[0]["id"].as_str().unwrap().to_owned();
            fake.resume(&fork, "other").succeeds();
            let sent = fake.sent().pop().unwrap();
            assert_eq!(sent["history"], json!(kept), "{version} {nth}");
            // And a fork of a fork.
            let again = fake.0.ok(&["codex-agent-fork", &fork, "--json"]);
            let again = records(&again)[0]["id"].as_str().unwrap().to_owned();
            fake.resume(&again, "again");
            let mut all = kept.to_vec();
            all.push("other");
            assert_eq!(fake.sent().pop().unwrap()["history"], json!(all), "{version} {nth}");
        }
        let ran = fake.0.run(&["codex-agent-fork", &id, "--name", "cut", "--prompt", "more", "--answers"]);
        ran.case(version).succeeds().prints("echo: more\n");
        fake.0.run(&["codex-agent-name", &id, "the first"]).succeeds();
        let names: BTreeSet<String> =
            fake.list().iter().filter_map(|record| record["name"].as_str().map(str::to_owned)).collect();
        assert_eq!(names, ["cut", "the first"].map(str::to_owned).into(), "{version}");
        assert!(fake.list().iter().any(|record| record["title"] == "one"), "a name took a title's place");
        fake.check(8);
    }
}

#[test]
fn no_prompt_is_sent_before_the_session_is_reported() {
    let fake = Fake::newest();
    fake.codex(&["exec", "--json", "-"], "EXITS").exits(3);
    let mut stuck = fake.spawn(&["exec", "--json", "-"], "HANGSTART");
    std::thread::sleep(Duration::from_millis(100));
    stuck.kill().unwrap();
    assert_eq!(stuck.wait_with_output().unwrap().stdout, b"");
    assert!(fake.sent().is_empty());
    // Killed at swept moments: each sent prompt has a reported session, and each reported session is listed.
    for step in 0..60 {
        let mut command = fake.command(&["exec", "--json", &format!("prompt {step}")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_micros(200 * step));
        child.kill().unwrap();
        let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        assert!(out.is_empty() || out.ends_with('\n'), "{out}");
        let told = records(&out);
        let prompt = format!("prompt {step}");
        if let Some(sent) = fake.sent().iter().find(|line| line["prompt"] == prompt.as_str()) {
            assert_eq!(told[0]["thread_id"], sent["session"], "{out}");
        }
        if let Some(started) = told.first() {
            assert!(fake.list().iter().any(|record| record["id"] == started["thread_id"]), "{out}");
        }
    }
}

#[test]
fn the_real_codex_does_the_same() {
    for version in VERSIONS {
        let Some(real) = Real::with_version(version) else { continue };
        let fake = Fake::new(version);
        let mut ids = [String::new(), String::new()];
        for prompt in
            ["Say it", "FAIL401", "CONTEXT", "NOMODEL", "FAIL500", "LIMITX", "CUT", "RATELIMIT", "On"]
        {
            let mut ran = Vec::new();
            for (at, id) in ids.iter_mut().enumerate() {
                let mut words = vec!["exec", "--json", "--skip-git-repo-check"];
                // A session that ran out of room stays out of it.
                let is_alone = prompt == "CONTEXT";
                if !id.is_empty() && !is_alone {
                    words.extend(["resume", id.as_str()]);
                }
                words.push("-");
                let mut command = if at == 0 { real.command("alpha") } else { fake.command(&[]) };
                command.args(&words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
                let mut child = command.spawn().unwrap();
                child.stdin.take().unwrap().write_all(prompt.as_bytes()).unwrap();
                let output = child.wait_with_output().unwrap();
                let out = String::from_utf8(output.stdout).unwrap();
                if !is_alone {
                    *id = records(&out)[0]["thread_id"].as_str().unwrap().to_owned();
                }
                let texts: Vec<String> = records(&out)
                    .iter()
                    .filter(|event| !is_warning(event))
                    .filter_map(|event| {
                        let text = event["message"].as_str().or(event["error"]["message"].as_str());
                        let text = text.or(event["item"]["text"].as_str())?;
                        // The address of the service has its port.
                        Some(text.split(", url").next().unwrap().to_owned())
                    })
                    .collect();
                ran.push((output.status.code(), shapes(&out), texts));
            }
            let faked = ran.pop().unwrap();
            assert_eq!(faked, ran.pop().unwrap(), "{version}: {prompt}");
        }
        let row = |world: &World, id: &str, from: &[&str]| {
            let words = [&["codex-agent-ls", "--json", "--full"], from].concat();
            let list = records(&world.ok(&words));
            let record = list.into_iter().find(|record| record["id"] == id).unwrap();
            let of =
                ["title", "first_user_message", "status", "tokens_used", "source", "originator", "history"];
            of.map(|field| record[field].clone())
        };
        let files = ["--no-database"];
        assert_eq!(row(&fake.0, &ids[1], &files), row(&real.world, &ids[0], &files), "{version}");
        let (faked, mut row) = (row(&fake.0, &ids[1], &[]), row(&real.world, &ids[0], &[]));
        // Once, on a busy disk, the database of 0.106 had not kept the first turn, and called the
        // session by its second prompt. The files are right then, as has just been compared.
        if version == "0.106.0" && row[0] == "FAIL401" {
            eprintln!("Codex {version} has lost the first turn of the session in its database");
            row[..2].clone_from_slice(&faked[..2]);
        }
        assert_eq!(faked, row, "{version}");
    }
}
