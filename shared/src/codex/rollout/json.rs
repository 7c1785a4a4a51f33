//! Values in a JSON text, which are found without being decoded.
//!
//! Only the structure is checked: brackets, quotes, keys, commas. A string or a number inside of a value is checked when
//! it is read, so that a value with a fault is as absent, and the others of its line are read. Strings are skipped as
//! fast as their quotes are found.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The length of a string whose end is found sooner without a search.
const NEAR: usize = 16;
/// The length of what is compared at once in it.
const WORD: usize = 8;
/// The length of the pieces of a string in which escapes are checked.
const STRETCH: usize = 1 << 10;

/// A value in a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// The value that a text is.
    pub(crate) fn of(text: &'a str) -> Option<Json<'a>> {
        let mut cursor = Cursor::of(text);
        let value = cursor.value()?;
        cursor.is_at_end().then_some(value)
    }

    /// The text of the value.
    pub(crate) fn get(self) -> &'a str {
        self.0
    }

    /// The value, if it is valid.
    pub(crate) fn to_raw(self) -> Option<Box<RawValue>> {
        RawValue::from_string(self.0.to_owned()).ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Json(raw.get()))
    }
}

/// A place in a text.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn of(text: &'a str) -> Cursor<'a> {
        let mut cursor = Cursor { text, at: 0 };
        cursor.skip_blanks();
        cursor
    }

    /// Whether only blanks follow.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.at == self.text.len()
    }

    /// The next byte.
    pub(crate) fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.next(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn skips(&mut self, byte: u8) -> bool {
        let is_next = self.next() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Passes on the key and the place of each value of the object that comes next. `each` skips the value; it returns
    /// `None` if it cannot. Returns `None` if there is no complete object.
    pub(crate) fn members(
        &mut self,
        mut each: impl FnMut(&str, &mut Cursor<'a>) -> Option<()>,
    ) -> Option<()> {
        self.skips(b'{').then_some(())?;
        self.skip_blanks();
        if self.skips(b'}') {
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.skip_blanks();
            self.skips(b':').then_some(())?;
            self.skip_blanks();
            each(&unescaped(key)?, self)?;
            if self.is_last(b'}')? {
                return Some(());
            }
        }
    }

    /// The values of the list that comes next.
    pub(crate) fn values(&mut self) -> Option<Vec<Json<'a>>> {
        self.skips(b'[').then_some(())?;
        self.skip_blanks();
        let mut all = Vec::new();
        if self.skips(b']') {
            return Some(all);
        }
        loop {
            all.push(self.value()?);
            if self.is_last(b']')? {
                return Some(all);
            }
        }
    }

    /// Skips a comma, or the bracket at the end.
    fn is_last(&mut self, bracket: u8) -> Option<bool> {
        self.skip_blanks();
        if self.skips(b',') {
            self.skip_blanks();
            return Some(false);
        }
        self.skips(bracket).then_some(true)
    }

    /// Skips the next value.
    pub(crate) fn value(&mut self) -> Option<Json<'a>> {
        let from = self.at;
        match self.next()? {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => self.skip_nested()?,
            _ => {
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                self.at += self.text.as_bytes()[from..].iter().take_while(|byte| is_part(byte)).count();
            }
        }
        (self.at > from).then(|| Json(&self.text[from..self.at]))
    }

    /// Skips a list or an object.
    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0u32;
        loop {
            match self.next()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Skips a string, and returns its inside.
    fn string(&mut self) -> Option<&'a str> {
        self.skips(b'"').then_some(())?;
        let text = self.text.as_bytes();
        let (from, mut at) = (self.at, self.at);
        // Keys and most values are so short that their end is found sooner without a search.
        for _ in 0..NEAR / WORD {
            let Some(word) = text[at..].first_chunk::<WORD>() else { break };
            let next = quote_or_backslash(*word);
            at += next;
            if next < WORD {
                if text[at] == b'"' {
                    self.at = at + 1;
                    return Some(&self.text[from..at]);
                }
                break;
            }
        }
        loop {
            let found = at + memchr::memchr(b'"', text.get(at..)?)?;
            // Most strings have more escapes than quotes in them: those before the quote alone are looked at.
            let escapes = text[from..found].iter().rev().take_while(|byte| **byte == b'\\').count();
            at = found + 1;
            if escapes % 2 == 0 {
                self.at = at;
                return Some(&self.text[from..found]);
            }
        }
    }
}

/// The number of bytes before the first quote or backslash of a word; its length if it has none.
fn quote_or_backslash(word: [u8; WORD]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    let word = u64::from_le_bytes(word);
    // The highest bit of the first byte that is zero, and of none before it.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
    found.trailing_zeros() as usize / 8
}

/// The text in the inside of a JSON string, with a replacement character for each surrogate without its other half; `None`
/// for an invalid escape.
pub(crate) fn unescaped(inside: &str) -> Option<Cow<'_, str>> {
    let mut next = match inside.len() {
        0..=NEAR => inside.bytes().position(|byte| byte == b'\\'),
        _ => memchr::memchr(b'\\', inside.as_bytes()),
    };
    if next.is_none() {
        return Some(Cow::Borrowed(inside));
    }
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = next {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(first) = unit(rest) {
            rest = &rest[6..];
            if (0xd800..0xdc00).contains(&first)
                && let Some(second) = unit(rest).filter(|unit| (0xdc00..0xe000).contains(unit))
            {
                out.extend(char::decode_utf16([first, second]).map(|c| c.unwrap_or('\u{fffd}')));
                rest = &rest[6..];
            } else {
                out.push(char::from_u32(first.into()).unwrap_or('\u{fffd}'));
            }
        } else {
            out.push(match rest.as_bytes().get(1)? {
                b'n' => '\n',
                b't' => '\t',
                b'r' => '\r',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                c @ (b'"' | b'\\' | b'/') => char::from(*c),
                _ => return None,
            });
            rest = &rest[2..];
        }
        next = memchr::memchr(b'\\', rest.as_bytes());
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

/// Whether the inside of a JSON string has valid escapes alone, so that it has a text.
pub(crate) fn is_valid(inside: &str) -> bool {
    let (bytes, mut at) = (inside.as_bytes(), 0);
    while at < bytes.len() {
        let end = bytes.len().min(at + STRETCH);
        if end < bytes.len() && has_plain_escapes(&bytes[at..=end]) {
            at = end;
            continue;
        }
        while let Some(found) = memchr::memchr(b'\\', bytes.get(at..end).unwrap_or_default()) {
            at += found;
            at += match bytes.get(at + 1) {
                Some(b'n' | b't' | b'r' | b'b' | b'f' | b'"' | b'\\' | b'/') => 2,
                _ if unit(&inside[at..]).is_some() => 6,
                _ => return false,
            };
        }
        at = at.max(end);
    }
    true
}

/// Whether each backslash that is not the last byte begins an escape of a newline, a quote, a tab or a carriage return. Such
/// an escape ends no later than with the last byte. All bytes are compared, many at a time, because texts have a newline
/// every few words.
fn has_plain_escapes(bytes: &[u8]) -> bool {
    let pairs = bytes.iter().zip(&bytes[1..]);
    let others = pairs.fold(0, |others, (first, second)| {
        let is_plain = (*second == b'n') | (*second == b'"') | (*second == b't') | (*second == b'r');
        others | u8::from((*first == b'\\') & !is_plain)
    });
    others == 0
}

/// The number in an escape such as `\u00e9`.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_number = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::rollout::mutations::Dice;

    #[test]
    fn values_are_found_by_the_structure_alone() {
        let mut all = Vec::new();
        let text = r#" {"a" : "x\"}]\\" , "b\u0041":[{"c":[1,"]"]},-1.5e+3],"":{} ,"d":null} "#;
        let mut cursor = Cursor::of(text);
        cursor
            .members(|key, value| {
                all.push((key.to_owned(), value.value()?.get()));
                Some(())
            })
            .unwrap();
        assert!(cursor.is_at_end());
        let expected =
            [("a", r#""x\"}]\\""#), ("bA", r#"[{"c":[1,"]"]},-1.5e+3]"#), ("", "{}"), ("d", "null")];
        assert_eq!(all, expected.map(|(key, value)| (key.to_owned(), value)));
        let list = Cursor::of(r#"[1, "a,b" ,[],{"x":2}]"#).values().unwrap();
        assert_eq!(list.into_iter().map(Json::get).collect::<Vec<_>>(), ["1", "\"a,b\"", "[]", "{\"x\":2}"]);
        assert_eq!(Json::of(" 7 ").map(Json::get), Some("7"));
    }

    #[test]
    fn an_incomplete_text_has_no_value() {
        for text in ["", "{", "[1,", "\"a", "\"a\\", "\"é\\é", "{\"a\":[}", "1 2", "{} {", ",", "]", "\u{e9}"]
        {
            assert_eq!(Json::of(text), None, "{text}");
        }
        for text in ["{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1", "{,}", "[]", "{1:2}", "{\"\\x\":1}"] {
            assert_eq!(Cursor::of(text).members(|_, value| value.value().map(drop)), None, "{text}");
        }
        for text in ["[1 2]", "[1,]", "[", "[,1]"] {
            assert_eq!(Cursor::of(text).values(), None, "{text}");
        }
    }

    /// Texts with quotes and escapes near and far from each other, most of them with one fault or none, and texts with one
    /// of them where the first stretch ends.
    fn texts() -> impl Iterator<Item = String> {
        const PIECES: [&str; 12] =
            ["\\n", "\\\"", "\\t", "\\r", "a", "é", "\\\\", "\\u00e9", "\\/", "\\b", "\\f", "\\ud83d"];
        const FAULTS: [&str; 6] = ["\"", "\\", "\\u12", "\\é", "\\u+123", "\\x"];
        let at_end = (STRETCH - 8..STRETCH + 2).flat_map(|at| {
            let text = move |piece: &&str| format!("{}{piece}{}", "x".repeat(at), "y".repeat(STRETCH));
            PIECES.iter().chain(&FAULTS).map(text)
        });
        let mut dice = Dice(11);
        let random = (0..4000).map(move |_| {
            let (count, most) = ([4, 40, 400][dice.roll(3)], [2, 20, 120][dice.roll(3)]);
            let kinds = [6, 6, 7, PIECES.len()][dice.roll(4)];
            let mut text = String::new();
            for _ in 0..dice.roll(count) {
                text.push_str(&["x", "é"][dice.roll(2)].repeat(dice.roll(most)));
                text.push_str(PIECES[dice.roll(kinds)]);
                if dice.roll(2 * count) == 0 {
                    text.push_str(FAULTS[dice.roll(FAULTS.len())]);
                }
            }
            text
        });
        at_end.chain(random)
    }

    #[test]
    fn a_string_ends_at_the_first_quote_that_no_backslash_escapes() {
        for text in texts() {
            let text = format!("\"{text}");
            let (mut is_escape, mut end) = (false, None);
            for (at, c) in text.char_indices().skip(1) {
                if c == '"' && !is_escape {
                    end = Some(at);
                    break;
                }
                is_escape = c == '\\' && !is_escape;
            }
            let mut cursor = Cursor::of(&text);
            assert_eq!(cursor.string(), end.map(|end| &text[1..end]), "{text}");
            assert!(end.is_none_or(|end| cursor.at == end + 1), "{text}");
        }
    }

    #[test]
    fn a_text_is_valid_that_can_be_unescaped() {
        let mut valid = 0;
        for text in texts() {
            let is_text = unescaped(&text).is_some();
            assert_eq!(is_valid(&text), is_text, "{text}");
            valid += u32::from(is_text && text.len() > 2 * STRETCH);
        }
        assert!(valid > 100, "{valid}");
    }

    #[test]
    fn a_lone_surrogate_becomes_a_replacement_character() {
        assert_eq!(unescaped(r"\ud83d b\ud83d\ude00\n\u00E9").unwrap(), "\u{fffd} b\u{1f600}\né");
        assert_eq!(unescaped(r"\ud83d\u0041").unwrap(), "\u{fffd}A");
        for invalid in [r"a\x", "\\", r"\u12", r"\u+123", r"\u12é", r"a long text, \n\\ and \x"] {
            assert_eq!(unescaped(invalid), None, "{invalid}");
            assert!(!is_valid(invalid), "{invalid}");
        }
        assert!(is_valid(r#"\ud83d b\ud83d\ude00\n\u00E9\t\r\b\f\"\\\/é"#) && is_valid(""));
    }
}
