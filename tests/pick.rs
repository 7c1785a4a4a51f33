//! The picker on a terminal: its keys, what it prints, and what must not disturb it.

mod faults;
mod keys;
mod launch;

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
