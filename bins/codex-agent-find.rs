//! codex-agent-find: find Codex sessions by reference or text.

use std::collections::HashSet;
use std::io;
use std::process::ExitCode;

use codex_agent_shared::cli::{self, Command, Completes, Tool, flags};
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::{Error, Exit, Result, note, warn, warn_of};
use codex_agent_shared::output::Sessions;
use codex_agent_shared::query::{Archived, Filter, Needs, Query, Sort};
use codex_agent_shared::record::{Field, Id, MergedRecord, Session};
use codex_agent_shared::reference::{self, Input, Inputs};
use serde_json::value::RawValue;

/// The arguments of this tool alone.
#[derive(Default)]
struct Own {
    words: bool,
    last: bool,
    one: bool,
    archived: bool,
    subagents: bool,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

fn tool() -> Tool {
    Tool::ours("codex-agent-find")
        .description([
            "First, the operands are read as references to sessions. A reference is an id, the beginning or the end of an id, a name, @ for the newest session of the current directory, @@ for the newest session of any directory, or the path of a rollout; codex-agent(7) has the complete grammar. If every operand is a reference, the sessions are printed in the order of the operands. If an operand is a part of several ids, all of these sessions are printed, unless --one is given.",
            "If an operand is not a reference, all operands are searched for as words: a session is printed if each word occurs, also inside a longer word, in its name, title, first message, working directory or branch. The newest session is printed first. Upper and lower case are not distinguished.",
            "If an operand is '-', or if there is no operand and standard input is not a terminal, references are read from standard input: session records, JSON strings, or lines up to their first TAB. If there are words besides '-', only those sessions of the input are printed that have all of the words. With --json, a session of the input is printed with the current values of its known fields and with its unknown fields unchanged, and records of other types are printed unchanged.",
            "A reference finds archived sessions and subagents only if no other session matches the reference. A search for words finds archived sessions only with --archived, and subagents only with --subagents.",
        ])
        .command(
            Command::new(run)
                .operands("[REF|WORD...] [-]", &[Completes::Sessions])
                .flags(
                    "Filters",
                    [
                        Flag::switch("words", "search for every operand as a word, never as a reference", |args: &mut Args| {
                            &mut args.own.words
                        })
                        .short('w'),
                        Flag::switch("last", "print only the newest session", |args| &mut args.own.last),
                        Flag::switch(
                            "one",
                            "exit with status 2 and list the matches unless exactly one session matches",
                            |args| &mut args.own.one,
                        )
                        .short('1')
                        .more("This option is for scripts, in which a wrong session would do harm."),
                        Flag::switch("archived", "also search archived sessions", |args| &mut args.own.archived)
                            .more("Even without this option, a reference finds an archived session if no other session matches."),
                        Flag::switch("subagents", "also search subagents", |args| &mut args.own.subagents),
                    ],
                )
                .flags("Output options", flags::session_output().into_iter().chain([flags::color()]))
                .flags("Sources", [flags::codex_home(), flags::no_files(), flags::no_database()]),
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
                "Find the newest session that has a word, and resume it in the Codex TUI:",
                "codex resume \"$(codex-agent find login --last --format '{id}')\"",
            ),
            ("Print the id of the newest session of any directory:", "codex-agent find @@ --format '{id}'"),
            ("Check whether a name is in use:", "codex-agent find 'name:login work' >/dev/null && echo 'in use'"),
            (
                "Search listed sessions for a word:",
                "codex-agent ls --json | codex-agent find parser - --json",
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
    // Only records of standard input can have fields of other tools.
    let reads_input = reference::reads_stdin(&args.operands).unwrap_or(false);
    let shape = if reads_input { args.common.shape_with_foreign() } else { args.common.shape() }?;
    if args.own.one && args.own.last {
        return Err(Error::usage("--one and --last cannot be combined"));
    }
    let reads = reference::reads_stdin(&args.operands).map_err(|_| {
        Error::usage("a reference to a session, or a word to search for, is missing")
            .hint("give references or words as operands, or pipe session records to this tool")
    })?;
    let operands: Vec<&str> = args.operands.iter().map(String::as_str).filter(|text| *text != "-").collect();
    let mut index = args.common.index()?;
    let mut finder = Finder {
        args: &args,
        rows: Sessions::new(shape),
        collected: Vec::new(),
        seen: HashSet::new(),
        exit: Exit::Done,
        unmatched: Vec::new(),
    };
    if reads {
        return finder.filter_stdin(&mut index, &operands);
    }
    let by_reference =
        if args.own.words { None } else { all_references(&mut index, &operands, &mut finder.exit)? };
    if let Some(sessions) = by_reference {
        for session in sessions {
            let session = completed(&args, &mut index, session)?;
            finder.add(session)?;
        }
    } else {
        if operands.iter().all(|word| word.trim().is_empty()) {
            return Err(Error::usage("cannot search for an empty word"));
        }
        let limit = args.own.last.then_some(1);
        let query = Query { limit, ..query(&args, word_filter(&args, &operands)) };
        index.list(&query, &mut |session| finder.add(session.clone().into_owned()))?;
        if finder.seen.is_empty() && !args.own.words {
            finder.unmatched = unmatched(&mut index, &operands)?;
        }
    }
    finder.finish(&operands.join(" "))
}

/// The sessions that the operands refer to; `None` if one of the operands is not a reference.
fn all_references(
    index: &mut Index,
    operands: &[&str],
    exit: &mut Exit,
) -> Result<Option<Vec<Session<'static>>>> {
    let mut all = Vec::new();
    for operand in operands {
        let found = reference::matching(index, operand)?;
        // An operand of this form is a reference, even if no session matches it.
        let is_form = operand.starts_with('@') || operand.starts_with("id:") || operand.starts_with("name:");
        if found.is_empty() && !is_form && Id::parse(operand).is_none() {
            return Ok(None);
        }
        if found.is_empty() {
            warn_of(&reference::not_found_error(index, operand)?);
            *exit = Exit::Negative;
        }
        all.extend(found);
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

fn word_filter(args: &Args, words: &[&str]) -> Filter {
    Filter {
        words: words.iter().map(|word| word.to_lowercase()).collect(),
        archived: if args.own.archived { Archived::With } else { Archived::No },
        subagents: args.own.subagents,
        ..Filter::default()
    }
}

fn query(args: &Args, filter: Filter) -> Query {
    let mut fields = Field::LISTED.to_vec();
    // The combination of flags was checked at the start.
    fields.extend(args.common.shape_with_foreign().unwrap_or_default().needed());
    Query { filter, fields, full: args.common.full, ..Query::default() }
}

/// The session with the fields of its rollout, if they are requested.
fn completed(args: &Args, index: &mut Index, mut session: Session<'static>) -> Result<Session<'static>> {
    let Some(id) = session.id.filter(|_| query(args, Filter::default()).needs().has(Needs::ROLLOUT)) else {
        return Ok(session);
    };
    let filter =
        Filter { ids: Some(vec![id]), archived: Archived::With, subagents: true, ..Filter::default() };
    index.list(&query(args, filter), &mut |found| {
        session = found.clone().into_owned();
        Ok(())
    })?;
    Ok(session)
}

/// Prints each found session once; with --one or --last at the end.
struct Finder<'a> {
    args: &'a Args,
    rows: Sessions,
    /// The sessions that are printed at the end.
    collected: Vec<(Session<'static>, Option<Box<RawValue>>)>,
    seen: HashSet<Option<Id>>,
    exit: Exit,
    /// Operands because of which the others were read as words, although they are references.
    unmatched: Vec<&'a str>,
}

impl Finder<'_> {
    fn collects(&self) -> bool {
        self.args.own.last || self.args.own.one
    }

    fn add(&mut self, session: Session<'static>) -> Result<()> {
        self.add_with(session, None)
    }

    /// Adds a session that was read from a record, which may have fields of other tools.
    fn add_with(&mut self, session: Session<'static>, record: Option<&RawValue>) -> Result<()> {
        if !self.seen.insert(session.id) {
            return Ok(());
        }
        if self.collects() {
            self.collected.push((session, record.map(RawValue::to_owned)));
            return Ok(());
        }
        self.rows.write_with(&session, record)
    }

    fn filter_stdin(mut self, index: &mut Index, words: &[&str]) -> Result<Exit> {
        let args = self.args;
        let filter = word_filter(args, words);
        let needs = filter.needs();
        let filter = Filter { archived: Archived::With, subagents: true, ..filter };
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
            let session = match reference::resolve(index, &text) {
                Ok(session) => completed(args, index, session)?,
                Err(error) => {
                    if self.exit != Exit::Trouble {
                        self.exit = error.exit();
                    }
                    warn_of(&error.within(format_args!("stdin:{line}")));
                    continue;
                }
            };
            if filter.rejects(&session, needs) {
                continue;
            }
            match record {
                Some(record) if args.common.json && args.common.fields.is_none() && !self.collects() => {
                    if self.seen.insert(session.id) {
                        self.rows.record(&MergedRecord { session: &session, foreign: &record.text })?;
                    }
                }
                record => self.add_with(session, record.as_ref().map(|record| &*record.text))?,
            }
        }
        let exit = self.exit;
        let found = self.finish("standard input")?;
        Ok(if exit == Exit::Done { found } else { exit })
    }

    /// Prints the collected sessions, or why nothing was found. `what` names the operands.
    fn finish(mut self, what: &str) -> Result<Exit> {
        self.collected.sort_by(|(a, _), (b, _)| Sort::default().compare(a, b));
        if self.args.own.last {
            self.collected.truncate(1);
        }
        if self.args.own.one && self.collected.len() > 1 {
            let found: Vec<Session<'_>> = self.collected.into_iter().map(|(session, _)| session).collect();
            return Err(reference::ambiguous_error(what, &found).hint("--last prints the newest session"));
        }
        let none = self.seen.is_empty();
        if none && !self.unmatched.is_empty() {
            let unmatched: Vec<String> = self.unmatched.iter().map(|word| format!("'{word}'")).collect();
            warn(format_args!(
                "no session matches {}, so all operands were searched for as words; no session has all of these words",
                unmatched.join(", ")
            ));
        } else if none {
            note(format_args!(
                "no session matches '{what}'; --archived and --subagents also search archived sessions and subagents"
            ));
        }
        for (session, record) in &self.collected {
            self.rows.write_with(session, record.as_deref())?;
        }
        self.rows.finish()?;
        Ok(if none { Exit::Negative } else { self.exit })
    }
}
