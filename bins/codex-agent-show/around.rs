//! The items around one.

use std::collections::VecDeque;

use codex_agent_shared::error::Result;
use codex_agent_shared::transcript::{Item, Record};

use super::choice::Choice;

/// Passes on the items before and after one.
pub(super) struct Around {
    /// The turn of the item.
    turn: Choice,
    /// The number of the item; `None` for all items of the turn.
    item: Option<u64>,
    context: usize,
    before: VecDeque<Item>,
    /// The number of items that are still to be passed on; `None` before the item.
    after: Option<usize>,
}

impl Around {
    pub(super) fn new(turn: Choice, item: Option<u64>, context: usize) -> Around {
        Around { turn, item, context, before: VecDeque::new(), after: None }
    }

    /// Passes a record on if it is near enough.
    pub(super) fn add(
        &mut self,
        record: Record,
        choice: &Choice,
        take: &mut dyn FnMut(Record) -> Result<()>,
    ) -> Result<()> {
        let item = match record {
            Record::Item(item) if choice.has_item(&item) => item,
            Record::Turn(_) if self.after.is_some() => return take(record),
            _ => return Ok(()),
        };
        let is_it = self.turn.has_turn(item.turn, item.turn_id.as_deref())
            && self.item.is_none_or(|number| item.item == Some(number));
        if is_it {
            for before in self.before.drain(..) {
                take(Record::Item(before))?;
            }
            self.after = Some(self.context);
            return take(Record::Item(item));
        }
        match &mut self.after {
            Some(0) => Ok(()),
            Some(left) => {
                *left -= 1;
                take(Record::Item(item))
            }
            None => {
                self.before.push_back(item);
                if self.before.len() > self.context {
                    self.before.pop_front();
                }
                Ok(())
            }
        }
    }

    /// Whether all items were passed on.
    pub(super) fn is_over(&self) -> bool {
        self.after == Some(0) && self.item.is_some()
    }

    pub(super) fn is_found(&self) -> bool {
        self.after.is_some()
    }
}
