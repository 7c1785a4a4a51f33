//! Applying the journal of a run to the prompts of a queue.

use crate::disk::progress::{JobOutcome, RunProgress};
use crate::disk::run_dir::RunDir;
use crate::queue::{Prompt, Queue, Status, interrupted};
use crate::record::failure::Class;
use codex_agent_shared::error::Result;
use codex_agent_shared::time::Timestamp;

/// The state of the runner of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunnerState {
    /// No runner, and no unfinished prompt.
    Idle,
    /// A runner is alive.
    Running,
    /// The runner was killed or exited during a prompt, whose job may still be running.
    Dead,
}

impl Prompt {
    /// Sets the prompt to the outcome of its job.
    pub(super) fn apply_outcome(&mut self, outcome: &JobOutcome, run: &str) {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        self.status = outcome.status;
        self.started_at = text(outcome.started_at);
        self.completed_at = text(outcome.ended_at);
        self.session = outcome.session;
        self.failure.clone_from(&outcome.failure);
        self.was_sent = outcome.was_sent;
        self.run = (outcome.status != Status::Pending).then(|| run.to_owned());
        self.set_exit(outcome.exit_code);
    }
}

impl Queue {
    /// Applies the journal of the unfinished run to the prompts. Applies the readable part even if it returns an
    /// error.
    pub fn apply_journal(&mut self) -> Result<RunnerState> {
        let Some(name) = self.run.clone() else {
            // Prompts of a killed runner of an earlier release.
            self.fail_running("its outcome is unknown", |_| true);
            return Ok(RunnerState::Idle);
        };
        let Some(dir) = RunDir::named(&name)? else {
            self.fail_lost(&name);
            return Ok(RunnerState::Idle);
        };
        let is_running = dir.is_running();
        let mut run = RunProgress::default();
        let read = run.replay(&dir);
        self.apply_run(&run, &name);
        if is_running {
            // A claimed prompt must not be changed. A runner that died after the claim has sent nothing.
            let is_claimed = |prompt: &Prompt| run.outcome(&prompt.job()).is_some_and(|job| job.is_claimed);
            let claimed = self.prompts.iter_mut().filter(|prompt| is_claimed(prompt));
            claimed.for_each(|prompt| prompt.status = Status::Running);
        }
        read?;
        // A stopped run has no running prompt: the rest waits for the next runner.
        let has_running = self.prompts.iter().any(|prompt| prompt.status == Status::Running);
        Ok(match has_running {
            _ if is_running => RunnerState::Running,
            true => RunnerState::Dead,
            false => RunnerState::Idle,
        })
    }

    /// Applies the outcomes of a run, and its one session, to the prompts.
    pub fn apply_run(&mut self, run: &RunProgress, name: &str) {
        self.apply_outcomes(run, name);
        // The journal may have the one session before the file does.
        let outcomes = run.all.iter().map(|job| &job.outcome);
        let begun = outcomes.filter(|outcome| outcome.session.is_some() && outcome.is_over());
        let first = begun.min_by_key(|outcome| outcome.started_at);
        self.session = self.session.or(first.and_then(|first| first.session).filter(|_| self.one_session));
    }

    /// Sets the prompts to the outcomes of a run.
    pub(super) fn apply_outcomes(&mut self, run: &RunProgress, name: &str) {
        for prompt in &mut self.prompts {
            if let Some(outcome) = run.outcome(&prompt.job()) {
                prompt.apply_outcome(outcome, name);
            }
        }
    }

    /// Marks prompts as interrupted after the journal of their run was lost: those that the run had claimed, or
    /// may have claimed since the file was saved. If the file does not name them, these are all due prompts.
    pub fn fail_lost(&mut self, run: &str) {
        let why = format!("the records of its run '{run}' are missing");
        self.fail_running(&why, |_| true);
        // A prompt is lost once: a retry sends it.
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

    /// The numbers of the prompts that a run left interrupted.
    pub fn interrupted_by(&self, run: &str) -> Vec<usize> {
        let is_one = |prompt: &Prompt| {
            let class = prompt.failure.as_ref().map(|failure| failure.class);
            prompt.run.as_deref() == Some(run) && class == Some(Class::Interrupted)
        };
        (1..).zip(&self.prompts).filter(|(_, prompt)| is_one(prompt)).map(|(number, _)| number).collect()
    }

    /// Abandons a run: the prompts that it had claimed are not sent again.
    pub fn abandon(&mut self, run: &str) {
        self.fail_running(&format!("its run '{run}' was abandoned"), |_| true);
        self.mark_resent();
        (self.run, self.claiming) = (None, None);
        self.last_run = Some(run.to_owned());
    }

    /// Counts a retry for each pending prompt that the run had sent, so that another run marks it as resent.
    pub(super) fn mark_resent(&mut self) {
        for prompt in &mut self.prompts {
            if std::mem::take(&mut prompt.was_sent) && prompt.status == Status::Pending {
                prompt.retries = prompt.retries.saturating_add(1);
            }
        }
    }

    /// Marks running prompts as interrupted if `is_lost`.
    pub(super) fn fail_running(&mut self, why: &str, is_lost: impl Fn(&Prompt) -> bool) {
        let is_running = |prompt: &&mut Prompt| prompt.status == Status::Running && is_lost(prompt);
        for prompt in self.prompts.iter_mut().filter(is_running) {
            prompt.status = Status::Failed;
            prompt.failure = Some(interrupted(why));
        }
    }
}
