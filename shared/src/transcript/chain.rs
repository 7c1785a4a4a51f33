//! The files of a transcript: those of the session, and those that it continues.
//!
//! In a `paginated` file `history_base` names the file that comes before it: the first file of a session by the id of the
//! session, a further file by the id of the segment. It is read up to a byte, and its own base before it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::state::Part;
use crate::codex::files::{Files, RolloutFile};
use crate::codex::rollout::wire::{Line, object, read, text, text_of_line};
use crate::codex::rollout::{Base, decompressed};
use crate::ndjson::bounded::{BoundedLines, Found};
use crate::record::Id;

/// The number of lines in which the first `session_meta` must be.
const META_WITHIN: usize = 16;

/// A piece of a file.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) start: u64,
    /// The offset of its end; `u64::MAX` for the end of the file.
    pub(super) end: u64,
    /// The first ordinal that no longer belongs to the piece.
    pub(super) end_ordinal: Option<u64>,
    pub(super) part: Part,
    /// Whether the piece before it is of the same file.
    pub(super) is_rest: bool,
    /// Whether turns in the file may have been rolled back.
    pub(super) may_roll_back: bool,
}

impl Source {
    /// The size of the piece; of a compressed file, that of the file.
    pub(super) fn size(&self) -> u64 {
        let length = std::fs::metadata(&self.path).map_or(0, |meta| meta.len());
        length.min(self.end).saturating_sub(self.start)
    }
}

/// Why a part of a transcript cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The file that comes before a file of the session does not exist.
    MissingBase {
        /// The id of the session or of the segment.
        id: Id,
    },
    /// The files that come before a file of the session lead back to it.
    CircularBase {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read, or only up to a place.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::MissingBase { id } => {
                write!(
                    f,
                    "the earlier turns are missing: there is no rollout of {id}, which the session continues"
                )
            }
            Problem::CircularBase { path } => {
                write!(f, "the earlier turns are missing: '{}' continues itself", path.display())
            }
            Problem::Unreadable { path, reason } => write!(f, "cannot read '{}': {reason}", path.display()),
        }
    }
}

/// What the first line of a file says about the files before it.
#[derive(Debug, Default)]
struct Head {
    base: Option<Base>,
    may_roll_back: bool,
}

/// The text of a rollout.
pub(super) enum Text {
    Plain(File),
    Decompressed(Box<dyn Read>),
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Text::Plain(file) => file.read(buffer),
            Text::Decompressed(text) => text.read(buffer),
        }
    }
}

/// Opens a rollout at an offset of its text. A file that was compressed meanwhile, or decompressed, has another name.
pub(super) fn open(path: &Path, start: u64) -> io::Result<Text> {
    let is_compressed = |path: &Path| path.extension().is_some_and(|extension| extension == "zst");
    let (file, is_compressed) = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let other = match is_compressed(path) {
                true => path.with_extension(""),
                false => path.with_extension("jsonl.zst"),
            };
            (File::open(&other).map_err(|_| error)?, is_compressed(&other))
        }
        file => (file?, is_compressed(path)),
    };
    if !is_compressed {
        if start > 0 {
            io::Seek::seek(&mut &file, io::SeekFrom::Start(start))?;
        }
        return Ok(Text::Plain(file));
    }
    let mut text = decompressed(file)?;
    io::copy(&mut (&mut text).take(start), &mut io::sink())?;
    Ok(Text::Decompressed(Box::new(text)))
}

fn head(path: &Path) -> io::Result<Head> {
    let mut lines = BoundedLines::first(open(path, 0)?);
    for _ in 0..META_WITHIN {
        let Found::Line(line) = lines.next()? else { break };
        let line = text_of_line(line);
        let Some(line) = Line::parse(&line).filter(|line| line.kind == "session_meta") else { continue };
        let fields = line.fields;
        let base = object(fields.history_base);
        let id = text(base.thread_id).and_then(|id| Id::parse(&id));
        let version =
            text(fields.cli_version).and_then(|version| version.split('.').nth(1)?.parse::<u32>().ok());
        let is_paginated = text(fields.history_mode).as_deref() == Some("paginated");
        return Ok(Head {
            base: id.map(|id| Base {
                id,
                end: read(base.end_byte_offset),
                end_ordinal: read(base.end_ordinal_exclusive),
            }),
            // Only older versions roll turns back; a session of theirs may have been migrated.
            may_roll_back: !is_paginated || version.is_none_or(|version| version < 148),
        });
    }
    Ok(Head { may_roll_back: true, ..Head::default() })
}

/// The pieces of a file alone, whose base is not looked for.
pub(super) fn of_file(path: &Path) -> io::Result<Vec<Source>> {
    let head = head(path)?;
    Ok(vec![Source {
        path: path.to_owned(),
        start: 0,
        end: u64::MAX,
        end_ordinal: None,
        part: Part { inherited: false, undone: false },
        is_rest: false,
        may_roll_back: head.may_roll_back,
    }])
}

/// The pieces of the transcript of a session in their order, with `undone` also what a revert left behind.
pub(super) fn of_session(
    files: &Files,
    session: Id,
    live: &RolloutFile,
    undone: bool,
    problems: &mut Vec<Problem>,
) -> io::Result<Vec<Source>> {
    let mut chain: Vec<(&RolloutFile, Source)> = Vec::new();
    let mut seen = BTreeSet::new();
    let (mut file, mut kept): (&RolloutFile, Option<Base>) = (live, None);
    loop {
        let found = match head(&file.path) {
            Ok(found) => found,
            // Without the live file there is nothing to read.
            Err(error) if chain.is_empty() => return Err(error),
            Err(error) => {
                problems.push(Problem::Unreadable { path: file.path.clone(), reason: error.to_string() });
                break;
            }
        };
        seen.insert(&file.path);
        let (end, end_ordinal) = kept.map_or((u64::MAX, None), |base| base.bounds(&file.path));
        let inherited = file.id != session;
        let part = Part { inherited, undone: false };
        chain.push((
            file,
            Source {
                path: file.path.clone(),
                start: 0,
                end,
                end_ordinal,
                part,
                is_rest: false,
                may_roll_back: found.may_roll_back,
            },
        ));
        let Some(base) = found.base else { break };
        let Some(next) = files.base(base.id) else {
            problems.push(Problem::MissingBase { id: base.id });
            break;
        };
        if seen.contains(&next.path) {
            problems.push(Problem::CircularBase { path: next.path.clone() });
            break;
        }
        (file, kept) = (next, Some(base));
    }
    chain.reverse();
    if undone {
        chain = with_undone(files, session, chain);
    }
    Ok(chain.into_iter().map(|(_, source)| source).collect())
}

/// Adds the lines of the session's own files that no revert kept, each after what was kept of the file.
fn with_undone<'f>(
    files: &'f Files,
    session: Id,
    chain: Vec<(&'f RolloutFile, Source)>,
) -> Vec<(&'f RolloutFile, Source)> {
    let is_known = |file: &RolloutFile| {
        chain.iter().any(|(known, _)| known.id == file.id && known.name().segment == file.name().segment)
    };
    let mut left: Vec<&RolloutFile> = Vec::new();
    for file in files.of_session(session) {
        let is_twice = left.iter().any(|other| other.name().segment == file.name().segment);
        if !is_known(file) && !is_twice {
            left.push(file);
        }
    }
    left.sort_by_key(|file| (file.name().stamp.to_owned(), file.name().segment));
    let mut left = left.into_iter().peekable();
    let mut all = Vec::new();
    let undone = |file: &RolloutFile, source: Option<&Source>| Source {
        path: file.path.clone(),
        start: source.map_or(0, |source| source.end),
        end: u64::MAX,
        end_ordinal: None,
        part: Part { inherited: false, undone: true },
        is_rest: source.is_some(),
        may_roll_back: false,
    };
    let count = chain.len();
    for (at, (file, source)) in chain.into_iter().enumerate() {
        let is_live = at + 1 == count;
        if file.id == session {
            while let Some(earlier) = left.next_if(|left| is_live || left.name().age() < file.name().age()) {
                all.push((earlier, undone(earlier, None)));
            }
        }
        let rest = (file.id == session && source.end != u64::MAX).then(|| undone(file, Some(&source)));
        all.push((file, source));
        all.extend(rest.map(|rest| (file, rest)));
    }
    all
}
