//! Following running sessions by their rollouts.
//!
//! [`Watch::poll`] is called five to ten times a second and emits each new event once, in the
//! order of its file, as soon as its line is complete. A partial line is read again by the next poll; a burst is
//! emitted in full by the poll that finds it. A poll never sleeps or waits.
//!
//! A session is followed wherever Codex moves its file: archived and unarchived (both are events), compressed
//! and unpacked (no events), and in a further file after a revert. A session without a file is followed once it has
//! one. A deleted session is an event and no longer followed. Lines that a fork copied from its parent are not
//! emitted with [`From::End`]. A file that shrank, or was replaced by another file, is
//! followed from its new end, with one warning.
//!
//! The cost is bounded by the number of events, not of sessions. A resting session is polled less
//! often, by one `stat`: every poll for ten seconds, then four times a second for a minute, then each
//! second, and after an hour every other second. At most 64 files are open, and only of sessions
//! that are active. Directories are examined once a second, and listed only after a change; the whole
//! home is walked only if a file is at none of the places to which Codex moves it, at most every other
//! second. A line over 4 MiB is read in blocks, and only its beginning is parsed.

use std::collections::HashMap;
use std::fs::File;
use std::time::{Duration, Instant};

use super::files::Files;
use super::home::Home;
use crate::error::Result;
use crate::record::Id;
use crate::time::Timestamp;

mod places;
mod session_event;
mod session_tail;

pub use session_event::{Role, SessionEvent, SessionEventKind, TurnFailure};

use places::WatchedDirectories;
use session_tail::SessionTail;

/// The greatest number of open files.
const OPEN: usize = 64;
/// The time after which a session rests: its file is closed, and polled less often.
const RESTING: Duration = Duration::from_secs(10);
/// The interval between scans of directories.
const DIRECTORIES: Duration = Duration::from_secs(1);
/// The shortest interval between walks of the whole home.
const WALK: Duration = Duration::from_secs(2);
/// The time after which a missing file counts as deleted. Codex replaces files by others.
const GONE: Duration = Duration::from_secs(1);

/// The point from which sessions are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// From now on.
    End,
    /// From the first line of each session.
    Start,
}

/// The receiver of events; an error ends the poll.
pub type Emit<'e> = &'e mut dyn FnMut(&SessionEvent) -> Result<()>;

/// The followed sessions, each with the position up to which it was read.
pub struct Watch {
    home: Home,
    from: From,
    sessions: Vec<SessionTail>,
    /// The index of each session in `sessions`.
    places_of: HashMap<Id, usize>,
    tools: Tools,
    places: WatchedDirectories,
    walked: Option<Instant>,
}

/// The state that all sessions share.
struct Tools {
    /// Lines of an earlier time are old, wherever they turn up.
    since: Timestamp,
    buffer: Vec<u8>,
    /// The files that are open, the least recently active first.
    open: Vec<(Id, File, Instant)>,
    /// The number of warnings.
    warnings: usize,
}

impl Tools {
    /// Remove and return the open file of a session; [`Tools::keep_file`] stores it again.
    fn take_file(&mut self, id: Id) -> Option<File> {
        let at = self.open.iter().position(|(open, ..)| *open == id)?;
        Some(self.open.remove(at).1)
    }

    fn keep_file(&mut self, id: Id, file: File, now: Instant) {
        if self.open.len() >= OPEN {
            self.open.remove(0);
        }
        self.open.push((id, file, now));
    }

    fn warn(&mut self, message: std::fmt::Arguments<'_>) {
        self.warnings += 1;
        crate::error::warn(message);
    }
}

impl Watch {
    /// Follows these sessions of a home. Nothing is read yet; lines written from now on are events.
    pub fn new(home: Home, ids: impl IntoIterator<Item = Id>, from: From) -> Watch {
        // Tolerance for a clock that was set back.
        let since = Timestamp(Timestamp::now().0 - 5000);
        let mut watch = Watch {
            places: WatchedDirectories::new(home.path()),
            home,
            from,
            sessions: Vec::new(),
            places_of: HashMap::new(),
            tools: Tools { since, buffer: Vec::new(), open: Vec::new(), warnings: 0 },
            walked: None,
        };
        watch.add(ids);
        watch
    }

    /// Follows further sessions, from the end or the start as the others.
    pub fn add(&mut self, ids: impl IntoIterator<Item = Id>) {
        let mut ids: Vec<Id> = ids.into_iter().filter(|id| !self.places_of.contains_key(id)).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return;
        }
        let files = Files::walk(self.home.path());
        for (at, id) in ids.into_iter().enumerate() {
            let session = SessionTail::new(id, &files, self.from, self.tools.since, at);
            self.places_of.insert(id, self.sessions.len());
            self.sessions.push(session);
        }
    }

    /// The sessions that are followed; those that were deleted are not.
    pub fn sessions(&self) -> impl Iterator<Item = Id> {
        self.sessions.iter().map(|session| session.id)
    }

    /// Whether no session is followed.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Emit all events since the last poll. A problem with a file is a warning; an error is from `emit`, and the
    /// event that it refused is not emitted again.
    pub fn poll(&mut self, emit: Emit<'_>) -> Result<()> {
        let now = Instant::now();
        if self.places.is_due(now) {
            self.scan_directories(now);
            self.tools.open.retain(|(.., used)| now.duration_since(*used) < RESTING);
        }
        for session in &mut self.sessions {
            if session.next_look <= now {
                session.poll(&mut self.tools, now, emit)?;
            }
        }
        let is_gone =
            |session: &SessionTail| session.gone.is_some_and(|gone| now.duration_since(gone) >= GONE);
        let may_walk = self.walked.is_none_or(|walked| now.duration_since(walked) >= WALK);
        if may_walk && self.sessions.iter().any(is_gone) && self.home.exists() {
            self.walked = Some(now);
            self.find_gone(&is_gone, emit)?;
        }
        Ok(())
    }

    /// Find new files: of sessions that had none, and further files of reverted ones.
    fn scan_directories(&mut self, now: Instant) {
        for session in &self.sessions {
            self.places.add(session.id, session.current().map(|file| file.path.as_path()));
        }
        let ids = &self.places_of;
        for file in self.places.changed(now, |id| ids.contains_key(&id)) {
            self.sessions[ids[&file.id]].add_file(file, self.from, now);
        }
    }

    /// Walk the home for sessions whose file is gone, and drop those that were deleted.
    fn find_gone(&mut self, is_gone: &dyn Fn(&SessionTail) -> bool, emit: Emit<'_>) -> Result<()> {
        let files = Files::walk(self.home.path());
        let now = Instant::now();
        let mut deleted = Vec::new();
        for session in self.sessions.iter_mut().filter(|session| is_gone(session)) {
            for file in files.of_session(session.id) {
                session.add_file(file.clone(), self.from, now);
            }
            if session.gone.is_some() {
                deleted.push(session.id);
            }
        }
        if deleted.is_empty() {
            return Ok(());
        }
        self.sessions.retain(|session| session.gone.is_none() || !is_gone(session));
        self.places_of = self.sessions.iter().enumerate().map(|(at, session)| (session.id, at)).collect();
        for session in deleted {
            self.tools.take_file(session);
            emit(&SessionEvent { session, at: Some(Timestamp::now()), what: SessionEventKind::Deleted })?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Tests write and move what Codex would.
mod tests;
