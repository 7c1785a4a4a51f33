//! Settings.

pub mod hosts;
pub mod set;
pub mod settings;
pub mod show;
