//! The lock of a session that is loaded: one writer at a time, from 0.147 on.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use codex_agent_shared::record::Id;

/// Held until this value is dropped or the process ends; dropping removes the empty file.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Acquires the lock; `None` if another process holds it.
    pub(super) fn take(home: &Path, id: Id) -> std::io::Result<Option<Lock>> {
        let folder = home.join("thread-writer-locks");
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let path = folder.join(format!("{id}.lock"));
        loop {
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            if file.try_lock().is_err() {
                return Ok(None);
            }
            // The holder may have removed the file between opening and locking.
            if fs::metadata(&path).is_ok_and(|meta| is_same(&meta, &file)) {
                return Ok(Some(Lock { file, path }));
            }
        }
    }
}

fn is_same(meta: &fs::Metadata, file: &File) -> bool {
    file.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (meta.dev(), meta.ino()))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while locked, so that no process locks a removed file.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}
