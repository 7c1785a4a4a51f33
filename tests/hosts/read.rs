//! The other tools that read: find, show, grep, stats and status, on hosts that flags, references and records name.

use super::{configure, home, scripted, world};
use crate::world::ran::feed;
use crate::world::terminal::on_terminal;
use crate::world::{Ran, World, copy, json};

const LOGIN_A: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";
const LOGIN_B: &str = "01a22203-d0eb-7d33-a6d5-529d34c40a45";

/// What a tool prints on the home of a host.
fn there(world: &World, host: &str, words: &[&str]) -> String {
    let directory = home(world, host).display().to_string();
    world.run(&[words, &["--codex-home", &directory]].concat()).out
}

/// Runs a tool with this on standard input.
fn piped(world: &World, words: &[&str], input: &str) -> Ran {
    let ran = feed(world.command(words[0]).args(&words[1..]), input);
    world.hold(words, input.as_bytes(), &ran.out);
    ran
}

#[test]
fn a_reference_names_its_host() {
    let world = world("");
    let words = |reference: &'static str| ["codex-agent-show", reference, "--oneline"];
    let shown = world.ok(&["codex-agent-show", "a:cd6d1b0c"]);
    assert_eq!(shown, there(&world, "a", &["codex-agent-show", "cd6d1b0c"]));
    let rows = world.ok(&words("a:cd6d1b0c"));
    let prefixed: String =
        there(&world, "a", &words("cd6d1b0c")).lines().map(|row| format!("a:{row}\n")).collect();
    assert_eq!(rows, prefixed);
    // An address, with the host in front.
    let address = rows.split('\t').next().unwrap();
    world.run(&["codex-agent-show", address]).succeeds().shows("Fix the login bug");
    world
        .run(&["codex-agent-show", "--around", &format!("{address}:1")])
        .succeeds()
        .shows("Fix the login bug");
    // A colon behind any other word is that of an address.
    world.run(&["codex-agent-show", "c:cd6d1b0c"]).exits(1).reports("no session 'c:cd6d1b0c'");
    world.run(&["codex-agent-show", "id:cd6d1b0c"]).exits(1).reports("id:cd6d1b0c");
    world.run(&["codex-agent-show", "a:"]).exits(2).reports("the reference to a session is empty");
    let ran = world.run(&["codex-agent-show", "c:cd6d1b0c", "--host", "c,a"]);
    ran.exits(2).reports("codex-agent-show: host 'c': ");
}

#[test]
fn sessions_of_several_hosts_are_shown_one_after_the_other() {
    let world = world("");
    let refs = [&format!("b:{LOGIN_B}")[..], &format!("a:{LOGIN_A}")];
    let shown = world.ok(&["codex-agent-show", refs[0], refs[1]]);
    let one = |host, id| there(&world, host, &["codex-agent-show", id]);
    assert_eq!(shown, one("b", LOGIN_B) + &one("a", LOGIN_A));
    let records = json(&world.ok(&["codex-agent-show", refs[0], refs[1], "--json"]));
    assert!(records.iter().all(|record| {
        let host = if record["session"] == LOGIN_A { "a" } else { "b" };
        record["host"] == host
    }));
    // A host that does not have the session says so.
    let ran = world.run(&["codex-agent-show", LOGIN_A, "--host", "a,b", "--final"]);
    ran.succeeds().prints("echo: Thanks; write the changelog entry\n");
    ran.reports(format!("codex-agent-show: host 'b': no session '{LOGIN_A}'"));
}

#[test]
fn records_of_a_pipe_go_to_their_hosts() {
    let world = world("");
    let all = world.ok(&["codex-agent-ls", "--host", ".,a,b", "--json"]);
    let found = piped(&world, &["codex-agent-find", "-", "login", "--json"], &all);
    found.succeeds();
    let hosts: Vec<String> = json(&found.out).iter().map(|record| record["host"].to_string()).collect();
    for host in [".", "a", "b"] {
        assert!(hosts.contains(&format!("\"{host}\"")), "{hosts:?}");
    }
    let again = piped(&world, &["codex-agent-find", "-", "login", "--json"], &found.out);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&again.out), sorted(&found.out));
    // Lines are references too: their first column has the host.
    let rows = world.ok(&["codex-agent-ls", "--host", "a,b"]);
    let ran = piped(&world, &["codex-agent-find", "-", "--format", "{host}:{id}"], &rows);
    let first = |text: &str| {
        sorted(&text.lines().map(|row| row.split('\t').next().unwrap().to_owned() + "\n").collect::<String>())
    };
    assert_eq!(first(&ran.succeeds().out), first(&rows));
    // Matches have addresses, and are references to their sessions.
    let matches = world.ok(&["codex-agent-grep", "login", "--host", "a,b"]);
    assert!(matches.lines().all(|row| row.starts_with("a:01") || row.starts_with("b:01")), "{matches}");
    let shown = piped(&world, &["codex-agent-show", "-"], &matches);
    assert_eq!(shown.succeeds().out.matches("Fix the login bug").count() % 2, 0);
    let records = world.ok(&["codex-agent-grep", "login", "--host", "a,b", "--json"]);
    let shown = piped(&world, &["codex-agent-show", "-"], &records);
    shown.succeeds().shows("Fix the login bug");
}

#[test]
fn a_record_reaches_no_host_that_the_user_has_not_named() {
    let world = world("");
    let record = |host: &str| format!("{{\"type\":\"session\",\"host\":\"{host}\",\"id\":\"{LOGIN_A}\"}}\n");
    for host in ["c", "-oProxyCommand=touch harm", "a b", ""] {
        let ran = piped(&world, &["codex-agent-show", "-"], &record(host));
        ran.case(host).exits(2).prints("").reports(format!("stdin:1: unknown host '{host}'"));
    }
    let ran = piped(&world, &["codex-agent-show", "-", "--final"], &(record("c") + &record("a")));
    ran.exits(2).reports("stdin:1: unknown host 'c'").shows("Thanks; write the changelog entry");
    assert!(!world.path("harm").exists());
}

#[test]
fn a_pipe_without_hosts_is_read_as_it_comes() {
    let world = world("");
    let own = world.ok(&["codex-agent-ls", "--json", "-n", "3"]);
    let mut command = world.command("sh");
    command.args(["-c", "(head -n 1 own; sleep 1; date +%s%N > second; tail -n +2 own) | codex-agent find - --json | (head -n 1; date +%s%N > first; cat)"]);
    world.write("own", &own);
    let ran = crate::world::ran::finish(&mut command);
    assert_eq!(ran.succeeds().out.lines().count(), 3);
    let at = |name: &str| std::fs::read_to_string(world.path(name)).unwrap().trim().parse::<u128>().unwrap();
    assert!(at("first") < at("second"), "the first record was not held back");
}

#[test]
fn words_are_found_on_every_host() {
    let world = world("");
    let ran = world.run(&["codex-agent-find", "login", "--host", "a,b", "--format", "{host} {id}"]);
    let of = |host: &str| {
        let rows = there(&world, host, &["codex-agent-find", "login", "--format", "{id}"]);
        rows.lines().map(|id| format!("{host} {id}")).collect::<Vec<_>>()
    };
    let (a, b) = (of("a"), of("b"));
    let mut want: Vec<String> = Vec::new();
    for at in 0..a.len().max(b.len()) {
        want.extend(a.get(at).into_iter().chain(b.get(at)).cloned());
    }
    // The best of each host first.
    assert_eq!(ran.succeeds().out.lines().collect::<Vec<_>>(), want);
    let newest = world.ok(&["codex-agent-find", "login", "--host", "a,b", "--last", "--format", "{host}"]);
    assert_eq!(newest, "b\n");
    let count = world.ok(&["codex-agent-find", "login", "--host", "a,b", "--count"]);
    assert_eq!(count, format!("{}\n", want.len()));
    let ran = world.run(&["codex-agent-find", "login work", "--host", "a,b", "--one"]);
    ran.exits(2).reports("ambiguous reference 'login work'");
    world.run(&["codex-agent-find", "no-such-word", "--host", "a,b"]).exits(1).prints("");
    // A word with the name of a host in front is searched for with --words.
    let ran = world.run(&["codex-agent-find", "--words", "a:login", "--host", "a,b"]);
    ran.exits(1).prints("");
}

#[test]
fn matches_of_all_hosts_are_printed() {
    let world = world("");
    let mut want = Vec::new();
    for host in ["a", "b"] {
        for mut record in json(&there(&world, host, &["codex-agent-grep", "login", "--json"])) {
            record["host"] = host.into();
            want.push(record.to_string());
        }
    }
    let ran = world.run(&["codex-agent-grep", "login", "--host", "a,b", "--json"]);
    let mut got: Vec<String> = json(&ran.succeeds().out).iter().map(ToString::to_string).collect();
    got.sort();
    want.sort();
    assert_eq!(got, want);
    let rows = world.ok(&["codex-agent-grep", "login", "--host", "a,b", "-n", "1"]);
    assert_eq!(rows.lines().count(), 1);
    let counts = world.ok(&["codex-agent-grep", "-c", "login", "a:cd6d1b0c"]);
    assert_eq!(counts, format!("a:{LOGIN_A}\t2\tlogin work\n"));
    let fields = world.ok(&["codex-agent-grep", "login", "a:cd6d1b0c", "--fields", "host,turn,item"]);
    assert_eq!(fields, "a\t1\t1\na\t1\t2\n");
    world.run(&["codex-agent-grep", "no-such-word", "--host", "a,b"]).exits(1);
    let ran = world.run(&["codex-agent-grep", "(", "--host", "a,b"]);
    ran.exits(2).reports("codex-agent-grep: invalid pattern");
    // The pattern may look like a reference.
    world.run(&["codex-agent-grep", "a:x"]).exits(1);
    let shown = on_terminal(&world, &["codex-agent-grep", "login", "--host", "a,b"], 80);
    assert!(shown.contains("==> a <==") && shown.contains("==> b <=="), "{shown}");
}

#[test]
fn sums_have_a_column_for_the_host() {
    let world = world("");
    let rows = world.ok(&["codex-agent-stats", "--host", "a,b", "--by", "model"]);
    let of = |host: &str| {
        let rows = there(&world, host, &["codex-agent-stats", "--by", "model"]);
        rows.lines().map(|row| format!("{host}\t{row}\n")).collect::<String>()
    };
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    assert_eq!(sorted(&rows), sorted(&(of("a") + &of("b"))));
    let table = world.ok(&["codex-agent-stats", "--host", "a,b", "--table"]);
    assert!(table.starts_with("HOST   DAY         TURNS"), "{table}");
    let records = json(&world.ok(&["codex-agent-stats", "--host", "a,b", "--by", "host", "--json"]));
    let hosts: Vec<_> =
        records.iter().map(|record| (record["host"].as_str().unwrap(), record["day"].is_null())).collect();
    assert_eq!(hosts, [("a", true), ("b", true)]);
    let all = json(&there(&world, "a", &["codex-agent-stats", "--by", "project", "--json"]));
    let sum: u64 = all.iter().map(|record| record["tokens"]["input"].as_u64().unwrap_or(0)).sum();
    assert_eq!(records[0]["tokens"]["input"], sum);
    world.run(&["codex-agent-stats", "--by", "host"]).exits(2).reports("--by host needs --host");
    let one = world.ok(&["codex-agent-stats", "a:cd6d1b0c", "--fields", "host,turns"]);
    assert_eq!(one, "a\t3\n");
}

#[test]
fn work_of_all_hosts_is_shown() {
    let world = world("");
    let via = |name: &str| {
        let state = world.path(&format!("state-{name}")).display().to_string();
        format!(
            "[host.{name}]\nvia = ['env', 'CODEX_AGENT_CONFIG_HOME={state}', 'CODEX_AGENT_STATE_HOME={state}']\n"
        )
    };
    configure(&world, &(via("c") + &via("d")));
    for (name, prompt) in [("c", "first"), ("d", "second")] {
        let state = world.path(&format!("state-{name}")).display().to_string();
        let mut command = world.command("codex-agent-queue");
        command.env("CODEX_AGENT_CONFIG_HOME", &state).env("CODEX_AGENT_STATE_HOME", &state);
        crate::world::ran::finish(command.args(["create", "book", "--project", "."])).succeeds();
        let mut command = world.command("codex-agent-queue");
        command.env("CODEX_AGENT_CONFIG_HOME", &state).env("CODEX_AGENT_STATE_HOME", &state);
        crate::world::ran::finish(command.args(["add", "book", prompt])).succeeds();
    }
    let rows = world.ok(&["codex-agent-status", "--host", "c,d"]);
    for row in ["c\tqueue\tbook\t", "d\tqueue\tbook\t"] {
        assert!(rows.lines().any(|line| line.starts_with(row)), "{rows}");
    }
    let records = json(&world.ok(&["codex-agent-status", "--host", "c,d", "--json"]));
    assert!(records.iter().any(|record| record["type"] == "queue" && record["host"] == "d"), "{records:?}");
    let shown = on_terminal(&world, &["codex-agent-status", "--host", "c,d"], 80);
    assert!(shown.contains("==> c <==") && shown.contains("second"), "{shown}");
}

/// Text that a host shows on a terminal may have colours, and nothing else that a terminal obeys.
#[test]
fn a_host_cannot_control_the_terminal() {
    let hello = "printf '\\n{\"type\":\"host.hello\",\"protocol\":1,\"version\":\"0.1.0\"}\\n'";
    let text = "printf '\\033[31mred\\033[0m \\033]0;title\\007 \\033[2J\\n'";
    let world = world(&scripted("evil", &format!("{hello}; {text}")));
    let shown = on_terminal(&world, &["codex-agent-show", "evil:x"], 80);
    assert!(shown.contains("red\u{1b}[0m \\x1b]0;title\\x07 \\x1b[2J"), "{shown:?}");
}

/// A session of another machine may have the id of one of this machine, which is not the one that is meant.
#[test]
fn tools_without_hosts_refuse_the_records_of_others() {
    let world = world("");
    copy(&home(&world, "a"), &world.codex_home());
    let records = world.ok(&["codex-agent-ls", "--host", "a", "--json", "-n", "1"]);
    let matches = world.ok(&["codex-agent-grep", "login", "a:cd6d1b0c", "--json", "-n", "1"]);
    for input in [&records, &matches] {
        for tool in ["archive", "fork", "resume", "watch"] {
            let ran = piped(&world, &[&format!("codex-agent-{tool}"), "-"], input);
            ran.case((tool, input)).exits(2).prints("").reports("the session is one of host 'a'");
        }
    }
    let mixed = world.ok(&["codex-agent-ls", "--json", "-n", "1"]) + &records;
    let ran = piped(&world, &["codex-agent-find", "-"], &mixed);
    ran.exits(2).reports("stdin:2: the session is one of host 'a'");
    assert_eq!(ran.out.lines().count(), 1);
    // The records of this machine in a list of hosts are sessions of this machine.
    let here = world.ok(&["codex-agent-ls", "--host", ".", "--json", "-n", "1"]);
    piped(&world, &["codex-agent-resume", "-", "--print"], &here).never_reports("the session is one of host");
}
