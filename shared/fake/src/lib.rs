//! A Codex without a model: `codex exec`, `codex app-server` and the few commands beside them, for the
//! demo, where there is no account, and for tests, which run thousands of jobs in seconds.
//!
//! It behaves as the recorded versions do, as far as other programs can see: the events, the rollouts, the rows
//! of the database, the locks, the exit codes. Where its own home is concerned it is Codex, so this is the one
//! module below `codex` that writes there. It answers `echo: ` and the prompt, unless words in the prompt say
//! otherwise; the head of `fake/words.rs` has them all.
//!
//! **Variables.** `CODEX_FAKE_VERSION=0.137.0` makes it that version. `CODEX_FAKE_LOG=FILE` gets a line
//! for each prompt at the moment that a model would see it, and none for a prompt that none would
//! see. `CODEX_FAKE_GIT_CHECK=1` makes it refuse directories outside of git, as Codex does.
//!
//! **Order.** Row and rollout are there before `thread.started` is printed, and `thread.started` before anything
//! is logged: if it is killed before that, nothing was sent.
//!
//! **What it leaves out.** It does not read `config.toml` but for the place of the database, knows no
//! git, has no subagents, no compaction and no queue, and does not write compressed rollouts.
//!
//! A module imports only from floors above its own: 0 `lock`, `output`, `table`, `version`, `words`; 1 `args`, `line`,
//! `model`, `row`, [`sample`]; 2 `history`; 3 `thread`; 4 `lines`, `rpc`; 5 `exec`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use codex_agent_shared::record::Id;

mod args;
mod exec;
mod history;
mod line;
mod lines;
mod lock;
mod model;
mod output;
// Without SQLite there are no rows, and the columns of versions are unused.
#[cfg_attr(not(feature = "sqlite"), allow(dead_code, unused_imports))]
mod row;
mod rpc;
pub mod sample;
mod table;
mod thread;
#[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
mod version;
mod words;

use output::{Run, Stop, fail, home, say};
use version::{Version, since};

/// The name that makes an executable this Codex.
pub const NAME: &str = "codex";

/// Runs as Codex, with these arguments.
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
