//! The rules for tools: each rule is a check with a name, a result, and the reason for the rule.
//!
//! The tool is run in a [`Sandbox`], as the dispatcher would run it. A check that needs a description is
//! skipped if the tool has none. Nothing that the tool does ends this program: the check fails.
//! [`conventions`] has the checks for every tool, [`pipe`] those for tools that read or write records,
//! [`contract`] the rules for names of types and fields, and [`outcome`] the outcomes of checks.

use std::path::{Path, PathBuf};

use codex_agent_shared::child::limited::Stop;
use codex_agent_shared::error::{Error, Exit, Result, note, reason};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::plugin::record::CheckRecord;
use codex_agent_shared::terminal::{Look, is_terminal, line};
use codex_agent_shared::text::harmless;

use super::{Args, tool_names};

mod contract;
mod conventions;
mod outcome;
mod pipe;
mod sandbox;

use outcome::{NotPassed, Outcome, skipped};
use sandbox::Sandbox;

/// A rule: its name, its check, and the reason for the rule.
type Check = (&'static str, fn(&Sandbox) -> Outcome, &'static str);

/// The rules, in the order in which they are checked.
const CHECKS: [Check; 23] = [
    ("name", conventions::name, "a tool is found by its name, after the tools of the package"),
    ("starts", conventions::starts, "a tool that does not start does nothing"),
    (
        "help",
        |sandbox| conventions::help(sandbox, "--help"),
        "'codex-agent help NAME' shows the help if no manual page is installed",
    ),
    ("help-short", |sandbox| conventions::help(sandbox, "-h"), "every other tool has -h too"),
    (
        "bad-usage",
        conventions::bad_usage,
        "a script must notice bad usage, and a pipe must not read the message as data",
    ),
    ("describe", conventions::describe, "a description that cannot be read is not used"),
    ("generates", conventions::generates, "'help' and TAB ask for the documents that the description names"),
    ("completes", conventions::completes, "a user who has pressed TAB is waiting"),
    ("version", conventions::version, "a report of a fault must name the version that is listed"),
    ("empty-input", conventions::empty_input, "scripts and cron run tools without terminal and input"),
    ("no-escapes", conventions::no_escapes, "escapes spoil a pipe, and those in a title control a terminal"),
    ("rows", conventions::rows, "the next program splits rows at newlines and TABs"),
    ("closed-pipe", conventions::closed_pipe, "'| head -n 1' is no fault and deserves no message"),
    (
        "interrupt",
        |sandbox| conventions::stops(sandbox, Stop::Interrupt, "SIGINT"),
        "Ctrl-C must end a tool, also while it waits for input",
    ),
    (
        "terminate",
        |sandbox| conventions::stops(sandbox, Stop::Terminate, "SIGTERM"),
        "SIGTERM must end a tool, also while it waits for input",
    ),
    ("records", pipe::records, "the next tool of the pipe reads the records"),
    ("own-fields", pipe::own_fields, "a later release of codex-agent may have a field without a dot"),
    ("foreign-fields", pipe::foreign_fields, "an unknown field belongs to a tool further down the pipe"),
    ("foreign-types", pipe::foreign_types, "an unknown type belongs to a tool further down the pipe"),
    ("bad-line", pipe::bad_line, "a line that is lost without a message is worse than an error"),
    ("bounded-memory", pipe::bounded_memory, "homes of 100,000 sessions exist"),
    ("codex-home", conventions::codex_home, "only Codex changes its home"),
    ("leaves-nothing", conventions::leaves_nothing, "files and processes that are left behind accumulate"),
];

/// The names of all checks, and the reasons for their rules.
pub(crate) fn values() -> Vec<(&'static str, &'static str)> {
    CHECKS.iter().map(|(name, _, why)| (*name, *why)).collect()
}

/// Makes the checks, and prints the result of each at once.
pub(super) fn check(args: Args) -> Result<Exit> {
    let (operand, arguments) = tool_names(&args)?;
    let path = executable(operand)?;
    let sandbox = Sandbox::make(&path, arguments, args.own.input.as_deref())?;
    let mut output = Output::stdout();
    let mut counts = [0; 3];
    let only = &args.own.only;
    for (name, check, why) in CHECKS {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        let outcome = match &sandbox.why_not {
            Some(_) if !["name", "starts"].contains(&name) => skipped!("it does not start"),
            _ => check(&sandbox),
        };
        let (at, result, look, seen) = match outcome {
            Ok(seen) => (0, "ok", Look::Plain, seen),
            Err(NotPassed::Failed(seen)) => (1, "failed", Look::Bold, seen),
            Err(NotPassed::Skipped(seen)) => (2, "skipped", Look::Dim, seen),
            Err(NotPassed::Error(error)) => return Err(error),
        };
        counts[at] += 1;
        let shown_why = if result == "failed" { why } else { "" };
        if args.common.json {
            output.record(&CheckRecord::new((&sandbox.name, &path), (name, why), (result, &seen)))?;
        } else if !is_terminal() {
            output.row([result, name, &seen, shown_why])?;
        } else {
            let cells = [(result, look, 7), (name, look, 14), (&*harmless(&seen), Look::Plain, 0)];
            output.text(line(&cells, args.common.color.is_on()).as_bytes(), b"\n")?;
            if !shown_why.is_empty() {
                output.text(format!("{:25}{shown_why}", "").as_bytes(), b"\n")?;
            }
        }
        output.flush()?;
    }
    let [ok, failed, skipped] = counts;
    note(format_args!("{ok} ok, {failed} failed, {skipped} skipped"));
    sandbox.remove();
    Ok(if failed > 0 { Exit::Negative } else { Exit::Done })
}

/// The executable of an operand, which is a path if it has a slash, and otherwise the name of a tool.
fn executable(operand: &str) -> Result<PathBuf> {
    if !operand.contains('/') {
        return Ok(super::verbs::find(super::verbs::bare(operand))?.path);
    }
    let path = Path::new(operand);
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match path.metadata() {
        Ok(meta) if meta.is_file() => Ok(path),
        Ok(_) => Err(Error::new(format!("cannot check the tool '{operand}': it is not a regular file"))),
        Err(error) => Err(Error::not_found(format!("cannot check the tool '{operand}': {}", reason(&error)))),
    }
}
