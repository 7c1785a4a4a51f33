//! Validates every record that passes through a [`World`] against its schema.
//!
//! The schemas are the checked in ones, and who reads them is not of this project.
//!
//! [`World`]: crate::world::World

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use codex_agent_shared::schema::{READ, WRITTEN, each};
use jsonschema::Validator;
use serde_json::Value;

use crate::world::bin;

/// How a record is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum As {
    /// Written by a tool of today, which leaves nothing out.
    Today,
    /// Written by a tool of this or of an older release: the schema as it is published.
    Ever,
    /// Written with only the fields that were named.
    Chosen,
    /// About to be read.
    Read,
}

/// The schemas of one kind, each ready for use.
fn validators(how: As) -> &'static HashMap<String, Validator> {
    static ALL: [OnceLock<HashMap<String, Validator>>; 4] = [const { OnceLock::new() }; 4];
    ALL[how as usize].get_or_init(|| {
        let all = each(if how == As::Read { READ } else { WRITTEN }).unwrap();
        let ready = all.into_iter().map(|schema| {
            let mut text: Value = serde_json::from_str(&schema.text).unwrap();
            match how {
                As::Today => require_late(&mut text),
                As::Chosen => drop(text.as_object_mut().unwrap().remove("required")),
                As::Ever | As::Read => {}
            }
            let options = jsonschema::options().should_validate_formats(true);
            (schema.name.clone(), options.build(&text).unwrap_or_else(|e| panic!("{}: {e}", schema.name)))
        });
        ready.collect()
    })
}

/// Today's tools always write the fields of later releases.
pub fn require_late(schema: &mut Value) {
    let late: Vec<Value> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, property)| property.get("x-since").is_some())
        .map(|(name, _)| name.as_str().into())
        .collect();
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(required)) = members.get_mut("required") {
                required.extend(late);
            }
            members.values_mut().for_each(require_late);
        }
        Value::Array(items) => items.iter_mut().for_each(require_late),
        _ => {}
    }
}

/// Why a record does not fit the schema of its type; `None` where it fits.
pub fn find_mismatch(record: &Value, how: As) -> Option<String> {
    let kind = record["type"].as_str().unwrap_or_default();
    let Some(validator) = validators(how).get(kind) else { return Some(format!("no schema of '{kind}'")) };
    let errors: Vec<String> =
        validator.iter_errors(record).map(|error| format!("{}: {error}", error.instance_path())).collect();
    (!errors.is_empty()).then(|| errors.join("; "))
}

/// The types that a tool declares as its output.
fn declared_types(program: &str) -> HashSet<String> {
    static TYPES: OnceLock<Mutex<HashMap<String, HashSet<String>>>> = OnceLock::new();
    let mut declared_types = TYPES.get_or_init(Mutex::default).lock().unwrap();
    let ask = || {
        let output = std::process::Command::new(bin(program)).args(["--generate", "describe"]).output();
        let record: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        record["writes"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap().to_owned()).collect()
    };
    declared_types.entry(program.to_owned()).or_insert_with(ask).clone()
}

/// Holds all records of an output to their schemas. What stands in the input as it is, was not written
/// by the tool.
pub fn hold(words: &[String], input: &str, out: &str) {
    let Some(program) = Path::new(&words[0]).file_name().and_then(|name| name.to_str()) else { return };
    if !program.starts_with("codex-agent") || program == "codex-agent-demo" || !out.contains("{\"type\":\"") {
        return;
    }
    let given: HashSet<&str> = input.lines().map(|line| line.trim_end_matches('\r')).collect();
    let has = |flag: &str| words.iter().any(|word| word == flag || word.starts_with(&format!("{flag}=")));
    let has_list = words.iter().any(|word| word.starts_with("--json="));
    let how = if has("--fields") || has_list { As::Chosen } else { As::Today };
    // Behind the dispatcher an external tool may have written anything.
    let is_known = |kind: &str| validators(As::Ever).contains_key(kind) || program != "codex-agent";
    for line in out.lines().filter(|line| line.starts_with('{') && !given.contains(line)) {
        let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
        let Some(kind) = record["type"].as_str().filter(|kind| is_known(kind)) else { continue };
        if let Some(why) = find_mismatch(&record, how) {
            panic!("{words:?} printed a record that does not fit its schema: {why}\n{line}");
        }
        let describes = program == "codex-agent" || has("--generate");
        assert!(
            describes || declared_types(program).contains(kind),
            "{program} does not say that it writes '{kind}'"
        );
    }
}

/// Validates the journal of each run in a directory.
pub fn hold_journals(runs: &Path) {
    for run in std::fs::read_dir(runs).into_iter().flatten().flatten() {
        let path = run.path().join("journal.ndjson");
        let text = std::fs::read(&path).unwrap_or_default();
        for line in text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            let record: Value = serde_json::from_slice(line).unwrap_or_else(|e| panic!("{e}: {path:?}"));
            if let Some(why) = find_mismatch(&record, As::Today) {
                panic!("a line in {path:?} does not fit its schema: {why}\n{record}");
            }
        }
    }
}
