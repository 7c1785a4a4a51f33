//! Adding prompts: where they come from, invalid ones, and additions while the queue is run.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::queue::queue;
use crate::world::fake::{Fake, end, signal};

#[test]
fn prompts_are_added_from_operands_lines_records_and_files() {
    let fake = Fake::newest();
    let ran = fake.tool(&["queue", "add", "q", "-p", "one", "-p", "two words"]);
    let work = fs::canonicalize(fake.0.path("work")).unwrap();
    let made = format!("created queue 'q' for '{}', and added 2 prompts to 'q'; 2 pending", work.display());
    ran.succeeds().prints("").reports(&made);
    let lines = "line\n\n{\"type\":\"prompt\",\"prompt\":\"a\\nrecord\"}\r\n--dash\n";
    fake.feed(&["queue", "add", "q"], lines).reports("added 3 prompts to 'q'; 5 pending");
    fake.feed(&["queue", "add", "q", "--text", "-"], "{x}\n").succeeds();
    fake.feed(&["queue", "add", "q", "-0", "-"], "n\nul\0two\0").succeeds();
    let file = fake.0.write("work/file", "a whole\nfile");
    fake.tool(&["queue", "add", "q", "--prompt-file", file.to_str().unwrap()]).succeeds();
    fake.tool(&["queue", "add", "q", "-p", "-", "--first"]).succeeds();
    fake.tool(&["queue", "add", "q", "--manual", "-p", "later"]).succeeds();
    let image = fake.0.write("work/a,b.png", "picture");
    let ran = fake.tool(&["queue", "add", "q", "--image", "a,b.png", "look", "--json"]);
    let record: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&record["type"], &record["prompt"], &record["status"]),
        (&json!("prompt"), &json!("look"), &json!("pending"))
    );
    assert_eq!(record["images"], json!([fs::canonicalize(image).unwrap()]));
    let all = fake.each("q", "prompt");
    let want = [
        "-",
        "one",
        "two words",
        "line",
        "a\nrecord",
        "--dash",
        "{x}",
        "n\nul",
        "two",
        "a whole\nfile",
        "later",
        "look",
    ];
    assert_eq!(all, want);
    assert_eq!(fake.each("q", "mode").iter().filter(|mode| *mode == "manual").count(), 1);
    // The order of the list is the order of sending, and manual prompts are passed over.
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.succeeds();
    let mut sent: Vec<&str> = want.to_vec();
    sent.retain(|prompt| *prompt != "later");
    assert_eq!(fake.prompts(), sent);
    let argv = fake.sent().pop().unwrap()["argv"].to_string();
    assert!(argv.contains("image-1-") && !argv.contains("a,b"), "{argv}");
    assert!(!fake.sent().iter().any(|line| line["argv"].to_string().contains("--dash")));
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.succeeds().reports("queue 'q' has nothing to send");
    fake.tool(&["queue", "mode", "q", "later", "auto"]).reports("no prompt 'later'");
    fake.good(&["queue", "mode", "q", "11", "auto"]);
    fake.good(&["queue", "run", "q"]);
    assert_eq!(fake.prompts().last().unwrap(), "later");
}

#[test]
fn an_invalid_prompt_adds_nothing() {
    let fake = Fake::newest();
    queue(&fake, "q", &["one"]);
    let before = fs::read(fake.0.config("queues.json")).unwrap();
    let all: [(&[&str], &[u8], &str); 9] = [
        (&["q", "-"], b"good\na\0b\n", "stdin:2: the prompt contains a NUL character"),
        (&["q", "-"], b"good\n\xff\n", "stdin:2: the prompt is not UTF-8"),
        (&["q", "-"], b"good\n{\"a\":1}\n", "stdin:2: expected a prompt record"),
        (&["q", "-"], b"good\n{\"type\":\"session\",\"prompt\":\"x\"}\n", "not one of type 'session'"),
        (
            &["q", "-"],
            b"good\n{\"type\":\"prompt\",\"prompt\":\"x\",\"images\":[\"/no/pic\"]}\n",
            "stdin:2: cannot open the image '/no/pic'",
        ),
        (&["q", "-p", "good", "-p", " "], b"", "the prompt is empty"),
        (&["q", "-0", "-"], b"good\0\xfe\0", "stdin:2: the prompt is not UTF-8"),
        (&["q", "--image", "no.png", "x"], b"", "cannot open the image 'no.png'"),
        (&["q", "--prompt-file", "no.txt"], b"", "no.txt"),
    ];
    for (words, input, want) in all {
        let ran = fake.feed(&[&["queue", "add"], words].concat(), input);
        ran.exits(2).reports(want);
    }
    assert_eq!(fs::read(fake.0.config("queues.json")).unwrap(), before);
    let ran = fake.feed(&["queue", "add", "new", "-"], "\n\n");
    ran.succeeds().reports("queue 'new' was not created");
    assert_eq!(fs::read(fake.0.config("queues.json")).unwrap(), before);
}

#[test]
fn fifty_concurrent_additions_are_all_sent() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS400", "first"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    let texts: Vec<String> = (0..50).map(|n| format!("prompt {n}")).collect();
    let adding: Vec<_> = texts.iter().map(|text| fake.start(&["queue", "add", "q", text])).collect();
    for mut child in adding {
        assert_eq!(end(&mut child), 0);
    }
    let code = end(&mut runner);
    assert_eq!(code, 0);
    // The next runner sends the prompts that were added after the last look.
    fake.good(&["queue", "run", "q"]);
    let mut sent = fake.prompts();
    let mut want: Vec<String> = texts;
    want.extend(["MS400", "first"].map(str::to_owned));
    sent.sort();
    want.sort();
    assert_eq!(sent, want);
    assert_eq!(fake.each("q", "status").iter().filter(|status| *status == "completed").count(), 52);
}

#[test]
fn a_prompt_that_is_added_during_the_last_job_stays_pending() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS600"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    queue(&fake, "q", &["late"]);
    signal(&runner, Signal::INT);
    assert_eq!(end(&mut runner), 75, "there is work left");
    assert_eq!(fake.journal().last().unwrap()["left"], 1);
    fake.good(&["queue", "run", "q"]);
    assert_eq!(fake.prompts(), ["MS600", "late"]);
}

#[test]
fn records_of_other_types_are_refused() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "a", "-p", "one", "-p", "two"]);
    let shown = fake.good(&["queue", "show", "a", "--json"]);
    let ran = fake.feed(&["queue", "add", "b", "-"], &shown);
    ran.succeeds();
    let ran = fake.feed(&["queue", "add", "b", "-"], "{\"type\":\"object\",\"description\":\"mend it\"}\n");
    ran.exits(2).reports("not one of type 'object'");
    assert_eq!(fake.each("b", "prompt"), ["one", "two"]);
    let bad = json!({"type": "job", "prompt": "a", "options": {"bypass": true, "sandbox": "read-only"}});
    let ran = fake.feed(&["run", "--jobs"], format!("{bad}\n"));
    ran.exits(2).reports("bypass");
    fs::write(fake.0.path("work/p"), "x").unwrap();
    for words in
        [&["run", "--prompt-file", "p", "--prompt-file", "p"][..], &["run", "--jobs", "--prompt-file", "p"]]
    {
        fake.tool(words).exits(2);
    }
    assert!(fake.sent().is_empty());
}
