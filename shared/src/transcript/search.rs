//! Searching transcripts.
//!
//! A [`Search`] finds the items of sessions whose text matches. There is no index: the files of a session are first
//! searched as bytes, at the speed of reading, for the bytes of a matching line, and only where such a line is found the
//! transcript is read. So each item matches once, however many copies of it the files have, and has the address that other
//! tools know it by. Inherited turns are omitted: their items are found in the session that they belong to.
//!
//! The text of an item is that of its record; of a call of a tool also the arguments and the output, of a check list its
//! steps, of a question its answers. A match may span lines of it. A text that Codex wrote in several parts is found by
//! words of each part.
//!
//! [`in_order`](super::order::in_order) searches many sessions on several threads, and passes the matches on in the order of the
//! sessions.
//!
//! A module imports only from layers above its own.
//!
//! | layer | module | contents |
//! |---|---|---|
//! | 0 | `kinds` | the roles that a line may become |
//! | 0 | `pattern` | regular expressions and literal texts |
//! | 0 | `prefilter` | the bytes that a matching line must have |
//! | 1 | `scan` | lines that may match, in the bytes of a file |

mod kinds;
#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Tests write what Codex would.
mod oracle;
mod pattern;
mod prefilter;
mod scan;

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use memchr::memmem::Finder;
use serde::Serialize;

use super::chain::{Problem, open};
use super::reader::{Options, Reader};
use super::record::{Detail, Item, Record, Role};
use super::state::Abridge;
use crate::codex::files::Files;
use crate::codex::rollout::json::is_valid;
use crate::ndjson::block::Block;
use crate::record::Id;
use crate::time::Timestamp;
use kinds::{MESSAGES, PIECES, Roles};
use prefilter::{Prefilter, Texts};
use scan::Scan;

pub use pattern::{Case, Pattern, Syntax};

thread_local! {
    /// The block of each thread.
    static BUFFER: RefCell<Block> = const { RefCell::new(Block::EMPTY) };
}

/// Patterns, and the items in which they are searched for.
pub struct Search {
    patterns: Vec<Pattern>,
    roles: Roles,
    needs_all: bool,
    is_inverted: bool,
    /// The prefilter of each pattern; `None` in it if every line may match.
    prefilters: Vec<Option<Prefilter>>,
    /// What stands for outputs where items are only counted.
    abridge: Option<Abridge>,
}

/// A session that is searched.
#[derive(Clone, Copy)]
pub struct Place<'f> {
    /// The files of the home.
    pub files: &'f Files,
    /// The session.
    pub session: Id,
    /// The path in the database's row.
    pub named: Option<&'f str>,
    /// Whether inherited turns are searched too.
    pub inherits: bool,
}

/// An item that matches.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The item.
    pub item: Item,
    /// The text that was searched.
    pub text: String,
    /// The matches in the text, in bytes, sorted. None if items without a match are searched for.
    pub spans: Vec<Range<usize>>,
}

impl Search {
    /// A search for items that one of the patterns matches, in messages of the user and the model.
    pub fn new(patterns: Vec<Pattern>) -> Search {
        let search = Search {
            patterns,
            roles: MESSAGES,
            needs_all: false,
            is_inverted: false,
            prefilters: Vec::new(),
            abridge: None,
        };
        search.prepared()
    }

    /// Searches items of these roles.
    pub fn roles(self, roles: &[Role]) -> Search {
        Search { roles: Roles::of(roles), ..self }.prepared()
    }

    /// Only sessions match in which each pattern matches an item.
    pub fn needs_all(self, needs_all: bool) -> Search {
        Search { needs_all, ..self }
    }

    /// Items match that no pattern matches.
    pub fn inverted(self, is_inverted: bool) -> Search {
        Search { is_inverted, ..self }
    }

    fn prepared(mut self) -> Search {
        let texts = if self.roles.meets(PIECES) { Texts::Pieces } else { Texts::Whole };
        self.prefilters = self.patterns.iter().map(|pattern| Prefilter::new(&pattern.hir, texts)).collect();
        self.abridge = match &self.patterns[..] {
            [one] if self.roles.has(Role::Output) => abridge(one, texts),
            _ => None,
        };
        self
    }

    /// Passes the items of a session that match on, in their order, until `take` returns `false`. Returns why parts
    /// were not searched.
    pub fn search(&self, place: &Place<'_>, take: &mut dyn FnMut(Hit) -> bool) -> io::Result<Vec<Problem>> {
        self.visit(place, false, &mut |item| {
            let Some(text) = searched(&item).map(Cow::into_owned) else { return true };
            let mut spans: Vec<Range<usize>> =
                self.patterns.iter().flat_map(|pattern| pattern.find_all(&text)).collect();
            merge(&mut spans);
            spans.is_empty() != self.is_inverted || take(Hit { item, text, spans })
        })
    }

    /// The number of items of a session that match, at most `most`, and why parts were not searched.
    pub fn count(&self, place: &Place<'_>, most: usize) -> io::Result<(usize, Vec<Problem>)> {
        let mut count = 0;
        let problems = self.visit(place, true, &mut |item| {
            count += usize::from(self.is_match(&item));
            count < most
        })?;
        Ok((count, problems))
    }

    fn is_match(&self, item: &Item) -> bool {
        searched(item).is_some_and(|text| {
            self.patterns.iter().any(|pattern| pattern.is_match(&text)) != self.is_inverted
        })
    }

    /// Passes on all items that are searched, if one of them may match.
    fn visit(
        &self,
        place: &Place<'_>,
        is_count: bool,
        each: &mut dyn FnMut(Item) -> bool,
    ) -> io::Result<Vec<Problem>> {
        // The files that a fork continues are read by the transcript alone.
        let may_match = place.inherits
            || BUFFER.with_borrow_mut(|buffer| self.may_match(place.files, place.session, buffer))?;
        if !may_match {
            return Ok(Vec::new());
        }
        if self.needs_all {
            let mut missing: Vec<&Pattern> = self.patterns.iter().collect();
            let problems = self.read(place, true, &mut |item| {
                if let Some(text) = searched(&item) {
                    missing.retain(|pattern| !pattern.is_match(&text));
                }
                !missing.is_empty()
            })?;
            if !missing.is_empty() {
                return Ok(problems);
            }
        }
        self.read(place, is_count, each)
    }

    fn read(
        &self,
        place: &Place<'_>,
        is_count: bool,
        each: &mut dyn FnMut(Item) -> bool,
    ) -> io::Result<Vec<Problem>> {
        let options = Options { undone: true, copied: place.inherits, live: false };
        let mut reader = Reader::of_session(place.files, place.session, place.named, options)?
            .items_alone(self.roles.is_within(MESSAGES));
        if is_count {
            reader = reader.counted(self.abridge.clone());
        }
        while let Some(record) = reader.next_record()? {
            if let Record::Item(item) = record
                && self.roles.has(item.role)
                && (place.inherits || !item.inherited)
                && !each(item)
            {
                break;
            }
        }
        Ok(reader.problems().to_vec())
    }

    /// Whether the session may have an item that matches, by the bytes of its files.
    fn may_match(&self, files: &Files, session: Id, buffer: &mut Block) -> io::Result<bool> {
        if self.is_inverted {
            return Ok(true);
        }
        for (patterns, prefilter) in self.patterns.chunks(1).zip(&self.prefilters) {
            let scan = Scan { prefilter: prefilter.as_ref(), patterns, roles: self.roles };
            // A session needs a match of each pattern, or of any of them.
            if self.is_in_files(&scan, files, session, buffer)? != self.needs_all {
                return Ok(!self.needs_all);
            }
        }
        Ok(self.needs_all)
    }

    fn is_in_files(
        &self,
        scan: &Scan<'_>,
        files: &Files,
        session: Id,
        buffer: &mut Block,
    ) -> io::Result<bool> {
        if scan.prefilter.is_none() && !self.roles.is_within(MESSAGES) {
            return Ok(true);
        }
        let mut has_file = false;
        for file in files.of_session(session) {
            has_file = true;
            let found = match open(&file.path, 0) {
                // Reading the transcript finds the file again, or reports it.
                Err(_) => true,
                Ok(reader) => scan.finds(reader, buffer).unwrap_or(true),
            };
            if found {
                return Ok(true);
            }
        }
        // The error about a session without a file is that of the reader.
        Ok(!has_file)
    }
}

/// What stands for an output: nothing where the bytes of a match are missing, and the literal text that a pattern is where
/// the output has it. Any other output must be decoded.
fn abridge(pattern: &Pattern, texts: Texts) -> Option<Abridge> {
    /// The length of an escape without its last byte.
    const ESCAPE: usize = 5;
    let prefilter = Prefilter::new(&pattern.hir, texts)?;
    let literal = pattern.literal.clone();
    let finder = literal.as_ref().map(|text| Finder::new(text).into_owned());
    Some(Abridge(Arc::new(move |inside: &str| {
        let bytes = inside.as_bytes();
        let text = match (prefilter.find(bytes), &literal, &finder) {
            (None, ..) => "",
            (_, Some(literal), Some(finder)) => {
                let is_text = |at: usize| !bytes[at.saturating_sub(ESCAPE)..at].contains(&b'\\');
                finder.find_iter(bytes).take(8).any(is_text).then_some(&**literal)?
            }
            _ => return None,
        };
        // A string with an invalid escape has no text.
        is_valid(inside).then(|| text.to_owned())
    })))
}

/// Sorts matches, and makes one of those that overlap.
fn merge(spans: &mut Vec<Range<usize>>) {
    spans.sort_by_key(|span| (span.start, span.end));
    spans.dedup_by(|next, last| {
        let overlaps = next.start < last.end || *next == *last;
        if overlaps {
            last.end = last.end.max(next.end);
        }
        overlaps
    });
}

/// The text of an item that is searched; `None` if it has none.
fn searched(item: &Item) -> Option<Cow<'_, str>> {
    let text = item.text.as_deref();
    let mut more: Vec<&str> = Vec::new();
    match &item.detail {
        Detail::Tool { name, arguments, output, .. } => {
            more.push(name);
            more.extend(arguments.as_ref().map(|json| json.get()));
            more.extend(output.as_deref());
        }
        Detail::Script { output, .. } => more.extend(output.as_deref()),
        Detail::Todo { steps } => more.extend(steps.iter().map(|(step, _)| step.as_str())),
        Detail::Question { answers } => more.extend(answers.iter().map(String::as_str)),
        Detail::Image { path } => more.extend(path.as_deref()),
        _ => {}
    }
    if more.is_empty() {
        return text.map(Cow::Borrowed);
    }
    let all: Vec<&str> = text.into_iter().filter(|text| !text.is_empty()).chain(more).collect();
    Some(Cow::Owned(all.join("\n")))
}

/// An item that matches, as a record.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MatchRecord<'h> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The id of the session.
    pub session: Option<Id>,
    /// The number of the turn, counted from 1; null if the turn is undone.
    pub turn: Option<u64>,
    /// The id of the turn, by Codex's name; null up to Codex 0.98.
    pub turn_id: Option<&'h str>,
    /// The number of the item in its turn, counted from 1.
    pub item: Option<u64>,
    /// The address of the item: SESSION:TURN:ITEM.
    pub address: Option<&'h str>,
    /// The role of the item.
    pub role: Role,
    /// The time of the item.
    pub at: Option<Timestamp>,
    /// Whether the turn was rolled back or reverted.
    pub undone: bool,
    /// Whether the turn belongs to the session that this one was forked from.
    pub inherited: bool,
    /// The complete text that was searched.
    pub text: &'h str,
    /// The lines with a match, or all lines if items without a match are searched for; each with its number, counted
    /// from 1.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Vec<serde_json::Value>>"))]
    pub lines: Vec<(u64, &'h str)>,
    /// The start and the end of each match in the text, in characters; the end is that of the character behind the match.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Vec<u64>>"))]
    pub spans: Vec<(u64, u64)>,
}

impl<'h> MatchRecord<'h> {
    /// The record of an item that matches.
    pub fn new(hit: &'h Hit) -> MatchRecord<'h> {
        let item = &hit.item;
        let mut places = Characters { text: &hit.text, at: 0, count: 0 };
        let spans = hit.spans.iter().map(|span| {
            let start = places.count_to(span.start);
            (start, start + hit.text[span.clone()].chars().count() as u64)
        });
        let spans = spans.collect();
        MatchRecord {
            kind: "match",
            session: item.session,
            turn: item.turn,
            turn_id: item.turn_id.as_deref(),
            item: item.item,
            address: item.address.as_deref(),
            role: item.role,
            at: item.at,
            undone: item.undone,
            inherited: item.inherited,
            text: &hit.text,
            lines: hit.lines().map(|line| (line.number, line.text)).collect(),
            spans,
        }
    }
}

/// Counts characters forwards.
struct Characters<'t> {
    text: &'t str,
    at: usize,
    count: u64,
}

impl Characters<'_> {
    fn count_to(&mut self, place: usize) -> u64 {
        if place > self.at {
            self.count += self.text[self.at..place].chars().count() as u64;
            self.at = place;
        }
        self.count
    }
}

/// A line of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextLine<'t> {
    /// The number of the line, counted from 1.
    pub number: u64,
    /// The line without its newline.
    pub text: &'t str,
    /// The matches in the line, in bytes of it.
    pub spans: Vec<Range<usize>>,
}

impl Hit {
    /// All lines of the text.
    pub fn all_lines(&self) -> impl Iterator<Item = TextLine<'_>> {
        let mut at = 0;
        let mut next = 0;
        self.text.split('\n').enumerate().map(move |(number, line)| {
            let (start, end) = (at, at + line.len());
            at = end + 1;
            let mut spans = Vec::new();
            // A match may go on in the next lines, and an empty one counts where it is.
            while let Some(span) = self.spans.get(next).filter(|span| span.start <= end) {
                let part = span.start.max(start) - start..span.end.min(end).max(start) - start;
                let is_inside = line.is_empty() && span.end > end;
                if !part.is_empty() || span.is_empty() || is_inside {
                    spans.push(part);
                }
                if span.end > end + 1 {
                    break;
                }
                next += 1;
            }
            let text = line.strip_suffix('\r').unwrap_or(line);
            spans.iter_mut().for_each(|span| {
                (span.start, span.end) = (span.start.min(text.len()), span.end.min(text.len()))
            });
            TextLine { number: number as u64 + 1, text, spans }
        })
    }

    /// The lines with a match; the first one if a match is only of a newline, and all of them if there is none.
    pub fn lines(&self) -> impl Iterator<Item = TextLine<'_>> {
        let has_any = self.all_lines().any(|line| !line.spans.is_empty());
        let is_whole = self.spans.is_empty();
        self.all_lines()
            .filter(move |line| is_whole || !line.spans.is_empty() || (!has_any && line.number == 1))
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)] // Lists of matches.
mod tests {
    use super::super::record::Detail;
    use super::*;

    fn hit(text: &str, spans: &[Range<usize>]) -> Hit {
        let item = Item::new(Role::User, Some(text.to_owned()), None, Detail::Plain {});
        Hit { item, text: text.to_owned(), spans: spans.to_vec() }
    }

    #[test]
    fn matches_that_overlap_are_one() {
        let mut spans = vec![1..4, 0..3, 0..6, 6..7, 9..9, 9..9];
        merge(&mut spans);
        assert_eq!(spans, [0..6, 6..7, 9..9]);
        // A blank line within a match belongs to it.
        let numbers: Vec<u64> = hit("ab\n\ncd\n\n", &[0..6]).lines().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }

    #[test]
    fn lines_have_the_parts_of_matches() {
        let hit = hit("aé b\nccc\r\nd\n", &[1..3, 4..7, 6..8, 11..12]);
        let lines: Vec<(u64, &str, Vec<Range<usize>>)> =
            hit.lines().map(|line| (line.number, line.text, line.spans)).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[0], (1, "aé b", vec![1..3, 4..5]));
        assert_eq!(lines[1].1, "ccc");
        assert_eq!(lines[2], (3, "d", vec![0..1]));
        let record = MatchRecord::new(&hit);
        assert_eq!(record.spans, [(1, 2), (3, 6), (5, 7), (10, 11)]);
        // Without a match the item is printed as a whole.
        let none = self::hit("one\ntwo", &[]);
        assert_eq!(MatchRecord::new(&none).lines, [(1, "one"), (2, "two")]);
    }
}
