//! Planning and running jobs that are all known at the start. A queue is run by [`crate::commands::run_queue`].

use crate::commands::expiry::prune_expired;
use crate::commands::flags::Jobs;
use crate::commands::on_end;
use crate::commands::start::Planned;
use crate::disk::progress::RunProgress;
use crate::record::job::Job;
use crate::record::settings::{HostSettings, Settings};
use crate::run::plan::Plan;
use crate::show::end::NextCommands;
use crate::show::events::Show;
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::error::{Error, Exit, Result, status};
use codex_agent_shared::host::Host;
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::terminal::can_ask;

/// Plans the jobs that `read` passes to its function, and runs them; with `--dry-run` prints them instead. All jobs are
/// planned before a job is started, and an error in one means that no job is started.
///
/// `guard` checks that the jobs may be planned, and returns the locks under which that stays so until they are. No lock
/// is held while the user is asked, so the guard is called again after the answer.
pub fn run_jobs<G>(
    plan: Plan,
    common: &CommonOptions,
    jobs: &Jobs,
    guard: &dyn Fn() -> Result<G>,
    read: impl FnOnce(&G, &mut dyn FnMut(Job) -> Result<()>) -> Result<()>,
) -> Result<Exit> {
    run_jobs_after(plan, common, jobs, &RunProgress::default(), guard, read)
}

/// As [`run_jobs`], with the settings of an earlier run, unless flags set others.
pub fn run_jobs_after<G>(
    mut plan: Plan,
    common: &CommonOptions,
    jobs: &Jobs,
    earlier: &RunProgress,
    guard: &dyn Fn() -> Result<G>,
    read: impl FnOnce(&G, &mut dyn FnMut(Job) -> Result<()>) -> Result<()>,
) -> Result<Exit> {
    let options = jobs.show_options(common)?;
    let guarded = guard()?;
    if jobs.dry_run {
        let mut output = Output::stdout();
        let mut planned = Planned::default();
        read(&guarded, &mut |job| {
            let job = jobs.place(job);
            planned.add(&job);
            output.record(&plan.name(job)?)
        })?;
        output.flush()?;
        jobs.report_hosts(false)?;
        planned.report_shared(common, jobs.max_concurrent()?);
        return Ok(Exit::Done);
    }
    // The settings come first, since no job can run without Codex.
    let mut settings = jobs.settings_after(common, earlier)?;
    match plan_jobs(&mut plan, common, jobs, &mut settings, guarded, guard, read) {
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
    let Some(dir) = plan.dir().cloned() else {
        status("the input has no jobs; nothing was started");
        return Ok(Exit::Done);
    };
    prune_expired();
    let mut shown = Show::new(options, plan.len());
    let ended = plan.run(settings, &mut shown);
    shown.close(&dir, ended, &NextCommands::for_run(&dir), || on_end::run(&dir))
}

/// Adds the hosts that the jobs name. A record may name only a host that the user has named; a group has those of its
/// members.
pub(super) fn add_hosts<'n>(
    hosts: &mut HostSettings,
    names: impl Iterator<Item = &'n str>,
    is_trusted: bool,
    jobs: &Jobs,
) -> Result<()> {
    for name in names {
        if hosts.all.iter().any(|slots| slots.host.name == name) {
            continue;
        }
        let host = if is_trusted { Some(Host::named(name)?) } else { Host::configured(name)? };
        let host = host.ok_or_else(|| {
            Error::new(format!("a job names host '{name}', which neither --on nor config.toml names"))
        })?;
        hosts.all.push(jobs.slots_of(host, None)?);
        hosts.most = hosts.most.or(jobs.max_concurrent);
    }
    Ok(())
}

/// Plans all jobs, and announces the run; false if the user does not confirm it.
fn plan_jobs<G>(
    plan: &mut Plan,
    common: &CommonOptions,
    jobs: &Jobs,
    settings: &mut Settings,
    guarded: G,
    guard: &dyn Fn() -> Result<G>,
    read: impl FnOnce(&G, &mut dyn FnMut(Job) -> Result<()>) -> Result<()>,
) -> Result<bool> {
    let mut planned = Planned::default();
    planned.add_hosts(&settings.hosts);
    // A plan is visible to other commands, and lists its jobs as those of a running run.
    let (keeps, mut kept) = (can_ask() && !jobs.yes, Vec::new());
    read(&guarded, &mut |job| {
        planned.add(&job);
        if !keeps {
            return plan.add(job);
        }
        kept.push(plan.name(job)?);
        Ok(())
    })?;
    add_hosts(&mut settings.hosts, planned.hosts(), plan.kind() == "group", jobs)?;
    let is_asked = planned.is_asked(jobs)?;
    let mut guarded = Some(guarded).filter(|_| !is_asked);
    if !planned.announce(common, jobs, settings.count_slots())? {
        return Ok(false);
    }
    if is_asked {
        guarded = Some(guard()?);
    }
    let added = kept.into_iter().try_for_each(|job| plan.add_named(job));
    drop(guarded);
    added.map(|()| true)
}
