//! codex-agent-ls: list Codex sessions.
//!
//! The flags fill a query, which the index answers, and a shape, by which the output writes the sessions.

use std::path::PathBuf;
use std::process::ExitCode;

use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Takes, Tool, Value, flags};
use codex_agent_shared::codex::drift::check;
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::{Error, Exit, Result, note, status};
use codex_agent_shared::group::Groups;
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::Sessions;
use codex_agent_shared::query::{Archived, Clock, Directory, Filter, Query, Sort, SortKey};
use codex_agent_shared::record::{Field, Status};
use codex_agent_shared::reference;
use codex_agent_shared::text::harmless;
use codex_agent_shared::time::{parse_end, parse_moment};

/// The arguments of this tool alone.
#[derive(Default, PartialEq)]
struct Own {
    filter: Filter,
    cwd: Vec<PathBuf>,
    under: Vec<PathBuf>,
    groups: Vec<String>,
    forks_of: Option<String>,
    sort: Sort,
    limit: Option<usize>,
    offset: usize,
    count: bool,
    check: bool,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

/// A flag that adds a pattern to a list of the filter. An empty pattern is most often a variable that is not set.
fn pattern(long: &'static str, help: &'static str, place: fn(&mut Filter) -> &mut Vec<String>) -> Flag {
    Flag::new(long, Takes::Text("PATTERN"), help, move |args, value| {
        let text = value.text()?;
        if text.is_empty() {
            return Err(Error::usage("invalid value '': the pattern is empty"));
        }
        place(&mut args.own.filter).push(text);
        Ok(())
    })
}

fn filters() -> Vec<Flag> {
    vec![
        Flag::directory("cwd", "list only sessions of this directory", |args| &mut args.own.cwd)
            .more("Symbolic links in DIR are followed, as Codex does. May be given more than once."),
        Flag::directory(
            "under",
            "list only sessions of this directory and of all directories below it",
            |args| &mut args.own.under,
        ),
        pattern("repo", "list only sessions whose git remote 'origin' matches", |filter| &mut filter.repo)
            .offers(Field::OriginUrl)
            .more("PATTERN is a complete URL, or a part of the URL between stars: '*acme/alpha*'."),
        pattern("branch", "list only sessions started on this git branch", |filter| &mut filter.branch).offers(Field::Branch),
        pattern("source", "list only sessions from this kind of program: exec, cli, vscode, ...", |filter| &mut filter.source)
            .more("Codex sets the source of a session. In Codex 0.169, sessions of the Codex TUI have the source vscode; --originator distinguishes the sessions of people from those of programs."),
        pattern("originator", "list only sessions created by this program", |filter| &mut filter.originator)
            .more("The originator of 'codex exec' is codex_exec, that of the Codex TUI is codex-tui. Databases of Codex before 0.154 do not have the originator."),
        pattern("provider", "list only sessions with this model provider", |filter| &mut filter.provider),
        pattern("model", "list only sessions with this model", |filter| &mut filter.model).offers(Field::Model),
        pattern("cli-version", "list only sessions created by this version of Codex", |filter| &mut filter.cli_version)
            .more("For example, '0.13*' matches the versions 0.13.0 and 0.130.0 to 0.139.0."),
        pattern("name", "list only sessions with this name", |filter| &mut filter.name),
        Flag::switch("named", "list only sessions that have a name", |args| &mut args.own.filter.named),
        Flag::parsed(
            "since",
            Takes::Text("TIME"),
            "list only sessions updated at or after this time",
            |value| parse_moment(&value.text()?),
            |args| &mut args.own.filter.since,
        )
        .more("TIME is 2d, 12h, 1w, yesterday, monday, 2026-11-22, 2026-11-22T10:50 (local time) or RFC 3339. A day begins at midnight, local time."),
        Flag::parsed(
            "until",
            Takes::Text("TIME"),
            "list only sessions updated at or before this time",
            |value| parse_end(&value.text()?),
            |args| &mut args.own.filter.until,
        )
        .more("If TIME is a day, such as 2026-11-22, yesterday or monday, sessions of this day are included."),
        Flag::choice::<Clock, _>("time", "WHICH", "the time that --since and --until compare", |args| {
            &mut args.own.filter.clock
        })
        .default("updated"),
        Flag::parsed(
            "group",
            Takes::Group("NAME"),
            "list only sessions of this group",
            Value::text,
            |args| &mut args.own.groups,
        )
        .more("If the option is given more than once, the sessions of all of these groups are listed. See codex-agent-group(1)."),
        Flag::parsed(
            "forks-of",
            Takes::Session("REF"),
            "list only forks of this session",
            Value::text,
            |args| &mut args.own.forks_of,
        )
        .more("Codex's database does not have the parents of forks: the rollout of each session that matches the other filters is read."),
        Flag::choice::<Status, _>("status", "STATUS", "list only sessions whose last turn has this status", |args| {
            &mut args.own.filter.status
        })
        .more("If the option is given more than once, sessions with any of the values are listed. Codex's database does not have the status: the rollout of each session that matches the other filters is read."),
        Flag::new("archived", Takes::Perhaps("only", || vec![("only", "")]), "also list archived sessions; with =only, list only archived sessions", |args, value| {
            args.own.filter.archived = if value.perhaps()?.is_some() { Archived::Only } else { Archived::With };
            Ok(())
        }),
        Flag::switch(
            "subagents",
            "also list subagents",
            |args| &mut args.own.filter.subagents,
        ),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-ls")
        .description([
            "Lists Codex sessions, the newest first. Sessions are read from Codex's database and from Codex's rollouts (the files of the sessions): a session is listed if it has a row in the database, a rollout, or both. Archived sessions and subagents are not listed by default.",
            "On a terminal, the list is a table with these columns: the last eight digits of the id, the age of the last turn, the working directory, and the name of the session, or the title of a session without a name. The title is the first message of the user; for a fork without a message, the table shows which session was forked. Every tool accepts the digits in the first column as a reference to the session.",
            "In a pipe, each session is one line with these columns, separated by TABs, without a heading: id, time of the last turn, working directory, name or title. In a value, TAB, newline, carriage return and backslash are printed as \\t, \\n, \\r and \\\\, and other control characters in the form \\x1b, so that a title can neither look like another line nor control a terminal. With --json, session records for other tools are printed:",
            "    codex-agent ls --json --under ~/src | codex-agent group add work",
            "A session is listed if it matches all filters; a filter that is given more than once matches if one of its values matches. In a PATTERN, a star matches any characters; a PATTERN without a star matches only an equal value. Upper and lower case are distinguished.",
            "The fields forked_from, status and resume_command are not in Codex's database. These fields are read from the rollouts if --full is given, or if --fields or --format names one of them.",
        ])
        .command(
            Command::new(run)
                .hint("'codex-agent find' finds sessions by reference or text")
                .flags("Filters", filters())
                .flags(
                    "Order",
                    [
                        Flag::parsed(
                            "sort",
                            Takes::Words("KEY[:ORDER]", SortKey::values),
                            "sort by KEY, KEY:asc or KEY:desc",
                            |value| Sort::parse(&value.text()?),
                            |args: &mut Args| &mut args.own.sort,
                        )
                        .short('s')
                        .default("updated")
                        .more("Without an ORDER, times and numbers of tokens are sorted in descending order, and text in ascending order. Sessions with equal values are sorted by id, so that the order is always the same."),
                        Flag::number("limit", "N", .., "list at most N sessions", |args| &mut args.own.limit).short('n'),
                        Flag::number("offset", "N", .., "skip the first N sessions", |args| &mut args.own.offset),
                    ],
                )
                .flags(
                    "Output options",
                    flags::session_output().into_iter().chain([
                        Flag::switch("count", "print only the number of sessions", |args| &mut args.own.count).short('c'),
                        flags::color(),
                    ]),
                )
                .flags(
                    "Sources",
                    [
                        flags::codex_home(),
                        flags::no_files(),
                        flags::no_database(),
                        Flag::switch(
                            "check",
                            "report where Codex's database and rollouts disagree, instead of listing sessions",
                            |args| &mut args.own.check,
                        )
                        .more("The first line of each rollout is read. If there is a problem, the exit status is 1. With --json, a record of type problem is printed for each problem, and then a record of type check as the summary."),
                    ],
                ),
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
                "Choose a session with fzf and resume it:",
                "codex-agent ls | fzf | cut -f1 | xargs -r codex resume",
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
            ("Check whether Codex's database and files agree:", "codex-agent ls --check"),
        ])
        .see_also("codex-agent(1) codex-agent-find(1) codex-agent-group(1) codex-agent-records(5) codex-agent-files(5) codex-agent(7)".split(' '))
        .writes(["session", "problem", "check"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(mut args: Args) -> Result<Exit> {
    let check_alone = Own { check: true, sort: args.own.sort, ..Own::default() };
    let asks_more = args.own != check_alone
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
    let mut index = args.common.index()?;
    if args.own.check {
        return report_problems(&args, &mut index);
    }
    args.own.filter.cwd = args.own.cwd.iter().map(|path| Directory::new(path)).collect();
    args.own.filter.under = args.own.under.iter().map(|path| Directory::new(path)).collect();
    if !args.own.groups.is_empty() {
        let groups = Groups::read()?;
        let mut ids = Vec::new();
        for name in &args.own.groups {
            ids.extend(groups.find(name)?.sessions());
        }
        ids.sort();
        ids.dedup();
        args.own.filter.ids = Some(ids);
    }
    if let Some(parent) = &args.own.forks_of {
        args.own.filter.forks_of = reference::resolve(&mut index, parent)?.id;
    }
    let query = Query {
        filter: args.own.filter,
        sort: args.own.sort,
        offset: args.own.offset,
        limit: args.own.limit,
        fields: if args.own.count { vec![Field::Id] } else { shape.needed() },
        full: args.common.full,
    };
    if args.own.count {
        let count = index.list(&query, &mut |_| Ok(()))?;
        return cli::print(&format!("{count}\n"));
    }
    let mut sessions = Sessions::new(shape);
    let count = index.list(&query, &mut |session| sessions.write(session))?;
    sessions.finish()?;
    if count == 0 {
        note(
            "no sessions were found; --archived and --subagents include archived sessions and subagents, and a pattern without a star must be the whole value",
        );
    }
    Ok(Exit::Done)
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
