//! The line before a run, and the confirmation of a run of many jobs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::commands::flags::Jobs;
use crate::record::job::{Job, Kind, Options};
use crate::show::events::count_jobs;
use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::config::{self, RUNS_CONFIRM_ABOVE};
use codex_agent_shared::error::{Result, status};
use codex_agent_shared::query::{Archived, Filter, Query};
use codex_agent_shared::record::{Field, Id};
use codex_agent_shared::terminal::{ask, can_ask};
use codex_agent_shared::text::path_cell;

/// The jobs that are about to be started.
#[derive(Default)]
pub struct Planned {
    kinds: BTreeSet<&'static str>,
    count: usize,
    directories: BTreeMap<String, usize>,
    /// The sessions whose own directories are used.
    sessions: Vec<Id>,
    sandboxes: BTreeSet<String>,
}

impl Planned {
    /// Adds a job.
    pub fn add(&mut self, job: &Job) {
        self.count += 1;
        self.kinds.insert(match job.kind() {
            Kind::New => "new",
            Kind::Resume | Kind::Fork => "sent",
        });
        match (&job.cwd, job.session) {
            (Some(directory), _) => *self.directories.entry(directory.clone()).or_default() += 1,
            (None, Some(session)) => self.sessions.push(session),
            (None, None) => {}
        }
        self.sandboxes.insert(describe_sandbox(&job.options, job.session.is_some()));
    }

    /// Adds a session that is forked in a directory.
    pub fn add_fork(&mut self, directory: Option<String>, options: &Options) {
        self.count += 1;
        if let Some(directory) = directory {
            *self.directories.entry(directory).or_default() += 1;
        }
        self.sandboxes.insert(describe_sandbox(options, true));
    }

    /// Asks whether to create so many forks. With a prompt, `most` is the number of concurrent jobs.
    pub fn confirm_forks(&self, count: usize, most: Option<usize>) -> Result<bool> {
        let (parents, place) = (count_sessions(self.count), self.describe_directories());
        let prompt = most.map_or(String::new(), |most| {
            format!(", and send a prompt to each, {most} at a time, {}", self.describe_sandboxes())
        });
        confirm(&format!("Create {count} forks of {parents}{place}{prompt}?"), "nothing was forked")
    }

    fn describe_sandboxes(&self) -> String {
        self.sandboxes.iter().map(String::as_str).collect::<Vec<_>>().join(" and ")
    }

    /// Finds the directories of sessions, which need the index. Unknown ones are not counted.
    fn find_directories(&mut self, common: &CommonOptions) {
        let wanted = std::mem::take(&mut self.sessions);
        if wanted.is_empty() {
            return;
        }
        let filter =
            Filter { ids: Some(wanted), archived: Archived::With, subagents: true, ..Filter::default() };
        let query = Query { filter, fields: vec![Field::Id, Field::Cwd], ..Query::default() };
        let mut found = HashMap::new();
        let listed = common.index().and_then(|mut index| {
            index.list(&query, &mut |session| {
                found.insert(session.id, session.cwd.as_deref().map(str::to_owned));
                Ok(())
            })
        });
        // The jobs themselves report what is wrong with the index.
        if listed.is_ok() {
            for directory in found.into_values().flatten() {
                *self.directories.entry(directory).or_default() += 1;
            }
        }
    }

    fn describe_directories(&self) -> String {
        match self.directories.len() {
            0 => String::new(),
            1 => {
                let home = config::home().ok().and_then(|home| home.into_os_string().into_string().ok());
                let only = self.directories.keys().next().map_or("", String::as_str);
                format!(" in {}", path_cell(only, home.as_deref(), 50))
            }
            count => format!(" in {count} directories"),
        }
    }

    /// Prints the line before a run of several jobs. If the run has more jobs than `runs.confirm_above`, and standard
    /// input and error are a terminal, asks whether to start it; returns whether it is started.
    pub fn announce(mut self, common: &CommonOptions, jobs: &Jobs, most: usize) -> Result<bool> {
        let is_asked = must_ask(self.count, jobs)?;
        if self.count < 2 && !is_asked {
            return Ok(true);
        }
        self.find_directories(common);
        let how = format!("{}, {most} at a time, {}", self.describe_directories(), self.describe_sandboxes());
        if !is_asked {
            let count = count_jobs(self.count);
            status(format_args!("{count}{how}; Ctrl-C stops after the running jobs"));
            return Ok(true);
        }
        let kinds: Vec<&str> = self.kinds.iter().copied().collect();
        let what = match kinds[..] {
            ["new"] => format!("Start {}", count_sessions(self.count)),
            ["sent"] => format!("Send a prompt to {}", count_sessions(self.count)),
            _ => format!("Start {}", count_jobs(self.count)),
        };
        confirm(&format!("{what}{how}?"), "nothing was started")
    }
}

/// The sandbox of a job, as far as it is known before its start.
pub fn describe_sandbox(options: &Options, has_session: bool) -> String {
    match (options.find_sandbox_bypass(), options.sandbox) {
        (Some(_), _) => "without a sandbox".to_owned(),
        (None, Some(sandbox)) => format!("sandbox {}", sandbox.word()),
        (None, None) if has_session => "sandbox of the last turn".to_owned(),
        (None, None) => "default sandbox of Codex".to_owned(),
    }
}

/// Whether the user is asked before so many sessions are started.
pub fn must_ask(count: usize, jobs: &Jobs) -> Result<bool> {
    if jobs.yes || count == 0 || !can_ask() {
        return Ok(false);
    }
    let set = config::chosen(&RUNS_CONFIRM_ABOVE, None)?.and_then(|(text, _)| text.to_str()?.parse().ok());
    Ok(count > set.unwrap_or(20))
}

/// Asks a question. Without a confirmation, `harm` is reported, which says that nothing was done.
pub fn confirm(question: &str, harm: &str) -> Result<bool> {
    let is_confirmed = ask(question).map_err(|error| error.hint(harm))?;
    if !is_confirmed {
        status(harm);
    }
    Ok(is_confirmed)
}

/// A number of sessions.
pub fn count_sessions(count: usize) -> String {
    format!("{count} session{}", if count == 1 { "" } else { "s" })
}
