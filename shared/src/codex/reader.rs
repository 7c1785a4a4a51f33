//! Sessions read from their rollouts, each only as far as the query needs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::files::{Files, RolloutFile};
use super::names::Names;
use super::rollout::{self, Depth, Ending};
use crate::error::{reason, warn};
use crate::query::{Filter, Needs};
use crate::record::{FoundIn, Session};

/// Rollouts that could not be read, and those of them that no warning has named yet, by their treatment. A home may have
/// thousands.
struct Skipped {
    all: BTreeSet<PathBuf>,
    unnamed: BTreeMap<&'static str, BTreeMap<PathBuf, String>>,
}

static SKIPPED: Mutex<Skipped> = Mutex::new(Skipped { all: BTreeSet::new(), unnamed: BTreeMap::new() });

fn skip(became: &'static str, path: &Path, error: &io::Error) {
    let mut skipped = SKIPPED.lock().unwrap_or_else(PoisonError::into_inner);
    if skipped.all.insert(path.to_owned()) {
        skipped.unnamed.entry(became).or_default().insert(path.to_owned(), reason(error));
    }
}

/// Print one warning for all rollouts that could not be read since the last one.
pub(super) fn warn_of_skipped() {
    let unnamed = std::mem::take(&mut SKIPPED.lock().unwrap_or_else(PoisonError::into_inner).unnamed);
    for (became, rollouts) in unnamed {
        let Some((path, why)) = rollouts.first_key_value() else { continue };
        let path = path.display();
        match rollouts.len() {
            1 => warn(format_args!("cannot read '{path}': {why}; {became}")),
            many => warn(format_args!(
                "cannot read {many} rollouts, first '{path}': {why}; {became}; codex-agent ls --check lists them"
            )),
        }
    }
}

/// A session that was read from its file, with the index of its candidate.
pub(super) struct FileSession {
    pub(super) session: Session<'static>,
    pub(super) ending: Option<Ending>,
    pub(super) at: usize,
}

/// Reads sessions from their files, in stages, as far as the filter and the needs require.
pub(super) struct Reader<'q> {
    pub(super) filter: &'q Filter,
    pub(super) needs: Needs,
    pub(super) names: Option<&'q Names>,
    pub(super) files: &'q Files,
    pub(super) full: bool,
}

impl Reader<'_> {
    /// Reads all candidates that the filter accepts, in no order. A cold disk serves eight threads concurrently; a few
    /// files are not worth a thread.
    pub(super) fn read_all(&self, candidates: &[&RolloutFile]) -> Vec<FileSession> {
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
                        // The file was deleted after the walk.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) if rollout::is_being_born(&file.path, &error) => {}
                        Err(error) => skip("skipped", &file.path, &error),
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
            // A worker panics only by a bug, which ends the process anyway.
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
        })
    }

    fn read(&self, file: &RolloutFile, at: usize) -> io::Result<Option<FileSession>> {
        match self.read_at(file, at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                find_moved(file).map_or(Err(error), |file| self.read_at(&file, at))
            }
            other => other,
        }
    }

    fn read_at(&self, file: &RolloutFile, at: usize) -> io::Result<Option<FileSession>> {
        let (filter, needs) = (self.filter, self.needs);
        let mut session = Session {
            id: Some(file.id),
            name: self.names.and_then(|names| names.name_of(file.id)).map(Cow::Owned),
            archived_at: file.archived_at(),
            rollout_path: Some(Cow::Owned(file.path.to_string_lossy().into_owned())),
            found_in: Some(FoundIn::Files),
            ..Session::default()
        };
        // A name that is not in the index of names may be in the head.
        let name = if session.name.is_some() { Needs::NAMES } else { Needs::NAME };
        if filter.rejects(&session, name) {
            return Ok(None);
        }
        let depths =
            [(Needs::MESSAGE, Depth::Message), (Needs::META, Depth::Meta), (Needs::START, Depth::Start)];
        let depth = depths.into_iter().find(|(need, _)| needs.has(*need)).map(|(_, depth)| depth);
        let asks_name = session.name.is_none() && (filter.named || !filter.name.is_empty());
        let decides_early =
            asks_name || !(filter.cwd.is_empty() && filter.under.is_empty() && filter.originator.is_empty());
        if decides_early && depth > Some(Depth::Start) {
            let meta = rollout::head(&file.path, Depth::Start)?.meta;
            // Only a fork can have a name in its rollout alone.
            let name = if meta.forked_from.is_none() { Needs::NAMES } else { name };
            add_meta(&mut session, meta);
            // A full look may change fields of the start.
            let start = if self.full { Needs::NAME } else { Needs::START };
            if filter.rejects(&session, name | start) {
                return Ok(None);
            }
        }
        // The needs include those of the filter: a part that is not read decides nothing.
        let of_head = Needs::NAMES | Needs::START | Needs::META | Needs::MESSAGE | Needs::ROLLOUT;
        if let Some(depth) = depth {
            let head = rollout::head(&file.path, depth)?;
            let base = head.meta.base.map(|base| base.id);
            session.title = head.title.map(Cow::Owned);
            session.first_user_message = head.first_user_message.map(Cow::Owned);
            session.model = head.model.map(Cow::Owned);
            session.name = session.name.take().or(head.inherited_name.map(Cow::Owned));
            add_meta(&mut session, head.meta);
            if depth == Depth::Start {
                (session.history, session.git) = (None, None);
            }
            if depth == Depth::Message && base == Some(file.id) {
                self.add_earlier_message(&mut session, file)?;
            }
            if !self.full && filter.rejects(&session, of_head) {
                return Ok(None);
            }
        }
        let mut ending = None;
        if needs.has(Needs::TAIL) || needs.has(Needs::ENDING) {
            let tail = rollout::tail(&file.path, needs.has(Needs::ENDING))?;
            // A copied fork has the turns of its parent, and no turn is older than its session.
            session.updated_at = match (tail.last_at, session.created_at) {
                (Some(at), _) => Some(at).max(file.id.created_at()),
                // The lines of the oldest sessions have no times.
                (None, None) => rollout::head(&file.path, Depth::Start)?.meta.timestamp,
                (None, made) => made,
            };
            ending = with_base(tail.ending, &file.path, self.files);
            if self.full {
                session.cwd = tail.cwd.map(Cow::Owned).or(session.cwd.take());
                session.model = tail.model.map(Cow::Owned).or(session.model.take());
            }
        }
        if filter.rejects(&session, of_head | Needs::TAIL) {
            return Ok(None);
        }
        if !needs.has(Needs::ROLLOUT) {
            // Fields that were not requested are omitted, even if they are known.
            session.forked_from = None;
        }
        Ok(Some(FileSession { session, ending, at }))
    }

    /// Adds the first message of a reverted session, which continues in a further file, from an earlier file.
    fn add_earlier_message(&self, session: &mut Session<'static>, file: &RolloutFile) -> io::Result<()> {
        let files = self.files.of_session(file.id).iter();
        let older = files.filter(|other| other.name().age() < file.name().age());
        if let Some(first) = older.min_by_key(|other| other.name().age()) {
            let head = rollout::head(&first.path, Depth::Message)?;
            if head.first_user_message.is_some() {
                session.title = head.title.map(Cow::Owned);
                session.first_user_message = head.first_user_message.map(Cow::Owned);
            }
        }
        Ok(())
    }
}

/// How the last turn of a session ended. A fork without a turn of its own ends as the part of the file that it continues.
fn with_base(ending: Option<Ending>, path: &Path, files: &Files) -> Option<Ending> {
    // A longer chain leads in a circle.
    const MOST: usize = 64;
    let (mut ending, mut path) = (ending, path);
    for _ in 0..MOST {
        if ending != Some(Ending::NoTurn) {
            break;
        }
        // Without its base the session has no turn.
        let base = rollout::head(path, Depth::Meta).ok().and_then(|head| head.meta.base);
        let file = base.and_then(|base| files.base(base.id)).filter(|file| file.path != path);
        let Some((base, file)) = base.zip(file) else { break };
        match rollout::ending_of_base(&file.path, &base) {
            Ok(found) => ending = found,
            Err(_) => break,
        }
        path = &file.path;
    }
    ending
}

/// The new place of a file that Codex compressed, unpacked, archived or unarchived since its name was read.
pub(crate) fn find_moved(file: &RolloutFile) -> Option<RolloutFile> {
    let name = file.path.file_name()?.to_str()?;
    let plain = name.strip_suffix(".zst").unwrap_or(name);
    let folder = file.path.parent()?;
    let other: Option<PathBuf> = if file.archived {
        // An unarchived file is in the directory of the day in its name.
        let day = file.name().stamp.get(..10).map(|day| day.replace('-', "/"));
        folder.parent().zip(day).map(|(home, day)| home.join("sessions").join(day))
    } else {
        let sessions = folder.ancestors().find(|above| above.ends_with("sessions"));
        sessions.and_then(Path::parent).map(|home| home.join("archived_sessions"))
    };
    let places = [Some((folder.to_owned(), file.archived)), other.map(|folder| (folder, !file.archived))];
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

/// Adds to a row without a title the first message that was typed, else the task of a subagent, else the goal, from its
/// rollout: a session that a goal or another agent began has no message in its row.
#[cfg(feature = "sqlite")]
pub(super) fn add_title(session: &mut Session<'_>, path: Option<&Path>) {
    if session.title.is_some() || session.parent_title.is_some() {
        return;
    }
    if let Some(Ok(head)) = path.map(|path| rollout::head(path, Depth::Message)) {
        session.title = head.title.map(Cow::Owned);
        session.first_user_message =
            session.first_user_message.take().or(head.first_user_message.map(Cow::Owned));
    }
}

fn add_meta(session: &mut Session<'static>, meta: rollout::Meta) {
    session.cwd = meta.cwd.map(Cow::Owned);
    session.created_at = meta.timestamp;
    session.source = meta.source.map(Cow::Owned);
    session.subagent = meta.subagent;
    session.originator = meta.originator.map(Cow::Owned);
    session.model_provider = meta.model_provider.map(Cow::Owned);
    session.cli_version = meta.cli_version.map(Cow::Owned);
    session.history = Some(meta.history_mode.map_or(Cow::Borrowed("legacy"), Cow::Owned));
    session.git = meta.git;
    session.forked_from = Some(meta.forked_from);
}

/// Replaces a directory that is no absolute path by that of the rollout: Codex on another system wrote the row
/// (`C:\mnt\e\x` for `/mnt/e/x`), and there is no such directory on this one.
#[cfg(feature = "sqlite")]
pub(super) fn correct_directory(session: &mut Session<'_>) {
    if !session.cwd.as_deref().is_some_and(is_absolute) && session.found_in != Some(FoundIn::Database) {
        session.cwd = last_directory(session).map(Cow::Owned);
    }
}

/// The directory that a session ran in last, by its rollout, else by its record.
pub fn last_directory(session: &Session<'_>) -> Option<String> {
    let known = session.cwd.as_deref().map(str::to_owned);
    match session.rollout_path.as_deref().map(|path| first_and_last_directory(Path::new(path))) {
        Some(Ok((first, last))) => choose_directory(last, known, first),
        _ => known,
    }
}

/// Whether a path has the form of this system.
pub(super) fn is_absolute(directory: &str) -> bool {
    directory.starts_with('/')
}

/// The directories of the first line and of the last turn of a rollout.
fn first_and_last_directory(path: &Path) -> io::Result<(Option<String>, Option<String>)> {
    Ok((rollout::head(path, Depth::Start)?.meta.cwd, rollout::tail(path, true)?.cwd))
}

/// The first directory that has the form of this system, among those of the last turn, of the row and of the first line.
/// The directory of the row comes first if it exists while that of the last turn does not.
fn choose_directory(last: Option<String>, row: Option<String>, first: Option<String>) -> Option<String> {
    let is_dir = |path: &Option<String>| path.as_deref().is_some_and(|path| Path::new(path).is_dir());
    let prefers_row =
        row.as_deref().is_some_and(is_absolute) && is_dir(&row) && last.is_some() && !is_dir(&last);
    let mut all = if prefers_row { [row, last, first] } else { [last, row, first] };
    let here = all.iter().position(|path| path.as_deref().is_some_and(is_absolute));
    let at =
        here.or_else(|| all.iter().position(|path| path.as_deref().is_some_and(|path| !path.is_empty())));
    all[at?].take()
}

/// Adds the fields that only the rollout has to a session of the database. The last directory of the rollout replaces
/// that of the row. With `full` the first message of a fork replaces that of the row too, and fields that older databases
/// lack are filled.
#[cfg(feature = "sqlite")]
pub(super) fn complete_from_rollout(
    session: &mut Session<'_>,
    path: &Path,
    files: Option<&Files>,
    full: bool,
) -> Option<Ending> {
    if session.found_in == Some(FoundIn::Database) {
        return None;
    }
    let depth = if full { Depth::Message } else { Depth::Start };
    let read = rollout::head(path, depth).and_then(|head| Ok((head, rollout::tail(path, true)?)));
    let (head, tail) = match read {
        Ok(read) => read,
        Err(error) => {
            let is_known = error.kind() != io::ErrorKind::NotFound || session.found_in.is_some();
            if is_known && !rollout::is_being_born(path, &error) {
                skip("shown from the database only", path, &error);
            }
            return None;
        }
    };
    let is_fork = head.meta.forked_from.is_some();
    session.forked_from = Some(head.meta.forked_from);
    let row = session.cwd.take().map(Cow::into_owned);
    session.cwd = choose_directory(tail.cwd, row, head.meta.cwd).map(Cow::Owned);
    if full {
        let own = |value: Option<String>| value.map(Cow::Owned);
        session.model = session.model.take().or(own(tail.model)).or(own(head.model));
        session.originator = session.originator.take().or(own(head.meta.originator));
        if is_fork && head.meta.base.is_some() {
            session.title = own(head.title);
            session.first_user_message = own(head.first_user_message);
        }
    }
    match files {
        Some(files) => with_base(tail.ending, path, files),
        None => tail.ending,
    }
}
