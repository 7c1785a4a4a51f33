//! codex-agent-watch: follow Codex sessions while they are written.

use std::collections::HashMap;
use std::process::ExitCode;

use codex_agent_engine::commands::flags as jobs;
use codex_agent_engine::commands::watch::watch_sessions;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Tool, filters, flags};
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::query::{Filter, Query};
use codex_agent_shared::record::{Id, Session};
use codex_agent_shared::reference;
use codex_agent_shared::watch::From;

type Args = jobs::Args;

/// The number of seconds for which a new session that cannot be read yet is looked for.
const BIRTH: u32 = 60;

fn tool() -> Tool {
    Tool::ours("codex-agent-watch")
        .description([
            "Follows sessions: prints each message, command, output and patch as soon as Codex has written it, the starts and ends of turns, and changes of the sessions. Any number of sessions are followed at a time, in any program that runs them, such as the Codex TUI, an editor or 'codex exec'; only their rollouts are read.",
            "REF is a reference to a session; see codex-agent(7). A session is followed from now on; with -n, its last turns are printed first, those of several sessions in the order of their times. An address, SESSION:TURN or SESSION:TURN:ITEM, prints the transcript from that point on, which may be in the future, and follows the session. Without REF, all sessions that the filters select are followed, also those that are made later; archived sessions and subagents only if the filters say so. With '-', references and addresses are read from standard input: session records, JSON strings, or lines up to their first TAB.",
            "    codex-agent watch @ --until idle --exit-status",
            "On a terminal each line has the time, the last digits of the session's id, and its title. A line for a turn has its status, duration and tokens. In a pipe, each record is one line with these columns, separated by TABs and never truncated: time, event (the role of an item, or the type of another record), job (empty), session, text, address. With --color=always, a pipe gets the lines of a terminal, in colour.",
            "A session is followed wherever Codex moves its file, also if it is archived, compressed, migrated or reverted. Turns of a transcript of more than 8 MiB have no numbers, unless an address is given. The records of an item that was complete before the command began are not printed; those of a call that ends later are.",
            "The command ends by Ctrl-C, when its output is closed, when no session is left, or by --until.",
        ])
        .command(
            Command::new(run)
                .operands("[REF...] [-]", &[Completes::Sessions])
                .flags("Options", jobs::watch_options())
                .flags("Filters", filters::filters().into_iter().filter(|flag| !["until", "on"].contains(&flag.long())))
                .flags("Output options", [flags::json("print the records of items, turns and sessions, one per line"), flags::color()])
                .flags("Sources", [flags::codex_home(), flags::no_database()]),
        )
        .exit_status(&[
            (0, "The condition of --until holds, or no session is left."),
            (1, "A session does not exist; with --exit-status, the last turn of a session failed or was interrupted."),
            (2, "Bad usage, an ambiguous reference, or an error with a file."),
            (130, "The command was interrupted."),
        ])
        .files(&[("~/.codex/sessions/, ~/.codex/archived_sessions/", "The rollouts of sessions.")])
        .examples(&[
            ("Follow all sessions:", "codex-agent watch"),
            ("Follow the newest session of the current directory, after its last turn:", "codex-agent watch @ -n 1"),
            ("Wait until a session has finished its turn, and fail if the turn failed:", "codex-agent watch @ --until idle --exit-status"),
            ("Print only the messages of the sessions of a repository:", "codex-agent watch --repo . --only user,assistant"),
            ("Ring a bell at the end of each turn:", "codex-agent watch --json --only turn | jq -r --unbuffered 'select(.type == \"turn\") | \"\\u0007\\(.session) \\(.status)\"'"),
        ])
        .see_also("codex-agent(1) codex-agent-group(1) codex-agent-ls(1) codex-agent-run(1) codex-agent-show(1) codex-agent-status(1) codex-agent-records(5) codex-agent(7)".split(' '))
        .reads(&["session"])
        .writes("item turn turn.started session.rolled_back session.status session.archived session.unarchived session.moved session.deleted".split(' '))
}

fn main() -> ExitCode {
    cli::main(tool())
}

/// The sessions of a watch without operands.
struct All {
    filter: Filter,
    /// The new sessions that could not be read yet, and how often.
    unborn: HashMap<Id, u32>,
}

fn run(mut args: Args) -> Result<Exit> {
    args.jobs.watch.check()?;
    let options = args.jobs.show_options(&args.common)?;
    let from = args.jobs.watch.from();
    let mut index = args.common.index()?;
    let mut found: Vec<(Session<'static>, From)> = Vec::new();
    let mut all = None;
    if args.operands.is_empty() {
        let filter = args.common.selection.filter(&mut index)?;
        index.list(&Query { filter: filter.clone(), ..Query::default() }, &mut |session| {
            found.push((session.clone().into_owned(), from.clone()));
            Ok(())
        })?;
        if found.is_empty() {
            args.common.selection.note_none(&mut index, "no session matches the filters yet")?;
        }
        all = Some(All { filter, unborn: HashMap::new() });
    } else {
        if args.common.selection.is_given() {
            return Err(Error::usage("filters of sessions cannot be combined with REF"));
        }
        reference::each_operand(&args.operands, reference::address_in, &mut |text| {
            let (session, turn, item) = reference::resolve_address(&mut index, text)?;
            let from = turn.map_or_else(|| from.clone(), |turn| From::Address { turn, item });
            found.push((session, from));
            Ok(())
        })?;
    }
    drop(index);
    args.jobs.watch.finds_new = all.is_some();
    let is_one = all.is_none() && found.len() < 2;
    let mut found = Some(found);
    watch_sessions(None, &args.common, options, &args.jobs.watch, &mut |watch, style| {
        style.is_tagged = !is_one;
        if let Some(found) = found.take() {
            let with_id = || found.iter().filter_map(|(session, from)| Some((session.id?, session, from)));
            style.titles.extend(with_id().map(|(id, session, _)| (id, session.label().to_owned())));
            watch.add(with_id().map(|(id, _, from)| (id, from.clone())));
        }
        if let Some(all) = &mut all {
            watch.find_new();
            let new = watch.new_sessions();
            all.unborn.extend(new.into_iter().map(|id| (id, 0)));
            if !all.unborn.is_empty() {
                let may_be = |id: &Id| all.filter.ids.as_ref().is_none_or(|ids| ids.contains(id));
                let mut ids: Vec<Id> = all.unborn.keys().copied().filter(may_be).collect();
                ids.sort_unstable();
                let filter = Filter { ids: Some(ids), ..all.filter.clone() };
                let mut born = Vec::new();
                args.common.index()?.list(&Query { filter, ..Query::default() }, &mut |session| {
                    style.titles.extend(session.id.map(|id| (id, session.label().to_owned())));
                    born.extend(session.id);
                    Ok(())
                })?;
                all.unborn.retain(|id, tries| {
                    *tries += 1;
                    *tries < BIRTH && !born.contains(id)
                });
                watch.add_new(born);
            }
        }
        Ok(watch.sessions().count())
    })
}
