//! What is known of a transcript while it is read: its turns, the calls that wait, the file.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::record::{Answer, Item, Role, Tokens, Turn, TurnError, TurnStatus};
use super::tokens::Counter;
use crate::codex::rollout;
use crate::record::Id;
use crate::time::Timestamp;

/// What is read, and in which order records are passed on.
#[derive(Clone, Debug, Default)]
pub(super) struct Wants {
    pub(super) undone: bool,
    pub(super) copied: bool,
    pub(super) live: bool,
    /// Whether items alone are of interest, so that lines that only count tokens are not parsed.
    pub(super) items_alone: bool,
    /// Whether the same holds for messages, so that commands have no end.
    pub(super) messages_alone: bool,
    /// Whether items are only counted, so that they have no addresses.
    pub(super) is_count: bool,
    /// What stands for outputs then.
    pub(super) abridge: Option<Abridge>,
}

type AbridgeText = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Gives a text that may stand for the output of a command, by the inside of its JSON string; `None` if the output must be
/// decoded.
#[derive(Clone)]
pub(super) struct Abridge(pub(super) Arc<AbridgeText>);

impl fmt::Debug for Abridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Abridge")
    }
}

/// The part of a transcript that one file has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    /// Whether the file belongs to the session that this one was forked from.
    pub(super) inherited: bool,
    /// Whether the part was reverted.
    pub(super) undone: bool,
}

/// Numbers about a transcript.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// The turns that stand, with the inherited ones.
    pub turns: u64,
    /// The turns of the session itself that stand.
    pub own_turns: u64,
    /// The turns that were rolled back or reverted.
    pub undone_turns: u64,
    /// The turns that were copied into a subagent.
    pub copied_turns: u64,
    /// The tokens of the session itself, with those of undone turns; `None` if unknown.
    pub spent: Option<Tokens>,
    /// The lines of a type that is not known.
    pub unknown_lines: u64,
    /// The lines that are not JSON in UTF-8.
    pub invalid_lines: u64,
}

/// Where a turn stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) number: Option<u64>,
    pub(super) id: Option<String>,
    pub(super) undone: bool,
    pub(super) inherited: bool,
    pub(super) copied: bool,
    pub(super) skipped: bool,
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Nothing,
    /// Its output.
    Output,
    /// The output is known, but perhaps not the last one: an item may still come, even after the end of the turn.
    Item,
    /// The output is known; the item that has it too may still come, with the next lines. Codex 0.169 and 0.171 write the
    /// two in either order.
    Copy,
}

/// A call or another item in its place.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) call: Option<String>,
    pub(super) item: Item,
    /// The item `output` after a command.
    pub(super) output: Option<Item>,
    pub(super) wait: Wait,
    pub(super) number: u64,
    pub(super) size: usize,
}

impl Slot {
    pub(super) fn new(call: Option<String>, item: Item, wait: Wait) -> Slot {
        Slot { call, item, output: None, wait, number: 0, size: 0 }
    }

    pub(super) fn measure(&mut self) -> usize {
        self.size = self.item.size() + self.output.as_ref().map_or(0, Item::size);
        self.size
    }
}

/// A message that only the model's copy has so far.
pub(super) struct Candidate {
    pub(super) text: String,
    pub(super) item: Item,
}

/// The end of a turn.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) status: Option<TurnStatus>,
    pub(super) at: Option<Timestamp>,
    pub(super) duration_ms: Option<i64>,
    pub(super) error: Option<TurnError>,
}

/// A turn that has not ended.
pub(super) struct Open {
    pub(super) place: Place,
    pub(super) serial: u64,
    pub(super) count: u64,
    pub(super) slots: VecDeque<Slot>,
    pub(super) held: usize,
    pub(super) started_at: Option<Timestamp>,
    pub(super) model: Option<String>,
    pub(super) tokens: Option<Tokens>,
    pub(super) answers: Vec<Answer>,
    /// Whether no line marks the start of the turn.
    pub(super) is_implicit: bool,
    /// Whether a review is in progress, whose lines are the reviewer's.
    pub(super) is_in_review: bool,
    pub(super) reviewer: Option<String>,
    pub(super) has_user: bool,
    pub(super) has_answer: bool,
    /// Whether the line of a compaction came, and its event did not yet.
    pub(super) is_compacted: bool,
    pub(super) prompt: Option<Candidate>,
    pub(super) reply: Option<Candidate>,
    /// Reasoning of which only the events came so far, one for each part.
    pub(super) thought: Option<Candidate>,
    pub(super) seen: VecDeque<(Role, String, bool)>,
    pub(super) end: Option<End>,
}

/// The items of a turn that were passed on.
pub(super) struct PassedOn {
    /// The number of items that were counted.
    pub(super) count: u64,
    /// The numbers of those that wait, and were not passed on.
    pub(super) waiting: Vec<u64>,
}

impl PassedOn {
    pub(super) fn has(&self, number: u64) -> bool {
        number <= self.count && !self.waiting.contains(&number)
    }
}

/// A turn that has ended.
pub(super) struct Closed {
    pub(super) serial: u64,
    pub(super) place: Place,
    pub(super) turn: Turn,
    pub(super) count: u64,
    /// Whether no line marked the end.
    pub(super) is_cut: bool,
}

/// What is known of the file that is being read.
#[derive(Default)]
pub(super) struct FileState {
    pub(super) counter: Counter,
    pub(super) judge: rollout::Turns,
    pub(super) model: Option<String>,
    /// Whether turns have a line that marks their start.
    pub(super) has_starts: bool,
    pub(super) metas: u64,
    pub(super) started_at: Option<Timestamp>,
    pub(super) id: Option<Id>,
    pub(super) is_copying: bool,
    /// Whether the session comes from another one, so that turns that are older than it are copies.
    pub(super) has_parent: bool,
    /// The first ordinal that was not copied, if the first line has it.
    pub(super) own_from: Option<u64>,
    pub(super) has_turns: bool,
    pub(super) goal: Option<(String, String)>,
    /// Whether commands have items.
    pub(super) has_command_items: bool,
}
