//! Codex's SQLite database, as far as sessions are concerned: the table `threads`.
//!
//! **Compatibility.** Columns are asked for by name; one that is missing means an older Codex and
//! reads as NULL. No column was dropped, renamed or retyped from 0.98 to 0.171. A missing table is an
//! error of the database, not an empty listing. `*_ms` columns (0.122 on) are preferred, as the
//! others have whole seconds. A `title` that a name was written over (0.120 to 0.144) is put right
//! from `first_user_message`.
//!
//! **Time of the last turn.** `recency_at_ms` (0.142 on) is when the last turn began, and is filled in for
//! rows of older versions. `updated_at` is the end of the last turn, until something else moves it: a rename
//! (0.107 on: one past the newest of all rows), a pin or another change of the row (0.140 on), an unarchive
//! (each version: that moment). Before 0.142 there is no other column. A resume by a Codex that is older than
//! the database moves `updated_at` alone.
//!
//! **Order.** `ORDER BY` names an indexed column as it stands: `coalesce()` or the archived index
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

pub use queue::queued;

use super::files::RowPlace;
use super::names::Names;
use super::rollout;
use super::version::is_before;
use crate::error::{Error, Result};
use crate::query::{Archived, Clock, Needs, Query, SortKey};
use crate::record::{Git, Id, Session};
use crate::time::Timestamp;

/// An open database.
pub struct State {
    connection: ManuallyDrop<Connection>,
    path: PathBuf,
    columns: HashSet<String>,
    /// Whether each row has the time of its last turn.
    has_recency: bool,
    /// Whether a read has found it damaged.
    is_damaged: Cell<bool>,
    // The copy that is read where the database itself cannot be.
    _copy: Option<tempfile::TempDir>,
}

impl State {
    /// The number of the schema: the highest migration, if the database tells.
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

    /// Whether a read has found it damaged, which need not show when it is opened.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged.get()
    }

    /// Looks at every page of the table of sessions and of its indexes: an error where one is damaged.
    pub fn check_pages(&self) -> Result<()> {
        let read = || self.connection.query_row("PRAGMA quick_check(threads)", [], |row| row.get(0));
        let found: String = read().map_err(|error| self.failed(&error))?;
        match found.as_str() {
            "ok" => Ok(()),
            found => {
                let why = found.lines().last().unwrap_or_default();
                Err(Error::new(format!("Codex's database '{}' is damaged: {why}", self.path.display())))
            }
        }
    }

    /// All ids, sorted: one walk over the primary key's index.
    pub fn ids(&self) -> Result<Vec<Id>> {
        self.ids_of("SELECT id FROM threads ORDER BY id", [])
    }

    /// The ids of the rows whose name begins with `start`.
    pub fn named_ids(&self, start: &str) -> Result<Vec<Id>> {
        if !self.has("name") {
            return Ok(Vec::new());
        }
        self.ids_of("SELECT id FROM threads WHERE substr(name, 1, length(?1)) = ?1", [start])
    }

    /// The ids of the rows that say archived, sorted.
    pub fn archived_ids(&self) -> Result<Vec<Id>> {
        if !self.has("archived") {
            return Ok(Vec::new());
        }
        self.ids_of("SELECT id FROM threads WHERE archived = 1", [])
    }

    fn ids_of(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Id>> {
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query(parameters)?;
            let mut ids = Vec::new();
            while let Some(row) = rows.next()? {
                if let ValueRef::Text(text) = row.get_ref(0)?
                    && let Some(id) = std::str::from_utf8(text).ok().and_then(Id::parse)
                {
                    ids.push(id);
                }
            }
            // Text of one case and form sorts as the numbers do; a stray capital would not.
            if !ids.is_sorted() {
                ids.sort();
            }
            Ok(ids)
        };
        read().map_err(|error| self.failed(&error))
    }

    /// Holds what is read from now on to one moment, for as long as the answer lives.
    pub fn snapshot(&self) -> Result<Snapshot<'_>> {
        self.connection.execute_batch("BEGIN").map_err(|error| self.failed(&error))?;
        Ok(Snapshot(&self.connection))
    }

    /// The place of each session by its row, sorted by id.
    pub fn places(&self) -> Result<Vec<RowPlace>> {
        let read = || {
            let mut statement =
                self.connection.prepare("SELECT id, rollout_path, archived, cwd FROM threads")?;
            let mut rows = statement.query([])?;
            let mut places = Vec::new();
            while let Some(row) = rows.next()? {
                let text = |at: usize| match row.get_ref(at) {
                    Ok(ValueRef::Text(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
                    _ => String::new(),
                };
                if let Some(id) = Id::parse(&text(0)) {
                    let archived = row.get_ref(2)?.as_i64_or_null().ok().flatten() == Some(1);
                    places.push(RowPlace { id, path: text(1), archived, cwd: text(3) });
                }
            }
            places.sort_by_key(|place| place.id);
            Ok(places)
        };
        read().map_err(|error| self.failed(&error))
    }

    /// Gives each row to `row`, in the query's order where that is by a time (any order otherwise),
    /// until it says that it has enough. Rows that the database alone can rule out are not given.
    /// The rollout's path is as the database has it. Where the flags for archived are not all right, none of
    /// them rules a row out.
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

    /// One session by its id.
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
        // One directory alone is served by an index that has archived, cwd and time.
        let by_directory = match &filter.cwd[..] {
            [directory]
                if !query.full
                    && directory.forms().len() == 1
                    && !directory.forms()[0].contains('\u{fffd}')
                    && !self.has_foreign_directory() =>
            {
                Some(directory.forms()[0].clone())
            }
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
            ("git_origin_url", &filter.repo),
            ("source", &filter.source),
            ("model_provider", &filter.provider),
            ("cli_version", &filter.cli_version),
            ("model", &filter.model),
        ] {
            // Words that our records spell differently from the column are left to the filter.
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
        let order = match query.sort.key {
            SortKey::Updated => Some(self.time_column("updated_at")),
            SortKey::Created => Some(self.time_column("created_at")),
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

    /// Whether the directory of any row is no absolute path, so that the rollouts say where it is. Four looks
    /// into an index.
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

    /// The selected expressions, always in the order that [`session`] reads; long texts that nobody
    /// asked for are NULL, since fetching them is most of the cost of a row.
    fn expressions(&self, needs: Option<Needs>) -> String {
        // A title is looked at for the name too, since a name may stand in its place.
        let wanted = needs.is_none_or(|needs| needs.has(Needs::MESSAGE) || needs.has(Needs::NAMES));
        let time = |column: &str| match self.time_column(column) {
            ms if ms.ends_with("_ms") => format!("coalesce({ms}, {column} * 1000)"),
            _ => format!("{column} * 1000"),
        };
        let plain = |column: &str| {
            if self.has(column) { column.to_owned() } else { "NULL".to_owned() }
        };
        let when = |column: &str| if wanted { plain(column) } else { "NULL".to_owned() };
        [
            plain("id"),
            plain("name"),
            when("title"),
            when("first_user_message"),
            plain("cwd"),
            time("created_at"),
            time("updated_at"),
            plain("archived"),
            if self.has("archived_at") { "archived_at * 1000".to_owned() } else { "NULL".to_owned() },
            plain("source"),
            plain("originator"),
            plain("model"),
            plain("reasoning_effort"),
            plain("model_provider"),
            plain("cli_version"),
            plain("git_sha"),
            plain("git_branch"),
            plain("git_origin_url"),
            plain("rollout_path"),
            plain("history_mode"),
            plain("tokens_used"),
            plain("is_pinned"),
            plain("thread_source"),
            // Codex calls a fork by its parent's first message, as long as it has none of its own (0.131).
            match wanted && ["title", "first_user_message", "preview"].iter().all(|column| self.has(column)) {
                true => "iif(title = '' AND first_user_message = '', preview, NULL)".to_owned(),
                false => "NULL".to_owned(),
            },
        ]
        .join(", ")
    }
}

/// A read transaction. Codex writes on meanwhile, but cannot shorten its write-ahead log.
pub struct Snapshot<'s>(&'s Connection);

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // It only reads: that it could not be ended changes nothing.
        let _ = self.0.execute_batch("END");
    }
}

/// A row as a record; `None` where its id is no UUID, which no Codex has written.
fn session<'r>(row: &'r Row<'_>, names: Option<&Names>, has_name: bool) -> Option<Session<'r>> {
    let text = |at: usize| -> Option<Cow<'r, str>> {
        match row.get_ref(at).ok()? {
            ValueRef::Text([]) => None,
            // The strict check is the faster one, and nearly always enough.
            ValueRef::Text(bytes) => Some(match std::str::from_utf8(bytes) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => String::from_utf8_lossy(bytes),
            }),
            _ => None,
        }
    };
    let number = |at: usize| row.get_ref(at).ok().and_then(|value| value.as_i64_or_null().ok()).flatten();
    let time = |at: usize| number(at).map(Timestamp);
    let id = Id::parse(&text(0)?)?;
    let (source, mut subagent) = match text(9) {
        Some(Cow::Borrowed(text)) => rollout::source(text),
        Some(Cow::Owned(text)) => (Some(Cow::Owned(text)), None),
        None => (None, None),
    };
    if subagent.is_none() && text(22).as_deref() == Some("subagent") {
        subagent = Some(crate::record::Subagent::default());
    }
    let mut name = text(1).or_else(|| names?.of(id).map(Cow::Owned));
    let mut title = text(2).and_then(rollout::typed_in_row);
    let first_user_message = text(3).and_then(rollout::typed_in_row);
    let cli_version = text(14);
    if title.is_some()
        && first_user_message.is_some()
        && title != first_user_message
        && (!has_name || cli_version.as_deref().is_some_and(wrote_names_over_titles))
    {
        // Forks took the overwritten title with them, and have no line in the index of names.
        name = name.or(title);
        title = first_user_message.clone();
    }
    let updated_at = time(6);
    let is_archived = number(7).unwrap_or(0) != 0;
    let git = Git { sha: text(15), branch: text(16), origin_url: text(17) };
    let has_git = git.sha.is_some() || git.branch.is_some() || git.origin_url.is_some();
    Some(Session {
        id: Some(id),
        name,
        title,
        first_user_message,
        cwd: text(4),
        created_at: time(5),
        updated_at,
        archived_at: if is_archived { time(8).or(updated_at) } else { None },
        source,
        originator: text(10),
        subagent,
        model: text(11),
        reasoning_effort: text(12),
        model_provider: text(13),
        cli_version,
        git: if has_git { Some(git) } else { None },
        rollout_path: text(18),
        history: Some(text(19).unwrap_or(Cow::Borrowed("legacy"))),
        tokens_used: number(20),
        pinned: number(21).map(|pinned| pinned != 0),
        found_in: None,
        forked_from: None,
        status: None,
        resume_command: None,
        parent_title: text(23).and_then(rollout::typed_in_row),
    })
}

/// 0.120 to 0.144 did; the next version has a column for names.
fn wrote_names_over_titles(version: &str) -> bool {
    is_before(version, (0, 145))
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
