//! The storage of a Codex: its home and its database, in the form of its version.

use std::collections::BTreeSet;

use crate::output::OrRefusal;
use crate::table::{Cell, Table};
use crate::version::{Version, since};
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::error::Result;
use codex_agent_shared::record::Id;

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

/// The columns of Codex's own table, each with the first version that has it.
const COLUMNS: [(u32, &str); 9] = [
    (
        0,
        "id TEXT PRIMARY KEY, rollout_path TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, \
         source TEXT NOT NULL, model_provider TEXT NOT NULL, cwd TEXT NOT NULL, title TEXT NOT NULL, \
         sandbox_policy TEXT NOT NULL, approval_mode TEXT NOT NULL, tokens_used INTEGER NOT NULL DEFAULT 0, \
         has_user_event INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0, archived_at INTEGER, \
         git_sha TEXT, git_branch TEXT, git_origin_url TEXT, cli_version TEXT NOT NULL DEFAULT '', \
         first_user_message TEXT NOT NULL DEFAULT '', agent_nickname TEXT, agent_role TEXT, \
         memory_mode TEXT NOT NULL DEFAULT 'enabled'",
    ),
    (120, "model TEXT, reasoning_effort TEXT, agent_path TEXT"),
    (122, "created_at_ms INTEGER, updated_at_ms INTEGER"),
    (130, "thread_source TEXT"),
    (131, "preview TEXT NOT NULL DEFAULT ''"),
    (142, "recency_at INTEGER NOT NULL DEFAULT 0, recency_at_ms INTEGER NOT NULL DEFAULT 0"),
    (145, "name TEXT"),
    (148, "history_mode TEXT NOT NULL DEFAULT 'legacy', is_pinned INTEGER NOT NULL DEFAULT 0"),
    (155, "originator TEXT"),
];

/// The home of a Codex of one version, with its database.
pub(super) struct Store {
    pub(super) version: Version,
    pub(super) home: Home,
    /// `None` for an old version, which has no database.
    table: Option<Table>,
}

impl Store {
    pub(super) fn open(version: Version, home: Home) -> OrRefusal<Store> {
        let default = home.database_folder().join("state_5.sqlite");
        let path = home.database().or(version.has(since::DATABASE).then_some(&*default));
        let table = path.map(|path| Table::open(path, &schema(&version))).transpose();
        let table = table.map_err(|error| error.to_string())?;
        Ok(Store { version, home, table })
    }

    /// Writes the row of a session.
    pub(super) fn put(&self, row: Vec<(&str, Cell)>) -> OrRefusal<()> {
        let mut moving = MOVING.to_vec();
        moving.extend(self.version.has(since::MOVES_CWD).then_some("cwd"));
        self.write(|table| table.put(row, &moving, &ONCE))
    }

    /// Changes columns in the row of a session.
    pub(super) fn set(&self, id: Id, values: Vec<(&str, Cell)>) -> OrRefusal<()> {
        self.write(|table| table.set(id, values))
    }

    /// Removes the row of a session.
    pub(super) fn remove(&self, id: Id) -> OrRefusal<()> {
        self.write(|table| table.remove(id))
    }

    fn write(&self, write: impl FnOnce(&Table) -> Result<()>) -> OrRefusal<()> {
        self.table.as_ref().map_or(Ok(()), write).map_err(|error| error.to_string())
    }

    /// The text in a column of a session; `None` if the column is missing or empty.
    pub(super) fn text(&self, id: Id, column: &str) -> Option<String> {
        let table = self.table.as_ref().filter(|table| table.has(column))?;
        table.text(id, column).filter(|text| !text.is_empty())
    }
}

fn schema(version: &Version) -> String {
    let columns = COLUMNS.iter().filter(|(minor, _)| version.has(*minor));
    let columns: Vec<&str> = columns.map(|(_, column)| *column).collect();
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
