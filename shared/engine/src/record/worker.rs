//! The records between a run and its workers on hosts.
//!
//! A worker prints an empty line and [`WorkerHello`], then events. It reads `job` and [`JobStop`] records.

use serde::{Deserialize, Serialize};

use crate::record::event::Codex;

/// The version of the protocol.
pub const PROTOCOL: u32 = 1;

/// The greatest length of a job record for a worker, in bytes.
pub const LONGEST_RECORD: usize = 32 << 20;

/// The first record of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerHello {
    #[serde(rename = "type")]
    record: String,
    /// The version of the protocol. A run does not use a worker of a version that it does not know.
    pub protocol: u32,
    /// The version of codex-agent.
    pub version: String,
    /// The executable of Codex there; its path is null if there is none.
    pub codex: Codex,
    /// The random id of the state directory of codex-agent there. Another id means that what the host knew is lost.
    pub place: String,
    /// The id of the boot; null if unknown.
    pub boot: Option<String>,
    /// The number of processors.
    pub cpus: usize,
}

impl WorkerHello {
    /// The type of the record.
    pub const TYPE: &'static str = "worker.hello";

    /// The greeting of a worker at this place.
    pub fn new(codex: Codex, place: String, boot: Option<String>) -> WorkerHello {
        WorkerHello {
            record: WorkerHello::TYPE.to_owned(),
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            codex,
            place,
            boot,
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// A request to a worker to stop a job. The job ends with an event; of an unknown job the worker says that it was not
/// begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobStop {
    #[serde(rename = "type")]
    record: String,
    /// The run of the job.
    pub run: String,
    /// The host of the job, as the run names it.
    pub host: String,
    /// The id of the job.
    pub id: String,
    /// The number of the attempt, as in the record of the job. An earlier attempt has ended already.
    #[serde(default)]
    pub attempt: u32,
}

impl JobStop {
    /// The type of the record.
    pub const TYPE: &'static str = "job.stop";

    /// A request to stop this job.
    pub fn new(run: &str, host: &str, id: &str, attempt: u32) -> JobStop {
        let [record, run, host, id] = [JobStop::TYPE, run, host, id].map(str::to_owned);
        JobStop { record, run, host, id, attempt }
    }
}
