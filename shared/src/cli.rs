//! One table a tool: what it accepts is written once, and parser, `--help`, man page and
//! completions are made from it.
//!
//! A tool is a `static` [`Tool`] with one nameless [`Command`], or several named ones (verbs), or
//! both: then the nameless one stands first and is what the tool does where its first word is no
//! verb. A command names its flags; each [`Flag`] holds its own setter, so that words and parsing cannot drift
//! apart. Setters only store: what needs the outside world happens in the command's `run`.
//! Errors are printed and exit codes chosen in one place, [`main`].
//!
//! Every tool understands `-h`/`--help`, `-V`/`--version` and `--generate KIND`, which prints one of
//! its own documents; [`generate::KINDS`] lists them.
//!
//! ```
//! use std::process::ExitCode;
//!
//! use codex_agent_shared::cli;
//! use codex_agent_shared::cli::{Command, Flag, Takes, Tool};
//! use codex_agent_shared::error::{Error, Exit};
//!
//! #[derive(Default)]
//! struct Args {
//!     loud: bool,
//! }
//!
//! static COMMAND: Command<Args> = Command {
//!     name: "",
//!     aliases: &[],
//!     about: "greet",
//!     operands: "",
//!     completes: &[],
//!     details: &[],
//!     sections: &[(
//!         "Options",
//!         &[Flag {
//!             short: Some('l'),
//!             long: "loud",
//!             takes: Takes::Nothing,
//!             help: "in capitals",
//!             more: "",
//!             set: |args, _value| {
//!                 args.loud = true;
//!                 Ok(())
//!             },
//!         }],
//!     )],
//!     greedy: false,
//!     operand: |_args, operand| Err(Error::usage(format!("unexpected operand {operand:?}"))),
//!     run: |args| {
//!         cli::print(if args.loud { "HELLO\n" } else { "hello\n" })?;
//!         Ok(Exit::Done)
//!     },
//! };
//!
//! static TOOL: Tool = Tool {
//!     name: "codex-agent-greet",
//!     about: "greet",
//!     description: &[],
//!     commands: &[&COMMAND],
//!     exit_status: &[(0, "Done.")],
//!     environment: &[],
//!     files: &[],
//!     examples: &[],
//!     see_also: &[],
//!     reads: &[],
//!     writes: &[],
//!     epilogue: "",
//!     completions: None,
//! };
//!
//! fn main() -> ExitCode {
//!     cli::main(&TOOL)
//! }
//! ```

mod external;
pub mod flags;
pub mod generate;

pub use external::{ToolInfo, main_of};

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use lexopt::{Arg, Parser};

use crate::error::{self, Error, Exit, Result};
use crate::ndjson::Output;
use crate::text::{is_slip, nearest};

/// Everything about one executable that a user can read.
pub struct Tool {
    /// The executable's name, such as `codex-agent-ls`.
    pub name: &'static str,
    /// One clause, lower case, no full stop: the NAME line of its man page.
    pub about: &'static str,
    /// Paragraphs of the man page. Lines that begin with a blank are kept as they are.
    pub description: &'static [&'static str],
    /// One command without a name, or several with names, or both in this order.
    pub commands: &'static [&'static dyn Verb],
    /// Exit codes and what they mean here.
    pub exit_status: &'static [(u8, &'static str)],
    /// Environment variables that it reads, beyond those that stand behind a flag of the library.
    pub environment: &'static [(&'static str, &'static str)],
    /// Files that it reads or writes.
    pub files: &'static [(&'static str, &'static str)],
    /// Command lines to learn from. A test runs each.
    pub examples: &'static [Example],
    /// Other pages, as `NAME(SECTION)`.
    pub see_also: &'static [&'static str],
    /// Record types that it reads on standard input.
    pub reads: &'static [&'static str],
    /// Record types that it writes on standard output.
    pub writes: &'static [&'static str],
    /// Lines at the end of `--help`.
    pub epilogue: &'static str,
    /// Completions by hand for bash, zsh and fish, where the table cannot know what comes next.
    pub completions: Option<[&'static str; 3]>,
}

impl Tool {
    /// The command that needs no verb.
    fn nameless(&self) -> Option<&'static dyn Verb> {
        self.commands.first().copied().filter(|first| first.name().is_empty())
    }

    /// The commands that are verbs.
    fn verbs(&self) -> &'static [&'static dyn Verb] {
        &self.commands[usize::from(self.nameless().is_some())..]
    }

    /// The verb of this word.
    fn verb(&self, word: &str) -> Option<&'static dyn Verb> {
        let is_it = |verb: &&&dyn Verb| verb.name() == word || verb.aliases().contains(&word);
        self.verbs().iter().find(is_it).copied()
    }
}

/// A command line and what it is good for.
pub struct Example {
    /// One sentence.
    pub text: &'static str,
    /// What to type in a POSIX shell.
    pub command: &'static str,
    /// The exit code that it ends with on the demo home.
    pub exit: u8,
}

/// One command of a tool, with arguments of type `A`.
pub struct Command<A: 'static> {
    /// The verb; empty for the only command of a tool.
    pub name: &'static str,
    /// Other words for the verb.
    pub aliases: &'static [&'static str],
    /// One clause.
    pub about: &'static str,
    /// The operands as the synopsis shows them, such as `NAME [REF...|-]`.
    pub operands: &'static str,
    /// What each operand is completed with; the last one goes on for ever.
    pub completes: &'static [Completes],
    /// Paragraphs for the man page.
    pub details: &'static [&'static str],
    /// The flags, in sections with a heading.
    pub sections: &'static [(&'static str, &'static [Flag<A>])],
    /// Whether everything from the first operand on is an operand, flags too, as for a command that
    /// runs another one.
    pub greedy: bool,
    /// Takes one operand; an error for operands that are too many.
    pub operand: fn(&mut A, OsString) -> Result<()>,
    /// Does the work.
    pub run: fn(A) -> Result<Exit>,
}

/// A flag of a command.
pub struct Flag<A> {
    /// `-n`.
    pub short: Option<char>,
    /// `--limit`.
    pub long: &'static str,
    /// Whether it has a value, what that is called, and how it is completed.
    pub takes: Takes,
    /// One clause, lower case, no full stop.
    pub help: &'static str,
    /// More sentences, for the man page only.
    pub more: &'static str,
    /// Stores the value.
    pub set: fn(&mut A, Value) -> Result<()>,
}

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it is a switch.
    Nothing,
    /// Text, shown under this name.
    Text(&'static str),
    /// A file.
    File(&'static str),
    /// A directory.
    Directory(&'static str),
    /// One of these words.
    OneOf(&'static str, &'static [&'static str]),
    /// Text that most often is one of these words.
    Words(&'static str, &'static [&'static str]),
    /// Such words with commas between.
    List(&'static str, &'static [&'static str]),
    /// Nothing, or `=` and one of these words.
    Perhaps(&'static str, &'static [&'static str]),
    /// A reference to a session.
    Session(&'static str),
    /// The name of a group.
    Group(&'static str),
}

impl Takes {
    /// The placeholder, if there is a value.
    pub fn placeholder(self) -> Option<&'static str> {
        match self {
            Takes::Nothing => None,
            Takes::Text(name)
            | Takes::File(name)
            | Takes::Directory(name)
            | Takes::OneOf(name, _)
            | Takes::Words(name, _)
            | Takes::List(name, _)
            | Takes::Perhaps(name, _)
            | Takes::Session(name)
            | Takes::Group(name) => Some(name),
        }
    }

    /// The values of a choice, which every document of the tool lists. What a flag shows in its place of
    /// a value anyway is not said twice.
    pub fn closed(self) -> Option<&'static [&'static str]> {
        match self {
            Takes::OneOf(_, values) => Some(values),
            Takes::Perhaps(name, values) if values != [name] => Some(values),
            _ => None,
        }
    }
}

/// What an operand is completed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completes {
    /// Nothing known.
    Nothing,
    /// References to sessions.
    Sessions,
    /// Names of groups.
    Groups,
    /// Names of queues.
    Queues,
    /// Names of runs.
    Runs,
    /// Types of records.
    Types,
    /// Names of tools.
    Tools,
    /// Keys of settings.
    Settings,
    /// Commands and files, as the shell has them.
    Commands,
}

/// The value of a flag as it was typed.
pub struct Value(Option<OsString>);

impl Value {
    /// The value, if the flag was given one (see [`Takes::Perhaps`]).
    pub fn perhaps(self) -> Result<Option<String>> {
        self.0.map(utf8).transpose()
    }

    /// The value as text.
    pub fn text(self) -> Result<String> {
        utf8(self.0.unwrap_or_default())
    }

    /// The value as a path, whatever its bytes.
    pub fn path(self) -> std::path::PathBuf {
        self.0.unwrap_or_default().into()
    }

    /// The value as a whole number that is not negative.
    pub fn number(self) -> Result<usize> {
        let text = self.text()?;
        text.parse().map_err(|_| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let why = match text.starts_with('-') {
                true => "it may not be negative",
                false if is_number => "it is too large",
                false => "expected a whole number",
            };
            Error::usage(format!("cannot take '{text}': {why}"))
        })
    }

    /// The value as a whole number from `least` to `most`.
    pub fn within(self, least: usize, most: usize) -> Result<usize> {
        let number = self.number()?;
        match number {
            number if (least..=most).contains(&number) => Ok(number),
            _ if most == usize::MAX => {
                Err(Error::usage(format!("cannot take '{number}': it must be {least} or more")))
            }
            _ => Err(Error::usage(format!("cannot take '{number}': it must be from {least} to {most}"))),
        }
    }
}

fn utf8(value: OsString) -> Result<String> {
    value
        .into_string()
        .map_err(|value| Error::usage(format!("cannot take '{}': it is not UTF-8", value.to_string_lossy())))
}

/// A flag as the documents need it.
pub struct Row {
    /// The heading that it stands under.
    pub section: &'static str,
    /// `-n`.
    pub short: Option<char>,
    /// `--limit`.
    pub long: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// One clause.
    pub help: &'static str,
    /// More sentences.
    pub more: &'static str,
}

/// A [`Command`] whatever its arguments are, so that commands can stand in one list.
pub trait Verb: Sync {
    /// The verb, or nothing.
    fn name(&self) -> &'static str;
    /// Other words for it.
    fn aliases(&self) -> &'static [&'static str];
    /// One clause.
    fn about(&self) -> &'static str;
    /// The operands of the synopsis.
    fn operands(&self) -> &'static str;
    /// What operands are completed with.
    fn completes(&self) -> &'static [Completes];
    /// Paragraphs for the man page.
    fn details(&self) -> &'static [&'static str];
    /// The flags.
    fn rows(&self) -> Vec<Row>;
    /// Parses what is left of the command line and does the work.
    fn execute(&self, tool: &'static Tool, parser: Parser) -> Result<Exit>;
}

impl<A: Default> Verb for Command<A> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn aliases(&self) -> &'static [&'static str] {
        self.aliases
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn operands(&self) -> &'static str {
        self.operands
    }

    fn completes(&self) -> &'static [Completes] {
        self.completes
    }

    fn details(&self) -> &'static [&'static str] {
        self.details
    }

    fn rows(&self) -> Vec<Row> {
        let row = |section: &'static str, flag: &Flag<A>| Row {
            section,
            short: flag.short,
            long: flag.long,
            takes: flag.takes,
            help: flag.help,
            more: flag.more,
        };
        let in_section = |(section, flags): &(&'static str, &'static [Flag<A>])| {
            flags.iter().map(|flag| row(section, flag)).collect::<Vec<_>>()
        };
        self.sections.iter().flat_map(in_section).collect()
    }

    fn execute(&self, tool: &'static Tool, mut parser: Parser) -> Result<Exit> {
        let mut args = A::default();
        while let Some(arg) = parser.next().map_err(lexopt_error)? {
            let flag = match &arg {
                Arg::Short('h') | Arg::Long("help") => {
                    return print(&generate::help(
                        tool,
                        if self.name.is_empty() { None } else { Some(self) },
                    ));
                }
                Arg::Short('V') | Arg::Long("version") => return print(&version(tool)),
                Arg::Long("generate") => return generate_document(tool, &mut parser),
                Arg::Short(letter) => self.find(|flag| flag.short == Some(*letter)),
                Arg::Long(name) => self.find(|flag| flag.long == *name),
                Arg::Value(_) => None,
            };
            match (flag, arg) {
                (Some(flag), _) => {
                    let value = take(flag.takes, &mut parser).map_err(lexopt_error)?;
                    check_choice(flag.takes, value.as_deref())
                        .and_then(|()| (flag.set)(&mut args, Value(value)))
                        .map_err(|error| error.within(format_args!("--{}", flag.long)))?;
                }
                (None, Arg::Value(value)) => {
                    (self.operand)(&mut args, value)?;
                    if self.greedy {
                        let rest: Vec<OsString> = parser.raw_args().map_err(lexopt_error)?.collect();
                        rest.into_iter().try_for_each(|word| (self.operand)(&mut args, word))?;
                    }
                }
                (None, other) => return Err(self.unknown(&other)),
            }
        }
        (self.run)(args)
    }
}

impl<A> Command<A> {
    fn find(&self, is: impl Fn(&Flag<A>) -> bool) -> Option<&'static Flag<A>> {
        self.sections.iter().flat_map(|(_, flags)| *flags).find(|flag| is(flag))
    }

    fn unknown(&self, arg: &Arg<'_>) -> Error {
        match arg {
            Arg::Long(name) => {
                let known = self.sections.iter().flat_map(|(_, flags)| flags.iter().map(|f| f.long));
                let near = nearest(name, known.chain(["help", "version"]));
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
}

fn take(takes: Takes, parser: &mut Parser) -> std::result::Result<Option<OsString>, lexopt::Error> {
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
    if choices.iter().any(|choice| OsStr::new(choice) == value) {
        return Ok(());
    }
    let message = format!("cannot take '{}': expected {}", value.to_string_lossy(), choices.join(" or "));
    Err(Error::usage(message))
}

fn lexopt_error(error: lexopt::Error) -> Error {
    match error {
        lexopt::Error::MissingValue { option: Some(option) } => {
            Error::usage(format!("'{option}' needs a value"))
        }
        lexopt::Error::UnexpectedValue { option, value } => {
            Error::usage(format!("'{option}' takes no value, but '{}' was given", value.to_string_lossy()))
        }
        other => Error::usage(other.to_string()),
    }
}

/// The body of every tool's `main`.
pub fn main(tool: &'static Tool) -> ExitCode {
    error::set_program(tool.name);
    let mut name = tool.name.to_owned();
    let exit = match run(tool, &mut name) {
        Ok(exit) => ExitCode::from(exit.code()),
        // Whoever read our output has had enough, and needs no word about it.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            error.print(&name);
            ExitCode::from(error.exit().code())
        }
    };
    error::flush();
    exit
}

fn run(tool: &'static Tool, name: &mut String) -> Result<Exit> {
    let mut parser = Parser::from_env();
    if let Some(nameless) = tool.nameless() {
        // A verb is one as the very first word: after '--' or a flag it is an operand.
        let first = std::env::args_os().nth(1).and_then(|word| word.into_string().ok());
        if let Some(error) = first.as_deref().and_then(|word| mistyped_verb(tool, word)) {
            return Err(error);
        }
        return match first.and_then(|word| tool.verb(&word)) {
            Some(verb) => {
                parser.next().map_err(lexopt_error)?;
                *name = format!("{} {}", tool.name, verb.name());
                verb.execute(tool, parser)
            }
            None => nameless.execute(tool, parser),
        };
    }
    let verb = match parser.next().map_err(lexopt_error)? {
        None => {
            return Err(Error::usage("a verb is missing").hint(verbs_line(tool)));
        }
        Some(Arg::Short('h') | Arg::Long("help")) => return print(&generate::help(tool, None)),
        Some(Arg::Short('V') | Arg::Long("version")) => return print(&version(tool)),
        Some(Arg::Long("generate")) => return generate_document(tool, &mut parser),
        Some(Arg::Value(word)) => utf8(word)?,
        Some(other) => {
            let typed = match other {
                Arg::Short(letter) => format!("-{letter}"),
                Arg::Long(name) => format!("--{name}"),
                Arg::Value(value) => value.to_string_lossy().into_owned(),
            };
            return Err(Error::usage(format!("expected a verb before '{typed}'")).hint(verbs_line(tool)));
        }
    };
    match tool.verb(&verb) {
        Some(command) => {
            *name = format!("{} {}", tool.name, command.name());
            command.execute(tool, parser)
        }
        None => {
            let error = Error::usage(format!("unknown verb '{verb}'"));
            let near = nearest(&verb, tool.commands.iter().map(|command| command.name()));
            Err(match near.first() {
                Some(near) => error.hint(format!("did you mean '{near}'?")),
                None => error.hint(verbs_line(tool)),
            })
        }
    }
}

/// A word that was most likely to be a verb. Taken for an operand it would be sent to a model, say.
fn mistyped_verb(tool: &Tool, word: &str) -> Option<Error> {
    if tool.verb(word).is_some() || tool.verbs().is_empty() {
        return None;
    }
    let verbs = || tool.verbs().iter().map(|command| command.name());
    let near = verbs().find(|verb| is_slip(word, verb));
    let is_usual = ["help", "show"].contains(&word);
    let hint = match near {
        Some(near) => format!("did you mean '{near}'?"),
        None if is_usual => verbs_line(tool),
        None => return None,
    };
    let way = match tool.nameless() {
        Some(nameless) if !nameless.operands().is_empty() => {
            format!("{hint}\n'{} -- {word}' takes it as it is", tool.name)
        }
        _ => hint,
    };
    Some(Error::usage(format!("unknown verb '{word}'")).hint(way))
}

fn verbs_line(tool: &Tool) -> String {
    let verbs: Vec<&str> = tool.verbs().iter().map(|command| command.name()).collect();
    format!("verbs: {}", verbs.join(" "))
}

fn version(tool: &Tool) -> String {
    format!("{} {}\n", tool.name, external::external().version)
}

fn generate_document(tool: &Tool, parser: &mut Parser) -> Result<Exit> {
    let kind = utf8(parser.value().map_err(lexopt_error)?)?;
    match generate::document(tool, &kind) {
        Some(text) => print(&text),
        None => Err(Error::usage(format!("cannot generate '{kind}'"))
            .hint(format!("kinds: {}", generate::KINDS.join(" ")))),
    }
}

/// Prints a text to standard output and is done.
pub fn print(text: &str) -> Result<Exit> {
    let mut output = Output::stdout();
    output.text(text.as_bytes(), b"")?;
    output.flush()?;
    Ok(Exit::Done)
}
