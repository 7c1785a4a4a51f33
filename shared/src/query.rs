//! Which sessions are asked for, in which order, and what has to be known of each to answer.
//!
//! A filter may be asked before everything about a session is known: [`Filter::rejects`] judges by
//! what has been looked at so far, so that a session that fails on its directory costs no look at
//! its messages. [`Needs`] names those stages.
//!
//! ```
//! use codex_agent_shared::query::{Filter, Needs};
//! use codex_agent_shared::record::Session;
//!
//! let filter = Filter { branch: vec!["main".to_owned()], ..Filter::default() };
//! let mut session = Session::default();
//! session.title = Some("of another branch".into());
//! assert!(filter.rejects(&session, filter.needs()));
//! // What nobody has looked at yet rejects nothing.
//! assert!(!filter.rejects(&session, Needs::default()));
//! ```

use std::cmp::Ordering;
use std::path::Path;

use crate::choice::Choice;
use crate::error::{Error, Result};
pub use crate::record::Needs;
use crate::record::{Field, Id, Session, Status};
use crate::text::matches;
use crate::time::Timestamp;

/// Whether archived sessions are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Archived {
    /// Live sessions only.
    #[default]
    No,
    /// Both.
    With,
    /// Archived ones only.
    Only,
}

/// A directory as a user names it: as typed (made absolute), and without symbolic links, which is
/// the form that Codex stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(Vec<String>);

impl Directory {
    /// Resolves a directory, which need not be there any more. Bytes that are not UTF-8 are
    /// replaced as they are in records.
    pub fn new(path: &Path) -> Directory {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut forms = vec![trimmed(&absolute.to_string_lossy())];
        let real = std::fs::canonicalize(&absolute).ok();
        // Of a directory that is gone, '..' can only be taken at its word.
        for form in real.into_iter().chain([without_dots(&absolute)]) {
            let form = trimmed(&form.to_string_lossy());
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        Directory(forms)
    }

    /// Every form of it.
    pub fn forms(&self) -> &[String] {
        &self.0
    }

    fn is(&self, cwd: &str) -> bool {
        self.0.iter().any(|form| form == cwd.strip_suffix('/').filter(|c| !c.is_empty()).unwrap_or(cwd))
    }

    fn holds(&self, cwd: &str) -> bool {
        let below =
            |form: &str| cwd.strip_prefix(form).is_some_and(|rest| form == "/" || rest.starts_with('/'));
        self.is(cwd) || self.0.iter().any(|form| below(form))
    }
}

fn without_dots(path: &Path) -> std::path::PathBuf {
    use std::path::Component;
    let mut out = std::path::PathBuf::new();
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

/// Which of a session's times `since` and `until` look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clock {
    /// The start of its last turn.
    #[default]
    Updated,
    /// Its making.
    Created,
}

impl Choice for Clock {
    const ALL: &'static [(Clock, &'static str, &'static str)] = &[
        (Clock::Updated, "updated", "the start of the last turn"),
        (Clock::Created, "created", "the start of the session"),
    ];
}

/// Conditions that all must hold. A list of patterns holds where one of them matches; an empty list
/// asks for nothing. In a pattern `*` stands for any run of characters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The directory is one of these.
    pub cwd: Vec<Directory>,
    /// The directory is one of these or below it.
    pub under: Vec<Directory>,
    /// The address of the git remote `origin`.
    pub repo: Vec<String>,
    /// The git branch.
    pub branch: Vec<String>,
    /// Codex's word for how it was made.
    pub source: Vec<String>,
    /// The program that made it.
    pub originator: Vec<String>,
    /// The model's provider.
    pub provider: Vec<String>,
    /// The model.
    pub model: Vec<String>,
    /// The version of Codex.
    pub cli_version: Vec<String>,
    /// The name.
    pub name: Vec<String>,
    /// Has a name at all.
    pub named: bool,
    /// Archived or not.
    pub archived: Archived,
    /// Subagents too.
    pub subagents: bool,
    /// Is one of these (sorted).
    pub ids: Option<Vec<Id>>,
    /// Was forked from this one.
    pub forks_of: Option<Id>,
    /// Is in one of these states. What is still to be found out, where no rollout has been looked into,
    /// rejects nothing: [`Filter::rejects_status`] judges it at last.
    pub status: Vec<Status>,
    /// Which time the next two look at.
    pub clock: Clock,
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Not after this.
    pub until: Option<Timestamp>,
    /// Words (lower case) that all stand in name, title, first message, directory or branch.
    pub words: Vec<String>,
}

impl Filter {
    /// What must be known to judge a session finally.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::NAME;
        for (asked, field) in [
            (!self.cwd.is_empty() || !self.under.is_empty(), Field::Cwd),
            (!self.repo.is_empty() || !self.branch.is_empty(), Field::Git),
            (!self.source.is_empty() || !self.subagents, Field::Source),
            (!self.originator.is_empty(), Field::Originator),
            (!self.provider.is_empty(), Field::ModelProvider),
            (!self.cli_version.is_empty(), Field::CliVersion),
            (!self.model.is_empty(), Field::Model),
            (!self.name.is_empty() || self.named, Field::Name),
            (self.forks_of.is_some(), Field::ForkedFrom),
            (!self.status.is_empty(), Field::Status),
        ] {
            if asked {
                needs |= Needs::of(field);
            }
        }
        if self.forks_of.is_some() {
            // A record that has what only the rollout says has all of it.
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

    /// Whether the session fails a condition that can be judged by what was looked at so far.
    pub fn rejects(&self, session: &Session<'_>, known: Needs) -> bool {
        let text = |list: &[String], value: Option<&str>| {
            !list.is_empty() && !value.is_some_and(|value| list.iter().any(|pattern| matches(pattern, value)))
        };
        let archived = session.archived_at.is_some();
        if match self.archived {
            Archived::No => archived,
            Archived::With => false,
            Archived::Only => !archived,
        } {
            return true;
        }
        if let (Some(ids), Some(id)) = (&self.ids, session.id)
            && ids.binary_search(&id).is_err()
        {
            return true;
        }
        let git = session.git.as_ref();
        if known.has(Needs::START) {
            let cwd = session.cwd.as_deref().unwrap_or("");
            if (!self.subagents && session.is_subagent())
                || (!self.cwd.is_empty() && !self.cwd.iter().any(|directory| directory.is(cwd)))
                || (!self.under.is_empty() && !self.under.iter().any(|directory| directory.holds(cwd)))
                || text(&self.source, session.source.as_deref())
                || text(&self.originator, session.originator.as_deref())
                || text(&self.provider, session.model_provider.as_deref())
                || text(&self.cli_version, session.cli_version.as_deref())
                || (self.clock == Clock::Created && self.out_of_time(session.created_at))
            {
                return true;
            }
        }
        if known.has(Needs::META)
            && (text(&self.repo, git.and_then(|git| git.origin_url.as_deref()))
                || text(&self.branch, git.and_then(|git| git.branch.as_deref())))
        {
            return true;
        }
        if known.has(Needs::NAMES)
            && ((self.named && session.name.is_none()) || text(&self.name, session.name.as_deref()))
        {
            return true;
        }
        if known.has(Needs::MESSAGE) && text(&self.model, session.model.as_deref()) {
            return true;
        }
        if known.has(Needs::TAIL) && self.clock == Clock::Updated && self.out_of_time(session.updated_at) {
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

    /// Whether its state, which is known last of all, is not one of those asked for.
    #[doc(hidden)]
    pub fn rejects_status(&self, session: &Session<'_>) -> bool {
        !self.status.is_empty() && !session.status.is_some_and(|status| self.status.contains(&status))
    }

    fn out_of_time(&self, at: Option<Timestamp>) -> bool {
        // Databases before 0.122 have whole seconds: what happened within one may have been at its end.
        let latest = |at: Timestamp| if at.0 % 1000 == 0 { at.0 + 999 } else { at.0 };
        self.since.is_some_and(|since| at.is_none_or(|at| latest(at) < since.0))
            || self.until.is_some_and(|until| at.is_none_or(|at| at > until))
    }

    fn has_words(&self, session: &Session<'_>) -> bool {
        let places: Vec<String> = [
            session.name.as_deref(),
            session.title.as_deref(),
            session.first_user_message.as_deref().filter(|text| session.title.as_deref() != Some(text)),
            session.cwd.as_deref(),
            session.git.as_ref().and_then(|git| git.branch.as_deref()),
        ]
        .into_iter()
        .flatten()
        .map(str::to_lowercase)
        .collect();
        self.words.iter().all(|word| places.iter().any(|place| place.contains(word.as_str())))
    }
}

/// What a listing is ordered by. The id breaks ties, so that the order is total and repeatable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SortKey {
    /// The start of the last turn.
    #[default]
    Updated,
    /// The making.
    Created,
    /// Tokens used.
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
        (SortKey::Tokens, "tokens", "tokens used, the greatest first"),
        (SortKey::Title, "title", "the title"),
        (SortKey::Cwd, "cwd", "the directory"),
    ];
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// Greatest first. What has no value stands last either way.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Sort { key: SortKey::Updated, descending: true }
    }
}

impl Sort {
    /// Reads `KEY[:asc|desc]`. Times and tokens go down if nothing is said, text goes up.
    pub fn parse(text: &str) -> Result<Sort> {
        let (key, direction) = match text.split_once(':') {
            Some((key, direction)) => (key, Some(direction)),
            None => (text, None),
        };
        let key = SortKey::parse(key).ok_or_else(|| {
            let keys: Vec<&str> = SortKey::ALL.iter().map(|(_, word, _)| *word).collect();
            Error::usage(format!("invalid value '{key}' for '--sort': unknown key"))
                .hint(format!("keys: {}, each with :asc or :desc", keys.join(" ")))
        })?;
        let descending = match direction {
            None => !matches!(key, SortKey::Title | SortKey::Cwd),
            Some("asc") => false,
            Some("desc") => true,
            Some(other) => {
                return Err(Error::usage(format!(
                    "invalid value '{text}' for '--sort': unknown order '{other}'"
                ))
                .hint("the order is asc or desc, as in updated:asc"));
            }
        };
        Ok(Sort { key, descending })
    }

    /// What the order needs to know.
    pub fn needs(self) -> Needs {
        match self.key {
            SortKey::Updated => Needs::TAIL,
            SortKey::Created => Needs::START,
            SortKey::Tokens => Needs::NAME,
            SortKey::Title => Needs::MESSAGE,
            SortKey::Cwd => Needs::START,
        }
    }

    /// Compares two sessions in this order.
    pub fn compare(self, a: &Session<'_>, b: &Session<'_>) -> Ordering {
        fn order<T: Ord>(a: Option<T>, b: Option<T>, descending: bool) -> Ordering {
            match (a, b) {
                (Some(a), Some(b)) if descending => b.cmp(&a),
                (Some(a), Some(b)) => a.cmp(&b),
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
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

/// A question to the index.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Which sessions.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// How many to pass over first.
    pub offset: usize,
    /// How many at the most.
    pub limit: Option<usize>,
    /// The fields that are read, for the index to read no others; none of them named means all but those that
    /// only the rollout has.
    pub fields: Vec<Field>,
    /// Read the rollouts too, for what the database does not have.
    pub full: bool,
}

impl Query {
    /// The fields that are read.
    pub fn shown(&self) -> &[Field] {
        if self.fields.is_empty() { Field::LISTED } else { &self.fields }
    }

    /// What must be looked at to answer.
    pub fn needs(&self) -> Needs {
        let mut needs = self.filter.needs() | self.sort.needs();
        for field in self.shown() {
            needs |= Needs::of(*field);
        }
        if self.full {
            needs |=
                Needs::ROLLOUT | Needs::START | Needs::META | Needs::MESSAGE | Needs::TAIL | Needs::ENDING;
        }
        needs
    }

    /// Whether the directory of a session decides if it is listed, or where.
    #[doc(hidden)]
    pub fn goes_by_directory(&self) -> bool {
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
        assert!(directory.holds("/src/a/b") && directory.holds("/src/a"));
        assert!(!directory.holds("/src/ab") && !directory.holds("/src"));
        assert!(Directory(vec!["/".to_owned()]).holds("/x"));
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
