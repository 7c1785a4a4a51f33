//! Records of events of a session.

use serde::Serialize;
use serde_json::Value;

use crate::record::Id;
use crate::text::counted;
use crate::time::Timestamp;

/// An event of a session. As JSON all fields are present, `null` if unknown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionEvent {
    /// The kind of event.
    #[serde(flatten)]
    pub what: SessionEventKind,
    /// The id of the session.
    pub session: Id,
    /// The time of the line in the rollout, or the time when the files were read.
    pub at: Option<Timestamp>,
}

/// The part of a [`SessionEvent`] that differs by its type.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type")]
pub enum SessionEventKind {
    /// A turn begins. Codex up to 0.98 does not record it.
    #[serde(rename = "turn.started")]
    TurnStarted {
        /// Codex's id of the turn; null up to 0.98.
        turn: Option<String>,
    },
    /// A message of the transcript.
    #[serde(rename = "message")]
    Message {
        /// Codex's id of the turn; null up to 0.98.
        turn: Option<String>,
        /// Codex's id of the message, or null.
        item: Option<String>,
        /// The role of the author.
        role: Role,
        /// The text of the message.
        text: String,
        /// The number of images of the message.
        images: usize,
    },
    /// The model called a tool.
    #[serde(rename = "tool.called")]
    Tool {
        /// Codex's id of the turn; null up to 0.98.
        turn: Option<String>,
        /// Codex's id of the call, or null.
        item: Option<String>,
        /// The name of the tool, by Codex's name.
        name: String,
        /// The command, or the arguments of the call.
        text: String,
    },
    /// A turn was completed.
    #[serde(rename = "turn.completed")]
    TurnCompleted {
        /// Codex's id of the turn; null up to 0.98.
        turn: Option<String>,
        /// The last message of the turn; null if Codex did not record it.
        last_message: Option<String>,
    },
    /// A turn ended in an error.
    #[serde(rename = "turn.failed")]
    TurnFailed {
        /// Codex's id of the turn; null up to 0.98.
        turn: Option<String>,
        /// The failure.
        failure: TurnFailure,
    },
    /// A turn was interrupted.
    #[serde(rename = "turn.aborted")]
    TurnAborted {
        /// Codex's id of the turn; null up to 0.98.
        turn: Option<String>,
        /// The reason, by Codex's name.
        reason: Option<String>,
    },
    /// The last turns were removed from a session.
    #[serde(rename = "session.rolled_back")]
    RolledBack {
        /// The number of removed turns.
        turns: u64,
    },
    /// A session was archived.
    #[serde(rename = "session.archived")]
    Archived {
        /// The new path of the rollout.
        path: String,
    },
    /// A session was unarchived.
    #[serde(rename = "session.unarchived")]
    Unarchived {
        /// The new path of the rollout.
        path: String,
    },
    /// A session was reverted to an earlier turn, and continues in another file.
    #[serde(rename = "session.moved")]
    Moved {
        /// The new path of the rollout.
        path: String,
    },
    /// A session was deleted, and is no longer followed.
    #[serde(rename = "session.deleted")]
    Deleted,
}

/// The failure of a turn. Codex up to 0.147 does not record it, and all fields are `null`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TurnFailure {
    /// The message of Codex; null up to 0.147.
    pub message: Option<String>,
    /// The error information of Codex, of any form; null up to 0.147.
    pub info: Option<Value>,
}

/// The role of the author of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Role {
    User,
    Assistant,
}

impl SessionEventKind {
    /// The text of the event, for people.
    pub fn text(&self) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        match self {
            SessionEventKind::TurnStarted { .. }
            | SessionEventKind::TurnCompleted { .. }
            | SessionEventKind::Deleted => String::new(),
            SessionEventKind::Message { role: Role::User, text, .. } => format!("> {text}"),
            SessionEventKind::Message { text, .. } => text.clone(),
            SessionEventKind::Tool { name, text, .. } => format!("{name}: {text}"),
            SessionEventKind::TurnFailed { failure, .. } => text(&failure.message),
            SessionEventKind::TurnAborted { reason, .. } => text(reason),
            SessionEventKind::RolledBack { turns } => counted(*turns, "turn"),
            SessionEventKind::Archived { path }
            | SessionEventKind::Unarchived { path }
            | SessionEventKind::Moved { path } => path.clone(),
        }
    }

    /// The `type` of the record.
    pub fn word(&self) -> &'static str {
        match self {
            SessionEventKind::TurnStarted { .. } => "turn.started",
            SessionEventKind::Message { .. } => "message",
            SessionEventKind::Tool { .. } => "tool.called",
            SessionEventKind::TurnCompleted { .. } => "turn.completed",
            SessionEventKind::TurnFailed { .. } => "turn.failed",
            SessionEventKind::TurnAborted { .. } => "turn.aborted",
            SessionEventKind::RolledBack { .. } => "session.rolled_back",
            SessionEventKind::Archived { .. } => "session.archived",
            SessionEventKind::Unarchived { .. } => "session.unarchived",
            SessionEventKind::Moved { .. } => "session.moved",
            SessionEventKind::Deleted => "session.deleted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_null() {
        let id = Id::parse("01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c").unwrap();
        let record = |what| serde_json::to_string(&SessionEvent { session: id, at: None, what }).unwrap();
        assert_eq!(
            record(SessionEventKind::TurnFailed { turn: None, failure: TurnFailure::default() }),
            format!(
                r#"{{"type":"turn.failed","turn":null,"failure":{{"message":null,"info":null}},"session":"{id}","at":null}}"#
            )
        );
        let message = SessionEventKind::Message {
            turn: Some("t".into()),
            item: None,
            role: Role::Assistant,
            text: "a\nb".into(),
            images: 0,
        };
        assert_eq!(
            record(message),
            format!(
                r#"{{"type":"message","turn":"t","item":null,"role":"assistant","text":"a\nb","images":0,"session":"{id}","at":null}}"#
            )
        );
        for what in [
            SessionEventKind::Deleted,
            SessionEventKind::RolledBack { turns: 2 },
            SessionEventKind::TurnStarted { turn: None },
        ] {
            assert!(record(what.clone()).starts_with(&format!("{{\"type\":\"{}\",", what.word())));
        }
    }
}
