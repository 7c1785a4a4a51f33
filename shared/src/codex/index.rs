//! Which sessions are there: the union of Codex's database and the rollout files.
//!
//! The database gives the rows; a walk over the *names* of the files finds sessions that have no row
//! (only their heads are read) and rows whose file is gone. So a listing is complete although it is
//! fast. Where the database is missing or cannot be read the files alone answer, with one line on
//! standard error. One unreadable or broken file costs one warning, never the listing.
//!
//! Memory is bounded by what is shown and by the names of the files; a rollout is never held whole.
//! At most eight files are open at once, whatever their number.

use std::cmp::Reverse;
use std::collections::HashSet;
#[cfg(feature = "sqlite")]
use std::iter::Peekable;
#[cfg(feature = "sqlite")]
use std::ops::ControlFlow;
use std::path::Path;

use super::files::{Files, RolloutFile};
use super::holder::Holders;
use super::home::Home;
use super::names::Names;
use super::reader::{FileSession, Reader, warn_of_skipped};
#[cfg(feature = "sqlite")]
use super::reader::{complete_from_rollout, mend_directory, take_title};
use super::rollout::{BARE, Ending};
#[cfg(feature = "sqlite")]
use super::state::State;
use crate::error::{Error, Result, warn_once};
use crate::query::{Archived, Filter, Needs, Query, Sort, SortKey};
#[cfg(feature = "sqlite")]
use crate::record::Field;
use crate::record::{FoundIn, Id, Session, Status};
use crate::time::Timestamp;

// With the files as the only source no listing begins anew.
#[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
mod page;

use page::Page;

/// Where to look.
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

/// Everything that is known about the sessions of one home. What is not asked for is not read.
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
    /// Opens the index of a home. Trouble with the database is told and gone round, unless it is the
    /// only source that was asked for.
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
        let candidates = if sources.database { home.databases() } else { &[] };
        #[cfg(feature = "sqlite")]
        let state = match State::open_first(candidates) {
            Ok(None) if sources.files || !home.exists() => {
                if sources.database && home.database_folder() != home.path() {
                    let folder = home.database_folder().display();
                    warn_once(format_args!(
                        "there is no Codex database in '{folder}'; reading only the rollout files"
                    ));
                }
                None
            }
            Ok(None) => {
                let folder = home.database_folder().display();
                return Err(Error::new(format!("there is no Codex database in '{folder}'")));
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

    /// The home that this is the index of.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Gives each session that the query asks for to `emit`, in its order, each as soon as it is
    /// known. Returns how many there were.
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
                    self.go_on_without(error)?;
                    page.restart();
                }
                other => return other,
            }
        }
        self.list_files(query, page)
    }

    /// One session, hidden or not.
    pub fn get(&mut self, id: Id) -> Result<Option<Session<'static>>> {
        if !self.home.exists() {
            return Ok(None);
        }
        self.read_names(Needs::NAMES);
        if self.sources.files {
            self.files();
        }
        #[cfg(feature = "sqlite")]
        while let Some(state) = &self.state {
            match state.get(id, self.names.as_ref()) {
                Ok(Some(mut session)) => {
                    if let Some(files) = &self.files {
                        let live = files.live(id, session.rollout_path.as_deref());
                        place(&mut session, live);
                        mend_directory(&mut session);
                        take_title(&mut session, live.map(|file| &*file.path));
                    }
                    return Ok(Some(session));
                }
                Ok(None) => break,
                Err(error) => self.go_on_without(error)?,
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

    /// The ids of all sessions, sorted, hidden ones too. They are gathered once.
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
        let mut ids = Vec::new();
        #[cfg(feature = "sqlite")]
        while let Some(state) = &self.state {
            match state.ids() {
                Ok(found) => {
                    ids = found;
                    break;
                }
                Err(error) => self.go_on_without(error)?,
            }
        }
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

    /// The database, if it is there, can be read and was asked for.
    #[doc(hidden)]
    #[cfg(feature = "sqlite")]
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// Whether the database is to be looked at, be it there or not.
    #[doc(hidden)]
    pub fn asks_database(&self) -> bool {
        self.sources.database
    }

    /// The database failed while it was read, which need not show when it is opened: a good one behind a
    /// damaged one takes its place, else the files do.
    #[cfg(feature = "sqlite")]
    fn go_on_without(&mut self, error: Error) -> Result<()> {
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
        // Ids and rows must be of one moment, or a session that comes in between is listed twice.
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
        let known = Needs::START | Needs::META | Needs::MESSAGE | Needs::TAIL | Needs::NAMES;
        // What a full look may change is not judged before it.
        let early = if query.full { Needs::META | Needs::TAIL | Needs::NAMES } else { known };
        let by_directory = query.compares_directory();
        let shows_directory = query.shown().contains(&Field::Cwd);
        // Completes a row, as far as the filter does not reject it.
        let judge = |session: &mut Session<'_>| {
            let mut rollout = None;
            if let (Some(files), Some(id)) = (files.as_ref(), session.id) {
                let live = files.live(id, session.rollout_path.as_deref());
                place(session, live);
                rollout = live.map(|file| file.path.clone());
                let others = Needs::META | Needs::TAIL | Needs::NAMES;
                if (by_directory || needs.has(Needs::MESSAGE)) && !query.filter.rejects(session, others) {
                    if by_directory {
                        mend_directory(session);
                    }
                    if needs.has(Needs::MESSAGE) {
                        take_title(session, rollout.as_deref());
                    }
                }
            }
            if query.filter.rejects(session, early) {
                return Err(Rejected);
            }
            let mut ending = None;
            if looks {
                let rollout = rollout.or(session.rollout_path.as_deref().map(std::path::PathBuf::from));
                ending = rollout.and_then(|path| complete_from_rollout(session, &path, query.full));
                if query.filter.rejects(session, known | Needs::ROLLOUT) {
                    return Err(Rejected);
                }
            }
            Ok(ending)
        };
        let mut merge = Merge {
            sort: query.sort,
            files: extra.into_iter().peekable(),
            finish: &mut |session, ending| {
                // Here, and not for each row: on another system all of them may be foreign.
                if shows_directory && session.found_in == Some(FoundIn::Both) {
                    mend_directory(session);
                }
                if looks {
                    finish(home, holders, session, ending);
                }
            },
            page,
        };
        if matches!(query.sort.key, SortKey::Updated | SortKey::Created) {
            state.rows(query, names.as_ref(), flags_are_right, &mut |mut row| match judge(&mut row) {
                Ok(ending) => merge.row(row, ending),
                Err(Rejected) => Ok(ControlFlow::Continue(())),
            })?;
        } else {
            let mut kept = Vec::new();
            state.rows(query, names.as_ref(), flags_are_right, &mut |mut row| {
                if let Ok(ending) = judge(&mut row) {
                    kept.push((row.into_owned(), ending));
                }
                Ok(ControlFlow::Continue(()))
            })?;
            kept.sort_by(|(a, _), (b, _)| query.sort.compare(a, b));
            for (row, ending) in kept {
                if merge.row(row, ending)?.is_break() {
                    break;
                }
            }
        }
        merge.rest()
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
        // A file that fails at the second look is shown as the first one saw it.
        let seen: HashSet<Option<Id>> = whole.iter().map(|one| one.session.id).collect();
        whole.extend(found.into_iter().filter(|one| !seen.contains(&one.session.id)));
        whole.sort_by(|a, b| query.sort.compare(&a.session, &b.session));
        return whole;
    }
    found
}

/// The filter does not accept a row.
#[cfg(feature = "sqlite")]
struct Rejected;

/// Rows, which come in the query's order, and sorted sessions of files, as one stream into a page.
#[cfg(feature = "sqlite")]
struct Merge<'m, 'e> {
    sort: Sort,
    files: Peekable<std::vec::IntoIter<FileSession>>,
    /// Adds what is found out last: state and command.
    finish: &'m mut dyn FnMut(&mut Session<'_>, Option<Ending>),
    page: &'m mut Page<'e>,
}

#[cfg(feature = "sqlite")]
impl Merge<'_, '_> {
    /// Offers the sessions of files that stand before a row, and then the row.
    fn row(&mut self, mut row: Session<'_>, ending: Option<Ending>) -> Result<ControlFlow<()>> {
        while let Some(file) = self.files.next_if(|file| self.sort.compare(&file.session, &row).is_lt()) {
            if self.file(file)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        (self.finish)(&mut row, ending);
        self.page.offer(&row)
    }

    /// Offers the sessions of files that stand behind the last row.
    fn rest(mut self) -> Result<()> {
        while let Some(file) = self.files.next() {
            if self.file(file)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn file(&mut self, mut file: FileSession) -> Result<ControlFlow<()>> {
        (self.finish)(&mut file.session, file.ending);
        self.page.offer(&file.session)
    }
}

/// Whether every row that has a file says archived as the file's place does.
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

/// Says where a row's rollout is. A file that was made after the names were walked is found where the row
/// says. Codex lists, archives and unarchives by where the file lies and puts the row right by that (0.137,
/// 0.171), so that a session is archived as its file is.
#[cfg(feature = "sqlite")]
fn place(session: &mut Session<'_>, live: Option<&RolloutFile>) {
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

/// Adds what takes a look at other processes, or at all that is known.
fn finish(home: &Home, holders: &mut Holders, session: &mut Session<'_>, ending: Option<Ending>) {
    let rollout = session.rollout_path.as_deref().map(Path::new);
    session.status = Some(status(home, holders, session.id, rollout, ending));
    session.resume_command = Some(resume_command(session));
}

fn status(
    home: &Home,
    holders: &mut Holders,
    id: Option<Id>,
    rollout: Option<&Path>,
    ending: Option<Ending>,
) -> Status {
    let (Some(id), Some(rollout), Some(ending)) = (id, rollout, ending) else { return Status::Unknown };
    match ending {
        Ending::NoTurn | Ending::Completed => Status::Idle,
        Ending::Failed => Status::Failed,
        Ending::Interrupted => Status::Interrupted,
        Ending::Begun => match holders.holds(home.path(), id, rollout) {
            Some(true) => Status::Running,
            Some(false) => Status::Interrupted,
            None => Status::Unknown,
        },
        Ending::Unanswered => match holders.holds(home.path(), id, rollout) {
            Some(true) => Status::Running,
            _ => Status::Unknown,
        },
    }
}

/// `codex resume` takes the directory with `--cd` in every version from 0.45 to 0.171. An archived
/// session cannot be resumed before it is unarchived, one without a rollout or in the bare format not
/// at all.
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
