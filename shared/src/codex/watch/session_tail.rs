//! A followed session: its files, and the position up to which they were read.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime};

use super::super::files::{Files, RolloutFile};
use super::super::reader;
use super::super::rollout::{self, Line, LineKind, Turns};
use super::session_event::TurnFailure;
use super::{Emit, From, RESTING, Role, SessionEvent, SessionEventKind, Tools};
use crate::codex::version::is_before;
use crate::error::{Error, Result, reason};
use crate::ndjson::{Lines, RawLine};
use crate::record::Id;
use crate::time::Timestamp;

/// The longest line that is parsed as a whole.
const LONGEST: usize = 4 << 20;
/// The size of a block that is read, and of the buffer that is kept.
const BLOCK: usize = 64 << 10;
/// How many of the last bytes are remembered, to recognise the file.
const MARK: usize = 64;
/// The pause, in milliseconds, after which the lines of a fork are its own: up to 0.99 no line shows where they begin, but
/// the copied ones were written without a pause.
const PAUSE: i64 = 10;

/// The position in the current file at which reading continues.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ReadPosition {
    /// From this byte, where a line begins.
    At(u64),
    /// From the line that has this byte, which was the end of the file, or begins there.
    Near(u64),
    /// From the first line that is no older than the watch.
    Young,
}

/// Whether the lines that are being read are those of the session itself.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Own {
    Yes,
    /// So far; a second `session_meta` may follow the first.
    First {
        has_turns: bool,
    },
    /// Copied lines of a parent: the time of the last one, and whether the version writes ids of turns.
    Copied {
        last: Option<Timestamp>,
        has_turns: bool,
    },
}

/// The reason why a poll of a session ends early.
enum Failure {
    /// The file cannot be read.
    File(io::Error),
    /// The receiver of events has failed.
    Emit(Error),
}

type Read = std::result::Result<(), Failure>;

impl std::convert::From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::File(error)
    }
}

pub(super) struct SessionTail {
    pub(super) id: Id,
    /// The file that is read, and those that come after it.
    files: VecDeque<RolloutFile>,
    place: ReadPosition,
    /// The file of `place`, and its last length.
    known: Option<(u64, u64)>,
    length: u64,
    /// The bytes before `place`.
    mark: Vec<u8>,
    /// Whether the rest of a line that was too long is skipped.
    skipping: bool,
    own: Own,
    /// The current turn, for versions that do not record it in each line.
    turn: Option<String>,
    turns: Turns,
    /// Whether the last poll found the file among archived ones.
    archived: bool,
    /// Whether lines older than `since` are skipped.
    is_young_only: bool,
    since: Timestamp,
    changed: SystemTime,
    pub(super) next_look: Instant,
    pub(super) gone: Option<Instant>,
    has_warned: bool,
}

impl SessionTail {
    pub(super) fn new(id: Id, files: &Files, from: From, since: Timestamp, number: usize) -> SessionTail {
        let now = Instant::now();
        let mut own: Vec<RolloutFile> = match from {
            From::End => files.live(id, None).into_iter().cloned().collect(),
            From::Start => files.of_session(id).to_vec(),
        };
        // A file that exists plain and compressed, or in both trees, is a single file.
        own.sort_by(|a, b| (b.name().age(), !b.archived).cmp(&(a.name().age(), !a.archived)));
        own.dedup_by(|a, b| part(a) == part(b));
        let mut session = SessionTail {
            id,
            files: own.into_iter().rev().collect(),
            place: ReadPosition::At(0),
            known: None,
            length: 0,
            mark: Vec::new(),
            skipping: false,
            own: Own::Yes,
            turn: None,
            turns: Turns::default(),
            archived: false,
            is_young_only: false,
            since,
            changed: SystemTime::now(),
            next_look: now,
            gone: None,
            has_warned: false,
        };
        session.archived = session.files.front().is_some_and(|file| file.archived);
        if let Some(file) = session.files.front()
            && from == From::End
        {
            session.place = ReadPosition::Young;
            if let Ok(meta) = std::fs::metadata(&file.path) {
                session.changed = meta.modified().unwrap_or(session.changed);
                if !file.name().compressed {
                    session.place = ReadPosition::Near(meta.len());
                    session.remember_file(&meta);
                }
                // The polls of resting sessions are spread over time.
                let interval = session.interval();
                session.next_look = now + interval * (number as u32 % 16) / 16;
            }
        }
        session
    }

    pub(super) fn current(&self) -> Option<&RolloutFile> {
        self.files.front()
    }

    fn remember_file(&mut self, meta: &Metadata) {
        self.known = Some((meta.dev(), meta.ino()));
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

    /// Add a file that was found, if it is a new one.
    pub(super) fn add_file(&mut self, file: RolloutFile, from: From, now: Instant) {
        let Some(last) = self.files.back() else {
            // The first file of the session. Lines that were copied from its parent are not emitted.
            self.place = if from == From::End { ReadPosition::Young } else { ReadPosition::At(0) };
            self.own = if from == From::End { Own::First { has_turns: true } } else { Own::Yes };
            self.archived = file.archived;
            self.files.push_back(file);
            self.next_look = now;
            return;
        };
        if part(&file) > part(last) {
            self.files.push_back(file);
            self.next_look = now;
        } else if self.gone.is_some() && part(&file) == part(&self.files[0]) {
            self.files[0] = file;
            self.gone = None;
            self.next_look = now;
        }
    }

    /// Emit new events.
    pub(super) fn poll(&mut self, tools: &mut Tools, now: Instant, emit: Emit<'_>) -> Result<()> {
        while let Some(file) = self.files.front() {
            if file.name().compressed {
                let plain = file.path.with_extension("");
                if plain.is_file() {
                    // The text is the same, so that reading continues at its position.
                    self.files[0].path = plain;
                    self.known = None;
                }
            }
            self.read_current(tools, now, emit)?;
            if self.files.len() < 2 {
                break;
            }
            // All new lines are in the further file.
            self.files.pop_front();
            tools.take_file(self.id);
            (self.place, self.own, self.known, self.length) = (ReadPosition::At(0), Own::Yes, None, 0);
            (self.skipping, self.turn, self.gone) = (false, None, None);
            self.mark.clear();
            self.emit_now(SessionEventKind::Moved { path: self.path() }, emit)?;
        }
        self.next_look = now + self.interval();
        Ok(())
    }

    /// Read the current file, wherever it is by now.
    fn read_current(&mut self, tools: &mut Tools, now: Instant, emit: Emit<'_>) -> Result<()> {
        let mut read = self.read_new_lines(tools, now, emit);
        if matches!(&read, Err(Failure::File(error)) if error.kind() == io::ErrorKind::NotFound) {
            // An open file still has the lines that were written before it was moved.
            if let Some(file) = tools.take_file(self.id) {
                let length = file.metadata().map_or(0, |meta| meta.len());
                match self.read_lines(&file, length, tools, emit) {
                    Err(Failure::Emit(error)) => return Err(error),
                    Err(Failure::File(error)) => self.warn(tools, &error),
                    Ok(()) => {}
                }
            }
            if let Some(file) = reader::find_moved(&self.files[0]) {
                self.files[0] = file;
                read = self.read_new_lines(tools, now, emit);
            }
        }
        match read {
            Ok(()) => self.gone = None,
            Err(Failure::Emit(error)) => return Err(error),
            Err(Failure::File(error)) if error.kind() == io::ErrorKind::NotFound => {
                self.gone.get_or_insert(now);
                return Ok(());
            }
            Err(Failure::File(error)) => self.warn(tools, &error),
        }
        if self.files[0].archived != self.archived {
            self.archived = self.files[0].archived;
            let path = self.path();
            // The time of the move is not recorded anywhere.
            return match self.archived {
                true => self.emit_now(SessionEventKind::Archived { path }, emit),
                false => self.emit_now(SessionEventKind::Unarchived { path }, emit),
            };
        }
        Ok(())
    }

    fn path(&self) -> String {
        self.files[0].path.to_string_lossy().into_owned()
    }

    /// Read the new lines of the current file, if it is at its last place.
    fn read_new_lines(&mut self, tools: &mut Tools, now: Instant, emit: Emit<'_>) -> Read {
        let current = &self.files[0];
        let meta = std::fs::metadata(&current.path)?;
        if self.known == Some(key(&meta)) && meta.len() == self.length {
            return Ok(());
        }
        self.changed = SystemTime::now();
        if current.name().compressed {
            self.remember_file(&meta);
            // A session that Codex compresses has rested for long: its lines were read before, or all of them are old.
            return if self.place == ReadPosition::At(0) { self.read_packed(emit) } else { Ok(()) };
        }
        let is_same = |file: &File| file.metadata().is_ok_and(|open| key(&open) == key(&meta));
        let file = match tools.take_file(self.id).filter(is_same) {
            Some(file) => file,
            None => File::open(&current.path)?,
        };
        let meta = file.metadata()?;
        match self.place {
            ReadPosition::At(at) | ReadPosition::Near(at) if meta.len() < at => {
                self.continue_at_end(meta.len(), tools)
            }
            // Codex compressed the file and unpacked it between two polls, or it is another file.
            ReadPosition::Near(_) if self.known != Some(key(&meta)) => self.place = ReadPosition::Young,
            _ => {}
        }
        self.remember_file(&meta);
        self.read_lines(&file, meta.len(), tools, emit)?;
        tools.keep_file(self.id, file, now);
        Ok(())
    }

    /// Read an open file from the position up to this length.
    fn read_lines(&mut self, file: &File, length: u64, tools: &mut Tools, emit: Emit<'_>) -> Read {
        let mut at = self.find_position(file, length, tools)?;
        let mut buffer = std::mem::take(&mut tools.buffer);
        let mut want = BLOCK;
        while at < length {
            let room = (length - at).min(want as u64) as usize;
            buffer.resize(buffer.len().max(room), 0);
            let got = rollout::read_at(file, &mut buffer[..room], at)?;
            let block = &buffer[..got];
            match memchr::memrchr(b'\n', block) {
                Some(last) => {
                    for line in block[..=last].split_inclusive(|byte| *byte == b'\n') {
                        at += line.len() as u64;
                        self.read_line(line, at, emit).map_err(Failure::Emit)?;
                    }
                    want = BLOCK;
                }
                None if got == 0 => break,
                None if self.skipping => at += got as u64,
                None if got >= LONGEST => {
                    at += got as u64;
                    (self.skipping, self.place) = (true, ReadPosition::At(at));
                    want = BLOCK;
                    self.emit_line(Line::of_beginning(&block[..BLOCK]), emit).map_err(Failure::Emit)?;
                }
                // The line is incomplete.
                None if at + got as u64 >= length => break,
                None => want = (want * 2).min(LONGEST),
            }
        }
        self.place = ReadPosition::At(at);
        // Free the memory of a single huge line.
        buffer.truncate(4 * BLOCK);
        buffer.shrink_to(4 * BLOCK);
        tools.buffer = buffer;
        let from = at.saturating_sub(MARK as u64);
        self.mark.resize((at - from) as usize, 0);
        let got = rollout::read_at(file, &mut self.mark, from)?;
        self.mark.truncate(got);
        Ok(())
    }

    /// Read a line that ends at this position.
    fn read_line(&mut self, line: &[u8], end: u64, emit: Emit<'_>) -> Result<()> {
        self.place = ReadPosition::At(end);
        let is_rest = std::mem::take(&mut self.skipping);
        match Line::parse(line) {
            Some(line) if !is_rest => self.emit_line(line, emit),
            _ => Ok(()),
        }
    }

    /// The position at which reading begins.
    fn find_position(&mut self, file: &File, length: u64, tools: &mut Tools) -> io::Result<u64> {
        if let ReadPosition::At(at) = self.place
            && !self.mark.is_empty()
        {
            let mut bytes = [0; MARK];
            let bytes = &mut bytes[..self.mark.len()];
            let got = rollout::read_at(file, bytes, at - bytes.len() as u64)?;
            if bytes[..got] != self.mark {
                self.continue_at_end(length, tools);
            }
        }
        match self.place {
            ReadPosition::At(at) => Ok(at),
            ReadPosition::Young => {
                self.is_young_only = true;
                Ok(0)
            }
            ReadPosition::Near(end) => {
                let mut window = MARK as u64;
                loop {
                    let from = end.saturating_sub(window);
                    let mut block = vec![0; (end - from) as usize];
                    let got = rollout::read_at(file, &mut block, from)?;
                    if let Some(last) = memchr::memrchr(b'\n', &block[..got]) {
                        return Ok(from + last as u64 + 1);
                    }
                    if from == 0 {
                        return Ok(0);
                    }
                    if window >= LONGEST as u64 {
                        self.skipping = true;
                        return Ok(end);
                    }
                    window *= 16;
                }
            }
        }
    }

    fn continue_at_end(&mut self, length: u64, tools: &mut Tools) {
        let path = self.files[0].path.display();
        tools.warn(format_args!("'{path}' was replaced; following it from its new end"));
        self.place = ReadPosition::Near(length);
        self.skipping = false;
        self.turn = None;
        self.mark.clear();
    }

    fn read_packed(&mut self, emit: Emit<'_>) -> Read {
        let mut lines = Lines::new(rollout::open(&self.files[0].path)?, BLOCK);
        let mut at = 0;
        loop {
            match lines.next()? {
                Some(RawLine::Whole(line)) if line.ends_with(b"\n") => {
                    at += line.len() as u64;
                    self.read_line(line, at, emit).map_err(Failure::Emit)?;
                }
                Some(RawLine::TooLong) => at = lines.bytes_read(),
                _ => return Ok(()),
            }
        }
    }

    /// Emit the event of a line, if it is new.
    fn emit_line(&mut self, line: Line<'_>, emit: Emit<'_>) -> Result<()> {
        let is_young = line.at.is_some_and(|at| at >= self.since);
        let is_news = self.is_own(&line) && (is_young || !self.is_young_only);
        let own = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        let turn = own(line.turn).or(self.turn.clone());
        let item = own(line.item);
        let failed = self.turns.failed();
        self.turns.add(&line.kind);
        if line.kind == LineKind::TurnStarted {
            self.turn.clone_from(&turn);
        } else if line.kind.ends_turn() {
            self.turn = None;
        }
        let message = |role, text: Cow<'_, str>, images| {
            let (turn, item) = (turn.clone(), item.clone());
            SessionEventKind::Message { turn, item, role, text: text.into_owned(), images }
        };
        let what = match line.kind {
            LineKind::TurnStarted => SessionEventKind::TurnStarted { turn },
            LineKind::UserMessage { text, images } => message(Role::User, text, images),
            LineKind::AgentMessage { text } => message(Role::Assistant, text, 0),
            LineKind::ToolCall { name, text } => {
                SessionEventKind::Tool { turn, item, name: name.into_owned(), text }
            }
            LineKind::TurnSilent if failed => {
                SessionEventKind::TurnFailed { turn, failure: TurnFailure::default() }
            }
            LineKind::TurnSilent => SessionEventKind::TurnCompleted { turn, last_message: None },
            LineKind::TurnCompleted { last_message } => {
                SessionEventKind::TurnCompleted { turn, last_message: own(last_message) }
            }
            LineKind::TurnFailed { error } => {
                let failure =
                    error.map(|error| TurnFailure { message: own(error.message), info: error.info });
                SessionEventKind::TurnFailed { turn, failure: failure.unwrap_or_default() }
            }
            LineKind::TurnAborted { reason } => SessionEventKind::TurnAborted { turn, reason: own(reason) },
            LineKind::RolledBack { turns } => SessionEventKind::RolledBack { turns },
            _ => return Ok(()),
        };
        if is_news { emit(&SessionEvent { session: self.id, at: line.at, what }) } else { Ok(()) }
    }

    /// Whether a line is the session's own. A copied fork begins with its own `session_meta`, then those
    /// of its parent and all that followed, written anew with the time of the copy. The ids of turns have
    /// the time that they began at: those of the fork are younger than the fork.
    fn is_own(&mut self, line: &Line<'_>) -> bool {
        match (self.own, &line.kind) {
            (Own::Yes, _) => true,
            (Own::First { .. }, LineKind::Meta { id, version }) if *id == Some(self.id) => {
                self.own = Own::First {
                    has_turns: version.as_deref().is_none_or(|version| !is_before(version, (0, 101))),
                };
                true
            }
            (Own::First { has_turns }, LineKind::Meta { .. }) => {
                self.own = Own::Copied { last: line.at, has_turns };
                false
            }
            (Own::First { .. }, _) => {
                self.own = Own::Yes;
                true
            }
            (Own::Copied { last, has_turns }, _) => {
                let begun = line.turn.as_deref().and_then(Id::parse).map(Id::clock);
                let paused = last.zip(line.at).is_some_and(|(last, at)| at.0 - last.0 >= PAUSE);
                let is_own = begun.map_or(paused && !has_turns, |begun| begun >= self.id.clock());
                self.own = if is_own { Own::Yes } else { Own::Copied { last: line.at.or(last), has_turns } };
                is_own
            }
        }
    }

    fn emit_now(&self, what: SessionEventKind, emit: Emit<'_>) -> Result<()> {
        emit(&SessionEvent { session: self.id, at: Some(Timestamp::now()), what })
    }

    fn warn(&mut self, tools: &mut Tools, error: &io::Error) {
        if !std::mem::replace(&mut self.has_warned, true) {
            let path = self.files[0].path.display();
            tools.warn(format_args!("cannot read '{path}': {}; retrying", reason(error)));
        }
    }
}

/// The identity of a file, independent of its name.
fn key(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// The part of its session that a file has: the same in any directory, compressed or not.
fn part(file: &RolloutFile) -> (&str, Option<Id>) {
    let name = file.name();
    (name.stamp, name.segment)
}
