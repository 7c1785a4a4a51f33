//! Codex's own queue of prompts, which is a database of its own.

use std::path::Path;
use std::time::Duration;

use super::{Connection, OpenFlags, uri};
use crate::record::Id;

/// The number of messages for a session in Codex's own queue (0.149 and later): `codex exec resume` moves them into the
/// turn, and may interrupt them. The queue is a database beside the database of sessions; 0 if it cannot be read.
pub fn count_queued_messages(folder: &Path, id: Id) -> usize {
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
