//! What becomes of the events that a host reports: of a job that was begun there, ended, failed or was given back.
//!
//! A host may be broken or invent events. They touch only jobs that the host was asked for, with the numbers of this run,
//! and are as long as those of a job of this machine.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::disk::progress::{NextStart, Start, State};
use crate::record::event::{Event, JobRef, RunEvent};
use crate::record::failure::{Class, Failure};
use crate::record::job::Kind;
use crate::record::settings::OnLimit;
use crate::run::engine::Engine;
use crate::run::failed::Failed;
use crate::run::hosts::Closed;
use crate::run::transitions::MAX_EARLY_CRASHES;
use codex_agent_shared::error::Result;
use codex_agent_shared::time::Timestamp;

/// The longest last message that is kept, in bytes.
const LONGEST_MESSAGE: usize = 4 << 20;
/// The wait for a host whose limit resets at an unknown time.
const UNKNOWN_LIMIT_MS: i64 = 60_000;

impl Engine<'_> {
    pub(super) fn handle_event(&mut self, host: usize, event: Event) -> Result<()> {
        let Some(of) = event.what.job_ref() else { return Ok(()) };
        let Some(at) = self.tasks.position(&of.job) else { return Ok(()) };
        let state = &mut self.hosts.all[host];
        if !state.bound.iter().any(|bound| bound.at == at && bound.is_asked) {
            return Ok(());
        }
        state.tries = 0;
        let name = state.host.name.clone();
        let task = &mut self.tasks.all[at];
        // The worker counts on from the attempt that it was asked for.
        let asked = task.asked_attempt();
        let attempt = if (asked..asked.saturating_add(8)).contains(&of.attempt) { of.attempt } else { asked };
        let is_begun = task.binding.as_ref().is_some_and(|binding| binding.is_begun);
        let of = JobRef {
            number: at + 1,
            attempt: if is_begun { task.of.attempt } else { attempt },
            host: Some(name),
            ..of.clone()
        };
        match event.what {
            RunEvent::JobStarted {
                cwd,
                sandbox,
                kind,
                boot,
                usage_before,
                version,
                rollout_bytes,
                uptime_ms,
                ..
            } => {
                if is_begun {
                    return Ok(());
                }
                let continues = matches!(task.next, NextStart::Continue(_));
                if let Some(binding) = &mut task.binding {
                    binding.is_begun = true;
                }
                task.start = Some(Start {
                    at: event.at,
                    boot: boot.clone(),
                    usage_before: usage_before.clone(),
                    asked: of.session,
                    is_new: kind == Some(Kind::New),
                    version: version.clone(),
                    before: rollout_bytes,
                    up: uptime_ms,
                    process: None,
                    session_reported: false,
                });
                task.of = of.clone();
                let resent = task.resent && !continues;
                let what = RunEvent::JobStarted {
                    of,
                    cwd,
                    sandbox,
                    kind,
                    continues,
                    resent,
                    boot,
                    usage_before,
                    version,
                    rollout_bytes,
                    uptime_ms,
                };
                self.record_event(what, false)
            }
            RunEvent::JobSpawned { process, .. } => match &mut task.start {
                Some(start) if start.process.is_none() => {
                    start.process = Some(process.clone());
                    self.record_event(RunEvent::JobSpawned { of, process }, false)
                }
                _ => Ok(()),
            },
            RunEvent::JobSession { .. } => match &mut task.start {
                Some(start) if !start.session_reported => {
                    start.session_reported = true;
                    task.of = of.clone();
                    self.record_event(RunEvent::JobSession { of }, false)
                }
                _ => Ok(()),
            },
            RunEvent::JobCompleted { last_message, usage, duration_ms, adopted, .. } => {
                // The same bounds as here.
                let last_message = last_message.filter(|message| message.len() <= LONGEST_MESSAGE);
                self.unbind(at, host, &of);
                let state = &mut self.hosts.all[host];
                state.early_crashes.clear();
                state.returns = 0;
                self.tasks.set_state(at, State::Completed);
                self.record_event(
                    RunEvent::JobCompleted { of, last_message, usage, duration_ms, adopted },
                    true,
                )
            }
            RunEvent::JobFailed { failure, exit_code, signal, again, usage, .. } => {
                let Failure { class, message, until, holder } = failure;
                let failure = Failure { until, holder, ..Failure::new(class, message) };
                self.unbind(at, host, &of);
                let exit = exit_code
                    .map(|code| (code & 0xff) << 8)
                    .or(signal.map(|signal| signal & 0x7f))
                    .map(ExitStatus::from_raw);
                self.handle_failure(at, host, Failed { failure, again, exit, usage })
            }
            RunEvent::JobSkipped { why, failure, .. } => {
                // Nothing was begun.
                let of = JobRef { attempt: task.of.attempt, ..of };
                let failure = failure.unwrap_or_else(|| Failure::new(Class::Other, why));
                self.handle_return(at, host, of, failure)
            }
            _ => Ok(()),
        }
    }

    /// Takes a job from its host.
    fn unbind(&mut self, at: usize, host: usize, of: &JobRef) {
        self.hosts.all[host].release(at);
        let task = &mut self.tasks.all[at];
        (task.of, task.binding) = (of.clone(), None);
    }

    /// Handles an attempt that failed on a host.
    fn handle_failure(&mut self, at: usize, host: usize, mut failed: Failed) -> Result<()> {
        let (class, until) = (failed.failure.class, failed.failure.until);
        self.stop.killed |= class == Class::Stopped;
        if self.tasks.all[at].of.session.is_none() && class.may_be_of_codex() {
            return self.handle_early_crash(at, host, failed);
        }
        self.hosts.all[host].early_crashes.clear();
        let again = failed.again && self.stop.requests < 2;
        match class {
            Class::UsageLimit => self.close_host(host, class, until),
            _ if class.row().stops_run => self.close_host(host, class, None),
            _ => {}
        }
        let wait = match class {
            Class::UsageLimit if again => Some(Duration::ZERO),
            // A job is begun anew once.
            Class::Unrecorded if again && !std::mem::replace(&mut self.tasks.all[at].anew, true) => {
                Some(Duration::ZERO)
            }
            _ if class.row().stops_run && again => Some(Duration::ZERO),
            Class::Interrupted if self.may_recover(at, false) => Some(Duration::ZERO),
            _ if class.may_pass() && again && self.count_tries(at) < self.settings.retries => {
                Some(self.delay_retry(at))
            }
            _ => None,
        };
        match wait {
            Some(wait) => self.retry(at, failed, wait),
            None => {
                failed.again = false;
                self.record_failed_job(at, failed)
            }
        }
    }

    /// Several such failures in a row on a host are the fault of its Codex: the host gets no more jobs, and its jobs are
    /// pending again.
    fn handle_early_crash(&mut self, at: usize, host: usize, failed: Failed) -> Result<()> {
        let class = failed.failure.class;
        let crashes = &mut self.hosts.all[host].early_crashes;
        crashes.push((at, failed.clone()));
        if crashes.len() < MAX_EARLY_CRASHES {
            return self.record_failed_job(at, Failed { again: false, ..failed });
        }
        let crashes = std::mem::take(crashes);
        self.close_host(host, class, None);
        crashes.into_iter().try_for_each(|(at, failed)| self.retry(at, failed, Duration::ZERO))
    }

    /// Handles a job that a host gave back: nothing was sent.
    fn handle_return(&mut self, at: usize, host: usize, of: JobRef, failure: Failure) -> Result<()> {
        self.hosts.all[host].release(at);
        let task = &mut self.tasks.all[at];
        task.of.attempt = of.attempt;
        task.release();
        self.tasks.set_state(at, State::Pending);
        let (class, until) = (failure.class, failure.until);
        let (why, message) = (class.word(), failure.message.clone());
        self.record_event(RunEvent::JobReturned { of, why, message, until }, true)?;
        let state = &mut self.hosts.all[host];
        state.returns += 1;
        match class {
            Class::UsageLimit => self.close_host(host, class, until),
            Class::Busy | Class::Locked => return self.handle_busy(at, failure),
            _ => {
                let wait = Duration::from_millis(100 << state.returns.min(8));
                state.not_before = Some(Instant::now() + wait);
            }
        }
        self.give_back(at, Duration::ZERO);
        Ok(())
    }

    /// Gives a host no more jobs, until this time or in this run.
    fn close_host(&mut self, host: usize, class: Class, until: Option<Timestamp>) {
        let now = Timestamp::now();
        let is_limit = class == Class::UsageLimit;
        let unknown = (is_limit && self.settings.on_limit == OnLimit::Wait)
            .then(|| Timestamp(now.0 + UNKNOWN_LIMIT_MS));
        let until = until.filter(|until| is_limit && *until > now).or(unknown);
        let state = &mut self.hosts.all[host];
        let was_open = state.closed.is_none();
        state.closed = Some(Closed { class, until });
        if was_open {
            let name = &state.host.name;
            let closed = Closed { class, until };
            self.listener.warn(&format!("host '{name}' gets no more jobs{closed}"));
        }
    }
}
