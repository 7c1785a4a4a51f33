//! Listing sessions.

pub mod archived;
pub mod broken_homes;
pub mod databases;
pub mod foreign_rows;
pub mod homes;
pub mod list;
pub mod real;
pub mod stores;
pub mod titles;
