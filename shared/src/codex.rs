//! The files of Codex's home and their contents. This module never creates, changes or removes a file of Codex's
//! home, except the `-shm` and the empty `-wal` that SQLite makes beside a database that it reads.
//!
//! A module imports only from layers above its own.
//!
//! | layer | module | contents |
//! |---|---|---|
//! | 0 | [`home`] | the paths of the home and the database |
//! | 0 | [`names`] | `session_index.jsonl`, the names of sessions |
//! | 0 | [`rollout`] | a rollout file: its head, its tail, its lines |
//! | 0 | [`holder`] | the processes that have sessions open |
//! | 0 | [`version`] | version numbers of Codex |
//! | 1 | [`files`] | the names of all rollout files |
//! | 2 | [`refusal`] | sessions that Codex refuses to resume |
//! | 2 | [`state`] | the SQLite database (feature `sqlite`) |
//! | 2 | `reader` | rollouts as session records |
//! | 3 | [`index`] | the sessions of a home, from all of these |
//! | 4 | [`limits`] | usage limits as Codex last saw them |
//! | 4 | [`drift`] | disagreements between database and files |
//!
//! ```
//! use codex_agent_shared::codex::home::Home;
//! use codex_agent_shared::codex::index::{Index, Sources};
//! use codex_agent_shared::query::Query;
//!
//! let directory = tempfile::tempdir().unwrap();
//! let mut index = Index::open(Home::find(Some(directory.path()))?, Sources::default())?;
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
pub mod limits;
#[doc(hidden)]
pub mod names;
pub(crate) mod reader;
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
pub use reader::last_directory;
