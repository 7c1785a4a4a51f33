//! The `job` record: the plan of a turn, which can be created on one machine and run on another.
//!
//! A job is complete: only the session itself is looked up later. Its paths are absolute. A job that cannot be run, or
//! could do harm, is refused when it is read: its prompt is empty, has a NUL or is too long, or its session is not a
//! UUID. Only a UUID reaches the arguments of Codex, since every version starts a new session for an unknown name.

use std::path::Path;

use serde::{Deserialize, Serialize};

use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::record::Id;

use crate::record::file::JobFile;
pub use crate::record::options::{Options, Sandbox, check_argument};
use crate::record::settings::SavedSettings;

/// The status of a job in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Status {
    #[default]
    Pending,
    Running,
    Completed,
    Failed,
}

/// The version of journals and jobs.
pub const VERSION: u32 = 1;

/// The longest prompt, in bytes. Its line in a journal can always be read again.
pub const LONGEST_PROMPT: usize = 8 << 20;

/// The kind of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Begin a session.
    New,
    /// Add a turn to a session.
    Resume,
    /// Fork a session, and add a turn to the fork (Codex 0.148 and later).
    Fork,
}

/// The plan of one turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Job {
    #[serde(rename = "type")]
    record: String,
    /// The version of job records.
    #[serde(default = "version")]
    #[cfg_attr(feature = "schema", schemars(extend("const" = VERSION)))]
    v: u32,
    /// The name of the job, unique in the run.
    #[serde(default)]
    pub id: String,
    /// The run of the job.
    #[serde(default)]
    pub run: Option<String>,
    /// The kind of job. If it is absent, a job with a session resumes it, and a job without a session
    /// begins one.
    #[serde(default)]
    pub kind: Option<Kind>,
    /// The id of the session to resume or fork.
    #[serde(default)]
    pub session: Option<Id>,
    /// The absolute working directory of Codex; null means the directory of the last turn of the session.
    #[serde(default)]
    pub cwd: Option<String>,
    /// The text that is sent to Codex.
    pub prompt: String,
    /// The absolute paths of the images that are sent with the text.
    #[serde(default)]
    pub images: Vec<String>,
    /// The options for Codex.
    #[serde(default)]
    pub options: Options,
    /// The absolute path of Codex's home; null means the home of the environment.
    #[serde(default)]
    pub codex_home: Option<String>,
    /// Whether the model may already have received this prompt, in another run; absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resent: bool,
    /// The host that carries out the job. If it is absent, the job may be carried out by any host of the run, or by this
    /// machine if the run has no hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub host: Option<String>,
    /// The number of the attempt, from 1, in a record for a worker. A worker begins no attempt of a job that it has begun
    /// already. 0 and absent in other records.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
    /// Whether an event of this attempt was received from the worker. A worker that does not know the job must not begin
    /// it. Absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
    /// The number of runs that are nested in each other where the job comes from; absent if 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// The images and the JSON Schema of the job by content, in a record for a worker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<JobFile>,
    /// The time limits of a job and the action at a usage limit, in a record for a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "SavedSettings"))]
    pub settings: Option<Box<SavedSettings>>,
    /// Whether the worker prints Codex's own events too, as job.event records; absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub events: bool,
}

fn version() -> u32 {
    VERSION
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Job {
    /// A job that begins a session.
    pub fn new(prompt: String) -> Job {
        Job { record: "job".to_owned(), v: VERSION, kind: Some(Kind::New), prompt, ..Job::default() }
    }

    /// The same job, as a turn of a session.
    pub fn resuming(&self, session: Id) -> Job {
        Job { kind: Some(Kind::Resume), session: Some(session), ..self.clone() }
    }

    /// The same job with another prompt.
    pub fn with_prompt(&self, prompt: impl Into<String>) -> Job {
        Job { prompt: prompt.into(), ..self.clone() }
    }

    /// Its kind, given or by default.
    pub fn kind(&self) -> Kind {
        self.kind.unwrap_or(if self.session.is_some() { Kind::Resume } else { Kind::New })
    }

    /// The session that Codex is asked to resume.
    pub fn asked(&self) -> Option<Id> {
        self.session.filter(|_| self.kind() == Kind::Resume)
    }

    /// The same job, in a fork of its session.
    pub fn in_fork(&self) -> Job {
        Job { kind: Some(Kind::Fork), ..self.clone() }
    }

    /// Refuses a job that cannot be run, and sets a kind that is absent.
    pub fn validate(mut self) -> Result<Job> {
        if self.record != "job" {
            return Err(Error::new(format!("expected a record of type 'job', not '{}'", self.record)));
        }
        if self.v != VERSION {
            return Err(Error::new(format!("job record version {} is unknown: expected {VERSION}", self.v)));
        }
        check_prompt(&self.prompt)?;
        self.kind = Some(self.kind());
        match (self.kind(), self.session) {
            (Kind::New, Some(id)) => {
                return Err(Error::new(format!("a job of kind 'new' cannot continue session '{id}'")));
            }
            (Kind::Resume, None) => return Err(Error::new("a job of kind 'resume' must name a session")),
            (Kind::Fork, None) => return Err(Error::new("a job of kind 'fork' must name a session")),
            _ => {}
        }
        let paths =
            self.images.iter().chain(&self.cwd).chain(&self.codex_home).chain(&self.options.output_schema);
        if let Some(relative) = paths.into_iter().find(|path| !Path::new(path).is_absolute()) {
            return Err(Error::new(format!("the path '{relative}' in a job is not absolute")));
        }
        // An invalid argument or variable would fail later, for all jobs.
        let options = &self.options;
        let words = options.config.iter().chain(&options.model).chain(&options.args);
        let words = words.chain(&self.cwd).chain(&self.images).chain(&options.output_schema);
        if words.chain([&self.id]).any(|word| word.contains(|c: char| c.is_control())) {
            return Err(Error::new("an option, a path or the id of a job contains a control character"));
        }
        if let Some(pair) = self.options.config.iter().find(|pair| !pair.contains('=')) {
            return Err(Error::new(format!("invalid value '{pair}' of 'config': expected KEY=VALUE")));
        }
        self.options.args.iter().try_for_each(|word| check_argument(word))?;
        if self.options.bypass && self.options.sandbox.is_some() {
            return Err(Error::new("the fields 'sandbox' and 'bypass' of a job cannot be combined"));
        }
        Ok(self)
    }
}

/// Refuses a prompt that Codex would refuse, truncate or misread.
pub fn check_prompt(prompt: &str) -> Result<()> {
    if prompt.trim().is_empty() {
        return Err(Error::new("the prompt is empty"));
    }
    if prompt.contains('\0') {
        return Err(Error::new("the prompt contains a NUL character"));
    }
    if prompt.len() > LONGEST_PROMPT {
        return Err(Error::new(format!("the prompt is longer than {} MiB", LONGEST_PROMPT >> 20)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> std::result::Result<Job, String> {
        let job: Job = serde_json::from_str(text).map_err(|error| error.to_string())?;
        job.validate().map_err(|error| error.to_string())
    }

    #[test]
    fn a_bypass_of_the_sandbox_is_found_in_every_spelling() {
        let options = |text: &str| serde_json::from_str::<Options>(text).unwrap();
        for text in [
            r#"{"bypass":true}"#,
            r#"{"sandbox":"danger-full-access"}"#,
            r#"{"args":["--dangerously-bypass-approvals-and-sandbox"]}"#,
            r#"{"args":["--yolo"]}"#,
            r#"{"args":["--sandbox=danger-full-access"]}"#,
            r#"{"args":["-sdanger-full-access"]}"#,
            r#"{"args":["--config=sandbox_mode=\"danger-full-access\""]}"#,
            r#"{"args":["-csandbox_mode=DANGER-full-access"]}"#,
            r#"{"config":["sandbox_mode=danger-full-access"]}"#,
            r#"{"config":["profiles.x.sandbox_mode=\"\\u0064anger-full-access\""]}"#,
        ] {
            assert!(options(text).find_sandbox_bypass().is_some(), "{text}");
        }
        for text in [r#"{}"#, r#"{"sandbox":"workspace-write"}"#, r#"{"config":["sandbox_mode=read-only"]}"#]
        {
            assert_eq!(options(text).find_sandbox_bypass(), None, "{text}");
        }
    }

    #[test]
    fn a_job_that_could_do_harm_is_refused() {
        let id = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";
        let complete =
            format!(r#"{{"type":"job","session":"{id}","prompt":"-go","cwd":"/p","new_field":1}}"#);
        let job = parse(&complete).unwrap();
        assert_eq!((job.kind(), job.asked()), (Kind::Resume, Id::parse(id)));
        assert_eq!(parse(r#"{"type":"job","prompt":"go"}"#).unwrap().kind(), Kind::New);
        for (text, want) in [
            (r#"{"type":"job","prompt":" \n"}"#, "the prompt is empty"),
            (r#"{"type":"job","prompt":"a\u0000b"}"#, "the prompt contains a NUL character"),
            (r#"{"type":"job","prompt":"a","session":"--yolo"}"#, "a session id"),
            (r#"{"type":"job","prompt":"a","session":"../x"}"#, "a session id"),
            (r#"{"type":"job","prompt":"a","kind":"resume"}"#, "must name a session"),
            (r#"{"type":"job","prompt":"a","cwd":"x"}"#, "in a job is not absolute"),
            (r#"{"type":"job","prompt":"a","id":"a\u0000"}"#, "contains a control character"),
            (r#"{"type":"job","prompt":"a","options":{"config":["x"]}}"#, "expected KEY=VALUE"),
            (r#"{"type":"job","prompt":"a","options":{"args":["--remote=ws://x"]}}"#, "another process"),
            (r#"{"type":"job","prompt":"a","options":{"args":["--remote"]}}"#, "another process"),
            (
                r#"{"type":"job","prompt":"a","options":{"args":["--remote-auth-token-env=T"]}}"#,
                "another process",
            ),
            (
                r#"{"type":"job","prompt":"a","options":{"args":["--remote-auth-token-env"]}}"#,
                "another process",
            ),
            (r#"{"type":"job","prompt":"a","options":{"args":["ws://x"]}}"#, "expected --FLAG"),
            (r#"{"type":"job","prompt":"a","v":2}"#, "job record version 2 is unknown"),
            (r#"{"type":"session","prompt":"a"}"#, "expected a record of type 'job'"),
            (r#"{"type":"job"}"#, "missing field `prompt`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
