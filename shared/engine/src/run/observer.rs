//! Observers of a run, while it is going. The journal has it first; a run continues although
//! nobody listens.

use crate::process::preflight::Checker;
use crate::record::event::{Counts, Event, JobRef};
use crate::record::job::Job;
use codex_agent_shared::text::cell;
use codex_agent_shared::time::Timestamp;

/// How much is kept of what a job is about, in columns.
const ABOUT: usize = 200;

/// Hears what happens. All of it is called from the one loop, which waits for it.
pub trait Observer {
    /// Something happened, and is in the journal.
    fn event(&mut self, event: &Event);

    /// Whether it shows what the running jobs are about.
    fn wants_about(&self) -> bool {
        false
    }

    /// Whether it wants every line that Codex prints.
    fn wants_lines(&self) -> bool {
        false
    }

    /// A line that Codex printed for a job: one JSON object, as it stands.
    fn line(&mut self, _run: &str, _of: &JobRef, _line: &[u8]) {}

    /// A line about progress, beside the events.
    fn status(&mut self, text: &str);

    /// A problem after which the run continues, or for which it stops.
    fn warn(&mut self, text: &str);

    /// A look at what runs, some ten times a second.
    fn show_running(&mut self, _counts: Counts, _jobs: &mut dyn Iterator<Item = RunningJob<'_>>) {}
}

/// A job that runs.
#[derive(Clone, Copy, Debug)]
pub struct RunningJob<'g> {
    /// The job.
    pub of: &'g JobRef,
    /// When it was started.
    pub since: Timestamp,
    /// What it is about, in other people's words.
    pub about: &'g str,
    /// What it is doing, in other people's words.
    pub doing: &'g str,
}

/// What a job of a run of this kind is about, in a few words: how its prompt begins; where all of them are sent
/// the same one, what its session is called.
pub fn about(kind: &str, job: &Job, checker: &mut Checker) -> String {
    let is_same = matches!(kind, "group" | "resume");
    let label = job.session.filter(|_| is_same).and_then(|id| checker.label(job.codex_home.as_deref(), id));
    let begins = || job.prompt.trim_start().lines().next().unwrap_or_default();
    cell(label.as_deref().unwrap_or_else(begins), ABOUT)
}
