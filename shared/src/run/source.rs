//! Where the jobs of a run come from that is not planned as a whole beforehand: a queue, whose prompts are
//! added, moved and edited while it runs.
//!
//! A source is asked for one job at a time, when all before it have ended. It claims the job by handing it
//! to the engine, which plans it in the journal at once; so a source can hold a lock for as long as it
//! takes to choose and to claim. A job that it hands over again, by the same id, is the same job.

use super::event::Event;
use super::job::Job;
use crate::error::Result;

/// What a source answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It has claimed a job.
    Claimed,
    /// There is nothing left.
    Done,
    /// There may be something left, but nothing is to be started; the word why.
    Stop(&'static str),
}

/// Plans a job in the journal. The flag is whether its prompt was sent before, and is sent again on purpose.
pub type Claim<'c> = &'c mut dyn FnMut(Job, bool) -> Result<()>;

/// Where jobs come from.
pub trait Source {
    /// Chooses the next job and claims it.
    fn next(&mut self, claim: Claim<'_>) -> Result<Next>;

    /// Something happened to a job; it is in the journal.
    fn heard(&mut self, event: &Event);

    /// A claimed job came to nothing, and is to be chosen anew.
    fn back(&mut self, job: &str);

    /// Called some ten times a second.
    fn tick(&mut self);

    /// How many jobs are still to come, those that were given back too.
    fn pending(&self) -> usize;
}
