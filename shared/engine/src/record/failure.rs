//! Classes of failures: their signs in the output of Codex, and their consequences.
//!
//! Codex reports a failure in up to three places, the most reliable first: `codex_error_info` at the end of the rollout
//! (from 0.148), the message of `turn.failed`, and, if no turn began, standard error. `INFOS` and `TEXTS` have the
//! signs of the classes.

use serde::{Deserialize, Serialize};

use codex_agent_shared::codex::holder::Holder;
use codex_agent_shared::error::Error;
use codex_agent_shared::time::{Timestamp, parse_codex_time};

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // codex-agent-records(5) describes each class.
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
    Host,
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

/// The consequences of a class.
pub struct Row {
    class: Class,
    /// Whether the model may have seen the prompt.
    pub sent: Sent,
    /// Whether a later retry may succeed.
    pub is_transient: bool,
    /// Whether the other jobs of the run would fail in the same way.
    pub stops_run: bool,
}

const fn row(class: Class, sent: Sent, is_transient: bool, stops_run: bool) -> Row {
    Row { class, sent, is_transient, stops_run }
}

/// All classes.
const TABLE: [Row; 29] = [
    row(Class::Busy, Sent::No, true, false),
    row(Class::Locked, Sent::No, true, false),
    row(Class::Damaged, Sent::No, false, false),
    row(Class::Provider, Sent::No, false, false),
    row(Class::Home, Sent::No, false, false),
    row(Class::Config, Sent::No, false, false),
    row(Class::Archived, Sent::No, false, false),
    row(Class::NotTrusted, Sent::No, false, false),
    row(Class::NotFound, Sent::No, false, false),
    row(Class::UsageLimit, Sent::Message, true, true),
    row(Class::RateLimit, Sent::Message, true, false),
    row(Class::Auth, Sent::Message, false, true),
    row(Class::Overloaded, Sent::Message, true, false),
    row(Class::Context, Sent::Message, false, false),
    row(Class::Model, Sent::Message, false, false),
    row(Class::Network, Sent::Perhaps, true, false),
    row(Class::Disk, Sent::No, true, true),
    row(Class::Spawn, Sent::No, false, true),
    row(Class::Cwd, Sent::No, false, false),
    row(Class::Refused, Sent::Message, false, false),
    row(Class::Timeout, Sent::Perhaps, true, false),
    row(Class::Interrupted, Sent::Perhaps, true, false),
    row(Class::WrongSession, Sent::Perhaps, false, false),
    row(Class::Crashed, Sent::Perhaps, false, false),
    row(Class::Unrecorded, Sent::No, true, false),
    row(Class::Version, Sent::Perhaps, false, true),
    row(Class::Stopped, Sent::Perhaps, true, false),
    row(Class::Host, Sent::No, true, false),
    row(Class::Other, Sent::Perhaps, false, false),
];

/// Values of `codex_error_info`.
const INFOS: [(&str, Class); 10] = [
    ("usage_limit_exceeded", Class::UsageLimit),
    ("response_too_many_failed_attempts", Class::RateLimit),
    ("unauthorized", Class::Auth),
    ("server_overloaded", Class::Overloaded),
    ("internal_server_error", Class::Overloaded),
    ("context_window_exceeded", Class::Context),
    ("model_not_found", Class::Model),
    ("http_connection_failed", Class::Network),
    ("response_stream_connection_failed", Class::Network),
    ("response_stream_disconnected", Class::Network),
];

/// Parts of messages. The first entry with a part of the message decides, so specific ones come first.
const TEXTS: [(Class, &[&str]); 17] = [
    (Class::Busy, &["already has an active writer"]),
    (Class::Locked, &["database is locked"]),
    (Class::Damaged, &["is missing an ordinal", "is empty (code -32603)"]),
    (Class::Provider, &["modelProviderNotConfigured", "Error: Model provider `", "model provider from `"]),
    (Class::Home, &["Error finding codex home"]),
    (Class::Config, &["Error loading config.toml", "failed to load configuration"]),
    (Class::Archived, &["is archived", "unarchive"]),
    (Class::NotTrusted, &["Not inside a trusted directory"]),
    (Class::NotFound, &["no rollout found for thread", "Session not found", "session not found"]),
    (Class::UsageLimit, &["hit your usage limit", "upgrade to Plus", "Quota exceeded", "usage limit"]),
    (Class::RateLimit, &["429 Too Many Requests"]),
    (
        Class::Auth,
        &[
            "401 Unauthorized",
            "403 Forbidden",
            "Not logged in",
            "not logged in",
            "log in again",
            "refresh token",
            "refresh_token",
        ],
    ),
    (Class::Overloaded, &["model is at capacity", "experiencing high demand"]),
    (Class::Context, &["ran out of room in the model's context window", "context_length_exceeded"]),
    (Class::Model, &["model_not_found", "does not exist or you do not have access"]),
    (
        Class::Network,
        &["waiting for network", "stream disconnected", "Connection failed", "error sending request"],
    ),
    (Class::Disk, &["No space left on device", "Disk quota exceeded"]),
];

impl Class {
    /// The consequences of the class.
    pub fn row(self) -> &'static Row {
        // A test checks that every class has a row.
        TABLE.iter().find(|row| row.class == self).unwrap_or(&TABLE[0])
    }

    /// Whether `--retries` applies. Busy sessions, usage limits and interrupted or stopped jobs have rules of
    /// their own.
    pub fn may_pass(self) -> bool {
        let row = self.row();
        let own_rule =
            [Class::Busy, Class::Locked, Class::Interrupted, Class::Unrecorded, Class::Stopped, Class::Host];
        row.is_transient && !row.stops_run && !own_rule.contains(&self)
    }

    /// Whether several such failures in a row are the fault of Codex or its home, and not of the jobs.
    pub fn may_be_of_codex(self) -> bool {
        matches!(self, Class::Crashed | Class::Config | Class::Home | Class::Provider)
    }

    /// A hint, if Codex gives none.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Class::Provider => Some(
                "'--config model_provider=NAME' selects a configured provider for a new session or a fork; a session \
                 keeps the provider that it began with, which config.toml must have",
            ),
            Class::Damaged => Some("'codex-agent ls --check' prints how to repair sessions"),
            Class::Home => Some("create the directory, or name another one by --codex-home or CODEX_HOME"),
            _ => None,
        }
    }

    /// Whether the turn was interrupted, by a signal or by a request to stop.
    pub fn is_interrupted(self) -> bool {
        matches!(self, Class::Interrupted | Class::Stopped)
    }

    /// The names of the classes, each with its meaning.
    pub fn values() -> Vec<(&'static str, &'static str)> {
        vec![
            ("usage_limit", "a usage limit of the account was reached"),
            ("rate_limit", "the provider rejected too many requests"),
            ("overloaded", "the provider is overloaded"),
            ("network", "the provider could not be reached"),
            ("timeout", "a time limit of the job was exceeded"),
            ("interrupted", "Codex ended in the middle of the turn"),
            ("stopped", "the run was stopped"),
            ("crashed", "Codex crashed"),
            ("refused", "the provider, Codex or codex-agent rejected the job for another reason"),
            ("busy", "another process has the session open"),
            ("auth", "Codex is not logged in, or the login was rejected"),
            ("not_trusted", "Codex does not trust the working directory"),
            ("not_found", "the session does not exist"),
            ("archived", "the session is archived"),
            ("cwd", "the working directory cannot be used"),
            ("context", "the context window of the model is full"),
            ("model", "the model cannot be used"),
            ("provider", "the model provider is not configured"),
            ("config", "Codex's config.toml cannot be loaded"),
            ("home", "Codex's home does not exist"),
            ("spawn", "Codex could not be started"),
            ("disk", "the disk is full, or a directory of codex-agent cannot be used"),
            ("damaged", "Codex refuses to read the rollout of the session"),
            ("locked", "Codex's database is locked"),
            ("unrecorded", "Codex ended before it recorded the prompt"),
            ("wrong_session", "Codex resumed another session"),
            ("host", "the host of the job cannot be reached, or cannot carry out jobs"),
            ("version", "a version of Codex that is too old has written to the rollout"),
            ("other", "any other failure"),
        ]
    }

    /// The class of this name.
    pub fn parse(word: &str) -> Option<Class> {
        TABLE.iter().map(|row| row.class).find(|class| class.word() == word)
    }

    /// The name of the class in records.
    pub fn word(self) -> String {
        serde_json::to_value(self).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// A failure: its class, and the message of Codex or the system.
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
    /// A failure with a message, which is truncated at 4000 bytes.
    pub fn new(class: Class, message: impl Into<String>) -> Failure {
        let mut message: String = message.into();
        if message.len() > 4000 {
            message.truncate(message.floor_char_boundary(4000));
            message.push_str("...");
        }
        let until = if class == Class::UsageLimit { reset_time(&message, Timestamp::now()) } else { None };
        Failure { class, message, until, holder: None }
    }

    /// A failure with a message and the hint of its class.
    pub fn hinted(class: Class, message: impl std::fmt::Display) -> Failure {
        let hint = class.hint().map(|hint| format!("; {hint}"));
        Failure::new(class, message.to_string() + &hint.unwrap_or_default())
    }

    /// The message, without the JSON in which a service may have wrapped it.
    pub fn plain(&self) -> String {
        let parsed: Option<serde_json::Value> = serde_json::from_str(&self.message).ok();
        let inner = parsed.as_ref().and_then(|value| value["error"]["message"].as_str());
        inner.unwrap_or(&self.message).to_owned()
    }

    /// The failure of a job of which nothing was sent because of an error of codex-agent. Any other job would have
    /// the same error if there is no space, no descriptor, or an error with the directories of codex-agent.
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

/// The time when a limit resets, from the message of Codex: `try again at 12:35 PM.`, in local time, with a date
/// (`Nov 25th, 2026 12:35 PM`) if it is another day. Whole minutes, rounded down.
pub fn reset_time(message: &str, now: Timestamp) -> Option<Timestamp> {
    let (_, at) = message.split_once("try again at ")?;
    // A full stop and further text may follow.
    let end = ["AM", "PM"].iter().filter_map(|half| at.find(half)).min()? + 2;
    parse_codex_time(&at[..end], now)
}

/// The class of a failure by its `codex_error_info` and its message; `None` if no sign is known.
pub fn classify(info: Option<&serde_json::Value>, text: &str) -> Option<Class> {
    // The info is a name, or an object whose only key is the name.
    let named = info.and_then(|info| match info {
        serde_json::Value::String(name) => Some((name, None)),
        serde_json::Value::Object(object) => object.iter().next().map(|(name, inner)| (name, Some(inner))),
        _ => None,
    });
    if let Some((name, inner)) = named {
        let status = inner.and_then(|inner| inner["http_status_code"].as_i64());
        if matches!(status, Some(401 | 403)) {
            return Some(Class::Auth);
        }
        if let Some((_, class)) = INFOS.iter().find(|(known, _)| known == name) {
            return Some(*class);
        }
    }
    TEXTS.iter().find(|(_, parts)| parts.iter().any(|part| text.contains(part))).map(|(class, _)| *class)
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
        let values: Vec<Class> = Class::values().iter().filter_map(|(word, _)| Class::parse(word)).collect();
        assert!(values.len() == TABLE.len() && TABLE.iter().all(|row| values.contains(&row.class)));
        assert_eq!(serde_json::from_str::<Class>("\"melted\"").unwrap(), Class::Other);
        assert_eq!(Class::UsageLimit.word(), "usage_limit");
    }

    #[test]
    fn the_reset_time_of_a_limit_is_read() {
        let now = Timestamp::parse("2026-11-24T12:00:30Z").unwrap();
        let has_time = |text: &str| reset_time(text, now).is_some();
        assert!(has_time("You’ve hit your usage limit. To get more, visit x or try again at 12:35 PM."));
        assert!(has_time("try again at Nov 25th, 2026 9:05 AM. Thanks."));
        assert!(!has_time("You’ve hit your usage limit. Try again later."));
        assert!(!has_time("try again at noon PM"));
    }

    #[test]
    fn messages_of_codex_have_classes() {
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
