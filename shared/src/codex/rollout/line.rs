//! The parts of a line that show the title of a session and how its turns ended, in the same form for every version.
//!
//! [`Line`] knows the form of a line; this module knows how Codex writes a message and the start and end of a turn, from
//! 0.45 to 0.171. `legacy` sessions have `event_msg/user_message` and `agent_message`, `paginated` ones (0.148)
//! `event_msg/item_completed`, and their lines an `ordinal`. Both also have each message as a `response_item`, which is the
//! model's copy and has nothing new. A prompt that is only a `response_item` is a [`LineKind::Prompt`], which counts where
//! its turn has no user message. Before September 2025 a line was the bare item, without an envelope and without a time.
//!
//! A field of an unexpected form is ignored, and the other fields are read.

use std::collections::BTreeMap;

use serde_json::Value;

use super::typed::{directory, goal, typed_text};
use super::wire::{Fields, Line, Raw, list, object, read, string, text};

/// Tokens, by Codex's names for them.
pub type Tokens = BTreeMap<String, i64>;

/// The contents of a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LineKind {
    /// The start of a turn (no line up to 0.98).
    TurnStarted,
    /// A message of the user; messages that Codex writes in the user's name are not.
    UserMessage { text: String, images: usize },
    /// A message of the model.
    AgentMessage { text: String },
    /// The end of a turn without an error (no line up to 0.98).
    TurnCompleted,
    /// The end of a turn without a last message, in a version that writes no errors (up to 0.147): the other
    /// lines of the turn show whether the turn failed; see [`super::Turns`].
    TurnSilent,
    /// The end of a turn in an error.
    TurnFailed { error: TurnError },
    /// The interruption of a turn.
    TurnAborted,
    /// The context of a turn: the directory, the sandbox mode by Codex's name, the model.
    Context { cwd: Option<String>, sandbox: Option<String>, model: Option<String> },
    /// A count of the tokens of the whole session.
    Tokens { total: Option<Tokens> },
    /// A rollback: the last turns above this line no longer count (up to 0.155).
    RolledBack { turns: u64 },
    /// A name of the session (0.120 to 0.131).
    Named { name: Option<String> },
    /// The model's copy of a user message, without the blocks that Codex put before it.
    Prompt { text: String, images: usize },
    /// The goal of a session that works by itself; empty if it is elsewhere.
    Goal { text: String },
    /// The task that another agent gave to this one; empty if it is encrypted.
    Task { text: String },
    /// A command that the user ran.
    UserCommand,
    /// The model's copy of its own message or reasoning, or its call of a tool (`legacy`).
    Answer,
    /// The output of a tool (`legacy`).
    ToolOutput,
    /// A compaction of the conversation.
    Compacted,
    /// The start or end of a review. The turn of a review has no other line that marks its start.
    Reviewed { is_start: bool },
    /// Anything else.
    Other,
}

/// The error that ended a turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TurnError {
    /// The message for the user.
    pub(crate) message: Option<String>,
    /// `codex_error_info`: a string, or an object.
    pub(crate) info: Option<Value>,
}

impl LineKind {
    /// The contents of a line.
    pub(crate) fn of(line: &Line<'_>) -> LineKind {
        match &*line.kind {
            "event_msg" => event(line),
            "response_item" => item_of_model(line, false),
            "bare" => item_of_model(line, true),
            "turn_context" => context(&line.fields),
            "compacted" => LineKind::Compacted,
            _ => LineKind::Other,
        }
    }

    /// The contents of a text that is one line; `None` if it is no line of a rollout, such as an incomplete one.
    pub(crate) fn read(bytes: &[u8]) -> Option<LineKind> {
        Line::read(bytes, LineKind::of)
    }

    /// The kind without its text, if it counts for [`super::Turns`].
    pub(super) fn without_text(self) -> Option<LineKind> {
        Some(match self {
            LineKind::UserMessage { images, .. } => LineKind::UserMessage { text: String::new(), images },
            LineKind::Tokens { total } => LineKind::Tokens { total },
            kind if kind.ends_turn() => LineKind::TurnAborted,
            LineKind::Answer => LineKind::Answer,
            LineKind::TurnStarted => LineKind::TurnStarted,
            LineKind::ToolOutput => LineKind::ToolOutput,
            LineKind::Compacted => LineKind::Compacted,
            LineKind::UserCommand => LineKind::UserCommand,
            LineKind::Reviewed { is_start } => LineKind::Reviewed { is_start },
            _ => return None,
        })
    }

    /// Whether a turn ends with this line.
    pub(crate) fn ends_turn(&self) -> bool {
        use LineKind::{TurnAborted, TurnCompleted, TurnFailed, TurnSilent};
        matches!(self, TurnCompleted | TurnSilent | TurnFailed { .. } | TurnAborted)
    }
}

fn event(line: &Line<'_>) -> LineKind {
    let fields = &line.fields;
    match text(fields.kind).as_deref().unwrap_or("") {
        // `task_` is what versions up to 0.171 write, `turn_` what they read as well.
        "task_started" | "turn_started" => LineKind::TurnStarted,
        "task_complete" | "turn_complete" => {
            // Up to 0.147 a failed turn has no error, only no last message. Later versions write errors
            // into `legacy` sessions too, and the time of the turn's start.
            let is_mute = line.ordinal.is_none() && fields.started_at.is_none();
            if fields.error.is_some() {
                let error = object(fields.error);
                LineKind::TurnFailed {
                    error: TurnError { message: string(error.message), info: read(error.codex_error_info) },
                }
            } else if is_mute && fields.last_agent_message.is_none() {
                LineKind::TurnSilent
            } else {
                LineKind::TurnCompleted
            }
        }
        "turn_aborted" => LineKind::TurnAborted,
        "user_message" => {
            let images = list(fields.images).len() + list(fields.local_images).len();
            string(fields.message).map_or(LineKind::Other, |text| LineKind::UserMessage { text, images })
        }
        "agent_message" => {
            string(fields.message).map_or(LineKind::Other, |text| LineKind::AgentMessage { text })
        }
        "item_completed" => fields.item.as_deref().map_or(LineKind::Other, item),
        "token_count" => LineKind::Tokens { total: tokens(object(fields.info).total_token_usage) },
        "thread_rolled_back" => LineKind::RolledBack { turns: read(fields.num_turns).unwrap_or(0) },
        "thread_goal_updated" => {
            LineKind::Goal { text: string(object(fields.goal).objective).unwrap_or_default() }
        }
        kind @ ("entered_review_mode" | "exited_review_mode") => {
            LineKind::Reviewed { is_start: kind == "entered_review_mode" }
        }
        "thread_name_updated" => LineKind::Named { name: string(fields.thread_name) },
        _ => LineKind::Other,
    }
}

/// A finished item of a `paginated` session.
fn item(item: &Fields<'_>) -> LineKind {
    match text(item.kind).as_deref().unwrap_or("") {
        "UserMessage" => {
            let parts = Parts::of(item.content);
            LineKind::UserMessage { text: parts.text, images: parts.images }
        }
        "AgentMessage" => LineKind::AgentMessage { text: Parts::of(item.content).text },
        kind @ ("EnteredReviewMode" | "ExitedReviewMode") => {
            LineKind::Reviewed { is_start: kind == "EnteredReviewMode" }
        }
        _ => LineKind::Other,
    }
}

/// An item of the model. Without an envelope, no other line has the same message.
fn item_of_model(line: &Line<'_>, is_bare: bool) -> LineKind {
    let fields = &line.fields;
    let kind = text(fields.kind).unwrap_or_default();
    match (&*kind, text(fields.role).as_deref()) {
        ("message", Some("user")) => user(fields, is_bare),
        ("message", Some("assistant")) if is_bare => {
            LineKind::AgentMessage { text: Parts::of(fields.content).text }
        }
        ("agent_message", _) => task(fields).map_or(LineKind::Other, |text| LineKind::Task { text }),
        _ if line.ordinal.is_some() => LineKind::Other,
        ("message", Some("assistant")) | ("reasoning", _) => LineKind::Answer,
        (kind, _) if kind.ends_with("_call_output") => LineKind::ToolOutput,
        (kind, _) if kind.ends_with("_call") => LineKind::Answer,
        _ => LineKind::Other,
    }
}

fn context(fields: &Fields<'_>) -> LineKind {
    // 0.45 calls the mode `mode`.
    let policy = object(fields.sandbox_policy);
    let sandbox = string(policy.kind.or(policy.mode));
    LineKind::Context { cwd: string(fields.cwd), sandbox, model: string(fields.model) }
}

fn tokens(raw: Raw<'_>) -> Option<Tokens> {
    let total: BTreeMap<String, Value> = read(raw)?;
    Some(total.into_iter().filter_map(|(name, value)| Some((name, value.as_i64()?))).collect())
}

/// The parts of a message: the text of all, and the number of images.
struct Parts {
    text: String,
    images: usize,
}

impl Parts {
    fn of(content: Raw<'_>) -> Parts {
        let mut parts = Parts { text: String::new(), images: 0 };
        for part in list(content) {
            let part = object(Some(part));
            parts.images += usize::from(is_image(&part));
            let Some(more) = text(part.text) else { continue };
            parts.text.push_str(&more);
        }
        parts
    }
}

fn is_image(part: &Fields<'_>) -> bool {
    text(part.kind).is_some_and(|kind| kind.contains("mage"))
}

/// A message in the user's name. Codex puts several texts into a message, of which perhaps one was typed; from 0.150 on
/// the message has the kind of each text.
fn user(fields: &Fields<'_>, is_bare: bool) -> LineKind {
    let kinds: Vec<String> = read(object(fields.passthrough).content_item_kinds).unwrap_or_default();
    let mut typed = String::new();
    let (mut images, mut towards, mut cwd, mut is_command) = (0, None, None, false);
    for (at, part) in list(fields.content).into_iter().enumerate() {
        let part = object(Some(part));
        images += usize::from(is_image(&part));
        let Some(text) = text(part.text) else { continue };
        is_command |= text.trim_start().starts_with("<user_shell_command>");
        cwd = cwd.or_else(|| directory(&text).map(str::to_owned));
        towards = towards.or_else(|| goal(&text).map(str::to_owned));
        let is_typed = match kinds.get(at).map(String::as_str) {
            Some("unknown") | None => true,
            Some(kind) => kind.starts_with("user."),
        };
        let words = typed_text(&text);
        if is_typed && !words.is_empty() && !is_image_tag(words) {
            if !typed.is_empty() {
                typed.push('\n');
            }
            typed.push_str(words);
        }
    }
    if !typed.is_empty() || images > 0 {
        let text = typed;
        return if is_bare {
            LineKind::UserMessage { text, images }
        } else {
            LineKind::Prompt { text, images }
        };
    }
    match (towards, cwd) {
        (Some(text), _) => LineKind::Goal { text },
        (None, _) if is_command => LineKind::UserCommand,
        (None, Some(cwd)) if is_bare => LineKind::Context { cwd: Some(cwd), sandbox: None, model: None },
        _ => LineKind::Other,
    }
}

/// Codex writes a tag before and after an image.
pub(crate) fn is_image_tag(text: &str) -> bool {
    text == "</image>" || (text.starts_with("<image") && text.ends_with('>') && !text.contains('\n'))
}

/// The text that a message between agents has for its recipient, in the words of a task; `None` if it is no task.
fn task(fields: &Fields<'_>) -> Option<String> {
    let message = AgentMessage::of(fields);
    message.is_task().then_some(message.payload)
}

/// A message between agents (from 0.169 on).
pub(crate) struct AgentMessage {
    /// The lines of Codex before the text.
    head: String,
    /// The text; empty if it is encrypted.
    pub(crate) payload: String,
    is_downwards: bool,
}

impl AgentMessage {
    pub(crate) fn of(fields: &Fields<'_>) -> AgentMessage {
        let mut whole = String::new();
        for part in list(fields.content).into_iter().map(|part| object(Some(part))) {
            whole.push_str(&text(part.text).unwrap_or_default());
            // The task may be encrypted, which the text then does not have.
            whole.push_str(
                &text(part.encrypted_content).filter(|text| !is_encrypted(text)).unwrap_or_default(),
            );
        }
        let (head, payload) = match whole.split_once("Payload:\n") {
            Some((head, payload)) => (head.to_owned(), payload.to_owned()),
            None => (String::new(), whole),
        };
        let is_downwards = match (text(fields.author), text(fields.recipient)) {
            (Some(author), Some(recipient)) => {
                recipient.len() > author.len() && recipient.starts_with(&*author)
            }
            _ => false,
        };
        AgentMessage { head, payload, is_downwards }
    }

    /// Whether the message gives its recipient a task.
    pub(crate) fn is_task(&self) -> bool {
        !self.head.contains("Message Type: FINAL_ANSWER")
            && (self.head.contains("Message Type: NEW_TASK") || self.is_downwards)
    }
}

/// Whether a text is a token of the service and not for people.
fn is_encrypted(text: &str) -> bool {
    text.len() >= 40
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=' | b'+' | b'/'))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod transcripts;
#[cfg(test)]
pub(super) use tests::rollouts as rollouts_below;
