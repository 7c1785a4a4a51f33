//! The records `item` and `turn`.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::event::SessionEvent;
use crate::error::{Error, Result};
use crate::record::Id;
use crate::time::Timestamp;

/// A record of a transcript.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Record {
    /// A message, a call of a tool, or another part of a turn.
    Item(Item),
    /// A turn, after its items.
    Turn(Turn),
    /// The start of a turn, or a rollback; only of a transcript that is followed.
    Event(SessionEvent),
}

/// A part of a turn: a message, a command, the output of a command, a patch.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Item {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The id of the session.
    pub session: Option<Id>,
    /// The number of the turn, counted from 1; null if the turn is undone or was copied from the session that started
    /// this one.
    pub turn: Option<u64>,
    /// The id of the turn, by Codex's name; null up to Codex 0.98.
    pub turn_id: Option<String>,
    /// The number of the item in its turn, counted from 1; null if the turn is unknown.
    pub item: Option<u64>,
    /// The address of the item: SESSION:TURN:ITEM.
    pub address: Option<String>,
    /// The role of the item.
    pub role: Role,
    /// The complete text; null if the item has no text.
    pub text: Option<String>,
    /// The time of the item; in a copied turn, the time of the copy.
    pub at: Option<Timestamp>,
    /// Whether the item was written after the end of its turn.
    pub late: bool,
    /// Whether the turn was rolled back or reverted.
    pub undone: bool,
    /// Whether the turn belongs to the session that this one was forked from.
    pub inherited: bool,
    /// The fields of the role.
    #[serde(flatten)]
    pub detail: Detail,
}

/// The role of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// A message of the user.
    User,
    /// A message of the model.
    Assistant,
    /// A summary of the model's reasoning.
    Reasoning,
    /// A plan that the model proposed.
    Plan,
    /// A command.
    Command,
    /// The output of the command before it.
    Output,
    /// A script of the model, whose commands are items of their own.
    Script,
    /// A change of files.
    Patch,
    /// The check list of the model.
    Todo,
    /// A search of the web.
    Search,
    /// A call of any other tool.
    Tool,
    /// An image that the model looked at.
    Image,
    /// A question of the model to the user.
    Question,
    /// A message to or from another agent.
    Agent,
    /// The start or end of a review.
    Review,
    /// A compaction of the conversation; the text is the summary.
    Compaction,
    /// A change of the goal of the session.
    Goal,
}

impl Role {
    /// All roles, in the order of the documentation.
    pub const ALL: [Role; 17] = [
        Role::User,
        Role::Assistant,
        Role::Reasoning,
        Role::Plan,
        Role::Command,
        Role::Output,
        Role::Script,
        Role::Patch,
        Role::Todo,
        Role::Search,
        Role::Tool,
        Role::Image,
        Role::Question,
        Role::Agent,
        Role::Review,
        Role::Compaction,
        Role::Goal,
    ];

    /// Parses names of roles with commas between them.
    pub fn parse_list(text: &str) -> Result<Vec<Role>> {
        let all: Option<Vec<Role>> = text.split(',').map(|word| Role::parse(word.trim())).collect();
        all.ok_or_else(|| Role::list_error(text, "roles"))
    }

    /// The role of this name.
    pub fn parse(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.word() == word)
    }

    /// The error for a list that is not one of roles, or of what was expected besides them.
    #[doc(hidden)]
    pub fn list_error(text: &str, expected: &str) -> Error {
        let roles: Vec<&str> = Role::ALL.iter().map(|role| role.word()).collect();
        Error::usage(format!("invalid value '{text}': expected {expected} with commas between them"))
            .hint(format!("roles: {}", roles.join(" ")))
    }

    /// The word in the record.
    pub fn word(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Reasoning => "reasoning",
            Role::Plan => "plan",
            Role::Command => "command",
            Role::Output => "output",
            Role::Script => "script",
            Role::Patch => "patch",
            Role::Todo => "todo",
            Role::Search => "search",
            Role::Tool => "tool",
            Role::Image => "image",
            Role::Question => "question",
            Role::Agent => "agent",
            Role::Review => "review",
            Role::Compaction => "compaction",
            Role::Goal => "goal",
        }
    }
}

/// The fields that only items of some roles have.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
#[non_exhaustive]
pub enum Detail {
    /// The fields of user and assistant.
    Message {
        /// commentary or final_answer; null for the user, and if Codex did not record it.
        phase: Option<String>,
        /// The number of attached images.
        images: u64,
    },
    /// The fields of command.
    Command {
        /// The exit code; null if the command did not end, or its end is unknown.
        exit_code: Option<i64>,
        /// Who ran the command.
        by: By,
    },
    /// The fields of patch.
    Patch {
        /// The changed files, each as [path, change]; empty if no change was applied.
        files: Vec<Change>,
        /// Whether the patch was not applied.
        failed: bool,
    },
    /// The fields of tool.
    Tool {
        /// The name; SERVER.TOOL for a tool of a server.
        name: String,
        /// The arguments as the model wrote them; null if the tool has none.
        #[cfg_attr(feature = "schema", schemars(with = "Option<serde_json::Value>"))]
        arguments: Option<Box<RawValue>>,
        /// The text of the result; null if there is none.
        output: Option<String>,
        /// Whether the call failed; null if Codex did not record it.
        failed: Option<bool>,
    },
    /// The fields of script.
    Script {
        /// The text of the result; null if there is none.
        output: Option<String>,
        /// Whether the script failed; null if Codex did not record it.
        failed: Option<bool>,
    },
    /// The fields of todo.
    Todo {
        /// The steps, each as [text, status]; the status is pending, in_progress or completed.
        #[cfg_attr(feature = "schema", schemars(with = "Vec<Vec<String>>"))]
        steps: Vec<(String, String)>,
    },
    /// The fields of question.
    Question {
        /// The answers of the user, in the order of the questions.
        answers: Vec<String>,
    },
    /// The fields of image.
    Image {
        /// The path of the image.
        path: Option<String>,
    },
    /// The fields of review.
    Review {
        /// What the record is about.
        action: ReviewAction,
        /// The number of findings of a finished review.
        #[serde(skip_serializing_if = "Option::is_none")]
        findings: Option<u64>,
    },
    /// The fields of agent.
    Agent {
        /// What the record is about.
        action: AgentAction,
    },
    /// The fields of goal.
    Goal {
        /// The state of the goal, by Codex's name, such as active or complete.
        state: Option<String>,
    },
    /// All other roles.
    Plain {},
}

/// Who ran a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum By {
    /// The model.
    Agent,
    /// The user, in Codex's prompt.
    User,
}

/// An event of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ReviewAction {
    /// The review began; the text is its subject.
    Entered,
    /// The review ended; the text is its conclusion.
    Finished,
}

/// An event between agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AgentAction {
    /// A new agent was started; the text is its task.
    Spawn,
    /// A message was sent to another agent.
    Send,
    /// The agent waited for others.
    Wait,
    /// Another agent was closed.
    Close,
    /// Another agent was interrupted.
    Interrupt,
    /// Another agent reported its result.
    Report,
    /// A task from another agent.
    Task,
}

/// A changed file. In the record: [path, created], [path, changed], [path, deleted] or [path, moved, new path]. A path
/// inside the directory of the turn is relative to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The path before the change.
    pub path: String,
    /// The kind of change.
    pub kind: ChangeKind,
    /// The path after a move.
    pub to: Option<String>,
}

/// The kind of a change of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A new file.
    Created,
    /// Other contents.
    Changed,
    /// The file was removed.
    Deleted,
    /// Another path, and perhaps other contents.
    Moved,
}

impl ChangeKind {
    /// The word in the record.
    pub fn word(self) -> &'static str {
        ["created", "changed", "deleted", "moved"][self as usize]
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let words = [Some(self.path.as_str()), Some(self.kind.word()), self.to.as_deref()];
        serializer.collect_seq(words.into_iter().flatten())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Change {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "change".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "array", "items": { "type": "string" } })
    }
}

/// A turn, after its items. A second record of the same turn replaces the first one: a turn that was believed to be
/// interrupted has ended, or a turn was rolled back while the transcript was followed.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Turn {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The id of the session.
    pub session: Option<Id>,
    /// The number of the turn, counted from 1; null if the turn is undone or was copied from the session that started
    /// this one.
    pub turn: Option<u64>,
    /// The id of the turn, by Codex's name; null up to Codex 0.98.
    pub turn_id: Option<String>,
    /// The status of the turn; null if it has not ended (it is running, or its process was killed), and if Codex did not
    /// record the end.
    pub status: Option<TurnStatus>,
    /// The time when the turn began.
    pub started_at: Option<Timestamp>,
    /// The time when the turn ended; null if it has not ended.
    pub completed_at: Option<Timestamp>,
    /// The duration in milliseconds.
    pub duration_ms: Option<i64>,
    /// The model of the turn; null if unknown.
    pub model: Option<String>,
    /// The tokens of the turn; null if unknown.
    pub tokens: Option<Tokens>,
    /// The error that ended the turn; null if there is none, and up to Codex 0.147.
    pub error: Option<TurnError>,
    /// Whether the turn was rolled back or reverted.
    pub undone: bool,
    /// Whether the turn belongs to the session that this one was forked from.
    pub inherited: bool,
    /// The tokens of its answers, which are in no record: those of one model within a quarter of an hour as one.
    #[serde(skip)]
    pub answers: Vec<Answer>,
}

/// The tokens of answers of the model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The time of the first of the answers.
    pub at: Option<Timestamp>,
    /// The model.
    pub model: Option<String>,
    /// Their tokens.
    pub tokens: Tokens,
}

/// The time in milliseconds within which answers are one.
const QUARTER: i64 = 900_000;

/// Adds an answer to those of a turn. Days begin at a quarter of an hour in every time zone.
pub(super) fn add_answer(
    answers: &mut Vec<Answer>,
    at: Option<Timestamp>,
    model: Option<&str>,
    tokens: Tokens,
) {
    let quarter = |at: Option<Timestamp>| at.map(|at| at.0.div_euclid(QUARTER));
    match answers.last_mut() {
        Some(last) if quarter(last.at) == quarter(at) && last.model.as_deref() == model => {
            last.tokens.add(tokens)
        }
        _ => answers.push(Answer { at, model: model.map(str::to_owned), tokens }),
    }
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TurnStatus {
    /// The turn was completed.
    Completed,
    /// The turn ended in an error.
    Failed,
    /// The turn was interrupted, or another turn began before its end.
    Interrupted,
}

/// The error that ended a turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TurnError {
    /// The message for the user.
    pub message: Option<String>,
    /// The kind of error, by Codex's name: a string or an object; null if there is none.
    pub info: Option<serde_json::Value>,
}

/// Numbers of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Tokens {
    /// The tokens of the input, with the cached ones.
    pub input: i64,
    /// The tokens of the input that were cached.
    pub cached: i64,
    /// The tokens of the output, with those of the reasoning.
    pub output: i64,
    /// The tokens of the reasoning.
    pub reasoning: i64,
}

impl Tokens {
    /// Adds other tokens. A number that is too great stays the greatest.
    pub fn add(&mut self, other: Tokens) {
        self.input = self.input.saturating_add(other.input);
        self.cached = self.cached.saturating_add(other.cached);
        self.output = self.output.saturating_add(other.output);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
    }
}

impl Item {
    /// An item that is not placed in a turn yet.
    pub(super) fn new(role: Role, text: Option<String>, at: Option<Timestamp>, detail: Detail) -> Item {
        Item {
            kind: "item",
            session: None,
            turn: None,
            turn_id: None,
            item: None,
            address: None,
            role,
            text,
            at,
            late: false,
            undone: false,
            inherited: false,
            detail,
        }
    }

    /// About how many bytes the item has in memory.
    pub(super) fn size(&self) -> usize {
        let more = match &self.detail {
            Detail::Tool { arguments, output, .. } => {
                arguments.as_ref().map_or(0, |json| json.get().len()) + output.as_ref().map_or(0, String::len)
            }
            Detail::Script { output, .. } => output.as_ref().map_or(0, String::len),
            Detail::Patch { files, .. } => files.len() * 200,
            Detail::Todo { steps } => steps.len() * 100,
            Detail::Question { answers } => answers.iter().map(String::len).sum(),
            _ => 0,
        };
        size_of::<Item>() + self.text.as_ref().map_or(0, String::len) + more
    }
}

impl Turn {
    /// A turn of which nothing is known yet.
    pub(super) fn new(session: Option<Id>) -> Turn {
        Turn {
            kind: "turn",
            session,
            turn: None,
            turn_id: None,
            status: None,
            started_at: None,
            completed_at: None,
            duration_ms: None,
            model: None,
            tokens: None,
            error: None,
            undone: false,
            inherited: false,
            answers: Vec::new(),
        }
    }

    /// The turn after it was rolled back or reverted: its number belongs to another turn now.
    pub(super) fn undone(mut self) -> Turn {
        self.undone = true;
        self.turn = self.turn.filter(|_| self.turn_id.is_none());
        self
    }

    /// Whether another program had the turn, and Codex imported it (0.133 and later): nothing about its tokens is known.
    pub fn is_imported(&self) -> bool {
        self.turn_id.as_deref().is_some_and(|id| id.starts_with("external-import-turn-"))
    }

    /// The address of the turn: SESSION:TURN, where TURN is the number, or Codex's id of a turn without a number.
    pub fn address(&self) -> Option<String> {
        address(self.session, self.turn, self.turn_id.as_deref(), None)
    }
}

/// The address of a turn, or of an item in a turn.
pub(super) fn address(
    session: Option<Id>,
    turn: Option<u64>,
    turn_id: Option<&str>,
    item: Option<u64>,
) -> Option<String> {
    let turn = turn.map(|turn| turn.to_string()).or(turn_id.map(str::to_owned))?;
    let turn = format!("{}:{turn}", session?);
    Some(item.map_or(turn.clone(), |item| format!("{turn}:{item}")))
}
