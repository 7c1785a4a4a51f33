//! Choosing among the sessions of several hosts.

use super::{configure, world};
use crate::world::terminal::Terminal;
use crate::world::{World, json};

fn on(world: &World, line: &str) -> Terminal {
    let mut command = world.command("setsid");
    command.args(["--ctty", "--wait", "sh", "-c", line]);
    Terminal::open(command, 110, 24)
}

#[test]
fn a_session_of_a_host_is_chosen_with_its_host() {
    let world = world("");
    let mut terminal = on(&world, "codex-agent pick --host a,b --json > out");
    terminal.until("HOST");
    terminal.until("Try another approach");
    terminal.press("login work\r");
    assert_eq!(terminal.end().1, 0);
    let chosen = json(&std::fs::read_to_string(world.path("out")).unwrap());
    assert_eq!(
        (chosen.len(), &chosen[0]["host"], &chosen[0]["name"]),
        (1, &"b".into(), &"login work".into())
    );
}

#[test]
fn records_with_hosts_are_printed_as_references() {
    let world = world("");
    let line = "codex-agent ls --host a --json | codex-agent pick login work --format '{host}:{id}' > out";
    let mut terminal = on(&world, line);
    terminal.until("HOST");
    terminal.until("login work");
    terminal.press("\x0f");
    terminal.until("on host 'a': codex-agent resume a:01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c");
    terminal.press("\r");
    assert_eq!(terminal.end().1, 0);
    let out = std::fs::read_to_string(world.path("out")).unwrap();
    assert_eq!(out, "a:01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c\n");
}

#[test]
fn a_host_that_is_down_is_reported_after_the_choice() {
    let world = world("[host.down]\nvia = ['sh', '-c', 'echo gone >&2; exit 255']\n");
    let mut terminal = on(&world, "codex-agent pick --host down,a --json > out");
    terminal.until("Try another approach");
    terminal.press("\r");
    let (shown, code) = terminal.end();
    assert!(code == 2 && shown.contains("host 'down'"), "{code} {shown}");
    assert_eq!(json(&std::fs::read_to_string(world.path("out")).unwrap())[0]["host"], "a");
    configure(&world, "");
}
