//! Looking for lines that may match in the bytes of a file, before any of them is decoded.
//!
//! The bytes are read in blocks that end at newlines. In a block the needles of the pattern are searched for; the line of
//! each place is judged by the types at its beginning, and a message is decoded and compared. The beginning and the
//! needles of a line that is longer than a block decide. Of a line that goes on in the next block nothing is kept if its
//! beginning shows that it becomes no item that is searched.

use std::io::{self, Read};

use super::kinds::{MESSAGES, Roles, roles_of_line};
use super::pattern::Pattern;
use super::prefilter::Prefilter;
use crate::codex::rollout::wire::{Line, text, text_of_line};
use crate::ndjson::block::{Block, PAGE, keep};
use crate::transcript::events::typed_of_event;
use crate::transcript::head::HEAD;
use crate::transcript::items::parts;
use crate::transcript::responses::typed_of_copy;

/// The size of a block, for which a processor's cache has room.
const BLOCK: usize = 256 << 10;
/// The size of the first block of a file: a frequent text is found in it.
const FIRST: usize = 32 << 10;
/// A longer line is not kept as a whole.
const LONG: usize = 1 << 20;
/// The part of a long line that is searched again with what follows it.
const OVERLAP: usize = 256;

/// The conditions of a line.
pub(super) struct Scan<'s> {
    pub(super) prefilter: Option<&'s Prefilter>,
    /// The patterns of which one must match a message.
    pub(super) patterns: &'s [Pattern],
    pub(super) roles: Roles,
}

impl Scan<'_> {
    /// Whether a text has a line that may match.
    pub(super) fn finds(&self, mut reader: impl Read, block: &mut Block) -> io::Result<bool> {
        block.resize(BLOCK);
        // The bytes from `from` to `filled` are to be judged.
        let (mut from, mut filled) = (0, 0);
        let mut most = FIRST;
        // The roles of the long line that is being read.
        let mut long: Option<Roles> = None;
        loop {
            if filled == block.bytes().len() {
                block.resize(2 * filled);
            }
            let buffer = block.bytes();
            // Whole pages, as each read begins with a page then, in the file and in the block.
            let room = (buffer.len() - filled).min(most);
            let wanted = if room > PAGE { room - room % PAGE } else { room };
            let got = match reader.read(&mut buffer[filled..filled + wanted]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                got => got?,
            };
            most = usize::MAX;
            let is_end = got == 0;
            // The bytes before were searched for the end of their line.
            let newline = memchr::memrchr(b'\n', &buffer[filled..filled + got]).map(|at| filled + at + 1);
            filled += got;
            let mut start = from;
            if let Some(roles) = long {
                let end = memchr::memchr(b'\n', &buffer[from..filled]).map(|at| from + at);
                let is_searched = roles.meets(self.roles);
                if is_searched && self.has_needle(&buffer[from..end.unwrap_or(filled)]) {
                    return Ok(true);
                }
                match end {
                    Some(end) => (long, start) = (None, end + 1),
                    None => {
                        let kept = if is_searched { (filled - from).min(OVERLAP) } else { 0 };
                        (from, filled) = keep(buffer, filled - kept..filled);
                        if is_end {
                            return Ok(false);
                        }
                        continue;
                    }
                }
            }
            let end = if is_end { filled } else { newline.unwrap_or(from) };
            if start < end && self.has_line(&buffer[start..end]) {
                return Ok(true);
            }
            if is_end {
                return Ok(false);
            }
            let rest = end.max(start);
            if filled - rest >= HEAD {
                let roles = roles_of_line(&buffer[rest..rest + HEAD]);
                let is_searched = roles.meets(self.roles);
                if !is_searched || filled - rest > LONG {
                    if is_searched && self.has_needle(&buffer[rest..filled]) {
                        return Ok(true);
                    }
                    long = Some(roles);
                    let kept = if is_searched { OVERLAP } else { 0 };
                    (from, filled) = keep(buffer, filled - kept..filled);
                    block.resize(BLOCK);
                    continue;
                }
            }
            (from, filled) = keep(buffer, rest..filled);
        }
    }

    fn has_needle(&self, bytes: &[u8]) -> bool {
        self.prefilter.is_none_or(|prefilter| prefilter.find(bytes).is_some())
    }

    /// Whether one of these lines may match.
    fn has_line(&self, lines: &[u8]) -> bool {
        let mut at = 0;
        while at < lines.len() {
            let found = match self.prefilter {
                Some(prefilter) => match prefilter.find(&lines[at..]) {
                    Some(found) => at + found,
                    None => return false,
                },
                None => at,
            };
            let start = memchr::memrchr(b'\n', &lines[at..found]).map_or(at, |newline| at + newline + 1);
            let end = memchr::memchr(b'\n', &lines[found..]).map_or(lines.len(), |newline| found + newline);
            if self.may_match(&lines[start..end]) {
                return true;
            }
            at = end + 1;
        }
        false
    }

    fn may_match(&self, line: &[u8]) -> bool {
        let roles = roles_of_line(line);
        if !roles.meets(self.roles) {
            return false;
        }
        // A message is decoded, unless the line may also be something else that is searched.
        let is_message = MESSAGES.meets(roles) && self.roles.is_within(MESSAGES);
        !is_message || roles == Roles::ALL || self.matches_message(line)
    }

    /// Whether the text of a message matches.
    fn matches_message(&self, line: &[u8]) -> bool {
        let line = text_of_line(line);
        // The reader skips a line that is no JSON.
        let Some(line) = Line::parse(&line) else { return false };
        let fields = &line.fields;
        let is_match = |text: &str| self.patterns.iter().any(|pattern| pattern.is_match(text));
        let kind = text(fields.kind).unwrap_or_default();
        match (&*line.kind, &*kind) {
            ("event_msg", "user_message") => {
                text(fields.message).is_some_and(|message| typed_of_event(&message).is_some_and(is_match))
            }
            ("event_msg", "agent_message") => text(fields.message).is_some_and(|message| is_match(&message)),
            ("event_msg", "item_completed") => {
                let Some(item) = fields.item.as_deref() else { return false };
                let (whole, _) = parts(item.content);
                match text(item.kind).as_deref() {
                    Some("UserMessage") => typed_of_event(&whole).is_some_and(is_match),
                    _ => is_match(&whole),
                }
            }
            ("response_item", "message") => match text(fields.role).as_deref() {
                Some("user") => is_match(&typed_of_copy(fields)),
                _ => is_match(&parts(fields.content).0),
            },
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::rollout::mutations::Dice;
    use crate::transcript::record::Role;
    use crate::transcript::search::prefilter::Texts;
    use crate::transcript::search::{Case, Syntax};

    /// Reads as much at a time as a pipe may have.
    struct Pieces<'t>(&'t [u8], Dice);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = [1 << 20, 1 << 20, 70_000, 3000][self.1.roll(4)];
            let count = self.0.len().min(buffer.len()).min(1 + self.1.roll(most));
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn a_line_is_found_wherever_a_block_ends() {
        let pattern =
            Pattern::new("frobnicate", Syntax { is_literal: true, is_word: false, case: Case::Sensitive })
                .unwrap();
        let patterns = [pattern];
        let prefilter = Prefilter::new(&patterns[0].hir, Texts::Whole);
        let line = |kind: &str, before: usize, word: &str, behind: usize| {
            let (before, behind) = ("x".repeat(before), "y".repeat(behind));
            format!(
                "{{\"timestamp\":\"t\",\"type\":\"event_msg\",\"payload\":{{\"type\":\"{kind}\",\"message\":\"{before}{word}{behind}\"}}}}\n"
            )
        };
        let mut dice = Dice(7);
        let mut block = Block::EMPTY;
        for round in 0..400 {
            let mut text = String::new();
            let size = |dice: &mut Dice| {
                let most = [10, 300, 5000, 90_000, 400_000, 1_200_000][dice.roll(6)];
                dice.roll(most)
            };
            for _ in 0..dice.roll(12) {
                let kind = ["agent_message", "token_count"][dice.roll(2)];
                let word = if kind == "token_count" { "frobnicate" } else { "frobnicat" };
                let (before, behind) = (size(&mut dice), size(&mut dice));
                text.push_str(&line(kind, before, word, behind));
            }
            let has = round % 2 == 0;
            if has {
                text.push_str(&line("agent_message", size(&mut dice), "frobnicate", 20));
            }
            text.push_str(&line("token_count", size(&mut dice), "frobnicate", 0));
            if dice.roll(3) == 0 {
                text.pop();
            }
            for roles in [Roles::of(&[Role::Assistant]), MESSAGES] {
                let scan = Scan { prefilter: prefilter.as_ref(), patterns: &patterns, roles };
                let pieces = Pieces(text.as_bytes(), Dice(round + 1));
                assert_eq!(scan.finds(pieces, &mut block).unwrap(), has, "{round}");
            }
            let none = Scan { prefilter: prefilter.as_ref(), patterns: &patterns, roles: Roles::NONE };
            assert!(!none.finds(text.as_bytes(), &mut block).unwrap());
        }
    }
}
