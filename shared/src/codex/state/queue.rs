//! Codex's own queue of prompts, which is a database of its own.

use std::path::Path;
use std::time::Duration;

use super::{Connection, OpenFlags, uri};
use crate::record::Id;

/// How many messages Codex's own queue (0.149 and later) holds for a session: `codex exec resume` takes
/// them into the turn, and may cut them off. The database is beside the other one; where it cannot be
/// read, nothing is known, which is 0.
pub fn queued(folder: &Path, id: Id) -> usize {
    let path = folder.join("queue_1.sqlite");
    if !path.exists() {
        return 0;
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let count = || {
        let connection = Connection::open_with_flags(uri(&path, "mode=ro"), flags).ok()?;
        connection.busy_timeout(Duration::from_millis(200)).ok()?;
        let sql = "SELECT count(*) FROM queued_items WHERE thread_id = ?1";
        connection.query_row(sql, [id.to_string()], |row| row.get(0)).ok()
    };
    count().and_then(|count: i64| usize::try_from(count).ok()).unwrap_or(0)
}
