//! codex-agent-find: find Codex sessions by reference or text.

use std::collections::HashSet;
use std::io;
use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Tool, flags};
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::{Error, Exit, Result, note, warn, warn_of};
use codex_agent_shared::output::Sessions;
use codex_agent_shared::query::{Archived, Filter, Needs, Query};
use codex_agent_shared::record::{Field, Id, MergedRecord, Session};
use codex_agent_shared::reference;
use codex_agent_shared::reference::{Input, Inputs};

/// The own arguments of this tool.
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

fn selection() -> Vec<Flag> {
    vec![
        Flag::switch("words", "search for every operand as a word, never as a reference", |args| {
            &mut args.own.words
        })
        .short('w'),
        Flag::switch("last", "print only the newest session", |args| &mut args.own.last),
        Flag::switch(
            "one",
            "exit with status 2 and the candidates unless exactly one session matches",
            |args| &mut args.own.one,
        )
        .short('1')
        .more("For scripts that must not guess."),
        Flag::switch("archived", "search archived sessions too", |args| &mut args.own.archived)
            .more("A reference finds them anyway if no visible session matches."),
        Flag::switch("subagents", "search subagents too", |args| &mut args.own.subagents),
    ]
}

fn show() -> Vec<Flag> {
    vec![
        flags::json("session records, one a line"),
        flags::fields(),
        flags::format(),
        flags::null(),
        flags::full(),
        flags::color(),
    ]
}

fn sources() -> Vec<Flag> {
    vec![flags::codex_home(), flags::no_files(), flags::no_database()]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-find")
        .description([
            "Operands are read as references first: an id, the beginning or the end of one, a name, @ for the newest session of this directory, @@ for the newest of all, the path of a rollout; codex-agent(7) has the whole grammar. If every operand is a reference, these sessions are printed in the order of the operands. For a part of an id every session that has it is printed, unless --one is given.",
            "Otherwise the operands are words, and sessions that have all of them in their name, title, first message, directory or branch are printed, the newest first. Case is ignored.",
            "References are read from standard input if an operand is '-', or if there is none and standard input is not a terminal: session records, JSON strings, or lines up to their first TAB. With words besides '-', only sessions of the input that have the words are printed. A session record is printed with the current values of Codex, and its unknown fields unchanged; with --json records of other types are passed on unchanged.",
            "Archived sessions and subagents are found by a reference if no visible session matches it, and by words with --archived and --subagents.",
        ])
        .command(
            Command::new(run)
                .operands("[REF|WORD...] [-]", &[Completes::Sessions])
                .flags("Filters", selection())
                .flags("Output options", show())
                .flags("Sources", sources()),
        )
        .exit_status(&[
            (0, "At least one session was found."),
            (
                1,
                "No session was found, or not every reference. The message that none was found is printed only on a terminal.",
            ),
            (2, "Bad usage, an error, an invalid line on standard input, or, with --one, more than one session."),
        ])
        .files(&[("~/.codex", "Codex's home; see codex-agent-files(5).")])
        .examples(&[
            ("Find sessions about a parser:", "codex-agent find parser"),
            (
                "Resume the newest one in the Codex TUI:",
                "codex resume \"$(codex-agent find login --last --format '{id}')\"",
            ),
            ("Print the id of the newest session of all:", "codex-agent find @@ --format '{id}'"),
            ("Check whether a name is taken:", "codex-agent find 'name:login work' >/dev/null && echo taken"),
            (
                "Search listed sessions for a word:",
                "codex-agent ls --json | codex-agent find parser - --json",
            ),
            ("Put found sessions into a group:", "codex-agent find login --json | codex-agent group add login"),
        ])
        .see_also([
            "codex-agent(1)",
            "codex-agent-ls(1)",
            "codex-agent-group(1)",
            "codex-agent-records(5)",
            "codex-agent(7)",
        ])
        .reads(&["session"])
        .writes(["session"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(args: Args) -> Result<Exit> {
    let shape = args.common.shape()?;
    if args.own.one && args.own.last {
        return Err(Error::usage("--one and --last cannot be combined"));
    }
    let reads = reference::reads_stdin(&args.operands).map_err(|_| {
        Error::usage("a reference or a word is missing")
            .hint("give references or words as operands, or pipe sessions in")
    })?;
    let operands: Vec<&str> = args.operands.iter().map(String::as_str).filter(|text| *text != "-").collect();
    let mut index = args.common.index()?;
    let mut finder = Finder {
        rows: Sessions::new(shape),
        found: Vec::new(),
        seen: HashSet::new(),
        holds: args.own.last || args.own.one,
        exit: Exit::Done,
        count: 0,
        unmatched: Vec::new(),
    };
    if reads {
        return finder.filter_stdin(&args, &mut index, &operands);
    }
    let by_reference =
        if args.own.words { None } else { all_references(&mut index, &operands, &mut finder.exit)? };
    match by_reference {
        Some(sessions) => {
            for session in sessions {
                let session = refreshed(&args, &mut index, session)?;
                finder.take(session)?;
            }
        }
        None => {
            if operands.iter().all(|word| word.trim().is_empty()) {
                return Err(Error::usage("cannot look for an empty word"));
            }
            let filter = words(&args, &operands);
            let mut query = query(&args, filter);
            query.limit = if args.own.last { Some(1) } else { None };
            index.list(&query, &mut |session| finder.take(session.clone().into_owned()))?;
            if finder.count == 0 && !args.own.words {
                finder.unmatched = unmatched(&mut index, &operands)?;
            }
        }
    }
    finder.finish(&args, &operands.join(" "))
}

/// What each operand means, if every one of them is a reference to something.
fn all_references(
    index: &mut Index,
    operands: &[&str],
    exit: &mut Exit,
) -> Result<Option<Vec<Session<'static>>>> {
    let mut all = Vec::new();
    for operand in operands {
        let found = reference::matching(index, operand)?;
        // What can be nothing but a reference is no word, whether it is found or not.
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

/// Those of the operands that name no session, if the others do.
fn unmatched(index: &mut Index, operands: &[&str]) -> Result<Vec<String>> {
    let mut unmatched = Vec::new();
    for operand in operands {
        if reference::matching(index, operand)?.is_empty() {
            unmatched.push((*operand).to_owned());
        }
    }
    // Where none of them names one, they are words.
    if unmatched.len() == operands.len() {
        unmatched.clear();
    }
    Ok(unmatched)
}

fn words(args: &Args, operands: &[&str]) -> Filter {
    Filter {
        words: operands.iter().map(|word| word.to_lowercase()).collect(),
        archived: if args.own.archived { Archived::With } else { Archived::No },
        subagents: args.own.subagents,
        ..Filter::default()
    }
}

fn query(args: &Args, filter: Filter) -> Query {
    let mut fields = Field::LISTED.to_vec();
    // That the flags go together was seen at the start.
    fields.extend(args.common.shape().unwrap_or_default().needed());
    Query { filter, fields, full: args.common.full, ..Query::default() }
}

/// The session again with what its rollout says, if that is asked for.
fn refreshed(args: &Args, index: &mut Index, session: Session<'static>) -> Result<Session<'static>> {
    let asked = query(args, Filter::default()).needs();
    let looks = asked.has(Needs::ROLLOUT);
    let (true, Some(id)) = (looks, session.id) else { return Ok(session) };
    let filter =
        Filter { ids: Some(vec![id]), archived: Archived::With, subagents: true, ..Filter::default() };
    let mut again = session;
    index.list(&query(args, filter), &mut |found| {
        again = found.clone().into_owned();
        Ok(())
    })?;
    Ok(again)
}

/// Writes what is found, each session once, or keeps it where only one is wanted.
struct Finder {
    rows: Sessions,
    found: Vec<Session<'static>>,
    seen: HashSet<Option<Id>>,
    holds: bool,
    exit: Exit,
    count: usize,
    /// Because of these the operands are words, and those beside them too that are references.
    unmatched: Vec<String>,
}

impl Finder {
    fn take(&mut self, session: Session<'static>) -> Result<()> {
        if !self.seen.insert(session.id) {
            return Ok(());
        }
        self.count += 1;
        if self.holds {
            self.found.push(session);
            return Ok(());
        }
        self.rows.write(&session)
    }

    fn filter_stdin(mut self, args: &Args, index: &mut Index, words_given: &[&str]) -> Result<Exit> {
        let filter = words(args, words_given);
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
            let (text, foreign) = match input {
                Input::Text(text) => (text, None),
                Input::Record(foreign) => (foreign.id.clone().unwrap_or_default(), Some(foreign)),
                Input::Other(foreign) if args.common.json => {
                    self.rows.record(&foreign.text)?;
                    continue;
                }
                Input::Other(_) => continue,
            };
            let session = match reference::resolve(index, &text) {
                Ok(session) => refreshed(args, index, session)?,
                Err(error) => {
                    if self.exit != Exit::Trouble {
                        self.exit = error.exit();
                    }
                    warn_of(&error.within(format_args!("stdin:{line}")));
                    continue;
                }
            };
            let all = filter.needs();
            let anything = Filter { archived: Archived::With, subagents: true, ..filter.clone() };
            if anything.rejects(&session, all) {
                continue;
            }
            match foreign {
                Some(foreign) if args.common.json && args.common.fields.is_none() && !self.holds => {
                    if self.seen.insert(session.id) {
                        self.count += 1;
                        self.rows.record(&MergedRecord { session: &session, foreign: &foreign.text })?;
                    }
                }
                _ => self.take(session)?,
            }
        }
        let exit = self.exit;
        let found = self.finish(args, "the sessions on standard input")?;
        Ok(if exit == Exit::Done { found } else { exit })
    }

    fn finish(mut self, args: &Args, what: &str) -> Result<Exit> {
        self.found.sort_by(|a, b| args_sort().compare(a, b));
        if args.own.last {
            self.found.truncate(1);
        }
        if args.own.one && self.found.len() > 1 {
            return Err(
                reference::ambiguous_error(what, &self.found).hint("--last takes the one that was used last")
            );
        }
        if self.count == 0 && !self.unmatched.is_empty() {
            let unmatched: Vec<String> = self.unmatched.iter().map(|word| format!("'{word}'")).collect();
            warn(format_args!(
                "{} is no session, so that all operands were taken for words, and nothing has them",
                unmatched.join(", ")
            ));
        } else if self.count == 0 {
            note(format_args!(
                "nothing has '{what}'; archived ones and subagents are searched with --archived and --subagents"
            ));
        }
        for session in &self.found {
            self.rows.write(session)?;
        }
        self.rows.finish()?;
        Ok(if self.count == 0 { Exit::Negative } else { self.exit })
    }
}

fn args_sort() -> codex_agent_shared::query::Sort {
    codex_agent_shared::query::Sort::default()
}
