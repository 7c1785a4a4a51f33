//! Following running sessions by their rollouts.
//!
//! [`Watch::poll`] is called five to ten times a second and emits each new record once, in the order of its file, as soon
//! as its line is complete. A partial line is read again by the next poll; a burst is emitted in full by the poll that
//! finds it. A poll never sleeps or waits.
//!
//! The records are those of [`crate::transcript::Reader`], beside events of the session as a whole. From now on only
//! records of lines that are written later are emitted; of a transcript of more than 8 MiB only the end is read, so that
//! the numbers of its turns are null.
//!
//! A session is followed wherever Codex moves its file: archived and unarchived (both are events), compressed
//! and unpacked (no events), and in a further file after a revert. A session without a file is followed once it has
//! one. A deleted session is an event and no longer followed. Turns that a fork begins with are not emitted, unless the
//! session is followed from an address on. Of a file that shrank, or was replaced by another file, the turns that were not
//! emitted before are.
//!
//! The status of a session is that of `ls --status`: a turn that no process runs is interrupted, which is checked while a
//! turn is open and nothing is written.
//!
//! The cost is bounded by the number of records, not of sessions. A resting session is polled less
//! often, by one `stat`: every poll for ten seconds, then four times a second for a minute, then each
//! second, and after an hour every other second. At most 64 files are open, and only of sessions
//! that are active. Directories are examined once a second, and listed only after a change; the whole
//! home is walked only if a file is at none of the places to which Codex moves it, at most every other
//! second. Of up to 600 sessions each is polled at least every 150 ms.
//!
//! A file system that does not answer, such as that of a server that is gone, is reported after ten seconds, and waited
//! for: the files of a home are on one.
//!
//! ```
//! use codex_agent_shared::codex::home::Home;
//! use codex_agent_shared::watch::Watch;
//!
//! let directory = tempfile::tempdir().unwrap();
//! let mut watch = Watch::new(Home::find(Some(directory.path()))?);
//! watch.poll(&mut |record| {
//!     println!("{}", serde_json::to_string(record).unwrap());
//!     Ok(())
//! })?;
//! assert!(watch.is_empty(), "an empty home has no sessions");
//! # Ok::<(), codex_agent_shared::error::Error>(())
//! ```

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::codex::files::Files;
use crate::codex::holder::Holders;
use crate::codex::home::Home;
use crate::error::Result;
use crate::record::{Id, Status};
use crate::time::Timestamp;
use crate::transcript::{Record, SessionEvent, SessionEventKind};

mod followed;
mod places;
mod stall;

pub use followed::From;

use followed::Followed;
use places::WatchedDirectories;
use stall::StallObserver;

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
/// The shortest interval between looks at the processes that have sessions open.
const HOLDERS: Duration = Duration::from_secs(2);

/// The number of sessions up to which each is polled at least this often, and the interval.
const FEW: usize = 600;
const OFTEN: Duration = Duration::from_millis(150);

/// The receiver of records; an error ends the poll.
pub type Emit<'e> = &'e mut dyn FnMut(&Record) -> Result<()>;

/// The followed sessions, each with the position up to which it was read.
pub struct Watch {
    sessions: Vec<Followed>,
    /// The index of each session in `sessions`.
    places_of: HashMap<Id, usize>,
    tools: Tools,
    places: WatchedDirectories,
    walked: Option<Instant>,
    finds_new: bool,
}

/// The state that all sessions share.
struct Tools {
    home: Home,
    /// Lines of an earlier time are old, wherever they turn up.
    since: Timestamp,
    /// The files of the home when they were last walked, for the files that a session continues.
    files: Files,
    /// The sessions whose files are open, the least recently active first.
    open: Vec<Id>,
    holders: Holders,
    held_at: Option<Instant>,
    /// The number of warnings.
    warnings: usize,
    stalls: StallObserver,
}

impl Tools {
    /// Marks the file of a session as open. Returns the session whose file must be closed for it.
    fn keep_open(&mut self, id: Id) -> Option<Id> {
        self.forget_open(id);
        self.open.push(id);
        (self.open.len() > OPEN).then(|| self.open.remove(0))
    }

    /// Notes that the file of a session is closed.
    fn forget_open(&mut self, id: Id) {
        self.open.retain(|open| *open != id);
    }

    fn walk(&mut self) {
        self.files = self.stalls.during(self.home.path(), || Files::walk(self.home.path()));
    }

    /// Whether a process has the session open, as of at most two seconds ago; `None` if unknown.
    fn holds(&mut self, id: Id, rollout: &std::path::Path, now: Instant) -> Option<bool> {
        if self.held_at.is_none_or(|at| now.duration_since(at) >= HOLDERS) {
            (self.holders, self.held_at) = (Holders::default(), Some(now));
        }
        self.holders.holds(self.home.path(), id, rollout)
    }

    fn warn(&mut self, message: std::fmt::Arguments<'_>) {
        self.warnings += 1;
        crate::error::warn(message);
    }
}

impl Watch {
    /// Follows sessions of a home; at first none.
    pub fn new(home: Home) -> Watch {
        // Tolerance for a clock that was set back.
        let since = Timestamp(Timestamp::now().0 - 5000);
        let stalls = StallObserver::start();
        let files = stalls.during(home.path(), || Files::walk(home.path()));
        Watch {
            places: WatchedDirectories::new(home.path()),
            tools: Tools {
                since,
                files,
                home,
                open: Vec::new(),
                holders: Holders::default(),
                held_at: None,
                warnings: 0,
                stalls,
            },
            sessions: Vec::new(),
            places_of: HashMap::new(),
            walked: None,
            finds_new: false,
        }
    }

    /// Follows further sessions. Nothing is read yet; with [`From::Now`], lines written from now on are emitted.
    pub fn add(&mut self, ids: impl IntoIterator<Item = (Id, From)>) {
        let mut ids: Vec<(Id, From)> =
            ids.into_iter().filter(|(id, _)| !self.places_of.contains_key(id)).collect();
        ids.sort_by_key(|(id, _)| *id);
        ids.dedup_by_key(|(id, _)| *id);
        if ids.is_empty() {
            return;
        }
        if !self.sessions.is_empty() {
            self.tools.walk();
        }
        let Tools { files, stalls, home, .. } = &self.tools;
        for (at, (id, from)) in ids.into_iter().enumerate() {
            let session = stalls.during(home.path(), || Followed::new(id, files.live(id, None), from, at));
            self.places_of.insert(id, self.sessions.len());
            self.sessions.push(session);
        }
    }

    /// Follows sessions that turned up since the watch began, from their first lines on.
    pub fn add_new(&mut self, ids: impl IntoIterator<Item = Id>) {
        let ids: Vec<Id> = ids.into_iter().filter(|id| !self.places_of.contains_key(id)).collect();
        if ids.is_empty() {
            return;
        }
        self.tools.walk();
        for id in ids {
            self.places_of.insert(id, self.sessions.len());
            self.sessions.push(Followed::of_new(id, self.tools.files.live(id, None)));
        }
    }

    /// Returns sessions that are new in the home by [`Watch::new_sessions`].
    pub fn find_new(&mut self) {
        self.finds_new = true;
    }

    /// The sessions that turned up since the last call and are not followed.
    pub fn new_sessions(&mut self) -> Vec<Id> {
        let mut new = self.places.take_new();
        new.retain(|id| !self.places_of.contains_key(id));
        new
    }

    /// The sessions that are followed; those that were deleted are not.
    pub fn sessions(&self) -> impl Iterator<Item = Id> {
        self.sessions.iter().map(|session| session.id)
    }

    /// Whether no session is followed.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Reads the end of each session whose status is not known yet.
    pub fn read_statuses(&mut self) {
        let now = Instant::now();
        for session in &mut self.sessions {
            self.tools.stalls.begin(session.path().unwrap_or(self.tools.home.path()));
            session.read_status(&mut self.tools, now);
        }
        self.tools.stalls.end();
    }

    /// The sessions with their statuses; a session that has not changed since it is followed has none, unless
    /// [`Watch::read_statuses`] has read it.
    pub fn statuses(&self) -> impl Iterator<Item = (Id, Option<Status>)> {
        self.sessions.iter().map(|session| (session.id, session.status))
    }

    /// Emit all records since the last poll. A problem with a file is a warning; an error is from `emit`, and the
    /// record that it refused is not emitted again.
    pub fn poll(&mut self, emit: Emit<'_>) -> Result<()> {
        let stalls = self.tools.stalls.clone();
        // A reader of the records may wait, which is no stall.
        let polled = self.poll_all(&mut |record| stalls.pause(|| emit(record)));
        stalls.end();
        polled
    }

    fn poll_all(&mut self, emit: Emit<'_>) -> Result<()> {
        let now = Instant::now();
        if self.places.is_due(now) {
            self.tools.stalls.begin(self.tools.home.path());
            self.scan_directories(now);
        }
        for at in 0..self.sessions.len() {
            let session = &mut self.sessions[at];
            if session.next_look > now {
                continue;
            }
            if let Some(path) = session.path() {
                self.tools.stalls.begin(path);
            }
            let polled = session.poll(&mut self.tools, now, emit);
            let surplus = match session.is_open() {
                true if session.is_active() => self.tools.keep_open(session.id),
                true => {
                    session.close();
                    self.tools.forget_open(session.id);
                    None
                }
                false => None,
            };
            if let Some(at) = surplus.and_then(|id| self.places_of.get(&id)) {
                self.sessions[*at].close();
            }
            polled?;
        }
        if self.sessions.len() <= FEW {
            let often = now + OFTEN;
            self.sessions.iter_mut().for_each(|session| session.next_look = session.next_look.min(often));
        }
        let is_gone = |session: &Followed| session.gone.is_some_and(|gone| now.duration_since(gone) >= GONE);
        let may_walk = self.walked.is_none_or(|walked| now.duration_since(walked) >= WALK);
        if may_walk && self.sessions.iter().any(is_gone) && self.tools.home.exists() {
            self.walked = Some(now);
            self.find_gone(&is_gone, emit)?;
        }
        Ok(())
    }

    /// Find new files: of sessions that had none, and further files of reverted ones.
    fn scan_directories(&mut self, now: Instant) {
        for session in &self.sessions {
            self.places.add(session.id, session.file.as_ref().map(|file| file.path.as_path()));
        }
        let ids = &self.places_of;
        for file in self.places.changed(now, |id| ids.contains_key(&id), self.finds_new) {
            self.sessions[ids[&file.id]].add_file(file, now);
        }
    }

    /// Walk the home for sessions whose file is gone, and drop those that were deleted.
    fn find_gone(&mut self, is_gone: &dyn Fn(&Followed) -> bool, emit: Emit<'_>) -> Result<()> {
        self.tools.walk();
        let now = Instant::now();
        let mut deleted = Vec::new();
        for session in self.sessions.iter_mut().filter(|session| is_gone(session)) {
            for file in self.tools.files.of_session(session.id) {
                session.add_file(file.clone(), now);
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
        self.tools.open.retain(|id| !deleted.contains(id));
        for session in deleted {
            let what = SessionEventKind::Deleted;
            emit(&Record::Event(SessionEvent { session, at: Some(Timestamp::now()), what }))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Tests write and move what Codex would.
mod tests;
