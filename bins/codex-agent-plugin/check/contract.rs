//! The names of types and fields: those of the package, with their schemas, and those of a tool, which need a dot.

use std::collections::BTreeMap;
use std::fmt;

use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::plugin::{RESERVED, TOOLS};
use codex_agent_shared::schema::instance::example;
use codex_agent_shared::schema::{WRITTEN, each};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// The schemas of the records of this package, by their type.
pub(super) fn schemas() -> Result<BTreeMap<String, Value>> {
    let all = each(WRITTEN)?.into_iter();
    let invalid = |error| Error::new(format!("cannot read the schemas: {error}"));
    all.map(|schema| Ok((schema.name, serde_json::from_str(&schema.text).map_err(invalid)?))).collect()
}

/// An example of a type of this package, made from its schema.
pub(super) fn made_up(kind: &str) -> Result<Option<String>> {
    Ok(schemas()?.get(kind).map(|schema| example(schema).to_string()))
}

/// Whether a word is one of this package, now or in a release to come: no name of an external tool, and not
/// what stands before the first dot of its types and fields.
pub(super) fn is_reserved(word: &str) -> Result<bool> {
    let of_a_type = |kind: &String| kind.split('.').next() == Some(word);
    Ok(TOOLS.iter().any(|(tool, ..)| *tool == word)
        || RESERVED.contains(&word)
        || schemas()?.keys().any(of_a_type))
}

/// Why a type or a field cannot be a tool's own, in a clause.
pub(super) fn no_own_name(name: &str) -> Result<Option<String>> {
    let Some((first, _)) = name.split_once('.') else {
        return Ok(Some("has no dot in it, and the name of the tool before it".to_owned()));
    };
    Ok(is_reserved(first)?.then(|| format!("begins with '{first}.', which is reserved for codex-agent")))
}

/// The type of a record.
pub(super) fn kind(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).ok()?;
    value.get("type")?.as_str().map(str::to_owned)
}

/// The names of the fields of a record, in their order and as often as they are there.
pub(super) struct Names(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Names, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Names, M::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// The field that a line has twice.
pub(super) fn twice(line: &str) -> Option<String> {
    let mut names = serde_json::from_str::<Names>(line).ok()?.0;
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_package_are_reserved_and_others_are_not() {
        let of_types: Vec<String> = schemas().unwrap().into_keys().collect();
        let first = of_types.iter().filter_map(|kind| kind.split('.').next());
        for word in RESERVED.into_iter().chain(TOOLS.map(|(name, ..)| name)).chain(first) {
            assert!(is_reserved(word).unwrap(), "{word}");
        }
        for word in ["where", "uniq", "team-report", "sessions", "job-report", "x"] {
            assert!(!is_reserved(word).unwrap(), "{word}");
        }
        assert_eq!(no_own_name("where.state").unwrap(), None);
    }

    #[test]
    fn a_field_that_is_there_twice_is_found() {
        assert_eq!(twice(r#"{"type":"x","a.b":1,"c":{"a.b":1},"a.b":2}"#).as_deref(), Some("a.b"));
        assert_eq!(twice(r#"{"type":"x","a.b":1,"c":{"a.b":1,"type":2}}"#), None);
        assert_eq!(twice("[1]"), None);
    }
}
