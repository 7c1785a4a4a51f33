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

use outcome::{Seen, skipped};
use sandbox::Sandbox;

/// A rule: its name, its check, and the reason.
type Check = (&'static str, fn(&Sandbox) -> Result<Seen>, &'static str);

/// The rules, in the order in which they are checked.
const CHECKS: [Check; 23] = [
    ("name", conventions::name, "a tool is found by its name, after those of the package"),
    ("starts", conventions::starts, "a tool that does not start does nothing"),
    ("help", conventions::help, "'codex-agent help NAME' shows it where no manual page is installed"),
    ("help-short", conventions::help_short, "every other tool has -h too"),
    ("bad-usage", conventions::bad_usage, "a script must learn of it, and a pipe must not read it as data"),
    ("describe", conventions::describe, "a description that cannot be read is not used"),
    ("generates", conventions::generates, "'help' and TAB ask for what the description promises"),
    ("completes", conventions::completes, "a user who has pressed TAB is waiting"),
    ("version", conventions::version, "a report of a fault must name the version that is listed"),
    ("empty-input", conventions::empty_input, "scripts and cron run tools without terminal and input"),
    ("no-escapes", conventions::no_escapes, "escapes spoil a pipe, and from a title a terminal"),
    ("rows", conventions::rows, "the next program splits rows at newlines and TABs"),
    ("closed-pipe", conventions::closed_pipe, "'| head -n 1' is no fault and deserves no message"),
    ("interrupt", conventions::interrupt, "Ctrl-C has to end it, also while it waits for input"),
    ("terminate", conventions::terminate, "SIGTERM has to end it, also while it waits for input"),
    ("records", pipe::records, "the next tool of the pipe reads what it writes"),
    ("own-fields", pipe::own_fields, "a later release may have a field without a dot"),
    ("foreign-fields", pipe::foreign_fields, "an unknown field belongs to a tool further down the pipe"),
    ("foreign-types", pipe::foreign_types, "an unknown type belongs to a tool further down the pipe"),
    ("bad-line", pipe::bad_line, "a line that is lost without a message is worse than none"),
    ("bounded-memory", pipe::bounded_memory, "homes of 100,000 sessions exist"),
    ("codex-home", conventions::codex_home, "only Codex changes its home"),
    ("leaves-nothing", conventions::leaves_nothing, "files and processes that are left behind pile up"),
];

/// The names of all checks.
pub(crate) fn values() -> Vec<(&'static str, &'static str)> {
    CHECKS.iter().map(|(name, ..)| (*name, "")).collect()
}

/// Makes the checks and prints the result of each when it is done.
pub(super) fn check(args: Args) -> Result<Exit> {
    let (operand, arguments) =
        tool_names(&args)?.split_first().ok_or_else(|| Error::usage("a name is missing"))?;
    let path = place(operand)?;
    let sandbox = Sandbox::make(&path, arguments, args.own.input.as_deref())?;
    let mut output = Output::stdout();
    let mut counts = [0; 3];
    let only = &args.own.only;
    for (name, check, why) in
        CHECKS.iter().filter(|(name, ..)| only.is_empty() || only.iter().any(|n| n == name))
    {
        let seen = match &sandbox.why_not {
            Some(_) if !["name", "starts"].contains(name) => skipped!("it does not start"),
            _ => check(&sandbox)?,
        };
        match seen {
            Seen::Ok(_) => counts[0] += 1,
            Seen::Failed(_) => counts[1] += 1,
            Seen::Skipped(_) => counts[2] += 1,
        }
        if args.common.json {
            let outcome = (seen.word(), seen.text());
            output.record(&CheckRecord::new((&sandbox.name, &path), (name, why), outcome))?;
        } else {
            output.text(shown(name, why, &seen, args.common.color.is_on()).as_bytes(), b"\n")?;
        }
        output.flush()?;
    }
    let [ok, failed, skipped] = counts;
    note(format_args!("{ok} ok, {failed} failed, {skipped} skipped"));
    sandbox.remove();
    Ok(if failed > 0 { Exit::Negative } else { Exit::Done })
}

fn shown(name: &str, why: &str, seen: &Seen, color: bool) -> String {
    let why = if matches!(seen, Seen::Failed(_)) { why } else { "" };
    if !is_terminal() {
        return [seen.word(), name, &tsv(seen.text()), why].join("\t");
    }
    let look = match seen {
        Seen::Ok(_) => Look::Plain,
        Seen::Failed(_) => Look::Bold,
        Seen::Skipped(_) => Look::Dim,
    };
    let text = harmless(seen.text());
    let mut shown = line(&[(seen.word(), look, 7), (name, look, 14), (&text, Look::Plain, 0)], color);
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
