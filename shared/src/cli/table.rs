//! A tool and its commands, made by builders.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};

use super::flag::{Completes, Flag, Row, Setter, Typed, Value};
use crate::error::{Error, Exit, Result};
use crate::plugin::{PREFIX, TOOLS};

/// Methods that set one field each.
macro_rules! builders {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {
        $($(#[$doc])* pub fn $field(mut self, $field: $type) -> Self {
            self.$field = $field.into();
            self
        })*
    };
}

/// An executable as the user sees it.
#[derive(Default)]
#[non_exhaustive]
#[must_use]
pub struct Tool {
    /// The name of the executable, such as `codex-agent-ls`.
    pub name: &'static str,
    /// The NAME line: one clause, lower case, no full stop.
    pub about: &'static str,
    /// Paragraphs of the manual page.
    pub description: Vec<Cow<'static, str>>,
    /// A command without a name, or several with names (verbs), or both in this order.
    pub commands: Vec<Verb>,
    /// Exit codes and their meanings.
    pub exit_status: &'static [(u8, &'static str)],
    /// Environment variables, without those of the shared flags.
    pub environment: &'static [(&'static str, &'static str)],
    /// Files that the tool reads or writes.
    pub files: &'static [(&'static str, &'static str)],
    /// Sentences and the command lines that they introduce.
    pub examples: &'static [(&'static str, &'static str)],
    /// Other manual pages, as `NAME(SECTION)`.
    pub see_also: Vec<Cow<'static, str>>,
    /// Types of records that the tool reads from standard input.
    pub reads: &'static [&'static str],
    /// Types of records that the tool writes to standard output.
    pub writes: Vec<&'static str>,
    /// Lines at the end of `--help`.
    pub epilogue: String,
    /// Scripts for bash, zsh and fish, which ask the tools for candidates.
    pub completions: Option<[&'static str; 3]>,
    /// The version of an external tool.
    pub version: Option<&'static str>,
    /// The arguments with which the tool reads records from standard input and writes records.
    pub pipe: Option<&'static [&'static str]>,
    /// The commands with their functions.
    pub(super) actions: Vec<Box<dyn Action>>,
}

impl Tool {
    /// A tool with a name and a NAME line.
    pub fn new(name: &'static str, about: &'static str) -> Tool {
        Tool {
            name,
            about,
            exit_status: &[(0, "Done."), (1, "Nothing was found."), (2, "Bad usage, or trouble.")],
            see_also: vec!["codex-agent(1)".into(), "codex-agent(7)".into()],
            ..Tool::default()
        }
    }

    /// A tool of this package, whose NAME line is in [`TOOLS`].
    pub fn ours(name: &'static str) -> Tool {
        let short = name.strip_prefix(PREFIX).unwrap_or_default();
        Tool::new(name, TOOLS.iter().find(|(tool, ..)| *tool == short).map_or("", |(_, about, _)| *about))
    }

    builders! {
        /// Sets the exit codes and their meanings.
        exit_status: &'static [(u8, &'static str)],
        /// Sets the environment variables, without those of the shared flags.
        environment: &'static [(&'static str, &'static str)],
        /// Sets the files that the tool reads or writes.
        files: &'static [(&'static str, &'static str)],
        /// Sets the examples: sentences and the command lines that they introduce. A test runs each on the sample home.
        examples: &'static [(&'static str, &'static str)],
        /// Sets the types of records that the tool reads from standard input.
        reads: &'static [&'static str],
        /// Sets the lines at the end of `--help`.
        epilogue: String,
        /// Sets the scripts for bash, zsh and fish, which ask the tools for candidates.
        completions: [&'static str; 3],
        /// Sets the version of an external tool: `env!("CARGO_PKG_VERSION")`.
        version: &'static str,
        /// Sets the arguments with which an external tool reads records from standard input and writes records.
        pipe: &'static [&'static str],
    }

    /// Adds paragraphs to the manual page. Lines that begin with a blank are preformatted.
    pub fn description<T: Into<Cow<'static, str>>>(mut self, text: impl IntoIterator<Item = T>) -> Tool {
        self.description.extend(text.into_iter().map(Into::into));
        self
    }

    /// Sets the other manual pages, as `NAME(SECTION)`.
    pub fn see_also<T: Into<Cow<'static, str>>>(mut self, pages: impl IntoIterator<Item = T>) -> Tool {
        self.see_also = pages.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a command.
    pub fn command<A: Default + 'static>(mut self, mut command: Command<A>) -> Tool {
        self.commands.push(std::mem::take(&mut command.verb));
        self.actions.push(Box::new(command));
        self
    }

    /// Adds commands.
    pub fn commands<A: Default + 'static>(self, commands: impl IntoIterator<Item = Command<A>>) -> Tool {
        commands.into_iter().fold(self, Tool::command)
    }

    /// Adds types of records that the tool writes to standard output.
    pub fn writes(mut self, types: impl IntoIterator<Item = &'static str>) -> Tool {
        self.writes.extend(types);
        self
    }

    /// The command without a verb.
    pub fn nameless(&self) -> Option<&Verb> {
        self.commands.first().filter(|first| first.name.is_empty())
    }

    /// The commands that are verbs.
    pub fn verbs(&self) -> &[Verb] {
        &self.commands[usize::from(self.nameless().is_some())..]
    }
}

/// A command as documents and completions show it.
#[derive(Default)]
#[non_exhaustive]
pub struct Verb {
    /// The verb; empty for the command without a verb.
    pub name: &'static str,
    /// Other names of the verb.
    pub aliases: &'static [&'static str],
    /// One clause.
    pub about: &'static str,
    /// The operands of the synopsis.
    pub operands: &'static str,
    /// The candidates for each operand; the last entry repeats.
    pub completes: &'static [Completes],
    /// Paragraphs of the manual page.
    pub details: &'static [&'static str],
    /// The flags, in sections with a heading.
    pub sections: Vec<(&'static str, Vec<Row>)>,
    /// Whether everything after the first operand is an operand.
    pub greedy: bool,
    /// The hint for an unexpected operand.
    pub hint: &'static str,
}

impl Verb {
    /// The flags of all sections.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sections.iter().flat_map(|(_, rows)| rows)
    }

    /// Whether a word is a name of the verb.
    pub fn has_name(&self, word: &str) -> bool {
        self.name == word || self.aliases.contains(&word)
    }
}

/// A command of a tool, with arguments of type `A`.
#[must_use]
pub struct Command<A> {
    verb: Verb,
    args: A,
    setters: Vec<Setter<A>>,
    operand: fn(&mut A, OsString) -> Result<()>,
    end_of_flags: fn(&mut A),
    typed: fn(&mut A, Vec<Typed>),
    run: fn(A) -> Result<Exit>,
    complete: Option<fn(A) -> Result<Exit>>,
}

pub(super) fn unexpected(word: &OsStr) -> Error {
    Error::usage(format!("unexpected operand '{}'", word.to_string_lossy()))
}

impl<A: Default> Command<A> {
    /// The command without a verb, with its function, without flags and operands.
    pub fn new(run: fn(A) -> Result<Exit>) -> Command<A> {
        Command::verb("", "", run)
    }

    /// A verb with its function, without flags and operands.
    pub fn verb(name: &'static str, about: &'static str, run: fn(A) -> Result<Exit>) -> Command<A> {
        Command {
            verb: Verb { name, about, ..Verb::default() },
            args: A::default(),
            setters: Vec::new(),
            operand: |_, word| Err(unexpected(&word)),
            end_of_flags: |_| {},
            typed: |_, _| {},
            run,
            complete: None,
        }
    }
}

impl<A> Command<A> {
    /// Sets other names of the verb.
    pub fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.verb.aliases = aliases;
        self
    }

    /// Sets paragraphs of the manual page.
    pub fn details(mut self, details: &'static [&'static str]) -> Self {
        self.verb.details = details;
        self
    }

    /// Accepts operands: the form in the synopsis (`NAME [REF...|-]`), the candidates for each (the last entry
    /// repeats), and a function that stores an operand or rejects it.
    pub fn operand(
        mut self,
        synopsis: &'static str,
        completes: &'static [Completes],
        store: fn(&mut A, OsString) -> Result<()>,
    ) -> Self {
        (self.verb.operands, self.verb.completes, self.operand) = (synopsis, completes, store);
        self
    }

    /// Sets a function that records that `--` was given.
    pub(super) fn end_of_flags(mut self, record: fn(&mut A)) -> Self {
        self.end_of_flags = record;
        self
    }

    /// Sets a function that stores the arguments as they were typed.
    pub(super) fn typed(mut self, store: fn(&mut A, Vec<Typed>)) -> Self {
        self.typed = store;
        self
    }

    /// Makes everything after the first operand an operand, flags too, for a command that runs another one.
    pub fn greedy(mut self) -> Self {
        self.verb.greedy = true;
        self
    }

    /// Sets a function that prints the candidates for the last operand of a greedy command.
    pub fn complete(mut self, complete: fn(A) -> Result<Exit>) -> Self {
        self.complete = Some(complete);
        self
    }

    /// Sets the hint for an operand of a command that accepts none.
    pub fn hint(mut self, hint: &'static str) -> Self {
        self.verb.hint = hint;
        self
    }

    /// Adds flags with a heading.
    pub fn flags(mut self, heading: &'static str, flags: impl IntoIterator<Item = Flag<A>>) -> Self {
        let (rows, setters): (Vec<Row>, Vec<Setter<A>>) =
            flags.into_iter().map(|flag| (flag.row, flag.set)).unzip();
        self.verb.sections.push((heading, rows));
        self.setters.extend(setters);
        self
    }
}

/// A command with arguments of any type.
pub(super) trait Action {
    /// Stores the value of the flag with this index.
    fn set(&mut self, flag: usize, value: Value) -> Result<()>;
    /// Stores an operand.
    fn operand(&mut self, word: OsString) -> Result<()>;
    /// Records that the operands after this point follow `--`.
    fn end_of_flags(&mut self);
    /// Stores the arguments as they were typed.
    fn typed(&mut self, typed: Vec<Typed>);
    /// Runs the function of the command.
    fn run(self: Box<Self>) -> Result<Exit>;
    /// Prints the candidates for the last operand; `None` if the command has no function for it.
    fn complete(self: Box<Self>) -> Option<Result<Exit>>;
}

impl<A> Action for Command<A> {
    fn set(&mut self, flag: usize, value: Value) -> Result<()> {
        (self.setters[flag])(&mut self.args, value)
    }

    fn operand(&mut self, word: OsString) -> Result<()> {
        (self.operand)(&mut self.args, word)
    }

    fn end_of_flags(&mut self) {
        (self.end_of_flags)(&mut self.args);
    }

    fn typed(&mut self, typed: Vec<Typed>) {
        (self.typed)(&mut self.args, typed);
    }

    fn run(self: Box<Self>) -> Result<Exit> {
        (self.run)(self.args)
    }

    fn complete(self: Box<Self>) -> Option<Result<Exit>> {
        self.complete.map(|complete| complete(self.args))
    }
}
