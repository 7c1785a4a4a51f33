//! Codex's app-server: requests and answers as JSON-RPC over its pipes, one object a line.
//!
//! Only the app-server can name a session, fork it before a message, or archive many at one start. Messages have no member `"jsonrpc"`;
//! `initialize` comes first, then `initialized`. Every version ignores unknown *parameters* and answers unknown
//! *methods* by an error, so that an answer must be checked. When its standard input is closed, the server ends within a
//! second and unlocks the sessions that it has loaded. 0.77 is the first version with these methods (0.45 answers every
//! request about sessions by an error).
//!
//! A start takes 0.4 to 0.7 s (0.169), an answer 2 to 300 ms. A server that does not answer for a minute is killed.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use codex_agent_shared::codex::home::Home;
use codex_agent_shared::config;
use codex_agent_shared::config::Source;
use codex_agent_shared::error::{Error, Result, reason};
use codex_agent_shared::exec::find_program;
use codex_agent_shared::ndjson::{Lines, RawLine};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Finds the executable of Codex. The first of these that is set counts: `named` (a flag), `CODEX_AGENT_CODEX`,
/// `codex.binary` in `config.toml` of codex-agent, `codex` in the absolute directories of `PATH`. The path is absolute,
/// since each job has another working directory. A name without a slash is looked up on `PATH`. Only a flag may have a
/// relative path, since the user typed it in this directory; a variable would mean another program in each directory.
pub fn find_codex(named: Option<&Path>) -> Result<PathBuf> {
    let chosen = config::chosen(&config::CODEX_BINARY, named.map(|path| path.as_os_str().to_owned()))?;
    let Some((path, by)) = chosen.map(|(path, by)| (PathBuf::from(path), by)) else {
        return find_program("codex").ok_or_else(|| {
            Error::new("there is no executable 'codex' on PATH")
                .hint("install Codex, or name its executable with --codex, CODEX_AGENT_CODEX or codex.binary")
        });
    };
    if !path.as_os_str().as_encoded_bytes().contains(&b'/') {
        return find_program(&path).ok_or_else(|| {
            let (by, name) = (config::source_text(by), path.display());
            Error::new(format!("cannot run codex: there is no '{name}' on PATH ({by})"))
                .hint("a name without a slash is looked up in the absolute directories of PATH")
        });
    }
    if path.is_relative() && !matches!(by, Source::Flag(_)) {
        let (by, path) = (config::source_text(by), path.display());
        let message = format!("cannot use {by}: '{path}' is neither an absolute path nor a plain name");
        return Err(Error::usage(message).hint("a relative path means another program in each directory"));
    }
    std::fs::canonicalize(&path)
        .map(|real| if real.is_dir() { path.clone() } else { std::path::absolute(&path).unwrap_or(real) })
        .map_err(|error| {
            let (by, why) = (config::source_text(by), reason(&error));
            Error::new(format!("cannot run codex at '{}' ({by}): {why}", path.display()))
        })
}

/// A running app-server.
pub struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<ChildStdout>,
    /// The number of requests.
    requests: u64,
}

/// A failed request.
#[derive(Debug)]
pub struct Failure {
    /// The error.
    pub error: Error,
    /// Whether this Codex does not have the method.
    pub is_unknown: bool,
    /// The reason by Codex's words, if Codex answered.
    pub refusal: Option<String>,
}

impl Failure {
    /// The error of the request; if this Codex does not have the method, an error that names the first version with
    /// this ability.
    pub fn explain(self, version: &str, ability: &str, first: &str) -> Error {
        match self.is_unknown {
            true => Error::new(format!("Codex {version} cannot {ability}"))
                .hint(format!("Codex {first} is the first version that can {ability}")),
            false => self.error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, is_unknown: false, refusal: None }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        failure.error
    }
}

impl Server {
    /// Starts the server of this Codex on this home, in this directory, and shakes hands.
    pub fn start(codex: &Path, home: &Home, directory: &Path) -> Result<Server> {
        let mut child = Command::new(codex)
            .arg("app-server")
            .current_dir(directory)
            .env("CODEX_HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Its log is for its developers; errors are in its answers.
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                let (codex, place, why) = (codex.display(), directory.display(), reason(&error));
                Error::new(format!("cannot start '{codex} app-server' in '{place}': {why}"))
            })?;
        let missing = || Error::new("Codex's app-server has no pipes for input and output");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let mut server =
            Server { child, stdin: Some(stdin), lines: Lines::new(stdout, 64 << 10), requests: 0 };
        let version = env!("CARGO_PKG_VERSION");
        let client = json!({
            "clientInfo": {"name": "codex-agent", "title": "codex-agent", "version": version},
            "capabilities": {"experimentalApi": true},
        });
        server.call("initialize", &client)?;
        server.send(&json!({"method": "initialized"}))?;
        Ok(server)
    }

    /// Sends a request and waits for its answer. Other messages are skipped.
    pub fn call(&mut self, method: &str, params: &Value) -> std::result::Result<Value, Failure> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            id: Option<u64>,
            method: Option<&'a RawValue>,
            #[serde(borrow)]
            result: Option<&'a RawValue>,
            error: Option<Refusal>,
        }
        #[derive(Deserialize)]
        struct Refusal {
            message: String,
        }
        self.requests += 1;
        let id = self.requests;
        let refused = |why| Failure::from(Error::new(format!("Codex refused the request '{method}': {why}")));
        self.send(&json!({"id": id, "method": method, "params": params}))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.wait(deadline, method)?;
            let line = match self.lines.next() {
                Ok(Some(RawLine::Whole(line))) => line,
                Ok(Some(RawLine::TooLong)) => {
                    return Err(refused("its answer is longer than 64 MiB".to_owned()));
                }
                Ok(None) => return Err(refused("it ended without an answer".to_owned())),
                Err(error) => return Err(refused(reason(&error))),
            };
            let Ok(answer) = serde_json::from_slice::<Answer<'_>>(line) else { continue };
            if answer.id != Some(id) || answer.method.is_some() {
                continue;
            }
            if let Some(Refusal { message }) = answer.error {
                let is_unknown = message.contains("unknown variant") || message.contains("Invalid request");
                return Err(Failure { is_unknown, refusal: Some(message.clone()), ..refused(message) });
            }
            let result = answer.result.map_or("null", RawValue::get);
            return serde_json::from_str(result).map_err(|error| refused(error.to_string()));
        }
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let Some(stdin) = &mut self.stdin else { return Err(Error::new("Codex's app-server was closed")) };
        match writeln!(stdin, "{message}").and_then(|()| stdin.flush()) {
            // The read that follows reports that the server has ended.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Error::new(format!("cannot write to Codex's app-server: {}", reason(&error))))
            }
            _ => Ok(()),
        }
    }

    /// Waits until there is data to read; an error after the deadline.
    fn wait(&mut self, deadline: Instant, method: &str) -> Result<()> {
        while !self.lines.is_ready() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let limit = PATIENCE.as_secs();
                return Err(Error::new(format!("Codex did not answer request '{method}' within {limit} s")));
            }
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            let mut fds = [PollFd::new(self.lines.reader(), PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                // A timeout or a signal; otherwise there is data, or the end.
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => {
                    let why = reason(&error.into());
                    return Err(Error::new(format!("cannot wait for Codex's app-server: {why}")));
                }
            }
        }
        Ok(())
    }

    /// Ends the server and waits for its end, which unlocks the sessions that it has loaded.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stdin = None;
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // All changes are on disk, since the server writes them before it answers.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
