//! Candidates of a completion, and the function by which a tool that reads sessions finds them.

use std::collections::HashSet;
use std::ffi::OsString;

use crate::error::{Exit, Result};
use crate::record::Field;
use crate::text::{cell, harmless};

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
    lines: String,
    offered: HashSet<String>,
}

impl<'w> Candidates<'w> {
    /// An empty list for a word of which the beginning was typed.
    pub fn new(typed: &'w str) -> Candidates<'w> {
        Candidates { typed, start: String::new(), lines: String::new(), offered: HashSet::new() }
    }

    /// Makes the candidates follow the beginning of the typed text, such as `--flag=`.
    pub(super) fn follow(&mut self, start: String) {
        self.typed = self.typed.get(start.len()..).unwrap_or("");
        self.start = start;
    }

    /// Adds an instruction for the script of the shell.
    pub fn instruct(&mut self, line: &str) {
        self.lines.push_str(&format!("\t{line}\n"));
    }

    /// Adds a candidate with its meaning, if it begins with the typed text.
    pub fn offer(&mut self, word: &str, meaning: &str) {
        let fits = !word.is_empty() && word.starts_with(self.typed) && harmless(word) == word;
        if fits && self.offered.insert(word.to_owned()) {
            self.lines.push_str(&format!("{}{word}\t{}\n", self.start, cell(meaning, WIDTH)));
        }
    }

    /// The number of candidates.
    pub fn count(&self) -> usize {
        self.offered.len()
    }

    /// Prints the candidates and the instructions.
    pub fn print(self) -> Result<Exit> {
        super::print(&self.lines)
    }
}
