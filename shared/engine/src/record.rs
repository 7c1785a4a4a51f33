//! The records of jobs, events, failures and settings.

pub mod event;
pub mod failure;
pub mod job;
pub mod settings;
