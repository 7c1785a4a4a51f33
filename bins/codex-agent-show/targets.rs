//! The sessions, turns and items that the operands name.

use std::collections::HashSet;

use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::{Error, Result, warn};
use codex_agent_shared::query::{Archived, Filter, Query};
use codex_agent_shared::record::{Id, Session};
use codex_agent_shared::reference;

use super::Args;

/// A session, and the turn and the item that an address names.
pub(super) struct Target {
    pub(super) session: Session<'static>,
    pub(super) turn: Option<String>,
    pub(super) item: Option<u64>,
}

impl Target {
    fn of_session(session: Session<'static>) -> Target {
        Target { session, turn: None, item: None }
    }

    pub(super) fn id(&self) -> Result<Id> {
        self.session.id.ok_or_else(|| Error::new("cannot read a session that has no id"))
    }

    /// Whether the turn is named by Codex's id, which undone turns have too.
    pub(super) fn names_id(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.parse::<u64>().is_err())
    }

    /// Reports an address that does not exist; returns whether it does.
    pub(super) fn report_missing(&self, is_found: bool) -> bool {
        let (Some(turn), false) = (&self.turn, is_found) else { return true };
        let id = self.session.id.map(|id| id.to_string()).unwrap_or_default();
        match self.item {
            Some(item) => warn(format_args!(
                "session '{id}' has no item {item} of turn {turn}; 'codex-agent show {id}:{turn} --json' has the \
                 addresses of its items"
            )),
            None => warn(reference::no_turn(&id, turn)),
        }
        false
    }
}

/// The target of a reference or an address.
fn find(index: &mut Index, text: &str) -> Result<Target> {
    let (session, turn, item) = reference::resolve_address(index, text)?;
    Ok(Target { session, turn, item })
}

/// The targets of the operands, of standard input and of the options.
pub(super) fn find_all(args: &Args, index: &mut Index) -> Result<Vec<Target>> {
    if let Some(around) = &args.own.around {
        let target = find(index, around)?;
        return match target.turn {
            Some(_) => Ok(vec![target]),
            None => Err(Error::usage(format!(
                "invalid value '{around}' for '--around': expected SESSION:TURN:ITEM or SESSION:TURN"
            ))),
        };
    }
    let mut targets = Vec::new();
    if let Some(session) = args.common.selection.one(index, &args.operands, false)? {
        targets.push(Target::of_session(session));
    } else {
        for operand in args.operands.iter().filter(|operand| *operand != "-") {
            targets.push(find(index, operand)?);
        }
        if reference::reads_stdin(&args.operands)? {
            reference::each_of_stdin(reference::address_in, &mut |text| {
                targets.push(find(index, text)?);
                Ok(())
            })?;
        }
    }
    match args.own.subagents {
        true => with_subagents(index, targets),
        false => Ok(targets),
    }
}

/// The targets, and behind each its subagents with theirs, the oldest first.
fn with_subagents(index: &mut Index, targets: Vec<Target>) -> Result<Vec<Target>> {
    let mut agents: Vec<Session<'static>> = Vec::new();
    let filter = Filter { subagents: true, archived: Archived::With, ..Filter::default() };
    index.list(&Query { filter, full: true, ..Query::default() }, &mut |session| {
        if session.is_subagent() {
            agents.push(session.clone().into_owned());
        }
        Ok(())
    })?;
    agents.sort_by_key(|session| (session.created_at, session.id));
    let mut seen: HashSet<Id> = targets.iter().filter_map(|target| target.session.id).collect();
    let mut all = Vec::new();
    for target in targets {
        let mut open = vec![target];
        while let Some(target) = open.pop() {
            let of = target.session.id;
            all.push(target);
            let is_child = |one: &&Session<'static>| {
                of.is_some() && one.subagent.as_ref().is_some_and(|agent| agent.parent == of)
            };
            let children = agents.iter().filter(is_child);
            let children: Vec<_> = children.filter(|one| one.id.is_some_and(|id| seen.insert(id))).collect();
            open.extend(children.into_iter().rev().map(|one| Target::of_session(one.clone())));
        }
    }
    Ok(all)
}
