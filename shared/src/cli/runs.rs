//! Looking after runs, whichever tool began them: what `run`, `group` and `queue` have in common.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::flags::Common;
use super::flags::jobs::Jobs;
use super::queued;
use crate::codex::home::Home;
use crate::codex::watch::{From, Watch};
use crate::config;
use crate::error::{Error, Exit, Result, warn, warn_of};
use crate::output::events::{Show, Wanted, closing, counted, way_on};
use crate::queue::Queues;
use crate::record::Id;
use crate::run::event::Codex;
use crate::run::follow::Follower;
use crate::run::journal::{self, Entry, Tail};
use crate::run::listen::{Glimpse, Listener};
use crate::run::prune;
use crate::run::tasks::{End, State, Task, Tasks};
use crate::run::{Counts, Folder, Journal, What, probe, supervise};
use crate::time::Timestamp;

/// How often somebody else's run is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The runs of one kind and name, the newest first.
pub fn of(kind: &str, name: &str) -> Result<Vec<Folder>> {
    let mut found = Vec::new();
    for folder in Folder::all()?.into_iter().filter(|folder| folder.may_be(kind, name)) {
        match Tasks::read(&folder) {
            Ok(tasks) if tasks.is_begun() && tasks.kind == kind && tasks.name == name => found.push(folder),
            Ok(_) => {}
            Err(error) => warn_of(&error),
        }
    }
    Ok(found)
}

/// The `run` record.
#[derive(Serialize)]
pub struct RunRecord<'r> {
    #[serde(rename = "type")]
    kind_of_record: &'static str,
    id: &'r str,
    kind: &'r str,
    name: &'r str,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    state: &'static str,
    counts: Counts,
    codex: &'r Codex,
    codex_home: Option<&'r str>,
}

/// What a run is doing.
pub fn state(folder: &Folder, tasks: &Tasks) -> &'static str {
    match &tasks.ended {
        _ if folder.is_running() => "running",
        Some((_, End::Completed)) => "finished",
        Some((_, End::Stopped(..))) => "stopped",
        None => "dead",
    }
}

/// The record of a run.
pub fn record<'r>(folder: &'r Folder, tasks: &'r Tasks) -> RunRecord<'r> {
    RunRecord {
        kind_of_record: "run",
        id: folder.name(),
        kind: &tasks.kind,
        name: &tasks.name,
        started_at: tasks.started_at,
        ended_at: tasks.ended.as_ref().map(|(at, _)| *at),
        state: state(folder, tasks),
        counts: tasks.told(),
        codex: &tasks.codex,
        codex_home: tasks.codex_home.as_deref(),
    }
}

/// Removes the finished runs that ended before this and that no queue names.
pub fn prune(before: Timestamp, each: &mut dyn FnMut(&Folder, &Tasks) -> Result<()>) -> Result<()> {
    let queues: Queues = Queues::store()?.read()?;
    let keep = queues.runs().map(str::to_owned).collect();
    prune::prune(before, &keep, each)
}

/// The moment that a run must have ended before to be too old (`runs.keep`); nothing where runs are kept
/// for ever.
pub fn too_old() -> Result<Option<Timestamp>> {
    let kept = config::get()?.keep().map(|kept| i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
    Ok(kept.map(|kept| Timestamp(Timestamp::now().0.saturating_sub(kept))))
}

/// Removes what is older than a run is kept, before another one is begun. Trouble with it is no reason not
/// to begin.
pub fn tidy() {
    let removed = too_old().and_then(|before| match before {
        Some(before) => prune(before, &mut |_, _| Ok(())),
        None => Ok(()),
    });
    if let Err(error) = removed {
        warn_of(&error);
    }
}

/// Tells what happened in a run.
pub fn log(folder: &Folder, wanted: Wanted) -> Result<()> {
    let mut shown = Show::past(wanted, Tasks::read(folder)?.all.len());
    journal::read(&folder.journal(), |entry| {
        if let Entry::Event(event) = entry
            // What was only planned did not happen.
            && !matches!(event.what, What::RunPlanned { .. })
        {
            shown.event(&event);
        }
        Ok(())
    })?;
    shown.finish()
}

/// A run that somebody else carries out, as far as it was read.
pub struct Watched {
    folder: Folder,
    tail: Tail,
    tasks: Tasks,
    followers: HashMap<usize, Follower>,
    /// Up to when the events that were read tell of a session.
    told: HashMap<Id, Timestamp>,
    wants_lines: bool,
}

impl Watched {
    /// Begins at its beginning.
    pub fn open(folder: Folder, wants_lines: bool) -> Result<Watched> {
        let tail = Tail::open(folder.journal())?;
        let (followers, told) = (HashMap::new(), HashMap::new());
        Ok(Watched { folder, tail, tasks: Tasks::default(), followers, told, wants_lines })
    }

    /// The jobs as they are now.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Hands on all that is new. False once the run is over, or its runner is gone.
    pub fn look(&mut self, show: &mut Show) -> Result<bool> {
        // Whether somebody writes is asked first, so that what was written before is read after.
        let lives = self.folder.is_running();
        let (tasks, told) = (&mut self.tasks, &mut self.told);
        self.tail.read(|entry| {
            match entry {
                Entry::Job(job, place) => drop(tasks.add(&job, place)),
                Entry::Event(event) => {
                    if !matches!(event.what, What::RunPlanned { .. }) {
                        show.event(&event);
                    }
                    if let Some(session) = event.what.of().and_then(|of| of.session) {
                        let is_over =
                            matches!(event.what, What::JobCompleted { .. } | What::JobFailed { .. });
                        told.insert(session, if is_over { event.at } else { Timestamp(i64::MAX) });
                    }
                    tasks.apply(*event);
                }
            }
            Ok(())
        })?;
        self.follow(show);
        let running = |(at, task): (usize, &Task)| (task.state == State::Running).then_some(at);
        let running: Vec<usize> = self.tasks.all.iter().enumerate().filter_map(running).collect();
        let mut jobs = running.iter().map(|at| {
            let task = &self.tasks.all[*at];
            let follower = self.followers.get(at);
            Glimpse {
                of: &task.of,
                since: task.start.as_ref().map_or_else(Timestamp::now, |start| start.at),
                doing: follower.map_or("", |follower| &follower.progress.doing),
            }
        });
        show.look(self.tasks.told(), &mut jobs);
        Ok(lives && !matches!(self.tasks.ended, Some((_, End::Completed))))
    }

    /// Reads what the running jobs print. The rest of one that has ended is read once more.
    fn follow(&mut self, show: &mut Show) {
        for (at, task) in self.tasks.all.iter().enumerate() {
            let is_running = task.state == State::Running && task.start.is_some();
            if is_running && !self.followers.contains_key(&at) {
                let out = self.folder.file(task.of.number, task.of.attempt, "out");
                if let Ok(mut follower) = Follower::open(&out) {
                    follower.kept = self.wants_lines.then(Vec::new);
                    self.followers.insert(at, follower);
                }
            }
            let Some(follower) = self.followers.get_mut(&at) else { continue };
            // What cannot be read now may be later.
            let _ = follower.read();
            for line in follower.kept.iter_mut().flat_map(std::mem::take) {
                show.line(self.folder.name(), &task.of, &line);
            }
            if !is_running {
                self.followers.remove(&at);
            }
        }
    }

    /// How it ended, and the way on.
    pub fn close(&self) -> Exit {
        let name = self.folder.name();
        match &self.tasks.ended {
            Some((_, End::Completed)) if self.tasks.counts.failed > 0 => Exit::Negative,
            Some((_, End::Completed)) => Exit::Done,
            Some((_, End::Stopped(why, left))) => {
                warn(format_args!("run '{name}' was stopped ({why}), {} left", counted(*left)));
                Exit::WorkLeft
            }
            None => {
                let way_on = way_on(&self.folder);
                warn(format_args!("the runner of '{name}' is gone; '{way_on}' takes over what it left"));
                Exit::WorkLeft
            }
        }
    }
}

/// Shows a run while somebody else carries it out, until it is over.
pub fn watch(folder: &Folder, wanted: Wanted) -> Result<Exit> {
    let jobs = Tasks::read(folder)?.all.len();
    let mut watched = Watched::open(folder.clone(), wanted.events)?;
    let mut show = Show::new(wanted, jobs);
    while watched.look(&mut show)? {
        if show.is_gone() {
            return Ok(Exit::Done);
        }
        std::thread::sleep(LOOK);
    }
    // The last words of who has just ended.
    watched.look(&mut show)?;
    show.sum_up();
    show.finish()?;
    Ok(watched.close())
}

/// Shows what the sessions of a group do: the runs over it, and whoever else drives one of them. It ends
/// only when nobody reads it any more, or there is no session left. `members` tells who they are now.
pub fn watch_group(
    name: &str,
    common: &Common,
    wanted: Wanted,
    mut members: impl FnMut() -> Result<Vec<Id>>,
) -> Result<Exit> {
    let home = Home::find(common.codex_home.as_deref())?;
    let mut sessions = Watch::new(home, members()?, From::End);
    let mut show = Show::new(wanted, 2);
    let mut runs: Vec<Watched> = Vec::new();
    // Up to when a run has told of a session; its rollout tells the same again, a little later.
    let mut told: HashMap<Id, Timestamp> = HashMap::new();
    let mut next = Instant::now();
    while !show.is_gone() {
        if Instant::now() >= next {
            next = Instant::now() + Duration::from_secs(1);
            sessions.add(members()?);
            for folder in of("group", name)?.into_iter().take_while(|folder| folder.is_running()) {
                if !runs.iter().any(|run| run.folder == folder) {
                    runs.push(Watched::open(folder, wanted.events)?);
                }
            }
        }
        let mut at = 0;
        while at < runs.len() {
            let lives = runs[at].look(&mut show)?;
            told.extend(runs[at].told.drain());
            if lives {
                at += 1;
            } else {
                runs.swap_remove(at).close();
            }
        }
        sessions.poll(&mut |happened| {
            let at = happened.at.unwrap_or_else(Timestamp::now);
            if told.get(&happened.session).is_none_or(|until| at > *until) {
                show.happened(happened);
            }
            Ok(())
        })?;
        show.is_behind();
        std::thread::sleep(LOOK);
    }
    Ok(Exit::Done)
}

/// The newest run that has work left and no runner.
pub fn unfinished() -> Result<Option<Folder>> {
    for folder in Folder::all()? {
        if folder.is_running() {
            continue;
        }
        match Tasks::read(&folder) {
            Ok(tasks) if tasks.is_begun() && tasks.is_open() => return Ok(Some(folder)),
            Ok(_) => {}
            Err(error) => warn_of(&error),
        }
    }
    Ok(None)
}

/// Goes on with a run.
pub fn go_on(folder: &Folder, common: &Common, jobs: &Jobs) -> Result<Exit> {
    let name = folder.name();
    let Some(journal) = Journal::open(folder.journal())? else {
        return Err(Error::new(format!("run '{name}' has a runner"))
            .hint(format!("codex-agent run watch {name} shows what it does")));
    };
    let tasks = Tasks::read(folder)?;
    if !tasks.is_begun() {
        return Err(Error::new(format!(
            "the plan of run '{name}' is not whole, and nothing of it was started"
        ))
        .hint("codex-agent run prune removes it"));
    }
    if tasks.kind == "queue" && tasks.is_open() {
        // A queue decides anew what is next, and has a lock of its own.
        drop(journal);
        return queued::go_on(folder, common, jobs);
    }
    if !tasks.is_open() {
        warn(format_args!("run '{name}' has no work left"));
        return Ok(if tasks.counts.failed > 0 { Exit::Negative } else { Exit::Done });
    }
    let settings = jobs.settings_after(common, &tasks)?;
    warn(format_args!("going on with '{name}', {} left", counted(tasks.left())));
    let mut shown = Show::new(jobs.wanted(common), tasks.all.len());
    let ended = supervise(folder, journal, tasks, settings, None, &mut shown);
    shown.sum_up();
    closing(folder, ended, &way_on(folder))
}

/// Lets a run start nothing more, or, with `now`, stops what runs too. Jobs without a runner are only
/// stopped by `now`.
pub fn stop(folder: &Folder, now: bool) -> Result<()> {
    let name = folder.name();
    let tasks = Tasks::read(folder)?;
    if folder.is_running() {
        let told = tasks.runner.as_ref().is_some_and(|runner| probe::stop_runner(runner, now));
        if !told {
            return Err(Error::new(format!("cannot tell which process runs '{name}'")));
        }
        warn(format_args!("run '{name}' was told to stop"));
        return Ok(());
    }
    let mut living = 0;
    for task in tasks.all.iter().filter(|task| task.state == State::Running) {
        let out = folder.file(task.of.number, task.of.attempt, "out");
        if probe::may_be_locked(&out) {
            living += 1;
            if now {
                let process = task.start.as_ref().and_then(|start| start.process.as_ref());
                probe::interrupt_holders(&out, process);
            }
        }
    }
    match (living, now) {
        (0, _) => warn(format_args!("run '{name}' does not run")),
        (_, true) => warn(format_args!("interrupted {}", counted(living))),
        (_, false) => warn(format_args!("run '{name}' has no runner, and {} live", counted(living))),
    }
    Ok(())
}
