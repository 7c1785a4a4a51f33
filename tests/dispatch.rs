//! The dispatcher.

pub mod alias;
pub mod run;
