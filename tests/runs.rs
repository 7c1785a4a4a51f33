//! Runs: the engine that runs Codex, driven through its executables.

pub mod crash;
pub mod limits;
pub mod on_end;
pub mod once;
pub mod outcome;
pub mod output;
pub mod real;
pub mod recorded;
pub mod records;
pub mod refused;
pub mod resources;
pub mod retry;
pub mod run;
pub mod sessions;
pub mod slips;
pub mod stop;
pub mod unnamed;
pub mod versions;
pub mod watch;
pub mod worktree;

use serde_json::Value;

use crate::world::fake::Fake;

/// Puts a script in the place of Codex, which may hand over to the one without a model as `$FAKE`.
pub fn script(fake: &mut Fake, text: &str) {
    let real = fake.0.path("bin/codex");
    let script = fake.0.script("bin/script", &format!("#!/bin/sh\nFAKE={}\n{text}\n", real.display()));
    fake.0.set("CODEX_AGENT_CODEX", script.to_str().unwrap());
}

pub fn job(value: Value) -> String {
    format!("{value}\n")
}
