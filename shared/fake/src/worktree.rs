//! `codex exec --worktree`: a git worktree in Codex's home.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::output::OrRefusal;
use crate::store::Store;
use codex_agent_shared::error::reason;
use codex_agent_shared::record::Id;

/// Creates a worktree of the repository of a directory, and returns the same directory in the worktree.
pub(super) fn create(store: &Store, directory: &Path) -> OrRefusal<PathBuf> {
    let root = PathBuf::from(git(directory, &["rev-parse", "--show-toplevel"])?);
    let commit = git(directory, &["rev-parse", "--verify", "HEAD"])?;
    let below = directory.strip_prefix(&root).unwrap_or(Path::new(""));
    if git(directory, &["cat-file", "-e", &format!("HEAD:{}", below.display())]).is_err() {
        return Err(format!("requested base does not contain a safe working directory {}", below.display()));
    }
    let digits = Id::ordered().hex();
    let name = root.file_name().unwrap_or_default();
    let tree = store.home.path().join("worktrees").join(&digits[28..]).join(name);
    git(&root, &["worktree", "add", "--quiet", "--detach", &tree.to_string_lossy(), &commit])?;
    std::fs::canonicalize(tree.join(below)).map_err(|error| reason(&error))
}

fn git(directory: &Path, words: &[&str]) -> OrRefusal<String> {
    let output = Command::new("git").args(words).current_dir(directory).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("git command failed: {}", reason(&error)))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
        false => Err(format!("git command failed: {}", String::from_utf8_lossy(&output.stderr).trim_end())),
    }
}
