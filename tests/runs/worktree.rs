//! Sessions in worktrees of Codex, and jobs that share a directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::fake::{Fake, failures, of_type};
use crate::world::json as records;
use crate::world::real::Real;

/// Makes a directory of the world a repository with one commit.
fn commit(fake: &Fake, name: &str) -> PathBuf {
    let directory = fake.0.path(name);
    fs::create_dir_all(directory.join("sub")).unwrap();
    fs::write(directory.join("sub/kept"), "committed").unwrap();
    let git = "git init -q -b trunk . && git add . && git -c user.name=n -c user.email=e@example.com commit -qm one";
    let made = fake.0.command("sh").args(["-c", git]).current_dir(&directory).status().unwrap();
    assert!(made.success());
    fs::write(directory.join("new"), "not committed").unwrap();
    fs::canonicalize(directory).unwrap()
}

/// A Codex whose directory `work` is a repository.
fn repository() -> Fake {
    let fake = Fake::newest();
    commit(&fake, "work");
    fake
}

/// The working directories of all sessions.
fn directories(fake: &Fake) -> Vec<String> {
    fake.list().iter().map(|session| session["cwd"].as_str().unwrap().to_owned()).collect()
}

fn started(events: &[Value]) -> Vec<String> {
    of_type(events, "job.started").iter().map(|event| event["cwd"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_session_begins_in_a_worktree_and_is_resumed_there() {
    let fake = repository();
    let (ran, events) = fake.events(&["run", "--worktree", "-p", "one", "-p", "two"]);
    ran.succeeds().never_reports(" share ");
    let main = fs::canonicalize(fake.0.path("work")).unwrap();
    assert_eq!(started(&events), [main.to_str().unwrap(); 2]);
    let trees: BTreeSet<String> = directories(&fake).into_iter().collect();
    assert_eq!(trees.len(), 2);
    for tree in &trees {
        let tree = Path::new(tree);
        assert!(
            tree.starts_with(fake.0.codex_home().join("worktrees")) && tree.ends_with("work"),
            "{tree:?}"
        );
        // The commit, without what is not committed.
        assert!(tree.join("sub/kept").exists() && !tree.join("new").exists(), "{tree:?}");
    }
    let one = fake.list()[0].clone();
    let id = one["id"].as_str().unwrap();
    let (ran, events) = fake.events(&["resume", id, "--prompt", "more"]);
    ran.succeeds();
    assert_eq!(started(&events), [one["cwd"].as_str().unwrap()]);
    let tree = one["cwd"].as_str().unwrap();
    fake.tool(&["resume", id, "--print"]).succeeds().shows(format!("cd {tree} && "));
    // A subdirectory is the same subdirectory of the worktree.
    fake.tool(&["run", "--worktree", "--cwd", "sub", "three"]).succeeds();
    assert!(directories(&fake).iter().any(|directory| directory.ends_with("/work/sub")));
    // The worktree was removed.
    fs::remove_dir_all(tree).unwrap();
    fake.tool(&["resume", id, "--print"])
        .exits(2)
        .reports("--cwd")
        .reports("worktree")
        .reports("was removed");
    let (ran, events) = fake.events(&["resume", id, "--prompt", "more"]);
    ran.exits(1);
    assert_eq!(failures(&events), ["cwd"]);
    assert!(events.iter().any(|event| event.to_string().contains("the worktree of the session was removed")));
    fake.tool(&["resume", id, "--print", "--cwd", "."]).succeeds();
}

/// The turn that is done again belongs to the session, which has its worktree.
#[test]
fn an_interrupted_job_continues_in_its_worktree() {
    let fake = repository();
    fake.interrupt(&["run", "--worktree", "SLEEP5"]);
    let (ran, events) = fake.events(&["run", "continue", "--interrupted", "continue"]);
    ran.succeeds();
    assert_eq!(directories(&fake).len(), 1);
    let places = started(&events);
    assert!(places.last().unwrap().contains("/worktrees/"), "{places:?}");
    assert_eq!(fake.list()[0]["cwd"], places.last().unwrap().as_str());
}

#[test]
fn without_a_repository_or_with_an_old_codex_nothing_is_started() {
    let fake = Fake::newest();
    let ran = fake.tool(&["run", "--worktree", "one"]);
    ran.exits(2).reports("is in no git repository").reports("nothing was started");
    let job = fake.good(&["run", "--dry-run", "one"]);
    let mut job = records(&job).remove(0);
    job["options"]["worktree"] = true.into();
    let ran = fake.feed(&["run", "--jobs", "--json"], format!("{job}\n"));
    ran.exits(1);
    assert_eq!(failures(&records(&ran.out)), ["refused"]);
    let one = fake.begin("parent");
    fake.tool(&["fork", &one, "--worktree"]).exits(1).reports("is in no git repository");
    assert_eq!(fake.list().len(), 1);

    for version in ["0.155.0", "0.120.0"] {
        let old = Fake::new(version);
        commit(&old, "work");
        let one = old.begin("parent");
        let ran = old.tool(&["run", "--worktree", "one"]);
        ran.exits(2).reports(format!("Codex {version} cannot create worktrees")).reports("0.156");
        old.tool(&["fork", &one, "--worktree", "--prompt", "x"]).exits(2).reports("cannot create worktrees");
        old.good(&["queue", "add", "q", "one prompt"]);
        old.tool(&["queue", "run", "q", "--worktree"]).exits(2).reports("cannot create worktrees");
        old.good(&["queue", "run", "q"]);
        assert_eq!(old.prompts(), ["parent", "one prompt"], "{version}");
    }
}

#[test]
fn forks_begin_in_worktrees() {
    let fake = repository();
    let one = fake.begin("parent");
    let forks = records(&fake.good(&["fork", &one, "-n", "2", "--worktree", "--json"]));
    let trees: BTreeSet<&str> = forks.iter().map(|fork| fork["cwd"].as_str().unwrap()).collect();
    assert!(trees.len() == 2 && trees.iter().all(|tree| tree.contains("/worktrees/")), "{trees:?}");
    let (ran, events) = fake.events(&["fork", &one, "--worktree", "--prompt", "more"]);
    ran.succeeds();
    assert!(started(&events)[0].contains("/worktrees/"), "{events:?}");
    let before = fake.list().len();
    fake.tool(&["fork", &one, "--worktree", "--nth-message", "1"])
        .exits(2)
        .reports("only for a fork with all turns");
    assert_eq!(fake.list().len(), before);
}

#[test]
fn a_queue_begins_its_sessions_in_worktrees() {
    let fake = repository();
    for prompt in ["one", "two"] {
        fake.good(&["queue", "add", "many", "-p", prompt]);
    }
    fake.good(&["queue", "add", "single", "--one-session", "-p", "three", "-p", "four"]);
    fake.tool(&["queue", "run", "many", "--worktree"]).succeeds();
    let trees: BTreeSet<String> = directories(&fake).into_iter().collect();
    assert!(trees.len() == 2 && trees.iter().all(|tree| tree.contains("/worktrees/")), "{trees:?}");
    // One session is in one worktree.
    let (ran, events) = fake.events(&["queue", "run", "single", "--worktree"]);
    ran.succeeds();
    let places = started(&events);
    let session = fake.list().into_iter().find(|session| session["title"] == "three").unwrap();
    assert_eq!(places[1], session["cwd"].as_str().unwrap(), "{places:?}");
    assert!(places[1].contains("/worktrees/"), "{places:?}");
}

#[test]
fn jobs_that_share_a_directory_are_named_before_the_run() {
    let fake = repository();
    let work = "/work";
    let run =
        |words: &[&str]| fake.tool(&[&["run", "-p", "one", "-p", "two", "-p", "three"], words].concat());
    let ran = run(&["-s", "workspace-write"]);
    ran.succeeds().reports("3 of 3 jobs share ").reports(work).reports("--worktree begins each session");
    run(&["-s", "workspace-write", "--dry-run"]).succeeds().reports("3 of 3 jobs share ");
    run(&["-s", "workspace-write", "-q"]).succeeds().reports_exactly("");
    for words in [&["-s", "read-only"][..], &["-s", "workspace-write", "-j1"], &["--worktree"]] {
        run(words).case(words).succeeds().never_reports(" share ");
    }
    // Of sessions the sandbox of the last turn counts; of job records each directory.
    let list = fake.list();
    let ids: Vec<&str> = list.iter().map(|session| session["id"].as_str().unwrap()).collect();
    let writers: Vec<&str> = ids[ids.len() - 3..].to_vec();
    let ran = fake.tool(&[&["resume", "-p", "more"], &writers[..]].concat());
    ran.succeeds().reports("3 of 3 jobs share ").never_reports("--worktree begins");
    fs::create_dir(fake.0.path("other")).unwrap();
    let job = |directory: &str, sandbox: &str| {
        let words = ["run", "--dry-run", "-s", sandbox, "--cwd", directory, "x"];
        fake.good(&words).replace("\"id\":\"1\"", "\"id\":\"\"")
    };
    let other = fake.0.path("other");
    let other = other.to_str().unwrap();
    let jobs = [job(".", "workspace-write"), job(".", "read-only"), job(".", "workspace-write")].concat();
    let jobs = jobs + &[job(other, "workspace-write"), job(other, "workspace-write")].concat();
    let ran = fake.feed(&["run", "--jobs"], jobs);
    ran.succeeds().reports("2 of 5 jobs share ").reports(", 2 share ");
}

#[test]
fn the_real_codex_works_in_worktrees() {
    let Some(codex) = Real::new() else { return };
    let main = fs::canonicalize(codex.world.path("alpha")).unwrap();
    fs::write(main.join("draft"), "not committed").unwrap();
    let agent = |words: &[&str]| {
        let mut command = codex.world.command("codex-agent");
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", crate::world::bins().display()));
        command.args(words).current_dir(codex.world.path("alpha"));
        let ran = crate::world::ran::finish(&mut command);
        ran.case(words).succeeds();
        records(&ran.out)
    };
    let session = |id: &str| {
        let all = codex.list(&[]);
        all.into_iter().find(|session| session["id"] == *id).unwrap()
    };
    let events = agent(&["run", "--worktree", "--json", "-p", "one SHELL{ls -a}", "-p", "two"]);
    let ids: Vec<String> = of_type(&events, "job.completed")
        .iter()
        .map(|event| event["session"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 2, "{events:?}");
    let trees: Vec<String> = ids.iter().map(|id| session(id)["cwd"].as_str().unwrap().to_owned()).collect();
    let home = fs::canonicalize(codex.world.codex_home()).unwrap();
    for tree in trees.iter().map(Path::new) {
        assert!(tree.starts_with(home.join("worktrees")) && tree.ends_with("alpha"), "{tree:?}");
        assert!(tree.join(".git").is_file() && !tree.join("draft").exists(), "{tree:?}");
        // git knows the worktree, as the files that are read here do.
        let known = fs::read_dir(main.join(".git/worktrees")).unwrap().flatten();
        let mut known = known.map(|linked| fs::read_to_string(linked.path().join("gitdir")).unwrap());
        assert!(known.any(|text| Path::new(text.trim()) == tree.join(".git")), "{tree:?}");
    }
    assert_ne!(trees[0], trees[1]);
    // Resumed, the session stays in its worktree, and is listed there.
    let events = agent(&["resume", &ids[0], "--prompt", "more", "--json"]);
    assert_eq!(started(&events), [trees[0].as_str()]);
    assert_eq!(session(&ids[0])["cwd"], trees[0].as_str());
    let events = agent(&["fork", &ids[0], "--worktree", "--prompt", "forked", "--json"]);
    let place = started(&events).remove(0);
    assert!(place.contains("/worktrees/") && !trees.contains(&place), "{place}");
    // Archived or deleted, it leaves its worktree.
    agent(&["archive", "--json", &ids[1]]);
    agent(&["archive", "--delete", "--yes", "--json", &ids[1]]);
    assert!(Path::new(&trees[1]).is_dir());
}
