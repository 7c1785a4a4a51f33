//! The order of a start. It is a contract, and each step rests on the one before:
//!
//! 1. The job was looked at ([`super::check`]); its session, if it has one, is held.
//! 2. `job.started` is on disk. From here on a later runner knows that this attempt may exist.
//! 3. `.out` is made, new for each attempt, and locked.
//! 4. Codex is started in a process group of its own, with that descriptor as its standard output.
//!    Our own copy is dropped: the lock is now Codex's.
//! 5. `job.spawned` is on disk.
//!
//! A runner that is killed after 2 leaves no `.out`, or one that is not locked and empty: nothing was
//! sent. After 4 it leaves one that is locked for as long as Codex lives. There is no third case,
//! because the descriptor is in the child before the child is Codex.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::binary;
use super::check::Ready;
use super::event::{Of, Process, What};
use super::failure::{Class, Failure};
use super::folder::Folder;
use super::job::Job;
use super::probe;
use crate::error::{Context, Error, Result, reason};

/// The variables of a job's environment.
const DEPTH: &str = "CODEX_AGENT_DEPTH";

/// How deep a job of a job of a job may be.
const DEEPEST: u32 = 3;

/// How many runs are around this process.
fn depth() -> u32 {
    std::env::var(DEPTH).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Refuses to run jobs too deep in jobs: one that starts itself would never end.
pub fn check_depth() -> Result<()> {
    if depth() >= DEEPEST {
        let message = format!("a job of a job of a job may not run jobs ({DEEPEST} deep)");
        return Err(Error::new(message));
    }
    Ok(())
}

/// A start.
pub struct Start<'s> {
    /// The run.
    pub folder: &'s Folder,
    /// The executable.
    pub codex: &'s Path,
    /// What is to be done.
    pub job: &'s Job,
    /// The job and the attempt.
    pub of: Of,
    /// Whether the model has seen the prompt before.
    pub resent: bool,
}

/// What came of a start.
pub enum Started {
    /// Codex runs.
    Running(Child, Process),
    /// It could not be run. Nothing was sent.
    Failed(Failure),
}

impl Start<'_> {
    /// Starts a job in the order above. `note` puts an event on disk.
    pub fn go(self, mut ready: Ready, note: &mut dyn FnMut(What) -> Result<()>) -> Result<Started> {
        let Start { folder, codex, job, of, resent } = self;
        let boot = probe::boot();
        note(What::JobStarted {
            of: of.clone(),
            cwd: ready.cwd.to_str().map(str::to_owned),
            sandbox: ready.sandbox,
            resent,
            boot,
            usage_before: ready.usage_before.take(),
        })?;
        folder.make_job(of.number)?;
        let images = copy_images(folder, of.number, &job.images)?;
        let path = |what: &str| folder.file(of.number, of.attempt, what);
        let prompt = path("prompt");
        let mut file = private(&prompt, false)?;
        std::io::Write::write_all(&mut file, job.prompt.as_bytes()).context("write", &prompt)?;
        let stdin = File::open(&prompt).context("open", &prompt)?;
        let err = private(&path("err"), true)?;
        let out = private(&path("out"), true)?;
        // Only whoever probes can have it, for a moment.
        out.lock().context("lock", &path("out"))?;
        if let Some(hold) = &mut ready.hold {
            hold.give(&path("out"))?;
        }
        let mut command = Command::new(codex);
        command
            .args(binary::arguments(job, ready.sandbox, &images))
            .current_dir(&ready.cwd)
            .process_group(0)
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::from(out))
            .stderr(Stdio::from(err))
            .env("CODEX_AGENT_RUN", folder.name())
            .env("CODEX_AGENT_JOB", &of.job)
            .env(DEPTH, (depth() + 1).to_string());
        if let Some(home) = &job.codex_home {
            command.env("CODEX_HOME", home);
        }
        let spawned = command.spawn();
        // With the command goes our copy of the locked descriptor.
        drop(command);
        let child = match spawned {
            Ok(child) => child,
            Err(error) => {
                // It may be the directory that cannot be gone to; that is this job's affair alone.
                let (class, what) = match fs::metadata(ready.cwd.join(".")) {
                    Ok(_) => (Class::Spawn, codex),
                    Err(_) => (Class::Cwd, ready.cwd.as_path()),
                };
                let verb = if class == Class::Cwd { "go to" } else { "run" };
                let message = format!("cannot {verb} '{}': {}", what.display(), reason(&error));
                return Ok(Started::Failed(Failure::new(class, message)));
            }
        };
        let process = probe::process(child.id() as i32);
        note(What::JobSpawned { of, process: process.clone() })?;
        Ok(Started::Running(child, process))
    }
}

fn private(path: &Path, append: bool) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).mode(0o600);
    if append {
        options.append(true)
    } else {
        options.write(true)
    };
    options.open(path).context("make", path)
}

/// Copies pictures under plain names: a comma would split Codex's argument, and an original may be
/// gone when a job is run again.
fn copy_images(folder: &Folder, number: usize, images: &[String]) -> Result<Vec<PathBuf>> {
    let copy = |(at, image): (usize, &String)| {
        let from = Path::new(image);
        let kind = from.extension().and_then(|kind| kind.to_str()).unwrap_or("img");
        let kind: String = kind.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        let to = folder.job(number).join(format!("image-{}.{kind}", at + 1));
        fs::copy(from, &to).context("copy the picture", from)?;
        Ok(to)
    };
    images.iter().enumerate().map(copy).collect()
}
