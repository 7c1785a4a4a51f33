//! What a later look at runs found: outputs that were taken away, folders of others, homes of all kinds, runs
//! that vanish while somebody reads.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::faked::{Fake, crash, end, failures, of_type, wait_for_end, wait_until};
use crate::world::json as records;

/// Starts a run of one long prompt, kills its runner and its Codex, and gives its folder.
fn cut_off(fake: &Fake, words: &[&str]) -> std::path::PathBuf {
    let mut runner = fake.start(words);
    fake.wait_for_sent(1);
    wait_until(|| fake.journal().iter().any(|line| line["type"] == "job.session"));
    crash(&mut runner);
    let folder = fake.runs().pop().unwrap();
    kill_process(Pid::from_raw(fake.pid()).unwrap(), Signal::KILL).unwrap();
    wait_for_end(&folder.join("jobs/1/1.out"));
    folder
}

#[test]
fn what_the_journal_knows_was_sent_whatever_becomes_of_the_output() {
    type Harm = fn(&std::path::Path);
    let harms: [Harm; 4] = [
        |folder| fs::remove_dir_all(folder.join("jobs")).unwrap(),
        |folder| fs::remove_file(folder.join("jobs/1/1.out")).unwrap(),
        |folder| fs::write(folder.join("jobs/1/1.out"), "").unwrap(),
        // Of an id that a later release may write.
        |folder| {
            let out = folder.join("jobs/1/1.out");
            let text = fs::read_to_string(&out).unwrap().replace("\"thread_id\":\"", "\"thread_id\":\"thr_");
            fs::write(out, text).unwrap();
            let journal = folder.join("journal.ndjson");
            let lines = fs::read_to_string(&journal).unwrap();
            let kept = lines.lines().filter(|line| !line.contains("job.session"));
            fs::write(&journal, kept.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        },
    ];
    for (nth, harm) in harms.iter().enumerate() {
        let fake = Fake::newest();
        harm(&cut_off(&fake, &["run", "SLEEP30 first"]));
        let (ran, events) = fake.events(&["run", "continue"]);
        assert_eq!((ran.code, failures(&events)), (1, vec!["interrupted".to_owned()]), "{nth}: {}", ran.err);
        let fake = Fake::newest();
        fake.good(&["queue", "add", "q", "SLEEP30 first", "two"]);
        harm(&cut_off(&fake, &["queue", "run", "q"]));
        assert_eq!(fake.tool(&["queue", "run", "q"]).code, 1, "{nth}");
        assert_eq!(fake.prompts(), ["SLEEP30 first", "two"], "{nth}");
        assert_eq!(fake.each("q", "status"), ["failed", "completed"], "{nth}");
    }
}

#[test]
fn a_queue_has_one_runner_wherever_runs_are_kept() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "SLEEP2 1", "2"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    let other = fake.0.path("other").display().to_string();
    let mut second = fake.started(&["queue", "run", "q"]);
    let ran = second.env("CODEX_AGENT_STATE_HOME", other).output().unwrap();
    assert_eq!(ran.status.code(), Some(2), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(end(&mut runner), 0);
    assert_eq!(fake.prompts(), ["SLEEP2 1", "2"]);
}

#[test]
fn a_run_whose_records_are_removed_starts_nothing_more() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "SLEEP2 1", "2", "3"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    fs::remove_dir_all(fake.0.path("home/.local/state/codex-agent")).unwrap();
    assert_eq!(end(&mut runner), 2);
    assert_eq!(fake.prompts(), ["SLEEP2 1"]);
    let ran = fake.tool(&["queue", "run", "q"]);
    assert!(ran.code == 2 && ran.err.contains("codex-agent queue retry q 1"), "{}", ran.err);
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 0);
    assert_eq!(fake.prompts(), ["SLEEP2 1", "2", "3"]);
}

#[test]
fn what_was_cut_off_and_is_put_aside_is_not_sent_again_by_itself() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "SLEEP30 A", "B"]);
    cut_off(&fake, &["queue", "run", "q"]);
    fake.good(&["queue", "mode", "q", "1", "manual"]);
    fake.tool(&["queue", "run", "q", "--interrupted=continue"]);
    fake.good(&["queue", "mode", "q", "1", "auto"]);
    fake.tool(&["queue", "run", "q"]);
    assert_eq!(fake.prompts(), ["SLEEP30 A", "B"]);
    assert_eq!(fake.each("q", "status"), ["failed", "completed"]);
}

#[test]
fn what_met_a_limit_and_was_put_aside_is_marked_when_it_is_sent() {
    for new in [false, true] {
        let fake = Fake::newest();
        fake.good(&["queue", "add", "q", "LIMIT2", "B"]);
        assert_eq!(fake.tool(&["queue", "run", "q"]).code, 75);
        fake.good(&["queue", "mode", "q", "1", "manual"]);
        let words: &[&str] = if new {
            &["queue", "run", "q", "--on-limit=wait", "--new"]
        } else {
            &["queue", "run", "q", "--on-limit=wait"]
        };
        assert_eq!(fake.tool(words).code, 0);
        fake.good(&["queue", "mode", "q", "1", "auto"]);
        let (ran, events) = fake.events(&["queue", "run", "q"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(of_type(&events, "job.started")[0]["resent"], json!(true), "{new}");
    }
}

#[test]
fn nothing_to_send_is_not_waited_for() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "LIMIT600"]);
    for change in [&["queue", "pause", "q"][..], &["queue", "remove", "q", "1"]] {
        let mut runner = fake.start(&["queue", "run", "q", "--on-limit=wait"]);
        wait_until(|| fake.journal().iter().any(|line| line["type"] == "run.waiting"));
        std::thread::sleep(Duration::from_millis(300));
        fake.good(change);
        assert_eq!(end(&mut runner), if change[1] == "pause" { 75 } else { 0 }, "{change:?}");
        fake.tool(&["queue", "unpause", "q"]);
    }
}

#[test]
fn a_group_gets_a_prompt_once_each_whatever_its_file_or_name_says() {
    let fake = Fake::newest();
    let [one, two] = ["one", "two"].map(|prompt| fake.begin(prompt));
    let upper = one.to_uppercase();
    let groups = json!({"groups": [{"id": "g", "name": "g", "sessionIds": [one, one, upper, two], "createdAt": "x", "updatedAt": "x"}]});
    fake.0.write("home/.config/codex-agent/groups.json", groups.to_string());
    fake.good(&["group", "run", "g", "--prompt", "once"]);
    assert_eq!(fake.prompts().iter().filter(|prompt| *prompt == "once").count(), 2);
    // A run that was left, and a group that has another name by now.
    let ran = fake.tool(&["group", "run", "g", "--prompt", "FAIL401", "-j", "1"]);
    assert_eq!(ran.code, 75, "{}", ran.err);
    fake.good(&["group", "rename", "g", "h"]);
    let ran = fake.tool(&["group", "run", "h", "--prompt", "FAIL401", "-j", "1"]);
    assert!(ran.code == 2 && ran.err.contains("has work left"), "{} {}", ran.code, ran.err);
    // Another prompt is another thing.
    assert_eq!(fake.tool(&["group", "run", "h", "--prompt", "other"]).code, 0);
}

#[test]
fn a_home_that_is_not_utf8_or_not_there() {
    use std::os::unix::ffi::OsStringExt;
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "one"]);
    let odd = fake.0.path("").join(std::ffi::OsString::from_vec(b"h\xff".to_vec()));
    fs::create_dir(&odd).unwrap();
    for words in [&["queue", "run", "q"][..], &["run", "x"]] {
        let ran = fake.started(words).env("CODEX_HOME", &odd).output().unwrap();
        let err = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.code() == Some(2) && err.contains("not UTF-8"), "{words:?}: {err}");
    }
    assert!(fake.sent().is_empty());
    // Where Codex has not been used yet it makes its home itself.
    fs::remove_dir_all(fake.0.codex_home()).unwrap();
    let ran = fake.tool(&["queue", "run", "q"]);
    assert_eq!((ran.code, fake.each("q", "status")), (0, vec!["completed".to_owned()]), "{}", ran.err);
}

#[test]
fn only_runs_are_swept() {
    let fake = Fake::newest();
    fake.good(&["run", "x"]);
    let runs = fake.0.path("home/.local/state/codex-agent/runs");
    fs::create_dir_all(runs.join("kept/old")).unwrap();
    fs::create_dir_all(fake.0.path("precious/jobs")).unwrap();
    symlink(fake.0.path("precious"), runs.join("link")).unwrap();
    symlink(fake.0.path("precious"), runs.join("20200101T000000Z-new-x-0000")).unwrap();
    fs::write(runs.join("README"), "mine").unwrap();
    let left = runs.join("20200101T000000Z-new-y-0000");
    fs::create_dir_all(left.join("jobs")).unwrap();
    fake.0.ok(&["sh", "-c", "touch -h -d '2 hours ago' \"$0\"/* precious", runs.to_str().unwrap()]);
    let ran = fake.tool(&["run", "prune"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, "codex-agent-run: removed 0 runs\n"));
    for kept in ["kept/old", "link/jobs", "README"] {
        assert!(runs.join(kept).exists(), "{kept}");
    }
    assert!(!left.exists());
    assert_eq!(fake.tool(&["run", "y"]).err, "");
}

#[test]
fn what_one_file_cannot_tell_the_others_do() {
    let fake = Fake::newest();
    assert_eq!(fake.tool(&["run", "FAIL401", "two"]).code, 75);
    fake.0.write("home/.config/codex-agent/queues.json", "{");
    let ran = fake.tool(&["status", "--json"]);
    assert_eq!((ran.code, records(&ran.out).len()), (2, 1), "{}", ran.err);
    assert!(ran.err.contains("queues.json"), "{}", ran.err);
    let ran = fake.tool(&["run", "prune", "--older", "0s"]);
    assert!(ran.code == 0 && ran.err.contains("queues.json"), "{}", ran.err);
    let ran = fake.tool(&["run", "continue"]);
    assert_eq!(ran.code, 75, "{}", ran.err);
    assert_eq!(fake.runs().len(), 1);
}

#[test]
fn a_limit_that_cannot_be_read_stops_a_run_and_is_reported() {
    let fake = Fake::newest();
    fake.tool(&["run", "LIMIT1"]);
    let locks = fs::read_dir(fake.0.path("home/.local/state/codex-agent/locks")).unwrap().flatten();
    let gate = locks.map(|entry| entry.path()).find(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("limit-") && !name.contains('.')
    });
    fs::write(gate.unwrap(), "{oops").unwrap();
    let ran = fake.tool(&["run", "y", "z"]);
    assert!(ran.code == 2 && ran.err.contains("limit-"), "{}", ran.err);
    assert!(fake.journal().iter().any(|line| line["type"] == "run.stopped" && line["why"] == "trouble"));
    let ran = fake.tool(&["status"]);
    assert!(ran.code == 2 && ran.out.contains("run\t"), "{} {}", ran.out, ran.err);
}

#[test]
fn who_reads_does_not_stumble_over_who_prunes() {
    let fake = Fake::newest();
    fake.good(&["run", "x"]);
    let id = fake.list()[0]["id"].as_str().unwrap().to_owned();
    fake.0.sh(&format!("echo {id} | codex-agent-group add g"));
    let runs = fake.0.path("home/.local/state/codex-agent/runs");
    let journal = fs::read_to_string(fake.runs()[0].join("journal.ndjson")).unwrap();
    for nth in 0..600 {
        let folder = runs.join(format!("20200101T000000Z-new-x-{nth:04x}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("journal.ndjson"), journal.replace("2026-", "2020-")).unwrap();
    }
    let mut pruner = fake.start(&["run", "prune", "--older", "1d"]);
    let mut others = 0;
    while pruner.try_wait().unwrap().is_none() {
        for words in [&["status"][..], &["run", "list"], &["group", "run", "g", "--prompt", "x"]] {
            let ran = fake.tool(words);
            assert!(ran.code == 0 && !ran.err.contains("journal"), "{words:?}: {} {}", ran.code, ran.err);
        }
        others += 1;
    }
    assert!(others > 0);
}

#[test]
fn a_deaf_job_is_stopped_in_the_end() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "DEAF"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    crash(&mut runner);
    let ran = fake.tool(&["queue", "stop", "--now", "q"]);
    assert!(ran.code == 0 && ran.err.contains("interrupted 1 job"), "{} {}", ran.code, ran.err);
    fake.good(&["queue", "delete", "q"]);
}

#[test]
fn records_of_other_types_are_no_prompts() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "a", "one", "two"]);
    let shown = fake.good(&["queue", "show", "a", "--json"]);
    let ran = fake.feed(&["queue", "add", "b", "-"], &shown);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = fake.feed(&["queue", "add", "b", "-"], "{\"type\":\"object\",\"description\":\"mend it\"}\n");
    assert!(ran.code == 2 && ran.err.contains("not one of type 'object'"), "{}", ran.err);
    assert_eq!(fake.each("b", "prompt"), ["one", "two"]);
    let bad = json!({"type": "job", "prompt": "a", "options": {"bypass": true, "sandbox": "read-only"}});
    let ran = fake.feed(&["run", "--jobs"], format!("{bad}\n"));
    assert!(ran.code == 2 && ran.err.contains("bypass"), "{}", ran.err);
    fs::write(fake.0.path("work/p"), "x").unwrap();
    for words in
        [&["run", "--prompt-file", "p", "--prompt-file", "p"][..], &["run", "--jobs", "--prompt-file", "p"]]
    {
        assert_eq!(fake.tool(words).code, 2, "{words:?}");
    }
    assert!(fake.sent().is_empty());
}

#[test]
fn a_run_that_never_began_is_not_the_newest() {
    let fake = Fake::newest();
    fake.good(&["run", "x"]);
    let mut planner = fake.started(&["run", "-"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(planner.stdin.as_mut().unwrap(), b"planned\n").unwrap();
    wait_until(|| fake.runs().len() == 2);
    let ran = fake.tool(&["run", "log"]);
    assert!(ran.code == 0 && ran.out.contains("job.completed"), "{} {}", ran.out, ran.err);
    let events: Vec<Value> = records(&fake.good(&["run", "log", "--json"]));
    assert_eq!(of_type(&events, "run.completed").len(), 1);
    crash(&mut planner);
    let ran = fake.tool(&["run", "watch"]);
    assert!(ran.code == 0 && ran.out.contains("job.completed"), "{} {}", ran.out, ran.err);
}

#[test]
fn a_journal_that_cannot_be_read_lets_a_queue_be_paused() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "SLEEP3 1", "2"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    let journal = fake.runs()[0].join("journal.ndjson");
    let later = "{\"type\":\"job.started\",\"v\":2}\n";
    std::io::Write::write_all(
        &mut fs::File::options().append(true).open(&journal).unwrap(),
        later.as_bytes(),
    )
    .unwrap();
    for words in [&["queue", "pause", "q"][..], &["queue", "rename", "q", "r"]] {
        let ran = fake.tool(words);
        assert!(ran.code == 0 && ran.err.contains("journal"), "{words:?}: {} {}", ran.code, ran.err);
    }
    assert_eq!(end(&mut runner), 75);
    assert_eq!(fake.prompts(), ["SLEEP3 1"]);
    // All that a tool writes is held to its schema when a test ends, and this was no tool.
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replace(later, "")).unwrap();
}

#[test]
fn a_group_is_watched_and_told_of_by_its_id() {
    let fake = Fake::newest();
    let id = fake.begin("one");
    fake.feed(&["group", "add", "g"], format!("{id}\n"));
    fake.good(&["group", "run", "g", "--prompt", "two"]);
    let group = records(&fake.good(&["group", "list", "--json"]))[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(fake.good(&["group", "log", &group]), fake.good(&["group", "log", "g"]));
}

#[test]
fn what_codex_says_comes_after_whose_words_they_are() {
    let fake = Fake::newest();
    let (ran, events) = fake.events(&["run", "--events", "a", "b"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for job in ["1", "2"] {
        let of_job = events.iter().filter(|event| event["job"] == job);
        let words: Vec<&str> = of_job.map(|event| event["type"].as_str().unwrap()).collect();
        let place = |word: &str| words.iter().position(|own| *own == word).unwrap();
        assert!(place("job.session") < place("job.event"), "{words:?}");
        assert_eq!(words.last(), Some(&"job.completed"), "{words:?}");
    }
}

#[test]
fn who_watches_ends_as_the_run() {
    for prompts in [&["SLEEP30 a"][..], &["SLEEP30 a", "b"]] {
        let fake = Fake::newest();
        let mut runner = fake.start(&[&["run", "-j", "1"], prompts].concat());
        fake.wait_for_sent(1);
        let mut watcher = fake.start(&["run", "watch"]);
        std::thread::sleep(Duration::from_millis(500));
        for _ in 0..2 {
            kill_process(Pid::from_child(&runner), Signal::TERM).unwrap();
            std::thread::sleep(Duration::from_millis(300));
        }
        assert_eq!((end(&mut runner), end(&mut watcher)), (130, 130), "{prompts:?}");
    }
}

#[test]
fn a_codex_that_was_begun_is_adopted_though_that_could_not_be_written() {
    // The lengths of the lines are the same in each world.
    let limit = |fake: &Fake| {
        let journal = fs::read_to_string(fake.runs()[0].join("journal.ndjson")).unwrap();
        let spawned = journal.lines().find(|line| line.contains("job.spawned")).unwrap();
        journal.find(spawned).unwrap() + spawned.len() - 12
    };
    let start = |fake: &mut Fake| {
        let codex = fake.0.path("bin/codex").display().to_string();
        let wrapper = format!("#!/bin/sh\nulimit -S -f unlimited; exec {codex} \"$@\"\n");
        let wrapper = fake.0.script("bin/wrapper", &wrapper).display().to_string();
        fake.0.set("CODEX_AGENT_CODEX", wrapper);
    };
    for tool in ["queue", "run"] {
        let prepare = |fake: &mut Fake| {
            start(fake);
            if tool == "queue" {
                fake.good(&["queue", "add", "q", "SLEEP2 two"]);
            }
        };
        let words: &[&str] = if tool == "queue" { &["queue", "run", "q"] } else { &["run", "SLEEP2 two"] };
        let mut fake = Fake::newest();
        prepare(&mut fake);
        fake.good(words);
        let limit = limit(&fake);
        let mut fake = Fake::newest();
        prepare(&mut fake);
        let program = format!("codex-agent-{}", words[0]);
        let mut line = vec![
            "bash",
            "-c",
            "trap '' XFSZ; cd work; limit=$1; shift; exec prlimit --fsize=$limit:unlimited \"$@\"",
            "bash",
        ];
        let limit = limit.to_string();
        line.extend([limit.as_str(), program.as_str()]);
        line.extend(&words[1..]);
        let ran = fake.0.run(&line);
        if ran.err.contains("prlimit: command not found") {
            println!("SKIPPED: there is no prlimit here");
            return;
        }
        assert!(ran.code == 2 && ran.err.contains("journal"), "{tool}: {} {}", ran.code, ran.err);
        assert!(!fake.journal().iter().any(|line| line["type"] == "run.stopped"), "{tool}");
        let again: &[&str] = if tool == "queue" { words } else { &["run", "continue"] };
        assert_eq!(fake.tool(again).code, 0, "{tool}");
        assert_eq!(fake.prompts(), ["SLEEP2 two"], "{tool}");
    }
}

#[test]
fn a_queue_goes_on_in_the_home_that_its_run_has_made() {
    let fake = Fake::newest();
    fs::remove_dir_all(fake.0.codex_home()).unwrap();
    fake.good(&["queue", "add", "q", "LIMIT2", "x"]);
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 75);
    fs::create_dir(fake.0.path("other")).unwrap();
    let other = fake.0.path("other").display().to_string();
    let ran = fake.tool(&["queue", "run", "q", "--codex-home", &other]);
    assert!(ran.code == 2 && ran.err.contains("uses Codex's home"), "{}", ran.err);
    std::thread::sleep(Duration::from_secs(2));
    let ran = fake.tool(&["queue", "run", "q", "--on-limit=wait"]);
    assert_eq!((ran.code, fake.each("q", "status")), (0, vec!["completed".to_owned(); 2]), "{}", ran.err);
}

#[test]
fn a_run_that_is_planned_is_watched_until_it_is_over() {
    let fake = Fake::newest();
    fake.good(&["run", "old"]);
    let mut planner = fake.started(&["run", "-"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdin = planner.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"planned\n").unwrap();
    wait_until(|| fake.runs().len() == 2);
    let watcher =
        fake.started(&["run", "watch", "--answers"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    drop(stdin);
    let output = watcher.wait_with_output().unwrap();
    assert_eq!(
        (end(&mut planner), String::from_utf8(output.stdout).unwrap().as_str()),
        (0, "echo: planned\n")
    );
}
