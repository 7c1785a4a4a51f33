//! Reading a transcript from its files.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

use super::before::Before;
use super::chain::{Problem, Source, Text, of_file, of_session, open};
use super::machine::Machine;
use super::record::{Record, Turn};
use super::rollback::has_rollback;
use super::state::{Abridge, Summary, Wants};
use super::tail::last;
use super::turn_set::TurnSet;
use crate::codex::files::{Files, RolloutFile};
use crate::codex::rollout::Name;
use crate::ndjson::bounded::{BoundedLines, Found};
use crate::record::Id;

/// The length of the beginning of a line that is compared.
const MARK: usize = 256;
/// The same of a line that was shortened.
const MARK_OF_SHORTENED: usize = 32;

/// Files that are together as short as this are read as a whole, also where only their end is asked for.
pub(super) const SHORT: u64 = 8 << 20;
/// Files that are together longer than this, compressed ones as they are on the disk, take longer to be searched for
/// rollbacks than to fill the first screen.
const LONG: u64 = 32 << 20;

/// What is read, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether to return turns that were rolled back or reverted.
    pub undone: bool,
    /// Whether to return turns that were copied into a subagent.
    pub copied: bool,
    /// Whether to follow the transcript: each item is returned as soon as it is complete, and the turn that is open is
    /// not returned at the end. A rollback is known only when its line is read: the turns are returned again, as undone.
    pub live: bool,
}

/// How far a transcript was read: the session, its file, and the offset behind the last complete line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// The session.
    pub session: Option<Id>,
    /// The segment of the file; `None` for the first file of the session.
    pub segment: Option<Id>,
    /// The offset in the text, which is decompressed if the file is compressed.
    pub offset: u64,
}

/// Reads the records of one transcript. Without `live` the records are those of the file as it is now, each turn after its
/// items.
pub struct Reader {
    pub(super) session: Option<Id>,
    sources: std::vec::IntoIter<Source>,
    pub(super) machine: Machine,
    pub(super) current: Option<Current>,
    pub(super) options: Options,
    problems: Vec<Problem>,
    is_done: bool,
    /// Whether the text up to the end that was given is being read, and what follows is not read yet.
    pub(super) is_bounded: bool,
    pub(super) before: Option<Before>,
    pub(super) mark: Mark,
    /// The search for the turns that were rolled back, while records are returned without its result.
    foresight: Option<JoinHandle<io::Result<Foresight>>>,
}

/// The turns that were rolled back, and the beginning of a transcript.
struct Foresight {
    turns: TurnSet,
    sources: Vec<Source>,
    problems: Vec<Problem>,
}

/// The last complete line that was read.
#[derive(Default)]
pub(super) struct Mark {
    pub(super) length: u64,
    pub(super) beginning: Vec<u8>,
}

pub(super) struct Current {
    pub(super) path: PathBuf,
    /// The lines; `None` while the file of a followed transcript is closed.
    pub(super) lines: Option<BoundedLines<Text>>,
    /// The offset behind the last complete line, while the file is closed.
    pub(super) offset: u64,
    end_ordinal: Option<u64>,
    is_last: bool,
}

impl Current {
    pub(super) fn offset(&self) -> u64 {
        self.lines.as_ref().map_or(self.offset, BoundedLines::offset)
    }

    /// Drops the beginning of a line that is being written: it may be replaced.
    fn drop_rest(&mut self) -> io::Result<()> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let is_plain = matches!(lines.reader(), Text::Plain(_));
        if let Some(offset) = is_plain.then(|| lines.drop_rest()).flatten()
            && let Text::Plain(file) = lines.reader()
        {
            (&*file).seek(SeekFrom::Start(offset))?;
        }
        Ok(())
    }
}

impl Reader {
    /// The transcript of a session, with that of the sessions that it continues. `named` is the path in the database's
    /// row. The error is [`io::ErrorKind::NotFound`] if the session has no rollout.
    #[doc(hidden)]
    pub fn of_session(
        files: &Files,
        session: Id,
        named: Option<&str>,
        options: Options,
    ) -> io::Result<Reader> {
        let (sources, problems) = pieces(files, session, named, options.undone)?;
        Reader::new(Some(session), sources, options, problems)
    }

    /// As [`Reader::of_session`], but of long files records are returned before it is known which turns were rolled back,
    /// until [`Reader::confirm`] is called.
    #[doc(hidden)]
    pub fn of_session_at_once(
        files: &Files,
        session: Id,
        named: Option<&str>,
        options: Options,
    ) -> io::Result<Reader> {
        let (sources, problems) = pieces(files, session, named, options.undone)?;
        Reader::at_once_beyond(LONG, Some(session), sources, options, problems)
    }

    /// As [`Reader::new`]; the search for rollbacks goes on meanwhile if it reads more than `long` bytes.
    pub(super) fn at_once_beyond(
        long: u64,
        session: Option<Id>,
        sources: Vec<Source>,
        options: Options,
        problems: Vec<Problem>,
    ) -> io::Result<Reader> {
        let searched = sources.iter().filter(|source| source.may_roll_back);
        if options.live || searched.map(Source::size).sum::<u64>() <= long {
            return Reader::new(session, sources, options, problems);
        }
        let (again, found) = (sources.clone(), problems.clone());
        let search = Builder::new().spawn(move || {
            let turns = rolled_back(session, &again)?;
            Ok(Foresight { turns, sources: again, problems: found })
        });
        // There may be a limit of threads.
        let Ok(search) = search else { return Reader::new(session, sources, options, problems) };
        let machine = Machine::new(session, wants(&options), Some(TurnSet::default()));
        let reader = Reader::with(machine, session, sources, options, problems);
        Ok(Reader { foresight: Some(search), ..reader })
    }

    /// Looks, or with `waits` waits, for the turns that were rolled back. Returns `false` if one of them may be among those
    /// that were returned, or that are being read: all records are returned once more then, from the first one on.
    #[doc(hidden)]
    pub fn confirm(&mut self, waits: bool) -> io::Result<bool> {
        let search = self.foresight.take_if(|search| waits || search.is_finished());
        let Some(search) = search else { return Ok(true) };
        let found = search.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let Foresight { turns, sources, problems } = found?;
        let stands = self.machine.foresee(&turns);
        if !stands {
            let machine = Machine::new(self.session, self.machine.wants.clone(), Some(turns));
            *self = Reader::with(machine, self.session, sources, self.options.clone(), problems);
        }
        Ok(stands)
    }

    /// The transcript of a session in Codex's home. All names of rollouts in the home are read to find its files.
    pub fn open(home: &Path, session: Id, options: Options) -> io::Result<Reader> {
        Reader::of_session(&Files::walk(home), session, None, options)
    }

    /// The transcript in one file. The turns of a file that it continues are missing.
    pub fn of_file(path: &Path, options: Options) -> io::Result<Reader> {
        let session =
            path.file_name().and_then(|name| name.to_str()).and_then(Name::parse).map(|name| name.id);
        Reader::new(session, of_file(path)?, options, Vec::new())
    }

    /// The last turn in one file, which is read from its end; `None` if there is none.
    #[doc(hidden)]
    pub fn last_turn_of_file(path: &Path) -> io::Result<Option<Turn>> {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(Name::parse);
        let tail = Tail::of(name.map(|name| name.id), of_file(path)?, 1, 0)?;
        let options = Options { undone: true, ..Options::default() };
        let reader = Reader::new(name.map(|name| name.id), tail.sources, options, Vec::new())?;
        let mut last = None;
        for record in reader {
            if let Record::Turn(turn) = record? {
                last = Some(turn);
            }
        }
        Ok(last)
    }

    /// The last turns of a session, at most `count`. Of long files only the end is read, so that the numbers of the
    /// turns are null.
    #[doc(hidden)]
    pub fn last_turns(
        files: &Files,
        session: Id,
        named: Option<&str>,
        count: u64,
        options: Options,
    ) -> io::Result<Reader> {
        Reader::last_turns_beyond(SHORT, files, session, named, count, options)
    }

    /// As [`Reader::last_turns`]; files that are together as short as this are read as a whole.
    pub(super) fn last_turns_beyond(
        short: u64,
        files: &Files,
        session: Id,
        named: Option<&str>,
        count: u64,
        options: Options,
    ) -> io::Result<Reader> {
        let (sources, problems) = pieces(files, session, named, false)?;
        let tail = Tail::of(Some(session), sources, count, short)?;
        // Turns that were copied into a subagent have no numbers: they come before the first one.
        let copied = options.copied && tail.turns < count;
        let options = Options { live: false, copied, ..options };
        let mut reader = Reader::new(Some(session), tail.sources, options, problems)?;
        reader.machine.skip(tail.turns_before, !tail.is_whole);
        Ok(reader)
    }

    pub(super) fn new(
        session: Option<Id>,
        sources: Vec<Source>,
        options: Options,
        problems: Vec<Problem>,
    ) -> io::Result<Reader> {
        let foreseen = match options.live {
            true => None,
            false => Some(rolled_back(session, &sources)?),
        };
        let machine = Machine::new(session, wants(&options), foreseen);
        Ok(Reader::with(machine, session, sources, options, problems))
    }

    pub(super) fn with(
        machine: Machine,
        session: Option<Id>,
        sources: Vec<Source>,
        options: Options,
        problems: Vec<Problem>,
    ) -> Reader {
        Reader {
            session,
            sources: sources.into_iter(),
            machine,
            current: None,
            options,
            problems,
            is_done: false,
            is_bounded: false,
            before: None,
            mark: Mark::default(),
            foresight: None,
        }
    }

    /// The next record; `None` at the end. A transcript that is followed may have further records later.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            while let Some(record) = self.machine.pop() {
                let is_last = self.current.as_ref().is_some_and(|current| current.is_last);
                if self.before.as_mut().is_none_or(|before| before.is_new(&record, is_last)) {
                    return Ok(Some(record));
                }
            }
            if self.is_done {
                return Ok(None);
            }
            if !self.read_line()? {
                if let Some(before) = self.before.take() {
                    let left_behind = before.left_behind(self.machine.open_turn());
                    left_behind.into_iter().for_each(|turn| self.machine.undo(turn));
                    continue;
                }
                let last = self.machine.pop();
                if last.is_some() || !self.is_done {
                    return Ok(last);
                }
            }
        }
    }

    /// Returns the same items, or at least the same messages, which are read faster; turns have no tokens, and the summary
    /// is incomplete.
    pub(super) fn items_alone(mut self, messages_alone: bool) -> Reader {
        self.machine.wants.items_alone = true;
        self.machine.wants.messages_alone = messages_alone;
        self
    }

    /// Returns items that are only counted, perhaps with abridged outputs of commands.
    pub(super) fn counted(mut self, abridge: Option<Abridge>) -> Reader {
        (self.machine.wants.is_count, self.machine.wants.abridge) = (true, abridge);
        self
    }

    /// Numbers about the part that was read.
    pub fn summary(&self) -> &Summary {
        &self.machine.summary
    }

    /// Why parts of the transcript are missing.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How far the last file was read; `None` before that file is reached.
    pub fn reached(&self) -> Option<Position> {
        let current = self.current.as_ref().filter(|current| current.is_last)?;
        let name = current.path.file_name().and_then(|name| name.to_str()).and_then(Name::parse);
        let segment = name.and_then(|name| name.segment);
        Some(Position { session: self.session, segment, offset: current.offset() })
    }

    /// Reads a line; `false` at the end of the last file.
    pub(super) fn read_line(&mut self) -> io::Result<bool> {
        let Some(current) = &mut self.current else { return self.open_next() };
        let Some(lines) = &mut current.lines else { return Ok(false) };
        let from = lines.offset();
        let found = match lines.next() {
            Ok(found) => found,
            // The last frame of a compressed file may be incomplete.
            Err(error) if is_of_contents(&error) => {
                self.problems
                    .push(Problem::Unreadable { path: current.path.clone(), reason: error.to_string() });
                Found::End(&[])
            }
            Err(error) => return Err(error),
        };
        match found {
            Found::Line(line) if is_behind(line, current.end_ordinal) => self.current = None,
            Found::Line(line) => {
                let kept = line.len();
                self.mark.beginning.clear();
                self.mark.beginning.extend_from_slice(&line[..kept.min(MARK)]);
                self.machine.line(line);
                self.mark.length = lines.offset() - from - 1;
                if self.mark.length != kept as u64 {
                    // Only the beginning of a line that was shortened is as it was.
                    self.mark.beginning.truncate(MARK_OF_SHORTENED);
                }
            }
            Found::End(_) if !current.is_last => self.current = None,
            Found::End(_) if self.is_bounded => {
                self.is_bounded = false;
                self.machine.finish();
                self.machine.be_live();
            }
            Found::End(rest) => {
                if !self.options.live {
                    // A last line that is complete but for its newline counts.
                    if serde_json::from_slice::<serde::de::IgnoredAny>(rest).is_ok() {
                        self.machine.line(rest);
                    }
                    self.is_done = true;
                } else {
                    current.drop_rest()?;
                }
                self.machine.finish();
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn open_next(&mut self) -> io::Result<bool> {
        let Some(source) = self.sources.next() else {
            self.machine.finish();
            self.is_done = true;
            return Ok(false);
        };
        let is_last = self.sources.as_slice().is_empty();
        match open(&source.path, source.start) {
            Ok(file) => {
                self.machine.begin(source.part, source.is_rest);
                if source.start > 0 && !source.is_rest {
                    self.read_head(&source.path)?;
                }
                let lines = BoundedLines::new(file, source.start, source.end);
                self.current = Some(Current {
                    path: source.path,
                    lines: Some(lines),
                    offset: 0,
                    end_ordinal: source.end_ordinal,
                    is_last,
                });
            }
            Err(error) if is_last => return Err(error),
            Err(error) => {
                self.problems.push(Problem::Unreadable { path: source.path, reason: error.to_string() });
            }
        }
        Ok(true)
    }

    /// Reads the first lines of a file whose later lines alone are of interest: the sessions that it was copied from.
    fn read_head(&mut self, path: &Path) -> io::Result<()> {
        let mut lines = BoundedLines::first(open(path, 0)?);
        while let Found::Line(line) = lines.next()?
            && memchr::memmem::find(&line[..line.len().min(MARK)], b"\"session_meta\"").is_some()
        {
            self.machine.line(line);
        }
        Ok(())
    }
}

impl Iterator for Reader {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<io::Result<Record>> {
        let next = self.next_record();
        // An error would come again without end.
        self.is_done |= next.is_err();
        next.transpose()
    }
}

fn wants(options: &Options) -> Wants {
    Wants { undone: options.undone, copied: options.copied, live: options.live, ..Wants::default() }
}

/// The file that a session continues in.
pub(super) fn live_file<'f>(
    files: &'f Files,
    session: Id,
    named: Option<&str>,
) -> io::Result<&'f RolloutFile> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "the session has no rollout");
    files.live(session, named).ok_or_else(missing)
}

/// The pieces of the transcript of a session, perhaps with those that were reverted, and why others are missing.
pub(super) fn pieces(
    files: &Files,
    session: Id,
    named: Option<&str>,
    undone: bool,
) -> io::Result<(Vec<Source>, Vec<Problem>)> {
    let live = live_file(files, session, named)?;
    let mut problems = Vec::new();
    let sources = of_session(files, session, live, undone, &mut problems)?;
    Ok((sources, problems))
}

/// Whether an error is one of the contents of a file, as a compressed one may have.
fn is_of_contents(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | InvalidData | InvalidInput | Other)
        && error.raw_os_error().is_none()
}

/// Whether a line is behind the end of a piece.
fn is_behind(line: &[u8], end_ordinal: Option<u64>) -> bool {
    #[derive(serde::Deserialize)]
    struct Ordinal {
        ordinal: Option<u64>,
    }
    let Some(end) = end_ordinal else { return false };
    let ordinal = serde_json::from_slice::<Ordinal>(line).ok().and_then(|line| line.ordinal);
    ordinal.is_some_and(|ordinal| ordinal >= end)
}

/// The turns that were rolled back. The line comes after them, so that the files must be read to their ends before it is
/// known of the first record whether it stands; most have no such line, and are only searched for it.
fn rolled_back(session: Option<Id>, sources: &[Source]) -> io::Result<TurnSet> {
    let mut is_found = false;
    for source in sources.iter().filter(|source| source.may_roll_back) {
        match has_rollback(source) {
            Ok(found) => is_found |= found,
            // Reading the file reports the problem.
            Err(error) if is_of_contents(&error) || error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if !is_found {
        return Ok(TurnSet::default());
    }
    let machine = Machine::new(session, Wants::default(), None);
    // Problems are found again when the records are read.
    let mut scan = Reader::with(machine, session, sources.to_vec(), Options::default(), Vec::new());
    while scan.next_record()?.is_some() {}
    Ok(scan.machine.into_rolled_back())
}

/// The end of a transcript.
pub(super) struct Tail {
    pub(super) sources: Vec<Source>,
    /// The number of turns in the sources.
    pub(super) turns: u64,
    /// The number of turns in the sources before those that are wanted.
    pub(super) turns_before: u64,
    pub(super) is_whole: bool,
}

impl Tail {
    /// The last turns, at least `count` if there are so many; the whole transcript if it is as short as `short`.
    pub(super) fn of(session: Option<Id>, sources: Vec<Source>, count: u64, short: u64) -> io::Result<Tail> {
        let size: u64 = sources.iter().map(Source::size).sum();
        let mut wanted = count.saturating_add(1);
        loop {
            let (tail, is_whole) = match size <= short {
                true => (sources.clone(), true),
                false => last(sources.clone(), wanted)?,
            };
            // The piece is short, and is read once more to know how many of its turns stand.
            let mut scan = Reader::new(session, tail.clone(), Options::default(), Vec::new())?;
            while scan.next_record()?.is_some() {}
            let turns = scan.summary().turns;
            if turns > count || is_whole {
                let turns_before = turns.saturating_sub(count);
                return Ok(Tail { sources: tail, turns, turns_before, is_whole });
            }
            wanted = wanted.saturating_mul(8);
        }
    }
}

/// Passes the lines of a transcript on as they are, with those of unknown types.
#[doc(hidden)]
pub fn raw_lines(
    files: &Files,
    session: Id,
    named: Option<&str>,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Vec<Problem>> {
    let (sources, mut problems) = pieces(files, session, named, false)?;
    for source in sources {
        let file = open(&source.path, source.start)?.take(source.end.saturating_sub(source.start));
        let mut lines = crate::ndjson::Lines::new(file, 64 << 10);
        let mut left_out = 0;
        while let Some(line) = lines.next()? {
            match line {
                crate::ndjson::RawLine::Whole(line) if is_behind(line, source.end_ordinal) => break,
                crate::ndjson::RawLine::Whole(line) => each(line)?,
                crate::ndjson::RawLine::TooLong => left_out += 1,
            }
        }
        if left_out > 0 {
            let reason = format!("lines longer than 64 MiB were left out: {left_out}");
            problems.push(Problem::Unreadable { path: source.path, reason });
        }
    }
    Ok(problems)
}
