//! The connection to the worker of a host: a command with pipes, and the records that come through them.
//!
//! Nothing here waits: what does not fit into a pipe is kept, and read is what has arrived. A line that is no record is
//! passed over, unless a record begins in it: a command that dies in the middle of a line may tear it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::record::event::{Event, JobEvent, JobRef};
use crate::record::worker::WorkerHello;
use codex_agent_shared::child::limited::EndKind;
use codex_agent_shared::child::piped::Piped;
use codex_agent_shared::child::signals::Awaited;
use codex_agent_shared::error::{Error, Result, reason};
use codex_agent_shared::host::{Host, Unanswered, unanswered};
use codex_agent_shared::ndjson::{Lines, RawLine};

/// The most lines that are read at a time, so that signals are handled in between.
const MOST_LINES: usize = 1000;
/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 32 << 20;
/// The most bytes that are read at a time: a host decides how long its lines are.
const MOST_BYTES: usize = 8 << 20;
/// The most bytes that a command may print before the greeting of the worker.
const MOST_BABBLE: u64 = 256 << 10;
/// How long a command may take to end after its input has ended.
const GRACE: Duration = Duration::from_secs(2);

/// What came from a host.
pub(in crate::run) enum News {
    /// The worker greets.
    Hello(Box<WorkerHello>),
    /// The greeting is of a protocol that this release does not know.
    OtherProtocol(u32),
    /// An event of a job.
    Event(Box<Event>),
    /// A line that Codex printed for a job.
    Line(JobRef, Box<RawValue>),
    /// The connection ended.
    End,
}

/// A connection.
pub(in crate::run) struct Link {
    process: Piped,
    input: Option<ChildStdin>,
    output: Lines<ChildStdout>,
    unsent: VecDeque<u8>,
    is_greeted: bool,
    /// Whether the command has closed its input.
    is_closed: bool,
}

impl Link {
    /// Starts the worker of a host.
    pub(in crate::run) fn start(host: &Host) -> Result<Link> {
        let mut process = host.start(&["run", "--worker"])?;
        let failed = |error: io::Error| Error::new(format!("host '{}': {}", host.name, reason(&error)));
        let (Some(input), Some(output)) = (process.stdin(), process.stdout()) else {
            return Err(Error::new(format!("host '{}': the command has no pipes", host.name)));
        };
        let set = |file: &dyn AsFd| rustix::io::ioctl_fionbio(file.as_fd(), true).map_err(io::Error::from);
        set(&input).and_then(|()| set(&output)).map_err(failed)?;
        Ok(Link {
            process,
            input: Some(input),
            output: Lines::new(output, 64 << 10),
            unsent: VecDeque::new(),
            is_greeted: false,
            is_closed: false,
        })
    }

    /// The files that can end a wait.
    pub(in crate::run) fn files(&self) -> impl Iterator<Item = Awaited<'_>> {
        let readable = Awaited::Readable(self.output.reader().as_fd());
        let writable = self.input.as_ref().filter(|_| !self.unsent.is_empty());
        [readable].into_iter().chain(writable.map(|input| Awaited::Writable(input.as_fd())))
    }

    /// Whether a line that has arrived was not passed on yet.
    pub(in crate::run) fn has_more(&self) -> bool {
        self.output.is_ready()
    }

    /// Sends a record, as far as the pipe takes it now.
    pub(in crate::run) fn send(&mut self, record: &impl Serialize) -> Result<()> {
        if self.is_closed {
            return Ok(());
        }
        serde_json::to_writer(&mut self.unsent, record)
            .map_err(|error| Error::new(format!("cannot write a record: {error}")))?;
        self.unsent.push_back(b'\n');
        self.flush();
        Ok(())
    }

    fn flush(&mut self) {
        while let Some(input) = self.input.as_mut().filter(|_| !self.unsent.is_empty()) {
            let (front, _) = self.unsent.as_slices();
            match input.write(front) {
                Ok(count) if count > 0 => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The end of the output explains it.
                _ => {
                    (self.input, self.is_closed) = (None, true);
                    self.unsent.clear();
                }
            }
        }
        self.unsent.shrink_to(64 << 10);
    }

    /// Passes what has arrived to `each`. After [`News::End`] the connection is of no use.
    pub(in crate::run) fn read(&mut self, each: &mut dyn FnMut(News)) {
        self.flush();
        let mut bytes = 0;
        for _ in 0..MOST_LINES {
            if bytes > MOST_BYTES {
                break;
            }
            let line = match self.output.next() {
                Ok(Some(RawLine::Whole(line))) => line,
                Ok(Some(RawLine::TooLong)) => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // A process that holds the pipe may outlive the command.
                    if self.process.end().is_none() {
                        break;
                    }
                    return each(News::End);
                }
                Ok(None) | Err(_) => return each(News::End),
            };
            bytes += line.len();
            // The lines of a worker are shorter.
            if line.len() > LONGEST_LINE {
                continue;
            }
            let line = line.trim_ascii();
            match parse(line) {
                Some(News::Hello(_)) if self.is_greeted => {}
                Some(news) => {
                    self.is_greeted |= matches!(news, News::Hello(_));
                    each(news);
                }
                None => {}
            }
        }
        if self.is_closed || (!self.is_greeted && self.output.bytes_read() > MOST_BABBLE) {
            each(News::End);
        }
    }

    /// Why the connection ended.
    pub(in crate::run) fn explain(&mut self, host: &Host) -> Unanswered {
        let end = self.process.wait(Duration::from_millis(500));
        if end.is_none() {
            self.process.kill();
        }
        let messages = self.process.messages();
        if !self.is_greeted {
            let is_babble = self.output.bytes_read() > MOST_BABBLE;
            return unanswered(host, ("codex-agent run --on", "--worker"), is_babble, end, &messages);
        }
        let how = match end {
            Some(EndKind::Signal(signal)) => format!("the connection was killed by signal {signal}"),
            _ => "the connection ended".to_owned(),
        };
        let why = messages.last().map_or(how.clone(), |last| format!("{how}: {}", last.trim()));
        Unanswered { why, is_lasting: false }
    }

    /// Ends the input of the worker, which leaves then.
    pub(in crate::run) fn end_input(&mut self) {
        self.flush();
        self.input = None;
    }

    /// Ends the connection. The worker leaves, and its jobs live on.
    pub(in crate::run) fn close(mut self) {
        self.end_input();
        self.process.wait(GRACE);
    }

    /// Kills the command: the host does not answer.
    pub(in crate::run) fn kill(&mut self) {
        self.process.kill();
    }
}

/// Reads a record. A line that is none may have one at its end, behind the beginning of another.
fn parse(line: &[u8]) -> Option<News> {
    const BEGIN: &[u8] = b"{\"type\":\"";
    parse_whole(line).or_else(|| {
        let mut starts = memchr::memmem::rfind_iter(line, BEGIN).take(4);
        starts.find_map(|at| parse_whole(&line[at..]))
    })
}

fn parse_whole(line: &[u8]) -> Option<News> {
    #[derive(Deserialize)]
    struct Head<'h> {
        #[serde(rename = "type", borrow)]
        kind: std::borrow::Cow<'h, str>,
        protocol: Option<u32>,
    }
    #[derive(Deserialize)]
    struct CodexLine {
        #[serde(flatten)]
        of: JobRef,
        event: Box<RawValue>,
    }
    if line.first() != Some(&b'{') {
        return None;
    }
    let head: Head<'_> = serde_json::from_slice(line).ok()?;
    match &*head.kind {
        WorkerHello::TYPE => match head.protocol {
            Some(crate::record::worker::PROTOCOL) => Some(News::Hello(serde_json::from_slice(line).ok()?)),
            Some(other) => Some(News::OtherProtocol(other)),
            None => None,
        },
        JobEvent::TYPE => {
            let CodexLine { of, event } = serde_json::from_slice(line).ok()?;
            Some(News::Line(of, event))
        }
        _ => Some(News::Event(serde_json::from_slice(line).ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_does_not_hide_the_next_record() {
        let hello = r#"{"type":"worker.hello","protocol":1,"version":"0","codex":{"path":null,"version":null},"place":"p","boot":null,"cpus":2}"#;
        let event = r#"{"type":"run.completed","v":1,"run":"r","at":"2026-11-22T10:00:00.000Z","counts":{"pending":0,"running":0,"completed":0,"failed":0,"skipped":0}}"#;
        let kind = |line: &str| match parse(line.as_bytes()) {
            Some(News::Hello(_)) => "hello",
            Some(News::Event(_)) => "event",
            Some(News::OtherProtocol(_)) => "other",
            Some(_) => "?",
            None => "none",
        };
        for cut in 0..event.len() {
            assert_eq!(kind(&format!("{}{event}", &event[..cut])), "event", "{cut}");
            assert_eq!(kind(&format!("{}{hello}", &event[..cut])), "hello", "{cut}");
            assert_eq!(kind(&event[..cut]), "none", "{cut}");
        }
        assert_eq!(kind(&hello.replace("\"protocol\":1", "\"protocol\":2")), "other");
        assert_eq!(kind("Welcome to the host"), "none");
        assert_eq!(kind(r#"{"type":"unknown"}"#), "none");
    }
}
