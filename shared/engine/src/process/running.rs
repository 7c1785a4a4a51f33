//! A running attempt, polled for its output, its end and its time limits. The process is a child of this runner,
//! or adopted from an earlier runner.

use std::io;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::disk::progress::{JobState, Start};
use crate::disk::run_dir::RunDir;
use crate::liveness;
use crate::process::judge::{Evidence, Rollout, Verdict, judge};
use crate::process::output::{Follower, Terminal, last_words};
use crate::record::failure::Class;
use crate::record::settings::Patience;
use codex_agent_shared::record::Id;

/// How long Codex may run after the end of its turn.
const EXIT_GRACE: Duration = Duration::from_secs(10);
/// The time between a signal and a stronger signal.
const SIGNAL_GRACE: Duration = Duration::from_secs(5);

/// A running attempt.
pub(crate) struct Running {
    /// The index of its job.
    pub(crate) task: usize,
    /// The output of Codex.
    pub(crate) follower: Follower,
    /// The label of its job, for observers.
    pub(crate) about: String,
    /// Its start.
    pub(crate) start: Start,
    /// The path of its output.
    pub(crate) out: PathBuf,
    /// Whether another runner started it.
    pub(crate) adopted: bool,
    child: Option<Child>,
    exit: Option<ExitStatus>,
    reported: Option<Id>,
    deadline: Option<Instant>,
    last_word: Option<Instant>,
    announced: bool,
    stop: Option<Stop>,
    patience: Patience,
    events: u64,
    heard: Instant,
    offline: Option<Instant>,
}

/// A stop in progress.
struct Stop {
    /// The class of the outcome; `None` if the turn ended before the stop.
    class: Option<Class>,
    signal: Signal,
    next: Instant,
    /// The number of SIGKILLs sent.
    kills: u32,
}

/// The result of polling an attempt.
pub(crate) enum Change {
    /// No change to report.
    Nothing,
    /// Its session is known.
    Session(Id),
    /// The attempt ended.
    Ended,
}

impl Running {
    /// Adopts an attempt of another runner. `None` if it has no output: then Codex was never started.
    pub(crate) fn adopt(
        dir: &RunDir,
        at: usize,
        task: &JobState,
        patience: Patience,
    ) -> io::Result<Option<Running>> {
        match Follower::open(&dir.file(task.of.number, task.of.attempt, "out")) {
            Ok(follower) => Ok(Some(Running::new(dir, at, task, follower, None, patience))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A started attempt; `child` is `None` if another runner started it.
    pub(crate) fn new(
        dir: &RunDir,
        place: usize,
        task: &JobState,
        follower: Follower,
        child: Option<Child>,
        patience: Patience,
    ) -> Running {
        // A running job has a start.
        let start = task.start.clone().unwrap_or_default();
        Running {
            task: place,
            follower,
            about: String::new(),
            out: dir.file(task.of.number, task.of.attempt, "out"),
            adopted: child.is_none(),
            child,
            exit: None,
            reported: task.of.session.filter(|_| start.session_reported),
            // The age does not depend on the wall clock, which may be set.
            deadline: patience.timeout.map(|timeout| Instant::now() + timeout.saturating_sub(start.age())),
            last_word: None,
            announced: task.of.session.is_some() && start.asked.is_none(),
            start,
            stop: None,
            patience,
            events: 0,
            heard: Instant::now(),
            offline: None,
        }
    }

    /// Polls the attempt.
    pub(crate) fn poll(&mut self, now: Instant) -> io::Result<Change> {
        // The end is checked first, so that all output before it is read.
        let mut ended = self.has_ended(now)?;
        if ended {
            // The attempt ends after its last piece of output was read.
            ended = self.follower.finish()?;
        } else {
            self.follower.read()?;
        }
        if self.events != self.follower.progress.events {
            (self.events, self.heard) = (self.follower.progress.events, now);
        }
        match self.follower.progress.offline {
            true => drop(self.offline.get_or_insert(now)),
            false => self.offline = None,
        }
        if let (false, Some(id)) = (self.announced, self.follower.progress.session) {
            self.announced = true;
            // A full disk is reported by the next write.
            let _ = self.follower.sync();
            if self.start.asked.is_some_and(|asked| asked != id) {
                self.stop_by(Signal::KILL, Some(Class::WrongSession), now);
            }
            return Ok(Change::Session(id));
        }
        if ended {
            return Ok(Change::Ended);
        }
        if self.follower.progress.terminal.is_some() {
            self.last_word.get_or_insert(now);
        }
        if self.stop.is_none() {
            if self.last_word.is_some_and(|word| now >= word + EXIT_GRACE) {
                self.stop_by(Signal::INT, None, now);
            } else if self.last_word.is_none() {
                let too_long = |since: Instant, limit: Option<Duration>| {
                    limit.is_some_and(|limit| now.duration_since(since) >= limit)
                };
                if self.offline.is_some_and(|since| too_long(since, self.patience.network)) {
                    self.stop(Class::Network, now);
                } else if self.deadline.is_some_and(|deadline| now >= deadline)
                    || too_long(self.heard, self.patience.idle)
                {
                    self.stop(Class::Timeout, now);
                }
            }
        }
        self.escalate_signal(now);
        Ok(Change::Nothing)
    }

    fn has_ended(&mut self, now: Instant) -> io::Result<bool> {
        if let Some(child) = &mut self.child {
            let Some(exit) = child.try_wait()? else { return Ok(false) };
            self.child = None;
            self.exit = Some(exit);
            // A killed process may be the launcher alone; after an exit there is no further output.
            if exit.code().is_some() {
                self.last_word.get_or_insert(now);
            }
        }
        // A process whose turn ended and that survives SIGKILL is not waited for.
        if self.stop.as_ref().is_some_and(|stop| stop.kills > 1) && self.is_done() {
            return Ok(true);
        }
        // An unknown state counts as running and is polled again.
        Ok(!match self.exit {
            Some(_) => liveness::may_be_running(&self.out),
            None => liveness::may_be_locked(&self.out),
        })
    }

    /// Begins to stop the attempt, with SIGINT first. A completed turn stays completed.
    pub(crate) fn stop(&mut self, class: Class, now: Instant) {
        if self.stop.is_none() {
            self.stop_by(Signal::INT, Some(class), now);
        }
    }

    fn stop_by(&mut self, signal: Signal, class: Option<Class>, now: Instant) {
        self.stop = Some(Stop { class, signal, next: now, kills: 0 });
        self.escalate_signal(now);
    }

    /// Sends the signal that is due: SIGINT, SIGTERM, then SIGKILL until the process ends.
    fn escalate_signal(&mut self, now: Instant) {
        let Some(stop) = &mut self.stop else { return };
        if now < stop.next {
            return;
        }
        match &self.child {
            Some(child) => liveness::signal_child(child.id() as i32, stop.signal),
            None => liveness::signal_holders(&self.out, self.start.process.as_ref(), stop.signal),
        }
        stop.kills += u32::from(stop.signal == Signal::KILL);
        stop.next = now + SIGNAL_GRACE;
        stop.signal = match stop.signal {
            Signal::INT => Signal::TERM,
            _ => Signal::KILL,
        };
    }

    /// The exit status and the verdict.
    pub(crate) fn judge(&self, rollout: &mut dyn Rollout) -> (Option<ExitStatus>, Verdict) {
        // The status of a killed launcher is not that of the Codex that kept running.
        let outlived = self.exit.is_some_and(|exit| exit.code().is_none()) && self.is_done();
        let exit = self.exit.filter(|_| !outlived);
        // Standard error beside a success is ignored.
        let is_completed = matches!(self.follower.progress.terminal, Some(Terminal::Completed(_)));
        let words = if is_completed { String::new() } else { self.last_words() };
        let lingered = self.stop.as_ref().is_some_and(|stop| stop.class.is_none());
        let evidence = Evidence {
            asked: self.start.asked,
            progress: &self.follower.progress,
            exit: if lingered { None } else { exit },
            stopped: self.stop.as_ref().and_then(|stop| stop.class),
            other_boot: self.is_of_other_boot(),
            reported: self.reported,
            last_words: &words,
        };
        (self.exit, judge(&evidence, rollout))
    }

    /// Whether the system was rebooted since the start.
    pub(crate) fn is_of_other_boot(&self) -> bool {
        !liveness::is_this_boot(self.start.boot.as_deref())
    }

    /// The end of its standard error.
    pub(crate) fn last_words(&self) -> String {
        last_words(&self.out.with_extension("err"))
    }

    /// Whether it was stopped by request.
    pub(crate) fn was_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.class == Some(Class::Stopped))
    }

    fn is_done(&self) -> bool {
        self.follower.progress.terminal.is_some()
    }
}
