//! Jobs and their records in Codex's home: a prompt that never reached the session is sent, an answer
//! that could not be saved is not a success, and a clock that is set stops no job.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::world::fake::{Fake, crash, end, failures, of_type, wait_for_end, wait_until};
use crate::world::real::Real;
use crate::world::{is_root, json as records};

/// The group of the Codex that a journal has started last, if it has.
fn group(journal: &[Value]) -> Option<Pid> {
    let spawned = journal.iter().rfind(|line| line["type"] == "job.spawned")?;
    Pid::from_raw(spawned["pid"].as_i64()? as i32)
}

fn rollouts(fake: &Fake) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fake
        .0
        .snapshot()
        .iter()
        .filter_map(|line| line.split(' ').next())
        .filter(|path| path.ends_with(".jsonl") && path.contains("rollout-"))
        .map(PathBuf::from)
        .collect();
    all.sort();
    all
}

#[test]
fn a_prompt_that_was_never_recorded_is_sent_instead_of_continue() {
    let mut silent = 0;
    for round in 0..24u64 {
        let fake = Fake::newest();
        let resumed = round % 2 == 0;
        if resumed {
            fake.begin("an old task");
        }
        let before = usize::from(resumed);
        let prompt = format!("LATE60 MS400 round {round}");
        let words: Vec<String> = match resumed {
            true => {
                let id = fake.list()[0]["id"].as_str().unwrap().to_owned();
                ["resume", &id, "--prompt", &prompt].map(str::to_owned).to_vec()
            }
            false => ["run", &prompt].map(str::to_owned).to_vec(),
        };
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.push("--interrupted=continue");
        let mut runner = fake.start(&words);
        wait_until(|| group(&fake.journal()).is_some());
        std::thread::sleep(Duration::from_millis(round * 8 % 160));
        // The runner dies too, or it does not.
        if round % 3 == 0 {
            crash(&mut runner);
        }
        let _ = kill_process_group(group(&fake.journal()).unwrap(), Signal::KILL);
        let ended = end(&mut runner);
        if round % 3 == 0 {
            let ran = fake.tool(&["run", "continue", "--interrupted=continue"]);
            ran.case(round).succeeds();
        } else {
            assert_eq!(ended, 0, "round {round}");
        }
        let prompts = fake.prompts().split_off(before);
        let is_silent = of_type(&fake.journal(), "job.failed")
            .iter()
            .any(|event| event["failure"]["class"] == "unrecorded");
        silent += usize::from(is_silent);
        // Whatever the moment: the prompt once, and only after it "Continue.". Killed between the record and the
        // request, the prompt is in the history that goes with "Continue.".
        let history: String = rollouts(&fake).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        let recorded = history.find(&prompt).expect("the prompt is recorded");
        if prompts[0] == prompt {
            assert!(prompts.len() == 1 || prompts[1..] == ["Continue."], "round {round}: {prompts:?}");
        } else {
            assert_eq!(prompts, ["Continue."], "round {round}");
            assert!(history.rfind("Continue.").is_some_and(|at| at > recorded), "round {round}: {history}");
        }
        assert!(!is_silent || prompts.len() == 1, "round {round}: {prompts:?}");
        let resent: Vec<Value> =
            of_type(&fake.journal(), "job.started").iter().map(|event| event["resent"].clone()).collect();
        assert!(!resent.contains(&json!(true)), "round {round}: {resent:?}");
    }
    assert!(silent >= 3, "only {silent} kills hit the moment before the prompt is recorded");
}

#[test]
fn a_home_without_sessions_shows_that_nothing_was_recorded_unless_it_is_empty() {
    for is_empty in [false, true] {
        let fake = Fake::newest();
        let mut runner = fake.start(&["run", "LATE3000 once"]);
        wait_until(|| !of_type(&fake.journal(), "job.session").is_empty());
        crash(&mut runner);
        let _ = kill_process_group(group(&fake.journal()).unwrap(), Signal::KILL);
        wait_for_end(&fake.out(1));
        assert!(fake.prompts().is_empty());
        let home = fake.0.path("home/.codex");
        if is_empty {
            fs::rename(&home, fake.0.path("away")).unwrap();
            fs::create_dir(&home).unwrap();
        } else {
            fs::remove_dir_all(home.join("sessions")).unwrap();
        }
        let ran = fake.tool(&["run", "continue", "--interrupted=continue"]);
        let sent: &[&str] = if is_empty { &[] } else { &["LATE3000 once"] };
        assert_eq!(
            (ran.code, fake.prompts()),
            (i32::from(is_empty), sent.iter().map(|s| s.to_string()).collect()),
            "{}",
            ran.err
        );
    }
}

#[test]
fn the_real_codex_gets_the_prompt_that_it_never_recorded() {
    for (version, rounds) in [("0.171.0", 16), ("0.120.0", 4)] {
        if let Some(codex) = Real::with_version(version) {
            kill_around_the_record(&codex, rounds);
        }
    }
}

fn kill_around_the_record(codex: &Real, rounds: u64) {
    let (mut silent, mut continued) = (0, 0);
    for round in 0..rounds {
        let prompt = format!("round {round} SLEEP2");
        let words = ["--skip-git-repo-check", "--json", "--interrupted=continue", &prompt];
        let out = codex.world.path(&format!("out-{round}"));
        let mut command = codex.agent("alpha", &words);
        let mut runner = command.stdout(fs::File::create(&out).unwrap()).spawn().unwrap();
        let events = || records_of(&fs::read_to_string(&out).unwrap());
        wait_until(|| events().iter().any(|event| event["type"] == "job.session"));
        std::thread::sleep(Duration::from_millis(round * 11 % 130));
        let _ = kill_process_group(group(&events()).unwrap(), Signal::KILL);
        let code = end(&mut runner);
        let events = events();
        let ends: Vec<String> =
            events.iter().map(|event| format!("{} {}", event["type"], event["failure"])).collect();
        assert_eq!(code, 0, "round {round}: {ends:?}");
        let is_silent = failures(&events) == ["unrecorded"];
        silent += u64::from(is_silent);
        continued += u64::from(failures(&events) == ["interrupted"]);
        // What the model was asked: the prompt, and "Continue." at most after it. A kill between the record and
        // the request leaves the prompt in the session, so that it comes with "Continue.".
        let asked: Vec<Vec<String>> = codex
            .model
            .requests()
            .into_iter()
            .map(|request| request.user_texts)
            .filter(|texts| texts.contains(&prompt) || texts[0] == "Continue.")
            .collect();
        let last = asked.last().unwrap();
        let is_right = *last == [prompt.clone()] || *last == [prompt.clone(), "Continue.".to_owned()];
        assert!(
            is_right && asked[..asked.len() - 1].iter().all(|texts| *texts == [prompt.clone()]),
            "{asked:?}"
        );
        let sent = asked.iter().filter(|texts| texts.len() == 1).count();
        assert!(sent <= 1, "round {round}: {:?} {asked:?}", failures(&events));
    }
    println!("{silent} of {rounds} kills came before the prompt was recorded, {continued} after it");
    assert!(silent + continued > rounds / 2, "only {silent} and {continued} kills hit");
}

/// The whole lines of an output that is being written.
fn records_of(text: &str) -> Vec<Value> {
    records(&text[..text.rfind('\n').map_or(0, |end| end + 1)])
}

#[test]
fn a_session_that_was_never_written_is_started_anew_once() {
    for times in [1, 2] {
        for empty in [true, false] {
            let fake = Fake::newest();
            let mut runner = fake.start(&["run", "LATE1500 never written", "--json"]);
            for time in 1..=times {
                let told = || {
                    let journal = fake.journal();
                    of_type(&journal, "job.session").len() == time && group(&journal).is_some()
                };
                wait_until(told);
                let rollout = rollouts(&fake).pop().unwrap();
                match empty {
                    true => fs::write(&rollout, "").unwrap(),
                    false => fs::remove_file(&rollout).unwrap(),
                }
                kill_process_group(group(&fake.journal()).unwrap(), Signal::KILL).unwrap();
            }
            let journal = || fake.journal();
            assert_eq!(end(&mut runner), if times == 1 { 0 } else { 1 }, "{:?}", journal());
            let failed = journal();
            let failed = of_type(&failed, "job.failed");
            let again: Vec<&Value> = failed.iter().map(|event| &event["again"]).collect();
            assert!(failed.iter().all(|event| event["failure"]["class"] == "unrecorded"), "{failed:?}");
            assert_eq!(again, [&json!(true), &json!(false)][..times], "{failed:?}");
            assert_eq!(fake.prompts().len(), usize::from(times == 1));
        }
    }
}

#[test]
fn an_ephemeral_session_is_not_started_anew() {
    let fake = Fake::newest();
    let mut runner = fake.start(&["run", "LATE1500 x", "--codex-arg=--ephemeral"]);
    wait_until(|| !of_type(&fake.journal(), "job.session").is_empty());
    rollouts(&fake).iter().for_each(|rollout| fs::remove_file(rollout).unwrap());
    kill_process_group(group(&fake.journal()).unwrap(), Signal::KILL).unwrap();
    assert_eq!(end(&mut runner), 1);
    assert_eq!(failures(&fake.journal()), ["interrupted"]);
}

#[test]
fn an_answer_that_could_not_be_saved_is_not_a_success() {
    let fake = Fake::newest();
    let (ran, events) = fake.events(&["run", "-j1", "-p", "UNSAVED one", "-p", "two"]);
    ran.exits(75);
    assert_eq!(failures(&events), ["disk"], "{}", ran.err);
    let last = events.last().unwrap();
    assert_eq!((&last["why"], &last["left"]), (&json!("disk"), &json!(1)));
    assert!(of_type(&events, "job.completed").is_empty());
    assert_eq!(fake.prompts(), ["UNSAVED one"]);
    // The rest is done, and what was answered is not asked again by itself.
    fake.tool(&["run", "continue"]).exits(1);
    assert_eq!(fake.prompts(), ["UNSAVED one", "two"]);
}

#[test]
fn the_real_codex_on_a_full_disk_completes_nothing() {
    let Some(codex) = Real::with_version("0.171.0") else { return };
    let disk = codex.world.path("disk");
    fs::create_dir(&disk).unwrap();
    let place = disk.to_str().unwrap();
    let mounted =
        is_root() && codex.world.run(&["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place]).code == 0;
    if !mounted {
        eprintln!("SKIPPED: no small disk can be mounted here");
        return;
    }
    let run = |words: &[&str]| {
        let mut command = codex.agent("alpha", words);
        let output = command.env("CODEX_HOME", &disk).output().unwrap();
        (output.status.code(), records(&String::from_utf8_lossy(&output.stdout)))
    };
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        fs::copy(codex.world.codex_home().join("config.toml"), disk.join("config.toml")).unwrap();
        // Codex makes its databases while there is room.
        assert_eq!(run(&["first", "--json"]).0, Some(0));
        codex.world.run(&["dd", "if=/dev/zero", &format!("of={place}/fill"), "bs=4k"]);
        let (code, events) = run(&["-j1", "-p", "second", "-p", "third", "--json"]);
        assert_eq!((code, failures(&events)), (Some(75), vec!["disk".to_owned()]), "{events:?}");
        assert!(of_type(&events, "job.completed").is_empty());
        assert_eq!(codex.seen(), ["first", "second"]);
        fs::remove_file(disk.join("fill")).unwrap();
        let (code, events) = run(&["continue", "--json"]);
        assert_eq!((code, of_type(&events, "job.completed").len()), (Some(1), 1), "{events:?}");
    }));
    codex.world.run(&["umount", "-l", place]);
    tried.unwrap_or_else(|why| std::panic::resume_unwind(why));
}
