//! Codex's app-server: questions and orders as JSON-RPC, one object a line, over its pipes.
//!
//! It is the only way to name a session, and the only way to fork one before a message. It speaks
//! without a `"jsonrpc"` member; `initialize` comes first, then `initialized`. Unknown *parameters*
//! are ignored by every version, unknown *methods* are errors, so an answer must be checked for what
//! was asked. Closing its standard input ends it within a second and frees the sessions that it has
//! loaded. It is there from 0.77 on (0.45 answers every question about sessions with an error).
//!
//! Starting takes 0.4 to 0.7 s (0.169), an answer 2 to 300 ms; after a minute of silence it is ended.

use std::io::Write;
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

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The executable of Codex, first that is set: `named` (a flag), `CODEX_AGENT_CODEX`, `codex.binary` in our
/// own `config.toml`, `codex` in the absolute entries of `PATH`. Absolute, so that it is the same whatever
/// directory is gone to. A plain name is looked for on `PATH` too. A relative path is accepted from a flag alone,
/// which was typed in this directory: a variable would name another program in each one.
pub fn find_codex(named: Option<&Path>) -> Result<PathBuf> {
    let said = config::chosen(&config::CODEX_BINARY, named.map(|path| path.as_os_str().to_owned()))?;
    let Some((path, by)) = said.map(|(path, by)| (PathBuf::from(path), by)) else {
        return find_program("codex").ok_or_else(|| {
            Error::new("there is no codex on PATH")
                .hint("install Codex, or name its executable with --codex, CODEX_AGENT_CODEX or codex.binary")
        });
    };
    if !path.as_os_str().as_encoded_bytes().contains(&b'/') {
        return find_program(&path).ok_or_else(|| {
            let (by, name) = (config::source_text(by), path.display());
            Error::new(format!("cannot run codex: there is no '{name}' on PATH ({by})"))
                .hint("a name without a slash is looked for in the absolute directories of PATH")
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
    asked: u64,
}

/// Why a call failed.
#[derive(Debug)]
pub enum Failure {
    /// The server does not know the method: it is older than that.
    Unknown(Error),
    /// It knows it and refused, or did not answer.
    Refused(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Unknown(error) | Failure::Refused(error) => error,
        }
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
            // What it logs is for its developers; what it means is in its answers.
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                let place = directory.display();
                Error::new(format!(
                    "cannot start '{} app-server' in '{place}': {}",
                    codex.display(),
                    reason(&error)
                ))
            })?;
        let gone = || Error::new("the app-server has no pipes");
        let stdin = child.stdin.take().ok_or_else(gone)?;
        let stdout = child.stdout.take().ok_or_else(gone)?;
        let mut server = Server { child, stdin: Some(stdin), lines: Lines::new(stdout, 64 << 10), asked: 0 };
        let version = env!("CARGO_PKG_VERSION");
        let client = json!({
            "clientInfo": {"name": "codex-agent", "title": "codex-agent", "version": version},
            "capabilities": {"experimentalApi": true},
        });
        server.call("initialize", &client)?;
        server.send(&json!({"method": "initialized"}))?;
        Ok(server)
    }

    /// Asks one thing and waits for its answer. What the server says in between is passed over.
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
        self.asked += 1;
        let id = self.asked;
        let refused = |why: String| Failure::Refused(Error::new(format!("Codex refused {method}: {why}")));
        self.send(&json!({"id": id, "method": method, "params": params})).map_err(Failure::Refused)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.wait(deadline, method).map_err(Failure::Refused)?;
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
                return Err(match is_unknown {
                    true => Failure::Unknown(Error::new(format!("this Codex does not know {method}"))),
                    false => refused(message),
                });
            }
            let result = answer.result.map_or("null", RawValue::get);
            return serde_json::from_str(result).map_err(|error| refused(error.to_string()));
        }
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let Some(stdin) = &mut self.stdin else { return Err(Error::new("the app-server was closed")) };
        writeln!(stdin, "{message}")
            .and_then(|()| stdin.flush())
            .map_err(|error| Error::new(format!("cannot speak to Codex's app-server: {}", reason(&error))))
    }

    /// Waits until there is something to read, or the deadline has passed.
    fn wait(&mut self, deadline: Instant, method: &str) -> Result<()> {
        while !self.lines.is_ready() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(format!(
                    "Codex did not answer {method} within {} s",
                    PATIENCE.as_secs()
                )));
            }
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            let mut fds = [PollFd::new(self.lines.reader(), PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                // Something to read, the end, or a signal: reading tells.
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => {
                    return Err(Error::new(format!(
                        "cannot wait for Codex's app-server: {}",
                        reason(&error.into())
                    )));
                }
            }
        }
        Ok(())
    }

    /// Ends the server and waits for it, so that the sessions that it had loaded are free.
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
        // It has had its time; what it was told is written when it answers.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
