//! The picker on a terminal: its keys, what it prints, and what must not disturb it.

mod faults;
mod filters;
mod keys;
mod launch;
mod real;
mod targets;

use crate::world::fake::Fake;
use crate::world::terminal::Terminal;

/// Leaving the alternate screen: the terminal is as it was before.
const RESTORED: &str = "\x1b[?1049l";

/// Three sessions in the directory `work`, the last one the newest.
fn fake() -> (Fake, [String; 3]) {
    let fake = Fake::newest();
    let ids = ["Fix the parser", "Write a manual", "Parse the list"].map(|prompt| fake.begin(prompt));
    (fake, ids)
}

/// Completes one turn of a new session in a directory of the world, which is made if it is missing.
fn begin_in(fake: &Fake, directory: &str, prompt: &str) -> String {
    std::fs::create_dir_all(fake.0.path(directory)).unwrap();
    let mut command = fake.0.command(fake.0.path("bin/codex").to_str().unwrap());
    command.args(["exec", "--json", "--skip-git-repo-check", prompt]).current_dir(fake.0.path(directory));
    let output = command.output().unwrap();
    assert!(output.status.success());
    let records = crate::world::json(&String::from_utf8(output.stdout).unwrap());
    records[0]["thread_id"].as_str().unwrap().to_owned()
}

/// A shell line on a terminal of its own, in the directory of the sessions.
fn on(fake: &Fake, line: &str, columns: u16, rows: u16) -> Terminal {
    let mut command = fake.0.command("setsid");
    command.args(["--ctty", "--wait", "sh", "-c", line]).current_dir(fake.0.path("work"));
    Terminal::open(command, columns, rows)
}

/// The ids of the records in the file that a line wrote.
fn printed(fake: &Fake) -> Vec<String> {
    let text = std::fs::read_to_string(fake.0.path("work/out")).unwrap();
    crate::world::json(&text).iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}
