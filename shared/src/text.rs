//! Untrusted text: made harmless for a terminal, cut to a width, escaped for a TAB-separated row.
//!
//! Titles and names come from prompts, and prompts from anywhere. No text may control a terminal or forge a row.
//! JSON output is not changed: JSON quotes its text.
//!
//! ```
//! use codex_agent_shared::text::{cell, harmless, tsv};
//!
//! // A title that would clear the screen, one that would forge a row, one that is too wide.
//! assert_eq!(harmless("a\u{1b}[2Jb"), "a\\x1b[2Jb");
//! assert_eq!(tsv("a\tb\n"), "a\\tb\\n");
//! assert_eq!(cell("a long title", 6), "a lon…");
//! ```

mod search;

pub use search::{find_words, lowered};

use std::borrow::Cow;
use std::fmt::Display;
use unicode_width::UnicodeWidthChar;

/// Whether a character has no width of its own, and changes how *other* text is shown: direction marks and
/// overrides, zero-width joiners and spaces, tags, line and paragraph separators.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with the characters escaped that are not plain.
fn escaped(text: &str, is_plain: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(&is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if is_plain(c) => out.push(c),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    Cow::Owned(out)
}

/// The text with control characters and invisible ones escaped: a newline as `\n`, ESC as `\x1b`, a right-to-left
/// mark as `\u{200f}`. A text without such characters is borrowed.
pub fn harmless(text: &str) -> Cow<'_, str> {
    escaped(text, |c| !c.is_control() && !is_invisible(c))
}

/// As [`harmless`], for a line that is shown as it is: TABs and the sequences that choose a colour are kept.
#[doc(hidden)]
pub fn harmless_with_colors(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() || is_invisible(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let sequence = rest.strip_prefix("\x1b[").and_then(|after| {
            let end = after.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
            (after[end..].starts_with('m') && end < 20).then_some("\x1b[".len() + end + 1)
        });
        let length = sequence.unwrap_or_else(|| first.len_utf8());
        let (part, after) = rest.split_at(length);
        match sequence.is_some() || first == '\t' {
            true => out.push_str(part),
            false => out.push_str(&harmless(part)),
        }
        rest = after;
    }
    Cow::Owned(out)
}

/// JSON for a terminal, with control characters and invisible ones as JSON escapes, which mean the same. Such
/// characters occur only inside of strings.
#[doc(hidden)]
pub fn harmless_json(json: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c == '\n' || !(c.is_control() || is_invisible(c));
    if json.chars().all(is_plain) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        match is_plain(c) {
            true => out.push(c),
            false => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")))
            }
        }
    }
    Cow::Owned(out)
}

/// The text as one cell of a TAB-separated row: backslash, TAB, newline and carriage return are written `\\`, `\t`,
/// `\n`, `\r`, so that no text can end a cell or a row; other control characters `\x1b`, since rows are shown on
/// terminals too, by `head` or `less -R`. Everything else is unchanged.
pub fn tsv(text: &str) -> Cow<'_, str> {
    // A search of the bytes is faster than one of the characters. Control characters beyond ASCII begin with the byte
    // 0xc2, as do a few plain characters.
    match text.bytes().any(|byte| byte < b' ' || matches!(byte, b'\\' | 0x7f | 0xc2)) {
        true => escaped(text, |c| !c.is_control() && c != '\\'),
        false => Cow::Borrowed(text),
    }
}

/// The width of a harmless text in columns of a terminal.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The text as a cell of a table: white space folded to single blanks, the rest made harmless, and cut to `most`
/// columns, with `…` at the end of a text that was cut. Only the columns that are shown cost time.
pub fn cell(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    let mut blank = false;
    // A letter may have a few accents, which have no width; thousands would flood the screen.
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
        let mut piece = if std::mem::take(&mut blank) { " ".to_owned() } else { String::new() };
        piece.push_str(&harmless(c.encode_utf8(&mut [0; 4])));
        let wide = width(&piece);
        if used + wide > most {
            while used + 1 > most {
                let Some(last) = out.pop() else { return out };
                let wide = last.width().unwrap_or(0);
                debug_assert!(used >= wide, "a letter is wider than all of them");
                used = used.saturating_sub(wide);
            }
            out.push('…');
            return out;
        }
        used += wide;
        out.push_str(&piece);
    }
    out
}

/// A harmless text after `start`, as lines of at most `most` columns that are broken between words. Every line but
/// the first is indented. A word that is longer than a line is not broken.
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
        // Further blanks between two words are not the start of a line.
        if is_new && word.is_empty() && !lines.is_empty() {
            continue;
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

/// The path as a cell of a table: the home directory is `~`. Of a path that is too long the last two parts are kept,
/// `…/parser/src`, or the last, or the end of the last.
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
    let ends: Vec<&str> = short.rmatch_indices('/').take(2).map(|(at, _)| &short[at..]).collect();
    if let Some(end) = ends.into_iter().rev().find(|end| width(end) < most && end.len() > 1) {
        return format!("…{end}");
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

/// Whether a pattern, in which each `*` matches any run of characters, matches the whole text. Case matters.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, pattern)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let (middle, last) = pattern.rsplit_once('*').unwrap_or(("", pattern));
    for part in middle.split('*') {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The known words that are close enough to a typed word to be meant by it, the closest first: at most three.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|name| {
            // A word without a common letter is another word, not a typing error.
            let length = name.chars().count();
            let most = (1 + typed.len().min(name.len()) / 4).min(length.saturating_sub(1));
            if is_longer(typed, length + most) {
                return None;
            }
            let distance = strsim::damerau_levenshtein(typed, name);
            (distance <= most || (typed.len() > 1 && name.starts_with(typed))).then_some((distance, name))
        })
        .collect();
    near.sort();
    near.truncate(3);
    near.into_iter().map(|(_, name)| name).collect()
}

/// Whether a typed word differs from a known one by one typing error: a missing, additional, wrong or moved letter.
#[doc(hidden)]
pub fn is_typo(typed: &str, known: &str) -> bool {
    let is_near = known.len() > 2 && !is_longer(typed, known.chars().count() + 1);
    is_near && strsim::damerau_levenshtein(typed, known) == 1
}

/// Whether a text has more characters than this. The time of a distance grows with the lengths of both words, and a word
/// may be a prompt.
fn is_longer(text: &str, length: usize) -> bool {
    text.chars().nth(length).is_some()
}

/// A number and its noun, which has a regular plural.
#[doc(hidden)]
pub fn counted<N: Display + From<u8> + PartialEq>(count: N, noun: &str) -> String {
    format!("{count} {noun}{}", if count == N::from(1) { "" } else { "s" })
}

/// A number with a comma between thousands.
#[doc(hidden)]
pub fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digit.is_ascii_digit() && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The word in the quotes that a POSIX shell needs. A shell has no word with a NUL, which is left out.
#[doc(hidden)]
pub fn quoted(word: &str) -> String {
    shlex::try_quote(&word.replace('\0', "")).map(Cow::into_owned).unwrap_or_default()
}

/// The words of a command line, as a POSIX shell splits it; `None` for an unclosed quote or a final backslash.
#[doc(hidden)]
pub fn split_words(line: &str) -> Option<Vec<String>> {
    shlex::split(line)
}

/// The FNV-1a hash of a text in sixteen digits, which is the same in every release. Two texts can be made that have
/// the same hash.
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
    fn only_colours_of_a_line_reach_the_terminal() {
        for (line, want) in [
            ("plain\tcell", "plain\tcell"),
            ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
            ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
            ("a\rb\u{202e}c\x1b[", "a\\rb\\u{202e}c\\x1b["),
            ("\x1b[1;1H\x1b[m", "\\x1b[1;1H\x1b[m"),
        ] {
            assert_eq!(harmless_with_colors(line), want);
        }
    }

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
        assert_eq!(path_cell("/home/men/src", Some("/home/me"), 9), "…/men/src");
        assert_eq!(path_cell("/home/men/src", Some("/home/me"), 8), "…/src");
        assert_eq!(path_cell("/a/long/way/down", None, 11), "…/way/down");
        assert_eq!(path_cell("/a/directory-with-a-name", None, 7), "…a-name");
        assert_eq!(path_cell("no-slash-at-all", None, 7), "…at-all");
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
    fn a_shell_reads_quoted_words_as_they_were() {
        for word in
            ["", "plain", "a b", "it's", "\"$(x)\" `y` \\ !", "~", "#", "a=b,c%", "^x", "\n\t", "日本"]
        {
            let line = format!("echo {} {}", quoted(word), quoted("end"));
            assert_eq!(split_words(&line).unwrap(), ["echo", word, "end"], "{line}");
            let mut shell = std::process::Command::new("/bin/sh");
            shell.args(["-c", &format!("printf %s {}", quoted(word))]);
            assert_eq!(shell.output().unwrap().stdout, word.as_bytes(), "{line}");
        }
        assert_eq!((quoted("a\0b"), quoted("login-work/2")), ("ab".to_owned(), "login-work/2".to_owned()));
        assert_eq!(split_words("it's"), None);
    }

    #[test]
    fn typos_find_their_word() {
        assert_eq!(nearest("lss", ["ls", "find", "group"]), ["ls"]);
        assert_eq!(nearest("gruop", ["ls", "find", "group"]), ["group"]);
        assert!(nearest("xyzzy", ["ls", "find", "group"]).is_empty());
    }
}
