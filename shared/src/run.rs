//! The engine that runs jobs: every tool that makes Codex do something plans jobs and hands them
//! to it.
//!
//! A **job** is one turn of one session: a plan ([`Job`]) that says what to send where. A **run** is a
//! folder of jobs and of what became of them ([`folder`]). An **attempt** is one Codex process for a
//! job. What happened is a sequence of events ([`Event`]), and the journal is where they are kept
//! ([`journal`]).
//!
//! **Promises.** No prompt reaches a model twice unless that was asked for, and none is lost,
//! wherever a runner is killed. Both rest on three things: the order in which a job is started
//! ([`attempt`]), a kernel lock on Codex's standard output that lives as long as Codex does
//! ([`probe`]), and the order in which a job is judged from that output ([`judge`]).
//!
//! | module | what it is for |
//! |---|---|
//! | [`job`] | the plan of one turn |
//! | [`event`] | what happens to jobs and runs |
//! | [`failure`] | the table of failures |
//! | [`folder`] | where a run is kept |
//! | [`journal`] | appending events, and reading them after a crash |
//! | [`binary`] | which Codex, and with which arguments |
//! | [`clock`] | how long something took |
//! | [`probe`] | whether a Codex lives, and signals to it |
//! | [`follow`] | reading Codex's output while it is written |
//! | [`hold`] | one writer a session |
//! | [`check`] | what is looked at before a start |
//! | [`attempt`] | the order of a start |
//! | [`judge`] | what became of an attempt |
//! | [`recorded`] | what Codex wrote of an attempt |
//! | [`tasks`] | the jobs of a run and how far each is |
//! | [`plan`] | making a run of jobs |
//! | [`prune`] | removing what is finished |
//! | [`settings`] | how a run is carried out |
//! | [`source`] | jobs that are chosen one by one, while a run goes on |
//! | [`gate`] | one usage limit for all runs on a home |
//! | [`listen`] | who hears what happens |
//! | [`mod@supervise`] | the loop over all of them, with `starts` and `outcome` |
//!
//! ```
//! use codex_agent_shared::run::{Job, Kind};
//!
//! // A job is refused when it is made, and not when it is run.
//! assert_eq!(Job::new("Mend the tests".to_owned()).settle().unwrap().kind(), Kind::New);
//! let error = Job::new(" ".to_owned()).settle().unwrap_err();
//! assert_eq!(error.message(), "the prompt is empty");
//! ```

pub mod attempt;
pub mod binary;
pub mod check;
pub mod clock;
pub mod event;
pub mod failure;
pub mod folder;
pub mod follow;
pub mod gate;
pub mod hold;
pub mod job;
pub mod journal;
pub mod judge;
pub mod listen;
mod outcome;
pub mod plan;
pub mod probe;
pub mod prune;
pub mod recorded;
pub mod running;
pub mod settings;
pub mod source;
mod starts;
pub mod supervise;
pub mod tasks;

pub use event::{Counts, Event, What};
pub use failure::{Class, Failure};
pub use folder::Folder;
pub use job::{Job, Kind, Options, Sandbox};
pub use journal::Journal;
pub use listen::Listener;
pub use plan::Plan;
pub use running::Patience;
pub use settings::Settings;
pub use supervise::{Ended, supervise};
