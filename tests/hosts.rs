//! Tools on other machines. Most hosts here are other Codex homes, or scripts that behave as a broken host does.

use std::path::PathBuf;

use crate::world::{NEWEST, World, copy, data};

pub mod faults;
pub mod group;
pub mod list;
pub mod pick;
pub mod read;

/// A world with hosts that are homes: `a` has that of 0.169.0, `b` the newest one. This machine has none of their
/// sessions. `more` is further text of config.toml.
pub fn world(more: &str) -> World {
    let world = World::with_home("0.150.0");
    copy(&data("homes/0.169.0"), &home(&world, "a"));
    copy(&data(&format!("homes/{NEWEST}")), &home(&world, "b"));
    configure(&world, more);
    world
}

/// Describes the hosts `a` and `b`, and others.
pub fn configure(world: &World, more: &str) {
    let host = |name| format!("[host.{name}]\nvia = ['env', 'CODEX_HOME={}']\n", home(world, name).display());
    world.write("home/.config/codex-agent/config.toml", host("a") + &host("b") + more);
}

/// The Codex home of a host.
pub fn home(world: &World, name: &str) -> PathBuf {
    world.path(&format!("homes/{name}"))
}

/// The text of a host whose command is this script of sh.
pub fn scripted(name: &str, script: &str) -> String {
    format!("[host.{name}]\nvia = ['sh', '-c', '''{script}''']\n")
}
