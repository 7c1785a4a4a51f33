//! Working through a queue: the source of the jobs of its run.
//!
//! A prompt is chosen and claimed under the lock of the file, as the file is at that moment. What becomes
//! of it is in the journal at once, and in the file within a second.
//!
//! **Crash.** What the file does not know yet, the journal does; `queue run` takes both up again. One
//! runner at a time has a queue, by a kernel lock on `locks/queue-ID` beside the file. Where the journal is
//! gone, the file names what may have been claimed (`claiming`): one prompt where prompts take a second or
//! longer, at most [`MOST_AHEAD`] where they are fast.
//!
//! **Away.** A file that others replace (a sync tool, a checkout) may be missing, cut short or without the
//! queue for a moment. Nothing is sent meanwhile. One that does not come back within [`AWAY`] stops the run.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::disk::progress::{JobOutcome, JobState};
use crate::queue::{Prompt, Queue, Queues, Status};
use crate::record::job::Job;
use crate::run::feed::{Claim, JobFeed, NextJob};
use codex_agent_shared::error::{Error, Exit, Result, warn, warn_once};
use codex_agent_shared::record::Id;
use codex_agent_shared::store::{LockedFile, Stamp, Store, place};

/// How often the file learns of what happened.
const SAVED: Duration = Duration::from_secs(1);

/// How long the file or the queue in it may be away.
const AWAY: Duration = Duration::from_secs(3);

/// So many prompts at most are claimed before the file is saved again.
const MOST_AHEAD: usize = 512;

/// Who works through a queue.
pub struct Runner {
    store: Store,
    id: String,
    run: String,
    /// What all jobs have in common.
    base: Job,
    outcomes: HashMap<String, JobOutcome>,
    /// The queue as the file was when it had this stamp, with what is known laid over it.
    queue: Queue,
    stamp: Stamp,
    places: HashMap<String, usize>,
    /// No prompt before this one is to be sent.
    first: usize,
    pending: usize,
    failed: usize,
    session: Option<Id>,
    /// Whether something has failed while this runner worked: in one session the next would build on it.
    has_broken: bool,
    unsaved: bool,
    saved: Instant,
    /// How many jobs the file names together as those that may be claimed, and when they were named.
    ahead: usize,
    named: Option<Instant>,
    /// Since when the queue is not to be found.
    away: Option<Instant>,
    _lock: File,
}

/// Takes the lock of a queue; `None` where another runner has it.
pub fn lock_runner(id: &str) -> Result<Option<File>> {
    // Beside the queues, and not where runs are: two who keep their runs at different places have one queue.
    let file = Queues::store()?.target()?;
    let locks = file.parent().unwrap_or(Path::new("/")).join("locks");
    place::make(&locks)?;
    // An id of an old file may be any text.
    let safe = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && id.len() <= 64;
    let name = if safe { id.to_owned() } else { id.bytes().map(|byte| format!("{byte:02x}")).collect() };
    let path = locks.join(format!("queue-{name:.200}"));
    let file = place::lock_file(&path)?;
    // A job that was being started when its runner was killed has the lock until it is Codex.
    let patience = Instant::now() + Duration::from_millis(500);
    while !place::try_lock(&file, &path)? {
        if Instant::now() >= patience {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    place::check_locks(&path)?;
    Ok(Some(file))
}

impl Runner {
    /// For this queue and this run, whose journal has these outcomes. The queue names the run already.
    pub fn new(
        queue: Queue,
        run: &str,
        base: Job,
        outcomes: HashMap<String, JobOutcome>,
        lock: File,
    ) -> Result<Runner> {
        let session = queue.session;
        let mut runner = Runner {
            store: Queues::store()?,
            id: queue.id.clone(),
            run: run.to_owned(),
            base,
            outcomes,
            queue,
            stamp: Stamp::default(),
            places: HashMap::new(),
            first: 0,
            pending: 0,
            failed: 0,
            session,
            has_broken: false,
            unsaved: true,
            saved: Instant::now(),
            ahead: 1,
            named: None,
            away: None,
            _lock: lock,
        };
        runner.apply_known();
        Ok(runner)
    }

    /// Lays what is known over a queue that was just read.
    fn apply_known(&mut self) {
        self.queue.apply_outcomes(&self.outcomes, &self.run);
        // What runs, and is not known, is of a run of which nobody knows anything any more.
        let outcomes = &self.outcomes;
        self.queue.fail_running("its outcome is unknown", |prompt| !outcomes.contains_key(&prompt.job()));
        let places = self.queue.prompts.iter().enumerate();
        self.places = places.map(|(at, prompt)| (prompt.job(), at)).collect();
        self.pending = self.queue.due();
        self.failed = self.queue.prompts.iter().filter(|prompt| self.has_failed(prompt)).count();
        self.first = 0;
        self.session = self.session.or(self.queue.session);
    }

    fn has_failed(&self, prompt: &Prompt) -> bool {
        prompt.status == Status::Failed && prompt.run.as_ref() == Some(&self.run)
    }

    /// A job's state has changed.
    fn update_prompt(&mut self, job: &str) {
        let (Some(outcome), Some(at)) = (self.outcomes.get(job), self.places.get(job).copied()) else {
            return;
        };
        let Some(was) = self.queue.prompts.get(at) else { return };
        let (was_due, had_failed) = (was.is_due(), self.has_failed(was));
        self.queue.prompts[at].apply_outcome(outcome, &self.run);
        let is = &self.queue.prompts[at];
        let (is_due, has_failed) = (is.is_due(), self.has_failed(is));
        for (count, is, was) in
            [(&mut self.pending, is_due, was_due), (&mut self.failed, has_failed, had_failed)]
        {
            debug_assert!(
                *count + usize::from(is) >= usize::from(was),
                "a prompt is counted where it is not"
            );
            *count = (*count + usize::from(is)).saturating_sub(usize::from(was));
        }
        if is_due {
            self.first = self.first.min(at);
        }
        self.unsaved = true;
    }

    /// Takes the queue as the file has it, if it has changed. False where it is not there.
    fn read(&mut self, held: &LockedFile) -> Result<bool> {
        let stamp = held.stamp();
        if stamp == self.stamp {
            return Ok(true);
        }
        let mut queues: Queues = held.read()?;
        let Ok(at) = queues.by_id(&self.id) else { return Ok(false) };
        self.queue = std::mem::take(&mut queues.queues[at]);
        self.stamp = stamp;
        self.apply_known();
        Ok(true)
    }

    /// Whether there is a file. Where its directory is away, taking the lock would make an empty one.
    fn exists(&self) -> bool {
        self.store.target().is_ok_and(|file| file.try_exists().unwrap_or(true))
    }

    /// Waits for a queue that cannot be found, or not be read, and gives it up after a while.
    fn wait_for_queue(&mut self, why: Option<Error>) -> Result<NextJob> {
        if self.away.get_or_insert_with(Instant::now).elapsed() < AWAY {
            return Ok(NextJob::Later);
        }
        match why {
            Some(error) => Err(error),
            None => {
                warn(self.is_gone().message());
                Ok(NextJob::Stop("queue_gone"))
            }
        }
    }

    fn is_gone(&self) -> Error {
        let (name, file) = (&self.queue.name, self.store.path().display());
        Error::new(format!("queue '{name}' is no longer in '{file}', and no more of its prompts are sent"))
            .hint(format!("codex-agent run log {} shows what was sent", self.run))
            .with_exit(Exit::WorkLeft)
    }

    /// Names in the file what may be claimed from here on, in as few writes as are needed for the file to be
    /// saved once a second. False where the queue is not there.
    fn save_claims(&mut self, held: &LockedFile, at: usize) -> Result<bool> {
        let is_fast = self.named.is_some_and(|named| named.elapsed() < SAVED);
        self.ahead = if is_fast { (self.ahead * 8).min(MOST_AHEAD) } else { 1 };
        let due = self.queue.prompts[at..].iter().filter(|prompt| prompt.is_due());
        let claiming = due.take(self.ahead).map(Prompt::job).collect();
        self.named = Some(Instant::now());
        self.save(held, |queue| queue.claiming = Some(claiming))
    }

    /// Does something with the file unless somebody has it, who is not waited for. What goes wrong is told.
    fn try_locked(&mut self, act: impl FnOnce(&mut Runner, LockedFile) -> Result<bool>) {
        if !self.exists() {
            return;
        }
        let held = self.store.try_hold();
        let done = held.and_then(|held| held.map_or(Ok(true), |held| act(self, held)));
        done.map_or_else(|error| warn_once(error.message()), drop);
    }

    /// Writes what is known into the file, and what `change` does to the queue. False where it is not there.
    fn save(&mut self, held: &LockedFile, change: impl FnOnce(&mut Queue)) -> Result<bool> {
        let mut queues: Queues = held.read()?;
        let Ok(at) = queues.by_id(&self.id) else { return Ok(false) };
        let queue = &mut queues.queues[at];
        queue.apply_outcomes(&self.outcomes, &self.run);
        queue.session = self.session.filter(|_| queue.one_session).or(queue.session);
        // An older file may have come back, which does not name the run.
        queue.run = Some(self.run.clone());
        change(queue);
        held.write(&queues)?;
        // What was not written is not what there is.
        self.queue = std::mem::take(&mut queues.queues[at]);
        self.stamp = held.stamp();
        self.apply_known();
        (self.unsaved, self.saved) = (false, Instant::now());
        Ok(true)
    }

    /// Writes all that happened into the file. The queue names the run until it is finished.
    pub fn finish(mut self, is_completed: bool) -> Result<()> {
        loop {
            let change = |queue: &mut Queue| {
                queue.claiming = (!is_completed).then(Vec::new);
                if let Some(run) = queue.run.take_if(|_| is_completed) {
                    queue.mark_resent();
                    queue.last_run = Some(run);
                }
            };
            if self.exists() && self.save(&self.store.hold()?, change)? {
                return Ok(());
            }
            let away = self.away.get_or_insert_with(Instant::now).elapsed();
            // A run that stopped for it has said so.
            match away > AWAY {
                true if is_completed => return Err(self.is_gone()),
                true => return Ok(()),
                false => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

impl JobFeed for Runner {
    fn next(&mut self, claim: Claim<'_>) -> Result<NextJob> {
        if !self.exists() {
            return self.wait_for_queue(None);
        }
        let Some(held) = self.store.try_hold()? else { return Ok(NextJob::Later) };
        match self.read(&held) {
            Ok(true) => self.away = None,
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
        if self.queue.one_session && self.has_broken {
            return Ok(NextJob::Stop("failed"));
        }
        self.queue.check_project()?;
        let job = self.queue.prompts[at].job();
        let is_named = self.queue.claiming.as_ref().is_some_and(|claiming| claiming.contains(&job));
        if !is_named && !self.save_claims(&held, at)? {
            return self.wait_for_queue(None);
        }
        self.first = at;
        let job = self.queue.job(at, &self.base, self.session);
        let name = &self.queue.name;
        claim(job, self.queue.prompts[at].retries > 0)
            .map_err(|error| error.within(format_args!("prompt {} of queue '{name}'", at + 1)))?;
        Ok(NextJob::Claimed)
    }

    fn changed(&mut self, job: &JobState) {
        let (id, outcome) = (&job.of.job, &job.outcome);
        if outcome.is_over() {
            self.session = self.session.or(outcome.session);
        }
        self.has_broken |= outcome.status == Status::Failed;
        self.outcomes.insert(id.clone(), outcome.clone());
        self.update_prompt(id);
    }

    fn refresh(&mut self) {
        // Where somebody changes it at this moment, or it cannot be read, what there was before is as good.
        self.try_locked(|runner, held| runner.read(&held));
    }

    fn stopped(&self) -> Option<&'static str> {
        self.queue.paused.then_some("paused")
    }

    fn due(&self) -> Option<Duration> {
        self.unsaved.then(|| SAVED.saturating_sub(self.saved.elapsed()))
    }

    fn tick(&mut self) {
        if self.unsaved && self.saved.elapsed() >= SAVED {
            // The journal has it all the same.
            self.try_locked(|runner, held| {
                // What is named for long without being claimed would be lost for nothing.
                runner.ahead = (runner.ahead / 2).max(1);
                runner.save(&held, |queue| queue.claiming = Some(Vec::new()))
            });
            self.saved = Instant::now();
        }
    }

    fn pending(&self) -> usize {
        self.pending
    }

    fn failed(&self) -> usize {
        self.failed
    }
}
