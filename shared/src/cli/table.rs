//! A tool and its commands: values that their builders make.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};

use super::flag::{Completes, Flag, Row, Setter, Value};
use crate::error::{Error, Exit, Result};
use crate::plugin::{PREFIX, TOOLS};

/// Methods that set one field each.
macro_rules! builders {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {
        $($(#[$doc])* #[must_use] pub fn $field(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        })*
    };
}

/// Everything about one executable that a user can read.
#[non_exhaustive]
pub struct Tool {
    /// The executable's name, such as `codex-agent-ls`.
    pub name: &'static str,
    /// The NAME line: one clause, lower case, no full stop.
    pub about: &'static str,
    /// Paragraphs of the manual page.
    pub description: Vec<Cow<'static, str>>,
    /// A command without a name, or several with names (verbs), or both in this order.
    pub commands: Vec<Verb>,
    /// Exit codes and their meanings.
    pub exit_status: &'static [(u8, &'static str)],
    /// Environment variables, beyond those that stand behind a flag of the library.
    pub environment: &'static [(&'static str, &'static str)],
    /// Files that the tool reads or writes.
    pub files: &'static [(&'static str, &'static str)],
    /// Sentences and the command lines that they introduce.
    pub examples: &'static [(&'static str, &'static str)],
    /// Other pages, as `NAME(SECTION)`.
    pub see_also: Vec<Cow<'static, str>>,
    /// Record types that it reads on standard input.
    pub reads: &'static [&'static str],
    /// Record types that it writes on standard output.
    pub writes: Vec<&'static str>,
    /// Lines at the end of `--help`.
    pub epilogue: String,
    /// Scripts for bash, zsh and fish, which ask the tools for candidates.
    pub completions: Option<[&'static str; 3]>,
    /// The version of an external tool.
    pub version: Option<&'static str>,
    /// The arguments with which it reads records from standard input and writes them.
    pub pipe: Option<&'static [&'static str]>,
    /// What the commands do, in their order.
    pub(super) actions: Vec<Box<dyn Action>>,
}

impl Tool {
    /// A tool of this name. The NAME line of a tool of this package is in [`TOOLS`].
    pub fn new(name: &'static str, about: &'static str) -> Tool {
        Tool {
            name,
            about,
            description: Vec::new(),
            commands: Vec::new(),
            exit_status: &[(0, "Done."), (1, "Nothing was found."), (2, "Bad usage, or trouble.")],
            environment: &[],
            files: &[],
            examples: &[],
            see_also: vec!["codex-agent(1)".into(), "codex-agent(7)".into()],
            reads: &[],
            writes: Vec::new(),
            epilogue: String::new(),
            completions: None,
            version: None,
            pipe: None,
            actions: Vec::new(),
        }
    }

    /// A tool of this package.
    pub fn ours(name: &'static str) -> Tool {
        let short = name.strip_prefix(PREFIX).unwrap_or_default();
        Tool::new(name, TOOLS.iter().find(|(tool, ..)| *tool == short).map_or("", |(_, about, _)| *about))
    }

    builders! {
        /// Exit codes and their meanings.
        exit_status: &'static [(u8, &'static str)],
        /// Environment variables, beyond those that stand behind a flag of the library.
        environment: &'static [(&'static str, &'static str)],
        /// Files that the tool reads or writes.
        files: &'static [(&'static str, &'static str)],
        /// Sentences and the command lines that they introduce. A test runs each on the sample home.
        examples: &'static [(&'static str, &'static str)],
        /// Record types that it reads on standard input.
        reads: &'static [&'static str],
        /// Lines at the end of `--help`.
        epilogue: String,
    }

    /// Adds paragraphs of the manual page. Lines that begin with a blank are kept as they are.
    #[must_use]
    pub fn description<T: Into<Cow<'static, str>>>(mut self, text: impl IntoIterator<Item = T>) -> Tool {
        self.description.extend(text.into_iter().map(Into::into));
        self
    }

    /// Other pages, as `NAME(SECTION)`.
    #[must_use]
    pub fn see_also<T: Into<Cow<'static, str>>>(mut self, pages: impl IntoIterator<Item = T>) -> Tool {
        self.see_also = pages.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a command.
    #[must_use]
    pub fn command<A: Default + 'static>(mut self, command: Command<A>) -> Tool {
        let Command { verb, setters, operand, run, complete } = command;
        self.commands.push(verb);
        self.actions.push(Box::new(Bound { args: A::default(), setters, operand, run, complete }));
        self
    }

    /// Adds commands.
    #[must_use]
    pub fn commands<A: Default + 'static>(self, commands: impl IntoIterator<Item = Command<A>>) -> Tool {
        commands.into_iter().fold(self, Tool::command)
    }

    /// Adds types of records that it writes on standard output.
    #[must_use]
    pub fn writes(mut self, types: impl IntoIterator<Item = &'static str>) -> Tool {
        self.writes.extend(types);
        self
    }

    /// Scripts for bash, zsh and fish, which ask the tools for candidates.
    #[must_use]
    pub fn completions(mut self, scripts: [&'static str; 3]) -> Tool {
        self.completions = Some(scripts);
        self
    }

    /// The version of an external tool: `env!("CARGO_PKG_VERSION")`.
    #[must_use]
    pub fn version(mut self, version: &'static str) -> Tool {
        self.version = Some(version);
        self
    }

    /// The arguments with which an external tool reads records from standard input and writes them.
    #[must_use]
    pub fn pipe(mut self, arguments: &'static [&'static str]) -> Tool {
        self.pipe = Some(arguments);
        self
    }

    /// The command that needs no verb.
    pub fn nameless(&self) -> Option<&Verb> {
        self.commands.first().filter(|first| first.name.is_empty())
    }

    /// The commands that are verbs.
    pub fn verbs(&self) -> &[Verb] {
        &self.commands[usize::from(self.nameless().is_some())..]
    }
}

/// A command as documents and completions need it.
#[non_exhaustive]
pub struct Verb {
    /// The verb; empty for the command that needs none.
    pub name: &'static str,
    /// Other words for the verb.
    pub aliases: &'static [&'static str],
    /// One clause.
    pub about: &'static str,
    /// The operands of the synopsis.
    pub operands: &'static str,
    /// What each operand is completed with; the last repeats.
    pub completes: &'static [Completes],
    /// Paragraphs for the manual page.
    pub details: &'static [&'static str],
    /// The flags, in sections with a heading.
    pub sections: Vec<(&'static str, Vec<Row>)>,
    /// Whether everything from the first operand on is an operand.
    pub greedy: bool,
    /// The hint for an operand that is refused.
    pub hint: &'static str,
}

impl Verb {
    /// The flags of all sections.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sections.iter().flat_map(|(_, rows)| rows)
    }

    /// Whether this word names the verb.
    pub fn is_called(&self, word: &str) -> bool {
        self.name == word || self.aliases.contains(&word)
    }
}

/// A command of a tool, with arguments of type `A`.
pub struct Command<A> {
    verb: Verb,
    setters: Vec<Setter<A>>,
    operand: fn(&mut A, OsString) -> Result<()>,
    run: fn(A) -> Result<Exit>,
    complete: Option<fn(A) -> Result<Exit>>,
}

fn unexpected(word: &OsStr) -> Error {
    Error::usage(format!("unexpected operand '{}'", word.to_string_lossy()))
}

impl<A> Command<A> {
    /// The command that needs no verb, without flags and operands. `run` does the work.
    pub fn new(run: fn(A) -> Result<Exit>) -> Command<A> {
        Command::verb("", "", run)
    }

    /// A verb, without flags and operands.
    pub fn verb(name: &'static str, about: &'static str, run: fn(A) -> Result<Exit>) -> Command<A> {
        let verb = Verb {
            name,
            aliases: &[],
            about,
            operands: "",
            completes: &[Completes::Nothing],
            details: &[],
            sections: Vec::new(),
            greedy: false,
            hint: "",
        };
        Command { verb, setters: Vec::new(), operand: |_, word| Err(unexpected(&word)), run, complete: None }
    }

    /// Other words for the verb.
    #[must_use]
    pub fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.verb.aliases = aliases;
        self
    }

    /// Paragraphs for the manual page.
    #[must_use]
    pub fn details(mut self, details: &'static [&'static str]) -> Self {
        self.verb.details = details;
        self
    }

    /// Accepts operands: as the synopsis shows them (`NAME [REF...|-]`), how each is completed (the last
    /// repeats), and a function that stores one, or refuses it.
    #[must_use]
    pub fn operand(
        mut self,
        synopsis: &'static str,
        completes: &'static [Completes],
        store: fn(&mut A, OsString) -> Result<()>,
    ) -> Self {
        (self.verb.operands, self.verb.completes, self.operand) = (synopsis, completes, store);
        self
    }

    /// Makes everything from the first operand on an operand, flags too, as for a command that runs another
    /// one.
    #[must_use]
    pub fn greedy(mut self) -> Self {
        self.verb.greedy = true;
        self
    }

    /// Prints the candidates for the last operand, where everything from the first operand on is another command.
    #[must_use]
    pub fn complete(mut self, complete: fn(A) -> Result<Exit>) -> Self {
        self.complete = Some(complete);
        self
    }

    /// The hint for an operand, where the command accepts none.
    #[must_use]
    pub fn hint(mut self, hint: &'static str) -> Self {
        self.verb.hint = hint;
        self
    }

    /// Adds flags under a heading.
    #[must_use]
    pub fn flags(mut self, heading: &'static str, flags: impl IntoIterator<Item = Flag<A>>) -> Self {
        let (rows, setters): (Vec<Row>, Vec<Setter<A>>) =
            flags.into_iter().map(|flag| (flag.row, flag.set)).unzip();
        self.verb.sections.push((heading, rows));
        self.setters.extend(setters);
        self
    }
}

/// A command with its arguments, whatever their type.
pub(super) trait Action {
    /// Stores the value of the flag of this place.
    fn set(&mut self, flag: usize, value: Value) -> Result<()>;
    /// Stores an operand.
    fn operand(&mut self, word: OsString) -> Result<()>;
    /// Does the work.
    fn run(self: Box<Self>) -> Result<Exit>;
    /// Prints the candidates for the last operand; `None` where the command does not know any.
    fn complete(self: Box<Self>) -> Option<Result<Exit>>;
}

struct Bound<A> {
    args: A,
    setters: Vec<Setter<A>>,
    operand: fn(&mut A, OsString) -> Result<()>,
    run: fn(A) -> Result<Exit>,
    complete: Option<fn(A) -> Result<Exit>>,
}

impl<A> Action for Bound<A> {
    fn set(&mut self, flag: usize, value: Value) -> Result<()> {
        (self.setters[flag])(&mut self.args, value)
    }

    fn operand(&mut self, word: OsString) -> Result<()> {
        (self.operand)(&mut self.args, word)
    }

    fn run(self: Box<Self>) -> Result<Exit> {
        (self.run)(self.args)
    }

    fn complete(self: Box<Self>) -> Option<Result<Exit>> {
        self.complete.map(|complete| complete(self.args))
    }
}
