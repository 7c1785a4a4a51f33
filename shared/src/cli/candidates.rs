//! Candidates of a completion, and the function by which a tool that reads sessions finds them.

use std::collections::HashSet;
use std::ffi::OsString;

use crate::error::{Exit, Result};
use crate::record::Field;
use crate::text::{cell, harmless};

/// The maximum number of candidates: bash and zsh ask before they list 100.
pub(super) const MOST: usize = 90;

/// The width of a meaning, in columns.
const WIDTH: usize = 100;

/// Offers sessions, or the values that they have in a field, of the given home. The flag `--codex-home` carries the
/// function, so that tools that read no sessions are linked without SQLite.
pub(super) type SessionFinder = fn(&mut Candidates<'_>, Option<Field>, Option<&OsString>) -> Result<()>;

/// Candidates for one word.
pub struct Candidates<'w> {
    pub(super) typed: &'w str,
    /// The text before each candidate, which was typed already.
    start: String,
    instructions: String,
    lines: Vec<String>,
    offered: HashSet<String>,
    /// The longest beginning that all words have, also those that are not listed.
    common: Option<String>,
}

impl<'w> Candidates<'w> {
    /// An empty list for a word of which the beginning was typed.
    pub fn new(typed: &'w str) -> Candidates<'w> {
        Candidates {
            typed,
            start: String::new(),
            instructions: String::new(),
            lines: Vec::new(),
            offered: HashSet::new(),
            common: None,
        }
    }

    /// Makes the candidates follow the beginning of the typed text, such as `--flag=`.
    pub(super) fn follow(&mut self, start: String) {
        self.typed = self.typed.get(start.len()..).unwrap_or("");
        self.start = start;
    }

    /// Adds an instruction for the script of the shell.
    pub fn instruct(&mut self, line: &str) {
        self.instructions.push_str(&format!("\t{line}\n"));
    }

    /// Adds a candidate with its meaning, if it begins with the typed text. Of more than a shell lists without a question
    /// the first are listed, of which the last gives way to a word that begins in another way: a shell inserts what all
    /// listed words begin with, and must not insert more than all words have.
    pub fn offer(&mut self, word: &str, meaning: &str) {
        let fits = !word.is_empty() && word.starts_with(self.typed) && harmless(word) == word;
        if !fits || self.offered.contains(word) {
            return;
        }
        let is_full = self.lines.len() >= MOST;
        let common = self.common.get_or_insert_with(|| word.to_owned());
        let shared = common.chars().zip(word.chars()).take_while(|(a, b)| a == b);
        let shared: usize = shared.map(|(c, _)| c.len_utf8()).sum();
        let is_other = shared < common.len();
        common.truncate(shared);
        if !is_full || is_other {
            self.lines.truncate(MOST - 1);
            self.offered.insert(word.to_owned());
            self.lines.push(format!("{}{word}\t{}\n", self.start, cell(meaning, WIDTH)));
        }
    }

    /// The number of candidates.
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// Prints the instructions and the candidates.
    pub fn print(self) -> Result<Exit> {
        super::print(&(self.instructions + &self.lines.concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_keeps_its_first_words_and_what_all_begin_with() {
        let mut found = Candidates::new("w");
        for number in 0..200 {
            found.offer(&format!("work-{number:03}"), "");
        }
        assert_eq!(found.count(), MOST);
        assert_eq!(found.lines[MOST - 2..].concat(), "work-088\t\nwork-100\t\n");
        found.offer("work", "");
        found.offer("other", "");
        assert_eq!((found.count(), &*found.lines[MOST - 1]), (MOST, "work\t\n"));
        found.offer("wörk", "");
        found.offer("wörk", "");
        found.offer("work-201", "");
        assert_eq!((found.count(), &*found.lines[MOST - 1]), (MOST, "wörk\t\n"));
        assert_eq!(found.lines[0], "work-000\t\n");
    }
}
