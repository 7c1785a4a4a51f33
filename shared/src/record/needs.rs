//! The parts of a session that must be read to know a field.

use std::ops::{BitOr, BitOrAssign};

use super::Field;

/// A set of parts. Each part costs more to read than the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs(u16);

impl Needs {
    /// The file's name: id, archived or not.
    pub const NAME: Needs = Needs(0);
    /// The first keys of `session_meta`: directory, source, version, times of creation.
    pub const START: Needs = Needs(1);
    /// The rest of that line, behind the instructions: git, and how turns are kept.
    pub const META: Needs = Needs(2);
    /// The first user message, and the model.
    pub const MESSAGE: Needs = Needs(4);
    /// The time of the last line.
    pub const TAIL: Needs = Needs(8);
    /// How the last turn ended, and its directory.
    pub const ENDING: Needs = Needs(16);
    /// The names that users gave.
    pub const NAMES: Needs = Needs(32);
    /// The rollout, even where there is a row in the database.
    pub const ROLLOUT: Needs = Needs(64);

    /// The union of two sets, for constants.
    pub(super) const fn and(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub fn has(self, other: Needs) -> bool {
        self.0 & other.0 == other.0
    }

    /// The parts that a field is read from.
    pub fn of(field: Field) -> Needs {
        field.needs()
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
