//! `codex exec`: one turn, and its failures.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Value, json};

use crate::args::{self, Args, Verb};
use crate::history::Turn;
use crate::line::{Line, Usage, typed};
use crate::lines::{self, OpenTurn};
use crate::model::{self, Refusal};
use crate::output::{Exit, OrExit, exit_with, fail, home, print_error_line, print_line};
use crate::store::Store;
use crate::thread::{Origin, Thread, find_by_name};
use crate::version::{Version, since};
use crate::words::Words;
use crate::worktree;
use codex_agent_shared::child::signals::Signals;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// The longest wait, except for those without an end.
const MINUTE: Duration = Duration::from_secs(60);
/// The message of a full disk.
const NO_SPACE: &str = "Error: thread-store internal error: No space left on device (os error 28)";
/// The length of a long line.
const LONG: usize = 100_000_000;

pub(super) fn run(version: Version, words: &[OsString]) -> OrExit<()> {
    let args = args::parse(&version, &words[1..])?;
    // Codex stores resolved paths.
    let mut cwd =
        std::fs::canonicalize(args.directory.as_deref().unwrap_or(OsStr::new("."))).or_else(fail)?;
    if args.worktree && matches!(args.verb, Verb::Resume(_)) {
        return fail("`--worktree` cannot resume an existing session; use `codex exec fork --worktree`");
    }
    if std::env::var_os("CODEX_FAKE_GIT_CHECK").is_some_and(|value| value == "1")
        && !args.skip_git_check
        && !cwd.ancestors().any(|directory| directory.join(".git").exists())
    {
        return exit_with(1, "Not inside a trusted directory and --skip-git-repo-check was not specified.");
    }
    let home = home()?;
    let prompt = read_prompt(&version, &args)?;
    let steering = Words::parse(prompt.as_deref().unwrap_or_default());
    if steering.has("EXITS") {
        return exit_with(3, "Error: boom");
    }
    while steering.has("HANGSTART") {
        std::thread::sleep(MINUTE);
    }
    let store = Store::open(version, home).or_else(fail)?;
    if args.worktree {
        cwd = worktree::create(&store, &cwd).or_else(fail)?;
    }
    let thread = open_thread(&store, &args, &cwd, &steering)?;
    let id = thread.id;
    let signals = Signals::interrupts().or_else(fail)?;
    let mut job = Job { json: args.json, thread, steering, words, signals, items: 0 };
    job.event("thread.started", &json!({"thread_id": id}))?;
    if !args.json {
        print_error_line(format_args!("session id: {id}"));
    }
    match &prompt {
        Some(prompt) => job.run_turn(prompt),
        None => Ok(()),
    }
}

/// The prompt of the arguments, of standard input, or of both. A fork needs none.
fn read_prompt(version: &Version, args: &Args) -> OrExit<Option<String>> {
    let given = match &args.prompt {
        Some(given) if given != "-" => given,
        None if matches!(args.verb, Verb::Fork(_)) => return Ok(None),
        asked => {
            if asked.is_none() {
                print_error_line("Reading prompt from stdin...");
            }
            let text = read_stdin()?;
            return match text.trim().is_empty() {
                true => exit_with(1, "No prompt provided via stdin."),
                false => Ok(Some(text)),
            };
        }
    };
    let Some(given) = given.to_str() else { return fail("the prompt is not valid UTF-8") };
    let is_new = matches!(args.verb, Verb::New);
    if is_new && version.has(since::STDIN_BLOCK) && !std::io::stdin().is_terminal() {
        print_error_line("Reading additional input from stdin...");
        let more = read_stdin()?;
        if !more.trim().is_empty() {
            return Ok(Some(format!("{given}\n\n<stdin>\n{more}\n</stdin>")));
        }
    }
    Ok(Some(given.to_owned()))
}

fn read_stdin() -> OrExit<String> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).or_else(fail)?;
    String::from_utf8(bytes)
        .or_else(|_| exit_with(1, "Failed to read prompt from stdin: input is not valid UTF-8"))
}

/// The session of the turn.
fn open_thread<'s>(store: &'s Store, args: &Args, cwd: &Path, steering: &Words<'_>) -> OrExit<Thread<'s>> {
    let version = &store.version;
    let origin = Origin {
        cwd,
        source: "exec",
        thread_source: version.has(134).then_some("user"),
        model: args.model.as_deref(),
        sandbox: args.sandbox.as_deref(),
    };
    let begin = || Thread::begin(store, &origin).or_else(fail);
    let code = if version.has(since::ERROR_CODE) { " (code -32600)" } else { "" };
    let find = |given: &str| Id::parse(given).or_else(|| find_by_name(store, given));
    match &args.verb {
        Verb::New => begin(),
        Verb::Resume(_) if steering.has("OTHER") => begin(),
        Verb::Resume(given) => {
            // An unknown name starts a new session in every version; an unknown id did up to 0.106.
            let Some(id) = find(&given.to_string_lossy()) else { return begin() };
            match Thread::load(store, id) {
                Ok(mut thread) => {
                    thread.cwd = cwd.to_string_lossy().into_owned();
                    thread.model = args.model.clone().unwrap_or(thread.model);
                    thread.sandbox = args.sandbox.clone().unwrap_or_else(|| "read-only".to_owned());
                    Ok(thread)
                }
                Err(why) if why.starts_with("no rollout") && !version.has(since::STRICT) => begin(),
                Err(why) => fail(format!("thread/resume: thread/resume failed: {why}{code}")),
            }
        }
        Verb::Fork(given) => {
            let given = given.to_string_lossy();
            let Some(id) = find(&given) else { return fail(format!("Session not found: {given}")) };
            Thread::fork(store, id, None, &origin)
                .or_else(|why| fail(format!("thread/fork: thread/fork failed: {why}{code}")))
        }
    }
}

struct Job<'j> {
    json: bool,
    thread: Thread<'j>,
    steering: Words<'j>,
    words: &'j [OsString],
    signals: Signals,
    items: usize,
}

impl Job<'_> {
    fn event(&self, kind: &str, rest: &Value) -> OrExit<()> {
        if self.json { print_line(typed(kind, rest)) } else { Ok(()) }
    }

    fn append(&mut self, lines: &[Line]) -> OrExit<()> {
        if self.steering.has("UNSAVED") {
            let error = "ERROR codex_core::session: failed to record rollout items";
            print_error_line(format_args!("{error}: {NO_SPACE}"));
            return Ok(());
        }
        self.thread.append(lines).or_else(fail)
    }

    /// Appends lines and updates the row.
    fn save(&mut self, lines: &[Line]) -> OrExit<()> {
        self.append(lines)?;
        self.thread.save().or_else(fail)
    }

    fn run_turn(&mut self, prompt: &str) -> OrExit<()> {
        let history = self.thread.history.turns.iter().flat_map(Turn::user_messages);
        let history: Vec<String> = history.map(str::to_owned).collect();
        let open = OpenTurn { id: Id::ordered().to_string(), began: Timestamp::now() };
        std::thread::sleep(self.steering.recording_delay());
        self.event("turn.started", &json!({}))?;
        self.append(&lines::start_lines(&self.thread, &open, prompt))?;
        self.thread.add_prompt(prompt);
        self.save(&[])?;
        self.log(prompt, &history)?;
        self.misbehave(&open)?;
        self.wait(&open, self.steering.answer_delay())?;
        let store = self.thread.store;
        if let Some(refusal) = model::refusal(&store.version, &self.steering, store.home.path()) {
            return self.fail_turn(&open, &refusal);
        }
        let mut cost = Usage::ONE;
        if let Some(command) = self.steering.command {
            self.run_shell(&open, command)?;
            cost = cost.plus(Usage::ONE);
        }
        let answer = format!("echo: {prompt}");
        self.append(&lines::answer_lines(&self.thread, &open, &answer))?;
        let item = json!({"id": self.next_item(), "type": "agent_message", "text": answer});
        self.event("item.completed", &json!({"item": item}))?;
        if self.steering.has("CUT") {
            return self.fail_turn(&open, &model::incomplete_stream());
        }
        self.thread.total = self.thread.total.plus(cost);
        let mut lines = lines::token_lines(&self.thread, &open, cost);
        lines.push(lines::end_line(&self.thread, &open, Some(&answer), None));
        self.save(&lines)?;
        if self.steering.has("UNSAVED") {
            let message = format!(
                "Failed to save the conversation transcript; Codex will continue retrying. {NO_SPACE}"
            );
            let item = json!({"id": self.next_item(), "type": "error", "message": message});
            self.event("item.completed", &json!({"item": item}))?;
        }
        self.event("turn.completed", &json!({"usage": lines::reported_usage(&self.thread)}))?;
        if !self.json {
            print_line(answer)?;
        }
        self.end_process()
    }

    fn next_item(&mut self) -> String {
        let item = format!("item_{}", self.items);
        self.items += 1;
        item
    }

    /// Logs the prompt at the moment when a model would receive it.
    fn log(&self, prompt: &str, history: &[String]) -> OrExit<()> {
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
        // The lines of concurrent processes do not mix, since each line is one write.
        log.write_all(format!("{line}\n").as_bytes()).or_else(fail)
    }

    /// Waits, unless the user interrupts the turn.
    fn wait(&mut self, open: &OpenTurn, time: Duration) -> OrExit<()> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.signals.wait(left).stops > 0 {
                self.save(&lines::abort_lines(&self.thread, open))?;
                return Err(Exit(u8::from(self.thread.has(since::STRICT))));
            }
            if left.is_zero() {
                return Ok(());
            }
        }
    }

    /// Misbehaves in the ways that the words ask for.
    fn misbehave(&mut self, open: &OpenTurn) -> OrExit<()> {
        if self.steering.has("GARBAGE") {
            print_line("no json")?;
            print_line(json!({"type": "new.thing", "x": [1]}).to_string())?;
            print_line(b"\xff\xfe")?;
        }
        if self.steering.has("LONGLINE") {
            let mut line = Vec::with_capacity(LONG + 100);
            line.extend_from_slice(br#"{"type":"item.completed","item":{"type":"reasoning","text":""#);
            line.resize(line.len() + LONG, b'x');
            line.extend_from_slice(br#""}}"#);
            print_line(&line)?;
        }
        if self.steering.has("DIES") {
            let _ = kill_process(getpid(), Signal::KILL);
        }
        if self.steering.has("DEAF") {
            let mut deaf = Signals::catch().or_else(fail)?;
            let until = Instant::now() + MINUTE;
            while Instant::now() < until {
                deaf.wait(until.saturating_duration_since(Instant::now()));
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

    fn fail_turn(&mut self, open: &OpenTurn, refusal: &Refusal) -> OrExit<()> {
        let error = Some((refusal.message.as_str(), &refusal.info));
        let limit = refusal.resets_at.map(lines::limit_line);
        let end = lines::end_line(&self.thread, open, None, error);
        self.save(&limit.into_iter().chain([end]).collect::<Vec<_>>())?;
        self.event("error", &json!({"message": refusal.message}))?;
        self.event("turn.failed", &json!({"error": {"message": refusal.message}}))?;
        if !self.json {
            print_error_line(format_args!("ERROR: {}", refusal.message));
        }
        Err(Exit(1))
    }

    fn run_shell(&mut self, open: &OpenTurn, command: &str) -> OrExit<()> {
        let id = self.next_item();
        let shown = format!("/bin/sh -c '{command}'");
        let item = |output: &str, code: Option<i32>, status: &str| {
            json!({"item": {
                "id": id, "type": "command_execution", "command": shown, "aggregated_output": output,
                "exit_code": code, "status": status,
            }})
        };
        self.event("item.started", &item("", None, "in_progress"))?;
        // The output of the command is a pipe, since Codex passes its own output to no process.
        let ran = Command::new("/bin/sh")
            .args(["-c", command])
            .current_dir(&self.thread.cwd)
            .stdin(Stdio::null())
            .output()
            .or_else(fail)?;
        let mut output = String::from_utf8_lossy(&ran.stdout).into_owned();
        output.push_str(&String::from_utf8_lossy(&ran.stderr));
        let code = ran.status.code().unwrap_or(-1);
        self.append(&lines::command_lines(&self.thread, open, command, &output, code))?;
        let status = if code == 0 { "completed" } else { "failed" };
        self.event("item.completed", &item(&output, Some(code), status))
    }

    /// Ends the process after a completed turn.
    fn end_process(&mut self) -> OrExit<()> {
        if self.steering.has("LEAVES") {
            // This child inherits standard output, as from a shim that is called codex, and not as from Codex.
            let left = Command::new("sleep").arg("60").stdin(Stdio::null()).stderr(Stdio::null()).spawn();
            left.map(drop).or_else(fail)?;
        }
        if self.steering.has("LINGERS") {
            self.signals.wait(MINUTE);
        }
        if self.steering.has("BADEND") { Err(Exit(4)) } else { Ok(()) }
    }
}
