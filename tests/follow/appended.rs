//! Rollouts that other processes write while the executable follows them: in pieces, to the end of a disk or of a process,
//! in another form, in great numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use codex_agent_shared::codex::files::Files;
use codex_agent_shared::transcript::{Options, Reader, Record};
use serde_json::Value;

use super::{follow, kinds, printed};
use crate::world::fake::{Fake, crash, end, wait_until};
use crate::world::rollouts::{DAY, file_name, id, message, meta, put, with_rollouts};
use crate::world::{World, data, json};

/// Starts the tool in a world, with its output in a file.
fn watch(world: &World, name: &str, words: &[&str]) -> Child {
    let out = fs::File::create(world.path(name)).unwrap();
    let mut command = world.command("codex-agent-watch");
    command.args(words).stdout(out).stderr(Stdio::piped()).spawn().unwrap()
}

/// The complete records that were printed so far.
fn records(world: &World, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(world.path(name)).unwrap();
    json(&text[..text.rfind('\n').map_or(0, |end| end + 1)])
}

fn texts(world: &World, name: &str) -> Vec<String> {
    let text = |record: Value| record["text"].as_str().map(str::to_owned);
    records(world, name).into_iter().filter_map(text).collect()
}

/// Another process appends a text to a file.
fn append(path: &Path, text: &str) {
    let mut command = Command::new("sh");
    let mut child = command.args(["-c", "cat >>\"$0\""]).arg(path).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Appends messages to a rollout until one of them is printed, which the tool does as soon as it follows the session.
fn append_until_printed(world: &World, name: &str, path: &Path, word: &str) -> Duration {
    let begun = Instant::now();
    for number in 0.. {
        assert!(begun.elapsed() < Duration::from_secs(120), "nothing is printed of '{}'", path.display());
        append(path, &message(&format!("{word} {number}")));
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(1) {
            if texts(world, name).iter().any(|text| text.starts_with(word)) {
                return since.elapsed();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    unreachable!()
}

/// The last record of each item and turn. Whether an item is late shows only in the whole file, and the id of the turn of
/// a review comes at its end.
fn in_the_end(records: &[Value]) -> Vec<String> {
    let of = |one: &Value| format!("{} {}", one["session"], one["turn"]);
    let reviews: BTreeSet<String> = records.iter().filter(|one| one["role"] == "review").map(of).collect();
    let mut newest = BTreeMap::new();
    for one in records {
        let is_open = one["type"] == "turn" && one["status"].is_null();
        if is_open || !["item", "turn"].contains(&one["type"].as_str().unwrap()) {
            continue;
        }
        let (mut one, of_review) = (one.clone(), reviews.contains(&of(one)));
        one["late"] = Value::Null;
        let key = (of(&one), one["turn_id"].to_string(), one["item"].as_u64().unwrap_or(0));
        if of_review {
            one["turn_id"] = Value::Null;
        }
        newest.insert(key, one.to_string());
    }
    let mut all: Vec<String> = newest.into_values().collect();
    all.sort();
    all
}

#[test]
fn sessions_that_a_process_writes_in_pieces_have_the_records_of_the_whole() {
    let world = World::new();
    let (mut seed, mut ids, mut pieces, mut whole) = (7_u64, Vec::new(), Vec::new(), Vec::new());
    let mut roll = |most: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (seed >> 33) as usize % most
    };
    for version in ["0.106.0", "0.137.0", "0.171.0"] {
        let manifest = fs::read_to_string(data(&format!("transcripts/{version}/manifest.tsv"))).unwrap();
        let files = Files::walk(&data(&format!("transcripts/{version}")));
        let labels = ["tools", "failures", "compact", "misc", "agents", "migrated"];
        for line in manifest.lines().filter(|line| labels.contains(&line.split('\t').next().unwrap())) {
            let session = line.split('\t').nth(1).unwrap().to_owned();
            let id = codex_agent_shared::record::Id::parse(&session).unwrap();
            let file = files.live(id, None).unwrap();
            let text = fs::read(&file.path).unwrap();
            let first = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let name = file.path.file_name().unwrap().to_str().unwrap();
            let path = world.write(&format!("home/.codex/sessions/2026/11/28/{name}"), &text[..first]);
            let mut rest = &text[first..];
            let mut own = Vec::new();
            while !rest.is_empty() {
                let (piece, left) = rest.split_at(roll(16_000).min(rest.len()));
                rest = left;
                own.push((path.clone(), piece.to_owned()));
            }
            pieces.push(own);
            let reader = Reader::of_session(&files, id, None, Options::default()).unwrap();
            whole.extend(
                reader.map(|record: std::io::Result<Record>| serde_json::to_value(record.unwrap()).unwrap()),
            );
            ids.push(session);
        }
    }
    assert!(ids.len() > 12, "{ids:?}");
    // A piece of each session in turn.
    let mut script = String::new();
    let most = pieces.iter().map(Vec::len).max().unwrap();
    for at in 0..most {
        for (session, own) in pieces.iter().enumerate() {
            let Some((path, piece)) = own.get(at) else { continue };
            let piece = world.write(&format!("pieces/{session}-{at}"), piece);
            script += &format!("cat '{}' >>'{}'\nsleep 0.01\n", piece.display(), path.display());
        }
    }
    let words = [&["--json"], &ids.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat();
    let mut watch = watch(&world, "out", &words);
    // The files of sessions that rest are open for a moment only, so that there is nothing to wait for.
    std::thread::sleep(Duration::from_secs(4));
    let script = world.write("append.sh", script);
    assert!(Command::new("sh").arg(script).status().unwrap().success());
    let (want, since) = (in_the_end(&whole), Instant::now());
    while in_the_end(&records(&world, "out")) != want && since.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
    crash(&mut watch);
    let found = in_the_end(&records(&world, "out"));
    let (missing, more): (Vec<_>, Vec<_>) = (
        want.iter().filter(|one| !found.contains(one)).collect(),
        found.iter().filter(|one| !want.contains(one)).collect(),
    );
    assert!(missing.is_empty() && more.is_empty(), "missing: {missing:#?}\nmore: {more:#?}");
}

#[test]
fn a_writer_that_is_killed_in_a_line_leaves_the_lines_behind_it() {
    let world = World::new();
    let path = put(&world, 1, meta(1, "") + &message("first"));
    let mut watch = watch(&world, "out", &["--json", &id(1)]);
    append_until_printed(&world, "out", &path, "begun");
    let line = message("never complete");
    let (half, _) = line.split_at(line.len() - 9);
    append(&path, half);
    std::thread::sleep(Duration::from_millis(600));
    // The next writer begins a line.
    append(&path, &format!("\n{}", message("after")));
    wait_until(|| texts(&world, "out").iter().any(|text| text == "after"));
    // A line that comes in two writes is one.
    let line = message("in two pieces");
    let (half, rest) = line.split_at(70);
    append(&path, half);
    std::thread::sleep(Duration::from_millis(600));
    append(&path, rest);
    wait_until(|| texts(&world, "out").iter().any(|text| text == "in two pieces"));
    crash(&mut watch);
    let all = texts(&world, "out");
    let last: Vec<&str> = all.iter().map(String::as_str).filter(|text| !text.starts_with("begun")).collect();
    assert_eq!(last, ["after", "in two pieces"]);
}

#[test]
fn a_session_that_is_migrated_while_it_is_followed_repeats_nothing() {
    let world = World::new();
    let path = put(&world, 1, meta(1, "") + &message("first"));
    let mut watch = watch(&world, "out", &["--json", &id(1)]);
    append_until_printed(&world, "out", &path, "begun");
    let before = texts(&world, "out");
    // As `codex migrate-rollouts` does: another file under the same name, whose lines have ordinals.
    let text = fs::read_to_string(&path).unwrap();
    let migrated: String = text
        .lines()
        .enumerate()
        .map(|(ordinal, line)| line.replacen('{', &format!("{{\"ordinal\":{ordinal},"), 1) + "\n")
        .collect();
    let other = world.write("migrated", migrated);
    fs::rename(other, &path).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    append(&path, &message("after"));
    wait_until(|| texts(&world, "out").iter().any(|text| text == "after"));
    crash(&mut watch);
    let all = texts(&world, "out");
    let news: Vec<&String> =
        all.iter().filter(|text| !before.contains(text) && !text.starts_with("begun")).collect();
    assert_eq!(news, ["after"]);
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "{all:?}");
}

#[test]
fn twenty_thousand_sessions_are_followed_with_a_thousand_descriptors() {
    const COUNT: usize = 20_000;
    let world = with_rollouts(COUNT);
    let path = |number: usize| {
        let (month, day) = (1 + number / 25 % 12, 1 + number % 25);
        let name = file_name(number).replace("2026-11-22", &format!("2026-{month:02}-{day:02}"));
        world.codex_home().join(format!("sessions/2026/{month:02}/{day:02}/{name}"))
    };
    let mut command = world.command("sh");
    let err = fs::File::create(world.path("err")).unwrap();
    command.args(["-c", "ulimit -n 1024 && exec codex-agent-watch --json --only user"]);
    let out = fs::File::create(world.path("out")).unwrap();
    let mut watch = command.stdout(out).stderr(err).spawn().unwrap();
    append_until_printed(&world, "out", &path(COUNT - 1), "newest");
    append_until_printed(&world, "out", &path(0), "oldest");
    // A hundred sessions that are written at a time, and one that is new.
    for number in (0..COUNT).step_by(200) {
        append(&path(number), &message(&format!("many {number}")));
    }
    let new = world.write(&format!("{DAY}/{}", file_name(COUNT)), meta(COUNT, ""));
    append_until_printed(&world, "out", &new, "new");
    let is_many = |text: &String| text.starts_with("many");
    wait_until(|| texts(&world, "out").iter().filter(|text| is_many(text)).count() == COUNT / 200);
    if let Ok(open) = fs::read_dir(format!("/proc/{}/fd", watch.id())) {
        let open = open.count();
        assert!(open < 200, "{open} descriptors are open");
    }
    crash(&mut watch);
    assert_eq!(fs::read_to_string(world.path("err")).unwrap(), "");
}

#[test]
fn a_home_without_sessions_is_followed_from_the_first_one_on() {
    let fake = Fake::newest();
    let _ = fs::remove_dir_all(fake.0.codex_home().join("sessions"));
    let mut watch = follow(&fake, "out", &["--json"]);
    assert!(watch.try_wait().unwrap().is_none(), "there may be sessions later");
    let id = fake.begin("one");
    let turn = ["turn.started", "is running", "user", "assistant", "turn completed", "is idle"];
    wait_until(|| kinds(&printed(&fake, "out"), &id).len() >= turn.len());
    assert_eq!(kinds(&printed(&fake, "out"), &id), turn);
    crash(&mut watch);
}

#[test]
fn a_closed_pipe_ends_the_watch() {
    let world = World::new();
    let path = put(&world, 1, meta(1, "") + &message("first"));
    let mut command = world.command("codex-agent-watch");
    let mut child = command
        .args(["--json", &id(1), "-n", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(line.contains(&id(1)), "{line}");
    drop(lines);
    append(&path, &message("unread"));
    append(&path, &message("unread too"));
    let status = end(&mut child);
    let mut err = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut err).unwrap();
    assert_eq!((status, &*err), (0, ""));
}

#[test]
fn the_end_of_a_turn_ends_a_watch_until_it() {
    let fake = Fake::newest();
    let id = fake.begin("one");
    let rollout = Files::walk(&fake.0.codex_home())
        .all()
        .iter()
        .find(|file| file.id.to_string() == id)
        .unwrap()
        .path
        .clone();
    let ends = || fs::read_to_string(&rollout).unwrap().matches("\"task_complete\"").count();
    let before = ends();
    let mut codex = fake.spawn(&["exec", "--json", "resume", &id, "-"], "two SLEEP3");
    fake.wait_for_sent(2);
    let mut watch = follow(&fake, "out", &[&id, "--until", "idle", "--json"]);
    assert!(watch.try_wait().unwrap().is_none(), "the turn is running");
    wait_until(|| ends() > before);
    let ended = Instant::now();
    assert_eq!(end(&mut watch), 0);
    // It takes a tenth of it; the machine may be busy.
    assert!(ended.elapsed() < Duration::from_secs(3), "{:?}", ended.elapsed());
    codex.wait().unwrap();
    assert_eq!(kinds(&printed(&fake, "out"), &id).last().unwrap(), "is idle");
}

/// Holds a lease on a file, at whose end it writes standard input line by line. Another process that opens the file waits
/// for the end of the lease, as it waits for a file system that does not answer.
const LEASE: &str = "import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1], 'a')
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
for line in sys.stdin:
    file.write(line)
    file.flush()
";

#[test]
fn a_file_system_that_does_not_answer_is_reported_and_waited_for() {
    let world = with_rollouts(3);
    let path = Files::walk(&world.codex_home()).all()[0].path.clone();
    let lease = || {
        let mut holder = Command::new("python3");
        holder
            .args(["-c", LEASE])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut holder = holder.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            holder.wait().unwrap();
        }
        (line == "held\n").then_some(holder)
    };
    let mut command = world.command("codex-agent-watch");
    command.arg("--json").stdout(fs::File::create(world.path("out")).unwrap());
    let mut child = command.stderr(fs::File::create(world.path("errors")).unwrap()).spawn().unwrap();
    append_until_printed(&world, "out", &path, "first");
    // The file is closed when it rests.
    let begun = Instant::now();
    let mut holder = loop {
        match lease() {
            Some(holder) => break holder,
            None if begun.elapsed() > Duration::from_secs(60) => {
                println!("SKIPPED: the file system has no leases");
                crash(&mut child);
                return;
            }
            None => std::thread::sleep(Duration::from_millis(500)),
        }
    };
    holder.stdin.as_mut().unwrap().write_all(message("while it is stuck").as_bytes()).unwrap();
    let is_printed = || texts(&world, "out").iter().any(|text| text == "while it is stuck");
    let says = |text: &str| fs::read_to_string(world.path("errors")).unwrap().contains(text);
    wait_until(|| {
        says(&format!("no answer of the file system for 10 seconds, waiting: '{}'", path.display()))
    });
    assert!(!is_printed());
    drop(holder.stdin.take());
    holder.wait().unwrap();
    wait_until(is_printed);
    wait_until(|| says("the file system answers again: '"));
    append_until_printed(&world, "out", &path, "after");
    crash(&mut child);
}
