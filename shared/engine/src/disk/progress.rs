//! The state of a run and its jobs, read from its journal.
//!
//! Prompts are not kept in memory: a job is read from its place in the journal when it is started. If two plans
//! have one id, they are the same job, and the later plan counts: a queue plans a prompt anew in this way. An
//! interrupted job that was to send "Continue." does so after a crash too, unless its prompt was changed
//! meanwhile.

use std::collections::{HashMap, HashSet};

use crate::disk::journal::{Entry, JournalReader, LineSpan};
use crate::disk::run_dir::RunDir;
use crate::record::event::{Codex, Counts, Event, JobRef, Process, RunEvent};
use crate::record::failure::{Class, Sent};
use crate::record::job::{Job, Kind, Status};
use crate::record::settings::{Interrupted, SavedSettings};
use codex_agent_shared::error::Result;
use codex_agent_shared::time::Timestamp;
use job::hash;

mod job;

pub use job::{Binding, JobOutcome, JobState, NextStart, Start, State};

/// The kind of runs of `--once`.
pub const ONCE: &str = "once";

/// The kind of the run of a worker, whose jobs are those of a run of another machine.
pub const WORKER: &str = "worker";

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
        task.wanted_host.clone_from(&job.host);
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

    /// Whether the run has jobs of `--once`: it starts no job whose record is not given.
    pub fn is_once(&self) -> bool {
        self.kind == ONCE
    }

    /// Makes jobs of `--once` pending that this run did not start. Their records are given again.
    pub fn reoffer(&mut self, given: &HashSet<String>) {
        for at in 0..self.all.len() {
            let job = &self.all[at];
            if job.state == State::Skipped && !job.has_ended() && given.contains(&job.of.job) {
                self.set_state(at, State::Pending);
            }
        }
    }

    /// Whether a continued run would do something. A finished run with failures is finished.
    pub fn is_open(&self) -> bool {
        // The pending jobs of a worker are those of another run, which gives them to it again.
        if self.kind == WORKER {
            return self.counts.running > 0;
        }
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
        if self.kind == WORKER {
            return self.counts.running;
        }
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
        self.begin(codex);
    }

    /// Begins or continues the run with this Codex, and leaves its jobs as they are.
    pub fn begin(&mut self, codex: Codex) {
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

    /// The ids of the jobs that were interrupted.
    pub fn interrupted_jobs(&self) -> HashSet<String> {
        self.all.iter().filter(|job| job.is_interrupted()).map(|job| job.of.job.clone()).collect()
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
                if let Some(binding) = &mut task.binding {
                    binding.is_begun = true;
                }
                self.set_state(index, State::Running);
            }
            RunEvent::JobBound { of, place } => {
                let task = &mut self.all[index];
                let host = of.host.clone().unwrap_or_default();
                task.binding = Some(Binding { host, place, is_begun: false });
                task.of = of;
                self.set_state(index, State::Running);
            }
            RunEvent::JobReturned { .. } => self.unbind(index),
            RunEvent::HostUp { .. } | RunEvent::HostLost { .. } => {}
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
                (self.all[index].of, self.all[index].binding) = (of, None);
                self.set_state(index, State::Completed);
            }
            RunEvent::JobFailed { of, failure, again, continues, .. } => {
                if let (true, Some(session)) = (continues, of.session) {
                    self.all[index].next = NextStart::Continue(session);
                }
                (self.all[index].of, self.all[index].binding) = (of, None);
                self.all[index].anew |= failure.class == Class::Unrecorded;
                let sent = failure.class.row().sent != Sent::No;
                self.killed |= failure.class == Class::Stopped;
                self.set_state(index, State::Failed { again, sent });
            }
            // An unclaimed job of a plan stays planned.
            RunEvent::JobSkipped { withdrawn: true, .. } if !self.all[index].arrived && !self.is_once() => {
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
                    // The host of a bound job may have sent its prompt.
                    if self.all[job].state == State::Running && self.all[job].binding.is_none() {
                        self.set_state(job, State::Pending);
                    }
                }
                self.ended = Some((at, End::Stopped(why, left)));
            }
        }
    }
}

impl RunProgress {
    /// Makes a job pending that its host returned: nothing was sent.
    pub fn unbind(&mut self, at: usize) {
        let task = &mut self.all[at];
        task.release();
        let state = if task.arrived { State::Skipped } else { State::Pending };
        self.set_state(at, state);
    }

    /// A run stops when no job is running, so nothing was sent for a job without an end in the journal.
    fn requeue_unended(&mut self) {
        let jobs = self.all.iter_mut().filter(|job| job.binding.is_none());
        jobs.map(|job| &mut job.outcome)
            .filter(|outcome| outcome.is_claimed || outcome.status == Status::Running)
            .for_each(JobOutcome::requeue);
    }
}
