//! The search for rollbacks in a file.
//!
//! A rollback is a line that comes after the turns that it undoes, so that the whole file is searched before its first
//! turn is shown: 1 GB of memory is read in about 0.1 s on two processors. A great file is searched in parts, on as many
//! threads as there are processors.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memmem::Finder;

use super::chain::{Source, Text, open};
use crate::ndjson::block::{Block, PAGE};

const WORD: &[u8] = b"\"thread_rolled_back\"";
/// The part of the word that may stand at the end of a block, or of a part.
const KEPT: usize = WORD.len() - 1;
/// The size of a block.
const BLOCK: usize = 256 << 10;
/// The least size of a part, which takes longer to read than a thread to start.
const PART: u64 = 16 << 20;
/// The greatest number of threads: more of them wait for the memory.
const THREADS: u64 = 8;

/// Whether a rollback may have undone turns of the file.
pub(super) fn has_rollback(source: &Source) -> io::Result<bool> {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64).min(THREADS);
    has_word(source, threads, PART)
}

fn has_word(source: &Source, threads: u64, least: u64) -> io::Result<bool> {
    let is_found = AtomicBool::new(false);
    let first = open(&source.path, source.start)?;
    // The bytes of a compressed file have no places that could be read alone.
    let parts = match first {
        Text::Plain(_) => (source.size() / least).clamp(1, threads),
        Text::Decompressed(_) => 1,
    };
    let size = (source.size() / parts).next_multiple_of(PAGE as u64);
    let search = |text: Text, part: u64| {
        let start = source.start + part * size;
        // The last one reads what is written meanwhile.
        let end = if part + 1 == parts { source.end } else { (start + size + KEPT as u64).min(source.end) };
        let found = find(text.take(end.saturating_sub(start)), &is_found)?;
        is_found.fetch_or(found, Ordering::Relaxed);
        io::Result::Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..parts)
            .map(|part| {
                let search = &search;
                scope.spawn(move || search(open(&source.path, source.start + part * size)?, part))
            })
            .collect();
        let mut result = search(first, 0);
        for other in others {
            result = result.and(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        // An error elsewhere does not matter where the word was found.
        if is_found.load(Ordering::Relaxed) { Ok(true) } else { result.map(|()| false) }
    })
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
        let ends = [0, BLOCK, length / 2, length / 3, length - WORD.len()];
        for middle in ends {
            for at in middle.saturating_sub(WORD.len() + 1)..=middle + 1 {
                let at = at.min(length - WORD.len());
                let mut bytes = vec![b'"'; length];
                bytes[at..at + WORD.len()].copy_from_slice(WORD);
                std::fs::write(&path, &bytes).unwrap();
                for (start, end) in [(0, u64::MAX), (0, (at + WORD.len()) as u64), (at as u64, u64::MAX)] {
                    let source = source(&path, start, end);
                    for threads in [1, 2, 3] {
                        assert!(has_word(&source, threads, 10).unwrap(), "{at} {start} {end} {threads}");
                    }
                }
                for (start, end) in [(0, (at + WORD.len() - 1) as u64), (at as u64 + 1, u64::MAX)] {
                    assert!(!has_word(&source(&path, start, end), 3, 10).unwrap(), "{at} {start} {end}");
                }
            }
        }
        assert!(has_rollback(&source(&directory.path().join("none"), 0, 9)).is_err());
    }

    fn source(path: &std::path::Path, start: u64, end: u64) -> Source {
        let (part, is_rest) = (Part::default(), false);
        Source { path: path.to_owned(), start, end, end_ordinal: None, part, is_rest, may_roll_back: true }
    }
}
