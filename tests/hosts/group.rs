//! Groups with sessions of several hosts.

use std::fs;

use super::{configure, home, scripted, world};
use crate::world::ran::feed;
use crate::world::{Ran, World, copy, data, json};

const LOGIN_A: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";

fn piped(world: &World, words: &[&str], input: &str) -> Ran {
    feed(world.command(words[0]).args(&words[1..]), input)
}

fn file(world: &World) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(world.config("groups.json")).unwrap()).unwrap()
}

#[test]
fn a_group_keeps_the_host_of_a_record() {
    let world = world("");
    let records = world.ok(&["codex-agent-ls", "--host", ".,a,b", "-n", "40", "--json"]);
    let ran = piped(&world, &["codex-agent-group", "add", "far", "--json"], &records);
    ran.succeeds().prints(&records);
    let group = &file(&world)["groups"][0];
    let count = |host: &str| json(&records).iter().filter(|record| record["host"] == host).count();
    assert_eq!(group["sessionIds"].as_array().unwrap().len(), count("."));
    let there = group["hostSessions"].as_array().unwrap();
    assert_eq!(there.len(), count("a") + count("b"));
    assert!(there.contains(&format!("a:{LOGIN_A}").into()), "{there:?}");
    // The same again adds nothing.
    piped(&world, &["codex-agent-group", "add", "far"], &records).succeeds().reports("added 0 sessions");
    let list = world.ok(&["codex-agent-group", "list", "--format", "{count}"]);
    assert_eq!(list.trim().parse::<usize>().unwrap(), json(&records).len());
    let record = json(&world.ok(&["codex-agent-group", "show", "far", "--json"]));
    assert_eq!(record[0]["host_sessions"], group["hostSessions"]);
    let shown = world.ok(&["codex-agent-group", "show", "far", "--table"]);
    assert!(shown.contains("HOST") && shown.lines().any(|line| line.starts_with("a     ")), "{shown}");
    let rows = world.ok(&["codex-agent-group", "show", "far", "--format", "{host}:{id}"]);
    assert_eq!(rows.lines().count(), json(&records).len());
    assert!(rows.contains(&format!("a:{LOGIN_A}\n")), "{rows}");
}

#[test]
fn the_same_session_on_two_hosts_is_two_members() {
    let world = world("");
    copy(&data("homes/0.169.0"), &home(&world, "c"));
    configure(&world, &format!("[host.c]\nvia = ['env', 'CODEX_HOME={}']\n", home(&world, "c").display()));
    let add = |reference: &str| world.run(&["codex-agent-group", "add", "both", reference]);
    add(&format!("a:{LOGIN_A}")).succeeds().reports("added 1 session");
    add("c:login work").succeeds().reports("added 1 session");
    add("c:cd6d1b0c").succeeds().reports("added 0 sessions");
    add("a:id:cd6d1b0c:3:2").succeeds().reports("added 0 sessions");
    let entries = serde_json::json!([format!("a:{LOGIN_A}"), format!("c:{LOGIN_A}")]);
    assert_eq!(file(&world)["groups"][0]["hostSessions"], entries);
    world.run(&["codex-agent-group", "remove", "both", "c:cd6d1b0c"]).succeeds().reports("removed 1 session");
    world.run(&["codex-agent-group", "remove", "both", LOGIN_A]).reports("1 not in it");
    assert_eq!(file(&world)["groups"][0]["hostSessions"], serde_json::json!([format!("a:{LOGIN_A}")]));
    world.run(&["codex-agent-group", "remove", "both", &format!("a:{LOGIN_A}")]).succeeds();
    assert!(file(&world)["groups"][0].get("hostSessions").is_none());
}

#[test]
fn what_no_host_has_is_not_added() {
    let world = world(&scripted("down", "exit 255"));
    let add = |reference: &str| world.run(&["codex-agent-group", "add", "far", reference]);
    add("a:no-such-name").exits(1).reports("no session 'no-such-name' on host 'a'");
    // A word that is found in a session is no reference to it.
    add("a:login").exits(1).reports("no session 'login' on host 'a'");
    add("down:cd6d1b0c").exits(2).reports("cannot find session 'cd6d1b0c' on host 'down'");
    for host in ["unknown", "-oProxyCommand=x"] {
        let record = format!("{{\"type\":\"session\",\"host\":\"{host}\",\"id\":\"{LOGIN_A}\"}}\n");
        let ran = piped(&world, &["codex-agent-group", "add", "far"], &record);
        ran.case(host).exits(2).reports(format!("stdin:1: there is no host '{host}' in config.toml"));
    }
    assert!(!world.config("groups.json").exists());
}

#[test]
fn a_group_is_shown_although_a_host_is_down() {
    let world = world(&scripted("down", "echo 'ssh: no route' >&2; exit 255"));
    let refs = [format!("a:{LOGIN_A}"), format!("down:{LOGIN_A}")];
    world.run(&["codex-agent-group", "add", "far", &refs[0], &refs[1]]).succeeds();
    let ran = world.run(&["codex-agent-group", "show", "far"]);
    ran.exits(2).reports("codex-agent-group: host 'down': ");
    let ids: Vec<&str> = ran.out.lines().map(|row| row.split('\t').next().unwrap()).collect();
    assert_eq!(ids, refs);
    configure(&world, "");
    let ran = world.run(&["codex-agent-group", "show", "far"]);
    ran.exits(2).reports("there is no host 'down' in config.toml");
    assert_eq!(ran.out.lines().count(), 2);
}

/// Another release keeps the sessions of hosts, which it does not know.
#[test]
fn unknown_keys_and_the_order_of_members_are_kept() {
    let world = world("");
    let text = format!(
        "{{\"groups\":[{{\"id\":\"g\",\"name\":\"n\",\"sessionIds\":[],\"hostSessions\":[\"b:{LOGIN_A}\",\"a:{LOGIN_A}\"],\"x\":1.50,\"createdAt\":\"c\",\"updatedAt\":\"u\",\"paused\":false}}]}}"
    );
    world.write("home/.config/codex-agent/groups.json", &text);
    world.run(&["codex-agent-group", "pause", "n"]).succeeds();
    let group = &file(&world)["groups"][0];
    assert_eq!(group["hostSessions"], serde_json::json!([format!("b:{LOGIN_A}"), format!("a:{LOGIN_A}")]));
    assert!(fs::read_to_string(world.config("groups.json")).unwrap().contains("1.50"));
}
