//! Who hears what happens in a run, while it happens. The journal has it first; a run goes on although
//! nobody listens.

use super::event::{Counts, Event, Of};
use crate::time::Timestamp;

/// Hears what happens. All of it is called from the one loop, which waits for it.
pub trait Listener {
    /// Something happened, and is in the journal.
    fn event(&mut self, event: &Event);

    /// Whether it wants every line that Codex prints.
    fn wants_lines(&self) -> bool {
        false
    }

    /// A line that Codex printed for a job: one JSON object, as it stands.
    fn line(&mut self, _run: &str, _of: &Of, _line: &[u8]) {}

    /// Something for people, beside the events.
    fn say(&mut self, text: &str);

    /// A look at what runs, some ten times a second.
    fn look(&mut self, _counts: Counts, _jobs: &mut dyn Iterator<Item = Glimpse<'_>>) {}
}

/// A job that runs.
#[derive(Clone, Copy, Debug)]
pub struct Glimpse<'g> {
    /// The job.
    pub of: &'g Of,
    /// When it was started.
    pub since: Timestamp,
    /// What it is doing, in other people's words.
    pub doing: &'g str,
}
