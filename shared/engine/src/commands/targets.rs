//! The sessions that get a prompt, where a host may have them.
//!
//! A session of a host is named by `HOST:REF`, by a record with the field `host`, or by a reference beside the only host
//! of `--on`. The host is asked for a reference that is no complete id.

use std::io;

use serde::Deserialize;

use crate::commands::flags::Jobs;
use codex_agent_shared::cli::remote::{find_one, stdin_names_host};
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::host::{HERE, Host, split_reference};
use codex_agent_shared::record::{Id, RawRecord};
use codex_agent_shared::reference::{Input, Inputs, match_session, reads_stdin};

/// A session that gets a prompt, and the host that has it; `None` for a session of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The session.
    pub id: Id,
    /// The host.
    pub host: Option<String>,
}

impl Target {
    /// Sessions of this machine.
    pub fn here(sessions: &[Id]) -> Vec<Target> {
        sessions.iter().map(|id| Target { id: *id, host: None }).collect()
    }
}

/// The targets that the operands and standard input name; `None` if none of them is on a host, so that references of
/// this machine are meant.
pub fn find_targets(operands: &[String], jobs: &Jobs) -> Result<Option<Vec<Target>>> {
    let named: Vec<Host> = match &jobs.on {
        Some(list) => list.hosts()?.into_iter().map(|(host, _)| host).collect(),
        None => Vec::new(),
    };
    let reads = reads_stdin(operands)?;
    let texts = || operands.iter().filter(|operand| *operand != "-");
    let mut is_remote = jobs.on.is_some() || (reads && stdin_names_host());
    for text in texts() {
        is_remote = is_remote || split_reference(text, &named)?.is_some();
    }
    if !is_remote {
        return Ok(None);
    }
    let mut targets = Vec::new();
    texts().try_for_each(|text| parse(text, &named).map(|target| targets.push(target)))?;
    if reads {
        read_stdin(&named, &mut targets)?;
    }
    let mut seen = std::collections::HashSet::new();
    targets.retain(|target| seen.insert((target.id, target.host.clone())));
    Ok(Some(targets))
}

fn read_stdin(named: &[Host], targets: &mut Vec<Target>) -> Result<()> {
    let mut inputs = Inputs::new("stdin", io::stdin().lock());
    while let Some(next) = inputs.next() {
        let (line, input) = next.map_err(|failure| failure.error)?;
        let target = match input {
            Input::Text(text) if text.is_empty() => continue,
            Input::Text(text) => parse(&text, named),
            Input::Record(record) => of_record(&record, record.id.clone().unwrap_or_default(), named),
            Input::Other(record) => match match_session(&record) {
                Some(id) => of_record(&record, id, named),
                None => continue,
            },
        };
        targets.push(target.map_err(|error| error.within(format_args!("stdin:{line}")))?);
    }
    Ok(())
}

fn of_record(record: &RawRecord, id: String, named: &[Host]) -> Result<Target> {
    #[derive(Deserialize)]
    struct Place {
        #[serde(default)]
        host: Option<String>,
    }
    let place = serde_json::from_str::<Place>(record.text.get()).ok();
    let host = place.and_then(|place| place.host).filter(|host| host != HERE);
    if let Some(name) = &host
        && !named.iter().any(|host| host.name == *name)
        && Host::configured(name)?.is_none()
    {
        return Err(Error::new(format!("unknown host '{name}'"))
            .hint("a record may name a host of config.toml or of --on; nothing was started"));
    }
    let id = Id::parse(&id).ok_or_else(|| Error::new(format!("'{id}' is not the id of a session")))?;
    Ok(Target { id, host })
}

fn parse(text: &str, named: &[Host]) -> Result<Target> {
    let split = split_reference(text, named)?;
    let (host, rest) = split.map_or((None, text), |(host, rest)| (Some(host), rest));
    let asked = host.as_ref().or(match named {
        [only] => Some(only),
        _ => None,
    });
    let id = match (Id::parse(rest), asked) {
        (Some(id), _) => Some(id),
        (None, Some(host)) => find_one(host, rest)?.id,
        (None, None) => None,
    };
    let id = id.ok_or_else(|| {
        Error::usage(format!("'{text}' does not name a session of a host"))
            .hint("HOST:REF names one, and so does a record of 'codex-agent ls --host HOST --json'")
            .hint("nothing was started")
    })?;
    Ok(Target { id, host: host.map(|host| host.name) })
}
