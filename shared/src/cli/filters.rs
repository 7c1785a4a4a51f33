//! Flags that select sessions: the filters, the order and the page of a listing, and a session by words instead of a
//! reference.

use super::Selection;
use super::flag::{Flag, Takes, Value};
use super::flags::{Args, CommonOptions};
use super::suggestions;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::query::{Archived, Clock, Sort};
use crate::record::{Field, Status};
use crate::text::lowered;
use crate::time::{parse_end, parse_moment};

/// A flag that adds a pattern to a list of the filter. An empty pattern is most often a variable that is not set.
fn pattern<O: 'static, J: 'static>(
    long: &'static str,
    help: &'static str,
    place: fn(&mut Selection) -> &mut Vec<String>,
) -> Flag<Args<O, J>> {
    Flag::new(long, Takes::Text("PATTERN"), help, move |args: &mut Args<O, J>, value| {
        let text = value.text()?;
        if text.is_empty() {
            return Err(Error::usage("invalid value '': the pattern is empty"));
        }
        place(&mut args.common.selection).push(text);
        Ok(())
    })
}

const TIMES: &str = "TIME is 2d, 12h, '3 days ago', yesterday, monday, 'last week', 'this month', 2026-11, 2026-W47, 2026-11-22, 2026-11-22T10:50 (local time) or RFC 3339; see codex-agent(7).";

fn since<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    Flag::parsed(
        "since",
        Takes::Text("TIME"),
        "select only sessions updated at or after this time",
        |value| parse_moment(&value.text()?),
        |args: &mut Args<O, J>| &mut args.common.selection.filter.since,
    )
    .suggests(suggestions::times)
    .more(TIMES)
}

fn until<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    Flag::parsed(
        "until",
        Takes::Text("TIME"),
        "select only sessions updated at or before this time",
        |value| parse_end(&value.text()?),
        |args: &mut Args<O, J>| &mut args.common.selection.filter.until,
    )
    .suggests(suggestions::times)
    .more("If TIME is a day, week, month or year, such as 2026-11-22, yesterday or 'last week', sessions up to its end are included.")
}

fn on<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    let help = "select only sessions updated within this time";
    Flag::new("on", Takes::Text("TIME"), help, |args: &mut Args<O, J>, value| {
        let text = value.text()?;
        select_on(&mut args.common, &text).map_err(|error| match Host::configured(&text) {
            Ok(Some(_)) => error.hint(format!("did you mean '--host {text}'?")),
            _ => error,
        })
    })
    .suggests(suggestions::times)
    .more("TIME is a day, week, month or year, such as yesterday, monday, 'last week', 2026-11, 2026-W47 or 2026-11-22. The same as --since TIME --until TIME.")
}

/// Selects the sessions that were updated within a day, week, month or year.
#[doc(hidden)]
pub fn select_on(common: &mut CommonOptions, text: &str) -> Result<()> {
    let (first, last) = (parse_moment(text)?, parse_end(text)?);
    // A point in time is the same in both, but for the clock.
    if last.0 - first.0 < 1000 {
        return Err(Error::usage(format!("invalid value '{text}': expected a day, week, month or year")));
    }
    let filter = &mut common.selection.filter;
    (filter.since, filter.until) = (Some(first), Some(last));
    Ok(())
}

fn under<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    let help = "select only sessions of this directory and of all directories below it";
    Flag::directory("under", help, |args: &mut Args<O, J>| &mut args.common.selection.under)
}

fn repo<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    pattern("repo", "select only sessions of this git repository", |selection| &mut selection.repo)
        .offers(Field::OriginUrl)
        .suggests(|_| vec![(".".to_owned(), "the repository of the current directory")])
        .more("PATTERN is '.' for the repository of the current directory, owner/name, the URL of the git remote 'origin' in any of its forms (https, ssh, host:path, with or without .git), or a part of the URL between stars: '*acme/al*'. For the repository of a directory, sessions in its working trees are included if Codex recorded no remote.")
}

/// The filters of a listing.
pub fn filters<O: 'static, J: 'static>() -> Vec<Flag<Args<O, J>>> {
    vec![
        Flag::directory("cwd", "select only sessions of this directory", |args: &mut Args<O, J>| {
            &mut args.common.selection.cwd
        })
        .more("Symbolic links in DIR are followed, as Codex does. May be given more than once."),
        under(),
        repo(),
        pattern("branch", "select only sessions started on this git branch", |selection| &mut selection.filter.branch).offers(Field::Branch),
        pattern("source", "select only sessions from this kind of program: exec, cli, vscode, ...", |selection| &mut selection.filter.source)
            .offers(Field::Source)
            .more("Codex sets the source of a session. In Codex 0.169, sessions of the Codex TUI have the source vscode; --originator distinguishes the sessions of people from those of programs."),
        pattern("originator", "select only sessions created by this program", |selection| &mut selection.filter.originator)
            .offers(Field::Originator)
            .more("The originator of 'codex exec' is codex_exec, that of the Codex TUI is codex-tui. Databases of Codex before 0.154 do not have the originator."),
        pattern("provider", "select only sessions with this model provider", |selection| &mut selection.filter.provider)
            .offers(Field::ModelProvider),
        pattern("model", "select only sessions with this model", |selection| &mut selection.filter.model).offers(Field::Model),
        pattern("cli-version", "select only sessions created by this version of Codex", |selection| &mut selection.filter.cli_version)
            .offers(Field::CliVersion)
            .more("For example, '0.13*' matches the versions 0.13.0 and 0.130.0 to 0.139.0."),
        pattern("name", "select only sessions with this name", |selection| &mut selection.filter.name).offers(Field::Name),
        Flag::switch("named", "select only sessions that have a name", |args: &mut Args<O, J>| {
            &mut args.common.selection.filter.named
        }),
        since(),
        until(),
        on(),
        Flag::choice::<Clock, _>(
            "time",
            "WHICH",
            "the time that --since and --until compare",
            |args: &mut Args<O, J>| &mut args.common.selection.filter.clock,
        )
        .default("updated"),
        Flag::parsed(
            "group",
            Takes::Group("NAME"),
            "select only sessions of this group",
            Value::text,
            |args: &mut Args<O, J>| &mut args.common.selection.groups,
        )
        .more("If the option is given more than once, sessions of any of these groups are selected. See codex-agent-group(1)."),
        Flag::parsed(
            "forks-of",
            Takes::Session("REF"),
            "select only forks of this session",
            Value::text,
            |args: &mut Args<O, J>| &mut args.common.selection.forks_of,
        )
        .more("Codex's database does not have the parents of forks: the rollout of each session that matches the other filters is read."),
        Flag::choice::<Status, _>(
            "status",
            "STATUS",
            "select only sessions whose last turn has this status",
            |args: &mut Args<O, J>| &mut args.common.selection.filter.status,
        )
        .more("If the option is given more than once, sessions with any of the values are selected. Codex's database does not have the status: the rollout of each session that matches the other filters is read."),
        Flag::new(
            "archived",
            Takes::Perhaps("only", || vec![("only", "")]),
            "also select archived sessions; with =only, select only archived sessions",
            |args: &mut Args<O, J>, value| {
                let archived = if value.perhaps()?.is_some() { Archived::Only } else { Archived::With };
                args.common.selection.filter.archived = archived;
                Ok(())
            },
        ),
        Flag::switch("subagents", "also select subagents", |args: &mut Args<O, J>| {
            &mut args.common.selection.filter.subagents
        }),
    ]
}

/// `--count`
pub fn count<O: 'static, J: 'static>() -> Flag<Args<O, J>> {
    let help = "print only the number of sessions";
    Flag::switch("count", help, |args: &mut Args<O, J>| &mut args.common.selection.count).short('c')
}

/// The order and the page of a listing: `--sort`, `--limit`, `--offset`.
pub fn order<O: 'static, J: 'static>() -> [Flag<Args<O, J>>; 3] {
    [
        Flag::parsed(
            "sort",
            Takes::Words("[-]KEY[:ORDER]", Sort::values),
            "sort by KEY, KEY:asc, KEY:desc or -KEY, which is KEY:desc",
            |value| Sort::parse(&value.text()?),
            |args: &mut Args<O, J>| &mut args.common.selection.sort,
        )
        .short('s')
        .suggests(suggestions::orders)
        .default("updated")
        .more("KEY is updated, created, tokens, title, cwd, or the name of a field such as updated_at, name or git.branch; codex-agent-records(5) describes the fields. Without an ORDER, times and numbers are sorted in descending order, and text in ascending order. Sessions without a value are last. Sessions with equal values are sorted by id, so that the order is always the same."),
        Flag::number("limit", "N", .., "print at most N sessions", |args: &mut Args<O, J>| {
            &mut args.common.selection.limit
        })
        .short('n'),
        Flag::number("offset", "N", .., "skip the first N sessions", |args: &mut Args<O, J>| {
            &mut args.common.selection.offset
        }),
    ]
}

/// The heading of [`selecting`].
pub const SELECTION: &str = "Selection by words";

/// The flags that select sessions instead of references, for a tool that accepts references: `--find`, `--since`,
/// `--until`, `--on`, `--under`, `--repo`.
pub fn selecting<O: 'static, J: 'static>() -> [Flag<Args<O, J>>; 6] {
    let find = Flag::new(
        "find",
        Takes::Text("WORDS"),
        "select the session that has these words, instead of REF",
        |args: &mut Args<O, J>, value: Value| {
            let text = value.text()?;
            let before = args.common.selection.filter.words.len();
            args.common.selection.filter.words.extend(text.split_whitespace().map(|word| lowered(word).into_owned()));
            match args.common.selection.filter.words.len() > before {
                true => Ok(()),
                false => Err(Error::usage(format!("invalid value '{text}': the words are missing"))),
            }
        },
    )
    .more("WORDS are searched for as codex-agent-find(1) does: each word must occur in the name, the title, the first message, the directory or the branch.");
    [find, since(), until(), on(), under(), repo()]
}
