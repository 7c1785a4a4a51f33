//! The paths of Codex's home and database.
//!
//! Home, first that is set: the flag `--codex-home`, `CODEX_HOME`, `codex.home` in our own `config.toml`,
//! `~/.codex`. A home that is set and does not exist is an error, as it is for Codex (0.169). The
//! default home may be missing: Codex was not run yet, and there are no sessions.
//!
//! Database directory, first that is set: `sqlite_home` in Codex's `config.toml`, `CODEX_SQLITE_HOME`,
//! the home. In it the `state_N.sqlite` of the highest N, else `state.sqlite`, else `state`
//! (0.94 to 0.99 wrote N below 5 behind a flag; 0.101 and later write 5). A damaged, empty or foreign file
//! of a higher N does not hide a good one of a lower N, so all of them are candidates.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{self, Source, document, user_home};
use crate::error::{Error, Result, reason, warn_once};

#[doc(hidden)]
pub use crate::config::{config_directory, state_directory};

/// Codex's home.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
    by: Option<Source>,
    database_folder: PathBuf,
    databases: Vec<PathBuf>,
    moved_by: Option<&'static str>,
}

impl Home {
    /// Find the home. `named` is the value of `--codex-home`.
    pub fn find(named: Option<&Path>) -> Result<Home> {
        let said = config::chosen(&config::CODEX_HOME, named.map(|path| path.as_os_str().to_owned()))?;
        let (path, by) = match said {
            Some((path, by)) => (PathBuf::from(path), Some(by)),
            None => (user_home("Codex's home", "CODEX_HOME")?.join(".codex"), None),
        };
        let path = std::path::absolute(&path).unwrap_or(path);
        // Codex stores resolved paths, so ours must be resolved to be comparable.
        let path = match (fs::canonicalize(&path), by) {
            (Ok(path), _) => path,
            (Err(_), None) => path,
            (Err(error), Some(by)) => {
                let (by, why) = (config::source_text(by), reason(&error));
                let message = format!("cannot open Codex's home '{}' ({by}): {why}", path.display());
                return Err(Error::new(message));
            }
        };
        if path.exists() && !path.is_dir() {
            let message = format!("Codex's home '{}' is not a directory", path.display());
            return Err(Error::new(message));
        }
        let (database_folder, moved_by) = database_folder(&path);
        let databases = find_databases(&database_folder);
        Ok(Home { path, by, database_folder, databases, moved_by })
    }

    /// The home itself, absolute and without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether Codex itself would use another home: neither its variable nor its default names this one.
    #[doc(hidden)]
    pub fn needs_codex_home_var(&self) -> bool {
        matches!(self.by, Some(Source::Flag(_) | Source::File(_)))
    }

    /// The database of the highest N, even if it is damaged; `None` without a database (up to 0.92).
    pub fn database(&self) -> Option<&Path> {
        self.databases.first().map(PathBuf::as_path)
    }

    /// The files that may be Codex's database, the highest N first. The first readable file is the database.
    #[doc(hidden)]
    pub fn databases(&self) -> &[PathBuf] {
        &self.databases
    }

    /// The directory of the database: the home, unless it is configured.
    pub fn database_folder(&self) -> &Path {
        &self.database_folder
    }

    /// The key `sqlite_home` or the variable that sets the directory of the database.
    #[doc(hidden)]
    pub fn database_moved_by(&self) -> Option<&'static str> {
        self.moved_by
    }

    /// Whether Codex treats a rollout as one of this home: it is below the home, or below the target of one of the two
    /// directories of rollouts. Codex follows no link below these directories (0.169, 0.171).
    #[doc(hidden)]
    pub fn holds(&self, rollout: &Path) -> bool {
        holds(&self.roots(), rollout)
    }

    /// The directories of rollouts of this home.
    pub(super) fn roots(&self) -> Vec<PathBuf> {
        let roots = ["", "sessions", "archived_sessions"];
        roots.iter().filter_map(|name| fs::canonicalize(self.path.join(name)).ok()).collect()
    }

    /// Whether the home exists; without a home there are no sessions.
    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }
}

/// Whether a rollout is below one of these directories.
pub(super) fn holds(roots: &[PathBuf], rollout: &Path) -> bool {
    fs::canonicalize(rollout).is_ok_and(|real| roots.iter().any(|root| real.starts_with(root)))
}

fn database_folder(home: &Path) -> (PathBuf, Option<&'static str>) {
    let variable = "CODEX_SQLITE_HOME";
    let from_env = || env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from);
    match configured_sqlite_home(home) {
        Some(folder) => (folder, Some("sqlite_home")),
        None => from_env().map_or((home.to_owned(), None), |folder| (folder, Some(variable))),
    }
}

fn find_databases(folder: &Path) -> Vec<PathBuf> {
    let mut numbered: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("state_")?.strip_suffix(".sqlite")?.parse::<u64>().ok());
        numbered.extend(number.map(|number| (number, entry.path())));
    }
    numbered.sort_by(|a, b| b.cmp(a));
    let plain = ["state.sqlite", "state"].map(|name| folder.join(name)).into_iter();
    numbered.into_iter().map(|(_, path)| path).chain(plain.filter(|path| path.exists())).collect()
}

/// `sqlite_home` in Codex's own configuration. Most have none, so most are not parsed.
fn configured_sqlite_home(home: &Path) -> Option<PathBuf> {
    let path = home.join("config.toml");
    let text = fs::read_to_string(&path).ok()?;
    if !text.contains("sqlite_home") {
        return None;
    }
    match document::top_level_text(&text, "sqlite_home") {
        Ok(folder) => folder.map(|folder| home.join(folder)),
        Err(why) => {
            warn_once(format_args!("cannot read sqlite_home in '{}': {why}", path.display()));
            None
        }
    }
}
