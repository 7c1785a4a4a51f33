//! The end of a run: its last line, with the command to type next, and the exit status.

use crate::disk::run_dir::RunDir;
use crate::run::engine::RunEnd;
use codex_agent_shared::error::{Exit, warn};
use codex_agent_shared::text::counted;
use codex_agent_shared::time::Timestamp;

/// The commands that a user may type after a run.
#[derive(Clone, Debug)]
pub struct NextCommands {
    /// Continues the run.
    pub resume: String,
    /// Does its failed jobs again.
    pub retry: String,
    /// Prints its answers.
    pub answers: String,
}

impl NextCommands {
    /// The commands for a run, except that of a queue. They name the run, since they may be typed after other runs.
    pub fn for_run(dir: &RunDir) -> NextCommands {
        let name = dir.short_name();
        NextCommands {
            resume: format!("codex-agent run continue {name}"),
            retry: format!("codex-agent run retry {name}"),
            answers: format!("codex-agent run log {name} --answers"),
        }
    }

    /// The commands for the run of a queue, whose name is quoted.
    pub fn for_queue(name: &str) -> NextCommands {
        NextCommands {
            resume: format!("codex-agent queue run {name}"),
            retry: format!("codex-agent queue retry {name} --failed"),
            answers: format!("codex-agent queue log {name} --answers"),
        }
    }

    fn is_of_queue(&self) -> bool {
        self.resume.contains(" queue run ")
    }
}

/// A number of jobs: `1 job`, `2 jobs`.
pub fn count_jobs(jobs: usize) -> String {
    counted(jobs, "job")
}

/// The command that continues a run, except that of a queue.
pub fn continue_command(dir: &RunDir) -> String {
    format!("codex-agent run continue {}", dir.short_name())
}

/// Prints how a run ended and what to type next, and returns the exit status. `log` is the command that prints events
/// that were not printed, if any.
pub fn report_end(ended: &RunEnd, next: &NextCommands, log: Option<&str>) -> Exit {
    let log = log.map_or_else(String::new, |log| format!("; '{log}' prints why"));
    let retry = &next.retry;
    match ended {
        RunEnd::Completed { failed: 0, killed, .. } => {
            if *killed {
                Exit::Interrupted
            } else {
                Exit::Done
            }
        }
        RunEnd::Completed { failed, interrupted, killed } => {
            let verb = if next.is_of_queue() { "requeues" } else { "retries" };
            let them = if *failed == 1 { "it" } else { "them" };
            let others = failed - interrupted;
            let retries = format!("'{retry}' {verb} {them}");
            warn(match (others, interrupted) {
                (_, 0) => format!("{} failed; {retries}{log}", count_jobs(*failed)),
                (0, _) if next.is_of_queue() => {
                    format!("{} {} interrupted; {retries}{log}", count_jobs(*failed), was(*failed))
                }
                (0, _) => {
                    let (jobs, was, resume) = (count_jobs(*failed), was(*failed), &next.resume);
                    let (sessions, prompts) = match failed {
                        1 => ("its session", "its prompt"),
                        _ => ("their sessions", "their prompts"),
                    };
                    format!(
                        "{jobs} {was} interrupted; '{resume} --interrupted continue' continues {sessions}, '{retry}' \
                         sends {prompts} again{log}"
                    )
                }
                _ => {
                    let (others, was) = (count_jobs(others), was(*interrupted));
                    format!("{others} failed and {interrupted} {was} interrupted; {retries}{log}")
                }
            });
            if *killed { Exit::Interrupted } else { Exit::Negative }
        }
        RunEnd::Stopped { why, left, until, killed } => {
            let (left, resume) = (count_jobs(*left), &next.resume);
            let until = until.map_or_else(String::new, |until| describe_until(until, Timestamp::now()));
            warn(format_args!("stopped ({why}{until}), {left} left; '{resume}' continues the run{log}"));
            if *killed { Exit::Interrupted } else { Exit::WorkLeft }
        }
        RunEnd::Left { running } => {
            let running = count_jobs(*running);
            let resume = &next.resume;
            warn(format_args!("{running} may still be running; '{resume}' continues the run"));
            Exit::Interrupted
        }
    }
}

/// The outcomes of the jobs of `--once` whose records were given.
#[derive(Debug, Default)]
pub struct GivenEnds {
    /// The number of failed jobs.
    pub failed: usize,
    /// The number of jobs without an outcome.
    pub left: usize,
    /// Why no more jobs were started, and when the usage limit resets.
    pub stopped: Option<(String, Option<Timestamp>)>,
    /// Whether jobs were killed because of a request to stop.
    pub killed: bool,
}

/// Prints how the jobs of `--once` ended, and returns the exit status. The logs of these runs have the failed jobs.
pub fn report_given(ends: &GivenEnds, logs: &[RunDir]) -> Exit {
    let GivenEnds { failed, left, stopped, killed } = ends;
    if *failed > 0 {
        let log = match logs {
            [only] => format!("; 'codex-agent run log {}' prints why", only.short_name()),
            _ => String::new(),
        };
        warn(format!("{} failed{log}", count_jobs(*failed)));
    }
    if *left > 0 {
        let (why, until) = stopped.clone().unwrap_or_else(|| ("signal".to_owned(), None));
        let until = until.map_or_else(String::new, |until| describe_until(until, Timestamp::now()));
        let (jobs, them) = (count_jobs(*left), if *left == 1 { "it" } else { "them" });
        warn(format_args!("stopped ({why}{until}), {jobs} left; the same command starts {them} later"));
    }
    match (killed, left, failed) {
        (true, ..) => Exit::Interrupted,
        (false, 0, 0) => Exit::Done,
        (false, 0, _) => Exit::Negative,
        (false, ..) => Exit::WorkLeft,
    }
}

fn was(count: usize) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

/// ` until 11:22 (in 14m03s)`, without the brackets if the time is past.
pub(super) fn describe_until(until: Timestamp, now: Timestamp) -> String {
    match until > now {
        true => format!(" until {} (in {})", until.clock(), until.countdown(now)),
        false => format!(" until {}", until.clock()),
    }
}
