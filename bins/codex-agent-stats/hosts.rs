//! The sums of other machines.

use std::collections::HashMap;

use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli::remote::Remote;
use codex_agent_shared::error::{Exit, Result, note};
use codex_agent_shared::output::Shape;
use codex_agent_shared::transcript::Tokens;
use codex_agent_shared::transcript::stats::{By, Stats, Sums};
use serde_json::Value;

use super::{Args, rows};

/// Prints the sums of each host, which are counted there.
pub(super) fn print(args: &Args, remote: Remote<'_>, shape: Shape) -> Result<Exit> {
    let mut by = args.own.by.clone();
    if !by.contains(&By::Host) {
        by.insert(0, By::Host);
    }
    let there: Vec<&str> = by.iter().filter(|by| **by != By::Host).map(|by| by.word()).collect();
    // A session is in one project, so that its sums may be added.
    let there = if there.is_empty() { By::Project.word().to_owned() } else { there.join(",") };
    let mut stats = Stats::new(by, None, None);
    let more = ["--json".to_owned(), format!("--by={there}")];
    let except = ["by", "json", "fields", "format", "null", "limit", "table", "color", "no-pager"];
    let exit = remote.records(&except, &more, &mut |host, record| {
        let value = |by: &By| match by {
            By::Host => Some(host.to_owned()),
            by => record[by.word()].as_str().map(str::to_owned),
        };
        let key = stats.by.iter().map(value).collect();
        stats.sums.entry(key).or_default().add(&sums(&record));
    })?;
    if stats.sums.is_empty() && exit == Exit::Done {
        note("nothing to count on the hosts");
    }
    rows::print(&stats, shape, &HashMap::new())?;
    Ok(exit)
}

/// The sums in a record.
fn sums(record: &Value) -> Sums {
    let count = |name: &str| record[name].as_u64().unwrap_or(0);
    let tokens = record["tokens"].as_object().map(|tokens| {
        let token = |name: &str| tokens.get(name).and_then(Value::as_i64).unwrap_or(0);
        let mut sum = Tokens::default();
        (sum.input, sum.cached) = (token("input"), token("cached"));
        (sum.output, sum.reasoning) = (token("output"), token("reasoning"));
        sum
    });
    Sums {
        sessions: count("sessions"),
        turns: count("turns"),
        duration_ms: record["duration_ms"].as_i64().unwrap_or(0),
        tokens,
        unknown_turns: count("unknown_turns"),
    }
}
