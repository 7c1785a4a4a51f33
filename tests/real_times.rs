//! The real Codex: what makes a session the newest, and what does not.

use std::process::Stdio;

use serde_json::json;

use crate::faked::wait_until;
use crate::real::{Real, VERSIONS};

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
fn a_name_an_archive_and_an_unarchive_make_no_session_the_newest() {
    for version in VERSIONS {
        let Some(codex) = Real::of(version) else { continue };
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
            assert_eq!(ran.code, 0, "{version}: {}", ran.err);
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
        let Some(codex) = Real::of(version) else { continue };
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
