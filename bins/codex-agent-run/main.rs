//! codex-agent-run: run Codex non-interactively; manage runs.
//!
//! Without a verb it plans jobs from prompts (or takes job records) and hands them to the engine; the
//! verbs look after the runs that it, or any other tool, has left.

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

fn what() -> Vec<Flag> {
    vec![
        jobs::prompt(),
        jobs::prompt_file(),
        Flag::switch("jobs", "job records from standard input, instead of prompts", |args| &mut args.own.job_records)
            .more("Each says for itself what is done where, as codex-agent-records(5) describes it; what it leaves out is taken from the flags. With --dry-run such records are printed."),
        jobs::text(),
        jobs::null(),
        jobs::dry_run(),
    ]
}

fn codex() -> Vec<Flag> {
    vec![
        Flag::directory("cwd", "the directory of the sessions", |args| &mut args.own.cwd)
            .default("the current directory"),
        jobs::image(),
        flags::codex_home(),
    ]
}

fn logged() -> Vec<Flag> {
    vec![flags::json("events as records, one a line"), jobs::answers(), flags::color()]
}

fn now() -> Flag {
    Flag::switch("now", "interrupt running jobs, instead of letting them finish", |args| &mut args.own.now)
}

fn older() -> Flag {
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
            .flags("What is done", what())
            .flags("Where, and with what", codex())
            .flags(
                "Run options",
                jobs::codex_options().into_iter().chain(jobs::how_concurrent()).chain([flags::codex()]),
            )
            .flags("What is shown", jobs::shown()),
        Command::verb("list", "list the runs of every tool", verbs::list)
            .aliases(&["ls"])
            .details(&[
                "In a pipe: name, state (running, finished, stopped, dead), when it began, and how many jobs are pending, running, completed, failed and skipped, with TABs between. A dead run is one whose runner was killed; its jobs may live.",
            ])
            .flags("Options", [flags::json("run records, one a line"), flags::color()]),
        Command::verb("log", "print the log of a run", verbs::log)
            .operands("[RUN]", &[Completes::Runs])
            .details(&[
                "RUN is the name of a run, or four or more characters of it that no other has; without one it is the newest run.",
            ])
            .flags("Options", logged()),
        Command::verb("watch", "follow a run that another terminal carries out", verbs::watch)
            .operands("[RUN]", &[Completes::Runs])
            .details(&[
                "Tells all that has happened and what happens, until the run is over; then the exit status is that of the run. Without RUN it is the newest run. Ctrl-C ends the watching and leaves the run alone.",
            ])
            .flags("What is shown", jobs::shown()),
        Command::verb("continue", "continue a run that has work left", verbs::continue_run)
            .operands("[RUN]", &[Completes::Runs])
            .details(&[
                "The run was stopped, or its runner died. Jobs that live are taken over, jobs that ended meanwhile are judged by what Codex printed, and jobs that never reached the model are started. A job that was cut off in the middle is a failure. Without RUN it is the newest run that has work left.",
            ])
            .flags(jobs::RUN_OPTIONS, jobs::how_concurrent().chain([flags::codex()]))
            .flags("What is shown", jobs::shown()),
        Command::verb("stop", "stop starting jobs of a run", verbs::stop)
            .operands("RUN", &[Completes::Runs])
            .details(&["Running jobs are finished. A second stop, or --now, interrupts them."])
            .flags("Options", [now()]),
        Command::verb("prune", "remove the records of finished runs", verbs::prune)
            .details(&["Runs with work left stay, and so do the sessions of all runs: those are Codex's."])
            .flags("Options", [older(), flags::json("the records of the removed runs")]),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-run")
        .description([
            "Starts a Codex session for each prompt, several at once, without a terminal, and tells what becomes of them. A prompt is an operand, a line of standard input, or a file.",
            "    codex-agent run --answers 'What does this repository do?'",
            "    codex-agent run -j 4 --sandbox workspace-write - < chores.txt",
            "Everything about a run is in a folder of its own: what was planned, what happened, what Codex printed. It is written before and while it happens, so that a run survives its runner. After a crash, a lost connection or a kill, 'codex-agent run continue' goes on where it was: no prompt is sent twice, and none is forgotten.",
            "The first Ctrl-C (or SIGTERM, or SIGHUP) starts nothing more and lets what runs finish; the second interrupts what runs; the third leaves at once, and the jobs live on. A run goes on although nobody reads its output.",
            "In a pipe an event is one line: time, event, job, session, and a message, with TABs between and nothing cut. A verb is a verb only as the first word: 'codex-agent run -- list' sends 'list' to Codex. A first word that is one letter from a verb is taken for a slip, and refused.",
        ])
        .commands(commands())
        .exit_status(&[
            (0, "Every job was completed."),
            (1, "Some job failed, or there is no such run."),
            (2, "Bad usage, bad input, or trouble with a file."),
            (75, "The run was stopped with work left; 'codex-agent run continue' goes on."),
            (130, "Interrupted, and jobs were killed or left alone for it."),
        ])
        .environment(&[
            (
                "CODEX_AGENT_STATE_HOME",
                "Where runs are kept, instead of $XDG_STATE_HOME/codex-agent or ~/.local/state/codex-agent.",
            ),
            (
                "CODEX_AGENT_RUN, CODEX_AGENT_JOB, CODEX_AGENT_DEPTH",
                "Set for each job: the run, the job, and how many runs are around it. At a depth of 3 no further run is started.",
            ),
        ])
        .files(&[
            ("~/.local/state/codex-agent/runs/", "A folder for each run; see codex-agent-files(5)."),
            ("~/.local/state/codex-agent/locks/", "Which job drives which session."),
        ])
        .examples(&[
            (
                "Ask one thing and print the answer:",
                "codex-agent run --answers 'What does this repository do?'",
            ),
            (
                "A session for each line, two at once:",
                "printf 'Mend the tests\nUpdate the notes\n' | codex-agent run -j 2 -",
            ),
            (
                "What would be done, as records that another machine can carry out with --jobs:",
                "codex-agent run --dry-run --sandbox read-only 'Look for dead code' > jobs",
            ),
            (
                "Carry them out, and keep what each session cost:",
                "codex-agent run --jobs --json < jobs | jq -c 'select(.usage) | [.session, .usage]'",
            ),
            ("The runs so far:", "codex-agent run list"),
            ("Go on after a crash or a Ctrl-C:", "codex-agent run continue"),
            ("Forget what ended long ago:", "codex-agent run prune --older 90d"),
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
