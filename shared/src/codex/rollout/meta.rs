//! The first line of a rollout: `session_meta`.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{is_compressed, read_at};
use crate::record::{Git, Id, Subagent};
use crate::time::Timestamp;

/// The keys of `session_meta`; `None` if a key is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// The session's id.
    pub id: Option<Id>,
    /// The time of the line.
    pub timestamp: Option<Timestamp>,
    /// The directory that the session began in.
    pub cwd: Option<String>,
    /// The program that made the session.
    pub originator: Option<String>,
    /// The version of Codex that made the session.
    pub cli_version: Option<String>,
    /// How the session was made, by Codex's name; see [`source`].
    pub source: Option<String>,
    /// The parent and names of a subagent.
    pub subagent: Option<Subagent<'static>>,
    /// The session that started this one, also of a reviewer (from 0.137 at the latest).
    pub parent: Option<Id>,
    /// The path of a subagent among the agents of its tree, such as `/root/explore` (from 0.169 on).
    pub agent_path: Option<String>,
    /// The ordinal of the first line that is not a copy of a line of the parent (subagents with context).
    pub own_from: Option<u64>,
    /// The provider of the model.
    pub model_provider: Option<String>,
    /// The session that this one was forked from.
    pub forked_from: Option<Id>,
    /// `legacy` or `paginated`; absent up to 0.142, which know only the former. `bare` where the first
    /// line has no envelope.
    pub history_mode: Option<String>,
    /// The part of another file that comes before this file's own lines (paginated forks and segments).
    pub base: Option<Base>,
    /// The commit that the session began at.
    pub git: Option<Git<'static>>,
}

/// The part of a file that another file continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// The id of the session, for its first file, or that of the segment, for a further file.
    pub id: Id,
    /// The offset at which the part ends.
    pub end: Option<u64>,
    /// The ordinal of the first line behind the part.
    pub end_ordinal: Option<u64>,
}

impl Base {
    /// The offset at which the part ends in this file, and otherwise the ordinal of the first line behind it. An offset that
    /// is not behind a newline is one of a file that has been written anew: the ordinal counts.
    pub fn bounds(&self, path: &Path) -> (u64, Option<u64>) {
        let offset = self.end.filter(|end| self.end_ordinal.is_none() || is_behind_newline(path, *end));
        (offset.unwrap_or(u64::MAX), self.end_ordinal.filter(|_| offset.is_none()))
    }
}

fn is_behind_newline(path: &Path, offset: u64) -> bool {
    if is_compressed(path) || offset == 0 {
        return true;
    }
    let mut last = [0];
    let read = File::open(path).and_then(|file| read_at(&file, &mut last, offset - 1));
    read.is_ok_and(|got| got == 1) && last == *b"\n"
}

impl Meta {
    /// Whether the first line has no envelope.
    pub fn is_bare(&self) -> bool {
        self.history_mode.as_deref() == Some(BARE)
    }
}

/// The history mode of sessions of before September 2025, whose lines have no envelope, and which no Codex of
/// today reads. The name is ours, not Codex's.
pub(in crate::codex) const BARE: &str = "bare";

/// Whether a line is the first one of a rollout of before September 2025: `id`, `timestamp`,
/// `instructions` and `git`, and no envelope about them.
pub fn is_bare(line: &[u8]) -> bool {
    matches!(read_meta(line), Ok(Some(meta)) if meta.is_bare())
}

/// Codex's `source` as a single word, and the parts of a subagent. `text` is the word itself
/// (`exec`, as the database has it) or JSON (`"exec"`, `{"subagent":…}`, `{"custom":"x"}`).
pub fn source(text: &str) -> (Option<Cow<'_, str>>, Option<Subagent<'static>>) {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Source {
        Subagent(Kind),
        Custom(String),
        Internal(String),
        #[serde(untagged)]
        Word(String),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        ThreadSpawn(Spawn),
        Other(String),
        #[serde(untagged)]
        Word(String),
    }
    #[derive(Deserialize)]
    struct Spawn {
        parent_thread_id: Option<Id>,
        agent_nickname: Option<String>,
        agent_role: Option<String>,
    }
    if text.is_empty() {
        return (None, None);
    }
    if !text.starts_with(['{', '"']) {
        return (Some(Cow::Borrowed(text)), None);
    }
    match serde_json::from_str(text) {
        Ok(Source::Word(word)) => (Some(word.into()), None),
        Ok(Source::Custom(word)) => (Some(format!("custom:{word}").into()), None),
        Ok(Source::Internal(word)) => (Some(format!("internal:{word}").into()), None),
        Ok(Source::Subagent(kind)) => {
            let subagent = match kind {
                Kind::ThreadSpawn(spawn) => Subagent {
                    parent: spawn.parent_thread_id,
                    nickname: spawn.agent_nickname.map(Cow::Owned),
                    role: spawn.agent_role.map(Cow::Owned),
                },
                Kind::Other(role) | Kind::Word(role) => {
                    Subagent { role: Some(role.into()), ..Subagent::default() }
                }
            };
            (Some(Cow::Borrowed("subagent")), Some(subagent))
        }
        // An object of a later version: its one key is the word, and a subagent stays hidden.
        Err(_) => match text.split('"').nth(1) {
            Some("subagent") => (Some(Cow::Borrowed("subagent")), Some(Subagent::default())),
            word => (word.map(Cow::Borrowed), None),
        },
    }
}

/// Reads a line; `None` where it is no `session_meta`.
pub(super) fn read_meta(line: &[u8]) -> serde_json::Result<Option<Meta>> {
    #[derive(Deserialize)]
    #[serde(bound(deserialize = "'de: 'a"))]
    struct FirstLine<'a> {
        #[serde(rename = "type", borrow)]
        kind: Option<Cow<'a, str>>,
        payload: Option<Payload<'a>>,
        // These three are keys of the bare format.
        id: Option<&'a RawValue>,
        timestamp: Option<&'a RawValue>,
        git: Option<&'a RawValue>,
    }
    let FirstLine { kind, payload, id, timestamp, git } = serde_json::from_slice(line)?;
    match kind.as_deref() {
        Some("session_meta") => Ok(payload.map(Meta::from)),
        Some(_) => Ok(None),
        None => Ok(id.zip(timestamp).and_then(|(id, timestamp)| {
            let timestamp: Option<String> = serde_json::from_str(timestamp.get()).ok();
            Some(Meta {
                id: Some(serde_json::from_str(id.get()).ok()?),
                timestamp: timestamp.and_then(|text| Timestamp::parse(&text)),
                git: git.and_then(|git| serde_json::from_str(git.get()).ok()).map(Commit::into_git),
                history_mode: Some(BARE.to_owned()),
                ..Meta::default()
            })
        })),
    }
}

/// Reads the beginning of a line that is unfinished after its instructions, which are most of it. `None` where the
/// keys before the instructions are not all that count: up to 0.77 some come after the instructions, which are short
/// there.
pub(super) fn read_start(start: &[u8]) -> Option<Meta> {
    let keys = [&b",\"base_instructions\":"[..], b",\"instructions\":"];
    let end = keys.iter().filter_map(|key| memmem::find(start, key)).min()?;
    let line = [&start[..end], b"}}"].concat();
    read_meta(&line).ok().flatten().filter(|meta| meta.source.is_some())
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Payload<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow)]
    forked_from_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    parent_thread_id: Option<Cow<'a, str>>,
    cwd: Option<String>,
    originator: Option<String>,
    cli_version: Option<String>,
    model_provider: Option<String>,
    history_mode: Option<String>,
    history_base: Option<HistoryBase>,
    agent_path: Option<String>,
    #[serde(rename = "subagent_history_start_ordinal")]
    own_from: Option<u64>,
    source: Option<&'a RawValue>,
    git: Option<Commit>,
}

#[derive(Deserialize)]
struct HistoryBase {
    thread_id: Option<Id>,
    end_byte_offset: Option<u64>,
    end_ordinal_exclusive: Option<u64>,
}

impl HistoryBase {
    fn into_base(self) -> Option<Base> {
        let HistoryBase { thread_id, end_byte_offset: end, end_ordinal_exclusive: end_ordinal } = self;
        Some(Base { id: thread_id?, end, end_ordinal })
    }
}

#[derive(Deserialize)]
struct Commit {
    commit_hash: Option<String>,
    branch: Option<String>,
    repository_url: Option<String>,
}

impl Commit {
    fn into_git(self) -> Git<'static> {
        Git {
            sha: self.commit_hash.map(Cow::Owned),
            branch: self.branch.map(Cow::Owned),
            origin_url: self.repository_url.map(Cow::Owned),
        }
    }
}

impl From<Payload<'_>> for Meta {
    fn from(payload: Payload<'_>) -> Meta {
        let (source, subagent) = payload.source.map_or((None, None), |json| source(json.get()));
        Meta {
            id: payload.id.and_then(|id| Id::parse(&id)),
            timestamp: payload.timestamp.and_then(|text| Timestamp::parse(&text)),
            cwd: payload.cwd,
            originator: payload.originator,
            cli_version: payload.cli_version,
            source: source.map(Cow::into_owned),
            subagent,
            parent: payload.parent_thread_id.and_then(|id| Id::parse(&id)),
            agent_path: payload.agent_path,
            own_from: payload.own_from,
            model_provider: payload.model_provider,
            forked_from: payload.forked_from_id.and_then(|id| Id::parse(&id)),
            history_mode: payload.history_mode,
            base: payload.history_base.and_then(HistoryBase::into_base),
            git: payload.git.map(Commit::into_git),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "01a20307-24fb-7b81-b2ee-030bb2fa1e54";

    #[test]
    fn sources_of_every_form() {
        let word = |text| source(text).0.map(Cow::into_owned);
        assert_eq!(word("exec").unwrap(), "exec");
        assert_eq!(word("\"cli\"").unwrap(), "cli");
        assert_eq!(word(r#"{"custom":"x"}"#).unwrap(), "custom:x");
        assert_eq!(word(r#"{"internal":"memory_consolidation"}"#).unwrap(), "internal:memory_consolidation");
        assert_eq!(word(r#"{"future":{"deep":1}}"#).unwrap(), "future");
        assert_eq!(word(""), None);
        let (word, subagent) = source(r#"{"subagent":"review"}"#);
        assert_eq!(
            (word.unwrap().as_ref(), subagent.unwrap().role.unwrap().as_ref()),
            ("subagent", "review")
        );
        let other = source(r#"{"subagent":{"other":"guardian"}}"#).1.unwrap();
        assert_eq!(other.role.unwrap(), "guardian");
        assert!(source(r#"{"subagent":{"new":{}}}"#).1.is_some());
    }

    #[test]
    fn the_start_of_a_line_is_enough() {
        let line = format!(
            r#"{{"timestamp":"x","type":"session_meta","payload":{{"id":"{A}","cwd":"/p","source":"exec","base_instructions":{{"text":"unfinished"#
        );
        assert_eq!(read_start(line.as_bytes()).unwrap().cwd.as_deref(), Some("/p"));
        assert_eq!(read_start(line.replace("\"source\":\"exec\",", "").as_bytes()), None);
        assert!(read_meta(line.as_bytes()).is_err());
        let bare = format!(
            r#"{{"id":"{A}","timestamp":"2025-08-13T10:00:00.000Z","instructions":"x","git":{{"branch":"b"}}}}"#
        );
        assert!(is_bare(bare.as_bytes()));
        let meta = read_meta(bare.as_bytes()).unwrap().unwrap();
        assert_eq!(meta.git, Some(Git { sha: None, branch: Some("b".into()), origin_url: None }));
        assert_eq!(meta.timestamp.unwrap().to_string(), "2025-08-13T10:00:00.000Z");
        for other in
            [r#"{"record_type":"state"}"#, r#"{"type":"message","id":"x","timestamp":"y"}"#, &line, "{"]
        {
            assert!(!is_bare(other.as_bytes()), "{other}");
        }
        assert_eq!(read_meta(br#"{"type":"other","payload":{"cwd":"x"}}"#).unwrap(), None);
    }
}
