//! Promises that several tools make.

pub mod directories;
pub mod escaping;
pub mod listings;
pub mod pager;
pub mod pipes;
pub mod status_lines;
pub mod terminal;
pub mod usage;
