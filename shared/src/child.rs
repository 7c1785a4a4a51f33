//! Other programs: run in the foreground for the user, or with limits.
//!
//! A foreground program shares the terminal and the process group, so that Ctrl-C reaches it directly. This process
//! outlives the program, for the work after it; SIGTERM and SIGHUP to this process alone end the program. [`limited`]
//! is for untrusted programs, [`piped`] for a program that this process talks to.
//!
//! ```
//! use std::process::Command;
//!
//! use codex_agent_shared::child;
//! use codex_agent_shared::error::Exit;
//!
//! assert_eq!(child::run(Command::new("sh").args(["-c", "exit 3"])).unwrap(), Exit::Theirs(3));
//! ```

pub mod limited;
pub mod piped;
pub mod signals;

use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, getppid, getsid, kill_current_process_group, kill_process};
use signal_hook::consts::SIGINT;

use crate::error::{Error, Exit, Result, reason};

/// Whether this process can be suspended: a shell that would continue it is a parent in the same session.
pub fn can_suspend() -> bool {
    let parent = getppid();
    parent.is_some_and(|parent| getsid(Some(parent)).ok() == getsid(None).ok())
}

/// Asks every process of this process group to stop, as Ctrl-Z does: a shell continues the programs of a pipe together.
pub fn suspend_group() {
    let _ = kill_current_process_group(Signal::TSTP);
}

/// Stops this process until a shell continues it.
pub fn suspend() {
    let _ = kill_process(getpid(), Signal::STOP);
}

/// The editor of the user: `$VISUAL`, or `$EDITOR`, or `vi` on a terminal.
pub fn editor() -> Option<String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let by_default = || io::stdin().is_terminal().then(|| "vi".to_owned());
    set("VISUAL").or_else(|| set("EDITOR")).or_else(by_default)
}

/// Opens a file in an editor. As with git, the editor may be a shell command, whose last argument is the file.
pub fn edit(editor: &str, path: &Path) -> Result<()> {
    let exit = run(Command::new("sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(path))?;
    match exit {
        Exit::Done => Ok(()),
        _ => Err(Error::new(format!("the editor '{editor}' failed"))),
    }
}

/// Runs a command until it ends, and returns its exit status, or 128 and the signal that killed it. If this process
/// received a signal meanwhile, 128 and that signal.
pub fn run(command: &mut Command) -> Result<Exit> {
    let received = signals::requests_to_stop()?;
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|error| {
        Error::new(format!("cannot run '{name}': {}", reason(&error))).with_exit(Exit::CannotRun)
    })?;
    let mut is_stopped = false;
    loop {
        let ended = child
            .try_wait()
            .map_err(|error| Error::new(format!("cannot wait for '{name}': {}", reason(&error))))?;
        let signal = received.load(Relaxed) as i32;
        if let Some(status) = ended {
            let killed_by = if signal == 0 { status.signal() } else { Some(signal) };
            let code = killed_by.map_or_else(|| status.code().unwrap_or(2), |signal| 128 + signal);
            return Ok(if code == 0 { Exit::Done } else { Exit::Theirs(u8::try_from(code).unwrap_or(2)) });
        }
        if signal != 0 && signal != SIGINT && !is_stopped {
            is_stopped = true;
            if let Some(pid) = Pid::from_raw(child.id() as i32) {
                // The child may have ended just now.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
