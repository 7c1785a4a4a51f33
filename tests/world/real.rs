//! A world with the real Codex, against a model service of our own.
//!
//! `tests/run` installs Codex; without it these tests are skipped with a message.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::world::app::App;
use crate::world::model::Model;
use crate::world::{NEWEST, Ran, World, json as records, ran};

/// The real Codex and the world that it works in.
pub struct Real {
    pub world: World,
    pub codex: PathBuf,
    pub model: Model,
}

/// The versions that tests of orders to Codex are run with; the first is the one that lists are
/// tested with.
pub const VERSIONS: [&str; 3] = [NEWEST, "0.120.0", "0.106.0"];

/// The path of the real Codex of a version; `None`, with a message, if it is not installed.
pub fn codex(version: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("CODEX_AGENT_TEST_CACHE").map(PathBuf::from);
    let path = cache.map(|cache| cache.join(format!("codex-{version}/node_modules/.bin/codex")));
    if let Some(path) = path.filter(|path| path.exists()) {
        return Some(path);
    }
    assert!(
        std::env::var_os("CODEX_AGENT_REQUIRE_CODEX").is_none(),
        "the real Codex {version} is required here, and tests/run could not install it"
    );
    eprintln!("SKIPPED: the real Codex {version} is missing; tests/run installs it with npm");
    None
}

impl Real {
    pub fn new() -> Option<Real> {
        Real::with_version(VERSIONS[0])
    }

    pub fn with_version(version: &str) -> Option<Real> {
        Real::with_model(version, Model::start())
    }

    pub fn with_model(version: &str, model: Model) -> Option<Real> {
        let codex = codex(version)?;
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
        assert!(output.status.success(), "{words:?}: {}", streams(&output));
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
        App::start(self).call(method, &params)
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

    pub fn run_agent(&self, words: &[&str], input: &str) -> (Ran, Vec<Value>) {
        let ran = ran::feed(&mut self.agent("alpha", words), input);
        self.world.hold(&[&["codex-agent-run"], words].concat(), b"", &ran.out);
        let events = records(&ran.out);
        (ran, events)
    }

    /// The prompts that the model got from users, sorted.
    pub fn seen(&self) -> Vec<String> {
        let mut seen: Vec<String> =
            self.model.requests().into_iter().map(|request| request.last_user_text).collect();
        seen.sort();
        seen
    }
}

pub fn streams(output: &Output) -> String {
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
