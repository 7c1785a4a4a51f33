//! The command of `runs.on_end`, which gets the record of each run that ends.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::fake::{Fake, end, signal};
use crate::world::json as records;

/// A world whose runs end with this command.
fn ending_with(command: &str) -> Fake {
    let fake = Fake::newest();
    fake.0.write("home/.config/codex-agent/config.toml", format!("[runs]\non_end = '''{command}'''\n"));
    fake
}

fn ended(fake: &Fake) -> Vec<Value> {
    records(&fs::read_to_string(fake.0.path("work/ended")).unwrap_or_default())
}

#[test]
fn each_run_that_ends_passes_its_record_to_the_command() {
    let fake = ending_with("cat >> ended; echo \"$CODEX_AGENT_RUN\" >> ids; echo notified");
    let ran = fake.tool(&["run", "--json", "-p", "one", "-p", "bad FAIL400"]);
    // Standard output has events alone.
    ran.exits(1).reports("notified\n").never_shows("notified");
    assert!(ran.err.find("1 job failed;") < ran.err.find("notified"), "{ran}");
    let listed = records(&fake.good(&["run", "list", "--json"]));
    assert_eq!(ended(&fake), listed);
    assert_eq!(listed[0]["state"], "finished");
    let ids = fs::read_to_string(fake.0.path("work/ids")).unwrap();
    assert_eq!(json!(ids.trim()), listed[0]["id"]);
    // Of a queue too, and of a run that was stopped.
    fake.good(&["queue", "add", "q", "-p", "LIMIT300"]);
    fake.tool(&["queue", "run", "q"]).exits(75);
    let last = ended(&fake).pop().unwrap();
    assert_eq!(
        (&last["kind"], &last["state"], &last["counts"]["pending"]),
        (&json!("queue"), &json!("stopped"), &json!(1))
    );
    // A job that runs codex-agent does not run the command.
    let mut inner = fake.started(&["run", "--on-limit=try", "-p", "inner"]);
    assert!(inner.env("CODEX_AGENT_DEPTH", "1").output().unwrap().status.success());
    assert_eq!(ended(&fake).len(), 2);
}

#[test]
fn a_command_that_fails_is_a_warning_and_one_that_starts_runs_is_not_run_again() {
    let fake = ending_with("exit 3");
    let ran = fake.tool(&["run", "-p", "one"]);
    ran.succeeds().reports("the command 'exit 3' of runs.on_end failed: it exited with status 3");
    let fake = ending_with("kill -9 $$");
    fake.tool(&["run", "-p", "FAIL400"]).exits(1).reports("of runs.on_end failed: signal 9 ended it");
    let fake = ending_with("exec codex-agent-run -p again >> ended");
    fake.tool(&["run", "-p", "one"]).succeeds();
    assert_eq!(fake.prompts(), ["one", "again"]);
    // A file that cannot be read stops no run before, and no command of it is run.
    fake.0.write("home/.config/codex-agent/config.toml", "[runs]\non_end = 7\n");
    fake.tool(&["run", "-p", "two"])
        .exits(2)
        .reports("invalid value for 'runs.on_end': expected a string, found a number");
    assert_eq!(fake.prompts().len(), 2);
}

/// Signals to the terminal do not reach the command, and one that hangs is killed.
#[test]
fn a_command_has_no_terminal_and_ends_in_time() {
    let fake = ending_with("cat > ended; ps -o pgid= -p $$ > group; exec sleep 100");
    let begun = Instant::now();
    let mut runner = fake.start(&["run", "-p", "HANG"]);
    fake.wait_for_sent(1);
    signal(&runner, rustix::process::Signal::TERM);
    signal(&runner, rustix::process::Signal::TERM);
    crate::world::fake::wait_until(|| !ended(&fake).is_empty());
    let group = fs::read_to_string(fake.0.path("work/group")).unwrap_or_default();
    assert_ne!(group.trim(), runner.id().to_string());
    assert_eq!(end(&mut runner), 130, "the exit status is that of the run");
    assert!((30..50).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let listed = records(&fake.good(&["run", "list", "--json"]));
    assert_eq!(ended(&fake), listed);
    assert!(begun.elapsed() > Duration::from_secs(30));
}

/// The command may open its standard error anew, which truncates a file.
#[test]
fn all_output_of_the_command_is_shown_in_its_order() {
    let fake = ending_with("echo first; sleep 0.1; echo second > /dev/stderr; sleep 0.1; echo third >&2");
    let mut command = fake.started(&["run", "-p", "one"]);
    // No temporary file is needed.
    let ran = crate::world::ran::finish(command.env("TMPDIR", "/nonexistent"));
    ran.succeeds().reports("first\nsecond\nthird\n");
}

/// A reader that waits delays the last lines, and not the command.
#[test]
fn the_command_does_not_wait_for_the_reader_of_the_output() {
    let fake = ending_with("cat > ended");
    fake.0.write("work/long", "x".repeat(300_000));
    let line = "cd work && codex-agent run --json --prompt-file long | (for n in $(seq 300); do [ -e ended ] && echo in time && break; sleep 0.1; done; cat >/dev/null)";
    fake.0.sh(line).succeeds().shows("in time");
}

/// A process that the command leaves in the background delays no reader of the output of the run.
#[test]
fn a_command_in_the_background_holds_no_output() {
    let fake = ending_with("echo first; echo second >&2; (sleep 25; echo late >&2; echo > woke) &");
    let begun = Instant::now();
    let ran = fake.0.sh("cd work && codex-agent run -p one 2>&1 | tail -n 20");
    ran.succeeds().shows("first\nsecond\n").never_shows("late");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(!fake.0.path("work/woke").exists());
}
