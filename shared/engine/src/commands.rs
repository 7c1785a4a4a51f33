//! Flags, prompts and verbs that several tools share.

pub mod expiry;
pub mod flags;
pub mod manage;
pub mod prompts;
pub mod run_jobs;
pub mod run_queue;
pub mod send;
pub mod watch;
