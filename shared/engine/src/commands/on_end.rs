//! The command of `runs.on_end`: run after each run, with the record of the run on its standard input.
//!
//! The command runs in its own process group, so that Ctrl-C and a closed terminal do not reach it. Its failure is a
//! warning, and never changes the exit status of the run. The end of the run is in the journal before, and its last line
//! is printed. Runs within jobs, and runs that the command itself starts, run no command.
//!
//! The output of the command is copied to standard error while it runs. A process that it leaves in the background holds
//! no output of this process, whose reader would wait for it (`2>&1 | tail`); what it prints later is lost.

use std::io::{PipeReader, Read, Write, pipe, stderr};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::Signal;

use crate::commands::run_record::describe_run;
use crate::disk::progress::RunProgress;
use crate::disk::run_dir::RunDir;
use crate::liveness;
use crate::process::spawn;
use codex_agent_shared::config;
use codex_agent_shared::error::{Error, Result, flush, reason, warn};

/// The time after which the command is killed.
const LONGEST: Duration = Duration::from_secs(30);

/// Runs the command, if the run has ended and the setting names one.
pub fn run(dir: &RunDir) {
    if spawn::depth() > 0 {
        return;
    }
    let command = match config::get() {
        Ok(config) => config.on_end(),
        Err(error) => {
            return warn(format_args!("the command of runs.on_end was not run: {}", error.message()));
        }
    };
    let Some(command) = command else { return };
    flush();
    if let Err(error) = run_command(dir, &command) {
        warn(format_args!("the command '{command}' of runs.on_end failed: {}", error.message()));
    }
}

/// Copies what a pipe has to standard error, without waiting for more.
fn copy_output(pipe: &mut PipeReader) {
    let mut block = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut block) {
        // Standard error may be closed, and there is no other place for the text.
        let _ = stderr().write_all(&block[..count]);
    }
}

fn run_command(dir: &RunDir, command: &str) -> Result<()> {
    let progress = RunProgress::read(dir)?;
    if progress.ended.is_none() {
        return Ok(());
    }
    let record = serde_json::to_vec(&describe_run(dir, &progress))
        .map_err(|error| Error::new(format!("the record cannot be written: {error}")))?;
    let failed = |error: std::io::Error| Error::new(reason(&error));
    // Standard output has the events of the run.
    let (mut output, input) = pipe().map_err(failed)?;
    fcntl_setfl(&output, OFlags::NONBLOCK).map_err(|error| failed(error.into()))?;
    let errors = input.try_clone().map_err(failed)?;
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env("CODEX_AGENT_RUN", dir.name())
        .env(spawn::DEPTH, "1")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(input)
        .stderr(errors)
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // The record is shorter than the buffer of a pipe. A command need not read it.
        let _ = input.write_all(&record).and_then(|()| input.write_all(b"\n"));
    }
    let begun = Instant::now();
    loop {
        let ended = child.try_wait().map_err(failed)?;
        copy_output(&mut output);
        match ended {
            Some(exit) if exit.success() => return Ok(()),
            Some(exit) => {
                return Err(Error::new(match (exit.code(), exit.signal()) {
                    (Some(code), _) => format!("it exited with status {code}"),
                    (None, signal) => format!("signal {} ended it", signal.unwrap_or(0)),
                }));
            }
            None if begun.elapsed() > LONGEST => {
                liveness::signal_child(child.id() as i32, Signal::KILL);
                child.wait().map_err(failed)?;
                return Err(Error::new(format!(
                    "it ran longer than {} s, and was killed",
                    LONGEST.as_secs()
                )));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
