//! A session on disk: its rollout, its row, its lock, its name.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::history::{History, Place, find_rollout};
use crate::line::{Line, Usage, event, policy};
use crate::lock::WriterLock;
use crate::output::OrRefusal;
use crate::store::Store;
use crate::table::Cell;
use crate::version::since;
use codex_agent_shared::codex::files::{Files, RolloutFile};
use codex_agent_shared::codex::names::Names;
use codex_agent_shared::codex::rollout;
use codex_agent_shared::error::reason;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

const MODEL: &str = "gpt-5";
const PROVIDER: &str = "openai";
const SANDBOX: &str = "read-only";

/// A loaded session.
pub(super) struct Thread<'s> {
    pub(super) store: &'s Store,
    pub(super) id: Id,
    path: PathBuf,
    file: File,
    pub(super) is_paginated: bool,
    /// The number of the next line.
    next: u64,
    pub(super) history: History,
    pub(super) total: Usage,
    pub(super) cwd: String,
    pub(super) model: String,
    pub(super) sandbox: String,
    /// The start of its last turn.
    recency: Timestamp,
    _lock: Option<WriterLock>,
}

/// The properties of a new session.
pub(super) struct Origin<'o> {
    pub(super) cwd: &'o Path,
    pub(super) source: &'o str,
    pub(super) thread_source: Option<&'o str>,
    pub(super) model: Option<&'o str>,
    pub(super) sandbox: Option<&'o str>,
}

/// The session that a fork begins with.
struct Base<'b> {
    parent: Id,
    path: &'b Path,
    history: &'b History,
    /// The index of the first turn that the fork does not have; `None` for a fork of all turns.
    cut: Option<usize>,
}

fn io_refusal(error: io::Error) -> String {
    reason(&error)
}

/// The rollout of a session.
pub(super) fn locate(store: &Store, id: Id) -> OrRefusal<PathBuf> {
    find_rollout(&store.home, id, store.text(id, "rollout_path")).ok_or_else(|| missing_rollout(id))
}

fn missing_rollout(id: Id) -> String {
    format!("no rollout found for thread id {id}")
}

/// Reads a rollout.
pub(super) fn read_history(store: &Store, path: &Path) -> OrRefusal<History> {
    History::read(&store.home, path).map_err(io_refusal)
}

impl<'s> Thread<'s> {
    /// Begins a session.
    pub(super) fn begin(store: &'s Store, origin: &Origin<'_>) -> OrRefusal<Thread<'s>> {
        Thread::create(store, origin, None)
    }

    /// Loads an existing session.
    pub(super) fn load(store: &'s Store, id: Id) -> OrRefusal<Thread<'s>> {
        let path = locate(store, id)?;
        if path.starts_with(store.home.path().join("archived_sessions")) {
            return Err(match store.version.has(since::ARCHIVE_COMMAND) {
                true => {
                    format!("session {id} is archived. Run `codex unarchive {id}` to unarchive it first.")
                }
                false => missing_rollout(id),
            });
        }
        let lock = lock_session(store, id)?;
        Thread::open(store, id, path, lock)
    }

    fn open(store: &'s Store, id: Id, path: PathBuf, lock: Option<WriterLock>) -> OrRefusal<Thread<'s>> {
        let history = read_history(store, &path)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(io_refusal)?;
        let is_paginated = history.meta["history_mode"] == "paginated" && store.version.has(since::PAGINATED);
        if is_paginated && !history.is_numbered {
            let path = path.display();
            return Err(format!("final paginated rollout record in {path} is missing an ordinal"));
        }
        Ok(Thread {
            store,
            id,
            path,
            file,
            is_paginated,
            next: history.last_ordinal.map_or(0, |last| last + 1),
            total: history.total,
            cwd: history.meta["cwd"].as_str().unwrap_or_default().to_owned(),
            model: history.model.as_deref().unwrap_or(MODEL).to_owned(),
            sandbox: history.sandbox.as_deref().unwrap_or(SANDBOX).to_owned(),
            history,
            recency: Timestamp::now(),
            _lock: lock,
        })
    }

    /// Forks a session, with all turns or those before a turn. The parent may be in use.
    pub(super) fn fork(
        store: &'s Store,
        parent: Id,
        before: Option<&str>,
        origin: &Origin<'_>,
    ) -> OrRefusal<Thread<'s>> {
        let path = locate(store, parent)?;
        let history = read_history(store, &path)?;
        let place = |turn| {
            let place = (0..history.turns.len()).find(|at| history.turn_id(*at) == turn);
            place.ok_or_else(|| format!("turn {turn} not found in thread {parent}"))
        };
        let cut = before.map(place).transpose()?;
        let base = Base { parent, path: &path, history: &history, cut };
        let mut thread = Thread::create(store, origin, Some(base))?;
        if thread.has(since::NAME_COLUMN)
            && let Some(name) = store.text(parent, "name")
        {
            store.set(thread.id, vec![("name", name.into())])?;
        }
        thread.model = history.model.unwrap_or(thread.model);
        Ok(thread)
    }

    fn create(store: &'s Store, origin: &Origin<'_>, base: Option<Base<'_>>) -> OrRefusal<Thread<'s>> {
        let (id, version) = (Id::ordered(), &store.version);
        let now = Timestamp(id.clock());
        let lock = lock_session(store, id)?;
        let directory = store.home.path().join("sessions").join(now.local("%Y/%m/%d"));
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(io_refusal)?;
        let path = directory.join(format!("rollout-{}-{id}.jsonl", now.local("%Y-%m-%dT%H-%M-%S")));
        let mut meta = json!({
            "id": id, "timestamp": now, "cwd": origin.cwd.to_string_lossy(), "originator": "codex_exec",
            "cli_version": version.text, "source": origin.source, "model_provider": PROVIDER,
        });
        if version.has(since::PAGINATED) {
            meta["session_id"] = json!(id);
        }
        if version.has(130) {
            meta["thread_source"] = json!(origin.thread_source);
        }
        let mut is_paginated = version.has(since::PAGINATED);
        let mut ordinal = 0;
        let mut copied = Vec::new();
        if let Some(Base { parent, path, history, cut }) = base {
            meta["forked_from_id"] = json!(parent);
            meta["originator"] = history.meta["originator"].clone();
            is_paginated = is_paginated && history.meta["history_mode"] == "paginated";
            let end: Option<Place> = cut.and_then(|cut| history.turns.get(cut)).map(|turn| turn.at);
            if !is_paginated {
                copied = fs::read(path).map_err(io_refusal)?;
                copied.truncate(end.map_or(copied.len(), |end| end.offset as usize));
            } else if cut != Some(0) {
                // A fork without turns has no base.
                let all = history.last_ordinal.map_or(0, |last| last + 1);
                ordinal = end.and_then(|end| end.ordinal).unwrap_or(all);
                meta["forked_from_ordinal_exclusive"] = json!(ordinal);
                meta["history_base"] = json!({
                    "thread_id": parent, "end_ordinal_exclusive": ordinal,
                    "end_byte_offset": end.map_or(history.length, |end| end.offset),
                });
            }
        }
        if is_paginated {
            meta["history_mode"] = json!("paginated");
        }
        let first = line_text(now, is_paginated.then_some(ordinal), &("session_meta", meta.to_string()));
        OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(&[first.as_bytes(), &copied].concat()))
            .map_err(io_refusal)?;
        let mut thread = Thread::open(store, id, path, lock)?;
        thread.recency = now;
        thread.model = origin.model.unwrap_or(MODEL).to_owned();
        thread.sandbox = origin.sandbox.unwrap_or(SANDBOX).to_owned();
        thread.save()?;
        Ok(thread)
    }

    /// Whether its Codex is version 0.`minor` or a later version.
    pub(super) fn has(&self, minor: u32) -> bool {
        self.store.version.has(minor)
    }

    /// Appends lines in one write.
    pub(super) fn append(&mut self, lines: &[Line]) -> OrRefusal<()> {
        let (now, numbers) = (Timestamp::now(), self.next..);
        let text: String = lines
            .iter()
            .zip(numbers)
            .map(|(line, number)| line_text(now, self.is_paginated.then_some(number), line))
            .collect();
        self.next += lines.len() as u64;
        self.file.write_all(text.as_bytes()).map_err(io_refusal)
    }

    /// Updates the row of the session.
    pub(super) fn save(&self) -> OrRefusal<()> {
        let meta = &self.history.meta;
        let text = |text: &str| Cell::from(text.to_owned());
        let optional = |name: &str| Cell::from(meta[name].as_str().map(str::to_owned));
        let first = self.history.first_own.as_deref().unwrap_or_default();
        let history = if meta["history_mode"] == "paginated" { "paginated" } else { "legacy" };
        let mut row = vec![
            ("id", text(&self.id.to_string())),
            ("rollout_path", text(&self.path.to_string_lossy())),
            ("source", text(meta["source"].as_str().unwrap_or("exec"))),
            ("thread_source", optional("thread_source")),
            ("originator", optional("originator")),
            ("model_provider", text(meta["model_provider"].as_str().unwrap_or(PROVIDER))),
            ("cwd", text(&self.cwd)),
            ("title", text(first)),
            ("first_user_message", text(first)),
            ("preview", text(self.history.first_message())),
            ("sandbox_policy", text(&policy(&self.sandbox).to_string())),
            ("approval_mode", text("never")),
            ("tokens_used", self.total.total().into()),
            ("cli_version", text(meta["cli_version"].as_str().unwrap_or_default())),
            ("model", text(&self.model)),
            ("history_mode", text(history)),
        ];
        row.extend(time_cells(["created_at", "created_at_ms"], self.history.created()));
        row.extend(time_cells(UPDATED, Timestamp::now()));
        row.extend(time_cells(["recency_at", "recency_at_ms"], self.recency));
        self.store.put(row)
    }

    /// Adds the prompt of a new turn to the history, so that the row has it.
    pub(super) fn add_prompt(&mut self, prompt: &str) {
        self.recency = Timestamp::now();
        self.history.add_message(true, prompt.to_owned(), Place::default());
    }

    /// Names the session, in all places where the version has names.
    pub(super) fn rename(&mut self, name: &str) -> OrRefusal<()> {
        if self.store.version.is_within(since::NAME_IN_ROLLOUT) {
            let payload = json!({"thread_id": self.id, "thread_name": name});
            self.append(&[event("thread_name_updated", &payload)])?;
        }
        set_name(self.store, self.id, name)
    }

    /// Removes the last turns.
    pub(super) fn roll_back(&mut self, turns: u64) -> OrRefusal<()> {
        self.append(&[event("thread_rolled_back", &json!({"num_turns": turns}))])?;
        self.history = read_history(self.store, &self.path)?;
        Ok(())
    }
}

/// The text of a line of a rollout.
fn line_text(now: Timestamp, ordinal: Option<u64>, (kind, payload): &Line) -> String {
    let ordinal = ordinal.map_or(String::new(), |ordinal| format!("\"ordinal\":{ordinal},"));
    format!("{{\"timestamp\":\"{now}\",{ordinal}\"type\":\"{kind}\",\"payload\":{payload}}}\n")
}

fn lock_session(store: &Store, id: Id) -> OrRefusal<Option<WriterLock>> {
    if !store.version.has(since::WRITER_LOCK) {
        return Ok(None);
    }
    match WriterLock::acquire(store.home.path(), id).map_err(|error| error.message().to_owned())? {
        None => Err(format!("thread {id} already has an active writer")),
        lock => Ok(lock),
    }
}

/// Writes a name into the index of names and into the row.
pub(super) fn set_name(store: &Store, id: Id, name: &str) -> OrRefusal<()> {
    let line = json!({"id": id, "thread_name": name, "updated_at": Timestamp::now()}).to_string();
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(store.home.path().join("session_index.jsonl"))
        .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
        .map_err(io_refusal)?;
    let column = match &store.version {
        version if version.has(since::NAME_COLUMN) => "name",
        version if version.has(since::NAME_IN_TITLE) => "title",
        _ => return Ok(()),
    };
    // Codex also sets this time, although no turn was added.
    let mut values = time_cells(UPDATED, Timestamp::now()).to_vec();
    values.push((column, name.to_owned().into()));
    store.set(id, values)
}

/// The two columns that every change of a row sets.
const UPDATED: [&str; 2] = ["updated_at", "updated_at_ms"];

/// A time in two columns: in seconds and in milliseconds.
fn time_cells([seconds, milliseconds]: [&'static str; 2], at: Timestamp) -> [(&'static str, Cell); 2] {
    [(seconds, (at.0 / 1000).into()), (milliseconds, at.0.into())]
}

/// The session that has this name now.
pub(super) fn find_by_name(store: &Store, name: &str) -> Option<Id> {
    let text = fs::read_to_string(store.home.path().join("session_index.jsonl")).ok()?;
    let names = Names::read(store.home.path());
    text.lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["thread_name"] == name)
        .filter_map(|line| Id::parse(line["id"].as_str()?))
        .find(|id| names.name_of(*id).as_deref() == Some(name))
}

/// Moves a rollout into the archive or out of it.
pub(super) fn move_archived(store: &Store, id: Id, archive: bool) -> OrRefusal<()> {
    let path = locate(store, id)?;
    let archived = store.home.path().join("archived_sessions");
    if path.starts_with(&archived) == archive {
        return Err(if archive {
            missing_rollout(id)
        } else {
            format!("no archived rollout found for thread id {id}")
        });
    }
    let _lock = lock_session(store, id)?;
    let name = path.file_name().unwrap_or_default();
    let directory = match archive {
        true => archived,
        false => {
            let stamp = name.to_str().and_then(rollout::Name::parse).map_or("", |name| name.stamp);
            store.home.path().join("sessions").join(stamp.get(..10).unwrap_or("").replace('-', "/"))
        }
    };
    let target = directory.join(name);
    let moved = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    #[allow(clippy::disallowed_methods)] // A complete file is moved, and none is replaced.
    moved.and_then(|()| fs::rename(&path, &target)).map_err(io_refusal)?;
    let now = Timestamp::now();
    let mut values = vec![
        ("archived", i64::from(archive).into()),
        ("archived_at", archive.then_some(now.0 / 1000).into()),
        ("rollout_path", target.to_string_lossy().into_owned().into()),
    ];
    if !archive {
        let file = File::options().append(true).open(&target);
        file.and_then(|file| file.set_modified(std::time::SystemTime::now())).map_err(io_refusal)?;
        values.extend(time_cells(UPDATED, now));
    }
    store.set(id, values)
}

/// Deletes a session that no fork begins in.
pub(super) fn delete(store: &Store, id: Id) -> OrRefusal<()> {
    let path = locate(store, id)?;
    let _lock = lock_session(store, id)?;
    let is_base = |file: &RolloutFile| {
        let history = read_history(store, &file.path);
        history.is_ok_and(|history| history.meta["history_base"]["thread_id"] == id.to_string())
    };
    if Files::walk(store.home.path()).all().iter().any(is_base) {
        return Err(format!("cannot delete thread {id}: forked history still references it"));
    }
    fs::remove_file(path).map_err(io_refusal)?;
    store.remove(id)
}
