//! Homes of Codex that a test writes itself: rollouts, rows, and what they list.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::world::*;

/// The id of a made-up session.
/// The id was made just before the first line was written.
pub(crate) fn id(number: usize) -> String {
    format!("01a202b2-c118-7000-8000-{number:012x}")
}

/// The name of its rollout.
pub fn file_name(number: usize) -> String {
    format!("rollout-2026-11-22T10-00-00-{}.jsonl", id(number))
}

/// The directory of a day in a world.
pub const DAY: &str = "home/.codex/sessions/2026/11/22";

/// The first line of a rollout, its keys in Codex's order.
pub(crate) fn meta(number: usize, instructions: &str) -> String {
    let id = id(number);
    format!(
        r#"{{"timestamp":"2026-11-22T10:00:00.000Z","type":"session_meta","payload":{{"id":"{id}","timestamp":"2026-11-22T10:00:00.000Z","cwd":"/src/alpha","originator":"codex_exec","cli_version":"0.92.0","source":"exec","base_instructions":{{"text":"{instructions}"}}}}}}"#
    ) + "\n"
}

/// A user message, as it stands in a rollout.
pub(crate) fn message(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        r#"{{"timestamp":"2026-11-22T10:00:01.000Z","type":"event_msg","payload":{{"type":"user_message","message":{text}}}}}"#
    ) + "\n"
}

/// Puts a rollout where Codex would.
pub(crate) fn put(world: &World, number: usize, text: impl AsRef<[u8]>) -> PathBuf {
    world.write(&format!("{DAY}/{}", file_name(number)), text)
}

/// A world with small rollouts of the sessions 0 to `count`, in directories by day as Codex has them.
pub(crate) fn with_rollouts(count: usize) -> World {
    let world = World::new();
    for number in 0..count {
        let (month, day) = (1 + number / 25 % 12, 1 + number % 25);
        let name = file_name(number).replace("2026-11-22", &format!("2026-{month:02}-{day:02}"));
        let text = meta(number, "") + &message(&format!("message {number}"));
        world.write(&format!("home/.codex/sessions/2026/{month:02}/{day:02}/{name}"), text);
    }
    world
}

/// A database as 0.105 makes it, as far as a listing goes.
pub(crate) fn database(world: &World, name: &str) -> Connection {
    fs::create_dir_all(world.codex_home()).unwrap();
    let connection = Connection::open(world.codex_home().join(name)).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE threads (id TEXT PRIMARY KEY, rollout_path TEXT NOT NULL, created_at INTEGER NOT NULL,
             updated_at INTEGER NOT NULL, source TEXT NOT NULL, cwd TEXT NOT NULL, title TEXT NOT NULL,
             first_user_message TEXT NOT NULL DEFAULT '', archived INTEGER NOT NULL DEFAULT 0, archived_at INTEGER);",
        )
        .unwrap();
    connection
}

pub(crate) fn row(connection: &Connection, number: usize, title: &str) {
    let sql = "INSERT INTO threads VALUES (?1, '/gone/' || ?1, 1795341600, 1795341600, 'exec', '/src/alpha', ?2, ?2, 0, NULL)";
    connection.execute(sql, [&id(number), title]).unwrap();
}

/// The ids of records, sorted.
pub(crate) fn ids(out: &str) -> Vec<String> {
    let mut ids: Vec<String> =
        json(out).iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

/// The ids that the names of a home's rollouts have: what no listing may miss.
pub(crate) fn ids_of_files(home: &Path) -> Vec<String> {
    fn walk(directory: &Path, ids: &mut BTreeSet<String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_name().to_str().and_then(|name| name.strip_prefix("rollout-")) {
                Some(rest) => drop(ids.insert(rest[20..56].to_owned())),
                None => walk(&entry.path(), ids),
            }
        }
    }
    let mut ids = BTreeSet::new();
    walk(&home.join("sessions"), &mut ids);
    walk(&home.join("archived_sessions"), &mut ids);
    ids.into_iter().collect()
}

/// Reports that a test was skipped, past the test harness, which hides the output of passing tests.
pub(crate) fn skip(why: &str) {
    let _ = std::io::stderr().write_all(format!("\nSKIPPED: {why}\n").as_bytes());
}

/// Lets everybody read a world, so that what a test takes away is all that lacks.
pub(crate) fn open_to_all(world: &World) {
    world.sh("chmod -R a+rX .").succeeds();
}

/// Runs a tool as a user without privileges. Root becomes the user nobody, with a copy of the executable,
/// as that user may not read a build directory. `None`, with a message, where root may not change its user.
pub(crate) fn refused(world: &World, words: &[&str]) -> Option<Ran> {
    if !is_root() {
        return Some(world.run(words));
    }
    let copy = world.path(words[0]);
    if !copy.exists() {
        fs::hard_link(bin(words[0]), &copy).or_else(|_| fs::copy(bin(words[0]), &copy).map(drop)).unwrap();
    }
    let mut command = world.command(copy.to_str().unwrap());
    match command.args(&words[1..]).uid(65534).gid(65534).output() {
        Ok(output) => Some(Ran::new(&command, &output)),
        Err(error) => {
            skip(&format!("cannot run {words:?} as nobody: {error}"));
            None
        }
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
