//! Types and fields of a tool's own, which need a dot, and records of the package, which fit their schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::plugin::{RESERVED, TOOLS};
use codex_agent_shared::schema::instance::{example, misfit};
use codex_agent_shared::schema::{WRITTEN, each};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::Seen;
use super::bench::{Bench, kind};
use super::pipe::{without_filter, written};

/// The schemas of the records of this package, by their type.
pub(super) fn schemas() -> Result<BTreeMap<String, Value>> {
    let all = each(WRITTEN)?.into_iter();
    let invalid = |error| Error::new(format!("cannot read the schemas: {error}"));
    all.map(|schema| Ok((schema.name, serde_json::from_str(&schema.text).map_err(invalid)?))).collect()
}

/// A record of a type of this package that nothing has made here.
pub(super) fn made_up(kind: &str) -> Result<Option<String>> {
    Ok(schemas()?.get(kind).map(|schema| example(schema).to_string()))
}

/// Whether a word is one of this package, now or in a release to come: no name of an external tool, and not
/// what stands before the first dot of its types and fields.
pub(super) fn is_reserved(word: &str) -> Result<bool> {
    let of_a_type = |kind: &String| kind.split('.').next() == Some(word);
    Ok(TOOLS.iter().any(|(tool, _)| *tool == word)
        || RESERVED.contains(&word)
        || schemas()?.keys().any(of_a_type))
}

/// Why a type or a field cannot be a tool's own, in a clause.
fn no_own_name(name: &str) -> Result<Option<String>> {
    let Some((first, _)) = name.split_once('.') else {
        return Ok(Some("has no dot in it, and the name of the tool before it".to_owned()));
    };
    Ok(is_reserved(first)?.then(|| format!("begins with '{first}.', which is reserved for codex-agent")))
}

/// A type that the description names and that cannot be the tool's own.
pub(super) fn bad_type(bench: &Bench) -> Result<Option<String>> {
    let (known, reads) = (schemas()?, bench.reads());
    let writes = bench.description.iter().flat_map(|description| &description.writes);
    for kind in writes.filter(|kind| !known.contains_key(*kind) && !reads.contains(&kind.as_str())) {
        if let Some(why) = no_own_name(kind)? {
            return Ok(Some(format!("the type '{kind}' of its description {why}")));
        }
    }
    Ok(None)
}

/// A record of a type of this package that does not fit the schema. Records that came in such, with --input,
/// may go on such.
pub(super) fn unfit(bench: &Bench, records: &[Value]) -> Result<Option<String>> {
    let known = schemas()?;
    let fits = |record: &Value| {
        record["type"].as_str().and_then(|kind| known.get(kind)).and_then(|schema| misfit(schema, record))
    };
    let given = bench.samples.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let spared: BTreeSet<String> = given
        .filter(|record| fits(record).is_some())
        .filter_map(|record| record["type"].as_str().map(str::to_owned))
        .collect();
    Ok(records.iter().find_map(|record| {
        let kind = record["type"].as_str().filter(|kind| !spared.contains(*kind))?;
        fits(record)
            .map(|why| format!("a record of type '{kind}' that it wrote does not fit the schema: {why}"))
    }))
}

/// The names of the fields of a record, in their order and as often as they are there.
struct Names(Vec<String>);

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

pub(super) fn own_fields(bench: &Bench) -> Result<Seen> {
    if let Some(why_not) = without_filter(bench)? {
        return Ok(why_not);
    }
    let once = bench.fed(&bench.samples)?;
    let records = match written(&once) {
        Ok(records) => records,
        Err(why) => return Ok(Seen::Skipped(why)),
    };
    let (known, filters) = (schemas()?, bench.filters());
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in &bench.samples {
        let of_its_type = names.entry(kind(line).unwrap_or_default()).or_default();
        of_its_type.extend(serde_json::from_str::<Names>(line).map_or(Vec::new(), |names| names.0));
    }
    let mut own = BTreeSet::new();
    for record in &records {
        let kind = record["type"].as_str().filter(|kind| filters.contains(kind)).unwrap_or_default();
        let Some(given) = names.get(kind) else { continue };
        let described = |name: &str| known.get(kind).is_some_and(|of| of["properties"].get(name).is_some());
        let new = record.as_object().into_iter().flat_map(|fields| fields.keys());
        own.extend(new.filter(|name| !given.contains(*name) && !described(name)).cloned());
    }
    for name in &own {
        if let Some(why) = no_own_name(name)? {
            return Ok(Seen::Failed(format!("the field '{name}' that it added {why}")));
        }
    }
    // As in 'codex-agent NAME | codex-agent NAME': its own field is already there.
    let lines = |out: &[u8]| String::from_utf8_lossy(out).lines().map(str::to_owned).collect::<Vec<_>>();
    let first = lines(&once.out);
    let again = bench.fed(&first)?;
    Ok(match first.iter().chain(&lines(&again.out)).find_map(|line| twice(line)) {
        Some(name) => Seen::Failed(format!(
            "with its own output as input it wrote a record that has the field '{name}' twice"
        )),
        None if records.is_empty() => Seen::Skipped("it wrote no record".to_owned()),
        None if own.is_empty() => Seen::Ok("it adds none".to_owned()),
        None => Seen::Ok(own.into_iter().collect::<Vec<_>>().join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_package_are_reserved_and_others_are_not() {
        let of_types: Vec<String> = schemas().unwrap().into_keys().collect();
        let first = of_types.iter().filter_map(|kind| kind.split('.').next());
        for word in RESERVED.into_iter().chain(TOOLS.map(|(name, _)| name)).chain(first) {
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
