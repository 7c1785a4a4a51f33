//! Sessions with every kind of item, made of a script by Codex 0.106, 0.137 and 0.171; what the script
//! did stands in `expect.ndjson`, and nothing of it was taken from a rollout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::codex::rollout::{self, Depth, Ending};

const VERSIONS: [&str; 3] = ["0.106.0", "0.137.0", "0.171.0"];

fn home(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/transcripts").join(version)
}

/// The status of each turn of each session, by label, and the rollouts of the session.
fn scripted(version: &str) -> BTreeMap<String, (BTreeMap<u64, String>, Vec<PathBuf>)> {
    let mut files = Vec::new();
    super::tests::rollouts(&home(version), &mut files);
    let mut all: BTreeMap<String, (BTreeMap<u64, String>, Vec<PathBuf>)> = BTreeMap::new();
    for line in std::fs::read_to_string(home(version).join("expect.ndjson")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let session = line["session"].as_str().unwrap();
        let of = all.entry(line["label"].as_str().unwrap().to_owned()).or_default();
        if let (Some(turn), Some(status)) = (line["turn"].as_u64(), line["status"].as_str()) {
            of.0.insert(turn, status.to_owned());
        }
        of.1 = files.iter().filter(|file| file.to_str().unwrap().contains(session)).cloned().collect();
        of.1.sort();
    }
    all
}

fn ending(status: &str) -> Option<Ending> {
    match status {
        "completed" => Some(Ending::Completed),
        "failed" => Some(Ending::Failed),
        "interrupted" => Some(Ending::Interrupted),
        other => panic!("{other}"),
    }
}

/// The end of a turn.
struct TurnEnd {
    /// The ending that the tail of the rollout has, where it is cut after this line.
    ending: Option<Ending>,
    /// Whether its own line has neither a message nor an error.
    silently: bool,
}

#[allow(clippy::disallowed_methods)] // A test makes the file that it reads.
fn turn_ends(path: &Path) -> Vec<TurnEnd> {
    let bytes = std::fs::read(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.jsonl");
    let mut endings = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let kind = LineKind::read(line).unwrap();
        if kind.ends_turn() {
            std::fs::write(&cut, &bytes[..at]).unwrap();
            let ending = rollout::tail(&cut, true).unwrap().ending;
            endings.push(TurnEnd { ending, silently: kind == LineKind::TurnSilent });
        }
    }
    endings
}

#[test]
fn turns_end_as_the_script_let_them_end() {
    let mut silent = 0;
    for version in VERSIONS {
        for (label, (turns, files)) in scripted(version) {
            let wanted: Vec<Option<Ending>> = turns.values().map(|status| ending(status)).collect();
            let found: Vec<TurnEnd> = files.iter().flat_map(|file| turn_ends(file)).collect();
            silent += found.iter().filter(|end| end.silently).count();
            // Before its own turns a copy has those of its parent, and a fork without copies has not; of what
            // was undone there is nothing in the script.
            let last = wanted.len().min(found.len());
            let found = &found[found.len() - last..];
            let ends: Vec<Option<Ending>> = found.iter().map(|end| end.ending).collect();
            assert_eq!(ends, wanted[wanted.len() - last..], "{version} {label}");
        }
    }
    // Compactions, commands of the user, reviews and answers without a word, beside the failures.
    assert!(silent >= 15, "{silent}");
}

#[test]
fn titles_are_what_the_script_said_first() {
    for version in VERSIONS {
        let kind = std::fs::read_to_string(home(version).join("expect.ndjson")).unwrap();
        let lines: Vec<Value> = kind.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for (label, (_, files)) in scripted(version) {
            // The messages of a copy, and of what a fork goes on from, are their parent's.
            let is_copy = label == "context-child" && version != "0.171.0";
            if files.is_empty() || is_copy || ["fork", "fork2"].contains(&&*label) {
                continue;
            }
            let of_user = |line: &&Value| line["role"] == "user" || line["action"] == "task";
            let first = lines.iter().filter(|line| line["label"] == *label).find(of_user).unwrap();
            let text = first["text"].as_str().unwrap().trim();
            let head = rollout::head(&files[0], Depth::Message).unwrap();
            let want = match first["role"] == "agent" {
                true => format!("{}: {text}", head.meta.agent_path.as_deref().unwrap()),
                false => text.to_owned(),
            };
            assert_eq!(head.title, Some(want), "{version} {label}");
        }
    }
}
