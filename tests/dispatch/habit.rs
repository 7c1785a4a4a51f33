//! Words of other programs, which are answered with the tool that does the same.

use codex_agent_shared::habit;
use codex_agent_shared::plugin::TOOLS;

use crate::world::World;

/// Checks that a command exists, without `codex-agent`: its help names the verb and has its flags, and the command
/// itself is no bad usage.
fn check(world: &World, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    let is_word = |word: &&&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    let head: Vec<&str> = words.iter().take_while(is_word).take(2).copied().collect();
    if !head.is_empty() && head[0] != "help" {
        let help = world.run(&[&["codex-agent"], &head[..], &["--help"]].concat());
        help.case(command).succeeds().shows(format!("codex-agent-{}", head[0]));
        let heading = help.out.lines().next().unwrap();
        let verb = head.get(1).filter(|verb| **verb != "guide");
        assert!(verb.is_none_or(|verb| heading.contains(&format!(" {verb} - "))), "{command}: {heading}");
        for flag in words.iter().filter(|word| word.starts_with('-')) {
            let name = flag.split('=').next().unwrap();
            assert!(help.out.contains(name), "{command}: there is no {flag}");
        }
    }
    // These would open a terminal, install files, or wait for a run.
    let is_quick = !["demo", "setup", "pick"].contains(&words[0]) && !words.contains(&"watch");
    if is_quick && command != "config edit" {
        let valid = |word: &&str| if *word == "TOOL" { "tool".to_owned() } else { word.replace('?', "") };
        let words: Vec<String> = words.iter().map(valid).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = world.run(&[&["codex-agent"], &words[..]].concat());
        ran.case(command).never_reports("Try '");
    }
}

/// The commands in quotes of a hint, without `codex-agent`.
fn commands(hint: &str) -> Vec<&str> {
    hint.split('\'').filter_map(|text| text.strip_prefix("codex-agent ")).collect()
}

#[test]
fn every_answer_names_commands_that_exist() {
    let world = World::new();
    let mut seen = 0;
    for (command, _) in habit::commands() {
        check(&world, command);
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
    for word in habit::words().filter(|word| TOOLS.iter().all(|(tool, ..)| tool != word) && *word != "help") {
        let ran = world.run(&["codex-agent", word]);
        ran.case(word).exits(127).prints("");
        for line in habit::hint(word, None).unwrap().lines() {
            ran.case(word).reports(line);
        }
    }
}

#[test]
fn a_flag_of_another_program_is_answered_with_the_command_or_the_flag_that_does_the_same() {
    let world = World::new();
    for (tools, flags, hint) in habit::flags() {
        commands(hint).into_iter().for_each(|command| check(&world, command));
        for tool in tools.split(' ').map(|tool| if tool == "*" { "ls" } else { tool }) {
            for flag in flags.split(' ') {
                let dashes = if flag.len() == 1 { "-" } else { "--" };
                let flag = format!("{dashes}{flag}");
                let ran = world.run(&["codex-agent", tool, &flag]);
                ran.case((tool, &flag)).exits(2).prints("").reports(hint).reports(&flag);
            }
        }
    }
    for (words, hint) in [
        (&["ls", "--grep", "X"][..], "codex-agent grep PATTERN"),
        (&["find", "--grep", "X"], "did you mean '--said'?"),
        (&["ls", "--older", "90d"], "did you mean '--until'?"),
        (&["ls", "."], "'codex-agent ls --under .' lists the sessions of the directory"),
        (&["config", "--unset", "runs.keep"], "'codex-agent config unset KEY'"),
        (&["config", "--set", "runs.keep", "9d"], "'codex-agent config set KEY VALUE'"),
        (&["resume", "--last"], "'codex-agent resume @'"),
        (&["resume", "@@", "hello"], "codex-agent resume @@ --prompt hello"),
        (&["resume", "@@", "hello", "you"], "codex-agent resume @@ --prompt 'hello you'"),
        (&["queue", "run", "q", "--parallel", "3"], "did you mean '--max-concurrent'?"),
    ] {
        world.run(&[&["codex-agent"], words].concat()).case(words).exits(2).prints("").reports(hint);
    }
}

#[test]
fn commands_of_other_programs_are_answered_with_the_tool_that_does_the_same() {
    let world = World::with_home("0.169.0");
    for (words, hint) in [
        (&["session", "list"][..], "'codex-agent ls' lists sessions"),
        (&["session", "list", "--json"], "'codex-agent ls' lists sessions"),
        (&["session"], "'codex-agent ls' lists sessions"),
        (&["sessions"], "'codex-agent ls' lists sessions"),
        (&["session", "show", "cd6d1b0c"], "codex-agent show"),
        (&["session", "watch"], "codex-agent watch"),
        (&["session", "run", "hello"], "did you mean 'codex-agent run'?"),
        (&["session", "resume", "@"], "did you mean 'codex-agent resume'?"),
        (&["session", "fork"], "did you mean 'codex-agent fork'?"),
        (&["list"], "'codex-agent ls' lists sessions"),
        (&["log", "--oneline"], "'codex-agent ls' lists sessions"),
        (&["branch"], "'codex-agent ls --branch NAME'"),
        (&["ack", "x"], "'codex-agent grep PATTERN' searches transcripts"),
        (&["tokens"], "codex-agent stats"),
        (&["help", "log"], "'codex-agent ls' lists sessions"),
        (&["retry"], "'codex-agent run retry' does the failed jobs of a run again"),
        (&["retry"], "'codex-agent queue retry NAME --failed' requeues"),
        (&["set", "k", "v"], "'codex-agent config set KEY VALUE' sets a setting"),
        (&["get", "k"], "'codex-agent config get KEY' prints a setting"),
        (&["unset", "k"], "'codex-agent config unset KEY' removes a setting"),
        (&["rm", "@"], "'codex-agent archive --delete REF' deletes a session"),
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
    world.write("home/.config/codex-agent/config.toml", "[alias]\nlist = 'ls -n 2'\nackk = 'ls'\n");
    assert_eq!(world.ok(&["codex-agent", "log", "-1"]), "log: -1\n");
    assert_eq!(world.ok(&["codex-agent", "list"]), world.ok(&["codex-agent-ls", "-n", "2"]));
    // Names that the user chose are suggested too.
    let ran = world.run(&["codex-agent", "branch"]);
    ran.exits(127).reports("lists the sessions of a git branch").reports("did you mean 'branches'?");
    world.run(&["codex-agent", "ack"]).exits(127).reports("did you mean 'ackk'?");
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
