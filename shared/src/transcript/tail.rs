//! The last turns of a transcript, from the end of its files.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memmem::Finder;

use super::chain::Source;

/// The part of a line that has its kind.
const HEAD: usize = 256;
/// The first block from the end, and the greatest one.
const FIRST: u64 = 64 << 10;
const GREATEST: u64 = 256 << 10;
/// The number of bytes before the turns in which a count of tokens is searched for.
const FURTHER: u64 = 512 << 10;

/// What the lines of a file show, from its end on.
#[derive(Default)]
struct Seen {
    /// The offsets of the lines that mark the starts of turns, the last one first.
    starts: Vec<u64>,
    /// The offsets of the messages of the user, which mark the starts of turns up to 0.98.
    messages: Vec<u64>,
    /// The offsets of counts of tokens.
    counts: Vec<u64>,
}

/// The pieces that have at least the last turns, if there are so many, and whether they are the whole transcript. A count
/// of tokens before these turns is in the pieces as well, since the first count of a turn may repeat it.
pub(super) fn last(mut sources: Vec<Source>, wanted: u64) -> io::Result<(Vec<Source>, bool)> {
    let mut left = usize::try_from(wanted).unwrap_or(usize::MAX);
    for at in (0..sources.len()).rev() {
        let source = &sources[at];
        if source.path.extension().is_some_and(|extension| extension == "zst") {
            // A compressed file cannot be read from its end.
            left = left.saturating_sub(1);
            continue;
        }
        let file = match File::open(&source.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let end = source.end.min(file.metadata()?.len());
        let (start, found) = start_of_last(&file, source.start, end, left)?;
        if let Some(start) = start.filter(|start| *start > source.start) {
            sources[at].start = start;
            sources.drain(..at);
            return Ok((sources, false));
        }
        left = left.saturating_sub(found);
        if left == 0 && at > 0 {
            // The turn before these is in the piece before this one.
            left = 1;
        }
    }
    Ok((sources, true))
}

/// The offset at which the last turns of a piece begin; `None` if the piece has not more turns. Also the number of turns
/// that were seen.
fn start_of_last(file: &File, from: u64, end: u64, wanted: usize) -> io::Result<(Option<u64>, usize)> {
    let words = ["\"task_started\"", "\"turn_started\"", "\"user_message\"", "\"total_token_usage\""];
    let finders = words.map(|word| Finder::new(word.as_bytes()));
    let (mut seen, mut block, mut size, mut at) = (Seen::default(), Vec::new(), FIRST, end);
    while at > from {
        let start = at.saturating_sub(size).max(from);
        // The words of a line whose beginning is at the end of the block are behind it.
        let (ahead, behind) = ((start - from).min(HEAD as u64), (end - at).min(HEAD as u64));
        block.resize((at + behind - start + ahead) as usize, 0);
        file.read_exact_at(&mut block, start - ahead)?;
        let mut found = Seen::default();
        for (finder, place) in finders.iter().zip([0, 0, 1, 2]) {
            for hit in finder.find_iter(&block) {
                let line = memchr::memrchr(b'\n', &block[..hit]).map(|at| at + 1);
                let Some(line) = line.or((start == from && ahead == 0).then_some(0)) else { continue };
                let offset = start - ahead + line as u64;
                if hit - line > HEAD || !(start..at).contains(&offset) {
                    continue;
                }
                let list = [&mut found.starts, &mut found.messages, &mut found.counts];
                list.into_iter().nth(place).into_iter().for_each(|list| list.push(offset));
            }
        }
        for (all, mut new) in [
            (&mut seen.starts, found.starts),
            (&mut seen.messages, found.messages),
            (&mut seen.counts, found.counts),
        ] {
            new.sort_unstable_by(|a, b| b.cmp(a));
            all.append(&mut new);
        }
        at = start;
        size = (size * 2).min(GREATEST);
        if let Some(start) = seen.starts.get(wanted.saturating_sub(1)).copied() {
            // The turn of a count before is read from its start. A turn without a count may be long.
            let count = seen.counts.iter().find(|count| **count < start);
            let first = count.and_then(|count| seen.starts.iter().find(|start| *start < count).copied());
            if let Some(first) = first.or((start - at > FURTHER).then_some(start)) {
                return Ok((Some(before_review(file, from, first)?), seen.starts.len()));
            }
        }
    }
    let starts = if seen.starts.is_empty() { seen.messages } else { seen.starts };
    Ok((None, starts.len()))
}

/// The line before the start of a reviewer's turn, which marks the start of the review.
fn before_review(file: &File, from: u64, start: u64) -> io::Result<u64> {
    let length = (start - from).min(4096);
    let mut block = vec![0; length as usize];
    file.read_exact_at(&mut block, start - length)?;
    let Some(before) = block.len().checked_sub(1).and_then(|end| memchr::memrchr(b'\n', &block[..end]))
    else {
        return Ok(start);
    };
    let line = &block[before + 1..];
    let is_review = ["\"entered_review_mode\"", "\"EnteredReviewMode\""]
        .iter()
        .any(|word| memchr::memmem::find(line, word.as_bytes()).is_some());
    Ok(if is_review { start - (block.len() - before - 1) as u64 } else { start })
}
