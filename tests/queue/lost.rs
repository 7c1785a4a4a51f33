//! Queues whose run or file is removed: no prompt is sent twice, and each uncertain one is named.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::queue::crash::killed;
use crate::queue::queue;
use crate::world::fake::{Fake, crash, end, of_type, wait_for_end, wait_until};

#[test]
fn a_removed_run_directory_is_reported_once_and_the_rest_is_sent() {
    let fake = Fake::newest();
    killed(&fake, "MS300");
    wait_for_end(&fake.out(1));
    let run = fake.runs().pop().unwrap();
    // An edit writes the running prompt to the file.
    fake.good(&["queue", "mode", "q", "2", "auto"]);
    assert_eq!(fake.queues()["queues"][0]["prompts"][0]["status"], "running");
    fs::remove_dir_all(run).unwrap();
    assert_eq!(fake.each("q", "status"), ["failed", "pending"]);
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.exits(2).reports("are missing: the run may have sent 1 prompt");
    ran.reports("'codex-agent queue retry q 1' requeues these prompts");
    assert_eq!(fake.prompts(), ["MS300"]);
    fake.tool(&["queue", "run", "q"]).succeeds();
    assert_eq!(fake.prompts(), ["MS300", "next"]);
    let first = &fake.shown("q")[0];
    assert_eq!((&first["status"], &first["failure"]["class"]), (&json!("failed"), &json!("interrupted")));
}

/// Waits until no Codex of this world has its output any more, whatever became of the directory of its run.
fn wait_for_codexes(fake: &Fake) {
    let codex = fs::canonicalize(fake.0.path("bin/codex")).unwrap();
    let state = fake.0.path("home/.local/state");
    let lives = || {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let is_codex = fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == codex);
            is_codex && fs::read_link(entry.path().join("fd/1")).is_ok_and(|out| out.starts_with(&state))
        })
    };
    wait_until(|| !lives());
}

#[test]
fn a_removed_run_directory_sends_no_prompt_twice() {
    let mut kills = 0;
    let mut uncertain = 0;
    for seed in 0..14_u64 {
        let fake = Fake::newest();
        let prompts: Vec<String> = (0..6).map(|n| format!("prompt {n} MS{}", (n + seed) % 3 * 15)).collect();
        queue(&fake, "q", &prompts.iter().map(String::as_str).collect::<Vec<_>>());
        let mut wait = 3_000 + seed * 7_919 % 60_000;
        loop {
            let mut runner = fake.start(&["queue", "run", "q"]);
            std::thread::sleep(Duration::from_micros(wait));
            wait = (wait * 31 + 7) % 90_000;
            if runner.try_wait().unwrap().is_none() {
                kills += 1;
            }
            crash(&mut runner);
            for run in fake.runs() {
                fs::remove_dir_all(run).unwrap();
            }
            let ran = fake.tool(&["queue", "run", "q"]);
            match ran.code {
                0 => break,
                // The runner sends nothing, and the prompts that it names are never sent automatically.
                2 => assert!(ran.err.contains("codex-agent queue retry q "), "{}", ran.err),
                code => panic!("{code}: {}", ran.err),
            }
            let named = ran.err.split("queue retry q ").nth(1).unwrap().split("' requeues").next().unwrap();
            uncertain += named.split_whitespace().count();
        }
        wait_for_codexes(&fake);
        let sent = fake.prompts();
        for (n, shown) in fake.shown("q").iter().enumerate() {
            let times = sent.iter().filter(|text| **text == prompts[n]).count();
            assert!(times <= 1, "seed {seed}: {:?} was sent {times} times", prompts[n]);
            match shown["status"].as_str().unwrap() {
                "completed" => assert_eq!(times, 1, "seed {seed}: {shown}"),
                "failed" => assert_eq!(shown["failure"]["class"], "interrupted", "seed {seed}: {shown}"),
                other => panic!("seed {seed}: {other} {shown}"),
            }
        }
        // A requeued prompt is sent once more, and no other.
        let failed = fake.each("q", "status").iter().filter(|status| *status == "failed").count();
        fake.good(&["queue", "retry", "q", "--failed"]);
        fake.good(&["queue", "run", "q"]);
        assert_eq!(fake.prompts().len(), sent.len() + failed, "seed {seed}");
        assert!(fake.each("q", "status").iter().all(|status| status == "completed"));
    }
    println!("{kills} kills with the run removed: {uncertain} prompts uncertain, none sent twice, none lost");
    assert!(kills >= 10, "only {kills} kills hit");
    // Prompts that take longer than a claim leave one uncertain each time, and fast ones a few.
    assert!(uncertain <= kills * 4, "{uncertain} uncertain in {kills} kills");
}

#[test]
fn a_removed_run_directory_makes_only_claimed_prompts_uncertain() {
    for is_known in [true, false] {
        let fake = Fake::newest();
        queue(&fake, "q", &["HANG", "b", "c"]);
        fake.good(&["queue", "mode", "q", "3", "manual"]);
        let mut runner = fake.start(&["queue", "run", "q"]);
        fake.wait_for_sent(1);
        wait_until(|| fake.journal().iter().any(|line| line["type"] == "job.spawned"));
        crash(&mut runner);
        let pid = rustix::process::Pid::from_raw(fake.pid()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        fs::remove_dir_all(fake.runs().pop().unwrap()).unwrap();
        if !is_known {
            let mut queues = fake.queues();
            queues["queues"][0].as_object_mut().unwrap().remove("claiming").unwrap();
            fake.0.write("home/.config/codex-agent/queues.json", queues.to_string());
        }
        let want = if is_known { ["failed", "pending", "pending"] } else { ["failed", "failed", "pending"] };
        assert_eq!(fake.each("q", "status"), want);
        // A change that comes first keeps what is known, and what is asked for again is no longer uncertain.
        fake.good(&["queue", "retry", "q", "1"]);
        fake.good(&["queue", "edit", "q", "1", "a"]);
        fake.good(&["queue", "add", "q", "d"]);
        let ran = fake.tool(&["queue", "run", "q"]);
        if is_known {
            ran.succeeds();
            assert_eq!(fake.prompts(), ["HANG", "a", "b", "d"]);
            continue;
        }
        ran.exits(2).reports("'codex-agent queue retry q 2' requeues these prompts");
        assert_eq!(fake.prompts(), ["HANG"]);
        fake.good(&["queue", "run", "q"]);
        assert_eq!(fake.prompts(), ["HANG", "a", "d"]);
    }
}

/// A runner whose first prompt is at the model, with more behind it.
fn running(fake: &Fake) -> Child {
    queue(fake, "q", &["MS700", "b", "c", "d"]);
    let child = fake
        .started(&["queue", "run", "q"])
        .stdout(std::process::Stdio::null())
        .stderr(fs::File::create(fake.0.path("err")).unwrap())
        .spawn()
        .unwrap();
    fake.wait_for_sent(1);
    child
}

const ALL: [&str; 4] = ["MS700", "b", "c", "d"];

#[test]
fn a_file_that_returns_in_time_loses_nothing() {
    type Harm = fn(&Path);
    let harms: [Harm; 4] = [
        |file| fs::rename(file, file.with_extension("away")).unwrap(),
        |file| fs::rename(file.parent().unwrap(), file.parent().unwrap().with_extension("away")).unwrap(),
        |file| {
            fs::copy(file, file.with_extension("away")).unwrap();
            fs::write(file, "").unwrap();
        },
        |file| {
            fs::copy(file, file.with_extension("away")).unwrap();
            fs::write(file, "{\"queues\":[]}").unwrap();
        },
    ];
    for (nth, harm) in harms.iter().enumerate() {
        let fake = Fake::newest();
        let mut runner = running(&fake);
        let file = fake.0.config("queues.json");
        harm(&file);
        // The runner needs the file after the first prompt, and waits for it for some seconds.
        wait_until(|| fake.journal().iter().any(|line| line["type"] == "job.completed"));
        std::thread::sleep(Duration::from_millis(300));
        match nth {
            1 => {
                let own = file.parent().unwrap();
                assert!(!own.exists(), "its directory was made anew");
                fs::rename(own.with_extension("away"), own).unwrap();
            }
            _ => fs::rename(file.with_extension("away"), &file).unwrap(),
        }
        let code = end(&mut runner);
        let err = fs::read_to_string(fake.0.path("err")).unwrap();
        assert_eq!((code, fake.prompts()), (0, ALL.map(str::to_owned).to_vec()), "{nth}: {err}");
        assert!(fake.each("q", "status").iter().all(|status| status == "completed"), "{nth}");
    }
}

#[test]
fn a_queue_that_stays_missing_stops_its_runner() {
    for text in [None, Some("{\"queues\":[]}")] {
        let fake = Fake::newest();
        let mut runner = running(&fake);
        let file = fake.0.config("queues.json");
        let kept = fs::read(&file).unwrap();
        match text {
            None => fs::remove_file(&file).unwrap(),
            Some(text) => fs::write(&file, text).unwrap(),
        }
        let begun = Instant::now();
        let code = end(&mut runner);
        let err = fs::read_to_string(fake.0.path("err")).unwrap();
        assert_eq!(code, 75, "{err}");
        assert!(err.contains("queue 'q' is no longer in '"), "{err}");
        assert!(begun.elapsed() < Duration::from_secs(30));
        let journal = fake.journal();
        let last = journal.last().unwrap();
        assert_eq!(
            (&last["type"], &last["why"], &last["left"]),
            (&json!("run.stopped"), &json!("queue_gone"), &json!(3))
        );
        assert!(of_type(&journal, "run.completed").is_empty());
        // The file returns unchanged, too late: the next runner sends the rest.
        fs::write(&file, kept).unwrap();
        fake.tool(&["queue", "run", "q"]).succeeds();
        assert_eq!(fake.prompts(), ALL);
    }
}

#[test]
fn an_older_file_gets_the_results_of_the_run() {
    let fake = Fake::newest();
    queue(&fake, "q", &ALL);
    let before = fs::read(fake.0.config("queues.json")).unwrap();
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    // The file as a checkout leaves it: no prompt was sent, and no run is named.
    fs::write(fake.0.config("queues.json"), before).unwrap();
    fake.wait_for_sent(2);
    crash(&mut runner);
    wait_for_codexes(&fake);
    fake.tool(&["queue", "run", "q"]).succeeds();
    assert_eq!(fake.prompts(), ALL);
}

#[test]
fn a_runner_whose_journal_is_removed_starts_no_more_jobs() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "-p", "SLEEP2 1", "-p", "2", "-p", "3"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    fs::remove_dir_all(fake.0.path("home/.local/state/codex-agent")).unwrap();
    assert_eq!(end(&mut runner), 2);
    assert_eq!(fake.prompts(), ["SLEEP2 1"]);
    // If the session was in the journal before its removal, the runner saw the end of the turn, and saved it.
    if fake.each("q", "status")[0] != "completed" {
        let ran = fake.tool(&["queue", "run", "q"]);
        ran.exits(2).reports("codex-agent queue retry q 1");
    }
    fake.tool(&["queue", "run", "q"]).succeeds();
    assert_eq!(fake.prompts(), ["SLEEP2 1", "2", "3"]);
}
