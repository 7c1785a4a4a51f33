//! Where a run is kept: its directory, its journal and the replay of it.

pub mod claims;
pub mod journal;
pub mod progress;
pub mod prune;
pub mod run_dir;
