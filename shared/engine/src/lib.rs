//! The engine that runs jobs: every tool that runs Codex plans jobs and passes them to this crate.
//!
//! A **job** is a turn of a session: a plan ([`Job`]) with the prompt and the session. A **run** is a directory of jobs
//! and their outcomes ([`disk::run_dir`]). An **attempt** is a Codex process for a job. An **event** ([`Event`]) records a
//! change of a job or run, and the journal keeps all events of a run ([`disk::journal`]).
//!
//! **Promises.** No prompt reaches a model twice unless the user asked for that, and none is lost, wherever a runner is
//! killed. Both depend on the order in which a job is started ([`process::spawn`]), on a kernel lock on the standard
//! output of Codex that lasts as long as Codex runs ([`liveness`]), and on the order in which a job is judged from that
//! output ([`process::judge`]).
//!
//! A module imports only from layers above its own.
//!
//! | layer | module | purpose |
//! |---|---|---|
//! | 0 | [`codex`] | Codex itself: its app-server, its version, the archive, forks of a session |
//! | 0 | [`record`] | the shapes of jobs, events, failures and settings |
//! | 1 | [`liveness`] | whether a Codex is running, and signals to it |
//! | 1 | [`clock`] | durations |
//! | 2 | [`disk`] | the files of a run: directory, journal, replay, removal |
//! | 3 | [`process`] | one attempt: checks, start, output, judgement |
//! | 4 | [`run`] | the loop over all jobs of a run |
//! | 5 | [`queue`] | queues of prompts and their runners |
//! | 5 | [`show`] | printing of runs |
//! | 6 | [`commands`] | flags and verbs that several tools share |
//!
//! ```
//! use codex_agent_engine::record::job::{Job, Kind};
//!
//! // An invalid job is refused when it is created, and not when it is run.
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
pub use record::settings::{Patience, Settings};
pub use run::engine::{RunEnd, supervise};
pub use run::observer::Observer;
pub use run::plan::Plan;
