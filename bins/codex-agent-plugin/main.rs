//! codex-agent-plugin: look after tools of others.
//!
//! No stranger is run but by `add`, `refresh` and `check`, which are asked for that, and by
//! `completion` and `candidates`, where a description that is kept and current says that it may be.
//! What is kept changes as a whole or not at all: `add` asks all of the tools first.

use std::path::PathBuf;
use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Example, Flag, Takes, Tool, flags};
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::plugin::about;

mod check;
mod complete;
mod verbs;

use check::check;
use complete::{candidates, completion};
use verbs::{add, describe, forget, list, refresh, which};

#[derive(Default)]
struct Args {
    common: flags::Common,
    operands: Vec<String>,
    about: Option<String>,
    all: bool,
    only: Vec<String>,
    input: Option<PathBuf>,
}

impl AsMut<flags::Common> for Args {
    fn as_mut(&mut self) -> &mut flags::Common {
        &mut self.common
    }
}

impl Args {
    /// The names that the verb is about: one at the least.
    fn names(&self) -> Result<&[String]> {
        match self.operands[..] {
            [] => {
                Err(Error::usage("the name of a tool is missing").hint("codex-agent plugin list lists them"))
            }
            _ => Ok(&self.operands),
        }
    }

    /// The one name that the verb is about.
    fn name(&self) -> Result<&str> {
        match self.names()? {
            [name] => Ok(name),
            [_, second, ..] => Err(Error::usage(format!("unexpected operand '{second}'"))),
            [] => Err(Error::usage("the name of a tool is missing")),
        }
    }
}

fn operand(args: &mut Args, operand: std::ffi::OsString) -> Result<()> {
    flags::text_operand(&mut args.operands, operand)
}

const TOLD: Flag<Args> = Flag {
    short: None,
    long: "about",
    takes: Takes::Text("TEXT"),
    help: "keep these words as its summary, and do not run it",
    more: "For a tool that does not describe itself, and for one that should not be run only for that. One name goes with it.",
    set: |args, value| {
        args.about = Some(value.text()?);
        Ok(())
    },
};

const ALL: Flag<Args> = Flag {
    short: Some('a'),
    long: "all",
    takes: Takes::Nothing,
    help: "also those that are not run, since another comes before them",
    more: "",
    set: |args, _| {
        args.all = true;
        Ok(())
    },
};

const ONLY: Flag<Args> = Flag {
    short: None,
    long: "only",
    takes: Takes::OneOf("CHECK", &check::NAMES),
    help: "this check alone; may be given several times",
    more: "",
    set: |args, value| {
        args.only.push(value.text()?);
        Ok(())
    },
};

const INPUT: Flag<Args> = Flag {
    short: None,
    long: "input",
    takes: Takes::File("FILE"),
    help: "records to feed it, instead of those of the sample home",
    more: "For a tool that reads records of a type that codex-agent does not make. A regular file of 64 MiB at the most.",
    set: |args, value| {
        args.input = Some(value.path());
        Ok(())
    },
};

const TOOL_JSON: Flag<Args> = flags::json("tool records, one a line");

const fn command(
    name: &'static str,
    about: &'static str,
    operands: &'static str,
    details: &'static [&'static str],
    sections: &'static [(&'static str, &'static [Flag<Args>])],
    run: fn(Args) -> Result<Exit>,
) -> Command<Args> {
    Command {
        name,
        aliases: &[],
        about,
        operands,
        completes: &[Completes::Tools],
        details,
        sections,
        greedy: false,
        operand,
        run,
    }
}

static LIST: Command<Args> = Command {
    aliases: &["ls"],
    completes: &[Completes::Nothing],
    ..command(
        "list",
        "list the tools, and what is known of them",
        "",
        &[
            "In a pipe: name, summary, path, the paths that it shadows, version, and whether its description is known, stale or none, with TABs between. The summary of a stale description ends in '(stale)'.",
            "What looks like a tool and is none is told on standard error with the reason: a file that another one shadows, one that is not executable, one whose name cannot be a tool, a folder that cannot be read, an interpreter that is not there. With --json these are records of type plugin.problem after the others.",
        ],
        &[("Options", &[flags::json("records of type tool and plugin.problem, one a line")])],
        list,
    )
};
static WHICH: Command<Args> = command(
    "which",
    "print the path of the executable that is run",
    "NAME",
    &[],
    &[("Options", &[ALL])],
    which,
);
static DESCRIBE: Command<Args> = command(
    "describe",
    "tell what is known of a tool",
    "NAME",
    &[
        "A word and a value on each line, with a TAB between. A stranger is not run for it. Where nothing is known that is exit 1.",
    ],
    &[("Options", &[flags::json("the tool's record")])],
    describe,
);
static ADD: Command<Args> = command(
    "add",
    "ask tools what they are, and keep the answer",
    "NAME...",
    &[
        "Runs each tool once, as 'codex-agent-NAME --generate describe', with nothing to read, for 5 seconds at the most and for up to 64 KiB. If one of them does not answer with its description nothing is kept. A tool that heeds no options does at that moment whatever it does: use --about for it.",
        "From then on the tool is listed with its summary, and completed, if it says that it can be.",
    ],
    &[("Options", &[TOLD, TOOL_JSON])],
    add,
);
static REFRESH: Command<Args> = command(
    "refresh",
    "ask tools again whose executable has changed",
    "[NAME...]",
    &[
        "Without a name it asks all whose description is stale, forgets those that are gone, and ends with 2 if one of them did not answer; the others are kept nevertheless. With names all are asked or none, stale or not. A tool that you have described yourself is not run for it, and keeps your words.",
    ],
    &[("Options", &[TOOL_JSON])],
    refresh,
);
static FORGET: Command<Args> = command(
    "forget",
    "forget what is kept of tools",
    "NAME...",
    &["The tools themselves stay where they are."],
    &[],
    forget,
);
static CHECK: Command<Args> = Command {
    completes: &[Completes::Tools, Completes::Nothing],
    ..command(
        "check",
        "try whether a tool keeps the rules",
        "NAME|PATH [-- ARGUMENT...]",
        &[
            "The rules are those of codex-agent-plugins(7). The tool is run many times, in a temporary home with a sample of sessions and a Codex that has no model, with limits of time and memory. Home, state and temporary folder are its own; but it is a program that runs with your rights, and nothing keeps it from what it wants to do.",
            "A line for each check: ok, failed or skipped, its name, what was seen, and why it matters if it failed. In a pipe these four stand with TABs between. Without a description only those checks are made that need none.",
            "The ARGUMENTs are those with which it reads records from standard input and writes records to standard output, where its description does not say.",
        ],
        &[(
            "Options",
            &[ONLY, INPUT, flags::json("records of type plugin.check, one a line"), flags::color()],
        )],
        check,
    )
};
static COMPLETION: Command<Args> = Command {
    completes: &[Completes::Tools, Completes::Nothing],
    ..command(
        "completion",
        "print a script that completes a tool in a shell",
        "NAME bash|zsh|fish",
        &[
            "Plumbing for the completion of codex-agent. It is the tool's own script, or one that asks its hook; exit 1 where a current description says of neither that it is there.",
        ],
        &[],
        completion,
    )
};
static CANDIDATES: Command<Args> = Command {
    completes: &[Completes::Tools, Completes::Nothing],
    greedy: true,
    ..command(
        "candidates",
        "print what the completion hook of a tool offers",
        "NAME [WORD...]",
        &[
            "Plumbing. The last word is the one to complete, and may be empty. In each line a candidate, a TAB, and what it is; escaped as plain lines are.",
        ],
        &[],
        candidates,
    )
};

static TOOL: Tool = Tool {
    name: "codex-agent-plugin",
    about: about("plugin"),
    description: &[
        "Any executable called codex-agent-NAME on PATH is a tool, in whatever language it is written; codex-agent-plugins(7) has the rules for whoever writes one. This tool tells which there are, keeps what they say of themselves, and tries whether they keep the rules.",
        "No tool of somebody else is run only to be listed or completed. 'add' asks it once for its description and keeps the answer together with the path, the size and the time of the executable. When the executable changes, the description is stale: it is shown as such and used for nothing, until 'refresh' asks again.",
    ],
    commands: &[&LIST, &WHICH, &DESCRIBE, &ADD, &REFRESH, &FORGET, &CHECK, &COMPLETION, &CANDIDATES],
    exit_status: &[
        (0, "Done; for 'check', also where checks were skipped."),
        (1, "There is no such tool, nothing is known of it, or a check failed."),
        (
            2,
            "Bad usage, or trouble: a tool that cannot be run or does not describe itself. What is kept of tools cannot be read, for 'list' too, which lists them without it.",
        ),
    ],
    environment: &[
        ("CODEX_AGENT_STATE_HOME", "Where descriptions are kept; see codex-agent-files(5)."),
        ("CODEX_AGENT_EXEC_PATH", "Folders with tools, separated by colons; looked at before PATH."),
        ("TMPDIR", "Where 'check' makes its temporary home, instead of /tmp."),
    ],
    files: &[("~/.local/state/codex-agent/plugins.json", "What is kept of tools.")],
    examples: &[
        Example {
            text: "Which tools there are, and what they are for:",
            command: "codex-agent plugin list",
            exit: 0,
        },
        Example {
            text: "The external tools, by name:",
            command: "codex-agent plugin list --json | jq -r 'select(.type == \"tool\" and .ours == false).name'",
            exit: 0,
        },
        Example { text: "Where one is:", command: "codex-agent plugin which ls", exit: 0 },
        Example {
            text: "Whether a tool keeps the rules, as a filter of sessions:",
            command: "codex-agent plugin check find -- --json -",
            exit: 0,
        },
    ],
    see_also: &[
        "codex-agent(1)",
        "codex-agent-demo(1)",
        "codex-agent-plugins(7)",
        "codex-agent-records(5)",
        "codex-agent-files(5)",
        "codex-agent(7)",
    ],
    reads: &[],
    writes: &["tool", "plugin.problem", "plugin.check"],
    epilogue: "",
    completions: None,
};

fn main() -> ExitCode {
    cli::main(&TOOL)
}
