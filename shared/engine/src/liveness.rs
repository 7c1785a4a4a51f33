//! Whether a Codex is running, and signals to it.
//!
//! The runner locks `.out` before it starts Codex, and Codex inherits that descriptor, but no child of Codex does. So the
//! lock lasts as long as Codex runs, even if the runner ends before. A check acquires a *shared* lock for a moment, so
//! that two concurrent checks do not see each other. A process id is used only for signals, and only while the lock is
//! held and the start time of the process is the recorded one.
//!
//! Without `/proc`, as on macOS, `sysctl` prints the boot and `ps` the start time. There a process that inherited `.out`
//! is found, and gets a signal, only if it is in the process group of Codex.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use codex_agent_shared::store::lock::is_locked;
use codex_agent_shared::text;

use crate::record::event::Process;

/// Whether a process has the lock of a file; true if unknown.
pub fn may_be_locked(path: &Path) -> bool {
    is_locked(path).unwrap_or(true)
}

/// The id of this boot; `None` if unknown. On macOS and FreeBSD the id is a variable of the kernel, since the time of the
/// boot changes whenever the clock is set.
pub fn boot_id() -> Option<String> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    let names = ["kern.bootsessionuuid", "kern.boot_id"];
    let read = || {
        let linux = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        linux.or_else(|| names.iter().find_map(|name| run_program("sysctl", &["-n", name])))
    };
    BOOT.get_or_init(|| read().map(|text| text.trim().to_owned())).clone()
}

/// Whether a boot id is that of this boot; false if unknown.
pub fn is_this_boot(then: Option<&str>) -> bool {
    then.is_some() && then == boot_id().as_deref()
}

/// Identifies a process by its id, start time and boot, since process ids are reused.
pub fn identify_process(pid: i32) -> Process {
    Process { pid, start_time: start_time(pid), boot: boot_id() }
}

/// The start time of a process: field 22 of `/proc/PID/stat`. The second field may have blanks and brackets.
fn start_time(pid: i32) -> Option<u64> {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        let has_proc = Path::new("/proc/self/stat").exists();
        return if has_proc { None } else { start_time_by_ps(pid) };
    };
    text[text.rfind(')')? + 1..].split_whitespace().nth(19)?.parse().ok()
}

/// A number that stands for the start time that `ps` prints; `None` if there is no such process.
fn start_time_by_ps(pid: i32) -> Option<u64> {
    let start = run_program("ps", &["-o", "lstart=", "-p", &pid.to_string()])?;
    // Twelve digits are exact in every reader of JSON.
    u64::from_str_radix(&text::fingerprint(start.as_bytes())[..12], 16).ok()
}

/// Runs a program of the system. Returns its output without blanks around it; `None` if it failed or printed nothing.
fn run_program(program: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(program).args(words).env("LC_ALL", "C").env("TZ", "UTC").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Whether exactly this process is running.
pub fn is_running(process: &Process) -> bool {
    process.start_time.is_some()
        && start_time(process.pid) == process.start_time
        && is_this_boot(process.boot.as_deref())
}

/// Signals the process group of a child of this process.
pub fn signal_child(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // The process may have ended just now.
        let _ = kill_process_group(pid, signal);
    }
}

/// Signals the holders of `.out`: the group of the recorded process, if it is still running, and every process whose
/// standard output is the file.
pub fn signal_holders(out: &Path, process: Option<&Process>, signal: Signal) {
    if !may_be_locked(out) {
        return;
    }
    let group = process.filter(|process| is_running(process)).map(|process| process.pid);
    if let Some(group) = group {
        signal_child(group, signal);
    }
    for pid in find_writers(out).unwrap_or_default().into_iter().filter(|pid| group != Some(*pid)) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// The processes whose standard output is a file; `None` if unknown.
fn find_writers(out: &Path) -> Option<Vec<i32>> {
    let out = fs::canonicalize(out).ok()?;
    // Without an entry for this process, `/proc` lists no processes.
    fs::read_dir("/proc/self/fd").ok()?;
    let writes = |pid: &i32| fs::read_link(format!("/proc/{pid}/fd/1")).is_ok_and(|target| target == out);
    let pids =
        fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Some(pids.filter(writes).collect())
}

/// Whether a Codex whose launcher has ended may still be running. If the lock cannot be read, the list of processes
/// decides, so that a file system that has lost its locks does not block the run.
pub fn may_be_running(out: &Path) -> bool {
    is_locked(out).unwrap_or_else(|_| find_writers(out).is_none_or(|pids| !pids.is_empty()))
}

/// Stops the holders of these `.out` by SIGINT, then by stronger signals. Returns the number of those that are still
/// running.
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

/// Signals a runner to stop starting jobs or, with `now`, to stop running jobs too; false if the recorded
/// process is not running.
pub fn stop_runner(process: &Process, now: bool) -> bool {
    let signal = if now { Signal::USR1 } else { Signal::TERM };
    is_running(process) && Pid::from_raw(process.pid).is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Asks a worker to leave its jobs to another one.
pub fn ask_to_leave(process: &Process) {
    signal_runner(process, Signal::USR2);
}

/// Kills a worker. Its jobs live on.
pub fn kill_runner(process: &Process) {
    signal_runner(process, Signal::KILL);
}

fn signal_runner(process: &Process, signal: Signal) {
    if let Some(pid) = Pid::from_raw(process.pid).filter(|_| is_running(process)) {
        // It may have ended just now.
        let _ = kill_process(pid, signal);
    }
}

#[cfg(test)]
#[allow(clippy::print_stderr)]
mod tests {
    use super::*;

    #[test]
    fn ps_prints_the_start_time_of_a_running_process() {
        if run_program("ps", &["-o", "pid="]).is_none() {
            eprintln!("SKIPPED: there is no program ps");
            return;
        }
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id() as i32;
        let (own, first) = (start_time_by_ps(std::process::id() as i32), start_time_by_ps(1));
        assert!(own.is_some() && start_time_by_ps(pid).is_some() && own != first, "{own:?} {first:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(start_time_by_ps(pid), None);
    }
}
