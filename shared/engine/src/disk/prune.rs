//! Removing the records of runs that are finished.
//!
//! A run stays while it has work left, while somebody has its journal or a job of it lives, and while a
//! queue names it. Its sessions are Codex's, and stay in any case.

use std::collections::HashSet;
use std::time::Duration;

use crate::disk::journal::Journal;
use crate::disk::progress::{End, RunProgress};
use crate::disk::run_dir::RunDir;
use codex_agent_shared::error::{Result, warn_of};
use codex_agent_shared::time::Timestamp;

/// Removes the finished runs that ended before this, but for those named in `keep`, or, where nobody knows
/// which those are, for all runs of queues; what was removed goes to `each`. One that cannot be read or
/// removed costs a warning.
pub fn prune(
    before: Timestamp,
    keep: Option<&HashSet<String>>,
    each: &mut dyn FnMut(&RunDir, &RunProgress) -> Result<()>,
) -> Result<()> {
    let now = Timestamp::now();
    for folder in RunDir::all()? {
        // None ended before it was made; most are told by their names alone.
        if keep.is_some_and(|keep| keep.contains(folder.name()))
            || folder.made().is_some_and(|made| made >= before)
        {
            continue;
        }
        let removed = remove(&folder, before, now, keep.is_none());
        match removed {
            Ok(Some(tasks)) => each(&folder, &tasks)?,
            Ok(None) => {}
            Err(error) => warn_of(&error),
        }
    }
    RunDir::sweep(now)
}

fn remove(
    folder: &RunDir,
    before: Timestamp,
    now: Timestamp,
    but_queues: bool,
) -> Result<Option<RunProgress>> {
    let Some(tasks) = RunProgress::read_existing(folder).transpose()? else { return Ok(None) };
    if but_queues && tasks.kind == "queue" {
        return Ok(None);
    }
    let is_old = match &tasks.ended {
        Some((at, End::Completed | End::Stopped(_, 0))) => *at < before,
        // The run of a deleted queue is not continued.
        _ if tasks.kind == "queue" => {
            now.0 - i64::try_from(folder.age(now).as_millis()).unwrap_or(0) < before.0
        }
        // A plan that was never begun; a fresh one may be in the making.
        None if !tasks.is_begun() => folder.age(now) > Duration::from_secs(3600),
        _ => false,
    };
    if !is_old {
        return Ok(None);
    }
    // Whoever has the journal is not done.
    let journal = match Journal::open(folder.journal()) {
        // Somebody else has just removed it.
        Err(_) if !folder.journal().exists() => return Ok(None),
        journal => journal?,
    };
    let Some(_journal) = journal else { return Ok(None) };
    if folder.living() > 0 {
        return Ok(None);
    }
    folder.remove()?;
    Ok(Some(tasks))
}
