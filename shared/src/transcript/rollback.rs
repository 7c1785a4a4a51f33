//! The search for rollbacks in a file.
//!
//! A rollback is a line that comes after the turns that it undoes, so that the whole file is searched before it is known
//! whether its first turn stands. A great file is searched in parts, on as many threads as there are processors.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, available_parallelism, scope};

use memchr::memmem::Finder;

use super::chain::{Source, Text, open};
use crate::ndjson::block::{Block, PAGE};

const WORD: &[u8] = b"\"thread_rolled_back\"";
/// The number of bytes of the word that may stand before the end of a block or of a part.
const KEPT: usize = WORD.len() - 1;
/// The size of a block.
const BLOCK: usize = 128 << 10;
/// The least size of a part, which takes longer to read than a thread to start.
const PART: u64 = 16 << 20;
/// The greatest number of threads: more of them wait for the memory.
const THREADS: u64 = 8;

/// Whether a rollback may have undone turns of the file.
pub(super) fn has_rollback(source: &Source) -> io::Result<bool> {
    let threads = |parts: u64| match parts {
        0 | 1 => 1,
        parts => available_parallelism().map_or(1, |count| count.get() as u64).min(THREADS).min(parts),
    };
    has_word(source, &threads, PART)
}

fn has_word(source: &Source, threads: &dyn Fn(u64) -> u64, least: u64) -> io::Result<bool> {
    let is_found = AtomicBool::new(false);
    let file = match open(&source.path, source.start)? {
        Text::Plain(file) => file,
        // It has no places that could be read alone.
        text => return find(text.take(source.end.saturating_sub(source.start)), &is_found),
    };
    let length = file.metadata()?.len().min(source.end).saturating_sub(source.start);
    let parts = threads(length / least);
    let size = part_size(length, parts);
    let search = |part: u64| {
        let at = source.start + part * size;
        // The last part has what is written meanwhile.
        let end = if part + 1 == parts { source.end } else { (at + size + KEPT as u64).min(source.end) };
        let found = find(Place { file: &file, at }.take(end.saturating_sub(at)), &is_found)?;
        is_found.fetch_or(found, Ordering::Relaxed);
        io::Result::Ok(())
    };
    let result = scope(|scope| {
        let search = &search;
        let (mut others, mut own) = (Vec::new(), vec![0]);
        for part in 1..parts {
            match Builder::new().spawn_scoped(scope, move || search(part)) {
                Ok(other) => others.push(other),
                // There may be a limit of threads.
                Err(_) => own.push(part),
            }
        }
        let mut result = own.into_iter().try_for_each(search);
        for other in others {
            result = result.and(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        result
    });
    // An error elsewhere does not matter where the word was found.
    if is_found.load(Ordering::Relaxed) { Ok(true) } else { result.map(|()| false) }
}

/// The size of all parts but the last: whole pages.
fn part_size(length: u64, parts: u64) -> u64 {
    (length / parts).next_multiple_of(PAGE as u64)
}

/// A file, read from a place. Its own place is not used, so that several threads can read it.
struct Place<'f> {
    file: &'f File,
    at: u64,
}

impl Read for Place<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(buffer, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

/// Whether a text has the word; `false` as soon as another thread has found it.
fn find(mut text: impl Read, is_over: &AtomicBool) -> io::Result<bool> {
    let finder = Finder::new(WORD);
    // Each read begins with a page, in the file and in the block, and the end of the last one is before it.
    let mut memory = Block::new(PAGE + BLOCK);
    let block = memory.bytes();
    let mut from = PAGE;
    while !is_over.load(Ordering::Relaxed) {
        let got = match text.read(&mut block[PAGE..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            got => got?,
        };
        let filled = PAGE + got;
        if finder.find(&block[from..filled]).is_some() {
            return Ok(true);
        }
        if got == 0 {
            break;
        }
        let kept = (filled - from).min(KEPT);
        from = PAGE - kept;
        block.copy_within(filled - kept..filled, from);
    }
    Ok(false)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // A test makes the file that it reads.
mod tests {
    use super::super::state::Part;
    use super::*;

    /// The word at each place around the ends of parts and blocks, in files and in pieces of files.
    #[test]
    fn the_word_is_found_wherever_a_part_ends() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rollout");
        let length = 3 * BLOCK + 1234;
        let word = WORD.len();
        let mut ends = vec![word, BLOCK, length - 1];
        for parts in [2, 3] {
            ends.extend((1..parts).map(|part| (part * part_size(length as u64, parts)) as usize));
        }
        let (mut bytes, mut across) = (vec![b'"'; length], 0);
        for end in ends {
            for at in end - word..=(end + 1).min(length - word) {
                bytes[at..at + word].copy_from_slice(WORD);
                std::fs::write(&path, &bytes).unwrap();
                bytes[at..at + word].fill(b'"');
                across += usize::from(at < end && end < at + word);
                let has = |start: usize, end: u64, parts: u64| {
                    let source = source(&path, start as u64, end);
                    has_word(&source, &|_| parts, 1).unwrap()
                };
                for parts in [1, 2, 3] {
                    assert!(has(0, u64::MAX, parts), "{at} {parts}");
                    assert!(has(0, (at + word) as u64, parts), "{at} {parts}");
                    assert!(!has(0, (at + word - 1) as u64, parts), "{at} {parts}");
                    assert!(!has(at + 1, u64::MAX, parts), "{at} {parts}");
                }
                assert!(has(at, u64::MAX, 2), "{at}");
            }
        }
        assert!(across > 4 * KEPT, "{across}");
        assert!(has_rollback(&source(&directory.path().join("none"), 0, 9)).is_err());
    }

    fn source(path: &std::path::Path, start: u64, end: u64) -> Source {
        let (part, is_rest) = (Part::default(), false);
        Source { path: path.to_owned(), start, end, end_ordinal: None, part, is_rest, may_roll_back: true }
    }
}
