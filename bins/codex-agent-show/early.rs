//! Writing to a pipe early: a reader such as `head` or a preview has the first screen at once.

use codex_agent_shared::error::Result;
use codex_agent_shared::ndjson::{Output, has_written};
use codex_agent_shared::terminal::is_terminal;

/// The size of what is written first, and of each further write.
const FIRST: usize = 4 << 10;
const FURTHER: usize = 64 << 10;

/// Writes the output of a pipe as soon as there is enough of it.
pub(super) struct Early {
    size: usize,
}

impl Early {
    pub(super) fn new() -> Early {
        Early { size: FIRST }
    }

    /// Writes what there is, if it is enough. On a terminal the output itself decides, which may start a pager; the error of
    /// a pager that the user has left ends the reading.
    pub(super) fn write(&mut self, output: &mut Output) -> Result<()> {
        if is_terminal() && has_written() && output.buffered() == 0 {
            return output.flush_checked();
        }
        if is_terminal() || output.buffered() < self.size {
            return Ok(());
        }
        self.size = FURTHER;
        output.flush()
    }
}
