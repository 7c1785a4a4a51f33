//! The names of all rollout files in a home, and the live file of each session.
//!
//! Only names are read here: `sessions/YYYY/MM/DD/`, at any depth up to that, and the flat
//! `archived_sessions/`. A directory with a rollout's name is not a rollout; a circular
//! link prints a warning.

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::rollout::{Name, latest_time};
use crate::error::{reason, warn_once};
use crate::record::Id;
use crate::time::Timestamp;

/// The path and state of a session, by its row in the database.
#[derive(Debug)]
pub struct RowPlace {
    /// The session.
    pub id: Id,
    /// The path of its rollout.
    pub path: String,
    /// Whether it is archived.
    pub archived: bool,
    /// The working directory.
    pub cwd: String,
}

/// A rollout file.
#[derive(Clone, Debug)]
pub struct RolloutFile {
    /// The id in the file name.
    pub id: Id,
    /// The path of the file.
    pub path: PathBuf,
    /// Whether the file is in `archived_sessions/`.
    pub archived: bool,
}

impl RolloutFile {
    /// The parts of the file name.
    pub fn name(&self) -> Name<'_> {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        // The name was parsed when the file was found.
        Name::parse(name).unwrap_or(Name { id: self.id, stamp: "", segment: None, compressed: false })
    }

    /// The time of archiving, estimated by the modification time of the file.
    pub fn archived_at(&self) -> Option<Timestamp> {
        if !self.archived {
            return None;
        }
        Timestamp::from_system(fs::metadata(&self.path).ok()?.modified().ok()?)
    }
}

/// All rollout files, sorted by session.
#[derive(Default)]
pub struct Files {
    all: Vec<RolloutFile>,
}

impl Files {
    /// Walk the names of a home. A session that Codex archives or unarchives meanwhile is not missed.
    pub fn walk(home: &Path) -> Files {
        let archive = home.join("archived_sessions");
        let changed = || fs::metadata(&archive).and_then(|meta| meta.modified()).ok();
        let mut all = Vec::new();
        let before = changed();
        collect(&archive, true, 1, &mut all);
        collect(&home.join("sessions"), false, 4, &mut all);
        // A session that was archived after the first walk was perhaps gone from its directory at the second.
        if changed() != before {
            collect(&archive, true, 1, &mut all);
        }
        Files::sort(all)
    }

    /// The files of the newest days that are not archived, at least `wanted` if there are that many, and the
    /// latest time at which a file of the other days can begin. `None` if the directories have another form
    /// than `sessions/YYYY/MM/DD/`, where only a walk finds all files.
    pub fn newest(home: &Path, wanted: usize) -> Option<(Files, Timestamp)> {
        let sessions = home.join("sessions");
        let mut all = Vec::new();
        // Days are local: in the order of their directories, files of two further days may be as new.
        let mut days_left = 3;
        for year in numbered(&sessions, 4)? {
            for month in numbered(&year, 2)? {
                for day in numbered(&month, 2)? {
                    if days_left == 0 {
                        let stamp = day.strip_prefix(&sessions).ok()?.to_str()?.replace('/', "-");
                        return Some((Files::sort(all), latest_time(&format!("{stamp}T23-59-59"))));
                    }
                    collect(&day, false, 1, &mut all);
                    days_left -= u32::from(all.len() >= wanted);
                }
            }
        }
        Some((Files::sort(all), Timestamp(i64::MIN)))
    }

    /// The files of the days around the time in an id, in a directory `sessions`.
    pub fn of_day(sessions: &Path, id: Id) -> Files {
        let mut all = Vec::new();
        for folder in days_around(sessions, id.clock()).filter(|folder| folder.is_dir()) {
            collect(&folder, false, 1, &mut all);
        }
        Files::sort(all)
    }

    fn sort(mut all: Vec<RolloutFile>) -> Files {
        all.sort_by(|a, b| a.id.cmp(&b.id).then_with(|| a.path.cmp(&b.path)));
        all.dedup_by(|a, b| a.path == b.path);
        Files { all }
    }

    /// All files, sorted by session; a session may have several.
    pub fn all(&self) -> &[RolloutFile] {
        &self.all
    }

    /// The files of one session.
    pub fn of_session(&self, id: Id) -> &[RolloutFile] {
        let from = self.all.partition_point(|file| file.id < id);
        // A session nearly always has one file.
        let count = self.all[from..].iter().take_while(|file| file.id == id).count();
        &self.all[from..from + count]
    }

    /// The live file of a session: the file that the database names (by file name, since a home may have been moved or be
    /// read on another system, and a file compressed), else the newest file that is not archived.
    pub fn live(&self, id: Id, named: Option<&str>) -> Option<&RolloutFile> {
        live(self.of_session(id), named)
    }

    /// The file that another one continues: the first file of the session of an id, or the segment of the id.
    pub fn base(&self, id: Id) -> Option<&RolloutFile> {
        let key = |file: &&RolloutFile| (!file.archived, !file.name().compressed);
        let first = self.of_session(id).iter().filter(|file| file.name().segment.is_none()).max_by_key(key);
        first.or_else(|| self.all.iter().filter(|file| file.name().segment == Some(id)).max_by_key(key))
    }

    /// The live file of each session, newest id last.
    pub fn sessions(&self) -> impl Iterator<Item = &RolloutFile> {
        self.all.chunk_by(|a, b| a.id == b.id).filter_map(|files| live(files, None))
    }
}

pub(super) fn live<'f>(files: &'f [RolloutFile], named: Option<&str>) -> Option<&'f RolloutFile> {
    let plain = |name: &str| name.strip_suffix(".zst").unwrap_or(name).to_owned();
    if let Some(path) = named
        && files.len() > 1
    {
        let parts: Vec<&str> = path.rsplit(['/', '\\']).collect();
        let name = parts.first().map(|name| plain(name));
        let same =
            |file: &&RolloutFile| file.path.file_name().and_then(|name| name.to_str()).map(plain) == name;
        // Of files of this name in several directories, the file whose directory is most like that of the row.
        let archived = parts.get(1) == Some(&"archived_sessions");
        let rank = |file: &&RolloutFile| {
            let folders = file.path.iter().rev().zip(&parts).skip(1);
            let alike = folders.take_while(|(folder, part)| folder.to_str() == Some(part)).count();
            (file.archived == archived, alike, !file.name().compressed)
        };
        if let Some(file) = files.iter().filter(same).max_by_key(rank) {
            return Some(file);
        }
    }
    files.iter().max_by(|a, b| (!a.archived, a.name().age()).cmp(&(!b.archived, b.name().age())))
}

fn collect(folder: &Path, archived: bool, depth: usize, all: &mut Vec<RolloutFile>) {
    for entry in WalkDir::new(folder).min_depth(1).max_depth(depth).follow_links(true) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let why = match error.io_error() {
                    Some(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    Some(error) => reason(error),
                    None => "a symbolic link leads back to a directory above it".to_owned(),
                };
                let path = error.path().unwrap_or(folder).display();
                warn_once(format_args!("cannot read the directory '{path}': {why}; skipped"));
                continue;
            }
        };
        let id = entry.file_name().to_str().and_then(Name::parse).map(|name| name.id);
        if let Some(id) = id
            && entry.file_type().is_file()
        {
            all.push(RolloutFile { id, path: entry.into_path(), archived });
        }
    }
}

/// The subdirectories whose names are numbers of so many digits, greatest first. `None` if there is a rollout or
/// another directory beside them, or if the directory cannot be read.
fn numbered(folder: &Path, digits: usize) -> Option<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        let name = entry.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.len() == digits && bytes.iter().all(u8::is_ascii_digit) {
            found.push(entry.path());
        } else if !entry.file_type().is_ok_and(|kind| kind.is_file())
            || name.to_str().and_then(Name::parse).is_some()
        {
            return None;
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    Some(found)
}

/// The directories in `sessions` of the day of this clock, the day before and the day after: directories are named
/// by local days.
pub(crate) fn days_around(sessions: &Path, clock: i64) -> impl Iterator<Item = PathBuf> {
    (-1..=1).filter_map(move |days| {
        let day = Timestamp(clock + days * 86_400_000).to_string();
        Some(sessions.join(day.get(..10)?.replace('-', "/")))
    })
}
