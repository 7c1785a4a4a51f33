//! The loop that carries out a run.
//!
//! | layer | module | purpose |
//! |---|---|---|
//! | 0 | `failed` | a failed attempt |
//! | 0 | [`feed`] | where jobs come from |
//! | 0 | [`observer`] | who sees the events |
//! | 0 | [`usage_limit`] | the gate of a usage limit |
//! | 1 | [`given`] | the jobs of `--once` |
//! | 1 | `hosts` | the hosts that carry out jobs: connections and slots |
//! | 1 | [`worker`] | the jobs of a run of another machine |
//! | 2 | [`engine`] | the loop |
//! | 3 | `schedule` | when a job starts |
//! | 4 | `transitions` | what becomes of an attempt that ended |
//! | 5 | `remote` | jobs on hosts: what is sent, and what becomes of what they report |
//! | 6 | [`ending`] | the end of a run that has no runner |
//! | 6 | [`plan`] | a run whose jobs are known at the start |

pub mod ending;
pub mod engine;
mod failed;
pub mod feed;
pub mod given;
mod hosts;
pub mod observer;
pub mod plan;
mod remote;
mod schedule;
mod transitions;
pub mod usage_limit;
pub mod worker;
