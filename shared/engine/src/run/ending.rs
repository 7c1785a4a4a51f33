//! Ending a run that has no runner: its jobs are stopped or judged, and none is started.

use crate::disk::journal::Journal;
use crate::disk::progress::RunProgress;
use crate::disk::run_dir::RunDir;
use crate::record::event::RunEvent;
use crate::record::settings::Settings;
use crate::run::engine::{Engine, RunEnd};
use crate::run::feed::{LOOK, PlannedJobs};
use crate::run::observer::Observer;
use codex_agent_shared::child::signals::{Awaited, Signals};
use codex_agent_shared::error::Result;

/// Settings with the Codex of the last runner. No job is started with them.
fn recorded_settings(tasks: &RunProgress) -> Settings {
    Settings { codex: tasks.codex.path.clone().unwrap_or_default().into(), ..Settings::default() }
}

/// Stops the jobs of a run that has no runner, here and on hosts, and starts none.
pub fn stop_jobs(
    dir: &RunDir,
    journal: Journal,
    tasks: &mut RunProgress,
    listener: &mut dyn Observer,
) -> Result<RunEnd> {
    let mut signals = Signals::catch()?;
    let (settings, mut feed) = (recorded_settings(tasks), PlannedJobs::default());
    let mut engine = Engine::new(dir, journal, tasks, settings, &mut feed, listener);
    engine.stop.requests = 2;
    // The settings of the run stay as the last runner has recorded them.
    engine.adopt_all()?;
    engine.stop_all();
    loop {
        engine.poll_running()?;
        engine.poll_hosts()?;
        if !engine.is_busy() {
            break;
        }
        let came = {
            let files: Vec<Awaited<'_>> = engine.hosts.files().collect();
            signals.wait_with(&files, LOOK)
        };
        if came.stops > 0 {
            return Ok(RunEnd::Left { running: engine.count_running() });
        }
    }
    engine.hosts.close();
    let left = engine.tasks.count_left();
    // Prompts of a queue are not planned before they are sent.
    let left = if engine.tasks.kind == "queue" { left.max(1) } else { left };
    engine.record_event(RunEvent::RunStopped { why: "signal".to_owned(), left, until: None }, true)?;
    Ok(RunEnd::Stopped { why: "signal".to_owned(), left, until: None, killed: true })
}

/// Ends a run that will not be continued, so that it blocks no other run: judges started jobs and records the
/// rest as skipped. A run that has a runner, has ended or cannot be read stays unchanged. The caller has checked
/// that no job is running. Signals have their default action: an interrupted call can be repeated.
pub fn conclude(dir: &RunDir, why: &str, listener: &mut dyn Observer) -> Result<()> {
    let Some(journal) = Journal::open(&dir.journal())? else { return Ok(()) };
    let Ok(mut tasks) = RunProgress::read(dir) else { return Ok(()) };
    if !tasks.is_begun() || !tasks.is_open() {
        return Ok(());
    }
    let (settings, mut feed) = (recorded_settings(&tasks), PlannedJobs::default());
    let mut engine = Engine::new(dir, journal, &mut tasks, settings, &mut feed, listener);
    engine.stop.why = Some(why.to_owned());
    engine.adopt_all()?;
    engine.interrupt_bound("the run is not continued")?;
    loop {
        engine.poll_running()?;
        if engine.running.is_empty() {
            break;
        }
        std::thread::sleep(LOOK);
    }
    engine.skip_unsent("the job was removed before it was run")?;
    engine.record_event(RunEvent::RunStopped { why: why.to_owned(), left: 0, until: None }, true)
}
