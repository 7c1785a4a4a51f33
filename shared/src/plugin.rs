//! Tools: any executable with a name `codex-agent-NAME` is a tool, of this package or external.
//!
//! Running, listing and completing tools use the same [`SearchPath`]: the directory of the executable `codex-agent`,
//! `CODEX_AGENT_EXEC_PATH`, then `PATH`. Empty and relative entries are skipped, so that no file in the current
//! directory can become a tool. NAME is `[a-z0-9][a-z0-9-]*`, and not `help`. No tool is run to list the tools: an
//! external tool has a [`description`], a file.
//!
//! `record` has the records of tools, `description` the files.
//!
//! ```
//! use codex_agent_shared::plugin::{SearchPath, is_name};
//!
//! assert!(is_name("my-tool") && !is_name("../ls"));
//! assert_eq!(SearchPath::from_env().find("no-such-tool-at-all").unwrap(), None);
//! ```

pub mod description;
pub mod record;

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Exit, Result, reason};
use crate::exec::{NOT_EXECUTABLE, is_executable, why_not};
use crate::habit;
use crate::text::nearest;

/// The tools of this package: the name, the NAME line, and the heading that the dispatcher lists it under.
pub const TOOLS: [(&str, &str, &str); 20] = [
    ("ls", "list Codex sessions", SESSIONS),
    ("find", "find Codex sessions by reference or text", SESSIONS),
    ("pick", "choose sessions interactively", SESSIONS),
    ("show", "print what was said and done in Codex sessions", SESSIONS),
    ("grep", "search the transcripts of Codex sessions", SESSIONS),
    ("watch", "follow Codex sessions while they run", SESSIONS),
    ("stats", "count the tokens and turns of Codex sessions", SESSIONS),
    ("group", "manage and run named groups of sessions", SESSIONS),
    ("name", "name a Codex session", SESSIONS),
    ("archive", "archive Codex sessions", SESSIONS),
    ("run", "run Codex non-interactively; manage runs", CODEX),
    ("queue", "manage and run queues of prompts", CODEX),
    ("resume", "resume Codex sessions", CODEX),
    ("fork", "fork Codex sessions, whole or before a message", CODEX),
    ("status", "show running jobs, pending work and usage limits", CODEX),
    ("setup", "install manual pages and shell completion for the current user", PACKAGE),
    ("config", "show settings and where each is set", PACKAGE),
    ("plugin", "list, describe and check external tools", PACKAGE),
    ("schema", "print the JSON Schemas of records", PACKAGE),
    ("demo", "try codex-agent on a sample home", PACKAGE),
];

const SESSIONS: &str = "Find and group sessions";
const CODEX: &str = "Run Codex";
const PACKAGE: &str = "Set up and extend codex-agent";

/// Words that are reserved for this package, beside the names of its tools and the types of its records: names of
/// planned tools, and the parts before the dot of planned types.
pub fn reserved_words() -> std::str::Split<'static, char> {
    "archive attempt delete event export grep host item job limit match message prompt record session show stats \
     turn unarchive usage watch worker"
        .split(' ')
}

/// The prefix of every tool's executable.
pub const PREFIX: &str = "codex-agent-";

/// A verb of the dispatcher. No tool with this name is run.
pub const OWN_WORD: &str = "help";

/// The version of the protocol between the dispatcher and a tool: the value of `CODEX_AGENT_PROTOCOL`.
pub const PROTOCOL: u32 = 1;

/// Sets the environment variables of a tool.
pub fn set_env(command: &mut Command, dispatcher: &Path) {
    command
        .env("CODEX_AGENT", dispatcher)
        .env("CODEX_AGENT_PROTOCOL", PROTOCOL.to_string())
        .env("CODEX_AGENT_VERSION", env!("CARGO_PKG_VERSION"));
}

/// The executable `codex-agent`, for a tool that runs another tool: the dispatcher that ran this process, or the one in
/// the directory of this executable.
pub fn dispatcher() -> PathBuf {
    let parent = env::var_os("CODEX_AGENT").map(PathBuf::from).filter(|path| path.is_absolute());
    let beside = || env::current_exe().map(|own| own.with_file_name("codex-agent"));
    parent.or_else(|| beside().ok()).unwrap_or_else(|| PathBuf::from("codex-agent"))
}

/// The executable of another tool of this package: the one in the directory of this executable.
#[doc(hidden)]
pub fn sibling(name: &str) -> Option<PathBuf> {
    let beside = env::current_exe().ok()?.with_file_name(format!("{PREFIX}{name}"));
    is_executable(&beside).then_some(beside)
}

/// Whether a word is a valid name of a tool.
pub fn is_name(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The name of the tool of an executable: its file name without the prefix.
pub fn tool_name(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    file.strip_prefix(PREFIX).unwrap_or(&file).to_owned()
}

/// Whether the tool with this name and path belongs to this package.
pub fn is_ours(name: &str, path: &Path) -> bool {
    let own = env::current_exe().ok();
    let is_beside = own.as_deref().and_then(Path::parent) == path.parent();
    is_beside && TOOLS.iter().any(|(tool, ..)| *tool == name)
}

/// A tool on the search path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTool {
    /// The name, such as `ls` of `codex-agent-ls`.
    pub name: String,
    /// The executable that is run.
    pub path: PathBuf,
    /// Executables of the same name later on the search path, which are not run.
    pub shadows: Vec<PathBuf>,
}

impl FoundTool {
    /// Whether the tool belongs to this package.
    pub fn is_ours(&self) -> bool {
        is_ours(&self.name, &self.path)
    }
}

/// A file with the name of a tool that is not usable, or a directory that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathProblem {
    /// The file, or the directory of the search path.
    pub path: PathBuf,
    /// The kind of problem, for records.
    pub problem: &'static str,
    /// The reason, as a clause for the user.
    pub detail: String,
}

impl PathProblem {
    fn new(path: &Path, problem: &'static str, detail: impl Into<String>) -> PathProblem {
        PathProblem { path: path.to_owned(), problem, detail: detail.into() }
    }

    /// The problem of a file with the prefix that is not a tool. Manual pages, scripts of shells and similar files are
    /// no problem.
    fn find(path: &Path, name: &str) -> Option<PathProblem> {
        let (problem, why) = match (is_executable(path), is_name(name)) {
            _ if name == OWN_WORD => ("misnamed", "'help' is a verb of codex-agent".to_owned()),
            (true, false) => {
                ("misnamed", "the name of a tool is lower case letters, digits and dashes".to_owned())
            }
            (false, true) => ("not_executable", why_not(path)),
            _ => return None,
        };
        Some(PathProblem::new(path, problem, why))
    }
}

/// All tools of a search path.
#[derive(Debug, Default)]
pub struct Listing {
    /// The tools, by name.
    pub tools: Vec<FoundTool>,
    /// The problems, in the order of the search path.
    pub problems: Vec<PathProblem>,
    /// The directories that exist, each once, with their files that have the prefix; `None` for an unreadable one.
    directories: Vec<(PathBuf, Option<HashSet<String>>)>,
}

/// The directories of tools, in the order of preference.
#[derive(Debug)]
pub struct SearchPath {
    directories: Vec<PathBuf>,
    listing: OnceCell<Listing>,
}

impl SearchPath {
    /// The search path of this process.
    pub fn from_env() -> SearchPath {
        let own = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
        let listed = ["CODEX_AGENT_EXEC_PATH", "PATH"]
            .into_iter()
            .filter_map(env::var_os)
            .flat_map(|value| env::split_paths(&value).collect::<Vec<_>>());
        let mut seen = HashSet::new();
        let all = own.into_iter().chain(listed).filter(|directory| directory.is_absolute());
        let directories = all.filter(|directory| seen.insert(directory.clone())).collect();
        SearchPath { directories, listing: OnceCell::new() }
    }

    /// The directories, each once.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// The directories without links to earlier ones. A directory is resolved when the iterator reaches it.
    fn distinct(&self) -> impl Iterator<Item = &PathBuf> {
        let mut seen = HashSet::new();
        let real = |directory: &PathBuf| fs::canonicalize(directory).unwrap_or_else(|_| directory.clone());
        self.directories.iter().filter(move |directory| seen.insert(real(directory)))
    }

    /// The possible paths of the executable of a tool. After [`SearchPath::list`] no directory is read or resolved again.
    fn places(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let file = format!("{PREFIX}{name}");
        let listed = self.listing.get().map_or(&[][..], |listing| &listing.directories);
        let resolved = self.listing.get().is_none().then(|| self.distinct());
        let may_have = |(_, files): &&(PathBuf, Option<HashSet<String>>)| {
            files.as_ref().is_none_or(|files| files.contains(&file))
        };
        let listed: Vec<&PathBuf> = listed.iter().filter(may_have).map(|(directory, _)| directory).collect();
        listed.into_iter().chain(resolved.into_iter().flatten()).map(move |directory| directory.join(&file))
    }

    /// The executable that is run for a name; `None` if there is none. No directory is read. A file with the name that
    /// cannot be run is an error with exit status 126, an invalid name an error with 127.
    pub fn find(&self, name: &str) -> Result<Option<PathBuf>> {
        if !is_name(name) {
            return Err(Error::usage(format!("'{name}' cannot be the name of a tool"))
                .hint("the name of a tool is lower case letters, digits and dashes")
                .with_exit(Exit::NoSuchTool));
        }
        if let Some(found) = self.places(name).find(|place| is_executable(place)) {
            return Ok(Some(found));
        }
        let Some(file) = self.places(name).find(|place| place.symlink_metadata().is_ok()) else {
            return Ok(None);
        };
        let why = why_not(&file);
        let hint = match why == NOT_EXECUTABLE {
            true => format!("chmod +x '{}'", file.display()),
            false => "'codex-agent plugin list' reports every file that is not a tool".to_owned(),
        };
        let error = Error::new(format!("cannot run '{}': {why}", file.display()));
        Err(error.hint(hint).with_exit(Exit::CannotRun))
    }

    /// All executables of a name, first the one that is run. No directory is read.
    pub fn find_all(&self, name: &str) -> Vec<PathBuf> {
        self.places(name).filter(|place| is_name(name) && is_executable(place)).collect()
    }

    /// All tools. The first call reads the directories.
    pub fn list(&self) -> &Listing {
        self.listing.get_or_init(|| self.read())
    }

    fn read(&self) -> Listing {
        let mut listing = Listing::default();
        let mut found: BTreeMap<String, FoundTool> = BTreeMap::new();
        for directory in self.distinct() {
            let mut files: Vec<OsString> = match fs::read_dir(directory) {
                Ok(entries) => entries.flatten().map(|entry| entry.file_name()).collect(),
                // Many directories of a usual PATH do not exist.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    continue;
                }
                // A tool in an unreadable directory can be run by its name.
                Err(error) => {
                    listing.problems.push(PathProblem::new(directory, "unreadable", reason(&error)));
                    listing.directories.push((directory.clone(), None));
                    continue;
                }
            };
            files.sort();
            let mut with_prefix = HashSet::new();
            for file in files {
                let lossy = file.to_string_lossy();
                let Some(name) = lossy.strip_prefix(PREFIX) else { continue };
                let path = directory.join(&file);
                with_prefix.insert(lossy.clone().into_owned());
                if name == OWN_WORD || !is_name(name) || !is_executable(&path) {
                    listing.problems.extend(PathProblem::find(&path, name));
                } else if let Some(first) = found.get_mut(name) {
                    let why = format!("'{}' comes before it", first.path.display());
                    listing.problems.push(PathProblem::new(&path, "shadowed", why));
                    first.shadows.push(path);
                } else {
                    let tool = FoundTool { name: name.to_owned(), path, shadows: Vec::new() };
                    found.insert(name.to_owned(), tool);
                }
            }
            listing.directories.push((directory.clone(), Some(with_prefix)));
        }
        listing.tools = found.into_values().collect();
        listing
    }

    /// The error about a tool that does not exist, with the tools that do what a command of another program does, or
    /// the most similar tools and other words. `next` is the first argument.
    pub fn unknown(&self, name: &str, next: Option<&str>, others: &[&str]) -> Error {
        let tools: Vec<&str> = self.list().tools.iter().map(|tool| tool.name.as_str()).collect();
        let habit = match next.filter(|next| habit::is_prefix(name) && tools.contains(next)) {
            Some(next) => Some(format!("did you mean 'codex-agent {next}'?")),
            None => habit::hint(name, next),
        };
        // Beside such a command, only names that the user chose are similar enough.
        let is_own = |tool: &&str| habit.is_none() || !TOOLS.iter().any(|(own, ..)| own == tool);
        let near = nearest(name, tools.iter().copied().filter(is_own).chain(others.iter().copied()));
        let near = (!near.is_empty()).then(|| {
            format!(
                "did you mean {}?",
                near.iter().map(|n| format!("'{n}'")).collect::<Vec<_>>().join(" or ")
            )
        });
        let mut hints: Vec<String> = [habit, near].into_iter().flatten().collect();
        if hints.is_empty() {
            hints.push("'codex-agent --list' lists the tools".to_owned());
        }
        Error::new(format!("there is no tool '{name}', and no {PREFIX}{name} on PATH"))
            .hint(hints.join("\n"))
            .with_exit(Exit::NoSuchTool)
    }
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

    /// In random directories, some of which are links, missing, or have files that cannot be run: a name is found
    /// where walking the directories by hand finds it, before and after the directories were read.
    #[test]
    #[allow(clippy::disallowed_methods)] // What a test finds there must be put there.
    fn finding_agrees_with_listing_and_with_walking_by_hand() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let (mut found_some, mut refused_some) = (0, 0);
        for _ in 0..60 {
            let root = tempfile::tempdir().unwrap();
            let directories: Vec<PathBuf> = (0..5).map(|at| root.path().join(at.to_string())).collect();
            for (at, directory) in directories.iter().enumerate() {
                match random(6) {
                    0 => continue,
                    1 if at > 0 => {
                        symlink(&directories[at - 1], directory).unwrap();
                        continue;
                    }
                    _ => fs::create_dir(directory).unwrap(),
                }
                for name in ["a", "b", "c"] {
                    let file = directory.join(format!("{PREFIX}{name}"));
                    match random(4) {
                        0 => fs::create_dir(&file).unwrap(),
                        1 => symlink("/nowhere", &file).unwrap(),
                        2 => {
                            fs::write(&file, "").unwrap();
                            let mode = if random(2) == 0 { 0o755 } else { 0o644 };
                            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
                        }
                        _ => {}
                    }
                }
            }
            let path = SearchPath { directories: directories.clone(), listing: OnceCell::new() };
            let by_hand = |name: &str| {
                let mut seen = HashSet::new();
                let files = directories.iter().map(|directory| directory.join(format!("{PREFIX}{name}")));
                let is_tool = |file: &PathBuf| {
                    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 1 == 1)
                };
                let fresh = |file: &PathBuf| seen.insert(fs::canonicalize(file.parent().unwrap()).unwrap());
                files.filter(is_tool).filter(fresh).collect::<Vec<PathBuf>>()
            };
            for turn in 0..2 {
                let tools = if turn == 1 { &path.list().tools[..] } else { &[] };
                for name in ["a", "b", "c", "d"] {
                    let all = by_hand(name);
                    assert_eq!(path.find_all(name), all, "{turn} {name}");
                    match path.find(name) {
                        Ok(found) => assert_eq!(found, all.first().cloned(), "{turn} {name}"),
                        Err(error) => {
                            refused_some += 1;
                            assert!(all.is_empty() && error.exit() == Exit::CannotRun, "{error}");
                        }
                    }
                    let listed = tools.iter().find(|tool| tool.name == name);
                    let listed = listed.map(|tool| [&[tool.path.clone()][..], &tool.shadows].concat());
                    assert!(turn == 0 || listed.unwrap_or_default() == all, "{name}: {all:?}");
                    found_some += all.len();
                }
            }
        }
        assert!(found_some > 0 && refused_some > 0, "{found_some} {refused_some}");
    }
}
