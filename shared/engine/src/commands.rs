//! What the tools that run Codex share: flags, prompts, verbs.

pub mod expiry;
pub mod flags;
pub mod manage;
pub mod prompts;
pub mod run_queue;
pub mod send;
pub mod watch;
