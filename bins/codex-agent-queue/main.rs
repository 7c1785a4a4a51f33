//! codex-agent-queue: manage and run queues of prompts.
//!
//! A verb that changes queues reads all of its input first, and then changes the file of the queues under its
//! lock: it accepts all of the input or none, also while a queue is being run.

use std::path::PathBuf;
use std::process::ExitCode;

use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::manage;
use codex_agent_shared::cli;
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
    Flag::directory("project", "the directory of the sessions", |args| &mut args.own.project)
        .default("the current directory")
}

fn one_session() -> Flag {
    Flag::switch("one-session", "all prompts are turns of one session", |args| &mut args.own.one_session)
        .more("By default each prompt starts a session of its own. In a queue of one session, a prompt that fails stops the queue, since the next one builds on it.")
}

fn existing() -> Flag {
    Flag::switch("existing", "refuse to create the queue", |args| &mut args.own.existing)
}

fn manual() -> Flag {
    let help = "add manual prompts, which are not sent until 'queue mode' makes them auto";
    Flag::switch("manual", help, |args| &mut args.own.manual)
}

fn first() -> Flag {
    Flag::switch("first", "put the prompts before all pending ones, instead of at the end", |args| {
        &mut args.own.first
    })
}

fn failed() -> Flag {
    Flag::switch("failed", "requeue all failed prompts", |args| &mut args.own.failed)
}

fn now() -> Flag {
    Flag::switch("now", "interrupt the running prompt instead of waiting for it", |args| &mut args.own.now)
}

fn new() -> Flag {
    jobs::new()
        .help("start another run, and abandon the unfinished one")
        .more("The results of jobs of the abandoned run are read first, and a running job is never abandoned. Without --new the unfinished run is continued.")
}

fn queue_json() -> Flag {
    flags::json("queue records, one a line")
}

fn changed_json() -> Flag {
    flags::json("the queue's record on standard output")
}

fn prompt_json() -> Flag {
    flags::json("the records of the prompts on standard output")
}

const NAME: &[Completes] = &[Completes::Queues];
const NAME_THEN: &[Completes] = &[Completes::Queues, Completes::Nothing];

const WHICH: &str = "PROMPT is the number of a prompt, as printed by 'show', or at least four digits of the beginning or the end of its id. Numbers change when prompts are moved or removed; ids do not.";

fn commands() -> Vec<Command<Args>> {
    vec![
        Command::verb("create", "create an empty queue", verbs::create)
            .operands("NAME", &[Completes::Nothing])
            .details(&[NAME_RULES])
            .flags("Options", [project(), one_session(), changed_json()]),
        Command::verb("add", "add prompts to a queue", verbs::add)
            .operands("NAME [PROMPT...|-]", NAME_THEN)
            .details(&[
                "Creates the queue for this directory if there is none, and reports it. A PROMPT is an operand; without one, or for '-', prompts are the lines of standard input. If a line is invalid, nothing is added. Prompts can be added while the queue is being run.",
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
                "In a pipe: name, state (idle, running, paused, dead), how many prompts are pending, running, completed and failed, project, id, separated by TABs. A queue is dead if its runner was killed in the middle of a prompt: 'queue run' continues it.",
            ])
            .flags("Options", [queue_json(), flags::color()]),
        Command::verb("show", "show a queue and its prompts", verbs::show)
            .operands("NAME", NAME)
            .details(&[
                "In a pipe each prompt is one line: number, id, status, mode, session, prompt, and the failure, separated by TABs and never truncated. With --json the record of the queue comes first, then those of its prompts.",
            ])
            .flags("Options", [flags::json("the records of the queue and its prompts"), flags::color()]),
        Command::verb("edit", "change the text of a prompt", verbs::edit)
            .operands("NAME PROMPT [TEXT|-]", NAME_THEN)
            .details(&[
                WHICH,
                "Without a text, on a terminal, $VISUAL or $EDITOR opens the prompt. A prompt that was sent cannot be edited; 'queue retry' requeues it.",
            ])
            .flags("Options", [jobs::prompt(), jobs::prompt_file(), prompt_json()]),
        Command::verb("move", "move prompts within a queue", verbs::move_)
            .operands("NAME PROMPT... PLACE", NAME_THEN)
            .details(&[
                WHICH,
                "PLACE is a number, first or last. Several prompts are moved there in the order in which they are named.",
            ])
            .flags("Options", [prompt_json()]),
        Command::verb("remove", "remove prompts from a queue", verbs::remove)
            .operands("NAME PROMPT...", NAME_THEN)
            .details(&[
                WHICH,
                "A prompt that is being sent cannot be removed: 'queue stop --now' interrupts it. If one of the prompts cannot be removed, none is.",
            ])
            .flags("Options", [flags::json("the records of the removed prompts")]),
        Command::verb("retry", "requeue failed prompts", verbs::retry)
            .operands("NAME [PROMPT...]", NAME_THEN)
            .details(&[
                WHICH,
                "Any prompt that is not being sent may be named. The events of its next attempt have the field resent.",
            ])
            .flags("Options", [failed(), prompt_json()]),
        Command::verb("mode", "set whether prompts are sent automatically", verbs::mode)
            .operands("NAME PROMPT... auto|manual", NAME_THEN)
            .details(&[WHICH, "A manual prompt is skipped until its mode is auto."])
            .flags("Options", [prompt_json()]),
        Command::verb("rename", "rename a queue", verbs::rename)
            .operands("NAME NEW", NAME_THEN)
            .flags("Options", [changed_json()]),
        Command::verb("project", "set the directory of the sessions of a queue", verbs::set_project)
            .operands("NAME DIR", NAME_THEN)
            .details(&["Use this when the directory was moved. Sessions that were started elsewhere stay there."])
            .flags("Options", [changed_json()]),
        Command::verb("delete", "delete queues; their sessions stay", verbs::delete)
            .operands("NAME...", NAME)
            .details(&[
                "If one of the queues does not exist, is being run, or has a job that is running without its runner, none is deleted.",
            ])
            .flags("Options", [flags::json("the records of the deleted queues")]),
        Command::verb(
            "pause",
            "pause a queue",
            |args| verbs::set_paused(&args, true),
        )
        .operands("NAME...", NAME)
        .details(&["The running prompt finishes. The pause lasts until 'queue unpause', for every runner of the queue."])
        .flags("Options", [changed_json()]),
        Command::verb("unpause", "resume a paused queue", |args| verbs::set_paused(&args, false))
            .aliases(&["resume"])
            .operands("NAME...", NAME)
            .details(&["Only the pause is ended; 'queue run' runs the queue."])
            .flags("Options", [changed_json()]),
        Command::verb("stop", "stop the runner of a queue after the running prompt", verbs::stop)
            .operands("NAME", NAME)
            .details(&["The next 'queue run' continues."])
            .flags("Options", [now()]),
        Command::verb("run", "send the pending prompts, one after the other", verbs::run)
            .operands("NAME", NAME)
            .details(&[
                "Each prompt is sent when the previous one has ended, in the order that the queue has then: changes from other terminals take effect. After a prompt that fails the next one is sent, except in a queue of one session. Manual prompts are skipped.",
                "A queue has one runner at a time. Jobs that an earlier runner left, because it was killed or stopped, come first: a running job is followed; the result of a job that ended meanwhile is read from the output of Codex; a job that never reached the model is sent; an interrupted job fails, and is not retried. See codex-agent-run(1).",
                "The options of an unfinished run (the model, the sandbox, timeouts) are kept when it is continued, unless they are given anew. --new starts another run without them.",
            ])
            .flags(
                jobs::RUN_OPTIONS,
                jobs::codex_options().into_iter().chain(jobs::run_options()).chain([flags::codex()]),
            )
            .flags("Other", [new(), jobs::dry_run(), jobs::image(), flags::codex_home()])
            .flags("Output options", jobs::output_options()),
        Command::verb("watch", "follow the runner of a queue", verbs::watch)
            .operands("NAME", NAME)
            .details(&["The same as 'codex-agent run watch' for the last run of the queue."])
            .flags("Output options", jobs::output_options()),
        Command::verb("log", "print the log of the last run of a queue", verbs::log)
            .operands("NAME", NAME)
            .details(&["A run lasts until the queue has no prompt to send, and may have several runners, one after the other."])
            .flags("Options", [flags::json("events as records, one a line"), jobs::answers()]),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-queue")
        .description([
            "A queue is a named list of prompts for one directory. Prompts are added from a pipe or by hand, and sent one after the other.",
            "    codex-agent queue add book < chapters.txt && codex-agent queue run book --on-limit wait",
            "Each prompt starts a session of its own, or, with --one-session, is the next turn of one session. While a queue is being run, prompts can be added, reordered and edited from other terminals.",
            "A runner may be killed at any moment: no prompt is sent twice, and none is lost. Queues are kept in one file, which any number of processes may change concurrently; each change is atomic.",
        ])
        .commands(commands())
        .exit_status(&[
            (0, "Done."),
            (1, "There is no such queue or prompt, and nothing was changed; or a prompt failed."),
            (2, "Bad usage, invalid input, or an error with a file. Nothing was changed."),
            (75, "The run was stopped with prompts left, or the queue is paused; 'queue run' continues."),
            (130, "The run was interrupted, and a job was killed or left running."),
        ])
        .environment(&[
            (
                "CODEX_AGENT_CONFIG_HOME",
                "The directory of queues.json, instead of $XDG_CONFIG_HOME/codex-agent or ~/.config/codex-agent.",
            ),
            ("VISUAL, EDITOR", "The editor of 'queue edit'; vi if neither is set."),
        ])
        .files(&[
            ("~/.config/codex-agent/queues.json", "The queues; see codex-agent-files(5)."),
            ("~/.local/state/codex-agent/runs/", "The runs of queues."),
        ])
        .examples(&[
            (
                "Add three prompts for this directory, and one that is sent only on request:",
                "codex-agent queue add chores 'Mend the tests' 'Update the notes' 'Look for dead code' && codex-agent queue add chores --manual 'Make a release'",
            ),
            ("Show the queue:", "codex-agent queue show chores"),
            ("Move the third prompt to the front:", "codex-agent queue move chores 3 first"),
            ("Print what would be sent, as records:", "codex-agent queue run chores --dry-run | jq -r .prompt"),
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
