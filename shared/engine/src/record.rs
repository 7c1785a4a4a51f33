//! The records of jobs, events, failures and settings.

pub mod event;
pub mod failure;
pub mod file;
pub mod job;
pub mod options;
pub mod settings;
pub mod worker;
