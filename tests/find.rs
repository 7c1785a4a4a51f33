//! Finding sessions.

pub mod newest;
pub mod pipes;
pub mod references;
pub mod text;
