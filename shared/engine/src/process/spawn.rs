//! The order of a start. It is a contract, and each step rests on the one before:
//!
//! 1. The job was checked ([`crate::process::preflight`]); its session, if it has one, is locked.
//! 2. `job.started` is on disk. From here on a later runner knows that this attempt may exist.
//! 3. `.out` is made, new for each attempt, and locked.
//! 4. Codex is started in a process group of its own, with that descriptor as its standard output. The runner's
//!    copy is closed: the lock is now Codex's.
//! 5. `job.spawned` is on disk.
//!
//! A runner that is killed after 2 leaves no `.out`, or an empty one without a lock: nothing was sent. After 4
//! it leaves an `.out` that is locked as long as Codex is running. There is no third case, because the
//! descriptor is in the child before the child is Codex.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind::{ArgumentListTooLong, InvalidInput};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::disk::run_dir::RunDir;
use crate::liveness;
use crate::process::command;
use crate::process::command::Copies;
use crate::process::output::Follower;
use crate::process::preflight::Ready;
use crate::record::event::{JobRef, Process, RunEvent};
use crate::record::failure::{Class, Failure};
use crate::record::job::{Job, Sandbox};
use codex_agent_shared::error::{Context, Error, Result, reason};
use codex_agent_shared::store::lock::Lock;
use codex_agent_shared::store::private;

/// The variable with the nesting depth of a job.
const DEPTH: &str = "CODEX_AGENT_DEPTH";

/// The greatest nesting depth.
const DEEPEST: u32 = 3;

/// The nesting depth of this process.
fn depth() -> u32 {
    std::env::var(DEPTH).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Refuses deeply nested jobs: a job that runs itself would never end.
pub fn check_depth() -> Result<()> {
    if depth() >= DEEPEST {
        let message = format!("jobs may not be nested more than {DEEPEST} deep");
        return Err(Error::new(message));
    }
    Ok(())
}

/// A start.
pub struct Start<'s> {
    /// The run.
    pub folder: &'s RunDir,
    /// The executable.
    pub codex: &'s Path,
    /// The job.
    pub job: &'s Job,
    /// The job and the attempt.
    pub of: JobRef,
    /// Whether the job continues what an earlier attempt began.
    pub continues: bool,
    /// Whether the model has seen the prompt before.
    pub resent: bool,
    /// The time since the boot, in milliseconds.
    pub up: Option<i64>,
}

/// The result of a start.
pub enum Spawn {
    /// Codex runs.
    Running(Child, Process, Box<Follower>),
    /// Codex could not be started. Nothing was sent.
    Failed(Failure),
}

impl Start<'_> {
    /// Starts a job in the order above. `record_event` puts an event on disk.
    pub fn spawn(
        self,
        mut ready: Ready,
        record_event: &mut dyn FnMut(RunEvent) -> Result<()>,
    ) -> Result<Spawn> {
        let Start { folder, codex, job, of, continues, resent, up } = self;
        let boot = liveness::boot();
        let sandbox = if job.options.bypass { Some(Sandbox::DangerFullAccess) } else { ready.sandbox };
        record_event(RunEvent::JobStarted {
            of: of.clone(),
            cwd: ready.cwd.to_str().map(str::to_owned),
            sandbox,
            kind: Some(job.kind()),
            continues,
            resent,
            boot,
            usage_before: ready.usage_before.take(),
            version: ready.version.take(),
            rollout_bytes: ready.before,
            uptime_ms: up,
        })?;
        // Nothing is sent before the spawn, and an error about one job must not stop the others.
        let made = match make(folder, &of, job, &mut ready) {
            Ok(made) => made,
            Err(error) => return Ok(Spawn::Failed(Failure::from_error(&error))),
        };
        let Made { copies, stdin, out, err, follower } = made;
        let mut command = Command::new(codex);
        command
            .args(command::arguments(job, ready.sandbox, &copies))
            .current_dir(&ready.cwd)
            .process_group(0)
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::from(out))
            .stderr(Stdio::from(err))
            .env("CODEX_AGENT_RUN", folder.name())
            .env("CODEX_AGENT_JOB", &of.job)
            .env(DEPTH, (depth() + 1).to_string());
        if let Some(home) = job.codex_home.as_deref().map(Path::new) {
            // Codex refuses a missing home in CODEX_HOME, and creates the default one. Only the default home
            // passes the checks while it is missing.
            match home.exists() {
                true => command.env("CODEX_HOME", home),
                false => command.env_remove("CODEX_HOME"),
            };
        }
        let spawned = command.spawn();
        // The command owns the runner's copy of the locked descriptor.
        drop(command);
        let child = match spawned {
            Ok(child) => child,
            Err(error) => {
                // A missing directory or an argument that the system refuses is a failure of this job alone.
                let (class, what) = match fs::metadata(ready.cwd.join(".")) {
                    Err(_) => (Class::Cwd, ready.cwd.as_path()),
                    Ok(_) if matches!(error.kind(), ArgumentListTooLong | InvalidInput) => {
                        (Class::Refused, codex)
                    }
                    Ok(_) => (Class::Spawn, codex),
                };
                let verb = if class == Class::Cwd { "enter" } else { "run" };
                let message = format!("cannot {verb} '{}': {}", what.display(), reason(&error));
                return Ok(Spawn::Failed(Failure::new(class, message)));
            }
        };
        let process = liveness::process(child.id() as i32);
        record_event(RunEvent::JobSpawned { of, process: process.clone() })?;
        Ok(Spawn::Running(child, process, Box::new(follower)))
    }
}

/// The files of an attempt, created before its Codex is started.
struct Made {
    copies: Copies,
    stdin: File,
    /// Locked.
    out: File,
    err: File,
    follower: Follower,
}

fn make(folder: &RunDir, of: &JobRef, job: &Job, ready: &mut Ready) -> Result<Made> {
    let place = folder.make_job(of.number)?;
    let copies = copy(&place, job)?;
    let path = |what: &str| folder.file(of.number, of.attempt, what);
    let prompt = path("prompt");
    let mut file = private(&prompt, false)?;
    let own = |verb: &'static str, path: &Path| {
        let path = path.to_owned();
        move |error| private::error(verb, &path, &error)
    };
    file.write_all(job.prompt.as_bytes()).map_err(own("write", &prompt))?;
    let stdin = File::open(&prompt).map_err(own("open", &prompt))?;
    let err = private(&path("err"), true)?;
    let out = private(&path("out"), true)?;
    // The follower is opened first: every started Codex can be followed.
    let follower = Follower::open(&path("out")).map_err(own("open", &path("out")))?;
    // Another process can only hold a shared lock, for a moment.
    let out = Lock::on(out, &path("out"))?.into_file();
    if let Some(hold) = &mut ready.hold {
        hold.assign(&path("out"))?;
    }
    Ok(Made { copies, stdin, out, err, follower })
}

fn private(path: &Path, append: bool) -> Result<File> {
    private::open(OpenOptions::new().create_new(true).append(append).write(true), "the new file", path)
}

/// Copies the files of a job under plain names: a comma would split Codex's argument, and an original may be
/// missing at a rerun. Copies of an earlier attempt are kept.
fn copy(folder: &Path, job: &Job) -> Result<Copies> {
    let mut copies = Copies::default();
    for (from, to) in command::copies(job, folder) {
        let from = Path::new(from);
        if !to.exists() {
            // An interrupted copy must never count as complete.
            let part = to.with_extension("part");
            let mut options = OpenOptions::new();
            let mut file = private::open(options.write(true).create(true).truncate(true), "the copy", &part)?;
            let (mut original, mut block) = (File::open(from).context("copy", from)?, vec![0; 64 << 10]);
            // An unreadable original fails this job alone; a copy that cannot be written is trouble of the run.
            let written = |error| private::error("write", &part, &error);
            loop {
                let got = original.read(&mut block).context("copy", from)?;
                if got == 0 {
                    break;
                }
                file.write_all(&block[..got]).map_err(written)?;
            }
            #[allow(clippy::disallowed_methods)] // It is synced, and replaces nothing.
            file.sync_all().and_then(|()| fs::rename(&part, &to)).map_err(written)?;
        }
        match to.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"schema-")) {
            true => copies.schema = Some(to),
            false => copies.images.push(to),
        }
    }
    Ok(copies)
}
