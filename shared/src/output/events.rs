//! Showing events as they happen: records, answers, or a line each. The run goes on although nobody
//! listens any more.

use crate::error::{Exit, Result, warn};
use crate::ndjson::Output;
use crate::run::{Ended, Event, Folder, Sandbox, Settings, What};
use crate::terminal::{columns, is_terminal};
use crate::text::{cell, harmless, tsv};

/// Where events go.
pub struct Show {
    output: Output,
    json: bool,
    answers: bool,
    several: bool,
    terminal: bool,
    gone: bool,
}

impl Show {
    /// For a run of so many jobs.
    pub fn new(json: bool, answers: bool, jobs: usize) -> Show {
        let several = jobs > 1;
        Show { output: Output::stdout(), json, answers, several, terminal: is_terminal(), gone: false }
    }

    /// Shows an event. An output that is closed is not tried again.
    pub fn event(&mut self, event: &Event) {
        if !self.gone {
            self.gone = self.write(event).and_then(|()| self.output.flush()).is_err();
        }
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        if self.json {
            return self.output.record(event);
        }
        if self.answers {
            return self.answer(event);
        }
        let of = event.what.of();
        let session = of.and_then(|of| of.session);
        let text = text(&event.what);
        if !self.terminal {
            let at = event.at.to_string();
            let job = of.map_or("", |of| &of.job);
            let id = session.map(|id| id.to_string()).unwrap_or_default();
            let row = [&at, event.what.word(), &tsv(job), &id, &tsv(&text)].join("\t");
            return self.output.text(row.as_bytes(), b"\n");
        }
        if matches!(event.what, What::JobSpawned { .. } | What::JobSession { .. }) {
            return Ok(());
        }
        let counts = event.counts;
        let done = counts.completed + counts.failed + counts.skipped;
        let all = done + counts.running + counts.pending;
        let word = event.what.word().split('.').next_back().unwrap_or_default();
        let id = session.map(|id| id.short()).unwrap_or_default();
        let start = format!("[{done}/{all}] {:>3} {word:9} {id:8}  ", of.map_or("", |of| &of.job));
        let row = format!("{start}{}", cell(&text, columns().saturating_sub(start.len()).max(20)));
        self.output.text(row.trim_end().as_bytes(), b"\n")
    }

    fn answer(&mut self, event: &Event) -> Result<()> {
        match &event.what {
            What::JobCompleted { of, last_message, .. } => {
                if self.several {
                    let id = of.session.map_or_else(|| of.job.clone(), |id| id.to_string());
                    self.output.text(format!("==> {id} <==").as_bytes(), b"\n")?;
                }
                let message = last_message.as_deref().unwrap_or_default();
                if !self.terminal {
                    return self.output.text(message.as_bytes(), b"\n");
                }
                message.lines().try_for_each(|line| self.output.text(harmless(line).as_bytes(), b"\n"))
            }
            What::JobFailed { of, .. } | What::JobSkipped { of, .. } => {
                warn(format_args!("job {}: {}", of.job, text(&event.what)));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What there is to say about an event.
fn text(what: &What) -> String {
    match what {
        What::RunStarted { codex, jobs, .. } => {
            let version = codex.version.as_deref().unwrap_or("of unknown version");
            format!("{}, Codex {version}", counted(*jobs))
        }
        What::JobStarted { cwd, sandbox, .. } => {
            let sandbox = sandbox.map_or("", Sandbox::word);
            format!("{} {sandbox}", cwd.as_deref().unwrap_or("")).trim_end().to_owned()
        }
        What::JobSpawned { process, .. } => format!("process {}", process.pid),
        What::JobSession { .. } | What::RunCompleted {} => String::new(),
        What::JobCompleted { last_message, .. } => last_message.clone().unwrap_or_default(),
        What::JobFailed { failure, .. } => format!("{}: {}", failure.class.word(), failure.message),
        What::JobSkipped { why, .. } => why.clone(),
        What::RunStopped { why, left } => format!("{why}, {} left", counted(*left)),
    }
}

/// `1 job`, `2 jobs`.
pub fn counted(jobs: usize) -> String {
    format!("{jobs} job{}", if jobs == 1 { "" } else { "s" })
}

/// One line before much is done.
pub fn announce(jobs: usize, settings: &Settings, sandbox: Option<Sandbox>) {
    if jobs > 1 {
        let sandbox = sandbox.map_or(String::new(), |sandbox| format!(", {}", sandbox.word()));
        let at_once = settings.max_concurrent;
        warn(format_args!("{}, {at_once} at a time{sandbox}; Ctrl-C finishes what runs", counted(jobs)));
    }
}

/// One line after, if there is more to do, and the exit code.
pub fn closing(folder: &Folder, ended: Result<Ended>) -> Result<Exit> {
    let name = folder.name();
    let ended = ended.map_err(|error| {
        error.or_hint(format!("jobs may live on; 'codex-agent run continue {name}' takes them over"))
    })?;
    Ok(match ended {
        Ended::Completed { killed: true, .. } => Exit::Interrupted,
        Ended::Completed { failed: 0, .. } => Exit::Done,
        Ended::Completed { failed, .. } => {
            warn(format_args!("{} failed; 'codex-agent run log {name}' tells more", counted(failed)));
            Exit::Negative
        }
        Ended::Stopped { why, left, killed } => {
            let left = counted(left);
            warn(format_args!("stopped ({why}), {left} left; 'codex-agent run continue {name}' goes on"));
            if killed { Exit::Interrupted } else { Exit::WorkLeft }
        }
        Ended::Left { living } => {
            let living = counted(living);
            warn(format_args!("{living} may live on; 'codex-agent run continue {name}' takes them over"));
            Exit::Interrupted
        }
    })
}
