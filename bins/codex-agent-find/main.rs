//! codex-agent-find: find Codex sessions by reference or text.

use std::collections::HashSet;
use std::io;
use std::process::ExitCode;

use codex_agent_shared::cli::remote::Operands;
use codex_agent_shared::cli::{self, Command, Completes, Takes, Tool, Value, filters, flags};
use codex_agent_shared::codex::files::Files;
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::{Error, Exit, Result, note, reason, warn, warn_of};
use codex_agent_shared::output::{Sessions, Shape};
use codex_agent_shared::query::{Archived, Filter, Needs, Query, Sort};
use codex_agent_shared::record::{Field, Id, MergedRecord, RawRecord, Session};
use codex_agent_shared::reference::{self, Input, Inputs};
use codex_agent_shared::text::lowered;
use codex_agent_shared::transcript::order::{Found, in_order};
use codex_agent_shared::transcript::search::{Case, Pattern, Place, Search, Syntax};

mod hosts;

/// The arguments of this tool alone.
#[derive(Default)]
struct Own {
    words: bool,
    last: bool,
    one: bool,
    said: Vec<String>,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

fn search_flags() -> [Flag; 4] {
    [
        Flag::new(
            "said",
            Takes::Text("WORDS"),
            "select only sessions whose messages have all of these words",
            |args: &mut Args, value: Value| {
                let text = value.text()?;
                let words = args.own.said.len();
                args.own.said.extend(text.split_whitespace().map(str::to_owned));
                match args.own.said.len() > words {
                    true => Ok(()),
                    false => Err(Error::usage(format!("invalid value '{text}': the words are missing"))),
                }
            },
        )
        .more("The messages of the user and the model are searched, in the rollouts; each word may be in another message, and inside a longer word. Upper and lower case are not distinguished. codex-agent-grep(1) prints the messages."),
        Flag::switch(
            "words",
            "search for every operand as a word, never as a reference",
            |args: &mut Args| &mut args.own.words,
        )
        .short('w'),
        Flag::switch("last", "print only the newest session", |args| &mut args.own.last),
        Flag::switch(
            "one",
            "exit with status 2 and list the matches unless exactly one session matches",
            |args| &mut args.own.one,
        )
        .short('1')
        .more("This option is for scripts, in which a wrong session would do harm."),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-find")
        .description([
            "First, the operands are read as references to sessions. A reference is an id, the beginning or the end of an id, a name, @ for the newest session of the current directory, @@ for the newest session of any directory, or the path of a rollout; codex-agent(7) has the complete grammar. If every operand is a reference, the sessions are printed in the order of the operands. If an operand is a part of several ids, all of these sessions are printed, unless --one is given.",
            "If an operand is not a reference, all operands are searched for as words: a session is printed if each word occurs, also inside a longer word, in its name, title, first message, working directory or branch. Transcripts are searched only with --said. Upper and lower case are not distinguished. A word of four or more hex digits, such as cafe, may be a part of an id and a word: the sessions with such an id are printed first, and then those with the word. With --words it is only a word, and id:cafe is only a part of an id.",
            "The sessions that have the words in better places are printed first: a word in the name or the beginning of the title (100 characters) is better than one in the rest of the title or the first message, and this is better than one in the directory or the branch. Of equally good sessions the newest is first. With --sort, the sessions are sorted by that key alone. On a terminal the words are highlighted, and for a word that the name or title does not show, the field with the word is printed behind the title.",
            "If an operand is '-', or if there is no operand and standard input is not a terminal, references are read from standard input: session records, JSON strings, or lines up to their first TAB. If there are words besides '-', only those sessions of the input are printed that have all of the words. With --json, a session of the input is printed with the current values of its known fields and with its unknown fields unchanged, and records of other types are printed unchanged. The order of the input is kept, unless --sort is given.",
            "The filters are those of codex-agent-ls(1), and apply to references, words and standard input. On a terminal, operands may be omitted if there is a filter.",
            "A reference finds archived sessions and subagents only if no other session matches the reference, with --archived=only only archived ones. A search for words finds archived sessions only with --archived, and subagents only with --subagents.",
        ])
        .command(
            Command::new(run)
                .operands("[REF|WORD...] [-]", &[Completes::Sessions])
                .flags("Search options", search_flags())
                .flags("Filters", filters::filters())
                .flags("Order", filters::order())
                .flags("Output options", flags::session_output().into_iter().chain([filters::count(), flags::color()]))
                .flags("Sources", [flags::host(), flags::codex_home(), flags::no_files(), flags::no_database()])
                .on_hosts(),
        )
        .exit_status(&[
            (0, "At least one session was found."),
            (
                1,
                "No session was found, or one of the references matches no session. The message that no session was found is printed only on a terminal.",
            ),
            (2, "Bad usage, another error, an invalid line on standard input, or, with --one, more than one session was found."),
        ])
        .files(&[("~/.codex", "Codex's home; see codex-agent-files(5).")])
        .examples(&[
            ("Find sessions about a parser:", "codex-agent find parser"),
            (
                "Find the sessions of a repository that have a word and were updated since a day:",
                "codex-agent find login --repo acme/alpha --since 2026-11-22",
            ),
            (
                "Find the newest session that has a word, and resume it in the Codex TUI:",
                "codex resume \"$(codex-agent find login --last --format '{id}')\"",
            ),
            ("Print the id of the newest session of any directory:", "codex-agent find @@ --format '{id}'"),
            ("Check whether a name is in use:", "codex-agent find 'name:login work' >/dev/null && echo 'in use'"),
            (
                "Search listed sessions for a word:",
                "codex-agent ls --json | codex-agent find parser - --json",
            ),
            (
                "Find the sessions whose rollouts have a text (rg -zl in place of grep -l also reads compressed ones):",
                "codex-agent ls --format '{rollout_path}' -0 | xargs -0 grep -l 'auth.rs' | codex-agent find -",
            ),
            ("Add the sessions that a search finds to a group:", "codex-agent find login --json | codex-agent group add login"),
        ])
        .see_also("codex-agent(1) codex-agent-ls(1) codex-agent-group(1) codex-agent-records(5) codex-agent(7)".split(' '))
        .reads(&["session"])
        .writes(["session"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(args: Args) -> Result<Exit> {
    if args.own.one && args.own.last {
        return Err(Error::usage("--one and --last cannot be combined"));
    }
    let selection = &args.common.selection;
    let reads = match reference::reads_stdin(&args.operands) {
        _ if !args.own.said.is_empty() && args.operands.is_empty() => false,
        Err(_) if selection.is_given() => false,
        other => other.map_err(|_| {
            Error::usage("a reference to a session, or a word to search for, is missing")
                .hint("give references or words as operands, or pipe session records to this tool")
        })?,
    };
    // Only records of standard input can have fields of other tools.
    let shape = if reads { args.common.shape_with_foreign() } else { args.common.shape() }?;
    let operands: Vec<&str> = args.operands.iter().map(String::as_str).filter(|text| *text != "-").collect();
    // With standard input every operand is a word.
    let on_hosts = Operands { input: reads, are_words: reads || args.own.words, ..Operands::default() };
    if let Some(remote) = args.common.on_hosts("find", on_hosts)? {
        return hosts::find(&args, remote, shape, reads, &operands);
    }
    let mut index = args.common.index()?;
    let mut filter = selection.filter(&mut index)?;
    filter.words = operands.iter().map(|word| lowered(word).into_owned()).collect();
    let mut finder = Finder::new(&args, &index, shape)?;
    finder.rows.highlight(&filter.words);
    if reads {
        return finder.filter_stdin(&mut index, filter);
    }
    let by_reference = match args.own.words || operands.is_empty() {
        true => None,
        false => all_references(&mut index, &operands, &mut finder.exit)?,
    };
    if let Some(found) = by_reference {
        finder.add_references(&mut index, &operands, found, &filter)?;
    } else {
        if !operands.is_empty() && operands.iter().all(|word| word.trim().is_empty()) {
            return Err(Error::usage("cannot search for an empty word"));
        }
        finder.search(&mut index, filter)?;
        finder.searched.clone_from(&operands);
        if finder.seen.is_empty() && !args.own.words {
            finder.unmatched = unmatched(&mut index, &operands)?;
        }
    }
    finder.finish(&mut index, &operands.join(" "))
}

/// The sessions that each operand refers to; `None` if one of the operands is not a reference.
fn all_references(
    index: &mut Index,
    operands: &[&str],
    exit: &mut Exit,
) -> Result<Option<Vec<Vec<Session<'static>>>>> {
    let mut all = Vec::new();
    for operand in operands {
        let found = reference::matching(index, operand)?;
        // An operand of this form is a reference, even if no session matches it.
        let is_form = operand.starts_with('@') || operand.starts_with("id:") || operand.starts_with("name:");
        if found.is_empty() && !is_form && Id::parse(operand).is_none() {
            return Ok(None);
        }
        match &found[..] {
            [] => {
                warn_of(&reference::not_found_error(index, operand)?);
                *exit = Exit::Negative;
            }
            [session, ..] => reference::note_directory(operand, session),
        }
        all.push(found);
    }
    Ok(Some(all))
}

/// The operands that refer to no session, if another operand does.
fn unmatched<'o>(index: &mut Index, operands: &[&'o str]) -> Result<Vec<&'o str>> {
    let mut unmatched = Vec::new();
    for operand in operands {
        if reference::matching(index, operand)?.is_empty() {
            unmatched.push(*operand);
        }
    }
    if unmatched.len() == operands.len() {
        unmatched.clear();
    }
    Ok(unmatched)
}

/// Whether words were said in a session.
fn has_said(said: &Search, files: &Files, session: &Session<'_>) -> std::result::Result<bool, String> {
    let Some(id) = session.id else { return Ok(false) };
    match said
        .count(&Place { files, session: id, named: session.rollout_path.as_deref(), inherits: false }, 1)
    {
        Ok((count, _)) => Ok(count > 0),
        // A session without a rollout has no transcript.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => {
            Err(format!("cannot search the transcript of session '{id}': {}; skipped", reason(&error)))
        }
    }
}

fn quote(word: &&str) -> String {
    format!("'{word}'")
}

/// The filter for sessions that were named: one that is hidden otherwise is meant.
fn of_named(filter: Filter) -> Filter {
    let archived = if filter.archived == Archived::Only { Archived::Only } else { Archived::With };
    Filter { archived, subagents: true, ..filter }
}

/// Prints each found session once; with --one, --last or --sort at the end.
struct Finder<'a> {
    args: &'a Args,
    rows: Sessions,
    /// The sessions that are printed at the end, with their records of standard input.
    collected: Vec<(Session<'static>, Option<RawRecord>)>,
    seen: HashSet<Option<Id>>,
    /// Whether the order and the page were applied by the search.
    is_page: bool,
    skipped: usize,
    printed: usize,
    exit: Exit,
    /// Operands because of which the others were read as words, although they are references.
    unmatched: Vec<&'a str>,
    /// The words that were searched for.
    searched: Vec<&'a str>,
    /// The words that the messages must have.
    said: Option<Search>,
}

impl<'a> Finder<'a> {
    fn new(args: &'a Args, index: &Index, shape: Shape) -> Result<Finder<'a>> {
        let syntax = Syntax { is_literal: true, case: Case::Insensitive, ..Syntax::default() };
        let said: Vec<Pattern> =
            args.own.said.iter().map(|word| Pattern::new(word, syntax)).collect::<Result<_>>()?;
        Ok(Finder {
            said: (!said.is_empty()).then(|| Search::new(said).needs_all(true)),
            args,
            rows: Sessions::new(shape).completed_by(index),
            collected: Vec::new(),
            seen: HashSet::new(),
            is_page: false,
            skipped: 0,
            printed: 0,
            exit: Exit::Done,
            unmatched: Vec::new(),
            searched: Vec::new(),
        })
    }

    /// On a terminal, the places in which a search found nothing.
    fn note_places(&self) {
        let hex: Vec<String> = match self.args.own.words {
            true => Vec::new(),
            false => self.searched.iter().filter(|word| reference::is_hex_word(word)).map(quote).collect(),
        };
        let ids = match hex.len() {
            0 => String::new(),
            1 => format!(", and {} as a part of an id", hex[0]),
            _ => format!(", and {} as parts of ids", hex.join(", ")),
        };
        note(format_args!(
            "names, titles, first messages, directories and branches were searched{ids}; --said WORDS searches transcripts"
        ));
    }

    fn collects(&self) -> bool {
        let sorts = self.args.common.selection.sort.is_some() && !self.is_page;
        self.args.own.last || self.args.own.one || sorts
    }

    fn query(&self, filter: Filter) -> Query {
        let common = &self.args.common;
        let mut fields = Field::LISTED.to_vec();
        // The combination of flags was checked at the start.
        fields.extend(common.shape_with_foreign().unwrap_or_default().needed());
        fields.extend(common.selection.sort.map(|sort| sort.field));
        Query { filter, fields, full: common.full, ..Query::default() }
    }

    /// Adds the sessions that have all words, or, without words, all sessions that the filter accepts.
    fn search(&mut self, index: &mut Index, filter: Filter) -> Result<()> {
        let selection = &self.args.common.selection;
        let mut query = self.query(filter);
        let (sort, last) = (selection.sort, self.args.own.last);
        if let Some(said) = self.said.take() {
            query.sort = sort.unwrap_or_default();
            let found = self.search_said(index, &query, &said);
            self.said = Some(said);
            return found;
        }
        if last {
            query.limit = Some(1);
        } else if !self.args.own.one {
            (query.limit, query.offset, query.sort) =
                (selection.limit, selection.offset, sort.unwrap_or_default());
            self.is_page = true;
        }
        let mut add = |session: &Session<'_>| self.add(session.clone().into_owned(), None);
        match last || sort.is_some() {
            true => index.list(&query, &mut add).map(drop),
            false => reference::search(index, &query, &mut add).map(drop),
        }
    }

    /// As [`Finder::search`], where words must have been said: the transcripts of the found sessions are searched beside.
    fn search_said(&mut self, index: &mut Index, query: &Query, said: &Search) -> Result<()> {
        let files = index.shared_files();
        let is_ranked = self.args.common.selection.sort.is_none() && !self.args.own.last;
        in_order(
            |add| {
                let mut is_over = false;
                let mut take = |session: &Session<'_>| {
                    is_over = is_over || !add(session.clone().into_owned());
                    Ok(!is_over)
                };
                match is_ranked {
                    true => reference::search(index, query, &mut |session| take(session).map(drop)).map(drop),
                    false => index.list_while(query, &mut take).map(drop),
                }
            },
            |session, _: &mut dyn FnMut((), usize) -> bool| {
                let has = has_said(said, &files, &session);
                (session, has)
            },
            |found| {
                let Found::End((session, has)) = found else { return Ok(true) };
                if self.reports(has) {
                    self.add(session, None)?;
                }
                Ok(match self.args.own.last {
                    true => self.collected.is_empty(),
                    false => self.collects() || !self.is_full(),
                })
            },
        )
    }

    /// Whether a session has what must have been said; an error is reported.
    fn reports(&mut self, has: std::result::Result<bool, String>) -> bool {
        has.unwrap_or_else(|message| {
            warn(message);
            self.exit = Exit::Trouble;
            false
        })
    }

    /// Adds the sessions of references, and those that have hex digits as words.
    fn add_references(
        &mut self,
        index: &mut Index,
        operands: &[&str],
        found: Vec<Vec<Session<'static>>>,
        filter: &Filter,
    ) -> Result<()> {
        let named = of_named(Filter { words: Vec::new(), ..filter.clone() });
        let is_part = |(operand, found): &(&&str, &Vec<Session<'_>>)| {
            reference::is_hex_word(operand)
                && found.iter().any(|session| session.name.as_deref() != Some(**operand))
        };
        let part = operands.iter().zip(&found).find(is_part).map(|(operand, _)| *operand);
        for session in found.into_iter().flatten() {
            if let Some(session) = self.accepted(index, session, &named)?
                && self.has_said(index, &session)
            {
                self.add(session, None)?;
            }
        }
        let Some(part) = part else { return Ok(()) };
        let before = self.seen.len();
        let query = self.query(filter.clone());
        reference::search(index, &query, &mut |session| self.add(session.clone().into_owned(), None))?;
        // Eight digits or more were copied from a table.
        if self.seen.len() > before || part.len() < 8 {
            note(format_args!(
                "'{part}' was searched for as a part of an id and as a word; \
                 --words searches only for the word, and id:{part} only for the id"
            ));
        }
        Ok(())
    }

    /// The session with the fields that are printed, if the filter accepts it.
    fn accepted(
        &self,
        index: &mut Index,
        session: Session<'static>,
        filter: &Filter,
    ) -> Result<Option<Session<'static>>> {
        let query = self.query(filter.clone());
        let Some(id) = session.id.filter(|_| query.needs().has(Needs::ROLLOUT)) else {
            return Ok(Some(session).filter(|session| !filter.rejects(session, filter.needs())));
        };
        if filter.ids.as_ref().is_some_and(|ids| ids.binary_search(&id).is_err()) {
            return Ok(None);
        }
        let query = self.query(Filter { ids: Some(vec![id]), ..filter.clone() });
        let mut accepted = None;
        index.list(&query, &mut |found| {
            accepted = Some(found.clone().into_owned());
            Ok(())
        })?;
        Ok(accepted)
    }

    /// Whether the words that must have been said were said in a session.
    fn has_said(&mut self, index: &mut Index, session: &Session<'_>) -> bool {
        let Some(said) = &self.said else { return true };
        let has = has_said(said, index.files(), session);
        self.reports(has)
    }

    /// Adds a session, with its record of standard input if it was read from one.
    fn add(&mut self, session: Session<'static>, record: Option<RawRecord>) -> Result<()> {
        if !self.seen.insert(session.id) {
            return Ok(());
        }
        if self.collects() {
            self.collected.push((session, record));
            return Ok(());
        }
        self.write(&session, record.as_ref())
    }

    /// Prints a session, if it is on the page.
    fn write(&mut self, session: &Session<'_>, record: Option<&RawRecord>) -> Result<()> {
        let selection = &self.args.common.selection;
        if !self.is_page {
            if self.skipped < selection.offset {
                self.skipped += 1;
                return Ok(());
            }
            if self.is_full() {
                return Ok(());
            }
        }
        self.printed += 1;
        let common = &self.args.common;
        match record {
            _ if selection.count => Ok(()),
            Some(record) if common.json && common.fields.is_none() => {
                self.rows.record(&MergedRecord { session, foreign: &record.text })
            }
            record => self.rows.write_with(session, record.map(|record| &*record.text)),
        }
    }

    fn is_full(&self) -> bool {
        self.args.common.selection.limit.is_some_and(|limit| self.printed >= limit)
    }

    fn filter_stdin(mut self, index: &mut Index, filter: Filter) -> Result<Exit> {
        let args = self.args;
        let filter = of_named(filter);
        let mut inputs = Inputs::new("stdin", io::stdin().lock());
        while let Some(next) = inputs.next() {
            let (line, input) = match next {
                Ok(input) => input,
                Err(failure) if failure.is_final => return Err(failure.error),
                Err(failure) => {
                    warn(&failure.error);
                    self.exit = Exit::Trouble;
                    continue;
                }
            };
            let (text, record) = match input {
                Input::Text(text) => (text, None),
                Input::Record(record) => (record.id.clone().unwrap_or_default(), Some(record)),
                Input::Other(record) if args.common.json => {
                    self.rows.record(&record.text)?;
                    continue;
                }
                Input::Other(_) => continue,
            };
            let is_here = record.as_ref().map_or(Ok(()), reference::check_is_here);
            let accepted = match is_here.and_then(|()| reference::resolve(index, &text)) {
                Ok(session) => self.accepted(index, session, &filter)?,
                Err(error) => {
                    if self.exit != Exit::Trouble {
                        self.exit = error.exit();
                    }
                    warn_of(&error.within(format_args!("stdin:{line}")));
                    continue;
                }
            };
            if let Some(session) = accepted
                && self.has_said(index, &session)
            {
                self.add(session, record)?;
            }
        }
        let exit = self.exit;
        let found = self.finish(index, "standard input")?;
        Ok(if exit == Exit::Done { found } else { exit })
    }

    /// Prints the collected sessions, or why nothing was found. `what` names the operands.
    fn finish(mut self, index: &mut Index, what: &str) -> Result<Exit> {
        let selection = &self.args.common.selection;
        let mut collected = std::mem::take(&mut self.collected);
        if self.args.own.one && collected.len() > 1 {
            let sessions: Vec<Session<'_>> = collected.into_iter().map(|(session, _)| session).collect();
            return Err(reference::ambiguous_error(what, &sessions).hint("--last prints the newest session"));
        }
        let sort = if self.args.own.last { Sort::default() } else { selection.sort.unwrap_or_default() };
        collected.sort_by(|(a, _), (b, _)| sort.compare(a, b));
        if self.args.own.last {
            collected.truncate(1);
        }
        let none = self.seen.is_empty();
        let is_search = none && !self.searched.is_empty();
        if none && !self.unmatched.is_empty() {
            let unmatched: Vec<String> = self.unmatched.iter().map(quote).collect();
            warn(format_args!(
                "no session matches {}, so all operands were searched for as words; no session has all of these words",
                unmatched.join(", ")
            ));
        } else if none {
            let matches = if what.is_empty() { String::new() } else { format!(" '{what}'") };
            selection.note_none(index, &format!("no session matches{matches}"))?;
        }
        if is_search {
            self.note_places();
        }
        for (session, record) in &collected {
            self.write(session, record.as_ref())?;
        }
        self.rows.finish()?;
        if selection.count {
            cli::print(&format!("{}\n", self.printed))?;
        }
        Ok(if none { Exit::Negative } else { self.exit })
    }
}
