//! The sessions of several hosts, and of this machine.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{configure, home, scripted, world};
use crate::world::terminal::on_terminal;
use crate::world::{World, copy, data, json};

/// The records of `ls` on one home, with a host.
fn of_home(world: &World, host: &str, more: &[&str]) -> Vec<Value> {
    let directory = home(world, host).display().to_string();
    let words = [&["codex-agent-ls", "--json", "--codex-home", &directory], more].concat();
    let mut records = json(&world.run(&words).out);
    for record in &mut records {
        record["host"] = host.into();
    }
    records
}

fn set(records: Vec<Value>) -> BTreeSet<String> {
    records.iter().map(Value::to_string).collect()
}

#[test]
fn the_sessions_of_all_hosts_are_one_list() {
    let world = world("");
    let ran = world.run(&["codex-agent", "ls", "--host", "a,b", "--json"]);
    ran.succeeds().reports_exactly("");
    let both = [of_home(&world, "a", &[]), of_home(&world, "b", &[])].concat();
    assert_eq!(set(json(&ran.out)), set(both));
    assert!(ran.out.lines().all(|line| line.starts_with("{\"type\":\"session\",\"host\":\"")), "{}", ran.out);
    let all = world.ok(&["codex-agent-ls", "--host", "all", "--count"]);
    assert_eq!(all.trim().parse::<usize>().unwrap(), json(&ran.out).len());
    // In one order, by the time.
    let rows = world.ok(&["codex-agent-ls", "--host", "b,a"]);
    let times: Vec<&str> = rows.lines().map(|row| row.split('\t').nth(1).unwrap()).collect();
    assert!(times.is_sorted_by(|one, other| one >= other) && times.len() == json(&ran.out).len(), "{rows}");
    assert!(rows.lines().all(|row| row.starts_with("a:01") || row.starts_with("b:01")), "{rows}");
}

#[test]
fn limit_and_offset_are_those_of_the_whole_list() {
    let world = world("");
    let rows = |more: &[&str]| {
        let words = [&["codex-agent-ls", "--host", "a,b", "--format", "{host}:{id}"], more].concat();
        world.ok(&words).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = rows(&[]);
    assert_eq!(rows(&["-n", "5"]), all[..5]);
    assert_eq!(rows(&["-n", "5", "--offset", "7"]), all[7..12]);
    assert_eq!(rows(&["--offset", "100"]), Vec::<String>::new());
    let oldest: Vec<String> = rows(&["--sort", "updated:asc"]);
    assert!(oldest.iter().rev().eq(&all));
    let json = world.ok(&["codex-agent-ls", "--host", "a,b", "--json=host,id", "-n", "2"]);
    let row = |line: &str| {
        format!("{{\"type\":\"session\",\"host\":\"{}\",\"id\":\"{}\"}}", &line[..1], &line[2..])
    };
    assert_eq!(json, format!("{}\n{}\n", row(&all[0]), row(&all[1])));
}

#[test]
fn a_table_has_a_column_for_the_host() {
    let world = world("");
    let table = world.ok(&["codex-agent-ls", "--host", ".,a", "--table"]);
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("HOST  ID        UPDATED  DIRECTORY"), "{table}");
    assert!(lines.clone().any(|line| line.starts_with("a     ")), "{table}");
    assert!(lines.any(|line| line.starts_with(".     ")), "{table}");
    let shown = on_terminal(&world, &["codex-agent", "ls", "--host", "a", "-n", "1"], 100);
    assert!(shown.contains("HOST") && shown.contains("e03ce4e5"), "{shown}");
    let hosts = world.ok(&["codex-agent-ls", "--host", "a", "--table", "--fields", "host,short", "-n", "1"]);
    assert_eq!(hosts, "HOST  SHORT\na     e03ce4e5\n");
}

#[test]
fn fields_that_take_a_look_are_read_on_the_host() {
    let world = world("");
    let row = world.ok(&["codex-agent-ls", "--host", "a", "--fields", "host,turns,status,branch", "-n", "1"]);
    assert_eq!(row, "a\t4\tidle\tfeature/login\n");
    let full = json(&world.ok(&["codex-agent-ls", "--host", "a", "--full", "--json", "-n", "1"]));
    assert_eq!(full[0]["status"], "idle");
}

/// Filters that a seed chooses: the list of both hosts is the union of the lists of each.
#[test]
fn every_filter_selects_what_it_selects_on_each_host() {
    let world = world("");
    let choices: [&[&[&str]]; 6] = [
        &[&[], &["--branch", "feature/*"], &["--branch", "main"], &["--repo", "acme/alpha"]],
        &[&[], &["--under", "/tmp/codex-fixture"], &["--cwd", "/tmp/codex-fixture/projects/beta"]],
        &[&[], &["--archived"], &["--archived=only"], &["--subagents"]],
        &[
            &[],
            &["--since", "2026-11-22T11:33:00Z"],
            &["--on", "2026-11-28"],
            &["--time", "created", "--until", "2026-11-25"],
        ],
        &[&[], &["--named"], &["--name", "*o*"], &["--model", "gpt-5*"]],
        &[&[], &["--full"], &["--no-database"], &["--status", "interrupted"], &["--source", "exec"]],
    ];
    let mut seed = 13_usize;
    let mut found = 0;
    for _ in 0..30 {
        let mut words: Vec<&str> = Vec::new();
        for options in choices {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Most filters are not given, or nothing would be left.
            let at = (seed >> 33) % (2 * options.len());
            words.extend(*options.get(at).unwrap_or(&&[][..]));
        }
        let all = [&["codex-agent-ls", "--host", "a,b", "--json"], &words[..]].concat();
        let ran = world.run(&all);
        ran.case(&words).succeeds();
        let both = [of_home(&world, "a", &words), of_home(&world, "b", &words)].concat();
        found += both.len();
        assert_eq!(set(json(&ran.out)), set(both), "{words:?}");
    }
    assert!(found > 100, "{found}");
}

#[test]
fn the_same_session_on_two_hosts_is_listed_twice() {
    let world = world("");
    copy(&data("homes/0.169.0"), &home(&world, "c"));
    configure(&world, &format!("[host.c]\nvia = ['env', 'CODEX_HOME={}']\n", home(&world, "c").display()));
    let rows = world.ok(&["codex-agent-ls", "--host", "a,c", "-n", "2", "--format", "{host} {short}"]);
    assert_eq!(rows, "a e03ce4e5\nc e03ce4e5\n");
}

#[test]
fn a_directory_is_the_one_of_the_host() {
    let world = world("");
    let here = world.path("work");
    std::fs::create_dir(&here).unwrap();
    let paths = format!("[host.a.paths]\n'{}' = '/tmp/codex-fixture/projects'\n", here.display());
    configure(&world, &paths);
    let count = |more: &[&str]| world.ok(&[&["codex-agent-ls", "--count", "--host", "a"], more].concat());
    assert_eq!(count(&["--under", "work/beta"]), "4\n");
    assert_eq!(count(&["--under", here.join("beta").to_str().unwrap()]), "4\n");
    assert_eq!(count(&["--under", "/tmp/codex-fixture/projects/beta"]), "4\n");
    assert_eq!(count(&["--under", "elsewhere"]), "0\n");
}

/// Text of the user never is an argument of a command for a host.
#[test]
fn arguments_are_sent_as_they_are() {
    let world = world(&scripted("s", "echo \"$0 $*\" >> words; exec \"$0\" \"$@\""));
    let pattern = "a'b\"c $(touch harm) ; `touch harm` \\ ü\nnew";
    let ran = world.run(&["codex-agent-ls", "--host", "s", "--name", pattern, "--branch=*", "--json"]);
    ran.succeeds();
    let words = std::fs::read_to_string(world.path("words")).unwrap();
    assert_eq!(words, "codex-agent ls --serve\n");
    assert!(!world.path("harm").exists());
}

#[test]
fn usage_is_checked_here() {
    let world = world("");
    for (words, why) in [
        (&["--host", "-oProxyCommand=touch harm"][..], "invalid name of a host '-oProxyCommand=touch harm'"),
        (&["--host", "a,,b"], "invalid name of a host ''"),
        (&["--host", "id"], "'id' has another meaning"),
        (&["--host", "a b"], "invalid name of a host 'a b'"),
        (&["--host", "a", "--codex-home", "."], "--codex-home cannot be combined with hosts"),
        (&["--host", "a", "--check"], "--check cannot be combined with hosts"),
        (&["--host", "a", "--sort", "colour"], "unknown key"),
        (&["--host", "a", "--fields", "nope"], "there is no field 'nope'"),
    ] {
        let ran = world.run(&[&["codex-agent-ls"], words].concat());
        ran.case(words).exits(2).reports(why).prints("");
    }
    assert!(!world.path("harm").exists());
    let alone = World::with_home("0.169.0");
    alone.run(&["codex-agent-ls", "--host", "all"]).exits(2).reports("there is no host in config.toml");
}
