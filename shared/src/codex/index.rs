//! Which sessions are there: the union of Codex's database and the rollout files.
//!
//! The database gives the rows; a walk over the *names* of the files finds sessions that have no row
//! (only their heads are read) and rows whose file is gone. So a listing is complete although it is
//! fast. Where the database is missing or cannot be read the files alone answer, with one line on
//! standard error. One unreadable or broken file costs one warning, never the listing.
//!
//! Memory is bounded by what is shown and by the names of the files; a rollout is never held whole.
//! At most eight files are open at once, whatever their number.

use std::ops::ControlFlow;
use std::path::Path;

use super::files::{Files, RolloutFile};
use super::holder::Holders;
use super::home::Home;
use super::names::Names;
#[cfg(feature = "sqlite")]
use super::reader::look_into;
use super::reader::{Found, Reader};
use super::rollout::Ending;
#[cfg(feature = "sqlite")]
use super::state::State;
use crate::error::{Error, Result, warn_once};
use crate::query::{Archived, Filter, Needs, Query, SortKey};
use crate::record::{FoundIn, Id, Session, Status};

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
            return Err(Error::usage("--no-database and --no-files together leave nothing to look at"));
        }
        if !home.exists() {
            warn_once(format_args!(
                "there is no Codex home at '{}' yet; CODEX_HOME or --codex-home names another",
                home.path().display()
            ));
        }
        #[cfg(feature = "sqlite")]
        let state = match home.database().filter(|_| sources.database) {
            None if sources.files || !home.exists() => {
                if sources.database && home.database_folder() != home.path() {
                    let folder = home.database_folder().display();
                    warn_once(format_args!(
                        "there is no Codex database in '{folder}'; going by the rollout files alone"
                    ));
                }
                None
            }
            None => {
                let folder = home.database_folder().display();
                let message = format!("there is no Codex database in '{folder}'");
                return Err(Error::new(message).hint("without --no-files the rollout files are listed"));
            }
            Some(path) => match State::open(path).and_then(|state| state.check().map(|()| state)) {
                Ok(state) => Some(state),
                Err(error) if sources.files => {
                    warn_once(format_args!("{error}; going by the rollout files alone"));
                    None
                }
                Err(error) => {
                    return Err(error.hint("without --no-files the rollout files are listed"));
                }
            },
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
        let mut page = Page {
            offset: query.offset,
            left: query.limit,
            given: 0,
            offered: Vec::new(),
            skip: Vec::new(),
            filter: &query.filter,
            failed: false,
            emit,
        };
        if page.left == Some(0) || !self.home.exists() {
            return Ok(0);
        }
        #[cfg(feature = "sqlite")]
        if self.state.is_some() {
            match self.list_rows(query, &mut page) {
                Err(error) if self.sources.files && !page.failed => {
                    self.go_by_files(&error);
                    if page.given == 0 {
                        page.offset = query.offset;
                    } else {
                        page.skip = std::mem::take(&mut page.offered);
                        page.skip.sort();
                    }
                }
                other => return other.map(|()| page.given),
            }
        }
        self.list_files(query, &mut page)?;
        Ok(page.given)
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
        if let Some(state) = &self.state {
            match state.get(id, self.names.as_ref()) {
                Ok(Some(mut session)) => {
                    if let Some(files) = &self.files {
                        let live = files.live(id, session.rollout_path.as_deref());
                        place(&mut session, live);
                    }
                    return Ok(Some(session));
                }
                Ok(None) => {}
                Err(error) if self.sources.files => self.go_by_files(&error),
                Err(error) => return Err(error),
            }
        }
        let Some(files) = &self.files else { return Ok(None) };
        let Some(file) = files.live(id, None) else { return Ok(None) };
        let needs = Needs::START | Needs::META | Needs::MESSAGE | Needs::TAIL | Needs::NAMES;
        let filter = Filter { archived: Archived::With, subagents: true, ..Filter::default() };
        let reader = Reader { filter: &filter, needs, names: self.names.as_ref(), files, full: false };
        Ok(reader.read_all(&[file]).pop().map(|found| found.session))
    }

    /// The ids of all sessions, sorted, hidden ones too. They are gathered once.
    pub fn ids(&mut self) -> Result<&[Id]> {
        if self.ids.is_none() {
            self.ids = Some(self.gather_ids()?);
        }
        Ok(self.ids.as_deref().unwrap_or_default())
    }

    fn gather_ids(&mut self) -> Result<Vec<Id>> {
        let mut ids = Vec::new();
        #[cfg(feature = "sqlite")]
        if let Some(state) = &self.state {
            match state.ids() {
                Ok(found) => ids = found,
                Err(error) if self.sources.files => self.go_by_files(&error),
                Err(error) => return Err(error),
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
    pub fn files(&mut self) -> &Files {
        let home = self.home.path();
        self.files.get_or_insert_with(|| Files::walk(home))
    }

    /// The database, if it is there, can be read and was asked for.
    #[cfg(feature = "sqlite")]
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// Whether the database is to be looked at, be it there or not.
    pub fn asks_database(&self) -> bool {
        self.sources.database
    }

    /// The database failed while it was read, which need not show when it is opened.
    #[cfg(feature = "sqlite")]
    fn go_by_files(&mut self, error: &Error) {
        warn_once(format_args!("{error}; going by the rollout files alone"));
        self.state = None;
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
        if let Some(files) = files.as_ref() {
            let rows = state.ids()?;
            let without_row: Vec<&RolloutFile> =
                files.sessions().filter(|file| rows.binary_search(&file.id).is_err()).collect();
            let reader =
                Reader { filter: &query.filter, needs, names: names.as_ref(), files, full: query.full };
            extra = reader.read_all(&without_row);
            extra.sort_by(|a, b| query.sort.compare(&a.session, &b.session));
        }
        let looks = needs.has(Needs::ROLLOUT);
        let mut finish = |session: &mut Session<'_>, ending: Option<Ending>| {
            if looks {
                let rollout = session.rollout_path.as_deref().map(Path::new);
                session.status = Some(status(home, holders, session.id, rollout, ending));
                session.resume_command = Some(resume_command(session));
            }
        };
        let mut extra = extra.into_iter().peekable();
        let streams = matches!(query.sort.key, SortKey::Updated | SortKey::Created);
        let mut kept = Vec::new();
        let known = Needs::START | Needs::META | Needs::MESSAGE | Needs::TAIL | Needs::NAMES;
        // What a full look may change is not judged before it.
        let early = if query.full { Needs::META | Needs::TAIL | Needs::NAMES } else { known };
        state.rows(query, names.as_ref(), &mut |mut session| {
            let mut rollout = None;
            if let (Some(files), Some(id)) = (files.as_ref(), session.id) {
                let live = files.live(id, session.rollout_path.as_deref());
                place(&mut session, live);
                rollout = live.map(|file| file.path.clone());
            }
            if query.filter.rejects(&session, early) {
                return Ok(ControlFlow::Continue(()));
            }
            let mut ending = None;
            if looks {
                let rollout = rollout.or(session.rollout_path.as_deref().map(std::path::PathBuf::from));
                ending = rollout.and_then(|path| look_into(&mut session, &path, query.full));
                if query.filter.rejects(&session, known | Needs::ROLLOUT) {
                    return Ok(ControlFlow::Continue(()));
                }
            }
            if !streams {
                finish(&mut session, ending);
                kept.push(session.into_owned());
                return Ok(ControlFlow::Continue(()));
            }
            while let Some(mut next) =
                extra.next_if(|next| query.sort.compare(&next.session, &session).is_lt())
            {
                finish(&mut next.session, next.ending);
                if page.offer(&next.session)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            finish(&mut session, ending);
            page.offer(&session)
        })?;
        for mut next in extra {
            finish(&mut next.session, next.ending);
            kept.push(next.session);
        }
        if !streams {
            kept.sort_by(|a, b| query.sort.compare(a, b));
        }
        for session in kept {
            if page.offer(&session)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn list_files(&mut self, query: &Query, page: &mut Page<'_>) -> Result<()> {
        let needs = query.needs();
        let wanted = page.left.map(|left| left.saturating_add(page.offset).saturating_add(page.skip.len()));
        // Of how many the state is not the right one is seen at the end.
        let wanted = wanted.filter(|_| query.filter.status.is_empty());
        self.read_names(needs);
        // The newest by creation lie in the newest folders: most of the tree need not be walked.
        let newest_first = query.sort.key == SortKey::Created
            && query.sort.descending
            && query.filter.archived == Archived::No
            && self.files.is_none();
        let mut found = Vec::new();
        let mut enough = false;
        if let Some(wanted) = wanted.filter(|_| newest_first) {
            // Some of them are hidden; most often not half of them.
            let mut some = wanted.saturating_mul(2).saturating_add(16);
            for _ in 0..4 {
                let files = Files::newest(self.home.path(), some);
                if files.all().len() < some {
                    break;
                }
                let candidates: Vec<&RolloutFile> = files.sessions().collect();
                found = self.read_page(query, &files, &candidates, wanted);
                enough = found.len() >= wanted;
                if enough {
                    break;
                }
                some = some.saturating_mul(4);
            }
        }
        if !enough {
            self.files();
            let files = self.files.take().unwrap_or_default();
            let candidates: Vec<&RolloutFile> = files.sessions().collect();
            found = self.read_page(query, &files, &candidates, wanted.unwrap_or(usize::MAX));
            self.files = Some(files);
        }
        let looks = needs.has(Needs::ROLLOUT);
        for mut one in found {
            if looks {
                let rollout = one.session.rollout_path.as_deref().map(Path::new);
                let status = status(&self.home, &mut self.holders, one.session.id, rollout, one.ending);
                one.session.status = Some(status);
                one.session.resume_command = Some(resume_command(&one.session));
            }
            if page.offer(&one.session)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The first `wanted` of the candidates that the filter accepts, in the query's order. What is
    /// only shown is read of those alone.
    fn read_page(
        &self,
        query: &Query,
        files: &Files,
        candidates: &[&RolloutFile],
        wanted: usize,
    ) -> Vec<Found> {
        let all = query.needs();
        let first = query.filter.needs() | query.sort.needs();
        let in_two = wanted < candidates.len() && first != all;
        let names = self.names.as_ref();
        let mut reader = Reader {
            filter: &query.filter,
            needs: if in_two { first } else { all },
            names,
            files,
            full: query.full,
        };
        let mut found = reader.read_all(candidates);
        found.sort_by(|a, b| query.sort.compare(&a.session, &b.session));
        found.truncate(wanted);
        if in_two {
            reader.needs = all;
            let again: Vec<&RolloutFile> = found.iter().map(|one| candidates[one.at]).collect();
            let mut whole = reader.read_all(&again);
            // A file that fails at the second look is shown as the first one saw it.
            let seen: std::collections::HashSet<Option<Id>> =
                whole.iter().map(|one| one.session.id).collect();
            whole.extend(found.into_iter().filter(|one| !seen.contains(&one.session.id)));
            whole.sort_by(|a, b| query.sort.compare(&a.session, &b.session));
            return whole;
        }
        found
    }
}

/// Passes over the first `offset` sessions and ends after the limit.
struct Page<'e> {
    offset: usize,
    left: Option<usize>,
    given: usize,
    /// What it was offered, given or passed over.
    offered: Vec<Id>,
    /// What it was offered before the database failed, sorted.
    skip: Vec<Id>,
    filter: &'e Filter,
    /// Whether the error came from whoever takes the sessions.
    failed: bool,
    emit: &'e mut dyn FnMut(&Session<'_>) -> Result<()>,
}

impl Page<'_> {
    fn offer(&mut self, session: &Session<'_>) -> Result<ControlFlow<()>> {
        if session.id.is_some_and(|id| self.skip.binary_search(&id).is_ok()) {
            return Ok(ControlFlow::Continue(()));
        }
        self.offered.extend(session.id);
        if self.filter.rejects_status(session) {
            return Ok(ControlFlow::Continue(()));
        }
        if self.offset > 0 {
            self.offset -= 1;
            return Ok(ControlFlow::Continue(()));
        }
        let taken = (self.emit)(session);
        self.failed = taken.is_err();
        taken?;
        self.given += 1;
        if let Some(left) = &mut self.left {
            *left -= 1;
            if *left == 0 {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Says where a row's rollout is. A file that was made after the names were walked is found where the row
/// says.
#[cfg(feature = "sqlite")]
fn place(session: &mut Session<'_>, live: Option<&RolloutFile>) {
    let is_there =
        live.is_some() || session.rollout_path.as_deref().is_some_and(|path| Path::new(path).is_file());
    session.found_in = Some(if is_there { FoundIn::Both } else { FoundIn::Database });
    if let Some(file) = live {
        session.rollout_path = Some(file.path.to_string_lossy().into_owned().into());
    }
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

/// `codex resume` takes the directory with `--cd` in every version from 0.45 to 0.169. An archived
/// session cannot be resumed before it is unarchived, one without a rollout not at all.
fn resume_command(session: &Session<'_>) -> Option<Vec<String>> {
    if session.archived_at.is_some() || session.found_in == Some(FoundIn::Database) {
        return None;
    }
    let mut argv: Vec<String> = vec!["codex".into(), "resume".into()];
    if let Some(cwd) = session.cwd.as_deref() {
        argv.extend(["--cd".into(), cwd.to_owned()]);
    }
    argv.push(session.id?.to_string());
    Some(argv)
}
