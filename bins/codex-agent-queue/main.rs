//! codex-agent-queue: keep prompts in order, and work through them.
//!
//! A verb that changes something reads all of its input first, and then changes the one file under its
//! lock, so that it takes all of the input or none; also while the queue is run.

use std::path::PathBuf;
use std::process::ExitCode;

use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::flags::Jobs;
use codex_agent_engine::commands::prompts;
use codex_agent_engine::queue::Mode;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Example, Flag, Takes, Tool, flags};
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::plugin::about;
use codex_agent_shared::store::NAME_RULES;

mod show;
mod verbs;

#[derive(Default)]
struct Args {
    common: flags::Common,
    operands: Vec<String>,
    project: Option<PathBuf>,
    one_session: bool,
    existing: bool,
    mode: Mode,
    first: bool,
    failed: bool,
    now: bool,
    engine: Jobs,
}

impl AsMut<Jobs> for Args {
    fn as_mut(&mut self) -> &mut Jobs {
        &mut self.engine
    }
}

impl AsMut<flags::Common> for Args {
    fn as_mut(&mut self) -> &mut flags::Common {
        &mut self.common
    }
}

impl Args {
    /// The queue that the verb is about.
    fn name(&self) -> Result<&str> {
        self.operands.first().map(String::as_str).ok_or_else(|| {
            Error::usage("the name of a queue is missing").hint("codex-agent queue list lists them")
        })
    }
}

fn operand(args: &mut Args, operand: std::ffi::OsString) -> Result<()> {
    flags::text_operand(&mut args.operands, operand)
}

const PROJECT: Flag<Args> = Flag {
    short: None,
    long: "project",
    takes: Takes::Directory("DIR"),
    help: "where the sessions work; this directory if not said",
    more: "",
    set: |args, value| {
        args.project = Some(value.path());
        Ok(())
    },
};

const ONE_SESSION: Flag<Args> = Flag {
    short: None,
    long: "one-session",
    takes: Takes::Nothing,
    help: "all prompts are turns of one session",
    more: "Otherwise each prompt begins a session of its own. With it a prompt that fails stops the queue, as the next one would build on it.",
    set: |args, _| {
        args.one_session = true;
        Ok(())
    },
};

const EXISTING: Flag<Args> = Flag {
    short: None,
    long: "existing",
    takes: Takes::Nothing,
    help: "refuse to make the queue",
    more: "",
    set: |args, _| {
        args.existing = true;
        Ok(())
    },
};

const MANUAL: Flag<Args> = Flag {
    short: None,
    long: "manual",
    takes: Takes::Nothing,
    help: "add them as manual: not sent before 'queue mode' makes them auto",
    more: "",
    set: |args, _| {
        args.mode = Mode::Manual;
        Ok(())
    },
};

const FIRST: Flag<Args> = Flag {
    short: None,
    long: "first",
    takes: Takes::Nothing,
    help: "put them before all that is pending, instead of at the end",
    more: "",
    set: |args, _| {
        args.first = true;
        Ok(())
    },
};

const FAILED: Flag<Args> = Flag {
    short: None,
    long: "failed",
    takes: Takes::Nothing,
    help: "all prompts that failed",
    more: "",
    set: |args, _| {
        args.failed = true;
        Ok(())
    },
};

const NOW: Flag<Args> = Flag {
    short: None,
    long: "now",
    takes: Takes::Nothing,
    help: "interrupt what runs, instead of letting it finish",
    more: "",
    set: |args, _| {
        args.now = true;
        Ok(())
    },
};

const NEW: Flag<Args> = Flag {
    help: "begin another run, and leave the one that has work left",
    more: "What that one had begun is judged first, and a job of it that lives is not left. Without --new it is gone on with.",
    ..jobs::new()
};

const HOW: &[Flag<Args>] = &[
    jobs::max_failures(),
    jobs::retries(),
    jobs::on_limit(),
    jobs::on_busy(),
    jobs::timeout(),
    jobs::idle_timeout(),
    jobs::network_timeout(),
    jobs::interrupted(),
    flags::codex(),
];

const TOLD: &[Flag<Args>] = &jobs::told();

const QUEUE_JSON: Flag<Args> = flags::json("queue records, one a line");
const CHANGED_JSON: Flag<Args> = flags::json("the queue's record on standard output");
const PROMPT_JSON: Flag<Args> = flags::json("the records of the prompts on standard output");

const fn command(
    name: &'static str,
    about: &'static str,
    operands: &'static str,
    completes: &'static [Completes],
    details: &'static [&'static str],
    sections: &'static [(&'static str, &'static [Flag<Args>])],
    run: fn(Args) -> Result<Exit>,
) -> Command<Args> {
    Command { name, aliases: &[], about, operands, completes, details, sections, greedy: false, operand, run }
}

const NAME: &[Completes] = &[Completes::Queues];
const NAME_THEN: &[Completes] = &[Completes::Queues, Completes::Nothing];

const WHICH: &str = "PROMPT is its number, as 'show' has it, or four or more digits of the beginning or the end of its id. Numbers change when prompts are moved or removed; ids do not.";

static CREATE: Command<Args> = command(
    "create",
    "make an empty queue",
    "NAME",
    &[Completes::Nothing],
    &[NAME_RULES],
    &[("Options", &[PROJECT, ONE_SESSION, CHANGED_JSON])],
    verbs::create,
);
static ADD: Command<Args> = command(
    "add",
    "add prompts to a queue",
    "NAME [PROMPT...|-]",
    NAME_THEN,
    &[
        "Makes the queue where there is none, for this directory, and says so. A PROMPT is an operand, or a line of standard input: without one, or for '-'. All of the input is taken, or, where one line of it is wrong, none, and the file is written once. A queue that is being run may be added to.",
    ],
    &[
        (
            "What is added",
            &[jobs::prompt(), jobs::prompt_file(), jobs::image(), prompts::text(), prompts::null()],
        ),
        ("How", &[FIRST, MANUAL, EXISTING, PROJECT, ONE_SESSION, PROMPT_JSON]),
    ],
    verbs::add,
);
static LIST: Command<Args> = Command {
    aliases: &["ls"],
    ..command(
        "list",
        "list the queues",
        "",
        &[Completes::Nothing],
        &[
            "In a pipe: name, state (idle, running, paused, dead), how many prompts are pending, running, completed and failed, project, id, with TABs between. A dead queue is one whose runner was killed in the middle of a prompt: 'queue run' takes it up.",
        ],
        &[("Options", &[QUEUE_JSON, flags::color()])],
        verbs::list,
    )
};
static SHOW: Command<Args> = command(
    "show",
    "show a queue and its prompts",
    "NAME",
    NAME,
    &[
        "In a pipe a prompt is one line: number, id, status, mode, session, prompt, and why it failed, with TABs between and nothing cut. With --json the record of the queue comes first, then those of its prompts.",
    ],
    &[("Options", &[flags::json("the records of the queue and its prompts"), flags::color()])],
    verbs::show,
);
static EDIT: Command<Args> = command(
    "edit",
    "change the text of a prompt",
    "NAME PROMPT [TEXT|-]",
    NAME_THEN,
    &[
        WHICH,
        "Without a text, on a terminal, $VISUAL or $EDITOR opens with it. A prompt that was sent is not edited; 'queue retry' makes it pending again.",
    ],
    &[("Options", &[jobs::prompt(), jobs::prompt_file(), PROMPT_JSON])],
    verbs::edit,
);
static MOVE: Command<Args> = command(
    "move",
    "put prompts at another place",
    "NAME PROMPT... PLACE",
    NAME_THEN,
    &[
        WHICH,
        "PLACE is a number, first or last. Several prompts come to stand there in the order in which they are named.",
    ],
    &[("Options", &[PROMPT_JSON])],
    verbs::move_,
);
static REMOVE: Command<Args> = command(
    "remove",
    "remove prompts from a queue",
    "NAME PROMPT...",
    NAME_THEN,
    &[WHICH, "One that is being sent stays: 'queue stop --now' interrupts it. All that are named, or none."],
    &[("Options", &[flags::json("the records of the removed prompts")])],
    verbs::remove,
);
static RETRY: Command<Args> = command(
    "retry",
    "make prompts pending again that have failed",
    "NAME [PROMPT...]",
    NAME_THEN,
    &[WHICH, "Any prompt that is not being sent may be named. When it is sent again, its events say resent."],
    &[("Options", &[FAILED, PROMPT_JSON])],
    verbs::retry,
);
static MODE: Command<Args> = command(
    "mode",
    "say whether prompts are sent by themselves",
    "NAME PROMPT... auto|manual",
    NAME_THEN,
    &[WHICH, "A manual prompt is passed over until it is made auto."],
    &[("Options", &[PROMPT_JSON])],
    verbs::mode,
);
static RENAME: Command<Args> = command(
    "rename",
    "give a queue another name",
    "NAME NEW",
    NAME_THEN,
    &[],
    &[("Options", &[CHANGED_JSON])],
    verbs::rename,
);
static PROJECT_OF: Command<Args> = command(
    "project",
    "say where the sessions of a queue work",
    "NAME DIR",
    &[Completes::Queues, Completes::Nothing],
    &["For a directory that was moved. Sessions that were begun elsewhere stay there."],
    &[("Options", &[CHANGED_JSON])],
    verbs::project_of,
);
static DELETE: Command<Args> = command(
    "delete",
    "delete queues; their sessions stay",
    "NAME...",
    NAME,
    &[
        "All of them, or, where one is not there, is being run, or has a job that lives without its runner, none.",
    ],
    &[("Options", &[flags::json("the records of the deleted queues")])],
    verbs::delete,
);
static PAUSE: Command<Args> = command(
    "pause",
    "let the runner of a queue send nothing more",
    "NAME...",
    NAME,
    &["What is being sent is finished. It lasts until 'queue unpause', whoever runs the queue."],
    &[("Options", &[CHANGED_JSON])],
    |args| verbs::set_paused(&args, true),
);
static UNPAUSE: Command<Args> = Command {
    aliases: &["resume"],
    ..command(
        "unpause",
        "take the pause of a queue away",
        "NAME...",
        NAME,
        &["It does not begin to run."],
        &[("Options", &[CHANGED_JSON])],
        |args| verbs::set_paused(&args, false),
    )
};
static STOP: Command<Args> = command(
    "stop",
    "end the runner of a queue after what it is sending",
    "NAME",
    NAME,
    &["The next 'queue run' goes on."],
    &[("Options", &[NOW])],
    verbs::stop,
);
static RUN: Command<Args> = command(
    "run",
    "send the pending prompts, one after the other",
    "NAME",
    NAME,
    &[
        "Each prompt is sent when the one before it has ended, in the order of the queue as it is then: what is added, moved, edited, paused in another terminal is obeyed. A prompt that fails is left behind, and the next one is sent, except in a queue of one session. Manual prompts are passed over.",
        "One runner at a time has a queue. What an earlier one left behind, because it was killed or stopped, is taken up first: a job that lives is followed, one that ended meanwhile is judged by what Codex printed, one that never reached the model is sent, and one that was cut off in the middle has failed, and is not sent again by itself. codex-agent-run(1) has the rest of it.",
        "What the unfinished run was told (the model, the sandbox, how long to wait) holds for whoever goes on with it and says nothing else. --new begins another run, without any of that.",
    ],
    &[
        ("What Codex is told", TOLD),
        ("How", HOW),
        ("Whether", &[NEW, jobs::dry_run(), jobs::image(), flags::codex_home()]),
        ("What is shown", &jobs::shown()),
    ],
    verbs::run,
);
static WATCH: Command<Args> = command(
    "watch",
    "show what the runner of a queue does",
    "NAME",
    NAME,
    &["As 'codex-agent run watch' does for the last run of the queue."],
    &[("What is shown", &jobs::shown())],
    verbs::watch,
);
static LOG: Command<Args> = command(
    "log",
    "tell what happened in the last run of a queue",
    "NAME",
    NAME,
    &["A run lasts until the queue has nothing more to send, over as many runners as it takes."],
    &[("Options", &[flags::json("events as records, one a line"), jobs::answers()])],
    verbs::log,
);

static TOOL: Tool = Tool {
    name: "codex-agent-queue",
    about: about("queue"),
    description: &[
        "A queue is a list of prompts with a name, for one directory. It is filled from a pipe or by hand, and worked through one prompt after the other, for as long as that takes.",
        "    codex-agent queue add book < chapters.txt && codex-agent queue run book --on-limit wait",
        "Each prompt begins a session of its own, or, with --one-session, is the next turn of one. While a queue is run, it can be added to, reordered and edited from other terminals.",
        "A runner may be killed at any moment: no prompt is sent twice for it, and none is forgotten. Queues are kept in one file, which any number of processes may change at once; each change is whole or has not happened.",
    ],
    commands: &[
        &CREATE,
        &ADD,
        &LIST,
        &SHOW,
        &EDIT,
        &MOVE,
        &REMOVE,
        &RETRY,
        &MODE,
        &RENAME,
        &PROJECT_OF,
        &DELETE,
        &PAUSE,
        &UNPAUSE,
        &STOP,
        &RUN,
        &WATCH,
        &LOG,
    ],
    exit_status: &[
        (0, "Done."),
        (1, "There is no such queue or prompt, and nothing was changed; or some prompt failed."),
        (2, "Bad usage, bad input, or trouble with a file. Nothing was changed."),
        (75, "The run was stopped with prompts left, or the queue is paused; 'queue run' goes on."),
        (130, "The run was interrupted, and a job was killed or left alone for it."),
    ],
    environment: &[
        (
            "CODEX_AGENT_CONFIG_HOME",
            "Where queues.json is, instead of $XDG_CONFIG_HOME/codex-agent or ~/.config/codex-agent.",
        ),
        ("VISUAL, EDITOR", "What 'queue edit' opens; vi where there is neither."),
    ],
    files: &[
        ("~/.config/codex-agent/queues.json", "The queues; see codex-agent-files(5)."),
        ("~/.local/state/codex-agent/runs/", "What happened to prompts that were sent."),
    ],
    examples: &[
        Example {
            text: "Three prompts for this directory, and one that waits for a word:",
            command: "codex-agent queue add chores 'Mend the tests' 'Update the notes' 'Look for dead code' && codex-agent queue add chores --manual 'Make a release'",
            exit: 0,
        },
        Example { text: "Look at it:", command: "codex-agent queue show chores", exit: 0 },
        Example { text: "The third one first:", command: "codex-agent queue move chores 3 first", exit: 0 },
        Example {
            text: "What would be sent, as records:",
            command: "codex-agent queue run chores --dry-run | jq -r .prompt",
            exit: 0,
        },
        Example {
            text: "Send them, and wait at a usage limit for its end:",
            command: "codex-agent queue run chores --on-limit wait",
            exit: 0,
        },
        Example {
            text: "What they were answered:",
            command: "codex-agent queue log chores --answers",
            exit: 0,
        },
        Example {
            text: "The sessions that came of it, as a group:",
            command: "codex-agent queue show chores --json | jq -r 'select(.session) | .session' | codex-agent group add chores",
            exit: 0,
        },
    ],
    see_also: &[
        "codex-agent(1)",
        "codex-agent-run(1)",
        "codex-agent-status(1)",
        "codex-agent-records(5)",
        "codex-agent-files(5)",
        "codex-agent(7)",
    ],
    reads: &["prompt"],
    writes: &codex_agent_engine::commands::manage::with_events::<14>(&["queue", "prompt", "job"]),
    epilogue: "",
    completions: None,
};

fn main() -> ExitCode {
    cli::main(&TOOL)
}
