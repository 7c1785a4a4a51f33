//! The verbs of codex-agent-queue.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;

use codex_agent_engine::RunDir;
use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::slips::Operands;
use codex_agent_engine::commands::start::confirm;
use codex_agent_engine::commands::{manage, prompts, run_queue, watch};
use codex_agent_engine::queue;
use codex_agent_engine::queue::{Mode, Prompt, Queue, Queues, RunnerState, Status, check_name};
use codex_agent_engine::record::job::check_prompt;
use codex_agent_shared::child;
use codex_agent_shared::error::{Context, Error, Exit, Result, status, warn_of};
use codex_agent_shared::store::Changed;
use codex_agent_shared::terminal::{can_ask, page};
use codex_agent_shared::text::{harmless, quoted};

use super::show;
use super::{Args, queue_name};

fn only_one(args: &Args) -> Result<&str> {
    match args.operands.get(1) {
        None => queue_name(args),
        Some(extra) => Err(Error::usage(format!("unexpected operand '{extra}'"))),
    }
}

/// The real path of the directory of a queue, which must exist.
fn project(named: Option<&Path>) -> Result<String> {
    let path = named.unwrap_or(Path::new("."));
    let real = std::fs::canonicalize(path).context("use the project directory", path)?;
    let refused = |why| Error::new(format!("cannot use the project directory '{}': {why}", path.display()));
    if !real.is_dir() {
        return Err(refused("it is not a directory"));
    }
    real.into_os_string().into_string().map_err(|_| refused("the path is not UTF-8"))
}

pub(super) fn create(args: Args) -> Result<Exit> {
    let name = only_one(&args)?;
    check_name(name)?;
    let project = project(args.own.project.as_deref())?;
    let queue = Queues::store()?.update(|queues: &mut Queues| {
        if queues.queues.iter().any(|queue| queue.name == name) {
            let hint = format!("'codex-agent queue add {}' adds prompts to that queue", quoted(name));
            return Err(Error::new(format!("queue '{name}' exists already")).hint(hint));
        }
        let queue = Queue::new(name, &project, args.own.one_session);
        queues.queues.push(queue.clone());
        Ok((queue, Changed::Yes))
    })?;
    status(format_args!("created queue '{name}' for '{project}'"));
    show::print_queues(&args, [(&queue, RunnerState::Idle)])
}

pub(super) fn add(args: Args) -> Result<Exit> {
    let name = queue_name(&args)?.to_owned();
    let common = args.jobs.images()?;
    let mode = if args.own.manual { Mode::Manual } else { Mode::Auto };
    let mut fresh = Vec::new();
    let words =
        Operands { words: &args.operands[1..], queue: Some(&name), is_literal: args.has_end_of_flags };
    prompts::read(&args.jobs, &words, &mut |given| {
        check_prompt(&given.prompt)?;
        let mut images = common.clone();
        for image in given.images {
            images.push(jobs::resolve_file(Path::new(&image), "open the image")?);
        }
        fresh.push(Prompt::new(given.prompt, images, mode));
        Ok(())
    })
    .map_err(|error| error.or_hint("nothing was added"))?;
    let is_there = Queues::store()?.read::<Queues>()?.position(&name)?.is_some();
    if fresh.is_empty() && !is_there && !args.own.existing {
        status(format_args!(
            "no prompts were read, so queue '{name}' was not created; 'queue create' creates an empty queue"
        ));
        return Ok(Exit::Done);
    }
    let count = fresh.len();
    let (made, queue) = Queues::store()?.update(|queues: &mut Queues| {
        let (at, made) = match queues.position(&name)? {
            Some(at) => (at, false),
            None if args.own.existing => (queues.find(&name)?, false),
            None => {
                check_name(&name)?;
                let project = project(args.own.project.as_deref())?;
                queues.queues.push(Queue::new(&name, &project, args.own.one_session));
                (queues.queues.len() - 1, true)
            }
        };
        let queue = &mut queues.queues[at];
        if !made {
            refuse_other(queue, &args)?;
        }
        if args.own.first {
            queue.apply_journal()?;
            let is_pending = |prompt: &Prompt| prompt.status == Status::Pending;
            let place = queue.prompts.iter().position(is_pending).unwrap_or(queue.prompts.len());
            queue.prompts.splice(place..place, fresh.iter().cloned());
        } else {
            queue.prompts.extend(fresh.iter().cloned());
        }
        let changed = if made || count > 0 { Changed::Yes } else { Changed::No };
        Ok(((made, queue.clone()), changed))
    })?;
    let what = if made {
        format!("created queue '{name}' for '{}', and added", queue.project)
    } else {
        "added".into()
    };
    let all = queue.counts().pending;
    status(format_args!("{what} {} to '{name}'; {all} pending", show::prompts(count)));
    show::print_prompts(&args, &queue, &fresh)
}

/// Refuses options for a new queue that contradict an existing one.
fn refuse_other(queue: &Queue, args: &Args) -> Result<()> {
    let name = &queue.name;
    if args.own.one_session && !queue.one_session {
        return Err(Error::new(format!("queue '{name}' was not created with --one-session"))
            .hint("--one-session can be set only by 'queue create' and the first 'queue add'"));
    }
    match &args.own.project {
        Some(path) if project(Some(path))? != queue.project => Err(Error::new(format!(
            "queue '{name}' belongs to project '{}', not '{}'",
            queue.project,
            path.display()
        ))
        .hint(format!("'codex-agent queue project {} DIR' changes the project of the queue", quoted(name)))),
        _ => Ok(()),
    }
}

pub(super) fn list(args: Args) -> Result<Exit> {
    let (queues, lives) = Queues::read()?;
    let all: Vec<(&Queue, RunnerState)> = queues.queues.iter().zip(lives).collect();
    show::list(&args, &all)
}

pub(super) fn show(args: Args) -> Result<Exit> {
    let (queue, life) = read(only_one(&args)?)?;
    show::show(&args, &queue, life)
}

/// The current state of a queue.
fn read(name: &str) -> Result<(Queue, RunnerState)> {
    let mut queues: Queues = Queues::store()?.read()?;
    let at = queues.find(name)?;
    let mut queue = queues.queues.swap_remove(at);
    let life = queue.apply_journal()?;
    Ok((queue, life))
}

/// The state of the runner, for changes that do not depend on the run: an error in the journal is only a warning.
fn runner_state(queue: &mut Queue) -> RunnerState {
    queue.apply_journal().unwrap_or_else(|error| {
        warn_of(&error);
        let dir = queue.run.as_deref().and_then(|run| RunDir::named(run).ok().flatten());
        if dir.is_some_and(|dir| dir.is_running()) { RunnerState::Running } else { RunnerState::Dead }
    })
}

/// The positions of the named prompts, without duplicates, in the order of the operands.
fn find_positions(queue: &Queue, named: &[String]) -> Result<Vec<usize>> {
    let mut places = Vec::new();
    for text in named {
        let at = queue.find(text)?;
        if !places.contains(&at) {
            places.push(at);
        }
    }
    Ok(places)
}

fn no_prompt() -> Error {
    Error::usage("a prompt of the queue is missing")
        .hint("PROMPT is the number of a prompt, or digits of its id; 'codex-agent queue show NAME' prints numbers and ids")
}

/// Refuses a prompt that is being sent, or was being sent when its runner was killed.
fn refuse_running(queue: &Queue, life: RunnerState, at: usize, verb: &str) -> Result<()> {
    if queue.prompts[at].status != Status::Running {
        return Ok(());
    }
    let (name, number) = (quoted(&queue.name), at + 1);
    let why = match life {
        RunnerState::Dead => "the runner was killed, and the result of the prompt is not known yet",
        _ => "the prompt is being sent",
    };
    let message = format!("cannot {verb} prompt {number} of queue '{}': {why}", queue.name);
    let error = Error::new(message);
    let error = match life {
        RunnerState::Dead => error.hint(format!(
            "'codex-agent queue run {name}' reads the result of the prompt, and continues the queue"
        )),
        _ => error,
    };
    Err(error.hint(format!("'codex-agent queue stop --now {name}' interrupts the prompt")))
}

/// The operands after the name, and the last operand.
fn named_and_last<'a>(args: &'a Args, what: &str) -> Result<(&'a [String], &'a str)> {
    queue_name(args)?;
    match &args.operands[1..] {
        [named @ .., last] if !named.is_empty() => Ok((named, last)),
        _ => Err(Error::usage(format!("expected the operands NAME PROMPT... {what}"))),
    }
}

pub(super) fn edit(args: Args) -> Result<Exit> {
    let name = queue_name(&args)?;
    let Some(which) = args.operands.get(1) else {
        return Err(no_prompt());
    };
    if let Some(extra) = args.operands.get(3) {
        return Err(Error::usage(format!("unexpected operand '{extra}'")));
    }
    let (queue, life) = read(name)?;
    let at = queue.find(which)?;
    refuse_sent(&queue, life, at, "edit")?;
    let before = queue.prompts[at].clone();
    // The text of the editor is kept even if the prompt is changed or removed meanwhile.
    let mut written = None;
    let text = match (args.operands.get(2).map(String::as_str), args.jobs.has_prompt()) {
        (None, true) => args.jobs.single_prompt()?,
        (Some("-"), false) => jobs::read_prompt(Path::new("-"))?,
        (Some(text), false) => text.to_owned(),
        (None, false) => {
            let opened = open_editor(&before.prompt).map_err(|error| error.or_hint("nothing was changed"))?;
            written.insert(opened).text.clone()
        }
        (Some(_), true) => return Err(Error::usage("the new text of the prompt is given twice")),
    };
    let change = |queue: &mut Queue, life: RunnerState| {
        // By its id, since the prompt may have been moved meanwhile.
        let Some(at) = queue.position(&before.id) else {
            return Err(Error::not_found(format!("prompt {which} was removed from queue '{}'", queue.name)));
        };
        refuse_sent(queue, life, at, "edit")?;
        if queue.prompts[at].prompt != before.prompt {
            let message = format!("prompt {} of queue '{}' was changed during the edit", at + 1, queue.name);
            return Err(Error::new(message).hint("this edit was not saved"));
        }
        queue.prompts[at].prompt.clone_from(&text);
        Ok((queue.clone(), queue.prompts[at].clone()))
    };
    let changed = check_prompt(&text).and_then(|()| Queues::edit_by_id(&queue.id, change));
    let (queue, prompt) = match (changed, written) {
        (Ok(changed), _) => changed,
        (Err(error), Some(written)) if !text.trim().is_empty() => return Err(error.hint(written.keep())),
        (Err(error), _) => return Err(error),
    };
    let word = if prompt.prompt == before.prompt { "did not change" } else { "changed" };
    status(format_args!("{word} prompt {which} of '{}'", queue.name));
    show::print_prompts(&args, &queue, &[prompt])
}

/// Refuses to change a prompt that was already sent.
fn refuse_sent(queue: &Queue, life: RunnerState, at: usize, verb: &str) -> Result<()> {
    refuse_running(queue, life, at, verb)?;
    if queue.prompts[at].status == Status::Pending {
        return Ok(());
    }
    let name = &queue.name;
    Err(Error::new(format!("cannot {verb} prompt {} of queue '{name}': the prompt was already sent", at + 1))
        .hint(format!("'codex-agent queue retry {} {}' requeues the prompt", quoted(name), at + 1)))
}

/// An edited text and its temporary file, which is removed unless it is kept.
struct Written {
    text: String,
    file: tempfile::NamedTempFile,
}

impl Written {
    /// Keeps the file, and returns a hint with its path.
    fn keep(self) -> String {
        match self.file.keep() {
            Ok((_, path)) => format!("the edited text is in '{}'", path.display()),
            Err(error) => format!("the edited text is lost: {error}"),
        }
    }
}

/// Opens a text in an editor, in a temporary file that only the user can read.
fn open_editor(text: &str) -> Result<Written> {
    use std::io::IsTerminal;
    if !std::io::stdin().is_terminal() {
        return Err(Error::usage("the new text of the prompt is missing")
            .hint("give the text as an operand; the operand - reads standard input"));
    }
    let editor = child::editor().unwrap_or_else(|| "vi".to_owned());
    let mut file = tempfile::Builder::new()
        .prefix("prompt-")
        .suffix(".txt")
        .tempfile()
        .context("create a temporary file in", &std::env::temp_dir())?;
    file.write_all(text.as_bytes()).context("write", file.path())?;
    child::edit(&editor, file.path())?;
    let edited = std::fs::read_to_string(file.path()).context("read", file.path())?;
    Ok(Written { text: edited.trim_end_matches('\n').to_owned(), file })
}

pub(super) fn move_(args: Args) -> Result<Exit> {
    let (named, place) = named_and_last(&args, "PLACE")?;
    let (queue, moved) = Queues::edit(queue_name(&args)?, |queue, _| {
        let places = find_positions(queue, named)?;
        let to = match place {
            "first" => 0,
            "last" => queue.prompts.len(),
            text => match text.parse::<usize>() {
                Ok(number) if (1..=queue.prompts.len()).contains(&number) => number - 1,
                _ => {
                    let most = queue.prompts.len();
                    let message = format!("invalid place '{text}': expected first, last or 1 to {most}");
                    return Err(Error::usage(message));
                }
            },
        };
        let moved: Vec<Prompt> = places.iter().map(|at| queue.prompts[*at].clone()).collect();
        let ids: HashSet<&str> = moved.iter().map(|prompt| prompt.id.as_str()).collect();
        queue.prompts.retain(|prompt| !ids.contains(prompt.id.as_str()));
        let to = to.min(queue.prompts.len());
        queue.prompts.splice(to..to, moved.iter().cloned());
        Ok((queue.clone(), moved))
    })?;
    status(format_args!("moved {} of '{}' to {place}", show::prompts(moved.len()), queue.name));
    show::print_prompts(&args, &queue, &moved)
}

pub(super) fn remove(args: Args) -> Result<Exit> {
    let name = queue_name(&args)?;
    let named = &args.operands[1..];
    if named.is_empty() {
        return Err(no_prompt());
    }
    let (queue, gone) = Queues::edit(name, |queue, life| {
        let places = find_positions(queue, named)?;
        places.iter().try_for_each(|at| refuse_running(queue, life, *at, "remove"))?;
        let ids: HashSet<String> = places.iter().map(|at| queue.prompts[*at].id.clone()).collect();
        let (gone, rest) =
            std::mem::take(&mut queue.prompts).into_iter().partition(|prompt| ids.contains(&prompt.id));
        queue.prompts = rest;
        Ok((queue.clone(), gone))
    })
    .map_err(|error: Error| error.or_hint("nothing was removed"))?;
    let gone: Vec<Prompt> = gone;
    let left = queue.counts().pending;
    let sent = match gone.iter().filter(|prompt| prompt.status != Status::Pending).count() {
        0 => String::new(),
        sent => format!(" ({sent} already sent)"),
    };
    status(format_args!("removed {}{sent} from '{}'; {left} pending", show::prompts(gone.len()), queue.name));
    show::print_prompts(&args, &queue, &gone)
}

pub(super) fn retry(args: Args) -> Result<Exit> {
    let name = queue_name(&args)?;
    let named = &args.operands[1..];
    if named.is_empty() != args.own.failed {
        return Err(Error::usage("expected either PROMPT operands or --failed"));
    }
    let (queue, again) = Queues::edit(name, |queue, life| {
        let places = match args.own.failed {
            true => (0..queue.prompts.len())
                .filter(|at| queue.prompts[*at].status == Status::Failed)
                .collect::<Vec<_>>(),
            false => find_positions(queue, named)?,
        };
        let mut again = Vec::new();
        for at in places {
            refuse_running(queue, life, at, "retry")?;
            let prompt = &mut queue.prompts[at];
            if prompt.status != Status::Pending {
                prompt.retry()?;
                again.push(prompt.clone());
            }
        }
        Ok((queue.clone(), again))
    })?;
    status(format_args!("requeued {} of '{}'", show::prompts(again.len()), queue.name));
    show::print_prompts(&args, &queue, &again)
}

pub(super) fn mode(args: Args) -> Result<Exit> {
    let (named, word) = named_and_last(&args, "auto|manual")?;
    let mode = match word {
        "auto" => Mode::Auto,
        "manual" => Mode::Manual,
        other => return Err(Error::usage(format!("invalid mode '{other}': expected auto or manual"))),
    };
    let (queue, changed) = Queues::edit(queue_name(&args)?, |queue, life| {
        let mut changed = Vec::new();
        for at in find_positions(queue, named)? {
            // The mode of a prompt that was interrupted or failed matters when it is requeued.
            let status = queue.prompts[at].status;
            if status == Status::Completed || (status == Status::Running && life == RunnerState::Running) {
                refuse_sent(queue, life, at, "change the mode of")?;
            }
            queue.prompts[at].mode = mode;
            changed.push(queue.prompts[at].clone());
        }
        Ok((queue.clone(), changed))
    })?;
    status(format_args!("set {} of '{}' to {word}", show::prompts(changed.len()), queue.name));
    show::print_prompts(&args, &queue, &changed)
}

pub(super) fn rename(args: Args) -> Result<Exit> {
    let [name, new] = &args.operands[..] else {
        return Err(Error::usage("expected the name of a queue and its new name"));
    };
    check_name(new)?;
    let (queue, life) = Queues::store()?.update(|queues: &mut Queues| {
        let at = queues.find(name)?;
        if queues.queues.iter().any(|queue| queue.name == *new) {
            return Err(Error::new(format!("queue '{new}' exists already")));
        }
        let queue = &mut queues.queues[at];
        queue.name.clone_from(new);
        let life = runner_state(queue);
        Ok(((queue.clone(), life), Changed::Yes))
    })?;
    status(format_args!("renamed queue '{name}' to '{new}'"));
    show::print_queues(&args, [(&queue, life)])
}

pub(super) fn set_project(args: Args) -> Result<Exit> {
    let [name, directory] = &args.operands[..] else {
        return Err(Error::usage("expected the name of a queue and the directory of its project"));
    };
    let project = project(Some(Path::new(directory)))?;
    let (queue, life) = Queues::edit(name, |queue, life| {
        queue.project.clone_from(&project);
        Ok((queue.clone(), life))
    })?;
    status(format_args!("queue '{}' now belongs to project '{project}'", queue.name));
    show::print_queues(&args, [(&queue, life)])
}

/// The pending prompts of a queue: ids and texts.
type Pending = Vec<(String, String)>;

fn pending_prompts(queue: &Queue) -> Pending {
    let pending = queue.prompts.iter().filter(|prompt| prompt.status == Status::Pending);
    pending.map(|prompt| (prompt.id.clone(), prompt.prompt.clone())).collect()
}

/// Asks before pending prompts are deleted, which cannot be undone. No lock is held meanwhile. Returns the prompts by
/// the id of their queue if the user was asked and confirmed, and an error with the exit status if not.
fn confirm_delete(args: &Args) -> Result<std::result::Result<Option<HashMap<String, Pending>>, Exit>> {
    if args.jobs.yes || !can_ask() {
        return Ok(Ok(None));
    }
    let mut queues: Queues = Queues::store()?.read()?;
    let (mut seen, mut lost) = (HashMap::new(), Vec::new());
    for name in &args.operands {
        let at = queues.find(name)?;
        let queue = &mut queues.queues[at];
        if seen.contains_key(&queue.id) {
            continue;
        }
        runner_state(queue);
        let pending = pending_prompts(queue);
        let count = pending.len();
        if count > 0 {
            let were = if count == 1 { "was" } else { "were" };
            lost.push(format!("queue '{}' with {} that {were} not sent", queue.name, show::prompts(count)));
        }
        seen.insert(queue.id.clone(), pending);
    }
    if lost.is_empty() {
        return Ok(Ok(Some(seen)));
    }
    let question = format!("Delete {}?", lost.join(" and "));
    Ok(match confirm(&harmless(&question), "nothing was deleted")? {
        true => Ok(Some(seen)),
        false => Err(Exit::Negative),
    })
}

/// Refuses queues that were changed while the user was asked about their pending prompts.
fn refuse_changed(gone: &mut [Queue], seen: &HashMap<String, Pending>) -> Result<()> {
    for queue in gone {
        runner_state(queue);
        if seen.get(&queue.id) != Some(&pending_prompts(queue)) {
            let message =
                format!("queue '{}' was changed during the question; nothing was deleted", queue.name);
            return Err(Error::new(message).hint("repeat the command"));
        }
    }
    Ok(())
}

pub(super) fn delete(args: Args) -> Result<Exit> {
    queue_name(&args)?;
    let seen = match confirm_delete(&args)? {
        Ok(seen) => seen,
        Err(exit) => return Ok(exit),
    };
    let queues: Queues = Queues::store()?.read()?;
    let mut locks = HashMap::new();
    for name in &args.operands {
        let queue = &queues.queues[queues.find(name)?];
        if locks.contains_key(&queue.id) {
            continue;
        }
        // With the lock held, no runner can start while the queue is deleted.
        let Some(lock) = queue::lock_runner(&queue.id)? else {
            return Err(Error::new(format!("cannot delete queue '{name}' while the queue is being run"))
                .hint(format!("'codex-agent queue stop {}' stops the run of the queue", quoted(name))));
        };
        locks.insert(queue.id.clone(), lock);
    }
    let gone = Queues::store()?.update(|queues: &mut Queues| {
        let (mut gone, rest): (Vec<Queue>, Vec<Queue>) =
            std::mem::take(&mut queues.queues).into_iter().partition(|queue| locks.contains_key(&queue.id));
        seen.as_ref().map_or(Ok(()), |seen| refuse_changed(&mut gone, seen))?;
        gone.iter().try_for_each(|queue| run_queue::refuse_living(queue, "delete"))?;
        // The runs are ended first: a crash in between leaves a queue whose run has ended.
        gone.iter().flat_map(|queue| &queue.run).try_for_each(|run| run_queue::conclude(run, "deleted"))?;
        queues.queues = rest;
        Ok((gone, Changed::Yes))
    })?;
    for queue in &gone {
        status(format_args!("deleted queue '{}' with {}", queue.name, show::prompts(queue.prompts.len())));
    }
    show::print_queues(&args, gone.iter().map(|queue| (queue, RunnerState::Idle)))
}

pub(super) fn set_paused(args: &Args, paused: bool) -> Result<Exit> {
    queue_name(args)?;
    let changed = Queues::store()?.update(|queues: &mut Queues| {
        let mut changed = Vec::new();
        for name in &args.operands {
            let at = queues.find(name)?;
            let queue = &mut queues.queues[at];
            queue.paused = paused;
            let life = runner_state(queue);
            changed.push((queue.clone(), life));
        }
        Ok((changed, Changed::Yes))
    })?;
    for (queue, life) in &changed {
        let word = if paused { "paused" } else { "no longer paused" };
        let more = if paused && *life == RunnerState::Running { "; the running prompt finishes" } else { "" };
        status(format_args!("queue '{}' is {word}{more}", queue.name));
    }
    show::print_queues(args, changed.iter().map(|(queue, life)| (queue, *life)))
}

/// The unfinished run of a queue, or else the last run.
fn last_run(args: &Args) -> Result<RunDir> {
    let (queue, _) = read(only_one(args)?)?;
    let name = &queue.name;
    let Some(run) = queue.run.as_ref().or(queue.last_run.as_ref()) else {
        return Err(Error::not_found(format!("queue '{name}' has never been run"))
            .hint(format!("'codex-agent queue run {}' runs the queue", quoted(name))));
    };
    RunDir::named(run)?
        .ok_or_else(|| Error::not_found(format!("the records of run '{run}' of queue '{name}' were removed")))
}

pub(super) fn stop(args: Args) -> Result<Exit> {
    manage::stop(&last_run(&args)?, args.own.now)?;
    Ok(Exit::Done)
}

pub(super) fn run(args: Args) -> Result<Exit> {
    run_queue::run(only_one(&args)?, &args.common, &args.jobs)
}

pub(super) fn watch(args: Args) -> Result<Exit> {
    watch::watch(&last_run(&args)?, args.jobs.show_options(&args.common)?)
}

pub(super) fn log(args: Args) -> Result<Exit> {
    if !args.common.no_pager {
        page();
    }
    watch::log(&last_run(&args)?, args.jobs.show_options(&args.common)?)?;
    Ok(Exit::Done)
}
