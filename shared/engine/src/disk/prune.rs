//! Removing the directories of finished runs.
//!
//! A run is kept while it has pending jobs, while its journal is locked or a job is running, while a queue names it, and
//! while the run that it retries exists: without the retry, the same jobs could be retried once more. Claims of jobs are
//! kept as long as a run that owns one of them. Sessions belong to Codex and are never removed.

use std::collections::HashSet;
use std::time::Duration;

use crate::disk::claims;
use crate::disk::journal::Journal;
use crate::disk::progress::{End, RunProgress};
use crate::disk::run_dir::RunDir;
use codex_agent_shared::error::{Result, warn_of};
use codex_agent_shared::time::Timestamp;

/// Removes finished runs that ended before this time, except those in `keep` or, if that is unknown, all runs of
/// queues. Removed runs are passed to `each`. A run that cannot be read or removed causes a warning.
pub fn prune(
    before: Timestamp,
    keep: Option<&HashSet<String>>,
    each: &mut dyn FnMut(&RunDir, &RunProgress) -> Result<()>,
) -> Result<()> {
    let now = Timestamp::now();
    // A run is removed before its retries, which are newer.
    for dir in RunDir::all()?.into_iter().rev() {
        // A run cannot end before its creation, whose time is in its name.
        if keep.is_some_and(|keep| keep.contains(dir.name()))
            || dir.created_at().is_some_and(|made| made >= before)
        {
            continue;
        }
        let removed = remove(&dir, before, now, keep.is_none());
        match removed {
            Ok(Some(tasks)) => each(&dir, &tasks)?,
            Ok(None) => {}
            Err(error) => warn_of(&error),
        }
    }
    claims::sweep(before)?;
    RunDir::sweep(now)
}

fn remove(dir: &RunDir, before: Timestamp, now: Timestamp, but_queues: bool) -> Result<Option<RunProgress>> {
    let Some(tasks) = RunProgress::read_existing(dir).transpose()? else { return Ok(None) };
    if but_queues && tasks.kind == "queue" {
        return Ok(None);
    }
    if let Some(of) = &tasks.retry_of
        && RunDir::named(of)?.is_some()
    {
        return Ok(None);
    }
    let is_old = match &tasks.ended {
        Some((at, End::Completed | End::Stopped(_, 0))) => *at < before,
        // The run of a deleted queue is not continued.
        _ if tasks.kind == "queue" => now.0 - i64::try_from(dir.age(now).as_millis()).unwrap_or(0) < before.0,
        // Jobs may be claimed for the plan, and are started when their records are given again.
        None if !tasks.is_begun() && tasks.is_once() => dir.created_at().is_some_and(|made| made < before),
        // A plan that was never begun; a recent one may be incomplete.
        None if !tasks.is_begun() => dir.age(now) > Duration::from_secs(3600),
        _ => false,
    };
    if !is_old {
        return Ok(None);
    }
    // A locked journal has a runner.
    let journal = match Journal::open(&dir.journal()) {
        // Another process has just removed it.
        Err(_) if !dir.journal().exists() => return Ok(None),
        journal => journal?,
    };
    let Some(_journal) = journal else { return Ok(None) };
    if dir.count_running_jobs() > 0 {
        return Ok(None);
    }
    dir.remove()?;
    Ok(Some(tasks))
}
