//! The first line of a rollout: `session_meta`.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::record::{Id, Subagent};
use crate::time::Timestamp;

/// What `session_meta` says. Text is owned; absent is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// The session's id.
    pub id: Option<Id>,
    /// When the file was begun.
    pub timestamp: Option<Timestamp>,
    /// The directory it was begun in.
    pub cwd: Option<String>,
    /// The program that made it.
    pub originator: Option<String>,
    /// The version of Codex that made it.
    pub cli_version: Option<String>,
    /// Codex's word for how it was made; see [`source`].
    pub source: Option<String>,
    /// Its parent and names, if it is a subagent.
    pub subagent: Option<Subagent<'static>>,
    /// The provider of the model.
    pub model_provider: Option<String>,
    /// The session it was forked from.
    pub forked_from: Option<Id>,
    /// `legacy` or `paginated`; absent up to 0.142, which know only the former. [`BARE`] where the first
    /// line has no envelope.
    pub history_mode: Option<String>,
    /// The session whose lines come before this file's own (paginated forks and segments).
    pub base: Option<Id>,
    /// Commit, branch, address of `origin`.
    pub git: Option<(Option<String>, Option<String>, Option<String>)>,
}

/// The history mode of sessions of before September 2025. Their lines have no envelope, and no Codex of
/// today reads them; it is our word, not Codex's.
pub const BARE: &str = "bare";

/// Whether a line is the first one of a rollout of before September 2025: `id`, `timestamp`,
/// `instructions` and `git`, and no envelope about them.
pub fn is_bare(line: &[u8]) -> bool {
    let mut meta = Meta::default();
    matches!(read_meta(line, &mut meta, false), Ok(true)) && meta.history_mode.as_deref() == Some(BARE)
}

/// Codex's `source` as one word, and the parts of a subagent. `text` is the word itself
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

/// Reads a `session_meta` line into `meta`; false where the line is something else. With `early`,
/// reading stops at the instructions, which are most of the line, and an unfinished line will do.
pub(super) fn read_meta(line: &[u8], meta: &mut Meta, early: bool) -> serde_json::Result<bool> {
    let mut state = MetaState { is_meta: None, stopped: false };
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let seed = LineSeed { meta, state: &mut state, early };
    let result = seed.deserialize(&mut deserializer);
    match result {
        Ok(()) => Ok(state.is_meta == Some(true)),
        Err(_) if state.stopped => Ok(state.is_meta == Some(true)),
        Err(error) => Err(error),
    }
}

struct MetaState {
    is_meta: Option<bool>,
    stopped: bool,
}

struct LineSeed<'m> {
    meta: &'m mut Meta,
    state: &'m mut MetaState,
    early: bool,
}

impl<'de> DeserializeSeed<'de> for LineSeed<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LineSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a line of a rollout")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut id, mut timestamp, mut git) = (None, None, None);
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match key.as_ref() {
                "id" => id = Some(map.next_value::<&RawValue>()?),
                "timestamp" => timestamp = Some(map.next_value::<&RawValue>()?),
                "git" => git = Some(map.next_value::<&RawValue>()?),
                "type" => {
                    self.state.is_meta = Some(map.next_value::<Cow<'_, str>>()? == "session_meta");
                }
                "payload" if self.state.is_meta != Some(false) => {
                    map.next_value_seed(PayloadSeed {
                        meta: &mut *self.meta,
                        state: &mut *self.state,
                        early: self.early,
                    })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let id =
            id.filter(|_| self.state.is_meta.is_none()).and_then(|id| serde_json::from_str(id.get()).ok());
        if id.is_some() && timestamp.is_some() {
            self.state.is_meta = Some(true);
            self.meta.id = id;
            self.meta.history_mode = Some(BARE.to_owned());
            let text = timestamp.and_then(|text| serde_json::from_str::<Cow<'_, str>>(text.get()).ok());
            self.meta.timestamp = text.and_then(|text| Timestamp::parse(&text));
            self.meta.git = git.and_then(|git| serde_json::from_str(git.get()).ok()).and_then(commit);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Commit {
    commit_hash: Option<String>,
    branch: Option<String>,
    repository_url: Option<String>,
}

/// Commit, branch, address of `origin`.
fn commit(git: Option<Commit>) -> Option<(Option<String>, Option<String>, Option<String>)> {
    git.map(|git| (git.commit_hash, git.branch, git.repository_url))
}

struct PayloadSeed<'m> {
    meta: &'m mut Meta,
    state: &'m mut MetaState,
    early: bool,
}

impl<'de> DeserializeSeed<'de> for PayloadSeed<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PayloadSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a payload")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        #[derive(Deserialize)]
        struct Base {
            thread_id: Option<Id>,
        }
        let meta = self.meta;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match key.as_ref() {
                "id" => meta.id = map.next_value::<Option<Cow<'_, str>>>()?.and_then(|id| Id::parse(&id)),
                "timestamp" => {
                    let text = map.next_value::<Option<Cow<'_, str>>>()?;
                    meta.timestamp = text.and_then(|text| Timestamp::parse(&text));
                }
                "cwd" => meta.cwd = map.next_value()?,
                "originator" => meta.originator = map.next_value()?,
                "cli_version" => meta.cli_version = map.next_value()?,
                "model_provider" => meta.model_provider = map.next_value()?,
                "history_mode" => meta.history_mode = map.next_value()?,
                "forked_from_id" => {
                    let text = map.next_value::<Option<Cow<'_, str>>>()?;
                    meta.forked_from = text.and_then(|id| Id::parse(&id));
                }
                "history_base" => {
                    meta.base = map.next_value::<Option<Base>>()?.and_then(|base| base.thread_id);
                }
                "source" => {
                    let raw = map.next_value::<Option<Box<RawValue>>>()?;
                    if let Some(raw) = raw.filter(|raw| raw.get() != "null") {
                        let (word, subagent) = source(raw.get());
                        meta.source = word.map(Cow::into_owned);
                        meta.subagent = subagent;
                    }
                }
                "git" => meta.git = commit(map.next_value()?),
                // Up to 0.77 some of the keys come after the instructions, which are short there.
                "base_instructions" | "instructions" if self.early && meta.source.is_some() => {
                    self.state.stopped = true;
                    return Err(serde::de::Error::custom("far enough"));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
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
        let mut meta = Meta::default();
        assert!(read_meta(line.as_bytes(), &mut meta, true).unwrap());
        assert_eq!(meta.cwd.as_deref(), Some("/p"));
        assert!(read_meta(line.as_bytes(), &mut Meta::default(), false).is_err());
        let bare = format!(
            r#"{{"id":"{A}","timestamp":"2025-08-13T10:00:00.000Z","instructions":"x","git":{{"branch":"b"}}}}"#
        );
        assert!(read_meta(bare.as_bytes(), &mut meta, false).unwrap() && is_bare(bare.as_bytes()));
        assert_eq!(meta.git, Some((None, Some("b".to_owned()), None)));
        assert_eq!(meta.timestamp.unwrap().to_string(), "2025-08-13T10:00:00.000Z");
        for other in
            [r#"{"record_type":"state"}"#, r#"{"type":"message","id":"x","timestamp":"y"}"#, &line, "{"]
        {
            assert!(!is_bare(other.as_bytes()), "{other}");
        }
        assert!(!read_meta(br#"{"type":"other","payload":{"cwd":1}}"#, &mut meta, false).unwrap());
    }
}
