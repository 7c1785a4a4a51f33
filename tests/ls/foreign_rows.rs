//! Rows that Codex on another system has written: directories and rollout paths that are nowhere here.
//!
//! The oracle is the home as it was recorded: the listing must be the same whatever a row has as a
//! place, as long as the rollout is there to ask.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

use crate::world::{HOMES, World, json};

const ALL: [&str; 4] = ["codex-agent-ls", "--json", "--archived", "--subagents"];

/// Words for a directory that is none here.
const DIRECTORIES: [&str; 7] =
    [r"C:\mnt\e\test", r"\\?\C:\Users\a\x", "relative/directory", "", ".", "~/src", "c:/x"];

/// The homes with a database; the opt-in one of 0.101 too.
pub fn homes() -> impl Iterator<Item = &'static str> {
    HOMES
        .into_iter()
        .filter(|version| crate::world::data(&format!("homes/{version}/state_5.sqlite")).exists())
}

pub(crate) fn database(world: &World) -> Connection {
    Connection::open(world.codex_home().join("state_5.sqlite")).unwrap()
}

pub(crate) fn listed(world: &World, more: &[&str]) -> BTreeMap<String, Value> {
    let out = world.ok(&[&ALL[..], more].concat());
    json(&out).into_iter().map(|record| (record["id"].as_str().unwrap().to_owned(), record)).collect()
}

/// How many problems of a kind 'ls --check' names, and all that it names.
pub(crate) fn problems(world: &World, kind: &str) -> (usize, Vec<Value>) {
    let ran = world.run(&["codex-agent-ls", "--check", "--json"]);
    assert!(ran.code < 2, "{ran:?}");
    let found: Vec<Value> = json(&ran.out).into_iter().filter(|record| record["type"] == "problem").collect();
    (found.iter().filter(|problem| problem["problem"] == kind).count(), found)
}

fn text<'r>(record: &'r Value, field: &str) -> &'r str {
    record[field].as_str().unwrap_or_default()
}

#[test]
fn a_directory_that_is_no_absolute_path_is_ignored() {
    for version in homes() {
        let clean = World::with_home(version);
        let fields = ["--fields", "id,cwd,title,updated_at,resume_command"];
        let (before, wanted) = (listed(&clean, &[]), listed(&clean, &fields));
        let mut directories: Vec<&str> = before.values().map(|record| text(record, "cwd")).collect();
        directories.sort();
        directories.dedup();
        let counts = |world: &World| -> Vec<String> {
            let of = |flag: &str, directory: &str, more: &[&str]| {
                world.ok(&[&["codex-agent-ls", flag, directory, "--count", "--archived"], more].concat())
            };
            let mut counts = Vec::new();
            for directory in &directories {
                let above = Path::new(directory).parent().unwrap().to_str().unwrap();
                counts.push(of("--cwd", directory, &[]));
                counts.push(of("--under", above, &["--subagents"]));
                counts.push(of("--cwd", directory, &["--cwd", above, "-n", "2"]));
                counts.push(world.ok(&["codex-agent-ls", "--cwd", directory, "-n", "1", "--fields", "id"]));
                counts.push(world.run(&["codex-agent-find", "-w", directory, "--fields", "id"]).out);
            }
            for sort in ["cwd", "cwd:desc", "created:asc", "updated"] {
                counts.push(world.ok(&["codex-agent-ls", "--sort", sort, "--fields", "id,cwd"]));
            }
            counts
        };
        let wanted_counts = counts(&clean);
        for (at, directory) in DIRECTORIES.iter().enumerate() {
            let world = World::with_home(version);
            // All rows, or every second one: then the index by directory has both kinds.
            let some = if at % 2 == 0 { "" } else { "WHERE rowid % 2 = 0" };
            let sql = format!("UPDATE threads SET cwd = ?1 {some}");
            let changed = database(&world).execute(&sql, [directory]).unwrap();
            let what = format!("{version} {directory:?}");
            assert_eq!(replaced(&listed(&world, &[]), &world), replaced(&before, &clean), "{what}");
            assert_eq!(listed(&world, &fields), wanted, "{what}");
            assert_eq!(counts(&world), wanted_counts, "{what}");
            for (id, record) in &before {
                let one = json(&world.ok(&["codex-agent-find", id, "--json"]));
                assert_eq!(one[0]["cwd"], record["cwd"], "{what}");
            }
            let (count, found) = problems(&world, "directory_disagrees");
            assert_eq!((count, found.len()), (changed, changed), "{what}: {found:?}");
            assert!(text(&found[0], "detail").contains(directory), "{found:?}");
        }
    }
}

/// Records without the path of the world that they are of.
fn replaced(records: &BTreeMap<String, Value>, world: &World) -> String {
    let home = std::fs::canonicalize(world.codex_home()).unwrap();
    serde_json::to_string(records).unwrap().replace(home.to_str().unwrap(), "HOME")
}

#[test]
fn a_session_whose_row_has_a_foreign_directory_is_opened_where_it_ran() {
    for version in ["0.137.0", "0.169.0", "0.171.0"] {
        let mut world = World::with_home(version);
        let stub = world.script("stubs/codex", &format!("#!/bin/sh\necho codex-cli {version}\n"));
        world.set("CODEX_AGENT_CODEX", stub.to_str().unwrap());
        std::fs::create_dir(world.path("there")).unwrap();
        let there = std::fs::canonicalize(world.path("there")).unwrap();
        for record in listed(&world, &[]).values() {
            if !record["archived_at"].is_null() || text(record, "rollout_path").ends_with(".zst") {
                continue;
            }
            // The recorded directory is not here, and so the rollout gets one that is.
            let path = text(record, "rollout_path");
            let rollout = std::fs::read_to_string(path).unwrap();
            std::fs::write(path, rollout.replace(text(record, "cwd"), there.to_str().unwrap())).unwrap();
        }
        database(&world).execute(r"UPDATE threads SET cwd = 'C:\mnt\e\test'", []).unwrap();
        let records = listed(&world, &["--fields", "id,cwd,archived_at,rollout_path,resume_command"]);
        let mut opened = 0;
        for (id, record) in &records {
            if text(record, "cwd") != there.to_str().unwrap() {
                continue;
            }
            let ran = world.run(&["codex-agent-resume", id, "--print", "--json"]);
            ran.case(version).succeeds();
            assert_eq!(json(&ran.out)[0]["cwd"].as_str(), there.to_str(), "{version}");
            assert_eq!(record["resume_command"][3].as_str(), there.to_str(), "{version}");
            opened += 1;
        }
        assert!(opened > 8, "{version}: {opened}");
        let count = world.ok(&["codex-agent-ls", "--cwd", "there", "--archived", "--subagents", "--count"]);
        assert_eq!(count.trim(), opened.to_string(), "{version}");
    }
}

#[test]
fn a_row_that_contradicts_its_rollout_is_reported() {
    let world = World::with_home("0.169.0");
    let before = listed(&world, &["--full"]);
    database(&world).execute("UPDATE threads SET cwd = '/somewhere/else'", []).unwrap();
    // A listing that looks into no rollout goes by the row; one that does goes by the rollout.
    assert!(listed(&world, &[]).values().all(|record| record["cwd"] == "/somewhere/else"));
    for more in [&["--full"][..], &["--fields", "id,cwd,status"]] {
        for (id, record) in listed(&world, more) {
            assert_eq!(record["cwd"], before[&id]["cwd"], "{more:?}");
        }
    }
    let (count, found) = problems(&world, "directory_disagrees");
    assert_eq!((count, found.len()), (before.len(), before.len()));
    assert!(text(&found[0], "detail").contains("/somewhere/else"), "{found:?}");
}

#[test]
fn a_rollout_path_of_another_system_is_found_by_its_last_part() {
    let prefixes = [
        (r"\\?\C:\Users\a\.codex\sessions\2026\11\22\", r"\\?\C:\Users\a\.codex\archived_sessions\"),
        (r"C:\Users\a\.codex\sessions\", r"C:\Users\a\.codex\archived_sessions\"),
        (r"\\?\UNC\server\share\", r"\\?\UNC\server\share\archived_sessions\"),
        ("C:/Users/a/.codex/sessions/2026/11/22/", "C:/Users/a/.codex/archived_sessions/"),
        ("", r"archived_sessions\"),
    ];
    for version in homes() {
        let clean = World::with_home(version);
        let before = listed(&clean, &[]);
        for (live, archived) in prefixes {
            let world = World::with_home(version);
            let connection = database(&world);
            for (id, record) in &before {
                let name = Path::new(text(record, "rollout_path")).file_name().unwrap().to_str().unwrap();
                let prefix = if record["archived_at"].is_null() { live } else { archived };
                connection
                    .execute(
                        "UPDATE threads SET rollout_path = ?2 WHERE id = ?1",
                        [id, &format!("{prefix}{name}")],
                    )
                    .unwrap();
            }
            drop(connection);
            assert_eq!(replaced(&listed(&world, &[]), &world), replaced(&before, &clean), "{version} {live}");
            let (count, found) = problems(&world, "foreign_path");
            assert_eq!((count, found.len()), (before.len(), before.len()), "{version} {live}: {found:?}");
        }
    }
}

#[test]
fn a_foreign_path_decides_between_several_files() {
    let world = World::with_home("0.169.0-odd");
    let records = listed(&world, &[]);
    let (id, newest) = records
        .iter()
        .map(|(id, record)| (id, text(record, "rollout_path").to_owned()))
        .find(|(id, path)| path.contains(&format!("{id}_")))
        .unwrap();
    let folder = Path::new(&newest).parent().unwrap();
    let names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(id.as_str()))
        .collect();
    assert!(names.len() > 1, "{names:?}");
    for name in names {
        let path = format!(r"\\?\C:\codex\sessions\2026\11\22\{name}");
        database(&world).execute("UPDATE threads SET rollout_path = ?2 WHERE id = ?1", [id, &path]).unwrap();
        let path = text(&listed(&world, &[])[id], "rollout_path").to_owned();
        assert!(path.ends_with(&name), "{path} for {name}");
    }
}
