//! Resuming sessions.

pub mod open;
pub mod refused;
