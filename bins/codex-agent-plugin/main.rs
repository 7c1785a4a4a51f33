//! codex-agent-plugin: list, describe and check external tools.
//!
//! An external tool is run by `add` and `check` alone, and by `completion` and `candidates` where its description
//! allows it. `add` asks all of the tools before it writes anything.

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
use verbs::{add, describe, list, remove, which};

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
    /// The names, at least one.
    fn names(&self) -> Result<&[String]> {
        match self.operands[..] {
            [] => {
                Err(Error::usage("the name of a tool is missing").hint("codex-agent plugin list lists them"))
            }
            _ => Ok(&self.operands),
        }
    }

    /// The only name.
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

const ABOUT: Flag<Args> = Flag {
    short: None,
    long: "about",
    takes: Takes::Text("TEXT"),
    help: "describe the tool with this summary, without running it",
    more: "For a tool that prints no description, and for one that should not be run only for that. One name goes with it.",
    set: |args, value| {
        args.about = Some(value.text()?);
        Ok(())
    },
};

const ALL: Flag<Args> = Flag {
    short: Some('a'),
    long: "all",
    takes: Takes::Nothing,
    help: "print the executables that are not run, too",
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
    help: "make this check alone; may be given more than once",
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
    help: "feed the tool these records, instead of those of the sample home",
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
        "list the tools and their summaries",
        "",
        &[
            "In a pipe: name, summary, path, the paths that it shadows, version, and whether its description is known or none, with TABs between.",
            "Problems are printed on standard error with the reason: a file that another one shadows, one that is not executable, one whose name cannot be a tool, a directory that cannot be read, an interpreter that is not there. With --json these are records of type plugin.problem after the others.",
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
    "print the description of a tool",
    "NAME",
    &[
        "A word and a value on each line, with a TAB between. An external tool is not run for it. A tool without a description is exit status 1.",
    ],
    &[("Options", &[flags::json("the tool's record")])],
    describe,
);
static ADD: Command<Args> = command(
    "add",
    "write the descriptions of tools, by asking them",
    "NAME...",
    &[
        "Runs each tool once, as 'codex-agent-NAME --generate describe', with nothing to read, for 5 seconds at the most and for up to 64 KiB. If one of them does not print its description, nothing is written. A tool that ignores its options does its work at that moment: use --about for it.",
        "From then on the tool is listed with its summary, and completed if its description allows that. After an update of the tool, add it again. A file there that is no description is never overwritten.",
    ],
    &[("Options", &[ABOUT, TOOL_JSON])],
    add,
);
static REMOVE: Command<Args> = command(
    "remove",
    "remove descriptions of your own",
    "NAME...",
    &["The tools themselves stay where they are. A description that a package has installed is not removed."],
    &[],
    remove,
);
static CHECK: Command<Args> = Command {
    completes: &[Completes::Tools, Completes::Nothing],
    ..command(
        "check",
        "check whether a tool keeps the rules",
        "NAME|PATH [-- ARGUMENT...]",
        &[
            "The rules are those of codex-agent-plugins(7). The tool is run many times, in a temporary home with a sample of sessions and a Codex that has no model, with limits of time and memory. Home, state and temporary directory are its own; but it is a program that runs with your rights, and nothing confines it.",
            "A line for each check: ok, failed or skipped, its name, the observation, and why the rule matters if it failed. In a pipe these four stand with TABs between. Without a description only those checks are made that need none.",
            "The ARGUMENTs are those with which it reads records from standard input and writes records to standard output, where its description does not name them.",
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
            "Plumbing for the completion of codex-agent. It is the tool's own script, or one that asks its hook; exit status 1 where its description has neither.",
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
        "print the candidates of the completion hook of a tool",
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
        "Any executable called codex-agent-NAME on PATH is a tool, in whatever language it is written; codex-agent-plugins(7) has the rules for authors. This tool lists the tools, writes their descriptions, and checks whether they keep the rules.",
        "No external tool is run only to be listed. A description is a file, codex-agent/tools/NAME.json: your own in $XDG_DATA_HOME, which 'add' writes and 'remove' removes, or one that a package has installed in a directory of $XDG_DATA_DIRS. Your own comes first. A file that cannot be read is skipped with a warning that names it.",
    ],
    commands: &[&LIST, &WHICH, &DESCRIBE, &ADD, &REMOVE, &CHECK, &COMPLETION, &CANDIDATES],
    exit_status: &[
        (0, "Done; for 'check', also where checks were skipped."),
        (1, "There is no such tool, it has no description, or a check failed."),
        (
            2,
            "Bad usage, or trouble: a tool that cannot be run or prints no description, a description that cannot be read or is not your own.",
        ),
    ],
    environment: &[
        ("CODEX_AGENT_EXEC_PATH", "Directories with tools, separated by colons; searched before PATH."),
        ("XDG_DATA_HOME", "The directory of your own descriptions, instead of ~/.local/share."),
        (
            "XDG_DATA_DIRS",
            "Directories with descriptions of packages, separated by colons, instead of /usr/local/share:/usr/share.",
        ),
        ("TMPDIR", "Where 'check' makes its temporary home, instead of /tmp."),
    ],
    files: &[
        ("~/.local/share/codex-agent/tools/NAME.json", "A description of your own."),
        ("/usr/share/codex-agent/tools/NAME.json", "A description that a package has installed."),
    ],
    examples: &[
        Example { text: "List the tools and their summaries:", command: "codex-agent plugin list", exit: 0 },
        Example {
            text: "List the names of external tools:",
            command: "codex-agent plugin list --json | jq -r 'select(.type == \"tool\" and .ours == false).name'",
            exit: 0,
        },
        Example { text: "Print the path of a tool:", command: "codex-agent plugin which ls", exit: 0 },
        Example {
            text: "Check whether a tool keeps the rules, as a filter of sessions:",
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
