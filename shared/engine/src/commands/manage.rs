//! Managing runs of all tools: the verbs shared by `run`, `group` and `queue`. Following runs is in
//! [`crate::commands::watch`].

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::commands::expiry::read_queues;
use crate::commands::flags::Jobs;
use crate::commands::on_end;
use crate::commands::retry::retried_jobs;
use crate::commands::run_jobs::add_hosts;
use crate::commands::run_queue;
pub use crate::commands::run_record::{LimitRecord, RunRecord, describe_run, run_state, state_word};
use crate::disk::journal::{Journal, PATIENCE};
use crate::disk::progress::{JobState, RunProgress, State, WORKER};
use crate::disk::run_dir::RunDir;
use crate::liveness;
use crate::record::event::RunEvent;
use crate::record::settings::Interrupted;
use crate::run::ending::stop_jobs;
use crate::run::engine::supervise;
use crate::run::feed::{JobFeed, PlannedJobs};
use crate::run::given::GivenJobs;
use crate::show::end::NextCommands;
use crate::show::events::{Show, ShowOptions, count_jobs};
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::error::{Error, Exit, Result, status, warn, warn_of, warn_once};

/// The types of events that a tool with jobs prints: those of a journal except `run.planned`, and `job.event`.
pub fn event_types() -> impl Iterator<Item = &'static str> {
    RunEvent::TYPES.into_iter().skip(1).chain(["job.event"])
}

/// The runs of one kind and name that `is_wanted`, the newest first.
pub fn find_runs(kind: &str, name: &str, is_wanted: impl Fn(&RunDir) -> bool) -> Result<Vec<RunDir>> {
    let mut found = Vec::new();
    let may_be = |dir: &RunDir| dir.may_be_run_of(kind, name) && is_wanted(dir);
    for dir in RunDir::all()?.into_iter().filter(may_be) {
        let Some(tasks) = RunProgress::read_existing(&dir) else { continue };
        match tasks {
            Ok(tasks) if tasks.is_begun() && tasks.kind == kind && tasks.name == name => found.push(dir),
            Ok(_) => {}
            // `watch` calls this function repeatedly.
            Err(error) => warn_once(error.message()),
        }
    }
    Ok(found)
}

/// The newest run that has work left and no runner. The run of a deleted queue is not continued.
pub fn find_unfinished() -> Result<Option<RunDir>> {
    // If the runs of queues are unknown, only other runs are continued.
    let queues = read_queues()?;
    let is_named =
        |dir: &RunDir| queues.as_ref().is_some_and(|queues| queues.runs().any(|run| run == dir.name()));
    let waits = |dir: &RunDir| match RunProgress::read_existing(dir) {
        Some(Ok(tasks)) => {
            let is_meant = match tasks.kind.as_str() {
                "queue" => is_named(dir),
                // The run of another machine decides on the jobs of a worker.
                WORKER => false,
                _ => true,
            };
            tasks.is_begun() && tasks.is_open() && is_meant
        }
        Some(Err(error)) => {
            warn_of(&error);
            false
        }
        None => false,
    };
    let (mut running, idle): (Vec<RunDir>, Vec<RunDir>) =
        RunDir::all()?.into_iter().partition(|dir| dir.is_running());
    if let Some(dir) = idle.into_iter().find(waits) {
        return Ok(Some(dir));
    }
    // A child that a killed runner was starting holds the lock of the runner until it executes Codex.
    let patience = Instant::now() + PATIENCE;
    while Instant::now() < patience && !running.is_empty() {
        match running.iter().position(|dir| !dir.is_running()) {
            Some(at) => {
                let dir = running.remove(at);
                if waits(&dir) {
                    return Ok(Some(dir));
                }
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    Ok(None)
}

/// Continues a run.
pub fn continue_run(dir: &RunDir, common: &CommonOptions, jobs: &Jobs) -> Result<Exit> {
    let (name, options) = (dir.name(), jobs.show_options(common)?);
    let Some(journal) = Journal::open(&dir.journal())? else {
        return Err(Error::new(format!("run '{name}' is already being run by another process"))
            .hint(format!("'codex-agent run watch {name}' follows the run")));
    };
    let mut tasks = RunProgress::read(dir)?;
    if !tasks.is_begun() {
        return Err(Error::new(format!("codex-agent ended while planning run '{name}'; no job was started"))
            .hint("'codex-agent run prune' removes incomplete runs"));
    }
    if tasks.kind == "queue" && tasks.is_open() {
        // A queue chooses its next prompt anew, and has its own lock.
        drop(journal);
        return run_queue::continue_run(dir, common, jobs);
    }
    let action = jobs.interrupted.unwrap_or_default();
    let interrupted = tasks.count_interrupted();
    let mut requeued = 0;
    let interrupted_before = tasks.interrupted_jobs();
    if interrupted > 0 && action != Interrupted::Fail && tasks.kind != "queue" {
        // The jobs that another run has retried are done.
        requeued = tasks.requeue_interrupted(action, &retried_jobs(dir)?);
    }
    if !tasks.is_open() && requeued == 0 {
        return Ok(report_no_work(dir, &tasks, interrupted));
    }
    let mut settings = jobs.settings_after(common, &tasks)?;
    // A session stays on its host, whichever hosts do the other jobs.
    let needed = tasks.all.iter().filter(|task| task.state.is_left()).filter_map(JobState::host);
    let needed = needed.filter(|name| !jobs.given_up.iter().any(|gone| gone == name));
    add_hosts(&mut settings.hosts, needed, true, jobs)?;
    let known: BTreeSet<&str> = tasks
        .all
        .iter()
        .filter_map(|task| task.host())
        .chain(settings.hosts.all.iter().map(|slots| slots.host.name.as_str()))
        .collect();
    if let Some(unknown) = jobs.given_up.iter().find(|name| !known.contains(name.as_str())) {
        let names = known.into_iter().collect::<Vec<_>>().join(", ");
        let hint =
            if names.is_empty() { "it has no hosts".to_owned() } else { format!("its hosts: {names}") };
        return Err(
            Error::usage(format!("run '{name}' has no host '{unknown}'; nothing was started")).hint(hint)
        );
    }
    status(format_args!("continuing run '{name}', {} left", count_jobs(tasks.count_left())));
    let mut shown = Show::new(options, tasks.all.len());
    let mut feed: Box<dyn JobFeed> = match tasks.is_once() || tasks.kind == WORKER {
        // Jobs that were not started may have been given to another host since.
        true => Box::new(GivenJobs::new(interrupted_before, None)),
        false => Box::new(PlannedJobs::default()),
    };
    let ended = supervise(dir, journal, &mut tasks, settings, &mut *feed, &mut shown);
    shown.close(dir, ended, &NextCommands::for_run(dir), || on_end::run(dir))
}

/// Reports that a run has nothing to continue, and the commands for its interrupted jobs.
fn report_no_work(dir: &RunDir, tasks: &RunProgress, interrupted: usize) -> Exit {
    let name = dir.name();
    match interrupted {
        0 => status(format_args!("run '{name}' has no work left")),
        _ if tasks.kind == "queue" => status(format_args!("run '{name}' has no work left")),
        count => warn(format_args!(
            "run '{name}' has no pending jobs, and {count} interrupted; 'codex-agent run continue {name} --interrupted \
             continue' continues their sessions, 'codex-agent run retry {name}' sends their prompts again"
        )),
    }
    if tasks.counts.failed > 0 { Exit::Negative } else { Exit::Done }
}

/// Stops the jobs of a run without a runner, those on hosts too, and records what became of them.
fn stop_on_hosts(dir: &RunDir) -> Result<()> {
    let name = dir.name();
    let Some(journal) = Journal::open(&dir.journal())? else {
        return Err(Error::new(format!("run '{name}' is being run by another process again"))
            .hint(format!("'codex-agent run stop --now {name}' stops that")));
    };
    let mut tasks = RunProgress::read(dir)?;
    let mut shown = Show::new(ShowOptions::default(), tasks.all.len());
    let ended = stop_jobs(dir, journal, &mut tasks, &mut shown)?;
    match tasks.all.iter().filter(|task| task.state == State::Running).count() {
        0 => Ok(()),
        left => {
            drop(ended);
            let jobs = count_jobs(left);
            Err(Error::new(format!("{jobs} of run '{name}' cannot be stopped: their hosts do not answer"))
                .hint(format!("'codex-agent run stop --now {name}' tries again")))
        }
    }
}

/// Stops a run from starting jobs or, with `now`, stops running jobs too. Jobs without a runner are stopped only
/// with `now`.
pub fn stop(dir: &RunDir, now: bool) -> Result<()> {
    let name = dir.name();
    let tasks = RunProgress::read(dir)?;
    if dir.is_running() {
        let is_stopping = tasks.runner.as_ref().is_some_and(|runner| liveness::stop_runner(runner, now));
        if !is_stopping {
            return Err(Error::new(format!("the process of run '{name}' cannot be found")));
        }
        status(format_args!("stopping run '{name}'"));
        return Ok(());
    }
    let running = tasks.all.iter().filter(|task| task.state == State::Running);
    let outputs = running.map(|task| {
        let process = task.start.as_ref().and_then(|start| start.process.as_ref());
        (dir.file(task.of.number, task.of.attempt, "out"), process)
    });
    let living: Vec<_> = outputs.filter(|(out, _)| liveness::may_be_locked(out)).collect();
    let bound: BTreeSet<&str> =
        tasks.all.iter().filter_map(|task| Some(task.binding.as_ref()?.host.as_str())).collect();
    if !bound.is_empty() {
        let hosts = bound.iter().copied().collect::<Vec<_>>().join(", ");
        if now {
            status(format_args!("stopping the jobs of run '{name}' on {hosts}"));
            return stop_on_hosts(dir);
        }
        warn(format_args!("the runner of run '{name}' ended; its jobs may be running on {hosts}"));
    }
    if living.is_empty() {
        if bound.is_empty() {
            status(format_args!("run '{name}' is not running"));
        }
        return Ok(());
    }
    if !now {
        warn(format_args!("the runner of run '{name}' ended; still running: {}", count_jobs(living.len())));
        return Ok(());
    }
    let left = liveness::stop_holders(&living);
    if left < living.len() {
        status(format_args!("interrupted {}", count_jobs(living.len() - left)));
    }
    match left {
        0 => Ok(()),
        left => Err(Error::new(format!("{} of run '{name}' cannot be stopped", count_jobs(left)))),
    }
}
