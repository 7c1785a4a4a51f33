//! The pager of the user, for output that is longer than the screen.
//!
//! `CODEX_AGENT_PAGER`, `ui.pager`, `PAGER` or `less` is started when a line more than fits is written, and gets the
//! output from its first line on. A pager that is missing or fails has no effect but that the output goes to the
//! terminal; one that is closed early has none at all. While it runs Ctrl-C is for the pager, and standard error is
//! held back.

use std::cell::RefCell;
use std::env;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

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
    /// The beginning of the text that the pager got.
    static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

static IS_DISABLED: AtomicBool = AtomicBool::new(false);

/// Makes all further calls of [`page`] do nothing.
pub fn disable_pager() {
    IS_DISABLED.store(true, Ordering::Relaxed);
}

/// Sends the output to the pager of the user if it is longer than the screen. A live view must not call it.
pub fn page() {
    if is_drawable() && !IS_DISABLED.load(Ordering::Relaxed) {
        // A line less than the screen has: the prompt of the shell follows.
        ndjson::page_beyond(Screen { columns: columns(), lines: rows().saturating_sub(1), start });
    }
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
    Some(Box::new(Input { stdin }))
}

/// The standard input of the pager, until it is closed.
struct Input {
    stdin: Option<ChildStdin>,
}

impl Pipe for Input {
    fn write(&mut self, bytes: &[u8]) {
        TEXT.with_borrow_mut(|text| {
            let room = KEPT.saturating_sub(text.len());
            text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        });
        if self.stdin.as_mut().is_some_and(|stdin| stdin.write_all(bytes).is_err()) {
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

/// Waits for the end of the pager, if there is one, and prints what was held back. The main function of a tool calls
/// it at its end.
pub fn close_pager() {
    ndjson::close_pager();
    let Some(Pager { mut child, interrupted }) = RUNNING.take() else { return };
    let ended = child.wait();
    let is_failure = ended.is_ok_and(|status| status.code().is_some_and(|code| code != 0));
    if is_failure && interrupted.load(Ordering::Relaxed) == 0 {
        // The user has seen nothing, or not all.
        let mut out = io::stdout().lock();
        let _ = TEXT.with_borrow(|text| out.write_all(text)).and_then(|()| out.flush());
    }
    flush();
}
