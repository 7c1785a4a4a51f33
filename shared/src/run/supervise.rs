//! The one loop that starts, follows, judges and stops the jobs of a run.
//!
//! It sleeps in `poll` until a signal comes or a look is due. There are no threads: what is waited
//! for is a child's end, which is a signal, and files that grow, which are looked at ten times a
//! second. Open files are one a running job and a few more; memory is the list of jobs without
//! their prompts.
//!
//! **Stopping.** The first SIGINT, SIGTERM or SIGHUP starts nothing new and lets what runs finish. The
//! second stops what runs. The third leaves at once: the jobs live on, and a continued run finds them.
//!
//! **Standard output.** Events are given to `emit` after they are in the journal. What it makes of
//! them is its own affair; a run goes on although nobody listens.

use std::collections::{HashSet, VecDeque};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::attempt::{self, Started};
use super::binary;
use super::check::{Checked, Checker};
use super::event::{Event, Usage, What};
use super::failure::{Class, Failure, Sent};
use super::folder::Folder;
use super::hold::Hold;
use super::journal::{Journal, VERSION};
use super::judge::{Rollout, Verdict};
use super::probe;
use super::running::{Running, Seen};
use super::tasks::{State, Tasks};
use crate::child::signals::Signals;
use crate::codex::rollout::{self, Ending};
use crate::codex::version::is_before;
use crate::error::{Error, Result, reason, warn};
use crate::record::Id;
use crate::time::Timestamp;

/// How often files are looked at while something runs.
const LOOK: Duration = Duration::from_millis(100);
/// Starts that fill the free places at the beginning are this far apart at most.
const JITTER_MS: u64 = 250;

/// What to do with a session that somebody else drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBusy {
    /// Wait this long, then fail.
    Wait(Duration),
    /// Pass the job over.
    Skip,
    /// Fail.
    Fail,
}

/// How a run is carried out.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The executable.
    pub codex: PathBuf,
    /// How many jobs at once.
    pub max_concurrent: usize,
    /// How long a job may take.
    pub timeout: Option<Duration>,
    /// After how many failures nothing is started any more.
    pub max_failures: Option<usize>,
    /// What to do with a busy session.
    pub on_busy: OnBusy,
    /// Whether a job that was interrupted is sent again.
    pub retry_interrupted: bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
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
        /// Whether jobs were killed for it.
        killed: bool,
    },
    /// We left, and these many jobs live on.
    Left {
        /// So many jobs.
        living: usize,
    },
}

/// Carries out what is left of a run. `journal` is locked by us, `tasks` is what it says.
pub fn supervise(
    folder: &Folder,
    journal: Journal,
    tasks: Tasks,
    settings: Settings,
    emit: &mut dyn FnMut(&Event),
) -> Result<Ended> {
    attempt::check_depth()?;
    let signals = Signals::catch()?;
    let codex = binary::about(&settings.codex);
    let checker = Checker::new(codex.version.as_deref());
    let mut engine = Engine {
        folder,
        journal,
        tasks,
        settings,
        checker,
        counts_turns: codex.version.as_deref().is_some_and(|version| is_before(version, (0, 89))),
        emit,
        running: Vec::new(),
        queue: VecDeque::new(),
        waiting: Vec::new(),
        why: None,
        stops: 0,
        failures: 0,
        starts: 0,
        next_start: Instant::now(),
    };
    engine.begin(codex)?;
    engine.run(signals)
}

struct Engine<'e> {
    folder: &'e Folder,
    journal: Journal,
    tasks: Tasks,
    settings: Settings,
    checker: Checker,
    /// Whether Codex prints what a turn used, and not what the session has (before 0.89).
    counts_turns: bool,
    emit: &'e mut dyn FnMut(&Event),
    running: Vec<Running>,
    queue: VecDeque<usize>,
    waiting: Vec<Waiting>,
    /// Why nothing is started any more.
    why: Option<String>,
    stops: usize,
    failures: usize,
    starts: usize,
    next_start: Instant,
}

/// A job whose session is busy.
struct Waiting {
    task: usize,
    since: Instant,
    tries: u32,
    next: Instant,
}

/// Looks into the rollout of one attempt's session.
struct Look<'l> {
    checker: &'l mut Checker,
    home: Option<&'l str>,
    since: Timestamp,
}

impl Rollout for Look<'_> {
    fn error(&mut self, session: Id) -> Option<(String, serde_json::Value)> {
        rollout::last_turn(&self.checker.rollout(self.home, session)?).ok()?.error
    }

    fn ending(&mut self, session: Id) -> Option<Ending> {
        self.checker.ending(self.home, session, self.since)
    }
}

impl Engine<'_> {
    fn note(&mut self, what: What, sync: bool) -> Result<()> {
        let event = Event {
            what,
            v: VERSION,
            run: self.folder.name().to_owned(),
            at: Timestamp::now(),
            counts: self.tasks.counts,
        };
        self.journal.append(&event, sync)?;
        (self.emit)(&event);
        Ok(())
    }

    /// Says that the run begins, and takes up what an earlier runner left.
    fn begin(&mut self, codex: super::event::Codex) -> Result<()> {
        let continued = self.tasks.is_begun();
        self.tasks.take_up_again();
        let what = What::RunStarted {
            kind: self.tasks.kind.clone(),
            name: self.tasks.name.clone(),
            continued,
            jobs: self.tasks.all.len(),
            max_concurrent: self.settings.max_concurrent,
            codex,
            codex_home: self.tasks.codex_home.clone(),
            runner: probe::process(std::process::id() as i32),
        };
        self.note(what, true)?;
        for at in 0..self.tasks.all.len() {
            match self.tasks.all[at].state {
                State::Pending => self.queue.push_back(at),
                State::Running => self.adopt(at)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn adopt(&mut self, at: usize) -> Result<()> {
        match Running::new(self.folder, at, &self.tasks.all, None, self.settings.timeout).map_err(trouble)? {
            Some(running) => self.running.push(running),
            // After another boot it may have been there, and never on disk.
            None if self.tasks.all[at].start.as_ref().is_some_and(|start| start.boot != probe::boot()) => {
                let message = "the system was started anew, and its output is lost".to_owned();
                return self.failed(at, Failure::new(Class::Interrupted, message), false, None);
            }
            // The runner died between the claim and the start.
            None => {
                self.tasks.set(at, State::Pending);
                self.queue.push_back(at);
            }
        }
        Ok(())
    }

    fn run(mut self, mut signals: Signals) -> Result<Ended> {
        loop {
            self.look_at_all()?;
            if self.why.is_none() {
                self.start_what_can()?;
            }
            let nothing_left = self.queue.is_empty() && self.waiting.is_empty();
            if self.running.is_empty() && (self.why.is_some() || nothing_left) {
                return self.end();
            }
            let came = signals.wait(self.until_next());
            for _ in 0..came.stops {
                self.stops += 1;
                match self.stops {
                    1 => {
                        self.why.get_or_insert("signal".to_owned());
                        let running = self.running.len();
                        if running > 0 {
                            warn(format_args!(
                                "nothing more is started; {running} running to the end (again: stop them)"
                            ));
                        }
                    }
                    2 => {
                        let now = Instant::now();
                        self.running.iter_mut().for_each(|running| running.stop(Class::Stopped, now));
                    }
                    _ => return Ok(Ended::Left { living: self.running.len() }),
                }
            }
        }
    }

    fn until_next(&self) -> Duration {
        let now = Instant::now();
        let mut next = if self.running.is_empty() { Duration::from_secs(60) } else { LOOK };
        if self.why.is_none() {
            if !self.queue.is_empty() && self.running.len() < self.settings.max_concurrent {
                next = next.min(self.next_start.saturating_duration_since(now));
            }
            for waiting in &self.waiting {
                next = next.min(waiting.next.saturating_duration_since(now).max(Duration::from_millis(10)));
            }
        }
        next
    }

    fn look_at_all(&mut self) -> Result<()> {
        let mut at = 0;
        while at < self.running.len() {
            match self.running[at].look(Instant::now()).map_err(trouble)? {
                Seen::Nothing => at += 1,
                Seen::Session(id) => self.session_is(at, id)?,
                Seen::Ended => {
                    let running = self.running.swap_remove(at);
                    self.finish(&running)?;
                }
            }
        }
        Ok(())
    }

    /// The session of a job is known. From now on nobody else of us may drive it.
    fn session_is(&mut self, at: usize, id: Id) -> Result<()> {
        let running = &self.running[at];
        let task = &mut self.tasks.all[running.task];
        task.of.session = Some(id);
        if task.asked.is_none()
            && let Some(mut hold) = Hold::take(id, Some(&running.out))?
        {
            hold.give(&running.out)?;
        }
        let of = task.of.clone();
        self.note(What::JobSession { of }, false)
    }

    fn finish(&mut self, running: &Running) -> Result<()> {
        let at = running.task;
        let home = self.tasks.all[at].home.clone();
        let mut look = Look { checker: &mut self.checker, home: home.as_deref(), since: running.at };
        let (exit, verdict) = running.judge(&mut look);
        match verdict {
            Verdict::Completed { totals } => self.completed(running, totals),
            Verdict::Unsent => {
                self.tasks.set(at, State::Pending);
                self.queue.push_front(at);
                Ok(())
            }
            Verdict::Failed(failure, _) if failure.class == Class::Busy => self.busy(at, failure.message),
            Verdict::Failed(failure, _)
                if failure.class == Class::Interrupted
                    && self.settings.retry_interrupted
                    && running.adopted =>
            {
                self.tasks.set(at, State::Pending);
                self.tasks.all[at].resent = true;
                self.queue.push_back(at);
                Ok(())
            }
            Verdict::Failed(failure, again) => self.failed(at, failure, again, exit),
        }
    }

    fn completed(&mut self, running: &Running, totals: Usage) -> Result<()> {
        let at = running.task;
        self.tasks.set(at, State::Completed);
        self.waiting.retain(|waiting| waiting.task != at);
        let task = &self.tasks.all[at];
        // Codex counts a session from its beginning (from 0.89).
        let counts_own = task.asked.is_none() || self.counts_turns;
        let usage = match &running.usage_before {
            _ if totals.is_empty() => None,
            _ if counts_own => Some(totals),
            Some(before) => Some(
                totals
                    .into_iter()
                    .map(|(name, total)| {
                        let own = total - before.get(&name).copied().unwrap_or(0);
                        (name, own)
                    })
                    .collect(),
            ),
            None => None,
        };
        let what = What::JobCompleted {
            of: task.of.clone(),
            last_message: running.follower.progress.last_message.clone(),
            usage,
            duration_ms: (Timestamp::now().0 - running.at.0).max(0),
            adopted: running.adopted,
        };
        self.note(what, true)
    }

    fn failed(&mut self, at: usize, failure: Failure, again: bool, exit: Option<ExitStatus>) -> Result<()> {
        let row = failure.class.row();
        self.tasks.set(at, State::Failed { again, sent: row.sent != Sent::No });
        self.waiting.retain(|waiting| waiting.task != at);
        self.failures += 1;
        if row.stops_run && self.why.is_none() {
            self.why = Some(failure.class.word());
        }
        if self.settings.max_failures.is_some_and(|most| self.failures >= most) {
            self.why.get_or_insert("max_failures".to_owned());
        }
        let what = What::JobFailed {
            of: self.tasks.all[at].of.clone(),
            failure,
            exit_code: exit.and_then(|exit| exit.code()),
            signal: exit.and_then(|exit| exit.signal()),
            again,
        };
        self.note(what, true)
    }

    /// Somebody else drives the session. Nothing was sent.
    fn busy(&mut self, at: usize, message: String) -> Result<()> {
        let now = Instant::now();
        let known = self.waiting.iter().position(|waiting| waiting.task == at);
        let mut waiting = match known {
            Some(known) => self.waiting.swap_remove(known),
            None => Waiting { task: at, since: now, tries: 0, next: now },
        };
        match self.settings.on_busy {
            OnBusy::Wait(longest) if now.duration_since(waiting.since) < longest => {
                if waiting.tries == 0 {
                    warn(format_args!("{message}; waiting for it"));
                }
                waiting.tries += 1;
                waiting.next = now + Duration::from_millis(250 << waiting.tries.min(5));
                if self.tasks.all[at].state != State::Pending {
                    self.tasks.set(at, State::Pending);
                }
                self.waiting.push(waiting);
                Ok(())
            }
            OnBusy::Skip => {
                self.tasks.set(at, State::Skipped);
                let of = self.tasks.all[at].of.clone();
                self.note(What::JobSkipped { of, why: message }, true)
            }
            _ => self.failed(at, Failure::new(Class::Busy, message), false, None),
        }
    }

    /// The next job that may be started now: one whose turn has come and whose session is free.
    fn next_job(&mut self) -> Option<usize> {
        let now = Instant::now();
        let driven: HashSet<Id> =
            self.running.iter().filter_map(|running| self.tasks.all[running.task].of.session).collect();
        let is_free =
            |tasks: &Tasks, at: usize| tasks.all[at].asked.is_none_or(|session| !driven.contains(&session));
        let tasks = &self.tasks;
        if let Some(ready) =
            self.waiting.iter_mut().find(|waiting| waiting.next <= now && is_free(tasks, waiting.task))
        {
            // If it is busy still, it comes back with its next time.
            ready.next = now + Duration::from_secs(3600);
            return Some(ready.task);
        }
        if now < self.next_start {
            return None;
        }
        let is_next = |at: &usize| {
            is_free(tasks, *at)
                // Jobs for one session keep their order.
                && !self.waiting.iter().any(|waiting| {
                    tasks.all[*at].asked.is_some() && tasks.all[waiting.task].asked == tasks.all[*at].asked
                })
        };
        let place = self.queue.iter().position(is_next)?;
        self.queue.remove(place)
    }

    fn start_what_can(&mut self) -> Result<()> {
        while self.why.is_none() && self.running.len() < self.settings.max_concurrent {
            let Some(at) = self.next_job() else { return Ok(()) };
            self.start(at)?;
        }
        Ok(())
    }

    fn start(&mut self, at: usize) -> Result<()> {
        let job = self.journal.job(self.tasks.all[at].place)?;
        let ready = match self.checker.check(&job)? {
            Checked::Ready(ready) => ready,
            Checked::Busy(message) => return self.busy(at, message),
            Checked::Failed(failure) => return self.failed(at, failure, false, None),
        };
        self.waiting.retain(|waiting| waiting.task != at || waiting.tries > 0);
        self.starts += 1;
        if self.starts < self.settings.max_concurrent {
            let random = u64::from_str_radix(&Id::random().hex()[..8], 16).unwrap_or(0);
            self.next_start = Instant::now() + Duration::from_millis(random % JITTER_MS);
        }
        self.tasks.set(at, State::Running);
        let task = &mut self.tasks.all[at];
        task.of.attempt += 1;
        // What an earlier attempt began is not what this one will.
        task.of.session = task.asked;
        task.of.name = ready.name.clone();
        let start = attempt::Start {
            folder: self.folder,
            codex: &self.settings.codex.clone(),
            job: &job,
            of: task.of.clone(),
            resent: task.resent,
        };
        task.start = Some(super::tasks::Start {
            at: Timestamp::now(),
            boot: probe::boot(),
            usage_before: ready.usage_before.clone(),
            process: None,
        });
        let started = start.go(*ready, &mut |what| self.note(what, true))?;
        match started {
            Started::Running(child, process) => {
                if let Some(start) = &mut self.tasks.all[at].start {
                    start.process = Some(process);
                }
                let timeout = self.settings.timeout;
                let running = Running::new(self.folder, at, &self.tasks.all, Some(child), timeout);
                self.running.extend(running.map_err(trouble)?);
                Ok(())
            }
            Started::Failed(failure) => {
                let again = failure.class.row().stops_run;
                self.failed(at, failure, again, None)
            }
        }
    }

    fn end(mut self) -> Result<Ended> {
        let left = self.tasks.left();
        if left == 0 {
            let failed = self.tasks.counts.failed;
            self.note(What::RunCompleted {}, true)?;
            return Ok(Ended::Completed { failed, killed: self.stops > 1 });
        }
        let why = self.why.clone().unwrap_or_else(|| "signal".to_owned());
        self.note(What::RunStopped { why: why.clone(), left }, true)?;
        Ok(Ended::Stopped { why, left, killed: self.stops > 1 })
    }
}

fn trouble(error: std::io::Error) -> Error {
    Error::new(format!("cannot follow a job: {}", reason(&error)))
}
