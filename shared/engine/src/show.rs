//! Printing runs: lines of events, and lines that are redrawn.

pub mod end;
pub mod events;
mod live;
pub mod records;
mod row;
mod tally;

use crate::record::event::Counts;

/// The number of ended jobs and of all jobs, such as `[ 3/12]`. The width depends only on the number of all jobs.
fn format_progress(counts: Counts) -> String {
    let ended = counts.completed + counts.failed + counts.skipped;
    let all = ended + counts.running + counts.pending;
    format!("[{ended:>wide$}/{all}]", wide = all.to_string().len())
}

/// A list of the counts that are not zero, such as `2 completed, 1 failed`.
pub fn list_counts(counts: &[(usize, &str)]) -> String {
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    counts.map(|(count, name)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}
