//! codex-agent-schema: print the JSON Schema of records.
//!
//! It prints text that is in the executable, and opens nothing.

use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Example, Flag, Takes, Tool, flags};
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::plugin::about;
use codex_agent_shared::schema;
use codex_agent_shared::schema::{READ, Schema, WRITTEN};
use codex_agent_shared::terminal::{Look, columns, is_terminal, line};
use codex_agent_shared::text::{cell, width};

#[derive(Default)]
struct Args {
    common: flags::Common,
    all: bool,
    read: bool,
    types: Vec<String>,
}

impl AsMut<flags::Common> for Args {
    fn as_mut(&mut self) -> &mut flags::Common {
        &mut self.common
    }
}

const FLAGS: &[Flag<Args>] = &[
    Flag {
        short: None,
        long: "all",
        takes: Takes::Nothing,
        help: "one schema that any record fits",
        more: "Those of the types are in its $defs.",
        set: |args, _| {
            args.all = true;
            Ok(())
        },
    },
    Flag {
        short: None,
        long: "read",
        takes: Takes::Nothing,
        help: "of records that tools read, not of those that they write",
        more: "There most fields may be left out.",
        set: |args, _| {
            args.read = true;
            Ok(())
        },
    },
    flags::json("the list of types as schema records, one a line"),
    flags::color(),
];

static COMMAND: Command<Args> = Command {
    name: "",
    aliases: &[],
    about: about("schema"),
    operands: "[TYPE...]",
    completes: &[Completes::Types],
    details: &[],
    sections: &[("Options", FLAGS)],
    greedy: false,
    operand: |args, operand| flags::text_operand(&mut args.types, operand),
    run,
};

static TOOL: Tool = Tool {
    name: "codex-agent-schema",
    about: about("schema"),
    description: &[
        "Prints the schema of each TYPE, one after the other, in the order in which they are named: JSON Schema, draft 2020-12. Without a TYPE it lists the types that there are, with a clause about each.",
        "A schema requires the fields that every record of its type has; a session with --fields has those that were named, and so does not fit. Other fields may be there: fields are only ever added, and none changes its meaning. A field that came after the first release of its type has the release in 'x-since', and is not required, so that old records still fit.",
        "A word that a field may hold may be added in a later release, and so may a type. Whoever checks records of a later release with an older schema passes over types that are not in it.",
    ],
    commands: &[&COMMAND],
    exit_status: &[(0, "Done."), (1, "There is no such type; nothing was printed."), (2, "Bad usage.")],
    environment: &[],
    files: &[],
    examples: &[
        Example { text: "Which types of records there are:", command: "codex-agent schema", exit: 0 },
        Example {
            text: "The fields that a session always has:",
            command: "codex-agent schema session | jq -r '.required[]'",
            exit: 0,
        },
        Example {
            text: "Make types of another language, with whatever program makes them from a schema:",
            command: "codex-agent schema --all > codex-agent.schema.json",
            exit: 0,
        },
        Example {
            text: "What may stand in a job of your own:",
            command: "codex-agent schema --read job",
            exit: 0,
        },
    ],
    see_also: &["codex-agent(1)", "codex-agent-records(5)", "codex-agent(7)"],
    reads: &[],
    writes: &["schema"],
    epilogue: "",
    completions: None,
};

fn main() -> ExitCode {
    cli::main(&TOOL)
}

fn run(args: Args) -> Result<Exit> {
    let all = if args.read { READ } else { WRITTEN };
    if args.all && !args.types.is_empty() {
        return Err(Error::usage("--all goes with no TYPE: it has all of them"));
    }
    if args.common.json && (args.all || !args.types.is_empty()) {
        return Err(Error::usage("--json goes with the list alone: a schema is JSON already"));
    }
    if args.all {
        return cli::print(all);
    }
    let schemas = schema::each(all)?;
    if args.types.is_empty() {
        return list(&args, &schemas);
    }
    let found: Result<Vec<&Schema>> =
        args.types.iter().map(|name| schema::find(&schemas, name, args.read)).collect();
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
