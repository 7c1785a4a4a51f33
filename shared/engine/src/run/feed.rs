//! Feeds: where the jobs of a run come from.
//!
//! The engine asks its feed for a job whenever one more job may run. A feed offers a job that the journal has
//! ([`PlannedJobs`]), or one that arrived since, which the engine claims by planning it in the journal. A job
//! that is not started, or is to be retried, is given back by its id, and its outcomes are reported. A claimed
//! job that is offered again, by the same id, is the same job.
//!
//! **Claims.** A feed whose jobs can be changed by other processes offers a job together with the lock that
//! prevents this. The engine releases the lock when the claim is in the journal, or when the job is given back.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::disk::progress::{JobState, RunProgress};
use crate::record::event::Counts;
use crate::record::job::Job;
use codex_agent_shared::error::Result;
use codex_agent_shared::record::Id;
use codex_agent_shared::store::LockedFile;

/// The interval at which running jobs are polled.
pub const LOOK: Duration = Duration::from_millis(100);

/// The answer of a feed.
pub enum NextJob {
    /// A job that may start.
    Offered(Box<Offer>),
    /// No job may start now. The feed is asked again at this time, and earlier if a job ends.
    Later(Instant),
    /// No job is pending.
    Done,
    /// No more jobs may start, for this reason. Jobs may be pending.
    Stop(&'static str),
}

/// A job that a feed offers. It is no longer in the feed.
pub struct Offer {
    /// The id.
    pub id: String,
    /// The job, unless the journal has it.
    pub job: Option<Job>,
    /// Whether its prompt was sent before, and is sent again on purpose.
    pub resent: bool,
    /// The lock that prevents changes of the job.
    pub lock: Option<LockedFile>,
}

/// What keeps jobs from being started: the sessions that other jobs drive, and the hosts without a free slot.
pub struct Occupied<'o> {
    /// The driven sessions, each with the hosts on which it is driven: one session may be on two.
    sessions: HashMap<Id, Vec<Option<String>>>,
    /// Whether a job could be started now where it is to be carried out.
    has_slot: &'o dyn Fn(&JobState) -> bool,
}

impl<'o> Occupied<'o> {
    /// The sessions that these jobs drive.
    pub fn by<'j>(
        jobs: impl Iterator<Item = &'j JobState>,
        has_slot: &'o dyn Fn(&JobState) -> bool,
    ) -> Occupied<'o> {
        let mut occupied = Occupied { sessions: HashMap::new(), has_slot };
        jobs.for_each(|job| occupied.add(job));
        occupied
    }

    /// Whether another job drives the session of a job.
    fn is_driven(&self, job: &JobState) -> bool {
        let hosts = job.session_driven().and_then(|session| self.sessions.get(&session));
        hosts.is_some_and(|hosts| hosts.iter().any(|host| host.as_deref() == job.host()))
    }

    fn add(&mut self, job: &JobState) {
        if let Some(session) = job.session_driven() {
            self.sessions.entry(session).or_default().push(job.host().map(str::to_owned));
        }
    }
}

/// A request of another process to a feed.
pub enum Request {
    /// Stop this job.
    Stop(String),
    /// Leave: jobs live on.
    Leave,
}

/// A source of jobs.
pub trait JobFeed {
    /// Chooses the next job, which is not kept from being started.
    fn next(&mut self, run: &RunProgress, occupied: Occupied<'_>) -> Result<NextJob>;

    /// Puts a job back that was offered. It is not offered before this time.
    fn give_back(&mut self, run: &RunProgress, job: &str, due: Instant);

    /// Whether jobs that are pending when the run stops stay in the run, so that a continued run starts them.
    fn keeps_pending(&self) -> bool {
        true
    }

    /// Reports a changed outcome of a job.
    fn changed(&mut self, _job: &JobState) {}

    /// Reads changes of other processes. Returns the reason to start no more jobs, if any.
    fn refresh(&mut self, _run: &RunProgress) -> Option<&'static str> {
        None
    }

    /// Called some ten times a second while a job is running. Returns the time when the next call is due.
    fn tick(&mut self, _run: &RunProgress) -> Option<Instant> {
        None
    }

    /// The file whose contents [`JobFeed::take_requests`] reads.
    fn input(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The file that takes what [`JobFeed::take_requests`] could not write yet.
    fn output(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Takes the requests that have arrived.
    fn take_requests(&mut self, _run: &RunProgress) -> Result<Vec<Request>> {
        Ok(Vec::new())
    }

    /// Whether the jobs are those of a run of another machine. That run decides on jobs that cannot be started and on
    /// those that failed, so they are given back at once.
    fn is_of_worker(&self) -> bool {
        false
    }

    /// The numbers of jobs by status, including those that were not offered yet.
    fn counts(&self, run: &RunProgress) -> Counts {
        run.counts
    }
}

/// The jobs of a run that were all planned before it began.
#[derive(Default)]
pub struct PlannedJobs {
    /// The pending jobs by their index, each with the time when it is due.
    pending: BTreeMap<usize, Instant>,
}

impl JobFeed for PlannedJobs {
    fn next(&mut self, run: &RunProgress, mut occupied: Occupied<'_>) -> Result<NextJob> {
        let now = Instant::now();
        let mut later: Option<Instant> = None;
        for (at, due) in self.pending.iter().map(|(at, due)| (*at, *due)) {
            let job = &run.all[at];
            if occupied.is_driven(job) {
                continue;
            }
            if due <= now && !(occupied.has_slot)(job) {
                // Its session keeps the order of its jobs. The end of another job is an event.
                occupied.add(job);
                later = later.or(Some(now + LOOK));
                continue;
            }
            if due <= now {
                self.pending.remove(&at);
                let id = run.all[at].of.job.clone();
                return Ok(NextJob::Offered(Box::new(Offer { id, job: None, resent: false, lock: None })));
            }
            later = Some(later.map_or(due, |later| later.min(due)));
            // Jobs of one session keep their order.
            occupied.add(job);
        }
        let is_done = self.pending.is_empty();
        Ok(if is_done { NextJob::Done } else { NextJob::Later(later.unwrap_or(now + LOOK)) })
    }

    fn give_back(&mut self, run: &RunProgress, job: &str, due: Instant) {
        self.pending.extend(run.position(job).map(|at| (at, due)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::journal::LineSpan;

    /// Jobs of two sessions and of none are offered in the order of the plan, one of a session at a time.
    #[test]
    fn planned_jobs_are_offered_in_order_and_one_of_a_session_at_a_time() {
        let sessions = [Id::random(), Id::random()];
        for seed in 0..200_u64 {
            let mut random = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut below = |limit: usize| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 33) as usize % limit
            };
            let mut run = RunProgress::new("jobs", "", None);
            let mut feed = PlannedJobs::default();
            let count = 1 + below(12);
            for number in 0..count {
                let mut job = Job::new("a prompt".to_owned());
                job.id = number.to_string();
                let job = match below(3) {
                    2 => job,
                    at => job.resuming(sessions[at]),
                };
                run.add(&job, LineSpan::default());
                feed.give_back(&run, &job.id, Instant::now());
            }
            let session_of = |run: &RunProgress, at: usize| run.all[at].asked;
            let (mut running, mut done): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
            while done.len() < count {
                let driven: Vec<Id> = running.iter().filter_map(|at| session_of(&run, *at)).collect();
                let occupied = Occupied::by(running.iter().map(|at| &run.all[*at]), &|_| true);
                match feed.next(&run, occupied).unwrap() {
                    NextJob::Offered(offer) => {
                        let at = run.position(&offer.id).unwrap();
                        let session = session_of(&run, at);
                        assert!(session.is_none_or(|session| !driven.contains(&session)), "{seed}");
                        // No earlier job of the same session is left, and no earlier job could have started.
                        for earlier in (0..at).filter(|at| !done.contains(at) && !running.contains(at)) {
                            let own = session_of(&run, earlier);
                            assert!(
                                own.is_some_and(|own| driven.contains(&own)),
                                "{seed}: {earlier} of {at}"
                            );
                        }
                        running.push(at);
                    }
                    NextJob::Later(_) | NextJob::Done => {
                        assert!(!running.is_empty(), "{seed}: a job is lost")
                    }
                    NextJob::Stop(why) => panic!("{why}"),
                }
                if !running.is_empty() && below(2) == 0 {
                    let at = running.swap_remove(below(running.len()));
                    match below(4) {
                        0 => feed.give_back(&run, &at.to_string(), Instant::now()),
                        _ => done.push(at),
                    }
                }
            }
        }
    }

    #[test]
    fn a_delayed_job_delays_the_later_jobs_of_its_session_alone() {
        let session = Id::random();
        let mut run = RunProgress::new("jobs", "", None);
        let mut feed = PlannedJobs::default();
        let then = Instant::now() + Duration::from_secs(60);
        for (id, due) in [("a", then), ("b", Instant::now()), ("c", Instant::now())] {
            let mut job = Job::new("a prompt".to_owned());
            job.id = id.to_owned();
            run.add(&if id == "c" { job } else { job.resuming(session) }, LineSpan::default());
            feed.give_back(&run, id, due);
        }
        let next = |feed: &mut PlannedJobs| feed.next(&run, Occupied::by([].iter(), &|_| true)).unwrap();
        assert!(matches!(next(&mut feed), NextJob::Offered(offer) if offer.id == "c"));
        assert!(matches!(next(&mut feed), NextJob::Later(due) if due == then));
    }
}
