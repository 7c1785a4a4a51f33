//! The schedule: when the next job of the feed starts. Usage limits and busy sessions delay it.

use std::time::{Duration, Instant};

use crate::clock::Moment;
use crate::disk::progress::{JobState, NextStart, Start, State};
use crate::liveness;
use crate::process::preflight::Unready;
use crate::process::running::Running;
use crate::process::spawn;
use crate::process::spawn::Spawn;
use crate::record::event::{Event, JobRef, RunEvent};
use crate::record::failure::{Class, Failure};
use crate::record::job::Kind;
use crate::record::settings::OnLimit;
use crate::run::engine::Engine;
use crate::run::failed::Failed;
use crate::run::feed::{LOOK, NextJob, Occupied, Offer};
use crate::run::usage_limit::Admission;
use codex_agent_shared::error::Result;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// The longest delay between the first starts of a run.
const JITTER_MS: u64 = 250;
/// The greatest number of first starts that are delayed.
const MOST_JITTERED: usize = 16;
/// The shortest wait while another runner tests a usage limit.
const PROBE_RETRY: Duration = Duration::from_secs(1);
/// The interval at which a run that is blocked by a usage limit checks whether its feed still has jobs.
const BLOCKED_CHECK: Duration = Duration::from_secs(1);

impl Engine<'_> {
    /// Starts jobs until the limit of concurrent jobs. Returns the time when another job may start, if known.
    pub(super) fn start_due_jobs(&mut self) -> Result<Option<Instant>> {
        let began = Instant::now();
        while self.stop.why.is_none() && self.has_any_slot() {
            let now = Instant::now();
            if now.duration_since(began) > LOOK {
                // Signals and ended jobs are handled in between.
                return Ok(Some(now));
            }
            // The limit of this machine does not delay the jobs of hosts.
            let blocked = self.limits.blocked_until.filter(|until| now < *until);
            if let Some(until) = blocked
                && self.hosts.find_slot().is_none()
            {
                self.check_while_blocked();
                return Ok(Some(until.min(now + BLOCKED_CHECK)));
            }
            if now < self.next_start {
                return Ok(Some(self.next_start));
            }
            (self.limits.blocked_until, self.drained) = (blocked, false);
            let here = blocked.is_none() && self.has_own_slot();
            let (tasks, hosts) = (&*self.tasks, &self.hosts);
            let bound = hosts.bound().map(|at| &tasks.all[at]);
            let driving = self.running.iter().map(|running| &tasks.all[running.task]).chain(bound);
            let has_slot = |job: &JobState| match job.host() {
                Some(host) => hosts.has_slot(host),
                None if hosts.take_unassigned() => hosts.find_slot().is_some(),
                None => here,
            };
            let occupied = Occupied::by(driving, &has_slot);
            match self.feed.next(tasks, occupied)? {
                NextJob::Offered(offer) => match self.choose_host(&offer) {
                    Some(host) => self.claim_and_send(*offer, host)?,
                    None => self.claim_and_start(*offer)?,
                },
                // The end of a job of a host is an event.
                NextJob::Later(then) => {
                    return Ok(Some(
                        blocked.map_or(then, |until| then.max(now + BLOCKED_CHECK).min(until.max(now))),
                    ));
                }
                NextJob::Stop(why) => self.stop.why = Some(why.to_owned()),
                NextJob::Done => {
                    self.drained = true;
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// Checks the feed while the run is blocked: a queue may be paused or empty by now.
    fn check_while_blocked(&mut self) {
        if self.is_busy() {
            return;
        }
        match self.feed.refresh(self.tasks) {
            Some(why) => self.stop.why = Some(why.to_owned()),
            None => self.drained = self.counts().pending == 0,
        }
    }

    /// Claims and starts a job, unless the usage limit of its home delays it.
    fn claim_and_start(&mut self, offer: Offer) -> Result<()> {
        let planned = || self.tasks.position(&offer.id).and_then(|at| self.tasks.all[at].home.clone());
        let home = offer.job.as_ref().map_or_else(planned, |job| job.codex_home.clone());
        if self.feed.is_of_worker() {
            return match self.admit_to_worker(home.as_deref())? {
                Ok(probes) => self.claim_and_start_with(offer, home.as_deref(), probes),
                Err(failure) => {
                    // The run of the other machine asks again, here or elsewhere. The journal need not know the job.
                    let of = JobRef { job: offer.id, ..JobRef::default() };
                    let event = Event::new(self.dir.name(), RunEvent::returned(of, failure));
                    self.listener.event(&event);
                    Ok(())
                }
            };
        }
        let Some(probes) = self.admit(home.as_deref())? else {
            self.feed.give_back(self.tasks, &offer.id, Instant::now());
            return Ok(());
        };
        self.claim_and_start_with(offer, home.as_deref(), probes)
    }

    fn claim_and_start_with(&mut self, offer: Offer, home: Option<&str>, probes: bool) -> Result<()> {
        match self.claim(offer) {
            Ok(Some(at)) => self.start_on(at, home, probes),
            unclaimed => {
                if probes {
                    self.limits.gate(home)?.release();
                }
                unclaimed.map(drop)
            }
        }
    }

    /// Plans a job in the journal, unless it is there, and releases the lock of its feed. Returns its index;
    /// `None` if it still waits for its session.
    pub(super) fn claim(&mut self, offer: Offer) -> Result<Option<usize>> {
        let Offer { id, job, resent, lock } = offer;
        let known = self.tasks.position(&id);
        let Some(mut job) = job else { return Ok(known) };
        // A job may wait for its session for hours, so it is not written into the journal at each check.
        if let Some(at) = known.filter(|at| self.tasks.all[*at].next == NextStart::Plan)
            && self.busy.get(&at).is_some_and(|(since, _)| self.settings.on_busy.waits(since.elapsed()))
            && let Err(Unready::Busy(_)) = self.checker.check(&job, &self.dir.job(at + 1))
        {
            self.wait_for_session(at);
            return Ok(None);
        }
        job.run = Some(self.dir.name().to_owned());
        let attempt = std::mem::take(&mut job.attempt);
        let place = self.journal.append(&job, false)?;
        let at = self.tasks.add(&job, place);
        let task = &mut self.tasks.all[at];
        task.resent |= resent;
        // The run of a worker counts the attempts on all of its hosts.
        task.of.attempt = task.of.attempt.max(attempt.saturating_sub(1));
        drop(lock);
        Ok(Some(at))
    }

    /// The answer of the gate of a home, and whether a limit would be tested before its next attempt is due.
    fn request_start(&mut self, home: Option<&str>, now: Timestamp) -> Result<(Admission, bool)> {
        let policy = self.settings.on_limit;
        let gate = self.limits.gate(home)?;
        let early = match policy {
            OnLimit::Wait => false,
            OnLimit::Try => true,
            OnLimit::Stop => gate.read_recorded()?.is_some_and(|limit| limit.until.is_none()),
        };
        Ok((gate.request_start(early, now)?, early))
    }

    /// Whether a worker may start a job, and whether that job is the probe of a limit; otherwise the reason as a failure.
    /// The host is not closed while another job tests a limit that may have reset.
    fn admit_to_worker(&mut self, home: Option<&str>) -> Result<std::result::Result<bool, Failure>> {
        let now = Timestamp::now();
        let (admission, early) = self.request_start(home, now)?;
        let limit = match admission {
            Admission::Free => return Ok(Ok(false)),
            Admission::Probe => return Ok(Ok(true)),
            Admission::Shut(limit) => limit,
        };
        if early || limit.next <= now {
            let message = "another job is testing whether the usage limit still holds";
            return Ok(Err(Failure::new(Class::Host, message)));
        }
        let message = limit.error(now).message().to_owned();
        Ok(Err(Failure { until: Some(limit.next), ..Failure::new(Class::UsageLimit, message) }))
    }

    /// Gives a job of which nothing was sent back to the run of another machine.
    pub(super) fn return_job(&mut self, at: usize, failure: Failure) -> Result<()> {
        if self.tasks.all[at].state != State::Pending {
            self.tasks.set_state(at, State::Pending);
        }
        let of = self.tasks.all[at].of.clone();
        self.record_event(RunEvent::returned(of, failure), true)
    }

    /// Whether the usage limit of a home allows a start, and whether that job is the probe. `None` stops or
    /// delays the run.
    fn admit(&mut self, home: Option<&str>) -> Result<Option<bool>> {
        let (now, policy) = (Timestamp::now(), self.settings.on_limit);
        let (admission, _) = self.request_start(home, now)?;
        let limit = match admission {
            Admission::Free => return Ok(Some(false)),
            Admission::Probe => return Ok(Some(true)),
            Admission::Shut(limit) => limit,
        };
        // A limit whose reset time is past is being probed, by this runner or another.
        let must_stop = match policy {
            OnLimit::Wait => limit.is_hopeless(now),
            _ => policy == OnLimit::Stop && limit.until.is_some_and(|until| until > now),
        };
        if must_stop {
            self.listener.warn(limit.error(now).message());
            self.close_here(Class::UsageLimit, limit.until);
            return Ok(None);
        }
        let wait = u64::try_from(limit.next.0 - now.0).map_or(Duration::ZERO, Duration::from_millis);
        // The wait is bounded, since another runner may reset the limit earlier.
        self.limits.blocked_until = Some(Instant::now() + wait.clamp(PROBE_RETRY, Duration::from_secs(30)));
        let announced = self.limits.announced;
        if wait == Duration::ZERO && announced.is_none() {
            self.limits.announced = Some(limit.next);
            self.listener.status("waiting until another job has tested whether a usage limit still holds");
        }
        if wait > Duration::ZERO && announced != Some(limit.next) {
            self.limits.announced = Some(limit.next);
            self.listener.wait(&format!("waiting: {}", limit.error(now).message()));
            let why = Class::UsageLimit.word();
            self.record_event(RunEvent::RunWaiting { why, until: Some(limit.next) }, false)?;
        }
        Ok(None)
    }

    /// Starts a job, and releases the probe lock if no process was started.
    fn start_on(&mut self, at: usize, home: Option<&str>, probes: bool) -> Result<()> {
        let key = home.map(str::to_owned);
        if probes {
            self.limits.probes.insert(key.clone(), at);
        }
        let started = self.start(at);
        if probes && !self.running.iter().any(|running| running.task == at) {
            self.limits.probes.remove(&key);
            self.limits.gate(home)?.release();
        }
        started
    }

    fn start(&mut self, at: usize) -> Result<()> {
        let planned = self.journal.job(self.tasks.all[at].place)?;
        let next = self.tasks.all[at].next;
        let about = self.label(&planned);
        let job = next.job(planned);
        let copies = self.dir.job(self.tasks.all[at].of.number);
        let ready = match self.checker.check(&job, &copies) {
            Ok(ready) => ready,
            Err(Unready::Busy(message)) => return self.handle_busy(at, Failure::new(Class::Busy, message)),
            Err(Unready::Failed(failure)) => {
                return self.handle_early_end(at, Failed::without_exit(failure));
            }
            // An error about one job must not stop the others.
            Err(Unready::Error(error)) => {
                return self.fail(at, Failed::without_exit(Failure::from_error(&error)));
            }
        };
        if let Some(warning) = &ready.warning {
            self.listener.warn(warning);
        }
        self.starts += 1;
        if self.starts < self.settings.max_concurrent.min(MOST_JITTERED) {
            self.next_start = Instant::now() + Duration::from_millis(random(JITTER_MS));
        }
        self.tasks.set_state(at, State::Running);
        let task = &mut self.tasks.all[at];
        task.of.attempt += 1;
        // The session of an earlier attempt is not that of this one.
        task.of.session = job.asked();
        task.of.name = ready.name.clone();
        let continues = matches!(next, NextStart::Continue(_));
        let Moment { at: now, up } = Moment::now();
        let start = spawn::Start {
            folder: self.dir,
            codex: &self.settings.codex.clone(),
            job: &job,
            of: task.of.clone(),
            continues,
            // "Continue." is sent then, not the prompt.
            resent: task.resent && !continues,
            up,
        };
        task.start = Some(Start {
            at: now,
            boot: liveness::boot_id(),
            usage_before: ready.usage_before.clone(),
            asked: job.asked(),
            is_new: job.kind() == Kind::New,
            version: ready.version.clone(),
            before: ready.before,
            up,
            process: None,
            session_reported: false,
        });
        match start.spawn(ready, &mut |what| self.record_event(what, true))? {
            Spawn::Running(child, process, follower) => {
                if let Some(start) = &mut self.tasks.all[at].start {
                    start.process = Some(process);
                }
                let patience = self.settings.patience;
                let task = &self.tasks.all[at];
                let mut running = Running::new(self.dir, at, task, *follower, Some(child), patience);
                running.about = about;
                self.follow(running);
                Ok(())
            }
            Spawn::Failed(failure) => self.fail(at, Failed::without_exit(failure)),
        }
    }

    /// Returns a pending job to its feed, which does not offer it for a while.
    pub(super) fn give_back(&mut self, at: usize, wait: Duration) {
        self.drained = false;
        let job = &mut self.tasks.all[at];
        job.outcome.requeue();
        self.feed.changed(job);
        let id = job.of.job.clone();
        self.feed.give_back(self.tasks, &id, Instant::now() + wait);
    }

    /// Records that a claimed job was not started, so that readers of the journal do not count it as running. A
    /// job of a plan was not claimed.
    pub(super) fn unclaim(&mut self, at: usize, why: &str) -> Result<()> {
        if self.tasks.all[at].arrived { self.record_unstarted(at, why) } else { Ok(()) }
    }

    /// Records that nothing was sent for a job.
    pub(super) fn record_unstarted(&mut self, at: usize, why: &str) -> Result<()> {
        let of = self.tasks.all[at].of.clone();
        let (why, failure) = (why.to_owned(), None);
        self.record_event(RunEvent::JobSkipped { of, why, failure, withdrawn: true }, false)
    }

    /// Makes a started job pending again, of which nothing was sent.
    pub(super) fn rerun_unsent(&mut self, at: usize, why: &str, wait: Duration) -> Result<()> {
        self.tasks.set_state(at, State::Pending);
        self.record_unstarted(at, why)?;
        self.give_back(at, wait);
        Ok(())
    }
}

/// A random number below a limit, so that waits end at different times.
pub(super) fn random(limit: u64) -> u64 {
    u64::from_str_radix(&Id::random().hex()[..8], 16).unwrap_or(0) % limit.max(1)
}
