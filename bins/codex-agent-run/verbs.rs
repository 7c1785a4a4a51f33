//! The verbs, which manage the runs of every tool.

use codex_agent_engine::commands::expiry;
use codex_agent_engine::commands::retry::{FailedRun, Selection};
use codex_agent_engine::commands::start::confirm;
use codex_agent_engine::commands::unnamed::Unnamed;
use codex_agent_engine::commands::{manage, retry, watch};
use codex_agent_engine::disk::progress::{RunProgress, WORKER};
use codex_agent_engine::record::settings::Interrupted;
use codex_agent_engine::{Counts, RunDir};
use codex_agent_shared::error::{Error, Exit, Result, note, status, warn_of};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::{Listing, Rows};
use codex_agent_shared::terminal::{Cell, Cut, Look, Table, ask, can_ask, page};
use codex_agent_shared::text::counted;
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
    let shape = args.common.shape_of(&["run"], &[])?;
    // The counts matter more than the beginning of a name; 'run log' accepts its end.
    let mut table = Table::new().column("RUN", Look::Id).cut(Cut::Front).gives_way(1, 8);
    table = table.column("STATE", Look::Plain).column("STARTED", Look::Dim).optional(4, 7);
    table = table.column("TOOK", Look::Dim).optional(2, 6).column("JOBS", Look::Plain).gives_way(3, 16);
    let mut listing = Listing::new(shape, table);
    let mut exit = Exit::Done;
    let mut is_empty = true;
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
        let Counts { pending, running, completed, failed, skipped } = tasks.reported_counts();
        is_empty = false;
        let (state, began) = (manage::run_state(&dir, &tasks), tasks.started_at);
        let plain = || {
            let began = began.map(|at| at.to_string()).unwrap_or_default();
            let counts = [pending, running, completed, failed, skipped].map(|count| count.to_string());
            [dir.name().to_owned(), state.to_owned(), began].into_iter().chain(counts).collect()
        };
        let table = |now: Timestamp| {
            let age = began.map(|at| at.age(now)).unwrap_or_default();
            let ended = tasks.ended.as_ref().map(|(at, _)| *at);
            let took = began.zip(ended).map(|(began, ended)| began.countdown(ended)).unwrap_or_default();
            let interrupted = tasks.count_interrupted().min(failed);
            let counts = [
                (completed, "completed", Look::Plain),
                (failed - interrupted, "failed", Look::Failed),
                (interrupted, "interrupted", Look::Interrupted),
                (skipped, "skipped", Look::Plain),
                (pending + running, "left", Look::Waiting),
            ];
            let counts = counts.iter().filter(|(count, ..)| *count > 0);
            let counts: Vec<_> =
                counts.map(|(count, what, look)| (format!("{count} {what}"), *look)).collect();
            let jobs = counts.iter().enumerate().flat_map(|(at, (text, look))| {
                [(if at > 0 { ", " } else { "" }, Look::Plain), (text.as_str(), *look)]
            });
            vec![
                dir.name().into(),
                Cell::state(manage::state_word(&dir, &tasks)),
                age.into(),
                took.into(),
                Cell::parts(jobs),
            ]
        };
        listing.add(&manage::describe_run(&dir, &tasks), &[], Rows { plain, table })?;
    }
    listing.finish()?;
    if is_empty {
        note("there are no runs; 'codex-agent run PROMPT' starts a run");
    }
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
                // A worker prints its events on the machine of its run.
                Some(Ok(tasks)) => tasks.kind != WORKER && (tasks.is_begun() || (waits && dir.is_running())),
                other => other.is_some(),
            });
            newest.ok_or_else(|| Error::not_found("there are no runs yet"))
        }
    }
}

pub(super) fn log(args: Args) -> Result<Exit> {
    if !args.common.no_pager {
        page();
    }
    watch::log(&named_or_newest(&args, false)?, args.jobs.show_options(&args.common)?)?;
    Ok(Exit::Done)
}

pub(super) fn watch(args: Args) -> Result<Exit> {
    watch::watch(&named_or_newest(&args, true)?, args.jobs.show_options(&args.common)?)
}

pub(super) fn continue_run(mut args: Args) -> Result<Exit> {
    args.jobs.show_options(&args.common)?;
    let mut found = find_named(&args)?.map_or_else(manage::find_unfinished, |dir| Ok(Some(dir)))?;
    if found.is_none() {
        // Interrupted jobs are work that a run has left, if the user wants it.
        let interrupted = Selection { interrupted: true, ..Selection::default() };
        let run = retry::find_newest(&interrupted)?.filter(|run| !run.dir.is_running());
        if let (Some(FailedRun { dir, jobs, .. }), None | Some(Interrupted::Fail)) =
            (&run, args.jobs.interrupted)
        {
            let (name, short, count) = (dir.name(), dir.short_name(), jobs.len());
            if args.jobs.interrupted.is_none() && can_ask() && !args.jobs.yes {
                let sessions = counted(count, "interrupted job");
                let question = format!(
                    "There is no unfinished run. Continue the sessions of {sessions} of run '{name}'?"
                );
                if !confirm(&question, "nothing was started")? {
                    return Ok(Exit::Negative);
                }
                args.jobs.interrupted = Some(Interrupted::Continue);
                return manage::continue_run(dir, &args.common, &args.jobs);
            }
            status(format_args!(
                "there is no unfinished run; of run '{name}', {count} interrupted: 'codex-agent run continue {short} \
                 --interrupted continue' continues their sessions, 'codex-agent run retry {short} --interrupted' sends \
                 their prompts again"
            ));
            return Ok(Exit::Done);
        }
        found = run.map(|run| run.dir);
    }
    let Some(dir) = found else {
        let running = RunDir::all()?.into_iter().find(RunDir::is_running);
        match running.map(|dir| dir.name().to_owned()) {
            Some(name) => status(format_args!(
                "there is no unfinished run; run '{name}' is running, and 'codex-agent run watch {name}' follows that run"
            )),
            None => status("there is no unfinished run"),
        }
        return Ok(Exit::Done);
    };
    if args.operands.is_empty() && !is_continue_meant(&dir, &args)? {
        return Ok(Exit::Negative);
    }
    if args.jobs.interrupted.is_none() && can_ask() && !args.jobs.yes && must_continue_interrupted(&dir)? {
        args.jobs.interrupted = Some(Interrupted::Continue);
    }
    manage::continue_run(&dir, &args.common, &args.jobs)
}

/// Asks whether the sessions of interrupted jobs are continued with the pending jobs of a run.
fn must_continue_interrupted(dir: &RunDir) -> Result<bool> {
    let selection = Selection { interrupted: true, ..Selection::default() };
    let count = retry::find_of(dir, &selection)?.map_or(0, |run| run.jobs.len());
    if count == 0 || dir.is_running() {
        return Ok(false);
    }
    let jobs = counted(count, "job");
    let were = if count == 1 { "was" } else { "were" };
    ask(&format!("{jobs} of the run {were} interrupted. Continue these sessions too?"))
}

/// Whether the run that the user did not name is the one to continue.
fn is_continue_meant(dir: &RunDir, args: &Args) -> Result<bool> {
    let progress = RunProgress::read(dir)?;
    let options = match args.jobs.interrupted {
        Some(Interrupted::Continue) => " --interrupted continue",
        Some(Interrupted::Retry) => " --interrupted retry",
        Some(Interrupted::Fail) | None => "",
    };
    let Counts { pending, running, .. } = progress.reported_counts();
    let jobs = match (pending + running, progress.count_interrupted()) {
        (0, interrupted) => counted(interrupted, "interrupted job"),
        (left, _) => counted(left, "job"),
    };
    Unnamed { dir, progress: &progress, verb: "continue", jobs, options }.is_meant(args.jobs.yes)
}

pub(super) fn retry(args: Args) -> Result<Exit> {
    let named = find_named(&args)?;
    retry::retry(named.as_ref(), &args.own.selection, &args.common, &args.jobs)
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
    status(format_args!("removed {}", counted(removed, "run")));
    Ok(Exit::Done)
}
