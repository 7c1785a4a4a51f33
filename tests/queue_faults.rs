//! Queues whose file, run or runner is not as it should be: what is promised of crashes, of odd files, and
//! of others who change a queue at the same moment.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::faked::{Fake, crash, end, of_type, wait_for_end, wait_until};
use crate::queue::queue;
use crate::world::{Dice, json as records};

const FILE: &str = "home/.config/codex-agent/queues.json";

/// A file as the predecessor wrote it, with one queue of these prompts.
fn old_file(fake: &Fake, prompts: &[Value]) -> PathBuf {
    let project = fs::canonicalize(fake.0.path("work")).unwrap();
    let queue = json!({
        "id": "11111111-0000-4000-8000-000000000000", "name": "old", "projectPath": project, "prompts": prompts,
        "createdAt": "2026-01-01T00:00:00.000Z",
    });
    fake.0.write(FILE, format!("{:#}\n", json!({ "queues": [queue] })))
}

fn old_prompt(n: u32, status: &str) -> Value {
    json!({
        "id": format!("22222222-0000-4000-8000-00000000000{n}"), "prompt": format!("prompt {n}"),
        "status": status, "mode": "auto", "addedAt": "2026-01-01T00:00:00.000Z",
    })
}

#[test]
fn a_file_of_the_predecessor_is_used_and_kept() {
    let fake = Fake::newest();
    let path =
        old_file(&fake, &[old_prompt(1, "completed"), old_prompt(2, "pending"), old_prompt(3, "failed")]);
    let text = fs::read_to_string(&path).unwrap();
    let odd = r#""color": {"r": 1.50, "big": 123456789012345678901234567890},"#;
    fs::write(&path, text.replacen("\"createdAt\"", &format!("{odd} \"createdAt\""), 1)).unwrap();
    assert_eq!(fake.each("old", "status"), ["completed", "pending", "failed"]);
    fake.good(&["queue", "run", "old"]);
    assert_eq!(fake.prompts(), ["prompt 2"]);
    fake.good(&["queue", "add", "old", "more"]);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(r#"{"r": 1.50, "big": 123456789012345678901234567890}"#), "{text}");
    let prompt = &fake.queues()["queues"][0]["prompts"][1];
    assert_eq!((&prompt["status"], &prompt["result"]["exitCode"]), (&json!("completed"), &json!(0)));
}

#[test]
fn what_a_predecessor_left_running_is_no_more_than_failed() {
    let fake = Fake::newest();
    old_file(&fake, &[old_prompt(1, "running"), old_prompt(2, "pending")]);
    assert_eq!(fake.each("old", "status"), ["failed", "pending"]);
    assert_eq!(fake.shown("old")[0]["failure"]["class"], "interrupted");
    fake.good(&["queue", "run", "old"]);
    assert_eq!(fake.prompts(), ["prompt 2"]);
    assert_eq!(fake.queues()["queues"][0]["prompts"][0]["status"], "failed");
    fake.good(&["queue", "retry", "old", "1"]);
    fake.good(&["queue", "run", "old"]);
    assert_eq!(fake.prompts(), ["prompt 2", "prompt 1"]);
}

#[test]
fn a_damaged_file_is_named_and_never_written() {
    let fake = Fake::newest();
    let whole = fs::read_to_string(old_file(&fake, &[old_prompt(1, "pending")])).unwrap();
    for text in ["", "{", &whole[..whole.len() / 2], "[]", "{}", r#"{"queues":[{"name":"x"}]}"#] {
        let path = fake.0.write(FILE, text);
        for words in [
            &["list"][..],
            &["show", "old"],
            &["add", "old", "x"],
            &["add", "new", "x"],
            &["create", "new"],
            &["edit", "old", "1", "x"],
            &["delete", "old"],
            &["pause", "old"],
            &["run", "old"],
        ] {
            let ran = fake.tool(&[&["queue"], words].concat());
            assert!(
                ran.code == 2 && ran.err.contains("queues.json"),
                "{text:?} {words:?}: {} {}",
                ran.code,
                ran.err
            );
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    assert!(fake.sent().is_empty());
}

/// A queue whose runner was killed while its first prompt was at the model, with one more behind it.
fn killed(fake: &Fake, first: &str) {
    queue(fake, "q", &[first, "next"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    crash(&mut runner);
}

#[test]
fn a_run_whose_folder_is_gone_sends_the_rest_when_it_is_asked_again() {
    let fake = Fake::newest();
    killed(&fake, "MS300");
    wait_for_end(&fake.out(1));
    let run = fake.runs().pop().unwrap();
    // The file learns of a prompt that runs when somebody edits.
    fake.good(&["queue", "mode", "q", "2", "auto"]);
    assert_eq!(fake.queues()["queues"][0]["prompts"][0]["status"], "running");
    fs::remove_dir_all(run).unwrap();
    assert_eq!(fake.each("q", "status"), ["failed", "pending"]);
    let ran = fake.tool(&["queue", "run", "q"]);
    assert!(ran.code == 2 && ran.err.contains("are missing: 1 prompt may have been sent"), "{}", ran.err);
    assert!(ran.err.contains("codex-agent queue retry q 1 sends them again"), "{}", ran.err);
    assert_eq!(fake.prompts(), ["MS300"]);
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 0);
    assert_eq!(fake.prompts(), ["MS300", "next"]);
    let first = &fake.shown("q")[0];
    assert_eq!((&first["status"], &first["failure"]["class"]), (&json!("failed"), &json!("interrupted")));
}

#[test]
fn a_torn_journal_is_mended_and_an_unknown_one_left_alone() {
    let append = |fake: &Fake, text: &str| {
        use std::io::Write;
        let journal = fake.runs().pop().unwrap().join("journal.ndjson");
        fs::OpenOptions::new().append(true).open(journal).unwrap().write_all(text.as_bytes()).unwrap();
    };
    let fake = Fake::newest();
    killed(&fake, "MS300");
    append(&fake, "{\"type\":\"job.failed\",\"job\":\"");
    assert_eq!(fake.each("q", "status"), ["running", "pending"]);
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 0);
    assert_eq!(fake.prompts(), ["MS300", "next"]);
    assert_eq!(fake.each("q", "status"), ["completed", "completed"]);

    let fake = Fake::newest();
    killed(&fake, "MS300");
    wait_for_end(&fake.out(1));
    fake.0.foreign();
    append(&fake, "{\"type\":\"run.stopped\",\"v\":2,\"run\":\"x\"}\n");
    let run = fake.runs().pop().unwrap();
    let before = fs::read(run.join("journal.ndjson")).unwrap();
    let ran = fake.tool(&["queue", "run", "q"]);
    assert!(ran.code == 2 && ran.err.contains("journal version 2 is not known here"), "{}", ran.err);
    assert!(ran.err.contains("queue run --new q"), "{}", ran.err);
    // It is in nobody else's way.
    queue(&fake, "other", &["of another"]);
    assert_eq!(fake.tool(&["queue", "run", "other"]).code, 0);
    let ran = fake.tool(&["queue", "list"]);
    assert!(ran.out.contains("other\tidle\t0\t0\t1\t0\t"), "{} {}", ran.out, ran.err);
    let ran = fake.tool(&["queue", "run", "--new", "q"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(fs::read(run.join("journal.ndjson")).unwrap(), before);
    // Nobody can tell what it had sent, so that only what the file knows is not sent again.
    assert_eq!(fake.prompts().last().unwrap(), "next");
}

#[test]
fn a_run_of_another_home_is_not_taken_up() {
    let fake = Fake::newest();
    killed(&fake, "MS300");
    fs::create_dir(fake.0.path("other")).unwrap();
    let other = fs::canonicalize(fake.0.path("other")).unwrap();
    let ran = fake.tool(&["queue", "run", "q", "--codex-home", other.to_str().unwrap()]);
    assert!(ran.code == 2 && ran.err.contains("uses Codex's home"), "{}", ran.err);
    assert!(ran.err.contains("--codex-home /") && ran.err.contains("--new"), "{}", ran.err);
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 0);
    assert_eq!(fake.prompts(), ["MS300", "next"]);
}

#[test]
fn a_killed_codex_is_not_repeated_and_the_next_is_sent() {
    for adopted in [false, true] {
        let fake = Fake::newest();
        queue(&fake, "q", &["HANG", "next"]);
        let mut runner = fake.start(&["queue", "run", "q"]);
        fake.wait_for_sent(1);
        wait_until(|| !fake.each("q", "session")[0].is_empty());
        if adopted {
            crash(&mut runner);
            assert!(fake.good(&["queue", "list"]).starts_with("q\tdead\t1\t1\t"));
        }
        kill_process(Pid::from_raw(fake.pid()).unwrap(), Signal::KILL).unwrap();
        let left = end(&mut runner);
        let code = if adopted { fake.tool(&["queue", "run", "q"]).code } else { left };
        assert_eq!((code, fake.prompts()), (1, vec!["HANG".to_owned(), "next".to_owned()]));
        let first = &fake.shown("q")[0];
        assert_eq!((&first["status"], &first["failure"]["class"]), (&json!("failed"), &json!("interrupted")));
    }
}

#[test]
fn two_runners_send_nothing_twice() {
    for _ in 0..3 {
        let fake = Fake::newest();
        queue(&fake, "q", &["MS1500", "b", "c"]);
        let mut both = [fake.start(&["queue", "run", "q"]), fake.start(&["queue", "run", "q"])];
        let mut codes = both.each_mut().map(end);
        codes.sort_unstable();
        assert_eq!((codes, fake.prompts().len()), ([0, 2], 3));
    }
}

#[test]
fn one_session_outlives_its_runner() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--one-session", "one", "HANGSTART"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    // The first prompt is completed in the journal, and the file hardly knows its session yet.
    let spawned = || fake.journal().iter().filter(|line| line["type"] == "job.spawned").count();
    wait_until(|| spawned() == 2);
    crash(&mut runner);
    kill_process(Pid::from_raw(fake.pid()).unwrap(), Signal::KILL).unwrap();
    wait_for_end(&fake.out(2));
    if !fake.queues()["queues"][0]["sessionId"].is_null() {
        println!("the kill came too late to tell anything");
    }
    // Nothing was sent of the second one, so that it is started again: in the same session.
    let mut runner = fake.start(&["queue", "run", "q"]);
    wait_until(|| spawned() == 3);
    let words = fs::read(format!("/proc/{}/cmdline", fake.pid())).unwrap();
    let words = String::from_utf8(words).unwrap();
    fake.good(&["queue", "stop", "--now", "q"]);
    assert_eq!(end(&mut runner), 130);
    let session = fake.sent()[0]["session"].as_str().unwrap().to_owned();
    assert!(words.contains(&format!("resume\0{session}\0")), "{words:?}");
}

#[test]
fn what_is_about_to_be_sent_cannot_be_edited() {
    let fake = Fake::newest();
    killed(&fake, "MS300");
    wait_for_end(&fake.out(1));
    // As it is between the claim and the start: planned, and nothing more.
    let path = fake.runs().pop().unwrap().join("journal.ndjson");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().take_while(|line| !line.contains("job.started")).collect();
    assert!(lines.last().unwrap().starts_with("{\"type\":\"job\""), "{text}");
    fs::write(&path, format!("{}\n", lines.join("\n"))).unwrap();
    fs::remove_dir_all(path.with_file_name("jobs")).unwrap();
    fs::remove_file(fake.0.path("log")).unwrap();
    let runner = fs::File::open(&path).unwrap();
    runner.lock().unwrap();
    for words in [&["edit", "q", "1", "x"][..], &["remove", "q", "1"]] {
        let ran = fake.tool(&[&["queue"], words].concat());
        assert!(ran.code == 2 && ran.err.contains("it is being sent"), "{words:?}: {}", ran.err);
    }
    assert_eq!(fake.each("q", "status"), ["running", "pending"]);
    // Its runner died before the start, so that it is as if it had never been chosen.
    drop(runner);
    // What another test starts at this moment may have the lock until it is another program.
    wait_until(|| fake.each("q", "status") == ["pending", "pending"]);
    fake.good(&["queue", "edit", "q", "1", "another"]);
    fake.good(&["queue", "run", "q"]);
    assert_eq!(fake.prompts(), ["another", "next"]);
}

/// Kills runners of a queue at swept moments until nothing is left. Gives the kills.
fn drain(seed: u64, one_session: bool) -> u32 {
    let fake = Fake::newest();
    let mut dice = Dice(seed);
    let prompts: Vec<String> = (0..8).map(|n| format!("prompt {n} MS{}", n % 3 * 10)).collect();
    let mut words = vec!["queue", "add", "q"];
    if one_session {
        words.push("--one-session");
    }
    words.extend(prompts.iter().map(String::as_str));
    fake.good(&words);
    let mut kills = 0;
    loop {
        let mut runner = fake.start(&["queue", "run", "q"]);
        // Longer each time, as a busy machine may need more than that to begin.
        std::thread::sleep(Duration::from_micros(2000 + dice.below(45_000 + u64::from(kills) * 500)));
        if let Some(status) = runner.try_wait().unwrap() {
            assert!(status.success(), "{status} {:?}", fake.tool(&["queue", "run", "q"]));
            if fake.each("q", "status").iter().all(|status| status == "completed") {
                break;
            }
        } else {
            crash(&mut runner);
            kills += 1;
        }
        assert!(kills < 2000, "it never ends: {:?}", fake.each("q", "status"));
    }
    assert_eq!(fake.prompts(), prompts, "seed {seed}");
    let sent = fake.sent();
    if one_session {
        assert!(sent.iter().all(|line| line["session"] == sent[0]["session"]), "seed {seed}: {sent:?}");
    }
    kills
}

#[test]
fn runners_are_killed_at_swept_moments() {
    let workers = [0u64, 1, 2].map(|worker| {
        std::thread::spawn(move || (0..6).map(|n| drain(worker * 100 + n, n % 2 == 1)).sum::<u32>())
    });
    let kills: u32 = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    println!("{kills} kills of 'queue run': no prompt twice, none lost");
    assert!(kills >= 60, "only {kills} kills hit");
}

#[test]
fn what_was_claimed_cannot_be_edited() {
    let fake = Fake::newest();
    let texts: Vec<String> = (0..60).map(|n| format!("old {n}")).collect();
    queue(&fake, "q", &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let ids = fake.each("q", "id");
    let mut runner = fake.start(&["queue", "run", "q"]);
    let mut promised = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        // Right behind the runner, so that many an edit waits for the lock that a claim has.
        wait_until(|| fake.sent().len() >= n.saturating_sub(1));
        let text = format!("new {n}");
        let ran = fake.tool(&["queue", "edit", "q", id, &text]);
        promised.push(if ran.code == 0 { text } else { format!("old {n}") });
    }
    assert_eq!(end(&mut runner), 0);
    assert_eq!(fake.prompts(), promised);
    let edited = promised.iter().filter(|text| text.starts_with("new")).count();
    println!("{edited} of 60 edits came in time");
}

#[test]
fn the_same_group_run_typed_again_and_twice_at_once() {
    let fake = Fake::newest();
    let ids = ["a", "b", "c"].map(|prompt| fake.begin(prompt));
    fake.good(&[&["group", "add", "g"][..], &ids.each_ref().map(String::as_str)].concat());
    let run = ["group", "run", "g", "--prompt", "MS200 go"];
    let mut both = [fake.start(&run), fake.start(&run)];
    let mut codes = both.each_mut().map(end);
    codes.sort_unstable();
    let gone = |fake: &Fake| {
        let mut gone: Vec<String> =
            fake.sent()[3..].iter().map(|line| line["session"].as_str().unwrap().to_owned()).collect();
        gone.sort();
        gone
    };
    let mut want = ids.to_vec();
    want.sort();
    assert_eq!((codes, gone(&fake)), ([0, 2], want.clone()));
    // Again after a crash, it sends nothing and names the way on.
    let mut runner = fake.start(&["group", "run", "g", "-j1", "--prompt", "MS300 more"]);
    fake.wait_for_sent(7);
    crash(&mut runner);
    let ran = fake.tool(&["group", "run", "g", "--prompt", "MS300 more"]);
    assert!(ran.code == 2 && ran.err.contains("codex-agent run continue"), "{}", ran.err);
    assert_eq!(fake.sent().len(), 7);
    let mut both = [fake.start(&["run", "continue"]), fake.start(&["run", "continue"])];
    assert!(both.each_mut().map(end).contains(&0));
    want.extend(ids.iter().cloned());
    want.sort();
    assert_eq!(gone(&fake), want);
}

#[test]
fn group_runs_are_killed_at_swept_moments() {
    let worker = |seed: u64| {
        let (mut kills, mut dice) = (0, Dice(seed));
        for _ in 0..3 {
            let fake = Fake::newest();
            let ids: Vec<String> = (0..6).map(|n| fake.begin(&format!("begin {n}"))).collect();
            let mut words = vec!["group", "add", "g"];
            words.extend(ids.iter().map(String::as_str));
            fake.good(&words);
            let mut runner = fake.start(&["group", "run", "g", "-j2", "--prompt", "go MS20"]);
            loop {
                std::thread::sleep(Duration::from_micros(3000 + dice.below(110_000)));
                if runner.try_wait().unwrap().is_some() {
                    break;
                }
                crash(&mut runner);
                kills += 1;
                let begun = records(&fake.good(&["run", "list", "--json"]));
                // Killed while it planned, it has left nothing to go on with.
                let again: &[&str] = match begun.is_empty() {
                    true => &["group", "run", "g", "-j2", "--prompt", "go MS20"],
                    false => &["run", "continue"],
                };
                runner = fake.start(again);
            }
            let ran = fake.tool(&["run", "continue"]);
            assert_eq!(ran.code, 0, "{}", ran.err);
            let mut got: Vec<String> =
                fake.sent()[6..].iter().map(|line| line["session"].as_str().unwrap().to_owned()).collect();
            let mut want = ids;
            got.sort();
            want.sort();
            assert_eq!(got, want, "seed {seed}");
            let events = records(&fake.good(&["run", "log", "--json"]));
            assert_eq!(of_type(&events, "job.completed").len(), 6);
        }
        kills
    };
    let workers = [7u64, 8].map(|seed| std::thread::spawn(move || worker(seed)));
    let kills: u32 = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    println!("{kills} kills of 'group run': no prompt twice, none lost");
    assert!(kills >= 15, "only {kills} kills hit");
}
