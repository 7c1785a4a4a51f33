//! Queries: a filter, an order, and the parts of a session that must be known to answer.
//!
//! A filter can be applied before everything about a session is known: [`Filter::rejects`] judges by the parts that
//! were read so far, so that the messages of a session in another directory are not read. [`Needs`] names the parts.
//!
//! ```
//! use codex_agent_shared::query::{Filter, Needs};
//! use codex_agent_shared::record::Session;
//!
//! let filter = Filter { branch: vec!["main".to_owned()], ..Filter::default() };
//! let mut session = Session::default();
//! session.title = Some("of another branch".into());
//! assert!(filter.rejects(&session, filter.needs()));
//! // A part that was not read yet rejects nothing.
//! assert!(!filter.rejects(&session, Needs::default()));
//! ```

use std::cmp::Ordering;
use std::path::{Component, Path, PathBuf};

use crate::choice::Choice;
use crate::error::{Error, Result};
pub use crate::record::Needs;
use crate::record::{Field, Id, Session, Status, Value};
use crate::text::matches;
use crate::time::Timestamp;

/// Whether archived sessions match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Archived {
    /// Only sessions that are not archived.
    #[default]
    No,
    /// All sessions.
    With,
    /// Only archived sessions.
    Only,
}

/// A directory that a user names: as typed (made absolute), and without symbolic links, which is the form that Codex
/// stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(Vec<String>);

impl Directory {
    /// Resolves a directory, which need not exist any more. Bytes that are not UTF-8 are replaced as in records.
    pub fn new(path: &Path) -> Directory {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let real = std::fs::canonicalize(&absolute).ok();
        // In a directory that does not exist any more, '..' can only be resolved by its text.
        let without_dots = without_dots(&absolute);
        let mut equivalent_paths = Vec::new();
        for form in [absolute].into_iter().chain(real).chain([without_dots]) {
            let form = trimmed(&form.to_string_lossy());
            if !equivalent_paths.contains(&form) {
                equivalent_paths.push(form);
            }
        }
        Directory(equivalent_paths)
    }

    /// All forms of the directory.
    pub fn equivalent_paths(&self) -> &[String] {
        &self.0
    }

    fn is(&self, cwd: &str) -> bool {
        self.0.iter().any(|form| form == cwd.strip_suffix('/').filter(|c| !c.is_empty()).unwrap_or(cwd))
    }

    fn contains(&self, cwd: &str) -> bool {
        let below =
            |form: &str| cwd.strip_prefix(form).is_some_and(|rest| form == "/" || rest.starts_with('/'));
        self.is(cwd) || self.0.iter().any(|form| below(form))
    }
}

fn without_dots(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

fn trimmed(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

/// The time of a session that `since` and `until` compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clock {
    /// The start of the last turn.
    #[default]
    Updated,
    /// The start of the session.
    Created,
}

impl Choice for Clock {
    const ALL: &'static [(Clock, &'static str, &'static str)] = &[
        (Clock::Updated, "updated", "the start of the last turn"),
        (Clock::Created, "created", "the start of the session"),
    ];
}

/// Conditions, of which a session must meet all. A list of patterns is met if one of them matches; an empty list
/// is no condition. In a pattern `*` matches any run of characters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The directory is one of these.
    pub cwd: Vec<Directory>,
    /// The directory is one of these or below.
    pub under: Vec<Directory>,
    /// The URL of the git remote `origin`.
    pub repo: Vec<String>,
    /// The git branch.
    pub branch: Vec<String>,
    /// The source, by Codex's name.
    pub source: Vec<String>,
    /// The program that created the session.
    pub originator: Vec<String>,
    /// The provider of the model.
    pub provider: Vec<String>,
    /// The model.
    pub model: Vec<String>,
    /// The version of Codex.
    pub cli_version: Vec<String>,
    /// The name.
    pub name: Vec<String>,
    /// The session has a name.
    pub named: bool,
    /// Whether archived sessions match.
    pub archived: Archived,
    /// Whether subagents match.
    pub subagents: bool,
    /// The id is one of these, which are sorted.
    pub ids: Option<Vec<Id>>,
    /// The session is a fork of this one.
    pub forks_of: Option<Id>,
    /// The status is one of these. The status is known last, so that [`Filter::rejects`] ignores this condition, and
    /// [`Filter::rejects_status`] judges it.
    pub status: Vec<Status>,
    /// The time that `since` and `until` compare.
    pub clock: Clock,
    /// The earliest time.
    pub since: Option<Timestamp>,
    /// The latest time.
    pub until: Option<Timestamp>,
    /// Words in lower case, each of which occurs in name, title, first message, directory or branch.
    pub words: Vec<String>,
}

impl Filter {
    /// The lists of patterns, each with its field and the part of a session that decides.
    fn patterns(&self) -> [(&[String], Field, Needs); 8] {
        [
            (&self.source, Field::Source, Needs::START),
            (&self.originator, Field::Originator, Needs::START),
            (&self.provider, Field::ModelProvider, Needs::START),
            (&self.cli_version, Field::CliVersion, Needs::START),
            (&self.repo, Field::OriginUrl, Needs::META),
            (&self.branch, Field::Branch, Needs::META),
            (&self.name, Field::Name, Needs::NAMES),
            (&self.model, Field::Model, Needs::MESSAGE),
        ]
    }

    /// The parts of a session that decide at last.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::NAME;
        let patterns = self.patterns().map(|(patterns, field, _)| (!patterns.is_empty(), field));
        for (is_condition, field) in patterns.into_iter().chain([
            (!self.cwd.is_empty() || !self.under.is_empty(), Field::Cwd),
            (!self.subagents, Field::Source),
            (self.named, Field::Name),
            (self.forks_of.is_some(), Field::ForkedFrom),
            (!self.status.is_empty(), Field::Status),
        ]) {
            if is_condition {
                needs |= field.needs();
            }
        }
        if self.forks_of.is_some() {
            // A record with one field from the rollout has all of them.
            needs |= Needs::ENDING;
        }
        if self.since.is_some() || self.until.is_some() {
            needs |= match self.clock {
                Clock::Updated => Needs::TAIL,
                Clock::Created => Needs::START,
            };
        }
        if !self.words.is_empty() {
            needs |= Needs::NAMES | Needs::MESSAGE | Needs::META | Needs::START;
        }
        needs
    }

    /// Whether the session fails a condition that the known parts decide.
    pub fn rejects(&self, session: &Session<'_>, known: Needs) -> bool {
        let is_archived = session.archived_at.is_some();
        if match self.archived {
            Archived::No => is_archived,
            Archived::With => false,
            Archived::Only => !is_archived,
        } {
            return true;
        }
        if let (Some(ids), Some(id)) = (&self.ids, session.id)
            && ids.binary_search(&id).is_err()
        {
            return true;
        }
        if known.has(Needs::START) {
            let cwd = session.cwd.as_deref().unwrap_or("");
            if (!self.subagents && session.is_subagent())
                || (!self.cwd.is_empty() && !self.cwd.iter().any(|directory| directory.is(cwd)))
                || (!self.under.is_empty() && !self.under.iter().any(|directory| directory.contains(cwd)))
                || (self.clock == Clock::Created && self.is_out_of_time(session.created_at))
            {
                return true;
            }
        }
        if known.has(Needs::NAMES) && self.named && session.name.is_none() {
            return true;
        }
        let fails = |(patterns, field, part): (&[String], Field, Needs)| {
            !patterns.is_empty()
                && known.has(part)
                && !matches!(session.value(field), Some(Value::Text(text))
                    if patterns.iter().any(|pattern| matches(pattern, text)))
        };
        if self.patterns().into_iter().any(fails) {
            return true;
        }
        if known.has(Needs::TAIL) && self.clock == Clock::Updated && self.is_out_of_time(session.updated_at) {
            return true;
        }
        if known.has(Needs::ROLLOUT | Needs::START)
            && self.forks_of.is_some()
            && session.forked_from.flatten() != self.forks_of
        {
            return true;
        }
        let all = Needs::NAMES | Needs::MESSAGE | Needs::META | Needs::START;
        !self.words.is_empty() && known.has(all) && !self.has_words(session)
    }

    /// Whether the status, the last part that is known, is not one of the wanted ones.
    #[doc(hidden)]
    pub fn rejects_status(&self, session: &Session<'_>) -> bool {
        !self.status.is_empty() && !session.status.is_some_and(|status| self.status.contains(&status))
    }

    fn is_out_of_time(&self, at: Option<Timestamp>) -> bool {
        // Databases before 0.122 have whole seconds: the time may have been at the end of its second.
        let latest = |at: Timestamp| if at.0 % 1000 == 0 { at.0 + 999 } else { at.0 };
        self.since.is_some_and(|since| at.is_none_or(|at| latest(at) < since.0))
            || self.until.is_some_and(|until| at.is_none_or(|at| at > until))
    }

    fn has_words(&self, session: &Session<'_>) -> bool {
        let texts = [
            session.name.as_deref(),
            session.title.as_deref(),
            session.first_user_message.as_deref().filter(|text| session.title.as_deref() != Some(text)),
            session.cwd.as_deref(),
            session.git.as_ref().and_then(|git| git.branch.as_deref()),
        ];
        let texts: Vec<String> = texts.into_iter().flatten().map(str::to_lowercase).collect();
        self.words.iter().all(|word| texts.iter().any(|text| text.contains(word.as_str())))
    }
}

/// The first key of an order. The id breaks ties, so that the order is total and repeatable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SortKey {
    /// The start of the last turn.
    #[default]
    Updated,
    /// The start of the session.
    Created,
    /// The tokens used.
    Tokens,
    /// The title.
    Title,
    /// The directory.
    Cwd,
}

impl Choice for SortKey {
    const ALL: &'static [(SortKey, &'static str, &'static str)] = &[
        (SortKey::Updated, "updated", "the start of the last turn, the newest first"),
        (SortKey::Created, "created", "the start of the session, the newest first"),
        (SortKey::Tokens, "tokens", "the number of tokens used, the greatest first"),
        (SortKey::Title, "title", "the title"),
        (SortKey::Cwd, "cwd", "the working directory"),
    ];
}

/// An order of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The first key.
    pub key: SortKey,
    /// Whether the greatest value is first. Sessions without a value are last in either direction.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Sort { key: SortKey::Updated, descending: true }
    }
}

impl Sort {
    /// Parses `KEY[:asc|desc]`. By default times and tokens are descending, texts ascending.
    pub fn parse(text: &str) -> Result<Sort> {
        let (key, direction) = text.split_once(':').map_or((text, None), |(key, way)| (key, Some(way)));
        let key = SortKey::parse(key).ok_or_else(|| {
            let keys: Vec<&str> = SortKey::ALL.iter().map(|(_, word, _)| *word).collect();
            Error::usage(format!("invalid value '{key}': unknown key"))
                .hint(format!("keys: {}; each may be followed by :asc or :desc", keys.join(" ")))
        })?;
        let descending = match direction {
            None => !matches!(key, SortKey::Title | SortKey::Cwd),
            Some("asc") => false,
            Some("desc") => true,
            Some(other) => {
                let message = format!("invalid value '{text}': unknown order '{other}'");
                return Err(Error::usage(message).hint("the order is asc or desc, as in updated:asc"));
            }
        };
        Ok(Sort { key, descending })
    }

    /// The parts of a session that the order compares.
    pub fn needs(self) -> Needs {
        match self.key {
            SortKey::Updated => Needs::TAIL,
            SortKey::Created | SortKey::Cwd => Needs::START,
            SortKey::Tokens => Needs::NAME,
            SortKey::Title => Needs::MESSAGE,
        }
    }

    /// Compares two sessions.
    pub fn compare(self, a: &Session<'_>, b: &Session<'_>) -> Ordering {
        fn order<T: Ord>(a: Option<T>, b: Option<T>, descending: bool) -> Ordering {
            match (a, b) {
                (Some(a), Some(b)) if descending => b.cmp(&a),
                (Some(a), Some(b)) => a.cmp(&b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            }
        }
        let descending = self.descending;
        match self.key {
            SortKey::Updated => order(a.updated_at, b.updated_at, descending),
            SortKey::Created => order(a.created_at, b.created_at, descending),
            SortKey::Tokens => order(a.tokens_used, b.tokens_used, descending),
            SortKey::Title => order(a.title.as_deref(), b.title.as_deref(), descending),
            SortKey::Cwd => order(a.cwd.as_deref(), b.cwd.as_deref(), descending),
        }
        .then_with(|| order(a.id, b.id, descending))
    }
}

/// A query for the index.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The conditions.
    pub filter: Filter,
    /// The order.
    pub sort: Sort,
    /// The number of sessions that are skipped first.
    pub offset: usize,
    /// The maximum number of sessions.
    pub limit: Option<usize>,
    /// The fields that are needed; no others are read. By default all that a listing has.
    pub fields: Vec<Field>,
    /// Whether the rollouts are read too, for the values that the database lacks.
    pub full: bool,
}

impl Query {
    /// The fields that are read.
    pub fn shown(&self) -> &[Field] {
        if self.fields.is_empty() { Field::LISTED } else { &self.fields }
    }

    /// The parts of a session that must be read.
    pub fn needs(&self) -> Needs {
        let mut needs = self.filter.needs() | self.sort.needs();
        for field in self.shown() {
            needs |= field.needs();
        }
        if self.full {
            needs |=
                Needs::ROLLOUT | Needs::START | Needs::META | Needs::MESSAGE | Needs::TAIL | Needs::ENDING;
        }
        needs
    }

    /// Whether the filter or the order compares the directory.
    #[doc(hidden)]
    pub fn compares_directory(&self) -> bool {
        let filter = &self.filter;
        self.sort.key == SortKey::Cwd
            || !(filter.cwd.is_empty() && filter.under.is_empty() && filter.words.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_hold_what_is_below_them() {
        let directory = Directory(vec!["/src/a".to_owned()]);
        assert!(directory.is("/src/a") && directory.is("/src/a/"));
        assert!(directory.contains("/src/a/b") && directory.contains("/src/a"));
        assert!(!directory.contains("/src/ab") && !directory.contains("/src"));
        assert!(Directory(vec!["/".to_owned()]).contains("/x"));
    }

    #[test]
    fn orders_are_total() {
        let session = |id: &str, updated| Session {
            id: Id::parse(&format!("01a202e0-8d5d-7d62-82ce-fdb2cd6d1b{id}")),
            updated_at: updated,
            ..Session::default()
        };
        let sort = Sort::parse("updated").unwrap();
        let mut list =
            [session("01", Some(Timestamp(1))), session("02", None), session("03", Some(Timestamp(1)))];
        list.sort_by(|a, b| sort.compare(a, b));
        let ids: Vec<String> = list.iter().map(|s| s.id.unwrap().short()).collect();
        assert_eq!(ids, ["cd6d1b03", "cd6d1b01", "cd6d1b02"]);
        assert!(Sort::parse("colour").is_err() && Sort::parse("title:up").is_err());
    }

    #[test]
    fn a_filter_judges_only_what_is_known() {
        let filter = Filter {
            model: vec!["gpt-5".into()],
            cwd: vec![Directory(vec!["/a".into()])],
            ..Filter::default()
        };
        let session = Session { cwd: Some("/a".into()), ..Session::default() };
        assert!(!filter.rejects(&session, Needs::START));
        assert!(filter.rejects(&session, Needs::START | Needs::MESSAGE));
    }
}
