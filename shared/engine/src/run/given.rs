//! The feed of runs of `--once`: only jobs whose records a command was given are started. Any other job of the run waits
//! until its record is given again, and what is not started when the run stops is recorded as not started.
//!
//! So a run that stopped has nothing to send later, when another host may have done its jobs.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Instant;

use crate::disk::journal::{JournalReader, LineSpan};
use crate::disk::progress::{JobState, RunProgress, State};
use crate::record::event::Counts;
use crate::run::feed::{JobFeed, NextJob, Occupied, PlannedJobs};
use codex_agent_shared::error::Result;

/// The records of given jobs, in the journal of a plan.
#[derive(Clone)]
pub struct Records {
    /// The journal.
    pub reader: Rc<JournalReader>,
    /// The places of the jobs.
    pub places: HashMap<String, LineSpan>,
}

/// The jobs of a run that a command was given.
pub struct GivenJobs {
    given: HashSet<String>,
    /// The records that replace those of the run: the directory or the Codex home of the jobs may be another one here.
    records: Option<Records>,
    planned: PlannedJobs,
    /// The pending jobs that were not given.
    withheld: HashSet<String>,
}

impl GivenJobs {
    /// The jobs of these ids. Jobs that were started before are adopted, whether they are given or not.
    pub fn new(given: HashSet<String>, records: Option<Records>) -> GivenJobs {
        GivenJobs { given, records, planned: PlannedJobs::default(), withheld: HashSet::new() }
    }
}

impl JobFeed for GivenJobs {
    fn next(&mut self, run: &RunProgress, occupied: Occupied<'_>) -> Result<NextJob> {
        let next = self.planned.next(run, occupied)?;
        Ok(match (next, &self.records) {
            (NextJob::Offered(mut offer), Some(records)) => {
                let place = records.places.get(&offer.id);
                offer.job = place.map(|place| records.reader.job(*place)).transpose()?;
                NextJob::Offered(offer)
            }
            (next, _) => next,
        })
    }

    fn give_back(&mut self, run: &RunProgress, job: &str, due: Instant) {
        match self.given.contains(job) {
            true => self.planned.give_back(run, job, due),
            false => drop(self.withheld.insert(job.to_owned())),
        }
    }

    fn keeps_pending(&self) -> bool {
        false
    }

    fn changed(&mut self, job: &JobState) {
        if job.state != State::Pending {
            self.withheld.remove(&job.of.job);
        }
    }

    fn counts(&self, run: &RunProgress) -> Counts {
        Counts { pending: run.counts.pending.saturating_sub(self.withheld.len()), ..run.counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::job::Job;

    #[test]
    fn only_given_jobs_are_offered() {
        let mut run = RunProgress::new("once", "r", None);
        let mut feed = GivenJobs::new(HashSet::from(["b".to_owned()]), None);
        for id in ["a", "b"] {
            let mut job = Job::new("a prompt".to_owned());
            job.id = id.to_owned();
            run.add(&job, LineSpan::default());
            feed.give_back(&run, id, Instant::now());
        }
        assert_eq!(feed.counts(&run).pending, 1);
        let mut next = || feed.next(&run, Occupied::by([].iter(), &|_| true)).unwrap();
        assert!(matches!(next(), NextJob::Offered(offer) if offer.id == "b"));
        assert!(matches!(next(), NextJob::Done));
        assert!(!feed.keeps_pending());
    }
}
