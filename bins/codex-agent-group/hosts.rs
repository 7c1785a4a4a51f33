//! The sessions of a group on other machines.

use codex_agent_shared::cli::remote::{Order, Remote, find_one};
use codex_agent_shared::error::{Error, Exit, Result, warn};
use codex_agent_shared::group::{Group, Member};
use codex_agent_shared::host::{HERE, Host};
use codex_agent_shared::output::Shape;
use codex_agent_shared::record::{Id, Session};
use codex_agent_shared::reference::Address;

use super::Args;

/// The host with this name, which a record or a group has. Only a host of config.toml is one: a record could name any.
pub(super) fn named(name: &str) -> Result<Host> {
    Host::configured(name)?.ok_or_else(|| {
        Error::new(format!("there is no host '{name}' in config.toml"))
            .hint(format!("'codex-agent config set host.{name}.via \"ssh {name}\"' adds the host"))
    })
}

/// The entry of a session on a host. An id that comes from the host, or is not to be checked, is not looked up.
pub(super) fn resolve(host: &Host, text: &str, is_unchecked: bool) -> Result<String> {
    // Rows of codex-agent-grep have an address.
    let reference = Address::parse(text).map_or(text, |address| address.session);
    let id = match Id::parse(reference) {
        Some(id) => Some(id),
        None if is_unchecked => {
            return Err(Error::usage(format!(
                "--unchecked needs full ids of sessions: '{reference}' is not a full id"
            )));
        }
        None => find_one(host, reference)?.id,
    };
    Ok(id.map(|id| format!("{}:{id}", host.name)).unwrap_or_default())
}

/// The entry of a session of a group on a host: by its id, or by the beginning or the end of it.
pub(super) fn member(group: &Group, host: &Host, text: &str) -> Result<String> {
    let reference = Address::parse(text).map_or(text, |address| address.session);
    if let Some(id) = Id::parse(reference) {
        return Ok(format!("{}:{id}", host.name));
    }
    let part = reference.strip_prefix("id:").unwrap_or(reference).to_lowercase();
    let matches = |member: &Member<'_>| {
        let id = member.id.to_lowercase();
        member.host == Some(&host.name) && part.len() >= 4 && (id.starts_with(&part) || id.ends_with(&part))
    };
    let mut found = group.members().filter(matches);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(format!("{}:{}", host.name, only.id)),
        _ => resolve(host, text, false),
    }
}

/// The session of an entry on a host, which is asked; `None` for one of this machine.
pub(super) fn session(entry: &str) -> Result<Option<Session<'static>>> {
    let Member { host: Some(host), id, .. } = Member::parse(entry) else { return Ok(None) };
    find_one(&named(host)?, id).map(Some)
}

/// The sessions of a group on hosts.
pub(super) struct There {
    pub(super) sessions: Vec<Session<'static>>,
    pub(super) exit: Exit,
}

impl There {
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

/// A session of this machine beside those of others.
pub(super) fn of_here<'s>(session: &Session<'s>) -> Session<'s> {
    let mut session = session.clone();
    session.host = Some(HERE.into());
    session
}

/// Asks the hosts for the sessions of a group on them, in the order of the group. Of a session that its host does not
/// have, or whose host does not answer, only the id is known.
pub(super) fn find(args: &Args, group: &Group, shape: &Shape) -> Result<There> {
    let mut asked: Vec<(Host, Vec<String>)> = Vec::new();
    let mut exit = Exit::Done;
    for Member { host, id, .. } in group.members() {
        let Some(name) = host else { continue };
        match asked.iter_mut().find(|(host, _)| host.name == name) {
            Some((_, ids)) => ids.push(id.to_owned()),
            None => match named(name) {
                Ok(host) => asked.push((host, vec![id.to_owned()])),
                Err(error) => {
                    warn(error.message());
                    exit = Exit::Trouble;
                }
            },
        }
    }
    let mut sessions = Vec::new();
    if !group.host_sessions.is_empty() {
        let (found, answered) = Remote::of_sessions(&args.common, asked).sessions(shape, Order::Listed)?;
        exit = if answered == Exit::Trouble { Exit::Trouble } else { exit };
        for Member { host, id, .. } in group.members().filter(|member| member.host.is_some()) {
            let id = Id::parse(id);
            let is_same = |session: &Session<'_>| session.id == id && session.host.as_deref() == host;
            let known = found.iter().map(|found| &found.session).find(|session| is_same(session));
            sessions.push(known.cloned().unwrap_or_else(|| {
                let mut session = id.map(Session::with_id).unwrap_or_default();
                session.host = host.map(|host| host.to_owned().into());
                session.title = shape.is_table().then_some("(unknown)".into());
                session
            }));
        }
    }
    Ok(There { sessions, exit })
}
