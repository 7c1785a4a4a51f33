//! Rows of Codex's database, as the fake Codex and the sample home write them.

use std::collections::HashSet;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::time::Duration;

use codex_agent_shared::codex::state::why;
use codex_agent_shared::error::{Error, Result, reason};
use codex_agent_shared::record::Id;
use rusqlite::{Connection, params_from_iter};

pub(crate) use rusqlite::types::Value as Cell;

/// The longest wait for other writers, each of which needs a tenth of a millisecond.
const PATIENCE: Duration = Duration::from_secs(30);

/// The table of sessions, open for writing.
///
/// Nothing is synced, and the connection is not closed: closing the last one would write the log back, and
/// neither matters to test sessions after a power cut.
pub(crate) struct Table {
    connection: ManuallyDrop<Connection>,
    columns: HashSet<String>,
}

impl Table {
    /// Opens the database. A missing database is created by these statements.
    pub(crate) fn open(path: &Path, schema: &str) -> Result<Table> {
        let failed =
            |why: String| Error::new(format!("cannot write to Codex's database '{}': {why}", path.display()));
        if !path.exists() {
            create(path, schema).map_err(failed)?;
        }
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(PATIENCE)?;
            connection.execute_batch("PRAGMA synchronous = OFF")?;
            let columns =
                connection.prepare("SELECT * FROM threads")?.column_names().map(str::to_owned).collect();
            Ok((connection, columns))
        };
        let (connection, columns) = open().map_err(|error| failed(why(&error)))?;
        Ok(Table { connection: ManuallyDrop::new(connection), columns })
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.contains(column)
    }

    /// Inserts a row. An existing row gets only its `moving` columns, and those of `once` that are empty.
    pub(crate) fn put(&self, mut row: Vec<(&str, Cell)>, moving: &[&str], once: &[&str]) -> Result<()> {
        row.retain(|(column, _)| self.has(column));
        let (names, values): (Vec<&str>, Vec<Cell>) = row.into_iter().unzip();
        let marks: Vec<String> = (1..=names.len()).map(|at| format!("?{at}")).collect();
        let moved = names.iter().filter(|name| moving.contains(name));
        let moved = moved.map(|name| format!("{name} = excluded.{name}"));
        let filled = names.iter().filter(|name| once.contains(name));
        let filled =
            filled.map(|name| format!("{name} = CASE {name} WHEN '' THEN excluded.{name} ELSE {name} END"));
        let set: Vec<String> = moved.chain(filled).collect();
        let sql = format!(
            "INSERT INTO threads ({}) VALUES ({}) ON CONFLICT(id) DO UPDATE SET {}",
            names.join(", "),
            marks.join(", "),
            set.join(", ")
        );
        self.execute(&sql, values)
    }

    /// Changes those columns of a row that the table has.
    pub(crate) fn set(&self, id: Id, values: Vec<(&str, Cell)>) -> Result<()> {
        for (column, value) in values {
            if self.has(column) {
                let sql = format!("UPDATE threads SET {column} = ?1 WHERE id = ?2");
                self.execute(&sql, vec![value, id.to_string().into()])?;
            }
        }
        Ok(())
    }

    /// Replaces a text by another in this column of all rows.
    pub(crate) fn replace(&self, column: &str, from: &str, to: &str) -> Result<()> {
        let sql = format!("UPDATE threads SET {column} = replace({column}, ?1, ?2)");
        self.execute(&sql, vec![from.to_owned().into(), to.to_owned().into()])
    }

    /// Removes a row.
    pub(crate) fn remove(&self, id: Id) -> Result<()> {
        self.execute("DELETE FROM threads WHERE id = ?1", vec![id.to_string().into()])
    }

    /// The text in a column of a row.
    pub(crate) fn text(&self, id: Id, column: &str) -> Option<String> {
        let sql = format!("SELECT {column} FROM threads WHERE id = ?1");
        self.connection.query_row(&sql, [id.to_string()], |row| row.get(0)).ok()
    }

    fn execute(&self, sql: &str, values: Vec<Cell>) -> Result<()> {
        self.connection
            .execute(sql, params_from_iter(values))
            .map(drop)
            .map_err(|error| Error::new(format!("cannot write to Codex's database: {}", why(&error))))
    }
}

/// Creates a complete database beside its path and links it there. If several processes do so, the first wins.
fn create(path: &Path, schema: &str) -> std::result::Result<(), String> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let draft = tempfile::NamedTempFile::new_in(directory).map_err(|error| reason(&error))?;
    let build = || {
        let connection = Connection::open(draft.path())?;
        connection.execute_batch(&format!(
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL; BEGIN; {schema} COMMIT;"
        ))?;
        connection.close().map_err(|(_, error)| error)
    };
    build().map_err(|error| why(&error))?;
    match draft.persist_noclobber(path) {
        Err(error) if !path.exists() => Err(reason(&error.error)),
        _ => Ok(()),
    }
}
