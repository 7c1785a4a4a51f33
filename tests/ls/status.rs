//! The status that `ls` reads from the end of a rollout is that of the last turn of the transcript, which is read from its
//! first line: for each recorded session, and for each of them cut at random places.
//!
//! CODEX_AGENT_TEST_SEED=N cuts at other places.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use codex_agent_shared::codex::files::Files;
use codex_agent_shared::codex::rollout::Name;
use codex_agent_shared::record::{Id, Status};
use codex_agent_shared::transcript::{Beginning, Options, Reader, Record, Turn, TurnStatus};

use crate::world::{HOMES, World, copy, data, json};

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn new() -> Dice {
        let seed = std::env::var("CODEX_AGENT_TEST_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
        Dice(seed.unwrap_or(7).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self, from: usize, to: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        from + (self.0 % (to - from).max(1) as u64) as usize
    }
}

/// All recorded homes, by their directories.
fn homes() -> Vec<String> {
    let scripted =
        ["0.106.0", "0.137.0", "0.169.0", "0.171.0"].map(|version| format!("transcripts/{version}"));
    HOMES.map(|version| format!("homes/{version}")).into_iter().chain(scripted).collect()
}

/// The version that marks the starts of turns.
fn has_starts(home: &str) -> bool {
    !["homes/0.45.0", "homes/0.77.0", "homes/0.92.0"].contains(&home)
}

/// The status of a turn that no process runs. Up to 0.98 it is unknown whether a turn without an answer has ended.
fn of_turn(turn: Option<TurnStatus>, has_starts: bool) -> &'static str {
    match turn {
        Some(TurnStatus::Completed) => "idle",
        Some(TurnStatus::Failed) => "failed",
        Some(TurnStatus::Interrupted) => "interrupted",
        None if has_starts => "interrupted",
        _ => "unknown",
    }
}

/// The status of the last turn, by the turns of the whole transcript.
fn of_transcript(home: &Path, id: Id, has_starts: bool) -> &'static str {
    let mut turns: BTreeMap<Option<u64>, Turn> = BTreeMap::new();
    for record in Reader::open(home, id, Options::default()).unwrap() {
        if let Record::Turn(turn) = record.unwrap() {
            turns.insert(turn.turn, turn);
        }
    }
    turns.into_values().next_back().map_or("idle", |turn| of_turn(turn.status, has_starts))
}

/// The status that `watch` begins with.
fn of_follower(files: &Files, id: Id, has_starts: bool) -> &'static str {
    let live = files.live(id, None).unwrap();
    let length = fs::metadata(&live.path).unwrap().len();
    let reader = Reader::follow(files, id, live, length, Beginning::Now, Options::default()).unwrap();
    match reader.status() {
        Status::Running => of_turn(None, has_starts),
        Status::Idle => "idle",
        Status::Failed => "failed",
        Status::Interrupted => "interrupted",
        _ => "unknown",
    }
}

/// The rollouts below a directory that can be cut.
fn rollouts(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(Name::parse);
        if path.is_dir() {
            rollouts(&path, all);
        } else if name.is_some_and(|name| !name.compressed) {
            all.push(path);
        }
    }
}

/// The sessions whose status is another one, and the number of sessions of each status.
fn compare(
    world: &World,
    home: &str,
    more: &[&str],
    counts: &mut BTreeMap<&'static str, usize>,
) -> Vec<String> {
    let words = ["codex-agent-ls", "--json", "--full", "--archived", "--subagents"];
    let ran = world.run(&[&words[..], more].concat());
    let files = Files::walk(&world.codex_home());
    let mut wrong = Vec::new();
    for record in json(&ran.out) {
        let id = Id::parse(record["id"].as_str().unwrap()).unwrap();
        if record["found_in"] == "database" {
            continue;
        }
        let want = of_transcript(&world.codex_home(), id, has_starts(home));
        *counts.entry(want).or_default() += 1;
        let follower = of_follower(&files, id, has_starts(home));
        if record["status"] != want || follower != want {
            let path = record["rollout_path"].as_str().unwrap();
            let length = fs::metadata(path).unwrap().len();
            let listed = &record["status"];
            wrong.push(format!(
                "{home} {more:?} {id}, {length} bytes: ls {listed}, watch {follower}, turns {want}"
            ));
        }
    }
    wrong
}

#[test]
fn the_status_is_that_of_the_last_turn() {
    let (mut wrong, mut counts) = (Vec::new(), BTreeMap::new());
    for home in homes() {
        let world = World::new();
        copy(&data(&home), &world.codex_home());
        wrong.extend(compare(&world, &home, &[], &mut counts));
        wrong.extend(compare(&world, &home, &["--no-database"], &mut counts));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counts["idle"] > 200 && counts["failed"] > 10 && counts["interrupted"] > 20, "{counts:?}");
}

/// A place to cut a rollout at, behind its first line: in a line, behind a line, or behind the end of a turn.
fn cut(text: &[u8], dice: &mut Dice) -> usize {
    let lines: Vec<usize> =
        text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    let first = lines.first().copied().unwrap_or(text.len());
    let is_end = |to: &&usize| {
        let from = text[..**to - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let start = String::from_utf8_lossy(&text[from..(from + 256).min(**to)]);
        start.contains("\"task_complete\"") || start.contains("\"turn_aborted\"")
    };
    let ends: Vec<&usize> = lines.iter().filter(is_end).collect();
    match dice.roll(0, 3) {
        0 => dice.roll(first, text.len() + 1),
        1 if !ends.is_empty() => *ends[dice.roll(0, ends.len())],
        _ => lines.get(dice.roll(0, lines.len())).copied().unwrap_or(first),
    }
}

#[test]
fn the_status_of_a_rollout_that_ends_anywhere_is_that_of_its_last_turn() {
    let (mut dice, mut wrong, mut counts) = (Dice::new(), Vec::new(), BTreeMap::new());
    for home in homes() {
        let world = World::new();
        copy(&data(&home), &world.codex_home());
        let mut paths = Vec::new();
        rollouts(&world.codex_home(), &mut paths);
        paths.sort();
        let whole: Vec<(PathBuf, Vec<u8>)> =
            paths.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect();
        for _ in 0..6 {
            for (path, text) in &whole {
                fs::write(path, &text[..cut(text, &mut dice)]).unwrap();
            }
            wrong.extend(compare(&world, &home, &[], &mut counts));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counts.values().sum::<usize>() > 600, "{counts:?}");
    assert!(["idle", "failed", "interrupted"].iter().all(|status| counts[status] > 5), "{counts:?}");
}
