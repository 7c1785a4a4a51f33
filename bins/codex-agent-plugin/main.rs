//! codex-agent-plugin: list, describe and check external tools.
//!
//! An external tool is run by `add` and `check` alone, and by `completion` and `candidates` where its description
//! allows it. `add` asks all of the tools before it writes anything.

use std::path::PathBuf;
use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::flags::ListingHelp;
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

fn listing() -> impl Iterator<Item = Flag> {
    let help = ListingHelp {
        json: "print records of type tool and plugin.problem, one per line",
        format: "a template such as '{name}\\t{about}'",
        limit: "list at most N tools",
        fields: || flags::fields_of(&["tool"], &[]),
    };
    flags::listing_output(&help).into_iter()
}

fn commands() -> Vec<Command<Args>> {
    vec![
        Command::verb("list", "list the tools and their summaries", list)
            .aliases(&["ls"])
            .details(&[
                "In a pipe, each tool is one line with these columns, separated by TABs: name; summary; path; paths of executables of the same name that are not run (shadowed); version; the word known if the tool has a description, or none.",
                "Files that cannot be run as tools are reported on standard error, with the reason: another executable of the same name is run instead, the file is not executable, the name of the file is not a valid name of a tool, the directory cannot be read, or the interpreter of a script does not exist. With --json, each of these problems is a record of type plugin.problem, after the records of the tools.",
            ])
            .flags("Options", listing()),
        Command::verb("which", "print the path of the executable that is run for a name", which)
            .operands("NAME", &[Completes::Tools])
            .flags(
                "Options",
                [Flag::switch("all", "also print the executables of the same name that are not run", |args: &mut Args| {
                    &mut args.own.all
                })
                .short('a')],
            ),
        Command::verb("describe", "print the description of a tool", describe)
            .operands("NAME", &[Completes::Tools])
            .details(&[
                "Each line has the name of a field of the description and its value, separated by a TAB. The tool is not run. If the tool has no description, the exit status is 1.",
            ])
            .flags("Options", [flags::json("print the record of the tool")]),
        Command::verb("add", "save the descriptions that tools print", add)
            .operands("NAME...", &[Completes::Tools])
            .details(&[
                "Each tool is run once, as 'codex-agent-NAME --generate describe', without input; it may run for 5 seconds and print 64 KiB. If one of the tools does not print its description, no description is saved. A tool that ignores its options does its usual work instead of printing its description: use --about for such a tool.",
                "After that, listings show the summary of the tool, and shells complete its arguments if the description states that the tool supports completion. After an update of the tool, add the tool again. A file that is not a description is never overwritten.",
            ])
            .flags(
                "Options",
                [
                    Flag::text("about", "TEXT", "save TEXT as the summary of the tool, without running the tool", |args: &mut Args| {
                        &mut args.own.about
                    })
                    .more("This option is for a tool that prints no description, or should not be run to print its description. Only one NAME may be given with it."),
                    flags::json("print tool records, one per line"),
                ],
            ),
        Command::verb("remove", "remove descriptions that 'plugin add' saved", remove)
            .operands("NAME...", &[Completes::Tools])
            .details(&[
                "The tools themselves are not removed, nor are descriptions that a software package has installed.",
            ]),
        Command::verb("check", "check that a tool follows the rules for tools", check)
            .operands("NAME|PATH [-- ARGUMENT...]", &[Completes::Tools, Completes::Nothing])
            .details(&[
                "The rules are those of codex-agent-plugins(7). The tool is run many times, with limits of time and memory, with a temporary home directory of Codex that has sample sessions, and with a Codex that has no model. The tool's home, state and temporary directories are temporary directories too, but the tool runs with the permissions of the user and is not confined.",
                "For each check, a line is printed: the result (ok, failed or skipped), the name of the check, the behaviour of the tool, and, for a failed check, the reason for the rule. In a pipe, these columns are separated by TABs. Checks that need a description are skipped if the tool has no description.",
                "ARGUMENT... are the arguments with which the tool reads records from standard input and prints records. The arguments need not be given if the description of the tool names them in its field pipe.",
            ])
            .flags(
                "Options",
                [
                    Flag::parsed(
                        "only",
                        Takes::OneOf("CHECK", check::values),
                        "make only the check with this name; may be given more than once",
                        Value::text,
                        |args: &mut Args| &mut args.own.only,
                    ),
                    Flag::file("input", "use the records in FILE as the input of the tool, instead of sample records", |args| {
                        &mut args.own.input
                    })
                    .more("This option is for a tool that reads records of a type that codex-agent does not print. FILE is a regular file of at most 64 MiB."),
                    flags::json("print records of type plugin.check, one per line"),
                    flags::color(),
                ],
            ),
        Command::verb("completion", "print a script that completes a tool in a shell", completion)
            .operands("NAME bash|zsh|fish", &[Completes::Tools, Completes::Nothing])
            .details(&[
                "The completion scripts of codex-agent run this verb. The printed script is that of the tool itself; for a tool of the package codex-agent, it is the script for all tools. If the description of the tool names no script for the shell, the exit status is 1.",
            ]),
        Command::verb("candidates", "print the candidates of the completion hook of a tool", candidates)
            .operands("NAME [WORD...]", &[Completes::Tools, Completes::Nothing])
            .greedy()
            .details(&[
                "The completion scripts of codex-agent run this verb. The last WORD is the word to complete, and may be empty. Each line of the output has a candidate, a TAB, and the meaning of the candidate, escaped like other plain lines.",
            ]),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-plugin")
        .description([
            "Any executable called codex-agent-NAME on PATH, in any programming language, is a tool, which 'codex-agent NAME' runs. A tool that does not belong to the package codex-agent is an external tool; codex-agent-plugins(7) has the rules for authors of external tools. codex-agent-plugin lists the tools, saves the descriptions of external tools, and checks that tools follow the rules.",
            "No external tool is run only to be listed. Listings read the description of the tool NAME from the file codex-agent/tools/NAME.json, in $XDG_DATA_HOME, where the verb add writes the file and the verb remove removes it, or else in the directory share beside the directory bin of the tool, or in a directory of $XDG_DATA_DIRS, where a software package may install the file. The file in $XDG_DATA_HOME overrides the others. A file that cannot be read is skipped with a warning that names the file.",
        ])
        .commands(commands())
        .exit_status(&[
            (0, "Done; for check, no check failed, but checks may have been skipped."),
            (1, "The tool does not exist, the tool has no description, or a check failed."),
            (
                2,
                "Bad usage, a tool that cannot be run or prints no description, or a description that cannot be read or that 'codex-agent plugin add' did not save.",
            ),
        ])
        .environment(&[
            ("CODEX_AGENT_EXEC_PATH", "Directories with tools, separated by colons; searched before PATH."),
            ("XDG_DATA_HOME", "The directory below which the verb add saves descriptions, instead of ~/.local/share."),
            (
                "XDG_DATA_DIRS",
                "The directories below which software packages install descriptions, separated by colons, instead of /usr/local/share:/usr/share.",
            ),
            ("TMPDIR", "The directory in which the verb check creates its temporary directories, instead of /tmp."),
        ])
        .files(&[
            ("~/.local/share/codex-agent/tools/NAME.json", "A description that the verb add saved."),
            ("/usr/share/codex-agent/tools/NAME.json", "A description that a software package has installed."),
        ])
        .examples(&[
            ("List the tools and their summaries:", "codex-agent plugin list"),
            (
                "List the names of external tools:",
                "codex-agent plugin list --json | jq -r 'select(.type == \"tool\" and .ours == false).name'",
            ),
            ("Print the path of a tool:", "codex-agent plugin which ls"),
            (
                "Check that a tool, here codex-agent-find, follows the rules for a filter of session records:",
                "codex-agent plugin check find -- --json -",
            ),
        ])
        .see_also("codex-agent(1) codex-agent-demo(1) codex-agent-plugins(7) codex-agent-records(5) codex-agent-files(5) codex-agent(7)".split(' '))
        .writes(["tool", "plugin.problem", "plugin.check"])
}

fn main() -> ExitCode {
    cli::main(tool())
}
