//! The sessions that other machines find.

use codex_agent_shared::cli;
use codex_agent_shared::cli::remote::{Order, Remote, print_found};
use codex_agent_shared::error::{Exit, Result};
use codex_agent_shared::output::Shape;
use codex_agent_shared::query::Sort;
use codex_agent_shared::record::Session;
use codex_agent_shared::reference;
use codex_agent_shared::text::lowered;

use super::Args;

/// Finds the sessions of hosts.
pub(super) fn find(
    args: &Args,
    remote: Remote<'_>,
    shape: Shape,
    reads: bool,
    operands: &[&str],
) -> Result<Exit> {
    let selection = &args.common.selection;
    let is_page = selection.limit.is_some() || selection.offset > 0 || selection.sort.is_some();
    let is_chosen = args.own.last || args.own.one;
    if selection.count && !is_chosen {
        let (count, exit) = remote.count()?;
        return cli::print(&format!("{count}\n")).map(|_| exit);
    }
    if reads && shape.json && shape.fields.is_none() && !is_page && !is_chosen {
        return remote.stream_sessions();
    }
    let order = match selection.sort {
        Some(sort) => Order::Sorted(sort),
        None if args.own.last => Order::Sorted(Sort::default()),
        None if reads => Order::Listed,
        None => Order::Ranked,
    };
    let (mut found, exit) = remote.sessions(&shape, order)?;
    if args.own.one && found.len() > 1 {
        let sessions: Vec<Session<'_>> = found.into_iter().map(|found| found.session).collect();
        return Err(reference::ambiguous_error(&operands.join(" "), &sessions));
    }
    if args.own.last {
        found.truncate(1);
    }
    if selection.count {
        return cli::print(&format!("{}\n", found.len())).map(|_| exit);
    }
    let words: Vec<String> = operands.iter().map(|word| lowered(word).into_owned()).collect();
    print_found(&found, shape, &words)?;
    Ok(exit)
}
