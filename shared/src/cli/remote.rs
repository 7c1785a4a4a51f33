//! A tool on other machines: the hosts that its arguments name, what each is asked, and their answers as one.
//!
//! The same tool runs on each host, with the arguments that were typed here: without those for hosts and colours, and
//! with directories as the host has them. A reference `HOST:REF`, and a record with the field `host`, go to their own
//! host, all others to the hosts of `--host`, or to this machine, which is then asked as a host is.

mod answers;
mod records;
mod stdin;

pub use answers::{Found, FoundSessions, Order, Style, print_found};
pub use records::with_host;

use std::env;
use std::path::Path;

use super::flag::Typed;
use super::flags::CommonOptions;
use crate::error::{Error, Exit, Result, is_quiet};
use crate::host::gather::Ask;
use crate::host::protocol::Request;
use crate::host::{Host, serving, split_reference};
use crate::record::Session;
use crate::reference::ambiguous_error;

/// The operands of a tool.
#[derive(Clone, Copy, Default)]
pub struct Operands {
    /// The number of operands before the references.
    pub skip: usize,
    /// Whether references, or records, come from standard input.
    pub input: bool,
    /// Whether all operands are words, which every host gets.
    pub are_words: bool,
    /// A flag whose value is a reference.
    pub flag: Option<&'static str>,
}

/// The part of one host.
struct Target {
    host: Host,
    references: Vec<String>,
    input: Vec<u8>,
}

/// A tool on hosts.
pub struct Remote<'c> {
    common: &'c CommonOptions,
    tool: &'static str,
    targets: Vec<Target>,
    /// The arguments as they were typed.
    typed: Vec<Typed>,
    /// The operands before the references.
    first: Vec<String>,
    operands: Operands,
    /// Whether something of standard input was skipped.
    has_skipped: bool,
}

impl CommonOptions {
    /// The tool on the hosts that the arguments name; `None` if they name none.
    #[doc(hidden)]
    pub fn on_hosts(&self, tool: &'static str, operands: Operands) -> Result<Option<Remote<'_>>> {
        if serving().is_some() {
            return match self.hosts {
                Some(_) => Err(Error::usage("a host does not ask other hosts")),
                None => Ok(None),
            };
        }
        let named: Vec<Host> = match &self.hosts {
            Some(list) => list.hosts()?.into_iter().map(|(host, _)| host).collect(),
            None => Vec::new(),
        };
        let all = self.typed.iter().filter(|typed| typed.flag.is_none());
        let all = all.map(|typed| text(typed.value.as_deref().unwrap_or_default()));
        let mut first: Vec<String> = all.collect::<Result<_>>()?;
        if operands.are_words {
            first.retain(|word| word != "-" || !operands.input);
        }
        let skip = if operands.are_words { first.len() } else { operands.skip.min(first.len()) };
        let references = first.split_off(skip);
        let (typed, named) = self.with_flag_split(operands.flag, named)?;
        let targets = Vec::new();
        let mut remote = Remote { common: self, tool, targets, typed, first, operands, has_skipped: false };
        let has_references = operands.input || !references.is_empty();
        let mut is_remote = !named.is_empty();
        let mut split = Vec::new();
        for reference in references.into_iter().filter(|reference| reference != "-") {
            match split_reference(&reference, &named)? {
                Some((host, rest)) => {
                    is_remote = true;
                    split.push((Some(host), rest.to_owned()));
                }
                None => split.push((None, reference)),
            }
        }
        is_remote = is_remote || (operands.input && stdin::names_host());
        if !is_remote {
            return Ok(None);
        }
        if let Some(flag) = ["codex-home", "check"].into_iter().find(|flag| self.has_typed(flag)) {
            return Err(Error::usage(format!("--{flag} cannot be combined with hosts"))
                .hint("a host uses the Codex home of its own; host.NAME.via = [\"env\", \"CODEX_HOME=...\"] sets it"));
        }
        let others = if named.is_empty() { vec![Host::here()] } else { named.clone() };
        for host in &others {
            remote.target(host);
        }
        for (host, reference) in split {
            let to = host.map_or_else(|| others.clone(), |host| vec![host]);
            to.iter().for_each(|host| remote.target(host).references.push(reference.clone()));
        }
        if operands.input {
            remote.has_skipped = stdin::divide(&named, &others, &mut |host, line| {
                let input = &mut remote.target(host).input;
                input.extend_from_slice(line);
                input.push(b'\n');
            })?;
        }
        // A host without references would be asked about all of its sessions.
        remote
            .targets
            .retain(|target| !has_references || !target.references.is_empty() || !target.input.is_empty());
        Ok(Some(remote))
    }

    /// The typed arguments, in which the value of a flag that is a reference has no host, and the hosts that are asked:
    /// if it had one, that one.
    fn with_flag_split(&self, flag: Option<&str>, named: Vec<Host>) -> Result<(Vec<Typed>, Vec<Host>)> {
        let mut all = self.typed.clone();
        let of_flag = all.iter_mut().rev().find(|typed| typed.flag.is_some() && typed.flag == flag);
        let Some(typed) = of_flag else { return Ok((all, named)) };
        let reference = text(typed.value.as_deref().unwrap_or_default())?;
        Ok(match split_reference(&reference, &named)? {
            Some((host, rest)) => {
                typed.value = Some(rest.into());
                (all, vec![host])
            }
            None => (all, named),
        })
    }

    /// Whether a flag was typed.
    fn has_typed(&self, flag: &str) -> bool {
        self.typed.iter().any(|typed| typed.flag == Some(flag))
    }
}

/// Whether the first line of standard input names a host. Nothing is taken from the input.
#[doc(hidden)]
pub fn stdin_names_host() -> bool {
    stdin::names_host()
}

/// The session of a reference on a host, which is asked. No match and several matches are errors.
#[doc(hidden)]
pub fn find_one(host: &Host, reference: &str) -> Result<Session<'static>> {
    let words = ["--json", "--archived", "--subagents", "--", reference].map(str::to_owned);
    let cwd = env::current_dir().ok().map(|here| path_there(host, &here)).transpose()?;
    let request = Request { cwd, ..Request::new(&host.name, words.to_vec()) };
    let ask = Ask { host: host.clone(), request, input: Vec::new() };
    let mut found: Vec<Session<'static>> = Vec::new();
    let exit = answers::gather("find").run(vec![ask], &mut |_, line| {
        found.extend(answers::read(line, &host.name).flatten().map(|(session, _)| session));
        Ok(true)
    })?;
    // A host searches for a word that is no reference.
    let is_meant = |session: &Session<'_>| {
        let id = session.id.map(|id| id.to_string().replace('-', "")).unwrap_or_default();
        let part = reference.strip_prefix("id:").unwrap_or(reference).replace('-', "").to_lowercase();
        let is_part = part.len() >= 4 && (id.starts_with(&part) || id.ends_with(&part));
        let name = reference.strip_prefix("name:").unwrap_or(reference);
        let is_form =
            reference.starts_with('@') || reference.ends_with(".jsonl") || reference.ends_with(".zst");
        is_part || is_form || session.name.as_deref() == Some(name) || is_short(&id, &part)
    };
    found.retain(is_meant);
    match found.pop() {
        Some(session) if found.is_empty() => Ok(session),
        Some(session) => {
            found.push(session);
            Err(ambiguous_error(reference, &found))
        }
        None if matches!(exit, Exit::Done | Exit::Negative) => {
            Err(Error::not_found(format!("no session '{reference}' on host '{}'", host.name)))
        }
        None => Err(Error::new(format!("cannot find session '{reference}' on host '{}'", host.name))),
    }
}

/// Whether a text is the beginning of the digits of an id that tables show.
fn is_short(id: &str, part: &str) -> bool {
    part.len() >= 4 && id.len() > 8 && id[id.len() - 8..].starts_with(part)
}

fn text(word: &std::ffi::OsStr) -> Result<String> {
    word.to_str().map(str::to_owned).ok_or_else(|| {
        Error::usage(format!("cannot send '{}' to a host: it is not UTF-8", word.to_string_lossy()))
    })
}

/// A path as a host has it.
fn path_there(host: &Host, path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    text(host.map_path(&absolute).unwrap_or(absolute).as_os_str())
}

impl<'c> Remote<'c> {
    /// codex-agent-find, for these sessions of hosts.
    #[doc(hidden)]
    pub fn of_sessions(common: &'c CommonOptions, sessions: Vec<(Host, Vec<String>)>) -> Remote<'c> {
        let targets = sessions.into_iter().map(|(host, ids)| {
            let input = ids.iter().map(|id| format!("{id}\n")).collect::<String>().into_bytes();
            Target { host, references: Vec::new(), input }
        });
        let full = Typed { flag: Some("full"), is_directory: false, value: None };
        Remote {
            common,
            tool: "find",
            targets: targets.collect(),
            typed: if common.full { vec![full] } else { Vec::new() },
            first: Vec::new(),
            operands: Operands { input: true, are_words: true, ..Operands::default() },
            has_skipped: false,
        }
    }

    /// Without the operands, which are not for the hosts, and without some flags.
    #[doc(hidden)]
    pub fn only_flags(mut self, except: &[&str]) -> Remote<'c> {
        self.typed.retain(|typed| typed.flag.is_some_and(|flag| !except.contains(&flag)));
        self.first.clear();
        self.targets.iter_mut().for_each(|target| target.references.clear());
        self
    }

    fn target(&mut self, host: &Host) -> &mut Target {
        let at = self.targets.iter().position(|target| target.host.name == host.name);
        let at = at.unwrap_or_else(|| {
            self.targets.push(Target { host: host.clone(), references: Vec::new(), input: Vec::new() });
            self.targets.len() - 1
        });
        &mut self.targets[at]
    }

    /// What each host is asked: the typed flags except for some, and others.
    fn asks(&mut self, except: &[&str], more: &[String], columns: Option<usize>) -> Result<Vec<Ask>> {
        let here = env::current_dir().ok();
        let mut asks = Vec::new();
        for target in std::mem::take(&mut self.targets) {
            let host = target.host;
            let mut arguments = Vec::new();
            for Typed { flag, is_directory, value } in &self.typed {
                let Some(flag) = flag.filter(|flag| *flag != "host" && !except.contains(flag)) else {
                    continue;
                };
                arguments.push(match value {
                    None => format!("--{flag}"),
                    Some(value) if *is_directory => {
                        format!("--{flag}={}", path_there(&host, value.as_ref())?)
                    }
                    Some(value) => format!("--{flag}={}", text(value)?),
                });
            }
            arguments.extend_from_slice(more);
            arguments.extend(is_quiet().then(|| "--quiet".to_owned()));
            arguments.push("--".to_owned());
            arguments.extend_from_slice(&self.first);
            arguments.extend(target.references);
            let has_input = self.operands.input && !target.input.is_empty();
            if has_input {
                arguments.push("-".to_owned());
            }
            let cwd = here.as_deref().map(|here| path_there(&host, here)).transpose()?;
            let request = Request { cwd, columns, input: has_input, ..Request::new(&host.name, arguments) };
            asks.push(Ask { host, request, input: target.input });
        }
        Ok(asks)
    }

    /// The exit status, given that of the hosts.
    fn exit(&self, exit: Exit) -> Exit {
        if self.has_skipped && matches!(exit, Exit::Done | Exit::Negative) { Exit::Trouble } else { exit }
    }
}
