//! One prompt of a queue.

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::record::failure::Failure;
use codex_agent_shared::error::{Error, Result as Outcome};
use codex_agent_shared::record::Id;
use codex_agent_shared::store::RawObject;
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

/// A prompt of a queue.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// The id, a UUID.
    pub id: String,
    /// The text that is sent to Codex.
    pub prompt: String,
    /// The absolute paths of its images.
    pub images: Vec<String>,
    /// The status of the prompt.
    pub status: Status,
    /// The mode: whether a runner sends the prompt.
    pub mode: Mode,
    /// The exit status of Codex: `{"exitCode":0}`.
    pub result: Option<RawObject>,
    /// The times when the prompt was added, sent and ended, RFC 3339.
    pub added_at: Option<String>,
    #[allow(missing_docs)]
    pub started_at: Option<String>,
    #[allow(missing_docs)]
    pub completed_at: Option<String>,
    /// The session that the prompt was sent to.
    pub session: Option<Id>,
    /// The run that claimed the prompt.
    pub run: Option<String>,
    /// The failure.
    pub failure: Option<Failure>,
    /// The number of requested retries.
    pub retries: u32,
    /// Whether its unfinished run has sent it before, although it is pending. The file does not say it.
    pub(super) was_sent: bool,
    rest: RawObject,
}

#[derive(Serialize)]
struct Exit {
    #[serde(rename = "exitCode")]
    code: i32,
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut rest = RawObject::deserialize(deserializer)?;
        Ok(Prompt {
            id: rest.need("id")?,
            prompt: rest.need("prompt")?,
            images: rest.take("images")?.unwrap_or_default(),
            status: rest.take("status")?.unwrap_or_default(),
            mode: rest.take("mode")?.unwrap_or_default(),
            result: rest.take("result")?,
            added_at: rest.take("addedAt")?,
            started_at: rest.take("startedAt")?,
            completed_at: rest.take("completedAt")?,
            session: rest.take("session")?,
            run: rest.take("run")?,
            failure: rest.take("failure")?,
            retries: rest.take("retries")?.unwrap_or_default(),
            was_sent: false,
            rest,
        })
    }
}

impl Serialize for Prompt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("prompt", &self.prompt)?;
        if !self.images.is_empty() {
            map.serialize_entry("images", &self.images)?;
        }
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("mode", &self.mode)?;
        if let Some(result) = &self.result {
            map.serialize_entry("result", result)?;
        }
        let texts = [
            ("addedAt", &self.added_at),
            ("startedAt", &self.started_at),
            ("completedAt", &self.completed_at),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                map.serialize_entry(key, text)?;
            }
        }
        if let Some(session) = &self.session {
            map.serialize_entry("session", session)?;
        }
        if let Some(run) = &self.run {
            map.serialize_entry("run", run)?;
        }
        if let Some(failure) = &self.failure {
            map.serialize_entry("failure", failure)?;
        }
        if self.retries > 0 {
            map.serialize_entry("retries", &self.retries)?;
        }
        self.rest.write(&mut map)?;
        map.end()
    }
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

    /// The id of its job: its own, and the number of the retry. An id that has a dot in it gets a number
    /// always, so that no two prompts of different ids have one job.
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

    /// How Codex ended.
    pub fn exit_code(&self) -> Option<i32> {
        let code: Result<Option<i32>, serde_json::Error> = self.result.clone()?.take("exitCode");
        code.ok().flatten()
    }

    /// Says how Codex ended.
    pub(super) fn set_exit(&mut self, code: Option<i32>) {
        let object = code.map(|code| serde_json::to_string(&Exit { code }).unwrap_or_default());
        self.result = object.and_then(|text| serde_json::from_str(&text).ok());
    }

    /// Makes it pending again, to be sent once more. No prompt is sent four thousand million times.
    pub fn retry(&mut self) -> Outcome<()> {
        if self.retries == u32::MAX {
            let message = format!("prompt '{}' was asked for {} times already", self.id, self.retries);
            return Err(Error::new(message).hint("add it as another prompt"));
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
