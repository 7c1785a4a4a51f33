//! codex-agent-status: show running jobs, pending work and usage limits.

use std::process::ExitCode;

use codex_agent_engine::commands::{manage, retry};
use codex_agent_engine::disk::progress::RunProgress;
use codex_agent_engine::queue::{Queue, Queues, RunnerState, Status};
use codex_agent_engine::run::usage_limit::{ActiveLimit, LimitGate};
use codex_agent_engine::{Counts, RunDir};
use codex_agent_shared::cli;
use codex_agent_shared::cli::remote::{Operands, Style};
use codex_agent_shared::cli::{Command, Tool, flags};
use codex_agent_shared::codex::limits::{SeenLimit, seen_limits};
use codex_agent_shared::error::{Error, Exit, Result, note, warn_of};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::terminal::is_terminal;
use codex_agent_shared::text::tsv;
use codex_agent_shared::time::Timestamp;

type Args = cli::Args;

fn tool() -> Tool {
    Tool::ours("codex-agent-status")
        .description([
            "Shows the runs that are running or unfinished, the queues that have pending prompts, each with its next prompt, and the usage limits that were reached, each with the time when the limit resets. A terminal also shows the runs of the last day with failed jobs that were not retried, the queues with failed prompts, the windows of the limits, and the commands to type next. It also shows how much of each window of a limit is used, as the newest 24 sessions saw it: the windows are known by their length (5h, 7d), those that have reset since are left out, and if answers of the service contradict each other, the others are shown behind 'or'. It it shows the run of a queue only in the row of the queue.",
            "In a pipe, each run, queue and limit is one line with these columns, separated by TABs: the word run, queue or limit; the id of the run, the name of the queue, or Codex's home directory for a limit; the state; the number of jobs or prompts that are left; and the start of the run, the next prompt, or the time when the limit resets. The state of a limit is 'reached', or 'over' after the time that Codex reported has come; the next job then tries whether the limit was reset.",
        ])
        .command(
            Command::new(run)
                .flags("Options", [flags::json("print run, queue, limit and limit.seen records, one per line"), flags::color(), flags::host()])
                .on_hosts(),
        )
        .exit_status(&[(0, "Done; the status is also 0 if nothing is running or pending."), (2, "Bad usage, or an error with a file.")])
        .environment(&[
            (
                "CODEX_AGENT_STATE_HOME, CODEX_AGENT_CONFIG_HOME",
                "The directory of runs and limits, and the directory of queues; see codex-agent-files(5).",
            ),
        ])
        .files(&[
            ("~/.local/state/codex-agent/runs/", "A directory for each run."),
            ("~/.local/state/codex-agent/locks/limit-*", "A usage limit that was reached."),
            ("~/.config/codex-agent/queues.json", "The queues."),
        ])
        .examples(&[
            ("Show running jobs and pending work:", "codex-agent status"),
            (
                "Check in a script whether a run is running:",
                "codex-agent status --json | jq -s 'any(.type == \"run\" and .state == \"running\")'",
            ),
        ])
        .see_also([
            "codex-agent(1)",
            "codex-agent-queue(1)",
            "codex-agent-run(1)",
            "codex-agent-records(5)",
            "codex-agent(7)",
        ])
        .writes(["run", "queue", "limit", "limit.seen"])
}

mod overview;

fn main() -> ExitCode {
    cli::main(tool())
}

/// The time in milliseconds for which a failure is shown.
const DAY: i64 = 86_400_000;

/// A row of the output.
enum Item {
    Run(RunDir, Box<RunProgress>),
    Queue(Box<Queue>, RunnerState),
    Limit(ActiveLimit),
}

fn run(args: Args) -> Result<Exit> {
    if let Some(remote) = args.common.on_hosts("status", Operands::default())? {
        return remote.print(Style::Column);
    }
    let mut exit = Exit::Done;
    let mut output = Output::stdout();
    let now = Timestamp::now();
    let items = read_items(&mut exit)?;
    // Limits that were seen are for people and records: a row of a pipe is something to do or to wait for.
    let seen = if is_terminal() || args.common.json { read_seen(&args, now) } else { Vec::new() };
    if is_terminal() && !args.common.json {
        let failed = retry::find_recent(Timestamp(now.0 - DAY))?;
        let overview = overview::Overview::new(&items, &failed, &seen, now);
        if overview.is_empty() {
            note("there are no running jobs, no pending work and no recent failures");
        }
        overview.write(&mut output, args.common.color.is_on())?;
        output.flush()?;
        return Ok(exit);
    }
    seen.iter().try_for_each(|limit| output.record(limit))?;
    for item in items {
        if args.common.json {
            match &item {
                Item::Run(dir, tasks) => output.record(&manage::describe_run(dir, tasks))?,
                Item::Queue(queue, runner) => output.record(&queue.record(*runner))?,
                Item::Limit(limit) => output.record(&manage::LimitRecord::new(limit))?,
            }
            continue;
        }
        let row = row(&item, now);
        let cells = row.map(|cell| tsv(&cell).into_owned());
        output.text(cells.join("\t").as_bytes(), b"\n")?;
    }
    output.flush()?;
    Ok(exit)
}

/// The windows of limits that sessions saw. A home that cannot be read hides nothing else.
fn read_seen(args: &Args, now: Timestamp) -> Vec<SeenLimit> {
    let seen = args.common.index().and_then(|mut index| seen_limits(&mut index, now));
    seen.unwrap_or_default()
}

/// Limits come first, since they delay runs and queues; then runs, then queues.
fn read_items(exit: &mut Exit) -> Result<Vec<Item>> {
    // An error in one source must not hide the others.
    let mut trouble = |error: Error| {
        warn_of(&error);
        *exit = Exit::Trouble;
    };
    let limits = LimitGate::all().unwrap_or_else(|error| {
        trouble(error);
        Vec::new()
    });
    let mut items: Vec<Item> = limits.into_iter().map(Item::Limit).collect();
    for dir in RunDir::all()? {
        let Some(tasks) = RunProgress::read_existing(&dir) else { continue };
        match tasks {
            Ok(tasks) if tasks.is_begun() && tasks.is_open() => {
                items.push(Item::Run(dir, Box::new(tasks)));
            }
            Ok(_) => {}
            Err(error) => trouble(error),
        }
    }
    let (queues, runners) = Queues::read().unwrap_or_else(|error| {
        trouble(error);
        Default::default()
    });
    for (queue, runner) in queues.queues.into_iter().zip(runners) {
        // Manual prompts wait for the user, and not for a runner. A terminal shows failed prompts too.
        let has_failed = is_terminal() && queue.counts().failed > 0;
        if runner != RunnerState::Idle || queue.count_due() > 0 || has_failed {
            items.push(Item::Queue(Box::new(queue), runner));
        }
    }
    Ok(items)
}

/// Kind, name, state, remaining work, and a time or prompt.
fn row(item: &Item, now: Timestamp) -> [String; 5] {
    match item {
        Item::Run(dir, tasks) => {
            let Counts { pending, running, .. } = tasks.reported_counts();
            let began = tasks.started_at.map(|at| at.to_string());
            let left = format!("{} left", pending + running);
            let state = manage::run_state(dir, tasks).to_owned();
            ["run".to_owned(), dir.name().to_owned(), state, left, began.unwrap_or_default()]
        }
        Item::Queue(queue, runner) => {
            let next =
                queue.prompts.iter().find(|prompt| prompt.is_due() || prompt.status == Status::Running);
            let left = format!("{} left", queue.count_due() + queue.counts().running);
            let next = next.map(|prompt| prompt.prompt.clone()).unwrap_or_default();
            ["queue".to_owned(), queue.name.clone(), queue.state(*runner).to_owned(), left, next]
        }
        Item::Limit(limit) => {
            let until = limit.until.unwrap_or(limit.next).to_string();
            let tries = match limit.tries {
                0 => String::new(),
                1 => "tried once".to_owned(),
                tries => format!("tried {tries} times"),
            };
            let state = if limit.is_over(now) { "over" } else { "reached" };
            ["limit".to_owned(), limit.codex_home.clone(), state.to_owned(), tries, until]
        }
    }
}
