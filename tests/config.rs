//! Settings.

pub mod settings;
pub mod show;
