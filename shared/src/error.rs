//! Errors: one line, a hint, and the exit status that belongs to the error.
//!
//! An error names its subject and the attempt, and has a hint if the user can do something about it. Messages begin
//! in lower case and have no full stop: `cannot open '/x': permission denied`. Errors that end a tool are printed in
//! one place, `cli::main`. A problem after which a tool continues is a warning ([`warn`]); a line about success or
//! progress is a status ([`status`]), which `--quiet` suppresses.
//!
//! ```
//! use codex_agent_shared::error::{Error, Exit};
//!
//! let error = Error::not_found("there is no group 'x'").hint("'codex-agent group list' lists the groups");
//! assert_eq!((error.exit(), error.exit().code()), (Exit::Negative, 1));
//! ```

mod nonblocking;

#[doc(hidden)]
pub use nonblocking::Stream;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::text::{harmless, lines, width};

/// The exit codes of every tool. A closed set: scripts may rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: success. A listing without rows is a success too.
    Done,
    /// 1: nothing was found, or a job failed.
    Negative,
    /// 2: bad usage, or another error: nothing was changed unless the message names the change.
    Trouble,
    /// 75: a run was stopped with pending jobs; it can be continued.
    WorkLeft,
    /// 130: interrupted, and the running jobs were killed.
    Interrupted,
    /// 126: the dispatcher found the tool and cannot run it.
    CannotRun,
    /// 127: the dispatcher found no such tool.
    NoSuchTool,
    /// The exit status of a program that was run for the user, or 128 and the signal that killed it.
    Theirs(u8),
}

impl Exit {
    /// The number that the shell gets.
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

/// An error: its message in one line, hints, and the exit code.
#[derive(Debug)]
#[must_use]
pub struct Error {
    message: String,
    hint: Option<String>,
    exit: Exit,
    usage: bool,
    broken_pipe: bool,
    kind: Option<io::ErrorKind>,
    of_place: bool,
}

/// The result of every fallible function of this library.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that ends a tool with exit status 2.
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

    /// Bad usage, with exit status 2: a reference to `--help` is printed after the error.
    pub fn usage(message: impl Into<String>) -> Self {
        Error { usage: true, ..Error::new(message) }
    }

    /// An error with exit status 1: the subject does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Error { exit: Exit::Negative, ..Error::new(message) }
    }

    /// A failure to write to standard output. A closed pipe is marked, so that the tool ends without a message.
    pub fn of_output(error: impl Into<io::Error>) -> Self {
        let error = error.into();
        Error {
            broken_pipe: error.kind() == io::ErrorKind::BrokenPipe,
            ..Error::new(format!("cannot write to standard output: {}", reason(&error)))
        }
    }

    /// The error with a further hint, on a line of its own.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.hint = Some(match self.hint.take() {
            Some(first) => format!("{first}\n{hint}"),
            None => hint,
        });
        self
    }

    /// The error with this hint, unless it has a hint already.
    pub fn or_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// The error with another exit code.
    pub fn with_exit(self, exit: Exit) -> Self {
        Error { exit, ..self }
    }

    /// The error with its place before the message: `stdin:17: …`.
    pub fn within(self, place: impl Display) -> Self {
        Error { message: format!("{place}: {}", self.message), ..self }
    }

    /// The hints in one line, for a message that has no other lines.
    #[doc(hidden)]
    pub fn hints(&self) -> Option<String> {
        self.hint.as_ref().map(|hint| hint.lines().collect::<Vec<_>>().join("; "))
    }

    /// The exit code of a tool that this error ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The message without hints.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The kind of an error of the system; `None` for other errors.
    pub fn kind(&self) -> Option<io::ErrorKind> {
        self.kind
    }

    /// The error, marked as one of a directory or a file of codex-agent.
    #[doc(hidden)]
    pub fn of_place(self) -> Self {
        Error { of_place: true, ..self }
    }

    /// Whether a directory or a file of codex-agent cannot be used: every other job would fail as well.
    #[doc(hidden)]
    pub fn is_of_place(&self) -> bool {
        self.of_place
    }

    /// Whether the reader of standard output has closed it, after which a tool ends without a message.
    pub fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }

    /// Prints the error as `NAME: message`, with its hints and, for bad usage, a reference to the help.
    #[doc(hidden)]
    pub fn print(&self, name: &str) {
        let help = if self.usage { format!("Try '{name} --help'.\n") } else { String::new() };
        print_text(&(self.text(name) + &help));
    }

    fn text(&self, name: &str) -> String {
        let hints = self.hint.iter().flat_map(|hint| hint.lines());
        let hints = hints.map(|line| format!("  {}\n", harmless(line))).collect::<String>();
        format!("{name}: {}\n{hints}", harmless(&self.message))
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Adds the path and the attempt to an error of the system.
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

/// The reason of the system as a clause, without Rust's "(os error 13)".
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

/// Sets the name that warnings begin with. The first call has effect.
#[doc(hidden)]
pub fn set_program(name: &str) {
    let _ = PROGRAM.set(name.to_owned());
}

pub(crate) fn program() -> &'static str {
    PROGRAM.get().map_or("codex-agent", String::as_str)
}

static QUIET: AtomicBool = AtomicBool::new(false);

/// Suppresses all further status lines: `--quiet`.
pub fn set_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether status lines are suppressed.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Prints a line about success or progress to standard error, unless `--quiet` suppresses it.
pub fn status(message: impl Display) {
    if !is_quiet() {
        warn(message);
    }
}

/// Prints a line about success or progress if standard error is a terminal: a script has the exit status.
pub fn note(message: impl Display) {
    if io::stderr().is_terminal() {
        status(message);
    }
}

/// Prints a warning to standard error: a problem after which the tool continues.
pub fn warn(message: impl Display) {
    print_text(&format!("{}: {}\n", program(), harmless(&message.to_string())));
}

/// Prints an error as a warning, with its hints.
pub fn warn_of(error: &Error) {
    print_text(&error.text(program()));
}

/// Prints a warning, unless the same was printed before.
pub fn warn_once(message: impl Display) {
    static PRINTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let message = message.to_string();
    if PRINTED.lock().unwrap_or_else(PoisonError::into_inner).insert(message.clone()) {
        warn(message);
    }
}

/// The text that standard error has not accepted yet, after [`buffer_stderr`].
static UNWRITTEN: Mutex<Option<Vec<u8>>> = Mutex::new(None);

/// Whether nothing is written to standard error before [`flush`].
static IS_HELD: AtomicBool = AtomicBool::new(false);

/// Keeps all further text for standard error until [`flush`]: another program, or a drawing, has the screen.
#[doc(hidden)]
pub fn hold_stderr() {
    buffer_stderr();
    IS_HELD.store(true, Ordering::Relaxed);
}

/// The number of bytes that are kept for a reader of standard error that does not read. Further text is dropped.
const MOST_UNWRITTEN: usize = 1 << 20;

/// Makes all further writing to standard error nonblocking: its reader may wait for standard output (`2>&1 | less`).
/// The text that is not accepted at once is kept; [`write_available`] tries again, and [`flush`] waits.
#[doc(hidden)]
pub fn buffer_stderr() {
    unwritten().get_or_insert_default();
}

/// Writes as much of the kept text as standard error accepts now, and returns whether all is written.
#[doc(hidden)]
pub fn write_available() -> bool {
    let mut guard = unwritten();
    let Some(text) = guard.as_mut() else { return true };
    if IS_HELD.load(Ordering::Relaxed) {
        return text.is_empty();
    }
    // A closed standard error accepts nothing more, and there is no other place for the text.
    let written = Stream::Err.write_available(text).unwrap_or(text.len());
    text.drain(..written);
    text.is_empty()
}

/// Writes all of the kept text, and waits for the reader of standard error.
#[doc(hidden)]
pub fn flush() {
    IS_HELD.store(false, Ordering::Relaxed);
    if let Some(text) = unwritten().take() {
        let _ = io::stderr().write_all(&text);
    }
}

/// The text for standard error. On a terminal its lines are broken between words, and a command in quotes only if it is
/// wider than the terminal, so that it can be copied.
#[doc(hidden)]
pub fn broken(text: &str) -> Cow<'_, str> {
    match Stream::Err.columns() {
        Some(columns) => broken_at(text, columns.saturating_sub(1)).into(),
        None => text.into(),
    }
}

/// A blank that is no place to break a line.
const KEPT_BLANK: char = '\u{e000}';

fn broken_at(text: &str, most: usize) -> String {
    let broken = |line: &str| {
        let indent = 2 + line.len() - line.trim_start_matches(' ').len();
        let kept = keep_commands(line, most.saturating_sub(indent));
        lines("", &kept, indent, most).join("\n").replace(KEPT_BLANK, " ")
    };
    text.split('\n').map(broken).collect::<Vec<_>>().join("\n")
}

/// The line with other blanks in its quoted commands of at most `most` columns.
fn keep_commands(line: &str, most: usize) -> String {
    let (mut kept, mut rest) = (String::new(), line);
    while let Some(start) = rest.find("'codex-agent") {
        let ends_here = |(at, _): &(usize, &str)| {
            *at > start && !rest[at + 1..].starts_with(|next: char| next.is_alphanumeric() || next == '\'')
        };
        let Some((end, _)) = rest.match_indices('\'').find(ends_here) else { break };
        let command = &rest[start..=end];
        kept.push_str(&rest[..start]);
        match width(command) <= most {
            true => kept.push_str(&command.replace(' ', &KEPT_BLANK.to_string())),
            false => kept.push_str(command),
        }
        rest = &rest[end + 1..];
    }
    kept + rest
}

fn print_text(text: &str) {
    let text = &*broken(text);
    let mut guard = unwritten();
    let Some(before) = guard.as_mut() else {
        // Standard error may be closed, and there is no other place for the text.
        let _ = io::stderr().write_all(text.as_bytes());
        return;
    };
    if before.len() < MOST_UNWRITTEN {
        before.extend_from_slice(text.as_bytes());
    }
    drop(guard);
    write_available();
}

fn unwritten() -> MutexGuard<'static, Option<Vec<u8>>> {
    // After a panic the text is still valid.
    UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn lines_are_broken_between_words_and_not_within_a_command() {
        let text = "run: 2 jobs failed; 'codex-agent run retry 3f2a' retries them\n  'codex-agent group list' lists them\n";
        let want = "run: 2 jobs failed;\n  'codex-agent run retry 3f2a'\n  retries them\n  'codex-agent group list'\n    lists them\n";
        assert_eq!(broken_at(text, 30), want);
        assert_eq!(broken_at("a: 'codex-agent run x y' z", 14), "a:\n  'codex-agent\n  run x y' z");
        assert_eq!(
            broken_at("'codex-agent queue retry 'q' --failed', and b", 40),
            "'codex-agent queue retry 'q' --failed',\n  and b"
        );
        assert_eq!(broken_at("it's 'codex-agent", 10), "it's\n  'codex-agent");
        assert_eq!(broken_at("", 10), "");
    }

    #[test]
    fn a_closed_pipe_is_known() {
        assert!(Error::of_output(io::Error::from(io::ErrorKind::BrokenPipe)).is_broken_pipe());
        assert!(!Error::of_output(io::Error::from(io::ErrorKind::StorageFull)).is_broken_pipe());
    }
}
