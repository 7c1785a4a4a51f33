//! codex-agent-ls: list Codex sessions.
//!
//! Flags fill a query and a shape; the index answers the one, the output writes the other.

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
use codex_agent_shared::record::Status;
use codex_agent_shared::reference;
use codex_agent_shared::text::harmless;
use codex_agent_shared::time::{parse_end, parse_moment};

/// The own arguments of this tool.
#[derive(Default)]
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

fn which() -> Vec<Flag> {
    vec![
        Flag::directory("cwd", "sessions of exactly this directory", |args| &mut args.own.cwd)
            .more("A symbolic link is followed, as Codex does. Give it again for one more directory."),
        Flag::directory(
            "under",
            "sessions of this directory and of all below it",
            |args| &mut args.own.under,
        ),
        pattern("repo", "sessions whose git remote 'origin' is this", |filter| &mut filter.repo)
            .more("The whole address, or part of it with stars: '*acme/alpha*'."),
        pattern("branch", "sessions begun on this git branch", |filter| &mut filter.branch),
        pattern("source", "sessions made this way: exec, cli, vscode, ...", |filter| &mut filter.source)
            .more("The word is Codex's own. In 0.169 sessions of its terminal screen say vscode; --originator tells people from programs."),
        pattern("originator", "sessions made by this program", |filter| &mut filter.originator)
            .more("codex_exec is 'codex exec', codex-tui is Codex's screen. Databases before 0.154 do not know it."),
        pattern("provider", "sessions with this model provider", |filter| &mut filter.provider),
        pattern("model", "sessions with this model", |filter| &mut filter.model),
        pattern("cli-version", "sessions made by this version of Codex", |filter| &mut filter.cli_version)
            .more("'0.13*' is 0.13 and 0.130 to 0.139."),
        pattern("name", "sessions of this name", |filter| &mut filter.name),
        Flag::switch("named", "sessions that have a name", |args| &mut args.own.filter.named),
        Flag::parsed(
            "since",
            Takes::Text("TIME"),
            "sessions updated at or after this time",
            |value| parse_moment(&value.text()?),
            |args| &mut args.own.filter.since,
        )
        .more("TIME is 2d, 12h, 1w, yesterday, monday, 2026-11-22, 2026-11-22T10:50 (local time) or RFC 3339. Days are days of your calendar."),
        Flag::parsed(
            "until",
            Takes::Text("TIME"),
            "sessions updated at or before this time",
            |value| parse_end(&value.text()?),
            |args| &mut args.own.filter.until,
        )
        .more("A day, such as 2026-11-22, yesterday or monday, is meant with all of its hours."),
        Flag::choice::<Clock, _>("time", "WHICH", "which time --since and --until look at", |args| {
            &mut args.own.filter.clock
        })
        .default("updated"),
        Flag::parsed(
            "group",
            Takes::Group("NAME"),
            "sessions of this group",
            Value::text,
            |args| &mut args.own.groups,
        )
        .more("See codex-agent-group(1). Given again, sessions of either group."),
        Flag::parsed(
            "forks-of",
            Takes::Session("REF"),
            "sessions forked from this one",
            Value::text,
            |args| &mut args.own.forks_of,
        )
        .more("No database knows forks, so the rollout of every session that passes the other filters is opened."),
        Flag::choice::<Status, _>("status", "STATUS", "sessions whose last turn is in this state", |args| {
            &mut args.own.filter.status
        })
        .more("May be given more than once, for sessions in any of the states. No database knows it, so the rollout of every session that passes the other filters is opened."),
        Flag::new("archived", Takes::Perhaps("only", || vec![("only", "")]), "archived sessions too, or only them", |args, value| {
            args.own.filter.archived = if value.perhaps()?.is_some() { Archived::Only } else { Archived::With };
            Ok(())
        }),
        Flag::switch(
            "subagents",
            "sessions that Codex made as subagents too",
            |args| &mut args.own.filter.subagents,
        ),
    ]
}

fn order() -> Vec<Flag> {
    vec![
        Flag::parsed(
            "sort",
            Takes::Words("KEY[:ORDER]", SortKey::values),
            "what to order by; KEY:asc or KEY:desc",
            |value| Sort::parse(&value.text()?),
            |args| &mut args.own.sort,
        )
        .short('s')
        .default("updated")
        .more("Without an order times and tokens begin with the greatest, text with the least. Equal ones are ordered by id, so that a listing is repeatable."),
        Flag::number("limit", "N", .., "at most N sessions", |args| &mut args.own.limit).short('n'),
        Flag::number("offset", "N", .., "pass over the first N", |args| &mut args.own.offset),
    ]
}

fn show() -> Vec<Flag> {
    vec![
        flags::json("session records, one a line"),
        flags::fields(),
        flags::format(),
        flags::null(),
        flags::full(),
        Flag::switch("count", "only how many there are", |args| &mut args.own.count).short('c'),
        flags::color(),
    ]
}

fn sources() -> Vec<Flag> {
    vec![
        flags::codex_home(),
        flags::no_files(),
        flags::no_database(),
        Flag::switch(
            "check",
            "tell where database and files disagree, instead of listing",
            |args| &mut args.own.check,
        )
        .more("Every head is read. Exit 1 where they disagree. With --json the findings are 'problem' records and a closing 'check' record."),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-ls")
        .description([
            "Lists the sessions of Codex, the one that was used last first. Sessions are looked for in Codex's database and among its rollout files; the list is the union of both, so that a session is not missed because Codex has lost its row, and a row is not missed because its file is gone. Archived sessions and subagents are hidden unless asked for.",
            "On a terminal the list is a table: the last eight digits of the id (sessions of one minute share the first eight), how long ago it was used, its directory, and its name or else its title. The title is the first message of its user; a fork that has none yet is shown as the fork of what it begins with. Anything of these digits that is unique names the session to every other tool.",
            "In a pipe it is one session a line, without a heading: id, time of the last turn, directory, name or title, with TABs between. TAB, newline, carriage return and backslash inside a value are written \\t, \\n, \\r and \\\\, so that no title can forge a row, and other control characters \\x1b, so that no terminal obeys one. With --json it is session records for other tools to read:",
            "    codex-agent ls --json --under ~/src | codex-agent group add work",
            "All filters that are given must hold. Of one filter that is given several times, one must hold. In a PATTERN a star stands for any run of characters; without a star the whole value must be equal. Case matters.",
            "Some fields are nowhere in the database: the session it was forked from, what it is doing, the command that resumes it. They are looked up in the rollouts where --full, --fields or --format asks for them.",
        ])
        .command(
            Command::new(run)
                .hint("codex-agent find looks sessions up by reference or by words")
                .flags("Which sessions", which())
                .flags("Order", order())
                .flags("What is shown", show())
                .flags("Where to look", sources()),
        )
        .exit_status(&[
            (0, "The sessions were listed, also where there are none."),
            (
                1,
                "--check found that database and files disagree, or there is no such group or session as --group or --forks-of names.",
            ),
            (2, "Bad usage, or nothing could be read."),
        ])
        .files(&[
            ("~/.codex/state_N.sqlite", "Codex's database; the highest N. It is opened for reading only."),
            ("~/.codex/sessions/, ~/.codex/archived_sessions/", "The rollout files."),
            ("~/.codex/session_index.jsonl", "Names of sessions."),
            ("~/.config/codex-agent/groups.json", "Groups, for --group."),
        ])
        .examples(&[
            ("The ten sessions that were used last:", "codex-agent ls -n 10"),
            (
                "The sessions of this repository and of its subdirectories, as records:",
                "codex-agent ls --json --under .",
            ),
            (
                "How many sessions each directory has:",
                "codex-agent ls --fields cwd | sort | uniq -c | sort -rn",
            ),
            (
                "Choose one with fzf and go on with it:",
                "codex-agent ls | fzf | cut -f1 | xargs -r codex resume",
            ),
            (
                "The ids of all sessions on feature branches:",
                "codex-agent ls --branch 'feature/*' --format '{id}'",
            ),
            (
                "The sessions of the last week that have used the most tokens since they were made, a fork with its parent's:",
                "codex-agent ls --since 7d --sort tokens -n 10 --fields tokens_used,short,title",
            ),
            ("Which sessions were forked, and from which:", "codex-agent ls --fields id,forked_from,title"),
            ("Whether Codex's database and its files agree:", "codex-agent ls --check"),
        ])
        .see_also([
            "codex-agent(1)",
            "codex-agent-find(1)",
            "codex-agent-group(1)",
            "codex-agent-records(5)",
            "codex-agent-files(5)",
            "codex-agent(7)",
        ])
        .writes(["session", "problem", "check"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(mut args: Args) -> Result<Exit> {
    let asks_more = args.own.filter != Filter::default()
        || !(args.own.cwd.is_empty() && args.own.under.is_empty() && args.own.groups.is_empty())
        || args.own.forks_of.is_some()
        || args.own.limit.is_some()
        || args.own.offset > 0
        || args.common.fields.is_some()
        || args.common.template.is_some()
        || args.common.nul
        || args.common.full
        || args.own.count
        || args.common.no_files;
    if args.own.check && asks_more {
        return Err(Error::usage(
            "--check looks at all sessions, rows and files: of the other flags only --json, --no-database and --codex-home go with it",
        ));
    }
    let shape = args.common.shape()?;
    let mut index = args.common.index()?;
    if args.own.check {
        return tell_problems(&args, &mut index);
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
        fields: if args.own.count { vec![codex_agent_shared::record::Field::Id] } else { shape.needed() },
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
            "no session; archived ones and subagents are shown with --archived and --subagents, and a pattern without a star is a whole value",
        );
    }
    Ok(Exit::Done)
}

fn tell_problems(args: &Args, index: &mut Index) -> Result<Exit> {
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
