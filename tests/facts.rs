//! The program behind `tests/facts/run`, as far as it can be tested without a Codex: each fact names code
//! that exists, and can fail; each difference between two versions is found.

// The program itself uses the rest.
#![allow(dead_code)]

mod kept;
mod known;
mod lab;
mod learn;
mod list;
mod runs;
mod screen;
mod story;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use known::Known;

use crate::world::World;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn of_today() -> Known {
    Known::read(&root().join("tests/facts/known")).unwrap()
}

#[test]
fn each_fact_names_code_that_exists() {
    let (mut seen, mut missing) = (BTreeSet::new(), Vec::new());
    for fact in list::facts() {
        assert!(seen.insert(fact.holds), "twice: {}", fact.holds);
        assert!(!fact.needed_by.is_empty(), "nothing needs it: {}", fact.holds);
        for (file, item) in fact.needed_by {
            let crates = ["shared/src", "shared/engine/src", "shared/fake/src", "shared"]
                .map(|name| root().join(name));
            let path = crates.iter().map(|name| name.join(file)).find(|path| path.exists());
            let path = path.unwrap_or_else(|| panic!("{file} is not there: {}", fact.holds));
            let text = fs::read_to_string(path).unwrap();
            let is_end = |c: char| !(c.is_alphanumeric() || c == '_');
            let has = |word: &str| {
                let wanted = format!("{word} {item}");
                text.match_indices(&wanted).any(|(at, _)| text[at + wanted.len()..].starts_with(is_end))
            };
            let is_there = ["fn", "const", "static", "struct", "enum"].iter().any(|word| has(word));
            if !is_there {
                missing.push(format!("{file} has no '{item}', which relies on: {}", fact.holds));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(seen.len() > 50);
}

#[test]
fn no_fact_holds_of_a_codex_that_does_nothing() {
    let world = World::new();
    let codex = world.script("nothing", "#!/bin/sh\nexit 0\n");
    let lab = lab::Lab::new(&codex, "0.0.0").unwrap();
    for fact in list::facts() {
        let outcome = (fact.proof)(&lab);
        assert!(outcome.is_err_and(|why| !why.is_empty()), "{}", fact.holds);
    }
}

#[test]
fn the_known_state_is_that_of_the_version_that_is_tested() {
    let known = of_today();
    assert_eq!(known.version, crate::world::real::VERSIONS[0]);
    for area in ["app-server", "cases", "database", "events", "features", "help", "rollout"] {
        let lines = known.area(area).unwrap_or_else(|| panic!("there is no known {area}"));
        assert!(lines.len() > 9, "{area}: {lines:?}");
        let file = root().join("tests/facts/known").join(format!("{area}.txt"));
        assert!(
            fs::read_to_string(&file).unwrap().lines().is_sorted_by_key(|line| line.split(" = ").next()),
            "{area}"
        );
        for (key, value) in lines.iter().filter(|_| area == "cases") {
            assert_eq!(learn::plain(value, Path::new("/nowhere"), "0.0.0"), *value, "{area}: {key}");
        }
    }
    let cases = known.area("cases").unwrap();
    let stopped: Vec<_> = cases.keys().filter(|label| label.ends_with(" stopped")).collect();
    assert!(stopped.is_empty(), "{stopped:?}");
    let world = World::new();
    known.write(&world.path("known")).unwrap();
    assert_eq!(Known::read(&world.path("known")).unwrap(), known);
}

/// A number below a limit, from a seed.
fn next(seed: &mut u64, limit: usize) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed % limit as u64) as usize
}

#[test]
fn a_planted_difference_is_found_and_nothing_else() {
    let known = of_today();
    assert_eq!(known.differences(&known), "");
    let lines: Vec<(String, String, String)> =
        ["app-server", "cases", "database", "events", "features", "help", "rollout"]
            .iter()
            .flat_map(|area| {
                let lines = known.area(area).unwrap().iter();
                lines.map(|(key, value)| ((*area).to_owned(), key.clone(), value.clone()))
            })
            .collect();
    let mut seed = 0x5eed;
    for round in 0..600 {
        let (area, key, value) = &lines[next(&mut seed, lines.len())];
        let mut words: Vec<&str> = value.split(' ').collect();
        let at = next(&mut seed, words.len());
        let (change, sign) = match round % 4 {
            0 => (None, '-'),
            1 => (Some(format!("{value} planted")), '~'),
            2 if words.len() > 1 => {
                words.remove(at);
                (Some(words.join(" ")), '~')
            }
            _ => {
                words[at] = "planted";
                (Some(words.join(" ")), '~')
            }
        };
        let mut now = Known::new("next");
        for (other, name, value) in &lines {
            if (other, name) != (area, key) {
                now.add(other, name, value);
            } else if let Some(change) = &change {
                now.add(other, name, change);
            }
        }
        for (text, sign) in
            [(known.differences(&now), sign), (now.differences(&known), if sign == '-' { '+' } else { sign })]
        {
            let found: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
            let end = if sign == '~' { ": " } else { " = " };
            assert_eq!(found.len(), 2, "{area} {key}: {text}");
            assert_eq!(found[0], format!("{area}: 1 change"));
            assert!(found[1].starts_with(&format!("  {sign} {key}{end}")), "{area} {key}: {text}");
        }
    }
}

/// The state of a recorded home.
fn learned(home: &Path) -> Known {
    let mut known = Known::new("0.0.0");
    learn::databases(&mut known, home).unwrap();
    learn::rollouts(&mut known, &[home.to_owned()]).unwrap();
    known
}

fn a_rollout(home: &Path) -> PathBuf {
    let files = codex_agent_shared::codex::files::Files::walk(home);
    files
        .all()
        .iter()
        .map(|file| file.path.clone())
        .find(|path| path.extension().unwrap() == "jsonl")
        .unwrap()
}

#[test]
fn a_change_in_a_home_is_found_in_its_database_and_its_rollouts() {
    let version = crate::world::real::VERSIONS[0];
    let before = learned(&World::with_home(version).codex_home());
    let sql = |text: &'static str| {
        move |home: &Path| {
            rusqlite::Connection::open(home.join("state_5.sqlite")).unwrap().execute_batch(text).unwrap()
        }
    };
    let line = |from: &'static str, to: &'static str| {
        move |home: &Path| {
            let path = a_rollout(home);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from));
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        }
    };
    type Plant = Box<dyn Fn(&Path)>;
    let plants: Vec<(Plant, &str)> = vec![
        (Box::new(|_: &Path| ()), ""),
        (Box::new(sql("ALTER TABLE threads ADD COLUMN mood TEXT")), "+ state_5 threads.mood = TEXT"),
        (
            Box::new(sql("ALTER TABLE threads RENAME COLUMN preview TO outlook")),
            "- state_5 threads.preview = TEXT",
        ),
        (
            Box::new(sql("CREATE TABLE moods (id INTEGER PRIMARY KEY)")),
            "+ state_5 table moods = id:INTEGER_key_1",
        ),
        (Box::new(sql("CREATE INDEX mood ON threads(cwd)")), "+ state_5 index mood = ON threads(cwd)"),
        (Box::new(sql("DELETE FROM _sqlx_migrations WHERE version = 7")), "- state_5 migration 07 = "),
        (Box::new(sql("PRAGMA journal_mode = DELETE")), "~ state_5 journal: wal -> delete"),
        (Box::new(line("\"task_complete\"", "\"task_ended\"")), "+ event_msg/task_ended = "),
        (
            Box::new(line("\"duration_ms\":", "\"mood\":\"good\",\"duration_ms\":")),
            "~ event_msg/task_complete: +mood:text",
        ),
        (Box::new(line("\"cwd\":\"", "\"cwd\":7,\"was\":\"")), "cwd:int|text"),
        (Box::new(line("\"ordinal\":0", "\"number\":0")), "~ keys of lines: "),
        (
            Box::new(|home: &Path| {
                let path = a_rollout(home);
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                fs::create_dir(home.join("sessions/elsewhere")).unwrap();
                fs::copy(&path, home.join("sessions/elsewhere").join(name)).unwrap();
            }),
            "~ names of files: ",
        ),
    ];
    for (plant, want) in plants {
        let world = World::with_home(version);
        plant(&world.codex_home());
        let text = before.differences(&learned(&world.codex_home()));
        assert_eq!(text.is_empty(), want.is_empty(), "{want:?}: {text}");
        assert!(text.contains(want), "{want:?}: {text}");
    }
}

#[test]
fn ids_times_ports_and_paths_are_no_difference() {
    for (text, want) in [
        ("session 01a20307-24fb-7b81-b2ee-030bb2fa1e54 is archived", "session <id> is archived"),
        ("url: http://127.0.0.1:43210/v1", "url: http://127.0.0.1:<n>/v1"),
        ("2026-11-22T10:42:12.601Z ERROR x", "<time> ERROR x"),
        ("try again at 12:35 PM.", "try again at <clock>."),
        ("try again at Nov 25th, 2026 9:05 AM. Thanks", "try again at <day> <clock>. Thanks"),
        ("no rollout (code -32600)", "no rollout (code -32600)"),
        ("in /tmp/x/alpha by 0.171.0", "in <tmp>/alpha by <version>"),
        ("žluťoučký 日本語 🦀 429", "žluťoučký 日本語 🦀 429"),
    ] {
        assert_eq!(learn::plain(text, Path::new("/tmp/x"), "0.171.0"), want);
    }
}

#[test]
fn wrong_usage_and_a_missing_npm_exit_with_2() {
    let world = World::new();
    let path = world.path("bin");
    fs::create_dir(&path).unwrap();
    for tool in ["bash", "dirname"] {
        let from =
            ["/usr/bin", "/bin"].iter().map(|folder| Path::new(folder).join(tool)).find(|path| path.exists());
        std::os::unix::fs::symlink(from.unwrap(), path.join(tool)).unwrap();
    }
    for (words, want) in [
        (&["--nonsense"][..], "unexpected '--nonsense'"),
        (&[], "cannot find the newest Codex: there is no npm"),
        (&["0.0.1"], "cannot install Codex 0.0.1: there is no npm"),
    ] {
        let mut run = Command::new(path.join("bash"));
        run.arg(root().join("tests/facts/run"))
            .args(words)
            .env_clear()
            .env("PATH", &path)
            .env("HOME", world.path("home"));
        let output = run.output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {err}");
        assert!(
            err.starts_with("facts: ") && err.contains(want) && err.contains("facts: hint: "),
            "{words:?}: {err}"
        );
        assert!(fs::read_dir(world.path("home")).unwrap().next().is_none());
    }
}
