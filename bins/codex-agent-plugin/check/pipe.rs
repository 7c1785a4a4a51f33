//! What a tool is held to that reads records, writes them, or does both: a filter.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::time::Duration;

use codex_agent_shared::child::limited::{CommandResult, EndKind, Input, Limits};
use codex_agent_shared::error::Result;
use codex_agent_shared::schema::instance::misfit;
use serde_json::{Value, json};

use super::contract::{Names, kind, no_own_name, schemas, twice};
use super::outcome::{Seen, ending, excerpt, failed, is_signed, passed, skipped, undescribed};
use super::sandbox::Sandbox;

/// How many records a tool must get through, how long that may take, and in how much memory.
const MANY: u64 = 100_000;
const PATIENCE: Duration = Duration::from_secs(120);
const MEMORY: u64 = 256 << 20;

/// A field that no tool knows.
const FIELD: &str = "x_check";
/// The line that is no record.
const BAD: &str = r#"{"type":"session","id":"#;

fn value() -> Value {
    json!({"a": [1, -2.5, true, null, "\u{1b} é 日本 \"\\"], "b": {"c": 9_007_199_254_740_991_i64}, "d": ""})
}

fn foreign() -> Value {
    json!({"type": "x.check", "id": 7, "value": value()})
}

/// Why a check of input cannot be made, if it cannot.
fn without_input(sandbox: &Sandbox) -> Result<Option<Seen>> {
    if sandbox.description.is_none() {
        return Ok(Some(undescribed()));
    }
    let reads = sandbox.reads();
    if reads.is_empty() {
        return Ok(Some(skipped!("it reads no records")));
    }
    if sandbox.samples.is_empty() {
        let what = reads.join(", ");
        return Ok(Some(skipped!("there is no sample of {what} here; --input FILE gives one")));
    }
    if sandbox.has_arguments {
        return Ok(None);
    }
    // Nobody said how it is used in a pipe, and it may be that no arguments are not enough.
    let ended = sandbox.fed(&sandbox.samples)?;
    let is_filter = !sandbox.filters().is_empty();
    let why = if ended.how == EndKind::Code(2) {
        format!("it ended with 2: {}", excerpt(&ended.err))
    } else if is_filter && !ended.out.is_empty() && !ended.out.starts_with(b"{") {
        format!("it wrote {}, which is no record", excerpt(&ended.out))
    } else {
        return Ok(None);
    };
    Ok(Some(skipped!("with good records and no arguments {why}; 'pipe' names those it needs")))
}

fn without_filter(sandbox: &Sandbox) -> Result<Option<Seen>> {
    Ok(without_input(sandbox)?.or_else(|| {
        sandbox.filters().is_empty().then(|| skipped!("it is no filter: it writes no type that it reads"))
    }))
}

/// What it wrote, line by line; a line that is no record is the error.
fn written(ended: &CommandResult) -> std::result::Result<Vec<Value>, String> {
    let text = String::from_utf8_lossy(&ended.out);
    text.lines()
        .map(|line| match serde_json::from_str::<Value>(line) {
            Ok(value) if value.get("type").is_some_and(Value::is_string) => Ok(value),
            _ => Err(format!("it wrote {}, which is no record with a type", excerpt(line.as_bytes()))),
        })
        .collect()
}

pub(super) fn records(sandbox: &Sandbox) -> Result<Seen> {
    let Some(description) = &sandbox.description else { return Ok(undescribed()) };
    if description.writes.is_empty() {
        return Ok(skipped!("it writes no records"));
    }
    if let Some(why) = bad_type(sandbox)? {
        return Ok(Seen::Failed(why));
    }
    if description.reads.is_empty() && !sandbox.has_arguments {
        let why = "its description does not say with which arguments it writes records";
        return Ok(Seen::Skipped(why.to_owned()));
    }
    if !description.reads.is_empty()
        && let Some(why_not) = without_input(sandbox)?
    {
        return Ok(why_not);
    }
    let ended = sandbox.fed(&sandbox.samples)?;
    if !matches!(ended.how, EndKind::Code(0 | 1)) {
        return Ok(failed!("it {}: {}", ending(ended.how), excerpt(&ended.err)));
    }
    let records = match written(&ended) {
        Ok(records) => records,
        Err(why) => return Ok(Seen::Failed(why)),
    };
    // A filter passes unknown types on; another tool writes the types that it names.
    let passing = sandbox.samples.iter().filter(|_| !sandbox.filters().is_empty());
    let passed: Vec<String> = passing.filter_map(|line| kind(line)).collect();
    let is_told = |kind: &str| description.writes.iter().chain(&passed).any(|known| known == kind);
    let unknown = records.iter().filter_map(|record| record["type"].as_str()).find(|kind| !is_told(kind));
    if let Some(why) = unfit(sandbox, &records)? {
        return Ok(Seen::Failed(why));
    }
    let twice = String::from_utf8_lossy(&ended.out).lines().find_map(twice);
    Ok(match (unknown, twice) {
        (Some(kind), _) => {
            failed!("it wrote a record of type '{kind}', which its description does not name")
        }
        (None, Some(name)) => failed!("it wrote a record that has the field '{name}' twice"),
        (None, None) => passed!("{} records", records.len()),
    })
}

/// A type that the description names and that cannot be the tool's own.
fn bad_type(sandbox: &Sandbox) -> Result<Option<String>> {
    let (known, reads) = (schemas()?, sandbox.reads());
    let writes = sandbox.description.iter().flat_map(|description| &description.writes);
    for kind in writes.filter(|kind| !known.contains_key(*kind) && !reads.contains(&kind.as_str())) {
        if let Some(why) = no_own_name(kind)? {
            return Ok(Some(format!("the type '{kind}' of its description {why}")));
        }
    }
    Ok(None)
}

/// A record of a type of this package that does not fit the schema. Records that came in such, with --input,
/// may go on such.
fn unfit(sandbox: &Sandbox, records: &[Value]) -> Result<Option<String>> {
    let known = schemas()?;
    let fits = |record: &Value| {
        record["type"].as_str().and_then(|kind| known.get(kind)).and_then(|schema| misfit(schema, record))
    };
    let given = sandbox.samples.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
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

pub(super) fn own_fields(sandbox: &Sandbox) -> Result<Seen> {
    if let Some(why_not) = without_filter(sandbox)? {
        return Ok(why_not);
    }
    let once = sandbox.fed(&sandbox.samples)?;
    let records = match written(&once) {
        Ok(records) => records,
        Err(why) => return Ok(Seen::Skipped(why)),
    };
    let (known, filters) = (schemas()?, sandbox.filters());
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in &sandbox.samples {
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
            return Ok(failed!("the field '{name}' that it added {why}"));
        }
    }
    // As in 'codex-agent NAME | codex-agent NAME': its own field is already there.
    let lines = |out: &[u8]| String::from_utf8_lossy(out).lines().map(str::to_owned).collect::<Vec<_>>();
    let first = lines(&once.out);
    let again = sandbox.fed(&first)?;
    Ok(match first.iter().chain(&lines(&again.out)).find_map(|line| twice(line)) {
        Some(name) => {
            failed!("with its own output as input it wrote a record that has the field '{name}' twice")
        }
        None if records.is_empty() => skipped!("it wrote no record"),
        None if own.is_empty() => passed!("it adds none"),
        None => Seen::Ok(own.into_iter().collect::<Vec<_>>().join(", ")),
    })
}

pub(super) fn foreign_fields(sandbox: &Sandbox) -> Result<Seen> {
    if let Some(why_not) = without_filter(sandbox)? {
        return Ok(why_not);
    }
    let marked: Vec<String> = sandbox
        .samples
        .iter()
        .filter_map(|line| {
            let mut record: Value = serde_json::from_str(line).ok()?;
            record.as_object_mut()?.insert(FIELD.to_owned(), value());
            Some(record.to_string())
        })
        .collect();
    let ended = sandbox.fed(&marked)?;
    let records = match written(&ended) {
        Ok(records) => records,
        Err(why) => return Ok(Seen::Failed(why)),
    };
    let filters = sandbox.filters();
    let of_its_own: Vec<&Value> = records
        .iter()
        .filter(|record| record["type"].as_str().is_some_and(|kind| filters.contains(&kind)))
        .collect();
    Ok(match of_its_own.iter().find(|record| record[FIELD] != value()) {
        Some(record) if record[FIELD].is_null() => {
            failed!("a field '{FIELD}' of the input is not in the output")
        }
        Some(record) => {
            failed!("a field '{FIELD}' came out as {}", excerpt(record[FIELD].to_string().as_bytes()))
        }
        None if of_its_own.is_empty() => skipped!(
            "it wrote no record of {} for {} of them, and {}",
            filters.join(", "),
            marked.len(),
            ending(ended.how)
        ),
        None => passed!("it is in all {} records that came out", of_its_own.len()),
    })
}

pub(super) fn foreign_types(sandbox: &Sandbox) -> Result<Seen> {
    if let Some(why_not) = without_filter(sandbox)? {
        return Ok(why_not);
    }
    let mut input = sandbox.samples.clone();
    input.insert(input.len() / 2, foreign().to_string());
    let ended = sandbox.fed(&input)?;
    let records = match written(&ended) {
        Ok(records) => records,
        Err(why) => return Ok(Seen::Failed(why)),
    };
    Ok(match records.iter().find(|record| record["type"] == foreign()["type"]) {
        Some(record) if *record == foreign() => passed!("it came out as it went in"),
        Some(record) => failed!("it came out as {}", excerpt(record.to_string().as_bytes())),
        None => {
            failed!("a record of an unknown type is not in the output; it {}", ending(ended.how))
        }
    })
}

pub(super) fn bad_line(sandbox: &Sandbox) -> Result<Seen> {
    if let Some(why_not) = without_input(sandbox)? {
        return Ok(why_not);
    }
    let mut input: Vec<String> = sandbox.samples.iter().cycle().take(2).cloned().collect();
    input.push(BAD.to_owned());
    input.extend(sandbox.samples.iter().cloned());
    input.push(foreign().to_string());
    let ended = sandbox.fed(&input)?;
    let message = String::from_utf8_lossy(&ended.err).into_owned();
    // One that changes something takes none of its input, and so hands none of it on.
    let passed_on = String::from_utf8_lossy(&ended.out).contains("x.check");
    let names_it = |line: &str| line.split(|c: char| !c.is_ascii_digit()).any(|number| number == "3");
    Ok(if ended.how != EndKind::Code(2) {
        failed!("with a line that is no JSON it {}, not with 2", ending(ended.how))
    } else if !is_signed(&ended, &sandbox.name) || !message.lines().any(names_it) {
        failed!("it said {}: not its name and that it was line 3", excerpt(&ended.err))
    } else if !sandbox.filters().is_empty() && !ended.out.is_empty() && !passed_on {
        failed!("what came after the line is not in the output")
    } else {
        passed!("ended with 2: {}", excerpt(&ended.err))
    })
}

/// Records without end, each with an id of its own.
struct Many {
    samples: Vec<(String, String)>,
    made: u64,
    block: Vec<u8>,
    at: usize,
}

impl Many {
    fn new(samples: &[String]) -> Many {
        let split = |line: &String| match line.find(r#""id":""#) {
            // Only what is within the id, and stands for itself.
            Some(at)
                if line.as_bytes()[at + 6..].iter().take_while(|b| !b"\"\\".contains(b)).count() >= 12
                    && line.is_char_boundary(at + 18) =>
            {
                (line[..at + 6].to_owned(), line[at + 18..].to_owned())
            }
            _ => (line.clone(), String::new()),
        };
        Many { samples: samples.iter().map(split).collect(), made: 0, block: Vec::new(), at: 0 }
    }
}

impl Read for Many {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            (self.at, _) = (0, self.block.clear());
            while self.block.len() < 64 << 10 && self.made < MANY {
                let (before, after) = &self.samples[self.made as usize % self.samples.len()];
                self.block.extend_from_slice(before.as_bytes());
                if !after.is_empty() {
                    // As long as what it stands for: eight digits, a dash, and three more.
                    let number = format!("{:011x}", self.made);
                    self.block.extend_from_slice(format!("{}-{}", &number[..8], &number[8..]).as_bytes());
                    self.block.extend_from_slice(after.as_bytes());
                }
                self.block.push(b'\n');
                self.made += 1;
            }
        }
        let count = buffer.len().min(self.block.len() - self.at);
        buffer[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

pub(super) fn bounded_memory(sandbox: &Sandbox) -> Result<Seen> {
    if let Some(why_not) = without_input(sandbox)? {
        return Ok(why_not);
    }
    let limits = Limits {
        input: Input::Source(Box::new(Many::new(&sandbox.samples))),
        kept: 0,
        memory: Some(MEMORY),
        ..Limits::new(PATIENCE, u64::MAX)
    };
    let ended = sandbox.run(&sandbox.words(), limits)?;
    let most = ended.memory >> 20;
    Ok(match ended.how {
        EndKind::TooLarge => failed!("it took more than {} MiB for {MANY} records", MEMORY >> 20),
        EndKind::Late => {
            failed!("it was not done with {MANY} records within {} s", PATIENCE.as_secs())
        }
        EndKind::Code(0 | 1) if most == 0 => {
            skipped!("it ended before it was measured, or this system does not report memory")
        }
        EndKind::Code(0 | 1) => passed!("{most} MiB for {MANY} records"),
        how => failed!("with {MANY} records it {}: {}", ending(how), excerpt(&ended.err)),
    })
}
