//! A session on the disk: its rollout, its row, its lock, its name.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::history::{History, find};
use crate::line::{Line, Usage, note, policy};
use crate::lock::Lock;
use crate::row::{Cell, Rows};
use crate::version::{Version, since};
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::names::Names;
use codex_agent_shared::codex::rollout;
use codex_agent_shared::error::reason;
use codex_agent_shared::record::Id;
use codex_agent_shared::time::Timestamp;

/// Why a session cannot be had, in Codex's words.
pub(super) type Refused = String;
type Had<T> = std::result::Result<T, Refused>;

/// A loaded session.
pub(super) struct Thread<'h> {
    pub(super) version: &'h Version,
    home: &'h Home,
    rows: &'h Rows,
    pub(super) id: Id,
    pub(super) path: PathBuf,
    file: File,
    pub(super) is_paginated: bool,
    next: u64,
    pub(super) history: History,
    pub(super) total: Usage,
    pub(super) cwd: String,
    pub(super) model: String,
    pub(super) sandbox: String,
    /// When its last turn began.
    recency: Timestamp,
    _lock: Option<Lock>,
}

/// How a new session comes about.
pub(super) struct Origin<'o> {
    pub(super) cwd: &'o Path,
    pub(super) source: &'o str,
    pub(super) thread_source: Option<&'o str>,
    pub(super) model: Option<&'o str>,
    pub(super) sandbox: Option<&'o str>,
}

fn io_error(error: io::Error) -> Refused {
    reason(&error)
}

impl<'h> Thread<'h> {
    /// Begins a session.
    pub(super) fn start(
        version: &'h Version,
        home: &'h Home,
        rows: &'h Rows,
        origin: &Origin<'_>,
    ) -> Had<Thread<'h>> {
        Thread::create(version, home, rows, origin, Base::Nothing)
    }

    /// Loads a session that is there.
    pub(super) fn load(version: &'h Version, home: &'h Home, rows: &'h Rows, id: Id) -> Had<Thread<'h>> {
        let missing = || format!("no rollout found for thread id {id}");
        let path = find(home, id, rows.text(id, "rollout_path")).ok_or_else(missing)?;
        if path.starts_with(home.path().join("archived_sessions")) {
            return Err(match version.has(since::ARCHIVE_COMMAND) {
                true => {
                    format!("session {id} is archived. Run `codex unarchive {id}` to unarchive it first.")
                }
                false => missing(),
            });
        }
        let lock = lock(version, home, id)?;
        let history = History::read(home, &path).map_err(io_error)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(io_error)?;
        let is_paginated = history.meta["history_mode"] == "paginated" && version.has(since::PAGINATED);
        if is_paginated && !history.is_numbered {
            return Err(format!(
                "final paginated rollout record in {} is missing an ordinal",
                path.display()
            ));
        }
        Ok(Thread {
            version,
            home,
            rows,
            id,
            path,
            file,
            is_paginated,
            next: history.last_ordinal.map_or(0, |last| last + 1),
            total: history.total,
            cwd: text(&history.meta["cwd"]),
            model: history.model.clone().unwrap_or_else(|| MODEL.to_owned()),
            sandbox: history.sandbox.clone().unwrap_or_else(|| SANDBOX.to_owned()),
            history,
            recency: Timestamp::now(),
            _lock: lock,
        })
    }

    /// Branches a session, whole or before a turn. The parent may be in use.
    pub(super) fn fork(
        version: &'h Version,
        home: &'h Home,
        rows: &'h Rows,
        parent: Id,
        before: Option<&str>,
        origin: &Origin<'_>,
    ) -> Had<Thread<'h>> {
        let path = find(home, parent, rows.text(parent, "rollout_path"))
            .ok_or_else(|| format!("no rollout found for thread id {parent}"))?;
        let history = History::read(home, &path).map_err(io_error)?;
        let cut = match before {
            Some(turn) => Some(
                (0..history.turns.len())
                    .find(|at| history.turn_id(*at) == turn)
                    .ok_or_else(|| format!("turn {turn} not found in thread {parent}"))?,
            ),
            None => None,
        };
        let mut thread =
            Thread::create(version, home, rows, origin, Base::Parent(parent, &path, &history, cut))?;
        if version.has(since::NAME_COLUMN)
            && let Some(name) = rows.text(parent, "name")
        {
            rows.set(thread.id, vec![("name", Cell::Text(name))]).map_err(|_| NO_ROW.to_owned())?;
        }
        thread.model = history.model.unwrap_or(thread.model);
        Ok(thread)
    }

    fn create(
        version: &'h Version,
        home: &'h Home,
        rows: &'h Rows,
        origin: &Origin<'_>,
        base: Base<'_>,
    ) -> Had<Thread<'h>> {
        let id = Id::ordered();
        let now = Timestamp(id.clock());
        let lock = lock(version, home, id)?;
        let folder = home.path().join("sessions").join(now.local("%Y/%m/%d"));
        let private = |folder: &Path| DirBuilder::new().recursive(true).mode(0o700).create(folder);
        private(&folder).map_err(io_error)?;
        let path = folder.join(format!("rollout-{}-{id}.jsonl", now.local("%Y-%m-%dT%H-%M-%S")));
        let file =
            OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path).map_err(io_error)?;
        let cwd = origin.cwd.to_string_lossy().into_owned();
        let mut meta = json!({
            "id": id, "timestamp": now, "cwd": cwd, "originator": "codex_exec", "cli_version": version.text,
            "source": origin.source, "model_provider": PROVIDER,
        });
        if version.has(since::PAGINATED) {
            meta["session_id"] = json!(id);
        }
        if version.has(130) {
            meta["thread_source"] = json!(origin.thread_source);
        }
        let mut is_paginated = version.has(since::PAGINATED);
        let mut next = 0;
        let mut copied = Vec::new();
        if let Base::Parent(parent, path, history, cut) = &base {
            meta["forked_from_id"] = json!(parent);
            meta["originator"] = history.meta["originator"].clone();
            is_paginated = is_paginated && history.meta["history_mode"] == "paginated";
            let place = cut.and_then(|cut| history.turns.get(cut)).map(|turn| turn.at);
            if is_paginated {
                let whole = history.last_ordinal.map_or(0, |last| last + 1);
                let end = place.and_then(|place| place.ordinal).unwrap_or(whole);
                // A fork without any turn has no base.
                if *cut != Some(0) {
                    next = end;
                    meta["forked_from_ordinal_exclusive"] = json!(end);
                    meta["history_base"] = json!({
                        "thread_id": parent, "end_ordinal_exclusive": end,
                        "end_byte_offset": place.map_or(history.length, |place| place.offset),
                    });
                }
            } else {
                copied = fs::read(path).map_err(io_error)?;
                if let Some(place) = place {
                    copied.truncate(place.offset as usize);
                }
            }
        }
        if is_paginated {
            meta["history_mode"] = json!("paginated");
        }
        let mut thread = Thread {
            version,
            home,
            rows,
            id,
            path,
            file,
            is_paginated,
            next,
            history: History::default(),
            total: Usage::default(),
            cwd,
            model: origin.model.unwrap_or(MODEL).to_owned(),
            sandbox: origin.sandbox.unwrap_or(SANDBOX).to_owned(),
            recency: now,
            _lock: lock,
        };
        thread.append(&[("session_meta", meta.to_string())]).map_err(io_error)?;
        thread.file.write_all(&copied).map_err(io_error)?;
        thread.history = History::read(home, &thread.path).map_err(io_error)?;
        thread.total = thread.history.total;
        thread.save().map_err(|_| NO_ROW.to_owned())?;
        Ok(thread)
    }

    /// Appends lines, all in one write.
    pub(super) fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        let now = Timestamp::now();
        let mut text = String::new();
        for (kind, payload) in lines {
            let ordinal = match self.is_paginated {
                true => format!("\"ordinal\":{},", self.next),
                false => String::new(),
            };
            text.push_str(&format!(
                "{{\"timestamp\":\"{now}\",{ordinal}\"type\":\"{kind}\",\"payload\":{payload}}}\n"
            ));
            self.next += 1;
        }
        self.file.write_all(text.as_bytes())
    }

    /// Brings the row up to date.
    pub(super) fn save(&self) -> crate::output::Run<()> {
        let now = Timestamp::now();
        let created = self.history.created();
        let meta = &self.history.meta;
        let first = self.history.first_own.as_deref().unwrap_or_default();
        let preview = self.history.first_message();
        let path = self.path.to_string_lossy();
        let history = if meta["history_mode"] == "paginated" { "paginated" } else { "legacy" };
        self.rows.put(
            self.version,
            vec![
                ("id", Cell::Text(self.id.to_string())),
                ("rollout_path", Cell::from(&*path)),
                ("created_at", Cell::from(created.0 / 1000)),
                ("created_at_ms", Cell::from(created.0)),
                ("updated_at", Cell::from(now.0 / 1000)),
                ("updated_at_ms", Cell::from(now.0)),
                ("recency_at", Cell::from(self.recency.0 / 1000)),
                ("recency_at_ms", Cell::from(self.recency.0)),
                ("source", Cell::from(meta["source"].as_str().unwrap_or("exec"))),
                ("thread_source", Cell::from(meta["thread_source"].as_str())),
                ("originator", Cell::from(meta["originator"].as_str())),
                ("model_provider", Cell::from(meta["model_provider"].as_str().unwrap_or(PROVIDER))),
                ("cwd", Cell::from(&*self.cwd)),
                ("title", Cell::from(first)),
                ("first_user_message", Cell::from(first)),
                ("preview", Cell::from(preview)),
                ("sandbox_policy", Cell::Text(policy(&self.sandbox).to_string())),
                ("approval_mode", Cell::from("never")),
                ("tokens_used", Cell::from(self.total.total())),
                ("cli_version", Cell::from(meta["cli_version"].as_str().unwrap_or_default())),
                ("model", Cell::from(&*self.model)),
                ("history_mode", Cell::from(history)),
            ],
        )
    }

    /// Begins a turn with what the user said, so that the row shows it.
    pub(super) fn hear(&mut self, prompt: &str) {
        self.recency = Timestamp::now();
        let shown = rollout::typed(prompt).to_owned();
        if self.history.turns.is_empty() {
            self.history.turns.push(crate::history::Turn::first(&shown));
        }
        self.history.first_own.get_or_insert(shown);
    }

    /// Gives the session a name, wherever the version keeps names.
    pub(super) fn name(&mut self, name: &str) -> Had<()> {
        if self.version.is_within(since::NAME_IN_ROLLOUT) {
            let payload = json!({"thread_id": self.id, "thread_name": name});
            self.append(&[note("thread_name_updated", &payload)]).map_err(io_error)?;
        }
        set_name(self.version, self.home, self.rows, self.id, name)
    }

    /// Takes the last turns off the end.
    pub(super) fn roll_back(&mut self, turns: u64) -> Had<()> {
        self.append(&[note("thread_rolled_back", &json!({"num_turns": turns}))]).map_err(io_error)?;
        self.history = History::read(self.home, &self.path).map_err(io_error)?;
        Ok(())
    }
}

/// The base of a new session.
enum Base<'b> {
    Nothing,
    /// The parent, its file, what it says, and how many turns of it are kept, if not all.
    Parent(Id, &'b Path, &'b History, Option<usize>),
}

/// The reason was printed already.
const NO_ROW: &str = "the database could not be written";
const MODEL: &str = "gpt-5";
const PROVIDER: &str = "openai";
const SANDBOX: &str = "read-only";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn lock(version: &Version, home: &Home, id: Id) -> Had<Option<Lock>> {
    if !version.has(since::WRITER_LOCK) {
        return Ok(None);
    }
    match Lock::take(home.path(), id) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(format!("thread {id} already has an active writer")),
        Err(error) => Err(reason(&error)),
    }
}

/// Writes a name into the index of names and into the row.
pub(super) fn set_name(version: &Version, home: &Home, rows: &Rows, id: Id, name: &str) -> Had<()> {
    let line = json!({"id": id, "thread_name": name, "updated_at": Timestamp::now()}).to_string();
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(home.path().join("session_index.jsonl"))
        .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
        .map_err(io_error)?;
    let column = match version {
        version if version.has(since::NAME_COLUMN) => "name",
        version if version.has(since::NAME_IN_TITLE) => "title",
        _ => return Ok(()),
    };
    // The real one also makes the session the newest by this time, which no turn did.
    let mut values = updated(Timestamp::now());
    values.push((column, Cell::from(name)));
    rows.set(id, values).map_err(|_| NO_ROW.to_owned())
}

/// Both columns that anything which changes a row moves.
fn updated(now: Timestamp) -> Vec<(&'static str, Cell)> {
    vec![("updated_at", Cell::from(now.0 / 1000)), ("updated_at_ms", Cell::from(now.0))]
}

/// The session of this name, which the last line with it must still be about.
pub(super) fn named(home: &Home, name: &str) -> Option<Id> {
    let text = fs::read_to_string(home.path().join("session_index.jsonl")).ok()?;
    let names = Names::read(home.path());
    text.lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["thread_name"] == name)
        .filter_map(|line| Id::parse(line["id"].as_str()?))
        .find(|id| names.of(*id).as_deref() == Some(name))
}

/// Moves a rollout into the archive or out of it.
pub(super) fn move_archived(version: &Version, home: &Home, id: Id, archive: bool) -> Had<()> {
    let rows = Rows::open(version, home).map_err(|_| NO_ROW.to_owned())?;
    let path = find(home, id, rows.text(id, "rollout_path"))
        .ok_or_else(|| format!("no rollout found for thread id {id}"))?;
    let archived = home.path().join("archived_sessions");
    if path.starts_with(&archived) == archive {
        let state = if archive { "already" } else { "not" };
        return Err(format!("session {id} is {state} archived"));
    }
    let name = path.file_name().unwrap_or_default();
    let folder = match archive {
        true => archived,
        false => {
            let stamp = name.to_str().and_then(rollout::Name::parse).map_or("", |name| name.stamp);
            home.path().join("sessions").join(stamp.get(..10).unwrap_or("").replace('-', "/"))
        }
    };
    let target = folder.join(name);
    let moved = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    #[allow(clippy::disallowed_methods)] // It moves a file that is whole, and replaces none.
    moved.and_then(|()| fs::rename(&path, &target)).map_err(io_error)?;
    let now = Timestamp::now();
    let at = if archive { Cell::from(now.0 / 1000) } else { Cell::Null };
    let mut values = vec![
        ("archived", Cell::from(i64::from(archive))),
        ("archived_at", at),
        ("rollout_path", Cell::from(&*target.to_string_lossy())),
    ];
    if !archive {
        let file = File::options().append(true).open(&target);
        file.and_then(|file| file.set_modified(std::time::SystemTime::now())).map_err(io_error)?;
        values.extend(updated(now));
    }
    rows.set(id, values).map_err(|_| NO_ROW.to_owned())
}

/// Removes a session.
pub(super) fn delete(home: &Home, rows: &Rows, id: Id) -> Had<()> {
    let path = find(home, id, rows.text(id, "rollout_path"))
        .ok_or_else(|| format!("no rollout found for thread id {id}"))?;
    fs::remove_file(path).map_err(io_error)?;
    rows.remove(id).map_err(|_| NO_ROW.to_owned())
}
