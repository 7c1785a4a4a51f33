//! Standard output, standard error and the exit status, as Codex has them; and the directory of its home.

use std::fmt::Display;
use std::io::Write;

use codex_agent_shared::codex::home::Home;

/// The end of the process with this status. Its message was printed before.
pub(super) struct Exit(pub(super) u8);

/// The result of a function that may end the process.
pub(super) type OrExit<T> = std::result::Result<T, Exit>;

/// The result of an operation that Codex may refuse, with the message of Codex.
pub(super) type OrRefusal<T> = std::result::Result<T, String>;

/// Prints an error and ends with status 1.
pub(super) fn fail<T>(why: impl Display) -> OrExit<T> {
    exit_with(1, format!("Error: {why}"))
}

/// Prints a line on standard error and ends with this status.
pub(super) fn exit_with<T>(status: u8, line: impl Display) -> OrExit<T> {
    print_error_line(line);
    Err(Exit(status))
}

/// Prints a line on standard error. If standard error is closed, there is no other place to report that.
pub(super) fn print_error_line(line: impl Display) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Prints a line on standard output in one write. If that fails, Codex panics.
pub(super) fn print_line(line: impl AsRef<[u8]>) -> OrExit<()> {
    let mut out = std::io::stdout().lock();
    let bytes = [line.as_ref(), b"\n"].concat();
    let written = out.write_all(&bytes).and_then(|()| out.flush());
    written.or_else(|error| exit_with(101, format!("failed printing to stdout: {error}")))
}

/// Finds Codex's home, and creates the default one at the first use.
pub(super) fn home() -> OrExit<Home> {
    let home = Home::find(None).or_else(|error| fail(format!("finding codex home: {error}")))?;
    if std::env::var_os("CODEX_HOME").is_none_or(|named| named.is_empty()) {
        let made = std::fs::create_dir_all(home.path());
        made.or_else(|error| fail(format!("making codex home: {error}")))?;
    }
    Ok(home)
}
