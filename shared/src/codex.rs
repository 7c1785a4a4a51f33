//! Where Codex keeps things and how to read them. Nothing here creates, changes or removes a file of Codex's
//! home, except the `-shm` and the empty `-wal` that SQLite makes beside a database that it reads.
//!
//! A module imports only from floors above its own.
//!
//! | floor | module | what it reads |
//! |---|---|---|
//! | 0 | [`home`] | where the home and the database are |
//! | 0 | [`names`] | `session_index.jsonl`, the names that users gave |
//! | 0 | [`rollout`] | one rollout file: its head, its tail, its lines |
//! | 0 | [`holder`] | which process holds a session now |
//! | 0 | [`version`] | what the number of a Codex version says |
//! | 1 | [`files`] | the names of all rollout files |
//! | 2 | [`refusal`] | sessions that Codex refuses to resume |
//! | 2 | [`state`] | the SQLite database (feature `sqlite`) |
//! | 2 | `reader` | rollouts as session records |
//! | 3 | [`index`] | all of them together: the answer to "which sessions are there" |
//! | 3 | [`watch`] | what sessions do while they do it |
//! | 4 | [`drift`] | where database and files disagree |
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

#[doc(hidden)]
pub mod drift;
#[doc(hidden)]
pub mod files;
#[doc(hidden)]
pub mod holder;
pub mod home;
pub mod index;
#[doc(hidden)]
pub mod names;
mod reader;
#[doc(hidden)]
pub mod refusal;
#[doc(hidden)]
pub mod rollout;
#[cfg(feature = "sqlite")]
#[doc(hidden)]
pub mod state;
#[doc(hidden)]
pub mod version;
#[doc(hidden)]
pub mod watch;

#[doc(hidden)]
pub use reader::last_directory;
