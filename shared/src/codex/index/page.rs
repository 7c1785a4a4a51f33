//! The part of a listing that is wanted: skips the first sessions, passes the next ones on, is full.
//!
//! A session is passed on only in exchange for a [`Slot`], and a full page has none. So a page cannot
//! give more than its limit, whatever its callers do with its answer.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::error::Result;
use crate::query::{Filter, Query};
use crate::record::{Id, Session};

/// Room for at least one more session.
#[derive(Clone, Copy)]
enum Slot {
    Unlimited,
    Left(NonZeroUsize),
}

impl Slot {
    fn first(limit: Option<usize>) -> Option<Slot> {
        match limit {
            None => Some(Slot::Unlimited),
            Some(limit) => NonZeroUsize::new(limit).map(Slot::Left),
        }
    }

    /// The place after this one is taken.
    fn next(self) -> Option<Slot> {
        match self {
            Slot::Unlimited => Some(Slot::Unlimited),
            Slot::Left(left) => NonZeroUsize::new(left.get() - 1).map(Slot::Left),
        }
    }
}

/// A page that is being filled.
pub(super) struct Page<'e> {
    offset: usize,
    skip: usize,
    place: Option<Slot>,
    given: usize,
    /// Ids that were offered since the last [`Page::restart`].
    offered: Vec<Id>,
    /// Ids that were offered before it, sorted.
    before: Vec<Id>,
    filter: &'e Filter,
    emit_failed: bool,
    emit: &'e mut dyn FnMut(&Session<'_>) -> Result<()>,
}

impl<'e> Page<'e> {
    pub(super) fn new(query: &'e Query, emit: &'e mut dyn FnMut(&Session<'_>) -> Result<()>) -> Page<'e> {
        Page {
            offset: query.offset,
            skip: query.offset,
            place: Slot::first(query.limit),
            given: 0,
            offered: Vec::new(),
            before: Vec::new(),
            filter: &query.filter,
            emit_failed: false,
            emit,
        }
    }

    /// How many sessions were passed on.
    pub(super) fn given(&self) -> usize {
        self.given
    }

    /// Whether the last error came from the receiver of the sessions, and not from a source.
    pub(super) fn emit_failed(&self) -> bool {
        self.emit_failed
    }

    /// How many sessions fill this page at the most, offered from the beginning; `None` where the
    /// number is not known before each is judged.
    pub(super) fn wanted(&self) -> Option<usize> {
        match self.place {
            None => Some(0),
            Some(Slot::Left(left)) if self.filter.status.is_empty() => {
                Some(left.get().saturating_add(self.skip).saturating_add(self.before.len()))
            }
            Some(_) => None,
        }
    }

    /// Breaks where the page is full.
    pub(super) fn flow(&self) -> ControlFlow<()> {
        if self.place.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Passes a session on, unless the page is full, the session is skipped, or is not in the state that
    /// the filter wants.
    pub(super) fn offer(&mut self, session: &Session<'_>) -> Result<ControlFlow<()>> {
        let Some(place) = self.place else { return Ok(self.flow()) };
        if session.id.is_some_and(|id| self.before.binary_search(&id).is_ok()) {
            return Ok(self.flow());
        }
        self.offered.extend(session.id);
        if self.filter.rejects_status(session) {
            return Ok(self.flow());
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(self.flow());
        }
        let emitted = (self.emit)(session);
        self.emit_failed = emitted.is_err();
        emitted?;
        self.given += 1;
        self.place = place.next();
        Ok(self.flow())
    }

    /// A source failed in the middle, and another one begins anew: where something was given already, the
    /// sessions that were offered are not offered a second time.
    pub(super) fn restart(&mut self) {
        if self.given == 0 {
            self.skip = self.offset;
            self.offered.clear();
        } else {
            self.before.append(&mut self.offered);
            self.before.sort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_page_gives_no_more_whatever_is_offered() {
        for limit in 0..4 {
            for offset in 0..4 {
                let query = Query { limit: Some(limit), offset, ..Query::default() };
                let mut emitted = 0;
                let mut emit = |_: &Session<'_>| {
                    emitted += 1;
                    Ok(())
                };
                let mut page = Page::new(&query, &mut emit);
                assert_eq!(page.wanted(), Some(if limit == 0 { 0 } else { limit + offset }));
                for n in 1..10 {
                    let full = page.offer(&Session::default()).unwrap().is_break();
                    assert_eq!(full, limit == 0 || n >= limit + offset, "{limit} {offset} {n}");
                }
                assert_eq!(page.given(), limit);
                assert_eq!(emitted, limit);
            }
        }
    }
}
