//! The jobs of a run and how far each is, told from its journal.
//!
//! A prompt is not kept in memory: a job is read from its place in the journal when it is started.

use super::event::{Codex, Counts, Event, Of, Process, Usage, What};
use super::failure::Sent;
use super::folder::Folder;
use super::job::Job;
use super::journal::{self, Entry, Place};
use crate::error::Result;
use crate::record::Id;
use crate::time::Timestamp;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was not started, or nothing came of it.
    Pending,
    /// It was started, and nobody has said how it ended.
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
    /// It was passed over.
    Skipped,
}

/// The last start of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// When.
    pub at: Timestamp,
    /// In which boot.
    pub boot: Option<String>,
    /// What its session had used before.
    pub usage_before: Option<Usage>,
    /// The process, if it came so far.
    pub process: Option<Process>,
}

/// A job of a run.
#[derive(Debug)]
pub struct Task {
    /// Where its plan is.
    pub place: Place,
    /// Its id, number, last attempt, session and name.
    pub of: Of,
    /// The session that it resumes.
    pub asked: Option<Id>,
    /// Its Codex home.
    pub home: Option<String>,
    /// How far it is.
    pub state: State,
    /// Whether the model may have seen the prompt before.
    pub resent: bool,
    /// Its last start.
    pub start: Option<Start>,
}

/// How a run ended that has ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// All is done.
    Completed,
    /// There is work left, and why.
    Stopped(String),
}

/// A run as its journal tells it.
#[derive(Debug, Default)]
pub struct Tasks {
    /// The jobs, in the order in which they are started.
    pub all: Vec<Task>,
    /// How many are how far.
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
}

impl Tasks {
    /// A plan that is being made.
    pub fn new(kind: &str, name: &str, codex_home: Option<String>) -> Tasks {
        Tasks { kind: kind.to_owned(), name: name.to_owned(), codex_home, ..Tasks::default() }
    }

    /// Adds a job that was put into the journal.
    pub fn add(&mut self, job: &Job, place: Place) {
        let of = Of {
            job: job.id.clone(),
            number: self.all.len() + 1,
            attempt: 0,
            session: job.asked(),
            name: None,
        };
        self.counts.pending += 1;
        self.all.push(Task {
            place,
            of,
            asked: job.asked(),
            home: job.codex_home.clone(),
            state: State::Pending,
            resent: false,
            start: None,
        });
    }

    /// Reads the journal of a run.
    pub fn read(folder: &Folder) -> Result<Tasks> {
        let mut tasks = Tasks::default();
        journal::read(&folder.journal(), |entry| {
            match entry {
                Entry::Job(job, place) => tasks.add(&job, place),
                Entry::Event(event) => tasks.apply(*event),
            }
            Ok(())
        })?;
        Ok(tasks)
    }

    /// Whether the plan was whole and begun.
    pub fn is_begun(&self) -> bool {
        self.started_at.is_some()
    }

    /// Whether there is something to do: a finished run has its failures, and is finished.
    pub fn is_open(&self) -> bool {
        !matches!(self.ended, Some((_, End::Completed))) && (self.left() > 0 || self.ended.is_none())
    }

    /// How many jobs a continued run would do.
    pub fn left(&self) -> usize {
        let open = |task: &&Task| {
            matches!(task.state, State::Pending | State::Running | State::Failed { again: true, .. })
        };
        self.all.iter().filter(open).count()
    }

    /// Makes a job's state another, and counts it there.
    pub fn set(&mut self, at: usize, state: State) {
        *self.count(self.all[at].state) -= 1;
        *self.count(state) += 1;
        self.all[at].state = state;
    }

    fn count(&mut self, state: State) -> &mut usize {
        match state {
            State::Pending => &mut self.counts.pending,
            State::Running => &mut self.counts.running,
            State::Completed => &mut self.counts.completed,
            State::Failed { .. } => &mut self.counts.failed,
            State::Skipped => &mut self.counts.skipped,
        }
    }

    /// What would have failed for any job and did nothing is to be done after all.
    pub fn take_up_again(&mut self) {
        for at in 0..self.all.len() {
            if let State::Failed { again: true, sent } = self.all[at].state {
                self.set(at, State::Pending);
                self.all[at].resent |= sent;
            }
        }
        self.ended = None;
    }

    fn apply(&mut self, event: Event) {
        let at = event.at;
        // A job that the plan does not have is a fault of whoever wrote the journal.
        let index = event.what.of().map(|of| of.number.wrapping_sub(1));
        if index.is_some_and(|index| index >= self.all.len()) {
            return;
        }
        let index = index.unwrap_or(0);
        match event.what {
            What::RunStarted { kind, name, codex, codex_home, runner, .. } => {
                self.started_at.get_or_insert(at);
                self.ended = None;
                (self.kind, self.name, self.codex, self.codex_home) = (kind, name, codex, codex_home);
                self.runner = Some(runner);
            }
            What::JobStarted { of, boot, usage_before, resent, .. } => {
                let task = &mut self.all[index];
                task.resent = resent;
                task.start = Some(Start { at, boot, usage_before, process: None });
                task.of = of;
                self.set(index, State::Running);
            }
            What::JobSpawned { process, .. } => {
                if let Some(start) = &mut self.all[index].start {
                    start.process = Some(process);
                }
            }
            What::JobSession { of } => self.all[index].of = of,
            What::JobCompleted { of, .. } => {
                self.all[index].of = of;
                self.set(index, State::Completed);
            }
            What::JobFailed { of, failure, again, .. } => {
                self.all[index].of = of;
                let sent = failure.class.row().sent != Sent::No;
                self.set(index, State::Failed { again, sent });
            }
            What::JobSkipped { .. } => self.set(index, State::Skipped),
            What::RunCompleted {} => self.ended = Some((at, End::Completed)),
            What::RunStopped { why, .. } => self.ended = Some((at, End::Stopped(why))),
        }
    }
}
