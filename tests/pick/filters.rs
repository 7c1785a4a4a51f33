//! The sessions that the list has: filters, the repository, and the words of the query.

use super::{RESTORED, begin_in, fake, on, printed};
use crate::world::fake::Fake;

#[test]
fn the_filters_of_ls_choose_the_sessions() {
    let (fake, [fix, ..]) = fake();
    let elsewhere = begin_in(&fake, "other", "Fix it elsewhere");
    fake.0.run(&["codex-agent-group", "add", "g", &fix, &elsewhere]).succeeds();
    // A filter that names places or sessions is not narrowed to this directory.
    for (filter, counts) in [
        ("--since 1d", "3/3  this directory"),
        ("--since 1d --all", "4/4  all"),
        ("--status idle", "3/3  this directory"),
        ("--group g", "2/2  all"),
        ("--under ../other", "1/1  all"),
        ("--cwd . --cwd ../other", "4/4  all"),
    ] {
        let mut terminal = on(&fake, &format!("codex-agent pick {filter} > out"), 80, 24);
        terminal.until(counts);
        terminal.press("\x1b");
        assert_eq!(terminal.end().1, 130, "{filter}");
    }
    // The list that is read again has them, too; and those of this place are known.
    let mut terminal = on(&fake, "codex-agent pick --group g > out", 80, 24);
    terminal.until("2/2  all");
    terminal.press("\x14");
    terminal.until("1/1  this directory");
    terminal.press("\x0c\x14");
    terminal.until("2/2  all");
    terminal.press("elsewhere");
    terminal.until("1/2");
    terminal.press("\r");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(printed(&fake), [elsewhere]);
}

#[test]
fn a_filter_without_sessions_is_reported() {
    let (fake, _) = fake();
    let (shown, code) = on(&fake, "codex-agent pick --branch no-such", 80, 24).end();
    let rest = shown.split_once(RESTORED).unwrap().1;
    assert!(code == 1 && rest.contains("no session has --branch 'no-such'"), "{shown}");
    let (shown, code) = on(&fake, "codex-agent pick --group no-such", 80, 24).end();
    assert!(code != 0 && shown.contains("no-such") && !shown.contains(RESTORED), "{shown}");
    for (line, want) in [
        ("codex-agent ls --json | codex-agent pick --since 1d", "filters cannot be combined with"),
        ("codex-agent pick -", "standard input: it is a terminal"),
    ] {
        let (shown, code) = on(&fake, line, 80, 24).end();
        assert!(code == 2 && shown.contains(want) && !shown.contains(RESTORED), "{line}: {shown}");
    }
}

#[test]
fn a_dash_is_standard_input_and_no_word() {
    let (fake, [_, write, _]) = fake();
    let mut terminal = on(&fake, "codex-agent ls --json | codex-agent pick manual - > out", 80, 24);
    terminal.until("> manual");
    terminal.until("1/3");
    terminal.press("\r");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(printed(&fake), [write]);
}

#[test]
fn the_sessions_of_a_repository_are_those_of_all_its_working_trees() {
    let fake = Fake::newest();
    let made = fake.0.sh(
        "cd work && git init -q -b main . && git -c user.name=n -c user.email=e@example.com commit -q --allow-empty -m one \
         && git worktree add -q ../linked && mkdir -p below ../linked/deep",
    );
    made.exits(0);
    let in_linked = begin_in(&fake, "linked/deep", "In the linked tree");
    begin_in(&fake, "work/below", "In the main tree");
    begin_in(&fake, "other", "Of no repository");
    for directory in [".", "below", "../linked", "../linked/deep"] {
        let line = format!("here=$PWD; cd {directory} && codex-agent pick > $here/out");
        let mut terminal = on(&fake, &line, 80, 24);
        terminal.until("2/2  this repository");
        terminal.press("linked");
        terminal.until("1/2");
        terminal.press("\r");
        assert_eq!(terminal.end().1, 0, "{directory}");
        assert_eq!(printed(&fake), std::slice::from_ref(&in_linked), "{directory}");
    }
    let mut terminal = on(&fake, "here=$PWD; cd ../other && codex-agent pick > $here/out", 80, 24);
    terminal.until("1/1  this directory");
    terminal.press("\x14");
    terminal.until("3/3  all");
    terminal.press("\x1b");
    assert_eq!(terminal.end().1, 130);
}

#[test]
fn sessions_with_the_words_of_the_query_come_first() {
    let (fake, _) = fake();
    // The letters are in the titles of newer sessions; the word is only deep in the first message of the oldest.
    let deep = fake.begin(&format!("{}zebra", "hay ".repeat(200)));
    for _ in 0..3 {
        fake.begin("Zip the extra brackets again");
    }
    let mut terminal = on(&fake, "codex-agent pick zebra > out", 80, 24);
    terminal.until("4/7");
    terminal.press("\r");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(printed(&fake), [deep]);
}
