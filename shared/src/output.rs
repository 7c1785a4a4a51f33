//! The forms in which sessions are printed: records, a table that fits the terminal, TAB-separated rows, or a template
//! of the user.
//!
//! ```
//! use codex_agent_shared::output::Template;
//!
//! let template = Template::parse("{id}\\t{title}", |_name| Ok(())).unwrap();
//! assert_eq!(template.fill(true, |name| format!("<{name}>")), "<id>\t<title>");
//! ```

mod candidates;
mod listing;

pub(crate) use candidates::candidate_lines;
pub use listing::{Listing, Rows};

use std::borrow::Cow;
use std::ops::Range;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::codex::index::Index;
use crate::error::{Error, Result};
use crate::ndjson::Output;
use crate::query::{Place, places};
use crate::record::{Field, Id, Session, Status, Value};
use crate::terminal::{Cell, Color, Cut, Look, Table, columns, is_terminal, page};
use crate::text::{cell, find_words, harmless, lowered, tsv, width};
use crate::time::Timestamp;
use crate::transcript::Figures;

/// A command.
#[doc(hidden)]
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandRecord<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The absolute path of the program, and its arguments.
    argv: &'r [String],
    /// The directory that the command runs in.
    cwd: &'r str,
}

impl<'r> CommandRecord<'r> {
    /// The record of a command.
    pub fn new(argv: &'r [String], cwd: &'r str) -> CommandRecord<'r> {
        CommandRecord { kind: "command", argv, cwd }
    }
}

/// A file that codex-agent-setup installs or removes.
#[doc(hidden)]
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetupFileRecord<'r> {
    #[serde(rename = "type")]
    record: &'static str,
    /// The action: "make", "replace", "keep", "remove", or "refuse" for a file that codex-agent-setup did
    /// not write.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["make", "replace", "keep", "remove", "refuse"])))]
    action: &'r str,
    /// The kind of file: "man", "bash", "zsh" or "fish".
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["man", "bash", "zsh", "fish"])))]
    kind: &'r str,
    /// The path of the file.
    path: Cow<'r, str>,
}

impl<'r> SetupFileRecord<'r> {
    /// The record of a file.
    pub fn new(action: &'r str, kind: &'r str, path: &'r std::path::Path) -> SetupFileRecord<'r> {
        SetupFileRecord { record: "setup.file", action, kind, path: path.to_string_lossy() }
    }
}

/// A template such as `{id}\t{title}`: text, fields in braces, and the escapes `\t \n \0 \\ \{`.
#[derive(Clone, Debug)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Field(String),
}

impl Template {
    /// Parses a template. `check` rejects an unknown name in braces.
    pub fn parse(text: &str, check: impl Fn(&str) -> Result<()>) -> Result<Template> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some('t') => plain.push('\t'),
                    Some('n') => plain.push('\n'),
                    Some('0') => plain.push('\0'),
                    Some(other @ ('\\' | '{' | '}')) => plain.push(other),
                    other => {
                        let escape = other.map(String::from).unwrap_or_default();
                        let message = format!("invalid escape '\\{escape}' in the template of --format");
                        return Err(Error::usage(message).hint("valid escapes: \\t \\n \\0 \\\\ \\{ \\}"));
                    }
                },
                '{' => {
                    let rest = letters.as_str();
                    let (name, rest) = rest.split_once('}').ok_or_else(|| {
                        let message = format!("'{{{rest}' in the template of --format has no closing brace");
                        Error::usage(message).hint("\\{ prints a brace")
                    })?;
                    letters = rest.chars();
                    if let Some(word) = name.strip_prefix('{') {
                        let message = format!("there is no field '{name}': a field stands in single braces");
                        let word = word.trim_start_matches([' ', '.']).trim_end().to_lowercase();
                        return Err(Error::usage(message).hint(format!("did you mean '{{{word}}}'?")));
                    }
                    check(name)?;
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Field(name.to_owned()));
                }
                other => plain.push(other),
            }
        }
        pieces.push(Piece::Text(plain));
        let template = Template(pieces);
        // 'json', '%(id)' and '$id' of other programs would be printed once for each record.
        if template.names().next().is_none() {
            let error = Error::usage(format!("there is no field in the template '{text}' of --format"));
            return Err(error.hint("a field stands in braces, such as '{id}'; --json prints records"));
        }
        Ok(template)
    }

    /// The names in braces.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Field(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text with values. With `nul`, for a row that ends in NUL, values are not escaped.
    pub fn fill(&self, nul: bool, mut value: impl FnMut(&str) -> String) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(name) => out.push_str(&printable(&value(name), nul)),
            }
        }
        out
    }
}

/// A value as a part of a row: harmless on a terminal, and in a pipe escaped, or without NUL in a row that ends in NUL.
fn printable(value: &str, nul: bool) -> Cow<'_, str> {
    match (is_terminal(), nul) {
        (true, _) => harmless(value),
        (false, false) => tsv(value),
        (false, true) => value.replace('\0', "\u{fffd}").into(),
    }
}

/// The form that the user chose.
#[derive(Default)]
pub struct Shape {
    /// Records.
    pub json: bool,
    /// The fields of these names, in this order.
    pub fields: Option<Vec<String>>,
    /// This template.
    pub template: Option<Template>,
    /// Rows that end in NUL, with values that are not escaped.
    pub nul: bool,
    /// Colours.
    pub color: Color,
    /// A table also where standard output is no terminal.
    pub table: bool,
    /// The greatest number of records, for [`Listing`].
    pub limit: Option<usize>,
    /// No pager.
    pub no_pager: bool,
}

impl Shape {
    /// Whether a table is written.
    pub fn is_table(&self) -> bool {
        (is_terminal() || self.table) && !self.json && !self.nul && self.template.is_none()
    }

    /// The fields that are printed; the index reads no others.
    pub fn needed(&self) -> Vec<Field> {
        use Field::{Branch, Cwd, Id, Name, Source, Title, UpdatedAt};
        match (&self.template, &self.fields) {
            (Some(template), _) => template.names().filter_map(|name| Field::parse(name).ok()).collect(),
            (None, Some(names)) => names.iter().filter_map(|name| Field::parse(name).ok()).collect(),
            (None, None) if self.json => Field::LISTED.to_vec(),
            (None, None) => vec![Id, UpdatedAt, Cwd, Name, Title, Branch, Source],
        }
    }
}

/// A chosen field of sessions: its name as it was typed, and the field; `None` for a field of another program.
type Pick = (String, Option<Field>);

/// Writes sessions in a form.
pub struct Sessions {
    output: Output,
    shape: Shape,
    /// The chosen fields, or those of the template.
    picks: Vec<Pick>,
    table: Option<Table>,
    now: Timestamp,
    /// The words that a search found, in lower case.
    words: Vec<String>,
    figures: Figures,
    /// Whether the rows name the hosts of the sessions.
    has_hosts: bool,
}

impl Sessions {
    /// Writes to standard output.
    pub fn new(shape: Shape) -> Sessions {
        if !shape.no_pager {
            page();
        }
        let table = shape.is_table().then(|| match &shape.fields {
            Some(names) => names.iter().fold(Table::new(), |table, name| column_of(table, name)),
            None => sessions_table(columns(), false),
        });
        let names: Vec<&str> = match &shape.template {
            Some(template) => template.names().collect(),
            None => shape.fields.iter().flatten().map(String::as_str).collect(),
        };
        let picks = names.into_iter().map(|name| (name.to_owned(), Field::parse(name).ok())).collect();
        let (output, now, words) = (Output::stdout(), Timestamp::now(), Vec::new());
        Sessions { output, shape, picks, table, now, words, figures: Figures::default(), has_hosts: false }
    }

    /// Names the host of each session: in a column of the table, and in a row before the id.
    #[doc(hidden)]
    pub fn with_hosts(mut self) -> Sessions {
        if self.shape.is_table() && self.shape.fields.is_none() {
            self.table = Some(sessions_table(columns(), true));
        }
        Sessions { has_hosts: true, ..self }
    }

    /// Reads the transcripts of sessions of an index, if a field of those is printed.
    pub fn completed_by(self, index: &Index) -> Sessions {
        Sessions { figures: Figures::new(index, &self.shape.needed()), ..self }
    }

    /// Writes a line above the table; without a table, nothing.
    pub fn heading(&mut self, line: &str) -> Result<()> {
        match &self.table {
            Some(_) => self.output.text(line.as_bytes(), b"\n"),
            None => Ok(()),
        }
    }

    /// Marks these words, which are in lower case, in the table of the following sessions. For a word that the name or
    /// title does not show, the field with the word follows the title.
    pub fn highlight(&mut self, words: &[String]) {
        self.words = words.to_vec();
    }

    /// Writes one session.
    pub fn write(&mut self, session: &Session<'_>) -> Result<()> {
        self.write_with(session, None)
    }

    /// Writes one session, whose fields of other programs are those of the record that was read.
    pub fn write_with(&mut self, session: &Session<'_>, record: Option<&RawValue>) -> Result<()> {
        let session = &*self.figures.complete(session);
        let (shape, picks, now) = (&self.shape, &self.picks, self.now);
        let has_foreign = picks.iter().any(|(_, field)| field.is_none());
        let foreign: serde_json::Value = match record.filter(|_| has_foreign) {
            Some(record) => serde_json::from_str(record.get()).unwrap_or_default(),
            None => serde_json::Value::Null,
        };
        let value = |(name, field): &Pick| match field {
            Some(field) => session.value(*field).map(|value| value.to_string()).unwrap_or_default(),
            None => listing::lookup(&foreign, name).map(listing::text_of).unwrap_or_default(),
        };
        match (&mut self.table, &shape.template) {
            (Some(table), _) if shape.fields.is_some() => {
                table.row(picks.iter().map(|(name, field)| match field.map(|field| session.value(field)) {
                    Some(Some(Value::Time(at))) => at.age(now).into(),
                    Some(Some(Value::Number(number))) => Cell::number(number),
                    Some(Some(Value::Text(word))) if *field == Some(Field::Status) => Cell::state(word),
                    Some(Some(Value::Text(text))) => {
                        marked(text, &self.words, 0).into_iter().fold(text.into(), mark)
                    }
                    Some(value) => value.map(|value| value.to_string()).unwrap_or_default().into(),
                    None => match listing::lookup(&foreign, name) {
                        Some(value) => listing::cell_of(name, value, now),
                        None => "".into(),
                    },
                }))
            }
            (Some(table), _) => {
                let row = match self.words.is_empty() {
                    true => sessions_row(session, now),
                    false => found_row(session, now, &self.words, columns()),
                };
                let host = self.has_hosts.then(|| session.host.as_deref().unwrap_or_default().into());
                table.row(host.into_iter().chain(row));
            }
            (None, _) if shape.json && shape.fields.is_some() => {
                return self.output.record(&Picked { session, foreign: &foreign, picks });
            }
            (None, _) if shape.json => return self.output.line(|out| session.write_json(out)),
            (None, template) => {
                let row = match template {
                    Some(template) => {
                        // The fields of the template are in the order of their places in it.
                        let mut fields = picks.iter();
                        template.fill(shape.nul, |_| fields.next().map(value).unwrap_or_default())
                    }
                    None if shape.fields.is_some() => row(picks.iter().map(value), shape.nul),
                    None => {
                        let fields = [Field::Id, Field::UpdatedAt, Field::Cwd];
                        let value = |field| match (session.value(field), session.host.as_deref()) {
                            // A reference to the session.
                            (Some(Value::Id(id)), Some(host)) if host != "." => format!("{host}:{id}"),
                            (value, _) => value.map(|value| value.to_string()).unwrap_or_default(),
                        };
                        row(fields.into_iter().map(value).chain([session.label().to_owned()]), shape.nul)
                    }
                };
                return self.output.text(row.as_bytes(), if shape.nul { b"\0" } else { b"\n" });
            }
        }
        Ok(())
    }

    /// Writes a record of another type.
    pub fn record(&mut self, record: &impl serde::Serialize) -> Result<()> {
        self.output.record(record)
    }

    /// Writes the buffer. A closed pipe is an error even if the buffer is empty.
    pub fn flush(&mut self) -> Result<()> {
        self.output.flush_checked()
    }

    /// Writes the table, if there is one, and the buffer.
    pub fn finish(mut self) -> Result<()> {
        if let Some(table) = self.table {
            table.write(&mut self.output, self.shape.color.is_on())?;
        }
        self.output.flush()
    }
}

fn row(cells: impl Iterator<Item = String>, nul: bool) -> String {
    let mut row = String::new();
    for (at, cell) in cells.enumerate() {
        row.push_str(if at > 0 { "\t" } else { "" });
        row.push_str(&printable(&cell, nul));
    }
    row
}

/// The label of a session on a terminal, where an empty one would look like an error.
#[doc(hidden)]
pub fn label<'s>(session: &'s Session<'_>) -> (Cow<'s, str>, Look) {
    match (session.label(), &session.parent_title, session.forked_from) {
        ("", Some(text), _) => (format!("fork of {text}").into(), Look::Dim),
        ("", None, Some(Some(_))) => ("(a fork, no message yet)".into(), Look::Dim),
        ("", ..) => ("(no message yet)".into(), Look::Dim),
        (label, ..) => (label.into(), Look::Plain),
    }
}

/// The table of sessions, whose title has half of the width before directory and branch have any.
fn sessions_table(most: usize, has_hosts: bool) -> Table {
    let hosts = |table: Table| if has_hosts { table.column("HOST", Look::Plain).most(20) } else { table };
    hosts(Table::new())
        .column("ID", Look::Id)
        .column("UPDATED", Look::Dim)
        .column("DIRECTORY", Look::Plain)
        .cut(Cut::Front)
        .most(most / 4)
        .optional(3, 8)
        .column("BRANCH", Look::Dim)
        .most((most / 6).min(20))
        .optional(2, 8)
        .column("TITLE", Look::Plain)
        .gives_way(1, most / 2)
}

/// The word before the label of a session that is not a usual one.
fn state_of(session: &Session<'_>) -> (&'static str, Look) {
    // The status is known only with --full, and most sessions are idle.
    match (session.archived_at.is_some(), session.is_subagent(), session.status) {
        (true, ..) => ("archived: ", Look::Dim),
        (_, true, _) => ("subagent: ", Look::Dim),
        (.., Some(Status::Running)) => ("running: ", Look::Running),
        (.., Some(Status::Interrupted)) => ("interrupted: ", Look::Interrupted),
        (.., Some(Status::Failed)) => ("failed: ", Look::Failed),
        _ => ("", Look::Plain),
    }
}

fn sessions_row(session: &Session<'_>, now: Timestamp) -> [Cell; 5] {
    let (mark, mark_look) = state_of(session);
    let branch = session.git.as_ref().and_then(|git| git.branch.as_deref()).unwrap_or("");
    let (label, look) = label(session);
    [
        session.id.map(Id::short).unwrap_or_default().into(),
        session.updated_at.map(|at| at.age(now)).unwrap_or_default().into(),
        session.cwd.as_deref().unwrap_or("").into(),
        branch.into(),
        Cell::parts([(mark, mark_look), (&label, look)]),
    ]
}

/// A session record with only the chosen fields, and its type.
struct Picked<'s> {
    session: &'s Session<'s>,
    foreign: &'s serde_json::Value,
    picks: &'s [Pick],
}

impl Serialize for Picked<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "session")?;
        for (at, (name, field)) in self.picks.iter().enumerate() {
            if self.picks[..at].iter().any(|(before, _)| before == name) {
                continue;
            }
            match field {
                Some(field) => {
                    map.serialize_entry(name, &self.session.value(*field).unwrap_or(Value::Null))?;
                }
                None => map.serialize_entry(name, &listing::lookup(self.foreign, name))?,
            }
        }
        map.end()
    }
}

/// The parts of a text that are found words, as places in a cell where the text begins at `from`.
fn marked(text: &str, words: &[String], from: usize) -> Vec<Range<usize>> {
    let shift = |part: Range<usize>| part.start + from..part.end + from;
    find_words(text, words).into_iter().map(shift).collect()
}

fn mark(cell: Cell, part: Range<usize>) -> Cell {
    cell.mark(part, Look::Match)
}

/// The row of a session that a search found: the words are marked, and the fields of those that the label does not show
/// follow it. The label is cut so far that these fields are on the screen.
fn found_row(session: &Session<'_>, now: Timestamp, words: &[String], most: usize) -> [Cell; 5] {
    let (label, _) = label(session);
    let (mark_text, mark_look) = state_of(session);
    // The title has half of the width at least.
    let room = (most / 2).saturating_sub(width(mark_text)).max(10);
    let shows = |text: &str, word: &String| lowered(text).contains(word.as_str());
    let mut hidden: Vec<(Place, String)> = Vec::new();
    for (word, place) in words.iter().zip(places(words, session).unwrap_or_default()) {
        let has_place = hidden.iter().any(|(known, text)| *known == place && shows(text, word));
        if !shows(&cell(&label, room), word) && !has_place {
            let most = (room / 2).max(8);
            let around = most.saturating_sub(width(place.word()) + 3 + width(word)) / 2;
            let text = place.excerpt(session, word, around.max(1)).unwrap_or_default();
            hidden.push((place, cell(&text, most)));
        }
    }
    let (plain, look) = (label.as_ref(), self::label(session).1);
    let places: Vec<String> =
        hidden.iter().map(|(place, text)| format!("{}: {text}", place.word())).collect();
    let suffix = if places.is_empty() { String::new() } else { format!(" ({})", places.join("; ")) };
    let short = match hidden.is_empty() {
        true => plain.to_owned(),
        false => cell(plain, room.saturating_sub(width(&suffix)).max(8)),
    };
    let parts = [(mark_text, mark_look), (&short, look), (&suffix, Look::Dim)];
    let mut title = Cell::parts(parts);
    title = marked(&short, words, mark_text.len()).into_iter().fold(title, mark);
    title = marked(&suffix, words, mark_text.len() + short.len()).into_iter().fold(title, mark);
    let [id, updated, ..] = sessions_row(session, now);
    let with_marks = |text: &str| marked(text, words, 0).into_iter().fold(Cell::from(text), mark);
    let branch = session.git.as_ref().and_then(|git| git.branch.as_deref()).unwrap_or("");
    [id, updated, with_marks(session.cwd.as_deref().unwrap_or("")), with_marks(branch), title]
}

/// Adds the column of a chosen field. Of the columns the widest becomes narrower first.
fn column_of(table: Table, name: &str) -> Table {
    let cut = match name {
        "id" | "session" | "queue" | "parent" | "subagent.parent" | "forked_from" | "address" => Cut::Id,
        "cwd" | "rollout_path" | "path" | "project" | "codex.path" | "codex_home" => Cut::Front,
        _ => Cut::Back,
    };
    table.column(name.to_uppercase(), Look::Plain).cut(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_fit() {
        let lines = |most: usize| {
            let mut table = sessions_table(most, false);
            for title in ["short", &"日本語 wide ".repeat(20)] {
                table.row(["cd6d1b0c", "2d", "/src/a/long/way/down/the/tree", "main", title]);
            }
            table.lines(most, false)
        };
        for most in [20, 40, 60, 80, 132] {
            for text in lines(most) {
                assert!(width(&text) <= most, "{most}: {text}");
            }
        }
        let wide = lines(132);
        assert!(wide[0].contains("BRANCH") && wide[1].ends_with("short"), "{wide:?}");
    }

    #[test]
    fn grids_fit() {
        let id = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";
        let lines = |most| {
            let mut table = ["id", "title", "cwd"].into_iter().fold(Table::new(), column_of);
            table.row([id, &"日本語 wide ".repeat(20), "/a/b/c/d/e/f/g/h/i/j"]);
            table.lines(most, false)
        };
        for most in [10, 20, 40, 60, 80] {
            for text in lines(most) {
                assert!(width(&text) <= most, "{most}: {text}");
            }
        }
        let wide = lines(400);
        assert!(wide[1].starts_with(id) && wide[1].ends_with("/a/b/c/d/e/f/g/h/i/j"), "{wide:?}");
        // The rest of an id and of a path is the part in which they differ.
        let narrow = lines(26);
        assert!(narrow[1].starts_with("cd6d1b0c  ") && narrow[1].ends_with("/i/j"), "{narrow:?}");
    }

    #[test]
    fn templates() {
        let known = |name: &str| Field::parse(name).map(|_| ());
        let template = Template::parse("{id}\\t<{title}>\\{", known).unwrap();
        assert_eq!(template.fill(false, |name| format!("{name}\n")), "id\\n\t<title\\n>{");
        assert_eq!(template.fill(true, |name| format!("{name}\n")), "id\n\t<title\n>{");
        assert!(Template::parse("{titel}", known).is_err());
        assert!(Template::parse("\\x", known).is_err());
        assert!(Template::parse("{id", known).is_err());
        for none in ["json", "%(id)", "$id", "", "\\{id\\}"] {
            let error = Template::parse(none, known).unwrap_err();
            assert!(error.message().starts_with("there is no field in the template"), "{error}");
        }
    }
}
