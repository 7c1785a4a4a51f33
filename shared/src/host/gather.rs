//! The output of a tool on several hosts, merged.
//!
//! Every host is asked at the same time, and a thread for each reads its answer. A host that is silent for too long is
//! given up, a signal to this process gives up all of them: their processes are killed. A reader that waits, such as a
//! pager, makes the hosts wait, which is not their silence. A host that fails causes one warning, and the others continue.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::process::ChildStdout;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Host;
use super::failure::{Talk, failure, messages_of_tool};
use super::protocol::{Hello, PROTOCOL, Request, SERVE};
use crate::child::limited::{EndKind, received_signal};
use crate::child::piped::Piped;
use crate::error::{Exit, Result, warn};
use crate::ndjson::LONGEST_LINE;

/// The time that a host may be silent before its codex-agent answers.
const UNTIL_HELLO: Duration = Duration::from_secs(3);

/// The bytes of a greeting, before its codex-agent answers.
const GREETING: usize = 1 << 20;

/// The blocks of output that wait for the reader.
const WAITING: usize = 16;

/// The request to one host.
pub struct Ask {
    /// The host.
    pub host: Host,
    /// The request.
    pub request: Request,
    /// The lines that follow the request.
    pub input: Vec<u8>,
}

/// How output is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Each line as it comes.
    Lines,
    /// One host after the other.
    Hosts,
}

/// A tool on hosts.
pub struct Gather {
    /// The name of the tool, such as `ls`.
    pub tool: &'static str,
    /// How the output is merged.
    pub merge: Merge,
    /// The end of a line.
    pub end: u8,
    /// The time that a host may be silent after it has answered.
    pub silence: Duration,
    /// Whether a last line without its end is complete.
    pub keeps_rest: bool,
    /// The most bytes of a host that are passed on, for a listing that is kept in memory.
    pub longest: u64,
}

/// The part of the talk that the thread of a host writes.
struct Shared {
    talk: Talk,
    heard: Instant,
    /// Whether the reader of this process is waited for.
    is_held: bool,
}

struct Conversation {
    host: Host,
    piped: Piped,
    blocks: Receiver<Vec<u8>>,
    shared: Arc<Mutex<Shared>>,
    /// The bytes that were passed on.
    passed: u64,
    /// Whether all of the output was passed on.
    is_over: bool,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gather {
    /// Asks hosts, and passes each line of the output on, without its end, with the index of the host. The function
    /// returns whether more is wanted. The exit status is [`Exit::Trouble`] if a host failed; otherwise
    /// [`Exit::Done`] if a tool ended with it, and [`Exit::Negative`] if all of them did.
    pub fn run(&self, asks: Vec<Ask>, take: &mut dyn FnMut(usize, &[u8]) -> Result<bool>) -> Result<Exit> {
        let (wake, woken) = channel();
        let mut exits: Vec<Exit> = Vec::new();
        let mut all: Vec<Option<Conversation>> = Vec::new();
        let mut order = VecDeque::new();
        for (at, ask) in asks.into_iter().enumerate() {
            let begun = self.begin(at, ask, &wake);
            if let Err(error) = &begun {
                warn(with_hint(error));
                exits.push(Exit::Trouble);
            } else {
                order.push_back(at);
            }
            all.push(begun.ok());
        }
        while let Some(current) = order.front().copied() {
            // Silence and signals are looked at now and then.
            let at = woken.recv_timeout(Duration::from_millis(20)).ok();
            if let Some(signal) = received_signal() {
                return Ok(Exit::Theirs(u8::try_from(128 + signal).unwrap_or(2)));
            }
            let ready = match (self.merge, at) {
                (Merge::Lines, at) => at,
                (Merge::Hosts, _) => Some(current),
            };
            if let Some(one) = ready.and_then(|at| all[at].as_mut())
                && !one.is_over
                && !self.drain(ready.unwrap_or_default(), one, take)?
            {
                exits.push(Exit::Done);
                return Ok(exit_of(&exits));
            }
            for (at, one) in all.iter_mut().enumerate() {
                let Some(talk) = one.as_mut() else { continue };
                let ended = match talk.is_over && talk.passed <= self.longest {
                    true => Some(self.end(talk)),
                    false => self.trouble_of(talk).map(|why| {
                        warn(format_args!("host '{}': {why}", talk.host.name));
                        Exit::Trouble
                    }),
                };
                if let Some(exit) = ended {
                    exits.push(exit);
                    // The processes are killed.
                    *one = None;
                    order.retain(|other| *other != at);
                }
            }
        }
        Ok(exit_of(&exits))
    }

    /// Starts the command, and the threads that write to it and read from it.
    fn begin(&self, at: usize, ask: Ask, wake: &Sender<usize>) -> Result<Conversation> {
        let Ask { host, request, input } = ask;
        let mut piped = host.start(&[self.tool, SERVE])?;
        let shared = Shared { talk: Talk::default(), heard: Instant::now(), is_held: false };
        let shared = Arc::new(Mutex::new(shared));
        let (blocks, received) = sync_channel(WAITING);
        if let Some(mut stdin) = piped.stdin() {
            std::thread::spawn(move || {
                // The command may end before it has read all.
                let line = serde_json::to_vec(&request).unwrap_or_default();
                let _ = stdin.write_all(&[&line[..], b"\n"].concat()).and_then(|()| stdin.write_all(&input));
            });
        }
        if let Some(stdout) = piped.stdout() {
            let (shared, wake) = (Arc::clone(&shared), wake.clone());
            let (end, keeps_rest) = (self.end, self.keeps_rest);
            std::thread::spawn(move || {
                let rest = read(stdout, end, &blocks, &shared, || {
                    // The other side may want no more.
                    let _ = wake.send(at);
                });
                if !rest.is_empty() {
                    match keeps_rest {
                        true => drop(blocks.send(rest)),
                        false => lock(&shared).talk.is_torn = true,
                    }
                }
                drop(blocks);
                let _ = wake.send(at);
            });
        }
        Ok(Conversation { host, piped, blocks: received, shared, passed: 0, is_over: false })
    }

    /// Passes on the lines that have come; returns whether more is wanted.
    fn drain(
        &self,
        at: usize,
        one: &mut Conversation,
        take: &mut dyn FnMut(usize, &[u8]) -> Result<bool>,
    ) -> Result<bool> {
        loop {
            let block = match one.blocks.try_recv() {
                Ok(block) => block,
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => {
                    one.is_over = true;
                    return Ok(true);
                }
            };
            one.passed += block.len() as u64;
            if one.passed > self.longest {
                return Ok(true);
            }
            for line in lines_of(&block, self.end) {
                if !take(at, line)? {
                    return Ok(false);
                }
            }
        }
    }

    /// Why a host is given up, if it is.
    fn trouble_of(&self, one: &Conversation) -> Option<String> {
        if one.passed > self.longest {
            return Some(format!("its listing is longer than {} MiB; --limit bounds it", self.longest >> 20));
        }
        let shared = lock(&one.shared);
        let has_answered = shared.talk.protocol.is_some();
        let patience = one.host.connect_timeout.unwrap_or(UNTIL_HELLO);
        let most = if has_answered { self.silence } else { patience };
        let silence = shared.heard.elapsed();
        let what = if has_answered { "" } else { " from codex-agent" };
        (!shared.is_held && silence > most)
            .then(|| format!("no answer{what} for {} seconds", silence.as_secs().max(most.as_secs())))
    }

    /// The end of a host whose output is complete. Warnings of its tool are passed on.
    fn end(&self, one: &mut Conversation) -> Exit {
        let shared = lock(&one.shared);
        let is_refused =
            shared.talk.is_babble || shared.talk.protocol.is_some_and(|theirs| theirs != PROTOCOL);
        drop(shared);
        if is_refused {
            one.piped.kill();
        }
        let end = one.piped.wait(Duration::from_secs(1));
        let messages = one.piped.messages();
        let shared = lock(&one.shared);
        let name = &one.host.name;
        if let Some(why) = failure(&one.host, self.tool, &shared.talk, end, &messages) {
            warn(format_args!("host '{name}': {why}"));
            return Exit::Trouble;
        }
        messages_of_tool(&messages).iter().for_each(|message| warn(format_args!("host '{name}': {message}")));
        match end {
            Some(EndKind::Code(0)) => Exit::Done,
            Some(EndKind::Code(1)) => Exit::Negative,
            _ => Exit::Trouble,
        }
    }
}

fn with_hint(error: &crate::error::Error) -> String {
    match error.hints() {
        Some(hint) => format!("{}; {hint}", error.message()),
        None => error.message().to_owned(),
    }
}

/// The exit status of several tools.
fn exit_of(exits: &[Exit]) -> Exit {
    [Exit::Trouble, Exit::Done].into_iter().find(|exit| exits.contains(exit)).unwrap_or(Exit::Negative)
}

/// The lines of a block, without their ends.
fn lines_of(block: &[u8], end: u8) -> impl Iterator<Item = &[u8]> {
    let block = block.strip_suffix(&[end]).unwrap_or(block);
    block.split(move |byte| *byte == end)
}

/// Reads the answer and the output of a host: blocks of whole lines. Returns the rest without an end of line.
fn read(
    mut stdout: ChildStdout,
    end: u8,
    blocks: &SyncSender<Vec<u8>>,
    shared: &Mutex<Shared>,
    wake: impl Fn(),
) -> Vec<u8> {
    let mut chunk = vec![0; 64 << 10];
    let mut rest: Vec<u8> = Vec::new();
    let (mut greeting, mut has_answered) = (0, false);
    loop {
        let count = match stdout.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(count @ 1..) => count,
            _ => break,
        };
        lock(shared).heard = Instant::now();
        rest.extend_from_slice(&chunk[..count]);
        if !has_answered {
            let mut from = 0;
            while let Some(at) = memchr::memchr(b'\n', &rest[from..]).filter(|_| !has_answered) {
                if let Some(hello) = Hello::parse(&rest[from..from + at]) {
                    let mut shared = lock(shared);
                    (shared.talk.protocol, shared.talk.version) = (Some(hello.protocol), hello.version);
                    has_answered = true;
                    if hello.protocol != PROTOCOL {
                        return Vec::new();
                    }
                }
                from += at + 1;
            }
            rest.drain(..from);
            greeting += from;
        }
        if (!has_answered && greeting + rest.len() > GREETING) || rest.len() > LONGEST_LINE {
            lock(shared).talk.is_babble = !has_answered;
            lock(shared).talk.is_torn = has_answered;
            return Vec::new();
        }
        if let Some(at) = memchr::memrchr(end, &rest).filter(|_| has_answered) {
            let after = rest.split_off(at + 1);
            if !send(std::mem::replace(&mut rest, after), blocks, shared, &wake) {
                return Vec::new();
            }
        }
    }
    if has_answered { rest } else { Vec::new() }
}

/// Passes a block on, and waits until there is room for it.
fn send(block: Vec<u8>, blocks: &SyncSender<Vec<u8>>, shared: &Mutex<Shared>, wake: &impl Fn()) -> bool {
    lock(shared).is_held = true;
    let is_sent = blocks.send(block).is_ok();
    {
        let mut shared = lock(shared);
        (shared.is_held, shared.heard) = (false, Instant::now());
    }
    wake();
    is_sent
}
