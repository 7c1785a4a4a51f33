//! The end of a rollout: when its last line was written, and how its last turn ended.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem;

use super::{Line, Said, open};
use crate::time::Timestamp;

/// How far back from the end of a file its last turn is looked for.
const TAIL_LIMIT: u64 = 64 << 20;

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
    /// The time of the last line.
    pub last_at: Option<Timestamp>,
    /// How the last turn ended; `None` where it was not asked for or not found in the last 64 MiB.
    pub ending: Option<Ending>,
    /// The directory of the last turn.
    pub cwd: Option<String>,
    /// The model of the last turn.
    pub model: Option<String>,
}

/// Reads the tail of a rollout: the time of its last line and, if asked for, how its last turn ended.
pub fn tail(path: &Path, with_ending: bool) -> io::Result<Tail> {
    let mut reader = TailReader::new(with_ending);
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
        reader.read(&kept, !cut);
        return Ok(reader.finish(!cut));
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut window: u64 = 8 << 10;
    loop {
        let from = length.saturating_sub(window);
        let mut block = vec![0; (length - from) as usize];
        let mut filled = 0;
        while filled < block.len() {
            match file.read_at(&mut block[filled..], from + filled as u64) {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        block.truncate(filled);
        reader = TailReader::new(with_ending);
        if reader.read(&block, from == 0) || from == 0 || window >= TAIL_LIMIT {
            return Ok(reader.finish(from == 0));
        }
        window = (window * 8).min(TAIL_LIMIT);
    }
}

/// Reads lines from the last to the first until all that is wanted was found.
struct TailReader {
    with_ending: bool,
    last_at: Option<Timestamp>,
    ending: Option<Ending>,
    /// From messages, which count only where no line says how the turn ended.
    guess: Option<Ending>,
    cwd: Option<String>,
    model: Option<String>,
}

impl TailReader {
    fn new(with_ending: bool) -> Self {
        TailReader { with_ending, last_at: None, ending: None, guess: None, cwd: None, model: None }
    }

    /// Takes the lines of a block from its end; its first line only if the block begins with it.
    /// True when nothing more is wanted.
    fn read(&mut self, block: &[u8], from_start: bool) -> bool {
        let mut end = block.len();
        while end > 0 && !self.is_done() {
            let before = &block[..end - usize::from(block[end - 1] == b'\n')];
            let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
            if start == 0 && !from_start {
                break;
            }
            self.line(&before[start..]);
            end = start;
        }
        self.is_done()
    }

    fn is_done(&self) -> bool {
        self.last_at.is_some() && (!self.with_ending || (self.ending.is_some() && self.cwd.is_some()))
    }

    fn line(&mut self, line: &[u8]) {
        let has = |needle: &str| memmem::find(&line[..line.len().min(256)], needle.as_bytes()).is_some();
        let needed = self.last_at.is_none()
            || (self.with_ending
                && (has("\"task_") || has("\"turn_") || has("_message\"") || has("\"item_completed\"")));
        if !needed {
            return;
        }
        let Some(line) = Line::parse(line) else { return };
        if self.last_at.is_none() {
            self.last_at = line.at;
        }
        if let Said::Context { cwd, model, .. } = line.said {
            if self.cwd.is_none() {
                self.cwd = cwd.map(Cow::into_owned);
                self.model = model.map(Cow::into_owned);
            }
            return;
        }
        if self.ending.is_some() {
            return;
        }
        match line.said {
            Said::TurnStarted => self.ending = Some(Ending::Begun),
            Said::TurnAborted { .. } => self.ending = Some(Ending::Interrupted),
            Said::TurnCompleted { .. } => self.ending = Some(Ending::Completed),
            Said::TurnFailed { .. } => self.ending = Some(Ending::Failed),
            Said::AgentMessage { .. } => {
                self.guess.get_or_insert(Ending::Completed);
            }
            Said::UserMessage { .. } => {
                self.guess.get_or_insert(Ending::Unanswered);
            }
            _ => {}
        }
    }

    fn finish(self, from_start: bool) -> Tail {
        let nothing = if from_start { self.guess.or(Some(Ending::NoTurn)) } else { None };
        Tail {
            last_at: self.last_at,
            ending: if self.with_ending { self.ending.or(nothing) } else { None },
            cwd: self.cwd,
            model: self.model,
        }
    }
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
        assert!(reader.read(block.as_bytes(), true));
        let tail = reader.finish(true);
        assert_eq!(tail.ending, Some(Ending::Completed));
        assert_eq!(tail.cwd.as_deref(), Some("/p"));
        assert_eq!(tail.last_at.unwrap().to_string(), "2026-11-22T10:00:01.000Z");
    }
}
