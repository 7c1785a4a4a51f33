//! A TOML document as names and values with their places, for our own configuration and for Codex's.
//!
//! What is wrong with a document is found all at once, each with its place; what can be read beside it is
//! given too. Tables nest no deeper than the parser allows, so that no document can exhaust the stack.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A name with its value.
#[derive(Debug)]
pub struct Entry {
    /// The name, without the table that it is in.
    pub name: String,
    /// Where the name begins, in bytes.
    pub at: usize,
    /// Where the value begins, in bytes.
    pub value_at: usize,
    /// The value.
    pub value: Value,
}

/// A value, as far as anybody here wants one.
#[derive(Debug, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A whole number; nothing where it is beyond all measure.
    Number(Option<i64>),
    /// An array of nothing but strings.
    Texts(Vec<String>),
    /// A table, in the order of the document.
    Table(Vec<Entry>),
    /// Anything else, by what it is called.
    Other(&'static str),
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (&self.name, &self.value) == (&other.name, &other.value)
    }
}

impl Value {
    /// What it is called in a message.
    pub fn called(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Number(_) => "a number",
            Value::Texts(_) => "an array",
            Value::Table(_) => "a table",
            Value::Other(called) => called,
        }
    }
}

/// Why a value cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// What was expected, and what it is called instead.
    Type(&'static str, &'static str),
    /// What is wrong with it although it is of the right type.
    Value(String),
}

impl From<&str> for Wrong {
    fn from(why: &str) -> Wrong {
        Wrong::Value(why.to_owned())
    }
}

impl From<String> for Wrong {
    fn from(why: String) -> Wrong {
        Wrong::Value(why)
    }
}

/// Reads a document: its entries, and what is wrong, with the byte that it is wrong at.
pub fn parse(text: &str) -> (Vec<Entry>, Vec<(usize, String)>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let fault = |error: toml::de::Error| {
        // Where something is missing at the end, the place is the end.
        let at = error.span().map_or(text.len(), |span| span.start);
        (at, error.message().replace('`', "'"))
    };
    let mut faults: Vec<(usize, String)> = errors.into_iter().map(fault).collect();
    // Of brackets that nobody closes each one would be told by itself, all of them at the end.
    faults.sort();
    faults.dedup();
    (entries(table.get_ref()), faults)
}

fn entries(table: &DeTable<'_>) -> Vec<Entry> {
    let entry = |(name, found): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| Entry {
        name: name.get_ref().to_string(),
        at: name.span().start,
        value_at: found.span().start,
        value: value(found.get_ref()),
    };
    let mut entries: Vec<Entry> = table.iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.at);
    entries
}

fn value(found: &DeValue<'_>) -> Value {
    match found {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Number(i64::from_str_radix(number.as_str(), number.radix()).ok()),
        DeValue::Array(values) => {
            let text = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
            values.iter().map(text).collect::<Option<_>>().map_or(Value::Other("an array"), Value::Texts)
        }
        DeValue::Table(table) => Value::Table(entries(table)),
        DeValue::Float(_) => Value::Other("a number with a point"),
        DeValue::Boolean(_) => Value::Other("true or false"),
        DeValue::Datetime(_) => Value::Other("a date"),
    }
}

/// A string at the top of a document, for who wants no more of it. A broken document and a value that is
/// no string are errors.
pub fn text_of(document: &str, name: &str) -> Result<Option<String>, String> {
    let (entries, faults) = parse(document);
    if let Some((_, why)) = faults.into_iter().next() {
        return Err(why);
    }
    match entries.into_iter().find(|entry| entry.name == name).map(|entry| entry.value) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(other) => Err(format!("expected a string, found {}", other.called())),
    }
}

/// A place in a text, as editors count it: lines and characters from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character of the line.
    pub column: usize,
}

/// Finds places by bytes.
pub struct Places<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Places<'t> {
    /// The places of a text.
    pub fn new(text: &'t str) -> Places<'t> {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Places { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// The place of a byte.
    pub fn of(&self, byte: usize) -> Place {
        let byte = byte.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.as_bytes().get(start..byte).unwrap_or_default();
        // Each character has one byte that does not continue another.
        let column = before.iter().filter(|byte| **byte & 0xc0 != 0x80).count() + 1;
        Place { line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_characters() {
        let text = "a = 1\nüü = x\n";
        let places = Places::new(text);
        assert_eq!(places.of(0), Place { line: 1, column: 1 });
        assert_eq!(places.of(text.find('x').unwrap()), Place { line: 2, column: 6 });
        assert_eq!(places.of(9999), Place { line: 3, column: 1 });
        let (entries, faults) = parse(text);
        assert_eq!((entries[0].name.as_str(), &entries[0].value), ("a", &Value::Number(Some(1))));
        assert!(!faults.is_empty());
    }

    #[test]
    fn values_are_told_apart() {
        let (entries, faults) =
            parse("s = 's'\nn = 0x10\nf = 1.5\nl = ['a', 'b']\nm = [1]\nb = true\n[t]\nx.y = 'z'\n");
        assert_eq!(faults, []);
        let of = |name: &str| &entries.iter().find(|entry| entry.name == name).unwrap().value;
        assert_eq!(of("n"), &Value::Number(Some(16)));
        assert_eq!(of("l"), &Value::Texts(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(
            ["s", "f", "m", "b", "t"].map(|name| of(name).called()),
            ["a string", "a number with a point", "an array", "true or false", "a table"]
        );
        assert_eq!(text_of("a = 's'", "a"), Ok(Some("s".to_owned())));
        assert_eq!(text_of("a = 's'", "b"), Ok(None));
        assert!(text_of("a = 1", "a").unwrap_err().contains("expected a string, found a number"));
        assert!(text_of("a = ", "a").is_err());
        // Deep nesting is refused by the parser, not by the stack.
        assert!(!parse(&format!("a = {}", "[".repeat(100_000))).1.is_empty());
        assert!(!parse(&format!("{}a = 1", "a.".repeat(100_000))).1.is_empty());
    }
}
