//! Running a queue, for `queue run` and `run continue`.

use std::collections::HashMap;

use crate::commands::flags::Jobs;
use crate::commands::on_end;
use crate::commands::start::{confirm, count_sessions, describe_sandbox, must_ask};
use crate::disk::journal::Journal;
use crate::disk::progress::RunProgress;
use crate::disk::run_dir::RunDir;
use crate::queue::{Prompt, Queue, Queues, Runner, lock_runner};
use crate::record::event::{Event, RunEvent};
use crate::record::job::Job;
use crate::record::settings::{CodexOptions, OnBusy, Settings};
use crate::run::engine::{RunEnd, supervise};
use crate::run::observer::Observer;
use crate::show::end::NextCommands;
use crate::show::events::{Places, Show};
use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::error::{Error, Exit, Result, status, warn};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::store::lock::Lock;
use codex_agent_shared::text::{counted, harmless, quoted};

/// Runs the queue of this name or id: continues the unfinished run, then sends the pending prompts.
pub fn run(name: &str, common: &CommonOptions, jobs: &Jobs) -> Result<Exit> {
    run_found(&|queues| queues.find(name), common, jobs)
}

/// Continues the queue that names this run.
pub(super) fn continue_run(dir: &RunDir, common: &CommonOptions, jobs: &Jobs) -> Result<Exit> {
    let run = dir.name();
    let find = |queues: &Queues| {
        let owner = queues.queues.iter().position(|queue| queue.run.as_deref() == Some(run));
        owner.ok_or_else(|| {
            Error::new(format!("the queue of run '{run}' was deleted"))
                .hint(format!("'codex-agent run log {run}' prints the events of the run"))
        })
    };
    run_found(&find, common, jobs)
}

fn run_found(find: &dyn Fn(&Queues) -> Result<usize>, common: &CommonOptions, jobs: &Jobs) -> Result<Exit> {
    let options = jobs.show_options(common)?;
    let home = common.codex_home_of_jobs()?;
    if jobs.dry_run {
        return dry_run(find, home, jobs);
    }
    if !is_confirmed(find, common, jobs)? {
        return Ok(Exit::Negative);
    }
    let Some(opened) = open(find, home.as_deref(), common, jobs)? else { return Ok(Exit::Done) };
    let Opened { queue, dir, journal, mut progress, settings, lock } = opened;
    crate::commands::expiry::prune_expired();
    let codex_options = settings.codex_options.clone().unwrap_or_default();
    // The usage limit and the jobs depend on the home.
    progress.codex_home.clone_from(&home);
    let verb = if progress.is_begun() { "continuing" } else { "running" };
    let mode = match (codex_options.options.bypass, codex_options.options.sandbox) {
        (true, _) => ", without a sandbox and without asking".to_owned(),
        (false, Some(sandbox)) => format!(", {}", sandbox.word()),
        (false, None) => String::new(),
    };
    let (name, pending) = (&queue.name, queue.count_due());
    status(format_args!(
        "{verb} queue '{name}', {pending} to send{mode}; Ctrl-C stops after the running jobs"
    ));
    let is_elsewhere = settings.hosts.take_unassigned;
    let mut runner = Runner::new(queue, dir.name(), &progress, base_job(&codex_options, home), lock)?
        .on_host(is_elsewhere);
    // Prompts may be added at any time.
    let mut shown = Show::new(options, 2).with_places(find_prompt_positions(dir.name()));
    let ended = supervise(&dir, journal, &mut progress, settings, &mut runner, &mut shown);
    let saved = runner.finish(&progress, matches!(ended, Ok(RunEnd::Completed { .. })));
    let name = quoted(runner.queue_name());
    // The queue is unlocked before the wait for a slow reader.
    drop(runner);
    let exit = shown.close(&dir, ended, &NextCommands::for_queue(&name), || on_end::run(&dir))?;
    let recorded = format!("the journal of run '{}' has all outcomes; later commands read it", dir.name());
    saved.map_err(|error| error.hint(recorded))?;
    Ok(exit)
}

/// Asks whether to begin a run of many prompts. No lock is held meanwhile. An unfinished run was confirmed when it
/// began.
fn is_confirmed(
    find: &dyn Fn(&Queues) -> Result<usize>,
    common: &CommonOptions,
    jobs: &Jobs,
) -> Result<bool> {
    let mut queues: Queues = Queues::store()?.read()?;
    let at = find(&queues)?;
    let mut queue = queues.queues.swap_remove(at);
    if (queue.run.is_some() && !jobs.new) || queue.paused || !must_ask(queue.prompts.len(), jobs)? {
        return Ok(true);
    }
    queue.apply_journal()?;
    let due = queue.count_due();
    if !must_ask(due, jobs)? {
        return Ok(true);
    }
    // A Codex that is missing is reported without a question.
    jobs.settings(common)?;
    let sandbox = describe_sandbox(&jobs.options()?, false);
    let (name, place) = (&queue.name, &queue.project);
    let sessions = if queue.one_session { "1 session" } else { &count_sessions(due) };
    let prompts = counted(due, "prompt");
    let question =
        format!("Send {prompts} of queue '{name}' to {sessions} in {place}, 1 at a time, {sandbox}?");
    confirm(&harmless(&question), "nothing was started")
}

/// The places of the prompts of this run in their queue, while a queue names the run.
pub(super) fn find_prompt_positions(run: &str) -> Places {
    let run = run.to_owned();
    let mut known: Option<HashMap<String, usize>> = None;
    Box::new(move |job, has_moved| {
        if has_moved || known.is_none() {
            let queues: Option<Queues> = Queues::store().and_then(|store| store.read()).ok();
            let is_owner = |queue: &Queue| [&queue.run, &queue.last_run].contains(&&Some(run.clone()));
            let queue = queues.and_then(|queues| queues.queues.into_iter().find(is_owner));
            let prompts = queue.map(|queue| queue.prompts).unwrap_or_default();
            let jobs = prompts.iter().enumerate().map(|(at, prompt)| (prompt.job(), at + 1));
            let mut places: HashMap<String, usize> = jobs.collect();
            for (at, prompt) in prompts.into_iter().enumerate() {
                places.entry(prompt.id).or_insert(at + 1);
            }
            known = Some(places);
        }
        let places = known.as_ref()?;
        // The job of a prompt that was retried since has another number after the dot, or none.
        let prompt = |job: &str| places.get(job).copied();
        prompt(job).or_else(|| prompt(job.rsplit_once('.')?.0))
    })
}

/// The failed and manual prompts of a queue, and the command that makes them due.
fn describe_rest(queue: &Queue) -> String {
    let (name, counts) = (quoted(&queue.name), queue.counts());
    match (counts.pending, counts.failed) {
        (0, 0) => String::new(),
        (0, failed) => {
            format!("; {failed} failed; requeue with 'codex-agent queue retry {name} --failed'")
        }
        (manual, _) => {
            format!("; {manual} manual; 'codex-agent queue mode {name} PROMPT auto' makes a prompt automatic")
        }
    }
}

/// The settings of the run: flags first, then the settings of the unfinished run.
fn settings(queue: &Queue, common: &CommonOptions, jobs: &Jobs, tasks: &RunProgress) -> Result<Settings> {
    let mut settings = jobs.settings_after(common, tasks)?;
    // Prompts are sent one after another.
    settings.hosts.all.iter_mut().for_each(|host| host.slots = 1);
    settings.hosts.most = (!settings.hosts.all.is_empty()).then_some(1);
    check_order(queue, settings.on_busy)?;
    if settings.hosts.all.len() > 1 {
        return Err(Error::usage(format!(
            "queue '{}' is run on one host, and --on names several",
            queue.name
        ))
        .hint("the prompts of a queue are sent one after another"));
    }
    Ok(Settings { max_concurrent: 1, codex_options: Some(jobs.codex_options_after(tasks)?), ..settings })
}

/// Refuses skip and fork for a queue of one session: each prompt builds on the one before it, in this session.
fn check_order(queue: &Queue, on_busy: OnBusy) -> Result<()> {
    if !queue.one_session || matches!(on_busy, OnBusy::Wait(_) | OnBusy::Fail) {
        return Ok(());
    }
    let word = if on_busy == OnBusy::Fork { "fork" } else { "skip" };
    let message = format!("the prompts of queue '{}' are turns of one session, in order", queue.name);
    Err(Error::usage(format!("invalid value '{word}' for '--on-busy': {message}"))
        .hint("--on-busy=wait waits for the session, --on-busy=fail fails the prompt"))
}

/// Refuses to abandon the run of a queue while a job is running: its outcome would be lost and it could not be
/// stopped.
pub fn refuse_living(queue: &Queue, verb: &str) -> Result<()> {
    let dir = queue.run.as_deref().map(RunDir::named).transpose()?.flatten();
    let name = quoted(&queue.name);
    let progress = dir.as_ref().and_then(|dir| RunProgress::read(dir).ok());
    let bound = progress.iter().flat_map(|progress| &progress.all).find_map(|job| job.binding.as_ref());
    if let Some(binding) = bound {
        let host = &binding.host;
        return Err(Error::new(format!(
            "cannot {verb} queue '{}': a prompt may be running on host '{host}'",
            queue.name
        ))
        .hint(format!("'codex-agent queue run {name}' asks the host"))
        .hint(format!("'codex-agent queue stop --now {name}' interrupts the job there")));
    }
    if dir.is_none_or(|dir| dir.count_running_jobs() == 0) {
        return Ok(());
    }
    Err(Error::new(format!(
        "cannot {verb} queue '{}': the process that ran the queue ended, but a job is still running",
        queue.name
    ))
    .hint(format!("'codex-agent queue run {name}' continues the run"))
    .hint(format!("'codex-agent queue stop --now {name}' interrupts the job")))
}

/// Records in the journal of a run that it is not continued, and the outcome of the jobs that it had begun.
pub fn conclude(run: &str, why: &str) -> Result<()> {
    match RunDir::named(run)? {
        Some(dir) => crate::run::ending::conclude(&dir, why, &mut WarningsOnly),
        None => Ok(()),
    }
}

/// Prints status lines and warnings, and no events.
struct WarningsOnly;

impl Observer for WarningsOnly {
    fn event(&mut self, _event: &Event) {}

    fn status(&mut self, text: &str) {
        status(text);
    }

    fn warn(&mut self, text: &str) {
        warn(text);
    }
}

fn paused_error(name: &str) -> Error {
    Error::new(format!("queue '{name}' is paused, and nothing was sent"))
        .hint(format!("'codex-agent queue unpause {}' resumes the queue", quoted(name)))
        .with_exit(Exit::WorkLeft)
}

/// The options of all jobs.
fn base_job(codex_options: &CodexOptions, home: Option<String>) -> Job {
    let mut base = Job::new(String::new());
    base.options = codex_options.options.clone();
    base.images.clone_from(&codex_options.images);
    base.codex_home = home;
    base
}

fn dry_run(find: &dyn Fn(&Queues) -> Result<usize>, home: Option<String>, jobs: &Jobs) -> Result<Exit> {
    let mut queues: Queues = Queues::store()?.read()?;
    let at = find(&queues)?;
    let queue = &mut queues.queues[at];
    queue.apply_journal()?;
    if queue.paused {
        return Err(paused_error(&queue.name));
    }
    queue.check_project()?;
    let unfinished = queue.run.as_deref().filter(|_| !jobs.new).map(RunDir::named).transpose()?.flatten();
    let progress = unfinished.as_ref().map(RunProgress::read).transpose()?.unwrap_or_default();
    let base = base_job(&jobs.codex_options_after(&progress)?, home);
    let mut output = Output::stdout();
    for (at, _) in queue.prompts.iter().enumerate().filter(|(_, prompt)| prompt.is_due()) {
        output.record(&jobs.place(queue.job(at, &base, queue.session).validate()?))?;
    }
    output.flush()?;
    jobs.report_hosts(true)?;
    Ok(Exit::Done)
}

/// The error about prompts that may have been sent, after the journal was lost.
fn possibly_sent_error(gone: &str, name: &str, lost: &[usize]) -> Error {
    let (name, count) = (quoted(name), lost.len());
    let numbers: Vec<String> = lost.iter().take(8).map(usize::to_string).collect();
    let more = if count > numbers.len() { " ..." } else { "" };
    let prompts = counted(count, "prompt");
    Error::new(format!("{gone}: the run may have sent {prompts}, and this command sent no prompt"))
        .hint(format!("'codex-agent queue retry {name} {}{more}' requeues these prompts", numbers.join(" ")))
        .hint(format!("'codex-agent queue run {name}' sends the other prompts"))
}

/// A queue and its run, both locked against other runners.
struct Opened {
    queue: Queue,
    dir: RunDir,
    journal: Journal,
    progress: RunProgress,
    settings: Settings,
    lock: Lock,
}

/// Opens the unfinished run of the queue, or creates a run that the queue names before any job starts. `None` if
/// no prompt is due. Nothing is written before the settings are checked.
fn open(
    find: &dyn Fn(&Queues) -> Result<usize>,
    home: Option<&str>,
    common: &CommonOptions,
    jobs: &Jobs,
) -> Result<Option<Opened>> {
    let store = Queues::store()?;
    // The runner is locked first: while this process waits for another runner, the file stays unlocked.
    let queues: Queues = store.read()?;
    let Queue { id, name, .. } = &queues.queues[find(&queues)?];
    let Some(lock) = lock_runner(id)? else {
        return Err(Error::new(format!("queue '{name}' is already being run by another process"))
            .hint(format!("'codex-agent queue watch {}' follows the queue", quoted(name))));
    };
    let held = store.lock()?;
    let mut queues: Queues = held.read()?;
    let at = find(&queues)?;
    let queue = &mut queues.queues[at];
    if queue.id != *id {
        return Err(Error::new(format!("queue '{name}' was replaced by another queue of that name")));
    }
    let name = queue.name.clone();
    let dir = queue.run.as_deref().map(RunDir::named).transpose()?.flatten();
    if let Some(dir) = dir.clone().filter(|_| !jobs.new) {
        let run = dir.name();
        // The journal is read under its lock: no other runner can add to it.
        let Some(journal) = Journal::open(&dir.journal())? else {
            return Err(Error::new(format!("another process continues run '{run}' of queue '{name}'"))
                .hint(format!("'codex-agent run watch {run}' follows the run")));
        };
        let mut progress = RunProgress::read(&dir).map_err(|error| {
            error.hint(format!("'codex-agent queue run --new {}' abandons that run", quoted(&name)))
        })?;
        let settings = settings(queue, common, jobs, &progress)?;
        check_home(&progress, home, run, &name)?;
        queue.apply_run(&progress, run);
        if queue.paused {
            return Err(paused_error(&name));
        }
        if !progress.is_begun() {
            // A run that died before it began has only its name.
            progress = RunProgress::new("queue", &name, None);
        }
        let queue = queues.queues.swap_remove(at);
        return Ok(Some(Opened { queue, dir, journal, progress, settings, lock }));
    }
    let settings = settings(queue, common, jobs, &RunProgress::default())?;
    if let Some(run) = queue.run.clone() {
        if dir.is_some() {
            refuse_living(queue, "begin another run of")?;
            conclude(&run, "abandoned")?;
            // Outcomes are applied as far as the journal can be read.
            let read = queue.apply_journal();
            queue.abandon(&run);
            read.map_or_else(|error| warn(error.message()), drop);
        } else {
            queue.fail_lost(&run);
            let lost = queue.interrupted_by(&run);
            queue.abandon(&run);
            let gone = format!("the records of run '{run}' of queue '{name}' are missing");
            if !lost.is_empty() {
                held.write(&queues)?;
                return Err(possibly_sent_error(&gone, &name, &lost));
            }
            warn(format_args!("{gone}; the run had no running jobs"));
        }
        held.write(&queues)?;
    }
    let queue = &mut queues.queues[at];
    queue.apply_journal()?;
    if queue.paused {
        return Err(paused_error(&name));
    }
    if queue.count_due() == 0 {
        status(format_args!("queue '{name}' has nothing to send{}", describe_rest(queue)));
        return Ok(None);
    }
    let (dir, mut journal) = RunDir::create("queue", &name)?;
    let kept = Some(Box::new(settings.to_saved()));
    let what =
        RunEvent::RunPlanned { kind: "queue".to_owned(), name: name.clone(), settings: kept, retry_of: None };
    journal.append(&Event::new(dir.name(), what), true)?;
    queue.run = Some(dir.name().to_owned());
    // The first claim is saved together with the run.
    let first = queue.prompts.iter().find(|prompt| prompt.is_due());
    queue.claiming = Some(first.map(Prompt::job).into_iter().collect());
    if let Err(error) = held.write(&queues) {
        // A run that no queue names would be listed as the newest run.
        dir.remove().unwrap_or_else(|error| warn(error.message()));
        return Err(error);
    }
    let (queue, progress) = (queues.queues.swap_remove(at), RunProgress::new("queue", &name, None));
    Ok(Some(Opened { queue, dir, journal, progress, settings, lock }))
}

/// Refuses to continue a run in another Codex home.
fn check_home(progress: &RunProgress, home: Option<&str>, run: &str, queue: &str) -> Result<()> {
    // A home that did not exist yet could not be resolved.
    let real = |home: &str| std::fs::canonicalize(home).unwrap_or_else(|_| home.into());
    let own = progress.codex_home.as_deref();
    if !progress.is_begun() || own.map(real) == home.map(real) {
        return Ok(());
    }
    let own = own.unwrap_or("nowhere");
    let message = format!("the unfinished run '{run}' of queue '{queue}' uses Codex's home '{own}'");
    Err(Error::new(message)
        .hint(format!("--codex-home {} continues that run, --new abandons it", quoted(own))))
}
