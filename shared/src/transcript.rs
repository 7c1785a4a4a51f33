//! The transcript of a session: its turns, and what was said and done in them.
//!
//! Codex writes each message two or three times, and a call of a tool in one of several forms. A [`Reader`] returns each
//! message, call and output once, as an [`Item`] of its turn, and each [`Turn`] after its items, from the files of every
//! version since 2025: `legacy` and `paginated` sessions, compressed ones, forks and the sessions that they continue,
//! subagents, reverted and migrated sessions. Files are read line by line in bounded memory. A line that is damaged or of
//! an unknown type is counted, and the next one is read.
//!
//! ```no_run
//! use codex_agent_shared::record::Id;
//! use codex_agent_shared::transcript::{Options, Reader, Record, Role};
//!
//! let session = Id::parse("01a2220e-5645-7be3-a60f-3d5808af09f0").unwrap();
//! let home = std::path::Path::new("/home/me/.codex");
//! for record in Reader::open(home, session, Options::default())? {
//!     match record? {
//!         Record::Item(item) if item.role == Role::User => println!("> {}", item.text.unwrap_or_default()),
//!         Record::Turn(turn) => println!("{:?}, {:?}", turn.status, turn.tokens),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A module imports only from layers above its own.
//!
//! | layer | module | contents |
//! |---|---|---|
//! | 0 | `event` | the records of events of a session |
//! | 0 | `record` | the records `item` and `turn` |
//! | 0 | `head` | what the beginning of a line shows |
//! | 0 | `turn_set` | turns by their serial numbers |
//! | 0 | [`order`] | work on several threads, whose results are in order |
//! | 1 | [`stats`] | sums over turns |
//! | 1 | `parse` | commands, patches, outputs |
//! | 1 | `prose` | items in words |
//! | 1 | `tokens` | the tokens of each answer, once |
//! | 2 | `state` | the turns and calls that are open, the file |
//! | 3 | `machine` | the order of records |
//! | 3 | `chain` | the files of a transcript |
//! | 4 | `events`, `items` | lines for people |
//! | 4 | `tail` | the last turns of a file, from its end |
//! | 4 | `rollback` | whether a file has rollbacks |
//! | 5 | `responses` | lines of the model |
//! | 5 | `before` | the records that were passed on before |
//! | 6 | `reader` | the records of a transcript |
//! | 7 | `figures` | the fields of a session that its transcript has |
//! | 7 | [`search`] | the items that match a pattern |
//! | 7 | `live` | following a transcript |

mod before;
mod chain;
mod event;
mod events;
mod figures;
mod head;
mod items;
mod live;
mod machine;
pub mod order;
mod parse;
#[doc(hidden)]
pub mod prose;
mod reader;
mod record;
mod responses;
mod rollback;
pub mod search;
mod state;
pub mod stats;
mod tail;
mod tokens;
mod turn_set;

pub use chain::Problem;
pub use event::{SessionEvent, SessionEventKind};
pub use figures::Figures;
#[doc(hidden)]
pub use live::Beginning;
pub(crate) use live::key;
pub use reader::{Options, Position, Reader, raw_lines};
pub use record::{
    AgentAction, Answer, By, Change, ChangeKind, Detail, Item, Record, ReviewAction, Role, Tokens, Turn,
    TurnError, TurnStatus,
};
pub use state::Summary;

#[cfg(test)]
mod changes;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod great;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod traps;
