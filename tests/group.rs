//! Groups of sessions.

pub mod file;
pub mod real;
pub mod run;
pub mod verbs;
