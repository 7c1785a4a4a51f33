//! The sessions of Codex's SQLite database: the table `threads`.
//!
//! **Compatibility.** Columns are selected by name; a missing column means an older Codex, and is
//! read as NULL. No column was dropped, renamed or retyped from 0.98 to 0.171. A missing table is an
//! error of the database, not an empty listing. `*_ms` columns (0.122 on) are preferred, as the
//! others have whole seconds. A `title` that was overwritten by a name (0.120 to 0.144) is replaced by
//! `first_user_message`.
//!
//! **Time of the last turn.** `recency_at_ms` (0.142 on) is when the last turn began, and is filled in for
//! rows of older versions. `updated_at` is the end of the last turn, until something else moves it: a rename
//! (0.107 on: one past the newest of all rows), a pin or another change of the row (0.140 on), an unarchive
//! (each version: that moment). Before 0.142 there is no other column. A resume by a Codex that is older than
//! the database moves `updated_at` alone.
//!
//! **Order.** `ORDER BY` names an indexed column without a function: `coalesce()` or the archived index
//! would make SQLite sort all rows for the first fifty (772 ms instead of 3.4 for 100,000).
//!
//! **Exit.** The connection is not closed: the process ends after it, and closing costs 0.3 ms.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::mem::ManuallyDrop;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::types::{Value, ValueRef};
use rusqlite::{self as sql, Connection, OpenFlags, Row, params_from_iter};

mod open;
mod queue;

pub use queue::count_queued_messages;

use super::files::RowPlace;
use super::names::Names;
use super::rollout;
use super::version::is_before;
use crate::error::{Error, Result};
use crate::query::{Archived, Clock, Needs, Query};
use crate::record::{Field, Git, Id, Session};
use crate::time::Timestamp;

/// An open database.
pub struct State {
    connection: ManuallyDrop<Connection>,
    path: PathBuf,
    columns: HashSet<String>,
    /// Whether each row has the time of its last turn.
    has_recency: bool,
    /// Whether a read has failed because the file is damaged.
    is_damaged: Cell<bool>,
    // The copy that is read if the database itself cannot be read.
    _copy: Option<tempfile::TempDir>,
}

impl State {
    /// The version of the schema, which is the highest migration; `None` if unknown.
    pub fn schema(&self) -> Option<i64> {
        self.connection.query_row("SELECT max(version) FROM _sqlx_migrations", [], |row| row.get(0)).ok()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn has(&self, column: &str) -> bool {
        self.columns.contains(column)
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        use sql::ErrorCode::{DatabaseCorrupt, NotADatabase};
        if matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)) {
            self.is_damaged.set(true);
        }
        Error::new(format!("cannot read Codex's database '{}': {}", self.path.display(), why(error)))
    }

    /// Whether a read has failed because the file is damaged, which may happen long after it was opened.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged.get()
    }

    /// Checks every page of the table of sessions and of its indexes. A damaged page is an error.
    pub fn check_pages(&self) -> Result<()> {
        let read = || self.connection.query_row("PRAGMA quick_check(threads)", [], |row| row.get(0));
        let found: String = read().map_err(|error| self.failed(&error))?;
        if found == "ok" {
            return Ok(());
        }
        let why = found.lines().last().unwrap_or_default();
        Err(Error::new(format!("Codex's database '{}' is damaged: {why}", self.path.display())))
    }

    /// All ids, sorted: one walk over the index of the primary key.
    pub fn ids(&self) -> Result<Vec<Id>> {
        self.ids_by("id", "ORDER BY id", [])
    }

    /// The ids of the rows whose name begins with `start`.
    pub fn named_ids(&self, start: &str) -> Result<Vec<Id>> {
        self.ids_by("name", "WHERE substr(name, 1, length(?1)) = ?1", [start])
    }

    /// The ids of the rows that are marked as archived, sorted.
    pub fn archived_ids(&self) -> Result<Vec<Id>> {
        self.ids_by("archived", "WHERE archived = 1", [])
    }

    fn ids_by(&self, column: &str, clause: &str, parameters: impl sql::Params) -> Result<Vec<Id>> {
        if !self.has(column) {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT id FROM threads {clause}");
        let mut ids = self.read_all(&sql, parameters, |row| Id::parse(&text(row.get_ref(0).ok()?)?))?;
        // Text of the same case and form sorts as the numbers do; a capital letter would not.
        ids.sort();
        Ok(ids)
    }

    fn read_all<T>(
        &self,
        sql: &str,
        parameters: impl sql::Params,
        read: impl Fn(&Row<'_>) -> Option<T>,
    ) -> Result<Vec<T>> {
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map(parameters, |row| Ok(read(row)))?;
            rows.filter_map(sql::Result::transpose).collect::<sql::Result<Vec<T>>>()
        };
        read().map_err(|error| self.failed(&error))
    }

    /// Begins a read transaction: until the answer is dropped, all that is read is of one moment.
    pub fn snapshot(&self) -> Result<Snapshot<'_>> {
        self.connection.execute_batch("BEGIN").map_err(|error| self.failed(&error))?;
        Ok(Snapshot(&self.connection))
    }

    /// The place of each session by its row, sorted by id.
    pub fn places(&self) -> Result<Vec<RowPlace>> {
        let mut places = self.read_all("SELECT id, rollout_path, archived, cwd FROM threads", [], |row| {
            let [id, path, archived, cwd] =
                std::array::from_fn(|at| row.get_ref(at).unwrap_or(ValueRef::Null));
            let owned = |value| text(value).unwrap_or_default().into_owned();
            Some(RowPlace {
                id: Id::parse(&text(id)?)?,
                path: owned(path),
                archived: number(archived) == Some(1),
                cwd: owned(cwd),
            })
        })?;
        places.sort_by_key(|place| place.id);
        Ok(places)
    }

    /// Passes each row to `row` until it breaks: in the query's order if that is by a time, else in any order. Rows that
    /// the database alone can reject are omitted. The path of the rollout is that of the row. If not all flags for
    /// archived are right, none of them rejects a row.
    pub fn rows(
        &self,
        query: &Query,
        names: Option<&Names>,
        flags_are_right: bool,
        row: &mut dyn FnMut(Session<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (sql, parameters) = self.select(query, flags_are_right);
        let mut statement = self.connection.prepare(&sql).map_err(|e| self.failed(&e))?;
        let mut rows = statement.query(params_from_iter(parameters)).map_err(|e| self.failed(&e))?;
        let has_name = self.has("name");
        while let Some(found) = rows.next().map_err(|e| self.failed(&e))? {
            if let Some(session) = session(found, names, has_name)
                && row(session)?.is_break()
            {
                break;
            }
        }
        Ok(())
    }

    /// The session of this id.
    pub fn get(&self, id: Id, names: Option<&Names>) -> Result<Option<Session<'static>>> {
        let sql = format!("SELECT {} FROM threads WHERE id = ?1", self.expressions(None));
        let read = || {
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query([id.to_string()])?;
            let row = rows.next()?;
            Ok(row.and_then(|row| session(row, names, self.has("name"))).map(Session::into_owned))
        };
        read().map_err(|error| self.failed(&error))
    }

    fn select(&self, query: &Query, flags_are_right: bool) -> (String, Vec<Value>) {
        let mut conditions: Vec<String> = Vec::new();
        let mut parameters: Vec<Value> = Vec::new();
        let filter = &query.filter;
        // An index has archived, cwd and time, and so serves a single directory.
        let by_directory = match &filter.cwd[..] {
            [directory] if !query.full => match directory.equivalent_paths() {
                [form] if !form.contains('\u{fffd}') && !self.has_foreign_directory() => Some(form.clone()),
                _ => None,
            },
            _ => None,
        };
        match filter.archived {
            Archived::With => {}
            _ if !flags_are_right => {}
            Archived::No if by_directory.is_some() => conditions.push("archived = 0".into()),
            Archived::No => conditions.push("+archived = 0".into()),
            Archived::Only => conditions.push("archived = 1".into()),
        }
        if let Some(cwd) = by_directory {
            parameters.push(cwd.into());
            conditions.push(format!("cwd = ?{}", parameters.len()));
        }
        if !filter.subagents {
            conditions.push("substr(source, 1, 11) <> '{\"subagent\"'".into());
        }
        for (column, patterns) in [
            ("git_branch", &filter.branch),
            ("source", &filter.source),
            ("model_provider", &filter.provider),
            ("cli_version", &filter.cli_version),
            ("model", &filter.model),
        ] {
            // The filter judges words that our records spell differently from the column.
            let plain = |pattern: &&String| {
                !pattern.contains('*') && !pattern.contains(':') && *pattern != "subagent"
            };
            if let [pattern] = &patterns[..]
                && plain(&pattern)
                && self.has(column)
                && !query.full
            {
                parameters.push(pattern.clone().into());
                let equal = format!("+{column} = ?{}", parameters.len());
                // An object is a word of its own in our records.
                conditions.push(match column {
                    "source" => format!("({equal} OR substr(source, 1, 1) = '{{')"),
                    _ => equal,
                });
            }
        }
        // The filter judges the forms of a URL; all of them have the last part of the path.
        if let [repository] = &filter.repo[..]
            && let Some(part) = repository.part_of_url()
            && self.has("git_origin_url")
            && !query.full
        {
            let escaped = part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            parameters.push(format!("%{escaped}%").into());
            conditions.push(format!("+git_origin_url LIKE ?{} ESCAPE '\\'", parameters.len()));
        }
        let column = match filter.clock {
            Clock::Updated => self.time_column("updated_at"),
            Clock::Created => self.time_column("created_at"),
        };
        for (bound, sign) in [(filter.since, ">="), (filter.until, "<=")] {
            if let Some(Timestamp(ms)) = bound {
                // Whole seconds round down, so a bound inside a second must let that second through.
                let value = if column.ends_with("_ms") { ms } else { ms.div_euclid(1000) };
                conditions.push(format!("{column} {sign} {value}"));
            }
        }
        if let Some(ids) = filter.ids.as_ref().filter(|ids| ids.len() <= 500) {
            let list: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
            conditions.push(format!("id IN ({})", list.join(",")));
        }
        let direction = if query.sort.descending { "DESC" } else { "ASC" };
        let order = match query.sort.field {
            Field::UpdatedAt => Some(self.time_column("updated_at")),
            Field::CreatedAt => Some(self.time_column("created_at")),
            _ => None,
        };
        let mut sql = format!("SELECT {} FROM threads", self.expressions(Some(query.needs())));
        if !conditions.is_empty() {
            sql.push_str(" WHERE ");
            sql.push_str(&conditions.join(" AND "));
        }
        if let Some(column) = order {
            sql.push_str(&format!(" ORDER BY {column} {direction}, id {direction}"));
        }
        (sql, parameters)
    }

    /// Whether the directory of any row is no absolute path, so that it must be read from the rollout. The query is four
    /// searches in an index.
    fn has_foreign_directory(&self) -> bool {
        let parts = ["0", "1"].into_iter().flat_map(|archived| {
            // '0' is the character after '/'.
            ["cwd < '/'", "cwd >= '0'"].map(|other| {
                format!("EXISTS (SELECT 1 FROM threads WHERE archived = {archived} AND {other})")
            })
        });
        let sql = format!("SELECT {}", parts.collect::<Vec<_>>().join(" OR "));
        self.connection.query_row(&sql, [], |row| row.get(0)).unwrap_or(true)
    }

    fn time_column(&self, column: &str) -> &'static str {
        match column {
            "updated_at" if self.has_recency => "recency_at_ms",
            "updated_at" if self.has("updated_at_ms") => "updated_at_ms",
            "updated_at" => "updated_at",
            _ if self.has("created_at_ms") => "created_at_ms",
            _ => "created_at",
        }
    }

    /// The expressions of [`COLUMNS`]. Long texts that are not asked for are NULL, since fetching them is most of the
    /// cost of a row.
    fn expressions(&self, needs: Option<Needs>) -> String {
        // The title may be a name.
        let has_texts = needs.is_none_or(|needs| needs.has(Needs::MESSAGE) || needs.has(Needs::NAMES));
        let expression = |column: &&str| match *column {
            column if !self.has(column) => "NULL".to_owned(),
            "title" | "first_user_message" | "preview" if !has_texts => "NULL".to_owned(),
            // Codex calls a fork by the first message of its parent, until the fork has a message of its own (0.131).
            "preview" => "iif(title = '' AND first_user_message = '', preview, NULL)".to_owned(),
            "archived_at" => "archived_at * 1000".to_owned(),
            column @ ("created_at" | "updated_at") => match self.time_column(column) {
                ms if ms.ends_with("_ms") => format!("coalesce({ms}, {column} * 1000)"),
                _ => format!("{column} * 1000"),
            },
            column => column.to_owned(),
        };
        COLUMNS.iter().map(expression).collect::<Vec<_>>().join(", ")
    }
}

macro_rules! columns {
    ($($column:ident)*) => {
        /// The columns that are read of a session. A column that an older Codex lacks is NULL.
        pub const COLUMNS: &[&str] = &[$(stringify!($column)),*];

        /// The values of the columns in a row.
        struct Values<'r> { $($column: ValueRef<'r>,)* }

        impl<'r> Values<'r> {
            fn read(row: &'r Row<'_>) -> Values<'r> {
                let mut places = 0..;
                let mut next =
                    || places.next().and_then(|at| row.get_ref(at).ok()).unwrap_or(ValueRef::Null);
                Values { $($column: next(),)* }
            }
        }
    };
}

columns! {
    id name title first_user_message preview cwd created_at updated_at archived archived_at source thread_source
    originator model reasoning_effort model_provider cli_version git_sha git_branch git_origin_url rollout_path
    history_mode tokens_used is_pinned
}

/// The text of a value; `None` if it is empty or no text.
fn text(value: ValueRef<'_>) -> Option<Cow<'_, str>> {
    match value {
        ValueRef::Text([]) => None,
        // The strict check is the faster one, and nearly always enough.
        ValueRef::Text(bytes) => Some(match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(bytes),
        }),
        _ => None,
    }
}

fn number(value: ValueRef<'_>) -> Option<i64> {
    value.as_i64_or_null().ok().flatten()
}

/// A read transaction. Codex can write meanwhile, but cannot shorten its write-ahead log.
pub struct Snapshot<'s>(&'s Connection);

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // A read transaction that cannot be ended changes nothing.
        let _ = self.0.execute_batch("END");
    }
}

/// A row as a record; `None` if its id is no UUID, which no Codex has written.
fn session<'r>(row: &'r Row<'_>, names: Option<&Names>, has_name: bool) -> Option<Session<'r>> {
    let row = Values::read(row);
    let time = |value| number(value).map(Timestamp);
    let id = Id::parse(&text(row.id)?)?;
    let (source, mut subagent) = match text(row.source) {
        Some(Cow::Borrowed(text)) => rollout::source(text),
        other => (other, None),
    };
    if subagent.is_none() && text(row.thread_source).as_deref() == Some("subagent") {
        subagent = Some(crate::record::Subagent::default());
    }
    let mut name = text(row.name).or_else(|| names?.name_of(id).map(Cow::Owned));
    let mut title = text(row.title).and_then(rollout::typed_text_of_row);
    let first_user_message = text(row.first_user_message).and_then(rollout::typed_text_of_row);
    let cli_version = text(row.cli_version);
    if title.is_some()
        && first_user_message.is_some()
        && title != first_user_message
        && (!has_name || cli_version.as_deref().is_some_and(|version| is_before(version, (0, 145))))
    {
        // 0.120 to 0.144 wrote names over titles. Forks have the overwritten title too, and have no line in the index of names.
        name = name.or(title);
        title = first_user_message.clone();
    }
    let updated_at = time(row.updated_at);
    let is_archived = number(row.archived).unwrap_or(0) != 0;
    let git =
        Git { sha: text(row.git_sha), branch: text(row.git_branch), origin_url: text(row.git_origin_url) };
    Some(Session {
        id: Some(id),
        name,
        title,
        first_user_message,
        cwd: text(row.cwd),
        created_at: time(row.created_at),
        updated_at,
        archived_at: time(row.archived_at).or(updated_at).filter(|_| is_archived),
        source,
        originator: text(row.originator),
        subagent,
        model: text(row.model),
        reasoning_effort: text(row.reasoning_effort),
        model_provider: text(row.model_provider),
        cli_version,
        git: Some(git).filter(|git| *git != Git::default()),
        rollout_path: text(row.rollout_path),
        history: text(row.history_mode).or(Some(Cow::Borrowed("legacy"))),
        tokens_used: number(row.tokens_used),
        pinned: number(row.is_pinned).map(|pinned| pinned != 0),
        parent_title: text(row.preview).and_then(rollout::typed_text_of_row),
        ..Session::default()
    })
}

fn uri(path: &Path, how: &str) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push('?');
    uri.push_str(how);
    uri
}

/// The reason of an error of SQLite, without the statement.
pub fn why(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(failure, text) => text.clone().unwrap_or_else(|| failure.to_string()),
        other => other.to_string(),
    }
}
