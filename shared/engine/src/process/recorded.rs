//! Evidence about an attempt in the rollout of its session, if its output is not enough.
//!
//! Codex prints `thread.started` some 10 to 100 ms before it records the message of the user, and sends nothing before it
//! has recorded the message. So an attempt that was killed in between has a session and has sent nothing. On a full disk
//! the message is sent and not recorded, which Codex reports in its output.

use std::path::Path;

use crate::process::output::Progress;
use crate::record::failure::{Class, Failure, classify};
use codex_agent_shared::codex::refusal::is_spoiled;
use codex_agent_shared::codex::rollout;
use codex_agent_shared::codex::rollout::{Depth, Ending};

/// The trace of an attempt in a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// No rollout, or an empty one.
    None,
    /// A rollout without a message since the start of the attempt.
    Silent,
    /// A message: it may have been sent.
    Message,
    /// The rollout cannot be read.
    Unknown,
}

/// Reads the trace in a rollout that had `before` bytes at the start of the attempt.
pub fn trace(rollout: Option<&Path>, before: Option<u64>) -> Trace {
    let Some(rollout) = rollout else { return Trace::None };
    match (rollout.metadata().map(|meta| meta.len()), before) {
        (Ok(0), _) => Trace::None,
        (Ok(_), Some(before)) => match rollout::has_message_after(rollout, before) {
            Ok(true) => Trace::Message,
            Ok(false) => Trace::Silent,
            Err(_) => Trace::Unknown,
        },
        _ => Trace::Unknown,
    }
}

/// Whether Codex reported that it cannot write the session, so that the rollout proves nothing.
pub fn is_unsaved(progress: &Progress, last_words: &str) -> bool {
    let failed = last_words.contains("failed to record rollout items");
    progress.unsaved || failed || classify(None, last_words) == Some(Class::Disk)
}

/// The failure of a completed turn whose end is missing in the session because the disk was full.
pub fn find_loss(
    rollout: Option<&Path>,
    before: Option<u64>,
    progress: &Progress,
    words: &str,
) -> Option<Failure> {
    let is_full = progress.unsaved || classify(None, words) == Some(Class::Disk);
    let is_complete = |rollout: &Path| {
        let ending = rollout::tail(rollout, true).ok().and_then(|tail| tail.ending);
        trace(Some(rollout), before) == Trace::Message && ending == Some(Ending::Completed)
    };
    // Codex retries the write until it ends, and may have succeeded.
    if !is_full || rollout.is_some_and(is_complete) {
        return None;
    }
    let message = "the turn was completed, but Codex could not write the session: no space left on device";
    Some(Failure::new(Class::Disk, message))
}

/// The failure of an attempt by a Codex that is too old for its session.
pub fn find_damage(rollout: &Path) -> Option<Failure> {
    is_spoiled(rollout).then(|| {
        let message = "a Codex before 0.148 has written to the session of the job, and no later version will resume \
                       the session; no more jobs are started, as they would damage other sessions too";
        Failure::new(Class::Version, message)
    })
}

/// The version of the Codex that began a rollout, by its first line.
pub fn read_creator(rollout: &Path) -> Option<String> {
    rollout::head(rollout, Depth::Start).ok()?.meta.cli_version
}
