//! What can go wrong, said in one line, and the exit code that goes with it.
//!
//! An error names its subject, what was attempted and, where there is one, the way out (the hint).
//! Messages begin in lower case and have no full stop: `cannot open '/x': permission denied`.
//! Errors that end a tool are printed in one place, `cli::main`. A problem after which a tool continues is a
//! warning ([`warn`]); a line about success or progress is a status ([`status`]), which `--quiet` suppresses.
//!
//! ```
//! use codex_agent_shared::error::{Error, Exit};
//!
//! let error = Error::not_found("there is no group 'x'").hint("codex-agent group list lists them");
//! assert_eq!((error.exit(), error.exit().code()), (Exit::Negative, 1));
//! ```

mod nonblocking;

#[doc(hidden)]
pub use nonblocking::Stream;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The exit codes of every tool. A closed set: scripts may rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done. A listing without rows is done too.
    Done,
    /// 1: nothing found, or some job failed.
    Negative,
    /// 2: bad usage, or trouble: nothing was changed unless the message says so.
    Trouble,
    /// 75: a run was stopped with work left; it can be continued.
    WorkLeft,
    /// 130: interrupted, and jobs were killed for it.
    Interrupted,
    /// 126: the dispatcher found the tool and cannot run it.
    CannotRun,
    /// 127: the dispatcher knows no such tool.
    NoSuchTool,
    /// The code of a program that was run for the user, or 128 and the signal that ended it.
    Theirs(u8),
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Negative => 1,
            Exit::Trouble => 2,
            Exit::WorkLeft => 75,
            Exit::Interrupted => 130,
            Exit::CannotRun => 126,
            Exit::NoSuchTool => 127,
            Exit::Theirs(code) => code,
        }
    }
}

/// One line that says what went wrong, a hint that says the way out, and the exit code.
#[derive(Debug)]
pub struct Error {
    message: String,
    hint: Option<String>,
    exit: Exit,
    usage: bool,
    broken_pipe: bool,
    kind: Option<io::ErrorKind>,
    of_place: bool,
}

/// What every fallible function of this library returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Trouble (exit 2): the world is not as it must be.
    pub fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Error {
            message,
            hint: None,
            exit: Exit::Trouble,
            usage: false,
            broken_pipe: false,
            kind: None,
            of_place: false,
        }
    }

    /// Bad usage (exit 2): the words on the command line are off; the tool's `--help` is pointed to.
    pub fn usage(message: impl Into<String>) -> Self {
        Error { usage: true, ..Error::new(message) }
    }

    /// Nothing is there (exit 1).
    pub fn not_found(message: impl Into<String>) -> Self {
        Error { exit: Exit::Negative, ..Error::new(message) }
    }

    /// A failure to write to standard output. A closed pipe is marked, so that the tool ends quietly.
    pub fn of_output(error: impl Into<io::Error>) -> Self {
        let error = error.into();
        Error {
            broken_pipe: error.kind() == io::ErrorKind::BrokenPipe,
            ..Error::new(format!("cannot write to standard output: {}", reason(&error)))
        }
    }

    /// The same error, with the way out in a line of its own, after those that it has already.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.hint = Some(match self.hint.take() {
            Some(first) => format!("{first}\n{hint}"),
            None => hint,
        });
        self
    }

    /// The same error, with this way out where it has none yet.
    #[must_use]
    pub fn or_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// The same error with another exit code.
    #[must_use]
    pub fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The same error, with what it happened in put before it: `stdin:17: …`.
    #[must_use]
    pub fn within(mut self, place: impl Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The exit code that a tool ends with when this error ends it.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the system said, where it was the system.
    pub fn kind(&self) -> Option<io::ErrorKind> {
        self.kind
    }

    /// The same error, as trouble with a directory or a file of our own.
    #[must_use]
    #[doc(hidden)]
    pub fn of_place(mut self) -> Self {
        self.of_place = true;
        self
    }

    /// Whether it is trouble with a directory or a file of our own, which any other job would meet as well.
    #[doc(hidden)]
    pub fn is_of_place(&self) -> bool {
        self.of_place
    }

    /// Whether the reader of our output went away, which is not an error: the tool ends quietly.
    pub fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }

    /// Prints the error as `NAME: message`, with the hint and, for bad usage, the way to the help.
    #[doc(hidden)]
    pub fn print(&self, name: &str) {
        let mut text = format!("{name}: {}\n", harmless(&self.message));
        if let Some(hint) = &self.hint {
            for line in hint.lines() {
                text.push_str(&format!("  {}\n", harmless(line)));
            }
        }
        if self.usage {
            text.push_str(&format!("Try '{name} --help'.\n"));
        }
        say(&text);
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Adds path and verb to an I/O error, so that none leaves without them.
pub trait Context<T> {
    /// `cannot VERB 'PATH': reason`.
    fn context(self, verb: &str, path: &Path) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, verb: &str, path: &Path) -> Result<T> {
        self.map_err(|error| {
            let message = format!("cannot {verb} '{}': {}", path.display(), reason(&error));
            Error { kind: Some(error.kind()), ..Error::new(message) }
        })
    }
}

/// The system's reason in plain words, without Rust's "(os error 13)".
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let plain = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = plain.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::from("unknown reason"),
    }
}

static PROGRAM: OnceLock<String> = OnceLock::new();

/// Sets the name that warnings begin with. The first call wins.
#[doc(hidden)]
pub fn set_program(name: &str) {
    let _ = PROGRAM.set(name.to_owned());
}

static QUIET: AtomicBool = AtomicBool::new(false);

/// Suppresses status lines from now on: `--quiet`.
pub fn set_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether status lines are suppressed.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// One line to standard error about success or progress, which `--quiet` suppresses.
pub fn status(message: impl Display) {
    if !is_quiet() {
        warn(message);
    }
}

/// One line to standard error about a problem after which the tool continues.
pub fn warn(message: impl Display) {
    let name = PROGRAM.get().map_or("codex-agent", String::as_str);
    say(&format!("{name}: {}\n", harmless(&message.to_string())));
}

/// What standard error has not taken yet, from [`buffer_stderr`] on.
static KEPT: Mutex<Option<Vec<u8>>> = Mutex::new(None);

/// So much is kept for a reader of standard error that does not read; what comes then is dropped.
const MOST_KEPT: usize = 1 << 20;

/// From now on nobody waits for the reader of standard error, which may be a pipe that is not read, the same
/// as standard output's (`2>&1 | less`): what it does not take at once is kept. [`hand_on`] tries again, and
/// [`flush`] waits.
#[doc(hidden)]
pub fn buffer_stderr() {
    kept().get_or_insert_default();
}

/// Hands on what standard error takes now. False where something is left.
#[doc(hidden)]
pub fn hand_on() -> bool {
    let mut guard = kept();
    let Some(kept) = guard.as_mut() else { return true };
    let mut handed = 0;
    loop {
        match Stream::Err.write_some(&kept[handed..]) {
            Ok(0) => break,
            Ok(more) => handed += more,
            // It is gone; there is nowhere left to say so.
            Err(_) => handed = kept.len(),
        }
    }
    kept.drain(..handed);
    kept.is_empty()
}

/// Hands on all that is kept, and waits for it where it must.
#[doc(hidden)]
pub fn flush() {
    if let Some(kept) = kept().take() {
        let _ = io::stderr().write_all(&kept);
    }
}

fn say(text: &str) {
    let mut guard = kept();
    let Some(kept) = guard.as_mut() else {
        // Standard error may be gone; there is nowhere left to say so.
        let _ = io::stderr().write_all(text.as_bytes());
        return;
    };
    if kept.len() < MOST_KEPT {
        kept.extend_from_slice(text.as_bytes());
    }
    drop(guard);
    hand_on();
}

/// A poisoned lock has a text in it all the same.
fn kept() -> MutexGuard<'static, Option<Vec<u8>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same about something that is met again and again: the same line is printed once.
pub fn warn_once(message: impl Display) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let message = message.to_string();
    // A poisoned lock would only mean that a line is said twice.
    if SAID.lock().map_or(true, |mut said| said.insert(message.clone())) {
        warn(message);
    }
}

/// A status line for a terminal alone: a script knows the same by the exit code.
pub fn note(message: impl Display) {
    use std::io::IsTerminal;
    if io::stderr().is_terminal() {
        status(message);
    }
}

/// The same about an error: its one line, and the way out.
pub fn warn_of(error: &Error) {
    let name = PROGRAM.get().map_or("codex-agent", String::as_str);
    Error { usage: false, message: error.message.clone(), hint: error.hint.clone(), ..*error }.print(name);
}

/// Text with every control character made visible, as file names and foreign bytes may hold any.
fn harmless(text: &str) -> std::borrow::Cow<'_, str> {
    crate::text::harmless(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_plain() {
        let error = io::Error::from_raw_os_error(13);
        assert_eq!(reason(&error), "permission denied");
    }

    #[test]
    fn a_closed_pipe_is_known() {
        assert!(Error::of_output(io::Error::from(io::ErrorKind::BrokenPipe)).is_broken_pipe());
        assert!(!Error::of_output(io::Error::from(io::ErrorKind::StorageFull)).is_broken_pipe());
    }
}
