//! The outcome of a check, and clauses about a run of a tool.

use codex_agent_shared::child::limited::{CommandResult, EndKind};
use codex_agent_shared::error::Error;
use codex_agent_shared::plugin::PREFIX;

macro_rules! failed { ($($text:tt)*) => { Err(NotPassed::Failed(format!($($text)*))) } }
macro_rules! skipped { ($($text:tt)*) => { Err(NotPassed::Skipped(format!($($text)*))) } }
pub(super) use {failed, skipped};

/// The observation of a check that passed, or the reason why it did not pass.
pub(super) type Outcome<T = String> = Result<T, NotPassed>;

/// The reason why a check did not pass.
pub(super) enum NotPassed {
    /// The tool breaks the rule.
    Failed(String),
    /// The check does not apply to the tool, or cannot be made.
    Skipped(String),
    /// The program itself cannot continue.
    Error(Error),
}

impl From<Error> for NotPassed {
    fn from(error: Error) -> NotPassed {
        NotPassed::Error(error)
    }
}

/// How a run ended, in a clause.
pub(super) fn ending(how: EndKind) -> String {
    match how {
        EndKind::Code(code) => format!("exited with status {code}"),
        EndKind::Signal(signal) => format!("was killed by signal {signal}"),
        EndKind::Late => "did not exit in time".to_owned(),
        EndKind::TooMuch => "printed more than its limit".to_owned(),
        EndKind::TooLarge => "used more memory than its limit".to_owned(),
    }
}

/// The first line of a text that is not blank, quoted, and cut after 80 characters.
pub(super) fn excerpt(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
    match line.char_indices().nth(80) {
        Some((at, _)) => format!("'{}...'", &line[..at]),
        None => format!("'{line}'"),
    }
}

/// Whether a line of standard error begins with the name of the tool.
pub(super) fn has_named_message(ended: &CommandResult, name: &str) -> bool {
    let names = [format!("{PREFIX}{name}"), format!("codex-agent {name}")];
    let text = String::from_utf8_lossy(&ended.err);
    text.lines().any(|line| names.iter().any(|name| line.starts_with(name.as_str())))
}

/// Whether standard error is empty, or has a message that begins with the name of the tool or of another tool.
pub(super) fn is_quiet_or_named(ended: &CommandResult, name: &str) -> bool {
    let text = String::from_utf8_lossy(&ended.err);
    let names_a_tool = text.lines().any(|line| line.starts_with(PREFIX));
    ended.first_message().is_none() || has_named_message(ended, name) || names_a_tool
}
