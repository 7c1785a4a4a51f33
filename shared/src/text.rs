//! Other people's text: made harmless for a terminal, cut to a width, escaped for a TAB-separated row.
//!
//! Titles and names come from prompts, and prompts from anywhere. A terminal must never obey them,
//! and a row must never be forged by them. JSON output is left as it is: there the text is quoted.
//!
//! ```
//! use codex_agent_shared::text::{cell, harmless, tsv};
//!
//! // A title that would clear the screen, one that would forge a row, one that is too wide.
//! assert_eq!(harmless("a\u{1b}[2Jb"), "a\\x1b[2Jb");
//! assert_eq!(tsv("a\tb\n"), "a\\tb\\n");
//! assert_eq!(cell("a long title", 6), "a lon…");
//! ```

use std::borrow::Cow;
use unicode_width::UnicodeWidthChar;

/// Characters that change how *other* text is shown, without a width of their own: direction
/// marks and overrides, zero-width joiners and spaces, tags, line and paragraph separators.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with control characters and unseen ones made visible: `\n` as `\n`, ESC as `\x1b`,
/// a right-to-left mark as `\u{200f}`. Text without any is borrowed.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c.is_control() || is_unseen(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if is_unseen(c) => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// JSON with control and unseen characters written as escapes, which mean the same, for a terminal.
/// They can stand only inside strings.
#[doc(hidden)]
pub fn harmless_json(json: &str) -> Cow<'_, str> {
    let is_shown = |c: char| c == '\n' || !(c.is_control() || is_unseen(c));
    if json.chars().all(is_shown) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if is_shown(c) {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    Cow::Owned(out)
}

/// The text as one cell of a TAB-separated row: backslash, TAB, newline and carriage return are
/// written `\\`, `\t`, `\n`, `\r`, so that no text can end a cell or a row; other control characters
/// `\x1b`, since rows end up on terminals too, by way of `head` or `less -R`. Nothing else is changed.
pub fn tsv(text: &str) -> Cow<'_, str> {
    // The controls beyond ASCII begin with the byte 0xc2, and so do a few harmless characters.
    if !text.bytes().any(|byte| byte < b' ' || matches!(byte, b'\\' | 0x7f | 0xc2)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// How many columns a terminal gives this text (which must be harmless already).
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// One line for a table cell: white space folded to single blanks, the rest made harmless, cut to
/// `most` columns with `…` where it was longer. A long text costs no more than its first columns.
pub fn cell(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    let mut blank = false;
    // Accents take no column. A few may stand on a letter; thousands would flood the screen.
    let mut accents = 0;
    for c in text.trim_start().chars() {
        accents = if c.width() == Some(0) { accents + 1 } else { 0 };
        if accents > 4 {
            continue;
        }
        if c.is_whitespace() {
            blank = true;
            continue;
        }
        let mut piece = String::new();
        if blank {
            piece.push(' ');
            blank = false;
        }
        let mut buffer = [0; 4];
        piece.push_str(&harmless(c.encode_utf8(&mut buffer)));
        let wide = width(&piece);
        if used + wide > most {
            while used + 1 > most {
                match out.pop() {
                    Some(last) => {
                        let wide = last.width().unwrap_or(0);
                        debug_assert!(used >= wide, "a letter is wider than all of them");
                        used = used.saturating_sub(wide);
                    }
                    None => return out,
                }
            }
            out.push('…');
            return out;
        }
        used += wide;
        out.push_str(&piece);
    }
    out
}

/// What a line begins with and its text, harmless already, as lines of at most `most` columns that are
/// broken between the words of the text. All but the first are indented; a longer word stays whole.
pub fn lines(start: &str, text: &str, indent: usize, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = start.to_owned();
    let mut used = width(start);
    let mut is_new = true;
    for word in text.split(' ') {
        let wide = width(word);
        if !is_new && used + 1 + wide > most {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            (used, is_new) = (indent, true);
        }
        if !is_new {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        (used, is_new) = (used + wide, false);
    }
    lines.push(line);
    lines
}

/// A path for a table: the home directory as `~`, and the *end* kept where it must be cut.
pub fn path_cell(path: &str, home: Option<&str>, most: usize) -> String {
    let short = match home.filter(|home| home.len() > 1).and_then(|home| path.strip_prefix(home)) {
        Some("") => Cow::Borrowed("~"),
        Some(rest) if rest.starts_with('/') => Cow::Owned(format!("~{rest}")),
        _ => Cow::Borrowed(path),
    };
    let short = harmless(&short);
    if width(&short) <= most {
        return short.into_owned();
    }
    let mut kept = Vec::new();
    let mut used = 1;
    for c in short.chars().rev() {
        let wide = c.width().unwrap_or(0);
        if used + wide > most {
            break;
        }
        used += wide;
        kept.push(c);
    }
    if most == 0 { String::new() } else { std::iter::once('…').chain(kept.into_iter().rev()).collect() }
}

/// Whether a pattern matches a text: as it stands, or, where it holds `*`, with each `*` standing
/// for any run of characters. Case matters.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// The closest of `known` to what was typed, if it is close enough to be a slip of the fingers.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(typed, name), name))
        .filter(|(distance, name)| {
            *distance <= 1 + typed.len().min(name.len()) / 4 || (typed.len() > 1 && name.starts_with(typed))
        })
        .collect();
    near.sort();
    near.truncate(3);
    near.into_iter().map(|(_, name)| name).collect()
}

/// Whether one letter of a word is missing, too many, another or at another place.
#[doc(hidden)]
pub fn is_slip(typed: &str, known: &str) -> bool {
    known.len() > 2 && strsim::damerau_levenshtein(typed, known) == 1
}

/// A word as a POSIX shell reads it back.
#[doc(hidden)]
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Sixteen digits that tell a text from another one (FNV-1a): the same for ever, and no protection against
/// somebody who wants two to be alike.
#[doc(hidden)]
pub fn fingerprint(bytes: &[u8]) -> String {
    let sum = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    format!("{sum:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_shown_not_obeyed() {
        assert_eq!(harmless("a\x1b[2Jb\u{202e}c\n"), "a\\x1b[2Jb\\u{202e}c\\n");
        assert_eq!(harmless("ünïcode 日本"), "ünïcode 日本");
    }

    #[test]
    fn json_means_the_same_and_is_harmless() {
        assert_eq!(
            harmless_json("{\"a\":\"\u{9b}31m\u{e0001}\"}\n"),
            "{\"a\":\"\\u009b31m\\udb40\\udc01\"}\n"
        );
    }

    #[test]
    fn a_cell_cannot_end_its_row() {
        assert_eq!(tsv("a\tb\\t\nc"), "a\\tb\\\\t\\nc");
        assert_eq!(tsv("\x1b[2J \u{9b}2J \u{a9} é"), "\\x1b[2J \\x9b2J \u{a9} é");
    }

    #[test]
    fn lines_are_broken_between_words() {
        let broken = |start, text, most| lines(start, text, 2, most).join("|");
        assert_eq!(broken("a: ", "b c d", 8), "a: b c d");
        assert_eq!(broken("a: ", "b c d", 7), "a: b c|  d");
        assert_eq!(broken("a: ", "seven words", 4), "a: seven|  words");
        assert_eq!(broken("", "日本 日本 日本", 9), "日本 日本|  日本");
        assert_eq!(broken("a ", "", 9), "a ");
    }

    #[test]
    fn cells_are_cut_by_columns() {
        assert_eq!(cell("  one\n\ttwo  ", 20), "one two");
        assert_eq!(cell("日本語テキスト", 7), "日本語…");
        assert_eq!(cell("日本語テキスト", 8), "日本語…");
        assert_eq!(cell("abcdef", 6), "abcdef");
        assert_eq!(cell("abcdef", 5), "abcd…");
        assert_eq!(cell("abcdef", 0), "");
        assert!(cell(&format!("a{}b", "\u{301}".repeat(50_000)), 10).len() < 20);
        assert_eq!(path_cell("/home/me/src/project", Some("/home/me"), 30), "~/src/project");
        assert_eq!(path_cell("/home/me", Some("/home/me"), 30), "~");
        assert_eq!(path_cell("/home/men/src", Some("/home/me"), 8), "…men/src");
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, want) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("*x*", "axb", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn slips_find_their_word() {
        assert_eq!(nearest("lss", ["ls", "find", "group"]), ["ls"]);
        assert_eq!(nearest("gruop", ["ls", "find", "group"]), ["group"]);
        assert!(nearest("xyzzy", ["ls", "find", "group"]).is_empty());
    }
}
