//! Another program, run for the user in the foreground.
//!
//! It shares the terminal and the process group, so that Ctrl-C reaches it by itself. We outlive
//! it, because there is something to clean up after it; a SIGTERM or SIGHUP that reaches us alone is
//! handed on. [`limited`] is for programs that are not to be trusted.
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
pub mod signals;

use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::{Error, Exit, Result, reason};

/// The editor that the user wants: `$VISUAL`, else `$EDITOR`, else `vi` on a terminal.
pub fn editor() -> Option<String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let by_default = || io::stdin().is_terminal().then(|| "vi".to_owned());
    set("VISUAL").or_else(|| set("EDITOR")).or_else(by_default)
}

/// Lets the user change a file. As with git, the editor may be a line of shell, and the file is its last word.
pub fn edit(editor: &str, path: &Path) -> Result<()> {
    let exit = run(Command::new("sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(path))?;
    match exit {
        Exit::Done => Ok(()),
        _ => Err(Error::new(format!("'{editor}' failed"))),
    }
}

/// Runs a command to its end and gives its exit code, or 128 and the signal that ended it. A signal
/// that came for us meanwhile is 128 and that signal, whatever the command made of it.
pub fn run(command: &mut Command) -> Result<Exit> {
    let came = Arc::new(AtomicUsize::new(0));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_usize(signal, Arc::clone(&came), signal as usize)
            .map_err(|error| Error::new(format!("cannot watch for signals: {}", reason(&error))))?;
    }
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|error| {
        Error::new(format!("cannot run '{name}': {}", reason(&error))).with_exit(Exit::CannotRun)
    })?;
    let mut handed_on = false;
    loop {
        let ended = child
            .try_wait()
            .map_err(|error| Error::new(format!("cannot wait for '{name}': {}", reason(&error))))?;
        let signal = came.load(Relaxed);
        if let Some(status) = ended {
            let code = match (signal, status.code(), status.signal()) {
                (0, Some(code), _) => code,
                (0, None, Some(by)) => 128 + by,
                (0, None, None) => 2,
                (signal, ..) => 128 + signal as i32,
            };
            return Ok(if code == 0 { Exit::Done } else { Exit::Theirs(u8::try_from(code).unwrap_or(2)) });
        }
        if signal != 0 && signal != SIGINT as usize && !handed_on {
            handed_on = true;
            if let Some(pid) = Pid::from_raw(child.id() as i32) {
                // It may have ended just now.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
