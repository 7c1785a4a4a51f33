//! Printing events: records, answers or one line each; on a terminal with a live view of running jobs. A closed
//! or slow output never stops or delays a run.

use std::collections::HashMap;

use std::time::Duration;

use crate::disk::run_dir::RunDir;
use crate::record::event::{Counts, Event, JobEvent, JobRef, RunEvent};
use crate::record::failure::Class;
use crate::record::job::Sandbox;
use crate::run::engine::RunEnd;
use crate::run::observer::{Observer, RunningJob};
pub use crate::show::end::count_jobs;
use crate::show::end::{NextCommands, describe_until, report_end};
use crate::show::format_progress;
use crate::show::live::Live;
use crate::show::records::{self, RecordStyle};
use crate::show::row::{Row, most};
use crate::show::tally::Tally;
use codex_agent_shared::choice::Choice;
use codex_agent_shared::error::{self, Error, Exit, Result, status, warn};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::record::Id;
use codex_agent_shared::terminal::{Look, columns, is_drawable, is_terminal, line};
use codex_agent_shared::text::{cell, harmless, path_cell, tsv};
use codex_agent_shared::time::Timestamp;
use codex_agent_shared::transcript::Record;

/// The format of a day.
const DAY: &str = "%A, %Y-%m-%d";

/// The limit of buffered output, in bytes. A reader may stop reading.
const KEPT: usize = 64 << 20;

/// The length of a reason on a terminal.
const REASON: usize = 400;

/// The forms of output.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShowOptions {
    /// Records.
    pub json: bool,
    /// Only last messages.
    pub answers: bool,
    /// Codex's own events too.
    pub events: bool,
    /// Whether a terminal has colours.
    pub color: bool,
    /// Whether the lines are those of a terminal, also in a pipe.
    pub as_terminal: bool,
}

/// Returns the place of a job in its queue, from 1. The flag is whether places may have changed since the last call.
pub type Places = Box<dyn FnMut(&str, bool) -> Option<usize>>;

/// The printer of events.
pub struct Show {
    output: Output,
    options: ShowOptions,
    several: bool,
    terminal: bool,
    /// Whether the events are those of the past, so that their times matter more than the progress.
    is_past: bool,
    live: Option<Live>,
    places: Option<Places>,
    /// The labels of the jobs that have not ended, by run and job.
    labels: HashMap<(String, String), String>,
    /// The totals of the runs that have not ended.
    tallies: HashMap<String, Tally>,
    /// The day of the last line, if it has been printed or is today.
    day: String,
    records: RecordStyle,
    /// Whether a job was completed.
    has_answers: bool,
    is_closed: bool,
    /// The error of a failed write, unless the reader closed the pipe.
    write_error: Option<Error>,
}

impl Show {
    /// A printer for a run of so many jobs; the answer of a single job has no heading.
    pub fn new(options: ShowOptions, jobs: usize) -> Show {
        let live = (is_drawable() && !options.json && !options.answers).then(Live::default);
        Show {
            output: Output::nonblocking(),
            options,
            several: jobs > 1,
            terminal: is_terminal() || options.as_terminal,
            is_past: false,
            live,
            places: None,
            labels: HashMap::new(),
            tallies: HashMap::new(),
            day: Timestamp::now().local(DAY),
            records: RecordStyle::default(),
            has_answers: false,
            is_closed: false,
            write_error: None,
        }
    }

    /// A printer for past events, without a live view.
    pub fn past(options: ShowOptions, jobs: usize) -> Show {
        Show { live: None, is_past: true, ..Show::new(options, jobs) }
    }

    /// Labels jobs by their places in a queue.
    pub fn with_places(mut self, places: Places) -> Show {
        self.places = Some(places);
        self
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
            None => {
                let live = self.live.as_mut().map(Live::clear).unwrap_or_default();
                self.output.text(live.as_bytes(), b"").and_then(|()| self.output.flush())
            }
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
        match self.terminal {
            true => self.write_on_terminal(event, &text),
            false => {
                let session = session.map(|id| name_session(of.and_then(|of| of.host.as_deref()), id));
                let row = row(event.at, kind, job, session.as_deref(), &text);
                self.output.text(row.as_bytes(), b"\n")
            }
        }
    }

    fn write_on_terminal(&mut self, event: &Event, text: &str) -> Result<()> {
        use RunEvent::{JobFailed, JobSession, JobSkipped, JobSpawned, JobStarted};
        let is_limit = matches!(&event.what, JobFailed { failure, again: true, .. } if failure.class == Class::UsageLimit);
        let is_hidden = match &event.what {
            JobSpawned { .. } | JobSession { .. } | RunEvent::JobBound { .. } => true,
            // A status line or a warning follows.
            RunEvent::HostLost { .. } => !self.is_past,
            // The live view shows running jobs, and the time until which a limit holds.
            JobStarted { .. } | RunEvent::RunWaiting { .. } => self.live.is_some(),
            // Each further attempt ends with the same message.
            _ => {
                let tries = self.tallies.get(&event.run).map_or(0, |tally| tally.limited_attempts);
                is_limit && self.live.is_some() && tries > 1
            }
        };
        if is_hidden {
            return Ok(());
        }
        let color = self.options.color;
        let place = match self.is_past {
            false => format_progress(event.counts),
            true => {
                let day = event.at.local(DAY);
                if day != self.day {
                    self.output.text(line(&[(&day, Look::Dim, 0)], color).as_bytes(), b"\n")?;
                    self.day = day;
                }
                event.at.local("%H:%M:%S")
            }
        };
        let of = event.what.job_ref();
        let number = of.map(|of| find_number(&mut self.places, &of.job)).unwrap_or_default();
        let session = of.and_then(|of| of.session).map(|id| id.short()).unwrap_or_default();
        let label = of.and_then(|of| self.label_of(&event.run, of)).unwrap_or_default();
        let label = match of.and_then(|of| of.host.as_deref()) {
            Some(host) if label.is_empty() => host.to_owned(),
            Some(host) => format!("{host}: {label}"),
            None => label.to_owned(),
        };
        let (state, look) = state(&event.what);
        let totals = self.tallies.get(&event.run).map(|tally| tally.describe(event.at)).unwrap_or_default();
        let text = match &event.what {
            RunEvent::RunCompleted {} => totals,
            RunEvent::RunStopped { .. } if !totals.is_empty() => format!("{text}; {totals}"),
            JobStarted { .. } => path_cell(text, std::env::var("HOME").ok().as_deref(), REASON),
            // The state has the class already.
            JobFailed { failure, .. } if failure.class == Class::Stopped => String::new(),
            JobFailed { failure, .. } if state != "failed" => failure.plain(),
            RunEvent::RunWaiting { until: Some(until), .. } if self.is_past => {
                format!("until {}", until.clock())
            }
            RunEvent::RunWaiting { until: Some(until), .. } => {
                describe_until(*until, event.at).trim_start().to_owned()
            }
            _ => text.to_owned(),
        };
        let row = Row {
            place: &place,
            number: &number,
            state,
            look: Some(look),
            session: &session,
            duration: &duration(&event.what),
            label: &label,
            text: &text,
            is_path: matches!(event.what, JobStarted { .. }),
        };
        // The reason of a failure is wrapped, and not truncated.
        let lines = match &event.what {
            JobFailed { .. }
            | JobSkipped { .. }
            | RunEvent::RunWaiting { .. }
            | RunEvent::RunCompleted {}
            | RunEvent::RunStopped { .. } => row.lines(color, REASON),
            _ => vec![row.line(color)],
        };
        lines.iter().try_for_each(|line| self.output.text(line.as_bytes(), b"\n"))
    }

    fn label_of(&self, run: &str, of: &JobRef) -> Option<&str> {
        // A look-up needs an owned pair.
        self.labels.get(&(run.to_owned(), of.job.clone())).map(String::as_str)
    }

    /// The name of a job in a message: its number and its label.
    fn name_job(&mut self, run: &str, of: &JobRef) -> String {
        let noun = if self.places.is_some() { "prompt" } else { "job" };
        let number = find_number(&mut self.places, &of.job);
        let number = if number.is_empty() { of.job.as_str() } else { &number };
        match self.label_of(run, of) {
            Some(label) => format!("{noun} {number} '{}'", cell(label, 60)),
            None => format!("{noun} {number}"),
        }
    }

    fn answer(&mut self, event: &Event) -> Result<()> {
        match &event.what {
            RunEvent::JobCompleted { of, last_message, .. } => {
                if self.several {
                    let heading = self.heading(&event.run, of);
                    self.output.text(format!("==> {heading} <==").as_bytes(), b"\n")?;
                }
                let message = last_message.as_deref().unwrap_or_default();
                if !self.terminal {
                    return self.output.text(message.as_bytes(), b"\n");
                }
                message.lines().try_for_each(|line| self.output.text(harmless(line).as_bytes(), b"\n"))
            }
            RunEvent::JobFailed { of, .. } | RunEvent::JobSkipped { of, .. } => {
                let name = self.name_job(&event.run, of);
                warn(format_args!("{name}: {}", describe(&event.what)));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The heading of an answer: in a pipe the id of the session, on a terminal its last digits and its title.
    fn heading(&mut self, run: &str, of: &JobRef) -> String {
        let session = of.session;
        if !self.terminal {
            return session.map_or_else(|| of.job.clone(), |id| name_session(of.host.as_deref(), id));
        }
        let label = match self.places.is_some() {
            true => self.name_job(run, of),
            false => self.label_of(run, of).unwrap_or_default().to_owned(),
        };
        let heading = format!("{} {label}", session.map(|id| id.short()).unwrap_or_default());
        // The line has eight columns of its own.

        line(&[(&cell(heading.trim(), most().saturating_sub(8)), Look::Bold, 0)], self.options.color)
    }

    fn codex_event(&mut self, run: &str, of: &JobRef, line: &[u8]) -> Result<()> {
        let Some(record) = JobEvent::new(run, of, line) else { return Ok(()) };
        if self.options.json {
            return self.output.record(&record);
        }
        let session = of.session.map(|id| name_session(of.host.as_deref(), id));
        let row = row(record.at, "job.event", &of.job, session.as_deref(), record.event.get());
        let row = if self.terminal { cell(&row, columns().saturating_sub(1)) } else { row };
        self.output.text(row.as_bytes(), b"\n")
    }

    /// Prints records of sessions in this way.
    pub fn with_records(self, records: RecordStyle) -> Show {
        Show { records, ..self }
    }

    /// How records of sessions are printed.
    pub fn records(&mut self) -> &mut RecordStyle {
        &mut self.records
    }

    /// Prints a record of a session that another process uses.
    pub fn record(&mut self, record: &Record) {
        if !self.records.only.has(record) {
            return;
        }
        self.print(|show| {
            if show.options.json {
                return show.output.record(record);
            }
            if !show.terminal {
                return show.output.text(records::row(record).as_bytes(), b"\n");
            }
            let lines = records::lines(record, &show.records, show.options.color);
            lines.iter().try_for_each(|line| show.output.text(line.as_bytes(), b"\n"))
        });
    }

    /// Prints how a run ended and what to type next, calls `then`, and returns the exit status. Waits for a slow reader,
    /// since no job is delayed by the wait; but `then` is called after a second.
    pub fn close(
        mut self,
        dir: &RunDir,
        ended: Result<RunEnd>,
        next: &NextCommands,
        then: impl FnOnce(),
    ) -> Result<Exit> {
        let has_left = matches!(ended, Ok(RunEnd::Left { .. }));
        self.print(|_| Ok(()));
        for _ in 0..100 {
            if self.is_closed || has_left || self.output.buffered() == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            self.print(|_| Ok(()));
        }
        let exit = self.report(dir, ended, next);
        then();
        if !self.is_closed && !has_left {
            let written = self.output.flush();
            self.record_write(written);
        }
        let log = format!("codex-agent run log {}", dir.name());
        match (exit, self.write_error.take()) {
            (Ok(_), Some(error)) => {
                Err(error.hint(format!("the run itself continued; '{log}' prints the events")))
            }
            (exit, _) => exit,
        }
    }

    /// Prints how a run ended and what to type next.
    fn report(&self, dir: &RunDir, ended: Result<RunEnd>, next: &NextCommands) -> Result<Exit> {
        let resume = &next.resume;
        let ended = ended.map_err(|error| {
            error.or_hint(format!("jobs may still be running; '{resume}' continues the run"))
        })?;
        let log = format!("codex-agent run log {}", dir.name());
        let exit = report_end(&ended, next, self.is_closed.then_some(&log));
        let has_answers = match exit {
            Exit::Done => true,
            Exit::Negative => self.has_answers,
            _ => false,
        };
        if has_answers && self.terminal && !self.options.json && !self.options.answers {
            status(format_args!("'{}' prints the answers", next.answers));
        }
        Ok(exit)
    }

    /// Records the result of a write.
    fn record_write(&mut self, written: Result<()>) {
        let Err(error) = written else { return };
        self.is_closed = true;
        if !error.is_broken_pipe() {
            self.write_error.get_or_insert(error);
        }
    }
}

impl Observer for Show {
    fn event(&mut self, event: &Event) {
        if self.terminal && !self.options.json {
            self.tallies.entry(event.run.clone()).or_default().add(event);
        }
        if let (Some(places), true, RunEvent::JobStarted { of, .. }) =
            (&mut self.places, self.live.is_some(), &event.what)
        {
            places(&of.job, true);
        }
        if let Some(live) = &mut self.live {
            match &event.what {
                RunEvent::RunWaiting { until, .. } => live.set_limited(*until),
                RunEvent::JobStarted { .. } | RunEvent::RunCompleted {} | RunEvent::RunStopped { .. } => {
                    live.set_limited(None);
                }
                _ => {}
            }
        }
        self.print(|show| show.write(event));
        self.has_answers |= matches!(event.what, RunEvent::JobCompleted { .. });
        match &event.what {
            RunEvent::JobCompleted { of, .. }
            | RunEvent::JobFailed { of, again: false, .. }
            | RunEvent::JobSkipped { of, withdrawn: false, .. } => {
                self.labels.remove(&(event.run.clone(), of.job.clone()));
            }
            RunEvent::RunCompleted {} | RunEvent::RunStopped { .. } => drop(self.tallies.remove(&event.run)),
            _ => {}
        }
    }

    fn wants_about(&self) -> bool {
        self.options.answers || (self.terminal && !self.options.json)
    }

    fn label(&mut self, run: &str, job: &str, about: &str) {
        self.labels.insert((run.to_owned(), job.to_owned()), about.to_owned());
    }

    fn wait(&mut self, text: &str) {
        // The live view has a line for this.
        if self.live.is_none() {
            self.status(text);
        }
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
                live.update(counts, jobs, self.options.color, &mut |job| find_number(places, job));
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

/// The number of a job: its place in the queue, or its id if that is short.
fn find_number(places: &mut Option<Places>, job: &str) -> String {
    match places {
        Some(places) => places(job, false).map(|place| place.to_string()).unwrap_or_default(),
        None if job.len() <= 6 => job.to_owned(),
        None => String::new(),
    }
}

/// A line of TAB-separated columns.
fn row(at: Timestamp, kind: &str, job: &str, session: Option<&str>, text: &str) -> String {
    [&at.to_string(), kind, &tsv(job), session.unwrap_or_default(), &tsv(text)].join("\t")
}

/// A reference to a session, which other tools accept: on a host, `HOST:ID`.
fn name_session(host: Option<&str>, id: Id) -> String {
    host.map_or_else(|| id.to_string(), |host| format!("{host}:{id}"))
}

/// The state of a job or run after an event, as a terminal shows it.
fn state(what: &RunEvent) -> (&'static str, Look) {
    match what {
        RunEvent::JobFailed { failure, .. } if failure.class.is_interrupted() => {
            ("interrupted", Look::Interrupted)
        }
        RunEvent::JobFailed { failure, .. } if failure.class == Class::UsageLimit => {
            ("limited", Look::Limited)
        }
        RunEvent::JobFailed { .. } => ("failed", Look::Failed),
        RunEvent::JobSkipped { withdrawn: true, .. } => ("pending", Look::Waiting),
        RunEvent::JobSkipped { .. } => ("skipped", Look::Waiting),
        RunEvent::RunWaiting { .. } => ("limited", Look::Limited),
        RunEvent::JobBound { .. } => ("sent", Look::Running),
        RunEvent::JobReturned { .. } => ("pending", Look::Waiting),
        RunEvent::HostUp { .. } => ("connected", Look::Dim),
        RunEvent::HostLost { .. } => ("lost", Look::Interrupted),
        RunEvent::JobCompleted { .. } => ("completed", Look::Plain),
        RunEvent::RunCompleted {} => ("ended", Look::Bold),
        RunEvent::RunStopped { .. } => ("stopped", Look::Interrupted),
        RunEvent::JobStarted { .. } => ("started", Look::Running),
        RunEvent::RunStarted { continued: true, .. } => ("continued", Look::Bold),
        _ => ("started", Look::Bold),
    }
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
        RunEvent::JobBound { of, .. } => format!("to host {}", of.host.as_deref().unwrap_or_default()),
        RunEvent::JobReturned { of, why, message, .. } => {
            format!("host {} returned it: {why}: {message}", of.host.as_deref().unwrap_or_default())
        }
        RunEvent::HostUp { host, version, codex, .. } => {
            let codex = codex.version.as_deref().unwrap_or("of unknown version");
            format!("host {host}, codex-agent {version}, Codex {codex}")
        }
        RunEvent::HostLost { host, why, given_up } => {
            let again = if *given_up { "" } else { "; trying again" };
            format!("host {host}: {why}{again}")
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
