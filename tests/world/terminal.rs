//! Pseudo-terminals: what an executable shows on one, and shells that a test types into.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::world::World;

/// The limit of every wait. Machines that build other things meanwhile are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with a program on it.
pub struct Terminal {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    child: Child,
    /// The output that no call has returned yet.
    shown: Vec<u8>,
}

impl Terminal {
    /// Runs a command on a terminal of its own.
    pub fn open(mut command: Command, columns: u16, rows: u16) -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let master = openpt(flags).unwrap();
        // Another test's child that had it open would keep the terminal from ending.
        rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(slave.as_fd(), size).unwrap();
        // A test that wants a pager names it.
        let pagers = ["CODEX_AGENT_PAGER", "PAGER"];
        if !command.get_envs().any(|(name, _)| pagers.iter().any(|pager| name == *pager)) {
            command.env("CODEX_AGENT_PAGER", "cat");
        }
        let end = || Stdio::from(OwnedFd::from(slave.try_clone().unwrap()));
        let child =
            command.env("TERM", "xterm-256color").stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        // The command holds ends of the terminal too, and would keep it open.
        drop((command, slave));
        let keyboard = File::from(master);
        let mut eye = keyboard.try_clone().unwrap();
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let (mut bytes, mut failures) = ([0; 4096], 0);
            // Linux ends a terminal that no process has open with an error. It looks for output first, and for the
            // close after that: output that is written in between, as a last word before an exit, is in the next read.
            while failures < 2 {
                match eye.read(&mut bytes) {
                    Ok(0) => break,
                    Ok(count) => {
                        failures = 0;
                        if sender.send(bytes[..count].to_vec()).is_err() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => failures += 1,
                }
            }
        });
        Terminal { keyboard, screen, child, shown: Vec::new() }
    }

    /// Changes the size, as a user does who drags a corner of the window.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(self.keyboard.as_fd(), size).unwrap();
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// The output up to and with this text, in which colours may change.
    pub fn until(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(end) = end_of(text.as_bytes(), &self.shown) {
                let rest = self.shown.split_off(end);
                let shown = std::mem::replace(&mut self.shown, rest);
                return String::from_utf8_lossy(&shown).into_owned();
            }
            match self.screen.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
                Ok(bytes) => self.shown.extend(bytes),
                Err(_) => {
                    let _ = self.child.kill();
                    panic!("no {text:?} in {:?}", String::from_utf8_lossy(&self.shown));
                }
            }
        }
    }

    /// Waits for the program's end: what it showed since, and its exit code.
    pub fn end(mut self) -> (String, i32) {
        let start = Instant::now();
        loop {
            match self.screen.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
                Ok(bytes) => self.shown.extend(bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("it does not end: {:?}", String::from_utf8_lossy(&self.shown));
                }
            }
        }
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        (String::from_utf8_lossy(&self.shown).replace("\r\n", "\n"), code)
    }
}

/// The end of the first place of a text in what a terminal shows, whose changes of colour may be within the text.
fn end_of(text: &[u8], shown: &[u8]) -> Option<usize> {
    if let Some(at) = shown.windows(text.len()).position(|window| window == text) {
        return Some(at + text.len());
    }
    let (mut plain, mut ends, mut at) = (Vec::new(), Vec::new(), 0);
    while at < shown.len() {
        let color = shown[at..].strip_prefix(b"\x1b[").and_then(|rest| {
            let length = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b';')?;
            (rest[length] == b'm').then_some(length + 3)
        });
        match color {
            Some(length) => at += length,
            None => {
                plain.push(shown[at]);
                at += 1;
                ends.push(at);
            }
        }
    }
    let at = plain.windows(text.len()).position(|window| window == text)?;
    Some(ends[at + text.len() - 1])
}

/// The text of a terminal without colours and without line breaks, which are where the terminal ends.
pub fn joined(text: &str) -> String {
    without_escapes(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs one of our tools on a terminal so many columns wide, wants exit 0, and gives what it shows.
pub fn on_terminal(world: &World, words: &[&str], columns: u16) -> String {
    let mut command = world.command(words[0]);
    command.args(&words[1..]);
    let (shown, code) = Terminal::open(command, columns, 24).end();
    assert_eq!(code, 0, "{words:?} showed {shown}");
    shown
}

/// How many columns a line takes. It knows the wide characters that the recorded homes have, not all
/// there are: it is here to be independent of the library's own measure.
pub fn columns_of(line: &str) -> usize {
    let wide = |c: char| match u32::from(c) {
        0x300..=0x36f | 0x200d | 0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f => 2,
        0xff00..=0xff60 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    };
    line.chars().map(wide).sum()
}

/// The text without colours and other commands to the terminal.
pub fn without_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '\x1b' => match letters.next() {
                Some('[') => {
                    letters.by_ref().find(|c| ('@'..='~').contains(c));
                }
                Some(']') => {
                    letters.by_ref().find(|c| *c == '\x07');
                }
                _ => {}
            },
            '\x07' | '\x08' | '\r' => {}
            c => out.push(c),
        }
    }
    out
}
