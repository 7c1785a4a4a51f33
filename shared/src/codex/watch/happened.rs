//! What a session did, as a record.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::record::Id;
use crate::time::Timestamp;

/// One thing that happened in a session. As JSON it has `type`, `session`, the fields of [`What`] and
/// `at`, each present, `null` where nothing is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// The session.
    pub session: Id,
    /// When: the time of the line, or that of the look at the files.
    pub at: Option<Timestamp>,
    /// What.
    pub what: What,
}

/// The part of a [`Happened`] that differs by its type. `turn` is Codex's id of the turn; versions up to
/// 0.98 have none.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // codex-agent-records(5) tells each field.
pub enum What {
    TurnStarted {
        turn: Option<String>,
    },
    Message {
        turn: Option<String>,
        item: Option<String>,
        role: Role,
        text: String,
        images: usize,
    },
    Tool {
        turn: Option<String>,
        item: Option<String>,
        name: String,
        text: String,
    },
    TurnCompleted {
        turn: Option<String>,
        last_message: Option<String>,
    },
    /// Up to 0.147 Codex does not write what failed, so both parts may be unknown.
    TurnFailed {
        turn: Option<String>,
        message: Option<String>,
        info: Option<Value>,
    },
    TurnAborted {
        turn: Option<String>,
        reason: Option<String>,
    },
    /// The last `turns` turns no longer count.
    RolledBack {
        turns: u64,
    },
    Archived {
        path: String,
    },
    Unarchived {
        path: String,
    },
    /// The session goes on in another file: it was reverted to an earlier turn.
    Moved {
        path: String,
    },
    /// The session is gone, and no longer followed.
    Deleted,
}

/// Who said a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Role {
    User,
    Assistant,
}

impl What {
    /// What there is to say about it.
    pub fn text(&self) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        match self {
            What::TurnStarted { .. } | What::Deleted => String::new(),
            What::Message { role: Role::User, text, .. } => format!("> {text}"),
            What::Message { text, .. } => text.clone(),
            What::Tool { name, text, .. } => format!("{name}: {text}"),
            What::TurnCompleted { .. } => String::new(),
            What::TurnFailed { message, .. } => text(message),
            What::TurnAborted { reason, .. } => text(reason),
            What::RolledBack { turns } => format!("{turns} turns"),
            What::Archived { path } | What::Unarchived { path } | What::Moved { path } => path.clone(),
        }
    }

    /// The `type` of the record.
    pub fn word(&self) -> &'static str {
        match self {
            What::TurnStarted { .. } => "turn.started",
            What::Message { .. } => "message",
            What::Tool { .. } => "tool",
            What::TurnCompleted { .. } => "turn.completed",
            What::TurnFailed { .. } => "turn.failed",
            What::TurnAborted { .. } => "turn.aborted",
            What::RolledBack { .. } => "session.rolled_back",
            What::Archived { .. } => "session.archived",
            What::Unarchived { .. } => "session.unarchived",
            What::Moved { .. } => "session.moved",
            What::Deleted => "session.deleted",
        }
    }
}

impl Serialize for Happened {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Failure<'h> {
            message: &'h Option<String>,
            info: &'h Option<Value>,
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.what.word())?;
        map.serialize_entry("session", &self.session)?;
        match &self.what {
            What::TurnStarted { turn } => map.serialize_entry("turn", turn)?,
            What::Message { turn, item, role, text, images } => {
                map.serialize_entry("turn", turn)?;
                map.serialize_entry("item", item)?;
                map.serialize_entry("role", role)?;
                map.serialize_entry("text", text)?;
                map.serialize_entry("images", images)?;
            }
            What::Tool { turn, item, name, text } => {
                map.serialize_entry("turn", turn)?;
                map.serialize_entry("item", item)?;
                map.serialize_entry("name", name)?;
                map.serialize_entry("text", text)?;
            }
            What::TurnCompleted { turn, last_message } => {
                map.serialize_entry("turn", turn)?;
                map.serialize_entry("last_message", last_message)?;
            }
            What::TurnFailed { turn, message, info } => {
                map.serialize_entry("turn", turn)?;
                map.serialize_entry("failure", &Failure { message, info })?;
            }
            What::TurnAborted { turn, reason } => {
                map.serialize_entry("turn", turn)?;
                map.serialize_entry("reason", reason)?;
            }
            What::RolledBack { turns } => map.serialize_entry("turns", turns)?,
            What::Archived { path } | What::Unarchived { path } | What::Moved { path } => {
                map.serialize_entry("path", path)?;
            }
            What::Deleted => {}
        }
        map.serialize_entry("at", &self.at)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_null() {
        let id = Id::parse("01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c").unwrap();
        let record = |what| serde_json::to_string(&Happened { session: id, at: None, what }).unwrap();
        assert_eq!(
            record(What::TurnFailed { turn: None, message: None, info: None }),
            format!(
                r#"{{"type":"turn.failed","session":"{id}","turn":null,"failure":{{"message":null,"info":null}},"at":null}}"#
            )
        );
        let message = What::Message {
            turn: Some("t".into()),
            item: None,
            role: Role::Assistant,
            text: "a\nb".into(),
            images: 0,
        };
        assert_eq!(
            record(message),
            format!(
                r#"{{"type":"message","session":"{id}","turn":"t","item":null,"role":"assistant","text":"a\nb","images":0,"at":null}}"#
            )
        );
    }
}
