//! References on standard input and as operands.

use std::collections::HashSet;
use std::io::{self, IsTerminal, Read};
use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::host::{HERE, serving};
use crate::ndjson::{Item, LineError, Records};
use crate::record::RawRecord;

/// An item of standard input.
#[derive(Debug)]
pub enum Input {
    /// A `session` record, to the byte.
    Record(RawRecord),
    /// A record of another type, to pass through or to ignore.
    Other(RawRecord),
    /// A reference.
    Text(String),
}

/// References on a stream: session records, JSON strings, or plain lines up to their first TAB.
pub struct Inputs<R> {
    records: Records<R, Box<serde_json::value::RawValue>>,
    name: String,
}

impl<R: Read> Inputs<R> {
    /// References of `reader`, which errors call `name`.
    pub fn new(name: &str, reader: R) -> Self {
        Inputs { records: Records::new(name, reader), name: name.to_owned() }
    }

    /// The next item, with its line; `None` at the end. The errors are those of [`Records::next`].
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<std::result::Result<(u64, Input), LineError>> {
        let record = match self.records.next_item()? {
            Ok(record) => record,
            Err(failure) => return Some(Err(failure)),
        };
        let line = record.line;
        let input = match record.value {
            Item::Text(text) => Ok(Input::Text(text.split('\t').next().unwrap_or("").trim().to_owned())),
            Item::Json(raw) if raw.get().starts_with('"') => serde_json::from_str(raw.get())
                .map(Input::Text)
                .map_err(|_| Error::new("expected a reference to a session: the JSON string is invalid")),
            Item::Json(raw) => RawRecord::new(raw).and_then(|record| {
                match record.kind.as_deref().is_none_or(|kind| kind == "session") {
                    false => Ok(Input::Other(record)),
                    true if record.id.is_some() => Ok(Input::Record(record)),
                    true => Err(Error::new("expected a session record: missing field 'id'")),
                }
            }),
        };
        let place = format_args!("{}:{line}", self.name);
        Some(
            input
                .map(|input| (line, input))
                .map_err(|error| LineError { error: error.within(place), is_final: false }),
        )
    }
}

/// The session of a match record.
#[doc(hidden)]
pub fn match_session(record: &RawRecord) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Match {
        session: String,
    }
    record.kind.as_deref().filter(|kind| *kind == "match")?;
    serde_json::from_str(record.text.get()).ok().map(|Match { session }| session)
}

/// The host of a record that names another machine.
#[doc(hidden)]
pub fn host_in(record: &RawRecord) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Place {
        host: String,
    }
    let host = serde_json::from_str(record.text.get()).ok().map(|Place { host }| host)?;
    (host != HERE).then_some(host)
}

/// An error for the record of a session of another machine: the same id may be that of a session of this one.
#[doc(hidden)]
pub fn check_is_here(record: &RawRecord) -> Result<()> {
    match host_in(record).filter(|_| serving().is_none()) {
        None => Ok(()),
        Some(host) => Err(Error::new(format!(
            "the session is one of host '{host}', and not of this machine"
        ))
        .hint(
            "find, group, pick, show, grep and stats accept sessions of other machines; see codex-agent(7)",
        )),
    }
}

/// The address of a record that has one, such as an item.
#[doc(hidden)]
pub fn address_in(record: &RawRecord) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Place {
        address: String,
    }
    serde_json::from_str(record.text.get()).ok().map(|Place { address }| address)
}

/// Passes on each reference of standard input: the id of a session record, a JSON string, a line up to its first TAB,
/// what `other` finds in a record of another type, and the session of match records, once. Errors name the line.
#[doc(hidden)]
pub fn each_of_stdin(
    other: fn(&RawRecord) -> Option<String>,
    take: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let mut inputs = Inputs::new("stdin", io::stdin().lock());
    let mut matches = HashSet::new();
    while let Some(next) = inputs.next() {
        let (line, input) = next.map_err(|failure| failure.error)?;
        let checked = |record: &RawRecord, text: Option<String>| match check_is_here(record) {
            Ok(()) => Ok(Some(text.unwrap_or_default())),
            Err(error) => Err(error.within(format_args!("stdin:{line}"))),
        };
        let text = match input {
            Input::Text(text) => Some(text),
            Input::Record(record) => checked(&record, record.id.clone())?,
            Input::Other(record) => {
                let found =
                    other(&record).or_else(|| match_session(&record).filter(|id| matches.insert(id.clone())));
                match found {
                    Some(found) => checked(&record, Some(found))?,
                    None => None,
                }
            }
        };
        let taken = text.map_or(Ok(()), |text| take(&text));
        taken.map_err(|error| error.within(format_args!("stdin:{line}")))?;
    }
    Ok(())
}

/// Passes on each operand, and where one is `-` what [`each_of_stdin`] finds.
#[doc(hidden)]
pub fn each_operand(
    operands: &[String],
    other: fn(&RawRecord) -> Option<String>,
    take: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    operands.iter().filter(|operand| *operand != "-").try_for_each(|operand| take(operand))?;
    match operands.iter().any(|operand| operand == "-") {
        true => each_of_stdin(other, take),
        false => Ok(()),
    }
}

/// Whether standard input has references, if another process has decided that.
static HAS_INPUT: OnceLock<bool> = OnceLock::new();

/// Decides whether standard input has references, which [`reads_stdin`] else decides by whether it is a terminal.
#[doc(hidden)]
pub fn set_has_input(has: bool) {
    let _ = HAS_INPUT.set(has);
}

/// Whether references come from standard input: an operand is `-`, or there is no operand and standard input is not
/// a terminal. No operand on a terminal is bad usage.
pub fn reads_stdin(operands: &[String]) -> Result<bool> {
    let is_terminal = || HAS_INPUT.get().map_or_else(|| io::stdin().is_terminal(), |has| !has);
    if operands.is_empty() && is_terminal() {
        return Err(Error::usage("no session is given")
            .hint("name a session, or pipe session records to this tool: codex-agent ls --json | …"));
    }
    Ok(operands.is_empty() || operands.iter().any(|operand| operand == "-"))
}
