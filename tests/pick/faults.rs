//! Faults that must not hurt: sizes, signals, other people's titles, a home that changes.

use std::fs;

use super::{RESTORED, fake, on, printed};
use crate::world::fake::{Fake, wait_until};
use crate::world::terminal::{Terminal, columns_of, joined, without_escapes};

#[test]
fn without_a_session_there_is_an_error_and_no_screen_is_left() {
    let fake = Fake::newest();
    for line in
        ["codex-agent pick", "codex-agent ls --json | codex-agent pick", "codex-agent pick < /dev/null"]
    {
        let (shown, code) = on(&fake, line, 80, 24).end();
        let rest = shown.split_once(RESTORED).unwrap().1;
        assert!(code == 1 && rest.contains("there is no session"), "{line}: {shown}");
    }
}

#[test]
fn one_session_is_chosen_by_enter() {
    let fake = Fake::newest();
    let id = fake.begin("The only one");
    let mut terminal = on(&fake, "codex-agent pick > out", 80, 24);
    terminal.until("The only one");
    // Keys that lead nowhere.
    terminal.press("\x1b[A\x1b[B\x1b[5~\x1b[6~\x10\x0e\x0b\x0a\r");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(printed(&fake), [id]);
}

#[test]
fn a_terminal_that_cannot_be_drawn_on_is_refused() {
    let (fake, _) = fake();
    let (shown, code) = on(&fake, "TERM=dumb codex-agent pick", 80, 24).end();
    assert!(
        code == 2
            && joined(&shown).contains("a terminal of type 'dumb'")
            && shown.contains("codex-agent find"),
        "{shown}"
    );
    assert!(!shown.contains('\x1b'), "{shown:?}");
    // No terminal at all.
    let ran = fake.0.sh("TERM=xterm setsid --wait codex-agent pick");
    ran.exits(2).reports("cannot open the terminal").reports("codex-agent find");
}

#[test]
fn titles_of_others_are_harmless() {
    let fake = Fake::newest();
    let titles = [
        "\x1b]0;evil\x07\x1b[2J\u{9b}31m\u{202e}title".to_owned(),
        "x".repeat(100_000),
        "日本語テキスト ".repeat(50),
        format!("e{}", "\u{301}".repeat(20_000)),
    ];
    let ids: Vec<String> = titles.iter().map(|title| fake.begin(title)).collect();
    for columns in [20, 60, 80, 120, 200] {
        let mut terminal = on(&fake, "codex-agent pick > out", columns, 24);
        terminal.until("日本");
        terminal.press("title\r");
        let (shown, code) = terminal.end();
        assert_eq!(code, 0);
        assert!(
            !shown.contains("\x1b]0;") && !shown.contains('\u{9b}') && !shown.contains('\u{202e}'),
            "{columns}"
        );
        assert!(shown.len() < 200_000, "{columns}: {} bytes", shown.len());
        assert_eq!(printed(&fake), [ids[0].clone()]);
    }
    let record = fs::read_to_string(fake.0.path("work/out")).unwrap();
    assert_eq!(crate::world::json(&record)[0]["title"], titles[0], "a record has the original text");
}

/// Each line of a first frame, which is written from its first column on.
fn lines(shown: &str) -> Vec<String> {
    let moves = shown.split("\x1b[2K").skip(1).map(|line| {
        // Beside the list is the preview, at its own column.
        let left = line.split("│").next().unwrap();
        without_escapes(left).trim_end().to_owned()
    });
    moves.collect()
}

#[test]
fn every_line_fits_and_the_preview_hides() {
    let (fake, _) = fake();
    for (columns, has_preview) in [(20, false), (59, false), (60, true), (80, true), (120, true), (200, true)]
    {
        for color in ["", "NO_COLOR=1 "] {
            let mut terminal = on(&fake, &format!("{color}codex-agent pick > out"), columns, 24);
            let mut shown = terminal.until("Fix the p");
            if has_preview {
                shown += &terminal.until("idle");
            }
            terminal.press("\x1b");
            let (rest, _) = terminal.end();
            shown += rest.split(RESTORED).next().unwrap();
            for line in lines(&shown) {
                assert!(columns_of(&line) <= usize::from(columns), "{columns}: {line:?}");
            }
            assert_eq!(shown.contains("idle"), has_preview, "{columns}");
            // The colour of an id is one; bold is none.
            assert_eq!(
                shown.contains("\x1b[33m"),
                color.is_empty() && has_preview && columns >= 100,
                "{columns} {color}"
            );
        }
    }
}

#[test]
fn a_new_size_is_drawn_at_once() {
    let (fake, _) = fake();
    let mut terminal = on(&fake, "codex-agent pick > out", 80, 24);
    terminal.until("Fix the parser");
    // The last line is drawn last, and before it the next size would meet the output of this one.
    for (columns, rows, parts) in [
        (200, 50, ["│", "\x1b[50;1H"]),
        (20, 4, ["\x1b[4;1H", "choose"]),
        (1, 1, ["\x1b[2J", "\x1b[?2026l"]),
        (80, 24, ["Fix the parser", "\x1b[24;1H"]),
    ] {
        terminal.resize(columns, rows);
        parts.iter().for_each(|part| drop(terminal.until(part)));
    }
    terminal.press("\r");
    assert_eq!(terminal.end().1, 0);
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let (fake, _) = fake();
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        // A shell that ignores no signal ends itself where a child ended by SIGINT.
        let line = "trap : INT; stty -a > before; sh -c 'echo $$ > pid; exec codex-agent-pick > out'; c=$?; stty -a > after; exit $c";
        let mut terminal = on(&fake, line, 80, 24);
        terminal.until("Fix the parser");
        let pid = fs::read_to_string(fake.0.path("work/pid")).unwrap();
        fake.0.sh(&format!("kill -{signal} {pid}")).exits(0);
        let (shown, ended) = terminal.end();
        assert!(ended == code && shown.contains(RESTORED), "{signal}: {ended} {shown}");
        let read = |name: &str| {
            fs::read_to_string(fake.0.path("work").join(name))
                .unwrap_or_else(|error| panic!("{signal} {name}: {error}"))
        };
        assert_eq!(read("before"), read("after"), "{signal}");
    }
}

#[test]
fn a_suspended_picker_continues() {
    let (fake, [.., parse]) = fake();
    let mut command = fake.0.command("setsid");
    command.args(["--ctty", "--wait", "bash", "--norc", "-i"]).env("PS1", "ready> ");
    command.current_dir(fake.0.path("work"));
    let mut terminal = Terminal::open(command, 80, 24);
    terminal.until("ready> ");
    terminal.press("codex-agent pick > out\n");
    for _ in 0..2 {
        terminal.until("Fix the parser");
        terminal.press("\x1a");
        terminal.until(RESTORED);
        terminal.until("Stopped");
        terminal.until("ready> ");
        terminal.press("fg\n");
    }
    terminal.until("Fix the parser");
    terminal.press("\r");
    terminal.until("ready> ");
    terminal.press("exit\n");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(printed(&fake), [parse]);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let (fake, _) = fake();
    let line = "codex-agent pick | true; echo code $?";
    let mut terminal = on(&fake, line, 80, 24);
    terminal.until("Fix the parser");
    terminal.press("\r");
    let (shown, _) = terminal.end();
    assert_eq!(without_escapes(shown.split_once(RESTORED).unwrap().1).trim(), "code 0");
}

#[test]
fn a_home_may_change_meanwhile() {
    let (fake, _) = fake();
    let mut terminal = on(&fake, "codex-agent pick > out", 80, 24);
    terminal.until("3/3");
    let id = fake.begin("A later session");
    terminal.press("\x0c");
    terminal.until("A later session");
    terminal.press("\r");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(printed(&fake), [id]);
    // The whole home is gone.
    let mut terminal = on(&fake, "codex-agent pick > out", 80, 24);
    terminal.until("4/4");
    fs::rename(fake.0.codex_home(), fake.0.path("gone")).unwrap();
    terminal.press("\x1b[B\r");
    let (shown, code) = terminal.end();
    assert!(code == 1 && joined(&shown).contains("does not exist any more"), "{shown}");
    wait_until(|| fs::read_to_string(fake.0.path("work/out")).is_ok_and(|text| text.is_empty()));
}
