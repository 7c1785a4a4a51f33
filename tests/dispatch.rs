//! The dispatcher.

pub mod alias;
mod habit;
pub mod run;
