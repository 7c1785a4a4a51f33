//! Other people's text: titles, names and directories that would like to be obeyed by a terminal, to
//! forge a row, or to get a session into a group.

use crate::group::file::members;
use crate::world::rollouts::{database, id, message, meta, put, row};
use crate::world::terminal::{columns_of, on_terminal};
use crate::world::*;

/// Titles that would like to be obeyed.
fn titles() -> Vec<String> {
    vec![
        "plain".to_owned(),
        "one\nline\r\nor\ttwo".to_owned(),
        "red \x1b[31m clear \x1b[2J\x1b]0;title\x07 bell \x07 back\x08\x7f".to_owned(),
        "one \u{9b}31m of the \u{85} second set".to_owned(),
        "right \u{202e}to left\u{200f} \u{2066}and\u{2069} \u{200b}nothing\u{feff}".to_owned(),
        "a backslash \\n is no newline".to_owned(),
        format!("forged\n{}\t2026-11-22T10:00:00.000Z\t/src\tforged", id(99)),
        "日本語のとても長い題名".repeat(30),
        "x".repeat(100_000),
        "\x1b[5m".repeat(25_000),
        "e\u{301}".repeat(500),
    ]
}

/// A world with these titles in rollouts, and another with them in a database.
fn titled() -> [World; 2] {
    let (files, rows) = (World::new(), World::new());
    let connection = database(&rows, "state_5.sqlite");
    for (number, title) in titles().iter().enumerate() {
        put(&files, number, meta(number, "") + &message(title));
        row(&connection, number, title);
    }
    [files, rows]
}

/// A cell of a row as it was before it was escaped.
fn unescaped(cell: &str) -> String {
    let mut out = String::new();
    let mut letters = cell.chars();
    while let Some(letter) = letters.next() {
        match (letter, if letter == '\\' { letters.next() } else { None }) {
            (_, Some('t')) => out.push('\t'),
            (_, Some('n')) => out.push('\n'),
            (_, Some('r')) => out.push('\r'),
            (_, Some('x')) => {
                let code: String = letters.by_ref().take(2).collect();
                out.push(char::from(u8::from_str_radix(&code, 16).unwrap()));
            }
            (_, Some(other)) => out.push(other),
            (letter, None) => out.push(letter),
        }
    }
    out
}

#[test]
fn control_characters_in_a_row_are_escaped() {
    for world in titled() {
        let out = world.ok(&["codex-agent-ls"]);
        assert_eq!(out.split('\n').count(), titles().len() + 1, "a title made a row");
        for line in out.lines() {
            let cells: Vec<&str> = line.split('\t').collect();
            assert_eq!(cells.len(), 4, "{line}");
            assert!(!cells.concat().contains(char::is_control), "{line:.200}");
            let number = (0..titles().len()).find(|number| id(*number) == cells[0]).unwrap();
            assert_eq!(unescaped(cells[3]), titles()[number].trim());
        }
        for words in [
            &["codex-agent-ls", "--fields", "title"][..],
            &["codex-agent-ls", "--format", "{title}"],
            &["codex-agent-find", "--words", "a"],
        ] {
            let out = world.ok(words);
            assert!(!out.replace(['\n', '\t'], "").contains(char::is_control), "{words:?}");
        }
    }
}

/// The text without the colours that our own tables have.
fn uncoloured(text: &str) -> String {
    ["\x1b[0m", "\x1b[1m", "\x1b[1;4m", "\x1b[2m", "\x1b[33m"]
        .iter()
        .fold(text.to_owned(), |text, code| text.replace(code, ""))
}

#[test]
fn no_title_controls_the_terminal_and_no_line_is_wider() {
    for mut world in titled() {
        world.ok(&["codex-agent-ls"]);
        let all: Vec<String> = (0..titles().len()).map(id).collect();
        world.feed(&["codex-agent-group", "add", "g", "-"], all.join("\n"));
        world.run(&["codex-agent-group", "create", "wide", "--description", &titles().concat()[..60_000]]);
        for color in [false, true] {
            world.set("NO_COLOR", if color { "" } else { "1" });
            for (words, is_table) in [
                (&["codex-agent-ls"][..], true),
                (&["codex-agent-ls", "--full"], true),
                (&["codex-agent-find", "--words", "e"], true),
                (&["codex-agent-group", "show", "g"], true),
                (&["codex-agent-group", "list"], true),
                (&["codex-agent-ls", "--fields", "title"], false),
                (&["codex-agent-ls", "--format", "{title}"], false),
                (&["codex-agent-ls", "-0"], false),
            ] {
                let text = on_terminal(&world, words, 60);
                assert!(text.lines().count() > 1 || words.contains(&"-0"), "{words:?}: {text}");
                if color && words == ["codex-agent-ls"] {
                    assert!(text.contains("\x1b["), "no colour on a terminal");
                }
                for line in text.split('\n') {
                    let line = if color { uncoloured(line) } else { line.to_owned() };
                    let mut shown = line;
                    if words.contains(&"-0") {
                        // The rows end in NUL, and each has three separating TABs.
                        assert_eq!(shown.matches('\t').count(), 3 * titles().len());
                        shown = shown.replace(['\0', '\t'], "");
                    }
                    assert!(!shown.contains(char::is_control), "{words:?}: {shown:.300?}");
                    assert!(
                        !shown.contains(['\u{202e}', '\u{200f}', '\u{2066}', '\u{200b}']),
                        "{words:?}: {shown:.300?}"
                    );
                    let wide = columns_of(&shown);
                    assert!(!is_table || wide <= 60, "{words:?}: {wide} columns: {shown}");
                }
            }
        }
    }
}

#[test]
fn a_directory_that_is_not_utf_8_is_listed_with_replacements() {
    let world = World::new();
    let connection = database(&world, "state_5.sqlite");
    row(&connection, 1, "one");
    connection.execute_batch("UPDATE threads SET cwd = CAST(x'2f7372632fff6f6c64' AS TEXT)").unwrap();
    drop(connection);
    for (words, want) in [
        (&["codex-agent-ls", "--json"][..], "/src/\u{fffd}old"),
        (&["codex-agent-ls", "--fields", "cwd"], "/src/\u{fffd}old"),
        (&["codex-agent-find", "one", "--json"], "/src/\u{fffd}old"),
        (&["codex-agent-ls", "--under", "/src", "--fields", "id"], &id(1)),
    ] {
        let out = world.ok(words);
        assert!(out.contains(want), "{words:?}: {out}");
    }
}

#[test]
fn no_title_adds_a_forged_session_to_a_group() {
    let world = World::new();
    let forged = id(666);
    for (number, title) in [
        format!("x\n{forged}\t2026-11-22T10:00:00.000Z\t/src\tforged"),
        format!("{forged}\t{forged}\n{forged}"),
        format!("\r\n{forged}\r\n"),
        format!("\"}}\n{{\"type\":\"session\",\"id\":\"{forged}\"}}\n"),
        format!("\u{2028}{forged}\u{85}{forged}\x0b{forged}\x0c{forged}\0{forged}"),
    ]
    .iter()
    .enumerate()
    {
        let cwd = serde_json::to_string(&format!("/src\n{forged}\t")).unwrap();
        let meta = meta(number, "").replace(r#""/src/alpha""#, &cwd);
        put(&world, number, meta + &message(title));
    }
    for (number, line) in [
        "codex-agent ls | codex-agent group add work -",
        "codex-agent ls | codex-agent group add work --unchecked",
        "codex-agent ls --json | codex-agent group add work --unchecked",
        "codex-agent ls --json | codex-agent find - | codex-agent group add work --unchecked",
        "codex-agent ls --format '{id}\\t{title}' | codex-agent group add work --unchecked",
    ]
    .iter()
    .enumerate()
    {
        let ran = world.sh(line);
        ran.succeeds();
        let mut got = members(&world.config("groups.json"));
        got.sort();
        assert_eq!(got, (0..5).map(id).collect::<Vec<_>>(), "{number}: {line}");
        world.run(&["codex-agent-group", "delete", "work"]).succeeds();
    }
}
