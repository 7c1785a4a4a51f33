//! What happens to jobs and runs: the records that a run writes to its journal and to standard
//! output.
//!
//! One event is one line. Fields are only ever added, types are for ever, and a reader passes over
//! types that it does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::job::{Kind, Sandbox};
use super::settings::Kept;
use crate::record::Id;
use crate::time::Timestamp;

/// Tokens, by Codex's names for them. Which ones there are depends on the version.
pub type Usage = BTreeMap<String, i64>;

/// How many jobs are how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Counts {
    pub pending: usize,
    pub running: usize,
    pub completed: usize,
    pub failed: usize,
    pub skipped: usize,
}

/// The Codex that runs the jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Codex {
    /// The executable, absolute.
    pub path: Option<String>,
    /// What it says its version is.
    pub version: Option<String>,
}

/// The job that an event is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Of {
    /// Its id.
    pub job: String,
    /// Its place in the run, from 1: the name of its folder.
    pub number: usize,
    /// Which process for it, from 1; 0 where there was none yet.
    pub attempt: u32,
    /// Its session, if that is known.
    pub session: Option<Id>,
    /// The session's name.
    #[serde(default)]
    pub name: Option<String>,
}

/// A process, so that nobody who has its number by now is taken for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number, and that of its group.
    pub pid: i32,
    /// When it was started, in the system's ticks since boot; `None` where the system does not say.
    pub start_time: Option<u64>,
    /// The boot that it belongs to.
    pub boot: Option<String>,
}

/// An event, without what all events have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
#[allow(missing_docs)] // codex-agent-records(5) tells each field.
pub enum What {
    #[serde(rename = "run.planned")]
    RunPlanned { kind: String, name: String },
    #[serde(rename = "run.started")]
    RunStarted {
        kind: String,
        name: String,
        /// Whether an earlier runner began it.
        continued: bool,
        jobs: usize,
        max_concurrent: usize,
        codex: Codex,
        codex_home: Option<String>,
        #[serde(default)]
        settings: Option<Box<Kept>>,
        runner: Process,
    },
    #[serde(rename = "job.started")]
    JobStarted {
        #[serde(flatten)]
        of: Of,
        cwd: Option<String>,
        /// The mode that Codex is given; `None` leaves it to Codex.
        sandbox: Option<Sandbox>,
        /// What is done; a resumed job may have become one in a fork.
        #[serde(default)]
        kind: Option<Kind>,
        /// Whether "Continue." is sent instead of the prompt, to the session of an attempt that was cut off.
        #[serde(default)]
        continues: bool,
        /// Whether the model has seen this prompt before.
        resent: bool,
        boot: Option<String>,
        /// What the session had used before, as Codex counts in totals.
        usage_before: Option<Usage>,
    },
    #[serde(rename = "job.spawned")]
    JobSpawned {
        #[serde(flatten)]
        of: Of,
        #[serde(flatten)]
        process: Process,
    },
    #[serde(rename = "job.session")]
    JobSession {
        #[serde(flatten)]
        of: Of,
    },
    #[serde(rename = "job.completed")]
    JobCompleted {
        #[serde(flatten)]
        of: Of,
        last_message: Option<String>,
        /// Of this turn alone; `None` where that cannot be told.
        usage: Option<Usage>,
        duration_ms: i64,
        /// Whether the runner that saw its end is not the one that started it.
        adopted: bool,
    },
    #[serde(rename = "job.failed")]
    JobFailed {
        #[serde(flatten)]
        of: Of,
        failure: Failure,
        exit_code: Option<i32>,
        signal: Option<i32>,
        /// Whether a continued run does it again.
        again: bool,
        /// Whether "Continue." is sent then, to the session of this attempt, instead of the prompt.
        #[serde(default)]
        continues: bool,
    },
    #[serde(rename = "job.skipped")]
    JobSkipped {
        #[serde(flatten)]
        of: Of,
        why: String,
        /// Whether it was taken out of its queue, or is to be chosen there anew.
        #[serde(default)]
        withdrawn: bool,
    },
    #[serde(rename = "run.waiting")]
    RunWaiting {
        why: String,
        /// Until when nothing is started.
        until: Option<Timestamp>,
    },
    #[serde(rename = "run.completed")]
    RunCompleted {},
    #[serde(rename = "run.stopped")]
    RunStopped {
        why: String,
        left: usize,
        /// When a usage limit is over, if Codex said so.
        #[serde(default)]
        until: Option<Timestamp>,
    },
}

impl What {
    /// The names of all types.
    pub const WORDS: [&'static str; 11] = [
        "run.planned",
        "run.started",
        "job.started",
        "job.spawned",
        "job.session",
        "job.completed",
        "job.failed",
        "job.skipped",
        "run.waiting",
        "run.completed",
        "run.stopped",
    ];

    /// The name of its type.
    pub fn word(&self) -> &'static str {
        match self {
            What::RunPlanned { .. } => "run.planned",
            What::RunStarted { .. } => "run.started",
            What::JobStarted { .. } => "job.started",
            What::JobSpawned { .. } => "job.spawned",
            What::JobSession { .. } => "job.session",
            What::JobCompleted { .. } => "job.completed",
            What::JobFailed { .. } => "job.failed",
            What::JobSkipped { .. } => "job.skipped",
            What::RunWaiting { .. } => "run.waiting",
            What::RunCompleted {} => "run.completed",
            What::RunStopped { .. } => "run.stopped",
        }
    }

    /// The job that it is about.
    pub fn of(&self) -> Option<&Of> {
        match self {
            What::JobStarted { of, .. }
            | What::JobSpawned { of, .. }
            | What::JobSession { of }
            | What::JobCompleted { of, .. }
            | What::JobFailed { of, .. }
            | What::JobSkipped { of, .. } => Some(of),
            What::RunPlanned { .. }
            | What::RunStarted { .. }
            | What::RunWaiting { .. }
            | What::RunCompleted {}
            | What::RunStopped { .. } => None,
        }
    }
}

/// One line of a journal, or of standard output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    #[serde(flatten)]
    pub what: What,
    /// The version of the journal.
    pub v: u32,
    /// The run.
    pub run: String,
    /// When.
    pub at: Timestamp,
    /// How many jobs are how far, after it.
    pub counts: Counts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let of = Of { job: "1".into(), number: 1, attempt: 2, session: None, name: None };
        let process = Process { pid: 7, start_time: Some(9), boot: None };
        for what in [
            What::JobSpawned { of: of.clone(), process: process.clone() },
            What::RunCompleted {},
            What::RunStopped { why: "signal".into(), left: 3, until: None },
            What::JobCompleted {
                of,
                last_message: Some("a\nb".into()),
                usage: Some(Usage::from([("input_tokens".to_owned(), 5)])),
                duration_ms: 12,
                adopted: false,
            },
        ] {
            let event = Event {
                what,
                v: 1,
                run: "r".into(),
                at: Timestamp(1_795_344_606_020),
                counts: Counts::default(),
            };
            let text = serde_json::to_string(&event).unwrap();
            assert!(text.starts_with(&format!("{{\"type\":\"{}\"", event.what.word())), "{text}");
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        }
    }
}
