//! Queues of prompts.

pub mod add;
pub mod continued;
pub mod crash;
pub mod edit;
pub mod file;
pub mod lost;
pub mod real;
pub mod run;
pub mod stop;
pub mod verbs;

use std::fs;

use serde_json::{Value, json};

use crate::world::fake::Fake;

/// A queue of this name with these prompts.
pub(crate) fn queue(fake: &Fake, name: &str, prompts: &[&str]) {
    let flags: Vec<&str> = prompts.iter().flat_map(|prompt| ["--prompt", prompt]).collect();
    fake.good(&[&["queue", "add", name], &flags[..]].concat());
}

/// Writes a file with these queues, each with its id, name and prompts.
pub fn write_queues(fake: &Fake, queues: Value) {
    fake.0.write("home/.config/codex-agent/queues.json", json!({ "queues": queues }).to_string());
}

/// A queue as an editor may have left it.
pub fn queue_record(fake: &Fake, id: &str, name: &str, prompts: Value) -> Value {
    let project = fs::canonicalize(fake.0.path("work")).unwrap();
    json!({ "id": id, "name": name, "projectPath": project, "prompts": prompts, "createdAt": "x" })
}
