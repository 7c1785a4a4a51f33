//! Tables, rows and records of queues and prompts.

use codex_agent_engine::queue::{Counts, Mode, Prompt, Queue, RunnerState, Status};
use codex_agent_shared::error::{Exit, Result, note};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::{Listing, Rows};
use codex_agent_shared::terminal::{Cell, Cut, Look, Table, columns, painted};
use codex_agent_shared::text::{self, cell, path_cell, width};
use codex_agent_shared::time::Timestamp;

use super::{Args, MORE};

/// A number of prompts.
pub(super) fn prompts(count: usize) -> String {
    text::counted(count, "prompt")
}

/// Prints the records of queues with --json, otherwise nothing.
pub(super) fn print_queues<'q>(
    args: &Args,
    queues: impl IntoIterator<Item = (&'q Queue, RunnerState)>,
) -> Result<Exit> {
    let mut output = Output::stdout();
    for (queue, life) in queues.into_iter().filter(|_| args.common.json) {
        output.record(&queue.record(life))?;
    }
    output.flush()?;
    Ok(Exit::Done)
}

/// Prints the records of prompts with --json, otherwise nothing.
pub(super) fn print_prompts(args: &Args, queue: &Queue, prompts: &[Prompt]) -> Result<Exit> {
    let mut output = Output::stdout();
    let mut wanted = prompts.iter().filter(|_| args.common.json);
    let written = wanted.try_for_each(|prompt| output.record(&prompt.record(&queue.id)));
    written
        .and_then(|()| output.flush())
        .map_err(|error| error.hint("the change of the queue itself was saved"))?;
    Ok(Exit::Done)
}

/// `2 pending`, `1 failed`, with the looks of the states.
fn count_parts(counts: Counts) -> Vec<(String, Look)> {
    let Counts { pending, running, completed, failed } = counts;
    let parts = [(running, "running"), (pending, "pending"), (completed, "completed"), (failed, "failed")];
    let part = |(count, what): (usize, &str)| {
        (format!("{count} {what}"), Look::of_state(what).unwrap_or(Look::Plain))
    };
    let parts: Vec<_> = parts.into_iter().filter(|(count, _)| *count > 0).map(part).collect();
    if parts.is_empty() { vec![("empty".to_owned(), Look::Dim)] } else { parts }
}

fn count_text(counts: Counts) -> String {
    count_parts(counts).into_iter().map(|(text, _)| text).collect::<Vec<_>>().join(", ")
}

fn counted(counts: Counts) -> Cell {
    let parts = count_parts(counts);
    let parts = parts.iter().enumerate();
    Cell::parts(parts.flat_map(|(at, (text, look))| {
        [(if at > 0 { ", " } else { "" }, Look::Plain), (text.as_str(), *look)]
    }))
}

/// Prints a row for each queue.
pub(super) fn list(args: &Args, queues: &[(&Queue, RunnerState)]) -> Result<Exit> {
    let shape = args.common.shape_of(&["queue"], &[])?;
    let table = Table::new()
        .column("NAME", Look::Plain)
        .most((columns() / 3).clamp(8, 40))
        .gives_way(3, 8)
        .column("STATE", Look::Plain)
        .column("PROMPTS", Look::Plain)
        .gives_way(2, 8)
        .column("DIRECTORY", Look::Dim)
        .cut(Cut::Front)
        .optional(1, 8);
    let mut listing = Listing::new(shape, table);
    for (queue, life) in queues {
        let (Queue { name, project, id, .. }, state) = (queue, queue.state(*life));
        let plain = || {
            let Counts { pending, running, completed, failed } = queue.counts();
            let counts = [pending, running, completed, failed].map(|count| count.to_string());
            let cells = [name.clone(), state.to_owned()].into_iter().chain(counts);
            cells.chain([project.clone(), id.clone()]).collect()
        };
        let table = |_| {
            vec![name.as_str().into(), Cell::state(state), counted(queue.counts()), project.as_str().into()]
        };
        listing.add(&queue.record(*life), &[], Rows { plain, table })?;
    }
    listing.finish()?;
    if queues.is_empty() {
        note("there are no queues; 'codex-agent queue add NAME PROMPT' creates a queue");
    }
    Ok(Exit::Done)
}

/// The status of a prompt; `manual` for a pending prompt that is not sent.
fn status(prompt: &Prompt) -> &'static str {
    match (prompt.status, prompt.mode) {
        (Status::Pending, Mode::Manual) => "manual",
        (Status::Pending, Mode::Auto) => "pending",
        (Status::Running, _) => "running",
        (Status::Completed, _) => "completed",
        (Status::Failed, _) => "failed",
    }
}

fn failure(prompt: &Prompt) -> String {
    let failure = prompt.failure.as_ref();
    failure.map(|failure| format!("{}: {}", failure.class.word(), failure.plain())).unwrap_or_default()
}

/// A time of `queues.json`, if it is one.
fn time(text: Option<&String>) -> Option<Timestamp> {
    Timestamp::parse(text?)
}

/// The text of a prompt, whose failure matters more than the end of the prompt.
fn text(prompt: &Prompt, most: usize) -> Cell {
    let look = if prompt.status == Status::Pending { Look::Plain } else { Look::Dim };
    match prompt.status {
        Status::Failed => {
            let (text, failure) = (cell(&prompt.prompt, most / 2), failure(prompt));
            Cell::parts([(&*text, look), (" (", look), (&failure, Look::Failed), (")", look)])
        }
        _ => Cell::with_look(prompt.prompt.as_str(), look),
    }
}

/// Prints a queue and its prompts.
pub(super) fn show(args: &Args, queue: &Queue, life: RunnerState) -> Result<Exit> {
    let shape = args.common.shape_of(&["prompt"], MORE)?;
    if shape.json && shape.fields.is_none() {
        print_queues(args, [(queue, life)])?;
    }
    let wide = columns();
    let table = Table::new()
        .column("#", Look::Bold)
        .column("STATUS", Look::Dim)
        .column("SESSION", Look::Id)
        .optional(5, 8)
        .column("PROMPT", Look::Plain)
        .gives_way(1, wide / 2)
        .column("ADDED", Look::Dim)
        .optional(3, 5)
        .column("TOOK", Look::Dim)
        .optional(2, 5)
        .column("ID", Look::Dim)
        .optional(4, 8);
    let mut listing = Listing::new(shape, table);
    let one = if queue.one_session { ", one session" } else { "" };
    let color = args.common.color.is_on();
    let state = queue.state(life);
    let shown = painted(state, Look::of_state(state).unwrap_or(Look::Plain), color);
    let [name, counts] = [cell(&queue.name, 200), count_text(queue.counts())];
    let mut head = format!("{name}: {state}, {counts}{one}");
    if width(&head) > wide {
        head = cell(&head, wide);
    } else {
        head = format!("{name}: {shown}, {counts}{one}");
    }
    listing.heading(&head)?;
    listing.heading(&path_cell(&queue.project, std::env::var("HOME").ok().as_deref(), wide))?;
    for (at, prompt) in queue.prompts.iter().enumerate() {
        let number = (at + 1).to_string();
        let status = status(prompt);
        let plain = || {
            let mode = if prompt.mode == Mode::Manual { "manual" } else { "auto" };
            let status = if prompt.status == Status::Pending { "pending" } else { status };
            let session = prompt.session.map(|id| id.to_string()).unwrap_or_default();
            let words =
                [number.as_str(), &prompt.id, status, mode, &session, &prompt.prompt, &failure(prompt)];
            words.map(str::to_owned).to_vec()
        };
        let table = |now: Timestamp| {
            let added = time(prompt.added_at.as_ref()).map(|at| at.age(now)).unwrap_or_default();
            let (began, ended) = (time(prompt.started_at.as_ref()), time(prompt.completed_at.as_ref()));
            let took = began.filter(|_| prompt.status != Status::Pending);
            let took = took.map(|began| began.countdown(ended.unwrap_or(now))).unwrap_or_default();
            // Its digits are a reference to the prompt.
            let id: String = prompt.id.chars().skip(prompt.id.chars().count().saturating_sub(8)).collect();
            let session = prompt.session.map(|id| id.short()).unwrap_or_default();
            vec![
                Cell::number(at + 1),
                Cell::state(status),
                session.into(),
                text(prompt, wide / 2),
                added.into(),
                took.into(),
                id.into(),
            ]
        };
        listing.add(&prompt.record(&queue.id), &[("number", &number)], Rows { plain, table })?;
    }
    listing.finish()?;
    Ok(Exit::Done)
}
