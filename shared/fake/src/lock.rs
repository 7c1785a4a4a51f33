//! The lock of a session that is loaded: one writer at a time, from 0.147 on.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use codex_agent_shared::record::Id;

/// Held for as long as this lives or the process does; the empty file goes away with it.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock; `None` if some other process has it.
    pub(super) fn take(home: &Path, id: Id) -> std::io::Result<Option<Lock>> {
        let folder = home.join("thread-writer-locks");
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let path = folder.join(format!("{id}.lock"));
        loop {
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            if file.try_lock().is_err() {
                return Ok(None);
            }
            // The one who had it may have removed the file between opening and locking.
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
        // Removed while it is still locked, so that nobody takes a lock on a file without a name.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}
