//! A world whose Codex is a shell script.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::world::fake::{of_type, wait_until};
use crate::world::{Ran, World, json as records};

/// A Codex without a model. Nothing is sent before `thread.started`, and what is sent is logged; words in
/// the prompt set the course of the turn.
pub const CODEX: &str = r#"#!/bin/sh
case $1 in --version) echo "codex-cli 0.169.0"; exit 0 ;; esac
echo "$*|$(pwd)|$CODEX_AGENT_JOB|$CODEX_AGENT_DEPTH" >> "$FAKE/calls"
prompt=$(cat)
id=$(cat /proc/sys/kernel/random/uuid)
case "$*" in *" resume "*) id=${*##* resume }; id=${id% -} ;; esac
say() { printf '%s\n' "$1"; }
case $prompt in
*EXITS*) echo "Error: boom" >&2; exit 3 ;;
*BUSY*) if [ "$(wc -l < "$FAKE/calls")" -lt 3 ]; then
    echo "Error: thread/resume: thread/resume failed: thread $id already has an active writer (code -32600)" >&2; exit 1; fi ;;
*UNTRUSTED*) echo "Not inside a trusted directory and --skip-git-repo-check was not specified." >&2; exit 1 ;;
*OTHER*) id=$(cat /proc/sys/kernel/random/uuid) ;;
*DEAF*) trap '' INT TERM ;;
*SLOWSTART*) sleep 0.3 ;;
esac
say "{\"type\":\"thread.started\",\"thread_id\":\"$id\"}"
say '{"type":"turn.started"}'
printf '%.60s\n' "$prompt" >> "$FAKE/sent"
case $prompt in
*GARBAGE*) say 'no json'; say '{"type":"new.thing","x":[1]}'; printf '\377\376\n' ;;
*LONG*) printf '{"type":"item.completed","item":{"type":"reasoning","text":"'; head -c 30000000 /dev/zero | tr '\0' x; say '"}}' ;;
*AUTH*) say '{"type":"turn.failed","error":{"message":"unexpected status 401 Unauthorized: no"}}'; exit 1 ;;
*TABS*) say '{"type":"turn.failed","error":{"message":"a\tb\nc"}}'; exit 1 ;;
*FAILS*) say '{"type":"turn.failed","error":{"message":"boom"}}'; exit 1 ;;
*DIES*) kill -9 $$ ;;
*DEAF*) for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 1; done ;;
*HANGS*) exec sleep 60 ;;
*SLEEPS*) sleep 1 ;;
*) sleep 0.03 ;;
esac
say "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":\"agent_message\",\"text\":\"echo: $(printf '%.40s' "$prompt" | tr -d '\n\r"\\')\"}}"
say '{"type":"turn.completed","usage":{"input_tokens":100,"output_tokens":7}}'
case $prompt in
*BADEND*) exit 4 ;;
*LINGERS*) exec sleep 60 ;;
*LEAVES*) sleep 60 & ;;
esac
"#;

/// A world with such a Codex on its path.
pub struct Scripted(pub World);

impl Scripted {
    pub fn new() -> Scripted {
        Scripted::over(World::new())
    }

    pub fn over(mut world: World) -> Scripted {
        world.script("bin/codex", CODEX);
        fs::create_dir(world.path("fake")).unwrap();
        let directory = world.path("fake");
        world.set("FAKE", directory.to_str().unwrap());
        let codex = world.path("bin/codex");
        world.set("CODEX_AGENT_CODEX", codex.to_str().unwrap());
        Scripted(world)
    }

    pub fn run(&self, words: &[&str]) -> Ran {
        let mut all = vec!["codex-agent-run"];
        all.extend(words);
        self.0.run(&all)
    }

    pub fn feed(&self, words: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let mut all = vec!["codex-agent-run"];
        all.extend(words);
        self.0.feed(&all, input)
    }

    pub fn events(&self, words: &[&str]) -> (Ran, Vec<Value>) {
        let mut all = words.to_vec();
        all.push("--json");
        let ran = self.run(&all);
        let events = records(&ran.out);
        (ran, events)
    }

    pub fn spawn(&self, words: &[&str]) -> Child {
        let mut command: Command = self.0.command("codex-agent-run");
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub fn sent(&self) -> Vec<String> {
        let mut sent: Vec<String> = fs::read_to_string(self.0.path("fake/sent"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect();
        sent.sort();
        sent
    }

    pub fn wait_for_sent(&self, count: usize) {
        wait_until(|| self.sent().len() >= count);
    }

    pub fn runs(&self) -> Vec<PathBuf> {
        self.0.runs()
    }

    pub fn journal(&self) -> PathBuf {
        self.runs().last().unwrap().join("journal.ndjson")
    }
}

pub fn failure_messages(events: &[Value]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = of_type(events, "job.failed")
        .iter()
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&event["failure"]["class"]), text(&event["failure"]["message"]))
        })
        .collect();
    all.sort();
    all
}
