//! `codex-agent watch`: sessions of real and of many processes are followed by the executable.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::fake::{Fake, crash, end, wait_until};
use crate::world::json;
use crate::world::real::Real;

pub mod appended;

/// Starts the tool, whose output goes to a file, and waits until it has begun to follow.
fn follow(fake: &Fake, name: &str, words: &[&str]) -> Child {
    let out = std::fs::File::create(fake.0.path(name)).unwrap();
    let child =
        fake.started(&[&["watch"], words].concat()).stdout(out).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    child
}

fn printed(fake: &Fake, name: &str) -> String {
    let text = std::fs::read_to_string(fake.0.path(name)).unwrap();
    text[..text.rfind('\n').map_or(0, |end| end + 1)].to_owned()
}

/// The subject of each record of a session.
fn kinds(text: &str, id: &str) -> Vec<String> {
    let kind = |record: &Value| match record["type"].as_str().unwrap() {
        "item" => record["role"].as_str().unwrap().to_owned(),
        "turn" => format!("turn {}", record["status"].as_str().unwrap()),
        "session.status" => format!("is {}", record["status"].as_str().unwrap()),
        other => other.to_owned(),
    };
    json(text).iter().filter(|record| record["session"] == id).map(kind).collect()
}

#[test]
fn all_sessions_are_followed_also_those_that_are_new() {
    let fake = Fake::newest();
    let old = fake.begin("one");
    let mut watch = follow(&fake, "out", &["--json"]);
    fake.resume(&old, "two").succeeds();
    let new = fake.begin("three");
    let turn = ["turn.started", "is running", "user", "assistant", "turn completed", "is idle"];
    wait_until(|| kinds(&printed(&fake, "out"), &new).len() >= turn.len());
    let text = printed(&fake, "out");
    assert_eq!(kinds(&text, &old), turn, "{text}");
    assert_eq!(kinds(&text, &new), turn, "{text}");
    crash(&mut watch);
}

/// The past of several sessions is printed in the order of its times, and with colours where they are asked for.
#[test]
fn the_past_of_several_sessions_is_merged() {
    let fake = Fake::newest();
    let (first, second) = (fake.begin("one"), fake.begin("two"));
    fake.resume(&first, "three").succeeds();
    fake.resume(&second, "four").succeeds();
    let words = ["watch", "-n", "2", "--until", "idle", "--only", "user", &second, &first];
    let text = fake.good(&words);
    let texts: Vec<&str> = text.lines().map(|row| row.split('\t').nth(4).unwrap()).collect();
    assert_eq!(texts, ["one", "two", "three", "four"], "{text}");
    let coloured = fake.good(&[&words[..], &["--color=always"]].concat());
    assert!(coloured.contains("\u{1b}[2m") && !coloured.contains('\t'), "{coloured}");
    assert_eq!(coloured.lines().count(), 4, "{coloured}");
}

#[test]
fn items_are_chosen_and_past_turns_are_printed() {
    let fake = Fake::newest();
    let id = fake.begin("one");
    fake.resume(&id, "two").succeeds();
    let rows = |words: &[&str]| -> Vec<String> {
        let text = fake.good(&[&["watch", "--until", "idle"], words].concat());
        let cells = |row: &str| row.split('\t').map(str::to_owned).collect::<Vec<_>>();
        text.lines().map(cells).map(|cells| format!("{} {}", cells[1], cells[4])).collect()
    };
    assert_eq!(rows(&[&id]), [""; 0]);
    assert_eq!(rows(&["-n1", "--only", "user,assistant", &id]), ["user two", "assistant echo: two"]);
    assert_eq!(rows(&["--only", "user", &format!("{id}:1")]), ["user one", "user two"]);
    assert_eq!(
        rows(&["--only", "assistant", &format!("{id}:1:2")]),
        ["assistant echo: one", "assistant echo: two"]
    );
    let ran = fake.tool(&["watch", "--only", "users"]);
    ran.exits(2).reports("expected roles, turn or session");
    fake.tool(&["watch", &id, "--exit-status"]).exits(2).reports("--exit-status needs --until idle");
}

#[test]
fn a_turn_whose_process_died_is_not_waited_for() {
    let fake = Fake::newest();
    let id = fake.begin("one");
    let mut codex = fake.spawn(&["exec", "--json", "resume", &id, "-"], "HANG");
    fake.wait_for_sent(2);
    let mut watch = follow(&fake, "out", &[&id, "--until", "idle", "--exit-status", "--json"]);
    assert!(watch.try_wait().unwrap().is_none(), "the turn is running");
    crash(&mut codex);
    assert_eq!(end(&mut watch), 1);
    assert_eq!(kinds(&printed(&fake, "out"), &id), ["is interrupted"]);
    // It is known at once in the next watch.
    fake.tool(&["watch", &id, "--until", "idle"]).exits(0).prints("");
    let ran = fake.tool(&["watch", &id, "--until", "idle", "--exit-status"]);
    ran.exits(1).prints("").reports(format!("session '{id}': the last turn was interrupted"));
}

#[test]
fn the_real_codex_is_followed_until_it_is_idle() {
    for version in ["0.171.0", "0.137.0"] {
        let Some(real) = Real::with_version(version) else { continue };
        for (prompt, status) in [("MS3000 hello", 0), ("MS3000 FAIL400", 1)] {
            let out = real.world.path("out");
            let mut codex = real
                .command("alpha")
                .args(["exec", "--json", "--skip-git-repo-check", prompt])
                .stdin(Stdio::null())
                .stdout(std::fs::File::create(&out).unwrap())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let said = || std::fs::read_to_string(&out).unwrap();
            wait_until(|| said().contains("turn.started"));
            let id = json(said().lines().next().unwrap())[0]["thread_id"].as_str().unwrap().to_owned();
            let mut command = real.world.command("codex-agent-watch");
            command.env("CODEX_HOME", real.world.codex_home());
            command.args([&*id, "--until", "idle", "--exit-status", "--json"]);
            let watch = command.stdout(Stdio::piped()).spawn().unwrap();
            let output = watch.wait_with_output().unwrap();
            let ended = Instant::now();
            let text = String::from_utf8(output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(status), "{version} {prompt}: {text}");
            let last = json(&text).pop().unwrap();
            let want = if status == 0 { "idle" } else { "failed" };
            assert_eq!(
                (&last["type"], &last["status"]),
                (&"session.status".into(), &want.into()),
                "{version} {text}"
            );
            codex.wait().unwrap();
            assert!(ended.elapsed() < Duration::from_secs(20), "{version}");
            let dropped = kinds(&text, &id);
            assert!(dropped.iter().any(|kind| kind.starts_with("turn ")), "{version} {text}");
        }
    }
}
