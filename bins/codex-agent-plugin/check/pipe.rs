//! The checks for tools that read records, write records, or do both: filters.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::time::Duration;

use codex_agent_shared::child::limited::{CommandResult, EndKind, Input, Limits};
use codex_agent_shared::schema::instance::find_mismatch;
use codex_agent_shared::text::counted;
use serde_json::{Value, json};

use super::contract::{duplicate_field, field_names, kind, name_problem, schemas};
use super::outcome::{NotPassed, Outcome, ending, excerpt, failed, has_named_message, skipped};
use super::sandbox::Sandbox;

/// The number of records that a tool must be able to read, and the limits of time and memory for that.
const MANY: u64 = 100_000;
const PATIENCE: Duration = Duration::from_secs(120);
const MEMORY: u64 = 256 << 20;

/// A field that no tool knows.
const FIELD: &str = "x_check";
/// A line that is no record.
const BAD: &str = r#"{"type":"session","id":"#;

/// The value of the unknown field.
fn value() -> Value {
    json!({"a": [1, -2.5, true, null, "\u{1b} é 日本 \"\\"], "b": {"c": 9_007_199_254_740_991_i64}, "d": ""})
}

/// A record of a type that no tool knows.
fn unknown_record() -> Value {
    json!({"type": "x.check", "id": 7, "value": value()})
}

/// Skips a check of input if it cannot be made.
fn require_input(sandbox: &Sandbox) -> Outcome<()> {
    sandbox.described()?;
    let reads = sandbox.reads();
    if reads.is_empty() {
        return skipped!("the tool reads no records");
    }
    if sandbox.samples.is_empty() {
        return skipped!("there is no sample of {}; --input FILE provides one", reads.join(", "));
    }
    if sandbox.has_arguments {
        return Ok(());
    }
    // The arguments for a pipe are unknown, and the tool may need some.
    let ended = sandbox.fed(&sandbox.samples)?;
    let is_record = ended.out.is_empty() || ended.out.starts_with(b"{");
    let why = if ended.how == EndKind::Code(2) {
        format!("it exited with status 2: {}", excerpt(&ended.err))
    } else if !sandbox.filters().is_empty() && !is_record {
        format!("it wrote {}, which is no record", excerpt(&ended.out))
    } else {
        return Ok(());
    };
    skipped!(
        "the tool was given valid records and no arguments, and {why}; 'pipe' in the description names the arguments"
    )
}

/// Skips a check of filters for another tool.
fn require_filter(sandbox: &Sandbox) -> Outcome<()> {
    require_input(sandbox)?;
    match sandbox.filters()[..] {
        [] => skipped!("the tool is no filter: it writes no type that it reads"),
        _ => Ok(()),
    }
}

/// The written records. The error describes a line that is no record.
fn written(ended: &CommandResult) -> Result<Vec<Value>, String> {
    let text = String::from_utf8_lossy(&ended.out);
    text.lines()
        .map(|line| match serde_json::from_str::<Value>(line) {
            Ok(value) if value.get("type").is_some_and(Value::is_string) => Ok(value),
            _ => Err(format!("the tool wrote {}, which is no record with a type", excerpt(line.as_bytes()))),
        })
        .collect()
}

pub(super) fn records(sandbox: &Sandbox) -> Outcome {
    let description = sandbox.described()?;
    if description.writes.is_empty() {
        return skipped!("the tool writes no records");
    }
    let known = schemas()?;
    let is_own = |kind: &&String| !known.contains_key(*kind) && !description.reads.contains(*kind);
    for kind in description.writes.iter().filter(is_own) {
        if let Some(why) = name_problem(kind)? {
            return failed!("the type '{kind}' of the description {why}");
        }
    }
    match description.reads[..] {
        [] if !sandbox.has_arguments => {
            return skipped!(
                "the description does not name the arguments with which the tool writes records"
            );
        }
        [] => {}
        _ => require_input(sandbox)?,
    }
    let ended = sandbox.fed(&sandbox.samples)?;
    if !matches!(ended.how, EndKind::Code(0 | 1)) {
        return failed!("the tool {}: {}", ending(ended.how), excerpt(&ended.err));
    }
    let records = written(&ended).map_err(NotPassed::Failed)?;
    // A filter passes unknown types on; another tool writes the types of its description.
    let passing = sandbox.samples.iter().filter(|_| !sandbox.filters().is_empty());
    let passed: Vec<String> = passing.filter_map(|line| kind(line)).collect();
    let is_named = |kind: &str| description.writes.iter().chain(&passed).any(|known| known == kind);
    match_schemas(sandbox, &records)?;
    if let Some(kind) =
        records.iter().filter_map(|record| record["type"].as_str()).find(|kind| !is_named(kind))
    {
        return failed!("the tool wrote a record of type '{kind}', which the description does not name");
    }
    match String::from_utf8_lossy(&ended.out).lines().find_map(duplicate_field) {
        Some(name) => failed!("the tool wrote a record that has the field '{name}' twice"),
        None => Ok(counted(records.len(), "record")),
    }
}

/// Checks records of types of this package against the schemas. A type is exempt if a record of --input does not match
/// its schema.
fn match_schemas(sandbox: &Sandbox, records: &[Value]) -> Outcome<()> {
    let known = schemas()?;
    let mismatch = |record: &Value| {
        let kind = record["type"].as_str()?;
        Some((kind.to_owned(), find_mismatch(known.get(kind)?, record)?))
    };
    let given = sandbox.samples.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let exempt: BTreeSet<String> = given.filter_map(|record| Some(mismatch(&record)?.0)).collect();
    match records.iter().filter_map(mismatch).find(|(kind, _)| !exempt.contains(kind)) {
        Some((kind, why)) => failed!("a written record of type '{kind}' does not match the schema: {why}"),
        None => Ok(()),
    }
}

pub(super) fn own_fields(sandbox: &Sandbox) -> Outcome {
    require_filter(sandbox)?;
    let once = sandbox.fed(&sandbox.samples)?;
    // The check 'records' fails for a line that is no record.
    let records = written(&once).map_err(NotPassed::Skipped)?;
    let (known, filters) = (schemas()?, sandbox.filters());
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in &sandbox.samples {
        names.entry(kind(line).unwrap_or_default()).or_default().extend(field_names(line));
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
        if let Some(why) = name_problem(name)? {
            return failed!("the field '{name}' that the tool added {why}");
        }
    }
    // In 'codex-agent NAME | codex-agent NAME' the input has the tool's own field already.
    let lines = |out: &[u8]| String::from_utf8_lossy(out).lines().map(str::to_owned).collect::<Vec<_>>();
    let first = lines(&once.out);
    let again = sandbox.fed(&first)?;
    if let Some(name) = first.iter().chain(&lines(&again.out)).find_map(|line| duplicate_field(line)) {
        return failed!(
            "with its own output as input the tool wrote a record that has the field '{name}' twice"
        );
    }
    match own.len() {
        _ if records.is_empty() => skipped!("the tool wrote no record"),
        0 => Ok("the tool adds no field".to_owned()),
        _ => Ok(own.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

pub(super) fn foreign_fields(sandbox: &Sandbox) -> Outcome {
    require_filter(sandbox)?;
    let mark = |line: &String| {
        let mut record: Value = serde_json::from_str(line).ok()?;
        record.as_object_mut()?.insert(FIELD.to_owned(), value());
        Some(record.to_string())
    };
    let marked: Vec<String> = sandbox.samples.iter().filter_map(mark).collect();
    let ended = sandbox.fed(&marked)?;
    let filters = sandbox.filters();
    let mut records = written(&ended).map_err(NotPassed::Failed)?;
    records.retain(|record| record["type"].as_str().is_some_and(|kind| filters.contains(&kind)));
    match records.iter().find(|record| record[FIELD] != value()) {
        Some(record) if record[FIELD].is_null() => {
            failed!("the field '{FIELD}' of the input is not in the output")
        }
        Some(record) => {
            failed!("the field '{FIELD}' was written as {}", excerpt(record[FIELD].to_string().as_bytes()))
        }
        None if records.is_empty() => {
            let (kinds, count) = (filters.join(", "), marked.len());
            skipped!("the tool read {count} records of {kinds}, wrote none, and {}", ending(ended.how))
        }
        None => Ok(format!("the field is in all {} records of the output", records.len())),
    }
}

pub(super) fn foreign_types(sandbox: &Sandbox) -> Outcome {
    require_filter(sandbox)?;
    let unknown = unknown_record();
    let mut input = sandbox.samples.clone();
    input.insert(input.len() / 2, unknown.to_string());
    let ended = sandbox.fed(&input)?;
    let records = written(&ended).map_err(NotPassed::Failed)?;
    match records.iter().find(|record| record["type"] == unknown["type"]) {
        Some(record) if *record == unknown => Ok("the record was written unchanged".to_owned()),
        Some(record) => failed!("the record was written as {}", excerpt(record.to_string().as_bytes())),
        None => {
            failed!("a record of an unknown type is not in the output; the tool {}", ending(ended.how))
        }
    }
}

pub(super) fn bad_line(sandbox: &Sandbox) -> Outcome {
    require_input(sandbox)?;
    let mut input: Vec<String> = sandbox.samples.iter().cycle().take(2).cloned().collect();
    input.push(BAD.to_owned());
    input.extend(sandbox.samples.iter().cloned());
    input.push(unknown_record().to_string());
    let ended = sandbox.fed(&input)?;
    let message = String::from_utf8_lossy(&ended.err);
    // A tool that changes something accepts none of such input, and so writes none.
    let passed_on = String::from_utf8_lossy(&ended.out).contains("x.check");
    let names_line = |line: &str| line.split(|c: char| !c.is_ascii_digit()).any(|number| number == "3");
    if ended.how != EndKind::Code(2) {
        failed!("for a line that is no JSON the tool {}, not with status 2", ending(ended.how))
    } else if !has_named_message(&ended, &sandbox.name) || !message.lines().any(names_line) {
        failed!("the message {} does not have the name of the tool and line 3", excerpt(&ended.err))
    } else if !sandbox.filters().is_empty() && !ended.out.is_empty() && !passed_on {
        failed!("the records after the bad line are not in the output")
    } else {
        Ok(format!("exited with status 2: {}", excerpt(&ended.err)))
    }
}

/// [`MANY`] records, each with an id of its own.
fn many(samples: Vec<String>) -> impl Iterator<Item = String> {
    (0..MANY).map(move |number| {
        let mut line = samples[number as usize % samples.len()].clone();
        let id = line.find(r#""id":""#).map_or(0..0, |at| at + 6..at + 18);
        // An escape in the id must not be damaged.
        if line.get(id.clone()).is_some_and(|id| id.len() == 12 && !id.contains(['"', '\\'])) {
            let digits = format!("{number:011x}");
            line.replace_range(id, &format!("{}-{}", &digits[..8], &digits[8..]));
        }
        line + "\n"
    })
}

/// Lines as input, each of which is made when it is read.
struct LineReader<I> {
    lines: I,
    block: io::Cursor<String>,
}

impl<I: Iterator<Item = String>> Read for LineReader<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.block.read(buffer)? {
            0 => {
                self.block = io::Cursor::new(self.lines.by_ref().take(100).collect());
                self.block.read(buffer)
            }
            count => Ok(count),
        }
    }
}

pub(super) fn bounded_memory(sandbox: &Sandbox) -> Outcome {
    require_input(sandbox)?;
    let input = LineReader { lines: many(sandbox.samples.clone()), block: io::Cursor::default() };
    let limits = Limits {
        input: Input::Source(Box::new(input)),
        kept: 0,
        memory: Some(MEMORY),
        ..Limits::new(PATIENCE, u64::MAX)
    };
    let ended = sandbox.run(&sandbox.words(), limits)?;
    match ended.how {
        EndKind::TooLarge => failed!("the tool used more than {} MiB for {MANY} records", MEMORY >> 20),
        EndKind::Late => {
            failed!("the tool did not read {MANY} records within {} s", PATIENCE.as_secs())
        }
        EndKind::Code(0 | 1) => match ended.memory >> 20 {
            0 => skipped!("the tool exited before it was measured, or this system does not report memory"),
            most => Ok(format!("{most} MiB for {MANY} records")),
        },
        how => failed!("with {MANY} records the tool {}: {}", ending(how), excerpt(&ended.err)),
    }
}
