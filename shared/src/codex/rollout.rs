//! One rollout file: what its name says, what its first line says, what its end says.
//!
//! A rollout is `rollout-YYYY-MM-DDThh-mm-ss-<id>.jsonl` (local time of its making), from 0.148 also
//! with `_<segment id>` before the dot (a session that was reverted goes on in a further file), from
//! 0.137 also `.jsonl.zst`. The first line is `session_meta`: 0.4 KB in 0.45, 22 KB from 0.89 on
//! because of the instructions in it; nothing assumes that it fits any buffer. A copied fork
//! (0.92 to 0.146, and of `legacy` sessions later) has its parent's `session_meta` on line 2: only
//! the first one counts. User messages are `event_msg/user_message`, from 0.148 on in `paginated`
//! sessions `event_msg/item_completed` with a `UserMessage`; what Codex injects itself is never
//! among these two.
//!
//! A file is never read whole: its head up to the first user message, its tail as far back as
//! needed, both with limits. A last line that is cut is being written and is passed over.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem;
use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ndjson::{Line, Lines};
use crate::record::{Id, Subagent};
use crate::time::Timestamp;

/// How far into a file the first user message is looked for.
const HEAD_LIMIT: u64 = 64 << 20;
/// How far back from the end of a file its last turn is looked for.
const TAIL_LIMIT: u64 = 64 << 20;
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
}

/// What `session_meta` says. Text is owned; absent is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// The session's id.
    pub id: Option<Id>,
    /// When the file was begun.
    pub timestamp: Option<Timestamp>,
    /// The directory it was begun in.
    pub cwd: Option<String>,
    /// The program that made it.
    pub originator: Option<String>,
    /// The version of Codex that made it.
    pub cli_version: Option<String>,
    /// Codex's word for how it was made; see [`source`].
    pub source: Option<String>,
    /// Its parent and names, if it is a subagent.
    pub subagent: Option<Subagent<'static>>,
    /// The provider of the model.
    pub model_provider: Option<String>,
    /// The session it was forked from.
    pub forked_from: Option<Id>,
    /// `legacy` or `paginated`; absent up to 0.142, which know only the former.
    pub history_mode: Option<String>,
    /// The session whose lines come before this file's own (paginated forks and segments).
    pub base: Option<Id>,
    /// Commit, branch, address of `origin`.
    pub git: Option<(Option<String>, Option<String>, Option<String>)>,
    /// Whether the whole line was read, so that `git`, which comes last in it, is known.
    pub whole: bool,
}

/// Codex's `source` as one word, and the parts of a subagent. `text` is the word itself
/// (`exec`, as the database has it) or JSON (`"exec"`, `{"subagent":…}`, `{"custom":"x"}`).
pub fn source(text: &str) -> (Option<Cow<'_, str>>, Option<Subagent<'static>>) {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Source {
        Subagent(Kind),
        Custom(String),
        Internal(String),
        #[serde(untagged)]
        Word(String),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        ThreadSpawn(Spawn),
        Other(String),
        #[serde(untagged)]
        Word(String),
    }
    #[derive(Deserialize)]
    struct Spawn {
        parent_thread_id: Option<Id>,
        agent_nickname: Option<String>,
        agent_role: Option<String>,
    }
    if text.is_empty() {
        return (None, None);
    }
    if !text.starts_with(['{', '"']) {
        return (Some(Cow::Borrowed(text)), None);
    }
    match serde_json::from_str(text) {
        Ok(Source::Word(word)) => (Some(word.into()), None),
        Ok(Source::Custom(word)) => (Some(format!("custom:{word}").into()), None),
        Ok(Source::Internal(word)) => (Some(format!("internal:{word}").into()), None),
        Ok(Source::Subagent(kind)) => {
            let subagent = match kind {
                Kind::ThreadSpawn(spawn) => Subagent {
                    parent: spawn.parent_thread_id,
                    nickname: spawn.agent_nickname.map(Cow::Owned),
                    role: spawn.agent_role.map(Cow::Owned),
                },
                Kind::Other(role) | Kind::Word(role) => {
                    Subagent { role: Some(role.into()), ..Subagent::default() }
                }
            };
            (Some(Cow::Borrowed("subagent")), Some(subagent))
        }
        // An object of a later version: its one key is the word, and a subagent stays hidden.
        Err(_) => match text.split('"').nth(1) {
            Some("subagent") => (Some(Cow::Borrowed("subagent")), Some(Subagent::default())),
            word => (word.map(Cow::Borrowed), None),
        },
    }
}

/// How much of the head is wanted. Each reads what the one before it does, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The keys of `session_meta` before the instructions: all but `git`.
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
    /// The first user message with any text, as Codex shows it.
    pub title: Option<String>,
    /// The first user message; `[Image]` where it has no text.
    pub first_user_message: Option<String>,
    /// The model of the first turn.
    pub model: Option<String>,
    /// The name that a copied fork took over: 0.120 to 0.131 wrote names into rollouts, and nowhere
    /// else for a fork.
    pub inherited_name: Option<String>,
}

/// Reads the head of a rollout. A file that is empty, or has not its whole first line yet, is the error
/// [`io::ErrorKind::UnexpectedEof`]; see [`is_being_born`].
pub fn head(path: &Path, depth: Depth) -> io::Result<Head> {
    let mut lines = Lines::new(open(path)?, if depth == Depth::Start { 4 << 10 } else { 32 << 10 });
    let mut head = Head::default();
    if depth == Depth::Start && head_start(path, &mut head.meta)? {
        return Ok(head);
    }
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
            Line::Whole(line) => match read_meta(line, &mut meta, false) {
                Ok(true) => {
                    meta.whole = true;
                    head.meta = meta;
                    break;
                }
                Ok(false) => {}
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
            Line::TooLong => {}
        }
        if number + 1 >= META_WITHIN {
            let why = first_problem.unwrap_or_else(|| "it has no session_meta".to_owned());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
    }
    if depth == Depth::Message {
        read_messages(&mut lines, &mut head)?;
        if head.meta.forked_from.is_some() && head.meta.base.is_none() {
            read_inherited_name(&mut lines, &mut head)?;
        }
    }
    Ok(head)
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
        Ok(true) => {
            *meta = found;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn read_messages<R: Read>(lines: &mut Lines<R>, head: &mut Head) -> io::Result<()> {
    let legacy = memmem::Finder::new(b"\"user_message\"");
    let paginated = memmem::Finder::new(b"\"UserMessage\"");
    let context = memmem::Finder::new(b"\"turn_context\"");
    while head.title.is_none() && lines.bytes_read() < HEAD_LIMIT {
        let Some(Line::Whole(line)) = lines.next()? else {
            if lines.is_ready() {
                continue;
            }
            break;
        };
        let is_message = legacy.find(line).is_some() || paginated.find(line).is_some();
        if !is_message && (head.model.is_some() || context.find(&line[..line.len().min(256)]).is_none()) {
            continue;
        }
        let Ok(event) = serde_json::from_slice::<Event<'_>>(line) else { continue };
        if event.kind == "turn_context" {
            head.model = event.payload.model.map(Cow::into_owned);
        } else if let Some((text, has_image)) = event.user_message() {
            let text = shown(&text);
            if !text.is_empty() {
                head.title = Some(text.to_owned());
                head.first_user_message.get_or_insert_with(|| text.to_owned());
            } else if has_image {
                head.first_user_message.get_or_insert_with(|| "[Image]".to_owned());
            }
        }
    }
    Ok(())
}

fn read_inherited_name<R: Read>(lines: &mut Lines<R>, head: &mut Head) -> io::Result<()> {
    let name = memmem::Finder::new(b"\"thread_name_updated\"");
    while lines.bytes_read() < HEAD_LIMIT {
        match lines.next()? {
            Some(Line::Whole(line)) if name.find(&line[..line.len().min(256)]).is_some() => {
                if let Ok(event) = serde_json::from_slice::<Event<'_>>(line)
                    && event.payload.kind.as_deref() == Some("thread_name_updated")
                {
                    head.inherited_name = event.payload.thread_name.map(Cow::into_owned);
                }
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(())
}

/// A user message as Codex keeps it for titles (0.169): what follows the first `## My request for
/// Codex:`, where an editor wrote that, without white space around it.
fn shown(text: &str) -> &str {
    match text.split_once("## My request for Codex:") {
        Some((_, request)) => request.trim(),
        None => text.trim(),
    }
}

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
        window *= 8;
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
        let Ok(event) = serde_json::from_slice::<Event<'_>>(line) else { return };
        if self.last_at.is_none() {
            self.last_at = event.timestamp.as_deref().and_then(Timestamp::parse);
        }
        if event.kind == "turn_context" {
            if self.cwd.is_none() {
                self.cwd = event.payload.cwd.map(Cow::into_owned);
                self.model = event.payload.model.map(Cow::into_owned);
            }
            return;
        }
        if event.kind != "event_msg" || self.ending.is_some() {
            return;
        }
        let item = event.payload.item.as_ref().and_then(|item| item.kind.as_deref());
        match (event.payload.kind.as_deref().unwrap_or(""), item) {
            ("task_started" | "turn_started", _) => self.ending = Some(Ending::Begun),
            ("turn_aborted", _) => self.ending = Some(Ending::Interrupted),
            ("task_complete" | "turn_complete", _) => {
                // Up to 0.147 a failed turn has no error text, only no last message.
                let failed = event.payload.error.is_some() || event.payload.last_agent_message.is_none();
                self.ending = Some(if failed { Ending::Failed } else { Ending::Completed });
            }
            ("agent_message", _) | (_, Some("AgentMessage")) => {
                self.guess.get_or_insert(Ending::Completed);
            }
            ("user_message", _) | (_, Some("UserMessage")) => {
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

/// The contents of a compressed rollout, or of anything else that Codex or we compressed so.
pub fn decompressed<'r>(packed: impl Read + 'r) -> io::Result<impl Read + 'r> {
    zstd::stream::read::Decoder::new(packed)
}

/// A rollout for reading from its start, decompressed if it is compressed.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "zst") {
        return Ok(Box::new(decompressed(file)?));
    }
    Ok(Box::new(file))
}

/// One line, as far as it is looked at. What is not named here is passed over.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    payload: Payload<'a>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    images: Option<Vec<IgnoredAny>>,
    #[serde(borrow)]
    item: Option<Item<'a>>,
    #[serde(borrow)]
    cwd: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thread_name: Option<Cow<'a, str>>,
    error: Option<IgnoredAny>,
    last_agent_message: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

impl Event<'_> {
    /// The text of a user message, and whether a picture was with it.
    fn user_message(&self) -> Option<(String, bool)> {
        if self.kind != "event_msg" {
            return None;
        }
        match self.payload.kind.as_deref()? {
            "user_message" => Some((
                self.payload.message.as_deref()?.to_owned(),
                self.payload.images.as_ref().is_some_and(|images| !images.is_empty()),
            )),
            "item_completed" => {
                let item = self.payload.item.as_ref()?;
                if item.kind.as_deref() != Some("UserMessage") {
                    return None;
                }
                let parts: Vec<Part<'_>> = serde_json::from_str(item.content?.get()).ok()?;
                let text = parts.iter().filter_map(|part| part.text.as_deref()).collect();
                let has_image =
                    parts.iter().any(|part| part.kind.as_deref().is_some_and(|kind| kind.contains("mage")));
                Some((text, has_image))
            }
            _ => None,
        }
    }
}

/// Reads a `session_meta` line into `meta`; false where the line is something else. With `early`,
/// reading stops at the instructions, which are most of the line, and an unfinished line will do.
fn read_meta(line: &[u8], meta: &mut Meta, early: bool) -> serde_json::Result<bool> {
    let mut seen = Seen { is_meta: None, stopped: false };
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let seed = LineSeed { meta, seen: &mut seen, early };
    let result = seed.deserialize(&mut deserializer);
    match result {
        Ok(()) => {
            meta.whole = true;
            Ok(seen.is_meta == Some(true))
        }
        Err(_) if seen.stopped => Ok(seen.is_meta == Some(true)),
        Err(error) => Err(error),
    }
}

struct Seen {
    is_meta: Option<bool>,
    stopped: bool,
}

struct LineSeed<'m> {
    meta: &'m mut Meta,
    seen: &'m mut Seen,
    early: bool,
}

impl<'de> DeserializeSeed<'de> for LineSeed<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LineSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a line of a rollout")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match key.as_ref() {
                "type" => {
                    self.seen.is_meta = Some(map.next_value::<Cow<'_, str>>()? == "session_meta");
                }
                "payload" if self.seen.is_meta != Some(false) => {
                    map.next_value_seed(PayloadSeed {
                        meta: &mut *self.meta,
                        seen: &mut *self.seen,
                        early: self.early,
                    })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct PayloadSeed<'m> {
    meta: &'m mut Meta,
    seen: &'m mut Seen,
    early: bool,
}

impl<'de> DeserializeSeed<'de> for PayloadSeed<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PayloadSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a payload")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        #[derive(Deserialize)]
        struct Git {
            commit_hash: Option<String>,
            branch: Option<String>,
            repository_url: Option<String>,
        }
        #[derive(Deserialize)]
        struct Base {
            thread_id: Option<Id>,
        }
        let meta = self.meta;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match key.as_ref() {
                "id" => meta.id = map.next_value::<Option<Cow<'_, str>>>()?.and_then(|id| Id::parse(&id)),
                "timestamp" => {
                    let text = map.next_value::<Option<Cow<'_, str>>>()?;
                    meta.timestamp = text.and_then(|text| Timestamp::parse(&text));
                }
                "cwd" => meta.cwd = map.next_value()?,
                "originator" => meta.originator = map.next_value()?,
                "cli_version" => meta.cli_version = map.next_value()?,
                "model_provider" => meta.model_provider = map.next_value()?,
                "history_mode" => meta.history_mode = map.next_value()?,
                "forked_from_id" => {
                    let text = map.next_value::<Option<Cow<'_, str>>>()?;
                    meta.forked_from = text.and_then(|id| Id::parse(&id));
                }
                "history_base" => {
                    meta.base = map.next_value::<Option<Base>>()?.and_then(|base| base.thread_id);
                }
                "source" => {
                    let raw = map.next_value::<Option<Box<RawValue>>>()?;
                    if let Some(raw) = raw.filter(|raw| raw.get() != "null") {
                        let (word, subagent) = source(raw.get());
                        meta.source = word.map(Cow::into_owned);
                        meta.subagent = subagent;
                    }
                }
                "git" => {
                    let git = map.next_value::<Option<Git>>()?;
                    meta.git = git.map(|git| (git.commit_hash, git.branch, git.repository_url));
                }
                "base_instructions" | "instructions" if self.early => {
                    self.seen.stopped = true;
                    return Err(serde::de::Error::custom("far enough"));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

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

    #[test]
    fn sources_of_every_form() {
        let word = |text| source(text).0.map(Cow::into_owned);
        assert_eq!(word("exec").unwrap(), "exec");
        assert_eq!(word("\"cli\"").unwrap(), "cli");
        assert_eq!(word(r#"{"custom":"x"}"#).unwrap(), "custom:x");
        assert_eq!(word(r#"{"internal":"memory_consolidation"}"#).unwrap(), "internal:memory_consolidation");
        assert_eq!(word(r#"{"future":{"deep":1}}"#).unwrap(), "future");
        assert_eq!(word(""), None);
        let (word, subagent) = source(r#"{"subagent":"review"}"#);
        assert_eq!(
            (word.unwrap().as_ref(), subagent.unwrap().role.unwrap().as_ref()),
            ("subagent", "review")
        );
        let other = source(r#"{"subagent":{"other":"guardian"}}"#).1.unwrap();
        assert_eq!(other.role.unwrap(), "guardian");
        assert!(source(r#"{"subagent":{"new":{}}}"#).1.is_some());
    }

    #[test]
    fn messages_as_codex_shows_them() {
        assert_eq!(shown("  a b \n"), "a b");
        assert_eq!(shown("# Context\n## My request for Codex:\nfix it\n"), "fix it");
        assert_eq!(
            shown("a ## My request for Codex: b ## My request for Codex: c"),
            "b ## My request for Codex: c"
        );
    }

    #[test]
    fn the_start_of_a_line_is_enough() {
        let line = format!(
            r#"{{"timestamp":"x","type":"session_meta","payload":{{"id":"{A}","cwd":"/p","source":"exec","base_instructions":{{"text":"unfinished"#
        );
        let mut meta = Meta::default();
        assert!(read_meta(line.as_bytes(), &mut meta, true).unwrap());
        assert_eq!((meta.cwd.as_deref(), meta.whole), (Some("/p"), false));
        assert!(read_meta(line.as_bytes(), &mut Meta::default(), false).is_err());
        assert!(!read_meta(br#"{"type":"other","payload":{"cwd":1}}"#, &mut meta, false).unwrap());
    }

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
