//! Hosts that are Codex homes of this machine, each with a model of its own: `via = ["env", ...]`.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::world::fake::Fake;
use crate::world::hosts::{Process, processes_of, signal_all};
use crate::world::{Ran, json as records};

/// A planner with the fake Codex, and hosts.
pub struct Homes(pub Fake);

impl Homes {
    /// A planner and hosts of these names.
    pub fn new(names: &[&str]) -> Homes {
        let homes = Homes(Fake::newest());
        names.iter().for_each(|name| homes.add(name));
        homes
    }

    /// Adds a host with a home of its own.
    pub fn add(&self, name: &str) {
        let own = self.path(name);
        std::fs::create_dir_all(own.join("codex")).unwrap();
        self.configure(name, &self.via(name));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.0.path(name)
    }

    /// The words of `via`, in TOML.
    pub fn via(&self, name: &str) -> String {
        let own = self.path(name).display().to_string();
        format!(
            "\"env\", \"CODEX_HOME={own}/codex\", \"CODEX_AGENT_STATE_HOME={own}/state\", \"CODEX_FAKE_LOG={own}/log\""
        )
    }

    /// Writes the table of a host, with this `via`.
    pub fn configure(&self, name: &str, via: &str) {
        self.append(&format!("[host.{name}]\nvia = [{via}]\nconnect_timeout = \"3s\"\n"));
    }

    /// Appends to the configuration.
    pub fn append(&self, text: &str) {
        let path = "home/.config/codex-agent/config.toml";
        let old = std::fs::read_to_string(self.0.0.path(path)).unwrap_or_default();
        self.0.0.write(path, old + text);
    }

    /// Adds a host whose command is this script of sh. `$@` is the command of the host.
    pub fn add_script(&self, name: &str, script: &str) {
        let own = self.via(name);
        std::fs::create_dir_all(self.path(name).join("codex")).unwrap();
        let script = script.replace('\\', "\\\\").replace('"', "\\\"");
        self.configure(name, &format!("{own}, \"sh\", \"-c\", \"{script}\", \"sh\""));
    }

    /// The prompts that the model of a host got, sorted.
    pub fn prompts(&self, name: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.path(name).join("log")).unwrap_or_default();
        let log = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
        let mut all: Vec<String> =
            records(log).iter().map(|line| line["prompt"].as_str().unwrap().to_owned()).collect();
        all.sort();
        all
    }

    /// The prompts that the models of these hosts got, sorted.
    pub fn all_prompts(&self, names: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = names.iter().flat_map(|name| self.prompts(name)).collect();
        all.sort();
        all
    }

    /// Runs a tool as on a host.
    pub fn run_on(&self, name: &str, words: &[&str]) -> Ran {
        let own = self.path(name);
        let mut command = self.0.started(words);
        command.env("CODEX_HOME", own.join("codex"));
        command.env("CODEX_AGENT_STATE_HOME", own.join("state"));
        command.env("CODEX_FAKE_LOG", own.join("log"));
        crate::world::ran::finish(&mut command)
    }

    /// Runs prompts, one per line, and gives the events.
    pub fn run(&self, words: &[&str], prompts: &[String]) -> (Ran, Vec<Value>) {
        let words = [&["run"], words, &["--json", "-"]].concat();
        let ran = self.0.feed(&words, prompts.join("\n") + "\n");
        let events = records(&ran.out);
        (ran, events)
    }

    /// Starts a run of prompts in the background.
    pub fn start(&self, words: &[&str], prompts: &[String]) -> Child {
        let file = self.0.0.write("prompts", prompts.join("\n") + "\n");
        let mut command = self.0.started(&[&["run"], words, &["-"]].concat());
        command.stdin(std::fs::File::open(file).unwrap());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The processes of the planner and of all hosts.
    pub fn processes(&self) -> Vec<Process> {
        processes_of(&self.0.0.path("home"))
    }

    /// Sends a signal to all processes whose command line contains a text, and returns their number.
    pub fn signal(&self, text: &str, signal: Signal) -> usize {
        signal_all(&self.processes(), text, signal)
    }

    /// The record of the newest run.
    pub fn newest(&self) -> Value {
        records(&self.0.good(&["run", "list", "--json", "-n1"]))[0].clone()
    }
}

impl Drop for Homes {
    fn drop(&mut self) {
        self.signal("", Signal::KILL);
    }
}

/// Prompts, each with this at its end.
pub fn prompts(count: usize, end: &str) -> Vec<String> {
    (0..count).map(|number| format!("do thing {number:02}{end}")).collect()
}

/// The events of this type.
pub fn of_type<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}
