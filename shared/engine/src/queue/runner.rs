//! The runner of a queue: the feed of the jobs of its run.
//!
//! The runner chooses and claims a prompt under the lock of the file. The outcome of a prompt is in the journal
//! immediately, and in the file within a second. A queue has one runner at a time, by a kernel lock on
//! `locks/queue-ID` beside the file.
//!
//! **Crash.** Outcomes that are not in the file yet are in the journal; `queue run` reads both. If the journal is
//! lost, the file names the prompts that may have been claimed (`claiming`): one if prompts take a second or
//! longer, at most [`MOST_AHEAD`] if they are fast.
//!
//! **Missing files.** While another program replaces the file (a sync tool, a checkout), the file may be missing,
//! incomplete or without the queue. Nothing is sent meanwhile. The run stops if the queue is missing for longer
//! than [`AWAY`].

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::disk::progress::{JobState, RunProgress};
use crate::queue::{Prompt, Queue, Queues, Status};
use crate::record::event::Counts;
use crate::record::job::Job;
use crate::run::feed::{JobFeed, LOOK, NextJob, Occupied, Offer};
use codex_agent_shared::error::{Error, Exit, Result, warn, warn_once};
use codex_agent_shared::record::Id;
use codex_agent_shared::store::lock::Lock;
use codex_agent_shared::store::{LockedFile, Stamp, Store, private};

/// The interval between saves of the file.
const SAVED: Duration = Duration::from_secs(1);

/// The interval at which a queue whose next prompt is delayed is read again.
const DELAYED_CHECK: Duration = Duration::from_secs(1);

/// The time that the file or the queue may be missing.
const AWAY: Duration = Duration::from_secs(3);

/// The greatest number of claims between saves of the file.
const MOST_AHEAD: usize = 512;

/// How long a child that a killed runner was starting may have the lock, which it inherits until it executes
/// Codex.
const INHERITED: Duration = Duration::from_millis(500);

/// The runner of a queue.
pub struct Runner {
    store: Store,
    run: String,
    /// The options of all jobs.
    base: Job,
    /// The queue as read from the file with this stamp, with the outcomes of its jobs applied.
    queue: Queue,
    stamp: Stamp,
    places: HashMap<String, usize>,
    /// The index before which no prompt is due.
    first: usize,
    /// The numbers of prompts that are due, and of prompts that failed in this run.
    pending: usize,
    failed: usize,
    session: Option<Id>,
    /// Whether a host sends the prompts, whose directories are not those of this machine.
    is_elsewhere: bool,
    /// Whether a prompt failed under this runner: in a queue of one session the next prompt would build on it.
    has_failure: bool,
    unsaved: bool,
    saved: Instant,
    /// The number of claims that the file names together, and the time when they were named.
    ahead: usize,
    named: Option<Instant>,
    /// The time before which no prompt is sent: the order of prompts is kept, so a delayed one delays all.
    delayed_until: Instant,
    /// The time since which the queue is missing.
    missing_since: Option<Instant>,
    _lock: Lock,
}

/// Locks a queue against other runners; `None` if it has another runner.
pub fn lock_runner(id: &str) -> Result<Option<Lock>> {
    // The lock is beside the queues, not in the state directory: processes with different state directories may
    // share a queue.
    let file = Queues::store()?.target()?;
    let locks = file.parent().unwrap_or(Path::new("/")).join("locks");
    private::create_dir(&locks)?;
    // An id of an old file may be any text.
    let is_safe = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && id.len() <= 64;
    let name = if is_safe { id.to_owned() } else { id.bytes().map(|byte| format!("{byte:02x}")).collect() };
    let lock = Lock::wait_within(&locks.join(format!("queue-{name:.200}")), INHERITED)?;
    lock.map(|lock| lock.check_exclusive().map(|()| lock)).transpose()
}

impl Runner {
    /// A runner for this queue and the run of this name. The file already names the run.
    pub fn new(queue: Queue, name: &str, run: &RunProgress, base: Job, lock: Lock) -> Result<Runner> {
        let session = queue.session;
        let mut runner = Runner {
            store: Queues::store()?,
            run: name.to_owned(),
            base,
            queue,
            stamp: Stamp::default(),
            places: HashMap::new(),
            first: 0,
            pending: 0,
            failed: 0,
            session,
            is_elsewhere: false,
            has_failure: false,
            unsaved: true,
            saved: Instant::now(),
            ahead: 1,
            named: None,
            delayed_until: Instant::now(),
            missing_since: None,
            _lock: lock,
        };
        runner.apply_outcomes(run);
        Ok(runner)
    }

    /// The same runner, for prompts that a host sends.
    pub fn on_host(self, is_elsewhere: bool) -> Runner {
        Runner { is_elsewhere, ..self }
    }

    /// The name of the queue, which may have been renamed since the run began.
    pub fn queue_name(&self) -> &str {
        &self.queue.name
    }

    /// Applies the outcomes of the jobs to a queue that was just read.
    fn apply_outcomes(&mut self, run: &RunProgress) {
        self.queue.apply_outcomes(run, &self.run);
        // A running prompt without a job in this run belongs to a lost run.
        self.queue.fail_running("its outcome is unknown", |prompt| run.outcome(&prompt.job()).is_none());
        let places = self.queue.prompts.iter().enumerate();
        self.places = places.map(|(at, prompt)| (prompt.job(), at)).collect();
        self.pending = self.queue.count_due();
        self.failed = self.queue.prompts.iter().filter(|prompt| self.has_failed(prompt)).count();
        self.first = 0;
        self.session = self.session.or(self.queue.session);
    }

    fn has_failed(&self, prompt: &Prompt) -> bool {
        prompt.status == Status::Failed && prompt.run.as_ref() == Some(&self.run)
    }

    /// Reads the queue again if the file has changed. False if the queue is missing.
    fn read(&mut self, held: &LockedFile, run: &RunProgress) -> Result<bool> {
        let stamp = held.stamp();
        if stamp == self.stamp {
            return Ok(true);
        }
        let mut queues: Queues = held.read()?;
        let Ok(at) = queues.by_id(&self.queue.id) else { return Ok(false) };
        self.queue = queues.queues.swap_remove(at);
        self.stamp = stamp;
        self.apply_outcomes(run);
        Ok(true)
    }

    /// Whether the file exists. Locking a missing file would create its directory.
    fn file_exists(&self) -> bool {
        self.store.target().is_ok_and(|file| file.try_exists().unwrap_or(true))
    }

    /// Waits for a queue that is missing or unreadable, and stops the run after a while.
    fn wait_for_queue(&mut self, why: Option<Error>) -> Result<NextJob> {
        if self.missing_since.get_or_insert_with(Instant::now).elapsed() < AWAY {
            return Ok(NextJob::Later(Instant::now() + LOOK));
        }
        match why {
            Some(error) => Err(error),
            None => {
                warn(self.missing_error().message());
                Ok(NextJob::Stop("queue_gone"))
            }
        }
    }

    fn missing_error(&self) -> Error {
        let (name, file) = (&self.queue.name, self.store.path().display());
        Error::new(format!("queue '{name}' is no longer in '{file}', and no more of its prompts are sent"))
            .hint(format!("'codex-agent run log {}' prints what was sent", self.run))
            .with_exit(Exit::WorkLeft)
    }

    /// Saves the next claims in the file, batched so that the file is saved about once a second. False if the
    /// queue is missing.
    fn save_claims(&mut self, held: &LockedFile, run: &RunProgress, at: usize) -> Result<bool> {
        let is_fast = self.named.is_some_and(|named| named.elapsed() < SAVED);
        self.ahead = if is_fast { (self.ahead * 8).min(MOST_AHEAD) } else { 1 };
        let due = self.queue.prompts[at..].iter().filter(|prompt| prompt.is_due());
        let claiming = due.take(self.ahead).map(Prompt::job).collect();
        self.named = Some(Instant::now());
        self.save(held, run, |queue| queue.claiming = Some(claiming))
    }

    /// Acts on the locked file, or does nothing if another process has the lock. Errors become warnings.
    fn try_locked(&mut self, act: impl FnOnce(&mut Runner, &LockedFile) -> Result<bool>) {
        if !self.file_exists() {
            return;
        }
        let held = self.store.try_lock();
        let done = held.and_then(|held| held.map_or(Ok(true), |held| act(self, &held)));
        done.map_or_else(|error| warn_once(error.message()), drop);
    }

    /// Saves the outcomes and a change of the queue. False if the queue is missing.
    fn save(
        &mut self,
        held: &LockedFile,
        run: &RunProgress,
        change: impl FnOnce(&mut Queue),
    ) -> Result<bool> {
        let mut queues: Queues = held.read()?;
        let Ok(at) = queues.by_id(&self.queue.id) else { return Ok(false) };
        let queue = &mut queues.queues[at];
        queue.apply_outcomes(run, &self.run);
        queue.session = self.session.filter(|_| queue.one_session).or(queue.session);
        // A restored older file may not name the run.
        queue.run = Some(self.run.clone());
        change(queue);
        held.write(&queues)?;
        // The state in memory must equal the file.
        self.queue = queues.queues.swap_remove(at);
        self.stamp = held.stamp();
        self.apply_outcomes(run);
        (self.unsaved, self.saved) = (false, Instant::now());
        Ok(true)
    }

    /// Saves all outcomes. The queue names the run until the run is completed.
    pub fn finish(&mut self, run: &RunProgress, is_completed: bool) -> Result<()> {
        loop {
            let change = |queue: &mut Queue| {
                queue.claiming = (!is_completed).then(Vec::new);
                if let Some(run) = queue.run.take_if(|_| is_completed) {
                    queue.mark_resent();
                    queue.last_run = Some(run);
                }
            };
            if self.file_exists() && self.save(&self.store.lock()?, run, change)? {
                return Ok(());
            }
            // A run that stopped because of a missing queue has already warned.
            match self.missing_since.get_or_insert_with(Instant::now).elapsed() > AWAY {
                true if is_completed => return Err(self.missing_error()),
                true => return Ok(()),
                false => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

impl JobFeed for Runner {
    fn next(&mut self, run: &RunProgress, _occupied: Occupied<'_>) -> Result<NextJob> {
        let now = Instant::now();
        if now < self.delayed_until {
            return Ok(match self.refresh(run) {
                Some(why) => NextJob::Stop(why),
                None if self.pending == 0 => NextJob::Done,
                None => NextJob::Later(self.delayed_until.min(now + DELAYED_CHECK)),
            });
        }
        if !self.file_exists() {
            return self.wait_for_queue(None);
        }
        let Some(held) = self.store.try_lock()? else { return Ok(NextJob::Later(now + LOOK)) };
        match self.read(&held, run) {
            Ok(true) => self.missing_since = None,
            Ok(false) => return self.wait_for_queue(None),
            Err(error) => return self.wait_for_queue(Some(error)),
        }
        if self.queue.paused {
            return Ok(NextJob::Stop("paused"));
        }
        let mut rest = self.first..self.queue.prompts.len();
        let Some(at) = rest.find(|at| self.queue.prompts[*at].is_due()) else {
            return Ok(NextJob::Done);
        };
        if self.queue.one_session && self.has_failure {
            return Ok(NextJob::Stop("failed"));
        }
        if !self.is_elsewhere {
            self.queue.check_project()?;
        }
        let id = self.queue.prompts[at].job();
        let is_named = self.queue.claiming.as_ref().is_some_and(|claiming| claiming.contains(&id));
        if !is_named && !self.save_claims(&held, run, at)? {
            return self.wait_for_queue(None);
        }
        // A program that takes no lock may have replaced the file since it was read.
        let at = self.places.get(&id).copied().filter(|at| self.queue.prompts[*at].is_due());
        let Some(at) = at.filter(|_| !self.queue.paused) else { return Ok(NextJob::Later(now)) };
        self.first = at;
        let name = &self.queue.name;
        let job = self.queue.job(at, &self.base, self.session).validate();
        let job = job.map_err(|error| error.within(format_args!("prompt {} of queue '{name}'", at + 1)))?;
        let resent = self.queue.prompts[at].retries > 0;
        Ok(NextJob::Offered(Box::new(Offer { id, job: Some(job), resent, lock: Some(held) })))
    }

    fn give_back(&mut self, _run: &RunProgress, _job: &str, due: Instant) {
        // The prompt is due again by its outcome.
        self.delayed_until = due;
    }

    /// Updates the prompt and the counts.
    fn changed(&mut self, job: &JobState) {
        let outcome = &job.outcome;
        if outcome.is_over() {
            self.session = self.session.or(outcome.session);
        }
        self.has_failure |= outcome.status == Status::Failed;
        let Some(at) = self.places.get(&job.of.job).copied() else { return };
        let was = &self.queue.prompts[at];
        let (was_due, had_failed) = (was.is_due(), self.has_failed(was));
        self.queue.prompts[at].apply_outcome(outcome, &self.run);
        let is = &self.queue.prompts[at];
        let (is_due, has_failed) = (is.is_due(), self.has_failed(is));
        for (count, is, was) in
            [(&mut self.pending, is_due, was_due), (&mut self.failed, has_failed, had_failed)]
        {
            debug_assert!(*count + usize::from(is) >= usize::from(was), "an uncounted prompt is removed");
            *count = (*count + usize::from(is)).saturating_sub(usize::from(was));
        }
        if is_due {
            self.first = self.first.min(at);
        }
        self.unsaved = true;
    }

    fn refresh(&mut self, run: &RunProgress) -> Option<&'static str> {
        // If the file is locked or unreadable at this moment, the old state serves as well.
        self.try_locked(|runner, held| runner.read(held, run));
        self.queue.paused.then_some("paused")
    }

    /// Saves the outcomes about once a second.
    fn tick(&mut self, run: &RunProgress) -> Option<Instant> {
        if self.unsaved && self.saved.elapsed() >= SAVED {
            // The journal has the outcomes in any case.
            self.try_locked(|runner, held| {
                // Claims that stay named would be marked as interrupted for no reason.
                runner.ahead = (runner.ahead / 2).max(1);
                runner.save(held, run, |queue| queue.claiming = Some(Vec::new()))
            });
            self.saved = Instant::now();
        }
        self.unsaved.then(|| self.saved + SAVED)
    }

    fn counts(&self, run: &RunProgress) -> Counts {
        // Requeued and retried prompts count too.
        Counts { pending: self.pending, failed: self.failed, ..run.counts }
    }
}
