//! The lines of a text of any size, in bounded memory: those of a rollout.
//!
//! Lines of up to 1 MiB are returned as they are. A longer line is shortened while it is read, so that it remains valid
//! JSON: `replacement_history`, which repeats older lines, becomes null, an image becomes the beginning of its data, and
//! a string that does not fit ends with `…`.

use std::io::{self, Read};

use super::block::{Block, keep};

/// A longer line is shortened while it is read.
const LONG: usize = 1 << 20;
/// The size up to which strings of a long line are kept as a whole.
const WHOLE: usize = 4 << 20;
/// The size of each further string, and of the beginning of an image.
const SHORT: usize = 64;
/// The size of a shortened line; the rest of a greater one is skipped, so that the line is no JSON.
const MOST: usize = 6 << 20;
/// The size of the buffer at first, and where only the first line is of interest.
const BLOCK: usize = 64 << 10;
const FIRST: usize = 16 << 10;

/// What [`BoundedLines::next`] returns.
#[derive(Debug, PartialEq)]
pub(crate) enum Found<'a> {
    /// A line without its newline.
    Line(&'a [u8]),
    /// The end of the text, with the line that has no newline yet; the line is empty if there is none.
    End(&'a [u8]),
}

/// Where a line is.
enum Place {
    /// In the buffer.
    Buffer(usize, usize),
    /// In the line that was shortened.
    Shortened,
}

/// Splits a text into lines. After the end of a file that grew, further lines can be read.
pub(crate) struct BoundedLines<R> {
    reader: R,
    buffer: Block,
    start: usize,
    end: usize,
    /// The offset of the line in the buffer, in bytes of the text.
    offset: u64,
    /// The number of bytes that may be read.
    left: u64,
    long: Option<Box<Shortened>>,
    line: Vec<u8>,
}

impl<R: Read> BoundedLines<R> {
    /// The lines of `reader`, whose first byte has this offset in the text, up to the offset `end`.
    pub(crate) fn new(reader: R, offset: u64, end: u64) -> Self {
        BoundedLines::with(reader, offset, end, BLOCK)
    }

    fn with(reader: R, offset: u64, end: u64, size: usize) -> Self {
        BoundedLines {
            reader,
            buffer: Block::new(size),
            start: 0,
            end: 0,
            offset,
            left: end.saturating_sub(offset),
            long: None,
            line: Vec::new(),
        }
    }

    /// The first lines of `reader`.
    pub(crate) fn first(reader: R) -> Self {
        BoundedLines::with(reader, 0, u64::MAX, FIRST)
    }

    /// The reader.
    pub(crate) fn reader(&self) -> &R {
        &self.reader
    }

    /// Reads on up to this offset.
    pub(crate) fn read_up_to(&mut self, end: u64) {
        let held = (self.end - self.start) as u64 + self.long.as_ref().map_or(0, |long| long.length);
        self.left = end.saturating_sub(self.offset + held);
    }

    /// Drops the line that has no newline yet, so that it is read again. Returns the offset from which the reader must
    /// continue; `None` if a long line is being shortened, of which nothing was kept.
    pub(crate) fn drop_rest(&mut self) -> Option<u64> {
        if self.long.is_some() {
            return None;
        }
        self.left = self.left.saturating_add((self.end - self.start) as u64);
        (self.start, self.end) = (0, 0);
        Some(self.offset)
    }

    /// The offset behind the last complete line that was returned.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line.
    #[allow(clippy::should_implement_trait)] // The line is borrowed from the buffer, which an Iterator forbids.
    pub(crate) fn next(&mut self) -> io::Result<Found<'_>> {
        Ok(match self.advance()? {
            Some(Place::Buffer(from, to)) => Found::Line(&self.buffer.as_slice()[from..to]),
            Some(Place::Shortened) => Found::Line(&self.line),
            None if self.long.is_some() => Found::End(&[]),
            None => Found::End(&self.buffer.as_slice()[self.start..self.end]),
        })
    }

    /// The next line, and whether it has a newline, which the last one may lack; `None` at the end.
    pub(crate) fn next_or_rest(&mut self) -> io::Result<Option<(&[u8], bool)>> {
        Ok(match self.advance()? {
            Some(Place::Buffer(from, to)) => Some((&self.buffer.as_slice()[from..to], true)),
            Some(Place::Shortened) => Some((&self.line, true)),
            None if self.long.is_some() => {
                self.line = self.long.take().map_or(Vec::new(), |long| long.kept);
                Some((&self.line, false))
            }
            None if self.start == self.end => None,
            None => {
                let from = std::mem::replace(&mut self.start, self.end);
                self.offset += (self.end - from) as u64;
                Some((&self.buffer.as_slice()[from..self.end], false))
            }
        })
    }

    /// Finds the end of the next line; `None` if it has none yet.
    fn advance(&mut self) -> io::Result<Option<Place>> {
        let mut searched = 0;
        while self.long.is_none() {
            let window = &self.buffer.as_slice()[self.start..self.end];
            if let Some(at) = memchr::memchr(b'\n', &window[searched..]) {
                let from = self.start;
                self.start += searched + at + 1;
                self.offset += (self.start - from) as u64;
                return Ok(Some(Place::Buffer(from, self.start - 1)));
            }
            searched = window.len();
            if searched > LONG {
                self.long = Some(Box::default());
            } else if self.fill()? == 0 {
                return Ok(None);
            }
        }
        self.advance_long()
    }

    /// Finds the end of the next line, which is long and begins in the buffer.
    fn advance_long(&mut self) -> io::Result<Option<Place>> {
        while let Some(long) = &mut self.long {
            let window = &self.buffer.as_slice()[self.start..self.end];
            let newline = memchr::memchr(b'\n', window);
            let length = newline.unwrap_or(window.len());
            long.add(&window[..length]);
            self.start += length;
            long.length += length as u64;
            if newline.is_some() {
                self.start += 1;
                self.offset += long.length + 1;
                self.line = self.long.take().map_or(Vec::new(), |long| long.kept);
                return Ok(Some(Place::Shortened));
            }
            if self.fill()? == 0 {
                break;
            }
        }
        Ok(None)
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            (self.start, self.end) = keep(self.buffer.bytes(), self.start..self.end);
        }
        let size = self.buffer.as_slice().len();
        if self.end == size {
            self.buffer.resize(2 * size);
        }
        let size = self.buffer.as_slice().len();
        let most = (size - self.end).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        loop {
            match self.reader.read(&mut self.buffer.bytes()[self.end..self.end + most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(got) => {
                    self.end += got;
                    self.left = self.left.saturating_sub(got as u64);
                    return Ok(got);
                }
            }
        }
    }
}

/// A long line that is being shortened.
#[derive(Default)]
struct Shortened {
    kept: Vec<u8>,
    /// The length of the line so far.
    length: u64,
    is_string: bool,
    /// Whether the next byte belongs to an escape, and the number of hex digits of the escape that are still to come.
    is_escape: bool,
    digits: u8,
    /// The start of the string in `kept`, and the size that it may have.
    from: usize,
    most: usize,
    /// Whether the rest of the string is skipped.
    is_cut: bool,
    /// Whether the last string is the name of a skipped value.
    is_skipped_name: bool,
    /// The number of open brackets of a skipped value.
    skipping: u64,
    /// Whether the rest of the line is skipped.
    is_full: bool,
}

impl Shortened {
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_full {
            if self.is_string && !self.is_in_escape() && (self.is_cut || self.skipping > 0) {
                // Nothing of the string is kept but its end.
                let Some(at) = memchr::memchr2(b'"', b'\\', bytes) else { return };
                self.byte(bytes[at]);
                bytes = &bytes[at + 1..];
            } else {
                self.byte(bytes[0]);
                bytes = &bytes[1..];
            }
            self.is_full = self.kept.len() > MOST;
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.is_string {
            self.byte_of_string(byte);
            return;
        }
        let opens = matches!(byte, b'[' | b'{');
        if byte == b'"' {
            self.is_string = true;
            self.is_cut = false;
            self.from = self.kept.len() + 1;
            self.most = WHOLE.saturating_sub(self.kept.len()).max(SHORT);
        } else if self.skipping > 0 {
            self.skipping = if opens {
                self.skipping + 1
            } else {
                self.skipping - u64::from(matches!(byte, b']' | b'}'))
            };
            return;
        } else if self.is_skipped_name && opens {
            self.skipping = 1;
            self.is_skipped_name = false;
            self.kept.extend_from_slice(b"null");
            return;
        } else if !matches!(byte, b':' | b' ') {
            self.is_skipped_name = false;
        }
        if self.skipping == 0 {
            self.kept.push(byte);
        }
    }

    fn byte_of_string(&mut self, byte: u8) {
        let is_kept = self.skipping == 0;
        // A character or an escape is kept as a whole.
        let is_start = byte & 0xc0 != 0x80 && !self.is_in_escape();
        if self.digits > 0 {
            self.digits -= 1;
        } else if self.is_escape {
            self.is_escape = false;
            self.digits = if byte == b'u' { 4 } else { 0 };
        } else if byte == b'\\' {
            self.is_escape = true;
        } else if byte == b'"' {
            self.is_string = false;
            let name: &[u8] = self.kept.get(self.from..).unwrap_or_default();
            self.is_skipped_name = is_kept && name == b"replacement_history";
            if is_kept {
                self.kept.push(byte);
            }
            return;
        }
        if !is_kept || self.is_cut {
            return;
        }
        let size = self.kept.len() - self.from;
        if size >= self.most && is_start {
            self.is_cut = true;
            self.kept.extend_from_slice("…".as_bytes());
            return;
        }
        self.kept.push(byte);
        if size == 4 && self.kept.ends_with(b"data:") {
            self.most = SHORT;
        }
    }

    fn is_in_escape(&self) -> bool {
        self.is_escape || self.digits > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], end: u64) -> (Vec<Vec<u8>>, Vec<u8>, u64) {
        let mut lines = BoundedLines::new(text, 0, end);
        let mut all = Vec::new();
        loop {
            match lines.next().unwrap() {
                Found::Line(line) => all.push(line.to_vec()),
                Found::End(rest) => {
                    let rest = rest.to_vec();
                    return (all, rest, lines.offset());
                }
            }
        }
    }

    #[test]
    fn lines_end_at_newlines_and_at_the_limit() {
        let (all, rest, offset) = lines(b"ab\n\ncd", u64::MAX);
        assert_eq!((all, rest, offset), (vec![b"ab".to_vec(), Vec::new()], b"cd".to_vec(), 4));
        let (all, rest, offset) = lines(b"ab\ncd\nef\n", 6);
        assert_eq!((all, rest, offset), (vec![b"ab".to_vec(), b"cd".to_vec()], Vec::new(), 6));
        assert_eq!(lines(b"", u64::MAX).0, Vec::<Vec<u8>>::new());
    }

    #[test]
    fn the_last_line_may_lack_its_newline() {
        let long = format!("{{\"a\":\"{}", "x".repeat(5 * LONG));
        for rest in ["", "cd", &long] {
            let text = format!("ab\n\n{rest}");
            let mut lines = BoundedLines::first(text.as_bytes());
            let mut all = Vec::new();
            while let Some((line, is_complete)) = lines.next_or_rest().unwrap() {
                all.push((line.len(), is_complete));
            }
            assert_eq!(all[..2], [(2, true), (0, true)]);
            assert_eq!(all.len(), if rest.is_empty() { 2 } else { 3 });
            assert!(all[2..].iter().all(|(length, is_complete)| *length < WHOLE + 64 && !is_complete));
        }
    }

    #[test]
    fn a_long_line_remains_json() {
        let history = format!(r#"[{{"a":"]\"}}{}"}},[1,[2]]]"#, "x".repeat(2 * LONG));
        let picture = format!("data:image/png;base64,{}", "A".repeat(LONG));
        let text = "é\\u00e9\\\\\\\"".repeat(LONG);
        let line = format!(
            r#"{{"replacement_history" : {history},"message":"m","images":["{picture}"],"text":"{text}","more":"{}","n":[1,2]}}"#,
            "y".repeat(1000)
        );
        let both = format!("{line}\n{{\"next\":1}}\n");
        let (all, rest, offset) = lines(both.as_bytes(), u64::MAX);
        assert_eq!((all.len(), rest.len(), offset), (2, 0, both.len() as u64));
        assert!(all[0].len() < WHOLE + 4096, "{}", all[0].len());
        let value: serde_json::Value = serde_json::from_slice(&all[0]).unwrap();
        assert_eq!(value["replacement_history"], serde_json::Value::Null);
        assert_eq!((&value["message"], &value["n"]), (&"m".into(), &serde_json::json!([1, 2])));
        let picture = value["images"][0].as_str().unwrap();
        assert!(picture.len() < 100 && picture.ends_with('…'), "{picture}");
        let kept = value["text"].as_str().unwrap();
        assert!(kept.starts_with("éé\\\"éé") && kept.ends_with('…') && kept.len() > LONG);
        assert!(value["more"].as_str().unwrap().ends_with('…'));
        assert_eq!(all[1], b"{\"next\":1}");
        // A line of which nothing can be shortened is no JSON, and does not affect the next one.
        let line = format!("[{}1]\nnext\n", "1,".repeat(MOST));
        let (all, ..) = lines(line.as_bytes(), u64::MAX);
        assert!(
            all.len() == 2
                && all[0].len() <= MOST + 8
                && serde_json::from_slice::<serde_json::Value>(&all[0]).is_err()
        );
        assert_eq!(all[1], b"next");
    }
}
