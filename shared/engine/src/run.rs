//! The loop that carries out a run.

pub mod engine;
pub mod feed;
pub mod observer;
pub mod plan;
mod schedule;
mod transitions;
pub mod usage_limit;
