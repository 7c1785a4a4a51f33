//! Listings of records of any type: a table, TAB-separated rows, chosen fields, a template, or records.

use serde::Serialize;
use serde_json::Value;

use super::{Shape, column_of, row};
use crate::error::{Error, Result};
use crate::host::serving;
use crate::ndjson::Output;
use crate::terminal::{Cell, Look, Table, page};
use crate::time::Timestamp;

/// The form of one record where no fields were chosen.
pub struct Rows<P, T> {
    /// The cells of a TAB-separated row.
    pub plain: P,
    /// The cells of the table.
    pub table: T,
}

/// Writes records in a form.
///
/// A tool names neither the fields of its records nor their values: a record is serialised, and the fields are looked
/// up in it.
pub struct Listing {
    output: Output,
    shape: Shape,
    table: Table,
    left: Option<usize>,
    /// The present time, for ages.
    pub now: Timestamp,
}

impl Listing {
    /// Writes to standard output, in `table` where a table is written.
    pub fn new(shape: Shape, table: Table) -> Listing {
        if !shape.no_pager {
            page();
        }
        let table = match &shape.fields {
            Some(names) => names.iter().fold(Table::new(), |table, name| column_of(table, name)),
            None => table,
        };
        Listing { output: Output::stdout(), left: shape.limit, shape, table, now: Timestamp::now() }
    }

    /// Whether a table is written, or rows of chosen fields in one.
    pub fn is_table(&self) -> bool {
        self.shape.is_table()
    }

    /// Writes a line above the table. It is left out where there is no table, or a table of chosen fields.
    pub fn heading(&mut self, line: &str) -> Result<()> {
        match self.is_table() && self.shape.fields.is_none() {
            true => self.output.text(line.as_bytes(), b"\n"),
            false => Ok(()),
        }
    }

    /// Writes a record, unless the limit is reached. `more` has values that rows and templates have besides the fields
    /// of the record, or instead of them.
    pub fn add(
        &mut self,
        record: &impl Serialize,
        more: &[(&str, &str)],
        rows: Rows<impl FnOnce() -> Vec<String>, impl FnOnce(Timestamp) -> Vec<Cell>>,
    ) -> Result<()> {
        match &mut self.left {
            Some(0) => return Ok(()),
            Some(left) => *left -= 1,
            None => {}
        }
        let shape = &self.shape;
        let end: &[u8] = if shape.nul { b"\0" } else { b"\n" };
        if shape.fields.is_none() && shape.template.is_none() {
            if shape.json {
                return self.output.record(record);
            }
            if shape.is_table() {
                self.table.row((rows.table)(self.now));
                return Ok(());
            }
            let cells = (rows.plain)();
            return self.output.text(row(cells.into_iter(), shape.nul).as_bytes(), end);
        }
        let record = serde_json::to_value(record).map_err(Error::of_output)?;
        let value = |name: &str| match more.iter().find(|(other, _)| *other == name) {
            Some((_, text)) => Value::String((*text).to_owned()),
            None => match (lookup(&record, name), serving()) {
                (Some(value), _) => value.clone(),
                (None, Some(request)) if name == "host" => request.host.clone().into(),
                (None, _) => Value::Null,
            },
        };
        if let Some(template) = &shape.template {
            let text = template.fill(shape.nul, |name| text_of(&value(name)));
            return self.output.text(text.as_bytes(), end);
        }
        let names: Vec<&str> = shape.fields.iter().flatten().map(String::as_str).collect();
        if shape.json {
            return self.output.record(&Picked(&record, &names, &value));
        }
        if shape.is_table() {
            self.table.row(names.iter().map(|name| cell_of(name, &value(name), self.now)));
            return Ok(());
        }
        let text = row(names.iter().map(|name| text_of(&value(name))), shape.nul);
        self.output.text(text.as_bytes(), end)
    }

    /// Writes a last row of a table that is no record, such as sums.
    pub fn sum(&mut self, cells: Vec<Cell>) {
        if self.is_table() && self.shape.fields.is_none() {
            self.table.row(cells);
        }
    }

    /// Writes the buffer. A closed pipe is an error even if the buffer is empty.
    pub fn flush(&mut self) -> Result<()> {
        self.output.flush_checked()
    }

    /// Writes the table, if there is one, and the buffer.
    pub fn finish(mut self) -> Result<()> {
        // Colours are configured in a file, which a list in a pipe does not need.
        if self.is_table() {
            self.table.write(&mut self.output, self.shape.color.is_on())?;
        }
        self.output.flush()
    }
}

/// A record with only the chosen fields, and its type.
struct Picked<'r>(&'r Value, &'r [&'r str], &'r dyn Fn(&str) -> Value);

impl Serialize for Picked<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Picked(record, names, value) = self;
        let is_first = |(at, name): &(usize, &&str)| **name != "type" && !names[..*at].contains(*name);
        let fields = names.iter().enumerate().filter(is_first).map(|(_, name)| (*name, value(name)));
        let kind = record.get("type").cloned().unwrap_or_default();
        serializer.collect_map(std::iter::once(("type", kind)).chain(fields))
    }
}

/// The value of a field: a member of this name, or one of an object in the record, behind a dot.
pub(super) fn lookup<'v>(record: &'v Value, name: &str) -> Option<&'v Value> {
    let inside =
        || name.match_indices('.').find_map(|(at, _)| lookup(record.get(&name[..at])?, &name[at + 1..]));
    record.get(name).or_else(inside)
}

/// The text of a value: nothing for null, and JSON for a value with parts.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value in a table: the age of a time, the colour of a state.
pub(super) fn cell_of(name: &str, value: &Value, now: Timestamp) -> Cell {
    let time = || Timestamp::parse(value.as_str().filter(|_| name.ends_with("_at"))?);
    match value {
        Value::Number(number) => Cell::number(number),
        Value::String(word) if matches!(name, "state" | "status") => Cell::state(word.as_str()),
        Value::Bool(false) => Cell::with_look("false", Look::Dim),
        other => time().map_or_else(|| text_of(other), |at| at.age(now)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_looked_up_by_their_paths() {
        let record = serde_json::json!({"a": {"b": {"c": 1}, "x.y": 2}, "where.state": "gone", "n": null});
        let text = |name: &str| lookup(&record, name).map(text_of);
        assert_eq!(text("a.b.c").as_deref(), Some("1"));
        assert_eq!(text("a.x.y").as_deref(), Some("2"));
        assert_eq!(text("where.state").as_deref(), Some("gone"));
        assert_eq!(text("a.b").as_deref(), Some("{\"c\":1}"));
        assert_eq!(text("n").as_deref(), Some(""));
        assert_eq!((text("a.c"), text(""), text(".")), (None, None, None));
    }
}
