//! The verbs: looking after the runs of every tool.

use std::time::Duration;

use serde::Serialize;

use codex_agent_shared::error::{Error, Exit, Result, warn, warn_of};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::events as show;
use codex_agent_shared::run::event::Codex;
use codex_agent_shared::run::journal::{self, Entry};
use codex_agent_shared::run::tasks::{End, State, Tasks};
use codex_agent_shared::run::{Counts, Folder, Journal, Listener, What, probe, supervise};
use codex_agent_shared::terminal::{Look, columns, is_terminal, line};
use codex_agent_shared::text::{cell, tsv, width};
use codex_agent_shared::time::{Timestamp, parse_moment};

use super::Args;

#[derive(Serialize)]
struct RunRecord<'r> {
    #[serde(rename = "type")]
    kind_of_record: &'static str,
    id: &'r str,
    kind: &'r str,
    name: &'r str,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    state: &'static str,
    counts: Counts,
    codex: &'r Codex,
    codex_home: Option<&'r str>,
}

/// What a run is doing.
fn state(folder: &Folder, tasks: &Tasks) -> &'static str {
    match &tasks.ended {
        _ if folder.is_running() => "running",
        Some((_, End::Completed)) => "finished",
        Some((_, End::Stopped(..))) => "stopped",
        None => "dead",
    }
}

fn record<'r>(folder: &'r Folder, tasks: &'r Tasks) -> RunRecord<'r> {
    RunRecord {
        kind_of_record: "run",
        id: folder.name(),
        kind: &tasks.kind,
        name: &tasks.name,
        started_at: tasks.started_at,
        ended_at: tasks.ended.as_ref().map(|(at, _)| *at),
        state: state(folder, tasks),
        counts: tasks.counts,
        codex: &tasks.codex,
        codex_home: tasks.codex_home.as_deref(),
    }
}

fn no_operand(args: &Args) -> Result<()> {
    match args.operands.first() {
        Some(extra) => Err(Error::usage(format!("unexpected operand '{extra}'"))),
        None => Ok(()),
    }
}

/// The run that is named; `None` where none is.
fn named(args: &Args) -> Result<Option<Folder>> {
    if let Some(extra) = args.operands.get(1) {
        return Err(Error::usage(format!("unexpected operand '{extra}'")));
    }
    args.operands.first().map(|name| Folder::find(name)).transpose()
}

pub(super) fn list(args: Args) -> Result<Exit> {
    no_operand(&args)?;
    let mut output = Output::stdout();
    let mut exit = Exit::Done;
    let mut rows = Vec::new();
    for folder in Folder::all()? {
        let tasks = match Tasks::read(&folder) {
            Ok(tasks) if tasks.is_begun() => tasks,
            Ok(_) => continue,
            Err(error) => {
                warn_of(&error);
                exit = Exit::Trouble;
                continue;
            }
        };
        if args.common.json {
            output.record(&record(&folder, &tasks))?;
            continue;
        }
        let Counts { pending, running, completed, failed, skipped } = tasks.counts;
        let began = tasks.started_at;
        let mut row = vec![folder.name().to_owned(), state(&folder, &tasks).to_owned()];
        if is_terminal() {
            row.push(began.map(|at| at.age(Timestamp::now())).unwrap_or_default());
            let parts = [
                (completed, "completed"),
                (failed, "failed"),
                (skipped, "skipped"),
                (pending + running, "left"),
            ];
            let parts =
                parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
            row.push(parts.collect::<Vec<_>>().join(", "));
            rows.push(row);
        } else {
            row.push(began.map(|at| at.to_string()).unwrap_or_default());
            row.extend([pending, running, completed, failed, skipped].map(|count| count.to_string()));
            let row: Vec<_> = row.iter().map(|value| tsv(value)).collect();
            output.text(row.join("\t").as_bytes(), b"\n")?;
        }
    }
    let widest = |at: usize| rows.iter().map(|row| width(&row[at])).max().unwrap_or(0);
    // The counts matter more than the end of a name, which 'run log' takes shortened too.
    let others = widest(1) + widest(2) + widest(3) + 6;
    let first = widest(0).min(columns().saturating_sub(others).max(16));
    let last = columns().saturating_sub(first + widest(1) + widest(2) + 6);
    for row in &rows {
        let (name, counts) = (cell(&row[0], first), cell(&row[3], last));
        let cells = [
            (name.as_str(), Look::Id, first),
            (&row[1], Look::Plain, widest(1)),
            (&row[2], Look::Dim, widest(2)),
            (&counts, Look::Plain, last),
        ];
        output.text(line(&cells, args.common.color.is_on()).as_bytes(), b"\n")?;
    }
    output.flush()?;
    Ok(exit)
}

pub(super) fn log(args: Args) -> Result<Exit> {
    let folder = match named(&args)? {
        Some(folder) => folder,
        None => {
            let newest = Folder::all()?.into_iter().next();
            newest.ok_or_else(|| Error::not_found("there are no runs yet"))?
        }
    };
    let mut jobs = 0;
    let mut shown = None;
    journal::read(&folder.journal(), |entry| {
        match entry {
            Entry::Job(..) => jobs += 1,
            // What was only planned did not happen.
            Entry::Event(event) if matches!(event.what, What::RunPlanned { .. }) => {}
            Entry::Event(event) => shown
                .get_or_insert_with(|| show::Show::past(args.engine.wanted(&args.common), jobs))
                .event(&event),
        }
        Ok(())
    })?;
    shown.map_or(Ok(()), show::Show::finish)?;
    Ok(Exit::Done)
}

/// The newest run that has work left and no runner.
fn unfinished() -> Result<Option<Folder>> {
    for folder in Folder::all()? {
        if folder.is_running() {
            continue;
        }
        match Tasks::read(&folder) {
            Ok(tasks) if tasks.is_begun() && tasks.is_open() => return Ok(Some(folder)),
            Ok(_) => {}
            Err(error) => warn_of(&error),
        }
    }
    Ok(None)
}

pub(super) fn go_on(args: Args) -> Result<Exit> {
    let folder = match named(&args)? {
        Some(folder) => folder,
        None => match unfinished()? {
            Some(folder) => folder,
            None => {
                warn("no run has work left");
                return Ok(Exit::Done);
            }
        },
    };
    let name = folder.name();
    let Some(journal) = Journal::open(folder.journal())? else {
        return Err(Error::new(format!("run '{name}' has a runner"))
            .hint(format!("codex-agent run log {name} tells what it does")));
    };
    let tasks = Tasks::read(&folder)?;
    if !tasks.is_begun() {
        return Err(Error::new(format!(
            "the plan of run '{name}' is not whole, and nothing of it was started"
        ))
        .hint("codex-agent run prune removes it"));
    }
    if !tasks.is_open() {
        warn(format_args!("run '{name}' has no work left"));
        return Ok(if tasks.counts.failed > 0 { Exit::Negative } else { Exit::Done });
    }
    let settings = args.engine.settings_after(&args.common, &tasks)?;
    warn(format_args!("going on with '{name}', {} left", show::counted(tasks.left())));
    let mut shown = show::Show::new(args.engine.wanted(&args.common), tasks.all.len());
    let ended = supervise(&folder, journal, tasks, settings, None, &mut shown);
    shown.sum_up();
    show::closing(&folder, ended, &show::way_on(&folder))
}

pub(super) fn stop(args: Args) -> Result<Exit> {
    let Some(folder) = named(&args)? else {
        return Err(Error::usage("the name of a run is missing").hint("codex-agent run list lists them"));
    };
    let name = folder.name();
    let tasks = Tasks::read(&folder)?;
    if folder.is_running() {
        let told = tasks.runner.as_ref().is_some_and(|runner| probe::stop_runner(runner, args.now));
        if !told {
            return Err(Error::new(format!("cannot tell which process runs '{name}'")));
        }
        warn(format_args!("run '{name}' was told to stop"));
        return Ok(Exit::Done);
    }
    let mut living = 0;
    for task in tasks.all.iter().filter(|task| task.state == State::Running) {
        let out = folder.file(task.of.number, task.of.attempt, "out");
        if probe::may_be_locked(&out) {
            living += 1;
            if args.now {
                let process = task.start.as_ref().and_then(|start| start.process.as_ref());
                probe::interrupt_holders(&out, process);
            }
        }
    }
    match (living, args.now) {
        (0, _) => warn(format_args!("run '{name}' does not run")),
        (_, true) => warn(format_args!("interrupted {}", show::counted(living))),
        (_, false) => warn(format_args!("run '{name}' has no runner, and {} live", show::counted(living))),
    }
    Ok(Exit::Done)
}

pub(super) fn prune(args: Args) -> Result<Exit> {
    no_operand(&args)?;
    let before = args.older.map_or_else(|| parse_moment("30d"), Ok)?;
    let now = Timestamp::now();
    let mut output = Output::stdout();
    let mut removed = 0;
    for folder in Folder::all()? {
        let tasks = match Tasks::read(&folder) {
            Ok(tasks) => tasks,
            Err(error) => {
                warn_of(&error);
                continue;
            }
        };
        let is_old = match &tasks.ended {
            Some((at, End::Completed)) => *at < before,
            // A plan that was never begun; a fresh one may be in the making.
            None if !tasks.is_begun() => folder.age(now) > Duration::from_secs(3600),
            _ => false,
        };
        if !is_old {
            continue;
        }
        // Whoever has the journal is not done.
        let Some(_journal) = Journal::open(folder.journal())? else { continue };
        folder.remove()?;
        removed += 1;
        if args.common.json {
            output.record(&record(&folder, &tasks))?;
        }
    }
    Folder::sweep(now)?;
    output.flush()?;
    warn(format_args!("removed {removed} run{}", if removed == 1 { "" } else { "s" }));
    Ok(Exit::Done)
}
