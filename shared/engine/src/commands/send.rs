//! Adding a turn to each of many sessions, for `group run` and `resume --prompt`.
//!
//! Each session is resumed in its own directory, by the engine; here the jobs are planned. A run of the
//! same kind and name that has work left stands in the way: the same command typed again after a
//! crash must not send its prompt twice.

use std::collections::HashSet;

use crate::commands::flags::Jobs;
use crate::disk::progress::{JobState, RunProgress, State};
use crate::disk::run_dir::{RunDir, lock_planning};
use crate::record::job::Job;
use crate::run::plan::Plan;
use crate::show::events::{Show, announce, continue_command};
use codex_agent_shared::cli::flags::Common;
use codex_agent_shared::error::{Error, Exit, Result, status};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::record::Id;

/// These sessions in their order, each once.
pub fn dedup_ids(sessions: impl IntoIterator<Item = Id>) -> Vec<Id> {
    let mut seen = HashSet::new();
    sessions.into_iter().filter(|id| seen.insert(*id)).collect()
}

/// Sends the prompt of the flags to each session. `kind` and `name` become the run's.
pub fn add(kind: &str, name: &str, sessions: &[Id], common: &Common, jobs: &Jobs) -> Result<Exit> {
    let options = jobs.show_options(common)?;
    let home = common.home_of_jobs()?;
    let mut base = Job::new(jobs.one_prompt()?);
    base.images = jobs.images()?;
    base.options = jobs.options()?;
    base.codex_home.clone_from(&home);
    let planned = sessions.iter().map(|id| base.resuming(*id));
    let mut plan = Plan::new(kind, name, home);
    if jobs.dry_run {
        let mut output = Output::stdout();
        for job in planned {
            output.record(&plan.name(job)?)?;
        }
        output.flush()?;
        return Ok(Exit::Done);
    }
    // Two concurrent commands must not both find that no such run exists.
    let planning = lock_planning()?;
    if !jobs.new {
        refuse_unfinished(kind, name, sessions, &base)?;
    }
    let settings = jobs.settings(common)?;
    let mut planned = planned;
    if let Err(error) = planned.try_for_each(|job| plan.add(job)) {
        plan.discard();
        return Err(error.hint("nothing was started"));
    }
    drop(planning);
    crate::commands::expiry::prune_expired();
    let Some(folder) = plan.dir().cloned() else {
        status("no session was read, and nothing was started");
        return Ok(Exit::Done);
    };
    announce(plan.len(), &settings, jobs.sandbox()?);
    let mut shown = Show::new(options, plan.len());
    let ended = plan.run(settings, &mut shown);
    shown.close(&folder, ended, &continue_command(&folder))
}

/// Refuses an unfinished run of the same target: the same group, or one of the sessions.
fn refuse_unfinished(kind: &str, name: &str, sessions: &[Id], base: &Job) -> Result<()> {
    let sessions: HashSet<Id> = sessions.iter().copied().collect();
    for folder in RunDir::all()? {
        let run = folder.name();
        let Some(tasks) = RunProgress::read_existing(&folder) else { continue };
        let tasks = match tasks {
            Ok(tasks) => tasks,
            // The pending jobs of an unreadable run are unknown, so a run of the same target blocks.
            Err(error) if folder.may_be_run_of(kind, name) => {
                return Err(error.hint("nothing was started; --new begins another run anyway"));
            }
            Err(_) => continue,
        };
        if tasks.kind != kind || !tasks.is_unfinished(&folder) {
            continue;
        }
        let is_left = |task: &&JobState| {
            matches!(task.state, State::Pending | State::Running | State::Failed { again: true, .. })
        };
        let mut left = tasks.all.iter().filter(is_left);
        let concerns = |task: &JobState| task.asked.is_some_and(|session| sessions.contains(&session));
        // A group may have been renamed since.
        let is_same = match kind {
            "group" => tasks.name == name || left.any(|task| concerns(task) && task.has_prompt(&base.prompt)),
            _ => left.any(concerns),
        };
        if !is_same {
            continue;
        }
        let what = match kind {
            "group" if tasks.name == name => "the same group",
            "group" => "some of these sessions with the same prompt",
            _ => "the same session",
        };
        return Err(match folder.is_running() {
            true => Error::new(format!("run '{run}' is running on {what}, and nothing was started"))
                .hint(format!("codex-agent run watch {run} follows it; --new begins another")),
            false => Error::new(format!("run '{run}' has work left, and nothing was started"))
                .hint(format!("codex-agent run continue {run} continues it; --new begins another")),
        });
    }
    Ok(())
}
