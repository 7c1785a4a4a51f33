//! References: the grammar by which every tool accepts sessions.
//!
//! | form | means |
//! |---|---|
//! | a full UUID | that session, hidden or not |
//! | a path that ends in `.jsonl` or `.jsonl.zst` | the rollout at that path, which must lie in Codex's home |
//! | `@`, `@N` | the newest (Nth newest) by `updated_at` whose directory is the current one |
//! | `@@` | the newest of anywhere |
//! | a name | the session of that exact name; of several, the one that is no fork, with a note |
//! | 4 or more hex digits, dashes allowed | the start or the end of an id, or the start of its last eight digits, which tables show |
//!
//! `id:…` and `name:…` force a reading. A word that is the name of one session and hex of another is
//! ambiguous. Archived sessions and subagents are meant only where nothing visible is.
//!
//! ```
//! use codex_agent_shared::reference::{Input, Inputs};
//!
//! let input = "{\"type\":\"session\",\"id\":\"01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c\"}\nlogin work\tcut here\n";
//! let mut inputs = Inputs::new("stdin", input.as_bytes());
//! assert!(matches!(inputs.next(), Some(Ok((1, Input::Record(_))))));
//! assert!(matches!(inputs.next(), Some(Ok((2, Input::Text(name)))) if name == "login work"));
//! ```

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::codex::index::Index;
use crate::codex::rollout::Name;
use crate::error::{Error, Result, note, status, warn};
use crate::ndjson::{Item, LineError, Records};
use crate::query::{Archived, Directory, Filter, Query};
use crate::record::{Id, RawRecord, Session};
use crate::text::cell;

/// A reference as it was typed, told apart by its form alone.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form<'t> {
    Id(Id),
    Path(PathBuf),
    Newest { nth: usize, anywhere: bool },
    Hex(String),
    Name(&'t str),
    Word(&'t str),
}

impl<'t> Form<'t> {
    fn of(text: &'t str) -> Result<Form<'t>> {
        if text.is_empty() {
            return Err(Error::usage("invalid reference '': it is empty"));
        }
        if let Some(id) = Id::parse(text) {
            return Ok(Form::Id(id));
        }
        if let Some(rest) = text.strip_prefix("id:") {
            return match (Id::parse(rest), hex(rest)) {
                (Some(id), _) => Ok(Form::Id(id)),
                (None, Some(hex)) => Ok(Form::Hex(hex)),
                (None, None) => {
                    Err(Error::usage(format!("invalid reference 'id:{rest}': expected 4 or more hex digits")))
                }
            };
        }
        if let Some(name) = text.strip_prefix("name:") {
            return Ok(Form::Name(name));
        }
        if let Some(rest) = text.strip_prefix('@') {
            let nth = match rest {
                "" => Some(1),
                "@" => return Ok(Form::Newest { nth: 1, anywhere: true }),
                number => number.parse().ok().filter(|nth| *nth > 0),
            };
            return match nth {
                Some(nth) => Ok(Form::Newest { nth, anywhere: false }),
                None => Err(Error::usage(format!("invalid reference '{text}'")).hint(
                    "@ and @N are the newest sessions of this directory, @@ is the newest of all directories",
                )),
            };
        }
        if text.ends_with(".jsonl") || text.ends_with(".jsonl.zst") {
            return Ok(Form::Path(PathBuf::from(text)));
        }
        Ok(Form::Word(text))
    }
}

/// Lower case hex digits without dashes, if the text is 4 or more of them.
fn hex(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| *c != '-').collect::<String>().to_lowercase();
    let is_hex = digits.len() >= 4 && digits.len() <= 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then_some(digits)
}

/// All sessions that match a reference: none, one, or several if it is ambiguous.
pub fn candidates(index: &mut Index, text: &str) -> Result<Vec<Session<'static>>> {
    match Form::of(text)? {
        Form::Id(id) => Ok(index.get(id)?.into_iter().collect()),
        Form::Path(path) => {
            let id = rollout_at(index, &path)?;
            Ok(index.get(id)?.into_iter().collect())
        }
        Form::Newest { nth, anywhere } => newest(index, nth, anywhere),
        Form::Hex(hex) => by_hex(index, &hex).map(visible_first),
        Form::Name(name) => by_name(index, name).map(visible_first).map(|found| originals(name, found)),
        Form::Word(word) => {
            let mut found = by_name(index, word)?;
            if let Some(hex) = hex(word) {
                for session in by_hex(index, &hex)? {
                    if !found.iter().any(|other| other.id == session.id) {
                        found.push(session);
                    }
                }
            }
            Ok(originals(word, visible_first(found)))
        }
    }
}

/// The one session that a reference means. Nothing found is exit 1, several are exit 2 and listed. On a
/// terminal a line says which one '@' is.
pub fn resolve(index: &mut Index, text: &str) -> Result<Session<'static>> {
    one(index, text, note)
}

/// The same for a tool that opens the session, changes it or sends it something: the status line is printed to a
/// pipe as well.
#[doc(hidden)]
pub fn resolve_to_act(index: &mut Index, text: &str) -> Result<Session<'static>> {
    one(index, text, status)
}

fn one(index: &mut Index, text: &str, say: fn(String)) -> Result<Session<'static>> {
    let mut found = candidates(index, text)?;
    match found.len() {
        1 => {
            let session = found.remove(0);
            if matches!(Form::of(text)?, Form::Newest { .. }) {
                say(format!("'{text}' is {}", candidate(&session)));
            }
            Ok(session)
        }
        0 => Err(missing(index, text)?),
        _ => Err(ambiguous(text, &found)),
    }
}

/// The error for a reference that matches no session. For '@' it lists similar sessions: those
/// of this directory that are hidden, those below it and above it, the newest of all.
#[doc(hidden)]
pub fn missing(index: &mut Index, text: &str) -> Result<Error> {
    if !matches!(Form::of(text)?, Form::Newest { .. }) {
        return Ok(Error::not_found(format!("no session '{text}'"))
            .hint("'codex-agent ls' lists sessions; 'codex-agent find WORD' searches them"));
    }
    let here = std::env::current_dir().unwrap_or_default();
    let cwd = |places: &[&Path]| places.iter().map(|place| Directory::new(place)).collect::<Vec<_>>();
    let above: Vec<&Path> = here.ancestors().skip(1).collect();
    let filters = [
        Filter { cwd: cwd(&[&here]), ..everything() },
        Filter { under: cwd(&[&here]), ..Filter::default() },
        Filter { cwd: cwd(&above), ..Filter::default() },
        Filter::default(),
    ];
    let mut near: Vec<Session<'static>> = Vec::new();
    for (at, filter) in filters.into_iter().enumerate() {
        // The newest of anywhere are near only where nothing else is.
        if near.len() < NEAREST && (at < 3 || near.is_empty()) {
            near.extend(list(index, filter, 0, Some(NEAREST))?);
            let mut seen = std::collections::HashSet::new();
            near.retain(|session| seen.insert(session.id));
        }
    }
    let lines = near.iter().take(NEAREST).map(|session| {
        let hidden = match (session.archived_at, session.is_subagent()) {
            (Some(_), _) => " (archived)",
            (None, true) => " (a subagent)",
            (None, false) => "",
        };
        format!("{}  {}{hidden}", candidate(session), cell(session.cwd.as_deref().unwrap_or(""), 60))
    });
    let place = if text == "@@" { String::new() } else { format!(" of the directory '{}'", here.display()) };
    let error = Error::not_found(format!("no session '{text}'{place}"));
    Ok(match lines.collect::<Vec<_>>() {
        lines if lines.is_empty() => {
            error.hint("'codex-agent ls --archived --subagents' lists hidden sessions")
        }
        lines => error.hint("similar sessions:").hint(lines.join("\n")),
    })
}

/// The number of similar sessions in an error.
const NEAREST: usize = 5;

/// The error for a reference that matches several sessions, which it lists, newest first.
#[doc(hidden)]
pub fn ambiguous(text: &str, found: &[Session<'_>]) -> Error {
    let mut found: Vec<&Session<'_>> = found.iter().collect();
    found.sort_by_key(|session| std::cmp::Reverse((session.updated_at, session.id)));
    let mut lines: Vec<String> = found.iter().take(10).map(|session| candidate(session)).collect();
    if found.len() > 10 {
        lines.push(format!("and {} more", found.len() - 10));
    }
    let error = Error::new(format!("ambiguous reference '{text}': it matches {} sessions", found.len()))
        .hint(lines.join("\n"));
    match found.first().and_then(|newest| Some((newest.id?, newest.updated_at?))) {
        // Whole, since a part of an id may be the very reference that is ambiguous.
        Some((id, at)) => error.hint(format!("the newest is {id}, of {at}")),
        None => error,
    }
}

fn candidate(session: &Session<'_>) -> String {
    let id = session.id.map(|id| id.to_string()).unwrap_or_default();
    let at = session.updated_at.map(|at| at.to_string()).unwrap_or_default();
    format!("{id}  {}  {}", at.get(..16).unwrap_or(""), cell(session.label(), 40))
}

fn rollout_at(index: &Index, path: &Path) -> Result<Id> {
    let real = std::fs::canonicalize(path).map_err(|error| {
        Error::not_found(format!("cannot open '{}': {}", path.display(), crate::error::reason(&error)))
    })?;
    // A directory of the home may be a link to another disk, and then only the path as typed is in it.
    let typed = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let home = index.home().path();
    if !(real.starts_with(home) || typed.starts_with(home)) || !real.is_file() {
        let home = index.home().path().display().to_string();
        return Err(Error::usage(format!("'{}' is not a file in Codex's home", path.display()))
            .hint(format!("the home is '{home}'; set CODEX_HOME to use another")));
    }
    real.file_name()
        .and_then(|name| name.to_str())
        .and_then(Name::parse)
        .map(|name| name.id)
        .ok_or_else(|| Error::usage(format!("'{}' is not named as a rollout", path.display())))
}

fn list(
    index: &mut Index,
    filter: Filter,
    offset: usize,
    limit: Option<usize>,
) -> Result<Vec<Session<'static>>> {
    let query = Query { filter, offset, limit, ..Query::default() };
    let mut found = Vec::new();
    index.list(&query, &mut |session| {
        found.push(session.clone().into_owned());
        Ok(())
    })?;
    Ok(found)
}

fn everything() -> Filter {
    Filter { archived: Archived::With, subagents: true, ..Filter::default() }
}

fn newest(index: &mut Index, nth: usize, anywhere: bool) -> Result<Vec<Session<'static>>> {
    let mut filter = Filter::default();
    if !anywhere {
        let here = std::env::current_dir().map_err(|error| {
            Error::new(format!("cannot determine the current directory: {}", crate::error::reason(&error)))
        })?;
        filter.cwd = vec![Directory::new(&here)];
    }
    list(index, filter, nth - 1, Some(1))
}

fn by_name(index: &mut Index, name: &str) -> Result<Vec<Session<'static>>> {
    // A star is a star in a name; only flags have patterns.
    let mut found = list(index, Filter { named: true, ..everything() }, 0, None)?;
    found.retain(|session| session.name.as_deref() == Some(name));
    Ok(found)
}

fn by_hex(index: &mut Index, hex: &str) -> Result<Vec<Session<'static>>> {
    let fits = |id: &&Id| {
        let digits = id.hex();
        // Tables show the last eight digits, and people type the first few of what they see.
        digits.starts_with(hex) || digits.ends_with(hex) || digits[24..].starts_with(hex)
    };
    let ids: Vec<Id> = index.ids()?.iter().filter(fits).copied().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    list(index, Filter { ids: Some(ids), ..everything() }, 0, None)
}

/// Only what `ls` shows, if there is any of it.
fn visible_first(found: Vec<Session<'static>>) -> Vec<Session<'static>> {
    let is_visible = |session: &Session<'_>| session.archived_at.is_none() && !session.is_subagent();
    if found.iter().any(is_visible) { found.into_iter().filter(is_visible).collect() } else { found }
}

/// A fork takes its parent's name with it (0.169). Where just one session of a name is no fork, it is
/// the one that was named.
fn originals(name: &str, found: Vec<Session<'static>>) -> Vec<Session<'static>> {
    let all_named = found.iter().all(|session| session.name.as_deref() == Some(name));
    if found.len() < 2 || !all_named {
        return found;
    }
    let is_fork = |session: &Session<'_>| {
        session.forked_from.unwrap_or_else(|| {
            let path = session.rollout_path.as_deref()?;
            let head = crate::codex::rollout::head(Path::new(path), crate::codex::rollout::Depth::Start);
            head.ok()?.meta.forked_from
        })
    };
    let (forks, originals): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|session| is_fork(session).is_some());
    if originals.len() == 1 {
        warn(format_args!(
            "'{name}' means the original session; {} of it {} the same name",
            if forks.len() == 1 { "a fork".to_owned() } else { format!("{} forks", forks.len()) },
            if forks.len() == 1 { "has" } else { "have" }
        ));
        return originals;
    }
    originals.into_iter().chain(forks).collect()
}

/// An item of standard input that names a session.
#[derive(Debug)]
pub enum Input {
    /// A `session` record, to the byte.
    Record(RawRecord),
    /// A record of another type: it is passed through or ignored.
    Other(RawRecord),
    /// A reference.
    Text(String),
}

/// References on a stream: session records, JSON strings, or plain lines up to their first TAB.
pub struct Inputs<R> {
    records: Records<R, Box<serde_json::value::RawValue>>,
    name: String,
}

impl<R: Read> Inputs<R> {
    /// References of `reader`, which errors call `name`.
    pub fn new(name: &str, reader: R) -> Self {
        Inputs { records: Records::new(name, reader), name: name.to_owned() }
    }

    /// The next one, with its line; `None` at the end. A failure is that of [`Records::next`].
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<std::result::Result<(u64, Input), LineError>> {
        let record = match self.records.next_item()? {
            Ok(record) => record,
            Err(failure) => return Some(Err(failure)),
        };
        let line = record.line;
        let place = |error: Error| LineError {
            error: error.within(format_args!("{}:{line}", self.name)),
            is_final: false,
        };
        Some(match record.value {
            Item::Text(text) => {
                let word = text.split('\t').next().unwrap_or("").trim();
                Ok((line, Input::Text(word.to_owned())))
            }
            Item::Json(raw) if raw.get().starts_with('"') => {
                match serde_json::from_str::<String>(raw.get()) {
                    Ok(text) => Ok((line, Input::Text(text))),
                    Err(_) => Err(place(Error::new("expected a reference: the string is broken"))),
                }
            }
            Item::Json(raw) => match RawRecord::new(raw) {
                Ok(foreign) if foreign.kind.as_deref().is_some_and(|kind| kind != "session") => {
                    Ok((line, Input::Other(foreign)))
                }
                Ok(foreign) if foreign.id.is_none() => {
                    Err(place(Error::new("expected a session record: missing field 'id'")))
                }
                Ok(foreign) => Ok((line, Input::Record(foreign))),
                Err(error) => Err(place(error)),
            },
        })
    }
}

/// Whether references come from standard input: where an operand is `-`, or there is none and
/// standard input is not a terminal. No operand and a terminal is bad usage.
pub fn from_stdin(operands: &[String]) -> Result<bool> {
    use std::io::IsTerminal;
    if operands.iter().any(|operand| operand == "-") {
        return Ok(true);
    }
    if !operands.is_empty() {
        return Ok(false);
    }
    if io::stdin().is_terminal() {
        return Err(Error::usage("no session is given")
            .hint("name a session, or pipe records in: codex-agent ls --json | …"));
    }
    Ok(true)
}

/// The sessions of all operands and, if it is to be, of standard input, in that order. One that cannot
/// be resolved is an error for all; `harm` says what was not done.
pub fn all(index: &mut Index, operands: &[String], harm: &str) -> Result<Vec<Session<'static>>> {
    let reads = from_stdin(operands)?;
    let mut sessions = Vec::new();
    for text in operands.iter().filter(|text| *text != "-") {
        sessions.push(resolve_to_act(index, text)?);
    }
    if !reads {
        return Ok(sessions);
    }
    let mut inputs = Inputs::new("stdin", io::stdin().lock());
    while let Some(next) = inputs.next() {
        let (line, input) = next.map_err(|failure| failure.error.hint(harm))?;
        let text = match input {
            Input::Text(text) => text,
            Input::Record(foreign) => foreign.id.unwrap_or_default(),
            Input::Other(_) => continue,
        };
        let place = |error: Error| error.within(format_args!("stdin:{line}")).hint(harm);
        sessions.push(resolve_to_act(index, &text).map_err(place)?);
    }
    Ok(sessions)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";

    #[test]
    fn forms() {
        let id = Id::parse(A).unwrap();
        assert_eq!(Form::of(A).unwrap(), Form::Id(id));
        assert_eq!(Form::of(&format!("id:{A}")).unwrap(), Form::Id(id));
        assert_eq!(Form::of("id:CD6D-1b0c").unwrap(), Form::Hex("cd6d1b0c".into()));
        assert_eq!(Form::of("name:@").unwrap(), Form::Name("@"));
        assert_eq!(Form::of("@").unwrap(), Form::Newest { nth: 1, anywhere: false });
        assert_eq!(Form::of("@3").unwrap(), Form::Newest { nth: 3, anywhere: false });
        assert_eq!(Form::of("@@").unwrap(), Form::Newest { nth: 1, anywhere: true });
        assert_eq!(Form::of("x/y.jsonl").unwrap(), Form::Path("x/y.jsonl".into()));
        assert_eq!(Form::of("beef").unwrap(), Form::Word("beef"));
        for wrong in ["", "@0", "@x", "id:xyz", "id:abc"] {
            assert!(Form::of(wrong).is_err(), "{wrong}");
        }
        assert_eq!(hex("--be-EF").as_deref(), Some("beef"));
        assert_eq!(hex("bee"), None);
    }

    #[test]
    fn lines_of_every_kind() {
        let input = format!(
            "{A}\t2026\ttitle\n{{\"type\":\"session\",\"id\":\"x\",\"n\":1.0}}\n\"a name\"\n{{\"type\":\"group\"}}\n{{\"a\":1}}\n[1]\n{{bad\n"
        );
        let mut inputs = Inputs::new("stdin", input.as_bytes());
        let mut seen = Vec::new();
        while let Some(next) = inputs.next() {
            seen.push(match next {
                Ok((line, Input::Text(text))) => format!("{line} text {text}"),
                Ok((line, Input::Record(foreign))) => format!("{line} record {}", foreign.text),
                Ok((line, Input::Other(foreign))) => format!("{line} other {}", foreign.text),
                Err(failure) => failure.error.to_string(),
            });
        }
        assert_eq!(seen[0], format!("1 text {A}"));
        assert_eq!(seen[1], "2 record {\"type\":\"session\",\"id\":\"x\",\"n\":1.0}");
        assert_eq!(
            seen[2..5],
            [
                "3 text a name",
                "4 other {\"type\":\"group\"}",
                "stdin:5: expected a session record: missing field 'id'"
            ]
        );
        assert_eq!(seen[5], "6 text [1]");
        assert!(seen[6].starts_with("stdin:7: column 2"), "{}", seen[6]);
    }
}
