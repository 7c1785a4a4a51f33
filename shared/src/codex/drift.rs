//! Disagreements between Codex's database and its rollout files, for `codex-agent ls --check`.
//!
//! Problems are not repaired: only Codex changes its home. A listing is correct in spite of them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::home;
use super::index::Index;
use super::reader::is_absolute;
use super::refusal::find_refusal;
use super::rollout::{self, Depth};
#[cfg(feature = "sqlite")]
use super::state::State;
use crate::error::{Result, reason};
use crate::record::Id;
use crate::text::counted;

/// A disagreement between Codex's database and its files.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The kind of problem.
    pub problem: Kind,
    /// The id of the session, or null.
    pub id: Option<Id>,
    /// The file, or null.
    pub path: Option<String>,
    /// An explanation for the user, or null.
    pub detail: Option<String>,
}

/// The kind of a [`Problem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A database file that cannot be read, is damaged, or has no table of sessions.
    UnreadableDatabase,
    /// A row whose rollout does not exist.
    RowWithoutFile,
    /// A rollout without a row.
    FileWithoutRow,
    /// A row and a file that disagree about whether the session is archived.
    ArchivedDisagrees,
    /// A second rollout of a session that is not a segment of the session.
    DuplicateFile,
    /// A rollout that cannot be opened, or whose first line is not that of a rollout.
    UnreadableFile,
    /// A rollout whose first line and file name have different ids.
    ForeignFile,
    /// A row whose rollout path has the form of another operating system.
    ForeignPath,
    /// A row whose directory is neither that of the first line of the rollout nor that of its last turn.
    DirectoryDisagrees,
    /// A rollout outside Codex's home: its row has such a path, or a symbolic link leads there.
    OutsideHome,
    /// A directory that does not exist, while exactly one exists whose name differs only in case.
    DirectoryCase,
    /// A session that Codex refuses to resume, although its rollout exists.
    NotResumable,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.problem {
            Kind::UnreadableDatabase => "the database cannot be read",
            Kind::RowWithoutFile => "a row whose rollout does not exist",
            Kind::FileWithoutRow => "a rollout without a row",
            Kind::ArchivedDisagrees => "row and file disagree about whether the session is archived",
            Kind::DuplicateFile => "a second rollout of one session",
            Kind::UnreadableFile => "a rollout that cannot be read",
            Kind::ForeignFile => "a rollout whose name has another id than its first line",
            Kind::ForeignPath => "a row whose rollout path is written as on another system",
            Kind::DirectoryDisagrees => "row and rollout disagree on the directory",
            Kind::OutsideHome => "a rollout outside of Codex's home",
            Kind::DirectoryCase => "a directory that exists only in another case",
            Kind::NotResumable => "a session that Codex will not resume",
        };
        f.write_str(text)?;
        if let Some(id) = self.id {
            write!(f, ": {id}")?;
        }
        if let Some(path) = &self.path {
            write!(f, ": {path}")?;
        }
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

/// The summary of a comparison of Codex's database with its files.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The path of the database; null if there is none, if it could not be read, and with --no-database.
    pub database: Option<String>,
    /// The schema version of the database, which is its highest migration; null if unknown.
    pub schema: Option<i64>,
    /// The number of sessions in the database.
    pub rows: usize,
    /// The number of rollouts. A session may have several.
    pub files: usize,
    /// The number of preceding records of type problem.
    pub problems: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = counted(self.rows, "row");
        match (&self.database, self.schema) {
            (Some(path), Some(schema)) => write!(f, "{path} (schema {schema}): {rows}")?,
            (Some(path), None) => write!(f, "{path}: {rows}")?,
            (None, _) => f.write_str("no database")?,
        }
        write!(f, ", {}, {}", counted(self.files, "file"), counted(self.problems, "problem"))
    }
}

/// Compare database and files, and pass each disagreement to `emit`.
pub fn check(index: &mut Index, emit: &mut dyn FnMut(&Problem) -> Result<()>) -> Result<Summary> {
    let mut summary = Summary { kind: "check", database: None, schema: None, rows: 0, files: 0, problems: 0 };
    let mut found = |problem, id, path: Option<&Path>, detail| {
        summary.problems += 1;
        let path = path.map(|path| path.to_string_lossy().into_owned());
        emit(&Problem { kind: "problem", problem, id, path, detail })
    };
    #[cfg(not(feature = "sqlite"))]
    let rows: Vec<super::files::RowPlace> = Vec::new();
    #[cfg(feature = "sqlite")]
    let mut rows = Vec::new();
    #[cfg(feature = "sqlite")]
    {
        let home = index.home();
        let used = index.state().map(State::path);
        let unused = home.databases().iter().take_while(|path| Some(path.as_path()) != used);
        for path in unused.filter(|_| index.asks_database()) {
            if let Err(error) = State::open(path) {
                found(Kind::UnreadableDatabase, None, Some(path), Some(error.message().to_owned()))?;
            }
        }
        if let Some(state) = index.state() {
            match state.places().and_then(|places| state.check_pages().map(|()| places)) {
                Ok(places) => {
                    rows = places;
                    summary.database = Some(state.path().to_string_lossy().into_owned());
                    summary.schema = state.schema();
                    summary.rows = rows.len();
                }
                Err(error) => {
                    let why = error.message().to_owned();
                    found(Kind::UnreadableDatabase, None, Some(state.path()), Some(why))?;
                }
            }
        }
    }
    let has_database = summary.database.is_some();
    let mut directories: BTreeMap<String, usize> = BTreeMap::new();
    let home = index.home().clone();
    let roots = home.roots();
    let all = index.files();
    summary.files = all.all().len();
    for row in &rows {
        *directories.entry(row.cwd.clone()).or_default() += 1;
        let (id, path) = (Some(row.id), Path::new(&row.path));
        let Some(file) = all.live(row.id, Some(&row.path)) else {
            let detail = || format!("'codex delete --force {}' removes the row (0.140 and later)", row.id);
            match path.is_file() {
                true => found(Kind::OutsideHome, id, Some(path), None)?,
                false => found(Kind::RowWithoutFile, id, Some(path), Some(detail()))?,
            }
            continue;
        };
        let tree = row.path.rsplit(['/', '\\']).find_map(|part| match part {
            "archived_sessions" => Some(true),
            "sessions" => Some(false),
            _ => None,
        });
        let said = [("the row", row.archived), ("the row's path", tree.unwrap_or(file.archived))];
        if let Some((who, archived)) = said.into_iter().find(|(_, archived)| *archived != file.archived) {
            let words = format!("{who} marks it as {}archived", if archived { "" } else { "not " });
            found(Kind::ArchivedDisagrees, id, Some(&file.path), Some(words))?;
        }
        if !is_absolute(&row.path) {
            found(Kind::ForeignPath, id, Some(path), Some(format!("it is '{}'", file.path.display())))?;
        }
    }
    for files in all.all().chunk_by(|a, b| a.id == b.id) {
        let id = files[0].id;
        let row = rows.binary_search_by_key(&id, |row| row.id).ok().map(|at| &rows[at]);
        let live = super::files::live(files, row.map(|row| row.path.as_str()));
        let refused = live.and_then(|file| find_refusal(&file.path, all).ok().flatten());
        if has_database && row.is_none() {
            let detail = match (&refused, live) {
                (None, Some(file)) if rollout::head(&file.path, Depth::Start).is_ok() => {
                    format!("'codex resume {id}' writes the row again")
                }
                _ => "no command of Codex writes the row again".to_owned(),
            };
            found(Kind::FileWithoutRow, Some(id), Some(&files[0].path), Some(detail))?;
        }
        let mut whole: Vec<_> = files.iter().filter(|file| file.name().segment.is_none()).collect();
        whole.sort_by(|a, b| b.name().age().cmp(&a.name().age()));
        for file in whole.iter().skip(1) {
            found(Kind::DuplicateFile, Some(id), Some(&file.path), None)?;
        }
        for file in files {
            if file.path.exists() && !home::holds(&roots, &file.path) {
                let real = std::fs::canonicalize(&file.path).ok();
                let words = real.map(|real| format!("it leads to '{}'", real.display()));
                found(Kind::OutsideHome, Some(id), Some(&file.path), words)?;
            }
            let head = match rollout::head(&file.path, Depth::Start) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    found(Kind::UnreadableFile, Some(id), Some(&file.path), Some(reason(&error)))?;
                    continue;
                }
                Ok(head) => head,
            };
            if head.meta.id.is_some_and(|other| other != id) {
                let other = head.meta.id.map(|other| format!("the first line has {other}"));
                found(Kind::ForeignFile, Some(id), Some(&file.path), other)?;
            } else if let Some(refused) = &refused
                && live.is_some_and(|live| live.path == file.path)
            {
                found(Kind::NotResumable, Some(id), Some(&file.path), Some(refused.to_string()))?;
            }
            if live.is_none_or(|live| live.path != file.path) {
                continue;
            }
            let Some(row) = row else {
                *directories.entry(head.meta.cwd.unwrap_or_default()).or_default() += 1;
                continue;
            };
            // Codex before 0.147 leaves the first directory in the row, wherever the session is resumed.
            if head.meta.cwd.as_ref().is_some_and(|first| *first != row.cwd) {
                let last = rollout::tail(&file.path, true).ok().and_then(|tail| tail.cwd).or(head.meta.cwd);
                if let Some(last) = last.filter(|last| *last != row.cwd) {
                    let words = format!("the row has '{}', the rollout '{last}'", row.cwd);
                    found(Kind::DirectoryDisagrees, Some(id), Some(&file.path), Some(words))?;
                }
            }
        }
    }
    for (directory, sessions) in directories {
        if let Some(other) = in_other_case(&directory) {
            let noun = if sessions == 1 { "session" } else { "sessions" };
            let words = format!("{sessions} {noun}; '{}' exists", other.display());
            found(Kind::DirectoryCase, None, Some(Path::new(&directory)), Some(words))?;
        }
    }
    Ok(summary)
}

/// The existing directory whose name differs from that of a missing directory only in case, if there is exactly one.
/// Codex has written such names where a filesystem of Windows was mounted.
fn in_other_case(directory: &str) -> Option<PathBuf> {
    let directory = Path::new(directory);
    if !directory.is_absolute() || directory.exists() {
        return None;
    }
    let mut found = PathBuf::from("/");
    for part in directory.strip_prefix("/").ok()? {
        if found.join(part).exists() {
            found.push(part);
            continue;
        }
        let wanted = part.to_string_lossy().to_lowercase();
        let mut alike = std::fs::read_dir(&found).ok()?.flatten().filter(|entry| {
            entry.file_name().to_string_lossy().to_lowercase() == wanted && entry.path().is_dir()
        });
        let one = alike.next()?;
        if alike.next().is_some() {
            return None;
        }
        found = one.path();
    }
    Some(found)
}
