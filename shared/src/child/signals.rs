//! Signals as bytes in a pipe, for a loop that waits for several things at once.
//!
//! A signal that this process was told to ignore stays ignored (`nohup`, a job in the background of
//! a script), as nobody meant it for us. When the [`Signals`] are dropped, the signals that ask to stop do
//! again what they do to any program.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::SigId;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use crate::error::{Error, Result, reason};

/// The signals that matter to a supervisor.
pub struct Signals {
    children: UnixStream,
    stops: UnixStream,
    hangup: UnixStream,
    now: UnixStream,
    registered: Vec<SigId>,
    // With nobody at the other end of a pipe, waiting for it would not wait.
    _theirs: [UnixStream; 4],
}

/// What came while waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// A child has ended or changed.
    pub child: bool,
    /// How many times we were asked to stop: SIGINT or SIGTERM.
    pub stops: usize,
    /// The terminal is gone: SIGHUP. A shell hands on what the system sends as well, so that one closed
    /// terminal may be several of them.
    pub hangup: bool,
    /// We were asked to stop at once: SIGUSR1.
    pub now: bool,
}

impl Signals {
    /// Begins to catch signals.
    pub fn catch() -> Result<Signals> {
        Signals::of(&[SIGINT, SIGTERM, SIGHUP])
    }

    /// Begins to catch SIGINT as the one way to be asked to stop; the others end the process.
    pub fn interrupts() -> Result<Signals> {
        Signals::of(&[SIGINT])
    }

    fn of(stops: &[i32]) -> Result<Signals> {
        let wrong = |error: io::Error| Error::new(format!("cannot watch for signals: {}", reason(&error)));
        let ignored = ignored();
        let stops: Vec<i32> =
            stops.iter().copied().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect();
        let (asked, mut registered) = (stops.clone(), Vec::new());
        let mut catch = |signals: &[i32]| -> io::Result<(UnixStream, UnixStream)> {
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            for signal in signals {
                let end = OwnedFd::from(theirs.try_clone()?);
                registered.push(signal_hook::low_level::pipe::register(*signal, end)?);
            }
            Ok((ours, theirs))
        };
        let (children, first) = catch(&[SIGCHLD]).map_err(wrong)?;
        let (hangups, others): (Vec<i32>, Vec<i32>) = stops.into_iter().partition(|stop| *stop == SIGHUP);
        let (stops, second) = catch(&others).map_err(wrong)?;
        let (hangup, fourth) = catch(&hangups).map_err(wrong)?;
        let (now, third) = catch(&[SIGUSR1]).map_err(wrong)?;
        begin(&asked).map_err(wrong)?;
        Ok(Signals { children, stops, hangup, now, registered, _theirs: [first, second, third, fourth] })
    }

    /// Waits for a signal, but no longer than this.
    pub fn wait(&mut self, longest: Duration) -> Came {
        let timeout =
            Timespec { tv_sec: longest.as_secs() as i64, tv_nsec: i64::from(longest.subsec_nanos()) };
        let mut fds = [&self.children, &self.stops, &self.hangup, &self.now]
            .map(|pipe| PollFd::new(pipe, PollFlags::IN));
        // An interrupted wait is a signal, whose byte is in the pipe already.
        let _ = poll(&mut fds, Some(&timeout));
        let now = drain(&mut self.now) > 0;
        let hangup = drain(&mut self.hangup) > 0;
        Came { child: drain(&mut self.children) > 0, stops: drain(&mut self.stops), hangup, now }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            signal_hook::low_level::unregister(id);
        }
        // The last one that waits: from now on nobody does.
        if WAITING.fetch_sub(1, Ordering::SeqCst) == 1 {
            over().store(true, Ordering::SeqCst);
        }
    }
}

/// How many wait for signals.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Whether signals do what they do to any program, since nobody waits for them.
fn over() -> &'static Arc<AtomicBool> {
    static OVER: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    OVER.get_or_init(Arc::default)
}

/// One more waits for these signals. What they do otherwise is registered once for each.
fn begin(signals: &[i32]) -> io::Result<()> {
    static KNOWN: Mutex<Vec<i32>> = Mutex::new(Vec::new());
    WAITING.fetch_add(1, Ordering::SeqCst);
    over().store(false, Ordering::SeqCst);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    for signal in signals.iter().filter(|signal| !known.contains(signal)).copied().collect::<Vec<_>>() {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(over()))?;
        known.push(signal);
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

/// The signals that this process ignores, one bit each; none where the system does not tell.
pub(super) fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
