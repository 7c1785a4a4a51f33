//! Stores of rollouts of other shapes than one directory in one home: shared by two homes, behind links, with
//! files outside; with many broken files; with names, forks and directories that mislead.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::ls::foreign_rows::{database, listed, problems};
use crate::world::real::Real;
use crate::world::rollouts::{id, message, meta, put};
use crate::world::{Ran, World, json};

/// Rollouts of sessions by what their manifest calls them.
fn labels(version: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(crate::world::data(&format!("homes/{version}/manifest.tsv"))).unwrap();
    let cells = |line: &str| {
        let mut cells = line.split('\t').map(str::to_owned);
        (cells.next().unwrap(), cells.next().unwrap())
    };
    text.lines().map(cells).collect()
}

#[test]
fn two_homes_with_one_store_list_each_session_once() {
    for version in ["0.137.0", "0.169.0", "0.169.0-odd", "0.171.0"] {
        let world = World::with_home(version);
        let want: Vec<String> = listed(&world, &[]).into_keys().collect();
        let home = fs::canonicalize(world.codex_home()).unwrap();
        fs::rename(home.join("sessions"), world.path("shared")).unwrap();
        symlink(world.path("shared"), home.join("sessions")).unwrap();
        let other = world.path("other");
        fs::create_dir(&other).unwrap();
        // The second home shares the database as well, by a link or as a copy of its own.
        for name in ["sessions", "archived_sessions", "session_index.jsonl"] {
            if home.join(name).exists() {
                symlink(home.join(name), other.join(name)).unwrap();
            }
        }
        let homes = [home.to_str().unwrap(), other.to_str().unwrap()];
        for database in ["none", "a link", "a copy"] {
            let path = other.join("state_5.sqlite");
            let _ = fs::remove_file(&path);
            match database {
                "a link" => symlink(home.join("state_5.sqlite"), &path).unwrap(),
                "a copy" => drop(fs::copy(home.join("state_5.sqlite"), &path).unwrap()),
                _ => {}
            }
            for at in homes {
                for more in [&[][..], &["--no-database"], &["--full"]] {
                    let now = listed(&world, &[&["--codex-home", at], more].concat());
                    assert!(now.keys().eq(want.iter()), "{version} {at} {database} {more:?}");
                    let lies = |record: &Value| Path::new(record["rollout_path"].as_str().unwrap()).is_file();
                    assert!(now.values().all(lies), "{version} {at} {database}");
                }
            }
        }
        assert_eq!(
            problems(&world, "outside_home").0,
            0,
            "{version}: a link in the place of sessions is followed"
        );
        assert_eq!(problems(&world, "duplicate_file").0, 0, "{version}");
    }
}

/// A stub that would write down each call but that for its version.
fn with_stub(world: &mut World, version: &str) {
    let stub = world.script(
        "stubs/codex",
        &format!("#!/bin/sh\n[ \"$1\" = --version ] && {{ echo codex-cli {version}; exit; }}\necho \"$@\" >> \"$HOME/asked\"; exit 9\n"),
    );
    world.set("CODEX_AGENT_CODEX", stub.to_str().unwrap());
}

/// Takes the rollout of a session out of the home in one of the ways that Codex does not follow.
fn take_out(world: &World, path: &Path, way: &str) -> PathBuf {
    fs::create_dir_all(world.path("outside")).unwrap();
    let outside = fs::canonicalize(world.path("outside")).unwrap();
    let to = outside.join(path.file_name().unwrap());
    match way {
        "a day is a link" => {
            let day = path.parent().unwrap();
            fs::rename(day, outside.join("day")).unwrap();
            symlink(outside.join("day"), day).unwrap();
            return outside.join("day").join(path.file_name().unwrap());
        }
        "a file is a link" => {
            fs::rename(path, &to).unwrap();
            symlink(&to, path).unwrap();
        }
        _ => {
            fs::rename(path, &to).unwrap();
            let id = &path.file_name().unwrap().to_str().unwrap()[28..64];
            database(world)
                .execute("UPDATE threads SET rollout_path = ?2 WHERE id = ?1", [id, to.to_str().unwrap()])
                .unwrap();
        }
    }
    to
}

const WAYS: [&str; 3] = ["a day is a link", "a file is a link", "the row says so"];

#[test]
fn a_fork_of_a_rollout_outside_the_home_is_refused() {
    let labels = labels("0.169.0-odd");
    let of = |label: &str| labels[label].as_str();
    for way in WAYS {
        let mut world = World::with_home("0.169.0-odd");
        with_stub(&mut world, "0.171.0");
        let records = listed(&world, &[]);
        let root = PathBuf::from(records[of("chain-root")]["rollout_path"].as_str().unwrap());
        let real = take_out(&world, &root, way);
        for label in ["chain-root", "chain-fork", "chain-fork-fork", "truncated-fork", "fork-no-turn"] {
            for more in [&[][..], &["--nth-message", "1"], &["-n", "3"], &["--prompt", "x"]] {
                let ran = world.run(&[&["codex-agent-fork", of(label), "--cwd", "."], more].concat());
                let what = format!("{way} {label} {more:?}: {}", ran.err);
                ran.case(&what).exits(2).prints("");
                let why = ["outside of Codex's home", "is not in this home"];
                assert!(why.iter().any(|why| ran.err.contains(why)), "{what}");
                ran.case(&what).reports(of(label)).reports("nothing was forked");
                // A day has all of them, and then the one that was asked for is named.
                if way != "a day is a link" {
                    ran.case(&what).reports(of("chain-root"));
                }
                if way == "a file is a link" {
                    ran.case(&what).reports(real.to_str().unwrap());
                }
            }
        }
        // One of several files is enough, wherever it is.
        let ran = world.run(&["codex-agent-fork", of("legacy"), of("chain-fork"), "--cwd", "."]);
        ran.case(way).exits(2).reports("nothing was forked");
        assert!(!world.path("home/asked").exists(), "{way}: Codex was called");
        assert!(problems(&world, "outside_home").0 > 0, "{way}");
        assert_eq!(listed(&world, &[]).len(), records.len(), "{way}");
        // Codex before 0.148 has no lineage.
        with_stub(&mut world, "0.137.0");
        let ran = world.run(&["codex-agent-fork", of("legacy"), "--cwd", "."]);
        ran.never_reports("outside of");
    }
    let mut world = World::with_home("0.169.0-odd");
    with_stub(&mut world, "0.171.0");
    let root = listed(&world, &[])[of("chain-root")]["rollout_path"].as_str().unwrap().to_owned();
    fs::remove_file(root).unwrap();
    let ran = world.run(&["codex-agent-fork", of("chain-fork-fork"), "--cwd", "."]);
    ran.exits(2);
    ran.reports("is not in this home").reports(of("chain-root"));
}

#[test]
fn codex_refuses_the_same_forks() {
    let Some(codex) = Real::new() else { return };
    let root = codex.exec("alpha", &["The root"]);
    let fork = codex.world.run(&["codex-agent-fork", &root, "--json"]);
    let fork = json(&fork.out)[0]["id"].as_str().unwrap().to_owned();
    codex.exec("alpha", &["resume", &fork, "Its own turn"]);
    let forks = |id: &str| {
        let output = codex
            .command("alpha")
            .args(["exec", "--json", "--skip-git-repo-check", "fork", id])
            .output()
            .unwrap();
        output.status.success()
    };
    let ours = |id: &str| -> Ran { codex.world.run(&["codex-agent-fork", id]) };
    let home = fs::canonicalize(codex.world.codex_home()).unwrap();
    fs::rename(home.join("sessions"), codex.world.path("store")).unwrap();
    symlink(codex.world.path("store"), home.join("sessions")).unwrap();
    for id in [&root, &fork] {
        assert!(forks(id) && ours(id).code == 0, "sessions behind a link: {}", ours(id).err);
    }
    fs::remove_file(home.join("sessions")).unwrap();
    fs::rename(codex.world.path("store"), home.join("sessions")).unwrap();
    let path = listed(&codex.world, &[])[&root]["rollout_path"].as_str().unwrap().to_owned();
    take_out(&codex.world, Path::new(&path), "a file is a link");
    for id in [&root, &fork] {
        let ran = ours(id);
        assert!(!forks(id), "Codex forks {id} now: we must not refuse it");
        ran.exits(2).reports("outside of Codex's home");
        ran.reports("nothing was forked");
    }
}

#[test]
fn broken_rollouts_print_one_warning_and_a_check_names_each() {
    for count in [1, 2, 40, 300] {
        let world = World::new();
        for number in 0..3 {
            put(&world, number, meta(number, "") + &message("good"));
        }
        for number in 100..100 + count {
            put(
                &world,
                number,
                ["hello\n".repeat(40), "{\"a\":1}\n".repeat(40), "\n".repeat(30)][number % 3].as_bytes(),
            );
        }
        for words in [
            &["codex-agent-ls", "--json"][..],
            &["codex-agent-ls", "-n", "2"],
            &["codex-agent-ls", "--sort", "created"],
            &["codex-agent-ls", "--full", "--count"],
            &["codex-agent-find", "good"],
            &["codex-agent-group", "add", "g", "@@", &id(1), &id(2)],
            &["codex-agent-ls", "--group", "g", "--status", "idle"],
        ] {
            let ran = world.run(words);
            ran.succeeds();
            // A group has none of the broken ones, and looks at none.
            let lines = ran.err.lines().filter(|line| line.contains("cannot read")).count();
            assert!(lines <= 1 && (lines == 1 || words.contains(&"--group")), "{words:?}: {}", ran.err);
            if lines == 1 && count > 1 {
                ran.reports(format!("{count} rollouts"));
                ran.reports(id(100)).reports("ls --check");
            }
        }
        let (found, all) = problems(&world, "unreadable_file");
        assert_eq!((found, all.len()), (count, count));
        let ids: BTreeSet<&str> = all.iter().map(|problem| problem["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), count);
    }
}

#[test]
fn a_late_first_message_is_found_for_a_row_without_a_preview() {
    // openai/codex 28559: the first message behind 430 long lines, so that a page from the files lacks it.
    for version in ["0.137.0", "0.171.0"] {
        let world = World::with_home(version);
        let record = listed(&world, &[])
            .into_values()
            .find(|record| record["title"] == "Add a README section")
            .unwrap();
        let (id, path) = (record["id"].as_str().unwrap(), record["rollout_path"].as_str().unwrap());
        let text = fs::read_to_string(path).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        let filler = format!(
            r#"{{"timestamp":"2026-11-22T10:00:01.000Z","type":"response_item","payload":{{"type":"reasoning","encrypted_content":"{}"}}}}"#,
            "x".repeat(9000)
        );
        fs::write(path, format!("{first}\n{}{rest}", format!("{filler}\n").repeat(430))).unwrap();
        for source in [&[][..], &["--no-database"]] {
            let cwd = record["cwd"].as_str().unwrap();
            for words in [
                &["codex-agent-ls", "--cwd", cwd, "--format", "{id}"][..],
                &["codex-agent-find", "README section", "--format", "{id}"],
                &["codex-agent-find", id, "--format", "{id}"],
            ] {
                let out = world.ok(&[words, source].concat());
                assert!(out.lines().any(|line| line == id), "{version} {words:?} {source:?}: {out}");
            }
        }
    }
}

#[test]
fn a_check_names_a_directory_that_exists_only_in_other_case() {
    let cases: [(&[&str], &str, Option<&str>); 7] = [
        (&["mnt/GH/x"], "mnt/gh/x", Some("mnt/GH/x")),
        (&["mnt/GH/X"], "mnt/gh/x", Some("mnt/GH/X")),
        (&["Mnt/\u{c4}b"], "mnt/\u{e4}b", Some("Mnt/\u{c4}b")),
        // Both are there, several are alike, or none is.
        (&["mnt/GH/x", "mnt/gh/x"], "mnt/gh/x", None),
        (&["mnt/GH/x", "mnt/Gh/y"], "mnt/gh/x", None),
        (&["mnt/GH/z"], "mnt/gh/x", None),
        (&[], "mnt/gh/x", None),
    ];
    for version in ["0.137.0", "0.171.0"] {
        for (there, said, want) in cases {
            let world = World::with_home(version);
            for directory in there {
                fs::create_dir_all(world.path("disk").join(directory)).unwrap();
            }
            fs::create_dir_all(world.path("disk")).unwrap();
            let disk = fs::canonicalize(world.path("disk")).unwrap();
            let said = disk.join(said);
            for record in listed(&world, &[]).values() {
                let path = record["rollout_path"].as_str().unwrap();
                let text = fs::read_to_string(path).unwrap();
                fs::write(path, text.replace(record["cwd"].as_str().unwrap(), said.to_str().unwrap()))
                    .unwrap();
            }
            let rows =
                database(&world).execute("UPDATE threads SET cwd = ?1", [said.to_str().unwrap()]).unwrap();
            let (count, found) = problems(&world, "directory_case");
            assert_eq!(count, usize::from(want.is_some()), "{version} {said:?}: {found:?}");
            assert_eq!(count, found.len(), "{found:?}");
            if let Some(want) = want {
                assert_eq!(found[0]["path"].as_str(), said.to_str());
                let detail = found[0]["detail"].as_str().unwrap();
                let sessions = format!("{rows} sessions");
                assert!(
                    detail.contains(disk.join(want).to_str().unwrap()) && detail.contains(&sessions),
                    "{detail}"
                );
            }
            // Exact by default: nothing is folded.
            let other = disk.join(want.unwrap_or("mnt/OTHER"));
            assert_eq!(world.ok(&["codex-agent-ls", "--count", "--cwd", other.to_str().unwrap()]), "0\n");
        }
    }
}

#[test]
fn names_of_missing_sessions_are_ignored() {
    for version in ["0.106.0", "0.137.0", "0.169.0", "0.171.0"] {
        let world = World::with_home(version);
        let records = listed(&world, &[]);
        let plain: Vec<&String> = records
            .iter()
            .filter(|(_, record)| {
                record["name"].is_null() && record["archived_at"].is_null() && record["subagent"].is_null()
            })
            .map(|(id, _)| id)
            .collect();
        let (a, b) = (plain[0].as_str(), plain[1].as_str());
        let line = |id: &str, name: &str| {
            format!(
                "{{\"id\":\"{id}\",\"thread_name\":\"{name}\",\"updated_at\":\"2026-11-22T10:50:16Z\"}}\n"
            )
        };
        let index = world.codex_home().join("session_index.jsonl");
        let find = |name: &str| {
            let ran = world.run(&["codex-agent-find", "--one", &format!("name:{name}"), "--format", "{id}"]);
            (ran.code, ran.out.trim().to_owned(), ran.err)
        };
        let named = |name: &str| find(name).1;
        let was = fs::read_to_string(&index).unwrap_or_default();
        // A newer line of a session that never was does not hide the older session of that name.
        fs::write(&index, format!("{was}{}{}", line(a, "the name"), line(&id(77), "the name"))).unwrap();
        assert_eq!(named("the name"), a, "{version}");
        assert_eq!(find("only there").0, 1, "{version}");
        // Two sessions of one name are several, with both as candidates.
        fs::write(
            &index,
            format!("{was}{}{}{}", line(a, "the name"), line(b, "the name"), line(&id(77), "only there")),
        )
        .unwrap();
        let (code, out, err) = find("the name");
        assert!(code == 2 && out.is_empty() && err.contains(a) && err.contains(b), "{version}: {err}");
        assert_eq!(find("only there").0, 1, "{version}");
        // A name that was taken away by a shorter file is gone, and no file means nothing of other names.
        fs::write(&index, format!("{was}{}", line(b, "the name"))).unwrap();
        assert_eq!(named("the name"), b, "{version}");
        fs::remove_file(&index).unwrap();
        assert_eq!(find("the name").0, 1, "{version}");
        let now = listed(&world, &[]);
        assert!(now.keys().eq(records.keys()), "{version}");
        let has_column = database(&world).prepare("SELECT name FROM threads").is_ok();
        for (id, record) in &now {
            if has_column {
                assert_eq!(record["name"], records[id]["name"], "{version}");
            }
            assert_eq!(record["title"], records[id]["title"], "{version}");
        }
        // The name in a row precedes another name in a line.
        if has_column {
            database(&world).execute("UPDATE threads SET name = 'of the row' WHERE id = ?1", [a]).unwrap();
            fs::write(&index, line(a, "of the line")).unwrap();
            assert_eq!((named("of the row").as_str(), find("of the line").0), (a, 1), "{version}");
        }
    }
}

#[test]
fn the_first_line_of_a_copied_fork_decides_its_id() {
    // A fork that Codex copied in another directory: its own line, then its parent's with the other one.
    for with_row in [false, true] {
        let world = World::new();
        let [a, b] = ["a", "b"].map(|name| {
            fs::create_dir_all(world.path(name)).unwrap();
            fs::canonicalize(world.path(name)).unwrap().to_str().unwrap().to_owned()
        });
        let parent = meta(1, "").replace("/src/alpha", &a);
        put(&world, 1, parent.clone() + &message("of the parent"));
        let fork = meta(2, "")
            .replace("/src/alpha", &b)
            .replace(r#""cwd":"#, &format!(r#""forked_from_id":"{}","cwd":"#, id(1)));
        put(&world, 2, fork + &parent + &message("of the parent") + &message("of the fork"));
        if with_row {
            let database = crate::world::rollouts::database(&world, "state_5.sqlite");
            for (number, cwd) in [(1, &a), (2, &b)] {
                crate::world::rollouts::row(&database, number, "of the parent");
                database.execute("UPDATE threads SET cwd = ?2 WHERE id = ?1", [&id(number), cwd]).unwrap();
            }
        }
        for more in [&[][..], &["--full"], &["--no-database"], &["--no-database", "--full"]] {
            let ids = |flag: &str, value: &str| {
                let words = ["codex-agent-ls", "--format", "{id}", flag, value];
                world
                    .ok(&[&words[..], more].concat())
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(ids("--cwd", &b), [id(2)], "{with_row} {more:?}");
            assert_eq!(ids("--under", &b), [id(2)], "{with_row} {more:?}");
            assert_eq!(ids("--cwd", &a), [id(1)], "{with_row} {more:?}");
            assert_eq!(ids("--forks-of", &id(1)), [id(2)], "{with_row} {more:?}");
            assert_eq!(ids("--forks-of", &id(2)), [""; 0], "{with_row} {more:?}");
        }
        for name in ["foreign_file", "directory_disagrees", "duplicate_file"] {
            assert_eq!(problems(&world, name).0, 0, "{with_row} {name}");
        }
        let mut at = world.command("codex-agent-find");
        let output = at.current_dir(&b).args(["@", "--format", "{id} {cwd}"]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), format!("{} {b}", id(2)), "{with_row}");
    }
}
