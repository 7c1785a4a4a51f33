//! Access to Codex: its app-server, its version, and forks of a session.

pub mod fork;
pub mod server;
pub mod version;
