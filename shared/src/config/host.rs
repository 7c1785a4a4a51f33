//! The tables `[host.NAME]`: other machines, and other Codex homes of this one.
//!
//! A host is reached by a command, `via`, which runs `command` there. No text of a user is ever an argument of it:
//! ssh joins its arguments with blanks, and gives them to the shell of the host.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::{Invalid, TextPosition, TextPositions, TomlEntry, Value};
use super::setting::path;
use super::{Config, HOST, Kind, Problem, ReadResult, near};
use crate::error::{Error, Result};
use crate::text::{quoted, split_words};
use crate::time::parse_duration;

/// The keys of a host, beside `paths`.
pub const KEYS: [&str; 4] = ["via", "command", "max_concurrent", "connect_timeout"];

/// The table of paths in a host.
pub const PATHS: &str = "paths";

/// The kind of `max_concurrent`.
pub const MAX_CONCURRENT: Kind = Kind::Number(1, 256);

/// The words that are no names of hosts: the forms `id:` and `name:` of a reference, and every host.
const RESERVED: [&str; 3] = ["id", "name", "all"];

/// A host as the file describes it.
#[derive(Debug, Default)]
pub struct HostTable {
    /// The name.
    pub name: String,
    /// The command that runs a command on the host, with its arguments; empty for the default.
    pub via: Vec<String>,
    /// The command `codex-agent` of the host, with its arguments; empty for the default.
    pub command: Vec<String>,
    /// The number of concurrent jobs.
    pub max_concurrent: Option<usize>,
    /// The time that the command may take until codex-agent answers.
    pub connect_timeout: Option<Duration>,
    /// The directories of this machine, each with the directory of the host.
    pub paths: Vec<(PathBuf, PathBuf)>,
    /// The keys that are set, in the order of the file.
    pub set: Vec<HostKey>,
}

/// A key of a host in the file.
#[derive(Debug)]
pub struct HostKey {
    /// The key, such as `host.gpu.via`.
    pub key: String,
    /// The value as text for the user.
    pub text: String,
    /// The position of the key in the file.
    pub place: TextPosition,
}

/// The default of `max_concurrent`, for the user.
pub(super) const NO_NUMBER: &str = "that of the run";

impl HostKey {
    /// The default, for the user, and the meaning of the key, one clause.
    pub(super) fn meaning(&self) -> (Option<&'static str>, &'static str) {
        match split_key(&self.key).and_then(|(_, names)| names.first().copied()) {
            Some("via") => (Some("ssh NAME"), "the command that runs a command on the host"),
            Some("command") => (Some("codex-agent"), "the command codex-agent of the host"),
            Some("connect_timeout") => {
                (Some("30s for jobs, 3s to read"), "the time that the host may take until it answers")
            }
            Some("max_concurrent") => (Some(NO_NUMBER), "the number of concurrent jobs on the host"),
            _ => (Some("the same path"), "the directory of the host for a directory of this machine"),
        }
    }
}

/// The reason why a word cannot be the name of a host, as a clause.
pub fn name_problem(name: &str) -> Option<String> {
    let mut bytes = name.bytes();
    let is_plain = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte));
    if !is_plain {
        return Some("use letters, digits and '.', '_', '@', '-', with a letter or a digit first".to_owned());
    }
    RESERVED.contains(&name).then(|| format!("'{name}' has another meaning"))
}

/// The name and the key of a host in a key such as `host.gpu.via`, or `host.gpu.paths./here`; `None` for any other key.
/// The name of a host may have dots, and so may a path.
pub fn split_key(key: &str) -> Option<(&str, Vec<&str>)> {
    let rest = key.strip_prefix(HOST)?.strip_prefix('.')?;
    if let Some((name, here)) = rest.split_once(".paths.") {
        return Some((name, vec![PATHS, here]));
    }
    let (name, last) = rest.rsplit_once('.')?;
    KEYS.contains(&last).then(|| (name, vec![last]))
}

/// Reads a command: a string that is split as a shell splits it, or an array of strings.
fn words(value: &Value) -> std::result::Result<Vec<String>, Invalid> {
    let words = match value {
        Value::Text(text) => split_words(text).ok_or("it has an unclosed quote or a final backslash")?,
        Value::Texts(words) => words.clone(),
        other => return Err(Invalid::Type("a string or an array of strings", other.type_name())),
    };
    let has_control = words.iter().any(|word| word.chars().any(char::is_control));
    match words.first().map(String::as_str) {
        _ if has_control => Err("it contains a control character".into()),
        None | Some("") => Err("it is empty".into()),
        Some(first) if first.starts_with('-') => {
            Err(format!("it begins with '{first}' instead of a command").into())
        }
        Some(_) => Ok(words),
    }
}

/// Reads the path of a directory on a host.
fn path_there(value: &Value) -> std::result::Result<PathBuf, Invalid> {
    match value {
        Value::Text(text) if text.contains('\0') => Err("it contains a NUL".into()),
        Value::Text(text) if text.starts_with('/') => Ok(PathBuf::from(text)),
        Value::Text(text) => Err(format!("expected a path that begins with /, not '{text}'").into()),
        other => Err(Invalid::Type("a string", other.type_name())),
    }
}

fn joined(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

impl HostTable {
    /// Reads the value of one key, and stores it. `names` are the names within the host.
    pub(super) fn read(&mut self, names: &[&str], value: &Value) -> std::result::Result<String, Invalid> {
        match names {
            [PATHS, here] => {
                let (here, there) = (path(here)?, path_there(value)?);
                let text = there.to_string_lossy().into_owned();
                self.paths.push((here, there));
                Ok(text)
            }
            ["via"] => words(value).map(|words| {
                self.via = words;
                joined(&self.via)
            }),
            ["command"] => words(value).map(|words| {
                self.command = words;
                joined(&self.command)
            }),
            ["connect_timeout"] => {
                let Value::Text(text) = value else {
                    return Err(Invalid::Type("a string", value.type_name()));
                };
                let time = parse_duration(text).map_err(|error| error.message().to_owned())?;
                if time.is_zero() {
                    return Err("it must be longer than 0".into());
                }
                self.connect_timeout = Some(time);
                Ok(text.clone())
            }
            _ => {
                let text = MAX_CONCURRENT.read(value)?.to_string_lossy().into_owned();
                self.max_concurrent = text.parse().ok();
                Ok(text)
            }
        }
    }
}

impl Config {
    /// The hosts, in the order of the file.
    pub fn hosts(&self) -> &[HostTable] {
        &self.hosts
    }

    /// The host with this name, if the file describes it. An invalid description is an error.
    pub fn host(&self, name: &str) -> Result<Option<&HostTable>> {
        self.valid_for(&format!("{HOST}.{name}"))?;
        Ok(self.hosts.iter().find(|host| host.name == name))
    }

    /// Reads the table of a host. The problems of its keys are recorded.
    pub(super) fn read_host(&mut self, entry: &TomlEntry, positions: &TextPositions<'_>) -> ReadResult {
        let name = &entry.name;
        if let Some(why) = name_problem(name) {
            let message = format!("invalid name of a host '{name}': {why}");
            return Err(Problem::warning("bad_host_name", positions.at(entry.at), message));
        }
        let key = format!("{HOST}.{name}");
        let not_a_table = |entry: &TomlEntry, what: &str| {
            let message = format!("expected a table for '{what}', found {}", entry.value.type_name());
            let error = Problem::error("wrong_type", positions.at(entry.value_at), message);
            Problem { key: Some(key.clone()), ..error }
        };
        let Value::Table(entries) = &entry.value else { return Err(not_a_table(entry, &key)) };
        let mut host = HostTable { name: name.clone(), ..HostTable::default() };
        let mut read = |names: &[&str], entry: &TomlEntry| {
            let full = format!("{key}.{}", names.join("."));
            let text = host.read(names, &entry.value).map_err(|invalid| {
                let place = positions.at(entry.value_at);
                Problem::invalid_value(key.clone(), &format!("'{full}'"), invalid, place)
            })?;
            host.set.push(HostKey { key: full, text, place: positions.at(entry.at) });
            Ok(())
        };
        for entry in entries {
            let name = entry.name.as_str();
            match &entry.value {
                Value::Table(paths) if name == PATHS => {
                    for entry in paths {
                        self.problems.extend(read(&[PATHS, &entry.name], entry).err());
                    }
                }
                _ if name == PATHS => self.problems.push(not_a_table(entry, &format!("{key}.{PATHS}"))),
                _ if KEYS.contains(&name) => self.problems.extend(read(&[name], entry).err()),
                _ => {
                    let near = near(name, &mut KEYS.into_iter().chain([PATHS]));
                    let near = near.map(|near| format!("{key}.{near}"));
                    let full = format!("{key}.{name}");
                    self.problems.push(Problem::unknown(
                        positions.at(entry.at),
                        "key",
                        &full,
                        near.as_deref(),
                    ));
                }
            }
        }
        self.hosts.push(host);
        Ok(())
    }
}

/// Checks the parts of a key of a host that a user gives.
pub(super) fn check_key(name: &str, names: &[&str]) -> Result<()> {
    if let Some(why) = name_problem(name) {
        return Err(Error::usage(format!("invalid name of a host '{name}': {why}")));
    }
    match names {
        [PATHS, here] if !Path::new(here).is_absolute() && !here.starts_with("~/") => Err(Error::usage(
            format!("expected a path that begins with / or ~/ in '{HOST}.{name}.{PATHS}.{here}'"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts() {
        for name in ["h1", "gpu-2.example.org", "me@h", "1", "A_b"] {
            assert_eq!(name_problem(name), None, "{name}");
        }
        for name in ["", "-oProxyCommand=x", ".", "a b", "a:b", "a/b", "é", "id", "name", "all", "@x", "a,b"]
        {
            assert!(name_problem(name).is_some(), "{name}");
        }
    }

    #[test]
    fn keys_of_hosts() {
        assert_eq!(split_key("host.h1.via"), Some(("h1", vec!["via"])));
        assert_eq!(split_key("host.a.example.org.command"), Some(("a.example.org", vec!["command"])));
        assert_eq!(split_key("host.a.b.paths./x.y/via"), Some(("a.b", vec!["paths", "/x.y/via"])));
        for key in ["host.h1", "host.h1.other", "hosts.h1.via", "alias.host", "host.via"] {
            assert_eq!(split_key(key), None, "{key}");
        }
    }
}
