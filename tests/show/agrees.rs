//! What `show` prints is what Codex shows: `thread/read` of the app-server is asked in the home where the sessions were
//! made, since it answers with nothing in a home that was copied.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::reading::{Format, Readings};
use super::{VERSIONS, shown, world};
use crate::world::json as records;

/// The answers that Codex gave when the homes were recorded.
#[test]
fn the_recordings_are_read_as_codex_read_them() {
    let mut readings = Readings::default();
    for version in VERSIONS {
        let (world, sessions) = world(version);
        let answers = records(&fs::read_to_string(world.codex_home().join("oracle.ndjson")).unwrap());
        let answers: BTreeMap<&str, &Value> =
            answers.iter().map(|answer| (answer["label"].as_str().unwrap(), answer)).collect();
        for (label, id) in &sessions {
            let Some(answer) = answers.get(&**label) else { continue };
            let format = match (version, &**label) {
                ("0.106.0", _) => Format::Oldest,
                ("0.137.0", _) | (_, "legacy") => Format::Legacy,
                (_, "migrated") => Format::Migrated,
                _ => Format::Paginated,
            };
            let shown = records(&shown(&world, &[id, "--json", "--inherited"]));
            let place = format!("{version} {label}");
            readings.compare(&place, format, answer["turns"].as_array().unwrap(), &shown);
        }
    }
    // The scripts of the recordings called one tool at a time.
    assert_eq!(readings.unused(), ["together"]);
    assert!(readings.turns > 200 && readings.items > 500, "{} {}", readings.turns, readings.items);
}
