//! codex-agent-ls: list Codex sessions.
//!
//! Flags fill a query and a shape; the index answers the one, the output writes the other.

use std::path::PathBuf;
use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Example, Flag, Takes, Tool, Value, flags};
use codex_agent_shared::codex::drift::check;
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::{Error, Exit, Result, note, warn};
use codex_agent_shared::group::Groups;
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::Sessions;
use codex_agent_shared::plugin::about;
use codex_agent_shared::query::{Archived, Clock, Directory, Filter, Query, Sort};
use codex_agent_shared::record::Status;
use codex_agent_shared::reference;
use codex_agent_shared::text::harmless;
use codex_agent_shared::time::{parse_end, parse_moment};

#[derive(Default)]
struct Args {
    common: flags::Common,
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

impl AsMut<flags::Common> for Args {
    fn as_mut(&mut self) -> &mut flags::Common {
        &mut self.common
    }
}

fn directory(value: Value) -> Result<PathBuf> {
    let path = value.path();
    match path.as_os_str().is_empty() {
        true => Err(Error::usage("cannot take '': it is no directory")),
        false => Ok(path),
    }
}

/// A flag that adds a pattern to a list of the filter.
macro_rules! pattern {
    ($long:literal, $list:ident, $help:literal, $more:literal) => {
        Flag {
            short: None,
            long: $long,
            takes: Takes::Text("PATTERN"),
            help: $help,
            more: $more,
            set: |args: &mut Args, value| {
                args.filter.$list.push(said(value.text()?)?);
                Ok(())
            },
        }
    };
}

/// What is empty is most often a variable that is not set.
fn said(text: String) -> Result<String> {
    if text.is_empty() { Err(Error::usage("cannot take '': nothing is like that")) } else { Ok(text) }
}

const WHICH: &[Flag<Args>] = &[
    Flag {
        short: None,
        long: "cwd",
        takes: Takes::Directory("DIR"),
        help: "sessions of exactly this directory",
        more: "A symbolic link is followed, as Codex does. Give it again for one more directory.",
        set: |args, value| {
            args.cwd.push(directory(value)?);
            Ok(())
        },
    },
    Flag {
        short: None,
        long: "under",
        takes: Takes::Directory("DIR"),
        help: "sessions of this directory and of all below it",
        more: "",
        set: |args, value| {
            args.under.push(directory(value)?);
            Ok(())
        },
    },
    pattern!(
        "repo",
        repo,
        "sessions whose git remote 'origin' is this",
        "The whole address, or part of it with stars: '*acme/alpha*'."
    ),
    pattern!("branch", branch, "sessions begun on this git branch", ""),
    pattern!(
        "source",
        source,
        "sessions made this way: exec, cli, vscode, ...",
        "The word is Codex's own. In 0.169 sessions of its terminal screen say vscode; --originator tells people from programs."
    ),
    pattern!(
        "originator",
        originator,
        "sessions made by this program",
        "codex_exec is 'codex exec', codex-tui is Codex's screen. Databases before 0.154 do not know it."
    ),
    pattern!("provider", provider, "sessions with this model provider", ""),
    pattern!("model", model, "sessions with this model", ""),
    pattern!(
        "cli-version",
        cli_version,
        "sessions made by this version of Codex",
        "'0.13*' is 0.13 and 0.130 to 0.139."
    ),
    pattern!("name", name, "sessions of this name", ""),
    Flag {
        short: None,
        long: "named",
        takes: Takes::Nothing,
        help: "sessions that have a name",
        more: "",
        set: |args, _| {
            args.filter.named = true;
            Ok(())
        },
    },
    Flag {
        short: None,
        long: "since",
        takes: Takes::Text("TIME"),
        help: "sessions updated at or after this time",
        more: "TIME is 2d, 12h, 1w, yesterday, monday, 2026-11-22, 2026-11-22T10:50 (local time) or RFC 3339. Days are days of your calendar.",
        set: |args, value| {
            args.filter.since = Some(parse_moment(&value.text()?)?);
            Ok(())
        },
    },
    Flag {
        short: None,
        long: "until",
        takes: Takes::Text("TIME"),
        help: "sessions updated at or before this time",
        more: "A day, such as 2026-11-22, yesterday or monday, is meant with all of its hours.",
        set: |args, value| {
            args.filter.until = Some(parse_end(&value.text()?)?);
            Ok(())
        },
    },
    Flag {
        short: None,
        long: "time",
        takes: Takes::OneOf("WHICH", &["updated", "created"]),
        help: "which time --since and --until look at",
        more: "updated is the start of the last turn, and the default; created is the start of the session.",
        set: |args, value| {
            args.filter.clock = match value.text()?.as_str() {
                "created" => Clock::Created,
                _ => Clock::Updated,
            };
            Ok(())
        },
    },
    Flag {
        short: None,
        long: "group",
        takes: Takes::Group("NAME"),
        help: "sessions of this group",
        more: "See codex-agent-group(1). Given again, sessions of either group.",
        set: |args, value| {
            args.groups.push(value.text()?);
            Ok(())
        },
    },
    Flag {
        short: None,
        long: "forks-of",
        takes: Takes::Session("REF"),
        help: "sessions forked from this one",
        more: "No database knows forks, so the rollout of every session that passes the other filters is opened.",
        set: |args, value| {
            args.forks_of = Some(value.text()?);
            Ok(())
        },
    },
    Flag {
        short: None,
        long: "status",
        takes: Takes::OneOf("STATUS", &Status::WORDS),
        help: "sessions whose last turn is in this state",
        more: "idle: the last turn ended, or there was none; running: a turn is under way; interrupted: the last turn was interrupted, or its process died; failed: it ended in an error; unknown: the rollout does not record it, or is missing. May be given more than once, for sessions in any of the states. No database knows it, so the rollout of every session that passes the other filters is opened.",
        set: |args, value| {
            args.filter.status.extend(Status::parse(&value.text()?));
            Ok(())
        },
    },
    Flag {
        short: None,
        long: "archived",
        takes: Takes::Perhaps("only", &["only"]),
        help: "archived sessions too, or only them",
        more: "",
        set: |args, value| {
            args.filter.archived = match value.perhaps()? {
                Some(_) => Archived::Only,
                None => Archived::With,
            };
            Ok(())
        },
    },
    Flag {
        short: None,
        long: "subagents",
        takes: Takes::Nothing,
        help: "sessions that Codex made as subagents too",
        more: "",
        set: |args, _| {
            args.filter.subagents = true;
            Ok(())
        },
    },
];

const ORDER: &[Flag<Args>] = &[
    Flag {
        short: Some('s'),
        long: "sort",
        takes: Takes::Words("KEY[:ORDER]", &["updated", "created", "tokens", "title", "cwd"]),
        help: "by updated, created, tokens, title or cwd; :asc, :desc",
        more: "Times and tokens begin with the greatest, text with the least, if no order is said. Equal ones are ordered by id, so that a listing is repeatable.",
        set: |args, value| {
            args.sort = Sort::parse(&value.text()?)?;
            Ok(())
        },
    },
    Flag {
        short: Some('n'),
        long: "limit",
        takes: Takes::Text("N"),
        help: "at most N sessions",
        more: "",
        set: |args, value| {
            args.limit = Some(value.number()?);
            Ok(())
        },
    },
    Flag {
        short: None,
        long: "offset",
        takes: Takes::Text("N"),
        help: "pass over the first N",
        more: "",
        set: |args, value| {
            args.offset = value.number()?;
            Ok(())
        },
    },
];

const SHOW: &[Flag<Args>] = &[
    flags::json("session records, one a line"),
    flags::fields(),
    flags::format(),
    flags::null(),
    flags::full(),
    Flag {
        short: Some('c'),
        long: "count",
        takes: Takes::Nothing,
        help: "only how many there are",
        more: "",
        set: |args, _| {
            args.count = true;
            Ok(())
        },
    },
    flags::color(),
];

const WHERE: &[Flag<Args>] = &[
    flags::codex_home(),
    flags::no_files(),
    flags::no_database(),
    Flag {
        short: None,
        long: "check",
        takes: Takes::Nothing,
        help: "tell where database and files disagree, instead of listing",
        more: "Every head is read. Exit 1 where they disagree. With --json the findings are 'problem' records and a closing 'check' record.",
        set: |args, _| {
            args.check = true;
            Ok(())
        },
    },
];

static COMMAND: Command<Args> = Command {
    name: "",
    aliases: &[],
    about: about("ls"),
    operands: "",
    completes: &[Completes::Nothing],
    details: &[],
    sections: &[
        ("Which sessions", WHICH),
        ("Order", ORDER),
        ("What is shown", SHOW),
        ("Where to look", WHERE),
    ],
    greedy: false,
    operand: |_, operand| {
        Err(Error::usage(format!("unexpected operand '{}'", operand.to_string_lossy()))
            .hint("codex-agent find looks sessions up by reference or by words"))
    },
    run,
};

static TOOL: Tool = Tool {
    name: "codex-agent-ls",
    about: about("ls"),
    description: &[
        "Lists the sessions of Codex, the one that was used last first. Sessions are looked for in Codex's database and among its rollout files; the list is the union of both, so that a session is not missed because Codex has lost its row, and a row is not missed because its file is gone. Archived sessions and subagents are hidden unless asked for.",
        "On a terminal the list is a table: the last eight digits of the id (sessions of one minute share the first eight), how long ago it was used, its directory, and its name or else its title. The title is the first message of its user; a fork that has none yet is shown as the fork of what it begins with. Anything of these digits that is unique names the session to every other tool.",
        "In a pipe it is one session a line, without a heading: id, time of the last turn, directory, name or title, with TABs between. TAB, newline, carriage return and backslash inside a value are written \\t, \\n, \\r and \\\\, so that no title can forge a row, and other control characters \\x1b, so that no terminal obeys one. With --json it is session records for other tools to read:",
        "    codex-agent ls --json --under ~/src | codex-agent group add work",
        "All filters that are given must hold. Of one filter that is given several times, one must hold. In a PATTERN a star stands for any run of characters; without a star the whole value must be equal. Case matters.",
        "Some fields are nowhere in the database: the session it was forked from, what it is doing, the command that resumes it. They are looked up in the rollouts where --full, --fields or --format asks for them.",
    ],
    commands: &[&COMMAND],
    exit_status: &[
        (0, "The sessions were listed, also where there are none."),
        (
            1,
            "--check found that database and files disagree, or there is no such group or session as --group or --forks-of names.",
        ),
        (2, "Bad usage, or nothing could be read."),
    ],
    environment: &[],
    files: &[
        ("~/.codex/state_N.sqlite", "Codex's database; the highest N. It is opened for reading only."),
        ("~/.codex/sessions/, ~/.codex/archived_sessions/", "The rollout files."),
        ("~/.codex/session_index.jsonl", "Names of sessions."),
        ("~/.config/codex-agent/groups.json", "Groups, for --group."),
    ],
    examples: &[
        Example { text: "The ten sessions that were used last:", command: "codex-agent ls -n 10", exit: 0 },
        Example {
            text: "The sessions of this repository and of its subdirectories, as records:",
            command: "codex-agent ls --json --under .",
            exit: 0,
        },
        Example {
            text: "How many sessions each directory has:",
            command: "codex-agent ls --fields cwd | sort | uniq -c | sort -rn",
            exit: 0,
        },
        Example {
            text: "Choose one with fzf and go on with it:",
            command: "codex-agent ls | fzf | cut -f1 | xargs -r codex resume",
            exit: 0,
        },
        Example {
            text: "The ids of all sessions on feature branches:",
            command: "codex-agent ls --branch 'feature/*' --format '{id}'",
            exit: 0,
        },
        Example {
            text: "The sessions of the last week that have used the most tokens since they were made, a fork with its parent's:",
            command: "codex-agent ls --since 7d --sort tokens -n 10 --fields tokens_used,short,title",
            exit: 0,
        },
        Example {
            text: "Which sessions were forked, and from which:",
            command: "codex-agent ls --fields id,forked_from,title",
            exit: 0,
        },
        Example {
            text: "Whether Codex's database and its files agree:",
            command: "codex-agent ls --check",
            exit: 0,
        },
    ],
    see_also: &[
        "codex-agent(1)",
        "codex-agent-find(1)",
        "codex-agent-group(1)",
        "codex-agent-records(5)",
        "codex-agent-files(5)",
        "codex-agent(7)",
    ],
    reads: &[],
    writes: &["session", "problem", "check"],
    epilogue: "",
    completions: None,
};

fn main() -> ExitCode {
    cli::main(&TOOL)
}

fn run(mut args: Args) -> Result<Exit> {
    let asks_more = args.filter != Filter::default()
        || !(args.cwd.is_empty() && args.under.is_empty() && args.groups.is_empty())
        || args.forks_of.is_some()
        || args.limit.is_some()
        || args.offset > 0
        || args.common.fields.is_some()
        || args.common.template.is_some()
        || args.common.nul
        || args.common.full
        || args.count
        || args.common.no_files;
    if args.check && asks_more {
        return Err(Error::usage(
            "--check looks at all sessions, rows and files: of the other flags only --json, --no-database and --codex-home go with it",
        ));
    }
    let shape = args.common.shape()?;
    let mut index = args.common.index()?;
    if args.check {
        return tell_problems(&args, &mut index);
    }
    args.filter.cwd = args.cwd.iter().map(|path| Directory::new(path)).collect();
    args.filter.under = args.under.iter().map(|path| Directory::new(path)).collect();
    if !args.groups.is_empty() {
        let groups = Groups::read()?;
        let mut ids = Vec::new();
        for name in &args.groups {
            ids.extend(groups.find(name)?.sessions());
        }
        ids.sort();
        ids.dedup();
        args.filter.ids = Some(ids);
    }
    if let Some(parent) = &args.forks_of {
        args.filter.forks_of = reference::resolve(&mut index, parent)?.id;
    }
    let query = Query {
        filter: args.filter,
        sort: args.sort,
        offset: args.offset,
        limit: args.limit,
        fields: if args.count { vec![codex_agent_shared::record::Field::Id] } else { shape.needed() },
        full: args.common.full,
    };
    if args.count {
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
        warn(&summary);
    }
    Ok(if summary.problems == 0 { Exit::Done } else { Exit::Negative })
}
