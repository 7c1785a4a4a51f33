//! Flags, prompts and verbs that several tools share.
//!
//! A module imports only from layers above its own.
//!
//! | layer | module | purpose |
//! |---|---|---|
//! | 0 | [`expiry`] | removing runs that ended long ago |
//! | 0 | [`flags`] | the flags of tools that run jobs |
//! | 0 | [`pending`] | the pending jobs of sessions |
//! | 0 | [`run_record`] | the records of runs and of usage limits |
//! | 1 | [`on_end`] | the command that is run when a run ends |
//! | 1 | [`slips`] | words that are probably a command and not a prompt |
//! | 1 | [`start`] | the line before a run, and its confirmation |
//! | 2 | [`unnamed`] | the run that a command without RUN means |
//! | 2 | [`prompts`] | reading prompts from operands, flags and standard input |
//! | 2 | [`run_jobs`] | running jobs that are known at the start |
//! | 2 | [`run_queue`] | running a queue |
//! | 3 | [`retry`] | doing the failed jobs of a run again |
//! | 4 | [`manage`] | continuing and stopping runs |
//! | 3 | [`targets`] | sessions of hosts that get a prompt |
//! | 4 | [`send`] | a prompt for many sessions |
//! | 4 | [`worker`] | carrying out jobs of a run of another machine |
//! | 5 | [`watch`] | following runs and sessions |
//! | 6 | [`run_once`] | jobs whose records may be given several times |

pub mod expiry;
pub mod flags;
pub mod manage;
pub mod on_end;
pub mod pending;
pub mod prompts;
pub mod retry;
pub mod run_jobs;
pub mod run_once;
pub mod run_queue;
pub mod run_record;
pub mod send;
pub mod slips;
pub mod start;
pub mod targets;
pub mod unnamed;
pub mod watch;
pub mod worker;
