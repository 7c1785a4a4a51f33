//! The `session` record: what flows between the tools, one JSON object a line.
//!
//! Fields are only ever added. A known field is present, `null` where there is nothing or nobody
//! knows. The three fields that cost a look into the rollout (`forked_from`, `status`,
//! `resume_command`) are left out where nobody looked. Times are RFC 3339 in UTC with milliseconds.
//! Everything that names fields (JSON, `--fields`, `--format`, the manual) goes by [`Field::ALL`].
//!
//! ```
//! use codex_agent_shared::record::{Field, Session};
//!
//! let mut session = Session::default();
//! session.title = Some("Mend the \"parser\"".into());
//! let mut line = Vec::new();
//! session.write_json(&mut line);
//! let record: serde_json::Value = serde_json::from_slice(&line).unwrap();
//! // A known field is there, and null where nobody knows.
//! assert_eq!((&record["title"], &record["name"]), (&"Mend the \"parser\"".into(), &serde_json::Value::Null));
//! assert_eq!(Field::parse("title").unwrap(), Field::Title);
//! ```

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod id;
mod raw_record;
mod write;

pub use id::Id;
pub use raw_record::{MergedRecord, RawRecord};
pub use write::Chosen;

use crate::choice::Choice;
use crate::error::{Error, Result};
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

impl Choice for Status {
    const ALL: &'static [(Status, &'static str, &'static str)] = &[
        (Status::Idle, "idle", "the last turn ended, or there was none"),
        (Status::Running, "running", "a turn is under way"),
        (Status::Interrupted, "interrupted", "the last turn was interrupted, or its process died"),
        (Status::Failed, "failed", "the last turn ended in an error"),
        (Status::Unknown, "unknown", "the rollout does not record it, or is missing"),
    ];
}

// Text is borrowed from a database row where one is at hand.
/// A Codex session.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct Session<'a> {
    // `None` only in a record that somebody else wrote without one.
    /// The id: a UUID of 36 characters. Codex creates UUIDs of version 7, which sort by creation time.
    pub id: Option<Id>,
    /// The name that the user gave the session; null if it has no name.
    pub name: Option<Cow<'a, str>>,
    /// The title: the complete first message of the user, as it was typed; or "goal: " and the goal, if the
    /// session began with a goal and has no message. Null before the first message.
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
    // The outer `None` is where nobody looked.
    /// The id of the parent of a fork; null if the session is not a fork. Absent if the rollout was not
    /// read.
    #[serde(deserialize_with = "looked_at")]
    pub forked_from: Option<Option<Id>>,
    /// The status of the session. Absent if the rollout was not read.
    pub status: Option<Status>,
    // The outer `None` is where nobody looked.
    /// The command that opens the session in Codex, with its arguments; null if it is archived or bare.
    /// Absent if the rollout was not read.
    #[serde(deserialize_with = "looked_at")]
    pub resume_command: Option<Option<Vec<String>>>,
    /// What a fork without a message of its own begins with, for people: no field of the record.
    #[serde(skip)]
    pub begins: Option<Cow<'a, str>>,
}

/// A field that is present, even as `null`, is known.
fn looked_at<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The fields of a session record, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // The fields of [`Session`] of the same names.
#[non_exhaustive]
pub enum Field {
    Id,
    Name,
    Title,
    FirstUserMessage,
    Cwd,
    CreatedAt,
    UpdatedAt,
    ArchivedAt,
    Source,
    Originator,
    Subagent,
    Model,
    ReasoningEffort,
    ModelProvider,
    CliVersion,
    Git,
    RolloutPath,
    History,
    TokensUsed,
    Pinned,
    FoundIn,
    ForkedFrom,
    Status,
    ResumeCommand,
    /// Part of `git`, for `--fields` and `--format` only.
    Sha,
    /// Part of `git`, for `--fields` and `--format` only.
    Branch,
    /// Part of `git`, for `--fields` and `--format` only.
    OriginUrl,
    /// Part of `subagent`, for `--fields` and `--format` only.
    Parent,
    /// The last eight hex digits of the id, for `--format` only.
    Short,
}

impl Field {
    /// Every field of the record, in order.
    pub const ALL: [Field; 24] = [
        Field::Id,
        Field::Name,
        Field::Title,
        Field::FirstUserMessage,
        Field::Cwd,
        Field::CreatedAt,
        Field::UpdatedAt,
        Field::ArchivedAt,
        Field::Source,
        Field::Originator,
        Field::Subagent,
        Field::Model,
        Field::ReasoningEffort,
        Field::ModelProvider,
        Field::CliVersion,
        Field::Git,
        Field::RolloutPath,
        Field::History,
        Field::TokensUsed,
        Field::Pinned,
        Field::FoundIn,
        Field::ForkedFrom,
        Field::Status,
        Field::ResumeCommand,
    ];

    /// What a user may ask for beyond the record's own fields.
    pub const PARTS: [Field; 5] = [Field::Sha, Field::Branch, Field::OriginUrl, Field::Parent, Field::Short];

    /// The field's name in JSON, `--fields` and `--format`.
    pub const fn name(self) -> &'static str {
        match self {
            Field::Id => "id",
            Field::Name => "name",
            Field::Title => "title",
            Field::FirstUserMessage => "first_user_message",
            Field::Cwd => "cwd",
            Field::CreatedAt => "created_at",
            Field::UpdatedAt => "updated_at",
            Field::ArchivedAt => "archived_at",
            Field::Source => "source",
            Field::Originator => "originator",
            Field::Subagent => "subagent",
            Field::Model => "model",
            Field::ReasoningEffort => "reasoning_effort",
            Field::ModelProvider => "model_provider",
            Field::CliVersion => "cli_version",
            Field::Git => "git",
            Field::RolloutPath => "rollout_path",
            Field::History => "history",
            Field::TokensUsed => "tokens_used",
            Field::Pinned => "pinned",
            Field::FoundIn => "found_in",
            Field::ForkedFrom => "forked_from",
            Field::Status => "status",
            Field::ResumeCommand => "resume_command",
            Field::Sha => "sha",
            Field::Branch => "branch",
            Field::OriginUrl => "origin_url",
            Field::Parent => "parent",
            Field::Short => "short",
        }
    }

    /// Whether a record always has it: whether it is written of a session that nobody looked into.
    pub fn is_always_there(self) -> bool {
        Session::default().value(self).is_some()
    }

    /// The field of this name.
    pub fn parse(name: &str) -> Result<Field> {
        let known = || Field::ALL.into_iter().chain(Field::PARTS);
        known().find(|field| field.name() == name).ok_or_else(|| {
            let near = crate::text::nearest(name, known().map(Field::name));
            let error = Error::usage(format!("there is no field '{name}' in a session record"));
            match near.first() {
                Some(near) => error.hint(format!("did you mean '{near}'?")),
                None => {
                    error.hint(format!("fields: {}", known().map(Field::name).collect::<Vec<_>>().join(" ")))
                }
            }
        })
    }
}

/// The value of one field.
#[non_exhaustive]
pub enum Value<'s> {
    /// No value, or unknown.
    Null,
    /// Text.
    Text(&'s str),
    /// An id.
    Id(Id),
    /// A moment.
    Time(Timestamp),
    /// A number.
    Number(i64),
    /// Yes or no.
    Bool(bool),
    /// The parts of a subagent.
    Subagent(&'s Subagent<'s>),
    /// The parts of a commit.
    Git(&'s Git<'s>),
    /// An argument array.
    Argv(&'s [String]),
    /// The short form of an id.
    Short(Id),
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Id(id) => id.serialize(serializer),
            Value::Time(at) => at.serialize(serializer),
            Value::Number(number) => serializer.serialize_i64(*number),
            Value::Bool(yes) => serializer.serialize_bool(*yes),
            Value::Subagent(subagent) => subagent.serialize(serializer),
            Value::Git(git) => git.serialize(serializer),
            Value::Argv(argv) => argv.serialize(serializer),
            Value::Short(id) => serializer.serialize_str(&id.short()),
        }
    }
}

impl fmt::Display for Value<'_> {
    /// As text: nothing for null, JSON for what has parts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => Ok(()),
            Value::Text(text) => f.write_str(text),
            Value::Id(id) => id.fmt(f),
            Value::Time(at) => at.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Bool(yes) => yes.fmt(f),
            Value::Short(id) => f.write_str(&id.short()),
            Value::Subagent(_) | Value::Git(_) | Value::Argv(_) => {
                f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
            }
        }
    }
}

impl<'a> Session<'a> {
    /// A session of which nothing but the id is known.
    pub fn of(id: Id) -> Session<'a> {
        Session { id: Some(id), ..Session::default() }
    }

    /// The value of a field; `None` if the field is absent because the rollout was not read.
    pub fn value(&self, field: Field) -> Option<Value<'_>> {
        fn text<'s>(value: &'s Option<Cow<'_, str>>) -> Value<'s> {
            value.as_deref().map_or(Value::Null, Value::Text)
        }
        let time = |value: Option<Timestamp>| value.map_or(Value::Null, Value::Time);
        let git = self.git.as_ref();
        Some(match field {
            Field::Id => self.id.map_or(Value::Null, Value::Id),
            Field::Short => self.id.map_or(Value::Null, Value::Short),
            Field::Name => text(&self.name),
            Field::Title => text(&self.title),
            Field::FirstUserMessage => text(&self.first_user_message),
            Field::Cwd => text(&self.cwd),
            Field::CreatedAt => time(self.created_at),
            Field::UpdatedAt => time(self.updated_at),
            Field::ArchivedAt => time(self.archived_at),
            Field::Source => text(&self.source),
            Field::Originator => text(&self.originator),
            Field::Subagent => self.subagent.as_ref().map_or(Value::Null, Value::Subagent),
            Field::Parent => self.subagent.as_ref().and_then(|s| s.parent).map_or(Value::Null, Value::Id),
            Field::Model => text(&self.model),
            Field::ReasoningEffort => text(&self.reasoning_effort),
            Field::ModelProvider => text(&self.model_provider),
            Field::CliVersion => text(&self.cli_version),
            Field::Git => git.map_or(Value::Null, Value::Git),
            Field::Sha => git.map_or(Value::Null, |git| text(&git.sha)),
            Field::Branch => git.map_or(Value::Null, |git| text(&git.branch)),
            Field::OriginUrl => git.map_or(Value::Null, |git| text(&git.origin_url)),
            Field::RolloutPath => text(&self.rollout_path),
            Field::History => text(&self.history),
            Field::TokensUsed => self.tokens_used.map_or(Value::Null, Value::Number),
            Field::Pinned => self.pinned.map_or(Value::Null, Value::Bool),
            Field::FoundIn => match self.found_in {
                None => Value::Null,
                Some(FoundIn::Both) => Value::Text("both"),
                Some(FoundIn::Database) => Value::Text("database"),
                Some(FoundIn::Files) => Value::Text("files"),
            },
            Field::ForkedFrom => self.forked_from?.map_or(Value::Null, Value::Id),
            Field::Status => Value::Text(self.status?.word()),
            Field::ResumeCommand => self.resume_command.as_ref()?.as_deref().map_or(Value::Null, Value::Argv),
        })
    }

    /// The name, else the title: what to call a session in a row.
    pub fn label(&self) -> &str {
        self.name.as_deref().or(self.title.as_deref()).unwrap_or("")
    }

    /// Whether Codex made it as a subagent of another session.
    pub fn is_subagent(&self) -> bool {
        self.subagent.is_some()
    }

    /// The record without borrowed text.
    pub fn into_owned(self) -> Session<'static> {
        fn own(value: Option<Cow<'_, str>>) -> Option<Cow<'static, str>> {
            value.map(|text| Cow::Owned(text.into_owned()))
        }
        Session {
            id: self.id,
            name: own(self.name),
            title: own(self.title),
            first_user_message: own(self.first_user_message),
            cwd: own(self.cwd),
            created_at: self.created_at,
            updated_at: self.updated_at,
            archived_at: self.archived_at,
            source: own(self.source),
            originator: own(self.originator),
            subagent: self.subagent.map(|s| Subagent {
                parent: s.parent,
                nickname: own(s.nickname),
                role: own(s.role),
            }),
            model: own(self.model),
            reasoning_effort: own(self.reasoning_effort),
            model_provider: own(self.model_provider),
            cli_version: own(self.cli_version),
            git: self.git.map(|git| Git {
                sha: own(git.sha),
                branch: own(git.branch),
                origin_url: own(git.origin_url),
            }),
            rollout_path: own(self.rollout_path),
            history: own(self.history),
            tokens_used: self.tokens_used,
            pinned: self.pinned,
            found_in: self.found_in,
            forked_from: self.forked_from,
            status: self.status,
            resume_command: self.resume_command,
            begins: own(self.begins),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_what_it_writes() {
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
        let mut whole = Session {
            subagent: Some(Subagent { nickname: Some("Kepler".into()), ..Subagent::default() }),
            resume_command: Some(Some(vec!["codex".into()])),
            tokens_used: Some(-3),
            pinned: Some(true),
            found_in: Some(FoundIn::Both),
            ..session
        };
        for git in [None, Some(Git { sha: Some("a\"b".into()), ..Git::default() })] {
            whole.git = git;
            let mut by_hand = Vec::new();
            whole.write_json(&mut by_hand);
            assert_eq!(String::from_utf8(by_hand).unwrap(), serde_json::to_string(&whole).unwrap());
        }
    }
}
