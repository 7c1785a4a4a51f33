//! Tools that open the picker where no session is given.

use super::{RESTORED, fake, on};
use crate::world::terminal::without_escapes;

#[test]
fn resume_without_a_session_opens_the_one_that_is_chosen() {
    let (mut fake, [fix, ..]) = fake();
    let stub = fake.0.script(
        "stub",
        "#!/bin/sh\n[ \"$1\" = --version ] && echo codex-cli 0.171.0 && exit\necho \"opened $*\"\n",
    );
    fake.0.set("CODEX_AGENT_CODEX", stub.to_str().unwrap());
    let mut terminal = on(&fake, "codex-agent resume", 80, 24);
    terminal.until("Fix the parser");
    terminal.press("'parser\r");
    let (shown, code) = terminal.end();
    assert!(shown.contains(&format!("opened resume {fix}")), "{shown}");
    assert_eq!(code, 0);
    let mut terminal = on(&fake, "codex-agent resume; echo code $?", 80, 24);
    terminal.until("Fix the parser");
    terminal.press("\x1b");
    let shown = terminal.end().0;
    assert_eq!(without_escapes(shown.split_once(RESTORED).unwrap().1).trim(), "code 130");
}

#[test]
fn fork_without_a_session_forks_those_that_are_marked() {
    let (fake, _) = fake();
    let mut terminal = on(&fake, "codex-agent fork", 80, 24);
    terminal.until("Fix the parser");
    terminal.press("\t\t\r");
    let (shown, code) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(fake.0.ok(&["codex-agent-ls", "--count"]).trim(), "5");
}

#[test]
fn name_without_a_session_asks_for_both() {
    let (fake, [.., parse]) = fake();
    let mut terminal = on(&fake, "codex-agent name", 80, 24);
    terminal.until("Fix the parser");
    terminal.press("\r");
    terminal.until("Name of session");
    terminal.press("a good name\n");
    let (shown, code) = terminal.end();
    assert!(code == 0 && shown.contains("is named 'a good name'"), "{shown}");
    let found = fake.0.ok(&["codex-agent-find", "name:a good name", "--fields", "id"]);
    assert_eq!(found.trim(), parse);
}

#[test]
fn without_a_screen_the_error_names_what_is_missing() {
    let (fake, _) = fake();
    for tool in ["resume", "fork", "name"] {
        let (shown, code) = on(&fake, &format!("TERM=dumb codex-agent {tool}"), 80, 24).end();
        assert!(code == 2 && !shown.contains(RESTORED), "{tool}: {shown}");
        fake.0.feed(&[&format!("codex-agent-{tool}"), "--quiet"], "").case(tool).never_shows("\x1b");
    }
}
