//! Records of events of a session.

use serde::Serialize;

use crate::choice::Choice;
use crate::record::{Id, Status};
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
    /// A turn begins.
    #[serde(rename = "turn.started")]
    TurnStarted {
        /// Codex's id of the turn; null up to 0.98, and for a review, whose id is known at its end.
        turn: Option<String>,
        /// The address of the turn, SESSION:TURN; null if the turn has neither a number nor an id.
        address: Option<String>,
    },
    /// The last turns were removed from a session.
    #[serde(rename = "session.rolled_back")]
    RolledBack {
        /// The number of removed turns.
        turns: u64,
    },
    /// The status of a session changed.
    #[serde(rename = "session.status")]
    Status {
        /// The new status: idle, running, interrupted or failed.
        status: Status,
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

impl SessionEventKind {
    /// The text of the event, for people.
    pub fn text(&self) -> String {
        match self {
            SessionEventKind::TurnStarted { .. } | SessionEventKind::Deleted => String::new(),
            SessionEventKind::RolledBack { turns } => counted(*turns, "turn"),
            SessionEventKind::Status { status } => status.word().to_owned(),
            SessionEventKind::Archived { path }
            | SessionEventKind::Unarchived { path }
            | SessionEventKind::Moved { path } => path.clone(),
        }
    }

    /// The `type` of the record.
    pub fn word(&self) -> &'static str {
        match self {
            SessionEventKind::TurnStarted { .. } => "turn.started",
            SessionEventKind::RolledBack { .. } => "session.rolled_back",
            SessionEventKind::Status { .. } => "session.status",
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
            record(SessionEventKind::TurnStarted { turn: None, address: None }),
            format!(r#"{{"type":"turn.started","turn":null,"address":null,"session":"{id}","at":null}}"#)
        );
        assert_eq!(
            record(SessionEventKind::Status { status: Status::Failed }),
            format!(r#"{{"type":"session.status","status":"failed","session":"{id}","at":null}}"#)
        );
        for what in [SessionEventKind::Deleted, SessionEventKind::RolledBack { turns: 2 }] {
            assert!(record(what.clone()).starts_with(&format!("{{\"type\":\"{}\",", what.word())));
        }
    }
}
