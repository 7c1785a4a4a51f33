//! The turns and items that the flags choose.

use std::fmt;

use codex_agent_shared::cli::Value;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::transcript::{Item, Record, Role};

/// A range of the numbers of turns, with its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    first: u64,
    last: u64,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (first, last) if first == last => write!(f, "{first}"),
            (first, u64::MAX) => write!(f, "{first}-"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

/// Parses `3`, `3-5`, `3-` and `-3`, and several of them with commas.
pub(super) fn parse_turns(value: Value) -> Result<Vec<Range>> {
    ranges(&value.text()?)
}

fn ranges(text: &str) -> Result<Vec<Range>> {
    let number = |part: &str| part.parse::<u64>().ok().filter(|number| *number > 0);
    let range = |part: &str| {
        let (first, last) = match part.split_once('-') {
            None => (number(part)?, number(part)?),
            Some(("", "")) => return None,
            Some((first, "")) => (number(first)?, u64::MAX),
            Some(("", last)) => (1, number(last)?),
            Some((first, last)) => (number(first)?, number(last)?),
        };
        (first <= last).then_some(Range { first, last })
    };
    text.split(',').map(|part| range(part.trim())).collect::<Option<_>>().ok_or_else(|| {
        Error::usage(format!("invalid value '{text}': expected numbers of turns such as 3, 3-5, 3- or -3"))
    })
}

/// Parses roles with commas between them.
pub(super) fn parse_roles(value: Value) -> Result<Vec<Role>> {
    Role::parse_list(&value.text()?)
}

/// The turns and items that are shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// The turns; empty for all.
    pub(super) turns: Vec<Range>,
    /// The id of a single turn.
    pub(super) turn_id: Option<String>,
    /// The number of a single item in the turn.
    pub(super) item: Option<u64>,
    /// The roles; empty for all.
    pub(super) roles: Vec<Role>,
}

impl Choice {
    /// The turn that an address names: by its number, or by Codex's id.
    pub(super) fn of_turn(&self, turn: &str) -> Choice {
        match turn.parse() {
            Ok(number) => Choice { turns: vec![Range { first: number, last: number }], ..self.clone() },
            Err(_) => Choice { turn_id: Some(turn.to_owned()), ..self.clone() },
        }
    }

    /// Whether some turns are left out.
    pub(super) fn is_part(&self) -> bool {
        !self.turns.is_empty() || self.turn_id.is_some()
    }

    pub(super) fn has_turn(&self, number: Option<u64>, id: Option<&str>) -> bool {
        match &self.turn_id {
            Some(wanted) => id.is_some_and(|id| id.eq_ignore_ascii_case(wanted)),
            None if self.turns.is_empty() => true,
            None => number
                .is_some_and(|number| self.turns.iter().any(|one| (one.first..=one.last).contains(&number))),
        }
    }

    pub(super) fn has_item(&self, item: &Item) -> bool {
        self.roles.is_empty() || self.roles.contains(&item.role)
    }

    pub(super) fn has(&self, record: &Record) -> bool {
        match record {
            Record::Item(item) => {
                self.has_turn(item.turn, item.turn_id.as_deref())
                    && self.has_item(item)
                    && self.item.is_none_or(|number| item.item == Some(number))
            }
            // The turn of a single item has other items too.
            Record::Turn(turn) => self.item.is_none() && self.has_turn(turn.turn, turn.turn_id.as_deref()),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_turns() {
        let parse = ranges;
        let range = |first, last| Range { first, last };
        assert_eq!(parse("3").unwrap(), [range(3, 3)]);
        assert_eq!(parse("-2, 4-5,7-").unwrap(), [range(1, 2), range(4, 5), range(7, u64::MAX)]);
        for text in ["", "0", "-", "5-4", "a", "1-2-3", "1,,2", "-0"] {
            assert!(parse(text).is_err(), "{text}");
        }
        let choice = Choice { turns: parse("2,4-5").unwrap(), ..Choice::default() };
        let has: Vec<u64> = (1..8).filter(|number| choice.has_turn(Some(*number), None)).collect();
        assert_eq!(has, [2, 4, 5]);
        assert!(!choice.has_turn(None, None));
    }
}
