//! What a run has done to the prompts of a queue, laid over what the file says.

use std::collections::HashMap;

use crate::disk::journal;
use crate::disk::journal::Entry;
use crate::disk::run_dir::RunDir;
use crate::queue::{Prompt, Queue, Status, interrupted};
use crate::record::event::{Event, What};
use crate::record::failure::Sent;
use crate::record::failure::{Class, Failure};
use codex_agent_shared::error::Result;
use codex_agent_shared::record::Id;

/// What is known of a prompt that was claimed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptState {
    /// How far it is.
    pub status: Status,
    /// Whether it was planned, and nothing was heard of it since: its runner is about to send it.
    claimed: bool,
    /// Whether the model may have seen it in this run, although it is pending.
    sent: bool,
    /// When it was sent and ended, RFC 3339.
    pub started_at: Option<String>,
    #[allow(missing_docs)]
    pub completed_at: Option<String>,
    /// The session that it went to.
    pub session: Option<Id>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// How Codex ended.
    pub exit_code: Option<i32>,
}

/// Whether somebody works through a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunnerState {
    /// Nobody, and nothing is left of a run.
    Idle,
    /// A runner.
    Running,
    /// A runner did, and died or left; its job may live.
    Dead,
}

impl PromptState {
    /// Takes in what an event says of the prompt. False for an event that says nothing of it.
    pub fn hear(&mut self, event: &Event) -> bool {
        self.claimed = false;
        match &event.what {
            What::JobStarted { of, .. } => {
                let sent = self.sent;
                *self = PromptState {
                    status: Status::Running,
                    session: of.session,
                    sent,
                    ..PromptState::default()
                };
                self.started_at = Some(event.at.to_string());
            }
            What::JobSession { of } => self.session = of.session,
            What::JobCompleted { of, .. } => {
                (self.status, self.session) = (Status::Completed, of.session);
                self.exit_code = Some(0);
                self.completed_at = Some(event.at.to_string());
            }
            What::JobFailed { again: true, failure, .. } => {
                let sent = self.sent || failure.class.row().sent != Sent::No;
                *self = PromptState { sent, ..PromptState::default() };
            }
            What::JobSkipped { withdrawn: true, .. } => *self = self.pending(),
            What::JobFailed { of, failure, exit_code, .. } => {
                (self.status, self.session) = (Status::Failed, of.session);
                (self.failure, self.exit_code) = (Some(failure.clone()), *exit_code);
                self.completed_at = Some(event.at.to_string());
            }
            What::JobSkipped { why, .. } => {
                self.status = Status::Failed;
                self.failure = Some(Failure::new(Class::Busy, why.clone()));
                self.completed_at = Some(event.at.to_string());
            }
            _ => return false,
        }
        true
    }

    /// The same prompt, to be chosen anew.
    pub(super) fn pending(&self) -> PromptState {
        PromptState { sent: self.sent, ..PromptState::default() }
    }

    /// Whether it was claimed, and nobody has said how it ended.
    fn is_under_way(&self) -> bool {
        self.claimed || self.status == Status::Running
    }

    /// Whether it was sent and has ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.status, Status::Completed | Status::Failed)
    }

    /// Writes it into the prompt.
    pub fn put(&self, prompt: &mut Prompt, run: &str) {
        prompt.status = self.status;
        prompt.started_at.clone_from(&self.started_at);
        prompt.completed_at.clone_from(&self.completed_at);
        prompt.session = self.session;
        prompt.failure.clone_from(&self.failure);
        prompt.was_sent = self.sent;
        prompt.run = (self.status != Status::Pending).then(|| run.to_owned());
        prompt.set_exit(self.exit_code);
    }
}

/// What the journal of a run says of its jobs, by their ids.
pub fn prompt_states(folder: &RunDir) -> Result<HashMap<String, PromptState>> {
    let mut all = HashMap::new();
    read(folder, &mut all)?;
    Ok(all)
}

/// Takes in what the journal says, as far as it can be read.
fn read(folder: &RunDir, all: &mut HashMap<String, PromptState>) -> Result<()> {
    journal::read(&folder.journal(), |entry| {
        let event = match entry {
            Entry::Job(job, _) => {
                let prompt_states = all.entry(job.id).or_default();
                *prompt_states = PromptState { claimed: true, ..prompt_states.pending() };
                return Ok(());
            }
            Entry::Event(event) => event,
        };
        if let Some(of) = event.what.of() {
            if let Some(prompt_states) = all.get_mut(&of.job) {
                prompt_states.hear(&event);
            } else {
                let mut prompt_states = PromptState::default();
                if prompt_states.hear(&event) {
                    all.insert(of.job.clone(), prompt_states);
                }
            }
        } else if matches!(event.what, What::RunStopped { .. } | What::RunCompleted {}) {
            // A run stops when nothing runs any more. Of what it does not tell the end, nothing was sent.
            all.values_mut()
                .filter(|prompt_states| prompt_states.is_under_way())
                .for_each(|prompt_states| *prompt_states = prompt_states.pending());
        }
        Ok(())
    })
}

impl Queue {
    /// Lays over the prompts what the queue's unfinished run has done, also where an error is all that can
    /// be said of the rest.
    pub fn lay_over(&mut self) -> Result<RunnerState> {
        let Some(run) = self.run.clone() else {
            // Of a predecessor that was killed.
            self.give_up("nobody knows what became of it", |_| true);
            return Ok(RunnerState::Idle);
        };
        let Some(folder) = RunDir::named(&run)? else {
            self.lose(&run);
            return Ok(RunnerState::Idle);
        };
        let life = if folder.is_running() { RunnerState::Running } else { RunnerState::Dead };
        let mut prompt_states = HashMap::new();
        let read = read(&folder, &mut prompt_states);
        self.put(&prompt_states, &run);
        // The journal may know of the one session what the file does not yet.
        let first = |prompt_states: &&PromptState| prompt_states.session.is_some() && prompt_states.is_over();
        let begun =
            prompt_states.values().filter(first).min_by_key(|prompt_states| prompt_states.started_at.clone());
        self.session = self
            .session
            .or(begun.and_then(|prompt_states| prompt_states.session).filter(|_| self.one_session));
        // What is about to be sent is not to be changed. A runner that died then has sent nothing.
        let is_claimed = |prompt: &&mut Prompt| {
            prompt_states.get(&prompt.job()).is_some_and(|prompt_states| prompt_states.claimed)
        };
        if life == RunnerState::Running {
            let claimed = self.prompts.iter_mut().filter(is_claimed);
            claimed.for_each(|prompt| prompt.status = Status::Running);
        }
        read?;
        // One that was stopped has nothing under way: the rest waits for the next runner.
        let is_under_way = self.prompts.iter().any(|prompt| prompt.status == Status::Running);
        Ok(if life == RunnerState::Dead && !is_under_way { RunnerState::Idle } else { life })
    }

    /// Writes into the prompts what is known of them from a run.
    pub(super) fn put(&mut self, prompt_states: &HashMap<String, PromptState>, run: &str) {
        for prompt in &mut self.prompts {
            if let Some(prompt_states) = prompt_states.get(&prompt.job()) {
                prompt_states.put(prompt, run);
            }
        }
    }

    /// The journal of its run is gone: what that had claimed, or may have claimed since the file was saved, is
    /// interrupted. Where the file does not say which those are, they are all that are due.
    pub fn lose(&mut self, run: &str) {
        let why = format!("the records of its run '{run}' are gone");
        self.give_up(&why, |_| true);
        // Nothing is lost twice: what is asked for again after this is sent.
        let claiming = self.claiming.replace(Vec::new());
        let may_be_sent = |prompt: &Prompt| match &claiming {
            Some(claiming) => prompt.status == Status::Pending && claiming.contains(&prompt.job()),
            None => prompt.is_due(),
        };
        for prompt in self.prompts.iter_mut().filter(|prompt| may_be_sent(prompt)) {
            prompt.status = Status::Failed;
            prompt.run = Some(run.to_owned());
            prompt.failure = Some(interrupted(&why));
        }
    }

    /// The prompts that a run has left interrupted, by their numbers.
    pub fn interrupted_by(&self, run: &str) -> Vec<usize> {
        let is_one = |prompt: &Prompt| {
            let class = prompt.failure.as_ref().map(|failure| failure.class);
            prompt.run.as_deref() == Some(run) && class == Some(Class::Interrupted)
        };
        (1..).zip(&self.prompts).filter(|(_, prompt)| is_one(prompt)).map(|(number, _)| number).collect()
    }

    /// Nobody goes on with a run: what it had claimed is never sent again by itself.
    pub fn abandon(&mut self, run: &str) {
        self.give_up(&format!("nobody goes on with its run '{run}'"), |_| true);
        self.leave();
        (self.run, self.claiming) = (None, None);
        self.last_run = Some(run.to_owned());
    }

    /// What is sent once more by another run is marked as such, as where somebody asks for it.
    pub(super) fn leave(&mut self) {
        for prompt in &mut self.prompts {
            if std::mem::take(&mut prompt.was_sent) && prompt.status == Status::Pending {
                prompt.retries = prompt.retries.saturating_add(1);
            }
        }
    }

    /// Nobody can tell what became of the prompts that were claimed, of those that are lost.
    pub(super) fn give_up(&mut self, why: &str, is_lost: impl Fn(&Prompt) -> bool) {
        let is_running = |prompt: &&mut Prompt| prompt.status == Status::Running && is_lost(prompt);
        for prompt in self.prompts.iter_mut().filter(is_running) {
            prompt.status = Status::Failed;
            prompt.failure = Some(interrupted(why));
        }
    }
}
