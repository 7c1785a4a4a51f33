//! The outcome of a check, and the words for what a run of a tool did.

use codex_agent_shared::child::limited::{CommandResult, EndKind};
use codex_agent_shared::plugin::PREFIX;

macro_rules! passed { ($($text:tt)*) => { Seen::Ok(format!($($text)*)) } }
macro_rules! failed { ($($text:tt)*) => { Seen::Failed(format!($($text)*)) } }
macro_rules! skipped { ($($text:tt)*) => { Seen::Skipped(format!($($text)*)) } }
pub(super) use {failed, passed, skipped};

/// The outcome of a check, and the observation.
pub(super) enum Seen {
    Ok(String),
    Failed(String),
    Skipped(String),
}

impl Seen {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Seen::Ok(_) => "ok",
            Seen::Failed(_) => "failed",
            Seen::Skipped(_) => "skipped",
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Seen::Ok(text) | Seen::Failed(text) | Seen::Skipped(text) => text,
        }
    }
}

/// The outcome of a check that needs a description, where there is none.
pub(super) fn undescribed() -> Seen {
    skipped!("it does not describe itself")
}

/// How a run ended, in a clause.
pub(super) fn ending(how: EndKind) -> String {
    match how {
        EndKind::Code(code) => format!("ended with {code}"),
        EndKind::Signal(signal) => format!("was ended by signal {signal}"),
        EndKind::Late => "did not end in time".to_owned(),
        EndKind::TooMuch => "printed more than its limit".to_owned(),
        EndKind::TooLarge => "took more memory than its limit".to_owned(),
    }
}

/// The first line of a text, short enough for one.
pub(super) fn excerpt(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
    match line.char_indices().nth(80) {
        Some((at, _)) => format!("'{}...'", &line[..at]),
        None => format!("'{line}'"),
    }
}

/// Whether a line of standard error begins with the tool's name.
pub(super) fn is_signed(ended: &CommandResult, name: &str) -> bool {
    let names = [format!("{PREFIX}{name}"), format!("codex-agent {name}")];
    let text = String::from_utf8_lossy(&ended.err);
    text.lines().any(|line| names.iter().any(|name| line.starts_with(name.as_str())))
}

/// Whether standard error is empty, or has a message of the tool or of another tool that it has run.
pub(super) fn is_quiet_or_signed(ended: &CommandResult, name: &str) -> bool {
    let text = String::from_utf8_lossy(&ended.err);
    let of_a_tool = text.lines().any(|line| line.starts_with(PREFIX));
    ended.first_message().is_none() || is_signed(ended, name) || of_a_tool
}
