//! Closed sets of values: the word and the meaning of each value stand at the enum. Parser, help, manual page
//! and completion have them from there.
//!
//! ```
//! use codex_agent_shared::choice::Choice;
//! use codex_agent_shared::record::Status;
//!
//! assert_eq!(Status::parse("idle"), Some(Status::Idle));
//! assert_eq!(Status::Idle.word(), "idle");
//! ```

/// An enum whose values have words.
pub trait Choice: Copy + PartialEq + 'static {
    /// Each value, its word and its meaning: one clause.
    const ALL: &'static [(Self, &'static str, &'static str)];

    /// The word of a value; empty for one without.
    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(value, ..)| *value == self).map_or("", |(_, word, _)| word)
    }

    /// The value of a word.
    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == word).map(|(value, ..)| *value)
    }

    /// The words and their meanings.
    fn values() -> Vec<(&'static str, &'static str)> {
        Self::ALL.iter().map(|(_, word, meaning)| (*word, *meaning)).collect()
    }
}
