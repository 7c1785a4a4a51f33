//! The library under codex-agent: git for Codex sessions.
//!
//! # The pipe
//!
//! - A record is one JSON object on one line; a field that a stage does not know passes through it
//!   unchanged ([`record`], [`ndjson`]).
//! - Input is operands, else standard input; one function decides it for every tool
//!   ([`reference::from_stdin`]).
//! - Standard output is data, standard error is for people. A closed pipe ends a reader quietly.
//! - A bad line is reported with its number. A filter passes over it and ends with 2; a tool that
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

pub mod child;
pub mod choice;
pub mod cli;
pub mod codex;
pub mod config;
pub mod error;
pub mod exec;
pub mod group;
pub mod ndjson;
pub mod output;
pub mod plugin;
pub mod query;
pub mod record;
pub mod reference;
pub mod schema;
pub mod store;
pub mod terminal;
pub mod text;
pub mod time;
