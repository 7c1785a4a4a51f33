//! A library for tools of codex-agent, git for Codex sessions: it reads sessions, passes records on, and makes an
//! executable a tool.
//!
//! An executable `codex-agent-NAME` on `PATH` is the tool `codex-agent NAME`; codex-agent-plugins(7) has the rules.
//! The example is a complete tool, a filter. [`cli`] provides its options, help, manual page and completion, and
//! `codex-agent plugin check gone` reports no problem:
//!
//! ```no_run
//! use std::collections::BTreeMap;
//! use std::path::Path;
//! use std::process::ExitCode;
//!
//! use codex_agent_shared::cli::{self, Command, Tool};
//! use codex_agent_shared::error::{Exit, Result, warn};
//! use codex_agent_shared::ndjson::{Output, Records};
//! use codex_agent_shared::reference::reads_stdin;
//! use serde_json::value::{RawValue, to_raw_value};
//!
//! fn main() -> ExitCode {
//!     let tool = Tool::new("codex-agent-gone", "mark sessions whose directory is gone")
//!         .version(env!("CARGO_PKG_VERSION"))
//!         .reads(&["session"])
//!         .writes(["session"])
//!         .pipe(&[])
//!         .command(Command::new(run));
//!     cli::main(tool)
//! }
//!
//! fn run((): ()) -> Result<Exit> {
//!     reads_stdin(&[])?;
//!     let (mut output, mut exit) = (Output::stdout(), Exit::Done);
//!     // Raw values keep every field and every digit of a record.
//!     let mut records = Records::<_, BTreeMap<String, Box<RawValue>>>::new("stdin", std::io::stdin());
//!     while let Some(next) = records.next() {
//!         match next {
//!             Ok(mut record) => {
//!                 let text = |name: &str| serde_json::from_str::<String>(record.value.get(name)?.get()).ok();
//!                 if text("type").as_deref() == Some("session") {
//!                     let is_gone = text("cwd").is_some_and(|cwd| !Path::new(&cwd).is_dir());
//!                     let value = to_raw_value(&is_gone).expect("a boolean is JSON");
//!                     record.value.insert("gone.directory".to_owned(), value);
//!                 }
//!                 output.record(&record.value)?;
//!             }
//!             // The input itself failed.
//!             Err(failure) if failure.is_final => return Err(failure.error),
//!             // After an invalid line the next line is read.
//!             Err(failure) => (warn(&failure.error), exit = Exit::Trouble).1,
//!         }
//!     }
//!     output.flush().map(|()| exit)
//! }
//! ```
//!
//! A tool that lists sessions uses [`codex::index`]; a tool that accepts references to sessions, [`mod@reference`].
//! A tool that runs another tool uses [`dispatcher`].
//!
//! # Stability
//!
//! The documented items follow semantic versioning: before 1.0, a release that breaks an external tool has another
//! minor version. Hidden items are for the tools of this package, and may change in any release, as may everything in
//! `codex-agent-engine` and `codex-agent-fake`. Enums and structs grow: match with `_`, and build with
//! `..Default::default()` or a constructor. The promise for records and the command line does not depend on this crate:
//! VERSIONS in codex-agent-plugins(7).
//!
//! The feature `sqlite`, on by default, reads Codex's database; without it sessions come from the rollout files alone,
//! and nothing in C but zstd is compiled.
//!
//! # The pipe
//!
//! - A record is one JSON object on one line; a tool passes unknown fields through unchanged ([`record`], [`ndjson`]).
//! - Input is operands, or standard input; one function decides this for every tool ([`reference::reads_stdin`]).
//! - Standard output is for data, standard error for people. A closed pipe ends a tool without a message.
//! - An invalid line is reported with its number. A filter skips the line and exits with status 2; a tool that changes
//!   something accepts all of its input or rejects all of it.
//! - Exit codes are a closed set ([`error::Exit`]).
//!
//! # Three crates
//!
//! This crate is for authors of external tools: it reads sessions and records, and makes an executable a tool. It
//! neither runs Codex nor writes to Codex's home. `codex-agent-engine` runs Codex for the tools of this package;
//! `codex-agent-fake` is a Codex without a model, and the only code that writes a database of Codex. Both use this
//! crate, which uses neither of them.
//!
//! # Layers
//!
//! A module imports only from layers above its own, and no files import each other in a circle; a test checks both.
//! Each external package is used in one module. serde, `serde_json` and schemars are exceptions, since their derives
//! are at the types.
//!
//! | layer | module | responsibility | package |
//! |---|---|---|---|
//! | 0 | [`text`] | untrusted text made harmless, cut, escaped, quoted, matched | unicode-width, strsim, shlex |
//! | 0 | [`choice`] | enums with words and meanings for the command line | |
//! | 0 | [`habit`] | words of other programs, and the tools and verbs that do the same | |
//! | 1 | [`error`] | errors in one line, and their exit codes | |
//! | 2 | [`time`] | points in time, and the forms that people type | jiff |
//! | 2 | [`ndjson`] | records from and to a pipe | ndjson-stream, memchr |
//! | 2 | [`store`] | one JSON file that many processes change and that is complete after a crash | tempfile |
//! | 2 | [`exec`] | executables, and the reasons why a file cannot be run | which |
//! | 2 | [`child`] | other programs, until they end, a signal is received or a limit is exceeded | signal-hook |
//! | 3 | [`plugin`] | finding and listing `codex-agent-NAME`; inside it `description`, above `config` | |
//! | 4 | [`config`] | `config.toml`: settings, aliases, hosts, directories | toml |
//! | 4 | [`record`] | the session record and its fields | uuid |
//! | 4 | [`schema`] | JSON Schemas of the records; validation of a record | |
//! | 5 | [`host`] | other machines: how each is reached, lists of them | |
//! | 5 | [`query`] | filters and orders of sessions | |
//! | 5 | [`terminal`] | width, colours, lines of a table | rustix |
//! | 6 | [`codex`] | the files and the database of Codex | walkdir, rusqlite, zstd |
//! | 6 | [`transcript`] | the turns of a session and their items, from its rollouts | |
//! | 7 | [`watch`] | records of running sessions, as they are written | |
//! | 6 | [`group`] | named sets of sessions | |
//! | 7 | [`output`] | the forms in which sessions are printed | |
//! | 7 | [`mod@reference`] | the grammar of references to sessions | |
//! | 8 | [`cli`] | the table of a tool: parser, help, manual page, completions, `main` | lexopt |

#[doc(hidden)]
pub mod child;
pub mod choice;
pub mod cli;
pub mod codex;
#[doc(hidden)]
pub mod config;
pub mod error;
#[doc(hidden)]
pub mod exec;
pub mod group;
#[doc(hidden)]
pub mod habit;
#[doc(hidden)]
pub mod host;
pub mod ndjson;
pub mod output;
#[doc(hidden)]
pub mod plugin;
pub mod query;
pub mod record;
pub mod reference;
#[doc(hidden)]
pub mod schema;
#[doc(hidden)]
pub mod store;
pub mod terminal;
pub mod text;
pub mod time;
pub mod transcript;
#[doc(hidden)]
pub mod watch;

#[doc(inline)]
pub use plugin::dispatcher;
