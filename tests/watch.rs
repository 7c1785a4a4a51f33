//! Following sessions while the real Codex writes them, and groups of them while others drive them.

use std::process::Command;
use std::time::{Duration, Instant};

use codex_agent_shared::codex::home::Home;
use codex_agent_shared::record::Id;
use codex_agent_shared::transcript::Record;
use codex_agent_shared::watch::{From, Watch};
use serde_json::Value;

use crate::world::fake::{Fake, crash, end, wait_until};
use crate::world::model::Model;
use crate::world::real::VERSIONS;
use crate::world::schemas::{As, find_mismatch};
use crate::world::terminal::Terminal;
use crate::world::{NEWEST, World, bins, json};

fn poll(watch: &mut Watch, all: &mut Vec<Value>) {
    let mut emit = |happened: &Record| {
        let record = serde_json::to_value(happened).unwrap();
        assert_eq!(find_mismatch(&record, As::Today), None, "{record}");
        all.push(record);
        Ok(())
    };
    watch.poll(&mut emit).unwrap();
}

/// The essential part of each record.
fn summaries(all: &[Value]) -> Vec<String> {
    let text = |record: &Value, key: &str| record[key].as_str().unwrap_or_default().to_owned();
    let summary = |record: &Value| match record["type"].as_str().unwrap() {
        "item" => format!("{}: {}", text(record, "role"), text(record, "text").trim_end()),
        "turn" => format!("turn {}", text(record, "status")),
        "session.status" => format!("is {}", text(record, "status")),
        other => other.to_owned(),
    };
    all.iter().map(summary).collect()
}

fn follow(home: Home, id: Id, from: From) -> Watch {
    let mut watch = Watch::new(home);
    watch.add([(id, from)]);
    watch
}

#[test]
fn events_of_the_real_codex_are_printed_as_they_happen() {
    for version in VERSIONS {
        let Some(codex) = crate::world::real::codex(version) else { continue };
        let model = Model::start();
        let world = World::new();
        world.write("home/.codex/config.toml", model.config_toml());
        std::fs::create_dir(world.path("alpha")).unwrap();
        let command = |words: &[&str]| -> Command {
            let mut command = world.command(codex.to_str().unwrap());
            // npm's launcher is a script for node, which may be anywhere.
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{}:{path}", bins().display())).args(words);
            command.env("CODEX_HOME", world.codex_home()).current_dir(world.path("alpha"));
            command
        };
        let exec = ["exec", "--json", "--skip-git-repo-check"];
        let run = |words: &[&str], watch: &mut Option<Watch>, all: &mut Vec<Value>| {
            let out = std::fs::File::create(world.path("out")).unwrap();
            let err = std::fs::File::create(world.path("err")).unwrap();
            let mut child = command(words).stdout(out).stderr(err).spawn().unwrap();
            let status = loop {
                if let Some(watch) = watch {
                    poll(watch, all);
                }
                match child.try_wait().unwrap() {
                    Some(status) => break status,
                    None => std::thread::sleep(Duration::from_millis(100)),
                }
            };
            (status.success(), std::fs::read_to_string(world.path("out")).unwrap())
        };
        let mut all = Vec::new();
        let first = [&exec[..], &["Mend the parser"]].concat();
        let (ok, out) = run(&first, &mut None, &mut all);
        assert!(ok, "{version}: {out}");
        let session = json(&out)[0]["thread_id"].as_str().unwrap().to_owned();
        let id = Id::parse(&session).unwrap();
        let home = || Home::find(Some(&world.codex_home())).unwrap();

        let mut watch = Some(follow(home(), id, From::Now));
        let wait = |watch: &mut Option<Watch>, all: &mut Vec<Value>, count: usize| {
            let begun = Instant::now();
            while all.len() < count && begun.elapsed() < Duration::from_secs(10) {
                poll(watch.as_mut().unwrap(), all);
                std::thread::sleep(Duration::from_millis(100));
            }
        };
        let second = [&exec[..], &["resume", &session, "And test it SHELL{echo hello}"]].concat();
        assert!(run(&second, &mut watch, &mut all).0, "{version}");
        wait(&mut watch, &mut all, 8);
        let turn = all[0]["turn"].as_str().unwrap().to_owned();
        let of_turn = |record: &&Value| matches!(record["type"].as_str(), Some("item" | "turn"));
        for record in all.iter().filter(of_turn) {
            assert_eq!((&record["turn_id"], &record["turn"]), (&turn.as_str().into(), &2.into()), "{record}");
        }
        assert!(all.iter().all(|record| record["session"] == session.as_str()));
        assert!(
            all.iter().filter(|record| record["type"] != "turn").all(|record| record["at"]
                .as_str()
                .unwrap()
                .len()
                == 24)
        );
        let third = [&exec[..], &["resume", &session, "Break it FAIL400"]].concat();
        run(&third, &mut watch, &mut all);
        wait(&mut watch, &mut all, 13);
        let archives = version == NEWEST;
        if archives {
            assert!(run(&["archive", &session], &mut watch, &mut all).0);
            wait(&mut watch, &mut all, 14);
            assert!(run(&["unarchive", &session], &mut watch, &mut all).0);
            wait(&mut watch, &mut all, 15);
            assert!(run(&["delete", "--force", &session], &mut watch, &mut all).0);
            wait(&mut watch, &mut all, 16);
            assert!(watch.as_ref().unwrap().is_empty());
        }
        poll(watch.as_mut().unwrap(), &mut all);

        let mut want = vec![
            "turn.started",
            "is running",
            "user: And test it SHELL{echo hello}",
            "command: echo hello",
            "output: hello",
            "assistant: echo: And test it SHELL{echo hello}",
            "turn completed",
            "is idle",
            "turn.started",
            "is running",
            "user: Break it FAIL400",
            "turn failed",
            "is failed",
        ];
        if archives {
            want.extend(["session.archived", "session.unarchived", "session.deleted"]);
        }
        assert_eq!(summaries(&all), want, "{version}");
        // Up to 0.147 no line has the reason of a failure.
        assert_eq!(all[11]["error"]["message"].is_string(), archives, "{}", all[11]);
        if !archives {
            let mut all = Vec::new();
            poll(&mut follow(home(), id, From::Start), &mut all);
            assert_eq!(
                summaries(&all)[..4],
                [
                    "turn.started",
                    "user: Mend the parser",
                    "assistant: echo: Mend the parser",
                    "turn completed"
                ]
            );
        }
    }
}

/// A watcher that ends with the test, also after a failure.
struct Watching(std::process::Child);

impl Drop for Watching {
    fn drop(&mut self) {
        crash(&mut self.0);
    }
}

/// `group watch` of a group of these sessions, and what it has printed so far.
fn watch_group(fake: &Fake, ids: &[&str]) -> (Watching, std::path::PathBuf) {
    fake.good(&[&["group", "add", "g"], ids].concat());
    let path = fake.0.path("watched");
    let out = std::fs::File::create(&path).unwrap();
    let watch = Watching(fake.started(&["group", "watch", "g", "--json"]).stdout(out).spawn().unwrap());
    // The watch begins with the events from now on, and prints nothing before them.
    std::thread::sleep(Duration::from_millis(700));
    (watch, path)
}

/// The types of the events of a session.
fn types(path: &std::path::Path, id: &str) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let of = |record: &Value| record["session"] == id;
    json(whole).iter().filter(|r| of(r)).map(|r| r["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_group_is_watched_after_its_runner_was_killed() {
    let fake = Fake::newest();
    let id = fake.begin("one");
    let (_watch, path) = watch_group(&fake, &[&id]);
    let mut runner = fake.start(&["group", "run", "g", "--prompt", "MS1500 two"]);
    wait_until(|| types(&path, &id).iter().any(|kind| kind == "job.session"));
    crash(&mut runner);
    // Codex continues without the runner, and its events are still printed.
    wait_until(|| types(&path, &id).iter().any(|kind| kind == "turn"));
    fake.resume(&id, "three").succeeds();
    wait_until(|| types(&path, &id).iter().filter(|kind| *kind == "turn").count() == 2);
    // Another runner continues the run, and its events are printed again.
    fake.tool(&["run", "continue"]).succeeds();
    wait_until(|| types(&path, &id).iter().any(|kind| kind == "job.completed"));
}

#[test]
fn a_group_is_watched_after_a_job_was_skipped_and_below_a_newer_run() {
    let fake = Fake::newest();
    let (busy, free) = (fake.begin("one"), fake.begin("two"));
    let (_watch, path) = watch_group(&fake, &[&busy, &free]);
    // An older run that continues, and a newer one that has ended.
    let mut older = fake.start(&["group", "run", "g", "-j1", "--prompt", "MS3000 more"]);
    wait_until(|| types(&path, &busy).iter().any(|kind| kind == "job.session"));
    let ran = fake.tool(&["group", "run", "g", "--new", "--prompt", "x", "--on-busy=skip"]);
    ran.succeeds();
    wait_until(|| types(&path, &busy).iter().any(|kind| kind == "job.skipped"));
    assert_eq!(end(&mut older), 0);
    let completed = |id: &str| types(&path, id).iter().filter(|kind| *kind == "job.completed").count();
    wait_until(|| completed(&busy) == 1 && completed(&free) == 2);
    // Skipped last, and not lost from sight.
    let mut other = fake.spawn(&["exec", "--json", "resume", &busy, "-"], "HANG");
    wait_until(|| types(&path, &busy).last().is_some_and(|kind| kind == "item"));
    let ran = fake.tool(&["group", "run", "g", "--new", "--prompt", "x", "--on-busy=skip"]);
    ran.succeeds();
    crash(&mut other);
    fake.resume(&busy, "again").succeeds();
    wait_until(|| types(&path, &busy).iter().any(|kind| kind == "turn"));
}

/// Two flags that exclude each other are refused before anything is done.
#[test]
fn answers_and_records_are_not_shown_together() {
    let fake = Fake::newest();
    let id = fake.begin("one");
    fake.good(&["group", "add", "g", &id]);
    fake.good(&["queue", "add", "q", "two"]);
    let flags: [&[&str]; 7] = [
        &["run", "x"],
        &["run", "--dry-run", "x"],
        &["group", "run", "g", "--prompt", "x"],
        &["group", "watch", "g"],
        &["queue", "run", "q"],
        &["resume", &id, "--prompt", "x"],
        &["fork", &id, "--prompt", "x"],
    ];
    for words in flags {
        for other in ["--json", "--events"] {
            let ran = fake.tool(&[words, &["--answers", other]].concat());
            ran.exits(2).prints("");
            ran.reports(format!("--answers cannot be combined with {other}\n"));
        }
    }
    assert_eq!((fake.runs().len(), fake.list().len(), fake.prompts().len()), (0, 1, 1));
    fake.good(&["run", "x"]);
    for words in [["run", "log"], ["run", "watch"], ["run", "continue"]] {
        let ran = fake.tool(&[&words[..], &["--json", "--answers"]].concat());
        ran.exits(2).prints("");
    }
}

/// An answer has a heading wherever there may be several, also if the second prompt is added during the first.
#[test]
fn answers_of_a_queue_have_headings() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "MS1500 a"]);
    let [run, watch] = ["run", "watch"].map(|verb| {
        if verb == "watch" {
            fake.wait_for_sent(1);
        }
        let out = std::fs::File::create(fake.0.path(verb)).unwrap();
        fake.started(&["queue", verb, "q", "--answers"]).stdout(out).spawn().unwrap()
    });
    fake.good(&["queue", "add", "q", "b"]);
    for mut child in [run, watch] {
        assert_eq!(end(&mut child), 0);
    }
    let ids: Vec<String> = fake.each("q", "session");
    let want = format!("==> {} <==\necho: MS1500 a\n==> {} <==\necho: b\n", ids[0], ids[1]);
    for verb in ["run", "watch"] {
        assert_eq!(std::fs::read_to_string(fake.0.path(verb)).unwrap(), want, "{verb}");
    }
    assert_eq!(fake.good(&["queue", "log", "q", "--answers"]), want);
}

/// The hint for failures has the current name of the queue.
#[test]
fn a_failed_job_is_shown_with_a_hint() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "old", "MS1500 FAIL400"]);
    let err = std::fs::File::create(fake.0.path("err")).unwrap();
    let mut run =
        fake.started(&["queue", "run", "old"]).stdout(err.try_clone().unwrap()).stderr(err).spawn().unwrap();
    fake.wait_for_sent(1);
    fake.good(&["queue", "rename", "old", "new one"]);
    assert_eq!(end(&mut run), 1);
    let err = std::fs::read_to_string(fake.0.path("err")).unwrap();
    assert!(
        err.contains("1 job failed; 'codex-agent queue retry 'new one' --failed' requeues it\n"),
        "{err}"
    );
    let id = fake.begin("one");
    fake.codex(&["archive", &id], "").succeeds();
    let ran = fake.tool(&["resume", &id, "--prompt", "x"]);
    let want = format!("is archived; 'codex-agent archive --undo {id}' unarchives it");
    ran.exits(1).shows(&want);
}

/// A group without a running turn is shown with a line instead of an empty view.
#[test]
fn a_group_without_running_turns_is_shown() {
    let fake = Fake::newest();
    let id = fake.begin("What it is about");
    fake.good(&["group", "add", "g", &id]);
    let mut terminal = Terminal::open(fake.started(&["group", "watch", "g"]), 100, 24);
    terminal.until("group 'g' has no running jobs; watching 1 session until Ctrl-C");
    let mut run = fake.start(&["group", "run", "g", "--prompt", "MS1500 two"]);
    let shown = terminal.until("  What it is about");
    let screen = shown.rsplit("\x1b[J").next().unwrap();
    assert!(screen.contains("running") && !screen.contains("has no running jobs"), "{shown}");
    // The view is drawn only when something changes, not ten times a second.
    let shown = terminal.until("completed");
    assert!(shown.matches("running").count() < 8, "{shown}");
    terminal.until("has no running jobs");
    assert_eq!(end(&mut run), 0);
    terminal.press("\x03");
}
