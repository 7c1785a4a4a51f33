//! The engine that runs jobs: every tool that makes Codex do something plans jobs and hands them
//! to it.
//!
//! A **job** is one turn of one session: a plan ([`Job`]) that says what to send where. A **run** is a
//! directory of jobs and of what became of them ([`disk::run_dir`]). An **attempt** is one Codex process for a
//! job. What happened is a sequence of events ([`Event`]), and the journal is where they are kept
//! ([`disk::journal`]).
//!
//! **Promises.** No prompt reaches a model twice unless that was asked for, and none is lost,
//! wherever a runner is killed. Both rest on three things: the order in which a job is started
//! ([`process::spawn`]), a kernel lock on Codex's standard output that lives as long as Codex does
//! ([`liveness`]), and the order in which a job is judged from that output ([`process::judge`]).
//!
//! A module imports only from floors above its own.
//!
//! | floor | module | what it is for |
//! |---|---|---|
//! | 0 | [`codex`] | Codex itself: its app-server, its version, branching a session |
//! | 0 | [`record`] | the shapes of jobs, events, failures and settings |
//! | 1 | [`liveness`] | whether a Codex is running, and signals to it |
//! | 1 | [`clock`] | how long something took |
//! | 2 | [`disk`] | where a run is kept: directory, journal, replay, removal |
//! | 3 | [`process`] | one attempt: checks, start, output, judgement |
//! | 4 | [`run`] | the loop over all jobs of a run |
//! | 5 | [`queue`] | lists of prompts, and who works through them |
//! | 5 | [`show`] | how a run is shown |
//! | 6 | [`commands`] | flags and verbs that several tools have |
//!
//! ```
//! use codex_agent_engine::record::job::{Job, Kind};
//!
//! // A job is refused when it is made, and not when it is run.
//! assert_eq!(Job::new("Mend the tests".to_owned()).validate().unwrap().kind(), Kind::New);
//! let error = Job::new(" ".to_owned()).validate().unwrap_err();
//! assert_eq!(error.message(), "the prompt is empty");
//! ```

pub mod clock;
pub mod codex;
pub mod commands;
pub mod disk;
pub mod liveness;
pub mod process;
pub mod queue;
pub mod record;
pub mod run;
pub mod show;

pub use disk::journal::Journal;
pub use disk::run_dir::RunDir;
pub use record::event::{Counts, Event, RunEvent};
pub use record::failure::{Class, Failure};
pub use record::job::{Job, Kind, Options, Sandbox};
pub use record::settings::Patience;
pub use record::settings::Settings;
pub use run::engine::{RunEnd, supervise};
pub use run::observer::Observer;
pub use run::plan::Plan;
