//! codex-agent-queue: manage and run queues of prompts.
//!
//! A verb that changes something reads all of its input first, and then changes the one file under its
//! lock, so that it takes all of the input or none; also while the queue is run.

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

/// The own arguments of this tool.
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

/// The queue that the verb is about.
fn queue_name(args: &Args) -> Result<&str> {
    args.operands.first().map(String::as_str).ok_or_else(|| {
        Error::usage("the name of a queue is missing").hint("codex-agent queue list lists them")
    })
}

fn project() -> Flag {
    Flag::directory("project", "the directory of the sessions", |args| &mut args.own.project)
        .default("the current directory")
}

fn one_session() -> Flag {
    Flag::switch("one-session", "all prompts are turns of one session", |args| &mut args.own.one_session)
        .more("Otherwise each prompt begins a session of its own. With it a prompt that fails stops the queue, as the next one would build on it.")
}

fn existing() -> Flag {
    Flag::switch("existing", "refuse to create the queue", |args| &mut args.own.existing)
}

fn manual() -> Flag {
    let help = "add them as manual: not sent before 'queue mode' makes them auto";
    Flag::switch("manual", help, |args| &mut args.own.manual)
}

fn first() -> Flag {
    Flag::switch("first", "put them before all that is pending, instead of at the end", |args| {
        &mut args.own.first
    })
}

fn failed() -> Flag {
    Flag::switch("failed", "all prompts that failed", |args| &mut args.own.failed)
}

fn now() -> Flag {
    Flag::switch("now", "interrupt the running prompt, instead of letting it finish", |args| {
        &mut args.own.now
    })
}

fn new() -> Flag {
    jobs::new()
        .help("begin another run, and abandon the one that has work left")
        .more("Jobs that the abandoned run had begun are judged first, and a running job is never abandoned. Without --new the run is continued.")
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

const WHICH: &str = "PROMPT is its number, as 'show' has it, or four or more digits of the beginning or the end of its id. Numbers change when prompts are moved or removed; ids do not.";

fn commands() -> Vec<Command<Args>> {
    vec![
        Command::verb("create", "create an empty queue", verbs::create)
            .operands("NAME", &[Completes::Nothing])
            .details(&[NAME_RULES])
            .flags("Options", [project(), one_session(), changed_json()]),
        Command::verb("add", "add prompts to a queue", verbs::add)
            .operands("NAME [PROMPT...|-]", NAME_THEN)
            .details(&[
                "Makes the queue where there is none, for this directory, and says so. A PROMPT is an operand, or a line of standard input: without one, or for '-'. All of the input is taken, or, where one line of it is wrong, none, and the file is written once. A queue that is being run may be added to.",
            ])
            .flags(
                "What is added",
                [jobs::prompt(), jobs::prompt_file(), jobs::image(), jobs::text(), jobs::null()],
            )
            .flags("How", [first(), manual(), existing(), project(), one_session(), prompt_json()]),
        Command::verb("list", "list the queues", verbs::list)
            .aliases(&["ls"])
            .hint("codex-agent queue show NAME shows one")
            .details(&[
                "In a pipe: name, state (idle, running, paused, dead), how many prompts are pending, running, completed and failed, project, id, with TABs between. A dead queue is one whose runner was killed in the middle of a prompt: 'queue run' takes it up.",
            ])
            .flags("Options", [queue_json(), flags::color()]),
        Command::verb("show", "show a queue and its prompts", verbs::show)
            .operands("NAME", NAME)
            .details(&[
                "In a pipe a prompt is one line: number, id, status, mode, session, prompt, and why it failed, with TABs between and nothing cut. With --json the record of the queue comes first, then those of its prompts.",
            ])
            .flags("Options", [flags::json("the records of the queue and its prompts"), flags::color()]),
        Command::verb("edit", "change the text of a prompt", verbs::edit)
            .operands("NAME PROMPT [TEXT|-]", NAME_THEN)
            .details(&[
                WHICH,
                "Without a text, on a terminal, $VISUAL or $EDITOR opens with it. A prompt that was sent is not edited; 'queue retry' makes it pending again.",
            ])
            .flags("Options", [jobs::prompt(), jobs::prompt_file(), prompt_json()]),
        Command::verb("move", "move prompts within a queue", verbs::move_)
            .operands("NAME PROMPT... PLACE", NAME_THEN)
            .details(&[
                WHICH,
                "PLACE is a number, first or last. Several prompts come to stand there in the order in which they are named.",
            ])
            .flags("Options", [prompt_json()]),
        Command::verb("remove", "remove prompts from a queue", verbs::remove)
            .operands("NAME PROMPT...", NAME_THEN)
            .details(&[
                WHICH,
                "One that is being sent stays: 'queue stop --now' interrupts it. All that are named, or none.",
            ])
            .flags("Options", [flags::json("the records of the removed prompts")]),
        Command::verb("retry", "requeue failed prompts", verbs::retry)
            .operands("NAME [PROMPT...]", NAME_THEN)
            .details(&[
                WHICH,
                "Any prompt that is not being sent may be named. When it is sent again, its events say resent.",
            ])
            .flags("Options", [failed(), prompt_json()]),
        Command::verb("mode", "set whether prompts are sent automatically", verbs::mode)
            .operands("NAME PROMPT... auto|manual", NAME_THEN)
            .details(&[WHICH, "A manual prompt is passed over until it is made auto."])
            .flags("Options", [prompt_json()]),
        Command::verb("rename", "rename a queue", verbs::rename)
            .operands("NAME NEW", NAME_THEN)
            .flags("Options", [changed_json()]),
        Command::verb("project", "set the directory of the sessions of a queue", verbs::project_of)
            .operands("NAME DIR", &[Completes::Queues, Completes::Nothing])
            .details(&["For a directory that was moved. Sessions that were begun elsewhere stay there."])
            .flags("Options", [changed_json()]),
        Command::verb("delete", "delete queues; their sessions stay", verbs::delete)
            .operands("NAME...", NAME)
            .details(&[
                "All of them, or, where one is not there, is being run, or has a job that lives without its runner, none.",
            ])
            .flags("Options", [flags::json("the records of the deleted queues")]),
        Command::verb(
            "pause",
            "pause a queue",
            |args| verbs::set_paused(&args, true),
        )
        .operands("NAME...", NAME)
        .details(&["The running prompt is finished. The pause lasts until 'queue unpause', for every runner of the queue."])
        .flags("Options", [changed_json()]),
        Command::verb("unpause", "resume a paused queue", |args| verbs::set_paused(&args, false))
            .aliases(&["resume"])
            .operands("NAME...", NAME)
            .details(&["It does not begin to run."])
            .flags("Options", [changed_json()]),
        Command::verb("stop", "stop the runner of a queue after the running prompt", verbs::stop)
            .operands("NAME", NAME)
            .details(&["The next 'queue run' goes on."])
            .flags("Options", [now()]),
        Command::verb("run", "send the pending prompts, one after the other", verbs::run)
            .operands("NAME", NAME)
            .details(&[
                "Each prompt is sent when the one before it has ended, in the order of the queue as it is then: what is added, moved, edited, paused in another terminal is obeyed. A prompt that fails is left behind, and the next one is sent, except in a queue of one session. Manual prompts are passed over.",
                "One runner at a time has a queue. What an earlier one left behind, because it was killed or stopped, is taken up first: a job that lives is followed, one that ended meanwhile is judged by what Codex printed, one that never reached the model is sent, and one that was cut off in the middle has failed, and is not sent again by itself. codex-agent-run(1) has the rest of it.",
                "What the unfinished run was told (the model, the sandbox, how long to wait) holds for whoever goes on with it and says nothing else. --new begins another run, without any of that.",
            ])
            .flags(
                jobs::RUN_OPTIONS,
                jobs::codex_options().into_iter().chain(jobs::how()).chain([flags::codex()]),
            )
            .flags("Whether", [new(), jobs::dry_run(), jobs::image(), flags::codex_home()])
            .flags("What is shown", jobs::shown()),
        Command::verb("watch", "follow the runner of a queue", verbs::watch)
            .operands("NAME", NAME)
            .details(&["As 'codex-agent run watch' does for the last run of the queue."])
            .flags("What is shown", jobs::shown()),
        Command::verb("log", "print the log of the last run of a queue", verbs::log)
            .operands("NAME", NAME)
            .details(&["A run lasts until the queue has nothing more to send, over as many runners as it takes."])
            .flags("Options", [flags::json("events as records, one a line"), jobs::answers()]),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-queue")
        .description([
            "A queue is a list of prompts with a name, for one directory. It is filled from a pipe or by hand, and worked through one prompt after the other, for as long as that takes.",
            "    codex-agent queue add book < chapters.txt && codex-agent queue run book --on-limit wait",
            "Each prompt begins a session of its own, or, with --one-session, is the next turn of one. While a queue is run, it can be added to, reordered and edited from other terminals.",
            "A runner may be killed at any moment: no prompt is sent twice for it, and none is forgotten. Queues are kept in one file, which any number of processes may change at once; each change is whole or has not happened.",
        ])
        .commands(commands())
        .exit_status(&[
            (0, "Done."),
            (1, "There is no such queue or prompt, and nothing was changed; or some prompt failed."),
            (2, "Bad usage, bad input, or trouble with a file. Nothing was changed."),
            (75, "The run was stopped with prompts left, or the queue is paused; 'queue run' goes on."),
            (130, "The run was interrupted, and a job was killed or left alone for it."),
        ])
        .environment(&[
            (
                "CODEX_AGENT_CONFIG_HOME",
                "Where queues.json is, instead of $XDG_CONFIG_HOME/codex-agent or ~/.config/codex-agent.",
            ),
            ("VISUAL, EDITOR", "What 'queue edit' opens; vi where there is neither."),
        ])
        .files(&[
            ("~/.config/codex-agent/queues.json", "The queues; see codex-agent-files(5)."),
            ("~/.local/state/codex-agent/runs/", "What happened to prompts that were sent."),
        ])
        .examples(&[
            (
                "Three prompts for this directory, and one that waits for a word:",
                "codex-agent queue add chores 'Mend the tests' 'Update the notes' 'Look for dead code' && codex-agent queue add chores --manual 'Make a release'",
            ),
            ("Look at it:", "codex-agent queue show chores"),
            ("The third one first:", "codex-agent queue move chores 3 first"),
            ("What would be sent, as records:", "codex-agent queue run chores --dry-run | jq -r .prompt"),
            (
                "Send them, and wait at a usage limit for its end:",
                "codex-agent queue run chores --on-limit wait",
            ),
            ("What they were answered:", "codex-agent queue log chores --answers"),
            (
                "The sessions that came of it, as a group:",
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
