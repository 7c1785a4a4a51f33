//! Output that is longer than the terminal goes to the pager of the user, and no pager does harm.

use crate::world::World;
use crate::world::terminal::{Terminal, without_escapes};

/// Runs a tool on a terminal of 10 rows: what it shows, and its exit code.
fn shown(world: &World, words: &[&str], pager: &str) -> (String, i32) {
    let mut command = world.command(words[0]);
    command.args(&words[1..]).env("CODEX_AGENT_PAGER", pager);
    let (shown, code) = Terminal::open(command, 100, 10).end();
    (without_escapes(&shown), code)
}

/// A world whose `codex-agent ls` has more lines than the terminal, and a pager that leaves a trace of what it got.
fn paged() -> World {
    let world = World::with_home("0.169.0");
    world.script("bin/trace", "#!/bin/sh\ncat >\"$HOME/paged\"\necho end of the pager\n");
    world
}

#[test]
fn only_output_that_is_longer_than_the_terminal_is_paged() {
    let world = paged();
    let trace = world.path("bin/trace").display().to_string();
    let (all, code) = shown(&world, &["codex-agent", "ls"], "cat");
    assert!(code == 0 && all.lines().count() > 10, "{all}");
    let (text, code) = shown(&world, &["codex-agent", "ls"], &trace);
    assert_eq!((text.as_str(), code), ("end of the pager\n", 0));
    let got = std::fs::read_to_string(world.path("home/paged")).unwrap();
    assert_eq!(without_escapes(&got), all);
    assert!(got.contains("\x1b[33m"), "a pager gets colours: {got:?}");
    // Output that fits the screen, and output that is never paged.
    for words in [
        &["codex-agent", "ls", "-n", "5"][..],
        &["codex-agent", "--no-pager", "ls"],
        &["codex-agent", "ls", "--no-pager"],
    ] {
        let (text, code) = shown(&world, words, &trace);
        assert!(
            code == 0 && text.starts_with("ID ") && !text.contains("end of the pager"),
            "{words:?}: {text}"
        );
    }
    assert_eq!(shown(&world, &["codex-agent", "ls"], "").0, all, "an empty variable is no pager");
    for words in [
        &["codex-agent-ls", "--help"][..],
        &["codex-agent-schema"],
        &["codex-agent-schema", "session"],
        &["codex-agent", "--list"],
        &["codex-agent-plugin", "list"],
        &["codex-agent-ls", "--json", "-n", "4"],
        &["codex-agent-find", "-w", "a"],
    ] {
        assert_eq!(shown(&world, words, &trace), ("end of the pager\n".to_owned(), 0), "{words:?}");
    }
    // In a pipe there is no pager.
    let mut world = world;
    world.set("CODEX_AGENT_PAGER", trace);
    assert!(world.ok(&["codex-agent-ls"]).lines().count() > 10);
}

#[test]
fn the_setting_and_the_variables_name_the_pager() {
    let world = paged();
    let trace = world.path("bin/trace").display().to_string();
    let run = |variables: &[(&str, &str)]| {
        let mut command = world.command("codex-agent-ls");
        command.env("PAGER", "").envs(variables.iter().copied());
        without_escapes(&Terminal::open(command, 100, 10).end().0)
    };
    assert!(run(&[]).starts_with("ID "));
    assert_eq!(run(&[("PAGER", &trace)]), "end of the pager\n");
    world.write(
        "home/.config/codex-agent/config.toml",
        "[ui]\npager = \"cat >/dev/null; echo of the file\"\n",
    );
    assert_eq!(run(&[("PAGER", &trace)]), "of the file\n");
    assert_eq!(run(&[("CODEX_AGENT_PAGER", &trace)]), "end of the pager\n");
    world.ok(&["codex-agent-config", "check"]);
    let row = world.ok(&["codex-agent-config", "list"]);
    assert!(row.contains("ui.pager\tcat >/dev/null; echo of the file\tfile\t"), "{row}");
}

/// A pager that is missing, fails, dies, or is closed early: the output is on the screen, or the user has left it, and
/// the exit code is that without a pager.
#[test]
fn a_pager_does_no_harm() {
    let world = paged();
    // More than a pipe holds, so that the tool writes to a pager that is gone.
    let long = ["codex-agent", "schema", "--all"];
    let (all, _) = shown(&world, &long, "cat");
    assert!(all.len() > 100_000);
    let (rows, _) = shown(&world, &["codex-agent", "ls"], "cat");
    for pager in [
        "/nowhere/pager",
        "no-such-pager -x",
        "no-such-pager | cat; exit 127",
        "false",
        "exit 3",
        "kill -9 $$",
    ] {
        for (words, want) in [(&long[..], &all), (&["codex-agent", "ls"], &rows)] {
            let (text, code) = shown(&world, words, pager);
            // A pager that is not there is named, unless a shell has done so.
            let text: String = text.split_inclusive('\n').filter(|line| !line.contains("pager")).collect();
            assert!(code == 0 && text == **want, "{pager}: {code}: {}", &text[..text.len().min(600)]);
        }
    }
    // A pager that succeeds has shown what the user wanted, and the user has left one that has read a part.
    for pager in ["true", "head -n 1", "head -n 1; kill -9 $$", "head -c 10 >/dev/null; exit 3"] {
        let (text, code) = shown(&world, &long, pager);
        assert!(code == 0 && text.len() < 100, "{pager}: {code}: {text}");
    }
    // One operand is no session: exit 1 as without a pager, and the message stands behind the page.
    let ids = world.ok(&["codex-agent-ls", "--fields", "id"]);
    let words: Vec<&str> = ["codex-agent-find", "id:00000000"].into_iter().chain(ids.lines()).collect();
    for pager in ["cat", "head -n 1", "cat -u"] {
        let (text, code) = shown(&world, &words, pager);
        assert!(code == 1 && text.contains("no session 'id:00000000'"), "{pager}: {code}: {text}");
    }
}

/// less itself: a screen at a time, Ctrl-C does not end it, and q ends it without noise.
#[test]
fn less_shows_a_screen_at_a_time() {
    let world = World::with_home("0.169.0");
    let mut command = world.command("codex-agent-schema");
    command.arg("session").env("CODEX_AGENT_PAGER", "less");
    let mut terminal = Terminal::open(command, 80, 10);
    let first = without_escapes(&terminal.until("\"title\": \"session\""));
    assert!(first.starts_with("{"), "{first:?}");
    terminal.press("\x03");
    terminal.press("G");
    terminal.until("\"additionalProperties\"");
    terminal.press("q");
    let (rest, code) = terminal.end();
    assert_eq!(code, 0, "{rest}");
    assert!(!rest.contains("codex-agent"), "no noise: {rest:?}");
    // -F: what fits is on the screen, and nothing waits.
    let mut command = world.command("codex-agent-ls");
    command.args(["-n", "3"]).env("PAGER", "less");
    let (shown, code) = Terminal::open(command, 80, 10).end();
    assert!(code == 0 && shown.contains("ID") && shown.lines().count() == 4, "{shown:?}");
}

#[test]
fn a_terminal_that_cannot_page_gets_everything() {
    let world = paged();
    let trace = world.path("bin/trace").display().to_string();
    let mut command = world.command("sh");
    command
        .args(["-c", "TERM=dumb codex-agent-ls; env -u TERM codex-agent-ls"])
        .env("CODEX_AGENT_PAGER", trace);
    let (shown, code) = Terminal::open(command, 100, 10).end();
    assert!(
        code == 0 && shown.matches("UPDATED").count() == 2 && !shown.contains("end of the pager"),
        "{shown:?}"
    );
}
