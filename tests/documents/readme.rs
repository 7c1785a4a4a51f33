//! README: its commands print what it shows, its links lead somewhere, and its image and further ones can be drawn.

use std::collections::BTreeSet;
use std::fs;

use super::root;
use crate::world::terminal::Terminal;
use crate::world::*;

/// The commands of README that stand after a prompt, each with the output that README shows; empty if it shows none.
fn shown_by_readme() -> Vec<(String, String)> {
    let readme = fs::read_to_string(root("README.md")).unwrap();
    let mut all: Vec<(String, String)> = Vec::new();
    let mut is_open = false;
    for line in readme.lines() {
        match line.strip_prefix("    ") {
            Some(line) if line.starts_with("$ ") => {
                all.push((line[2..].to_owned(), String::new()));
                is_open = true;
            }
            Some(line) if is_open => all.last_mut().unwrap().1.push_str(&format!("{}\n", line.trim_end())),
            _ => is_open = false,
        }
    }
    all
}

/// Output without what differs from one demo to the next: its directory, ages, and ids of new sessions.
fn lasting(text: &str, ids: &BTreeSet<String>) -> String {
    let lasting = |word: &str| {
        let is_age = |word: &str| {
            let digits = word.trim_end_matches(|c: char| c.is_ascii_lowercase());
            word == "now"
                || !digits.is_empty()
                    && digits.len() < word.len()
                    && digits.bytes().all(|b| b.is_ascii_digit())
        };
        let is_id = word.len() == 8 && word.bytes().all(|b| b.is_ascii_hexdigit()) && !ids.contains(word);
        // An id such as 934375da has the form of an age.
        match (is_id, is_age(word), word.split_once("/codex-agent-demo-")) {
            (true, ..) => "ID".to_owned(),
            (_, true, _) => "AGE".to_owned(),
            (.., Some((front, back))) => {
                let quote = if front.starts_with('\'') { "'" } else { "" };
                format!("{quote}DEMO{}", &back[6..])
            }
            _ => word.to_owned(),
        }
    };
    let line = |line: &str| line.split_whitespace().map(lasting).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Each command of README that stands after a prompt works in the shell of the demo, and prints on a terminal what
/// README shows.
#[test]
fn the_commands_of_readme_print_on_a_terminal_what_it_shows() {
    let world = World::new();
    let sample = World::with_home("0.169.0");
    let ids = sample.ok(&["codex-agent-ls", "--archived", "--subagents", "--fields", "short"]);
    let ids: BTreeSet<String> = ids.lines().map(str::to_owned).collect();
    let shown = shown_by_readme();
    assert!(
        shown.len() > 10 && shown.iter().filter(|(_, output)| !output.is_empty()).count() > 5,
        "{shown:?}"
    );
    let mut script = String::from("cd \"${CODEX_HOME%/*}/projects\"\n");
    for (command, _) in &shown {
        script.push_str(&format!("{command}\necho \"<<status $?>>\"\n"));
    }
    world.write("script", script);
    let mut command = world.command("codex-agent-demo");
    // Without looks, without a view that changes, and without a pager.
    command.args(["env", "TERM=dumb", "CODEX_AGENT_PAGER=cat", "sh", "script"]);
    let (printed, code) = Terminal::open(command, 80, 60).end();
    assert_eq!(code, 0, "{printed}");
    let mut rest = printed.as_str();
    for (command, output) in &shown {
        let (own, next) = rest.split_once("<<status ").expect("each command has a status");
        let (status, next) = next.split_once(">>\n").unwrap();
        rest = next;
        assert_eq!(status, "0", "{command}: {own}");
        if output.is_empty() || lasting(own, &ids) == lasting(output, &ids) {
            continue;
        }
        assert!(std::env::var_os("UPDATE").is_some(), "{command}:\n{own}instead of\n{output}");
        let indented = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
        let before = format!("    $ {command}\n{}", indented(output));
        let place = format!("{}/codex-agent-demo-", fs::canonicalize(world.path("")).unwrap().display());
        let own = own.split(&place).enumerate().map(|(at, part)| match at {
            0 => part.to_owned(),
            _ => format!("/tmp/codex-agent-demo-cHx3Kq{}", &part[6..]),
        });
        let own: String = own.collect();
        let readme = fs::read_to_string(root("README.md")).unwrap();
        assert!(readme.contains(&before), "{before}");
        fs::write(
            root("README.md"),
            readme.replace(&before, &format!("    $ {command}\n{}", indented(&own))),
        )
        .unwrap();
    }
}

#[test]
fn the_links_of_readme_lead_somewhere() {
    let readme = fs::read_to_string(root("README.md")).unwrap();
    let links: Vec<&str> = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    let files: Vec<&&str> = links.iter().filter(|link| !link.contains("://")).collect();
    assert!(files.len() > 5, "{links:?}");
    for file in files {
        let heading = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        match file.strip_prefix('#') {
            Some(anchor) => {
                assert!(readme.lines().any(|line| line.starts_with('#') && heading(line) == anchor), "{file}")
            }
            None => assert!(root(file).exists(), "{file}"),
        }
    }
}

/// The image of README is drawn from the output of the tools, by `tests/picture/make`.
#[test]
fn the_image_of_readme_can_be_drawn() {
    let world = World::new();
    let script = root("tests/picture/make");
    if world.run(&["python3", "--version"]).code != 0 {
        println!("SKIPPED: there is no Python 3 here");
        return;
    }
    let drawn = world.path("picture.svg");
    let (script, file, bins) = (script.to_str().unwrap(), drawn.to_str().unwrap(), bins());
    world.ok(&["python3", script, "--bin", bins.to_str().unwrap(), file]);
    for picture in [drawn.clone(), root("tests/picture/terminal.svg")] {
        let text = fs::read_to_string(&picture).unwrap();
        for shown in ["Try another approach", " running ", "cargo test", "2 completed", "idle, 2 completed"] {
            assert!(text.contains(shown), "{shown} is not in {}", picture.display());
        }
        assert!(!text.contains('\x1b'), "{}", picture.display());
    }
    let ran = world.run(&["python3", script, "--bin", "nowhere", file]);
    ran.exits(2).reports("there are no executables");
}

#[test]
fn the_screens_of_more_commands_can_be_drawn() {
    let world = World::new();
    if world.run(&["python3", "--version"]).code != 0 || world.run(&["tmux", "-V"]).code != 0 {
        println!("SKIPPED: there is no Python 3 or no tmux here");
        return;
    }
    let script = root("tests/picture/make");
    let words =
        [script.to_str().unwrap(), "--bin", bins().to_str().unwrap(), "--all", "drawn", "--columns", "60"]
            .map(str::to_owned);
    let words: Vec<&str> = ["python3"].into_iter().chain(words.iter().map(String::as_str)).collect();
    world.ok(&words);
    for (name, shown) in [
        ("ls", "Refactor the parser"),
        // The word that was searched for has another look.
        ("find", "Refactor the "),
        ("group", "work"),
        ("queue", "Write the first chapter"),
        ("status", "notes"),
        ("limit", "limit"),
        ("run", "5/5"),
        ("log", "completed"),
        ("help", "Usage: codex-agent"),
    ] {
        for theme in ["dark", "light"] {
            let file = world.path("drawn").join(format!("{name}-60-{theme}.svg"));
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.contains(shown), "{shown} is not in {name}");
            assert!(!text.contains('\x1b'), "{name}");
        }
    }
}
