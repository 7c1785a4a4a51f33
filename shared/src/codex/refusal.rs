//! Sessions that Codex refuses to resume, detected before Codex is started.
//!
//! Each kind was tried on Codex 0.171, which refuses these, and resumes rollouts with any other damage: garbage, lost and
//! repeated lines, gaps in the ordinals, an incomplete end.
//!
//! - A rollout of before September 2025, whose lines have no envelope.
//! - A first line that lacks what Codex requires, has a history mode that Codex does not know, or names
//!   another session than the file. (0.137 resumes the other session.)
//! - A `paginated` rollout whose last record has no ordinal, since a Codex older than 0.148 wrote to it.
//!   Codex still forks it.
//! - A fork or a reverted session whose base is gone, has lost the end of the part that the session begins with,
//!   or is outside the home.
//! - A `legacy` rollout that is not UTF-8. The whole file is read for this check, as Codex does.
//!
//! A missing, empty or incomplete rollout is not refused: reading it is an error.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Deserialize;

use super::files::Files;
use super::rollout;
use crate::error::Error;
use crate::ndjson::bounded::BoundedLines;
use crate::ndjson::{Lines, RawLine};
use crate::record::{Id, Session};

/// How many forks of forks are followed. Codex makes no circles, but a damaged file may.
const DEEPEST: usize = 1000;

/// The reason why Codex refuses to resume a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The reason, as a part of a sentence.
    pub why: String,
    /// Whether Codex can still fork the session.
    pub can_fork: bool,
    /// Whether the cause is a missing or damaged file that may be restored.
    restorable: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Refusal {
    fn new(why: impl Into<String>) -> Refusal {
        Refusal { why: why.into(), can_fork: false, restorable: false }
    }

    fn restorable(why: impl Into<String>) -> Refusal {
        Refusal { restorable: true, ..Refusal::new(why) }
    }

    /// The hint, for the session of this id.
    pub fn hint(&self, id: Id) -> String {
        if self.can_fork {
            format!("Codex can fork the session: codex-agent fork {id}")
        } else if self.restorable {
            "the session can be resumed when that file is restored".to_owned()
        } else {
            "no command of Codex repairs the session; its rollout has the conversation".to_owned()
        }
    }
}

/// The first line of a rollout, with all that Codex requires of it.
#[derive(Deserialize)]
struct First {
    #[serde(rename = "timestamp")]
    _timestamp: String,
    #[serde(rename = "type")]
    kind: String,
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    id: Id,
    #[serde(rename = "timestamp")]
    _timestamp: String,
    #[serde(rename = "cwd")]
    _cwd: String,
    #[serde(rename = "originator")]
    _originator: String,
    #[serde(rename = "cli_version")]
    _cli_version: String,
    history_mode: Option<String>,
    history_base: Option<Base>,
}

#[derive(Deserialize)]
struct Base {
    thread_id: Id,
    end_byte_offset: Option<u64>,
    end_ordinal_exclusive: Option<u64>,
}

/// The reason why Codex refuses to resume the session of a rollout; `None` if Codex does not refuse. `files` are all
/// rollouts of the home, which have the bases of forks.
pub fn find_refusal(path: &Path, files: &Files) -> io::Result<Option<Refusal>> {
    let first = match first_line(path)? {
        Ok(first) => first,
        Err(refusal) => return Ok(Some(refusal)),
    };
    let is_paginated = first.payload.history_mode.as_deref() == Some("paginated");
    if is_paginated && last_ordinal(path)?.is_none() {
        let why = "the last line of the rollout has no ordinal, since a Codex older than 0.148 wrote to it";
        return Ok(Some(Refusal { can_fork: true, ..Refusal::new(why) }));
    }
    if !is_paginated && !is_utf8(path)? {
        return Ok(Some(Refusal::new("its rollout is not UTF-8")));
    }
    check_bases(path, first.payload.history_base, files)
}

/// Fails for a session that Codex refuses to resume, or to fork. Codex itself judges a rollout that cannot be read.
pub fn check_resumable(session: &Session<'_>, to_fork: bool, files: &Files) -> Result<(), Error> {
    let Some((id, path)) = session.id.zip(session.rollout_path.as_deref()) else { return Ok(()) };
    match find_refusal(Path::new(path), files) {
        Ok(Some(refusal)) if !(to_fork && refusal.can_fork) => {
            let what = if to_fork { "fork" } else { "resume" };
            Err(Error::new(format!("Codex will not {what} session '{id}': {refusal}")).hint(refusal.hint(id)))
        }
        _ => Ok(()),
    }
}

/// Whether a Codex older than 0.148 has written to this `paginated` rollout, which no later one will resume.
pub fn is_spoiled(path: &Path) -> bool {
    let mode =
        first_line(path).ok().and_then(std::result::Result::ok).and_then(|first| first.payload.history_mode);
    mode.as_deref() == Some("paginated") && last_ordinal(path).is_ok_and(|last| last.is_none())
}

/// The first line, or the reason why Codex refuses it.
fn first_line(path: &Path) -> io::Result<Result<First, Refusal>> {
    let mut lines = BoundedLines::first(rollout::open(path)?);
    loop {
        let line = match lines.next_or_rest()? {
            None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the rollout is empty")),
            Some((line, _)) if line.trim_ascii().is_empty() => continue,
            Some((line, _)) => line,
        };
        let first = match serde_json::from_slice::<First>(line) {
            Ok(first) if first.kind == "session_meta" => first,
            Ok(_) => return Ok(Err(Refusal::new("the first line of the rollout is not a session_meta"))),
            Err(_) if rollout::is_bare(line) => {
                let why = "it is of before September 2025, in a format that Codex no longer reads";
                return Ok(Err(Refusal::new(why)));
            }
            Err(error) => {
                let error = error.to_string();
                let error = error.split(" at line").next().unwrap_or_default();
                return Ok(Err(Refusal::new(format!("the first line of the rollout is invalid: {error}"))));
            }
        };
        if rollout::id_of(path).is_some_and(|id| id != first.payload.id) {
            let why = format!("the first line of the rollout names another session, '{}'", first.payload.id);
            return Ok(Err(Refusal::new(why)));
        }
        return Ok(match first.payload.history_mode.as_deref() {
            None | Some("legacy" | "paginated") => Ok(first),
            Some(mode) => Err(Refusal::new(format!("its history mode '{mode}' is unknown"))),
        });
    }
}

/// The ordinal of the last line that Codex treats as a record; `None` if that record has no ordinal. A line of an unknown
/// type, an incomplete line, and a line whose ordinal is no number are no records.
fn last_ordinal(path: &Path) -> io::Result<Option<u64>> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(rename = "timestamp")]
        _timestamp: &'a str,
        #[serde(rename = "type")]
        kind: &'a str,
        ordinal: Option<u64>,
    }
    const KINDS: [&str; 7] = [
        "session_meta",
        "response_item",
        "event_msg",
        "turn_context",
        "compacted",
        "world_state",
        "token_usage_record",
    ];
    let mut last = None;
    rollout::lines_from_end(path, &mut |line| match serde_json::from_slice::<Outer<'_>>(line) {
        Ok(outer) if KINDS.contains(&outer.kind) => {
            last = outer.ordinal;
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })?;
    Ok(last)
}

fn is_utf8(path: &Path) -> io::Result<bool> {
    let mut lines = Lines::new(rollout::open(path)?, 256 << 10);
    while let Some(line) = lines.next()? {
        if let RawLine::Whole(line) = line
            && std::str::from_utf8(line).is_err()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Checks the rollouts that a fork begins in, to the end of the chain.
fn check_bases(path: &Path, base: Option<Base>, files: &Files) -> io::Result<Option<Refusal>> {
    let mut base = base;
    for _ in 0..DEEPEST {
        let Some(Base { thread_id: id, end_byte_offset: bytes, end_ordinal_exclusive: ordinals }) = base
        else {
            return Ok(None);
        };
        let file = files.base(id);
        let Some(file) = file.filter(|file| is_in_home(&file.path)) else {
            let place = match file.and_then(|file| std::fs::canonicalize(&file.path).ok()) {
                Some(real) => format!("lies outside of Codex's home, at '{}'", real.display()),
                None => "is not in this home".to_owned(),
            };
            let why = format!("the rollout of '{id}', in which its conversation begins, {place}");
            return Ok(Some(Refusal::restorable(why)));
        };
        let place = || format!("the rollout '{}', in which its conversation begins,", file.path.display());
        // A rollout in which paths were shortened has lost no line; Codex itself judges such a base.
        let is_short = || -> io::Result<bool> {
            let length = match file.name().compressed {
                true => return Ok(false),
                false => std::fs::metadata(&file.path)?.len(),
            };
            let next = last_ordinal(&file.path)?.map_or(0, |last| last + 1);
            Ok(length < bytes.unwrap_or(0) && next < ordinals.unwrap_or(u64::MAX))
        };
        if file.path != path && is_short()? {
            return Ok(Some(Refusal::restorable(format!("{} has lost lines", place()))));
        }
        match first_line(&file.path) {
            Ok(Ok(first)) => base = first.payload.history_base,
            Ok(Err(refusal)) => {
                return Ok(Some(Refusal::restorable(format!("{} is damaged: {refusal}", place()))));
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Some(Refusal::restorable(format!("{} is empty", place()))));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(Refusal::new("its conversation begins nowhere: the forks lead in a circle")))
}

/// Whether Codex treats a file as one of its home; links are resolved.
fn is_in_home(path: &Path) -> bool {
    let tree = path.ancestors().find(|above| {
        above.file_name().is_some_and(|name| name == "sessions" || name == "archived_sessions")
    });
    let leads = |path: &Path| std::fs::canonicalize(path).ok();
    tree.and_then(leads).zip(leads(path)).is_none_or(|(tree, file)| file.starts_with(tree))
}
