//! The directory of a run.
//!
//! ```text
//! runs/20261122T120713Z-new-alpha-3f2a/
//!     journal.ndjson            the planned jobs and the events; the jobs of a queue one by one
//!     jobs/1/1.prompt           Codex's standard input of the first attempt at the first job
//!     jobs/1/1.out  1.err       its standard output and error
//!     jobs/1/image-1-5f3a09bc.png  the images of the job; the number distinguishes their original paths
//! ```
//!
//! Directories have mode 0700 and files 0600. Names begin with the time, so they sort by it. Nothing is created
//! before the first job, and files are only appended to.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::disk::journal::Journal;
use crate::liveness;
use codex_agent_shared::codex::home::state_directory;
use codex_agent_shared::error::{Context, Error, Result, warn_of};
use codex_agent_shared::record::Id;
use codex_agent_shared::store::lock::Lock;
use codex_agent_shared::store::private;
use codex_agent_shared::time::Timestamp;

/// The directory of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
    name: String,
}

impl RunDir {
    /// Creates the directory of a new run, and its journal.
    pub fn create(kind: &str, subject: &str) -> Result<(RunDir, Journal)> {
        let runs = state_dir("runs")?;
        let clock: String =
            Timestamp::now().to_string()[..19].chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let middle = name_middle(kind, subject);
        let dir = loop {
            let name = format!("{clock}Z-{middle}-{}", &Id::random().hex()[..4]);
            let path = runs.join(&name);
            match DirBuilder::new().mode(0o700).create(&path) {
                // Another run of this second has the same four digits.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => {
                    made.context("create the directory", &path).map_err(Error::of_place)?;
                    break RunDir { path, name };
                }
            }
        };
        let save = || fs::File::open(&runs).and_then(|runs| runs.sync_all()).context("save", &runs);
        let journal = Journal::create(&dir.journal()).and_then(|journal| save().map(|()| journal));
        // Leftovers are removed by a later prune.
        let journal = journal.inspect_err(|_| drop(fs::remove_dir_all(&dir.path)))?;
        Ok((dir, journal))
    }

    /// All runs, the newest first.
    pub fn all() -> Result<Vec<RunDir>> {
        Ok(RunDir::all_dirs()?.into_iter().filter(|dir| dir.journal().exists()).collect())
    }

    /// All directories of runs, including those that a crash left without a journal.
    fn all_dirs() -> Result<Vec<RunDir>> {
        let runs = runs()?;
        let entries = match fs::read_dir(&runs) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context("open the directory", &runs),
        };
        let mut all: Vec<RunDir> = entries
            .flatten()
            // Files and symbolic links are skipped: they are never read or removed.
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| {
                Some(RunDir { name: entry.file_name().into_string().ok()?, path: entry.path() })
            })
            .filter(|dir| dir.created_at().is_some() && dir.name.get(15..17) == Some("Z-"))
            .collect();
        // Names have seconds; the file system orders runs within a second.
        let made = |dir: &RunDir| fs::metadata(dir.journal()).and_then(|meta| meta.created()).ok();
        all.sort_by_cached_key(|dir| {
            std::cmp::Reverse((dir.name.get(..16).map(str::to_owned), made(dir), dir.name.clone()))
        });
        Ok(all)
    }

    /// The run of exactly this name, if it exists.
    pub fn named(name: &str) -> Result<Option<RunDir>> {
        let path = runs()?.join(name);
        let is_name = Path::new(name).components().count() == 1 && !name.starts_with('.');
        let dir = RunDir { path, name: name.to_owned() };
        if !is_name {
            return Ok(None);
        }
        // An error is not the same as a missing run.
        let journal = dir.journal();
        let is_there = journal.try_exists().context("examine the journal", &journal)?;
        Ok(is_there.then_some(dir))
    }

    /// The run of this name, or the only run whose name contains the text.
    pub fn find(text: &str) -> Result<RunDir> {
        let all = RunDir::all()?;
        if let Some(exact) = all.iter().find(|dir| dir.name == text) {
            return Ok(exact.clone());
        }
        let near: Vec<&RunDir> = all.iter().filter(|dir| dir.name.contains(text)).collect();
        match near[..] {
            [one] if text.len() >= 4 => Ok(one.clone()),
            [_, _, ..] if text.len() >= 4 => {
                let names: Vec<&str> = near.iter().map(|dir| dir.name.as_str()).collect();
                Err(Error::new(format!("ambiguous run: '{text}' is part of {} names of runs", near.len()))
                    .hint(names.join("\n")))
            }
            _ => Err(Error::not_found(format!("there is no run '{text}'"))
                .hint("'codex-agent run list' lists the runs")),
        }
    }

    /// Whether the name may be that of a run of this kind and subject.
    pub fn may_be_run_of(&self, kind: &str, subject: &str) -> bool {
        let rest = self.name.split_once("Z-").map_or("", |(_, rest)| rest);
        rest.rsplit_once('-').is_some_and(|(own, _)| own == name_middle(kind, subject))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the run.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shortest end of the name by which [`RunDir::find`] finds the run: `3f2a`, or with the parts before these digits.
    pub fn short_name(&self) -> &str {
        self.short_name_among(&RunDir::all().unwrap_or_default())
    }

    /// As [`RunDir::short_name`], for many runs: `all` are all runs.
    pub fn short_name_among(&self, all: &[RunDir]) -> &str {
        let is_unique = |end: &&str| !all.iter().any(|other| other != self && other.name.contains(end));
        // The time of a later run may have the same four figures.
        let has_letter = |end: &&str| end.bytes().any(|byte| byte.is_ascii_lowercase());
        let ends = self.name.rmatch_indices('-').map(|(at, _)| &self.name[at + 1..]);
        ends.filter(|end| end.len() >= 4).filter(has_letter).find(is_unique).unwrap_or(&self.name)
    }

    /// Its journal.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.ndjson")
    }

    /// The time since the last write to the journal, or to the directory.
    pub fn age(&self, now: Timestamp) -> Duration {
        let changed = fs::metadata(self.journal()).or_else(|_| fs::metadata(&self.path));
        let changed = changed.and_then(|meta| meta.modified()).ok();
        let changed = changed.and_then(Timestamp::from_system).unwrap_or(now);
        Duration::from_millis(u64::try_from(now.0 - changed.0).unwrap_or(0))
    }

    /// Whether the run has a runner.
    pub fn is_running(&self) -> bool {
        liveness::may_be_locked(&self.journal())
    }

    /// The number of jobs whose Codex is running, by the locks on their outputs.
    pub fn count_running_jobs(&self) -> usize {
        let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
        let outs = entries(&self.path.join("jobs")).flat_map(|job| entries(&job.path()));
        let is_out = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "out");
        outs.map(|entry| entry.path()).filter(|path| is_out(path) && liveness::may_be_locked(path)).count()
    }

    /// The directory of a job, created if missing.
    pub fn make_job(&self, number: usize) -> Result<PathBuf> {
        let path = self.job(number);
        private::create_dir(&path)?;
        Ok(path)
    }

    /// The directory of a job.
    pub fn job(&self, number: usize) -> PathBuf {
        self.path.join("jobs").join(number.to_string())
    }

    /// A file of an attempt: `prompt`, `out` or `err`.
    pub fn file(&self, number: usize, attempt: u32, what: &str) -> PathBuf {
        self.job(number).join(format!("{attempt}.{what}"))
    }

    /// Removes the directory with its contents, the journal last. The run must have no runner.
    pub fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(self.path.join("jobs")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context("remove", &self.path);
            }
            _ => {}
        }
        fs::remove_dir_all(&self.path).context("remove", &self.path)
    }

    /// The time of creation, by the name.
    pub fn created_at(&self) -> Option<Timestamp> {
        let parts: Option<Vec<&str>> = [0..4, 4..6, 6..8, 9..11, 11..13, 13..15]
            .into_iter()
            .map(|digits| self.name.get(digits))
            .collect();
        let [year, month, day, hour, minute, second] = parts?[..] else { return None };
        let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
        Timestamp::parse(&text)
    }

    /// Removes directories that crashes left without a journal at least an hour ago.
    pub fn sweep(now: Timestamp) -> Result<()> {
        for dir in RunDir::all_dirs()? {
            if !dir.journal().exists() && dir.age(now) > Duration::from_secs(3600) {
                // Leftovers do no harm.
                dir.remove().unwrap_or_else(|error| warn_of(&error));
            }
        }
        Ok(())
    }
}

/// The subject in the name of a directory.
fn name_middle(kind: &str, subject: &str) -> String {
    let subject: String = subject
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(24)
        .collect();
    let middle = [kind, subject.trim_matches('-')].join("-");
    middle.trim_end_matches('-').to_owned()
}

/// Waits for the lock over "list the runs, then create one".
pub fn lock_planning() -> Result<Lock> {
    Lock::wait(&state_dir("locks")?.join("planning"))
}

/// The directory of all runs.
fn runs() -> Result<PathBuf> {
    Ok(state_directory()?.join("runs"))
}

/// A directory in the state directory, created if missing.
pub(crate) fn state_dir(name: &str) -> Result<PathBuf> {
    let state = state_directory()?;
    private::create_dir(&state)?;
    let path = state.join(name);
    private::create_dir(&path)?;
    Ok(path)
}
