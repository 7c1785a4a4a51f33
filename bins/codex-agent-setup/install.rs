//! Installing files, and taking them away again.
//!
//! `setup.json` in our state folder says which files are ours, what they hold or may hold, and which folders were
//! made for them. It is written before the first file is, with what was there and what is to be there, so that
//! whatever a crash leaves can be gone on with, or taken away. A file that it does not name is somebody else's,
//! unless it holds what is to be written.
//!
//! What was planned is looked at once more before anything is done, under the lock of `setup.json`: between plan
//! and deed somebody may have thought about it. Where a file cannot be written, those that were written are
//! removed or put back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use codex_agent_shared::codex::home::state_folder;
use codex_agent_shared::error::{Context, Error, Result};
use codex_agent_shared::output::SetupFileRecord;
use codex_agent_shared::store::{LockedFile, Store};
use codex_agent_shared::text::fingerprint;
use serde::{Deserialize, Serialize};

use super::documents::{Document, Kind};

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Make,
    Replace,
    Keep,
    Remove,
    /// It is somebody else's, or was changed.
    Refuse,
}

impl Action {
    pub(super) fn word(self) -> &'static str {
        match self {
            Action::Make => "make",
            Action::Replace => "replace",
            Action::Keep => "keep",
            Action::Remove => "remove",
            Action::Refuse => "refuse",
        }
    }

    /// Whether something is changed on disk.
    pub(super) fn changes(self) -> bool {
        matches!(self, Action::Make | Action::Replace | Action::Remove)
    }
}

/// One file and what is to be done with it.
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
    text: Vec<u8>,
    /// What was there when it was planned.
    before: Option<Vec<u8>>,
}

impl Step {
    /// Whether there is something at its place.
    pub(super) fn is_there(&self) -> bool {
        self.before.is_some()
    }

    pub(super) fn record(&self) -> SetupFileRecord<'_> {
        SetupFileRecord::new(self.action.word(), self.kind.word(), &self.path)
    }
}

/// A line for people about the files of one folder.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) folder: String,
}

/// What the steps come to, a line for each folder and action.
pub(super) fn summary(steps: &[Step]) -> Vec<Line> {
    let mut counts: BTreeMap<(usize, String, &'static str), usize> = BTreeMap::new();
    for step in steps {
        let folder = step.path.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
        *counts.entry((step.kind as usize, folder, step.action.word())).or_default() += 1;
    }
    let line = |((kind, folder, action), count): ((usize, String, &'static str), usize)| {
        let what = match Kind::ALL[kind] {
            Kind::Man => "manual pages".to_owned(),
            shell => format!("completions for {}", shell.word()),
        };
        Line { text: format!("{action:7} {count:3} {what} in"), folder }
    };
    counts.into_iter().map(line).collect()
}

/// What `setup.json` holds.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct Installed {
    /// By path: the kind, and the fingerprints of what we have written there, the last one last. While an update
    /// is under way there may be several.
    files: BTreeMap<String, (String, Vec<String>)>,
    /// Folders that were made for them, each before those in it.
    folders: Vec<String>,
}

/// What is installed, and what is to be.
pub(super) struct Setup {
    store: Store,
    installed: Installed,
}

impl Setup {
    pub(super) fn open() -> Result<Setup> {
        let store = Store::new(state_folder()?.join("setup.json"));
        let installed = store.read()?;
        Ok(Setup { store, installed })
    }

    /// What has to be done for these documents to be there, and none of those that were there instead.
    pub(super) fn installing(&mut self, documents: Vec<Document>) -> Result<Vec<Step>> {
        let kinds: Vec<Kind> = documents.iter().map(|document| document.kind).collect();
        let mut steps = Vec::new();
        for Document { kind, path, text } in documents {
            let known = self.known(&path)?;
            let before = there(&path)?;
            let action = match &before {
                None => Action::Make,
                Some(there) if *there == text => Action::Keep,
                Some(there) if known.is_some_and(|known| known.contains(&fingerprint(there))) => {
                    Action::Replace
                }
                Some(_) => Action::Refuse,
            };
            steps.push(Step { action, kind, path, text, before });
        }
        let wanted: Vec<PathBuf> = steps.iter().map(|step| step.path.clone()).collect();
        // Of a tool that is gone, or of a folder that is another one now.
        let gone = self.undoing(&kinds)?.into_iter();
        steps.extend(gone.filter(|step| step.action == Action::Remove && !wanted.contains(&step.path)));
        Ok(steps)
    }

    /// What has to be done for none of our files of these kinds to be there; of all where none is named.
    pub(super) fn undoing(&self, kinds: &[Kind]) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for (path, (kind, prints)) in &self.installed.files {
            let path = PathBuf::from(path);
            let kind = Kind::parse(kind).unwrap_or(Kind::Man);
            if !kinds.is_empty() && !kinds.contains(&kind) {
                continue;
            }
            let before = there(&path)?;
            let action = match &before {
                Some(there) if !prints.contains(&fingerprint(there)) => Action::Refuse,
                // One that is gone is forgotten likewise.
                _ => Action::Remove,
            };
            steps.push(Step { action, kind, path, text: Vec::new(), before });
        }
        Ok(steps)
    }

    /// Whether a file is known as one of ours, whatever it holds by now.
    pub(super) fn is_ours(&self, path: &Path) -> bool {
        path.to_str().is_some_and(|path| self.installed.files.contains_key(path))
    }

    fn known(&self, path: &Path) -> Result<Option<&Vec<String>>> {
        Ok(self.installed.files.get(text(path)?).map(|(_, prints)| prints))
    }

    /// Does what was planned, all of it or nothing.
    pub(super) fn carry_out(&mut self, steps: &[Step]) -> Result<()> {
        // Before the lock makes the first of them.
        let for_record = missing(self.store.path());
        let mut made = for_record.clone();
        let held = self.store.hold()?;
        let done = self.carry_out_held(&held, steps, &mut made);
        // As it is now: another setup may have written it since this one has read it.
        let mut now = held.read::<Installed>()?;
        if now == Installed::default() {
            // Nothing is left to be known, and whoever waits for the lock finds nothing to do either.
            let lock = self.store.path().with_extension("json.lock");
            remove(self.store.path()).and_then(|()| remove(&lock))?;
            drop(held);
            remove_empty(&made);
        } else if done.is_err() {
            // The setup that came first found the directories of the record there, which this one has made.
            let for_record = for_record.iter().filter_map(|folder| folder.to_str().map(str::to_owned));
            let missed: Vec<String> = for_record.filter(|folder| !now.folders.contains(folder)).collect();
            if !missed.is_empty() {
                now.folders.splice(0..0, missed);
                held.write(&now)?;
            }
        }
        done
    }

    fn carry_out_held(&mut self, held: &LockedFile, steps: &[Step], made: &mut Vec<PathBuf>) -> Result<()> {
        if held.read::<Installed>()? != self.installed {
            return Err(Error::new("another setup has changed something meanwhile").hint("run it again"));
        }
        for step in steps {
            if there(&step.path)? != step.before {
                let message = format!("'{}' has changed meanwhile", step.path.display());
                return Err(Error::new(message).hint("nothing was changed; run it again"));
            }
        }
        let mut planned = self.installed.clone();
        let is_written = |step: &&Step| matches!(step.action, Action::Make | Action::Replace);
        for step in steps.iter().filter(is_written) {
            made.extend(missing(&step.path));
            let entry = planned.files.entry(text(&step.path)?.to_owned()).or_default();
            step.kind.word().clone_into(&mut entry.0);
            entry.1.push(fingerprint(&step.text));
        }
        for folder in made.iter() {
            let folder = text(folder)?.to_owned();
            if !planned.folders.contains(&folder) {
                planned.folders.push(folder);
            }
        }
        // Whatever happens from here on, a later setup and --undo know of it.
        held.write(&planned)?;
        let mut done = Vec::new();
        for step in steps {
            let is_ours = self.is_ours(&step.path);
            let swept = || if is_ours { sweep(&step.path) } else { Ok(()) };
            let written = match step.action {
                Action::Make | Action::Replace => swept().and_then(|()| write(&step.path, &step.text)),
                Action::Remove => swept().and_then(|()| remove(&step.path)),
                Action::Keep | Action::Refuse => continue,
            };
            if let Err(error) = written {
                put_back(&done);
                remove_empty(made);
                held.write(&self.installed)?;
                return Err(error.hint("nothing was changed"));
            }
            done.push(step);
        }
        // What is there now is all that is ours.
        for step in steps {
            match step.action {
                Action::Remove => drop(planned.files.remove(text(&step.path)?)),
                Action::Refuse => {}
                Action::Keep if !self.is_ours(&step.path) => {}
                Action::Make | Action::Replace | Action::Keep => {
                    let known = (step.kind.word().to_owned(), vec![fingerprint(&step.text)]);
                    planned.files.insert(text(&step.path)?.to_owned(), known);
                }
            }
        }
        if planned.files.is_empty() {
            made.splice(0..0, planned.folders.drain(..).map(PathBuf::from));
        }
        held.write(&planned)?;
        self.installed = planned;
        Ok(())
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::new(format!("cannot take '{}': it is not UTF-8", path.display())))
}

/// What a file holds; `None` where there is none. A link, or whatever else is no file, holds nothing of ours.
fn there(path: &Path) -> Result<Option<Vec<u8>>> {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_file() => fs::read(path).context("read", path).map(Some),
        Ok(_) => Ok(Some(b"(no file)".to_vec())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error).context("look at", path),
    }
}

/// The folders above a file that are not there, the topmost first.
fn missing(path: &Path) -> Vec<PathBuf> {
    let above = path.ancestors().skip(1).take_while(|folder| !folder.exists());
    let mut missing: Vec<PathBuf> = above.map(Path::to_owned).collect();
    missing.reverse();
    missing
}

/// What a file is called while it is written: one name for each, so that a later setup finds what a crash leaves.
fn part(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.codex-agent-setup"))
}

/// Writes a whole file, or none. Everybody may read it, as other documents. What has the name of the part and is
/// not ours is neither followed nor written over.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Whatever the umask is: others may read there, and not write.
    let mut made = fs::DirBuilder::new();
    made.recursive(true).mode(0o755).create(folder).context("make the directory", folder)?;
    let part = part(path);
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&part);
    let mut file = match opened {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let message = format!("'{}' is in the way, and was left as it is", part.display());
            return Err(Error::new(message).hint("move it away"));
        }
        opened => opened.context("write in", folder)?,
    };
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    #[allow(clippy::disallowed_methods)] // It is synced, and what it replaces was looked at.
    let renamed = written.and_then(|()| fs::rename(&part, path));
    if renamed.is_err() {
        // It may not be there.
        let _ = fs::remove_file(&part);
    }
    renamed.context("write", path)
}

/// Removes what a crash has left of writing a file that is known as ours. What is no regular file is not.
fn sweep(path: &Path) -> Result<()> {
    let part = part(path);
    match part.symlink_metadata() {
        Ok(meta) if meta.is_file() => remove(&part),
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(error).context("remove", path)
        }
        _ => Ok(()),
    }
}

/// Makes files what they were, as far as that can be.
fn put_back(done: &[&Step]) {
    for step in done.iter().rev() {
        let _ = match &step.before {
            Some(bytes) => write(&step.path, bytes),
            None => remove(&step.path),
        };
    }
}

/// Removes folders that were made for our files, where nothing else is in them, the innermost first.
fn remove_empty(folders: &[PathBuf]) {
    let folders: BTreeSet<&PathBuf> = folders.iter().collect();
    for folder in folders.into_iter().rev() {
        // One that is not empty is somebody's.
        let _ = fs::remove_dir(folder);
    }
}
