//! Planning a run: jobs are written one by one into the journal of a new directory, and none is started before
//! all are written.
//!
//! A run that cannot begin is removed.
//!
//! **Crash.** A crash may leave a directory whose journal has no `run.started`: no job was started, no command
//! lists the run, and `prune` removes it.

use std::collections::HashSet;

use crate::disk::journal::{Journal, LineSpan};
use crate::disk::progress::RunProgress;
use crate::disk::run_dir::RunDir;
use crate::record::event::{Event, RunEvent};
use crate::record::job::Job;
use crate::record::settings::Settings;
use crate::run::engine::{RunEnd, supervise};
use crate::run::feed::PlannedJobs;
use crate::run::observer::Observer;
use codex_agent_shared::error::{Error, Result};

/// A run that is being planned. Its directory is created with the first job.
pub struct Plan {
    made: Option<(RunDir, Journal)>,
    tasks: RunProgress,
    ids: HashSet<String>,
}

impl Plan {
    /// A plan without jobs. `kind` and `name` become part of the directory's name.
    pub fn new(kind: &str, name: &str, codex_home: Option<String>) -> Plan {
        Plan { made: None, tasks: RunProgress::new(kind, name, codex_home), ids: HashSet::new() }
    }

    /// The same plan, for a run that does failed jobs of this run again. Call it before a job is added.
    pub fn retrying(mut self, run: &str) -> Plan {
        self.tasks.retry_of = Some(run.to_owned());
        self
    }

    /// Adds a job. A job without an id gets its number as id.
    pub fn add(&mut self, job: Job) -> Result<()> {
        let job = self.name(job)?;
        self.add_named(job)
    }

    /// Adds a job that [`Plan::name`] returned.
    pub fn add_named(&mut self, mut job: Job) -> Result<()> {
        if self.made.is_none() {
            let (dir, mut journal) = RunDir::create(&self.tasks.kind, &self.tasks.name)?;
            let what = RunEvent::RunPlanned {
                kind: self.tasks.kind.clone(),
                name: self.tasks.name.clone(),
                settings: None,
                retry_of: self.tasks.retry_of.clone(),
            };
            journal.append(&Event::new(dir.name(), what), false)?;
            self.made = Some((dir, journal));
        }
        let Some((dir, journal)) = &mut self.made else { return Ok(()) };
        job.run = Some(dir.name().to_owned());
        let place = journal.append(&job, false)?;
        self.tasks.add(&job, place);
        Ok(())
    }

    /// Validates a job and sets its id, without adding it.
    pub fn name(&mut self, job: Job) -> Result<Job> {
        let mut job = job.validate()?;
        if job.id.is_empty() {
            // The user may have given this number to another job.
            let free = (self.ids.len() + 1..).map(|number| number.to_string());
            job.id = free.into_iter().find(|id| !self.ids.contains(id)).unwrap_or_default();
        }
        if !self.ids.insert(job.id.clone()) {
            return Err(Error::new(format!("two jobs of the run have the id '{}'", job.id)));
        }
        Ok(job)
    }

    /// The kind of run.
    pub fn kind(&self) -> &str {
        &self.tasks.kind
    }

    /// The number of jobs.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the plan has no jobs.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Removes the plan: no job was started.
    pub fn discard(self) {
        if let Some((dir, _journal)) = self.made {
            // Leftovers are pruned later.
            let _ = dir.remove();
        }
    }

    /// The directory, if a job was added.
    pub fn dir(&self) -> Option<&RunDir> {
        self.made.as_ref().map(|(dir, _)| dir)
    }

    /// The run without its jobs having been started, and its locked journal; `None` if no job was added.
    pub fn open(self) -> Option<(RunDir, Journal, RunProgress)> {
        let Plan { made, tasks, .. } = self;
        made.map(|(dir, journal)| (dir, journal, tasks))
    }

    /// The places of the jobs in the journal.
    pub fn places(&self) -> impl Iterator<Item = (&str, LineSpan)> {
        self.tasks.all.iter().map(|job| (job.of.job.as_str(), job.place))
    }

    /// Runs the jobs.
    pub fn run(mut self, settings: Settings, listener: &mut dyn Observer) -> Result<RunEnd> {
        let Some((dir, journal)) = self.made else {
            return Ok(RunEnd::Completed { failed: 0, interrupted: 0, killed: false });
        };
        let mut feed = PlannedJobs::default();
        supervise(&dir, journal, &mut self.tasks, settings, &mut feed, listener).map_err(|error| {
            if RunProgress::read(&dir).map_or(true, |tasks| tasks.is_begun()) {
                return error;
            }
            // A run that never began is neither listed nor continued.
            let _ = dir.remove();
            error.hint("nothing was started")
        })
    }
}
