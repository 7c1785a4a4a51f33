use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::*;
use crate::choice::Choice;

const A: &str = "01a20307-24fb-7b81-b2ee-030bb2fa1e54";
const SEGMENT: &str = "01a20307-2abe-7a31-b2c8-e5883981dd2f";

/// A Codex home with one way to write into it.
struct Sample {
    folder: tempfile::TempDir,
}

fn id() -> Id {
    Id::parse(A).unwrap()
}

fn line(text: &str) -> String {
    let at = Timestamp::now();
    format!(
        r#"{{"timestamp":"{at}","type":"event_msg","payload":{{"type":"agent_message","message":"{text}"}}}}"#
    ) + "\n"
}

fn meta(id: &str, version: &str) -> String {
    let at = Timestamp::now();
    format!(
        r#"{{"timestamp":"{at}","type":"session_meta","payload":{{"id":"{id}","cli_version":"{version}"}}}}"#
    ) + "\n"
}

impl Sample {
    fn new() -> Sample {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("sessions/2026/11/22")).unwrap();
        fs::create_dir_all(folder.path().join("archived_sessions")).unwrap();
        Sample { folder }
    }

    fn home(&self) -> Home {
        Home::find(Some(self.folder.path())).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn live(&self) -> PathBuf {
        self.path(&format!("sessions/2026/11/22/rollout-2026-11-22T11-32-09-{A}.jsonl"))
    }

    fn archived(&self) -> PathBuf {
        self.path(&format!("archived_sessions/rollout-2026-11-22T11-32-09-{A}.jsonl"))
    }

    fn watch(&self, from: From) -> Watch {
        watch(self.home(), [id()], from)
    }
}

fn add(path: &Path, text: &str) {
    fs::File::options().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn watch(home: Home, ids: impl IntoIterator<Item = Id>, from: From) -> Watch {
    let mut watch = Watch::new(home);
    watch.add(ids.into_iter().map(|id| (id, from.clone())));
    watch
}

/// A record in a word; turns and statuses have two.
fn word(record: &Record) -> String {
    match record {
        Record::Item(item) => item.text.clone().unwrap_or_default(),
        Record::Turn(turn) => {
            format!("turn {}", serde_json::to_value(turn).unwrap()["status"].as_str().unwrap_or("-"))
        }
        Record::Event(SessionEvent { what: SessionEventKind::Status { status }, .. }) => {
            format!("status {}", status.word())
        }
        Record::Event(event) => event.what.word().replace('.', " "),
    }
}

fn poll_all(watch: &mut Watch) -> Vec<String> {
    let mut all = Vec::new();
    watch
        .poll(&mut |record| {
            all.push(word(record));
            Ok(())
        })
        .unwrap();
    all
}

/// The items, and what happened to the session.
fn poll(watch: &mut Watch) -> Vec<String> {
    let mut all = poll_all(watch);
    all.retain(|word| !word.starts_with("turn ") && !word.starts_with("status "));
    all
}

/// Polls as a user does until so much happened, and a little longer.
fn wait(watch: &mut Watch, count: usize) -> Vec<String> {
    let begun = Instant::now();
    let mut all = Vec::new();
    while all.len() < count && begun.elapsed() < Duration::from_secs(20) {
        all.extend(poll(watch));
        std::thread::sleep(Duration::from_millis(50));
    }
    all.extend(poll(watch));
    all
}

#[test]
fn half_a_line_waits_for_its_other_half() {
    let sample = Sample::new();
    let (first, second) = (line("one"), line("two"));
    // The end may be in the middle of a line when it begins.
    add(&sample.live(), &(meta(A, "0.137.0") + &line("old") + &first[..50]));
    let mut watch = sample.watch(From::Now);
    assert_eq!(poll(&mut watch), [""; 0]);
    add(&sample.live(), &first[50..70]);
    assert_eq!(poll(&mut watch), [""; 0]);
    add(&sample.live(), &(first[70..].to_owned() + &second[..second.len() - 1]));
    assert_eq!(poll(&mut watch), ["one"]);
    assert_eq!(poll(&mut watch), [""; 0]);
    add(&sample.live(), "\n");
    assert_eq!(poll(&mut watch), ["two"]);
    let mut watch = sample.watch(From::Start);
    assert_eq!(poll(&mut watch), ["old", "one", "two"]);
}

#[test]
fn bursts_are_told_whole_and_at_once() {
    let sample = Sample::new();
    add(&sample.live(), &meta(A, "0.137.0"));
    let mut watch = sample.watch(From::Now);
    let burst: String = (0..10_000).map(|n| line(&n.to_string())).collect();
    add(&sample.live(), &burst);
    let all = poll(&mut watch);
    assert_eq!(all, (0..10_000).map(|n| n.to_string()).collect::<Vec<_>>());
    // A writer that never pauses does not hold anything up.
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let line = line(&count.to_string());
                for piece in line.as_bytes().chunks(37) {
                    add(&sample.live(), std::str::from_utf8(piece).unwrap());
                }
                count += 1;
            }
        });
        let (mut seen, deadline) = (Vec::new(), std::time::Instant::now() + Duration::from_secs(60));
        while seen.len() < 20 && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
            seen.extend(Some(poll(&mut watch)).filter(|new| !new.is_empty()));
        }
        // Before anything is asserted: the scope waits for the writer.
        stop.store(true, Ordering::Relaxed);
        assert_eq!(seen.len(), 20, "a poll waited for the writer");
        let seen = seen.concat();
        assert_eq!(seen, (0..seen.len()).map(|n| n.to_string()).collect::<Vec<_>>());
    });
}

#[test]
fn archiving_loses_nothing_repeats_nothing_and_is_told() {
    let sample = Sample::new();
    add(&sample.live(), &(meta(A, "0.137.0") + &line("old")));
    let mut watch = sample.watch(From::Now);
    let mut writer = fs::File::options().append(true).open(sample.live()).unwrap();
    let mut write = |text: &str| writer.write_all(text.as_bytes()).unwrap();
    write(&line("1"));
    assert_eq!(poll(&mut watch), ["1"]);
    let half = line("3");
    write(&(line("2") + &half[..30]));
    fs::rename(sample.live(), sample.archived()).unwrap();
    assert_eq!(poll(&mut watch), ["2", "session archived"]);
    // The writer still has it open.
    write(&half[30..]);
    assert_eq!(poll(&mut watch), ["3"]);
    fs::rename(sample.archived(), sample.live()).unwrap();
    write(&line("4"));
    assert_eq!(poll(&mut watch), ["4", "session unarchived"]);
    assert_eq!(watch.tools.warnings, 0);
    // Renamed to and fro by somebody else, while it is written to.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 5..200 {
                write(&line(&n.to_string()));
                if n % 3 == 0 {
                    fs::rename(sample.live(), sample.archived()).unwrap();
                    std::thread::sleep(Duration::from_millis(2));
                    fs::rename(sample.archived(), sample.live()).unwrap();
                }
            }
        });
        let all = wait(&mut watch, 195);
        let numbers: Vec<_> = all.into_iter().filter(|word| !word.starts_with("session ")).collect();
        assert_eq!(numbers, (5..200).map(|n| n.to_string()).collect::<Vec<_>>());
    });
}

#[test]
fn a_deleted_session_is_told_and_dropped() {
    let sample = Sample::new();
    add(&sample.live(), &meta(A, "0.137.0"));
    let mut watch = sample.watch(From::Now);
    add(&sample.live(), &line("1"));
    assert_eq!(poll(&mut watch), ["1"]);
    add(&sample.live(), &line("last words"));
    fs::remove_file(sample.live()).unwrap();
    assert_eq!(wait(&mut watch, 2), ["last words", "session deleted"]);
    assert!(watch.is_empty() && watch.tools.open.is_empty());
}

#[test]
fn a_reverted_session_goes_on_in_its_new_file() {
    let sample = Sample::new();
    add(&sample.live(), &(meta(A, "0.169.0") + &line("1")));
    let mut watch = sample.watch(From::Now);
    poll(&mut watch);
    add(&sample.live(), &line("2"));
    let today = Timestamp::now().to_string()[..10].replace('-', "/");
    let folder = sample.path("sessions").join(today);
    fs::create_dir_all(&folder).unwrap();
    let stamp = Timestamp::now().to_string()[..19].replace(':', "-");
    let segment = folder.join(format!("rollout-{stamp}-{A}_{SEGMENT}.jsonl"));
    let end = fs::metadata(sample.live()).unwrap().len();
    let base = format!(r#"}},"history_base":{{"thread_id":"{A}","end_byte_offset":{end}}}"#);
    let head = meta(A, "0.169.0").replace("}}\n", &format!("{}}}}}\n", base.trim_start_matches('}')));
    add(&segment, &(head + &line("3")));
    assert_eq!(wait(&mut watch, 3), ["2", "session moved", "3"]);
    add(&segment, &line("4"));
    assert_eq!(wait(&mut watch, 1), ["4"]);
    assert_eq!(poll(&mut sample.watch(From::Now)), [""; 0]);
    assert_eq!(poll(&mut sample.watch(From::Start)), ["1", "2", "3", "4"]);
}

#[test]
fn a_compressed_session_is_followed_once() {
    let sample = Sample::new();
    let packed = sample.live().with_extension("jsonl.zst");
    let pack = |text: &str| fs::write(&packed, crate::codex::rollout::packed(text)).unwrap();
    let mut text = meta(A, "0.169.0") + &line("1");
    add(&sample.live(), &text);
    let mut watch = sample.watch(From::Start);
    assert_eq!(poll(&mut watch), ["1"]);
    for n in 2..5 {
        pack(&text);
        assert_eq!(poll(&mut watch), [""; 0]);
        fs::remove_file(sample.live()).unwrap();
        assert_eq!(poll(&mut watch), [""; 0]);
        text += &line(&n.to_string());
        fs::write(sample.live(), &text).unwrap();
        fs::remove_file(&packed).unwrap();
        assert_eq!(poll(&mut watch), [n.to_string()]);
    }
    // Compressed when it begins.
    let old = text.replace(&Timestamp::now().to_string()[..4], "2020");
    pack(&old);
    fs::remove_file(sample.live()).unwrap();
    let mut watch = sample.watch(From::Now);
    assert_eq!(poll(&mut watch), [""; 0]);
    assert_eq!(poll(&mut sample.watch(From::Start)), ["1", "2", "3", "4"]);
    fs::write(sample.live(), old + &line("5")).unwrap();
    fs::remove_file(&packed).unwrap();
    assert_eq!(wait(&mut watch, 1), ["5"]);
    assert_eq!(watch.tools.warnings, 0);
}

#[test]
fn a_session_without_a_file_is_taken_up_and_its_parent_is_not_told() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/homes");
    for (version, name) in [
        ("0.101.0", "rollout-2026-11-22T20-56-57-01a2050c-3bd5-7013-83e4-c9ba48ad4865.jsonl"),
        ("0.106.0", "rollout-2026-11-22T10-52-04-01a202e2-7271-7753-9944-ef5d55463926.jsonl"),
        ("0.120.0", "rollout-2026-11-22T20-54-09-01a20509-aa49-77c2-b478-3ee556bd220c.jsonl"),
        ("0.137.0", "rollout-2026-11-22T10-51-01-01a202e1-7b11-7003-b975-e7b644710022.jsonl"),
        ("0.169.0-odd", "rollout-2026-11-22T11-32-06-01a20307-1708-7d90-9529-dbbb2beef4ed.jsonl"),
    ] {
        let sample = Sample::new();
        let id = crate::codex::rollout::Name::parse(name).unwrap().id;
        let mut watch = super::tests::watch(sample.home(), [id], From::Now);
        // The recordings may be older than this watch.
        watch.tools.since = Timestamp(0);
        assert_eq!(poll(&mut watch), [""; 0]);
        let place = format!("sessions/2026/11/22/{name}");
        fs::copy(data.join(version).join(&place), sample.path(&place)).unwrap();
        let prompt = if version == "0.169.0-odd" { "Fork of the legacy one" } else { "Try another approach" };
        let answer = format!("echo: {prompt}");
        assert_eq!(wait(&mut watch, 2), [prompt, &answer], "{version}");
    }
}

#[test]
fn a_file_that_shrank_or_was_replaced_is_followed_from_its_new_end() {
    let sample = Sample::new();
    add(&sample.live(), &(meta(A, "0.137.0") + &line("1") + &line("2")));
    let mut watch = sample.watch(From::Now);
    add(&sample.live(), &line("3"));
    assert_eq!(poll(&mut watch), ["3"]);
    fs::write(sample.live(), meta(A, "0.137.0") + &line("1")).unwrap();
    assert_eq!((poll(&mut watch), watch.tools.warnings), (vec![], 1));
    add(&sample.live(), &line("4"));
    assert_eq!((poll(&mut watch), watch.tools.warnings), (vec!["4".to_owned()], 1));
    let other = sample.path("other");
    add(&other, &(meta(A, "0.137.0") + &"x\n".repeat(5000) + &line("5")));
    fs::rename(&other, sample.live()).unwrap();
    assert_eq!((poll(&mut watch), watch.tools.warnings), (vec![], 1));
    add(&sample.live(), &line("6"));
    assert_eq!((poll(&mut watch), watch.tools.warnings), (vec!["6".to_owned()], 1));
    // A copy of what was there is the same file, as when Codex unpacks it.
    fs::copy(sample.live(), &other).unwrap();
    add(&other, &line("7"));
    fs::rename(&other, sample.live()).unwrap();
    assert_eq!((poll(&mut watch), watch.tools.warnings), (vec!["7".to_owned()], 1));
}

#[test]
fn a_huge_line_is_told_by_its_beginning() {
    let sample = Sample::new();
    add(&sample.live(), &meta(A, "0.137.0"));
    let mut watch = sample.watch(From::Now);
    let huge = line(&"a".repeat(9 << 20));
    for piece in huge.as_bytes().chunks(1 << 20) {
        add(&sample.live(), std::str::from_utf8(piece).unwrap());
        for text in poll(&mut watch) {
            assert!(text.starts_with("aaa") && text.ends_with('…') && text.len() < 5 << 20);
        }
    }
    add(&sample.live(), &line("after"));
    assert_eq!(poll(&mut watch), ["after"]);
}

#[test]
fn many_sessions_cost_few_descriptors_and_little_time() {
    let sample = Sample::new();
    let ids: Vec<Id> =
        (0..3000_u32).map(|n| Id::parse(&format!("01a20307-24fb-7b81-b2ee-{n:012x}")).unwrap()).collect();
    let path = |id: Id| sample.path(&format!("sessions/2026/11/22/rollout-2026-11-22T11-32-09-{id}.jsonl"));
    for id in &ids {
        add(&path(*id), &meta(&id.to_string(), "0.137.0"));
    }
    let mut watch = super::tests::watch(sample.home(), ids.iter().copied(), From::Now);
    for round in 0..2 {
        for id in &ids {
            add(&path(*id), &line(&format!("{round}")));
        }
        assert_eq!(wait(&mut watch, ids.len()).len(), ids.len());
        assert!(watch.tools.open.len() <= OPEN);
    }
    // Those that rest for long are looked at every other second, by a stat.
    let old = SystemTime::now() - Duration::from_secs(86_400);
    for id in &ids {
        fs::File::options().write(true).open(path(*id)).unwrap().set_modified(old).unwrap();
    }
    let mut watch = super::tests::watch(sample.home(), ids.iter().copied(), From::Now);
    let begun = Instant::now();
    let mut spent = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(2) {
        let poll_begun = Instant::now();
        assert_eq!(poll(&mut watch), [""; 0]);
        spent += poll_begun.elapsed();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(watch.tools.open.is_empty());
    assert!(spent < Duration::from_millis(600), "{spent:?} in two seconds");
    let last = *ids.last().unwrap();
    add(&path(last), &line("awake"));
    assert_eq!(wait(&mut watch, 1), ["awake"]);
}

/// The records in the end: the last one of each item and turn. Whether an item is late shows only in whole files, and the
/// id of a review comes at its end.
fn in_the_end(records: &[serde_json::Value]) -> Vec<String> {
    use std::collections::{BTreeMap, BTreeSet};
    let of = |one: &serde_json::Value| one["turn"].to_string();
    let reviews: BTreeSet<String> = records.iter().filter(|one| one["role"] == "review").map(of).collect();
    let mut newest = BTreeMap::new();
    for one in records {
        if one["type"] == "turn" && one["status"].is_null() {
            continue;
        }
        let mut one = one.clone();
        one["late"] = serde_json::Value::Null;
        let key = (one["turn_id"].to_string(), one["item"].as_u64().unwrap_or(0));
        if reviews.contains(&of(&one)) {
            one["turn_id"] = serde_json::Value::Null;
        }
        newest.insert(key, one.to_string());
    }
    let mut all: Vec<String> = newest.into_values().collect();
    all.sort();
    all
}

/// Recorded sessions, written in pieces that end anywhere, with polls between them.
#[test]
fn a_session_that_is_written_in_pieces_has_the_records_of_the_whole() {
    use crate::transcript::{Options, Reader};
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/transcripts");
    let (mut seed, mut sessions, mut pieces) = (7_u64, 0, 0);
    let mut roll = |most: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (seed >> 33) as usize % most
    };
    for version in ["0.106.0", "0.137.0", "0.171.0"] {
        let files = Files::walk(&data.join(version));
        for file in files.sessions() {
            let text = fs::read(&file.path).unwrap();
            let has = |word: &str| memchr::memmem::find(&text, word.as_bytes()).is_some();
            if files.of_session(file.id).len() > 1 || has("\"history_base\"") || has("\"thread_rolled_back\"")
            {
                continue;
            }
            let of_file = |record: std::io::Result<Record>| serde_json::to_value(record.unwrap()).unwrap();
            let whole = Reader::of_session(&files, file.id, None, Options::default()).unwrap().map(of_file);
            let whole: Vec<_> = whole.filter(|one| one["inherited"] == false).collect();
            let sample = Sample::new();
            let name = file.path.file_name().unwrap().to_str().unwrap();
            let path = sample.path(&format!("sessions/2026/11/22/{name}"));
            fs::write(&path, "").unwrap();
            let mut watch = Watch::new(sample.home());
            watch.tools.since = Timestamp(0);
            watch.add_new([file.id]);
            let (mut found, mut rest) = (Vec::new(), &text[..]);
            while !rest.is_empty() {
                let (piece, left) = rest.split_at(roll(4000).min(rest.len()));
                rest = left;
                pieces += 1;
                fs::File::options().append(true).open(&path).unwrap().write_all(piece).unwrap();
                let mut emit = |record: &Record| {
                    if !matches!(record, Record::Event(_)) {
                        found.push(serde_json::to_value(record).unwrap());
                    }
                    Ok(())
                };
                watch.poll(&mut emit).unwrap();
            }
            assert_eq!(in_the_end(&found), in_the_end(&whole), "{version} {}", file.id);
            sessions += 1;
        }
    }
    assert!(sessions > 30 && pieces > 1000, "{sessions} {pieces}");
}
