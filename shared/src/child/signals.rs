//! Signals as bytes in pipes, for a loop that waits for several events.
//!
//! A signal that this process ignores stays ignored (`nohup`, a background job of a script). When the last [`Signals`]
//! are dropped, the signals that ask to stop have their default effect again.

use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::SigId;
use signal_hook::consts::{SIGCHLD, SIGUSR1, SIGUSR2};
pub use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};

use crate::error::{Error, Result, reason};

/// The signals of a supervisor.
pub struct Signals {
    /// A reader and a writer each: for SIGCHLD, the signals that ask to stop, SIGHUP, SIGUSR1 and SIGUSR2. The writer
    /// stays open, since the wait for a closed pipe would return at once.
    pipes: [[UnixStream; 2]; 5],
    registered: Vec<SigId>,
}

/// The signals that were received during a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Whether a child ended or changed.
    pub child: bool,
    /// The number of requests to stop: SIGINT or SIGTERM.
    pub stops: usize,
    /// Whether the terminal was closed: SIGHUP. A shell also sends it, so that one closed terminal may cause several.
    pub hangup: bool,
    /// Whether an immediate stop was requested: SIGUSR1.
    pub now: bool,
    /// Whether this process was asked to leave its work to another process: SIGUSR2.
    pub leave: bool,
}

/// A file that can end a wait.
#[derive(Clone, Copy, Debug)]
pub enum Awaited<'f> {
    /// The file can be read, or its writers have closed it.
    Readable(BorrowedFd<'f>),
    /// The file can be written, or its readers have closed it.
    Writable(BorrowedFd<'f>),
}

impl Signals {
    /// Starts to catch signals.
    pub fn catch() -> Result<Signals> {
        Signals::catch_with(&[SIGINT, SIGTERM, SIGHUP]).map_err(|error| watch_error(&error))
    }

    /// Starts to catch signals, with SIGINT as the only request to stop; the others end the process.
    pub fn interrupts() -> Result<Signals> {
        Signals::catch_with(&[SIGINT]).map_err(|error| watch_error(&error))
    }

    fn catch_with(stops: &[i32]) -> io::Result<Signals> {
        let stops = not_ignored(stops);
        let mut registered = Vec::new();
        let mut catch = |signals: &[i32]| -> io::Result<[UnixStream; 2]> {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            for signal in signals {
                let end = OwnedFd::from(writer.try_clone()?);
                registered.push(signal_hook::low_level::pipe::register(*signal, end)?);
            }
            Ok([reader, writer])
        };
        let (hangups, others): (Vec<i32>, Vec<i32>) = stops.iter().partition(|stop| **stop == SIGHUP);
        let pipes =
            [catch(&[SIGCHLD])?, catch(&others)?, catch(&hangups)?, catch(&[SIGUSR1])?, catch(&[SIGUSR2])?];
        suspend_default_effect(&stops)?;
        Ok(Signals { pipes, registered })
    }

    /// Waits for a signal, for at most this time.
    pub fn wait(&mut self, longest: Duration) -> Received {
        self.wait_with(&[], longest)
    }

    /// As [`Signals::wait`], until one of these files can be used.
    pub fn wait_with(&mut self, files: &[Awaited<'_>], longest: Duration) -> Received {
        let timeout =
            Timespec { tv_sec: longest.as_secs() as i64, tv_nsec: i64::from(longest.subsec_nanos()) };
        let signals = self.pipes.iter().map(|[reader, _]| PollFd::new(reader, PollFlags::IN));
        let files = files.iter().map(|file| match file {
            Awaited::Readable(file) => PollFd::from_borrowed_fd(*file, PollFlags::IN),
            Awaited::Writable(file) => PollFd::from_borrowed_fd(*file, PollFlags::OUT),
        });
        let mut fds: Vec<PollFd<'_>> = signals.chain(files).collect();
        // A signal that interrupts the wait has its byte in a pipe already.
        let _ = poll(&mut fds, Some(&timeout));
        drop(fds);
        let [child, stops, hangup, now, leave] = self.pipes.each_mut().map(|[reader, _]| drain(reader));
        Received { child: child > 0, stops, hangup: hangup > 0, now: now > 0, leave: leave > 0 }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            signal_hook::low_level::unregister(id);
        }
        if WAITING.fetch_sub(1, Ordering::SeqCst) == 1 {
            has_default_effect().store(true, Ordering::SeqCst);
        }
    }
}

/// The number of [`Signals`].
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Whether the signals that ask to stop have their default effect.
fn has_default_effect() -> &'static Arc<AtomicBool> {
    static HAS_DEFAULT_EFFECT: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    HAS_DEFAULT_EFFECT.get_or_init(Arc::default)
}

/// Suspends the default effect of signals. The effect of a signal is registered once.
fn suspend_default_effect(signals: &[i32]) -> io::Result<()> {
    static KNOWN: Mutex<Vec<i32>> = Mutex::new(Vec::new());
    WAITING.fetch_add(1, Ordering::SeqCst);
    has_default_effect().store(false, Ordering::SeqCst);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    for signal in signals {
        if !known.contains(signal) {
            signal_hook::flag::register_conditional_default(*signal, Arc::clone(has_default_effect()))?;
            known.push(*signal);
        }
    }
    Ok(())
}

fn drain(pipe: &mut UnixStream) -> usize {
    let mut bytes = [0; 64];
    let mut all = 0;
    while let Ok(got) = pipe.read(&mut bytes) {
        all += got;
        if got < bytes.len() {
            break;
        }
    }
    all
}

/// Registers a number that is 0 until this process receives a signal that asks to stop, and then the number of the signal.
pub(crate) fn requests_to_stop() -> Result<Arc<AtomicUsize>> {
    register_number(&[SIGINT, SIGTERM, SIGHUP])
}

/// Lets SIGINT and SIGQUIT end no longer this process, but another program at the same terminal. The number is 0 until
/// one of them is received.
pub fn ignore_interrupts() -> Result<Arc<AtomicUsize>> {
    register_number(&[SIGINT, SIGQUIT])
}

/// Calls `report` on a thread of its own with the number of each of these signals that this process receives. The
/// signals lose their default effect.
pub fn report(signals: &[i32], mut report: impl FnMut(i32) + Send + 'static) -> Result<()> {
    let mut pipes = Vec::new();
    for signal in not_ignored(signals) {
        let (reader, writer) = UnixStream::pair().map_err(|error| watch_error(&error))?;
        reader.set_nonblocking(true).map_err(|error| watch_error(&error))?;
        // The second writer keeps the pipe open.
        let end = writer.try_clone().map_err(|error| watch_error(&error))?;
        signal_hook::low_level::pipe::register(signal, OwnedFd::from(end))
            .map_err(|error| watch_error(&error))?;
        pipes.push((signal, reader, writer));
    }
    std::thread::spawn(move || {
        loop {
            let mut fds: Vec<PollFd<'_>> =
                pipes.iter().map(|(_, reader, _)| PollFd::new(reader, PollFlags::IN)).collect();
            let _ = poll(&mut fds, None);
            drop(fds);
            for (signal, reader, _) in &mut pipes {
                if drain(reader) > 0 {
                    report(*signal);
                }
            }
        }
    });
    Ok(())
}

/// Registers a number that is 0 until this process receives one of these signals, and then the number of the signal.
pub(super) fn register_number(signals: &[i32]) -> Result<Arc<AtomicUsize>> {
    let number = Arc::new(AtomicUsize::new(0));
    for signal in not_ignored(signals) {
        signal_hook::flag::register_usize(signal, Arc::clone(&number), signal as usize)
            .map_err(|error| watch_error(&error))?;
    }
    Ok(number)
}

fn watch_error(error: &io::Error) -> Error {
    Error::new(format!("cannot watch for signals: {}", reason(error)))
}

/// The signals that this process does not ignore. Without /proc that is unknown, and all are returned.
fn not_ignored(signals: &[i32]) -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    signals.iter().copied().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect()
}
