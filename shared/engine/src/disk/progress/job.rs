//! The state of one job of a run, and what its events change.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::clock::Moment;
use crate::disk::journal::LineSpan;
use crate::liveness;
use crate::record::event::{Event, JobRef, Process, RunEvent, Usage};
use crate::record::failure::{Class, Failure, Sent};
use crate::record::job::{Job, Status};
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// The state of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not started, or nothing was sent.
    #[default]
    Pending,
    /// Started, without an end in the journal.
    Running,
    /// The turn was completed.
    Completed,
    /// The job failed.
    Failed {
        /// Whether a continued run reruns the job.
        again: bool,
        /// Whether the model may have seen the prompt.
        sent: bool,
    },
    /// The job was skipped.
    Skipped,
}

impl State {
    /// Whether a continued run does the job: it was not started, or failed and is rerun.
    pub fn is_left(self) -> bool {
        matches!(self, State::Pending | State::Failed { again: true, .. })
    }
}

/// The last start of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    /// The time of the start.
    pub at: Timestamp,
    /// The id of the boot.
    pub boot: Option<String>,
    /// The tokens of its session before the start.
    pub usage_before: Option<Usage>,
    /// The process, if it was started.
    pub process: Option<Process>,
    /// The session that Codex was asked to continue.
    pub asked: Option<Id>,
    /// Whether the session was new, so that all of its tokens are of this turn.
    pub is_new: bool,
    /// Whether its session was reported, so that the model may have seen the prompt.
    pub session_reported: bool,
    /// The version of Codex.
    pub version: Option<String>,
    /// The length of the rollout, if known.
    pub before: Option<u64>,
    /// The time since the boot, in milliseconds.
    pub up: Option<i64>,
}

impl Start {
    /// The time since the start, independent of the wall clock.
    pub fn age(&self) -> Duration {
        let then = Moment { at: self.at, up: self.up };
        Moment::now().since(then, liveness::is_this_boot(self.boot.as_deref()))
    }
}

/// The input of the next start of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NextStart {
    /// The plan.
    #[default]
    Plan,
    /// "Continue.", in the session of an interrupted attempt.
    Continue(Id),
    /// The plan, in a fork of the session.
    Fork,
}

impl NextStart {
    /// The job that is sent, for a plan.
    pub fn job(self, planned: Job) -> Job {
        match self {
            NextStart::Plan => planned,
            NextStart::Continue(session) => planned.resuming(session).with_prompt("Continue."),
            NextStart::Fork => planned.in_fork(),
        }
    }
}

/// The host to which a job belongs until the host returns it, or reports its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The name of the host.
    pub host: String,
    /// The place of the host: the id of its state directory.
    pub place: String,
    /// Whether an event of the attempt was received, so that only this host knows what was sent.
    pub is_begun: bool,
}

/// The outcome of a job so far, by the events of its run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobOutcome {
    /// The status. A job that is rerun is pending.
    pub status: Status,
    /// Whether the job was planned without a later event: its runner is about to send it.
    pub is_claimed: bool,
    /// Whether the model may have seen the prompt in this run, although the job is pending.
    pub was_sent: bool,
    /// The time of the start.
    pub started_at: Option<Timestamp>,
    /// The time of the end.
    pub ended_at: Option<Timestamp>,
    /// The session.
    pub session: Option<Id>,
    /// The failure.
    pub failure: Option<Failure>,
    /// The exit status of Codex.
    pub exit_code: Option<i32>,
}

impl JobOutcome {
    /// Applies an event of the job. False for an event that changes nothing.
    pub fn apply(&mut self, event: &Event) -> bool {
        self.is_claimed = false;
        let was_sent = self.was_sent;
        match &event.what {
            RunEvent::JobBound { .. } => self.is_claimed = true,
            RunEvent::JobReturned { .. } => self.requeue(),
            RunEvent::JobStarted { of, .. } => {
                let (status, session, started_at) = (Status::Running, of.session, Some(event.at));
                *self = JobOutcome { status, session, started_at, was_sent, ..JobOutcome::default() };
            }
            RunEvent::JobSession { of } => self.session = of.session,
            RunEvent::JobCompleted { of, .. } => {
                (self.status, self.session) = (Status::Completed, of.session);
                (self.exit_code, self.ended_at) = (Some(0), Some(event.at));
            }
            RunEvent::JobFailed { again: true, failure, .. } => {
                self.was_sent |= failure.class.row().sent != Sent::No;
                self.requeue();
            }
            RunEvent::JobSkipped { withdrawn: true, .. } => self.requeue(),
            RunEvent::JobFailed { of, failure, exit_code, .. } => {
                (self.status, self.session) = (Status::Failed, of.session);
                (self.failure, self.exit_code) = (Some(failure.clone()), *exit_code);
                self.ended_at = Some(event.at);
            }
            RunEvent::JobSkipped { why, .. } => {
                self.status = Status::Failed;
                self.failure = Some(Failure::new(Class::Busy, why.clone()));
                self.ended_at = Some(event.at);
            }
            _ => return false,
        }
        true
    }

    /// Makes the job pending again.
    pub fn requeue(&mut self) {
        *self = JobOutcome { was_sent: self.was_sent, ..JobOutcome::default() };
    }

    /// Whether the job was sent and has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.status, Status::Completed | Status::Failed)
    }
}

/// A job of a run.
#[derive(Debug, Default)]
pub struct JobState {
    /// The line of its plan in the journal.
    pub place: LineSpan,
    /// Its id, number, last attempt, session and name.
    pub of: JobRef,
    /// The session that it resumes.
    pub asked: Option<Id>,
    /// The session that it resumes or forks.
    pub(super) source: Option<Id>,
    /// Its Codex home.
    pub home: Option<String>,
    /// The host that its plan names.
    pub wanted_host: Option<String>,
    /// The host to which it belongs. Such a job is running, also while no runner is connected to the host.
    pub binding: Option<Binding>,
    /// The hash of its prompt.
    pub(super) prompt_hash: u64,
    /// Whether it was planned after the run began: its feed chose it, and chooses it anew if it is unclaimed.
    pub arrived: bool,
    /// Its state.
    pub state: State,
    /// Whether the model may have seen the prompt before.
    pub resent: bool,
    /// The input of the next start.
    pub next: NextStart,
    /// Its last start.
    pub start: Option<Start>,
    /// Whether the job was begun anew because its session was never written.
    pub anew: bool,
    /// Its outcome so far.
    pub outcome: JobOutcome,
}

impl JobState {
    /// Whether its prompt is this one.
    pub fn has_prompt(&self, prompt: &str) -> bool {
        self.prompt_hash == hash(prompt)
    }

    /// The class of its failure, if no continued run does the job again by itself.
    pub fn failure_class(&self) -> Option<Class> {
        match self.state {
            State::Failed { again: false, .. } | State::Skipped => {
                self.outcome.failure.as_ref().map(|failure| failure.class)
            }
            _ => None,
        }
    }

    /// Whether it ended, so that no continued run starts it. A job that was removed from its run, or was not started,
    /// has not ended.
    pub fn has_ended(&self) -> bool {
        match self.state {
            State::Pending | State::Running | State::Failed { again: true, .. } => false,
            State::Skipped => self.outcome.is_over(),
            State::Completed | State::Failed { again: false, .. } => true,
        }
    }

    /// Whether it was interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.failure_class().is_some_and(Class::is_interrupted)
    }

    /// The host that carries it out; `None` if that is open, or this machine.
    pub fn host(&self) -> Option<&str> {
        let own = self.binding.as_ref().map(|binding| &binding.host);
        // A session is continued where it was begun.
        let begun = self.of.host.as_ref().filter(|_| matches!(self.next, NextStart::Continue(_)));
        own.or(begun).or(self.wanted_host.as_ref()).map(String::as_str)
    }

    /// The number of the attempt that its host is asked for.
    pub fn asked_attempt(&self) -> u32 {
        let is_begun = self.binding.as_ref().is_some_and(|binding| binding.is_begun);
        if is_begun { self.of.attempt } else { self.of.attempt.saturating_add(1) }
    }

    /// Takes the job from its host. The session of a job that is to be continued stays there.
    pub fn release(&mut self) {
        self.binding = None;
        if !matches!(self.next, NextStart::Continue(_)) {
            self.of.host = None;
        }
    }

    /// The session without which it cannot be started: the one that it drives or forks.
    pub fn session_needed(&self) -> Option<Id> {
        match self.next {
            NextStart::Continue(session) => Some(session),
            NextStart::Fork | NextStart::Plan => self.source,
        }
    }

    /// The session that it drives, while it runs or when it is started.
    pub fn session_driven(&self) -> Option<Id> {
        match (self.state, self.next) {
            (State::Running, _) => self.of.session,
            (_, NextStart::Continue(session)) => Some(session),
            (_, NextStart::Fork) => None,
            (_, NextStart::Plan) => self.asked,
        }
    }
}

pub(super) fn hash(prompt: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    prompt.hash(&mut hasher);
    hasher.finish()
}
