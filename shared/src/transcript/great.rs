//! The ends of transcripts, and files and lines that are greater than the memory.

use std::fs;

use serde_json::{Value, json};

use super::changes::sessions;
use super::faults::*;
use super::tests::{VERSIONS, home, read_all};
use super::*;
use crate::codex::files::Files;
use crate::record::Id;

#[test]
fn the_last_turns_are_those_of_the_whole_transcript() {
    let mut numbered = 0;
    for version in VERSIONS {
        let files = Files::walk(&home(version));
        for session in sessions(&files) {
            let id = Id::parse(&session).unwrap();
            let (all, summary) = read_all(&files, &session, Options::default());
            for count in 1..=summary.turns.min(3) {
                let mut reader =
                    Reader::last_turns_beyond(0, &files, id, None, count, Options::default()).unwrap();
                let found = rest(&mut reader);
                let from = summary.turns - count;
                // An item of an earlier turn may come late.
                let late: Vec<&Value> =
                    found.iter().filter(|one| one["turn"].is_null() && one["late"] == true).collect();
                let is_numbered = found.iter().any(|one| !one["turn"].is_null());
                numbered += usize::from(!is_numbered);
                let plain = |one: &Value| {
                    let mut one = one.clone();
                    if !is_numbered {
                        (one["turn"], one["address"]) = (Value::Null, Value::Null);
                    }
                    one
                };
                let want: Vec<Value> = all
                    .iter()
                    .filter(|one| one["turn"].as_u64().is_some_and(|turn| turn > from))
                    .map(plain)
                    .collect();
                let found: Vec<Value> = found
                    .iter()
                    .filter(|one| one["item"].is_null() && one["type"] == "turn" || !one["item"].is_null())
                    .map(plain)
                    .collect();
                assert_eq!(brief(&found), brief(&want), "{version} {session} {count} {late:?}");
                assert_eq!(found, want, "{version} {session} {count}");
            }
        }
    }
    assert!(numbered > 0);
}

#[test]
#[allow(clippy::disallowed_methods)] // A test makes the file that it reads.
fn the_end_of_a_great_file_is_read_in_bounded_time_and_memory() {
    let home = Home::new();
    let history = format!("[{}]", vec![format!("{{\"text\":\"{}\"}}", "x".repeat(1 << 20)); 18].join(","));
    let compacted = format!(
        r#"{{"timestamp":"2026-11-28T12:08:15.000Z","type":"compacted","payload":{{"message":"short","replacement_history":{history}}}}}"#
    );
    let count = |total: u64| {
        let usage =
            |input: u64| json!({ "input_tokens": input, "output_tokens": 1, "total_tokens": input + 1 });
        event(
            json!({ "type": "token_count", "info": { "total_token_usage": usage(total), "last_token_usage": usage(5) } }),
        )
    };
    let first = [
        meta(A, json!({})),
        event(json!({ "type": "task_started", "turn_id": turn(1) })),
        compacted,
        count(10),
        event(json!({ "type": "task_complete", "turn_id": turn(1), "last_agent_message": "x" })),
    ];
    let path = home.write(A, None, first.join("\n") + "\n");
    let (all, _) = home.read(A, everything());
    assert_eq!(brief(&all), ["1 compaction short", "1 completed"]);
    // A gigabyte of one line, of which the disk has nothing.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    drop(file);
    let rest_of_file = ["", &talk(2, "two"), &count(10), &talk(3, "three"), ""].join("\n");
    append(&path, rest_of_file.as_bytes());
    let files = Files::walk(home.0.path());
    let start = std::time::Instant::now();
    let mut reader = Reader::last_turns(&files, Id::parse(A).unwrap(), None, 1, Options::default()).unwrap();
    assert_eq!(brief(&rest(&mut reader)), ["- user three", "- assistant three!", "- completed"]);
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
}
