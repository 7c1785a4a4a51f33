//! The `session` record, which the tools exchange: one JSON object on a line.
//!
//! Fields are added, and never renamed or removed. A known field is always present, and `null` if it has no value or
//! the value is unknown. Three fields are read from the rollout (`forked_from`, `status`, `resume_command`) and absent
//! if the rollout was not read. Times are RFC 3339 in UTC with milliseconds. [`Field::ALL`] is the one list of fields
//! for JSON, `--fields`, `--format` and the manual.
//!
//! ```
//! use codex_agent_shared::record::{Field, Session};
//!
//! let mut session = Session::default();
//! session.title = Some("Mend the \"parser\"".into());
//! let mut line = Vec::new();
//! session.write_json(&mut line);
//! let record: serde_json::Value = serde_json::from_slice(&line).unwrap();
//! // A known field is present, and null if its value is unknown.
//! assert_eq!((&record["title"], &record["name"]), (&"Mend the \"parser\"".into(), &serde_json::Value::Null));
//! assert_eq!(Field::parse("title").unwrap(), Field::Title);
//! ```

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

mod field;
mod id;
mod needs;
mod raw_record;
mod write;

pub use field::{Field, Value};
pub use id::Id;
pub use needs::Needs;
pub use raw_record::RawRecord;
pub use write::MergedRecord;

use crate::choice::Choice;
use crate::time::Timestamp;

/// The origin of a subagent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct Subagent<'a> {
    /// The id of the session that started the subagent; null if unknown (a review, a compaction).
    pub parent: Option<Id>,
    /// The name that Codex gave the subagent, such as Kepler.
    pub nickname: Option<Cow<'a, str>>,
    /// The role of the subagent, or the task that Codex started it for, such as review.
    pub role: Option<Cow<'a, str>>,
}

/// The commit that a session began on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct Git<'a> {
    /// The hash of the commit, 40 hex digits.
    pub sha: Option<Cow<'a, str>>,
    /// The branch, without refs/heads/.
    pub branch: Option<Cow<'a, str>>,
    /// The URL of the remote origin.
    pub origin_url: Option<Cow<'a, str>>,
}

/// Where the index found a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FoundIn {
    /// A row in Codex's database and a rollout file.
    Both,
    /// A row in Codex's database; the file does not exist.
    Database,
    /// A rollout file; the database has no row.
    Files,
}

/// The status of a session, determined from the end of its rollout and the locks on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// The last turn ended, or the session has no turn.
    Idle,
    /// A turn is running, and a process holds the session open.
    Running,
    /// The last turn was interrupted, or its process ended before the turn.
    Interrupted,
    /// The last turn ended in an error.
    Failed,
    /// The rollout does not show the status (Codex up to 0.98 does not record the end of a turn), or does
    /// not exist.
    Unknown,
}

impl FoundIn {
    pub(crate) fn word(self) -> &'static str {
        ["both", "database", "files"][self as usize]
    }
}

impl Choice for Status {
    const ALL: &'static [(Status, &'static str, &'static str)] = &[
        (Status::Idle, "idle", "the last turn ended, or the session has no turn"),
        (Status::Running, "running", "a turn is in progress"),
        (
            Status::Interrupted,
            "interrupted",
            "the last turn was interrupted, or its process ended before the turn was complete",
        ),
        (Status::Failed, "failed", "the last turn ended in an error"),
        (Status::Unknown, "unknown", "the rollout does not record the status, or does not exist"),
    ];
}

// Text is borrowed from the row of the database, if there is one.
/// A Codex session.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct Session<'a> {
    // `None` only in a record of another program.
    /// The id: a UUID of 36 characters. Codex creates UUIDs of version 7, which sort by creation time.
    pub id: Option<Id>,
    /// The name that the user gave the session; null if it has no name.
    pub name: Option<Cow<'a, str>>,
    /// The title: the complete first message of the user, as it was typed; or "goal: " and the goal, if the
    /// session began with a goal and has no message; or the path of a subagent, ": " and its first task, if
    /// another agent gave it a task in place of a message. Null before the first message.
    pub title: Option<Cow<'a, str>>,
    /// The complete first message of the user. Null before the first message, and if the database is too
    /// old to have this column.
    pub first_user_message: Option<Cow<'a, str>>,
    /// The working directory.
    pub cwd: Option<Cow<'a, str>>,
    /// The time when the session began.
    pub created_at: Option<Timestamp>,
    /// The time when the last turn began; when it ended, up to Codex 0.141 and for a rollout without turn
    /// ids.
    pub updated_at: Option<Timestamp>,
    /// The time when the session was archived; null if it is not archived.
    pub archived_at: Option<Timestamp>,
    /// The source, by Codex's name: exec, cli, vscode, mcp, subagent, unknown, custom:NAME or
    /// internal:NAME.
    pub source: Option<Cow<'a, str>>,
    /// The program that created the session, such as codex_exec or codex-tui; null if unknown.
    pub originator: Option<Cow<'a, str>>,
    /// The origin of a subagent; null if the session is not a subagent.
    pub subagent: Option<Subagent<'a>>,
    /// The model, such as gpt-5; null before the first turn.
    pub model: Option<Cow<'a, str>>,
    /// The reasoning effort of the model; null if none is set.
    pub reasoning_effort: Option<Cow<'a, str>>,
    /// The provider of the model, by its name in Codex's configuration.
    pub model_provider: Option<Cow<'a, str>>,
    /// The version of Codex that created the session.
    pub cli_version: Option<Cow<'a, str>>,
    /// The git commit at which the session began; null outside a git repository.
    pub git: Option<Git<'a>>,
    /// The absolute path of the rollout. If the file does not exist, the path in the database.
    pub rollout_path: Option<Cow<'a, str>>,
    /// The format of the rollout: legacy, paginated (since Codex 0.148), or bare (before September 2025;
    /// Codex does not resume it).
    pub history: Option<Cow<'a, str>>,
    /// The tokens of all turns; a fork includes the tokens of its parent. Null from a rollout alone.
    pub tokens_used: Option<i64>,
    /// Whether the user pinned the session; null if unknown.
    pub pinned: Option<bool>,
    /// Where the session was found; null if its file was not looked for.
    pub found_in: Option<FoundIn>,
    // The outer `None` means that the rollout was not read.
    /// The id of the parent of a fork; null if the session is not a fork. Absent if the rollout was not
    /// read.
    #[serde(deserialize_with = "known")]
    pub forked_from: Option<Option<Id>>,
    /// The status of the session. Absent if the rollout was not read.
    pub status: Option<Status>,
    // The outer `None` means that the rollout was not read.
    /// The command that opens the session in Codex, with its arguments; null if it is archived or bare.
    /// Absent if the rollout was not read.
    #[serde(deserialize_with = "known")]
    pub resume_command: Option<Option<Vec<String>>>,
    /// The number of turns, with those that a fork begins with. Absent unless the field was asked for.
    #[serde(deserialize_with = "known")]
    pub turns: Option<Option<i64>>,
    /// The tokens of the input and the output that the session itself used, also in undone turns; null if unknown. Absent
    /// unless the field was asked for.
    #[serde(deserialize_with = "known")]
    pub tokens: Option<Option<i64>>,
    /// The last message of the model; null if there is none. Absent unless the field was asked for.
    #[serde(deserialize_with = "known")]
    pub last_message: Option<Option<Cow<'a, str>>>,
    /// The host of the session, as the user calls it; a dot for this machine. Absent unless hosts were asked.
    pub host: Option<Cow<'a, str>>,
    /// The title of the parent, for a fork without a message of its own; not a field of the record.
    #[serde(skip)]
    pub parent_title: Option<Cow<'a, str>>,
}

/// A present field, which is known even if it is `null`.
fn known<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl<'a> Session<'a> {
    /// A session of which only the id is known.
    pub fn with_id(id: Id) -> Session<'a> {
        Session { id: Some(id), ..Session::default() }
    }

    /// The name, or the title of a session without a name.
    pub fn label(&self) -> &str {
        self.name.as_deref().or(self.title.as_deref()).unwrap_or("")
    }

    /// Whether Codex created the session as a subagent of another one.
    pub fn is_subagent(&self) -> bool {
        self.subagent.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_record_is_read_unchanged() {
        let session = Session {
            id: Id::parse("01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c"),
            title: Some("a\ttitle".into()),
            created_at: Some(Timestamp(1_795_344_600_669)),
            git: Some(Git { branch: Some("main".into()), ..Git::default() }),
            status: Some(Status::Idle),
            forked_from: Some(None),
            ..Session::default()
        };
        let text = serde_json::to_string(&session).unwrap();
        assert!(text.starts_with(r#"{"type":"session","id":"01a202e0-"#), "{text}");
        assert!(text.contains(r#""name":null"#) && text.contains(r#""forked_from":null"#));
        assert!(!text.contains("resume_command"));
        assert_eq!(serde_json::from_str::<Session<'_>>(&text).unwrap(), session);
        let with = |text: &str| Session { name: Some(text.to_owned().into()), ..session.clone() };
        for text in
            ["", "plain", "a \"quote\"", "back\\slash", "line\nend", "\u{1}", "\u{7f}é日本", &"x".repeat(200)]
        {
            let mut by_hand = Vec::new();
            with(text).write_json(&mut by_hand);
            assert_eq!(String::from_utf8(by_hand).unwrap(), serde_json::to_string(&with(text)).unwrap());
        }
        let mut complete = Session {
            subagent: Some(Subagent { nickname: Some("Kepler".into()), ..Subagent::default() }),
            resume_command: Some(Some(vec!["codex".into()])),
            turns: Some(Some(2)),
            tokens: Some(None),
            last_message: Some(Some("done".into())),
            tokens_used: Some(-3),
            pinned: Some(true),
            found_in: Some(FoundIn::Both),
            ..session
        };
        for git in [None, Some(Git { sha: Some("a\"b".into()), ..Git::default() })] {
            complete.git = git;
            let mut by_hand = Vec::new();
            complete.write_json(&mut by_hand);
            assert_eq!(String::from_utf8(by_hand).unwrap(), serde_json::to_string(&complete).unwrap());
        }
    }
}
