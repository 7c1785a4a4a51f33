//! codex-agent-group: manage and run named groups of sessions.
//!
//! Every verb that changes something reads all of its input first, and then changes the one file under
//! its lock, so that it takes all of the input or none.

use std::process::ExitCode;

use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::manage;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Takes, Tool, flags};
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::output::Template;
use codex_agent_shared::store::NAME_RULES;

mod verbs;

use verbs::{add, create, delete, list, remove, rename, run, set_paused, show};

/// The own arguments of this tool.
#[derive(Default)]
struct Own {
    description: Option<String>,
    existing: bool,
    unchecked: bool,
    template: Option<Template>,
}

type Args = jobs::Args<Own>;
type Flag = cli::Flag<Args>;

/// The name that the verb is about.
fn group_name(args: &Args) -> Result<&str> {
    args.operands.first().map(String::as_str).ok_or_else(|| {
        Error::usage("the name of a group is missing").hint("codex-agent group list lists them")
    })
}

fn description() -> Flag {
    Flag::text("description", "TEXT", "what the group is for", |args| &mut args.own.description).short('d')
}

fn unchecked() -> Flag {
    Flag::switch("unchecked", "take ids as they are, without looking whether Codex has them", |args| {
        &mut args.own.unchecked
    })
    .more("For sessions of another machine. Only full ids and records are taken then.")
}

fn existing() -> Flag {
    Flag::switch("existing", "refuse to create the group", |args| &mut args.own.existing)
}

fn format() -> Flag {
    Flag::new("format", Takes::Text("TEMPLATE"), "a template such as '{name}\\t{count}'", |args, value| {
        let known = |name: &str| match name {
            "id" | "name" | "description" | "paused" | "count" | "created_at" | "updated_at" => Ok(()),
            other => Err(Error::usage(format!("there is no field '{other}' in a group"))
                .hint("fields: id name description paused count created_at updated_at")),
        };
        args.own.template = Some(Template::parse(&value.text()?, known)?);
        Ok(())
    })
    .more("Fields: id, name, description, paused, count, created_at, updated_at.")
}

fn group_json() -> Flag {
    flags::json("group records, one a line")
}

fn changed_json() -> Flag {
    flags::json("the group's record on standard output")
}

fn commands() -> Vec<Command<Args>> {
    vec![
        Command::verb("create", "create an empty group", create)
            .operands("NAME", &[Completes::Nothing])
            .details(&[NAME_RULES])
            .flags("Options", [description(), changed_json()]),
        Command::verb("list", "list the groups", list)
            .aliases(&["ls"])
            .hint("codex-agent group show NAME shows one")
            .details(&[
                "In a pipe: name, number of sessions, paused or not, time of the last change, id, description, with TABs between.",
            ])
            .flags("Options", [group_json(), format(), flags::color()]),
        Command::verb("show", "show a group and its sessions", show)
            .operands("NAME", &[Completes::Groups])
            .details(&[
                "On a terminal the group and a table of its sessions; in a pipe a row a session, as codex-agent ls has them. A session that Codex does not have any more is a row with its id alone. With --json it is the group's record; 'codex-agent ls --group NAME --json' gives the records of the sessions.",
            ])
            .flags("Options", [group_json(), flags::color(), flags::codex_home()]),
        Command::verb("add", "add sessions to a group", add)
            .operands("NAME [REF...|-]", &[Completes::Groups, Completes::Sessions])
            .details(&[
                "Makes the group where there is none, and says so. A REF is a reference as codex-agent(7) describes them. Without one, or for '-', they are read from standard input: session records, JSON strings, or lines up to their first TAB.",
                "Each session must exist; archived ones and subagents do. All of the input is taken, or, where one line of it is wrong, none. A session that is in the group stays in it once. With --json the session records that came in go out again unchanged, so that the verb can stand in the middle of a pipe.",
            ])
            .flags(
                "Options",
                [flags::json("hand on the session records"), existing(), unchecked(), flags::codex_home()],
            ),
        Command::verb("remove", "remove sessions from a group", remove)
            .operands("NAME [REF...|-]", &[Completes::Groups, Completes::Sessions])
            .details(&[
                "Takes what add takes. A session that Codex does not have any more can be removed by its id, or by the beginning or end of it. One that is not in the group is told and is no error.",
            ])
            .flags("Options", [flags::json("hand on the session records"), flags::codex_home()]),
        Command::verb("rename", "rename a group", rename)
            .operands("NAME NEW", &[Completes::Groups, Completes::Nothing])
            .flags("Options", [changed_json()]),
        Command::verb("delete", "delete groups; their sessions stay", delete)
            .operands("NAME...", &[Completes::Groups])
            .details(&["All of them, or, where one is not there, none."])
            .flags("Options", [flags::json("the records of the deleted groups")]),
        Command::verb("pause", "mark a group as paused", |args| set_paused(&args, true))
            .operands("NAME...", &[Completes::Groups])
            .details(&["The mark is kept and shown. run leaves a paused group alone."])
            .flags("Options", [changed_json()]),
        Command::verb("unpause", "unmark a paused group", |args| set_paused(&args, false))
            .aliases(&["resume"])
            .operands("NAME...", &[Completes::Groups])
            .flags("Options", [changed_json()]),
        Command::verb("run", "send a prompt to every session of a group", run)
            .operands("NAME", &[Completes::Groups])
            .details(&[
                "Each session gets one more turn, in the directory where it ran last, several at once. What becomes of each is told as it happens, and kept: 'codex-agent run log' tells it again, and after a crash or a Ctrl-C 'codex-agent run continue' goes on, without sending any prompt twice. codex-agent-run(1) has the rest of it.",
                "A paused group is left alone (exit 75). While a run over the group has work left, no other one is begun but with --new.",
            ])
            .flags("What is sent", [jobs::prompt(), jobs::prompt_file(), jobs::image()])
            .flags(
                jobs::RUN_OPTIONS,
                jobs::codex_options().into_iter().chain(jobs::how_concurrent()).chain([flags::codex()]),
            )
            .flags("Whether", [jobs::new(), jobs::dry_run(), flags::codex_home()])
            .flags("What is shown", jobs::shown()),
        Command::verb("watch", "follow the sessions of a group", verbs::watch)
            .operands("NAME", &[Completes::Groups])
            .details(&[
                "The events of runs over the group, and what its sessions do when anybody else drives them: their turns, what was said, what was run. It begins with what happens now, and goes on until Ctrl-C. Sessions that are added meanwhile are watched too.",
                "In a pipe an event is one line: time, event, job, session, and a text, with TABs between and nothing cut.",
            ])
            .flags("What is shown", jobs::shown())
            .flags("Other", [flags::codex_home()]),
        Command::verb("log", "print the log of the last run over a group", verbs::log)
            .operands("NAME", &[Completes::Groups])
            .details(&["'codex-agent run list' has the earlier ones, and 'codex-agent run log' tells of any of them."])
            .flags("Options", [flags::json("events as records, one a line"), jobs::answers()]),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-group")
        .description([
            "A group is a set of sessions with a name. It is filled from a pipe or by hand, and read by other tools: 'codex-agent ls --group NAME' lists its sessions.",
            "    codex-agent ls --json --under ~/src | codex-agent group add work",
            "A prompt can be run over it, in each session one turn, several at once:",
            "    codex-agent group run work --prompt 'Rebase on main and run the tests'",
            "Groups are kept in one file. Any number of processes may change it at once; each change is whole or has not happened, also after a crash. A file that cannot be read is never overwritten.",
            "A group is told by its name. Where an older file has two groups of one name, the verbs say so and take the id.",
        ])
        .commands(commands())
        .exit_status(&[
            (0, "Done."),
            (
                1,
                "There is no such group, or no such session, and nothing was changed; or some job of a run failed.",
            ),
            (2, "Bad usage, bad input, or trouble with a file. Nothing was changed."),
            (75, "A run was stopped with work left, or the group is paused."),
            (130, "A run was interrupted."),
        ])
        .environment(&[
            (
                "CODEX_AGENT_CONFIG_HOME",
                "Where groups.json is, instead of $XDG_CONFIG_HOME/codex-agent or ~/.config/codex-agent.",
            ),
        ])
        .files(&[("~/.config/codex-agent/groups.json", "The groups; see codex-agent-files(5).")])
        .examples(&[
            (
                "Put all sessions of a directory tree into a group:",
                "codex-agent ls --json --under . | codex-agent group add work",
            ),
            (
                "Add the newest session of all, and look at the group:",
                "codex-agent group add work @@ && codex-agent group show work",
            ),
            (
                "Add what was chosen, and hand it on to another tool:",
                "codex-agent find login --json | codex-agent group add work --json | jq -r .cwd",
            ),
            (
                "Take out what has been archived since:",
                "codex-agent ls --group work --archived=only --json | codex-agent group remove work",
            ),
            (
                "Copy a group:",
                "codex-agent ls --group work --archived --json | codex-agent group add 'work, kept'",
            ),
            ("The names of all groups:", "codex-agent group list | cut -f1"),
        ])
        .see_also([
            "codex-agent(1)",
            "codex-agent-ls(1)",
            "codex-agent-find(1)",
            "codex-agent-records(5)",
            "codex-agent-files(5)",
            "codex-agent(7)",
        ])
        .reads(&["session"])
        .writes([
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
        ])
        .writes(manage::event_types())
}

fn main() -> ExitCode {
    cli::main(tool())
}
