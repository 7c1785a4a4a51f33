//! Queues that are gone on with, begun anew, or left: what holds from one runner to the next.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

use crate::faked::{Fake, crash, end, of_type, wait_for_end, wait_until};
use crate::queue::queue;
use crate::world::json as records;

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}

/// A queue whose first prompt was cut off, with its runner and its Codex gone.
fn cut_off(fake: &Fake, words: &[&str]) {
    let mut runner = fake.start(&[&["queue", "run", "q"], words].concat());
    fake.wait_for_sent(1);
    wait_until(|| !fake.each("q", "session")[0].is_empty());
    crash(&mut runner);
    kill_process(Pid::from_raw(fake.pid()).unwrap(), Signal::KILL).unwrap();
    wait_for_end(&fake.out(1));
}

/// The prompts and whether each was sent again, as the journals of all runs have it.
fn started(fake: &Fake) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for run in fake.runs() {
        let lines = records(&fs::read_to_string(run.join("journal.ndjson")).unwrap());
        for line in of_type(&lines, "job.started") {
            all.push((line["job"].as_str().unwrap().to_owned(), line["resent"] == true));
        }
    }
    all
}

#[test]
fn signals_are_heard_after_another_run_was_left() {
    let fake = Fake::newest();
    queue(&fake, "q", &["HANG", "MS700", "three"]);
    cut_off(&fake, &[]);
    let mut runner = fake.start(&["queue", "run", "q", "--new"]);
    fake.wait_for_sent(2);
    signal(&runner, Signal::TERM);
    assert_eq!(end(&mut runner), 75, "the running job is completed");
    assert_eq!(fake.each("q", "status"), ["failed", "completed", "pending"]);
    assert_eq!(fake.journal().last().unwrap()["type"], "run.stopped");
}

#[test]
fn a_stop_before_the_first_start_starts_nothing() {
    let mut fake = Fake::newest();
    let real = fake.0.path("bin/codex");
    let slow = format!(
        "#!/bin/sh\ncase $1 in --version) : > asked; sleep 1;; esac\nexec {} \"$@\"\n",
        real.display()
    );
    let slow = fake.0.script("bin/slow", &slow);
    fake.0.set("CODEX_AGENT_CODEX", slow.to_str().unwrap());
    queue(&fake, "q", &["one"]);
    let mut runner = fake.start(&["queue", "run", "q", "--sandbox", "read-only"]);
    wait_until(|| fake.0.path("work/asked").exists());
    signal(&runner, Signal::TERM);
    let code = end(&mut runner);
    assert!(code == 128 + 15 || code == 75, "{code}");
    assert!(fake.sent().is_empty());
    assert_eq!(fake.each("q", "status"), ["pending"]);
    // What it was told holds although nothing of it was begun.
    let (ran, _) = fake.events(&["queue", "run", "q"]);
    assert!(ran.code == 0 && ran.err.contains("1 to send, read-only;"), "{}", ran.err);
    assert!(fake.sent()[0]["argv"].to_string().contains("--sandbox=read-only"));
}

#[test]
fn a_file_that_cannot_be_saved_for_a_while_does_no_harm() {
    let fake = Fake::newest();
    let wait = "SHELL{while [ ! -e go ]; do sleep 0.02; done}";
    queue(&fake, "q", &["one", wait, "three", "four", "five", "six"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(2);
    std::thread::sleep(Duration::from_millis(1200));
    fake.good(&["queue", "remove", "q", "3", "4", "5", "6"]);
    fake.good(&["queue", "remove", "q", "1"]);
    // It may not be written from now on, and the runner has not seen the change yet.
    let path = fake.0.config("queues.json");
    let mut mode = fs::metadata(&path).unwrap().permissions();
    mode.set_readonly(true);
    fs::set_permissions(&path, mode.clone()).unwrap();
    fs::write(fake.0.path("work/go"), "").unwrap();
    let code = end(&mut runner);
    assert!(code == 0 || code == 2, "{code}");
    assert_eq!(fake.prompts(), ["one", wait]);
    #[allow(clippy::permissions_set_readonly_false)] // It is this user's alone.
    mode.set_readonly(false);
    fs::set_permissions(&path, mode).unwrap();
    assert_eq!(fake.each("q", "status"), ["completed"]);
}

#[test]
fn a_terminal_that_stands_still_leaves_a_run_ready_for_signals() {
    for stream in ["out", "err"] {
        let fake = Fake::newest();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = fs::File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut words = vec!["run", "-j1", "--answers"];
        let prompts: Vec<String> = (0..60)
            .map(|n| format!("{} {n} {}", if stream == "err" { "FAIL400" } else { "" }, "z".repeat(300)))
            .collect();
        words.extend(prompts.iter().map(String::as_str));
        words.push("HANG");
        let mut command = fake.started(&words);
        let end_of = |stream: fs::File| Stdio::from(OwnedFd::from(stream));
        match stream {
            "out" => command.stdout(end_of(slave)).stderr(Stdio::null()),
            _ => command.stdout(Stdio::null()).stderr(end_of(slave)),
        };
        let mut runner = command.spawn().unwrap();
        drop(command);
        // Nobody reads, and the run goes on to its last job all the same.
        fake.wait_for_sent(61);
        signal(&runner, Signal::TERM);
        std::thread::sleep(Duration::from_millis(200));
        signal(&runner, Signal::TERM);
        wait_until(|| {
            fake.journal().iter().any(|line| line["type"] == "run.completed" || line["type"] == "run.stopped")
        });
        std::thread::sleep(Duration::from_millis(200));
        signal(&runner, Signal::TERM);
        let code = end(&mut runner);
        assert!([130, 128 + 15].contains(&code), "{stream}: {code}");
        drop(master);
    }
}

#[test]
fn a_picture_that_is_named_anew_is_the_one_that_is_sent() {
    let fake = Fake::newest();
    let [one, two] = ["a", "b"].map(|name| fake.0.write(&format!("work/{name}.png"), name));
    queue(&fake, "q", &["LIMIT300"]);
    assert_eq!(fake.tool(&["queue", "run", "q", "--image", "a.png"]).code, 75);
    fake.good(&["queue", "edit", "q", "1", "fine"]);
    let image = |at: usize| {
        let argv = fake.sent()[at]["argv"].as_array().unwrap().clone();
        let word =
            argv.iter().find_map(|word| word.as_str().unwrap().strip_prefix("--image=")).unwrap().to_owned();
        fs::read_to_string(word).unwrap()
    };
    assert_eq!(image(0), "a");
    assert_eq!(fake.tool(&["queue", "run", "q", "--on-limit=try", "--image", "b.png"]).code, 0);
    assert_eq!(image(1), "b");
    drop((one, two));
}

#[test]
fn a_picture_that_is_gone_fails_no_prompt() {
    let fake = Fake::newest();
    let image = fake.0.write("work/a.png", "a");
    queue(&fake, "q", &["FAIL401", "two"]);
    assert_eq!(fake.tool(&["queue", "run", "q", "--image", "a.png"]).code, 75);
    fs::remove_file(image).unwrap();
    let ran = fake.tool(&["queue", "run", "q"]);
    assert!(ran.code == 2 && ran.err.contains("which the run was started with"), "{} {}", ran.code, ran.err);
    assert_eq!((fake.each("q", "status"), fake.sent().len()), (vec!["pending".to_owned(); 2], 1));
}

#[test]
fn one_session_is_gone_on_with_by_a_new_run() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--one-session", "MS400", "two", "three"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    wait_until(|| !fake.each("q", "session")[0].is_empty());
    crash(&mut runner);
    wait_for_end(&fake.out(1));
    assert_eq!(fake.tool(&["queue", "run", "q", "--new"]).code, 0);
    let sent = fake.sent();
    assert_eq!(fake.prompts(), ["MS400", "two", "three"]);
    assert!(sent.iter().all(|line| line["session"] == sent[0]["session"]), "{sent:?}");
}

#[test]
fn what_was_to_be_continued_is_not_sent_whole_by_a_new_run() {
    let fake = Fake::newest();
    queue(&fake, "q", &["HANG", "two"]);
    cut_off(&fake, &[]);
    let work = fake.0.path("work");
    fs::rename(&work, fake.0.path("away")).unwrap();
    let mut command = fake.started(&["queue", "run", "q", "--interrupted=continue"]);
    let status = command.current_dir(fake.0.path("")).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(2), "the project is gone");
    fs::rename(fake.0.path("away"), &work).unwrap();
    assert_eq!(fake.tool(&["queue", "run", "q", "--new"]).code, 0);
    assert_eq!(fake.prompts(), ["HANG", "two"]);
    assert_eq!(fake.each("q", "status"), ["failed", "completed"]);
}

#[test]
fn what_was_sent_and_is_sent_again_is_marked_whoever_sends_it() {
    // By the third runner of the same run.
    let fake = Fake::newest();
    queue(&fake, "q", &["HANG"]);
    cut_off(&fake, &[]);
    let work = fake.0.path("work");
    fs::rename(&work, fake.0.path("away")).unwrap();
    for _ in 0..2 {
        let mut command = fake.started(&["queue", "run", "q", "--interrupted=retry"]);
        assert_eq!(
            command.current_dir(fake.0.path("")).stderr(Stdio::null()).status().unwrap().code(),
            Some(2)
        );
    }
    fs::rename(fake.0.path("away"), &work).unwrap();
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(2);
    fake.good(&["queue", "stop", "--now", "q"]);
    end(&mut runner);
    assert_eq!(started(&fake).iter().map(|(_, resent)| *resent).collect::<Vec<_>>(), [false, true]);

    // By another run: a prompt that met a limit and did nothing.
    let fake = Fake::newest();
    queue(&fake, "q", &["LIMITX"]);
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 75);
    fake.tool(&["queue", "run", "q", "--new"]);
    let marks: Vec<bool> = started(&fake).iter().map(|(_, resent)| *resent).collect();
    assert_eq!(marks, [false, true]);
}

#[test]
fn what_is_said_now_takes_no_limit_away() {
    let fake = Fake::newest();
    queue(&fake, "q", &["FAIL401", "two"]);
    let strict = ["--config", "sandbox_mode=read-only", "--config", "model=a", "--codex-arg=--strict"];
    assert_eq!(fake.tool(&[&["queue", "run", "q"][..], &strict[..4]].concat()).code, 75);
    let dry = fake.good(&["queue", "run", "q", "--dry-run", "--config", "model=b", "-c", "x=1"]);
    let options = records(&dry)[0]["options"].clone();
    assert_eq!(options["config"], json!(["sandbox_mode=read-only", "model=b", "x=1"]));
    let fresh = records(&fake.good(&["queue", "run", "q", "--new", "--dry-run"]));
    assert_eq!(fresh[0]["options"]["config"], json!([]));
}

#[test]
fn who_holds_the_file_keeps_no_runner_from_hearing() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS300", "HANG", "three"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(2);
    let lock = fs::File::open(fake.0.config("queues.json.lock")).unwrap();
    lock.lock().unwrap();
    // Longer than the file is left behind.
    std::thread::sleep(Duration::from_millis(1500));
    signal(&runner, Signal::TERM);
    signal(&runner, Signal::USR1);
    wait_until(|| fake.journal().iter().any(|line| line["type"] == "run.stopped"));
    drop(lock);
    assert_eq!(end(&mut runner), 130);
    assert_eq!(fake.each("q", "status"), ["completed", "failed", "pending"]);
}

#[test]
fn bad_usage_leaves_an_unfinished_run_as_it_is() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--one-session", "FAIL401", "two"]);
    assert_eq!(fake.tool(&["queue", "run", "q", "--sandbox", "read-only"]).code, 75);
    let before = (fs::read(fake.0.config("queues.json")).unwrap(), fake.runs().len(), fake.journal().len());
    assert_eq!(fake.tool(&["queue", "run", "q", "--new", "--on-busy=fork"]).code, 2);
    let after = (fs::read(fake.0.config("queues.json")).unwrap(), fake.runs().len(), fake.journal().len());
    assert!(before == after);
}

#[test]
fn the_run_of_a_queue_that_is_gone_is_in_nobodys_way() {
    let fake = Fake::newest();
    queue(&fake, "q", &["FAIL401", "two"]);
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 75);
    // As an editor leaves it, or a kill in the middle of a delete.
    fake.0.write("home/.config/codex-agent/queues.json", "{\"queues\":[]}");
    let ran = fake.tool(&["run", "continue"]);
    assert!(ran.code == 0 && ran.err.contains("there is no unfinished run"), "{} {}", ran.code, ran.err);
    assert_eq!(fake.runs().len(), 1);
    // A run made this very second is not older than nothing.
    std::thread::sleep(Duration::from_millis(1100));
    fake.good(&["run", "prune", "--older", "0s"]);
    assert_eq!(fake.runs().len(), 0);
}

#[test]
fn no_prompt_is_asked_for_more_often_than_can_be_counted() {
    let fake = Fake::newest();
    let prompt: Value = json!({"id": "1", "prompt": "x", "status": "failed", "retries": u32::MAX});
    let project = fs::canonicalize(fake.0.path("work")).unwrap();
    let queues = json!({"queues": [{"id": "q", "name": "q", "projectPath": project, "prompts": [prompt], "createdAt": "x"}]});
    fake.0.write("home/.config/codex-agent/queues.json", queues.to_string());
    let ran = fake.tool(&["queue", "retry", "q", "1"]);
    assert!(ran.code == 2 && ran.err.contains("add it as another prompt"), "{} {}", ran.code, ran.err);
}

#[test]
fn a_terminal_is_closed_once_however_often_that_is_said() {
    let fake = Fake::newest();
    queue(&fake, "q", &["MS1200", "two"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(1);
    for _ in 0..4 {
        signal(&runner, Signal::HUP);
        std::thread::sleep(Duration::from_millis(60));
    }
    assert_eq!(end(&mut runner), 75, "what runs is finished");
    assert_eq!(fake.each("q", "status"), ["completed", "pending"]);
    // And a stop after it is the second.
    queue(&fake, "q", &["HANG"]);
    let mut runner = fake.start(&["queue", "run", "q"]);
    fake.wait_for_sent(3);
    signal(&runner, Signal::HUP);
    std::thread::sleep(Duration::from_millis(200));
    signal(&runner, Signal::TERM);
    assert_eq!(end(&mut runner), 130);
}

#[test]
fn an_output_that_accepts_nothing_is_reported() {
    let fake = Fake::newest();
    let full = |words: &[&str]| {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = fake.started(words).stdout(full).stderr(Stdio::piped()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    queue(&fake, "q", &["one", "two"]);
    for words in [&["run", "--answers", "hello"][..], &["run", "--json", "hello"], &["queue", "run", "q"]] {
        let (code, err) = full(words);
        assert!(
            code == 2 && err.contains("cannot write to standard output: no space left"),
            "{words:?} {code} {err}"
        );
        assert!(err.contains("the run itself continued; 'codex-agent run log "), "{words:?} {err}");
    }
    assert_eq!(fake.prompts(), ["hello", "hello", "one", "two"]);
    let (code, err) = full(&["queue", "log", "q"]);
    assert!(code == 2 && err.contains("no space left"), "{err}");
    let (code, err) = full(&["queue", "add", "q", "three", "--json"]);
    assert!(code == 2 && err.contains("the change of the queue itself was saved"), "{err}");
    assert_eq!(fake.each("q", "prompt"), ["one", "two", "three"]);
}

#[test]
fn what_no_runner_sends_by_itself_is_told() {
    let fake = Fake::newest();
    fake.good(&["queue", "add", "q", "--manual", "later"]);
    let ran = fake.tool(&["queue", "run", "q"]);
    assert!(ran.code == 0 && ran.err.contains("nothing to send; 1 manual"), "{}", ran.err);
    queue(&fake, "r", &["FAIL400"]);
    assert_eq!(fake.tool(&["queue", "run", "r"]).code, 1);
    let ran = fake.tool(&["queue", "run", "r"]);
    assert!(ran.err.contains("'codex-agent queue retry r --failed'"), "{}", ran.err);
}

#[test]
fn a_codex_that_never_begins_does_not_burn_a_whole_queue() {
    let fake = Fake::newest();
    queue(&fake, "q", &["one", "two", "three", "four", "five"]);
    let broken = fake.0.script("bin/broken", "#!/bin/sh\necho 'Error loading config.toml: no' >&2\nexit 1\n");
    let ran = fake.tool(&["queue", "run", "q", "--codex", broken.to_str().unwrap()]);
    assert!(ran.code == 75 && ran.err.contains("stopped (config), 5 jobs left"), "{} {}", ran.code, ran.err);
    assert_eq!(fake.each("q", "status"), ["pending"; 5]);
    // Single ones in between are failures as any other.
    let fake = Fake::newest();
    queue(&fake, "q", &["EXITS", "EXITS", "fine", "EXITS", "EXITS", "fine"]);
    assert_eq!(fake.tool(&["queue", "run", "q"]).code, 1);
    assert_eq!(fake.prompts().len(), 2);
}

#[test]
fn what_waits_for_a_session_is_planned_when_it_is_free() {
    let fake = Fake::newest();
    let big = "long ".repeat(100_000);
    fake.good(&["queue", "add", "q", "--one-session", "one"]);
    fake.good(&["queue", "run", "q"]);
    let session = fake.each("q", "session").remove(0);
    let mut other = fake.start(&["resume", &session, "--prompt", "SLEEP6"]);
    fake.wait_for_sent(2);
    assert_eq!(fake.feed(&["queue", "add", "q", "-"], &big).code, 0);
    let mut runner = fake.start(&["queue", "run", "q"]);
    let withdrawn = |fake: &Fake| {
        // The newest may have none yet.
        let folder = fake.runs().pop().unwrap_or_default();
        let journal = fs::read_to_string(folder.join("journal.ndjson")).unwrap_or_default();
        (journal.matches("\"withdrawn\":true").count(), journal.len())
    };
    wait_until(|| withdrawn(&fake).0 == 1);
    // Whoever waits can be edited.
    let (_, before) = withdrawn(&fake);
    std::thread::sleep(Duration::from_millis(2500));
    fake.good(&["queue", "edit", "q", "2", "--prompt", "short"]);
    assert_eq!((withdrawn(&fake), fake.prompts().len()), ((1, before), 2));
    assert_eq!((end(&mut other), end(&mut runner)), (0, 0));
    assert_eq!(fake.prompts().last().unwrap(), "short");
    assert_eq!(fake.each("q", "status"), ["completed", "completed"]);
}
