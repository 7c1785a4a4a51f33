//! The screen: the terminal of this process, whatever standard input and output are.
//!
//! The terminal is in raw mode on its alternate screen from [`Screen::enter`] to [`restore`], which every end of the
//! process calls: the normal one, a panic, a signal, a suspension. Only lines that changed are written.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use codex_agent_shared::child::signals::{self, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use codex_agent_shared::error::{Error, Result, flush, hold_stderr, reason};
use codex_agent_shared::terminal::{Look, has_screen, wait_for_hangup};
use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{Hide, MoveTo, MoveToColumn, Show};
use crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event};
use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{Command, queue};

pub(super) use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a terminal reports.
pub(super) enum Heard {
    /// A key was pressed.
    Key(KeyEvent),
    /// A text was pasted.
    Paste(String),
    /// The size changed.
    Resize,
    /// A signal was received.
    Signal(i32),
    /// The terminal is gone.
    Hangup,
}

/// A piece of a line: a harmless text and its look.
#[derive(Clone)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) look: Look,
    /// Whether the piece belongs to the line of the cursor.
    pub(super) is_current: bool,
}

impl Span {
    pub(super) fn new(text: impl Into<String>, look: Look) -> Span {
        Span { text: text.into(), look, is_current: false }
    }
}

/// A line of the screen: at the left, and from a column on beside it.
#[derive(Clone, Default)]
pub(super) struct Line {
    pub(super) left: Vec<Span>,
    pub(super) beside: Option<(u16, Vec<Span>)>,
}

/// The lines of the screen, and the place of the cursor.
#[derive(Default)]
pub(super) struct Frame {
    pub(super) lines: Vec<Line>,
    pub(super) cursor: (u16, u16),
}

/// The terminal while the picker draws on it.
pub(super) struct Screen {
    terminal: File,
    /// The lines as they were written last.
    shown: Vec<Vec<u8>>,
    color: bool,
}

/// Whether the terminal is in raw mode on its alternate screen.
static IS_ENTERED: AtomicBool = AtomicBool::new(false);

impl Screen {
    /// Takes the terminal. An error says why that is impossible.
    pub(super) fn open(color: bool) -> Result<Screen> {
        let unfit = |why: String| {
            Error::new(format!("cannot show sessions to choose from: {why}"))
                .hint("'codex-agent find WORD' finds sessions without a screen")
        };
        if !has_screen() {
            let term = std::env::var("TERM").unwrap_or_default();
            return Err(unfit(format!("a terminal of type '{term}' (TERM) has no screen to draw on")));
        }
        let opened = File::options().read(true).write(true).open("/dev/tty");
        let terminal =
            opened.map_err(|error| unfit(format!("cannot open the terminal: {}", reason(&error))))?;
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
        let mut screen = Screen { terminal, shown: Vec::new(), color };
        screen.enter().map_err(|error| {
            restore();
            unfit(reason(&error))
        })?;
        Ok(screen)
    }

    /// Enters raw mode and the alternate screen. The next [`Screen::paint`] writes all lines.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        IS_ENTERED.store(true, Ordering::SeqCst);
        hold_stderr();
        self.shown.clear();
        let mut out = Vec::new();
        queue!(out, EnterAlternateScreen, EnableBracketedPaste, Clear(ClearType::All))?;
        self.terminal.write_all(&out)
    }

    /// Forgets what is shown, so that the next [`Screen::paint`] writes all lines.
    pub(super) fn forget(&mut self) {
        self.shown.clear();
    }

    /// Reports keys, signals and the end of the terminal from now on.
    pub(super) fn listen<T: From<Heard> + Send + 'static>(&self, sender: &Sender<T>) -> Result<()> {
        let to = sender.clone();
        signals::report(&[SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT], move |signal| {
            let _ = to.send(Heard::Signal(signal).into());
        })?;
        let cannot = |error: io::Error| Error::new(format!("cannot watch the terminal: {}", reason(&error)));
        let (to, terminal) = (sender.clone(), self.terminal.try_clone().map_err(cannot)?);
        std::thread::spawn(move || {
            wait_for_hangup(&terminal);
            let _ = to.send(Heard::Hangup.into());
        });
        let to = sender.clone();
        std::thread::spawn(move || {
            loop {
                let heard = match event::read() {
                    Ok(Event::Key(key)) => Heard::Key(key),
                    Ok(Event::Paste(text)) => Heard::Paste(text),
                    Ok(Event::Resize(..)) => Heard::Resize,
                    Ok(_) => continue,
                    // An unknown key is no key.
                    Err(error) if error.kind() == io::ErrorKind::Other => continue,
                    Err(_) => Heard::Hangup,
                };
                let is_last = matches!(heard, Heard::Hangup);
                if to.send(heard.into()).is_err() || is_last {
                    return;
                }
            }
        });
        Ok(())
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        let (columns, rows) = size().unwrap_or((80, 24));
        (usize::from(columns.max(1)), usize::from(rows.max(1)))
    }

    /// Shows a frame.
    pub(super) fn paint(&mut self, frame: &Frame) -> Result<()> {
        self.write(frame)
            .map_err(|error| Error::new(format!("cannot write to the terminal: {}", reason(&error))))
    }

    fn write(&mut self, frame: &Frame) -> io::Result<()> {
        let mut out = Vec::new();
        queue!(out, BeginSynchronizedUpdate, Hide)?;
        if self.shown.len() != frame.lines.len() {
            self.shown = vec![vec![0]; frame.lines.len()];
            queue!(out, Clear(ClearType::All))?;
        }
        for (row, line) in frame.lines.iter().enumerate() {
            let bytes = self.bytes(line)?;
            if bytes != self.shown[row] {
                queue!(out, MoveTo(0, row as u16), Clear(ClearType::CurrentLine))?;
                out.extend_from_slice(&bytes);
                self.shown[row] = bytes;
            }
        }
        queue!(out, MoveTo(frame.cursor.0, frame.cursor.1), Show, EndSynchronizedUpdate)?;
        self.terminal.write_all(&out)
    }

    fn bytes(&self, line: &Line) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        self.spans(&mut out, &line.left)?;
        if let Some((column, spans)) = &line.beside {
            // Terminals disagree on the width of some characters: the column is named.
            queue!(out, MoveToColumn(*column))?;
            self.spans(&mut out, spans)?;
        }
        Ok(out)
    }

    fn spans(&self, out: &mut Vec<u8>, spans: &[Span]) -> io::Result<()> {
        for span in spans.iter().filter(|span| !span.text.is_empty()) {
            // Bold, underlined and dim are no colours.
            let has_look = self.color || matches!(span.look, Look::Bold | Look::Match | Look::Dim);
            let code = if has_look { span.look.code() } else { "" };
            if span.is_current {
                queue!(out, SetAttribute(Attribute::Reverse))?;
            }
            queue!(out, Print(code), Print(&span.text))?;
            if span.is_current || !code.is_empty() {
                queue!(out, SetAttribute(Attribute::Reset))?;
            }
        }
        Ok(())
    }

    /// Asks the terminal to copy a text.
    pub(super) fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut sequence = String::new();
        let command = CopyToClipboard::to_clipboard_from(text);
        command.write_ansi(&mut sequence).map_err(io::Error::other)?;
        self.terminal.write_all(sequence.as_bytes())
    }
}

/// Gives the terminal back as it was. Standard error is written again.
pub(super) fn restore() {
    if IS_ENTERED.swap(false, Ordering::SeqCst) {
        let mut out = Vec::new();
        let leaves = queue!(out, DisableBracketedPaste, Clear(ClearType::All), LeaveAlternateScreen, Show);
        // The terminal may be gone.
        let _ = leaves.and_then(|()| File::options().write(true).open("/dev/tty")?.write_all(&out));
        let _ = disable_raw_mode();
    }
    flush();
}
