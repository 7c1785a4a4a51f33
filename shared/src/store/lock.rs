//! Kernel locks: the one module that locks files.
//!
//! **Guarantees.** An exclusive lock belongs to the open file: to this process, and to a child that inherits the
//! file. The system releases the lock when the last of them ends or closes the file, however that happens. So a
//! crash leaves no lock behind, and a lock file need not be removed. A lock file is opened as [`private::open`]
//! opens files: private to the user, and never through a link.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::private;
use crate::error::{Context, Error, Result};

/// The interval between attempts to lock a file.
const RETRY: Duration = Duration::from_millis(5);
/// How often a lock file that was replaced is opened again. Some file systems number a file anew each time.
const REOPENED: usize = 8;

/// A file whose exclusive lock this process has.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

#[allow(clippy::disallowed_methods)] // This module locks files for all others.
impl Lock {
    /// Opens a lock file, which is created if missing, and waits for its lock.
    pub fn wait(path: &Path) -> Result<Lock> {
        loop {
            if let Some(lock) = Lock::open(path, |file| Lock::on(file, path).map(Some))? {
                return Ok(lock);
            }
        }
    }

    /// As [`Lock::wait`], but `None` if another process has the lock for longer than this.
    pub fn wait_within(path: &Path, patience: Duration) -> Result<Option<Lock>> {
        Lock::open(path, |file| Lock::on_within(file, path, patience))
    }

    /// Waits for the lock of an open file.
    pub fn on(file: File, path: &Path) -> Result<Lock> {
        file.lock().context("lock", path).map_err(Error::of_place)?;
        Ok(Lock { file, path: path.to_owned() })
    }

    /// As [`Lock::on`], but `None` if another process has the lock for longer than this.
    pub fn on_within(file: File, path: &Path, patience: Duration) -> Result<Option<Lock>> {
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Lock { file, path: path.to_owned() })),
                Err(TryLockError::WouldBlock) if began.elapsed() >= patience => return Ok(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(RETRY),
                Err(TryLockError::Error(error)) => {
                    return Err(error).context("lock", path).map_err(Error::of_place);
                }
            }
        }
    }

    /// Opens and locks a lock file. A holder of the lock may remove the file: a process that
    /// waited for the removed file opens the new one.
    fn open(path: &Path, lock: impl Fn(File) -> Result<Option<Lock>>) -> Result<Option<Lock>> {
        let mut tried = 0;
        loop {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create(true).truncate(false);
            let Some(lock) = lock(private::open(options, "the lock", path)?)? else { return Ok(None) };
            let own = lock.file.metadata().context("examine the lock", path)?;
            tried += 1;
            if fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino()))
                || tried == REOPENED
            {
                return Ok(Some(lock));
            }
        }
    }

    /// Refuses a file system that grants a lock twice.
    pub fn check_exclusive(&self) -> Result<()> {
        let again = File::open(&self.path).context("open the lock", &self.path).map_err(Error::of_place)?;
        if Lock::on_within(again, &self.path, Duration::ZERO)?.is_none() {
            return Ok(());
        }
        let message = format!("cannot use '{}': its file system grants one lock twice", self.path.display());
        Err(Error::new(message)
            .hint("a prompt could be sent twice; nothing was sent")
            .hint("set CODEX_AGENT_STATE_HOME and CODEX_AGENT_CONFIG_HOME to directories of another file system")
            .of_place())
    }

    /// The locked file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The path of the locked file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The locked file, for a child that inherits the lock.
    pub fn into_file(self) -> File {
        self.file
    }
}

/// Whether a process has the exclusive lock of a file. A missing file is not locked. An error (such as too many
/// open files) must not count as free. The check takes a shared lock for a moment, so that two concurrent checks
/// do not see each other.
#[allow(clippy::disallowed_methods)] // This module locks files for all others.
pub fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_lock_excludes_others_until_its_file_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(!is_locked(&path).unwrap() && !path.exists(), "a missing file is not locked");
        let lock = Lock::wait(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(is_locked(&path).unwrap());
        assert!(Lock::wait_within(&path, Duration::from_millis(20)).unwrap().is_none());
        lock.check_exclusive().unwrap();
        // A copy of the open file, as a child inherits it, keeps the lock.
        let inherited = lock.file().try_clone().unwrap();
        drop(lock);
        assert!(Lock::wait_within(&path, Duration::ZERO).unwrap().is_none());
        drop(inherited);
        assert!(!is_locked(&path).unwrap());
        assert!(Lock::wait_within(&path, Duration::ZERO).unwrap().is_some());
    }

    #[test]
    fn no_process_waits_for_the_lock_of_a_file_that_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        for _ in 0..20 {
            let lock = Lock::wait(&path).unwrap();
            let waiter = {
                let path = path.clone();
                std::thread::spawn(move || Lock::wait(&path).unwrap())
            };
            std::thread::sleep(Duration::from_millis(2));
            fs::remove_file(&path).unwrap();
            drop(lock);
            let lock = waiter.join().unwrap();
            assert!(is_locked(&path).unwrap(), "the lock is that of the file at the path");
            assert_eq!(lock.path(), path);
        }
    }

    #[test]
    fn a_lock_is_never_opened_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("lock"), folder.path().join("target"));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let error = Lock::wait(&path).unwrap_err();
        assert!(error.message().contains("it is a symbolic link") && error.is_of_place(), "{error}");
        assert!(!target.exists());
    }
}
