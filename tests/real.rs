//! The real Codex, against a model service of our own: what it writes is what we list.
//!
//! `tests/run` brings Codex; without it these tests are skipped, aloud.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::model::Model;
use crate::world::{NEWEST, World, json as records};

/// The real Codex and the world that it works in.
pub struct Real {
    pub world: World,
    pub codex: PathBuf,
    pub model: Model,
}

/// The versions that tests of orders to Codex are run with; the first is the one that lists are
/// tested with.
pub const VERSIONS: [&str; 3] = [NEWEST, "0.120.0", "0.106.0"];

/// Where the real Codex of a version is; `None`, and a line that says so, where it is not.
pub fn codex(version: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("CODEX_AGENT_TEST_CACHE").map(PathBuf::from);
    let path = cache.map(|cache| cache.join(format!("codex-{version}/node_modules/.bin/codex")));
    if let Some(path) = path.filter(|path| path.exists()) {
        return Some(path);
    }
    assert!(
        std::env::var_os("CODEX_AGENT_REQUIRE_CODEX").is_none(),
        "the real Codex {version} is required here, and tests/run could not bring it"
    );
    eprintln!("SKIPPED: there is no real Codex {version}; tests/run brings it with npm");
    None
}

impl Real {
    pub fn new() -> Option<Real> {
        Real::of(VERSIONS[0])
    }

    pub fn of(version: &str) -> Option<Real> {
        let codex = codex(version)?;
        let model = Model::start();
        let mut world = World::new();
        world.set("CODEX_AGENT_CODEX", codex.to_str().unwrap());
        world.write("home/.codex/config.toml", model.config_toml());
        for project in ["alpha", "beta"] {
            std::fs::create_dir(world.path(project)).unwrap();
        }
        let git = "git init -q -b trunk . && git -c user.name=n -c user.email=e@example.com commit -q --allow-empty -m one \
                   && git remote add origin https://example.com/alpha.git";
        let made = world.command("sh").args(["-c", git]).current_dir(world.path("alpha")).status().unwrap();
        assert!(made.success());
        Some(Real { world, codex, model })
    }

    pub fn command(&self, directory: &str) -> Command {
        let mut command = self.world.command(self.codex.to_str().unwrap());
        // npm's launcher is a script for node, which may be anywhere.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", crate::world::bins().display()));
        command.env("CODEX_HOME", self.world.codex_home()).current_dir(self.world.path(directory));
        command
    }

    /// Runs `codex exec --json` and gives the id of its session.
    pub fn exec(&self, directory: &str, words: &[&str]) -> String {
        let mut command = self.command(directory);
        command.args(["exec", "--json", "--skip-git-repo-check"]).args(words);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", told(&output));
        let out = String::from_utf8(output.stdout).unwrap();
        let started = records(&out).into_iter().find(|event| event["type"] == "thread.started").unwrap();
        started["thread_id"].as_str().unwrap().to_owned()
    }

    /// Starts a turn that waits for the model, and waits until it is under way.
    pub fn exec_slowly(&self, directory: &str, prompt: &str) -> (Child, String) {
        let mut command = self.command(directory);
        command
            .args(["exec", "--json", "--skip-git-repo-check", prompt])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        // Codex may warn before it begins the turn.
        assert!(lines.any(|line| line.unwrap().contains("turn.started")));
        (child, first["thread_id"].as_str().unwrap().to_owned())
    }

    /// Asks the app-server one thing.
    pub fn ask(&self, method: &str, params: Value) -> Value {
        let mut command = self.command("alpha");
        let mut child = command
            .arg("app-server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut call = |id: u32, method: &str, params: &Value| {
            writeln!(stdin, "{}", json!({"id": id, "method": method, "params": params})).unwrap();
            loop {
                let answer: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
                if answer["id"] == id {
                    assert!(answer["error"].is_null(), "{method}: {answer}");
                    return answer["result"].clone();
                }
            }
        };
        let client = json!({"clientInfo": {"name": "test", "title": "test", "version": "0"}, "capabilities": {"experimentalApi": true}});
        call(1, "initialize", &client);
        let answer = call(2, method, &params);
        drop(stdin);
        child.wait().unwrap();
        answer
    }

    pub fn list(&self, more: &[&str]) -> Vec<Value> {
        let mut words = vec!["codex-agent-ls", "--json"];
        words.extend(more);
        records(&self.world.ok(&words))
    }
}

impl Real {
    pub fn agent(&self, directory: &str, words: &[&str]) -> Command {
        let mut command = self.command(directory);
        let path = command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
        command = self.world.command("codex-agent-run");
        command.env("PATH", path).env("CODEX_HOME", self.world.codex_home());
        command.current_dir(self.world.path(directory)).args(words);
        command
    }

    pub fn run_agent(&self, words: &[&str], input: &str) -> (Output, Vec<Value>) {
        self.world.write("input", input);
        let input = std::fs::File::open(self.world.path("input")).unwrap();
        let output = self.agent("alpha", words).stdin(input).output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        self.world.hold(&[&["codex-agent-run"], words].concat(), b"", &out);
        let events = records(&out);
        (output, events)
    }

    /// What the model was asked by users, sorted.
    pub fn seen(&self) -> Vec<String> {
        let mut seen: Vec<String> =
            self.model.requests().into_iter().map(|request| request.last_user_text).collect();
        seen.sort();
        seen
    }
}

pub fn told(output: &Output) -> String {
    format!("{} {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn end(mut child: Child) {
    let group = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    child.wait().unwrap();
}

pub fn real(path: PathBuf) -> String {
    std::fs::canonicalize(path).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn what_codex_writes_is_what_we_list() {
    let Some(codex) = Real::new() else { return };
    let one = codex.exec("alpha", &["  Mend the parser \n"]);
    let two = codex.exec("beta", &["Write the notes"]);
    codex.exec("alpha", &["resume", &one, "And test it"]);
    codex.ask("thread/name/set", json!({"threadId": one, "name": "parser work"}));
    let fork = codex.exec("alpha", &["fork", &one, "Try another way"]);
    let gone = codex.exec("beta", &["Old things"]);
    let archive = codex.command("beta").args(["archive", &gone]).output().unwrap();
    assert!(archive.status.success(), "{}", told(&archive));

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
    assert_eq!((found.code, found.out.trim()), (0, one.as_str()), "{}", found.err);

    let rows = codex.list(&["--full", "--archived", "--sort", "created"]);
    let files = codex.list(&["--full", "--archived", "--sort", "created", "--no-database"]);
    assert_eq!(ids(&rows), ids(&files));
    for (row, file) in rows.iter().zip(&files) {
        for field in [
            "name",
            "title",
            "first_user_message",
            "cwd",
            "source",
            "git",
            "forked_from",
            "history",
            "status",
        ] {
            assert_eq!(row[field], file[field], "{field}: {row} {file}");
        }
    }
    assert_eq!(codex.world.run(&["codex-agent-ls", "--check"]).code, 0);
}

#[test]
fn the_sentence_we_live_by_on_a_home_of_codex() {
    let Some(codex) = Real::new() else { return };
    let one = codex.exec("alpha", &["One"]);
    let two = codex.exec("beta", &["Two"]);
    let ran = codex.world.sh("codex-agent ls --json | codex-agent group add work --json | wc -l");
    assert_eq!((ran.code, ran.out.trim()), (0, "2"), "{}", ran.err);
    let groups = records(&codex.world.ok(&["codex-agent-group", "list", "--json"]));
    assert_eq!(groups[0]["session_ids"], json!([two, one]));
    let under = codex.world.sh("codex-agent ls --under beta --group work --fields title");
    assert_eq!((under.code, under.out.as_str()), (0, "Two\n"), "{}", under.err);
    // In the directory of a session, '@' is it.
    let output = codex
        .world
        .command("codex-agent-find")
        .args(["@", "--format", "{title}"])
        .current_dir(codex.world.path("alpha"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "One\n");
}

#[test]
fn a_turn_under_way_runs_and_a_killed_one_does_not() {
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
    assert!((0..100).any(|_| is_over() || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        false
    }));
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
fn a_session_that_moved_is_where_it_ran_last() {
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
fn listing_does_not_get_in_codexs_way() {
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
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        let count = ran.out.lines().count();
        assert!(count >= seen, "a session was listed and then was not");
        seen = count;
    }
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success() && String::from_utf8_lossy(&output.stdout).contains("turn.completed"),
            "{}",
            told(&output)
        );
    }
    assert_eq!(codex.list(&[]).len(), 4);
}

#[test]
fn a_database_that_codex_rebuilt_has_lost_names_and_we_have_not() {
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

#[test]
fn a_fork_before_a_message_sends_what_came_before_it() {
    for version in VERSIONS {
        if let Some(codex) = Real::of(version) {
            forks_before_messages(&codex);
        }
    }
}

fn forks_before_messages(codex: &Real) {
    let one = codex.exec("alpha", &["First message"]);
    codex.exec("alpha", &["resume", &one, "Second message"]);
    codex.exec("alpha", &["resume", &one, "Third message"]);
    let fork = |nth: &str| {
        let words = ["codex-agent-fork", &one, "--nth-message", nth, "--json"];
        let record = records(&codex.world.ok(&words)).remove(0);
        assert_eq!(record["cwd"].as_str(), Some(real(codex.world.path("alpha")).as_str()), "{record}");
        record["id"].as_str().unwrap().to_owned()
    };
    for (nth, before) in
        [("2", &["First message"][..]), ("-1", &["First message", "Second message"]), ("1", &[]), ("-3", &[])]
    {
        let id = fork(nth);
        codex.exec("alpha", &["resume", &id, "New message"]);
        let mut want: Vec<&str> = before.to_vec();
        want.push("New message");
        assert_eq!(codex.model.requests().pop().unwrap().user_texts, want, "{nth}");
    }
    let named = codex.world.run(&["codex-agent-name", &one, "the parent"]);
    assert_eq!(named.code, 0, "{}", named.err);
    for source in ["--color=never", "--no-database"] {
        let found = codex.world.run(&["codex-agent-find", "the parent", "--format", "{id}", source]);
        assert_eq!(found.out.trim(), one, "{source} {}", found.err);
    }
    for nth in ["4", "-4"] {
        let ran = codex.world.run(&["codex-agent-fork", &one, "--nth-message", nth]);
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains("the session has 3 messages"), "{}", ran.err);
    }
    assert_eq!(codex.list(&[]).len(), 5, "nothing is left of what could not be cut");
}

#[test]
fn whole_forks_names_and_a_pipe_of_them() {
    let Some(codex) = Real::new() else { return };
    let one = codex.exec("alpha", &["Only message"]);
    let named = codex.world.run(&["codex-agent-name", "@@", "  a good name ", "--json"]);
    assert_eq!(named.code, 0, "{}", named.err);
    assert_eq!(records(&named.out)[0]["name"], "a good name");
    let ran = codex.world.sh("codex-agent find 'a good name' --json | codex-agent fork -n 2 --name try --json | codex-agent group add tries --json");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let forks = records(&ran.out);
    assert_eq!(forks.iter().map(|fork| fork["name"].as_str().unwrap()).collect::<Vec<_>>(), ["try", "try 2"]);
    assert_eq!(codex.list(&["--forks-of", &one]).len(), 2);
    assert_eq!(codex.list(&["--group", "tries"]).len(), 2);
    // Codex knows the name too.
    let output = codex
        .command("alpha")
        .args(["exec", "--json", "--skip-git-repo-check", "resume", "try 2", "More"])
        .output()
        .unwrap();
    assert!(told(&output).contains(forks[1]["id"].as_str().unwrap()), "{}", told(&output));
    let asked = codex.model.requests().pop().unwrap();
    assert_eq!(asked.user_texts, ["Only message", "More"]);
    // A busy session can be forked, and one whose directory is gone cannot, until another is named.
    let (child, busy) = codex.exec_slowly("beta", "Wait SLEEP60");
    assert_eq!(codex.world.run(&["codex-agent-fork", &busy]).code, 0);
    end(child);
    std::fs::rename(codex.world.path("beta"), codex.world.path("gone")).unwrap();
    let ran = codex.world.run(&["codex-agent-fork", &busy]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("cannot change to the session's directory")
            && ran.err.contains("name another directory by --cwd"),
        "{}",
        ran.err
    );
    assert_eq!(codex.world.run(&["codex-agent-fork", &busy, "--cwd", "gone"]).code, 0);
}

#[test]
fn examples_of_orders_run() {
    for tool in crate::documents::ORDERS {
        let Some(codex) = Real::new() else { return };
        let one = codex.exec("alpha", &["Mend the login"]);
        codex.exec("alpha", &["resume", &one, "And the parser"]);
        codex.ask("thread/name/set", json!({"threadId": one, "name": "login work"}));
        let page = codex.world.ok(&[tool, "--generate", "man"]);
        for example in crate::documents::examples(&page) {
            let ran = codex.world.sh(&format!("cd alpha\n{example}"));
            let is_silent = ran.out.is_empty() && ran.err.is_empty() && !example.contains(" > ");
            assert!(ran.code == 0 && !is_silent, "{tool}: {example}: {} {}", ran.out, ran.err);
        }
    }
}
