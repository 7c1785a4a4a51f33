//! codex-agent-run: run Codex non-interactively; manage runs.
//!
//! Without a verb the tool plans jobs from prompts or job records, and runs them by the engine. The verbs manage the
//! runs of all tools.

use std::path::PathBuf;
use std::process::ExitCode;

use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::manage;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Takes, Tool, flags};
use codex_agent_shared::time::{Timestamp, parse_moment};

mod prompts;
mod verbs;

/// The own arguments of this tool.
#[derive(Default)]
struct Own {
    job_records: bool,
    cwd: Option<PathBuf>,
    now: bool,
    older: Option<Timestamp>,
}

type Args = jobs::Args<Own>;
type Flag = cli::Flag<Args>;

fn prompt_flags() -> Vec<Flag> {
    vec![
        jobs::prompt(),
        jobs::prompt_file(),
        Flag::switch("jobs", "read job records from standard input, instead of prompts", |args| &mut args.own.job_records)
            .more("Each record has the prompt, the directory and the options of a job, see codex-agent-records(5); fields that it omits are set by the flags. --dry-run prints such records."),
        jobs::text(),
        jobs::null(),
        jobs::dry_run(),
    ]
}

fn session_flags() -> Vec<Flag> {
    vec![
        Flag::directory("cwd", "the directory of the sessions", |args| &mut args.own.cwd)
            .default("the current directory"),
        jobs::image(),
        flags::codex_home(),
    ]
}

fn log_flags() -> Vec<Flag> {
    vec![flags::json("events as records, one a line"), jobs::answers(), flags::color()]
}

fn now_flag() -> Flag {
    Flag::switch("now", "interrupt running jobs instead of waiting for them", |args| &mut args.own.now)
}

fn older_flag() -> Flag {
    Flag::parsed(
        "older",
        Takes::Text("TIME"),
        "remove runs that ended before this time",
        |value| parse_moment(&value.text()?),
        |args| &mut args.own.older,
    )
    .default("30d")
    .more("runs.keep in config.toml sets another default.")
}

fn commands() -> Vec<Command<Args>> {
    vec![
        Command::new(prompts::run)
            .operands("[PROMPT...|-]", &[Completes::Nothing])
            .flags("Prompt options", prompt_flags())
            .flags("Session options", session_flags())
            .flags(
                "Run options",
                jobs::codex_options().into_iter().chain(jobs::concurrent_run_options()).chain([flags::codex()]),
            )
            .flags("Output options", jobs::output_options()),
        Command::verb("list", "list the runs of every tool", verbs::list)
            .aliases(&["ls"])
            .details(&[
                "In a pipe: name, state (running, finished, stopped, dead), when it began, and how many jobs are pending, running, completed, failed and skipped, separated by TABs. A run is dead if its runner was killed; its jobs may still be running.",
            ])
            .flags("Options", [flags::json("run records, one a line"), flags::color()]),
        Command::verb("log", "print the log of a run", verbs::log)
            .operands("[RUN]", &[Completes::Runs])
            .details(&[
                "RUN is the name of a run, or at least four characters of it that no other name has [default: the newest run].",
            ])
            .flags("Options", log_flags()),
        Command::verb("watch", "follow a run of another terminal", verbs::watch)
            .operands("[RUN]", &[Completes::Runs])
            .details(&[
                "Prints past and new events until the run ends, and exits with the status of the run [default: the newest run]. Ctrl-C ends 'watch', and the run continues.",
            ])
            .flags("Output options", jobs::output_options()),
        Command::verb("continue", "continue an unfinished run", verbs::continue_run)
            .operands("[RUN]", &[Completes::Runs])
            .details(&[
                "Continues a run that was stopped, or whose runner was killed [default: the newest unfinished run]. Running jobs are followed; the results of jobs that ended meanwhile are read from the output of Codex; jobs that never reached the model are started. An interrupted job fails, unless --interrupted chooses another action.",
            ])
            .flags(jobs::RUN_OPTIONS, jobs::concurrent_run_options().chain([flags::codex()]))
            .flags("Output options", jobs::output_options()),
        Command::verb("stop", "stop starting jobs of a run", verbs::stop)
            .operands("RUN", &[Completes::Runs])
            .details(&["Running jobs finish. A second stop, or --now, interrupts them."])
            .flags("Options", [now_flag()]),
        Command::verb("prune", "remove the records of finished runs", verbs::prune)
            .details(&["Unfinished runs are kept. The sessions of all runs are kept too, since they belong to Codex."])
            .flags("Options", [older_flag(), flags::json("the records of the removed runs")]),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-run")
        .description([
            "Starts a Codex session for each prompt, concurrently and without a terminal, and prints events. A prompt is an operand, a line of standard input, or a file.",
            "    codex-agent run --answers 'What does this repository do?'",
            "    codex-agent run -j 4 --sandbox workspace-write - < chores.txt",
            "Each run has a directory with its jobs, its events and the output of Codex, written as they happen, so that a run survives its runner. After a crash, a lost connection or a kill, 'codex-agent run continue' continues it: no prompt is sent twice, and none is lost.",
            "The first Ctrl-C (or SIGTERM, or SIGHUP) stops starting jobs and waits for the running ones; the second interrupts them; the third exits immediately and leaves the jobs running. A run continues when its output is closed.",
            "In a pipe each event is one line: time, event, job, session, and a message, separated by TABs and never truncated. Only the first word can be a verb: 'codex-agent run -- list' sends 'list' to Codex. A first word that differs from a verb by one letter is refused as a typo.",
        ])
        .commands(commands())
        .exit_status(&[
            (0, "Every job was completed."),
            (1, "A job failed, or there is no such run."),
            (2, "Bad usage, invalid input, or an error with a file."),
            (75, "The run was stopped before its end; 'codex-agent run continue' continues it."),
            (130, "The run was interrupted, and jobs were killed or left running."),
        ])
        .environment(&[
            (
                "CODEX_AGENT_STATE_HOME",
                "The directory of runs, instead of $XDG_STATE_HOME/codex-agent or ~/.local/state/codex-agent.",
            ),
            (
                "CODEX_AGENT_RUN, CODEX_AGENT_JOB, CODEX_AGENT_DEPTH",
                "Set for each job: the run, the job, and the number of runs that contain the job. A job at depth 3 cannot start a run.",
            ),
        ])
        .files(&[
            ("~/.local/state/codex-agent/runs/", "A directory for each run; see codex-agent-files(5)."),
            ("~/.local/state/codex-agent/locks/", "Locks of the sessions that jobs use."),
        ])
        .examples(&[
            (
                "Send a prompt and print the answer:",
                "codex-agent run --answers 'What does this repository do?'",
            ),
            (
                "Start a session for each line, two at a time:",
                "printf 'Mend the tests\nUpdate the notes\n' | codex-agent run -j 2 -",
            ),
            (
                "Print the jobs as records, which another machine can run with --jobs:",
                "codex-agent run --dry-run --sandbox read-only 'Look for dead code' > jobs",
            ),
            (
                "Run these jobs, and print the tokens that each session used:",
                "codex-agent run --jobs --json < jobs | jq -c 'select(.usage) | [.session, .usage]'",
            ),
            ("List the runs:", "codex-agent run list"),
            ("Continue after a crash or a Ctrl-C:", "codex-agent run continue"),
            ("Remove old runs:", "codex-agent run prune --older 90d"),
        ])
        .see_also([
            "codex-agent(1)",
            "codex-agent-group(1)",
            "codex-agent-records(5)",
            "codex-agent-files(5)",
            "codex-agent(7)",
        ])
        .reads(&["prompt", "job"])
        .writes(["job", "run"])
        .writes(manage::event_types())
}

fn main() -> ExitCode {
    cli::main(tool())
}
