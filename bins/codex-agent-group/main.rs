//! codex-agent-group: manage and run named groups of sessions.
//!
//! A verb that changes groups reads all of its input first, and then changes the file under its lock, so that it
//! accepts all of the input or none.

use std::process::ExitCode;

use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::manage;
use codex_agent_shared::cli;
use codex_agent_shared::cli::flags::ListingHelp;
use codex_agent_shared::cli::{Command, Completes, Tool, filters, flags};
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::store::NAME_RULES;

mod hosts;
mod verbs;

use verbs::{add, create, delete, list, remove, rename, run, set_paused, show};

/// The arguments of this tool alone.
#[derive(Default)]
struct Own {
    description: Option<String>,
    existing: bool,
    unchecked: bool,
}

type Args = jobs::Args<Own>;
type Flag = cli::Flag<Args>;

/// The first operand: the name of a group.
fn group_name(args: &Args) -> Result<&str> {
    args.operands.first().map(String::as_str).ok_or_else(|| {
        Error::usage("the name of a group is missing").hint("'codex-agent group list' lists the groups")
    })
}

/// The values of a group that rows and templates have, and its record has not.
const MORE: &[&str] = &["count"];

fn listing() -> impl Iterator<Item = Flag> {
    let fields = || flags::fields_of(&["group"], MORE);
    let help = ListingHelp {
        json: "print group records, one per line",
        format: "a template such as '{name}\\t{count}'",
        limit: "list at most N groups",
        fields,
    };
    flags::listing_output(&help).into_iter()
}

/// With --json alone this verb prints the group.
fn show_help(flag: Flag) -> Flag {
    match flag.long() {
        "json" => flag.help("print the record of the group; with fields, the records of its sessions"),
        _ => flag,
    }
}

fn changed_json() -> Flag {
    flags::json("print the record of the group")
}

fn selecting() -> impl Iterator<Item = Flag> {
    filters::selecting().into_iter().enumerate().map(|(at, flag)| match at {
        0 => flag.help("select the sessions that have these words, instead of REF"),
        _ => flag,
    })
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
                "In a pipe, each group is one line with these columns, separated by TABs: name; number of sessions; whether the group is paused; time of the last change; id; description.",
            ])
            .flags("Options", listing()),
        Command::verb("show", "show a group and its sessions", show)
            .operands("NAME", &[Completes::Groups])
            .details(&[
                "On a terminal, the group and a table of its sessions are printed. In a pipe, each session is one line, as codex-agent-ls(1) prints it. For a session that Codex does not have any more, only the id is printed. With --json, the record of the group is printed; 'codex-agent ls --group NAME --json' prints the records of its sessions. --fields and --format print fields of the sessions, and so does --json with fields.",
            ])
            .flags(
                "Options",
                flags::session_output().into_iter().map(show_help).chain([
                    flags::limit("show at most N sessions"),
                    flags::color(),
                    flags::codex_home(),
                ]),
            ),
        Command::verb("add", "add sessions to a group", add)
            .operands("NAME [REF...|-]", &[Completes::Groups, Completes::Sessions])
            .details(&[
                "If the group NAME does not exist, it is created, and a message reports this. REF is a reference to a session; see codex-agent(7). Without REF, or if REF is '-', references are read from standard input: session records, JSON strings, or lines up to their first TAB.",
                "Each session must exist, and may be archived or a subagent. If a line is invalid, no session is added. A session that is already in the group is not added a second time. With --json, the session records of standard input are printed unchanged, so that the verb can be used in the middle of a pipe.",
                "A session of a host is added with its host: that of a record with the field host, or HOST:REF, where HOST is a host of config.toml. The same session on two hosts is two members of the group.",
                "Instead of REF, --find and the options of its section add all sessions that match: 'group add alpha --repo .' adds the sessions of this repository.",
            ])
            .flags(filters::SELECTION, selecting())
            .flags(
                "Options",
                [
                    flags::json("print the session records that were read"),
                    Flag::switch("existing", "fail if the group does not exist", |args| &mut args.own.existing),
                    Flag::switch("unchecked", "add ids without checking that Codex has these sessions", |args| {
                        &mut args.own.unchecked
                    })
                    .more("This option is for sessions of another machine. With this option, only complete ids and session records are accepted."),
                    flags::codex_home(),
                ],
            ),
        Command::verb("remove", "remove sessions from a group", remove)
            .operands("NAME [REF...|-]", &[Completes::Groups, Completes::Sessions])
            .details(&[
                "The operands and the input are the same as for the verb add. A session that Codex does not have any more can be removed by its id, or by the beginning or end of its id. If a session is not in the group, a message reports this, and it is not an error. With --find and the options of its section, the sessions of the group that match are removed.",
            ])
            .flags(filters::SELECTION, selecting())
            .flags("Options", [flags::json("print the session records that were read"), flags::codex_home()]),
        Command::verb("rename", "rename a group", rename)
            .operands("NAME NEW", &[Completes::Groups, Completes::Nothing])
            .flags("Options", [changed_json()]),
        Command::verb("delete", "delete groups, and keep their sessions", delete)
            .operands("NAME...", &[Completes::Groups])
            .details(&["If one of the groups does not exist, none of the groups is deleted."])
            .flags("Options", [flags::json("print the records of the deleted groups")]),
        Command::verb("pause", "mark a group as paused", |args| set_paused(&args, true))
            .operands("NAME...", &[Completes::Groups])
            .details(&["The mark is saved in the group, and shown in listings. 'codex-agent group run' refuses a paused group."])
            .flags("Options", [changed_json()]),
        Command::verb("unpause", "unmark a paused group", |args| set_paused(&args, false))
            .aliases(&["resume"])
            .operands("NAME...", &[Completes::Groups])
            .flags("Options", [changed_json()]),
        Command::verb("run", "send a prompt to every session of a group", run)
            .operands("NAME", &[Completes::Groups])
            .details(&[
                "The prompt is sent to each session as its next turn, in the working directory of its last turn; several sessions run concurrently. Events are printed as they happen, and are saved: 'codex-agent run log' prints the events again. After a crash or a Ctrl-C, 'codex-agent run continue' continues the run without sending a prompt twice. See codex-agent-run(1).",
                "A run of more than 20 sessions asks for confirmation on a terminal; see codex-agent-run(1). A paused group is refused with exit status 75. While a run of the group is unfinished, another run is started only with --new.",
            ])
            .flags("Prompt options", [jobs::prompt(), jobs::prompt_file(), jobs::image()])
            .flags(
                jobs::RUN_OPTIONS,
                jobs::codex_options().into_iter().chain([jobs::on()]).chain(jobs::concurrent_run_options()).chain([flags::codex()]),
            )
            .flags("Other", [jobs::new(), jobs::dry_run(), jobs::yes(), flags::codex_home()])
            .flags("Output options", jobs::output_options()),
        Command::verb("watch", "follow the sessions of a group", verbs::watch)
            .operands("NAME", &[Completes::Groups])
            .details(&[
                "This verb prints what codex-agent-watch(1) prints of the sessions of the group, for example those in the Codex TUI, and the new events of runs of the group, which take the place of the records of a session that a run uses. Sessions that are added to the group meanwhile are followed too.",
                "In a pipe, each event is one line with these columns, separated by TABs and never truncated: time, event, job, session, text; a line of a session also has the address of the turn or item.",
            ])
            .flags("Options", jobs::watch_options())
            .flags("Output options", jobs::output_options())
            .flags("Other", [flags::codex_home()]),
        Command::verb("log", "print the log of the last run of a group", verbs::log)
            .operands("NAME", &[Completes::Groups])
            .details(&["'codex-agent run list' lists earlier runs, and 'codex-agent run log RUN' prints the log of an earlier run."])
            .flags("Options", [flags::json("print events as JSON records, one per line"), jobs::answers()]),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-group")
        .description([
            "A group is a named set of sessions. Sessions are added from a pipe or as operands. Other tools can read a group: 'codex-agent ls --group NAME' lists the sessions of the group NAME.",
            "    codex-agent ls --json --under ~/src | codex-agent group add work",
            "A prompt can be sent to all sessions of a group concurrently, as the next turn of each session:",
            "    codex-agent group run work --prompt 'Rebase on main and run the tests'",
            "All groups are stored in one file, groups.json. Any number of processes may change this file concurrently; each change is atomic, even if a process crashes. A groups.json that cannot be parsed is never overwritten.",
            "NAME is the name of a group. If groups.json has two groups of the same name, the verbs report this, and accept the id of a group as NAME.",
        ])
        .commands(commands())
        .exit_status(&[
            (0, "Done."),
            (
                1,
                "One of these: the group does not exist, or a session does not exist, and nothing was changed; for run, a job failed, or the run was not confirmed.",
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
                "Add the newest session of any directory to a group, and show the group:",
                "codex-agent group add work @@ && codex-agent group show work",
            ),
            (
                "Add the sessions that a search finds, and pass their records to another program:",
                "codex-agent find login --json | codex-agent group add work --json | jq -r .cwd",
            ),
            (
                "Remove the archived sessions from a group:",
                "codex-agent ls --group work --archived=only --json | codex-agent group remove work",
            ),
            (
                "Copy the sessions of a group to another group:",
                "codex-agent ls --group work --archived --json | codex-agent group add 'work, kept'",
            ),
            ("Print the names of all groups:", "codex-agent group list | cut -f1"),
        ])
        .see_also("codex-agent(1) codex-agent-ls(1) codex-agent-find(1) codex-agent-records(5) codex-agent-files(5) codex-agent(7)".split(' '))
        .reads(&["session"])
        .writes("group session job item turn turn.started session.rolled_back session.status session.archived session.unarchived session.moved session.deleted".split(' '))
        .writes(manage::event_types())
}

fn main() -> ExitCode {
    cli::main(tool())
}
