//! The pager of the user, for output that is longer than the screen.
//!
//! `CODEX_AGENT_PAGER`, `ui.pager`, `PAGER` or `less` is started when a line more than fits is written, and gets the
//! output from its first line on. If the pager is missing, or fails before it has read anything, the output goes to the
//! terminal; a pager that has read a part has shown it, whatever its exit status is. While the pager runs Ctrl-C is for
//! the pager, and standard error is held back.

use std::cell::RefCell;
use std::env;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;

use super::{columns, is_drawable, rows};
use crate::child::signals::ignore_interrupts;
use crate::config;
use crate::error::{flush, hold_stderr, note, reason, warn_once};
use crate::ndjson::{self, Pipe, Screen};

/// The text that is kept in case that the pager fails. Of a longer text the rest is not printed then.
const KEPT: usize = 4 << 20;

/// A pager that is running.
struct Pager {
    child: Child,
    /// Not 0 after Ctrl-C.
    interrupted: Arc<AtomicUsize>,
}

thread_local! {
    static RUNNING: RefCell<Option<Pager>> = const { RefCell::new(None) };
    /// The beginning of the text, until the pager has read some of it.
    static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

static IS_DISABLED: AtomicBool = AtomicBool::new(false);

/// Makes all further calls of [`page`] do nothing.
pub fn disable_pager() {
    IS_DISABLED.store(true, Ordering::Relaxed);
}

/// Sends the output to the pager of the user if it is longer than the screen, and returns whether it is kept until then. A
/// live view must not call it.
pub fn page() -> bool {
    let is_kept = is_drawable() && !IS_DISABLED.load(Ordering::Relaxed) && io::stdout().is_terminal();
    if is_kept {
        // A line less than the screen has: the prompt of the shell follows.
        ndjson::page_beyond(Screen { columns: columns(), lines: rows().saturating_sub(1), start });
    }
    is_kept
}

/// The command of the pager; `None` for none.
fn command() -> Option<String> {
    // An empty variable, which is as good as none elsewhere, turns off the pager, as in git.
    if env::var_os("CODEX_AGENT_PAGER").is_some_and(|text| text.is_empty()) {
        return None;
    }
    let chosen = config::chosen(&config::UI_PAGER, None).unwrap_or_else(|error| {
        warn_once(error);
        None
    });
    let chosen = chosen.map(|(text, _)| text).or_else(|| env::var_os("PAGER"));
    let text = chosen.map_or("less".to_owned(), |text| text.to_string_lossy().trim().to_owned());
    (!matches!(text.as_str(), "" | "cat")).then_some(text)
}

/// The process of a pager. A command of plain words is run without a shell, so that its absence is an error.
fn process(text: &str) -> Command {
    let is_plain = |c: char| c.is_alphanumeric() || " -_./=:,@%+".contains(c);
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let mut process = match words.next() {
        Some(program) if text.chars().all(is_plain) && !program.contains('=') => {
            let mut process = Command::new(program);
            process.args(words);
            process
        }
        _ => {
            let mut process = Command::new("sh");
            process.args(["-c", text]);
            process
        }
    };
    // -F: no pager for a single screen; -R: colours; -X: the text stays on the screen.
    for (name, value) in [("LESS", "FRX"), ("LV", "-c"), ("LESSCHARSET", "utf-8")] {
        if env::var_os(name).is_none() {
            process.env(name, value);
        }
    }
    process
}

fn start() -> Option<Box<dyn Pipe>> {
    let text = command()?;
    let started = process(&text).stdin(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            if text != "less" {
                note(format_args!("cannot run the pager '{text}': {}", reason(&error)));
            }
            return None;
        }
    };
    let stdin = child.stdin.take();
    let interrupted = ignore_interrupts().unwrap_or_default();
    RUNNING.set(Some(Pager { child, interrupted }));
    hold_stderr();
    Some(Box::new(Input { stdin, accepted: 0, is_read: false }))
}

/// The standard input of the pager, until it is closed.
struct Input {
    stdin: Option<ChildStdin>,
    /// The number of bytes that the pipe has accepted.
    accepted: u64,
    /// Whether the pager has read some of them.
    is_read: bool,
}

impl Input {
    /// Looks whether the pager has read a part of the text. The bytes that it has not read are in the pipe, also after
    /// the end of the pager.
    fn look(&mut self) {
        // Elsewhere the end of a pipe that is written does not know what was read: the text is kept in case that the
        // pager fails.
        if !cfg!(target_os = "linux") {
            return;
        }
        let Some(stdin) = self.stdin.as_ref().filter(|_| !self.is_read) else { return };
        self.is_read = ioctl_fionread(stdin).is_ok_and(|unread| unread < self.accepted);
        if self.is_read {
            TEXT.take();
        }
    }

    /// Writes as much as the pager accepts; `false` if it accepts no more.
    fn send(&mut self, mut bytes: &[u8]) -> bool {
        let Some(stdin) = &mut self.stdin else { return true };
        while !bytes.is_empty() {
            match stdin.write(bytes) {
                Ok(count) => {
                    self.accepted += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

impl Pipe for Input {
    fn write(&mut self, bytes: &[u8]) {
        if !self.is_read {
            TEXT.with_borrow_mut(|text| {
                let room = KEPT.saturating_sub(text.len());
                text.extend_from_slice(&bytes[..bytes.len().min(room)]);
            });
        }
        let is_open = self.send(bytes);
        self.look();
        if !is_open {
            self.stdin = None;
        }
    }

    fn is_closed(&self) -> bool {
        let Some(stdin) = &self.stdin else { return true };
        let (at_once, fd) = (Timespec { tv_sec: 0, tv_nsec: 0 }, stdin.as_fd());
        let mut polled = [PollFd::new(&fd, PollFlags::empty())];
        let is_any = poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0);
        is_any && polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
    }
}

impl Drop for Input {
    /// Closes the pipe as soon as it is known whether the pager reads it: what is in a closed pipe is unknown.
    fn drop(&mut self) {
        loop {
            // A child of the pager may have the pipe open after the end of the pager.
            let is_over = self.is_closed() || has_ended();
            self.look();
            if is_over || self.is_read {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Whether the pager has ended.
fn has_ended() -> bool {
    let ended = |pager: &mut Option<Pager>| match pager {
        Some(pager) => !matches!(pager.child.try_wait(), Ok(None)),
        None => true,
    };
    RUNNING.try_with(|running| ended(&mut running.borrow_mut())).unwrap_or(true)
}

/// Waits for the end of the pager, if there is one, and prints what was held back. The main function of a tool calls
/// it at its end.
pub fn close_pager() {
    ndjson::close_pager();
    let Some(Pager { mut child, interrupted }) = RUNNING.take() else { return };
    let is_failure = child.wait().is_ok_and(|status| !status.success());
    if is_failure && interrupted.load(Ordering::Relaxed) == 0 {
        // There is no text if the pager has read a part of it.
        let mut out = io::stdout().lock();
        let _ = TEXT.with_borrow(|text| out.write_all(text)).and_then(|()| out.flush());
    }
    flush();
}
