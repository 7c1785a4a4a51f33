//! Every recorded home lists exactly its sessions, through the database and equally from the files.
//!
//! What is wanted of each session stands in the manifest that was written when Codex made it, and in
//! the prompts that it was given; nothing here is taken from our own output.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::ls::IN_BOTH_SOURCES;
use crate::world::{HOMES, NEWEST, World, data, json};

/// The meaning of a label in the manifests: the first message, the project, the git branch.
const LABELS: [(&str, &str, &str, Option<&str>); 12] = [
    ("login", "Fix the login bug in auth.rs", "alpha", Some("feature/login")),
    (
        "unicode",
        "Explain \"quotes\", 'apostrophes' and back\\slashes\nsecond line: ",
        "alpha",
        Some("feature/login"),
    ),
    ("readme", "Add a README section", "beta", Some("main")),
    ("failed", "Refactor the parser", "beta", Some("main")),
    ("notes", "Summarise my notes", "notes", None),
    ("long", "Long prompt: lorem ipsum dolor sit amet ", "alpha", Some("feature/login")),
    ("shell", "List files SHELL{ls -1}", "alpha", Some("feature/login")),
    ("killed", "Slow job SLEEP30", "beta", Some("main")),
    ("interrupted", "Interruptible job", "beta", Some("main")),
    ("spawned", "Delegate this SPAWN", "alpha", Some("feature/login")),
    ("archived", "Old work to archive", "alpha", Some("feature/login")),
    ("queued", "Has a queued message", "alpha", Some("feature/login")),
];

fn manifest(version: &str) -> Vec<(String, String, String)> {
    let text = std::fs::read_to_string(data(&format!("homes/{version}/manifest.tsv"))).unwrap();
    let fields = |line: &str| {
        let mut cells = line.split('\t').map(str::to_owned);
        (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap_or_default())
    };
    text.lines().map(fields).collect()
}

fn listed(world: &World, more: &[&str]) -> BTreeMap<String, Value> {
    let mut words = vec!["codex-agent-ls", "--json", "--archived", "--subagents"];
    words.extend(more);
    let records = json(&world.ok(&words));
    let count = records.len();
    let by_id: BTreeMap<String, Value> =
        records.into_iter().map(|record| (record["id"].as_str().unwrap().to_owned(), record)).collect();
    assert_eq!(by_id.len(), count, "an id is listed twice");
    by_id
}

fn text<'r>(record: &'r Value, field: &str) -> &'r str {
    record[field].as_str().unwrap_or_default()
}

/// Milliseconds since 1970 of a time in a record.
fn ms(time: &Value) -> i64 {
    let time = time.as_str().unwrap_or_else(|| panic!("no time: {time}"));
    codex_agent_shared::time::Timestamp::parse(time).unwrap().0
}

fn has_database(version: &str) -> bool {
    !matches!(version, "0.45.0" | "0.77.0" | "0.92.0")
}

/// Ids that a home holds beside those of its manifest: subagents, which Codex made by itself.
fn subagents(records: &BTreeMap<String, Value>) -> BTreeSet<String> {
    records.iter().filter(|(_, record)| !record["subagent"].is_null()).map(|(id, _)| id.clone()).collect()
}

#[test]
fn each_home_lists_exactly_its_sessions() {
    for version in HOMES {
        let world = World::with_home(version);
        let mut wanted: BTreeSet<String> = manifest(version).into_iter().map(|(_, id, _)| id).collect();
        let sources: &[&[&str]] = if has_database(version) {
            &[&[], &["--no-database"], &["--no-files"]]
        } else {
            &[&[], &["--no-database"]]
        };
        for source in sources {
            let records = listed(&world, source);
            let children = subagents(&records);
            let ids: BTreeSet<String> = records.keys().cloned().collect();
            if children.is_empty() {
                assert_eq!(ids, wanted, "{version} {source:?}");
            } else {
                assert_eq!(&ids - &children, &wanted - &children, "{version} {source:?}");
                assert_eq!(children.len(), 1, "{version} {source:?}");
            }
            wanted = &wanted - &children;
        }
    }
}

#[test]
fn each_session_is_what_was_recorded() {
    for version in HOMES {
        let world = World::with_home(version);
        let has_names = version.split('.').nth(1).unwrap().parse::<u32>().unwrap() >= 101;
        for source in [&["--full"][..], &["--full", "--no-database"]] {
            let records = listed(&world, source);
            let entries = manifest(version);
            let id_of = |wanted: &str| {
                entries.iter().find(|(label, ..)| label == wanted).map(|(_, id, _)| id.clone())
            };
            for (label, id, note) in &entries {
                let record = &records[id];
                let what = format!("{version} {source:?} {label}: {record}");
                if let Some((_, message, project, branch)) = LABELS.iter().find(|(name, ..)| name == label) {
                    assert!(text(record, "title").starts_with(message.trim()), "{what}");
                    assert_eq!(text(record, "title"), text(record, "first_user_message"), "{what}");
                    assert!(text(record, "cwd").ends_with(&format!("/projects/{project}")), "{what}");
                    assert_eq!(record["git"]["branch"].as_str(), *branch, "{what}");
                    assert_eq!(text(record, "source"), "exec", "{what}");
                }
                if label == "long" {
                    assert!(
                        text(record, "title").len() > 1000 && !text(record, "title").ends_with(' '),
                        "{what}"
                    );
                }
                if label == "unicode" {
                    assert!(
                        text(record, "title").contains("žluťoučký kůň, 日本語, 🦀\n\tthird line"),
                        "{what}"
                    );
                }
                // Old versions answered with an error instead, and the manifest has it.
                let happened = note.contains("ok") || note.contains("rc=0");
                if label == "named" && happened {
                    assert_eq!(text(record, "name"), "login work", "{what}");
                    assert_eq!(text(record, "title"), "Fix the login bug in auth.rs", "{what}");
                }
                if label == "archived" {
                    assert_eq!(!record["archived_at"].is_null(), happened, "{what}");
                }
                if label == "forked" {
                    assert_eq!(record["forked_from"].as_str().map(str::to_owned), id_of("login"), "{what}");
                    assert_eq!(
                        text(record, "source"),
                        if note.contains("exec fork") { "exec" } else { "vscode" },
                        "{what}"
                    );
                }
                if matches!(label.as_str(), "login" | "readme" | "unicode") {
                    assert!(record["forked_from"].is_null() && record["subagent"].is_null(), "{what}");
                    assert_eq!(text(record, "status"), "idle", "{what}");
                    assert_eq!(text(record, "cli_version"), version.trim_end_matches("-odd"), "{what}");
                }
            }
            let named: Vec<&str> = records.values().filter_map(|record| record["name"].as_str()).collect();
            assert_eq!(!named.is_empty(), has_names && !version.ends_with("-odd"), "{version}: {named:?}");
            for (label, want) in
                [("failed", "failed"), ("interrupted", "interrupted"), ("killed", "interrupted")]
            {
                let Some(id) = id_of(label) else { continue };
                // Up to 0.98 no line records the end of a turn, except some interruptions.
                let status = text(&records[&id], "status").to_owned();
                assert!(status == want || (!has_names && status == "unknown"), "{version} {label}: {status}");
            }
            for child in subagents(&records) {
                let record = &records[&child];
                assert_eq!(text(record, "source"), "subagent", "{record}");
                assert_eq!(
                    record["subagent"]["parent"].as_str().map(str::to_owned),
                    id_of("spawned"),
                    "{record}"
                );
                assert!(record["subagent"]["nickname"].is_string(), "{record}");
            }
        }
    }
}

#[test]
fn forks_and_segments_of_every_kind_are_listed() {
    let world = World::with_home("0.169.0-odd");
    let ids: BTreeMap<String, String> =
        manifest("0.169.0-odd").into_iter().map(|(label, id, _)| (label, id)).collect();
    for source in [&["--full"][..], &["--full", "--no-database"]] {
        let records = listed(&world, source);
        for (fork, parent) in [
            ("legacy-fork", Some("legacy")),
            ("chain-fork", Some("chain-root")),
            ("chain-fork-fork", Some("chain-fork")),
            ("fork-no-turn", Some("chain-root")),
            ("truncated-fork", Some("chain-root")),
            ("chain-root", None),
            ("reverted", None),
        ] {
            let record = &records[&ids[fork]];
            assert_eq!(record["forked_from"].as_str(), parent.map(|parent| ids[parent].as_str()), "{record}");
        }
        let title = |label: &str| text(&records[&ids[label]], "title");
        assert_eq!(title("reverted"), "To be reverted, first");
        assert_eq!(title("truncated-fork"), "After the truncated fork");
        assert_eq!(title("fork-no-turn"), "");
        assert_eq!(title("compressed"), "To be compressed");
        assert!(text(&records[&ids["compressed"]], "rollout_path").ends_with(".jsonl.zst"));
        let segment = text(&records[&ids["reverted"]], "rollout_path");
        assert!(segment.contains(&format!("{}_", ids["reverted"])), "not the live file: {segment}");
        assert_eq!(text(&records[&ids["legacy"]], "history"), "legacy");
        assert_eq!(text(&records[&ids["chain-root"]], "history"), "paginated");
    }
}

#[test]
fn database_and_files_list_the_same() {
    for version in HOMES.into_iter().filter(|version| has_database(version)) {
        let world = World::with_home(version);
        let rows = listed(&world, &["--full"]);
        let files = listed(&world, &["--full", "--no-database"]);
        assert_eq!(rows.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
        for (id, row) in &rows {
            let file = &files[id];
            let others = ["subagent", "cli_version", "model_provider", "rollout_path", "resume_command"];
            for field in IN_BOTH_SOURCES.into_iter().chain(others) {
                assert_eq!(row[field], file[field], "{version} {id} {field}");
            }
            assert_eq!(row["archived_at"].is_null(), file["archived_at"].is_null(), "{version} {id}");
            let seconds = |time: &Value| ms(time).div_euclid(1000);
            // Codex writes the time of making some milliseconds apart into the two; no recording
            // has a second's end between them.
            assert_eq!(
                seconds(&row["created_at"]),
                seconds(&file["created_at"]),
                "{version} {id}: {row} {file}"
            );
            assert_eq!(row["found_in"], "both");
            assert_eq!(file["found_in"], "files");
            for only_row in ["tokens_used", "pinned"] {
                assert!(file[only_row].is_null(), "{version} {id} {only_row}");
            }
        }
    }
}

/// When the last turn of a rollout began and when its last line was written; of one without a turn, when it
/// was made. Found by a plain look at each line.
fn times(rollout: &str) -> (i64, i64) {
    let bytes = std::fs::read(rollout).unwrap();
    let text = if rollout.ends_with(".zst") { zstd::decode_all(&bytes[..]).unwrap() } else { bytes };
    let (mut began, mut last) = (0, 0);
    for line in json(std::str::from_utf8(&text).unwrap()) {
        last = ms(&line["timestamp"]);
        // Lines that a fork has copied are stamped anew.
        if began == 0 || line["payload"]["type"] == "task_started" {
            began = last;
        }
    }
    (began, last)
}

#[test]
fn the_time_of_a_session_is_when_its_last_turn_began() {
    for version in HOMES {
        let world = World::with_home(version);
        let minor: u32 = version.split('.').nth(1).unwrap().parse().unwrap();
        let of_rows = if has_database(version) { Some(listed(&world, &["--no-files"])) } else { None };
        for (id, file) in listed(&world, &["--no-database"]) {
            let (began, last) = times(text(&file, "rollout_path"));
            let by_file = ms(&file["updated_at"]);
            let want = if minor >= 101 { began } else { last };
            assert!((-50..=200).contains(&(want - by_file)), "{version} {id}: {} ms", want - by_file);
            let Some(rows) = &of_rows else { continue };
            // Before 0.142 the database has the end alone, and before 0.122 in whole seconds.
            let by_row = ms(&rows[&id]["updated_at"]);
            let (want, near) = if minor >= 142 { (began, 50) } else { (last, 1000) };
            assert!((by_row - want).abs() <= near, "{version} {id}: {} ms", by_row - want);
        }
    }
}

#[test]
fn databases_since_0_122_have_milliseconds() {
    for (version, wanted) in
        [("0.106.0", false), ("0.120.0", false), ("0.137.0", true), ("0.169.0", true), (NEWEST, true)]
    {
        let world = World::with_home(version);
        let fine =
            listed(&world, &["--no-files"]).values().any(|record| ms(&record["updated_at"]) % 1000 != 0);
        assert_eq!(fine, wanted, "{version}");
    }
}

#[test]
fn a_home_without_its_database_is_listed() {
    for version in HOMES.into_iter().filter(|version| has_database(version)) {
        let world = World::with_home(version);
        let before = listed(&world, &["--no-database"]);
        for entry in std::fs::read_dir(world.codex_home()).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("state") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        assert_eq!(listed(&world, &[]), before, "{version}");
    }
}

#[test]
fn a_session_without_row_or_file_is_listed_and_reported() {
    let world = World::with_home("0.169.0");
    let files = listed(&world, &["--no-database"]);
    let login =
        files.values().find(|record| text(record, "title") == "Fix the login bug in auth.rs").unwrap();
    let readme = files.values().find(|record| text(record, "title") == "Add a README section").unwrap();
    // One session loses its file, the other its row.
    std::fs::remove_file(text(login, "rollout_path")).unwrap();
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    database.execute("DELETE FROM threads WHERE id = ?1", [text(readme, "id")]).unwrap();
    drop(database);
    let records = listed(&world, &[]);
    assert_eq!(records.len(), 13);
    assert_eq!(records[text(login, "id")]["found_in"], "database");
    assert_eq!(records[text(readme, "id")]["found_in"], "files");
    assert_eq!(text(&records[text(readme, "id")], "title"), "Add a README section");

    let check = world.run(&["codex-agent-ls", "--check", "--json"]);
    check.exits(1);
    let problems = json(&check.out);
    let kinds: BTreeSet<&str> = problems.iter().filter_map(|problem| problem["problem"].as_str()).collect();
    // Codex cannot resume a fork whose parent is missing.
    assert_eq!(kinds, BTreeSet::from(["row_without_file", "file_without_row", "not_resumable"]));
    let summary = problems.last().unwrap();
    assert_eq!(
        (summary["type"].as_str(), summary["rows"].as_i64(), summary["problems"].as_i64()),
        (Some("check"), Some(12), Some(3))
    );
}

#[test]
fn recorded_homes_have_no_problems() {
    for version in HOMES {
        let world = World::with_home(version);
        let check = world.run(&["codex-agent-ls", "--check"]);
        check.case(version).succeeds().prints("");
        check.reports(" 0 problems");
    }
}
