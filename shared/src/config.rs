//! Our own configuration: `config.toml` in the folder of `groups.json`, and where our folders are.
//!
//! Each setting is described once, in [`SETTINGS`]: the reader, `codex-agent config` and the manual are made
//! from it. What a flag says comes first, then a variable, then the file, then what is built in
//! ([`chosen`]); the file is read only where it is to decide, and once in a process.
//!
//! A missing file is empty. A syntax error, a wrong type and a value that cannot be are errors, which end
//! whoever needs a setting with file, line and column. A key that nobody knows is told and passed over: a
//! newer release may have written it. The file is never written.
//!
//! ```
//! use codex_agent_shared::config::Config;
//!
//! let folder = tempfile::tempdir().unwrap();
//! // A file that is not there says nothing, and is no error.
//! let config = Config::read(folder.path());
//! assert!(!config.is_there() && config.sound().is_ok() && config.aliases().is_empty());
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
use document::{Entry, Place, Places, Value, Wrong};

use crate::error::{Error, Result, reason, warn};
use crate::plugin::is_name;
use crate::store::read_capped;
use crate::text::nearest;
use crate::time::parse_duration;

/// The name of the file.
pub const NAME: &str = "config.toml";

/// The longest file that is read: 1 MiB.
const LONGEST: u64 = 1 << 20;

/// The variable that names the directory of our configuration.
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
    File(Place),
}

/// What is wrong with the file in one place, or with all of it.
#[derive(Debug)]
pub struct Fault {
    /// Whether nobody can use the file before it is mended.
    pub is_error: bool,
    /// In one word, for records.
    pub word: &'static str,
    /// Where, if it is a place.
    pub place: Option<Place>,
    /// The key or the table that it is about, if it is not the file as a whole.
    pub key: Option<String>,
    /// What.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

/// A value of the file.
#[derive(Debug)]
struct Set {
    key: &'static str,
    text: OsString,
    place: Place,
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
    /// Reads the file of a folder. What is wrong with it is a part of what was read: see
    /// [`Config::sound`].
    pub fn read(folder: &Path) -> Config {
        let mut config = Config { path: folder.join(NAME), ..Config::default() };
        match bytes(&config.path) {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                config.is_there = true;
                config.take(&bytes);
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

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// The aliases, in the order of the file.
    pub fn aliases(&self) -> &[Alias] {
        &self.aliases
    }

    /// Everything that is wrong, in the order of the file.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The file and a place in it, for a message.
    pub fn told(&self, place: Option<Place>) -> String {
        let path = self.path.display();
        place.map_or_else(|| path.to_string(), |place| format!("{path}:{place}"))
    }

    /// The configuration itself, unless something in it is an error: then that, and how many more there are.
    pub fn sound(&self) -> Result<&Config> {
        self.valid_except(|_| false)
    }

    /// The same for whoever needs this key alone: what is wrong with others does not matter then.
    pub fn sound_for(&self, key: &str) -> Result<&Config> {
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

    /// A fault in one line: where, and what.
    pub fn line(&self, fault: &Fault) -> String {
        match fault.place {
            Some(_) => format!("{}: {}", self.told(fault.place), fault.message),
            None => format!("cannot read '{}': {}", self.path.display(), fault.message),
        }
    }

    /// The same, and the way out.
    pub fn whole_line(&self, fault: &Fault) -> String {
        let hint = fault.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
        format!("{}{hint}", self.line(fault))
    }

    /// What a setting is, and by what: the flag, the first variable that says something, the file. Nothing
    /// where it is what is built in.
    pub fn chosen(&self, setting: &Setting, flag: Option<OsString>) -> Option<(OsString, Source)> {
        let in_the_file =
            || self.of_the_file(setting).map(|(text, place)| (text.to_owned(), Source::File(place)));
        beyond_the_file(setting, flag).or_else(in_the_file)
    }

    /// What the file alone says of a setting, and where.
    pub fn of_the_file(&self, setting: &Setting) -> Option<(&OsStr, Place)> {
        let set = self.set.iter().find(|set| set.key == setting.key)?;
        Some((&set.text, set.place))
    }

    /// How many jobs at once, if the file says it.
    pub fn max_concurrent(&self) -> Option<usize> {
        self.of_the_file(&RUNS_MAX_CONCURRENT)?.0.to_str()?.parse().ok()
    }

    /// How long a finished run is kept; nothing where it is for ever.
    pub fn keep(&self) -> Option<Duration> {
        let said =
            self.of_the_file(&RUNS_KEEP).and_then(|(text, _)| text.to_str()).unwrap_or(RUNS_KEEP.default);
        // What is for ever is no length of time; all else was read once already.
        parse_duration(said).ok()
    }

    fn fault(
        &mut self,
        is_error: bool,
        word: &'static str,
        place: Option<Place>,
        message: impl Into<String>,
    ) {
        self.faults.push(Fault { is_error, word, place, key: None, message: message.into(), hint: None });
    }

    fn refuse(&mut self, key: String, what: &str, wrong: Wrong, place: Place) {
        let (word, why) = match wrong {
            Wrong::Type(expected, found) => ("wrong_type", format!("expected {expected}, found {found}")),
            Wrong::Value(why) => ("bad_value", why),
        };
        self.fault_of(key, word, place, format!("invalid value for {what}: {why}"));
    }

    /// An error that is about one key or table alone.
    fn fault_of(&mut self, key: String, word: &'static str, place: Place, message: String) {
        self.faults.push(Fault {
            is_error: true,
            word,
            place: Some(place),
            key: Some(key),
            message,
            hint: None,
        });
    }

    fn unknown(&mut self, place: Place, what: &str, name: &str, near: Option<&str>) {
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

    fn take(&mut self, bytes: &[u8]) {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let good = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
                let place = Places::new(&good).of(good.len());
                return self.fault(true, "not_utf8", Some(place), "it is not UTF-8");
            }
        };
        let places = Places::new(text);
        let (entries, faults) = document::parse(text);
        for (at, why) in faults {
            self.fault(true, "syntax", Some(places.of(at)), why);
        }
        for entry in &entries {
            self.table(entry, &places);
        }
    }

    /// One entry of the top: a table of settings, or the aliases.
    fn table(&mut self, entry: &Entry, places: &Places<'_>) {
        let name = entry.name.as_str();
        let tables = || SETTINGS.iter().filter_map(|setting| setting.key.split('.').next()).chain([ALIAS]);
        match &entry.value {
            Value::Table(entries) if name == ALIAS => {
                for entry in entries {
                    self.alias(entry, places);
                }
            }
            Value::Table(entries) if tables().any(|table| table == name) => {
                for entry in entries {
                    self.setting(name, entry, places);
                }
            }
            other if tables().any(|table| table == name) => {
                let message = format!("expected a table for '{name}', found {}", other.called());
                self.fault_of(name.to_owned(), "wrong_type", places.of(entry.value_at), message);
            }
            Value::Table(_) => self.unknown(places.of(entry.at), "table", name, near(name, &mut tables())),
            _ => {
                // A key of a table, written outside of it.
                let last = |setting: &&Setting| setting.key.split('.').next_back().unwrap_or_default();
                let near = near(name, &mut SETTINGS.iter().map(last));
                let near = near.and_then(|near| SETTINGS.iter().find(|setting| last(setting) == near));
                self.unknown(places.of(entry.at), "key", name, near.map(|setting| setting.key));
            }
        }
    }

    fn setting(&mut self, table: &str, entry: &Entry, places: &Places<'_>) {
        let key = format!("{table}.{}", entry.name);
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            let near = near(&key, &mut SETTINGS.iter().map(|setting| setting.key));
            return self.unknown(places.of(entry.at), "key", &key, near);
        };
        match setting.kind.read(&entry.value) {
            Ok(text) => self.set.push(Set { key: setting.key, text, place: places.of(entry.at) }),
            Err(wrong) => self.refuse(key.clone(), &format!("'{key}'"), wrong, places.of(entry.value_at)),
        }
    }

    fn alias(&mut self, entry: &Entry, places: &Places<'_>) {
        let name = &entry.name;
        if !is_name(name) {
            let message = format!("invalid alias name '{name}': use lower case letters, digits and dashes");
            return self.fault(false, "bad_alias_name", Some(places.of(entry.at)), message);
        }
        match Target::read(&entry.value) {
            Ok((leads, text)) => {
                self.aliases.push(Alias { name: name.clone(), text, leads, place: places.of(entry.at) });
            }
            Err(wrong) => {
                let key = format!("{ALIAS}.{name}");
                self.refuse(key, &format!("alias '{name}'"), wrong, places.of(entry.value_at));
            }
        }
    }
}

/// The nearest of our names, all of which are in small letters.
fn near<'n>(name: &str, known: &mut dyn Iterator<Item = &'n str>) -> Option<&'n str> {
    nearest(&name.to_lowercase(), known).first().copied()
}

/// What the file holds; nothing where there is none. The error is why it cannot be read.
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

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The configuration of this process, unless a setting in it is an error: what is wrong with an alias is the
/// affair of whoever uses that.
pub fn get() -> Result<&'static Config> {
    named_config_folder()?;
    once().valid_except(is_of_an_alias)
}

fn is_of_an_alias(key: &str) -> bool {
    key == ALIAS || key.strip_prefix(ALIAS).is_some_and(|rest| rest.starts_with('.'))
}

/// The configuration of this process as far as it could be read. The first call reads it, and tells what in
/// it nobody knows, and which aliases cannot be used.
pub fn once() -> &'static Config {
    static READ: OnceLock<Config> = OnceLock::new();
    READ.get_or_init(|| {
        // Without a home of the user's there is no file of theirs.
        let config = config_folder().map_or_else(|_| Config::default(), |folder| Config::read(&folder));
        let is_told = |fault: &&Fault| !fault.is_error || fault.key.as_deref().is_some_and(is_of_an_alias);
        let mut unknown = config.faults.iter().filter(is_told);
        for fault in unknown.by_ref().take(5) {
            warn(config.whole_line(fault));
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

/// As [`Config::chosen`], of this process. The file is read only where neither flag nor variable says it.
pub fn chosen(setting: &Setting, flag: Option<OsString>) -> Result<Option<(OsString, Source)>> {
    match beyond_the_file(setting, flag) {
        Some(found) => Ok(Some(found)),
        None => Ok(get()?.chosen(setting, None)),
    }
}

/// What said a value, for a message.
pub fn said_by(source: Source) -> String {
    match source {
        Source::Flag(name) | Source::Environment(name) => name.to_owned(),
        Source::File(place) => {
            let path = config_folder().map_or_else(|_| PathBuf::from(NAME), |folder| folder.join(NAME));
            format!("{}:{place}", path.display())
        }
    }
}

fn beyond_the_file(setting: &Setting, flag: Option<OsString>) -> Option<(OsString, Source)> {
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
/// A relative one is passed over, as a relative folder of the system's standard is: it would mean another place in
/// each directory, and who stands in one that is somebody else's would be told what to run.
///
/// `what` is what is looked for there, and `else_said` what else says where that is, for the error.
pub fn user_home(what: &str, else_said: &str) -> Result<PathBuf> {
    home().map_err(|why| {
        Error::new(format!("cannot find {what}: {why}")).hint(format!("set HOME, or {else_said}"))
    })
}

/// The same; the error is why there is none, in a clause.
pub fn home() -> std::result::Result<PathBuf, String> {
    match env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from) {
        Some(home) if home.is_absolute() => Ok(home),
        Some(home) => Err(format!("HOME is '{}', which is not an absolute path", home.display())),
        None => Err("HOME is not set".to_owned()),
    }
}

/// Our configuration: this file, `groups.json` and the like. First that is set: `CODEX_AGENT_CONFIG_HOME`,
/// `$XDG_CONFIG_HOME/codex-agent`, `~/.config/codex-agent`. Made only when there is something to save.
pub fn config_folder() -> Result<PathBuf> {
    where_config_is().map(|(folder, _)| folder)
}

/// The same, and by what.
pub fn where_config_is() -> Result<Folder> {
    our_folder(CONFIG_HOME, "XDG_CONFIG_HOME", ".config/codex-agent")
}

/// Our state: runs and locks. First that is set: `CODEX_AGENT_STATE_HOME`,
/// `$XDG_STATE_HOME/codex-agent`, `~/.local/state/codex-agent`. Made only when there is something to save.
pub fn state_folder() -> Result<PathBuf> {
    where_state_is().map(|(folder, _)| folder)
}

/// The same, and by what.
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

/// The directory of our configuration, where the variable names it; a relative one is an error.
pub fn named_config_folder() -> Result<Option<PathBuf>> {
    named_folder(CONFIG_HOME)
}

/// The directory that a variable of ours names. One that is relative would be another one in each directory.
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
