//! Writing to standard output and standard error without waiting for their readers, such as a full pipe or a
//! stopped terminal.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::termios::{tcgetwinsize, ttyname};

/// The number of bytes that a writable pipe accepts without waiting.
const PIPE_BUF: usize = 4096;

/// An output of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// Writes as many bytes as the reader accepts now, and returns their number.
    pub fn write_available(self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        // A broken pipe is writable, so that the writer gets the error.
        while written < bytes.len() && !self.poll(PollFlags::OUT).is_empty() {
            let rest = &bytes[written..];
            let piece = &rest[..rest.len().min(PIPE_BUF)];
            let accepted = match (self.terminal(), self) {
                (Some(mut terminal), _) => terminal.write(rest),
                (None, Stream::Out) => {
                    io::stdout().write_all(piece).and_then(|()| io::stdout().flush()).map(|()| piece.len())
                }
                (None, Stream::Err) => io::stderr().write_all(piece).map(|()| piece.len()),
            };
            match accepted {
                Ok(0) => break,
                Ok(accepted) => written += accepted,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Whether the reader of a pipe has closed it, without a write to it.
    pub fn is_closed(self) -> bool {
        self.poll(PollFlags::empty()).intersects(PollFlags::ERR | PollFlags::HUP)
    }

    /// The columns of a terminal; `None` for another output.
    pub fn columns(self) -> Option<usize> {
        let size = match self {
            Stream::Out => tcgetwinsize(io::stdout()),
            Stream::Err => tcgetwinsize(io::stderr()),
        };
        size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
    }

    fn poll(self, flags: PollFlags) -> PollFlags {
        let (out, err, at_once) = (io::stdout(), io::stderr(), Timespec { tv_sec: 0, tv_nsec: 0 });
        let stream: BorrowedFd<'_> = if self == Stream::Out { out.as_fd() } else { err.as_fd() };
        let mut polled = [PollFd::new(&stream, flags)];
        let is_any = poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0);
        if is_any { polled[0].revents() } else { PollFlags::empty() }
    }

    /// The terminal, opened a second time as nonblocking: poll reports a terminal as writable if it accepts one byte,
    /// and a write then waits for the rest. Other programs at the same terminal are not affected. Without `/proc` it
    /// is opened by its name, since `/dev/fd/1` would be the open file that other programs share.
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
