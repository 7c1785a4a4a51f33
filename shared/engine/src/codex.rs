//! Codex itself, asked and ordered: its app-server, and branching a session.

pub mod fork;
pub mod server;
pub mod version;
