//! The lock that lets one job at a time use a session.
//!
//! The file `locks/session-UUID` has the path of the `.out` of the Codex that uses the session. The file is locked only
//! during a handover: the holder is checked, the new path is written, Codex is started. A session is busy while that
//! `.out` is locked, so the session becomes free when its Codex ends, without further action. If that `.out` does not
//! exist, the session is free. The file itself is never removed.
//!
//! The lock is between runners only. From 0.147 on Codex has locks of its own and reports them.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::disk::run_dir;
use crate::liveness;
use codex_agent_shared::error::{Context, Error, Result};
use codex_agent_shared::record::Id;
use codex_agent_shared::store::lock::Lock;

/// A session during its handover.
#[derive(Debug)]
pub struct SessionLock(Lock);

impl SessionLock {
    /// Locks a session; `None` if another output than `for_out` has it.
    pub fn acquire(id: Id, for_out: Option<&Path>) -> Result<Option<SessionLock>> {
        let path = run_dir::state_dir("locks")?.join(format!("session-{id}"));
        let Some(lock) = Lock::wait_within(&path, Duration::ZERO)? else { return Ok(None) };
        let mut named = Vec::new();
        let read = lock.file().read_to_end(&mut named);
        read.context("read the lock", &path).map_err(Error::of_place)?;
        let named = PathBuf::from(std::ffi::OsString::from_vec(named));
        if !named.as_os_str().is_empty() && for_out != Some(&named) && liveness::may_be_locked(&named) {
            return Ok(None);
        }
        Ok(Some(SessionLock(lock)))
    }

    /// Assigns the session to an output.
    pub fn assign(&mut self, out: &Path) -> Result<()> {
        let mut file = self.0.file();
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(out.as_os_str().as_bytes()))
            .context("write the lock", self.0.path())
            .map_err(Error::of_place)
    }
}
