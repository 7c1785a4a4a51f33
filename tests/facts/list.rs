//! The facts about Codex that the code relies on, each with the code that needs it and an experiment that
//! fails where it is not so.

use super::lab::{Lab, Outcome};
use super::{kept, runs};

/// One fact.
pub struct Fact {
    /// What is so.
    pub holds: &'static str,
    /// Files of the library, and what in them would be wrong otherwise.
    pub needed_by: &'static [(&'static str, &'static str)],
    /// Looks whether it is so.
    pub proof: fn(&Lab) -> Outcome,
}

/// All facts.
pub fn facts() -> impl Iterator<Item = &'static Fact> {
    kept::FACTS.iter().chain(runs::FACTS)
}
