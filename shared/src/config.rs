//! Configuration: `config.toml` in the directory of `groups.json`, and the paths of codex-agent's directories.
//!
//! Each setting is described once, in [`SETTINGS`]: the reader, `codex-agent config` and the manual are made
//! from it. A flag wins over an environment variable, the variable over the file, the file over the default
//! ([`chosen`]). The file is read at most once in a process, and only if no flag or variable decides.
//!
//! A missing file is an empty one. A syntax error, a wrong type and an invalid value are errors with file, line
//! and column for a tool that reads a setting. An unknown key prints a warning and is ignored: a newer release may
//! have written it. The file is never written.
//!
//! ```
//! use codex_agent_shared::config::Config;
//!
//! let folder = tempfile::tempdir().unwrap();
//! // A missing file is no error.
//! let config = Config::read(folder.path());
//! assert!(!config.is_there() && config.valid().is_ok() && config.aliases().is_empty());
//! ```

pub mod alias;
pub mod document;
pub mod records;
mod setting;

pub use setting::{
    CODEX_BINARY, CODEX_HOME, Kind, Means, RUNS_KEEP, RUNS_MAX_CONCURRENT, SETTINGS, Setting, UI_COLOR,
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

use crate::error::{Error, Result, reason, warn};
use crate::plugin::is_name;
use crate::store::read_capped;
use crate::text::nearest;
use crate::time::parse_duration;

/// The name of the file.
pub const NAME: &str = "config.toml";

/// The longest file that is read: 1 MiB.
const LONGEST: u64 = 1 << 20;

/// The environment variable that sets the directory of the configuration.
const CONFIG_HOME: &str = "CODEX_AGENT_CONFIG_HOME";

/// The table of aliases.
pub const ALIAS: &str = "alias";

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A flag, by its name.
    Flag(&'static str),
    /// A variable, by its name.
    Environment(&'static str),
    /// The file.
    File(TextPosition),
}

/// A problem in one place of the file, or of the whole file.
#[derive(Debug)]
pub struct Fault {
    /// Whether the file is unusable until it is corrected.
    pub is_error: bool,
    /// The kind of problem, for records.
    pub word: &'static str,
    /// The position; none for a problem of the whole file.
    pub place: Option<TextPosition>,
    /// The key or table with the problem; none for a problem of the whole file.
    pub key: Option<String>,
    /// The explanation.
    pub message: String,
    /// A hint for the user.
    pub hint: Option<String>,
}

/// A value of the file.
#[derive(Debug)]
struct Set {
    key: &'static str,
    text: OsString,
    place: TextPosition,
}

/// The file as it was read.
#[derive(Debug, Default)]
pub struct Config {
    path: PathBuf,
    is_there: bool,
    set: Vec<Set>,
    aliases: Vec<Alias>,
    faults: Vec<Fault>,
}

impl Config {
    /// Read the file of a directory. Problems are recorded in the result: see [`Config::valid`].
    pub fn read(folder: &Path) -> Config {
        let mut config = Config { path: folder.join(NAME), ..Config::default() };
        match bytes(&config.path) {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                config.is_there = true;
                config.parse(&bytes);
            }
            Err(why) => {
                config.is_there = true;
                config.fault(true, "unreadable", None, why);
            }
        }
        config.faults.sort_by_key(|fault| fault.place);
        config
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file exists.
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// The aliases, in the order of the file.
    pub fn aliases(&self) -> &[Alias] {
        &self.aliases
    }

    /// All problems, in the order of the file.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The file and a place in it, for a message.
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
        self.valid_except(|about| about != key && Some(about) != table)
    }

    fn valid_except(&self, is_other: impl Fn(&str) -> bool) -> Result<&Config> {
        let matters = |fault: &&Fault| fault.is_error && !fault.key.as_deref().is_some_and(&is_other);
        let mut errors = self.faults.iter().filter(matters);
        let Some(first) = errors.next() else { return Ok(self) };
        let error = Error::new(self.line(first));
        Err(match errors.count() {
            0 if first.place.is_none() => error,
            0 => error.hint("'codex-agent config edit' opens the file"),
            more => error.hint(format!("'codex-agent config check' reports {more} more")),
        })
    }

    /// A problem in one line: position and explanation.
    pub fn line(&self, fault: &Fault) -> String {
        match fault.place {
            Some(_) => format!("{}: {}", self.location(fault.place), fault.message),
            None => format!("cannot read '{}': {}", self.path.display(), fault.message),
        }
    }

    /// A problem in one line, with its hint.
    pub fn line_with_hint(&self, fault: &Fault) -> String {
        let hint = fault.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
        format!("{}{hint}", self.line(fault))
    }

    /// The value of a setting and its source: the flag, the first variable that is set, or the file. `None` means the
    /// default.
    pub fn chosen(&self, setting: &Setting, flag: Option<OsString>) -> Option<(OsString, Source)> {
        let in_the_file =
            || self.value_in_file(setting).map(|(text, place)| (text.to_owned(), Source::File(place)));
        value_outside_file(setting, flag).or_else(in_the_file)
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

    /// The time for which a finished run is kept; `None` means forever.
    pub fn runs_keep(&self) -> Option<Duration> {
        let said =
            self.value_in_file(&RUNS_KEEP).and_then(|(text, _)| text.to_str()).unwrap_or(RUNS_KEEP.default);
        // `forever` is not a duration; every other value was validated when the file was read.
        parse_duration(said).ok()
    }

    fn fault(
        &mut self,
        is_error: bool,
        word: &'static str,
        place: Option<TextPosition>,
        message: impl Into<String>,
    ) {
        self.faults.push(Fault { is_error, word, place, key: None, message: message.into(), hint: None });
    }

    fn invalid_value(&mut self, key: String, what: &str, wrong: Invalid, place: TextPosition) {
        let (word, why) = match wrong {
            Invalid::Type(expected, found) => ("wrong_type", format!("expected {expected}, found {found}")),
            Invalid::Value(why) => ("bad_value", why),
        };
        self.key_fault(key, word, place, format!("invalid value for {what}: {why}"));
    }

    /// Record an error of one key or table.
    fn key_fault(&mut self, key: String, word: &'static str, place: TextPosition, message: String) {
        self.faults.push(Fault {
            is_error: true,
            word,
            place: Some(place),
            key: Some(key),
            message,
            hint: None,
        });
    }

    fn unknown(&mut self, place: TextPosition, what: &str, name: &str, near: Option<&str>) {
        let hint = near.map(|near| format!("did you mean '{near}'?"));
        let message = format!("unknown {what} '{name}'");
        self.faults.push(Fault {
            is_error: false,
            word: "unknown_key",
            place: Some(place),
            key: None,
            message,
            hint,
        });
    }

    fn parse(&mut self, bytes: &[u8]) {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let good = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
                let place = TextPositions::new(&good).at(good.len());
                return self.fault(true, "not_utf8", Some(place), "it is not UTF-8");
            }
        };
        let positions = TextPositions::new(text);
        let (entries, faults) = document::parse(text);
        for (at, why) in faults {
            self.fault(true, "syntax", Some(positions.at(at)), why);
        }
        for entry in &entries {
            self.table(entry, &positions);
        }
    }

    /// Read a top-level entry: a table of settings, or the aliases.
    fn table(&mut self, entry: &TomlEntry, positions: &TextPositions<'_>) {
        let name = entry.name.as_str();
        let tables = || SETTINGS.iter().filter_map(|setting| setting.key.split('.').next()).chain([ALIAS]);
        match &entry.value {
            Value::Table(entries) if name == ALIAS => {
                for entry in entries {
                    self.alias(entry, positions);
                }
            }
            Value::Table(entries) if tables().any(|table| table == name) => {
                for entry in entries {
                    self.setting(name, entry, positions);
                }
            }
            other if tables().any(|table| table == name) => {
                let message = format!("expected a table for '{name}', found {}", other.called());
                self.key_fault(name.to_owned(), "wrong_type", positions.at(entry.value_at), message);
            }
            Value::Table(_) => self.unknown(positions.at(entry.at), "table", name, near(name, &mut tables())),
            _ => {
                // A key of a table, written outside of it.
                let last = |setting: &&Setting| setting.key.split('.').next_back().unwrap_or_default();
                let near = near(name, &mut SETTINGS.iter().map(last));
                let near = near.and_then(|near| SETTINGS.iter().find(|setting| last(setting) == near));
                self.unknown(positions.at(entry.at), "key", name, near.map(|setting| setting.key));
            }
        }
    }

    fn setting(&mut self, table: &str, entry: &TomlEntry, positions: &TextPositions<'_>) {
        let key = format!("{table}.{}", entry.name);
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            let near = near(&key, &mut SETTINGS.iter().map(|setting| setting.key));
            return self.unknown(positions.at(entry.at), "key", &key, near);
        };
        match setting.kind.read(&entry.value) {
            Ok(text) => self.set.push(Set { key: setting.key, text, place: positions.at(entry.at) }),
            Err(wrong) => {
                self.invalid_value(key.clone(), &format!("'{key}'"), wrong, positions.at(entry.value_at))
            }
        }
    }

    fn alias(&mut self, entry: &TomlEntry, positions: &TextPositions<'_>) {
        let name = &entry.name;
        if !is_name(name) {
            let message = format!("invalid alias name '{name}': use lower case letters, digits and dashes");
            return self.fault(false, "bad_alias_name", Some(positions.at(entry.at)), message);
        }
        match Target::read(&entry.value) {
            Ok((leads, text)) => {
                self.aliases.push(Alias { name: name.clone(), text, leads, place: positions.at(entry.at) });
            }
            Err(wrong) => {
                let key = format!("{ALIAS}.{name}");
                self.invalid_value(key, &format!("alias '{name}'"), wrong, positions.at(entry.value_at));
            }
        }
    }
}

/// The most similar known name; all known names are lower case.
fn near<'n>(name: &str, known: &mut dyn Iterator<Item = &'n str>) -> Option<&'n str> {
    nearest(&name.to_lowercase(), known).first().copied()
}

/// The contents of the file; `None` if it does not exist. The error is the reason why it cannot be read.
fn bytes(path: &Path) -> std::result::Result<Option<Vec<u8>>, String> {
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

/// The configuration of this process, or an error of one of its settings. Errors of aliases are reported when the
/// alias is used.
pub fn get() -> Result<&'static Config> {
    named_config_folder()?;
    once().valid_except(is_of_an_alias)
}

fn is_of_an_alias(key: &str) -> bool {
    key == ALIAS || key.strip_prefix(ALIAS).is_some_and(|rest| rest.starts_with('.'))
}

/// The configuration of this process as far as it is valid. The first call reads the file and prints warnings for
/// unknown keys and invalid aliases.
pub fn once() -> &'static Config {
    static READ: OnceLock<Config> = OnceLock::new();
    READ.get_or_init(|| {
        // Without a home directory there is no file.
        let config = config_folder().map_or_else(|_| Config::default(), |folder| Config::read(&folder));
        let is_warned = |fault: &&Fault| !fault.is_error || fault.key.as_deref().is_some_and(is_of_an_alias);
        let mut unknown = config.faults.iter().filter(is_warned);
        for fault in unknown.by_ref().take(5) {
            warn(config.line_with_hint(fault));
        }
        match unknown.count() {
            0 => {}
            more => {
                let file = config.path.display();
                warn(format_args!("'codex-agent config check' reports {more} more of '{file}'"));
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
pub fn said_by(source: Source) -> String {
    match source {
        Source::Flag(name) | Source::Environment(name) => name.to_owned(),
        Source::File(place) => {
            let path = config_folder().map_or_else(|_| PathBuf::from(NAME), |folder| folder.join(NAME));
            format!("{}:{place}", path.display())
        }
    }
}

fn value_outside_file(setting: &Setting, flag: Option<OsString>) -> Option<(OsString, Source)> {
    if let Some(value) = flag {
        return Some((value, Source::Flag(setting.flag.unwrap_or_default())));
    }
    let said = |(name, means): &(&'static str, Means)| {
        let value = env::var_os(name).filter(|value| !value.is_empty())?;
        Some((means(value)?, Source::Environment(name)))
    };
    setting.variables.iter().find_map(said)
}

/// Where a folder is, and the variable that says so.
pub type Folder = (PathBuf, Option<&'static str>);

/// The user's home directory. Only `$HOME` is asked: a static program cannot ask the system's
/// user database.
///
/// A relative HOME is ignored, as the XDG standard ignores relative directories: it would depend on the current
/// directory, whose owner could then choose the program that is run.
///
/// For the error, `what` names the directory that is needed, and `else_said` the variable that sets it.
pub fn user_home(what: &str, else_said: &str) -> Result<PathBuf> {
    home().map_err(|why| {
        Error::new(format!("cannot find {what}: {why}")).hint(format!("set HOME, or {else_said}"))
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

/// The directory of `config.toml`, `groups.json` and `queues.json`. The first that is set: `CODEX_AGENT_CONFIG_HOME`,
/// `$XDG_CONFIG_HOME/codex-agent`, `~/.config/codex-agent`. Created by the first save.
pub fn config_folder() -> Result<PathBuf> {
    where_config_is().map(|(folder, _)| folder)
}

/// The directory of the configuration, and the variable that sets it.
pub fn where_config_is() -> Result<Folder> {
    our_folder(CONFIG_HOME, "XDG_CONFIG_HOME", ".config/codex-agent")
}

/// The directory of runs and locks. The first that is set: `CODEX_AGENT_STATE_HOME`,
/// `$XDG_STATE_HOME/codex-agent`, `~/.local/state/codex-agent`. Created by the first save.
pub fn state_folder() -> Result<PathBuf> {
    where_state_is().map(|(folder, _)| folder)
}

/// The directory of the state, and the variable that sets it.
pub fn where_state_is() -> Result<Folder> {
    our_folder("CODEX_AGENT_STATE_HOME", "XDG_STATE_HOME", ".local/state/codex-agent")
}

/// The user's data directory: `XDG_DATA_HOME`, else `~/.local/share`.
pub fn data_home() -> Result<PathBuf> {
    match env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(directory) => Ok(directory),
        None => Ok(user_home("your data directory", "XDG_DATA_HOME")?.join(".local/share")),
    }
}

/// The data directories of the system: `XDG_DATA_DIRS`, else `/usr/local/share` and `/usr/share`.
pub fn data_dirs() -> Vec<PathBuf> {
    let listed = env::var_os("XDG_DATA_DIRS").filter(|list| !list.is_empty());
    let listed = listed.unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    env::split_paths(&listed).filter(|directory| directory.is_absolute()).collect()
}

/// The directory of the configuration if the environment variable sets it. A relative path is an error.
pub fn named_config_folder() -> Result<Option<PathBuf>> {
    named_folder(CONFIG_HOME)
}

/// The directory that an environment variable of codex-agent sets; a relative path is an error.
fn named_folder(ours: &str) -> Result<Option<PathBuf>> {
    match env::var_os(ours).filter(|value| !value.is_empty()).map(PathBuf::from) {
        Some(folder) if folder.is_relative() => {
            let message = format!("cannot use {ours}: '{}' is not an absolute path", folder.display());
            Err(Error::usage(message).hint("a relative path would depend on the current directory"))
        }
        folder => Ok(folder),
    }
}

fn our_folder(ours: &'static str, standard: &'static str, default: &str) -> Result<Folder> {
    if let Some(folder) = named_folder(ours)? {
        return Ok((folder, Some(ours)));
    }
    // A relative XDG folder is to be ignored, says the standard that made it.
    match env::var_os(standard).map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(folder) => Ok((folder.join("codex-agent"), Some(standard))),
        None => {
            let what = if ours.contains("CONFIG") { "our configuration" } else { "our state" };
            Ok((user_home(what, ours)?.join(default), None))
        }
    }
}
