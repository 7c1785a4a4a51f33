//! The history of a session: its turns by the rollout, from the beginning of the session that it was forked
//! from.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::line::Usage;
use codex_agent_shared::codex::files::Files;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::rollout;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// One turn.
pub(super) struct Turn {
    pub(super) id: String,
    /// The messages; true for the user.
    pub(super) said: Vec<(bool, String)>,
    pub(super) status: &'static str,
    /// The place of its first line.
    pub(super) at: Place,
}

impl Turn {
    /// The first turn of a session, which has only just begun.
    pub(super) fn first(message: &str) -> Turn {
        let said = vec![(true, message.to_owned())];
        Turn { id: String::new(), said, status: "inProgress", at: Place { ordinal: None, offset: 0 } }
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &str> {
        self.said.iter().filter(|(is_user, _)| *is_user).map(|(_, text)| text.as_str())
    }
}

/// A place in a session: the number of a line, or else its offset in the file.
#[derive(Clone, Copy, Debug)]
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
    /// The last number of its own lines, and whether the last line has one.
    pub(super) last_ordinal: Option<u64>,
    pub(super) is_numbered: bool,
    /// The first message in the file itself.
    pub(super) first_own: Option<String>,
    pub(super) length: u64,
}

impl History {
    pub(super) fn read(home: &Home, path: &Path) -> io::Result<History> {
        let mut history = History::default();
        history.follow(home, path, None)?;
        Ok(history)
    }

    fn follow(&mut self, home: &Home, path: &Path, until: Option<u64>) -> io::Result<()> {
        let text = std::fs::read(path)?;
        let mut own = Value::Null;
        let mut offset = 0;
        self.first_own = None;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let at = offset;
            offset += line.len() as u64;
            // Broken lines are skipped.
            let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
            let ordinal = line["ordinal"].as_u64();
            if let (Some(until), Some(ordinal)) = (until, ordinal)
                && ordinal >= until
            {
                break;
            }
            if line["type"] == "session_meta" {
                // A copied fork has its parent's on the second line.
                if own.is_null() {
                    own = line["payload"].clone();
                    let base = &own["history_base"];
                    let parent = base["thread_id"].as_str().and_then(Id::parse);
                    if let Some(file) = parent.and_then(|parent| find(home, parent, None)) {
                        let end = base["end_ordinal_exclusive"].as_u64();
                        self.follow(home, &file, Some(end.unwrap_or(0).min(until.unwrap_or(u64::MAX))))?;
                        self.first_own = None;
                    }
                }
            } else {
                self.take(&line, Place { ordinal, offset: at });
            }
            self.is_numbered = ordinal.is_some();
            self.last_ordinal = ordinal.or(self.last_ordinal);
        }
        self.meta = own;
        self.length = offset;
        Ok(())
    }

    fn take(&mut self, line: &Value, at: Place) {
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
            "task_started" | "turn_started" => self.turns.push(Turn {
                id: text(&payload["turn_id"]),
                said: Vec::new(),
                status: "inProgress",
                at,
            }),
            "user_message" => self.say(true, text(&payload["message"]), at),
            "agent_message" => self.say(false, text(&payload["message"]), at),
            "item_completed" => {
                let parts = payload["item"]["content"].as_array().into_iter().flatten();
                let content: String = parts.filter_map(|part| part["text"].as_str()).collect();
                match payload["item"]["type"].as_str() {
                    Some("UserMessage") => self.say(true, content, at),
                    Some("AgentMessage") => self.say(false, content, at),
                    _ => {}
                }
            }
            "task_complete" | "turn_complete" => {
                self.end(if payload["error"].is_null() { "completed" } else { "failed" });
            }
            "turn_aborted" => self.end("interrupted"),
            "token_count" => {
                self.total = Usage::read(&payload["info"]["total_token_usage"]).unwrap_or(self.total);
            }
            "thread_rolled_back" => {
                let left =
                    self.turns.len().saturating_sub(payload["num_turns"].as_u64().unwrap_or(0) as usize);
                self.turns.truncate(left);
            }
            _ => {}
        }
    }

    /// Up to 0.98 no line begins a turn but the message itself.
    fn say(&mut self, is_user: bool, text: String, at: Place) {
        let is_new = match self.turns.last() {
            Some(turn) => is_user && turn.id.is_empty(),
            None => true,
        };
        if is_new {
            self.turns.push(Turn { id: String::new(), said: Vec::new(), status: "completed", at });
        }
        if is_user {
            self.first_own.get_or_insert_with(|| rollout::typed(&text).to_owned());
        }
        if let Some(turn) = self.turns.last_mut() {
            turn.said.push((is_user, text));
        }
    }

    fn end(&mut self, status: &'static str) {
        if let Some(turn) = self.turns.last_mut() {
            turn.status = status;
        }
    }

    /// The id of a turn: its own, or its number where turns had none.
    pub(super) fn turn_id(&self, at: usize) -> String {
        match self.turns.get(at) {
            Some(turn) if !turn.id.is_empty() => turn.id.clone(),
            _ => format!("turn-{at}"),
        }
    }

    pub(super) fn first_message(&self) -> &str {
        self.turns.iter().flat_map(Turn::messages).next().map(rollout::typed).unwrap_or_default()
    }

    pub(super) fn created(&self) -> Timestamp {
        self.meta["timestamp"].as_str().and_then(Timestamp::parse).unwrap_or(Timestamp(0))
    }
}

/// The live rollout of a session: where the row says, else where the files are. A home that was moved has
/// rows that name the old place.
pub(super) fn find(home: &Home, id: Id, named: Option<String>) -> Option<PathBuf> {
    let named = named.map(PathBuf::from).filter(|path| path.starts_with(home.path()) && path.is_file());
    named.or_else(|| Files::walk(home.path()).live(id, None).map(|file| file.path.clone()))
}
