//! Group runs: each session gets the prompt once, whatever happens meanwhile.

use std::time::Duration;

use serde_json::json;

use crate::world::fake::{Fake, crash, end, of_type};
use crate::world::{Dice, json as records};

#[test]
fn a_repeated_or_concurrent_group_run_sends_no_prompt_twice() {
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
    ran.exits(2).reports("codex-agent run continue");
    assert_eq!(fake.sent().len(), 7);
    let mut both = [fake.start(&["run", "continue"]), fake.start(&["run", "continue"])];
    assert!(both.each_mut().map(end).contains(&0));
    want.extend(ids.iter().cloned());
    want.sort();
    assert_eq!(gone(&fake), want);
}

#[test]
fn group_runs_killed_at_swept_moments_send_each_prompt_once() {
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
                // A runner that was killed during planning has left no run to continue.
                let again: &[&str] = match begun.is_empty() {
                    true => &["group", "run", "g", "-j2", "--prompt", "go MS20"],
                    false => &["run", "continue"],
                };
                runner = fake.start(again);
            }
            let ran = fake.tool(&["run", "continue"]);
            ran.succeeds();
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

#[test]
fn each_session_of_a_group_gets_a_prompt_once() {
    let fake = Fake::newest();
    let [one, two] = ["one", "two"].map(|prompt| fake.begin(prompt));
    let upper = one.to_uppercase();
    let groups = json!({"groups": [{"id": "g", "name": "g", "sessionIds": [one, one, upper, two], "createdAt": "x", "updatedAt": "x"}]});
    fake.0.write("home/.config/codex-agent/groups.json", groups.to_string());
    fake.good(&["group", "run", "g", "--prompt", "once"]);
    assert_eq!(fake.prompts().iter().filter(|prompt| *prompt == "once").count(), 2);
    // A run that was left, and a group that has another name by now.
    let ran = fake.tool(&["group", "run", "g", "--prompt", "FAIL401", "-j", "1"]);
    ran.exits(75);
    fake.good(&["group", "rename", "g", "h"]);
    let ran = fake.tool(&["group", "run", "h", "--prompt", "FAIL401", "-j", "1"]);
    ran.exits(2).reports("is unfinished; nothing was started");
    // Another prompt is another thing.
    fake.tool(&["group", "run", "h", "--prompt", "other"]).succeeds();
}

#[test]
fn a_group_is_watched_by_its_id() {
    let fake = Fake::newest();
    let id = fake.begin("one");
    fake.feed(&["group", "add", "g"], format!("{id}\n"));
    fake.good(&["group", "run", "g", "--prompt", "two"]);
    let group = records(&fake.good(&["group", "list", "--json"]))[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(fake.good(&["group", "log", &group]), fake.good(&["group", "log", "g"]));
}

#[test]
fn an_invalid_id_in_a_group_starts_nothing() {
    let fake = Fake::newest();
    let id = fake.begin("mine");
    let group = json!({"groups": [{"id": "g", "name": "odd", "sessionIds": ["--yolo", "../x", id],
        "createdAt": "2026-11-22T10:00:00.000Z", "updatedAt": "2026-11-22T10:00:00.000Z"}]});
    fake.0.write("home/.config/codex-agent/groups.json", group.to_string());
    for id in ["--yolo", "../x"] {
        let ran = fake.tool(&["group", "run", "odd", "--prompt", "on", "--answers"]);
        let want = format!("'{id}' in group 'odd' is not the id of a session; nothing was started");
        ran.exits(2).reports(&want);
        fake.tool(&["group", "remove", "odd", "--", id]).succeeds();
    }
    assert_eq!(fake.good(&["group", "run", "odd", "--prompt", "on", "--answers"]), "echo: on\n");
    assert_eq!(fake.prompts(), ["mine", "on"]);
}
