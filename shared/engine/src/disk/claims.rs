//! Claims: which run owns a job that is known by the name of a run and an id, wherever its record comes from.
//!
//! ```text
//! claims/docs-7-19d9cc55440ad0ee.ndjson   the claims of the jobs of run 'docs-7', one line each
//! {"v":1,"run":"docs-7","job":"12","owner":"20261129T202110Z-once-docs-7-3f2a"}
//! ```
//!
//! **Guarantees.** A job has one owner: the run whose claim is first in the file. Only the owner starts the job, so the
//! lock of its journal decides between two processes that have the same job. A claim is made under the lock of the file,
//! and is on disk before the owner begins. Instead of a job, a claim may name a host and a Codex home, whose worker the
//! owner is.
//!
//! **Crash.** A crash may leave a last line without its newline. Readers skip it, and the next claim replaces it. The
//! owner of a claim may have been removed: what became of its job is unknown then, and the job is never started again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::disk::run_dir::{RunDir, state_dir};
use codex_agent_shared::codex::home::state_directory;
use codex_agent_shared::error::{Context, Error, Result, warn_of};
use codex_agent_shared::store::lock::Lock;
use codex_agent_shared::store::read_capped;
use codex_agent_shared::text::fingerprint;
use codex_agent_shared::time::Timestamp;

/// The version of the file.
const VERSION: u32 = 1;
/// How long the claim of a worker is kept, in milliseconds: another machine may continue its run after a long time.
const WORKERS_KEPT: i64 = 365 * 24 * 3_600_000;
/// The largest file, in bytes: more than a million jobs.
const LARGEST: u64 = 256 << 20;

/// The subject of a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The id of a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// The host of a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// The Codex home of a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    codex_home: Option<String>,
}

impl Subject {
    /// The job of this id.
    pub fn job(id: &str) -> Subject {
        Subject { job: Some(id.to_owned()), ..Subject::default() }
    }

    /// The worker of a host for a Codex home.
    pub fn worker(host: &str, codex_home: &str) -> Subject {
        Subject { host: Some(host.to_owned()), codex_home: Some(codex_home.to_owned()), job: None }
    }
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    v: u32,
    run: String,
    #[serde(flatten)]
    subject: Subject,
    owner: String,
}

/// The claims of the jobs of a run, as they were read.
#[derive(Debug, Default)]
pub struct Claims {
    owners: HashMap<Subject, String>,
}

impl Claims {
    /// Reads the claims of a run. There are none before the first is made.
    pub fn read(run: &str) -> Result<Claims> {
        let path = path_of(run)?;
        let text = read_capped(&path, LARGEST)
            .map_err(|why| Error::new(format!("cannot read '{}': {why}", path.display())))?;
        Claims::parse(run, &path, &text.unwrap_or_default()).map(|(claims, _)| claims)
    }

    /// Parses the complete lines of a file, and returns their length too.
    fn parse(run: &str, path: &Path, text: &[u8]) -> Result<(Claims, usize)> {
        let complete = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut claims = Claims::default();
        for (line, number) in text[..complete].split(|byte| *byte == b'\n').zip(1..) {
            if line.is_empty() {
                continue;
            }
            let damaged = |why: String| {
                Error::new(format!("cannot read '{}': line {number}: {why}", path.display()))
                    .hint("nothing was started; without the claims a prompt could be sent twice")
            };
            let line: Line = serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
            if line.v != VERSION {
                return Err(damaged(format!(
                    "version {} is unknown: another release wrote the file",
                    line.v
                )));
            }
            // Two names of runs may share a file.
            if line.run == run {
                claims.owners.entry(line.subject).or_insert(line.owner);
            }
        }
        Ok((claims, complete))
    }

    /// The run that owns a subject.
    pub fn owner(&self, subject: &Subject) -> Option<&str> {
        self.owners.get(subject).map(String::as_str)
    }
}

/// The claims of a run, locked: no other process makes claims meanwhile.
pub struct LockedClaims {
    lock: Lock,
    run: String,
    claims: Claims,
    length: u64,
}

impl LockedClaims {
    /// Locks and reads the claims of a run.
    pub fn lock(run: &str) -> Result<LockedClaims> {
        let directory = state_dir("claims")?;
        let path = path_of(run)?;
        let is_new = !path.exists();
        let lock = Lock::wait(&path)?;
        lock.check_exclusive()?;
        if is_new {
            File::open(&directory).and_then(|opened| opened.sync_all()).context("save", &directory)?;
        }
        let mut text = Vec::new();
        lock.file().take(LARGEST).read_to_end(&mut text).context("read", &path)?;
        let (claims, complete) = Claims::parse(run, &path, &text)?;
        Ok(LockedClaims { lock, run: run.to_owned(), claims, length: complete as u64 })
    }

    /// The run that owns a subject.
    pub fn owner(&self, subject: &Subject) -> Option<&str> {
        self.claims.owner(subject)
    }

    /// Claims subjects that have no owner. The claims are on disk afterwards.
    pub fn add(&mut self, subjects: &[Subject], owner: &RunDir) -> Result<()> {
        let (run, mut text) = (&self.run, Vec::new());
        for subject in subjects {
            let line = Line {
                v: VERSION,
                run: run.clone(),
                subject: subject.clone(),
                owner: owner.name().to_owned(),
            };
            serde_json::to_writer(&mut text, &line)
                .map_err(|error| Error::new(format!("cannot write the claims of run '{run}': {error}")))?;
            text.push(b'\n');
        }
        let mut file = self.lock.file();
        let written = file
            .set_len(self.length)
            .and_then(|()| file.write_all_at(&text, self.length))
            .and_then(|()| file.flush())
            .and_then(|()| file.sync_data());
        written.context("save", self.lock.path()).map_err(Error::of_place)?;
        self.length += text.len() as u64;
        let owned = subjects.iter().map(|subject| (subject.clone(), owner.name().to_owned()));
        self.claims.owners.extend(owned);
        Ok(())
    }
}

/// The file with the claims of a run, whose name may be any text.
fn path_of(run: &str) -> Result<PathBuf> {
    let readable = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let readable: String = run.chars().take(24).map(readable).collect();
    let name = format!("{}-{}.ndjson", readable.trim_matches('-'), fingerprint(run.as_bytes()));
    Ok(state_directory()?.join("claims").join(name.trim_start_matches('-')))
}

/// Removes files that were last written before this time and whose owners have all been removed.
pub fn sweep(before: Timestamp) -> Result<()> {
    let directory = state_directory()?.join("claims");
    for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let changed = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(Timestamp::from_system);
        if changed.is_none_or(|changed| changed >= before) {
            continue;
        }
        // A file that is damaged or being written stays.
        remove_orphan(&path).unwrap_or_else(|error| warn_of(&error));
    }
    Ok(())
}

fn remove_orphan(path: &Path) -> Result<()> {
    let Some(lock) = Lock::wait_within(path, Duration::ZERO)? else { return Ok(()) };
    let age = Timestamp::now().0
        - lock
            .file()
            .metadata()
            .and_then(|meta| meta.modified())
            .ok()
            .and_then(Timestamp::from_system)
            .map_or(0, |at| at.0);
    let mut text = Vec::new();
    lock.file().take(LARGEST).read_to_end(&mut text).context("read", path)?;
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Ok(Line { owner, v: VERSION, subject, .. }) = serde_json::from_slice(line) else { return Ok(()) };
        if subject.host.is_some() && age < WORKERS_KEPT || RunDir::named(&owner)?.is_some() {
            return Ok(());
        }
    }
    std::fs::remove_file(path).context("remove", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_claim_counts_and_a_torn_one_does_not() {
        let line = |run: &str, job: &str, owner: &str| {
            let (run, owner) = (run.to_owned(), owner.to_owned());
            serde_json::to_string(&Line { v: VERSION, run, subject: Subject::job(job), owner }).unwrap()
        };
        let lines = [line("r", "1", "a"), line("r", "1", "b"), line("other", "2", "c"), line("r", "3", "d")];
        let text = lines.join("\n");
        let (claims, complete) = Claims::parse("r", Path::new("f"), text.as_bytes()).unwrap();
        let owner = |job: &str| claims.owner(&Subject::job(job)).map(str::to_owned);
        assert_eq!([owner("1"), owner("2"), owner("3")], [Some("a".to_owned()), None, None]);
        assert_eq!(complete, text.len() - lines[3].len());
        let worker = Subject::worker("h1", "/home/.codex");
        let text = serde_json::to_string(&worker).unwrap();
        assert_eq!(text, r#"{"host":"h1","codex_home":"/home/.codex"}"#);
        assert_ne!(worker, Subject::worker("h2", "/home/.codex"));
        let later = lines[0].replace("\"v\":1", "\"v\":2") + "\n";
        let error = Claims::parse("r", Path::new("f"), later.as_bytes()).unwrap_err();
        assert!(error.message().contains("line 1: version 2 is unknown"), "{error}");
    }
}
