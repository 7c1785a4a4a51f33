//! Opening a session in the Codex TUI. Codex is a script here that prints its arguments.

use crate::world::fake::Fake;
use crate::world::real::Real;
use crate::world::terminal::on_terminal;
use crate::world::{World, json};

#[test]
fn resume_with_a_prompt_needs_no_terminal() {
    let Some(codex) = Real::new() else { return };
    let one = codex.exec("alpha", &["Begin"]);
    let two = codex.exec("beta", &["Begin too"]);
    let ran = codex.world.run(&["codex-agent-resume", &one, "--prompt", "Go on", "--answers"]);
    ran.succeeds().prints("echo: Go on\n");
    std::fs::write(codex.world.path("prompt"), "From a file\n").unwrap();
    let line =
        "codex-agent ls --json | codex-agent resume --prompt-file prompt --skip-git-repo-check --answers";
    let ran = codex.world.sh(line);
    ran.succeeds();
    for id in [&one, &two] {
        ran.shows(format!("==> {id} <==\necho: From a file"));
    }
    assert_eq!(codex.model.requests().len(), 5);
}

const LOGIN: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";

/// A world with a stub for Codex, and a directory that the sessions of project beta are in.
fn world() -> World {
    let mut world = World::with_home("0.169.0");
    let stub = world.script(
        "stubs/codex",
        "#!/bin/sh\n[ \"$1\" = --version ] && { echo codex-cli ${VERSION:-0.169.0}; exit; }\n\
         printf '%s|' \"$PWD\" \"$CODEX_HOME\" \"$@\"; [ -t 0 ] && printf terminal; echo; echo \"$@\" >> \"$HOME/asked\"; exit 7\n",
    );
    world.set("CODEX_AGENT_CODEX", stub.to_str().unwrap());
    std::fs::create_dir(world.path("a dir")).unwrap();
    let directory = std::fs::canonicalize(world.path("a dir")).unwrap();
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    database
        .execute("UPDATE threads SET cwd = ?1 WHERE cwd LIKE '%/alpha'", [directory.to_str().unwrap()])
        .unwrap();
    world
}

fn here(world: &World) -> String {
    std::fs::canonicalize(world.path("a dir")).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn resume_runs_codex_in_the_directory_of_the_session() {
    let world = world();
    for reference in ["cd6d1b0c", "login work", LOGIN] {
        let ran = world.run(&["codex-agent-resume", reference]);
        ran.exits(7).prints(format!("{}||resume|{LOGIN}|\n", here(&world)));
    }
    let more = [
        "codex-agent-resume",
        "login work",
        "-m",
        "gpt-5",
        "--sandbox",
        "read-only",
        "--config",
        "a=b c",
        "--codex-arg=--no-daemon",
    ];
    let want = format!(
        "{}||resume|--model|gpt-5|--sandbox|read-only|--config|a=b c|--no-daemon|{LOGIN}|\n",
        here(&world)
    );
    world.run(&more).prints(want);
    let home = std::fs::canonicalize(world.codex_home()).unwrap();
    let ran = world.run(&["codex-agent-resume", "login work", "--codex-home", "home/.codex", "--cwd", "/"]);
    ran.prints(format!("/|{}|resume|{LOGIN}|\n", home.display()));
}

#[test]
fn the_command_can_be_printed() {
    let world = world();
    let codex = world.path("stubs/codex");
    let codex = codex.to_str().unwrap();
    let line = world.ok(&["codex-agent-resume", "login work", "--print"]);
    assert_eq!(line, format!("cd '{}' && {codex} resume {LOGIN}\n", here(&world)));
    let ran = world.sh(line.trim());
    ran.prints(format!("{}||resume|{LOGIN}|\n", here(&world)));
    let record = &json(&world.ok(&["codex-agent-resume", "login work", "--print", "--json"]))[0];
    assert_eq!(record["argv"], serde_json::json!([codex, "resume", LOGIN]));
    assert_eq!(
        (record["type"].as_str(), record["cwd"].as_str()),
        (Some("command"), Some(here(&world).as_str()))
    );
    // Nothing of a directory's name is ever shell.
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    let name = world.path("it's $(touch leak) `x`");
    std::fs::create_dir(&name).unwrap();
    database.execute("UPDATE threads SET cwd = ?1 WHERE id = ?2", [name.to_str().unwrap(), LOGIN]).unwrap();
    drop(database);
    let line = world.ok(&["codex-agent-resume", LOGIN, "--print"]);
    world.sh(line.trim()).shows("|resume|");
    assert!(!world.path("leak").exists());
}

#[test]
fn a_session_from_a_pipe_is_opened_on_the_terminal() {
    let world = world();
    // A terminal of one's own is what /dev/tty is; the stub ends with 7.
    let line = "codex-agent ls --named | codex-agent resume - || [ $? = 7 ]";
    let shown = on_terminal(&world, &["setsid", "--ctty", "--wait", "sh", "-c", line], 200);
    assert!(shown.contains(&format!("|resume|{LOGIN}|terminal")), "{shown}");
    let ran = world.sh("codex-agent ls --named --json | setsid codex-agent resume");
    ran.exits(2);
    ran.reports("cannot open the terminal for Codex").reports("as an operand");
    world.feed(&["codex-agent-resume", "-"], "").exits(1);
}

#[test]
fn an_operand_that_is_no_session_never_reaches_codex() {
    let mut world = world();
    for (words, code, message) in [
        (&["no such name"][..], 1, "no session 'no such name'"),
        (&["01a202e0"], 2, "ambiguous reference"),
        (&["91db6294"], 2, "codex-agent archive --undo 01a202e0-a882"),
        (&["a7c92fd5"], 2, ": there is no directory '"),
        (&["a", "b"], 2, "the Codex TUI opens one session"),
        (&[LOGIN, "--config", "x"], 2, "expected KEY=VALUE"),
        (&[LOGIN, "--sandbox", "none"], 2, "expected read-only or"),
        (&[LOGIN, "--codex", "/no/such"], 2, "cannot run codex at '/no/such'"),
    ] {
        let mut line = vec!["codex-agent-resume"];
        line.extend(words);
        let ran = world.run(&line);
        ran.exits(code).prints("");
        ran.reports(message);
    }
    world.set("VERSION", "0.137.0");
    let ran = world.run(&["codex-agent-resume", LOGIN]);
    ran.exits(2);
    ran.reports("Codex 0.137.0 is too old: it would damage session");
    assert!(!world.path("home/asked").exists(), "Codex was run");
    world.set("CODEX_AGENT_CODEX", "");
    let ran = world.run(&["codex-agent-resume", LOGIN]);
    ran.exits(2).reports("there is no executable 'codex' on PATH");
}

#[test]
fn options_of_a_prompt_need_a_prompt() {
    let fake = Fake::newest();
    let id = fake.begin("one");
    for words in [
        &["resume", &id, "--dry-run"][..],
        &["resume", &id, "--answers"],
        &["resume", &id, "-j", "3", "--print"],
        &["resume", &id, "--print", "-i", "/nosuch"],
        &["resume", &id, "--json"],
        &["fork", &id, "--answers"],
        &["fork", &id, "--model", "x"],
        &["fork", &id, "--sandbox", "read-only"],
        &["fork", &id, "--timeout", "5s"],
    ] {
        let ran = fake.tool(words);
        ran.exits(2).reports("prompt");
    }
    fake.check(1);
}

#[test]
fn no_fork_is_made_for_an_invalid_prompt() {
    let fake = Fake::newest();
    let id = fake.begin("one");
    fake.0.write("no.json", "not JSON");
    let folder = fake.0.path("work").display().to_string();
    for words in [
        &["--output-schema", "/nosuch"][..],
        &["--output-schema", "no.json"],
        &["--output-schema", &folder],
        &["-i", "/nosuch"],
        &["-i", &folder],
        &["--name", " "],
        &["--name", "a\nb"],
        &["--name", "@"],
    ] {
        let ran = fake.tool(&[&["fork", &id, "-p", "x"], words].concat());
        ran.exits(2).prints("");
    }
    let ran = fake.0.sh(&format!("codex-agent-fork {id} -n 2 > /dev/full"));
    let made: Vec<String> =
        fake.list().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect();
    ran.exits(2);
    assert_eq!(made.len(), 3, "{}", ran.err);
    assert!(made.iter().all(|made| *made == id || ran.err.contains(made)), "{}", ran.err);
    fake.check(3);
}

#[test]
fn a_mistyped_verb_is_no_prompt() {
    let fake = Fake::newest();
    for word in ["lst", "lgo", "help", "show", "contnue"] {
        let ran = fake.tool(&["run", word]);
        ran.case(word).exits(2).reports("probably not a prompt");
        ran.reports(format!("to send it as a prompt: codex-agent run -p {word}"));
        fake.tool(&["run", word, "it"]).case(word).exits(2).reports("unknown verb");
    }
    for (words, why) in [
        (&["run", "-j", "0", "x"][..], "from 1 to 256"),
        (&["run", "-j", "257", "x"], "from 1 to 256"),
        (&["run", "--timeout", "0s", "x"], "must be longer than 0"),
        (&["run", "--max-failures", "0", "x"], "1 or more"),
        (&["run", "--retries", "99999999999999999999", "x"], "too large"),
    ] {
        let ran = fake.tool(words);
        ran.exits(2).reports(why);
    }
    assert!(fake.sent().is_empty());
    fake.good(&["run", "--", "lst"]);
    fake.good(&["run", "Help me"]);
    assert_eq!(fake.prompts(), ["lst", "Help me"]);
}
