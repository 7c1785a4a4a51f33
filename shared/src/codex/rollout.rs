//! A rollout file: its name, its first line, its other lines, its end.
//!
//! A rollout is `rollout-YYYY-MM-DDThh-mm-ss-<id>.jsonl` (the local time of its first line), from 0.148 also
//! with `_<segment id>` before the dot (a session that was reverted continues in a further file), from
//! 0.137 also `.jsonl.zst`. The first line is `session_meta`: 0.4 KB in 0.45, 22 KB from 0.89 on
//! because of the instructions in it; no code assumes that it fits any buffer. Before September 2025 the first line
//! was the bare `{"id","timestamp","instructions","git"}`, and the other lines were bare items. A copied fork
//! (0.92 to 0.146, and of `legacy` sessions later) has its parent's `session_meta` on line 2: only
//! the first one counts. User messages are `event_msg/user_message`, from 0.148 on in `paginated`
//! sessions `event_msg/item_completed` with a `UserMessage`. Where a turn has neither, the model's copy
//! of the message counts, without the blocks that Codex puts before it.
//!
//! No file is read as a whole: the head is read up to the first user message, the tail as far back as needed, both with
//! limits. An incomplete last line is being written, and is skipped.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem;

pub(crate) mod json;
mod line;
mod meta;
mod tail;
mod turn;
mod typed;
pub(crate) mod wire;

pub use line::Tokens;
pub(crate) use line::{AgentMessage, LineKind, is_image_tag};
pub use meta::{Base, Meta, is_bare, source};
pub use tail::{Ending, Tail, ending_of_base, lines_from_end, tail};
pub(crate) use turn::Turns;
pub use turn::{
    LastMessage, LastTurn, LimitWindow, RateLimits, has_message_after, last_message, last_turn,
    limit_windows, turn_ids,
};
pub use typed::typed_text;
#[cfg(feature = "sqlite")]
pub use typed::typed_text_of_row;

pub(super) use meta::BARE;
use meta::{read_meta, read_start};
use wire::Line;

use crate::ndjson::bounded::BoundedLines;
use crate::record::Id;
use crate::time::Timestamp;

/// The number of bytes in which the first user message is searched for.
const HEAD_LIMIT: u64 = 64 << 20;
/// The number of bytes behind a goal, which is a title as well, in which the message is searched for.
const GOAL_LIMIT: u64 = 8 << 20;
/// The number of lines behind the first message in which the model is searched for: up to 0.106 its line is the next.
const MODEL_BEHIND: usize = 2;
/// The beginning of the title of a session that nothing but a goal began.
pub const GOAL: &str = "goal: ";
/// The number of lines in which the first `session_meta` must be; it is not the first line in damaged files alone.
const META_WITHIN: u64 = 16;

/// The parts of the name of a rollout file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// The session.
    pub id: Id,
    /// The local time of the first line: `2026-11-22T10-50-06`.
    pub stamp: &'a str,
    /// The id of the segment, for a further file of a reverted session.
    pub segment: Option<Id>,
    /// Whether the name ends in `.jsonl.zst`.
    pub compressed: bool,
}

impl<'a> Name<'a> {
    /// Reads a file name; `None` if it is not that of a rollout.
    pub fn parse(name: &'a str) -> Option<Name<'a>> {
        let rest = name.strip_prefix("rollout-")?;
        let plain = rest.strip_suffix(".zst");
        let compressed = plain.is_some();
        let rest = plain.unwrap_or(rest).strip_suffix(".jsonl")?;
        let stamp = rest.get(..19)?;
        let ids = rest.get(19..)?.strip_prefix('-')?;
        let id = Id::parse(ids.get(..36)?)?;
        let segment = match ids.get(36..)? {
            "" => None,
            more => Some(Id::parse(more.strip_prefix('_')?)?),
        };
        Some(Name { id, stamp, segment, compressed })
    }

    /// A key that orders the files of one session by age: the file of the greatest is the live one.
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

/// How much of the head is read. Each depth includes the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The keys of `session_meta` before the instructions: all but `git` and the format of the history.
    Start,
    /// The whole first line.
    Meta,
    /// Up to the first user message.
    Message,
}

/// The head of a rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// The first line.
    pub meta: Meta,
    /// The first user message with any text, as it was typed; without such a message, the path of a subagent and its
    /// first task, or [`GOAL`] and the goal.
    pub title: Option<String>,
    /// The first user message; `[Image]` where it has no text.
    pub first_user_message: Option<String>,
    /// The model of the first turn.
    pub model: Option<String>,
    /// The name that a copied fork has of its parent: 0.120 to 0.131 wrote it into the rollout alone.
    pub inherited_name: Option<String>,
}

impl Head {
    /// Adds a message of the user.
    fn add_message(&mut self, text: &str, images: usize) {
        if !text.is_empty() {
            self.title = Some(text.to_owned());
            self.first_user_message.get_or_insert_with(|| text.to_owned());
        } else if images > 0 {
            self.first_user_message.get_or_insert_with(|| "[Image]".to_owned());
        }
    }

    /// Adds the task of a subagent. The service encrypts the tasks of some models.
    fn add_task(&mut self, text: &str) {
        let parts = [self.meta.agent_path.as_deref(), Some(text.trim()).filter(|text| !text.is_empty())];
        let title = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
        self.title = Some(title).filter(|title| !title.is_empty());
    }
}

/// Reads the head of a rollout. A file that is empty, or has only a part of its first line yet, is the error
/// [`io::ErrorKind::UnexpectedEof`]; see [`is_being_born`].
pub fn head(path: &Path, depth: Depth) -> io::Result<Head> {
    if depth == Depth::Start
        && let Some(meta) = head_start(path)?
    {
        return Ok(Head { meta, ..Head::default() });
    }
    let mut lines = BoundedLines::first(open(path)?);
    let mut head = Head { meta: first_meta(&mut lines, path)?, ..Head::default() };
    // Without an envelope the directory is in the first messages.
    if depth == Depth::Message || head.meta.is_bare() {
        read_messages(&mut lines, &mut head)?;
        if head.meta.forked_from.is_some() && head.meta.base.is_none() && has_names(&head.meta) {
            read_inherited_name(&mut lines, &mut head)?;
        }
    }
    Ok(head)
}

/// The first `session_meta`. Behind a damaged first line the next one may be that of the session that this one was
/// copied from.
fn first_meta<R: Read>(lines: &mut BoundedLines<R>, path: &Path) -> io::Result<Meta> {
    let mut problem = None;
    for number in 1..=META_WITHIN {
        let is_first = number == 1;
        match lines.next_or_rest()? {
            Some((line, is_complete)) => match read_meta(line) {
                Ok(Some(meta)) if is_first || meta.id == id_of(path) => return Ok(meta),
                Ok(_) => {}
                Err(_) if is_first && !is_complete => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the first line is incomplete"));
                }
                Err(error) => {
                    let error = error.to_string();
                    let why = error.split(" at line").next().unwrap_or_default().to_owned();
                    problem.get_or_insert(format!("line {number}: {why}"));
                }
            },
            // Codex has just made the file, or the file has lost its text.
            None if is_first => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the rollout is empty"));
            }
            None => break,
        }
    }
    let problem = problem.unwrap_or_else(|| "it has no session_meta".to_owned());
    Err(io::Error::new(io::ErrorKind::InvalidData, problem))
}

/// The id in the name of a rollout.
pub(super) fn id_of(path: &Path) -> Option<Id> {
    path.file_name().and_then(|name| name.to_str()).and_then(Name::parse).map(|name| name.id)
}

/// Whether an error of [`head`] only means that Codex is about to write the first line: for a moment each new rollout is
/// empty. A file that stays so is damaged.
pub fn is_being_born(path: &Path, error: &io::Error) -> bool {
    let age = || std::fs::metadata(path).ok()?.modified().ok()?.elapsed().ok();
    error.kind() == io::ErrorKind::UnexpectedEof && age().is_some_and(|age| age.as_secs() < 60)
}

/// The keys before the instructions, from the first block alone; `None` where the block is not enough.
fn head_start(path: &Path) -> io::Result<Option<Meta>> {
    if is_compressed(path) {
        return Ok(None);
    }
    let mut block = [0; 4096];
    let got = File::open(path)?.read(&mut block)?;
    let block = &block[..got];
    let meta = match memchr::memchr(b'\n', block) {
        Some(end) => read_meta(&block[..end]).ok().flatten(),
        None => read_start(block),
    };
    Ok(meta.filter(|meta| !meta.is_bare()))
}

/// Reads the first message that was typed, else the task of a subagent, else the goal.
fn read_messages<R: Read>(lines: &mut BoundedLines<R>, head: &mut Head) -> io::Result<()> {
    let kinds = [
        "\"user_message\"",
        "\"UserMessage\"",
        "\"role\":\"user\"",
        "\"thread_goal_updated\"",
        "\"recipient\":",
    ]
    .map(memmem::Finder::new);
    let ends = ["\"task_", "\"turn_"].map(memmem::Finder::new);
    let context = memmem::Finder::new(b"\"turn_context\"");
    // The model's copy of the message of a turn that has no message of the user so far.
    let mut prompt: Option<(String, usize)> = None;
    let mut goal: Option<String> = None;
    let mut limit = HEAD_LIMIT;
    let mut behind = 0;
    while (head.title.is_none() || (head.model.is_none() && behind < MODEL_BEHIND)) && lines.offset() < limit
    {
        behind += usize::from(head.title.is_some());
        let read = lines.offset();
        let Some((line, _)) = lines.next_or_rest()? else { break };
        let start = beginning(line);
        let is_wanted = (head.title.is_none() && kinds.iter().any(|word| word.find(line).is_some()))
            || (prompt.is_some() && ends.iter().any(|word| word.find(start).is_some()))
            || (head.model.is_none() && context.find(start).is_some());
        let found = is_wanted.then(|| Line::read(line, |line| (line.ordinal, LineKind::of(line)))).flatten();
        let Some((ordinal, kind)) = found else { continue };
        let is_copy = head.meta.own_from.zip(ordinal).is_some_and(|(own, at)| at < own);
        match kind {
            LineKind::Context { cwd, model, .. } => {
                head.model = head.model.take().or(model);
                if head.meta.is_bare() && head.meta.cwd.is_none() {
                    head.meta.cwd = cwd;
                }
            }
            _ if is_copy => {}
            LineKind::UserMessage { text, images } => {
                prompt = None;
                head.add_message(typed_text(&text), images);
            }
            LineKind::Prompt { text, images } if prompt.is_none() => {
                prompt = Some((text, images));
            }
            LineKind::Task { text } if head.meta.subagent.is_some() => head.add_task(&text),
            LineKind::Goal { text } => {
                if goal.as_deref().is_none_or(str::is_empty) {
                    goal = Some(typed_text(&text).to_owned());
                }
                limit = limit.min(read + GOAL_LIMIT);
            }
            kind if kind == LineKind::TurnStarted || kind.ends_turn() => {
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

/// Whether the version of Codex that made a fork writes names into rollouts: later versions do not, and their forks have
/// not the names of their parents.
fn has_names(meta: &Meta) -> bool {
    let version = meta.cli_version.as_deref().unwrap_or_default();
    let minor = version.strip_prefix("0.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    minor.is_some_and(|minor| (120..137).contains(&minor))
}

fn read_inherited_name<R: Read>(lines: &mut BoundedLines<R>, head: &mut Head) -> io::Result<()> {
    while lines.offset() < HEAD_LIMIT {
        let Some((line, _)) = lines.next_or_rest()? else { break };
        if memmem::find(beginning(line), b"\"thread_name_updated\"").is_some()
            && let Some(LineKind::Named { name }) = LineKind::read(line)
        {
            head.inherited_name = name;
        }
    }
    Ok(())
}

/// The part of a line that has its kind.
fn beginning(line: &[u8]) -> &[u8] {
    &line[..line.len().min(256)]
}

/// Whether a rollout is compressed, by its name.
pub(super) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zst")
}

/// The contents of a compressed rollout, or of any other text that was compressed in this way.
pub fn decompressed<'r>(packed: impl Read + 'r) -> io::Result<impl Read + 'r> {
    zstd::stream::read::Decoder::new(packed)
}

/// Compressed as Codex does it, for tests.
#[cfg(test)]
pub(crate) fn packed(text: &str) -> Vec<u8> {
    zstd::stream::encode_all(text.as_bytes(), 3).unwrap()
}

/// A rollout for reading from its start, decompressed if it is compressed.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    Ok(if is_compressed(path) { Box::new(decompressed(file)?) } else { Box::new(file) })
}

/// Reads a part of a file; fewer bytes only at its end.
pub(super) fn read_at(file: &File, bytes: &mut [u8], from: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], from + filled as u64) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
pub(crate) mod mutations;
#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "01a20307-24fb-7b81-b2ee-030bb2fa1e54";
    const B: &str = "01a20307-2abe-7a31-b2c8-e5883981dd2f";

    #[test]
    #[allow(clippy::disallowed_methods)] // Tests write what Codex would.
    fn a_long_first_line_has_a_head() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(format!("rollout-2026-11-22T11-32-09-{A}.jsonl"));
        let meta = format!(
            r#"{{"type":"session_meta","payload":{{"id":"{A}","base_instructions":{{"text":"{}"}},"cwd":"/p","forked_from_id":"{B}"}}}}"#,
            "a\\n".repeat(3 << 20)
        );
        let message = r#"{"type":"event_msg","payload":{"type":"user_message","message":"hello"}}"#;
        std::fs::write(&path, format!("{meta}\n{message}")).unwrap();
        let head = head(&path, Depth::Message).unwrap();
        assert_eq!((head.meta.cwd.as_deref(), head.meta.forked_from), (Some("/p"), Id::parse(B)));
        assert_eq!(head.title.as_deref(), Some("hello"));
        std::fs::write(&path, &meta[..2 << 20]).unwrap();
        let error = super::head(&path, Depth::Message).unwrap_err();
        assert_eq!(error.to_string(), "the first line is incomplete");
    }

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
