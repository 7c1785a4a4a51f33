//! Where Codex's database and its rollout files disagree: what `codex-agent ls --check` tells.
//!
//! A disagreement is no fault of the user, and nothing is repaired here; what must change in Codex's
//! home, Codex does. The listing copes with each of these.

use std::fmt;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::index::Index;
use super::rollout::{self, Depth};
use crate::error::{Result, reason};
use crate::record::Id;

/// A disagreement between Codex's database and its files.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    /// What is wrong.
    pub problem: Kind,
    /// The session; null where it is about none.
    pub id: Option<Id>,
    /// The file; null where it is about none.
    pub path: Option<String>,
    /// More, for people; null where there is no more.
    pub detail: Option<String>,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The database is there and cannot be read.
    UnreadableDatabase,
    /// A row whose rollout is nowhere.
    RowWithoutFile,
    /// A rollout without a row.
    FileWithoutRow,
    /// A row that says archived and a file that is not, or the other way round.
    ArchivedDisagrees,
    /// Two files of one session that are no segments of it.
    DuplicateFile,
    /// A rollout that cannot be opened, or does not begin as one.
    UnreadableFile,
    /// A rollout whose first line has another id than its name.
    ForeignFile,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.problem {
            Kind::UnreadableDatabase => "the database cannot be read",
            Kind::RowWithoutFile => "a row whose rollout is gone",
            Kind::FileWithoutRow => "a rollout without a row",
            Kind::ArchivedDisagrees => "row and file disagree whether it is archived",
            Kind::DuplicateFile => "a second rollout of one session",
            Kind::UnreadableFile => "a rollout that cannot be read",
            Kind::ForeignFile => "a rollout whose name has another id than its first line",
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

/// The end of a comparison of Codex's database with its files.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The path of the database; null where there is none, where it could not be read, and where nobody asked it.
    pub database: Option<String>,
    /// The number of its schema, which is the highest migration in it; null where nobody knows.
    pub schema: Option<i64>,
    /// The sessions in the database.
    pub rows: usize,
    /// The rollouts. A session may have several.
    pub files: usize,
    /// The disagreements, each of which has a record before this one.
    pub problems: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.database, self.schema) {
            (Some(path), Some(schema)) => write!(f, "{path} (schema {schema}): {} rows", self.rows)?,
            (Some(path), None) => write!(f, "{path}: {} rows", self.rows)?,
            (None, _) => f.write_str("no database")?,
        }
        let problems = if self.problems == 1 { "problem" } else { "problems" };
        write!(f, ", {} files, {} {problems}", self.files, self.problems)
    }
}

/// Compares database and files and gives each disagreement to `tell`.
pub fn check(index: &mut Index, tell: &mut dyn FnMut(&Problem) -> Result<()>) -> Result<Summary> {
    let mut summary = Summary { kind: "check", database: None, schema: None, rows: 0, files: 0, problems: 0 };
    let mut found = |problem, id, path: Option<&Path>, detail| {
        summary.problems += 1;
        let path = path.map(|path| path.to_string_lossy().into_owned());
        tell(&Problem { kind: "problem", problem, id, path, detail })
    };
    #[cfg(not(feature = "sqlite"))]
    let rows: Vec<(Id, String, bool)> = Vec::new();
    #[cfg(feature = "sqlite")]
    let mut rows = Vec::new();
    #[cfg(feature = "sqlite")]
    {
        let home = index.home().clone();
        match (index.state(), home.database()) {
            (Some(state), _) => match state.places() {
                Ok(places) => {
                    rows = places;
                    summary.database = Some(state.path().to_string_lossy().into_owned());
                    summary.schema = state.schema();
                    summary.rows = rows.len();
                }
                Err(error) => {
                    let why = Some(error.message().to_owned());
                    found(Kind::UnreadableDatabase, None, Some(state.path()), why)?;
                }
            },
            (None, Some(path)) if index.asks_database() => {
                found(Kind::UnreadableDatabase, None, Some(path), None)?;
            }
            (None, _) => {}
        }
    }
    let has_database = summary.database.is_some();
    let files = index.files();
    summary.files = files.all().len();
    for (id, path, archived) in &rows {
        match files.live(*id, Some(path)) {
            None => found(Kind::RowWithoutFile, Some(*id), Some(Path::new(path)), None)?,
            Some(file) if file.archived != *archived => {
                let says = if *archived { "the row says archived" } else { "the row says not archived" };
                found(Kind::ArchivedDisagrees, Some(*id), Some(&file.path), Some(says.to_owned()))?;
            }
            Some(_) => {}
        }
    }
    for files in files.all().chunk_by(|a, b| a.id == b.id) {
        let id = files[0].id;
        if has_database && rows.binary_search_by(|row| row.0.cmp(&id)).is_err() {
            found(Kind::FileWithoutRow, Some(id), Some(&files[0].path), None)?;
        }
        let mut whole: Vec<_> = files.iter().filter(|file| file.name().segment.is_none()).collect();
        whole.sort_by(|a, b| b.name().age().cmp(&a.name().age()));
        for file in whole.iter().skip(1) {
            found(Kind::DuplicateFile, Some(id), Some(&file.path), None)?;
        }
        for file in files {
            match rollout::head(&file.path, Depth::Start) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    found(Kind::UnreadableFile, Some(id), Some(&file.path), Some(reason(&error)))?;
                }
                Ok(head) if head.meta.id.is_some_and(|other| other != id) => {
                    let other = head.meta.id.map(|other| format!("it says {other}"));
                    found(Kind::ForeignFile, Some(id), Some(&file.path), other)?;
                }
                Ok(_) => {}
            }
        }
    }
    Ok(summary)
}
