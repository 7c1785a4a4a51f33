//! Every test of the executables. A file per tool, or per promise that several tools make.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::disallowed_methods
)]

mod all_tools;
mod archive;
mod config;
mod demo;
mod dispatch;
mod documents;
mod drift;
mod facts;
mod fake;
mod find;
mod follow;
mod fork;
mod golden;
mod grep;
mod group;
mod hosts;
mod layers;
mod library;
mod ls;
mod machines;
mod name;
mod old_state;
mod package;
mod pages;
mod pick;
mod plugin;
mod queue;
mod resume;
mod runs;
mod schema;
mod setup;
mod shells;
mod show;
mod stats;
mod watch;
mod world;

// The files of tests/facts are compiled into the program too, where the model is at the root.
use world::model;
