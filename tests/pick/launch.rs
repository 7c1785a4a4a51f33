//! Tools that open the picker where no session is given, or only words for one.

use super::{RESTORED, begin_in, fake, on};
use crate::world::fake::Fake;
use crate::world::terminal::without_escapes;

/// Codex prints how it was called.
fn with_stub(fake: &mut Fake) {
    let stub = fake.0.script(
        "stub",
        "#!/bin/sh\n[ \"$1\" = --version ] && echo codex-cli 0.171.0 && exit\necho \"opened $*\"\n",
    );
    fake.0.set("CODEX_AGENT_CODEX", stub.to_str().unwrap());
}

#[test]
fn resume_without_a_session_opens_the_one_that_is_chosen() {
    let (mut fake, [fix, ..]) = fake();
    with_stub(&mut fake);
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

#[test]
fn words_instead_of_a_reference_open_the_list_with_the_words() {
    let (mut fake, [_, write, parse]) = fake();
    let deep = fake.begin(&format!("{}needle", "hay ".repeat(200)));
    begin_in(&fake, "other", "Parse elsewhere");
    with_stub(&mut fake);
    for (words, shown, want) in [
        // The newest that has the word in its title.
        ("parse --under .", "> parse", &parse),
        // A single match opens nothing by itself.
        ("write manual", "> write manual", &write),
        // No title shows the word.
        ("needle", "> needle", &deep),
        ("parse the --since 1d", "> parse the", &parse),
    ] {
        let mut terminal = on(&fake, &format!("codex-agent resume {words}"), 80, 24);
        terminal.until(shown);
        terminal.until("all");
        // The preview is that of the session that Enter opens.
        terminal.until("idle");
        terminal.press("\r");
        let (text, code) = terminal.end();
        assert!(code == 0 && text.contains(&format!("opened resume {want}")), "{words}: {text}");
        // Without a terminal nothing can be chosen.
        fake.0
            .sh(&format!("cd work; codex-agent resume {words} < /dev/null"))
            .case(words)
            .never_shows("opened");
    }
    let mut terminal = on(&fake, "codex-agent resume parse; echo code $?", 80, 24);
    terminal.until("Parse elsewhere");
    terminal.press("\x1b");
    let shown = terminal.end().0;
    assert_eq!(without_escapes(shown.split_once(RESTORED).unwrap().1).trim(), "code 130");
    for (words, want) in [
        ("no-such-word", "no session 'no-such-word'"),
        ("parse --until 2d", "--find parse --until"),
        ("parse nothing", "unexpected operand 'nothing'"),
        ("@ parse", "unexpected operand 'parse'"),
        ("id:parse", "invalid reference 'id:parse'"),
    ] {
        let (shown, code) = on(&fake, &format!("codex-agent resume {words}"), 80, 24).end();
        assert!(
            matches!(code, 1 | 2) && shown.contains(want) && !shown.contains(RESTORED),
            "{words}: {shown}"
        );
    }
}

#[test]
fn several_sessions_of_find_are_a_list_to_choose_from() {
    let (mut fake, _) = fake();
    for tool in ["resume", "fork", "name 'a name'"] {
        let line = format!("codex-agent {tool} --find parse --since 1d; echo code $?");
        let mut terminal = on(&fake, &line, 80, 24);
        terminal.until("2/2");
        terminal.press("\x1b");
        let shown = terminal.end().0;
        assert_eq!(without_escapes(shown.split_once(RESTORED).unwrap().1).trim(), "code 130", "{tool}");
    }
    let mut terminal = on(&fake, "codex-agent fork --find parse", 80, 24);
    terminal.until("2/2");
    terminal.until("Parse the list");
    terminal.press("\t\t\r");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(fake.0.ok(&["codex-agent-ls", "--count"]).trim(), "5");
    with_stub(&mut fake);
    let mut terminal = on(&fake, "codex-agent resume --find \"the parse\" --until now", 80, 24);
    terminal.until("Fix the parser");
    terminal.press("'parser\r");
    let shown = terminal.end().0;
    assert!(shown.contains("opened resume"), "{shown}");
    // A single match of --find is opened as without a terminal.
    let shown = on(&fake, "codex-agent resume --find 'write manual'", 80, 24).end().0;
    assert!(shown.contains("opened resume") && !shown.contains(RESTORED), "{shown}");
}

#[test]
fn words_choose_the_session_that_is_forked_or_named() {
    let (fake, [fix, write, _]) = fake();
    let mut terminal = on(&fake, "codex-agent fork manual", 80, 24);
    terminal.until("> manual");
    terminal.until("idle");
    terminal.press("\r");
    assert_eq!(terminal.end().1, 0);
    let forks = fake.0.ok(&["codex-agent-ls", "--forks-of", &write, "--count"]);
    assert_eq!(forks.trim(), "1");
    for (line, id, name) in [
        ("codex-agent name parser 'one name'", &fix, "one name"),
        ("codex-agent name --find the 'other name'", &fix, "other name"),
    ] {
        let mut terminal = on(&fake, line, 80, 24);
        terminal.until("Fix the parser");
        terminal.until("idle");
        terminal.press("\x15'parser");
        terminal.until("1/");
        terminal.press("\r");
        let (shown, code) = terminal.end();
        assert!(code == 0 && shown.contains(&format!("is named '{name}'")), "{line}: {shown}");
        let found = fake.0.ok(&["codex-agent-find", &format!("name:{name}"), "--fields", "id"]);
        assert_eq!(found.trim(), *id);
    }
    // A single operand is the session, and the name is missing.
    let (shown, code) = on(&fake, "codex-agent name parser", 80, 24).end();
    assert!(code == 2 && shown.contains("a name for the session is missing"), "{shown}");
}
