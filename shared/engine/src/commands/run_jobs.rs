//! Planning and running jobs that are all known at the start. A queue is run by [`crate::commands::run_queue`].

use crate::commands::expiry::prune_expired;
use crate::commands::flags::Jobs;
use crate::commands::on_end;
use crate::commands::start::Planned;
use crate::disk::progress::RunProgress;
use crate::record::job::Job;
use crate::run::plan::Plan;
use crate::show::end::NextCommands;
use crate::show::events::Show;
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::error::{Exit, Result, status};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::store::lock::Lock;

/// Plans the jobs that `read` passes to its function, and runs them; with `--dry-run` prints them instead. All jobs are
/// planned before a job is started, and an error in one means that no job is started. `lock` is held until then.
pub fn run_jobs(
    plan: Plan,
    common: &CommonOptions,
    jobs: &Jobs,
    lock: Option<Lock>,
    read: impl FnOnce(&mut dyn FnMut(Job) -> Result<()>) -> Result<()>,
) -> Result<Exit> {
    run_jobs_after(plan, common, jobs, &RunProgress::default(), lock, read)
}

/// As [`run_jobs`], with the settings of an earlier run, unless flags set others.
pub fn run_jobs_after(
    mut plan: Plan,
    common: &CommonOptions,
    jobs: &Jobs,
    earlier: &RunProgress,
    lock: Option<Lock>,
    read: impl FnOnce(&mut dyn FnMut(Job) -> Result<()>) -> Result<()>,
) -> Result<Exit> {
    let options = jobs.show_options(common)?;
    if jobs.dry_run {
        let mut output = Output::stdout();
        let mut planned = Planned::default();
        read(&mut |job| {
            planned.add(&job);
            output.record(&plan.name(job)?)
        })?;
        output.flush()?;
        planned.report_shared(common, jobs.max_concurrent()?);
        return Ok(Exit::Done);
    }
    // The settings come first, since no job can run without Codex.
    let settings = jobs.settings_after(common, earlier)?;
    let mut planned = Planned::default();
    let mut add = |job: Job| {
        planned.add(&job);
        plan.add(job)
    };
    if let Err(error) = read(&mut add) {
        plan.discard();
        return Err(error.or_hint("nothing was started"));
    }
    let Some(dir) = plan.dir().cloned() else {
        status("the input has no jobs; nothing was started");
        return Ok(Exit::Done);
    };
    match planned.announce(common, jobs, settings.max_concurrent) {
        Ok(true) => {}
        Ok(false) => {
            plan.discard();
            return Ok(Exit::Negative);
        }
        Err(error) => {
            plan.discard();
            return Err(error.or_hint("nothing was started"));
        }
    }
    drop(lock);
    prune_expired();
    let mut shown = Show::new(options, plan.len());
    let ended = plan.run(settings, &mut shown);
    on_end::run(&dir);
    shown.close(&dir, ended, &NextCommands::for_run(&dir))
}
