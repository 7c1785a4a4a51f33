//! A followed session: its files, and the transcript as far as it was read.

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::{Emit, RESTING, Tools};
use crate::codex::files::RolloutFile;
use crate::codex::reader::find_moved;
use crate::error::{Error, Result, reason};
use crate::record::{Id, Status};
use crate::time::Timestamp;
use crate::transcript::{
    Beginning, Item, Options, Problem, Reader, Record, SessionEvent, SessionEventKind, key,
};

/// The time without a new line after which the process of an open turn is checked, and the interval of further checks.
const QUIET: Duration = Duration::from_secs(1);
const CHECKS: Duration = Duration::from_secs(5);

/// The point from which a session is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// From now on.
    Now,
    /// From the last turns on, as many as this.
    Last(u64),
    /// From a turn on, by its number or by Codex's id, or from an item of the turn on.
    Address {
        /// The turn.
        turn: String,
        /// The number of the item.
        item: Option<u64>,
    },
    /// From the first line on.
    Start,
}

/// The greatest number of bytes of one session that a poll reads, so that other sessions are not delayed.
const MOST: u64 = 4 << 20;

/// The reason why a poll of a session ends early.
enum Failure {
    /// The file cannot be read.
    File(io::Error),
    /// The receiver of records has failed.
    Emit(Error),
}

type Read<T = ()> = std::result::Result<T, Failure>;

impl std::convert::From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::File(error)
    }
}

pub(super) struct Followed {
    pub(super) id: Id,
    /// The file that is read; `None` for a session that has none yet.
    pub(super) file: Option<RolloutFile>,
    /// The file in which the session continues after a revert.
    further: Option<RolloutFile>,
    from: From,
    reader: Option<Box<Reader>>,
    /// The file as it was read last, and its length.
    known: Option<(u64, u64)>,
    length: u64,
    /// Whether the last poll found the file among archived ones.
    archived: bool,
    /// Whether records that are older than the watch are skipped: the position at its beginning is unknown.
    is_young_only: bool,
    pub(super) status: Option<Status>,
    /// Whether no process runs the turn that is open.
    is_dead: bool,
    checked: Option<Instant>,
    changed: SystemTime,
    pub(super) next_look: Instant,
    pub(super) gone: Option<Instant>,
    has_warned: bool,
}

impl Followed {
    pub(super) fn new(id: Id, file: Option<&RolloutFile>, from: From, number: usize) -> Followed {
        let now = Instant::now();
        let mut session = Followed {
            id,
            file: file.cloned(),
            further: None,
            reader: None,
            known: None,
            length: 0,
            archived: file.is_some_and(|file| file.archived),
            is_young_only: file.is_none() && from == From::Now,
            status: None,
            is_dead: false,
            checked: None,
            changed: SystemTime::now(),
            next_look: now,
            gone: None,
            has_warned: false,
            from,
        };
        if let Some(file) = file
            && let Ok(meta) = std::fs::metadata(&file.path)
        {
            session.changed = meta.modified().unwrap_or(session.changed);
            if session.from == From::Now {
                session.remember_file(&meta);
                // The contents of a compressed file are known only after it was read.
                session.is_young_only = file.name().compressed;
                // The polls of resting sessions are spread over time.
                session.next_look = now + session.interval() * (number as u32 % 16) / 16;
            } else {
                session.length = meta.len();
            }
        }
        session
    }

    /// A session that turned up since the watch began.
    pub(super) fn of_new(id: Id, file: Option<&RolloutFile>) -> Followed {
        let mut session = Followed::new(id, None, From::Now, 0);
        if let Some(file) = file {
            session.add_file(file.clone(), Instant::now());
        }
        session
    }

    /// The file that is read.
    pub(super) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    fn remember_file(&mut self, meta: &Metadata) {
        self.known = Some(key(meta));
        self.length = meta.len();
    }

    /// The time until the next poll of this session.
    fn interval(&self) -> Duration {
        let rest = self.changed.elapsed().unwrap_or_default();
        match rest.as_secs() {
            _ if rest < RESTING => Duration::ZERO,
            0..60 => Duration::from_millis(250),
            60..3600 => Duration::from_secs(1),
            _ => Duration::from_secs(2),
        }
    }

    /// Whether the file was changed lately.
    pub(super) fn is_active(&self) -> bool {
        self.changed.elapsed().unwrap_or_default() < RESTING
    }

    /// Whether the file is open.
    pub(super) fn is_open(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.is_open())
    }

    pub(super) fn close(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.close();
        }
    }

    /// Adds a file that was found, if it is a new one.
    pub(super) fn add_file(&mut self, file: RolloutFile, now: Instant) {
        let Some(own) = &mut self.file else {
            self.archived = file.archived;
            self.file = Some(file);
            self.next_look = now;
            return;
        };
        let last = self.further.as_ref().unwrap_or(own);
        if part(&file) > part(last) {
            self.further = Some(file);
            self.next_look = now;
        } else if self.gone.is_some() && part(&file) == part(own) {
            *own = file;
            self.gone = None;
            self.next_look = now;
        }
    }

    /// Reads the end of the session for its status.
    pub(super) fn read_status(&mut self, tools: &mut Tools, now: Instant) {
        if self.status.is_some() || self.from != From::Now {
            return;
        }
        match self.open(tools) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.warn(tools, &error),
        }
        let Some(reader) = &mut self.reader else { return };
        self.status = Some(reader.status());
        reader.close();
        if self.changed.elapsed().unwrap_or_default() >= QUIET {
            self.check_process(tools, now);
            if self.is_dead {
                self.status = Some(Status::Interrupted);
            }
        }
    }

    /// Emits new records.
    pub(super) fn poll(&mut self, tools: &mut Tools, now: Instant, emit: Emit<'_>) -> Result<()> {
        if self.file.is_some() {
            self.poll_file(tools, now, emit)?;
            if let Some(further) = self.further.take() {
                self.move_to(further, tools, emit)?;
            }
            self.watch_process(tools, now, emit)?;
        }
        self.next_look = now + self.interval();
        Ok(())
    }

    /// Reads the current file, wherever it is by now.
    fn poll_file(&mut self, tools: &mut Tools, now: Instant, emit: Emit<'_>) -> Result<()> {
        let mut read = self.read_file(tools, emit);
        if is_missing(&read) {
            // An open file still has the lines that were written before it was moved.
            if let Some(reader) = &mut self.reader {
                reader.read_up_to(u64::MAX);
            }
            match self.read_on(tools, emit) {
                Err(Failure::Emit(error)) => return Err(error),
                Err(Failure::File(error)) => self.warn(tools, &error),
                Ok(()) => {}
            }
            if let Some(file) = self.file.as_ref().and_then(find_moved) {
                self.file = Some(file);
                read = self.read_file(tools, emit);
            }
        }
        let is_missing = is_missing(&read);
        match read {
            Ok(()) => self.gone = None,
            Err(Failure::Emit(error)) => return Err(error),
            Err(Failure::File(_)) if is_missing => {
                self.gone.get_or_insert(now);
                return Ok(());
            }
            Err(Failure::File(error)) => self.warn(tools, &error),
        }
        let Some(file) = self.file.as_ref().filter(|file| file.archived != self.archived) else {
            return Ok(());
        };
        let path = file.path.to_string_lossy().into_owned();
        self.archived = file.archived;
        // The time of the move is not recorded anywhere.
        match self.archived {
            true => self.emit_now(SessionEventKind::Archived { path }, emit),
            false => self.emit_now(SessionEventKind::Unarchived { path }, emit),
        }
    }

    /// Reads the new lines of the current file, if it is at its last place.
    fn read_file(&mut self, tools: &mut Tools, emit: Emit<'_>) -> Read {
        let Some(file) = &mut self.file else { return Ok(()) };
        if file.name().compressed {
            let plain = file.path.with_extension("");
            if plain.is_file() {
                // The text is the same, so that reading continues at its position.
                file.path = plain;
                self.known = None;
            }
        }
        let meta = std::fs::metadata(&file.path)?;
        if self.known == Some(key(&meta)) && meta.len() == self.length {
            return Ok(());
        }
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file").into());
        }
        // A session that Codex compresses has rested for long: its lines were read before, or all of them are old.
        if file.name().compressed && (self.reader.is_some() || self.from == From::Now) {
            self.close();
            self.remember_file(&meta);
            return Ok(());
        }
        match &mut self.reader {
            None => self.open(tools)?,
            Some(reader) => {
                let is_cut = self.known == Some(key(&meta)) && meta.len() < self.length;
                if !reader.continues_in(file)? {
                    tools.walk();
                    if is_cut {
                        let path = file.path.display();
                        tools.warn(format_args!("'{path}' became shorter; following it from its new end"));
                        let length = meta.len();
                        let now = Beginning::Now;
                        **reader =
                            Reader::follow(&tools.files, self.id, file, length, now, Options::default())?;
                    } else {
                        reader.continue_in(&tools.files, file)?;
                    }
                }
            }
        }
        self.changed = SystemTime::now();
        self.known = Some(key(&meta));
        // Up to the end that the reader knows, and then further, unless a writer is faster than the reader.
        self.read_on(tools, emit)?;
        self.length = meta.len().min(self.length.saturating_add(MOST));
        if let Some(reader) = &mut self.reader {
            reader.read_up_to(self.length);
        }
        self.read_on(tools, emit)
    }

    /// Begins to read the session.
    fn open(&mut self, tools: &mut Tools) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let beginning = match self.from {
            From::Now if self.is_young_only => Beginning::Whole,
            From::Now => Beginning::Now,
            From::Last(count) => Beginning::Last(count),
            From::Address { .. } | From::Start => Beginning::Whole,
        };
        let follow = |tools: &Tools| {
            Reader::follow(&tools.files, self.id, file, self.length, beginning, Options::default())
        };
        let mut reader = follow(tools)?;
        if reader.problems().iter().any(|problem| matches!(problem, Problem::MissingBase { .. })) {
            tools.walk();
            reader = follow(tools)?;
        }
        if beginning == Beginning::Now {
            self.status = Some(reader.status());
        }
        self.reader = Some(Box::new(reader));
        Ok(())
    }

    /// Emits the records that the reader has.
    fn read_on(&mut self, tools: &Tools, emit: Emit<'_>) -> Read {
        loop {
            let Some(reader) = &mut self.reader else { return Ok(()) };
            let Some(record) = reader.next_record()? else { break };
            tools.stalls.progress();
            let (status, is_past) = (reader.status(), reader.is_past());
            self.is_dead = false;
            if self.is_wanted(&record, tools.since) {
                emit(&record).map_err(Failure::Emit)?;
            }
            let at = match &record {
                Record::Item(item) => item.at,
                Record::Turn(turn) => turn.completed_at,
                Record::Event(event) => event.at,
            };
            match is_past {
                true => self.status = Some(status),
                false => self.set_status(status, at, tools, emit).map_err(Failure::Emit)?,
            }
        }
        if self.status.is_none()
            && let Some(reader) = &self.reader
        {
            self.status = Some(reader.status());
        }
        Ok(())
    }

    fn set_status(
        &mut self,
        status: Status,
        at: Option<Timestamp>,
        tools: &Tools,
        emit: Emit<'_>,
    ) -> Result<()> {
        if self.status.replace(status) == Some(status) {
            return Ok(());
        }
        let is_old = self.is_young_only && at.is_none_or(|at| at < tools.since);
        if is_old || matches!(self.from, From::Address { .. }) {
            return Ok(());
        }
        let what = SessionEventKind::Status { status };
        emit(&Record::Event(SessionEvent { session: self.id, at: at.or(Some(Timestamp::now())), what }))
    }

    /// Whether a record is emitted.
    fn is_wanted(&mut self, record: &Record, since: Timestamp) -> bool {
        let (at, inherited) = match record {
            Record::Item(item) => (item.at, item.inherited),
            Record::Turn(turn) => (turn.completed_at.or(turn.started_at), turn.inherited),
            Record::Event(event) => (event.at, false),
        };
        if self.is_young_only && at.is_none_or(|at| at < since) {
            return false;
        }
        let From::Address { turn, item } = &self.from else {
            return !inherited || self.from == From::Start;
        };
        if !is_at(record, turn, *item) {
            return false;
        }
        self.from = From::Start;
        true
    }

    /// Continues in a further file, after all lines of the current one were read.
    fn move_to(&mut self, file: RolloutFile, tools: &mut Tools, emit: Emit<'_>) -> Result<()> {
        let path = file.path.to_string_lossy().into_owned();
        (self.archived, self.known, self.gone) = (file.archived, None, None);
        self.file = Some(file);
        self.emit_now(SessionEventKind::Moved { path }, emit)?;
        if self.reader.is_none() {
            // Nothing of the session was read: all of its further file is new.
            self.length = 0;
        }
        match self.read_file(tools, emit) {
            Err(Failure::Emit(error)) => Err(error),
            Err(Failure::File(error)) => {
                self.warn(tools, &error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Checks the process of an open turn while nothing is written.
    fn watch_process(&mut self, tools: &mut Tools, now: Instant, emit: Emit<'_>) -> Result<()> {
        let is_quiet = self.changed.elapsed().unwrap_or_default() >= QUIET;
        let is_due = self.checked.is_none_or(|checked| now.duration_since(checked) >= CHECKS);
        if self.status != Some(Status::Running) || !is_quiet || !is_due {
            return Ok(());
        }
        self.check_process(tools, now);
        if !self.is_dead {
            return Ok(());
        }
        // The process may have written its last lines before it ended.
        self.poll_file(tools, now, emit)?;
        match self.is_dead {
            true => self.set_status(Status::Interrupted, Some(Timestamp::now()), tools, emit),
            false => Ok(()),
        }
    }

    fn check_process(&mut self, tools: &mut Tools, now: Instant) {
        let Some(file) = self.file.as_ref().filter(|_| self.status == Some(Status::Running)) else { return };
        self.checked = Some(now);
        self.is_dead = tools.holds(self.id, &file.path, now) == Some(false);
    }

    fn emit_now(&self, what: SessionEventKind, emit: Emit<'_>) -> Result<()> {
        emit(&Record::Event(SessionEvent { session: self.id, at: Some(Timestamp::now()), what }))
    }

    fn warn(&mut self, tools: &mut Tools, error: &io::Error) {
        if !std::mem::replace(&mut self.has_warned, true)
            && let Some(file) = &self.file
        {
            tools.warn(format_args!("cannot read '{}': {}; retrying", file.path.display(), reason(error)));
        }
    }
}

/// Whether a record is the first one of an address.
fn is_at(record: &Record, turn: &str, item: Option<u64>) -> bool {
    let is_turn = |number: Option<u64>, id: Option<&str>| match turn.parse::<u64>() {
        Ok(wanted) => number.is_some_and(|number| number >= wanted),
        Err(_) => id.is_some_and(|id| id.eq_ignore_ascii_case(turn)),
    };
    let is_later = |number: Option<u64>| {
        turn.parse::<u64>().is_ok_and(|wanted| number.is_some_and(|number| number > wanted))
    };
    match record {
        Record::Item(Item { turn, turn_id, item: number, .. }) => {
            let is_item = item.is_none_or(|wanted| number.is_some_and(|number| number >= wanted));
            (is_turn(*turn, turn_id.as_deref()) && is_item) || is_later(*turn)
        }
        Record::Turn(of) => is_turn(of.turn, of.turn_id.as_deref()),
        Record::Event(SessionEvent { what: SessionEventKind::TurnStarted { turn: id, address }, .. }) => {
            let number = address.as_deref().and_then(|address| address.rsplit(':').next()?.parse().ok());
            (item.is_none() && is_turn(number, id.as_deref())) || is_later(number)
        }
        Record::Event(_) => false,
    }
}

fn is_missing(read: &Read) -> bool {
    matches!(read, Err(Failure::File(error)) if error.kind() == io::ErrorKind::NotFound)
}

/// The part of its session that a file has: the same in any directory, compressed or not.
fn part(file: &RolloutFile) -> (&str, Option<Id>) {
    let name = file.name();
    (name.stamp, name.segment)
}
