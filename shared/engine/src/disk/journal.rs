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
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::event::{Event, RunEvent};
use crate::record::job::{Job, VERSION};
use codex_agent_shared::error::{Context, Error, Result};
use codex_agent_shared::ndjson::LONGEST_LINE;
use codex_agent_shared::store::lock::Lock;
use codex_agent_shared::store::private;

/// How long the lock of a journal may be held by a process that is no runner.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// The place of a line in a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    lock: Lock,
    length: u64,
}

impl Journal {
    /// Creates the journal of a new run.
    pub fn create(path: &Path) -> Result<Journal> {
        let mut options = OpenOptions::new();
        let file = private::open(options.read(true).append(true).create_new(true), "the journal", path)?;
        let lock = Lock::on(file, path)?;
        lock.check_exclusive()?;
        Ok(Journal { lock, length: 0 })
    }

    /// Opens and locks the journal of an earlier run. `None` if it has a runner.
    pub fn open(path: &Path) -> Result<Option<Journal>> {
        private::check_dir(path.parent().unwrap_or(Path::new("/")))?;
        let file = private::open(OpenOptions::new().read(true).append(true), "the journal", path)?;
        // A process that checks for a runner holds a shared lock for a moment.
        let Some(lock) = Lock::on_within(file, path, PATIENCE)? else { return Ok(None) };
        lock.check_exclusive()?;
        let length = complete_length(lock.file()).context("read the journal", path)?;
        Ok(Some(Journal { lock, length }))
    }

    /// Appends one line. With `sync` it is on disk afterwards, with all lines before it.
    pub fn append(&mut self, record: &impl Serialize, sync: bool) -> Result<LineSpan> {
        let (mut file, path) = (self.lock.file(), self.lock.path());
        let own = file.metadata().context("examine the journal", path)?;
        if !std::fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())) {
            let message = format!("the journal '{}' was removed during its run", path.display());
            return Err(Error::new(message).hint("no more jobs are started; running jobs are not stopped"));
        }
        let mut write = || {
            let mut line = serde_json::to_vec(record)?;
            line.push(b'\n');
            // A torn line of an earlier write would merge with this one.
            if own.len() != self.length {
                file.set_len(self.length)?;
            }
            file.write_all(&line)?;
            if sync { file.sync_data().map(|()| line.len()) } else { Ok(line.len()) }
        };
        let length = write().context("write the journal", path).inspect_err(|_| {
            // Readers skip a torn line, and the next runner truncates it.
            let _ = file.set_len(self.length);
        })?;
        let place = LineSpan { offset: self.length, length };
        self.length += length as u64;
        Ok(place)
    }

    /// The job at a place.
    pub fn job(&self, place: LineSpan) -> Result<Job> {
        read_job(self.lock.file(), self.lock.path(), place)
    }
}

fn read_job(file: &File, path: &Path, place: LineSpan) -> Result<Job> {
    let mut line = vec![0; place.length];
    file.read_exact_at(&mut line, place.offset).context("read the journal", path)?;
    serde_json::from_slice(&line).map_err(|error| damaged(path, &error.to_string()))
}

/// The length of the complete lines of a file.
fn complete_length(file: &File) -> std::io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut block = vec![0; 64 << 10];
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

/// Parses a line; `None` for an unknown type.
fn parse(path: &Path, number: u64, line: &[u8], place: LineSpan) -> Result<Option<Entry>> {
    let broken = |error: serde_json::Error| damaged(path, &format!("line {number}: {error}"));
    let head: Head<'_> = serde_json::from_slice(line).map_err(broken)?;
    if head.v != Some(VERSION) {
        let version = head.v.map_or("none".to_owned(), |v| v.to_string());
        return Err(damaged(path, &format!("line {number}: journal version {version} is unknown"))
            .hint("another release of codex-agent wrote the journal, and can continue the run"));
    }
    Ok(match &*head.kind {
        "job" => Some(Entry::Job(Box::new(serde_json::from_slice(line).map_err(broken)?), place)),
        kind if RunEvent::TYPES.contains(&kind) => {
            Some(Entry::Event(Box::new(serde_json::from_slice(line).map_err(broken)?)))
        }
        // A type of a later release, or of an external tool.
        _ => None,
    })
}

/// A journal that is read at any time and without a lock, while another process may write it.
pub struct JournalReader {
    reader: BufReader<File>,
    path: PathBuf,
    line: Vec<u8>,
    number: u64,
    offset: u64,
}

impl JournalReader {
    /// Opens a journal at its beginning.
    pub fn open(path: &Path) -> Result<JournalReader> {
        let file = File::open(path).context("open the journal", path)?;
        let (reader, line) = (BufReader::with_capacity(64 << 10, file), Vec::new());
        Ok(JournalReader { reader, path: path.to_owned(), line, number: 0, offset: 0 })
    }

    /// The job at a place that was read.
    pub fn job(&self, place: LineSpan) -> Result<Job> {
        read_job(self.reader.get_ref(), &self.path, place)
    }

    /// Passes new lines to `each`. Lines of unknown types are skipped, and a partial line waits for its rest.
    pub fn read(&mut self, mut each: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        loop {
            let most = (LONGEST_LINE - self.line.len()) as u64;
            let read = self.reader.by_ref().take(most).read_until(b'\n', &mut self.line);
            read.context("read the journal", &self.path)?;
            if !self.line.ends_with(b"\n") {
                if self.line.len() < LONGEST_LINE {
                    return Ok(());
                }
                return Err(damaged(&self.path, &format!("line {} is too long", self.number + 1)));
            }
            self.number += 1;
            let place = LineSpan { offset: self.offset, length: self.line.len() };
            self.offset += self.line.len() as u64;
            let entry = parse(&self.path, self.number, &self.line, place)?;
            self.line.clear();
            entry.map_or(Ok(()), &mut each)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &Path) -> Result<usize> {
        let mut count = 0;
        JournalReader::open(path)?.read(|_| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    #[test]
    fn a_torn_line_is_skipped_and_then_truncated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.ndjson");
        let mut journal = Journal::create(&path).unwrap();
        let place = journal.append(&Job::new("one".into()), true).unwrap();
        assert_eq!(journal.job(place).unwrap().prompt, "one");
        assert!(Journal::open(&path).unwrap().is_none(), "two runners have it");
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"type":"job","v":1,"pro"#).unwrap();
        assert_eq!(count(&path).unwrap(), 1);
        let mut journal = Journal::open(&path).unwrap().unwrap();
        let place = journal.append(&Job::new("two".into()), false).unwrap();
        assert_eq!(journal.job(place).unwrap().prompt, "two");
        assert_eq!(count(&path).unwrap(), 2);
        file.write_all(b"{\"type\":\"run.dreamt\",\"v\":1}\n{\"type\":\"other\",\"v\":1}\n").unwrap();
        assert_eq!(count(&path).unwrap(), 2);
        file.write_all(b"{\"type\":\"run.completed\",\"v\":2}\n").unwrap();
        let error = count(&path).unwrap_err();
        assert!(error.message().contains("line 5: journal version 2 is unknown"), "{error}");
    }
}
