//! The verbs of codex-agent-group.

use std::collections::HashSet;
use std::io;

use codex_agent_engine::commands::{manage, send, watch};
use codex_agent_shared::codex::index::Index;
use codex_agent_shared::error::{Error, Exit, Result, status, warn};
use codex_agent_shared::group::{Group, Groups, check_name};
use codex_agent_shared::host::{Host, split_reference};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::{Listing, Rows, Sessions};
use codex_agent_shared::query::{Archived, Filter, Query};
use codex_agent_shared::record::{Field, Id, RawRecord, Session};
use codex_agent_shared::reference::{self, Input, Inputs};
use codex_agent_shared::store::Changed;
use codex_agent_shared::terminal::{Cell, Look, Table, columns, page};
use codex_agent_shared::text::{cell, counted, quoted};
use codex_agent_shared::time::Timestamp;

use super::{Args, MORE, group_name, hosts};

fn only_one(args: &Args) -> Result<&str> {
    match args.operands.get(1) {
        None => group_name(args),
        Some(extra) => Err(Error::usage(format!("unexpected operand '{extra}'"))),
    }
}

/// Prints the records of groups with --json.
fn print_groups(args: &Args, groups: &[Group]) -> Result<Exit> {
    let mut output = Output::stdout();
    groups.iter().filter(|_| args.common.json).try_for_each(|group| output.record(&group.record()))?;
    output.flush().map(|()| Exit::Done)
}

fn refuse_taken(groups: &Groups, name: &str) -> Result<()> {
    if groups.groups.iter().any(|group| group.name == name) {
        return Err(Error::new(format!("group '{name}' exists already"))
            .hint(format!("'codex-agent group add {}' adds sessions to the group", quoted(name))));
    }
    Ok(())
}

pub(super) fn create(args: Args) -> Result<Exit> {
    let name = only_one(&args)?;
    check_name(name)?;
    let group = Groups::update(|groups| {
        refuse_taken(groups, name)?;
        let group = Group::new(name, args.own.description.clone());
        groups.groups.push(group.clone());
        Ok((group, Changed::Yes))
    })?;
    status(format_args!("created group '{name}'"));
    print_groups(&args, &[group])
}

pub(super) fn list(args: Args) -> Result<Exit> {
    let shape = args.common.shape_of(&["group"], MORE)?;
    let groups = Groups::read()?.groups;
    let table = Table::new()
        .column("NAME", Look::Plain)
        .most(40)
        .gives_way(2, 8)
        .column("SESSIONS", Look::Plain)
        .column("UPDATED", Look::Dim)
        .column("STATE", Look::Dim)
        .optional(3, 6)
        .column("DESCRIPTION", Look::Plain)
        .optional(1, 1);
    let mut listing = Listing::new(shape, table);
    for group in &groups {
        let count = group.count();
        let number = count.to_string();
        let paused = if group.paused { "paused" } else { "" };
        let description = || group.description.clone().unwrap_or_default();
        let plain = || {
            let (name, updated, id) = (group.name.clone(), group.updated_at.clone(), group.id.clone());
            vec![name, number.clone(), paused.to_owned(), updated, id, description()]
        };
        let table = |now| {
            let updated = Timestamp::parse(&group.updated_at).map(|at| at.age(now)).unwrap_or_default();
            let cells = [Cell::number(count), updated.into(), Cell::state(paused), description().into()];
            std::iter::once(group.name.clone().into()).chain(cells).collect()
        };
        listing.add(&group.record(), &[("count", &number), ("paused", paused)], Rows { plain, table })?;
    }
    listing.finish()?;
    Ok(Exit::Done)
}

pub(super) fn watch(args: Args) -> Result<Exit> {
    let name = only_one(&args)?;
    let (id, name) = {
        let groups = Groups::read()?;
        let group = groups.find(name)?;
        (group.id.clone(), group.name.clone())
    };
    let options = args.jobs.show_options(&args.common)?;
    args.jobs.watch.check()?;
    let from = args.jobs.watch.from();
    let mut known = HashSet::new();
    watch::watch_sessions(Some(&name), &args.common, options, &args.jobs.watch, &mut |watch, style| {
        let groups = Groups::read()?;
        let group = groups.groups.iter().find(|group| group.id == id);
        let members = group.map(Group::sessions).unwrap_or_default();
        let new: Vec<Id> = members.iter().copied().filter(|id| known.insert(*id)).collect();
        if !new.is_empty() {
            let filter = Filter {
                ids: Some(new.clone()),
                archived: Archived::With,
                subagents: true,
                ..Filter::default()
            };
            args.common.index()?.list(&Query { filter, ..Query::default() }, &mut |session| {
                style.titles.extend(session.id.map(|id| (id, session.label().to_owned())));
                Ok(())
            })?;
        }
        watch.add(new.into_iter().map(|id| (id, from.clone())));
        Ok(members.len())
    })
}

pub(super) fn log(args: Args) -> Result<Exit> {
    let name = only_one(&args)?;
    // Runs have the name of their group, so that a deleted group may still have some.
    let groups = Groups::read()?;
    let found = groups.find(name);
    let name = found.as_ref().map_or(name, |group| group.name.as_str());
    let Some(folder) = manage::find_runs("group", name, |_| true)?.into_iter().next() else {
        found?;
        return Err(Error::not_found(format!("group '{name}' has never been run"))
            .hint(format!("'codex-agent group run {} --prompt TEXT' runs the group", quoted(name))));
    };
    if !args.common.no_pager {
        page();
    }
    watch::log(&folder, args.jobs.show_options(&args.common)?)?;
    Ok(Exit::Done)
}

pub(super) fn show(args: Args) -> Result<Exit> {
    let name = only_one(&args)?;
    let groups = Groups::read()?;
    let group = groups.find(name)?;
    let shape = args.common.shape()?;
    if shape.json && shape.fields.is_none() {
        return print_groups(&args, std::slice::from_ref(group));
    }
    let is_chosen = shape.fields.is_some();
    let filter = Filter {
        ids: Some(group.sessions()),
        archived: Archived::With,
        subagents: true,
        ..Filter::default()
    };
    let query = Query { filter, fields: shape.needed(), full: args.common.full, ..Query::default() };
    let mut found = HashSet::new();
    let (mut left, is_table) = (shape.limit.unwrap_or(usize::MAX), shape.is_table());
    // An empty group needs no home of Codex.
    let mut index = (!group.session_ids.is_empty()).then(|| args.common.index()).transpose()?;
    let there = hosts::find(&args, group, &shape)?;
    let rows = Sessions::new(shape);
    let rows = if there.is_empty() { rows } else { rows.with_hosts() };
    let mut rows = match &index {
        Some(index) => rows.completed_by(index),
        None => rows,
    };
    if !is_chosen {
        let paused = if group.paused { ", paused" } else { "" };
        rows.heading(&format!("{}: {}{paused}", cell(&group.name, 200), sessions(group.count())))?;
        if let Some(description) = &group.description {
            rows.heading(&cell(description, columns()))?;
        }
    }
    let mut write = |session: &Session<'_>| {
        if left == 0 {
            return Ok(());
        }
        left -= 1;
        rows.write(session)
    };
    if let Some(index) = &mut index {
        index.list(&query, &mut |session| {
            found.insert(session.id);
            match there.is_empty() {
                true => write(session),
                false => write(&hosts::of_here(session)),
            }
        })?;
    }
    for id in &group.session_ids {
        match Id::parse(id) {
            Some(id) if found.contains(&Some(id)) => {}
            Some(id) => {
                let mut session = Session::with_id(id);
                session.title = is_table.then_some("(Codex has no such session)".into());
                write(&session)?;
            }
            None => warn(format_args!("'{id}' in group '{name}' is not the id of a session")),
        }
    }
    for session in &there.sessions {
        write(session)?;
    }
    rows.finish()?;
    Ok(there.exit)
}

/// The input of `add` and `remove`.
#[derive(Default)]
struct Selection {
    /// The ids of the operands, followed by those of standard input.
    ids: Vec<String>,
    /// The number of ids of operands.
    operands: usize,
    /// The records of standard input that are printed with --json.
    records: Vec<RawRecord>,
}

/// Reads the operands and, if there are none or one is '-', standard input. `resolve` returns the id for a reference; its
/// second argument is true for the id of a record.
/// `there` is the same for a reference on a host.
fn read_selection(
    args: &Args,
    mut resolve: impl FnMut(&str, bool) -> Result<String>,
    there: impl Fn(&Host, &str) -> Result<String>,
) -> Result<Selection> {
    let mut resolve = |text: &str, host: Option<String>, is_record: bool| match host {
        Some(name) => there(&hosts::named(&name)?, text),
        None if is_record => resolve(text, true),
        None => match split_reference(text, &[])? {
            Some((host, reference)) => there(&host, reference),
            None => resolve(text, false),
        },
    };
    let mut selection = Selection::default();
    let references = &args.operands[1..];
    if args.common.selection.is_given() {
        let mut index = args.common.index()?;
        let found = args.common.selection.all(&mut index, references, Archived::No);
        let found = found.map_err(|error| error.hint("nothing was changed"))?.unwrap_or_default();
        selection.ids = found.iter().filter_map(|session| Some(session.id?.to_string())).collect();
        selection.operands = selection.ids.len();
        return Ok(selection);
    }
    let reads = reference::reads_stdin(references)?;
    for text in references.iter().filter(|text| *text != "-") {
        selection.ids.push(resolve(text, None, false)?);
    }
    selection.operands = selection.ids.len();
    if !reads {
        return Ok(selection);
    }
    let mut inputs = Inputs::new("stdin", io::stdin().lock());
    while let Some(next) = inputs.next() {
        let (at, input) = next.map_err(|failure| failure.error.hint("nothing was changed"))?;
        let place = |error: Error| error.within(format_args!("stdin:{at}")).hint("nothing was changed");
        let record = match input {
            Input::Text(text) => {
                selection.ids.push(resolve(&text, None, false).map_err(place)?);
                None
            }
            Input::Record(record) => {
                let id = record.id.as_deref().unwrap_or("");
                selection.ids.push(resolve(id, reference::host_in(&record), true).map_err(place)?);
                Some(record)
            }
            Input::Other(record) => match reference::match_session(&record) {
                // Several matches may be in one session.
                Some(id) => {
                    selection.ids.push(resolve(&id, reference::host_in(&record), false).map_err(place)?);
                    None
                }
                None => Some(record),
            },
        };
        selection.records.extend(record.filter(|_| args.common.json));
    }
    Ok(selection)
}

/// The index of sessions, opened at the first use.
fn opened<'i>(index: &'i mut Option<Index>, args: &Args) -> Result<&'i mut Index> {
    Ok(match index {
        Some(index) => index,
        None => index.insert(args.common.index()?),
    })
}

fn resolve(index: &mut Index, reference: &str) -> Result<String> {
    // Rows of codex-agent-grep begin with an address.
    let (session, ..) = reference::resolve_address(index, reference)?;
    Ok(session.id.map(|id| id.to_string()).unwrap_or_default())
}

/// With --json prints the records of the operands that Codex has, and the records of standard input unchanged.
fn print_selection(args: &Args, index: &mut Option<Index>, selection: &Selection) -> Result<Exit> {
    let mut output = Output::stdout();
    let mut print = || {
        for entry in &selection.ids[..selection.operands] {
            if let Some(session) = hosts::session(entry)? {
                output.record(&session)?;
            }
            let Some(id) = Id::parse(entry) else { continue };
            if let Some(session) = opened(index, args)?.get(id)? {
                output.record(&session)?;
            }
        }
        selection.records.iter().try_for_each(|record| output.record(&record.text))?;
        output.flush()
    };
    if args.common.json {
        print().map_err(|error| error.hint("the change of the group itself was saved"))?;
    }
    Ok(Exit::Done)
}

fn sessions(count: usize) -> String {
    counted(count, "session")
}

pub(super) fn add(args: Args) -> Result<Exit> {
    let name = group_name(&args)?.to_owned();
    let mut index = None;
    let resolve = |text: &str, is_record: bool| {
        let id = Id::parse(text);
        if args.own.unchecked {
            return id.map(|id| id.to_string()).ok_or_else(|| {
                Error::usage(format!("--unchecked needs full ids of sessions: '{text}' is not a full id"))
            });
        }
        let index = opened(&mut index, &args)?;
        match id {
            Some(id) if index.ids()?.binary_search(&id).is_ok() => Ok(id.to_string()),
            Some(id) => Err(Error::not_found(format!("Codex has no session '{id}'"))
                .hint("HOST:ID is a session of a host")
                .hint("--unchecked adds ids of sessions of another machine")),
            None if is_record => Err(Error::new(format!("invalid id '{text}' in a session record"))),
            None => resolve(index, text),
        }
    };
    let selection =
        read_selection(&args, resolve, |host, text| hosts::resolve(host, text, args.own.unchecked))?;
    if selection.ids.is_empty() && !args.own.existing && Groups::read()?.position(&name)?.is_none() {
        status(format_args!(
            "no sessions were read, so group '{name}' was not created; 'codex-agent group create' creates an empty group"
        ));
        return print_selection(&args, &mut index, &selection);
    }
    let (made, added, all) = Groups::update(|groups| {
        let (at, made) = match groups.position(&name)? {
            Some(at) => (at, false),
            None if args.own.existing => (groups.index_of(&name)?, false),
            None => {
                check_name(&name)?;
                groups.groups.push(Group::new(&name, None));
                (groups.groups.len() - 1, true)
            }
        };
        let group = &mut groups.groups[at];
        let added = group.add(&selection.ids);
        if added > 0 {
            group.touch();
        }
        let changed = if made || added > 0 { Changed::Yes } else { Changed::No };
        Ok(((made, added, group.count()), changed))
    })?;
    let made = if made { "created group and " } else { "" };
    let present = match selection.ids.iter().collect::<HashSet<_>>().len() - added {
        0 => String::new(),
        present => format!(", {present} already in it"),
    };
    status(format_args!("{made}added {} to '{name}'{present}; {all} in all", sessions(added)));
    print_selection(&args, &mut index, &selection)
}

pub(super) fn remove(args: Args) -> Result<Exit> {
    let name = group_name(&args)?.to_owned();
    let groups = Groups::read()?;
    let group = groups.find(&name)?;
    let members = &group.session_ids;
    let mut index = None;
    let resolve = |text: &str, _| {
        if let Some(id) = Id::parse(text) {
            return Ok(id.to_string());
        }
        if members.iter().any(|member| member == text) {
            return Ok(text.to_owned());
        }
        let index = opened(&mut index, &args)?;
        // Only the group has the id of a session that Codex does not have any more.
        if reference::matching(index, text)?.is_empty() {
            let part = text.strip_prefix("id:").unwrap_or(text).to_lowercase();
            let matches = |id: &&String| {
                let id = id.to_lowercase();
                part.len() >= 4 && (id.starts_with(&part) || id.ends_with(&part))
            };
            let mut found = members.iter().filter(matches);
            if let (Some(only), None) = (found.next(), found.next()) {
                return Ok(only.clone());
            }
        }
        resolve(index, text)
    };
    let mut selection = read_selection(&args, resolve, |host, text| hosts::member(group, host, text))?;
    if args.common.selection.is_given() {
        selection.ids.retain(|id| members.contains(id));
        selection.operands = selection.ids.len();
    }
    let (removed, absent, all) = Groups::update(|groups| {
        let group = groups.find_mut(&name)?;
        let (removed, absent) = group.remove(&selection.ids);
        if removed > 0 {
            group.touch();
        }
        let changed = if removed > 0 { Changed::Yes } else { Changed::No };
        Ok(((removed, absent, group.count()), changed))
    })?;
    let absent = match absent {
        0 => String::new(),
        absent => format!(", {absent} not in it"),
    };
    status(format_args!("removed {} from '{name}'{absent}; {all} left", sessions(removed)));
    print_selection(&args, &mut index, &selection)
}

pub(super) fn rename(args: Args) -> Result<Exit> {
    let name = group_name(&args)?.to_owned();
    let Some(new) = args.operands.get(1) else { return Err(Error::usage("the group's new name is missing")) };
    if let Some(extra) = args.operands.get(2) {
        return Err(Error::usage(format!("unexpected operand '{extra}'")).hint("quote a name with blanks"));
    }
    check_name(new)?;
    let group = Groups::update(|groups| {
        let group = groups.find(&name)?;
        if group.name == *new {
            return Ok((group.clone(), Changed::No));
        }
        refuse_taken(groups, new)?;
        let group = groups.find_mut(&name)?;
        group.name.clone_from(new);
        group.touch();
        Ok((group.clone(), Changed::Yes))
    })?;
    status(format_args!("renamed group '{name}' to '{new}'"));
    print_groups(&args, &[group])
}

pub(super) fn delete(args: Args) -> Result<Exit> {
    group_name(&args)?;
    let gone = Groups::update(|groups| {
        let mut places = Vec::new();
        for name in &args.operands {
            places.push(groups.index_of(name)?);
        }
        places.sort_unstable();
        places.dedup();
        let gone: Vec<Group> = places.iter().rev().map(|at| groups.groups.remove(*at)).collect();
        Ok((gone, Changed::Yes))
    })?;
    for group in &gone {
        status(format_args!("deleted group '{}' of {}", group.name, sessions(group.count())));
    }
    print_groups(&args, &gone)
}

pub(super) fn set_paused(args: &Args, paused: bool) -> Result<Exit> {
    group_name(args)?;
    let groups = Groups::update(|groups| {
        let mut changed = Changed::No;
        let mut touched = Vec::new();
        for name in &args.operands {
            let group = groups.find_mut(name)?;
            if group.paused != paused {
                group.paused = paused;
                group.touch();
                changed = Changed::Yes;
            }
            touched.push(group.clone());
        }
        Ok((touched, changed))
    })?;
    for group in &groups {
        status(format_args!(
            "group '{}' is {}",
            group.name,
            if paused { "paused" } else { "no longer paused" }
        ));
    }
    print_groups(args, &groups)
}

pub(super) fn run(args: Args) -> Result<Exit> {
    let name = only_one(&args).map_err(|error| match args.operands.get(1..) {
        Some(words) if !words.is_empty() && !args.jobs.has_prompt() => {
            error.hint(format!("--prompt {} sends this text", quoted(&words.join(" "))))
        }
        _ => error,
    })?;
    let groups = Groups::read()?;
    let group = groups.find(name)?;
    if group.paused {
        let word = quoted(name);
        warn(format_args!("group '{name}' is paused; 'codex-agent group unpause {word}' ends the pause"));
        return Ok(Exit::WorkLeft);
    }
    if let Some(invalid) = group.session_ids.iter().find(|id| Id::parse(id).is_none()) {
        return Err(Error::new(format!(
            "'{invalid}' in group '{name}' is not the id of a session; nothing was started"
        ))
        .hint(format!(
            "'codex-agent group remove {} {}' removes the entry",
            quoted(name),
            quoted(invalid)
        )));
    }
    // Without duplicates, which an edited file may have.
    let mut seen = HashSet::new();
    let members = group.members().filter_map(|member| {
        let target = send::Target { id: Id::parse(member.id)?, host: member.host.map(str::to_owned) };
        seen.insert(target.clone()).then_some(target)
    });
    let targets: Vec<send::Target> = members.collect();
    if targets.is_empty() {
        status(format_args!("group '{name}' has no sessions; nothing was started"));
        return Ok(Exit::Done);
    }
    let here = targets.iter().filter(|target| target.host.is_none() && args.jobs.on.is_none());
    warn_of_archived(&args, name, &here.map(|target| target.id).collect::<Vec<Id>>())?;
    send::send_prompt("group", &group.name, &targets, &args.common, &args.jobs)
}

/// Reports the archived sessions, of which a run would fail.
fn warn_of_archived(args: &Args, group: &str, sessions: &[Id]) -> Result<()> {
    if sessions.is_empty() {
        return Ok(());
    }
    let mut ids = sessions.to_vec();
    ids.sort_unstable();
    let filter = Filter { ids: Some(ids), archived: Archived::Only, subagents: true, ..Filter::default() };
    let query = Query { filter, fields: vec![Field::Id], ..Query::default() };
    let count = args.common.index()?.list(&query, &mut |_| Ok(()))?;
    if count > 0 {
        let (of, are) = (sessions.len(), if count == 1 { "is" } else { "are" });
        let hint =
            format!("'codex-agent ls --group {} --archived=only' lists the archived ones", quoted(group));
        warn(format_args!(
            "{count} of {} {are} archived, and cannot be resumed; {hint}",
            counted(of, "session")
        ));
    }
    Ok(())
}
