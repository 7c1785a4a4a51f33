//! Rollouts that are greater than the memory, and a file that never answers. CODEX_AGENT_TEST_LONG=1 makes files of up to
//! 10 GB, most of which are holes; without optimisation of 1 GB, which takes as long.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::shown;
use crate::world::World;
use crate::world::terminal::{Terminal, without_escapes};

const PARENT: &str = "01a2220e-0000-7000-8000-00000000000a";
const COPY: &str = "01a2220e-1000-7000-8000-00000000000b";
const CHAINED: &str = "01a2220e-1000-7000-8000-00000000000c";
const SILENT: &str = "01a2220e-1000-7000-8000-00000000000d";

const GIGABYTE: u64 = 1 << 30;
/// The memory that a reader of any file may have, in KiB: 32 MiB, and half as much again without optimisation.
const MOST: u64 = if cfg!(debug_assertions) { 48 << 10 } else { 32 << 10 };

fn line(kind: &str, payload: &Value) -> String {
    format!("{}\n", json!({"timestamp": "2026-11-28T12:08:15.000Z", "type": kind, "payload": payload}))
}

fn meta(id: &str, more: &Value) -> String {
    let mut payload = json!({"id": id, "timestamp": "2026-11-28T12:08:14.000Z", "cwd": "/p"});
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line("session_meta", &payload)
}

/// A turn with a question, an answer, and a count of tokens.
fn talk(number: u64, id: &str, text: &str) -> String {
    let usage = |input: u64| json!({"input_tokens": input, "output_tokens": 1, "total_tokens": input + 1});
    let info = json!({"total_token_usage": usage(number + 1), "last_token_usage": usage(1)});
    let start = line("event_msg", &json!({"type": "task_started", "turn_id": id}));
    let context = line("turn_context", &json!({"turn_id": id, "cwd": "/p", "model": "m"}));
    let events = [
        json!({"type": "user_message", "message": format!("ask {text}")}),
        json!({"type": "agent_message", "message": format!("say {text}"), "phase": "final_answer"}),
        json!({"type": "token_count", "info": info}),
        json!({"type": "task_complete", "turn_id": id, "last_agent_message": text}),
    ]
    .map(|payload| line("event_msg", &payload));
    start + &context + &events.concat()
}

/// The id of a turn of the parent, and of a fork.
fn turn(number: u64) -> String {
    format!("01a2220e-{:04x}-7000-8000-{number:012x}", 0x200 + number.min(0x800))
}

fn own(number: u64) -> String {
    format!("01a2220e-2000-7000-8000-{number:012x}")
}

/// A file that is written with holes, which need no space on the disk.
struct Sparse {
    file: BufWriter<File>,
    path: PathBuf,
    length: u64,
}

impl Sparse {
    fn create(world: &World, id: &str) -> Sparse {
        let name = format!("home/.codex/sessions/2026/11/28/rollout-2026-11-28T12-08-14-{id}.jsonl");
        let path = world.write(&name, "");
        Sparse { file: BufWriter::new(File::options().write(true).open(&path).unwrap()), path, length: 0 }
    }

    fn write(&mut self, text: &str) {
        self.file.write_all(text.as_bytes()).unwrap();
        self.length += text.len() as u64;
    }

    fn hole(&mut self, length: u64) {
        use std::io::{Seek, SeekFrom};
        self.length += length;
        self.file.seek(SeekFrom::Start(self.length)).unwrap();
    }

    fn end(mut self) -> u64 {
        self.file.flush().unwrap();
        fs::metadata(&self.path).unwrap().len()
    }
}

/// The number of bytes that a command reads, its program and libraries included: the system adds what a child read to
/// what the shell that waited for it did. `None` where the system does not count.
fn bytes_read(world: &World, words: &[&str]) -> Option<(String, u64)> {
    Path::new("/proc/self/io").exists().then_some(())?;
    let line =
        format!("{} && echo ---- && while read -r line; do echo $line; done </proc/$$/io", words.join(" "));
    let mut command = world.command("sh");
    command.args(["-c", &line]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out = String::from_utf8(output.stdout).unwrap();
    let (out, counts) = out.rsplit_once("----\n").unwrap();
    let read = counts.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    Some((out.to_owned(), read.parse().unwrap()))
}

/// The output of a command, and the memory that it had at most, in KiB. `None` where the system does not count.
fn memory(world: &World, words: &[&str]) -> Option<(Vec<u8>, u64)> {
    Path::new("/proc/self/status").exists().then_some(())?;
    let mut command = world.command(words[0]);
    command.args(&words[1..]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        out.read_to_end(&mut all).unwrap();
        all
    });
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.trim().strip_suffix(" kB")).map(|peak| peak.parse().unwrap());
        most = peak.unwrap_or(0).max(most);
        std::thread::sleep(Duration::from_millis(5));
    }
    Some((reader.join().unwrap(), most))
}

/// The end of a rollout of a gigabyte, of its copied fork, and of a fork that continues it, without the rest.
#[test]
fn the_end_of_a_gigabyte_is_found_by_reading_little() {
    let world = World::new();
    let mut parent = Sparse::create(&world, PARENT);
    parent.write(&(meta(PARENT, &json!({})) + &talk(1, &turn(1), "first")));
    parent.hole(GIGABYTE);
    parent.write("\n");
    (2..40).for_each(|number| parent.write(&talk(number, &turn(number), &number.to_string())));
    let end = parent.end();
    assert!(end > GIGABYTE);
    let mut copy = Sparse::create(&world, COPY);
    copy.write(&(meta(COPY, &json!({"forked_from_id": PARENT})) + &meta(PARENT, &json!({}))));
    copy.write(&talk(1, &turn(1), "first"));
    for _ in 0..64 {
        copy.hole(GIGABYTE / 64);
        copy.write("\n");
    }
    (2..40).for_each(|number| copy.write(&talk(number, &turn(number), &number.to_string())));
    copy.write(&talk(40, &own(1), "copied"));
    copy.end();
    let base =
        json!({"history_base": {"thread_id": PARENT, "end_byte_offset": end}, "history_mode": "paginated"});
    let mut chained = Sparse::create(&world, CHAINED);
    chained.write(&(meta(CHAINED, &base) + &talk(40, &own(2), "chained")));
    chained.end();
    let mut silent = Sparse::create(&world, SILENT);
    silent.write(&meta(SILENT, &base));
    silent.end();
    for (id, last) in [(PARENT, "39"), (COPY, "copied"), (CHAINED, "chained")] {
        for words in [&["--final"][..], &["-n", "1"], &["-n", "1", "--json"], &["-n", "3", "--oneline"]] {
            let words = [&["codex-agent-show", id], words].concat();
            let Some((out, read)) = bytes_read(&world, &words) else {
                eprintln!("SKIPPED: this system does not count the bytes that a process reads");
                return;
            };
            assert!(out.contains(last), "{words:?}: {out}");
            assert!(read < 2 << 20, "{words:?} read {read} bytes");
        }
    }
    // A fork without a turn has the status of the part that it continues, and the directory of its first line.
    for words in [&["--status", "idle"][..], &["--full"], &["--format", "{status} {cwd}"]] {
        let words = [&["codex-agent-ls"], words].concat();
        let line = words.join(" ").replace("{status} {cwd}", "'{status} {cwd}'");
        let (out, read) = bytes_read(&world, &[&line]).unwrap();
        assert_eq!(out.lines().count(), 4, "{out}");
        assert!(read < 2 << 20, "{words:?} read {read} bytes");
    }
    // Without the base only the earlier turns are missing.
    let found = crate::world::json(&shown(&world, &[CHAINED, "--json", "-n", "2"]));
    let texts: Vec<&str> = found.iter().filter_map(|one| one["text"].as_str()).collect();
    assert_eq!(texts, ["ask 39", "say 39", "ask chained", "say chained"]);
}

/// On a terminal the first screen of a long session is there before the file has been searched for rollbacks. Here they
/// undo what it shows, or what comes after it.
#[test]
fn a_rollback_at_the_end_of_a_long_session_corrects_the_first_screen() {
    let world = World::new();
    let mut rollout = Sparse::create(&world, PARENT);
    rollout.write(&(meta(PARENT, &json!({})) + &talk(1, &turn(1), "first") + &talk(2, &turn(2), "second")));
    for _ in 0..400 {
        rollout.hole(96 << 10);
        rollout.write("\n");
    }
    let path = rollout.path.clone();
    rollout.end();
    let screen = |rows: u16, pager: &str, words: &[&str]| {
        let mut command = world.command("codex-agent-show");
        command.arg(PARENT).args(words).env("CODEX_AGENT_PAGER", pager);
        let (text, code) = Terminal::open(command, 80, rows).end();
        assert_eq!(code, 0, "{text}");
        without_escapes(&text)
    };
    let append = |lines: &str| {
        File::options().append(true).open(&path).unwrap().write_all(lines.as_bytes()).unwrap();
    };
    let back = |count: u64| line("event_msg", &json!({"type": "thread_rolled_back", "num_turns": count}));
    // The first turn fills the screen and stands; the second one has not begun when that is known.
    append(&back(1));
    let plain = shown(&world, &[PARENT]);
    assert!(plain.contains("say first") && !plain.contains("second"), "{plain}");
    assert_eq!(screen(6, "cat -u", &[]), plain);
    append(&(back(1) + &talk(3, &turn(3), "third")));
    let plain = shown(&world, &[PARENT]);
    assert!(!plain.contains("say first") && plain.contains("say third"), "{plain}");
    for (pager, words, how) in [
        ("cat -u", &[][..], "without them"),
        ("cat", &[], "without them"),
        ("cat -u", &["--undone"], "with these turns marked"),
    ] {
        let plain = shown(&world, &[&[PARENT], words].concat());
        let notice = format!("\nTurns were rolled back later.\nThe transcript {how}:\n\n");
        // A machine that has much to do may have searched the file before the first turn is read.
        let is_corrected = (0..20).any(|_| {
            let all = screen(6, pager, words);
            let (before, after) = all.split_once(&notice).unwrap_or(("say first", &all));
            assert_eq!(after, plain);
            assert!(before.contains("say first") && !before.contains("second"), "{before}");
            after != all
        });
        assert!(is_corrected, "{pager} {words:?}");
    }
    // What is not written yet is taken back, and a turn that is named is the one that stands.
    assert_eq!(screen(200, "cat -u", &[]), plain);
    let named = screen(6, "cat -u", &["--turns", "1"]);
    assert!(!named.contains("say first") && named.ends_with("say third\n"), "{named}");
}

/// The prompt is back when the pager is left, before the rest of a long session is read.
#[test]
fn a_pager_that_is_left_ends_the_reading() {
    let world = World::new();
    let mut rollout = Sparse::create(&world, PARENT);
    rollout.write(&meta(PARENT, &json!({})));
    for number in 1..80 {
        rollout.write(&talk(number, &turn(number), "many"));
        rollout.hole(if number > 16 { 1 << 20 } else { 0 });
        rollout.write("\n");
    }
    rollout.end();
    let Some((_, all)) = bytes_read(&world, &["codex-agent-show", PARENT]) else {
        eprintln!("SKIPPED: this system does not count the bytes that a process reads");
        return;
    };
    assert!(all > 64 << 20, "{all}");
    for words in ["", "--json"] {
        let line = format!(
            "codex-agent-show {PARENT} {words}; while read -r line; do echo $line; done </proc/$$/io"
        );
        let mut command = world.command("sh");
        command.args(["-c", &line]).env("CODEX_AGENT_PAGER", "head -n 3");
        let (text, code) = Terminal::open(command, 80, 6).end();
        let read = text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
        assert!(code == 0 && read.parse::<u64>().unwrap() < all / 4 * 3, "{words}: {text}");
        println!("{words} {read} of {all}");
    }
}

/// A pipe in place of a rollout, which would never answer.
#[test]
fn a_file_that_never_answers_stops_nothing() {
    let world = World::new();
    let mut rollout = Sparse::create(&world, PARENT);
    rollout.write(&(meta(PARENT, &json!({})) + &talk(1, &turn(1), "first")));
    rollout.end();
    let folder = world.codex_home().join("sessions/2026/11/28");
    let pipe = |id: &str| folder.join(format!("rollout-2026-11-28T12-08-14-{id}.jsonl"));
    assert!(world.command("mkfifo").args([pipe(COPY), pipe(CHAINED)]).status().unwrap().success());
    // A base that never answers, and a directory that is named like a rollout.
    let base =
        json!({"history_base": {"thread_id": COPY, "end_byte_offset": 9}, "history_mode": "paginated"});
    let child = "01a2220e-3000-7000-8000-00000000000d";
    let mut rollout = Sparse::create(&world, child);
    rollout.write(&(meta(child, &base) + &talk(1, &own(1), "second")));
    rollout.end();
    fs::create_dir(pipe("01a2220e-4000-7000-8000-00000000000e")).unwrap();
    let run = |words: &[&str]| world.run(&[&["timeout", "20"], words].concat());
    run(&["codex-agent-show", PARENT, "--final"]).succeeds().prints("say first\n");
    run(&["codex-agent-show", COPY]).exits(1).prints("").reports(format!("no session '{COPY}'"));
    let ran = run(&["codex-agent-show", child]);
    ran.succeeds().shows("say second").reports(format!("there is no rollout of {COPY}"));
    let listed = run(&["codex-agent-ls", "--format", "{id}"]);
    assert_eq!(listed.succeeds().out.lines().count(), 2, "{}", listed.out);
    let counted = run(&["codex-agent-stats", "--by", "session", "--json"]);
    assert_eq!(counted.succeeds().out.lines().count(), 2, "{}", counted.out);
}

/// Whether the long form runs, and the disk has room for what is not a hole.
fn is_long() -> bool {
    if !crate::world::is_long() {
        return false;
    }
    let free = rustix::fs::statvfs(std::env::temp_dir()).unwrap();
    let free = free.f_bavail * free.f_frsize;
    if free < 20 * GIGABYTE {
        eprintln!("SKIPPED: less than 20 GB are free in '{}'", std::env::temp_dir().display());
    }
    free >= 20 * GIGABYTE
}

/// Everything that makes a rollout great: a history that is repeated, images, one long line, many turns.
#[test]
fn a_great_file_is_read_in_little_memory() {
    // The short form has a hundredth of everything.
    let is_long = is_long();
    let divisor = match is_long {
        true if cfg!(debug_assertions) => 10,
        true => 1,
        false => 100,
    };
    let part = |whole: u64| whole / divisor;
    let world = World::new();
    let mut rollout = Sparse::create(&world, PARENT);
    rollout.write(&meta(PARENT, &json!({})));
    rollout.write(&talk(1, &turn(1), "first"));
    let with_hole = |rollout: &mut Sparse, payload: Value, kind: &str, length: u64| {
        let text = line(kind, &payload);
        let (before, after) = text.split_once("@hole").unwrap();
        rollout.write(before);
        rollout.hole(length);
        rollout.write(after);
    };
    let history = json!({"message": "short", "replacement_history": [{"text": "@hole"}, {"text": "x"}]});
    with_hole(&mut rollout, history.clone(), "compacted", part(GIGABYTE));
    with_hole(&mut rollout, history, "compacted", 18 << 20);
    rollout.write(&talk(2, &turn(2), "second"));
    let data = format!("data:image/png;base64,{}@hole", "A".repeat(100));
    let image = json!({"type": "user_message", "message": "see", "images": [data]});
    rollout.write(&line("event_msg", &json!({"type": "task_started", "turn_id": turn(3)})));
    for _ in 0..part(300) {
        with_hole(&mut rollout, image.clone(), "event_msg", 20 << 20);
    }
    rollout.write(&line("event_msg", &json!({"type": "agent_message", "message": "seen"})));
    rollout.write(&line(
        "event_msg",
        &json!({"type": "task_complete", "turn_id": turn(3), "last_agent_message": "seen"}),
    ));
    // A line that is no JSON, and one that is text to its end.
    rollout.hole(part(GIGABYTE));
    rollout.write("\n");
    let item = json!({"type": "agent_message", "message": "@hole"});
    let (text, block) = (line("event_msg", &item), "long ".repeat(200_000));
    let (before, after) = text.split_once("@hole").unwrap();
    rollout.write(before);
    (0..part(GIGABYTE) >> 20).for_each(|_| rollout.write(&block));
    rollout.write(after);
    let turns = part(1_000_000);
    (4..turns).for_each(|number| rollout.write(&talk(number, &turn(number), "many")));
    rollout.write(&talk(turns, &turn(turns), "the end"));
    let size = rollout.end();
    assert!(!is_long || size > part(9 * GIGABYTE), "{size}");
    for words in [
        &["codex-agent-show", PARENT, "--oneline"][..],
        &["codex-agent-show", PARENT, "--json"],
        &["codex-agent-show", PARENT],
        &["codex-agent-show", PARENT, "--final"],
        &["codex-agent-stats", "--json"],
    ] {
        let Some((out, most)) = memory(&world, words) else {
            eprintln!("SKIPPED: this system does not count the memory of a process");
            return;
        };
        println!("{words:?}: {most} KiB, {} bytes", out.len());
        assert!(most < MOST, "{words:?} had {most} KiB");
        let has = |word: &str| out.windows(word.len()).any(|window| window == word.as_bytes());
        match words[0] {
            "codex-agent-stats" => {
                assert!(has(&format!("\"turns\":{turns},")), "{}", String::from_utf8_lossy(&out))
            }
            _ => assert!(has("the end"), "{words:?}"),
        }
    }
}
