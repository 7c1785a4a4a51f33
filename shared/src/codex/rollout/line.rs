//! A line of a rollout, in the same form for every version.
//!
//! This is the only module that knows how Codex writes a message, the start and end of a turn, a tool call
//! or a count of tokens, from 0.45 to 0.171. `legacy` sessions have `event_msg/user_message` and
//! `agent_message`, `paginated` ones (0.148) `event_msg/item_completed`, and their lines an `ordinal`.
//! Both also have each message as a `response_item`, which is the model's copy and has nothing new.
//! A tool call is a `response_item` where there is no ordinal, and an `item_completed` where there
//! is one, so that no call is counted twice. A prompt that is only a `response_item` is a
//! [`LineKind::Prompt`], which counts where its turn has no user message. Before September 2025 a line was
//! the bare item, without an envelope and without a time.
//!
//! An unknown line is [`LineKind::Other`]. A field of an unexpected form is ignored, and the other fields are read. Text is
//! borrowed where the line has it without escapes. [`Line::of_beginning`] reads the kind of a line that is too long to be
//! read as a whole, and the beginning of its text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::record::Id;
use crate::time::Timestamp;

/// Tokens, by Codex's names for them.
pub type Tokens = BTreeMap<String, i64>;

/// A line of a rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'a> {
    /// The time when the line was written; in a copied fork, when it was copied.
    pub at: Option<Timestamp>,
    /// The number of the line in a `paginated` session (0.148).
    pub ordinal: Option<u64>,
    /// The id of its turn, where the line has it (from 0.101, and not every line).
    pub turn: Option<Cow<'a, str>>,
    /// The id of its item, where items have ids (0.148).
    pub item: Option<Cow<'a, str>>,
    /// The contents.
    pub kind: LineKind<'a>,
}

/// The contents of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum LineKind<'a> {
    /// `session_meta`: the first line, and once more for each session that this one was copied from.
    Meta {
        /// The id of the session.
        id: Option<Id>,
        /// The version of Codex that began the session.
        version: Option<Cow<'a, str>>,
    },
    /// The start of a turn (no line up to 0.98).
    TurnStarted,
    /// A message of the user; messages that Codex writes in the user's name are not.
    UserMessage {
        /// The text.
        text: Cow<'a, str>,
        /// The number of images.
        images: usize,
    },
    /// A message of the model.
    AgentMessage {
        /// The text.
        text: Cow<'a, str>,
    },
    /// A call of a tool.
    ToolCall {
        /// `command_execution`, `file_change`, `web_search`, or the tool's own name.
        name: Cow<'a, str>,
        /// The subject of the call, in a line of at most 200 characters: the command, the files, the query.
        text: String,
    },
    /// The end of a turn without an error (no line up to 0.98).
    TurnCompleted {
        /// The last message of the model.
        last_message: Option<Cow<'a, str>>,
    },
    /// The end of a turn without a last message, in a version that writes no errors (up to 0.147): the other
    /// lines of the turn show whether the turn failed; see [`super::Turns`].
    TurnSilent,
    /// The end of a turn in an error.
    TurnFailed {
        /// The error; `None` if it has an unexpected form.
        error: Option<TurnError<'a>>,
    },
    /// The interruption of a turn.
    TurnAborted {
        /// The reason, by Codex's name.
        reason: Option<Cow<'a, str>>,
    },
    /// The context of a turn.
    Context {
        /// The directory.
        cwd: Option<Cow<'a, str>>,
        /// The sandbox mode, by Codex's name.
        sandbox: Option<Cow<'a, str>>,
        /// The model.
        model: Option<Cow<'a, str>>,
    },
    /// A count of tokens.
    Tokens {
        /// The tokens of the whole session.
        total: Option<Tokens>,
        /// The tokens of the last answer.
        last: Option<Tokens>,
    },
    /// A rollback: the last turns above this line no longer count (up to 0.155).
    RolledBack {
        /// The number of turns.
        turns: u64,
    },
    /// A name of the session (0.120 to 0.131).
    Named {
        /// The name.
        name: Option<Cow<'a, str>>,
    },
    /// The model's copy of a user message, without the blocks that Codex put before it.
    Prompt {
        /// The text.
        text: Cow<'a, str>,
        /// The number of images.
        images: usize,
    },
    /// The goal of a session that works by itself.
    Goal {
        /// The text; empty if it is elsewhere.
        text: Cow<'a, str>,
    },
    /// A command that the user ran.
    UserCommand,
    /// The model's copy of its own message or reasoning (`legacy`).
    Copy,
    /// The output of a tool (`legacy`).
    ToolOutput,
    /// A compaction of the conversation.
    Compacted,
    /// The start or end of a review (`legacy`).
    Reviewed,
    /// Anything else.
    Other,
}

impl LineKind<'_> {
    /// The kind without its text, if it counts for [`super::Turns`].
    pub(super) fn without_text(self) -> Option<LineKind<'static>> {
        Some(match self {
            LineKind::UserMessage { images, .. } => LineKind::UserMessage { text: "".into(), images },
            LineKind::Tokens { total, .. } => LineKind::Tokens { total, last: None },
            LineKind::ToolCall { .. } | LineKind::Copy => LineKind::Copy,
            LineKind::TurnStarted => LineKind::TurnStarted,
            LineKind::ToolOutput => LineKind::ToolOutput,
            LineKind::Compacted => LineKind::Compacted,
            LineKind::UserCommand => LineKind::UserCommand,
            LineKind::Reviewed => LineKind::Reviewed,
            _ => return None,
        })
    }

    /// Whether a turn ends with this line.
    pub fn ends_turn(&self) -> bool {
        use LineKind::{TurnAborted, TurnCompleted, TurnFailed, TurnSilent};
        matches!(self, TurnCompleted { .. } | TurnSilent | TurnFailed { .. } | TurnAborted { .. })
    }
}

/// The error that ended a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnError<'a> {
    /// The message for the user.
    pub message: Option<Cow<'a, str>>,
    /// `codex_error_info`: a string, or an object.
    pub info: Option<Value>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Outer<'a> {
    timestamp: Raw<'a>,
    ordinal: Raw<'a>,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    payload: Raw<'a>,
}

/// A piece of JSON that is parsed only if its line is of interest.
type Raw<'a> = Option<&'a RawValue>;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Payload<'a> {
    #[serde(rename = "type")]
    kind: Raw<'a>,
    id: Raw<'a>,
    turn_id: Raw<'a>,
    message: Raw<'a>,
    images: Raw<'a>,
    local_images: Raw<'a>,
    item: Raw<'a>,
    name: Raw<'a>,
    arguments: Raw<'a>,
    input: Raw<'a>,
    action: Raw<'a>,
    call_id: Raw<'a>,
    last_agent_message: Raw<'a>,
    error: Raw<'a>,
    reason: Raw<'a>,
    info: Raw<'a>,
    num_turns: Raw<'a>,
    thread_name: Raw<'a>,
    cli_version: Raw<'a>,
    cwd: Raw<'a>,
    model: Raw<'a>,
    sandbox_policy: Raw<'a>,
    started_at: Raw<'a>,
    goal: Raw<'a>,
    role: Raw<'a>,
    content: Raw<'a>,
    #[serde(rename = "internal_chat_message_metadata_passthrough")]
    passthrough: Raw<'a>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Item<'a> {
    #[serde(rename = "type")]
    kind: Raw<'a>,
    id: Raw<'a>,
    content: Raw<'a>,
    command: Raw<'a>,
    changes: Raw<'a>,
    tool: Raw<'a>,
    server: Raw<'a>,
    query: Raw<'a>,
    prompt: Raw<'a>,
    arguments: Raw<'a>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Part<'a> {
    #[serde(rename = "type")]
    kind: Raw<'a>,
    text: Raw<'a>,
}

impl Part<'_> {
    fn is_image(&self) -> bool {
        text(self.kind).is_some_and(|kind| kind.contains("mage"))
    }
}

/// A string inside something optional: serde borrows it only through a type of its own.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn read<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

fn text<'a>(raw: Raw<'a>) -> Option<Cow<'a, str>> {
    read::<Text<'a>>(raw).map(|text| text.0)
}

/// A member of an object.
fn member<'a>(object: Raw<'a>, key: &str) -> Raw<'a> {
    read::<BTreeMap<Cow<'a, str>, &'a RawValue>>(object)?.get(key).copied()
}

mod calls;
mod copies;

use calls::{describe_command, is_tool, short, snake};

fn count(raw: Raw<'_>) -> usize {
    read::<Vec<serde::de::IgnoredAny>>(raw).map_or(0, |all| all.len())
}

impl<'a> Line<'a> {
    /// Reads a line, with or without its newline; `None` if it is no line of a rollout, such as an incomplete one.
    pub fn parse(bytes: &'a [u8]) -> Option<Line<'a>> {
        let outer: Outer<'a> = serde_json::from_slice(bytes).ok()?;
        let at = text(outer.timestamp).and_then(|at| Timestamp::parse(&at));
        let mut line =
            Line { at, ordinal: read(outer.ordinal), turn: None, item: None, kind: LineKind::Other };
        let is_item = matches!(&*outer.kind, "message" | "reasoning") || outer.kind.contains("_call");
        let wanted = match &*outer.kind {
            "event_msg" | "turn_context" | "session_meta" => true,
            "response_item" => line.ordinal.is_none() || outer.payload.is_some_and(may_be_of_user),
            "compacted" => {
                line.kind = LineKind::Compacted;
                false
            }
            _ => false,
        };
        if is_item && outer.payload.is_none() {
            let bare: Payload<'a> = serde_json::from_slice(bytes).ok()?;
            line.copy(&bare, true);
        } else if wanted && let Some(payload) = read::<Payload<'a>>(outer.payload) {
            line.turn = text(payload.turn_id);
            match &*outer.kind {
                "event_msg" => line.event(&payload),
                "response_item" => line.copy(&payload, false),
                "turn_context" => line.kind = context(&payload),
                _ => line.kind = LineKind::Meta { id: read(payload.id), version: text(payload.cli_version) },
            }
        }
        Some(line)
    }

    /// Reads the beginning of a line that is too long to be read as a whole. The text of a message ends with `…` there.
    pub fn of_beginning(start: &'a [u8]) -> Line<'a> {
        let string = |key: &str| string_after(&start[..start.len().min(1024)], start, key);
        let text = |key| Cow::Owned(string(key).unwrap_or_default());
        let at = string("\"timestamp\":\"").and_then(|at| Timestamp::parse(&at));
        let turn = string("\"turn_id\":\"").map(Cow::Owned);
        let kind = match (string("\"type\":\"").as_deref(), string("\"payload\":{\"type\":\"").as_deref()) {
            (Some("event_msg"), Some("user_message")) => {
                LineKind::UserMessage { text: text("\"message\":\""), images: 0 }
            }
            (Some("event_msg"), Some("agent_message")) => {
                LineKind::AgentMessage { text: text("\"message\":\"") }
            }
            (Some("event_msg"), Some("item_completed")) => match string("\"item\":{\"type\":\"").as_deref() {
                Some("UserMessage") => LineKind::UserMessage { text: text("\"text\":\""), images: 0 },
                Some("AgentMessage") => LineKind::AgentMessage { text: text("\"text\":\"") },
                Some(kind) if is_tool(kind) => {
                    LineKind::ToolCall { name: snake(kind).into(), text: String::new() }
                }
                _ => LineKind::Other,
            },
            // The long part is the last message: the turn has one, and did not fail.
            (Some("event_msg"), Some("task_complete" | "turn_complete")) => {
                LineKind::TurnCompleted { last_message: string("\"last_agent_message\":\"").map(Cow::Owned) }
            }
            (Some("session_meta"), _) => {
                LineKind::Meta { id: string("\"id\":\"").and_then(|id| Id::parse(&id)), version: None }
            }
            _ => LineKind::Other,
        };
        Line { at, ordinal: None, turn, item: None, kind }
    }

    fn event(&mut self, payload: &Payload<'a>) {
        self.kind = match text(payload.kind).as_deref().unwrap_or("") {
            // `task_` is what versions up to 0.171 write, `turn_` what they read as well.
            "task_started" | "turn_started" => LineKind::TurnStarted,
            "task_complete" | "turn_complete" => {
                let last_message = text(payload.last_agent_message);
                let error = read::<BTreeMap<&str, Value>>(payload.error).map(|mut error| TurnError {
                    message: error.remove("message").and_then(|text| Some(text.as_str()?.to_owned().into())),
                    info: error.remove("codex_error_info").filter(|info| !info.is_null()),
                });
                // Up to 0.147 a failed turn has no error, only no last message. Later versions write errors
                // into `legacy` sessions too, and the time of the turn's start.
                let is_mute = self.ordinal.is_none() && payload.started_at.is_none();
                if payload.error.is_some() {
                    LineKind::TurnFailed { error }
                } else if is_mute && payload.last_agent_message.is_none() {
                    LineKind::TurnSilent
                } else {
                    LineKind::TurnCompleted { last_message }
                }
            }
            "turn_aborted" => LineKind::TurnAborted { reason: text(payload.reason) },
            "user_message" => {
                let images = count(payload.images) + count(payload.local_images);
                text(payload.message).map_or(LineKind::Other, |text| LineKind::UserMessage { text, images })
            }
            "agent_message" => {
                text(payload.message).map_or(LineKind::Other, |text| LineKind::AgentMessage { text })
            }
            "item_completed" => return self.item(payload.item),
            "token_count" => LineKind::Tokens {
                total: tokens(member(payload.info, "total_token_usage")),
                last: tokens(member(payload.info, "last_token_usage")),
            },
            "thread_rolled_back" => LineKind::RolledBack { turns: read(payload.num_turns).unwrap_or(0) },
            "thread_goal_updated" => {
                LineKind::Goal { text: text(member(payload.goal, "objective")).unwrap_or_default() }
            }
            "entered_review_mode" | "exited_review_mode" => LineKind::Reviewed,
            "thread_name_updated" => LineKind::Named { name: text(payload.thread_name) },
            _ => LineKind::Other,
        }
    }

    /// A finished item of a `paginated` session.
    fn item(&mut self, item: Raw<'a>) {
        let Some(item) = read::<Item<'a>>(item) else { return };
        let kind = text(item.kind).unwrap_or_default();
        self.item = text(item.id);
        let parts = || read::<Vec<Part<'a>>>(item.content);
        self.kind = match &*kind {
            "UserMessage" => parts().map_or(LineKind::Other, |parts| {
                let images = parts.iter().filter(|part| part.is_image()).count();
                LineKind::UserMessage { text: joined(&parts), images }
            }),
            "AgentMessage" => {
                parts().map_or(LineKind::Other, |parts| LineKind::AgentMessage { text: joined(&parts) })
            }
            kind if is_tool(kind) => {
                let words = if item.command.is_some() {
                    describe_command(item.command)
                } else if item.changes.is_some() {
                    let files: BTreeMap<Cow<'_, str>, serde::de::IgnoredAny> =
                        read(item.changes).unwrap_or_default();
                    files.into_keys().collect::<Vec<_>>().join(" ")
                } else {
                    let parts = [text(item.server), text(item.tool), text(item.query), text(item.prompt)];
                    let words: Vec<_> = parts.into_iter().flatten().collect();
                    match item.arguments {
                        Some(arguments) => format!("{} {}", words.join(" "), arguments.get()),
                        None => words.join(" "),
                    }
                };
                LineKind::ToolCall { name: snake(kind).into(), text: short(&words) }
            }
            _ => LineKind::Other,
        };
    }
}

/// Whether an item may be the copy of a user message, by its beginning: most items are long, and are none.
fn may_be_of_user(payload: &RawValue) -> bool {
    memchr::memmem::find(super::beginning(payload.get().as_bytes()), b"\"role\":\"user\"").is_some()
}

fn context<'a>(payload: &Payload<'a>) -> LineKind<'a> {
    // 0.45 calls the mode `mode`.
    let mode = |key| member(payload.sandbox_policy, key);
    let sandbox = text(mode("type").or_else(|| mode("mode")));
    LineKind::Context { cwd: text(payload.cwd), sandbox, model: text(payload.model) }
}

fn tokens(raw: Raw<'_>) -> Option<Tokens> {
    let total: BTreeMap<String, Value> = read(raw)?;
    Some(total.into_iter().filter_map(|(name, value)| Some((name, value.as_i64()?))).collect())
}

fn joined<'a>(parts: &[Part<'a>]) -> Cow<'a, str> {
    let mut texts = parts.iter().filter_map(|part| text(part.text));
    let first = texts.next().unwrap_or_default();
    texts.fold(first, |all, more| all + more)
}

/// The string whose opening quote `key` ends with, if the key is in `head`, which `whole` begins with.
fn string_after(head: &[u8], whole: &[u8], key: &str) -> Option<String> {
    let from = memchr::memmem::find(head, key.as_bytes())? + key.len() - 1;
    let rest = &whole[from..];
    let mut all = serde_json::Deserializer::from_slice(rest).into_iter::<String>();
    if let Some(Ok(text)) = all.next() {
        return Some(text);
    }
    // The string ends early, perhaps within an escape, which has at most twelve bytes, or within a character.
    for less in 0..12.min(rest.len()) {
        let mut closed = rest[..rest.len() - less].to_vec();
        closed.push(b'"');
        if let Ok(text) = serde_json::from_slice::<String>(&closed) {
            return Some(text + "…");
        }
    }
    None
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod transcripts;
#[cfg(test)]
pub(super) use tests::rollouts as rollouts_below;
