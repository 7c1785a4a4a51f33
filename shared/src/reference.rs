//! References: the grammar by which every tool accepts sessions.
//!
//! | form | session |
//! |---|---|
//! | a full UUID | the session with this id, hidden or not |
//! | a path that ends in `.jsonl` or `.jsonl.zst` | the session of the rollout at that path, which must be in Codex's home |
//! | `@`, `@N` | the newest (Nth newest) by `updated_at` whose directory is the current one; in a directory of a git repository that has no session, of the nearest directory above it in the repository that has one, or else of the repository with all of its working trees |
//! | `@@` | the newest of all directories |
//! | a name | the session with exactly this name; of several, the one that is not a fork, with a warning |
//! | 4 or more hex digits, dashes allowed | the session whose id begins or ends with them, or whose last eight digits, which tables show, begin with them |
//!
//! `id:…` and `name:…` force a form. A text that is the name of one session and hex digits of another is ambiguous.
//! Archived sessions and subagents match only if no visible session matches.
//!
//! ```
//! use codex_agent_shared::reference::{Input, Inputs};
//!
//! let input = "{\"type\":\"session\",\"id\":\"01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c\"}\nlogin work\tcut here\n";
//! let mut inputs = Inputs::new("stdin", input.as_bytes());
//! assert!(matches!(inputs.next(), Some(Ok((1, Input::Record(_))))));
//! assert!(matches!(inputs.next(), Some(Ok((2, Input::Text(name)))) if name == "login work"));
//! ```

mod address;
mod input;
mod search;

pub use address::Address;
#[doc(hidden)]
pub use address::resolve_address;
pub use input::reads_stdin;
pub use input::{Input, Inputs};
#[doc(hidden)]
pub use input::{
    address_in, check_is_here, each_of_stdin, each_operand, host_in, match_session, set_has_input,
};
pub(crate) use search::words_of;
pub use search::{choose, search};

use std::collections::HashSet;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use crate::codex::index::Index;
use crate::codex::rollout::{self, Name};
use crate::error::{Error, Result, Stream, note, reason, status, warn};
use crate::host::split_reference;
use crate::output::candidate_lines;
use crate::query::{Archived, Directory, Filter, Query, Repository, root_of};
use crate::record::{Id, Session};
use crate::terminal::{columns, rows};
use crate::text::{cell, counted};

/// The form of a reference, by its text alone.
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
    fn parse(text: &'t str) -> Result<Form<'t>> {
        if text.is_empty() {
            return Err(Error::usage("invalid reference '': the reference to a session is empty"));
        }
        if let Some(id) = Id::parse(text.strip_prefix("id:").unwrap_or(text)) {
            return Ok(Form::Id(id));
        }
        if let Some(rest) = text.strip_prefix("id:") {
            let error = || Error::usage(format!("invalid reference '{text}': expected 4 or more hex digits"));
            return hex(rest).map(Form::Hex).ok_or_else(error);
        }
        if let Some(name) = text.strip_prefix("name:") {
            return Ok(Form::Name(name));
        }
        if text == "@@" {
            return Ok(Form::Newest { nth: 1, anywhere: true });
        }
        if let Some(rest) = text.strip_prefix('@') {
            let nth = if rest.is_empty() { Some(1) } else { rest.parse().ok().filter(|nth| *nth > 0) };
            return nth.map(|nth| Form::Newest { nth, anywhere: false }).ok_or_else(|| {
                Error::usage(format!("invalid reference '{text}'")).hint(
                    "@ and @N are the newest sessions of this directory, @@ is the newest of all directories",
                )
            });
        }
        if text.ends_with(".jsonl") || text.ends_with(".jsonl.zst") {
            return Ok(Form::Path(PathBuf::from(text)));
        }
        Ok(Form::Word(text))
    }
}

/// Whether a text may be a part of an id and may be a word as well: four or more hex digits, but not a complete id.
pub fn is_hex_word(text: &str) -> bool {
    Id::parse(text).is_none() && hex(text).is_some()
}

/// Whether a text is a reference neither by its form, such as `@`, an id or a path, nor by a session with this name or
/// such an id.
pub(crate) fn is_unknown_word(index: &mut Index, text: &str) -> Result<bool> {
    let Ok(Form::Word(word)) = Form::parse(text) else { return Ok(false) };
    if word == "-" || !list_by_name(index, word)?.is_empty() {
        return Ok(false);
    }
    match hex(word) {
        Some(hex) => Ok(list_by_hex(index, &hex)?.is_empty()),
        None => Ok(true),
    }
}

/// The hex digits of a text in lower case, without dashes, if it has 4 or more and nothing else.
fn hex(text: &str) -> Option<String> {
    let digits = text.replace('-', "").to_lowercase();
    let is_hex = (4..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then_some(digits)
}

/// All sessions that match a reference: none, one, or several if it is ambiguous.
pub fn matching(index: &mut Index, text: &str) -> Result<Vec<Session<'static>>> {
    match Form::parse(text)? {
        Form::Id(id) => Ok(index.get(id)?.into_iter().collect()),
        Form::Path(path) => {
            let id = id_of_rollout(index, &path)?;
            Ok(index.get(id)?.into_iter().collect())
        }
        Form::Newest { nth, anywhere } => list_newest(index, nth, anywhere),
        Form::Hex(hex) => list_by_hex(index, &hex).map(visible_first),
        Form::Name(name) => Ok(originals(name, visible_first(list_by_name(index, name)?))),
        Form::Word(word) => {
            let mut found = list_by_name(index, word)?;
            if let Some(hex) = hex(word) {
                for session in list_by_hex(index, &hex)? {
                    if !found.iter().any(|other| other.id == session.id) {
                        found.push(session);
                    }
                }
            }
            Ok(originals(word, visible_first(found)))
        }
    }
}

/// The session of a reference. No match is an error with exit status 1, several matches are an error with exit
/// status 2 that lists them. On a terminal a status line shows which session '@' is.
pub fn resolve(index: &mut Index, text: &str) -> Result<Session<'static>> {
    resolve_with(index, text, note)
}

/// As [`resolve`], for a tool that opens or changes the session, or sends a prompt to it: the status line is printed
/// without a terminal as well.
#[doc(hidden)]
pub fn resolve_to_act(index: &mut Index, text: &str) -> Result<Session<'static>> {
    resolve_with(index, text, status)
}

/// On a terminal, a line about the session of '@' if the current directory itself has none.
#[doc(hidden)]
pub fn note_directory(text: &str, session: &Session<'_>) {
    let place = place_of(text, session);
    if !place.is_empty() {
        note(format!("'{text}' is {}{place}", summary(session)));
    }
}

/// A clause about the directory of the session of '@', if that is not the current directory.
fn place_of(text: &str, session: &Session<'_>) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let cwd = session.cwd.as_deref().unwrap_or("");
    let is_newest = matches!(Form::parse(text), Ok(Form::Newest { anywhere: false, .. }));
    if !is_newest || Directory::new(&here).is(cwd) {
        return String::new();
    }
    let is_above = Directory::new(Path::new(cwd)).contains(&here.to_string_lossy());
    let which = if is_above { "" } else { " in the same repository" };
    format!(", of '{cwd}'{which}: '{}' has no session", here.display())
}

fn resolve_with(index: &mut Index, text: &str, print: fn(String)) -> Result<Session<'static>> {
    if let Some((host, reference)) = split_reference(text, &[])? {
        let name = &host.name;
        return Err(Error::usage(format!(
            "'{text}' is a session of host '{name}', and this command is for sessions of this machine"
        ))
        .hint(format!(
            "run the command on the host, for '{reference}': for example 'ssh -t {name} codex-agent ...'"
        )));
    }
    let mut found = matching(index, text)?;
    match found.len() {
        1 => {
            let session = found.remove(0);
            if matches!(Form::parse(text)?, Form::Newest { .. }) {
                print(format!("'{text}' is {}{}", summary(&session), place_of(text, &session)));
            }
            Ok(session)
        }
        0 => Err(not_found_error(index, text)?),
        _ => Err(ambiguous_error(text, &found)),
    }
}

/// The error for a reference that matches no session. For '@' it lists similar sessions: the hidden ones of this
/// directory, those of directories below and above, and if there are none, the newest of all.
#[doc(hidden)]
pub fn not_found_error(index: &mut Index, text: &str) -> Result<Error> {
    if !matches!(Form::parse(text)?, Form::Newest { .. }) {
        return search::no_session_error(index, text);
    }
    let here = std::env::current_dir().unwrap_or_default();
    let cwd = |places: &[&Path]| places.iter().map(|place| Directory::new(place)).collect::<Vec<_>>();
    let above: Vec<&Path> = here.ancestors().skip(1).collect();
    let filters = [
        Filter { cwd: cwd(&[&here]), ..all_sessions() },
        Filter { under: cwd(&[&here]), ..Filter::default() },
        Filter { cwd: cwd(&above), ..Filter::default() },
        Filter::default(),
    ];
    let mut near: Vec<Session<'static>> = Vec::new();
    for (at, filter) in filters.into_iter().enumerate() {
        if near.len() < SIMILAR && (at < 3 || near.is_empty()) {
            near.extend(list(index, filter, 0, Some(SIMILAR))?);
            let mut seen = HashSet::new();
            near.retain(|session| seen.insert(session.id));
        }
    }
    near.truncate(SIMILAR);
    let near: Vec<&Session<'_>> = near.iter().collect();
    let lines = describe_candidates(&near, &[], SIMILAR, |session| {
        let hidden = match (session.archived_at, session.is_subagent()) {
            (Some(_), _) => " (archived)",
            (None, true) => " (a subagent)",
            (None, false) => "",
        };
        format!("{}  {}{hidden}", summary(session), cell(session.cwd.as_deref().unwrap_or(""), 60))
    });
    let is_anywhere = text.starts_with("@@");
    let place = if is_anywhere { String::new() } else { format!(" of the directory '{}'", here.display()) };
    let error = Error::not_found(format!("no session '{text}'{place}"));
    let error = match is_anywhere || near.is_empty() {
        true => error,
        false if text == "@" => error.hint("'@@' is the newest session of all directories"),
        false => error.hint(format!("'@{text}' counts the sessions of all directories")),
    };
    Ok(match lines.is_empty() {
        true => error.hint("'codex-agent ls --archived --subagents' lists hidden sessions"),
        false => error.hint("similar sessions:").hint(lines),
    })
}

/// The message for an address of a turn that its session does not have.
#[doc(hidden)]
pub fn no_turn(session: &str, turn: &str) -> String {
    format!("session '{session}' has no turn {turn}; 'codex-agent show {session} --oneline' lists its turns")
}

/// The number of similar sessions in an error.
const SIMILAR: usize = 5;

/// The number of sessions of which one must be chosen in an error.
const CANDIDATES: usize = 10;

/// Lines about sessions, and the number of those beyond `most`. On a terminal the lines are a table that fits it, and
/// no more than fit the screen; elsewhere each session is the line that `plain` makes.
fn describe_candidates(
    found: &[&Session<'_>],
    words: &[String],
    most: usize,
    plain: impl Fn(&Session<'_>) -> String,
) -> String {
    let is_table = io::stderr().is_terminal();
    // The message, the heading, the hints and the prompt of the shell have the other rows.
    let most = if is_table { rows().saturating_sub(6).clamp(3, 2 * most) } else { most };
    let shown = &found[..found.len().min(most)];
    let mut lines = match is_table {
        // Hints are indented by two columns, and no line has the last column.
        true => {
            candidate_lines(shown, words, Stream::Err.columns().unwrap_or_else(columns).saturating_sub(3))
        }
        false => shown.iter().map(|session| plain(session)).collect(),
    };
    if found.len() > most {
        lines.push(format!("and {} more", found.len() - most));
    }
    lines.join("\n")
}

/// The id of one of several sessions, as a message names it: as the table on a terminal shows it, elsewhere complete.
/// A part of an id that several of the sessions have is no reference to one of them.
fn id_among(session: &Session<'_>, found: &[&Session<'_>]) -> Option<String> {
    let id = session.id?;
    let has_same = |other: &&&Session<'_>| other.id.is_some_and(|other| other.short() == id.short());
    let is_short = io::stderr().is_terminal() && found.iter().filter(has_same).count() == 1;
    Some(if is_short { id.short() } else { id.to_string() })
}

/// The error for a reference that matches several sessions, which it lists, the newest first.
#[doc(hidden)]
pub fn ambiguous_error(text: &str, found: &[Session<'_>]) -> Error {
    let mut found: Vec<&Session<'_>> = found.iter().collect();
    found.sort_by_key(|session| std::cmp::Reverse((session.updated_at, session.id)));
    let lines = describe_candidates(&found, &[], CANDIDATES, summary);
    let error =
        Error::new(format!("ambiguous reference '{text}': it matches {}", counted(found.len(), "session")))
            .hint(lines);
    match found.first().and_then(|newest| Some((id_among(newest, &found)?, newest.updated_at?))) {
        Some((id, _)) if io::stderr().is_terminal() => error.hint(format!("the newest is {id}")),
        // The id is complete: a part of it may be the ambiguous reference.
        Some((id, at)) => error.hint(format!("the newest is {id}, of {at}")),
        None => error,
    }
}

/// A session in a line: id, time, and name or title.
pub(crate) fn summary(session: &Session<'_>) -> String {
    let id = session.id.map(|id| id.to_string()).unwrap_or_default();
    let at = session.updated_at.map(|at| at.to_string()).unwrap_or_default();
    format!("{id}  {}  {}", at.get(..16).unwrap_or(""), cell(session.label(), 40))
}

fn id_of_rollout(index: &Index, path: &Path) -> Result<Id> {
    let shown = path.display();
    let real = std::fs::canonicalize(path)
        .map_err(|error| Error::not_found(format!("cannot open '{shown}': {}", reason(&error))))?;
    // If a directory of the home is a link to another disk, only the typed path is in the home.
    let typed = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let home = index.home().path();
    if !(real.starts_with(home) || typed.starts_with(home)) || !real.is_file() {
        return Err(Error::usage(format!("'{shown}' is not a file in Codex's home"))
            .hint(format!("Codex's home is '{}'; set CODEX_HOME to use another home", home.display())));
    }
    let name = real.file_name().and_then(|name| name.to_str()).and_then(Name::parse);
    name.map(|name| name.id).ok_or_else(|| Error::usage(format!("'{shown}' is not the name of a rollout")))
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

fn all_sessions() -> Filter {
    Filter { archived: Archived::With, subagents: true, ..Filter::default() }
}

/// The Nth newest session of all directories, or of the current one. In a git repository, the nearest directory at or
/// above the current one that has a session counts, and if there is none, the repository with all of its working trees.
fn list_newest(index: &mut Index, nth: usize, anywhere: bool) -> Result<Vec<Session<'static>>> {
    if anywhere {
        return list(index, Filter::default(), nth - 1, Some(1));
    }
    let here = std::env::current_dir()
        .map_err(|error| Error::new(format!("cannot determine the current directory: {}", reason(&error))))?;
    let root = root_of(&here);
    let mut directory = here.as_path();
    loop {
        let filter = Filter { cwd: vec![Directory::new(directory)], ..Filter::default() };
        let found = list(index, filter.clone(), nth - 1, Some(1))?;
        if !found.is_empty() || (nth > 1 && !list(index, filter, 0, Some(1))?.is_empty()) {
            return Ok(found);
        }
        let is_root = root.as_deref().is_none_or(|root| directory == root);
        match directory.parent().filter(|_| !is_root) {
            Some(parent) => directory = parent,
            None => break,
        }
    }
    match root.and_then(|root| Repository::of_directory(&root)) {
        // Sessions of other clones, which have the same origin, are in directories that the user may not expect.
        Some(Repository::Local { directories, .. }) => {
            let filter = Filter { under: directories, ..Filter::default() };
            list(index, filter, nth - 1, Some(1))
        }
        _ => Ok(Vec::new()),
    }
}

fn list_by_name(index: &mut Index, name: &str) -> Result<Vec<Session<'static>>> {
    // A name is no pattern: a star in it is a star.
    let mut found = list(index, Filter { named: true, ..all_sessions() }, 0, None)?;
    found.retain(|session| session.name.as_deref() == Some(name));
    Ok(found)
}

fn list_by_hex(index: &mut Index, hex: &str) -> Result<Vec<Session<'static>>> {
    let fits = |id: &&Id| {
        let digits = id.hex();
        // Tables show the last eight digits, and people type the first few of these.
        digits.starts_with(hex) || digits.ends_with(hex) || digits[24..].starts_with(hex)
    };
    let ids: Vec<Id> = index.ids()?.iter().filter(fits).copied().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    list(index, Filter { ids: Some(ids), ..all_sessions() }, 0, None)
}

/// Only the sessions that `ls` shows, if there are any.
fn visible_first(found: Vec<Session<'static>>) -> Vec<Session<'static>> {
    let is_visible = |session: &Session<'_>| session.archived_at.is_none() && !session.is_subagent();
    if found.iter().any(is_visible) { found.into_iter().filter(is_visible).collect() } else { found }
}

/// The session that a session was forked from, which only its rollout has if the index did not read that.
#[doc(hidden)]
pub fn parent_of(session: &Session<'_>) -> Option<Id> {
    session.forked_from.unwrap_or_else(|| {
        let path = session.rollout_path.as_deref()?;
        rollout::head(Path::new(path), rollout::Depth::Start).ok()?.meta.forked_from
    })
}

/// The session that was given a name, if the others with this name are its forks: a fork keeps the name of its parent
/// (Codex 0.169).
fn originals(name: &str, found: Vec<Session<'static>>) -> Vec<Session<'static>> {
    let all_named = found.iter().all(|session| session.name.as_deref() == Some(name));
    if found.len() < 2 || !all_named {
        return found;
    }
    let is_fork = |session: &Session<'_>| parent_of(session).is_some();
    let (forks, originals): (Vec<_>, Vec<_>) = found.into_iter().partition(is_fork);
    if originals.len() != 1 {
        return originals.into_iter().chain(forks).collect();
    }
    let others = match forks.len() {
        1 => "a fork of it has".to_owned(),
        more => format!("{more} forks of it have"),
    };
    warn(format_args!("'{name}' means the original session; {others} the same name"));
    originals
}

/// The sessions of all operands and, if [`reads_stdin`], of standard input, in this order. A reference without a
/// session is an error for all; `harm` is the hint about what was not done.
pub fn resolve_all(index: &mut Index, operands: &[String], harm: &str) -> Result<Vec<Session<'static>>> {
    let reads_stdin = reads_stdin(operands)?;
    let references = operands.iter().filter(|text| *text != "-");
    let mut sessions = references.map(|text| resolve_to_act(index, text)).collect::<Result<Vec<_>>>()?;
    if !reads_stdin {
        return Ok(sessions);
    }
    let read = each_of_stdin(|_| None, &mut |text| {
        sessions.push(resolve_to_act(index, text)?);
        Ok(())
    });
    read.map_err(|error| error.hint(harm))?;
    Ok(sessions)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";

    #[test]
    fn forms() {
        let id = Id::parse(A).unwrap();
        assert_eq!(Form::parse(A).unwrap(), Form::Id(id));
        assert_eq!(Form::parse(&format!("id:{A}")).unwrap(), Form::Id(id));
        assert_eq!(Form::parse("id:CD6D-1b0c").unwrap(), Form::Hex("cd6d1b0c".into()));
        assert_eq!(Form::parse("name:@").unwrap(), Form::Name("@"));
        assert_eq!(Form::parse("@").unwrap(), Form::Newest { nth: 1, anywhere: false });
        assert_eq!(Form::parse("@3").unwrap(), Form::Newest { nth: 3, anywhere: false });
        assert_eq!(Form::parse("@@").unwrap(), Form::Newest { nth: 1, anywhere: true });
        assert_eq!(Form::parse("x/y.jsonl").unwrap(), Form::Path("x/y.jsonl".into()));
        assert_eq!(Form::parse("beef").unwrap(), Form::Word("beef"));
        for wrong in ["", "@0", "@x", "id:xyz", "id:abc"] {
            assert!(Form::parse(wrong).is_err(), "{wrong}");
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
