//! Carrying out jobs on hosts: what is sent there, and what becomes of what the hosts report.
//!
//! The journal of this run is the truth. `job.bound` is on disk before a record is sent; the events of a host are
//! written with its name, and with the numbers and counts of this run. A host decides nothing but whether a job can be
//! started now, and how its attempt ended: retries, busy sessions and limits are decided here.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::disk::progress::{Binding, NextStart, Start, State};
use crate::process::spawn;
use crate::record::event::{Event, JobRef, RunEvent};
use crate::record::failure::{Class, Failure};
use crate::record::file::{FileUse, JobFile};
use crate::record::job::{Job, Kind};
use crate::record::settings::{Interrupted, OnLimit, SavedSettings};
use crate::record::worker::{JobStop, LONGEST_RECORD, WorkerHello};
use crate::run::engine::Engine;
use crate::run::failed::Failed;
use crate::run::feed::Offer;
use crate::run::hosts::{BoundJob, Closed, Link, News, Phase};
use crate::run::schedule::random;
use crate::run::transitions::{FIRST_RETRY, LONGEST_RETRY, MAX_EARLY_CRASHES};
use codex_agent_shared::error::{Result, reason};
use codex_agent_shared::host::{Host, Unanswered};
use codex_agent_shared::text::{cell, counted};
use codex_agent_shared::time::Timestamp;

/// The longest last message that is kept, in bytes.
const LONGEST_MESSAGE: usize = 4 << 20;
/// The wait for a host whose limit resets at an unknown time.
const UNKNOWN_LIMIT_MS: i64 = 60_000;

impl Engine<'_> {
    /// Whether this machine may start one more job.
    pub(super) fn has_own_slot(&self) -> bool {
        !self.hosts.take_unassigned() && self.running.len() < self.settings.max_concurrent
    }

    /// Whether one more job may be started, here or on a host.
    pub(super) fn has_any_slot(&self) -> bool {
        self.has_own_slot() || self.hosts.find_slot().is_some()
    }

    /// The host of a job that is about to be started; `None` for this machine.
    pub(super) fn choose_host(&self, offer: &Offer) -> Option<usize> {
        let planned = || self.tasks.position(&offer.id).and_then(|at| self.tasks.all[at].host());
        match offer.job.as_ref().map_or_else(planned, |job| job.host.as_deref()) {
            Some(name) => self.hosts.position(name),
            None if self.hosts.take_unassigned() => self.hosts.find_slot(),
            None => None,
        }
    }

    /// Claims a job, and sends it to a host.
    pub(super) fn claim_and_send(&mut self, offer: Offer, host: usize) -> Result<()> {
        let Some(at) = self.claim(offer)? else { return Ok(()) };
        if self.hosts.bound().any(|bound| bound == at) {
            // Its host is being asked for it.
            return Ok(());
        }
        let (record, about) = match self.pack(at, host)? {
            Ok(packed) => packed,
            Err(failure) => return self.fail(at, Failed::without_exit(failure)),
        };
        let (name, place) = (self.hosts.all[host].host.name.clone(), self.hosts.all[host].place.clone());
        let task = &mut self.tasks.all[at];
        (task.of.host, task.of.session) = (Some(name.clone()), record.asked());
        task.binding = Some(Binding { host: name, place: place.clone(), is_begun: false });
        let of = task.of.clone();
        self.tasks.set_state(at, State::Running);
        self.record_event(RunEvent::JobBound { of, place }, true)?;
        let since = Timestamp::now();
        self.hosts.all[host].bound.push(BoundJob { at, about, since, is_asked: true });
        match self.hosts.all[host].link() {
            Some(link) => link.send(&record),
            // The host is asked when it is connected.
            None => Ok(()),
        }
    }

    /// The record of a job for a host, and its label; a failure if the job cannot be sent.
    fn pack(&mut self, at: usize, host: usize) -> Result<std::result::Result<(Job, String), Failure>> {
        let planned = self.journal.job(self.tasks.all[at].place)?;
        let about = self.label(&planned);
        let task = &self.tasks.all[at];
        let mut job = match task.next {
            NextStart::Plan => planned,
            NextStart::Continue(session) => planned.resuming(session).with_prompt("Continue."),
            NextStart::Fork => planned.in_fork(),
        };
        let host = &self.hosts.all[host].host;
        let (run, name) = (self.dir.name().to_owned(), host.name.clone());
        (job.run, job.host, job.codex_home) = (Some(run), Some(name), None);
        job.begun = task.binding.as_ref().is_some_and(|binding| binding.is_begun);
        job.attempt = task.asked_attempt();
        job.resent = task.resent && !matches!(task.next, NextStart::Continue(_));
        job.depth = spawn::depth();
        job.events = self.listener.wants_lines();
        // Everything else is decided here.
        let (on_limit, retries) = (self.settings.on_limit, self.settings.retries);
        let own = self.settings.to_saved();
        job.settings = Some(Box::new(SavedSettings {
            timeout_ms: own.timeout_ms,
            idle_timeout_ms: own.idle_timeout_ms,
            network_timeout_ms: own.network_timeout_ms,
            on_limit,
            retries,
            on_busy: "fail".to_owned(),
            ..SavedSettings::default()
        }));
        if let Some(cwd) = &job.cwd
            && let Some(there) = host.map_path(Path::new(cwd))
        {
            job.cwd = Some(there.to_string_lossy().into_owned());
        }
        Ok(pack_files(job).map(|job| (job, about)))
    }

    /// Asks a host that was just connected for the jobs that belong to it.
    fn ask(&mut self, host: usize) -> Result<()> {
        let jobs: Vec<usize> = self.hosts.all[host].bound.iter().map(|bound| bound.at).collect();
        for at in jobs {
            // What may be running is stopped, and what is not begun is not begun.
            if self.stop.requests > 1 {
                self.hosts.all[host].bound.iter_mut().for_each(|bound| bound.is_asked = true);
                self.send_stop(host, at)?;
                continue;
            }
            let (record, about) = match self.pack(at, host)? {
                Ok(packed) => packed,
                Err(failure) => {
                    // A host that has the job already needs no file of it.
                    let mut job = self.journal.job(self.tasks.all[at].place)?;
                    if !self.tasks.all[at].binding.as_ref().is_some_and(|binding| binding.is_begun) {
                        self.hosts.all[host].release(at);
                        self.tasks.unbind(at);
                        self.fail(at, Failed::without_exit(failure))?;
                        continue;
                    }
                    (job.images, job.options.output_schema) = (Vec::new(), None);
                    (job.run, job.host) =
                        (Some(self.dir.name().to_owned()), self.tasks.all[at].of.host.clone());
                    (job.begun, job.attempt, job.codex_home) = (true, self.tasks.all[at].of.attempt, None);
                    (job, String::new())
                }
            };
            let state = &mut self.hosts.all[host];
            if let Some(bound) = state.bound.iter_mut().find(|bound| bound.at == at) {
                (bound.is_asked, bound.about) = (true, about);
            }
            if let Some(link) = state.link() {
                link.send(&record)?;
            }
        }
        Ok(())
    }

    fn send_stop(&mut self, host: usize, at: usize) -> Result<()> {
        let task = &self.tasks.all[at];
        let name = &self.hosts.all[host].host.name;
        let record = JobStop::new(self.dir.name(), name, &task.of.job, task.asked_attempt());
        self.hosts.all[host].link().map_or(Ok(()), |link| link.send(&record))
    }

    /// Stops the jobs of all connected hosts. The others are asked when they are connected.
    pub(super) fn stop_on_hosts(&mut self) {
        for host in 0..self.hosts.all.len() {
            let asked = self.hosts.all[host].bound.iter().filter(|bound| bound.is_asked);
            for at in asked.map(|bound| bound.at).collect::<Vec<usize>>() {
                if let Err(error) = self.send_stop(host, at) {
                    self.listener.warn(error.message());
                }
            }
        }
    }

    /// Takes over a job that an earlier runner sent to a host.
    pub(super) fn adopt_bound(&mut self, at: usize) -> Result<()> {
        let task = &self.tasks.all[at];
        let Some(name) = task.binding.as_ref().map(|binding| binding.host.clone()) else { return Ok(()) };
        let since = task.start.as_ref().map_or_else(Timestamp::now, |start| start.at);
        if self.settings.hosts.given_up.contains(&name) {
            let message =
                format!("host '{name}' had the job, and its outcome is unknown: the user gave the host up");
            self.tasks.all[at].binding = None;
            return self.fail(at, Failed::without_exit(Failure::new(Class::Interrupted, message)));
        }
        let host = self.hosts.position_or_add(Host::named(&name)?);
        self.hosts.all[host].bound.push(BoundJob { at, about: String::new(), since, is_asked: false });
        Ok(())
    }

    /// Removes the hosts that the user has given up.
    pub(super) fn give_up_hosts(&mut self) {
        let given_up = &self.settings.hosts.given_up;
        self.hosts.all.retain(|host| !given_up.contains(&host.host.name));
    }

    /// Fails the jobs that belong to hosts as interrupted: their outcome is not asked for any more.
    pub(super) fn interrupt_bound(&mut self, is_meant: impl Fn(&str) -> bool, why: &str) -> Result<()> {
        for host in 0..self.hosts.all.len() {
            let name = self.hosts.all[host].host.name.clone();
            if !is_meant(&name) {
                continue;
            }
            for bound in std::mem::take(&mut self.hosts.all[host].bound) {
                let message = format!("host '{name}' had the job, and its outcome is unknown: {why}");
                self.tasks.all[bound.at].binding = None;
                self.fail(bound.at, Failed::without_exit(Failure::new(Class::Interrupted, message)))?;
            }
        }
        Ok(())
    }

    /// Connects hosts, and reads what they report.
    pub(super) fn poll_hosts(&mut self) -> Result<()> {
        let (now, clock) = (Instant::now(), Timestamp::now());
        for host in 0..self.hosts.all.len() {
            let is_needed = self.stop.why.is_none() || !self.hosts.all[host].bound.is_empty();
            let is_busy = self.is_busy();
            let state = &mut self.hosts.all[host];
            state.reopen(clock);
            match &mut state.phase {
                Phase::Waiting(_) if !is_needed => state.phase = Phase::Down(None),
                Phase::Waiting(then) if *then <= now => self.connect(host)?,
                Phase::Down(Some(then)) if *then <= now => match is_needed && is_busy {
                    true => self.connect(host)?,
                    false => *then = now + Duration::from_secs(1),
                },
                Phase::Greeting(link, until) if *until <= now => {
                    link.kill();
                    let patience = state.patience().as_secs();
                    let hint =
                        format!("host.{}.connect_timeout in config.toml is that time", state.host.name);
                    let why = format!("no greeting of a worker came within {patience} s");
                    self.lose(host, why, Some(hint), true)?;
                }
                Phase::Greeting(link, _) | Phase::Up(link) => {
                    let mut news = Vec::new();
                    link.read(&mut |one| news.push(one));
                    for one in news {
                        self.handle_news(host, one)?;
                    }
                }
                Phase::Waiting(_) | Phase::Down(_) => {}
            }
        }
        Ok(())
    }

    fn connect(&mut self, host: usize) -> Result<()> {
        let state = &mut self.hosts.all[host];
        state.tries += 1;
        match Link::start(&state.host) {
            Ok(link) => {
                state.phase = Phase::Greeting(link, Instant::now() + state.patience());
                Ok(())
            }
            Err(error) => {
                let message = error.message().to_owned();
                let own = format!("host '{}': ", state.host.name);
                let why = message.strip_prefix(&own).unwrap_or(&message).to_owned();
                self.lose(host, why, error.hints(), true)
            }
        }
    }

    fn handle_news(&mut self, host: usize, news: News) -> Result<()> {
        match news {
            News::Hello(hello) => self.greet(host, *hello),
            News::OtherProtocol(other) => {
                let why = format!("its codex-agent speaks version {other} of the protocol of workers");
                self.lose(host, why, Some("install the same version of codex-agent on both".to_owned()), true)
            }
            News::Event(event) => self.handle_event(host, *event),
            News::Line(of, line) => {
                if let Some(at) = self.tasks.position(&of.job)
                    && self.hosts.all[host].bound.iter().any(|bound| bound.at == at && bound.is_asked)
                {
                    let of = &self.tasks.all[at].of;
                    self.listener.line(self.dir.name(), of, line.get().as_bytes());
                }
                Ok(())
            }
            News::End => {
                let state = &mut self.hosts.all[host];
                let Unanswered { why, is_lasting } = match &mut state.phase {
                    Phase::Greeting(link, _) | Phase::Up(link) => link.explain(&state.host),
                    Phase::Waiting(_) | Phase::Down(_) => return Ok(()),
                };
                self.lose(host, why, None, is_lasting)
            }
        }
    }

    /// Notes that the connection of a host ended or was not made.
    fn lose(&mut self, host: usize, why: String, hint: Option<String>, is_hopeless: bool) -> Result<()> {
        let state = &mut self.hosts.all[host];
        let is_down = state.lose(is_hopeless);
        let (name, left) = (state.host.name.clone(), state.bound.len());
        let shown = cell(&why, 400);
        let hint = hint.map_or_else(String::new, |hint| format!(" ({})", cell(&hint, 200)));
        let what = RunEvent::HostLost { host: name.clone(), why, given_up: is_down };
        self.record_event(what, false)?;
        match is_down {
            true => {
                let left = match left {
                    0 => String::new(),
                    left => format!(
                        "; the outcome of {} there is unknown so far, and 'codex-agent run continue' asks again (--give-up {name} if the host is gone)",
                        counted(left, "job")
                    ),
                };
                self.listener.warn(&format!("host '{name}': {shown}{hint}{left}"));
            }
            false => self.listener.status(&format!("host '{name}': {shown}; connecting again")),
        }
        Ok(())
    }

    /// Begins to use a host whose worker has greeted.
    fn greet(&mut self, host: usize, hello: WorkerHello) -> Result<()> {
        let WorkerHello { version, codex, place, boot, cpus, .. } = hello;
        if codex.path.is_none() {
            let hint = "install Codex there, or name it by codex.binary in its config.toml".to_owned();
            return self.lose(host, "there is no Codex".to_owned(), Some(hint), true);
        }
        let state = &mut self.hosts.all[host];
        let link = match std::mem::replace(&mut state.phase, Phase::Down(None)) {
            Phase::Greeting(link, _) | Phase::Up(link) => link,
            other => {
                state.phase = other;
                return Ok(());
            }
        };
        (state.phase, state.place) = (Phase::Up(link), place.clone());
        let name = state.host.name.clone();
        self.record_event(
            RunEvent::HostUp { host: name.clone(), version, codex, place: place.clone(), boot, cpus },
            false,
        )?;
        // A host that has lost what it knew would begin the jobs again.
        let is_other = |bound: &BoundJob| {
            self.tasks.all[bound.at].binding.as_ref().is_some_and(|binding| binding.place != place)
        };
        let lost: Vec<BoundJob> =
            self.hosts.all[host].bound.extract_if(.., |bound| is_other(bound)).collect();
        for bound in lost {
            let message = format!(
                "host '{name}' has another state directory than before, and the outcome of the job is unknown"
            );
            self.tasks.all[bound.at].binding = None;
            self.fail(bound.at, Failed::without_exit(Failure::new(Class::Interrupted, message)))?;
        }
        self.ask(host)
    }

    fn handle_event(&mut self, host: usize, event: Event) -> Result<()> {
        let Some(of) = event.what.job_ref() else { return Ok(()) };
        let Some(at) = self.tasks.position(&of.job) else { return Ok(()) };
        let state = &mut self.hosts.all[host];
        if !state.bound.iter().any(|bound| bound.at == at && bound.is_asked) {
            return Ok(());
        }
        state.tries = 0;
        let name = state.host.name.clone();
        let task = &mut self.tasks.all[at];
        // The worker counts on from the attempt that it was asked for.
        let asked = task.asked_attempt();
        let attempt = if (asked..asked.saturating_add(8)).contains(&of.attempt) { of.attempt } else { asked };
        let is_begun = task.binding.as_ref().is_some_and(|binding| binding.is_begun);
        let of = JobRef {
            number: at + 1,
            attempt: if is_begun { task.of.attempt } else { attempt },
            host: Some(name),
            ..of.clone()
        };
        match event.what {
            RunEvent::JobStarted {
                cwd,
                sandbox,
                kind,
                boot,
                usage_before,
                version,
                rollout_bytes,
                uptime_ms,
                ..
            } => {
                if is_begun {
                    return Ok(());
                }
                let continues = matches!(task.next, NextStart::Continue(_));
                if let Some(binding) = &mut task.binding {
                    binding.is_begun = true;
                }
                task.start = Some(Start {
                    at: event.at,
                    boot: boot.clone(),
                    usage_before: usage_before.clone(),
                    asked: of.session,
                    is_new: kind == Some(Kind::New),
                    version: version.clone(),
                    before: rollout_bytes,
                    up: uptime_ms,
                    process: None,
                    session_reported: false,
                });
                task.of = of.clone();
                let resent = task.resent && !continues;
                let what = RunEvent::JobStarted {
                    of,
                    cwd,
                    sandbox,
                    kind,
                    continues,
                    resent,
                    boot,
                    usage_before,
                    version,
                    rollout_bytes,
                    uptime_ms,
                };
                self.record_event(what, false)
            }
            RunEvent::JobSpawned { process, .. } => match &mut task.start {
                Some(start) if start.process.is_none() => {
                    start.process = Some(process.clone());
                    self.record_event(RunEvent::JobSpawned { of, process }, false)
                }
                _ => Ok(()),
            },
            RunEvent::JobSession { .. } => match &mut task.start {
                Some(start) if !start.session_reported => {
                    start.session_reported = true;
                    task.of = of.clone();
                    self.record_event(RunEvent::JobSession { of }, false)
                }
                _ => Ok(()),
            },
            RunEvent::JobCompleted { last_message, usage, duration_ms, adopted, .. } => {
                // The same bounds as here.
                let last_message = last_message.filter(|message| message.len() <= LONGEST_MESSAGE);
                self.unbind(at, host, &of);
                let state = &mut self.hosts.all[host];
                state.early_crashes.clear();
                state.returns = 0;
                self.tasks.set_state(at, State::Completed);
                self.record_event(
                    RunEvent::JobCompleted { of, last_message, usage, duration_ms, adopted },
                    true,
                )
            }
            RunEvent::JobFailed { failure, exit_code, signal, again, usage, .. } => {
                let Failure { class, message, until, holder } = failure;
                let failure = Failure { until, holder, ..Failure::new(class, message) };
                self.unbind(at, host, &of);
                let exit = exit_code
                    .map(|code| (code & 0xff) << 8)
                    .or(signal.map(|signal| signal & 0x7f))
                    .map(ExitStatus::from_raw);
                self.handle_failure(at, host, Failed { failure, again, exit, usage })
            }
            RunEvent::JobSkipped { why, failure, .. } => {
                // Nothing was begun.
                let of = JobRef { attempt: task.of.attempt, ..of };
                let failure = failure.unwrap_or_else(|| Failure::new(Class::Other, why));
                self.handle_return(at, host, of, failure)
            }
            _ => Ok(()),
        }
    }

    /// Takes a job from its host.
    fn unbind(&mut self, at: usize, host: usize, of: &JobRef) {
        self.hosts.all[host].release(at);
        let task = &mut self.tasks.all[at];
        (task.of, task.binding) = (of.clone(), None);
    }

    /// Handles an attempt that failed on a host.
    fn handle_failure(&mut self, at: usize, host: usize, mut failed: Failed) -> Result<()> {
        let (class, until) = (failed.failure.class, failed.failure.until);
        self.stop.killed |= class == Class::Stopped;
        if self.tasks.all[at].of.session.is_none() && class.may_be_of_codex() {
            return self.handle_early_crash(at, host, failed);
        }
        self.hosts.all[host].early_crashes.clear();
        let again = failed.again && self.stop.requests < 2;
        match class {
            Class::UsageLimit => self.close_host(host, class, until),
            _ if class.row().stops_run => self.close_host(host, class, None),
            _ => {}
        }
        let tries = self.tries.get(&at).copied().unwrap_or(0);
        let wait = match class {
            Class::UsageLimit if again => Some(Duration::ZERO),
            // A job is begun anew once.
            Class::Unrecorded if again && !std::mem::replace(&mut self.tasks.all[at].anew, true) => {
                Some(Duration::ZERO)
            }
            _ if class.row().stops_run && again => Some(Duration::ZERO),
            Class::Interrupted if self.may_continue(at) => Some(Duration::ZERO),
            _ if class.may_pass() && again && tries < self.settings.retries => {
                *self.tries.entry(at).or_default() += 1;
                let wait = (FIRST_RETRY * 2_u32.saturating_pow(tries)).min(LONGEST_RETRY);
                Some(wait + Duration::from_millis(random(wait.as_millis() as u64 / 4)))
            }
            _ => None,
        };
        match wait {
            Some(wait) => self.retry(at, failed, wait),
            None => {
                failed.again = false;
                self.record_failed_job(at, failed)
            }
        }
    }

    /// Whether an interrupted job of a host is continued or sent again: once under this runner.
    fn may_continue(&mut self, at: usize) -> bool {
        let session = self.tasks.all[at].of.session;
        let next = match (self.settings.interrupted, session) {
            (Interrupted::Continue, Some(session)) => NextStart::Continue(session),
            (Interrupted::Retry, _) => self.tasks.all[at].next,
            _ => return false,
        };
        let tries = self.tries.entry(at).or_default();
        *tries += 1;
        if *tries == 1 {
            self.tasks.all[at].next = next;
        }
        *tries == 1
    }

    /// Several such failures in a row on a host are the fault of its Codex: the host gets no more jobs, and its jobs are
    /// pending again.
    fn handle_early_crash(&mut self, at: usize, host: usize, failed: Failed) -> Result<()> {
        let class = failed.failure.class;
        let crashes = &mut self.hosts.all[host].early_crashes;
        crashes.push((at, failed.clone()));
        if crashes.len() < MAX_EARLY_CRASHES {
            return self.record_failed_job(at, Failed { again: false, ..failed });
        }
        let crashes = std::mem::take(crashes);
        self.close_host(host, class, None);
        crashes.into_iter().try_for_each(|(at, failed)| self.retry(at, failed, Duration::ZERO))
    }

    /// Handles a job that a host gave back: nothing was sent.
    fn handle_return(&mut self, at: usize, host: usize, of: JobRef, failure: Failure) -> Result<()> {
        self.hosts.all[host].release(at);
        let task = &mut self.tasks.all[at];
        task.of.attempt = of.attempt;
        task.release();
        self.tasks.set_state(at, State::Pending);
        let (class, until) = (failure.class, failure.until);
        let (why, message) = (class.word(), failure.message.clone());
        self.record_event(RunEvent::JobReturned { of, why, message, until }, true)?;
        let state = &mut self.hosts.all[host];
        state.returns += 1;
        match class {
            Class::UsageLimit => self.close_host(host, class, until),
            Class::Busy | Class::Locked => return self.handle_busy(at, failure),
            _ => {
                let wait = Duration::from_millis(100 << state.returns.min(8));
                state.not_before = Some(Instant::now() + wait);
            }
        }
        self.give_back(at, Duration::ZERO);
        Ok(())
    }

    /// Gives a host no more jobs, until this time or in this run.
    fn close_host(&mut self, host: usize, class: Class, until: Option<Timestamp>) {
        let now = Timestamp::now();
        let is_limit = class == Class::UsageLimit;
        let unknown = (is_limit && self.settings.on_limit == OnLimit::Wait)
            .then(|| Timestamp(now.0 + UNKNOWN_LIMIT_MS));
        let until = until.filter(|until| is_limit && *until > now).or(unknown);
        let state = &mut self.hosts.all[host];
        let was_open = state.closed.is_none();
        state.closed = Some(Closed { class, until });
        if was_open {
            let name = &state.host.name;
            let until =
                until.map_or_else(|| " in this run".to_owned(), |until| format!(" until {}", until.clock()));
            let message = format!("host '{name}' gets no more jobs{until}: {}", class.word());
            self.listener.warn(&message);
        }
    }

    /// Stops the run if nothing runs, and no host can take any of the jobs that are left.
    pub(super) fn stop_without_hosts(&mut self) {
        let needs_hosts =
            || self.hosts.take_unassigned() || self.tasks.all.iter().any(|task| task.host().is_some());
        if self.is_busy() || (self.hosts.all.is_empty() && !needs_hosts()) {
            return;
        }
        let waits = self.settings.on_limit == OnLimit::Wait;
        let serves = |at: usize| self.hosts.may_serve(at, waits);
        let is_any = (0..self.hosts.all.len()).any(serves);
        let is_pending = |state: State| matches!(state, State::Pending | State::Failed { again: true, .. });
        let mut pending = self.tasks.all.iter().filter(|task| is_pending(task.state)).peekable();
        let has_more = self.counts().pending > self.tasks.counts.pending;
        if pending.peek().is_none() && !has_more {
            // Without a free slot the feed is not asked.
            self.drained = true;
            if self.hosts.count_bound() == 0 {
                return;
            }
        }
        let is_served = pending.any(|task| match task.host() {
            Some(name) => self.hosts.position(name).is_some_and(serves),
            None => !self.hosts.take_unassigned() || is_any,
        });
        if is_served || (has_more && is_any) {
            return;
        }
        let closed = || self.hosts.all.iter().filter_map(|host| host.closed.as_ref());
        let limited = closed().filter(|closed| closed.class == Class::UsageLimit);
        let until = limited.clone().filter_map(|closed| closed.until).min();
        let class = limited.chain(closed()).next().map_or(Class::Host, |closed| closed.class);
        let is_down =
            self.hosts.all.iter().any(|host| matches!(host.phase, Phase::Down(_)) && host.slots > 0);
        let is_limit = class == Class::UsageLimit;
        let class = if is_down && !is_limit { Class::Host } else { class };
        (self.stop.why, self.stop.until) = (Some(class.word()), until.filter(|_| is_limit));
    }
}

/// Puts the files of a job into its record.
fn pack_files(mut job: Job) -> std::result::Result<Job, Failure> {
    let refused = |message: String| Failure::new(Class::Refused, message);
    let images = job.images.drain(..).map(|path| (FileUse::Image, path));
    let schema = job.options.output_schema.take().map(|path| (FileUse::Schema, path));
    let mut total = job.prompt.len();
    let mut files = Vec::new();
    for (purpose, path) in images.chain(schema) {
        let own = Path::new(&path);
        let unreadable = |error: io::Error| {
            refused(format!("cannot read the file '{path}' of the job: {}", reason(&error)))
        };
        let meta = own.metadata().map_err(unreadable)?;
        if !meta.is_file() {
            return Err(refused(format!(
                "cannot read the file '{path}' of the job: it is not a regular file"
            )));
        }
        let length = meta.len();
        // Base64 has four digits for three bytes.
        total += usize::try_from(length).unwrap_or(usize::MAX / 8) / 3 * 4;
        if total > LONGEST_RECORD {
            let most = LONGEST_RECORD >> 20;
            return Err(refused(format!("the files of the job are too long for a host: at most {most} MiB")));
        }
        let mut contents = Vec::new();
        let opened = std::fs::File::open(own).map_err(unreadable)?;
        opened.take(LONGEST_RECORD as u64).read_to_end(&mut contents).map_err(unreadable)?;
        let name = own.file_name().unwrap_or_default().to_string_lossy();
        files.push(JobFile::new(purpose, &name, &contents));
    }
    job.files = files;
    // A control character of a prompt has six characters in a record.
    let is_long = job.prompt.len() + total > LONGEST_RECORD / 8;
    if is_long && serde_json::to_vec(&job).map_or(0, |record| record.len()) > LONGEST_RECORD {
        let most = LONGEST_RECORD >> 20;
        return Err(refused(format!("the record of the job is too long for a host: at most {most} MiB")));
    }
    Ok(job)
}
