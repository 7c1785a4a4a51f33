//! Configuration: `config.toml` in the directory of `groups.json`, and the paths of codex-agent's directories.
//!
//! Aliases are in [`alias`], other machines in [`host`]. Each setting is described once, in [`SETTINGS`]: the reader, `codex-agent config` and the manual are made from this
//! table. A flag overrides an environment variable, the variable overrides the file, the file overrides the default
//! ([`chosen`]). The file is read at most once in a process, and only if no flag or variable decides.
//!
//! A missing file is an empty one. A syntax error, a wrong type and an invalid value are errors with file, line and
//! column for a tool that reads a setting. An unknown key prints a warning and is ignored: a newer release may have
//! written it. Only [`edit`] writes the file.
//!
//! ```
//! use codex_agent_shared::config::Config;
//!
//! let directory = tempfile::tempdir().unwrap();
//! // A missing file is no error.
//! let config = Config::read(directory.path());
//! assert!(!config.exists() && config.valid().is_ok() && config.aliases().is_empty());
//! ```

pub mod alias;
pub mod document;
pub mod edit;
pub mod host;
pub mod records;
mod setting;

pub use setting::{
    CODEX_BINARY, CODEX_HOME, Kind, Means, RUNS_CONFIRM_ABOVE, RUNS_KEEP, RUNS_MAX_CONCURRENT, RUNS_ON_END,
    SETTINGS, Setting, UI_COLOR, UI_PAGER,
};

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use alias::{Alias, Target};
use document::{Invalid, TextPosition, TextPositions, TomlEntry, Value};
use host::HostTable;

use crate::error::{Error, Result, reason, warn};
use crate::plugin::is_name;
use crate::store::read_capped;
use crate::text::nearest;
use crate::time::parse_duration;

/// The name of the file.
pub const NAME: &str = "config.toml";

/// The longest file that is read: 1 MiB.
const LONGEST: u64 = 1 << 20;

/// The table of aliases.
pub const ALIAS: &str = "alias";

/// The table of hosts.
pub const HOST: &str = "host";

/// The source of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A flag, by its name.
    Flag(&'static str),
    /// An environment variable, by its name.
    Environment(&'static str),
    /// The file.
    File(TextPosition),
}

/// A problem in one place of the file, or of the whole file.
#[derive(Debug)]
pub struct Problem {
    /// Whether the file is unusable until it is corrected.
    pub is_error: bool,
    /// The kind of problem, for records.
    pub kind: &'static str,
    /// The position; none for a problem of the whole file.
    pub place: Option<TextPosition>,
    /// The key or table with the problem; none for a problem of the whole file.
    pub key: Option<String>,
    /// The explanation.
    pub message: String,
    /// A hint for the user.
    pub hint: Option<String>,
}

impl Problem {
    fn error(kind: &'static str, place: impl Into<Option<TextPosition>>, message: String) -> Problem {
        Problem { is_error: true, kind, place: place.into(), key: None, message, hint: None }
    }

    fn warning(kind: &'static str, place: TextPosition, message: String) -> Problem {
        Problem { is_error: false, ..Problem::error(kind, place, message) }
    }

    fn unknown(place: TextPosition, what: &str, name: &str, near: Option<&str>) -> Problem {
        let hint = near.map(|near| format!("did you mean '{near}'?"));
        Problem { hint, ..Problem::warning("unknown_key", place, format!("unknown {what} '{name}'")) }
    }

    fn invalid_value(key: String, what: &str, invalid: Invalid, place: TextPosition) -> Problem {
        let (kind, why) = match invalid {
            Invalid::Type(expected, found) => ("wrong_type", format!("expected {expected}, found {found}")),
            Invalid::Value(why) => ("bad_value", why),
        };
        let message = format!("invalid value for {what}: {why}");
        Problem { key: Some(key), ..Problem::error(kind, place, message) }
    }

    /// The explanation with the hint.
    pub fn detail(&self) -> String {
        let hint = self.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
        format!("{}{hint}", self.message)
    }

    /// Whether only the users of an alias or of a host are concerned.
    fn is_of_name(&self) -> bool {
        self.key.as_deref().is_some_and(|key| [ALIAS, HOST].map(Some).contains(&key.split('.').next()))
    }
}

/// The result of reading an entry, whose problem is recorded.
type ReadResult = std::result::Result<(), Problem>;

/// A value of the file.
#[derive(Debug)]
struct FileValue {
    key: &'static str,
    text: OsString,
    place: TextPosition,
}

/// The file as it was read.
#[derive(Debug, Default)]
pub struct Config {
    path: PathBuf,
    exists: bool,
    set: Vec<FileValue>,
    aliases: Vec<Alias>,
    hosts: Vec<HostTable>,
    problems: Vec<Problem>,
}

impl Config {
    /// Reads the file in a directory. Problems are recorded in the result: see [`Config::valid`].
    pub fn read(directory: &Path) -> Config {
        let mut config = Config { path: directory.join(NAME), exists: true, ..Config::default() };
        match read_file(&config.path) {
            Ok(None) => config.exists = false,
            Ok(Some(bytes)) => config.parse(&bytes),
            Err(why) => config.problems.push(Problem::error("unreadable", None, why)),
        }
        config.problems.sort_by_key(|problem| problem.place);
        config
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file exists.
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// The aliases, in the order of the file.
    pub fn aliases(&self) -> &[Alias] {
        &self.aliases
    }

    /// The alias with this name.
    pub fn alias(&self, name: &str) -> Option<&Alias> {
        self.aliases.iter().find(|alias| alias.name == name)
    }

    /// All problems, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The path of the file with a position, for a message.
    pub fn location(&self, place: Option<TextPosition>) -> String {
        let path = self.path.display();
        place.map_or_else(|| path.to_string(), |place| format!("{path}:{place}"))
    }

    /// The configuration, or its first error with the number of further ones.
    pub fn valid(&self) -> Result<&Config> {
        self.valid_except(|_| false)
    }

    /// The configuration for a reader of one key; errors of other keys are ignored.
    pub fn valid_for(&self, key: &str) -> Result<&Config> {
        let table = key.split('.').next();
        self.valid_except(|problem| {
            problem.key.as_deref().is_some_and(|about| about != key && Some(about) != table)
        })
    }

    fn valid_except(&self, is_ignored: impl Fn(&Problem) -> bool) -> Result<&Config> {
        let mut errors = self.problems.iter().filter(|problem| problem.is_error && !is_ignored(problem));
        let Some(first) = errors.next() else { return Ok(self) };
        let error = Error::new(self.line(first));
        Err(match errors.count() {
            0 if first.place.is_none() => error,
            0 => error.hint("'codex-agent config edit' opens the file"),
            more => error.hint(format!("'codex-agent config check' reports {more} more problems")),
        })
    }

    /// Refuses a file whose text cannot be changed: one that cannot be read or parsed.
    fn check_editable(&self) -> Result<()> {
        let is_of_text = |problem: &&Problem| ["unreadable", "not_utf8", "syntax"].contains(&problem.kind);
        match self.problems.iter().find(is_of_text) {
            Some(problem) => Err(Error::new(self.line(problem))
                .hint("nothing was changed; 'codex-agent config edit' opens the file")),
            None => Ok(()),
        }
    }

    /// A problem in one line: position and explanation.
    fn line(&self, problem: &Problem) -> String {
        match problem.place {
            Some(_) => format!("{}: {}", self.location(problem.place), problem.message),
            None => format!("cannot read '{}': {}", self.path.display(), problem.message),
        }
    }

    /// The value of a setting and its source: the flag, the first variable that is set, or the file. `None` means the
    /// default.
    pub fn chosen(&self, setting: &Setting, flag: Option<OsString>) -> Option<(OsString, Source)> {
        let in_file =
            || self.value_in_file(setting).map(|(text, place)| (text.to_owned(), Source::File(place)));
        value_outside_file(setting, flag).or_else(in_file)
    }

    /// The value of a setting in the file, and its position.
    pub fn value_in_file(&self, setting: &Setting) -> Option<(&OsStr, TextPosition)> {
        let set = self.set.iter().find(|set| set.key == setting.key)?;
        Some((&set.text, set.place))
    }

    /// The number of concurrent jobs, if the file sets it.
    pub fn max_concurrent(&self) -> Option<usize> {
        self.value_in_file(&RUNS_MAX_CONCURRENT)?.0.to_str()?.parse().ok()
    }

    /// The command that is run when a run ends, if the file sets it.
    pub fn on_end(&self) -> Option<String> {
        self.value_in_file(&RUNS_ON_END)?.0.to_str().map(str::to_owned)
    }

    /// The time for which a finished run is kept; `None` means forever.
    pub fn runs_keep(&self) -> Option<Duration> {
        let in_file = self.value_in_file(&RUNS_KEEP).and_then(|(text, _)| text.to_str());
        // `forever` is not a duration; every other value was validated when the file was read.
        parse_duration(in_file.unwrap_or(RUNS_KEEP.default)).ok()
    }

    fn parse(&mut self, bytes: &[u8]) {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let good = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
                let place = TextPositions::new(&good).at(good.len());
                return self.problems.push(Problem::error("not_utf8", place, "it is not UTF-8".to_owned()));
            }
        };
        let positions = TextPositions::new(text);
        let (entries, errors) = document::parse(text);
        let errors = errors.into_iter().map(|(at, why)| Problem::error("syntax", positions.at(at), why));
        self.problems.extend(errors);
        for entry in &entries {
            if let Err(problem) = self.read_table(entry, &positions) {
                self.problems.push(problem);
            }
        }
    }

    /// Reads a top-level entry: a table of settings, the aliases or the hosts.
    fn read_table(&mut self, entry: &TomlEntry, positions: &TextPositions<'_>) -> ReadResult {
        let name = entry.name.as_str();
        let tables =
            || SETTINGS.iter().filter_map(|setting| setting.key.split('.').next()).chain([ALIAS, HOST]);
        let is_known = tables().any(|table| table == name);
        match &entry.value {
            Value::Table(entries) if is_known => {
                for entry in entries {
                    let read = match name {
                        ALIAS => self.read_alias(entry, positions),
                        HOST => self.read_host(entry, positions),
                        _ => self.read_setting(name, entry, positions),
                    };
                    self.problems.extend(read.err());
                }
                Ok(())
            }
            other if is_known => {
                let message = format!("expected a table for '{name}', found {}", other.type_name());
                let error = Problem::error("wrong_type", positions.at(entry.value_at), message);
                Err(Problem { key: Some(name.to_owned()), ..error })
            }
            Value::Table(_) => {
                Err(Problem::unknown(positions.at(entry.at), "table", name, near(name, &mut tables())))
            }
            _ => {
                // The key of a setting outside of its table.
                let last = |setting: &&Setting| setting.key.split('.').next_back().unwrap_or_default();
                let near = near(name, &mut SETTINGS.iter().map(last));
                let near = near.and_then(|near| SETTINGS.iter().find(|setting| last(setting) == near));
                Err(Problem::unknown(positions.at(entry.at), "key", name, near.map(|setting| setting.key)))
            }
        }
    }

    fn read_setting(&mut self, table: &str, entry: &TomlEntry, positions: &TextPositions<'_>) -> ReadResult {
        let key = format!("{table}.{}", entry.name);
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            let near = near(&key, &mut SETTINGS.iter().map(|setting| setting.key));
            return Err(Problem::unknown(positions.at(entry.at), "key", &key, near));
        };
        let text = setting.kind.read(&entry.value).map_err(|invalid| {
            Problem::invalid_value(key.clone(), &format!("'{key}'"), invalid, positions.at(entry.value_at))
        })?;
        self.set.push(FileValue { key: setting.key, text, place: positions.at(entry.at) });
        Ok(())
    }

    fn read_alias(&mut self, entry: &TomlEntry, positions: &TextPositions<'_>) -> ReadResult {
        let name = &entry.name;
        if !is_name(name) {
            let message = format!("invalid alias name '{name}': use lower case letters, digits and dashes");
            return Err(Problem::warning("bad_alias_name", positions.at(entry.at), message));
        }
        let (target, text) = Target::read(&entry.value).map_err(|invalid| {
            let (key, what) = (format!("{ALIAS}.{name}"), format!("alias '{name}'"));
            Problem::invalid_value(key, &what, invalid, positions.at(entry.value_at))
        })?;
        self.aliases.push(Alias { name: name.clone(), text, target, place: positions.at(entry.at) });
        Ok(())
    }
}

/// The most similar known name; all known names are lower case.
fn near<'n>(name: &str, known: &mut dyn Iterator<Item = &'n str>) -> Option<&'n str> {
    nearest(&name.to_lowercase(), known).first().copied()
}

/// The contents of the file; `None` if it does not exist. The error is the reason why it cannot be read.
fn read_file(path: &Path) -> std::result::Result<Option<Vec<u8>>, String> {
    let is_link = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(reason(&error)),
        Ok(meta) => meta.is_symlink(),
    };
    match read_capped(path, LONGEST)? {
        None if is_link => Err("it is a symbolic link to a file that does not exist".to_owned()),
        bytes => Ok(bytes),
    }
}

impl Display for TextPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The configuration of this process, or an error of one of its settings. Errors of aliases and hosts are reported when
/// they are used.
pub fn get() -> Result<&'static Config> {
    CONFIG_DIRECTORY.from_env()?;
    as_far_as_valid().valid_except(Problem::is_of_name)
}

/// The configuration of this process as far as it is valid. The first call reads the file and prints warnings for
/// unknown keys and invalid aliases.
pub fn as_far_as_valid() -> &'static Config {
    static READ: OnceLock<Config> = OnceLock::new();
    READ.get_or_init(|| {
        // Without a home directory there is no file.
        let config =
            config_directory().map_or_else(|_| Config::default(), |directory| Config::read(&directory));
        let is_warned = |problem: &&Problem| !problem.is_error || problem.is_of_name();
        let mut warned = config.problems.iter().filter(is_warned);
        for problem in warned.by_ref().take(5) {
            warn(format_args!("{}: {}", config.location(problem.place), problem.detail()));
        }
        match warned.count() {
            0 => {}
            more => {
                let file = config.path.display();
                warn(format_args!("'codex-agent config check' reports {more} more problems of '{file}'"));
            }
        }
        config
    })
}

/// [`Config::chosen`] for this process. The file is read only if neither flag nor variable decides.
pub fn chosen(setting: &Setting, flag: Option<OsString>) -> Result<Option<(OsString, Source)>> {
    match value_outside_file(setting, flag) {
        Some(found) => Ok(Some(found)),
        None => Ok(get()?.chosen(setting, None)),
    }
}

/// The source of a value, for a message.
pub fn source_text(source: Source) -> String {
    match source {
        Source::Flag(name) | Source::Environment(name) => name.to_owned(),
        Source::File(place) => {
            let path = config_directory().map_or_else(|_| PathBuf::from(NAME), |found| found.join(NAME));
            format!("{}:{place}", path.display())
        }
    }
}

fn value_outside_file(setting: &Setting, flag: Option<OsString>) -> Option<(OsString, Source)> {
    if let Some(value) = flag {
        return Some((value, Source::Flag(setting.flag.unwrap_or_default())));
    }
    setting.variables.iter().find_map(|(name, means)| {
        let value = env::var_os(name).filter(|value| !value.is_empty())?;
        Some((means(value)?, Source::Environment(name)))
    })
}

/// The home directory of the user. A static program can only ask `$HOME`, not the user database of the system.
///
/// A relative HOME is ignored, as the XDG standard ignores relative directories: it would depend on the current
/// directory, whose owner could then choose the program that is run.
///
/// For the error, `what` names the directory that is needed, and `variable` the variable that sets it.
pub fn user_home(what: &str, variable: &str) -> Result<PathBuf> {
    home().map_err(|why| {
        Error::new(format!("cannot find {what}: {why}")).hint(format!("set HOME, or {variable}"))
    })
}

/// The home directory of the user. The error is the reason why there is none, as a clause.
pub fn home() -> std::result::Result<PathBuf, String> {
    match env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from) {
        Some(home) if home.is_absolute() => Ok(home),
        Some(home) => Err(format!("HOME is '{}', which is not an absolute path", home.display())),
        None => Err("HOME is not set".to_owned()),
    }
}

/// A directory of codex-agent. The first that is set: its own variable, `codex-agent` in the directory of the XDG
/// variable, a directory in the home directory. The first save creates it.
pub struct OwnDirectory {
    what: &'static str,
    variable: &'static str,
    xdg_variable: &'static str,
    in_home: &'static str,
}

/// The directory of `config.toml`, `groups.json` and `queues.json`.
pub static CONFIG_DIRECTORY: OwnDirectory = OwnDirectory {
    what: "the configuration directory",
    variable: "CODEX_AGENT_CONFIG_HOME",
    xdg_variable: "XDG_CONFIG_HOME",
    in_home: ".config/codex-agent",
};

/// The directory of runs and locks.
pub static STATE_DIRECTORY: OwnDirectory = OwnDirectory {
    what: "the state directory",
    variable: "CODEX_AGENT_STATE_HOME",
    xdg_variable: "XDG_STATE_HOME",
    in_home: ".local/state/codex-agent",
};

impl OwnDirectory {
    /// The path, and the variable that sets it.
    pub fn locate(&self) -> Result<(PathBuf, Option<&'static str>)> {
        if let Some(directory) = self.from_env()? {
            return Ok((directory, Some(self.variable)));
        }
        match absolute_from_env(self.xdg_variable) {
            Some(directory) => Ok((directory.join("codex-agent"), Some(self.xdg_variable))),
            None => Ok((user_home(self.what, self.variable)?.join(self.in_home), None)),
        }
    }

    /// The path that the own variable sets. A relative path is an error.
    pub fn from_env(&self) -> Result<Option<PathBuf>> {
        match env::var_os(self.variable).filter(|value| !value.is_empty()).map(PathBuf::from) {
            Some(path) if path.is_relative() => {
                let (variable, path) = (self.variable, path.display());
                Err(Error::usage(format!("cannot use {variable}: '{path}' is not an absolute path"))
                    .hint("a relative path would depend on the current directory"))
            }
            path => Ok(path),
        }
    }
}

/// The path that an XDG variable sets. The XDG standard ignores a relative one.
fn absolute_from_env(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The path of [`CONFIG_DIRECTORY`].
pub fn config_directory() -> Result<PathBuf> {
    CONFIG_DIRECTORY.locate().map(|(path, _)| path)
}

/// The path of [`STATE_DIRECTORY`].
pub fn state_directory() -> Result<PathBuf> {
    STATE_DIRECTORY.locate().map(|(path, _)| path)
}

/// The user's data directory: `XDG_DATA_HOME`, or `~/.local/share`.
pub fn data_home() -> Result<PathBuf> {
    match absolute_from_env("XDG_DATA_HOME") {
        Some(directory) => Ok(directory),
        None => Ok(user_home("the data directory", "XDG_DATA_HOME")?.join(".local/share")),
    }
}

/// The data directories of the system: `XDG_DATA_DIRS`, or `/usr/local/share` and `/usr/share`.
pub fn data_dirs() -> Vec<PathBuf> {
    let listed = env::var_os("XDG_DATA_DIRS").filter(|list| !list.is_empty());
    let listed = listed.unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    env::split_paths(&listed).filter(|directory| directory.is_absolute()).collect()
}

/// The directory `share` beside a directory `bin`: the data of a package that is installed below a prefix.
pub fn share_beside(bin: &Path) -> Option<PathBuf> {
    bin.parent().filter(|_| bin.ends_with("bin")).map(|prefix| prefix.join("share"))
}
