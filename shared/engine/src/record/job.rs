//! The `job` record: the plan of a turn, which can be created on one machine and run on another.
//!
//! A job is complete: only the session itself is looked up later. Its paths are absolute. A job that cannot be run, or
//! could do harm, is refused when it is read: its prompt is empty, has a NUL or is too long, or its session is not a
//! UUID. Only a UUID reaches the arguments of Codex, since every version starts a new session for an unknown name.

use std::path::Path;

use serde::{Deserialize, Serialize};

use codex_agent_shared::choice::Choice;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::record::Id;

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

/// The sandbox mode, least trust first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// Codex may write nothing.
    ReadOnly,
    /// Codex may write in its working directory.
    WorkspaceWrite,
    /// Codex may write everywhere. Never chosen by default.
    DangerFullAccess,
}

impl Choice for Sandbox {
    const ALL: &'static [(Sandbox, &'static str, &'static str)] = &[
        (Sandbox::ReadOnly, "read-only", "Codex may change no file"),
        (
            Sandbox::WorkspaceWrite,
            "workspace-write",
            "Codex may change files in the directory of the session",
        ),
        (Sandbox::DangerFullAccess, "danger-full-access", "Codex runs without a sandbox"),
    ];
}

/// The options for Codex.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Options {
    /// The model; null means Codex's default.
    pub model: Option<String>,
    /// The sandbox mode. Null means Codex's default for a new session; for a resumed session its last mode,
    /// but at most workspace-write.
    pub sandbox: Option<Sandbox>,
    /// Settings KEY=VALUE for Codex's configuration.
    pub config: Vec<String>,
    /// Whether Codex may run outside a git repository.
    pub skip_git_repo_check: bool,
    /// The absolute path of a JSON Schema of the last message.
    pub output_schema: Option<String>,
    /// Whether Codex runs without approvals and without a sandbox.
    pub bypass: bool,
    /// Whether a new session or a fork begins in a new git worktree, which Codex creates (0.156 and later). A resumed
    /// session stays in its directory.
    pub worktree: bool,
    /// Further arguments for codex exec; each begins with a dash.
    pub args: Vec<String>,
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
}

fn version() -> u32 {
    VERSION
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

/// Refuses a word that cannot be an additional argument for Codex. A word without a dash would be read as the prompt or
/// as a command. With `--remote` the turn runs in another process, which does not have the lock on the output, so that
/// the prompt could be sent twice.
pub fn check_argument(word: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::new(format!("invalid argument '{word}' for Codex: {why}")));
    if word.len() < 2 || !word.starts_with('-') || word == "--" {
        return refuse("expected --FLAG or --FLAG=VALUE");
    }
    let flag = word.split('=').next().unwrap_or(word);
    if ["--remote", "--remote-auth-token-env"].contains(&flag) {
        return refuse("the turn would run in another process, which a run cannot follow")
            .map_err(|error| error.hint("run codex-agent on the machine of the app-server"));
    }
    Ok(())
}

impl Options {
    /// Finds the option that removes the sandbox, in the words of Codex.
    pub fn find_sandbox_bypass(&self) -> Option<&str> {
        if self.bypass {
            return Some("bypass");
        }
        if self.sandbox == Some(Sandbox::DangerFullAccess) {
            return Some(Sandbox::DangerFullAccess.word());
        }
        let removes = |word: &str| {
            let word = word.to_ascii_lowercase();
            // In TOML a letter can be written by its number.
            let is_disguised = word.contains("sandbox") && word.contains('\\');
            word.contains("danger") || word.contains("yolo") || is_disguised
        };
        self.args.iter().chain(&self.config).map(String::as_str).find(|word| removes(word))
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
