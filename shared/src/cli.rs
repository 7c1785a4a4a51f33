//! One table a tool: what it accepts is written once, and parser, `--help`, manual page and
//! completions are made from it.
//!
//! A tool is a [`Tool`] that a function builds: with one nameless [`Command`], or several named ones (verbs), or
//! both. Then the nameless one stands first and is run where the first word is no verb. Each [`Flag`] has its own
//! setter, so that words and parsing cannot drift apart. Setters only store: what needs the outside world
//! happens in the command's `run`. Errors are printed and exit codes chosen in one place, [`main`].
//!
//! Every tool understands `-h`/`--help`, `-V`/`--version`, `-q`/`--quiet`, which suppresses status lines, and
//! `--generate KIND`, which prints one of its own documents; [`generate::kinds`] lists them.
//!
//! ```
//! use std::process::ExitCode;
//!
//! use codex_agent_shared::cli;
//! use codex_agent_shared::cli::{Command, Flag, Tool};
//! use codex_agent_shared::error::{Exit, Result};
//!
//! #[derive(Default)]
//! struct Args {
//!     loud: bool,
//! }
//!
//! fn tool() -> Tool {
//!     let loud = Flag::switch("loud", "greet in capitals", |args: &mut Args| &mut args.loud).short('l');
//!     Tool::new("codex-agent-greet", "greet")
//!         .version("1.0")
//!         .description(["Prints a greeting."])
//!         .command(Command::new(run).flags("Options", [loud]))
//! }
//!
//! fn run(args: Args) -> Result<Exit> {
//!     cli::print(if args.loud { "HELLO\n" } else { "hello\n" })
//! }
//!
//! fn main() -> ExitCode {
//!     cli::main(tool())
//! }
//! ```

pub mod candidates;
pub mod complete;
mod flag;
pub mod flags;
pub mod generate;
mod table;

pub use flag::{Completes, Flag, Place, Row, Takes, Value, Values};
pub use flags::Args;
pub use table::{Command, Tool, Verb};

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use flag::utf8;
use lexopt::{Arg, Parser};

use crate::error::{self, Error, Exit, Result};
use crate::ndjson::Output;
use crate::text::{is_slip, nearest};

/// Parses the rest of the command line, and runs the command at this index.
fn execute(mut tool: Tool, at: usize, mut parser: Parser) -> Result<Exit> {
    while let Some(arg) = parser.next().map_err(lexopt_error)? {
        let verb = &tool.commands[at];
        let flag = match &arg {
            Arg::Short('h') | Arg::Long("help") => {
                return print(&generate::help(&tool, Some(verb).filter(|verb| !verb.name.is_empty())));
            }
            Arg::Short('V') | Arg::Long("version") => return print(&version(&tool)),
            Arg::Short('q') | Arg::Long("quiet") => {
                error::set_quiet();
                continue;
            }
            Arg::Long("generate") => return generate_document(&tool, &mut parser),
            Arg::Short(letter) => verb.rows().position(|row| row.short == Some(*letter)),
            Arg::Long(name) => verb.rows().position(|row| row.long == *name),
            Arg::Value(_) => None,
        };
        match (flag.and_then(|flag| Some((flag, verb.rows().nth(flag)?.clone()))), arg) {
            (Some((flag, row)), _) => {
                let value = read_value(row.takes, &mut parser).map_err(lexopt_error)?;
                check_choice(row.takes, value.as_deref())
                    .and_then(|()| tool.actions[at].set(flag, Value(value)))
                    .map_err(|error| error.within(format_args!("--{}", row.long)))?;
            }
            (None, Arg::Value(value)) => {
                let (greedy, hint) = (verb.greedy, operand_hint(&tool, verb, &value));
                tool.actions[at].operand(value).map_err(|error| match hint {
                    Some(hint) => error.or_hint(hint),
                    None => error,
                })?;
                if greedy {
                    let rest: Vec<OsString> = parser.raw_args().map_err(lexopt_error)?.collect();
                    rest.into_iter().try_for_each(|word| tool.actions[at].operand(word))?;
                }
            }
            (None, other) => return Err(unknown(verb, &other)),
        }
    }
    tool.actions.swap_remove(at).run()
}

/// The hint for an operand where none is accepted.
fn operand_hint(tool: &Tool, verb: &Verb, word: &OsStr) -> Option<String> {
    let word = word.to_str().filter(|_| verb.operands.is_empty())?;
    let is_verb = verb.name.is_empty() && tool.verbs().iter().any(|verb| verb.is_called(word));
    match is_verb {
        true => Some(format!("a verb comes first: {} {word} ...", tool.name)),
        false => Some(verb.hint.to_owned()).filter(|hint| !hint.is_empty()),
    }
}

fn unknown(verb: &Verb, arg: &Arg<'_>) -> Error {
    match arg {
        Arg::Long(name) => {
            let near = nearest(name, verb.rows().map(|row| row.long).chain(["help", "version", "quiet"]));
            let error = Error::usage(format!("unknown flag '--{name}'"));
            match near.first() {
                Some(near) => error.hint(format!("did you mean '--{near}'?")),
                None => error,
            }
        }
        Arg::Short(letter) => Error::usage(format!("unknown flag '-{letter}'")),
        Arg::Value(_) => Error::usage("unexpected operand"),
    }
}

fn read_value(takes: Takes, parser: &mut Parser) -> std::result::Result<Option<OsString>, lexopt::Error> {
    match takes {
        Takes::Nothing => Ok(None),
        Takes::Perhaps(..) => Ok(parser.optional_value()),
        _ => parser.value().map(Some),
    }
}

fn check_choice(takes: Takes, value: Option<&OsStr>) -> Result<()> {
    let (Takes::OneOf(_, choices) | Takes::Perhaps(_, choices), Some(value)) = (takes, value) else {
        return Ok(());
    };
    let words: Vec<&str> = choices().into_iter().map(|(word, _)| word).collect();
    if words.iter().any(|word| OsStr::new(word) == value) {
        return Ok(());
    }
    let message = format!("invalid value '{}': expected {}", value.to_string_lossy(), words.join(" or "));
    Err(Error::usage(message))
}

fn lexopt_error(error: lexopt::Error) -> Error {
    match error {
        lexopt::Error::MissingValue { option: Some(option) } => {
            Error::usage(format!("'{option}' needs a value"))
        }
        lexopt::Error::UnexpectedValue { option, value } => {
            Error::usage(format!("'{option}' accepts no value, but '{}' was given", value.to_string_lossy()))
        }
        other => Error::usage(other.to_string()),
    }
}

/// The body of every tool's `main`.
pub fn main(tool: Tool) -> ExitCode {
    error::set_program(tool.name);
    let mut name = tool.name.to_owned();
    let exit = match run(tool, &mut name) {
        Ok(exit) => ExitCode::from(exit.code()),
        // A closed standard output is no error.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            error.print(&name);
            ExitCode::from(error.exit().code())
        }
    };
    error::flush();
    exit
}

fn run(tool: Tool, name: &mut String) -> Result<Exit> {
    let mut words = std::env::args_os().skip(1).peekable();
    while words.next_if(|word| word == "-q" || word == "--quiet").is_some() {
        error::set_quiet();
    }
    if words.next_if(|word| word == "--generate").is_some() {
        if words.next_if(|word| word == "complete").is_some() {
            let _ = words.next_if(|word| word == "--");
            let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
            return complete::answer(tool, &words);
        }
        return generate_document(&tool, &mut Parser::from_args(words));
    }
    // A verb must be the very first word: after '--' or a flag it is an operand.
    let first = words.peek().and_then(|word| word.to_str()).map(str::to_owned);
    let mut parser = Parser::from_args(words);
    let verb = |word: &str| tool.commands.iter().position(|verb| verb.is_called(word) && !word.is_empty());
    if let Some(at) = first.as_deref().and_then(verb) {
        parser.next().map_err(lexopt_error)?;
        *name = format!("{} {}", tool.name, tool.commands[at].name);
        return execute(tool, at, parser);
    }
    if tool.nameless().is_some() {
        return match first.as_deref().and_then(|word| mistyped_verb(&tool, word)) {
            Some(error) => Err(error),
            None => execute(tool, 0, parser),
        };
    }
    let word = match parser.next().map_err(lexopt_error)? {
        None => return Err(Error::usage("a verb is missing").hint(verbs_line(&tool))),
        Some(Arg::Short('h') | Arg::Long("help")) => return print(&generate::help(&tool, None)),
        Some(Arg::Short('V') | Arg::Long("version")) => return print(&version(&tool)),
        Some(Arg::Long("generate")) => return generate_document(&tool, &mut parser),
        Some(Arg::Value(word)) => utf8(word)?,
        Some(other) => {
            let typed = match other {
                Arg::Short(letter) => format!("-{letter}"),
                Arg::Long(name) => format!("--{name}"),
                Arg::Value(value) => value.to_string_lossy().into_owned(),
            };
            return Err(Error::usage(format!("expected a verb before '{typed}'")).hint(verbs_line(&tool)));
        }
    };
    let near = nearest(&word, tool.verbs().iter().map(|verb| verb.name));
    let error = Error::usage(format!("unknown verb '{word}'"));
    Err(error.hint(near.first().map_or_else(|| verbs_line(&tool), |near| format!("did you mean '{near}'?"))))
}

/// The error for a likely typo of a verb, which as an operand could be sent to a model.
fn mistyped_verb(tool: &Tool, word: &str) -> Option<Error> {
    if tool.verbs().is_empty() {
        return None;
    }
    let hint = match tool.verbs().iter().find(|verb| is_slip(word, verb.name)) {
        Some(near) => format!("did you mean '{}'?", near.name),
        None if ["help", "show"].contains(&word) => verbs_line(tool),
        None => return None,
    };
    let way = match tool.nameless() {
        Some(nameless) if !nameless.operands.is_empty() => {
            format!("{hint}\n'{} -- {word}' uses it as an operand", tool.name)
        }
        _ => hint,
    };
    Some(Error::usage(format!("unknown verb '{word}'")).hint(way))
}

fn verbs_line(tool: &Tool) -> String {
    let verbs: Vec<&str> = tool.verbs().iter().map(|verb| verb.name).collect();
    format!("verbs: {}", verbs.join(" "))
}

fn version(tool: &Tool) -> String {
    format!("{} {}\n", tool.name, tool.version.unwrap_or(env!("CARGO_PKG_VERSION")))
}

fn generate_document(tool: &Tool, parser: &mut Parser) -> Result<Exit> {
    let kind = utf8(parser.value().map_err(lexopt_error)?)?;
    match generate::document(tool, &kind) {
        Some(text) => print(&text),
        None => Err(Error::usage(format!("cannot generate '{kind}'"))
            .hint(format!("kinds: {}", generate::kinds(tool).join(" ")))),
    }
}

/// Prints a text to standard output.
pub fn print(text: &str) -> Result<Exit> {
    let mut output = Output::stdout();
    output.text(text.as_bytes(), b"")?;
    output.flush()?;
    Ok(Exit::Done)
}
