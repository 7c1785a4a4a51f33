//! Programs with limits of time, output and memory.
//!
//! The program runs in its own process group. When it exits or exceeds a limit, the rest of the group is killed.
//! The memory is the sum over the group, as /proc reports it; without /proc it is unknown.
//!
//! A signal to this process, such as Ctrl-C, which does not reach the group, kills the group and is an error.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::signals::register_number;
use crate::error::{Error, Exit, Result, reason};

/// The number of bytes of standard error that are kept.
const MESSAGES: usize = 64 << 10;

/// The standard input of the program.
#[derive(Default)]
pub enum Input {
    /// Empty input.
    #[default]
    Nothing,
    /// The bytes of a reader, then end of input.
    Source(Box<dyn Read + Send>),
    /// These bytes, then a pipe that stays open.
    Open(Vec<u8>),
}

/// The reader of standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reader {
    /// A reader that waits.
    #[default]
    Patient,
    /// A reader that exits after the first line, as `head -n 1` does.
    OneLine,
    /// No reader, from the beginning.
    Gone,
}

/// The signal that asks the program to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGINT, as of Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// The input and the limits of a program.
#[derive(Default)]
pub struct Limits {
    /// The maximum time; with `stop`, counted from that signal.
    pub time: Duration,
    /// The maximum number of bytes on standard output.
    pub most: u64,
    /// The number of bytes of standard output that are kept.
    pub kept: usize,
    /// The maximum memory of the group, in bytes.
    pub memory: Option<u64>,
    /// The standard input.
    pub input: Input,
    /// The reader of standard output.
    pub reader: Reader,
    /// The time after which the program is asked to stop, and the signal.
    pub stop: Option<(Duration, Stop)>,
    /// The time that other processes of the group may outlive the program before one is reported.
    pub others: Option<Duration>,
}

impl Limits {
    /// Limits of time and output, with empty input.
    pub fn new(time: Duration, most: u64) -> Limits {
        Limits { time, most, kept: usize::try_from(most).unwrap_or(usize::MAX), ..Limits::default() }
    }
}

/// The end of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndKind {
    /// The program exited with this status.
    Code(i32),
    /// This signal killed the program.
    Signal(i32),
    /// The program exceeded the time, and was killed.
    Late,
    /// The program exceeded the output, and was killed.
    TooMuch,
    /// The program exceeded the memory, and was killed.
    TooLarge,
}

/// The output of a program, and its end.
pub struct CommandResult {
    /// The end of the program.
    pub how: EndKind,
    /// The kept bytes of standard output.
    pub out: Vec<u8>,
    /// The kept bytes of standard error.
    pub err: Vec<u8>,
    /// The number of lines on standard output.
    pub lines: u64,
    /// The peak memory in bytes; 0 if it is unknown.
    pub memory: u64,
    /// Whether the program was asked to stop before it ended.
    pub was_asked: bool,
    /// The name of a program of the group that outlived this one, if `others` is set.
    pub left: Option<String>,
}

impl CommandResult {
    /// The first line of standard error that is not blank.
    pub fn first_message(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.err);
        text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }
}

/// The reason why a program was not run until it ended.
#[derive(Debug)]
pub enum CommandError {
    /// The program did not start.
    Start(io::Error),
    /// This process received a signal.
    StopSignal(i32),
}

impl CommandError {
    /// The error for the user, which names the program.
    pub fn into_error(self, name: &std::path::Path) -> Error {
        let shown = name.display();
        match self {
            CommandError::Start(error) if error.kind() == io::ErrorKind::NotFound && name.exists() => {
                Error::new(format!("cannot run '{shown}': the interpreter of the script does not exist"))
            }
            CommandError::Start(error) => Error::new(format!("cannot run '{shown}': {}", reason(&error))),
            CommandError::StopSignal(signal) => {
                Error::new(format!("interrupted while '{shown}' was running"))
                    .with_exit(Exit::Theirs(u8::try_from(128 + signal).unwrap_or(2)))
            }
        }
    }
}

/// The signal that this process has received and that ends it. From the first call on, the signals do not end the
/// process by themselves.
pub fn received_signal() -> Option<i32> {
    static RECEIVED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();
    // If no handler can be installed, the signal ends this process.
    let register = || register_number(&[SIGINT, SIGTERM, SIGHUP, SIGQUIT]).unwrap_or_default();
    Some(RECEIVED.get_or_init(register).load(Relaxed) as i32).filter(|signal| *signal != 0)
}

/// An error if this process has received a signal that ends it.
fn check_signals() -> std::result::Result<(), CommandError> {
    received_signal().map_or(Ok(()), |signal| Err(CommandError::StopSignal(signal)))
}

/// Runs a command within its limits.
pub fn run(command: &mut Command, limits: Limits) -> std::result::Result<CommandResult, CommandError> {
    check_signals()?;
    let has_input = !matches!(limits.input, Input::Nothing);
    let mut child = spawn(command, has_input).map_err(CommandError::Start)?;
    let group = Group(Pid::from_child(&child));
    let start = Instant::now();
    let open = feed(&mut child, limits.input);
    let out = Pipe::read(child.stdout.take(), limits.kept, limits.most, limits.reader);
    let err = Pipe::read(child.stderr.take(), MESSAGES, u64::MAX, Reader::Patient);
    let (mut memory, mut measured) = (0, Instant::now());
    let mut stopped: Option<Instant> = None;
    let how = loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                let by = || EndKind::Signal(status.signal().unwrap_or(0));
                break status.code().map_or_else(by, EndKind::Code);
            }
            Ok(None) => {}
            Err(error) => return Err(CommandError::Start(error)),
        }
        if let Err(signal) = check_signals() {
            kill(&group, &mut child);
            return Err(signal);
        }
        if out.is_too_much() {
            break EndKind::TooMuch;
        }
        if let Some(most) = limits.memory
            && measured.elapsed() > Duration::from_millis(20)
        {
            measured = Instant::now();
            memory = memory.max(group.memory());
            if memory > most {
                break EndKind::TooLarge;
            }
        }
        if let (Some((after, stop)), None) = (limits.stop, stopped)
            && start.elapsed() >= after
        {
            stopped = Some(Instant::now());
            group.signal(match stop {
                Stop::Interrupt => Signal::INT,
                Stop::Terminate => Signal::TERM,
            });
        }
        let from = if limits.stop.is_some() { stopped } else { Some(start) };
        if from.is_some_and(|from| from.elapsed() > limits.time) {
            break EndKind::Late;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let has_ended = matches!(how, EndKind::Code(_) | EndKind::Signal(_));
    let left = limits.others.filter(|_| has_ended).and_then(|others| group.survivor(others));
    kill(&group, &mut child);
    drop(open);
    let (printed, lines) = out.finish();
    let (err, _) = err.finish();
    // A fast program may have printed too much and exited before it could be killed.
    let how = if matches!(how, EndKind::Code(_)) && out.is_too_much() { EndKind::TooMuch } else { how };
    Ok(CommandResult { how, out: printed, err, lines, memory, was_asked: stopped.is_some(), left })
}

/// Kills the group, and the program if it left the group. A program that may not be killed, since it belongs to another
/// user now, is not waited for.
pub(super) fn kill(group: &Group, child: &mut Child) {
    group.signal(Signal::KILL);
    let start = Instant::now();
    while matches!(child.try_wait(), Ok(None)) && start.elapsed() < Duration::from_secs(1) {
        // The program may have ended just now.
        let _ = child.kill();
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts a program as a shell does: a script without an interpreter line is run by sh.
pub(super) fn spawn(command: &mut Command, has_input: bool) -> io::Result<Child> {
    const NOT_A_PROGRAM: i32 = 8; // ENOEXEC
    let start = |command: &mut Command| {
        let stdin = if has_input { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()
    };
    match start(command) {
        Err(error) if error.raw_os_error() == Some(NOT_A_PROGRAM) => {}
        started => return started,
    }
    let mut shell = Command::new("/bin/sh");
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    start(&mut shell)
}

/// Writes the input from a thread, since the program may not read it. The returned sender keeps the pipe open.
fn feed(child: &mut Child, input: Input) -> Option<Sender<()>> {
    let mut stdin = child.stdin.take()?;
    let (open, is_over) = channel();
    let (mut source, stays): (Box<dyn Read + Send>, bool) = match input {
        Input::Nothing => return None,
        Input::Source(source) => (source, false),
        Input::Open(bytes) => (Box::new(io::Cursor::new(bytes)), true),
    };
    std::thread::spawn(move || {
        // The program may stop reading.
        let _ = io::copy(&mut source, &mut stdin);
        if stays {
            let _ = is_over.recv();
        }
    });
    Some(open)
}

/// The process group of a program.
pub(super) struct Group(pub(super) Pid);

impl Group {
    pub(super) fn signal(&self, signal: Signal) {
        // The group may have no process any more.
        let _ = kill_process_group(self.0, signal);
    }

    /// The name of a process that is alive after this time. Most processes end soon after the program.
    fn survivor(&self, time: Duration) -> Option<String> {
        let start = Instant::now();
        while test_kill_process_group(self.0).is_ok() {
            let is_alive = |member: &Member| member.state != "Z" && member.state != "X";
            // Without /proc the members are unknown.
            let alive = self.members().into_iter().find(is_alive)?;
            if start.elapsed() >= time {
                return Some(alive.name);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// The sum of the peak memory of the processes.
    fn memory(&self) -> u64 {
        let peak = |member: Member| -> Option<u64> {
            let status = std::fs::read_to_string(member.directory.join("status")).ok()?;
            let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            most.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib << 10)
        };
        self.members().into_iter().filter_map(peak).sum()
    }

    /// The processes in /proc.
    fn members(&self) -> Vec<Member> {
        let group = self.0.as_raw_pid().to_string();
        let member = |entry: std::fs::DirEntry| -> Option<Member> {
            let name = entry.file_name();
            if !name.to_str()?.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name of the program is in parentheses, and may have any character.
            let (before, after) = stat.rsplit_once(')')?;
            let mut fields = after.split_whitespace();
            let state = fields.next()?.to_owned();
            let name = before.split_once('(')?.1.to_owned();
            (fields.nth(1)? == group).then(|| Member { directory: entry.path(), name, state })
        };
        std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(member).collect()
    }
}

/// A process of a group.
struct Member {
    directory: PathBuf,
    name: String,
    state: String,
}

/// An output of the program, which a thread reads until the other end is closed.
struct Pipe {
    capture: Arc<Mutex<Capture>>,
    most: u64,
    done: Receiver<()>,
}

/// The part of an output that was read.
#[derive(Default)]
struct Capture {
    kept: Vec<u8>,
    bytes: u64,
    lines: u64,
}

impl Pipe {
    fn read(pipe: Option<impl Read + Send + 'static>, kept: usize, most: u64, reader: Reader) -> Pipe {
        let (sender, done) = channel();
        let capture = Arc::new(Mutex::new(Capture::default()));
        let shared = Arc::clone(&capture);
        let mut pipe = pipe.filter(|_| reader != Reader::Gone);
        std::thread::spawn(move || {
            let mut chunk = vec![0; 64 << 10];
            while let Some(source) = &mut pipe {
                let count = match source.read(&mut chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Ok(count @ 1..) => count,
                    _ => break,
                };
                let piece = &chunk[..count];
                let Ok(mut capture) = shared.lock() else { break };
                let room = kept - capture.kept.len();
                capture.kept.extend_from_slice(&piece[..count.min(room)]);
                capture.lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
                capture.bytes += count as u64;
                if capture.bytes > most || (reader == Reader::OneLine && capture.lines > 0) {
                    break;
                }
            }
            drop(pipe);
            // The receiver may not wait any more.
            let _ = sender.send(());
        });
        Pipe { capture, most, done }
    }

    fn capture(&self) -> MutexGuard<'_, Capture> {
        self.capture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_too_much(&self) -> bool {
        self.capture().bytes > self.most
    }

    /// The kept bytes, and the number of lines. A process that left the group may keep the pipe open for ever, and is
    /// not waited for.
    fn finish(&self) -> (Vec<u8>, u64) {
        let _ = self.done.recv_timeout(Duration::from_secs(1));
        let mut capture = self.capture();
        (std::mem::take(&mut capture.kept), capture.lines)
    }
}

/// The output of a program that exits with status 0. `what` names the output in the error.
pub fn output(command: &mut Command, limits: Limits, what: &str) -> Result<Vec<u8>> {
    output_if(command, limits, what, |code| code == 0)
}

/// The output of a program that exits with a status that `is_good` accepts.
pub fn output_if(
    command: &mut Command,
    limits: Limits,
    what: &str,
    is_good: impl Fn(i32) -> bool,
) -> Result<Vec<u8>> {
    let (path, time, most) = (PathBuf::from(command.get_program()), limits.time.as_secs(), limits.most >> 10);
    let ended = run(command, limits).map_err(|failure| failure.into_error(&path))?;
    let why = match ended.how {
        EndKind::Code(code) if is_good(code) => return Ok(ended.out),
        EndKind::Code(code) => match ended.first_message() {
            Some(message) => format!("it exited with status {code}: {message}"),
            None => format!("it exited with status {code}"),
        },
        EndKind::Signal(signal) => format!("it was killed by signal {signal}"),
        EndKind::Late => format!("it did not exit within {time} seconds"),
        EndKind::TooMuch => format!("it printed more than {most} KiB"),
        EndKind::TooLarge => "it used too much memory".to_owned(),
    };
    Err(Error::new(format!("cannot get {what} from '{}': {why}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limits: Limits) -> CommandResult {
        run(Command::new("/bin/sh").args(["-c", script]), limits).unwrap()
    }

    fn soon(most: u64) -> Limits {
        Limits::new(Duration::from_secs(20), most)
    }

    #[test]
    fn it_ends_by_itself() {
        let ended = sh("cat; echo out; echo err >&2; exit 3", soon(100));
        assert_eq!(
            (ended.how, &ended.out[..], &ended.err[..]),
            (EndKind::Code(3), &b"out\n"[..], &b"err\n"[..])
        );
        assert_eq!(sh("kill -9 $$", soon(100)).how, EndKind::Signal(9));
        let fed = Limits { input: Input::Source(Box::new(&b"a\nb\n"[..])), ..soon(100) };
        assert_eq!(sh("cat", fed).lines, 2);
    }

    #[test]
    fn it_is_killed_with_its_children() {
        let start = Instant::now();
        let limits = Limits::new(Duration::from_millis(300), 100);
        let ended = sh("sleep 60 & echo $!; exec sleep 60", limits);
        assert_eq!(ended.how, EndKind::Late);
        let child = String::from_utf8(ended.out).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        // The process that reaps orphans may not have run yet.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn what_outlives_it_is_told() {
        let left = |script| sh(script, Limits { others: Some(Duration::from_millis(500)), ..soon(100) }).left;
        assert_eq!(left("sleep 60 >/dev/null & exit 0").as_deref(), Some("sleep"));
        assert_eq!(left("sleep 0.1 >/dev/null & exit 0"), None);
        assert_eq!(left("true & exit 0"), None);
        assert_eq!(sh("sleep 60 >/dev/null & exit 0", soon(100)).left, None);
    }

    #[test]
    fn it_is_killed_when_it_prints_too_much() {
        let ended = sh("yes", soon(1000));
        assert_eq!(ended.how, EndKind::TooMuch);
        assert!(ended.out.len() <= 1000);
        assert_eq!(sh("head -c 2000 /dev/zero", soon(1000)).how, EndKind::TooMuch);
    }

    #[test]
    fn a_child_that_leaves_the_group_is_not_waited_for() {
        let start = Instant::now();
        let ended = sh("echo before; setsid sleep 20 & exit 0", soon(1000));
        assert_eq!((ended.how, &ended.out[..]), (EndKind::Code(0), &b"before\n"[..]));
        assert!(start.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn one_that_left_its_group_is_killed_all_the_same() {
        let python = "import os,time; os.setpgid(0, os.getpgid(os.getppid())); time.sleep(60)";
        let mut command = Command::new("python3");
        command.args(["-c", python]);
        let start = Instant::now();
        match run(&mut command, Limits::new(Duration::from_millis(800), 100)) {
            Ok(ended) => assert!(matches!(ended.how, EndKind::Late | EndKind::Code(1)), "{:?}", ended.how),
            // There is no Python here.
            Err(CommandError::Start(_)) => {}
            Err(CommandError::StopSignal(signal)) => panic!("{signal}"),
        }
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_script_without_a_first_line_is_one_of_sh() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script");
        #[allow(clippy::disallowed_methods)] // What a test runs must be put there.
        std::fs::write(&script, "echo hi $1\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let ended = run(Command::new(&script).arg("there"), soon(100)).unwrap();
        assert_eq!((ended.how, &ended.out[..]), (EndKind::Code(0), &b"hi there\n"[..]));
    }

    #[test]
    fn one_that_does_not_read_is_not_waited_for() {
        let much = vec![b'x'; 1 << 20];
        for input in [Input::Open(much.clone()), Input::Source(Box::new(io::Cursor::new(much)))] {
            let ended = sh("sleep 0.1", Limits { input, ..soon(100) });
            assert_eq!(ended.how, EndKind::Code(0));
        }
    }

    #[test]
    fn its_reader_may_go_away() {
        for reader in [Reader::OneLine, Reader::Gone] {
            let ended = sh("exec yes", Limits { reader, ..soon(1 << 20) });
            assert_eq!(ended.how, EndKind::Signal(13), "{reader:?}");
        }
    }

    #[test]
    fn it_is_asked_to_stop() {
        let after = Duration::from_millis(200);
        for (script, want) in [("cat", EndKind::Signal(15)), ("trap '' TERM; cat; sleep 60", EndKind::Late)] {
            let limits = Limits {
                input: Input::Open(b"x\n".to_vec()),
                stop: Some((after, Stop::Terminate)),
                ..Limits::new(Duration::from_secs(1), 100)
            };
            let ended = sh(script, limits);
            assert_eq!((ended.how, ended.was_asked), (want, true), "{script}");
        }
    }
}
