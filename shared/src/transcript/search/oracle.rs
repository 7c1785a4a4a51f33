//! A search finds the items in which the pattern matches when each of them is read, in recorded homes, and in the same
//! homes written by another writer of JSON.
//!
//! CODEX_AGENT_TEST_LONG=1 makes twenty times as many searches, CODEX_AGENT_TEST_SEED=N begins with another seed.

use std::collections::BTreeSet;

use super::super::reader::raw_lines;
use super::super::tests::{VERSIONS, home};
use super::*;
use crate::codex::rollout::mutations::Dice;

/// The items of a session that are searched, with their texts.
fn items(files: &Files, session: Id) -> Vec<(Item, String)> {
    let options = Options { undone: true, ..Options::default() };
    let mut reader = Reader::of_session(files, session, None, options).unwrap();
    let mut all = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        if let Record::Item(item) = record
            && !item.inherited
            && let Some(text) = searched(&item).map(Cow::into_owned)
        {
            all.push((item, text));
        }
    }
    all
}

fn place(files: &Files, session: Id) -> Place<'_> {
    Place { files, session, named: None, inherits: false }
}

fn key(item: &Item) -> (Option<String>, Option<u64>, &'static str) {
    (item.turn_id.clone().or(item.address.clone()), item.item, item.role.word())
}

/// A pattern that is a part of a text, perhaps with something that no text has.
fn needle(text: &str, dice: &mut Dice) -> String {
    let chars: Vec<char> = text.chars().collect();
    let from = dice.roll(chars.len());
    let length = [1, 2, 3, 5, 9, 17, 60][dice.roll(7)];
    let mut needle: String = chars[from..].iter().take(1 + dice.roll(length)).collect();
    match dice.roll(12) {
        0 => needle.push('§'),
        1 => needle = needle.to_uppercase(),
        2 => needle.insert(0, '"'),
        _ => {}
    }
    needle
}

/// A regular expression that matches the text of a needle, at least.
fn expression(needle: &str, dice: &mut Dice) -> String {
    let mut out = String::new();
    for (at, c) in needle.chars().enumerate() {
        let plain = regex::escape(c.encode_utf8(&mut [0; 4]));
        match dice.roll(14) {
            0 => out.push_str("(?s:.)"),
            1 => out.push_str(&format!("(?:{plain}|zzz)")),
            2 => out.push_str(&format!("{plain}+")),
            3 if at > 0 => out.push_str(&format!("(?:qq)?{plain}")),
            4 => out.push_str(&format!("(?i:{plain})")),
            5 if c.is_alphabetic() => out.push_str(r"\w"),
            _ => out.push_str(&plain),
        }
    }
    if dice.roll(8) == 0 { format!("{out}|frobnicate") } else { out }
}

/// The lines of a rollout with other escapes in their strings.
fn escaped_otherwise(text: &str, dice: &mut Dice) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let mut chars = line.chars().peekable();
        let mut is_string = false;
        while let Some(c) = chars.next() {
            // The types at the beginning have no such characters.
            let unit = match c {
                '"' => {
                    is_string = !is_string;
                    None
                }
                '\\' => {
                    let escape = chars.next().unwrap();
                    let unit = match escape {
                        'n' => Some('\n'),
                        't' => Some('\t'),
                        'r' => Some('\r'),
                        '"' | '\\' | '/' => Some(escape),
                        _ => None,
                    };
                    if unit.is_none() || dice.roll(2) == 0 {
                        out.extend(['\\', escape]);
                        continue;
                    }
                    unit
                }
                '/' if is_string && dice.roll(2) == 0 => {
                    out.push_str("\\/");
                    continue;
                }
                '<' | '>' | '&' | '\'' | '=' | '+' | '/' | '\u{80}'.. if is_string && dice.roll(3) > 0 => {
                    Some(c)
                }
                _ => None,
            };
            match unit {
                None => out.push(c),
                Some(c) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let digits = format!("{unit:04x}");
                        let digits = if dice.roll(2) == 0 { digits.to_uppercase() } else { digits };
                        out.push_str(&format!("\\u{digits}"));
                    }
                }
            }
        }
    }
    out
}

/// Searches a home; returns the numbers of searches and of matches.
fn search_home(home: &std::path::Path, count: usize, dice: &mut Dice) -> (usize, usize) {
    let files = Files::walk(home);
    let ids: BTreeSet<Id> = files.all().iter().map(|file| file.id).collect();
    let sessions: Vec<(Id, Vec<(Item, String)>)> =
        ids.into_iter().map(|id| (id, items(&files, id))).collect();
    let texts: Vec<&str> = sessions
        .iter()
        .flat_map(|(_, items)| items)
        .map(|(_, text)| text.as_str())
        .filter(|text| !text.is_empty())
        .collect();
    let (mut searches, mut matches) = (0, 0);
    for _ in 0..count {
        let needle = needle(texts[dice.roll(texts.len())], dice);
        let is_literal = dice.roll(2) == 0;
        let pattern = if is_literal { needle.clone() } else { expression(&needle, dice) };
        let case = [Case::Sensitive, Case::Sensitive, Case::Insensitive, Case::Smart][dice.roll(4)];
        let syntax = Syntax { is_literal, is_word: dice.roll(6) == 0, case };
        let roles: Vec<Role> = match dice.roll(3) {
            0 => vec![Role::User, Role::Assistant],
            1 => Role::ALL.to_vec(),
            _ => Role::ALL.into_iter().filter(|_| dice.roll(3) == 0).collect(),
        };
        let compiled = || Pattern::new(&pattern, syntax).unwrap();
        let (search, plain) = (Search::new(vec![compiled()]).roles(&roles), compiled());
        let inverted = Search::new(vec![compiled()]).roles(&roles).inverted(true);
        for (id, items) in &sessions {
            let mut found = Vec::new();
            search
                .search(&place(&files, *id), &mut |hit| {
                    assert_eq!(hit.spans, plain.find_all(&hit.text));
                    found.push(key(&hit.item));
                    true
                })
                .unwrap();
            let expected: Vec<_> = items
                .iter()
                .filter(|(item, text)| roles.contains(&item.role) && plain.is_match(text))
                .map(|(item, _)| key(item))
                .collect();
            assert_eq!(found, expected, "{id}: {pattern:?} ({syntax:?}) in {roles:?}");
            let count = |search: &Search| search.count(&place(&files, *id), usize::MAX).unwrap().0;
            assert_eq!(count(&search), found.len(), "{id}: {pattern:?} ({syntax:?}) in {roles:?}");
            let all = items.iter().filter(|(item, _)| roles.contains(&item.role)).count();
            assert_eq!(count(&inverted), all - found.len(), "{id}: {pattern:?} ({syntax:?}) in {roles:?}");
            searches += 1;
            matches += found.len();
        }
    }
    (searches, matches)
}

#[test]
fn a_search_finds_what_reading_finds() {
    let seed = std::env::var("CODEX_AGENT_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let count = if std::env::var_os("CODEX_AGENT_TEST_LONG").is_some() { 400 } else { 20 };
    let mut dice = Dice(0x5eed_0000 + seed);
    let (mut searches, mut matches) = (0, 0);
    for version in VERSIONS {
        let recorded = home(version);
        let directory = tempfile::tempdir().unwrap();
        for file in Files::walk(&recorded).all() {
            let copy = directory.path().join(file.path.strip_prefix(&recorded).unwrap());
            std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
            let text = std::fs::read_to_string(&file.path).unwrap();
            let other = escaped_otherwise(&text, &mut dice);
            for (line, other) in text.lines().zip(other.lines()) {
                let value = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
                assert_eq!(value(line), value(other));
            }
            std::fs::write(copy, other).unwrap();
        }
        for home in [&*recorded, directory.path()] {
            let (more, found) = search_home(home, count, &mut dice);
            (searches, matches) = (searches + more, matches + found);
        }
    }
    assert!(matches > searches / 20, "{matches}");
}

#[test]
fn copies_and_injected_text_are_not_found() {
    let files = Files::walk(&home("0.171.0"));
    let ids: BTreeSet<Id> = files.all().iter().map(|file| file.id).collect();
    let search = |pattern: &str| Search::new(vec![Pattern::new(pattern, Syntax::default()).unwrap()]);
    let count = |pattern: &str| {
        let mut count = 0;
        for id in &ids {
            search(pattern)
                .search(&place(&files, *id), &mut |_| {
                    count += 1;
                    true
                })
                .unwrap();
        }
        count
    };
    // The words stand in the instructions of each session.
    let mut lines = 0;
    for id in &ids {
        raw_lines(&files, *id, None, &mut |line| {
            lines += usize::from(memchr::memmem::find(line, b"filler text standing in").is_some());
            Ok(())
        })
        .unwrap();
    }
    assert!(lines > 20, "{lines}");
    assert_eq!(count("filler text standing in"), 0);
    // No line has what the reader writes into a patch.
    let patches = |pattern: &str| search(pattern).roles(&[Role::Patch]);
    let mut found = 0;
    for id in &ids {
        patches("new file mode 100644")
            .search(&place(&files, *id), &mut |_| {
                found += 1;
                true
            })
            .unwrap();
    }
    assert!(found > 0);
}
