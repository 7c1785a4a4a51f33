//! The processes that have sessions open. The result is a hint for people and not a lock: it may be outdated when it
//! is read.
//!
//! From 0.147 Codex has a kernel lock on `thread-writer-locks/<id>.lock` in its home for as long
//! as a session is loaded; the system lists such locks in `/proc/locks` (0.150 and 0.169 were
//! seen there). Older versions have no lock, but the rollout open. The file of the lock is
//! never opened here, so that no prober can get in Codex's way. Without `/proc`, as on macOS, no
//! holder is known; a busy session is then known only by Codex's own refusal.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::record::Id;

/// The process that has a session open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Holder {
    /// The id of the process.
    pub pid: i32,
    /// The command of the process, with its arguments; null if the system does not show it.
    pub command: Option<String>,
}

impl Holder {
    fn read(pid: i32) -> Holder {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        let words: Vec<_> = words.map(String::from_utf8_lossy).collect();
        // An argument may be a whole prompt.
        let command: String = words.join(" ").chars().take(200).collect();
        Holder { pid, command: Some(command).filter(|command| !command.is_empty()) }
    }
}

/// The open sessions, with their processes. Each source is read at most once.
#[derive(Default)]
pub struct Holders {
    locked: Option<HashMap<(i128, u64), i32>>,
    open: Option<HashMap<PathBuf, i32>>,
}

impl Holders {
    /// Whether a process has this session open; `None` if unknown.
    pub fn holds(&mut self, home: &Path, id: Id, rollout: &Path) -> Option<bool> {
        Some(self.pid(home, id, rollout)?.is_some())
    }

    /// The process that has this session open, if it is visible to this user.
    pub fn holder(&mut self, home: &Path, id: Id, rollout: &Path) -> Option<Holder> {
        self.pid(home, id, rollout).flatten().filter(|pid| *pid > 0).map(Holder::read)
    }

    fn pid(&mut self, home: &Path, id: Id, rollout: &Path) -> Option<Option<i32>> {
        let lock = home.join("thread-writer-locks").join(format!("{id}.lock"));
        if let Ok(meta) = fs::metadata(&lock) {
            let locked = self.locked.get_or_insert_with(locked_files);
            if let Some(pid) = locked.get(&(i128::from(meta.dev()), meta.ino())) {
                return Some(Some(*pid));
            }
        }
        if !Path::new("/proc/self/fd").exists() {
            return None;
        }
        let open = self.open.get_or_insert_with(open_files);
        Some(open.get(rollout).copied())
    }
}

/// Device and inode of every locked file, and who locks it: the fifth and the sixth column of `/proc/locks`, a
/// process number (-1 where it has none here) and `MAJOR:MINOR:INODE`. The type of a device differs by system.
fn locked_files() -> HashMap<(i128, u64), i32> {
    let text = fs::read_to_string("/proc/locks").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = words.iter().position(|word| word.matches(':').count() == 2)?;
            let (file, pid) = (words[at], words.get(at.checked_sub(1)?)?.parse().unwrap_or(-1));
            let mut parts = file.split(':');
            let major = u32::from_str_radix(parts.next()?, 16).ok()?;
            let minor = u32::from_str_radix(parts.next()?, 16).ok()?;
            let inode = parts.next()?.parse().ok()?;
            Some(((i128::from(rustix::fs::makedev(major, minor)), inode), pid))
        })
        .collect()
}

/// The rollouts that processes of this user have open for writing. A process that only reads does not count.
fn open_files() -> HashMap<PathBuf, i32> {
    let mut open = HashMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        for fd in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            if let Ok(target) = fs::read_link(fd.path())
                && target.extension().is_some_and(|extension| extension == "jsonl")
                && is_for_writing(&process.path().join("fdinfo").join(fd.file_name()))
            {
                open.insert(target, pid);
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
