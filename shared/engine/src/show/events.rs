//! Printing events: records, answers or one line each; on a terminal with a live view of running jobs. A closed
//! or slow output never stops or delays a run.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::disk::run_dir::RunDir;
use crate::record::event::{Counts, Event, JobRef, RunEvent};
use crate::record::job::{Sandbox, VERSION};
use crate::run::engine::RunEnd;
use crate::run::observer::{Observer, RunningJob};
use crate::show::live::Live;
use crate::show::{WIDE, format_progress, list_counts};
use codex_agent_shared::choice::Choice;
use codex_agent_shared::codex::watch::SessionEvent;
use codex_agent_shared::error::{self, Error, Exit, Result, status, warn};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::record::Id;
use codex_agent_shared::terminal::{columns, is_drawable, is_terminal};
use codex_agent_shared::text::{cell, harmless, lines, path_cell, tsv, width};
use codex_agent_shared::time::Timestamp;

/// The limit of buffered output, in bytes. A reader may stop reading.
const KEPT: usize = 64 << 20;

/// The length of a reason on a terminal, and the indentation of its further lines.
const REASON: usize = 400;
const INDENT: usize = 10;

/// The forms of output.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShowOptions {
    /// Records.
    pub json: bool,
    /// Only last messages.
    pub answers: bool,
    /// Codex's own events too.
    pub events: bool,
}

/// Returns the place of a job in its queue, from 1. The flag is whether places may have changed since the last call.
pub type Places = Box<dyn FnMut(&str, bool) -> Option<usize>>;

/// The printer of events.
pub struct Show {
    output: Output,
    options: ShowOptions,
    several: bool,
    terminal: bool,
    live: Option<Live>,
    places: Option<Places>,
    /// The command that requeues failed prompts.
    requeue_command: Option<String>,
    is_closed: bool,
    /// The error of a failed write, unless the reader closed the pipe.
    write_error: Option<Error>,
    /// The times of the first and the last event.
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
    /// A printer for a run of so many jobs; the answer of a single job has no heading.
    pub fn new(options: ShowOptions, jobs: usize) -> Show {
        let live = (is_drawable() && !options.json && !options.answers).then(Live::default);
        Show {
            output: Output::nonblocking(),
            options,
            several: jobs > 1,
            terminal: is_terminal(),
            live,
            places: None,
            requeue_command: None,
            is_closed: false,
            write_error: None,
            span: None,
            counts: Counts::default(),
            used: [0; 2],
        }
    }

    /// A printer for past events, without a live view.
    pub fn past(options: ShowOptions, jobs: usize) -> Show {
        Show { live: None, ..Show::new(options, jobs) }
    }

    /// Labels jobs by their places in a queue.
    pub fn with_places(mut self, places: Places) -> Show {
        self.places = Some(places);
        self
    }

    /// Sets the command that requeues failed prompts, for a hint.
    pub fn set_requeue_command(&mut self, command: String) {
        self.requeue_command = Some(command);
    }

    /// Sets the line that the live view shows while no job is running.
    pub fn set_idle_line(&mut self, text: &str) {
        if let Some(live) = &mut self.live {
            live.set_idle_line(text);
        }
    }

    /// Whether the output is closed.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Writes all buffered output.
    pub fn finish(mut self) -> Result<()> {
        match self.write_error.take() {
            Some(error) => Err(error),
            None => self.output.flush(),
        }
    }

    /// Writes unless the output is closed.
    fn print(&mut self, write: impl FnOnce(&mut Show) -> Result<()>) {
        if self.is_closed {
            return;
        }
        let live = self.live.as_mut().map(Live::clear).unwrap_or_default();
        let written = self.output.text(live.as_bytes(), b"").and_then(|()| write(self));
        let written = written.and_then(|()| self.output.write_available());
        self.record_write(written.map(drop));
        if self.output.buffered() > KEPT {
            self.is_closed = true;
            warn(
                "standard output is not being read, and no more events are printed; the log of the run is complete",
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
        let (kind, of) = (event.what.type_name(), event.what.job_ref());
        let (job, session) = (of.map_or("", |of| &of.job), of.and_then(|of| of.session));
        let text = describe(&event.what);
        if !self.terminal {
            return self.output.text(row(event.at, kind, job, session, &text).as_bytes(), b"\n");
        }
        if matches!(event.what, RunEvent::JobSpawned { .. } | RunEvent::JobSession { .. }) {
            return Ok(());
        }
        if self.live.is_some() && matches!(event.what, RunEvent::JobStarted { .. }) {
            // The live view shows running jobs.
            return Ok(());
        }
        let name = kind.split('.').next_back().unwrap_or_default();
        let job = of.map(|of| find_label(&mut self.places, &of.job)).unwrap_or_default();
        let most = columns().saturating_sub(1);
        let mut start = format!("{} {job:>3} {name:9} ", format_progress(event.counts));
        if most >= WIDE {
            let id = session.map(|id| id.short()).unwrap_or_default();
            start.push_str(&format!("{id:8} {:>6}  ", duration(&event.what)));
        }
        let left = most.saturating_sub(width(&start)).max(8);
        // The reason of a failure is wrapped, and not truncated.
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
                warn(format_args!("job {}: {}", of.job, describe(&event.what)));
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
        let row = row(at, "job.event", &of.job, of.session, event.get());
        let row = if self.terminal { cell(&row, columns().saturating_sub(1)) } else { row };
        self.output.text(row.as_bytes(), b"\n")
    }

    /// Prints an event of a session that another process uses.
    pub fn session_event(&mut self, session_event: &SessionEvent) {
        self.print(|show| {
            if show.options.json {
                return show.output.record(session_event);
            }
            let at = session_event.at.unwrap_or_else(Timestamp::now);
            let (kind, text) = (session_event.what.word(), session_event.what.text());
            let session = session_event.session;
            let row = match show.terminal {
                true => {
                    let start = format!("{} {} {kind:17} ", at.local("%H:%M:%S"), session.short());
                    format!("{start}{}", cell(&text, columns().saturating_sub(start.len() + 1).max(20)))
                }
                false => row(at, kind, "", Some(session), &text),
            };
            show.output.text(row.trim_end_matches(' ').as_bytes(), b"\n")
        });
    }

    /// Prints the summary and the hints at the end of a run, and returns the exit status. `continue_command`
    /// continues the run. Waits for a slow reader, since no job is delayed by the wait.
    pub fn close(mut self, dir: &RunDir, ended: Result<RunEnd>, continue_command: &str) -> Result<Exit> {
        self.print_summary();
        self.print(|_| Ok(()));
        let has_left = matches!(ended, Ok(RunEnd::Left { .. }));
        if !self.is_closed && !has_left {
            let written = self.output.flush();
            self.record_write(written);
        }
        let ended = ended.map_err(|error| {
            error.or_hint(format!("jobs may still be running; '{continue_command}' continues the run"))
        })?;
        let exit = report_end(dir, &ended, continue_command, self.requeue_command.as_deref());
        match self.write_error.take() {
            Some(error) => {
                let log = format!("'codex-agent run log {}' prints the events", dir.name());
                Err(error.hint(format!("the run itself continued; {log}")))
            }
            None => Ok(exit),
        }
    }

    /// Records the result of a write.
    fn record_write(&mut self, written: Result<()>) {
        let Err(error) = written else { return };
        self.is_closed = true;
        if !error.is_broken_pipe() {
            self.write_error.get_or_insert(error);
        }
    }

    /// Prints the totals on a terminal.
    pub fn print_summary(&mut self) {
        let Counts { completed, failed, skipped, .. } = self.counts;
        if !self.terminal || self.options.json || self.options.answers || completed + failed + skipped < 2 {
            return;
        }
        let [input, output] = self.used;
        let counts = list_counts(&[(completed, "completed"), (failed, "failed"), (skipped, "skipped")]);
        let took = self.span.map_or_else(String::new, |(first, last)| first.countdown(last));
        self.status(&format!("{counts} in {took}; {input} input tokens, {output} output tokens"));
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
        error::write_available();
        let places = &mut self.places;
        let lines = match &mut self.live {
            Some(live) => {
                live.update(counts, jobs, &mut |job| find_label(places, job));
                live.draw()
            }
            None => String::new(),
        };
        if !self.is_closed {
            let written =
                self.output.text(lines.as_bytes(), b"").and_then(|()| self.output.write_available());
            self.record_write(written.map(drop));
        }
    }
}

/// The label of a job: its place in the queue, or its id if that is short.
fn find_label(places: &mut Option<Places>, job: &str) -> String {
    match places {
        Some(places) => places(job, false).map(|place| place.to_string()).unwrap_or_default(),
        None if job.len() <= 6 => job.to_owned(),
        None => String::new(),
    }
}

/// A line of TAB-separated columns.
fn row(at: Timestamp, kind: &str, job: &str, session: Option<Id>, text: &str) -> String {
    let session = session.map(|id| id.to_string()).unwrap_or_default();
    [&at.to_string(), kind, &tsv(job), &session, &tsv(text)].join("\t")
}

/// The duration of a completed job.
fn duration(what: &RunEvent) -> String {
    match what {
        RunEvent::JobCompleted { duration_ms, .. } => Timestamp(0).countdown(Timestamp(*duration_ms)),
        _ => String::new(),
    }
}

/// The text of an event.
fn describe(what: &RunEvent) -> String {
    match what {
        RunEvent::RunPlanned { name, .. } => name.clone(),
        RunEvent::RunStarted { codex, jobs, kind, .. } => {
            let version = codex.version.as_deref().unwrap_or("of unknown version");
            // The number of jobs of a queue is not yet known.
            match kind == "queue" {
                true => format!("Codex {version}"),
                false => format!("{}, Codex {version}", count_jobs(*jobs)),
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
        RunEvent::RunStopped { why, left, .. } => format!("{why}, {} left", count_jobs(*left)),
    }
}

/// A number of jobs: `1 job`, `2 jobs`.
pub fn count_jobs(jobs: usize) -> String {
    format!("{jobs} job{}", if jobs == 1 { "" } else { "s" })
}

/// Prints how a run ended, and returns the exit status.
pub fn report_end(
    dir: &RunDir,
    ended: &RunEnd,
    continue_command: &str,
    requeue_command: Option<&str>,
) -> Exit {
    let name = dir.name();
    match ended {
        RunEnd::Completed { killed: true, .. } => Exit::Interrupted,
        RunEnd::Completed { failed: 0, .. } => Exit::Done,
        RunEnd::Completed { failed, .. } => {
            let failed = count_jobs(*failed);
            let requeue =
                requeue_command.map_or(String::new(), |command| format!("; requeue with '{command}'"));
            warn(format_args!("{failed} failed; 'codex-agent run log {name}' prints why{requeue}"));
            Exit::Negative
        }
        RunEnd::Stopped { why, left, until, killed } => {
            let until = until.map_or(String::new(), |until| format!(" until {}", until.clock()));
            let left = count_jobs(*left);
            warn(format_args!("stopped ({why}{until}), {left} left; '{continue_command}' continues the run"));
            if *killed { Exit::Interrupted } else { Exit::WorkLeft }
        }
        RunEnd::Left { running } => {
            let running = count_jobs(*running);
            warn(format_args!("{running} may still be running; '{continue_command}' continues the run"));
            Exit::Interrupted
        }
    }
}

/// The command that continues a run, except that of a queue.
pub fn continue_command(dir: &RunDir) -> String {
    format!("codex-agent run continue {}", dir.name())
}
