//! The forms in which sessions are printed: records, a table that fits the terminal, TAB-separated rows, or a template
//! of the user.
//!
//! ```
//! use codex_agent_shared::output::Template;
//!
//! let template = Template::parse("{id}\\t{title}", |_name| Ok(())).unwrap();
//! assert_eq!(template.fill(true, |name| format!("<{name}>")), "<id>\t<title>");
//! ```

use std::borrow::Cow;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::ndjson::Output;
use crate::record::{Chosen, Field, Id, Session, Status, Value};
use crate::terminal::{Cell, Color, Cut, Look, Table, columns, is_terminal};
use crate::text::{harmless, tsv};
use crate::time::Timestamp;

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
                    check(name)?;
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Field(name.to_owned()));
                }
                other => plain.push(other),
            }
        }
        pieces.push(Piece::Text(plain));
        Ok(Template(pieces))
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
    /// These fields, in this order.
    pub fields: Option<Vec<Field>>,
    /// This template.
    pub template: Option<Template>,
    /// Rows that end in NUL, with values that are not escaped.
    pub nul: bool,
    /// Colours.
    pub color: Color,
}

impl Shape {
    /// The fields that are printed; the index reads no others.
    pub fn needed(&self) -> Vec<Field> {
        use Field::{Branch, Cwd, Id, Name, Source, Title, UpdatedAt};
        match (&self.template, &self.fields) {
            (Some(template), _) => template.names().filter_map(|name| Field::parse(name).ok()).collect(),
            (None, Some(fields)) => fields.clone(),
            (None, None) if self.json => Field::LISTED.to_vec(),
            (None, None) => vec![Id, UpdatedAt, Cwd, Name, Title, Branch, Source],
        }
    }
}

/// Writes sessions in a form.
pub struct Sessions {
    output: Output,
    shape: Shape,
    table: Option<Table>,
    now: Timestamp,
}

impl Sessions {
    /// Writes to standard output.
    pub fn new(shape: Shape) -> Sessions {
        let has_table = is_terminal() && !shape.json && !shape.nul && shape.template.is_none();
        let table = has_table.then(|| match &shape.fields {
            Some(fields) => fields_table(fields),
            None => sessions_table(columns()),
        });
        Sessions { output: Output::stdout(), shape, table, now: Timestamp::now() }
    }

    /// Writes one session.
    pub fn write(&mut self, session: &Session<'_>) -> Result<()> {
        let (shape, now) = (&self.shape, self.now);
        let value = |field: &Field| session.value(*field).map(|value| value.to_string()).unwrap_or_default();
        match (&mut self.table, &shape.fields) {
            (Some(table), Some(fields)) => {
                table.row(fields.iter().map(|field| match session.value(*field) {
                    Some(Value::Time(at)) => at.age(now),
                    _ => value(field),
                }))
            }
            (Some(table), None) => table.row(sessions_row(session, now)),
            (None, Some(fields)) if shape.json => {
                return self.output.record(&Chosen { session, fields });
            }
            (None, None) if shape.json => return self.output.line(|out| session.write_json(out)),
            (None, fields) => {
                let row = match (&shape.template, fields) {
                    (Some(template), _) => template.fill(shape.nul, |name| {
                        Field::parse(name).map(|field| value(&field)).unwrap_or_default()
                    }),
                    (None, Some(fields)) => row(fields.iter().map(value), shape.nul),
                    (None, None) => {
                        let fields = [Field::Id, Field::UpdatedAt, Field::Cwd];
                        row(fields.iter().map(value).chain([session.label().to_owned()]), shape.nul)
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
fn label<'s>(session: &'s Session<'_>) -> (Cow<'s, str>, Look) {
    match (session.label(), &session.parent_title, session.forked_from) {
        ("", Some(text), _) => (format!("fork of {text}").into(), Look::Dim),
        ("", None, Some(Some(_))) => ("(a fork, no message yet)".into(), Look::Dim),
        ("", ..) => ("(no message yet)".into(), Look::Dim),
        (label, ..) => (label.into(), Look::Plain),
    }
}

/// The table of sessions, whose title has half of the width before directory and branch have any.
fn sessions_table(most: usize) -> Table {
    Table::new()
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

fn sessions_row(session: &Session<'_>, now: Timestamp) -> [Cell; 5] {
    // The status is known only with --full, and most sessions are idle.
    let (mark, mark_look) = match (session.archived_at.is_some(), session.is_subagent(), session.status) {
        (true, ..) => ("archived: ", Look::Dim),
        (_, true, _) => ("subagent: ", Look::Dim),
        (.., Some(Status::Running)) => ("running: ", Look::Running),
        (.., Some(Status::Interrupted)) => ("interrupted: ", Look::Interrupted),
        (.., Some(Status::Failed)) => ("failed: ", Look::Failed),
        _ => ("", Look::Plain),
    };
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

/// The table of chosen fields, of which the widest becomes narrower first.
fn fields_table(fields: &[Field]) -> Table {
    let cut = |field| match field {
        Field::Id | Field::Parent | Field::ForkedFrom => Cut::Id,
        Field::Cwd | Field::RolloutPath => Cut::Front,
        _ => Cut::Back,
    };
    fields.iter().fold(Table::new(), |table, field| {
        table.column(field.name().to_uppercase(), Look::Plain).cut(cut(*field))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::width;

    #[test]
    fn tables_fit() {
        let lines = |most: usize| {
            let mut table = sessions_table(most);
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
            let mut table = fields_table(&[Field::Id, Field::Title, Field::Cwd]);
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
    }
}
