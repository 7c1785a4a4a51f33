//! The tables `[host.NAME]` of config.toml.

use std::fs;

use crate::world::{Ran, World, json};

const FILE: &str = "\
# machines\n[host.gpu] # the big one\nvia = ['ssh', 'gpu.example.org']\ncommand = '~/.cargo/bin/codex-agent'\nmax_concurrent = 4\n\n\
[host.gpu.paths]\n'/home/me' = '/data/me'\n\n[host.'b.example.org']\nvia = 'env CODEX_HOME=/x'\n";

fn configured(text: &str) -> World {
    let world = World::with_home("0.169.0");
    world.write("home/.config/codex-agent/config.toml", text);
    world
}

fn config(world: &World, words: &[&str]) -> Ran {
    world.run(&[&["codex-agent-config"], words].concat())
}

#[test]
fn every_key_of_a_host_is_listed_with_its_place() {
    let world = configured(FILE);
    let ran = config(&world, &["list", "--json"]);
    ran.succeeds();
    let rows: Vec<_> =
        json(&ran.out).into_iter().filter(|row| row["key"].as_str().unwrap().starts_with("host.")).collect();
    let keys: Vec<&str> = rows.iter().map(|row| row["key"].as_str().unwrap()).collect();
    let want = ["host.gpu.via", "host.gpu.command", "host.gpu.max_concurrent", "host.gpu.paths./home/me"];
    assert_eq!(keys[..4], want);
    assert_eq!(keys[4..], ["host.b.example.org.via"]);
    assert_eq!(rows[0]["value"], "ssh gpu.example.org");
    assert_eq!(rows[2]["value"], 4);
    assert_eq!(rows[3]["line"], 8);
    config(&world, &["get", "host.gpu.paths./home/me"]).succeeds().prints("/data/me\n");
    config(&world, &["get", "host.gpu.vai"]).exits(1).reports("did you mean 'host.gpu.via'?");
    config(&world, &["check"]).succeeds();
}

#[test]
fn keys_of_hosts_are_set_and_removed_in_their_table() {
    let world = configured(FILE);
    let text = || fs::read_to_string(world.config("config.toml")).unwrap();
    config(&world, &["set", "host.gpu.max_concurrent", "8"]).succeeds();
    assert_eq!(text(), FILE.replace("= 4", "= 8"));
    config(&world, &["set", "host.b.example.org.command", "codex-agent"]).succeeds();
    assert_eq!(text(), FILE.replace("= 4", "= 8") + "command = \"codex-agent\"\n");
    config(&world, &["unset", "host.b.example.org.command"]).succeeds();
    config(&world, &["unset", "host.b.example.org.command"]).exits(1).reports("does not set");
    config(&world, &["set", "host.gpu.paths./work", "/w"]).succeeds();
    config(&world, &["get", "host.gpu.paths./work"]).prints("/w\n");
    let ran = config(&world, &["set", "host.new.via", "ssh -p 22 'new host'", "--json"]);
    assert_eq!(json(&ran.out)[0]["value"], "ssh -p 22 'new host'");
    assert!(text().ends_with("\n[host.new]\nvia = \"ssh -p 22 'new host'\"\n"), "{}", text());
}

#[test]
fn keys_and_values_of_hosts_are_checked() {
    let world = configured("");
    for (key, value, why) in [
        ("host.-x.via", "ssh", "invalid name of a host '-x'"),
        ("host.id.via", "ssh", "'id' has another meaning"),
        ("host.all.via", "ssh", "'all' has another meaning"),
        ("host.a.via", "", "it is empty"),
        ("host.a.via", "-v", "instead of a command"),
        ("host.a.via", "ssh 'a", "an unclosed quote"),
        ("host.a.max_concurrent", "0", "it must be from 1 to 256"),
        ("host.a.max_concurrent", "many", "expected a number from 1 to 256"),
        ("host.a.paths.work", "/w", "expected a path that begins with / or ~/"),
        ("host.a.paths./work", "w", "expected a path that begins with /"),
        ("host.a.paths./work", "~/w", "expected a path that begins with /"),
    ] {
        config(&world, &["set", "--", key, value]).case((key, value)).exits(2).reports(why);
    }
    for key in ["host.a", "host.a.other", "host.via"] {
        config(&world, &["set", key, "x"]).case(key).exits(1).reports("host.NAME.via");
    }
    assert!(
        !world.config("config.toml").exists() || fs::read(world.config("config.toml")).unwrap().is_empty()
    );
}

#[test]
fn problems_of_hosts_are_reported_and_concern_no_other_tool() {
    let text = "[host.a]\nvia = 5\nvai = 'x'\npaths = 'x'\n[host.id]\nvia = 'x'\n[host.b.paths]\nx = '/y'\n[host]\nc = 5\n";
    let world = configured(text);
    let ran = config(&world, &["check"]);
    ran.exits(2);
    for (line, why) in [
        (
            2,
            "error\tinvalid value for 'host.a.via': expected a string or an array of strings, found a number",
        ),
        (3, "warning\tunknown key 'host.a.vai'; did you mean 'host.a.via'?"),
        (4, "error\texpected a table for 'host.a.paths', found a string"),
        (5, "warning\tinvalid name of a host 'id': 'id' has another meaning"),
        (8, "error\tinvalid value for 'host.b.paths.x': expected a path that begins with / or ~/, not 'x'"),
        (10, "error\texpected a table for 'host.c', found a number"),
    ] {
        let found = ran.out.lines().any(|row| row.contains(&format!("\t{line}\t")) && row.contains(why));
        assert!(found, "{line} {why}\n{}", ran.out);
    }
    // A tool that reads the file prints a warning.
    world.run(&["codex-agent-ls", "--count"]).reports("config.toml:2:7: invalid value for 'host.a.via'");
}
