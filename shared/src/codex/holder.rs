//! Which sessions some process holds at this moment. A hint for people, not a lock: what it says
//! may be over when it is read.
//!
//! From 0.147 Codex holds a kernel lock on `thread-writer-locks/<id>.lock` in its home for as long
//! as a session is loaded; the system lists such locks in `/proc/locks` (0.150 and 0.169 were
//! seen there). Older versions take no lock, but keep the rollout open. The file of the lock is
//! never opened here, so that no prober can get in Codex's way.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::record::Id;

/// What processes hold, read at most once each.
#[derive(Default)]
pub struct Holders {
    locked: Option<HashSet<(u64, u64)>>,
    open: Option<HashSet<PathBuf>>,
}

impl Holders {
    /// Whether some process holds this session: `None` where the system does not tell.
    pub fn holds(&mut self, home: &Path, id: Id, rollout: &Path) -> Option<bool> {
        let lock = home.join("thread-writer-locks").join(format!("{id}.lock"));
        if let Ok(meta) = fs::metadata(&lock) {
            let locked = self.locked.get_or_insert_with(locked_files);
            if locked.contains(&(meta.dev(), meta.ino())) {
                return Some(true);
            }
        }
        if !Path::new("/proc/self/fd").exists() {
            return None;
        }
        let open = self.open.get_or_insert_with(open_files);
        Some(open.contains(rollout))
    }
}

/// Device and inode of every locked file: the sixth column of `/proc/locks`, `MAJOR:MINOR:INODE`.
fn locked_files() -> HashSet<(u64, u64)> {
    let text = fs::read_to_string("/proc/locks").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let file = line.split_whitespace().find(|word| word.matches(':').count() == 2)?;
            let mut parts = file.split(':');
            let major = u32::from_str_radix(parts.next()?, 16).ok()?;
            let minor = u32::from_str_radix(parts.next()?, 16).ok()?;
            let inode = parts.next()?.parse().ok()?;
            Some((rustix::fs::makedev(major, minor), inode))
        })
        .collect()
}

/// The rollouts that any process of ours has open for writing: a reader holds nothing.
fn open_files() -> HashSet<PathBuf> {
    let mut open = HashSet::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let is_process = process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if !is_process {
            continue;
        }
        for fd in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            if let Ok(target) = fs::read_link(fd.path())
                && target.extension().is_some_and(|extension| extension == "jsonl")
                && is_for_writing(&process.path().join("fdinfo").join(fd.file_name()))
            {
                open.insert(target);
            }
        }
    }
    open
}

/// The line `flags:` of an fdinfo has the mode in its last octal digit: 1 and 2 write.
fn is_for_writing(fdinfo: &Path) -> bool {
    let text = fs::read_to_string(fdinfo).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.is_some_and(|flags| flags.trim().ends_with(['1', '2']))
}
