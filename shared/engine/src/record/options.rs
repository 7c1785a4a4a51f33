//! The options of a job for Codex.

use serde::{Deserialize, Serialize};

use codex_agent_shared::choice::Choice;
use codex_agent_shared::error::{Error, Result};

/// The sandbox mode, least trust first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// Codex may write nothing.
    ReadOnly,
    /// Codex may write in its working directory.
    WorkspaceWrite,
    /// Codex may write everywhere. Never chosen by default.
    DangerFullAccess,
}

impl Choice for Sandbox {
    const ALL: &'static [(Sandbox, &'static str, &'static str)] = &[
        (Sandbox::ReadOnly, "read-only", "Codex may change no file"),
        (
            Sandbox::WorkspaceWrite,
            "workspace-write",
            "Codex may change files in the directory of the session",
        ),
        (Sandbox::DangerFullAccess, "danger-full-access", "Codex runs without a sandbox"),
    ];
}

/// The options for Codex.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Options {
    /// The model; null means Codex's default.
    pub model: Option<String>,
    /// The sandbox mode. Null means Codex's default for a new session; for a resumed session its last mode,
    /// but at most workspace-write.
    pub sandbox: Option<Sandbox>,
    /// Settings KEY=VALUE for Codex's configuration.
    pub config: Vec<String>,
    /// Whether Codex may run outside a git repository.
    pub skip_git_repo_check: bool,
    /// The absolute path of a JSON Schema of the last message.
    pub output_schema: Option<String>,
    /// Whether Codex runs without approvals and without a sandbox.
    pub bypass: bool,
    /// Whether a new session or a fork begins in a new git worktree, which Codex creates (0.156 and later). A resumed
    /// session stays in its directory.
    pub worktree: bool,
    /// Further arguments for codex exec; each begins with a dash.
    pub args: Vec<String>,
}

/// Refuses a word that cannot be an additional argument for Codex. A word without a dash would be read as the prompt or
/// as a command. With `--remote` the turn runs in another process, which does not have the lock on the output, so that
/// the prompt could be sent twice.
pub fn check_argument(word: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::new(format!("invalid argument '{word}' for Codex: {why}")));
    if word.len() < 2 || !word.starts_with('-') || word == "--" {
        return refuse("expected --FLAG or --FLAG=VALUE");
    }
    let flag = word.split('=').next().unwrap_or(word);
    if ["--remote", "--remote-auth-token-env"].contains(&flag) {
        return refuse("the turn would run in another process, which a run cannot follow")
            .map_err(|error| error.hint("run codex-agent on the machine of the app-server"));
    }
    Ok(())
}

impl Options {
    /// Finds the option that removes the sandbox, in the words of Codex.
    pub fn find_sandbox_bypass(&self) -> Option<&str> {
        if self.bypass {
            return Some("bypass");
        }
        if self.sandbox == Some(Sandbox::DangerFullAccess) {
            return Some(Sandbox::DangerFullAccess.word());
        }
        let removes = |word: &str| {
            let word = word.to_ascii_lowercase();
            // In TOML a letter can be written by its number.
            let is_disguised = word.contains("sandbox") && word.contains('\\');
            word.contains("danger") || word.contains("yolo") || is_disguised
        };
        self.args.iter().chain(&self.config).map(String::as_str).find(|word| removes(word))
    }
}
