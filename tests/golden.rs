//! Records of released versions, in `tests/data/golden/VERSION`: what was written once is read for ever.
//!
//! Those of this version are recorded anew in each run of the tests, from the real tools. They are as they
//! are checked in as long as no field was added; else `UPDATE=1 cargo test --test tests golden` writes
//! them. The others are never written again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use codex_agent_engine::disk::journal::Entry;
use codex_agent_engine::disk::journal::JournalReader;
use codex_agent_engine::queue::Queues;
use codex_agent_engine::{Event, Job};
use codex_agent_shared::group::Groups;
use codex_agent_shared::plugin::description::Description;
use codex_agent_shared::record::{RawRecord, Session};
use codex_agent_shared::schema::{WRITTEN, each};
use serde_json::Value;

use crate::machines::homes::Homes;
use crate::world::fake::{Fake, crash, wait_until};
use crate::world::schemas::{As, find_mismatch};
use crate::world::{World, bins, copy, data, json};

/// The records of one version: type and lines.
type Records = BTreeMap<String, Vec<String>>;

/// How many records of a type are kept.
const KEPT: usize = 24;

/// A session of the recorded home.
const SESSION: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";

/// A job that is started once, and the file with its claim.
const ONCE: &str = r#"{"type":"job","run":"docs-7","id":"a","prompt":"hello"}"#;
const CLAIMS: &str = "home/.local/state/codex-agent/claims/docs-7-19d9cc55440ad0ee.ndjson";

/// The result of a recording: the records, and the files that consist of records.
#[derive(Default)]
struct Recording {
    records: Records,
    files: BTreeMap<&'static str, String>,
}

impl Recording {
    /// Takes what was printed in a world, without what is of this machine.
    fn add(&mut self, world: &World, out: &str) {
        for line in portable(world, out).lines() {
            let record: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            let kind = record["type"].as_str().unwrap().to_owned();
            let kept = self.records.entry(kind).or_default();
            let is_new = || !kept.iter().any(|other| shape(other) == shape(line));
            if kept.len() < KEPT && is_new() {
                kept.push(line.to_owned());
            }
        }
    }

    fn add_file(&mut self, name: &'static str, world: &World, path: &Path) {
        self.files.insert(name, portable(world, &fs::read_to_string(path).unwrap()));
    }
}

/// Paths and the boot as they are on no machine.
fn portable(world: &World, text: &str) -> String {
    let real = fs::canonicalize(world.path("")).unwrap();
    let mut text = text.replace(real.to_str().unwrap(), "/tmp/golden");
    text = text.replace(world.path("").to_str().unwrap().trim_end_matches('/'), "/tmp/golden");
    text = text.replace(bins().to_str().unwrap(), "/usr/local/bin");
    if let Ok(boot) = fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        text = text.replace(boot.trim(), "00000000-0000-4000-8000-000000000000");
    }
    text
}

/// The fields of a record, and which of them are null.
fn shape(line: &str) -> BTreeSet<(String, bool)> {
    let mut fields = BTreeSet::new();
    fields_of(&serde_json::from_str(line).unwrap(), "", &mut fields);
    fields
}

/// A record whose fields are those of Codex.
const CODEX: [&str; 4] = [".usage", ".usage_before", ".event", ".failure.info"];

fn fields_of(value: &Value, path: &str, fields: &mut BTreeSet<(String, bool)>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        fields.insert((path.clone(), member.is_null()));
        if !CODEX.contains(&path.as_str()) {
            fields_of(member, &path, fields);
        }
    }
}

/// The fields that a type has in any of its records.
fn all_fields(lines: &[String]) -> BTreeSet<String> {
    lines.iter().flat_map(|line| shape(line)).map(|(path, _)| path).collect()
}

fn sessions(all: &mut Recording) {
    for home in ["0.169.0", "0.45.0"] {
        let world = World::with_home(home);
        all.add(&world, &world.ok(&["codex-agent-ls", "--json", "--full", "--archived", "--subagents"]));
        all.add(&world, &world.ok(&["codex-agent-ls", "--json"]));
    }
    let world = World::new();
    copy(&data("transcripts/0.171.0"), &world.codex_home());
    let manifest = fs::read_to_string(data("transcripts/0.171.0/manifest.tsv")).unwrap();
    for label in ["tools", "code", "failures", "compact", "cut", "agents", "misc"] {
        let id = manifest.lines().find_map(|line| line.strip_prefix(&format!("{label}\t"))).unwrap();
        let id = id.split('\t').next().unwrap();
        all.add(&world, &world.ok(&["codex-agent-show", id, "--json", "--undone"]));
    }
    all.add(&world, &world.ok(&["codex-agent-stats", "--json", "--by", "day,model"]));
    all.add(&world, &world.ok(&["codex-agent-grep", "--json", "[a-z]", "--in", "all"]));
    let world = World::with_home("0.169.0");
    let odd = "home/.codex/sessions/2026/11/22/rollout-2026-11-22T10-50-59-01a202e0-ffff-7000-8000-000000000000.jsonl";
    world.write(odd, "not a rollout\n");
    fs::remove_file(rollout(&world, SESSION)).unwrap();
    all.add(&world, &world.run(&["codex-agent-ls", "--check", "--json"]).out);
    let world = World::with_home("0.169.0");
    all.add(&world, &world.run(&["codex-agent-group", "create", "work", "--json"]).out);
    world.run(&["codex-agent-group", "add", "work", SESSION]);
    world.run(&["codex-agent-group", "create", "rest", "--description", "What is left"]);
    all.add(&world, &world.ok(&["codex-agent-group", "list", "--json"]));
    all.add_file("groups.json", &world, &world.config("groups.json"));
    world.script("stranger/codex-agent-foo", "#!/bin/sh\n");
    world.script("stranger/codex-agent-ls", "#!/bin/sh\n");
    let path = format!("{}:/usr/bin:/bin", world.path("stranger").display());
    let list = world.command("codex-agent").env("PATH", path).arg("--list=json").output().unwrap();
    all.add(&world, &String::from_utf8(list.stdout).unwrap());
    plugins(all);
    all.add(&world, &world.ok(&["codex-agent-ls", "--generate", "describe"]));
    all.add(&world, &world.ok(&["codex-agent-schema", "--json"]));
    all.add(&world, &world.ok(&["codex-agent-setup", "--json", "--dry-run", "--only", "man"]));
    world.write(
        "home/.config/codex-agent/config.toml",
        "[runs]\nkeep = \"7d\"\nkeap = 1\n[alias]\ntoday = \"ls --since 1d\"\nall = \"!codex-agent ls\"\n",
    );
    // Each tool also reports the problem of the file on standard error.
    all.add(&world, &world.run(&["codex-agent", "--list=json"]).out);
    all.add(&world, &world.run(&["codex-agent-config", "--json"]).out);
    all.add(&world, &world.run(&["codex-agent-config", "check", "--json"]).out);
    fs::remove_file(world.config("config.toml")).unwrap();
}

/// The description of an external tool, and its check.
fn plugins(all: &mut Recording) {
    let world = crate::plugin::world();
    world.script("bin/codex-agent-told", &crate::plugin::DESCRIBED.replace("1e400", "1"));
    world.script("bin/codex-agent-Told", "#!/bin/sh\n");
    all.add(&world, &world.ok(&["codex-agent", "plugin", "add", "told", "--json"]));
    all.add(&world, &world.ok(&["codex-agent", "plugin", "list", "--json"]));
    all.add(&world, &world.run(&["codex-agent", "plugin", "check", "told", "--only", "name", "--json"]).out);
    all.add_file("told.json", &world, &crate::plugin::own(&world, "told"));
}

fn runs(all: &mut Recording) {
    let fake = Fake::newest();
    let id = fake.begin("first");
    let tool = |words: &[&str]| fake.tool(words).out;
    all.add(&fake.0, &tool(&["resume", &id, "--print", "--json"]));
    let dry = ["--image", "a.png", "--sandbox", "read-only", "--dry-run"];
    fake.0.write("work/a.png", "");
    all.add(&fake.0, &tool(&[&["run"], &dry[..], &["look"]].concat()));
    all.add(&fake.0, &tool(&["resume", &id, "--prompt", "more", "--dry-run"]));
    let many = ["-p", "hello SHELL{echo hi}", "-p", "FAIL400", "-p", "DIES"];
    all.add(&fake.0, &tool(&[&["run", "--json", "--events", "--timeout", "1m"], &many[..]].concat()));
    all.add(&fake.0, &tool(&["resume", &id, "--prompt", "more", "--json"]));
    all.add(&fake.0, &tool(&["run", "-j1", "--max-failures", "1", "--json", "-p", "FAIL400", "-p", "never"]));
    all.add(&fake.0, &tool(&["run", "-j1", "--on-limit", "wait", "--json", "LIMIT2"]));
    // Another process has the session.
    let mut other = fake.start(&["resume", &id, "--prompt", "SLEEP30"]);
    fake.wait_for_sent(9);
    let run = fake.runs().pop().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    all.add(&fake.0, &tool(&["resume", &id, "--prompt", "x", "--new", "--on-busy", "skip", "--json"]));
    all.add(&fake.0, &tool(&["archive", &id, "--json"]));
    fake.good(&["run", "stop", &run, "--now"]);
    other.wait().unwrap();

    for prompt in ["one", "FAIL400", "later"] {
        all.add(&fake.0, &tool(&["queue", "add", "chores", "-p", prompt, "--json"]));
    }
    all.add(&fake.0, &tool(&["queue", "run", "chores", "--max-failures", "1", "--json"]));
    all.add(&fake.0, &tool(&["queue", "show", "chores", "--json"]));
    all.add(&fake.0, &tool(&["queue", "list", "--json"]));
    all.add_file("queues.json", &fake.0, &fake.0.config("queues.json"));
    all.add(&fake.0, &tool(&["run", "list", "--json"]));
    for (at, run) in fake.runs().iter().enumerate() {
        let journal = run.join("journal.ndjson");
        all.add(&fake.0, &fs::read_to_string(&journal).unwrap());
        if at == 0 {
            all.add_file("journal", &fake.0, &journal);
        }
    }

    let fake = Fake::newest();
    all.add(&fake.0, &fake.tool(&["run", "--json", "-p", "LIMIT3000", "-p", "after"]).out);
    all.add(&fake.0, &fake.good(&["status", "--json"]));
    let locks = fs::read_dir(fake.0.path("home/.local/state/codex-agent/locks")).unwrap().flatten();
    let limit = locks.map(|entry| entry.path()).find(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        name.starts_with("limit-") && !name.contains('.')
    });
    all.add_file("limit", &fake.0, &limit.unwrap());

    let fake = Fake::newest();
    fake.feed(&["run", "--jobs", "--once", "--json"], ONCE).succeeds();
    let claims = fake.0.path(CLAIMS);
    all.add_file("claims", &fake.0, &claims);
    all.add_file("journal.once", &fake.0, &fake.runs()[0].join("journal.ndjson"));
}

/// The events of a session, from its first turn to its end.
/// Runs on hosts, which are homes of this machine.
fn on_hosts(all: &mut Recording) {
    let homes = Homes::new(&["a"]);
    let said = homes.0.0.path("said");
    homes.add_script("heard", &format!("tee -a '{}' | \"$@\"", said.display()));
    homes.add_script("down", "exit 255");
    let mut add = |words: &[&str], prompt: &str| {
        let (_, events) = homes.run(words, &[prompt.to_owned()]);
        let events: String = events.iter().map(|event| format!("{event}\n")).collect();
        all.add(&homes.0.0, &events);
    };
    add(&["--on", "a"], "say hello");
    add(&["--on", "down"], "say hello");
    homes.run_on("a", &["run", "reach the LIMIT3600"]);
    add(&["--on", "a"], "say hello");
    let image = homes.0.0.write("picture.png", "picture");
    let words = ["--on", "heard", "--timeout", "1h", "--image", image.to_str().unwrap()];
    let mut runner = homes.start(&words, &["wait SLEEP60".to_owned()]);
    wait_until(|| homes.prompts("heard").len() == 1);
    let run = homes.newest()["id"].as_str().unwrap().to_owned();
    homes.0.good(&["run", "stop", "--now", &run]);
    runner.wait().unwrap();
    all.add(&homes.0.0, &fs::read_to_string(&said).unwrap());
    // A job that the worker does not know is not begun.
    let stop = "{\"type\":\"job.stop\",\"run\":\"r\",\"host\":\"a\",\"id\":\"1\",\"attempt\":1}\n";
    let hello = homes.0.feed(&["run", "--worker"], stop).out;
    all.add(&homes.0.0, hello.trim_start());
    all.add(&homes.0.0, &homes.run_on("a", &["run", "log", "--json"]).out);
}

fn watched(all: &mut Recording) {
    let fake = Fake::newest();
    let id = fake.begin("first");
    fake.good(&["group", "add", "g", &id]);
    let out = fake.0.path("watched");
    let mut watch = fake.started(&["group", "watch", "g", "--json"]);
    let mut watch = watch.stdout(fs::File::create(&out).unwrap()).stderr(Stdio::null()).spawn().unwrap();
    let records = || json(&whole_lines(&fs::read_to_string(&out).unwrap()));
    let until = |kind: &str| wait_until(|| records().iter().any(|record| record["type"] == kind));
    // The watcher is ready when it has printed an event.
    wait_until(|| {
        fake.resume(&id, "second SHELL{echo hi}");
        !records().is_empty()
    });
    let until_turn = |status: &str| {
        wait_until(|| records().iter().any(|record| record["type"] == "turn" && record["status"] == status));
    };
    until_turn("completed");
    fake.resume(&id, "FAIL400");
    until_turn("failed");
    let live = rollout(&fake.0, &id);
    let say = |path: &Path, payload: &str| {
        let at = "2026-11-26T10:00:00.000Z";
        let mut file = fs::File::options().append(true).open(path).unwrap();
        writeln!(file, r#"{{"timestamp":"{at}","type":"event_msg","payload":{payload}}}"#).unwrap();
    };
    say(&live, r#"{"type":"turn_aborted","turn_id":"t","reason":"interrupted"}"#);
    until_turn("interrupted");
    say(&live, r#"{"type":"thread_rolled_back","num_turns":1}"#);
    until("session.rolled_back");
    let archived = fake.0.codex_home().join("archived_sessions").join(live.file_name().unwrap());
    fs::create_dir_all(archived.parent().unwrap()).unwrap();
    fs::rename(&live, &archived).unwrap();
    until("session.archived");
    fs::rename(&archived, &live).unwrap();
    until("session.unarchived");
    // Codex continues a reverted session in another file.
    let name = live.file_stem().unwrap().to_str().unwrap();
    let segment = live.with_file_name(format!("{name}_00000000-0000-7000-8000-000000000001.jsonl"));
    let first = fs::read_to_string(&live).unwrap().lines().next().unwrap().to_owned();
    fs::write(&segment, first + "\n").unwrap();
    until("session.moved");
    fs::remove_file(&segment).unwrap();
    fs::remove_file(&live).unwrap();
    until("session.deleted");
    crash(&mut watch);
    let out = fs::read_to_string(&out).unwrap();
    fake.0.hold(&["codex-agent-group", "watch", "g", "--json"], b"", &out);
    all.add(&fake.0, &out);
}

fn whole_lines(text: &str) -> String {
    text[..text.rfind('\n').map_or(0, |end| end + 1)].to_owned()
}

/// The rollout of a session.
fn rollout(world: &World, id: &str) -> PathBuf {
    PathBuf::from(world.ok(&["codex-agent-find", id, "--format", "{rollout_path}"]).trim())
}

fn types() -> BTreeSet<String> {
    each(WRITTEN).unwrap().into_iter().map(|schema| schema.name).collect()
}

/// The golden records of a version.
fn kept(directory: &Path) -> Records {
    let mut all = Records::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if let Some(kind) = name.strip_suffix(".ndjson") {
            let text = fs::read_to_string(entry.path()).unwrap();
            all.insert(kind.to_owned(), text.lines().map(str::to_owned).collect());
        }
    }
    all
}

#[test]
fn golden_records_of_this_version_have_its_types_and_fields() {
    let mut recording = Recording::default();
    sessions(&mut recording);
    runs(&mut recording);
    watched(&mut recording);
    on_hosts(&mut recording);
    let now = recording.records;
    assert_eq!(now.keys().cloned().collect::<BTreeSet<_>>(), types(), "not every type was recorded");
    let directory = data("golden").join(env!("CARGO_PKG_VERSION"));
    let then = kept(&directory);
    let fields = |records: &Records| -> BTreeMap<String, BTreeSet<String>> {
        records.iter().map(|(kind, lines)| (kind.clone(), all_fields(lines))).collect()
    };
    let (now_fields, then_fields) = (fields(&now), fields(&then));
    if now_fields == then_fields {
        return;
    }
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::create_dir_all(&directory).unwrap();
        for (kind, lines) in &now {
            fs::write(directory.join(format!("{kind}.ndjson")), lines.join("\n") + "\n").unwrap();
        }
        for (name, text) in &recording.files {
            fs::write(directory.join(name), text).unwrap();
        }
        return;
    }
    for kind in now_fields.keys().chain(then_fields.keys()).collect::<BTreeSet<_>>() {
        assert_eq!(then_fields.get(kind), now_fields.get(kind), "{kind}: UPDATE=1 records it anew");
    }
}

/// The directories of all versions.
fn versions() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(data("golden")).unwrap().flatten().map(|e| e.path()).collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

#[test]
fn old_records_fit_the_schemas_of_today_and_are_read_by_its_types() {
    for version in versions() {
        let all = kept(&version);
        for (kind, lines) in &all {
            for line in lines {
                let record: Value = serde_json::from_str(line).unwrap();
                assert_eq!(record["type"], kind.as_str(), "{line}");
                assert_eq!(find_mismatch(&record, As::Ever), None, "{line}");
                let foreign = RawRecord::new(serde_json::from_str(line).unwrap()).unwrap();
                assert_eq!((foreign.kind.as_deref(), foreign.text.get()), (Some(&**kind), &**line));
                match kind.as_str() {
                    "session" => {
                        let session: Session<'_> = serde_json::from_str(line).unwrap();
                        // The written record has at least the fields of the read one.
                        let again = serde_json::to_value(&session).unwrap();
                        let lost = |(name, value): &(&String, &Value)| again.get(name) != Some(value);
                        let record = record.as_object().unwrap();
                        assert_eq!(record.iter().find(lost), None, "{line}");
                    }
                    "job" => {
                        let job = serde_json::from_str::<Job>(line).unwrap().validate().unwrap();
                        assert_eq!(record["prompt"], job.prompt.as_str());
                        assert_eq!(find_mismatch(&record, As::Read), None, "{line}");
                    }
                    "prompt" => assert_eq!(find_mismatch(&record, As::Read), None, "{line}"),
                    kind if record.get("v").is_some() && kind != "job.event" => {
                        let event: Event = serde_json::from_str(line).unwrap();
                        assert_eq!(event.what.type_name(), kind);
                        let again = serde_json::to_value(&event).unwrap();
                        let lost = |(name, value): &(&String, &Value)| again.get(name) != Some(value);
                        assert_eq!(record.as_object().unwrap().iter().find(lost), None, "{line}");
                    }
                    _ => {}
                }
            }
        }
        let mut entries = 0;
        JournalReader::open(&version.join("journal"))
            .unwrap()
            .read(|entry| {
                entries += usize::from(matches!(entry, Entry::Job(..) | Entry::Event(_)));
                Ok(())
            })
            .unwrap();
        let journal = fs::read_to_string(version.join("journal")).unwrap();
        assert_eq!(entries, journal.lines().count());
        for line in json(&journal) {
            assert_eq!(find_mismatch(&line, As::Ever), None, "{line}");
        }
        let read = |name: &str| fs::read_to_string(version.join(name)).unwrap();
        assert!(!serde_json::from_str::<Groups>(&read("groups.json")).unwrap().groups.is_empty());
        assert!(!serde_json::from_str::<Queues>(&read("queues.json")).unwrap().queues.is_empty());
        assert!(Description::parse(read("told.json").as_bytes(), "told").unwrap().has("man"));
    }
}

#[test]
fn old_records_and_files_are_read_by_the_tools() {
    for version in versions() {
        let read = |name: &str| fs::read_to_string(version.join(name)).unwrap();
        let home = World::with_home("0.169.0");
        // The sessions of this home.
        let mut ids = BTreeSet::new();
        let known: String = read("session.ndjson")
            .lines()
            .filter(|line| line.contains(r#""id":"01a202e0-"#))
            .filter(|line| ids.insert(json(line)[0]["id"].to_string()))
            .map(|line| format!("{line}\n"))
            .collect();
        let count = known.lines().count();
        assert!(count > 1, "{known}");
        let ran = home.feed(&["codex-agent-find", "--json", "--archived"], &known);
        ran.succeeds();
        assert_eq!(ran.out.lines().count(), count, "{}", ran.err);
        let ran = home.feed(&["codex-agent-group", "add", "old", "--json", "-"], &known);
        ran.succeeds().prints(known.as_str());

        let fake = Fake::newest();
        let state = "home/.local/state/codex-agent";
        fake.0.write("home/.config/codex-agent/groups.json", read("groups.json"));
        fake.0.write("home/.config/codex-agent/queues.json", read("queues.json"));
        let journal = read("journal");
        let run = json(&journal)[1]["run"].as_str().unwrap().to_owned();
        fake.0.write(&format!("{state}/runs/{run}/journal.ndjson"), &journal);
        assert_eq!(
            fake.good(&["group", "list", "--json"]).lines().count(),
            read("group.ndjson").lines().count()
        );
        assert_eq!(json(&fake.good(&["queue", "list", "--json"]))[0]["name"], "chores");
        assert!(fake.shown("chores").len() == 3);
        let log = json(&fake.good(&["run", "log", &run, "--json"]));
        assert!(log.iter().any(|event| event["type"] == "job.completed"));
        assert_eq!(json(&fake.good(&["run", "list", "--json"]))[0]["state"], "finished");
        let once = read("journal.once");
        let run = json(&once)[1]["run"].as_str().unwrap().to_owned();
        fake.0.write(&format!("{state}/runs/{run}/journal.ndjson"), &once);
        fake.0.write(CLAIMS, read("claims"));
        fake.feed(&["run", "--jobs", "--once", "--answers"], ONCE).succeeds().prints("echo: hello\n");
        assert_eq!(fake.sent().len(), 0, "a job of an older release is known");
        let prompts = read("prompt.ndjson");
        let ran = fake.feed(&["queue", "add", "new", "-"], &prompts);
        ran.succeeds();
        let told = |records: &str| -> Vec<String> {
            json(records).iter().map(|record| record["prompt"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(fake.each("new", "prompt"), told(&prompts));
        let ran = fake.feed(&["run", "--dry-run", "-"], &prompts);
        ran.succeeds();
        assert_eq!(told(&ran.out), told(&prompts), "{}", ran.err);
        let jobs = read("job.ndjson");
        fake.0.write("work/a.png", "");
        // Each is the job of another run, and has the name that it had there.
        for job in jobs.lines() {
            let ran = fake.feed(&["run", "--jobs", "--dry-run"], job);
            ran.succeeds();
            assert_eq!(told(&ran.out), told(job), "{}", ran.err);
        }
        let limit = read("limit");
        let name = format!("{state}/locks/limit-0123456789abcdef");
        fake.0.write(&name, &limit);
        let status = fake.good(&["status", "--json"]);
        let limits: Vec<Value> = json(&status).into_iter().filter(|r| r["type"] == "limit").collect();
        assert_eq!(limits.len(), 1, "{status}");
    }
}
