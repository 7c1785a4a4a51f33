//! The facts about Codex that the code relies on, each with the code that needs it and an experiment that
//! fails where it is not so.

use super::lab::{Lab, Outcome};
use super::{kept, runs};

/// A fact.
pub struct Fact {
    /// The fact, as a clause.
    pub holds: &'static str,
    /// The code that would be wrong otherwise: a file of the library, and an item in it.
    pub needed_by: &'static [(&'static str, &'static str)],
    /// The experiment.
    pub proof: fn(&Lab) -> Outcome,
}

/// All facts.
pub fn facts() -> impl Iterator<Item = &'static Fact> {
    kept::FACTS.iter().chain(runs::FACTS)
}
