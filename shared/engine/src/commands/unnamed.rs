//! The run that a command without RUN means. A command of another day or of another directory, typed by habit, would send
//! unwanted prompts: the user is asked, and without a terminal the command is refused.

use std::path::Path;

use crate::commands::start::confirm;
use crate::disk::progress::RunProgress;
use crate::disk::run_dir::RunDir;
use codex_agent_shared::config;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::terminal::can_ask;
use codex_agent_shared::text::{harmless, path_cell, quoted};
use codex_agent_shared::time::Timestamp;

/// The age of a run, in milliseconds, from which on the user is asked.
const DAY: i64 = 86_400_000;

/// A run that the user did not name, and the work that a command would do.
pub struct Unnamed<'r> {
    /// The directory of the run.
    pub dir: &'r RunDir,
    /// Its state.
    pub progress: &'r RunProgress,
    /// The verb: `continue` or `retry`.
    pub verb: &'r str,
    /// The jobs, such as `2 failed jobs`.
    pub jobs: String,
    /// The options that belong to the command.
    pub options: &'r str,
}

impl Unnamed<'_> {
    /// Whether the run is meant: without a question if it is the newest run, ended within a day, and was begun in the
    /// current directory, or if the user gave `--yes`.
    pub fn is_meant(&self, yes: bool) -> Result<bool> {
        let now = Timestamp::now();
        let Unnamed { dir, progress, verb, jobs, options } = self;
        // A runner that was killed recorded no end; its last line has the time.
        let ended = match &progress.ended {
            Some((at, _)) => *at,
            None => Timestamp(now.0 - i64::try_from(dir.age(now).as_millis()).unwrap_or(0)),
        };
        let current = std::env::current_dir().ok();
        // A run of a version that recorded no directory is judged by its age alone.
        let is_here = progress.cwd.is_none() || progress.cwd.as_deref().map(Path::new) == current.as_deref();
        let is_newest = self.is_newest()?;
        if yes || (is_newest && is_here && now.0 - ended.0 < DAY) {
            return Ok(true);
        }
        let home = config::home().ok().and_then(|home| home.into_os_string().into_string().ok());
        let place = progress.cwd.as_deref().map(|cwd| quoted(&path_cell(cwd, home.as_deref(), 60)));
        // Of the three reasons those that apply.
        let begun =
            place.filter(|_| !is_here).map_or_else(String::new, |place| format!("was begun in {place}, "));
        let (name, ago) = (dir.name(), ended.ago(now));
        let ended = match &progress.ended {
            None => format!("was interrupted {ago}"),
            Some(_) => format!("ended {ago}"),
        };
        let newest = if is_newest { "" } else { " and is not the newest run" };
        let which = format!("{begun}{ended}{newest}");
        if can_ask() {
            let verb = verb[..1].to_uppercase() + &verb[1..];
            let question = format!("{verb} {jobs} of run '{name}', which {which}?");
            return confirm(&harmless(&question), "nothing was started");
        }
        let message = format!("the command names no run, and run '{name}' {which}; nothing was started");
        let short = dir.short_name();
        let verbs = if *verb == "retry" { "retries" } else { "continues" };
        Err(Error::new(message).hint(format!("'codex-agent run {verb} {short}{options}' {verbs} its {jobs}")))
    }

    /// Whether no later run was begun. A run that cannot be read counts as begun.
    fn is_newest(&self) -> Result<bool> {
        let is_begun = |dir: &RunDir| match RunProgress::read_existing(dir) {
            Some(Ok(progress)) => progress.is_begun(),
            Some(Err(_)) => true,
            None => false,
        };
        let newest = RunDir::all()?.into_iter().find(|dir| dir == self.dir || is_begun(dir));
        Ok(newest.is_none_or(|newest| newest == *self.dir))
    }
}
