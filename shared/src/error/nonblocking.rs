//! Writing to standard output and standard error without waiting for whoever reads them: a pipe that is full, a
//! terminal that stands still.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::termios::ttyname;

/// A pipe that can be written to takes this much at once.
const AT_ONCE: usize = 4096;

/// One of our two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// Writes as much as is taken now, and says how much that was; 0 where nothing is.
    pub fn write_some(self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() || !self.takes_more() {
            return Ok(0);
        }
        let Some(mut terminal) = self.terminal() else {
            let piece = &bytes[..bytes.len().min(AT_ONCE)];
            match self {
                Stream::Out => io::stdout().write_all(piece).and_then(|()| io::stdout().flush())?,
                Stream::Err => io::stderr().write_all(piece)?,
            }
            return Ok(piece.len());
        };
        match terminal.write(bytes) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            written => written,
        }
    }

    /// Whether writing would not wait. A broken pipe is written to, so that the writer gets the error.
    fn takes_more(self) -> bool {
        !self.poll(PollFlags::OUT).is_empty()
    }

    /// Whether its reader is gone, which a pipe reports without being written to.
    pub fn is_closed(self) -> bool {
        self.poll(PollFlags::empty()).intersects(PollFlags::ERR | PollFlags::HUP)
    }

    fn poll(self, flags: PollFlags) -> PollFlags {
        let (out, err, at_once) = (io::stdout(), io::stderr(), Timespec { tv_sec: 0, tv_nsec: 0 });
        let stream: BorrowedFd<'_> = if self == Stream::Out { out.as_fd() } else { err.as_fd() };
        let mut polled = [PollFd::new(&stream, flags)];
        let is_any = poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0);
        if is_any { polled[0].revents() } else { PollFlags::empty() }
    }

    /// A terminal says that it takes more where it takes a byte, and then waits for the rest. So it is opened
    /// once more, as one that never waits; whoever else has the same terminal is not touched by that. Without
    /// `/proc` it is opened by its name: `/dev/fd/1` would be the same open file, which other programs use too.
    fn terminal(self) -> Option<&'static File> {
        static OPENED: [OnceLock<Option<File>>; 2] = [OnceLock::new(), OnceLock::new()];
        let (out, err) = (io::stdout(), io::stderr());
        let (stream, path) = match self {
            Stream::Out => (out.as_fd(), "/proc/self/fd/1"),
            Stream::Err => (err.as_fd(), "/proc/self/fd/2"),
        };
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let open =
            |path: &OsStr| OpenOptions::new().write(true).custom_flags(flags.bits() as i32).open(path).ok();
        let by_name = || open(OsStr::from_bytes(ttyname(stream, Vec::new()).ok()?.to_bytes()));
        let open = || if stream.is_terminal() { open(path.as_ref()).or_else(by_name) } else { None };
        OPENED[self as usize].get_or_init(open).as_ref()
    }
}
