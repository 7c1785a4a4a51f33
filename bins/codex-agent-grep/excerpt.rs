//! The part of a line around its first match.

use std::ops::Range;

use codex_agent_shared::terminal::{Look, painted};
use codex_agent_shared::text::{harmless, width};

/// A line made harmless, and the places of its matches in it.
pub(super) fn shown(line: &str, spans: &[Range<usize>]) -> (String, Vec<Range<usize>>) {
    let mut text = String::new();
    let mut places = Vec::new();
    let mut at = 0;
    let mut add = |text: &mut String, upto: usize| {
        let part = line.get(at..upto).unwrap_or_default().replace('\t', "    ");
        text.push_str(&harmless(&part));
        at = at.max(upto);
    };
    for span in spans {
        add(&mut text, span.start);
        let start = text.len();
        add(&mut text, span.end);
        places.push(start..text.len());
    }
    add(&mut text, line.len());
    (text, places)
}

/// The part of a harmless text that fits into so many columns, with the first match in it. Marks stand for the rest.
pub(super) fn excerpt(text: &str, spans: &[Range<usize>], most: usize, color: bool) -> String {
    let first = spans.first().cloned().unwrap_or(0..0);
    let indent = text.len() - text.trim_start().len();
    let mut from = 0;
    if width(text) > most {
        // A third of the line is before the match, more if nothing else would be behind it.
        let wide = width(&text[first.clone()]).min(most);
        let behind = width(&text[first.end.min(text.len())..]);
        let before =
            (most / 3).max(most.saturating_sub(wide + behind + 1)).min(most.saturating_sub(wide + 2));
        if width(&text[..first.start]) > before {
            from = first.start;
            let mut used = 1;
            for (at, c) in text[..first.start].char_indices().rev() {
                used += width(c.encode_utf8(&mut [0; 4]));
                if used > before {
                    break;
                }
                from = at;
            }
        } else if indent < first.start.max(1) && indent > most / 3 {
            from = indent;
        }
    }
    let mut out = String::new();
    let mut used = 0;
    if from > 0 {
        out.push('…');
        used = 1;
    }
    // The end, with room for the mark if something is omitted.
    let mut end = from;
    let (mut fits, mut total) = (from, used);
    for (at, c) in text[from..].char_indices() {
        total += width(c.encode_utf8(&mut [0; 4]));
        if total > most {
            break;
        }
        end = from + at + c.len_utf8();
        if total < most {
            fits = end;
        }
    }
    let is_cut = end < text.len();
    let end = if is_cut { fits } else { end };
    let mut at = from;
    for span in spans {
        let (start, stop) = (span.start.clamp(at, end), span.end.clamp(at, end));
        out.push_str(&text[at..start]);
        out.push_str(&painted(&text[start..stop], Look::Match, color));
        at = stop;
    }
    out.push_str(&text[at..end]);
    if is_cut {
        out.push('…');
    }
    out
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)] // Lists of matches.
mod tests {
    use super::*;

    #[test]
    fn the_match_is_in_the_excerpt() {
        for length in [0, 5, 30, 200] {
            for behind in [0, 7, 100] {
                let line = format!("{}éMATCH{}", "x ".repeat(length), "\tyz".repeat(behind));
                let start = line.find('M').unwrap();
                let (text, spans) = shown(&line, &[start..start + 5]);
                for most in [20, 33, 79] {
                    let part = excerpt(&text, &spans, most, false);
                    assert!(part.contains("MATCH") && width(&part) <= most, "{part}");
                    assert_eq!(part == text, width(&text) <= most, "{part}");
                    let marked = excerpt(&text, &spans, most, true);
                    assert!(marked.contains("\u{1b}[1;4mMATCH\u{1b}[0m"), "{marked:?}");
                }
            }
        }
        let (text, spans) = shown("a\u{1b}b", &[1..2]);
        assert_eq!((&*text, &spans[..]), ("a\\x1bb", &[1..5][..]));
        assert_eq!(excerpt(&"y".repeat(50), &[0..50], 20, false).chars().count(), 20);
    }
}
