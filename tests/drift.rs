//! Listings in homes that have drifted, held to a plain oracle.
//!
//! Codex's database and its rollout files disagree in homes that people have: rows are missing
//! (openai/codex 31433 has 1,009 rollouts without one), files are missing, archived in one place only,
//! compressed, or said to lie elsewhere. [`home`] makes such homes from recorded ones, by chance from a
//! seed. [`oracle`] knows each session from one listing of everything, and answers a query the slow
//! way: filter all, sort all, cut the page out.
//!
//! Two thousand queries are asked in each run of the tests, a hundred thousand with
//! CODEX_AGENT_TEST_LONG=1. CODEX_AGENT_TEST_SEED=N asks those of one seed alone.

mod home;
mod oracle;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::world::{Dice, World, is_long, json};
use home::Drifted;
use oracle::{Asked, Oracle};

/// How many homes a seed makes, and how many queries are asked in each.
fn amount() -> (u64, u64) {
    if is_long() { (100, 100) } else { (5, 40) }
}

#[test]
fn listings_of_seeds_0_to_4_are_those_of_the_oracle() {
    ask(0..5);
}

#[test]
fn listings_of_seeds_5_to_9_are_those_of_the_oracle() {
    ask(5..10);
}

fn ask(seeds: std::ops::Range<u64>) {
    let only = std::env::var("CODEX_AGENT_TEST_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let (homes, queries) = amount();
    for seed in seeds.filter(|seed| only.is_none_or(|only| only == *seed)) {
        let mut dice = Dice(seed);
        let (mut asked, mut rows) = (0, 0);
        for _ in 0..homes {
            let home = Drifted::new(&mut dice);
            let mut oracles = BTreeMap::new();
            for _ in 0..queries {
                let source = dice.pick(&home.sources());
                let full = dice.one_in(4);
                let reference = dice.one_in(5);
                let key = (source, full && !reference);
                let oracle = oracles.entry(key).or_insert_with(|| Oracle::new(&home, key.0, key.1));
                rows += match reference {
                    true => hold_reference(&mut dice, &home, oracle),
                    false => {
                        let asked = Asked::new(&mut dice, &home, oracle);
                        hold_listing(&mut dice, &home, oracle, &asked)
                    }
                };
                asked += 1;
            }
        }
        println!("seed {seed}: {asked} queries in {homes} homes, {rows} sessions listed as the oracle does");
    }
}

/// The newest sessions are found by the names of files and directories, and the rest of a large home is not read.
#[test]
fn pages_in_the_order_of_creation_are_those_of_the_oracle() {
    let mut dice = Dice(20_000);
    let (homes, queries) = amount();
    for _ in 0..homes {
        let home = Drifted::with_rollouts_of(None, &mut dice);
        let mut oracles = BTreeMap::new();
        for _ in 0..queries {
            let key = (1 - usize::from(dice.one_in(6)), dice.one_in(6));
            let oracle = oracles.entry(key).or_insert_with(|| Oracle::new(&home, key.0, key.1));
            let asked = Asked::sorted_by_creation(&mut dice, &home, oracle);
            hold_listing(&mut dice, &home, oracle, &asked);
        }
    }
}

/// Fields that take a look of their own.
const FIELDS: [&str; 14] = [
    "name",
    "title",
    "first_user_message",
    "cwd",
    "created_at",
    "updated_at",
    "archived_at",
    "source",
    "model",
    "git",
    "history",
    "tokens_used",
    "forked_from",
    "status",
];

/// Asks one query in three shapes: records, ids, a count.
fn hold_listing(dice: &mut Dice, home: &Drifted, oracle: &Oracle, asked: &Asked) -> usize {
    let want = oracle.answer(asked);
    let count = want.len();
    let mut words = vec!["codex-agent-ls"];
    words.extend(oracle.flags());
    let more = asked.words();
    words.extend(more.iter().map(String::as_str));
    let say = |what: &str| format!("{what}\nhome: {}\nwords: {}", home.story, words.join(" "));
    match dice.below(4) {
        0 => {
            let out = home.world.ok(&[&words[..], &["--count"]].concat());
            assert_eq!(out.trim(), want.len().to_string(), "{}", say("count"));
        }
        1 => {
            let out = home.world.ok(&[&words[..], &["--fields", "id"]].concat());
            let ids: Vec<&str> = want.iter().map(|record| id(record)).collect();
            assert_eq!(out.lines().collect::<Vec<_>>(), ids, "{}", say("ids"));
        }
        way => {
            let fields = format!("id,{}", FIELDS.map(|field| dice.pick(&[field, "id", "id"])).join(","));
            let more = if way == 2 { vec!["--json", "--fields", &fields] } else { vec!["--json"] };
            let got = json(&home.world.ok(&[&words[..], &more].concat()));
            let ids = |records: &[Value]| records.iter().map(|r| id(r).to_owned()).collect::<Vec<_>>();
            let want: Vec<Value> = want.into_iter().cloned().collect();
            assert_eq!(ids(&got), ids(&want), "{}", say("ids of records"));
            for (got, want) in got.iter().zip(&want) {
                let want = want.as_object().unwrap();
                for (field, value) in got.as_object().unwrap() {
                    assert_eq!(Some(value), want.get(field), "{}", say(&format!("{field} of {}", id(got))));
                }
            }
        }
    }
    count
}

/// Asks for a session by reference: the newest ones, parts of ids, whole ids.
fn hold_reference(dice: &mut Dice, home: &Drifted, oracle: &Oracle) -> usize {
    let (reference, directory, want) = oracle.reference(dice, home);
    let mut command = home.world.command("codex-agent-find");
    command.args(oracle.flags()).args(["--fields", "id", &reference]);
    command.current_dir(&directory);
    let output = command.output().unwrap();
    let say = format!("{reference} in {} of home: {}", directory.display(), home.story);
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(out.lines().collect::<Vec<_>>(), want, "{say}");
    assert_eq!(output.status.code(), Some(i32::from(want.is_empty())), "{say}");
    want.len()
}

fn id(record: &Value) -> &str {
    record["id"].as_str().unwrap()
}

/// Every home: the ids are those that a plain look at rows and files gives, each once, and each says
/// where it was found.
#[test]
fn every_session_of_a_drifted_home_is_listed_once_and_where_it_is() {
    let mut dice = Dice(77);
    for _ in 0..40 {
        let home = Drifted::new(&mut dice);
        for source in home.sources() {
            let oracle = Oracle::new(&home, source, false);
            let want: BTreeSet<&String> = match source {
                0 => home.rows.union(&home.files).collect(),
                1 => home.files.iter().collect(),
                _ => home.rows.iter().collect(),
            };
            let got: BTreeSet<String> = oracle.records.iter().map(|r| id(r).to_owned()).collect();
            assert_eq!(got.len(), oracle.records.len(), "{}", home.story);
            assert_eq!(got.iter().collect::<BTreeSet<_>>(), want, "{source} {}", home.story);
            for record in oracle.records.iter().filter(|_| source == 0) {
                let (row, file) = (home.rows.contains(id(record)), home.files.contains(id(record)));
                let found = ["", "files", "database", "both"][usize::from(row) * 2 + usize::from(file)];
                assert_eq!(record["found_in"], found, "{record} {}", home.story);
                // Codex goes by the directory that the file is in; without a file by the row.
                let is_archived = match file {
                    true => record["rollout_path"].as_str().unwrap().contains("/archived_sessions/"),
                    false => home.archived_rows.contains(id(record)),
                };
                assert_eq!(!record["archived_at"].is_null(), is_archived, "{record} {}", home.story);
                let cwd = record["cwd"].as_str().unwrap_or_default();
                assert!(!file || cwd.starts_with('/'), "{record} {}", home.story);
            }
        }
    }
}

/// A page of each length and offset is the part of the whole listing, in homes as of openai/codex 31433:
/// the newest, the oldest, or some rows are gone, and their files are there.
#[test]
fn pages_are_parts_of_the_whole_where_rows_are_missing() {
    for (order, kept) in [("ASC", 4), ("DESC", 4), ("DESC", 8), ("ASC", 8)] {
        let world = World::with_home("0.169.0");
        let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
        let sql = format!(
            "DELETE FROM threads WHERE id IN (SELECT id FROM threads ORDER BY updated_at_ms {order} LIMIT {kept})"
        );
        assert_eq!(database.execute(&sql, []).unwrap(), kept);
        drop(database);
        for sort in ["updated", "updated:asc", "created", "created:asc", "title", "tokens", "cwd:desc"] {
            let listed = |more: &[&str]| {
                let words = [&["codex-agent-ls", "--sort", sort, "--fields", "id"], more].concat();
                world.ok(&words).lines().map(str::to_owned).collect::<Vec<String>>()
            };
            let all = listed(&[]);
            assert_eq!(all.len(), 11);
            for limit in 0..=all.len() + 1 {
                for offset in [0, 1, 5, 11, 12] {
                    let (n, skipped) = (limit.to_string(), offset.to_string());
                    let page = listed(&["-n", &n, "--offset", &skipped]);
                    let want: Vec<&String> = all.iter().skip(offset).take(limit).collect();
                    assert_eq!(
                        page.iter().collect::<Vec<_>>(),
                        want,
                        "{order} {kept} {sort} {limit} {offset}"
                    );
                }
            }
        }
    }
}
