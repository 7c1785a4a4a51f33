//! The state that an older release left is continued by today's executables, and each prompt is sent once over both.
//!
//! `tests/data/state-0.1.0` is of the first executables with the version 0.1.0, Codex 0.171.0 and the model of
//! `tests/world/model.rs`: a run and a queue of six prompts, whose runner got SIGKILL during the turn of the third.
//! In `*-cut` its Codex was killed too, in `*-left` it completed the turn. `sent` has what the model received.
//! `@WORLD@`, `@BOOT@` and `@CODEX@` are replaced by the directory, the boot and the executable of the test;
//! Codex's own instruction texts are blanks of the same length.

use std::fs;
use std::path::Path;

use codex_agent_engine::liveness;
use serde_json::{Map, Value, json};

use crate::world::fake::{Fake, of_type};
use crate::world::real::Real;
use crate::world::{World, copy, data, json as records};

const PROMPTS: [&str; 6] =
    ["old prompt 1", "old prompt 2", "old prompt 3 SLEEP0", "old prompt 4", "old prompt 5", "old prompt 6"];

/// The boot of the old processes: the present one, and an earlier one.
const BOOTS: [bool; 2] = [true, false];

/// A world that an older release left.
struct Old<'w> {
    world: &'w World,
    name: &'static str,
    /// The prompts that the model of this test received.
    received: &'w dyn Fn() -> Vec<String>,
}

impl<'w> Old<'w> {
    fn new(
        world: &'w World,
        codex: &Path,
        (name, is_this_boot): (&'static str, bool),
        received: &'w dyn Fn() -> Vec<String>,
    ) -> Old<'w> {
        // Fields that were added later are missing in its journal.
        world.foreign();
        let boot = if is_this_boot { liveness::boot_id().unwrap() } else { "another boot".to_owned() };
        let codex = codex.to_str().unwrap();
        for (from, to) in
            [("codex", ".codex"), ("config", ".config/codex-agent"), ("state", ".local/state/codex-agent")]
        {
            let to = world.path("home").join(to);
            copy(&data(&format!("state-0.1.0/{name}/{from}")), &to);
            fill(
                &to,
                &[
                    ("@WORLD@", world.path(".").to_str().unwrap().trim_end_matches("/.")),
                    ("@BOOT@", &boot),
                    ("@CODEX@", codex),
                    // The kill hit in these four seconds, which need not pass again.
                    ("SLEEP4", "SLEEP0"),
                ],
            );
        }
        Old { world, name, received }
    }

    fn json(&self, words: &[&str]) -> Vec<Value> {
        records(&self.world.ok(&[words, &["--json"]].concat()))
    }

    /// The prompts that the model received from old and new executables, sorted.
    fn sent(&self) -> Vec<String> {
        let before = fs::read_to_string(data(&format!("state-0.1.0/{}/sent", self.name)))
            .unwrap()
            .replace("SLEEP4", "SLEEP0");
        let mut sent: Vec<String> = before.lines().map(str::to_owned).chain((self.received)()).collect();
        sent.sort();
        sent
    }

    /// How many of the six prompts are interrupted.
    fn interrupted(&self) -> u64 {
        u64::from(self.name.ends_with("-cut"))
    }

    fn continue_run(&self) {
        let run = |state: &str, pending: u64, running: u64, completed: u64, failed: u64| {
            let listed = self.json(&["codex-agent-run", "list"]);
            assert_eq!((listed.len(), &listed[0]["state"]), (1, &json!(state)), "{listed:?}");
            let want = json!({"pending": pending, "running": running, "completed": completed, "failed": failed, "skipped": 0});
            assert_eq!(listed[0]["counts"], want, "{}", self.name);
        };
        run("dead", 3, 1, 2, 0);
        let id = self.json(&["codex-agent-run", "list"])[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(of_type(&self.json(&["codex-agent-run", "log", &id]), "job.completed").len(), 2);
        assert!((self.received)().is_empty(), "a listing sent something");
        let ran = self.world.run(&["codex-agent-run", "continue", "--json"]);
        assert_eq!(
            (ran.code as u64, self.sent()),
            (self.interrupted(), PROMPTS.map(str::to_owned).to_vec()),
            "{}",
            ran.err
        );
        run("finished", 0, 0, 6 - self.interrupted(), self.interrupted());
        let log = self.json(&["codex-agent-run", "log", &id]);
        assert_eq!(of_type(&log, "job.completed").len() as u64, 6 - self.interrupted());
        let classes =
            of_type(&log, "job.failed").iter().map(|e| e["failure"]["class"].clone()).collect::<Vec<_>>();
        assert_eq!(classes, vec![json!("interrupted"); self.interrupted() as usize]);
        self.world.run(&["codex-agent-run", "continue", &id]);
        assert_eq!(self.sent(), PROMPTS, "a finished run sent something again");
    }

    fn statuses(&self, queue: &str) -> Vec<String> {
        let shown = self.json(&["codex-agent-queue", "show", queue]);
        of_type(&shown, "prompt").iter().map(|prompt| prompt["status"].as_str().unwrap().to_owned()).collect()
    }

    fn continue_queue(&self) {
        let before = self.statuses("night");
        assert_eq!(
            (before.len(), &before[0][..], &before[3..]),
            (6, "completed", &["pending"; 3].map(str::to_owned)[..])
        );
        assert!((self.received)().is_empty(), "a listing sent something");
        let ran = self.world.run(&["codex-agent-queue", "run", "night", "--json"]);
        assert_eq!(
            (ran.code as u64, self.sent()),
            (self.interrupted(), PROMPTS.map(str::to_owned).to_vec()),
            "{}",
            ran.err
        );
        let third = if self.interrupted() == 1 { "failed" } else { "completed" };
        let want = ["completed", "completed", third, "completed", "completed", "completed"];
        assert_eq!(self.statuses("night"), want);
        self.world.run(&["codex-agent-queue", "run", "night"]);
        assert_eq!(self.sent(), PROMPTS, "a drained queue sent something again");
        assert_eq!(self.statuses("later"), ["pending"]);
        // Only a request sends the interrupted prompt again.
        self.world.run(&["codex-agent-queue", "retry", "night", "--failed"]);
        self.world.run(&["codex-agent-queue", "run", "night"]).succeeds();
        let again = self.sent().iter().filter(|text| *text == PROMPTS[2]).count() as u64;
        assert_eq!((again, self.sent().len() as u64), (1 + self.interrupted(), 6 + self.interrupted()));
        assert_eq!(self.statuses("night"), ["completed"; 6]);
    }

    fn continue_it(&self) {
        if self.name.starts_with("run") {
            self.continue_run()
        } else {
            self.continue_queue()
        }
        let group = self.json(&["codex-agent-group", "show", "kept"]);
        let session = group[0]["session_ids"][0].as_str().unwrap();
        assert_eq!(self.json(&["codex-agent-find", "--one", session])[0]["title"], PROMPTS[0]);
    }
}

/// Replaces words in all files below a directory.
fn fill(directory: &Path, words: &[(&str, &str)]) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            fill(&entry.path(), words);
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap();
        let filled = words.iter().fold(text.clone(), |text, (from, to)| text.replace(from, to));
        if filled != text {
            fs::write(entry.path(), filled).unwrap();
        }
    }
}

/// A world with the fake Codex, and the directory of the old prompts.
fn faked() -> Fake {
    let fake = Fake::newest();
    fs::create_dir(fake.0.path("alpha")).unwrap();
    fake
}

#[test]
fn a_state_of_0_1_0_is_continued_and_each_prompt_is_sent_once() {
    for name in ["run-cut", "run-left", "queue-cut", "queue-left"] {
        for boot in BOOTS {
            let fake = faked();
            let received = || fake.prompts();
            Old::new(&fake.0, &fake.0.path("bin/codex"), (name, boot), &received).continue_it();
        }
    }
}

#[test]
fn a_state_of_0_1_0_is_continued_with_the_real_codex() {
    for (name, boot) in [("run-cut", true), ("run-left", false), ("queue-cut", false), ("queue-left", true)] {
        let Some(codex) = Real::new() else { return };
        let received = || codex.seen();
        Old::new(&codex.world, &codex.codex, (name, boot), &received).continue_it();
    }
}

#[test]
fn a_run_of_0_1_0_that_died_after_any_line_of_its_journal_sends_each_prompt_once() {
    let mut moments = 0;
    for name in ["run-cut", "run-left"] {
        for boot in BOOTS {
            for lines in 8.. {
                let fake = faked();
                let received = || fake.prompts();
                let old = Old::new(&fake.0, &fake.0.path("bin/codex"), (name, boot), &received);
                let folder = fake.runs().pop().unwrap();
                let text = fs::read_to_string(folder.join("journal.ndjson")).unwrap();
                if lines > text.lines().count() {
                    break;
                }
                let kept: Vec<Value> = records(&text).into_iter().take(lines).collect();
                fs::write(
                    folder.join("journal.ndjson"),
                    kept.iter().map(|line| format!("{line}\n")).collect::<String>(),
                )
                .unwrap();
                // A job that was not spawned has no output, and the model has not received its prompt.
                let is_of =
                    |kind: &str, n: usize| of_type(&kept, kind).iter().any(|line| line["number"] == n);
                let spawned: Vec<usize> = (1..=6).filter(|n| is_of("job.spawned", *n)).collect();
                for n in (1..=3).filter(|n| !spawned.contains(n)) {
                    fs::remove_dir_all(folder.join(format!("jobs/{n}"))).unwrap();
                }
                let ran = fake.0.run(&["codex-agent-run", "continue", "--json"]);
                let sent = fake.prompts();
                let about = format!("{name} {boot} {lines}: {} {sent:?}", ran.err);
                let log =
                    old.json(&["codex-agent-run", "log", folder.file_name().unwrap().to_str().unwrap()]);
                for (n, prompt) in (1..).zip(PROMPTS) {
                    let times = sent.iter().filter(|text| *text == prompt).count()
                        + usize::from(spawned.contains(&n));
                    // The disk may have lost the output of a claim in an earlier boot, so the claim is reported instead.
                    let is_lost = !boot && is_of("job.started", n) && !spawned.contains(&n);
                    assert_eq!(times, usize::from(!is_lost), "{prompt}: {about}");
                    let ends =
                        |kind: &str| of_type(&log, kind).iter().filter(|line| line["number"] == n).count();
                    assert_eq!(ends("job.completed") + ends("job.failed"), 1, "{prompt}: {about}");
                    let is_cut = name == "run-cut" && n == 3 && spawned.contains(&3);
                    assert_eq!(ends("job.failed"), usize::from(is_lost || is_cut), "{prompt}: {about}");
                }
                moments += 1;
            }
        }
    }
    println!("{moments} moments");
    assert!(moments >= 40, "{moments}");
}

/// Adds a key that no release has to each object.
fn add_unknown(value: &mut Value, count: &mut u64) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(|value| add_unknown(value, count)),
        Value::Object(object) => {
            object.values_mut().for_each(|value| add_unknown(value, count));
            *count += 1;
            object.insert("x-later".into(), json!({"n": count}));
        }
        _ => {}
    }
}

/// The values of that key.
fn unknown(value: &Value) -> Vec<u64> {
    let of_object = |object: &Map<String, Value>| {
        object
            .iter()
            .flat_map(|(key, value)| match key.as_str() {
                "x-later" => vec![value["n"].as_u64().unwrap()],
                _ => unknown(value),
            })
            .collect()
    };
    match value {
        Value::Array(all) => all.iter().flat_map(unknown).collect(),
        Value::Object(object) => of_object(object),
        _ => Vec::new(),
    }
}

#[test]
fn the_queues_of_0_1_0_keep_the_keys_that_are_unknown() {
    let fake = faked();
    let received = || fake.prompts();
    let old = Old::new(&fake.0, &fake.0.path("bin/codex"), ("queue-left", true), &received);
    let (mut queues, mut count) = (fake.queues(), 0);
    add_unknown(&mut queues, &mut count);
    fs::write(fake.0.config("queues.json"), queues.to_string()).unwrap();
    let changes: [&[&str]; 6] = [
        &["add", "night", "one more"],
        &["edit", "night", "6", "old prompt 6 "],
        &["run", "night"],
        &["unpause", "later"],
        &["mode", "later", "1", "manual"],
        &["rename", "later", "much later"],
    ];
    let want: Vec<u64> = (1..=count).collect();
    for words in changes {
        let ran = old.world.run(&[&["codex-agent-queue"], words].concat());
        ran.succeeds();
        let mut kept = unknown(&fake.queues());
        kept.sort_unstable();
        assert_eq!(kept, want, "{words:?}");
    }
    assert_eq!(old.statuses("night"), ["completed"; 7]);
    assert!(count >= 10, "{count} objects");
}
