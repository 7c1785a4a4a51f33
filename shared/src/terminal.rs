//! The terminal: how wide it is, whether it wants colours, and tables that fit it.
//!
//! ```
//! use codex_agent_shared::terminal::{Look, line};
//!
//! let cells = [("a7c92fd5", Look::Id, 8), ("beta", Look::Plain, 10)];
//! assert_eq!(line(&cells, false), "a7c92fd5  beta");
//! ```

mod table;

pub use table::{Cell, Cut, Table};

use std::io::{self, IsTerminal};

use crate::choice::Choice;
use crate::config;
use crate::error::warn_once;
use crate::text::width;

/// Whether to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// As the environment and the configuration say.
    #[default]
    Unsaid,
    /// A terminal gets colours.
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
            "colours on a terminal, unless NO_COLOR is set; always, if CLICOLOR_FORCE is set",
        ),
        (Color::Always, "always", "colours in every output"),
        (Color::Never, "never", "no colours"),
    ];
}

impl Color {
    /// Decides for standard output: the flag, then `NO_COLOR`, `CLICOLOR_FORCE`, then `ui.color`, then
    /// whether it is a terminal that is not `dumb`. A configuration that cannot be read is told, and no
    /// reason to print nothing.
    pub fn is_on(self) -> bool {
        // Asked for every line of a table; the environment and the file stay what they are.
        static SAID: std::sync::OnceLock<Color> = std::sync::OnceLock::new();
        let said = || match config::chosen(&config::UI_COLOR, None) {
            Ok(said) => {
                said.and_then(|(word, _)| Color::parse(&word.to_string_lossy())).unwrap_or(Color::Auto)
            }
            Err(error) => {
                warn_once(error);
                Color::Auto
            }
        };
        match if self == Color::Unsaid { *SAID.get_or_init(said) } else { self } {
            Color::Always => true,
            Color::Never => false,
            Color::Auto | Color::Unsaid => {
                is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

/// Whether standard output is a terminal.
pub fn is_terminal() -> bool {
    // Asked for every cell of a row, and the same for as long as the process lives.
    static ANSWER: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ANSWER.get_or_init(|| io::stdout().is_terminal())
}

/// The columns of the terminal on standard output, else `COLUMNS`, else 80.
pub fn columns() -> usize {
    let from_terminal = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col);
    let from_env = || std::env::var("COLUMNS").ok().and_then(|text| text.parse::<u16>().ok());
    from_terminal.filter(|n| *n > 0).or_else(from_env).filter(|n| *n > 0).map_or(80, usize::from)
}

/// The rows of the terminal on standard output, else 24.
pub fn rows() -> usize {
    let from_terminal = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_row);
    from_terminal.filter(|n| *n > 0).map_or(24, usize::from)
}

/// Whether the terminal on standard output can draw over what is there.
pub fn is_drawable() -> bool {
    is_terminal() && std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// How a cell looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look {
    /// As it is.
    Plain,
    /// Less important.
    Dim,
    /// More important.
    Bold,
    /// An id.
    Id,
}

impl Look {
    fn codes(self) -> (&'static str, &'static str) {
        match self {
            Look::Plain => ("", ""),
            Look::Dim => ("\x1b[2m", "\x1b[0m"),
            Look::Bold => ("\x1b[1m", "\x1b[0m"),
            Look::Id => ("\x1b[33m", "\x1b[0m"),
        }
    }
}

/// One line of a table: cells that are harmless and cut already, each with its width.
pub fn line(cells: &[(&str, Look, usize)], color: bool) -> String {
    let mut out = String::new();
    for (at, (text, look, wide)) in cells.iter().enumerate() {
        let (on, off) = if color && !text.is_empty() { look.codes() } else { ("", "") };
        out.push_str(on);
        out.push_str(text);
        out.push_str(off);
        if at + 1 < cells.len() {
            let blanks = wide.saturating_sub(width(text)) + 2;
            out.extend(std::iter::repeat_n(' ', blanks));
        }
    }
    // Blanks before the end of a line would wrap on a narrow terminal.
    if !color {
        out.truncate(out.trim_end().len());
    }
    out
}
