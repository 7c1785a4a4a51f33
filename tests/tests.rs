//! Every test of the executables. A file per tool, or per promise that several tools make.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::disallowed_methods
)]

/// The world that a test runs in.
mod world;

/// What the tools print, held to its schema.
mod held;

/// Every recorded home lists exactly its sessions, by the database and by the files.
mod homes;

/// The listing: filters, order, shapes, wrong words.
mod ls;

/// Listings in homes that have drifted, held to an oracle.
mod drift;

/// What a session is called: first words in every form, goals, what Codex wrote in the user's name.
mod titles;

/// Sessions that Codex refuses to resume.
mod refused;

/// Finding by reference and by words.
mod find;

/// The reference '@': which session it is, and what is near where it is none.
mod newest;

/// What an older release left is continued, each prompt once.
mod old_state;

/// Groups: verbs, pipes, races, crashes.
mod group;

/// What is handed to people who do not build it: a package of Debian's, an archive.
mod package;

/// Documents for a user: shown, installed, taken away.
mod setup;

/// A world whose Codex has no model.
mod faked;

/// Queues: verbs, order, edits while one is run, and the file.
mod queue;

/// Queues whose file, run or runner is not as it should be.
mod queue_faults;

/// Queues at their edges: ids that are not unique, readers that do not read, edits at a bad moment.
mod queue_edges;

/// Queues whose run or file is taken away.
mod queue_lost;

/// Directories of our own: whose they are, what is written in them, what they do not take.
mod place;

/// Queues that are gone on with, begun anew, or left.
mod queue_again;

/// Which version of Codex runs a job.
mod run_versions;

/// What Codex has recorded of a job, and what follows.
mod run_recorded;

/// Jobs that are refused before anything is sent, or that Codex refuses.
mod run_refused;

/// Usage limits, retries, patience, and what Codex is told.
mod limits;

/// Aliases in the dispatcher.
mod alias;

/// The tool that tells the settings.
mod config;

/// What config.toml says, and what is wrong with it.
mod settings;

/// The engine that runs jobs, and its tool.
mod run_engine;

/// How runs end that are not left alone.
mod run_ends;

/// What must not hurt a run.
mod run_faults;

/// What a later look at runs found.
mod run_again;

/// The shape of the house: layers, packages, the table of tools.
mod layers;

/// The Codex without a model, held to what the real one was seen to do.
mod fake;

/// The model service that the real Codex talks to.
mod model;
mod name;

/// What the real Codex writes.
mod real;

/// Following sessions while Codex writes them.
mod watch;

/// The real Codex in runs.
mod real_runs;
mod real_times;

/// The real Codex behind a queue.
mod real_queue;

/// What a terminal shows.
mod terminal;

/// Documents are what the executables say of themselves.
mod documents;

/// The lists in pages and help, held to what the tools accept and read.
mod pages;

/// Pressing TAB in real shells.
mod shells;

/// What must not hurt: homes, databases and rollouts that are odd, broken or changing.
mod faults;

/// Whether a session is archived, by its file and by its row.
mod archived;

/// Databases in every state that people have.
mod databases;

/// Rows that Codex on another system has written.
mod foreign_rows;

/// Stores of rollouts of other shapes: shared, linked, outside, broken, misleading.
mod store_shapes;

/// What must not hurt: groups, pipes and words.
mod store_faults;

/// What must not hurt: other people's text.
mod text_faults;

/// Opening a session in Codex.
mod resume;

/// The library as the author of an external tool uses it.
mod library;

/// External tools and their descriptions.
mod plugin;

/// What must not hurt that tool.
mod plugin_faults;

/// The rules for external tools, which good tools keep.
mod plugin_check;

/// A bad tool for each of these rules.
mod plugin_bad;

/// The dispatcher, and tools of strangers.
mod dispatch;

/// JSON Schemas: that they are those of the types, and what the tool says of them.
mod schema;

/// Records of released versions, which are read for ever.
mod golden;

/// Status lines, warnings, and the flag that suppresses the first.
mod status_lines;

/// The program that holds a new Codex to what is known of the last.
mod facts;
