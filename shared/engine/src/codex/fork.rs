//! Forks of a session: of all its turns, or of those before a message.
//!
//! The command `codex exec fork` keeps all turns (0.45 to 0.171); the app-server can keep fewer. From 0.145 on
//! `thread/fork` has the parameter `beforeTurnId`. Older versions (0.87 to 0.144) ignore it and fork all turns;
//! `thread/rollback` then removes the last turns. The number of turns in the answer shows which of the two happened; the
//! version does not. A fork with other turns than the wanted ones is deleted, or archived by a Codex that cannot delete
//! (up to 0.139), and the error reports that. The rollout of the fork must not have a removed turn, even if the answer
//! has none.
//!
//! A fork ends before the beginning of a turn. If a turn has several user messages (queued messages, from 0.149 on),
//! the fork has all or none of them.
//!
//! **Crash.** A crash between the fork and its first report leaves a fork without turns of its own, which is harmless.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::codex::server::Server;
use crate::codex::worktree::{check_repository, check_version};
use codex_agent_shared::codex::files::Files;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::names::Names;
use codex_agent_shared::codex::rollout::turn_ids;
use codex_agent_shared::codex::version::is_before;
use codex_agent_shared::error::{Error, Result, reason};
use codex_agent_shared::record::{Id, Session};

/// The end of a fork in the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// At the end of the session: the fork has all turns.
    Whole,
    /// Before the Nth user message: with 1 the fork has no turn, with -1 all but the last.
    Message(i64),
    /// Before the turn of this id.
    Turn(String),
}

/// A turn of a session.
#[derive(Debug)]
struct Turn {
    id: String,
    /// The number of its user messages.
    messages: usize,
}

/// Forks sessions of a home by a Codex, in a directory.
pub struct Forker<'c> {
    codex: &'c Path,
    version: &'c str,
    home: &'c Home,
    directory: &'c Path,
    worktree: bool,
    server: Option<Server>,
}

impl<'c> Forker<'c> {
    /// A forker for a Codex of this version. The server is started when it is needed.
    pub fn new(codex: &'c Path, version: &'c str, home: &'c Home, directory: &'c Path) -> Self {
        Forker { codex, version, home, directory, worktree: false, server: None }
    }

    /// Begins each fork in a new worktree. Only `codex exec fork` does so, which forks all turns.
    pub fn in_worktree(self) -> Result<Self> {
        check_version(self.version)?;
        check_repository(self.directory)?;
        Ok(Forker { worktree: true, ..self })
    }

    /// Creates a fork and returns its id.
    pub fn fork(&mut self, parent: Id, cut: &Cut) -> Result<Id> {
        if *cut == Cut::Whole && !is_before(self.version, (0, 148)) {
            return self.fork_by_command(parent);
        }
        if self.worktree {
            return Err(Error::new("Codex creates no worktree for a fork before a message"));
        }
        let turns = self.list_turns(parent)?;
        let keep = count_kept(&turns, cut)?;
        let mut params = json!({"threadId": parent, "cwd": self.directory, "threadSource": "user"});
        if let Some(turn) = turns.get(keep) {
            params["beforeTurnId"] = json!(turn.id);
        }
        let version = self.version;
        let answer = self.server()?.call("thread/fork", &params);
        let answer = answer.map_err(|failure| failure.explain(version, "fork a session", "0.87"))?;
        let fork = answer["thread"]["id"].as_str().and_then(Id::parse).ok_or_else(|| {
            Error::new(format!("Codex {version} forked session '{parent}' without reporting the fork"))
        })?;
        let cut = match answer["thread"]["turns"].as_array().map(Vec::len) {
            Some(has) if has == keep => check_removed(self.home, fork, turns.get(keep..).unwrap_or_default()),
            Some(has) if has > keep => self.roll_back(fork, has - keep, keep),
            _ => Err(Error::new(format!("the fork of session '{parent}' lacks the first {keep} turns"))),
        };
        cut.map(|()| fork).map_err(|error| self.remove(fork, &error))
    }

    /// Names a session.
    pub fn name(&mut self, session: Id, name: &str) -> Result<()> {
        let version = self.version.to_owned();
        let home = self.home;
        set_name(self.server()?, home, &version, session, name)
    }

    /// Ends the server, which unlocks the sessions that it has loaded.
    pub fn close(&mut self) {
        if let Some(server) = self.server.take() {
            server.close();
        }
    }

    fn server(&mut self) -> Result<&mut Server> {
        if self.server.is_none() {
            self.server = Some(Server::start(self.codex, self.home, self.directory)?);
        }
        self.server.as_mut().ok_or_else(|| Error::new("Codex's app-server is not running"))
    }

    /// Forks by `codex exec fork` (from 0.148 on), so that the fork has the same source as a session of `codex exec`.
    fn fork_by_command(&mut self, parent: Id) -> Result<Id> {
        #[derive(Deserialize)]
        struct Started {
            thread_id: Option<Id>,
        }
        let output = Command::new(self.codex)
            .args(["exec", "--json", "--skip-git-repo-check"])
            .args(self.worktree.then_some("--worktree"))
            .arg("fork")
            .arg(parent.to_string())
            .current_dir(self.directory)
            .env("CODEX_HOME", self.home.path())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| {
                Error::new(format!("cannot run '{}': {}", self.codex.display(), reason(&error)))
            })?;
        let out = String::from_utf8_lossy(&output.stdout);
        let mut started = out.lines().filter(|line| line.contains("\"thread.started\""));
        let id = started.find_map(|line| serde_json::from_str::<Started>(line).ok()?.thread_id);
        id.filter(|id| output.status.success() && *id != parent).ok_or_else(|| {
            let text = String::from_utf8_lossy(&output.stderr);
            let why = text.trim_end().lines().next_back().unwrap_or("no reason was given");
            Error::new(format!("Codex {} could not fork session '{parent}': {}", self.version, why.trim()))
        })
    }

    fn list_turns(&mut self, session: Id) -> Result<Vec<Turn>> {
        let mut turns = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let params = json!({
                "threadId": session, "sortDirection": "asc", "limit": 100, "itemsView": "summary", "cursor": cursor,
            });
            let answer = match self.server()?.call("thread/turns/list", &params) {
                Ok(answer) => answer,
                // Up to 0.120 all turns come in one answer.
                Err(failure) if failure.is_unknown => {
                    let version = self.version;
                    let params = json!({"threadId": session, "includeTurns": true});
                    let answer = self
                        .server()?
                        .call("thread/read", &params)
                        .map_err(|failure| failure.explain(version, "list the turns of a session", "0.89"))?;
                    return Ok(parse_turns(&answer["thread"]["turns"]).collect());
                }
                Err(failure) => return Err(failure.error),
            };
            turns.extend(parse_turns(&answer["data"]));
            cursor = answer["nextCursor"].clone();
            if cursor.is_null() {
                return Ok(turns);
            }
        }
    }

    fn roll_back(&mut self, fork: Id, off: usize, keep: usize) -> Result<()> {
        let version = self.version;
        let params = json!({"threadId": fork, "numTurns": off});
        let answer = self
            .server()?
            .call("thread/rollback", &params)
            .map_err(|failure| failure.explain(version, "fork a session before a message", "0.87"))?;
        match answer["thread"]["turns"].as_array().map(Vec::len) {
            Some(has) if has == keep => Ok(()),
            Some(has) => Err(Error::new(format!("the new session has {has} turns instead of {keep}"))),
            None => Err(Error::new(format!("the new session has an unknown number of turns, not {keep}"))),
        }
    }

    /// Removes a fork that failed, and adds the result to the error.
    fn remove(&mut self, fork: Id, error: &Error) -> Error {
        let params = json!({"threadId": fork});
        let is_removed = self.server().is_ok_and(|server| {
            server.call("thread/delete", &params).is_ok() || server.call("thread/archive", &params).is_ok()
        });
        let result = if is_removed { "was removed" } else { "could not be removed" };
        Error::new(format!("{error}; the fork '{fork}' {result}"))
    }
}

/// Refuses to fork a session whose rollout is outside the home, as Codex does, although it resumes such a session
/// (0.169, 0.171). [`check_resumable`](codex_agent_shared::codex::refusal::check_resumable) checks the sessions that it was forked from.
pub fn check_is_in_home(home: &Home, session: &Session<'_>) -> Result<()> {
    let Some((id, path)) = session.id.zip(session.rollout_path.as_deref().map(Path::new)) else {
        return Ok(());
    };
    match std::fs::canonicalize(path) {
        Ok(real) if !home.holds(path) => {
            let (real, home) = (real.display(), home.path().display());
            Err(Error::new(format!(
                "Codex will not fork session '{id}': its rollout is outside of Codex's home, at '{real}'"
            ))
            .hint(format!(
                "Codex follows no link below sessions/; to fork the session, move the rollout into '{home}'"
            )))
        }
        _ => Ok(()),
    }
}

/// Checks that the rollout of a fork has no removed turn. Some versions of Codex list only the other turns, but send
/// the removed turns to the model as well (openai/codex 21025).
fn check_removed(home: &Home, fork: Id, removed: &[Turn]) -> Result<()> {
    if removed.is_empty() {
        return Ok(());
    }
    let held = Files::walk(home.path()).live(fork, None).map(|file| turn_ids(&file.path));
    let held = held.and_then(std::io::Result::ok).unwrap_or_default();
    match removed.iter().find(|turn| held.contains(&turn.id)) {
        Some(turn) => Err(Error::new(format!("the fork still contains the removed turn '{}'", turn.id))),
        None => Ok(()),
    }
}

/// Checks the name of a session: it must not be read as another kind of reference.
pub fn check_name(name: &str) -> Result<&str> {
    let name = name.trim();
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Error::usage("the name of a session may not be empty or contain control characters"));
    }
    let digits = name.replace('-', "");
    let is_whole_id = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_other = is_whole_id
        || ["@", "-", "id:", "name:"].iter().any(|start| name.starts_with(start))
        || [".jsonl", ".jsonl.zst"].iter().any(|end| name.ends_with(end));
    if is_other {
        return Err(Error::usage(format!(
            "a session cannot be named '{name}': the name would be read as another kind of reference"
        ))
        .hint(
            "full ids, paths of rollouts, and words that begin with @, -, id: or name: are references of another kind",
        ));
    }
    Ok(name)
}

/// Names a session by a server, and waits until the name is on disk: 0.106 answers before it writes, and writes nothing
/// after its input was closed. Up to 0.106 only a loaded session can be named.
pub fn set_name(server: &mut Server, home: &Home, version: &str, session: Id, name: &str) -> Result<()> {
    let params = json!({"threadId": session, "name": name});
    let mut answer = server.call("thread/name/set", &params);
    if matches!(&answer, Err(failure) if !failure.is_unknown && failure.error.message().contains("not found"))
    {
        server.call("thread/resume", &json!({"threadId": session}))?;
        answer = server.call("thread/name/set", &params);
    }
    answer.map_err(|failure| failure.explain(version, "name sessions", "0.94"))?;
    for _ in 0..250 {
        if Names::read(home.path()).name_of(session).as_deref() == Some(name) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(Error::new(format!(
        "Codex {version} accepted the name '{name}' for session '{session}', but did not save the name"
    )))
}

/// The turns of an answer.
fn parse_turns(turns: &Value) -> impl Iterator<Item = Turn> {
    turns.as_array().into_iter().flatten().filter_map(|turn| {
        let items = turn["items"].as_array().into_iter().flatten();
        let messages = items.filter(|item| item["type"] == "userMessage").count();
        Some(Turn { id: turn["id"].as_str()?.to_owned(), messages })
    })
}

/// The number of turns that a fork has.
fn count_kept(turns: &[Turn], cut: &Cut) -> Result<usize> {
    match cut {
        Cut::Whole => Ok(turns.len()),
        Cut::Turn(id) => turns.iter().position(|turn| turn.id == *id).ok_or_else(|| {
            Error::not_found(format!("the session has no turn '{id}'; the session has {} turns", turns.len()))
        }),
        Cut::Message(nth) => {
            let count: usize = turns.iter().map(|turn| turn.messages).sum();
            let wanted = if *nth < 0 { count as i64 + nth } else { nth - 1 };
            let mut before = 0;
            for (at, turn) in turns.iter().enumerate() {
                before += turn.messages as i64;
                if wanted >= 0 && wanted < before {
                    return Ok(at);
                }
            }
            let messages = if count == 1 { "message" } else { "messages" };
            Err(Error::not_found(format!("there is no message {nth}: the session has {count} {messages}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // The test creates the home.
    fn a_removed_turn_in_a_fork_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::find(Some(folder.path())).unwrap();
        let fork = Id::parse("01a2224d-33b7-78a2-86df-f3b02c66dd59").unwrap();
        let day = folder.path().join("sessions/2026/11/28");
        std::fs::create_dir_all(&day).unwrap();
        let turn = |id: &str| Turn { id: id.to_owned(), messages: 1 };
        let started = |id: &str| {
            format!(
                "{{\"type\":\"event_msg\",\"payload\":{{\"type\":\"task_started\",\"turn_id\":\"{id}\"}}}}\n"
            )
        };
        let write = |text: String| {
            std::fs::write(day.join(format!("rollout-2026-11-28T13-16-54-{fork}.jsonl")), text).unwrap();
        };
        let removed = [turn("b"), turn("c")];
        write(started("a"));
        assert!(check_removed(&home, fork, &removed).is_ok());
        write(started("a") + &started("b"));
        assert!(check_removed(&home, fork, &removed).unwrap_err().message().contains("the removed turn"));
        let back = "{\"type\":\"event_msg\",\"payload\":{\"type\":\"thread_rolled_back\",\"num_turns\":1}}\n";
        write(started("a") + &started("b") + back);
        assert!(check_removed(&home, fork, &removed).is_ok());
    }

    #[test]
    fn kept_turns_are_counted() {
        let turn = |id: &str, messages| Turn { id: id.to_owned(), messages };
        let turns = [turn("a", 1), turn("b", 2), turn("c", 0), turn("d", 1)];
        for (nth, keep) in [(1, 0), (2, 1), (3, 1), (4, 3), (-1, 3), (-2, 1), (-4, 0)] {
            assert_eq!(count_kept(&turns, &Cut::Message(nth)).unwrap(), keep, "{nth}");
        }
        for nth in [0, 5, -5] {
            let error = count_kept(&turns, &Cut::Message(nth)).unwrap_err();
            assert!(error.message().contains("has 4 messages"), "{error}");
        }
        assert_eq!(count_kept(&turns, &Cut::Whole).unwrap(), 4);
        assert_eq!(count_kept(&turns, &Cut::Turn("c".into())).unwrap(), 2);
        assert!(count_kept(&turns, &Cut::Turn("x".into())).is_err());
    }
}
