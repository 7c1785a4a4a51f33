//! codex-agent-plugin: list, describe and check external tools.
//!
//! An external tool is run by `add` and `check` alone, and by `completion` and `candidates` where its description
//! allows it. `add` asks all of the tools before it writes anything.

use std::path::PathBuf;
use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Takes, Tool, Value, flags};
use codex_agent_shared::error::{Error, Result};

mod check;
mod complete;
mod verbs;

use check::check;
use complete::{candidates, completion};
use verbs::{add, describe, list, remove, which};

/// The arguments of this tool alone.
#[derive(Default)]
struct Own {
    about: Option<String>,
    all: bool,
    only: Vec<String>,
    input: Option<PathBuf>,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

/// The first operand, the name of a tool, and the operands after it.
fn tool_names(args: &Args) -> Result<(&str, &[String])> {
    match &args.operands[..] {
        [] => {
            Err(Error::usage("the name of a tool is missing")
                .hint("'codex-agent plugin list' lists the tools"))
        }
        [first, rest @ ..] => Ok((first, rest)),
    }
}

/// The only operand, the name of a tool.
fn tool_name(args: &Args) -> Result<&str> {
    match tool_names(args)? {
        (name, []) => Ok(name),
        (_, [second, ..]) => Err(Error::usage(format!("unexpected operand '{second}'"))),
    }
}

fn commands() -> Vec<Command<Args>> {
    vec![
        Command::verb("list", "list the tools and their summaries", list)
            .aliases(&["ls"])
            .details(&[
                "In a pipe: name, summary, path, the paths that it shadows, version, and whether its description is known or none, separated by TABs.",
                "Problems are printed on standard error with the reason: a file that another file shadows, a file that is not executable, a file whose name cannot be the name of a tool, a directory that cannot be read, a missing interpreter. With --json each problem is a record of type plugin.problem, after the tools.",
            ])
            .flags("Options", [flags::json("records of type tool and plugin.problem, one a line")]),
        Command::verb("which", "print the path of the executable that is run", which)
            .operands("NAME", &[Completes::Tools])
            .flags(
                "Options",
                [Flag::switch("all", "also print the executables that are not run", |args: &mut Args| {
                    &mut args.own.all
                })
                .short('a')],
            ),
        Command::verb("describe", "print the description of a tool", describe)
            .operands("NAME", &[Completes::Tools])
            .details(&[
                "Each line is a name and a value, separated by a TAB. The tool is not run. The exit status is 1 if the tool has no description.",
            ])
            .flags("Options", [flags::json("the tool's record")]),
        Command::verb("add", "ask tools for their descriptions, and write them", add)
            .operands("NAME...", &[Completes::Tools])
            .details(&[
                "Runs each tool once, as 'codex-agent-NAME --generate describe', without input, for at most 5 seconds and 64 KiB. If one of the tools does not print its description, nothing is written. A tool that ignores its options does its usual work instead: use --about for such a tool.",
                "From then on the tool is listed with its summary, and completed if its description allows that. After an update of the tool, add the tool again. A file that is no description is never overwritten.",
            ])
            .flags(
                "Options",
                [
                    Flag::text("about", "TEXT", "describe the tool with this summary, without running it", |args: &mut Args| {
                        &mut args.own.about
                    })
                    .more("For a tool that prints no description, or should not be run for it. Only one name may be given."),
                    flags::json("tool records, one a line"),
                ],
            ),
        Command::verb("remove", "remove descriptions of your own", remove)
            .operands("NAME...", &[Completes::Tools])
            .details(&[
                "The tools themselves stay where they are. A description that a package has installed is not removed.",
            ]),
        Command::verb("check", "check whether a tool keeps the rules", check)
            .operands("NAME|PATH [-- ARGUMENT...]", &[Completes::Tools, Completes::Nothing])
            .details(&[
                "The rules are those of codex-agent-plugins(7). The tool is run many times, in a temporary home with a sample of sessions and a Codex that has no model, with limits of time and memory. The home, state and temporary directories of these runs are temporary, but the tool runs with your rights and is not confined.",
                "Each check prints a line: ok, failed or skipped, the name of the check, the observation, and, for a failed check, the reason for the rule. In a pipe these columns are separated by TABs. Checks that need a description are skipped without one.",
                "With the ARGUMENTs the tool reads records from standard input and writes records to standard output. They are not needed if the description of the tool has them.",
            ])
            .flags(
                "Options",
                [
                    Flag::parsed(
                        "only",
                        Takes::OneOf("CHECK", check::values),
                        "make only this check; may be given more than once",
                        Value::text,
                        |args: &mut Args| &mut args.own.only,
                    ),
                    Flag::file("input", "use the records of this file as input, instead of those of the sample home", |args| {
                        &mut args.own.input
                    })
                    .more("For a tool that reads records of a type that codex-agent does not write. FILE is a regular file of at most 64 MiB."),
                    flags::json("records of type plugin.check, one a line"),
                    flags::color(),
                ],
            ),
        Command::verb("completion", "print a script that completes a tool in a shell", completion)
            .operands("NAME bash|zsh|fish", &[Completes::Tools, Completes::Nothing])
            .details(&[
                "Plumbing for the completion of codex-agent. The script is the tool's own; for a tool of the package, it is the script for all tools. The exit status is 1 if the description names no script for the shell.",
            ]),
        Command::verb("candidates", "print the candidates of the completion hook of a tool", candidates)
            .operands("NAME [WORD...]", &[Completes::Tools, Completes::Nothing])
            .greedy()
            .details(&[
                "Plumbing for the completion of codex-agent. The last WORD is the word to complete, and may be empty. Each line is a candidate, a TAB, and its meaning, escaped like other plain lines.",
            ]),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-plugin")
        .description([
            "Any executable called codex-agent-NAME on PATH is a tool, in whatever language it is written; codex-agent-plugins(7) has the rules for authors. This tool lists the tools, writes their descriptions, and checks whether they keep the rules.",
            "No external tool is run only to be listed. A description is a file, codex-agent/tools/NAME.json: your own in $XDG_DATA_HOME, which 'add' writes and 'remove' removes, or one that a package has installed in a directory of $XDG_DATA_DIRS. Your own description overrides that of a package. A file that cannot be read is skipped with a warning that names it.",
        ])
        .commands(commands())
        .exit_status(&[
            (0, "Done; for 'check', also where checks were skipped."),
            (1, "There is no such tool, it has no description, or a check failed."),
            (
                2,
                "Bad usage, or trouble: a tool that cannot be run or prints no description, a description that cannot be read or is not your own.",
            ),
        ])
        .environment(&[
            ("CODEX_AGENT_EXEC_PATH", "Directories with tools, separated by colons; searched before PATH."),
            ("XDG_DATA_HOME", "The directory of your own descriptions, instead of ~/.local/share."),
            (
                "XDG_DATA_DIRS",
                "Directories with descriptions of packages, separated by colons, instead of /usr/local/share:/usr/share.",
            ),
            ("TMPDIR", "The directory of the temporary home of 'check', instead of /tmp."),
        ])
        .files(&[
            ("~/.local/share/codex-agent/tools/NAME.json", "A description of your own."),
            ("/usr/share/codex-agent/tools/NAME.json", "A description that a package has installed."),
        ])
        .examples(&[
            ("List the tools and their summaries:", "codex-agent plugin list"),
            (
                "List the names of external tools:",
                "codex-agent plugin list --json | jq -r 'select(.type == \"tool\" and .ours == false).name'",
            ),
            ("Print the path of a tool:", "codex-agent plugin which ls"),
            (
                "Check whether a tool keeps the rules, as a filter of sessions:",
                "codex-agent plugin check find -- --json -",
            ),
        ])
        .see_also("codex-agent(1) codex-agent-demo(1) codex-agent-plugins(7) codex-agent-records(5) codex-agent-files(5) codex-agent(7)".split(' '))
        .writes(["tool", "plugin.problem", "plugin.check"])
}

fn main() -> ExitCode {
    cli::main(tool())
}
