//! The history of a session: the turns in its rollout and in those of the sessions that it was forked from.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::line::Usage;
use codex_agent_shared::codex::files::Files;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::rollout;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// A turn.
pub(super) struct Turn {
    id: String,
    /// The messages; the flag is whether the user wrote it.
    pub(super) messages: Vec<(bool, String)>,
    pub(super) status: &'static str,
    /// The place of its first line.
    pub(super) at: Place,
}

impl Turn {
    pub(super) fn user_messages(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().filter(|(is_user, _)| *is_user).map(|(_, text)| text.as_str())
    }
}

/// The place of a line: its number in the session, if lines have one, and its offset in the file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) ordinal: Option<u64>,
    pub(super) offset: u64,
}

/// The contents of a rollout.
#[derive(Default)]
pub(super) struct History {
    pub(super) meta: Value,
    pub(super) turns: Vec<Turn>,
    pub(super) total: Usage,
    pub(super) model: Option<String>,
    pub(super) sandbox: Option<String>,
    /// The number of the last numbered line.
    pub(super) last_ordinal: Option<u64>,
    /// Whether the last line has a number.
    pub(super) is_numbered: bool,
    /// The first user message in the file itself.
    pub(super) first_own: Option<String>,
    pub(super) length: u64,
}

impl History {
    pub(super) fn read(home: &Home, path: &Path) -> io::Result<History> {
        let mut history = History::default();
        history.read_file(home, path, None)?;
        Ok(history)
    }

    /// Reads a rollout up to the line with this number, after the part of its parent that it is based on.
    fn read_file(&mut self, home: &Home, path: &Path, until: Option<u64>) -> io::Result<()> {
        let text = std::fs::read(path)?;
        let mut own = Value::Null;
        let mut next = 0;
        self.first_own = None;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let offset = next;
            next += line.len() as u64;
            // Broken lines are skipped.
            let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
            let ordinal = line["ordinal"].as_u64();
            if until.zip(ordinal).is_some_and(|(until, ordinal)| ordinal >= until) {
                break;
            }
            if line["type"] != "session_meta" {
                self.apply_line(&line, Place { ordinal, offset });
            } else if own.is_null() {
                // The second line of a copied fork is that of its parent, and is skipped.
                own = line["payload"].clone();
                let base = &own["history_base"];
                let parent = base["thread_id"].as_str().and_then(Id::parse);
                if let Some(file) = parent.and_then(|parent| find_rollout(home, parent, None)) {
                    let end = base["end_ordinal_exclusive"].as_u64().unwrap_or(0);
                    self.read_file(home, &file, Some(end.min(until.unwrap_or(u64::MAX))))?;
                    self.first_own = None;
                }
            }
            self.is_numbered = ordinal.is_some();
            self.last_ordinal = ordinal.or(self.last_ordinal);
        }
        (self.meta, self.length) = (own, next);
        Ok(())
    }

    fn apply_line(&mut self, line: &Value, at: Place) {
        let payload = &line["payload"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if line["type"] == "turn_context" {
            self.model = payload["model"].as_str().map(str::to_owned);
            let policy = &payload["sandbox_policy"];
            self.sandbox = policy["type"].as_str().or(policy["mode"].as_str()).map(str::to_owned);
            return;
        }
        if line["type"] != "event_msg" {
            return;
        }
        match payload["type"].as_str().unwrap_or_default() {
            "task_started" | "turn_started" => {
                self.begin_turn(text(&payload["turn_id"]), "inProgress", at);
            }
            "user_message" => self.add_message(true, text(&payload["message"]), at),
            "agent_message" => self.add_message(false, text(&payload["message"]), at),
            "item_completed" => {
                let parts = payload["item"]["content"].as_array().into_iter().flatten();
                let content: String = parts.filter_map(|part| part["text"].as_str()).collect();
                match payload["item"]["type"].as_str() {
                    Some("UserMessage") => self.add_message(true, content, at),
                    Some("AgentMessage") => self.add_message(false, content, at),
                    _ => {}
                }
            }
            "task_complete" | "turn_complete" if payload["error"].is_null() => self.end_turn("completed"),
            "task_complete" | "turn_complete" => self.end_turn("failed"),
            "turn_aborted" => self.end_turn("interrupted"),
            "token_count" => {
                self.total = Usage::parse(&payload["info"]["total_token_usage"]).unwrap_or(self.total);
            }
            "thread_rolled_back" => {
                let removed = payload["num_turns"].as_u64().unwrap_or(0) as usize;
                self.turns.truncate(self.turns.len().saturating_sub(removed));
            }
            _ => {}
        }
    }

    fn begin_turn(&mut self, id: String, status: &'static str, at: Place) {
        self.turns.push(Turn { id, messages: Vec::new(), status, at });
    }

    /// Adds a message. Up to 0.98 a turn begins with the message of the user, and has no id.
    pub(super) fn add_message(&mut self, is_user: bool, text: String, at: Place) {
        if self.turns.last().is_none_or(|turn| is_user && turn.id.is_empty()) {
            self.begin_turn(String::new(), "completed", at);
        }
        if is_user {
            self.first_own.get_or_insert_with(|| rollout::typed_text(&text).to_owned());
        }
        if let Some(turn) = self.turns.last_mut() {
            turn.messages.push((is_user, text));
        }
    }

    fn end_turn(&mut self, status: &'static str) {
        if let Some(turn) = self.turns.last_mut() {
            turn.status = status;
        }
    }

    /// The id of a turn: its own, or one made of its number.
    pub(super) fn turn_id(&self, at: usize) -> String {
        match self.turns.get(at) {
            Some(turn) if !turn.id.is_empty() => turn.id.clone(),
            _ => format!("turn-{at}"),
        }
    }

    pub(super) fn first_message(&self) -> &str {
        self.turns.iter().flat_map(Turn::user_messages).next().map(rollout::typed_text).unwrap_or_default()
    }

    pub(super) fn created(&self) -> Timestamp {
        self.meta["timestamp"].as_str().and_then(Timestamp::parse).unwrap_or(Timestamp(0))
    }
}

/// The rollout of a session: the path in its row, if that file exists in this home, or else a file of the home, as
/// the rows of a home that was moved have old paths.
pub(super) fn find_rollout(home: &Home, id: Id, in_row: Option<String>) -> Option<PathBuf> {
    let in_row = in_row.map(PathBuf::from).filter(|path| path.starts_with(home.path()) && path.is_file());
    in_row.or_else(|| Files::walk(home.path()).live(id, None).map(|file| file.path.clone()))
}
