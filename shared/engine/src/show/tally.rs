//! The totals of the part of a run that one runner did.

use std::collections::HashSet;

use crate::record::event::{Event, RunEvent};
use crate::record::failure::Class;
use crate::show::list_counts;
use codex_agent_shared::record::Id;
use codex_agent_shared::text::counted;
use codex_agent_shared::time::Timestamp;

/// The totals of a runner, by its events.
#[derive(Default)]
pub(super) struct Tally {
    began: Option<Timestamp>,
    completed: usize,
    failed: usize,
    interrupted: usize,
    limited: usize,
    skipped: usize,
    input: i64,
    output: i64,
    /// The number of attempts that met a usage limit and are repeated.
    pub(super) limited_attempts: usize,
    /// The sessions of these attempts that have no answer.
    unanswered: HashSet<Id>,
}

impl Tally {
    /// Adds an event.
    pub(super) fn add(&mut self, event: &Event) {
        self.began.get_or_insert(event.at);
        match &event.what {
            RunEvent::RunStarted { .. } => *self = Tally { began: Some(event.at), ..Tally::default() },
            RunEvent::JobCompleted { of, usage, .. } => {
                self.completed += 1;
                if let Some(session) = of.session {
                    self.unanswered.remove(&session);
                }
                let used =
                    |name: &str| usage.as_ref().and_then(|usage| usage.get(name)).copied().unwrap_or(0);
                self.input = self.input.saturating_add(used("input_tokens"));
                self.output = self.output.saturating_add(used("output_tokens"));
            }
            RunEvent::JobFailed { of, failure, again: true, .. } if failure.class == Class::UsageLimit => {
                self.limited_attempts += 1;
                self.unanswered.extend(of.session);
            }
            RunEvent::JobFailed { failure, again: false, .. } => {
                *match failure.class {
                    class if class.is_interrupted() => &mut self.interrupted,
                    Class::UsageLimit => &mut self.limited,
                    _ => &mut self.failed,
                } += 1;
            }
            RunEvent::JobSkipped { withdrawn: false, .. } => self.skipped += 1,
            _ => {}
        }
    }

    /// The totals at this time, in one line; empty if no job ended.
    pub(super) fn describe(&self, now: Timestamp) -> String {
        let mut text = list_counts(&[
            (self.completed, "completed"),
            (self.failed, "failed"),
            (self.interrupted, "interrupted"),
            (self.limited, "limited"),
            (self.skipped, "skipped"),
        ]);
        if !text.is_empty() {
            let took = self.began.map_or_else(String::new, |began| began.countdown(now));
            text.push_str(&format!(" in {took}"));
        }
        if self.completed > 0 {
            text.push_str(&format!("; {} input tokens, {} output tokens", self.input, self.output));
        }
        // New jobs leave a session for each attempt; resumed ones leave a message in theirs.
        match self.unanswered.len() {
            0 => {}
            count => {
                let sessions = counted(count, "session");
                text.push_str(&format!("; the usage limit left {sessions} without an answer"));
            }
        }
        text.trim_start_matches("; ").to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::{Counts, JobRef};
    use crate::record::failure::Failure;

    #[test]
    fn failures_are_counted_by_their_kind_and_a_continued_part_begins_anew() {
        let of = JobRef {
            job: "1".into(),
            number: 1,
            attempt: 1,
            session: Some(Id::random()),
            name: None,
            host: None,
        };
        let mut seconds = 0;
        let mut add = |tally: &mut Tally, what: RunEvent| {
            seconds += 1000;
            let at = Timestamp(seconds);
            tally.add(&Event { what, v: 1, run: "r".into(), at, counts: Counts::default() });
            at
        };
        let failed = |class: Class, again: bool| RunEvent::JobFailed {
            of: JobRef { session: Some(Id::random()), ..of.clone() },
            failure: Failure::new(class, "m"),
            exit_code: None,
            signal: None,
            usage: None,
            again,
            continues: false,
        };
        let completed = RunEvent::JobCompleted {
            of: of.clone(),
            last_message: None,
            usage: Some([("input_tokens".to_owned(), 5)].into()),
            duration_ms: 1,
            adopted: false,
        };
        let mut tally = Tally::default();
        add(&mut tally, RunEvent::JobSession { of: of.clone() });
        add(&mut tally, failed(Class::UsageLimit, true));
        add(&mut tally, failed(Class::Stopped, false));
        add(&mut tally, failed(Class::Interrupted, false));
        add(&mut tally, failed(Class::Refused, false));
        let at = add(&mut tally, completed.clone());
        let want = "1 completed, 1 failed, 2 interrupted in 5s; 5 input tokens, 0 output tokens; the usage limit left 1 \
                    session without an answer";
        assert_eq!(tally.describe(at), want);
        let started = serde_json::json!({"type": "run.started", "kind": "new", "name": "", "continued": true, "jobs": 1,
            "max_concurrent": 1, "codex": {}, "runner": {"pid": 1}});
        add(&mut tally, serde_json::from_value(started).unwrap());
        assert_eq!(tally.describe(at), "");
        let at = add(&mut tally, completed);
        assert_eq!(tally.describe(at), "1 completed in 1s; 5 input tokens, 0 output tokens");
    }
}
