//! A TOML document as names and values with their positions, for the configuration of codex-agent and of Codex.
//!
//! All problems of a document are found in one pass, each with its position, and the valid entries are returned
//! too. Tables nest no deeper than the parser allows, so that no document can exhaust the stack.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A name with its value.
#[derive(Debug)]
pub struct TomlEntry {
    /// The name without its table.
    pub name: String,
    /// The byte at which the name begins.
    pub at: usize,
    /// The byte at which the value begins.
    pub value_at: usize,
    /// The byte after the value.
    pub value_end: usize,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Debug, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A whole number; `None` if it does not fit.
    Number(Option<i64>),
    /// An array that has only strings.
    Texts(Vec<String>),
    /// A table, in the order of the document.
    Table(Vec<TomlEntry>),
    /// Any other value, by the name of its type.
    Other(&'static str),
}

impl PartialEq for TomlEntry {
    fn eq(&self, other: &TomlEntry) -> bool {
        (&self.name, &self.value) == (&other.name, &other.value)
    }
}

impl Value {
    /// The name of the type, for a message.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Number(_) => "a number",
            Value::Texts(_) => "an array",
            Value::Table(_) => "a table",
            Value::Other(name) => name,
        }
    }

    /// Whether a string of the value has a NUL.
    pub fn has_nul(&self) -> bool {
        match self {
            Value::Text(text) => text.contains('\0'),
            Value::Texts(texts) => texts.iter().any(|text| text.contains('\0')),
            _ => false,
        }
    }
}

/// The reason why a value is invalid.
#[derive(Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The expected type, and the type found.
    Type(&'static str, &'static str),
    /// An invalid value of the right type: the reason.
    Value(String),
}

impl<T: Into<String>> From<T> for Invalid {
    fn from(why: T) -> Invalid {
        Invalid::Value(why.into())
    }
}

/// Parses a document: its entries, and its errors with the byte of each.
pub fn parse(text: &str) -> (Vec<TomlEntry>, Vec<(usize, String)>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let fault = |error: toml::de::Error| {
        // An error without a span is at the end of the text.
        let at = error.span().map_or(text.len(), |span| span.start);
        (at, error.message().replace('`', "'"))
    };
    let mut faults: Vec<(usize, String)> = errors.into_iter().map(fault).collect();
    // The parser reports each unclosed bracket separately, all at the end of the text.
    faults.sort();
    faults.dedup();
    (entries(table.get_ref()), faults)
}

fn entries(table: &DeTable<'_>) -> Vec<TomlEntry> {
    let entry = |(name, found): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| TomlEntry {
        name: name.get_ref().to_string(),
        at: name.span().start,
        value_at: found.span().start,
        value_end: found.span().end,
        value: value(found.get_ref()),
    };
    let mut entries: Vec<TomlEntry> = table.iter().map(entry).collect();
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

/// A top-level string of a document. A malformed document and a value of another type are errors.
pub fn top_level_text(document: &str, name: &str) -> Result<Option<String>, String> {
    let (entries, faults) = parse(document);
    if let Some((_, why)) = faults.into_iter().next() {
        return Err(why);
    }
    match entries.into_iter().find(|entry| entry.name == name).map(|entry| entry.value) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(other) => Err(format!("expected a string, found {}", other.type_name())),
    }
}

/// A position in a text, as editors count it: lines and characters from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextPosition {
    /// The line.
    pub line: usize,
    /// The character of the line.
    pub column: usize,
}

/// Converts byte offsets to positions.
pub struct TextPositions<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> TextPositions<'t> {
    /// The positions of a text.
    pub fn new(text: &'t str) -> TextPositions<'t> {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        TextPositions { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// The position of a byte.
    pub fn at(&self, byte: usize) -> TextPosition {
        let byte = byte.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.as_bytes().get(start..byte).unwrap_or_default();
        // Each character has one byte that does not continue another.
        let column = before.iter().filter(|byte| **byte & 0xc0 != 0x80).count() + 1;
        TextPosition { line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_characters() {
        let text = "a = 1\nüü = x\n";
        let positions = TextPositions::new(text);
        assert_eq!(positions.at(0), TextPosition { line: 1, column: 1 });
        assert_eq!(positions.at(text.find('x').unwrap()), TextPosition { line: 2, column: 6 });
        assert_eq!(positions.at(9999), TextPosition { line: 3, column: 1 });
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
            ["s", "f", "m", "b", "t"].map(|name| of(name).type_name()),
            ["a string", "a number with a point", "an array", "true or false", "a table"]
        );
        assert_eq!(top_level_text("a = 's'", "a"), Ok(Some("s".to_owned())));
        assert_eq!(top_level_text("a = 's'", "b"), Ok(None));
        assert!(top_level_text("a = 1", "a").unwrap_err().contains("expected a string, found a number"));
        assert!(top_level_text("a = ", "a").is_err());
        // Deep nesting is refused by the parser, not by the stack.
        assert!(!parse(&format!("a = {}", "[".repeat(100_000))).1.is_empty());
        assert!(!parse(&format!("{}a = 1", "a.".repeat(100_000))).1.is_empty());
    }
}
