//! Adding a turn to each of many sessions, for `group run`, `resume --prompt` and `fork --prompt`.
//!
//! Each session is resumed in its own directory. An unfinished run of the same target is refused: a command that is
//! repeated after a crash must not send its prompt twice.

use std::collections::HashSet;

use crate::commands::flags::Jobs;
use crate::commands::run_jobs::run_jobs;
pub use crate::commands::targets::{Target, find_targets};
use crate::disk::progress::{JobState, RunProgress, State};
use crate::disk::run_dir::{RunDir, lock_planning};
use crate::record::job::Job;
use crate::run::plan::Plan;
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::record::Id;

/// The sessions in their order, without repetitions.
pub fn dedup_ids(sessions: impl IntoIterator<Item = Id>) -> Vec<Id> {
    let mut seen = HashSet::new();
    sessions.into_iter().filter(|id| seen.insert(*id)).collect()
}

/// Gives sessions without a host the only host of `--on`. With several hosts it is unknown which one has a session.
fn place(targets: &[Target], jobs: &Jobs) -> Result<Vec<Target>> {
    let mut targets = targets.to_vec();
    let (Some(list), Some(first)) = (&jobs.on, targets.iter().find(|target| target.host.is_none())) else {
        return Ok(targets);
    };
    let hosts = list.hosts()?;
    let [(host, _)] = &hosts[..] else {
        let message =
            format!("session '{}' is on one of the hosts of --on, and it is unknown which", first.id);
        return Err(
            Error::usage(message).hint("name one host, or records of 'codex-agent ls --host HOST --json'")
        );
    };
    for target in targets.iter_mut().filter(|target| target.host.is_none()) {
        target.host = Some(host.name.clone());
    }
    Ok(targets)
}

/// Sends the prompt of the flags to each session. `kind` and `name` are those of the run.
pub fn send_prompt(
    kind: &str,
    name: &str,
    targets: &[Target],
    common: &CommonOptions,
    jobs: &Jobs,
) -> Result<Exit> {
    send(kind, name, targets, common, jobs, &|base, id| vec![base.resuming(id)])
}

/// Sends the prompt to so many forks of each session, which the hosts that have the sessions create.
pub fn send_to_forks(
    name: &str,
    targets: &[Target],
    common: &CommonOptions,
    jobs: &Jobs,
    count: usize,
) -> Result<Exit> {
    send("fork", name, targets, common, jobs, &|base, id| vec![base.resuming(id).in_fork(); count])
}

fn send(
    kind: &str,
    name: &str,
    targets: &[Target],
    common: &CommonOptions,
    jobs: &Jobs,
    plan_jobs: &dyn Fn(&Job, Id) -> Vec<Job>,
) -> Result<Exit> {
    let targets = place(targets, jobs)?;
    let home = common.codex_home_of_jobs()?;
    let mut base = Job::new(jobs.single_prompt()?);
    base.images = jobs.images()?;
    base.options = jobs.options()?;
    base.codex_home.clone_from(&home);
    let guard = || {
        if jobs.dry_run {
            return Ok(None);
        }
        // Two concurrent commands must not both find that no such run exists.
        let lock = lock_planning()?;
        if !jobs.new {
            refuse_unfinished(kind, name, &targets, &base)?;
        }
        Ok(Some(lock))
    };
    let plan = Plan::new(kind, name, home);
    run_jobs(plan, common, jobs, &guard, |_, add| {
        targets.iter().try_for_each(|target| {
            plan_jobs(&base, target.id).into_iter().try_for_each(|mut job| {
                job.host.clone_from(&target.host);
                add(job)
            })
        })
    })
}

/// Refuses an unfinished run of the same target: the same group, or one of the sessions.
fn refuse_unfinished(kind: &str, name: &str, targets: &[Target], base: &Job) -> Result<()> {
    let sessions: HashSet<(Id, Option<&str>)> =
        targets.iter().map(|target| (target.id, target.host.as_deref())).collect();
    for dir in RunDir::all()? {
        let run = dir.name();
        let Some(tasks) = RunProgress::read_existing(&dir) else { continue };
        let tasks = match tasks {
            Ok(tasks) => tasks,
            // The pending jobs of an unreadable run are unknown, so a run of the same target is refused.
            Err(error) if dir.may_be_run_of(kind, name) => {
                return Err(error.hint("nothing was started; --new starts another run nevertheless"));
            }
            Err(_) => continue,
        };
        if tasks.kind != kind || !tasks.is_unfinished(&dir) {
            continue;
        }
        let is_left = |task: &&JobState| task.state.is_left() || task.state == State::Running;
        let mut left = tasks.all.iter().filter(is_left);
        let concerns = |task: &JobState| {
            task.session_needed().is_some_and(|session| sessions.contains(&(session, task.host())))
        };
        // A group may have been renamed since.
        let is_same = match kind {
            "group" => tasks.name == name || left.any(|task| concerns(task) && task.has_prompt(&base.prompt)),
            _ => left.any(concerns),
        };
        if !is_same {
            continue;
        }
        let target = match kind {
            "group" if tasks.name == name => "the same group",
            "group" => "some of these sessions with the same prompt",
            _ => "the same session",
        };
        return Err(match dir.is_running() {
            true => Error::new(format!("run '{run}' is already running on {target}; nothing was started"))
                .hint(format!("'codex-agent run watch {run}' follows the run; --new starts another run")),
            false => Error::new(format!("run '{run}' on {target} is unfinished; nothing was started")).hint(
                format!("'codex-agent run continue {run}' continues the run; --new starts another run"),
            ),
        });
    }
    Ok(())
}
