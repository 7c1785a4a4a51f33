//! Events of jobs and runs: the records that a run writes to its journal and to standard output.
//!
//! An event is a line. Fields are added and never removed, types never change, and a reader skips unknown types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::record::failure::Failure;
use crate::record::job::{Kind, Sandbox};
use crate::record::settings::SavedSettings;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// Tokens, by Codex's names, which depend on its version.
pub type Usage = BTreeMap<String, i64>;

/// The names of [`Usage`] that Codex up to 0.171 has, for the schema. A name that a version does not have is absent.
#[cfg(feature = "schema")]
#[derive(Serialize, schemars::JsonSchema)]
#[allow(dead_code)]
struct Tokens {
    /// The tokens that were sent to the model, those from its cache included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    input_tokens: Option<i64>,
    /// The sent tokens that the model had in its cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    cached_input_tokens: Option<i64>,
    /// The sent tokens that were written into the cache of the model; since 0.145.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    cache_write_input_tokens: Option<i64>,
    /// The tokens that the model wrote, those of its reasoning included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    output_tokens: Option<i64>,
    /// The written tokens that are reasoning; since 0.128.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    reasoning_output_tokens: Option<i64>,
    /// Numbers by other names.
    #[serde(flatten)]
    more: BTreeMap<String, i64>,
}

/// The numbers of jobs by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Jobs that were not begun, or are to be done again.
    pub pending: usize,
    /// Jobs that are running.
    pub running: usize,
    /// Jobs whose turn was completed.
    pub completed: usize,
    /// Jobs that failed.
    pub failed: usize,
    /// Jobs that were skipped.
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

/// The executable of Codex.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Codex {
    /// The absolute path of the executable.
    pub path: Option<String>,
    /// The version that the executable reports; null if unknown.
    pub version: Option<String>,
}

/// The job of an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobRef {
    /// The id of the job in the run.
    pub job: String,
    /// The place of the job in the run, from 1, and the name of its directory.
    pub number: usize,
    /// The number of the Codex process of this job, from 1; 0 if none was started.
    pub attempt: u32,
    /// The id of the session; null if it is not yet known.
    pub session: Option<Id>,
    /// The name of the session; null if it has no name.
    #[serde(default)]
    pub name: Option<String>,
    /// The host that carries out the job; absent for a job of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// A process, with its start time and boot, since process ids are reused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Process {
    /// The id of the process, and of its process group.
    pub pid: i32,
    /// The start time of the process, in clock ticks since boot, or without /proc a number for the second that ps
    /// prints; null if unknown.
    pub start_time: Option<u64>,
    /// The id of the boot; null if unknown.
    pub boot: Option<String>,
}

/// The part of an [`Event`] that differs by its type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type")]
#[allow(missing_docs)] // A test requires the description of each field of a record; a flattened part is no field.
pub enum RunEvent {
    /// A run is planned: the first line of a journal. Nothing has been started yet, and the event is never
    /// printed.
    #[serde(rename = "run.planned")]
    RunPlanned {
        /// The kind of run: new, jobs, once, group, resume, fork or queue.
        kind: String,
        /// The subject of the run, such as the name of a group or queue.
        name: String,
        /// The settings of a queue; null for other runs.
        #[serde(default)]
        settings: Option<Box<SavedSettings>>,
        /// The run whose failed jobs this run does again; null if this run is no retry.
        #[serde(default)]
        retry_of: Option<String>,
    },
    /// A runner begins or continues a run.
    #[serde(rename = "run.started")]
    RunStarted {
        /// The kind of run: new, jobs, once, group, resume, fork or queue.
        kind: String,
        /// The subject of the run, such as the name of a group or queue.
        name: String,
        /// Whether an earlier runner began the run.
        continued: bool,
        /// The number of jobs.
        jobs: usize,
        /// The number of jobs that run at a time.
        max_concurrent: usize,
        /// The executable of Codex.
        codex: Codex,
        /// Codex's home; null means the home of the environment.
        codex_home: Option<String>,
        /// Further options, which also apply when the run is continued.
        #[serde(default)]
        settings: Option<Box<SavedSettings>>,
        /// The run whose failed jobs this run does again; null if this run is no retry.
        #[serde(default)]
        retry_of: Option<String>,
        /// The directory in which the run was begun; absent if unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cwd: Option<String>,
        /// The process of the runner.
        runner: Process,
    },
    /// A runner claims a job.
    #[serde(rename = "job.started")]
    JobStarted {
        #[serde(flatten)]
        of: JobRef,
        /// The working directory of Codex.
        cwd: Option<String>,
        /// The sandbox mode; null means Codex's default.
        sandbox: Option<Sandbox>,
        /// The kind of job that is run; fork, if a job of a busy session runs in a fork.
        #[serde(default)]
        kind: Option<Kind>,
        /// Whether "Continue." is sent instead of the prompt, to the session of an interrupted attempt.
        #[serde(default)]
        continues: bool,
        /// Whether the model may already have received this prompt.
        resent: bool,
        /// The id of the boot; null if unknown.
        boot: Option<String>,
        /// The tokens of the session before this attempt, since Codex reports totals.
        #[cfg_attr(feature = "schema", schemars(with = "Option<Tokens>"))]
        usage_before: Option<Usage>,
        /// The version of Codex, as the executable reports it in the directory of the job; null if unknown.
        #[serde(default)]
        version: Option<String>,
        /// The length of the rollout before this attempt, in bytes; 0 for a new session, null for a
        /// compressed rollout and for a fork.
        #[serde(default)]
        rollout_bytes: Option<u64>,
        /// The time since the boot, in milliseconds; null if unknown.
        #[serde(default)]
        uptime_ms: Option<i64>,
    },
    /// Codex was started.
    #[serde(rename = "job.spawned")]
    JobSpawned {
        #[serde(flatten)]
        of: JobRef,
        #[serde(flatten)]
        process: Process,
    },
    /// The id of the session of a job is known.
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
        /// The last message of the turn; null if there is none, or if it is longer than 4 MiB.
        last_message: Option<String>,
        /// The tokens of this turn, by Codex's names; null if unknown.
        #[cfg_attr(feature = "schema", schemars(with = "Option<Tokens>"))]
        usage: Option<Usage>,
        /// The duration in milliseconds.
        duration_ms: i64,
        /// Whether another runner started the attempt.
        adopted: bool,
    },
    /// An attempt of a job failed.
    #[serde(rename = "job.failed")]
    JobFailed {
        #[serde(flatten)]
        of: JobRef,
        /// The failure.
        failure: Failure,
        /// The exit status of Codex; null if a signal ended it, or if unknown.
        exit_code: Option<i32>,
        /// The signal that ended Codex, or null.
        signal: Option<i32>,
        /// Whether the job is pending again, and is done by this run or by a continued one.
        again: bool,
        /// Whether "Continue." is sent next, to the session of this attempt, instead of the prompt.
        #[serde(default)]
        continues: bool,
        /// The tokens that the turn used before it failed, by Codex's names; null if unknown.
        #[serde(default)]
        #[cfg_attr(feature = "schema", schemars(with = "Option<Tokens>"))]
        usage: Option<Usage>,
    },
    /// A job was skipped.
    #[serde(rename = "job.skipped")]
    JobSkipped {
        #[serde(flatten)]
        of: JobRef,
        /// The reason, for the user.
        why: String,
        /// Whether the prompt was unclaimed, or removed from its queue.
        #[serde(default)]
        withdrawn: bool,
        /// The failure because of which a worker returns the job; absent otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// A job belongs to a host from now on: no other host carries it out, unless this one returns it.
    #[serde(rename = "job.bound")]
    JobBound {
        #[serde(flatten)]
        of: JobRef,
        /// The place of the host: the random id of its state directory.
        place: String,
    },
    /// A host returned a job of which nothing was sent.
    #[serde(rename = "job.returned")]
    JobReturned {
        #[serde(flatten)]
        of: JobRef,
        /// The reason: the class of the failure that prevented the start; see codex-agent-records(5).
        why: String,
        /// The message of the host.
        message: String,
        /// The time when a usage limit of the host resets; null if unknown, and for other reasons.
        until: Option<Timestamp>,
    },
    /// A host is connected.
    #[serde(rename = "host.up")]
    HostUp {
        /// The name of the host.
        host: String,
        /// The version of codex-agent there.
        version: String,
        /// The executable of Codex there.
        codex: Codex,
        /// The place of the host: the random id of its state directory.
        place: String,
        /// The id of its boot; null if unknown.
        boot: Option<String>,
        /// The number of its processors.
        cpus: usize,
    },
    /// The connection to a host ended, or could not be made. The jobs of the host may be running there.
    #[serde(rename = "host.lost")]
    HostLost {
        /// The name of the host.
        host: String,
        /// The reason, for the user.
        why: String,
        /// Whether this runner does not try again.
        given_up: bool,
    },
    /// A run waits.
    #[serde(rename = "run.waiting")]
    RunWaiting {
        /// The reason: usage_limit.
        why: String,
        /// The time before which no job is started; null if unknown.
        until: Option<Timestamp>,
    },
    /// All jobs of a run ended.
    #[serde(rename = "run.completed")]
    RunCompleted {},
    /// A run stopped before all of its jobs ended.
    #[serde(rename = "run.stopped")]
    RunStopped {
        /// The reason: signal, max_failures, paused, failed, queue_gone, deleted, abandoned, trouble, or
        /// the class of a failure that all jobs would have.
        why: String,
        /// The number of jobs that a continued run would do.
        left: usize,
        /// The time when a usage limit resets; null if unknown.
        #[serde(default)]
        until: Option<Timestamp>,
    },
}

impl RunEvent {
    /// The names of all types.
    pub const TYPES: [&'static str; 15] = [
        "run.planned",
        "run.started",
        "job.started",
        "job.spawned",
        "job.session",
        "job.completed",
        "job.failed",
        "job.skipped",
        "job.bound",
        "job.returned",
        "host.up",
        "host.lost",
        "run.waiting",
        "run.completed",
        "run.stopped",
    ];

    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        let tagged = serde_json::to_value(self).unwrap_or_default();
        RunEvent::TYPES.into_iter().find(|name| tagged["type"] == *name).unwrap_or_default()
    }

    /// A job of which nothing was sent, and that a worker gives back because of a failure.
    pub fn returned(of: JobRef, failure: Failure) -> RunEvent {
        let why = failure.message.clone();
        RunEvent::JobSkipped { of, why, withdrawn: true, failure: Some(failure) }
    }

    /// A job that failed without a process of Codex, and is not done again.
    pub fn failed(of: JobRef, failure: Failure) -> RunEvent {
        let (exit_code, signal, usage) = (None, None, None);
        RunEvent::JobFailed { of, failure, exit_code, signal, again: false, continues: false, usage }
    }

    /// Whether the job is pending again, because nothing was sent.
    pub fn is_withdrawal(&self) -> bool {
        matches!(self, RunEvent::JobSkipped { withdrawn: true, .. } | RunEvent::JobReturned { .. })
    }

    /// Whether nothing follows about an attempt of a job.
    pub fn ends_attempt(&self) -> bool {
        matches!(
            self,
            RunEvent::JobCompleted { .. } | RunEvent::JobFailed { .. } | RunEvent::JobSkipped { .. }
        )
    }

    /// The job of the event.
    pub fn job_ref(&self) -> Option<&JobRef> {
        match self {
            RunEvent::JobStarted { of, .. }
            | RunEvent::JobSpawned { of, .. }
            | RunEvent::JobSession { of }
            | RunEvent::JobCompleted { of, .. }
            | RunEvent::JobFailed { of, .. }
            | RunEvent::JobSkipped { of, .. }
            | RunEvent::JobBound { of, .. }
            | RunEvent::JobReturned { of, .. } => Some(of),
            _ => None,
        }
    }
}

/// An event: a line of a journal, or of standard output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// The part that differs by type.
    #[serde(flatten)]
    pub what: RunEvent,
    /// The version of events.
    #[cfg_attr(feature = "schema", schemars(extend("const" = crate::record::job::VERSION)))]
    pub v: u32,
    /// The id of the run.
    pub run: String,
    /// The time of the event.
    pub at: Timestamp,
    /// The numbers of jobs of the run by status, after the event.
    pub counts: Counts,
}

/// An event of Codex. Never in the journal of a run.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobEvent<'e> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The version of events.
    #[cfg_attr(feature = "schema", schemars(extend("const" = crate::record::job::VERSION)))]
    v: u32,
    /// The id of the run.
    run: &'e str,
    /// The time when the event was read.
    pub at: Timestamp,
    #[serde(flatten)]
    of: &'e JobRef,
    /// The event as Codex printed it.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
    pub event: &'e RawValue,
}

impl<'e> JobEvent<'e> {
    /// The type of the record.
    pub const TYPE: &'static str = "job.event";

    /// The record of a line that Codex printed for a job; `None` if the line is not JSON.
    pub fn new(run: &'e str, of: &'e JobRef, line: &'e [u8]) -> Option<JobEvent<'e>> {
        let event = serde_json::from_slice(line).ok()?;
        Some(JobEvent {
            kind: JobEvent::TYPE,
            v: crate::record::job::VERSION,
            run,
            at: Timestamp::now(),
            of,
            event,
        })
    }
}

impl Event {
    /// An event of this moment, without counts.
    pub fn new(run: &str, what: RunEvent) -> Event {
        let counts = Counts::default();
        Event { what, v: crate::record::job::VERSION, run: run.to_owned(), at: Timestamp::now(), counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_parsed_as_they_were_written() {
        let of = JobRef { job: "1".into(), number: 1, attempt: 2, session: None, name: None, host: None };
        let process = Process { pid: 7, start_time: Some(9), boot: None };
        for what in [
            RunEvent::JobSpawned { of: of.clone(), process: process.clone() },
            RunEvent::RunCompleted {},
            RunEvent::RunStopped { why: "signal".into(), left: 3, until: None },
            RunEvent::JobCompleted {
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
            assert!(text.starts_with(&format!("{{\"type\":\"{}\"", event.what.type_name())), "{text}");
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        }
    }
}
