//! The journal of a run: `journal.ndjson`, one line for each planned job and each event.
//!
//! **Guarantees.** For readers a line is appended atomically, and is on disk when [`Journal::append`] returns,
//! if `sync` was requested. `run.planned` comes first, then the plan (job records), then `run.started`; only the
//! jobs of a queue come after that, each as it is chosen. A journal without `run.started` is a plan that was
//! never begun. A journal has one runner at a time, by a kernel lock that the system releases however the runner
//! dies.
//!
//! **Crash.** A crash may leave a last line without its newline. Readers skip it, and the next runner truncates
//! it before it appends. A line of an unknown version makes the whole journal unreadable, with an error that
//! names it: an older release never adopts a run of a newer one.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::record::event::{Event, RunEvent};
use crate::record::job::{Job, VERSION};
use codex_agent_shared::error::{Context, Error, Result, reason};
use codex_agent_shared::ndjson::{Lines, RawLine};
use codex_agent_shared::store::place;

/// How long the lock of a journal may be held by a process that is no runner.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// The place of a line in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineSpan {
    offset: u64,
    length: usize,
}

/// A line of a journal.
#[derive(Debug)]
pub enum Entry {
    /// A planned job and the place of its record, so that its prompt need not stay in memory.
    Job(Box<Job>, LineSpan),
    /// An event.
    Event(Box<Event>),
}

/// A journal that is locked for writing.
pub struct Journal {
    file: File,
    path: PathBuf,
    length: u64,
}

impl Journal {
    /// Refuses to continue a run whose journal was removed.
    fn check_there(&self) -> Result<()> {
        let own = self.file.metadata().map(|meta| (meta.dev(), meta.ino()));
        let there = std::fs::metadata(&self.path).map(|meta| (meta.dev(), meta.ino()));
        if own.ok() == there.ok() {
            return Ok(());
        }
        let message = format!("the journal '{}' was removed during its run", self.path.display());
        Err(Error::new(message).hint("no more jobs are started; running jobs are not stopped"))
    }

    /// Creates the journal of a new run.
    pub fn create(path: PathBuf) -> Result<Journal> {
        let mut options = OpenOptions::new();
        let file = place::open(options.read(true).append(true).create_new(true), "the journal", &path)?;
        place::lock(&file, &path)?;
        place::check_locks(&path)?;
        Ok(Journal { file, path, length: 0 })
    }

    /// Opens and locks the journal of an earlier run. `None` if it has a runner. Truncates a torn last line.
    pub fn open(path: PathBuf) -> Result<Option<Journal>> {
        place::check(path.parent().unwrap_or(Path::new("/")))?;
        let mut file = place::open(OpenOptions::new().read(true).append(true), "the journal", &path)?;
        // A process that checks for a runner holds a shared lock for a moment.
        let patience = Instant::now() + PATIENCE;
        while !place::try_lock(&file, &path)? {
            if Instant::now() >= patience {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        place::check_locks(&path)?;
        let length = whole_lines(&mut file).context("read the journal", &path)?;
        file.set_len(length).context("cut the journal", &path)?;
        Ok(Some(Journal { file, path, length }))
    }

    /// Appends one line. With `sync` it is on disk afterwards, with all lines before it.
    pub fn append(&mut self, record: &impl Serialize, sync: bool) -> Result<LineSpan> {
        self.check_there()?;
        let mut line = serde_json::to_vec(record)
            .map_err(std::io::Error::from)
            .context("write the journal", &self.path)?;
        line.push(b'\n');
        let place = LineSpan { offset: self.length, length: line.len() };
        let written =
            self.file.write_all(&line).and_then(|()| if sync { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // A partial line would merge with the next one.
            let _ = self.file.set_len(self.length);
            let message = format!("cannot write the journal '{}': {}", self.path.display(), reason(&error));
            return Err(Error::new(message));
        }
        self.length += line.len() as u64;
        Ok(place)
    }

    /// The job at a place.
    pub fn job(&self, place: LineSpan) -> Result<Job> {
        job(&self.file, &self.path, place)
    }
}

fn job(file: &File, path: &Path, place: LineSpan) -> Result<Job> {
    let mut line = vec![0; place.length];
    file.read_exact_at(&mut line, place.offset).context("read the journal", path)?;
    serde_json::from_slice(&line).map_err(|error| damaged(path, &error.to_string()))
}

/// The length of the complete lines of a file.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut block = vec![0; 64 << 10];
    let mut end = length;
    while end > 0 {
        let from = end.saturating_sub(block.len() as u64);
        let part = &mut block[..(end - from) as usize];
        file.read_exact_at(part, from)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::new(format!("cannot read the journal '{}': {why}", path.display()))
}

/// The fields of every line.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    v: Option<u32>,
}

/// Reads a journal from its beginning, at any time and without a lock. Lines of unknown types and an incomplete
/// last line are skipped.
pub fn read(path: &Path, mut each: impl FnMut(Entry) -> Result<()>) -> Result<()> {
    let file = File::open(path).context("open the journal", path)?;
    // Lines that are appended meanwhile are not read.
    let length = file.metadata().context("read the journal", path)?.len();
    let mut lines = Lines::new(file.take(length), 64 << 10);
    let mut offset = 0;
    loop {
        let number = lines.number() + 1;
        let line = match lines.next().context("read the journal", path)? {
            None => return Ok(()),
            Some(RawLine::TooLong) => return Err(damaged(path, &format!("line {number} is too long"))),
            Some(RawLine::Whole(line)) => line,
        };
        let place = LineSpan { offset, length: line.len() };
        offset += line.len() as u64;
        if !line.ends_with(b"\n") {
            return Ok(());
        }
        if let Some(entry) = parse(path, number, line, place)? {
            each(entry)?;
        }
    }
}

/// Parses a line; `None` for an unknown type.
fn parse(path: &Path, number: u64, line: &[u8], place: LineSpan) -> Result<Option<Entry>> {
    let broken = |error: serde_json::Error| damaged(path, &format!("line {number}: {error}"));
    let head: Head<'_> = serde_json::from_slice(line).map_err(broken)?;
    if head.v != Some(VERSION) {
        let version = head.v.map_or("none".to_owned(), |v| v.to_string());
        return Err(damaged(path, &format!("line {number}: journal version {version} is not known here"))
            .hint("it was written by another release of codex-agent, which can continue it"));
    }
    Ok(match &*head.kind {
        "job" => Some(Entry::Job(Box::new(serde_json::from_slice(line).map_err(broken)?), place)),
        kind if RunEvent::WORDS.contains(&kind) => {
            Some(Entry::Event(Box::new(serde_json::from_slice(line).map_err(broken)?)))
        }
        // A type of a later release, or of an external tool.
        _ => None,
    })
}

/// A journal that is read while another process writes it.
pub struct Tail {
    file: File,
    path: PathBuf,
    rest: Vec<u8>,
    number: u64,
    offset: u64,
}

impl Tail {
    /// Opens a journal at its beginning.
    pub fn open(path: PathBuf) -> Result<Tail> {
        let file = File::open(&path).context("open the journal", &path)?;
        Ok(Tail { file, path, rest: Vec::new(), number: 0, offset: 0 })
    }

    /// The job at a place that was read.
    pub fn job(&self, place: LineSpan) -> Result<Job> {
        job(&self.file, &self.path, place)
    }

    /// Passes new lines to `each`. A partial line waits for its rest.
    pub fn read(&mut self, mut each: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        let mut block = vec![0; 64 << 10];
        loop {
            let got = match self.file.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(got) => got,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("read the journal", &self.path),
            };
            for piece in block[..got].split_inclusive(|byte| *byte == b'\n') {
                self.rest.extend_from_slice(piece);
                if !piece.ends_with(b"\n") {
                    break;
                }
                self.number += 1;
                let place = LineSpan { offset: self.offset, length: self.rest.len() };
                self.offset += self.rest.len() as u64;
                let entry = parse(&self.path, self.number, &self.rest, place)?;
                self.rest.clear();
                entry.map_or(Ok(()), &mut each)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &Path) -> Result<usize> {
        let mut count = 0;
        read(path, |_| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    #[test]
    fn a_torn_line_is_passed_over_and_then_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.ndjson");
        let mut journal = Journal::create(path.clone()).unwrap();
        let place = journal.append(&Job::new("one".into()), true).unwrap();
        assert_eq!(journal.job(place).unwrap().prompt, "one");
        assert!(Journal::open(path.clone()).unwrap().is_none(), "two runners have it");
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"type":"job","v":1,"pro"#).unwrap();
        assert_eq!(count(&path).unwrap(), 1);
        let mut journal = Journal::open(path.clone()).unwrap().unwrap();
        let place = journal.append(&Job::new("two".into()), false).unwrap();
        assert_eq!(journal.job(place).unwrap().prompt, "two");
        assert_eq!(count(&path).unwrap(), 2);
        file.write_all(b"{\"type\":\"run.dreamt\",\"v\":1}\n{\"type\":\"other\",\"v\":1}\n").unwrap();
        assert_eq!(count(&path).unwrap(), 2);
        file.write_all(b"{\"type\":\"run.completed\",\"v\":2}\n").unwrap();
        let error = count(&path).unwrap_err();
        assert!(error.message().contains("line 5: journal version 2 is not known here"), "{error}");
    }
}
