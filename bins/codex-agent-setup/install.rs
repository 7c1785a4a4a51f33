//! Installing files, and taking them away again.
//!
//! `setup.json` in our state folder says which files are ours, what they held when they were written, and which
//! folders were made for them. It is written before the first file is, so that whatever a crash leaves can be
//! taken away. A file that it does not name is somebody else's, unless it holds what is to be written.
//!
//! Where a file cannot be written, those that were written for it are removed or put back.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use codex_agent_shared::codex::home::state_folder;
use codex_agent_shared::error::{Context, Error, Result, reason};
use codex_agent_shared::output::SetupFileRecord;
use codex_agent_shared::store::Store;
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
}

impl Step {
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
    /// By path: the kind, and the fingerprint of what was written.
    files: BTreeMap<String, (String, String)>,
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
            let action = match there(&path)? {
                None => Action::Make,
                Some(there) if there == text => Action::Keep,
                Some(there) if known.is_some_and(|known| *known == fingerprint(&there)) => Action::Replace,
                Some(_) => Action::Refuse,
            };
            steps.push(Step { action, kind, path, text });
        }
        let wanted: Vec<PathBuf> = steps.iter().map(|step| step.path.clone()).collect();
        // Of a tool that is gone, or of a folder that is another one now.
        let gone = self.undoing()?.into_iter();
        steps.extend(gone.filter(|step| {
            step.action == Action::Remove && kinds.contains(&step.kind) && !wanted.contains(&step.path)
        }));
        Ok(steps)
    }

    /// What has to be done for none of our files to be there.
    pub(super) fn undoing(&self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for (path, (kind, print)) in &self.installed.files {
            let path = PathBuf::from(path);
            let kind = Kind::parse(kind).unwrap_or(Kind::Man);
            let action = match there(&path)? {
                Some(there) if fingerprint(&there) != *print => Action::Refuse,
                // One that is gone is forgotten likewise.
                _ => Action::Remove,
            };
            steps.push(Step { action, kind, path, text: Vec::new() });
        }
        Ok(steps)
    }

    fn known(&self, path: &Path) -> Result<Option<&String>> {
        Ok(self.installed.files.get(text(path)?).map(|(_, print)| print))
    }

    /// Does what was planned, all of it or nothing.
    pub(super) fn carry_out(&mut self, steps: &[Step]) -> Result<()> {
        let held = self.store.hold()?;
        if held.read::<Installed>()? != self.installed {
            return Err(Error::new("another setup has changed something meanwhile").hint("run it again"));
        }
        let mut planned = self.installed.clone();
        for step in steps.iter().filter(|step| matches!(step.action, Action::Make | Action::Replace)) {
            for folder in missing(&step.path) {
                let folder = text(&folder)?.to_owned();
                if !planned.folders.contains(&folder) {
                    planned.folders.push(folder);
                }
            }
            let known = (step.kind.word().to_owned(), fingerprint(&step.text));
            planned.files.insert(text(&step.path)?.to_owned(), known);
        }
        // Whatever happens from here on, --undo knows of it.
        held.write(&planned)?;
        let mut done = Vec::new();
        for step in steps {
            let before = there(&step.path)?;
            let written = match step.action {
                Action::Make | Action::Replace => write(&step.path, &step.text),
                Action::Remove => remove(&step.path),
                Action::Keep | Action::Refuse => continue,
            };
            if let Err(error) = written {
                put_back(done);
                remove_empty(&mut planned.folders);
                held.write(&self.installed)?;
                return Err(error.hint("nothing was changed"));
            }
            done.push((step.path.clone(), before));
        }
        for step in steps.iter().filter(|step| step.action == Action::Remove) {
            planned.files.remove(text(&step.path)?);
        }
        if planned.files.is_empty() {
            remove_empty(&mut planned.folders);
            remove(self.store.path())?;
        } else {
            held.write(&planned)?;
        }
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

/// Writes a whole file, or none. Everybody may read it, as other documents.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).context("make the folder", folder)?;
    let made = tempfile::Builder::new().prefix(".codex-agent-").suffix(".tmp").tempfile_in(folder);
    let mut file = made.context("write in", folder)?;
    let written = file.write_all(bytes).and_then(|()| {
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        file.as_file().sync_all()
    });
    written.context("write", path)?;
    file.persist(path).map_err(|error| {
        Error::new(format!("cannot write '{}': {}", path.display(), reason(&error.error)))
    })?;
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("remove", path),
        _ => Ok(()),
    }
}

/// Makes files what they were, as far as that can be.
fn put_back(done: Vec<(PathBuf, Option<Vec<u8>>)>) {
    for (path, before) in done.into_iter().rev() {
        let _ = match before {
            Some(bytes) => write(&path, &bytes),
            None => remove(&path),
        };
    }
}

/// Removes folders that were made for our files, where nothing else is in them.
fn remove_empty(folders: &mut Vec<String>) {
    for folder in folders.drain(..).rev() {
        // One that is not empty is somebody's.
        let _ = fs::remove_dir(folder);
    }
}
