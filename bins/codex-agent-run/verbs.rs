//! The verbs, which manage the runs of every tool.

use codex_agent_engine::commands::expiry;
use codex_agent_engine::commands::{manage, watch};
use codex_agent_engine::disk::progress::RunProgress;
use codex_agent_engine::show::list_counts;
use codex_agent_engine::{Counts, RunDir};
use codex_agent_shared::error::{Error, Exit, Result, status, warn_of};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::terminal::{Cut, Look, Table, is_terminal};
use codex_agent_shared::text::tsv;
use codex_agent_shared::time::Timestamp;

use super::Args;

/// The run that the operand names, if there is one.
fn find_named(args: &Args) -> Result<Option<RunDir>> {
    if let Some(extra) = args.operands.get(1) {
        return Err(Error::usage(format!("unexpected operand '{extra}'")));
    }
    args.operands.first().map(|name| RunDir::find(name)).transpose()
}

pub(super) fn list(args: Args) -> Result<Exit> {
    let mut output = Output::stdout();
    let mut exit = Exit::Done;
    let mut rows = Vec::new();
    for dir in RunDir::all()? {
        let Some(tasks) = RunProgress::read_existing(&dir) else { continue };
        let tasks = match tasks {
            Ok(tasks) if tasks.is_begun() => tasks,
            Ok(_) => continue,
            Err(error) => {
                warn_of(&error);
                exit = Exit::Trouble;
                continue;
            }
        };
        if args.common.json {
            output.record(&manage::describe_run(&dir, &tasks))?;
            continue;
        }
        let Counts { pending, running, completed, failed, skipped } = tasks.reported_counts();
        let began = tasks.started_at;
        let mut row = vec![dir.name().to_owned(), manage::run_state(&dir, &tasks).to_owned()];
        if is_terminal() {
            row.push(began.map(|at| at.age(Timestamp::now())).unwrap_or_default());
            let left = pending + running;
            row.push(list_counts(&[
                (completed, "completed"),
                (failed, "failed"),
                (skipped, "skipped"),
                (left, "left"),
            ]));
            rows.push(row);
        } else {
            row.push(began.map(|at| at.to_string()).unwrap_or_default());
            row.extend([pending, running, completed, failed, skipped].map(|count| count.to_string()));
            let row: Vec<_> = row.iter().map(|value| tsv(value)).collect();
            output.text(row.join("\t").as_bytes(), b"\n")?;
        }
    }
    // The counts matter more than the beginning of a name; 'run log' accepts its end.
    let mut table = Table::new()
        .column("", Look::Id)
        .cut(Cut::Front)
        .gives_way(1, 8)
        .column("", Look::Plain)
        .column("", Look::Dim)
        .column("", Look::Plain)
        .gives_way(2, 1);
    rows.into_iter().for_each(|row| table.row(row));
    table.write(&mut output, args.common.color.is_on())?;
    output.flush()?;
    Ok(exit)
}

/// The run that the operand names, or the newest one.
fn named_or_newest(args: &Args, waits: bool) -> Result<RunDir> {
    match find_named(args)? {
        Some(dir) => Ok(dir),
        None => {
            // A run that is only planned has no events, unless `watch` waits for its start.
            let mut all = RunDir::all()?.into_iter();
            let newest = all.find(|dir| match RunProgress::read_existing(dir) {
                Some(Ok(tasks)) => tasks.is_begun() || (waits && dir.is_running()),
                other => other.is_some(),
            });
            newest.ok_or_else(|| Error::not_found("there are no runs yet"))
        }
    }
}

pub(super) fn log(args: Args) -> Result<Exit> {
    watch::log(&named_or_newest(&args, false)?, args.jobs.show_options(&args.common)?)?;
    Ok(Exit::Done)
}

pub(super) fn watch(args: Args) -> Result<Exit> {
    watch::watch(&named_or_newest(&args, true)?, args.jobs.show_options(&args.common)?)
}

pub(super) fn continue_run(args: Args) -> Result<Exit> {
    args.jobs.show_options(&args.common)?;
    let Some(dir) = find_named(&args)?.map_or_else(manage::find_unfinished, |dir| Ok(Some(dir)))? else {
        let running = RunDir::all()?.into_iter().find(RunDir::is_running);
        match running.map(|dir| dir.name().to_owned()) {
            Some(name) => status(format_args!(
                "there is no unfinished run; run '{name}' is running, and 'codex-agent run watch {name}' follows that run"
            )),
            None => status("there is no unfinished run"),
        }
        return Ok(Exit::Done);
    };
    manage::continue_run(&dir, &args.common, &args.jobs)
}

pub(super) fn stop(args: Args) -> Result<Exit> {
    let Some(dir) = find_named(&args)? else {
        return Err(
            Error::usage("the name of a run is missing").hint("'codex-agent run list' lists the runs")
        );
    };
    manage::stop(&dir, args.own.now)?;
    Ok(Exit::Done)
}

pub(super) fn prune(args: Args) -> Result<Exit> {
    let Some(before) = args.own.older.map_or_else(expiry::expiry_time, |older| Ok(Some(older)))? else {
        return Err(
            Error::usage("the setting runs.keep keeps runs forever").hint("--older TIME removes older runs")
        );
    };
    let mut output = Output::stdout();
    let mut removed = 0;
    expiry::prune(before, &mut |dir, tasks| {
        removed += 1;
        if args.common.json { output.record(&manage::describe_run(dir, tasks)) } else { Ok(()) }
    })?;
    output.flush()?;
    status(format_args!("removed {removed} run{}", if removed == 1 { "" } else { "s" }));
    Ok(Exit::Done)
}
