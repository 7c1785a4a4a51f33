//! The turns of a rollout: the last one with the usage limits after it, the failed ones, those that it has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::line::{LineKind, Tokens};
use super::wire::{Line, string};
use super::{beginning, is_compressed, lines_from_end, open};
use crate::ndjson::{Lines, RawLine};
use crate::time::Timestamp;

/// The last turn, as far as the end of the rollout has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastTurn {
    /// The sandbox mode, by Codex's name.
    pub sandbox: Option<String>,
    /// The tokens of the whole session so far.
    pub total_usage: Option<Tokens>,
    /// The message and the kind of the error that ended the turn (from 0.148).
    pub error: Option<(String, serde_json::Value)>,
}

/// The last message of the user.
#[derive(Clone, Debug, PartialEq)]
pub struct LastMessage {
    /// The text.
    pub text: String,
    /// The time of its line.
    pub at: Option<Timestamp>,
}

fn has_any(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| memmem::find(text, word.as_bytes()).is_some())
}

/// The last message of the user, as far as the end of the rollout has it. In a turn that has only the model's copy of a
/// message, the copy counts.
pub fn last_message(path: &Path) -> io::Result<Option<LastMessage>> {
    let (mut message, mut copy) = (None, None);
    lines_from_end(path, &mut |line| {
        if !has_any(line, &["\"user_message\"", "\"UserMessage\"", "\"role\":\"user\""])
            && !has_any(beginning(line), &["\"task_started\"", "\"turn_started\""])
        {
            return ControlFlow::Continue(());
        }
        let Some((at, kind)) = Line::read(line, |line| (line.at(), LineKind::of(line))) else {
            return ControlFlow::Continue(());
        };
        match kind {
            LineKind::UserMessage { text, .. } => {
                message = Some(LastMessage { text, at });
                return ControlFlow::Break(());
            }
            LineKind::Prompt { text, .. } => {
                copy.get_or_insert(LastMessage { text, at });
            }
            LineKind::TurnStarted if copy.is_some() => return ControlFlow::Break(()),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(message.or(copy))
}

/// A judgement of turns that ended without a last message, in versions that write no errors (up to 0.147). Such a
/// turn failed if the model was asked more often than it answered: each answer makes the count of
/// tokens grow, and the model is asked at the start of a turn and after each run of tool outputs. A
/// review, and a turn that has no message of the user but a compaction or a command of the user's own,
/// did not fail.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    asked: usize,
    answered: usize,
    total: Option<Tokens>,
    /// Whether a request for the last line is counted already.
    is_asked: bool,
    has_message: bool,
    is_own: bool,
    is_review: bool,
}

impl Turns {
    /// Adds the next line of the file.
    pub(crate) fn add(&mut self, kind: &LineKind) {
        match kind {
            LineKind::TurnStarted => {
                let (total, is_review) = (self.total.take(), self.is_review);
                *self = Turns { asked: 1, is_asked: true, total, is_review, ..Turns::default() };
            }
            LineKind::UserMessage { .. } => {
                // A further message of a turn that has its answer is a further request.
                if self.has_message && self.answered >= self.asked {
                    self.count_request();
                }
                self.has_message = true;
            }
            LineKind::ToolOutput => self.count_request(),
            LineKind::Answer => self.is_asked = false,
            LineKind::Tokens { total: Some(total) } if self.total.as_ref() != Some(total) => {
                self.answered += 1;
                self.total = Some(total.clone());
            }
            // Within a turn the model is asked afterwards.
            LineKind::Compacted if self.has_message => {
                (self.asked, self.answered, self.is_asked) = (1, 0, true);
            }
            LineKind::Compacted | LineKind::UserCommand => self.is_own = true,
            LineKind::Reviewed { .. } => self.is_review = true,
            _ => {}
        }
        if kind.ends_turn() {
            self.is_review = false;
        }
    }

    fn count_request(&mut self) {
        self.asked += usize::from(!self.is_asked);
        self.is_asked = true;
    }

    /// Whether the turn that ends here without a last message failed. Call it before its last line is added.
    pub(crate) fn failed(&self) -> bool {
        let did_own = self.is_own && !self.has_message;
        !did_own && !self.is_review && self.answered < self.asked
    }
}

/// The ids of the turns of a rollout, with those that were copied from its parent, and without those that were rolled
/// back.
pub fn turn_ids(path: &Path) -> io::Result<Vec<String>> {
    let mut lines = Lines::new(open(path)?, 256 << 10);
    let mut turns = Vec::new();
    while let Some(line) = lines.next()? {
        let RawLine::Whole(line) = line else { continue };
        if !has_any(beginning(line), &["\"task_started\"", "\"turn_started\"", "\"thread_rolled_back\""]) {
            continue;
        }
        match Line::read(line, |line| (LineKind::of(line), string(line.fields.turn_id))) {
            Some((LineKind::TurnStarted, turn)) => turns.push(turn.unwrap_or_default()),
            Some((LineKind::RolledBack { turns: count }, _)) => {
                turns.truncate(turns.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX)));
            }
            _ => {}
        }
    }
    Ok(turns)
}

/// Whether a message of the user was written behind the first `before` bytes. A compressed rollout, whose lines cannot
/// be found by their place, is an error.
pub fn has_message_after(path: &Path, before: u64) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if is_compressed(path) || file.metadata()?.len() < before {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the lines of the rollout have moved"));
    }
    file.seek(SeekFrom::Start(before))?;
    let mut lines = Lines::new(file, 64 << 10);
    while let Some(line) = lines.next()? {
        // A line that is too long to be read may be a message.
        let RawLine::Whole(line) = line else { return Ok(true) };
        // The model's copy comes before the message.
        let kind = LineKind::read(line);
        if matches!(kind, Some(LineKind::UserMessage { .. } | LineKind::Prompt { .. })) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The last turn of a rollout.
pub fn last_turn(path: &Path) -> io::Result<LastTurn> {
    const ENDS: [&str; 4] =
        ["\"task_complete\"", "\"turn_complete\"", "\"task_started\"", "\"turn_started\""];
    let mut turn = LastTurn::default();
    let (mut has_ended, mut is_complete, mut is_fork) = (false, None, false);
    let has_all = lines_from_end(path, &mut |line| {
        let start = beginning(line);
        is_complete.get_or_insert_with(|| LineKind::read(line).is_some());
        is_fork |= has_any(start, &["\"session_meta\""]) && has_any(line, &["\"forked_from_id\""]);
        let is_wanted = (turn.sandbox.is_none() && has_any(start, &["\"turn_context\""]))
            || (turn.total_usage.is_none() && has_any(start, &["\"token_count\""]))
            || (!has_ended && has_any(start, &ENDS));
        match is_wanted.then(|| LineKind::read(line)).flatten() {
            Some(LineKind::Context { sandbox, .. }) if turn.sandbox.is_none() => {
                turn.sandbox = sandbox;
            }
            Some(LineKind::Tokens { total }) if turn.total_usage.is_none() => turn.total_usage = total,
            Some(LineKind::TurnFailed { error }) if !has_ended => {
                has_ended = true;
                turn.error = Some((error.message.unwrap_or_default(), error.info.unwrap_or_default()));
            }
            Some(LineKind::TurnCompleted | LineKind::TurnStarted) => has_ended = true,
            _ => {}
        }
        match turn.sandbox.is_some() && turn.total_usage.is_some() && has_ended {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    // A session whose turns have all failed has used no tokens; a fork has used those of its parent.
    if turn.total_usage.is_none() && has_all && is_complete == Some(true) && !is_fork {
        turn.total_usage = Some(BTreeMap::new());
    }
    Ok(turn)
}

/// A window of time in which an account may use an amount of the service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LimitWindow {
    /// The length of the window in minutes; null if unknown.
    pub minutes: Option<i64>,
    /// The used part of the amount, in percent.
    pub used_percent: f64,
    /// The time when the window resets; null if unknown.
    pub resets_at: Option<Timestamp>,
}

/// The usage limits in an answer of the service, as Codex counted tokens.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RateLimits {
    /// The plan of the account.
    pub plan_type: Option<String>,
    /// The id of the limit.
    pub limit_id: Option<String>,
    /// The name of the limit.
    pub limit_name: Option<String>,
    primary: Option<RateWindow>,
    secondary: Option<RateWindow>,
}

#[derive(Debug, Deserialize)]
struct RateWindow {
    used_percent: f64,
    window_minutes: Option<i64>,
    resets_at: Option<i64>,
}

impl RateLimits {
    /// The limits in a line, and the time of it; `None` for a line without a count of tokens. A count of another form has no
    /// windows.
    pub fn of_line(line: &[u8]) -> Option<(RateLimits, Option<Timestamp>)> {
        #[derive(Deserialize)]
        struct Counted {
            timestamp: Option<String>,
            payload: Payload,
        }
        #[derive(Deserialize)]
        struct Payload {
            rate_limits: Option<RateLimits>,
        }
        memmem::find(beginning(line), b"\"token_count\"")?;
        let Ok(Counted { timestamp, payload }) = serde_json::from_slice(line) else {
            return Some((RateLimits::default(), None));
        };
        let at = timestamp.and_then(|at| Timestamp::parse(&at));
        Some((payload.rate_limits.unwrap_or_default(), at))
    }

    /// The windows, the shortest first.
    pub fn windows(&self) -> Vec<LimitWindow> {
        let window = |window: &RateWindow| LimitWindow {
            minutes: window.window_minutes,
            used_percent: window.used_percent,
            resets_at: window.resets_at.and_then(|at| at.checked_mul(1000)).map(Timestamp),
        };
        let mut windows: Vec<LimitWindow> =
            [&self.primary, &self.secondary].into_iter().flatten().map(window).collect();
        windows.sort_by_key(|window| window.minutes);
        windows
    }
}

/// The windows of the last turn of a rollout, the shortest first; empty if the turn has none.
pub fn limit_windows(path: &Path) -> io::Result<Vec<LimitWindow>> {
    let mut found = RateLimits::default();
    lines_from_end(path, &mut |line| {
        if let Some((limits, _)) = RateLimits::of_line(line) {
            found = limits;
            return ControlFlow::Break(());
        }
        match has_any(beginning(line), &["\"task_started\"", "\"turn_started\""]) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    Ok(found.windows())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // A test makes the file that it reads.
mod tests {
    use super::*;

    #[test]
    fn the_windows_of_the_last_turn_are_read() {
        let windows = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            limit_windows(file.path()).unwrap()
        };
        let started = "{\"type\":\"event_msg\",\"payload\":{\"type\":\"task_started\"}}\n";
        let tokens = "{\"type\":\"event_msg\",\"payload\":{\"type\":\"token_count\",\"info\":null,\"rate_limits\":{\"primary\":\
                      {\"used_percent\":37.5,\"window_minutes\":10080,\"resets_at\":1796209565},\"secondary\":{\"used_percent\":\
                      100.0,\"window_minutes\":300,\"resets_at\":1795909585}}}}\n";
        let found = windows(&format!("{started}{tokens}"));
        let short: Vec<_> = found.iter().map(|window| (window.minutes, window.resets_at)).collect();
        let want = [
            (Some(300), Some(Timestamp(1_795_909_585_000))),
            (Some(10080), Some(Timestamp(1_796_209_565_000))),
        ];
        assert_eq!(short, want);
        assert_eq!(windows(&format!("{tokens}{started}")), [], "they are of an earlier turn");
        let none = "{\"type\":\"event_msg\",\"payload\":{\"type\":\"token_count\",\"info\":null,\"rate_limits\":null}}\n";
        assert_eq!(windows(&format!("{tokens}{none}")), []);
        assert_eq!(
            windows("{\"type\":\"event_msg\",\"payload\":{\"type\":\"token_count\",\"rate_limits\":7}}\n"),
            []
        );
        assert_eq!(windows(""), []);
    }

    #[test]
    fn turns_that_were_rolled_back_are_omitted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let started = |id: &str| {
            format!(r#"{{"type":"event_msg","payload":{{"type":"task_started","turn_id":"{id}"}}}}"#)
        };
        let back = r#"{"type":"event_msg","payload":{"type":"thread_rolled_back","num_turns":2}}"#.to_owned();
        let text = [started("a"), started("b"), started("c"), back, started("d")].join("\n");
        std::os::unix::fs::FileExt::write_all_at(file.as_file(), text.as_bytes(), 0).unwrap();
        assert_eq!(turn_ids(file.path()).unwrap(), ["a", "d"]);
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
