//! The table of failures: their signs and their consequences.
//!
//! Codex reports a failure in three ways, best first: `codex_error_info` at the end of the rollout (from 0.148),
//! the message of `turn.failed`, and its standard error, if it did not begin. The first row of [`TABLE`] that
//! matches the info or the text is the class.

use serde::{Deserialize, Serialize};

use codex_agent_shared::codex::holder::Holder;
use codex_agent_shared::error::Error;
use codex_agent_shared::time::{Timestamp, parse_codex_time};

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // TABLE tells each.
pub enum Class {
    Spawn,
    NotTrusted,
    NotFound,
    Archived,
    Cwd,
    Auth,
    UsageLimit,
    RateLimit,
    Overloaded,
    Context,
    Model,
    Network,
    Busy,
    Refused,
    Timeout,
    Interrupted,
    WrongSession,
    Crashed,
    Stopped,
    Disk,
    Provider,
    Config,
    Home,
    Damaged,
    Locked,
    Unrecorded,
    Version,
    /// Any other failure.
    #[serde(other)]
    Other,
}

/// Whether the model may have seen the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing was sent.
    No,
    /// The message is in the session, but there was no answer.
    Message,
    /// Unknown: work may have been done.
    Perhaps,
}

/// A row of the table.
pub struct Row {
    /// The class.
    pub class: Class,
    /// Words of `codex_error_info`.
    pub infos: &'static [&'static str],
    /// Pieces of what Codex prints.
    pub texts: &'static [&'static str],
    /// Whether the model may have seen the prompt.
    pub sent: Sent,
    /// Whether a later retry may succeed.
    pub passes: bool,
    /// Whether the other jobs of the run would fail in the same way.
    pub stops_run: bool,
}

const fn row(
    class: Class,
    infos: &'static [&'static str],
    texts: &'static [&'static str],
    sent: Sent,
    passes: bool,
    stops_run: bool,
) -> Row {
    Row { class, infos, texts, sent, passes, stops_run }
}

/// All classes. The first matching row decides, so specific texts come first.
pub const TABLE: [Row; 28] = [
    row(Class::Busy, &[], &["already has an active writer"], Sent::No, true, false),
    row(Class::Locked, &[], &["database is locked"], Sent::No, true, false),
    row(Class::Damaged, &[], &["is missing an ordinal", "is empty (code -32603)"], Sent::No, false, false),
    row(
        Class::Provider,
        &[],
        &["modelProviderNotConfigured", "Error: Model provider `", "model provider from `"],
        Sent::No,
        false,
        false,
    ),
    row(Class::Home, &[], &["Error finding codex home"], Sent::No, false, false),
    row(
        Class::Config,
        &[],
        &["Error loading config.toml", "failed to load configuration"],
        Sent::No,
        false,
        false,
    ),
    row(Class::Archived, &[], &["is archived", "unarchive"], Sent::No, false, false),
    row(Class::NotTrusted, &[], &["Not inside a trusted directory"], Sent::No, false, false),
    row(
        Class::NotFound,
        &[],
        &["no rollout found for thread", "Session not found", "session not found"],
        Sent::No,
        false,
        false,
    ),
    row(
        Class::UsageLimit,
        &["usage_limit_exceeded"],
        &["hit your usage limit", "upgrade to Plus", "Quota exceeded", "usage limit"],
        Sent::Message,
        true,
        true,
    ),
    row(
        Class::RateLimit,
        &["response_too_many_failed_attempts"],
        &["429 Too Many Requests"],
        Sent::Message,
        true,
        false,
    ),
    row(
        Class::Auth,
        &["unauthorized"],
        &[
            "401 Unauthorized",
            "403 Forbidden",
            "Not logged in",
            "not logged in",
            "log in again",
            "refresh token",
            "refresh_token",
        ],
        Sent::Message,
        false,
        true,
    ),
    row(
        Class::Overloaded,
        &["server_overloaded", "internal_server_error"],
        &["model is at capacity", "experiencing high demand"],
        Sent::Message,
        true,
        false,
    ),
    row(
        Class::Context,
        &["context_window_exceeded"],
        &["ran out of room in the model's context window", "context_length_exceeded"],
        Sent::Message,
        false,
        false,
    ),
    row(
        Class::Model,
        &["model_not_found"],
        &["model_not_found", "does not exist or you do not have access"],
        Sent::Message,
        false,
        false,
    ),
    row(
        Class::Network,
        &["http_connection_failed", "response_stream_connection_failed", "response_stream_disconnected"],
        &["waiting for network", "stream disconnected", "Connection failed", "error sending request"],
        Sent::Perhaps,
        true,
        false,
    ),
    row(Class::Disk, &[], &["No space left on device", "Disk quota exceeded"], Sent::No, true, true),
    row(Class::Spawn, &[], &[], Sent::No, false, true),
    row(Class::Cwd, &[], &[], Sent::No, false, false),
    row(Class::Refused, &[], &[], Sent::Message, false, false),
    row(Class::Timeout, &[], &[], Sent::Perhaps, true, false),
    row(Class::Interrupted, &[], &[], Sent::Perhaps, true, false),
    row(Class::WrongSession, &[], &[], Sent::Perhaps, false, false),
    row(Class::Crashed, &[], &[], Sent::Perhaps, false, false),
    row(Class::Unrecorded, &[], &[], Sent::No, true, false),
    row(Class::Version, &[], &[], Sent::Perhaps, false, true),
    row(Class::Stopped, &[], &[], Sent::Perhaps, true, false),
    row(Class::Other, &[], &[], Sent::Perhaps, false, false),
];

impl Class {
    /// The row of the class.
    pub fn row(self) -> &'static Row {
        // Every class has its row; a test holds the table to that.
        TABLE.iter().find(|row| row.class == self).unwrap_or(&TABLE[0])
    }

    /// Whether `--retries` applies. Busy sessions, usage limits and interrupted or stopped jobs have rules of
    /// their own.
    pub fn may_pass(self) -> bool {
        let row = self.row();
        let elsewhere = [Class::Busy, Class::Locked, Class::Interrupted, Class::Unrecorded, Class::Stopped]
            .contains(&self);
        row.passes && !row.stops_run && !elsewhere
    }

    /// Whether several such failures in a row are the fault of Codex or its home, and not of the jobs.
    pub fn may_be_of_codex(self) -> bool {
        matches!(self, Class::Crashed | Class::Config | Class::Home | Class::Provider)
    }

    /// A hint, if Codex gives none.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Class::Provider => Some(
                "-c model_provider=NAME names a provider that is configured; a session keeps its own, which \
                 config.toml must have, but a fork of it can have another",
            ),
            Class::Damaged => Some("'codex-agent ls --check' prints what can be done"),
            Class::Home => Some("make the directory, or name another with --codex-home or CODEX_HOME"),
            _ => None,
        }
    }

    /// The word of the record.
    pub fn word(self) -> String {
        serde_json::to_value(self).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// A failure: its class, and what Codex or the system said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// The class of the failure; see codex-agent-records(5).
    pub class: Class,
    /// The message, one line.
    pub message: String,
    /// The time when a usage limit resets; null if unknown.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// The process that holds a busy session; null if unknown, and for other failures.
    #[serde(default)]
    pub holder: Option<Holder>,
}

impl Failure {
    /// A failure with its message, which is kept short.
    pub fn new(class: Class, message: impl Into<String>) -> Failure {
        let mut message: String = message.into();
        if message.len() > 4000 {
            let cut = (0..=4000).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
            message.truncate(cut);
            message.push_str("...");
        }
        let until = if class == Class::UsageLimit { reset(&message, Timestamp::now()) } else { None };
        Failure { class, message, until, holder: None }
    }
}

impl Failure {
    /// A failure with its message, and the hint of its class behind it.
    pub fn hinted(class: Class, message: impl std::fmt::Display) -> Failure {
        match class.hint() {
            Some(hint) => Failure::new(class, format!("{message}; {hint}")),
            None => Failure::new(class, message.to_string()),
        }
    }

    /// What Codex said, without the JSON that a service may have put around it.
    pub fn plain(&self) -> String {
        let parsed: Option<serde_json::Value> = serde_json::from_str(&self.message).ok();
        let inner = parsed.as_ref().and_then(|value| value["error"]["message"].as_str());
        inner.unwrap_or(&self.message).to_owned()
    }

    /// What an error of ours means for a job of which nothing was sent. No space, no descriptors and trouble
    /// with our own directories are what any other job would meet as well.
    pub fn from_error(error: &Error) -> Failure {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let message = error.message();
        let class = match error.kind() {
            Some(StorageFull | QuotaExceeded) => Class::Disk,
            _ if message.contains("too many open files") => Class::Spawn,
            _ if error.is_of_place() => Class::Disk,
            _ => Class::Refused,
        };
        Failure::new(class, message)
    }
}

/// When a limit is over, as Codex says it: `try again at 12:35 PM.`, in local time, with a date
/// (`Nov 25th, 2026 12:35 PM`) where it is another day. Whole minutes, rounded down.
pub fn reset(message: &str, now: Timestamp) -> Option<Timestamp> {
    let (_, at) = message.split_once("try again at ")?;
    // The sentence ends with a full stop, and more may follow it.
    let end = ["AM", "PM"].iter().filter_map(|half| at.find(half)).min()? + 2;
    parse_codex_time(&at[..end], now)
}

/// The class of what Codex said; `None` if the table does not know it.
pub fn classify(info: Option<&serde_json::Value>, text: &str) -> Option<Class> {
    let word = info.and_then(|info| match info {
        serde_json::Value::String(word) => Some(word.clone()),
        serde_json::Value::Object(object) => object.keys().next().cloned(),
        _ => None,
    });
    if let Some(word) = word {
        let inner = info.and_then(|info| info.get(&word));
        let status = inner.and_then(|inner| inner["http_status_code"].as_i64());
        if matches!(status, Some(401 | 403)) {
            return Some(Class::Auth);
        }
        if let Some(row) = TABLE.iter().find(|row| row.infos.contains(&word.as_str())) {
            return Some(row.class);
        }
    }
    TABLE.iter().find(|row| row.texts.iter().any(|piece| text.contains(piece))).map(|row| row.class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_class_has_one_row() {
        for row in &TABLE {
            assert_eq!(TABLE.iter().filter(|other| other.class == row.class).count(), 1, "{:?}", row.class);
        }
        assert_eq!(TABLE.len(), Class::Other as usize + 1);
        assert_eq!(serde_json::from_str::<Class>("\"melted\"").unwrap(), Class::Other);
        assert_eq!(Class::UsageLimit.word(), "usage_limit");
    }

    #[test]
    fn the_end_of_a_limit_is_read() {
        let now = Timestamp::parse("2026-11-24T12:00:30Z").unwrap();
        let said = |text: &str| reset(text, now).is_some();
        assert!(said("You’ve hit your usage limit. To get more, visit x or try again at 12:35 PM."));
        assert!(said("try again at Nov 25th, 2026 9:05 AM. Thanks."));
        assert!(!said("You’ve hit your usage limit. Try again later."));
        assert!(!said("try again at noon PM"));
    }

    #[test]
    fn what_codex_says_has_a_class() {
        for (info, text, want) in [
            (json!("usage_limit_exceeded"), "You’ve hit your usage limit.", Some(Class::UsageLimit)),
            (json!(null), "You’ve hit your usage limit. Try again later.", Some(Class::UsageLimit)),
            (json!({"http_connection_failed": {"http_status_code": 401}}), "x", Some(Class::Auth)),
            (json!(null), "unexpected status 401 Unauthorized: no, url: y", Some(Class::Auth)),
            (
                json!({"response_too_many_failed_attempts": {"http_status_code": 429}}),
                "exceeded retry limit, last status: 429 Too Many Requests",
                Some(Class::RateLimit),
            ),
            (json!("server_overloaded"), "", Some(Class::Overloaded)),
            (
                json!(null),
                "We’re currently experiencing high demand, which may cause temporary errors.",
                Some(Class::Overloaded),
            ),
            (json!("context_window_exceeded"), "", Some(Class::Context)),
            (json!("model_not_found"), "", Some(Class::Model)),
            (
                json!(null),
                "Error: thread/resume: thread/resume failed: thread x already has an active writer (code -32600)",
                Some(Class::Busy),
            ),
            (
                json!(null),
                "Not inside a trusted directory and --skip-git-repo-check was not specified.",
                Some(Class::NotTrusted),
            ),
            (json!(null), "no rollout found for thread id x (code -32600)", Some(Class::NotFound)),
            (json!(null), "Error: Model provider `gone` not found", Some(Class::Provider)),
            (
                json!(null),
                "Error: thread/resume: thread/resume failed: This chat uses model provider “mock”, which is no longer \
                 configured. (code -32600), data: {\"type\":\"modelProviderNotConfigured\",\"modelProvider\":\"mock\"}",
                Some(Class::Provider),
            ),
            (
                json!(null),
                "thread/resume failed: failed to load configuration: Cannot change this thread's model provider from \
                 `mock` to `other` on resume. (code -32600)",
                Some(Class::Provider),
            ),
            (json!(null), "Error loading config.toml: invalid type: integer `3`", Some(Class::Config)),
            (json!(null), "Error finding codex home: CODEX_HOME points to \"/h\"", Some(Class::Home)),
            (
                json!(null),
                "final paginated rollout record at /h/rollout-x.jsonl is missing an ordinal",
                Some(Class::Damaged),
            ),
            (json!(null), "rollout at /h/rollout-x.jsonl is empty (code -32603)", Some(Class::Damaged)),
            (
                json!(null),
                "Error: error returned from database: (code: 5) database is locked",
                Some(Class::Locked),
            ),
            (
                json!(null),
                "Your access token could not be refreshed: refresh_token_reused",
                Some(Class::Auth),
            ),
            (json!("other"), "boom", None),
        ] {
            assert_eq!(classify(Some(&info), text), want, "{info} {text}");
        }
    }
}
