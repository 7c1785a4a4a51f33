//! A failed attempt, as the engine handles it.

use std::process::ExitStatus;

use crate::record::event::Usage;
use crate::record::failure::Failure;

/// A failed attempt.
#[derive(Clone)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    /// Whether a continued run reruns the job.
    pub(super) again: bool,
    pub(super) exit: Option<ExitStatus>,
    /// The tokens that the host of the job reported.
    pub(super) usage: Option<Usage>,
}

impl Failed {
    /// A failure without an exit status of Codex. The job is rerun if all jobs would fail in the same way.
    pub(super) fn without_exit(failure: Failure) -> Failed {
        Failed { again: failure.class.row().stops_run, failure, exit: None, usage: None }
    }
}
