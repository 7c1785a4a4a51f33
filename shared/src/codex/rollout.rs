//! One rollout file: what its name says, what its first line says, what its end says.
//!
//! A rollout is `rollout-YYYY-MM-DDThh-mm-ss-<id>.jsonl` (local time of its making), from 0.148 also
//! with `_<segment id>` before the dot (a session that was reverted goes on in a further file), from
//! 0.137 also `.jsonl.zst`. The first line is `session_meta`: 0.4 KB in 0.45, 22 KB from 0.89 on
//! because of the instructions in it; nothing assumes that it fits any buffer. Before September 2025 it
//! was the bare `{"id","timestamp","instructions","git"}`, and the other lines were bare items. A copied fork
//! (0.92 to 0.146, and of `legacy` sessions later) has its parent's `session_meta` on line 2: only
//! the first one counts. User messages are `event_msg/user_message`, from 0.148 on in `paginated`
//! sessions `event_msg/item_completed` with a `UserMessage`. Where a turn has neither, the model's copy
//! of the message counts, without the blocks that Codex puts before it.
//!
//! A file is never read whole: its head up to the first user message, its tail as far back as
//! needed, both with limits. A last line that is cut is being written and is passed over.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use memchr::memmem;
mod line;
mod meta;
mod tail;
mod turn;
mod typed;

pub use line::{Line, LineKind, Tokens, TurnError};
pub use meta::{BARE, Meta, is_bare, source};
pub use tail::{Ending, Tail, lines_from_end, tail};
pub use turn::{LastMessage, LastTurn, Turns, has_message_after, last_message, last_turn, turns_held};
pub use typed::typed;
#[cfg(feature = "sqlite")]
pub use typed::typed_in_row;

use meta::read_meta;

use crate::ndjson::{self, Lines};
use crate::record::Id;
use crate::time::Timestamp;

/// How far into a file the first user message is looked for.
const HEAD_LIMIT: u64 = 64 << 20;
/// How much further it is looked for once a goal is known, which will do.
const GOAL_LIMIT: u64 = 8 << 20;
/// The beginning of the title of a session that nothing but a goal began.
pub const GOAL: &str = "goal: ";
/// How many lines the first `session_meta` may be preceded by; more than none in a damaged file only.
const META_WITHIN: u64 = 16;

/// What the name of a rollout file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// The session.
    pub id: Id,
    /// `2026-11-22T10-50-06`: local time of the file's making.
    pub stamp: &'a str,
    /// The id of the segment, for a further file of a reverted session.
    pub segment: Option<Id>,
    /// Whether it ends in `.jsonl.zst`.
    pub compressed: bool,
}

impl<'a> Name<'a> {
    /// Reads a file name; `None` for anything that is not a rollout's.
    pub fn parse(name: &'a str) -> Option<Name<'a>> {
        let rest = name.strip_prefix("rollout-")?;
        let (rest, compressed) = match rest.strip_suffix(".zst") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let rest = rest.strip_suffix(".jsonl")?;
        let stamp = rest.get(..19)?;
        let ids = rest.get(19..)?.strip_prefix('-')?;
        let id = Id::parse(ids.get(..36)?)?;
        let segment = match ids.get(36..)? {
            "" => None,
            more => Some(Id::parse(more.strip_prefix('_')?)?),
        };
        Some(Name { id, stamp, segment, compressed })
    }

    /// Files of one session in the order of their making: the greatest is the live one.
    pub fn age(&self) -> (&'a str, Option<Id>, bool) {
        (self.stamp, self.segment, !self.compressed)
    }

    /// The latest time that the first line of the file can have.
    pub fn latest_time(&self) -> Timestamp {
        latest_time(self.stamp)
    }
}

/// The latest time that a local time such as `2026-11-22T10-50-06` can mean: no time zone is more than 12 hours behind
/// UTC. For any other text, the end of time.
pub(super) fn latest_time(stamp: &str) -> Timestamp {
    let time = stamp.split_once('T').map(|(day, time)| format!("{day}T{}.999-12:00", time.replace('-', ":")));
    time.and_then(|time| Timestamp::parse(&time)).unwrap_or(Timestamp(i64::MAX))
}

/// How much of the head is wanted. Each reads what the one before it does, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The keys of `session_meta` before the instructions: all but `git` and the format of the history.
    Start,
    /// The whole first line.
    Meta,
    /// Up to the first user message.
    Message,
}

/// What the head of a file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// The first line.
    pub meta: Meta,
    /// The first user message with any text, as it was typed; where there is none, [`GOAL`] and the goal.
    pub title: Option<String>,
    /// The first user message; `[Image]` where it has no text.
    pub first_user_message: Option<String>,
    /// The model of the first turn.
    pub model: Option<String>,
    /// The name that a copied fork took over: 0.120 to 0.131 wrote names into rollouts, and nowhere
    /// else for a fork.
    pub inherited_name: Option<String>,
}

impl Head {
    /// Takes a message of the user.
    fn add_message(&mut self, text: &str, images: usize) {
        if !text.is_empty() {
            self.title = Some(text.to_owned());
            self.first_user_message.get_or_insert_with(|| text.to_owned());
        } else if images > 0 {
            self.first_user_message.get_or_insert_with(|| "[Image]".to_owned());
        }
    }
}

/// Reads the head of a rollout. A file that is empty, or has not its whole first line yet, is the error
/// [`io::ErrorKind::UnexpectedEof`]; see [`is_being_born`].
pub fn head(path: &Path, depth: Depth) -> io::Result<Head> {
    let mut head = Head::default();
    if depth == Depth::Start && head_start(path, &mut head.meta)? {
        return Ok(head);
    }
    let mut lines = Lines::new(open(path)?, 32 << 10);
    let mut first_problem = None;
    loop {
        let number = lines.number();
        let Some(line) = lines.next()? else {
            // An empty file is one that Codex has just made, or lost.
            return Err(match first_problem {
                Some(why) => io::Error::new(io::ErrorKind::InvalidData, why),
                None => io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty"),
            });
        };
        let mut meta = Meta::default();
        match line {
            ndjson::RawLine::Whole(line) => match read_meta(line, &mut meta, false) {
                // After a damaged first line, the next may be that of the session this one was copied from.
                Ok(true) if number == 0 || meta.id == id_of(path) => {
                    head.meta = meta;
                    break;
                }
                Ok(_) => {
                    first_problem.get_or_insert_with(|| "it has no session_meta".to_owned());
                }
                Err(_) if number == 0 && !line.ends_with(b"\n") => {
                    let why = "its first line is cut";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
                }
                Err(why) => {
                    let why = why.to_string();
                    let why = why.split(" at line").next().unwrap_or_default();
                    first_problem.get_or_insert(format!("line {}: {why}", number + 1));
                }
            },
            ndjson::RawLine::TooLong => {}
        }
        if number + 1 >= META_WITHIN {
            let why = first_problem.unwrap_or_else(|| "it has no session_meta".to_owned());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
    }
    // Without an envelope the directory stands in the first messages.
    if depth == Depth::Message || head.meta.history_mode.as_deref() == Some(BARE) {
        read_messages(&mut lines, &mut head)?;
        if head.meta.forked_from.is_some() && head.meta.base.is_none() {
            read_inherited_name(&mut lines, &mut head)?;
        }
    }
    Ok(head)
}

fn id_of(path: &Path) -> Option<Id> {
    path.file_name().and_then(|name| name.to_str()).and_then(Name::parse).map(|name| name.id)
}

/// Whether an error of [`head`] only means that Codex is about to write the first line: for a moment
/// each new rollout is empty. A file that stays so is damaged.
pub fn is_being_born(path: &Path, error: &io::Error) -> bool {
    let young =
        || std::fs::metadata(path).ok()?.modified().ok()?.elapsed().ok().map(|age| age.as_secs() < 60);
    error.kind() == io::ErrorKind::UnexpectedEof && young() == Some(true)
}

/// The keys before the instructions, from the first block alone; false where that is not enough.
fn head_start(path: &Path, meta: &mut Meta) -> io::Result<bool> {
    if path.extension().is_some_and(|extension| extension == "zst") {
        return Ok(false);
    }
    let mut block = [0; 4096];
    let got = File::open(path)?.read(&mut block)?;
    let mut found = Meta::default();
    let start = &block[..got];
    // Either the visitor stopped at the instructions, or the whole line was there.
    match read_meta(start.split_inclusive(|b| *b == b'\n').next().unwrap_or(start), &mut found, true) {
        Ok(true) if found.history_mode.as_deref() != Some(BARE) => {
            *meta = found;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Looks for the first message that was typed, else for the goal.
/// How many lines behind the first message the model is looked for.
const MODEL_BEHIND: usize = 2;

fn read_messages<R: Read>(lines: &mut Lines<R>, head: &mut Head) -> io::Result<()> {
    let kind = ["\"user_message\"", "\"UserMessage\"", "\"role\":\"user\"", "\"thread_goal_updated\""]
        .map(memmem::Finder::new);
    let ends = ["\"task_", "\"turn_"].map(memmem::Finder::new);
    let context = memmem::Finder::new(b"\"turn_context\"");
    let is_bare = head.meta.history_mode.as_deref() == Some(BARE);
    // The model's copy of the user's words, in a turn that has no message of the user so far.
    let mut prompt: Option<(String, usize)> = None;
    let mut goal: Option<String> = None;
    let mut limit = HEAD_LIMIT;
    // Up to 0.106 the line with the model comes right behind the first message.
    let mut behind = 0;
    while (head.title.is_none() || (head.model.is_none() && behind < MODEL_BEHIND))
        && lines.bytes_read() < limit
    {
        behind += usize::from(head.title.is_some());
        let read = lines.bytes_read();
        let Some(ndjson::RawLine::Whole(line)) = lines.next()? else {
            if lines.is_ready() {
                continue;
            }
            break;
        };
        let start = &line[..line.len().min(256)];
        let is_wanted = (head.title.is_none() && kind.iter().any(|word| word.find(line).is_some()))
            || (prompt.is_some() && ends.iter().any(|word| word.find(start).is_some()))
            || (head.model.is_none() && context.find(start).is_some());
        if !is_wanted {
            continue;
        }
        match Line::parse(line).map(|line| line.kind) {
            Some(LineKind::Context { cwd, model, .. }) => {
                head.model = head.model.take().or(model.map(Cow::into_owned));
                if is_bare && head.meta.cwd.is_none() {
                    head.meta.cwd = cwd.map(Cow::into_owned);
                }
            }
            Some(LineKind::UserMessage { text, images }) => {
                prompt = None;
                head.add_message(typed(&text), images);
            }
            Some(LineKind::Prompt { text, images }) if prompt.is_none() => {
                prompt = Some((text.into_owned(), images));
            }
            Some(LineKind::Goal { text }) => {
                let known = goal.get_or_insert_default();
                if known.is_empty() {
                    *known = typed(&text).to_owned();
                }
                limit = limit.min(read + GOAL_LIMIT);
            }
            Some(
                LineKind::TurnStarted
                | LineKind::TurnCompleted { .. }
                | LineKind::TurnFailed { .. }
                | LineKind::TurnSilent
                | LineKind::TurnAborted { .. },
            ) => {
                if let Some((text, images)) = prompt.take() {
                    head.add_message(&text, images);
                }
            }
            _ => {}
        }
    }
    if let Some((text, images)) = prompt.filter(|_| head.title.is_none()) {
        head.add_message(&text, images);
    }
    if head.title.is_none() && head.first_user_message.is_none() {
        head.title = goal.map(|goal| format!("{GOAL}{goal}").trim_end().to_owned());
    }
    Ok(())
}

fn read_inherited_name<R: Read>(lines: &mut Lines<R>, head: &mut Head) -> io::Result<()> {
    let name = memmem::Finder::new(b"\"thread_name_updated\"");
    while lines.bytes_read() < HEAD_LIMIT {
        match lines.next()? {
            Some(ndjson::RawLine::Whole(line)) if name.find(&line[..line.len().min(256)]).is_some() => {
                if let Some(LineKind::Named { name }) = Line::parse(line).map(|line| line.kind) {
                    head.inherited_name = name.map(Cow::into_owned);
                }
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(())
}

/// The contents of a compressed rollout, or of anything else that Codex or we compressed so.
pub fn decompressed<'r>(packed: impl Read + 'r) -> io::Result<impl Read + 'r> {
    zstd::stream::read::Decoder::new(packed)
}

/// Compressed as Codex does it, for tests.
#[cfg(test)]
pub(super) fn packed(text: &str) -> Vec<u8> {
    zstd::stream::encode_all(text.as_bytes(), 3).unwrap()
}

/// A rollout for reading from its start, decompressed if it is compressed.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "zst") {
        return Ok(Box::new(decompressed(file)?));
    }
    Ok(Box::new(file))
}

#[cfg(test)]
mod mutations;
#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "01a20307-24fb-7b81-b2ee-030bb2fa1e54";
    const B: &str = "01a20307-2abe-7a31-b2c8-e5883981dd2f";

    #[test]
    fn names_of_rollouts() {
        let plain = format!("rollout-2026-11-22T11-32-09-{A}.jsonl");
        let name = Name::parse(&plain).unwrap();
        assert_eq!((name.id.to_string().as_str(), name.segment, name.compressed), (A, None, false));
        assert_eq!(name.stamp, "2026-11-22T11-32-09");
        let segment = format!("rollout-2026-11-22T11-32-11-{A}_{B}.jsonl.zst");
        let name = Name::parse(&segment).unwrap();
        assert_eq!((name.segment, name.compressed), (Id::parse(B), true));
        for wrong in [
            format!("rollout-2026-11-22T11-32-09-{A}.json"),
            format!("rollout-2026-11-22T11-32-09-{A}_x.jsonl"),
            format!("rollout-{A}.jsonl"),
            "rollout-2026-11-22T11-32-09-é.jsonl".to_owned(),
        ] {
            assert_eq!(Name::parse(&wrong), None, "{wrong}");
        }
    }
}
