//! Access to Codex: its app-server, its version, the archive, worktrees, and forks of a session.

pub mod archive;
pub mod fork;
pub mod server;
pub mod version;
pub mod worktree;
