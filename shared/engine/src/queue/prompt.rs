//! A prompt of a queue, and its record.

use serde::{Deserialize, Serialize};

use crate::record::failure::Failure;
use codex_agent_shared::error::{Error, Result as Outcome};
use codex_agent_shared::record::Id;
use codex_agent_shared::store::{RawObject, kept_object};
use codex_agent_shared::time::Timestamp;

pub use crate::record::job::Status;

/// The mode: whether a runner sends the prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The prompt is sent in its turn.
    #[default]
    Auto,
    /// The prompt is not sent until its mode is set to auto.
    Manual,
}

kept_object! {
    /// A prompt of a queue.
    #[derive(Clone, Debug, Default)]
    pub struct Prompt {
        /// The id, a UUID.
        pub id: String = "id" needed,
        /// The text that is sent to Codex.
        pub prompt: String = "prompt" needed,
        /// The absolute paths of its images.
        pub images: Vec<String> = "images" optional,
        /// The status of the prompt.
        pub status: Status = "status" always,
        /// The mode: whether a runner sends the prompt.
        pub mode: Mode = "mode" always,
        /// The exit status of Codex: `{"exitCode":0}`.
        pub result: Option<RawObject> = "result" optional,
        /// The times when the prompt was added, sent and ended, RFC 3339.
        pub added_at: Option<String> = "addedAt" optional,
        #[allow(missing_docs)]
        pub started_at: Option<String> = "startedAt" optional,
        #[allow(missing_docs)]
        pub completed_at: Option<String> = "completedAt" optional,
        /// The session that the prompt was sent to.
        pub session: Option<Id> = "session" optional,
        /// The run that claimed the prompt.
        pub run: Option<String> = "run" optional,
        /// The failure.
        pub failure: Option<Failure> = "failure" optional,
        /// The number of requested retries.
        pub retries: u32 = "retries" optional,
    }
    unsaved {
        /// Whether the unfinished run has sent the prompt before, although it is pending.
        pub(super) was_sent: bool,
    }
}

#[derive(Serialize)]
struct Exit {
    #[serde(rename = "exitCode")]
    code: i32,
}

/// A prompt of a queue.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromptRecord<'p> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The id of the prompt in its queue.
    id: &'p str,
    /// The id of the queue.
    queue: &'p str,
    /// The text that is sent to Codex.
    prompt: &'p str,
    /// The absolute paths of the images that are sent with the text.
    images: &'p [String],
    /// The mode: whether a runner sends the prompt.
    mode: Mode,
    /// The status of the prompt.
    status: Status,
    /// The id of the session that the prompt was sent to; null if it is not yet known.
    session: Option<Id>,
    /// The run that claimed the prompt; null if it was never claimed.
    run: Option<&'p str>,
    /// The job in that run.
    job: Option<String>,
    /// The failure; null if the prompt did not fail.
    failure: Option<&'p Failure>,
    /// The exit status of Codex; null if unknown.
    exit_code: Option<i32>,
    /// The number of requested retries.
    retries: u32,
    /// The time when the prompt was added, unchanged from queues.json.
    added_at: Option<&'p str>,
    /// The time when the prompt was sent, unchanged from queues.json.
    started_at: Option<&'p str>,
    /// The time when the prompt was answered or failed, unchanged from queues.json.
    completed_at: Option<&'p str>,
}

impl Prompt {
    /// A prompt that was not sent yet.
    pub fn new(prompt: String, images: Vec<String>, mode: Mode) -> Prompt {
        let added_at = Some(Timestamp::now().to_string());
        Prompt { id: Id::random().to_string(), prompt, images, mode, added_at, ..Prompt::default() }
    }

    /// The id of its job: the id of the prompt with the number of the retry. The number is always added to an id
    /// with a dot, so that no two prompts have the same job.
    pub fn job(&self) -> String {
        match self.retries {
            0 if !self.id.contains('.') => self.id.clone(),
            retries => format!("{}.{retries}", self.id),
        }
    }

    /// Whether a runner would send it.
    pub fn is_due(&self) -> bool {
        self.status == Status::Pending && self.mode == Mode::Auto
    }

    /// The exit status of Codex.
    pub fn exit_code(&self) -> Option<i32> {
        let code: Result<Option<i32>, serde_json::Error> = self.result.clone()?.take("exitCode");
        code.ok().flatten()
    }

    /// Records the exit status of Codex. An object that already has it keeps its other keys.
    pub(super) fn set_exit(&mut self, code: Option<i32>) {
        if code.is_some() && code == self.exit_code() {
            return;
        }
        let object = code.map(|code| serde_json::to_string(&Exit { code }).unwrap_or_default());
        self.result = object.and_then(|text| serde_json::from_str(&text).ok());
    }

    /// Makes the prompt pending again.
    pub fn retry(&mut self) -> Outcome<()> {
        if self.retries == u32::MAX {
            let message = format!("prompt '{}' was already retried {} times", self.id, self.retries);
            return Err(Error::new(message).hint("'codex-agent queue add' adds the text as another prompt"));
        }
        let Prompt { id, prompt, images, mode, added_at, retries, rest, .. } = std::mem::take(self);
        *self =
            Prompt { id, prompt, images, mode, added_at, retries: retries + 1, rest, ..Prompt::default() };
        Ok(())
    }

    /// The record of this prompt.
    pub fn record<'p>(&'p self, queue: &'p str) -> PromptRecord<'p> {
        PromptRecord {
            kind: "prompt",
            id: &self.id,
            queue,
            prompt: &self.prompt,
            images: &self.images,
            mode: self.mode,
            status: self.status,
            session: self.session,
            run: self.run.as_deref(),
            job: self.run.is_some().then(|| self.job()),
            failure: self.failure.as_ref(),
            exit_code: self.exit_code(),
            retries: self.retries,
            added_at: self.added_at.as_deref(),
            started_at: self.started_at.as_deref(),
            completed_at: self.completed_at.as_deref(),
        }
    }
}
