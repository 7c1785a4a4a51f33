//! Archiving, unarchiving and deleting sessions, by Codex's app-server.
//!
//! The commands `codex archive`, `unarchive` (from 0.136) and `delete` (from 0.140) take half a second each and hide the
//! reason of a refusal; the app-server needs one start, then 3 to 150 ms a session, and reports the reason (0.171).
//! Codex archives, unarchives and deletes the subagents of a session with it, and refuses a session that a process has
//! open (from 0.147). It refuses to delete a session whose `paginated` forks exist, and keeps the worktree of a session.
//!
//! **Crash.** Codex moves or removes the rollouts of a session before it answers. A crash leaves the sessions without an
//! answer as they were, or changed; both are valid states, and the same command may be given again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::codex::server::{Failure, Server};
use codex_agent_shared::choice::Choice;
use codex_agent_shared::codex::holder::Holders;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::rollout::Name;
use codex_agent_shared::codex::version::is_before;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::record::{Id, Session};
use codex_agent_shared::time::Timestamp;

/// What is done with sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Action {
    #[default]
    Archive,
    Unarchive,
    Delete,
}

impl Choice for Action {
    const ALL: &'static [(Action, &'static str, &'static str)] = &[
        (Action::Archive, "archive", "move the session to the archive"),
        (Action::Unarchive, "unarchive", "move the session out of the archive"),
        (Action::Delete, "delete", "delete the session"),
    ];
}

impl Action {
    /// The participle, as in "2 sessions archived".
    pub fn done(self) -> &'static str {
        match self {
            Action::Archive => "archived",
            Action::Unarchive => "unarchived",
            Action::Delete => "deleted",
        }
    }

    /// Whether the session is in the state already.
    pub fn is_done(self, session: &Session<'_>) -> bool {
        match self {
            Action::Archive => session.archived_at.is_some(),
            Action::Unarchive => session.archived_at.is_none(),
            Action::Delete => false,
        }
    }

    /// The method of the app-server, and the first version that has it.
    fn method(self) -> (&'static str, &'static str) {
        match self {
            Action::Archive => ("thread/archive", "0.77"),
            Action::Unarchive => ("thread/unarchive", "0.92"),
            Action::Delete => ("thread/delete", "0.140"),
        }
    }
}

/// A session that Codex did not archive, unarchive or delete.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefusedRecord<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The id of the session.
    session: Id,
    /// The request: "archive", "unarchive" or "delete".
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["archive", "unarchive", "delete"])))]
    action: &'r str,
    /// The reason, by Codex's words if Codex gave one.
    message: &'r str,
    /// The time of the refusal.
    at: Timestamp,
}

impl<'r> RefusedRecord<'r> {
    /// The record of a refusal of now.
    pub fn new(session: Id, action: Action, message: &'r str) -> RefusedRecord<'r> {
        let action = action.word();
        RefusedRecord { kind: "session.refused", session, action, message, at: Timestamp::now() }
    }
}

/// A refusal of one session.
#[derive(Debug)]
pub struct Refused {
    /// The reason.
    pub message: String,
    /// The hints.
    pub hint: Option<String>,
    /// Whether forks of the session exist, so that it can be deleted after them.
    pub has_forks: bool,
}

impl Refused {
    fn new(message: impl Into<String>) -> Refused {
        Refused { message: message.into(), hint: None, has_forks: false }
    }
}

/// Archives, unarchives and deletes sessions of a home by one app-server.
pub struct Archiver<'c> {
    server: Server,
    home: &'c Home,
    version: &'c str,
    holders: Holders,
}

impl<'c> Archiver<'c> {
    /// Starts the app-server of a Codex of this version.
    pub fn start(codex: &Path, version: &'c str, home: &'c Home) -> Result<Archiver<'c>> {
        // The directory of the server does not matter, and the sessions' directories may not exist.
        let server = Server::start(codex, home, home.path())?;
        Ok(Archiver { server, home, version, holders: Holders::default() })
    }

    /// Archives, unarchives or deletes a session, and returns its new rollout, if it has one. An error means that no
    /// other session can be changed either.
    pub fn apply(
        &mut self,
        action: Action,
        session: &Session<'_>,
    ) -> Result<std::result::Result<Option<PathBuf>, Refused>> {
        let Some(id) = session.id else { return Ok(Err(Refused::new("the session has no id"))) };
        let rollout = session.rollout_path.as_deref().map(Path::new);
        // Versions without a lock would move the rollout of a session away from the process that writes it.
        if is_before(self.version, (0, 147))
            && rollout.is_some_and(|rollout| self.holders.holds(self.home.path(), id, rollout) == Some(true))
        {
            let refused = Refused::new("a process has the session open");
            return Ok(Err(self.with_holder(refused, id, rollout)));
        }
        let (method, first) = action.method();
        let answer = match self.server.call(method, &json!({"threadId": id})) {
            Ok(answer) => answer,
            Err(Failure { refusal: Some(message), is_unknown: false, .. }) => {
                let is_open = message.contains("active writer");
                let has_forks = message.contains("forked history");
                let refused = Refused { has_forks, ..Refused::new(message) };
                return Ok(Err(match (is_open, has_forks) {
                    (true, _) => self.with_holder(refused, id, rollout),
                    (_, true) => {
                        let hint = format!("'codex-agent ls --forks-of {id}' lists the forks of the session");
                        Refused { hint: Some(hint), ..refused }
                    }
                    _ => refused,
                }));
            }
            Err(failure) => {
                let ability = format!("{} sessions", action.word());
                return Err(failure.explain(self.version, &ability, first));
            }
        };
        let Some(rollout) = rollout else { return Ok(Ok(None)) };
        let target = match action {
            Action::Archive => self.archived(rollout),
            Action::Unarchive => {
                answer["thread"]["path"].as_str().map(PathBuf::from).or_else(|| self.unarchived(rollout))
            }
            Action::Delete => None,
        };
        let is_done = || target.as_deref().map_or_else(|| !rollout.exists(), Path::exists);
        // 0.106 answers before it writes.
        for _ in 0..250 {
            if is_done() {
                return Ok(Ok(target));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let version = self.version;
        let what = action.word();
        Ok(Err(Refused::new(format!("Codex {version} accepted to {what} the session without doing it"))))
    }

    /// Ends the server.
    pub fn close(self) {
        self.server.close();
    }

    fn archived(&self, rollout: &Path) -> Option<PathBuf> {
        Some(self.home.path().join("archived_sessions").join(rollout.file_name()?))
    }

    fn unarchived(&self, rollout: &Path) -> Option<PathBuf> {
        let name = rollout.file_name()?;
        let day = Name::parse(name.to_str()?)?.stamp.get(..10)?.replace('-', "/");
        Some(self.home.path().join("sessions").join(day).join(name))
    }

    /// The refusal with the process that has the session open.
    fn with_holder(&mut self, refused: Refused, id: Id, rollout: Option<&Path>) -> Refused {
        let holder = rollout.and_then(|rollout| self.holders.holder(self.home.path(), id, rollout));
        let command = holder.as_ref().and_then(|holder| holder.command.clone()).unwrap_or_default();
        let mut hint = holder.map_or_else(String::new, |holder| format!("process {}: {command}", holder.pid));
        // The background process of the TUI.
        if hint.is_empty() || command.contains("app-server") {
            let tui = "after the end of the Codex TUI a session stays open for about a minute";
            hint = [hint.as_str(), tui].join("\n").trim_start().to_owned();
        }
        Refused { hint: Some(hint), ..refused }
    }
}

/// The error of a refusal.
pub fn refusal_error(action: Action, session: &Session<'_>, refused: &Refused) -> Error {
    let id = session.id.map(|id| id.to_string()).unwrap_or_default();
    let error = Error::new(format!("cannot {} session '{id}': {}", action.word(), refused.message));
    match &refused.hint {
        Some(hint) => error.hint(hint.clone()),
        None => error,
    }
}
