//! The parts of a session that must be read to know a field.

use std::ops::{BitOr, BitOrAssign};

/// A set of parts. Each part costs more to read than the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs(u16);

impl Needs {
    /// The name of the rollout: the id, and whether the session is archived.
    pub const NAME: Needs = Needs(0);
    /// The first keys of `session_meta`: directory, source, version, times of creation.
    pub const START: Needs = Needs(1);
    /// The rest of `session_meta`, after the instructions: git, and the format of the history.
    pub const META: Needs = Needs(2);
    /// The first user message, and the model.
    pub const MESSAGE: Needs = Needs(4);
    /// The time of the last line.
    pub const TAIL: Needs = Needs(8);
    /// The end of the last turn, and its directory.
    pub const ENDING: Needs = Needs(16);
    /// The names that users gave.
    pub const NAMES: Needs = Needs(32);
    /// The rollout, even if the database has a row for the session.
    pub const ROLLOUT: Needs = Needs(64);

    /// The union of two sets, for constants.
    pub(super) const fn and(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }

    /// Whether this set includes every part of `other`.
    pub fn has(self, other: Needs) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Needs {
    type Output = Needs;
    fn bitor(self, other: Needs) -> Needs {
        self.and(other)
    }
}

impl BitOrAssign for Needs {
    fn bitor_assign(&mut self, other: Needs) {
        *self = *self | other;
    }
}
