//! A tool that serves the same tool on another machine: `codex-agent TOOL --serve`, which users do not type.
//!
//! Only a tool with the flag `--host` serves; such tools change nothing. The arguments come on standard input, since a
//! shell of the host would read them again on a command line. See [`crate::host::protocol`].

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, Read};
use std::path::Path;

use super::table::Tool;
use crate::error::{Error, Result};
use crate::host::protocol::{Hello, Request, SERVE};
use crate::host::set_serving;
use crate::ndjson::{LONGEST_LINE, Output};
use crate::reference::set_has_input;
use crate::terminal::{disable_pager, show_elsewhere};

/// Whether the first word asks a tool to serve.
pub(super) fn is_asked(tool: &Tool, word: &OsString) -> bool {
    word == SERVE && tool.commands.iter().any(|verb| verb.rows().any(|row| row.long == "host"))
}

/// Reads the request, answers it, and returns the arguments.
pub(super) fn accept() -> Result<Vec<OsString>> {
    let mut line = Vec::new();
    let read = io::stdin().lock().take(LONGEST_LINE as u64).read_until(b'\n', &mut line);
    read.map_err(|error| Error::new(format!("cannot read the request: {}", crate::error::reason(&error))))?;
    let request = Request::parse(String::from_utf8_lossy(&line).trim());
    // The other side learns the version of this one in any case.
    let mut output = Output::stdout();
    output.text(b"", b"\n")?;
    output.record(&Hello::own())?;
    output.flush()?;
    let request = request?;
    // A directory that does not exist here is none: '@' must not mean the home directory instead.
    let there = request.cwd.as_deref().map(Path::new).filter(|cwd| cwd.is_absolute());
    if there.is_none_or(|cwd| env::set_current_dir(cwd).is_err()) {
        let _ = env::set_current_dir("/");
    }
    disable_pager();
    show_elsewhere(request.columns);
    set_has_input(request.input);
    let words = request.arguments.iter().map(OsString::from).collect();
    set_serving(request);
    Ok(words)
}
