//! Removing the records of runs that are finished.
//!
//! A run stays while it has work left, while somebody has its journal or a job of it lives, and while a
//! queue names it. Its sessions are Codex's, and stay in any case.

use std::collections::HashSet;
use std::time::Duration;

use super::folder::Folder;
use super::journal::Journal;
use super::tasks::{End, Tasks};
use crate::error::{Result, warn_of};
use crate::time::Timestamp;

/// Removes the finished runs that ended before this, but for those named in `keep`; what was removed goes
/// to `each`. One that cannot be read or removed costs a warning.
pub fn prune(
    before: Timestamp,
    keep: &HashSet<String>,
    each: &mut dyn FnMut(&Folder, &Tasks) -> Result<()>,
) -> Result<()> {
    let now = Timestamp::now();
    for folder in Folder::all()? {
        // None ended before it was made; most are told by their names alone.
        if keep.contains(folder.name()) || folder.made().is_some_and(|made| made >= before) {
            continue;
        }
        let removed = remove(&folder, before, now);
        match removed {
            Ok(Some(tasks)) => each(&folder, &tasks)?,
            Ok(None) => {}
            Err(error) => warn_of(&error),
        }
    }
    Folder::sweep(now)
}

fn remove(folder: &Folder, before: Timestamp, now: Timestamp) -> Result<Option<Tasks>> {
    let tasks = Tasks::read(folder)?;
    let is_old = match &tasks.ended {
        Some((at, End::Completed | End::Stopped(_, 0))) => *at < before,
        // Nobody goes on with the run of a queue that is gone.
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
    let Some(_journal) = Journal::open(folder.journal())? else { return Ok(None) };
    if folder.living() > 0 {
        return Ok(None);
    }
    folder.remove()?;
    Ok(Some(tasks))
}
