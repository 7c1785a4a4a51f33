//! Standard input, divided among the hosts that its records and references name.

use std::io::{self, BufRead};

use serde::Deserialize;

use crate::error::{Error, Result, warn};
use crate::host::{HERE, Host, configured, split_reference};
use crate::ndjson::{Lines, RawLine, TOO_LONG};

/// The host of a line.
enum Named {
    Nothing,
    Host(Host),
    Unknown(String),
}

/// Whether the first line of standard input names a host. Nothing is taken from the input: if no host is named, it is
/// read as it comes.
pub(super) fn names_host() -> bool {
    let mut stdin = io::stdin().lock();
    let Ok(buffer) = stdin.fill_buf() else { return false };
    let end = memchr::memchr(b'\n', buffer).unwrap_or(buffer.len());
    let line = String::from_utf8_lossy(&buffer[..end]);
    let line = line.trim_start_matches(['\u{feff}', ' ']);
    match line.starts_with('{') {
        // A long record is cut; the host follows the type.
        true => line.contains("\"host\":"),
        false => split_reference(reference_of(line).as_str(), &[]).is_ok_and(|split| split.is_some()),
    }
}

/// The reference of a line that is no record.
fn reference_of(line: &str) -> String {
    let plain = || line.split('\t').next().unwrap_or_default().trim().to_owned();
    if line.starts_with('"') { serde_json::from_str(line).unwrap_or_else(|_| plain()) } else { plain() }
}

/// The host that a line names, and the line for it.
fn host_of(line: &str, named: &[Host]) -> Result<(Named, String)> {
    #[derive(Deserialize)]
    struct Record {
        #[serde(default)]
        host: Option<String>,
    }
    if line.starts_with('{') {
        let host = serde_json::from_str::<Record>(line).ok().and_then(|record| record.host);
        let host = match host {
            None => Named::Nothing,
            Some(name) if name == HERE => Named::Host(Host::here()),
            Some(name) => {
                let known = named.iter().find(|host| host.name == name).cloned();
                let known = if known.is_some() { known } else { find(&name)? };
                known.map_or(Named::Unknown(name), Named::Host)
            }
        };
        return Ok((host, line.to_owned()));
    }
    let reference = reference_of(line);
    Ok(match split_reference(&reference, named)? {
        Some((host, rest)) => (Named::Host(host), rest.to_owned()),
        None => (Named::Nothing, line.to_owned()),
    })
}

fn find(name: &str) -> Result<Option<Host>> {
    Ok(configured()?.into_iter().find(|host| host.name == name))
}

/// Passes each line of standard input on to its host, or to each of the others if it names none. A record whose host
/// the user has not named is reported and skipped; returns whether there was one.
pub(super) fn divide(named: &[Host], others: &[Host], pass: &mut dyn FnMut(&Host, &[u8])) -> Result<bool> {
    let mut lines = Lines::new(io::stdin().lock(), 64 << 10);
    let mut has_skipped = false;
    loop {
        let line = lines.next().map_err(|error| {
            Error::new(format!("cannot read standard input: {}", crate::error::reason(&error)))
        })?;
        let line = match line {
            None => return Ok(has_skipped),
            Some(RawLine::TooLong) => Err(TOO_LONG.to_owned()),
            Some(RawLine::Whole(line)) => std::str::from_utf8(line)
                .map(|line| line.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']).to_owned())
                .map_err(|_| "it is not UTF-8".to_owned()),
        };
        let found = line.and_then(|line| host_of(&line, named).map_err(|error| error.message().to_owned()));
        let (host, line) = match found {
            Ok((_, line)) if line.trim().is_empty() => continue,
            Ok((Named::Unknown(name), _)) => (
                Err(format!("unknown host '{name}'; only hosts of config.toml and of --host are asked")),
                String::new(),
            ),
            Ok((host, line)) => (Ok(host), line),
            Err(why) => (Err(why), String::new()),
        };
        match host {
            Ok(Named::Host(host)) => pass(&host, line.as_bytes()),
            Ok(_) => others.iter().for_each(|host| pass(host, line.as_bytes())),
            Err(why) => {
                warn(format_args!("stdin:{}: {why}; skipped", lines.number()));
                has_skipped = true;
            }
        }
    }
}
