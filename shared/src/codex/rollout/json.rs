//! Values in a JSON text, which are found without being decoded.
//!
//! Only the structure is checked: brackets, quotes, keys, commas. A string or a number inside of a value is checked when
//! it is read, so that a value with a fault is as absent, and the others of its line are read. Strings are skipped as
//! fast as their quotes are found.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The length of a string in which a loop over its bytes is faster than a search.
const NEAR: usize = 16;

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
        // Keys and most values are so short that a loop finds their end sooner.
        let near = &text[from..text.len().min(from + NEAR)];
        if let Some(end) = near.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            if near[end] == b'"' {
                self.at = from + end + 1;
                return Some(&self.text[from..from + end]);
            }
            at += end;
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
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        at += found;
        at += match bytes.get(at + 1) {
            Some(b'n' | b't' | b'r' | b'b' | b'f' | b'"' | b'\\' | b'/') => 2,
            _ if unit(&inside[at..]).is_some() => 6,
            _ => return false,
        };
    }
    true
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

    #[test]
    fn a_string_ends_at_the_first_quote_that_no_backslash_escapes() {
        for before in ["", "x", "éé", "a text that is longer than most keys are"] {
            for count in 0..5 {
                let text = format!("\"{before}{}\",\"\"", "\\".repeat(count));
                let whole = Cursor::of(&text).string();
                let expected = before.len() + count + if count % 2 == 0 { 0 } else { 2 };
                assert_eq!(whole.map(str::len), Some(expected), "{text}");
            }
        }
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
