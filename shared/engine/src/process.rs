//! A Codex process: checks, start, output and judgement.

pub mod command;
pub mod judge;
pub mod output;
pub mod preflight;
pub mod recorded;
pub mod running;
pub mod session_lock;
pub mod spawn;
