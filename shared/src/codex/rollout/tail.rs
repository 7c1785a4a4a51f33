//! The end of a rollout: when its last turn began, and how that turn ended.
//!
//! A turn's id (0.101 on) is a UUID of version 7 and so has the time that the turn began at, 10 to 130 ms
//! before `recency_at_ms` in the database. The id is in the line that ends the turn, and in `paginated`
//! sessions in nearly each line, so that the last kilobytes of a file have it.
//!
//! Lines are read backwards, and only so far as the last turn needs it. The result is that of a reader of the whole file:
//! a turn that was rolled back does not count, nor does one that a subagent has a copy of, and [`Turns`] judges a turn
//! whose end does not show whether it failed.

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

use memchr::memmem;

use super::line::LineKind;
use super::turn::Turns;
use super::wire::{Line, text};
use super::{Base, Depth, beginning, head, id_of, is_compressed, open, read_at};
use crate::record::Id;
use crate::time::Timestamp;

/// The number of bytes before the end of a file in which its last turn is searched for.
const TAIL_LIMIT: u64 = 64 << 20;

/// Each line that may show how a turn ended has one of these words at its beginning.
const WANTED: [&str; 6] =
    ["\"task_", "\"turn_", "_message\"", "\"message\"", "_review_mode\"", "\"thread_rolled_back\""];
/// The item of a review has this word somewhat further back.
const REVIEW: &str = "ReviewMode\"";
/// Each line that is a part of a turn has one of these words at its beginning.
const OF_A_TURN: [&str; 6] =
    ["\"token_count\"", "_call", "\"reasoning\"", "\"compacted\"", "_review_mode\"", "\"response_item\""];

/// The number of bytes before the end of a file in which the id of its last turn is searched for.
const TURN_LIMIT: usize = 512 << 10;

/// How the last turn of a file ended, as far as the file alone shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// There was no turn.
    NoTurn,
    /// The turn has not ended: it is running, or its process died.
    Begun,
    /// The turn was completed.
    Completed,
    /// The turn ended in an error.
    Failed,
    /// The turn was interrupted.
    Interrupted,
    /// A user message without an answer, in a version that wrote no ends of turns (up to 0.98).
    Unanswered,
}

/// The tail of a rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    /// When the last turn began; without an id of a turn, the time of the last line that is neither a name nor a
    /// setting.
    pub last_at: Option<Timestamp>,
    /// How the last turn ended; `None` where it was not asked for or is not in the last 64 MiB.
    pub ending: Option<Ending>,
    /// The directory of the last turn.
    pub cwd: Option<String>,
    /// The model of the last turn.
    pub model: Option<String>,
}

/// Reads the tail of a rollout: when its last turn began and, with `with_ending`, how the turn ended.
pub fn tail(path: &Path, with_ending: bool) -> io::Result<Tail> {
    let mut reader = TailReader { with_ending, ..TailReader::default() };
    let from_start = lines_from_end(path, &mut |line| reader.add(line))?;
    let turn = reader.turn.and_then(Id::created_at);
    let mut tail = reader.finish(from_start);
    // A turn that is older than its session is one of its parent.
    if turn.zip(id_of(path).and_then(Id::created_at)).is_some_and(|(turn, session)| turn < session)
        && head(path, Depth::Start).is_ok_and(|head| head.meta.subagent.is_some())
    {
        tail.ending = tail.ending.map(|_| Ending::NoTurn);
    }
    Ok(tail)
}

/// How the last turn ended of the part of a rollout that another one continues.
pub fn ending_of_base(path: &Path, base: &Base) -> io::Result<Option<Ending>> {
    let (end, end_ordinal) = base.bounds(path);
    let mut reader = TailReader { with_ending: true, end_ordinal, ..TailReader::default() };
    let from_start = lines_before(path, end, &mut |line| reader.add(line))?;
    Ok(reader.finish(from_start).ending)
}

/// Passes the lines of a rollout to `each` from the last to the first, without their newlines, for at most the last
/// 64 MiB. Returns whether all lines were passed.
pub fn lines_from_end(path: &Path, each: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> io::Result<bool> {
    lines_before(path, u64::MAX, each)
}

/// As [`lines_from_end`], of the text before an offset.
fn lines_before(path: &Path, end: u64, each: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> io::Result<bool> {
    if is_compressed(path) {
        // A compressed file cannot be read from the end: enough of its text for the limit is kept.
        let (mut kept, mut file, mut block) = (Vec::new(), open(path)?.take(end), vec![0; 256 << 10]);
        let mut has_all = true;
        loop {
            let got = file.read(&mut block)?;
            if got == 0 {
                return Ok(backwards(&mut kept, has_all, each).is_continue() && has_all);
            }
            kept.extend_from_slice(&block[..got]);
            if kept.len() as u64 > 2 * TAIL_LIMIT {
                kept.drain(..kept.len() - TAIL_LIMIT as usize);
                has_all = false;
            }
        }
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len().min(end);
    let mut from = length;
    let mut window: u64 = 8 << 10;
    const WINDOW: u64 = 256 << 10;
    // The end of a line that begins further ahead: read, and not yet passed.
    let mut kept: Vec<u8> = Vec::new();
    while from > 0 && length - from < TAIL_LIMIT {
        let start = from.saturating_sub(window);
        let mut block = vec![0; (from - start) as usize];
        let got = read_at(&file, &mut block, start)?;
        block.truncate(got);
        block.append(&mut kept);
        kept = block;
        from = start;
        if backwards(&mut kept, from == 0, each).is_break() {
            return Ok(false);
        }
        // A long line is not moved more often than it is doubled.
        window = (window * 8).min(WINDOW).max(kept.len() as u64);
    }
    Ok(from == 0)
}

/// Passes the lines of a block from its end, and removes them. The first line is passed only if it is complete.
fn backwards(
    block: &mut Vec<u8>,
    from_start: bool,
    each: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    while !block.is_empty() {
        let before = &block[..block.len() - usize::from(block.ends_with(b"\n"))];
        let start = match memchr::memrchr(b'\n', before) {
            Some(at) => at + 1,
            None if from_start => 0,
            None => break,
        };
        each(&before[start..])?;
        block.truncate(start);
    }
    ControlFlow::Continue(())
}

/// Reads lines from the last to the first until the tail is known.
#[derive(Default)]
struct TailReader {
    with_ending: bool,
    /// The ordinal of the first line that does not count.
    end_ordinal: Option<u64>,
    looked: usize,
    last_at: Option<Timestamp>,
    turn_at: Option<Timestamp>,
    /// Whether the id of the last turn was found, or cannot be found.
    is_turn_known: bool,
    ending: Option<Ending>,
    /// The turn that the ending is of.
    turn: Option<Id>,
    /// The ending by messages, which count only where no line shows how the turn ended.
    guess: Option<Ending>,
    /// The number of turns that were rolled back and not read yet; the same where messages are the starts of turns.
    undone: u64,
    undone_messages: u64,
    /// Whether the line that was read last is the start of a turn: that of a reviewer is behind the start of its review.
    is_behind_start: bool,
    cwd: Option<String>,
    model: Option<String>,
    /// The lines before the end of a turn without a last message, the last line first, back to the count of tokens
    /// before the turn.
    silent: Option<Vec<LineKind>>,
    began: bool,
}

impl TailReader {
    fn is_done(&self) -> bool {
        let is_dated = self.turn_at.is_some() || (self.is_turn_known && self.last_at.is_some());
        is_dated && (!self.with_ending || (self.ending.is_some() && self.cwd.is_some()))
    }

    /// Reads the line before the line that was read last.
    fn add(&mut self, line: &[u8]) -> ControlFlow<()> {
        // A damaged file may have millions of empty lines.
        if !line.is_empty() {
            self.read_line(line);
        }
        self.looked += line.len() + 1;
        self.is_turn_known |= self.looked > TURN_LIMIT;
        if self.is_done() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Whether a line may show how the last turn ended, or its directory.
    fn is_of_ending(&self, line: &[u8]) -> bool {
        let has = |word: &str| memmem::find(beginning(line), word.as_bytes()).is_some();
        if self.ending.is_some() {
            return self.cwd.is_none() && has("\"turn_context\"");
        }
        WANTED.iter().any(|word| has(word))
            || (self.silent.is_some() && OF_A_TURN.iter().any(|word| has(word)))
            || memmem::find(&line[..line.len().min(2 * beginning(line).len())], REVIEW.as_bytes()).is_some()
    }

    fn read_line(&mut self, line: &[u8]) {
        let has = |needle: &str| memmem::find(beginning(line), needle.as_bytes()).is_some();
        if !self.is_turn_known {
            self.turn_at = turn_id(line).and_then(Id::created_at);
            // Turns of the oldest versions have no ids.
            self.is_turn_known = self.turn_at.is_some() || has("_message\"");
        }
        let is_dated = self.turn_at.is_some() || self.last_at.is_some();
        let needed = !(is_dated || has("\"thread_name_updated\"") || has("\"thread_settings_applied\""))
            || (self.with_ending && self.is_of_ending(line));
        if !needed {
            return;
        }
        let Some((at, turn, kind)) = Line::read(line, |line| {
            let is_behind = self.end_ordinal.zip(line.ordinal).is_some_and(|(end, at)| at >= end);
            let turn = text(line.fields.turn_id).and_then(|id| Id::parse(&id));
            // A line without an envelope has no time of its own.
            let at = line.at().filter(|_| line.kind != "bare");
            (!is_behind).then(|| (at, turn, LineKind::of(line)))
        })
        .flatten() else {
            return;
        };
        if !is_dated {
            self.last_at = at;
        }
        if let LineKind::Context { cwd, model, .. } = kind {
            if self.cwd.is_none() {
                (self.cwd, self.model) = (cwd, model);
            }
        } else if self.ending.is_none() {
            self.add_to_ending(kind, turn);
        }
    }

    /// Reads a line for the ending.
    fn add_to_ending(&mut self, kind: LineKind, turn: Option<Id>) {
        if let Some(lines) = &mut self.silent {
            let is_total = matches!(kind, LineKind::Tokens { total: Some(_) });
            let Some(kind) = kind.without_text() else { return };
            lines.push(kind);
            // The turn of a reviewer within the turn begins as well, after its message.
            self.began |= lines.last() == Some(&LineKind::TurnStarted);
            if self.began && is_total {
                self.decide_ending();
            }
            return;
        }
        let is_behind_start = std::mem::take(&mut self.is_behind_start);
        if let LineKind::RolledBack { turns } = kind {
            self.undone = self.undone.saturating_add(turns);
            self.undone_messages = self.undone_messages.saturating_add(turns);
            return;
        }
        match &kind {
            LineKind::AgentMessage { text } if !text.is_empty() && self.undone_messages == 0 => {
                self.guess.get_or_insert(Ending::Completed);
            }
            LineKind::UserMessage { .. } if self.undone_messages > 0 => self.undone_messages -= 1,
            LineKind::UserMessage { .. } => {
                self.guess.get_or_insert(Ending::Unanswered);
            }
            _ => {}
        }
        if self.undone > 0 {
            self.is_behind_start = kind == LineKind::TurnStarted;
            self.undone -= u64::from(self.is_behind_start);
            return;
        }
        let ending = match kind {
            LineKind::TurnSilent => {
                (self.silent, self.turn) = (Some(Vec::new()), turn);
                return;
            }
            LineKind::Reviewed { is_start: true } if is_behind_start => return,
            LineKind::TurnStarted | LineKind::Reviewed { .. } => Ending::Begun,
            LineKind::TurnAborted => Ending::Interrupted,
            LineKind::TurnCompleted => Ending::Completed,
            LineKind::TurnFailed { .. } => Ending::Failed,
            _ => return,
        };
        (self.ending, self.turn) = (Some(ending), turn);
    }

    /// Judges the end of a turn without a last message by the lines before it.
    fn decide_ending(&mut self) {
        let mut turns = Turns::default();
        for kind in self.silent.take().unwrap_or_default().iter().rev() {
            turns.add(kind);
        }
        self.ending = Some(if turns.failed() { Ending::Failed } else { Ending::Completed });
    }

    fn finish(mut self, from_start: bool) -> Tail {
        if self.silent.is_some() && self.began {
            self.decide_ending();
        }
        let nothing = if from_start { self.guess.or(Some(Ending::NoTurn)) } else { None };
        Tail {
            last_at: self.turn_at.or(self.last_at),
            ending: if self.with_ending { self.ending.or(nothing) } else { None },
            cwd: self.cwd,
            model: self.model,
        }
    }
}

/// The id of the turn of a line. Within a text its quotes would be escaped.
fn turn_id(line: &[u8]) -> Option<Id> {
    const KEY: &[u8] = b"\"turn_id\":\"";
    let start = &line[..line.len().min(1024)];
    let from = memmem::find(start, KEY)? + KEY.len();
    std::str::from_utf8(start.get(from..from + 36)?).ok().and_then(Id::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_last_line_is_skipped() {
        let mut reader = TailReader { with_ending: true, ..TailReader::default() };
        let block = concat!(
            r#"{"timestamp":"2026-11-22T10:00:00.000Z","type":"turn_context","payload":{"cwd":"/p","model":"m"}}"#,
            "\n",
            r#"{"timestamp":"2026-11-22T10:00:01.000Z","type":"event_msg","payload":{"type":"task_complete","last_agent_message":"hi"}}"#,
            "\n",
            r#"{"timestamp":"2026-11-22T10:00:02.000Z","type":"event_msg","payload":{"type":"task_star"#
        );
        let mut block = block.as_bytes().to_vec();
        assert!(backwards(&mut block, true, &mut |line| reader.add(line)).is_break());
        let tail = reader.finish(true);
        assert_eq!(tail.ending, Some(Ending::Completed));
        assert_eq!(tail.cwd.as_deref(), Some("/p"));
        assert_eq!(tail.last_at.unwrap().to_string(), "2026-11-22T10:00:01.000Z");
    }
}
