//! Hosts that are down, silent, old or broken: each causes one line, and the others are listed.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::{configure, home, scripted, world};
use crate::world::ran::finish;
use crate::world::{World, json};

/// The text of a host that ssh cannot reach, for this reason.
fn unreachable(world: &World, name: &str, why: &str) -> String {
    let ssh = world.script(&format!("{name}/ssh"), &format!("#!/bin/sh\necho '{why}' >&2\nexit 255\n"));
    format!("[host.{name}]\nvia = ['{}', '{name}']\n", ssh.display())
}

const OLD: &str = "echo \"codex-agent-$2: unknown flag '\\''--serve'\\''\" >&2; echo \"Try 'codex-agent-ls --help'.\" >&2; exit 2";

#[test]
fn six_broken_hosts_cause_six_lines() {
    let world = world("");
    let mut more = unreachable(&world, "down", "ssh: connect to host down port 22: Connection refused");
    more += &unreachable(&world, "refusing", "me@refusing: Permission denied (publickey).");
    more += &scripted("mute", "sleep 60 & exec sleep 60");
    more += &scripted("none", "echo \"bash: line 1: $0: command not found\" >&2; exit 127");
    more += &scripted("old", &OLD.replace("'\\''", "'"));
    more += &scripted(
        "newer",
        "printf '\\n{\"type\":\"host.hello\",\"protocol\":9,\"version\":\"9.1.0\"}\\n'; sleep 60",
    );
    let banner = "echo Welcome; printf 'to this host'; exec env CODEX_HOME=";
    write!(
        more,
        "[host.banner]\nvia = ['sh', '-c', '''{banner}{} \"$0\" \"$@\"''']\n",
        home(&world, "a").display()
    )
    .unwrap();
    configure(&world, &more);
    let start = Instant::now();
    let ran = world.run(&["codex-agent-ls", "--host", "all", "--format", "{host}"]);
    let time = start.elapsed();
    ran.exits(2);
    let rows = |host: &str| ran.out.lines().filter(|line| *line == host).count();
    assert_eq!([rows("a"), rows("b"), rows("banner")], [11, 11, 11], "{ran}");
    let mut lines: Vec<&str> = ran.err.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "codex-agent-ls: host 'down': cannot connect: connect to host down port 22: Connection refused",
            "codex-agent-ls: host 'mute': no answer from codex-agent for 3 seconds",
            "codex-agent-ls: host 'newer': codex-agent 9.1.0 there has protocol 9, and this one 1; use the same version on both",
            "codex-agent-ls: host 'none': there is no 'codex-agent' on the host; host.none.command in config.toml is the path of codex-agent there",
            "codex-agent-ls: host 'old': codex-agent there is too old for 'codex-agent ls --host' (unknown flag '--serve'); update it",
            "codex-agent-ls: host 'refusing': cannot connect: me@refusing: Permission denied (publickey).",
        ]
    );
    assert!(time < Duration::from_secs(4), "{time:?}");
}

#[test]
fn a_host_that_breaks_off_is_reported_with_what_it_said_before() {
    let world = world("");
    let hello = "printf '\\n{\"type\":\"host.hello\",\"protocol\":1,\"version\":\"0.1.0\"}\\n'";
    let row = "{\"type\":\"session\",\"id\":\"01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c\"}";
    let mut more =
        scripted("torn", &format!("{hello}; echo '{row}'; printf '{{\"type\":\"session\",\"id\":'"));
    more += &scripted(
        "lost",
        &format!("{hello}; echo '{row}'; echo 'client_loop: send disconnect: Broken pipe' >&2; exit 255"),
    );
    more += &scripted("killed", &format!("{hello}; echo '{row}'; kill -9 $$"));
    more += &scripted("noisy", &format!("{hello}; echo 'a line'; echo '{row}'; echo 'another'"));
    more += &scripted("empty", "exit 0");
    more += &scripted("babble", "seq 1 100000");
    more += &scripted("endless", "yes");
    more += "[host.missing]\nvia = 'no-such-program-at-all'\n";
    configure(&world, &more);
    world.foreign();
    for (host, rows, why) in [
        ("torn", 1, "the connection ended in the middle of a line"),
        ("lost", 1, "the connection ended with status 255: client_loop: send disconnect: Broken pipe"),
        ("killed", 1, "the connection was ended by signal 9"),
        ("noisy", 1, "skipped what is no record: 'a line'"),
        ("empty", 0, "it ended without an answer of codex-agent"),
        ("babble", 0, "without an answer of codex-agent"),
        ("endless", 0, "it prints text that is not an answer of codex-agent"),
        (
            "missing",
            0,
            "cannot run 'no-such-program-at-all': no such file or directory; host.missing.via in config.toml",
        ),
    ] {
        let start = Instant::now();
        let ran = world.run(&["codex-agent-ls", "--host", host, "--json"]);
        ran.case(host).exits(2).reports(format!("codex-agent-ls: host '{host}': ")).reports(why);
        assert_eq!((ran.err.lines().count(), ran.out.lines().count()), (1, rows), "{ran}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn text_of_a_host_cannot_control_the_terminal() {
    let world = world(&scripted("evil", "printf '\\033]0;title\\007evil\\n' >&2; exit 255"));
    let ran = world.run(&["codex-agent-ls", "--host", "evil"]);
    ran.exits(2).reports("\\x1b]0;title\\x07evil").never_reports("\u{1b}");
}

#[test]
fn a_record_cannot_name_another_host() {
    let hello = "printf '\\n{\"type\":\"host.hello\",\"protocol\":1,\"version\":\"0.1.0\"}\\n'";
    let row = "{\"type\":\"session\",\"id\":\"01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c\",\"host\":\"-oProxyCommand=x\"}";
    let world = world(&scripted("evil", &format!("{hello}; echo '{row}'")));
    world.foreign();
    let ran = world.run(&["codex-agent-ls", "--host", "evil", "--json"]);
    assert_eq!(json(&ran.out)[0]["host"], "evil");
    ran.succeeds().never_shows("ProxyCommand");
}

#[test]
fn problems_that_a_host_reports_name_it() {
    let world = world("");
    let ran = world.run(&["codex-agent-ls", "--host", "a,b", "--group", "nope"]);
    ran.exits(1).prints("").reports("codex-agent-ls: host 'a': there is no group 'nope'");
    ran.reports("codex-agent-ls: host 'b': there is no group 'nope'");
    std::fs::remove_dir_all(home(&world, "b")).unwrap();
    let ran = world.run(&["codex-agent-ls", "--host", "a,b", "--count"]);
    ran.exits(2).prints("11\n").reports("codex-agent-ls: host 'b': cannot open Codex's home");
}

/// The process of a silent host does not outlive the tool, not even if it has left a child behind.
#[test]
fn nothing_of_a_silent_host_is_left() {
    let script = "sleep 61 & echo $! > child; echo $$ > parent; exec sleep 61";
    let world = world(&scripted("mute", script));
    let is_alive = |name: &str| {
        let pid = std::fs::read_to_string(world.path(name)).unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    world.run(&["codex-agent-ls", "--host", "mute"]).exits(2);
    let none = || !is_alive("child") && !is_alive("parent");
    crate::world::fake::wait_until(none);
    std::fs::remove_file(world.path("child")).unwrap();
    // A signal to the tool ends it and the command, which has a process group of its own.
    let mut command = world.command("timeout");
    let ran = finish(command.args(["-s", "INT", "1", "codex-agent-ls", "--host", "mute"]));
    ran.exits(124);
    crate::world::fake::wait_until(none);
}

/// What a host printed before it hung is printed as well.
#[test]
fn a_host_that_hangs_is_given_up() {
    let hello = "printf '\\n{\"type\":\"host.hello\",\"protocol\":1,\"version\":\"0.1.0\"}\\n'";
    let row = "{\"type\":\"session\",\"id\":\"01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c\"}";
    let world = world(&scripted("hung", &format!("{hello}; echo '{row}'; sleep 60 & exec sleep 60")));
    world.foreign();
    let start = Instant::now();
    let ran = world.run(&["codex-agent-ls", "--host", "hung,a", "--json", "--quiet"]);
    ran.exits(2).reports_exactly("codex-agent-ls: host 'hung': no answer for 10 seconds\n");
    assert_eq!(json(&ran.out).len(), 12);
    assert!(start.elapsed() < Duration::from_secs(40));
}

/// A listing is kept to be sorted. One without an end fills neither the memory nor the time.
#[test]
fn a_listing_without_an_end_is_given_up() {
    let hello = "printf '\\n{\"type\":\"host.hello\",\"protocol\":1,\"version\":\"0.1.0\"}\\n'";
    let title = "t=$(head -c 1000000 /dev/zero | tr '\\0' x)";
    let row = "{\\\"type\\\":\\\"session\\\",\\\"id\\\":\\\"01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c\\\",\\\"title\\\":\\\"$t\\\"}";
    let script = format!("{hello}; {title}; while echo \"{row}\"; do :; done");
    let world = world(&scripted("endless", &script));
    world.foreign();
    let line = "ulimit -v 3000000; codex-agent-ls --host endless,a --fields host";
    let ran = finish(world.command("sh").args(["-c", line]));
    ran.exits(2);
    let wanted = "host 'endless': its listing is longer than 256 MiB; --limit bounds it";
    ran.reports(wanted);
    assert_eq!(ran.out.lines().filter(|host| *host == "a").count(), 11);
}
