//! The folders that rollouts come and go in, looked at once a second and listed where they changed.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::super::files::RolloutFile;
use super::super::rollout::Name;
use super::FOLDERS;
use crate::record::Id;
use crate::time::Timestamp;

/// A folder's time is as coarse as the kernel's tick, so a change may hide behind one that was just
/// seen: a folder that changed this lately is listed again.
const SETTLED: Duration = Duration::from_secs(2);
const DAY: i64 = 86_400_000;

pub(super) struct WatchedDirectories {
    home: PathBuf,
    folders: HashMap<PathBuf, Option<SystemTime>>,
    looked: Option<Instant>,
}

impl WatchedDirectories {
    pub(super) fn new(home: &Path) -> WatchedDirectories {
        WatchedDirectories { home: home.to_owned(), folders: HashMap::new(), looked: None }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.looked.is_none_or(|looked| now.duration_since(looked) >= FOLDERS)
    }

    /// Looks at the folder that a session's file is in from now on; without a file, at those that it
    /// will be in by the clock in its id.
    pub(super) fn add(&mut self, id: Id, path: Option<&Path>) {
        match path.and_then(Path::parent) {
            Some(folder) if self.folders.contains_key(folder) => {}
            Some(folder) => drop(self.folders.insert(folder.to_owned(), None)),
            None => self.add_days(id.clock()),
        }
    }

    /// Days are local ones in names, so those before and after are meant too.
    fn add_days(&mut self, clock: i64) {
        for clock in [clock - DAY, clock, clock + DAY] {
            let day = Timestamp(clock).to_string();
            if let Some(day) = day.get(..10) {
                let folder = self.home.join("sessions").join(day.replace('-', "/"));
                self.folders.entry(folder).or_default();
            }
        }
    }

    /// The rollouts of these sessions in all folders that changed.
    pub(super) fn changed(&mut self, now: Instant, is_wanted: impl Fn(Id) -> bool) -> Vec<RolloutFile> {
        self.looked = Some(now);
        // A session that is reverted goes on in the folder of today.
        self.add_days(Timestamp::now().0);
        let archive = self.home.join("archived_sessions");
        self.folders.entry(archive.clone()).or_default();
        let mut found = Vec::new();
        for (folder, seen) in &mut self.folders {
            let changed = fs::metadata(folder).and_then(|meta| meta.modified()).ok();
            if changed.is_none() || changed == *seen {
                continue;
            }
            let settled =
                changed.and_then(|changed| changed.elapsed().ok()).is_some_and(|age| age >= SETTLED);
            *seen = changed.filter(|_| settled);
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Some(name) = name.to_str().and_then(Name::parse) else { continue };
                if is_wanted(name.id) {
                    let archived = *folder == archive;
                    found.push(RolloutFile { id: name.id, path: entry.path(), archived });
                }
            }
        }
        found.sort_by(|a, b| a.name().age().cmp(&b.name().age()));
        found
    }
}
