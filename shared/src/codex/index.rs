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
use std::collections::HashSet;
#[cfg(feature = "sqlite")]
use std::iter::Peekable;
#[cfg(feature = "sqlite")]
use std::ops::ControlFlow;
use std::path::Path;
#[cfg(feature = "sqlite")]
use std::path::PathBuf;

use super::files::{Files, RolloutFile};
use super::holder::Holders;
use super::home::Home;
use super::names::Names;
use super::reader::{FileSession, Reader, warn_of_skipped};
#[cfg(feature = "sqlite")]
use super::reader::{add_title, complete_from_rollout, correct_directory};
use super::rollout::{BARE, Ending};
#[cfg(feature = "sqlite")]
use super::state::State;
use crate::error::{Error, Result, warn_once};
use crate::query::{Archived, Filter, Needs, Query, Sort, SortKey};
#[cfg(feature = "sqlite")]
use crate::record::Field;
use crate::record::{FoundIn, Id, Session, Status};
use crate::time::Timestamp;

// With the files as the only source no listing is restarted.
#[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
mod page;

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
    files: Option<Files>,
    names: Option<Names>,
    holders: Holders,
    ids: Option<Vec<Id>>,
}

impl Index {
    /// Open the index of a home. A problem of the database is a warning, unless the database is the only source.
    pub fn open(home: Home, sources: Sources) -> Result<Index> {
        if !sources.database && !sources.files {
            return Err(Error::usage("neither the database nor the rollout files are to be read"));
        }
        if !home.exists() {
            warn_once(format_args!(
                "there is no Codex home at '{}' yet; set CODEX_HOME to use another",
                home.path().display()
            ));
        }
        #[cfg(feature = "sqlite")]
        let folder = home.database_folder();
        #[cfg(feature = "sqlite")]
        let state = match State::open_first(if sources.database { home.databases() } else { &[] }) {
            Ok(None) if !sources.files && home.exists() => {
                return Err(Error::new(format!("there is no Codex database in '{}'", folder.display())));
            }
            Ok(None) if sources.database && folder != home.path() => {
                let folder = folder.display();
                warn_once(format_args!(
                    "there is no Codex database in '{folder}'; reading only the rollout files"
                ));
                None
            }
            Ok(state) => state,
            Err(error) if sources.files => {
                warn_once(format_args!("{error}; reading only the rollout files"));
                None
            }
            Err(error) => return Err(error),
        };
        #[cfg(not(feature = "sqlite"))]
        if !sources.files {
            return Err(Error::new("this program was built without SQLite and can read files only"));
        }
        Ok(Index {
            home,
            sources,
            #[cfg(feature = "sqlite")]
            state,
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
        let mut page = Page::new(query, emit);
        if page.flow().is_break() || !self.home.exists() {
            return Ok(0);
        }
        let listed = self.list_page(query, &mut page);
        warn_of_skipped();
        listed.map(|()| page.given())
    }

    fn list_page(&mut self, query: &Query, page: &mut Page<'_>) -> Result<()> {
        #[cfg(feature = "sqlite")]
        while self.state.is_some() {
            match self.list_rows(query, page) {
                Err(error) if !page.emit_failed() => {
                    self.open_next_source(error)?;
                    page.restart();
                }
                other => return other,
            }
        }
        self.list_files(query, page)
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
        {
            let names = self.names.take();
            let row = self.ask_database(|state| state.get(id, names.as_ref()));
            self.names = names;
            if let Some(mut session) = row?.flatten() {
                if let Some(files) = &self.files {
                    let live = files.live(id, session.rollout_path.as_deref());
                    add_place(&mut session, live);
                    correct_directory(&mut session);
                    add_title(&mut session, live.map(|file| &*file.path));
                }
                return Ok(Some(session));
            }
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
            self.ids = Some(self.gather_ids()?);
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

    fn gather_ids(&mut self) -> Result<Vec<Id>> {
        #[cfg(not(feature = "sqlite"))]
        let mut ids = Vec::new();
        #[cfg(feature = "sqlite")]
        let mut ids = self.ask_database(State::ids)?.unwrap_or_default();
        if self.sources.files {
            ids.extend(self.files().sessions().map(|file| file.id));
        }
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// The rollout files of the home, walked once.
    #[doc(hidden)]
    pub fn files(&mut self) -> &Files {
        let home = self.home.path();
        self.files.get_or_insert_with(|| Files::walk(home))
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

    /// The answer of the first database that can be read; `None` where only the files are left.
    #[cfg(feature = "sqlite")]
    fn ask_database<T>(&mut self, ask: impl Fn(&State) -> Result<T>) -> Result<Option<T>> {
        while let Some(state) = &self.state {
            match ask(state) {
                Ok(answer) => return Ok(Some(answer)),
                Err(error) => self.open_next_source(error)?,
            }
        }
        Ok(None)
    }

    /// Replace a database that could not be read: by a good one of a lower number if the file is damaged, else by the
    /// files.
    #[cfg(feature = "sqlite")]
    fn open_next_source(&mut self, error: Error) -> Result<()> {
        let failed = self.state.take();
        let behind = |failed: &State| {
            let mut paths = self.home.databases().iter();
            paths.find(|path| *path == failed.path());
            State::open_first(paths.as_slice()).ok().flatten()
        };
        self.state = failed.as_ref().filter(|failed| failed.is_damaged()).and_then(behind);
        match &self.state {
            Some(next) => warn_once(format_args!("{error}; reading '{}' instead", next.path().display())),
            None if self.sources.files => {
                warn_once(format_args!("{error}; reading only the rollout files"));
            }
            None => return Err(error),
        }
        Ok(())
    }

    fn read_names(&mut self, needs: Needs) {
        if needs.has(Needs::NAMES) && self.names.is_none() {
            self.names = Some(Names::read(self.home.path()));
        }
    }

    #[cfg(feature = "sqlite")]
    fn list_rows(&mut self, query: &Query, page: &mut Page<'_>) -> Result<()> {
        let needs = query.needs();
        self.read_names(needs);
        if self.sources.files {
            self.files();
        }
        let Index { home, state, files, names, holders, .. } = self;
        let Some(state) = state else { return Ok(()) };
        // Ids and rows must be of one moment, or a session that is made meanwhile is listed twice.
        let _snapshot = state.snapshot()?;
        let mut extra = Vec::new();
        let mut flags_are_right = true;
        if let Some(files) = files.as_ref() {
            let rows = state.ids()?;
            if query.filter.archived != Archived::With {
                flags_are_right = flags_hold(&state.archived_ids()?, &rows, files);
            }
            let without_row: Vec<&RolloutFile> =
                files.sessions().filter(|file| rows.binary_search(&file.id).is_err()).collect();
            let wanted = page.wanted().unwrap_or(usize::MAX);
            extra = read_page(query, files, names.as_ref(), without_row, wanted);
        }
        let looks = needs.has(Needs::ROLLOUT);
        // A full look changes the other parts, so that they are judged behind it.
        let fixed = Needs::META | Needs::TAIL | Needs::NAMES;
        let known = fixed | Needs::START | Needs::MESSAGE;
        let by_directory = query.compares_directory();
        let shows_directory = query.shown().contains(&Field::Cwd);
        // Completes a row, as far as the filter does not reject it.
        let judge = |session: &mut Session<'_>| {
            let mut rollout = None;
            if let (Some(files), Some(id)) = (files.as_ref(), session.id) {
                let live = files.live(id, session.rollout_path.as_deref());
                add_place(session, live);
                rollout = live.map(|file| file.path.clone());
                if (by_directory || needs.has(Needs::MESSAGE)) && !query.filter.rejects(session, fixed) {
                    if by_directory {
                        correct_directory(session);
                    }
                    if needs.has(Needs::MESSAGE) {
                        add_title(session, rollout.as_deref());
                    }
                }
            }
            if query.filter.rejects(session, if query.full { fixed } else { known }) {
                return None;
            }
            let rollout = rollout.or(session.rollout_path.as_deref().map(PathBuf::from)).filter(|_| looks);
            let ending = rollout.and_then(|path| complete_from_rollout(session, &path, query.full));
            (!looks || !query.filter.rejects(session, known | Needs::ROLLOUT)).then_some(ending)
        };
        let mut merge = Merge {
            sort: query.sort,
            files: extra.into_iter().peekable(),
            finish: &mut |session, ending| {
                // Not for each row: on another system the directories of all rows may be foreign.
                if shows_directory && session.found_in == Some(FoundIn::Both) {
                    correct_directory(session);
                }
                if looks {
                    finish(home, holders, session, ending);
                }
            },
            page,
        };
        let is_sorted = matches!(query.sort.key, SortKey::Updated | SortKey::Created);
        let mut kept = Vec::new();
        state.rows(query, names.as_ref(), flags_are_right, &mut |mut row| {
            let Some(ending) = judge(&mut row) else { return Ok(ControlFlow::Continue(())) };
            if is_sorted {
                return merge.offer(Some((row, ending)));
            }
            kept.push((row.into_owned(), ending));
            Ok(ControlFlow::Continue(()))
        })?;
        kept.sort_by(|(a, _), (b, _)| query.sort.compare(a, b));
        for row in kept {
            if merge.offer(Some(row))?.is_break() {
                return Ok(());
            }
        }
        merge.offer(None).map(drop)
    }

    fn list_files(&mut self, query: &Query, page: &mut Page<'_>) -> Result<()> {
        let needs = query.needs();
        self.read_names(needs);
        let found = match page.wanted().and_then(|wanted| self.read_newest(query, wanted)) {
            Some(found) => found,
            None => {
                let Index { home, files, names, .. } = &mut *self;
                let files = files.get_or_insert_with(|| Files::walk(home.path()));
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
            let found = read_page(query, &files, self.names.as_ref(), files.sessions().collect(), wanted);
            if later == Timestamp(i64::MIN) || last_created(&found, wanted).is_some_and(|last| last > later) {
                return Some(found);
            }
            names = names.saturating_mul(4);
        }
    }
}

fn is_newest_first(sort: Sort) -> bool {
    sort.key == SortKey::Created && sort.descending
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
        let mut whole = reader.read_all(&again);
        // A file that cannot be read again is shown as it was read first.
        let seen: HashSet<Option<Id>> = whole.iter().map(|one| one.session.id).collect();
        whole.extend(found.into_iter().filter(|one| !seen.contains(&one.session.id)));
        whole.sort_by(|a, b| query.sort.compare(&a.session, &b.session));
        return whole;
    }
    found
}

/// Rows, which come in the query's order, and sorted sessions of files, as one stream into a page.
#[cfg(feature = "sqlite")]
struct Merge<'m, 'e> {
    sort: Sort,
    files: Peekable<std::vec::IntoIter<FileSession>>,
    /// Adds the last fields: state and command.
    finish: &'m mut dyn FnMut(&mut Session<'_>, Option<Ending>),
    page: &'m mut Page<'e>,
}

#[cfg(feature = "sqlite")]
impl Merge<'_, '_> {
    /// Offers a row behind the sessions of files that come before it; without a row, all sessions that are left.
    fn offer(&mut self, row: Option<(Session<'_>, Option<Ending>)>) -> Result<ControlFlow<()>> {
        let sort = self.sort;
        let comes_first =
            |file: &FileSession| row.as_ref().is_none_or(|(row, _)| sort.compare(&file.session, row).is_lt());
        while let Some(FileSession { mut session, ending, .. }) = self.files.next_if(comes_first) {
            (self.finish)(&mut session, ending);
            if self.page.offer(&session)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let Some((mut row, ending)) = row else { return Ok(ControlFlow::Continue(())) };
        (self.finish)(&mut row, ending);
        self.page.offer(&row)
    }
}

/// Whether each row that has a file is marked as archived as its file is.
#[cfg(feature = "sqlite")]
fn flags_hold(archived: &[Id], rows: &[Id], files: &Files) -> bool {
    let has = |ids: &[Id], id: Id| ids.binary_search(&id).is_ok();
    archived.iter().all(|id| files.of(*id).iter().all(|file| file.archived))
        && files
            .all()
            .iter()
            .filter(|file| file.archived)
            .all(|file| has(archived, file.id) || !has(rows, file.id))
}

/// Adds the place of the rollout to a row. A file that was made after the walk is found by the path of the row. Codex
/// lists, archives and unarchives by the directory of the file, and corrects the row by that (0.137, 0.171), so that a
/// session is archived as its file is.
#[cfg(feature = "sqlite")]
fn add_place(session: &mut Session<'_>, live: Option<&RolloutFile>) {
    let is_there =
        live.is_some() || session.rollout_path.as_deref().is_some_and(|path| Path::new(path).is_file());
    session.found_in = Some(if is_there { FoundIn::Both } else { FoundIn::Database });
    if let Some(file) = live {
        session.rollout_path = Some(file.path.to_string_lossy().into_owned().into());
        session.archived_at = match file.archived {
            true => session.archived_at.or_else(|| file.archived_at()),
            false => None,
        };
    }
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
