//! Promises that several tools make.

pub mod directories;
pub mod escaping;
pub mod pipes;
pub mod status_lines;
pub mod terminal;
pub mod usage;
