//! Subcommands: any executable called `codex-agent-NAME` is a tool, of this package or external.
//!
//! One search path serves running, listing and completing: the directory of the dispatcher's own
//! executable, `CODEX_AGENT_EXEC_PATH`, then `PATH`. Empty and relative entries are skipped, so
//! that no file is run only because the current directory has it.
//! NAME is `[a-z0-9][a-z0-9-]*`, and not `help`. Nothing is run to list it.
//!
//! ```
//! use codex_agent_shared::plugin::{is_name, look};
//!
//! assert!(is_name("my-tool") && !is_name("../ls"));
//! // There is no tool of this name.
//! assert_eq!(look("no-such-tool-at-all").unwrap(), None);
//! ```

mod script;

pub use script::wrong_interpreter;

use std::collections::{BTreeMap, HashSet};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Exit, Result, reason};
use crate::text::nearest;

/// The tools of this package and their NAME lines. A test wants them all, and no more.
pub const TOOLS: [(&str, &str); 14] = [
    ("ls", "list Codex sessions"),
    ("find", "look Codex sessions up by reference or by words"),
    ("group", "keep named sets of Codex sessions"),
    ("queue", "keep prompts in order, and work through them"),
    ("resume", "open a Codex session in its directory"),
    ("fork", "branch Codex sessions, whole or before a message"),
    ("name", "name a Codex session"),
    ("run", "start Codex sessions without a terminal; look after runs"),
    ("status", "tell what runs now and what waits"),
    ("setup", "install manual pages and completions for this user"),
    ("schema", "print the JSON Schemas of records"),
    ("config", "tell the settings, and where each comes from"),
    ("plugin", "look after tools of others: list, describe, check"),
    ("demo", "try codex-agent on a sample home, without Codex"),
];

/// Words that are kept for this package beside the names of its tools and the types of its records: tools
/// that are planned, and what stands before the dot in types that are planned.
pub const RESERVED: [&str; 23] = [
    "archive",
    "attempt",
    "delete",
    "event",
    "export",
    "grep",
    "host",
    "item",
    "job",
    "limit",
    "match",
    "message",
    "pick",
    "prompt",
    "record",
    "session",
    "show",
    "stats",
    "turn",
    "unarchive",
    "usage",
    "watch",
    "worker",
];

/// The NAME line of one of our tools.
pub const fn about(name: &str) -> &'static str {
    let mut at = 0;
    while at < TOOLS.len() {
        let (tool, about) = TOOLS[at];
        if same(tool.as_bytes(), name.as_bytes()) {
            return about;
        }
        at += 1;
    }
    panic!("no such tool")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    if a.len() != b.len() {
        return false;
    }
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The prefix of every tool's executable.
pub const PREFIX: &str = "codex-agent-";

/// The word that the dispatcher has itself, so that no tool of this name is ever run.
pub const OWN_WORD: &str = "help";

/// The number of the rules that a tool is run by: the value of `CODEX_AGENT_PROTOCOL`.
pub const PROTOCOL: u32 = 1;

/// Gives a tool what it gets from the dispatcher.
pub fn hand_down(command: &mut Command, dispatcher: &Path) {
    command.env("CODEX_AGENT", dispatcher).env("CODEX_AGENT_PROTOCOL", PROTOCOL.to_string());
}

/// The dispatcher, for a tool of this package: the one that ran it, else the one beside it.
pub fn dispatcher() -> PathBuf {
    let ran_us = env::var_os("CODEX_AGENT").map(PathBuf::from).filter(|path| path.is_absolute());
    let beside = || env::current_exe().map(|own| own.with_file_name("codex-agent"));
    ran_us.or_else(|| beside().ok()).unwrap_or_else(|| PathBuf::from("codex-agent"))
}

/// Whether a word can be the name of a tool.
pub fn is_name(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The folders that tools are looked for in, first first, each once.
pub fn search_path() -> Vec<PathBuf> {
    let own = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let listed = ["CODEX_AGENT_EXEC_PATH", "PATH"]
        .into_iter()
        .filter_map(env::var_os)
        .flat_map(|value| env::split_paths(&value).collect::<Vec<_>>());
    let mut seen = HashSet::new();
    let all = own.into_iter().chain(listed).filter(|folder| folder.is_absolute());
    all.filter(|folder| seen.insert(folder.clone())).collect()
}

/// Every executable of this name on the search path, the one that is run first; a folder and a link to it are one.
/// No folder is read.
pub fn all_of(name: &str) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let real = |path: &PathBuf| path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    executables(name).filter(|path| real(path).is_none_or(|folder| seen.insert(folder))).collect()
}

/// The same one by one, so that who wants the first looks no further.
fn executables(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = if is_name(name) { search_path() } else { Vec::new() };
    let executable = format!("{PREFIX}{name}");
    path.into_iter().map(move |folder| folder.join(&executable)).filter(|place| is_executable(place))
}

/// The executable of a tool that is run, if there is one. No folder is read, for a typo neither.
pub fn locate(name: &str) -> Option<PathBuf> {
    executables(name).next()
}

/// Finds the executable of a tool. The error is exit 127 with the nearest names where there is none,
/// and exit 126 where there is one that cannot be run.
pub fn find(name: &str) -> Result<PathBuf> {
    look(name)?.ok_or_else(|| unknown(name, &[]))
}

/// As [`find`], but that there is none is no error yet. No folder is read.
pub fn look(name: &str) -> Result<Option<PathBuf>> {
    if !is_name(name) {
        return Err(Error::usage(format!("'{name}' cannot be a tool"))
            .hint("names are lower case letters, digits and dashes")
            .with_exit(Exit::NoSuchTool));
    }
    if let Some(found) = locate(name) {
        return Ok(Some(found));
    }
    let executable = format!("{PREFIX}{name}");
    let mut places = search_path().into_iter().map(|folder| folder.join(&executable));
    match places.find(|file| file.symlink_metadata().is_ok()) {
        Some(there) => Err(no_executable(&there)),
        None => Ok(None),
    }
}

/// The error about a file that has the name of a tool and is none.
fn no_executable(path: &Path) -> Error {
    let why = why_not(path);
    let error = Error::new(format!("cannot run '{}': {why}", path.display())).with_exit(Exit::CannotRun);
    match why == NOT_EXECUTABLE {
        true => error.hint(format!("chmod +x '{}'", path.display())),
        false => error.hint("codex-agent plugin list tells all that is no tool"),
    }
}

const NOT_EXECUTABLE: &str = "it is not executable";

/// Why a file cannot be run.
fn why_not(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => "it is a folder".to_owned(),
        Ok(meta) if !meta.is_file() => "it is no regular file".to_owned(),
        Ok(_) => NOT_EXECUTABLE.to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "it is a link to a file that is not there".to_owned()
        }
        Err(error) => reason(&error),
    }
}

/// The error about a tool that is not there, with the nearest of the tools and of these other words.
pub fn unknown(name: &str, others: &[&str]) -> Error {
    unknown_among(&list(), name, others)
}

fn unknown_among(tools: &[Found], name: &str, others: &[&str]) -> Error {
    let near = nearest(name, tools.iter().map(|tool| tool.name.as_str()).chain(others.iter().copied()));
    let hint = match near[..] {
        [] => "codex-agent --list lists the tools".to_owned(),
        _ => format!(
            "did you mean {}?",
            near.iter().map(|n| format!("'{n}'")).collect::<Vec<_>>().join(" or ")
        ),
    };
    Error::new(format!("there is no tool '{name}', and no {PREFIX}{name} on PATH"))
        .hint(hint)
        .with_exit(Exit::NoSuchTool)
}

/// Finds another program, such as `man`, in the absolute entries of `PATH`.
pub fn find_program(name: impl AsRef<Path>) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut places =
        env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(&name));
    places.find(|place| is_executable(place))
}

// What is left out was not looked at: the dispatcher's `--list=json` knows where a tool is, a tool's own
// `--generate describe` knows what it does.
/// A tool.
#[derive(serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolRecord<'t> {
    /// Always `tool`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What follows codex-agent- in the name of the executable.
    pub name: &'t str,
    /// What it is for, in one clause; null for a tool of somebody else that was not asked.
    pub about: Option<&'t str>,
    /// The executable that would be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether it lies beside the dispatcher, as the tools of this package do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours: Option<bool>,
    /// Executables of the same name later on the search path, which are not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadows: Option<Vec<String>>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<&'t str>,
    /// The value of CODEX_AGENT_PROTOCOL that it was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u32>,
    /// The types of records that it reads from standard input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<Vec<&'t str>>,
    /// The types of records that it writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<Vec<&'t str>>,
    /// The arguments with which it reads and writes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipe: Option<Vec<&'t str>>,
    /// What its option --generate can print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generates: Option<Vec<&'t str>>,
    /// Whether its completion hook offers candidates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completes: Option<bool>,
    /// Whether what is kept of it is of its executable as it is now: known, stale or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'t str>,
}

impl<'t> ToolRecord<'t> {
    /// A record with a name, and what the tool is for if that is known.
    pub fn new(name: &'t str, about: Option<&'t str>) -> Self {
        ToolRecord {
            kind: "tool",
            name,
            about,
            path: None,
            ours: None,
            shadows: None,
            version: None,
            protocol: None,
            reads: None,
            writes: None,
            pipe: None,
            generates: None,
            completes: None,
            description: None,
        }
    }
}

/// A tool that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `ls`, of `codex-agent-ls`.
    pub name: String,
    /// The executable that would be run.
    pub path: PathBuf,
    /// Executables of the same name later on the path, which are not run.
    pub shadows: Vec<PathBuf>,
}

impl Found {
    /// Whether it is a tool of this package: one of its names, in the folder of this executable.
    pub fn is_ours(&self) -> bool {
        is_ours(&self.name, &self.path)
    }
}

/// Whether the tool of this name at this path is one of this package.
pub fn is_ours(name: &str, path: &Path) -> bool {
    let own = env::current_exe().ok();
    let beside_us = own.as_deref().and_then(Path::parent) == path.parent();
    beside_us && TOOLS.iter().any(|(tool, _)| *tool == name)
}

/// What looks like a tool and is none, or cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathProblem {
    /// The file, or the folder of the search path.
    pub path: PathBuf,
    /// What is wrong, in one word for programs.
    pub problem: &'static str,
    /// And in a clause for people.
    pub detail: String,
}

impl PathProblem {
    fn new(path: &Path, problem: &'static str, detail: impl Into<String>) -> PathProblem {
        PathProblem { path: path.to_owned(), problem, detail: detail.into() }
    }

    /// Why a file that bears the prefix is no tool.
    fn of(path: &Path, name: &str) -> Option<PathProblem> {
        if name == OWN_WORD {
            return Some(PathProblem::new(path, "misnamed", "codex-agent has the word 'help' itself"));
        }
        if is_executable(path) {
            let why = "the name of a tool is lower case letters, digits and dashes";
            return (!is_name(name)).then(|| PathProblem::new(path, "misnamed", why));
        }
        // Pages, scripts of shells and the like are not meant as tools.
        if !is_name(name) {
            return None;
        }
        Some(PathProblem::new(path, "not_executable", why_not(path)))
    }
}

/// All tools on the search path, by name. This alone opens folders; running a tool does not.
pub fn list() -> Vec<Found> {
    scan().0
}

/// The same, and what is odd on the way, in the order of the search path.
pub fn scan() -> (Vec<Found>, Vec<PathProblem>) {
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    let (mut looked_at, mut odd) = (Vec::new(), Vec::new());
    for folder in search_path() {
        // A folder and a link to it are one; a tool does not shadow itself.
        let real = fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone());
        if looked_at.contains(&real) {
            continue;
        }
        looked_at.push(real);
        let mut names: Vec<OsString> = match fs::read_dir(&folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.file_name()).collect(),
            // PATH is full of folders that are not there.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                continue;
            }
            Err(error) => {
                odd.push(PathProblem::new(&folder, "unreadable", reason(&error)));
                continue;
            }
        };
        names.sort();
        for file in names {
            let lossy = file.to_string_lossy();
            let Some(name) = lossy.strip_prefix(PREFIX) else { continue };
            let path = folder.join(&file);
            if name == OWN_WORD || !is_name(name) || !is_executable(&path) {
                odd.extend(PathProblem::of(&path, name));
                continue;
            }
            match found.get_mut(name) {
                Some(first) => {
                    let why = format!("'{}' comes before it", first.path.display());
                    odd.push(PathProblem::new(&path, "shadowed", why));
                    first.shadows.push(path);
                }
                None => {
                    let first = Found { name: name.to_owned(), path, shadows: Vec::new() };
                    found.insert(name.to_owned(), first);
                }
            }
        }
    }
    (found.into_values().collect(), odd)
}

/// The search path, walked once for whoever asks for many names.
pub struct Scanned {
    /// All tools, by name.
    pub tools: Vec<Found>,
    /// What is odd on the way, in the order of the search path.
    pub odd: Vec<PathProblem>,
}

impl Scanned {
    /// Walks it.
    pub fn now() -> Scanned {
        let (tools, odd) = scan();
        Scanned { tools, odd }
    }

    /// As [`locate`].
    pub fn locate(&self, name: &str) -> Option<PathBuf> {
        let found = self.tools.binary_search_by(|tool| tool.name.as_str().cmp(name)).ok();
        let found = found.and_then(|at| self.tools.get(at)).map(|tool| tool.path.clone());
        // A folder that may not be read may have a tool all the same; a name that cannot be one has none.
        let unread = self.odd.iter().filter(|odd| odd.problem == "unreadable" && is_name(name));
        let mut places = unread.map(|odd| odd.path.join(format!("{PREFIX}{name}")));
        found.or_else(|| places.find(|place| is_executable(place)))
    }

    /// As [`look`].
    pub fn look(&self, name: &str) -> Result<Option<PathBuf>> {
        let found = self.locate(name);
        let file = format!("{PREFIX}{name}");
        let is_it = |odd: &&PathProblem| odd.problem == "not_executable" && odd.path.ends_with(&file);
        match self.odd.iter().find(is_it) {
            Some(there) if found.is_none() => Err(no_executable(&there.path)),
            _ => Ok(found),
        }
    }

    /// As [`unknown`], with the nearest of the tools.
    pub fn unknown(&self, name: &str) -> Error {
        unknown_among(&self.tools, name, &[])
    }
}

/// Whether this user can run it: one question for running and for listing. The path is absolute.
pub fn is_executable(path: &Path) -> bool {
    which::which_in(path, None::<&std::ffi::OsStr>, "/").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["ls", "2do", "my-tool"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-x", "Ls", "a b", "../ls", "a/b", "é"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
