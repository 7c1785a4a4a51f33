//! The bytes that a line must have if one of its texts matches a pattern.
//!
//! A JSON writer may escape some characters, and a text may be JSON within JSON, so that a backslash, or several, can
//! stand before a quote, and `é` can be `\\u00e9`. Letters, digits, blanks and most signs stand as they are at any depth.
//! A needle is therefore one character in all its forms, without backslashes, and plain characters behind it. Of all the
//! needles that a pattern requires, the one that is expected to be rarest is searched for. A pattern that requires none
//! has no prefilter.

use aho_corasick::{AhoCorasick, packed};
use memchr::memmem;
use regex_syntax::hir::{Class, Hir, HirKind};

/// The greatest number of needles that are searched for at once.
const MOST: usize = 32;
/// The greatest length of a needle: longer ones are not found faster.
const LONGEST: usize = 48;

/// Which texts a prefilter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Texts {
    /// Texts that stand in a line as a whole.
    Whole,
    /// Also texts that are put together from pieces of a line: commands, patches, searches. Only words stand in it.
    Pieces,
}

/// Words that the reader writes into texts that are put together.
const WRITTEN: [&str; 5] = [
    "diff --git a/ b/ new file mode 100644 deleted rename from to index dev null",
    "no newline at end of file begin patch end update add delete move to environment id",
    "update_plan exec view_image request_user_input command patch goal agent wait call",
    "in type text content output is error true false",
    "0123456789",
];

/// Finds the places at which a line may match.
pub(super) enum Prefilter {
    One(Box<memmem::Finder<'static>>),
    Packed(Box<packed::Searcher>),
    Several(Box<AhoCorasick>),
}

impl Prefilter {
    /// The prefilter of a pattern; `None` if every line may match.
    pub(super) fn new(hir: &Hir, texts: Texts) -> Option<Prefilter> {
        let needles = needles(hir, texts)?.strings;
        if let [one] = &needles[..] {
            return Some(Prefilter::One(Box::new(memmem::Finder::new(one).into_owned())));
        }
        match packed::Config::new().builder().extend(&needles).build() {
            Some(searcher) => Some(Prefilter::Packed(Box::new(searcher))),
            None => AhoCorasick::new(&needles).ok().map(|all| Prefilter::Several(Box::new(all))),
        }
    }

    /// The first place of a needle.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Prefilter::One(finder) => finder.find(bytes),
            Prefilter::Packed(searcher) => searcher.find(bytes).map(|found| found.start()),
            Prefilter::Several(all) => all.find(bytes).map(|found| found.start()),
        }
    }
}

/// Needles of which one is required.
#[derive(Clone, Debug)]
struct Needles {
    strings: Vec<Vec<u8>>,
    score: i64,
}

/// A character that is required, in all its forms.
#[derive(Clone, Debug)]
struct Element {
    forms: Vec<Vec<u8>>,
    /// Whether no writer escapes it, so that it can follow another character.
    is_plain: bool,
}

fn needles(hir: &Hir, texts: Texts) -> Option<Needles> {
    let mut finder = Finder { texts, run: Vec::new(), best: None };
    finder.visit(hir);
    finder.end_run();
    finder.best
}

struct Finder {
    texts: Texts,
    run: Vec<Element>,
    best: Option<Needles>,
}

impl Finder {
    fn visit(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => text.chars().for_each(|c| self.push(&[c])),
                Err(_) => self.end_run(),
            },
            HirKind::Class(class) => match few(class) {
                Some(all) => self.push(&all),
                None => self.end_run(),
            },
            HirKind::Capture(capture) => self.visit(&capture.sub),
            HirKind::Concat(all) => all.iter().for_each(|one| self.visit(one)),
            HirKind::Repetition(repetition) if repetition.min == 0 => self.end_run(),
            HirKind::Repetition(repetition) => {
                self.visit(&repetition.sub);
                if repetition.min != 1 || repetition.max != Some(1) {
                    self.end_run();
                }
            }
            HirKind::Alternation(all) => {
                self.end_run();
                let each: Option<Vec<Needles>> = all.iter().map(|one| needles(one, self.texts)).collect();
                let Some(each) = each else { return };
                let score = each.iter().map(|one| one.score).min().unwrap_or(0);
                let mut strings: Vec<Vec<u8>> = each.into_iter().flat_map(|one| one.strings).collect();
                strings.sort();
                strings.dedup();
                if strings.len() <= MOST {
                    self.offer(Needles { score: score - cost(strings.len()), strings });
                }
            }
        }
    }

    /// Requires one of these characters next.
    fn push(&mut self, all: &[char]) {
        let is_plain = all.iter().all(|c| match self.texts {
            Texts::Whole => is_plain(*c),
            Texts::Pieces => c.is_ascii_alphanumeric() || *c == '_',
        });
        // The reader writes the replacement character for bytes that are no text.
        if (self.texts == Texts::Pieces && !is_plain) || all.contains(&char::REPLACEMENT_CHARACTER) {
            return self.end_run();
        }
        self.run.push(Element { forms: all.iter().flat_map(|c| forms(*c)).collect(), is_plain });
    }

    /// Considers all needles in the characters so far.
    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        for start in 0..run.len() {
            let mut strings: Vec<Vec<u8>> = vec![Vec::new()];
            let mut score = 0;
            for (at, element) in run.iter().enumerate().skip(start) {
                let is_over = at > start && !element.is_plain;
                if is_over || strings.len() * element.forms.len() > MOST || strings[0].len() >= LONGEST {
                    break;
                }
                strings = strings
                    .iter()
                    .flat_map(|before| element.forms.iter().map(move |form| [&before[..], form].concat()))
                    .collect();
                score += element.forms.iter().map(|form| rarity(form)).min().unwrap_or(0);
                let longest = strings.iter().map(Vec::len).max().unwrap_or(0);
                // A single letter is in every line.
                if longest > 1 && !(self.texts == Texts::Pieces && is_written(&strings)) {
                    self.offer(Needles { score: score - cost(strings.len()), strings: strings.clone() });
                }
            }
        }
    }

    fn offer(&mut self, needles: Needles) {
        if self.best.as_ref().is_none_or(|best| needles.score > best.score) {
            self.best = Some(needles);
        }
    }
}

/// Whether the reader may have written one of these itself.
fn is_written(strings: &[Vec<u8>]) -> bool {
    let is_part = |string: &[u8], text: &str| memmem::find(text.as_bytes(), &string.to_ascii_lowercase());
    strings.iter().any(|string| {
        WRITTEN.iter().any(|text| is_part(string, text).is_some()) || string.iter().all(u8::is_ascii_digit)
    })
}

/// The characters of a class, if there are few.
fn few(class: &Class) -> Option<Vec<char>> {
    let Class::Unicode(class) = class else { return None };
    let count: usize = class.iter().map(|range| range.len()).sum();
    if count == 0 || count > 4 {
        return None;
    }
    Some(class.iter().flat_map(|range| range.start()..=range.end()).collect())
}

/// Whether no known writer of JSON escapes a character.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '/' | '<' | '>' | '&' | '\'' | '=' | '+' | '`')
}

/// The forms of a character in JSON, without the backslashes before them.
fn forms(c: char) -> Vec<Vec<u8>> {
    let mut forms = vec![c.to_string().into_bytes()];
    if is_plain(c) {
        return forms;
    }
    let short = match c {
        '\n' => Some(b'n'),
        '\r' => Some(b'r'),
        '\t' => Some(b't'),
        '\u{8}' => Some(b'b'),
        '\u{c}' => Some(b'f'),
        _ => None,
    };
    forms.extend(short.map(|short| vec![short]));
    let mut units = [0; 2];
    // The second one of a pair of surrogates stands before the next character.
    let last = c.encode_utf16(&mut units).last().copied().unwrap_or(0);
    let digits = format!("{last:04x}");
    let mut all = vec![b"u".to_vec()];
    for digit in digits.bytes() {
        let cases = [digit, digit.to_ascii_uppercase()];
        let cases = if cases[0] == cases[1] { &cases[..1] } else { &cases[..] };
        all =
            all.iter().flat_map(|before| cases.iter().map(move |c| [&before[..], &[*c]].concat())).collect();
    }
    forms.extend(all);
    forms
}

/// How rare a form is expected to be: bytes that are rare in prose, code and JSON count more.
fn rarity(form: &[u8]) -> i64 {
    const COMMON: &[u8] = b" etaoinsrhldcumpfgyb,.wv0k_-:1x2q3j4z5867()9;{}[]";
    let rank = |byte: u8| {
        let place = COMMON.iter().position(|one| *one == byte);
        10 + 2 * place.map_or(COMMON.len(), |place| place).min(30) as i64
    };
    form.iter().map(|byte| rank(*byte)).sum()
}

/// The cost of a search for several needles at once.
fn cost(count: usize) -> i64 {
    // One needle is found by a faster search than several.
    if count > 1 { 60 + 16 * i64::from(count.ilog2()) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(pattern: &str, texts: Texts) -> Vec<String> {
        let hir = regex_syntax::parse(pattern).unwrap();
        let mut all: Vec<String> = needles(&hir, texts)
            .map(|one| {
                one.strings.iter().map(|string| String::from_utf8_lossy(string).into_owned()).collect()
            })
            .unwrap_or_default();
        all.sort();
        all
    }

    #[test]
    fn a_pattern_requires_its_rarest_part() {
        let whole = |pattern| strings(pattern, Texts::Whole);
        assert_eq!(whole("frobnicate"), ["frobnicate"]);
        assert_eq!(whole(r#"said "frobnicate""#), ["frobnicate"]);
        assert_eq!(whole(r"a\d+ deadlock.*x"), [" deadlock"]);
        assert_eq!(whole("(?:queue|deadlock)ed"), ["deadlock", "queue"]);
        assert_eq!(whole("é"), ["u00E9", "u00e9", "é"]);
        assert_eq!(
            whole("(?i)zip 12"),
            ["ZIP 12", "ZIp 12", "ZiP 12", "Zip 12", "zIP 12", "zIp 12", "ziP 12", "zip 12"]
        );
        assert!(whole("(?i)kiss").iter().all(|needle| !needle.starts_with('k') || needle.len() < 4));
        for none in ["a?b*", r"\d+", "a", "", "(a|bcd)", "[a-z]+"] {
            assert_eq!(whole(none), [""; 0], "{none}");
        }
        let pieces = |pattern| strings(pattern, Texts::Pieces);
        assert_eq!(pieces("cargo test --release"), ["cargo"]);
        assert_eq!(pieces("new file"), [""; 0]);
        assert_eq!(pieces("src/main.rs"), ["main"]);
        assert_eq!(pieces(r#""é/""#), [""; 0]);
    }
}
