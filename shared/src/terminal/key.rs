//! Keys, without Enter.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::child::signals::requests_to_stop;
use crate::error::{Context, Result};
use crate::terminal::is_terminal;

/// A key, or the reason why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A byte. Some keys, such as arrows, are several.
    Byte(u8),
    /// Ctrl-C, or another request to stop, with the number of the signal.
    Stop(u8),
    /// Ctrl-D, or a terminal that was closed.
    End,
}

/// The terminal on standard input, whose keys are read one by one and not shown. Dropping it restores the terminal.
pub struct Keyboard {
    before: Termios,
    stopped: Arc<AtomicUsize>,
}

impl Keyboard {
    /// Whether a reader of the output can press a key: standard input and standard output are a terminal.
    pub fn exists() -> bool {
        io::stdin().is_terminal() && is_terminal()
    }

    /// Begins to read keys. Call it only if [`Keyboard::exists`].
    pub fn open() -> Result<Keyboard> {
        let modes = || -> io::Result<Termios> {
            let before = tcgetattr(io::stdin())?;
            let mut raw = before.clone();
            // Ctrl-C is a key too, so that the terminal is always restored.
            raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
            tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
            Ok(before)
        };
        let stopped = requests_to_stop()?;
        Ok(Keyboard { before: modes().context("read keys from", Path::new("standard input"))?, stopped })
    }

    /// Waits for the next key.
    pub fn next(&self) -> Result<Key> {
        let stdin = io::stdin();
        let mut bytes = [0; 1];
        loop {
            match u8::try_from(self.stopped.load(Ordering::Relaxed)).unwrap_or_default() {
                0 => {}
                signal => return Ok(Key::Stop(signal)),
            }
            // A signal ends this wait; one that comes just before it is seen a second later.
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            if matches!(
                poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&second)),
                Ok(0) | Err(Errno::INTR)
            ) {
                continue;
            }
            match read(&stdin, &mut bytes) {
                Ok(0) | Err(Errno::IO) => return Ok(Key::End),
                Ok(_) => return Ok(of_byte(bytes[0])),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => {
                    return Err(io::Error::from(error))
                        .context("read keys from", Path::new("standard input"));
                }
            }
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // A terminal that is gone has no mode to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn of_byte(byte: u8) -> Key {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    match byte {
        CTRL_C => Key::Stop(2),
        CTRL_D => Key::End,
        byte => Key::Byte(byte),
    }
}
