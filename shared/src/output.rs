//! How sessions are shown: records, a table fitted to the terminal, TAB-separated rows, or a
//! template of the user's.
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
use crate::record::{Chosen, Field, Session, Status, Value};
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
    /// Reads a template. The names in braces are checked by `known`.
    pub fn parse(text: &str, known: impl Fn(&str) -> Result<()>) -> Result<Template> {
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
                        let what = other.map_or("the end".to_owned(), |letter| format!("'\\{letter}'"));
                        return Err(Error::usage(format!("cannot read {what} in the template"))
                            .hint("escapes: \\t \\n \\0 \\\\ \\{ \\}"));
                    }
                },
                '{' => {
                    let Some((name, rest)) = letters.as_str().split_once('}') else {
                        let what = letters.as_str();
                        return Err(Error::usage(format!(
                            "cannot read '{{{what}' in the template: no brace closes it"
                        ))
                        .hint("\\{ prints a brace"));
                    };
                    letters = rest.chars();
                    known(name)?;
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Field(name.to_owned()));
                }
                other => plain.push(other),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Template(pieces))
    }

    /// The names in braces.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Field(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Fills the template in. `raw` leaves values as they are, which only a row that ends in NUL
    /// allows; otherwise they are escaped, or, for a terminal, made harmless.
    pub fn fill(&self, raw: bool, mut value: impl FnMut(&str) -> String) -> String {
        let terminal = is_terminal();
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(name) => {
                    let value = value(name);
                    match (raw, terminal) {
                        (true, false) => out.push_str(&without_nul(&value)),
                        (_, true) => out.push_str(&harmless(&value)),
                        (false, false) => out.push_str(&tsv(&value)),
                    }
                }
            }
        }
        out
    }
}

/// What a user asked for.
#[derive(Default)]
pub struct Shape {
    /// Records.
    pub json: bool,
    /// These fields, in this order.
    pub fields: Option<Vec<Field>>,
    /// This template.
    pub template: Option<Template>,
    /// Rows end in NUL, and nothing in them is escaped.
    pub nul: bool,
    /// Colours.
    pub color: Color,
}

impl Shape {
    /// The fields that will be shown, for the index to look at no others.
    pub fn needed(&self) -> Vec<Field> {
        if let Some(template) = &self.template {
            return template.names().filter_map(|name| Field::parse(name).ok()).collect();
        }
        match &self.fields {
            Some(fields) => fields.clone(),
            // What costs a look into the rollout is left out unless asked for.
            None if self.json => Field::LISTED.to_vec(),
            None => {
                vec![
                    Field::Id,
                    Field::UpdatedAt,
                    Field::Cwd,
                    Field::Name,
                    Field::Title,
                    Field::Branch,
                    Field::Source,
                ]
            }
        }
    }
}

/// Writes sessions in a shape.
pub struct Sessions {
    output: Output,
    shape: Shape,
    table: Option<Table>,
    now: Timestamp,
}

impl Sessions {
    /// Writes to standard output.
    pub fn new(shape: Shape) -> Sessions {
        let has_rows = is_terminal() && !shape.json && !shape.nul;
        let table = match &shape.fields {
            _ if !has_rows || shape.template.is_some() => None,
            Some(fields) => Some(fields_table(fields)),
            None => Some(sessions_table(columns())),
        };
        Sessions { output: Output::stdout(), shape, table, now: Timestamp::now() }
    }

    /// Writes one session.
    pub fn write(&mut self, session: &Session<'_>) -> Result<()> {
        if let (Some(table), None) = (&mut self.table, &self.shape.fields) {
            // What it is doing is known with --full alone; idle is what all are unless something is said.
            let mark = match (session.archived_at.is_some(), session.is_subagent(), session.status) {
                (true, ..) => "archived: ",
                (_, true, _) => "subagent: ",
                (.., Some(Status::Running)) => "running: ",
                (.., Some(Status::Interrupted)) => "interrupted: ",
                (.., Some(Status::Failed)) => "failed: ",
                _ => "",
            };
            let branch = session.git.as_ref().and_then(|git| git.branch.as_deref()).unwrap_or("");
            let (label, look) = label(session);
            table.row([
                session.id.map(crate::record::Id::short).unwrap_or_default().into(),
                session.updated_at.map(|at| at.age(self.now)).unwrap_or_default().into(),
                session.cwd.as_deref().unwrap_or("").into(),
                branch.into(),
                Cell::looking(format!("{mark}{label}"), look),
            ]);
            return Ok(());
        }
        let shape = &self.shape;
        let end: &[u8] = if shape.nul { b"\0" } else { b"\n" };
        let value = |name: &str| {
            let value = Field::parse(name).ok().and_then(|field| session.value(field));
            value.map(|value| value.to_string()).unwrap_or_default()
        };
        if let Some(template) = &shape.template {
            return self.output.text(template.fill(shape.nul, value).as_bytes(), end);
        }
        if let (Some(table), Some(fields)) = (&mut self.table, &shape.fields) {
            table.row(fields.iter().map(|field| match session.value(*field) {
                Some(Value::Time(at)) => at.age(self.now),
                _ => value(field.name()),
            }));
            return Ok(());
        }
        match (&shape.fields, shape.json) {
            (Some(fields), true) => self.output.record(&Chosen { session, fields }),
            (None, true) => self.output.line(|out| session.write_json(out)),
            (fields, false) => {
                let mut row = String::new();
                let cells: Vec<String> = match fields {
                    Some(fields) => fields.iter().map(|field| value(field.name())).collect(),
                    None => vec![value("id"), value("updated_at"), value("cwd"), session.label().to_owned()],
                };
                for (at, text) in cells.iter().enumerate() {
                    if at > 0 {
                        row.push('\t');
                    }
                    match (shape.nul, is_terminal()) {
                        (_, true) => row.push_str(&harmless(text)),
                        (true, false) => row.push_str(&without_nul(text)),
                        (false, false) => row.push_str(&tsv(text)),
                    }
                }
                self.output.text(row.as_bytes(), end)
            }
        }
    }

    /// Writes one record that is not ours to change.
    pub fn record(&mut self, record: &impl serde::Serialize) -> Result<()> {
        self.output.record(record)
    }

    /// Writes what is collected. A reader that is gone is an error, also where there is nothing to write.
    pub fn flush(&mut self) -> Result<()> {
        self.output.flush_now()
    }

    /// Writes the table, if it is one, and hands everything on.
    pub fn finish(mut self) -> Result<()> {
        if let Some(table) = self.table {
            table.write(&mut self.output, self.shape.color.is_on())?;
        }
        self.output.flush()
    }
}

/// A value of a row that ends in NUL: one inside it would end the row early.
fn without_nul(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// What to call a session on a terminal, where nothing at all would look like a fault.
fn label<'s>(session: &'s Session<'_>) -> (Cow<'s, str>, Look) {
    match (session.label(), &session.parent_title, session.forked_from) {
        ("", Some(text), _) => (format!("fork of {text}").into(), Look::Dim),
        ("", None, Some(Some(_))) => ("(a fork, no message yet)".into(), Look::Dim),
        ("", ..) => ("(no message yet)".into(), Look::Dim),
        (label, ..) => (label.into(), Look::Plain),
    }
}

/// The table of sessions: directory and branch give way before the title does.
fn sessions_table(most: usize) -> Table {
    Table::new()
        .column("ID", Look::Id)
        .column("UPDATED", Look::Dim)
        .column("DIRECTORY", Look::Plain)
        .cut(Cut::Front)
        .most(most * 3 / 10)
        .optional(3, 8)
        .column("BRANCH", Look::Dim)
        .most((most / 6).min(20))
        .optional(2, 8)
        .column("TITLE", Look::Plain)
        .gives_way(1, most * 2 / 5)
}

/// The table of chosen fields, of which the widest gives way first.
fn fields_table(fields: &[Field]) -> Table {
    fields.iter().fold(Table::new(), |table, field| {
        table.column(field.name().to_uppercase(), Look::Plain).cut(cut(*field))
    })
}

fn cut(field: Field) -> Cut {
    match field {
        Field::Id | Field::Parent | Field::ForkedFrom => Cut::Id,
        Field::Cwd | Field::RolloutPath => Cut::Front,
        _ => Cut::Back,
    }
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
