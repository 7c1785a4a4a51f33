//! Listings from the database, with the sessions of files that have no row.

use std::iter::Peekable;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::super::reader::{add_title, complete_from_rollout, correct_directory};
use super::{
    Archived, Ending, Error, FileSession, Files, FoundIn, Home, Id, Index, Needs, Page, Query, Result,
    RolloutFile, Session, Sort, Sources, State, finish, read_page, warn_once,
};
use crate::record::Field;

impl Index {
    /// The database; `None` if only the files are read, which is a warning where the database should be there.
    pub(super) fn open_state(home: &Home, sources: Sources) -> Result<Option<State>> {
        match State::open_first(if sources.database { home.databases() } else { &[] }) {
            Ok(None) => {
                let folder = home.database_folder();
                let message = format!("there is no Codex database in '{}'", folder.display());
                if !sources.files && home.exists() {
                    return Err(Error::new(message));
                }
                if sources.database && folder != home.path() {
                    warn_once(format_args!("{message}; reading only the rollout files"));
                }
                Ok(None)
            }
            Err(error) if sources.files => {
                warn_once(format_args!("{error}; reading only the rollout files"));
                Ok(None)
            }
            other => other,
        }
    }

    /// Fill a page from the first source that can be read.
    pub(super) fn list_all(&mut self, query: &Query, page: &mut Page<'_>) -> Result<()> {
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

    pub(super) fn get_row(&mut self, id: Id) -> Result<Option<Session<'static>>> {
        let names = self.names.take();
        let row = self.ask_database(|state| state.get(id, names.as_ref()));
        self.names = names;
        let Some(mut session) = row?.flatten() else { return Ok(None) };
        if let Some(files) = &self.files {
            let live = files.live(id, session.rollout_path.as_deref());
            add_place(&mut session, live);
            correct_directory(&mut session);
            add_title(&mut session, live.map(|file| &*file.path));
        }
        Ok(Some(session))
    }

    /// The answer of the first database that can be read; `None` where only the files are left.
    pub(super) fn ask_database<T>(&mut self, ask: impl Fn(&State) -> Result<T>) -> Result<Option<T>> {
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
            let mut rest = &rows[..];
            let mut has_row = |file: &&RolloutFile| {
                rest = &rest[rest.iter().take_while(|id| **id < file.id).count()..];
                rest.first() == Some(&file.id)
            };
            let without_row: Vec<&RolloutFile> = files.sessions().filter(|file| !has_row(file)).collect();
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
                rollout = live.map(|file| &*file.path);
                if (by_directory || needs.has(Needs::MESSAGE)) && !query.filter.rejects(session, fixed) {
                    if by_directory {
                        correct_directory(session);
                    }
                    if needs.has(Needs::MESSAGE) {
                        add_title(session, rollout);
                    }
                }
            }
            if query.filter.rejects(session, if query.full { fixed } else { known }) {
                return None;
            }
            let ending = match looks {
                true => {
                    let named = || session.rollout_path.as_deref().map(PathBuf::from);
                    let rollout = rollout.map(Path::to_owned).or_else(named);
                    rollout
                        .and_then(|path| complete_from_rollout(session, &path, files.as_deref(), query.full))
                }
                false => None,
            };
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
        let is_sorted = matches!(query.sort.field, Field::UpdatedAt | Field::CreatedAt);
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
}

/// Rows, which come in the query's order, and sorted sessions of files, as one stream into a page.
struct Merge<'m, 'e> {
    sort: Sort,
    files: Peekable<std::vec::IntoIter<FileSession>>,
    /// Adds the last fields: state and command.
    finish: &'m mut dyn FnMut(&mut Session<'_>, Option<Ending>),
    page: &'m mut Page<'e>,
}

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
fn flags_hold(archived: &[Id], rows: &[Id], files: &Files) -> bool {
    let has = |ids: &[Id], id: Id| ids.binary_search(&id).is_ok();
    archived.iter().all(|id| files.of_session(*id).iter().all(|file| file.archived))
        && files
            .all()
            .iter()
            .filter(|file| file.archived)
            .all(|file| has(archived, file.id) || !has(rows, file.id))
}

/// Adds the place of the rollout to a row. A file that was made after the walk is found by the path of the row. Codex
/// lists, archives and unarchives by the directory of the file, and corrects the row by that (0.137, 0.171), so that a
/// session is archived as its file is.
fn add_place(session: &mut Session<'_>, live: Option<&RolloutFile>) {
    let is_there =
        live.is_some() || session.rollout_path.as_deref().is_some_and(|path| Path::new(path).is_file());
    session.found_in = Some(if is_there { FoundIn::Both } else { FoundIn::Database });
    if let Some(file) = live {
        // The path of the file is nearly always that of the row.
        let path = file.path.as_os_str().as_encoded_bytes();
        if session.rollout_path.as_deref().map(str::as_bytes) != Some(path) {
            session.rollout_path = Some(file.path.to_string_lossy().into_owned().into());
        }
        session.archived_at = match file.archived {
            true => session.archived_at.or_else(|| file.archived_at()),
            false => None,
        };
    }
}
