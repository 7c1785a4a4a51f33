//! codex-agent-schema: print the JSON Schema of records.
//!
//! It prints text that is in the executable, and opens nothing.

use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Tool, flags};
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::schema;
use codex_agent_shared::schema::{READ, Schema, WRITTEN};
use codex_agent_shared::terminal::{Look, columns, is_terminal, line};
use codex_agent_shared::text::{cell, width};

/// The own arguments of this tool.
#[derive(Default)]
struct Own {
    all: bool,
    read: bool,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

fn flags() -> Vec<Flag> {
    vec![
        Flag::switch("all", "one schema that any record fits", |args| &mut args.own.all)
            .more("Those of the types are in its $defs."),
        Flag::switch("read", "of records that tools read, not of those that they write", |args| {
            &mut args.own.read
        })
        .more("There most fields may be left out."),
        flags::json("the list of types as schema records, one a line"),
        flags::color(),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-schema")
        .description([
            "Prints the schema of each TYPE, one after the other, in the order in which they are named: JSON Schema, draft 2020-12. Without a TYPE it lists the types that there are, with a clause about each.",
            "A schema requires the fields that every record of its type has; a session with --fields has those that were named, and so does not fit. Other fields may be there: fields are only ever added, and none changes its meaning. A field that came after the first release of its type has the release in 'x-since', and is not required, so that old records still fit.",
            "A word that a field may hold may be added in a later release, and so may a type. Whoever checks records of a later release with an older schema passes over types that are not in it.",
        ])
        .command(Command::new(run).operands("[TYPE...]", &[Completes::Types]).flags("Options", flags()))
        .exit_status(&[(0, "Done."), (1, "There is no such type; nothing was printed."), (2, "Bad usage.")])
        .examples(&[
            ("Which types of records there are:", "codex-agent schema"),
            ("The fields that a session always has:", "codex-agent schema session | jq -r '.required[]'"),
            (
                "Make types of another language, with whatever program makes them from a schema:",
                "codex-agent schema --all > codex-agent.schema.json",
            ),
            ("What may stand in a job of your own:", "codex-agent schema --read job"),
        ])
        .see_also(["codex-agent(1)", "codex-agent-records(5)", "codex-agent(7)"])
        .writes(["schema"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(args: Args) -> Result<Exit> {
    let all = if args.own.read { READ } else { WRITTEN };
    if args.own.all && !args.operands.is_empty() {
        return Err(Error::usage("--all goes with no TYPE: it has all of them"));
    }
    if args.common.json && (args.own.all || !args.operands.is_empty()) {
        return Err(Error::usage("--json goes with the list alone: a schema is JSON already"));
    }
    if args.own.all {
        return cli::print(all);
    }
    let schemas = schema::each(all)?;
    if args.operands.is_empty() {
        return list(&args, &schemas);
    }
    let found: Result<Vec<&Schema>> =
        args.operands.iter().map(|name| schema::find(&schemas, name, args.own.read)).collect();
    cli::print(&found?.iter().map(|schema| schema.text.as_str()).collect::<String>())
}

fn list(args: &Args, schemas: &[Schema]) -> Result<Exit> {
    let mut output = Output::stdout();
    let widest = schemas.iter().map(|schema| width(&schema.name)).max().unwrap_or(0);
    for schema in schemas {
        if args.common.json {
            output.record(&schema.record())?;
        } else if is_terminal() {
            let about = cell(&schema.about, columns().saturating_sub(widest + 2));
            let cells = [(schema.name.as_str(), Look::Id, widest), (&about, Look::Plain, 0)];
            output.text(line(&cells, args.common.color.is_on()).as_bytes(), b"\n")?;
        } else {
            output.text([&schema.name, &*schema.about].join("\t").as_bytes(), b"\n")?;
        }
    }
    output.flush()?;
    Ok(Exit::Done)
}
