//! Which runs are kept, and which are removed: those that a queue names stay, others as long as `runs.keep`.

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

/// The queues, as far as they matter to runs: none where the file cannot be read, which is told.
pub fn named_queues() -> Result<Option<Queues>> {
    let read: Result<Queues> = Queues::store()?.read();
    Ok(read.map_err(|error| warn_once(error.message())).ok())
}

/// The moment that a run must have ended before to be too old (`runs.keep`); nothing where runs are kept
/// for ever.
pub fn too_old() -> Result<Option<Timestamp>> {
    let kept = config::get()?.runs_keep().map(|kept| i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
    Ok(kept.map(|kept| Timestamp(Timestamp::now().0.saturating_sub(kept))))
}

/// Removes what is older than a run is kept, before another one is begun. Trouble with it is no reason not
/// to begin.
pub fn prune_expired() {
    let removed = too_old().and_then(|before| match before {
        Some(before) => prune(before, &mut |_, _| Ok(())),
        None => Ok(()),
    });
    if let Err(error) = removed {
        warn_of(&error);
    }
}
