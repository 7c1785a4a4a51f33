//! The jobs of a worker: those of a run of another machine, which come as records on standard input.
//!
//! **Promise.** A job is known by its run and its id. An attempt that the journal of the worker has is never begun again:
//! its events are printed again, and followed. A job that cannot be started now is given back at once, with the reason.
//!
//! Only events of jobs that were asked for by this connection are printed, each job with one end: `job.completed`,
//! `job.failed`, or `job.skipped` with `withdrawn`, after which the job can be asked for again.
//!
//! **End.** At the end of the input, or when the output is closed, the worker leaves and its jobs live on. The next
//! worker of the same run adopts them.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use crate::disk::journal::{Entry, JournalReader};
use crate::disk::progress::{RunProgress, State};
use crate::disk::run_dir::RunDir;
use crate::process::spawn;
use crate::record::event::{Counts, Event, JobEvent, JobRef, RunEvent};
use crate::record::failure::{Class, Failure};
use crate::record::file::FileUse;
use crate::record::job::Job;
use crate::record::worker::JobStop;
use crate::run::feed::{JobFeed, NextJob, Occupied, Offer, Request};
use crate::run::observer::Observer;
use codex_agent_shared::error::{self, Error, Result};
use codex_agent_shared::ndjson::{Lines, Output, RawLine};
use codex_agent_shared::store::private;
use codex_agent_shared::text::{cell, fingerprint};

/// The limit of buffered output, in bytes. A run may stop reading.
const KEPT: usize = 64 << 20;

/// Standard input, read only if that does not wait.
pub struct Input(io::Stdin);

impl Input {
    /// Standard input.
    pub fn stdin() -> Input {
        Input(io::stdin())
    }

    /// Waits until there is something to read.
    fn wait(&self, longest: Option<Duration>) -> bool {
        let timeout = longest.map(|longest| Timespec {
            tv_sec: longest.as_secs() as i64,
            tv_nsec: i64::from(longest.subsec_nanos()),
        });
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut fds, timeout.as_ref()).is_ok_and(|count| count > 0)
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.wait(Some(Duration::ZERO)) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(rustix::io::read(&self.0, buffer)?)
    }
}

/// A record of the run.
#[derive(Debug)]
pub enum Order {
    /// A job to carry out.
    Job(Box<Job>),
    /// A request to stop a job.
    Stop(JobStop),
}

/// A record that cannot be read, and the job that it is about.
struct Rejected {
    id: Option<String>,
    error: Error,
}

/// The records of the run.
pub struct Orders {
    lines: Lines<Input>,
}

impl Orders {
    /// The records of an input.
    pub fn new(input: Input) -> Orders {
        Orders { lines: Lines::new(input, 64 << 10) }
    }

    /// The next record that has arrived; `None` at the end. An error of the kind `WouldBlock` means that none has.
    fn take(&mut self) -> io::Result<Option<std::result::Result<Order, Rejected>>> {
        #[derive(Deserialize)]
        struct Head<'h> {
            #[serde(rename = "type", borrow)]
            kind: std::borrow::Cow<'h, str>,
            #[serde(default)]
            id: Option<String>,
        }
        loop {
            let Some(line) = self.lines.next()? else { return Ok(None) };
            let line = match line {
                RawLine::Whole(line) => line,
                RawLine::TooLong => {
                    return Ok(Some(Err(Rejected { id: None, error: Error::new("a record is too long") })));
                }
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let invalid = |error: serde_json::Error| Error::new(format!("invalid record: {error}"));
            let (id, order) = match serde_json::from_slice::<Head<'_>>(line) {
                Ok(head) if head.kind == JobStop::TYPE => {
                    (None, serde_json::from_slice(line).map(Order::Stop).map_err(invalid))
                }
                Ok(Head { kind, id }) if kind == "job" => {
                    let job = serde_json::from_slice::<Job>(line).map_err(invalid);
                    (id, job.and_then(|job| Ok(Order::Job(Box::new(job.validate()?)))))
                }
                // A type of a later release.
                Ok(_) => continue,
                Err(error) => (None, Err(invalid(error))),
            };
            return Ok(Some(order.map_err(|error| Rejected { id, error })));
        }
    }

    /// Waits for the first record; `None` if the input ends before.
    pub fn wait(&mut self) -> Result<Option<Order>> {
        loop {
            match self.take() {
                Ok(order) => return order.transpose().map_err(|Rejected { error, .. }| error),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.lines.reader().wait(None);
                }
                Err(error) => return Err(input_error(&error)),
            }
        }
    }
}

fn input_error(error: &io::Error) -> Error {
    Error::new(format!("cannot read standard input: {}", error::reason(error)))
}

/// The side of a worker that speaks.
struct Speaker {
    output: Output,
    /// The run, as the other machine names it.
    run: String,
    /// The jobs that were asked for and have not ended since.
    asked: HashSet<String>,
    /// Whether the output is closed.
    is_closed: bool,
}

impl Speaker {
    fn print(&mut self, write: impl FnOnce(&mut Output) -> Result<()>) {
        let written = write(&mut self.output).and_then(|()| self.output.write_available());
        self.is_closed |= written.is_err() || self.output.buffered() > KEPT;
    }

    /// Prints an event of a job that was asked for.
    fn event(&mut self, mut event: Event) {
        let Some(of) = event.what.job_ref() else { return };
        if !self.asked.contains(&of.job) {
            return;
        }
        if event.what.ends_attempt() {
            let job = of.job.clone();
            self.asked.remove(&job);
        }
        event.run.clone_from(&self.run);
        self.print(|output| output.record(&event));
    }
}

/// The jobs of a worker.
pub struct WorkerFeed {
    orders: Orders,
    speaker: Rc<RefCell<Speaker>>,
    stdout: io::Stdout,
    dir: RunDir,
    /// The run and the name of this host, as the other machine names them.
    served: (String, String),
    /// The jobs that were asked for and not offered yet.
    pending: VecDeque<Offer>,
    /// The jobs whose events are to be printed again, each since an attempt.
    replays: HashMap<String, u32>,
    /// The record that came before the feed was made.
    first: Option<Order>,
}

/// Prints the events of a worker.
pub struct WorkerPrinter {
    speaker: Rc<RefCell<Speaker>>,
    with_lines: bool,
}

impl WorkerFeed {
    /// The feed of the worker whose run is in `dir`, and its printer. `first` was read already.
    pub fn new(
        orders: Orders,
        output: Output,
        dir: &RunDir,
        (run, host): (&str, &str),
        first: Order,
    ) -> (WorkerFeed, WorkerPrinter) {
        let with_lines = matches!(&first, Order::Job(job) if job.events);
        let (asked, is_closed) = (HashSet::new(), false);
        let speaker = Rc::new(RefCell::new(Speaker { output, run: run.to_owned(), asked, is_closed }));
        let printer = WorkerPrinter { speaker: Rc::clone(&speaker), with_lines };
        let (served, pending) = ((run.to_owned(), host.to_owned()), VecDeque::new());
        let (stdout, dir, first) = (io::stdout(), dir.clone(), Some(first));
        let replays = HashMap::new();
        (WorkerFeed { orders, speaker, stdout, dir, served, pending, replays, first }, printer)
    }

    fn say(&self, of: JobRef, what: impl FnOnce(JobRef) -> RunEvent) {
        let event = Event::new(self.dir.name(), what(of));
        self.speaker.borrow_mut().event(event);
    }

    /// Prints the events of the jobs to replay again, as the journal has them.
    fn replay(&mut self) -> Result<()> {
        let since = std::mem::take(&mut self.replays);
        if since.is_empty() {
            return Ok(());
        }
        let mut speaker = self.speaker.borrow_mut();
        JournalReader::open(&self.dir.journal())?.read(|entry| {
            // What was returned is pending, and no event of an attempt.
            if let Entry::Event(event) = entry
                && !event.what.is_withdrawal()
                && event
                    .what
                    .job_ref()
                    .is_some_and(|of| since.get(&of.job).is_some_and(|first| of.attempt >= *first))
            {
                speaker.event(*event);
            }
            Ok(())
        })
    }

    /// Accepts the records that have arrived. Returns whether no more will.
    fn accept_all(&mut self, run: &RunProgress, requests: &mut Vec<Request>) -> Result<bool> {
        if let Some(first) = self.first.take() {
            self.accept(first, run, requests)?;
        }
        while !self.speaker.borrow().is_closed {
            match self.orders.take() {
                Ok(Some(Ok(order))) => self.accept(order, run, requests)?,
                Ok(Some(Err(Rejected { id: Some(id), error }))) => {
                    self.speaker.borrow_mut().asked.insert(id.clone());
                    let of = JobRef { job: id, ..JobRef::default() };
                    self.say(of, |of| RunEvent::failed(of, Failure::new(Class::Refused, error.message())));
                }
                Ok(Some(Err(Rejected { error, .. }))) => return Err(error),
                Ok(None) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(input_error(&error)),
            }
        }
        Ok(true)
    }

    fn accept(&mut self, order: Order, run: &RunProgress, requests: &mut Vec<Request>) -> Result<()> {
        let (of_run, of_host, id, attempt) = match &order {
            Order::Job(job) => (job.run.clone(), job.host.clone(), job.id.clone(), job.attempt),
            Order::Stop(stop) => {
                (Some(stop.run.clone()), Some(stop.host.clone()), stop.id.clone(), stop.attempt)
            }
        };
        if (of_run.as_deref(), of_host.as_deref()) != (Some(&self.served.0), Some(&self.served.1)) {
            let (run, host) = &self.served;
            return Err(Error::new(format!("a record is not of run '{run}' and host '{host}'")));
        }
        self.speaker.borrow_mut().asked.insert(id.clone());
        let known = run.position(&id).map(|at| &run.all[at]);
        let of = known.map_or_else(|| JobRef { job: id.clone(), ..JobRef::default() }, |job| job.of.clone());
        match order {
            Order::Stop(_) => {
                let is_waiting = self.pending.iter().any(|job| job.id == id);
                self.pending.retain(|job| job.id != id);
                match known.map(|job| job.state) {
                    Some(State::Running) => {
                        self.replays.insert(id.clone(), of.attempt);
                        requests.push(Request::Stop(id));
                    }
                    Some(State::Completed | State::Failed { .. }) if !is_waiting && of.attempt >= attempt => {
                        self.replays.insert(id, of.attempt);
                    }
                    _ => self.say(of, |of| {
                        RunEvent::returned(of, Failure::new(Class::Stopped, "the job was not begun"))
                    }),
                }
            }
            Order::Job(job) => match known.map(|job| job.state) {
                // The job is about to be started.
                _ if self.pending.iter().any(|pending| pending.id == id) => {}
                None if job.begun => {
                    let message = "the host does not know the job any more, although it was begun there";
                    let failure = Failure::new(Class::Interrupted, message);
                    self.say(of, |of| RunEvent::failed(of, failure));
                }
                Some(State::Running) => {
                    self.replays.insert(id, job.attempt.min(of.attempt));
                }
                Some(State::Completed | State::Failed { .. }) if of.attempt >= job.attempt => {
                    self.replays.insert(id, job.attempt);
                }
                // It was begun and never sent. The plan here has its files, which the other machine may have lost.
                Some(State::Pending) if job.begun => {
                    self.pending.push_back(Offer { id, job: None, resent: job.resent, lock: None });
                }
                _ => match self.unpack(*job) {
                    Ok(job) => {
                        let resent = job.resent;
                        self.pending.push_back(Offer { id, job: Some(job), resent, lock: None });
                    }
                    Err(failure) => self.say(of, |of| RunEvent::failed(of, failure)),
                },
            },
        }
        Ok(())
    }

    /// Makes a job of a record: its files are written into the directory of the run.
    fn unpack(&self, mut job: Job) -> std::result::Result<Job, Failure> {
        if spawn::depth().max(job.depth) >= spawn::DEEPEST {
            let message = format!("runs within jobs may not be nested more than {} deep", spawn::DEEPEST);
            return Err(Failure::new(Class::Refused, message));
        }
        let place = self.dir.path().join("files").join(fingerprint(job.id.as_bytes()));
        for (at, file) in std::mem::take(&mut job.files).into_iter().enumerate() {
            let name = Path::new(&file.name).extension().and_then(|kind| kind.to_str()).unwrap_or("img");
            let kind: String = name.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
            let write = || -> Result<PathBuf> {
                let contents = file.contents()?;
                private::create_dir(&place)?;
                let path = place.join(format!("{}.{kind}", at + 1));
                private::write(&path, &contents)?;
                Ok(path)
            };
            let path = write().map_err(|error| Failure::from_error(&error))?.to_string_lossy().into_owned();
            match file.purpose {
                FileUse::Image => job.images.push(path),
                FileUse::Schema => job.options.output_schema = Some(path),
            }
        }
        (job.host, job.settings, job.codex_home, job.begun) = (None, None, None, false);
        Ok(job)
    }
}

impl JobFeed for WorkerFeed {
    fn next(&mut self, _run: &RunProgress, _occupied: Occupied<'_>) -> Result<NextJob> {
        Ok(match self.pending.pop_front() {
            Some(offer) => NextJob::Offered(Box::new(offer)),
            None => NextJob::Later(Instant::now() + Duration::from_secs(60)),
        })
    }

    fn give_back(&mut self, _run: &RunProgress, _job: &str, _due: Instant) {
        // The event that preceded gave the job back to the run of the other machine.
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        Some(self.orders.lines.reader().0.as_fd())
    }

    fn output(&self) -> Option<BorrowedFd<'_>> {
        (self.speaker.borrow().output.buffered() > 0).then(|| self.stdout.as_fd())
    }

    fn take_requests(&mut self, run: &RunProgress) -> Result<Vec<Request>> {
        let mut requests = Vec::new();
        let is_over = self.accept_all(run, &mut requests)?;
        self.replay()?;
        // Output that did not fit into the pipe.
        let mut speaker = self.speaker.borrow_mut();
        if speaker.output.buffered() > 0 {
            speaker.print(|_| Ok(()));
        }
        requests.extend((is_over || speaker.is_closed).then_some(Request::Leave));
        Ok(requests)
    }

    fn is_of_worker(&self) -> bool {
        true
    }
}

impl Observer for WorkerPrinter {
    fn event(&mut self, event: &Event) {
        self.speaker.borrow_mut().event(event.clone());
    }

    fn wants_lines(&self) -> bool {
        self.with_lines
    }

    fn line(&mut self, _run: &str, of: &JobRef, line: &[u8]) {
        let mut speaker = self.speaker.borrow_mut();
        if !speaker.asked.contains(&of.job) {
            return;
        }
        let run = speaker.run.clone();
        if let Some(record) = JobEvent::new(&run, of, line) {
            speaker.print(|output| output.record(&record));
        }
    }

    fn status(&mut self, text: &str) {
        error::status(text);
    }

    fn warn(&mut self, text: &str) {
        error::warn(cell(text, 4000));
    }

    fn show_running(
        &mut self,
        _counts: Counts,
        _jobs: &mut dyn Iterator<Item = crate::run::observer::RunningJob<'_>>,
    ) {
    }
}
