//! The hosts of a run: connections, slots, and the jobs that belong to each host.
//!
//! A job belongs to a host from `job.bound` on, which is on disk before its record is sent, until the host reports its
//! end or returns it. After a lost connection, and after a crash of the runner, the host is asked for such a job by the
//! same record: a worker never begins an attempt twice.
//!
//! **Connections.** A lost connection is made again, after a growing delay. A host whose command failed
//! [`MOST_TRIES`] times without a greeting is down: its jobs are left, and it is tried again at long intervals as long
//! as other jobs are running.
//!
//! **Closed hosts.** A host at its usage limit gets no more jobs until the limit resets; a host without a login, with a
//! full disk or without Codex gets none in this run.

mod link;

use std::fmt;
use std::time::{Duration, Instant};

pub(super) use link::{Link, News};

use crate::disk::progress::RunProgress;
use crate::record::failure::Class;
use crate::record::settings::{HostSettings, HostSlots};
use crate::run::failed::Failed;
use crate::run::observer::RunningJob;
use codex_agent_shared::child::signals::Awaited;
use codex_agent_shared::host::Host;
use codex_agent_shared::time::Timestamp;

/// The number of failed connections after which a host is down.
pub(super) const MOST_TRIES: u32 = 3;
/// The delay before the first connection after a lost one; each further delay is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// How long a command may take until the worker greets. A scheduler may take longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The interval at which a host that is down is tried again.
const DOWN_RETRY: Duration = Duration::from_secs(30);

/// The state of a connection.
pub(super) enum Phase {
    /// The next connection is made at this time.
    Waiting(Instant),
    /// A command was started; the worker must greet until this time.
    Greeting(Link, Instant),
    /// The worker has greeted.
    Up(Link),
    /// No connection could be made. The host is tried again at this time, unless that is of no use.
    Down(Option<Instant>),
}

/// The reason why a host gets no jobs.
#[derive(Clone, Debug)]
pub(super) struct Closed {
    /// The class of the failure that all jobs would have there.
    pub(super) class: Class,
    /// The time when it is open again; `None` if not in this run.
    pub(super) until: Option<Timestamp>,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Some(until) => write!(f, " until {}: ", until.clock())?,
            None => write!(f, " in this run: ")?,
        }
        f.write_str(&self.class.word())
    }
}

/// A job that belongs to a host.
pub(super) struct BoundJob {
    /// The index of the job.
    pub(super) at: usize,
    /// Its label, for observers.
    pub(super) about: String,
    /// The time when it was bound, or adopted.
    pub(super) since: Timestamp,
    /// Whether it was asked for over this connection.
    pub(super) is_asked: bool,
}

/// A host of a run.
pub(super) struct HostState {
    /// The host.
    pub(super) host: Host,
    /// The number of jobs that run there at a time.
    pub(super) slots: usize,
    /// The connection.
    pub(super) phase: Phase,
    /// The number of connections in a row without a greeting.
    pub(super) tries: u32,
    /// The id of its state directory, once it is known.
    pub(super) place: String,
    /// The reason why it gets no jobs, if any.
    pub(super) closed: Option<Closed>,
    /// The jobs that belong to it.
    pub(super) bound: Vec<BoundJob>,
    /// The consecutive jobs whose Codex ended before it began a turn.
    pub(super) early_crashes: Vec<(usize, Failed)>,
    /// The number of jobs that it returned in a row, and the time before which it gets no others.
    pub(super) returns: u32,
    /// The time before which it gets no jobs.
    pub(super) not_before: Option<Instant>,
}

/// The hosts of a run.
pub(super) struct Hosts {
    /// The hosts, in the order in which they get jobs.
    pub(super) all: Vec<HostState>,
    /// The reason why this machine gets no more jobs while hosts do, if any.
    pub(super) here: Option<Closed>,
    take_unassigned: bool,
    most: Option<usize>,
}

impl Hosts {
    /// Hosts that are not connected yet.
    pub(super) fn new(settings: &HostSettings) -> Hosts {
        let all = settings.all.iter().map(|HostSlots { host, slots }| HostState::new(host.clone(), *slots));
        let (take_unassigned, most) = (settings.take_unassigned, settings.most);
        Hosts { all: all.collect(), here: None, take_unassigned, most }
    }

    /// Whether jobs that name no host are carried out by any host, and not by this machine.
    pub(super) fn take_unassigned(&self) -> bool {
        self.take_unassigned
    }

    /// The index of the host of this name.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|host| host.host.name == name)
    }

    /// The index of the host of this name, which is added without slots if it is unknown.
    pub(super) fn position_or_add(&mut self, host: Host) -> usize {
        self.position(&host.name).unwrap_or_else(|| {
            self.all.push(HostState::new(host, 0));
            self.all.len() - 1
        })
    }

    /// The files that can end a wait.
    pub(super) fn files(&self) -> impl Iterator<Item = Awaited<'_>> {
        let links = self.all.iter().filter_map(|host| match &host.phase {
            Phase::Greeting(link, _) | Phase::Up(link) => Some(link),
            Phase::Waiting(_) | Phase::Down(_) => None,
        });
        links.flat_map(Link::files)
    }

    /// The indexes of the jobs that belong to hosts.
    pub(super) fn bound(&self) -> impl Iterator<Item = usize> {
        self.all.iter().flat_map(|host| host.bound.iter().map(|bound| bound.at))
    }

    /// The number of jobs that belong to hosts.
    pub(super) fn count_bound(&self) -> usize {
        self.all.iter().map(|host| host.bound.len()).sum()
    }

    /// The number of jobs that connected hosts were asked for.
    pub(super) fn count_asked(&self) -> usize {
        self.all.iter().flat_map(|host| &host.bound).filter(|bound| bound.is_asked).count()
    }

    /// Opens this machine when its usage limit has reset.
    pub(super) fn reopen_here(&mut self, now: Timestamp) {
        self.here.take_if(|closed| closed.until.is_some_and(|until| until <= now));
    }

    fn has_room(&self) -> bool {
        // The jobs of a host that is down may run for ever; but prompts of a queue are never sent side by side.
        let is_in_order = self.most == Some(1);
        let alive = self.all.iter().filter(|host| is_in_order || !matches!(host.phase, Phase::Down(_)));
        self.most.is_none_or(|most| alive.map(|host| host.bound.len()).sum::<usize>() < most)
    }

    /// Whether a job can be sent to the host of this name now.
    pub(super) fn has_slot(&self, name: &str) -> bool {
        self.has_room() && self.position(name).is_some_and(|at| self.all[at].has_slot())
    }

    /// The first host that a job can be sent to now.
    pub(super) fn find_slot(&self) -> Option<usize> {
        self.all.iter().position(|host| host.has_slot()).filter(|_| self.has_room())
    }

    /// Whether a job that belongs to a host may end there: the host is connected, or is tried again at once.
    pub(super) fn are_busy(&self) -> bool {
        self.all.iter().any(|host| !host.bound.is_empty() && !matches!(host.phase, Phase::Down(_)))
    }

    /// Whether the host may get jobs now or later in this run.
    pub(super) fn may_serve(&self, at: usize, waits_for_limits: bool) -> bool {
        let host = &self.all[at];
        let is_open = match &host.closed {
            None => true,
            Some(closed) => waits_for_limits && closed.until.is_some(),
        };
        is_open && host.slots > 0 && !matches!(host.phase, Phase::Down(_))
    }

    /// The time when something changes without an event of a host.
    pub(super) fn next_change(&self) -> Option<Instant> {
        let now = (Instant::now(), Timestamp::now());
        self.all.iter().filter_map(|host| host.next_change(now)).min()
    }

    /// Ends all connections. The workers leave, and their jobs live on.
    pub(super) fn close(&mut self) {
        let phases = self.all.iter_mut().map(|host| std::mem::replace(&mut host.phase, Phase::Down(None)));
        let mut links: Vec<Link> = phases
            .filter_map(|phase| match phase {
                Phase::Greeting(link, _) | Phase::Up(link) => Some(link),
                Phase::Waiting(_) | Phase::Down(_) => None,
            })
            .collect();
        links.iter_mut().for_each(Link::end_input);
        links.into_iter().for_each(Link::close);
    }

    /// The running jobs, for observers.
    pub(super) fn running<'r>(&'r self, tasks: &'r RunProgress) -> impl Iterator<Item = RunningJob<'r>> {
        self.all.iter().flat_map(move |host| {
            host.bound.iter().filter(|bound| bound.is_asked).map(move |bound| RunningJob {
                of: &tasks.all[bound.at].of,
                since: bound.since,
                about: &bound.about,
                doing: &host.host.name,
            })
        })
    }
}

impl HostState {
    fn new(host: Host, slots: usize) -> HostState {
        HostState {
            host,
            slots,
            phase: Phase::Waiting(Instant::now()),
            tries: 0,
            place: String::new(),
            closed: None,
            bound: Vec::new(),
            early_crashes: Vec::new(),
            returns: 0,
            not_before: None,
        }
    }

    /// How long its command may take until the worker greets.
    pub(super) fn patience(&self) -> Duration {
        self.host.connect_timeout.unwrap_or(PATIENCE)
    }

    fn has_slot(&self) -> bool {
        let is_up = matches!(self.phase, Phase::Up(_));
        let may = self.closed.is_none() && self.not_before.is_none_or(|then| then <= Instant::now());
        is_up && may && self.bound.len() < self.slots
    }

    fn next_change(&self, (now, clock): (Instant, Timestamp)) -> Option<Instant> {
        let connection = match &self.phase {
            // What has arrived ends no wait again.
            Phase::Greeting(link, _) | Phase::Up(link) if link.has_more() => Some(now),
            Phase::Waiting(then) | Phase::Greeting(_, then) | Phase::Down(Some(then)) => Some(*then),
            Phase::Up(_) | Phase::Down(None) => None,
        };
        let opens = self.closed.as_ref().and_then(|closed| closed.until).map(|until| {
            now + Duration::from_millis(u64::try_from(until.0 - clock.0).unwrap_or(0))
                + Duration::from_millis(1)
        });
        [connection, opens, self.not_before.filter(|then| *then > now)].into_iter().flatten().min()
    }

    /// The connection, if the worker has greeted.
    pub(super) fn link(&mut self) -> Option<&mut Link> {
        match &mut self.phase {
            Phase::Up(link) => Some(link),
            _ => None,
        }
    }

    /// Notes a connection that failed or ended. Returns whether the host is down.
    pub(super) fn lose(&mut self, is_hopeless: bool) -> bool {
        self.bound.iter_mut().for_each(|bound| bound.is_asked = false);
        let is_down = is_hopeless || self.tries >= MOST_TRIES;
        self.phase = match is_down {
            true => Phase::Down((!is_hopeless).then(|| Instant::now() + DOWN_RETRY)),
            false => Phase::Waiting(Instant::now() + FIRST_DELAY * (1 << (2 * self.tries).min(6))),
        };
        is_down
    }

    /// Opens a host whose usage limit has reset.
    pub(super) fn reopen(&mut self, now: Timestamp) {
        if self.closed.as_ref().and_then(|closed| closed.until).is_some_and(|until| until <= now) {
            self.closed = None;
        }
    }

    /// The job of this index, removed from the host.
    pub(super) fn release(&mut self, at: usize) -> Option<BoundJob> {
        let place = self.bound.iter().position(|bound| bound.at == at)?;
        Some(self.bound.swap_remove(place))
    }
}
