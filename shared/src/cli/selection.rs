//! The sessions that the flags of [`super::filters`] select.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use crate::codex::index::Index;
use crate::error::{Error, Exit, Result, note, status};
use crate::group::Groups;
use crate::query::{Archived, Directory, Filter, Query, Repository, Sort};
use crate::record::{Field, Session};
use crate::reference;
use crate::text::{counted, quoted};
use crate::time::Timestamp;

/// The values of the flags that select sessions.
#[derive(Default, PartialEq)]
pub struct Selection {
    /// The conditions that need no look at the system.
    pub(super) filter: Filter,
    pub(super) cwd: Vec<PathBuf>,
    pub(super) under: Vec<PathBuf>,
    pub(super) repo: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) forks_of: Option<String>,
    /// `--sort`.
    pub sort: Option<Sort>,
    /// `--limit`.
    pub limit: Option<usize>,
    /// `--offset`.
    pub offset: usize,
    /// `--count`.
    pub count: bool,
}

/// A condition by which no session can be found, or none is: the flag, its value, and the filter of it alone.
type Single = (&'static str, String, Filter);

/// The patterns of one flag in a filter.
type Patterns = fn(&mut Filter) -> &mut Vec<String>;

/// The flags that accept a pattern of a value, and their patterns.
const PATTERNS: [(&str, Patterns); 7] = [
    ("branch", |filter| &mut filter.branch),
    ("source", |filter| &mut filter.source),
    ("originator", |filter| &mut filter.originator),
    ("provider", |filter| &mut filter.provider),
    ("model", |filter| &mut filter.model),
    ("cli-version", |filter| &mut filter.cli_version),
    ("name", |filter| &mut filter.name),
];

impl Selection {
    /// Whether one of the flags was given, other than `--sort`.
    pub fn is_given(&self) -> bool {
        *self != Selection { sort: self.sort, ..Selection::default() }
    }

    /// Takes the times out of the filter, for a tool that counts what happened between them: a session is selected if it
    /// was updated at most a day before the first of them, or later, since its last turn may have been long.
    #[doc(hidden)]
    pub fn take_times(&mut self) -> (Option<Timestamp>, Option<Timestamp>) {
        const DAY: i64 = 86_400_000;
        let (since, until) = (self.filter.since, self.filter.until.take());
        self.filter.since = since.map(|since| Timestamp(since.0.saturating_sub(DAY)));
        (since, until)
    }

    /// Whether a flag was given that names directories, repositories or sessions.
    #[doc(hidden)]
    pub fn has_place(&self) -> bool {
        !self.cwd.is_empty()
            || !self.under.is_empty()
            || !self.repo.is_empty()
            || !self.groups.is_empty()
            || self.forks_of.is_some()
    }

    /// The filter. Directories are resolved, and groups and references are looked up.
    pub fn filter(&self, index: &mut Index) -> Result<Filter> {
        let mut filter = self.filter.clone();
        filter.cwd = self.cwd.iter().map(|path| Directory::new(path)).collect();
        filter.under = self.under.iter().map(|path| Directory::new(path)).collect();
        let repositories = self.repo.iter().map(|text| Repository::parse(text));
        filter.repo = repositories.collect::<Result<_>>().map_err(|error| error.within("--repo"))?;
        if !self.groups.is_empty() {
            let groups = Groups::read()?;
            let mut ids = Vec::new();
            for name in &self.groups {
                let group = groups.find(name)?;
                ids.extend(group.sessions());
                // Their hosts are not asked, and this must not look as if the group had no sessions.
                if !group.host_sessions.is_empty() {
                    let count = counted(group.host_sessions.len(), "session");
                    status(format_args!(
                        "without {count} of hosts; 'codex-agent group show {}' lists all sessions of the group",
                        quoted(name)
                    ));
                }
            }
            ids.sort();
            ids.dedup();
            filter.ids = Some(ids);
        }
        if let Some(parent) = &self.forks_of {
            filter.forks_of = reference::resolve(index, parent)?.id;
        }
        Ok(filter)
    }

    /// Prints on a terminal that no session was found, with the conditions that are the reason if there are any.
    pub fn note_none(&self, index: &mut Index, what: &str) -> Result<()> {
        if self.limit == Some(0) || !io::stderr().is_terminal() {
            return Ok(());
        }
        match self.reasons(index)? {
            reasons if !reasons.is_empty() => note(format_args!("{what}: {}", reasons.join("; "))),
            _ if self.filter.archived == Archived::No || !self.filter.subagents => note(format_args!(
                "{what}; --archived and --subagents include archived sessions and subagents"
            )),
            _ => note(what),
        }
        Ok(())
    }

    /// The conditions that no session meets, not even an archived one or a subagent.
    fn reasons(&self, index: &mut Index) -> Result<Vec<String>> {
        let mut reasons = Vec::new();
        if let (Some(since), Some(until)) = (self.filter.since, self.filter.until)
            && since > until
        {
            let at = |at: Timestamp| at.local("%Y-%m-%d %H:%M");
            reasons.push(format!("--since {} is after --until {}", at(since), at(until)));
        }
        for (flag, path) in
            self.cwd.iter().map(|path| ("cwd", path)).chain(self.under.iter().map(|path| ("under", path)))
        {
            if !path.is_dir() {
                reasons.push(format!("'{}' of --{flag} is not a directory", path.display()));
            }
        }
        for (flag, value, filter) in self.singles()? {
            let filter = Filter { archived: Archived::With, subagents: true, ..filter };
            let query = Query { filter, limit: Some(1), fields: vec![Field::Id], ..Query::default() };
            if index.list(&query, &mut |_| Ok(()))? == 0 {
                let hint = match self.count_with_stars(index, flag, &value)? {
                    0 if value.contains('*') || matches!(flag, "group" | "repo") => String::new(),
                    0 => " (a pattern without a star is the whole value)".to_owned(),
                    count => format!(" (--{flag} '*{value}*' matches {})", counted(count, "session")),
                };
                reasons.push(format!("no session has --{flag} '{value}'{hint}"));
            }
        }
        if reasons.is_empty() && self.offset > 0 {
            let query = Query { filter: self.filter(index)?, fields: vec![Field::Id], ..Query::default() };
            let count = index.list(&query, &mut |_| Ok(()))?;
            if count > 0 {
                reasons.push(format!(
                    "--offset {} skips all of the {}",
                    self.offset,
                    counted(count, "session")
                ));
            }
        }
        Ok(reasons)
    }

    /// The number of sessions that have a value of a flag as a part; 0 for a value that is no part of a value.
    fn count_with_stars(&self, index: &mut Index, flag: &str, value: &str) -> Result<usize> {
        if value.contains('*') || value.starts_with(['.', '/']) {
            return Ok(0);
        }
        let pattern = format!("*{value}*");
        let mut filter = Filter { archived: Archived::With, subagents: true, ..Filter::default() };
        match PATTERNS.iter().find(|(name, _)| *name == flag) {
            Some((_, place)) => place(&mut filter).push(pattern),
            None if flag == "repo" => filter.repo.push(Repository::Pattern(pattern)),
            None => return Ok(0),
        }
        index.list(&Query { filter, fields: vec![Field::Id], ..Query::default() }, &mut |_| Ok(()))
    }

    /// Each condition that is a value of a session, alone.
    fn singles(&self) -> Result<Vec<Single>> {
        let mut singles = Vec::new();
        for (flag, place) in PATTERNS {
            for value in place(&mut self.filter.clone()).iter() {
                let mut single = Filter::default();
                place(&mut single).push(value.clone());
                singles.push((flag, value.clone(), single));
            }
        }
        for text in &self.repo {
            let single = Filter { repo: vec![Repository::parse(text)?], ..Filter::default() };
            singles.push(("repo", text.clone(), single));
        }
        for name in &self.groups {
            let mut ids = Groups::read()?.find(name)?.sessions();
            ids.sort();
            let single = Filter { ids: Some(ids), ..Filter::default() };
            singles.push(("group", name.clone(), single));
        }
        Ok(singles)
    }

    /// The flags as they could be typed, for messages.
    pub fn typed(&self) -> String {
        let mut typed = Vec::new();
        let words = self.filter.words.join(" ");
        typed.extend(Some(format!("--find {}", quoted(&words))).filter(|_| !words.is_empty()));
        let at = |flag: &str, at: Option<Timestamp>| {
            at.map(|at| format!("--{flag} {}", quoted(&at.local("%Y-%m-%dT%H:%M"))))
        };
        typed.extend(at("since", self.filter.since));
        typed.extend(at("until", self.filter.until));
        typed.extend(self.under.iter().map(|path| format!("--under {}", quoted(&path.to_string_lossy()))));
        typed.extend(self.repo.iter().map(|repo| format!("--repo {}", quoted(repo))));
        typed.join(" ")
    }

    /// The flags of [`super::filters::selecting`] other than `--find`, as arguments of another tool.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let at = |flag: &str, at: Option<Timestamp>| at.map(|at| OsString::from(format!("--{flag}={at}")));
        let mut arguments: Vec<OsString> =
            at("since", self.filter.since).into_iter().chain(at("until", self.filter.until)).collect();
        let under = self.under.iter().map(|path| ("--under", path.into()));
        let repo = self.repo.iter().map(|repo| ("--repo", repo.into()));
        arguments.extend(under.chain(repo).flat_map(|(flag, value): (&str, OsString)| [flag.into(), value]));
        arguments
    }

    /// An error if sessions are selected by flags and by references.
    fn refuse_references(&self, operands: &[String]) -> Result<()> {
        match operands.first() {
            Some(operand) => {
                Err(Error::usage(format!("'{operand}' cannot be combined with {}", self.typed()))
                    .hint("sessions are selected by references or by these options"))
            }
            None => Ok(()),
        }
    }

    /// The only session that the flags of [`super::filters::selecting`] select; `None` if none of the flags was given. `operands` are
    /// the references that were given instead. A line to standard error reports which session it is, on a terminal or,
    /// with `acts`, always.
    pub fn one(
        &self,
        index: &mut Index,
        operands: &[String],
        acts: bool,
    ) -> Result<Option<Session<'static>>> {
        if !self.is_given() {
            return Ok(None);
        }
        self.refuse_references(operands)?;
        let (filter, typed) = (self.filter(index)?, self.typed());
        let session = match reference::choose(index, &filter, &typed) {
            Ok(session) => session,
            Err(error) if error.exit() == Exit::Negative => {
                let reasons = self.reasons(index)?;
                return Err(reasons.into_iter().fold(error, Error::hint));
            }
            Err(error) => return Err(error),
        };
        let line = format!("{typed} is {}", reference::summary(&session));
        if acts {
            status(line)
        } else {
            note(line)
        }
        Ok(Some(session))
    }

    /// Whether words to search for were given.
    pub fn has_words(&self) -> bool {
        !self.filter.words.is_empty()
    }

    /// All sessions that the flags of [`super::filters::selecting`] select, the best answers first; `None` if none of the flags was
    /// given. No session at all is an error with exit status 1.
    pub fn all(
        &self,
        index: &mut Index,
        operands: &[String],
        archived: Archived,
    ) -> Result<Option<Vec<Session<'static>>>> {
        if !self.is_given() {
            return Ok(None);
        }
        self.refuse_references(operands)?;
        let filter = Filter { archived, ..self.filter(index)? };
        let query = Query { filter, ..Query::default() };
        let mut found = Vec::new();
        reference::search(index, &query, &mut |session| {
            found.push(session.clone().into_owned());
            Ok(())
        })?;
        if found.is_empty() {
            let error = Error::not_found(format!("{} matches no session", self.typed()));
            return Err(self.reasons(index)?.into_iter().fold(error, Error::hint));
        }
        Ok(Some(found))
    }
}
