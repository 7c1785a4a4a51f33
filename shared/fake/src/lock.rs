//! The lock of a loaded session: one writer at a time, from 0.147 on.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use codex_agent_shared::record::Id;

/// A lock, held until this value is dropped or the process ends. Dropping removes the empty file.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Acquires the lock of a session; `None` if another process holds it.
    pub(super) fn acquire(home: &Path, id: Id) -> std::io::Result<Option<Lock>> {
        let directory = home.join("thread-writer-locks");
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let path = directory.join(format!("{id}.lock"));
        loop {
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            if file.try_lock().is_err() {
                return Ok(None);
            }
            // The holder may have removed the file between opening and locking.
            let own = file.metadata()?;
            if fs::metadata(&path).is_ok_and(|meta| (meta.dev(), meta.ino()) == (own.dev(), own.ino())) {
                return Ok(Some(Lock { file, path }));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while locked, so that no process locks a removed file.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}
