//! Where Codex's home and database are, and where our own files are.
//!
//! Home, first that is set: the flag `--codex-home`, `CODEX_HOME`, `~/.codex`. A home that was named and
//! is not there is an error, as it is for Codex (0.169). The default one may be missing: then
//! nobody has run Codex yet, and there are no sessions.
//!
//! Database folder, first that is set: `sqlite_home` in Codex's `config.toml`, `CODEX_SQLITE_HOME`,
//! the home. In it the `state_N.sqlite` of the highest N, else `state.sqlite`, else `state`
//! (0.94 to 0.99 wrote N below 5 behind a flag; 0.101 to 0.169 write 5).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, warn_once};
use crate::record::Id;

/// Codex's home.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
    database_folder: PathBuf,
    database: Option<PathBuf>,
}

impl Home {
    /// Finds the home. `named` is what the user said on the command line.
    pub fn find(named: Option<&Path>) -> Result<Home> {
        let from_env = env::var_os("CODEX_HOME").filter(|value| !value.is_empty());
        let (path, by) = match (named, from_env) {
            (Some(path), _) => (path.to_owned(), "--codex-home"),
            (None, Some(path)) => (PathBuf::from(path), "CODEX_HOME"),
            (None, None) => (user_home()?.join(".codex"), ""),
        };
        let path = std::path::absolute(&path).unwrap_or(path);
        // Codex stores resolved paths, so ours must be resolved to be comparable.
        let path = match fs::canonicalize(&path) {
            Ok(path) => path,
            Err(_) if by.is_empty() => path,
            Err(error) => {
                return Err(Error::new(format!(
                    "cannot open Codex's home '{}' ({by}): {}",
                    path.display(),
                    crate::error::reason(&error)
                )));
            }
        };
        if path.exists() && !path.is_dir() {
            let message = format!("Codex's home '{}' is not a directory", path.display());
            return Err(Error::new(message));
        }
        let (database_folder, database) = find_database(&path);
        Ok(Home { path, database_folder, database })
    }

    /// The home itself, absolute and without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Codex's database, if there is one (none up to 0.92).
    pub fn database(&self) -> Option<&Path> {
        self.database.as_deref()
    }

    /// Where the database is looked for: the home, unless something moves it.
    pub fn database_folder(&self) -> &Path {
        &self.database_folder
    }

    /// How many messages Codex's own queue holds for a session; 0 without the feature `sqlite`.
    #[cfg_attr(not(feature = "sqlite"), allow(unused_variables))]
    pub fn queued(&self, id: Id) -> usize {
        #[cfg(feature = "sqlite")]
        return super::state::queued(&self.database_folder, id);
        #[cfg(not(feature = "sqlite"))]
        0
    }

    /// Whether anybody has used this home: without one, there are no sessions.
    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }
}

/// The user's home directory. Only `$HOME` is asked: a static program cannot ask the system's
/// user database.
fn user_home() -> Result<PathBuf> {
    env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).ok_or_else(|| {
        Error::new("cannot tell where Codex's home is: HOME is not set")
            .hint("set HOME or CODEX_HOME, or say --codex-home DIR")
    })
}

/// Our configuration: `groups.json` and the like. First that is set: `CODEX_AGENT_CONFIG_HOME`,
/// `$XDG_CONFIG_HOME/codex-agent`, `~/.config/codex-agent`. Made only when there is something to save.
pub fn config_folder() -> Result<PathBuf> {
    our_folder("CODEX_AGENT_CONFIG_HOME", "XDG_CONFIG_HOME", ".config/codex-agent")
}

/// Our state: runs and locks. First that is set: `CODEX_AGENT_STATE_HOME`,
/// `$XDG_STATE_HOME/codex-agent`, `~/.local/state/codex-agent`. Made only when there is something to save.
pub fn state_folder() -> Result<PathBuf> {
    our_folder("CODEX_AGENT_STATE_HOME", "XDG_STATE_HOME", ".local/state/codex-agent")
}

fn our_folder(ours: &str, standard: &str, default: &str) -> Result<PathBuf> {
    if let Some(folder) = env::var_os(ours).filter(|value| !value.is_empty()) {
        let folder = PathBuf::from(folder);
        return Ok(std::path::absolute(&folder).unwrap_or(folder));
    }
    // A relative XDG folder is to be ignored, says the standard that made it.
    match env::var_os(standard).map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(folder) => Ok(folder.join("codex-agent")),
        None => Ok(user_home()?.join(default)),
    }
}

fn find_database(home: &Path) -> (PathBuf, Option<PathBuf>) {
    let folder = configured_sqlite_home(home)
        .or_else(|| env::var_os("CODEX_SQLITE_HOME").filter(|v| !v.is_empty()).map(PathBuf::from))
        .unwrap_or_else(|| home.to_owned());
    let mut highest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("state_")?.strip_suffix(".sqlite")?.parse::<u64>().ok());
        if let Some(number) = number
            && highest.as_ref().is_none_or(|(most, _)| number > *most)
        {
            highest = Some((number, entry.path()));
        }
    }
    let plain = || ["state.sqlite", "state"].map(|name| folder.join(name)).into_iter();
    let found = highest.map(|(_, path)| path).or_else(|| plain().find(|path| path.exists()));
    (folder, found)
}

/// `sqlite_home` in Codex's own configuration. Most have none, so most are not parsed.
fn configured_sqlite_home(home: &Path) -> Option<PathBuf> {
    #[derive(serde::Deserialize)]
    struct Config {
        sqlite_home: Option<PathBuf>,
    }
    let path = home.join("config.toml");
    let text = fs::read_to_string(&path).ok()?;
    if !text.contains("sqlite_home") {
        return None;
    }
    match toml::from_str::<Config>(&text) {
        Ok(config) => config.sqlite_home.map(|folder| home.join(folder)),
        Err(error) => {
            let why = error.message();
            warn_once(format_args!("cannot read sqlite_home in '{}': {why}", path.display()));
            None
        }
    }
}
