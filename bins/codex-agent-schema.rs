//! codex-agent-schema: print the JSON Schema of records.
//!
//! It prints text that is in the executable, and opens nothing.

use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::flags::ListingHelp;
use codex_agent_shared::cli::{Command, Completes, Tool, flags};
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::output::{Listing, Rows};
use codex_agent_shared::schema;
use codex_agent_shared::schema::{READ, Schema, WRITTEN};
use codex_agent_shared::terminal::{Cell, Look, Table};

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
            .more("The schemas of the types are in the $defs of this schema."),
        Flag::switch(
            "read",
            "print schemas of records that tools read, instead of those that they write",
            |args| &mut args.own.read,
        )
        .more("Most fields of records that tools read are optional."),
    ]
    .into_iter()
    .chain(flags::listing_output(&ListingHelp {
        json: "list the types as schema records, one per line",
        format: "a template such as '{name}\\t{about}'",
        limit: "list at most N types",
        fields: || flags::fields_of(&["schema"], &[]),
    }))
    .collect()
}

fn tool() -> Tool {
    Tool::ours("codex-agent-schema")
        .description([
            "Prints the JSON Schema (draft 2020-12) of each TYPE of records, in the given order. Without a TYPE, the types are listed, each with a summary.",
            "A schema requires the fields that every record of its type has; a session record that was printed with --fields has only the named fields, and is therefore not valid. A schema allows other fields, since later versions of codex-agent may add fields, but never rename, remove or redefine a field. If a field was added after the first release of its type, the schema has the release in 'x-since', and does not require the field, so that old records stay valid.",
            "A later release may also add types, and values of a field. A program that validates the records of a later release with an older schema should skip records of types that the schema does not have.",
        ])
        .command(Command::new(run).operands("[TYPE...]", &[Completes::Types]).flags("Options", flags()))
        .exit_status(&[(0, "Done."), (1, "The type does not exist; no schema was printed."), (2, "Bad usage.")])
        .examples(&[
            ("List the types of records:", "codex-agent schema"),
            ("Print the required fields of a session:", "codex-agent schema session | jq -r '.required[]'"),
            (
                "Write one schema of all types to a file, for example to generate types of another programming language:",
                "codex-agent schema --all > codex-agent.schema.json",
            ),
            ("Print the schema of the job records that 'codex-agent run --jobs' reads:", "codex-agent schema --read job"),
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
    let shape = args.common.shape_of(&["schema"], &[])?;
    let table = Table::new().column("TYPE", Look::Id).column("SUMMARY", Look::Plain).gives_way(1, 1);
    let mut listing = Listing::new(shape, table);
    for schema in schemas {
        let cells = || [&*schema.name, &*schema.about];
        let plain = || cells().map(str::to_owned).to_vec();
        listing.add(&schema.record(), &[], Rows { plain, table: |_| cells().map(Cell::from).to_vec() })?;
    }
    listing.finish()?;
    Ok(Exit::Done)
}
