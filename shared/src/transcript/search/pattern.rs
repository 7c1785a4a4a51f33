//! Patterns: regular expressions and literal texts.

use std::ops::Range;

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};

use crate::error::{Error, Result};

/// Whether upper and lower case are distinguished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// They are.
    #[default]
    Sensitive,
    /// They are not.
    Insensitive,
    /// They are if the pattern has an upper-case letter.
    Smart,
}

/// How a pattern is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Syntax {
    /// Whether the pattern is a literal text.
    pub is_literal: bool,
    /// Whether it must match whole words.
    pub is_word: bool,
    /// Whether upper and lower case are distinguished.
    pub case: Case,
}

/// A compiled pattern.
pub struct Pattern {
    regex: Regex,
    pub(super) hir: Hir,
    /// The text that the pattern is, if it stands in JSON as it is.
    pub(super) literal: Option<String>,
}

impl Pattern {
    /// Compiles a pattern, in which `^` and `$` match at lines.
    pub fn new(pattern: &str, syntax: Syntax) -> Result<Pattern> {
        let insensitive = match syntax.case {
            Case::Sensitive => false,
            Case::Insensitive => true,
            Case::Smart => !has_upper_case(pattern, syntax.is_literal),
        };
        let mut text = match syntax.is_literal {
            true => regex::escape(pattern).replace('\n', "\r?\n"),
            false => pattern.to_owned(),
        };
        let invalid = |reason: String| {
            Error::usage(format!("invalid pattern '{pattern}': {reason}"))
                .hint("-F searches for the text as it is")
        };
        // The error is about the pattern as it was given.
        let parse = |text: &str| {
            let mut parser = regex_syntax::ParserBuilder::new();
            parser.multi_line(true).crlf(true).case_insensitive(insensitive);
            parser.build().parse(text).map_err(|error| invalid(reason(&error)))
        };
        let hir = parse(&text)?;
        if syntax.is_word {
            text = format!(r"\b{{start-half}}(?:{text})\b{{end-half}}");
        }
        let built =
            RegexBuilder::new(&text).multi_line(true).crlf(true).case_insensitive(insensitive).build();
        let regex = built.map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                invalid(format!("it needs more than {} MiB of memory", limit >> 20))
            }
            // The pattern alone is valid: it ends with a comment, or something like that.
            _ => invalid("it cannot be a part of another pattern".to_owned()),
        })?;
        let literal = literal(&hir).filter(|_| !syntax.is_word);
        Ok(Pattern { regex, hir, literal })
    }

    /// Whether the pattern matches in a text.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The matches in a text, in bytes.
    pub fn find_all(&self, text: &str) -> Vec<Range<usize>> {
        self.regex.find_iter(text).map(|found| found.range()).collect()
    }
}

/// The text that a pattern is, if no writer of JSON must escape a character of it.
fn literal(hir: &Hir) -> Option<String> {
    let HirKind::Literal(literal) = hir.kind() else { return None };
    let text = std::str::from_utf8(&literal.0).ok()?;
    let is_as_it_is = |c: char| !c.is_control() && !matches!(c, '"' | '\\');
    (!text.is_empty() && text.chars().all(is_as_it_is)).then(|| text.to_owned())
}

/// The reason of an error, which has the pattern and a mark in it.
fn reason(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => {
            format!("{} at character {}", error.kind(), error.span().start.column)
        }
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        error => error.to_string(),
    }
}

/// Whether a pattern has an upper-case letter that is not the name of a class, as in `\W` or `\p{Greek}`.
fn has_upper_case(pattern: &str, is_literal: bool) -> bool {
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' && !is_literal {
            let class = chars.next();
            if matches!(class, Some('p' | 'P' | 'x' | 'u' | 'U')) && chars.peek() == Some(&'{') {
                chars.by_ref().find(|c| *c == '}');
            }
        } else if c.is_uppercase() {
            return true;
        }
    }
    false
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)] // Lists of matches.
mod tests {
    use super::*;

    #[test]
    fn smart_case_ignores_names_of_classes() {
        let upper = |pattern| has_upper_case(pattern, false);
        assert!(upper("Foo") && upper(r"\WFoo") && upper(r"\p{Greek}É"));
        assert!(!upper(r"foo\W\S\p{Greek}") && has_upper_case(r"\W", true));
    }

    #[test]
    fn words_and_lines() {
        let find = |pattern, syntax, text| Pattern::new(pattern, syntax).unwrap().find_all(text);
        let word = Syntax { is_word: true, ..Syntax::default() };
        assert_eq!(find("log", word, "login log, blog"), [6..9]);
        assert_eq!(find("-x", word, "a -x"), [2..4]);
        assert_eq!(find("^b$", Syntax::default(), "a\nb\nc"), [2..3]);
        assert_eq!(find("b$", Syntax::default(), "b\r\nb"), [0..1, 3..4]);
        let literal = Syntax { is_literal: true, case: Case::Smart, ..Syntax::default() };
        assert_eq!(find("(A.", literal, "x(a. (A."), [5..8]);
        assert_eq!(find("a.b", literal, "A.B aXb"), [0..3]);
        let plain = Syntax { is_literal: true, ..Syntax::default() };
        assert_eq!(find("b\nc", plain, "b\r\nc b\nc"), [0..4, 5..8]);
        let error = Pattern::new("(?x)a # b", word).err().unwrap();
        assert!(error.message().contains("'(?x)a # b': it cannot be"), "{}", error.message());
        let error = Pattern::new("a(b", Syntax::default()).err().unwrap();
        assert!(error.message().contains("invalid pattern 'a(b': unclosed group"), "{}", error.message());
    }
}
