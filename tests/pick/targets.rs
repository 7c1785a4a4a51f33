//! A key acts on the sessions that it was pressed for, whatever the list has become since.

use super::{fake, on};
use crate::world::fake::Fake;

fn archived(fake: &Fake) -> String {
    fake.0.ok(&["codex-agent-ls", "--archived=only", "--fields", "id"])
}

#[test]
fn a_session_that_comes_before_the_answer_is_not_archived() {
    for is_marked in [false, true] {
        let (fake, [fix, _, parse]) = fake();
        let mut terminal = on(&fake, "codex-agent pick > out", 100, 24);
        terminal.until("Fix the parser");
        if is_marked {
            terminal.press("\x1b[B\x1b[B\t\x1b[A\x1b[A");
            terminal.until("1 marked");
        }
        // The fork is under way when the question is asked, and comes before the answer.
        terminal.press("\x06\x18");
        terminal.until(if is_marked { "Archive 'Fix the parser'?" } else { "Archive 'Parse the list'?" });
        terminal.until("4/4");
        terminal.press("y");
        terminal.until("unarchives");
        terminal.press("\x1b");
        terminal.end();
        assert_eq!(archived(&fake).trim(), if is_marked { fix } else { parse });
    }
}

#[test]
fn a_name_is_that_of_the_session_at_the_key() {
    let (fake, [.., parse]) = fake();
    let mut terminal = on(&fake, "codex-agent pick > out", 100, 24);
    terminal.until("Fix the parser");
    terminal.press("\x06\x12");
    terminal.until("Enter names 'Parse the list'");
    terminal.until("4/4");
    terminal.press("the name\r");
    terminal.until("named 'the name'");
    terminal.press("\x1b");
    terminal.end();
    let named = fake.0.ok(&["codex-agent-ls", "--name", "the name", "--fields", "id"]);
    assert!(named.contains(&parse), "{named}");
}

#[test]
fn a_fork_does_not_take_the_cursor_from_another_session() {
    let (fake, _) = fake();
    for (keys, follows) in [("\x06", true), ("\x06\x1b[B", false)] {
        let before = fake.0.ok(&["codex-agent-ls", "--fields", "id"]);
        let mut terminal = on(&fake, "codex-agent pick --format '{id}' > out", 100, 24);
        terminal.until("Fix the parser");
        terminal.press(keys);
        terminal.until("is the fork");
        terminal.press("\r");
        assert_eq!(terminal.end().1, 0);
        let chosen = std::fs::read_to_string(fake.0.path("work/out")).unwrap();
        assert_eq!(!before.contains(chosen.trim()), follows, "{keys:?}");
    }
}

#[test]
fn no_key_is_lost_while_the_size_changes() {
    let (fake, _) = fake();
    let mut terminal = on(&fake, "codex-agent pick > out", 80, 24);
    terminal.until("Fix the parser");
    let text: String = ('a'..='z').cycle().take(60).collect();
    for (at, letter) in text.chars().enumerate() {
        // A key and a new size arrive together.
        terminal.press(letter.encode_utf8(&mut [0; 4]));
        terminal.resize(100 + (at % 2) as u16, 24);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    terminal.until(&format!("> {text}"));
    terminal.press("\x1b");
    assert_eq!(terminal.end().1, 130);
}
