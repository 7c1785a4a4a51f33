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
//! # The layers
//!
//! A module imports only from layers above its own; a test holds it to that. Each package from
//! outside is named in one module, serde, `serde_json` and schemars excepted, whose derives stand at the types.
//!
//! | layer | module | its one responsibility | package |
//! |---|---|---|---|
//! | 0 | [`error`] | what can go wrong, said in one line, and its exit code | |
//! | 0 | [`text`] | other people's text made harmless, cut, escaped, matched | unicode-width, strsim |
//! | 1 | [`time`] | points in time, and how people say them | jiff |
//! | 1 | [`ndjson`] | records in and out of a pipe | ndjson-stream, memchr |
//! | 1 | [`store`] | one JSON file that many processes change and a crash cannot spoil | tempfile |
//! | 1 | [`plugin`] | finding and listing `codex-agent-NAME` | which |
//! | 1 | [`child`] | another program, run until it ends, a signal comes or a limit is reached | signal-hook |
//! | 2 | [`config`] | our own `config.toml`: settings, aliases, folders | toml, shlex |
//! | 2 | [`record`] | the session record and its fields | uuid |
//! | 3 | [`query`] | which sessions are asked for, in which order | |
//! | 3 | [`terminal`] | width, colours, lines of a table | rustix |
//! | 4 | [`codex`] | where Codex keeps things and how to read them | walkdir, rusqlite, zstd |
//! | 5 | [`mod@reference`] | one grammar for "which session" | |
//! | 5 | [`group`] | named sets of sessions | |
//! | 5 | [`described`] | descriptions of external tools, read once and kept | |
//! | 6 | [`run`] | running Codex: jobs, their journal, the loop that supervises them | |
//! | 7 | [`queue`] | lists of prompts, and who works through them | |
//! | 7 | [`output`] | how sessions are shown | |
//! | 8 | [`cli`] | one table a tool: parser, help, man page, completions, `main` | lexopt |
//! | 9 | [`schema`] | JSON Schemas of the records; whether a record fits | |

pub mod child;
pub mod cli;
pub mod codex;
pub mod config;
pub mod described;
pub mod error;
pub mod group;
pub mod ndjson;
pub mod output;
pub mod plugin;
pub mod query;
pub mod queue;
pub mod record;
pub mod reference;
pub mod run;
pub mod schema;
pub mod store;
pub mod terminal;
pub mod text;
pub mod time;
