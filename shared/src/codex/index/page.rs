//! The page of a listing: skips the first sessions, emits the next ones, and is full at its limit.

use std::ops::ControlFlow;

use crate::error::Result;
use crate::query::Query;
use crate::record::{Id, Session};

/// A page that is being filled.
pub(super) struct Page<'e> {
    query: &'e Query,
    skip: usize,
    /// How many more sessions the page accepts.
    left: usize,
    given: usize,
    /// The ids that were offered since the last [`Page::restart`].
    offered: Vec<Id>,
    /// The ids that were offered before it, sorted.
    before: Vec<Id>,
    emit_failed: bool,
    emit: &'e mut dyn FnMut(&Session<'_>) -> Result<bool>,
}

impl<'e> Page<'e> {
    pub(super) fn new(query: &'e Query, emit: &'e mut dyn FnMut(&Session<'_>) -> Result<bool>) -> Page<'e> {
        Page {
            query,
            skip: query.offset,
            left: query.limit.unwrap_or(usize::MAX),
            given: 0,
            offered: Vec::new(),
            before: Vec::new(),
            emit_failed: false,
            emit,
        }
    }

    /// The number of sessions that were emitted.
    pub(super) fn given(&self) -> usize {
        self.given
    }

    /// Whether the last error came from the receiver of the sessions, and not from a source.
    pub(super) fn emit_failed(&self) -> bool {
        self.emit_failed
    }

    /// The greatest number of sessions that fill the page, counted from the first session of the listing; `None` if the
    /// number is unknown before each session is judged.
    pub(super) fn wanted(&self) -> Option<usize> {
        match self.left {
            0 => Some(0),
            _ if self.query.limit.is_none() || !self.query.filter.status.is_empty() => None,
            left => Some(left.saturating_add(self.skip).saturating_add(self.before.len())),
        }
    }

    /// Breaks if the page is full.
    pub(super) fn flow(&self) -> ControlFlow<()> {
        if self.left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Emit a session, unless the page is full, the session is skipped, or its status is not that of the query.
    pub(super) fn offer(&mut self, session: &Session<'_>) -> Result<ControlFlow<()>> {
        let is_known = session.id.is_some_and(|id| self.before.binary_search(&id).is_ok());
        if self.left == 0 || is_known {
            return Ok(self.flow());
        }
        self.offered.extend(session.id);
        if self.query.filter.rejects_status(session) {
            return Ok(self.flow());
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(self.flow());
        }
        let emitted = (self.emit)(session);
        self.emit_failed = emitted.is_err();
        let goes_on = emitted?;
        self.given += 1;
        self.left = if goes_on { self.left - 1 } else { 0 };
        Ok(self.flow())
    }

    /// Prepare for another source, which offers all sessions again: if sessions were emitted, those that were offered are
    /// skipped.
    pub(super) fn restart(&mut self) {
        if self.given == 0 {
            self.skip = self.query.offset;
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
    fn a_full_page_emits_no_further_session() {
        for limit in 0..4 {
            for offset in 0..4 {
                let query = Query { limit: Some(limit), offset, ..Query::default() };
                let mut emitted = 0;
                let mut emit = |_: &Session<'_>| {
                    emitted += 1;
                    Ok(true)
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

    #[test]
    fn a_page_is_full_if_its_receiver_has_enough() {
        let query = Query::default();
        let mut emitted = 0;
        let mut emit = |_: &Session<'_>| {
            emitted += 1;
            Ok(emitted < 2)
        };
        let mut page = Page::new(&query, &mut emit);
        let flows: Vec<bool> = (0..3).map(|_| page.offer(&Session::default()).unwrap().is_break()).collect();
        assert_eq!((flows, page.given(), emitted), (vec![false, true, true], 2, 2));
    }
}
