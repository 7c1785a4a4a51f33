//! `codex exec`: one turn, and its failures.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Value, json};

use crate::args;
use crate::args::{Args, Verb};
use crate::history::Turn;
use crate::line::{Line, Usage, typed};
use crate::lines;
use crate::lines::Open;
use crate::model;
use crate::model::Refusal;
use crate::output::{Run, Stop, fail, home, say, say_json, tell};
use crate::row::Rows;
use crate::thread::{Origin, Thread, named};
use crate::version::{Version, since};
use crate::words::Words;
use codex_agent_shared::child::signals::Signals;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// As long as anything waits that does not wait for ever.
const MINUTE: Duration = Duration::from_secs(60);
/// The message of a full disk.
const NO_SPACE: &str = "Error: thread-store internal error: No space left on device (os error 28)";
/// The length of a long line.
const LONG: usize = 100_000_000;

pub(super) fn run(version: &Version, words: &[OsString]) -> Run<()> {
    let args = args::read(version, &words[1..])?;
    let cwd = directory(args.directory.as_deref())?;
    if std::env::var_os("CODEX_FAKE_GIT_CHECK").is_some_and(|value| value == "1")
        && !args.skip_git_check
        && !cwd.ancestors().any(|folder| folder.join(".git").exists())
    {
        tell("Not inside a trusted directory and --skip-git-repo-check was not specified.");
        return Err(Stop(1));
    }
    let home = home()?;
    let prompt = prompt(version, &args)?;
    let steering = Words::of(prompt.as_deref().unwrap_or_default());
    if steering.has("EXITS") {
        tell("Error: boom");
        return Err(Stop(3));
    }
    if steering.has("HANGSTART") {
        loop {
            std::thread::sleep(MINUTE);
        }
    }
    let rows = Rows::open(version, &home)?;
    let thread = begin(version, &home, &rows, &args, &cwd, &steering)?;
    let id = thread.id;
    let mut job = Job {
        json: args.json,
        thread,
        steering,
        home: &home,
        words,
        signals: Signals::interrupts().or_else(fail)?,
        items: 0,
    };
    job.event("thread.started", &json!({"thread_id": id}))?;
    if !args.json {
        tell(&format!("session id: {id}"));
    }
    match &prompt {
        Some(prompt) => job.turn(prompt),
        None => Ok(()),
    }
}

fn directory(named: Option<&OsStr>) -> Run<PathBuf> {
    let folder = match named {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from("."),
    };
    // Codex stores resolved paths.
    std::fs::canonicalize(folder).or_else(fail)
}

/// The prompt, from the arguments, standard input, or both. A fork may go without.
fn prompt(version: &Version, args: &Args) -> Run<Option<String>> {
    let given = match &args.prompt {
        Some(given) if given != "-" => Some(given),
        None if matches!(args.verb, Verb::Fork(_)) => return Ok(None),
        asked => {
            if asked.is_none() {
                tell("Reading prompt from stdin...");
            }
            let text = input()?;
            if text.trim().is_empty() {
                tell("No prompt provided via stdin.");
                return Err(Stop(1));
            }
            return Ok(Some(text));
        }
    };
    let Some(given) = given.and_then(|given| given.to_str()) else {
        return fail("the prompt is not valid UTF-8");
    };
    let is_new = matches!(args.verb, Verb::New);
    if is_new && version.has(since::STDIN_BLOCK) && !std::io::stdin().is_terminal() {
        tell("Reading additional input from stdin...");
        let more = input()?;
        if !more.trim().is_empty() {
            return Ok(Some(format!("{given}\n\n<stdin>\n{more}\n</stdin>")));
        }
    }
    Ok(Some(given.to_owned()))
}

fn input() -> Run<String> {
    let mut bytes = Vec::new();
    if let Err(error) = std::io::stdin().lock().read_to_end(&mut bytes) {
        return fail(error);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(_) => {
            tell("Failed to read prompt from stdin: input is not valid UTF-8");
            Err(Stop(1))
        }
    }
}

/// The session that the turn is for.
fn begin<'h>(
    version: &'h Version,
    home: &'h Home,
    rows: &'h Rows,
    args: &Args,
    cwd: &Path,
    steering: &Words<'_>,
) -> Run<Thread<'h>> {
    let origin = Origin {
        cwd,
        source: "exec",
        thread_source: version.has(134).then_some("user"),
        model: args.model.as_deref(),
        sandbox: args.sandbox.as_deref(),
    };
    let new = || Thread::start(version, home, rows, &origin).or_else(fail);
    let code = if version.has(since::ERROR_CODE) { " (code -32600)" } else { "" };
    let wanted = |given: &OsStr| {
        let given = given.to_string_lossy();
        (Id::parse(&given).or_else(|| named(home, &given)), given.into_owned())
    };
    match &args.verb {
        Verb::New => new(),
        Verb::Resume(_) if steering.has("OTHER") => new(),
        Verb::Resume(given) => {
            // An unknown name starts a new session in every version; an unknown id did up to 0.106.
            let (Some(id), _) = wanted(given) else { return new() };
            match Thread::load(version, home, rows, id) {
                Ok(mut thread) => {
                    thread.cwd = cwd.to_string_lossy().into_owned();
                    if let Some(model) = &args.model {
                        thread.model.clone_from(model);
                    }
                    thread.sandbox = args.sandbox.clone().unwrap_or_else(|| "read-only".to_owned());
                    Ok(thread)
                }
                Err(why) if why.starts_with("no rollout") && !version.has(since::STRICT) => new(),
                Err(why) => fail(format!("thread/resume: thread/resume failed: {why}{code}")),
            }
        }
        Verb::Fork(given) => {
            let (id, given) = wanted(given);
            let Some(id) = id else { return fail(format!("Session not found: {given}")) };
            Thread::fork(version, home, rows, id, None, &origin)
                .or_else(|why| fail(format!("thread/fork: thread/fork failed: {why}{code}")))
        }
    }
}

struct Job<'j> {
    json: bool,
    thread: Thread<'j>,
    steering: Words<'j>,
    home: &'j Home,
    words: &'j [OsString],
    signals: Signals,
    items: usize,
}

impl Job<'_> {
    fn event(&self, kind: &str, rest: &Value) -> Run<()> {
        if !self.json {
            return Ok(());
        }
        say(typed(kind, rest).as_bytes())
    }

    fn write(&mut self, lines: &[Line]) -> Run<()> {
        if self.steering.has("UNSAVED") {
            tell(&format!("ERROR codex_core::session: failed to record rollout items: {NO_SPACE}"));
            return Ok(());
        }
        self.thread.append(lines).or_else(fail)
    }

    fn turn(&mut self, prompt: &str) -> Run<()> {
        let history: Vec<String> =
            self.thread.history.turns.iter().flat_map(Turn::messages).map(str::to_owned).collect();
        let open = Open { id: Id::ordered().to_string(), began: Timestamp::now() };
        std::thread::sleep(self.steering.late());
        self.event("turn.started", &json!({}))?;
        let lines = lines::begin(&self.thread, &open, prompt);
        self.write(&lines)?;
        self.thread.hear(prompt);
        self.thread.save()?;
        self.log(prompt, &history)?;
        self.misbehave(&open)?;
        let wait = self.steering.wait();
        self.wait(&open, wait)?;
        if let Some(refusal) = model::refuses(self.thread.version, &self.steering, self.home.path()) {
            return self.fails(&open, &refusal);
        }
        let mut cost = Usage::ONE;
        if let Some(command) = self.steering.command {
            self.shell(&open, command)?;
            cost = cost.plus(Usage::ONE);
        }
        let answer = format!("echo: {prompt}");
        let lines = lines::answer(&self.thread, &open, &answer);
        self.write(&lines)?;
        let item = json!({"id": self.next_item(), "type": "agent_message", "text": answer});
        self.event("item.completed", &json!({"item": item}))?;
        if self.steering.has("CUT") {
            return self.fails(&open, &model::cut());
        }
        self.thread.total = self.thread.total.plus(cost);
        let mut lines = lines::tokens(&self.thread, &open, cost);
        lines.push(lines::complete(&self.thread, &open, Some(&answer), None));
        self.write(&lines)?;
        self.thread.save()?;
        if self.steering.has("UNSAVED") {
            let message = format!(
                "Failed to save the conversation transcript; Codex will continue retrying. {NO_SPACE}"
            );
            let item = json!({"id": self.next_item(), "type": "error", "message": message});
            self.event("item.completed", &json!({"item": item}))?;
        }
        self.event("turn.completed", &json!({"usage": lines::told_usage(&self.thread)}))?;
        if !self.json {
            say(answer.as_bytes())?;
        }
        self.after()
    }

    fn next_item(&mut self) -> String {
        let item = format!("item_{}", self.items);
        self.items += 1;
        item
    }

    /// A model would see the prompt now.
    fn log(&self, prompt: &str, history: &[String]) -> Run<()> {
        let Some(path) = std::env::var_os("CODEX_FAKE_LOG").filter(|path| !path.is_empty()) else {
            return Ok(());
        };
        let variable = |name| std::env::var(name).ok();
        let argv: Vec<_> = self.words.iter().map(|word| word.to_string_lossy()).collect();
        let line = json!({
            "session": self.thread.id, "prompt": prompt, "history": history, "at_ms": Timestamp::now().0,
            "cwd": self.thread.cwd, "argv": argv, "job": variable("CODEX_AGENT_JOB"),
            "run": variable("CODEX_AGENT_RUN"),
        });
        let mut log = OpenOptions::new().append(true).create(true).mode(0o600).open(path).or_else(fail)?;
        // One write: several that log at once do not mix their lines.
        log.write_all(format!("{line}\n").as_bytes()).or_else(fail)
    }

    /// Waits, unless the user interrupts.
    fn wait(&mut self, open: &Open, time: Duration) -> Run<()> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.signals.wait(left).stops > 0 {
                let lines = lines::aborted(&self.thread, open);
                self.write(&lines)?;
                self.thread.save()?;
                return Err(Stop(u8::from(self.thread.version.has(since::STRICT))));
            }
            if left.is_zero() {
                return Ok(());
            }
        }
    }

    /// Does what a Codex should not do in a turn.
    fn misbehave(&mut self, open: &Open) -> Run<()> {
        if self.steering.has("GARBAGE") {
            say(b"no json")?;
            say_json(&json!({"type": "new.thing", "x": [1]}))?;
            say(b"\xff\xfe")?;
        }
        if self.steering.has("LONGLINE") {
            let mut line = Vec::with_capacity(LONG + 100);
            line.extend_from_slice(br#"{"type":"item.completed","item":{"type":"reasoning","text":""#);
            line.resize(line.len() + LONG, b'x');
            line.extend_from_slice(br#""}}"#);
            say(&line)?;
        }
        if self.steering.has("DIES") {
            let _ = kill_process(getpid(), Signal::KILL);
        }
        if self.steering.has("DEAF") {
            let mut deaf = Signals::catch().or_else(fail)?;
            let until = Instant::now() + MINUTE;
            while let left = until.saturating_duration_since(Instant::now())
                && !left.is_zero()
            {
                deaf.wait(left);
            }
        }
        while self.steering.has("NETWORK") {
            let message = "Reconnecting... waiting for network (Connection failed: error sending request for url \
                           (http://127.0.0.1/v1/responses))";
            self.event("error", &json!({"message": message}))?;
            self.wait(open, Duration::from_millis(100))?;
        }
        while self.steering.has("HANG") {
            self.wait(open, MINUTE)?;
        }
        match self.steering.has("QUIET") {
            true => self.wait(open, MINUTE),
            false => Ok(()),
        }
    }

    fn fails(&mut self, open: &Open, refusal: &Refusal) -> Run<()> {
        let error = Some((refusal.message.as_str(), &refusal.info));
        let line = lines::complete(&self.thread, open, None, error);
        self.write(&[line])?;
        self.thread.save()?;
        self.event("error", &json!({"message": refusal.message}))?;
        self.event("turn.failed", &json!({"error": {"message": refusal.message}}))?;
        if !self.json {
            tell(&format!("ERROR: {}", refusal.message));
        }
        Err(Stop(1))
    }

    fn shell(&mut self, open: &Open, command: &str) -> Run<()> {
        let id = self.next_item();
        let told = format!("/bin/sh -c '{command}'");
        let item = |output: &str, code: Option<i32>, status: &str| {
            json!({"item": {
                "id": id, "type": "command_execution", "command": told, "aggregated_output": output,
                "exit_code": code, "status": status,
            }})
        };
        self.event("item.started", &item("", None, "in_progress"))?;
        // Its output is a pipe: nothing that Codex starts has Codex's own.
        let ran = Command::new("/bin/sh")
            .args(["-c", command])
            .current_dir(&self.thread.cwd)
            .stdin(Stdio::null())
            .output()
            .or_else(fail)?;
        let mut output = String::from_utf8_lossy(&ran.stdout).into_owned();
        output.push_str(&String::from_utf8_lossy(&ran.stderr));
        let code = ran.status.code().unwrap_or(-1);
        let lines = lines::command(&self.thread, open, command, &output, code);
        self.write(&lines)?;
        let status = if code == 0 { "completed" } else { "failed" };
        self.event("item.completed", &item(&output, Some(code), status))
    }

    /// The steps after a successful turn.
    fn after(&mut self) -> Run<()> {
        if self.steering.has("LEAVES") {
            // It has our standard output, which no child of the real one has: a shim that is called codex does that.
            let left = Command::new("sleep").arg("60").stdin(Stdio::null()).stderr(Stdio::null()).spawn();
            left.map(drop).or_else(fail)?;
        }
        if self.steering.has("LINGERS") {
            self.signals.wait(MINUTE);
        }
        if self.steering.has("BADEND") { Err(Stop(4)) } else { Ok(()) }
    }
}
