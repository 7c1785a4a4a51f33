use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::codex::rollout::{self, Depth, Ending, Turns};
use crate::ndjson::{Lines, RawLine};

fn kind(line: &str) -> LineKind<'_> {
    Line::parse(line.as_bytes()).unwrap().kind
}

pub(in crate::codex::rollout) fn rollouts(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rollouts(&path, all);
        } else if rollout::Name::parse(path.file_name().unwrap().to_str().unwrap()).is_some() {
            all.push(path);
        }
    }
}

/// Every rollout that a real Codex wrote, with the version.
fn recorded() -> Vec<(String, PathBuf)> {
    let homes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/homes");
    let mut found = Vec::new();
    for home in std::fs::read_dir(homes).unwrap().flatten() {
        let mut all = Vec::new();
        rollouts(&home.path(), &mut all);
        let version = home.file_name().to_str().unwrap().to_owned();
        found.extend(all.into_iter().map(|path| (version.clone(), path)));
    }
    assert!(found.len() > 100);
    found
}

#[test]
fn every_recorded_session_says_what_its_index_and_its_tail_say() {
    for (version, path) in recorded() {
        let place = path.display();
        let mut lines = Lines::new(rollout::open(&path).unwrap(), 32 << 10);
        let (mut users, mut agents, mut begun, mut ended, mut failed, mut aborted) = (0, 0, 0, 0, 0, 0);
        let (mut first, mut last, mut last_said, mut tools) = (None, None, None, Vec::new());
        let (mut contexts, mut metas, mut turns) = (0, 0, Turns::default());
        while let Some(line) = lines.next().unwrap() {
            let RawLine::Whole(line) = line else { panic!() };
            let line = Line::parse(line).unwrap_or_else(|| panic!("{place}"));
            assert!(line.at.is_some(), "{place}");
            turns.add(&line.kind);
            match line.kind {
                LineKind::UserMessage { text, .. } => {
                    users += 1;
                    first.get_or_insert(text.trim().to_owned());
                }
                LineKind::AgentMessage { text } => {
                    agents += 1;
                    last_said = Some(text.into_owned());
                }
                LineKind::TurnStarted => {
                    begun += 1;
                    assert!(line.turn.is_some(), "{place}");
                    last = Some(Ending::Begun);
                }
                LineKind::TurnCompleted { last_message } => {
                    ended += 1;
                    assert_eq!(last_message.as_deref(), last_said.as_deref(), "{place}");
                    last = Some(Ending::Completed);
                }
                LineKind::TurnFailed { error } => {
                    failed += 1;
                    assert!(error.is_some() && line.ordinal.is_some(), "{place}");
                    last = Some(Ending::Failed);
                }
                LineKind::TurnSilent => {
                    failed += 1;
                    assert!(turns.failed() && line.ordinal.is_none(), "{place}");
                    last = Some(Ending::Failed);
                }
                LineKind::TurnAborted { reason } => {
                    aborted += 1;
                    assert_eq!(reason.as_deref(), Some("interrupted"));
                    last = Some(Ending::Interrupted);
                }
                LineKind::ToolCall { name, text } => tools.push((name.into_owned(), text)),
                LineKind::Context { cwd, sandbox, model } => {
                    contexts += 1;
                    assert!(cwd.is_some() && sandbox.is_some() && model.is_some(), "{place}");
                }
                LineKind::Meta { id, .. } => {
                    metas += 1;
                    let of = rollout::Name::parse(path.file_name().unwrap().to_str().unwrap()).unwrap().id;
                    assert_eq!(id == Some(of), metas == 1, "{place}");
                }
                _ => {}
            }
        }
        let head = rollout::head(&path, Depth::Message).unwrap();
        assert_eq!(head.first_user_message, first, "{place}");
        let tail = rollout::tail(&path, true).unwrap();
        if begun > 0 {
            assert_eq!(tail.ending, last, "{place}");
            let open = usize::from(last == Some(Ending::Begun));
            // In 0.106 and before, a turn that was killed is followed by the next one.
            assert!(ended + failed + aborted + open <= begun, "{place}");
            assert!(users == begun, "{place}: {users} messages in {begun} turns");
        } else if users > 0 {
            let minor: u32 = version.split('.').nth(1).unwrap().parse().unwrap();
            assert!(minor < 101, "{place}");
            assert!(contexts >= users, "{place}");
        }
        assert!(agents <= users + tools.len(), "{place}");
        assert_eq!(
            metas,
            1 + usize::from(
                head.meta.forked_from.is_some() && head.meta.base.is_none() && users > 0 && metas > 1
            )
        );
        let turn = rollout::last_turn(&path).unwrap();
        assert_eq!(
            turn.error.is_some(),
            failed > 0 && last == Some(Ending::Failed) && version.as_str() >= "0.15",
            "{place}"
        );
    }
}

#[test]
fn what_the_manifests_note_is_what_the_lines_say() {
    let mut tools: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut turns: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (version, path) in recorded() {
        let manifest =
            path.ancestors().map(|above| above.join("manifest.tsv")).find(|file| file.exists()).unwrap();
        let manifest = std::fs::read_to_string(manifest).unwrap();
        let id = rollout::Name::parse(path.file_name().unwrap().to_str().unwrap()).unwrap().id.to_string();
        let Some(label) = manifest.lines().find(|line| line.contains(&id)) else { continue };
        let label = label.split('\t').next().unwrap().to_owned();
        let mut lines = Lines::new(rollout::open(&path).unwrap(), 32 << 10);
        while let Some(RawLine::Whole(line)) = lines.next().unwrap() {
            match Line::parse(line).unwrap().kind {
                LineKind::UserMessage { .. } => {
                    *turns.entry((version.clone(), label.clone())).or_default() += 1
                }
                LineKind::ToolCall { name, text } if label == "shell" => {
                    tools.entry(version.clone()).or_default().push((name.into_owned(), text));
                }
                _ => {}
            }
        }
    }
    for version in [
        "0.45.0", "0.77.0", "0.92.0", "0.101.0", "0.106.0", "0.120.0", "0.137.0", "0.150.0", "0.169.0",
        "0.171.0",
    ] {
        assert_eq!(turns[&(version.to_owned(), "login".to_owned())], 3, "{version}");
        assert_eq!(turns[&(version.to_owned(), "readme".to_owned())], 2, "{version}");
        assert_eq!(tools[version], [("command_execution".to_owned(), "ls -1".to_owned())], "{version}");
    }
}

#[test]
fn tools_are_told_in_one_line() {
    let call = |payload: &str| match kind(&format!(r#"{{"type":"response_item","payload":{payload}}}"#)) {
        LineKind::ToolCall { name, text } => (name.into_owned(), text),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        call(
            r#"{"type":"local_shell_call","call_id":"c","action":{"type":"exec","command":["bash","-lc","a\n b"]}}"#
        ),
        ("command_execution".to_owned(), "a b".to_owned())
    );
    assert_eq!(
        call(
            r#"{"type":"custom_tool_call","name":"apply_patch","input":"*** Begin Patch\n*** Add File: a.rs\n+x\n*** Update File: b.rs\n*** End Patch"}"#
        ),
        ("file_change".to_owned(), "a.rs b.rs".to_owned())
    );
    assert_eq!(
        call(r#"{"type":"function_call","name":"update_plan","arguments":"{\"plan\":[]}"}"#),
        ("update_plan".to_owned(), "{\"plan\":[]}".to_owned())
    );
    let long = format!(
        r#"{{"type":"function_call","name":"shell","arguments":"{{\"command\":\"{}\"}}"}}"#,
        "é".repeat(9000)
    );
    assert_eq!(call(&long).1, "é".repeat(200) + "…");
    // A paginated session tells its calls as items.
    let copy = r#"{"ordinal":9,"type":"response_item","payload":{"type":"function_call","name":"shell","arguments":"{}"}}"#;
    assert_eq!(kind(copy), LineKind::Other);
    let item = r#"{"ordinal":9,"type":"event_msg","payload":{"type":"item_completed","turn_id":"t","item":{"type":"FileChange","id":"i","changes":{"a":{},"b":{}}}}}"#;
    let line = Line::parse(item.as_bytes()).unwrap();
    assert_eq!(line.kind, LineKind::ToolCall { name: "file_change".into(), text: "a b".into() });
    assert_eq!((line.turn.as_deref(), line.item.as_deref(), line.ordinal), (Some("t"), Some("i"), Some(9)));
}

#[test]
fn odd_shapes_cost_no_more_than_themselves() {
    for other in [
        r#"{"type":"event_msg","payload":{"type":"user_message","message":{"a":1}}}"#,
        r#"{"type":"event_msg","payload":"text"}"#,
        r#"{"type":"event_msg"}"#,
        r#"{"type":"never_seen","payload":{"type":"user_message","message":"x"}}"#,
        r#"{"type":"event_msg","payload":{"type":"item_completed","item":{"type":"Reasoning","id":"r"}}}"#,
        r#"{"type":"response_item","payload":{"type":"message","role":"developer","content":[{"type":"input_text","text":"x"}]}}"#,
    ] {
        assert_eq!(kind(other), LineKind::Other, "{other}");
    }
    for broken in ["", "{", "[]", "{\"type\":1}", "\u{0}"] {
        assert_eq!(Line::parse(broken.as_bytes()), None, "{broken}");
    }
    let odd = r#"{"timestamp":5,"ordinal":-1,"type":"event_msg","payload":{"type":"turn_complete","turn_id":7,"last_agent_message":"m","error":null}}"#;
    let line = Line::parse(odd.as_bytes()).unwrap();
    assert_eq!((line.at, line.ordinal, line.turn), (None, None, None));
    assert_eq!(line.kind, LineKind::TurnCompleted { last_message: Some("m".into()) });
    let failed = r#"{"type":"event_msg","payload":{"type":"task_complete","error":{"message":"m","codex_error_info":{"a":1}}}}"#;
    let error = TurnError { message: Some("m".into()), info: Some(serde_json::json!({"a": 1})) };
    assert_eq!(kind(failed), LineKind::TurnFailed { error: Some(error) });
    let rolled = r#"{"type":"event_msg","payload":{"type":"thread_rolled_back","num_turns":2}}"#;
    assert_eq!(kind(rolled), LineKind::RolledBack { turns: 2 });
    let pictured = r#"{"type":"event_msg","payload":{"type":"user_message","message":"m","images":["a"],"local_images":["b"]}}"#;
    assert_eq!(kind(pictured), LineKind::UserMessage { text: "m".into(), images: 2 });
}

#[test]
fn a_line_that_is_too_long_tells_its_beginning() {
    let lines = [
        r#"{"timestamp":"2026-11-22T10:00:00.000Z","type":"event_msg","payload":{"type":"user_message","message":"#,
        r#"{"timestamp":"2026-11-22T10:00:00.000Z","ordinal":8,"type":"event_msg","payload":{"type":"item_completed","turn_id":"t","item":{"type":"UserMessage","id":"i","content":[{"type":"text","text":"#,
    ];
    for start in lines {
        // Whole, and then something huge; cut in the middle of a character or of an escape.
        for (rest, want) in [
            ("\"a \\\"b\",\"images\":[\"data:", "a \"b"),
            ("\"abc", "abc…"),
            ("\"ab\\u00", "ab…"),
            ("\"ab\\ud83d\\ude", "ab…"),
        ] {
            let line = format!("{start}{rest}");
            let line = Line::of_beginning(line.as_bytes());
            assert_eq!(line.kind, LineKind::UserMessage { text: want.into(), images: 0 });
            assert!(line.at.is_some());
        }
        let line = [start.as_bytes(), "\"é".as_bytes().split_last().unwrap().1].concat();
        assert_eq!(Line::of_beginning(&line).kind, LineKind::UserMessage { text: "…".into(), images: 0 });
    }
    assert_eq!(
        Line::of_beginning(br#"{"type":"response_item","payload":{"type":"message""#).kind,
        LineKind::Other
    );
    assert_eq!(Line::of_beginning(b"\xff\xfe").kind, LineKind::Other);
}
