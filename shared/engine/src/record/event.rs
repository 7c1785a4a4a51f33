//! What happens to jobs and runs: the records that a run writes to its journal and to standard
//! output.
//!
//! One event is one line. Fields are only ever added, types are for ever, and a reader passes over
//! types that it does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::failure::Failure;
use crate::record::job::{Kind, Sandbox};
use crate::record::settings::SavedSettings;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// Tokens, by Codex's names for them. Which ones there are depends on the version.
pub type Usage = BTreeMap<String, i64>;

/// How many jobs are how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Not begun, or to be done again.
    pub pending: usize,
    /// Under way.
    pub running: usize,
    /// Whose turn was completed.
    pub completed: usize,
    /// That ended in another way.
    pub failed: usize,
    /// That were passed over.
    pub skipped: usize,
}

impl std::ops::Add for Counts {
    type Output = Counts;

    fn add(self, other: Counts) -> Counts {
        Counts {
            pending: self.pending + other.pending,
            running: self.running + other.running,
            completed: self.completed + other.completed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// The Codex that runs the jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Codex {
    /// The executable, absolute.
    pub path: Option<String>,
    /// What it says its version is; null where it does not.
    pub version: Option<String>,
}

/// The job that an event is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobRef {
    /// The job: its name in the run.
    pub job: String,
    /// The place of the job in the run, from 1: the name of its folder.
    pub number: usize,
    /// Which process of Codex it is for this job, from 1; 0 where none was started.
    pub attempt: u32,
    /// The id of the session, once it is known.
    pub session: Option<Id>,
    /// The name of the session; null where it has none.
    #[serde(default)]
    pub name: Option<String>,
}

/// A process, so that nobody who has its number by now is taken for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Process {
    /// The number of the process, and of its group.
    pub pid: i32,
    /// When it was started, in the system's ticks since boot; null where the system does not say.
    pub start_time: Option<u64>,
    /// The boot that it belongs to; null where the system does not say.
    pub boot: Option<String>,
}

/// An event, without what all events have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type")]
#[allow(missing_docs)] // The parts that are flattened; a test wants a word about all fields of a record.
pub enum What {
    /// A run is planned: the first line of a journal, which is never printed. Nothing has happened yet.
    #[serde(rename = "run.planned")]
    RunPlanned {
        /// What the run does: new, jobs, group, resume, fork or queue.
        kind: String,
        /// What it is about.
        name: String,
        /// What a queue was told, before anything of it is begun; null for others.
        #[serde(default)]
        settings: Option<Box<SavedSettings>>,
    },
    /// A runner begins with a run.
    #[serde(rename = "run.started")]
    RunStarted {
        /// What the run does: new, jobs, group, resume, fork or queue.
        kind: String,
        /// What it is about.
        name: String,
        /// Whether an earlier runner began it.
        continued: bool,
        /// How many jobs it has.
        jobs: usize,
        /// How many of them are carried out at once.
        max_concurrent: usize,
        /// The Codex that carries them out.
        codex: Codex,
        /// The Codex home; null is that of the environment.
        codex_home: Option<String>,
        /// What else the run was told, which holds for whoever continues it.
        #[serde(default)]
        settings: Option<Box<SavedSettings>>,
        /// The process that has the run.
        runner: Process,
    },
    /// A job is claimed.
    #[serde(rename = "job.started")]
    JobStarted {
        #[serde(flatten)]
        of: JobRef,
        /// Where Codex works.
        cwd: Option<String>,
        /// The mode that Codex is given; null leaves it to Codex.
        sandbox: Option<Sandbox>,
        /// What is done; a job of a busy session may go on in a fork.
        #[serde(default)]
        kind: Option<Kind>,
        /// Whether "Continue." is sent instead of the prompt, to the session of an attempt that was cut off.
        #[serde(default)]
        continues: bool,
        /// Whether the model may have seen this prompt before.
        resent: bool,
        /// The boot that this belongs to; null where the system does not say.
        boot: Option<String>,
        /// What the session had used before, since Codex counts in totals.
        usage_before: Option<Usage>,
        /// The version of Codex that runs this attempt, as the executable says in the directory of the job; null
        /// where it says none.
        #[serde(default)]
        version: Option<String>,
        /// How long the rollout of the session was before, in bytes; 0 for a new session, null where the rollout is
        /// compressed, and for a fork.
        #[serde(default)]
        rollout_bytes: Option<u64>,
        /// When, in milliseconds since the boot; null where the system does not say.
        #[serde(default)]
        uptime_ms: Option<i64>,
    },
    /// Codex runs.
    #[serde(rename = "job.spawned")]
    JobSpawned {
        #[serde(flatten)]
        of: JobRef,
        #[serde(flatten)]
        process: Process,
    },
    /// The session of a job is known.
    #[serde(rename = "job.session")]
    JobSession {
        #[serde(flatten)]
        of: JobRef,
    },
    /// The turn of a job was completed.
    #[serde(rename = "job.completed")]
    JobCompleted {
        #[serde(flatten)]
        of: JobRef,
        /// The last message of the turn; null where it is longer than 4 MiB, or there is none.
        last_message: Option<String>,
        /// The tokens of this turn alone, by Codex's names; null where that cannot be told.
        usage: Option<Usage>,
        /// How long it took, in milliseconds.
        duration_ms: i64,
        /// Whether the runner that saw its end is not the one that started it.
        adopted: bool,
    },
    /// A job failed, for good or for now.
    #[serde(rename = "job.failed")]
    JobFailed {
        #[serde(flatten)]
        of: JobRef,
        /// What failed.
        failure: Failure,
        /// How Codex ended; null where a signal ended it, and where nobody saw it.
        exit_code: Option<i32>,
        /// The signal that ended Codex; null where none did.
        signal: Option<i32>,
        /// Whether it is done again, by this run or by who continues it.
        again: bool,
        /// Whether "Continue." is sent then, to the session of this attempt, instead of the prompt.
        #[serde(default)]
        continues: bool,
    },
    /// A job was passed over.
    #[serde(rename = "job.skipped")]
    JobSkipped {
        #[serde(flatten)]
        of: JobRef,
        /// Why, for people.
        why: String,
        /// Whether it was taken out of its queue, or is to be chosen there anew.
        #[serde(default)]
        withdrawn: bool,
    },
    /// A run waits.
    #[serde(rename = "run.waiting")]
    RunWaiting {
        /// For what: the end of a usage_limit.
        why: String,
        /// Before this nothing is started; null where nobody knows.
        until: Option<Timestamp>,
    },
    /// Every job of a run has ended.
    #[serde(rename = "run.completed")]
    RunCompleted {},
    /// A run was ended before all of its jobs.
    #[serde(rename = "run.stopped")]
    RunStopped {
        /// Why: signal, max_failures, paused, failed, queue_gone, deleted, abandoned, or the class of a failure
        /// that any job would meet.
        why: String,
        /// How many jobs a continued run would do.
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
    pub fn of(&self) -> Option<&JobRef> {
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// What happened.
    #[serde(flatten)]
    pub what: What,
    /// The version of events.
    #[cfg_attr(feature = "schema", schemars(extend("const" = crate::record::job::VERSION)))]
    pub v: u32,
    /// The run.
    pub run: String,
    /// When.
    pub at: Timestamp,
    /// How many jobs of the run are how far, after it.
    pub counts: Counts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let of = JobRef { job: "1".into(), number: 1, attempt: 2, session: None, name: None };
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
