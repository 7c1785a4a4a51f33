//! Flags, prompts and verbs that several tools share.
//!
//! A module imports only from layers above its own.
//!
//! | layer | module | purpose |
//! |---|---|---|
//! | 0 | [`expiry`] | removing runs that ended long ago |
//! | 0 | [`flags`] | the flags of tools that run jobs |
//! | 1 | [`slips`] | words that are probably a command and not a prompt |
//! | 1 | [`start`] | the line before a run, and its confirmation |
//! | 2 | [`prompts`] | reading prompts from operands, flags and standard input |
//! | 2 | [`run_jobs`] | running jobs that are known at the start |
//! | 2 | [`run_queue`] | running a queue |
//! | 3 | [`manage`] | continuing, stopping and describing runs |
//! | 3 | [`send`] | a prompt for many sessions |
//! | 4 | [`watch`] | following runs and sessions |

pub mod expiry;
pub mod flags;
pub mod manage;
pub mod prompts;
pub mod retry;
pub mod run_jobs;
pub mod run_queue;
pub mod send;
pub mod slips;
pub mod start;
pub mod watch;
