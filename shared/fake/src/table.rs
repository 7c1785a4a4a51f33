//! Writing rows: for the fake Codex, which is Codex where its home is concerned, and its sample home.

use std::collections::HashSet;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::time::Duration;

use codex_agent_shared::codex::state::why;
use codex_agent_shared::error::{Error, Result, reason};
use codex_agent_shared::record::Id;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// How long a writer waits for others. They need a tenth of a millisecond each.
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
    /// Opens the database, and makes it with these statements where it is not there.
    pub(crate) fn open(path: &Path, schema: &str) -> Result<Table> {
        let failed =
            |why: String| Error::new(format!("cannot write to Codex's database '{}': {why}", path.display()));
        if !path.exists() {
            make(path, schema).map_err(failed)?;
        }
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(PATIENCE)?;
            connection.execute_batch("PRAGMA synchronous = OFF")?;
            let statement = connection.prepare("SELECT * FROM threads")?;
            let columns = statement.column_names().map(str::to_owned).collect();
            drop(statement);
            Ok((connection, columns))
        };
        let (connection, columns) = open().map_err(|error| failed(why(&error)))?;
        Ok(Table { connection: ManuallyDrop::new(connection), columns })
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.contains(column)
    }

    /// Writes a row. One that is there gets the `moving` columns of it alone, and of `once` those that are
    /// empty so far.
    pub(crate) fn put(&self, row: &[(&str, Value)], moving: &[&str], once: &[&str]) -> Result<()> {
        let row: Vec<&(&str, Value)> = row.iter().filter(|(column, _)| self.has(column)).collect();
        let names: Vec<&str> = row.iter().map(|(column, _)| *column).collect();
        let marks: Vec<String> = (1..=row.len()).map(|at| format!("?{at}")).collect();
        let set: Vec<String> = names
            .iter()
            .filter_map(|name| match () {
                () if moving.contains(name) => Some(format!("{name} = excluded.{name}")),
                () if once.contains(name) => {
                    Some(format!("{name} = CASE {name} WHEN '' THEN excluded.{name} ELSE {name} END"))
                }
                () => None,
            })
            .collect();
        let sql = format!(
            "INSERT INTO threads ({}) VALUES ({}) ON CONFLICT(id) DO UPDATE SET {}",
            names.join(", "),
            marks.join(", "),
            set.join(", ")
        );
        self.run(&sql, row.into_iter().map(|(_, value)| value.clone()).collect())
    }

    /// Changes columns of a row, as far as there are such columns.
    pub(crate) fn set(&self, id: Id, values: Vec<(&str, Value)>) -> Result<()> {
        for (column, value) in values {
            if self.has(column) {
                let sql = format!("UPDATE threads SET {column} = ?1 WHERE id = ?2");
                self.run(&sql, vec![value, id.to_string().into()])?;
            }
        }
        Ok(())
    }

    /// Puts another text in the place of one, in this column of all rows.
    pub(crate) fn replace(&self, column: &str, from: &str, to: &str) -> Result<()> {
        let sql = format!("UPDATE threads SET {column} = replace({column}, ?1, ?2)");
        self.run(&sql, vec![from.to_owned().into(), to.to_owned().into()])
    }

    /// Removes a row.
    pub(crate) fn remove(&self, id: Id) -> Result<()> {
        self.run("DELETE FROM threads WHERE id = ?1", vec![id.to_string().into()])
    }

    /// The text in a column of a row.
    pub(crate) fn text(&self, id: Id, column: &str) -> Option<String> {
        let sql = format!("SELECT {column} FROM threads WHERE id = ?1");
        self.connection.query_row(&sql, [id.to_string()], |row| row.get(0)).ok()
    }

    fn run(&self, sql: &str, values: Vec<Value>) -> Result<()> {
        self.connection
            .execute(sql, params_from_iter(values))
            .map(drop)
            .map_err(|error| Error::new(format!("cannot write to Codex's database: {}", why(&error))))
    }
}

/// Makes a database beside its place and puts it there whole: of several that begin at once, the first wins.
fn make(path: &Path, schema: &str) -> std::result::Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let draft = tempfile::NamedTempFile::new_in(folder).map_err(|error| reason(&error))?;
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
