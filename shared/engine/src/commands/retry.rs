//! Doing the failed jobs of a run again, in a new run.
//!
//! A retry is an ordinary run whose plan has the failed jobs of another run, under the same ids; its events name that run
//! (`retry_of`). Completed and pending jobs are never repeated, and a job is retried once: the next retry is one of the
//! retry. So a repeated command sends nothing twice.

use std::collections::{HashMap, HashSet};

use crate::commands::flags::Jobs;
use crate::commands::run_jobs::run_jobs_after;
use crate::commands::unnamed::Unnamed;
use crate::disk::journal::Journal;
use crate::disk::progress::{JobState, RunProgress, State, WORKER};
use crate::disk::run_dir::{RunDir, lock_planning};
use crate::process::command;
use crate::record::failure::Class;
use crate::record::job::Job;
use crate::run::plan::Plan;
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::error::{Error, Exit, Result, status};
use codex_agent_shared::text::{counted, quoted};
use codex_agent_shared::time::Timestamp;

/// The failed jobs to do again. Without any choice, all.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Jobs that failed and were not interrupted.
    pub failed: bool,
    /// Jobs that were interrupted.
    pub interrupted: bool,
    /// Jobs whose failure has one of these classes.
    pub classes: Vec<Class>,
}

impl Selection {
    fn has(&self, class: Class) -> bool {
        let is_open = !self.failed && !self.interrupted && self.classes.is_empty();
        is_open
            || self.classes.contains(&class)
            || if class.is_interrupted() { self.interrupted } else { self.failed }
    }

    fn selects(&self, job: &JobState) -> bool {
        job.failure_class().is_some_and(|class| self.has(class))
    }
}

/// A run with failed jobs that no later run has retried.
pub struct FailedRun {
    /// The directory of the run.
    pub dir: RunDir,
    /// Its state.
    pub progress: RunProgress,
    /// The indexes of the failed jobs.
    pub jobs: Vec<usize>,
}

/// The retries of runs, by the ids of the jobs that they planned.
#[derive(Default)]
struct Retries {
    /// The jobs of each run, with the run that retries them.
    jobs: HashMap<String, HashMap<String, String>>,
    /// Runs that cannot be read, and may be retries.
    unreadable: Vec<(RunDir, Error)>,
}

impl Retries {
    fn add(&mut self, dir: &RunDir, progress: &RunProgress) {
        // A plan that was never begun has sent nothing.
        if let Some(of) = progress.retry_of.as_ref().filter(|_| progress.is_begun() || dir.is_running()) {
            let jobs = self.jobs.entry(of.clone()).or_default();
            jobs.extend(progress.all.iter().map(|job| (job.of.job.clone(), dir.name().to_owned())));
        }
    }

    fn of_run(&self, dir: &RunDir) -> impl Iterator<Item = (&str, &str)> {
        self.jobs.get(dir.name()).into_iter().flatten().map(|(job, run)| (job.as_str(), run.as_str()))
    }
}

/// The jobs of a run that later runs have retried.
pub fn retried_jobs(dir: &RunDir) -> Result<HashSet<String>> {
    let (mut retries, mut is_newer) = (Retries::default(), true);
    for other in RunDir::all()? {
        is_newer &= other != *dir;
        match RunProgress::read_existing(&other) {
            // After the clock was set back, a retry is older than its run.
            Some(Ok(progress)) => retries.add(&other, &progress),
            Some(Err(error)) if is_newer => return Err(error),
            _ => {}
        }
    }
    Ok(retries.of_run(dir).map(|(job, _)| job.to_owned()).collect())
}

/// The newest run with such failed jobs, except the runs of queues, whose prompts the queue sends again. `None` if there
/// is none.
pub fn find_newest(selection: &Selection) -> Result<Option<FailedRun>> {
    find(None, selection)
}

/// The failed jobs of a run that were not retried; `None` if the run does not exist any more.
pub fn find_of(dir: &RunDir, selection: &Selection) -> Result<Option<FailedRun>> {
    find(Some(dir), selection)
}

/// The runs since this time with failed jobs that were not retried, the newest first, except the runs of queues and runs
/// that are running. A run that cannot be read is skipped.
pub fn find_recent(since: Timestamp) -> Result<Vec<FailedRun>> {
    let (now, mut retries, mut found) = (Timestamp::now(), Retries::default(), Vec::new());
    for dir in RunDir::all()? {
        // A retry is changed after the run that it retries.
        if now.0 - i64::try_from(dir.age(now).as_millis()).unwrap_or(i64::MAX) < since.0 {
            continue;
        }
        let Some(Ok(progress)) = RunProgress::read_existing(&dir) else { continue };
        retries.add(&dir, &progress);
        if !progress.is_begun() || ["queue", WORKER].contains(&progress.kind.as_str()) || dir.is_running() {
            continue;
        }
        let done: HashSet<&str> = retries.of_run(&dir).map(|(job, _)| job).collect();
        let is_left = |at: &usize| {
            let job = &progress.all[*at];
            job.failure_class().is_some() && !done.contains(job.of.job.as_str())
        };
        let jobs: Vec<usize> = (0..progress.all.len()).filter(is_left).collect();
        if !jobs.is_empty() {
            found.push(FailedRun { dir, progress, jobs });
        }
    }
    Ok(found)
}

fn find(named: Option<&RunDir>, selection: &Selection) -> Result<Option<FailedRun>> {
    let mut retries = Retries::default();
    let read = |dir: RunDir| (RunProgress::read_existing(&dir), dir);
    let runs: Vec<_> = RunDir::all()?.into_iter().map(read).collect();
    // After the clock was set back, a retry is older than its run.
    for (progress, dir) in &runs {
        if let Some(Ok(progress)) = progress {
            retries.add(dir, progress);
        }
    }
    for (progress, dir) in runs {
        let progress = match progress {
            Some(Ok(progress)) => progress,
            Some(Err(error)) if named == Some(&dir) => return Err(error),
            Some(Err(error)) => {
                retries.unreadable.push((dir, error));
                continue;
            }
            None => continue,
        };
        let is_meant = match named {
            Some(named) => *named == dir,
            None => progress.is_begun() && !["queue", WORKER].contains(&progress.kind.as_str()),
        };
        if !is_meant {
            continue;
        }
        let is_failed = |at: &usize| selection.selects(&progress.all[*at]);
        let failed: Vec<usize> = (0..progress.all.len()).filter(is_failed).collect();
        let done: HashMap<&str, &str> = retries.of_run(&dir).collect();
        let is_left = |at: &usize| !done.contains_key(progress.all[*at].of.job.as_str());
        let jobs: Vec<usize> = failed.iter().copied().filter(is_left).collect();
        if jobs.is_empty() && named.is_none() {
            continue;
        }
        if let (true, Some(retry)) = (jobs.is_empty(), failed.first()) {
            let retry = done.get(progress.all[*retry].of.job.as_str()).copied().unwrap_or_default();
            let message =
                format!("the failed jobs of run '{}' were already retried by run '{retry}'", dir.name());
            return Err(Error::not_found(message)
                .hint(format!("'codex-agent run retry {retry}' retries the jobs that failed again")));
        }
        // A run of the same subject that cannot be read may be a retry of this run.
        let may_be_retry = |(other, _): &(RunDir, Error)| other.may_be_run_of(&progress.kind, &progress.name);
        if let Some(at) = retries.unreadable.iter().position(may_be_retry) {
            let (other, error) = retries.unreadable.swap_remove(at);
            let message = format!("run '{}' may be a retry of run '{}'", other.name(), dir.name());
            return Err(error.hint(format!("{message}; nothing was started")));
        }
        return Ok(Some(FailedRun { dir, progress, jobs }));
    }
    Ok(None)
}

/// Does the failed jobs of a run, or of the newest run that has such jobs, again.
pub fn retry(
    named: Option<&RunDir>,
    selection: &Selection,
    common: &CommonOptions,
    jobs: &Jobs,
) -> Result<Exit> {
    let Some(FailedRun { dir, progress, jobs: failed }) = find(named, selection)? else {
        status(
            "no run has failed jobs to retry; 'codex-agent queue retry' requeues failed prompts of a queue",
        );
        return Ok(Exit::Done);
    };
    let name = dir.name();
    check_idle(&dir, &progress, jobs)?;
    if failed.is_empty() {
        return Err(nothing_error(&dir, &progress));
    }
    if named.is_none() && !jobs.dry_run {
        let count = counted(failed.len(), "failed job");
        let unnamed = Unnamed { dir: &dir, progress: &progress, verb: "retry", jobs: count, options: "" };
        if !unnamed.is_meant(jobs.yes)? {
            return Ok(Exit::Negative);
        }
    }
    if !jobs.dry_run {
        report_retry(&dir, &progress, &failed);
    }
    // Two concurrent commands must not both retry the same jobs, and another process may have continued the run.
    let guard = || {
        let lock = if jobs.dry_run { None } else { Some(lock_planning()?) };
        // No process changes the run while its journal is locked.
        let journal = Journal::open(&dir.journal())?.ok_or_else(|| running_error(name))?;
        if dir.count_running_jobs() > 0 {
            return Err(running_error(name));
        }
        let found = find(Some(&dir), selection)?;
        match found {
            Some(found) if found.jobs == failed => {}
            Some(found) if found.jobs.is_empty() => return Err(nothing_error(&dir, &found.progress)),
            _ => {
                let message = format!("the failed jobs of run '{name}' have changed; nothing was started");
                return Err(Error::new(message).hint("repeat the command"));
            }
        }
        // The journal is unlocked first: a run that is locked without the other lock is running.
        Ok((journal, lock))
    };
    let plan = Plan::new(&progress.kind, &progress.name, progress.codex_home.clone()).retrying(name);
    run_jobs_after(plan, common, jobs, &progress, &guard, |(journal, _), add| {
        failed.iter().try_for_each(|at| {
            let state = &progress.all[*at];
            let mut job = journal.job(state.place)?;
            job.run = None;
            job.resent |= state.resent || matches!(state.state, State::Failed { sent: true, .. });
            restore_files(&mut job, &dir, state.of.number);
            add(job)
        })
    })
}

/// Refuses the run of a queue, and a run that is running.
fn check_idle(dir: &RunDir, progress: &RunProgress, jobs: &Jobs) -> Result<()> {
    let name = dir.name();
    if progress.kind == "queue" {
        let queue = quoted(&progress.name);
        return Err(Error::usage(format!("run '{name}' is a run of queue '{}'", progress.name))
            .hint(format!("'codex-agent queue retry {queue} --failed' requeues its failed prompts")));
    }
    if progress.kind == WORKER {
        return Err(Error::usage(format!("run '{name}' has the jobs of a run of another machine"))
            .hint("'codex-agent run retry' on that machine retries them"));
    }
    // A command that plans another retry locks the journal too.
    let _lock = if jobs.dry_run { None } else { Some(lock_planning()?) };
    match dir.is_running() || dir.count_running_jobs() > 0 {
        true => Err(running_error(name)),
        false => Ok(()),
    }
}

/// Prints which jobs are retried. They keep their ids, which are not the numbers from 1 then.
fn report_retry(dir: &RunDir, progress: &RunProgress, failed: &[usize]) {
    let age = progress.started_at.map_or_else(String::new, |at| match &*at.ago(Timestamp::now()) {
        "just now" => String::new(),
        ago => format!(", which began {ago}"),
    });
    let ids: Vec<&str> = failed.iter().map(|at| progress.all[*at].of.job.as_str()).collect();
    let are_in_order = ids.iter().enumerate().all(|(at, id)| *id == (at + 1).to_string());
    let are_short = ids.len() <= 8 && ids.iter().all(|id| id.len() <= 6);
    let kept = match &ids[..] {
        _ if are_in_order || !are_short => String::new(),
        [only] => format!("; its number stays {only}"),
        [most @ .., last] => format!("; their numbers stay {} and {last}", most.join(", ")),
        [] => String::new(),
    };
    let count = counted(failed.len(), "failed job");
    status(format_args!("retrying {count} of run '{}'{age}{kept}", dir.name()));
}

/// The error for a run without jobs to retry.
fn nothing_error(dir: &RunDir, progress: &RunProgress) -> Error {
    let name = dir.name();
    let error = Error::not_found(format!("run '{name}' has no such failed jobs; nothing was started"));
    match progress.is_open() {
        true => error.hint(format!("'codex-agent run continue {name}' does its pending jobs")),
        false => error,
    }
}

fn running_error(name: &str) -> Error {
    Error::new(format!("run '{name}' is still running; nothing was started"))
        .hint(format!("'codex-agent run watch {name}' follows the run"))
}

/// Takes the copy of each file of a job that no longer exists.
fn restore_files(job: &mut Job, dir: &RunDir, number: usize) {
    let directory = dir.job(number);
    let copies: HashMap<String, String> = command::copies(job, &directory)
        .into_iter()
        .filter(|(from, to)| !std::path::Path::new(from).exists() && to.exists())
        .filter_map(|(from, to)| Some((from.to_owned(), to.into_os_string().into_string().ok()?)))
        .collect();
    for file in job.images.iter_mut().chain(&mut job.options.output_schema) {
        if let Some(copy) = copies.get(file.as_str()) {
            file.clone_from(copy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_add_up_and_none_selects_every_failure() {
        let selected = |selection: &Selection| -> Vec<Class> {
            let all = [Class::Refused, Class::Timeout, Class::Stopped, Class::Interrupted];
            all.into_iter().filter(|class| selection.has(*class)).collect()
        };
        let none = Selection::default();
        assert_eq!(selected(&none).len(), 4);
        let failed = Selection { failed: true, ..none.clone() };
        assert_eq!(selected(&failed), [Class::Refused, Class::Timeout]);
        let interrupted = Selection { interrupted: true, ..none.clone() };
        assert_eq!(selected(&interrupted), [Class::Stopped, Class::Interrupted]);
        let both = Selection { interrupted: true, classes: vec![Class::Timeout], ..none };
        assert_eq!(selected(&both), [Class::Timeout, Class::Stopped, Class::Interrupted]);
    }
}
