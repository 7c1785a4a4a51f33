//! Tables, rows and records of queues and prompts.

use codex_agent_engine::queue::{Counts, Mode, Prompt, Queue, RunnerState, Status};
use codex_agent_shared::error::{Exit, Result};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::terminal::{Cut, Look, Table, columns, is_terminal, line};
use codex_agent_shared::text::cell;

use super::Args;

/// `1 prompt`, `2 prompts`.
pub(super) fn prompts(count: usize) -> String {
    format!("{count} prompt{}", if count == 1 { "" } else { "s" })
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

/// `2 pending, 1 failed`.
fn counted(counts: Counts) -> String {
    let Counts { pending, running, completed, failed } = counts;
    let parts = [(running, "running"), (pending, "pending"), (completed, "completed"), (failed, "failed")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { "empty".to_owned() } else { parts.join(", ") }
}

/// Prints a row for each queue.
pub(super) fn list(args: &Args, queues: &[(&Queue, RunnerState)]) -> Result<Exit> {
    let mut output = Output::stdout();
    let mut table = Table::new()
        .column("", Look::Plain)
        .most((columns() / 3).clamp(8, 40))
        .column("", Look::Id)
        .column("", Look::Plain)
        .gives_way(2, 8)
        .column("", Look::Dim)
        .cut(Cut::Front)
        .optional(1, 8);
    for (queue, life) in queues {
        let (Queue { name, project, id, .. }, state) = (queue, queue.state(*life));
        if is_terminal() {
            table.row([name.clone(), state.to_owned(), counted(queue.counts()), project.clone()]);
            continue;
        }
        let Counts { pending, running, completed, failed } = queue.counts();
        let counts = [pending, running, completed, failed].map(|count| count.to_string());
        let cells = counts.iter().chain([project, id]).map(String::as_str);
        output.row([name, state].into_iter().chain(cells))?;
    }
    table.write(&mut output, args.common.color.is_on())?;
    output.flush()?;
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

/// Prints a queue and its prompts.
pub(super) fn show(args: &Args, queue: &Queue, life: RunnerState) -> Result<Exit> {
    let mut output = Output::stdout();
    if !is_terminal() {
        for (at, prompt) in queue.prompts.iter().enumerate() {
            let mode = if prompt.mode == Mode::Manual { "manual" } else { "auto" };
            let status = if prompt.status == Status::Pending { "pending" } else { status(prompt) };
            let session = prompt.session.map(|id| id.to_string()).unwrap_or_default();
            let number = (at + 1).to_string();
            let failure = failure(prompt);
            output.row([&number, &prompt.id, status, mode, &session, &prompt.prompt, &failure])?;
        }
        output.flush()?;
        return Ok(Exit::Done);
    }
    let one = if queue.one_session { ", one session" } else { "" };
    let state = queue.state(life);
    let head = format!("{}: {state}, {}{one}", cell(&queue.name, 200), counted(queue.counts()));
    for line in [&head, &queue.project] {
        output.text(cell(line, columns()).as_bytes(), b"\n")?;
    }
    let number = queue.prompts.len().to_string().len();
    let left = columns().saturating_sub(number + 2 + 9 + 2 + 8 + 2);
    for (at, prompt) in queue.prompts.iter().enumerate() {
        let place = format!("{:>number$}", at + 1);
        let session = prompt.session.map(|id| id.short()).unwrap_or_default();
        // The failure matters more than the end of the prompt.
        let text = match prompt.status {
            Status::Failed => format!("{} ({})", cell(&prompt.prompt, left / 2), failure(prompt)),
            _ => prompt.prompt.clone(),
        };
        let text = cell(&text, left);
        let look = if prompt.status == Status::Pending { Look::Plain } else { Look::Dim };
        let cells = [
            (place.as_str(), Look::Bold, number),
            (status(prompt), look, 9),
            (&session, Look::Id, 8),
            (&text, look, left),
        ];
        output.text(line(&cells, args.common.color.is_on()).as_bytes(), b"\n")?;
    }
    output.flush()?;
    Ok(Exit::Done)
}
