//! codex-agent-stats: count the tokens and turns of Codex sessions.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::ExitCode;

use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli;
use codex_agent_shared::cli::flags::ListingHelp;
use codex_agent_shared::cli::remote::Operands;
use codex_agent_shared::cli::{Command, Completes, Takes, Tool, Value, filters, flags};
use codex_agent_shared::codex::files::Files;
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::codex::rollout;
use codex_agent_shared::error::{Error, Exit, Result, note, reason, warn};
use codex_agent_shared::group::Groups;
use codex_agent_shared::query::{Archived, Filter, Query};
use codex_agent_shared::record::{Field, Id, Session};
use codex_agent_shared::reference;
use codex_agent_shared::text::counted;
use codex_agent_shared::transcript::order::{Found, in_order};
use codex_agent_shared::transcript::stats::{By, Place, Stats};
use codex_agent_shared::transcript::{Options, Reader, Record};

mod hosts;
mod rows;

/// The arguments of this tool alone.
#[derive(Default)]
struct Own {
    by: Vec<By>,
    tree: bool,
    kept: bool,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

fn parse_by(value: Value) -> Result<Vec<By>> {
    let text = value.text()?;
    let all: Option<Vec<By>> = text.split(',').map(|word| By::parse(word.trim())).collect();
    all.ok_or_else(|| {
        let words: Vec<&str> = By::values().into_iter().map(|(word, _)| word).collect();
        Error::usage(format!(
            "invalid value '{text}': expected {}, with commas between them",
            words.join(", ")
        ))
    })
}

fn stats_flags() -> [Flag; 3] {
    [
        Flag::new(
            "by",
            Takes::Words("BY,BY", By::values),
            "count by these, in this order: day, week, month, project, model, session, group or host",
            |args: &mut Args, value| {
                args.own.by = parse_by(value)?;
                Ok(())
            },
        )
        .default("day")
        .more("A session that several groups have counts for each."),
        Flag::switch(
            "tree",
            "count subagents as a part of the session that started them",
            |args: &mut Args| &mut args.own.tree,
        )
        .more("A reviewer counts for the session that it reviewed. Codex 0.106 and older versions do not write that session into any file; the reviewer is counted alone."),
        Flag::switch("kept", "leave out turns that were rolled back or reverted", |args: &mut Args| {
            &mut args.own.kept
        })
        .more("By default they count, since their tokens were spent."),
    ]
}

fn help() -> ListingHelp {
    ListingHelp {
        json: "print stats records, one per line",
        format: "a template such as '{day}\\t{tokens.output}'",
        limit: "print at most N rows",
        fields: || flags::fields_of(&["stats"], &[]),
    }
}

fn tool() -> Tool {
    Tool::ours("codex-agent-stats")
        .description([
            "Counts the tokens, turns and durations of sessions from their rollouts, by day, week, month, project, model, session or group. Each answer of the model counts once: the turns that a fork or a subagent begins with are counted in the session that they were copied from, and repeated counts of the same answer are skipped. Compactions by the service are counted since Codex 0.153, which records their tokens. The numbers are those that Codex recorded; no prices are computed.",
            "    codex-agent stats --on 'last week'",
            "Without REF, all sessions that the filters select are counted, with archived ones and subagents. --since, --until and --on choose answers by their time, and not sessions. With '-', sessions are read from standard input: session records, JSON strings, or lines up to their first TAB.",
            "A turn without an answer, such as one that was interrupted at once, has no tokens; if the tokens of a turn are unknown, a '+' marks the sum as a lower bound. The tokens of the input include those that were cached, and the tokens of the output include those of the reasoning. Turns that Codex imported from another program, such as Claude Code, are not counted: that program spent their tokens, and the rollout does not have them. The turns that follow them in Codex are counted.",
            "In a pipe each row has the values of --by, with --host after the host, and these columns, separated by TABs: numbers of sessions and turns, duration in milliseconds, tokens of the input, cached ones, of the output, of the reasoning, and the number of turns whose tokens are unknown.",
        ])
        .command(
            Command::new(run)
                .operands("[REF...] [-]", &[Completes::Sessions])
                .flags("Options", stats_flags())
                .flags("Filters", filters::filters())
                .flags("Output options", flags::listing_output(&help()))
                .flags("Sources", [flags::host(), flags::codex_home(), flags::no_database()])
                .on_hosts(),
        )
        .exit_status(&[
            (0, "The sums were printed; the status is also 0 if there is nothing to count."),
            (1, "A session does not exist."),
            (2, "Bad usage, or a rollout could not be read; the sums of the others were printed."),
        ])
        .files(&[("~/.codex/sessions/, ~/.codex/archived_sessions/", "The rollouts of sessions.")])
        .examples(&[
            ("Count the tokens of each day of a month:", "codex-agent stats --on 2026-11"),
            ("Count by week and model:", "codex-agent stats --by week,model"),
            ("See which projects used the most tokens in the last 30 days:", "codex-agent stats --by project --since 30d"),
            ("Count the sessions of a branch, each alone:", "codex-agent ls --branch main --json | codex-agent stats - --by session"),
            ("Print the tokens of the output of each month:", "codex-agent stats --by month --fields month,tokens.output"),
        ])
        .see_also("codex-agent(1) codex-agent-ls(1) codex-agent-show(1) codex-agent-status(1) codex-agent-records(5) codex-agent(7) codex-agent-transcripts(7)".split(' '))
        .reads(&["session"])
        .writes(["stats"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(mut args: Args) -> Result<Exit> {
    let shape = args.common.shape_of(&["stats"], &[])?;
    if args.own.by.is_empty() {
        args.own.by.push(By::Day);
    }
    let input = args.operands.iter().any(|operand| operand == "-");
    if let Some(remote) = args.common.on_hosts("stats", Operands { input, ..Operands::default() })? {
        return hosts::print(&args, remote, shape);
    }
    if args.own.by.contains(&By::Host) {
        return Err(Error::usage("--by host needs --host"));
    }
    let mut index = args.common.index()?;
    // Times choose answers.
    let (since, until) = args.common.selection.take_times();
    let sessions = find_sessions(&args, &mut index)?;
    let places = Places::read(&args, &mut index, &sessions)?;
    let empty = Stats::new(args.own.by.clone(), since, until);
    let Counted { stats, imported, failed } =
        count_all(&sessions, index.files(), &places, &empty, args.own.kept)?;
    if imported > 0 {
        note(format_args!("{} of other programs not counted", counted(imported, "imported turn")));
    }
    if stats.sums.is_empty() {
        match sessions.len() {
            0 => args.common.selection.note_none(&mut index, "no session matches the filters")?,
            count => note(format_args!("nothing to count in {}", counted(count, "session"))),
        }
    }
    let named = if args.own.by.contains(&By::Session) { &sessions[..] } else { &[] };
    let titles = named.iter().filter_map(|session| Some((session.id?.to_string(), session.label())));
    rows::print(&stats, shape, &titles.collect())?;
    Ok(if failed { Exit::Trouble } else { Exit::Done })
}

/// The sessions that are counted.
fn find_sessions(args: &Args, index: &mut Index) -> Result<Vec<Session<'static>>> {
    let mut sessions = Vec::new();
    if args.operands.is_empty() {
        let mut filter = args.common.selection.filter(index)?;
        filter.subagents = true;
        if filter.archived == Archived::No {
            filter.archived = Archived::With;
        }
        let mut fields = vec![Field::Id, Field::Cwd, Field::RolloutPath, Field::Parent];
        if args.own.by.contains(&By::Session) {
            fields.extend([Field::Title, Field::Name]);
        }
        index.list(&Query { filter, fields, ..Query::default() }, &mut |session| {
            sessions.push(session.clone().into_owned());
            Ok(())
        })?;
        return Ok(sessions);
    }
    if args.common.selection.has_place() {
        return Err(Error::usage("filters of sessions cannot be combined with REF"));
    }
    reference::each_operand(&args.operands, |_| None, &mut |text| {
        let (session, turn, _) = reference::resolve_address(index, text)?;
        if turn.is_some() {
            return Err(Error::usage(format!(
                "'{text}' is the address of a turn: whole sessions are counted"
            ))
            .hint("'codex-agent show ADDRESS' prints the tokens of a turn"));
        }
        sessions.push(session);
        Ok(())
    })?;
    if args.own.tree {
        add_subagents(index, &mut sessions)?;
    }
    let mut seen = HashSet::new();
    sessions.retain(|session| seen.insert(session.id));
    Ok(sessions)
}

/// Adds the subagents and reviewers of sessions, and those of these.
fn add_subagents(index: &mut Index, sessions: &mut Vec<Session<'static>>) -> Result<()> {
    let filter = Filter { subagents: true, archived: Archived::With, ..Filter::default() };
    let fields = vec![Field::Id, Field::Cwd, Field::RolloutPath, Field::Parent];
    let mut children: HashMap<Id, Vec<Session<'static>>> = HashMap::new();
    index.list(&Query { filter, fields, ..Query::default() }, &mut |session| {
        if let Some(parent) = parent_of(session) {
            children.entry(parent).or_default().push(session.clone().into_owned());
        }
        Ok(())
    })?;
    let mut at = 0;
    while at < sessions.len() {
        let of_it = sessions[at].id.and_then(|id| children.remove(&id));
        sessions.extend(of_it.into_iter().flatten());
        at += 1;
    }
    Ok(())
}

/// The values of sessions for the sums.
struct Places {
    /// The session that another one counts as a part of, with its directory.
    roots: HashMap<Id, (String, Option<String>)>,
    /// The groups of sessions, if they are counted by group.
    groups: Option<HashMap<String, Vec<String>>>,
}

impl Places {
    fn read(args: &Args, index: &mut Index, sessions: &[Session<'static>]) -> Result<Places> {
        let mut groups = None;
        if args.own.by.contains(&By::Group) {
            let mut of: HashMap<String, Vec<String>> = HashMap::new();
            let all: Groups = Groups::store()?.read()?;
            for group in &all.groups {
                for id in &group.session_ids {
                    of.entry(id.clone()).or_default().push(group.name.clone());
                }
            }
            groups = Some(of);
        }
        let mut roots = HashMap::new();
        if args.own.tree {
            let known: HashMap<Id, &Session<'static>> =
                sessions.iter().filter_map(|session| Some((session.id?, session))).collect();
            for session in sessions {
                let (Some(id), mut at) = (session.id, session.clone()) else { continue };
                // Agents are not nested without end, but a damaged home may say so.
                for _ in 0..64 {
                    let Some(parent) = parent_of(&at) else { break };
                    let above = match known.get(&parent) {
                        Some(known) => Some((*known).clone()),
                        None => index.get(parent)?,
                    };
                    let Some(above) = above else { break };
                    at = above;
                }
                let root = at.id.unwrap_or(id).to_string();
                roots.insert(id, (root, at.cwd.map(|cwd| cwd.into_owned())));
            }
        }
        Ok(Places { roots, groups })
    }
}

/// The session that started a subagent; of a reviewer only its rollout has it.
fn parent_of(session: &Session<'_>) -> Option<Id> {
    let agent = session.subagent.as_ref()?;
    agent.parent.or_else(|| {
        let path = Path::new(session.rollout_path.as_deref()?);
        rollout::head(path, rollout::Depth::Start).ok()?.meta.parent
    })
}

/// What was counted.
struct Counted {
    stats: Stats,
    /// The number of turns that Codex imported from other programs, which are not counted.
    imported: usize,
    /// Whether a rollout could not be read.
    failed: bool,
}

/// Counts the sessions; a rollout that cannot be read is reported.
fn count_all(
    sessions: &[Session<'static>],
    files: &Files,
    places: &Places,
    empty: &Stats,
    kept: bool,
) -> Result<Counted> {
    let mut all = Counted { stats: empty.clone(), imported: 0, failed: false };
    in_order(
        |add| {
            sessions.iter().all(add);
            Ok(())
        },
        |session, _: &mut dyn FnMut((), usize) -> bool| count(session, files, places, empty, kept),
        |found| {
            match found {
                Found::End(Ok((stats, imported))) => {
                    all.stats.add_session(stats);
                    all.imported += imported;
                }
                Found::End(Err(error)) => {
                    warn(error.message());
                    all.failed = true;
                }
                Found::Result((), _) => {}
            }
            Ok(true)
        },
    )?;
    Ok(all)
}

/// The sums of one session, and the number of its turns that were imported.
fn count(
    session: &Session<'_>,
    files: &Files,
    places: &Places,
    empty: &Stats,
    kept: bool,
) -> Result<(Stats, usize)> {
    let (mut stats, mut imported) = (empty.clone(), 0);
    let Some(id) = session.id else { return Ok((stats, 0)) };
    let failed = |error: std::io::Error| {
        Error::new(format!(
            "cannot read the transcript of session '{id}': {}; it is not counted",
            reason(&error)
        ))
    };
    let options = Options { undone: !kept, ..Options::default() };
    let own = id.to_string();
    let (root, project) = match places.roots.get(&id) {
        Some((root, project)) => (root.as_str(), project.as_deref()),
        None => (own.as_str(), session.cwd.as_deref()),
    };
    let none = [String::new()];
    let groups = match &places.groups {
        Some(groups) => groups.get(root).map_or(&none[..], Vec::as_slice),
        None => &none[..],
    };
    let reader = Reader::of_session(files, id, session.rollout_path.as_deref(), options).map_err(failed)?;
    for record in reader {
        let Record::Turn(turn) = record.map_err(failed)? else { continue };
        if turn.inherited || (kept && turn.undone) {
            continue;
        }
        if turn.is_imported() {
            imported += 1;
            continue;
        }
        for group in groups {
            let group = Some(group.as_str()).filter(|name| !name.is_empty());
            stats.add(&turn, &Place { project, session: Some(root), group });
        }
    }
    Ok((stats, imported))
}
