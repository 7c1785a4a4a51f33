//! Status lines and warnings: `--quiet` suppresses the first and never the second.

use std::fs;

use crate::documents::commands;
use crate::world::World;
use crate::world::fake::Fake;

/// A home with a session, a group and queues, on which each command below prints a status line.
fn furnished() -> (Fake, String) {
    let fake = Fake::newest();
    let id = fake.begin("begin");
    fake.good(&["group", "add", "g", &id]);
    fake.good(&["group", "create", "h"]);
    fake.good(&["queue", "add", "q", "-p", "one", "-p", "two", "-p", "FAIL400"]);
    fake.good(&["queue", "create", "r"]);
    (fake, id)
}

#[test]
fn quiet_suppresses_status_lines_and_changes_nothing_else() {
    let commands: &[(&[&str], &str)] = &[
        (&["group", "create", "new"], ""),
        (&["group", "add", "h", "ID"], ""),
        (&["group", "add", "none", "-"], ""),
        (&["group", "remove", "g", "ID"], ""),
        (&["group", "rename", "g", "k"], ""),
        (&["group", "delete", "h"], ""),
        (&["group", "pause", "g"], ""),
        (&["group", "unpause", "g"], ""),
        (&["group", "run", "h", "--prompt", "x"], ""),
        (&["queue", "create", "new"], ""),
        (&["queue", "add", "q", "-"], "three\nfour\n"),
        (&["queue", "add", "none", "-"], ""),
        (&["queue", "edit", "q", "1", "ONE"], ""),
        (&["queue", "move", "q", "2", "first"], ""),
        (&["queue", "remove", "q", "1"], ""),
        (&["queue", "retry", "q", "2"], ""),
        (&["queue", "mode", "q", "1", "manual"], ""),
        (&["queue", "rename", "q", "k"], ""),
        (&["queue", "project", "q", "."], ""),
        (&["queue", "pause", "q"], ""),
        (&["queue", "unpause", "q"], ""),
        (&["queue", "delete", "q"], ""),
        (&["queue", "run", "r"], ""),
        (&["run", "continue"], ""),
        (&["run", "prune"], ""),
        (&["run", "-"], ""),
        (&["run", "-j", "2", "--answers", "-p", "a", "-p", "b"], ""),
        (&["fork", "-"], ""),
        (&["name", "ID", "a name"], ""),
        (&["resume", "@@", "--prompt", "x", "--answers"], ""),
        (&["demo", "--keep", "sample"], ""),
        (&["ls", "--check"], ""),
    ];
    for (words, input) in commands {
        let [loud, quiet] = [None, Some("--quiet")].map(|flag| {
            let (fake, id) = furnished();
            let words: Vec<&str> = words.iter().map(|word| if *word == "ID" { &id } else { *word }).collect();
            // A flag may stand anywhere behind the verb.
            let words: Vec<&str> = words.into_iter().chain(flag).collect();
            let ran = fake.feed(&words, input);
            (ran.code, ran.out.lines().count(), ran.err)
        });
        assert!(!loud.2.is_empty(), "{words:?} prints no status");
        assert_eq!((quiet.0, quiet.1, quiet.2.as_str()), (loud.0, loud.1, ""), "{words:?}");
    }
}

#[test]
fn quiet_suppresses_no_warning_and_no_error() {
    let (fake, id) = furnished();
    fake.0.foreign();
    fake.good(&["group", "pause", "g"]);
    fs::create_dir_all(fake.0.config("")).unwrap();
    fs::write(fake.0.config("config.toml"), "[nothing]\nknown = 1\n").unwrap();
    for (words, input) in [
        (&["ls", "--count"][..], ""),
        (&["find", "-"], "{oops\n"),
        (&["group", "run", "g", "--prompt", "x"], ""),
        (&["group", "add", "g", "nobody-has-this"], ""),
        (&["queue", "run", "q", "--new"], ""),
        (&["run", "--answers", "FAIL400"], ""),
        (&["run", "--jobs"], "{\"type\":\"job\",\"prompt\":\"x\",\"sandbox\":\"danger-full-access\"}"),
        (&["config", "get", "nothing.known"], ""),
        (&["name", &id, "@"], ""),
    ] {
        let ran = fake.feed(&[words, &["-q"]].concat(), input);
        assert!(!ran.err.is_empty(), "{words:?} is silent: {}", ran.out);
    }
}

#[test]
fn every_command_accepts_quiet_and_lists_it() {
    let world = World::new();
    for command in commands(&world) {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let help = world.ok(&[&words[..], &["--help"]].concat());
        let has_flags = !help.contains("VERB [OPTION...]") || help.contains("Other options:");
        assert!(!has_flags || help.contains("-q, --quiet"), "{command:?} does not list it");
        // An error is the same with and without it, wherever it stands.
        let [name, rest @ ..] = &words[..] else { unreachable!() };
        let usual = world.run(&[&words[..], &["--no-such-flag"]].concat());
        for quiet in [
            [&[*name, "-q"], rest, &["--no-such-flag"]].concat(),
            [&words[..], &["--quiet", "--no-such-flag"]].concat(),
        ] {
            // In front of a missing verb a flag is the error.
            if rest.is_empty() && has_flags || !rest.is_empty() {
                let ran = world.run(&quiet);
                ran.case(&quiet).exits(2).reports_exactly(usual.err.as_str());
            }
        }
    }
}

#[test]
fn the_dispatcher_passes_quiet_to_the_tools_of_the_package() {
    let (fake, _) = furnished();
    let run = |words: &[&str]| fake.0.run(&[&["codex-agent"], words].concat());
    run(&["group", "pause", "g"]).reports("is paused");
    let ran = run(&["-q", "group", "unpause", "g"]);
    ran.succeeds().reports_exactly("");
    fake.0.script("bin/codex-agent-loud", "#!/bin/sh\necho \"$#\"\n");
    let path = format!("{}:{}:/usr/bin:/bin", crate::world::bins().display(), fake.0.path("bin").display());
    let mut command = fake.0.command("codex-agent");
    let output = command.args(["--quiet", "loud"]).env("PATH", path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n", "an external tool need not know the flag");
}
