//! Editing prompts: by an editor, while a runner works, and prompts that are sent already.

use std::fs;

use serde_json::{Value, json};

use crate::queue::crash::killed;
use crate::queue::queue;
use crate::world::fake::{Fake, crash, end, wait_for_end, wait_until};
use crate::world::terminal::Terminal;

#[test]
fn an_editor_opens_on_a_terminal() {
    let mut fake = Fake::newest();
    queue(&fake, "q", &["old text"]);
    let editor = fake.0.script(
        "bin/editor",
        "#!/bin/sh\ntest \"$1\" = -x && shift\ncat \"$1\"\nprintf 'new\\n\\ntext\\n' > \"$1\"\n",
    );
    fake.0.set("EDITOR", format!("{} -x", editor.display()));
    let (shown, code) = Terminal::open(fake.started(&["queue", "edit", "q", "1"]), 80, 24).end();
    assert!(code == 0 && shown.starts_with("old text") && shown.contains("changed prompt 1"), "{shown}");
    assert_eq!(fake.each("q", "prompt"), ["new\n\ntext"]);
    fake.0.set("VISUAL", "false");
    let (shown, code) = Terminal::open(fake.started(&["queue", "edit", "q", "1"]), 80, 24).end();
    assert!(
        code == 2 && shown.contains("'false' failed") && shown.contains("nothing was changed"),
        "{shown}"
    );
    fake.0.set("VISUAL", "sh -c ': > $1' sh");
    let (shown, code) = Terminal::open(fake.started(&["queue", "edit", "q", "1"]), 80, 24).end();
    assert!(code == 2 && shown.contains("the prompt is empty"), "{shown}");
    assert_eq!(fake.each("q", "prompt"), ["new\n\ntext"]);
}

#[test]
fn an_error_about_the_temporary_file_names_it() {
    let mut fake = Fake::newest();
    queue(&fake, "q", &["old text"]);
    fake.0.set("EDITOR", "true");
    let edit = |before: &str| {
        let mut command = fake.0.command("sh");
        let script = format!("{before}; exec codex-agent-queue edit q 1");
        command.args(["-c", &script]).current_dir(fake.0.path("work"));
        let (shown, code) = Terminal::open(command, 400, 24).end();
        assert_eq!(code, 2, "{before}: {shown}");
        assert!(!shown.contains("standard output") && shown.contains("nothing was changed"), "{shown}");
        shown
    };
    // A full disk, a directory that does not exist, and one that is a file.
    let shown = edit("trap '' XFSZ; ulimit -f 0");
    assert!(shown.contains("cannot write '") && shown.contains("prompt-"), "{shown}");
    for directory in ["/nowhere", "/dev/null"] {
        let shown = edit(&format!("export TMPDIR={directory}"));
        assert!(shown.contains(&format!("cannot create a temporary file in '{directory}'")), "{shown}");
    }
    assert_eq!(fake.each("q", "prompt"), ["old text"]);
    // Standard output itself is still named, where it is full.
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let ran =
        fake.0.command("codex-agent-queue").args(["show", "q", "--json"]).stdout(full).output().unwrap();
    let err = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(err.contains("cannot write to standard output: no space left"), "{err}");
}

#[test]
fn a_runner_follows_edits_of_another_process() {
    let fake = Fake::newest();
    let gate = fake.0.path("work/go");
    let wait = "SHELL{while [ ! -e go ]; do sleep 0.02; done; rm go}";
    queue(&fake, "q", &[wait, "b", "c", "d", "e", "f"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    assert_eq!(fake.each("q", "status")[0], "running");
    assert!(fake.good(&["queue", "list"]).starts_with("q\trunning\t5\t1\t0\t0\t"));
    for verb in ["edit", "remove", "retry"] {
        let words: &[&str] = if verb == "edit" { &["x"] } else { &[] };
        let ran = fake.tool(&[&["queue", verb, "q", "1"], words].concat());
        ran.case(verb).exits(2).reports("the prompt is being sent");
    }
    let ran = fake.tool(&["queue", "delete", "q"]);
    ran.exits(2).reports("while the queue is being run");
    let ran = fake.tool(&["queue", "run", "q"]);
    ran.exits(2).reports("queue 'q' is already being run by another process");
    fake.good(&["queue", "add", "q", "new last"]);
    fake.good(&["queue", "add", "q", "--first", "new first"]);
    assert_eq!(fake.each("q", "prompt")[1], "new first", "before all that is pending");
    fake.good(&["queue", "edit", "q", "3", "B"]);
    fake.good(&["queue", "mode", "q", "4", "manual"]);
    fake.good(&["queue", "remove", "q", "5"]);
    fake.good(&["queue", "move", "q", "6", "2"]);
    assert_eq!(fake.each("q", "prompt")[1..], ["f", "new first", "B", "c", "e", "new last"]);
    fake.good(&["queue", "rename", "q", "renamed"]);
    // A gate before the end, so that a pause comes in time.
    fake.good(&["queue", "edit", "renamed", "6", wait]);
    fs::write(&gate, "").unwrap();
    fake.wait_for_sent(5);
    fake.good(&["queue", "pause", "renamed"]);
    fs::write(&gate, "").unwrap();
    assert_eq!(end(&mut runner), 75);
    let sent = [wait, "f", "new first", "B", wait];
    assert_eq!(fake.prompts(), sent);
    let states = ["completed", "completed", "completed", "completed", "pending", "completed", "pending"];
    assert_eq!(fake.each("renamed", "status"), states);
    fake.good(&["queue", "unpause", "renamed"]);
    fake.good(&["queue", "run", "renamed"]);
    assert_eq!(fake.prompts().last().unwrap(), "new last");
    assert_eq!(fake.prompts().len(), 6);
}

#[test]
fn a_prompt_that_waits_for_its_session_can_be_edited() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--one-session", "one"]);
    fake.good(&["queue", "run", "q"]);
    let id = fake.each("q", "session")[0].clone();
    let mut other = fake.spawn(&["exec", "--json", "resume", &id, "-"], "HANG");
    fake.wait_for_sent(2);
    fake.good(&["queue", "add", "q", "two"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    let is_withdrawn = |line: &Value| line["type"] == "job.skipped" && line["withdrawn"] == true;
    wait_until(|| fake.journal().iter().any(is_withdrawn));
    // A moment may be spent in looking again.
    wait_until(|| fake.tool(&["queue", "edit", "q", "2", "TWO"]).code == 0);
    wait_until(|| fake.each("q", "status")[1] == "pending");
    crash(&mut other);
    assert_eq!(end(&mut runner), 0);
    assert_eq!(fake.prompts(), ["one", "HANG", "TWO"]);
    assert_eq!(fake.sent()[2]["session"], id.as_str());
}

#[test]
fn the_text_of_an_editor_is_saved_when_the_prompt_has_changed() {
    let mut fake = Fake::newest();
    let go = fake.0.path("work/go");
    let wait = "while [ ! -e go ]; do sleep 0.02; done; rm go";
    let editor = format!("#!/bin/sh\n: > open\n{wait}\nprintf 'with care' > \"$1\"\n");
    let editor = fake.0.script("bin/editor", &editor);
    fake.0.set("EDITOR", editor.to_str().unwrap());
    queue(&fake, "q", &["one", "two"]);
    let edit = |name: &str, meanwhile: &dyn Fn()| {
        let _ = fs::remove_file(fake.0.path("work/open"));
        let terminal = Terminal::open(fake.started(&["queue", "edit", name, "1"]), 200, 24);
        wait_until(|| fake.0.path("work/open").exists());
        meanwhile();
        fs::write(&go, "").unwrap();
        terminal.end()
    };
    let rename = || drop(fake.good(&["queue", "rename", "q", "r"]));
    let (shown, code) = edit("q", &rename);
    assert_eq!(
        (code, fake.each("r", "prompt")),
        (0, vec!["with care".to_owned(), "two".to_owned()]),
        "{shown}"
    );
    let change = || drop(fake.good(&["queue", "edit", "r", "1", "by another"]));
    let send = || drop(fake.good(&["queue", "run", "r"]));
    let remove = || drop(fake.good(&["queue", "remove", "r", "1"]));
    let all: [(&dyn Fn(), i32, &str); 2] =
        [(&change, 2, "was changed during the edit"), (&send, 2, "the prompt was already sent")];
    for (meanwhile, want, why) in all {
        let (shown, code) = edit("r", meanwhile);
        assert!(code == want && shown.contains(why), "{code} {shown}");
        let path = shown.split("the edited text is in '").nth(1).unwrap().split('\'').next().unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "with care");
        assert_eq!(fake.each("r", "prompt")[0], "by another");
    }
    fake.good(&["queue", "retry", "r", "1"]);
    let (shown, code) = edit("r", &remove);
    assert!(
        code == 1 && shown.contains("was removed") && shown.contains("the edited text is in '"),
        "{code} {shown}"
    );
}

#[test]
fn a_failed_prompt_that_is_requeued_during_the_run_is_sent() {
    let fake = Fake::newest();
    let wait = "SHELL{while [ ! -e go ]; do sleep 0.02; done}";
    queue(&fake, "q", &["FAIL400", wait]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(2);
    fake.good(&["queue", "retry", "q", "1"]);
    fake.good(&["queue", "edit", "q", "1", "mended"]);
    fs::write(fake.0.path("work/go"), "").unwrap();
    assert_eq!(end(&mut runner), 0);
    assert_eq!(fake.prompts(), ["FAIL400", wait, "mended"]);
    assert_eq!(fake.journal().last().unwrap()["counts"]["failed"], 0);
    fake.tool(&["queue", "watch", "q"]).succeeds();
}

#[test]
fn a_prompt_whose_codex_starts_cannot_be_edited() {
    let fake = Fake::newest();
    killed(&fake, "MS300");
    wait_for_end(&fake.out(1));
    // The journal between the claim and the start of a prompt: the prompt is only planned.
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
        ran.exits(2).reports("the prompt is being sent");
    }
    assert_eq!(fake.each("q", "status"), ["running", "pending"]);
    // Its runner was killed before the start, so that the prompt counts as never claimed.
    drop(runner);
    // A child that another test starts at this moment may have the lock until its exec.
    wait_until(|| fake.each("q", "status") == ["pending", "pending"]);
    fake.good(&["queue", "edit", "q", "1", "another"]);
    fake.good(&["queue", "run", "q"]);
    assert_eq!(fake.prompts(), ["another", "next"]);
}

#[test]
fn a_claimed_prompt_cannot_be_edited() {
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
fn a_prompt_keeps_its_id_and_late_changes_are_refused() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS900", "b", "c", "FAIL400"]);
    let ids = fake.each("q", "id");
    let prompts = |fake: &Fake| fake.queues()["queues"][0]["prompts"].clone();
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    wait_until(|| fake.each("q", "status")[0] == "running");
    // The prompt that is at the model cannot be changed, neither by its number nor by its id.
    for which in ["1", &ids[0]] {
        for words in
            [&["edit", "q", which, "late"][..], &["remove", "q", which], &["mode", "q", which, "manual"]]
        {
            let ran = fake.tool(&[&["queue"], words].concat());
            ran.exits(2).reports("the prompt is being sent");
        }
    }
    fake.good(&["queue", "edit", "q", &ids[2], "changed"]);
    fake.good(&["queue", "move", "q", &ids[2], "2"]);
    fake.good(&["queue", "mode", "q", &ids[2], "auto"]);
    assert_eq!(end(&mut runner), 1);
    assert_eq!(fake.prompts(), ["MS900", "changed", "b", "FAIL400"]);
    let after = prompts(&fake);
    for (words, why) in [
        (&["edit", "q", &*ids[2], "late"][..], "the prompt was already sent"),
        (&["mode", "q", &ids[1], "manual"], "the prompt was already sent"),
    ] {
        let ran = fake.tool(&[&["queue"], words].concat());
        ran.exits(2).reports(why);
        assert_eq!(prompts(&fake), after, "{words:?}");
    }
    let kept = |order: [usize; 4]| assert_eq!(fake.each("q", "id"), order.map(|at| ids[at].clone()));
    kept([0, 2, 1, 3]);
    fake.good(&["queue", "retry", "q", &ids[3]]);
    fake.good(&["queue", "edit", "q", &ids[3], "mended"]);
    fake.good(&["queue", "move", "q", &ids[3], "first"]);
    fake.good(&["queue", "run", "q"]);
    kept([3, 0, 2, 1]);
    let ran = fake.tool(&["queue", "remove", "q", &ids[0]]);
    ran.succeeds().reports("removed 1 prompt (1 already sent)");
    // Two who change one prompt at once: both may come in time one after the other, and what is there is whole.
    queue(&fake, "two", &["start"]);
    let id = fake.each("two", "id")[0].clone();
    for round in 0..8 {
        let texts = [format!("left {round}"), format!("right {round}")];
        let mut both = texts.each_ref().map(|text| fake.start(&["queue", "edit", "two", &id, text]));
        let codes = both.each_mut().map(end);
        let shown: Vec<Value> = fake.shown("two");
        assert!(codes.contains(&0) && codes.iter().all(|code| [0, 2].contains(code)), "{codes:?}");
        let is_now = |at: usize| codes[at] == 0 && shown[0]["prompt"] == texts[at].as_str();
        assert!(is_now(0) || is_now(1), "{codes:?} {shown:?}");
        assert_eq!((shown.len(), &shown[0]["id"]), (1, &json!(id)));
    }
}
