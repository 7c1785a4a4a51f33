//! Candidates of a completion, and how a tool that reads sessions finds them.

use std::collections::HashSet;
use std::ffi::OsString;

use crate::error::{Exit, Result};
use crate::record::Field;
use crate::text::{cell, harmless};

/// How many columns a meaning takes.
const WIDTH: usize = 100;

/// Offers sessions, or the values that they have in a field, of the home that is named. Only tools that read
/// sessions have one, at their flag `--codex-home`, so that the others carry no SQLite.
pub(super) type SessionFinder = fn(&mut Candidates<'_>, Option<Field>, Option<&OsString>) -> Result<()>;

/// Candidates for one word.
pub struct Candidates<'w> {
    pub(super) typed: &'w str,
    pub(super) lines: String,
    offered: HashSet<String>,
}

impl<'w> Candidates<'w> {
    /// None yet, for the word that is typed.
    pub fn new(typed: &'w str) -> Candidates<'w> {
        Candidates { typed, lines: String::new(), offered: HashSet::new() }
    }

    /// A line for the script that asks.
    pub fn say(&mut self, line: &str) {
        self.lines.push_str(&format!("\t{line}\n"));
    }

    /// Offers a word, if it begins with what is typed.
    pub fn offer(&mut self, word: &str, meaning: &str) {
        let fits = !word.is_empty() && word.starts_with(self.typed) && harmless(word) == word;
        if fits && self.offered.insert(word.to_owned()) {
            self.lines.push_str(&format!("{word}\t{}\n", cell(meaning, WIDTH)));
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.offered.is_empty()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.offered.len()
    }

    /// Prints the lines.
    pub fn print(self) -> Result<Exit> {
        super::print(&self.lines)
    }
}
