//! `codex app-server`: what is needed to fork, cut, name and put away sessions.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::history::{History, Turn, find};
use crate::output::{Run, fail, say_json};
use crate::row::Rows;
use crate::thread;
use crate::thread::{Origin, Refused, Thread};
use crate::version::{Version, since};
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::names::Names;
use codex_agent_shared::record::Id;

/// The methods, and from which version on until before which one.
const METHODS: [(&str, u32, u32); 11] = [
    ("initialize", 77, u32::MAX),
    ("thread/resume", 77, u32::MAX),
    ("thread/archive", 77, u32::MAX),
    ("thread/fork", 87, u32::MAX),
    ("thread/rollback", 87, since::NO_ROLLBACK),
    ("thread/read", 89, u32::MAX),
    ("thread/unarchive", 92, u32::MAX),
    ("thread/name/set", since::NAME_SET, u32::MAX),
    ("thread/turns/list", since::TURNS_LIST, u32::MAX),
    ("thread/delete", since::DELETE, u32::MAX),
    ("thread/loaded/list", 87, u32::MAX),
];

struct Server<'h> {
    version: &'h Version,
    home: &'h Home,
    rows: &'h Rows,
    /// Loaded sessions are locked until the end.
    loaded: HashMap<Id, Thread<'h>>,
}

/// Answers until standard input ends.
pub(super) fn serve(version: &Version, home: &Home) -> Run<()> {
    let rows = Rows::open(version, home)?;
    let mut server = Server { version, home, rows: &rows, loaded: HashMap::new() };
    for line in std::io::stdin().lock().lines() {
        let line = line.or_else(fail)?;
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        // A message without an id is a notification, which has no answer.
        if message["id"].is_null() {
            continue;
        }
        let method = message["method"].as_str().unwrap_or_default();
        let mut answer = json!({"id": message["id"]});
        match server.answer(method, &message["params"]) {
            Ok(result) => answer["result"] = result,
            Err(why) => answer["error"] = json!({"code": -32600, "message": why}),
        }
        say_json(&answer)?;
    }
    Ok(())
}

impl<'h> Server<'h> {
    fn answer(&mut self, method: &str, params: &Value) -> Result<Value, Refused> {
        let is_known = |(name, from, before): &(&str, u32, u32)| {
            *name == method && self.version.is_within((*from, *before))
        };
        if !METHODS.iter().any(is_known) {
            let known: Vec<String> = METHODS.iter().map(|(name, ..)| format!("`{name}`")).collect();
            return Err(format!(
                "Invalid request: unknown variant `{method}`, expected one of {}",
                known.join(", ")
            ));
        }
        if method == "initialize" {
            let agent = format!("codex_fake/{}", self.version.text);
            return Ok(json!({"userAgent": agent, "codexHome": self.home.path()}));
        }
        if method == "thread/loaded/list" {
            return Ok(json!({"data": self.loaded.keys().collect::<Vec<_>>(), "nextCursor": null}));
        }
        let given = params["threadId"].as_str().unwrap_or_default();
        let id = Id::parse(given).ok_or_else(|| format!("invalid thread id: {given}"))?;
        match method {
            "thread/read" => {
                let (path, history) = self.history(id)?;
                let turns = if params["includeTurns"] == true { turns(&history) } else { Vec::new() };
                Ok(json!({"thread": self.thread(id, &path, &history, turns)}))
            }
            "thread/turns/list" => self.list_turns(id, params),
            "thread/resume" => {
                if !self.loaded.contains_key(&id) {
                    let thread = Thread::load(self.version, self.home, self.rows, id)?;
                    self.loaded.insert(id, thread);
                }
                self.told(id)
            }
            "thread/fork" => self.fork(id, params),
            "thread/rollback" => {
                let count = params["numTurns"].as_u64().unwrap_or(0);
                self.loaded_thread(id)?.roll_back(count)?;
                self.told(id)
            }
            "thread/name/set" => {
                let name = params["name"].as_str().unwrap_or_default();
                if let Some(thread) = self.loaded.get_mut(&id) {
                    thread.name(name)?;
                } else if self.version.has(since::NAME_UNLOADED) {
                    match Thread::load(self.version, self.home, self.rows, id) {
                        Ok(mut thread) => thread.name(name)?,
                        // One that is in use can be named all the same.
                        Err(why) if why.contains("active writer") => {
                            thread::set_name(self.version, self.home, self.rows, id, name)?;
                        }
                        Err(why) => return Err(why),
                    }
                } else {
                    return Err(format!("thread not found: {id}"));
                }
                Ok(json!({}))
            }
            "thread/delete" => {
                self.loaded.remove(&id);
                thread::delete(self.home, self.rows, id)?;
                Ok(json!({}))
            }
            _ => {
                self.loaded.remove(&id);
                thread::move_archived(self.version, self.home, id, method == "thread/archive")?;
                Ok(json!({}))
            }
        }
    }

    fn loaded_thread(&mut self, id: Id) -> Result<&mut Thread<'h>, Refused> {
        self.loaded.get_mut(&id).ok_or_else(|| format!("thread not found: {id}"))
    }

    fn history(&self, id: Id) -> Result<(PathBuf, History), Refused> {
        let missing = || format!("no rollout found for thread id {id}");
        let path = find(self.home, id, self.rows.text(id, "rollout_path")).ok_or_else(missing)?;
        let history =
            History::read(self.home, &path).map_err(|error| codex_agent_shared::error::reason(&error))?;
        Ok((path, history))
    }

    fn list_turns(&self, id: Id, params: &Value) -> Result<Value, Refused> {
        let (_, history) = self.history(id)?;
        let mut all = turns(&history);
        if params["sortDirection"] != "asc" {
            all.reverse();
        }
        let from = params["cursor"].as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let limit = params["limit"].as_u64().unwrap_or(25).min(100) as usize;
        let next = Some(from + limit).filter(|next| *next < all.len()).map(|next| next.to_string());
        let data: Vec<Value> = all.into_iter().skip(from).take(limit).collect();
        Ok(json!({"data": data, "nextCursor": next}))
    }

    fn fork(&mut self, parent: Id, params: &Value) -> Result<Value, Refused> {
        // Older versions do not know the parameter, and pass over it.
        let before = params["beforeTurnId"].as_str().filter(|_| self.version.has(since::BEFORE_TURN));
        let cwd = match params["cwd"].as_str() {
            Some(cwd) => PathBuf::from(cwd),
            None => std::env::current_dir().map_err(|error| codex_agent_shared::error::reason(&error))?,
        };
        let cwd = std::fs::canonicalize(&cwd).unwrap_or(cwd);
        let origin = Origin {
            cwd: &cwd,
            source: "vscode",
            thread_source: params["threadSource"].as_str(),
            model: None,
            sandbox: None,
        };
        let thread = Thread::fork(self.version, self.home, self.rows, parent, before, &origin)?;
        let id = thread.id;
        self.loaded.insert(id, thread);
        self.told(id)
    }

    fn told(&self, id: Id) -> Result<Value, Refused> {
        let (path, history) = self.history(id)?;
        let thread = self.thread(id, &path, &history, turns(&history));
        Ok(json!({"thread": thread, "model": history.model, "cwd": history.meta["cwd"]}))
    }

    fn thread(&self, id: Id, path: &std::path::Path, history: &History, turns: Vec<Value>) -> Value {
        let meta = &history.meta;
        let status = if self.loaded.contains_key(&id) { "idle" } else { "notLoaded" };
        let created = history.created().0 / 1000;
        json!({
            "id": id, "forkedFromId": meta["forked_from_id"], "preview": history.first_message(), "ephemeral": false,
            "modelProvider": meta["model_provider"], "createdAt": created, "updatedAt": created,
            "status": {"type": status}, "path": path, "cwd": meta["cwd"], "cliVersion": meta["cli_version"],
            "source": meta["source"], "threadSource": meta["thread_source"], "gitInfo": null,
            "name": Names::read(self.home.path()).of(id), "turns": turns,
        })
    }
}

fn turns(history: &History) -> Vec<Value> {
    (0..history.turns.len())
        .map(|at| {
            let Turn { said, status, .. } = &history.turns[at];
            let items: Vec<Value> = said
                .iter()
                .enumerate()
                .map(|(number, (is_user, text))| match is_user {
                    true => json!({
                        "type": "userMessage", "id": format!("item-{number}"),
                        "content": [{"type": "text", "text": text, "text_elements": []}],
                    }),
                    false => json!({"type": "agentMessage", "id": format!("item-{number}"), "text": text}),
                })
                .collect();
            json!({"id": history.turn_id(at), "items": items, "status": status, "error": null})
        })
        .collect()
}
