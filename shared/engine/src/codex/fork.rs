//! Branching a session: whole, or keeping what came before one of its messages.
//!
//! No command of Codex keeps less than all (0.45 to 0.171); the app-server does. From 0.145 `thread/fork`
//! takes `beforeTurnId`; before that (0.87 to 0.144) the parameter is ignored and the whole session is
//! forked, and `thread/rollback` then takes the turns off the end. Which of the two happened is told
//! by counting the turns of the answer, never by the version. A fork that cannot be cut right is
//! deleted again, or archived where Codex cannot delete (up to 0.139), and the error says so. The fork's
//! rollout must not hold a turn that was cut off, whatever the answer shows.
//!
//! The cut is always at the beginning of a turn; a turn that holds several user messages (0.149 on:
//! queued ones) goes as a whole.
//!
//! **Crash.** Between the fork and the first word about it lies a fork without turns of its own,
//! which is harmless.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::codex::server::{Failure, Server};
use codex_agent_shared::codex::files::Files;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::names::Names;
use codex_agent_shared::codex::rollout::turn_ids;
use codex_agent_shared::codex::version::is_before;
use codex_agent_shared::error::{Error, Result, reason};
use codex_agent_shared::record::{Id, Session};

/// Where a session is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nowhere: all of it is kept.
    Whole,
    /// Before the Nth user message: 1 keeps nothing, -1 all but the last.
    Message(i64),
    /// Before the turn of this id.
    Turn(String),
}

/// A turn of a session: its id and how many user messages it has.
#[derive(Debug)]
struct Turn {
    id: String,
    messages: usize,
}

/// Forks sessions of one home with one Codex, in one directory.
pub struct Forker<'c> {
    codex: &'c Path,
    version: &'c str,
    home: &'c Home,
    directory: &'c Path,
    server: Option<Server>,
}

impl<'c> Forker<'c> {
    /// `version` is what this Codex says of itself. The server is started when it is needed.
    pub fn new(codex: &'c Path, version: &'c str, home: &'c Home, directory: &'c Path) -> Self {
        Forker { codex, version, home, directory, server: None }
    }

    /// Makes one fork and gives its id.
    pub fn fork(&mut self, parent: Id, cut: &Cut) -> Result<Id> {
        if *cut == Cut::Whole && !is_before(self.version, (0, 148)) {
            return self.fork_by_command(parent);
        }
        let turns = self.turns(parent)?;
        let keep = place(&turns, cut)?;
        let mut params = json!({"threadId": parent, "cwd": self.directory, "threadSource": "user"});
        if let Some(turn) = turns.get(keep) {
            params["beforeTurnId"] = json!(turn.id);
        }
        let version = self.version;
        let answer = self.server()?.call("thread/fork", &params).map_err(|failure| match failure {
            Failure::Unknown(_) => {
                Error::new(format!("Codex {version} cannot fork")).hint("0.87 is the first version that can")
            }
            Failure::Refused(error) => error,
        })?;
        let fork = answer["thread"]["id"].as_str().and_then(Id::parse).ok_or_else(|| {
            Error::new(format!("Codex {version} forked '{parent}' without reporting the new session"))
        })?;
        let cut = match answer["thread"]["turns"].as_array().map(Vec::len) {
            Some(has) if has == keep => holds_none(self.home, fork, turns.get(keep..).unwrap_or_default()),
            Some(has) if has > keep => self.roll_back(fork, has - keep, keep),
            _ => Err(Error::new(format!("the fork of '{parent}' does not have the {keep} turns to be kept"))),
        };
        cut.map(|()| fork).map_err(|error| self.take_back(fork, &error))
    }

    /// Names a session, as Codex's own picker shows it.
    pub fn name(&mut self, session: Id, name: &str) -> Result<()> {
        let version = self.version.to_owned();
        let home = self.home;
        set_name(self.server()?, home, &version, session, name)
    }

    /// Frees the sessions that the server has loaded.
    pub fn close(&mut self) {
        if let Some(server) = self.server.take() {
            server.close();
        }
    }

    fn server(&mut self) -> Result<&mut Server> {
        if self.server.is_none() {
            self.server = Some(Server::start(self.codex, self.home, self.directory)?);
        }
        self.server.as_mut().ok_or_else(|| Error::new("the app-server is not there"))
    }

    /// `codex exec fork` (0.148 on): the fork is then made as `exec` makes sessions, as its parent was.
    fn fork_by_command(&mut self, parent: Id) -> Result<Id> {
        #[derive(Deserialize)]
        struct Started {
            thread_id: Option<Id>,
        }
        let output = Command::new(self.codex)
            .args(["exec", "--json", "--skip-git-repo-check", "fork"])
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
        match id.filter(|id| output.status.success() && *id != parent) {
            Some(id) => Ok(id),
            None => {
                let text = String::from_utf8_lossy(&output.stderr);
                let why =
                    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no reason was given");
                Err(Error::new(format!("Codex {} could not fork '{parent}': {}", self.version, why.trim())))
            }
        }
    }

    fn turns(&mut self, session: Id) -> Result<Vec<Turn>> {
        let mut turns = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let params = json!({
                "threadId": session, "sortDirection": "asc", "limit": 100, "itemsView": "summary", "cursor": cursor,
            });
            let answer = match self.server()?.call("thread/turns/list", &params) {
                Ok(answer) => answer,
                // Up to 0.120 a session is read whole or not at all.
                Err(Failure::Unknown(_)) => {
                    let version = self.version;
                    let params = json!({"threadId": session, "includeTurns": true});
                    let answer =
                        self.server()?.call("thread/read", &params).map_err(|failure| match failure {
                            Failure::Unknown(_) => {
                                Error::new(format!("Codex {version} cannot list the turns of a session"))
                                    .hint("0.89 is the first version that can")
                            }
                            Failure::Refused(error) => error,
                        })?;
                    return Ok(answer["thread"]["turns"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(turn)
                        .collect());
                }
                Err(Failure::Refused(error)) => return Err(error),
            };
            turns.extend(answer["data"].as_array().into_iter().flatten().filter_map(turn));
            cursor = answer["nextCursor"].clone();
            if cursor.is_null() {
                return Ok(turns);
            }
        }
    }

    fn roll_back(&mut self, fork: Id, off: usize, keep: usize) -> Result<()> {
        let version = self.version;
        let params = json!({"threadId": fork, "numTurns": off});
        let answer = self.server()?.call("thread/rollback", &params).map_err(|failure| match failure {
            Failure::Unknown(_) => {
                Error::new(format!("Codex {version} cannot fork a session before a message"))
                    .hint("0.87 to 0.155, and 0.145 and later, can")
            }
            Failure::Refused(error) => error,
        })?;
        match answer["thread"]["turns"].as_array().map(Vec::len) {
            Some(has) if has == keep => Ok(()),
            has => Err(Error::new(format!(
                "the fork has {} turns instead of {keep}",
                has.map_or("an unknown number of".to_owned(), |has| has.to_string())
            ))),
        }
    }

    /// Takes a fork away that is not what was asked for, and says so.
    fn take_back(&mut self, fork: Id, error: &Error) -> Error {
        let params = json!({"threadId": fork});
        let gone = self.server().is_ok_and(|server| {
            server.call("thread/delete", &params).is_ok() || server.call("thread/archive", &params).is_ok()
        });
        let left = if gone { "the fork was removed" } else { "the fork remains" };
        Error::new(format!("{error}: {left} ('{fork}')"))
    }
}

/// Refuses to fork a session whose own rollout lies outside the home. Codex does so too, though it resumes it
/// (0.169, 0.171); [`refuse`](codex_agent_shared::codex::refusal::refuse) looks at what it was forked from.
pub fn refuse_outside(home: &Home, session: &Session<'_>) -> Result<()> {
    let Some((id, path)) = session.id.zip(session.rollout_path.as_deref().map(Path::new)) else {
        return Ok(());
    };
    match std::fs::canonicalize(path) {
        Ok(real) if !home.holds(path) => {
            let (real, home) = (real.display(), home.path().display());
            Err(Error::new(format!(
                "Codex will not fork session '{id}': its rollout lies outside of Codex's home, at '{real}'"
            ))
            .hint(format!(
                "it follows no link below sessions/; it can be forked once that file is in '{home}'"
            )))
        }
        _ => Ok(()),
    }
}

/// Holds what a fork's rollout has against what was cut off. Codex of some versions shows the turns that
/// were to be kept, and the model is given the later ones as well (openai/codex 21025).
fn holds_none(home: &Home, fork: Id, cut_off: &[Turn]) -> Result<()> {
    if cut_off.is_empty() {
        return Ok(());
    }
    let held = Files::walk(home.path()).live(fork, None).map(|file| turn_ids(&file.path));
    let held = held.and_then(std::io::Result::ok).unwrap_or_default();
    match cut_off.iter().find(|turn| held.contains(&turn.id)) {
        Some(turn) => {
            Err(Error::new(format!("the fork contains turn '{}', which is after the cut", turn.id)))
        }
        None => Ok(()),
    }
}

/// A name that a session may get: one by which it can be called.
pub fn checked_name(name: &str) -> Result<&str> {
    let name = name.trim();
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Error::usage("a name may not be empty or contain control characters"));
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
        .hint("full ids, rollout paths and text that begins with @, -, id: or name: are references"));
    }
    Ok(name)
}

/// Names a session through a server, and waits until the name is on the disk: 0.106 answers before it
/// writes, and writes nothing once its input is closed. Up to there only a session that is loaded can be
/// named.
pub fn set_name(server: &mut Server, home: &Home, version: &str, session: Id, name: &str) -> Result<()> {
    let params = json!({"threadId": session, "name": name});
    let mut answer = server.call("thread/name/set", &params);
    if matches!(&answer, Err(Failure::Refused(error)) if error.message().contains("not found")) {
        server.call("thread/resume", &json!({"threadId": session}))?;
        answer = server.call("thread/name/set", &params);
    }
    answer.map_err(|failure| match failure {
        Failure::Unknown(_) => Error::new(format!("Codex {version} cannot name sessions"))
            .hint("0.94 is the first version that can"),
        Failure::Refused(error) => error,
    })?;
    for _ in 0..250 {
        if Names::read(home.path()).name_of(session).as_deref() == Some(name) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(Error::new(format!("Codex {version} took the name '{name}' for '{session}', but has not written it")))
}

fn turn(value: &Value) -> Option<Turn> {
    let is_message = |item: &&Value| item["type"] == "userMessage";
    let messages = value["items"].as_array().map_or(0, |items| items.iter().filter(is_message).count());
    Some(Turn { id: value["id"].as_str()?.to_owned(), messages })
}

/// How many turns are kept.
fn place(turns: &[Turn], cut: &Cut) -> Result<usize> {
    match cut {
        Cut::Whole => Ok(turns.len()),
        Cut::Turn(id) => turns.iter().position(|turn| turn.id == *id).ok_or_else(|| {
            Error::not_found(format!("the session has no turn '{id}'; it has {}", turns.len()))
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
    #[allow(clippy::disallowed_methods)] // A test makes the home that it looks into.
    fn a_fork_that_holds_what_was_cut_off_is_found() {
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
        let off = [turn("b"), turn("c")];
        write(started("a"));
        assert!(holds_none(&home, fork, &off).is_ok());
        write(started("a") + &started("b"));
        assert!(holds_none(&home, fork, &off).unwrap_err().message().contains("after the cut"));
        let back = "{\"type\":\"event_msg\",\"payload\":{\"type\":\"thread_rolled_back\",\"num_turns\":1}}\n";
        write(started("a") + &started("b") + back);
        assert!(holds_none(&home, fork, &off).is_ok());
    }

    #[test]
    fn places() {
        let turn = |id: &str, messages| Turn { id: id.to_owned(), messages };
        let turns = [turn("a", 1), turn("b", 2), turn("c", 0), turn("d", 1)];
        for (nth, keep) in [(1, 0), (2, 1), (3, 1), (4, 3), (-1, 3), (-2, 1), (-4, 0)] {
            assert_eq!(place(&turns, &Cut::Message(nth)).unwrap(), keep, "{nth}");
        }
        for nth in [0, 5, -5] {
            let error = place(&turns, &Cut::Message(nth)).unwrap_err();
            assert!(error.message().contains("has 4 messages"), "{error}");
        }
        assert_eq!(place(&turns, &Cut::Whole).unwrap(), 4);
        assert_eq!(place(&turns, &Cut::Turn("c".into())).unwrap(), 2);
        assert!(place(&turns, &Cut::Turn("x".into())).is_err());
    }
}
