//! Checks before a job is started, so that a start that cannot succeed sends nothing.
//!
//! A session to resume must exist, not be archived, have a format that this Codex does not spoil, be undamaged
//! and free; its last directory and sandbox are read. For every job the directory, the images and Codex's home
//! must exist, and the version of Codex in that directory is queried. The state can change before Codex starts;
//! then Codex's own refusal counts.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::codex::fork::refuse_outside;
use crate::codex::version::Versions;
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
use codex_agent_shared::codex::refusal::refuse;
use codex_agent_shared::codex::rollout;
use codex_agent_shared::codex::rollout::Ending;
use codex_agent_shared::codex::version::{is_before, refuse_older};
use codex_agent_shared::config;
use codex_agent_shared::error::Result;
use codex_agent_shared::record::{Id, Session};
use codex_agent_shared::time::Timestamp;

/// How long an index is reused.
const FRESH: Duration = Duration::from_secs(2);

/// The inputs of a start, in addition to the job.
#[derive(Debug)]
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
    pub hold: Option<SessionLock>,
    /// A warning to print before the start.
    pub warning: Option<String>,
    /// The version of Codex in that directory; `None` if unknown.
    pub version: Option<String>,
    /// The length of the session's rollout, if the new lines are appended to it.
    pub before: Option<u64>,
}

/// The result of the checks of a job.
#[derive(Debug)]
pub enum Preflight {
    /// The job can be started.
    Ready(Box<Ready>),
    /// Its session is in use. Nothing was sent.
    Busy(String),
    /// The job cannot be run. Nothing was sent.
    Failed(Failure),
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
    pub fn check(&mut self, job: &Job, copies: &Path) -> Result<Preflight> {
        let failed = |class, message: String| Ok(Preflight::Failed(Failure::hinted(class, message)));
        for (from, to) in command::copies(job, copies) {
            if !to.exists() && !Path::new(from).is_file() {
                return failed(Class::Refused, format!("there is no file '{from}'"));
            }
        }
        let home = job.codex_home.as_deref().map(Path::new);
        // Codex creates its default home itself; any other must exist.
        let is_users = |home: &Path| config::home().is_ok_and(|own| own.join(".codex") == home);
        if let Some(home) = home.filter(|home| !home.exists() && !is_users(home)) {
            return failed(Class::Home, format!("Codex's home '{}' is not there", home.display()));
        }
        let mut ready = Ready {
            cwd: PathBuf::new(),
            sandbox: job.options.sandbox,
            usage_before: None,
            name: None,
            hold: None,
            warning: None,
            version: None,
            before: Some(0).filter(|_| job.kind() == Kind::New),
        };
        let mut cwd = job.cwd.clone();
        let mut found = None;
        if let Some(id) = job.session {
            let Some(session) = self.index(home)?.get(id)? else {
                return failed(Class::NotFound, format!("Codex has no session '{id}'"));
            };
            if session.archived_at.is_some() {
                return failed(
                    Class::Archived,
                    format!("session '{id}' is archived; 'codex unarchive {id}' brings it back"),
                );
            }
            let rollout = session.rollout_path.as_deref().map(PathBuf::from);
            let Some(rollout) = rollout.filter(|path| path.exists()) else {
                return failed(Class::NotFound, format!("the rollout of session '{id}' is gone"));
            };
            let is_fork = job.kind() == Kind::Fork;
            let index = self.index(home)?;
            let outside = if is_fork { refuse_outside(index.home(), &session) } else { Ok(()) };
            if let Err(error) = outside.and_then(|()| refuse(&session, is_fork, index.files())) {
                return failed(Class::Damaged, error.message().to_owned());
            }
            cwd = cwd.or_else(|| last_directory(&session));
            self.look_back(&session, &rollout, &mut ready);
            found = Some((id, session, rollout));
        }
        let Some(cwd) = cwd else {
            return failed(Class::Cwd, "no working directory is known".to_owned());
        };
        if !Path::new(&cwd).is_dir() {
            return failed(Class::Cwd, format!("there is no directory '{cwd}'"));
        }
        ready.cwd = PathBuf::from(cwd);
        // An older Codex would damage a paginated session permanently, so the version is queried again.
        let is_paginated =
            found.as_ref().is_some_and(|(_, session, _)| session.history.as_deref() == Some("paginated"));
        ready.version = self.versions.of(&self.codex, home, &ready.cwd, is_paginated).ok();
        if let Some((id, session, rollout)) = found
            && let Err(checked) = self.check_session(job, (id, &session, &rollout), &mut ready)?
        {
            return Ok(checked);
        }
        Ok(Preflight::Ready(Box::new(ready)))
    }

    /// Checks that this Codex may resume a session and no other process holds it, and locks it.
    fn check_session(
        &mut self,
        job: &Job,
        (id, session, rollout): (Id, &Session<'_>, &Path),
        ready: &mut Ready,
    ) -> Result<std::result::Result<(), Preflight>> {
        let failed = |class, message: String| Ok(Err(Preflight::Failed(Failure::hinted(class, message))));
        let home = job.codex_home.as_deref().map(Path::new);
        // An unknown version counts as the oldest.
        let version = ready.version.as_deref().unwrap_or("0.0");
        if let Err(error) = refuse_older(version, session) {
            let message = match &ready.version {
                Some(_) => error.message().to_owned(),
                None => format!("the version of this Codex is unknown; it may damage session '{id}'"),
            };
            return failed(Class::Refused, message);
        }
        let is_fork = job.kind() == Kind::Fork;
        if is_fork && is_before(version, (0, 148)) {
            let message = format!(
                "Codex {version} cannot fork and run session '{id}' in one step; 0.148 is the first version that can"
            );
            return failed(Class::Refused, message);
        }
        // A fork does not change its parent, which may be in use.
        if is_fork {
            return Ok(Ok(()));
        }
        if is_before(version, (0, 147)) {
            let home = Home::find(home)?;
            if Holders::default().holds(home.path(), id, rollout) == Some(true) {
                return Ok(Err(Preflight::Busy(format!("session '{id}' is open in another process"))));
            }
        }
        let Some(hold) = SessionLock::acquire(id, None)? else {
            return Ok(Err(Preflight::Busy(format!("session '{id}' is driven by another job"))));
        };
        ready.hold = Some(hold);
        ready.warning = self.queued(home, id)?;
        let is_compressed = rollout.extension().is_some_and(|extension| extension == "zst");
        ready.before = rollout.metadata().ok().filter(|_| !is_compressed).map(|meta| meta.len());
        Ok(Ok(()))
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

    /// Whether the rollouts of a home are readable: otherwise a missing rollout proves nothing.
    pub fn sees_rollouts(&self, home: Option<&str>) -> bool {
        let home = Home::find(home.map(Path::new));
        home.is_ok_and(|home| std::fs::read_dir(home.path().join("sessions")).is_ok())
    }

    /// A warning about messages in Codex's own queue, which Codex adds to the turn on resume.
    fn queued(&self, home: Option<&Path>, id: Id) -> Result<Option<String>> {
        #[cfg(feature = "sqlite")]
        let count = codex_agent_shared::codex::state::queued(Home::find(home)?.database_folder(), id);
        #[cfg(not(feature = "sqlite"))]
        let count = {
            Home::find(home)?;
            let _ = id;
            0
        };
        let more = if count == 1 { "message" } else { "messages" };
        Ok((count > 0).then(|| {
            format!("Codex's own queue has {count} {more} for session '{id}', which Codex adds to the turn")
        }))
    }

    /// Reads the sandbox of the last turn of a session and its tokens.
    fn look_back(&self, session: &Session<'_>, rollout: &Path, ready: &mut Ready) {
        let turn = rollout::last_turn(rollout).unwrap_or_default();
        // A rollout is untrusted data: it never grants more than the workspace.
        let last = turn.sandbox.as_deref().and_then(Sandbox::parse).unwrap_or(Sandbox::ReadOnly);
        ready.sandbox.get_or_insert(last.min(Sandbox::WorkspaceWrite));
        ready.usage_before = turn.total_usage;
        ready.name = session.name.as_deref().map(str::to_owned);
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
    pub fn ending(&mut self, home: Option<&str>, id: Id, since: Timestamp, said: &str) -> Option<Ending> {
        let rollout = self.rollout(home, id)?;
        let tail = rollout::tail(&rollout, true).ok()?;
        let last = rollout::last_message(&rollout).ok()??;
        let is_ours = last.at.is_some_and(|at| at >= since) && last.text.trim() == said.trim();
        tail.ending.filter(|_| is_ours)
    }
}
