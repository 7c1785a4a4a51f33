//! codex-agent-ls: list Codex sessions.
//!
//! The flags fill a query, which the index answers, and a shape, by which the output writes the sessions.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::remote::{Operands, Order, Remote};
use codex_agent_shared::cli::{Command, Tool, filters, flags};
use codex_agent_shared::codex::drift::check;
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::{Error, Exit, Result, status};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::{Sessions, Shape};
use codex_agent_shared::query::Query;
use codex_agent_shared::record::Field;
use codex_agent_shared::text::{counted, harmless, quoted};

/// The arguments of this tool alone.
#[derive(Default)]
struct Own {
    check: bool,
}

type Args = cli::Args<Own>;

/// An operand is a mistake, most often a word to search for.
fn refuse(_: &mut Args, word: OsString) -> Result<()> {
    let word = word.to_string_lossy();
    let hint = match &*word {
        number if number.parse::<usize>().is_ok() => format!(
            "'codex-agent ls -n {number}' lists {}",
            counted(number.parse::<usize>().unwrap_or_default(), "session")
        ),
        directory if Path::new(directory).is_dir() => {
            format!("'codex-agent ls --under {}' lists the sessions of the directory", quoted(directory))
        }
        word => format!("'codex-agent find {}' finds sessions by reference or text", quoted(word)),
    };
    Err(Error::usage(format!("unexpected operand '{word}'")).hint(hint))
}

fn tool() -> Tool {
    Tool::ours("codex-agent-ls")
        .description([
            "Lists Codex sessions, the newest first. Sessions are read from Codex's database and from Codex's rollouts (the files of the sessions): a session is listed if it has a row in the database, a rollout, or both. Archived sessions and subagents are not listed by default.",
            "On a terminal, the list is a table with these columns: the last eight digits of the id, the age of the last turn, the working directory, and the name of the session, or the title of a session without a name. The title is the first message of the user, or the path and the task of a subagent; for a fork without a message, the table shows which session was forked. Every tool accepts the digits in the first column as a reference to the session.",
            "In a pipe, each session is one line with these columns, separated by TABs, without a heading: id, time of the last turn, working directory, name or title. In a value, TAB, newline, carriage return and backslash are printed as \\t, \\n, \\r and \\\\, and other control characters in the form \\x1b, so that a title can neither look like another line nor control a terminal. With --json, session records for other tools are printed:",
            "    codex-agent ls --json --under ~/src | codex-agent group add work",
            "A session is listed if it matches all filters; a filter that is given more than once matches if one of its values matches. In a PATTERN, a star matches any characters; a PATTERN without a star matches only an equal value. Upper and lower case are distinguished.",
            "The fields forked_from, status and resume_command are not in Codex's database. These fields are read from the rollouts if --full is given, or if --fields or --format names one of them. The fields turns, tokens and last_message are read from the transcripts, which takes longer, and only if --fields or --format names one of them.",
        ])
        .command(
            Command::new(run)
                .operand("", &[], refuse)
                .flags("Filters", filters::filters())
                .flags("Order", filters::order())
                .flags(
                    "Output options",
                    flags::session_output().into_iter().chain([
                        filters::count(),
                        flags::color(),
                    ]),
                )
                .flags(
                    "Sources",
                    [
                        flags::host(),
                        flags::codex_home(),
                        flags::no_files(),
                        flags::no_database(),
                        cli::Flag::switch(
                            "check",
                            "report where Codex's database and rollouts disagree, instead of listing sessions",
                            |args: &mut Args| &mut args.own.check,
                        )
                        .more("The first line of each rollout is read. If there is a problem, the exit status is 1. With --json, a record of type problem is printed for each problem, and then a record of type check as the summary."),
                    ],
                )
                .on_hosts(),
        )
        .exit_status(&[
            (0, "The sessions were listed; the status is also 0 if no session matched."),
            (
                1,
                "With --check, a problem was found; otherwise the group of --group or the session of --forks-of does not exist.",
            ),
            (2, "Bad usage, or neither Codex's database nor its rollouts could be read."),
        ])
        .files(&[
            ("~/.codex/state_N.sqlite", "Codex's database; the file with the highest number N is read."),
            ("~/.codex/sessions/, ~/.codex/archived_sessions/", "The rollouts of sessions."),
            ("~/.codex/session_index.jsonl", "Names of sessions."),
            ("~/.config/codex-agent/groups.json", "The groups of sessions, read for --group."),
        ])
        .examples(&[
            ("List the ten newest sessions:", "codex-agent ls -n 10"),
            (
                "Print the sessions of the current directory and the directories below it, as records:",
                "codex-agent ls --json --under .",
            ),
            (
                "Count the sessions of each directory:",
                "codex-agent ls --fields cwd | sort | uniq -c | sort -rn",
            ),
            (
                "Choose among the sessions of a branch, and resume one (fzf in place of 'codex-agent pick' needs -d '\\t' --with-nth 4 to show titles):",
                "codex-agent ls --json --branch main | codex-agent pick --one | codex-agent resume -",
            ),
            (
                "Print the ids of all sessions on feature branches:",
                "codex-agent ls --branch 'feature/*' --format '{id}'",
            ),
            (
                "List the sessions of the last week that used the most tokens (the number of a fork includes the session that was forked):",
                "codex-agent ls --since 7d --sort tokens -n 10 --fields tokens_used,short,title",
            ),
            ("Print the parent of each fork:", "codex-agent ls --fields id,forked_from,title"),
            ("List the sessions of all hosts of config.toml and of this machine:", "codex-agent ls --host .,all"),
            ("Check whether Codex's database and files agree:", "codex-agent ls --check"),
        ])
        .see_also("codex-agent(1) codex-agent-find(1) codex-agent-group(1) codex-agent-records(5) codex-agent-files(5) codex-agent(7)".split(' '))
        .writes(["session", "problem", "check"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(args: Args) -> Result<Exit> {
    let selection = &args.common.selection;
    let asks_more = selection.is_given()
        || args.common.fields.is_some()
        || args.common.template.is_some()
        || args.common.nul
        || args.common.full
        || args.common.no_files;
    if args.own.check && asks_more {
        return Err(Error::usage(
            "--check reads all sessions, and can be combined only with --json, --no-database and --codex-home",
        ));
    }
    let shape = args.common.shape()?;
    if let Some(remote) = args.common.on_hosts("ls", Operands::default())? {
        return list_on_hosts(&args, remote, shape);
    }
    let mut index = args.common.index()?;
    if args.own.check {
        return report_problems(&args, &mut index);
    }
    let query = Query {
        filter: selection.filter(&mut index)?,
        sort: selection.sort.unwrap_or_default(),
        offset: selection.offset,
        limit: selection.limit,
        fields: if selection.count { vec![Field::Id] } else { shape.needed() },
        full: args.common.full,
    };
    if selection.count {
        let count = index.list(&query, &mut |_| Ok(()))?;
        return cli::print(&format!("{count}\n"));
    }
    let mut sessions = Sessions::new(shape).completed_by(&index);
    let count = index.list(&query, &mut |session| sessions.write(session))?;
    sessions.finish()?;
    if count == 0 {
        selection.note_none(&mut index, "no sessions were found")?;
    }
    Ok(Exit::Done)
}

/// Lists the sessions of hosts in one order. Records are printed as they come if neither order nor page is asked for.
fn list_on_hosts(args: &Args, remote: Remote<'_>, shape: Shape) -> Result<Exit> {
    let selection = &args.common.selection;
    let is_page = selection.limit.is_some() || selection.offset > 0 || selection.sort.is_some();
    if selection.count {
        let (count, exit) = remote.count()?;
        return cli::print(&format!("{count}\n")).map(|_| exit);
    }
    if shape.json && shape.fields.is_none() && !is_page {
        return remote.stream_sessions();
    }
    remote.print_sessions(shape, Order::Sorted(selection.sort.unwrap_or_default()))
}

fn report_problems(args: &Args, index: &mut Index) -> Result<Exit> {
    let mut output = Output::stdout();
    let summary = check(index, &mut |problem| {
        if args.common.json {
            output.record(problem)
        } else {
            output.text(harmless(&problem.to_string()).as_bytes(), b"\n")
        }
    })?;
    if args.common.json {
        output.record(&summary)?;
    }
    output.flush()?;
    if !args.common.json {
        status(&summary);
    }
    Ok(if summary.problems == 0 { Exit::Done } else { Exit::Negative })
}
