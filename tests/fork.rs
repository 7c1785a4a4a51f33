//! Forking sessions with the real Codex: whole, before a message, with a prompt.

use crate::world::json as records;
use crate::world::real::{Real, VERSIONS, end, real, streams};

#[test]
fn a_fork_before_a_message_has_the_messages_before_it() {
    for version in VERSIONS {
        if let Some(codex) = Real::with_version(version) {
            forks_before_messages(&codex);
        }
    }
}

fn forks_before_messages(codex: &Real) {
    let one = codex.exec("alpha", &["First message"]);
    codex.exec("alpha", &["resume", &one, "Second message"]);
    codex.exec("alpha", &["resume", &one, "Third message"]);
    let fork = |nth: &str| {
        let words = ["codex-agent-fork", &one, "--nth-message", nth, "--json"];
        let record = records(&codex.world.ok(&words)).remove(0);
        assert_eq!(record["cwd"].as_str(), Some(real(codex.world.path("alpha")).as_str()), "{record}");
        record["id"].as_str().unwrap().to_owned()
    };
    for (nth, before) in
        [("2", &["First message"][..]), ("-1", &["First message", "Second message"]), ("1", &[]), ("-3", &[])]
    {
        let id = fork(nth);
        codex.exec("alpha", &["resume", &id, "New message"]);
        let mut want: Vec<&str> = before.to_vec();
        want.push("New message");
        assert_eq!(codex.model.requests().pop().unwrap().user_texts, want, "{nth}");
    }
    let named = codex.world.run(&["codex-agent-name", &one, "the parent"]);
    named.succeeds();
    for source in ["--color=never", "--no-database"] {
        let found = codex.world.run(&["codex-agent-find", "the parent", "--format", "{id}", source]);
        assert_eq!(found.out.trim(), one, "{source} {}", found.err);
    }
    for nth in ["4", "-4"] {
        let ran = codex.world.run(&["codex-agent-fork", &one, "--nth-message", nth]);
        ran.exits(1);
        ran.reports("the session has 3 messages");
    }
    assert_eq!(codex.list(&[]).len(), 5, "nothing is left of what could not be cut");
}

#[test]
fn whole_forks_get_names_and_can_be_made_in_a_pipe() {
    let Some(codex) = Real::new() else { return };
    let one = codex.exec("alpha", &["Only message"]);
    let named = codex.world.run(&["codex-agent-name", "@@", "  a good name ", "--json"]);
    named.succeeds();
    assert_eq!(records(&named.out)[0]["name"], "a good name");
    let ran = codex.world.sh("codex-agent find 'a good name' --json | codex-agent fork -n 2 --name try --json | codex-agent group add tries --json");
    ran.succeeds();
    let forks = records(&ran.out);
    assert_eq!(forks.iter().map(|fork| fork["name"].as_str().unwrap()).collect::<Vec<_>>(), ["try", "try 2"]);
    assert_eq!(codex.list(&["--forks-of", &one]).len(), 2);
    assert_eq!(codex.list(&["--group", "tries"]).len(), 2);
    // Codex knows the name too.
    let output = codex
        .command("alpha")
        .args(["exec", "--json", "--skip-git-repo-check", "resume", "try 2", "More"])
        .output()
        .unwrap();
    assert!(streams(&output).contains(forks[1]["id"].as_str().unwrap()), "{}", streams(&output));
    let asked = codex.model.requests().pop().unwrap();
    assert_eq!(asked.user_texts, ["Only message", "More"]);
    // A busy session can be forked, and one whose directory is gone cannot, until another is named.
    let (child, busy) = codex.exec_slowly("beta", "Wait SLEEP60");
    codex.world.run(&["codex-agent-fork", &busy]).succeeds();
    end(child);
    std::fs::rename(codex.world.path("beta"), codex.world.path("gone")).unwrap();
    let ran = codex.world.run(&["codex-agent-fork", &busy]);
    ran.exits(1);
    ran.reports("to fork session '").reports("name another directory by --cwd");
    codex.world.run(&["codex-agent-fork", &busy, "--cwd", "gone"]).succeeds();
}

#[test]
fn a_fork_with_a_prompt_gets_its_first_turn() {
    let Some(codex) = Real::new() else { return };
    let one = codex.exec("alpha", &["First"]);
    codex.exec("alpha", &["resume", &one, "Second"]);
    let ran = codex.world.run(&[
        "codex-agent-fork",
        &one,
        "--nth-message",
        "-1",
        "--prompt",
        "Another way",
        "--answers",
    ]);
    ran.succeeds().prints("echo: Another way\n");
    assert_eq!(codex.model.requests().pop().unwrap().user_texts, ["First", "Another way"]);
    // A prompt that cannot be sent forks nothing.
    let before = codex.list(&[]).len();
    for words in
        [&["--prompt", " "][..], &["--prompt-file", "nowhere"], &["--prompt", "x", "--image", "nowhere"]]
    {
        let mut line = vec!["codex-agent-fork", &one];
        line.extend(words);
        codex.world.run(&line).exits(2);
    }
    assert_eq!(codex.list(&[]).len(), before);
}
