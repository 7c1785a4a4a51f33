//! The launch of codex-agent-pick by a tool that needs a session and was given none.

use std::process::{Command, Stdio};

use super::flags::Args;
use crate::error::{Error, Exit, Result, reason};
use crate::plugin::sibling;
use crate::terminal::{can_ask, has_screen};

impl<O, J> Args<O, J> {
    /// If neither an operand nor `--find` is given, lets the user choose sessions on the terminal, and stores their ids as the operands.
    /// `Some` is the exit status of a user who chose none. Without a terminal nothing happens.
    #[doc(hidden)]
    pub fn pick_if_missing(&mut self, one: bool) -> Result<Option<Exit>> {
        let is_given = !self.operands.is_empty() || self.common.selection.is_given();
        if is_given || !can_ask() || !has_screen() {
            return Ok(None);
        }
        let Some(picker) = sibling("pick") else { return Ok(None) };
        let mut command = Command::new(&picker);
        command.args(["--format", "{id}"]).stdout(Stdio::piped());
        if one {
            command.arg("--one");
        }
        if let Some(home) = &self.common.codex_home {
            command.arg("--codex-home").arg(home);
        }
        let failed = |error: std::io::Error| {
            Error::new(format!("cannot run '{}': {}", picker.display(), reason(&error)))
                .with_exit(Exit::CannotRun)
        };
        let output = command.spawn().and_then(|child| child.wait_with_output()).map_err(failed)?;
        let ids = String::from_utf8_lossy(&output.stdout);
        self.operands.extend(ids.lines().map(str::to_owned));
        Ok(match output.status.code() {
            Some(0) if !self.operands.is_empty() => None,
            Some(0) => Some(Exit::Done),
            Some(code) => Some(Exit::Theirs(u8::try_from(code).unwrap_or(2))),
            None => Some(Exit::Interrupted),
        })
    }
}
