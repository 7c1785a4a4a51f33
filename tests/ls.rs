//! Listing sessions.

pub mod archived;
pub mod broken_homes;
pub mod databases;
pub mod foreign_rows;
pub mod homes;
pub mod list;
pub mod real;
pub mod status;
pub mod stores;
pub mod titles;

/// The fields that the database and the rollout of a session must agree on.
pub const IN_BOTH_SOURCES: [&str; 9] =
    ["name", "title", "first_user_message", "cwd", "source", "git", "forked_from", "history", "status"];
