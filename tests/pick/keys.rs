//! Each key, and what is printed.

use super::{RESTORED, begin_in, fake, on, printed};
use crate::world::terminal::without_escapes;

const TO_FILE: &str = "codex-agent pick > out";

#[test]
fn enter_prints_the_record_of_the_best_match() {
    let (fake, [fix, ..]) = fake();
    let mut terminal = on(&fake, TO_FILE, 80, 24);
    terminal.until("Fix the parser");
    terminal.press("'parser");
    terminal.until("1/3");
    terminal.press("\r");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(printed(&fake), std::slice::from_ref(&fix));
    let listed = fake.0.ok(&["codex-agent-ls", "--json"]);
    let line = listed.lines().find(|line| line.contains(&fix)).unwrap();
    assert_eq!(std::fs::read_to_string(fake.0.path("work/out")).unwrap().trim(), line);
}

#[test]
fn tab_marks_several_in_their_order() {
    let (fake, [fix, write, parse]) = fake();
    let mut terminal = on(&fake, TO_FILE, 80, 24);
    terminal.until("Fix the parser");
    // The oldest first, then the newest; a mark that is set twice is none.
    terminal.press("\x1b[B\x1b[B\t");
    terminal.until("1 marked");
    terminal.press("\x1b[A\x1b[A\t\t\x1b[A\t\r");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(printed(&fake), [fix, parse], "not {write}");
}

#[test]
fn on_a_terminal_the_rows_are_those_of_ls() {
    let (fake, _) = fake();
    let mut terminal = on(&fake, "codex-agent pick 'list'", 80, 24);
    terminal.until("1/3");
    terminal.press("\r");
    let (shown, code) = terminal.end();
    let rows = shown.split_once(RESTORED).unwrap().1;
    assert_eq!(code, 0);
    assert!(rows.contains("DIRECTORY") && rows.contains("Parse the list"), "{rows}");
    assert!(!rows.contains("Fix the parser"), "{rows}");
}

#[test]
fn escape_and_control_keys_leave_without_a_word() {
    let (fake, _) = fake();
    for key in ["\x1b", "\x03", "\x07", "\x04"] {
        let mut terminal = on(&fake, "codex-agent pick > out; echo code $?", 80, 24);
        terminal.until("Fix the parser");
        terminal.press(key);
        let (shown, _) = terminal.end();
        let rest = without_escapes(shown.split_once(RESTORED).unwrap().1);
        assert_eq!(rest.trim(), "code 130", "{key:?}");
        assert_eq!(std::fs::read_to_string(fake.0.path("work/out")).unwrap(), "");
    }
    // The next tool of a pipe says no more than that nothing came.
    let mut terminal = on(&fake, "codex-agent pick | codex-agent resume -; echo code $?", 80, 24);
    terminal.until("Fix the parser");
    terminal.press("\x1b");
    let (shown, _) = terminal.end();
    let rest = without_escapes(shown.split_once(RESTORED).unwrap().1);
    assert_eq!(rest.trim(), "codex-agent-resume: there is no session on standard input\ncode 1");
}

#[test]
fn the_query_is_edited_as_in_a_shell() {
    let (fake, [_, write, _]) = fake();
    let mut terminal = on(&fake, TO_FILE, 80, 24);
    terminal.until("Fix the parser");
    // A word is deleted, a letter before the rest is typed, and the whole is pasted again.
    terminal.press("xyzzy manual\x17\x15rite\x01w");
    terminal.until("1/3");
    terminal.press("\x05\x15\x1b[200~Write\na manual\x1b[201~");
    terminal.until("1/3");
    terminal.press("\r");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(printed(&fake), [write]);
}

#[test]
fn help_shows_the_keys_and_any_key_leaves_it() {
    let (fake, _) = fake();
    for key in ["?", "\x1bOP"] {
        let mut terminal = on(&fake, TO_FILE, 80, 24);
        terminal.until("Fix the parser");
        terminal.press(key);
        terminal.until("copy the ids to the clipboard");
        terminal.press("q");
        terminal.until("Fix the parser");
        terminal.press("\r");
        assert_eq!(terminal.end().1, 0);
    }
}

#[test]
fn a_key_widens_to_all_directories_and_back() {
    let (fake, _) = fake();
    begin_in(&fake, "other", "Elsewhere");
    let mut terminal = on(&fake, TO_FILE, 80, 24);
    terminal.until("3/3  this directory");
    terminal.press("\x14");
    terminal.until("4/4  all");
    terminal.until("Elsewhere");
    terminal.press("\x14");
    terminal.until("3/3  this directory");
    terminal.press("\x1b");
    terminal.end();
    // Where there is none, all are shown.
    let mut terminal = on(&fake, "mkdir -p none; cd none; codex-agent pick > out", 80, 24);
    terminal.until("4/4  all");
    terminal.press("\x1b");
    assert_eq!(terminal.end().1, 130);
}

#[test]
fn keys_name_fork_archive_and_copy() {
    let (fake, [fix, ..]) = fake();
    let mut terminal = on(&fake, "codex-agent pick \"'parser\" > out", 100, 24);
    terminal.until("1/3");
    terminal.press("\x12");
    terminal.until("name:");
    terminal.press("the name\r");
    terminal.until("named 'the name'");
    terminal.until("the name");
    terminal.press("\x19");
    // The id in base64, for the clipboard of the terminal.
    let shown = terminal.until("copied");
    assert!(shown.contains("\x1b]52;c;"), "{shown:?}");
    terminal.press("\x06");
    // The counts are on the first line, and are drawn first.
    terminal.until("2/4");
    terminal.until("is the fork");
    terminal.press("\x18");
    terminal.until("Archive ");
    terminal.press("n");
    terminal.until("Enter");
    terminal.press("\x18");
    terminal.until("Archive ");
    terminal.press("y");
    terminal.until("1/3");
    terminal.until("unarchives");
    terminal.press("\r");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(printed(&fake), std::slice::from_ref(&fix), "the fork was archived");
    let listed = fake.0.ok(&["codex-agent-find", "name:the name", "--fields", "id"]);
    assert!(listed.contains(&fix), "{listed}");
    let archived = fake.0.ok(&["codex-agent-ls", "--archived=only", "--count"]);
    assert_eq!(archived.trim(), "1");
}

#[test]
fn a_key_resumes_on_the_terminal() {
    let (mut fake, [_, _, parse]) = fake();
    let stub = fake.0.script("stub", "#!/bin/sh\n[ \"$1\" = --version ] && echo codex-cli 0.171.0 && exit\n[ -t 0 ] && [ -t 1 ] && echo \"opened $*\"\n");
    fake.0.set("CODEX_AGENT_CODEX", stub.to_str().unwrap());
    let mut terminal = on(&fake, "codex-agent pick > out", 80, 24);
    terminal.until("Fix the parser");
    terminal.press("\x0f");
    let (shown, code) = terminal.end();
    assert!(shown.contains(&format!("opened resume {parse}")), "{shown}");
    assert_eq!(code, 0);
}

#[test]
fn records_of_a_pipe_keep_their_order_and_every_byte() {
    let (fake, [fix, write, _]) = fake();
    let records = format!(
        "{{\"type\":\"session\",\"id\":\"{write}\",\"title\":\"one\",\"n\":1.0}}\n{{\"type\":\"group\"}}\n\
         {{\"id\":\"foreign\",\"title\":\"two\"}}\n{fix}\tcut\n"
    );
    std::fs::write(fake.0.path("work/in"), records).unwrap();
    let mut terminal = on(&fake, "codex-agent pick < in > out", 80, 24);
    terminal.until("3/3");
    terminal.press("\t\t\t\r");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(printed(&fake), [write.clone(), "foreign".to_owned(), fix]);
    let text = std::fs::read_to_string(fake.0.path("work/out")).unwrap();
    assert!(
        text.starts_with(&format!(
            "{{\"type\":\"session\",\"id\":\"{write}\",\"title\":\"one\",\"n\":1.0}}\n"
        ))
    );
    fake.0.foreign();
    // An invalid line is reported after the screen, and is the exit status.
    let mut terminal = on(&fake, "(echo '{bad'; codex-agent ls) | codex-agent pick --one > out", 80, 24);
    terminal.until("3/3");
    terminal.until("idle");
    terminal.press("\t");
    terminal.until("only one session");
    terminal.press("\r");
    let (shown, code) = terminal.end();
    assert_eq!(code, 2);
    assert!(shown.split_once(RESTORED).unwrap().1.contains("stdin:1: column"), "{shown}");
}

/// The preview has the first message, and what was said last.
#[test]
fn the_preview_shows_what_was_said_last() {
    let (fake, [fix, ..]) = super::fake();
    for prompt in ["second prompt", "third prompt", "fourth prompt", "fifth prompt"] {
        fake.resume(&fix, prompt).succeeds();
    }
    let mut terminal = super::on(&fake, "codex-agent pick > out", 120, 40);
    let shown = terminal.until("echo: fifth prompt");
    let plain = crate::world::terminal::without_escapes(&shown);
    assert!(plain.contains("› third prompt") && !plain.contains("› second prompt"), "{plain}");
    terminal.press("\x1b");
    terminal.end();
}
