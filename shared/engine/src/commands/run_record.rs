//! The records of runs and of usage limits.

use serde::Serialize;

use crate::disk::progress::{End, RunProgress, WORKER};
use crate::disk::run_dir::RunDir;
use crate::record::event::{Codex, Counts};
use crate::run::usage_limit::ActiveLimit;
use codex_agent_shared::time::Timestamp;

/// A run of jobs.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunRecord<'r> {
    #[serde(rename = "type")]
    kind_of_record: &'static str,
    /// The id of the run, which is the name of its directory.
    id: &'r str,
    /// The kind of run: new (prompts), jobs (job records), once (job records with --once), or the tool that
    /// started it: group, resume, fork or queue.
    kind: &'r str,
    /// The subject of the run, such as the name of a group or queue, or the run in the job records of --once.
    name: &'r str,
    /// The time when the run started; null if it is only planned.
    started_at: Option<Timestamp>,
    /// The time when the run ended; null if it has not ended.
    ended_at: Option<Timestamp>,
    /// The state of the run: running, finished, stopped (with pending jobs), or dead (its runner was
    /// killed).
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["running", "finished", "stopped", "dead"])))]
    state: &'static str,
    /// The numbers of jobs by status.
    counts: Counts,
    /// The executable of Codex.
    codex: &'r Codex,
    /// Codex's home; null means the home of the environment.
    codex_home: Option<&'r str>,
    /// The run whose failed jobs this run does again; null if this run is no retry.
    retry_of: Option<&'r str>,
}

/// A usage limit that was reached.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LimitRecord<'l> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    closed: &'l ActiveLimit,
}

impl<'l> LimitRecord<'l> {
    /// The record of a limit.
    pub fn new(closed: &'l ActiveLimit) -> LimitRecord<'l> {
        LimitRecord { kind: "limit", closed }
    }
}

/// The state of a run, as in the record.
pub fn run_state(dir: &RunDir, tasks: &RunProgress) -> &'static str {
    match &tasks.ended {
        _ if dir.is_running() => "running",
        Some((_, End::Completed)) => "finished",
        Some((_, End::Stopped(..))) => "stopped",
        // A worker ends with its connection.
        None if tasks.kind == WORKER && tasks.counts.running == 0 => "finished",
        None => "dead",
    }
}

/// The state of a run in a table: as in the record, and `failed` or `interrupted` for a finished run with such jobs.
pub fn state_word(dir: &RunDir, tasks: &RunProgress) -> &'static str {
    let counts = tasks.reported_counts();
    match run_state(dir, tasks) {
        "finished" if counts.failed == 0 => "finished",
        "finished" if tasks.count_interrupted() >= counts.failed => "interrupted",
        "finished" => "failed",
        other => other,
    }
}

/// The record of a run.
pub fn describe_run<'r>(dir: &'r RunDir, tasks: &'r RunProgress) -> RunRecord<'r> {
    RunRecord {
        kind_of_record: "run",
        id: dir.name(),
        kind: &tasks.kind,
        name: &tasks.name,
        started_at: tasks.started_at,
        ended_at: tasks.ended.as_ref().map(|(at, _)| *at),
        state: run_state(dir, tasks),
        counts: tasks.reported_counts(),
        codex: &tasks.codex,
        codex_home: tasks.codex_home.as_deref(),
        retry_of: tasks.retry_of.as_deref(),
    }
}
