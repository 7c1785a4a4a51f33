//! External tools.

pub mod add;
pub mod check;
pub mod list;
pub mod rules;

use std::fs;

use serde_json::Value;

use crate::world::{Ran, World, bins, json};

/// A tool that describes itself, has a manual and a hook, and records each of its calls.
pub const DESCRIBED: &str = r#"#!/bin/sh
echo "$*" >> "$0.runs"
case "$1 $2" in
'--generate describe')
    echo '{"type":"tool","name":"told","about":"tell of itself","version":"3.1","protocol":1,'
    echo '"reads":["session"],"writes":[],"generates":["man","describe"],"completes":true,"later":1e400}' ;;
'--generate man') printf '.TH TOLD 1\n.SH NAME\ntold \\- its own page\n' ;;
'--generate complete') printf 'one\ttwo\n' ;;
'--help '*) echo 'usage: codex-agent told' ;;
*) echo "told: $*" ;;
esac
"#;

/// A world with a directory `bin` on PATH, after our own.
pub fn world() -> World {
    let mut world = World::new();
    fs::create_dir(world.path("bin")).unwrap();
    let path = format!("{}:{}:/usr/bin:/bin", bins().display(), world.path("bin").display());
    world.set("PATH", path);
    world
}

pub fn plugin(world: &World, words: &[&str]) -> Ran {
    world.run(&[&["codex-agent", "plugin"], words].concat())
}

/// The recorded calls of the tool, each with its arguments.
pub fn runs(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.path("bin/codex-agent-told.runs")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The user's own description of a tool.
pub fn own(world: &World, name: &str) -> std::path::PathBuf {
    world.path(&format!("home/.local/share/codex-agent/tools/{name}.json"))
}

pub fn listed(world: &World, name: &str) -> Value {
    let tools = json(&world.ok(&["codex-agent", "--list=json"]));
    tools.into_iter().find(|tool| tool["name"] == name).unwrap()
}
