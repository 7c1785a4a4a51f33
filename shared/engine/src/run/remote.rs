//! Carrying out jobs on hosts: what is sent there, and what becomes of what the hosts report.
//!
//! The journal of this run is the truth. `job.bound` is on disk before a record is sent; the events of a host are
//! written with its name, and with the numbers and counts of this run. A host decides nothing but whether a job can be
//! started now, and how its attempt ended: retries, busy sessions and limits are decided here ([`events`]).

mod events;
mod pack;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::disk::progress::{Binding, JobState, NextStart, State};
use crate::process::spawn;
use crate::record::event::RunEvent;
use crate::record::failure::{Class, Failure};
use crate::record::job::Job;
use crate::record::settings::OnLimit;
use crate::record::worker::{JobStop, WorkerHello};
use crate::run::engine::Engine;
use crate::run::failed::Failed;
use crate::run::feed::Offer;
use crate::run::hosts::{BoundJob, Closed, HostState, Link, News, Phase};
use crate::run::remote::pack::{check_length, pack_files};
use codex_agent_shared::error::Result;
use codex_agent_shared::host::{Host, Unanswered};
use codex_agent_shared::text::{cell, counted};
use codex_agent_shared::time::Timestamp;

impl Engine<'_> {
    /// Whether this machine may start one more job.
    pub(super) fn has_own_slot(&self) -> bool {
        let is_open = !self.hosts.take_unassigned() && self.hosts.here.is_none();
        is_open && self.running.len() < self.settings.max_concurrent
    }

    /// Starts no more jobs of this machine, until this time or in this run. Returns whether the run goes on: if there are
    /// hosts, which have jobs of their own.
    pub(super) fn close_here(&mut self, class: Class, until: Option<Timestamp>) -> bool {
        if self.hosts.all.is_empty() || self.hosts.take_unassigned() {
            (self.stop.why, self.stop.until) = (Some(class.word()), until);
            return false;
        }
        let now = Timestamp::now();
        let new = Closed { class, until: until.filter(|until| class == Class::UsageLimit && *until > now) };
        match &mut self.hosts.here {
            None => {
                self.listener.warn(&format!("this machine gets no more jobs{new}"));
                self.hosts.here = Some(new);
            }
            // The longer one counts.
            Some(old) if old.until.is_some() && (new.until.is_none() || new.until > old.until) => *old = new,
            Some(_) => {}
        }
        true
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
        let mut job = task.next.job(planned);
        let host = &self.hosts.all[host].host;
        let (run, name) = (self.dir.name().to_owned(), host.name.clone());
        (job.run, job.host, job.codex_home) = (Some(run), Some(name), None);
        job.begun = task.binding.as_ref().is_some_and(|binding| binding.is_begun);
        job.attempt = task.asked_attempt();
        job.resent = task.resent && !matches!(task.next, NextStart::Continue(_));
        job.depth = spawn::depth();
        job.events = self.listener.wants_lines();
        job.settings = Some(Box::new(self.settings.for_worker()));
        if let Some(cwd) = &job.cwd
            && let Some(there) = host.map_path(Path::new(cwd))
        {
            job.cwd = Some(there.to_string_lossy().into_owned());
        }
        let files = pack_files(&job);
        (job.images, job.options.output_schema) = (Vec::new(), None);
        Ok(match files {
            // A host that has begun the job needs no file of it.
            Err(_) if job.begun => Ok((job, about)),
            Err(failure) => Err(failure),
            Ok(files) => {
                job.files = files;
                check_length(&job).map(|()| (job, about))
            }
        })
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
                    self.hosts.all[host].release(at);
                    self.tasks.unbind(at);
                    self.fail(at, Failed::without_exit(failure))?;
                    continue;
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
            return self.interrupt(at, &format!("{}: the user gave the host up", unknown_outcome(&name)));
        }
        let host = self.hosts.position_or_add(Host::named(&name)?);
        self.hosts.all[host].bound.push(BoundJob { at, about: String::new(), since, is_asked: false });
        Ok(())
    }

    /// Whether a job can be done on no other host than one that the user has given up.
    pub(super) fn is_given_up(&self, at: usize) -> bool {
        let host = self.tasks.all[at].host();
        host.is_some_and(|host| self.settings.hosts.given_up.iter().any(|gone| gone == host))
    }

    /// Removes the hosts that the user has given up.
    pub(super) fn give_up_hosts(&mut self) {
        let given_up = &self.settings.hosts.given_up;
        self.hosts.all.retain(|host| !given_up.contains(&host.host.name));
    }

    /// Fails all jobs that belong to hosts as interrupted: their outcome is not asked for any more.
    pub(super) fn interrupt_bound(&mut self, why: &str) -> Result<()> {
        for host in 0..self.hosts.all.len() {
            let message = format!("{}: {why}", unknown_outcome(&self.hosts.all[host].host.name));
            for bound in std::mem::take(&mut self.hosts.all[host].bound) {
                self.interrupt(bound.at, &message)?;
            }
        }
        Ok(())
    }

    /// Fails a job that was taken from its host, and may have been sent there.
    fn interrupt(&mut self, at: usize, message: &str) -> Result<()> {
        self.tasks.all[at].binding = None;
        self.fail(at, Failed::without_exit(Failure::new(Class::Interrupted, message)))
    }

    /// Connects hosts, and reads what they report.
    pub(super) fn poll_hosts(&mut self) -> Result<()> {
        let (now, clock) = (Instant::now(), Timestamp::now());
        self.hosts.reopen_here(clock);
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
            self.interrupt(bound.at, &message)?;
        }
        self.ask(host)
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
        let left = || self.tasks.all.iter().filter(|task| task.state.is_left());
        let mut pending = left().peekable();
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
            None if self.hosts.take_unassigned() => is_any,
            None => self.hosts.here.is_none(),
        });
        if is_served || (has_more && is_any) {
            return;
        }
        // Only what the jobs that are left need is the reason.
        let needs_any = self.hosts.take_unassigned() || has_more;
        let named: HashSet<&str> = left().filter_map(JobState::host).collect();
        let needed = || {
            let is_named = |host: &&HostState| needs_any || named.contains(host.host.name.as_str());
            self.hosts.all.iter().filter(is_named)
        };
        let here = self.hosts.here.iter().filter(|_| left().any(|task| task.host().is_none()));
        let closed = || needed().filter_map(|host| host.closed.as_ref()).chain(here.clone());
        let limited = closed().filter(|closed| closed.class == Class::UsageLimit);
        let until = limited.clone().filter_map(|closed| closed.until).min();
        let class = limited.chain(closed()).next().map_or(Class::Host, |closed| closed.class);
        let is_down = needed().any(|host| matches!(host.phase, Phase::Down(_)) && host.slots > 0);
        let is_limit = class == Class::UsageLimit;
        let class = if is_down && !is_limit { Class::Host } else { class };
        (self.stop.why, self.stop.until) = (Some(class.word()), until.filter(|_| is_limit));
    }
}

fn unknown_outcome(host: &str) -> String {
    format!("host '{host}' had the job, and its outcome is unknown")
}
