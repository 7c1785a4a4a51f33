//! Choices: enums with the word and the meaning of each value, from which the parser, the help, the manual page and the
//! completion are made.
//!
//! ```
//! use codex_agent_shared::choice::Choice;
//! use codex_agent_shared::record::Status;
//!
//! assert_eq!(Status::parse("idle"), Some(Status::Idle));
//! assert_eq!(Status::Idle.word(), "idle");
//! ```

/// An enum whose values have words on the command line.
pub trait Choice: Copy + PartialEq + 'static {
    /// Each value, its word and its meaning: one clause.
    const ALL: &'static [(Self, &'static str, &'static str)];

    /// The word of the value; empty for a value without a word.
    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(value, ..)| *value == self).map_or("", |(_, word, _)| word)
    }

    /// The value with this word.
    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == word).map(|(value, ..)| *value)
    }

    /// The words and their meanings.
    fn values() -> Vec<(&'static str, &'static str)> {
        Self::ALL.iter().map(|(_, word, meaning)| (*word, *meaning)).collect()
    }
}
