//! Adding a turn to each of many sessions: what `group run` and `resume --prompt` have in common.
//!
//! Each session is resumed in its own directory, by the engine; here the jobs are planned. A run of the
//! same kind and name that has work left stands in the way: the same command typed again after a
//! crash must not send its prompt twice.

use super::flags::Common;
use super::flags::jobs::Jobs;
use crate::codex::home::Home;
use crate::error::{Error, Exit, Result};
use crate::ndjson::Output;
use crate::output::events::{Show, announce, closing, way_on};
use crate::record::Id;
use crate::run::tasks::Tasks;
use crate::run::{Folder, Job, Plan};

/// Sends the prompt of the flags to each session. `kind` and `name` become the run's.
pub fn add(kind: &str, name: &str, sessions: &[Id], common: &Common, jobs: &Jobs) -> Result<Exit> {
    let home = Home::find(common.codex_home.as_deref())?;
    let home = home.path().to_str().map(str::to_owned);
    let mut base = Job::new(jobs.one_prompt()?);
    base.images = jobs.images()?;
    base.options = jobs.options()?;
    base.codex_home.clone_from(&home);
    let planned = sessions.iter().map(|id| base.of(*id));
    let mut plan = Plan::new(kind, name, home);
    if jobs.dry_run {
        let mut output = Output::stdout();
        for job in planned {
            output.record(&plan.name(job)?)?;
        }
        output.flush()?;
        return Ok(Exit::Done);
    }
    if !jobs.new {
        refuse_unfinished(kind, name)?;
    }
    let settings = jobs.settings(common)?;
    let mut planned = planned;
    if let Err(error) = planned.try_for_each(|job| plan.add(job)) {
        plan.discard();
        return Err(error.hint("nothing was started"));
    }
    let Some(folder) = plan.folder().cloned() else { return Ok(Exit::Done) };
    announce(plan.len(), &settings, jobs.sandbox()?);
    let mut shown = Show::new(jobs.wanted(common), plan.len());
    let ended = plan.run(settings, &mut shown);
    shown.sum_up();
    closing(&folder, ended, &way_on(&folder))
}

fn refuse_unfinished(kind: &str, name: &str) -> Result<()> {
    for folder in Folder::all()? {
        let Ok(tasks) = Tasks::read(&folder) else { continue };
        if tasks.kind != kind || tasks.name != name || !tasks.is_begun() {
            continue;
        }
        let run = folder.name();
        if folder.is_running() {
            return Err(Error::new(format!("run '{run}' does this now"))
                .hint(format!("codex-agent run log {run} tells how far it is; --new begins another")));
        }
        if tasks.is_open() {
            return Err(Error::new(format!("run '{run}' has work left, and nothing was started"))
                .hint(format!("codex-agent run continue {run} goes on with it; --new begins another")));
        }
    }
    Ok(())
}
