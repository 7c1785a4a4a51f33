//! A Codex without a model: `codex exec`, `codex app-server` and the few commands beside them, for the
//! demo, where there is no account, and for tests, which run thousands of jobs in seconds.
//!
//! It does what the recorded versions do, as far as others can see it: the events, the rollouts, the
//! rows of the database, the locks, the exit codes. Where its own home is concerned it is Codex, so
//! this is the one module below `codex` that writes there. It answers `echo: ` and the prompt, unless
//! words in the prompt say otherwise; the head of `fake/words.rs` has them all.
//!
//! **Variables.** `CODEX_FAKE_VERSION=0.137.0` makes it that version. `CODEX_FAKE_LOG=FILE` gets a line
//! for each prompt at the moment that a model would see it, and none for a prompt that none would
//! see. `CODEX_FAKE_GIT_CHECK=1` makes it refuse directories outside of git, as Codex does.
//!
//! **Order.** Row and rollout are there before `thread.started` is printed, and `thread.started` before
//! anything is logged: whoever kills it before that knows that nothing was sent.
//!
//! **What it leaves out.** It does not read `config.toml` but for the place of the database, knows no
//! git, has no subagents, no compaction and no queue, and does not write compressed rollouts.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use serde_json::Value;

use super::home::Home;
use crate::record::Id;

mod args;
mod exec;
mod history;
mod lines;
mod lock;
mod model;
// Without SQLite there are no rows, and nobody asks which columns a version has.
#[cfg_attr(not(feature = "sqlite"), allow(dead_code, unused_imports))]
mod row;
mod rpc;
mod thread;
#[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
mod version;
mod words;

use version::{Version, since};

/// The name that makes an executable this Codex.
pub const NAME: &str = "codex";

/// Ends the process with this code; what there is to say has been said.
struct Stop(u8);

/// What every part gives that may end the process.
type Run<T> = std::result::Result<T, Stop>;

/// Says why on standard error and ends with 1, as Codex does.
fn fail<T>(why: impl std::fmt::Display) -> Run<T> {
    tell(&format!("Error: {why}"));
    Err(Stop(1))
}

/// One line on standard error. If that is gone there is nowhere left to say so.
fn tell(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// A whole line on standard output, at once. Codex panics where it cannot.
fn say(line: &[u8]) -> Run<()> {
    let mut out = std::io::stdout().lock();
    let mut whole = Vec::with_capacity(line.len() + 1);
    whole.extend_from_slice(line);
    whole.push(b'\n');
    out.write_all(&whole).and_then(|()| out.flush()).map_err(|error| {
        tell(&format!("failed printing to stdout: {error}"));
        Stop(101)
    })
}

fn say_json(value: &Value) -> Run<()> {
    say(value.to_string().as_bytes())
}

/// Is Codex, with these words after its name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let stop = match run(&args) {
        Ok(()) => 0,
        Err(Stop(code)) => code,
    };
    ExitCode::from(stop)
}

fn run(args: &[OsString]) -> Run<()> {
    let version = Version::of_environment();
    let words: Vec<&str> = args.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match words[..] {
        ["--version" | "-V", ..] => say(format!("codex-cli {}", version.text).as_bytes()),
        ["exec" | "e", ..] => exec::run(&version, args),
        ["app-server"] => rpc::serve(&version, &home()?),
        [verb @ ("archive" | "unarchive"), id] if version.has(since::ARCHIVE_COMMAND) => {
            let Some(id) = Id::parse(id) else { return fail(format!("Session not found: {id}")) };
            match thread::move_archived(&version, &home()?, id, verb == "archive") {
                Ok(()) => say(format!("{verb}d session {id}.").as_bytes()),
                Err(why) => fail(why),
            }
        }
        _ if std::io::stdin().is_terminal() => {
            fail("this Codex has no screen and no model; it knows 'codex exec' and 'codex app-server'")
        }
        _ => fail("stdin is not a terminal"),
    }
}

fn home() -> Run<Home> {
    let home = match Home::find(None) {
        Ok(home) => home,
        Err(error) => return fail(format!("finding codex home: {error}")),
    };
    // The one that nobody named is made at the first time.
    let is_named = std::env::var_os("CODEX_HOME").is_some_and(|named| !named.is_empty());
    if !is_named && let Err(error) = std::fs::create_dir_all(home.path()) {
        return fail(format!("making codex home: {error}"));
    }
    Ok(home)
}
