//! The fuzzy order: which rows a query matches, the best first, and of equals the first of the list.
//!
//! The words of a query may stand in any order. A query that only became longer is matched against the rows that the
//! shorter one matched.

use std::sync::Arc;

use frizbee::{Config, Match, Matcher, SortStrategy};

use crate::rows::Row;

/// With fewer rows a second thread costs more than it saves.
const FEW: usize = 20_000;

/// The rows that match.
#[derive(Default)]
pub(super) struct Matches {
    query: String,
    /// The matching rows in the order of the list.
    listed: Vec<u32>,
    /// The matching rows, the best first.
    pub(super) ranked: Vec<u32>,
}

impl Matches {
    /// Matches a query against all rows of a list.
    pub(super) fn all(query: &str, rows: &[Arc<Row>], list: &[u32]) -> Matches {
        matched(query, rows, list)
    }

    /// The matches of another query, of the same list.
    pub(super) fn refine(&mut self, query: &str, rows: &[Arc<Row>], list: &[u32]) {
        if query.trim() == self.query.trim() {
            return;
        }
        let narrows = query.starts_with(&self.query) && !self.query.is_empty() && is_plain(query);
        *self = matched(query, rows, if narrows { &self.listed } else { list });
    }
}

/// Whether no word of the query has a special meaning, by which a longer query may match more rows.
fn is_plain(query: &str) -> bool {
    !query.contains(['!', '\'', '^', '$', '\\', '|'])
}

fn matched(query: &str, rows: &[Arc<Row>], list: &[u32]) -> Matches {
    if query.trim().is_empty() {
        return Matches { query: query.to_owned(), listed: list.to_vec(), ranked: list.to_vec() };
    }
    let texts: Vec<&str> = list.iter().map(|at| rows[*at as usize].text()).collect();
    let mut matcher = Matcher::from_query(query, &Config::default().sort(SortStrategy::IndexAsc));
    let found: Vec<Match> = match texts.len() {
        ..FEW => matcher.match_list(&texts),
        _ => matcher.match_list_parallel(&texts, 0),
    };
    let listed: Vec<u32> = found.iter().map(|one| list[one.index as usize]).collect();
    let mut ranked = found;
    // A stable sort keeps the order of the list among equals.
    ranked.sort_by_key(|one| std::cmp::Reverse(one.score));
    let ranked = ranked.iter().map(|one| list[one.index as usize]).collect();
    Matches { query: query.to_owned(), listed, ranked }
}

/// The byte offsets of the characters of a text that a query matched, in order.
pub(super) fn positions(query: &str, text: &str) -> Vec<usize> {
    if query.trim().is_empty() {
        return Vec::new();
    }
    let found = Matcher::from_query(query, &Config::default()).match_one_indices(text, 0);
    let mut at: Vec<usize> = found.into_iter().flat_map(|one| one.indices).map(|at| at as usize).collect();
    // Each byte of a character is named.
    at.retain(|at| text.is_char_boundary(*at));
    at.sort_unstable();
    at.dedup();
    let letters = query.chars().filter(|c| !c.is_whitespace()).count();
    // frizbee 0.13 names too few characters of some texts with wide gaps.
    match !at.is_empty() && at.len() < letters && is_plain(query) && query.split_whitespace().count() == 1 {
        true => first_positions(query.trim(), text),
        false => at,
    }
}

/// The byte offsets of the first characters of a text that are those of a word, in order.
fn first_positions(word: &str, text: &str) -> Vec<usize> {
    let is_exact = word.chars().any(char::is_uppercase);
    let is_same = |a: char, b: char| a == b || (!is_exact && a.to_lowercase().eq(b.to_lowercase()));
    let mut letters = word.chars().peekable();
    let mut is_next = |c: char| letters.next_if(|letter| is_same(*letter, c)).is_some();
    text.char_indices().filter(|(_, c)| is_next(*c)).map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(texts: &[String]) -> (Vec<Arc<Row>>, Vec<u32>) {
        let rows = texts.iter().map(|text| Arc::new(Row::of_text(text))).collect();
        (rows, (0..texts.len() as u32).collect())
    }

    /// Numbers that are the same in every run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, most: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % most
        }

        fn text(&mut self, letters: &[char], most: usize) -> String {
            (0..=self.below(most)).map(|_| letters[self.below(letters.len())]).collect()
        }
    }

    /// Whether the letters of a word stand in a text in this order: the definition of a fuzzy match.
    fn has_letters(text: &str, word: &str) -> bool {
        let is_exact = word.chars().any(char::is_uppercase);
        let fold = |c: char| if is_exact { c.to_string() } else { c.to_lowercase().collect() };
        let mut rest = text.chars().map(fold);
        word.chars().map(fold).all(|letter| rest.any(|other| other == letter))
    }

    /// The order by its definition: each row alone, all of them each time, sorted by score and then by place.
    fn slow(query: &str, texts: &[String]) -> Vec<u32> {
        let mut found: Vec<(u16, u32)> = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            if query.split_whitespace().all(|word| has_letters(text, word)) {
                let one = Matcher::from_query(query, &Config::default()).match_one(text, 0);
                found.push((one.expect("a text with these letters matches").score, at as u32));
            }
        }
        found.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        found.into_iter().map(|(_, at)| at).collect()
    }

    #[test]
    fn typing_letter_by_letter_gives_the_order_of_the_definition() {
        for seed in 0..150 {
            let mut dice = Dice(seed);
            let letters: Vec<char> = "aabbcCdeE -_/xé日".chars().collect();
            let texts: Vec<String> = (0..60).map(|_| dice.text(&letters, 40)).collect();
            let (rows, list) = rows(&texts);
            let typed: Vec<char> = dice.text(&"abcdeE xé日".chars().collect::<Vec<_>>(), 7).chars().collect();
            let mut matches = Matches::all("", &rows, &list);
            for end in 1..=typed.len() {
                let query: String = typed[..end].iter().collect();
                matches.refine(&query, &rows, &list);
                let want = if query.trim().is_empty() { list.clone() } else { slow(&query, &texts) };
                assert_eq!(matches.ranked, want, "seed {seed}, query {query:?}, {texts:#?}");
            }
            // And backwards, which widens.
            for end in (0..typed.len()).rev() {
                let query: String = typed[..end].iter().collect();
                matches.refine(&query, &rows, &list);
                let want = if query.trim().is_empty() { list.clone() } else { slow(&query, &texts) };
                assert_eq!(matches.ranked, want, "seed {seed}, query {query:?} after a deletion");
            }
        }
    }

    #[test]
    fn a_list_of_many_rows_has_the_same_order() {
        let mut dice = Dice(7);
        let letters: Vec<char> = "abcdefg -".chars().collect();
        let texts: Vec<String> = (0..FEW + 500).map(|_| dice.text(&letters, 20)).collect();
        let (rows, list) = rows(&texts);
        assert_eq!(Matches::all("ab g", &rows, &list).ranked, slow("ab g", &texts));
    }

    #[test]
    fn positions_are_the_letters_of_the_query() {
        for seed in 0..300 {
            let mut dice = Dice(seed);
            let text = dice.text(&"abcdé日 -x".chars().collect::<Vec<_>>(), 30);
            let query = dice.text(&"abcdé日".chars().collect::<Vec<_>>(), 3);
            let found = positions(&query, &text);
            if !has_letters(&text, &query) {
                assert_eq!(found, [0; 0], "{query} {text}");
                continue;
            }
            let letters: String = found.iter().map(|at| text[*at..].chars().next().unwrap()).collect();
            assert_eq!(letters, query, "{text}");
        }
    }

    #[test]
    fn words_have_the_syntax_of_fzf() {
        let texts = ["fix the parser", "write the manual", "parse the fix"].map(str::to_owned);
        let (rows, list) = rows(&texts);
        assert_eq!(Matches::all("!parse", &rows, &list).ranked, [1]);
        assert_eq!(Matches::all("'parser", &rows, &list).ranked, [0]);
        assert_eq!(Matches::all("fix$", &rows, &list).ranked, [2]);
        let mut matches = Matches::all("!p", &rows, &list);
        assert!(matches.ranked.is_empty() || !matches.ranked.contains(&0));
        // A longer word after '!' matches more.
        matches.refine("!parser", &rows, &list);
        assert_eq!(matches.ranked, [1, 2]);
    }
}
