//! The live view: lines for the running jobs at the bottom of a terminal. They are redrawn in place, and cleared
//! before other output.

use crate::record::event::Counts;
use crate::run::observer::RunningJob;
use crate::show::end::describe_until;
use crate::show::row::{Row, most, running_state};
use crate::show::{format_progress, list_counts};
use codex_agent_shared::terminal::{Look, columns, line, rows};
use codex_agent_shared::text::{cell, width};
use codex_agent_shared::time::Timestamp;

/// A line on the screen, and its width.
type Drawn = (String, usize);

/// The lines on the screen.
#[derive(Default)]
pub(super) struct Live {
    drawn: Vec<Drawn>,
    lines: Vec<Drawn>,
    /// The line that is shown while no job is running.
    idle: String,
    /// The time until which a usage limit lets no job start.
    limited: Option<Timestamp>,
}

impl Live {
    /// Sets the line that is shown while no job is running.
    pub(super) fn set_idle_line(&mut self, text: &str) {
        text.clone_into(&mut self.idle);
    }

    /// Sets the time until which a usage limit lets no job start; `None` if there is no limit.
    pub(super) fn set_limited(&mut self, until: Option<Timestamp>) {
        self.limited = until;
    }

    /// Sets the lines: one for each job, as many as fit, and one for the totals. `label` returns the number of a job.
    pub(super) fn update(
        &mut self,
        counts: Counts,
        jobs: &mut dyn Iterator<Item = RunningJob<'_>>,
        color: bool,
        label: &mut dyn FnMut(&str) -> String,
    ) {
        let (wide, now) = (most(), Timestamp::now());
        // At most half of the window, so that past events stay visible.
        let shown = (rows() / 2).saturating_sub(1).clamp(1, 20);
        self.lines.clear();
        let mut jobs: Vec<RunningJob<'_>> = jobs.collect();
        // Sorted by number, so that no line moves when another job ends.
        jobs.sort_by_key(|job| job.of.number);
        let more = jobs.len().saturating_sub(shown);
        // Aligned with the columns of past events.
        let place = " ".repeat(format_progress(counts).len());
        for job in jobs.iter().take(shown) {
            let id = job.of.session.map(|id| id.short()).unwrap_or_default();
            let since = job.since.countdown(now);
            let row = Row {
                place: &place,
                number: &label(&job.of.job),
                state: &running_state(&since),
                look: Some(Look::Running),
                session: &id,
                duration: &since,
                label: job.about,
                text: job.doing,
                is_path: false,
            };
            self.lines.push((row.line(color), width(&row.line(false))));
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
        let (text, look) = match (self.limited, self.lines.is_empty()) {
            (Some(until), _) => {
                let totals = if totals.is_empty() { totals } else { format!("; {totals}") };
                // The time has come, and the limit is tried again in a moment.
                let until = if until > now { describe_until(until, now) } else { String::new() };
                (format!("limited{until}{totals}"), Look::Limited)
            }
            (None, true) => (self.idle.clone(), Look::Plain),
            (None, false) => (totals, Look::Plain),
        };
        let text = cell(&text, wide);
        if !text.is_empty() {
            self.lines.push((line(&[(text.as_str(), look, 0)], color), width(&text)));
        }
    }

    /// The bytes that clear the lines. After the window became narrower, a line may have several rows.
    pub(super) fn clear(&mut self) -> String {
        let wide = columns().max(1);
        let rows: usize =
            std::mem::take(&mut self.drawn).iter().map(|(_, used)| used.div_ceil(wide).max(1)).sum();
        if rows == 0 { String::new() } else { format!("\r\x1b[{rows}A\x1b[J") }
    }

    /// The bytes that draw the lines, if they changed.
    pub(super) fn draw(&mut self) -> String {
        if self.drawn == self.lines {
            return String::new();
        }
        let mut bytes = self.clear();
        for (line, _) in &self.lines {
            bytes.push_str(line);
            bytes.push('\n');
        }
        self.drawn.clone_from(&self.lines);
        bytes
    }
}
