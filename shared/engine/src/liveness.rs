//! Whether a Codex lives, and signals to it.
//!
//! The runner locks `.out` before it starts Codex and lets Codex inherit that descriptor, which
//! nothing that Codex starts gets. So the lock lives as long as Codex does, whatever became of the
//! runner. Whoever wants to know takes a *shared* lock for a moment: two who ask at once do not see
//! each other. A process number serves only to signal, and only where the lock is held and the time
//! of the process's start is the one that was written down.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::record::event::Process;

/// Whether somebody holds an exclusive lock on a file. One that is not there is nobody's. Where it
/// cannot be looked at (too many open files) nobody may take it for free.
pub fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// As [`is_locked`], and held where nobody can tell.
pub fn may_be_locked(path: &Path) -> bool {
    is_locked(path).unwrap_or(true)
}

/// The id of this boot; `None` where the system does not tell.
pub fn boot() -> Option<String> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    let read = || fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    BOOT.get_or_init(|| read().map(|text| text.trim().to_owned())).clone()
}

/// Whether something was in this boot. Where the system does not tell, nobody knows, and it was not.
pub fn is_this_boot(then: Option<&str>) -> bool {
    then.is_some() && then == boot().as_deref()
}

/// A process as it can be told from a later one of the same number.
pub fn process(pid: i32) -> Process {
    Process { pid, start_time: start_time(pid), boot: boot() }
}

/// Field 22 of `/proc/PID/stat`. The second field may hold blanks and brackets.
fn start_time(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text[text.rfind(')')? + 1..].split_whitespace().nth(19)?.parse().ok()
}

/// Whether this very process still is there.
pub fn lives(process: &Process) -> bool {
    process.start_time.is_some()
        && start_time(process.pid) == process.start_time
        && is_this_boot(process.boot.as_deref())
}

/// Signals the group of a child of our own that has not been waited for.
pub fn signal_child(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended just now, and then there is nobody to tell.
        let _ = kill_process_group(pid, signal);
    }
}

/// Signals whoever holds `.out`: the group of the process that was written down, if it is that one,
/// and every process whose standard output the file is.
pub fn signal_holders(out: &Path, process: Option<&Process>, signal: Signal) {
    if !may_be_locked(out) {
        return;
    }
    let group = process.filter(|process| lives(process)).map(|process| process.pid);
    if let Some(group) = group {
        signal_child(group, signal);
    }
    for pid in writers(out).unwrap_or_default().into_iter().filter(|pid| group != Some(*pid)) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// The processes whose standard output a file is; `None` where the system does not show them.
fn writers(out: &Path) -> Option<Vec<i32>> {
    let out = fs::canonicalize(out).ok()?;
    // A /proc that shows not even this process shows none.
    fs::read_dir("/proc/self/fd").ok()?;
    let writes = |pid: &i32| fs::read_link(format!("/proc/{pid}/fd/1")).is_ok_and(|target| target == out);
    let pids =
        fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Some(pids.filter(writes).collect())
}

/// Whether a Codex of which our child has ended may live. Where its lock cannot be looked at, what the system shows
/// of processes decides, so that a file system that has lost its locks is not waited for.
pub fn may_live(out: &Path) -> bool {
    is_locked(out).unwrap_or_else(|_| writers(out).is_none_or(|pids| !pids.is_empty()))
}

/// Stops the processes that hold these `.out`: sends them SIGINT, and stronger signals to those that stay.
/// The number of them that stay all the same.
pub fn stop_holders(outs: &[(PathBuf, Option<&Process>)]) -> usize {
    let living = || outs.iter().filter(|(out, _)| may_be_locked(out));
    for (signal, patience) in [(Signal::INT, 5), (Signal::TERM, 2), (Signal::KILL, 2)] {
        living().for_each(|(out, process)| signal_holders(out, *process, signal));
        let until = Instant::now() + Duration::from_secs(patience);
        while Instant::now() < until {
            if living().next().is_none() {
                return 0;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    living().count()
}

/// Tells a runner to stop, if it is still the one that was written down: to start nothing more, or, with
/// `now`, to stop what runs too.
pub fn stop_runner(process: &Process, now: bool) -> bool {
    let signal = if now { Signal::USR1 } else { Signal::TERM };
    lives(process) && Pid::from_raw(process.pid).is_some_and(|pid| kill_process(pid, signal).is_ok())
}
