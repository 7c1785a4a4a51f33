//! Showing events as they happen: records, answers, or a line each; on a terminal with a live view of what
//! runs. The run goes on although nobody listens any more, and although whoever listens is slow.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::disk::run_dir::RunDir;
use crate::record::event::JobRef;
use crate::record::event::{Counts, Event, RunEvent};
use crate::record::job::Sandbox;
use crate::record::job::VERSION;
use crate::record::settings::Settings;
use crate::run::engine::RunEnd;
use crate::run::observer::{Observer, RunningJob};
use crate::show::live::Live;
use crate::show::{WIDE, done};
use codex_agent_shared::choice::Choice;
use codex_agent_shared::codex::watch::SessionEvent;
use codex_agent_shared::error;
use codex_agent_shared::error::{Error, Exit, Result, status, warn};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::terminal::{columns, is_drawable, is_terminal};
use codex_agent_shared::text::{cell, harmless, lines, path_cell, tsv, width};
use codex_agent_shared::time::Timestamp;

/// What is kept for a reader that does not read. A run does not wait for it.
const KEPT: usize = 64 << 20;

/// How much of a reason is told on a terminal, and how far in it goes on.
const REASON: usize = 400;
const INDENT: usize = 10;
/// What is shown of events.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShowOptions {
    /// Records.
    pub json: bool,
    /// Only last messages.
    pub answers: bool,
    /// Codex's own events too.
    pub events: bool,
}

/// Tells the place of a job in its queue, from 1. The flag is whether it may have been moved since.
pub type Places = Box<dyn FnMut(&str, bool) -> Option<usize>>;

/// Where events go.
pub struct Show {
    output: Output,
    options: ShowOptions,
    several: bool,
    terminal: bool,
    live: Option<Live>,
    places: Option<Places>,
    /// The command that sends again what has failed.
    again: Option<String>,
    gone: bool,
    /// What the system said when it took no more, where that was not just a reader who has had enough.
    lost: Option<Error>,
    /// When the first and the last event were.
    span: Option<(Timestamp, Timestamp)>,
    counts: Counts,
    used: [i64; 2],
}

/// An event of Codex. Never in the journal of a run.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobEvent<'e> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The version of events.
    #[cfg_attr(feature = "schema", schemars(extend("const" = VERSION)))]
    v: u32,
    /// The id of the run.
    run: &'e str,
    /// The time when the event was read.
    at: Timestamp,
    #[serde(flatten)]
    of: &'e JobRef,
    /// The event as Codex printed it.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
    event: &'e RawValue,
}

impl Show {
    /// For a run of so many jobs; of one, an answer stands alone.
    pub fn new(options: ShowOptions, jobs: usize) -> Show {
        let live = (is_drawable() && !options.json && !options.answers).then(Live::default);
        Show {
            output: Output::nonblocking(),
            options,
            several: jobs > 1,
            terminal: is_terminal(),
            live,
            places: None,
            again: None,
            gone: false,
            lost: None,
            span: None,
            counts: Counts::default(),
            used: [0; 2],
        }
    }

    /// For what happened before: there is nothing to look at but the events.
    pub fn past(options: ShowOptions, jobs: usize) -> Show {
        Show { live: None, ..Show::new(options, jobs) }
    }

    /// Calls jobs by their places in a queue.
    pub fn numbered(mut self, places: Places) -> Show {
        self.places = Some(places);
        self
    }

    /// Offers, where something has failed, a command that sends it again.
    pub fn offer(&mut self, again: String) {
        self.again = Some(again);
    }

    /// Says where the live view is that nothing runs.
    pub fn rest(&mut self, text: &str) {
        if let Some(live) = &mut self.live {
            live.rest(text);
        }
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.gone
    }

    /// Waits for the reader to have everything.
    pub fn finish(mut self) -> Result<()> {
        match self.lost.take() {
            Some(error) => Err(error),
            None => self.output.flush(),
        }
    }

    /// Writes something, if anybody still reads. An output that is closed is not tried again.
    fn print(&mut self, write: impl FnOnce(&mut Show) -> Result<()>) {
        if self.gone {
            return;
        }
        let live = self.live.as_mut().map(Live::clear).unwrap_or_default();
        let written = self.output.text(live.as_bytes(), b"").and_then(|()| write(self));
        let written = written.and_then(|()| self.output.hand_on());
        self.record_write(written.map(drop));
        if self.output.collected() > KEPT {
            self.gone = true;
            warn(
                "the output is not being read, and no more of it is buffered; the log of the run is complete",
            );
        }
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        if self.options.json {
            return self.output.record(event);
        }
        if self.options.answers {
            return self.answer(event);
        }
        let of = event.what.job_ref();
        let session = of.and_then(|of| of.session);
        let text = text(&event.what);
        if !self.terminal {
            let at = event.at.to_string();
            let job = of.map_or("", |of| &of.job);
            let id = session.map(|id| id.to_string()).unwrap_or_default();
            let row = [&at, event.what.word(), &tsv(job), &id, &tsv(&text)].join("\t");
            return self.output.text(row.as_bytes(), b"\n");
        }
        if matches!(event.what, RunEvent::JobSpawned { .. } | RunEvent::JobSession { .. }) {
            return Ok(());
        }
        if self.live.is_some() && matches!(event.what, RunEvent::JobStarted { .. }) {
            // It is in the live view.
            return Ok(());
        }
        let word = event.what.word().split('.').next_back().unwrap_or_default();
        let id = session.map(|id| id.short()).unwrap_or_default();
        let job = of.map(|of| label_of(&mut self.places, &of.job)).unwrap_or_default();
        let most = columns().saturating_sub(1);
        let start = match most < WIDE {
            true => format!("{} {job:>3} {word:9} ", done(event.counts)),
            false => {
                format!("{} {job:>3} {word:9} {id:8} {:>6}  ", done(event.counts), took(&event.what))
            }
        };
        let left = most.saturating_sub(width(&start)).max(8);
        // Why something went wrong is what one looks for: it is not cut before it has been told.
        if matches!(
            event.what,
            RunEvent::JobFailed { .. }
                | RunEvent::JobSkipped { .. }
                | RunEvent::RunWaiting { .. }
                | RunEvent::RunStopped { .. }
        ) {
            let mut rows = lines(&start, &cell(&text, REASON), INDENT, most).into_iter();
            return rows.try_for_each(|line| self.output.text(line.trim_end().as_bytes(), b"\n"));
        }
        let text = match &event.what {
            RunEvent::JobStarted { .. } => path_cell(&text, None, left),
            _ => cell(&text, left),
        };
        self.output.text(format!("{start}{text}").trim_end().as_bytes(), b"\n")
    }

    fn answer(&mut self, event: &Event) -> Result<()> {
        match &event.what {
            RunEvent::JobCompleted { of, last_message, .. } => {
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
            RunEvent::JobFailed { of, .. } | RunEvent::JobSkipped { of, .. } => {
                warn(format_args!("job {}: {}", of.job, text(&event.what)));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn codex_event(&mut self, run: &str, of: &JobRef, line: &[u8]) -> Result<()> {
        let Ok(event) = serde_json::from_slice::<&RawValue>(line) else { return Ok(()) };
        let at = Timestamp::now();
        if self.options.json {
            return self.output.record(&JobEvent { kind: "job.event", v: VERSION, run, at, of, event });
        }
        let id = of.session.map(|id| id.to_string()).unwrap_or_default();
        let row = [&at.to_string(), "job.event", &tsv(&of.job), &id, &tsv(event.get())].join("\t");
        let row = if self.terminal { cell(&row, columns().saturating_sub(1)) } else { row };
        self.output.text(row.as_bytes(), b"\n")
    }

    /// Shows what a session did while somebody else drove it.
    pub fn session_event(&mut self, session_event: &SessionEvent) {
        self.print(|show| {
            if show.options.json {
                return show.output.record(session_event);
            }
            let at = session_event.at.unwrap_or_else(Timestamp::now);
            let (word, text) = (session_event.what.word(), session_event.what.text());
            let row = match show.terminal {
                true => {
                    let start =
                        format!("{} {} {word:17} ", at.local("%H:%M:%S"), session_event.session.short());
                    format!("{start}{}", cell(&text, columns().saturating_sub(start.len() + 1).max(20)))
                }
                false => {
                    [&at.to_string(), word, "", &session_event.session.to_string(), &tsv(&text)].join("\t")
                }
            };
            show.output.text(row.trim_end_matches(' ').as_bytes(), b"\n")
        });
    }

    /// What is to be said when a run is over: what it came to, what there is to do, and the exit code. `continue_command`
    /// is the command that goes on. A slow reader is waited for, as nothing else is kept waiting.
    pub fn close(mut self, folder: &RunDir, ended: Result<RunEnd>, continue_command: &str) -> Result<Exit> {
        self.sum_up();
        self.print(|_| Ok(()));
        let has_left = matches!(ended, Ok(RunEnd::Left { .. }));
        if !self.gone && !has_left {
            let written = self.output.flush();
            self.record_write(written);
        }
        let lost = self.lost.take();
        let exit = closing(folder, ended, continue_command, self.again.as_deref())?;
        match lost {
            Some(error) => {
                let log = format!("'codex-agent run log {}' prints the events", folder.name());
                Err(error.hint(format!("the run itself continued; {log}")))
            }
            None => Ok(exit),
        }
    }

    /// Takes in how a write ended.
    fn record_write(&mut self, written: Result<()>) {
        let Err(error) = written else { return };
        self.gone = true;
        if !error.is_broken_pipe() {
            self.lost.get_or_insert(error);
        }
    }

    /// On a terminal, what all of it came to.
    pub fn sum_up(&mut self) {
        let Counts { completed, failed, skipped, .. } = self.counts;
        if !self.terminal || self.options.json || self.options.answers || completed + failed + skipped < 2 {
            return;
        }
        let [input, output] = self.used;
        let parts = [(completed, "completed"), (failed, "failed"), (skipped, "skipped")];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let took = self.span.map_or_else(String::new, |(first, last)| first.countdown(last));
        self.status(&format!("{} in {took}; {input} tokens in, {output} out", parts.join(", ")));
    }
}

impl Observer for Show {
    fn event(&mut self, event: &Event) {
        self.counts = event.counts;
        self.span = Some((self.span.map_or(event.at, |(first, _)| first), event.at));
        if let RunEvent::JobCompleted { usage: Some(usage), .. } = &event.what {
            for (sum, name) in self.used.iter_mut().zip(["input_tokens", "output_tokens"]) {
                *sum += usage.get(name).copied().unwrap_or(0);
            }
        }
        if let (Some(places), true, RunEvent::JobStarted { of, .. }) =
            (&mut self.places, self.live.is_some(), &event.what)
        {
            places(&of.job, true);
        }
        self.print(|show| show.write(event));
    }

    fn wants_about(&self) -> bool {
        self.live.is_some()
    }

    fn wants_lines(&self) -> bool {
        self.options.events && !self.options.answers
    }

    fn line(&mut self, run: &str, of: &JobRef, line: &[u8]) {
        self.print(|show| show.codex_event(run, of, line));
    }

    fn status(&mut self, text: &str) {
        self.print(|_| Ok(()));
        status(text);
    }

    fn warn(&mut self, text: &str) {
        self.print(|_| Ok(()));
        warn(text);
    }

    fn show_running(&mut self, counts: Counts, jobs: &mut dyn Iterator<Item = RunningJob<'_>>) {
        error::hand_on();
        let places = &mut self.places;
        let lines = match &mut self.live {
            Some(live) => {
                live.see(counts, jobs, &mut |job| label_of(places, job));
                live.draw()
            }
            None => String::new(),
        };
        if !self.gone {
            let written = self.output.text(lines.as_bytes(), b"").and_then(|()| self.output.hand_on());
            self.record_write(written.map(drop));
        }
    }
}

/// What people call a job: its id, if it is one for them. That of a prompt says nothing to them, but its place
/// in the queue does.
fn label_of(places: &mut Option<Places>, job: &str) -> String {
    match places {
        Some(places) => places(job, false).map(|place| place.to_string()).unwrap_or_default(),
        None if job.len() <= 6 => job.to_owned(),
        None => String::new(),
    }
}

/// How long it took, of what has an end.
fn took(what: &RunEvent) -> String {
    match what {
        RunEvent::JobCompleted { duration_ms, .. } => Timestamp(0).countdown(Timestamp(*duration_ms)),
        _ => String::new(),
    }
}

/// What there is to say about an event.
fn text(what: &RunEvent) -> String {
    match what {
        RunEvent::RunPlanned { name, .. } => name.clone(),
        RunEvent::RunStarted { codex, jobs, kind, .. } => {
            let version = codex.version.as_deref().unwrap_or("of unknown version");
            // Of a queue nobody knows yet how many there will be.
            match kind == "queue" {
                true => format!("Codex {version}"),
                false => format!("{}, Codex {version}", counted(*jobs)),
            }
        }
        RunEvent::JobStarted { cwd, sandbox, .. } => {
            let sandbox = sandbox.map_or("", Sandbox::word);
            format!("{} {sandbox}", cwd.as_deref().unwrap_or("")).trim_end().to_owned()
        }
        RunEvent::JobSpawned { process, .. } => format!("process {}", process.pid),
        RunEvent::JobSession { .. } | RunEvent::RunCompleted {} => String::new(),
        RunEvent::JobCompleted { last_message, .. } => last_message.clone().unwrap_or_default(),
        RunEvent::JobFailed { failure, .. } => format!("{}: {}", failure.class.word(), failure.plain()),
        RunEvent::JobSkipped { why, .. } => why.clone(),
        RunEvent::RunWaiting { why, until } => match until {
            Some(until) => format!("{why}, until {}", until.clock()),
            None => why.clone(),
        },
        RunEvent::RunStopped { why, left, .. } => format!("{why}, {} left", counted(*left)),
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
        status(format_args!(
            "{}, {at_once} at a time{sandbox}; Ctrl-C stops after the running jobs",
            counted(jobs)
        ));
    }
}

fn closing(
    folder: &RunDir,
    ended: Result<RunEnd>,
    continue_command: &str,
    again: Option<&str>,
) -> Result<Exit> {
    let name = folder.name();
    let ended = ended.map_err(|error| {
        error.or_hint(format!("jobs may still be running; '{continue_command}' continues the run"))
    })?;
    Ok(match ended {
        RunEnd::Completed { killed: true, .. } => Exit::Interrupted,
        RunEnd::Completed { failed: 0, .. } => Exit::Done,
        RunEnd::Completed { failed, .. } => {
            let again = again.map_or(String::new(), |again| format!("; requeue with '{again}'"));
            warn(format_args!("{} failed; 'codex-agent run log {name}' prints why{again}", counted(failed)));
            Exit::Negative
        }
        RunEnd::Stopped { why, left, until, killed } => {
            let until = until.map_or(String::new(), |until| format!(" until {}", until.clock()));
            warn(format_args!(
                "stopped ({why}{until}), {} left; '{continue_command}' continues",
                counted(left)
            ));
            if killed { Exit::Interrupted } else { Exit::WorkLeft }
        }
        RunEnd::Left { living } => {
            warn(format_args!(
                "{} may still be running; '{continue_command}' continues the run",
                counted(living)
            ));
            Exit::Interrupted
        }
    })
}

/// The command that goes on with a run of any tool but a queue's.
pub fn continue_command(folder: &RunDir) -> String {
    format!("codex-agent run continue {}", folder.name())
}
