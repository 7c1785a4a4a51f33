//! Working through a queue: what `queue run` and `run continue` have in common.

use super::flags::Common;
use super::flags::jobs::Jobs;
use crate::codex::home::Home;
use crate::error::{Error, Exit, Result, warn};
use crate::ndjson::Output;
use crate::output::events::{Show, closing};
use crate::queue::{Mode, Queue, Queues, Runner, Status, known, take};
use crate::run::event::{Event, What};
use crate::run::journal::VERSION;
use crate::run::tasks::Tasks;
use crate::run::{Counts, Ended, Folder, Job, Journal, supervise};
use crate::text::quoted;
use crate::time::Timestamp;

/// Works through the queue of this name or id: takes up what an earlier runner left, then sends what is
/// pending.
pub fn run(name: &str, common: &Common, jobs: &Jobs) -> Result<Exit> {
    let mut queues: Queues = Queues::store()?.read()?;
    let at = queues.find(name)?;
    let mut queue = queues.queues.swap_remove(at);
    let base = base(common, jobs)?;
    if jobs.dry_run {
        queue.lay_over()?;
        return dry_run(&queue, &base);
    }
    // Before anything is written, as nothing can be done without it.
    jobs.settings(common)?;
    super::runs::tidy();
    let Some(lock) = take(&queue.id)? else {
        return Err(Error::new(format!("queue '{}' has a runner", queue.name))
            .hint(format!("codex-agent queue watch {} shows what it does", quoted(&queue.name))));
    };
    let Some((queue, folder, journal)) = open(&queue.id, &base, jobs.new)? else { return Ok(Exit::Done) };
    if queue.paused {
        return Err(is_paused(&queue.name));
    }
    let tasks = Tasks::read(&folder)?;
    let settings = jobs.settings_after(common, &tasks)?;
    let (name, pending) = (queue.name.clone(), pending(&queue));
    let tasks = match tasks.is_begun() {
        true => tasks,
        // One that died before it began has nothing but its name.
        false => Tasks::new("queue", &name, base.codex_home.clone()),
    };
    let verb = if tasks.is_begun() { "going on with" } else { "working through" };
    warn(format_args!("{verb} queue '{name}', {pending} to send; Ctrl-C finishes what runs"));
    let mut runner = Runner::new(queue, folder.name(), base, known(&folder)?, lock)?;
    let mut shown = Show::new(jobs.wanted(common), pending);
    let settings = crate::run::Settings { max_concurrent: 1, ..settings };
    let ended = supervise(&folder, journal, tasks, settings, Some(&mut runner), &mut shown);
    shown.sum_up();
    let saved = runner.finish(matches!(ended, Ok(Ended::Completed { .. })));
    let exit = closing(&folder, ended, &format!("codex-agent queue run {}", quoted(&name)))?;
    saved.map_err(|error| error.hint("the journal of the run has all of it; the next reader sees it"))?;
    Ok(exit)
}

/// Goes on with a queue whose run this is.
pub(super) fn go_on(folder: &Folder, common: &Common, jobs: &Jobs) -> Result<Exit> {
    let queues: Queues = Queues::store()?.read()?;
    let owner = queues.queues.iter().find(|queue| queue.run.as_deref() == Some(folder.name()));
    match owner {
        Some(queue) => run(&queue.id, common, jobs),
        None => Err(Error::new(format!("run '{}' is of a queue that is there no more", folder.name()))
            .hint("codex-agent run log tells what it did")),
    }
}

/// Says in the journal of a run that nobody will go on with it, so that it is in nobody's way. One that
/// is carried out, or cannot be read, is left alone.
pub fn conclude(run: &str, why: &str) -> Result<()> {
    let Some(folder) = Folder::named(run)? else { return Ok(()) };
    let Some(mut journal) = Journal::open(folder.journal())? else { return Ok(()) };
    let Ok(tasks) = Tasks::read(&folder) else { return Ok(()) };
    if tasks.is_begun() && tasks.is_open() {
        let what = What::RunStopped { why: why.to_owned(), left: 0, until: None };
        let (run, at) = (folder.name().to_owned(), Timestamp::now());
        journal.append(&Event { what, v: VERSION, run, at, counts: tasks.told() }, true)?;
    }
    Ok(())
}

fn is_paused(name: &str) -> Error {
    Error::new(format!("queue '{name}' is paused, and nothing was sent"))
        .hint(format!("codex-agent queue unpause {} lets it go on", quoted(name)))
        .with_exit(Exit::WorkLeft)
}

fn base(common: &Common, jobs: &Jobs) -> Result<Job> {
    let home = Home::find(common.codex_home.as_deref())?;
    let mut base = Job::new(String::new());
    base.options = jobs.options()?;
    base.images = jobs.images()?;
    base.codex_home = home.path().to_str().map(str::to_owned);
    Ok(base)
}

fn pending(queue: &Queue) -> usize {
    let is_pending =
        |prompt: &&crate::queue::Prompt| prompt.status == Status::Pending && prompt.mode == Mode::Auto;
    queue.prompts.iter().filter(is_pending).count()
}

fn dry_run(queue: &Queue, base: &Job) -> Result<Exit> {
    let mut output = Output::stdout();
    let is_pending =
        |prompt: &&crate::queue::Prompt| prompt.status == Status::Pending && prompt.mode == Mode::Auto;
    for prompt in queue.prompts.iter().filter(is_pending) {
        let mut job = base.saying(prompt.prompt.as_str());
        job.id = prompt.job();
        job.cwd = Some(queue.project.clone());
        job.images.extend(prompt.images.iter().cloned());
        if let Some(session) = queue.session.filter(|_| queue.one_session) {
            job = job.of(session);
        }
        output.record(&job.settle()?)?;
    }
    output.flush()?;
    Ok(Exit::Done)
}

/// The run of the queue: the one that is not finished, or a new one that the queue names before anything
/// is done. `None` where there is nothing to do.
fn open(id: &str, base: &Job, new: bool) -> Result<Option<(Queue, Folder, Journal)>> {
    let store = Queues::store()?;
    let held = store.hold()?;
    let mut queues: Queues = held.read()?;
    let at = queues.find(id)?;
    let queue = &mut queues.queues[at];
    let name = queue.name.clone();
    if let Some(run) = queue.run.clone() {
        match Folder::named(&run)? {
            Some(folder) if !new => {
                let tasks = Tasks::read(&folder).map_err(|error| {
                    error.hint(format!("codex-agent queue run --new '{name}' leaves that run alone"))
                })?;
                if tasks.is_begun() && tasks.codex_home != base.codex_home {
                    let theirs = tasks.codex_home.as_deref().unwrap_or("nowhere");
                    let message = format!(
                        "the unfinished run '{run}' of queue '{name}' works in Codex's home '{theirs}'"
                    );
                    return Err(Error::new(message).hint(format!("--codex-home '{theirs}', or --new")));
                }
                // Before its journal is ours, as a runner that has one counts as alive.
                queue.lay_over()?;
                let Some(journal) = Journal::open(folder.journal())? else {
                    return Err(Error::new(format!("run '{run}' of queue '{name}' has a runner"))
                        .hint(format!("codex-agent run watch {run} shows what it does")));
                };
                return Ok(Some((std::mem::take(queue), folder, journal)));
            }
            Some(_) => {
                // What that run did is known as far as it can be read.
                let read = queue.lay_over();
                queue.abandon(&run);
                conclude(&run, "abandoned")?;
                read.map_or_else(|error| warn(error.message()), drop);
            }
            None => {
                warn(format_args!(
                    "the records of run '{run}' of queue '{name}' are gone; what it had claimed is not sent again"
                ));
                queue.abandon(&run);
            }
        }
        held.write(&queues)?;
    }
    let queue = &mut queues.queues[at];
    queue.lay_over()?;
    if queue.paused {
        return Err(is_paused(&name));
    }
    if pending(queue) == 0 {
        warn(format_args!("queue '{name}' has nothing to send"));
        return Ok(None);
    }
    let (folder, mut journal) = Folder::create("queue", &name)?;
    let what = What::RunPlanned { kind: "queue".to_owned(), name };
    let run = folder.name().to_owned();
    let event = Event { what, v: VERSION, run, at: Timestamp::now(), counts: Counts::default() };
    journal.append(&event, true)?;
    queue.run = Some(folder.name().to_owned());
    let queue = queue.clone();
    held.write(&queues)?;
    Ok(Some((queue, folder, journal)))
}
