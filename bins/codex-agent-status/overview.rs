//! The overview on a terminal: limits, runs, queues and failures, and the commands to type next.

use std::collections::HashSet;

use codex_agent_engine::commands::manage;
use codex_agent_engine::commands::retry::FailedRun;
use codex_agent_engine::queue::{RunnerState, Status};
use codex_agent_engine::run::usage_limit::ActiveLimit;
use codex_agent_engine::show::list_counts;
use codex_agent_engine::{Counts, RunDir};
use codex_agent_shared::codex::limits::SeenLimit;
use codex_agent_shared::error::Result;
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::terminal::{Cell, Cut, Look, Table, columns, line, painted};
use codex_agent_shared::text::{cell, counted, quoted, width};
use codex_agent_shared::time::Timestamp;

use super::Item;

/// A command to type next, and what it does.
type Next = (String, String);

/// The greatest width that the details need: those that are longer are prompts, which may be cut.
const DETAILS: usize = 36;
/// The least width of a name.
const NAME: usize = 14;
/// The least width of a name on a narrow terminal: that of the short name of a run.
const SHORTEST: usize = 6;
/// The indentation of a line below another one.
const INDENT: usize = 4;

/// A limit, run or queue.
struct Row {
    what: &'static str,
    name: String,
    cut: Cut,
    state: (String, Look),
    jobs: String,
    details: String,
}

/// The length of a window.
fn window(minutes: i64) -> String {
    match minutes {
        ..60 => format!("{minutes}m"),
        60..1440 => format!("{}h", minutes / 60),
        _ => format!("{}d", minutes / 1440),
    }
}

/// The rows of the overview.
pub(super) struct Overview {
    rows: Vec<Row>,
    next: Vec<Next>,
}

impl Overview {
    pub(super) fn new(items: &[Item], failed: &[FailedRun], seen: &[SeenLimit], now: Timestamp) -> Overview {
        let mut overview = Overview { rows: Vec::new(), next: Vec::new() };
        overview.add_seen(seen, now);
        let all = RunDir::all().unwrap_or_default();
        let queue_run = |item: &Item| match item {
            Item::Queue(queue, _) => queue.run.clone(),
            _ => None,
        };
        let of_queues: HashSet<String> = items.iter().filter_map(queue_run).collect();
        for item in items {
            match item {
                Item::Limit(limit) => overview.add_limit(limit, now),
                // The row of the queue shows the same.
                Item::Run(dir, _) if of_queues.contains(dir.name()) => {}
                Item::Run(dir, tasks) => {
                    let Counts { pending, running, failed, .. } = tasks.reported_counts();
                    let state = manage::run_state(dir, tasks);
                    let interrupted = tasks.count_interrupted().min(failed);
                    let left = list_counts(&[
                        (pending + running, "left"),
                        (failed - interrupted, "failed"),
                        (interrupted, "interrupted"),
                    ]);
                    let began = tasks.started_at.map(|at| format!("since {}", at.clock()));
                    overview.add("run", dir.name(), Cut::Front, state, left, began);
                    let name = dir.short_name_among(&all);
                    overview.next.push(match state {
                        "running" => (format!("codex-agent run watch {name}"), "follows the run".to_owned()),
                        _ => (format!("codex-agent run continue {name}"), "continues the run".to_owned()),
                    });
                }
                Item::Queue(queue, runner) => {
                    let is_next = |status: Status, is_due: bool| is_due || status == Status::Running;
                    let next = queue.prompts.iter().find(|prompt| is_next(prompt.status, prompt.is_due()));
                    let (due, counts) = (queue.count_due(), queue.counts());
                    let left = list_counts(&[(due + counts.running, "left"), (counts.failed, "failed")]);
                    let text = next.map(|prompt| match prompt.status {
                        Status::Running => format!("sends: {}", prompt.prompt),
                        _ => format!("next: {}", prompt.prompt),
                    });
                    overview.add("queue", &queue.name, Cut::Back, queue.state(*runner), left, text);
                    let name = quoted(&queue.name);
                    if *runner == RunnerState::Running {
                        overview.next.push((
                            format!("codex-agent queue watch {name}"),
                            "follows the queue".to_owned(),
                        ));
                    } else if queue.paused {
                        overview.next.push((
                            format!("codex-agent queue unpause {name}"),
                            "resumes the queue".to_owned(),
                        ));
                    } else if due > 0 || *runner == RunnerState::Dead {
                        let what = format!("sends {}", counted(due, "prompt"));
                        overview.next.push((format!("codex-agent queue run {name}"), what));
                    }
                    if counts.failed > 0 {
                        let what = format!("requeues {}", counted(counts.failed, "failed prompt"));
                        overview.next.push((format!("codex-agent queue retry {name} --failed"), what));
                    }
                }
            }
        }
        let is_shown =
            |dir: &RunDir| items.iter().any(|item| matches!(item, Item::Run(shown, _) if shown == dir));
        for run in failed {
            // A stopped run may have failed jobs too.
            if !is_shown(&run.dir) {
                overview.add_failed(run);
            }
            overview.add_retry(run, &all);
        }
        overview
    }

    fn add(
        &mut self,
        what: &'static str,
        name: &str,
        cut: Cut,
        state: &str,
        jobs: String,
        details: Option<String>,
    ) {
        let state = (state.to_owned(), Look::of_state(state).unwrap_or(Look::Plain));
        let details = details.unwrap_or_default();
        self.rows.push(Row { what, name: name.to_owned(), cut, state, jobs, details });
    }

    fn add_limit(&mut self, limit: &ActiveLimit, now: Timestamp) {
        let (state, look) = match limit.is_over(now) {
            true => ("over", Look::Waiting),
            false => ("limited", Look::Limited),
        };
        let used = limit.windows.iter().filter_map(|of| Some((window(of.minutes?), of.used_percent)));
        let used: Vec<String> = used.map(|(window, percent)| format!("{window} {percent:.0}%")).collect();
        self.rows.push(Row {
            what: "limit",
            name: limit.codex_home.clone(),
            cut: Cut::Front,
            state: (state.to_owned(), look),
            jobs: used.join(", "),
            details: limit.describe_until(now),
        });
    }

    /// Adds a row for the windows of each limit of each plan.
    fn add_seen(&mut self, seen: &[SeenLimit], now: Timestamp) {
        for windows in seen.chunk_by(|a, b| (&a.plan, &a.limit) == (&b.plan, &b.limit)) {
            let used = windows.iter().map(|one| {
                let others = one.others.iter().map(|other| format!(" or {other:.0}%")).collect::<String>();
                format!("{} {:.0}%{others}", one.minutes.map(window).unwrap_or_default(), one.used_percent)
            });
            let name = windows[0].name.as_ref().or(windows[0].limit.as_ref());
            let parts = [name.cloned(), windows[0].plan.clone()];
            let newest = windows.iter().map(|one| one.seen_at).max().unwrap_or(now);
            self.rows.push(Row {
                what: "limit",
                name: parts.into_iter().flatten().collect::<Vec<_>>().join(" "),
                cut: Cut::Back,
                state: ("seen".to_owned(), Look::Dim),
                jobs: used.map(|text| text.trim().to_owned()).collect::<Vec<_>>().join(", "),
                details: newest.ago(now),
            });
        }
    }

    fn add_failed(&mut self, run: &FailedRun) {
        let FailedRun { dir, progress, jobs } = run;
        let interrupted = jobs.iter().filter(|at| progress.all[**at].is_interrupted()).count();
        let others = jobs.len() - interrupted;
        let state = if others == 0 { "interrupted" } else { "failed" };
        let left = list_counts(&[(others, "failed"), (interrupted, "interrupted")]);
        let ended = progress.ended.as_ref().map(|(at, _)| format!("ended {}", at.clock()));
        self.add("run", dir.name(), Cut::Front, state, left, ended);
    }

    fn add_retry(&mut self, run: &FailedRun, all: &[RunDir]) {
        let FailedRun { dir, progress, jobs } = run;
        let (name, interrupted) =
            (dir.short_name_among(all), jobs.iter().filter(|at| progress.all[**at].is_interrupted()).count());
        let kind = if interrupted == jobs.len() { "interrupted job" } else { "failed job" };
        let what = format!("does {} again", counted(jobs.len(), kind));
        self.next.push((format!("codex-agent run retry {name}"), what));
        if interrupted > 0 {
            let command = format!("codex-agent run continue {name} --interrupted continue");
            self.next.push((command, format!("continues {}", counted(interrupted, "interrupted session"))));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn write(self, output: &mut Output, color: bool) -> Result<()> {
        let mut lines = self.table(columns(), color);
        if !self.next.is_empty() {
            lines.push(String::new());
            lines.extend(self.commands(columns(), color));
        }
        lines.iter().try_for_each(|line| output.text(line.as_bytes(), b"\n"))
    }

    /// A line for each row. Where a time would be cut, the details are in lines below.
    fn table(&self, most: usize, color: bool) -> Vec<String> {
        let widest =
            |of: &dyn Fn(&Row) -> &str| self.rows.iter().map(|row| width(of(row))).max().unwrap_or(0);
        let name = widest(&|row| &row.name).min(NAME);
        let (state, jobs) = (widest(&|row| &row.state.0), widest(&|row| &row.jobs));
        let details = widest(&|row| &row.details).min(DETAILS);
        let has_column = "limit".len() + name + state + jobs + details + 4 * 2 <= most;
        let mut table = Table::new()
            .column("WHAT", Look::Dim)
            .column("NAME", Look::Id)
            .gives_way(2, if has_column { NAME } else { SHORTEST })
            .column("STATE", Look::Plain)
            .column("JOBS", Look::Plain);
        if has_column {
            table = table.column("DETAILS", Look::Plain).gives_way(1, DETAILS);
        }
        for Row { what, name, cut, state, jobs, details } in &self.rows {
            let cells: [Cell; 4] = [
                (*what).into(),
                Cell::with_cut(name.as_str(), *cut),
                Cell::with_look(state.0.as_str(), state.1),
                jobs.as_str().into(),
            ];
            table.row(cells.into_iter().chain(has_column.then(|| details.as_str().into())));
        }
        let mut lines = table.lines(most, color);
        if !has_column {
            // The first line is the heading.
            for (at, row) in self.rows.iter().enumerate().rev().filter(|(_, row)| !row.details.is_empty()) {
                let details = cell(&row.details, most.saturating_sub(INDENT));
                lines.insert(at + 2, format!("{}{details}", " ".repeat(INDENT)));
            }
        }
        lines
    }

    /// The commands to type next, never cut. Where there is no room beside them, their purposes are in lines below.
    fn commands(&self, most: usize, color: bool) -> Vec<String> {
        let widest =
            |of: &dyn Fn(&Next) -> &str| self.next.iter().map(|next| width(of(next))).max().unwrap_or(0);
        let (command, purpose) = (widest(&|next| &next.0), widest(&|next| &next.1));
        let is_beside = command + 2 + purpose <= most;
        let mut lines = vec![painted("NEXT COMMAND", Look::Bold, color)];
        for (text, what) in &self.next {
            if is_beside {
                lines.push(line(&[(text, Look::Bold, command), (what, Look::Dim, 0)], color));
            } else {
                lines.push(painted(text, Look::Bold, color));
                lines.push(format!("{}{}", " ".repeat(INDENT), painted(what, Look::Dim, color)));
            }
        }
        lines
    }
}
