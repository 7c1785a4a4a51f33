//! Hosts: other machines, and other Codex homes of this one, each reached by a command.
//!
//! A host is described by `[host.NAME]` in `config.toml`. A name that only the command line has is a host that ssh
//! reaches. A name cannot be an option of ssh, and nothing but fixed words is ever an argument of a command for a host,
//! since a shell there reads it again: all data goes through its standard input.
//!
//! ```
//! use codex_agent_shared::host::HostList;
//!
//! let list = HostList::parse_with_slots("gpu:4,me@build.example.org").unwrap();
//! assert_eq!(list.names().collect::<Vec<_>>(), ["gpu", "me@build.example.org"]);
//! assert!(HostList::parse("-oProxyCommand=x").is_err());
//! ```

mod failure;
pub mod gather;
mod list;
pub mod protocol;

pub use failure::{Unanswered, unanswered};
pub use list::{HostList, parse_slots};

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::child::piped::Piped;
use crate::config;
use crate::config::host::{HostTable, name_problem};
use crate::error::{Error, Result, reason};
use crate::plugin::dispatcher;
use protocol::Request;

/// The name that stands for this machine in a list of hosts.
pub const HERE: &str = ".";

/// The word that stands for every host of `config.toml` in a list of hosts.
pub const ALL: &str = "all";

/// The options of ssh for a host without `via`. ssh never asks, and ends if the host is silent: after 10 seconds
/// before the connection is there, after 45 seconds later. Forwardings of the user's configuration are for the user's
/// own connections.
const SSH: [&str; 12] = [
    "ssh",
    "-T",
    "-o",
    "BatchMode=yes",
    "-o",
    "ConnectTimeout=10",
    "-o",
    "ServerAliveInterval=15",
    "-o",
    "ServerAliveCountMax=3",
    "-o",
    "ClearAllForwardings=yes",
];

/// A machine, or a Codex home, that a command reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name.
    pub name: String,
    /// The command that runs a command on the host, with its arguments. Empty for this machine.
    pub via: Vec<String>,
    /// The command `codex-agent` of the host, with its arguments.
    pub command: Vec<String>,
    /// The number of concurrent jobs; `None` if it is not set.
    pub max_concurrent: Option<usize>,
    /// The time that the command may take until codex-agent answers; `None` if it is not set.
    pub connect_timeout: Option<Duration>,
    /// The directories of this machine, each with the directory of the host.
    pub paths: Vec<(PathBuf, PathBuf)>,
}

impl Host {
    /// The host with this name, which the user gave. A host that `config.toml` does not describe is reached by ssh.
    pub fn named(name: &str) -> Result<Host> {
        check_name(name)?;
        let table = config::as_far_as_valid().host(name)?;
        Ok(match table {
            Some(table) => Host::of_table(table),
            None => Host::of_table(&HostTable { name: name.to_owned(), ..HostTable::default() }),
        })
    }

    /// The host with this name, if `config.toml` describes it. This is for names from records and references, which
    /// reach no other host.
    pub fn configured(name: &str) -> Result<Option<Host>> {
        Ok(config::as_far_as_valid().host(name)?.map(Host::of_table))
    }

    /// This machine, as a host.
    pub fn here() -> Host {
        Host {
            name: HERE.to_owned(),
            via: Vec::new(),
            command: vec![dispatcher().to_string_lossy().into_owned()],
            max_concurrent: None,
            connect_timeout: None,
            paths: Vec::new(),
        }
    }

    /// Whether this is the machine itself.
    pub fn is_here(&self) -> bool {
        self.name == HERE
    }

    fn of_table(table: &HostTable) -> Host {
        let HostTable { name, via, command, max_concurrent, connect_timeout, paths, .. } = table;
        let mut via = via.clone();
        if via.is_empty() {
            via = SSH.iter().map(|word| (*word).to_owned()).collect();
            via.extend(["--".to_owned(), name.clone()]);
        }
        let command = if command.is_empty() { vec!["codex-agent".to_owned()] } else { command.clone() };
        let (max_concurrent, paths) = (*max_concurrent, paths.clone());
        let connect_timeout = *connect_timeout;
        Host { name: name.clone(), via, command, max_concurrent, connect_timeout, paths }
    }

    /// The words that run codex-agent on the host with these fixed words.
    pub fn argv(&self, words: &[&str]) -> Vec<OsString> {
        let own = self.via.iter().chain(&self.command).map(OsString::from);
        own.chain(words.iter().map(OsString::from)).collect()
    }

    /// The command of [`Host::argv`]. `codex-agent` is also found in the directory of this executable, for a `via`
    /// that stays on this machine.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut argv = self.argv(words).into_iter();
        let mut command = Command::new(argv.next().unwrap_or_default());
        command.args(argv);
        if let Some(path) = search_path() {
            command.env("PATH", path);
        }
        command
    }

    /// As [`Host::command`], for a program that draws on the terminal: ssh gets one.
    pub fn terminal_command(&self, words: &[&str]) -> Command {
        let mut host = self.clone();
        if host.via.first().is_some_and(|via| via.rsplit('/').next() == Some("ssh")) {
            host.via.retain(|word| word != "-T");
            host.via.insert(1, "-t".to_owned());
        }
        host.command(words)
    }

    /// Starts codex-agent on the host with these fixed words, with pipes, and in a process group of its own.
    pub fn start(&self, words: &[&str]) -> Result<Piped> {
        let mut command = self.command(words);
        Piped::start(&mut command).map_err(|error| {
            let program = command.get_program().to_string_lossy();
            Error::new(format!("host '{}': cannot run '{program}': {}", self.name, reason(&error)))
                .hint(format!("host.{}.via in config.toml is the command that reaches the host", self.name))
        })
    }

    /// The directory of the host for a directory of this machine, by the longest of the prefixes in
    /// `[host.NAME.paths]`; `None` if none matches.
    pub fn map_path(&self, path: &Path) -> Option<PathBuf> {
        let matching =
            self.paths.iter().filter_map(|(here, there)| Some((path.strip_prefix(here).ok()?, there)));
        let (rest, there) = matching.min_by_key(|(rest, _)| rest.components().count())?;
        Some(if rest.as_os_str().is_empty() { there.clone() } else { there.join(rest) })
    }
}

/// The search path with the directory of this executable at its end.
fn search_path() -> Option<OsString> {
    let own = env::current_exe().ok()?;
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).filter(|directory| directory.as_os_str() != OsStr::new(""));
    env::join_paths(directories.chain([own.parent()?.to_owned()])).ok()
}

/// The request that this process serves.
static SERVING: OnceLock<Request> = OnceLock::new();

/// Makes this process one that serves a request.
pub fn set_serving(request: Request) {
    let _ = SERVING.set(request);
}

/// The request that this process serves, if another machine has sent one.
pub fn serving() -> Option<&'static Request> {
    SERVING.get()
}

/// The host of `HOST:REF`, and the reference; `None` if the text has no host. Only a host that the user named, in
/// `config.toml` or in a list, is one: any other colon belongs to an address, or to a name.
pub fn split_reference<'t>(text: &'t str, named: &[Host]) -> Result<Option<(Host, &'t str)>> {
    let Some((name, reference)) = text.split_once(':') else { return Ok(None) };
    if name_problem(name).is_some() || serving().is_some() {
        return Ok(None);
    }
    let host = match named.iter().find(|host| host.name == name) {
        Some(host) => Some(host.clone()),
        None => Host::configured(name)?,
    };
    match host {
        Some(_) if reference.is_empty() => {
            Err(Error::usage(format!("invalid reference '{text}': the reference to a session is empty")))
        }
        host => Ok(host.map(|host| (host, reference))),
    }
}

/// Every host of `config.toml`, in its order.
pub fn configured() -> Result<Vec<Host>> {
    let config = config::as_far_as_valid();
    config.hosts().iter().map(|table| config.host(&table.name).map(|_| Host::of_table(table))).collect()
}

/// The error for a name that cannot be the name of a host.
pub fn check_name(name: &str) -> Result<()> {
    match name_problem(name) {
        None => Ok(()),
        Some(why) => Err(Error::usage(format!("invalid name of a host '{name}': {why}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(paths: &[(&str, &str)]) -> Host {
        let paths = paths.iter().map(|(here, there)| (here.into(), there.into())).collect();
        Host::of_table(&HostTable { name: "h1".to_owned(), paths, ..HostTable::default() })
    }

    #[test]
    fn the_default_command_is_ssh_that_never_asks() {
        let argv = host(&[]).argv(&["ls", "--serve"]);
        assert_eq!(argv[0], "ssh");
        assert!(argv.iter().any(|word| word == "BatchMode=yes"));
        assert_eq!(argv[argv.len() - 5..], ["--", "h1", "codex-agent", "ls", "--serve"].map(OsString::from));
    }

    #[test]
    fn the_longest_prefix_of_whole_components_is_replaced() {
        let host = host(&[("/work", "/w"), ("/work/deep/", "/d"), ("/", "/root"), ("/work/deepest", "/e/")]);
        for (here, there) in [
            ("/work", Some("/w")),
            ("/work/", Some("/w")),
            ("/work/a/b", Some("/w/a/b")),
            ("/work/deep", Some("/d")),
            ("/work/deep/x", Some("/d/x")),
            ("/work/deeper", Some("/w/deeper")),
            ("/work/deepest/x", Some("/e/x")),
            ("/workshop", Some("/root/workshop")),
            ("relative", None),
        ] {
            assert_eq!(host.map_path(Path::new(here)), there.map(PathBuf::from), "{here}");
        }
    }
}
