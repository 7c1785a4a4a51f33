//! Damaged rollouts: recorded ones are changed at random, and what is read of them is right where it was
//! not changed, comes soon, and never panics.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;
use crate::codex::files::Files;
use crate::codex::refusal::find_refusal;

/// Numbers that look random and are the same in each run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

fn recorded() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data");
    let mut all = Vec::new();
    for folder in ["homes", "transcripts"] {
        line::rollouts_below(&data.join(folder), &mut all);
    }
    all.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    all.sort();
    assert!(all.len() > 150, "{}", all.len());
    all
}

/// Changes a text at one place, which it says.
fn change(bytes: &mut Vec<u8>, dice: &mut Dice) -> usize {
    let at = dice.roll(bytes.len());
    let some = dice.roll(64) + 1;
    let end = (at + some).min(bytes.len());
    let surrogate = br#"{"timestamp":"2026-11-28T13:16:54.617Z","type":"event_msg","payload":{"type":"agent_message","message":"\ud83d"}}"#;
    match dice.roll(11) {
        0 => bytes[at] ^= 1 << dice.roll(8),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.truncate(at),
        3 => drop(bytes.splice(at..at, vec![0; some])),
        4 => bytes.extend(std::iter::repeat_n(0, some * 64)),
        5 => drop(bytes.splice(at..at, b"\xff\xfe\xc3".iter().copied())),
        6 => drop(bytes.splice(at..at, [b"\n", &surrogate[..], b"\n"].concat())),
        // A line that was cut, and then comes whole.
        7 => {
            let start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |before| before + 1);
            let half = [&bytes[start..at], b"\n"].concat();
            bytes.splice(start..start, half);
            return start;
        }
        8 => {
            let twice = bytes[at..end].to_vec();
            bytes.splice(at..at, twice);
        }
        9 => drop(bytes.splice(at..end, b"\n".iter().copied())),
        _ => drop(bytes.splice(at..at, (0..some).map(|_| dice.roll(256) as u8).collect::<Vec<u8>>())),
    }
    at
}

#[test]
#[allow(clippy::disallowed_methods)] // A test makes the file that it reads.
fn damaged_rollouts_are_read_as_far_as_they_are_not_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let files = recorded();
    let nothing = Files::default();
    let (mut dice, mut heads, mut tails) = (Dice(0x2545_f491_4f6c_dd1d), 0, 0);
    for round in 0..4000 {
        let path = &files[dice.roll(files.len())];
        let whole = std::fs::read(path).unwrap();
        if whole.len() > 120_000 {
            continue;
        }
        let damaged = folder.path().join(path.file_name().unwrap());
        let mut bytes = whole.clone();
        let at = change(&mut bytes, &mut dice);
        std::fs::write(&damaged, &bytes).unwrap();
        let place = || format!("round {round}, byte {at} of {}", path.display());
        let start = Instant::now();
        for depth in [Depth::Start, Depth::Meta] {
            let _ = head(&damaged, depth);
        }
        let found = head(&damaged, Depth::Message);
        let tail_found = tail(&damaged, true).unwrap();
        last_message(&damaged).unwrap();
        last_turn(&damaged).unwrap();
        let _ = find_refusal(&damaged, &nothing);
        assert!(start.elapsed() < Duration::from_secs(20), "{}", place());
        // The lines before the change are read as they were.
        let known = head(path, Depth::Message).unwrap();
        let words = known.title.as_deref().and_then(|title| title.split(['"', '\\', '\n']).next());
        let kind = |words: &str| memchr::memmem::rfind(&whole[..at], words.as_bytes());
        if let Some(words) = words.filter(|words| words.len() > 8)
            && let Some(first) = memchr::memmem::find(&whole, b"\"user_message\"")
                .or(memchr::memmem::find(&whole, b"\"UserMessage\""))
            && memchr::memchr(b'\n', &whole[first..]).is_some_and(|end| first + end < at)
            && kind(words).is_some()
        {
            heads += 1;
            let found = found.unwrap_or_else(|error| panic!("{}: {error}", place()));
            assert_eq!((found.title, found.meta), (known.title, known.meta), "{}", place());
        }
        // So are those after it.
        let begins = memchr::memmem::rfind(&whole, b"\"task_started\"")
            .and_then(|begins| memchr::memrchr(b'\n', &whole[..begins]));
        let known = tail(path, true).unwrap();
        let is_silent = memchr::memmem::find(&whole, b"\"last_agent_message\":null").is_some();
        if begins.is_some_and(|begins| at + 64 < begins)
            && bytes.ends_with(&whole[whole.len() - 64..])
            && !is_silent
        {
            tails += 1;
            assert_eq!((tail_found.last_at, tail_found.ending), (known.last_at, known.ending), "{}", place());
        }
        std::fs::remove_file(&damaged).unwrap();
    }
    assert!(heads > 500 && tails > 300, "{heads} {tails}");
}

#[test]
#[allow(clippy::disallowed_methods)] // A test makes the file that it reads.
fn a_line_of_any_length_costs_bounded_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollout-2026-11-28T13-16-54-01a2224d-33b7-78a2-86df-f3b02c66dd59.jsonl");
    let first = r#"{"timestamp":"2026-11-28T13:16:54.000Z","type":"session_meta","payload":{"id":"01a2224d-33b7-78a2-86df-f3b02c66dd59","cwd":"/p"}}"#;
    let kind = r#"{"timestamp":"2026-11-28T13:16:55.000Z","type":"event_msg","payload":{"type":"user_message","message":"Hello"}}"#;
    let ended = r#"{"timestamp":"2026-11-28T13:16:56.000Z","type":"event_msg","payload":{"type":"task_complete","last_agent_message":"x"}}"#;
    let huge = format!(r#"{{"type":"compacted","payload":{{"message":"{}"}}}}"#, "x".repeat(20 << 20));
    std::fs::write(&path, [first, kind, &huge, ended, "\0\0"].join("\n")).unwrap();
    let start = Instant::now();
    assert_eq!(head(&path, Depth::Message).unwrap().title.as_deref(), Some("Hello"));
    let end = tail(&path, true).unwrap();
    assert_eq!((end.ending, end.last_at.is_some()), (Some(Ending::Completed), true));
    // The end of the file is a sparse gigabyte of zeros: it is looked at to the limit, and given up.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    assert_eq!(head(&path, Depth::Message).unwrap().title.as_deref(), Some("Hello"));
    assert_eq!(tail(&path, true).unwrap().ending, None);
    assert!(start.elapsed() < Duration::from_secs(60));
    std::fs::write(&path, "").unwrap();
    assert_eq!(head(&path, Depth::Start).unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(tail(&path, true).unwrap().ending, Some(Ending::NoTurn));
}
