//! The references '@', '@N' and '@@': which session was taken is printed where something is done to it,
//! and no implicit filter hides one (openai/codex 17302).

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::ls::foreign_rows::database;
use crate::world::World;
use crate::world::terminal::on_terminal;

/// A world whose sessions of project beta are in a directory that is there, with a stub for Codex that
/// writes down each call. Gives the directory too.
fn world(version: &str) -> (World, std::path::PathBuf) {
    let mut world = World::with_home(version);
    let stub = world.script(
        "stubs/codex",
        &format!("#!/bin/sh\n[ \"$1\" = --version ] && {{ echo codex-cli {version}; exit; }}\necho \"$@\" >> \"$HOME/asked\"\n"),
    );
    world.set("CODEX_AGENT_CODEX", stub.to_str().unwrap());
    fs::create_dir_all(world.path("work/beta/below")).unwrap();
    let here = fs::canonicalize(world.path("work/beta")).unwrap();
    database(&world)
        .execute("UPDATE threads SET cwd = ?1 WHERE cwd LIKE '%/beta'", [here.to_str().unwrap()])
        .unwrap();
    (world, here)
}

fn run(world: &World, directory: &Path, words: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        world.command(words[0]).args(&words[1..]).current_dir(directory).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// The ids of the sessions of a directory, the newest first.
fn sessions(world: &World, directory: &Path, more: &[&str]) -> Vec<String> {
    let words = [&["codex-agent-ls", "--cwd", ".", "--format", "{id}"], more].concat();
    run(world, directory, &words).1.lines().map(str::to_owned).collect()
}

#[test]
fn a_tool_that_acts_reports_the_session_of_its_reference() {
    for version in ["0.137.0", "0.169.0", "0.171.0"] {
        let (world, here) = world(version);
        let ids = sessions(&world, &here, &[]);
        assert!(ids.len() > 2, "{ids:?}");
        for (at, id) in ids.iter().enumerate() {
            let mut references = vec![format!("@{}", at + 1)];
            references.extend((at == 0).then(|| "@".to_owned()));
            for reference in references {
                let said = format!("'{reference}' is {id}  2026-11-2");
                for words in [
                    &["codex-agent-resume", &reference][..],
                    &["codex-agent-resume", &reference, "--prompt", "x", "--dry-run"],
                    &["codex-agent-fork", &reference, "--dry-run"],
                    &["codex-agent-name", &reference, "a name"],
                ] {
                    let (_, _, err) = run(&world, &here, words);
                    assert!(err.lines().next().is_some_and(|line| line.contains(&said)), "{words:?}: {err}");
                }
                // A script that only looks is not spoken to; a person is.
                for words in [
                    &["codex-agent-find", &reference][..],
                    &["codex-agent-resume", &reference, "--print"],
                    &["codex-agent-ls", "--forks-of", &reference],
                ] {
                    assert_eq!(run(&world, &here, words).2, "", "{words:?}");
                }
            }
        }
        let shown = on_terminal(&world, &["codex-agent-group", "add", "g", "@@"], 200);
        assert!(shown.contains("'@@' is "), "{shown}");
        let (_, _, err) = run(&world, &here, &["codex-agent-resume", &ids[0]]);
        assert_eq!(err, "", "an id needs no word");
        let asked = fs::read_to_string(world.path("home/asked")).unwrap();
        assert_eq!(asked.lines().filter(|line| line.ends_with(&ids[0])).count(), 3, "{asked}");
    }
}

#[test]
fn originator_and_provider_do_not_hide_a_session() {
    let (world, here) = world("0.171.0");
    let newest = sessions(&world, &here, &[])[0].clone();
    for (column, value) in [
        ("source", "exec"),
        ("source", "vscode"),
        ("source", r#"{"custom":"chatgpt"}"#),
        ("model_provider", "gone"),
        ("thread_source", "automation"),
        ("preview", ""),
        ("has_user_event", "0"),
    ] {
        let sql = format!("UPDATE threads SET {column} = ?2 WHERE id = ?1");
        database(&world).execute(&sql, [newest.as_str(), value]).unwrap();
        let (code, out, err) = run(&world, &here, &["codex-agent-find", "@", "--format", "{id}"]);
        assert_eq!((code, out.trim(), err.as_str()), (0, newest.as_str(), ""), "{column} {value}");
    }
}

#[test]
fn without_a_session_the_nearest_are_reported_and_nothing_starts() {
    for version in ["0.137.0", "0.171.0"] {
        let (world, here) = world(version);
        let below = here.join("below");
        let other = fs::canonicalize(world.path("home")).unwrap();
        let ids = sessions(&world, &here, &[]);
        let actions: [&[&str]; 6] = [
            &["codex-agent-resume", "@"],
            &["codex-agent-resume", "@", "--prompt", "x"],
            &["codex-agent-fork", "@"],
            &["codex-agent-name", "@", "x"],
            &["codex-agent-find", "@"],
            &["codex-agent-group", "add", "g", "@"],
        ];
        // From below, from above, and from a directory that has nothing to do with any.
        for (directory, near) in
            [(&below, Some(&ids[0])), (&here.parent().unwrap().to_owned(), Some(&ids[0])), (&other, None)]
        {
            for words in actions {
                let (code, out, err) = run(&world, directory, words);
                assert_eq!((code, out.as_str()), (1, ""), "{words:?} {err}");
                assert!(err.contains("no session '@' of the directory"), "{words:?}: {err}");
                assert!(err.contains("similar sessions:"), "{words:?}: {err}");
                assert!(near.is_none_or(|id| err.contains(id.as_str())), "{words:?}: {err}");
                assert!(err.lines().count() <= 8, "{words:?}: {err}");
            }
        }
        // Beyond the last one, the others of the directory are near.
        let beyond = format!("@{}", ids.len() + 1);
        let (code, _, err) = run(&world, &here, &["codex-agent-resume", &beyond]);
        assert!(code == 1 && ids.iter().take(5).all(|id| err.contains(id)), "{err}");
        // Archived ones are near, and never meant.
        let rows = sessions(&world, &here, &["--subagents"]);
        for id in &rows {
            let path = run(&world, &here, &["codex-agent-find", id, "--format", "{rollout_path}"]).1;
            let path = Path::new(path.trim());
            let archive = world.codex_home().join("archived_sessions");
            fs::create_dir_all(&archive).unwrap();
            fs::rename(path, archive.join(path.file_name().unwrap())).unwrap();
        }
        for words in actions {
            let (code, _, err) = run(&world, &here, words);
            assert_eq!(code, 1, "{words:?} {err}");
            assert!(err.contains(&ids[0]) && err.contains("(archived)"), "{words:?}: {err}");
        }
        assert!(!world.path("home/asked").exists(), "Codex was called");
    }
}
