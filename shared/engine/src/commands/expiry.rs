//! Expiry of runs: runs that a queue names are kept, others for `runs.keep`.

use crate::disk::progress::RunProgress;
use crate::disk::prune;
use crate::disk::run_dir::RunDir;
use crate::queue::Queues;
use codex_agent_shared::config;
use codex_agent_shared::error::{Result, warn_of, warn_once};
use codex_agent_shared::time::Timestamp;

/// Removes the finished runs that ended before this and that no queue names.
pub fn prune(before: Timestamp, each: &mut dyn FnMut(&RunDir, &RunProgress) -> Result<()>) -> Result<()> {
    let keep = named_queues()?.map(|queues| queues.runs().map(str::to_owned).collect());
    prune::prune(before, keep.as_ref(), each)
}

/// The queues; `None` with a warning if the file cannot be read.
pub fn named_queues() -> Result<Option<Queues>> {
    let read: Result<Queues> = Queues::store()?.read();
    Ok(read.map_err(|error| warn_once(error.message())).ok())
}

/// The time before which ended runs are expired (`runs.keep`); `None` if runs are kept forever.
pub fn too_old() -> Result<Option<Timestamp>> {
    let kept = config::get()?.runs_keep().map(|kept| i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
    Ok(kept.map(|kept| Timestamp(Timestamp::now().0.saturating_sub(kept))))
}

/// Removes expired runs before a new run begins. Errors become warnings.
pub fn prune_expired() {
    let removed = too_old().and_then(|before| match before {
        Some(before) => prune(before, &mut |_, _| Ok(())),
        None => Ok(()),
    });
    if let Err(error) = removed {
        warn_of(&error);
    }
}
