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
    /// The turns of which items were passed on, and whose own records were not.
    open: Vec<(Option<u64>, Option<String>)>,
    is_over: bool,
}

impl Around {
    pub(super) fn new(turn: Choice, item: Option<u64>, context: usize) -> Around {
        Around { turn, item, context, before: VecDeque::new(), after: None, open: Vec::new(), is_over: false }
    }

    /// Passes a record on if it is near enough.
    pub(super) fn add(
        &mut self,
        record: Record,
        choice: &Choice,
        take: &mut dyn FnMut(Record) -> Result<()>,
    ) -> Result<()> {
        let item = match record {
            Record::Item(item) => item,
            Record::Turn(turn) => {
                let key = (turn.turn, turn.turn_id.clone());
                let is_open = self.open.contains(&key);
                self.open.retain(|open| *open != key);
                self.is_over |= self.after == Some(0) && self.open.is_empty();
                return if is_open { take(Record::Turn(turn)) } else { Ok(()) };
            }
            _ => return Ok(()),
        };
        let is_it = self.turn.has_turn(item.turn, item.turn_id.as_deref())
            && self.item.is_none_or(|number| item.item == Some(number));
        // The item itself is passed on whatever its role is.
        if !choice.has_item(&item) && (!is_it || self.item.is_none()) {
            return Ok(());
        }
        if is_it {
            for before in std::mem::take(&mut self.before) {
                self.pass(before, take)?;
            }
            self.after = Some(self.context);
            return self.pass(item, take);
        }
        match &mut self.after {
            Some(0) => {
                self.is_over |= self.open.is_empty();
                Ok(())
            }
            Some(left) => {
                *left -= 1;
                self.pass(item, take)
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

    fn pass(&mut self, item: Item, take: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
        let key = (item.turn, item.turn_id.clone());
        if !item.late && !self.open.contains(&key) {
            self.open.push(key);
        }
        take(Record::Item(item))
    }

    /// Whether all items were passed on.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn is_found(&self) -> bool {
        self.after.is_some()
    }
}
