//! How a run is carried out. What was said when it was begun is kept in its journal, and holds for whoever
//! continues it and says nothing else. What becomes of a job that was cut off is said anew each time.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::job::Options;
use codex_agent_shared::choice::Choice;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::time::parse_duration;

/// How long an attempt may take, all in all and in silence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// All in all.
    pub timeout: Option<Duration>,
    /// Without any event.
    pub idle: Option<Duration>,
    /// While Codex says that there is no network.
    pub network: Option<Duration>,
}

/// How long a busy session is waited for. Codex's own background process keeps one for a minute.
const BUSY: Duration = Duration::from_secs(90);

/// What to do with a session that somebody else drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBusy {
    /// Wait this long, then fail.
    Wait(Duration),
    /// Pass the job over.
    Skip,
    /// Do it in a fork of the session.
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
    /// Whether a session that has been busy for so long is waited for.
    pub fn waits(self, since: Duration) -> bool {
        matches!(self, OnBusy::Wait(longest) if since < longest)
    }

    /// Reads `wait`, `wait=TIME`, `skip`, `fork` or `fail`.
    pub fn parse(text: &str) -> Result<OnBusy> {
        match text.split_once('=') {
            Some(("wait", longest)) => return Ok(OnBusy::Wait(parse_duration(longest)?)),
            None if text == "wait" => return Ok(OnBusy::default()),
            None if text == "skip" => return Ok(OnBusy::Skip),
            None if text == "fork" => return Ok(OnBusy::Fork),
            None if text == "fail" => return Ok(OnBusy::Fail),
            _ => {}
        }
        Err(Error::usage(format!("cannot take '{text}': expected wait, wait=TIME, skip, fork or fail")))
    }

    /// The forms of a value and their meanings.
    pub fn values() -> Vec<(&'static str, &'static str)> {
        vec![
            ("wait", "wait 90 seconds for its end, then fail"),
            ("wait=", "wait for this long: wait=10m"),
            ("skip", "skip the job"),
            ("fork", "send the prompt to a fork of the session (Codex 0.148 and later)"),
            ("fail", "fail the job at once"),
        ]
    }

    fn text(self) -> String {
        match self {
            OnBusy::Wait(longest) => format!("wait={}s", longest.as_secs()),
            OnBusy::Skip => "skip".to_owned(),
            OnBusy::Fork => "fork".to_owned(),
            OnBusy::Fail => "fail".to_owned(),
        }
    }
}

/// What to do where a usage limit is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnLimit {
    /// End the run, with work left. Start nothing while Codex has said that it lasts.
    #[default]
    Stop,
    /// Wait for its end.
    Wait,
    /// As stop, but do not believe that it still lasts.
    Try,
}

impl Choice for OnLimit {
    const ALL: &'static [(OnLimit, &'static str, &'static str)] = &[
        (
            OnLimit::Stop,
            "stop",
            "end the run with status 75 and leave the rest; until the time that Codex gave, start no other run on its home",
        ),
        (
            OnLimit::Wait,
            "wait",
            "wait until the limit resets; then one run tries, and the others wait for it",
        ),
        (OnLimit::Try, "try", "as stop, but start jobs although the limit may last"),
    ];
}

/// What becomes of a job that was cut off in the middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interrupted {
    /// It has failed.
    #[default]
    Fail,
    /// "Continue." is sent to its session.
    Continue,
    /// It is sent again.
    Retry,
}

impl Choice for Interrupted {
    const ALL: &'static [(Interrupted, &'static str, &'static str)] = &[
        (Interrupted::Fail, "fail", "fail it, as the model has seen the prompt and may have done some of it"),
        (Interrupted::Continue, "continue", "send 'Continue.' to the same session"),
        (Interrupted::Retry, "retry", "send the prompt again; its events say resent"),
    ];
}

/// What Codex is told with every job of a run whose jobs are not planned beforehand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct CodexOptions {
    /// What Codex is told beside the prompt.
    pub options: Options,
    /// The pictures that go with each prompt, absolute paths.
    pub images: Vec<String>,
}

/// How a run is carried out.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The executable.
    pub codex: PathBuf,
    /// How many jobs at once.
    pub max_concurrent: usize,
    /// How long a job may take.
    pub patience: Patience,
    /// After how many failures nothing is started any more.
    pub max_failures: Option<usize>,
    /// How often a job is tried again that failed for what may pass.
    pub retries: u32,
    /// What to do with a busy session.
    pub on_busy: OnBusy,
    /// What to do where a usage limit is reached.
    pub on_limit: OnLimit,
    /// What becomes of a job that was cut off.
    pub interrupted: Interrupted,
    /// What all jobs of a queue have in common; the jobs of other runs have it in their plan.
    pub told: Option<CodexOptions>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            codex: PathBuf::new(),
            max_concurrent: 1,
            patience: Patience::default(),
            max_failures: None,
            retries: 0,
            on_busy: OnBusy::default(),
            on_limit: OnLimit::default(),
            interrupted: Interrupted::default(),
            told: None,
        }
    }
}

/// What is kept of them, beside Codex and how many at once. Times are in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SavedSettings {
    /// How long a job may take, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// How long Codex may print nothing, in milliseconds.
    pub idle_timeout_ms: Option<u64>,
    /// How long Codex may be without its service, in milliseconds.
    pub network_timeout_ms: Option<u64>,
    /// After how many failures nothing is started any more.
    pub max_failures: Option<usize>,
    /// How often a job is tried again that failed for what may pass.
    pub retries: u32,
    /// What to do with a busy session: wait=TIME, skip, fork or fail.
    pub on_busy: String,
    /// What to do where a usage limit is reached.
    pub on_limit: OnLimit,
    /// What Codex is told with every job of a queue; null where the plan of each job has it.
    pub told: Option<CodexOptions>,
}

impl Settings {
    /// What a continued run goes by.
    pub fn kept(&self) -> SavedSettings {
        let ms = |time: Option<Duration>| time.map(|time| time.as_millis() as u64);
        let Patience { timeout, idle, network } = self.patience;
        SavedSettings {
            timeout_ms: ms(timeout),
            idle_timeout_ms: ms(idle),
            network_timeout_ms: ms(network),
            max_failures: self.max_failures,
            retries: self.retries,
            on_busy: self.on_busy.text(),
            on_limit: self.on_limit,
            told: self.told.clone(),
        }
    }
}

impl SavedSettings {
    /// The times.
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
    fn what_is_kept_is_read_again() {
        for text in ["wait=7s", "skip", "fork", "fail"] {
            assert_eq!(OnBusy::parse(text).unwrap().text(), text);
        }
        assert_eq!(OnBusy::parse("wait").unwrap(), OnBusy::default());
        for wrong in ["skip=90s", "wait=", "stay", ""] {
            assert!(OnBusy::parse(wrong).is_err(), "{wrong}");
        }
    }
}
