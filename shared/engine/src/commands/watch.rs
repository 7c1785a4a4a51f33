//! Following sessions and the runs of other processes, and printing the log of a run.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::commands::flags::{Until, WatchFlags};
use crate::commands::manage::find_runs;
use crate::commands::run_queue::find_prompt_positions;
use crate::disk::journal::{Entry, JournalReader};
use crate::disk::progress::{End, JobState, RunProgress, State};
use crate::disk::run_dir::RunDir;
use crate::process::output::Follower;
use crate::process::preflight::Checker;
use crate::record::event::{Counts, RunEvent};
use crate::run::engine::RunEnd;
use crate::run::observer::{Observer, RunningJob, about};
use crate::show::end::{NextCommands, continue_command, report_end};
use crate::show::events::{Show, ShowOptions};
use crate::show::records::{RecordStyle, place};
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::error::{Exit, Result, Stream, status, warn};
use codex_agent_shared::record::{Id, Status};
use codex_agent_shared::terminal::Color;
use codex_agent_shared::text::{counted, quoted};
use codex_agent_shared::time::Timestamp;
use codex_agent_shared::transcript::Record;
use codex_agent_shared::watch::Watch;

/// The polling interval.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The size of the past records of several sessions that are kept in order to sort them, in bytes.
const PAST: usize = 16 << 20;

/// Labels the jobs of a queue by their places.
fn with_places(show: Show, dir: &RunDir, tasks: &RunProgress) -> Show {
    if tasks.kind == "queue" { show.with_places(find_prompt_positions(dir.name())) } else { show }
}

/// Prints the events of a run.
pub fn log(dir: &RunDir, options: ShowOptions) -> Result<()> {
    let tasks = RunProgress::read(dir)?;
    let mut shown = with_places(Show::past(options, tasks.all.len()), dir, &tasks);
    let mut checker = Checker::default();
    JournalReader::open(&dir.journal())?.read(|entry| {
        print_entry(&mut shown, dir, &tasks.kind, &mut checker, &entry);
        Ok(())
    })?;
    shown.finish()
}

/// Prints an event of a journal, or labels a job of it. A plan is not an event for users.
fn print_entry(show: &mut Show, dir: &RunDir, kind: &str, checker: &mut Checker, entry: &Entry) {
    match entry {
        Entry::Job(job, _) if show.wants_about() => {
            show.label(dir.name(), &job.id, &about(kind, job, checker))
        }
        Entry::Job(..) => {}
        Entry::Event(event) if matches!(event.what, RunEvent::RunPlanned { .. }) => {}
        Entry::Event(event) => show.event(event),
    }
}

/// The part of a session that events of a run report. The rollout of the session has the same part a little later.
#[derive(Clone, Copy)]
struct Coverage {
    /// The time of the last event.
    until: Timestamp,
    /// Whether further events are expected.
    is_open: bool,
}

/// A follower of a run of another process.
pub(super) struct RunWatcher {
    dir: RunDir,
    /// The only jobs whose events are printed, without those of the run.
    only: Option<HashSet<String>>,
    tail: JournalReader,
    tasks: RunProgress,
    checker: Checker,
    /// The output and the label of each running job.
    followers: HashMap<usize, (Follower, String)>,
    /// The parts of sessions that the events read so far report.
    coverage: HashMap<Id, Coverage>,
    /// The number of lines of the journal read so far.
    lines: u64,
    /// Whether the run had no runner when last read.
    is_left: bool,
}

impl RunWatcher {
    /// Opens a run at the beginning of its journal.
    fn open(dir: RunDir) -> Result<RunWatcher> {
        let tail = JournalReader::open(&dir.journal())?;
        Ok(RunWatcher {
            dir,
            only: None,
            tail,
            tasks: RunProgress::default(),
            checker: Checker::default(),
            followers: HashMap::new(),
            coverage: HashMap::new(),
            lines: 0,
            is_left: false,
        })
    }

    /// Opens a run, of which only the events of these jobs are printed.
    pub(super) fn of_jobs(dir: RunDir, jobs: HashSet<String>) -> Result<RunWatcher> {
        Ok(RunWatcher { only: Some(jobs), ..RunWatcher::open(dir)? })
    }

    /// The run as it was last read.
    pub(super) fn progress(&self) -> &RunProgress {
        &self.tasks
    }

    fn prints(&self, job: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(job))
    }

    /// Prints new events and running jobs. False if the run or its runner ended.
    pub(super) fn refresh(&mut self, show: &mut Show) -> Result<bool> {
        let is_active = self.read(show)?;
        show.show_running(self.tasks.reported_counts(), &mut self.running());
        Ok(is_active)
    }

    /// The running jobs.
    fn running(&self) -> impl Iterator<Item = RunningJob<'_>> {
        let running =
            |(_, task): &(usize, &JobState)| task.state == State::Running && self.prints(&task.of.job);
        self.tasks.all.iter().enumerate().filter(running).map(|(at, task)| RunningJob {
            of: &task.of,
            since: task.start.as_ref().map_or_else(Timestamp::now, |start| start.at),
            about: self.followers.get(&at).map_or("", |(_, about)| about),
            doing: self.followers.get(&at).map_or("", |(follower, _)| &follower.progress.doing),
        })
    }

    /// Reads new events and the output of running jobs, and prints them. False if the run or its runner ended.
    fn read(&mut self, show: &mut Show) -> Result<bool> {
        // The runner is checked first, so that all events that it wrote before its end are read.
        let has_runner = self.dir.is_running();
        self.read_events(Some(&mut *show))?;
        self.follow(show);
        if !has_runner {
            // A run without a runner reports nothing more of its sessions.
            self.coverage.values_mut().for_each(|coverage| coverage.is_open = false);
        }
        Ok(has_runner && !matches!(self.tasks.ended, Some((_, End::Completed))))
    }

    fn read_events(&mut self, mut show: Option<&mut Show>) -> Result<()> {
        let (tasks, coverage, lines) = (&mut self.tasks, &mut self.coverage, &mut self.lines);
        let (dir, checker, only) = (&self.dir, &mut self.checker, &self.only);
        let is_printed = |entry: &Entry| {
            let job = match entry {
                Entry::Job(job, _) => Some(&job.id),
                Entry::Event(event) => event.what.job_ref().map(|of| &of.job),
            };
            only.as_ref().is_none_or(|only| job.is_some_and(|job| only.contains(job)))
        };
        self.tail.read(|entry| {
            *lines += 1;
            if let Some(show) = show.as_mut().filter(|_| is_printed(&entry)) {
                print_entry(show, dir, &tasks.kind, checker, &entry);
            }
            match entry {
                Entry::Job(job, place) => drop(tasks.add(&job, place)),
                Entry::Event(event) => {
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
        })
    }

    /// Reads the output of running jobs, and once more that of an ended job.
    fn follow(&mut self, show: &mut Show) {
        for (at, task) in self.tasks.all.iter().enumerate() {
            // The output of a job on a host is there.
            let is_running = task.state == State::Running && task.start.is_some() && task.binding.is_none();
            if is_running
                && self.only.as_ref().is_none_or(|only| only.contains(&task.of.job))
                && !self.followers.contains_key(&at)
            {
                let out = self.dir.file(task.of.number, task.of.attempt, "out");
                if let Ok(mut follower) = Follower::open(&out) {
                    follower.kept = show.wants_lines().then(Vec::new);
                    let about = |job| about(&self.tasks.kind, &job, &mut self.checker);
                    let about = self.tail.job(task.place).map(about).unwrap_or_default();
                    self.followers.insert(at, (follower, about));
                }
            }
            let Some((follower, _)) = self.followers.get_mut(&at) else { continue };
            // A failed read is retried at the next poll.
            let _ = follower.read();
            for line in follower.kept.iter_mut().flat_map(std::mem::take) {
                show.line(self.dir.name(), &task.of, &line);
            }
            if !is_running {
                self.followers.remove(&at);
            }
        }
    }

    /// Prints how the run ended and what to type next, and returns its exit status.
    fn report_end(&self) -> Exit {
        let killed = self.tasks.killed;
        let next = match self.tasks.kind == "queue" {
            true => NextCommands::for_queue(&quoted(&self.tasks.name)),
            false => NextCommands::for_run(&self.dir),
        };
        let ended = match &self.tasks.ended {
            Some((_, End::Completed)) => {
                let failed = self.tasks.reported_counts().failed;
                let interrupted = self.tasks.count_interrupted().min(failed);
                RunEnd::Completed { failed, interrupted, killed }
            }
            Some((_, End::Stopped(why, left))) => {
                RunEnd::Stopped { why: why.clone(), left: *left, until: None, killed }
            }
            None => {
                let (name, resume) = (self.dir.name(), continue_command(&self.dir));
                warn(format_args!("the process that ran '{name}' ended early; '{resume}' continues the run"));
                return Exit::WorkLeft;
            }
        };
        report_end(&ended, &next, None)
    }
}

/// Follows a run of another process until it ends.
pub fn watch(dir: &RunDir, options: ShowOptions) -> Result<Exit> {
    let tasks = RunProgress::read(dir)?;
    let mut watcher = RunWatcher::open(dir.clone())?;
    // The jobs of a queue are not all planned yet.
    let jobs = if tasks.kind == "queue" && dir.is_running() { 2 } else { tasks.all.len() };
    let mut show = with_places(Show::new(options, jobs), dir, &tasks);
    while watcher.refresh(&mut show)? {
        if show.is_closed() {
            return Ok(Exit::Done);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    // The last events are read after the runner ended.
    watcher.refresh(&mut show)?;
    show.finish()?;
    Ok(watcher.report_end())
}

/// The sessions that are followed: adds those that are new, at first all of them, and returns their number.
pub type AddSessions<'a> = &'a mut dyn FnMut(&mut Watch, &mut RecordStyle) -> Result<usize>;

/// Follows sessions until standard output is closed, or until the condition of the flags holds. With the name of a group,
/// the runs of the group are followed too.
pub fn watch_sessions(
    group: Option<&str>,
    common: &CommonOptions,
    options: ShowOptions,
    flags: &WatchFlags,
    add: AddSessions<'_>,
) -> Result<Exit> {
    let mut sessions = Watch::new(Home::find(common.codex_home.as_deref())?);
    let as_terminal = common.color == Color::Always;
    let options = ShowOptions { as_terminal, color: options.color || as_terminal, ..options };
    let style =
        RecordStyle { only: flags.only.clone(), full: flags.full, is_tagged: true, ..RecordStyle::default() };
    let mut show = Show::new(options, 2).with_records(style);
    let mut runs = group.map(GroupRuns::new);
    let mut next = Instant::now();
    // The last turns of several sessions are printed in the order of their times.
    let mut past = flags.last.map(|_| Past::default());
    // A reader that has left is noticed also while there is nothing to write.
    while !show.is_closed() && !Stream::Out.is_closed() {
        if Instant::now() >= next {
            next = Instant::now() + Duration::from_secs(1);
            let count = add(&mut sessions, show.records())?;
            let end = if flags.until.is_some() { "idle, or Ctrl-C" } else { "Ctrl-C" };
            let watched = format!("watching {} until {end}", counted(count, "session"));
            match &mut runs {
                Some(runs) => {
                    show.set_idle_line(&format!("group '{}' has no running jobs; {watched}", runs.name));
                    runs.find()?;
                }
                None => show.set_idle_line(&watched),
            }
            if flags.until.is_some() {
                sessions.read_statuses();
            }
        }
        if let Some(runs) = &mut runs {
            runs.read(&mut show)?;
        }
        sessions.poll(&mut |record| {
            if runs.as_ref().is_none_or(|runs| runs.leaves(record)) {
                match &mut past {
                    Some(past) => past.add(record, &mut show),
                    None => show.record(record),
                }
            }
            Ok(())
        })?;
        past.take().into_iter().for_each(|mut past| past.print(&mut show));
        match &runs {
            Some(runs) => runs.show_running(&mut show),
            None => show.show_running(Counts::default(), &mut std::iter::empty()),
        }
        let is_running = sessions.statuses().any(|(_, status)| status == Some(Status::Running));
        if flags.until == Some(Until::Idle) && !is_running && runs.as_ref().is_none_or(GroupRuns::is_idle) {
            break;
        }
        if group.is_none() && sessions.is_empty() && !flags.finds_new {
            status("no session is left to follow");
            break;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    show.finish()?;
    let mut exit = Exit::Done;
    for (id, status) in sessions.statuses().filter(|_| flags.exit_status) {
        let how = match status {
            Some(Status::Failed) => "failed",
            Some(Status::Interrupted) => "was interrupted",
            _ => continue,
        };
        // The turn may have ended before anything was followed.
        warn(format_args!("session '{id}': the last turn {how}"));
        exit = Exit::Negative;
    }
    Ok(exit)
}

/// Records of the past of several sessions.
#[derive(Default)]
struct Past {
    records: Vec<(Timestamp, Record)>,
    /// The time of the last record of the session that is read.
    last: Option<(Option<Id>, Timestamp)>,
    size: usize,
}

impl Past {
    /// Adds a record. What is more than can be kept is printed session by session.
    fn add(&mut self, record: &Record, show: &mut Show) {
        let (session, at) = place(record);
        // A session remains in its order: an item has the time of its beginning, a turn that of its end.
        let before = self.last.filter(|(last, _)| *last == session).map(|(_, at)| at);
        let at = at.into_iter().chain(before).max().unwrap_or(Timestamp(i64::MIN));
        self.last = Some((session, at));
        self.size += size_of::<Record>();
        if let Record::Item(item) = record {
            self.size += item.text.as_ref().map_or(0, String::len);
        }
        self.records.push((at, record.clone()));
        if self.size > PAST {
            self.print(show);
        }
    }

    fn print(&mut self, show: &mut Show) {
        self.records.sort_by_key(|(at, _)| *at);
        self.records.drain(..).for_each(|(_, record)| show.record(&record));
        self.size = 0;
    }
}

/// The runs of a group, which other processes drive.
struct GroupRuns {
    name: String,
    runs: Vec<RunWatcher>,
    /// The runs that have ended.
    over: HashSet<String>,
    is_first: bool,
    coverage: HashMap<Id, Coverage>,
}

impl GroupRuns {
    fn new(name: &str) -> GroupRuns {
        GroupRuns {
            name: name.to_owned(),
            runs: Vec::new(),
            over: HashSet::new(),
            is_first: true,
            coverage: HashMap::new(),
        }
    }

    /// Finds new runs, and closes those that have ended.
    fn find(&mut self) -> Result<()> {
        // A new run is followed even if it has ended, since a run may end in a moment; an old run must be running.
        let (over, runs) = (&self.over, &self.runs);
        let is_new = |dir: &RunDir| !over.contains(dir.name()) && !runs.iter().any(|run| run.dir == *dir);
        for dir in find_runs("group", &self.name, is_new)? {
            let mut run = RunWatcher::open(dir)?;
            if self.is_first && !run.dir.is_running() {
                // The past events of a run without a runner are not printed.
                run.is_left = true;
                run.read_events(None)?;
            }
            self.runs.push(run);
        }
        self.is_first = false;
        // A finished run is closed.
        let is_over = |run: &mut RunWatcher| run.is_left && !run.tasks.is_open();
        self.over.extend(self.runs.extract_if(.., is_over).map(|run| run.dir.name().to_owned()));
        // A run without a runner may be continued, and end again in a moment.
        self.runs.iter_mut().for_each(|run| run.is_left = false);
        Ok(())
    }

    /// Prints the new events.
    fn read(&mut self, show: &mut Show) -> Result<()> {
        for run in self.runs.iter_mut().filter(|run| !run.is_left) {
            let before = run.lines;
            run.is_left = !run.read(show)?;
            self.coverage.extend(&run.coverage);
            if run.is_left && run.lines > before {
                run.report_end();
            }
        }
        Ok(())
    }

    /// Whether the events of the runs do not have what a record of a session reports.
    fn leaves(&self, record: &Record) -> bool {
        let (session, at) = place(record);
        let at = at.unwrap_or_else(Timestamp::now);
        let is_news = |coverage: &Coverage| !coverage.is_open && at > coverage.until;
        session.and_then(|session| self.coverage.get(&session)).is_none_or(is_news)
    }

    fn active(&self) -> impl Iterator<Item = &RunWatcher> {
        self.runs.iter().filter(|run| !run.is_left)
    }

    fn is_idle(&self) -> bool {
        self.active().next().is_none()
    }

    fn show_running(&self, show: &mut Show) {
        let counts = self.active().fold(Counts::default(), |sum, run| sum + run.tasks.reported_counts());
        show.show_running(counts, &mut self.active().flat_map(RunWatcher::running));
    }
}
