//! `codex app-server`: the methods that fork, name, archive and delete sessions.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::history::{History, Turn};
use crate::output::{OrExit, OrRefusal, fail, print_line};
use crate::store::Store;
use crate::thread::{self, Origin, Thread};
use crate::version::since;
use codex_agent_shared::codex::names::Names;
use codex_agent_shared::error::reason;
use codex_agent_shared::record::Id;

/// The methods, each with the first version that has it and the first later version that does not.
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

struct Server<'s> {
    store: &'s Store,
    /// The loaded sessions, which are locked until the server ends.
    loaded: HashMap<Id, Thread<'s>>,
}

/// Answers requests until standard input ends.
pub(super) fn serve(store: &Store) -> OrExit<()> {
    let mut server = Server { store, loaded: HashMap::new() };
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
        print_line(answer.to_string())?;
    }
    Ok(())
}

impl<'s> Server<'s> {
    fn answer(&mut self, method: &str, params: &Value) -> OrRefusal<Value> {
        let is_known = |(name, from, before): &(&str, u32, u32)| {
            *name == method && self.store.version.is_within((*from, *before))
        };
        if !METHODS.iter().any(is_known) {
            let known: Vec<String> = METHODS.iter().map(|(name, ..)| format!("`{name}`")).collect();
            return Err(format!(
                "Invalid request: unknown variant `{method}`, expected one of {}",
                known.join(", ")
            ));
        }
        if method == "initialize" {
            let agent = format!("codex_fake/{}", self.store.version.text);
            return Ok(json!({"userAgent": agent, "codexHome": self.store.home.path()}));
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
                Ok(json!({"thread": self.describe(id, &path, &history, turns)}))
            }
            "thread/turns/list" => self.list_turns(id, params),
            "thread/resume" => {
                if !self.loaded.contains_key(&id) {
                    self.loaded.insert(id, Thread::load(self.store, id)?);
                }
                self.describe_loaded(id)
            }
            "thread/fork" => self.fork(id, params),
            "thread/rollback" => {
                let count = params["numTurns"].as_u64().unwrap_or(0);
                self.loaded_thread(id)?.roll_back(count)?;
                self.describe_loaded(id)
            }
            "thread/name/set" => {
                let name = params["name"].as_str().unwrap_or_default();
                if self.loaded.contains_key(&id) || !self.store.version.has(since::NAME_UNLOADED) {
                    self.loaded_thread(id)?.rename(name)?;
                    return Ok(json!({}));
                }
                match Thread::load(self.store, id) {
                    Ok(mut thread) => thread.rename(name)?,
                    // A session in use can be named nevertheless.
                    Err(why) if why.contains("active writer") => thread::set_name(self.store, id, name)?,
                    Err(why) => return Err(why),
                }
                Ok(json!({}))
            }
            "thread/delete" => {
                self.loaded.remove(&id);
                thread::delete(self.store, id).map(|()| json!({}))
            }
            _ => {
                self.loaded.remove(&id);
                thread::move_archived(self.store, id, method == "thread/archive").map(|()| json!({}))
            }
        }
    }

    fn loaded_thread(&mut self, id: Id) -> OrRefusal<&mut Thread<'s>> {
        self.loaded.get_mut(&id).ok_or_else(|| format!("thread not found: {id}"))
    }

    fn history(&self, id: Id) -> OrRefusal<(PathBuf, History)> {
        let path = thread::locate(self.store, id)?;
        let history = thread::read_history(self.store, &path)?;
        Ok((path, history))
    }

    fn list_turns(&self, id: Id, params: &Value) -> OrRefusal<Value> {
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

    fn fork(&mut self, parent: Id, params: &Value) -> OrRefusal<Value> {
        // Older versions ignore the parameter, which they do not know.
        let before = params["beforeTurnId"].as_str().filter(|_| self.store.version.has(since::BEFORE_TURN));
        let cwd = std::path::absolute(params["cwd"].as_str().unwrap_or("."));
        let cwd = cwd.map_err(|error| reason(&error))?;
        let cwd = std::fs::canonicalize(&cwd).unwrap_or(cwd);
        let origin = Origin {
            cwd: &cwd,
            source: "vscode",
            thread_source: params["threadSource"].as_str(),
            model: None,
            sandbox: None,
        };
        let thread = Thread::fork(self.store, parent, before, &origin)?;
        let id = thread.id;
        self.loaded.insert(id, thread);
        self.describe_loaded(id)
    }

    fn describe_loaded(&self, id: Id) -> OrRefusal<Value> {
        let (path, history) = self.history(id)?;
        let thread = self.describe(id, &path, &history, turns(&history));
        Ok(json!({"thread": thread, "model": history.model, "cwd": history.meta["cwd"]}))
    }

    fn describe(&self, id: Id, path: &Path, history: &History, turns: Vec<Value>) -> Value {
        let meta = &history.meta;
        let status = if self.loaded.contains_key(&id) { "idle" } else { "notLoaded" };
        let created = history.created().0 / 1000;
        json!({
            "id": id, "forkedFromId": meta["forked_from_id"], "preview": history.first_message(), "ephemeral": false,
            "modelProvider": meta["model_provider"], "createdAt": created, "updatedAt": created,
            "status": {"type": status}, "path": path, "cwd": meta["cwd"], "cliVersion": meta["cli_version"],
            "source": meta["source"], "threadSource": meta["thread_source"], "gitInfo": null,
            "name": Names::read(self.store.home.path()).name_of(id), "turns": turns,
        })
    }
}

fn turns(history: &History) -> Vec<Value> {
    (0..history.turns.len())
        .map(|at| {
            let Turn { messages, status, .. } = &history.turns[at];
            let items: Vec<Value> = messages
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
