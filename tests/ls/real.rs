//! The listing of homes in which the real Codex works, and when a session counts as the newest.

use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::ls::IN_BOTH_SOURCES;
use crate::world::fake::wait_until;
use crate::world::real::{Real, VERSIONS, end, real, streams};

#[test]
fn the_listing_has_the_sessions_that_codex_wrote() {
    let Some(codex) = Real::new() else { return };
    let one = codex.exec("alpha", &["  Mend the parser \n"]);
    let two = codex.exec("beta", &["Write the notes"]);
    codex.exec("alpha", &["resume", &one, "And test it"]);
    codex.ask("thread/name/set", json!({"threadId": one, "name": "parser work"}));
    let fork = codex.exec("alpha", &["fork", &one, "Try another way"]);
    let gone = codex.exec("beta", &["Old things"]);
    let archive = codex.command("beta").args(["archive", &gone]).output().unwrap();
    assert!(archive.status.success(), "{}", streams(&archive));

    let ids = |list: &[Value]| list.iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&codex.list(&[])), [fork.clone(), one.clone(), two.clone()]);
    assert_eq!(ids(&codex.list(&["--no-database"])), [fork.clone(), one.clone(), two.clone()]);
    assert_eq!(ids(&codex.list(&["--archived=only"])), std::slice::from_ref(&gone));
    assert_eq!(ids(&codex.list(&["--archived=only", "--no-database"])), [gone]);

    let row = &codex.list(&["--sort", "created:asc", "-n", "1", "--full"])[0];
    assert_eq!((row["title"].as_str(), row["name"].as_str()), (Some("Mend the parser"), Some("parser work")));
    assert_eq!(
        (row["cwd"].as_str(), row["git"]["branch"].as_str()),
        (Some(real(codex.world.path("alpha")).as_str()), Some("trunk"))
    );
    assert_eq!(row["git"]["origin_url"], "https://example.com/alpha.git");
    assert_eq!((row["source"].as_str(), row["originator"].as_str()), (Some("exec"), Some("codex_exec")));
    assert_eq!((row["status"].as_str(), row["found_in"].as_str()), (Some("idle"), Some("both")));
    assert_eq!(row["cli_version"], VERSIONS[0]);
    assert!(row["tokens_used"].as_i64().unwrap() > 0);
    let forks = codex.list(&["--forks-of", &one]);
    assert_eq!(ids(&forks), [fork]);

    // A fork takes the name with it; the one that was named is meant.
    let found = codex.world.run(&["codex-agent-find", "--one", "parser work", "--format", "{id}"]);
    found.succeeds();
    assert_eq!(found.out.trim(), one.as_str(), "{}", found.err);

    let rows = codex.list(&["--full", "--archived", "--sort", "created"]);
    let files = codex.list(&["--full", "--archived", "--sort", "created", "--no-database"]);
    assert_eq!(ids(&rows), ids(&files));
    for (row, file) in rows.iter().zip(&files) {
        for field in IN_BOTH_SOURCES {
            assert_eq!(row[field], file[field], "{field}: {row} {file}");
        }
    }
    codex.world.run(&["codex-agent-ls", "--check"]).succeeds();
}

#[test]
fn a_session_is_running_during_a_turn_and_not_after_a_kill() {
    let Some(codex) = Real::new() else { return };
    let (child, id) = codex.exec_slowly("alpha", "Think long SLEEP60");
    for source in ["--color=never", "--no-database"] {
        let list = codex.list(&["--full", source]);
        assert_eq!(
            (list[0]["id"].as_str(), list[0]["status"].as_str()),
            (Some(id.as_str()), Some("running")),
            "{source}"
        );
    }
    end(child);
    // Behind the launcher that was waited for, the system may take a moment to end Codex itself.
    let is_over = || codex.list(&["--full"])[0]["status"] == "interrupted";
    wait_until(is_over);
    assert_eq!(codex.list(&["--full", "--no-database"])[0]["status"], "interrupted");
    codex.exec("alpha", &["resume", &id, "Go on"]);
    assert_eq!(codex.list(&["--full"])[0]["status"], "idle");
    let fails = codex
        .command("alpha")
        .args(["exec", "--skip-git-repo-check", "resume", &id, "FAIL400"])
        .output()
        .unwrap();
    assert!(!fails.status.success());
    assert_eq!(codex.list(&["--full"])[0]["status"], "failed");
}

#[test]
fn a_session_has_the_directory_of_its_last_turn() {
    let Some(codex) = Real::new() else { return };
    let id = codex.exec("alpha", &["Begin here"]);
    codex.exec("beta", &["resume", &id, "Go on there"]);
    let there = real(codex.world.path("beta"));
    for more in [&[][..], &["--full"], &["--full", "--no-database"]] {
        assert_eq!(codex.list(more)[0]["cwd"].as_str(), Some(there.as_str()), "{more:?}");
    }
    assert_eq!(codex.list(&["--cwd", &there]).len(), 1);
}

#[test]
fn a_listing_does_not_block_codex() {
    let Some(codex) = Real::new() else { return };
    codex.exec("alpha", &["First"]);
    let mut children: Vec<Child> = Vec::new();
    for n in 0..3 {
        let mut command = codex.command("alpha");
        command.args(["exec", "--json", "--skip-git-repo-check", &format!("Number {n} SLEEP1")]);
        children.push(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    }
    let mut seen = 0;
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        let ran = codex.world.run(&["codex-agent-ls", "--json", "--full"]);
        ran.succeeds().reports_exactly("");
        let count = ran.out.lines().count();
        assert!(count >= seen, "a session was listed and then was not");
        seen = count;
    }
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success() && String::from_utf8_lossy(&output.stdout).contains("turn.completed"),
            "{}",
            streams(&output)
        );
    }
    assert_eq!(codex.list(&[]).len(), 4);
}

#[test]
fn names_are_listed_that_a_rebuilt_database_has_lost() {
    let Some(codex) = Real::new() else { return };
    let id = codex.exec("alpha", &["Something"]);
    codex.ask("thread/name/set", json!({"threadId": id, "name": "kept"}));
    for entry in std::fs::read_dir(codex.world.codex_home()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("state_") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    codex.ask("thread/list", json!({"limit": 10, "sourceKinds": ["exec", "cli", "vscode"]}));
    let database = codex.world.codex_home().join("state_5.sqlite");
    assert!(Path::new(&database).exists(), "Codex has not rebuilt its database");
    let row = &codex.list(&[])[0];
    assert_eq!((row["name"].as_str(), row["found_in"].as_str()), (Some("kept"), Some("both")));
}

/// Where a listing looks, as far as the version's database has the time of the last turn.
fn sources(version: &str) -> &'static [&'static str] {
    match version {
        "0.120.0" | "0.106.0" => &["--no-database"],
        _ => &["--color=never", "--no-files", "--no-database"],
    }
}

impl Real {
    fn newest_first(&self, source: &str) -> Vec<String> {
        let list = self.list(&[source]);
        list.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    }

    fn updated(&self, id: &str, source: &str) -> String {
        let list = self.list(&[source]);
        list.iter().find(|record| record["id"] == id).unwrap()["updated_at"].as_str().unwrap().to_owned()
    }
}

#[test]
fn naming_and_archiving_make_no_session_the_newest() {
    for version in VERSIONS {
        let Some(codex) = Real::with_version(version) else { continue };
        let old = codex.exec("alpha", &["Old work"]);
        let middle = codex.exec("alpha", &["Work between"]);
        let new = codex.exec("alpha", &["New work"]);
        let want = [&new, &middle, &old];
        let before: Vec<_> = sources(version).iter().map(|source| codex.updated(&old, source)).collect();
        let holds = |what: &str| {
            for (source, before) in sources(version).iter().zip(&before) {
                let told = format!("{version} {source}: after {what}");
                assert_eq!(codex.newest_first(source).iter().collect::<Vec<_>>(), want, "{told}");
                assert_eq!(&codex.updated(&old, source), before, "{told}");
                let newest = codex.world.ok(&["codex-agent-find", "@@", source, "--fields", "id"]);
                assert_eq!(newest.trim(), new, "{told}");
                let since = codex.updated(&middle, source);
                let listed = codex.list(&[source, "--since", &since]);
                assert!(listed.iter().all(|record| record["id"] != old.as_str()), "{told}");
            }
            let here = codex
                .world
                .command("codex-agent-find")
                .args(["@", sources(version)[0]])
                .args(["--fields", "id"])
                .current_dir(codex.world.path("alpha"))
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&here.stdout).trim(), new, "{version}: '@' after {what}");
        };
        holds("three sessions");
        // Codex takes a session's own time for the first and one past the newest for the next.
        for (n, id) in [&old, &middle, &old, &middle, &old].into_iter().enumerate() {
            let ran = codex.world.run(&["codex-agent-name", id, &format!("name {n}")]);
            ran.case(version).succeeds();
            holds("a name");
        }
        codex.ask("thread/archive", json!({"threadId": old}));
        codex.ask("thread/unarchive", json!({"threadId": old}));
        holds("an unarchive");
        codex.ask("thread/resume", json!({"threadId": old}));
        holds("a look at it");
        codex.exec("alpha", &["resume", &old, "Work again"]);
        for source in sources(version) {
            assert_eq!(codex.newest_first(source)[0], old, "{version} {source}");
        }
    }
}

#[test]
fn a_long_turn_counts_from_its_start_in_rows_and_files_alike() {
    for version in VERSIONS {
        let Some(codex) = Real::with_version(version) else { continue };
        let mut slow = codex.command("alpha");
        slow.args(["exec", "--json", "--skip-git-repo-check", "Think SLEEP4"]);
        let mut slow = slow.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until(|| !codex.model.requests().is_empty());
        let long = codex.model.requests()[0].session.clone();
        let quick = codex.exec("alpha", &["Be quick"]);
        assert!(slow.try_wait().unwrap().is_none(), "the long turn was over too soon");
        let sources = sources(version);
        let during: Vec<_> = sources.iter().map(|source| codex.updated(&long, source)).collect();
        assert!(slow.wait().unwrap().success());
        for (source, during) in sources.iter().zip(&during) {
            assert_eq!(codex.newest_first(source), [quick.clone(), long.clone()], "{version} {source}");
            // A turn of an old version has its id in its last line.
            if version != "0.120.0" && version != "0.106.0" {
                assert_eq!(&codex.updated(&long, source), during, "{version} {source}");
            }
        }
    }
}
