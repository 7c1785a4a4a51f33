//! Settings.

pub mod set;
pub mod settings;
pub mod show;
