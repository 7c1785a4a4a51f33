//! Queues: prompts to be sent one after the other, kept in `queues.json`.
//!
//! The file keeps the shape that earlier releases of codex-agent wrote (2-space JSON, camelCase keys, ISO
//! times, four statuses; the order of the list is the order of sending), so that it can be used by both.
//! Unknown keys are kept to the byte. What is new is optional: `oneSession`, `sessionId`, `run`, `lastRun` of
//! a queue; `session`, `run`, `failure`, `retries` of a prompt.
//!
//! **Who owns what.** The file owns which prompts there are, their order, text and mode, and whether the
//! queue is paused. What happened to a prompt that was claimed, the journal of the queue's run owns; the
//! file learns of it at most once a second, at edits and at the end. So who reads a queue lays the
//! journal over it ([`Queue::lay_over`]), and a prompt costs an append and no rewriting.
//!
//! **Claims.** A runner chooses a prompt and plans it in its journal under the lock of the file; who
//! edits looks into the journal under the same lock. So a prompt that is being sent cannot be edited, and
//! one that was edited is not sent as it was before.

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codex::home::config_folder;
use crate::error::{Error, Result, warn_of};
use crate::record::Id;
use crate::run::Failure;
use crate::store::{self, Changed, Named, Object, Store};
use crate::time::Timestamp;

mod over;
mod prompt;
mod runner;

pub use over::{Known, Life, known};
pub use prompt::{Mode, Prompt, PromptRecord, Status};
pub use runner::{Runner, take};

/// A list of prompts with a name.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// A UUID of our own.
    pub id: String,
    /// What the user calls it.
    pub name: String,
    /// Where its sessions work.
    pub project: String,
    /// Whether its runner starts nothing more.
    pub paused: bool,
    /// Whether all prompts are turns of one session.
    pub one_session: bool,
    /// That session, once there is one.
    pub session: Option<Id>,
    /// The prompts, in the order in which they are sent.
    pub prompts: Vec<Prompt>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// The run that is not finished yet.
    pub run: Option<String>,
    /// The last run that is.
    pub last_run: Option<String>,
    rest: Object,
}

/// The whole file.
#[derive(Debug, Default)]
pub struct Queues {
    /// The queues, in the order of their making.
    pub queues: Vec<Queue>,
    rest: Object,
}

impl<'de> Deserialize<'de> for Queues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut rest = Object::deserialize(deserializer)?;
        Ok(Queues { queues: rest.need("queues")?, rest })
    }
}

impl Serialize for Queues {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("queues", &self.queues)?;
        self.rest.write(&mut map)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Queue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut rest = Object::deserialize(deserializer)?;
        let id: String = rest.need("id")?;
        if id.is_empty() {
            return Err(D::Error::custom("the id of a queue is empty"));
        }
        Ok(Queue {
            id,
            name: rest.take("name")?.unwrap_or_default(),
            project: rest.take("projectPath")?.unwrap_or_default(),
            paused: rest.take("paused")?.unwrap_or_default(),
            one_session: rest.take("oneSession")?.unwrap_or_default(),
            session: rest.take("sessionId")?,
            prompts: rest.need("prompts")?,
            created_at: rest.take("createdAt")?.unwrap_or_default(),
            run: rest.take("run")?,
            last_run: rest.take("lastRun")?,
            rest,
        })
    }
}

impl Serialize for Queue {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("projectPath", &self.project)?;
        map.serialize_entry("paused", &self.paused)?;
        if self.one_session {
            map.serialize_entry("oneSession", &true)?;
        }
        if let Some(session) = &self.session {
            map.serialize_entry("sessionId", session)?;
        }
        map.serialize_entry("prompts", &self.prompts)?;
        map.serialize_entry("createdAt", &self.created_at)?;
        if let Some(run) = &self.run {
            map.serialize_entry("run", run)?;
        }
        if let Some(run) = &self.last_run {
            map.serialize_entry("lastRun", run)?;
        }
        self.rest.write(&mut map)?;
        map.end()
    }
}

impl Named for Queue {
    const WHAT: &'static str = "queue";

    fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn told(&self) -> String {
        format!("{} prompts, of {}, made {}", self.prompts.len(), self.project, self.created_at)
    }
}

/// How many prompts are how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Counts {
    pub pending: usize,
    pub running: usize,
    pub completed: usize,
    pub failed: usize,
}

/// The `queue` record.
#[derive(Serialize)]
pub struct QueueRecord<'q> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'q str,
    name: &'q str,
    project: &'q str,
    paused: bool,
    one_session: bool,
    session: Option<Id>,
    run: Option<&'q str>,
    state: &'static str,
    counts: Counts,
    created_at: &'q str,
}

impl Queue {
    /// A new, empty queue.
    pub fn new(name: &str, project: &str, one_session: bool) -> Queue {
        Queue {
            id: Id::random().to_string(),
            name: name.to_owned(),
            project: project.to_owned(),
            one_session,
            created_at: Timestamp::now().to_string(),
            ..Queue::default()
        }
    }

    /// The record of this queue. `life` is what [`Queue::lay_over`] said.
    pub fn record(&self, life: Life) -> QueueRecord<'_> {
        QueueRecord {
            kind: "queue",
            id: &self.id,
            name: &self.name,
            project: &self.project,
            paused: self.paused,
            one_session: self.one_session,
            session: self.session,
            run: self.run.as_deref().or(self.last_run.as_deref()),
            state: self.state(life),
            counts: self.counts(),
            created_at: &self.created_at,
        }
    }

    /// What it is doing, in a word.
    pub fn state(&self, life: Life) -> &'static str {
        match life {
            Life::Running => "running",
            Life::Dead => "dead",
            Life::Idle if self.paused => "paused",
            Life::Idle => "idle",
        }
    }

    /// How many prompts are how far.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for prompt in &self.prompts {
            match prompt.status {
                Status::Pending => counts.pending += 1,
                Status::Running => counts.running += 1,
                Status::Completed => counts.completed += 1,
                Status::Failed => counts.failed += 1,
            }
        }
        counts
    }

    /// Where the prompt stands that is meant: `3` is the third; else four or more digits of the
    /// beginning or the end of an id, or all of it.
    pub fn find(&self, text: &str) -> Result<usize> {
        let name = &self.name;
        if let Ok(number) = text.parse::<usize>()
            && (1..=self.prompts.len()).contains(&number)
            && !text.starts_with('+')
        {
            return Ok(number - 1);
        }
        let digits = text.to_lowercase();
        let is_meant = |prompt: &Prompt| {
            let id = prompt.id.to_lowercase();
            id == digits || (digits.len() >= 4 && (id.starts_with(&digits) || id.ends_with(&digits)))
        };
        let found: Vec<usize> = (0..self.prompts.len()).filter(|at| is_meant(&self.prompts[*at])).collect();
        match found[..] {
            [at] => Ok(at),
            [] => Err(Error::not_found(format!("there is no prompt '{text}' in queue '{name}'"))
                .hint(format!("codex-agent queue show '{name}' numbers them"))),
            _ => Err(Error::new(format!("'{text}' could be {} prompts of queue '{name}'", found.len()))
                .hint(format!("codex-agent queue show '{name}' numbers them"))),
        }
    }
}

impl Queues {
    /// The file of all queues.
    pub fn store() -> Result<Store> {
        Ok(Store::new(config_folder()?.join("queues.json")))
    }

    /// All queues as they are now, with what their runs have done. A run that cannot be read is told of, and
    /// is in the way of no other queue.
    pub fn read() -> Result<(Queues, Vec<Life>)> {
        let mut queues: Queues = Queues::store()?.read()?;
        let life = |queue: &mut Queue| {
            queue.lay_over().unwrap_or_else(|error| {
                warn_of(&error);
                Life::Dead
            })
        };
        let lives = queues.queues.iter_mut().map(life).collect();
        Ok((queues, lives))
    }

    /// Changes one queue under the lock of the file. The closure sees what its run has done.
    pub fn edit<R>(name: &str, change: impl FnOnce(&mut Queue, Life) -> Result<R>) -> Result<R> {
        Queues::store()?.update(|queues: &mut Queues| {
            let at = queues.find(name)?;
            let queue = &mut queues.queues[at];
            let life = queue.lay_over()?;
            Ok((change(queue, life)?, Changed::Yes))
        })
    }

    /// Where the queue of this name or id stands; an error where there is none, or two of the name.
    pub fn find(&self, name: &str) -> Result<usize> {
        store::find(&self.queues, name)
    }

    /// As [`Queues::find`], but no queue of the name is no error.
    pub fn position(&self, name: &str) -> Result<Option<usize>> {
        store::position(&self.queues, name)
    }

    /// The runs that a queue names: they are kept.
    pub fn runs(&self) -> impl Iterator<Item = &str> {
        self.queues.iter().flat_map(|queue| queue.run.iter().chain(&queue.last_run)).map(String::as_str)
    }
}

/// Whether a new queue may have this name.
pub fn check_name(name: &str) -> Result<()> {
    store::check_name::<Queue>(name, Id::parse(name).is_some())
}

/// What a prompt is that nobody knows the end of.
pub(crate) fn interrupted(message: &str) -> Failure {
    Failure::new(crate::run::Class::Interrupted, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_file_is_read_and_kept() {
        let text = r#"{"queues":[{"id":"q","name":"n","projectPath":"rel","prompts":[
            {"id":"p","prompt":"a","status":"completed","result":{"exitCode":0,"more":1.50},"addedAt":"t","x":[1]},
            {"id":"p2","prompt":"b","status":"pending","mode":"manual"}],"createdAt":"c","color":{"r": 1.50}}],
            "version":123456789012345678901234567890}"#;
        let queues: Queues = serde_json::from_str(text).unwrap();
        let queue = &queues.queues[0];
        assert!(!queue.paused && !queue.one_session);
        assert_eq!((queue.prompts[0].mode, queue.prompts[1].mode), (Mode::Auto, Mode::Manual));
        assert_eq!(queue.prompts[0].exit_code(), Some(0));
        let again = serde_json::to_string(&queues).unwrap();
        for kept in
            [r#""color":{"r": 1.50}"#, r#""more":1.50"#, r#""x":[1]"#, "123456789012345678901234567890"]
        {
            assert!(again.contains(kept), "{kept} in {again}");
        }
        assert!(!again.contains("oneSession") && !again.contains("failure"), "{again}");
        for wrong in [
            "{}",
            r#"{"queues":[{"id":"q"}]}"#,
            r#"{"queues":[{"id":"q","prompts":[{"id":"p"}]}]}"#,
            r#"{"queues":[{"id":"q","prompts":[{"id":"p","prompt":"x","status":"lost"}]}]}"#,
        ] {
            assert!(serde_json::from_str::<Queues>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn prompts_are_meant_by_number_or_id() {
        let mut queue = Queue::new("n", "/p", false);
        queue.prompts = ["1111aaaa-0000", "2222bbbb-0000", "2222cccc-1111"]
            .map(|id| {
                let mut prompt = Prompt::new("x".into(), Vec::new(), Mode::Auto);
                prompt.id = id.to_owned();
                prompt
            })
            .into();
        let find = |text: &str| queue.find(text).map_err(|error| error.message().to_owned());
        assert_eq!((find("2"), find("1111aaaa-0000"), find("-1111")), (Ok(1), Ok(0), Ok(2)));
        assert_eq!((find("2222b"), find("2222CCCC")), (Ok(1), Ok(2)));
        assert!(find("2222").unwrap_err().contains("could be 2 prompts"));
        assert!(find("7").is_err() && find("0").is_err() && find("+1").is_err());
    }
}
