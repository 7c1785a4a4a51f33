//! Queues: lists of prompts that are sent one after the other, stored in `queues.json`.
//!
//! The file keeps the shape that earlier releases of codex-agent wrote (2-space JSON, camelCase keys, ISO times,
//! four statuses; prompts are sent in the order of the list), so that both releases can use it. Unknown keys are
//! kept unchanged. Duplicate ids of prompts or queues, which only an editor can make, are replaced when the file
//! is read: the later id becomes `ID-2`. New keys are optional: `oneSession`, `sessionId`, `run`, `claiming`,
//! `lastRun` of a queue; `session`, `run`, `failure`, `retries` of a prompt.
//!
//! **Ownership.** The file owns the list of prompts, their order, text and mode, and whether the queue is paused.
//! The journal of the run of the queue owns the outcomes of claimed prompts; they are copied to the file at most
//! once a second, at edits and at the end. So a reader applies the journal to the queue
//! ([`Queue::apply_journal`]), and a prompt costs an append instead of a rewrite.
//!
//! **Claims.** A runner chooses a prompt and plans it in its journal under the lock of the file; an edit reads
//! the journal under the same lock. So a prompt that is being sent cannot be edited, and an edited prompt is
//! never sent in its old form. Before a prompt is claimed, the file names it in `claiming`, together with the
//! prompts that a fast queue claims until the next save. So the file alone shows which pending prompts may have
//! been sent, should the journal be missing: these prompts are interrupted.
//!
//! ```
//! use codex_agent_engine::queue::{Mode, Prompt, Queue};
//!
//! let mut queue = Queue::new("book", "/home/me/book", false);
//! for mode in [Mode::Auto, Mode::Manual] {
//!     queue.prompts.push(Prompt::new("Write a chapter".to_owned(), Vec::new(), mode));
//! }
//! // A manual prompt is not due.
//! assert_eq!((queue.counts().pending, queue.count_due()), (2, 1));
//! assert_eq!(queue.find("2").unwrap(), 1);
//! ```

use std::collections::HashSet;
use std::path::Path;

use serde::Serialize;

use crate::record::failure::Failure;
use crate::record::job::Job;
use codex_agent_shared::codex::home::config_directory;
use codex_agent_shared::error::{Error, Result, warn_of};
use codex_agent_shared::record::Id;
use codex_agent_shared::store;
use codex_agent_shared::store::{Changed, HasName, Store, kept_object};
use codex_agent_shared::text::{counted, quoted};
use codex_agent_shared::time::Timestamp;

mod prompt;
mod replay;
mod runner;

pub use prompt::{Mode, Prompt, PromptRecord, Status};
pub use replay::RunnerState;
pub use runner::{Runner, lock_runner};

kept_object! {
    /// A queue.
    #[derive(Clone, Debug, Default)]
    pub struct Queue {
        /// The id, a UUID.
        pub id: String = "id" needed,
        /// The name.
        pub name: String = "name" always,
        /// The working directory of its sessions.
        pub project: String = "projectPath" always,
        /// Whether the queue is paused.
        pub paused: bool = "paused" always,
        /// Whether all prompts are turns of one session.
        pub one_session: bool = "oneSession" optional,
        /// The id of that session.
        pub session: Option<Id> = "sessionId" optional,
        /// The prompts, in the order in which they are sent.
        pub prompts: Vec<Prompt> = "prompts" needed,
        /// The time of creation, RFC 3339.
        pub created_at: String = "createdAt" always,
        /// The unfinished run.
        pub run: Option<String> = "run" optional,
        /// The jobs that this run may have claimed since the file was saved; `None` if unknown.
        pub claiming: Option<Vec<String>> = "claiming" optional,
        /// The last finished run.
        pub last_run: Option<String> = "lastRun" optional,
    }
    then Queue::check;
}

kept_object! {
    /// The contents of the file.
    #[derive(Debug, Default)]
    pub struct Queues {
        /// The queues, in the order of their creation.
        pub queues: Vec<Queue> = "queues" needed,
    }
    then Queues::make_ids_unique;
}

/// Replaces duplicate ids by unique ids, which are the same at each reading.
fn make_unique<'i>(ids: impl Iterator<Item = &'i mut String>) {
    let ids: Vec<&mut String> = ids.collect();
    let mut used: HashSet<String> = ids.iter().map(|id| (**id).clone()).collect();
    let mut seen = HashSet::new();
    for id in ids {
        if id.is_empty() || seen.contains(id) {
            let mut numbered = (2..).map(|number| format!("{id}-{number}"));
            *id = numbered.find(|id| !used.contains(id)).unwrap_or_default();
            used.insert(id.clone());
        }
        seen.insert(id.clone());
    }
}

impl HasName for Queue {
    const WHAT: &'static str = "queue";

    fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn summary(&self) -> String {
        let prompts = counted(self.prompts.len(), "prompt");
        format!("{prompts} for '{}', created {}", self.project, self.created_at)
    }
}

/// The numbers of prompts by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Prompts that were not sent yet.
    pub pending: usize,
    /// Prompts that are being sent or answered.
    pub running: usize,
    /// Prompts that were answered.
    pub completed: usize,
    /// Prompts that failed.
    pub failed: usize,
}

/// A queue of prompts, which are sent one after the other.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QueueRecord<'q> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The id of the queue.
    id: &'q str,
    /// The name.
    name: &'q str,
    /// The working directory of its sessions.
    project: &'q str,
    /// Whether the queue is paused. A runner of a paused queue stops sending prompts.
    paused: bool,
    /// Whether all prompts are turns of one session.
    one_session: bool,
    /// The id of that session; null before it exists, and without one_session.
    session: Option<Id>,
    /// The unfinished run, or else the last run.
    run: Option<&'q str>,
    /// The state of the queue: running (a runner is working through it), dead (its runner was killed during
    /// a prompt), paused or idle.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["running", "dead", "paused", "idle"])))]
    state: &'static str,
    /// The numbers of prompts by status.
    counts: Counts,
    /// The time when the queue was created, unchanged from queues.json.
    created_at: &'q str,
}

impl Queue {
    fn check(&mut self) -> std::result::Result<(), &'static str> {
        make_unique(self.prompts.iter_mut().map(|prompt| &mut prompt.id));
        if self.id.is_empty() { Err("the id of a queue is empty") } else { Ok(()) }
    }

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

    /// The record of this queue; `life` is the result of [`Queue::apply_journal`].
    pub fn record(&self, life: RunnerState) -> QueueRecord<'_> {
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

    /// The state, as in the record.
    pub fn state(&self, life: RunnerState) -> &'static str {
        match life {
            RunnerState::Running => "running",
            RunnerState::Dead => "dead",
            RunnerState::Idle if self.paused => "paused",
            RunnerState::Idle => "idle",
        }
    }

    /// The numbers of prompts by status.
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

    /// The index of a prompt by reference: `3` is the third; otherwise an id, or at least four digits of its
    /// beginning or end.
    pub fn find(&self, text: &str) -> Result<usize> {
        let exact = self.position(text);
        let number = text.parse().ok().filter(|number| (1..=self.prompts.len()).contains(number));
        let found = match (number.filter(|_| !text.starts_with('+')), exact) {
            // An id of an old file may be a number too.
            (Some(number), Some(at)) if at != number - 1 => vec![number - 1, at],
            (Some(number), _) => vec![number - 1],
            (None, Some(at)) => vec![at],
            (None, None) => {
                let digits = text.to_lowercase();
                let is_meant = |at: &usize| {
                    let id = self.prompts[*at].id.to_lowercase();
                    digits.len() >= 4 && (id.starts_with(&digits) || id.ends_with(&digits))
                };
                (0..self.prompts.len()).filter(is_meant).collect()
            }
        };
        let name = &self.name;
        let error = match found[..] {
            [at] => return Ok(at),
            [] => Error::not_found(format!("there is no prompt '{text}' in queue '{name}'")),
            _ => Error::new(format!(
                "ambiguous prompt '{text}': {} prompts of queue '{name}' match",
                found.len()
            )),
        };
        Err(error
            .hint(format!("'codex-agent queue show {}' prints the numbers of the prompts", quoted(name))))
    }

    /// The index of the prompt with exactly this id.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.prompts.iter().position(|prompt| prompt.id == id)
    }

    /// The number of prompts that a runner would send.
    pub fn count_due(&self) -> usize {
        self.prompts.iter().filter(|prompt| prompt.is_due()).count()
    }

    /// The job of a prompt. `base` has the options of all jobs; `session` is the one session of the queue, if
    /// there is one.
    pub fn job(&self, at: usize, base: &Job, session: Option<Id>) -> Job {
        let prompt = &self.prompts[at];
        let mut job = base.with_prompt(prompt.prompt.as_str());
        job.id = prompt.job();
        job.cwd = Some(self.project.clone());
        job.images.extend(prompt.images.iter().cloned());
        match session.filter(|_| self.one_session) {
            Some(session) => job.resuming(session),
            None => job,
        }
    }

    /// Refuses a project that is no directory.
    pub fn check_project(&self) -> Result<()> {
        let (name, project) = (&self.name, Path::new(&self.project));
        let why = if !project.is_absolute() {
            "it is not an absolute path"
        } else if !project.is_dir() {
            "there is no such directory"
        } else {
            return Ok(());
        };
        let message =
            format!("cannot change to '{}', the project of queue '{name}': {why}", project.display());
        let command = format!("'codex-agent queue project {} DIR' changes the project", quoted(name));
        Err(Error::new(message).hint("no prompt was sent").hint(command))
    }
}

impl Queues {
    fn make_ids_unique(&mut self) -> std::result::Result<(), &'static str> {
        make_unique(self.queues.iter_mut().map(|queue| &mut queue.id));
        Ok(())
    }

    /// The file of all queues.
    pub fn store() -> Result<Store> {
        Ok(Store::new(config_directory()?.join("queues.json")))
    }

    /// All queues with the outcomes of their runs. A run that cannot be read causes a warning and does not
    /// affect other queues.
    pub fn read() -> Result<(Queues, Vec<RunnerState>)> {
        let mut queues: Queues = Queues::store()?.read()?;
        let life = |queue: &mut Queue| {
            queue.apply_journal().unwrap_or_else(|error| {
                warn_of(&error);
                RunnerState::Dead
            })
        };
        let lives = queues.queues.iter_mut().map(life).collect();
        Ok((queues, lives))
    }

    /// Changes the queue of this name or id under the lock of the file. The outcomes of its run were applied
    /// before.
    pub fn edit<R>(name: &str, change: impl FnOnce(&mut Queue, RunnerState) -> Result<R>) -> Result<R> {
        Queues::edit_at(|queues| queues.find(name), change)
    }

    /// As [`Queues::edit`], by the id alone: the name may have changed.
    pub fn edit_by_id<R>(id: &str, change: impl FnOnce(&mut Queue, RunnerState) -> Result<R>) -> Result<R> {
        Queues::edit_at(|queues| queues.by_id(id), change)
    }

    fn edit_at<R>(
        find: impl FnOnce(&Queues) -> Result<usize>,
        change: impl FnOnce(&mut Queue, RunnerState) -> Result<R>,
    ) -> Result<R> {
        Queues::store()?.update(|queues: &mut Queues| {
            let at = find(queues)?;
            let queue = &mut queues.queues[at];
            let life = queue.apply_journal()?;
            Ok((change(queue, life)?, Changed::Yes))
        })
    }

    /// The index of the queue of this name or id; an error if there is none, or two of the name.
    pub fn find(&self, name: &str) -> Result<usize> {
        store::find(&self.queues, name)
    }

    /// The index of the queue with exactly this id.
    pub fn by_id(&self, id: &str) -> Result<usize> {
        let at = self.queues.iter().position(|queue| queue.id == id);
        at.ok_or_else(|| Error::not_found(format!("queue '{id}' was deleted")))
    }

    /// As [`Queues::find`], but `None` if no queue has the name.
    pub fn position(&self, name: &str) -> Result<Option<usize>> {
        store::position(&self.queues, name)
    }

    /// The names of the runs that queues refer to.
    pub fn runs(&self) -> impl Iterator<Item = &str> {
        self.queues.iter().flat_map(|queue| queue.run.iter().chain(&queue.last_run)).map(String::as_str)
    }
}

/// Whether a new queue may have this name.
pub fn check_name(name: &str) -> Result<()> {
    store::check_name::<Queue>(name, Id::parse(name).is_some())
}

/// The failure of a prompt whose outcome is unknown.
pub(crate) fn interrupted(message: &str) -> Failure {
    Failure::new(crate::record::failure::Class::Interrupted, message)
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
    fn a_prompt_is_found_by_number_or_id() {
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
        assert!(find("2222").unwrap_err().contains("2 prompts of queue"));
        assert!(find("7").is_err() && find("0").is_err() && find("+1").is_err());
        for (at, id) in ["2", "22", "2222"].iter().enumerate() {
            queue.prompts[at].id = (*id).to_owned();
        }
        let find = |text: &str| queue.find(text).map_err(|error| error.message().to_owned());
        assert_eq!((find("1"), find("22"), find("2222")), (Ok(0), Ok(1), Ok(2)));
        assert!(find("2").unwrap_err().contains("2 prompts of queue"), "a number and an id");
        assert_eq!((queue.position("2"), queue.position("3")), (Some(0), None));
    }

    #[test]
    fn duplicate_ids_are_replaced() {
        let text = r#"{"queues":[
            {"id":"q","prompts":[{"id":"a","prompt":"1"},{"id":"a","prompt":"2"},{"id":"a-2","prompt":"3"},
                {"id":"","prompt":"4"},{"id":"b","prompt":"5","retries":1},{"id":"b.1","prompt":"6"}]},
            {"id":"q","prompts":[]}]}"#;
        let queues: Queues = serde_json::from_str(text).unwrap();
        let jobs: HashSet<String> = queues.queues[0].prompts.iter().map(Prompt::job).collect();
        assert_eq!(jobs.len(), 6, "{jobs:?}");
        assert_eq!(queues.queues[0].prompts[1].id, "a-3", "another prompt has the id a-2");
        assert_eq!((queues.by_id("q").unwrap(), queues.by_id("q-2").unwrap()), (0, 1));
        // The ids are the same at each reading, and after a save.
        let again: Queues = serde_json::from_str(&serde_json::to_string(&queues).unwrap()).unwrap();
        let ids = |queues: &Queues| queues.queues[0].prompts.iter().map(|p| p.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&queues), ids(&again));
    }
}
