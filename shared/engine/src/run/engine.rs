//! The one loop that starts, follows, judges and stops the jobs of a run.
//!
//! The loop sleeps in `poll` until a signal arrives or a poll is due. There are no threads: the end of a child
//! is a signal, and growing files are polled ten times a second. Each running job costs one open file; memory
//! holds the list of jobs without their prompts. Jobs come from a [`JobFeed`].
//!
//! **Stopping.** The first SIGINT, SIGTERM or SIGHUP stops starting jobs and waits for running jobs; SIGHUP
//! counts once, however often it arrives. The second stops running jobs. The third exits immediately: the jobs
//! keep running, and a continued run finds them.
//!
//! **Observing.** An observer receives events after they are in the journal. A run never fails because of an
//! observer, and never waits for a reader of standard output or standard error.
//!
//! The order of starts is in `schedule`, the consequences of an end in `transitions`.

use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::Path;
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
use crate::record::job::Job;
use crate::record::settings::Settings;
use crate::run::failed::Failed;
use crate::run::feed::{JobFeed, LOOK, Request};
use crate::run::hosts::Hosts;
use crate::run::observer::{Observer, RunningJob, about};
use crate::run::usage_limit::LimitGate;
use codex_agent_shared::child::signals::{Awaited, Signals};
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::error::{Error, Result, buffer_stderr, reason};
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// All jobs ended.
    Completed {
        /// The number of failed jobs, including those of earlier runners.
        failed: usize,
        /// The number of those that were interrupted.
        interrupted: usize,
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
        running: usize,
    },
}

/// Runs the jobs of `feed`. `journal` is locked by this process, and `tasks` is its contents.
pub fn supervise(
    dir: &RunDir,
    journal: Journal,
    tasks: &mut RunProgress,
    settings: Settings,
    feed: &mut dyn JobFeed,
    listener: &mut dyn Observer,
) -> Result<RunEnd> {
    // The version query may take a while. Signals have their default action until then: nothing was begun.
    let mut versions = Versions::default();
    let codex = command::describe_codex(&settings.codex, tasks.codex_home.as_deref(), &mut versions);
    supervise_with(dir, journal, tasks, settings, feed, listener, (codex, versions))
}

/// As [`supervise`], with a Codex whose version is known.
pub fn supervise_with(
    dir: &RunDir,
    journal: Journal,
    tasks: &mut RunProgress,
    settings: Settings,
    feed: &mut dyn JobFeed,
    listener: &mut dyn Observer,
    (codex, versions): (Codex, Versions),
) -> Result<RunEnd> {
    spawn::check_depth()?;
    let signals = Signals::catch()?;
    buffer_stderr();
    let mut engine = Engine::new(dir, journal, tasks, settings, feed, listener);
    engine.checker = Checker::new(&engine.settings.codex, versions);
    engine.start_run(codex)?;
    engine.run(signals)
}

/// The state of a run while its jobs are run.
pub(super) struct Engine<'e> {
    pub(super) dir: &'e RunDir,
    pub(super) journal: Journal,
    pub(super) tasks: &'e mut RunProgress,
    pub(super) settings: Settings,
    pub(super) checker: Checker,
    pub(super) feed: &'e mut dyn JobFeed,
    pub(super) listener: &'e mut dyn Observer,
    pub(super) limits: Limits,
    pub(super) stop: Stop,
    pub(super) running: Vec<Running>,
    /// The hosts that carry out jobs.
    pub(super) hosts: Hosts,
    /// The jobs whose session is busy, each with the time of the first check and the number of checks.
    pub(super) busy: HashMap<usize, (Instant, u32)>,
    /// The number of retries by job.
    pub(super) tries: HashMap<usize, u32>,
    /// Whether the feed reported that no job is pending.
    pub(super) drained: bool,
    pub(super) starts: usize,
    /// No job is started before this time.
    pub(super) next_start: Instant,
}

/// The usage limits that a run has met.
#[derive(Default)]
pub(super) struct Limits {
    /// The usage limits of the Codex homes of jobs.
    gates: BTreeMap<Option<String>, LimitGate>,
    /// The jobs that test whether a usage limit has reset, by home.
    pub(super) probes: BTreeMap<Option<String>, usize>,
    /// No job is started before this time.
    pub(super) blocked_until: Option<Instant>,
    /// The reset time that was reported last.
    pub(super) announced: Option<Timestamp>,
}

/// The reasons to start no more jobs, and the failures so far.
#[derive(Default)]
pub(super) struct Stop {
    /// The reason why no more jobs are started.
    pub(super) why: Option<String>,
    pub(super) until: Option<Timestamp>,
    /// The error that ends the run when no job is running.
    pub(super) trouble: Option<Error>,
    /// The number of requests to stop.
    pub(super) requests: usize,
    /// Whether SIGHUP has arrived.
    hung_up: bool,
    /// Whether a job was interrupted because of a request to stop.
    pub(super) killed: bool,
    pub(super) failures: usize,
    /// The consecutive jobs whose Codex ended before it began a turn.
    pub(super) early_crashes: Vec<(usize, Failed)>,
    /// Whether their number stopped the run.
    pub(super) is_broken: bool,
}

impl Limits {
    /// The usage limit of a Codex home.
    pub(super) fn gate(&mut self, home: Option<&str>) -> Result<&mut LimitGate> {
        Ok(match self.gates.entry(home.map(str::to_owned)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(missing) => missing.insert(LimitGate::for_home(&match home {
                // A missing home is reported by its jobs.
                Some(home) => Path::new(home).to_owned(),
                None => Home::find(None)?.path().to_owned(),
            })?),
        })
    }
}

impl<'e> Engine<'e> {
    pub(super) fn new(
        dir: &'e RunDir,
        journal: Journal,
        tasks: &'e mut RunProgress,
        settings: Settings,
        feed: &'e mut dyn JobFeed,
        listener: &'e mut dyn Observer,
    ) -> Engine<'e> {
        Engine {
            dir,
            journal,
            tasks,
            checker: Checker::new(&settings.codex, Versions::default()),
            hosts: Hosts::new(&settings.hosts),
            settings,
            feed,
            listener,
            limits: Limits::default(),
            stop: Stop::default(),
            running: Vec::new(),
            busy: HashMap::new(),
            tries: HashMap::new(),
            drained: false,
            starts: 0,
            next_start: Instant::now(),
        }
    }

    pub(super) fn record_event(&mut self, what: RunEvent, sync: bool) -> Result<()> {
        let mut event = Event::new(self.dir.name(), what);
        let number = event.what.job_ref().map_or(0, |of| of.number);
        // The feed counts its jobs, so it must learn of an event before the counts are read.
        if let Some(job) = self.tasks.all.get_mut(number.wrapping_sub(1))
            && job.outcome.apply(&event)
        {
            self.feed.changed(job);
        }
        event.counts = self.counts();
        self.journal.append(&event, sync)?;
        self.listener.event(&event);
        Ok(())
    }

    pub(super) fn counts(&self) -> Counts {
        self.feed.counts(self.tasks)
    }

    /// Records the start of the run, gives pending jobs to the feed, and adopts the jobs of an earlier runner.
    fn start_run(&mut self, codex: Codex) -> Result<()> {
        let continued = self.tasks.is_begun();
        let jobs = 0..self.tasks.all.len();
        // A feed knows retried jobs as pending. Jobs that were claimed and never started must be unclaimed first.
        let is_worker = self.feed.is_of_worker();
        let is_pending = |at: &usize| self.tasks.all[*at].state == State::Pending;
        let claimed: Vec<usize> = jobs.clone().filter(is_pending).collect();
        match is_worker {
            // The run of the other machine asks for jobs again.
            true => self.tasks.begin(codex),
            false => self.tasks.reopen(codex),
        }
        if !continued {
            self.tasks.cwd =
                std::env::current_dir().ok().and_then(|cwd| cwd.into_os_string().into_string().ok());
        }
        let tasks = &self.tasks;
        let what = RunEvent::RunStarted {
            kind: tasks.kind.clone(),
            name: tasks.name.clone(),
            continued,
            jobs: tasks.all.len(),
            max_concurrent: self.settings.max_concurrent,
            codex: tasks.codex.clone(),
            codex_home: tasks.codex_home.clone(),
            settings: Some(Box::new(self.settings.to_saved())),
            retry_of: tasks.retry_of.clone(),
            cwd: tasks.cwd.clone(),
            runner: liveness::identify_process(std::process::id() as i32),
        };
        self.record_event(what, true)?;
        for at in claimed {
            self.unclaim(at, "the runner ended before the job was started")?;
        }
        for at in jobs {
            if self.tasks.all[at].state != State::Pending {
                continue;
            }
            match self.is_given_up(at) {
                true => {
                    let message = "the host of the session was given up, and nothing was sent";
                    self.fail(at, Failed::without_exit(Failure::new(Class::Host, message)))?;
                }
                false => self.give_back(at, Duration::ZERO),
            }
        }
        self.give_up_hosts();
        self.adopt_all()
    }

    pub(super) fn adopt_all(&mut self) -> Result<()> {
        for at in 0..self.tasks.all.len() {
            if self.tasks.all[at].state == State::Running {
                self.adopt(at)?;
            }
        }
        Ok(())
    }

    fn adopt(&mut self, at: usize) -> Result<()> {
        let task = &self.tasks.all[at];
        if task.binding.is_some() {
            return self.adopt_bound(at);
        }
        if let Some(running) =
            Running::adopt(self.dir, at, task, self.settings.patience).map_err(follow_error)?
        {
            self.follow(running);
            return Ok(());
        }
        let why = match &task.start {
            // After a reboot a missing output may never have reached the disk.
            Some(start) if !liveness::is_this_boot(start.boot.as_deref()) => {
                "the system was restarted, and the output of the job is lost"
            }
            // A started job has an output, and a job with a session was sent: the output was removed.
            Some(start) if start.session_reported || start.process.is_some() => {
                "the output of the job is missing, and the outcome of the job is unknown"
            }
            // The runner died between the claim and the start.
            _ => return self.rerun_unsent(at, "the runner ended before the job was started", Duration::ZERO),
        };
        self.fail(at, Failed::without_exit(Failure::new(Class::Interrupted, why)))
    }

    pub(super) fn follow(&mut self, mut running: Running) {
        running.follower.kept = self.listener.wants_lines().then(Vec::new);
        // A job that was started by an earlier runner has no label yet.
        if running.adopted
            && self.listener.wants_about()
            && let Ok(job) = self.journal.job(self.tasks.all[running.task].place)
        {
            running.about = self.label(&job);
        }
        self.running.push(running);
    }

    /// The label of a job, if the observer shows labels. The observer has it too.
    pub(super) fn label(&mut self, job: &Job) -> String {
        if !self.listener.wants_about() {
            return String::new();
        }
        let about = about(&self.tasks.kind, job, &mut self.checker);
        self.listener.label(self.dir.name(), &job.id, &about);
        about
    }

    fn run(mut self, signals: Signals) -> Result<RunEnd> {
        let ended = self.run_jobs(signals);
        self.hosts.close();
        ended
    }

    fn run_jobs(&mut self, mut signals: Signals) -> Result<RunEnd> {
        let mut wait = Duration::ZERO;
        loop {
            let came = {
                let input = self.feed.input().map(Awaited::Readable);
                let output = self.feed.output().map(Awaited::Writable);
                let files: Vec<Awaited<'_>> = self.hosts.files().chain(input).chain(output).collect();
                signals.wait_with(&files, wait)
            };
            if came.leave {
                return Ok(RunEnd::Left { running: self.count_running() });
            }
            // A terminal closes once, even if SIGHUP arrives several times.
            let hangups = usize::from(came.hangup && !std::mem::replace(&mut self.stop.hung_up, true));
            for _ in 0..came.stops + hangups {
                self.stop.requests += 1;
                match self.stop.requests {
                    1 => self.stop_starting(),
                    2 => self.stop_all(),
                    _ => return Ok(RunEnd::Left { running: self.count_running() }),
                }
            }
            // SIGUSR1 is handled last, so that it does not count as a further request.
            if came.now {
                self.stop.requests = self.stop.requests.max(2);
                self.stop_all();
            }
            self.poll_running()?;
            self.poll_hosts()?;
            for request in self.feed.take_requests(self.tasks)? {
                match request {
                    Request::Leave => return Ok(RunEnd::Left { running: self.count_running() }),
                    Request::Stop(job) => self.stop_job(&job),
                }
            }
            let tick = self.feed.tick(self.tasks);
            let mut start = match self.start_due_jobs() {
                Ok(start) => start,
                // A job that was started but cannot be followed is judged by the next runner.
                Err(error) if self.tasks.counts.running > self.running.len() + self.hosts.count_bound() => {
                    return Err(error);
                }
                Err(error) => {
                    // The run waits for its running jobs before it fails.
                    if self.is_busy() {
                        self.listener.warn(&format!("no more jobs are started: {}", error.message()));
                    }
                    self.stop.why = Some("trouble".to_owned());
                    self.stop.trouble = Some(error);
                    None
                }
            };
            if self.stop.why.is_none() {
                self.stop_without_hosts();
            }
            if !self.is_busy() && (self.stop.why.is_some() || self.drained) {
                // Jobs may have been added since the feed reported that none is pending.
                self.feed.refresh(self.tasks);
                self.drained &= self.counts().pending == 0;
                if self.stop.why.is_some() || self.drained {
                    return self.finish_run();
                }
                start = Some(Instant::now() + LOOK);
            }
            let most = if self.count_running() == 0 { Duration::from_secs(60) } else { LOOK };
            let next = [tick, start, self.hosts.next_change()].into_iter().flatten().min();
            wait = next.map_or(most, |next| next.saturating_duration_since(Instant::now()).min(most));
        }
    }

    fn stop_starting(&mut self) {
        self.stop.why.get_or_insert("signal".to_owned());
        let running = self.count_running();
        if running > 0 {
            let jobs = if running == 1 { "job" } else { "jobs" };
            self.listener
                .status(&format!("stopping: waiting for {running} running {jobs} (Ctrl-C again stops them)"));
        }
    }

    pub(super) fn stop_all(&mut self) {
        self.stop.why.get_or_insert("signal".to_owned());
        let now = Instant::now();
        self.running.iter_mut().for_each(|running| running.stop(Class::Stopped, now));
        self.stop_on_hosts();
    }

    /// Stops one job.
    fn stop_job(&mut self, job: &str) {
        let at = self.tasks.position(job);
        if let Some(running) = self.running.iter_mut().find(|running| Some(running.task) == at) {
            running.stop(Class::Stopped, Instant::now());
        }
    }

    /// The number of running jobs, here and on hosts.
    pub(super) fn count_running(&self) -> usize {
        self.running.len() + self.hosts.count_asked()
    }

    /// Whether a job is running here, or may end on a host that is connected or is tried again.
    pub(super) fn is_busy(&self) -> bool {
        !self.running.is_empty() || self.hosts.are_busy()
    }

    pub(super) fn poll_running(&mut self) -> Result<()> {
        let mut at = 0;
        while at < self.running.len() {
            let seen = self.running[at].poll(Instant::now()).map_err(follow_error)?;
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
                    self.handle_end(&running)?;
                }
            }
        }
        let (counts, tasks, running) = (self.counts(), &self.tasks, &self.running);
        let jobs = running.iter().map(|running| RunningJob {
            of: &tasks.all[running.task].of,
            since: running.start.at,
            about: &running.about,
            doing: &running.follower.progress.doing,
        });
        let mut jobs = jobs.chain(self.hosts.running(tasks));
        self.listener.show_running(counts, &mut jobs);
        Ok(())
    }

    fn forward_lines(&mut self, at: usize) {
        let running = &mut self.running[at];
        let Some(kept) = &mut running.follower.kept else { return };
        for line in kept.drain(..) {
            self.listener.line(self.dir.name(), &self.tasks.all[running.task].of, &line);
        }
    }

    /// Records the session of a job, and locks it against other runners.
    fn record_session(&mut self, at: usize, id: Id) -> Result<()> {
        let running = &self.running[at];
        let task = &mut self.tasks.all[running.task];
        task.of.session = Some(id);
        let of = task.of.clone();
        if running.start.asked.is_none() {
            let held = SessionLock::acquire(id, Some(&running.out)).and_then(|hold| match hold {
                Some(mut hold) => hold.assign(&running.out),
                None => Ok(()),
            });
            // A failure to lock is no reason to stop the job.
            held.unwrap_or_else(|error| self.listener.warn(error.message()));
        }
        self.record_event(RunEvent::JobSession { of }, false)
    }

    fn finish_run(&mut self) -> Result<RunEnd> {
        let (killed, until) = (self.stop.killed, self.stop.until);
        // The outcome of a bound job is known to its host alone.
        let left = self.counts().pending + self.hosts.count_bound();
        let trouble = self.stop.trouble.take();
        if left == 0 && trouble.is_none() {
            self.skip_unsent(match self.feed.keeps_pending() {
                true => "the job was removed before it was run",
                false => "the record of the job was not given",
            })?;
            let failed = self.counts().failed;
            self.record_event(RunEvent::RunCompleted {}, true)?;
            let interrupted = self.tasks.count_interrupted().min(failed);
            return Ok(RunEnd::Completed { failed, interrupted, killed });
        }
        let why = self.stop.why.clone().unwrap_or_else(|| "signal".to_owned());
        let mut kept = left;
        if !self.feed.keeps_pending() {
            self.skip_unsent(&format!("the run stopped before the job was started ({why})"))?;
            kept = 0;
        }
        self.record_event(RunEvent::RunStopped { why: why.clone(), left: kept, until }, true)?;
        match trouble {
            Some(error) => Err(error),
            None => Ok(RunEnd::Stopped { why, left, until, killed }),
        }
    }

    /// Records as skipped the jobs that were not started, for this reason.
    pub(super) fn skip_unsent(&mut self, why: &str) -> Result<()> {
        for at in 0..self.tasks.all.len() {
            let JobState { state, next, .. } = &self.tasks.all[at];
            if state.is_left() {
                // The prompt was sent, and no other run can send "Continue." to this session.
                if matches!(next, NextStart::Continue(_)) {
                    let message = "the job was interrupted, and the run was not continued";
                    self.fail(at, Failed::without_exit(Failure::new(Class::Interrupted, message)))?;
                    continue;
                }
                self.tasks.set_state(at, State::Skipped);
                self.record_unstarted(at, why)?;
            }
        }
        Ok(())
    }
}

fn follow_error(error: std::io::Error) -> Error {
    Error::new(format!("cannot follow the output of a running job: {}", reason(&error)))
}
