//! codex-agent-group: keep named sets of Codex sessions.
//!
//! Every verb that changes something reads all of its input first, and then changes the one file under
//! its lock, so that it takes all of the input or none.

use std::process::ExitCode;

use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::flags::Jobs;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Example, Flag, Takes, Tool, flags};
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::output::Template;
use codex_agent_shared::plugin::about;
use codex_agent_shared::store::NAME_RULES;

mod verbs;

use verbs::{add, create, delete, list, remove, rename, run, set_paused, show};

#[derive(Default)]
struct Args {
    common: flags::Common,
    operands: Vec<String>,
    description: Option<String>,
    existing: bool,
    unchecked: bool,
    template: Option<Template>,
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
    /// The name that the verb is about.
    fn name(&self) -> Result<&str> {
        self.operands.first().map(String::as_str).ok_or_else(|| {
            Error::usage("the name of a group is missing").hint("codex-agent group list lists them")
        })
    }
}

fn operand(args: &mut Args, operand: std::ffi::OsString) -> Result<()> {
    flags::text_operand(&mut args.operands, operand)
}

const DESCRIPTION: Flag<Args> = Flag {
    short: Some('d'),
    long: "description",
    takes: Takes::Text("TEXT"),
    help: "what the group is for",
    more: "",
    set: |args, value| {
        args.description = Some(value.text()?);
        Ok(())
    },
};

const UNCHECKED: Flag<Args> = Flag {
    short: None,
    long: "unchecked",
    takes: Takes::Nothing,
    help: "take ids as they are, without looking whether Codex has them",
    more: "For sessions of another machine. Only full ids and records are taken then.",
    set: |args, _| {
        args.unchecked = true;
        Ok(())
    },
};

const EXISTING: Flag<Args> = Flag {
    short: None,
    long: "existing",
    takes: Takes::Nothing,
    help: "refuse to make the group",
    more: "",
    set: |args, _| {
        args.existing = true;
        Ok(())
    },
};

const FORMAT: Flag<Args> = Flag {
    short: None,
    long: "format",
    takes: Takes::Text("TEMPLATE"),
    help: "a template such as '{name}\\t{count}'",
    more: "Fields: id, name, description, paused, count, created_at, updated_at.",
    set: |args, value| {
        let known = |name: &str| match name {
            "id" | "name" | "description" | "paused" | "count" | "created_at" | "updated_at" => Ok(()),
            other => Err(Error::usage(format!("there is no field '{other}' in a group"))
                .hint("fields: id name description paused count created_at updated_at")),
        };
        args.template = Some(Template::parse(&value.text()?, known)?);
        Ok(())
    },
};

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

const GROUP_JSON: Flag<Args> = flags::json("group records, one a line");
const CHANGED_JSON: Flag<Args> = flags::json("the group's record on standard output");

static CREATE: Command<Args> = command(
    "create",
    "make an empty group",
    "NAME",
    &[Completes::Nothing],
    &[NAME_RULES],
    &[("Options", &[DESCRIPTION, CHANGED_JSON])],
    create,
);
static LIST: Command<Args> = Command {
    aliases: &["ls"],
    ..command(
        "list",
        "list the groups",
        "",
        &[Completes::Nothing],
        &[
            "In a pipe: name, number of sessions, paused or not, time of the last change, id, description, with TABs between.",
        ],
        &[("Options", &[GROUP_JSON, FORMAT, flags::color()])],
        list,
    )
};
static SHOW: Command<Args> = command(
    "show",
    "show a group and its sessions",
    "NAME",
    &[Completes::Groups],
    &[
        "On a terminal the group and a table of its sessions; in a pipe a row a session, as codex-agent ls has them. A session that Codex does not have any more is a row with its id alone. With --json it is the group's record; 'codex-agent ls --group NAME --json' gives the records of the sessions.",
    ],
    &[("Options", &[GROUP_JSON, flags::color(), flags::codex_home()])],
    show,
);
static ADD: Command<Args> = command(
    "add",
    "add sessions to a group",
    "NAME [REF...|-]",
    &[Completes::Groups, Completes::Sessions],
    &[
        "Makes the group where there is none, and says so. A REF is a reference as codex-agent(7) describes them. Without one, or for '-', they are read from standard input: session records, JSON strings, or lines up to their first TAB.",
        "Each session must exist; archived ones and subagents do. All of the input is taken, or, where one line of it is wrong, none. A session that is in the group stays in it once. With --json the session records that came in go out again unchanged, so that the verb can stand in the middle of a pipe.",
    ],
    &[("Options", &[flags::json("hand on the session records"), EXISTING, UNCHECKED, flags::codex_home()])],
    add,
);
static REMOVE: Command<Args> = command(
    "remove",
    "remove sessions from a group",
    "NAME [REF...|-]",
    &[Completes::Groups, Completes::Sessions],
    &[
        "Takes what add takes. A session that Codex does not have any more can be removed by its id, or by the beginning or end of it. One that is not in the group is told and is no error.",
    ],
    &[("Options", &[flags::json("hand on the session records"), flags::codex_home()])],
    remove,
);
static RENAME: Command<Args> = command(
    "rename",
    "give a group another name",
    "NAME NEW",
    &[Completes::Groups, Completes::Nothing],
    &[],
    &[("Options", &[CHANGED_JSON])],
    rename,
);
static DELETE: Command<Args> = command(
    "delete",
    "delete groups; their sessions stay",
    "NAME...",
    &[Completes::Groups],
    &["All of them, or, where one is not there, none."],
    &[("Options", &[flags::json("the records of the deleted groups")])],
    delete,
);
static PAUSE: Command<Args> = command(
    "pause",
    "mark a group as paused",
    "NAME...",
    &[Completes::Groups],
    &["The mark is kept and shown. run leaves a paused group alone."],
    &[("Options", &[CHANGED_JSON])],
    |args| set_paused(&args, true),
);
static UNPAUSE: Command<Args> = Command {
    aliases: &["resume"],
    ..command(
        "unpause",
        "take the mark of a paused group away",
        "NAME...",
        &[Completes::Groups],
        &[],
        &[("Options", &[CHANGED_JSON])],
        |args| set_paused(&args, false),
    )
};

static RUN: Command<Args> = command(
    "run",
    "send a prompt to every session of a group",
    "NAME",
    &[Completes::Groups],
    &[
        "Each session gets one more turn, in the directory where it ran last, several at once. What becomes of each is told as it happens, and kept: 'codex-agent run log' tells it again, and after a crash or a Ctrl-C 'codex-agent run continue' goes on, without sending any prompt twice. codex-agent-run(1) has the rest of it.",
        "A paused group is left alone (exit 75). While a run over the group has work left, no other one is begun but with --new.",
    ],
    &[
        ("What is sent", &[jobs::prompt(), jobs::prompt_file(), jobs::image()]),
        ("What Codex is told", &jobs::told()),
        ("How", &jobs::how()),
        ("Whether", &[jobs::new(), jobs::dry_run(), flags::codex_home()]),
        ("What is shown", &jobs::shown()),
    ],
    run,
);

static WATCH: Command<Args> = command(
    "watch",
    "show what the sessions of a group do",
    "NAME",
    &[Completes::Groups],
    &[
        "The events of runs over the group, and what its sessions do when anybody else drives them: their turns, what was said, what was run. It begins with what happens now, and goes on until Ctrl-C. Sessions that are added meanwhile are watched too.",
        "In a pipe an event is one line: time, event, job, session, and a text, with TABs between and nothing cut.",
    ],
    &[("What is shown", &jobs::shown()), ("Other", &[flags::codex_home()])],
    verbs::watch,
);
static LOG: Command<Args> = command(
    "log",
    "tell what happened in the last run over a group",
    "NAME",
    &[Completes::Groups],
    &["'codex-agent run list' has the earlier ones, and 'codex-agent run log' tells of any of them."],
    &[("Options", &[flags::json("events as records, one a line"), jobs::answers()])],
    verbs::log,
);

static TOOL: Tool = Tool {
    name: "codex-agent-group",
    about: about("group"),
    description: &[
        "A group is a set of sessions with a name. It is filled from a pipe or by hand, and read by other tools: 'codex-agent ls --group NAME' lists its sessions.",
        "    codex-agent ls --json --under ~/src | codex-agent group add work",
        "A prompt can be run over it, in each session one turn, several at once:",
        "    codex-agent group run work --prompt 'Rebase on main and run the tests'",
        "Groups are kept in one file. Any number of processes may change it at once; each change is whole or has not happened, also after a crash. A file that cannot be read is never overwritten.",
        "A group is told by its name. Where an older file has two groups of one name, the verbs say so and take the id.",
    ],
    commands: &[&CREATE, &LIST, &SHOW, &ADD, &REMOVE, &RENAME, &DELETE, &PAUSE, &UNPAUSE, &RUN, &WATCH, &LOG],
    exit_status: &[
        (0, "Done."),
        (
            1,
            "There is no such group, or no such session, and nothing was changed; or some job of a run failed.",
        ),
        (2, "Bad usage, bad input, or trouble with a file. Nothing was changed."),
        (75, "A run was stopped with work left, or the group is paused."),
        (130, "A run was interrupted."),
    ],
    environment: &[(
        "CODEX_AGENT_CONFIG_HOME",
        "Where groups.json is, instead of $XDG_CONFIG_HOME/codex-agent or ~/.config/codex-agent.",
    )],
    files: &[("~/.config/codex-agent/groups.json", "The groups; see codex-agent-files(5).")],
    examples: &[
        Example {
            text: "Put all sessions of a directory tree into a group:",
            command: "codex-agent ls --json --under . | codex-agent group add work",
            exit: 0,
        },
        Example {
            text: "Add the newest session of all, and look at the group:",
            command: "codex-agent group add work @@ && codex-agent group show work",
            exit: 0,
        },
        Example {
            text: "Add what was chosen, and hand it on to another tool:",
            command: "codex-agent find login --json | codex-agent group add work --json | jq -r .cwd",
            exit: 0,
        },
        Example {
            text: "Take out what has been archived since:",
            command: "codex-agent ls --group work --archived=only --json | codex-agent group remove work",
            exit: 0,
        },
        Example {
            text: "Copy a group:",
            command: "codex-agent ls --group work --archived --json | codex-agent group add 'work, kept'",
            exit: 0,
        },
        Example { text: "The names of all groups:", command: "codex-agent group list | cut -f1", exit: 0 },
    ],
    see_also: &[
        "codex-agent(1)",
        "codex-agent-ls(1)",
        "codex-agent-find(1)",
        "codex-agent-records(5)",
        "codex-agent-files(5)",
        "codex-agent(7)",
    ],
    reads: &["session"],
    writes: &codex_agent_engine::commands::manage::with_events::<25>(&[
        "group",
        "session",
        "job",
        "turn.started",
        "message",
        "tool.called",
        "turn.completed",
        "turn.failed",
        "turn.aborted",
        "session.rolled_back",
        "session.archived",
        "session.unarchived",
        "session.moved",
        "session.deleted",
    ]),
    epilogue: "",
    completions: None,
};

fn main() -> ExitCode {
    cli::main(&TOOL)
}
