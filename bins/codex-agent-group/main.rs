//! codex-agent-group: manage and run named groups of sessions.
//!
//! A verb that changes groups reads all of its input first, and then changes the file under its lock, so that it
//! accepts all of the input or none.

use std::process::ExitCode;

use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::manage;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Takes, Tool, flags};
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::group::Group;
use codex_agent_shared::output::Template;
use codex_agent_shared::store::NAME_RULES;

mod verbs;

use verbs::{add, create, delete, field_value, list, remove, rename, run, set_paused, show};

/// The arguments of this tool alone.
#[derive(Default)]
struct Own {
    description: Option<String>,
    existing: bool,
    unchecked: bool,
    template: Option<Template>,
}

type Args = jobs::Args<Own>;
type Flag = cli::Flag<Args>;

/// The first operand: the name of a group.
fn group_name(args: &Args) -> Result<&str> {
    args.operands.first().map(String::as_str).ok_or_else(|| {
        Error::usage("the name of a group is missing").hint("'codex-agent group list' lists the groups")
    })
}

fn format() -> Flag {
    Flag::new("format", Takes::Text("TEMPLATE"), "a template such as '{name}\\t{count}'", |args, value| {
        let known = |field: &str| match field_value(&Group::default(), field) {
            Some(_) => Ok(()),
            None => Err(Error::usage(format!("there is no field '{field}' in a group"))
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
            .flags(
                "Options",
                [
                    Flag::text("description", "TEXT", "the purpose of the group", |args: &mut Args| {
                        &mut args.own.description
                    })
                    .short('d'),
                    changed_json(),
                ],
            ),
        Command::verb("list", "list the groups", list)
            .aliases(&["ls"])
            .hint("'codex-agent group show NAME' shows a group")
            .details(&[
                "In a pipe: name, number of sessions, paused or not, time of the last change, id, description, separated by TABs.",
            ])
            .flags("Options", [group_json(), format(), flags::color()]),
        Command::verb("show", "show a group and its sessions", show)
            .operands("NAME", &[Completes::Groups])
            .details(&[
                "Prints the group and a table of its sessions on a terminal, and a row for each session in a pipe, as codex-agent ls does. A session that Codex does not have any more is a row with only its id. With --json the group's record is printed; 'codex-agent ls --group NAME --json' prints the records of the sessions.",
            ])
            .flags("Options", [group_json(), flags::color(), flags::codex_home()]),
        Command::verb("add", "add sessions to a group", add)
            .operands("NAME [REF...|-]", &[Completes::Groups, Completes::Sessions])
            .details(&[
                "Creates the group if there is none, and reports it. REF is a reference, see codex-agent(7). Without one, or for '-', references are read from standard input: session records, JSON strings, or lines up to their first TAB.",
                "Each session must exist; it may be archived or a subagent. If a line is invalid, nothing is added. A session is never in a group twice. With --json the session records of standard input are printed unchanged, so that the verb can be used in the middle of a pipe.",
            ])
            .flags(
                "Options",
                [
                    flags::json("print the session records that were read"),
                    Flag::switch("existing", "refuse to create the group", |args| &mut args.own.existing),
                    Flag::switch("unchecked", "add ids without checking that Codex has them", |args| {
                        &mut args.own.unchecked
                    })
                    .more("For sessions of another machine. Only full ids and records are accepted with it."),
                    flags::codex_home(),
                ],
            ),
        Command::verb("remove", "remove sessions from a group", remove)
            .operands("NAME [REF...|-]", &[Completes::Groups, Completes::Sessions])
            .details(&[
                "Accepts the same input as 'add'. A session that Codex does not have any more can be removed by its id, or by the beginning or end of its id. A session that is not in the group is reported, and is no error.",
            ])
            .flags("Options", [flags::json("print the session records that were read"), flags::codex_home()]),
        Command::verb("rename", "rename a group", rename)
            .operands("NAME NEW", &[Completes::Groups, Completes::Nothing])
            .flags("Options", [changed_json()]),
        Command::verb("delete", "delete groups; their sessions stay", delete)
            .operands("NAME...", &[Completes::Groups])
            .details(&["If one of the groups does not exist, none is deleted."])
            .flags("Options", [flags::json("the records of the deleted groups")]),
        Command::verb("pause", "mark a group as paused", |args| set_paused(&args, true))
            .operands("NAME...", &[Completes::Groups])
            .details(&["The mark is saved and shown. 'group run' refuses a paused group."])
            .flags("Options", [changed_json()]),
        Command::verb("unpause", "unmark a paused group", |args| set_paused(&args, false))
            .aliases(&["resume"])
            .operands("NAME...", &[Completes::Groups])
            .flags("Options", [changed_json()]),
        Command::verb("run", "send a prompt to every session of a group", run)
            .operands("NAME", &[Completes::Groups])
            .details(&[
                "Each session gets one more turn, in the directory where it ran last; several run concurrently. Events are printed as they happen and saved: 'codex-agent run log' prints them again, and after a crash or a Ctrl-C 'codex-agent run continue' continues without sending a prompt twice. See codex-agent-run(1).",
                "A paused group is refused (exit status 75). While a run of the group is unfinished, another one is started only with --new.",
            ])
            .flags("Prompt options", [jobs::prompt(), jobs::prompt_file(), jobs::image()])
            .flags(
                jobs::RUN_OPTIONS,
                jobs::codex_options().into_iter().chain(jobs::concurrent_run_options()).chain([flags::codex()]),
            )
            .flags("Other", [jobs::new(), jobs::dry_run(), flags::codex_home()])
            .flags("Output options", jobs::output_options()),
        Command::verb("watch", "follow the sessions of a group", verbs::watch)
            .operands("NAME", &[Completes::Groups])
            .details(&[
                "Prints new events of runs of the group until Ctrl-C, and what its sessions do otherwise, for example in the Codex TUI: turns, messages, tool calls. Sessions that are added meanwhile are watched too.",
                "In a pipe each event is one line: time, event, job, session, and a text, separated by TABs and never truncated.",
            ])
            .flags("Output options", jobs::output_options())
            .flags("Other", [flags::codex_home()]),
        Command::verb("log", "print the log of the last run of a group", verbs::log)
            .operands("NAME", &[Completes::Groups])
            .details(&["'codex-agent run list' lists earlier runs, and 'codex-agent run log' prints the log of any of them."])
            .flags("Options", [flags::json("events as records, one a line"), jobs::answers()]),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-group")
        .description([
            "A group is a named set of sessions. Sessions are added from a pipe or by hand, and other tools read the group: 'codex-agent ls --group NAME' lists its sessions.",
            "    codex-agent ls --json --under ~/src | codex-agent group add work",
            "A prompt can be sent to all of its sessions, concurrently, as one turn of each:",
            "    codex-agent group run work --prompt 'Rebase on main and run the tests'",
            "Groups are kept in one file. Any number of processes may change it concurrently; each change is atomic, also in a crash. A file that cannot be parsed is never overwritten.",
            "A group is identified by its name. If an older file has two groups of one name, the verbs report it and accept the id.",
        ])
        .commands(commands())
        .exit_status(&[
            (0, "Done."),
            (
                1,
                "There is no such group, or no such session, and nothing was changed; or a job failed.",
            ),
            (2, "Bad usage, invalid input, or an error with a file. Nothing was changed."),
            (75, "A run was stopped before its end, or the group is paused."),
            (130, "A run was interrupted."),
        ])
        .environment(&[
            (
                "CODEX_AGENT_CONFIG_HOME",
                "The directory of groups.json, instead of $XDG_CONFIG_HOME/codex-agent or ~/.config/codex-agent.",
            ),
        ])
        .files(&[("~/.config/codex-agent/groups.json", "The groups; see codex-agent-files(5).")])
        .examples(&[
            (
                "Put all sessions of a directory tree into a group:",
                "codex-agent ls --json --under . | codex-agent group add work",
            ),
            (
                "Add the newest session of all, and show the group:",
                "codex-agent group add work @@ && codex-agent group show work",
            ),
            (
                "Add found sessions, and pass them on to another tool:",
                "codex-agent find login --json | codex-agent group add work --json | jq -r .cwd",
            ),
            (
                "Remove sessions that have been archived since:",
                "codex-agent ls --group work --archived=only --json | codex-agent group remove work",
            ),
            (
                "Copy a group:",
                "codex-agent ls --group work --archived --json | codex-agent group add 'work, kept'",
            ),
            ("Print the names of all groups:", "codex-agent group list | cut -f1"),
        ])
        .see_also("codex-agent(1) codex-agent-ls(1) codex-agent-find(1) codex-agent-records(5) codex-agent-files(5) codex-agent(7)".split(' '))
        .reads(&["session"])
        .writes("group session job turn.started message tool.called turn.completed turn.failed turn.aborted session.rolled_back session.archived session.unarchived session.moved session.deleted".split(' '))
        .writes(manage::event_types())
}

fn main() -> ExitCode {
    cli::main(tool())
}
