//! The live view: lines for the running jobs at the bottom of a terminal. They are redrawn in place, and cleared
//! before other output.

use crate::record::event::Counts;
use crate::run::observer::RunningJob;
use crate::show::{WIDE, format_progress, list_counts};
use codex_agent_shared::terminal::{columns, rows};
use codex_agent_shared::text::{cell, width};
use codex_agent_shared::time::Timestamp;

/// The lines on the screen.
#[derive(Default)]
pub(super) struct Live {
    drawn: Vec<String>,
    lines: Vec<String>,
    /// The line that is shown while no job is running.
    idle: String,
}

impl Live {
    /// Sets the line that is shown while no job is running.
    pub(super) fn set_idle_line(&mut self, text: &str) {
        text.clone_into(&mut self.idle);
    }

    /// Sets the lines: one for each job, as many as fit, and one for the totals. `label` returns the label of a job.
    pub(super) fn update(
        &mut self,
        counts: Counts,
        jobs: &mut dyn Iterator<Item = RunningJob<'_>>,
        label: &mut dyn FnMut(&str) -> String,
    ) {
        let (wide, now) = (columns().saturating_sub(1), Timestamp::now());
        // At most half of the window, so that past events stay visible.
        let most = (rows() / 2).saturating_sub(1).clamp(1, 20);
        self.lines.clear();
        let mut jobs: Vec<RunningJob<'_>> = jobs.collect();
        // Sorted by number, so that no line moves when another job ends.
        jobs.sort_by_key(|job| job.of.number);
        let more = jobs.len().saturating_sub(most);
        // Aligned with the columns of past events.
        let blank = " ".repeat(format_progress(counts).len());
        for job in jobs.iter().take(most) {
            let id = job.of.session.map(|id| id.short()).unwrap_or_default();
            let (name, since) = (label(&job.of.job), job.since.countdown(now));
            let start = match wide >= WIDE {
                true => format!("{blank} {name:>3} running   {id:8} {since:>6}  "),
                false => format!("{blank} {name:>3} {since:>9} "),
            };
            let line = format!("{start}{}", describe_job(job, wide.saturating_sub(width(&start))));
            self.lines.push(line.trim_end().to_owned());
        }
        if self.lines.is_empty() {
            self.lines.extend(Some(cell(&self.idle, wide)).filter(|idle| !idle.is_empty()));
            return;
        }
        let Counts { pending, running, completed, failed, skipped } = counts;
        let totals = list_counts(&[
            (running, "running"),
            (pending, "pending"),
            (completed, "completed"),
            (failed, "failed"),
            (skipped, "skipped"),
            (more, "not shown"),
        ]);
        self.lines.push(cell(&totals, wide));
    }

    /// The bytes that clear the lines.
    pub(super) fn clear(&mut self) -> String {
        match std::mem::take(&mut self.drawn).len() {
            0 => String::new(),
            lines => format!("\r\x1b[{lines}A\x1b[J"),
        }
    }

    /// The bytes that draw the lines, if they changed.
    pub(super) fn draw(&mut self) -> String {
        if self.drawn == self.lines {
            return String::new();
        }
        let mut bytes = self.clear();
        for line in &self.lines {
            bytes.push_str(line);
            bytes.push('\n');
        }
        self.drawn.clone_from(&self.lines);
        bytes
    }
}

/// The least width at which both label and action of a job are shown.
const BOTH: usize = 30;

/// The label and the action of a job. Each has half of the width, and the part that the other does not use.
fn describe_job(job: &RunningJob<'_>, most: usize) -> String {
    let (about, doing) = (cell(job.about, most), cell(job.doing, most));
    if about.is_empty() || doing.is_empty() || most < BOTH {
        return if about.is_empty() { doing } else { about };
    }
    let left = most.saturating_sub(2);
    let about = cell(&about, left.saturating_sub(width(&doing)).max(left / 2));
    let doing = cell(&doing, left - width(&about));
    format!("{about}  {doing}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::JobRef;

    fn described(about: &str, doing: &str, most: usize) -> String {
        let of = JobRef { job: "1".into(), number: 1, attempt: 1, session: None, name: None };
        describe_job(&RunningJob { of: &of, since: Timestamp(0), about, doing }, most)
    }

    #[test]
    fn label_and_action_share_the_width() {
        assert_eq!(described("mend the parser", "", 9), "mend the…");
        assert_eq!(described("mend it", "$ cargo test", 40), "mend it  $ cargo test");
        let long = "mend the parser, and the printer";
        assert_eq!(described(long, "$ ls", 30), "mend the parser, and th…  $ ls");
        assert_eq!(described(long, "$ cargo test --all", 30), "mend the pars…  $ cargo test …");
        assert_eq!(described(long, "$ ls", 29), "mend the parser, and the pri…");
        assert_eq!(described("", "$ cargo test", 7), "$ carg…");
        assert_eq!(described("a", "b", 0), "");
    }
}
