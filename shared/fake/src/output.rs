//! Where this Codex prints, and how it ends: standard output, standard error, its exit code; and its home.

use std::io::Write;

use codex_agent_shared::codex::home::Home;
use serde_json::Value;

/// Ends the process with this code; its message was printed before.
pub(super) struct Stop(pub(super) u8);

/// The result of functions that may end the process.
pub(super) type Run<T> = std::result::Result<T, Stop>;

/// Says why on standard error and ends with 1, as Codex does.
pub(super) fn fail<T>(why: impl std::fmt::Display) -> Run<T> {
    tell(&format!("Error: {why}"));
    Err(Stop(1))
}

/// One line on standard error. If that is gone there is nowhere left to say so.
pub(super) fn tell(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// A whole line on standard output, at once. Codex panics where it cannot.
pub(super) fn say(line: &[u8]) -> Run<()> {
    let mut out = std::io::stdout().lock();
    let mut whole = Vec::with_capacity(line.len() + 1);
    whole.extend_from_slice(line);
    whole.push(b'\n');
    out.write_all(&whole).and_then(|()| out.flush()).map_err(|error| {
        tell(&format!("failed printing to stdout: {error}"));
        Stop(101)
    })
}

pub(super) fn say_json(value: &Value) -> Run<()> {
    say(value.to_string().as_bytes())
}

pub(super) fn home() -> Run<Home> {
    let home = match Home::find(None) {
        Ok(home) => home,
        Err(error) => return fail(format!("finding codex home: {error}")),
    };
    // The default home is created at the first use.
    let is_named = std::env::var_os("CODEX_HOME").is_some_and(|named| !named.is_empty());
    if !is_named && let Err(error) = std::fs::create_dir_all(home.path()) {
        return fail(format!("making codex home: {error}"));
    }
    Ok(home)
}
