//! The line before a run, and the confirmation of a run of many jobs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use crate::codex::worktree::check_repository;
use crate::commands::flags::Jobs;
use crate::process::preflight::last_sandbox;
use crate::record::job::{Job, Kind, Options, Sandbox};
use crate::record::settings::HostSettings;
use crate::show::events::count_jobs;
use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::config::{self, RUNS_CONFIRM_ABOVE};
use codex_agent_shared::error::{Result, status};
use codex_agent_shared::query::{Archived, Filter, Query};
use codex_agent_shared::record::{Field, Id};
use codex_agent_shared::terminal::{ask, can_ask};
use codex_agent_shared::text::{counted, path_cell};

/// The jobs that are about to be started.
#[derive(Default)]
pub struct Planned {
    kinds: BTreeSet<&'static str>,
    count: usize,
    directories: BTreeMap<String, Place>,
    /// The sessions whose own directories are used, each with its sandbox if it is not that of the last turn.
    sessions: Vec<(Id, Option<Writes>)>,
    sandboxes: BTreeSet<String>,
    /// The hosts that carry out the jobs.
    hosts: BTreeSet<String>,
    /// Whether some of the jobs are carried out here.
    has_own: bool,
    /// Whether hosts carry out the jobs that name none.
    takes_own: bool,
}

/// Whether a job may change files in its directory.
type Writes = bool;

/// The jobs that work in one directory.
#[derive(Default)]
struct Place {
    count: usize,
    /// The jobs that may change files there.
    writers: usize,
    /// Whether new sessions are among these.
    has_new: bool,
}

impl Planned {
    /// Adds a job.
    pub fn add(&mut self, job: &Job) {
        self.count += 1;
        self.hosts.extend(job.host.clone());
        self.has_own |= job.host.is_none();
        self.kinds.insert(match job.kind() {
            Kind::New => "new",
            Kind::Resume | Kind::Fork => "sent",
        });
        let begins_worktree = job.options.worktree && job.kind() != Kind::Resume;
        let writes = writes(&job.options).map(|writes| writes && !begins_worktree);
        match (&job.cwd, job.session) {
            (Some(directory), _) => {
                let place = self.directories.entry(directory.clone()).or_default();
                place.count += 1;
                // Codex's default depends on the directory, and may be to write.
                place.writers += usize::from(writes.unwrap_or(!begins_worktree));
                place.has_new |= job.kind() == Kind::New;
            }
            (None, Some(session)) => self.sessions.push((session, writes)),
            (None, None) => {}
        }
        self.sandboxes.insert(describe_sandbox(&job.options, job.session.is_some()));
    }

    /// Adds a session that is forked in a directory.
    pub fn add_fork(&mut self, directory: Option<String>, options: &Options) {
        self.count += 1;
        if let Some(directory) = directory {
            self.directories.entry(directory).or_default().count += 1;
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

    /// Adds the hosts of the run.
    pub fn add_hosts(&mut self, hosts: &HostSettings) {
        if hosts.take_unassigned {
            self.takes_own = true;
            self.hosts.extend(hosts.all.iter().map(|slots| slots.host.name.clone()));
        }
    }

    /// The names of the hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(String::as_str)
    }

    fn describe_hosts(&self) -> String {
        let names: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
        let is_mixed = self.has_own && !self.takes_own && !names.is_empty();
        let names = names.into_iter().chain(is_mixed.then_some("this machine")).collect::<Vec<_>>();
        match &names[..] {
            [] => String::new(),
            [first, .., last] if names.len() > 4 => {
                format!(" on {} hosts, {first}, ..., {last}", names.len())
            }
            [rest @ .., last] if !rest.is_empty() => format!(" on {} and {last}", rest.join(", ")),
            [only, ..] => format!(" on {only}"),
        }
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
        // The filter expects the ids in order.
        let ids: BTreeSet<Id> = wanted.iter().map(|(id, _)| *id).collect();
        let ids = Some(ids.into_iter().collect());
        let filter = Filter { ids, archived: Archived::With, subagents: true, ..Filter::default() };
        let query =
            Query { filter, fields: vec![Field::Id, Field::Cwd, Field::RolloutPath], ..Query::default() };
        let mut found = HashMap::new();
        let listed = common.index().and_then(|mut index| {
            index.list(&query, &mut |session| {
                let text = |text: &Option<Cow<'_, str>>| text.as_deref().map(str::to_owned);
                found.insert(session.id, (text(&session.cwd), text(&session.rollout_path)));
                Ok(())
            })
        });
        // The jobs themselves report what is wrong with the index.
        if listed.is_err() {
            return;
        }
        for (id, writes) in wanted {
            let Some((Some(directory), rollout)) = found.get(&Some(id)) else { continue };
            let place = self.directories.entry(directory.clone()).or_default();
            place.count += 1;
            let wrote =
                || rollout.as_ref().is_some_and(|path| last_sandbox(Path::new(path)) > Sandbox::ReadOnly);
            place.writers += usize::from(writes.unwrap_or_else(wrote));
        }
    }

    /// The directories in which several of the jobs may change files at the same time, in a line; `None` if there is no
    /// such directory. `most` jobs run at a time, and `is_named` is whether the line of the run is printed before.
    fn describe_shared(&self, most: usize, is_named: bool) -> Option<String> {
        let mut shared: Vec<_> = self.directories.iter().filter(|(_, place)| place.writers > 1).collect();
        if most < 2 || shared.is_empty() {
            return None;
        }
        shared.sort_by_key(|(_, place)| std::cmp::Reverse(place.writers));
        let name = |directory: &str| path_cell(directory, home_directory().as_deref(), 50);
        let (first, place) = shared[0];
        // The line of the run names its only directory.
        let first =
            if is_named && self.directories.len() == 1 { "this directory".to_owned() } else { name(first) };
        let mut line = format!("{} of {} share {first}", place.writers, count_jobs(self.count));
        if let Some((second, place)) = shared.get(1) {
            line += &format!(", {} share {}", place.writers, name(second));
        }
        if shared.len() > 2 {
            line += &format!(", and more share {} other directories", shared.len() - 2);
        }
        if shared
            .iter()
            .any(|(directory, place)| place.has_new && check_repository(Path::new(directory)).is_ok())
        {
            line += "; --worktree begins each session in a directory of its own";
        }
        Some(line)
    }

    /// Prints which of the jobs work in one directory at the same time.
    pub fn report_shared(&mut self, common: &CommonOptions, most: usize) {
        self.report_shared_after(common, most, false);
    }

    fn report_shared_after(&mut self, common: &CommonOptions, most: usize, is_named: bool) {
        // The directories of hosts are unknown here.
        if self.count > 1 && most > 1 && self.hosts.is_empty() {
            self.find_directories(common);
            if let Some(line) = self.describe_shared(most, is_named) {
                status(line);
            }
        }
    }

    fn describe_directories(&self) -> String {
        match self.directories.len() {
            0 => String::new(),
            1 => {
                let only = self.directories.keys().next().map_or("", String::as_str);
                format!(" in {}", path_cell(only, home_directory().as_deref(), 50))
            }
            count => format!(" in {count} directories"),
        }
    }

    /// Whether the user is asked before the run.
    pub fn is_asked(&self, jobs: &Jobs) -> Result<bool> {
        must_ask(self.count, jobs)
    }

    /// Prints the line before a run of several jobs. If the run has more jobs than `runs.confirm_above`, and standard
    /// input and error are a terminal, asks whether to start it; returns whether it is started.
    pub fn announce(mut self, common: &CommonOptions, jobs: &Jobs, most: usize) -> Result<bool> {
        let is_asked = self.is_asked(jobs)?;
        if self.count < 2 && !is_asked {
            return Ok(true);
        }
        if self.hosts.is_empty() {
            self.find_directories(common);
        }
        let place = format!("{}{}", self.describe_directories(), self.describe_hosts());
        let how = format!("{place}, {most} at a time, {}", self.describe_sandboxes());
        if !is_asked {
            let count = count_jobs(self.count);
            status(format_args!("{count}{how}; Ctrl-C stops after the running jobs"));
            self.report_shared_after(common, most, true);
            return Ok(true);
        }
        self.report_shared(common, most);
        let kinds: Vec<&str> = self.kinds.iter().copied().collect();
        let what = match kinds[..] {
            ["new"] => format!("Start {}", count_sessions(self.count)),
            ["sent"] => format!("Send a prompt to {}", count_sessions(self.count)),
            _ => format!("Start {}", count_jobs(self.count)),
        };
        confirm(&format!("{what}{how}?"), "nothing was started")
    }
}

fn home_directory() -> Option<String> {
    config::home().ok().and_then(|home| home.into_os_string().into_string().ok())
}

/// Whether a job with these options may change files in its directory; `None` if that depends on the session or on
/// Codex.
fn writes(options: &Options) -> Option<Writes> {
    match (options.find_sandbox_bypass(), options.sandbox) {
        (Some(_), _) => Some(true),
        (None, sandbox) => sandbox.map(|sandbox| sandbox > Sandbox::ReadOnly),
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
    Ok(!jobs.yes && count > 0 && can_ask() && is_above_limit(count)?)
}

/// Whether so many sessions are more than `runs.confirm_above`.
pub fn is_above_limit(count: usize) -> Result<bool> {
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
    counted(count, "session")
}
