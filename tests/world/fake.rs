//! ?

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use codex_agent_engine::liveness;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::world::ran;
use crate::world::{NEWEST, Ran, World, bin, json as records};

/// The limit of every wait. Machines that build other things meanwhile are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// A world in which `codex` is the fake.
pub struct Fake(pub World);

impl Fake {
    /// With a Codex of this version and an empty home.
    pub fn new(version: &str) -> Fake {
        let world = World::new();
        fs::create_dir(world.codex_home()).unwrap();
        Fake::over(world, version)
    }

    /// The newest version that was recorded.
    pub fn newest() -> Fake {
        Fake::new(NEWEST)
    }

    pub fn over(mut world: World, version: &str) -> Fake {
        fs::create_dir(world.path("bin")).unwrap();
        fs::create_dir(world.path("work")).unwrap();
        let codex = world.path("bin/codex");
        std::os::unix::fs::symlink(bin("codex-agent-demo"), &codex).unwrap();
        world.set("CODEX_AGENT_CODEX", codex.to_str().unwrap());
        world.set("CODEX_FAKE_VERSION", version);
        let log = world.path("log");
        world.set("CODEX_FAKE_LOG", log.to_str().unwrap());
        Fake(world)
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.0.command(self.0.path("bin/codex").to_str().unwrap());
        command.args(words).current_dir(self.0.path("work"));
        command
    }

    pub fn codex(&self, words: &[&str], input: &str) -> Ran {
        ran::feed(&mut self.command(words), input)
    }

    pub fn spawn(&self, words: &[&str], input: &str) -> Child {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Codex may have exited before it has read anything.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child
    }

    /// Completes one turn of a new session, and gives the id of the session.
    pub fn begin(&self, prompt: &str) -> String {
        let ran = self.codex(&["exec", "--json", "-"], prompt);
        ran.succeeds();
        records(&ran.out)[0]["thread_id"].as_str().unwrap().to_owned()
    }

    pub fn resume(&self, id: &str, prompt: &str) -> Ran {
        self.codex(&["exec", "--json", "resume", id, "-"], prompt)
    }

    /// Each prompt that a model saw, in order.
    pub fn sent(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.0.path("log")).unwrap_or_default();
        // The last line may be under way.
        records(&log[..log.rfind('\n').map_or(0, |end| end + 1)])
    }

    /// Their texts.
    pub fn prompts(&self) -> Vec<String> {
        self.sent().iter().map(|line| line["prompt"].as_str().unwrap().to_owned()).collect()
    }

    pub fn list(&self) -> Vec<Value> {
        records(&self.0.ok(&["codex-agent-ls", "--json", "--full", "--archived"]))
    }

    /// Nothing is wrong between database and files.
    pub fn check(&self, sessions: usize) {
        let ran = self.0.run(&["codex-agent-ls", "--check"]);
        ran.succeeds();
        let end = if sessions == 1 { "" } else { "s" };
        let want = format!("{sessions} row{end}, {sessions} file{end}, 0 problems");
        assert!(ran.err.contains(&want) || ran.out.contains(&want), "{}{}", ran.out, ran.err);
    }

    /// Runs a tool in the directory `work`: the name behind `codex-agent-`, then its arguments.
    pub fn tool(&self, words: &[&str]) -> Ran {
        self.feed(words, "")
    }

    /// Runs a tool with this on standard input.
    pub fn feed(&self, words: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let ran = ran::feed(&mut self.started(words), input.as_ref());
        let name = format!("codex-agent-{}", words[0]);
        self.0.hold(&[&[name.as_str()], &words[1..]].concat(), input.as_ref(), &ran.out);
        ran
    }

    /// A command of a tool in the directory `work`.
    pub fn started(&self, words: &[&str]) -> Command {
        let mut command = self.0.command(&format!("codex-agent-{}", words[0]));
        command.args(&words[1..]).current_dir(self.0.path("work"));
        command
    }

    /// Runs a tool that must succeed, and gives its standard output.
    #[track_caller]
    pub fn good(&self, words: &[&str]) -> String {
        let ran = self.tool(words);
        ran.succeeds();
        ran.out
    }

    /// Runs a tool with `--json`, and gives its records too.
    pub fn events(&self, words: &[&str]) -> (Ran, Vec<Value>) {
        let ran = self.tool(&[words, &["--json"]].concat());
        let events = records(&ran.out);
        (ran, events)
    }

    /// Starts a tool in the directory `work`, and ignores its output.
    pub fn start(&self, words: &[&str]) -> Child {
        self.started(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs a tool until the first prompt is at a model, kills the runner and its Codex, and gives the directory of
    /// the run.
    pub fn interrupt(&self, words: &[&str]) -> PathBuf {
        let mut runner = self.start(words);
        self.wait_for_sent(1);
        wait_until(|| self.journal().iter().any(|line| line["type"] == "job.session"));
        crash(&mut runner);
        let run = self.runs().pop().unwrap();
        kill_process(Pid::from_raw(self.pid()).unwrap(), Signal::KILL).unwrap();
        wait_for_end(&run.join("jobs/1/1.out"));
        run
    }

    /// Waits until a model has seen so many prompts.
    pub fn wait_for_sent(&self, count: usize) {
        wait_until(|| self.sent().len() >= count);
    }

    /// The directories of all runs, the oldest first.
    pub fn runs(&self) -> Vec<PathBuf> {
        self.0.runs()
    }

    /// The whole lines of the journal of the last run, if there is one.
    pub fn journal(&self) -> Vec<Value> {
        let path = self.runs().pop().map(|run| run.join("journal.ndjson"));
        let text = path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        records(&text[..text.rfind('\n').map_or(0, |end| end + 1)])
    }

    /// The output of the first attempt at a job of the last run.
    pub fn out(&self, job: usize) -> PathBuf {
        self.runs().last().unwrap().join(format!("jobs/{job}/1.out"))
    }

    /// The process of Codex that was started last, by the journal of the last run.
    pub fn pid(&self) -> i32 {
        let spawned = self.journal().into_iter().rfind(|line| line["type"] == "job.spawned").unwrap();
        spawned["pid"].as_i64().unwrap() as i32
    }

    /// The queues as the file has them.
    pub fn queues(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.0.config("queues.json")).unwrap()).unwrap()
    }

    /// The prompts of a queue, as `show` has them.
    pub fn shown(&self, name: &str) -> Vec<Value> {
        records(&self.good(&["queue", "show", name, "--json"])).split_off(1)
    }

    /// One field of the prompts of a queue.
    pub fn each(&self, name: &str, field: &str) -> Vec<String> {
        let text = |value: &Value| value[field].as_str().unwrap_or_default().to_owned();
        self.shown(name).iter().map(text).collect()
    }
}

/// Waits until a condition holds.
#[track_caller]
pub fn wait_until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "the condition does not hold after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until no process has locked an output any more.
#[track_caller]
pub fn wait_for_end(out: &Path) {
    wait_until(|| !liveness::may_be_locked(out));
}

/// Waits until a process has opened a file of this directory, or this file.
#[track_caller]
pub fn wait_until_open(child: &Child, path: &Path) {
    let descriptors = format!("/proc/{}/fd", child.id());
    let files = || fs::read_dir(&descriptors).into_iter().flatten().flatten();
    wait_until(|| files().any(|file| fs::read_link(file.path()).is_ok_and(|file| file.starts_with(path))));
}

/// Waits for the end of a process and gives its exit code; 128 and the signal where a signal ended it.
#[track_caller]
pub fn end(child: &mut Child) -> i32 {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the process still runs after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Kills a program as a crash does.
pub fn crash(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

pub fn of_type<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

/// The classes of what failed, in order.
pub fn failures(events: &[Value]) -> Vec<String> {
    let text = |event: &&Value| event["failure"]["class"].as_str().unwrap().to_owned();
    of_type(events, "job.failed").iter().map(text).collect()
}

/// Sends a signal, and waits until the process has received it, since two pending signals count as one.
#[track_caller]
pub fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
    let status = format!("/proc/{}/status", child.id());
    let is_pending = || {
        // The signals of a zombie stay pending.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let fields = text.lines().filter_map(|line| line.split_once(":\t"));
        let masks = fields.filter(|(name, _)| ["SigPnd", "ShdPnd"].contains(name));
        let mut masks = masks.filter_map(|(_, mask)| u64::from_str_radix(mask, 16).ok());
        !text.contains("State:\tZ") && masks.any(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
    };
    wait_until(|| !is_pending());
}
