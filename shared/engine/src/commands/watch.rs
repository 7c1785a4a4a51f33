//! Following runs of other processes and sessions, and printing the log of a run.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::commands::manage::find_runs;
use crate::commands::run_queue::places;
use crate::disk::journal::{Entry, JournalReader};
use crate::disk::progress::{End, JobState, RunProgress, State};
use crate::disk::run_dir::RunDir;
use crate::process::output::Follower;
use crate::process::preflight::Checker;
use crate::record::event::{Counts, RunEvent};
use crate::run::observer::{Observer, RunningJob, about};
use crate::show::events::{Show, ShowOptions, continue_command, counted};
use codex_agent_shared::cli::flags::Common;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::watch::{From, Watch};
use codex_agent_shared::error::{Exit, Result, warn};
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// The polling interval.
const LOOK: Duration = Duration::from_millis(100);

/// Labels the jobs of a queue by their places.
fn numbered(show: Show, folder: &RunDir, tasks: &RunProgress) -> Show {
    if tasks.kind == "queue" { show.numbered(places(folder.name())) } else { show }
}

/// Prints the events of a run.
pub fn log(folder: &RunDir, options: ShowOptions) -> Result<()> {
    let tasks = RunProgress::read(folder)?;
    let mut shown = numbered(Show::past(options, tasks.all.len()), folder, &tasks);
    JournalReader::open(&folder.journal())?.read(|entry| {
        if let Entry::Event(event) = entry
            // A plan is no event for users.
            && !matches!(event.what, RunEvent::RunPlanned { .. })
        {
            shown.event(&event);
        }
        Ok(())
    })?;
    shown.finish()
}

/// The part of a session that events of a run cover. Its rollout repeats it a little later.
#[derive(Clone, Copy)]
struct Coverage {
    /// The time of the last event.
    until: Timestamp,
    /// Whether further events are expected.
    is_open: bool,
}

/// A follower of a run of another process.
pub struct RunWatcher {
    folder: RunDir,
    tail: JournalReader,
    tasks: RunProgress,
    followers: HashMap<usize, Follower>,
    /// The coverage of sessions by the events read so far.
    coverage: HashMap<Id, Coverage>,
    wants_lines: bool,
    /// The labels of running jobs.
    about: HashMap<usize, String>,
    /// The number of lines of the journal read so far.
    lines: u64,
    /// Whether the run had no runner when last read.
    is_left: bool,
}

impl RunWatcher {
    /// Opens a run at the beginning of its journal.
    pub fn open(folder: RunDir, wants_lines: bool) -> Result<RunWatcher> {
        let tail = JournalReader::open(&folder.journal())?;
        let (followers, coverage) = (HashMap::new(), HashMap::new());
        Ok(RunWatcher {
            folder,
            tail,
            tasks: RunProgress::default(),
            followers,
            coverage,
            wants_lines,
            about: HashMap::new(),
            lines: 0,
            is_left: false,
        })
    }

    /// Reads past events without printing them, for a run without a runner.
    fn skip_past(&mut self) -> Result<()> {
        let tasks = &mut self.tasks;
        self.is_left = true;
        self.tail.read(|entry| {
            match entry {
                Entry::Job(job, place) => drop(tasks.add(&job, place)),
                Entry::Event(event) => tasks.apply(*event),
            }
            Ok(())
        })
    }

    /// The current state of the jobs.
    pub fn tasks(&self) -> &RunProgress {
        &self.tasks
    }

    /// Prints new events and running jobs. False if the run or its runner ended.
    pub fn refresh(&mut self, show: &mut Show) -> Result<bool> {
        let is_active = self.read(show)?;
        show.show_running(self.tasks.reported_counts(), &mut self.running());
        Ok(is_active)
    }

    /// The running jobs.
    fn running(&self) -> impl Iterator<Item = RunningJob<'_>> {
        let running = |(_, task): &(usize, &JobState)| task.state == State::Running;
        self.tasks.all.iter().enumerate().filter(running).map(|(at, task)| RunningJob {
            of: &task.of,
            since: task.start.as_ref().map_or_else(Timestamp::now, |start| start.at),
            about: self.about.get(&at).map_or("", String::as_str),
            doing: self.followers.get(&at).map_or("", |follower| &follower.progress.doing),
        })
    }

    fn read(&mut self, show: &mut Show) -> Result<bool> {
        // The runner is checked first, so that all that it wrote before is read.
        let lives = self.folder.is_running();
        let (tasks, coverage, lines) = (&mut self.tasks, &mut self.coverage, &mut self.lines);
        self.tail.read(|entry| {
            *lines += 1;
            match entry {
                Entry::Job(job, place) => drop(tasks.add(&job, place)),
                Entry::Event(event) => {
                    if !matches!(event.what, RunEvent::RunPlanned { .. }) {
                        show.event(&event);
                    }
                    if let Some(session) = event.what.job_ref().and_then(|of| of.session) {
                        let is_open = matches!(
                            event.what,
                            RunEvent::JobStarted { .. }
                                | RunEvent::JobSpawned { .. }
                                | RunEvent::JobSession { .. }
                        );
                        coverage.insert(session, Coverage { until: event.at, is_open });
                    }
                    tasks.apply(*event);
                }
            }
            Ok(())
        })?;
        self.follow(show);
        if !lives {
            // A run without a runner no longer covers its sessions.
            self.coverage.values_mut().for_each(|coverage| coverage.is_open = false);
        }
        Ok(lives && !matches!(self.tasks.ended, Some((_, End::Completed))))
    }

    /// Reads the output of running jobs, and once more that of an ended job.
    fn follow(&mut self, show: &mut Show) {
        for (at, task) in self.tasks.all.iter().enumerate() {
            let is_running = task.state == State::Running && task.start.is_some();
            if is_running && !self.followers.contains_key(&at) {
                let out = self.folder.file(task.of.number, task.of.attempt, "out");
                if let Ok(mut follower) = Follower::open(&out) {
                    follower.kept = self.wants_lines.then(Vec::new);
                    self.followers.insert(at, follower);
                    let about = |job| about(&self.tasks.kind, &job, &mut Checker::default());
                    self.about.insert(at, self.tail.job(task.place).map(about).unwrap_or_default());
                }
            }
            let Some(follower) = self.followers.get_mut(&at) else { continue };
            // A failed read is retried at the next poll.
            let _ = follower.read();
            for line in follower.kept.iter_mut().flat_map(std::mem::take) {
                show.line(self.folder.name(), &task.of, &line);
            }
            if !is_running {
                self.followers.remove(&at);
                self.about.remove(&at);
            }
        }
    }

    /// The exit status of the run, with a hint how to continue it.
    pub fn close(&self) -> Exit {
        let name = self.folder.name();
        match &self.tasks.ended {
            Some((_, End::Completed)) if self.tasks.killed => Exit::Interrupted,
            Some((_, End::Completed)) if self.tasks.reported_counts().failed > 0 => Exit::Negative,
            Some((_, End::Completed)) => Exit::Done,
            Some((_, End::Stopped(why, left))) => {
                warn(format_args!("run '{name}' was stopped ({why}), {} left", counted(*left)));
                if self.tasks.killed { Exit::Interrupted } else { Exit::WorkLeft }
            }
            None => {
                let continue_command = continue_command(&self.folder);
                warn(format_args!(
                    "the runner of run '{name}' ended early; '{continue_command}' continues the run"
                ));
                Exit::WorkLeft
            }
        }
    }
}

/// Follows a run of another process until it ends.
pub fn watch(folder: &RunDir, options: ShowOptions) -> Result<Exit> {
    let tasks = RunProgress::read(folder)?;
    let mut watcher = RunWatcher::open(folder.clone(), options.events)?;
    // The jobs of a queue are not all planned yet.
    let jobs = if tasks.kind == "queue" && folder.is_running() { 2 } else { tasks.all.len() };
    let mut show = numbered(Show::new(options, jobs), folder, &tasks);
    while watcher.refresh(&mut show)? {
        if show.is_closed() {
            return Ok(Exit::Done);
        }
        std::thread::sleep(LOOK);
    }
    // The last events are read after the runner ended.
    watcher.refresh(&mut show)?;
    show.sum_up();
    show.finish()?;
    Ok(watcher.close())
}

/// Follows the sessions of a group: the runs over the group, and other processes that use one of them. Ends only
/// when standard output is closed, or no session is left. `members` returns the current sessions.
pub fn watch_group(
    name: &str,
    common: &Common,
    options: ShowOptions,
    mut members: impl FnMut() -> Result<Vec<Id>>,
) -> Result<Exit> {
    let home = Home::find(common.codex_home.as_deref())?;
    let mut sessions = Watch::new(home, members()?, From::End);
    let mut show = Show::new(options, 2);
    let mut runs: Vec<RunWatcher> = Vec::new();
    let (mut over, mut is_first) = (HashSet::new(), true);
    let mut coverage: HashMap<Id, Coverage> = HashMap::new();
    let mut next = Instant::now();
    while !show.is_closed() {
        if Instant::now() >= next {
            next = Instant::now() + Duration::from_secs(1);
            let members = members()?;
            let count = members.len();
            sessions.add(members);
            show.rest(&format!(
                "no run over '{name}' now; watching {count} session{} until Ctrl-C",
                if count == 1 { "" } else { "s" }
            ));
            // Of old runs only the running ones are followed; of new runs all, since a run may end in a moment.
            let is_new = |folder: &RunDir| {
                !over.contains(folder.name()) && !runs.iter().any(|run| run.folder == *folder)
            };
            for folder in find_runs("group", name, is_new)? {
                let mut run = RunWatcher::open(folder, options.events)?;
                if is_first && !run.folder.is_running() {
                    run.skip_past()?;
                }
                runs.push(run);
            }
            is_first = false;
            // A finished run is closed.
            let is_over = |run: &mut RunWatcher| run.is_left && !run.tasks.is_open();
            over.extend(runs.extract_if(.., is_over).map(|run| run.folder.name().to_owned()));
            // A run without a runner may be continued, and end again in a moment.
            runs.iter_mut().for_each(|run| run.is_left = false);
        }
        for run in runs.iter_mut().filter(|run| !run.is_left) {
            let before = run.lines;
            run.is_left = !run.read(&mut show)?;
            coverage.extend(&run.coverage);
            if run.is_left && run.lines > before {
                run.close();
            }
        }
        sessions.poll(&mut |session_event| {
            let at = session_event.at.unwrap_or_else(Timestamp::now);
            if coverage
                .get(&session_event.session)
                .is_none_or(|coverage| !coverage.is_open && at > coverage.until)
            {
                show.session_event(session_event);
            }
            Ok(())
        })?;
        let lives = || runs.iter().filter(|run| !run.is_left);
        let counts = lives().fold(Counts::default(), |sum, run| sum + run.tasks.reported_counts());
        show.show_running(counts, &mut lives().flat_map(RunWatcher::running));
        std::thread::sleep(LOOK);
    }
    Ok(Exit::Done)
}
