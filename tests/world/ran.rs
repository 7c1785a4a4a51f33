//! A command that has ended, and checks of its exit code and its streams.
//!
//! Each check gives the [`Ran`] again, so that checks make a chain: `ran.exits(2).reports("no queue 'q'")`. A check
//! that fails prints what it expected, the command, the exit code and both streams.

use std::fmt::{Debug, Display, Formatter, Result};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

#[derive(Clone, Debug)]
pub struct Ran {
    /// The executable and its arguments.
    pub command: String,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// The exit code; 128 and the signal where a signal ended the command.
    pub code: i32,
    /// The case of a test that has many.
    pub case: String,
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran::new(command, &output)
}

/// Runs a command to its end, with this on standard input.
pub fn feed(command: &mut Command, input: impl AsRef<[u8]>) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = input.as_ref().to_vec();
    // A command may close the pipe before it has read everything.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ran::new(command, &output)
}

impl Ran {
    pub fn new(command: &Command, output: &Output) -> Ran {
        let words = [command.get_program()].into_iter().chain(command.get_args());
        Ran {
            command: words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
            case: String::new(),
        }
    }

    /// The same command, whose failed checks name the case of the test.
    pub fn case(&self, case: impl Debug) -> Ran {
        Ran { case: format!("case {case:?}\n"), ..self.clone() }
    }

    #[track_caller]
    pub fn succeeds(&self) -> &Ran {
        self.exits(0)
    }

    #[track_caller]
    pub fn exits(&self, code: i32) -> &Ran {
        assert!(self.code == code, "exit code {}, expected {code}\n{self}", self.code);
        self
    }

    /// Standard error contains this.
    #[track_caller]
    pub fn reports(&self, part: impl AsRef<str>) -> &Ran {
        contains("standard error", &self.err, part.as_ref(), true, self)
    }

    /// Standard error does not contain this.
    #[track_caller]
    pub fn never_reports(&self, part: impl AsRef<str>) -> &Ran {
        contains("standard error", &self.err, part.as_ref(), false, self)
    }

    /// Standard error is exactly this.
    #[track_caller]
    pub fn reports_exactly(&self, text: impl AsRef<str>) -> &Ran {
        equals("standard error", &self.err, text.as_ref(), self)
    }

    /// Standard output is exactly this.
    #[track_caller]
    pub fn prints(&self, text: impl AsRef<str>) -> &Ran {
        equals("standard output", &self.out, text.as_ref(), self)
    }

    /// Standard output contains this.
    #[track_caller]
    pub fn shows(&self, part: impl AsRef<str>) -> &Ran {
        contains("standard output", &self.out, part.as_ref(), true, self)
    }

    /// Standard output does not contain this.
    #[track_caller]
    pub fn never_shows(&self, part: impl AsRef<str>) -> &Ran {
        contains("standard output", &self.out, part.as_ref(), false, self)
    }
}

impl Display for Ran {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Ran { command, out, err, code, case } = self;
        write!(
            f,
            "{case}command: {command}\nexit code: {code}\n-- standard output\n{out}\n-- standard error\n{err}"
        )
    }
}

#[track_caller]
fn contains<'r>(stream: &str, text: &str, part: &str, wanted: bool, ran: &'r Ran) -> &'r Ran {
    let verb = if wanted { "lacks" } else { "contains" };
    assert!(text.contains(part) == wanted, "{stream} {verb} '{part}'\n{ran}");
    ran
}

/// Names the first line that differs.
#[track_caller]
fn equals<'r>(stream: &str, text: &str, expected: &str, ran: &'r Ran) -> &'r Ran {
    let mut lines = text.split('\n').zip(expected.split('\n')).enumerate();
    let differing = lines.find(|(_, (is, wanted))| is != wanted);
    let first = differing.map(|(at, (is, wanted))| format!("line {}: {is:?}, expected {wanted:?}", at + 1));
    let first = first.unwrap_or_else(|| "one is longer".to_owned());
    assert!(text == expected, "{stream} differs: {first}\n-- expected\n{expected}\n{ran}");
    ran
}
