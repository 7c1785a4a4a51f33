//! The rules for tools: each rule is a check with a name, a result, and the reason for the rule.
//!
//! The tool is run in a [`Sandbox`], as the dispatcher would run it. A check that needs a description is
//! skipped where there is none. Nothing that a tool does ends this program: it is a check that failed.
//! [`conventions`] has the checks for every tool, [`pipe`] those for tools that read or write records,
//! [`contract`] the names of types and fields, and [`outcome`] what both say of a run.

use std::path::{Path, PathBuf};

use codex_agent_shared::error::{Error, Exit, Result, note};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::plugin::record::CheckRecord;
use codex_agent_shared::terminal::{Look, is_terminal, line};
use codex_agent_shared::text::{harmless, tsv};

use super::{Args, tool_names};

mod contract;
mod conventions;
mod outcome;
mod pipe;
mod sandbox;

use outcome::Seen;
use sandbox::Sandbox;

/// A rule.
struct Check {
    name: &'static str,
    why: &'static str,
    make: fn(&Sandbox) -> Result<Seen>,
}

/// The rules, in the order in which they are tried.
const CHECKS: [Check; 23] = [
    Check {
        name: "name",
        why: "codex-agent finds a tool by its name, and its own tools come before all others",
        make: conventions::name,
    },
    Check { name: "starts", why: "a tool that does not start does nothing", make: conventions::starts },
    Check {
        name: "help",
        why: "'codex-agent help NAME' shows it where no manual page is installed",
        make: conventions::help,
    },
    Check { name: "help-short", why: "every other tool has -h too", make: conventions::help_short },
    Check {
        name: "bad-usage",
        why: "a script has to learn that it was misunderstood, and a pipe must not read it as data",
        make: conventions::bad_usage,
    },
    Check {
        name: "describe",
        why: "a description that cannot be read is not kept, and nothing of it is used",
        make: conventions::describe,
    },
    Check {
        name: "generates",
        why: "what the description promises is asked for by 'help' and by pressing TAB",
        make: conventions::generates,
    },
    Check {
        name: "completes",
        why: "somebody waits for it who has pressed TAB",
        make: conventions::completes,
    },
    Check {
        name: "version",
        why: "whoever reports a fault is asked for it, and it has to be the one that is listed",
        make: conventions::version,
    },
    Check {
        name: "empty-input",
        why: "scripts and cron run tools without a terminal and without input",
        make: conventions::empty_input,
    },
    Check {
        name: "no-escapes",
        why: "colours in a pipe spoil what reads it, and other people's titles must not reach a terminal as orders",
        make: conventions::no_escapes,
    },
    Check {
        name: "rows",
        why: "the next program splits rows at newlines and TABs, and reads \\n, \\t and \\\\ in values",
        make: conventions::rows,
    },
    Check {
        name: "closed-pipe",
        why: "'| head -n 1' is no fault and deserves no message",
        make: conventions::closed_pipe,
    },
    Check {
        name: "interrupt",
        why: "Ctrl-C has to end it, also while it waits for input",
        make: conventions::interrupt,
    },
    Check {
        name: "terminate",
        why: "whoever supervises it ends it with SIGTERM, also while it waits for input",
        make: conventions::terminate,
    },
    Check { name: "records", why: "the next tool of the pipe reads what it writes", make: pipe::records },
    Check {
        name: "own-fields",
        why: "a field without a dot may be a field of codex-agent tomorrow, and of a field that is there twice one value is lost",
        make: pipe::own_fields,
    },
    Check {
        name: "foreign-fields",
        why: "a field that it does not know belongs to a tool further down the pipe",
        make: pipe::foreign_fields,
    },
    Check {
        name: "foreign-types",
        why: "a record of a type that it does not know belongs to a tool further down the pipe",
        make: pipe::foreign_types,
    },
    Check {
        name: "bad-line",
        why: "a line that is lost without a word is worse than none",
        make: pipe::bad_line,
    },
    Check { name: "bounded-memory", why: "homes of 100,000 sessions exist", make: pipe::bounded_memory },
    Check {
        name: "codex-home",
        why: "what has to change in Codex's home, Codex itself changes",
        make: conventions::codex_home,
    },
    Check {
        name: "leaves-nothing",
        why: "a tool that leaves files where it is run, or programs that run on, is not run twice",
        make: conventions::leaves_nothing,
    },
];

/// The names of all checks.
pub(crate) fn values() -> Vec<(&'static str, &'static str)> {
    CHECKS.iter().map(|check| (check.name, "")).collect()
}

/// Makes the checks and prints the result of each when it is done.
pub(super) fn check(args: Args) -> Result<Exit> {
    let (operand, arguments) =
        tool_names(&args)?.split_first().ok_or_else(|| Error::usage("a name is missing"))?;
    let path = place(operand)?;
    let sandbox = Sandbox::make(&path, arguments, args.own.input.as_deref())?;
    let mut output = Output::stdout();
    let mut counts = [0; 3];
    for check in CHECKS
        .iter()
        .filter(|check| args.own.only.is_empty() || args.own.only.iter().any(|n| n == check.name))
    {
        let seen = match &sandbox.why_not {
            Some(_) if !["name", "starts"].contains(&check.name) => {
                Seen::Skipped("it does not start".to_owned())
            }
            _ => (check.make)(&sandbox)?,
        };
        match seen {
            Seen::Ok(_) => counts[0] += 1,
            Seen::Failed(_) => counts[1] += 1,
            Seen::Skipped(_) => counts[2] += 1,
        }
        if args.common.json {
            let record =
                CheckRecord::new((&sandbox.name, &path), (check.name, check.why), (seen.word(), seen.text()));
            output.record(&record)?;
        } else {
            output.text(shown(check, &seen, args.common.color.is_on()).as_bytes(), b"\n")?;
        }
        output.flush()?;
    }
    let [ok, failed, skipped] = counts;
    note(format_args!("{ok} ok, {failed} failed, {skipped} skipped"));
    sandbox.remove();
    Ok(if failed > 0 { Exit::Negative } else { Exit::Done })
}

fn shown(check: &Check, seen: &Seen, color: bool) -> String {
    let why = if matches!(seen, Seen::Failed(_)) { check.why } else { "" };
    if !is_terminal() {
        return [seen.word(), check.name, &tsv(seen.text()), why].join("\t");
    }
    let look = match seen {
        Seen::Ok(_) => Look::Plain,
        Seen::Failed(_) => Look::Bold,
        Seen::Skipped(_) => Look::Dim,
    };
    let text = harmless(seen.text());
    let mut shown = line(&[(seen.word(), look, 7), (check.name, look, 14), (&text, Look::Plain, 0)], color);
    if !why.is_empty() {
        shown.push_str(&format!("\n{:25}{why}", ""));
    }
    shown
}

/// The executable that is meant: a path where there is a slash in it, else a name.
fn place(operand: &str) -> Result<PathBuf> {
    if !operand.contains('/') {
        return Ok(super::verbs::find(super::verbs::bare(operand))?.path);
    }
    let path = Path::new(operand);
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match path.metadata() {
        Ok(meta) if meta.is_file() => Ok(path),
        Ok(_) => Err(Error::new(format!("cannot check '{operand}': it is no regular file"))),
        Err(error) => Err(Error::not_found(format!(
            "cannot check '{operand}': {}",
            codex_agent_shared::error::reason(&error)
        ))),
    }
}
