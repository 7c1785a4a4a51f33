//! A library for tools of codex-agent, git for Codex sessions: read sessions, pass records on, be a tool.
//!
//! An executable `codex-agent-NAME` on `PATH` is the tool `codex-agent NAME`; codex-agent-plugins(7) has its rules.
//! This is a whole tool, a filter. Its options, its help, its manual page and its completion come from [`cli`], and
//! `codex-agent plugin check gone` finds nothing to object to:
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
//!             // A bad line costs itself alone.
//!             Err(failure) => (warn(&failure.error), exit = Exit::Trouble).1,
//!         }
//!     }
//!     output.flush().map(|()| exit)
//! }
//! ```
//!
//! A tool that lists sessions by itself asks [`codex::index`]; one that accepts references, [`mod@reference`]. To run
//! another tool, see [`dispatcher`].
//!
//! # Stability
//!
//! What this documentation shows follows semantic versioning: before 1.0, a release that breaks an external tool has
//! another second number. Items that it does not show are for the tools of the package alone, and may change in any
//! release; so may everything in `codex-agent-engine` and `codex-agent-fake`. Enums and structs grow: match with `_`,
//! and build with `..Default::default()` or a constructor. The records and the command line have a promise of their
//! own, which does not depend on this crate: VERSIONS in codex-agent-plugins(7).
//!
//! The feature `sqlite`, on by default, reads Codex's database; without it sessions come from the rollout files alone,
//! and nothing in C but zstd is compiled.
//!
//! # The pipe
//!
//! - A record is one JSON object on one line; a field that a stage does not know passes through it
//!   unchanged ([`record`], [`ndjson`]).
//! - Input is operands, else standard input; one function decides it for every tool
//!   ([`reference::reads_stdin`]).
//! - Standard output is data, standard error is for people. A closed pipe ends a reader quietly.
//! - A bad line is reported with its number. A filter skips it and exits with status 2; a tool that
//!   changes something takes all of its input or none.
//! - Exit codes are a closed set ([`error::Exit`]).
//!
//! # Three crates
//!
//! This crate reads sessions, speaks records and makes an executable a tool: it is the one that authors of
//! external tools build on. It neither runs Codex nor writes into Codex's home. `codex-agent-engine` runs Codex
//! for the tools of the package; `codex-agent-fake` is a Codex without a model, and the only code that writes a
//! database of Codex. Both use this crate, and it uses neither of them.
//!
//! # Floors
//!
//! A module imports only from floors above its own, and files import each other in no circle; a test holds the
//! crate to both. Each package from outside is named in one module, serde, `serde_json` and schemars excepted,
//! whose derives stand at the types.
//!
//! | floor | module | its one responsibility | package |
//! |---|---|---|---|
//! | 0 | [`text`] | other people's text made harmless, cut, escaped, matched | unicode-width, strsim |
//! | 0 | [`choice`] | enums whose values have words and meanings | |
//! | 1 | [`error`] | what can go wrong, in one line, and its exit code | |
//! | 2 | [`time`] | points in time, and how people write them | jiff |
//! | 2 | [`ndjson`] | records in and out of a pipe | ndjson-stream, memchr |
//! | 2 | [`store`] | one JSON file that many processes change and a crash cannot spoil | tempfile |
//! | 2 | [`exec`] | finding executables, and why a file cannot be run | which |
//! | 2 | [`child`] | another program, run until it ends, a signal comes or a limit is reached | signal-hook |
//! | 3 | [`plugin`] | finding and listing `codex-agent-NAME`; inside it `description`, above `config` | |
//! | 4 | [`config`] | our own `config.toml`: settings, aliases, directories | toml, shlex |
//! | 4 | [`record`] | the session record and its fields | uuid |
//! | 4 | [`schema`] | JSON Schemas of the records; whether a record fits | |
//! | 5 | [`query`] | which sessions are asked for, in which order | |
//! | 5 | [`terminal`] | width, colours, lines of a table | rustix |
//! | 6 | [`codex`] | where Codex keeps things and how to read them | walkdir, rusqlite, zstd |
//! | 6 | [`group`] | named sets of sessions | |
//! | 6 | [`output`] | how sessions are shown | |
//! | 7 | [`mod@reference`] | one grammar for "which session" | |
//! | 8 | [`cli`] | one table a tool: parser, help, man page, completions, `main` | lexopt |

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

#[doc(inline)]
pub use plugin::dispatcher;
