//! Flags: each is described by one call, with its names, its value and the place that stores the value.

use std::ffi::OsString;
use std::ops::RangeBounds;
use std::path::PathBuf;

use super::candidates::SessionFinder;
use super::suggestions::Suggest;
use crate::choice::Choice;
use crate::error::{Error, Result};
use crate::record::Field;

/// A flag as documents and completions show it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Row {
    /// `-n`.
    pub short: Option<char>,
    /// `--limit`.
    pub long: &'static str,
    /// The value: its placeholder, and its candidates.
    pub takes: Takes,
    /// One clause, lower case, no full stop.
    pub help: &'static str,
    /// Further sentences for the manual page.
    pub more: &'static str,
    /// The default, if the help should name it.
    pub default: &'static str,
    /// The function that finds sessions in the home that the flag names, for completion.
    pub(super) sessions: Option<SessionFinder>,
    /// The field of sessions whose values are the candidates.
    pub(super) field: Option<Field>,
    /// The function that makes further candidates from the typed text.
    pub(super) suggests: Option<Suggest>,
}

impl Row {
    pub(super) const fn new(long: &'static str, takes: Takes, help: &'static str) -> Row {
        Row {
            short: None,
            long,
            takes,
            help,
            more: "",
            default: "",
            sessions: None,
            field: None,
            suggests: None,
        }
    }
}

pub(super) type Setter<A> = Box<dyn Fn(&mut A, Value) -> Result<()>>;

/// A flag of a command: described by one call, and stored in the place that the last argument returns. The place is
/// an option or a plain value, which keeps the last value, or a list, which keeps all.
///
/// ```
/// use codex_agent_shared::cli::Flag;
///
/// #[derive(Default)]
/// struct Args {
///     loud: bool,
///     names: Vec<String>,
/// }
///
/// let flags: [Flag<Args>; 2] = [
///     Flag::switch("loud", "greet in capitals", |args: &mut Args| &mut args.loud).short('l'),
///     Flag::text("name", "NAME", "greet this person", |args: &mut Args| &mut args.names),
/// ];
/// ```
#[must_use]
pub struct Flag<A> {
    pub(super) row: Row,
    pub(super) set: Setter<A>,
}

impl<A: 'static> Flag<A> {
    /// A flag with a setter of its own.
    pub fn new(
        long: &'static str,
        takes: Takes,
        help: &'static str,
        set: impl Fn(&mut A, Value) -> Result<()> + 'static,
    ) -> Flag<A> {
        Flag { row: Row::new(long, takes, help), set: Box::new(set) }
    }

    /// A flag whose value a function parses, or rejects.
    pub fn parsed<T: 'static, P: Place<T> + 'static>(
        long: &'static str,
        takes: Takes,
        help: &'static str,
        parse: impl Fn(Value) -> Result<T> + 'static,
        place: fn(&mut A) -> &mut P,
    ) -> Flag<A> {
        Flag::new(long, takes, help, move |args, value| {
            place(args).store(parse(value)?);
            Ok(())
        })
    }

    /// A switch, which has no value.
    pub fn switch(long: &'static str, help: &'static str, place: fn(&mut A) -> &mut bool) -> Flag<A> {
        Flag::parsed(long, Takes::Nothing, help, |_| Ok(true), place)
    }

    /// A flag whose value is text, with a placeholder.
    pub fn text<P: Place<String> + 'static>(
        long: &'static str,
        name: &'static str,
        help: &'static str,
        place: fn(&mut A) -> &mut P,
    ) -> Flag<A> {
        Flag::parsed(long, Takes::Text(name), help, Value::text, place)
    }

    /// A flag whose value is a whole number in a range.
    pub fn number<P: Place<usize> + 'static>(
        long: &'static str,
        name: &'static str,
        range: impl RangeBounds<usize> + 'static,
        help: &'static str,
        place: fn(&mut A) -> &mut P,
    ) -> Flag<A> {
        Flag::parsed(long, Takes::Text(name), help, move |value| value.within(&range), place)
    }

    /// A flag whose value is a file.
    pub fn file<P: Place<PathBuf> + 'static>(
        long: &'static str,
        help: &'static str,
        place: fn(&mut A) -> &mut P,
    ) -> Flag<A> {
        Flag::parsed(long, Takes::File("FILE"), help, |value| Ok(value.path()), place)
    }

    /// A flag whose value is a directory.
    pub fn directory<P: Place<PathBuf> + 'static>(
        long: &'static str,
        help: &'static str,
        place: fn(&mut A) -> &mut P,
    ) -> Flag<A> {
        Flag::parsed(long, Takes::Directory("DIR"), help, Value::directory, place)
    }

    /// A flag whose value is a value of an enum.
    pub fn choice<C: Choice, P: Place<C> + 'static>(
        long: &'static str,
        name: &'static str,
        help: &'static str,
        place: fn(&mut A) -> &mut P,
    ) -> Flag<A> {
        Flag::parsed(long, Takes::OneOf(name, C::values), help, Value::choice::<C>, place)
    }

    /// Also adds the name of the flag to a list when it is used: for flags that require another one.
    pub fn noted(self, list: fn(&mut A) -> &mut Vec<&'static str>) -> Self {
        let (long, set) = (self.row.long, self.set);
        let set = Box::new(move |args: &mut A, value| {
            list(args).push(long);
            set(args, value)
        });
        Flag { row: self.row, set }
    }

    /// The name of the flag, without the dashes.
    pub fn long(&self) -> &'static str {
        self.row.long
    }

    /// Sets the letter of the flag.
    pub fn short(mut self, letter: char) -> Self {
        self.row.short = Some(letter);
        self
    }

    /// Sets other help, for a shared flag with a special meaning in a tool.
    pub fn help(mut self, help: &'static str) -> Self {
        self.row.help = help;
        self
    }

    /// Sets further sentences for the manual page.
    pub fn more(mut self, more: &'static str) -> Self {
        self.row.more = more;
        self
    }

    /// Sets the default that the help names. The value of the flag is not changed.
    pub fn default(mut self, value: &'static str) -> Self {
        self.row.default = value;
        self
    }

    /// Completes the value with the values that sessions have in a field. The command needs the flag `--codex-home`.
    pub fn offers(mut self, field: Field) -> Self {
        self.row.field = Some(field);
        self
    }

    /// Completes the value also with the values that a function makes from the typed text.
    pub fn suggests(mut self, suggest: Suggest) -> Self {
        self.row.suggests = Some(suggest);
        self
    }

    /// Sets the function that finds sessions in the home that this flag names, for completion.
    pub(super) fn finds(mut self, sessions: SessionFinder) -> Self {
        self.row.sessions = Some(sessions);
        self
    }
}

/// A place that stores the values of a flag.
pub trait Place<T> {
    /// Stores a value.
    fn store(&mut self, value: T);
}

impl<T> Place<T> for T {
    fn store(&mut self, value: T) {
        *self = value;
    }
}

impl<T> Place<T> for Option<T> {
    fn store(&mut self, value: T) {
        *self = Some(value);
    }
}

impl<T> Place<T> for Vec<T> {
    fn store(&mut self, value: T) {
        self.push(value);
    }
}

/// A function that returns values and their meanings.
pub type Values = fn() -> Vec<(&'static str, &'static str)>;

/// The kind of value of a flag. The first field is the placeholder.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// No value: the flag is a switch.
    Nothing,
    /// Text.
    Text(&'static str),
    /// A file.
    File(&'static str),
    /// A directory.
    Directory(&'static str),
    /// One of these values.
    OneOf(&'static str, Values),
    /// Any text, for which these values are offered.
    Words(&'static str, Values),
    /// Several of these values, with commas between.
    List(&'static str, Values),
    /// Optionally `=` and one of these values.
    Perhaps(&'static str, Values),
    /// Optionally `=` and several of these values, with commas between.
    PerhapsList(&'static str, Values),
    /// A reference to a session.
    Session(&'static str),
    /// The name of a group.
    Group(&'static str),
}

impl Takes {
    /// The placeholder, if the flag has a value.
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
            | Takes::PerhapsList(name, _)
            | Takes::Session(name)
            | Takes::Group(name) => Some(name),
        }
    }

    /// The values that are offered, each with its meaning.
    pub fn values(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Takes::OneOf(_, values)
            | Takes::Words(_, values)
            | Takes::List(_, values)
            | Takes::Perhaps(_, values)
            | Takes::PerhapsList(_, values) => values(),
            _ => Vec::new(),
        }
    }

    /// The values of a choice, which every document of the tool lists. A single value that is the placeholder too is
    /// not repeated.
    pub fn closed(self) -> Option<Vec<&'static str>> {
        let words = || self.values().into_iter().map(|(word, _)| word).collect::<Vec<_>>();
        match self {
            Takes::OneOf(..) => Some(words()),
            Takes::Perhaps(name, _) => Some(words()).filter(|words| words[..] != [name]),
            _ => None,
        }
    }

    /// Whether the next word is the value.
    pub fn has_value(self) -> bool {
        !matches!(self, Takes::Nothing) && !self.is_optional()
    }

    /// Whether a value is given only behind `=`.
    pub fn is_optional(self) -> bool {
        matches!(self, Takes::Perhaps(..) | Takes::PerhapsList(..))
    }
}

/// The kind of candidates for an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completes {
    /// No candidates.
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
    /// Commands and files, by the shell.
    Commands,
}

/// The value of a flag as it was typed.
pub struct Value(pub(super) Option<OsString>);

impl Value {
    /// The value, if the flag has one (see [`Takes::Perhaps`]).
    pub fn perhaps(self) -> Result<Option<String>> {
        self.0.map(utf8).transpose()
    }

    /// The value as text.
    pub fn text(self) -> Result<String> {
        utf8(self.0.unwrap_or_default())
    }

    /// The value as a path, which may have any bytes.
    pub fn path(self) -> PathBuf {
        self.0.unwrap_or_default().into()
    }

    /// The value as a directory. An empty value, which often comes from a variable that is not set, is an error.
    pub fn directory(self) -> Result<PathBuf> {
        Some(self.path())
            .filter(|path| !path.as_os_str().is_empty())
            .ok_or_else(|| Error::usage("expected the path of a directory"))
    }

    /// The value as a value of an enum. The parser has rejected any other text.
    fn choice<C: Choice>(self) -> Result<C> {
        let text = self.text()?;
        C::parse(&text).ok_or_else(|| Error::usage(format!("invalid value '{text}'")))
    }

    /// The value as a whole number in a range.
    pub fn within(self, range: &impl RangeBounds<usize>) -> Result<usize> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let text = self.text()?;
        let why = match text.parse() {
            Ok(number) if range.contains(&number) => return Ok(number),
            Ok(_) => match (range.start_bound(), range.end_bound()) {
                (Included(least), Included(most)) => format!("it must be from {least} to {most}"),
                (Included(least) | Excluded(least), _) => format!("it must be {least} or more"),
                (Unbounded, _) => "it is too large".to_owned(),
            },
            Err(_) if text.starts_with('-') => "it may not be negative".to_owned(),
            Err(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                "it is too large".to_owned()
            }
            Err(_) => "expected a whole number".to_owned(),
        };
        Err(Error::usage(format!("invalid value '{text}': {why}")))
    }
}

/// An argument as it was typed.
#[derive(Clone, Debug)]
pub struct Typed {
    /// The long name of the flag; `None` for an operand.
    pub(super) flag: Option<&'static str>,
    /// Whether the value is a directory.
    pub(super) is_directory: bool,
    /// The value, or the operand.
    pub(super) value: Option<OsString>,
}

pub(super) fn utf8(value: OsString) -> Result<String> {
    value.into_string().map_err(|value| Error::usage(format!("'{}' is not UTF-8", value.to_string_lossy())))
}
