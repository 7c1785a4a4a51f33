//! codex-agent-run: run Codex non-interactively; manage runs.
//!
//! Without a verb the tool plans jobs from prompts or job records, and runs them by the engine. The verbs manage the
//! runs of all tools.

use std::path::PathBuf;
use std::process::ExitCode;

use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::manage;
use codex_agent_engine::commands::retry::Selection;
use codex_agent_engine::record::failure::Class;
use codex_agent_shared::cli;
use codex_agent_shared::cli::flags::ListingHelp;
use codex_agent_shared::cli::{Command, Completes, Takes, Tool, Value, flags};
use codex_agent_shared::error::Error;
use codex_agent_shared::time::{Timestamp, parse_moment};

mod prompts;
mod verbs;

/// The own arguments of this tool.
#[derive(Default)]
struct Own {
    job_records: bool,
    worker: bool,
    once: bool,
    cwd: Option<PathBuf>,
    now: bool,
    older: Option<Timestamp>,
    selection: Selection,
}

type Args = jobs::Args<Own>;
type Flag = cli::Flag<Args>;

fn prompt_flags() -> Vec<Flag> {
    vec![
        jobs::prompt(),
        jobs::prompt_file(),
        Flag::switch("jobs", "read job records from standard input, instead of prompts", |args| &mut args.own.job_records)
            .more("Each record has the prompt, the directory and the options of a job; see codex-agent-records(5). Values that a record omits are taken from the options of the command line. --dry-run prints such records."),
        Flag::switch("worker", "carry out the jobs of a run of another machine", |args| &mut args.own.worker)
            .more("The run starts this command on each of its hosts: job records come from standard input, and events go to standard output. An attempt at a job, known by its run and its id, is never begun twice. The command ends at the end of its input, and its jobs live on. See codex-agent-distributed(7)."),
        Flag::switch("once", "start each job once, however often its record is given", |args| &mut args.own.once)
            .more("With --jobs, a job is known by its fields run and id, which each record must have. The first command that is given a job starts it. A later command prints the events of the job again, follows the job while it is running, and exits by its outcome; it starts the job only if nothing of it was sent. A job that is not started before the command ends is left to a later command with its record. See codex-agent-distributed(7)."),
        jobs::text(),
        jobs::null(),
        jobs::dry_run(),
        jobs::yes(),
    ]
}

fn session_flags() -> Vec<Flag> {
    vec![
        Flag::directory("cwd", "the working directory of the new sessions", |args| &mut args.own.cwd)
            .default("the current directory"),
        jobs::worktree(),
        jobs::image(),
        flags::codex_home(),
    ]
}

fn log_flags() -> Vec<Flag> {
    vec![
        flags::json("print events as JSON records, one per line"),
        jobs::answers(),
        flags::color(),
        flags::no_pager(),
    ]
}

fn listing() -> impl Iterator<Item = Flag> {
    let help = ListingHelp {
        json: "print run records, one per line",
        format: "a template such as '{id}\\t{counts.failed}'",
        limit: "list at most N runs",
        fields: || flags::fields_of(&["run"], &[]),
    };
    flags::listing_output(&help).into_iter()
}

fn now_flag() -> Flag {
    Flag::switch("now", "interrupt running jobs instead of waiting for their end", |args| &mut args.own.now)
}

fn older_flag() -> Flag {
    Flag::parsed(
        "older",
        Takes::Text("TIME"),
        "remove only runs that ended before TIME",
        |value| parse_moment(&value.text()?),
        |args| &mut args.own.older,
    )
    .default("30d")
    .more("TIME is an age, such as 30d, or a date. The setting runs.keep in config.toml changes the default.")
}

fn retry_flags() -> Vec<Flag> {
    let class = |value: Value| {
        let word = value.text()?;
        Class::parse(&word).ok_or_else(|| {
            Error::usage(format!("invalid value '{word}': it is no class of failures"))
                .hint(Class::values().into_iter().map(|(word, _)| word).collect::<Vec<_>>().join(", "))
        })
    };
    vec![
        Flag::switch("failed", "retry jobs that failed and were not interrupted", |args| &mut args.own.selection.failed),
        Flag::switch("interrupted", "retry jobs that were interrupted", |args| &mut args.own.selection.interrupted)
            .more("These are the jobs of the classes interrupted and stopped: Codex ended in the middle of the turn, or a second Ctrl-C or 'codex-agent run stop --now' interrupted the turn."),
        Flag::parsed(
            "class",
            Takes::Words("CLASS", Class::values),
            "retry jobs whose failure is of this class",
            class,
            |args| &mut args.own.selection.classes,
        )
        .more("May be given more than once."),
        jobs::dry_run(),
        yes_unnamed(),
    ]
}

const UNNAMED: &str = "Without RUN, the command asks for confirmation if the run that it would use is not the newest run, ended more than a day ago, or was begun in another directory than the current one. Where nothing can be asked, for example in a pipe or a script, such a run is refused with exit status 2, and the error names the command with its RUN. --yes accepts the run.";

fn yes_unnamed() -> Flag {
    Flag::switch("yes", "do not ask for confirmation", |args| &mut args.jobs.yes).short('y')
}

fn commands() -> Vec<Command<Args>> {
    vec![
        Command::new(prompts::run)
            .operands("[WORD...|-]", &[Completes::Nothing])
            .flags("Prompt options", prompt_flags())
            .flags("Session options", session_flags())
            .flags(
                "Run options",
                jobs::codex_options().into_iter().chain([jobs::on()]).chain(jobs::concurrent_run_options()).chain([flags::codex()]),
            )
            .flags("Output options", jobs::output_options()),
        Command::verb("list", "list the runs of every tool", verbs::list)
            .aliases(&["ls"])
            .details(&[
                "In a pipe, each run is one line with these columns, separated by TABs: id; state (running, finished, stopped or dead); time when the run began; numbers of pending, running, completed, failed and skipped jobs. A run is dead if its runner was killed; the jobs of a dead run may still be running.",
                "On a terminal, the state of a finished run with failed jobs is failed, or interrupted if these jobs were all interrupted.",
            ])
            .flags("Options", listing()),
        Command::verb("log", "print the log of a run", verbs::log)
            .operands("[RUN]", &[Completes::Runs])
            .details(&[
                "RUN is the id of a run, or at least four characters that occur only in the id of this run [default: the newest run].",
            ])
            .flags("Options", log_flags()),
        Command::verb("watch", "follow a run that another terminal started", verbs::watch)
            .operands("[RUN]", &[Completes::Runs])
            .details(&[
                "Prints the past and the new events of the run RUN [default: the newest run] until the run ends, and exits with the exit status of the run. Ctrl-C ends only this command; the run continues.",
            ])
            .flags("Output options", jobs::output_options()),
        Command::verb("continue", "continue an unfinished run", verbs::continue_run)
            .operands("[RUN]", &[Completes::Runs])
            .details(&[
                "Continues the run RUN, which was stopped, or whose runner was killed [default: the newest unfinished run]. Jobs that are still running are followed; the results of jobs that have ended are read from the output of Codex; jobs whose prompts never reached the model are started. Jobs that belong to a host are asked for there. An interrupted job fails, unless --interrupted chooses another action. With --interrupted, the jobs of the run that were interrupted before are continued or sent again too, even if the run has no other work left; jobs that 'codex-agent run retry' has retried are not.",
                "A job of --once is started only when its record is given. Continuing such a run follows its running jobs and reads the results of those that have ended.",
                UNNAMED,
            ])
            .flags("Options", [yes_unnamed(), jobs::give_up()])
            .flags(
                jobs::RUN_OPTIONS,
                [jobs::on()].into_iter().chain(jobs::concurrent_run_options()).chain([flags::codex()]),
            )
            .flags("Output options", jobs::output_options()),
        Command::verb("retry", "do the failed jobs of a run again", verbs::retry)
            .operands("[RUN]", &[Completes::Runs])
            .details(&[
                "Starts a new run, a retry, with the failed jobs of the run RUN [default: the newest run with failed jobs that were not retried]. Without --failed, --interrupted and --class, all failed and skipped jobs are retried; with several of these options, the jobs that any of them selects. Completed jobs are never repeated. Pending jobs are not failed jobs: 'codex-agent run continue' does them. A run that is still running is refused.",
                "A retried job keeps its id, its prompt, its directory, its images and its options, and sends its prompt again. A job that started a session starts a new session, and the session of the failed attempt stays as it is. A job that resumed a session adds its turn to the same session, which then has the prompt twice if the failed attempt had sent it. A job that forked a session forks the session again. If the failed attempt may have sent the prompt, the field resent of the event job.started is true. To go on in the sessions of interrupted jobs instead, use 'codex-agent run continue --interrupted continue'.",
                "Each job is retried once: if jobs of the retry fail, retry the retry. So a repeated command sends no prompt twice. The settings of the run, such as the number of concurrent jobs, are kept unless options set others. The failed prompts of a queue are requeued by 'codex-agent queue retry'.",
                UNNAMED,
            ])
            .flags("Options", retry_flags())
            .flags(
                jobs::RUN_OPTIONS,
                // The jobs of a retry are new: it has its own flag of this name.
                [jobs::on()]
                    .into_iter()
                    .chain(jobs::concurrent_run_options())
                    .filter(|flag| flag.long() != "interrupted")
                    .chain([flags::codex()]),
            )
            .flags("Output options", jobs::output_options()),
        Command::verb("stop", "stop starting jobs of a run", verbs::stop)
            .operands("RUN", &[Completes::Runs])
            .details(&["Jobs that are already running are left to finish. A second stop command, or --now, interrupts these jobs."])
            .flags("Options", [now_flag()]),
        Command::verb("prune", "remove the directories of finished runs", verbs::prune)
            .details(&["Unfinished runs are kept. The sessions of all runs are kept too, since they belong to Codex."])
            .flags("Options", [older_flag(), flags::json("print the records of the removed runs")]),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-run")
        .description([
            "Starts a Codex session for each prompt, without a terminal and several at a time, and prints the events of the sessions as they happen. The operands WORD, joined by blanks, are one prompt. Several prompts are given by --prompt, once for each, or as lines of standard input; without operands, or if WORD is '-', standard input is read. The sessions that one command starts are a run; each prompt is a job of the run.",
            "    codex-agent run --answers 'What does this repository do?'",
            "    codex-agent run -j 4 --sandbox workspace-write - < chores.txt",
            "Each run has a directory, in which its jobs, its events and the output of Codex are recorded as they happen. The runner, which is the process of codex-agent-run, may therefore end at any time: after a crash, a lost connection or a kill, 'codex-agent run continue' continues the run; no prompt is sent twice, and none is lost.",
            "After the first Ctrl-C (or SIGTERM, or SIGHUP), the runner starts no more jobs and waits until the running jobs have ended. After the second Ctrl-C, the runner interrupts the running jobs. After the third, the runner exits immediately, and leaves the jobs running. If the output of the runner is closed, the run continues.",
            "With --on, the jobs are carried out on hosts: other machines, or other Codex homes. The run stays here, with its directory and all of its commands. A host that is down is no failure: its jobs are left. See codex-agent-distributed(7).",
            "    codex-agent run --on gpu:4,build:2 - < chores.txt",
            "In a pipe, each event is one line with these columns, separated by TABs and never truncated: time, event, job, session, message. Only the first word after 'codex-agent run' can be a verb: 'codex-agent run -- list' sends the prompt 'list' to Codex.",
            "Words that are probably not a prompt are refused with exit status 2, so that a slip starts no session. A single word is refused if it is a verb or a tool of codex-agent, a word of other programs such as ps, kill, git or yes, the name of a group, queue, run, alias, file or directory, a path that begins with '/', './' or '~/', an id, a number or a date, or if it differs from such a word or name by one letter or by two exchanged letters. Several words are refused if they are a verb followed by names or ids, if they are numbers or begin with '@' or the id of a session, if they are a tool, a verb of this tool or a program such as git followed by one or two words that are no part of a sentence ('find parser', 'git status'), and if one of several operands has a blank, which may be several prompts. The error names the command that was probably meant. --prompt sends any text, and so do operands after '--'.",
            "A line of standard input is refused if it is a single word that is refused as an operand, or a line that a tool has printed: a line with a TAB behind a word; the heading of a table; a line of three or more columns with two or more blanks between, of which the first is a single word; such a line of two columns, if the first is refused as an operand; and a line that begins with a short id. Prompt records, and lines with --text or --null, are not checked. All lines are read before a job is started: if one line is refused, nothing is started.",
            "A run of more than 20 sessions asks for confirmation if standard input and standard error are a terminal. --yes skips the question, and the setting runs.confirm_above changes the number. Without a confirmation, also at the end of standard input, nothing is started, and the exit status is 1. Where nothing can be asked, for example in a pipe or a script, the run starts without a question.",
        ])
        .commands(commands())
        .exit_status(&[
            (0, "Every job was completed."),
            (1, "A job failed, there is no such run, or the start of the run was not confirmed."),
            (2, "Bad usage, invalid input such as a job record without the fields that --once needs, or an error with a file."),
            (75, "The run was stopped before its end; 'codex-agent run continue' continues the run. With --once, the same command starts what is left."),
            (130, "The run was interrupted, and jobs were killed or left running."),
        ])
        .environment(&[
            (
                "CODEX_AGENT_STATE_HOME",
                "The directory of runs, instead of $XDG_STATE_HOME/codex-agent or ~/.local/state/codex-agent.",
            ),
            (
                "CODEX_AGENT_RUN, CODEX_AGENT_JOB, CODEX_AGENT_DEPTH",
                "Set for the Codex process of each job: the id of the run, the id of the job, and the depth, which is the number of runs that are nested in each other. A job at depth 3 cannot start a run.",
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
                "Start two sessions, each with its prompt:",
                "codex-agent run -p 'Mend the tests' -p 'Update the notes'",
            ),
            (
                "Start a session for each line of standard input, two at a time:",
                "printf 'Mend the tests\nUpdate the notes\n' | codex-agent run -j 2 -",
            ),
            (
                "Write the jobs as records, for --jobs on this or another machine:",
                "codex-agent run --dry-run --sandbox read-only 'Look for dead code' > jobs",
            ),
            (
                "Run the jobs in a file, and print the numbers of tokens that each session used:",
                "codex-agent run --jobs --json < jobs | jq -c 'select(.usage) | [.session, .usage]'",
            ),
            ("List the runs:", "codex-agent run list"),
            ("Continue the newest unfinished run, after a crash or a Ctrl-C:", "codex-agent run continue"),
            ("Do the failed jobs of the newest run with failures again:", "codex-agent run retry"),
            (
                "After a second Ctrl-C, continue the sessions of the interrupted jobs:",
                "codex-agent run continue --interrupted continue",
            ),
            ("Remove finished runs that are older than 90 days:", "codex-agent run prune --older 90d"),
        ])
        .see_also([
            "codex-agent(1)",
            "codex-agent-group(1)",
            "codex-agent-records(5)",
            "codex-agent-files(5)",
            "codex-agent(7)",
            "codex-agent-distributed(7)",
        ])
        .reads(&["prompt", "job"])
        .writes(["job", "run", "worker.hello", "job.stop"])
        .writes(manage::event_types())
}

fn main() -> ExitCode {
    cli::main(tool())
}
