//! Completion: `--generate complete -- WORD...` prints the candidates for the last word, from the table of the tool.
//!
//! A candidate is a line: a whole word without quoting, a TAB, and its meaning. Names are other people's text: a
//! name with control characters is not offered, and no name is quoted here, as only the shell knows how. A line
//! without a word is for the script in `completions/` that asks: `nothing` (no file names), `files`, `directories`,
//! `open` (no blank after the word), `command N` (the last N words are a command line of their own), and
//! `external N` (the last N words are an external tool and its arguments, which may have a script of its own).

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Value;
use super::candidates::{Candidates, SessionFinder};
use super::flag::{Completes, Row, Takes};
use super::generate::STANDARD;
use super::table::{Tool, Verb};
use crate::codex::home::Home;
use crate::codex::index::{Index, Sources};
use crate::config;
use crate::error::{Exit, Result};
use crate::group::Groups;
use crate::plugin::description::{listed, of_all};
use crate::plugin::{OWN_WORD, SearchPath};
use crate::query::{Archived, Filter, Query};
use crate::record::{Field, Session};

/// How many sessions are offered: shells ask before they list more than 99 candidates.
const MOST: usize = 90;

/// The words before the cursor, as the parser will read them.
#[derive(Default)]
struct Before {
    /// Flags by their place, with their values.
    flags: Vec<(usize, Option<OsString>)>,
    operands: Vec<OsString>,
    /// The flag whose value is typed.
    open: Option<Row>,
    only_operands: bool,
}

impl Before {
    fn read(verb: &Verb, words: &[String]) -> Before {
        let mut before = Before::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if before.only_operands || word == "-" || !word.starts_with('-') {
                before.operands.push(word.into());
                before.only_operands |= verb.greedy;
                continue;
            }
            before.only_operands = word == "--";
            let (name, mut value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (&word[..], None),
            };
            let mut letters = name[1..].chars();
            while let Some(letter) = letters.next() {
                let is_it = |row: &Row| match name.strip_prefix("--") {
                    Some(long) => row.long == long,
                    None => row.short == Some(letter),
                };
                let found = verb.rows().position(is_it).and_then(|at| Some((at, verb.rows().nth(at)?)));
                if let Some((at, row)) = found {
                    if row.takes.has_value() && value.is_none() {
                        let rest = letters.as_str();
                        let inline = !name.starts_with("--") && !rest.is_empty();
                        value = if inline { Some(rest.to_owned()) } else { words.next().cloned() };
                        before.open = Some(row.clone()).filter(|_| value.is_none());
                        letters = "".chars();
                    }
                    before.flags.push((at, value.take().map(OsString::from)));
                }
                if name.starts_with("--") {
                    break;
                }
            }
        }
        before
    }

    /// The value of a flag that was given.
    fn value(&self, verb: &Verb, long: &str) -> Option<&OsString> {
        let at = verb.rows().position(|row| row.long == long)?;
        self.flags.iter().rev().find(|(flag, _)| *flag == at)?.1.as_ref()
    }
}

/// How sessions are found, and in which home.
struct Lookup<'l> {
    home: Option<&'l OsString>,
    find: SessionFinder,
}

/// The finder of all tools that read sessions.
pub(super) fn find_sessions(
    found: &mut Candidates<'_>,
    field: Option<Field>,
    home: Option<&OsString>,
) -> Result<()> {
    match field {
        Some(field) => in_use(found, field, home),
        None => sessions(found, home),
    }
}

/// Prints the candidates for the last of these words.
pub(super) fn answer(mut tool: Tool, words: &[String]) -> Result<Exit> {
    let (typed, words) = words.split_last().map_or(("", words), |(typed, words)| (typed.as_str(), words));
    let named = |word: &String| tool.verbs().iter().position(|verb| verb.is_called(word));
    let verb = words.first().and_then(named);
    let mut found = Candidates::new(typed);
    if verb.is_none() && words.is_empty() && !typed.starts_with('-') {
        tool.verbs().iter().for_each(|verb| found.offer(verb.name, verb.about));
    }
    let nameless = usize::from(tool.nameless().is_some());
    let (at, words) = match verb {
        Some(at) => (at + nameless, &words[1..]),
        None if nameless == 1 => (0, words),
        None => {
            found.say("nothing");
            if words.is_empty() && typed.starts_with('-') {
                flags(&mut found, &[]);
            }
            return found.print();
        }
    };
    let verb = &tool.commands[at];
    let before = Before::read(verb, words);
    if verb.greedy && !before.operands.is_empty() {
        let count = before.operands.len() + 1;
        for (flag, value) in before.flags {
            tool.actions[at].set(flag, Value(value))?;
        }
        for word in before.operands.into_iter().chain([typed.into()]) {
            tool.actions[at].operand(word)?;
        }
        return tool.actions.swap_remove(at).complete().unwrap_or_else(|| {
            found.say(&format!("command {count}"));
            found.print()
        });
    }
    let lookup = Lookup {
        home: before.value(verb, "codex-home"),
        find: verb.rows().find_map(|row| row.sessions).unwrap_or(|_, _, _| Ok(())),
    };
    let inline = |row: &&Row| {
        typed
            .strip_prefix("--")
            .and_then(|typed| typed.strip_prefix(row.long))
            .is_some_and(|rest| rest.starts_with('='))
    };
    let row = before.open.as_ref().or_else(|| verb.rows().find(inline).filter(|_| !before.only_operands));
    if let Some(row) = row {
        let start = if before.open.is_some() { String::new() } else { format!("--{}=", row.long) };
        value(&mut found, row, &start, &lookup)?;
    } else if typed.starts_with('-') && !before.only_operands {
        found.say("nothing");
        flags(&mut found, &verb.rows().collect::<Vec<_>>());
    } else {
        let place = before.operands.len().min(verb.completes.len().saturating_sub(1));
        let completes = verb.completes.get(place).copied().unwrap_or(Completes::Nothing);
        operand(&mut found, completes, verb.greedy, &lookup)?;
    }
    found.print()
}

fn flags(found: &mut Candidates<'_>, rows: &[&Row]) {
    for row in rows.iter().copied().chain(&STANDARD) {
        found.offer(&format!("--{}", row.long), row.help);
        if let Some(letter) = row.short {
            found.offer(&format!("-{letter}"), row.help);
        }
    }
}

/// Offers values of a flag, each after `start`.
fn value(found: &mut Candidates<'_>, row: &Row, start: &str, lookup: &Lookup<'_>) -> Result<()> {
    // What is offered as an operand has no flag before it.
    let mut bare = Candidates::new(found.typed.get(start.len()..).unwrap_or(""));
    match row.takes {
        Takes::File(_) => bare.say("files"),
        Takes::Directory(_) => bare.say("directories"),
        Takes::Session(_) => operand(&mut bare, Completes::Sessions, false, lookup)?,
        Takes::Group(_) => operand(&mut bare, Completes::Groups, false, lookup)?,
        Takes::List(_, words) => {
            bare.say("open");
            let list = bare.typed.rfind(',').map_or("", |comma| &bare.typed[..=comma]);
            words().iter().for_each(|(word, meaning)| bare.offer(&format!("{list}{word}"), meaning));
        }
        Takes::Text(_) => {
            bare.say("nothing");
            if row.field.is_some() {
                (lookup.find)(&mut bare, row.field, lookup.home)?;
            }
        }
        takes => {
            bare.say("nothing");
            takes.values().iter().for_each(|(word, meaning)| bare.offer(word, meaning));
        }
    }
    for line in bare.lines.lines() {
        let start = if line.starts_with('\t') { "" } else { start };
        found.lines.push_str(&format!("{start}{line}\n"));
    }
    Ok(())
}

/// Offers the values that sessions have in a field, the newest first.
fn in_use(found: &mut Candidates<'_>, field: Field, home: Option<&OsString>) -> Result<()> {
    let mut values: Vec<String> = Vec::new();
    let query = Query { limit: Some(10 * MOST), fields: vec![Field::Id, field], ..Query::default() };
    index(home)?.list(&query, &mut |session| {
        let git = session.git.as_ref();
        let value = match field {
            Field::Model => session.model.as_deref(),
            Field::Branch => git.and_then(|git| git.branch.as_deref()),
            _ => git.and_then(|git| git.origin_url.as_deref()),
        };
        values.extend(value.filter(|value| !values.iter().any(|known| known == value)).map(str::to_owned));
        Ok(())
    })?;
    values.iter().take(MOST).for_each(|value| found.offer(value, ""));
    Ok(())
}

fn operand(
    found: &mut Candidates<'_>,
    completes: Completes,
    dispatches: bool,
    lookup: &Lookup<'_>,
) -> Result<()> {
    found.say(match completes {
        Completes::Commands => "command 1",
        _ => "nothing",
    });
    match completes {
        Completes::Nothing | Completes::Commands => {}
        Completes::Sessions => (lookup.find)(found, None, lookup.home)?,
        Completes::Groups => {
            let groups = Groups::read()?.groups;
            groups
                .iter()
                .for_each(|group| found.offer(&group.name, group.description.as_deref().unwrap_or("")));
        }
        Completes::Tools => tools(found, dispatches),
        // These lists are the tool's own.
        Completes::Queues | Completes::Runs => own_list(found, &["list"], false),
        Completes::Settings => own_list(found, &["list"], true),
        Completes::Types => own_list(found, &[], true),
    }
    Ok(())
}

/// Offers the tools; for the dispatcher aliases too.
pub fn tools(found: &mut Candidates<'_>, dispatches: bool) {
    let path = SearchPath::from_env();
    for (tool, description) in of_all(&path.list().tools) {
        found.offer(&tool.name, listed(tool, description.as_ref()).about.unwrap_or(""));
    }
    if dispatches {
        found.offer(OWN_WORD, "open the manual of a tool");
        for alias in
            config::once().aliases().iter().filter(|alias| matches!(path.find(&alias.name), Ok(None)))
        {
            found.offer(&alias.name, &format!("alias for {}", alias.text));
        }
    }
}

/// Offers the first cell of each row that this executable prints.
fn own_list(found: &mut Candidates<'_>, arguments: &[&str], has_meaning: bool) {
    let Ok(own) = std::env::current_exe() else { return };
    let output = Command::new(own).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    for row in String::from_utf8_lossy(&output.map(|output| output.stdout).unwrap_or_default()).lines() {
        let mut cells = row.split('\t');
        let word = cells.next().unwrap_or("").replace("\\\\", "\\");
        found.offer(&word, cells.next().filter(|_| has_meaning).unwrap_or(""));
    }
}

/// The index of the database alone, which is the fastest; of the files where there is none.
fn index(home: Option<&OsString>) -> Result<Index> {
    let find = || Home::find(home.map(Path::new));
    Index::open(find()?, Sources { database: true, files: false })
        .or_else(|_| Index::open(find()?, Sources { database: false, files: true }))
}

/// Offers the newest sessions by their short ids and names; where a word is begun, whole ids and the sessions of the
/// whole home that begin with it.
fn sessions(found: &mut Candidates<'_>, home: Option<&OsString>) -> Result<()> {
    found.offer("@", "the newest here");
    found.offer("@@", "the newest");
    let typed = found.typed;
    let mut index = index(home)?;
    let mut filters = vec![Filter::default()];
    if !typed.is_empty() {
        let everything = || Filter { archived: Archived::With, ..Filter::default() };
        let digits = typed.replace('-', "").to_lowercase();
        let fits = |id: &&crate::record::Id| id.hex().starts_with(&digits) || id.short().starts_with(&digits);
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let ids = if is_hex { index.ids()?.iter().filter(fits).copied().collect() } else { Vec::new() };
        filters = vec![Filter { named: true, ..everything() }];
        if !ids.is_empty() {
            filters.push(Filter { ids: Some(ids), ..everything() });
        }
    }
    for filter in filters {
        let limit = Some(MOST).filter(|_| !filter.named);
        let query =
            Query { filter, limit, fields: vec![Field::Id, Field::Name, Field::Title], ..Query::default() };
        index.list(&query, &mut |session: &Session<'_>| {
            if let Some(id) = session.id.filter(|_| found.count() < MOST) {
                let title = session.title.as_deref().unwrap_or("");
                found.offer(&id.short(), session.name.as_deref().unwrap_or(title));
                if !typed.is_empty() {
                    found.offer(&id.to_string(), title);
                }
                found.offer(session.name.as_deref().unwrap_or(""), title);
            }
            Ok(())
        })?;
    }
    Ok(())
}
