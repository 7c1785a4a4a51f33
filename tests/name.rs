//! Names: which a session may get, and which mean no single session.

use std::os::unix::fs::PermissionsExt;

use crate::world::fake::Fake;
use crate::world::{World, json};

/// Two sessions of one home, the later one first.
const LATER: &str = "01a202e0-9b5e-7a92-b876-f321a38a6c50";
const LOGIN: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";

#[test]
fn a_name_that_is_a_reference_to_something_else_is_refused() {
    let fake = Fake::newest();
    let (one, two) = (fake.begin("one"), fake.begin("two"));
    let before = fake.0.snapshot();
    let upper = two.to_uppercase();
    let digits = two.replace('-', "");
    let nowhere = "01a202e0-0000-7000-8000-000000000000";
    let random = "58ba2991-d49e-4cd1-8c09-7e46e5b6f123";
    let padded = format!(" {two} ");
    let rollout = format!("rollout-2026-11-22T10-50-00-{two}.jsonl");
    for name in [
        &two,
        &one,
        &upper,
        &digits,
        nowhere,
        random,
        &padded,
        &rollout,
        "@",
        "@@",
        "@2",
        "@x",
        "-",
        "-n",
        "id:abcd",
        "name:work",
        "x.jsonl.zst",
    ] {
        for words in [&["name", &one, "--", name][..], &["fork", &one, &format!("--name={name}")]] {
            let ran = fake.tool(words);
            ran.exits(2).prints("");
            let want = format!("a session cannot be named '{}'", name.trim());
            ran.reports(&want).reports("are references");
        }
    }
    assert_eq!(fake.0.snapshot(), before);
    // A part of an id may be a word, and so it is a name.
    for name in ["decade", "added facade", "a@b", "x-y", "the .jsonl reader", "v2"] {
        fake.tool(&["name", &one, name]).case(name).succeeds();
        let found = fake.good(&["find", name, "--fields", "id"]);
        assert_eq!(found.trim(), one, "{name}");
    }
}

/// Codex 0.171 names sessions itself, and so several have one name.
#[test]
fn a_name_of_several_sessions_means_none_of_them_and_the_hint_has_the_newest() {
    for no_database in [false, true] {
        let world = World::with_home("0.169.0");
        let both = format!("UPDATE threads SET name = 'Fix parser' WHERE id IN ('{LOGIN}', '{LATER}')");
        let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
        assert_eq!(database.execute(&both, []).unwrap(), 2);
        drop(database);
        let line =
            |id: &str| format!("{{\"id\":\"{id}\",\"thread_name\":\"Fix parser\",\"updated_at\":\"x\"}}\n");
        // The newest is the first in the file of names, so that its order is not what counts.
        world.write("home/.codex/session_index.jsonl", line(LATER) + &line(LOGIN));
        let newest = json(&world.ok(&["codex-agent-find", "--last", "Fix parser", "--json"])).remove(0);
        assert_eq!(newest["id"], LATER);
        let codex = world.script("codex", "#!/bin/sh\necho codex-cli 0.171.0\n");
        assert_eq!(codex.metadata().unwrap().permissions().mode() & 0o111, 0o111);
        let before = world.snapshot();
        for tool in [
            &["find", "--one", "Fix parser"][..],
            &["find", "--one", "name:Fix parser"],
            &["name", "Fix parser", "other"],
            &["fork", "Fix parser"],
            &["resume", "Fix parser"],
            &["resume", "Fix parser", "--prompt", "x"],
            &["group", "add", "g", "Fix parser"],
            &["ls", "--forks-of", "Fix parser"],
        ] {
            let has_sources = matches!(tool[0], "find" | "ls");
            if no_database && !has_sources {
                continue;
            }
            let mut words = vec![format!("codex-agent-{}", tool[0])];
            words.extend(tool[1..].iter().map(|word| (*word).to_owned()));
            if no_database {
                words.push("--no-database".to_owned());
            }
            let mut command = world.command(&words[0]);
            command.args(&words[1..]).env("CODEX_AGENT_CODEX", &codex);
            let output = command.output().unwrap();
            let err = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{words:?}: {err}");
            assert!(
                output.stdout.is_empty() && err.contains("ambiguous reference 'Fix parser'")
                    || err.contains("ambiguous reference 'name:Fix parser'"),
                "{words:?}: {err}"
            );
            // Like the times above it, this one is in UTC.
            let newest = format!("the newest is {LATER}, of 2026-11-22T10:50:04");
            assert!(err.contains(&newest), "{words:?}: {err}");
            let (first, second) = (err.find(LATER), err.find(LOGIN));
            assert!(first.is_some() && first < second, "{words:?}: {err}");
        }
        assert_eq!(world.snapshot(), before);
        assert_eq!(world.ok(&["codex-agent-find", "a38a6c50", "--fields", "id"]).trim(), LATER);
    }
}
