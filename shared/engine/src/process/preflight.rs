//! Checks before a job is started, so that a start that cannot succeed sends nothing.
//!
//! A session to resume must exist, not be archived, have a format that this Codex does not spoil, be undamaged
//! and free; its last directory and sandbox are read. For every job the directory, the images and Codex's home
//! must exist, and the version of Codex in that directory is queried. The state can change before Codex starts;
//! then Codex's own refusal counts.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::codex::fork::check_is_in_home;
use crate::codex::version::Versions;
use crate::codex::worktree::{check_repository, check_version, is_in_worktree};
use crate::process::command;
use crate::process::session_lock::SessionLock;
use crate::record::event::Usage;
use crate::record::failure::{Class, Failure};
use crate::record::job::{Job, Kind, Sandbox};
use codex_agent_shared::choice::Choice;
use codex_agent_shared::codex::files::Files;
use codex_agent_shared::codex::holder::{Holder, Holders};
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::index::{Index, Sources};
use codex_agent_shared::codex::last_directory;
use codex_agent_shared::codex::refusal::check_resumable;
use codex_agent_shared::codex::rollout::{self, Ending};
use codex_agent_shared::codex::version::{check_writer_version, is_before};
use codex_agent_shared::config;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::record::{Id, Session};
use codex_agent_shared::time::Timestamp;

/// How long an index is reused.
const FRESH: Duration = Duration::from_secs(2);

/// The inputs of a start, in addition to the job.
#[derive(Debug, Default)]
pub struct Ready {
    /// The working directory of Codex.
    pub cwd: PathBuf,
    /// The sandbox mode.
    pub sandbox: Option<Sandbox>,
    /// The tokens of the session so far.
    pub usage_before: Option<Usage>,
    /// The session's name.
    pub name: Option<String>,
    /// The lock of the session during its handover.
    pub lock: Option<SessionLock>,
    /// A warning to print before the start.
    pub warning: Option<String>,
    /// The version of Codex in that directory; `None` if unknown.
    pub version: Option<String>,
    /// The length of the session's rollout, if the new lines are appended to it.
    pub before: Option<u64>,
}

/// The reason why a job is not started. Nothing was sent.
#[derive(Debug)]
pub enum Unready {
    /// Its session is in use.
    Busy(String),
    /// The job cannot be run.
    Failed(Failure),
    /// A check of codex-agent failed.
    Error(Error),
}

impl From<Error> for Unready {
    fn from(error: Error) -> Unready {
        Unready::Error(error)
    }
}

/// The result of a check.
type Checked<T> = std::result::Result<T, Unready>;

fn fail<T>(class: Class, message: String) -> Checked<T> {
    Err(Unready::Failed(Failure::hinted(class, message)))
}

/// Checks jobs, with one index for all jobs at about the same time.
#[derive(Default)]
pub struct Checker {
    index: Option<(Option<PathBuf>, Instant, Index)>,
    codex: PathBuf,
    versions: Versions,
}

impl Checker {
    /// A checker for jobs that this Codex will run.
    pub fn new(codex: &Path, versions: Versions) -> Checker {
        Checker { codex: codex.to_owned(), versions, ..Checker::default() }
    }

    fn index(&mut self, home: Option<&Path>) -> Result<&mut Index> {
        let fits =
            |(of, at, _): &(Option<PathBuf>, Instant, Index)| of.as_deref() == home && at.elapsed() < FRESH;
        if !self.index.as_ref().is_some_and(fits) {
            self.index = None;
        }
        let index = match self.index.take() {
            Some(kept) => kept,
            None => {
                let index = Index::open(Home::find(home)?, Sources::default())?;
                (home.map(Path::to_owned), Instant::now(), index)
            }
        };
        Ok(&mut self.index.insert(index).2)
    }

    /// Checks a job. Originals that an earlier attempt copied into `copies` may be missing.
    pub fn check(&mut self, job: &Job, copies: &Path) -> Checked<Ready> {
        for (from, to) in command::copies(job, copies) {
            if !to.exists() && !Path::new(from).is_file() {
                return fail(Class::Refused, format!("there is no file '{from}'"));
            }
        }
        let home = job.codex_home.as_deref().map(Path::new);
        // Codex creates its default home itself; any other home must exist.
        let is_default = |home: &Path| config::home().is_ok_and(|own| own.join(".codex") == home);
        if let Some(home) = home.filter(|home| !home.exists() && !is_default(home)) {
            return fail(Class::Home, format!("Codex's home '{}' does not exist", home.display()));
        }
        let before = Some(0).filter(|_| job.kind() == Kind::New);
        let mut ready = Ready { sandbox: job.options.sandbox, before, ..Ready::default() };
        let found = job.session.map(|id| self.find_session(job, id)).transpose()?;
        // A session in a worktree stays there.
        let stays = job.options.worktree && job.kind() == Kind::Resume;
        let mut cwd = job.cwd.clone().filter(|_| !stays);
        if let Some((session, rollout)) = &found {
            cwd = cwd.or_else(|| last_directory(session)).or_else(|| job.cwd.clone());
            read_last_turn(session, rollout, &mut ready);
        }
        let Some(cwd) = cwd.map(PathBuf::from) else {
            return fail(Class::Cwd, "the working directory of the job is unknown".to_owned());
        };
        if !cwd.is_dir() {
            let is_worktree = Home::find(home).is_ok_and(|home| is_in_worktree(&home, &cwd));
            let why = if is_worktree { "; the worktree of the session was removed" } else { "" };
            return fail(Class::Cwd, format!("there is no directory '{}'{why}", cwd.display()));
        }
        let begins_worktree = job.options.worktree && job.kind() != Kind::Resume;
        if begins_worktree && let Err(error) = check_repository(&cwd) {
            return fail(Class::Refused, error.message().to_owned());
        }
        // An older Codex would damage a paginated session permanently, so the version is queried again.
        let is_paginated =
            found.as_ref().is_some_and(|(session, _)| session.history.as_deref() == Some("paginated"));
        ready.version = self.versions.get(&self.codex, home, &cwd, is_paginated).ok();
        if begins_worktree && let Some(Err(error)) = ready.version.as_deref().map(check_version) {
            return fail(Class::Refused, error.message().to_owned());
        }
        ready.cwd = cwd;
        if let Some(((session, rollout), id)) = found.zip(job.session) {
            lock_session(job, (id, &session, &rollout), &mut ready)?;
        }
        Ok(ready)
    }

    /// The session of a job with its rollout, if the job may use the session.
    fn find_session(&mut self, job: &Job, id: Id) -> Checked<(Session<'static>, PathBuf)> {
        let index = self.index(job.codex_home.as_deref().map(Path::new))?;
        let Some(session) = index.get(id)? else {
            return fail(Class::NotFound, format!("Codex has no session '{id}'"));
        };
        if session.archived_at.is_some() {
            let message =
                format!("session '{id}' is archived; 'codex-agent archive --undo {id}' unarchives it");
            return fail(Class::Archived, message);
        }
        let rollout = session.rollout_path.as_deref().map(PathBuf::from);
        let Some(rollout) = rollout.filter(|path| path.exists()) else {
            return fail(Class::NotFound, format!("the rollout of session '{id}' does not exist"));
        };
        let is_fork = job.kind() == Kind::Fork;
        let outside = if is_fork { check_is_in_home(index.home(), &session) } else { Ok(()) };
        match outside.and_then(|()| check_resumable(&session, is_fork, index.files())) {
            Ok(()) => Ok((session, rollout)),
            Err(error) => fail(Class::Damaged, error.message().to_owned()),
        }
    }

    /// The process that holds a session, if it is visible.
    pub fn holder(&mut self, home: Option<&str>, id: Id) -> Option<Holder> {
        let rollout = self.rollout(home, id)?;
        let home = Home::find(home.map(Path::new)).ok()?;
        Holders::default().holder(home.path(), id, &rollout)
    }

    /// Forgets the known versions.
    pub fn forget_versions(&mut self) {
        self.versions.forget();
    }

    /// Whether a missing rollout proves that a session was not recorded. A home has no `sessions` before its first
    /// session, but other files of Codex: an empty home may be that of a file system that is not mounted.
    pub fn has_readable_rollouts(&self, home: Option<&str>) -> bool {
        let Ok(home) = Home::find(home.map(Path::new)) else { return false };
        match std::fs::read_dir(home.path().join("sessions")) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                std::fs::read_dir(home.path()).is_ok_and(|mut entries| entries.next().is_some())
            }
            sessions => sessions.is_ok(),
        }
    }

    /// The name of a session, if it has one.
    pub fn label(&mut self, home: Option<&str>, id: Id) -> Option<String> {
        let session = self.index(home.map(Path::new)).ok()?.get(id).ok()??;
        Some(session.label().to_owned()).filter(|label| !label.is_empty())
    }

    /// The rollout of a session, if it exists.
    pub fn rollout(&mut self, home: Option<&str>, id: Id) -> Option<PathBuf> {
        if let Some(home) = home {
            let directories = ["sessions", "archived_sessions"].map(|name| Path::new(home).join(name));
            // Most rollouts are in the directory of their id's date, which needs no walk of the home.
            if let [only] = Files::of_day(&directories[0], id).of_session(id) {
                return Some(only.path.clone());
            }
            if !directories.iter().any(|directory| directory.exists()) {
                return None;
            }
        }
        // An older index may not have this session.
        self.index = None;
        let session = self.index(home.map(Path::new)).ok()?.get(id).ok()??;
        session.rollout_path.map(|path| PathBuf::from(path.into_owned())).filter(|path| path.exists())
    }

    /// The ending of the turn that was begun at `since` with this prompt, if the rollout has it; unknown if
    /// another turn followed.
    pub fn ending(&mut self, home: Option<&str>, id: Id, since: Timestamp, prompt: &str) -> Option<Ending> {
        let rollout = self.rollout(home, id)?;
        let tail = rollout::tail(&rollout, true).ok()?;
        let last = rollout::last_message(&rollout).ok()??;
        let is_same = last.at.is_some_and(|at| at >= since) && last.text.trim() == prompt.trim();
        tail.ending.filter(|_| is_same)
    }
}

/// The sandbox that a session is resumed with, unless the job has another.
pub fn last_sandbox(rollout: &Path) -> Sandbox {
    granted(rollout::last_turn(rollout).unwrap_or_default().sandbox.as_deref())
}

/// The sandbox that the mode in a rollout grants. A rollout is untrusted data: it never grants more than the workspace.
fn granted(mode: Option<&str>) -> Sandbox {
    mode.and_then(Sandbox::parse).unwrap_or(Sandbox::ReadOnly).min(Sandbox::WorkspaceWrite)
}

/// Reads the sandbox of the last turn of a session, its tokens and its name.
fn read_last_turn(session: &Session<'_>, rollout: &Path, ready: &mut Ready) {
    let turn = rollout::last_turn(rollout).unwrap_or_default();
    ready.sandbox.get_or_insert(granted(turn.sandbox.as_deref()));
    ready.usage_before = turn.total_usage;
    ready.name = session.name.as_deref().map(str::to_owned);
}

/// Checks that this Codex may resume a session and no other process holds it, and locks it.
fn lock_session(
    job: &Job,
    (id, session, rollout): (Id, &Session<'_>, &Path),
    ready: &mut Ready,
) -> Checked<()> {
    let home = job.codex_home.as_deref().map(Path::new);
    // An unknown version counts as the oldest.
    let version = ready.version.as_deref().unwrap_or("0.0");
    if let Err(error) = check_writer_version(version, session) {
        let unknown = || format!("session '{id}' was refused: a Codex of unknown version may damage it");
        let known = ready.version.as_ref().map(|_| error.message().to_owned());
        return fail(Class::Refused, known.unwrap_or_else(unknown));
    }
    // A fork does not change its parent, which may be in use.
    if job.kind() == Kind::Fork {
        if is_before(version, (0, 148)) {
            let message = format!(
                "Codex {version} cannot fork and run session '{id}' in one step; 0.148 is the first version that can"
            );
            return fail(Class::Refused, message);
        }
        return Ok(());
    }
    if is_before(version, (0, 147)) {
        let home = Home::find(home)?;
        if Holders::default().holds(home.path(), id, rollout) == Some(true) {
            return Err(Unready::Busy(format!("session '{id}' is open in another process")));
        }
    }
    let Some(lock) = SessionLock::acquire(id, None)? else {
        return Err(Unready::Busy(format!("session '{id}' is used by another job")));
    };
    ready.lock = Some(lock);
    ready.warning = find_queued_messages(home, id)?;
    let is_compressed = rollout.extension().is_some_and(|extension| extension == "zst");
    ready.before = rollout.metadata().ok().filter(|_| !is_compressed).map(|meta| meta.len());
    Ok(())
}

/// A warning about messages in Codex's own queue, which Codex adds to the turn on resume.
fn find_queued_messages(home: Option<&Path>, id: Id) -> Result<Option<String>> {
    let home = Home::find(home)?;
    #[cfg(feature = "sqlite")]
    let count = codex_agent_shared::codex::state::count_queued_messages(home.database_folder(), id);
    #[cfg(not(feature = "sqlite"))]
    let (_, count) = (home, 0);
    let messages = if count == 1 { "message" } else { "messages" };
    Ok((count > 0).then(|| {
        format!("Codex's own queue has {count} {messages} for session '{id}', which Codex adds to the turn")
    }))
}
