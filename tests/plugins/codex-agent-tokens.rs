//! codex-agent-tokens: sum the tokens of sessions by a field. Outside of this repository its manifest says
//! `codex-agent-shared = { version = "0.1", default-features = false }`: it needs no SQLite.

use std::collections::BTreeMap;
use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Flag, Takes, Tool};
use codex_agent_shared::error::{Exit, Result, warn};
use codex_agent_shared::ndjson::{Output, Records};
use codex_agent_shared::{reference, text};
use serde_json::{Map, Value};

fn tool() -> Tool {
    let fields = || vec![("cwd", "the directory"), ("model", "the model"), ("source", "the kind of client")];
    let by = Flag::parsed("by", Takes::OneOf("FIELD", fields), "the field", cli::Value::text, |by| by);
    Tool::new("codex-agent-tokens", "sum the tokens of sessions by a field")
        .version("1.0")
        .description(["Reads session records from standard input, and prints sums and values, a line each."])
        .reads(&["session"])
        .pipe(&[])
        .command(Command::new(run).flags("Options", [by.default("cwd")]))
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(by: Option<String>) -> Result<Exit> {
    reference::reads_stdin(&[])?;
    let (field, mut exit, mut sums) = (by.as_deref().unwrap_or("cwd"), Exit::Done, BTreeMap::new());
    let mut records = Records::<_, Map<String, Value>>::new("stdin", std::io::stdin());
    while let Some(next) = records.next() {
        match next {
            Ok(record) if record.value.get("type").is_some_and(|kind| kind == "session") => {
                let key = record.value.get(field).and_then(Value::as_str).unwrap_or("-").to_owned();
                let tokens = record.value.get("tokens_used").and_then(Value::as_u64);
                *sums.entry(key).or_insert(0) += tokens.unwrap_or(0);
            }
            Ok(_) => {}
            Err(failure) if failure.is_final => return Err(failure.error),
            Err(failure) => (warn(&failure.error), exit = Exit::Trouble).1,
        }
    }
    let mut output = Output::stdout();
    for (key, tokens) in &sums {
        output.text(format!("{tokens}\t{}", text::tsv(key)).as_bytes(), b"\n")?;
    }
    output.flush().map(|()| exit)
}
