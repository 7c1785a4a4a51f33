//! The records of recorded homes equal those that the script of the recording expects, item by item.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::codex::files::Files;
use crate::record::Id;

pub(super) const VERSIONS: [&str; 4] = ["0.106.0", "0.137.0", "0.169.0", "0.171.0"];

pub(super) fn home(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/transcripts").join(version)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The records of a session, and the numbers about it.
pub(super) fn read_all(files: &Files, session: &str, options: Options) -> (Vec<Value>, Summary) {
    let mut reader = Reader::of_session(files, Id::parse(session).unwrap(), None, options).unwrap();
    let mut all = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        all.push(serde_json::to_value(&record).unwrap());
    }
    assert_eq!(reader.problems(), []);
    assert_eq!((reader.summary().unknown_lines, reader.summary().invalid_lines), (0, 0), "{session}");
    (all, reader.summary().clone())
}

fn all_options() -> Options {
    Options { undone: true, copied: true, live: false }
}

/// What is wrong with a record, by the keys of the expected one.
fn difference(found: &Value, want: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, want) in want.as_object().unwrap() {
        let own = match key.as_str() {
            "session" | "turn" | "item" => key.as_str(),
            "label" => continue,
            "exit" => "exit_code",
            "text_prefix" => {
                let starts =
                    found["text"].as_str().is_some_and(|text| text.starts_with(want.as_str().unwrap()));
                if !starts {
                    wrong.push(format!("{key}: {}", found["text"]));
                }
                continue;
            }
            key => key,
        };
        let is_right = match (key.as_str(), want) {
            ("exit", Value::Array(any)) => any.contains(&found[own]),
            _ => found[own] == *want,
        };
        if !is_right {
            wrong.push(format!("{own}: {}, not {want}", found[own]));
        }
    }
    // What the script does not mention is not there.
    if want["role"].is_string() {
        for (key, nothing) in [("late", json!(false)), ("undone", json!(false)), ("inherited", Value::Null)] {
            if want.get(key).is_none() && !nothing.is_null() && found[key] != nothing {
                wrong.push(format!("{key}: {}", found[key]));
            }
        }
        if want.get("by").is_none() && found["by"] == "user" {
            wrong.push("by the user".to_owned());
        }
        if want.get("failed").is_none() && found["failed"] == true && want["role"] != "script" {
            wrong.push("failed".to_owned());
        }
        let has_text =
            want.get("text").is_some() || want.get("text_prefix").is_some() || want["role"] == "patch";
        if !has_text && !found["text"].is_null() {
            wrong.push(format!("text: {}", found["text"]));
        }
    }
    wrong
}

#[test]
fn the_records_are_those_of_the_script() {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for version in VERSIONS {
        let files = Files::walk(&home(version));
        let mut sessions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for line in lines(&home(version).join("expect.ndjson")) {
            sessions.entry(line["session"].as_str().unwrap().to_owned()).or_default().push(line);
        }
        for (session, wants) in sessions {
            let (all, summary) = read_all(&files, &session, all_options());
            let label = wants[0]["label"].as_str().unwrap();
            let standing = |record: &&Value| !record["turn"].is_null();
            let found: BTreeMap<(u64, u64), &Value> = all
                .iter()
                .filter(standing)
                .map(|record| {
                    ((record["turn"].as_u64().unwrap(), record["item"].as_u64().unwrap_or(0)), record)
                })
                .collect();
            assert_eq!(
                found.len(),
                all.iter().filter(standing).count(),
                "{version} {label}: a record came twice"
            );
            let mut left: BTreeMap<_, _> = found.clone();
            for want in &wants {
                compared += 1;
                let key = (want["turn"].as_u64(), want["item"].as_u64());
                let problem = match key {
                    (Some(turn), item) => {
                        let place = (turn, item.unwrap_or(0));
                        left.remove(&place);
                        match found.get(&place) {
                            Some(found) => difference(found, want),
                            None => vec!["absent".to_owned()],
                        }
                    }
                    _ if !want["turns"].is_null() => equal(&want["turns"], &json!(summary.turns)),
                    _ if !want["own_turns"].is_null() => equal(&want["own_turns"], &json!(summary.own_turns)),
                    _ if !want["inherited"].is_null() => {
                        equal(&want["inherited"], &json!(summary.copied_turns))
                    }
                    _ => {
                        let undone = all.iter().filter(|one| one["undone"] == true && one["role"] == "user");
                        equal(&want["undone"], &undone.map(|one| one["text"].clone()).collect())
                    }
                };
                if !problem.is_empty() {
                    wrong.push(format!("{version} {label} {}: {problem:?}", short(want)));
                }
            }
            wrong.extend(left.values().map(|record| format!("{version} {label}: also {}", short(record))));
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 1000, "{compared}");
}

fn equal(want: &Value, found: &Value) -> Vec<String> {
    if want == found { Vec::new() } else { vec![format!("{found}, not {want}")] }
}

fn short(record: &Value) -> String {
    let mut text = record.to_string();
    text.truncate((0..=300.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
    text
}

#[test]
fn the_tokens_of_each_session_are_those_of_the_script() {
    for version in VERSIONS {
        let files = Files::walk(&home(version));
        let rows = std::fs::read_to_string(home(version).join("tokens.tsv")).unwrap();
        let manifest = std::fs::read_to_string(home(version).join("manifest.tsv")).unwrap();
        let mut count = 0;
        for row in rows.lines().skip(1) {
            let cells: Vec<&str> = row.split('\t').collect();
            let session = manifest.lines().map(|line| line.split('\t').collect::<Vec<_>>());
            let session =
                session.filter(|line| line[0] == cells[0]).map(|line| line[1].to_owned()).next().unwrap();
            assert!(session.ends_with(cells[1]));
            let (records, summary) = read_all(&files, &session, all_options());
            let spent = summary.spent.unwrap_or_default();
            let want: Vec<i64> = cells[2..].iter().map(|cell| cell.parse().unwrap()).collect();
            let found = [spent.input, spent.cached, spent.output, spent.reasoning];
            assert_eq!(found, want[..], "{version} {}", cells[0]);
            // The own turns have the same tokens.
            let own = records.iter().filter(|one| one["type"] == "turn" && one["inherited"] == false);
            let sum: i64 = own.filter_map(|turn| turn["tokens"]["input"].as_i64()).sum();
            assert_eq!(sum, want[0], "{version} {}: the turns", cells[0]);
            count += 1;
        }
        assert!(count >= 13, "{version}");
    }
}
