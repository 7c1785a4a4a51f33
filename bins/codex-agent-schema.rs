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
use codex_agent_shared::terminal::{Look, Table, is_terminal};

/// The values of the tool's own flags.
#[derive(Default)]
struct Own {
    all: bool,
    read: bool,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

fn flags() -> Vec<Flag> {
    vec![
        Flag::switch("all", "print one schema for all records", |args| &mut args.own.all)
            .more("The schemas of the types are in its $defs."),
        Flag::switch(
            "read",
            "print schemas of records that tools read, instead of those that they write",
            |args| &mut args.own.read,
        )
        .more("Most fields of these are optional."),
        flags::json("list the types as schema records, one a line"),
        flags::color(),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-schema")
        .description([
            "Prints the JSON Schema (draft 2020-12) of each TYPE, in the given order. Without a TYPE it lists the types, each with a summary.",
            "A schema requires the fields that every record of its type has; a session record of --fields has only the given fields, and is therefore not valid. Other fields are allowed: fields are only added, and never change their meaning. A field that was added after the first release of its type has the release in 'x-since', and is not required, so that old records stay valid.",
            "A later release may add values of a field, and types. A program that validates records of a later release by an older schema should skip types that the schema does not have.",
        ])
        .command(Command::new(run).operands("[TYPE...]", &[Completes::Types]).flags("Options", flags()))
        .exit_status(&[(0, "Done."), (1, "There is no such type; nothing was printed."), (2, "Bad usage.")])
        .examples(&[
            ("List the types of records:", "codex-agent schema"),
            ("Print the required fields of a session:", "codex-agent schema session | jq -r '.required[]'"),
            (
                "Write one schema, from which types of another language can be generated:",
                "codex-agent schema --all > codex-agent.schema.json",
            ),
            ("Print the schema of a job that you write yourself:", "codex-agent schema --read job"),
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
        return Err(Error::usage("--all accepts no TYPE: it prints all types"));
    }
    if args.common.json && (args.own.all || !args.operands.is_empty()) {
        return Err(Error::usage("--json is only for the list of types: a schema is JSON already"));
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
    let mut rows = schemas.iter().map(|schema| [&*schema.name, &*schema.about]);
    if args.common.json {
        schemas.iter().try_for_each(|schema| output.record(&schema.record()))?;
    } else if is_terminal() {
        let mut table = Table::new().column("", Look::Id).column("", Look::Plain).gives_way(1, 1);
        rows.for_each(|row| table.row(row));
        table.write(&mut output, args.common.color.is_on())?;
    } else {
        rows.try_for_each(|row| output.row(row))?;
    }
    output.flush()?;
    Ok(Exit::Done)
}
