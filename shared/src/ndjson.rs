//! Records from and to a pipe: newline-delimited JSON, one record or one error for each line.
//!
//! Reading: [`Lines`] splits a reader, a rollout too, at newlines in one bounded buffer. [`Records`] gives each line
//! to ndjson-stream, line by line, so that a line has exactly one result and an invalid line does not affect the
//! next one. Line numbers, byte order marks, blank lines and an unfinished last line are handled here.
//!
//! Writing: [`Output`] is standard output with one buffer. A closed pipe is an [`Error`] that ends a tool without a
//! message. Before [`Records`] waits for its input the buffer is written, so that a filter passes each record of a
//! live input on, and needs no flush but the last.
//!
//! ```
//! use codex_agent_shared::ndjson::Records;
//! use serde::Deserialize;
//!
//! #[derive(Debug, Deserialize)]
//! struct Id {
//!     id: String,
//! }
//!
//! let input = "{\"id\":\"a\",\"more\":1}\noops\n{\"id\":\"b\"}";
//! let mut records = Records::<_, Id>::new("stdin", input.as_bytes());
//! assert_eq!(records.next().unwrap().unwrap().value.id, "a");
//! // The error of an invalid line names its number, and the next line is read.
//! assert!(records.next().unwrap().unwrap_err().error.message().starts_with("stdin:2: "));
//! assert_eq!(records.next().unwrap().unwrap().value.id, "b");
//! assert!(records.next().is_none());
//! ```

pub(crate) mod block;
pub(crate) mod bounded;

use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal, Read, Write};
use std::rc::{Rc, Weak};

use ndjson_stream::config::{EmptyLineHandling, NdjsonConfig};
use ndjson_stream::engine::NdjsonEngine;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result, Stream, reason};
use crate::text::{harmless_json, tsv, width};

/// The longest line that is read: 64 MiB. A longer line is an error, after which the next line is read.
pub const LONGEST_LINE: usize = 64 << 20;

/// The error of a line that is longer than [`LONGEST_LINE`].
#[doc(hidden)]
pub const TOO_LONG: &str = "the line is longer than 64 MiB";

/// A buffer that grew beyond this size for one long line shrinks after it.
const KEPT: usize = 1 << 20;

/// One line of a reader.
#[derive(Debug, PartialEq, Eq)]
pub enum RawLine<'a> {
    /// The line with its newline; only the last line of a reader may lack it.
    Whole(&'a [u8]),
    /// A skipped line that is longer than the limit.
    TooLong,
}

/// Splits a reader into lines, in a buffer that grows only for a line that is longer than the buffer.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    limit: usize,
    is_skipping: bool,
    number: u64,
    read: u64,
}

impl<R: Read> Lines<R> {
    /// Lines of `reader`, with a buffer of `block` bytes at first.
    pub fn new(reader: R, block: usize) -> Self {
        Lines {
            reader,
            buffer: vec![0; block.max(1)],
            start: 0,
            end: 0,
            limit: LONGEST_LINE,
            is_skipping: false,
            number: 0,
            read: 0,
        }
    }

    /// The number of the line that [`Lines::next`] returned last, counted from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The number of bytes that were read from the reader, which may be more than the returned lines have.
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    /// The reader.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// Whether the buffer has a complete line, which [`Lines::next`] returns without waiting for the reader.
    pub fn is_ready(&self) -> bool {
        memchr::memchr(b'\n', &self.buffer[self.start..self.end]).is_some()
    }

    /// The next line, or `None` at the end. An error of the reader is returned unchanged.
    #[allow(clippy::should_implement_trait)] // The line is borrowed from the buffer, which an Iterator forbids.
    pub fn next(&mut self) -> io::Result<Option<RawLine<'_>>> {
        let mut searched = 0;
        loop {
            let window = &self.buffer[self.start..self.end];
            if let Some(at) = memchr::memchr(b'\n', &window[searched..]) {
                return Ok(Some(self.split_off(self.start + searched + at + 1)));
            }
            searched = window.len();
            if self.is_skipping || searched > self.limit {
                self.is_skipping = true;
                (self.start, self.end, searched) = (0, 0, 0);
            }
            self.make_room();
            let got = loop {
                match self.reader.read(&mut self.buffer[self.end..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other?,
                }
            };
            self.read += got as u64;
            self.end += got;
            if got == 0 {
                let is_line = self.is_skipping || self.start < self.end;
                return Ok(is_line.then(|| self.split_off(self.end)));
            }
        }
    }

    /// The line that ends at a place of the buffer.
    fn split_off(&mut self, end: usize) -> RawLine<'_> {
        self.number += 1;
        let from = std::mem::replace(&mut self.start, end);
        match std::mem::take(&mut self.is_skipping) || end - from > self.limit {
            true => RawLine::TooLong,
            false => RawLine::Whole(&self.buffer[from..end]),
        }
    }

    /// Moves the rest of the buffer to the front; doubles the buffer only if a line fills it.
    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            let double = self.buffer.len() * 2;
            self.buffer.resize(double, 0);
        } else if self.buffer.len() > KEPT && self.end < KEPT / 2 {
            self.buffer.truncate(KEPT);
            self.buffer.shrink_to_fit();
        }
    }
}

/// One record of an input, with the number of its line.
#[derive(Debug)]
#[non_exhaustive]
pub struct Record<T> {
    /// The line, counted from 1; blank lines count.
    pub line: u64,
    /// The record.
    pub value: T,
}

/// A line of an input that may have records or plain text.
#[derive(Debug)]
pub enum Item<T> {
    /// A JSON value.
    Json(T),
    /// A plain line, without its newline.
    Text(String),
}

/// Reads records of type `T`. A type with `Box<RawValue>` in it keeps foreign text to the byte.
pub struct Records<R, T: DeserializeOwned> {
    name: String,
    lines: Lines<R>,
    engine: NdjsonEngine<T>,
}

fn engine<T: DeserializeOwned>() -> NdjsonEngine<T> {
    NdjsonEngine::with_config(
        NdjsonConfig::default()
            .with_empty_line_handling(EmptyLineHandling::ParseAlways)
            .with_parse_rest(true),
    )
}

impl<R: Read, T: DeserializeOwned> Records<R, T> {
    /// Records of `reader`, which errors call `name` (`stdin`).
    pub fn new(name: impl Into<String>, reader: R) -> Self {
        Records { name: name.into(), lines: Lines::new(reader, 64 << 10), engine: engine() }
    }

    /// The next record; `None` at the end. An error names source and line (`stdin:17: …`). After an error of a line
    /// the next line can be read; after a final one ([`LineError::is_final`]), a failure of the source, nothing can.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<std::result::Result<Record<T>, LineError>> {
        let item = self.read(false).transpose()?;
        Some(item.and_then(|item| match item {
            Item::Json(value) => Ok(Record { line: self.lines.number(), value }),
            Item::Text(_) => Err(self.failure("expected a record")),
        }))
    }

    /// The next record or plain line: a line that begins with `{` or `"` is JSON, every other line is text.
    pub fn next_item(&mut self) -> Option<std::result::Result<Record<Item<T>>, LineError>> {
        let item = self.read(true).transpose()?;
        Some(item.map(|value| Record { line: self.lines.number(), value }))
    }

    fn read(&mut self, may_be_text: bool) -> std::result::Result<Option<Item<T>>, LineError> {
        loop {
            if !self.lines.is_ready() {
                write_before_waiting().map_err(|error| LineError { error, is_final: true })?;
            }
            let bytes = match self.lines.next() {
                Ok(None) => return Ok(None),
                Ok(Some(RawLine::Whole(bytes))) => bytes,
                Ok(Some(RawLine::TooLong)) => return Err(self.failure(TOO_LONG)),
                Err(error) => {
                    let message = format!("cannot read {}: {}", self.name, reason(&error));
                    return Err(LineError { error: Error::new(message), is_final: true });
                }
            };
            // A byte order mark is not a part of a record. Joined files may have several.
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if may_be_text && !matches!(bytes.trim_ascii_start()[0], b'{' | b'"') {
                let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                let text = text.strip_suffix(b"\r").unwrap_or(text);
                let text = std::str::from_utf8(text).map(str::to_owned);
                return text
                    .map(|text| Some(Item::Text(text)))
                    .map_err(|_| self.failure("the line is not UTF-8"));
            }
            let (is_complete, is_long) = (bytes.ends_with(b"\n"), bytes.len() > KEPT);
            let excerpt = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).trim_end().to_owned();
            self.engine.input(bytes);
            if !is_complete {
                self.engine.finalize();
            }
            let result = self.engine.pop();
            if is_long || !is_complete {
                self.engine = engine();
            }
            return match result {
                Some(Ok(value)) => Ok(Some(Item::Json(value))),
                Some(Err(error)) => {
                    let why = json_reason(&error);
                    Err(self.failure(&format!("column {}: {why}: {excerpt}", error.column())))
                }
                None => Err(self.failure("no value")),
            };
        }
    }

    fn failure(&self, why: &str) -> LineError {
        let error = Error::new(why).within(format_args!("{}:{}", self.name, self.lines.number()));
        LineError { error, is_final: false }
    }
}

/// The reason why a text is not the expected JSON, as a clause without a position.
#[doc(hidden)]
pub fn json_reason(error: &serde_json::Error) -> String {
    let why = error.to_string();
    why.split(" at line ").next().unwrap_or(&why).to_owned()
}

/// An error of a line, or of the source of lines.
#[derive(Debug)]
#[non_exhaustive]
pub struct LineError {
    /// The message names the source, the line and the reason.
    pub error: Error,
    /// Whether the source failed: there are no further lines.
    pub is_final: bool,
}

/// Standard output with a buffer.
pub struct Output {
    buffer: Rc<RefCell<Vec<u8>>>,
    is_terminal: bool,
    /// The size at which the buffer is written; `None` for an output that only a call writes.
    limit: Option<usize>,
    /// The lines in the buffer, while they may be those of a screen.
    lines: usize,
    /// The part of the buffer that has these lines.
    counted: usize,
}

/// A screen, and the pager for output that is longer.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Screen {
    /// The columns.
    pub columns: usize,
    /// The number of lines that fit.
    pub lines: usize,
    /// Starts the pager; `None` if there is none, and the output goes to the terminal.
    pub start: fn() -> Option<Box<dyn Pipe>>,
}

/// The standard input of a pager.
#[doc(hidden)]
pub trait Pipe {
    /// Writes all bytes. A pager that was closed is no error: the user has left the output.
    fn write(&mut self, bytes: &[u8]);
    /// Whether the pager was closed.
    fn is_closed(&self) -> bool;
}

/// Sends the output of this thread to a pager if it is longer than the screen. Output that is shorter when it is
/// flushed, or when a tool waits for its input, is written to the terminal, and so is all later output.
#[doc(hidden)]
pub fn page_beyond(screen: Screen) {
    SCREEN.set(Some(screen));
}

/// Ends the output to the pager, whose standard input is closed.
#[doc(hidden)]
pub fn close_pager() {
    SCREEN.set(None);
    PAGER.take();
}

/// Whether this thread has written output, so that it cannot be taken back.
#[doc(hidden)]
pub fn has_written() -> bool {
    HAS_WRITTEN.get()
}

/// The lines that a text takes on a screen of so many columns.
fn count_lines(text: &[u8], columns: usize) -> usize {
    let text = String::from_utf8_lossy(text);
    let count = |line: &str| {
        // Commands to the terminal, which all are colours here, have no width.
        let parts = line.split('\x1b').enumerate();
        let wide = parts.map(|(at, part)| {
            width(if at == 0 { part } else { part.split_once('m').map_or(part, |(_, rest)| rest) })
        });
        wide.sum::<usize>().div_ceil(columns.max(1)).max(1)
    };
    text.split_terminator('\n').map(count).sum()
}

thread_local! {
    /// The screen that a pager is started for.
    static SCREEN: Cell<Option<Screen>> = const { Cell::new(None) };
    /// The pager that was started.
    static PAGER: RefCell<Option<Box<dyn Pipe>>> = const { RefCell::new(None) };
    /// Whether this thread has written output.
    static HAS_WRITTEN: Cell<bool> = const { Cell::new(false) };
    /// The buffer of the [`Output`] of this thread that is written before [`Records`] waits.
    static WRITTEN_BEFORE_WAITING: RefCell<Weak<RefCell<Vec<u8>>>> = const { RefCell::new(Weak::new()) };
}

fn write_before_waiting() -> Result<()> {
    WRITTEN_BEFORE_WAITING.with_borrow(Weak::upgrade).map_or(Ok(()), |buffer| write_checked(&buffer))
}

/// Writes a buffer. A closed pipe is an error even if the buffer is empty: an input may be endless.
fn write_checked(buffer: &RefCell<Vec<u8>>) -> Result<()> {
    write(buffer)?;
    let paged = PAGER.with_borrow(|pager| pager.as_ref().map(|pager| pager.is_closed()));
    match paged.unwrap_or_else(|| Stream::Out.is_closed()) {
        true => Err(Error::of_output(io::ErrorKind::BrokenPipe)),
        false => Ok(()),
    }
}

fn write(buffer: &RefCell<Vec<u8>>) -> Result<()> {
    SCREEN.set(None);
    let mut buffer = buffer.borrow_mut();
    HAS_WRITTEN.set(HAS_WRITTEN.get() || !buffer.is_empty());
    let written = PAGER.with_borrow_mut(|pager| match pager {
        Some(pager) => {
            pager.write(&buffer);
            Ok(())
        }
        None => {
            let mut out = io::stdout().lock();
            out.write_all(&buffer).and_then(|()| out.flush())
        }
    });
    buffer.clear();
    // The memory of one huge record is released.
    buffer.shrink_to(2 * BLOCK);
    written.map_err(Error::of_output)
}

/// The size of a block that is written. A reader may stop reading, as `less` does, and a listing that waits for it
/// keeps the log of Codex's database from being truncated: so most listings fit into one block.
const BLOCK: usize = 8 << 20;
/// The first size of a buffer, which is enough for most outputs.
const FIRST_BLOCK: usize = 64 << 10;

impl Output {
    /// Standard output. On a terminal every row is written at once; otherwise rows are collected, and written when
    /// there are 8 MiB of them, before [`Records`] or `Inputs` wait for their input, and by [`Output::flush`].
    pub fn stdout() -> Self {
        let output = Output::nonblocking();
        WRITTEN_BEFORE_WAITING.set(Rc::downgrade(&output.buffer));
        Output { limit: Some(if output.is_terminal { 0 } else { BLOCK }), ..output }
    }

    /// Standard output for a tool that must not wait for its reader: only [`Output::write_available`] and
    /// [`Output::flush`] write.
    #[doc(hidden)]
    pub fn nonblocking() -> Self {
        let buffer = Rc::new(RefCell::new(Vec::with_capacity(FIRST_BLOCK)));
        Output { buffer, is_terminal: io::stdout().is_terminal(), limit: None, lines: 0, counted: 0 }
    }

    /// Writes a record as one line of JSON.
    pub fn record(&mut self, record: &impl Serialize) -> Result<()> {
        self.line(|buffer| serde_json::to_writer(buffer, record))?.map_err(Error::of_output)
    }

    /// Writes one line of JSON by a function that appends it to the buffer.
    pub fn line<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> Result<T> {
        let mut buffer = self.buffer.borrow_mut();
        let from = buffer.len();
        let written = write(&mut buffer);
        if self.is_terminal {
            let harmless = harmless_json(&String::from_utf8_lossy(&buffer[from..])).into_owned();
            buffer.truncate(from);
            buffer.extend_from_slice(harmless.as_bytes());
        }
        drop(buffer);
        self.text(b"", b"\n")?;
        Ok(written)
    }

    /// Writes a TAB-separated row, whose cells are escaped.
    pub fn row<'c>(&mut self, cells: impl IntoIterator<Item = &'c str>) -> Result<()> {
        let cells: Vec<_> = cells.into_iter().map(tsv).collect();
        self.text(cells.join("\t").as_bytes(), b"\n")
    }

    /// Writes text, then `end` (a newline, or NUL).
    pub fn text(&mut self, text: &[u8], end: &[u8]) -> Result<()> {
        let mut buffer = self.buffer.borrow_mut();
        buffer.extend_from_slice(text);
        buffer.extend_from_slice(end);
        let is_full = self.limit.is_some_and(|limit| buffer.len() >= limit);
        if let Some(screen) = SCREEN.get().filter(|_| self.is_terminal) {
            let from = std::mem::replace(&mut self.counted, buffer.len()).min(buffer.len());
            self.lines += count_lines(&buffer[from..], screen.columns);
            if self.lines <= screen.lines {
                return Ok(());
            }
            PAGER.set((screen.start)());
        }
        drop(buffer);
        if is_full { self.flush() } else { Ok(()) }
    }

    /// Drops the buffered text.
    #[doc(hidden)]
    pub fn clear(&mut self) {
        self.buffer.borrow_mut().clear();
        (self.lines, self.counted) = (0, 0);
    }

    /// The size of the buffered text, in bytes.
    #[doc(hidden)]
    pub fn buffered(&self) -> usize {
        self.buffer.borrow().len()
    }

    /// Writes as much as the reader accepts now, and returns whether all is written, or kept for a pager.
    #[doc(hidden)]
    pub fn write_available(&mut self) -> Result<bool> {
        if SCREEN.get().is_some_and(|_| self.is_terminal) {
            return Ok(true);
        }
        if PAGER.with_borrow(Option::is_some) {
            return write(&self.buffer).map(|()| true);
        }
        let mut buffer = self.buffer.borrow_mut();
        let written = Stream::Out.write_available(&buffer);
        let count = *written.as_ref().unwrap_or(&buffer.len());
        buffer.drain(..count);
        buffer.shrink_to(2 * BLOCK);
        written.map_err(Error::of_output).map(|_| buffer.is_empty())
    }

    /// Writes the buffer. A closed pipe is an error even if the buffer is empty.
    #[doc(hidden)]
    pub fn flush_checked(&mut self) -> Result<()> {
        write_checked(&self.buffer)
    }

    /// Writes the buffer. A tool calls it at its end, for the errors of its output.
    pub fn flush(&mut self) -> Result<()> {
        write(&self.buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    fn read(input: &[u8]) -> Vec<String> {
        let mut records = Records::<_, Box<RawValue>>::new("stdin", input);
        let mut out = Vec::new();
        while let Some(item) = records.next() {
            out.push(match item {
                Ok(record) => format!("{} {}", record.line, record.value),
                Err(failure) => failure.error.to_string(),
            });
        }
        out
    }

    #[test]
    fn every_kind_of_line() {
        let input = b"\xef\xbb\xbf{\"a\":1}\r\n\n  \t\r\n{\"n\":123456789012345678901234567890}\n{oops}\n[1]\n{\"cut\":";
        assert_eq!(
            read(input),
            [
                "1 {\"a\":1}",
                "4 {\"n\":123456789012345678901234567890}",
                "stdin:5: column 2: key must be a string: {oops}",
                "6 [1]",
                "stdin:7: column 7: EOF while parsing a value: {\"cut\":",
            ]
        );
    }

    #[test]
    fn a_last_line_needs_no_newline() {
        assert_eq!(read(b"1\n2"), ["1 1", "2 2"]);
        assert_eq!(read(b""), Vec::<String>::new());
        assert!(read(b"\"\xff\"\n3\n")[0].contains("stdin:1"));
        assert_eq!(read(b"\"\xff\"\n3\n")[1], "2 3");
    }

    #[test]
    fn a_long_line_does_not_affect_the_next_one() {
        let mut lines = Lines::new(&b"ab\nabcdefghijkl\ncd\nabcdefghijklmnopqrstuvwxyz"[..], 2);
        lines.limit = 8;
        let mut seen = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let text = match line {
                RawLine::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                RawLine::TooLong => "long".to_owned(),
            };
            seen.push(format!("{text} {}", lines.number()));
        }
        assert_eq!(seen, ["ab\n 1", "long 2", "cd\n 3", "long 4"]);
    }
}
