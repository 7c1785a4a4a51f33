//! How a run is shown: lines of events, and lines that are redrawn.

pub mod events;
mod live;

use crate::record::event::Counts;

/// A narrower terminal has no room for a session and a time beside the text.
const WIDE: usize = 50;

/// How many jobs are done, and of how many; as wide whatever the first of them is.
fn done(counts: Counts) -> String {
    let done = counts.completed + counts.failed + counts.skipped;
    let all = done + counts.running + counts.pending;
    format!("[{done:>wide$}/{all}]", wide = all.to_string().len())
}

/// Whether there is room for all columns.
fn is_wide(most: usize) -> bool {
    most >= WIDE
}
