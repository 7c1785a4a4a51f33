//! The lists in manual pages and `--help`, held to what the tools accept and read.

use std::collections::BTreeSet;

use crate::documents::{commands, examples, flags, unroff};
use crate::plugin::check::tokens;
use crate::world::{Ran, World, bin, data, json};

/// The variables that stand behind a flag: a tool without the flag does not read them.
const OF_FLAGS: [(&str, &str); 5] = [
    ("CODEX_AGENT_CODEX", "codex"),
    ("CODEX_HOME", "codex-home"),
    ("CODEX_SQLITE_HOME", "codex-home"),
    ("NO_COLOR", "color"),
    ("CLICOLOR_FORCE", "color"),
];

/// Pages of tools that read such a variable and have no flag for it.
const BY_HAND: [(&str, &str); 1] = [("codex-agent-demo", "CODEX_HOME")];

/// The variables of a page's ENVIRONMENT.
fn environment(page: &str) -> BTreeSet<String> {
    let section = page.split(".SH ENVIRONMENT\n").nth(1).unwrap_or_default();
    let section = section.split("\n.SH ").next().unwrap();
    let terms = section.lines().filter_map(|line| line.strip_prefix(".B "));
    terms.flat_map(|term| term.split(", ")).map(str::to_owned).collect()
}

/// Runs a command with these words and an unknown flag behind them, so that nothing is done.
fn refused(world: &World, command: &[String], words: &[&str]) -> Ran {
    let words: Vec<&str> =
        command.iter().map(String::as_str).chain(words.iter().copied()).chain(["--no-such-flag"]).collect();
    let ran = world.run(&words);
    ran.exits(2).prints("");
    ran
}

#[test]
fn environment_lists_the_variables_that_a_tool_reads_and_no_others() {
    let world = World::new();
    let all = commands(&world);
    for name in all.iter().filter(|command| command.len() == 1).map(|command| &command[0]) {
        let listed = environment(&world.ok(&[name, "--generate", "man"]));
        let own = all.iter().filter(|command| command[0] == *name);
        let flags: BTreeSet<String> = own
            .flat_map(|command| {
                let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
                flags(&world.ok(&words)).into_iter().map(|flag| flag.long).collect::<Vec<_>>()
            })
            .collect();
        for (variable, flag) in OF_FLAGS {
            let reads = flags.contains(flag) || BY_HAND.contains(&(name.as_str(), variable));
            assert_eq!(listed.contains(variable), reads, "{name} lists {variable}, or does not");
        }
    }
    // The one that is listed by hand is really read.
    let mut world = World::with_home("0.169.0");
    let counted = |world: &World| {
        let out = world.run(&["codex-agent-demo"]).out;
        out.lines().find(|line| line.contains("Your own home")).map(str::to_owned)
    };
    let at_home = counted(&world);
    world.set("CODEX_HOME", world.path("empty").display().to_string());
    assert_ne!(counted(&world), at_home);
}

#[test]
fn a_page_of_an_external_tool_has_its_own_version_and_only_its_own_environment() {
    let world = World::new();
    let tool = tokens().display().to_string();
    let version = world.ok(&[&tool, "--version"]);
    assert_eq!(version, "codex-agent-tokens 1.0\n");
    let page = world.ok(&[&tool, "--generate", "man"]);
    let head = unroff(page.lines().next().unwrap());
    assert_eq!(head, r#".TH CODEX-AGENT-TOKENS 1 "" "codex-agent-tokens 1.0" "codex-agent manual""#);
    assert!(!page.contains("ENVIRONMENT") && !page.contains("CODEX_HOME"), "{page}");
    let own = world.ok(&["codex-agent-ls", "--generate", "man"]);
    let edition = format!("\"codex-agent {}\"", env!("CARGO_PKG_VERSION"));
    assert!(unroff(own.lines().next().unwrap()).contains(&edition), "{own}");
}

/// The values that a flag accepts, as the error about another one lists them.
fn accepted(err: &str, long: &str) -> Option<Vec<String>> {
    let line =
        err.lines().find(|line| line.contains("no-such-value") && line.contains(&format!("--{long}")))?;
    let list = line.rsplit_once("expected ")?.1;
    let list = list.strip_suffix(" or no value").unwrap_or(list);
    let is_value = |word: &str| word.bytes().all(|byte| byte.is_ascii_lowercase() || b"-=_".contains(&byte));
    let values: Vec<&str> = list.split(" or ").flat_map(|part| part.split(", ")).collect();
    values.iter().all(|value| is_value(value)).then(|| values.into_iter().map(str::to_owned).collect())
}

#[test]
fn every_flag_with_a_set_of_values_lists_them_in_help_and_page() {
    let world = World::new();
    let external = tokens().display().to_string();
    let mut seen = BTreeSet::new();
    for command in commands(&world).into_iter().chain([vec![external]]) {
        let name = &command[0];
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let page = unroff(&world.ok(&[name, "--generate", "man"]));
        let run_page = unroff(&world.ok(&["codex-agent-run", "--generate", "man"]));
        let standard = ["help", "version", "quiet"];
        for flag in flags(&world.ok(&words)).iter().filter(|flag| !standard.contains(&flag.long.as_str())) {
            let ran = refused(&world, &command, &[&format!("--{}=no-such-value", flag.long)]);
            let Some(values) = accepted(&ran.err, &flag.long) else { continue };
            seen.insert(flag.long.clone());
            let entries = |page: &str| -> Vec<String> {
                let entries = page
                    .split(".TP\n")
                    .filter(|entry| entry.lines().next().unwrap().contains(&format!("--{}", flag.long)));
                entries.map(|entry| entry.replace('\n', " ")).collect()
            };
            // The run options stand once: other pages name them and refer to the page of codex-agent-run.
            let referred = page.split(".PP\nRun options; see codex-agent-run(1):").skip(1);
            let referred = referred.filter_map(|rest| rest.split("\n.").next());
            let referred = referred
                .flat_map(|names| names.split([' ', ',', '.', '\n']))
                .any(|name| name == format!("--{}", flag.long));
            let entries = entries(if referred { &run_page } else { &page });
            let help = world.ok(&words);
            for value in values {
                let value = value.trim_end_matches('=');
                let has = |text: &str| {
                    text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_')
                        .any(|word| word == value)
                };
                let shown = help.lines().find(|line| line.contains(&format!("--{}", flag.long))).unwrap();
                assert!(has(&flag.help) || has(shown), "{command:?} --{}: help lacks {value}", flag.long);
                assert!(
                    entries.iter().any(|entry| has(entry)),
                    "{command:?} --{}: page lacks {value}",
                    flag.long
                );
            }
        }
    }
    for flag in
        ["time", "status", "color", "sandbox", "on-limit", "interrupted", "only", "by", "archived", "list"]
    {
        assert!(seen.contains(flag), "--{flag} was not seen to have values: {seen:?}");
    }
}

#[test]
fn pages_name_every_rule_that_a_name_can_break() {
    let world = World::new();
    let id = "01a202e0-96cb-7050-a2d5-f828a9b95443";
    let long = "x".repeat(201);
    for tool in ["group", "queue"] {
        let name = format!("codex-agent-{tool}");
        let page = unroff(&world.ok(&[&name, "--generate", "man"])).replace('\n', " ");
        world.run(&[&name, "create", "a name with blanks"]).succeeds();
        for (bad, why, rule) in [
            ("", "it is empty", "it is empty"),
            (" x", "it begins or ends with a blank", "begins or ends with a blank"),
            ("x ", "it begins or ends with a blank", "begins or ends with a blank"),
            ("-x", "it begins with '-'", "begins with '-'"),
            ("a\tb", "it contains a control character", "contains a control character"),
            (&long, "it is longer than 200 bytes", "is longer than 200 bytes"),
            (id, "it is a complete id", "is a complete id"),
            ("a name with blanks", "exists already", "exists already"),
        ] {
            let ran = world.run(&[&name, "create", "--", bad]);
            ran.case((&tool, &bad)).reports(why);
            assert!(ran.code != 0, "{tool} '{bad}': {}", ran.err);
            assert!(page.contains(rule), "{name}(1) does not say '{rule}'");
        }
    }
}

#[test]
fn the_example_of_external_tools_prints_their_names() {
    let world = World::new();
    if world.run(&["jq", "--version"]).code != 0 {
        println!("SKIPPED: there is no jq here");
        return;
    }
    world.script("bin/codex-agent-mine", "#!/bin/sh\n");
    world.script("bin/codex-agent-yours", "#!/bin/sh\n");
    let page = world.ok(&["codex-agent-plugin", "--generate", "man"]);
    let example = examples(&page).into_iter().find(|line| line.contains("jq")).unwrap();
    let line = format!("PATH={}:$PATH; {example}", world.path("bin").display());
    world.sh(&line).case(bin("codex-agent-plugin").display()).prints("mine\nyours\n");
}

#[test]
fn run_options_are_described_once_and_referred_to_elsewhere() {
    let world = World::new();
    let options = |page: &str| page.lines().filter(|line| line.contains("\\fB\\-\\-retries\\fR")).count();
    for (tool, times) in [("run", 1), ("group", 0), ("queue", 0), ("resume", 0), ("fork", 0)] {
        let page = world.ok(&[&format!("codex-agent-{tool}"), "--generate", "man"]);
        assert_eq!(options(&page), times, "codex-agent-{tool}(1)");
        let text = unroff(&page).replace('\n', " ");
        let list = text.split("Run options; see codex-agent-run(1):").nth(1).expect(tool);
        assert!(list.split(".PP").next().unwrap().contains("--retries"), "codex-agent-{tool}(1)");
    }
}

/// codex-agent-transcripts(7) names each role, each fixture with its versions, and each type of line of the recordings;
/// and no fixture that does not exist.
#[test]
fn the_page_of_transcripts_is_held_to_the_recordings() {
    let page: String =
        include_str!("../man/codex-agent-transcripts.7").lines().map(|line| unroff(line) + "\n").collect();
    let section = |name: &str| {
        let rest = page.split(&format!(".SH {name}\n")).nth(1).unwrap_or_else(|| panic!("no section {name}"));
        rest.split("\n.SH ").next().unwrap().to_owned()
    };
    let heads = |section: &str| -> Vec<String> {
        section.lines().filter_map(|line| line.strip_prefix(".B ")).map(str::to_owned).collect()
    };
    let roles: Vec<&str> = codex_agent_shared::transcript::Role::ALL.iter().map(|role| role.word()).collect();
    assert_eq!(heads(&section("ITEMS")), roles);
    let mut fixtures: BTreeSet<(String, String)> = BTreeSet::new();
    let mut types = BTreeSet::new();
    for version in ["0.106", "0.137", "0.169", "0.171"] {
        let home = data(&format!("transcripts/{version}.0"));
        let manifest = std::fs::read_to_string(home.join("manifest.tsv")).unwrap();
        let labels = manifest.lines().map(|line| line.split('\t').next().unwrap().to_owned());
        fixtures.extend(labels.map(|label| (version.to_owned(), label)));
        for file in codex_agent_shared::codex::files::Files::walk(&home).all() {
            for line in json(&std::fs::read_to_string(&file.path).unwrap()) {
                types.insert(line["type"].as_str().unwrap().to_owned());
                if ["event_msg", "response_item"].contains(&line["type"].as_str().unwrap()) {
                    types.insert(line["payload"]["type"].as_str().unwrap().to_owned());
                    types.extend(line["payload"]["item"]["type"].as_str().map(str::to_owned));
                }
            }
        }
    }
    let words: BTreeSet<&str> = page.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let unknown: Vec<&String> = types.iter().filter(|kind| !words.contains(kind.as_str())).collect();
    assert!(unknown.is_empty() && types.len() > 40, "{unknown:?}");
    let mut listed = BTreeSet::new();
    for entry in section("FIXTURES").split(".TP\n").skip(1) {
        let mut lines = entry.lines();
        let label = lines.next().unwrap().strip_prefix(".B ").unwrap();
        let versions = lines.next().unwrap().strip_prefix("Versions: ").unwrap().trim_end_matches('.');
        listed.extend(versions.split(", ").map(|version| (version.to_owned(), label.to_owned())));
    }
    assert_eq!(listed, fixtures);
    let mut cited = 0;
    for line in page.lines() {
        let Some(names) = line.strip_prefix("Fixture: ").or(line.strip_prefix("Fixtures: ")) else {
            continue;
        };
        for name in names.trim_end_matches('.').split(", ") {
            let (version, label) = name.split_once(' ').unwrap();
            assert!(fixtures.contains(&(version.to_owned(), label.to_owned())), "no fixture {name}");
            cited += 1;
        }
    }
    assert!(cited > 40, "{cited}");
    // Each trap names where it was seen, and what becomes of it.
    for entry in section("TRAPS").split(".TP\n").skip(1) {
        assert!(entry.contains("\nSeen in: ") && entry.contains("\nRecord: "), "{entry}");
    }
}
