//! The directories of rollouts, examined once a second and listed only after a change.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::DIRECTORIES;
use crate::codex::files::{RolloutFile, days_around};
use crate::codex::rollout::Name;
use crate::record::Id;
use crate::time::Timestamp;

/// The modification time of a directory is as coarse as the kernel's tick, so a change may have the same time as the
/// one before it: a directory that changed within this time is listed again.
const SETTLED: Duration = Duration::from_secs(2);

pub(super) struct WatchedDirectories {
    home: PathBuf,
    directories: HashMap<PathBuf, Option<SystemTime>>,
    looked: Option<Instant>,
    /// The sessions that have files and are not followed.
    new: Vec<Id>,
}

impl WatchedDirectories {
    pub(super) fn new(home: &Path) -> WatchedDirectories {
        WatchedDirectories {
            home: home.to_owned(),
            directories: HashMap::new(),
            looked: None,
            new: Vec::new(),
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.looked.is_none_or(|looked| now.duration_since(looked) >= DIRECTORIES)
    }

    /// Add the directory of a session's file; without a file, the directories of the days around the time in its id.
    pub(super) fn add(&mut self, id: Id, path: Option<&Path>) {
        match path.and_then(Path::parent) {
            Some(directory) if self.directories.contains_key(directory) => {}
            Some(directory) => drop(self.directories.insert(directory.to_owned(), None)),
            None => self.add_days(id.clock()),
        }
    }

    fn add_days(&mut self, clock: i64) {
        for directory in days_around(&self.home.join("sessions"), clock) {
            self.directories.entry(directory).or_default();
        }
    }

    /// The sessions that were not wanted since the last call.
    pub(super) fn take_new(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.new)
    }

    /// The rollouts of these sessions in all directories that changed. With `keeps_new` the other sessions are kept for
    /// [`WatchedDirectories::take_new`].
    pub(super) fn changed(
        &mut self,
        now: Instant,
        is_wanted: impl Fn(Id) -> bool,
        keeps_new: bool,
    ) -> Vec<RolloutFile> {
        self.looked = Some(now);
        // A reverted session continues in the directory of today.
        self.add_days(Timestamp::now().0);
        let archive = self.home.join("archived_sessions");
        self.directories.entry(archive.clone()).or_default();
        let mut found = Vec::new();
        for (directory, seen) in &mut self.directories {
            let changed = fs::metadata(directory).and_then(|meta| meta.modified()).ok();
            if changed.is_none() || changed == *seen {
                continue;
            }
            let settled =
                changed.and_then(|changed| changed.elapsed().ok()).is_some_and(|age| age >= SETTLED);
            *seen = changed.filter(|_| settled);
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Some(name) = name.to_str().and_then(Name::parse) else { continue };
                if is_wanted(name.id) {
                    let archived = *directory == archive;
                    found.push(RolloutFile { id: name.id, path: entry.path(), archived });
                } else if keeps_new {
                    self.new.push(name.id);
                }
            }
        }
        found.sort_by(|a, b| a.name().age().cmp(&b.name().age()));
        found
    }
}
