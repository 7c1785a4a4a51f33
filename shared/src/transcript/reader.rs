//! Reading a transcript from its files.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::chain::{Problem, Source, of_file, of_session, open};
use super::lines::{BoundedLines, Found};
use super::machine::Machine;
use super::record::{Record, Turn};
use super::state::{Summary, Wants};
use super::tail::last;
use crate::codex::files::{Files, RolloutFile};
use crate::codex::rollout::Name;
use crate::record::Id;

/// The length of the beginning of a line that is compared.
const MARK: usize = 256;

/// Files that are together as short as this are read as a whole, also where only their end is asked for.
const SHORT: u64 = 8 << 20;

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
    session: Option<Id>,
    sources: std::vec::IntoIter<Source>,
    machine: Machine,
    current: Option<Current>,
    options: Options,
    problems: Vec<Problem>,
    is_done: bool,
    before: Option<Before>,
    /// The length of the last complete line, and its beginning.
    mark: (usize, Vec<u8>),
}

/// What a reader that began anew has passed on before.
#[derive(Default)]
struct Before {
    turns: HashMap<String, (Turn, u64)>,
    /// The number of the oldest turn that is known, and of the newest.
    numbers: (u64, u64),
}

struct Current {
    path: PathBuf,
    lines: BoundedLines<Box<dyn Read>>,
    end_ordinal: Option<u64>,
    is_last: bool,
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
        let live = live_file(files, session, named)?;
        let mut problems = Vec::new();
        let sources = of_session(files, session, live, options.undone, &mut problems)?;
        Reader::new(Some(session), sources, options, problems)
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
        let live = live_file(files, session, named)?;
        let mut problems = Vec::new();
        let sources = of_session(files, session, live, false, &mut problems)?;
        let size: u64 = sources.iter().map(Source::size).sum();
        let mut wanted = count.saturating_add(1);
        loop {
            let (tail, is_whole) = match size <= short {
                true => (sources.clone(), true),
                false => last(sources.clone(), wanted)?,
            };
            // The piece is short, and is read once more to know how many of its turns stand.
            let mut scan = Reader::new(Some(session), tail.clone(), Options::default(), Vec::new())?;
            while scan.next_record()?.is_some() {}
            let turns = scan.summary().turns;
            if turns > count || is_whole {
                // Turns that were copied into a subagent have no numbers: they come before the first one.
                let copied = options.copied && turns < count;
                let options = Options { live: false, copied, ..options };
                let mut reader = Reader::new(Some(session), tail, options, problems)?;
                reader.machine.skip(turns.saturating_sub(count), !is_whole);
                return Ok(reader);
            }
            wanted = wanted.saturating_mul(8);
        }
    }

    fn new(
        session: Option<Id>,
        sources: Vec<Source>,
        options: Options,
        mut problems: Vec<Problem>,
    ) -> io::Result<Reader> {
        let wants = Wants { undone: options.undone, copied: options.copied, live: options.live };
        let foreseen = match options.live {
            true => None,
            false => Some(rolled_back(session, &sources, &mut problems)?),
        };
        let machine = Machine::new(session, wants, foreseen);
        Ok(Reader::with(machine, session, sources, options, problems))
    }

    fn with(
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
            before: None,
            mark: (0, Vec::new()),
        }
    }

    /// The next record; `None` at the end. A transcript that is followed may have further records later.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            while let Some(record) = self.machine.pop() {
                if self.is_new(&record) {
                    return Ok(Some(record));
                }
            }
            if self.is_done {
                return Ok(None);
            }
            if !self.read_line()? {
                if let Some(before) = self.before.take() {
                    // Turns that a revert has left behind.
                    before.turns.into_values().for_each(|(turn, _)| self.machine.undo(turn));
                    continue;
                }
                let last = self.machine.pop();
                if last.is_some() || !self.is_done {
                    return Ok(last);
                }
            }
        }
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
        Some(Position { session: self.session, segment, offset: current.lines.offset() })
    }

    /// Finds the files of a session again that is followed: its file may have been archived, compressed, migrated or
    /// replaced, or the session was reverted. What was returned before is not returned again; a turn that a revert left
    /// behind is, as undone.
    #[doc(hidden)]
    pub fn find_again(&mut self, files: &Files, named: Option<&str>) -> io::Result<()> {
        let Some(session) = self.session else { return Ok(()) };
        let live = live_file(files, session, named)?;
        if let (Some(position), Some(current)) = (self.reached(), &mut self.current)
            && position.segment == live.name().segment
            && let Some(lines) = continued(&live.path, position.offset, &self.mark)?
        {
            live.path.clone_into(&mut current.path);
            current.lines = lines;
            return Ok(());
        }
        let passed_on = self.machine.passed_on();
        let numbers = passed_on.iter().filter_map(|(turn, _)| turn.turn);
        let numbers = (numbers.clone().min().unwrap_or(0), numbers.max().unwrap_or(0));
        let mut before = self.before.take().unwrap_or_default();
        before.numbers = numbers;
        for (turn, count) in passed_on {
            if let Some(id) = turn.turn_id.clone() {
                before.turns.insert(id, (turn, count));
            }
        }
        let mut anew = Reader::of_session(files, session, named, self.options.clone())?;
        anew.before = Some(before);
        *self = anew;
        Ok(())
    }

    /// Whether a record was not passed on before the reader began anew.
    fn is_new(&mut self, record: &Record) -> bool {
        let Some(before) = &mut self.before else { return true };
        let (turn_id, number) = match record {
            Record::Item(item) => (item.turn_id.as_deref(), item.turn),
            Record::Turn(turn) => (turn.turn_id.as_deref(), turn.turn),
        };
        let known = turn_id.and_then(|id| before.turns.get(id)).map(|(turn, count)| (turn.status, *count));
        match (known, record) {
            (Some((_, count)), Record::Item(item)) => item.item.is_some_and(|number| number > count),
            (Some((status, _)), Record::Turn(turn)) => {
                turn_id.and_then(|id| before.turns.remove(id));
                status.is_none() || status != turn.status || turn.undone
            }
            // Without an id, and among the oldest, the numbers count.
            (None, _) if turn_id.is_none() => number.is_none_or(|number| number > before.numbers.1),
            (None, _) => number.is_none_or(|number| number >= before.numbers.0),
        }
    }

    /// Reads a line; `false` at the end of the last file.
    fn read_line(&mut self) -> io::Result<bool> {
        let Some(current) = &mut self.current else { return self.open_next() };
        let found = match current.lines.next() {
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
                self.mark.0 = line.len();
                self.mark.1.clear();
                self.mark.1.extend_from_slice(&line[..line.len().min(MARK)]);
                self.machine.line(line);
            }
            Found::End(_) if !current.is_last => self.current = None,
            Found::End(rest) => {
                if !self.options.live {
                    // A last line that is complete but for its newline counts.
                    if serde_json::from_slice::<serde::de::IgnoredAny>(rest).is_ok() {
                        self.machine.line(rest);
                    }
                    self.is_done = true;
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
                self.current =
                    Some(Current { path: source.path, lines, end_ordinal: source.end_ordinal, is_last });
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
        let mut lines = BoundedLines::new(open(path, 0)?, 0, u64::MAX);
        while let Found::Line(line) = lines.next()?
            && memmem::find(&line[..line.len().min(MARK)], b"\"session_meta\"").is_some()
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

/// The lines of a file behind an offset, if the line before it is the one that was read last.
fn continued(
    path: &Path,
    offset: u64,
    mark: &(usize, Vec<u8>),
) -> io::Result<Option<BoundedLines<Box<dyn Read>>>> {
    let Some(start) = offset.checked_sub(mark.0 as u64 + 1) else { return Ok(None) };
    let mut file = open(path, start)?;
    let (mut beginning, mut rest) = (vec![0; mark.1.len()], (mark.0 - mark.1.len()) as u64);
    match file.read_exact(&mut beginning) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    rest -= io::copy(&mut (&mut file).take(rest), &mut io::sink())?;
    let mut newline = [0];
    let is_line = rest == 0 && file.read(&mut newline)? == 1 && newline == *b"\n";
    Ok((is_line && beginning == mark.1).then(|| BoundedLines::new(file, offset, u64::MAX)))
}

/// The file that a session continues in.
fn live_file<'f>(files: &'f Files, session: Id, named: Option<&str>) -> io::Result<&'f RolloutFile> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "the session has no rollout");
    files.live(session, named).ok_or_else(missing)
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

/// The turns that were rolled back. The line comes after them, so that the files are read before the first record is
/// returned; most have no such line, and are only searched for it.
fn rolled_back(
    session: Option<Id>,
    sources: &[Source],
    problems: &mut Vec<Problem>,
) -> io::Result<Vec<(u64, u64)>> {
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
        return Ok(Vec::new());
    }
    let machine = Machine::new(session, Wants::default(), None);
    let mut scan =
        Reader::with(machine, session, sources.to_vec(), Options::default(), std::mem::take(problems));
    let count = scan.problems.len();
    while scan.next_record()?.is_some() {}
    scan.problems.truncate(count);
    *problems = scan.problems;
    Ok(scan.machine.into_rolled_back())
}

fn has_rollback(source: &Source) -> io::Result<bool> {
    const WORD: &[u8] = b"\"thread_rolled_back\"";
    let mut file = open(&source.path, source.start)?.take(source.end.saturating_sub(source.start));
    let finder = memmem::Finder::new(WORD);
    let (mut block, mut kept) = (vec![0; 256 << 10], 0);
    loop {
        let got = match file.read(&mut block[kept..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            got => got?,
        };
        let filled = kept + got;
        if finder.find(&block[..filled]).is_some() {
            return Ok(true);
        }
        if got == 0 {
            return Ok(false);
        }
        kept = filled.min(WORD.len());
        block.copy_within(filled - kept..filled, 0);
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
    let live = live_file(files, session, named)?;
    let mut problems = Vec::new();
    for source in of_session(files, session, live, false, &mut problems)? {
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
