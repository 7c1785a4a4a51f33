//! The schedule: jobs start in order, one at a time for each session. Busy sessions, retries and usage limits
//! delay them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::clock::Moment;
use crate::disk::progress::{NextStart, RunProgress, Start, State};
use crate::liveness;
use crate::process::preflight::Preflight;
use crate::process::running::Running;
use crate::process::spawn;
use crate::process::spawn::Spawn;
use crate::record::event::RunEvent;
use crate::record::failure::{Class, Failure};
use crate::record::job::{Job, Kind};
use crate::record::settings::OnLimit;
use crate::run::engine::{Engine, LOOK};
use crate::run::feed::NextJob;
use crate::run::usage_limit::Admission;
use codex_agent_shared::error::Result;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// The longest delay between the first starts of a run.
const JITTER_MS: u64 = 250;
/// The shortest wait while another runner tests a usage limit.
const PROBE_RETRY: Duration = Duration::from_secs(1);

impl Engine<'_> {
    pub(super) fn start_due_jobs(&mut self) -> Result<()> {
        let began = Instant::now();
        self.time_slice_used = false;
        while self.why.is_none() && self.running.len() < self.settings.max_concurrent {
            if began.elapsed() > LOOK {
                // Signals and ended jobs are handled in between.
                self.time_slice_used = true;
                return Ok(());
            }
            if self.blocked_until.is_some_and(|hold| Instant::now() < hold) {
                self.check_while_blocked();
                return Ok(());
            }
            self.blocked_until = None;
            let Some(at) = self.next_job() else {
                match self.ask_source()? {
                    true => continue,
                    false => return Ok(()),
                }
            };
            let home = self.tasks.all[at].home.clone();
            match self.admit(home.as_deref())? {
                Some(probes) => self.start_on(at, home.as_deref(), probes)?,
                None => self.requeue(at),
            }
        }
        Ok(())
    }

    /// Re-checks the source while the run is blocked: the queue may be paused or empty by now.
    fn check_while_blocked(&mut self) {
        let Some(source) = self.source.as_mut().filter(|_| self.running.is_empty()) else { return };
        source.refresh();
        if let Some(why) = source.stopped() {
            self.why = Some(why.to_owned());
        } else if source.pending() == 0 {
            (self.blocked_until, self.drained) = (None, true);
        }
    }

    /// The next job that is due and whose session is free.
    fn next_job(&mut self) -> Option<usize> {
        let now = Instant::now();
        let sessions = |at: usize| self.tasks.all[at].session_driven();
        let driven: HashSet<Id> = self.running.iter().filter_map(|running| sessions(running.task)).collect();
        let is_free = |tasks: &RunProgress, at: usize| {
            tasks.all[at].session_driven().is_none_or(|session| !driven.contains(&session))
        };
        let due = |(_, (at, task)): &(usize, &(Instant, usize))| *at <= now && is_free(&self.tasks, *task);
        if let Some((place, _)) = self.waiting.iter().enumerate().find(due) {
            return Some(self.waiting.swap_remove(place).1);
        }
        if now < self.next_start {
            return None;
        }
        // Jobs for one session keep their order.
        let later: HashSet<Id> = self.waiting.iter().filter_map(|(_, at)| sessions(*at)).collect();
        let is_next = |at: &usize| {
            is_free(&self.tasks, *at)
                && self.tasks.all[*at].session_driven().is_none_or(|session| !later.contains(&session))
        };
        let place = self.queue.iter().position(is_next)?;
        self.queue.remove(place)
    }

    /// Claims and starts the next job of the source, if no other job is running or pending.
    fn ask_source(&mut self) -> Result<bool> {
        let is_idle = self.running.is_empty() && self.queue.is_empty() && self.waiting.is_empty();
        if self.source.is_none() || !is_idle || Instant::now() < self.next_start {
            return Ok(false);
        }
        let home = self.tasks.codex_home.clone();
        let Some(probes) = self.admit(home.as_deref())? else { return Ok(false) };
        let mut claimed = None;
        let mut busy = None;
        let next = match &mut self.source {
            None => Ok(NextJob::Done),
            Some(source) => source.next(&mut |job: Job, resent: bool| {
                let mut job = job.validate()?;
                // A job may wait for its session for hours, so it is not written into the journal at each check.
                let waits = self.tasks.position(&job.id).filter(|at| self.busy.contains_key(at));
                if let Some(at) = waits.filter(|at| self.tasks.all[*at].next == NextStart::Plan)
                    && self.settings.on_busy.waits(self.busy[&at].0.elapsed())
                    && let Ok(Preflight::Busy(_)) = self.checker.check(&job, &self.folder.job(at + 1))
                {
                    busy = Some(at);
                    return Ok(());
                }
                job.run = Some(self.folder.name().to_owned());
                let place = self.journal.append(&job, false)?;
                let at = self.tasks.add(&job, place);
                self.tasks.all[at].resent |= resent;
                claimed = Some(at);
                Ok(())
            }),
        };
        self.drained = matches!(next, Ok(NextJob::Done));
        if let Some(at) = busy {
            self.wait_for_session(at);
        }
        match (next, claimed) {
            (Ok(NextJob::Claimed), Some(at)) => {
                self.start_on(at, home.as_deref(), probes)?;
                return Ok(true);
            }
            (Ok(NextJob::Later), _) => self.blocked_until = Some(Instant::now() + LOOK),
            (Ok(NextJob::Stop(why)), _) => self.why = Some(why.to_owned()),
            (Ok(_), _) => {}
            // No job is running, so the run can end.
            (Err(error), _) => {
                self.why = Some("trouble".to_owned());
                self.trouble = Some(error);
            }
        }
        if probes {
            self.gate(home.as_deref())?.release();
        }
        Ok(false)
    }

    /// Whether the usage limit of a home allows a start, and whether that job is the probe. `None` stops or
    /// delays the run.
    fn admit(&mut self, home: Option<&str>) -> Result<Option<bool>> {
        let (now, policy) = (Timestamp::now(), self.settings.on_limit);
        let gate = self.gate(home)?;
        let early = match policy {
            OnLimit::Wait => false,
            OnLimit::Try => true,
            OnLimit::Stop => gate.closed()?.is_some_and(|closed| closed.until.is_none()),
        };
        let closed = match gate.pass(early, now)? {
            Admission::Free => return Ok(Some(false)),
            Admission::Probe => return Ok(Some(true)),
            Admission::Shut(closed) => closed,
        };
        // A limit whose reset time is past is being probed, by this runner or another.
        if policy == OnLimit::Stop && closed.until.is_some_and(|until| until > now) {
            self.listener.warn(closed.error(now).message());
            self.why = Some(Class::UsageLimit.word());
            self.until = closed.until;
            return Ok(None);
        }
        let wait = u64::try_from(closed.next.0 - now.0).map_or(Duration::ZERO, Duration::from_millis);
        // The wait is bounded, since another runner may reset the limit earlier.
        self.blocked_until = Some(Instant::now() + wait.clamp(PROBE_RETRY, Duration::from_secs(30)));
        if wait == Duration::ZERO && self.announced.is_none() {
            self.announced = Some(closed.next);
            self.listener.status("waiting for another job to test a usage limit");
        }
        if wait > Duration::ZERO && self.announced != Some(closed.next) {
            self.announced = Some(closed.next);
            self.listener
                .status(&format!("waiting until a usage limit resets: {}", closed.describe_until(now)));
            let why = Class::UsageLimit.word();
            self.record_event(RunEvent::RunWaiting { why, until: Some(closed.next) }, false)?;
        }
        Ok(None)
    }

    /// Starts a job, and releases the probe lock if no process was started.
    fn start_on(&mut self, at: usize, home: Option<&str>, probes: bool) -> Result<()> {
        let key = home.map(str::to_owned);
        if probes {
            self.probes.insert(key.clone(), at);
        }
        let started = self.start(at);
        if probes && !self.running.iter().any(|running| running.task == at) {
            self.probes.remove(&key);
            self.gate(home)?.release();
        }
        started
    }

    fn start(&mut self, at: usize) -> Result<()> {
        let planned = self.journal.job(self.tasks.all[at].place)?;
        let next = self.tasks.all[at].next;
        let job = match next {
            NextStart::Plan => planned,
            NextStart::Continue(session) => planned.resuming(session).with_prompt("Continue."),
            NextStart::Fork => planned.in_fork(),
        };
        let copies = self.folder.job(self.tasks.all[at].of.number);
        let ready = match self.checker.check(&job, &copies) {
            Ok(Preflight::Ready(ready)) => ready,
            Ok(Preflight::Busy(message)) => return self.handle_busy(at, Failure::new(Class::Busy, message)),
            Ok(Preflight::Failed(failure)) => return self.never_began(at, failure, false, None),
            // An error about one job must not stop the others.
            Err(error) => {
                let failure = Failure::from_error(&error);
                let again = failure.class.row().stops_run;
                return self.failed(at, failure, again, None);
            }
        };
        if let Some(warning) = &ready.warning {
            self.listener.warn(warning);
        }
        self.starts += 1;
        if self.starts < self.settings.max_concurrent {
            self.next_start = Instant::now() + Duration::from_millis(random(JITTER_MS));
        }
        self.tasks.set(at, State::Running);
        let task = &mut self.tasks.all[at];
        task.of.attempt += 1;
        // The session of an earlier attempt is not that of this one.
        task.of.session = job.asked();
        task.of.name = ready.name.clone();
        let continues = matches!(next, NextStart::Continue(_));
        let Moment { at: now, up } = Moment::now();
        let start = spawn::Start {
            folder: self.folder,
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
            boot: liveness::boot(),
            usage_before: ready.usage_before.clone(),
            process: None,
            asked: job.asked(),
            is_new: job.kind() == Kind::New,
            session_reported: false,
            version: ready.version.clone(),
            before: ready.before,
            up,
        });
        match start.spawn(*ready, &mut |what| self.record_event(what, true))? {
            Spawn::Running(child, process, follower) => {
                if let Some(start) = &mut self.tasks.all[at].start {
                    start.process = Some(process);
                }
                let patience = self.settings.patience;
                let task = &self.tasks.all[at];
                self.follow(Running::new(self.folder, at, task, *follower, Some(child), patience));
                Ok(())
            }
            Spawn::Failed(failure) => {
                let again = failure.class.row().stops_run;
                self.failed(at, failure, again, None)
            }
        }
    }

    /// Puts a pending job back into the queue.
    pub(super) fn requeue(&mut self, at: usize) {
        match &mut self.source {
            Some(source) => {
                let job = &mut self.tasks.all[at];
                job.outcome.requeue();
                source.changed(job);
            }
            None => {
                // The place is kept: jobs of one session stay in order.
                let place = self.queue.partition_point(|other| *other < at);
                self.queue.insert(place, at);
            }
        }
    }

    /// Returns a claimed job to its source and records that nothing was sent, so that readers of the journal do
    /// not count it as running.
    pub(super) fn unclaim(&mut self, at: usize, why: &str) -> Result<()> {
        if self.source.is_none() {
            return Ok(());
        }
        self.record_unstarted(at, why)
    }

    /// Records that nothing was sent for a job.
    pub(super) fn record_unstarted(&mut self, at: usize, why: &str) -> Result<()> {
        let of = self.tasks.all[at].of.clone();
        self.record_event(RunEvent::JobSkipped { of, why: why.to_owned(), withdrawn: true }, false)
    }

    /// Starts a pending job after a delay.
    pub(super) fn delay(&mut self, at: usize, wait: Duration) {
        let then = Instant::now() + wait;
        match &mut self.source {
            // Prompts of a queue stay in order, so the whole queue waits.
            Some(source) => {
                let job = &mut self.tasks.all[at];
                job.outcome.requeue();
                source.changed(job);
                self.blocked_until = Some(then);
            }
            None => self.waiting.push((then, at)),
        }
    }
}

/// A random number below a limit, so that waits end at different times.
pub(super) fn random(limit: u64) -> u64 {
    u64::from_str_radix(&Id::random().hex()[..8], 16).unwrap_or(0) % limit.max(1)
}
