//! Words in a text, without regard to case.

use std::borrow::Cow;
use std::ops::Range;

use unicode_width::UnicodeWidthChar;

/// The text in lower case, letter by letter: no letter depends on the letters beside it.
pub fn lowered(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    match text.is_ascii() {
        true => text.to_ascii_lowercase().into(),
        false => text.chars().flat_map(char::to_lowercase).collect::<String>().into(),
    }
}

/// The parts of a text that are one of the words, which are in lower case ([`lowered`]): sorted, and joined where they
/// overlap or touch.
pub fn find_words(text: &str, words: &[String]) -> Vec<Range<usize>> {
    let lower = lowered(text);
    let mut found: Vec<Range<usize>> = Vec::new();
    for word in words.iter().filter(|word| !word.is_empty()) {
        found.extend(lower.match_indices(word.as_str()).map(|(at, word)| at..at + word.len()));
    }
    found.sort_by_key(|range| (range.start, range.end));
    if !text.is_ascii() {
        // A letter in lower case may have another length, and a word may begin within the letters of one capital.
        let mut ends = Vec::with_capacity(text.len());
        let mut at = 0;
        for (start, letter) in text.char_indices() {
            at += letter.to_lowercase().map(char::len_utf8).sum::<usize>();
            ends.push((at, start, start + letter.len_utf8()));
        }
        let letter_of = |at: usize| ends.get(ends.partition_point(|(end, ..)| *end <= at));
        for range in &mut found {
            let (first, last) = (letter_of(range.start), letter_of(range.end.saturating_sub(1)));
            let end = last.map_or(text.len(), |(.., end)| *end);
            // An accent belongs to the letter before it.
            let accents = text[end..].chars().take_while(|c| c.width() == Some(0));
            let accents: usize = accents.map(char::len_utf8).sum();
            *range = first.map_or(0, |(_, start, _)| *start)..end + accents;
        }
    }
    found.dedup_by(|next, before| {
        let overlaps = next.start <= before.end;
        before.end = if overlaps { before.end.max(next.end) } else { before.end };
        overlaps
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'t>(text: &'t str, words: &[&str]) -> Vec<&'t str> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        find_words(text, &words).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn words_are_found_in_any_case() {
        assert_eq!(found("Fix the LOGIN bug in login.rs", &["login"]), ["LOGIN", "login"]);
        assert_eq!(found("abcab", &["ab", "bc", ""]), ["abcab"]);
        assert_eq!(found("aaaa", &["aa"]), ["aaaa"]);
        assert_eq!(found("ŽLUŤOUČKÝ kůň", &["kůň", "luť"]), ["LUŤ", "kůň"]);
        // One capital of two letters, and a letter whose lower case has another length.
        assert_eq!(found("xİy Ⱥz", &["i", "ⱥ"]), ["İ", "Ⱥ"]);
        assert_eq!(found("ΟΔΟΣ", &["οσ"]), ["ΟΣ"]);
        assert_eq!(found("plain", &["x"]), Vec::<&str>::new());
    }

    /// The ranges are whole letters, in order and apart, in any text.
    #[test]
    fn ranges_are_letters_of_the_text() {
        let letters: Vec<char> = "aAbBİıßẞΣσςȺⱥ日é \u{301}".chars().collect();
        let mut seed = 7_u64;
        let mut next = |limit: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % limit
        };
        let mut hits = 0;
        for _ in 0..20_000 {
            let text: String = (0..next(12)).map(|_| letters[next(letters.len())]).collect();
            let word: String = (0..1 + next(3)).map(|_| letters[next(letters.len())]).collect();
            let word = lowered(&word).into_owned();
            let ranges = find_words(&text, std::slice::from_ref(&word));
            assert_eq!(ranges.is_empty(), !lowered(&text).contains(&word), "{text:?} {word:?}");
            for range in &ranges {
                hits += 1;
                assert!(lowered(&text[range.clone()]).contains(&word), "{text:?} {word:?} {range:?}");
            }
            assert!(ranges.windows(2).all(|two| two[0].end < two[1].start), "{text:?} {word:?} {ranges:?}");
        }
        assert!(hits > 1000, "{hits}");
    }
}
