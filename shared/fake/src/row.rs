//! The row of a session in the database, in the columns that the version has.

#[cfg(feature = "sqlite")]
use std::collections::BTreeSet;

#[cfg(feature = "sqlite")]
use crate::table::Table;

use crate::output::{Run, fail};
use crate::version::{Version, since};
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::record::Id;

/// A value of a column.
pub(super) enum Cell {
    Text(String),
    Number(i64),
    Null,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Cell {
        Cell::Number(number)
    }
}

impl From<Option<&str>> for Cell {
    fn from(text: Option<&str>) -> Cell {
        text.map_or(Cell::Null, Cell::from)
    }
}

/// The columns that later turns change.
const MOVING: [&str; 7] = [
    "rollout_path",
    "updated_at",
    "updated_at_ms",
    "recency_at",
    "recency_at_ms",
    "tokens_used",
    "sandbox_policy",
];

/// The columns that only the first message sets.
const ONCE: [&str; 3] = ["title", "first_user_message", "preview"];

/// The columns of Codex's own table, and the version that each came with.
#[cfg(feature = "sqlite")]
const COLUMNS: [(u32, &str); 35] = [
    (0, "id TEXT PRIMARY KEY"),
    (0, "rollout_path TEXT NOT NULL"),
    (0, "created_at INTEGER NOT NULL"),
    (0, "updated_at INTEGER NOT NULL"),
    (0, "source TEXT NOT NULL"),
    (0, "model_provider TEXT NOT NULL"),
    (0, "cwd TEXT NOT NULL"),
    (0, "title TEXT NOT NULL"),
    (0, "sandbox_policy TEXT NOT NULL"),
    (0, "approval_mode TEXT NOT NULL"),
    (0, "tokens_used INTEGER NOT NULL DEFAULT 0"),
    (0, "has_user_event INTEGER NOT NULL DEFAULT 0"),
    (0, "archived INTEGER NOT NULL DEFAULT 0"),
    (0, "archived_at INTEGER"),
    (0, "git_sha TEXT"),
    (0, "git_branch TEXT"),
    (0, "git_origin_url TEXT"),
    (0, "cli_version TEXT NOT NULL DEFAULT ''"),
    (0, "first_user_message TEXT NOT NULL DEFAULT ''"),
    (0, "agent_nickname TEXT"),
    (0, "agent_role TEXT"),
    (0, "memory_mode TEXT NOT NULL DEFAULT 'enabled'"),
    (120, "model TEXT"),
    (120, "reasoning_effort TEXT"),
    (120, "agent_path TEXT"),
    (122, "created_at_ms INTEGER"),
    (122, "updated_at_ms INTEGER"),
    (130, "thread_source TEXT"),
    (131, "preview TEXT NOT NULL DEFAULT ''"),
    (142, "recency_at INTEGER NOT NULL DEFAULT 0"),
    (142, "recency_at_ms INTEGER NOT NULL DEFAULT 0"),
    (145, "name TEXT"),
    (148, "history_mode TEXT NOT NULL DEFAULT 'legacy'"),
    (148, "is_pinned INTEGER NOT NULL DEFAULT 0"),
    (155, "originator TEXT"),
];

/// The database; none in old versions, and none where this was built without SQLite.
pub(super) struct Rows {
    #[cfg(feature = "sqlite")]
    table: Option<Table>,
}

#[cfg(feature = "sqlite")]
impl Rows {
    pub(super) fn open(version: &Version, home: &Home) -> Run<Rows> {
        if !version.has(since::DATABASE) && home.database().is_none() {
            return Ok(Rows { table: None });
        }
        let made = home.database_folder().join("state_5.sqlite");
        match Table::open(home.database().unwrap_or(&made), &schema(version)) {
            Ok(table) => Ok(Rows { table: Some(table) }),
            Err(error) => fail(error),
        }
    }

    pub(super) fn put(&self, version: &Version, row: Vec<(&str, Cell)>) -> Run<()> {
        let Some(table) = &self.table else { return Ok(()) };
        let row: Vec<_> = row.into_iter().map(|(column, cell)| (column, value(cell))).collect();
        let mut moving = MOVING.to_vec();
        if version.has(since::MOVES_CWD) {
            moving.push("cwd");
        }
        table.put(&row, &moving, &ONCE).or_else(fail)
    }

    pub(super) fn set(&self, id: Id, values: Vec<(&str, Cell)>) -> Run<()> {
        let Some(table) = &self.table else { return Ok(()) };
        let values = values.into_iter().map(|(column, cell)| (column, value(cell))).collect();
        table.set(id, values).or_else(fail)
    }

    pub(super) fn remove(&self, id: Id) -> Run<()> {
        self.table.as_ref().map_or(Ok(()), |table| table.remove(id).or_else(fail))
    }

    pub(super) fn text(&self, id: Id, column: &str) -> Option<String> {
        let table = self.table.as_ref().filter(|table| table.has(column))?;
        table.text(id, column).filter(|text| !text.is_empty())
    }
}

/// The cell as the database's own type, which is not named outside of `state`.
#[cfg(feature = "sqlite")]
fn value<V: From<String> + From<i64> + From<Option<i64>>>(cell: Cell) -> V {
    match cell {
        Cell::Text(text) => text.into(),
        Cell::Number(number) => number.into(),
        Cell::Null => None::<i64>.into(),
    }
}

#[cfg(feature = "sqlite")]
fn schema(version: &Version) -> String {
    let has = |minor: &u32| version.has(*minor);
    let columns: Vec<&str> =
        COLUMNS.iter().filter(|(minor, _)| has(minor)).map(|(_, column)| *column).collect();
    let mut schema = format!("CREATE TABLE threads ({});", columns.join(", "));
    let suffix = if version.has(122) { "_ms" } else { "" };
    let recency = if version.has(142) { "recency_at" } else { "updated_at" };
    for time in BTreeSet::from(["created_at", "updated_at", recency]) {
        schema.push_str(&format!(
            "CREATE INDEX idx_threads_{time}{suffix} ON threads({time}{suffix} DESC, id DESC);"
        ));
    }
    schema.push_str(&format!(
        "CREATE INDEX idx_threads_archived_cwd_{recency}{suffix} \
         ON threads(archived, cwd, {recency}{suffix} DESC, id DESC);"
    ));
    schema
}

#[cfg(not(feature = "sqlite"))]
impl Rows {
    pub(super) fn open(_: &Version, _: &Home) -> Run<Rows> {
        Ok(Rows {})
    }

    pub(super) fn put(&self, _: &Version, _: Vec<(&str, Cell)>) -> Run<()> {
        Ok(())
    }

    pub(super) fn set(&self, _: Id, _: Vec<(&str, Cell)>) -> Run<()> {
        Ok(())
    }

    pub(super) fn remove(&self, _: Id) -> Run<()> {
        Ok(())
    }

    pub(super) fn text(&self, _: Id, _: &str) -> Option<String> {
        None
    }
}
