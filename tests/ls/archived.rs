//! A session is archived if its file is, whatever its row has. Codex itself lists,
//! archives and unarchives by (0.137, 0.171), and what it puts the row right by.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::ls::foreign_rows::homes;
use crate::ls::foreign_rows::{database, listed, problems};
use crate::world::World;
use crate::world::real::Real;

/// The states of a row and a file: flag, directory of the row's path, directory of the file.
fn cases() -> impl Iterator<Item = (bool, bool, bool)> {
    (0..8).map(|case| (case & 1 != 0, case & 2 != 0, case & 4 != 0))
}

/// Sets the state of the row and the file of a session, and gives the path of the file.
fn arrange(world: &World, id: &str, path: &str, (flag, said, lies): (bool, bool, bool)) -> PathBuf {
    let home = fs::canonicalize(world.codex_home()).unwrap();
    let file = Path::new(path).file_name().unwrap().to_str().unwrap();
    let day = file["rollout-".len()..][..10].replace('-', "/");
    let place = |archived: bool| match archived {
        true => home.join("archived_sessions").join(file),
        false => home.join("sessions").join(&day).join(file),
    };
    fs::create_dir_all(place(lies).parent().unwrap()).unwrap();
    if path != place(lies).to_str().unwrap() {
        fs::rename(path, place(lies)).unwrap();
    }
    let row = place(said).to_str().unwrap().to_owned();
    database(world)
        .execute(
            "UPDATE threads SET archived = ?2, archived_at = iif(?2, 1795341600, NULL), rollout_path = ?3 WHERE id = ?1",
            rusqlite::params![id, flag, row],
        )
        .unwrap();
    place(lies)
}

fn ids(world: &World, more: &[&str]) -> BTreeSet<String> {
    let out = world.ok(&[&["codex-agent-ls", "--subagents", "--format", "{id}"], more].concat());
    out.lines().map(str::to_owned).collect()
}

#[test]
fn the_file_of_a_session_decides_whether_it_is_archived() {
    for version in homes() {
        for shift in 0..4 {
            let world = World::with_home(version);
            let before = listed(&world, &[]);
            let (mut live, mut archived) = (BTreeSet::new(), BTreeSet::new());
            let (mut flagged, mut wrong) = (BTreeSet::new(), 0);
            let cases: Vec<_> = cases().collect();
            for (at, (id, record)) in before.iter().enumerate() {
                let path = record["rollout_path"].as_str().unwrap();
                // A session of two files stays as it is.
                if path.contains(&format!("{id}_")) {
                    live.insert(id.clone());
                    continue;
                }
                let case = cases[(at * 3 + shift) % 8];
                arrange(&world, id, path, case);
                let (flag, said, lies) = case;
                if lies { &mut archived } else { &mut live }.insert(id.clone());
                if flag {
                    flagged.insert(id.clone());
                }
                wrong += usize::from(flag != lies || said != lies);
            }
            for source in [&[][..], &["--no-database"]] {
                let with = |more: &[&'static str]| ids(&world, &[source, more].concat());
                assert_eq!(with(&[]), live, "{version} {shift} {source:?}");
                assert_eq!(with(&["--archived=only"]), archived, "{version} {shift} {source:?}");
                assert_eq!(with(&["--archived"]).len(), before.len(), "{version} {shift} {source:?}");
                let newest: Vec<String> = world
                    .ok(&[&["codex-agent-ls", "--subagents", "--format", "{id}", "-n", "3"], source].concat())
                    .lines()
                    .map(str::to_owned)
                    .collect();
                assert!(newest.len() == 3.min(live.len()) && newest.iter().all(|id| live.contains(id)));
            }
            // The database alone has nothing but its flag.
            assert_eq!(ids(&world, &["--no-files", "--archived=only"]), flagged, "{version} {shift}");
            for (id, record) in listed(&world, &["--full"]) {
                let is_archived = archived.contains(&id);
                assert_eq!(record["archived_at"].is_null(), !is_archived, "{version} {record}");
                assert!(!is_archived || record["resume_command"].is_null(), "{version} {record}");
                if is_archived && flagged.contains(&id) {
                    assert!(
                        record["archived_at"].as_str().unwrap().starts_with("2026-11-22T10:00"),
                        "{record}"
                    );
                }
                let one = world.ok(&["codex-agent-find", &id, "--json"]);
                assert_eq!(crate::world::json(&one)[0]["archived_at"], record["archived_at"], "{version}");
            }
            // An index by directory serves both.
            let directories: BTreeSet<&str> = before.values().filter_map(|r| r["cwd"].as_str()).collect();
            let mut by_directory = BTreeSet::new();
            for directory in directories {
                by_directory.extend(ids(&world, &["--cwd", directory]));
            }
            assert_eq!(by_directory, live, "{version} {shift}");
            let (count, found) = problems(&world, "archived_disagrees");
            assert_eq!((count, found.len()), (wrong, wrong), "{version} {shift}: {found:?}");
        }
    }
}

#[test]
fn codex_lists_the_same_sessions_as_archived() {
    for version in ["0.171.0", "0.137.0"] {
        let Some(codex) = Real::with_version(version) else { return };
        let mut wanted = (BTreeSet::new(), BTreeSet::new());
        for case in cases() {
            let id = codex.exec("beta", &["Keep this"]);
            let record = listed(&codex.world, &[])[&id].clone();
            arrange(&codex.world, &id, record["rollout_path"].as_str().unwrap(), case);
            if case.2 { &mut wanted.1 } else { &mut wanted.0 }.insert(id);
        }
        let ours = (ids(&codex.world, &[]), ids(&codex.world, &["--archived=only"]));
        assert_eq!(ours, wanted, "{version}");
        // Codex repairs rows when it lists, and so it is asked last.
        let theirs = [false, true].map(|archived| {
            let params = json!({"archived": archived, "sourceKinds": ["exec"], "limit": 50});
            let answer = codex.ask("thread/list", params);
            let id = |thread: &Value| thread["id"].as_str().unwrap().to_owned();
            answer["data"].as_array().unwrap().iter().map(id).collect::<BTreeSet<_>>()
        });
        assert_eq!((&theirs[0], &theirs[1]), (&wanted.0, &wanted.1), "{version}");
        assert_eq!(ids(&codex.world, &[]), wanted.0, "{version}: after Codex repaired its rows");
    }
}
