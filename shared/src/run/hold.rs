//! One writer a session.
//!
//! `locks/session-UUID` names the `.out` of the Codex that drives the session. It is locked only
//! while a session is handed over: look who has it, write the new `.out`, start Codex. A session is
//! busy while the `.out` that is named there is locked, so a hold ends with its Codex, and nobody has
//! to give it back. A file that names an `.out` that is gone is nobody's. The file itself is never
//! removed.
//!
//! This is between runners alone. What Codex itself holds (from 0.147) Codex tells.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{folder, probe};
use crate::codex::home::state_folder;
use crate::error::{Context, Result};
use crate::record::Id;

/// A session that is being handed over.
#[derive(Debug)]
pub struct Hold {
    file: File,
    path: PathBuf,
}

impl Hold {
    /// Takes a session; `None` where somebody has it. `for_out` may have it already.
    pub fn take(id: Id, for_out: Option<&Path>) -> Result<Option<Hold>> {
        let locks = state_folder()?.join("locks");
        let path = locks.join(format!("session-{id}"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let opened = match options.open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                folder::make(&locks)?;
                options.open(&path)
            }
            other => other,
        };
        let mut file = opened.context("open the lock", &path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error).context("lock", &path),
        }
        let mut named = Vec::new();
        file.read_to_end(&mut named).context("read the lock", &path)?;
        let named = PathBuf::from(std::ffi::OsString::from_vec(named));
        if !named.as_os_str().is_empty() && for_out != Some(&named) && probe::may_be_locked(&named) {
            return Ok(None);
        }
        Ok(Some(Hold { file, path }))
    }

    /// Says whose the session is from now on.
    pub fn give(&mut self, out: &Path) -> Result<()> {
        let bytes = out.as_os_str().as_bytes();
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .and_then(|_| self.file.write_all(bytes))
            .context("write the lock", &self.path)
    }
}
