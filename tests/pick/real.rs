//! The picker with the real Codex: what its keys do is what Codex did.

use crate::world::fake::wait_until;
use crate::world::real::Real;
use crate::world::terminal::Terminal;

#[test]
fn keys_fork_name_archive_and_enter_prints() {
    let Some(codex) = Real::new() else { return };
    let first = codex.exec("alpha", &["Mend the parser"]);
    let second = codex.exec("alpha", &["Write a manual"]);
    let count = |words: &[&str]| codex.list(words).len();
    let mut command = codex.world.command("setsid");
    command.args(["--ctty", "--wait", "sh", "-c", "codex-agent pick > out"]);
    command.env("CODEX_HOME", codex.world.codex_home()).current_dir(codex.world.path("alpha"));
    let mut terminal = Terminal::open(command, 120, 30);
    terminal.until("2/2");
    // The preview has the answer of the model.
    terminal.until("echo: Write a manual");
    terminal.press("parser\x06");
    wait_until(|| count(&[]) == 3);
    terminal.press("\x15manual");
    terminal.until("1/3");
    terminal.press("\x12");
    terminal.until("Enter names");
    terminal.press("the manual\r");
    wait_until(|| {
        codex.list(&["--named"]).iter().any(|one| one["id"] == *second && one["name"] == "the manual")
    });
    terminal.press("\x18");
    terminal.until("[y/N]");
    terminal.press("y");
    wait_until(|| codex.list(&["--archived=only"]).iter().any(|one| one["id"] == *second));
    assert_eq!(count(&[]), 2);
    terminal.press("\x15Mend the parser");
    terminal.until("2/2");
    terminal.press("\x1b[B\r");
    let (_, code) = terminal.end();
    assert_eq!(code, 0);
    let printed = crate::world::json(&std::fs::read_to_string(codex.world.path("alpha/out")).unwrap());
    assert_eq!(printed.len(), 1);
    let fork = codex.list(&["--forks-of", &first]);
    assert_eq!(fork.len(), 1);
    // The second row with the words, which are those of the session and of its fork.
    assert!(printed[0]["id"] == *first || printed[0]["id"] == fork[0]["id"], "{printed:?}");
}
