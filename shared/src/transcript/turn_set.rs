//! Turns by their serial numbers, of which the first one of a transcript has 0.

use std::ops::Range;

/// A set of turns, as ranges in ascending order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TurnSet(Vec<Range<u64>>);

impl TurnSet {
    /// Ranges of turns in any order. None of them overlap.
    pub(super) fn of(mut ranges: Vec<Range<u64>>) -> TurnSet {
        ranges.sort_unstable_by_key(|range| range.start);
        TurnSet(ranges)
    }

    /// Adds a turn that comes after all others.
    pub(super) fn push(&mut self, serial: u64) {
        match self.0.last_mut() {
            Some(last) if last.end == serial => last.end += 1,
            _ => self.0.push(serial..serial + 1),
        }
    }

    /// Removes the last turns that come one after the other, at most so many. `None` if there is no turn.
    pub(super) fn pop(&mut self, most: u64) -> Option<Range<u64>> {
        let last = self.0.last_mut()?;
        let end = last.end;
        last.end -= most.min(end - last.start);
        let popped = last.end..end;
        if last.is_empty() {
            self.0.pop();
        }
        Some(popped)
    }

    /// Whether the set has a turn.
    pub(super) fn has(&self, serial: u64) -> bool {
        let next = self.0.partition_point(|range| range.start <= serial);
        next.checked_sub(1).is_some_and(|last| self.0[last].contains(&serial))
    }

    /// Whether the set has a turn before this one.
    pub(super) fn has_before(&self, serial: u64) -> bool {
        self.0.first().is_some_and(|range| range.start < serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_taken_from_the_end() {
        let mut all = TurnSet::default();
        [0, 1, 2, 5, 6].into_iter().for_each(|serial| all.push(serial));
        assert_eq!((all.pop(1), all.pop(3)), (Some(6..7), Some(5..6)));
        assert_eq!((all.has(2), all.has(5), all.pop(2), all.has(1)), (true, false, Some(1..3), false));
        all.push(7);
        assert_eq!((all.pop(9), all.pop(9), all.pop(9)), (Some(7..8), Some(0..1), None));
    }

    #[test]
    fn a_set_is_searched_by_its_ranges() {
        let all = TurnSet::of(vec![7..9, 2..4, 4..5]);
        let has: Vec<u64> = (0..12).filter(|serial| all.has(*serial)).collect();
        assert_eq!(has, [2, 3, 4, 7, 8]);
        let before: Vec<bool> = (1..5).map(|serial| all.has_before(serial)).collect();
        assert_eq!(before, [false, false, true, true]);
        assert!(!TurnSet::default().has(0) && !TurnSet::default().has_before(9));
    }
}
