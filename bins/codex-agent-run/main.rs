//! codex-agent-run: start Codex sessions without a terminal, and look after runs.
//!
//! Without a verb it plans jobs from prompts (or takes job records) and hands them to the engine; the
//! verbs look after the runs that it, or any other tool, has left.

use std::path::PathBuf;
use std::process::ExitCode;

use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::flags::Jobs;
use codex_agent_engine::commands::prompts as given;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Example, Flag, Takes, Tool, flags};
use codex_agent_shared::error::{Exit, Result};
use codex_agent_shared::plugin::about;
use codex_agent_shared::time::{Timestamp, parse_moment};

mod prompts;
mod verbs;

#[derive(Default)]
struct Args {
    common: flags::Common,
    engine: Jobs,
    operands: Vec<String>,
    jobs: bool,
    cwd: Option<PathBuf>,
    now: bool,
    older: Option<Timestamp>,
}

impl AsMut<flags::Common> for Args {
    fn as_mut(&mut self) -> &mut flags::Common {
        &mut self.common
    }
}

impl AsMut<Jobs> for Args {
    fn as_mut(&mut self) -> &mut Jobs {
        &mut self.engine
    }
}

fn operand(args: &mut Args, operand: std::ffi::OsString) -> Result<()> {
    flags::text_operand(&mut args.operands, operand)
}

const WHAT: &[Flag<Args>] = &[
    jobs::prompt(),
    jobs::prompt_file(),
    Flag {
        short: None,
        long: "jobs",
        takes: Takes::Nothing,
        help: "job records from standard input, instead of prompts",
        more: "Each says for itself what is done where, as codex-agent-records(5) describes it; what it leaves out is taken from the flags. With --dry-run such records are printed.",
        set: |args, _| {
            args.jobs = true;
            Ok(())
        },
    },
    given::text(),
    given::null(),
    jobs::dry_run(),
];

const CODEX: &[Flag<Args>] = &[
    Flag {
        short: None,
        long: "cwd",
        takes: Takes::Directory("DIR"),
        help: "where the sessions work; this directory if not said",
        more: "",
        set: |args, value| {
            args.cwd = Some(value.path());
            Ok(())
        },
    },
    jobs::image(),
    flags::codex_home(),
];

const TOLD: &[Flag<Args>] = &jobs::told();

const HOW: &[Flag<Args>] = &jobs::how();

const EVENTS: &[Flag<Args>] = &jobs::shown();

const LOGGED: &[Flag<Args>] =
    &[flags::json("events as records, one a line"), jobs::answers(), flags::color()];

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

const OLDER: Flag<Args> = Flag {
    short: None,
    long: "older",
    takes: Takes::Text("TIME"),
    help: "runs that ended before this time; 30d if not said",
    more: "Or as runs.keep in config.toml says.",
    set: |args, value| {
        args.older = Some(parse_moment(&value.text()?)?);
        Ok(())
    },
};

static COMMAND: Command<Args> = Command {
    name: "",
    aliases: &[],
    about: about("run"),
    operands: "[PROMPT...|-]",
    completes: &[Completes::Nothing],
    details: &[],
    sections: &[
        ("What is done", WHAT),
        ("Where, and with what", CODEX),
        ("What Codex is told", TOLD),
        ("How", HOW),
        ("What is shown", EVENTS),
    ],
    greedy: false,
    operand,
    run: prompts::run,
};

const fn verb(
    name: &'static str,
    about: &'static str,
    operands: &'static str,
    details: &'static [&'static str],
    sections: &'static [(&'static str, &'static [Flag<Args>])],
    run: fn(Args) -> Result<Exit>,
) -> Command<Args> {
    Command {
        name,
        aliases: &[],
        about,
        operands,
        completes: &[Completes::Runs],
        details,
        sections,
        greedy: false,
        operand,
        run,
    }
}

static LIST: Command<Args> = Command {
    aliases: &["ls"],
    ..verb(
        "list",
        "list the runs of every tool",
        "",
        &[
            "In a pipe: name, state (running, finished, stopped, dead), when it began, and how many jobs are pending, running, completed, failed and skipped, with TABs between. A dead run is one whose runner was killed; its jobs may live.",
        ],
        &[("Options", &[flags::json("run records, one a line"), flags::color()])],
        verbs::list,
    )
};
static LOG: Command<Args> = verb(
    "log",
    "tell what happened in a run",
    "[RUN]",
    &[
        "RUN is the name of a run, or four or more characters of it that no other has; without one it is the newest run.",
    ],
    &[("Options", LOGGED)],
    verbs::log,
);
static WATCH: Command<Args> = verb(
    "watch",
    "show a run while another terminal carries it out",
    "[RUN]",
    &[
        "Tells all that has happened and what happens, until the run is over; then the exit status is that of the run. Without RUN it is the newest run. Ctrl-C ends the watching and leaves the run alone.",
    ],
    &[("What is shown", EVENTS)],
    verbs::watch,
);
static CONTINUE: Command<Args> = verb(
    "continue",
    "go on with a run that has work left",
    "[RUN]",
    &[
        "The run was stopped, or its runner died. Jobs that live are taken over, jobs that ended meanwhile are judged by what Codex printed, and jobs that never reached the model are started. A job that was cut off in the middle is a failure. Without RUN it is the newest run that has work left.",
    ],
    &[("How", HOW), ("What is shown", EVENTS)],
    verbs::continue_run,
);
static STOP: Command<Args> = verb(
    "stop",
    "let a run start nothing more",
    "RUN",
    &["What runs is finished. A second stop, or --now, interrupts it."],
    &[("Options", &[NOW])],
    verbs::stop,
);
static PRUNE: Command<Args> = verb(
    "prune",
    "remove the records of finished runs",
    "",
    &["Runs with work left stay, and so do the sessions of all runs: those are Codex's."],
    &[("Options", &[OLDER, flags::json("the records of the removed runs")])],
    verbs::prune,
);

static TOOL: Tool = Tool {
    name: "codex-agent-run",
    about: about("run"),
    description: &[
        "Starts a Codex session for each prompt, several at once, without a terminal, and tells what becomes of them. A prompt is an operand, a line of standard input, or a file.",
        "    codex-agent run --answers 'What does this repository do?'",
        "    codex-agent run -j 4 --sandbox workspace-write - < chores.txt",
        "Everything about a run is in a folder of its own: what was planned, what happened, what Codex printed. It is written before and while it happens, so that a run survives its runner. After a crash, a lost connection or a kill, 'codex-agent run continue' goes on where it was: no prompt is sent twice, and none is forgotten.",
        "The first Ctrl-C (or SIGTERM, or SIGHUP) starts nothing more and lets what runs finish; the second interrupts what runs; the third leaves at once, and the jobs live on. A run goes on although nobody reads its output.",
        "In a pipe an event is one line: time, event, job, session, and a message, with TABs between and nothing cut. A verb is a verb only as the first word: 'codex-agent run -- list' sends 'list' to Codex. A first word that is one letter from a verb is taken for a slip, and refused.",
    ],
    commands: &[&COMMAND, &LIST, &LOG, &WATCH, &CONTINUE, &STOP, &PRUNE],
    exit_status: &[
        (0, "Every job was completed."),
        (1, "Some job failed, or there is no such run."),
        (2, "Bad usage, bad input, or trouble with a file."),
        (75, "The run was stopped with work left; 'codex-agent run continue' goes on."),
        (130, "Interrupted, and jobs were killed or left alone for it."),
    ],
    environment: &[
        (
            "CODEX_AGENT_STATE_HOME",
            "Where runs are kept, instead of $XDG_STATE_HOME/codex-agent or ~/.local/state/codex-agent.",
        ),
        (
            "CODEX_AGENT_RUN, CODEX_AGENT_JOB, CODEX_AGENT_DEPTH",
            "Set for each job: the run, the job, and how many runs are around it. At a depth of 3 no further run is started.",
        ),
    ],
    files: &[
        ("~/.local/state/codex-agent/runs/", "A folder for each run; see codex-agent-files(5)."),
        ("~/.local/state/codex-agent/locks/", "Which job drives which session."),
    ],
    examples: &[
        Example {
            text: "Ask one thing and print the answer:",
            command: "codex-agent run --answers 'What does this repository do?'",
            exit: 0,
        },
        Example {
            text: "A session for each line, two at once:",
            command: "printf 'Mend the tests\nUpdate the notes\n' | codex-agent run -j 2 -",
            exit: 0,
        },
        Example {
            text: "What would be done, as records that another machine can carry out with --jobs:",
            command: "codex-agent run --dry-run --sandbox read-only 'Look for dead code' > jobs",
            exit: 0,
        },
        Example {
            text: "Carry them out, and keep what each session cost:",
            command: "codex-agent run --jobs --json < jobs | jq -c 'select(.usage) | [.session, .usage]'",
            exit: 0,
        },
        Example { text: "The runs so far:", command: "codex-agent run list", exit: 0 },
        Example { text: "Go on after a crash or a Ctrl-C:", command: "codex-agent run continue", exit: 0 },
        Example {
            text: "Forget what ended long ago:",
            command: "codex-agent run prune --older 90d",
            exit: 0,
        },
    ],
    see_also: &[
        "codex-agent(1)",
        "codex-agent-group(1)",
        "codex-agent-records(5)",
        "codex-agent-files(5)",
        "codex-agent(7)",
    ],
    reads: &["prompt", "job"],
    writes: &codex_agent_engine::commands::manage::with_events::<13>(&["job", "run"]),
    epilogue: "",
    completions: None,
};

fn main() -> ExitCode {
    cli::main(&TOOL)
}
