//! A JSON file that many processes read and change concurrently, and that a crash does not damage.
//!
//! **Guarantees.** A reader sees the file as it was before or after a change. Concurrent changes are made one
//! after the other, and none is lost. After `kill -9` or a power failure at any point the file is the complete old
//! one or the complete new one. A file that cannot be parsed causes an error that names the file, and is never
//! overwritten. The same holds for a pipe, a device or a file of more than 256 MiB. A missing file is empty, and
//! nothing is created before there is something to save.
//!
//! **How.** [`Store::update`] locks `NAME.lock` beside the file ([`mod@lock`]), reads the file, lets the caller
//! change the contents, writes a temporary file in the same directory, syncs it, renames it to the file and syncs
//! the directory. If the file is a symbolic link, its target is replaced, and the lock and the temporary file are
//! beside the target. Readers take no lock. A directory that other users may write to is refused ([`private`]).
//!
//! **Crash.** A crash may leave a temporary file `.codex-agent-XXXXXX.tmp`, which a later change removes once it
//! is an hour old.
//!
//! New files are private to the user (0600, directories 0700); an existing file keeps its mode.
//!
//! ```
//! use codex_agent_shared::store::{Changed, Store};
//!
//! let folder = tempfile::tempdir().unwrap();
//! let store = Store::new(folder.path().join("names.json"));
//! let count = store.update(|names: &mut Vec<String>| {
//!     names.push("work".to_owned());
//!     Ok((names.len(), Changed::Yes))
//! });
//! assert_eq!(count.unwrap(), 1);
//! assert_eq!(store.read::<Vec<String>>().unwrap(), ["work"]);
//! ```

mod has_name;
pub mod lock;
pub mod private;
mod raw_object;
mod read_capped;

pub use has_name::{HasName, NAME_RULES, check_name, find, position};
pub use raw_object::{RawObject, kept_object};
pub use read_capped::read_capped;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Context, Error, Result};
use lock::Lock;

/// The size of the largest file that is read or written.
const LONGEST: u64 = 256 << 20;

const TEMPORARY: (&str, &str) = (".codex-agent-", ".tmp");

/// A JSON file in a directory that may not exist yet.
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// The store at `path`. Nothing is opened or created.
    pub fn new(path: PathBuf) -> Self {
        Store { path }
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The contents of the file; the default if it does not exist.
    pub fn read<T: DeserializeOwned + Default>(&self) -> Result<T> {
        read(&self.path)
    }

    /// Waits for the lock of the file, which need not exist.
    pub fn lock(&self) -> Result<LockedFile> {
        let target = self.prepare()?;
        let lock = Lock::wait(&lock_path(&target))?;
        Ok(LockedFile { path: self.path.clone(), target, _lock: lock })
    }

    /// As [`Store::lock`], but `None` if another process has the lock now.
    pub fn try_lock(&self) -> Result<Option<LockedFile>> {
        let target = self.prepare()?;
        let lock = Lock::wait_within(&lock_path(&target), Duration::ZERO)?;
        Ok(lock.map(|lock| LockedFile { path: self.path.clone(), target, _lock: lock }))
    }

    /// Creates the directory of the file that is replaced, and returns that file.
    fn prepare(&self) -> Result<PathBuf> {
        let target = self.target()?;
        let [own, folder] = [&self.path, &target].map(|path| path.parent().unwrap_or(Path::new("/")));
        if own == folder {
            private::create_dir(own)?;
        } else {
            // A link in a private directory belongs to the user, whatever its target is.
            private::check_dir(own)?;
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.context("create the directory", folder)?;
        }
        Ok(target)
    }

    /// Changes the contents of the file under its lock. An error of the closure leaves the file unchanged.
    pub fn update<T, R>(&self, change: impl FnOnce(&mut T) -> Result<(R, Changed)>) -> Result<R>
    where
        T: DeserializeOwned + Serialize + Default,
    {
        let held = self.lock()?;
        let mut value: T = self.read()?;
        let (result, changed) = change(&mut value)?;
        if changed == Changed::Yes {
            held.write(&value)?;
        }
        Ok(result)
    }

    /// The file that is replaced: the target of the path, which need not exist.
    pub fn target(&self) -> Result<PathBuf> {
        let mut path = self.path.clone();
        for _ in 0..40 {
            match fs::read_link(&path) {
                Ok(link) => path = path.parent().unwrap_or(Path::new("/")).join(link),
                Err(_) => return Ok(path),
            }
        }
        Err(Error::new(format!("cannot follow '{}': too many symbolic links", self.path.display())))
    }
}

fn read<T: DeserializeOwned + Default>(path: &Path) -> Result<T> {
    let text = match read_capped(path, LONGEST) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(T::default()),
        Err(why) => return Err(Error::new(format!("cannot read '{}': {why}", path.display()))),
    };
    serde_json::from_slice(&text).map_err(|error| {
        let why = if text.is_empty() { "it is empty".to_owned() } else { error.to_string() };
        Error::new(format!("cannot read '{}': {why}", path.display()))
            .hint("the file was not changed; repair the file, or move it away to start with an empty file")
    })
}

/// A file whose lock this process has.
pub struct LockedFile {
    path: PathBuf,
    target: PathBuf,
    _lock: Lock,
}

/// The state of a file. Each change of the file changes its stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp(Option<(u64, u64, [i64; 4])>);

impl LockedFile {
    /// The contents of the file; the default if it does not exist.
    pub fn read<T: DeserializeOwned + Default>(&self) -> Result<T> {
        read(&self.path)
    }

    /// Replaces the contents of the file.
    pub fn write(&self, value: &impl Serialize) -> Result<()> {
        let mut text =
            serde_json::to_vec_pretty(value).map_err(io::Error::from).context("save", &self.target)?;
        text.push(b'\n');
        replace(&self.target, self.target.parent().unwrap_or(Path::new("/")), &text)
    }

    /// Replaces the file by this text.
    #[doc(hidden)]
    pub fn write_text(&self, text: &str) -> Result<()> {
        replace(&self.target, self.target.parent().unwrap_or(Path::new("/")), text.as_bytes())
    }

    /// The state of the file.
    pub fn stamp(&self) -> Stamp {
        let times = |meta: &fs::Metadata| [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
        let meta = fs::metadata(&self.target).ok();
        Stamp(meta.map(|meta| (meta.ino(), meta.len(), times(&meta))))
    }
}

/// Whether a closure changed the contents of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The file is written.
    Yes,
    /// The file is not written.
    No,
}

fn lock_path(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    target.with_file_name(name)
}

fn replace(target: &Path, folder: &Path, text: &[u8]) -> Result<()> {
    sweep(folder);
    if text.len() as u64 > LONGEST {
        let message = format!("cannot save '{}': it would be larger than 256 MiB", target.display());
        return Err(Error::new(message).hint("nothing was changed"));
    }
    let write = || -> io::Result<File> {
        let mut file =
            tempfile::Builder::new().prefix(TEMPORARY.0).suffix(TEMPORARY.1).tempfile_in(folder)?;
        file.write_all(text)?;
        if let Ok(there) = fs::metadata(target) {
            // A read-only file is not changed, although root could.
            if there.permissions().readonly() {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            file.as_file().set_permissions(there.permissions())?;
            // A file of another user that root saves stays with its owner.
            let own = file.as_file().metadata()?;
            if (own.uid(), own.gid()) != (there.uid(), there.gid()) {
                fchown(file.as_file(), Some(there.uid()), Some(there.gid()))?;
            }
        }
        file.as_file().sync_all()?;
        let opened = File::open(folder)?;
        // A crash before this line leaves the old file.
        file.persist(target).map_err(|error| error.error)?;
        Ok(opened)
    };
    let folder =
        write().context("save", target).map_err(|error| error.hint("nothing was changed").of_place())?;
    folder
        .sync_all()
        .context("sync the directory of", target)
        .map_err(|error| error.hint("the file was saved; a power failure could still undo the change"))
}

/// Removes temporary files of killed processes. A new temporary file may belong to a running process.
fn sweep(folder: &Path) {
    let old = Duration::from_secs(3600);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_old = || entry.metadata().ok()?.modified().ok()?.elapsed().ok().map(|age| age > old);
        if is_temporary(&entry.file_name().to_string_lossy()) && is_old() == Some(true) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a name has exactly the form of the temporary files of this module.
fn is_temporary(name: &str) -> bool {
    let middle = name.strip_prefix(TEMPORARY.0).and_then(|rest| rest.strip_suffix(TEMPORARY.1));
    middle.is_some_and(|middle| middle.len() == 6 && middle.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // A test writes the files that it reads.
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn push(store: &Store, number: u32) -> Result<()> {
        store.update(|list: &mut Vec<u32>| {
            list.push(number);
            Ok(((), Changed::Yes))
        })
    }

    #[test]
    fn nothing_is_created_before_there_is_something_to_save() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("deep/down/list.json"));
        assert_eq!(store.read::<Vec<u32>>().unwrap(), Vec::<u32>::new());
        assert!(!folder.path().join("deep").exists());
        push(&store, 1).unwrap();
        push(&store, 2).unwrap();
        assert_eq!(store.read::<Vec<u32>>().unwrap(), [1, 2]);
        let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode("deep"), mode("deep/down"), mode("deep/down/list.json")], [0o700, 0o700, 0o600]);
    }

    #[test]
    fn a_link_is_followed_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("real")).unwrap();
        std::os::unix::fs::symlink("real/list.json", folder.path().join("link.json")).unwrap();
        let store = Store::new(folder.path().join("link.json"));
        push(&store, 7).unwrap();
        assert!(folder.path().join("link.json").is_symlink());
        assert_eq!(fs::read_to_string(folder.path().join("real/list.json")).unwrap(), "[\n  7\n]\n");
        assert!(folder.path().join("real/list.json.lock").exists());
    }

    #[test]
    fn a_file_that_cannot_be_parsed_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.json");
        for text in ["", "[1,", "{}"] {
            fs::write(&path, text).unwrap();
            let error = push(&Store::new(path.clone()), 1).unwrap_err();
            assert!(error.message().contains("list.json"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
