//! Values that TAB suggests for flags that accept other values too, made from the beginning that the user has typed.

use crate::config;
use crate::query::Sort;

/// A function that returns values that may follow the typed text, and their meanings.
pub type Suggest = fn(typed: &str) -> Vec<(String, &'static str)>;

/// The hosts of `config.toml`.
pub fn hosts(_typed: &str) -> Vec<(String, &'static str)> {
    config::as_far_as_valid()
        .hosts()
        .iter()
        .map(|host| (host.name.clone(), "a host of config.toml"))
        .collect()
}

/// Times for `--since` and `--until`. After digits, ages of this number.
pub fn times(typed: &str) -> Vec<(String, &'static str)> {
    let digits = typed.bytes().take_while(u8::is_ascii_digit).count();
    let word = |(word, meaning): (&str, &'static str)| (word.to_owned(), meaning);
    match (digits, typed) {
        (0, _) => WORDS.into_iter().chain(AGES).map(word).collect(),
        // A year has four digits.
        (1..=3, typed) => {
            UNITS.map(|(unit, meaning)| (format!("{}{unit}", &typed[..digits]), meaning)).to_vec()
        }
        _ => Vec::new(),
    }
}

const WORDS: [(&str, &str); 12] = [
    ("today", "since midnight"),
    ("yesterday", "the day before today"),
    ("this week", "since Monday"),
    ("last week", "the seven days before Monday"),
    ("this month", "since the first of this month"),
    ("monday", "the last Monday"),
    ("tuesday", "the last Tuesday"),
    ("wednesday", "the last Wednesday"),
    ("thursday", "the last Thursday"),
    ("friday", "the last Friday"),
    ("saturday", "the last Saturday"),
    ("sunday", "the last Sunday"),
];

const AGES: [(&str, &str); 3] = [("1h", "an hour ago"), ("1d", "24 hours ago"), ("1w", "a week ago")];

const UNITS: [(&str, &str); 4] =
    [("m", "minutes ago"), ("h", "hours ago"), ("d", "days ago"), ("w", "weeks ago")];

/// Keys for `--sort`: after a dash the keys behind it, after a key and a colon the two orders.
pub fn orders(typed: &str) -> Vec<(String, &'static str)> {
    let keys = Sort::values().into_iter();
    match typed.split_once(':') {
        Some((key, _)) => {
            let orders =
                [("asc", "the smallest or the oldest first"), ("desc", "the greatest or the newest first")];
            let known = keys.filter(|(known, _)| *known == key);
            known
                .flat_map(|(key, _)| orders.map(|(order, meaning)| (format!("{key}:{order}"), meaning)))
                .collect()
        }
        None if typed.starts_with('-') => {
            keys.map(|(key, _)| (format!("-{key}"), "the greatest or the newest first")).collect()
        }
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{parse_end, parse_moment};

    #[test]
    fn every_suggestion_is_a_valid_value() {
        for (time, _) in ["", "3", "12"].into_iter().flat_map(times) {
            parse_moment(&time).unwrap_or_else(|error| panic!("{time}: {error}"));
            parse_end(&time).unwrap_or_else(|error| panic!("{time}: {error}"));
        }
        let suggested: Vec<String> =
            ["-", "created:", "title:"].into_iter().flat_map(orders).map(|it| it.0).collect();
        for order in &suggested {
            Sort::parse(order).unwrap_or_else(|error| panic!("{order}: {error}"));
        }
        assert!(suggested.contains(&"created:asc".to_owned()) && suggested.contains(&"-title".to_owned()));
        assert_eq!((times("2026-1"), orders("other:")), (Vec::new(), Vec::new()));
        assert_eq!(times("3 d")[2].0, "3d");
    }
}
