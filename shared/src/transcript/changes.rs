//! Files that are compressed, archived, continued or replaced, also while they are read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::faults::*;
use super::tests::{VERSIONS, home, read_all};
use super::*;
use crate::codex::files::Files;
use crate::codex::rollout::packed;
use crate::record::Id;

/// The path and contents of a file in a copied home.
type Change<'c> = &'c dyn Fn(&Path, Vec<u8>) -> (PathBuf, Vec<u8>);

/// A recorded home with its files changed.
#[allow(clippy::disallowed_methods)] // A test makes the files that it reads.
fn copied(version: &str, change: Change<'_>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in Files::walk(&home(version)).all() {
        let inside = file.path.strip_prefix(home(version)).unwrap();
        let (path, bytes) = change(inside, fs::read(&file.path).unwrap());
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

pub(super) fn sessions(files: &Files) -> Vec<String> {
    files.sessions().map(|file| file.id.to_string()).collect()
}

#[test]
fn compressed_and_archived_sessions_have_the_same_records() {
    for version in VERSIONS {
        let files = Files::walk(&home(version));
        let packed = copied(version, &|path, bytes| {
            (path.with_extension("jsonl.zst"), packed(&String::from_utf8(bytes).unwrap()))
        });
        let archived = copied(version, &|path, bytes| {
            (Path::new("archived_sessions").join(path.file_name().unwrap()), bytes)
        });
        for session in sessions(&files) {
            let want = read_all(&files, &session, everything());
            for other in [&packed, &archived] {
                assert_eq!(read_all(&Files::walk(other.path()), &session, everything()), want, "{session}");
            }
        }
    }
}

/// The last record of each address: a later one replaces it.
fn newest(records: Vec<Value>) -> BTreeMap<(String, u64), Value> {
    let key = |one: &Value| (one["turn_id"].to_string(), one["item"].as_u64().unwrap_or(0));
    records.into_iter().map(|one| (key(&one), one)).collect()
}

#[test]
#[allow(clippy::disallowed_methods)] // A test makes the file that it reads.
fn a_session_that_is_followed_has_the_same_records_in_the_end() {
    for version in VERSIONS {
        let files = Files::walk(&home(version));
        for session in sessions(&files) {
            let parts = files.of_session(Id::parse(&session).unwrap());
            let text = fs::read(&parts[0].path).unwrap();
            let has_base = memchr::memmem::find(&text, b"\"history_base\"").is_some();
            let has_rollback = memchr::memmem::find(&text, b"\"thread_rolled_back\"").is_some();
            if parts.len() > 1 || has_base || has_rollback {
                continue;
            }
            let want = newest(read_all(&files, &session, everything()).0);
            let folder = Home::new();
            let path = folder.write(&session, None, "");
            let mut reader = None;
            let mut found = Vec::new();
            // The writer stops within lines.
            for piece in text.chunks(1777) {
                append(&path, piece);
                let reader = reader
                    .get_or_insert_with(|| folder.reader(&session, Options { live: true, ..everything() }));
                found.extend(rest(reader));
            }
            let mut found = newest(found);
            // The order of lines shows only in whole files whether an item is late; a turn is not passed on while it is open.
            let mut want = want;
            want.retain(|_, one| one["type"] == "item" || !one["status"].is_null());
            let reviews: Vec<Value> =
                want.values().filter(|one| one["role"] == "review").map(|one| one["turn"].clone()).collect();
            for one in want.values_mut().chain(found.values_mut()) {
                one["late"] = Value::Null;
                // The id of a review comes at its end.
                if reviews.contains(&one["turn"]) {
                    one["turn_id"] = Value::Null;
                }
            }
            let texts = |all: &BTreeMap<(String, u64), Value>| -> Vec<String> {
                let mut texts: Vec<String> = all.values().map(Value::to_string).collect();
                texts.sort();
                texts
            };
            let (found, want) = (texts(&found), texts(&want));
            for (found, want) in found.iter().zip(&want) {
                assert_eq!(found, want, "{version} {session}");
            }
            assert_eq!(found.len(), want.len(), "{version} {session}");
        }
    }
}

#[test]
#[allow(clippy::disallowed_methods)] // A test makes the files that it reads.
fn a_file_may_be_moved_and_replaced_while_it_is_followed() {
    let home = Home::new();
    let path = home.write(A, None, [meta(A, json!({})), talk(1, "one")].join("\n") + "\n");
    let options = Options { live: true, ..everything() };
    let (all, mut reader) = home.read(A, options.clone());
    assert_eq!(brief(&all), ["1 user one", "1 assistant one!", "1 completed"]);
    let find_again = |reader: &mut Reader| {
        reader.find_again(&Files::walk(home.0.path()), None).unwrap();
        brief(&rest(reader))
    };
    assert_eq!(find_again(&mut reader), [""; 0], "nothing has changed");
    // Archived, and then continued.
    let archived = home.0.path().join("archived_sessions").join(path.file_name().unwrap());
    fs::create_dir_all(archived.parent().unwrap()).unwrap();
    fs::rename(&path, &archived).unwrap();
    append(&archived, (talk(2, "two") + "\n").as_bytes());
    assert_eq!(find_again(&mut reader), ["2 user two", "2 assistant two!", "2 completed"]);
    // Compressed.
    let text = fs::read_to_string(&archived).unwrap() + &talk(3, "three") + "\n";
    fs::write(archived.with_extension("jsonl.zst"), packed(&text)).unwrap();
    fs::remove_file(&archived).unwrap();
    assert_eq!(find_again(&mut reader), ["3 user three", "3 assistant three!", "3 completed"]);
    assert_eq!(find_again(&mut reader), [""; 0]);
    // Written anew with other bytes, as a migration does, and continued.
    fs::remove_file(archived.with_extension("jsonl.zst")).unwrap();
    let migrated: Vec<String> = (text + &talk(4, "four"))
        .lines()
        .zip(0..)
        .map(|(line, ordinal)| line.replacen('{', &format!("{{\"ordinal\":{ordinal},"), 1))
        .collect();
    let path = home.write(A, None, migrated.join("\n") + "\n");
    assert_eq!(find_again(&mut reader), ["4 user four", "4 assistant four!", "4 completed"]);
    // Reverted to the second turn.
    let text = fs::read_to_string(&path).unwrap();
    let end = text.lines().take(9).map(|line| line.len() + 1).sum::<usize>();
    let base = json!({ "history_base": { "thread_id": A, "end_byte_offset": end } });
    home.write(A, Some(SEGMENT), [meta(A, base), talk(5, "five")].join("\n") + "\n");
    let mut found = find_again(&mut reader);
    found.sort();
    let undone = "- completed (undone)";
    assert_eq!(found, [undone, undone, "3 assistant five!", "3 completed", "3 user five"]);
}

#[test]
#[allow(clippy::disallowed_methods)] // A test makes the files that it reads.
fn a_file_may_be_cut_or_deleted_while_it_is_read() {
    let home = Home::new();
    let first = [meta(A, json!({})), talk(1, "one")].join("\n") + "\n";
    let path = home.write(A, None, first.clone() + &talk(2, "two") + "\n");
    let options = Options { live: true, ..everything() };
    let (all, mut reader) = home.read(A, options.clone());
    assert_eq!(brief(&all).len(), 6);
    // The second turn is lost, which is no revert, and another one takes its number.
    fs::write(&path, &first).unwrap();
    let find_again = |reader: &mut Reader| reader.find_again(&Files::walk(home.0.path()), None);
    find_again(&mut reader).unwrap();
    assert_eq!(brief(&rest(&mut reader)), [""; 0]);
    append(&path, (talk(3, "three") + "\n").as_bytes());
    assert_eq!(brief(&rest(&mut reader)), ["2 user three", "2 assistant three!", "2 completed"]);
    // A file that is read to its end by a reader that has it open, and is found no more after that.
    let mut other = home.reader(A, Options::default());
    assert!(other.next_record().unwrap().is_some());
    fs::remove_file(&path).unwrap();
    assert_eq!(rest(&mut other).len(), 5);
    let error = find_again(&mut reader).unwrap_err();
    assert_eq!(
        (error.kind(), &*error.to_string()),
        (std::io::ErrorKind::NotFound, "the session has no rollout")
    );
    // It is back.
    home.write(A, None, first + &talk(3, "three") + "\n" + &talk(4, "four") + "\n");
    find_again(&mut reader).unwrap();
    assert_eq!(brief(&rest(&mut reader)), ["3 user four", "3 assistant four!", "3 completed"]);
}

/// Codex writes the end of a command and its output in either order: in recordings, the order is changed.
#[test]
#[allow(clippy::disallowed_methods)] // A test makes the file that it reads.
fn a_command_is_one_in_whichever_order_its_end_is_written() {
    let mut moved = 0;
    for version in ["0.169.0", "0.171.0"] {
        let files = Files::walk(&home(version));
        for session in sessions(&files) {
            let parts = files.of_session(Id::parse(&session).unwrap());
            let text = fs::read_to_string(&parts[0].path).unwrap();
            if parts.len() > 1 || text.contains("\"history_base\"") {
                continue;
            }
            let mut lines: Vec<&str> = text.lines().collect();
            let mut at = 0;
            while at < lines.len() {
                let line: Value = serde_json::from_str(lines[at]).unwrap();
                let (item, call) = (&line["payload"]["item"], &line["payload"]["item"]["id"]);
                let is_output = |other: &&str| {
                    let other: Value = serde_json::from_str(other).unwrap();
                    other["payload"]["type"] == "function_call_output" && other["payload"]["call_id"] == *call
                };
                let end = lines[at..].iter().position(is_output);
                if item["type"] == "CommandExecution"
                    && let Some(end) = end
                {
                    lines[at..=at + end].rotate_left(1);
                    moved += 1;
                }
                at += 1;
            }
            let changed = lines.join("\n") + "\n";
            if changed == text {
                continue;
            }
            let folder = Home::new();
            let path = folder.write(&session, None, &changed);
            let want = read_all(&files, &session, everything()).0;
            assert_eq!(brief(&folder.read(&session, everything()).0), brief(&want), "{version} {session}");
            assert_eq!(folder.read(&session, everything()).0, want, "{version} {session}");
            // While the session is followed, each command is passed on once, with its first output.
            fs::write(&path, "").unwrap();
            let mut reader = folder.reader(&session, Options { live: true, ..everything() });
            let mut found = Vec::new();
            for line in &lines {
                append(&path, format!("{line}\n").as_bytes());
                found.extend(rest(&mut reader));
            }
            let commands = |all: &[Value]| -> Vec<String> {
                let commands = all.iter().filter(|one| one["role"] == "command" && one["late"] == false);
                let mut all: Vec<String> = commands
                    .map(|one| format!("{} {} {}", one["turn_id"], one["item"], one["text"]))
                    .collect();
                all.sort();
                all
            };
            assert_eq!(commands(&found), commands(&want), "{version} {session}");
        }
    }
    assert!(moved > 10, "{moved}");
}
