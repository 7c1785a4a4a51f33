//! The state of a run and its jobs, read from its journal.
//!
//! Prompts are not kept in memory: a job is read from its place in the journal when it is started. If two plans
//! have one id, they are the same job, and the later plan counts: a queue plans a prompt anew in this way. An
//! interrupted job that was to send "Continue." does so after a crash too, unless its prompt was changed
//! meanwhile.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::clock::Moment;
use crate::disk::journal::{Entry, JournalReader, LineSpan};
use crate::disk::run_dir::RunDir;
use crate::liveness;
use crate::record::event::{Codex, Counts, Event, JobRef, Process, RunEvent, Usage};
use crate::record::failure::{Class, Failure, Sent};
use crate::record::job::{Job, Kind, Status};
use crate::record::settings::{Interrupted, SavedSettings};
use codex_agent_shared::error::Result;
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
    source: Option<Id>,
    /// Its Codex home.
    pub home: Option<String>,
    /// The hash of its prompt.
    prompt_hash: u64,
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

    /// Whether it was interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.failure_class().is_some_and(Class::is_interrupted)
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

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// All jobs ended.
    Completed,
    /// Jobs are pending: the reason and their number, including those never planned.
    Stopped(String, usize),
}

/// The state of a run, as its journal records it.
#[derive(Debug, Default)]
pub struct RunProgress {
    /// The jobs, in the order in which they are started.
    pub all: Vec<JobState>,
    /// The number of jobs by state.
    pub counts: Counts,
    /// `new`, `jobs`; empty where the plan was never begun.
    pub kind: String,
    /// The subject.
    pub name: String,
    /// The time of the start.
    pub started_at: Option<Timestamp>,
    /// The time and kind of its end; `None` while it is running, or if its runner died.
    pub ended: Option<(Timestamp, End)>,
    /// The Codex of the last runner.
    pub codex: Codex,
    /// The Codex home.
    pub codex_home: Option<String>,
    /// The last runner.
    pub runner: Option<Process>,
    /// Whether its last runner stopped a job, as a second signal asked for.
    pub killed: bool,
    /// The number of concurrent jobs, and the saved settings.
    pub settings: Option<(usize, SavedSettings)>,
    /// The run whose failed jobs this run does again.
    pub retry_of: Option<String>,
    /// The directory in which it was begun.
    pub cwd: Option<String>,
    reported: Counts,
    ids: HashMap<String, usize>,
}

impl RunProgress {
    /// A run that is being planned.
    pub fn new(kind: &str, name: &str, codex_home: Option<String>) -> RunProgress {
        RunProgress { kind: kind.to_owned(), name: name.to_owned(), codex_home, ..RunProgress::default() }
    }

    /// Adds a job of the journal, or plans a known job anew. Returns its index.
    pub fn add(&mut self, job: &Job, place: LineSpan) -> usize {
        let (asked, prompt_hash) = (job.asked(), hash(&job.prompt));
        let at = match self.position(&job.id) {
            Some(at) => {
                self.set_state(at, State::Pending);
                at
            }
            None => {
                let at = self.all.len();
                let of = JobRef { job: job.id.clone(), number: at + 1, session: asked, ..JobRef::default() };
                self.ids.insert(job.id.clone(), at);
                self.counts.pending += 1;
                self.all.push(JobState { of, arrived: self.is_begun(), ..JobState::default() });
                at
            }
        };
        let task = &mut self.all[at];
        if task.prompt_hash != prompt_hash && matches!(task.next, NextStart::Continue(_)) {
            task.next = NextStart::Plan;
        }
        (task.place, task.asked, task.prompt_hash) = (place, asked, prompt_hash);
        task.source = job.session;
        task.home.clone_from(&job.codex_home);
        task.resent |= job.resent;
        task.outcome.requeue();
        task.outcome.is_claimed = true;
        at
    }

    /// The index of the job of this id.
    pub fn position(&self, job: &str) -> Option<usize> {
        self.ids.get(job).copied()
    }

    /// Reads the journal of a run.
    pub fn read(dir: &RunDir) -> Result<RunProgress> {
        let mut progress = RunProgress::default();
        progress.replay(dir)?;
        Ok(progress)
    }

    /// Applies the journal of a run, up to the first unreadable line.
    pub fn replay(&mut self, dir: &RunDir) -> Result<()> {
        JournalReader::open(&dir.journal())?.read(|entry| {
            match entry {
                Entry::Job(job, place) => drop(self.add(&job, place)),
                Entry::Event(event) => self.apply(*event),
            }
            Ok(())
        })
    }

    /// The outcome of the job of this id, if the journal has the job.
    pub fn outcome(&self, job: &str) -> Option<&JobOutcome> {
        self.position(job).map(|at| &self.all[at].outcome)
    }

    /// As [`RunProgress::read`], but `None` if another process removed the directory since it was listed.
    pub fn read_existing(dir: &RunDir) -> Option<Result<RunProgress>> {
        Some(RunProgress::read(dir)).filter(|read| read.is_ok() || dir.journal().exists())
    }

    /// The numbers of jobs by status in the last event: for a queue they include prompts that are not planned.
    pub fn reported_counts(&self) -> Counts {
        if self.kind == "queue" { self.reported } else { self.counts }
    }

    /// Whether the plan was complete and the run begun.
    pub fn is_begun(&self) -> bool {
        self.started_at.is_some()
    }

    /// Whether a continued run would do something. A finished run with failures is finished.
    pub fn is_open(&self) -> bool {
        match self.ended {
            Some((_, End::Completed | End::Stopped(_, 0))) => false,
            Some((_, End::Stopped(..))) | None => true,
        }
    }

    /// Whether the run is being planned or run, or would be continued.
    pub fn is_unfinished(&self, dir: &RunDir) -> bool {
        if self.is_begun() { self.is_open() } else { dir.is_running() }
    }

    /// The number of jobs that a continued run would do.
    pub fn count_left(&self) -> usize {
        self.counts.pending + self.counts.running
    }

    /// Changes the state of a job and the counts. A failed job whose prompt may have been sent is marked as
    /// resent.
    pub fn set_state(&mut self, at: usize, state: State) {
        if let State::Failed { sent: true, .. } = self.all[at].state {
            self.all[at].resent = true;
        }
        let left = self.count_of(self.all[at].state);
        debug_assert!(*left > 0, "a job is counted where it is not");
        *left = left.saturating_sub(1);
        *self.count_of(state) += 1;
        self.all[at].state = state;
    }

    fn count_of(&mut self, state: State) -> &mut usize {
        match state {
            // A failure that is rerun counts as pending.
            State::Pending | State::Failed { again: true, .. } => &mut self.counts.pending,
            State::Running => &mut self.counts.running,
            State::Completed => &mut self.counts.completed,
            State::Failed { .. } => &mut self.counts.failed,
            State::Skipped => &mut self.counts.skipped,
        }
    }

    /// Begins or continues the run with this Codex: makes failed jobs pending that a continued run reruns.
    pub fn reopen(&mut self, codex: Codex) {
        for at in 0..self.all.len() {
            if let State::Failed { again: true, .. } = self.all[at].state {
                self.set_state(at, State::Pending);
            }
        }
        self.started_at.get_or_insert_with(Timestamp::now);
        (self.codex, self.ended) = (codex, None);
    }

    /// Makes interrupted jobs pending, except those in `but`, so that a runner continues their sessions or sends their
    /// prompts again. Returns their number. Without a session there is nothing to continue.
    pub fn requeue_interrupted(&mut self, action: Interrupted, but: &HashSet<String>) -> usize {
        let mut requeued = 0;
        for at in 0..self.all.len() {
            let job = &self.all[at];
            let next = match (action, job.of.session) {
                _ if !job.is_interrupted() || but.contains(&job.of.job) => continue,
                (Interrupted::Fail, _) | (Interrupted::Continue, None) => continue,
                (Interrupted::Continue, Some(session)) => NextStart::Continue(session),
                (Interrupted::Retry, _) => job.next,
            };
            self.set_state(at, State::Pending);
            self.all[at].next = next;
            self.all[at].outcome.was_sent = true;
            self.all[at].outcome.requeue();
            requeued += 1;
        }
        requeued
    }

    /// The number of failed jobs that were interrupted.
    pub fn count_interrupted(&self) -> usize {
        self.all.iter().filter(|job| job.is_interrupted()).count()
    }

    /// Applies an event.
    pub fn apply(&mut self, event: Event) {
        let at = event.at;
        self.reported = event.counts;
        // An event of an unplanned job is ignored.
        let index = event.what.job_ref().map(|of| of.number.wrapping_sub(1));
        if index.is_some_and(|index| index >= self.all.len()) {
            return;
        }
        if let Some(index) = index {
            self.all[index].outcome.apply(&event);
        }
        let index = index.unwrap_or(0);
        match event.what {
            RunEvent::RunPlanned { kind, name, settings, retry_of } => {
                (self.kind, self.name, self.retry_of) = (kind, name, retry_of);
                self.settings = settings.map(|kept| (1, *kept));
            }
            RunEvent::RunStarted {
                kind,
                name,
                codex,
                codex_home,
                runner,
                settings,
                max_concurrent,
                cwd,
                ..
            } => {
                self.cwd = self.cwd.take().or(cwd);
                self.started_at.get_or_insert(at);
                (self.ended, self.killed) = (None, false);
                (self.kind, self.name, self.codex, self.codex_home) = (kind, name, codex, codex_home);
                self.runner = Some(runner);
                self.settings = settings.map(|kept| (max_concurrent.max(1), *kept));
            }
            RunEvent::JobStarted {
                of,
                boot,
                usage_before,
                resent,
                kind,
                continues,
                version,
                rollout_bytes,
                uptime_ms,
                ..
            } => {
                let task = &mut self.all[index];
                task.resent = resent;
                let asked = of.session;
                let is_new = kind.map_or(asked.is_none(), |kind| kind == Kind::New);
                task.next = match (kind, continues, asked) {
                    (_, true, Some(session)) => NextStart::Continue(session),
                    (Some(Kind::Fork), ..) if task.asked.is_some() => NextStart::Fork,
                    _ => NextStart::Plan,
                };
                task.start = Some(Start {
                    at,
                    boot,
                    usage_before,
                    asked,
                    is_new,
                    version,
                    before: rollout_bytes,
                    up: uptime_ms,
                    process: None,
                    session_reported: false,
                });
                task.of = of;
                self.set_state(index, State::Running);
            }
            RunEvent::JobSpawned { process, .. } => {
                if let Some(start) = &mut self.all[index].start {
                    start.process = Some(process);
                }
            }
            RunEvent::JobSession { of } => {
                let task = &mut self.all[index];
                if let Some(start) = &mut task.start {
                    start.session_reported = true;
                }
                task.of = of;
            }
            RunEvent::JobCompleted { of, .. } => {
                self.all[index].of = of;
                self.set_state(index, State::Completed);
            }
            RunEvent::JobFailed { of, failure, again, continues, .. } => {
                if let (true, Some(session)) = (continues, of.session) {
                    self.all[index].next = NextStart::Continue(session);
                }
                self.all[index].of = of;
                self.all[index].anew |= failure.class == Class::Unrecorded;
                let sent = failure.class.row().sent != Sent::No;
                self.killed |= failure.class == Class::Stopped;
                self.set_state(index, State::Failed { again, sent });
            }
            // An unclaimed job of a plan stays planned.
            RunEvent::JobSkipped { withdrawn: true, .. } if !self.all[index].arrived => {
                self.set_state(index, State::Pending)
            }
            RunEvent::JobSkipped { .. } => self.set_state(index, State::Skipped),
            RunEvent::RunWaiting { .. } => {}
            RunEvent::RunCompleted {} => {
                self.requeue_unended();
                self.ended = Some((at, End::Completed));
            }
            RunEvent::RunStopped { why, left, .. } => {
                self.requeue_unended();
                for job in 0..self.all.len() {
                    if self.all[job].state == State::Running {
                        self.set_state(job, State::Pending);
                    }
                }
                self.ended = Some((at, End::Stopped(why, left)));
            }
        }
    }
}

impl RunProgress {
    /// A run stops when no job is running, so nothing was sent for a job without an end in the journal.
    fn requeue_unended(&mut self) {
        let outcomes = self.all.iter_mut().map(|job| &mut job.outcome);
        outcomes
            .filter(|outcome| outcome.is_claimed || outcome.status == Status::Running)
            .for_each(JobOutcome::requeue);
    }
}

fn hash(prompt: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    prompt.hash(&mut hasher);
    hasher.finish()
}
