//! The order of a start. The order is a contract, and each step depends on the step before:
//!
//! 1. The job was checked ([`crate::process::preflight`]); its session, if it has one, is locked.
//! 2. `job.started` is on disk. From here on a later runner knows that this attempt may exist.
//! 3. `.out`, a new file for each attempt, is created and locked.
//! 4. Codex is started in a process group of its own, with that descriptor as its standard output. The copy of the
//!    runner is closed, so that only Codex holds the lock.
//! 5. `job.spawned` is on disk.
//!
//! A runner that is killed after step 2 leaves no `.out`, or an empty `.out` without a lock: nothing was sent. A runner
//! that is killed after step 4 leaves an `.out` that is locked as long as Codex is running. There is no third case, since
//! the child process has the descriptor before it executes Codex.

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
pub(crate) const DEPTH: &str = "CODEX_AGENT_DEPTH";

/// The greatest nesting depth.
pub(crate) const DEEPEST: u32 = 3;

/// The nesting depth of this process.
pub(crate) fn depth() -> u32 {
    std::env::var(DEPTH).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Refuses deeply nested jobs: a job that runs itself would never end.
pub fn check_depth() -> Result<()> {
    match depth() < DEEPEST {
        true => Ok(()),
        false => Err(Error::new(format!("runs within jobs may not be nested more than {DEEPEST} deep"))),
    }
}

/// The parameters of a start.
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
        let boot = liveness::boot_id();
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
        let made = match create_files(folder, &of, job, &mut ready) {
            Ok(made) => made,
            Err(error) => return Ok(Spawn::Failed(Failure::from_error(&error))),
        };
        let AttemptFiles { copies, stdin, out, err, follower } = made;
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
            .env(DEPTH, (depth().max(job.depth) + 1).to_string());
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
                let is_argument = matches!(error.kind(), ArgumentListTooLong | InvalidInput);
                let (class, verb, path) = match fs::metadata(ready.cwd.join(".")) {
                    Err(_) => (Class::Cwd, "enter", ready.cwd.as_path()),
                    Ok(_) => (if is_argument { Class::Refused } else { Class::Spawn }, "run", codex),
                };
                let message = format!("cannot {verb} '{}': {}", path.display(), reason(&error));
                return Ok(Spawn::Failed(Failure::new(class, message)));
            }
        };
        let process = liveness::identify_process(child.id() as i32);
        record_event(RunEvent::JobSpawned { of, process: process.clone() })?;
        Ok(Spawn::Running(child, process, Box::new(follower)))
    }
}

/// The files of an attempt, which are created before its Codex is started.
struct AttemptFiles {
    copies: Copies,
    stdin: File,
    /// Locked.
    out: File,
    err: File,
    follower: Follower,
}

fn create_files(folder: &RunDir, of: &JobRef, job: &Job, ready: &mut Ready) -> Result<AttemptFiles> {
    let place = folder.make_job(of.number)?;
    let copies = copy_files(&place, job)?;
    let path = |what: &str| folder.file(of.number, of.attempt, what);
    let prompt = path("prompt");
    let mut file = create_private(&prompt, false)?;
    let own = |verb: &'static str, path: &Path| {
        let path = path.to_owned();
        move |error| private::error(verb, &path, &error)
    };
    file.write_all(job.prompt.as_bytes()).map_err(own("write", &prompt))?;
    let stdin = File::open(&prompt).map_err(own("open", &prompt))?;
    let err = create_private(&path("err"), true)?;
    let out = create_private(&path("out"), true)?;
    // The follower is opened first: every started Codex can be followed.
    let follower = Follower::open(&path("out")).map_err(own("open", &path("out")))?;
    // Another process can only hold a shared lock, for a moment.
    let out = Lock::on(out, &path("out"))?.into_file();
    if let Some(lock) = &mut ready.lock {
        lock.assign(&path("out"))?;
    }
    Ok(AttemptFiles { copies, stdin, out, err, follower })
}

fn create_private(path: &Path, append: bool) -> Result<File> {
    private::open(OpenOptions::new().create_new(true).append(append).write(true), "the new file", path)
}

/// Copies the files of a job to plain names, since a comma would split the argument of Codex, and since an original may
/// be missing at a rerun. Copies of an earlier attempt are kept.
fn copy_files(folder: &Path, job: &Job) -> Result<Copies> {
    let mut copies = Copies::default();
    for (from, to) in command::copies(job, folder) {
        let from = Path::new(from);
        if !to.exists() {
            // An interrupted copy must never count as complete.
            let part = to.with_extension("part");
            let mut options = OpenOptions::new();
            let mut file = private::open(options.write(true).create(true).truncate(true), "the copy", &part)?;
            let (mut original, mut block) = (File::open(from).context("copy", from)?, vec![0; 64 << 10]);
            // An unreadable original fails this job alone; an error of the copy would occur for any other job too.
            let written = |error| private::error("write", &part, &error);
            loop {
                let got = original.read(&mut block).context("copy", from)?;
                if got == 0 {
                    break;
                }
                file.write_all(&block[..got]).map_err(written)?;
            }
            #[allow(clippy::disallowed_methods)] // The file is synced, and replaces no file.
            file.sync_all().and_then(|()| fs::rename(&part, &to)).map_err(written)?;
        }
        match to.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"schema-")) {
            true => copies.schema = Some(to),
            false => copies.images.push(to),
        }
    }
    Ok(copies)
}
