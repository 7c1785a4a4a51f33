//! The live view: the lines below the last row of a terminal that say what runs now. They are drawn
//! over each other, and taken away before anything else is printed.

use crate::run::Counts;
use crate::run::listen::Glimpse;
use crate::terminal::{columns, rows};
use crate::text::{cell, width};
use crate::time::Timestamp;

/// The lines that stand there now.
#[derive(Default)]
pub(super) struct Live {
    drawn: Vec<String>,
    wanted: Vec<String>,
}

impl Live {
    /// What is to stand there: a line for each job, as many as there is room for, and one for all.
    pub(super) fn see(&mut self, counts: Counts, jobs: &mut dyn Iterator<Item = Glimpse<'_>>) {
        let (wide, now) = (columns().saturating_sub(1), Timestamp::now());
        // Half of the window at most: what was done is of interest too.
        let most = (rows() / 2).saturating_sub(1).clamp(1, 20);
        self.wanted.clear();
        let mut more = 0;
        for job in jobs {
            if self.wanted.len() == most {
                more += 1;
                continue;
            }
            let id = job.of.session.map(|id| id.short()).unwrap_or_default();
            let since = job.since.countdown(now);
            let start = format!("{:>7} running   {id:8} {since:>6}  ", super::events::short(&job.of.job));
            let line = format!("{start}{}", cell(job.doing, wide.saturating_sub(width(&start))));
            self.wanted.push(line.trim_end().to_owned());
        }
        if self.wanted.is_empty() {
            return;
        }
        let Counts { pending, running, completed, failed, skipped } = counts;
        let parts = [
            (running, "running"),
            (pending, "to come"),
            (completed, "completed"),
            (failed, "failed"),
            (skipped, "skipped"),
        ];
        let mut parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if more > 0 {
            parts.push(format!("{more} not shown"));
        }
        self.wanted.push(cell(&parts.join(", "), wide));
    }

    /// The bytes that take the lines away.
    pub(super) fn clear(&mut self) -> String {
        match std::mem::take(&mut self.drawn).len() {
            0 => String::new(),
            lines => format!("\r\x1b[{lines}A\x1b[J"),
        }
    }

    /// The bytes that draw what is to stand there, if it does not yet.
    pub(super) fn draw(&mut self) -> String {
        if self.drawn == self.wanted {
            return String::new();
        }
        let mut bytes = self.clear();
        for line in &self.wanted {
            bytes.push_str(line);
            bytes.push('\n');
        }
        self.drawn.clone_from(&self.wanted);
        bytes
    }
}
