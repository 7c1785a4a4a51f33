//! The overview on a terminal: limits, runs, queues and failures, and the commands to type next.

use std::collections::HashSet;

use codex_agent_engine::commands::manage;
use codex_agent_engine::commands::retry::FailedRun;
use codex_agent_engine::queue::{RunnerState, Status};
use codex_agent_engine::run::usage_limit::ActiveLimit;
use codex_agent_engine::show::list_counts;
use codex_agent_engine::{Counts, RunDir};
use codex_agent_shared::error::Result;
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::terminal::{Cell, Cut, Look, Table};
use codex_agent_shared::text::{counted, quoted};
use codex_agent_shared::time::Timestamp;

use super::Item;

/// A command to type next, and what it does.
type Next = (String, String);

/// The rows of the overview.
pub(super) struct Overview {
    rows: Vec<[Cell; 5]>,
    next: Vec<Next>,
}

impl Overview {
    pub(super) fn new(items: &[Item], failed: &[FailedRun], now: Timestamp) -> Overview {
        let mut overview = Overview { rows: Vec::new(), next: Vec::new() };
        let queue_run = |item: &Item| match item {
            Item::Queue(queue, _) => queue.run.clone(),
            _ => None,
        };
        let of_queues: HashSet<String> = items.iter().filter_map(queue_run).collect();
        let mut has_unfinished = false;
        for item in items {
            match item {
                Item::Limit(limit) => overview.add_limit(limit, now),
                // The row of the queue shows the same.
                Item::Run(dir, _) if of_queues.contains(dir.name()) => {}
                Item::Run(dir, tasks) => {
                    let Counts { pending, running, failed, .. } = tasks.reported_counts();
                    let state = manage::run_state(dir, tasks);
                    let left = list_counts(&[(pending + running, "left"), (failed, "failed")]);
                    let began = tasks.started_at.map(|at| format!("since {}", at.clock()));
                    overview.add("run", Cell::with_cut(dir.name(), Cut::Front), state, left, began);
                    overview.next.push(match state {
                        "running" => {
                            (format!("codex-agent run watch {}", dir.name()), "follows the run".to_owned())
                        }
                        _ if has_unfinished => (
                            format!("codex-agent run continue {}", dir.name()),
                            "continues the run".to_owned(),
                        ),
                        _ => {
                            has_unfinished = true;
                            ("codex-agent run continue".to_owned(), "continues the run".to_owned())
                        }
                    });
                }
                Item::Queue(queue, runner) => {
                    let is_next = |status: Status, is_due: bool| is_due || status == Status::Running;
                    let next = queue.prompts.iter().find(|prompt| is_next(prompt.status, prompt.is_due()));
                    let (due, counts) = (queue.count_due(), queue.counts());
                    let left = list_counts(&[(due + counts.running, "left"), (counts.failed, "failed")]);
                    let text = next.map(|prompt| prompt.prompt.clone());
                    overview.add("queue", queue.name.as_str().into(), queue.state(*runner), left, text);
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
        for (at, run) in failed.iter().enumerate() {
            overview.add_failed(run, at == 0);
        }
        overview
    }

    fn add(&mut self, what: &str, name: Cell, state: &str, left: String, last: Option<String>) {
        let last = last.unwrap_or_default();
        self.rows.push([what.into(), name, Cell::state(state), left.into(), last.into()]);
    }

    fn add_limit(&mut self, limit: &ActiveLimit, now: Timestamp) {
        let (state, look) = match limit.is_over(now) {
            true => ("over", Look::Waiting),
            false => ("limited", Look::Limited),
        };
        let window = |minutes: i64| match minutes {
            ..60 => format!("{minutes}m"),
            60..1440 => format!("{}h", minutes / 60),
            _ => format!("{}d", minutes / 1440),
        };
        let used = limit.windows.iter().filter_map(|of| Some((window(of.minutes?), of.used_percent)));
        let used: Vec<String> = used.map(|(window, percent)| format!("{window} {percent:.0}%")).collect();
        let name = Cell::with_cut(limit.codex_home.as_str(), Cut::Front);
        let until = limit.describe_until(now);
        self.rows.push([
            "limit".into(),
            name,
            Cell::with_look(state, look),
            used.join(", ").into(),
            until.into(),
        ]);
    }

    fn add_failed(&mut self, run: &FailedRun, is_newest: bool) {
        let FailedRun { dir, progress, jobs } = run;
        let interrupted = jobs.iter().filter(|at| progress.all[**at].is_interrupted()).count();
        let others = jobs.len() - interrupted;
        let (state, look) = match others {
            0 => ("interrupted", Look::Interrupted),
            _ => ("failed", Look::Failed),
        };
        let left = list_counts(&[(others, "failed"), (interrupted, "interrupted")]);
        let ended =
            progress.ended.as_ref().map(|(at, _)| format!("ended {}", at.clock())).unwrap_or_default();
        let name = Cell::with_cut(dir.name(), Cut::Front);
        self.rows.push(["run".into(), name, Cell::with_look(state, look), left.into(), ended.into()]);
        let named = |verb: &str| match is_newest {
            true => format!("codex-agent run {verb}"),
            false => format!("codex-agent run {verb} {}", RunDir::name(dir)),
        };
        self.next.push((named("retry"), format!("does {} again", counted(jobs.len(), "failed job"))));
        if interrupted > 0 {
            let command = format!("codex-agent run continue {} --interrupted continue", dir.name());
            self.next.push((command, format!("continues {}", counted(interrupted, "interrupted session"))));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn write(self, output: &mut Output, color: bool) -> Result<()> {
        let mut table = Table::new()
            .column("WHAT", Look::Dim)
            .column("NAME", Look::Id)
            .gives_way(2, 10)
            .column("STATE", Look::Plain)
            .column("JOBS", Look::Plain)
            .column("WHEN, OR NEXT PROMPT", Look::Plain)
            .gives_way(1, 10);
        self.rows.into_iter().for_each(|row| table.row(row));
        table.write(output, color)?;
        if self.next.is_empty() {
            return Ok(());
        }
        output.text(b"", b"\n")?;
        let mut table = Table::new().column("NEXT COMMAND", Look::Bold).column("", Look::Dim).optional(1, 12);
        self.next.into_iter().for_each(|(command, what)| table.row([command, what]));
        table.write(output, color)
    }
}
