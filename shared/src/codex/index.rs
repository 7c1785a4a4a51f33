//! The sessions of a home: the union of Codex's database and the rollout files.
//!
//! The database has the rows; a walk over the *names* of the files finds sessions without a row
//! (only their heads are read) and rows whose file is gone. So a listing is complete although it is
//! fast. If the database is missing or cannot be read, the files alone are read, with one line on
//! standard error. An unreadable or damaged file is a warning; the listing continues.
//!
//! Memory is bounded by the sessions that are shown and by the names of the files; a rollout is never read into memory
//! as a whole. At most eight files are open concurrently.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;

use super::files::{Files, RolloutFile};
use super::holder::Holders;
use super::home::Home;
use super::names::Names;
use super::reader::{FileSession, Reader, warn_of_skipped};
use super::rollout::{BARE, Ending, Name};
#[cfg(feature = "sqlite")]
use super::state::State;
use crate::error::{Error, Result, warn_once};
use crate::query::{Archived, Filter, Needs, Query, Sort};
use crate::record::{Field, FoundIn, Id, Session, Status};
use crate::time::Timestamp;

// With the files as the only source no listing is restarted.
#[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
mod page;
#[cfg(feature = "sqlite")]
mod rows;

use page::Page;

/// The sources of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Codex's database.
    pub database: bool,
    /// The rollout files.
    pub files: bool,
}

impl Default for Sources {
    fn default() -> Self {
        Sources { database: true, files: true }
    }
}

/// The sessions of a home. Only the fields that a query asks for are read.
pub struct Index {
    home: Home,
    sources: Sources,
    #[cfg(feature = "sqlite")]
    state: Option<State>,
    files: Option<Arc<Files>>,
    names: Option<Names>,
    holders: Holders,
    ids: Option<Vec<Id>>,
}

impl Index {
    /// Open the index of a home. A problem of the database is a warning, unless the database is the only source.
    pub fn open(home: Home, sources: Sources) -> Result<Index> {
        if !sources.database && !sources.files {
            return Err(Error::usage(
                "no source of sessions is left: neither the database nor the rollout files are to be read",
            ));
        }
        if !home.exists() {
            warn_once(format_args!(
                "there is no Codex home at '{}' yet; set CODEX_HOME to use another home",
                home.path().display()
            ));
        }
        #[cfg(not(feature = "sqlite"))]
        if !sources.files {
            return Err(Error::new("this program was built without SQLite and can read files only"));
        }
        Ok(Index {
            #[cfg(feature = "sqlite")]
            state: Index::open_state(&home, sources)?,
            home,
            sources,
            files: None,
            names: None,
            holders: Holders::default(),
            ids: None,
        })
    }

    /// The home of the sessions.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Pass each session of a query to `emit`, in the order of the query, as soon as the session is known. Returns the
    /// number of sessions.
    pub fn list(&mut self, query: &Query, emit: &mut dyn FnMut(&Session<'_>) -> Result<()>) -> Result<usize> {
        self.list_while(query, &mut |session| emit(session).map(|()| true))
    }

    /// As [`Index::list`], until `emit` returns `false`.
    pub fn list_while(
        &mut self,
        query: &Query,
        emit: &mut dyn FnMut(&Session<'_>) -> Result<bool>,
    ) -> Result<usize> {
        let mut page = Page::new(query, emit);
        if page.flow().is_break() || !self.home.exists() {
            return Ok(0);
        }
        #[cfg(not(feature = "sqlite"))]
        let listed = self.list_files(query, &mut page);
        #[cfg(feature = "sqlite")]
        let listed = self.list_all(query, &mut page);
        warn_of_skipped();
        listed.map(|()| page.given())
    }

    /// The session of this id, hidden or not.
    pub fn get(&mut self, id: Id) -> Result<Option<Session<'static>>> {
        if !self.home.exists() {
            return Ok(None);
        }
        self.read_names(Needs::NAMES);
        if self.sources.files {
            self.files();
        }
        #[cfg(feature = "sqlite")]
        if let Some(session) = self.get_row(id)? {
            return Ok(Some(session));
        }
        let Some(files) = &self.files else { return Ok(None) };
        let Some(file) = files.live(id, None) else { return Ok(None) };
        let needs = Needs::START | Needs::META | Needs::MESSAGE | Needs::TAIL | Needs::NAMES;
        let filter = Filter { archived: Archived::With, subagents: true, ..Filter::default() };
        let reader = Reader { filter: &filter, needs, names: self.names.as_ref(), files, full: false };
        let found = reader.read_all(&[file]).pop();
        warn_of_skipped();
        Ok(found.map(|found| found.session))
    }

    /// The ids of all sessions, hidden ones too, sorted. Later calls return the ids of the first.
    pub fn ids(&mut self) -> Result<&[Id]> {
        if self.ids.is_none() {
            #[cfg(not(feature = "sqlite"))]
            let mut ids = Vec::new();
            #[cfg(feature = "sqlite")]
            let mut ids = self.ask_database(State::ids)?.unwrap_or_default();
            if self.sources.files {
                ids.extend(self.files().sessions().map(|file| file.id));
            }
            ids.sort();
            ids.dedup();
            self.ids = Some(ids);
        }
        Ok(self.ids.as_deref().unwrap_or_default())
    }

    /// The ids of the sessions whose name begins with `start`, sorted: from the rows only if the file has no names.
    pub(crate) fn named_ids(&mut self, start: &str) -> Result<Vec<Id>> {
        self.read_names(Needs::NAMES);
        if let Some(names) = self.names.as_ref().filter(|names| !names.is_empty()) {
            return Ok(names.ids(start));
        }
        #[cfg(feature = "sqlite")]
        if let Some(state) = &self.state {
            return state.named_ids(start);
        }
        Ok(Vec::new())
    }

    /// The rollout files of the home, walked once.
    #[doc(hidden)]
    pub fn files(&mut self) -> &Files {
        let home = self.home.path();
        self.files.get_or_insert_with(|| Arc::new(Files::walk(home)))
    }

    /// As [`Index::files`], for other threads.
    #[doc(hidden)]
    pub fn shared_files(&mut self) -> Arc<Files> {
        let home = self.home.path();
        Arc::clone(self.files.get_or_insert_with(|| Arc::new(Files::walk(home))))
    }

    /// The database, if it exists, can be read and is a source.
    #[doc(hidden)]
    #[cfg(feature = "sqlite")]
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// Whether the database is a source, even if it does not exist.
    #[doc(hidden)]
    pub fn asks_database(&self) -> bool {
        self.sources.database
    }

    fn read_names(&mut self, needs: Needs) {
        if needs.has(Needs::NAMES) && self.names.is_none() {
            self.names = Some(Names::read(self.home.path()));
        }
    }

    fn list_files(&mut self, query: &Query, page: &mut Page<'_>) -> Result<()> {
        let needs = query.needs();
        self.read_names(needs);
        let found = match page.wanted().and_then(|wanted| self.read_newest(query, wanted)) {
            Some(found) => found,
            None => {
                let Index { home, files, names, .. } = &mut *self;
                let files = files.get_or_insert_with(|| Arc::new(Files::walk(home.path())));
                let wanted = page.wanted().unwrap_or(usize::MAX);
                read_page(query, files, names.as_ref(), files.sessions().collect(), wanted)
            }
        };
        for mut one in found {
            if needs.has(Needs::ROLLOUT) {
                finish(&self.home, &mut self.holders, &mut one.session, one.ending);
            }
            if page.offer(&one.session)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The first page of a listing of the newest sessions by creation, from the directories of the newest days
    /// alone. `None` for another query, or where all directories must be walked.
    fn read_newest(&self, query: &Query, wanted: usize) -> Option<Vec<FileSession>> {
        if !is_newest_first(query.sort) || query.filter.archived != Archived::No || self.files.is_some() {
            return None;
        }
        // Most often less than half of the sessions are hidden.
        let mut names = wanted.saturating_mul(2).saturating_add(16);
        loop {
            let (files, later) = Files::newest(self.home.path(), names)?;
            // The first message of a reverted session is in its first file, which may be in any directory, or archived.
            let has_first = |file: &RolloutFile| {
                let first = files.of_session(file.id).iter().map(RolloutFile::name).min_by_key(Name::age);
                first.is_none_or(|first| first.segment.is_none())
            };
            if !files.all().iter().all(has_first) {
                return None;
            }
            let found = read_page(query, &files, self.names.as_ref(), files.sessions().collect(), wanted);
            if later == Timestamp(i64::MIN) || last_created(&found, wanted).is_some_and(|last| last > later) {
                return Some(found);
            }
            names = names.saturating_mul(4);
        }
    }
}

fn is_newest_first(sort: Sort) -> bool {
    sort.field == Field::CreatedAt && sort.descending
}

/// When the last of `wanted` sessions was created, in a page that is full and sorted by that time.
fn last_created(found: &[FileSession], wanted: usize) -> Option<Timestamp> {
    found.get(wanted.checked_sub(1)?)?.session.created_at
}

/// The first `wanted` of the candidates that the filter accepts, in the query's order. Of the newest sessions by
/// creation, files are read only until no other file can be among them by its name. Fields that are only shown are
/// read of the page alone.
fn read_page(
    query: &Query,
    files: &Files,
    names: Option<&Names>,
    mut candidates: Vec<&RolloutFile>,
    wanted: usize,
) -> Vec<FileSession> {
    let all = query.needs();
    let first = query.filter.needs() | query.sort.needs();
    let is_part = wanted < candidates.len();
    // A full look changes fields that sessions are judged and sorted by.
    let in_two = is_part && first != all && !query.full;
    let mut reader = Reader {
        filter: &query.filter,
        needs: if in_two { first } else { all },
        names,
        files,
        full: query.full,
    };
    let by_name = is_part && is_newest_first(query.sort);
    if by_name {
        candidates.sort_by_cached_key(|file| Reverse(file.name().latest_time()));
    }
    let mut found: Vec<FileSession> = Vec::new();
    let (mut read, mut times) = (0, 1);
    while read < candidates.len() {
        let rest = &candidates[read..];
        let count = match last_created(&found, wanted) {
            _ if !by_name => rest.len(),
            Some(last) => rest.partition_point(|file| file.name().latest_time() >= last),
            // The more of them the filter rejects, the more are read at a time.
            None => rest.len().min((wanted - found.len()).max(8) * times),
        };
        if count == 0 {
            break;
        }
        let mut more = reader.read_all(&rest[..count]);
        more.iter_mut().for_each(|one| one.at += read);
        found.append(&mut more);
        found.sort_by(|a, b| query.sort.compare(&a.session, &b.session));
        found.truncate(wanted);
        read += count;
        times *= 2;
    }
    if in_two {
        reader.needs = all;
        let again: Vec<&RolloutFile> = found.iter().map(|one| candidates[one.at]).collect();
        for one in reader.read_all(&again) {
            let at = one.at;
            found[at] = one;
        }
        found.sort_by(|a, b| query.sort.compare(&a.session, &b.session));
    }
    found
}

/// Adds the fields that depend on other processes or on all other fields.
fn finish(home: &Home, holders: &mut Holders, session: &mut Session<'_>, ending: Option<Ending>) {
    session.status = Some(status(home, holders, session, ending).unwrap_or(Status::Unknown));
    session.resume_command = Some(resume_command(session));
}

fn status(
    home: &Home,
    holders: &mut Holders,
    session: &Session<'_>,
    ending: Option<Ending>,
) -> Option<Status> {
    let (id, rollout) = (session.id?, Path::new(session.rollout_path.as_deref()?));
    Some(match ending? {
        Ending::NoTurn | Ending::Completed => Status::Idle,
        Ending::Failed => Status::Failed,
        Ending::Interrupted => Status::Interrupted,
        ending => match holders.holds(home.path(), id, rollout)? {
            true => Status::Running,
            false if ending == Ending::Begun => Status::Interrupted,
            false => Status::Unknown,
        },
    })
}

/// The command that resumes a session: `codex resume` accepts the directory with `--cd` in every version from 0.45 to
/// 0.171. An archived session must be unarchived first; a session without a rollout, or in the bare format, cannot be
/// resumed.
fn resume_command(session: &Session<'_>) -> Option<Vec<String>> {
    let is_bare = session.history.as_deref() == Some(BARE);
    if session.archived_at.is_some() || session.found_in == Some(FoundIn::Database) || is_bare {
        return None;
    }
    let mut argv: Vec<String> = vec!["codex".into(), "resume".into()];
    if let Some(cwd) = session.cwd.as_deref() {
        argv.extend(["--cd".into(), cwd.to_owned()]);
    }
    argv.push(session.id?.to_string());
    Some(argv)
}
