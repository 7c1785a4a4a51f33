//! JSON Schemas of the records, draft 2020-12, for programs that read the output of tools.
//!
//! The schemas are files of this package. They are generated from the types of the records (feature `schema`), and a
//! test compares them, so that no tool includes a generator.
//!
//! **Promise.** A required field is in every record of its type since the first release of the type. A field that was
//! added later is described and not required. Other fields are allowed, since fields are only added.
//!
//! ```
//! use codex_agent_shared::schema::{WRITTEN, each, find};
//!
//! let schemas = each(WRITTEN).unwrap();
//! assert_eq!(find(&schemas, "session", false).unwrap().name, "session");
//! assert!(find(&schemas, "sesion", false).is_err());
//! ```

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub mod instance;

use crate::error::{Error, Exit, Result};
use crate::store::RawObject;
use crate::text::nearest;

/// The schemas of all records that tools write, as one schema.
pub const WRITTEN: &str = include_str!("../schema/written.json");
/// The schemas of all records that tools read, as one schema.
pub const READ: &str = include_str!("../schema/read.json");

/// The indent of a schema in the schema of all records.
const MARGIN: &str = "    ";

/// The schema of one type.
#[derive(Debug)]
pub struct Schema {
    /// The name of the type.
    pub name: String,
    /// The summary of the type.
    pub about: String,
    /// The `$id`.
    pub id: String,
    /// The schema itself, with its last newline.
    pub text: String,
}

/// A type of records, and the id of its schema.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SchemaRecord<'s> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the type.
    name: &'s str,
    /// The summary of the type, one clause.
    about: &'s str,
    /// The $id of the schema.
    id: &'s str,
}

impl Schema {
    /// The record of this schema.
    pub fn record(&self) -> SchemaRecord<'_> {
        SchemaRecord { kind: "schema", name: &self.name, about: &self.about, id: &self.id }
    }
}

/// The schemas in the schema of all records, in their order.
pub fn each(all: &str) -> Result<Vec<Schema>> {
    #[derive(Deserialize)]
    struct All<'a> {
        #[serde(rename = "oneOf", borrow)]
        order: Vec<Reference<'a>>,
        #[serde(rename = "$defs", borrow)]
        schemas: std::collections::HashMap<&'a str, &'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Reference<'a> {
        #[serde(rename = "$ref")]
        to: &'a str,
    }
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "$id")]
        id: String,
        description: String,
    }
    let invalid = |error| Error::new(format!("cannot parse the built-in JSON Schemas: {error}"));
    let all: All<'_> = serde_json::from_str(all).map_err(invalid)?;
    let name = |reference: &Reference<'_>| reference.to.rsplit('/').next().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for name in all.order.iter().map(name) {
        let Some(schema) = all.schemas.get(name.as_str()) else { continue };
        let Head { id, description } = serde_json::from_str(schema.get()).map_err(invalid)?;
        let about = description.split(". ").next().unwrap_or_default().trim_end_matches('.').to_owned();
        let line = |line: &str| format!("{}\n", line.strip_prefix(MARGIN).unwrap_or(line));
        let text = schema.get().lines().map(line).collect();
        found.push(Schema { name, about, id, text });
    }
    Ok(found)
}

/// The names of the fields of records of a type, those in objects with dots: `counts.failed`.
pub fn fields(kind: &str) -> Vec<String> {
    // The order is that of the record.
    fn add(schema: &RawValue, before: &str, all: &mut Vec<String>) {
        for (key, inner) in RawObject::entries(schema) {
            match key.as_str() {
                "properties" => {
                    for (name, inner) in RawObject::entries(&inner) {
                        all.push(format!("{before}{name}"));
                        add(&inner, &format!("{before}{name}."), all);
                    }
                }
                "allOf" | "anyOf" | "oneOf" => {
                    let parts: Vec<Box<RawValue>> = serde_json::from_str(inner.get()).unwrap_or_default();
                    parts.iter().for_each(|part| add(part, before, all));
                }
                _ => {}
            }
        }
    }
    let mut all = Vec::new();
    let schemas = each(WRITTEN).unwrap_or_default();
    if let Some(schema) = schemas.iter().find(|schema| schema.name == kind) {
        let text: Option<&RawValue> = serde_json::from_str(&schema.text).ok();
        text.into_iter().for_each(|text| add(text, "", &mut all));
    }
    let mut seen = std::collections::HashSet::new();
    all.retain(|name| name != "type" && seen.insert(name.clone()));
    all
}

/// The schema of a type of written records, or of `read` ones. An error has the most similar type as a hint, or the
/// command that prints the schema of the other kind.
pub fn find<'s>(schemas: &'s [Schema], name: &str, read: bool) -> Result<&'s Schema> {
    let is_other = || {
        let other = each(if read { WRITTEN } else { READ });
        other.is_ok_and(|other| other.iter().any(|schema| schema.name == name))
    };
    schemas.iter().find(|schema| schema.name == name).ok_or_else(|| {
        let (kind, option, other, verb) = match read {
            true => (" that is read", " --read", "codex-agent schema", "write"),
            false => ("", "", "codex-agent schema --read", "read"),
        };
        let near = nearest(name, schemas.iter().map(|schema| schema.name.as_str()));
        let hint = match near.first() {
            _ if is_other() => format!("'{other} {name}' prints the schema of the records that tools {verb}"),
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("'codex-agent schema{option}' lists the types"),
        };
        Error::new(format!("there is no schema of the type '{name}'{kind}"))
            .hint(hint)
            .with_exit(Exit::Negative)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_schema_stands_alone() {
        for all in [WRITTEN, READ] {
            let schemas = each(all).unwrap();
            assert!(schemas.len() >= 3);
            for schema in schemas {
                assert!(schema.text.starts_with("{\n  \"$schema\""), "{}", schema.text);
                assert!(schema.text.ends_with("\n}\n"), "{}", schema.text);
                serde_json::from_str::<serde_json::Value>(&schema.text).unwrap();
                assert!(!schema.about.is_empty() && !schema.about.ends_with('.'), "{}", schema.about);
            }
        }
    }

    #[test]
    fn fields_have_their_paths() {
        let names = fields("run");
        assert!(names.starts_with(&["id".to_owned(), "kind".to_owned(), "name".to_owned()]), "{names:?}");
        assert!(names.contains(&"counts.failed".to_owned()), "{names:?}");
        assert!(fields("tool").contains(&"about".to_owned()));
        assert!(fields("nothing").is_empty());
    }

    #[test]
    fn the_error_for_an_unknown_type_names_the_most_similar() {
        let schemas = each(WRITTEN).unwrap();
        let error = find(&schemas, "sesion", false).unwrap_err();
        assert_eq!(error.exit(), Exit::Negative);
        assert_eq!(error.message(), "there is no schema of the type 'sesion'");
        assert!(find(&schemas, "job.failed", false).is_ok());
    }
}
