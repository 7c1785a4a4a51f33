//! The table of a tool, from which the parser, `--help`, the manual page and the completions are made.
//!
//! A function builds the [`Tool`]: with one nameless [`Command`], or several named ones (verbs), or both. Of both, the
//! nameless command is first, and runs if the first word is not a verb. Each [`Flag`] has its help and its setter in
//! one call. A setter only stores its value; files and the environment are read by the function of the command.
//! [`main`] prints the error and chooses the exit status.
//!
//! From the ground up: `candidates`, `selection` and `suggestions`; `flag`; `table`; `generate`; `complete`; `flags`;
//! `filters`, `pick`, `remote` (the tool on other machines) and `serve` (for another machine).
//!
//! Every tool has `-h`/`--help`, `-V`/`--version`, `-q`/`--quiet`, which suppresses status lines, and `--generate
//! KIND`, which prints a document of the tool; [`generate::kinds`] lists the kinds.
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
pub mod filters;
mod flag;
pub mod flags;
pub mod generate;
mod pick;
#[doc(hidden)]
pub use pick::PICK_FOR;
#[doc(hidden)]
pub mod remote;
mod selection;
mod serve;
pub mod suggestions;
mod table;

#[doc(hidden)]
pub use flag::Typed;
pub use flag::{Completes, Flag, Place, Row, Takes, Value, Values};
pub use flags::Args;
pub use selection::Selection;
pub use table::{Command, Tool, Verb};

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use flag::utf8;
use lexopt::{Arg, Parser};

use crate::error::{self, Error, Exit, Result};
use crate::habit;
use crate::ndjson::Output;
use crate::plugin::PREFIX;
use crate::terminal::{close_pager, page};
use crate::text::{is_typo, nearest};

/// Parses the rest of the command line, and runs the command with this index.
fn execute(mut tool: Tool, at: usize, mut parser: Parser) -> Result<Exit> {
    // The flag before an operand, if the operand may be meant as its value.
    let mut before: Option<Row> = None;
    let mut typed: Vec<Typed> = Vec::new();
    loop {
        // The parser drops '--', behind which no operand is mistaken for a verb.
        if parser.try_raw_args().is_some_and(|rest| rest.peek() == Some(OsStr::new("--"))) {
            tool.actions[at].end_of_flags();
            before = None;
        }
        let Some(arg) = parser.next().map_err(lexopt_error)? else { break };
        let verb = &tool.commands[at];
        let open = before.take();
        let (flag, row) = match arg {
            Arg::Short('h') | Arg::Long("help") => {
                return print(&generate::help(&tool, Some(verb).filter(|verb| !verb.name.is_empty())));
            }
            Arg::Short('V') | Arg::Long("version") => return print(&version(&tool)),
            Arg::Short('q') | Arg::Long("quiet") => {
                error::set_quiet();
                continue;
            }
            Arg::Long("generate") => return generate_document(&tool, &mut parser),
            Arg::Value(value) => {
                if let Some(hint) = open.and_then(|row| value_hint(&row, verb, &value)) {
                    return Err(table::unexpected(&value).hint(hint));
                }
                let hint = operand_hint(&tool, verb, &value);
                typed.push(Typed { flag: None, is_directory: false, value: Some(value.clone()) });
                tool.actions[at].operand(value).map_err(|error| match hint {
                    Some(hint) => error.or_hint(hint),
                    None => error,
                })?;
                if verb.greedy {
                    let mut rest = parser.raw_args().map_err(lexopt_error)?;
                    rest.try_for_each(|word| tool.actions[at].operand(word))?;
                }
                continue;
            }
            Arg::Short(letter) => verb
                .rows()
                .enumerate()
                .find(|(_, row)| row.short == Some(letter))
                .ok_or_else(|| unknown_letter(&tool, verb, letter))?,
            Arg::Long(name) => verb
                .rows()
                .enumerate()
                .find(|(_, row)| row.long == name)
                .ok_or_else(|| unknown_flag(&tool, verb, name))?,
        };
        let value = match row.takes {
            Takes::Nothing => None,
            takes if takes.is_optional() => parser.optional_value(),
            _ => Some(parser.value().map_err(lexopt_error)?),
        };
        before = (row.takes.is_optional() && value.is_none()).then(|| row.clone());
        let is_directory = matches!(row.takes, Takes::Directory(_));
        typed.push(Typed { flag: Some(row.long), is_directory, value: value.clone() });
        check_choice(row.takes, value.as_deref())
            .and_then(|()| tool.actions[at].set(flag, Value(value)))
            .map_err(|error| error.within(format_args!("--{}", row.long)))?;
    }
    let mut action = tool.actions.swap_remove(at);
    action.typed(typed);
    action.run()
}

/// The hint for an operand that is a value of the flag before it, which has its value behind '='. A list of fields may
/// be an operand too, the value of a choice is most probably none.
fn value_hint(row: &Row, verb: &Verb, word: &OsStr) -> Option<String> {
    let is_choice = matches!(row.takes, Takes::Perhaps(..));
    let word = word.to_str().filter(|_| verb.operands.is_empty() || is_choice)?;
    let known = row.takes.values();
    let is_value = word.split(',').all(|part| known.iter().any(|(value, _)| *value == part.trim()));
    is_value.then(|| format!("did you mean '--{}={word}'?", row.long))
}

/// The hint for an operand of a command that accepts none.
fn operand_hint(tool: &Tool, verb: &Verb, word: &OsStr) -> Option<String> {
    let word = word.to_str().filter(|_| verb.operands.is_empty())?;
    let is_verb = verb.name.is_empty() && tool.verbs().iter().any(|verb| verb.has_name(word));
    match is_verb {
        true => Some(format!("a verb comes first: {} {word} ...", tool.name)),
        false => Some(verb.hint.to_owned()).filter(|hint| !hint.is_empty()),
    }
}

fn unknown_letter(tool: &Tool, verb: &Verb, letter: char) -> Error {
    let error = Error::usage(format!("unknown flag '-{letter}'"));
    match letter {
        'n' if verb.rows().any(|row| row.long == "dry-run") => {
            error.hint("did you mean '--dry-run'? -n is a number in every tool: a limit or a count")
        }
        'n' => error.hint("-n is a number in every tool that has it: a limit or a count"),
        '0'..='9' if verb.rows().any(|row| row.short == Some('n')) => {
            error.hint("did you mean '-n N'? -n is a number: a limit or a count")
        }
        _ => match foreign_flag(tool, letter.encode_utf8(&mut [0; 4])) {
            Some(hint) => error.hint(hint),
            None => error,
        },
    }
}

fn unknown_flag(tool: &Tool, verb: &Verb, name: &str) -> Error {
    let near = nearest(name, verb.rows().map(|row| row.long).chain(["help", "version", "quiet"]));
    let error = Error::usage(format!("unknown flag '--{name}'"));
    match (foreign_flag(tool, name), near.first()) {
        (Some(hint), _) => error.hint(hint),
        (None, Some(near)) => error.hint(format!("did you mean '--{near}'?")),
        (None, None) => error,
    }
}

/// The hint for a flag of another program.
fn foreign_flag(tool: &Tool, name: &str) -> Option<&'static str> {
    habit::flag(tool.name.strip_prefix(PREFIX)?, name)
}

fn check_choice(takes: Takes, value: Option<&OsStr>) -> Result<()> {
    let (Takes::OneOf(_, choices) | Takes::Perhaps(_, choices), Some(value)) = (takes, value) else {
        return Ok(());
    };
    let words: Vec<&str> = choices().into_iter().map(|(word, _)| word).collect();
    if words.iter().any(|word| OsStr::new(word) == value) {
        return Ok(());
    }
    let or_none = if matches!(takes, Takes::Perhaps(..)) { " or no value" } else { "" };
    let message =
        format!("invalid value '{}': expected {}{or_none}", value.to_string_lossy(), words.join(" or "));
    Err(Error::usage(message))
}

fn lexopt_error(error: lexopt::Error) -> Error {
    Error::usage(match error {
        lexopt::Error::MissingValue { option: Some(option) } => format!("'{option}' needs a value"),
        lexopt::Error::UnexpectedValue { option, value } => {
            format!("'{option}' accepts no value, but '{}' was given", value.to_string_lossy())
        }
        other => other.to_string(),
    })
}

/// The body of the `main` of every tool.
pub fn main(tool: Tool) -> ExitCode {
    error::set_program(tool.name);
    let mut name = tool.name.to_owned();
    let ended = run(tool, &mut name);
    close_pager();
    let exit = match ended {
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
    let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if words.len() == 1 && serve::is_asked(&tool, &words[0]) {
        words = serve::accept()?;
    }
    let is_word = |word: &&OsString| !word.to_string_lossy().starts_with('-');
    let count = words.iter().filter(is_word).count();
    let mut words = words.into_iter().peekable();
    while words.next_if(|word| word == "-q" || word == "--quiet").is_some() {
        error::set_quiet();
    }
    if words.next_if(|word| word == "--generate").is_some() {
        if words.next_if(|word| word == "complete").is_some() {
            let _ = words.next_if(|word| word == "--");
            let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
            return complete::complete(tool, &words);
        }
        return generate_document(&tool, &mut Parser::from_args(words));
    }
    // Only the first word can be a verb: after '--' or a flag it is an operand.
    let is_bare = words.peek().is_none();
    let first = words.peek().and_then(|word| word.to_str()).map(str::to_owned);
    let mut parser = Parser::from_args(words);
    let verb = |word: &str| tool.commands.iter().position(|verb| verb.has_name(word) && !word.is_empty());
    if let Some(at) = first.as_deref().and_then(verb) {
        parser.next().map_err(lexopt_error)?;
        *name = format!("{} {}", tool.name, tool.commands[at].name);
        return execute(tool, at, parser);
    }
    if tool.nameless().is_some() {
        // A tool that sends its operands to a model checks a lone word itself; of a text of three words or more, the
        // first may be similar to a verb.
        let is_sent = tool.nameless().is_some_and(|verb| verb.rows().any(|row| row.long == "prompt"));
        let checks = !is_sent || count == 2;
        return match first.as_deref().filter(|_| checks).and_then(|word| mistyped_verb(&tool, word)) {
            Some(error) => Err(error),
            None => execute(tool, 0, parser),
        };
    }
    // A group or a queue that is not named: 'codex-agent queue' lists the queues.
    if let (true, Some(at)) = (is_bare, verb("list")) {
        return execute(tool, at, parser);
    }
    let (message, near) = match parser.next().map_err(lexopt_error)? {
        Some(Arg::Short('h') | Arg::Long("help")) => return print(&generate::help(&tool, None)),
        Some(Arg::Short('V') | Arg::Long("version")) => return print(&version(&tool)),
        Some(Arg::Long("generate")) => return generate_document(&tool, &mut parser),
        Some(Arg::Value(word)) => {
            let word = utf8(word)?;
            (format!("unknown verb '{word}'"), meant_verbs(&tool, &word))
        }
        Some(Arg::Short(letter)) => {
            let hint = foreign_flag(&tool, letter.encode_utf8(&mut [0; 4]));
            (format!("expected a verb before '-{letter}'"), hint.map(str::to_owned))
        }
        Some(Arg::Long(name)) => {
            let hint = foreign_flag(&tool, name);
            (format!("expected a verb before '--{name}'"), hint.map(str::to_owned))
        }
        None => ("a verb is missing".to_owned(), None),
    };
    Err(Error::usage(message).hint(near.unwrap_or_else(|| list_of_verbs(&tool))))
}

/// The hint for an unknown verb: the verbs that do what it does in other programs, or the most similar verb.
fn meant_verbs(tool: &Tool, word: &str) -> Option<String> {
    let verbs = || habit::verbs(word).filter_map(|name| tool.verbs().iter().find(|verb| verb.name == name));
    let meant: Vec<String> = verbs().map(|verb| format!("'{}' ({})", verb.name, verb.about)).collect();
    let near =
        || nearest(word, tool.verbs().iter().map(|verb| verb.name)).first().map(|near| format!("'{near}'"));
    let meant = if meant.is_empty() { near()? } else { meant.join(" or ") };
    Some(format!("did you mean {meant}?"))
}

/// The error for a probable typing error in a verb, which as an operand could be sent to a model.
fn mistyped_verb(tool: &Tool, word: &str) -> Option<Error> {
    let mut hint = match tool.verbs().iter().find(|verb| is_typo(word, verb.name)) {
        Some(near) => format!("did you mean '{}'?", near.name),
        None if ["help", "show"].contains(&word) && !tool.verbs().is_empty() => list_of_verbs(tool),
        None => return None,
    };
    if tool.nameless().is_some_and(|nameless| nameless.rows().any(|row| row.long == "prompt")) {
        hint = format!("{hint}\n-p TEXT, with the text in quotes, sends it as a prompt");
    } else if tool.nameless().is_some_and(|nameless| !nameless.operands.is_empty()) {
        hint = format!("{hint}\n'{} -- {word}' uses '{word}' as an operand", tool.name);
    }
    Some(Error::usage(format!("unknown verb '{word}'")).hint(hint))
}

fn list_of_verbs(tool: &Tool) -> String {
    let verbs: Vec<&str> = tool.verbs().iter().map(|verb| verb.name).collect();
    format!("verbs: {}", verbs.join(" "))
}

fn version(tool: &Tool) -> String {
    format!("{} {}\n", tool.name, tool.version.unwrap_or(env!("CARGO_PKG_VERSION")))
}

fn generate_document(tool: &Tool, parser: &mut Parser) -> Result<Exit> {
    let kind = utf8(parser.value().map_err(lexopt_error)?)?;
    let text = generate::document(tool, &kind).ok_or_else(|| {
        Error::usage(format!("cannot generate a document of kind '{kind}'"))
            .hint(format!("kinds of documents: {}", generate::kinds(tool).join(" ")))
    })?;
    print(&text)
}

/// Prints a text to standard output, with the pager of the user if it is longer than the terminal.
pub fn print(text: &str) -> Result<Exit> {
    page();
    let mut output = Output::stdout();
    output.text(text.as_bytes(), b"")?;
    output.flush()?;
    Ok(Exit::Done)
}
