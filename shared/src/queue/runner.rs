//! Working through a queue: the source of the jobs of its run.
//!
//! A prompt is chosen and claimed under the lock of the file, as the file is at that moment. What becomes
//! of it is in the journal at once, and in the file within a second.
//!
//! **Crash.** What the file does not know yet, the journal does; `queue run` takes both up again. One
//! runner at a time has a queue, by a kernel lock on `locks/queue-ID`.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::over::Known;
use super::{Mode, Queue, Queues, Status};
use crate::codex::home::state_folder;
use crate::error::{Context, Error, Result, warn_once};
use crate::record::Id;
use crate::run::folder::make;
use crate::run::source::{Claim, Next, Source};
use crate::run::{Event, Job, What};
use crate::store::{Stamp, Store};

/// How often the file learns of what happened.
const SAVED: Duration = Duration::from_secs(1);

/// Who works through a queue.
pub struct Runner {
    store: Store,
    id: String,
    run: String,
    /// What all jobs have in common.
    base: Job,
    known: HashMap<String, Known>,
    /// The queue as the file was when it had this stamp, with what is known laid over it.
    queue: Queue,
    stamp: Stamp,
    places: HashMap<String, usize>,
    /// No prompt before this one is to be sent.
    first: usize,
    pending: usize,
    session: Option<Id>,
    failed: bool,
    unsaved: bool,
    saved: Instant,
    _lock: File,
}

/// Takes the right to run a queue; `None` where somebody has it.
pub fn take(id: &str) -> Result<Option<File>> {
    let locks = state_folder()?.join("locks");
    make(&locks)?;
    // An id of an old file may be any text.
    let safe = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && id.len() <= 64;
    let name = if safe { id.to_owned() } else { id.bytes().map(|byte| format!("{byte:02x}")).collect() };
    let path = locks.join(format!("queue-{name:.200}"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).context("open the lock", &path)?;
    // A job that was being started when its runner was killed has the lock until it is Codex.
    let patience = Instant::now() + Duration::from_millis(500);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() >= patience => return Ok(None),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
            Err(TryLockError::Error(error)) => return Err(error).context("lock", &path),
        }
    }
}

impl Runner {
    /// For this queue and this run, whose journal says what is `known`. The queue names the run already.
    pub fn new(
        queue: Queue,
        run: &str,
        base: Job,
        known: HashMap<String, Known>,
        lock: File,
    ) -> Result<Runner> {
        // The journal may know of the one session what the file does not yet.
        let first = |known: &&Known| known.session.is_some() && known.is_over();
        let begun = known.values().filter(first).min_by_key(|known| known.started_at.clone());
        let session = queue.session.or(begun.and_then(|known| known.session));
        let mut runner = Runner {
            store: Queues::store()?,
            id: queue.id.clone(),
            run: run.to_owned(),
            base,
            known,
            queue,
            stamp: Stamp::default(),
            places: HashMap::new(),
            first: 0,
            pending: 0,
            session,
            failed: false,
            unsaved: true,
            saved: Instant::now(),
            _lock: lock,
        };
        runner.lay();
        Ok(runner)
    }

    /// Lays what is known over a queue that was just read.
    fn lay(&mut self) {
        self.places.clear();
        for (at, prompt) in self.queue.prompts.iter_mut().enumerate() {
            let job = prompt.job();
            match self.known.get(&job) {
                Some(known) => known.put(prompt, &self.run),
                // Of a run of which nobody knows anything any more.
                None if prompt.status == Status::Running => {
                    prompt.status = Status::Failed;
                    prompt.failure = Some(super::interrupted("nobody knows what became of it"));
                }
                None => {}
            }
            self.places.insert(job, at);
        }
        let is_pending =
            |prompt: &&super::Prompt| prompt.status == Status::Pending && prompt.mode == Mode::Auto;
        self.pending = self.queue.prompts.iter().filter(is_pending).count();
        self.first = 0;
        self.session = self.session.or(self.queue.session);
    }

    /// A job's state has changed.
    fn put(&mut self, job: &str) {
        let (Some(known), Some(at)) = (self.known.get(job), self.places.get(job).copied()) else { return };
        let prompt = &mut self.queue.prompts[at];
        let was = prompt.status == Status::Pending && prompt.mode == Mode::Auto;
        known.put(prompt, &self.run);
        let is = prompt.status == Status::Pending && prompt.mode == Mode::Auto;
        self.pending = self.pending + usize::from(is) - usize::from(was);
        if is {
            self.first = self.first.min(at);
        }
        self.unsaved = true;
    }

    /// Writes what is known into the file, and what `change` does to the queue.
    fn save(&mut self, change: impl FnOnce(&mut Queue)) -> Result<()> {
        let held = self.store.hold()?;
        let mut queues: Queues = held.read()?;
        // A queue that was deleted meanwhile has nothing to learn.
        if let Some(at) = queues.queues.iter().position(|queue| queue.id == self.id) {
            self.queue = std::mem::take(&mut queues.queues[at]);
            drop_known(&mut self.queue, &self.known, &self.run);
            self.queue.session = self.session.filter(|_| self.queue.one_session).or(self.queue.session);
            change(&mut self.queue);
            queues.queues[at] = self.queue.clone();
            held.write(&queues)?;
            self.stamp = held.stamp();
        }
        drop(held);
        self.lay();
        (self.unsaved, self.saved) = (false, Instant::now());
        Ok(())
    }

    /// Writes all that happened into the file. The queue names the run until it is finished.
    pub fn finish(mut self, is_completed: bool) -> Result<()> {
        let run = self.run.clone();
        self.save(|queue| {
            if is_completed && queue.run.as_deref() == Some(&run) {
                queue.run = None;
                queue.last_run = Some(run);
            }
        })
    }
}

/// Puts what is known into the prompts of a queue that was just read.
fn drop_known(queue: &mut Queue, known: &HashMap<String, Known>, run: &str) {
    for prompt in &mut queue.prompts {
        if let Some(known) = known.get(&prompt.job()) {
            known.put(prompt, run);
        }
    }
}

impl Source for Runner {
    fn next(&mut self, claim: Claim<'_>) -> Result<Next> {
        let store = Queues::store()?;
        let held = store.hold()?;
        let stamp = held.stamp();
        if stamp != self.stamp {
            let mut queues: Queues = held.read()?;
            let Some(at) = queues.queues.iter().position(|queue| queue.id == self.id) else {
                self.pending = 0;
                return Ok(Next::Done);
            };
            self.queue = std::mem::take(&mut queues.queues[at]);
            self.stamp = stamp;
            self.lay();
        }
        let name = &self.queue.name;
        if self.queue.paused {
            return Ok(Next::Stop("paused"));
        }
        if self.pending == 0 {
            return Ok(Next::Done);
        }
        if self.queue.one_session && self.failed {
            return Ok(Next::Stop("failed"));
        }
        let project = Path::new(&self.queue.project);
        if !project.is_dir() {
            let message = format!("cannot go to '{}', the project of queue '{name}'", project.display());
            return Err(Error::new(message).hint("no prompt was sent for it"));
        }
        let is_next = |prompt: &super::Prompt| prompt.status == Status::Pending && prompt.mode == Mode::Auto;
        let prompts = &self.queue.prompts;
        let Some(at) = (self.first..prompts.len()).find(|at| is_next(&prompts[*at])) else {
            return Ok(Next::Done);
        };
        self.first = at;
        let prompt = &prompts[at];
        let mut job = self.base.saying(prompt.prompt.as_str());
        job.id = prompt.job();
        job.cwd = Some(self.queue.project.clone());
        job.images.extend(prompt.images.iter().cloned());
        if let Some(session) = self.session.filter(|_| self.queue.one_session) {
            job = job.of(session);
        }
        claim(job, prompt.retries > 0)
            .map_err(|error| error.within(format_args!("prompt {} of queue '{name}'", at + 1)))?;
        Ok(Next::Claimed)
    }

    fn heard(&mut self, event: &Event) {
        let Some(of) = event.what.of() else { return };
        let known = self.known.entry(of.job.clone()).or_default();
        if !known.hear(event) {
            return;
        }
        match &event.what {
            What::JobCompleted { of, .. } => self.session = self.session.or(of.session),
            What::JobFailed { of, again: false, .. } => {
                self.session = self.session.or(of.session);
                self.failed = true;
            }
            _ => {}
        }
        self.put(&of.job);
    }

    fn back(&mut self, job: &str) {
        if let Some(known) = self.known.get_mut(job) {
            *known = Known::default();
            self.put(job);
        }
    }

    fn tick(&mut self) {
        if self.unsaved && self.saved.elapsed() >= SAVED {
            // The journal has it all the same.
            if let Err(error) = self.save(|_| {}) {
                warn_once(error.message());
                self.saved = Instant::now();
            }
        }
    }

    fn pending(&self) -> usize {
        self.pending
    }
}
