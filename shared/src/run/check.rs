//! What is looked at before a job is started, so that a start that cannot succeed sends nothing.
//!
//! Of a job that resumes: is the session there, not archived, of a format that this Codex does not
//! spoil, and free; where did it run last, and what was it allowed. Of every job: are its directory and
//! its pictures there. What is found can change before Codex looks itself; then Codex's refusal
//! is the truth.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::binary;
use super::event::Usage;
use super::failure::{Class, Failure};
use super::hold::Hold;
use super::job::{Job, Kind, Sandbox};
use crate::codex::fork::refuse_outside;
use crate::codex::holder::Holders;
use crate::codex::home::Home;
use crate::codex::index::{Index, Sources};
use crate::codex::last_directory;
use crate::codex::refusal::refuse;
use crate::codex::rollout::{self, Ending};
use crate::codex::version::{is_before, refuse_older};
use crate::error::Result;
use crate::record::{Id, Session};
use crate::time::Timestamp;

/// How long an index is good for.
const FRESH: Duration = Duration::from_secs(2);

/// All that a start needs to know beyond the job.
#[derive(Debug)]
pub struct Ready {
    /// Where Codex works.
    pub cwd: PathBuf,
    /// The mode that it is given.
    pub sandbox: Option<Sandbox>,
    /// What the session had used before.
    pub usage_before: Option<Usage>,
    /// The session's name.
    pub name: Option<String>,
    /// The session, while it is handed over.
    pub hold: Option<Hold>,
    /// What people should know before it is started.
    pub warning: Option<String>,
}

/// What a look at a job found.
#[derive(Debug)]
pub enum Checked {
    /// It can be started.
    Ready(Box<Ready>),
    /// Somebody drives its session. Nothing was sent.
    Busy(String),
    /// It cannot be run. Nothing was sent.
    Failed(Failure),
}

/// Looks at jobs, with one index for all that come at about the same time.
#[derive(Default)]
pub struct Checker {
    index: Option<(Option<PathBuf>, Instant, Index)>,
    version: Option<String>,
}

impl Checker {
    /// A checker for jobs that this version of Codex will run.
    pub fn new(version: Option<&str>) -> Checker {
        Checker { index: None, version: version.map(str::to_owned) }
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

    /// Looks at a job. What an earlier attempt copied into `copies` need not be there any more.
    pub fn check(&mut self, job: &Job, copies: &Path) -> Result<Checked> {
        let failed = |class, message: String| Ok(Checked::Failed(Failure::new(class, message)));
        for (from, to) in binary::copies(job, copies) {
            if !to.exists() && !Path::new(from).is_file() {
                return failed(Class::Refused, format!("there is no file '{from}'"));
            }
        }
        let mut ready = Ready {
            cwd: PathBuf::new(),
            sandbox: job.options.sandbox,
            usage_before: None,
            name: None,
            hold: None,
            warning: None,
        };
        let mut cwd = job.cwd.clone();
        if let Some(id) = job.session {
            let home = job.codex_home.as_deref().map(Path::new);
            let Some(session) = self.index(home)?.get(id)? else {
                return failed(Class::NotFound, format!("Codex has no session '{id}'"));
            };
            if session.archived_at.is_some() {
                return failed(
                    Class::Archived,
                    format!("session '{id}' is archived; 'codex unarchive {id}' brings it back"),
                );
            }
            // Of an unknown version the worst is to be thought.
            let version = self.version.clone().unwrap_or_else(|| "0.0".to_owned());
            let version = version.as_str();
            if let Err(error) = refuse_older(version, &session) {
                let message = match &self.version {
                    Some(_) => error.message().to_owned(),
                    None => format!("this Codex does not say its version, and may damage session '{id}'"),
                };
                return failed(Class::Refused, message);
            }
            let is_fork = job.kind() == Kind::Fork;
            if is_fork && is_before(version, (0, 148)) {
                let message = format!(
                    "Codex {version} cannot fork session '{id}' and run it at once; 0.148 is the first that can"
                );
                return failed(Class::Refused, message);
            }
            let rollout = session.rollout_path.as_deref().map(Path::new);
            let Some(rollout) = rollout.filter(|path| path.exists()) else {
                return failed(Class::NotFound, format!("the rollout of session '{id}' is gone"));
            };
            let index = self.index(home)?;
            let outside = if is_fork { refuse_outside(index.home(), &session) } else { Ok(()) };
            if let Err(error) = outside.and_then(|()| refuse(&session, is_fork, index.files())) {
                return failed(Class::Refused, error.message().to_owned());
            }
            // A fork leaves its parent alone, whoever drives that.
            if !is_fork && is_before(version, (0, 147)) {
                let home = Home::find(home)?;
                if Holders::default().holds(home.path(), id, rollout) == Some(true) {
                    return Ok(Checked::Busy(format!("session '{id}' is open in another process")));
                }
            }
            cwd = cwd.or_else(|| last_directory(&session));
            self.look_back(&session, rollout, &mut ready);
            if !is_fork {
                let Some(hold) = Hold::take(id, None)? else {
                    return Ok(Checked::Busy(format!("session '{id}' is driven by another job")));
                };
                ready.hold = Some(hold);
                ready.warning = self.queued(home, id)?;
            }
        }
        let Some(cwd) = cwd else {
            return failed(Class::Cwd, "nothing says in which directory".to_owned());
        };
        if !Path::new(&cwd).is_dir() {
            return failed(Class::Cwd, format!("there is no directory '{cwd}'"));
        }
        ready.cwd = PathBuf::from(cwd);
        Ok(Checked::Ready(Box::new(ready)))
    }

    /// What Codex's own queue holds for a session. Resuming it takes that into the turn.
    fn queued(&self, home: Option<&Path>, id: Id) -> Result<Option<String>> {
        let count = Home::find(home)?.queued(id);
        let more = if count == 1 { "message" } else { "messages" };
        Ok((count > 0).then(|| {
            format!("Codex's own queue holds {count} {more} for session '{id}', and takes them into the turn")
        }))
    }

    /// What a session was allowed in its last turn, and what it has used.
    fn look_back(&self, session: &Session<'_>, rollout: &Path, ready: &mut Ready) {
        let turn = rollout::last_turn(rollout).unwrap_or_default();
        // A rollout is data, and perhaps hostile: it never gives more than the workspace.
        let last = turn.sandbox.as_deref().and_then(Sandbox::parse).unwrap_or(Sandbox::ReadOnly);
        ready.sandbox.get_or_insert(last.min(Sandbox::WorkspaceWrite));
        ready.usage_before = turn.total_usage;
        ready.name = session.name.as_deref().map(str::to_owned);
    }

    /// What a session is called, if anything says so.
    pub fn label(&mut self, home: Option<&str>, id: Id) -> Option<String> {
        let session = self.index(home.map(Path::new)).ok()?.get(id).ok()??;
        Some(session.label().to_owned()).filter(|label| !label.is_empty())
    }

    /// The rollout of a session, if it is there.
    pub fn rollout(&mut self, home: Option<&str>, id: Id) -> Option<PathBuf> {
        let look = |checker: &mut Checker| {
            let session = checker.index(home.map(Path::new)).ok()?.get(id).ok()??;
            session.rollout_path.map(|path| PathBuf::from(path.into_owned())).filter(|path| path.exists())
        };
        look(self).or_else(|| {
            // What an older index knows may have been before this session.
            self.index = None;
            look(self)
        })
    }

    /// How the turn ended that was begun at `since` with this prompt, if the rollout says so. Where
    /// another turn came after it, nobody knows.
    pub fn ending(&mut self, home: Option<&str>, id: Id, since: Timestamp, said: &str) -> Option<Ending> {
        let rollout = self.rollout(home, id)?;
        let tail = rollout::tail(&rollout, true).ok()?;
        let last = rollout::last_message(&rollout).ok()??;
        let is_ours = last.at.is_some_and(|at| at >= since) && last.text.trim() == said.trim();
        tail.ending.filter(|_| is_ours)
    }
}
