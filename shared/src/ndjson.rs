//! Records in and out of a pipe: newline-delimited JSON, one record or one error for each line.
//!
//! Reading: [`Lines`] splits any reader at newlines with one bounded buffer (used for rollout files
//! too); [`Records`] puts each line through ndjson-stream's engine. The engine is fed one whole line
//! at a time and told to parse always, so that one line in is exactly one result out, and a bad
//! line costs itself alone: the next line is read as if nothing had been. What the engine does not
//! know is added here: the number of the line, a byte order mark, blank lines, lines without an end.
//!
//! Writing: [`Output`] is standard output behind one buffer. A closed pipe is an [`Error`] that ends
//! a reader quietly. Before [`Records`] waits for its input, the buffer is written: a filter of a live
//! input passes each record on when it has it, and needs no flush but the last.
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
//! // A bad line costs itself alone, and is named.
//! assert!(records.next().unwrap().unwrap_err().error.message().starts_with("stdin:2: "));
//! assert_eq!(records.next().unwrap().unwrap().value.id, "b");
//! assert!(records.next().is_none());
//! ```

use std::cell::RefCell;
use std::io::{self, IsTerminal, Read, Write};
use std::rc::{Rc, Weak};

use ndjson_stream::config::{EmptyLineHandling, NdjsonConfig};
use ndjson_stream::engine::NdjsonEngine;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result, Stream, reason};
use crate::text::harmless_json;

/// The longest line that is read: 64 MiB. A longer one is an error for itself, and reading goes on
/// with the next line.
pub const LONGEST_LINE: usize = 64 << 20;

/// A buffer that has grown beyond this for one long line is given back after it.
const KEPT: usize = 1 << 20;

/// One line of a reader.
#[derive(Debug, PartialEq, Eq)]
pub enum RawLine<'a> {
    /// The line with its newline; only the last line of a reader may lack it.
    Whole(&'a [u8]),
    /// A line of more than the limit, which was passed over.
    TooLong,
}

/// Splits a reader into lines, in a buffer that grows only for lines longer than itself.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    limit: usize,
    skipping: bool,
    number: u64,
    read: u64,
}

impl<R: Read> Lines<R> {
    /// Lines of `reader`, with a buffer of `block` bytes to begin with.
    pub fn new(reader: R, block: usize) -> Self {
        Lines {
            reader,
            buffer: vec![0; block.max(1)],
            start: 0,
            end: 0,
            limit: LONGEST_LINE,
            skipping: false,
            number: 0,
            read: 0,
        }
    }

    /// The number of the line that [`Lines::next`] gave last, counted from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many bytes have been taken from the reader, which may be more than the lines given.
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    /// The reader itself, for asking whether there is something to read.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// Whether a whole line is at hand, so that asking for it cannot wait for the reader.
    pub fn is_ready(&self) -> bool {
        memchr::memchr(b'\n', &self.buffer[self.start..self.end]).is_some()
    }

    /// The next line, or `None` at the end. An error of the reader is returned as it is.
    #[allow(clippy::should_implement_trait)] // It lends its buffer, which an Iterator cannot.
    pub fn next(&mut self) -> io::Result<Option<RawLine<'_>>> {
        let mut searched = 0;
        loop {
            let window = &self.buffer[self.start..self.end];
            if let Some(at) = memchr::memchr(b'\n', &window[searched..]) {
                let from = self.start;
                self.start += searched + at + 1;
                if std::mem::take(&mut self.skipping) {
                    return Ok(Some(RawLine::TooLong));
                }
                self.number += 1;
                if self.start - from > self.limit {
                    return Ok(Some(RawLine::TooLong));
                }
                return Ok(Some(RawLine::Whole(&self.buffer[from..self.start])));
            }
            searched = window.len();
            if searched > self.limit {
                if !self.skipping {
                    self.number += 1;
                }
                self.skipping = true;
            }
            if self.skipping {
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
                if std::mem::take(&mut self.skipping) {
                    return Ok(Some(RawLine::TooLong));
                }
                if self.start == self.end {
                    return Ok(None);
                }
                self.number += 1;
                let from = std::mem::replace(&mut self.start, self.end);
                return Ok(Some(RawLine::Whole(&self.buffer[from..self.end])));
            }
        }
    }

    /// Moves what is left to the front; doubles the buffer only where a line fills all of it.
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
    /// Counted from 1; blank lines count.
    pub line: u64,
    /// What stood there.
    pub value: T,
}

/// A line of an input that may hold records or plain text.
#[derive(Debug)]
pub enum Item<T> {
    /// A JSON value.
    Json(T),
    /// A plain line, without its end.
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

    /// The next record; `None` at the end. An error names source and line (`stdin:17: …`) and is
    /// about that line alone, unless [`LineError::is_final`]: then the source itself failed.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<std::result::Result<Record<T>, LineError>> {
        self.advance(false).map(|result| {
            result.and_then(|Record { line, value }| match value {
                Item::Json(value) => Ok(Record { line, value }),
                Item::Text(_) => Err(self.failure("expected a record")),
            })
        })
    }

    /// The next record or plain line: a line is JSON where it begins with `{` or `"`, and else is
    /// taken as the text that it is.
    pub fn next_item(&mut self) -> Option<std::result::Result<Record<Item<T>>, LineError>> {
        self.advance(true)
    }

    fn advance(&mut self, plain: bool) -> Option<std::result::Result<Record<Item<T>>, LineError>> {
        loop {
            if !self.lines.is_ready()
                && let Err(error) = write_before_waiting()
            {
                return Some(Err(LineError { error, is_final: true }));
            }
            let line = match self.lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => return None,
                Err(error) => {
                    let message = format!("cannot read {}: {}", self.name, reason(&error));
                    return Some(Err(LineError { error: Error::new(message), is_final: true }));
                }
            };
            let bytes = match line {
                RawLine::Whole(bytes) => bytes,
                RawLine::TooLong => {
                    let why = format!("the line is longer than {} MiB", LONGEST_LINE >> 20);
                    return Some(Err(self.failure(&why)));
                }
            };
            // A byte order mark belongs to no record. Files that were joined may have several.
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if plain && !matches!(bytes.trim_ascii_start()[0], b'{' | b'"') {
                let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                let text = text.strip_suffix(b"\r").unwrap_or(text);
                let value = std::str::from_utf8(text).map(|text| Item::Text(text.to_owned()));
                let line = self.lines.number();
                return Some(match value {
                    Ok(value) => Ok(Record { line, value }),
                    Err(_) => Err(self.failure("the line is not UTF-8")),
                });
            }
            let whole = bytes.ends_with(b"\n");
            let long = bytes.len() > KEPT;
            let excerpt = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            self.engine.input(bytes);
            if !whole {
                self.engine.finalize();
            }
            let result = self.engine.pop();
            if long || !whole {
                self.engine = engine();
            }
            let line = self.lines.number();
            return match result {
                Some(Ok(value)) => Some(Ok(Record { line, value: Item::Json(value) })),
                Some(Err(error)) => {
                    let why = error.to_string();
                    let why = why.split(" at line ").next().unwrap_or(&why);
                    let excerpt = excerpt.trim_end();
                    Some(Err(self.failure(&format!("column {}: {why}: {excerpt}", error.column()))))
                }
                None => Some(Err(self.failure("no value"))),
            };
        }
    }

    fn failure(&self, why: &str) -> LineError {
        let error = Error::new(format!("{}:{}: {why}", self.name, self.lines.number()));
        LineError { error, is_final: false }
    }
}

/// What was wrong with a line, or with the source of lines.
#[derive(Debug)]
#[non_exhaustive]
pub struct LineError {
    /// The message names the source, the line and the reason.
    pub error: Error,
    /// The source failed: there are no further lines.
    pub is_final: bool,
}

/// Standard output: a record or a row at a time, collected into blocks.
pub struct Output {
    block: Rc<RefCell<Vec<u8>>>,
    terminal: bool,
    leaves: Leaves,
}

thread_local! {
    /// The block of the [`Output`] of this thread that is written before [`Records`] waits.
    static COLLECTED: RefCell<Weak<RefCell<Vec<u8>>>> = const { RefCell::new(Weak::new()) };
}

fn write_before_waiting() -> Result<()> {
    COLLECTED.with_borrow(Weak::upgrade).map_or(Ok(()), |block| write_to_reader(&block))
}

/// Writes a block. A reader that is gone is an error, also where there is nothing to write: an input may be endless.
fn write_to_reader(block: &RefCell<Vec<u8>>) -> Result<()> {
    write(block)?;
    match Stream::Out.is_closed() {
        true => Err(Error::of_output(io::ErrorKind::BrokenPipe)),
        false => Ok(()),
    }
}

fn write(block: &RefCell<Vec<u8>>) -> Result<()> {
    let (mut block, mut out) = (block.borrow_mut(), io::stdout().lock());
    let written = out.write_all(&block).and_then(|()| out.flush());
    block.clear();
    // One huge record must not be paid for by all that follow.
    block.shrink_to(2 * BLOCK);
    written.map_err(Error::of_output)
}

/// When what is collected leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// Row by row.
    AtOnce,
    /// When there is a block of it.
    InBlocks,
    /// When the caller says so.
    OnFlush,
}

/// A block this large is handed on. Whoever reads us may stop reading, as `less` does, and while a
/// listing waits for it the database's log cannot be shortened: so most listings fit into one block.
const BLOCK: usize = 8 << 20;
/// What a block begins with; most outputs are no longer.
const FIRST_BLOCK: usize = 64 << 10;

impl Output {
    /// Standard output. On a terminal every row is written at once; else rows are collected, and written when
    /// there are 8 MiB of them, before [`Records`] or `Inputs` wait for their input, and by [`Output::flush`].
    pub fn stdout() -> Self {
        let output = Output::nonblocking();
        COLLECTED.set(Rc::downgrade(&output.block));
        Output { leaves: if output.terminal { Leaves::AtOnce } else { Leaves::InBlocks }, ..output }
    }

    /// Standard output for a tool that must not wait for its reader: nothing is written but by
    /// [`Output::hand_on`] and [`Output::flush`].
    #[doc(hidden)]
    pub fn nonblocking() -> Self {
        let block = Rc::new(RefCell::new(Vec::with_capacity(FIRST_BLOCK)));
        Output { block, terminal: io::stdout().is_terminal(), leaves: Leaves::OnFlush }
    }

    /// Writes one record as one line of JSON.
    pub fn record(&mut self, record: &impl Serialize) -> Result<()> {
        self.line(|block| serde_json::to_writer(block, record))?.map_err(Error::of_output)
    }

    /// Writes one line through a function that knows its own bytes.
    pub fn line<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> Result<T> {
        let mut block = self.block.borrow_mut();
        let from = block.len();
        let written = write(&mut block);
        if self.terminal {
            let harmless = harmless_json(&String::from_utf8_lossy(&block[from..])).into_owned();
            block.truncate(from);
            block.extend_from_slice(harmless.as_bytes());
        }
        drop(block);
        self.end(b"\n")?;
        Ok(written)
    }

    /// Writes text, then `end` (a newline, or NUL).
    pub fn text(&mut self, text: &[u8], end: &[u8]) -> Result<()> {
        self.block.borrow_mut().extend_from_slice(text);
        self.end(end)
    }

    fn end(&mut self, end: &[u8]) -> Result<()> {
        self.block.borrow_mut().extend_from_slice(end);
        match self.leaves {
            Leaves::AtOnce => self.flush(),
            Leaves::InBlocks if self.collected() >= BLOCK => self.flush(),
            Leaves::InBlocks | Leaves::OnFlush => Ok(()),
        }
    }

    /// How much is collected, in bytes.
    #[doc(hidden)]
    pub fn collected(&self) -> usize {
        self.block.borrow().len()
    }

    /// Hands on what its reader takes now, without waiting for it. False where something is left.
    #[doc(hidden)]
    pub fn hand_on(&mut self) -> Result<bool> {
        let (mut block, mut handed) = (self.block.borrow_mut(), 0);
        loop {
            match Stream::Out.write_some(&block[handed..]) {
                Ok(0) => break,
                Ok(more) => handed += more,
                Err(error) => {
                    block.clear();
                    return Err(Error::of_output(error));
                }
            }
        }
        block.drain(..handed);
        block.shrink_to(2 * BLOCK);
        Ok(block.is_empty())
    }

    /// Writes what is collected, and learns whether the reader is gone where there is nothing to write.
    #[doc(hidden)]
    pub fn flush_now(&mut self) -> Result<()> {
        write_to_reader(&self.block)
    }

    /// Writes what is collected. A tool calls it at the end, to learn whether its output was written.
    pub fn flush(&mut self) -> Result<()> {
        write(&self.block)
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
    fn a_long_line_is_an_error_for_itself() {
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
