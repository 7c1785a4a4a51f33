//! Words of other programs, which are answered with the tool that does the same.

use codex_agent_shared::habit;

use crate::world::World;

/// The commands in quotes of a hint: the words after `codex-agent`.
fn commands(hint: &str) -> Vec<Vec<String>> {
    let quoted = hint.split('\'').skip(1).step_by(2);
    let own = quoted.filter_map(|text| text.strip_prefix("codex-agent "));
    own.map(|text| text.split(' ').map(str::to_owned).collect()).collect()
}

#[test]
fn every_hint_names_commands_that_exist() {
    let world = World::new();
    let mut seen = 0;
    for (word, hint) in habit::hints() {
        let ran = world.run(&["codex-agent", word]);
        ran.case(word).exits(127).prints("").reports(hint);
        for command in commands(hint) {
            // Placeholders are in upper case.
            let is_word = |word: &&String| word.bytes().all(|b| b.is_ascii_lowercase());
            let mut words: Vec<&str> = command.iter().take_while(is_word).map(String::as_str).collect();
            let flags = || command.iter().filter(|word| word.starts_with('-'));
            if words.is_empty() || words[0] == "help" {
                let words = command.iter().map(String::as_str);
                world
                    .run(&std::iter::once("codex-agent").chain(words).collect::<Vec<_>>())
                    .case(hint)
                    .succeeds();
                continue;
            }
            words.push("--help");
            let help = world.run(&[&["codex-agent"], &words[..]].concat());
            help.case(hint).succeeds();
            let heading = help.out.lines().next().unwrap();
            let verb = words.get(1).filter(|word| **word != "--help");
            assert!(verb.is_none_or(|verb| heading.contains(&format!(" {verb} - "))), "{hint}: {heading}");
            for flag in flags() {
                assert!(help.out.contains(flag.as_str()), "{hint}: there is no {flag}");
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn commands_of_other_programs_are_answered_with_the_tool_that_does_the_same() {
    let world = World::with_home("0.169.0");
    for (words, hint) in [
        (&["session", "list"][..], "'codex-agent ls' lists sessions"),
        (&["session", "list", "--json"], "'codex-agent ls' lists sessions"),
        (&["session"], "'codex-agent ls' lists sessions"),
        (&["sessions"], "'codex-agent ls' lists sessions"),
        (&["session", "show", "cd6d1b0c"], "no tool prints transcripts yet"),
        (&["session", "watch"], "no tool follows a session yet"),
        (&["session", "run", "hello"], "did you mean 'codex-agent run'?"),
        (&["session", "resume", "@"], "did you mean 'codex-agent resume'?"),
        (&["session", "fork"], "did you mean 'codex-agent fork'?"),
        (&["list"], "'codex-agent ls' lists sessions"),
        (&["log", "--oneline"], "'codex-agent ls' lists sessions"),
        (&["branch"], "'codex-agent ls --branch NAME'"),
        (&["grep", "x"], "no tool searches transcripts yet"),
        (&["stats"], "no tool evaluates transcripts yet"),
        (&["help", "log"], "'codex-agent ls' lists sessions"),
    ] {
        let ran = world.run(&[&["codex-agent"], words].concat());
        ran.case(words).exits(127).prints("").reports(hint).reports("there is no tool");
    }
    // A typing error in a tool of this package is not a command of another program.
    world.run(&["codex-agent", "finde"]).exits(127).reports("did you mean 'find'?");
}

#[test]
fn an_external_tool_or_an_alias_of_such_a_name_is_run() {
    let mut world = World::with_home("0.169.0");
    world.script("bin/codex-agent-log", "#!/bin/sh\necho \"log: $*\"\n");
    world.script("bin/codex-agent-branches", "#!/bin/sh\n");
    let path = format!("{}:/usr/bin:/bin", world.path("bin").display());
    world.set("PATH", path);
    world.write("home/.config/codex-agent/config.toml", "[alias]\nlist = 'ls -n 2'\nshown = 'ls'\n");
    assert_eq!(world.ok(&["codex-agent", "log", "-1"]), "log: -1\n");
    assert_eq!(world.ok(&["codex-agent", "list"]), world.ok(&["codex-agent-ls", "-n", "2"]));
    // Names that the user chose are suggested too.
    let ran = world.run(&["codex-agent", "branch"]);
    ran.exits(127).reports("lists the sessions of a git branch").reports("did you mean 'branches'?");
    world.run(&["codex-agent", "show"]).exits(127).reports("did you mean 'shown'?");
}

#[test]
fn verbs_of_other_programs_are_answered_with_the_verb_that_does_the_same() {
    let world = World::new();
    for (tool, word, hint) in [
        ("queue", "rm", "did you mean 'remove' (remove prompts from a queue) or 'delete' ("),
        ("group", "rm", "did you mean 'remove' ("),
        ("queue", "ps", "did you mean 'list' ("),
        ("queue", "kill", "did you mean 'stop' ("),
        ("group", "cat", "did you mean 'show' ("),
        ("group", "new", "did you mean 'create' ("),
        ("queue", "xyzzy", "verbs: create add"),
        ("queue", "craete", "did you mean 'create'?"),
    ] {
        let ran = world.run(&["codex-agent", tool, word]);
        ran.case((tool, word)).exits(2).prints("").reports(hint);
    }
    // A name of one letter is not similar to another letter.
    world.run(&["codex-agent", "group", "create", "."]).succeeds();
    let ran = world.run(&["codex-agent", "group", "show", "-"]);
    ran.exits(1).reports("'codex-agent group list' lists the groups");
    assert!(!ran.err.contains("did you mean"), "{}", ran.err);
}

#[test]
fn without_a_verb_groups_queues_and_external_tools_are_listed() {
    let world = World::with_home("0.169.0");
    world.run(&["codex-agent", "group", "create", "work"]).succeeds();
    world.run(&["codex-agent", "queue", "create", "book"]).succeeds();
    for tool in ["group", "queue", "plugin"] {
        let listed = world.ok(&["codex-agent", tool, "list"]);
        assert_eq!(world.ok(&["codex-agent", tool]), listed, "{tool}");
        assert_eq!(world.ok(&["codex-agent", tool, "-q"]), listed, "{tool}");
        world.run(&["codex-agent", tool, "--json"]).exits(2).reports("expected a verb before '--json'");
    }
    assert!(world.ok(&["codex-agent", "group"]).contains("work"));
    assert!(world.ok(&["codex-agent", "queue"]).contains("book"));
}
