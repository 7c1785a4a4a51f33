//! Finding sessions.

pub mod newest;
pub mod pipes;
pub mod ranking;
pub mod references;
pub mod selection;
pub mod text;
