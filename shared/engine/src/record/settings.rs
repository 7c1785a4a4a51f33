//! The settings of a run. They are saved in its journal, and apply to a continued run unless flags set others. The
//! action for interrupted jobs is not saved.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::options::Options;
use codex_agent_shared::choice::Choice;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::host::Host;
use codex_agent_shared::time::parse_duration;

/// The time limits of an attempt.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// From start to end.
    pub timeout: Option<Duration>,
    /// Without an event of Codex.
    pub idle: Option<Duration>,
    /// While Codex reports that there is no network.
    pub network: Option<Duration>,
}

/// The default wait for a busy session. Codex's background process holds a session for a minute.
const BUSY: Duration = Duration::from_secs(90);

/// The action for a session that another process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBusy {
    /// Wait this long, then fail.
    Wait(Duration),
    /// Skip the job.
    Skip,
    /// Run the job in a fork of the session.
    Fork,
    /// Fail.
    Fail,
}

impl Default for OnBusy {
    fn default() -> OnBusy {
        OnBusy::Wait(BUSY)
    }
}

impl OnBusy {
    /// Whether to wait for a session that has been busy for this time.
    pub fn waits(self, since: Duration) -> bool {
        matches!(self, OnBusy::Wait(longest) if since < longest)
    }

    /// Parses `wait`, `wait=TIME`, `skip`, `fork` or `fail`.
    pub fn parse(text: &str) -> Result<OnBusy> {
        match (text, text.strip_prefix("wait=")) {
            (_, Some(longest)) => Ok(OnBusy::Wait(parse_duration(longest)?)),
            ("wait", _) => Ok(OnBusy::default()),
            ("skip", _) => Ok(OnBusy::Skip),
            ("fork", _) => Ok(OnBusy::Fork),
            ("fail", _) => Ok(OnBusy::Fail),
            _ => Err(Error::usage(format!(
                "invalid value '{text}': expected wait, wait=TIME, skip, fork or fail"
            ))),
        }
    }

    /// The forms of a value and their meanings.
    pub fn values() -> Vec<(&'static str, &'static str)> {
        vec![
            ("wait", "wait up to 90 seconds for the session, then fail the job"),
            ("wait=", "wait up to the given time for the session, as in wait=10m, then fail the job"),
            ("skip", "skip the job"),
            ("fork", "send the prompt to a fork of the session (Codex 0.148 and later)"),
            ("fail", "fail the job immediately"),
        ]
    }

    fn to_text(self) -> String {
        match self {
            OnBusy::Wait(longest) => format!("wait={}s", longest.as_secs()),
            OnBusy::Skip => "skip".to_owned(),
            OnBusy::Fork => "fork".to_owned(),
            OnBusy::Fail => "fail".to_owned(),
        }
    }
}

/// The action at a usage limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnLimit {
    /// Stop the run with pending jobs. Start no job until the limit resets.
    #[default]
    Stop,
    /// Wait until it resets.
    Wait,
    /// As stop, but start a job even if the limit may not have reset.
    Try,
}

impl Choice for OnLimit {
    const ALL: &'static [(OnLimit, &'static str, &'static str)] = &[
        (
            OnLimit::Stop,
            "stop",
            "end the run with exit status 75, and leave the other jobs pending; until the limit resets, start no job with this home directory of Codex",
        ),
        (
            OnLimit::Wait,
            "wait",
            "wait until the limit resets; then start one job as a test, and the other jobs after the test succeeds. If Codex reports no reset time, tests follow after 5, 10, 20 ... s, up to one hour; after 14 failed tests, which take five and a half hours, end the run with exit status 75",
        ),
        (OnLimit::Try, "try", "the same as stop, but also start jobs before the limit resets"),
    ];
}

/// The action for a job that was interrupted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interrupted {
    /// The job failed.
    #[default]
    Fail,
    /// Send "Continue." to its session.
    Continue,
    /// Send the prompt again.
    Retry,
}

impl Choice for Interrupted {
    const ALL: &'static [(Interrupted, &'static str, &'static str)] = &[
        (Interrupted::Fail, "fail", "fail the job: the model may have done a part of the work"),
        (Interrupted::Continue, "continue", "send the text 'Continue.' to the session of the job"),
        (Interrupted::Retry, "retry", "send the prompt again; the event job.started then has resent: true"),
    ];
}

/// The options and images of all jobs of a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct CodexOptions {
    /// The options for Codex.
    pub options: Options,
    /// The absolute paths of the images that are sent with each prompt.
    pub images: Vec<String>,
}

/// The settings of a run. With the default ones no job is started.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The executable.
    pub codex: PathBuf,
    /// The number of jobs that run at a time.
    pub max_concurrent: usize,
    /// The time limits of a job.
    pub patience: Patience,
    /// The number of failures after which no job is started.
    pub max_failures: Option<usize>,
    /// The number of retries of a job after transient failures.
    pub retries: u32,
    /// The action for a busy session.
    pub on_busy: OnBusy,
    /// The action at a usage limit.
    pub on_limit: OnLimit,
    /// The action for a job that was interrupted.
    pub interrupted: Interrupted,
    /// The options and images of all jobs of a queue; jobs of other runs have their own.
    pub codex_options: Option<CodexOptions>,
    /// The hosts that carry out jobs.
    pub hosts: HostSettings,
}

/// The hosts of a run.
#[derive(Clone, Debug, Default)]
pub struct HostSettings {
    /// The hosts, in the order in which they get jobs.
    pub all: Vec<HostSlots>,
    /// Whether jobs that name no host are carried out by any of them, and not by this machine.
    pub take_unassigned: bool,
    /// The greatest number of jobs that run at a time here and on all hosts; without it, each has its own.
    pub most: Option<usize>,
    /// The hosts whose bound jobs are given up.
    pub given_up: Vec<String>,
}

/// A host, and the number of jobs that run there at a time.
#[derive(Clone, Debug)]
pub struct HostSlots {
    /// The host.
    pub host: Host,
    /// The number of jobs.
    pub slots: usize,
}

/// A host of a run, as the journal has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SavedHost {
    /// The name of the host.
    pub name: String,
    /// The number of jobs that run there at a time.
    pub slots: usize,
}

/// The settings that the journal has for a continued run, in addition to max_concurrent and codex.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SavedSettings {
    /// The time limit of a job, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// The time limit for Codex without output, in milliseconds.
    pub idle_timeout_ms: Option<u64>,
    /// The time limit for Codex without a connection to its provider, in milliseconds.
    pub network_timeout_ms: Option<u64>,
    /// The number of failures after which no job is started.
    pub max_failures: Option<usize>,
    /// The number of retries of a job after transient failures.
    pub retries: u32,
    /// The action for a busy session: wait=TIME, skip, fork or fail.
    pub on_busy: String,
    /// The action at a usage limit.
    pub on_limit: OnLimit,
    /// The options and images of all jobs of a queue; null if each job has its own.
    #[serde(rename = "told")]
    pub codex_options: Option<CodexOptions>,
    /// The hosts that carry out jobs; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<SavedHost>,
    /// Whether jobs that name no host are carried out by these hosts; absent if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub on_hosts: bool,
    /// The greatest number of jobs that run at a time on all hosts; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "usize"))]
    pub most: Option<usize>,
}

impl Settings {
    /// The number of jobs that run at a time, here or on hosts.
    pub fn count_slots(&self) -> usize {
        let hosts: usize = self.hosts.all.iter().map(|host| host.slots).sum();
        let all = if hosts > 0 { hosts } else { self.max_concurrent };
        self.hosts.most.map_or(all, |most| all.min(most))
    }

    /// The settings for the worker of a host. Everything else is decided by the run.
    pub fn for_worker(&self) -> SavedSettings {
        let ms = |time: Option<Duration>| time.map(|time| time.as_millis() as u64);
        let Patience { timeout, idle, network } = self.patience;
        SavedSettings {
            timeout_ms: ms(timeout),
            idle_timeout_ms: ms(idle),
            network_timeout_ms: ms(network),
            retries: self.retries,
            on_busy: OnBusy::Fail.to_text(),
            on_limit: self.on_limit,
            ..SavedSettings::default()
        }
    }

    /// The settings to save for a continued run.
    pub fn to_saved(&self) -> SavedSettings {
        SavedSettings {
            max_failures: self.max_failures,
            on_busy: self.on_busy.to_text(),
            codex_options: self.codex_options.clone(),
            hosts: self.hosts.all.iter().map(HostSlots::to_saved).collect(),
            on_hosts: self.hosts.take_unassigned,
            most: self.hosts.most,
            ..self.for_worker()
        }
    }
}

impl HostSlots {
    fn to_saved(&self) -> SavedHost {
        SavedHost { name: self.host.name.clone(), slots: self.slots }
    }
}

impl SavedSettings {
    /// The time limits.
    pub fn patience(&self) -> Patience {
        let time = |ms: Option<u64>| ms.map(Duration::from_millis);
        Patience {
            timeout: time(self.timeout_ms),
            idle: time(self.idle_timeout_ms),
            network: time(self.network_timeout_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_action_is_parsed_again() {
        for text in ["wait=7s", "skip", "fork", "fail"] {
            assert_eq!(OnBusy::parse(text).unwrap().to_text(), text);
        }
        assert_eq!(OnBusy::parse("wait").unwrap(), OnBusy::default());
        for wrong in ["skip=90s", "wait=", "stay", ""] {
            assert!(OnBusy::parse(wrong).is_err(), "{wrong}");
        }
    }
}
