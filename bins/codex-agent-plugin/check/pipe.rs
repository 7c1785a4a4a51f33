//! What a tool is held to that reads records, writes them, or does both: a filter.

use std::io::{self, Read};
use std::time::Duration;

use codex_agent_shared::child::limited::{Ended, How, Input, Limits};
use codex_agent_shared::error::Result;
use serde_json::{Value, json};

use super::Seen;
use super::bench::{Bench, kind};
use super::contract;
use super::manners::{excerpt, is_signed, told, undescribed};

/// How many records a tool must get through, how long that may take, and in how much memory.
const MANY: u64 = 100_000;
const PATIENCE: Duration = Duration::from_secs(120);
const MEMORY: u64 = 256 << 20;

/// A field that nobody knows.
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
fn without_input(bench: &Bench) -> Result<Option<Seen>> {
    if bench.description.is_none() {
        return Ok(Some(undescribed()));
    }
    let reads = bench.reads();
    if reads.is_empty() {
        return Ok(Some(Seen::Skipped("it reads no records".to_owned())));
    }
    if bench.samples.is_empty() {
        let what = reads.join(", ");
        return Ok(Some(Seen::Skipped(format!("there is no sample of {what} here; --input FILE gives one"))));
    }
    if bench.has_arguments {
        return Ok(None);
    }
    // Nobody said how it is used in a pipe, and it may be that no arguments are not enough.
    let ended = bench.fed(&bench.samples)?;
    let is_filter = !bench.filters().is_empty();
    let why = if ended.how == How::Code(2) {
        format!("it ended with 2: {}", excerpt(&ended.err))
    } else if is_filter && !ended.out.is_empty() && !ended.out.starts_with(b"{") {
        format!("it wrote {}, which is no record", excerpt(&ended.out))
    } else {
        return Ok(None);
    };
    Ok(Some(Seen::Skipped(format!("with good records and no arguments {why}; 'pipe' names those it needs"))))
}

pub(super) fn without_filter(bench: &Bench) -> Result<Option<Seen>> {
    Ok(without_input(bench)?.or_else(|| {
        bench
            .filters()
            .is_empty()
            .then(|| Seen::Skipped("it is no filter: it writes no type that it reads".to_owned()))
    }))
}

/// What it wrote, line by line; a line that is no record is the error.
pub(super) fn written(ended: &Ended) -> std::result::Result<Vec<Value>, String> {
    let text = String::from_utf8_lossy(&ended.out);
    text.lines()
        .map(|line| match serde_json::from_str::<Value>(line) {
            Ok(value) if value.get("type").is_some_and(Value::is_string) => Ok(value),
            _ => Err(format!("it wrote {}, which is no record with a type", excerpt(line.as_bytes()))),
        })
        .collect()
}

pub(super) fn records(bench: &Bench) -> Result<Seen> {
    let Some(description) = &bench.description else { return Ok(undescribed()) };
    if description.writes.is_empty() {
        return Ok(Seen::Skipped("it writes no records".to_owned()));
    }
    if let Some(why) = contract::bad_type(bench)? {
        return Ok(Seen::Failed(why));
    }
    if description.reads.is_empty() && !bench.has_arguments {
        let why = "its description does not say with which arguments it writes records";
        return Ok(Seen::Skipped(why.to_owned()));
    }
    if !description.reads.is_empty()
        && let Some(why_not) = without_input(bench)?
    {
        return Ok(why_not);
    }
    let ended = bench.fed(&bench.samples)?;
    if !matches!(ended.how, How::Code(0 | 1)) {
        return Ok(Seen::Failed(format!("it {}: {}", told(ended.how), excerpt(&ended.err))));
    }
    let records = match written(&ended) {
        Ok(records) => records,
        Err(why) => return Ok(Seen::Failed(why)),
    };
    // A filter hands on what it does not know; whoever is none writes what it names.
    let passing = bench.samples.iter().filter(|_| !bench.filters().is_empty());
    let passed: Vec<String> = passing.filter_map(|line| kind(line)).collect();
    let is_told = |kind: &str| description.writes.iter().chain(&passed).any(|known| known == kind);
    let unknown = records.iter().filter_map(|record| record["type"].as_str()).find(|kind| !is_told(kind));
    if let Some(why) = contract::unfit(bench, &records)? {
        return Ok(Seen::Failed(why));
    }
    let twice = String::from_utf8_lossy(&ended.out).lines().find_map(contract::twice);
    Ok(match (unknown, twice) {
        (Some(kind), _) => {
            Seen::Failed(format!("it wrote a record of type '{kind}', which its description does not name"))
        }
        (None, Some(name)) => Seen::Failed(format!("it wrote a record that has the field '{name}' twice")),
        (None, None) => Seen::Ok(format!("{} records", records.len())),
    })
}

pub(super) fn foreign_fields(bench: &Bench) -> Result<Seen> {
    if let Some(why_not) = without_filter(bench)? {
        return Ok(why_not);
    }
    let marked: Vec<String> = bench
        .samples
        .iter()
        .filter_map(|line| {
            let mut record: Value = serde_json::from_str(line).ok()?;
            record.as_object_mut()?.insert(FIELD.to_owned(), value());
            Some(record.to_string())
        })
        .collect();
    let ended = bench.fed(&marked)?;
    let records = match written(&ended) {
        Ok(records) => records,
        Err(why) => return Ok(Seen::Failed(why)),
    };
    let filters = bench.filters();
    let of_its_own: Vec<&Value> = records
        .iter()
        .filter(|record| record["type"].as_str().is_some_and(|kind| filters.contains(&kind)))
        .collect();
    Ok(match of_its_own.iter().find(|record| record[FIELD] != value()) {
        Some(record) if record[FIELD].is_null() => {
            Seen::Failed(format!("a field '{FIELD}' of the input is not in the output"))
        }
        Some(record) => Seen::Failed(format!(
            "a field '{FIELD}' came out as {}",
            excerpt(record[FIELD].to_string().as_bytes())
        )),
        None if of_its_own.is_empty() => Seen::Skipped(format!(
            "it wrote no record of {} for {} of them, and {}",
            filters.join(", "),
            marked.len(),
            told(ended.how)
        )),
        None => Seen::Ok(format!("it is in all {} records that came out", of_its_own.len())),
    })
}

pub(super) fn foreign_types(bench: &Bench) -> Result<Seen> {
    if let Some(why_not) = without_filter(bench)? {
        return Ok(why_not);
    }
    let mut input = bench.samples.clone();
    input.insert(input.len() / 2, foreign().to_string());
    let ended = bench.fed(&input)?;
    let records = match written(&ended) {
        Ok(records) => records,
        Err(why) => return Ok(Seen::Failed(why)),
    };
    Ok(match records.iter().find(|record| record["type"] == foreign()["type"]) {
        Some(record) if *record == foreign() => Seen::Ok("it came out as it went in".to_owned()),
        Some(record) => Seen::Failed(format!("it came out as {}", excerpt(record.to_string().as_bytes()))),
        None => Seen::Failed(format!(
            "a record of a type that nobody knows is not in the output; it {}",
            told(ended.how)
        )),
    })
}

pub(super) fn bad_line(bench: &Bench) -> Result<Seen> {
    if let Some(why_not) = without_input(bench)? {
        return Ok(why_not);
    }
    let mut input: Vec<String> = bench.samples.iter().cycle().take(2).cloned().collect();
    input.push(BAD.to_owned());
    input.extend(bench.samples.iter().cloned());
    input.push(foreign().to_string());
    let ended = bench.fed(&input)?;
    let message = String::from_utf8_lossy(&ended.err).into_owned();
    // One that changes something takes none of its input, and so hands none of it on.
    let passed_on = String::from_utf8_lossy(&ended.out).contains("x.check");
    let names_it = |line: &str| line.split(|c: char| !c.is_ascii_digit()).any(|number| number == "3");
    Ok(if ended.how != How::Code(2) {
        Seen::Failed(format!("with a line that is no JSON it {}, not with 2", told(ended.how)))
    } else if !is_signed(&ended, &bench.name) || !message.lines().any(names_it) {
        Seen::Failed(format!("it said {}: not its name and that it was line 3", excerpt(&ended.err)))
    } else if !bench.filters().is_empty() && !ended.out.is_empty() && !passed_on {
        Seen::Failed("what came after the line is not in the output".to_owned())
    } else {
        Seen::Ok(format!("ended with 2: {}", excerpt(&ended.err)))
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

pub(super) fn bounded_memory(bench: &Bench) -> Result<Seen> {
    if let Some(why_not) = without_input(bench)? {
        return Ok(why_not);
    }
    let limits = Limits {
        input: Input::Source(Box::new(Many::new(&bench.samples))),
        kept: 0,
        memory: Some(MEMORY),
        ..Limits::new(PATIENCE, u64::MAX)
    };
    let ended = bench.run(&bench.words(), limits)?;
    let most = ended.memory >> 20;
    Ok(match ended.how {
        How::TooLarge => Seen::Failed(format!("it took more than {} MiB for {MANY} records", MEMORY >> 20)),
        How::Late => {
            Seen::Failed(format!("it was not done with {MANY} records within {} s", PATIENCE.as_secs()))
        }
        How::Code(0 | 1) if most == 0 => {
            Seen::Skipped("it ended before anybody could look, or this system does not tell".to_owned())
        }
        How::Code(0 | 1) => Seen::Ok(format!("{most} MiB for {MANY} records")),
        how => Seen::Failed(format!("with {MANY} records it {}: {}", told(how), excerpt(&ended.err))),
    })
}
