//! The terminal: its width, its colours, and tables that fit it.
//!
//! ```
//! use codex_agent_shared::terminal::{Look, line};
//!
//! let cells = [("a7c92fd5", Look::Id, 8), ("beta", Look::Plain, 10)];
//! assert_eq!(line(&cells, false), "a7c92fd5  beta");
//! ```

mod ask;
mod key;
mod pager;
mod table;

pub use ask::{ask, ask_text, can_ask};
#[doc(hidden)]
pub use key::{Key, Keyboard};
pub use pager::{close_pager, disable_pager, page};
pub use table::{Cell, Cut, Table};

use std::env;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{Winsize, tcgetwinsize};

use crate::choice::Choice;
use crate::config;
use crate::error::warn_once;
use crate::text::width;

/// The use of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// As the environment and the configuration decide.
    #[default]
    Unset,
    /// Colours on a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Choice for Color {
    const ALL: &'static [(Color, &'static str, &'static str)] = &[
        (
            Color::Auto,
            "auto",
            "use colours on a terminal, unless NO_COLOR is set, and in every table if CLICOLOR_FORCE is set",
        ),
        (Color::Always, "always", "use colours in every table, also in a pipe"),
        (Color::Never, "never", "use no colours"),
    ];
}

impl Color {
    /// Whether standard output is coloured. The first that is set decides: the flag, `NO_COLOR`, `CLICOLOR_FORCE`,
    /// `ui.color`; by default a terminal that is not `dumb` has colours. For an invalid configuration a warning is
    /// printed.
    pub fn is_on(self) -> bool {
        self.is_on_at(is_terminal())
    }

    /// As [`Color::is_on`], for an output that is a terminal or not.
    #[doc(hidden)]
    pub fn is_on_at(self, is_terminal: bool) -> bool {
        // Each line of a table calls this; the environment and the file are read once.
        static CONFIGURED: OnceLock<Color> = OnceLock::new();
        let configured = || {
            let chosen = config::chosen(&config::UI_COLOR, None).unwrap_or_else(|error| {
                warn_once(error);
                None
            });
            chosen.and_then(|(word, _)| Color::parse(&word.to_string_lossy())).unwrap_or(Color::Auto)
        };
        match if self == Color::Unset { *CONFIGURED.get_or_init(configured) } else { self } {
            Color::Always => true,
            Color::Never => false,
            Color::Auto | Color::Unset => {
                is_terminal && env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

// Each cell of a row asks for it.
static IS_TERMINAL: OnceLock<bool> = OnceLock::new();

/// Whether standard output is a terminal.
pub fn is_terminal() -> bool {
    *IS_TERMINAL.get_or_init(|| io::stdout().is_terminal())
}

/// The columns of the terminal of another machine.
static ELSEWHERE: OnceLock<usize> = OnceLock::new();

/// Makes this process write for a terminal of another machine, with so many columns; `None` means for no terminal. It
/// must be the first call of this module.
#[doc(hidden)]
pub fn show_elsewhere(columns: Option<usize>) {
    let _ = IS_TERMINAL.set(columns.is_some());
    columns.map(|columns| ELSEWHERE.set(columns));
}

/// The columns of the terminal on standard output; without a terminal `COLUMNS`, or the columns of the terminal on
/// standard error, or 80.
pub fn columns() -> usize {
    if let Some(columns) = ELSEWHERE.get() {
        return *columns;
    }
    let of = |size: rustix::io::Result<Winsize>| size.ok().map(|size| size.ws_col).filter(|n| *n > 0);
    let from_env = || env::var("COLUMNS").ok().and_then(|text| text.parse::<u16>().ok()).filter(|n| *n > 0);
    let from_stderr = || of(tcgetwinsize(io::stderr()));
    of(tcgetwinsize(io::stdout())).or_else(from_env).or_else(from_stderr).map_or(80, usize::from)
}

/// The rows of the terminal on standard output, or of the one on standard error; without a terminal 24.
pub fn rows() -> usize {
    let of = |size: rustix::io::Result<Winsize>| size.ok().map(|size| size.ws_row).filter(|n| *n > 0);
    of(tcgetwinsize(io::stdout())).or_else(|| of(tcgetwinsize(io::stderr()))).map_or(24, usize::from)
}

/// Whether standard output is a terminal whose lines can be overwritten.
pub fn is_drawable() -> bool {
    is_terminal() && has_screen()
}

/// Whether the type of the terminal, `TERM`, is one that can be drawn on.
pub fn has_screen() -> bool {
    env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Waits until the other end of a terminal is closed.
#[doc(hidden)]
pub fn wait_for_hangup(terminal: &std::fs::File) {
    let mut fds = [PollFd::new(terminal, PollFlags::empty())];
    while poll(&mut fds, None).is_err() || fds[0].revents().is_empty() {}
}

/// The look of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look {
    /// Unchanged.
    Plain,
    /// Less important.
    Dim,
    /// More important.
    Bold,
    /// An id.
    Id,
    /// The part of a text that a search matched.
    Match,
    /// The state of something that failed.
    Failed,
    /// The state of something that is running.
    Running,
    /// The state of something that was interrupted or stopped.
    Interrupted,
    /// The state of something that waits for the end of a usage limit.
    Limited,
    /// The state of something that is pending.
    Waiting,
}

impl Look {
    /// The look of a state of a session, job, run, queue, prompt or limit; `None` for a state that needs no attention.
    pub fn of_state(word: &str) -> Option<Look> {
        Some(match word {
            "failed" | "error" | "dead" | "refused" => Look::Failed,
            "running" | "sending" => Look::Running,
            "interrupted" | "stopped" | "paused" => Look::Interrupted,
            "limited" | "reached" => Look::Limited,
            "waiting" | "pending" | "manual" => Look::Waiting,
            _ => return None,
        })
    }

    /// The escape sequence that begins the look, for a program that draws its own screen.
    #[doc(hidden)]
    pub fn code(self) -> &'static str {
        match self {
            Look::Plain => "",
            Look::Dim => "\x1b[2m",
            Look::Bold => "\x1b[1m",
            Look::Id => "\x1b[33m",
            // The basic colours that are readable on a dark and on a light background.
            Look::Match => "\x1b[1;4m",
            Look::Failed => "\x1b[31m",
            Look::Running => "\x1b[32m",
            Look::Interrupted => "\x1b[35m",
            Look::Limited => "\x1b[1;35m",
            Look::Waiting => "\x1b[36m",
        }
    }
}

/// A harmless text with a look.
pub fn painted(text: &str, look: Look, color: bool) -> String {
    match look.code() {
        code if color && !text.is_empty() && !code.is_empty() => format!("{code}{text}\x1b[0m"),
        _ => text.to_owned(),
    }
}

/// A line of a table: harmless texts, each with the width of its column.
pub fn line(cells: &[(&str, Look, usize)], color: bool) -> String {
    let mut out = String::new();
    for (at, (text, look, wide)) in cells.iter().enumerate() {
        out.push_str(&painted(text, *look, color));
        if at + 1 < cells.len() {
            let blanks = wide.saturating_sub(width(text)) + 2;
            out.extend(std::iter::repeat_n(' ', blanks));
        }
    }
    // Blanks at the end of a line would wrap on a narrow terminal.
    if !color {
        out.truncate(out.trim_end().len());
    }
    out
}
