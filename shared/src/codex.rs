//! Where Codex keeps things and how to read them. Nothing here ever creates, changes or removes
//! anything in Codex's home; what must change there, Codex does. Only [`fake`] does: it is a Codex.
//!
//! | module | what it reads |
//! |---|---|
//! | [`home`] | where the home and the database are |
//! | [`rollout`] | one rollout file: its head, its tail |
//! | [`names`] | `session_index.jsonl`, the names that users gave |
//! | [`holder`] | which process holds a session now |
//! | [`state`] | the SQLite database (feature `sqlite`) |
//! | [`files`] | the names of all rollout files |
//! | [`drift`] | where database and files disagree |
//! | [`sample`] | the sample home, and a place to try things in |
//! | [`version`] | which version a Codex is, and what it may be trusted with |
//! | [`server`] | the app-server: questions and orders to Codex itself |
//! | [`fork`] | branching a session, whole or before a message |
//! | [`watch`] | what sessions do while they do it |
//! | [`fake`] | a Codex without a model, for the demo and for tests |
//! | [`index`] | all of them together: the answer to "which sessions are there" |
//!
//! ```
//! use codex_agent_shared::codex::home::Home;
//! use codex_agent_shared::codex::index::{Index, Sources};
//! use codex_agent_shared::query::Query;
//!
//! let folder = tempfile::tempdir().unwrap();
//! let mut index = Index::open(Home::find(Some(folder.path()))?, Sources::default())?;
//! let mut count = 0;
//! index.list(&Query::default(), &mut |_session| {
//!     count += 1;
//!     Ok(())
//! })?;
//! assert_eq!(count, 0, "an empty home has no sessions");
//! # Ok::<(), codex_agent_shared::error::Error>(())
//! ```

pub mod drift;
pub mod fake;
pub mod files;
pub mod fork;
pub mod holder;
pub mod home;
pub mod index;
pub mod names;
mod reader;
pub mod refusal;
pub mod rollout;
pub mod sample;
pub mod server;
#[cfg(feature = "sqlite")]
pub mod state;
pub mod version;
pub mod watch;

pub use reader::last_directory;
