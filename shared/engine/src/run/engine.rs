//! The one loop that starts, follows, judges and stops the jobs of a run.
//!
//! The loop sleeps in `poll` until a signal arrives or a poll is due. There are no threads: the end of a child
//! is a signal, and growing files are polled ten times a second. Each running job costs one open file; memory
//! holds the list of jobs without their prompts.
//!
//! **Stopping.** The first SIGINT, SIGTERM or SIGHUP stops starting jobs and waits for running jobs; SIGHUP
//! counts once, however often it arrives. The second stops running jobs. The third exits immediately: the jobs
//! keep running, and a continued run finds them.
//!
//! **Observing.** An observer receives events after they are in the journal. A run never fails because of an
//! observer, and never waits for a reader of standard output or standard error.
//!
//! The order of starts is in `schedule`, the consequences of an end in `transitions`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::codex::version::Versions;
use crate::disk::journal::Journal;
use crate::disk::progress::{JobState, NextStart, RunProgress, State};
use crate::disk::run_dir::RunDir;
use crate::liveness;
use crate::process::command;
use crate::process::preflight::Checker;
use crate::process::running::{Change, Running};
use crate::process::session_lock::SessionLock;
use crate::process::spawn;
use crate::record::event::{Codex, Counts, Event, RunEvent};
use crate::record::failure::{Class, Failure};
use crate::record::job::VERSION;
use crate::record::settings::Settings;
use crate::run::feed::JobFeed;
use crate::run::observer::{Observer, RunningJob, about};
use crate::run::usage_limit::LimitGate;
use codex_agent_shared::child::signals::Signals;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::error::{Error, Result, buffer_stderr, reason};
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// The polling interval for files of running jobs.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// The interval at which a run that is blocked by a usage limit checks whether its queue still has prompts.
const BLOCKED_CHECK: Duration = Duration::from_secs(1);

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// All jobs ended.
    Completed {
        /// The number of failed jobs, including those of earlier runners.
        failed: usize,
        /// Whether jobs were killed because of a request to stop.
        killed: bool,
    },
    /// Jobs are pending.
    Stopped {
        /// `signal`, `max_failures`, or the class of the failure that any job would meet.
        why: String,
        /// The number of pending jobs.
        left: usize,
        /// The time when a usage limit resets, if Codex reported it.
        until: Option<Timestamp>,
        /// Whether jobs were killed because of a request to stop.
        killed: bool,
    },
    /// The runner exited while jobs were running.
    Left {
        /// The number of running jobs.
        living: usize,
    },
}

/// Runs the pending jobs of a run. `journal` is locked by this process, and `tasks` is its contents. Jobs that
/// are not in the plan come from `source`.
pub fn supervise<'e>(
    folder: &'e RunDir,
    journal: Journal,
    tasks: RunProgress,
    settings: Settings,
    source: Option<&'e mut dyn JobFeed>,
    listener: &'e mut dyn Observer,
) -> Result<RunEnd> {
    spawn::check_depth()?;
    // The version query may take a while. Signals have their default action until then: nothing was begun.
    let mut versions = Versions::default();
    let codex = command::about(&settings.codex, tasks.codex_home.as_deref(), &mut versions);
    let signals = Signals::catch()?;
    buffer_stderr();
    let mut engine = Engine::new(folder, journal, tasks, settings, codex.version.clone(), listener);
    engine.checker = Checker::new(&engine.settings.codex, versions);
    engine.source = source;
    engine.begin(codex)?;
    engine.run(signals)
}

/// Ends a run that will not be continued, so that it blocks no other run: judges started jobs and records the
/// rest as skipped. A run that has a runner, has ended or cannot be read stays unchanged. The caller has checked
/// that no job is running. Signals have their default action: an interrupted call can be repeated.
pub fn conclude(folder: &RunDir, why: &str, listener: &mut dyn Observer) -> Result<()> {
    let Some(journal) = Journal::open(folder.journal())? else { return Ok(()) };
    let Ok(tasks) = RunProgress::read(folder) else { return Ok(()) };
    if !tasks.is_begun() || !tasks.is_open() {
        return Ok(());
    }
    let (codex, version) = (tasks.codex.path.clone(), tasks.codex.version.clone());
    let settings = Settings { codex: codex.unwrap_or_default().into(), ..Settings::default() };
    let mut engine = Engine::new(folder, journal, tasks, settings, version, listener);
    engine.why = Some(why.to_owned());
    engine.adopt_all()?;
    loop {
        engine.look_at_all()?;
        if engine.running.is_empty() {
            break;
        }
        std::thread::sleep(LOOK);
    }
    engine.skip_rest()?;
    engine.record_event(RunEvent::RunStopped { why: why.to_owned(), left: 0, until: None }, true)
}

/// The state of a run while its jobs are run.
pub(super) struct Engine<'e> {
    pub(super) folder: &'e RunDir,
    pub(super) journal: Journal,
    pub(super) tasks: RunProgress,
    pub(super) settings: Settings,
    pub(super) checker: Checker,
    /// The version of Codex in the directory where the run was begun.
    pub(super) version: Option<String>,
    pub(super) source: Option<&'e mut dyn JobFeed>,
    pub(super) listener: &'e mut dyn Observer,
    /// The usage limits of the Codex homes of jobs.
    pub(super) gates: BTreeMap<Option<String>, LimitGate>,
    /// The jobs that test whether a usage limit has reset, by home.
    pub(super) probes: BTreeMap<Option<String>, usize>,
    pub(super) running: Vec<Running>,
    /// The jobs to start, in order.
    pub(super) queue: VecDeque<usize>,
    /// The jobs to start later, each with its time.
    pub(super) waiting: Vec<(Instant, usize)>,
    /// The jobs whose session is busy, each with the time of the first check and the number of checks.
    pub(super) busy: HashMap<usize, (Instant, u32)>,
    /// The number of retries by job.
    pub(super) tries: HashMap<usize, u32>,
    /// No job is started before this time.
    pub(super) blocked_until: Option<Instant>,
    /// The reset time that was reported last.
    pub(super) announced: Option<Timestamp>,
    /// Whether the source reported that it is empty.
    pub(super) drained: bool,
    /// Whether the last round ended for want of time and more jobs can be started.
    pub(super) time_slice_used: bool,
    /// Whether a job was interrupted because of a request to stop.
    pub(super) killed: bool,
    /// The reason why no more jobs are started.
    pub(super) why: Option<String>,
    pub(super) until: Option<Timestamp>,
    /// The error that ends the run when no job is running.
    pub(super) trouble: Option<Error>,
    pub(super) stop_requests: usize,
    /// Whether SIGHUP has arrived.
    pub(super) hung_up: bool,
    pub(super) failures: usize,
    /// The consecutive jobs whose Codex ended before it began a turn.
    pub(super) early_crashes: Vec<(usize, Failure, Option<ExitStatus>)>,
    /// Whether their number stopped the run.
    pub(super) is_broken: bool,
    pub(super) starts: usize,
    pub(super) next_start: Instant,
}

impl<'e> Engine<'e> {
    fn new(
        folder: &'e RunDir,
        journal: Journal,
        tasks: RunProgress,
        settings: Settings,
        version: Option<String>,
        listener: &'e mut dyn Observer,
    ) -> Engine<'e> {
        Engine {
            folder,
            journal,
            tasks,
            checker: Checker::new(&settings.codex, Versions::default()),
            settings,
            version,
            source: None,
            listener,
            gates: BTreeMap::new(),
            probes: BTreeMap::new(),
            running: Vec::new(),
            queue: VecDeque::new(),
            waiting: Vec::new(),
            busy: HashMap::new(),
            tries: HashMap::new(),
            blocked_until: None,
            announced: None,
            drained: false,
            time_slice_used: false,
            killed: false,
            why: None,
            until: None,
            trouble: None,
            stop_requests: 0,
            hung_up: false,
            failures: 0,
            early_crashes: Vec::new(),
            is_broken: false,
            starts: 0,
            next_start: Instant::now(),
        }
    }

    pub(super) fn record_event(&mut self, what: RunEvent, sync: bool) -> Result<()> {
        let run = self.folder.name().to_owned();
        let mut event = Event { what, v: VERSION, run, at: Timestamp::now(), counts: Counts::default() };
        let number = event.what.job_ref().map_or(0, |of| of.number);
        // The source counts its jobs, so it must learn of an event before the counts are read.
        if let Some(job) = self.tasks.all.get_mut(number.wrapping_sub(1))
            && job.outcome.apply(&event)
            && let Some(source) = &mut self.source
        {
            source.changed(job);
        }
        event.counts = self.counts();
        self.journal.append(&event, sync)?;
        self.listener.event(&event);
        Ok(())
    }

    fn counts(&self) -> Counts {
        let counts = self.tasks.counts;
        match &self.source {
            // The source also counts requeued and retried jobs.
            Some(source) => Counts { pending: source.pending(), failed: source.failed(), ..counts },
            None => counts,
        }
    }

    /// Records the start of the run and adopts the jobs of an earlier runner.
    fn begin(&mut self, codex: Codex) -> Result<()> {
        let continued = self.tasks.is_begun();
        // A source knows retried jobs as pending. Jobs that were planned and never started must be unclaimed
        // first.
        let is_planned = |at: &usize| self.tasks.all[*at].state == State::Pending;
        let planned: Vec<usize> = (0..self.tasks.all.len()).filter(is_planned).collect();
        self.tasks.reopen();
        let what = RunEvent::RunStarted {
            kind: self.tasks.kind.clone(),
            name: self.tasks.name.clone(),
            continued,
            jobs: self.tasks.all.len(),
            max_concurrent: self.settings.max_concurrent,
            codex,
            codex_home: self.tasks.codex_home.clone(),
            settings: Some(Box::new(self.settings.kept())),
            runner: liveness::process(std::process::id() as i32),
        };
        self.record_event(what, true)?;
        for at in planned {
            self.unclaim(at, "its runner ended before it was started")?;
        }
        for at in 0..self.tasks.all.len() {
            if self.tasks.all[at].state == State::Pending {
                self.requeue(at);
            }
        }
        self.adopt_all()
    }

    fn adopt_all(&mut self) -> Result<()> {
        for at in 0..self.tasks.all.len() {
            if self.tasks.all[at].state == State::Running {
                self.adopt(at)?;
            }
        }
        Ok(())
    }

    fn adopt(&mut self, at: usize) -> Result<()> {
        match Running::adopt(self.folder, at, &self.tasks.all[at], self.settings.patience).map_err(lost)? {
            Some(running) => self.follow(running),
            // After a reboot a missing output may never have reached the disk.
            None if self.tasks.all[at]
                .start
                .as_ref()
                .is_some_and(|start| !liveness::is_this_boot(start.boot.as_deref())) =>
            {
                let message = "the system was restarted, and its output is lost".to_owned();
                return self.failed(at, Failure::new(Class::Interrupted, message), false, None);
            }
            // A started job has an output, and a job with a session was sent: the output was removed.
            None if self.tasks.all[at]
                .start
                .as_ref()
                .is_some_and(|start| start.session_reported || start.process.is_some()) =>
            {
                let message = "its output is missing, and its outcome is unknown".to_owned();
                return self.failed(at, Failure::new(Class::Interrupted, message), false, None);
            }
            // The runner died between the claim and the start.
            None => {
                self.tasks.set(at, State::Pending);
                self.record_unstarted(at, "its runner ended before it was started")?;
                self.requeue(at);
            }
        }
        Ok(())
    }

    pub(super) fn follow(&mut self, mut running: Running) {
        running.follower.kept = self.listener.wants_lines().then(Vec::new);
        // A pipe shows no prompt, so a long prompt is not read again for it.
        if self.listener.wants_about()
            && let Ok(job) = self.journal.job(self.tasks.all[running.task].place)
        {
            running.about = about(&self.tasks.kind, &job, &mut self.checker);
        }
        self.running.push(running);
    }

    fn run(mut self, mut signals: Signals) -> Result<RunEnd> {
        let mut wait = Duration::ZERO;
        loop {
            let came = signals.wait(wait);
            // A terminal closes once, even if SIGHUP arrives several times.
            let hangups = usize::from(came.hangup && !std::mem::replace(&mut self.hung_up, true));
            for _ in 0..came.stops + hangups {
                self.stop_requests += 1;
                match self.stop_requests {
                    1 => self.stop_starting(),
                    2 => self.stop_all(),
                    _ => return Ok(RunEnd::Left { living: self.running.len() }),
                }
            }
            // SIGUSR1 is handled last, so that it does not count as a further request.
            if came.now {
                self.stop_requests = self.stop_requests.max(2);
                self.stop_all();
            }
            self.look_at_all()?;
            if let Some(source) = &mut self.source {
                source.tick();
            }
            if self.why.is_none()
                && let Err(error) = self.start_due_jobs()
            {
                // A job that was started but cannot be followed is judged by the next runner.
                if self.tasks.counts.running > self.running.len() {
                    return Err(error);
                }
                // Otherwise the run waits for its running jobs before it fails.
                self.listener.warn(&format!("no more jobs are started: {}", error.message()));
                self.why = Some("trouble".to_owned());
                self.trouble = Some(error);
            }
            if self.running.is_empty() && (self.why.is_some() || self.is_done()) && !self.has_more() {
                return self.end();
            }
            wait = self.until_next();
        }
    }

    fn stop_starting(&mut self) {
        self.why.get_or_insert("signal".to_owned());
        let running = self.running.len();
        if running > 0 {
            let jobs = if running == 1 { "job" } else { "jobs" };
            self.listener
                .status(&format!("stopping: waiting for {running} running {jobs} (Ctrl-C again stops them)"));
        }
    }

    fn stop_all(&mut self) {
        self.why.get_or_insert("signal".to_owned());
        let now = Instant::now();
        self.running.iter_mut().for_each(|running| running.stop(Class::Stopped, now));
    }

    fn is_done(&self) -> bool {
        let nothing_left = self.queue.is_empty() && self.waiting.is_empty() && self.blocked_until.is_none();
        nothing_left && (self.source.is_none() || self.drained)
    }

    /// Whether the source has new jobs since it reported that it is empty.
    fn has_more(&mut self) -> bool {
        let Some(source) = &mut self.source else { return false };
        source.refresh();
        self.drained &= source.pending() == 0;
        self.why.is_none() && !self.drained
    }

    fn until_next(&self) -> Duration {
        if self.time_slice_used {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let mut next = if self.running.is_empty() { Duration::from_secs(60) } else { LOOK };
        if self.source.is_some() && self.blocked_until.is_some() {
            next = next.min(BLOCKED_CHECK);
        }
        if let Some(due) = self.source.as_ref().and_then(|source| source.due()) {
            next = next.min(due.max(Duration::from_millis(1)));
        }
        if self.why.is_none() && self.running.len() < self.settings.max_concurrent {
            let is_wanted = !self.queue.is_empty() || self.source.is_some();
            let starts = is_wanted.then_some(self.next_start);
            let waits = self.waiting.iter().map(|(at, _)| *at).min();
            let first = [starts, waits].into_iter().flatten().min();
            let first = first.map(|first| self.blocked_until.map_or(first, |hold| hold.max(first)));
            if let Some(first) = first {
                // A job that is due but cannot start is polled, without a busy loop.
                let least = if first <= now { LOOK } else { Duration::from_millis(1) };
                next = next.min(first.saturating_duration_since(now).max(least));
            }
        }
        next
    }

    fn look_at_all(&mut self) -> Result<()> {
        let mut at = 0;
        while at < self.running.len() {
            let seen = self.running[at].poll(Instant::now()).map_err(lost)?;
            // The session is recorded before the lines that Codex printed.
            if let Change::Session(id) = seen {
                self.record_session(at, id)?;
            }
            self.forward_lines(at);
            match seen {
                Change::Nothing => at += 1,
                Change::Session(_) => {}
                Change::Ended => {
                    let running = self.running.swap_remove(at);
                    self.finish(&running)?;
                }
            }
        }
        let (counts, tasks, running) = (self.counts(), &self.tasks, &self.running);
        let mut jobs = running.iter().map(|running| RunningJob {
            of: &tasks.all[running.task].of,
            since: running.at,
            about: &running.about,
            doing: &running.follower.progress.doing,
        });
        self.listener.show_running(counts, &mut jobs);
        Ok(())
    }

    fn forward_lines(&mut self, at: usize) {
        let running = &mut self.running[at];
        let Some(kept) = &mut running.follower.kept else { return };
        for line in kept.drain(..) {
            self.listener.line(self.folder.name(), &self.tasks.all[running.task].of, &line);
        }
    }

    /// Records the session of a job, and locks it against other runners.
    fn record_session(&mut self, at: usize, id: Id) -> Result<()> {
        let running = &self.running[at];
        let task = &mut self.tasks.all[running.task];
        task.of.session = Some(id);
        let (of, is_asked, out) = (task.of.clone(), running.is_asked(), running.out.clone());
        if !is_asked {
            let held = SessionLock::acquire(id, Some(&out)).and_then(|hold| match hold {
                Some(mut hold) => hold.assign(&out),
                None => Ok(()),
            });
            // A failure to lock is no reason to stop the job.
            held.unwrap_or_else(|error| self.listener.warn(error.message()));
        }
        self.record_event(RunEvent::JobSession { of }, false)
    }

    /// The usage limit of a Codex home.
    pub(super) fn gate(&mut self, home: Option<&str>) -> Result<&mut LimitGate> {
        let key = home.map(str::to_owned);
        if !self.gates.contains_key(&key) {
            // A missing home is reported by its jobs.
            let place = match home {
                Some(home) => Path::new(home).to_owned(),
                None => Home::find(None)?.path().to_owned(),
            };
            self.gates.insert(key.clone(), LimitGate::for_home(&place)?);
        }
        self.gates.get_mut(&key).ok_or_else(|| Error::new("the usage limit of this Codex home was not read"))
    }

    fn end(&mut self) -> Result<RunEnd> {
        let left = self.source.as_ref().map_or_else(|| self.tasks.left(), |source| source.pending());
        let killed = self.killed;
        if left == 0 && self.trouble.is_none() {
            self.skip_rest()?;
            let failed = self.counts().failed;
            self.record_event(RunEvent::RunCompleted {}, true)?;
            return Ok(RunEnd::Completed { failed, killed });
        }
        let why = self.why.clone().unwrap_or_else(|| "signal".to_owned());
        let until = self.until;
        self.record_event(RunEvent::RunStopped { why: why.clone(), left, until }, true)?;
        match self.trouble.take() {
            Some(error) => Err(error),
            None => Ok(RunEnd::Stopped { why, left, until, killed }),
        }
    }

    /// Records as skipped the jobs that were removed from their source.
    fn skip_rest(&mut self) -> Result<()> {
        for at in 0..self.tasks.all.len() {
            let JobState { state, next, .. } = &self.tasks.all[at];
            if matches!(state, State::Pending | State::Failed { again: true, .. }) {
                // The prompt was sent, and no other run can send "Continue." to this session.
                if matches!(next, NextStart::Continue(_)) {
                    let message = "it was interrupted, and its run was not continued".to_owned();
                    self.failed(at, Failure::new(Class::Interrupted, message), false, None)?;
                    continue;
                }
                self.tasks.set(at, State::Skipped);
                let of = self.tasks.all[at].of.clone();
                let why = "it was removed before it was run".to_owned();
                self.record_event(RunEvent::JobSkipped { of, why, withdrawn: true }, false)?;
            }
        }
        Ok(())
    }
}

fn lost(error: std::io::Error) -> Error {
    Error::new(format!("cannot follow a job: {}", reason(&error)))
}
