//! Where the jobs of a run come from that is not planned as a whole beforehand: a queue, whose prompts are
//! added, moved and edited while it runs.
//!
//! A source is asked for one job at a time, when all before it have ended. It claims the job by handing it
//! to the engine, which plans it in the journal at once; so a source can hold a lock for as long as it
//! takes to choose and to claim. A job that it hands over again, by the same id, is the same job.

use std::time::Duration;

use crate::disk::progress::JobState;
use crate::record::job::Job;
use codex_agent_shared::error::Result;

/// What a source answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextJob {
    /// It has claimed a job.
    Claimed,
    /// There is nothing left.
    Done,
    /// That cannot be told now, and is to be asked again.
    Later,
    /// There may be something left, but nothing is to be started; the word why.
    Stop(&'static str),
}

/// Plans a job in the journal. The flag is whether its prompt was sent before, and is sent again on purpose.
pub type Claim<'c> = &'c mut dyn FnMut(Job, bool) -> Result<()>;

/// Where jobs come from.
pub trait JobFeed {
    /// Chooses the next job and claims it.
    fn next(&mut self, claim: Claim<'_>) -> Result<NextJob>;

    /// A job has another outcome than before. One that is pending is to be chosen anew.
    fn changed(&mut self, job: &JobState);

    /// Looks at what there is to do by now: before the run ends.
    fn refresh(&mut self);

    /// Whether nothing is to be started, and the word why.
    fn stopped(&self) -> Option<&'static str>;

    /// Called some ten times a second while something runs, and when it is [`JobFeed::due`].
    fn tick(&mut self);

    /// After what time it wants to be called, whatever else there is to wait for.
    fn due(&self) -> Option<Duration>;

    /// How many jobs are still to come, those that were requeued too.
    fn pending(&self) -> usize;

    /// How many jobs of this run have failed, and were not asked for again since.
    fn failed(&self) -> usize;
}
