//! Opening the database: the choice of the file, and other ways to read a file that SQLite cannot open in its place.
//!
//! **Locking.** The database is opened read-only, with a busy timeout of two seconds, for one
//! short read. Reading a WAL database still touches `-shm`, and makes an empty `-wal` and a `-shm`
//! where they were missing; SQLite has no other safe way while Codex may write. A database in DELETE
//! mode (`codex migrate-nfs-db`, 0.169) has neither. If SQLite would have to write in a directory that
//! cannot be written, opening fails. Then the file is read as immutable if `-wal` and `-journal` are empty or missing;
//! otherwise a copy of all three is read. A filesystem that does not answer is waited for no longer than
//! [`ANSWERS_WITHIN`].
//!
//! **The file.** The database is the file of the highest N that can be read and has a valid table. A locked file is
//! valid, and the rollouts are read instead of it: a lower N is as old as the last Codex that used it.

use std::cell::Cell;
use std::collections::HashSet;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Connection, OpenFlags, State, sql, uri, why};
use crate::error::{Error, Result, warn_once};

/// The time limit for the first answer of a database, with the wait for its lock.
const ANSWERS_WITHIN: Duration = Duration::from_secs(4);

/// The reason why a file is not the database.
struct Bad {
    error: Error,
    is_busy: bool,
}

impl State {
    /// Opens the first file that can be read and has sessions, else the first with a table of sessions; `None` without a
    /// file. An invalid file before it is a warning. If no file is valid, the error is that of the first.
    pub fn open_first(paths: &[PathBuf]) -> Result<Option<State>> {
        let mut errors = Vec::new();
        let mut empty = None;
        for (at, path) in paths.iter().enumerate() {
            match State::open_good(path) {
                Ok(state) if empty.is_none() && at + 1 < paths.len() && state.has_no_row() => {
                    let message = format!("Codex's database '{}' has no session", path.display());
                    errors.push(Error::new(message));
                    empty = Some(state);
                }
                // The file of an older Codex has no session either.
                Ok(state) if empty.is_some() && state.has_no_row() => {}
                Ok(state) => {
                    for error in errors {
                        warn_once(format_args!("{error}; reading '{}' instead", path.display()));
                    }
                    return Ok(Some(state));
                }
                Err(bad) if bad.is_busy => return Err(bad.error),
                Err(bad) => errors.push(bad.error),
            }
        }
        if empty.is_some() {
            return Ok(empty);
        }
        errors.into_iter().next().map_or(Ok(None), Err)
    }

    fn has_no_row(&self) -> bool {
        let exists = self.connection.prepare("SELECT 1 FROM threads").and_then(|mut rows| rows.exists([]));
        exists.is_ok_and(|exists| !exists)
    }

    /// Opens the database at `path`, reads its columns, and checks that it has a table of sessions.
    pub fn open(path: &Path) -> Result<State> {
        State::open_good(path).map_err(|bad| bad.error)
    }

    fn open_good(path: &Path) -> std::result::Result<State, Bad> {
        use sql::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, ReadOnly};
        let bad = |error: &sql::Error| Bad {
            error: Error::new(format!("cannot read Codex's database '{}': {}", path.display(), why(error))),
            is_busy: matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked)),
        };
        let state = match State::try_open(path, uri(path, "mode=ro"), None) {
            // The directory cannot be written.
            Err(error) if matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly)) => {
                let beside = ["-wal", "-journal"].map(|end| {
                    let mut name = path.file_name().unwrap_or_default().to_owned();
                    name.push(end);
                    (path.with_file_name(name), end)
                });
                let filled = |(path, _): &(PathBuf, _)| std::fs::metadata(path).is_ok_and(|m| m.len() > 0);
                let beside: Vec<_> = beside.into_iter().filter(filled).collect();
                match beside.is_empty() {
                    true => State::try_open(path, uri(path, "immutable=1"), None),
                    false => State::open_copy(path, &beside),
                }
                .map_err(|_| error)
            }
            other => other,
        };
        let state = state.map_err(|error| bad(&error))?;
        state.check().map(|()| state).map_err(|error| Bad { error, is_busy: false })
    }

    /// Opens a copy, which SQLite can write: it applies the journal to the copy.
    fn open_copy(path: &Path, beside: &[(PathBuf, &str)]) -> sql::Result<State> {
        let trouble = |_| sql::Error::InvalidPath(path.to_owned());
        let folder = tempfile::tempdir().map_err(trouble)?;
        let copy = |from: &Path, end: &str| {
            // The mode is not copied, so that the copy can be written.
            let mut to = std::fs::File::create(folder.path().join(format!("state.sqlite{end}")))?;
            std::io::copy(&mut std::fs::File::open(from)?, &mut to)
        };
        copy(path, "").map_err(trouble)?;
        for (path, end) in beside {
            copy(path, end).map_err(trouble)?;
        }
        let uri = uri(&folder.path().join("state.sqlite"), "mode=rw");
        State::try_open(path, uri, Some(folder))
    }

    fn try_open(path: &Path, uri: String, copy: Option<tempfile::TempDir>) -> sql::Result<State> {
        let access = match copy {
            Some(_) => OpenFlags::SQLITE_OPEN_READ_WRITE,
            None => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        let open = move || {
            let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
            let connection = Connection::open_with_flags(uri, flags)?;
            connection.busy_timeout(Duration::from_secs(2))?;
            // Preparing reads the schema, which is most of the cost of a short listing. So a single statement reads
            // the columns and, by an index, whether each row has the time of its last turn; only homes made by hand have
            // rows without that time.
            let names = |statement: &sql::Statement<'_>| -> HashSet<String> {
                statement.column_names().map(str::to_owned).collect()
            };
            let (columns, has_recency) = match connection
                .prepare("SELECT * FROM threads WHERE recency_at_ms <= 0")
            {
                Ok(mut statement) => (names(&statement), statement.exists([]).is_ok_and(|exists| !exists)),
                Err(error) if error.to_string().contains("no such table") => (HashSet::new(), false),
                Err(error) if error.to_string().contains("no such column") => {
                    (names(&connection.prepare("SELECT * FROM threads")?), false)
                }
                Err(error) => return Err(error),
            };
            Ok((connection, columns, has_recency))
        };
        // The lock of a network filesystem may never answer: a thread waits for it, and ends with the process. A local
        // filesystem answers, and a thread would cost a tenth of a short listing.
        let (connection, columns, has_recency) = match is_local_file(path) {
            true => open()?,
            false => {
                let silent = |why: &str| {
                    let busy = sql::ffi::Error::new(sql::ffi::SQLITE_BUSY);
                    sql::Error::SqliteFailure(busy, Some(why.to_owned()))
                };
                let (sender, receiver) = std::sync::mpsc::channel();
                std::thread::Builder::new()
                    .spawn(move || drop(sender.send(open())))
                    .map_err(|error| silent(&crate::error::reason(&error)))?;
                let answer = receiver.recv_timeout(ANSWERS_WITHIN);
                answer.map_err(|_| silent("its filesystem does not answer"))??
            }
        };
        let connection = ManuallyDrop::new(connection);
        Ok(State {
            connection,
            path: path.to_owned(),
            columns,
            has_recency,
            is_damaged: Cell::new(false),
            _copy: copy,
        })
    }

    /// Checks that the database has a table of sessions, with the three columns that every version has.
    fn check(&self) -> Result<()> {
        if self.columns.is_empty() {
            let message = format!("Codex's database '{}' has no table 'threads'", self.path.display());
            return Err(Error::new(message));
        }
        match ["id", "created_at", "updated_at"].into_iter().find(|column| !self.has(column)) {
            Some(column) => Err(Error::new(format!(
                "Codex's database '{}' has no column 'threads.{column}'",
                self.path.display()
            ))),
            None => Ok(()),
        }
    }
}

/// Whether the path is a regular file on a filesystem that is known to be local.
fn is_local_file(path: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        // ext2 to 4, XFS, Btrfs, tmpfs, F2FS, ZFS, overlay: the numbers of statfs(2).
        const LOCAL: [i64; 7] =
            [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0xf2f5_2010, 0x2fc1_2fc1, 0x794c_7630];
        let local = |statfs: rustix::fs::StatFs| LOCAL.contains(&statfs.f_type);
        rustix::fs::statfs(path).is_ok_and(local) && std::fs::metadata(path).is_ok_and(|meta| meta.is_file())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}
