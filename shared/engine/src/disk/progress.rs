//! The jobs of a run and how far each is, read from its journal.
//!
//! A prompt is not kept in memory: a job is read from its place in the journal when it is started. Where
//! two plans have one id, the later one is what is done, and the job is the same: that is how a queue
//! plans a prompt anew. An interrupted job that was to continue with "Continue." does so after a crash too, but
//! not where the prompt was changed meanwhile.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::clock::Moment;
use crate::disk::journal;
use crate::disk::journal::{Entry, LineSpan};
use crate::disk::run_dir::RunDir;
use crate::liveness;
use crate::record::event::{Codex, Counts, Event, JobRef, Process, RunEvent, Usage};
use crate::record::failure::{Class, Failure, Sent};
use crate::record::job::{Job, Kind, Status};
use crate::record::settings::SavedSettings;
use codex_agent_shared::error::Result;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was not started, or nothing came of it.
    Pending,
    /// It was started, and its end is not in the journal.
    Running,
    /// Its turn was completed.
    Completed,
    /// It was not; `again` is whether a continued run does it again, and `sent` whether the model may
    /// have seen it.
    Failed {
        /// Whether a continued run does it again.
        again: bool,
        /// Whether the model may have seen it.
        sent: bool,
    },
    /// It was skipped.
    Skipped,
}

/// The last start of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The time of the start.
    pub at: Timestamp,
    /// In which boot.
    pub boot: Option<String>,
    /// What its session had used before.
    pub usage_before: Option<Usage>,
    /// The process, if it came so far.
    pub process: Option<Process>,
    /// The session that Codex was asked to continue.
    pub asked: Option<Id>,
    /// Whether the session was new, so that all that it has used is this turn's.
    pub is_new: bool,
    /// Whether its session was reported, so that the model may have seen the prompt.
    pub session_reported: bool,
    /// The version of Codex.
    pub version: Option<String>,
    /// How long the rollout was, if that is known.
    pub before: Option<u64>,
    /// When, in milliseconds since the boot.
    pub up: Option<i64>,
}

impl Start {
    /// How long ago it was, whatever the wall clock says.
    pub fn age(&self) -> Duration {
        let then = Moment { at: self.at, up: self.up };
        Moment::now().since(then, liveness::is_this_boot(self.boot.as_deref()))
    }
}

/// What the next start of a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStart {
    /// What was planned.
    Plan,
    /// It says "Continue." to the session of an attempt that was interrupted.
    Continue(Id),
    /// What was planned, in a fork of the session.
    Fork,
}

/// What has become of a job, by the events of its run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobOutcome {
    /// How far it is. A job that is done again is pending.
    pub status: Status,
    /// Whether it was planned, and no event of it followed: its runner is about to send it.
    pub is_claimed: bool,
    /// Whether the model may have seen the prompt in this run, although the job is pending.
    pub was_sent: bool,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The session that it went to.
    pub session: Option<Id>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// How Codex ended.
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

    /// The job is pending again.
    pub fn requeue(&mut self) {
        *self = JobOutcome { was_sent: self.was_sent, ..JobOutcome::default() };
    }

    /// The job is planned and about to be sent.
    fn claim(&mut self) {
        self.requeue();
        self.is_claimed = true;
    }

    /// Whether it was sent and has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.status, Status::Completed | Status::Failed)
    }
}

/// A job of a run.
#[derive(Debug)]
pub struct JobState {
    /// The line of its plan in the journal.
    pub place: LineSpan,
    /// Its id, number, last attempt, session and name.
    pub of: JobRef,
    /// The session that it resumes.
    pub asked: Option<Id>,
    /// Its Codex home.
    pub home: Option<String>,
    /// The hash of its prompt.
    prompt_hash: u64,
    /// How far it is.
    pub state: State,
    /// Whether the model may have seen the prompt before.
    pub resent: bool,
    /// What the next start does.
    pub next: NextStart,
    /// Its last start.
    pub start: Option<Start>,
    /// Whether it was begun anew, because its session was never written.
    pub anew: bool,
    /// What has become of it so far.
    pub outcome: JobOutcome,
}

impl JobState {
    /// Whether its prompt is this one.
    pub fn has_prompt(&self, prompt: &str) -> bool {
        self.prompt_hash == hash(prompt)
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

/// How a run ended that has ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// All is done.
    Completed,
    /// There is work left: why, and of how many jobs, those that were never planned too.
    Stopped(String, usize),
}

/// A run as its journal tells it.
#[derive(Debug, Default)]
pub struct RunProgress {
    /// The jobs, in the order in which they are started.
    pub all: Vec<JobState>,
    /// The number of jobs by state.
    pub counts: Counts,
    /// `new`, `jobs`; empty where the plan was never begun.
    pub kind: String,
    /// What it is about.
    pub name: String,
    /// When it was begun.
    pub started_at: Option<Timestamp>,
    /// When it ended, and how; nothing where it runs or its runner died.
    pub ended: Option<(Timestamp, End)>,
    /// The Codex of the last runner.
    pub codex: Codex,
    /// The Codex home.
    pub codex_home: Option<String>,
    /// The last runner.
    pub runner: Option<Process>,
    /// Whether its last runner stopped a job, as a second signal asked for.
    pub killed: bool,
    /// How many jobs it did at once, and what else it was told.
    pub settings: Option<(usize, SavedSettings)>,
    reported: Counts,
    ids: HashMap<String, usize>,
}

impl RunProgress {
    /// A plan that is being made.
    pub fn new(kind: &str, name: &str, codex_home: Option<String>) -> RunProgress {
        RunProgress { kind: kind.to_owned(), name: name.to_owned(), codex_home, ..RunProgress::default() }
    }

    /// Adds a job that was put into the journal; one that is there already is planned anew. Returns its
    /// place.
    pub fn add(&mut self, job: &Job, place: LineSpan) -> usize {
        if let Some(at) = self.ids.get(&job.id).copied() {
            self.set(at, State::Pending);
            let (prompt_hash, task) = (hash(&job.prompt), &mut self.all[at]);
            if task.prompt_hash != prompt_hash && matches!(task.next, NextStart::Continue(_)) {
                task.next = NextStart::Plan;
            }
            (task.place, task.asked, task.prompt_hash) = (place, job.asked(), prompt_hash);
            task.home.clone_from(&job.codex_home);
            task.outcome.claim();
            return at;
        }
        self.ids.insert(job.id.clone(), self.all.len());
        let of = JobRef {
            job: job.id.clone(),
            number: self.all.len() + 1,
            attempt: 0,
            session: job.asked(),
            name: None,
        };
        self.counts.pending += 1;
        self.all.push(JobState {
            place,
            of,
            asked: job.asked(),
            home: job.codex_home.clone(),
            prompt_hash: hash(&job.prompt),
            state: State::Pending,
            resent: false,
            next: NextStart::Plan,
            start: None,
            anew: false,
            outcome: JobOutcome { is_claimed: true, ..JobOutcome::default() },
        });
        self.all.len() - 1
    }

    /// The place of the job of this id.
    pub fn position(&self, job: &str) -> Option<usize> {
        self.ids.get(job).copied()
    }

    /// Reads the journal of a run.
    pub fn read(folder: &RunDir) -> Result<RunProgress> {
        let mut progress = RunProgress::default();
        progress.replay(folder)?;
        Ok(progress)
    }

    /// Applies what the journal of a run says, up to the line that cannot be read where there is one.
    pub fn replay(&mut self, folder: &RunDir) -> Result<()> {
        journal::read(&folder.journal(), |entry| {
            match entry {
                Entry::Job(job, place) => drop(self.add(&job, place)),
                Entry::Event(event) => self.apply(*event),
            }
            Ok(())
        })
    }

    /// What has become of each job, by its id.
    pub fn outcomes(&self) -> HashMap<String, JobOutcome> {
        self.all.iter().map(|job| (job.of.job.clone(), job.outcome.clone())).collect()
    }

    /// The same of a directory that was listed before: `None` where another process removed it since.
    pub fn read_existing(folder: &RunDir) -> Option<Result<RunProgress>> {
        Some(RunProgress::read(folder)).filter(|read| read.is_ok() || folder.journal().exists())
    }

    /// How many jobs are how far, as the last event told it: of a queue, those too that are not planned.
    pub fn reported_counts(&self) -> Counts {
        if self.kind == "queue" { self.reported } else { self.counts }
    }

    /// Whether the plan was whole and begun.
    pub fn is_begun(&self) -> bool {
        self.started_at.is_some()
    }

    /// Whether there is something to do: a finished run has its failures, and is finished.
    pub fn is_open(&self) -> bool {
        match self.ended {
            Some((_, End::Completed | End::Stopped(_, 0))) => false,
            Some((_, End::Stopped(..))) | None => true,
        }
    }

    /// Whether it is planned or carried out now, or would be continued.
    pub fn is_unfinished(&self, folder: &RunDir) -> bool {
        if self.is_begun() { self.is_open() } else { folder.is_running() }
    }

    /// How many jobs a continued run would do.
    pub fn left(&self) -> usize {
        let open = |task: &&JobState| {
            matches!(task.state, State::Pending | State::Running | State::Failed { again: true, .. })
        };
        self.all.iter().filter(open).count()
    }

    /// Makes a job's state another, and counts it there. What failed and may be done again is sent
    /// again then.
    pub fn set(&mut self, at: usize, state: State) {
        if let State::Failed { sent: true, .. } = self.all[at].state {
            self.all[at].resent = true;
        }
        let left = self.count(self.all[at].state);
        debug_assert!(*left > 0, "a job is counted where it is not");
        *left = left.saturating_sub(1);
        *self.count(state) += 1;
        self.all[at].state = state;
    }

    fn count(&mut self, state: State) -> &mut usize {
        match state {
            // A failure that is done again is work that is left.
            State::Pending | State::Failed { again: true, .. } => &mut self.counts.pending,
            State::Running => &mut self.counts.running,
            State::Completed => &mut self.counts.completed,
            State::Failed { .. } => &mut self.counts.failed,
            State::Skipped => &mut self.counts.skipped,
        }
    }

    /// What would have failed for any job and did nothing is to be done after all.
    pub fn reopen(&mut self) {
        for at in 0..self.all.len() {
            if let State::Failed { again: true, .. } = self.all[at].state {
                self.set(at, State::Pending);
            }
        }
        self.ended = None;
    }

    /// Takes in what happened.
    pub fn apply(&mut self, event: Event) {
        let at = event.at;
        self.reported = event.counts;
        // A job that the plan does not have is a fault of whoever wrote the journal.
        let index = event.what.job_ref().map(|of| of.number.wrapping_sub(1));
        if index.is_some_and(|index| index >= self.all.len()) {
            return;
        }
        if let Some(index) = index {
            self.all[index].outcome.apply(&event);
        }
        let index = index.unwrap_or(0);
        match event.what {
            RunEvent::RunPlanned { kind, name, settings } => {
                (self.kind, self.name) = (kind, name);
                self.settings = settings.map(|kept| (1, *kept));
            }
            RunEvent::RunStarted {
                kind, name, codex, codex_home, runner, settings, max_concurrent, ..
            } => {
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
                    process: None,
                    asked,
                    is_new,
                    session_reported: false,
                    version,
                    before: rollout_bytes,
                    up: uptime_ms,
                });
                task.of = of;
                self.set(index, State::Running);
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
                self.set(index, State::Completed);
            }
            RunEvent::JobFailed { of, failure, again, continues, .. } => {
                if let (true, Some(session)) = (continues, of.session) {
                    self.all[index].next = NextStart::Continue(session);
                }
                self.all[index].of = of;
                self.all[index].anew |= failure.class == Class::Unrecorded;
                let sent = failure.class.row().sent != Sent::No;
                self.killed |= failure.class == Class::Stopped;
                self.set(index, State::Failed { again, sent });
            }
            // A queue chooses anew what is withdrawn; elsewhere it is there still.
            RunEvent::JobSkipped { withdrawn: true, .. } if self.kind != "queue" => {
                self.set(index, State::Pending)
            }
            RunEvent::JobSkipped { .. } => self.set(index, State::Skipped),
            RunEvent::RunWaiting { .. } => {}
            RunEvent::RunCompleted {} => {
                self.requeue_unended();
                self.ended = Some((at, End::Completed));
            }
            RunEvent::RunStopped { why, left, .. } => {
                self.requeue_unended();
                for job in 0..self.all.len() {
                    if self.all[job].state == State::Running {
                        self.set(job, State::Pending);
                    }
                }
                self.ended = Some((at, End::Stopped(why, left)));
            }
        }
    }
}

impl RunProgress {
    /// A run stops when no job is running. Of a job whose end is not in the journal then, nothing was sent.
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
