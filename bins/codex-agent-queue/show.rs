//! Tables, rows and records of queues and prompts.

use codex_agent_engine::queue::{Counts, Mode, Prompt, Queue, RunnerState, Status};
use codex_agent_shared::error::{Exit, Result};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::terminal::{Cut, Look, Table, columns, is_terminal, line};
use codex_agent_shared::text::{cell, tsv};

use super::Args;

/// `1 prompt`, `2 prompts`.
pub(super) fn prompts(count: usize) -> String {
    format!("{count} prompt{}", if count == 1 { "" } else { "s" })
}

/// Prints the records of queues with --json, otherwise nothing.
pub(super) fn print_queues(args: &Args, queues: &[(&Queue, RunnerState)]) -> Result<Exit> {
    let mut output = Output::stdout();
    for (queue, life) in queues.iter().filter(|_| args.common.json) {
        output.record(&queue.record(*life))?;
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

fn words(counts: Counts) -> String {
    let Counts { pending, running, completed, failed } = counts;
    let parts = [(running, "running"), (pending, "pending"), (completed, "completed"), (failed, "failed")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { "empty".to_owned() } else { parts.join(", ") }
}

pub(super) fn list(args: &Args, queues: &[(&Queue, RunnerState)]) -> Result<Exit> {
    let mut output = Output::stdout();
    if !is_terminal() {
        for (queue, life) in queues {
            let Counts { pending, running, completed, failed } = queue.counts();
            let counts = [pending, running, completed, failed].map(|count| count.to_string());
            let mut cells = vec![queue.name.clone(), queue.state(*life).to_owned()];
            cells.extend(counts);
            cells.extend([queue.project.clone(), queue.id.clone()]);
            let cells: Vec<_> = cells.iter().map(|cell| tsv(cell)).collect();
            output.text(cells.join("\t").as_bytes(), b"\n")?;
        }
        output.flush()?;
        return Ok(Exit::Done);
    }
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
        let state = queue.state(*life).to_owned();
        table.row([queue.name.clone(), state, words(queue.counts()), queue.project.clone()]);
    }
    table.write(&mut output, args.common.color.is_on())?;
    output.flush()?;
    Ok(Exit::Done)
}

fn status(prompt: &Prompt) -> &'static str {
    match (prompt.status, prompt.mode) {
        (Status::Pending, Mode::Manual) => "manual",
        (Status::Pending, Mode::Auto) => "pending",
        (Status::Running, _) => "running",
        (Status::Completed, _) => "completed",
        (Status::Failed, _) => "failed",
    }
}

fn why(prompt: &Prompt) -> String {
    let failure = prompt.failure.as_ref();
    failure.map(|failure| format!("{}: {}", failure.class.word(), failure.plain())).unwrap_or_default()
}

pub(super) fn one(args: &Args, queue: &Queue, life: RunnerState) -> Result<Exit> {
    let mut output = Output::stdout();
    if !is_terminal() {
        for (at, prompt) in queue.prompts.iter().enumerate() {
            let mode = if prompt.mode == Mode::Manual { "manual" } else { "auto" };
            let status = match prompt.status {
                Status::Pending => "pending",
                _ => status(prompt),
            };
            let session = prompt.session.map(|id| id.to_string()).unwrap_or_default();
            let why = why(prompt);
            let cells = [&prompt.id, status, mode, &session, &prompt.prompt, &why].map(|cell| tsv(cell));
            output.text(format!("{}\t{}", at + 1, cells.join("\t")).as_bytes(), b"\n")?;
        }
        output.flush()?;
        return Ok(Exit::Done);
    }
    let one = if queue.one_session { ", one session" } else { "" };
    let state = queue.state(life);
    let head = format!("{}: {state}, {}{one}", cell(&queue.name, 200), words(queue.counts()));
    output.text(cell(&head, columns()).as_bytes(), b"\n")?;
    output.text(cell(&queue.project, columns()).as_bytes(), b"\n")?;
    let number = queue.prompts.len().to_string().len();
    let left = columns().saturating_sub(number + 2 + 9 + 2 + 8 + 2);
    for (at, prompt) in queue.prompts.iter().enumerate() {
        let place = format!("{:>number$}", at + 1);
        let session = prompt.session.map(|id| id.short()).unwrap_or_default();
        // The failure matters more than the end of the prompt.
        let text = match prompt.status {
            Status::Failed => format!("{} ({})", cell(&prompt.prompt, left / 2), why(prompt)),
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
