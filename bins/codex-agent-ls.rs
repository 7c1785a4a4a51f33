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
            return Err(Error::usage("the pattern is empty"));
        }
        place(&mut args.own.filter).push(text);
        Ok(())
    })
}

fn filters() -> Vec<Flag> {
    vec![
        Flag::directory("cwd", "only sessions of this directory", |args| &mut args.own.cwd)
            .more("Symbolic links are followed, as Codex does. May be given more than once."),
        Flag::directory(
            "under",
            "only sessions of this directory and of directories in it",
            |args| &mut args.own.under,
        ),
        pattern("repo", "only sessions whose git remote 'origin' matches", |filter| &mut filter.repo)
            .offers(Field::OriginUrl)
            .more("A whole URL, or a part of it with stars: '*acme/alpha*'."),
        pattern("branch", "only sessions started on this git branch", |filter| &mut filter.branch).offers(Field::Branch),
        pattern("source", "only sessions of this source: exec, cli, vscode, ...", |filter| &mut filter.source)
            .more("Codex sets the value. In 0.169 sessions of the Codex TUI have the source vscode; use --originator to distinguish people from programs."),
        pattern("originator", "only sessions created by this program", |filter| &mut filter.originator)
            .more("codex_exec is 'codex exec', codex-tui is the Codex TUI. Databases before 0.154 do not have it."),
        pattern("provider", "only sessions with this model provider", |filter| &mut filter.provider),
        pattern("model", "only sessions with this model", |filter| &mut filter.model).offers(Field::Model),
        pattern("cli-version", "only sessions created by this version of Codex", |filter| &mut filter.cli_version)
            .more("'0.13*' matches 0.13 and 0.130 to 0.139."),
        pattern("name", "only sessions with this name", |filter| &mut filter.name),
        Flag::switch("named", "only sessions that have a name", |args| &mut args.own.filter.named),
        Flag::parsed(
            "since",
            Takes::Text("TIME"),
            "only sessions updated at or after this time",
            |value| parse_moment(&value.text()?),
            |args| &mut args.own.filter.since,
        )
        .more("TIME is 2d, 12h, 1w, yesterday, monday, 2026-11-22, 2026-11-22T10:50 (local time) or RFC 3339. A day begins at midnight, local time."),
        Flag::parsed(
            "until",
            Takes::Text("TIME"),
            "only sessions updated at or before this time",
            |value| parse_end(&value.text()?),
            |args| &mut args.own.filter.until,
        )
        .more("A day, such as 2026-11-22, yesterday or monday, is included."),
        Flag::choice::<Clock, _>("time", "WHICH", "the time that --since and --until compare", |args| {
            &mut args.own.filter.clock
        })
        .default("updated"),
        Flag::parsed(
            "group",
            Takes::Group("NAME"),
            "only sessions of this group",
            Value::text,
            |args| &mut args.own.groups,
        )
        .more("May be given more than once, for sessions of any of the groups. See codex-agent-group(1)."),
        Flag::parsed(
            "forks-of",
            Takes::Session("REF"),
            "only forks of this session",
            Value::text,
            |args| &mut args.own.forks_of,
        )
        .more("The database does not have it: the rollout of each session that matches the other filters is read."),
        Flag::choice::<Status, _>("status", "STATUS", "only sessions whose last turn has this status", |args| {
            &mut args.own.filter.status
        })
        .more("May be given more than once, for sessions with any of the values. The database does not have it: the rollout of each session that matches the other filters is read."),
        Flag::new("archived", Takes::Perhaps("only", || vec![("only", "")]), "include archived sessions, or list only them", |args, value| {
            args.own.filter.archived = if value.perhaps()?.is_some() { Archived::Only } else { Archived::With };
            Ok(())
        }),
        Flag::switch(
            "subagents",
            "include subagents",
            |args| &mut args.own.filter.subagents,
        ),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-ls")
        .description([
            "Lists Codex sessions, the newest first. The list is the union of Codex's database and its rollout files: a session is listed if either its row or its file is missing. Archived sessions and subagents are hidden by default.",
            "On a terminal the list is a table: the last eight digits of the id (sessions of one minute share the first eight), the age of the last turn, the directory, and the name or the title. The title is the first message of the user; a fork without a message is shown as a fork of its parent. Every tool accepts a unique part of these digits as a reference.",
            "In a pipe each session is one line, without a heading: id, time of the last turn, directory, name or title, separated by TABs. TAB, newline, carriage return and backslash in a value are printed as \\t, \\n, \\r and \\\\, other control characters as \\x1b, so that a title can neither forge a row nor control a terminal. With --json the output is session records for other tools:",
            "    codex-agent ls --json --under ~/src | codex-agent group add work",
            "A session is listed if it matches all filters; a filter that is given more than once matches if one of its values does. In a PATTERN a star matches any characters; a PATTERN without a star is the whole value. Case is significant.",
            "Some fields are not in the database: forked_from, status, resume_command. They are read from rollouts if --full, --fields or --format asks for them.",
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
                        .more("By default times and tokens are in descending, text in ascending order. Equal sessions are sorted by id, so that the order is repeatable."),
                        Flag::number("limit", "N", .., "list at most N sessions", |args| &mut args.own.limit).short('n'),
                        Flag::number("offset", "N", .., "skip the first N sessions", |args| &mut args.own.offset),
                    ],
                )
                .flags(
                    "Output options",
                    [
                        flags::json("session records, one a line"),
                        flags::fields(),
                        flags::format(),
                        flags::null(),
                        flags::full(),
                        Flag::switch("count", "print only the number of sessions", |args| &mut args.own.count).short('c'),
                        flags::color(),
                    ],
                )
                .flags(
                    "Sources",
                    [
                        flags::codex_home(),
                        flags::no_files(),
                        flags::no_database(),
                        Flag::switch(
                            "check",
                            "report where database and files disagree, instead of listing",
                            |args| &mut args.own.check,
                        )
                        .more("The first line of each rollout is read. The exit status is 1 if there is a problem. With --json each problem is a record of type problem, followed by one of type check."),
                    ],
                ),
        )
        .exit_status(&[
            (0, "The sessions were listed, even if there are none."),
            (
                1,
                "--check found a problem, or the group of --group or the session of --forks-of does not exist.",
            ),
            (2, "Bad usage, or neither database nor files could be read."),
        ])
        .files(&[
            ("~/.codex/state_N.sqlite", "Codex's database with the highest N; it is only read."),
            ("~/.codex/sessions/, ~/.codex/archived_sessions/", "The rollout files."),
            ("~/.codex/session_index.jsonl", "Names of sessions."),
            ("~/.config/codex-agent/groups.json", "Groups, for --group."),
        ])
        .examples(&[
            ("List the ten newest sessions:", "codex-agent ls -n 10"),
            (
                "List the sessions of this directory tree, as records:",
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
                "List the sessions of the last week that used the most tokens (a fork includes its parent's):",
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
