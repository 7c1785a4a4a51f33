//! Recorded rollouts, changed at random: no change makes reading panic, hang, or return more than the file has.
//!
//! CODEX_AGENT_TEST_LONG=1 changes 100,000 rollouts, CODEX_AGENT_TEST_SEED=N begins with another seed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::tests::{VERSIONS, home};
use super::*;
use crate::codex::files::Files;
use crate::codex::rollout::mutations::Dice;

/// Changes bytes of a text.
fn change_bytes(text: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.roll(text.len());
    let end = (at + dice.roll(64) + 1).min(text.len());
    match dice.roll(6) {
        0 => text[at] ^= 1 << dice.roll(8),
        1 => drop(text.drain(at..end)),
        2 => text.truncate(at.max(1)),
        3 => drop(text.splice(at..at, vec![0; end - at])),
        4 => drop(text.splice(at..end, b"\xff\n\xc3".iter().copied())),
        _ => drop(text.splice(at..at, b"\\ud83d\"".iter().copied())),
    }
}

/// Changes the order or number of lines.
fn change_lines(text: &mut Vec<u8>, dice: &mut Dice) {
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (at, other) = (dice.roll(lines.len()), dice.roll(lines.len()));
    match dice.roll(5) {
        0 => drop(lines.remove(at)),
        1 => lines.swap(at, other),
        2 => {
            let twice = lines[at].clone();
            lines.insert(other, twice);
        }
        3 => {
            let half = lines[at].len() / 2;
            lines[at].truncate(half.max(1));
            lines[at].push(b'\n');
        }
        _ => {
            let moved = lines.remove(at);
            lines.insert(other.min(lines.len()), moved);
        }
    }
    *text = lines.concat();
}

/// Removes a field of a line, gives it another type, or the value of another field.
fn change_field(text: &mut Vec<u8>, dice: &mut Dice) {
    fn count(value: &Value) -> usize {
        match value {
            Value::Object(all) => all.values().map(|one| 1 + count(one)).sum(),
            Value::Array(all) => all.iter().map(|one| 1 + count(one)).sum(),
            _ => 0,
        }
    }
    fn visit(value: &mut Value, left: &mut usize, with: &mut dyn FnMut(&mut Value)) {
        let all: Vec<&mut Value> = match value {
            Value::Object(all) => all.values_mut().collect(),
            Value::Array(all) => all.iter_mut().collect(),
            _ => return,
        };
        for one in all {
            if *left == 0 {
                with(one);
                *left = usize::MAX;
                return;
            }
            *left = left.saturating_sub(1);
            visit(one, left, with);
            if *left == usize::MAX {
                return;
            }
        }
    }
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let at = dice.roll(lines.len());
    let Ok(mut line) = serde_json::from_slice::<Value>(lines[at]) else { return };
    let mut left = dice.roll(count(&line));
    let new = match dice.roll(8) {
        0 => Value::Null,
        1 => Value::from(-1),
        2 => Value::from(u64::MAX),
        3 => Value::from("x"),
        4 => serde_json::json!([["x"], 7, null]),
        5 => serde_json::json!({ "type": "x", "output": [{ "text": 7 }], "id": {} }),
        6 => Value::from(true),
        _ => Value::from("\u{0}é\n"),
    };
    visit(&mut line, &mut left, &mut |value| *value = new.clone());
    let changed = format!("{line}\n").into_bytes();
    let before: usize = lines[..at].iter().map(|line| line.len()).sum();
    let end = before + lines[at].len();
    text.splice(before..end, changed);
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
#[allow(clippy::disallowed_methods)] // A test makes the file that it reads.
fn changed_rollouts_are_read_to_their_end() {
    let rounds = if std::env::var_os("CODEX_AGENT_TEST_LONG").is_some() { 100_000 } else { 2000 };
    let mut dice = Dice(number("CODEX_AGENT_TEST_SEED").unwrap_or(0x2545_f491_4f6c_dd1d).max(1));
    let mut recorded: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for version in VERSIONS {
        for file in Files::walk(&home(version)).all() {
            recorded.push((file.path.clone(), std::fs::read(&file.path).unwrap()));
        }
    }
    assert!(recorded.len() > 60);
    let folder = tempfile::tempdir().unwrap();
    let (mut records, mut broken) = (0, 0);
    for round in 0..rounds {
        // The long rollouts take most of the time.
        let tries = if dice.roll(6) == 0 { 1 } else { 3 };
        let mut picked = (0..tries).map(|_| &recorded[dice.roll(recorded.len())]).collect::<Vec<_>>();
        picked.sort_by_key(|(_, text)| text.len());
        let (path, whole) = picked[0];
        let mut text = whole.clone();
        for _ in 0..=dice.roll(3) {
            match dice.roll(3) {
                0 => change_bytes(&mut text, &mut dice),
                1 => change_lines(&mut text, &mut dice),
                _ => change_field(&mut text, &mut dice),
            }
            if text.is_empty() {
                text.push(b'\n');
            }
        }
        let changed = folder.path().join(path.file_name().unwrap());
        std::fs::write(&changed, &text).unwrap();
        let place = || format!("round {round} of {}", path.display());
        let start = Instant::now();
        for live in [false, true] {
            let mut reader = Reader::of_file(&changed, Options { undone: true, copied: true, live }).unwrap();
            let (mut count, mut size) = (0, 0);
            while let Some(record) =
                reader.next_record().unwrap_or_else(|error| panic!("{}: {error}", place()))
            {
                count += 1;
                size += serde_json::to_string(&record).unwrap().len();
            }
            let lines = text.iter().filter(|byte| **byte == b'\n').count();
            assert!(count <= 4 * lines + 16, "{}: {count} records of {lines} lines", place());
            assert!(size <= 4 * text.len() + count * 2000, "{}: {size} bytes", place());
            records += count;
            broken += reader.summary().invalid_lines;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{}", place());
        std::fs::remove_file(&changed).unwrap();
    }
    assert!(records > rounds && broken > 0, "{records} {broken}");
}
