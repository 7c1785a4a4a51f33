//! The demo without a command: steps, each with a text, commands and their output.
//!
//! On a terminal the demo waits for a key after each step. A step fits a terminal of 80 columns and 24 rows.

use std::ffi::OsString;
use std::io::Write;

use codex_agent_shared::child;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::index::{Index, Sources};
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::query::Query;
use codex_agent_shared::record::Field;
use codex_agent_shared::terminal::{Key, Keyboard, is_drawable};
use codex_agent_shared::text::counted;

use crate::Sample;

/// Texts, and the commands after them.
const STEPS: [(&str, &[&str]); 8] = [
    ("codex-agent lists the sessions of Codex. These are of a sample home.", &["codex-agent ls -n 5"]),
    ("Sessions are found by words, by name, or by a part of the id.", &["codex-agent find auth.rs"]),
    ("With --json, sessions are records: one JSON object a line.", &["codex-agent ls -n 1 --json"]),
    (
        "Session records can be put into a group.",
        &["codex-agent ls --json --under beta | codex-agent group add work"],
    ),
    ("The group is saved, and every tool can read it.", &["codex-agent group show work"]),
    (
        "A prompt can be sent to every session of a group, concurrently.\n# The Codex of this demo has no model, \
         and repeats the prompt.",
        &["codex-agent group run work --answers --prompt 'Check it once more'"],
    ),
    (
        "Prompts can start new sessions, too.",
        &["codex-agent run --cwd alpha --answers -p 'Write the parser' -p 'Write the manual'"],
    ),
    (
        "A queue saves prompts, and sends them one after the other.",
        &[
            "printf 'Plan it\\nBuild it\\n' | codex-agent queue add book",
            "codex-agent queue run book --answers",
            "codex-agent queue show book",
        ],
    ),
];

/// Runs the steps.
pub(crate) fn show(sample: &Sample) -> Result<Exit> {
    let waits = Keyboard::exists();
    for (at, (text, commands)) in STEPS.iter().enumerate() {
        print_now(&format!("{}# {text}\n", if at == 0 && waits { "" } else { "\n" }))?;
        for command in *commands {
            print_now(&format!("$ {command}\n"))?;
            let words = ["sh", "-c", command].map(OsString::from);
            let mut process = sample.process(&words);
            // Each step waits by itself.
            process.current_dir(&sample.0.projects).env("CODEX_AGENT_PAGER", "cat");
            let exit = child::run(&mut process)?;
            if exit != Exit::Done {
                return Ok(exit);
            }
        }
        if waits {
            match wait(at + 1)? {
                Wish::Next => {}
                Wish::Quit => return Ok(Exit::Done),
                Wish::Stop(signal) => return Ok(Exit::Theirs(128 + signal)),
            }
        }
    }
    print_now(&format!("\n{}", own_sessions()))?;
    Ok(Exit::Done)
}

/// What the user wants after a step.
enum Wish {
    Next,
    Quit,
    Stop(u8),
}

/// Waits for a key after the step with this number.
fn wait(step: usize) -> Result<Wish> {
    let steps = STEPS.len();
    let keyboard = Keyboard::open()?;
    print_now(&format!("\n-- step {step} of {steps}; Space or Enter continues, q ends the demo --"))?;
    let wish = loop {
        match keyboard.next()? {
            Key::Byte(b' ' | b'\r' | b'\n') => break Wish::Next,
            Key::Byte(b'q' | b'Q') | Key::End => break Wish::Quit,
            Key::Stop(signal) => break Wish::Stop(signal),
            Key::Byte(_) => {}
        }
    };
    // The next step takes the place of the line.
    print_now(if is_drawable() { "\r\x1b[K\x1b[A" } else { "\n" })?;
    Ok(wish)
}

/// Prints and flushes, so that the text comes before the output of its command.
fn print_now(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::of_output)
}

fn own_sessions() -> String {
    let more =
        "'codex-agent --help' lists the tools,\n'codex-agent help NAME' opens the manual page of a tool.\n";
    let count = || {
        let home = Home::find(None).ok().filter(Home::exists)?;
        let place = home.path().display().to_string();
        let mut index = Index::open(home, Sources::default()).ok()?;
        let query = Query { fields: vec![Field::Id], ..Query::default() };
        Some((place, index.list(&query, &mut |_| Ok(())).ok()?))
    };
    match count() {
        Some((place, count)) if count > 0 => {
            format!(
                "This was the sample. Your own home {place}\nhas {}: try 'codex-agent ls'.\n{more}",
                counted(count, "session")
            )
        }
        _ => format!(
            "This was the sample. There are no sessions of your own yet:\nonce you have used Codex, 'codex-agent ls' \
             lists your sessions.\n'codex-agent demo sh' opens a shell in the sample.\n{more}"
        ),
    }
}
