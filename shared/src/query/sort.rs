//! Orders of sessions.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::record::{Field, Needs, Session, Value};

/// Short names of the keys that are used most, and the meanings of these keys.
const SHORT: [(&str, Field, &str); 5] = [
    ("updated", Field::UpdatedAt, "the start of the last turn, the newest first"),
    ("created", Field::CreatedAt, "the start of the session, the newest first"),
    ("tokens", Field::TokensUsed, "the number of tokens used, the greatest first"),
    ("title", Field::Title, "the title"),
    ("cwd", Field::Cwd, "the working directory"),
];

/// An order of sessions: by a field, and where its values are equal by id, so that the order is total and repeatable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The field.
    pub field: Field,
    /// Whether the greatest value is first. Sessions without a value are last in either direction.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Sort { field: Field::UpdatedAt, descending: true }
    }
}

/// A value that can be compared with others of its field.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'s> {
    Number(i64),
    Text(Cow<'s, str>),
}

impl Sort {
    /// Parses `KEY`, `KEY:asc`, `KEY:desc` or `-KEY`, which is `KEY:desc`. A key is the name of a field, or a short name.
    /// By default times and numbers are descending, and texts ascending.
    pub fn parse(text: &str) -> Result<Sort> {
        let (word, direction) = match (text.strip_prefix('-'), text.split_once(':')) {
            (Some(key), None) => (key, Some("desc")),
            (_, Some((key, direction))) => (key, Some(direction)),
            (None, None) => (text, None),
        };
        let short = SHORT.iter().find(|(short, ..)| *short == word).map(|(_, field, _)| *field);
        let field = short.or_else(|| Field::parse(word).ok().filter(|field| has_order(*field)));
        let field = field.ok_or_else(|| {
            let keys: Vec<&str> = Sort::values().into_iter().map(|(key, _)| key).collect();
            Error::usage(format!("invalid value '{word}': unknown key")).hint(format!(
                "keys: {}; each may be followed by :asc or :desc, or follow '-', which means :desc",
                keys.join(" ")
            ))
        })?;
        let descending = match direction {
            None => is_greatest_first(field),
            Some("asc") => false,
            Some("desc") => true,
            Some(other) => {
                let message = format!("invalid value '{text}': unknown order '{other}'");
                return Err(Error::usage(message).hint("the order is asc or desc, as in updated:asc"));
            }
        };
        Ok(Sort { field, descending })
    }

    /// The keys, each with its meaning: the short names first, and then the names of fields.
    pub fn values() -> Vec<(&'static str, &'static str)> {
        let short = SHORT.iter().map(|(word, _, meaning)| (*word, *meaning));
        let fields = Field::ALL.iter().chain(Field::PARTS).filter(|field| has_order(**field));
        let names = fields.map(|field| (field.name(), "")).filter(|(name, _)| {
            // A short name may be that of the field.
            SHORT.iter().all(|(word, ..)| word != name)
        });
        short.chain(names).collect()
    }

    /// The parts of a session that the order compares.
    pub fn needs(self) -> Needs {
        self.field.needs()
    }

    /// Compares two sessions.
    pub fn compare(self, a: &Session<'_>, b: &Session<'_>) -> Ordering {
        fn order<T: Ord>(a: Option<T>, b: Option<T>, descending: bool) -> Ordering {
            match (a, b) {
                (Some(a), Some(b)) if descending => b.cmp(&a),
                (Some(a), Some(b)) => a.cmp(&b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            }
        }
        let descending = self.descending;
        match self.field {
            Field::UpdatedAt => order(a.updated_at, b.updated_at, descending),
            Field::CreatedAt => order(a.created_at, b.created_at, descending),
            Field::Id => Ordering::Equal,
            field => order(key(a, field), key(b, field), descending),
        }
        .then_with(|| order(a.id, b.id, descending))
    }
}

fn key<'s>(session: &'s Session<'_>, field: Field) -> Option<Key<'s>> {
    Some(match session.value(field)? {
        Value::Text(text) => Key::Text(text.into()),
        Value::Id(id) => Key::Text(id.to_string().into()),
        Value::Short(id) => Key::Text(id.short().into()),
        Value::Time(at) => Key::Number(at.0),
        Value::Number(number) => Key::Number(number),
        Value::Bool(is_set) => Key::Number(is_set.into()),
        Value::Null | Value::Subagent(_) | Value::Git(_) | Value::Argv(_) => return None,
    })
}

/// Whether sessions can be sorted by a field: a field with parts has no order, and a field of the rollout is known only
/// after the sessions were sorted.
fn has_order(field: Field) -> bool {
    !matches!(field, Field::Git | Field::Subagent) && !field.needs().has(Needs::ROLLOUT)
}

fn is_greatest_first(field: Field) -> bool {
    use Field::{ArchivedAt, CreatedAt, Pinned, TokensUsed, UpdatedAt};
    matches!(field, ArchivedAt | CreatedAt | Pinned | TokensUsed | UpdatedAt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Id;
    use crate::time::Timestamp;

    #[test]
    fn orders_are_total() {
        let session = |id: &str, updated| Session {
            id: Id::parse(&format!("01a202e0-8d5d-7d62-82ce-fdb2cd6d1b{id}")),
            updated_at: updated,
            ..Session::default()
        };
        let sort = Sort::parse("updated").unwrap();
        let mut list =
            [session("01", Some(Timestamp(1))), session("02", None), session("03", Some(Timestamp(1)))];
        list.sort_by(|a, b| sort.compare(a, b));
        let ids: Vec<String> = list.iter().map(|s| s.id.unwrap().short()).collect();
        assert_eq!(ids, ["cd6d1b03", "cd6d1b01", "cd6d1b02"]);
    }

    #[test]
    fn forms_of_a_key() {
        let parsed = |text| Sort::parse(text).unwrap();
        assert_eq!(parsed("updated_at"), parsed("updated"));
        assert_eq!(parsed("-updated_at"), parsed("updated:desc"));
        assert_eq!(parsed("-title"), parsed("title:desc"));
        assert_eq!(parsed("tokens_used:asc"), parsed("tokens:asc"));
        assert_eq!(parsed("git.branch"), parsed("branch"));
        assert!(!parsed("name").descending && parsed("archived_at").descending);
        for wrong in ["colour", "title:up", "-title:asc", "git", "status", "forked_from", "", "-", ":asc"] {
            assert!(Sort::parse(wrong).is_err(), "{wrong}");
        }
        let mut keys: Vec<&str> = Sort::values().into_iter().map(|(key, _)| key).collect();
        assert!(keys.iter().all(|key| Sort::parse(key).is_ok()));
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
