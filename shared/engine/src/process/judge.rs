//! The outcome of an attempt. The order of judgement is a contract, the same for the runner that started the
//! attempt and for a runner after a crash:
//!
//! 1. A terminal event in `.out` is the outcome, whatever follows. A Codex that keeps running after that event is
//!    stopped, which does not change the outcome.
//! 2. `.out` is locked: the attempt is running. It is followed, not judged.
//! 3. No event of a session or a turn, neither in `.out` nor in the journal, and the same boot: nothing was
//!    sent. The job may be rerun.
//! 4. Otherwise the attempt was interrupted, which is a failure: the model may have seen the prompt. After a
//!    reboot every attempt counts as interrupted, unless the rollout of its session shows that the turn ended.
//!
//! A success in a child of this runner also requires that Codex exited with status 0 in the requested session. A
//! wrong session is always a failure.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::process::output::{Progress, Terminal};
use crate::record::event::Usage;
use crate::record::failure::{Class, Failure, Sent, classify};
use codex_agent_shared::codex::rollout::Ending;
use codex_agent_shared::record::Id;

/// The evidence about an attempt that ended.
pub struct Evidence<'e> {
    /// The session that Codex was asked to use.
    pub asked: Option<Id>,
    /// The output of Codex.
    pub progress: &'e Progress,
    /// The exit status; `None` if Codex was no child of this runner, or only its launcher ended.
    pub exit: Option<ExitStatus>,
    /// The reason why a runner stopped it, if any.
    pub stopped: Option<Class>,
    /// Whether the system was rebooted since the start.
    pub other_boot: bool,
    /// The session by the journal, which has it even if the output was lost.
    pub reported: Option<Id>,
    /// The end of its standard error.
    pub last_words: &'e str,
}

/// The judgement.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The turn was completed.
    Completed {
        /// The totals that Codex printed.
        totals: Usage,
    },
    /// The turn failed; the flag is whether a continued run reruns the job.
    Failed(Failure, bool),
    /// Nothing was sent: the job is pending as before its start.
    Unsent,
}

/// Facts that only the rollout of the session has; read only where they decide.
pub trait Rollout {
    /// The message and the info of the error that ended the last turn.
    fn error(&mut self, session: Id) -> Option<(String, serde_json::Value)>;
    /// The ending of the turn of this attempt.
    fn ending(&mut self, session: Id) -> Option<Ending>;
}

/// Judges an attempt whose `.out` is not locked.
pub fn judge(evidence: &Evidence<'_>, rollout: &mut dyn Rollout) -> Verdict {
    let Evidence { asked, progress, exit, stopped, .. } = evidence;
    if let (Some(asked), Some(got)) = (asked, progress.session)
        && *asked != got
    {
        let message = format!("Codex resumed session '{got}' instead of '{asked}'");
        return fail(Class::WrongSession, message, progress);
    }
    match &progress.terminal {
        Some(Terminal::Completed(totals)) => {
            if stopped.is_none()
                && let Some(exit) = exit.filter(|exit| !exit.success())
            {
                let message = format!("the turn was completed, but then Codex {}", describe_exit(&exit));
                return fail(Class::Crashed, message, progress);
            }
            return Verdict::Completed { totals: totals.clone() };
        }
        Some(Terminal::Failed(message)) => {
            let (recorded, info) = progress.session.and_then(|id| rollout.error(id)).unwrap_or_default();
            // Standard error is not evidence here: tools and servers write there too.
            let class = classify(Some(&info), message).map(class_in_turn);
            let message = if message.is_empty() { &recorded } else { message };
            return fail(class.unwrap_or(Class::Refused), message.clone(), progress);
        }
        None => {}
    }
    if progress.session.is_none() && !progress.begun && evidence.reported.is_none() {
        return judge_unsent(evidence, rollout);
    }
    if let Some(class) = stopped {
        let message = progress.error.clone().unwrap_or_else(|| match class {
            Class::Timeout => "the job exceeded its time limit".to_owned(),
            _ => "the job was stopped".to_owned(),
        });
        // Codex without a network reports errors forever and never ends by itself.
        let class = match (class, classify(None, &message)) {
            (Class::Timeout, Some(Class::Network)) => Class::Network,
            _ => *class,
        };
        return fail(class, message, progress);
    }
    let class = classify(None, progress.error.as_deref().unwrap_or("")).map(class_in_turn);
    match (exit, class) {
        (Some(_), Some(class)) => fail(class, describe_failure(evidence), progress),
        (Some(exit), None) => {
            let class = if exit.signal().is_none() { Class::Crashed } else { Class::Interrupted };
            fail(class, format!("Codex {} in the middle of the turn", describe_exit(exit)), progress)
        }
        (None, _) => judge_interrupted(evidence, rollout, progress.session.or(evidence.reported)),
    }
}

/// The verdict about an attempt without `thread.started`.
fn judge_unsent(evidence: &Evidence<'_>, rollout: &mut dyn Rollout) -> Verdict {
    let Evidence { asked, progress, exit, stopped, other_boot, last_words, .. } = evidence;
    if *other_boot {
        // Its output may never have reached the disk.
        return judge_interrupted(evidence, rollout, *asked);
    }
    match (stopped, exit) {
        (Some(Class::Timeout), _) => fail(Class::Timeout, "Codex did not begin".to_owned(), progress),
        (Some(Class::Stopped), _) | (None, None) => Verdict::Unsent,
        (Some(class), _) => fail(*class, "Codex did not begin".to_owned(), progress),
        (None, Some(exit)) => {
            // On a full disk even the error message is lost, since standard error is a file on that disk (0.169).
            let silent = exit.code() == Some(101) && last_words.trim().is_empty();
            let why = describe_failure(evidence);
            let (class, message) = match classify(None, last_words) {
                _ if silent => {
                    (Class::Disk, "Codex could not write its output; the disk may be full".to_owned())
                }
                None | Some(Class::Crashed) => {
                    (Class::Crashed, format!("Codex {} before it began: {why}", describe_exit(exit)))
                }
                Some(class) => (class, why),
            };
            let message = message.trim_end_matches([' ', ':']);
            Verdict::Failed(Failure::hinted(class, message), class.row().stops_run)
        }
    }
}

fn judge_interrupted(evidence: &Evidence<'_>, rollout: &mut dyn Rollout, session: Option<Id>) -> Verdict {
    let ending = session.filter(|_| evidence.other_boot).and_then(|id| rollout.ending(id));
    match ending {
        Some(Ending::Completed) => Verdict::Completed { totals: Usage::new() },
        Some(Ending::Failed) => {
            let recorded = session.and_then(|id| rollout.error(id));
            let (message, info) = recorded.unwrap_or_default();
            let class = classify(Some(&info), &message).unwrap_or(Class::Refused);
            fail(class, message, evidence.progress)
        }
        _ => fail(Class::Interrupted, "Codex ended in the middle of the turn".to_owned(), evidence.progress),
    }
}

/// The class of a failure in a turn that was begun: the prompt was sent, whatever the message is.
fn class_in_turn(class: Class) -> Class {
    if class.row().sent == Sent::No { Class::Refused } else { class }
}

/// A failed verdict. A continued run reruns jobs that did nothing and whose failure any job would have.
fn fail(class: Class, message: String, progress: &Progress) -> Verdict {
    let row = class.row();
    let again = row.stops_run && row.sent != Sent::Perhaps && !progress.acted;
    Verdict::Failed(Failure::new(class, message), again)
}

/// The exit of a process, as the end of a sentence.
fn describe_exit(exit: &ExitStatus) -> String {
    match (exit.code(), exit.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// The most useful message for the user.
fn describe_failure(evidence: &Evidence<'_>) -> String {
    evidence.progress.error.clone().unwrap_or_else(|| find_error_line(evidence.last_words))
}

/// The line of standard error with the error. Source excerpts and stack traces are skipped; a line that ends with a
/// colon is joined to the next line.
fn find_error_line(words: &str) -> String {
    let is_noise = |line: &str| {
        let text = line.trim_start();
        // ` |`, `2 | foo = [`, `  |        ^`
        let drawn = text.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        let frame =
            text.split_once(": ").is_some_and(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()));
        text.is_empty()
            || drawn.starts_with('|')
            || text.trim_matches(['^', '~', '-', '|', ' ']).is_empty()
            || frame
            || text.starts_with("Stack backtrace")
            || text.starts_with("Reading additional input")
    };
    let lines: Vec<&str> = words.lines().filter(|line| !is_noise(line)).collect();
    let Some(last) = lines.len().checked_sub(1) else { return String::new() };
    let at = lines.iter().rposition(|line| line.starts_with("Error")).unwrap_or(last);
    match lines.get(at + 1) {
        Some(more) if lines[at].trim_end().ends_with(':') => {
            format!("{} {}", lines[at].trim_end(), more.trim())
        }
        _ => lines[at].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct RecordedEnding(Option<Ending>);

    impl Rollout for RecordedEnding {
        fn error(&mut self, _: Id) -> Option<(String, serde_json::Value)> {
            Some(("m".into(), "usage_limit_exceeded".into()))
        }

        fn ending(&mut self, _: Id) -> Option<Ending> {
            self.0
        }
    }

    fn id() -> Option<Id> {
        Id::parse("01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c")
    }

    fn outcome(evidence: Evidence<'_>, ending: Option<Ending>) -> String {
        match judge(&evidence, &mut RecordedEnding(ending)) {
            Verdict::Completed { .. } => "completed".to_owned(),
            Verdict::Unsent => "unsent".to_owned(),
            Verdict::Failed(failure, again) => {
                format!("{}{}", failure.class.word(), if again { " again" } else { "" })
            }
        }
    }

    #[test]
    fn the_line_with_the_error_is_found() {
        for (words, want) in [
            ("", ""),
            ("  \n^^^\n", ""),
            ("one\ntwo\n", "two"),
            (
                "WARNING: proceeding\nError loading config.toml:\n/h/config.toml:2:8: unclosed array, expected `]`\n  |\n\
                 2 | foo = [\n  |        ^\n",
                "Error loading config.toml: /h/config.toml:2:8: unclosed array, expected `]`",
            ),
            (
                "Error loading config.toml: invalid type: integer `3`, expected a string\nin `model_provider`\n",
                "Error loading config.toml: invalid type: integer `3`, expected a string",
            ),
            (
                "Error: Model provider `gone` not found\n\nStack backtrace:\n   0: <unknown>\n   1: <unknown>\n",
                "Error: Model provider `gone` not found",
            ),
            ("panicked at x.rs:1:2:\nboom\n  10: <unknown>\n  --> 3\n", "  --> 3"),
            ("Error: first\nError: second\nnote\n", "Error: second"),
        ] {
            assert_eq!(find_error_line(words), want, "{words}");
        }
    }

    #[test]
    fn evidence_is_judged_in_order() {
        let nothing = Progress::default();
        let begun = Progress { session: id(), ..Progress::default() };
        let done = Progress { terminal: Some(Terminal::Completed(Usage::new())), ..begun.clone() };
        let failed = Progress { terminal: Some(Terminal::Failed("no".into())), ..begun.clone() };
        let busy = Progress { error: Some("thread y already has an active writer".into()), ..begun.clone() };
        let full = Progress {
            terminal: Some(Terminal::Failed("No space left on device".into())),
            session: None,
            ..begun.clone()
        };
        let acted = Progress { acted: true, ..failed.clone() };
        let base = |progress| Evidence {
            asked: None,
            progress,
            exit: None,
            stopped: None,
            other_boot: false,
            reported: None,
            last_words: "",
        };
        let exit = |raw| Some(ExitStatus::from_raw(raw));
        let other = Id::parse("01a202e0-8d5d-7d62-82ce-000000000000");
        for (evidence, ending, want) in [
            (base(&done), None, "completed"),
            (Evidence { exit: exit(0), ..base(&done) }, None, "completed"),
            (Evidence { exit: exit(256), ..base(&done) }, None, "crashed"),
            (Evidence { exit: exit(9), stopped: Some(Class::Stopped), ..base(&done) }, None, "completed"),
            (Evidence { asked: other, ..base(&done) }, None, "wrong_session"),
            (base(&failed), None, "usage_limit again"),
            (base(&acted), None, "usage_limit"),
            (base(&nothing), None, "unsent"),
            (Evidence { stopped: Some(Class::Stopped), exit: exit(2), ..base(&nothing) }, None, "unsent"),
            (Evidence { exit: exit(256), ..base(&nothing) }, None, "crashed"),
            (
                Evidence {
                    exit: exit(256),
                    last_words: "Error: x already has an active writer",
                    ..base(&nothing)
                },
                None,
                "busy",
            ),
            (Evidence { exit: exit(101 << 8), ..base(&nothing) }, None, "disk again"),
            (Evidence { other_boot: true, ..base(&nothing) }, None, "interrupted"),
            // A message of another process, in the middle of a turn.
            (
                Evidence {
                    exit: exit(256),
                    last_words: "Error: x already has an active writer",
                    ..base(&busy)
                },
                None,
                "refused",
            ),
            (base(&full), None, "refused"),
            (base(&begun), Some(Ending::Completed), "interrupted"),
            (Evidence { other_boot: true, ..base(&begun) }, Some(Ending::Completed), "completed"),
            (Evidence { other_boot: true, ..base(&begun) }, Some(Ending::Begun), "interrupted"),
            (
                Evidence { other_boot: true, asked: id(), ..base(&nothing) },
                Some(Ending::Failed),
                "usage_limit again",
            ),
            (Evidence { exit: exit(9), ..base(&begun) }, None, "interrupted"),
            (Evidence { exit: exit(256), ..base(&begun) }, None, "crashed"),
            (Evidence { stopped: Some(Class::Timeout), exit: exit(2), ..base(&begun) }, None, "timeout"),
        ] {
            assert_eq!(outcome(evidence, ending), want);
        }
    }
}
