//! The library as the author of an external tool uses it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::Duration;

use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::index::{Index, Sources};
use codex_agent_shared::group::Groups;
use codex_agent_shared::query::Query;
use serde_json::Value;

use crate::world::{HOMES, World, json};

/// A query that names no field gets each of them as a listing has it, in every home and from both sources.
#[test]
fn a_default_query_lists_every_field_of_a_listing() {
    for version in HOMES {
        let world = World::with_home(version);
        for (sources, flags) in [
            (Sources::default(), &[][..]),
            (Sources { database: false, ..Sources::default() }, &["--no-database"]),
        ] {
            let mut index = Index::open(Home::find(Some(&world.codex_home())).unwrap(), sources).unwrap();
            let mut found: Vec<Value> = Vec::new();
            let take = &mut |session: &codex_agent_shared::record::Session<'_>| {
                let mut line = Vec::new();
                session.write_json(&mut line);
                found.push(serde_json::from_slice(&line).unwrap());
                Ok(())
            };
            index.list(&Query::default(), take).unwrap();
            let listed = json(&world.run(&[&["codex-agent-ls", "--json"], flags].concat()).out);
            assert!(found.iter().any(|session| !session["title"].is_null()), "{version} {flags:?}");
            assert_eq!(found, listed, "{version} {flags:?}");
        }
    }
}

#[test]
fn a_filter_writes_each_record_before_it_waits_for_the_next() {
    let world = World::with_home("0.171.0");
    let known = world.ok(&["codex-agent-ls", "--json", "-n", "4"]);
    let mut filter = world
        .command("codex-agent-find")
        .args(["--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = filter.stdin.take().unwrap();
    let (sender, lines) = channel();
    let output = BufReader::new(filter.stdout.take().unwrap());
    std::thread::spawn(move || output.lines().try_for_each(|line| sender.send(line.unwrap())));
    for record in known.lines() {
        writeln!(input, "{record}").unwrap();
        let written = lines.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(json(&written)[0]["id"], json(record)[0]["id"]);
    }
    drop(input);
    assert!(filter.wait().unwrap().success());
}

#[test]
fn a_filter_of_an_endless_input_ends_with_its_reader() {
    let world = World::with_home("0.171.0");
    let line = "{ codex-agent-ls --json -n 1; while echo '{\"type\":\"x.y\"}'; do sleep 0.01; done; } | timeout 60 \
                codex-agent-find --json branch:no-such-branch - | head -n 0; echo over";
    let ran = world.sh(line);
    ran.succeeds().prints("over\n");
}

#[test]
fn a_group_is_found_by_its_name_or_its_id() {
    let groups: Groups = serde_json::from_str(
        r#"{"groups":[{"id":"g","name":"work","sessionIds":["a"],"createdAt":"c","updatedAt":"u"}]}"#,
    )
    .unwrap();
    for name in ["work", "g"] {
        assert_eq!(groups.find(name).unwrap().session_ids, ["a"]);
    }
    let error = groups.find("wrok").unwrap_err();
    assert!(error.to_string().contains("there is no group 'wrok'"), "{error}");
}

/// Links do not survive `cargo publish`: each crate has copies of its own.
#[test]
fn each_crate_has_the_metadata_of_a_registry() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read =
        |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    for (directory, is_internal) in
        [("", false), ("shared/", false), ("shared/engine/", true), ("shared/fake/", true)]
    {
        for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
            assert!(!root.join(directory).join(file).is_symlink(), "{directory}{file}");
            assert_eq!(read(&format!("{directory}{file}")), read(file), "{directory}{file}");
        }
        let manifest = read(&format!("{directory}Cargo.toml"));
        let name = manifest.split("\nname = \"").nth(1).unwrap().split('"').next().unwrap();
        assert!(manifest.contains(&format!("documentation = \"https://docs.rs/{name}\"")), "{name}");
        let readme = read(&format!("{directory}README.md"));
        assert!(readme.starts_with(&format!("# {name}\n")), "{name}");
        assert_eq!(readme.contains("promises nothing"), is_internal, "{name}");
    }
}

/// Modules that only tools of the package use are not shown, as the head explains.
#[test]
fn the_documentation_has_an_example_of_each_promise() {
    let head = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("shared/src/lib.rs")).unwrap();
    assert!(head.contains("//! # Stability") && head.contains("//! ```no_run"));
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/codex-agent-plugins.7")).unwrap();
    let versions = page.split(".SH VERSIONS").nth(1).unwrap().split(".SH ").next().unwrap().replace('\\', "");
    assert!(versions.contains("codex-agent-shared has its own semantic version"), "{versions}");
    let is_hidden = |module: &str| head.contains(&format!("#[doc(hidden)]\npub mod {module};"));
    for module in ["child", "config", "exec", "plugin", "schema", "store"] {
        assert!(is_hidden(module), "{module}");
    }
    for module in ["cli", "codex", "error", "group", "ndjson", "query", "record", "reference", "text", "time"]
    {
        assert!(head.contains(&format!("pub mod {module};")) && !is_hidden(module), "{module}");
    }
}
