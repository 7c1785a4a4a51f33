//! The names of types and fields: the package has schemas for its own, and those of another tool need a dot.

use std::collections::BTreeMap;

use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::plugin::{TOOLS, reserved_words};
use codex_agent_shared::schema::instance::example;
use codex_agent_shared::schema::{WRITTEN, each};
use codex_agent_shared::store::RawObject;
use serde_json::Value;
use serde_json::value::RawValue;

/// The schemas of the records of this package, by their type.
pub(super) fn schemas() -> Result<BTreeMap<String, Value>> {
    let all = each(WRITTEN)?.into_iter();
    let invalid = |error| Error::new(format!("cannot parse the built-in JSON Schemas: {error}"));
    all.map(|schema| Ok((schema.name, serde_json::from_str(&schema.text).map_err(invalid)?))).collect()
}

/// An example record of a type of this package, made from its schema.
pub(super) fn example_of(kind: &str) -> Result<Option<String>> {
    Ok(schemas()?.get(kind).map(|schema| example(schema).to_string()))
}

/// Whether a word is reserved for this package, now or in a later release: it cannot be the name of an external tool, nor
/// stand before the first dot of a type or a field of one.
pub(super) fn is_reserved(word: &str) -> Result<bool> {
    let begins = |kind: &String| kind.split('.').next() == Some(word);
    Ok(TOOLS.iter().any(|(tool, ..)| *tool == word)
        || reserved_words().any(|reserved| reserved == word)
        || schemas()?.keys().any(begins))
}

/// The reason, as a clause, why a type or a field cannot be of an external tool.
pub(super) fn name_problem(name: &str) -> Result<Option<String>> {
    let Some((first, _)) = name.split_once('.') else {
        return Ok(Some("does not begin with the name of the tool and a dot".to_owned()));
    };
    Ok(is_reserved(first)?.then(|| format!("begins with '{first}.', which is reserved for codex-agent")))
}

/// The type of a record.
pub(super) fn kind(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).ok()?;
    value.get("type")?.as_str().map(str::to_owned)
}

/// The names of the fields of a record, in their order; a field that is written twice has two.
pub(super) fn field_names(line: &str) -> Vec<String> {
    let object = serde_json::from_str::<&RawValue>(line);
    object.map(|object| RawObject::entries(object).map(|(name, _)| name).collect()).unwrap_or_default()
}

/// A field that is written twice in a record.
pub(super) fn duplicate_field(line: &str) -> Option<String> {
    let mut names = field_names(line);
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_package_are_reserved_and_others_are_not() {
        let of_types: Vec<String> = schemas().unwrap().into_keys().collect();
        let first: Vec<&str> = of_types.iter().filter_map(|kind| kind.split('.').next()).collect();
        let reserved: Vec<&str> = reserved_words().collect();
        for word in [&reserved[..], &TOOLS.map(|(name, ..)| name), &first].concat() {
            assert!(is_reserved(word).unwrap(), "{word}");
        }
        for word in ["where", "uniq", "team-report", "sessions", "job-report", "x"] {
            assert!(!is_reserved(word).unwrap(), "{word}");
        }
        assert_eq!(name_problem("where.state").unwrap(), None);
    }

    #[test]
    fn a_field_that_is_written_twice_is_found() {
        assert_eq!(duplicate_field(r#"{"type":"x","a.b":1,"c":{"a.b":1},"a.b":2}"#).as_deref(), Some("a.b"));
        assert_eq!(duplicate_field(r#"{"type":"x","a.b":1,"c":{"a.b":1,"type":2}}"#), None);
        assert_eq!(duplicate_field("[1]"), None);
    }
}
