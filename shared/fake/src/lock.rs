//! The lock of a loaded session: one writer at a time, from 0.147 on.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use codex_agent_shared::error::{Context, Result};
use codex_agent_shared::record::Id;
use codex_agent_shared::store::lock::Lock;

/// A lock, held until this value is dropped or the process ends. Dropping removes the empty file.
pub(super) struct WriterLock(Lock);

impl WriterLock {
    /// Acquires the lock of a session; `None` if another process holds it.
    pub(super) fn acquire(home: &Path, id: Id) -> Result<Option<WriterLock>> {
        let directory = home.join("thread-writer-locks");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.context("create the directory", &directory)?;
        let lock = Lock::wait_within(&directory.join(format!("{id}.lock")), Duration::ZERO)?;
        Ok(lock.map(WriterLock))
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // Removed while locked, so that no process locks a removed file.
        let _ = fs::remove_file(self.0.path());
    }
}
