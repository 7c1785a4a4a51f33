//! Git worktrees that Codex creates: `codex exec --worktree`, for a new session or a fork.
//!
//! With Codex 0.171 a worktree is `worktrees/XXXX/NAME` in Codex's home, where NAME is the directory of the repository and
//! XXXX four hex digits. Its HEAD is detached at the commit of the directory in which Codex was started; uncommitted
//! changes are not in it. The working directory of the session is the worktree, or the same subdirectory of it. Codex
//! refuses the option for a session that it resumes, outside of git, in a repository without a commit, and in a
//! subdirectory that is not in the commit; nothing is sent then. Archiving or deleting a session keeps its worktree.

use std::path::Path;

use codex_agent_shared::codex::home::Home;
use codex_agent_shared::codex::version::is_before;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::query::root_of;

/// The first version with the option. 0.154 and 0.155 refuse it unless a feature is on.
const SINCE: (u32, u32) = (0, 156);

/// Refuses a Codex without worktrees.
pub fn check_version(version: &str) -> Result<()> {
    match is_before(version, SINCE) {
        true => Err(Error::new(format!("Codex {version} cannot create worktrees"))
            .hint("Codex 0.156 is the first version that can; --codex names another Codex")),
        false => Ok(()),
    }
}

/// Refuses a directory that is in no git repository.
pub fn check_repository(directory: &Path) -> Result<()> {
    match root_of(directory).is_some() {
        true => Ok(()),
        false => Err(Error::new(format!(
            "cannot create a worktree for '{}': the directory is in no git repository",
            directory.display()
        ))
        .hint("without --worktree Codex works in the directory itself")),
    }
}

/// Whether a directory is, or was, in a worktree of Codex.
pub fn is_in_worktree(home: &Home, directory: &Path) -> bool {
    directory.starts_with(home.path().join("worktrees"))
}
