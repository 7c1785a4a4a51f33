//! External tools: tables that begin with the usual values, and the version and pipe arguments that a tool
//! adds to its table.

use std::process::ExitCode;
use std::sync::OnceLock;

use super::{Command, Completes, Tool, Verb, main};
use crate::error::{Error, Exit, Result};

impl Tool {
    /// A tool of which nothing is said but its name, what it is for, and its commands. What else there
    /// is to say goes before it: `Tool { reads: &["session"], ..Tool::new(...) }`.
    pub const fn new(
        name: &'static str,
        about: &'static str,
        commands: &'static [&'static dyn Verb],
    ) -> Tool {
        Tool {
            name,
            about,
            description: &[],
            commands,
            exit_status: &[(0, "Done."), (1, "Nothing was found."), (2, "Bad usage, or trouble.")],
            environment: &[],
            files: &[],
            examples: &[],
            see_also: &["codex-agent(1)", "codex-agent(7)"],
            reads: &[],
            writes: &[],
            epilogue: "",
            completions: None,
        }
    }
}

impl<A> Command<A> {
    /// The only command of a tool, with no flags and no operands.
    pub const fn new(about: &'static str, run: fn(A) -> Result<Exit>) -> Command<A> {
        Command {
            name: "",
            aliases: &[],
            about,
            operands: "",
            completes: &[Completes::Nothing],
            details: &[],
            sections: &[],
            greedy: false,
            operand: |_, word| Err(Error::usage(format!("unexpected operand '{}'", word.to_string_lossy()))),
            run,
        }
    }
}

/// What a tool of another package says of itself beyond its table.
#[derive(Clone, Copy, Debug)]
pub struct ToolInfo {
    /// Its version: `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// The arguments with which it reads records from standard input and writes them.
    pub pipe: Option<&'static [&'static str]>,
}

static OWN: OnceLock<ToolInfo> = OnceLock::new();

/// What the tool says; this package's version, where it is of this package.
pub(super) fn external() -> ToolInfo {
    OWN.get().copied().unwrap_or(ToolInfo { version: env!("CARGO_PKG_VERSION"), pipe: None })
}

/// The name and version in the head of a manual page: those of an external tool, else of this package.
pub(super) fn edition(tool: &str) -> String {
    match OWN.get() {
        Some(external) => format!("{tool} {}", external.version),
        None => format!("codex-agent {}", env!("CARGO_PKG_VERSION")),
    }
}

/// As [`main`], for a tool of another package.
pub fn main_of(tool: &'static Tool, external: ToolInfo) -> ExitCode {
    // The first call wins, and `main` is called once.
    let _ = OWN.set(external);
    main(tool)
}
