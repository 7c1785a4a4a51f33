//! The records of a followed transcript that were passed on before its files were found again.

use std::collections::HashMap;

use super::event::SessionEventKind;
use super::machine::clock;
use super::record::{Record, Turn};
use super::state::PassedOn;
use crate::time::Timestamp;

/// The turns that a reader that began anew has passed on before.
pub(super) struct Before {
    turns: HashMap<String, (Turn, PassedOn)>,
    /// The number of the oldest turn that is known, and of the newest; `None` if turns had no numbers.
    numbers: Option<(u64, u64)>,
    /// The time of the newest turn that is known.
    newest: Option<Timestamp>,
    /// The time of the oldest turn that was read anew.
    oldest_read: Option<Timestamp>,
    /// Whether the transcript is read anew from its beginning.
    is_whole: bool,
    /// Whether the session continues in a further file.
    is_reverted: bool,
}

impl Before {
    /// The turns that were passed on, beside those of an earlier time.
    pub(super) fn new(
        earlier: Option<Before>,
        passed_on: Vec<(Turn, PassedOn)>,
        is_whole: bool,
        is_reverted: bool,
    ) -> Before {
        let numbers = passed_on.iter().map(|(turn, _)| turn.turn);
        let is_numbered = numbers.clone().all(|number| number.is_some());
        let numbers = (numbers.clone().flatten().min().unwrap_or(0), numbers.flatten().max().unwrap_or(0));
        let mut turns = earlier.map(|before| before.turns).unwrap_or_default();
        for (turn, items) in passed_on {
            if let Some(id) = turn.turn_id.clone() {
                turns.insert(id, (turn, items));
            }
        }
        let newest = turns.keys().filter_map(|id| clock(Some(id))).max();
        Before {
            turns,
            numbers: is_numbered.then_some(numbers),
            newest,
            oldest_read: None,
            is_whole,
            is_reverted,
        }
    }

    /// Whether a record was not passed on before. `is_of_last` is whether its line is in the last file.
    pub(super) fn is_new(&mut self, record: &Record, is_of_last: bool) -> bool {
        if self.is_reverted && is_of_last && !self.is_known(record) {
            return true;
        }
        let (turn_id, number) = match record {
            Record::Item(item) => (item.turn_id.as_deref(), item.turn),
            Record::Turn(turn) => (turn.turn_id.as_deref(), turn.turn),
            Record::Event(event) => match &event.what {
                SessionEventKind::TurnStarted { turn: Some(id), .. } => {
                    return !self.turns.contains_key(id) && self.is_younger(id);
                }
                // A rollback that was read anew shows in the turns.
                _ => return false,
            },
        };
        let at = clock(turn_id);
        self.oldest_read = self.oldest_read.or(at);
        let known = turn_id.and_then(|id| self.turns.get(id));
        match (known, record) {
            (Some((_, items)), Record::Item(item)) => item.item.is_some_and(|number| !items.has(number)),
            (Some((before, _)), Record::Turn(turn)) => {
                let status = before.status;
                turn_id.and_then(|id| self.turns.remove(id));
                status.is_none() || status != turn.status || turn.undone
            }
            _ => match (self.numbers.filter(|_| self.is_whole), turn_id) {
                // Without an id, and among the oldest, the numbers count.
                (Some((_, newest)), None) => number.is_none_or(|number| number > newest),
                (Some((oldest, _)), Some(_)) => number.is_none_or(|number| number >= oldest),
                (None, Some(id)) => self.is_younger(id),
                (None, None) => false,
            },
        }
    }

    /// Whether the turn of a record was passed on before.
    fn is_known(&self, record: &Record) -> bool {
        let id = match record {
            Record::Item(item) => &item.turn_id,
            Record::Turn(turn) => &turn.turn_id,
            Record::Event(_) => return false,
        };
        id.as_ref().is_some_and(|id| self.turns.contains_key(id))
    }

    fn is_younger(&self, id: &str) -> bool {
        clock(Some(id)).is_some_and(|at| self.newest.is_none_or(|newest| at > newest))
    }

    /// The turns that were not read anew: a revert has left them behind. `open` is the turn that is open.
    pub(super) fn left_behind(self, open: Option<&str>) -> Vec<Turn> {
        if !self.is_reverted {
            return Vec::new();
        }
        let is_read = |id: &str| {
            self.is_whole || clock(Some(id)).zip(self.oldest_read).is_some_and(|(at, oldest)| at >= oldest)
        };
        let left = self.turns.iter().filter(|(id, _)| open != Some(id.as_str()) && is_read(id));
        let mut left: Vec<Turn> = left.map(|(_, (turn, _))| turn.clone()).collect();
        left.sort_by_key(|turn| (turn.turn, turn.started_at));
        left
    }
}
