//! Completion: `--generate complete -- WORD...` prints the candidates for the last word, from the table of the tool.
//!
//! A candidate is a line: the complete word without quotes, a TAB, and the meaning. Names are untrusted text: a name
//! with control characters is not offered. Quoting is left to the shell. A line without a word is an instruction for
//! the script in `completions/`: `nothing` (no file names), `files`, `directories`, `open` (no blank after the word),
//! `command N` (the last N words are a command line of their own), and `external N` (the last N words are an external
//! tool and its arguments, which may have a script of its own).

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Value;
use super::candidates::{Candidates, MOST, SessionFinder};
use super::flag::{Completes, Row, Takes};
use super::generate::STANDARD;
use super::table::{Tool, Verb};
use crate::codex::home::Home;
use crate::codex::index::{Index, Sources};
use crate::config;
use crate::error::{Exit, Result};
use crate::group::Groups;
use crate::plugin::description::{listed, with_descriptions};
use crate::plugin::{OWN_WORD, SearchPath};
use crate::query::{Archived, Filter, Query, Repository};
use crate::record::{Field, Id, Session};

/// The words before the cursor, in the way of the parser.
#[derive(Default)]
struct Before {
    /// Flags by their index, with their values.
    flags: Vec<(usize, Option<OsString>)>,
    operands: Vec<OsString>,
    /// The flag whose value is the typed word.
    open: Option<Row>,
    only_operands: bool,
}

impl Before {
    fn parse(verb: &Verb, words: &[String]) -> Before {
        let mut before = Before::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if before.only_operands || word == "-" || !word.starts_with('-') {
                before.operands.push(word.into());
                before.only_operands |= verb.greedy;
                continue;
            }
            before.only_operands = word == "--";
            let (name, value) =
                word.split_once('=').map_or((&word[..], None), |(name, value)| (name, Some(value)));
            let mut value = value.map(str::to_owned);
            let long = name.strip_prefix("--");
            let mut letters = name[1..].chars();
            while let Some(letter) = letters.next() {
                let has_name = |(_, row): &(usize, &Row)| match long {
                    Some(long) => row.long == long,
                    None => row.short == Some(letter),
                };
                if let Some((at, row)) = verb.rows().enumerate().find(has_name) {
                    if row.takes.has_value() && value.is_none() {
                        // The rest of the letters is a value, or the next word is.
                        let rest = std::mem::replace(&mut letters, "".chars()).as_str();
                        let is_inline = long.is_none() && !rest.is_empty();
                        value = if is_inline { Some(rest.to_owned()) } else { words.next().cloned() };
                        before.open = Some(row.clone()).filter(|_| value.is_none());
                    }
                    before.flags.push((at, value.take().map(OsString::from)));
                }
                if long.is_some() {
                    break;
                }
            }
        }
        before
    }

    /// The value of a flag.
    fn value(&self, verb: &Verb, long: &str) -> Option<&OsString> {
        let at = verb.rows().position(|row| row.long == long)?;
        self.flags.iter().rev().find(|(flag, _)| *flag == at)?.1.as_ref()
    }
}

/// The function that finds sessions, and the home.
struct Lookup<'l> {
    home: Option<&'l OsString>,
    find: SessionFinder,
}

/// The function that finds sessions for all tools that read sessions.
pub(super) fn find_sessions(
    found: &mut Candidates<'_>,
    field: Option<Field>,
    home: Option<&OsString>,
) -> Result<()> {
    match field {
        Some(field) => offer_values(found, field, home),
        None => offer_sessions(found, home),
    }
}

/// Prints the candidates for the last of these words.
pub(super) fn complete(mut tool: Tool, words: &[String]) -> Result<Exit> {
    let (typed, words) = words.split_last().map_or(("", words), |(typed, words)| (typed.as_str(), words));
    let with_name = |word: &String| tool.verbs().iter().position(|verb| verb.has_name(word));
    let verb = words.first().and_then(with_name);
    let mut found = Candidates::new(typed);
    if verb.is_none() && words.is_empty() && !typed.starts_with('-') {
        tool.verbs().iter().for_each(|verb| found.offer(verb.name, verb.about));
    }
    let nameless = usize::from(tool.nameless().is_some());
    let (at, words) = match verb {
        Some(at) => (at + nameless, &words[1..]),
        None if nameless == 1 => (0, words),
        None => {
            found.instruct("nothing");
            if words.is_empty() && typed.starts_with('-') {
                offer_flags(&mut found, [].iter());
            }
            return found.print();
        }
    };
    let verb = &tool.commands[at];
    let before = Before::parse(verb, words);
    if verb.greedy && !before.operands.is_empty() {
        let count = before.operands.len() + 1;
        for (flag, value) in before.flags {
            tool.actions[at].set(flag, Value(value))?;
        }
        for word in before.operands.into_iter().chain([typed.into()]) {
            tool.actions[at].operand(word)?;
        }
        return tool.actions.swap_remove(at).complete().unwrap_or_else(|| {
            found.instruct(&format!("command {count}"));
            found.print()
        });
    }
    let lookup = Lookup {
        home: before.value(verb, "codex-home"),
        find: verb.rows().find_map(|row| row.sessions).unwrap_or(|_, _, _| Ok(())),
    };
    let inline = verb.rows().find(|row| typed.starts_with(&format!("--{}=", row.long)));
    if let Some(row) = &before.open {
        offer_flag_value(&mut found, row, &lookup)?;
    } else if let Some(row) = inline.filter(|_| !before.only_operands) {
        found.follow(format!("--{}=", row.long));
        offer_flag_value(&mut found, row, &lookup)?;
    } else if typed.starts_with('-') && !before.only_operands {
        found.instruct("nothing");
        offer_flags(&mut found, verb.rows());
    } else {
        let place = before.operands.len().min(verb.completes.len().saturating_sub(1));
        let completes = verb.completes.get(place).copied().unwrap_or(Completes::Nothing);
        offer_operand(&mut found, completes, verb.greedy, &lookup)?;
    }
    found.print()
}

fn offer_flags<'r>(found: &mut Candidates<'_>, rows: impl Iterator<Item = &'r Row>) {
    for row in rows.chain(&STANDARD) {
        found.offer(&format!("--{}", row.long), row.help);
        if let Some(letter) = row.short {
            found.offer(&format!("-{letter}"), row.help);
        }
    }
}

fn offer_flag_value(found: &mut Candidates<'_>, row: &Row, lookup: &Lookup<'_>) -> Result<()> {
    match row.takes {
        Takes::File(_) => found.instruct("files"),
        Takes::Directory(_) => found.instruct("directories"),
        Takes::Session(_) => offer_operand(found, Completes::Sessions, false, lookup)?,
        Takes::Group(_) => offer_operand(found, Completes::Groups, false, lookup)?,
        Takes::List(_, words) | Takes::PerhapsList(_, words) => {
            found.instruct("open");
            let list = found.typed.rfind(',').map_or("", |comma| &found.typed[..=comma]);
            words().iter().for_each(|(word, meaning)| found.offer(&format!("{list}{word}"), meaning));
        }
        takes => {
            found.instruct("nothing");
            takes.values().iter().for_each(|(word, meaning)| found.offer(word, meaning));
            let suggested = row.suggests.map(|suggest| suggest(found.typed)).unwrap_or_default();
            suggested.iter().for_each(|(word, meaning)| found.offer(word, meaning));
            if row.field.is_some() {
                (lookup.find)(found, row.field, lookup.home)?;
            }
        }
    }
    Ok(())
}

/// Offers the values that the newest sessions have in a field. If none of them begins with the typed text, offers those
/// of older sessions, which takes longer.
fn offer_values(found: &mut Candidates<'_>, field: Field, home: Option<&OsString>) -> Result<()> {
    let mut index = open_index(home)?;
    for filter in [Filter::default(), begins(field, found.typed)] {
        let query =
            Query { filter, limit: Some(10 * MOST), fields: vec![Field::Id, field], ..Query::default() };
        index.list(&query, &mut |session| {
            let value = session.value(field).map(|value| value.to_string()).unwrap_or_default();
            if field == Field::OriginUrl {
                found.offer(owner_and_name(&value), &value);
            }
            // The list of all repositories has each once, by its short name.
            if field != Field::OriginUrl || !found.typed.is_empty() {
                found.offer(&value, "");
            }
            Ok(())
        })?;
        if found.count() > 0 {
            break;
        }
    }
    Ok(())
}

/// The last two parts of the URL of a repository.
fn owner_and_name(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    let url = url.strip_suffix(".git").unwrap_or(url);
    url.rmatch_indices(['/', ':']).nth(1).map_or(url, |(at, _)| &url[at + 1..])
}

/// The filter for sessions with a value of this beginning in a field.
fn begins(field: Field, start: &str) -> Filter {
    let mut filter = Filter::default();
    let pattern = format!("{start}*");
    let patterns = match field {
        Field::OriginUrl => {
            filter.repo =
                ["", "*/", "*:"].map(|before| Repository::Pattern(format!("{before}{start}*"))).into();
            return filter;
        }
        Field::Branch => &mut filter.branch,
        Field::CliVersion => &mut filter.cli_version,
        Field::Model => &mut filter.model,
        Field::ModelProvider => &mut filter.provider,
        Field::Name => &mut filter.name,
        Field::Originator => &mut filter.originator,
        Field::Source => &mut filter.source,
        _ => return filter,
    };
    patterns.push(pattern);
    filter
}

fn offer_operand(
    found: &mut Candidates<'_>,
    completes: Completes,
    dispatches: bool,
    lookup: &Lookup<'_>,
) -> Result<()> {
    found.instruct(if completes == Completes::Commands { "command 1" } else { "nothing" });
    match completes {
        Completes::Nothing | Completes::Commands => {}
        Completes::Sessions => (lookup.find)(found, None, lookup.home)?,
        Completes::Groups => {
            for group in Groups::read()?.groups {
                found.offer(&group.name, group.description.as_deref().unwrap_or(""));
            }
        }
        Completes::Tools => offer_tools(found, dispatches),
        // The tool itself prints the following lists.
        Completes::Queues | Completes::Runs => offer_own_list(found, &["list"], false),
        Completes::Settings => offer_own_list(found, &["list"], true),
        Completes::Types => offer_own_list(found, &[], true),
    }
    Ok(())
}

/// Offers the tools; for the dispatcher also its own word and the aliases.
pub fn offer_tools(found: &mut Candidates<'_>, dispatches: bool) {
    let path = SearchPath::from_env();
    for (tool, description) in with_descriptions(&path.list().tools) {
        found.offer(&tool.name, listed(tool, description.as_ref()).about.unwrap_or(""));
    }
    if dispatches {
        found.offer(OWN_WORD, "open the manual of a tool");
        let aliases = config::as_far_as_valid().aliases().iter();
        for alias in aliases.filter(|alias| matches!(path.find(&alias.name), Ok(None))) {
            found.offer(&alias.name, &format!("alias for {}", alias.text));
        }
    }
}

/// Offers the first cell of each row that this executable prints.
fn offer_own_list(found: &mut Candidates<'_>, arguments: &[&str], has_meaning: bool) {
    let Ok(own) = std::env::current_exe() else { return };
    let output = Command::new(own).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    for row in String::from_utf8_lossy(&output.map(|output| output.stdout).unwrap_or_default()).lines() {
        let mut cells = row.split('\t');
        let word = cells.next().unwrap_or("").replace("\\\\", "\\");
        found.offer(&word, cells.next().filter(|_| has_meaning).unwrap_or(""));
    }
}

/// Opens the index of the database alone, which is the fastest, or of the files if there is no database.
fn open_index(home: Option<&OsString>) -> Result<Index> {
    let find = || Home::find(home.map(Path::new));
    Index::open(find()?, Sources { database: true, files: false })
        .or_else(|_| Index::open(find()?, Sources { database: false, files: true }))
}

/// Offers the newest sessions by their short ids and names. If the user has typed the beginning of a word, also offers
/// whole ids, and hidden and older sessions.
fn offer_sessions(found: &mut Candidates<'_>, home: Option<&OsString>) -> Result<()> {
    found.offer("@", "the newest here");
    found.offer("@@", "the newest");
    let typed = found.typed;
    let mut index = open_index(home)?;
    let mut queries = vec![(Filter::default(), MOST)];
    if !typed.is_empty() {
        let fits = |id: &&Id| {
            let text = id.text();
            text.starts_with(typed.as_bytes()) || text[28..].starts_with(typed.as_bytes())
        };
        let matching: Vec<Id> = index.ids()?.iter().filter(fits).copied().collect();
        // Of many sessions only the newest are read, since not all are offered.
        let matching = Some(matching).filter(|ids| ids.len() < 5 * MOST);
        let everything = || Filter { archived: Archived::With, ..Filter::default() };
        queries = [Some(index.named_ids(typed)?), matching]
            .map(|ids| (Filter { ids, ..everything() }, 10 * MOST))
            .into();
    }
    for (filter, limit) in queries {
        let fields = vec![Field::Id, Field::Name, Field::Title];
        let query = Query { filter, limit: Some(limit), fields, ..Query::default() };
        index.list(&query, &mut |session: &Session<'_>| {
            if let Some(id) = session.id {
                let title = session.title.as_deref().unwrap_or("");
                found.offer(&id.short(), session.label());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_name_of_a_repository_is_the_end_of_its_url() {
        for url in [
            "https://example.com/acme/alpha.git",
            "https://example.com/acme/alpha/",
            "git@example.com:acme/alpha.git",
            "ssh://git@example.com:22/deep/acme/alpha",
            "acme/alpha",
        ] {
            assert_eq!(owner_and_name(url), "acme/alpha", "{url}");
        }
        assert_eq!((owner_and_name("alpha"), owner_and_name("")), ("alpha", ""));
    }
}
