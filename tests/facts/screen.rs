//! The Codex TUI, on a pseudo-terminal that answers the questions that programs ask terminals.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use codex_agent_shared::codex::names::Names;
use codex_agent_shared::record::Id;

use super::lab::{Lab, Outcome, must, said};

/// Runs a turn in the TUI, leaves it, and records the name that the session has then.
pub fn run(lab: &Lab, line: &str) -> Outcome {
    let mut script = Command::new("script");
    script
        .args(["-q", "-c", line, "/dev/null"])
        .current_dir(lab.path("alpha"))
        .env("CODEX_HOME", lab.home("tui"));
    script.env("TERM", "xterm-256color").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = script.spawn().map_err(|error| format!("cannot run 'script': {error}"))?;
    let mut keyboard = child.stdin.take().ok_or("no keyboard")?;
    let mut screen = child.stdout.take().ok_or("no screen")?;
    let (sender, shown) = channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut bytes) {
            if sender.send(bytes[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    let start = Instant::now();
    let mut all = Vec::new();
    let mut answered = None;
    let mut asked_for_a_title = false;
    let mut leaving = 0;
    let mut ended = false;
    while start.elapsed() < Duration::from_secs(60) && !ended {
        match shown.recv_timeout(Duration::from_millis(100)) {
            Ok(bytes) => {
                // The place of the cursor, the kind of terminal, its background.
                let text = String::from_utf8_lossy(&bytes).into_owned();
                for (question, answer) in [
                    ("\x1b[6n", "\x1b[1;1R"),
                    ("\x1b[c", "\x1b[?62c"),
                    ("\x1b]11;?", "\x1b]11;rgb:0000/0000/0000\x1b\\"),
                ] {
                    if text.contains(question) {
                        let _ = keyboard.write_all(answer.as_bytes()).and_then(|()| keyboard.flush());
                    }
                }
                all.extend(bytes);
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => ended = true,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
        }
        let is_title = |text: &str| text.contains("title for") || text.contains("task title");
        asked_for_a_title |= lab.model.requests().iter().any(|request| is_title(&request.last_user_text));
        if answered.is_none() && is_answered(lab) {
            answered = Some(Instant::now());
        }
        // Codex names a session after its first turn.
        let rest = if asked_for_a_title { 3 } else { 8 };
        if answered.is_some_and(|at| at.elapsed() > Duration::from_secs(rest + leaving)) {
            leaving += 2;
            let _ = keyboard.write_all(b"\x03").and_then(|()| keyboard.flush());
        }
    }
    let _ = child.kill();
    child.wait().map_err(said)?;
    let shown = String::from_utf8_lossy(&all).into_owned();
    must(answered.is_some(), || format!("no turn in the TUI: {shown:?}"))?;
    let sql = "SELECT coalesce(name, ''), source, coalesce(originator, ''), id FROM threads WHERE first_user_message LIKE 'Hello%'";
    let row = |row: &rusqlite::Row<'_>| Ok([row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?]);
    let [name, source, originator, id] = lab.database("tui")?.query_row(sql, [], row).map_err(said)?;
    lab.note("TUI asks for a title", asked_for_a_title.to_string());
    lab.note("TUI names its session", (!name.is_empty()).to_string());
    let names = Names::read(&lab.home("tui"));
    let kept = Id::parse(&id).and_then(|id| names.name_of(id)).unwrap_or_default();
    lab.note("TUI name is in session_index.jsonl", (!name.is_empty() && kept == name).to_string());
    lab.note("TUI source", format!("{source} {originator}"));
    lab.note(".TUI session", id);
    lab.note("TUI ends", ended.to_string());
    Ok(())
}

fn is_answered(lab: &Lab) -> bool {
    let asked = |request: &crate::model::Request| request.last_user_text.contains("Hello from a terminal");
    let count = || -> Outcome<i64> {
        let sql = "SELECT count(*) FROM threads WHERE first_user_message LIKE 'Hello%' AND tokens_used > 0";
        lab.database("tui")?.query_row(sql, [], |row| row.get(0)).map_err(said)
    };
    lab.model.requests().iter().any(asked) && count() == Ok(1)
}
