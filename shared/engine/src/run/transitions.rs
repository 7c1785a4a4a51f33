//! Transitions at the end of an attempt: a job is completed, failed or rerun.
//!
//! No prompt is sent twice by default. A job is rerun when nothing was sent; when it reached a usage limit
//! without acting, with `--on-limit=wait`; when it failed transiently without acting, up to `retries` times; and
//! when it was interrupted, if `--interrupted` asks for it. If the model may have seen the prompt, the events of
//! the next attempt have `resent`.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::disk::progress::{JobState, NextStart, State};
use crate::process::judge::{Rollout, Verdict};
use crate::process::preflight::Checker;
use crate::process::recorded;
use crate::process::recorded::Trace;
use crate::process::running::Running;
use crate::record::event::{RunEvent, Usage};
use crate::record::failure::{Class, Failure, Sent};
use crate::record::settings::{Interrupted, OnBusy, OnLimit};
use crate::run::engine::Engine;
use crate::run::failed::Failed;
use crate::run::schedule::random;
use crate::run::usage_limit::reset_time;
use codex_agent_shared::codex::rollout;
use codex_agent_shared::codex::rollout::Ending;
use codex_agent_shared::codex::version::is_before;
use codex_agent_shared::error::Result;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;
use codex_agent_shared::transcript::{Reader, Tokens};

/// The wait before the first retry; each further wait is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// The longest wait before a retry.
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// The number of consecutive early crashes of unknown cause that stops a run.
pub(super) const MAX_EARLY_CRASHES: usize = 3;

/// Reads the rollout of the session of one attempt.
struct RolloutReader<'l> {
    checker: &'l mut Checker,
    home: Option<&'l str>,
    since: Timestamp,
    prompt: PathBuf,
}

impl Rollout for RolloutReader<'_> {
    fn error(&mut self, session: Id) -> Option<(String, serde_json::Value)> {
        rollout::last_turn(&self.checker.rollout(self.home, session)?).ok()?.error
    }

    fn ending(&mut self, session: Id) -> Option<Ending> {
        let prompt = std::fs::read_to_string(&self.prompt).ok()?;
        self.checker.ending(self.home, session, self.since, &prompt)
    }
}

impl Engine<'_> {
    pub(super) fn handle_end(&mut self, running: &Running) -> Result<()> {
        let at = running.task;
        let home = self.tasks.all[at].home.clone();
        let prompt = running.out.with_extension("prompt");
        let mut rollout = RolloutReader {
            checker: &mut self.checker,
            home: home.as_deref(),
            since: running.start.at,
            prompt,
        };
        let (exit, verdict) = running.judge(&mut rollout);
        let verdict = self.check_rollout(running, verdict);
        let verdict = match verdict {
            // A signal from outside killed Codex before it began: the job is rerun once.
            Verdict::Failed(failure, false)
                if failure.class == Class::Crashed
                    && running.follower.progress.session.is_none()
                    && exit.is_some_and(|exit| exit.signal().is_some())
                    && !self.tasks.all[at].anew =>
            {
                let failure =
                    Failure::new(Class::Unrecorded, format!("{}; the prompt was not sent", failure.message));
                Verdict::Failed(failure, true)
            }
            other => other,
        };
        let acted = running.follower.progress.acted;
        self.stop.killed |= running.was_stopped() && !matches!(verdict, Verdict::Completed { .. });
        let crashed_early = running.follower.progress.session.is_none()
            && matches!(&verdict, Verdict::Failed(failure, _) if failure.class.may_be_of_codex());
        let is_begun_anew =
            matches!(&verdict, Verdict::Failed(failure, true) if failure.class == Class::Unrecorded);
        if !crashed_early && !is_begun_anew {
            self.stop.early_crashes.clear();
        }
        let probed = self.limits.probes.get(&home) == Some(&at);
        if probed {
            self.limits.probes.remove(&home);
            // Other jobs wait only as long as the usage limit requires.
            self.limits.blocked_until = None;
        }
        if probed && !matches!(&verdict, Verdict::Failed(failure, _) if failure.class == Class::UsageLimit) {
            // Another outcome does not show that the limit is still in force.
            let gate = self.limits.gate(home.as_deref())?;
            match matches!(verdict, Verdict::Completed { .. }) || acted {
                true => gate.remove_limit()?,
                false => gate.release(),
            }
        }
        let (failure, again) = match verdict {
            Verdict::Completed { totals } => return self.complete(running, totals),
            Verdict::Unsent => {
                return self.rerun_unsent(at, "it was stopped before anything was sent", Duration::ZERO);
            }
            Verdict::Failed(failure, again) => (failure, again),
        };
        let class = failure.class;
        let mut failed = Failed { failure, again, exit, usage: None };
        match class {
            Class::Busy | Class::Locked => self.handle_busy(at, failed.failure),
            _ if crashed_early => self.handle_early_end(at, failed),
            Class::UsageLimit => {
                let session = running.follower.progress.session;
                let rollout = session.and_then(|session| self.checker.rollout(home.as_deref(), session));
                let windows =
                    rollout.and_then(|rollout| rollout::limit_windows(&rollout).ok()).unwrap_or_default();
                failed.failure.until = reset_time(failed.failure.until, &windows);
                let gate = self.limits.gate(home.as_deref())?;
                let Failure { until, message, .. } = &failed.failure;
                gate.record_limit(*until, &windows, message, Timestamp::now(), probed)?;
                self.handle_limit(at, failed)
            }
            Class::Unrecorded if again => {
                self.tasks.all[at].anew = true;
                self.retry(at, failed, Duration::ZERO)
            }
            Class::Interrupted if self.may_recover(at, running.adopted) => {
                self.retry(at, failed, Duration::ZERO)
            }
            _ if class.may_pass() && !acted && self.count_tries(at) < self.settings.retries => {
                let wait = self.delay_retry(at);
                self.retry(at, failed, wait)
            }
            _ => self.fail(at, failed),
        }
    }

    /// Corrects a verdict by the rollout of the session, where the output is not enough.
    fn check_rollout(&mut self, running: &Running, verdict: Verdict) -> Verdict {
        let progress = &running.follower.progress;
        let is_other =
            matches!(&verdict, Verdict::Failed(failure, _) if failure.class == Class::WrongSession);
        let Some(session) = progress.session.filter(|_| !is_other) else { return verdict };
        // An ephemeral session has no rollout.
        if self.is_ephemeral(running.task) {
            return verdict;
        }
        let task = &self.tasks.all[running.task];
        let (home, of, anew) = (task.home.clone(), task.of.job.clone(), task.anew);
        let (asked, before) = task
            .start
            .as_ref()
            .map_or((None, None), |start| (start.version.clone().filter(|_| start.is_new), start.before));
        let rollout = self.checker.rollout(home.as_deref(), session);
        if let Some(rollout) = &rollout {
            if let Some(failure) = recorded::find_damage(rollout) {
                self.checker.forget_versions();
                return Verdict::Failed(failure, false);
            }
            // The executable reports a wrong version, or was replaced at that moment.
            if let (Some(asked), Some(wrote)) = (asked, recorded::read_creator(rollout))
                && asked != wrote
            {
                self.checker.forget_versions();
                self.listener.status(&format!(
                    "job {of}: Codex reported version {asked}, but version {wrote} began session '{session}'"
                ));
            }
        }
        let (rollout, words) = (rollout.as_deref(), running.last_words());
        match &verdict {
            Verdict::Completed { .. } => match recorded::find_loss(rollout, before, progress, &words) {
                Some(failure) => Verdict::Failed(failure, false),
                None => verdict,
            },
            Verdict::Failed(failure, _) if matches!(failure.class, Class::Interrupted | Class::Crashed) => {
                let is_seen = self.checker.has_readable_rollouts(home.as_deref());
                let proves =
                    is_seen && !running.is_of_other_boot() && !recorded::is_unsaved(progress, &words);
                if !proves || progress.acted || progress.terminal.is_some() {
                    return verdict;
                }
                let continues = self.settings.interrupted == Interrupted::Continue;
                let is_interrupted = failure.class == Class::Interrupted;
                let message = match recorded::trace(rollout, before) {
                    Trace::None if !progress.turned || (continues && is_interrupted) => {
                        "Codex ended before it wrote anything of the session"
                    }
                    Trace::Silent if continues && is_interrupted => {
                        "Codex ended before it recorded the prompt"
                    }
                    _ => return verdict,
                };
                // A job is begun anew once, or after each crash of a runner, which is not the fault of the job.
                let again = !anew || (continues && running.adopted);
                let failure = Failure::new(Class::Unrecorded, format!("{message}; the prompt was not sent"));
                Verdict::Failed(failure, again)
            }
            _ => verdict,
        }
    }

    /// Whether the arguments of the job make its session ephemeral.
    fn is_ephemeral(&self, at: usize) -> bool {
        let job = self.journal.job(self.tasks.all[at].place);
        job.is_ok_and(|job| {
            let words = job.options.args.iter().chain(&job.options.config);
            words.into_iter().any(|word| word.contains("ephemeral"))
        })
    }

    /// Handles a job whose Codex ended before it began. A single failure may be the fault of the job; several in
    /// a row are the fault of Codex or its home, and stop the run. These jobs stay pending: nothing was sent.
    pub(super) fn handle_early_end(&mut self, at: usize, failed: Failed) -> Result<()> {
        if !failed.failure.class.may_be_of_codex() || self.feed.is_of_worker() {
            return self.fail(at, failed);
        }
        let class = failed.failure.class;
        self.stop.early_crashes.push((at, failed.clone()));
        if self.stop.early_crashes.len() < MAX_EARLY_CRASHES && !self.stop.is_broken {
            return self.fail(at, failed);
        }
        // Jobs that were started at the same time count too.
        self.stop.is_broken = true;
        let goes_on = self.stop.why.is_none() && self.close_here(class, None);
        for (at, failed) in std::mem::take(&mut self.stop.early_crashes) {
            match goes_on {
                true => self.retry(at, failed, Duration::ZERO)?,
                false => self.record_failure(at, Failed { again: true, ..failed })?,
            }
        }
        Ok(())
    }

    fn complete(&mut self, running: &Running, totals: Usage) -> Result<()> {
        let at = running.task;
        self.tasks.set_state(at, State::Completed);
        // Codex counts a session from its beginning (from 0.89).
        let start = self.tasks.all[at].start.as_ref();
        let version =
            start.and_then(|start| start.version.as_deref()).or(self.tasks.codex.version.as_deref());
        let counts_turns = version.is_some_and(|version| is_before(version, (0, 89)));
        let usage = match &running.start.usage_before {
            _ if totals.is_empty() => None,
            _ if running.start.is_new || counts_turns => Some(totals),
            Some(before) => Some(turn_usage(totals, before)),
            None => None,
        };
        let usage = match self.find_rollout(at) {
            Some(rollout) => self.with_counted_tokens(at, &rollout, usage),
            None => usage,
        };
        let start = self.tasks.all[at].start.as_ref();
        let what = RunEvent::JobCompleted {
            of: self.tasks.all[at].of.clone(),
            last_message: running.follower.progress.last_message.clone(),
            usage,
            duration_ms: start.map_or(0, |start| start.age().as_millis() as i64),
            adopted: running.adopted,
        };
        self.record_event(what, true)
    }

    /// Records a failed job, and stops the run if all jobs would fail in the same way.
    pub(super) fn fail(&mut self, at: usize, failed: Failed) -> Result<()> {
        let Failure { class, until, .. } = failed.failure;
        if class.row().stops_run && self.stop.why.is_none() && !self.feed.is_of_worker() {
            let goes_on = self.close_here(class, until);
            if goes_on && failed.again {
                // It is done if this machine is opened again in this run, and otherwise left.
                return self.retry(at, failed, Duration::ZERO);
            }
        }
        self.record_failed_job(at, failed)
    }

    /// As [`Engine::fail`], but the run stops only at `max_failures`.
    pub(super) fn record_failed_job(&mut self, at: usize, failed: Failed) -> Result<()> {
        self.busy.remove(&at);
        self.stop.failures += 1;
        if self.settings.max_failures.is_some_and(|most| self.stop.failures >= most) {
            self.stop.why.get_or_insert("max_failures".to_owned());
        }
        self.record_failure(at, failed)
    }

    pub(super) fn record_failure(&mut self, at: usize, failed: Failed) -> Result<()> {
        let Failed { failure, again, exit, usage } = failed;
        let usage = if self.tasks.all[at].of.host.is_some() { usage } else { self.find_usage(at, &failure) };
        self.tasks.set_state(at, State::Failed { again, sent: failure.class.row().sent != Sent::No });
        let JobState { of, next, .. } = &self.tasks.all[at];
        let what = RunEvent::JobFailed {
            of: of.clone(),
            failure,
            exit_code: exit.and_then(|exit| exit.code()),
            signal: exit.and_then(|exit| exit.signal()),
            again,
            continues: again && matches!(next, NextStart::Continue(_)),
            usage,
        };
        self.record_event(what, true)
    }

    /// The tokens of a job: those that Codex reported, with the numbers that its rollout has of each answer of the model.
    /// Codex's own sum lacks compactions by the service, and goes back at a revert.
    fn with_counted_tokens(&self, at: usize, rollout: &Path, reported: Option<Usage>) -> Option<Usage> {
        let Some(tokens) = self.count_tokens(at, rollout) else { return reported };
        let mut usage = reported.unwrap_or_default();
        let counted = [
            ("input_tokens", tokens.input),
            ("cached_input_tokens", tokens.cached),
            ("output_tokens", tokens.output),
            ("reasoning_output_tokens", tokens.reasoning),
        ];
        usage.extend(counted.map(|(name, number)| (name.to_owned(), number)));
        Some(usage)
    }

    /// The tokens of the turn of a job in the rollout of its session.
    fn count_tokens(&self, at: usize, rollout: &Path) -> Option<Tokens> {
        let start = self.tasks.all[at].start.as_ref()?;
        let began = Timestamp::now().0 - start.age().as_millis() as i64;
        let turn = Reader::last_turn_of_file(rollout).ok()??;
        // An earlier turn is not that of the job. The clock may have been set meanwhile.
        turn.tokens.filter(|_| turn.started_at.is_some_and(|at| at.0 >= began - 5000))
    }

    /// The rollout of the session of a job.
    fn find_rollout(&mut self, at: usize) -> Option<PathBuf> {
        let task = &self.tasks.all[at];
        let (session, home) = (task.of.session?, task.home.clone());
        self.checker.rollout(home.as_deref(), session)
    }

    /// The tokens of a failed turn. Codex reports none, but its rollout has those of each answer of the model.
    fn find_usage(&mut self, at: usize, failure: &Failure) -> Option<Usage> {
        if failure.class.row().sent == Sent::No || failure.class == Class::WrongSession {
            return None;
        }
        let rollout = self.find_rollout(at)?;
        let known = self.find_total(at, &rollout);
        self.with_counted_tokens(at, &rollout, known)
    }

    fn find_total(&self, at: usize, rollout: &Path) -> Option<Usage> {
        let start = self.tasks.all[at].start.as_ref()?;
        let before = if start.is_new { Some(Usage::new()) } else { start.usage_before.clone() }?;
        let mut totals = rollout::last_turn(rollout).ok()?.total_usage?;
        // Codex does not report this sum at the end of a turn.
        totals.remove("total_tokens");
        Some(turn_usage(totals, &before)).filter(|usage| !usage.is_empty())
    }

    /// Records a failed attempt of a job that this run reruns after a while.
    pub(super) fn retry(&mut self, at: usize, failed: Failed, wait: Duration) -> Result<()> {
        self.record_failure(at, Failed { again: true, ..failed })?;
        if self.feed.is_of_worker() {
            // The run of the other machine asks for the next attempt.
            return Ok(());
        }
        self.tasks.set_state(at, State::Pending);
        self.give_back(at, wait);
        Ok(())
    }

    fn handle_limit(&mut self, at: usize, failed: Failed) -> Result<()> {
        let waits = self.settings.on_limit == OnLimit::Wait && self.stop.requests == 0;
        match failed.again {
            true if waits => self.retry(at, failed, Duration::ZERO),
            // The turn has acted, so the job is not rerun; the others wait.
            false if waits => self.record_failed_job(at, failed),
            _ => self.fail(at, failed),
        }
    }

    /// Whether an interrupted job is continued or sent again. A job that is interrupted twice under this runner
    /// is not.
    pub(super) fn may_recover(&mut self, at: usize, is_adopted: bool) -> bool {
        let session = self.tasks.all[at].of.session;
        let next = match (self.settings.interrupted, session) {
            (Interrupted::Fail, _) => return false,
            (Interrupted::Continue, Some(session)) => NextStart::Continue(session),
            // Without a session there is nothing to continue.
            (Interrupted::Continue, None) => return false,
            (Interrupted::Retry, _) => self.tasks.all[at].next,
        };
        let tries = self.tries.entry(at).or_default();
        if !is_adopted && *tries > 0 {
            return false;
        }
        *tries += 1;
        self.tasks.all[at].next = next;
        true
    }

    /// Counts a retry of a job, and returns the wait before it.
    pub(super) fn delay_retry(&mut self, at: usize) -> Duration {
        let tries = self.tries.entry(at).or_default();
        let wait = (FIRST_RETRY * 2_u32.saturating_pow(*tries)).min(LONGEST_RETRY);
        *tries += 1;
        wait + Duration::from_millis(random(wait.as_millis() as u64 / 4))
    }

    /// The number of retries of a job. The run of the other machine counts those of a worker.
    pub(super) fn count_tries(&self, at: usize) -> u32 {
        if self.feed.is_of_worker() { 0 } else { self.tries.get(&at).copied().unwrap_or(0) }
    }

    /// Handles a job whose session is in use. Nothing was sent.
    pub(super) fn handle_busy(&mut self, at: usize, mut failure: Failure) -> Result<()> {
        if self.feed.is_of_worker() {
            self.name_holder(at, &mut failure);
            return self.return_job(at, failure);
        }
        let now = Instant::now();
        let was_started = self.tasks.all[at].state != State::Pending;
        if was_started {
            self.tasks.set_state(at, State::Pending);
        }
        let (since, checks) = *self.busy.entry(at).or_insert((now, 0));
        // A locked database is no session: skip and fork do not apply.
        let policy = if failure.class == Class::Locked { OnBusy::default() } else { self.settings.on_busy };
        let waits = policy.waits(now.duration_since(since));
        if !waits || checks == 0 {
            self.name_holder(at, &mut failure);
        }
        let message = failure.message.clone();
        match policy {
            OnBusy::Wait(_) if waits => {
                if checks == 0 {
                    self.listener.status(&format!("{message}; the job waits for the session"));
                }
                match was_started {
                    true => self.record_unstarted(at, &message)?,
                    false => self.unclaim(at, &message)?,
                }
                self.wait_for_session(at);
                Ok(())
            }
            OnBusy::Fork if self.tasks.all[at].next == NextStart::Plan => {
                self.listener.status(&format!("{message}; the job continues in a fork of the session"));
                self.tasks.all[at].next = NextStart::Fork;
                self.unclaim(at, &message)?;
                self.give_back(at, Duration::ZERO);
                Ok(())
            }
            OnBusy::Skip => {
                self.tasks.set_state(at, State::Skipped);
                let of = self.tasks.all[at].of.clone();
                let (why, failure) = (message, None);
                self.record_event(RunEvent::JobSkipped { of, why, withdrawn: false, failure }, true)
            }
            _ => self.fail(at, Failed::without_exit(failure)),
        }
    }

    /// Adds the process that holds the session to a failure.
    fn name_holder(&mut self, at: usize, failure: &mut Failure) {
        let task = &self.tasks.all[at];
        let (home, session) = (task.home.clone(), task.session_driven());
        // A host names the holder itself.
        let is_here = failure.class == Class::Busy && task.host().is_none();
        let Some(session) = session.filter(|_| is_here) else { return };
        if let Some(holder) = self.checker.holder(home.as_deref(), session) {
            let command = holder.command.as_deref().unwrap_or("its command is unknown");
            failure.message.push_str(&format!(" (process {}: {command})", holder.pid));
            failure.holder = Some(holder);
        }
    }

    /// Delays a job whose session is busy, longer each time.
    pub(super) fn wait_for_session(&mut self, at: usize) {
        let (_, checks) = self.busy.entry(at).or_insert((Instant::now(), 0));
        *checks += 1;
        let wait = Duration::from_millis(250 << (*checks).min(5));
        self.give_back(at, wait);
    }
}

/// The tokens of a turn: the total of the session after it, less the total before.
fn turn_usage(totals: Usage, before: &Usage) -> BTreeMap<String, i64> {
    let less = |(name, total): (String, i64)| {
        let own = total - before.get(&name).copied().unwrap_or(0);
        (name, own)
    };
    totals.into_iter().map(less).collect()
}
