//! The one loop that starts, follows, judges and stops the jobs of a run.
//!
//! It sleeps in `poll` until a signal comes or a look is due. There are no threads: what is waited
//! for is a child's end, which is a signal, and files that grow, which are looked at ten times a
//! second. Open files are one a running job and a few more; memory is the list of jobs without
//! their prompts.
//!
//! **Stopping.** The first SIGINT, SIGTERM or SIGHUP starts nothing new and lets what runs finish; SIGHUP counts
//! once, however often it comes. The second stops what runs. The third leaves at once: the jobs live on, and a continued run finds them.
//!
//! **Hearing.** A listener is told what is in the journal already. What it makes of that is its own
//! affair; a run continues without observers, and waits for no reader, of standard error neither.
//!
//! What is started when is in `starts`, what follows from an end in `outcome`.

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

/// How often files are looked at while something runs.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// How often one that waits for the end of a limit looks whether there is anything left to wait for.
const HELD: Duration = Duration::from_secs(1);

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Everything was done; so many jobs failed.
    Completed {
        /// The failures, those of earlier runners too.
        failed: usize,
        /// Whether jobs were killed because we were told to stop.
        killed: bool,
    },
    /// There is work left.
    Stopped {
        /// `signal`, `max_failures`, or the class of the failure that any job would meet.
        why: String,
        /// So many jobs.
        left: usize,
        /// When a usage limit is over, if Codex said so.
        until: Option<Timestamp>,
        /// Whether jobs were killed for it.
        killed: bool,
    },
    /// We left, and these many jobs live on.
    Left {
        /// So many jobs.
        living: usize,
    },
}

/// Carries out what is left of a run. `journal` is locked by us, `tasks` is what it says. Jobs that were
/// not planned beforehand come from `source`.
pub fn supervise<'e>(
    folder: &'e RunDir,
    journal: Journal,
    tasks: RunProgress,
    settings: Settings,
    source: Option<&'e mut dyn JobFeed>,
    listener: &'e mut dyn Observer,
) -> Result<RunEnd> {
    spawn::check_depth()?;
    // It may take a while. Whoever is told to stop meanwhile has begun nothing, and just ends.
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

/// Ends a run that is not continued, so that it blocks no other run: judges what had been started, and says
/// of the rest that it is skipped. One that somebody carries out, that is over, or that cannot be read is
/// left as it is. Running processes must have been looked for before. No signal is caught here: what is interrupted in the
/// middle is as good as not begun.
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
    engine.pass_over()?;
    engine.note(RunEvent::RunStopped { why: why.to_owned(), left: 0, until: None }, true)
}

/// A run that is carried out.
pub(super) struct Engine<'e> {
    pub(super) folder: &'e RunDir,
    pub(super) journal: Journal,
    pub(super) tasks: RunProgress,
    pub(super) settings: Settings,
    pub(super) checker: Checker,
    /// The version of Codex where the run was begun.
    pub(super) version: Option<String>,
    pub(super) source: Option<&'e mut dyn JobFeed>,
    pub(super) listener: &'e mut dyn Observer,
    /// The gates of the Codex homes that jobs are for.
    pub(super) gates: BTreeMap<Option<String>, LimitGate>,
    /// The jobs that try whether a limit is over, by their homes.
    pub(super) probes: BTreeMap<Option<String>, usize>,
    pub(super) running: Vec<Running>,
    /// Jobs to be started, in order.
    pub(super) queue: VecDeque<usize>,
    /// Jobs to be started later, and when.
    pub(super) waiting: Vec<(Instant, usize)>,
    /// Jobs whose session is busy: since when, and how often it was looked at.
    pub(super) busy: HashMap<usize, (Instant, u32)>,
    /// How often a job was tried again.
    pub(super) tries: HashMap<usize, u32>,
    /// Nothing at all is started before this.
    pub(super) hold: Option<Instant>,
    /// The end of a limit that was told last.
    pub(super) announced: Option<Timestamp>,
    /// Whether the source has no more.
    pub(super) drained: bool,
    /// Whether more could be started, had there been time.
    pub(super) time_slice_used: bool,
    /// Whether a job was interrupted because we were told to stop.
    pub(super) killed: bool,
    /// Why nothing is started any more.
    pub(super) why: Option<String>,
    pub(super) until: Option<Timestamp>,
    /// What ends the run as an error, once nothing runs.
    pub(super) trouble: Option<Error>,
    pub(super) stop_requests: usize,
    /// Whether the terminal is gone.
    pub(super) hung_up: bool,
    pub(super) failures: usize,
    /// The jobs whose Codexes have ended before they had begun, in a row.
    pub(super) early_crashes: Vec<(usize, Failure, Option<ExitStatus>)>,
    /// Whether so many did that the run stops.
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
            hold: None,
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

    pub(super) fn note(&mut self, what: RunEvent, sync: bool) -> Result<()> {
        let run = self.folder.name().to_owned();
        let mut event = Event { what, v: VERSION, run, at: Timestamp::now(), counts: Counts::default() };
        let number = event.what.of().map_or(0, |of| of.number);
        // The source counts its jobs, so that it learns of an event before that is counted.
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
            // It knows what was requeued to it, and what was asked for again.
            Some(source) => Counts { pending: source.pending(), failed: source.failed(), ..counts },
            None => counts,
        }
    }

    /// Says that the run begins, and takes up what an earlier runner left.
    fn begin(&mut self, codex: Codex) -> Result<()> {
        let continued = self.tasks.is_begun();
        // What is to be done again is known to be pending; what was planned, and never started, is not.
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
        self.note(what, true)?;
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
            // After another boot it may have been there, and never on disk.
            None if self.tasks.all[at]
                .start
                .as_ref()
                .is_some_and(|start| !liveness::is_this_boot(start.boot.as_deref())) =>
            {
                let message = "the system was restarted, and its output is lost".to_owned();
                return self.failed(at, Failure::new(Class::Interrupted, message), false, None);
            }
            // What was started has an output, and what has a session was sent: somebody took it away.
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
        // A long prompt is not read again for a pipe, which shows nothing of it.
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
            // However often it comes, a terminal is closed once.
            let hangups = usize::from(came.hangup && !std::mem::replace(&mut self.hung_up, true));
            for _ in 0..came.stops + hangups {
                self.stop_requests += 1;
                match self.stop_requests {
                    1 => self.start_nothing_more(),
                    2 => self.stop_all(),
                    _ => return Ok(RunEnd::Left { living: self.running.len() }),
                }
            }
            // After those, as it is no further one of them.
            if came.now {
                self.stop_requests = self.stop_requests.max(2);
                self.stop_all();
            }
            self.look_at_all()?;
            if let Some(source) = &mut self.source {
                source.tick();
            }
            if self.why.is_none()
                && let Err(error) = self.start_what_can()
            {
                // One that was begun and could not be followed is for the next runner to judge.
                if self.tasks.counts.running > self.running.len() {
                    return Err(error);
                }
                // Else what runs is not left alone for it.
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

    fn start_nothing_more(&mut self) {
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
        let nothing_left = self.queue.is_empty() && self.waiting.is_empty() && self.hold.is_none();
        nothing_left && (self.source.is_none() || self.drained)
    }

    /// Whether the source has more by now than when it said that there is nothing.
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
        if self.source.is_some() && self.hold.is_some() {
            next = next.min(HELD);
        }
        if let Some(due) = self.source.as_ref().and_then(|source| source.due()) {
            next = next.min(due.max(Duration::from_millis(1)));
        }
        if self.why.is_none() && self.running.len() < self.settings.max_concurrent {
            let is_wanted = !self.queue.is_empty() || self.source.is_some();
            let starts = is_wanted.then_some(self.next_start);
            let waits = self.waiting.iter().map(|(at, _)| *at).min();
            let first = [starts, waits].into_iter().flatten().min();
            let first = first.map(|first| self.hold.map_or(first, |hold| hold.max(first)));
            if let Some(first) = first {
                // What could not be started when it was its time is looked at again, not at once.
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
            // What it said is said after whose words they are.
            if let Change::Session(id) = seen {
                self.session_is(at, id)?;
            }
            self.hand_on_lines(at);
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

    fn hand_on_lines(&mut self, at: usize) {
        let running = &mut self.running[at];
        let Some(kept) = &mut running.follower.kept else { return };
        for line in kept.drain(..) {
            self.listener.line(self.folder.name(), &self.tasks.all[running.task].of, &line);
        }
    }

    /// The session of a job is known. From now on nobody else of us may drive it.
    fn session_is(&mut self, at: usize, id: Id) -> Result<()> {
        let running = &self.running[at];
        let task = &mut self.tasks.all[running.task];
        task.of.session = Some(id);
        let (of, is_asked, out) = (task.of.clone(), running.is_asked(), running.out.clone());
        if !is_asked {
            let held = SessionLock::acquire(id, Some(&out)).and_then(|hold| match hold {
                Some(mut hold) => hold.assign(&out),
                None => Ok(()),
            });
            // The job runs whatever becomes of that.
            held.unwrap_or_else(|error| self.listener.warn(error.message()));
        }
        self.note(RunEvent::JobSession { of }, false)
    }

    /// The gate of a Codex home.
    pub(super) fn gate(&mut self, home: Option<&str>) -> Result<&mut LimitGate> {
        let key = home.map(str::to_owned);
        if !self.gates.contains_key(&key) {
            // A home that is not there is the affair of its jobs.
            let place = match home {
                Some(home) => Path::new(home).to_owned(),
                None => Home::find(None)?.path().to_owned(),
            };
            self.gates.insert(key.clone(), LimitGate::of(&place)?);
        }
        self.gates.get_mut(&key).ok_or_else(|| Error::new("the usage limit of this Codex home was not read"))
    }

    fn end(&mut self) -> Result<RunEnd> {
        let left = self.source.as_ref().map_or_else(|| self.tasks.left(), |source| source.pending());
        let killed = self.killed;
        if left == 0 && self.trouble.is_none() {
            self.pass_over()?;
            let failed = self.counts().failed;
            self.note(RunEvent::RunCompleted {}, true)?;
            return Ok(RunEnd::Completed { failed, killed });
        }
        let why = self.why.clone().unwrap_or_else(|| "signal".to_owned());
        let until = self.until;
        self.note(RunEvent::RunStopped { why: why.clone(), left, until }, true)?;
        match self.trouble.take() {
            Some(error) => Err(error),
            None => Ok(RunEnd::Stopped { why, left, until, killed }),
        }
    }

    /// Records as skipped the jobs that their feed has given up.
    fn pass_over(&mut self) -> Result<()> {
        for at in 0..self.tasks.all.len() {
            let JobState { state, next, .. } = &self.tasks.all[at];
            if matches!(state, State::Pending | State::Failed { again: true, .. }) {
                // Nobody can say "Continue." to its session in another run, and the prompt was sent.
                if matches!(next, NextStart::Continue(_)) {
                    let message = "it was interrupted, and its run was not continued".to_owned();
                    self.failed(at, Failure::new(Class::Interrupted, message), false, None)?;
                    continue;
                }
                self.tasks.set(at, State::Skipped);
                let of = self.tasks.all[at].of.clone();
                let why = "it was removed before it was run".to_owned();
                self.note(RunEvent::JobSkipped { of, why, withdrawn: true }, false)?;
            }
        }
        Ok(())
    }
}

fn lost(error: std::io::Error) -> Error {
    Error::new(format!("cannot follow a job: {}", reason(&error)))
}
