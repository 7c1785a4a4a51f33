//! Observers of a running run. Events are in the journal first; a run does not depend on its observer.

use crate::process::preflight::Checker;
use crate::record::event::{Counts, Event, JobRef};
use crate::record::job::Job;
use codex_agent_shared::text::cell;
use codex_agent_shared::time::Timestamp;

/// The width of the label of a job, in columns.
const ABOUT: usize = 200;

/// Receives the events of a run. The engine's loop calls it and waits for it.
pub trait Observer {
    /// An event, after it was written to the journal.
    fn event(&mut self, event: &Event);

    /// Whether it shows labels of jobs.
    fn wants_about(&self) -> bool {
        false
    }

    /// The label of a job of this run, before the first event of the job, if [`Observer::wants_about`]. Text from outside:
    /// may contain control characters.
    fn label(&mut self, _run: &str, _job: &str, _about: &str) {}

    /// Whether it receives the lines that Codex prints.
    fn wants_lines(&self) -> bool {
        false
    }

    /// A line that Codex printed for a job: one JSON object, unchanged.
    fn line(&mut self, _run: &str, _of: &JobRef, _line: &[u8]) {}

    /// A status line, in addition to the events.
    fn status(&mut self, text: &str);

    /// A status line about a usage limit that lets no job start, in addition to the event `run.waiting`.
    fn wait(&mut self, text: &str) {
        self.status(text);
    }

    /// A problem after which the run continues, or for which it stops.
    fn warn(&mut self, text: &str);

    /// The running jobs, about ten times a second.
    fn show_running(&mut self, _counts: Counts, _jobs: &mut dyn Iterator<Item = RunningJob<'_>>) {}
}

/// A running job.
#[derive(Clone, Copy, Debug)]
pub struct RunningJob<'g> {
    /// The job.
    pub of: &'g JobRef,
    /// The time of its start.
    pub since: Timestamp,
    /// Its label. Text from outside: may contain control characters.
    pub about: &'g str,
    /// Its current action. Text from outside: may contain control characters.
    pub doing: &'g str,
}

/// The label of a job: the first line of its prompt, or the name of its session in a run that sends one prompt
/// to all.
pub fn about(kind: &str, job: &Job, checker: &mut Checker) -> String {
    let is_same = matches!(kind, "group" | "resume");
    let label = job.session.filter(|_| is_same).and_then(|id| checker.label(job.codex_home.as_deref(), id));
    let begins = || job.prompt.trim_start().lines().next().unwrap_or_default();
    cell(label.as_deref().unwrap_or_else(begins), ABOUT)
}
