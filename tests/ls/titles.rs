//! The titles of sessions whose first message has an unusual form.

use serde_json::{Value, json};

use crate::world::{World, copy, data, json as records};

const ID: &str = "01a2224d-33b7-78a2-86df-f3b02c66dd59";

const FILE: &str =
    "home/.codex/sessions/2026/11/28/rollout-2026-11-28T13-16-54-01a2224d-33b7-78a2-86df-f3b02c66dd59.jsonl";

/// A rollout of `legacy` lines, or of lines with ordinals.
pub fn rollout(lines: &[(&str, Value)], paginated: bool) -> String {
    let mode = if paginated { "paginated" } else { "legacy" };
    let meta = json!({"id": ID, "timestamp": "2026-11-28T13:16:54.000Z", "cwd": "/p", "originator": "codex_exec",
        "cli_version": "0.171.0", "source": "exec", "history_mode": mode});
    let all = std::iter::once(("session_meta", meta)).chain(lines.iter().cloned());
    let line = |(at, (kind, payload)): (usize, (&str, Value))| {
        let time = format!("2026-11-28T13:16:{:02}.000Z", (54 + at).min(59));
        let mut line = json!({"timestamp": time, "type": kind, "payload": payload});
        if paginated {
            line["ordinal"] = json!(at);
        }
        format!("{line}\n")
    };
    all.enumerate().map(line).collect()
}

fn event(kind: &str, mut payload: Value) -> (&'static str, Value) {
    payload["type"] = json!(kind);
    ("event_msg", payload)
}

/// The model's copy of a message in the user's name.
fn copied(parts: &[&str], kinds: Option<&[&str]>) -> (&'static str, Value) {
    let content: Vec<Value> = parts.iter().map(|text| json!({"type": "input_text", "text": text})).collect();
    let mut item = json!({"type": "message", "role": "user", "content": content});
    if let Some(kinds) = kinds {
        item["internal_chat_message_metadata_passthrough"] = json!({"content_item_kinds": kinds});
    }
    ("response_item", item)
}

fn listed(world: &World, more: &[&str]) -> Value {
    let mut words = vec!["codex-agent-ls", "--json"];
    words.extend(more);
    let ran = world.run(&words);
    ran.succeeds().reports_exactly("");
    let mut found = records(&ran.out);
    assert_eq!(found.len(), 1, "{}", ran.out);
    found.remove(0)
}

const ENVIRONMENT: &str = "<environment_context>\n  <cwd>/p</cwd>\n</environment_context>";

const AGENTS: &str = "# AGENTS.md instructions for /p\n\n<INSTRUCTIONS>\nAnswer.\n</INSTRUCTIONS>";

#[test]
fn sessions_of_the_oldest_format_are_listed_and_not_resumed() {
    let mut world = World::new();
    let old = |id: &str, more: &[Value]| {
        let mut lines = vec![
            json!({"id": id, "timestamp": "2025-08-13T10:00:00.000Z", "instructions": "x".repeat(9000),
                "git": {"commit_hash": "abc", "branch": "main", "repository_url": "https://example.com/a.git"}}),
            json!({"record_type": "state"}),
        ];
        lines.extend_from_slice(more);
        lines.iter().map(|line| format!("{line}\n")).collect::<String>()
    };
    let said = |role: &str, kind: &str, text: &str| json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]});
    std::fs::create_dir(world.path("work")).unwrap();
    let work = world.path("work").display().to_string();
    let environment =
        format!("<environment_context>\nCurrent working directory: {work}\n</environment_context>");
    // A home of today with one session of long ago: Codex has no row for it.
    copy(&data("homes/0.171.0"), &world.codex_home());
    let before = world.ok(&["codex-agent-ls", "--archived", "--count"]);
    let file = "home/.codex/sessions/2025/08/13/rollout-2025-08-13T10-00-00-0198a2df-4d0c-7000-8000-000000000001.jsonl";
    let id = "0198a2df-4d0c-7000-8000-000000000001";
    world.write(
        file,
        old(
            id,
            &[
                said("user", "input_text", &environment),
                said("user", "input_text", "Old question"),
                json!({"record_type": "state"}),
                json!({"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "c"}),
                json!({"type": "function_call_output", "call_id": "c", "output": "x"}),
                said("assistant", "output_text", "Old answer"),
            ],
        ),
    );
    for source in [&[][..], &["--no-database"]] {
        let mut words = vec!["codex-agent-ls", "--archived", "--full", "--json"];
        words.extend(source);
        let ran = world.run(&words);
        ran.case(source).succeeds().reports_exactly("");
        let session = records(&ran.out).into_iter().find(|session| session["id"] == id).unwrap();
        assert_eq!(session["title"], "Old question");
        assert_eq!(session["first_user_message"], "Old question");
        assert_eq!(session["created_at"], "2025-08-13T10:00:00.000Z");
        assert_eq!(session["updated_at"], "2025-08-13T10:00:00.000Z");
        assert_eq!(session["cwd"], work);
        assert_eq!(session["history"], "bare");
        assert_eq!(session["git"]["branch"], "main");
        assert_eq!(session["git"]["sha"], "abc");
        assert_eq!((&session["status"], &session["resume_command"]), (&json!("idle"), &Value::Null));
    }
    let count = |words: &[&str]| world.ok(words).trim().parse::<usize>().unwrap();
    assert_eq!(
        count(&["codex-agent-ls", "--archived", "--count"]),
        before.trim().parse::<usize>().unwrap() + 1
    );
    assert_eq!(count(&["codex-agent-ls", "--archived", "--cwd", &work, "--count"]), 1);
    // The newest is another one.
    assert!(!world.ok(&["codex-agent-ls", "-n", "1"]).contains("Old question"));
    // Nothing resumes it, nothing forks it, and the reason is named.
    let codex =
        world.script("codex", "#!/bin/sh\necho codex-cli 0.171.0\necho \"$@\" >> \"$HOME/started\"\n");
    world.set("CODEX_AGENT_CODEX", codex.to_str().unwrap());
    for words in
        [&["codex-agent-resume", id][..], &["codex-agent-resume", id, "--print"], &["codex-agent-fork", id]]
    {
        let ran = world.run(words);
        assert_ne!(ran.code, 0, "{words:?}");
        ran.reports("before September 2025").reports(id);
    }
    let ran = world.run(&["codex-agent-resume", id, "--prompt", "Again"]);
    assert_ne!(ran.code, 0);
    assert!(format!("{}{}", ran.out, ran.err).contains("before September 2025"), "{}{}", ran.out, ran.err);
    assert!(
        !world.path("home/started").exists()
            || !std::fs::read_to_string(world.path("home/started")).unwrap().contains("exec")
    );
    let check = world.run(&["codex-agent-ls", "--check", "--json"]);
    let problems = records(&check.out);
    let of_it: Vec<&Value> = problems.iter().filter(|problem| problem["id"] == id).collect();
    let words: Vec<&str> = of_it.iter().map(|problem| problem["problem"].as_str().unwrap()).collect();
    assert_eq!(words, ["file_without_row", "not_resumable"]);
    assert_eq!(of_it[0]["detail"], "no command of Codex writes the row again");
    assert!(of_it[1]["detail"].as_str().unwrap().contains("before September 2025"));
}

#[test]
fn a_session_that_a_goal_began_has_the_goal_as_title() {
    let internal = "<codex_internal_context source=\"goal\">\nContinue.\n</codex_internal_context>";
    let set = event("thread_goal_updated", json!({"goal": {"objective": "Ship the parser\nwith tests"}}));
    let typed = event("user_message", json!({"message": "Say it in French"}));
    let cases = [
        (vec![set.clone(), copied(&[internal], None)], "goal: Ship the parser\nwith tests", None),
        (vec![copied(&["<goal_context>\nShip it\n</goal_context>"], None)], "goal: Ship it", None),
        (
            vec![copied(
                &[
                    "<codex_internal_context source=\"goal\">\n<objective>Ship it</objective>\n</codex_internal_context>",
                ],
                None,
            )],
            "goal: Ship it",
            None,
        ),
        (vec![copied(&[internal], None)], "goal:", None),
        (vec![set.clone(), copied(&[internal], None), typed], "Say it in French", Some("Say it in French")),
    ];
    for (lines, title, first) in cases {
        for paginated in [false, true] {
            let world = World::new();
            world.write(FILE, rollout(&lines, paginated));
            let session = listed(&world, &[]);
            assert_eq!(session["title"], title);
            assert_eq!(session["first_user_message"].as_str(), first);
            // So it is where the row is empty, as Codex leaves it, and its words are found.
            let world = World::with_home("0.171.0");
            let sessions = records(&world.ok(&["codex-agent-ls", "--json", "-n", "1", "--full"]));
            let (id, path) =
                (sessions[0]["id"].as_str().unwrap(), sessions[0]["rollout_path"].as_str().unwrap());
            std::fs::write(path, rollout(&lines, paginated).replace(ID, id)).unwrap();
            let sql =
                format!("UPDATE threads SET title='', first_user_message='', preview='' WHERE id='{id}'");
            rusqlite::Connection::open(world.codex_home().join("state_5.sqlite"))
                .unwrap()
                .execute(&sql, [])
                .unwrap();
            let session = &records(&world.ok(&["codex-agent-ls", "--json", "-n", "1"]))[0];
            assert_eq!((session["id"].as_str(), session["title"].as_str()), (Some(id), Some(title)));
            let found = world.ok(&["codex-agent-find", "--json", id]);
            assert_eq!(records(&found)[0]["title"], title);
            let words = if first.is_some() { "french" } else { "goal:" };
            assert!(world.ok(&["codex-agent-find", words]).contains(id));
        }
    }
}

/// Of what the script of the recording said, the first task of each subagent, whose row has no title.
#[test]
fn a_subagent_without_a_message_has_its_path_and_its_task_as_title() {
    for version in ["0.169.0", "0.171.0"] {
        let folder = format!("transcripts/{version}");
        let expected = records(&std::fs::read_to_string(data(&format!("{folder}/expect.ndjson"))).unwrap());
        let world = World::new();
        copy(&data(&folder), &world.codex_home());
        for more in [&[][..], &["--full"], &["--no-database"]] {
            let words = [&["codex-agent-ls", "--json", "--subagents"], more].concat();
            let sessions = records(&world.ok(&words));
            for (label, path) in [("agent-child", "/root/explore"), ("context-child", "/root/look")] {
                let is_task = |one: &&Value| one["label"] == label && one["action"] == "task";
                let task = expected.iter().find(is_task).unwrap();
                let session = sessions.iter().find(|one| one["id"] == task["session"]).unwrap();
                let title = format!("{path}: {}", task["text"].as_str().unwrap());
                assert_eq!(
                    (&session["title"], &session["first_user_message"]),
                    (&json!(title), &Value::Null)
                );
                assert!(!session["subagent"].is_null());
                let found = world.ok(&["codex-agent-find", "--json", session["id"].as_str().unwrap()]);
                assert_eq!(records(&found)[0]["title"], title);
                let table = world.ok(&["codex-agent-ls", "--subagents"]);
                assert!(table.lines().any(|line| line.contains(&title)), "{table}");
            }
        }
    }
}

#[test]
fn a_task_that_is_encrypted_leaves_the_path() {
    let task = |payload: Value| {
        let head =
            json!({"type": "input_text", "text": "Message Type: NEW_TASK\nTask name: /root/a\nPayload:\n"});
        let item = json!({"type": "agent_message", "author": "/root", "recipient": "/root/a", "content": [head, payload]});
        ("response_item", item)
    };
    let token = "gAAAAABpKc".repeat(9);
    let encrypted = task(json!({"type": "encrypted_content", "encrypted_content": token}));
    let clear = task(json!({"type": "encrypted_content", "encrypted_content": "Read\nthe tests "}));
    let typed = event("user_message", json!({"message": "Stop"}));
    let source = r#""source":{"subagent":{"thread_spawn":{}}},"agent_path":"/root/a""#;
    for (lines, title, first) in [
        (vec![encrypted.clone(), clear.clone()], "/root/a", None),
        (vec![clear.clone(), typed.clone()], "/root/a: Read\nthe tests", None),
        (vec![typed, clear.clone()], "Stop", Some("Stop")),
    ] {
        let world = World::new();
        world.write(FILE, rollout(&lines, true).replace(r#""source":"exec""#, source));
        let session = listed(&world, &["--subagents"]);
        assert_eq!((session["title"].as_str(), session["first_user_message"].as_str()), (Some(title), first));
    }
    // No other session is given tasks.
    let world = World::new();
    world.write(FILE, rollout(&[clear], true));
    assert_eq!(listed(&world, &[])["title"], Value::Null);
}

#[test]
fn messages_that_codex_wrote_as_the_user_are_no_title() {
    let aborted = "<turn_aborted>\nThe user interrupted.\n</turn_aborted>";
    let notice = "<subagent_notification>\n{}\n</subagent_notification>";
    let editor = "# Context from my IDE setup:\n\n## Active file: a.rs\n\n## My request for Codex:\nFix it\n";
    let blocks = [ENVIRONMENT, AGENTS, aborted, notice, "<user_instructions>\nx\n</user_instructions>"];
    let both = |lines: &[(&'static str, Value)], want: Option<&str>| {
        for paginated in [false, true] {
            let world = World::new();
            world.write(FILE, rollout(lines, paginated));
            let session = listed(&world, &[]);
            assert_eq!(session["title"].as_str(), want, "{lines:?}");
            assert_eq!(session["first_user_message"].as_str(), want, "{lines:?}");
        }
    };
    for block in blocks {
        both(&[copied(&[block], None)], None);
        both(&[copied(&[block], None), copied(&["Fix it"], None)], Some("Fix it"));
        both(&[copied(&[block, "Fix it"], None)], Some("Fix it"));
        both(&[copied(&[&format!("{block}\n\nFix it")], None)], Some("Fix it"));
        both(&[copied(&[block, editor], None)], Some("Fix it"));
        // Codex records which of the texts was typed.
        let kinds = ["environments.environment_context", "user.text"];
        both(&[copied(&["Not said", "Fix it"], Some(&kinds))], Some("Fix it"));
        both(&[event("user_message", json!({"message": format!("{block}\nFix it")}))], Some("Fix it"));
    }
    both(&[copied(&["<image name=[Image #1]>", "</image>", "Look at it"], None)], Some("Look at it"));
    // In a row, too.
    let world = World::with_home("0.171.0");
    let before = records(&world.ok(&["codex-agent-ls", "--json", "-n", "1"]))[0].clone();
    let (id, title) = (before["id"].as_str().unwrap(), before["title"].as_str().unwrap().to_owned());
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    for block in blocks {
        let put = |text: &str| {
            let sql = "UPDATE threads SET title=?1, first_user_message=?1 WHERE id=?2";
            database.execute(sql, [text, id]).unwrap();
            records(&world.ok(&["codex-agent-ls", "--json", "-n", "1"]))[0]["title"].clone()
        };
        assert_eq!(put(&format!("{block}\nFix it")), "Fix it");
        // Where nothing else is in it, the rollout has the words.
        assert_eq!(put(block), title.as_str());
    }
}

#[test]
fn a_prompt_that_only_the_model_input_has_is_a_title() {
    let started = |turn: &str| event("task_started", json!({"turn_id": turn}));
    let ended = |turn: &str| event("task_complete", json!({"turn_id": turn, "last_agent_message": "x"}));
    let said = |text: &str, paginated: bool| match paginated {
        true => event(
            "item_completed",
            json!({"item": {"type": "UserMessage", "content": [{"type": "text", "text": text}]}}),
        ),
        false => event("user_message", json!({"message": text})),
    };
    for paginated in [false, true] {
        let only = |lines: &[(&'static str, Value)]| {
            let world = World::new();
            world.write(FILE, rollout(lines, paginated));
            listed(&world, &[])["title"].clone()
        };
        let copy = |text: &str| copied(&[text], None);
        // The turn has no other line of it.
        assert_eq!(
            only(&[started("a"), copy("One"), ended("a"), started("b"), copy("Two"), said("Two", paginated)]),
            "One"
        );
        assert_eq!(only(&[started("a"), copy("One")]), "One");
        assert_eq!(only(&[started("a"), copy("One"), started("b"), said("Two", paginated)]), "One");
        // With such a message only that one counts, whichever came first.
        assert_eq!(
            only(&[started("a"), copy("Not typed"), copy("One"), said("One", paginated), ended("a")]),
            "One"
        );
        assert_eq!(only(&[started("a"), said("One", paginated), copy("Not typed"), ended("a")]), "One");
    }
}

#[test]
fn titles_never_come_from_codexs_projection() {
    let world = World::with_home("0.171.0");
    let before = world.ok(&["codex-agent-ls", "--archived", "--full", "--json"]);
    let path = world.codex_home().join("thread_history_1.sqlite");
    let database = rusqlite::Connection::open(&path).unwrap();
    let tables: Vec<String> = {
        let mut tables = database
            .prepare("SELECT name FROM sqlite_master WHERE type='table' AND name LIKE 'thread%'")
            .unwrap();
        tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert!(tables.iter().any(|table| table == "thread_turns"), "{tables:?}");
    for table in tables {
        database.execute(&format!("DELETE FROM {table}"), []).unwrap();
    }
    drop(database);
    assert_eq!(world.ok(&["codex-agent-ls", "--archived", "--full", "--json"]), before);
    std::fs::write(&path, "garbage").unwrap();
    let ran = world.run(&["codex-agent-ls", "--archived", "--full", "--json"]);
    ran.prints(before.as_str()).reports_exactly("");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(world.ok(&["codex-agent-ls", "--archived", "--full", "--json"]), before);
}
