//! codex-agent-queue: manage and run queues of prompts.
//!
//! A verb that changes queues reads all of its input first, and then changes the file of the queues under its
//! lock: it accepts all of the input or none, also while a queue is being run.

use std::path::PathBuf;
use std::process::ExitCode;

use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::manage;
use codex_agent_shared::cli;
use codex_agent_shared::cli::flags::ListingHelp;
use codex_agent_shared::cli::{Command, Completes, Tool, flags};
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::store::NAME_RULES;

mod show;
mod verbs;

/// The arguments of this tool alone.
#[derive(Default)]
struct Own {
    project: Option<PathBuf>,
    one_session: bool,
    existing: bool,
    manual: bool,
    first: bool,
    failed: bool,
    now: bool,
}

type Args = jobs::Args<Own>;
type Flag = cli::Flag<Args>;

/// The name of the queue, which is the first operand.
fn queue_name(args: &Args) -> Result<&str> {
    args.operands.first().map(String::as_str).ok_or_else(|| {
        Error::usage("the name of a queue is missing").hint("'codex-agent queue list' lists the queues")
    })
}

fn project() -> Flag {
    Flag::directory("project", "the working directory of the sessions", |args| &mut args.own.project)
        .default("the current directory")
}

fn one_session() -> Flag {
    Flag::switch("one-session", "make all prompts of the queue turns of one session", |args| &mut args.own.one_session)
        .more("By default, each prompt starts a session of its own. In a queue of one session, a prompt that fails stops the queue, since the next prompt builds on the work of this prompt.")
}

fn existing() -> Flag {
    Flag::switch("existing", "fail if the queue does not exist", |args| &mut args.own.existing)
}

fn manual() -> Flag {
    let help = "add the prompts with the mode manual: they are not sent until 'codex-agent queue mode' sets their mode to auto";
    Flag::switch("manual", help, |args| &mut args.own.manual)
}

fn first() -> Flag {
    Flag::switch("first", "put the prompts before all pending prompts, not at the end", |args| {
        &mut args.own.first
    })
}

fn failed() -> Flag {
    Flag::switch("failed", "requeue all failed prompts", |args| &mut args.own.failed)
}

fn now() -> Flag {
    Flag::switch("now", "interrupt the turn in progress, instead of waiting", |args| &mut args.own.now)
}

fn new() -> Flag {
    jobs::new()
        .help("start another run, and abandon the unfinished run")
        .more("The results of the jobs of the abandoned run are read first, and a running job is never abandoned. Without --new, the unfinished run is continued.")
}

fn queues_listing() -> impl Iterator<Item = Flag> {
    let help = ListingHelp {
        json: "print queue records, one per line",
        format: "a template such as '{name}\\t{counts.pending}'",
        limit: "list at most N queues",
        fields: || flags::fields_of(&["queue"], &[]),
    };
    flags::listing_output(&help).into_iter()
}

fn prompts_listing() -> impl Iterator<Item = Flag> {
    let help = ListingHelp {
        json: "print the records of the queue and its prompts",
        format: "a template such as '{number}\\t{prompt}'",
        limit: "print at most N prompts",
        fields: || flags::fields_of(&["prompt"], MORE),
    };
    flags::listing_output(&help).into_iter()
}

/// The values of a prompt that rows and templates have, and its record has not.
const MORE: &[&str] = &["number"];

fn changed_json() -> Flag {
    flags::json("print the record of the queue")
}

fn prompt_json() -> Flag {
    flags::json("print the records of the prompts")
}

const NAME: &[Completes] = &[Completes::Queues];
const NAME_THEN: &[Completes] = &[Completes::Queues, Completes::Nothing];

const WHICH: &str = "PROMPT is the number of a prompt, as printed by 'codex-agent queue show', or at least four digits from the beginning or the end of the id of a prompt. The numbers of prompts change when prompts are moved or removed; the ids do not change.";

fn commands() -> Vec<Command<Args>> {
    vec![
        Command::verb("create", "create an empty queue", verbs::create)
            .operands("NAME", &[Completes::Nothing])
            .details(&[NAME_RULES])
            .flags("Options", [project(), one_session(), changed_json()]),
        Command::verb("add", "add prompts to a queue", verbs::add)
            .operands("NAME [WORD...|-]", NAME_THEN)
            .details(&[
                "If the queue NAME does not exist, it is created for the current directory, and a message reports this. The operands WORD, joined by blanks, are the text of one prompt; several prompts are given by --prompt, once for each. Without WORD and --prompt, or if WORD is '-', each line of standard input is a prompt. Words and lines that are probably not a prompt are refused, as by codex-agent-run(1). If a line is invalid, no prompt is added. Prompts can be added while the queue is being run.",
            ])
            .flags(
                "Prompt options",
                [jobs::prompt(), jobs::prompt_file(), jobs::image(), jobs::text(), jobs::null()],
            )
            .flags("Queue options", [first(), manual(), existing(), project(), one_session(), prompt_json()]),
        Command::verb("list", "list the queues", verbs::list)
            .aliases(&["ls"])
            .hint("'codex-agent queue show NAME' prints the prompts of a queue")
            .details(&[
                "In a pipe, each queue is one line with these columns, separated by TABs: name; state (idle, running, paused or dead); numbers of pending, running, completed and failed prompts; directory of its sessions; id. A queue is dead if its runner was killed while a prompt was being sent or answered: 'codex-agent queue run' continues the run of the queue.",
            ])
            .flags("Options", queues_listing()),
        Command::verb("show", "show a queue and its prompts", verbs::show)
            .operands("NAME", NAME)
            .details(&[
                "In a pipe, each prompt is one line with these columns, separated by TABs and never truncated: number, id, status, mode, session, text, failure. With --json, the record of the queue comes first, then the records of its prompts. --fields and --format print fields of the prompts; the field number is the number of a prompt in the queue.",
            ])
            .flags("Options", prompts_listing()),
        Command::verb("edit", "change the text of a prompt", verbs::edit)
            .operands("NAME PROMPT [TEXT|-]", NAME_THEN)
            .details(&[
                WHICH,
                "TEXT is the new text of the prompt; '-' means standard input. Without TEXT, on a terminal, the prompt is opened in the editor that VISUAL or EDITOR names. A prompt that was sent cannot be edited; 'codex-agent queue retry' requeues such a prompt.",
            ])
            .flags("Options", [jobs::prompt(), jobs::prompt_file(), prompt_json()]),
        Command::verb("move", "move prompts within a queue", verbs::move_)
            .operands("NAME PROMPT... PLACE", NAME_THEN)
            .details(&[
                WHICH,
                "PLACE is a number, or the word first or last. Several prompts are moved to this place in the order in which they are named.",
            ])
            .flags("Options", [prompt_json()]),
        Command::verb("remove", "remove prompts from a queue", verbs::remove)
            .operands("NAME PROMPT...", NAME_THEN)
            .details(&[
                WHICH,
                "A prompt that is being sent or answered cannot be removed: 'codex-agent queue stop --now' interrupts its turn. If one of the prompts cannot be removed, none of them is removed.",
            ])
            .flags("Options", [flags::json("print the records of the removed prompts")]),
        Command::verb("retry", "requeue failed prompts", verbs::retry)
            .operands("NAME [PROMPT...]", NAME_THEN)
            .details(&[
                WHICH,
                "PROMPT may be any prompt that is not being sent or answered, also a completed prompt; a pending prompt stays as it is. When the prompt is sent again, the field resent of the event job.started is true.",
            ])
            .flags("Options", [failed(), prompt_json()]),
        Command::verb("mode", "set whether prompts are sent automatically", verbs::mode)
            .operands("NAME PROMPT... auto|manual", NAME_THEN)
            .details(&[WHICH, "A runner skips a prompt with the mode manual until its mode is set to auto."])
            .flags("Options", [prompt_json()]),
        Command::verb("rename", "rename a queue", verbs::rename)
            .operands("NAME NEW", NAME_THEN)
            .flags("Options", [changed_json()]),
        Command::verb("project", "set the directory of the sessions of a queue", verbs::set_project)
            .operands("NAME DIR", NAME_THEN)
            .details(&["Use this verb when the directory of the project was moved. Sessions that exist already keep their directory."])
            .flags("Options", [changed_json()]),
        Command::verb("delete", "delete queues, and keep their sessions", verbs::delete)
            .operands("NAME...", NAME)
            .details(&[
                "If one of the queues does not exist, is being run, or has a job that is running without its runner, none of the queues is deleted.",
            ])
            .flags(
                "Options",
                [
                    Flag::switch("yes", "do not ask for confirmation", |args| &mut args.jobs.yes).short('y').more(
                        "If a queue has pending prompts, the verb asks for confirmation if standard input and standard error are a terminal.",
                    ),
                    flags::json("print the records of the deleted queues"),
                ],
            ),
        Command::verb(
            "pause",
            "pause a queue",
            |args| verbs::set_paused(&args, true),
        )
        .operands("NAME...", NAME)
        .details(&["The turn in progress is left to finish; after it, the runner of the queue stops. No runner sends prompts of the queue until 'codex-agent queue unpause'."])
        .flags("Options", [changed_json()]),
        Command::verb("unpause", "resume a paused queue", |args| verbs::set_paused(&args, false))
            .aliases(&["resume"])
            .operands("NAME...", NAME)
            .details(&["This verb starts no runner: 'codex-agent queue run' sends the prompts of the queue."])
            .flags("Options", [changed_json()]),
        Command::verb("stop", "stop the runner of a queue after the turn in progress", verbs::stop)
            .operands("NAME", NAME)
            .details(&["The next 'codex-agent queue run' sends the prompts that are left."])
            .flags("Options", [now()]),
        Command::verb("run", "send the pending prompts, one after the other", verbs::run)
            .operands("NAME", NAME)
            .details(&[
                "When the turn of a prompt has ended, the first pending prompt in the current order of the queue is sent, so that changes from other terminals take effect. After a prompt has failed, the next prompt is sent, except in a queue of one session. Prompts with the mode manual are skipped.",
                "A queue has one runner at a time. If an earlier runner was killed or stopped, the jobs that it left come first: a job that is still running is followed; the result of a job that has ended is read from the output of Codex; a job whose prompt never reached the model is sent; an interrupted job fails, and is not retried. See codex-agent-run(1).",
                "A run that is continued keeps its options (the model, the sandbox, timeouts), except those that are given again. --new starts another run, which does not have these options.",
            ])
            .flags(
                jobs::RUN_OPTIONS,
                [jobs::worktree()].into_iter().chain(jobs::codex_options()).chain([jobs::on()]).chain(jobs::run_options()).chain([flags::codex()]),
            )
            .flags("Other", [new(), jobs::dry_run(), jobs::yes(), jobs::image(), flags::codex_home()])
            .flags("Output options", jobs::output_options()),
        Command::verb("watch", "follow the runner of a queue", verbs::watch)
            .operands("NAME", NAME)
            .details(&["This verb does the same as 'codex-agent run watch' for the last run of the queue."])
            .flags("Output options", jobs::output_options()),
        Command::verb("log", "print the log of the last run of a queue", verbs::log)
            .operands("NAME", NAME)
            .details(&["A run lasts until the queue has no prompt to send, and may have several runners, one after the other."])
            .flags(
                "Options",
                [flags::json("print events as JSON records, one per line"), jobs::answers(), flags::no_pager()],
            ),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-queue")
        .description([
            "A queue is a named list of prompts for one directory. Prompts are added from a pipe or as operands, and are sent to Codex one after the other.",
            "    codex-agent queue add book < chapters.txt && codex-agent queue run book --on-limit wait",
            "Each prompt starts a session of its own; in a queue that was created with --one-session, each prompt is the next turn of the same session. While a queue is being run, prompts can be added, reordered and edited from other terminals.",
            "The runner of a queue, which is the process of 'codex-agent queue run', may be killed at any moment: no prompt is sent twice, and none is lost. All queues are stored in one file, which any number of processes may change concurrently; each change is atomic.",
        ])
        .commands(commands())
        .exit_status(&[
            (0, "Done."),
            (1, "One of these: the queue or the prompt does not exist, and nothing was changed; for run and watch, a prompt failed; for run and delete, the user did not confirm."),
            (2, "Bad usage, invalid input, or an error with a file. Nothing was changed."),
            (75, "The run was stopped before all prompts were sent, or the queue is paused; 'codex-agent queue run' continues the run."),
            (130, "The run was interrupted, and a job was killed or left running."),
        ])
        .environment(&[
            (
                "CODEX_AGENT_CONFIG_HOME",
                "The directory of queues.json, instead of $XDG_CONFIG_HOME/codex-agent or ~/.config/codex-agent.",
            ),
            ("VISUAL, EDITOR", "The editor that 'codex-agent queue edit' opens; vi if neither variable is set."),
        ])
        .files(&[
            ("~/.config/codex-agent/queues.json", "The queues; see codex-agent-files(5)."),
            ("~/.local/state/codex-agent/runs/", "The runs of queues."),
        ])
        .examples(&[
            (
                "Add three prompts for the current directory, and a prompt that is sent only on request:",
                "codex-agent queue add chores -p 'Mend the tests' -p 'Update the notes' -p 'Look for dead code' && codex-agent queue add chores --manual 'Make a release'",
            ),
            ("Show the queue:", "codex-agent queue show chores"),
            ("Move the third prompt to the front:", "codex-agent queue move chores 3 first"),
            ("Print the prompts that would be sent, without sending them:", "codex-agent queue run chores --dry-run | jq -r .prompt"),
            (
                "Send the prompts, and wait at a usage limit until it resets:",
                "codex-agent queue run chores --on-limit wait",
            ),
            ("Print the answers:", "codex-agent queue log chores --answers"),
            (
                "Put the sessions of the queue into a group:",
                "codex-agent queue show chores --json | jq -r 'select(.session) | .session' | codex-agent group add chores",
            ),
        ])
        .see_also([
            "codex-agent(1)",
            "codex-agent-run(1)",
            "codex-agent-status(1)",
            "codex-agent-records(5)",
            "codex-agent-files(5)",
            "codex-agent(7)",
        ])
        .reads(&["prompt"])
        .writes(["queue", "prompt", "job"])
        .writes(manage::event_types())
}

fn main() -> ExitCode {
    cli::main(tool())
}
