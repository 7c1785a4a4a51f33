//! The end of a rollout: when its last turn began, and how it ended.
//!
//! A turn's id (0.101 on) is a UUID of version 7 and so has the time that the turn began at, 10 to 130 ms
//! before `recency_at_ms` in the database. It stands in the line that ends the turn, and in `paginated`
//! sessions in nearly each line, so that the last kilobytes of a file have it.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem;

use super::{Line, LineKind, Turns, open};
use crate::record::Id;
use crate::time::Timestamp;

/// How far back from the end of a file its last turn is looked for.
const TAIL_LIMIT: u64 = 64 << 20;

/// Words of which one stands at the beginning of each line that may say how a turn ended.
const WANTED: [&str; 5] = ["\"task_", "\"turn_", "_message\"", "\"item_completed\"", "\"message\""];
/// And of each that shows what happened in a turn.
const OF_A_TURN: [&str; 6] =
    ["\"token_count\"", "_call", "\"reasoning\"", "\"compacted\"", "_review_mode\"", "\"response_item\""];

/// How far back from the end of a file the id of its last turn is looked for.
const TURN_LIMIT: usize = 512 << 10;

/// How the last turn of a file ended, as far as the file alone can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// There was no turn.
    NoTurn,
    /// A turn was begun and has not ended: it runs, or its process died.
    Begun,
    /// It was completed.
    Completed,
    /// It was completed with an error.
    Failed,
    /// It was interrupted.
    Interrupted,
    /// A user message without an answer, in a version that wrote no ends of turns (up to 0.98).
    Unanswered,
}

/// What the tail of a file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    /// When the last turn began; where no id says so, the time of the last line that is no name and no
    /// setting.
    pub last_at: Option<Timestamp>,
    /// How the last turn ended; `None` where it was not asked for or not found in the last 64 MiB.
    pub ending: Option<Ending>,
    /// The directory of the last turn.
    pub cwd: Option<String>,
    /// The model of the last turn.
    pub model: Option<String>,
}

/// Reads the tail of a rollout: when its last turn began and, if asked for, how it ended.
pub fn tail(path: &Path, with_ending: bool) -> io::Result<Tail> {
    let mut reader = TailReader::new(with_ending);
    let from_start = lines_from_end(path, &mut |line| reader.line(line))?;
    Ok(reader.finish(from_start))
}

/// Gives the lines of a rollout from the last to the first, without their newlines, for at most the last
/// 64 MiB, and says whether all were given.
pub fn lines_from_end(path: &Path, each: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> io::Result<bool> {
    if path.extension().is_some_and(|extension| extension == "zst") {
        // Compressed files cannot be read from the end: keep what the last lines need.
        let mut kept: Vec<u8> = Vec::new();
        let mut file = open(path)?;
        let mut block = vec![0; 256 << 10];
        let mut cut = false;
        loop {
            let got = file.read(&mut block)?;
            if got == 0 {
                break;
            }
            kept.extend_from_slice(&block[..got]);
            if kept.len() as u64 > 2 * TAIL_LIMIT {
                kept.drain(..kept.len() - TAIL_LIMIT as usize);
                cut = true;
            }
        }
        return Ok(backwards(&mut kept, !cut, each).is_continue() && !cut);
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut from = length;
    let mut window: u64 = 8 << 10;
    // The end of a line that begins further ahead: it was read and is not yet given.
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
        window = (window * 8).min(TAIL_LIMIT);
    }
    Ok(from == 0)
}

fn read_at(file: &File, block: &mut [u8], from: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match file.read_at(&mut block[filled..], from + filled as u64) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Gives the lines of a block from its end and leaves what was not given; its first line is given only
/// if the block begins with it.
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

/// Reads lines from the last to the first until all that is wanted was found.
struct TailReader {
    with_ending: bool,
    looked: usize,
    last_at: Option<Timestamp>,
    turn_at: Option<Timestamp>,
    /// Whether the id of the last turn was found, or cannot be.
    is_turn_known: bool,
    ending: Option<Ending>,
    /// From messages, which count only where no line says how the turn ended.
    guess: Option<Ending>,
    cwd: Option<String>,
    model: Option<String>,
    /// The lines before an end without a last message, the last one first, back to the count of tokens
    /// before its turn.
    silent: Option<Vec<LineKind<'static>>>,
    began: bool,
}

impl TailReader {
    fn new(with_ending: bool) -> Self {
        TailReader {
            with_ending,
            looked: 0,
            last_at: None,
            turn_at: None,
            is_turn_known: false,
            ending: None,
            guess: None,
            cwd: None,
            model: None,
            silent: None,
            began: false,
        }
    }

    fn is_done(&self) -> bool {
        let is_dated = self.turn_at.is_some() || (self.is_turn_known && self.last_at.is_some());
        is_dated && (!self.with_ending || (self.ending.is_some() && self.cwd.is_some()))
    }

    /// Takes the line before the one that it took last.
    fn line(&mut self, line: &[u8]) -> ControlFlow<()> {
        // Millions of empty lines, as a damaged file may have, are not worth a search each.
        if !line.is_empty() {
            self.read_line(line);
        }
        self.looked += line.len() + 1;
        self.is_turn_known |= self.looked > TURN_LIMIT;
        if self.is_done() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn read_line(&mut self, line: &[u8]) {
        let has = |needle: &str| memmem::find(&line[..line.len().min(256)], needle.as_bytes()).is_some();
        if !self.is_turn_known {
            self.turn_at = turn(line).and_then(Id::created_at);
            // The oldest versions gave turns no ids.
            self.is_turn_known = self.turn_at.is_some() || has("_message\"");
        }
        let is_dated = self.turn_at.is_some() || self.last_at.is_some();
        let needed = !(is_dated || has("\"thread_name_updated\"") || has("\"thread_settings_applied\""))
            || (self.with_ending
                && (WANTED.iter().any(|word| has(word))
                    || (self.silent.is_some() && OF_A_TURN.iter().any(|word| has(word)))));
        if !needed {
            return;
        }
        let Some(line) = Line::parse(line) else { return };
        if !is_dated {
            self.last_at = line.at;
        }
        if let LineKind::Context { cwd, model, .. } = line.kind {
            if self.cwd.is_none() {
                self.cwd = cwd.map(Cow::into_owned);
                self.model = model.map(Cow::into_owned);
            }
            return;
        }
        if self.ending.is_some() {
            return;
        }
        if let Some(lines) = &mut self.silent {
            let is_total = matches!(line.kind, LineKind::Tokens { total: Some(_), .. });
            let kept = match line.kind {
                LineKind::TurnStarted => LineKind::TurnStarted,
                LineKind::UserMessage { images, .. } => LineKind::UserMessage { text: "".into(), images },
                LineKind::ToolCall { .. } => LineKind::Copy,
                LineKind::Tokens { total, .. } => LineKind::Tokens { total, last: None },
                LineKind::Copy => LineKind::Copy,
                LineKind::ToolOutput => LineKind::ToolOutput,
                LineKind::Compacted => LineKind::Compacted,
                LineKind::UserCommand => LineKind::UserCommand,
                LineKind::Reviewed => LineKind::Reviewed,
                _ => return,
            };
            lines.push(kept);
            // A reviewer's turn within it begins as well, after its message.
            self.began |= lines.last() == Some(&LineKind::TurnStarted);
            if self.began && is_total {
                self.judge();
            }
            return;
        }
        match line.kind {
            LineKind::TurnSilent => self.silent = Some(Vec::new()),
            LineKind::TurnStarted => self.ending = Some(Ending::Begun),
            LineKind::TurnAborted { .. } => self.ending = Some(Ending::Interrupted),
            LineKind::TurnCompleted { .. } => self.ending = Some(Ending::Completed),
            LineKind::TurnFailed { .. } => self.ending = Some(Ending::Failed),
            LineKind::AgentMessage { .. } => {
                self.guess.get_or_insert(Ending::Completed);
            }
            LineKind::UserMessage { .. } => {
                self.guess.get_or_insert(Ending::Unanswered);
            }
            _ => {}
        }
    }

    /// Judges an end without a last message by the lines before it.
    fn judge(&mut self) {
        let mut turns = Turns::default();
        for kind in self.silent.take().unwrap_or_default().iter().rev() {
            turns.take(kind);
        }
        self.ending = Some(if turns.failed() { Ending::Failed } else { Ending::Completed });
    }

    fn finish(mut self, from_start: bool) -> Tail {
        if self.silent.is_some() && self.began {
            self.judge();
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

/// The id of the turn that a line belongs to. Within a text its quotes would be escaped.
fn turn(line: &[u8]) -> Option<Id> {
    const KEY: &[u8] = b"\"turn_id\":\"";
    let start = &line[..line.len().min(1024)];
    let from = memmem::find(start, KEY)? + KEY.len();
    std::str::from_utf8(start.get(from..from + 36)?).ok().and_then(Id::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_passes_over_a_cut_line() {
        let mut reader = TailReader::new(true);
        let block = concat!(
            r#"{"timestamp":"2026-11-22T10:00:00.000Z","type":"turn_context","payload":{"cwd":"/p","model":"m"}}"#,
            "\n",
            r#"{"timestamp":"2026-11-22T10:00:01.000Z","type":"event_msg","payload":{"type":"task_complete","last_agent_message":"hi"}}"#,
            "\n",
            r#"{"timestamp":"2026-11-22T10:00:02.000Z","type":"event_msg","payload":{"type":"task_star"#
        );
        let mut block = block.as_bytes().to_vec();
        assert!(backwards(&mut block, true, &mut |line| reader.line(line)).is_break());
        let tail = reader.finish(true);
        assert_eq!(tail.ending, Some(Ending::Completed));
        assert_eq!(tail.cwd.as_deref(), Some("/p"));
        assert_eq!(tail.last_at.unwrap().to_string(), "2026-11-22T10:00:01.000Z");
    }
}
