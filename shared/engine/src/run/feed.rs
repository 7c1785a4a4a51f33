//! The source of jobs of a run without a complete plan: a queue, whose prompts are added, moved and edited
//! during the run.
//!
//! The engine requests one job at a time, after all earlier jobs ended. The source claims the job by passing it
//! to the engine, which plans it in the journal immediately; so the source can hold a lock while it chooses and
//! claims. A job that is passed again, by the same id, is the same job.

use std::time::Duration;

use crate::disk::progress::JobState;
use crate::record::job::Job;
use codex_agent_shared::error::Result;

/// The answer of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextJob {
    /// A job was claimed.
    Claimed,
    /// No job is pending.
    Done,
    /// Unknown at this moment; ask again.
    Later,
    /// Start no more jobs, for this reason. Jobs may be pending.
    Stop(&'static str),
}

/// Plans a job in the journal. The flag is whether its prompt was sent before, and is sent again on purpose.
pub type Claim<'c> = &'c mut dyn FnMut(Job, bool) -> Result<()>;

/// A source of jobs.
pub trait JobFeed {
    /// Chooses the next job and claims it.
    fn next(&mut self, claim: Claim<'_>) -> Result<NextJob>;

    /// Reports a changed outcome of a job. A pending job is to be chosen anew.
    fn changed(&mut self, job: &JobState);

    /// Re-reads the source, before the run ends.
    fn refresh(&mut self);

    /// The reason to start no more jobs, if any.
    fn stopped(&self) -> Option<&'static str>;

    /// Called some ten times a second while something runs, and when it is [`JobFeed::due`].
    fn tick(&mut self);

    /// The time until the next call of `tick` is due.
    fn due(&self) -> Option<Duration>;

    /// The number of pending jobs, including requeued ones.
    fn pending(&self) -> usize;

    /// The number of failed jobs of this run that were not requeued since.
    fn failed(&self) -> usize;
}
