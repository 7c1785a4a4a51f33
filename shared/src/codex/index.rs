//! Which sessions are there: the union of Codex's database and the rollout files.
//!
//! The database gives the rows; a walk over the *names* of the files finds sessions that have no row
//! (only their heads are read) and rows whose file is gone. So a listing is complete although it is
//! fast. Where the database is missing or cannot be read the files alone answer, with one line on
//! standard error. One unreadable or broken file costs one warning, never the listing.
//!
//! Memory is bounded by what is shown and by the names of the files; a rollout is never held whole.
//! At most eight files are open at once, whatever their number.

use std::borrow::Cow;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::files::{Files, RolloutFile};
use super::holder::Holders;
use super::home::Home;
use super::names::Names;
use super::rollout::{self, Depth, Ending};
#[cfg(feature = "sqlite")]
use super::state::State;
use crate::error::{Error, Result, reason, warn};
use crate::query::{Archived, Filter, Needs, Query, SortKey};
use crate::record::{FoundIn, Git, Id, Session, Status};

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
}

impl Index {
    /// Opens the index of a home. Trouble with the database is told and gone round, unless it is the
    /// only source that was asked for.
    pub fn open(home: Home, sources: Sources) -> Result<Index> {
        if !sources.database && !sources.files {
            return Err(Error::usage("--no-database and --no-files together leave nothing to look at"));
        }
        if !home.exists() {
            warn(format_args!(
                "there is no Codex home at '{}' yet; CODEX_HOME or --codex-home names another",
                home.path().display()
            ));
        }
        #[cfg(feature = "sqlite")]
        let state = match home.database().filter(|_| sources.database) {
            None if sources.files || !home.exists() => None,
            None => {
                let message = format!("there is no Codex database in '{}'", home.path().display());
                return Err(Error::new(message).hint("without --no-files the rollout files are listed"));
            }
            Some(path) => match State::open(path).and_then(|state| state.check().map(|()| state)) {
                Ok(state) => Some(state),
                Err(error) if sources.files => {
                    warn(format_args!("{error}; going by the rollout files alone"));
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
        })
    }

    /// The home that this is the index of.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Gives each session that the query asks for to `emit`, in its order, each as soon as it is
    /// known. Returns how many there were.
    pub fn list(&mut self, query: &Query, emit: &mut dyn FnMut(&Session<'_>) -> Result<()>) -> Result<usize> {
        let mut page = Page { offset: query.offset, left: query.limit, given: 0, emit };
        if page.left == Some(0) || !self.home.exists() {
            return Ok(0);
        }
        #[cfg(feature = "sqlite")]
        if self.state.is_some() {
            match self.list_rows(query, &mut page) {
                Err(error) if page.given == 0 && self.sources.files && !error.is_broken_pipe() => {
                    warn(format_args!("{error}; going by the rollout files alone"));
                    self.state = None;
                    page.offset = query.offset;
                }
                other => return other.map(|()| page.given),
            }
        }
        self.list_files(query, &mut page)?;
        Ok(page.given)
    }

    /// One session, hidden or not.
    pub fn get(&mut self, id: Id) -> Result<Option<Session<'static>>> {
        let filter =
            Filter { ids: Some(vec![id]), archived: Archived::With, subagents: true, ..Filter::default() };
        let fields = crate::record::Field::ALL[..21].to_vec();
        let query = Query { filter, fields, ..Query::default() };
        let mut found = None;
        self.list(&query, &mut |session| {
            found = Some(session.clone().into_owned());
            Ok(())
        })?;
        Ok(found)
    }

    /// The ids of all sessions, sorted, hidden ones too.
    pub fn ids(&mut self) -> Result<Vec<Id>> {
        let mut ids = Vec::new();
        #[cfg(feature = "sqlite")]
        if let Some(state) = &self.state {
            ids = state.ids()?;
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
        state.rows(query, names.as_ref(), &mut |mut session| {
            if let (Some(files), Some(id)) = (files.as_ref(), session.id) {
                let live = files.live(id, session.rollout_path.as_deref());
                session.found_in = Some(if live.is_some() { FoundIn::Both } else { FoundIn::Database });
                if let Some(file) = live {
                    session.rollout_path = Some(file.path.to_string_lossy().into_owned().into());
                }
            }
            if query.filter.rejects(&session, known) {
                return Ok(ControlFlow::Continue(()));
            }
            let mut ending = None;
            if looks {
                ending = look_into(&mut session, query.full);
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
        let wanted = query.limit.map(|limit| limit.saturating_add(query.offset));
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
                let exhausted = files.all().len() < some;
                let mut candidates: Vec<&RolloutFile> = files.sessions().collect();
                candidates.reverse();
                candidates.truncate(some);
                found = self.read_page(query, &files, &candidates, wanted);
                enough = found.len() >= wanted || exhausted;
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
            let again: Vec<&RolloutFile> = found.iter().map(|one| &candidates[one.at]).copied().collect();
            let mut whole = reader.read_all(&again);
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
    emit: &'e mut dyn FnMut(&Session<'_>) -> Result<()>,
}

impl Page<'_> {
    fn offer(&mut self, session: &Session<'_>) -> Result<ControlFlow<()>> {
        if self.offset > 0 {
            self.offset -= 1;
            return Ok(ControlFlow::Continue(()));
        }
        (self.emit)(session)?;
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

/// A session read from its file, and which candidate it was.
struct Found {
    session: Session<'static>,
    ending: Option<Ending>,
    at: usize,
}

/// Reads sessions from their files, stage by stage, no further than the filter and the needs go.
struct Reader<'q> {
    filter: &'q Filter,
    needs: Needs,
    names: Option<&'q Names>,
    files: &'q Files,
    full: bool,
}

impl Reader<'_> {
    /// Reads all candidates that the filter accepts, in no order. Several threads, since a cold disk
    /// answers eight questions at once; a few files are not worth a thread.
    fn read_all(&self, candidates: &[&RolloutFile]) -> Vec<Found> {
        const CHUNK: usize = 32;
        let next = AtomicUsize::new(0);
        let work = || {
            let mut found = Vec::new();
            loop {
                let from = next.fetch_add(CHUNK, Relaxed);
                if from >= candidates.len() {
                    return found;
                }
                for (at, file) in candidates.iter().enumerate().skip(from).take(CHUNK) {
                    match self.read(file, at) {
                        Ok(one) => found.extend(one),
                        // It was deleted between the walk and now, and so it is not there.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) if rollout::is_being_born(&file.path, &error) => {}
                        Err(error) => {
                            let path = file.path.display();
                            warn(format_args!("cannot read '{path}': {}; left out", reason(&error)));
                        }
                    }
                }
            }
        };
        let threads = (candidates.len() / (4 * CHUNK)).min(8);
        if threads < 2 {
            return work();
        }
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            // A worker cannot panic but by a fault of ours, which ends the process anyway.
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
        })
    }

    fn read(&self, file: &RolloutFile, at: usize) -> io::Result<Option<Found>> {
        match self.read_at(file, at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match moved(file) {
                Some(file) => self.read_at(&file, at),
                None => Err(error),
            },
            other => other,
        }
    }

    fn read_at(&self, file: &RolloutFile, at: usize) -> io::Result<Option<Found>> {
        let mut session = Session {
            id: Some(file.id),
            name: self.names.and_then(|names| names.of(file.id)).map(Cow::Owned),
            archived_at: file.archived_at(),
            rollout_path: Some(Cow::Owned(file.path.to_string_lossy().into_owned())),
            found_in: Some(FoundIn::Files),
            ..Session::default()
        };
        let mut known = Needs::NAMES;
        if self.filter.rejects(&session, known) {
            return Ok(None);
        }
        let depth = if self.needs.has(Needs::MESSAGE) {
            Some(Depth::Message)
        } else if self.needs.has(Needs::META) {
            Some(Depth::Meta)
        } else if self.needs.has(Needs::START) {
            Some(Depth::Start)
        } else {
            None
        };
        let filter = self.filter;
        let decides_early =
            !(filter.cwd.is_empty() && filter.under.is_empty() && filter.originator.is_empty());
        if decides_early && depth > Some(Depth::Start) && !self.full {
            take_meta(&mut session, rollout::head(&file.path, Depth::Start)?.meta);
            if self.filter.rejects(&session, known | Needs::START) {
                return Ok(None);
            }
        }
        if let Some(depth) = depth {
            let head = rollout::head(&file.path, depth)?;
            let base = head.meta.base;
            session.title = head.title.map(Cow::Owned);
            session.first_user_message = head.first_user_message.map(Cow::Owned);
            session.model = head.model.map(Cow::Owned);
            session.name = session.name.take().or(head.inherited_name.map(Cow::Owned));
            take_meta(&mut session, head.meta);
            if depth == Depth::Message && base == Some(file.id) {
                self.take_earlier_message(&mut session, file)?;
            }
            known |= Needs::START | Needs::META | Needs::MESSAGE | Needs::ROLLOUT;
        }
        let mut ending = None;
        if self.needs.has(Needs::TAIL) || self.needs.has(Needs::ENDING) {
            // Before the tail is read, what the head says may rule the session out.
            if !self.full && depth.is_some_and(|_| self.filter.rejects(&session, known)) {
                return Ok(None);
            }
            let tail = rollout::tail(&file.path, self.needs.has(Needs::ENDING))?;
            session.updated_at = tail.last_at.or(session.created_at);
            ending = tail.ending;
            if self.full {
                session.cwd = tail.cwd.map(Cow::Owned).or(session.cwd.take());
                session.model = tail.model.map(Cow::Owned).or(session.model.take());
            }
            known |= Needs::TAIL;
        }
        let mut judged = known;
        if depth < Some(Depth::Message) {
            judged = Needs::NAMES | if depth.is_some() { Needs::START | Needs::ROLLOUT } else { Needs::NAME };
            if depth == Some(Depth::Meta) {
                judged |= Needs::META;
            }
            if known.has(Needs::TAIL) {
                judged |= Needs::TAIL;
            }
        }
        if self.filter.rejects(&session, judged) {
            return Ok(None);
        }
        Ok(Some(Found { session, ending, at }))
    }

    /// A reverted session goes on in a further file; its first message stands in an earlier one.
    fn take_earlier_message(&self, session: &mut Session<'static>, file: &RolloutFile) -> io::Result<()> {
        let age = file.name();
        let earlier = self.files.of(file.id).iter().filter(|other| other.name().age() < age.age());
        if let Some(first) = earlier.min_by_key(|other| other.name().age()) {
            let head = rollout::head(&first.path, Depth::Message)?;
            if head.first_user_message.is_some() {
                session.title = head.title.map(Cow::Owned);
                session.first_user_message = head.first_user_message.map(Cow::Owned);
            }
        }
        Ok(())
    }
}

/// Where a file is that Codex compressed, unpacked or archived since its name was read.
fn moved(file: &RolloutFile) -> Option<RolloutFile> {
    let name = file.path.file_name()?.to_str()?;
    let plain = name.strip_suffix(".zst").unwrap_or(name);
    let folder = file.path.parent()?;
    let archive = folder.ancestors().find(|above| above.file_name().is_some_and(|name| name == "sessions"));
    let archive: Option<PathBuf> = archive.and_then(Path::parent).map(|home| home.join("archived_sessions"));
    let places = [Some((folder.to_owned(), file.archived)), archive.map(|folder| (folder, true))];
    for (folder, archived) in places.into_iter().flatten() {
        for name in [plain.to_owned(), format!("{plain}.zst")] {
            let path = folder.join(name);
            if path.is_file() {
                return Some(RolloutFile { id: file.id, path, archived });
            }
        }
    }
    None
}

fn take_meta(session: &mut Session<'static>, meta: rollout::Meta) {
    session.cwd = meta.cwd.map(Cow::Owned);
    session.created_at = meta.timestamp;
    session.source = meta.source.map(Cow::Owned);
    session.subagent = meta.subagent;
    session.originator = meta.originator.map(Cow::Owned);
    session.model_provider = meta.model_provider.map(Cow::Owned);
    session.cli_version = meta.cli_version.map(Cow::Owned);
    session.history = Some(meta.history_mode.map_or(Cow::Borrowed("legacy"), Cow::Owned));
    session.git = meta.git.map(|(sha, branch, origin_url)| Git {
        sha: sha.map(Cow::Owned),
        branch: branch.map(Cow::Owned),
        origin_url: origin_url.map(Cow::Owned),
    });
    session.forked_from = Some(meta.forked_from);
}

/// Adds what only the rollout says to a session that the database knows. With `full`, what the
/// rollout says of the last directory, and of a fork's own first message, is taken over what the
/// row says, and blanks of older databases are filled.
#[cfg(feature = "sqlite")]
fn look_into(session: &mut Session<'_>, full: bool) -> Option<Ending> {
    if session.found_in == Some(FoundIn::Database) {
        return None;
    }
    let path = PathBuf::from(session.rollout_path.as_deref()?);
    let depth = if full { Depth::Message } else { Depth::Start };
    let read = || Ok((rollout::head(&path, depth)?, rollout::tail(&path, true)?));
    let (head, tail) = match read() {
        Ok(read) => read,
        Err(error) => {
            let error: io::Error = error;
            let is_known = error.kind() != io::ErrorKind::NotFound || session.found_in.is_some();
            if is_known && !rollout::is_being_born(&path, &error) {
                let why = reason(&error);
                warn(format_args!("cannot read '{}': {why}; taken from the database alone", path.display()));
            }
            return None;
        }
    };
    let is_fork = head.meta.forked_from.is_some();
    session.forked_from = Some(head.meta.forked_from);
    if full {
        let own = |value: Option<String>| value.map(Cow::Owned);
        session.cwd = own(tail.cwd).or(session.cwd.take());
        session.model = session.model.take().or(own(tail.model)).or(own(head.model));
        session.originator = session.originator.take().or(own(head.meta.originator));
        if is_fork && head.meta.base.is_some() {
            session.title = own(head.title);
            session.first_user_message = own(head.first_user_message);
        }
    }
    tail.ending
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
