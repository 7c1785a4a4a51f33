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

mod directory;
mod repository;
mod sort;
mod words;

pub use directory::Directory;
pub use repository::{Repository, root_of};
pub use sort::Sort;
pub use words::{Place, places, rank};

use crate::choice::Choice;
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
    /// The repository, by the URL of the git remote `origin`.
    pub repo: Vec<Repository>,
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
    /// Words in lower case ([`crate::text::lowered`]), each of which occurs in name, title, first message, directory or branch.
    pub words: Vec<String>,
}

impl Filter {
    /// The lists of patterns, each with its field and the part of a session that decides.
    fn patterns(&self) -> [(&[String], Field, Needs); 7] {
        [
            (&self.source, Field::Source, Needs::START),
            (&self.originator, Field::Originator, Needs::START),
            (&self.provider, Field::ModelProvider, Needs::START),
            (&self.cli_version, Field::CliVersion, Needs::START),
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
        for repository in &self.repo {
            needs |= repository.needs();
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
        let fits = |repository: &Repository| !known.has(repository.needs()) || repository.has(session);
        if !self.repo.is_empty() && !self.repo.iter().any(fits) {
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
        !self.words.is_empty() && known.has(all) && places(&self.words, session).is_none()
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
        let is_here = |repository: &Repository| repository.needs().has(Needs::START);
        self.sort.field == Field::Cwd
            || filter.repo.iter().any(is_here)
            || !(filter.cwd.is_empty() && filter.under.is_empty() && filter.words.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_judges_only_what_is_known() {
        let filter = Filter {
            model: vec!["gpt-5".into()],
            cwd: vec![Directory::new(std::path::Path::new("/no-such-directory"))],
            ..Filter::default()
        };
        let session = Session { cwd: Some("/no-such-directory".into()), ..Session::default() };
        assert!(!filter.rejects(&session, Needs::START));
        assert!(filter.rejects(&session, Needs::START | Needs::MESSAGE));
    }
}
