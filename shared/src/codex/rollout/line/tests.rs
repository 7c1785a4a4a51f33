use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::codex::rollout::{self, Depth, Ending, Name, Turns};
use crate::ndjson::{Lines, RawLine};
use crate::record::Id;

fn kind(line: &str) -> LineKind {
    LineKind::read(line.as_bytes()).unwrap()
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
        let (mut users, mut begun, mut ended, mut failed, mut aborted) = (0, 0, 0, 0, 0);
        let (mut first, mut last, mut last_said) = (None, None, None);
        let (mut contexts, mut metas, mut turns) = (0, 0, Turns::default());
        while let Some(line) = lines.next().unwrap() {
            let RawLine::Whole(line) = line else { panic!() };
            let of = |line: &Line<'_>| {
                assert!(line.at().is_some(), "{place}");
                (line.fields.turn_id.is_some(), line.ordinal.is_some(), LineKind::of(line), {
                    (line.kind == "session_meta")
                        .then(|| string(line.fields.id).and_then(|id| Id::parse(&id)))
                })
            };
            let (has_turn, has_ordinal, kind, meta) =
                Line::read(line, of).unwrap_or_else(|| panic!("{place}"));
            if let Some(id) = meta {
                metas += 1;
                let own = Name::parse(path.file_name().unwrap().to_str().unwrap()).unwrap().id;
                assert_eq!(id == Some(own), metas == 1, "{place}");
            }
            let failed_silently = turns.failed();
            turns.add(&kind);
            match kind {
                LineKind::UserMessage { text, .. } => {
                    users += 1;
                    first.get_or_insert(text.trim().to_owned());
                }
                LineKind::AgentMessage { text } => {
                    last_said = Some(text);
                }
                LineKind::TurnStarted => {
                    begun += 1;
                    assert!(has_turn, "{place}");
                    last = Some(Ending::Begun);
                }
                LineKind::TurnCompleted => {
                    ended += 1;
                    assert!(last_said.is_some(), "{place}");
                    last = Some(Ending::Completed);
                }
                LineKind::TurnFailed { error } => {
                    failed += 1;
                    assert!(error.message.is_some() && has_ordinal, "{place}");
                    last = Some(Ending::Failed);
                }
                LineKind::TurnSilent => {
                    failed += 1;
                    assert!(failed_silently && !has_ordinal, "{place}");
                    last = Some(Ending::Failed);
                }
                LineKind::TurnAborted => {
                    aborted += 1;
                    last = Some(Ending::Interrupted);
                }
                LineKind::Context { cwd, sandbox, model } => {
                    contexts += 1;
                    assert!(cwd.is_some() && sandbox.is_some() && model.is_some(), "{place}");
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
            if matches!(LineKind::read(line).unwrap(), LineKind::UserMessage { .. }) {
                *turns.entry((version.clone(), label.clone())).or_default() += 1;
            }
        }
    }
    for version in [
        "0.45.0", "0.77.0", "0.92.0", "0.101.0", "0.106.0", "0.120.0", "0.137.0", "0.150.0", "0.169.0",
        "0.171.0",
    ] {
        assert_eq!(turns[&(version.to_owned(), "login".to_owned())], 3, "{version}");
        assert_eq!(turns[&(version.to_owned(), "readme".to_owned())], 2, "{version}");
    }
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
    for broken in ["", "{", "[]", "7", "\u{0}"] {
        assert_eq!(LineKind::read(broken.as_bytes()), None, "{broken}");
    }
    let odd = r#"{"timestamp":5,"ordinal":-1,"type":"event_msg","payload":{"type":"turn_complete","turn_id":7,"last_agent_message":"m","error":null}}"#;
    assert_eq!(kind(odd), LineKind::TurnCompleted);
    Line::read(odd.as_bytes(), |line| assert_eq!((line.at(), line.ordinal), (None, None))).unwrap();
    let failed = r#"{"type":"event_msg","payload":{"type":"task_complete","error":{"message":"m","codex_error_info":{"a":1}}}}"#;
    let error = TurnError { message: Some("m".into()), info: Some(serde_json::json!({"a": 1})) };
    assert_eq!(kind(failed), LineKind::TurnFailed { error });
    let rolled = r#"{"type":"event_msg","payload":{"type":"thread_rolled_back","num_turns":2}}"#;
    assert_eq!(kind(rolled), LineKind::RolledBack { turns: 2 });
    let pictured = r#"{"type":"event_msg","payload":{"type":"user_message","message":"m","images":["a"],"local_images":["b"]}}"#;
    assert_eq!(kind(pictured), LineKind::UserMessage { text: "m".into(), images: 2 });
    // A damaged text is read like any other.
    let damaged = [pictured.as_bytes(), b"\0\0\n"].concat();
    assert_eq!(LineKind::read(&damaged), Some(kind(pictured)));
    let damaged = String::from_utf8_lossy(&damaged).replace("\"m\"", "\"@\"").into_bytes();
    let damaged: Vec<u8> = damaged.into_iter().map(|byte| if byte == b'@' { 0xff } else { byte }).collect();
    assert_eq!(LineKind::read(&damaged), Some(LineKind::UserMessage { text: "\u{fffd}".into(), images: 2 }));
}
