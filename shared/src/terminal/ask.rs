//! Questions to the user.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use crate::error::{Context, Result, broken};

/// Whether the user can be asked: standard input and standard error are a terminal.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question such as `Install them?` on standard error, and reads the answer from standard input. Only `y` and
/// `yes` confirm; the end of the input does not. Call it only if [`can_ask`].
pub fn ask(question: &str) -> Result<bool> {
    let answer = ask_text(&format!("{question} [y/N]"))?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a text such as a name, and reads the answer, one line without the blanks around it. Call it only if
/// [`can_ask`].
#[doc(hidden)]
pub fn ask_text(question: &str) -> Result<String> {
    let mut error = io::stderr();
    let _ = error.write_all(broken(&format!("{question} ")).as_bytes()).and_then(|()| error.flush());
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read", Path::new("standard input"))?;
    Ok(answer.trim().to_owned())
}
