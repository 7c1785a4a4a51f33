//! What the last lines of a rollout say about its last turn, for whoever adds one or judges one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Line, LineKind, Tokens, open};
use crate::ndjson::{self, Lines};

use crate::time::Timestamp;

/// How far back from the end is looked.
const WINDOW: u64 = 4 << 20;

/// The last turn, as far as it stands in the last 4 MiB.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastTurn {
    /// The sandbox mode, in Codex's word.
    pub sandbox: Option<String>,
    /// The tokens of the whole session so far.
    pub total_usage: Option<Tokens>,
    /// The message and the kind of the error that ended it (from 0.148).
    pub error: Option<(String, serde_json::Value)>,
}

/// What the user said last, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct LastMessage {
    /// The text.
    pub text: String,
    /// When it was written.
    pub at: Option<Timestamp>,
}

/// The last message of the user, as far as it stands in the last 4 MiB. Of a compressed rollout nothing
/// is known. In a turn that has only the model's copy of it, that one counts.
pub fn last_message(path: &Path) -> io::Result<Option<LastMessage>> {
    let has = |line: &[u8], word: &str| memchr::memmem::find(line, word.as_bytes()).is_some();
    let is_message = |line: &&[u8]| {
        let start = &line[..line.len().min(256)];
        ["\"user_message\"", "\"UserMessage\"", "\"role\":\"user\""].iter().any(|word| has(line, word))
            || has(start, "\"task_started\"")
            || has(start, "\"turn_started\"")
    };
    let mut copy = None;
    for line in window(path)?.rsplit(|byte| *byte == b'\n').filter(is_message) {
        let Some(line) = Line::parse(line) else { continue };
        match line.kind {
            LineKind::UserMessage { text, .. } => {
                return Ok(Some(LastMessage { text: text.into(), at: line.at }));
            }
            LineKind::Prompt { text, .. } => {
                copy.get_or_insert(LastMessage { text: text.into(), at: line.at });
            }
            LineKind::TurnStarted if copy.is_some() => break,
            _ => {}
        }
    }
    Ok(copy)
}

/// Judges turns that ended without a last message, in versions that write no errors (up to 0.147). Such a
/// turn failed if the model was asked more often than it answered: each answer makes the count of
/// tokens grow, and the model is asked at the start of a turn and after each run of tool outputs. A
/// review, and a turn that has no message of the user but a compaction or a command of the user's own,
/// did not fail.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    asked: usize,
    answered: usize,
    total: Option<Tokens>,
    /// Whether the model will be asked for what came last already.
    is_asked: bool,
    has_message: bool,
    is_own: bool,
    is_review: bool,
}

impl Turns {
    /// Takes the next line of the file.
    pub fn take(&mut self, kind: &LineKind<'_>) {
        match kind {
            LineKind::TurnStarted => {
                let (total, is_review) = (self.total.take(), self.is_review);
                *self = Turns { asked: 1, is_asked: true, total, is_review, ..Turns::default() };
            }
            LineKind::UserMessage { .. } => {
                // Something said to a turn that had its answer asks once more.
                if self.has_message && self.answered >= self.asked {
                    self.count_request();
                }
                self.has_message = true;
            }
            LineKind::ToolOutput => self.count_request(),
            LineKind::ToolCall { .. } | LineKind::Copy => self.is_asked = false,
            LineKind::Tokens { total: Some(total), .. } if self.total.as_ref() != Some(total) => {
                self.answered += 1;
                self.total = Some(total.clone());
            }
            // Within a turn the model is asked afterwards.
            LineKind::Compacted if self.has_message => {
                (self.asked, self.answered, self.is_asked) = (1, 0, true);
            }
            LineKind::Compacted | LineKind::UserCommand => self.is_own = true,
            LineKind::Reviewed => self.is_review = true,
            _ => {}
        }
        if matches!(
            kind,
            LineKind::TurnSilent | LineKind::TurnCompleted { .. } | LineKind::TurnAborted { .. }
        ) {
            self.is_review = false;
        }
    }

    fn count_request(&mut self) {
        self.asked += usize::from(!self.is_asked);
        self.is_asked = true;
    }

    /// Whether the turn that ends here without a last message failed. To be asked before its end is taken.
    pub fn failed(&self) -> bool {
        let did_own = self.is_own && !self.has_message;
        !did_own && !self.is_review && self.answered < self.asked
    }
}

/// The ids of the turns that a rollout holds, with those that were copied from its parent, and without
/// those that were rolled back.
pub fn turns_held(path: &Path) -> io::Result<Vec<String>> {
    let words = ["\"task_started\"", "\"turn_started\"", "\"thread_rolled_back\""];
    let mut lines = Lines::new(open(path)?, 256 << 10);
    let mut turns = Vec::new();
    while let Some(line) = lines.next()? {
        let ndjson::RawLine::Whole(line) = line else { continue };
        let start = &line[..line.len().min(256)];
        if !words.iter().any(|word| memchr::memmem::find(start, word.as_bytes()).is_some()) {
            continue;
        }
        match Line::parse(line).map(|line| (line.kind, line.turn)) {
            Some((LineKind::TurnStarted, turn)) => turns.push(turn.unwrap_or_default().into_owned()),
            Some((LineKind::RolledBack { turns: off }, _)) => {
                turns.truncate(turns.len().saturating_sub(usize::try_from(off).unwrap_or(usize::MAX)));
            }
            _ => {}
        }
    }
    Ok(turns)
}

/// Whether a message of the user was written behind the first `before` bytes. An error where that cannot be
/// seen, as in a compressed rollout.
pub fn has_message_after(path: &Path, before: u64) -> io::Result<bool> {
    let is_compressed = path.extension().is_some_and(|extension| extension == "zst");
    let mut file = File::open(path)?;
    if is_compressed || file.metadata()?.len() < before {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its lines have moved"));
    }
    file.seek(SeekFrom::Start(before))?;
    let mut lines = Lines::new(file, 64 << 10);
    while let Some(line) = lines.next()? {
        // A line that is too long to be read may be a message.
        let ndjson::RawLine::Whole(line) = line else { return Ok(true) };
        // The model's copy of it comes first, and is as good.
        let kind = Line::parse(line).map(|line| line.kind);
        if matches!(kind, Some(LineKind::UserMessage { .. } | LineKind::Prompt { .. })) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The end of a rollout.
fn window(path: &Path) -> io::Result<Vec<u8>> {
    if path.extension().is_some_and(|extension| extension == "zst") {
        return Ok(Vec::new());
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(WINDOW);
    let mut block = vec![0; (length - from) as usize];
    file.read_exact_at(&mut block, from)?;
    Ok(block)
}

/// Reads it. Of a compressed rollout nothing is known.
pub fn last_turn(path: &Path) -> io::Result<LastTurn> {
    let mut turn = LastTurn::default();
    let mut ended = false;
    let block = window(path)?;
    for line in block.rsplit(|byte| *byte == b'\n') {
        if turn.sandbox.is_some() && turn.total_usage.is_some() && ended {
            break;
        }
        let has = |word: &[u8]| memchr::memmem::find(&line[..line.len().min(256)], word).is_some();
        let wanted = (turn.sandbox.is_none() && has(b"\"turn_context\""))
            || (turn.total_usage.is_none() && has(b"\"token_count\""))
            || (!ended
                && (has(b"\"task_complete\"")
                    || has(b"\"turn_complete\"")
                    || has(b"\"task_started\"")
                    || has(b"\"turn_started\"")));
        if !wanted {
            continue;
        }
        match Line::parse(line).map(|line| line.kind) {
            Some(LineKind::Context { sandbox, .. }) if turn.sandbox.is_none() => {
                turn.sandbox = sandbox.map(Cow::into_owned);
            }
            Some(LineKind::Tokens { total, .. }) if turn.total_usage.is_none() => turn.total_usage = total,
            Some(LineKind::TurnFailed { error }) if !ended => {
                ended = true;
                turn.error = error.map(|error| {
                    (error.message.unwrap_or_default().into_owned(), error.info.unwrap_or_default())
                });
            }
            Some(LineKind::TurnCompleted { .. } | LineKind::TurnStarted) => ended = true,
            _ => {}
        }
    }
    // A session whose turns have all failed has used nothing; a fork has used what its parent had.
    let is_whole = (block.len() as u64) < WINDOW && block.ends_with(b"\n");
    let is_fork = memchr::memmem::find(&block, b"\"forked_from_id\"").is_some();
    if turn.total_usage.is_none() && is_whole && !is_fork {
        turn.total_usage = Some(BTreeMap::new());
    }
    Ok(turn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_that_were_rolled_back_are_not_held() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let started = |id: &str| {
            format!(r#"{{"type":"event_msg","payload":{{"type":"task_started","turn_id":"{id}"}}}}"#)
        };
        let back = r#"{"type":"event_msg","payload":{"type":"thread_rolled_back","num_turns":2}}"#.to_owned();
        let text = [started("a"), started("b"), started("c"), back, started("d")].join("\n");
        std::os::unix::fs::FileExt::write_all_at(file.as_file(), text.as_bytes(), 0).unwrap();
        assert_eq!(turns_held(file.path()).unwrap(), ["a", "d"]);
    }

    #[test]
    fn the_last_turn_counts() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = [
            r#"{"type":"turn_context","payload":{"cwd":"/p","sandbox_policy":{"type":"read-only"}}}"#,
            r#"{"type":"event_msg","payload":{"type":"task_complete","error":{"message":"old","codex_error_info":"other"}}}"#,
            r#"{"type":"turn_context","payload":{"cwd":"/p","sandbox_policy":{"mode":"workspace-write"}}}"#,
            r#"{"type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":5}}}}"#,
            r#"{"type":"event_msg","payload":{"type":"token_count","info":null}}"#,
            r#"{"type":"event_msg","payload":{"type":"task_complete","error":{"message":"m","codex_error_info":"usage_limit_exceeded"}}}"#,
            r#"{"type":"event_msg","payload":{"type":"task_"#,
        ];
        std::os::unix::fs::FileExt::write_all_at(file.as_file(), lines.join("\n").as_bytes(), 0).unwrap();
        let turn = last_turn(file.path()).unwrap();
        assert_eq!(turn.sandbox.as_deref(), Some("workspace-write"));
        assert_eq!(turn.total_usage.unwrap()["input_tokens"], 5);
        assert_eq!(turn.error.unwrap(), ("m".to_owned(), "usage_limit_exceeded".into()));
        let used = |text: &str| {
            file.as_file().set_len(0).unwrap();
            std::os::unix::fs::FileExt::write_all_at(file.as_file(), text.as_bytes(), 0).unwrap();
            last_turn(file.path()).unwrap().total_usage
        };
        assert_eq!(used("{\"type\":\"session_meta\",\"payload\":{}}\n"), Some(BTreeMap::new()));
        assert_eq!(used("{\"type\":\"session_meta\",\"payload\":{\"forked_from_id\":\"x\"}}\n"), None);
    }
}
