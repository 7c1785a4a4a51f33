//! Following a transcript: from its end or its last turns on, without an open file while nothing is written, and wherever
//! Codex moves the file.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::before::Before;
use super::chain::{Text, of_session, open};
use super::machine::Machine;
use super::reader::{Mark, Options, Reader, SHORT, Tail, live_file};
use super::state::Wants;
use super::tail::last;
use crate::codex::files::{Files, RolloutFile};
use crate::ndjson::bounded::BoundedLines;
use crate::record::{Id, Status};

/// The point from which a transcript is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// The length of the file: nothing that was written before is passed on.
    Now,
    /// The last turns, as many as this.
    Last(u64),
    /// The first line.
    Whole,
}

impl Reader {
    /// Follows a session whose file `live` has this length. Of a long transcript only the end is read, so that the numbers
    /// of its turns are null, unless it is followed as a whole.
    #[doc(hidden)]
    pub fn follow(
        files: &Files,
        session: Id,
        live: &RolloutFile,
        length: u64,
        beginning: Beginning,
        options: Options,
    ) -> io::Result<Reader> {
        let mut problems = Vec::new();
        let mut sources = of_session(files, session, live, false, &mut problems)?;
        if let Some(last) = sources.last_mut()
            && !live.name().compressed
        {
            last.end = length;
        }
        let count = match beginning {
            // The turn that is open, or the one that ended last.
            Beginning::Now => Some(1),
            Beginning::Last(count) => Some(count),
            Beginning::Whole => None,
        };
        let tail = match count {
            Some(count) => Tail::of(Some(session), sources, count, SHORT)?,
            None => Tail { sources, turns: 0, turns_before: 0, is_whole: true },
        };
        let mut reader =
            Reader::new(Some(session), tail.sources, Options { live: false, ..options.clone() }, problems)?;
        reader.options = Options { live: true, ..options };
        reader.machine.follow();
        let skipped = if beginning == Beginning::Now { 0 } else { tail.turns_before };
        reader.machine.skip(skipped, !tail.is_whole);
        reader.is_bounded = true;
        if beginning == Beginning::Now {
            while reader.is_bounded && reader.read_line()? {
                reader.machine.drop_records();
            }
            reader.machine.drop_records();
        }
        Ok(reader)
    }

    /// The status of the session by its transcript alone: running if the last turn has not ended, although its process
    /// may have.
    #[doc(hidden)]
    pub fn status(&self) -> Status {
        self.machine.status()
    }

    /// Whether the text is being read that was written before the session was followed.
    #[doc(hidden)]
    pub fn is_past(&self) -> bool {
        self.is_bounded
    }

    /// Whether the file is open.
    #[doc(hidden)]
    pub fn is_open(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.lines.is_some())
    }

    /// Reads on up to this length of the file, so that no writer keeps the reader busy.
    #[doc(hidden)]
    pub fn read_up_to(&mut self, length: u64) {
        if let Some(lines) = self.current.as_mut().and_then(|current| current.lines.as_mut()) {
            lines.read_up_to(length);
        }
    }

    /// Closes the file until [`Reader::continues_in`].
    #[doc(hidden)]
    pub fn close(&mut self) {
        if let Some(current) = &mut self.current {
            current.offset = current.offset();
            current.lines = None;
        }
    }

    /// Whether the text that was read is at the beginning of this file, which is read from then on.
    #[doc(hidden)]
    pub fn continues_in(&mut self, file: &RolloutFile) -> io::Result<bool> {
        let Some(position) = self.reached().filter(|reached| reached.segment == file.name().segment) else {
            return Ok(false);
        };
        let Some(current) = &mut self.current else { return Ok(false) };
        let opened = current.lines.as_ref().map(BoundedLines::reader);
        if let Some(Text::Plain(opened)) = opened
            && key(&opened.metadata()?) == key(&std::fs::metadata(&file.path)?)
        {
            return self.mark.is_in(opened, position.offset);
        }
        let Some(lines) = continued(&file.path, position.offset, &self.mark)? else { return Ok(false) };
        file.path.clone_into(&mut current.path);
        current.lines = Some(lines);
        Ok(true)
    }

    /// Finds the files of a session again that is followed: its file may have been archived, compressed, migrated or
    /// replaced, or the session was reverted. What was returned before is not returned again; a turn that a revert left
    /// behind is, as undone.
    #[doc(hidden)]
    pub fn find_again(&mut self, files: &Files, named: Option<&str>) -> io::Result<()> {
        let Some(session) = self.session else { return Ok(()) };
        self.continue_in(files, live_file(files, session, named)?)
    }

    /// As [`Reader::find_again`], where the file is known.
    #[doc(hidden)]
    pub fn continue_in(&mut self, files: &Files, live: &RolloutFile) -> io::Result<()> {
        let Some(session) = self.session else { return Ok(()) };
        if self.continues_in(live)? {
            return Ok(());
        }
        let is_reverted = self.reached().is_some_and(|reached| reached.segment != live.name().segment);
        let mut problems = Vec::new();
        let sources = of_session(files, session, live, self.options.undone, &mut problems)?;
        let size: u64 = sources.iter().map(super::chain::Source::size).sum();
        let (sources, is_whole) = match size <= SHORT || self.options.undone {
            true => (sources, true),
            false => last(sources, FOUND_AGAIN)?,
        };
        let Options { undone, copied, live } = self.options;
        let mut machine =
            Machine::new(Some(session), Wants { undone, copied, live, ..Wants::default() }, None);
        machine.skip(0, !is_whole);
        let before = Before::new(self.before.take(), self.machine.passed_on(), is_whole, is_reverted);
        *self = Reader::with(machine, Some(session), sources, self.options.clone(), problems);
        self.before = Some(before);
        Ok(())
    }
}

/// The number of turns that are read again of a long transcript that was found again.
const FOUND_AGAIN: u64 = 8;

/// The lines of a file behind an offset, if the line before it is the one that was read last.
fn continued(path: &Path, offset: u64, mark: &Mark) -> io::Result<Option<BoundedLines<Text>>> {
    if offset == 0 {
        return Ok(Some(BoundedLines::new(open(path, 0)?, 0, u64::MAX)));
    }
    let Some(start) = offset.checked_sub(mark.length + 1) else { return Ok(None) };
    let mut text = open(path, start)?;
    let (mut beginning, mut rest) =
        (vec![0; mark.beginning.len()], mark.length - mark.beginning.len() as u64);
    match text.read_exact(&mut beginning) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    match &mut text {
        Text::Plain(file) => {
            file.seek(SeekFrom::Current(i64::try_from(rest).unwrap_or(i64::MAX)))?;
            rest = 0;
        }
        text => rest -= io::copy(&mut text.take(rest), &mut io::sink())?,
    }
    let mut newline = [0];
    let is_line = rest == 0 && text.read(&mut newline)? == 1 && newline == *b"\n";
    Ok((is_line && beginning == mark.beginning).then(|| BoundedLines::new(text, offset, u64::MAX)))
}

impl Mark {
    /// Whether a file has the line at the end of what was read.
    fn is_in(&self, file: &File, offset: u64) -> io::Result<bool> {
        let Some(start) = offset.checked_sub(self.length + 1) else { return Ok(offset == 0) };
        let mut newline = [0];
        let mut beginning = vec![0; self.beginning.len()];
        let read = file
            .read_exact_at(&mut newline, offset - 1)
            .and_then(|()| file.read_exact_at(&mut beginning, start));
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            read => read.map(|()| newline == *b"\n" && beginning == self.beginning),
        }
    }
}

/// The identity of a file, independent of its name.
pub(crate) fn key(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}
