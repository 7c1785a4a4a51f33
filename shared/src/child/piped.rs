//! A program that this process writes to and reads from, such as ssh.
//!
//! The program has a process group of its own: Ctrl-C of the terminal does not reach it, and [`Piped::kill`] reaches
//! every process that it started. A killed program alone could leave a process that holds its pipes open for ever.
//!
//! Standard error is read by a thread, and its end is kept for a message. Dropping the value kills the group, so that
//! an error on the way leaves no process; a program that may live on is never started here.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::limited::{EndKind, Group, kill, spawn};

/// The number of bytes of standard error that are kept.
const KEPT: usize = 64 << 10;

/// A running program with pipes.
pub struct Piped {
    child: Child,
    group: Group,
    end: Option<EndKind>,
    messages: Arc<Mutex<VecDeque<u8>>>,
    is_read: Receiver<()>,
}

impl Piped {
    /// Starts a command.
    pub fn start(command: &mut Command) -> io::Result<Piped> {
        let mut child = spawn(command, true)?;
        let group = Group(Pid::from_child(&child));
        let messages = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, is_read) = channel();
        if let Some(stderr) = child.stderr.take() {
            let messages = Arc::clone(&messages);
            std::thread::spawn(move || {
                keep_end(stderr, &messages);
                // The receiver may be gone.
                let _ = sender.send(());
            });
        }
        Ok(Piped { child, group, end: None, messages, is_read })
    }

    /// The process id, which is also that of the group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The standard input of the program. Only the first call returns it.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The standard output of the program. Only the first call returns it.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// How the program ended: [`EndKind::Code`] or [`EndKind::Signal`]; `None` while it runs. The rest of the group is
    /// killed at the end.
    pub fn end(&mut self) -> Option<EndKind> {
        if self.end.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            let by = || EndKind::Signal(status.signal().unwrap_or(0));
            self.end = Some(status.code().map_or_else(by, EndKind::Code));
            // The id of the group may belong to another one later.
            self.group.signal(Signal::KILL);
        }
        self.end
    }

    /// Waits for the end of the program, for at most this time.
    pub fn wait(&mut self, longest: Duration) -> Option<EndKind> {
        let start = Instant::now();
        loop {
            match self.end() {
                None if start.elapsed() < longest => std::thread::sleep(Duration::from_millis(2)),
                end => return end,
            }
        }
    }

    /// Kills the program, and every process of its group.
    pub fn kill(&mut self) {
        if self.end().is_none() {
            kill(&self.group, &mut self.child);
            self.end();
        }
    }

    /// The last lines of standard error, without blank ones. If the program has ended, its last bytes are waited for.
    pub fn messages(&mut self) -> Vec<String> {
        if self.end().is_some() {
            // A process that left the group may keep the pipe open for ever.
            let _ = self.is_read.recv_timeout(Duration::from_millis(200));
        }
        let bytes: Vec<u8> =
            self.messages.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.kill();
    }
}

fn keep_end(mut stderr: ChildStderr, messages: &Mutex<VecDeque<u8>>) {
    let mut chunk = vec![0; 8 << 10];
    loop {
        let count = match stderr.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(count @ 1..) => count,
            _ => return,
        };
        let mut kept = messages.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(&chunk[..count]);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn sh(script: &str) -> Piped {
        Piped::start(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn it_is_written_to_and_read_from() {
        let mut piped = sh("cat; echo bad >&2; exit 3");
        piped.stdin().unwrap().write_all(b"a\nb\n").unwrap();
        let mut text = String::new();
        piped.stdout().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "a\nb\n");
        assert_eq!(piped.wait(Duration::from_secs(20)), Some(EndKind::Code(3)));
        assert_eq!(piped.messages(), ["bad"]);
    }

    #[test]
    fn only_the_end_of_its_messages_is_kept() {
        let mut piped = sh("seq 1 100000 >&2");
        assert_eq!(piped.wait(Duration::from_secs(20)), Some(EndKind::Code(0)));
        let messages = piped.messages();
        assert!(messages.len() < 20_000 && messages.last().is_some_and(|last| last == "100000"));
    }

    #[test]
    fn a_process_that_holds_its_pipe_is_killed_too() {
        let start = Instant::now();
        let mut piped = sh("sleep 60 & exec sleep 60");
        let mut stdout = piped.stdout().unwrap();
        assert_eq!(piped.wait(Duration::from_millis(100)), None);
        piped.kill();
        stdout.read_to_end(&mut Vec::new()).unwrap();
        assert!(start.elapsed() < Duration::from_secs(30));
        assert_eq!(piped.end(), Some(EndKind::Signal(9)));
    }
}
