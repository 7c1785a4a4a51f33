//! A Codex without a model: `codex exec`, `codex app-server` and a few other commands, for the demo, which needs no
//! account, and for tests, which run thousands of jobs in seconds.
//!
//! Its events, rollouts, rows of the database, locks and exit statuses are those of the recorded versions of Codex. It
//! writes in its home, as Codex does; no other crate of codex-agent does so. The answer is `echo: ` and the prompt,
//! unless words of the prompt ask for another behaviour: the head of `words.rs` lists them.
//!
//! **Variables.** `CODEX_FAKE_VERSION=0.137.0` sets the version. Each prompt is logged as a line of the file
//! `CODEX_FAKE_LOG` when a model would receive it; a prompt that no model would receive is not logged. With
//! `CODEX_FAKE_GIT_CHECK=1` directories outside of git are refused, as by Codex.
//!
//! **Order.** Row and rollout exist before `thread.started` is printed, and `thread.started` is printed before a prompt
//! is logged. If the process is killed before that, nothing was sent.
//!
//! **Omitted.** It reads nothing in `config.toml` but the place of the database, and has no git but for worktrees, no
//! subagents, no compaction, no queue and no compressed rollouts.
//!
//! A module imports only from layers above its own: 0 `lock`, `output`, `table`, `version`, `words`; 1 `args`, `line`,
//! `model`, `store`, [`sample`]; 2 `history`, `worktree`; 3 `thread`; 4 `lines`, `rpc`; 5 `exec`.

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
mod rpc;
pub mod sample;
mod store;
mod table;
mod thread;
mod version;
mod words;
mod worktree;

use output::{Exit, OrExit, fail, home, print_line};
use store::Store;
use version::{Version, since};

/// The name of an executable that behaves as this Codex.
pub const NAME: &str = "codex";

/// Runs as Codex, with these arguments.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let status = match run(&args) {
        Ok(()) => 0,
        Err(Exit(status)) => status,
    };
    ExitCode::from(status)
}

fn run(args: &[OsString]) -> OrExit<()> {
    let version = Version::from_environment();
    let words: Vec<&str> = args.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match words[..] {
        ["--version" | "-V", ..] => print_line(format!("codex-cli {}", version.text)),
        ["exec" | "e", ..] => exec::run(version, args),
        ["app-server"] => rpc::serve(&Store::open(version, home()?).or_else(fail)?),
        [verb @ ("archive" | "unarchive"), id] if version.has(since::ARCHIVE_COMMAND) => {
            let Some(id) = Id::parse(id) else { return fail(format!("Session not found: {id}")) };
            let store = Store::open(version, home()?).or_else(fail)?;
            thread::move_archived(&store, id, verb == "archive").or_else(fail)?;
            print_line(format!("{verb}d session {id}."))
        }
        _ if std::io::stdin().is_terminal() => {
            fail("this Codex has no screen and no model; it knows 'codex exec' and 'codex app-server'")
        }
        _ => fail("stdin is not a terminal"),
    }
}
