//! Expiry of runs: a run that a queue names is kept, any other run for the time of `runs.keep`.

use crate::disk::progress::RunProgress;
use crate::disk::prune;
use crate::disk::run_dir::RunDir;
use crate::queue::Queues;
use codex_agent_shared::config;
use codex_agent_shared::error::{Result, warn_of, warn_once};
use codex_agent_shared::time::Timestamp;

/// Removes the finished runs that ended before this time and that no queue names.
pub fn prune(before: Timestamp, each: &mut dyn FnMut(&RunDir, &RunProgress) -> Result<()>) -> Result<()> {
    let keep = read_queues()?.map(|queues| queues.runs().map(str::to_owned).collect());
    prune::prune(before, keep.as_ref(), each)
}

/// The queues; `None` with a warning if the file cannot be read.
pub fn read_queues() -> Result<Option<Queues>> {
    let read: Result<Queues> = Queues::store()?.read();
    Ok(read.map_err(|error| warn_once(error.message())).ok())
}

/// The time before which runs must have ended to be removed (`runs.keep`); `None` if runs are kept forever.
pub fn expiry_time() -> Result<Option<Timestamp>> {
    let kept = config::get()?.runs_keep().map(|kept| i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
    Ok(kept.map(|kept| Timestamp(Timestamp::now().0.saturating_sub(kept))))
}

/// Removes expired runs before a new run begins. Errors become warnings.
pub fn prune_expired() {
    let removed =
        expiry_time().and_then(|before| before.map_or(Ok(()), |before| prune(before, &mut |_, _| Ok(()))));
    removed.unwrap_or_else(|error| warn_of(&error));
}
