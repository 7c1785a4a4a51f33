//! Sums over turns: tokens, turns and durations, by day, project, model or session.

use std::collections::BTreeMap;

use serde::Serialize;

use super::record::{Tokens, Turn};
use crate::choice::Choice;
use crate::time::Timestamp;

/// What turns are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum By {
    Day,
    Week,
    Month,
    Project,
    Model,
    Session,
    Group,
    Host,
}

impl Choice for By {
    const ALL: &'static [(By, &'static str, &'static str)] = &[
        (By::Day, "day", "the local day of each answer"),
        (By::Week, "week", "the week of each answer, which begins on Monday"),
        (By::Month, "month", "the month of each answer"),
        (By::Project, "project", "the directory of the session"),
        (By::Model, "model", "the model of each answer"),
        (By::Session, "session", "the id of the session"),
        (By::Group, "group", "each group that has the session"),
        (By::Host, "host", "the host, with --host"),
    ];
}

impl By {
    /// Whether the value is one of an answer, and not of its session.
    fn is_of_answer(self) -> bool {
        matches!(self, By::Day | By::Week | By::Month | By::Model)
    }
}

/// The sums of some turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// The number of sessions.
    pub sessions: u64,
    /// The number of turns.
    pub turns: u64,
    /// Their durations, in milliseconds.
    pub duration_ms: i64,
    /// Their tokens; `None` if those of no turn are known.
    pub tokens: Option<Tokens>,
    /// The number of turns whose tokens are unknown.
    pub unknown_turns: u64,
}

impl Sums {
    /// The sums of one turn.
    pub fn of(turn: &Turn) -> Sums {
        Sums {
            sessions: 0,
            turns: 1,
            duration_ms: turn.duration_ms.unwrap_or(0),
            tokens: turn.tokens,
            unknown_turns: u64::from(turn.tokens.is_none()),
        }
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Sums) {
        self.sessions += other.sessions;
        self.turns += other.turns;
        self.duration_ms = self.duration_ms.saturating_add(other.duration_ms);
        self.unknown_turns += other.unknown_turns;
        if let Some(tokens) = other.tokens {
            self.tokens.get_or_insert_default().add(tokens);
        }
    }
}

/// The sums of turns with the same values, in the order of [`Stats::by`].
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// What turns are counted by.
    pub by: Vec<By>,
    /// The first time that counts.
    pub since: Option<Timestamp>,
    /// The last time that counts.
    pub until: Option<Timestamp>,
    /// The sums. A value is `None` if it is unknown.
    pub sums: BTreeMap<Vec<Option<String>>, Sums>,
}

/// The values of a session.
#[derive(Clone, Debug, Default)]
pub struct Place<'s> {
    /// The directory.
    pub project: Option<&'s str>,
    /// The id.
    pub session: Option<&'s str>,
    /// The group.
    pub group: Option<&'s str>,
}

impl Stats {
    /// Empty sums.
    pub fn new(by: Vec<By>, since: Option<Timestamp>, until: Option<Timestamp>) -> Stats {
        Stats { by, since, until, sums: BTreeMap::new() }
    }

    fn key(&self, place: &Place<'_>, at: Option<Timestamp>, model: Option<&str>) -> Vec<Option<String>> {
        let time = |format: &str| at.map(|at| at.local(format));
        let value = |by: &By| match by {
            By::Day => time("%Y-%m-%d"),
            By::Week => time("%G-W%V"),
            By::Month => time("%Y-%m"),
            By::Project => place.project.map(str::to_owned),
            By::Model => model.map(str::to_owned),
            By::Session => place.session.map(str::to_owned),
            By::Group => place.group.map(str::to_owned),
            By::Host => None,
        };
        self.by.iter().map(value).collect()
    }

    fn counts(&self, at: Option<Timestamp>) -> bool {
        let is_early = |since: Timestamp| at.is_none_or(|at| at < since);
        let is_late = |until: Timestamp| at.is_none_or(|at| at > until);
        !self.since.is_some_and(is_early) && !self.until.is_some_and(is_late)
    }

    /// Adds a turn of a session. It counts on the day when it began, and its tokens on the days of its answers.
    pub fn add(&mut self, turn: &Turn, place: &Place<'_>) {
        let (at, model) = (turn.started_at.or(turn.completed_at), turn.model.as_deref());
        if self.counts(at) {
            // The tokens are those of the answers, which may be of other days.
            let sums = Sums { tokens: None, ..Sums::of(turn) };
            self.sums.entry(self.key(place, at, model)).or_default().add(&sums);
        }
        for answer in &turn.answers {
            let at = answer.at.or(at);
            if self.counts(at) {
                let key = self.key(place, at, answer.model.as_deref());
                self.sums.entry(key).or_default().tokens.get_or_insert_default().add(answer.tokens);
            }
        }
    }

    /// Adds the sums of one session, which counts once for each of its keys.
    pub fn add_session(&mut self, session: Stats) {
        for (key, sums) in session.sums {
            self.sums.entry(key).or_default().add(&Sums { sessions: 1, ..sums });
        }
    }

    /// The sums of all turns. A session of several days or models counts once for each.
    pub fn total(&self) -> Sums {
        self.sums.values().fold(Sums::default(), |mut all, sums| {
            all.add(sums);
            all
        })
    }

    /// Whether a session may be in several of the sums.
    pub fn splits_sessions(&self) -> bool {
        self.by.iter().any(|by| by.is_of_answer() || *by == By::Group)
    }
}

/// Sums over the turns of sessions that have the same values.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatsRecord<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The host, as the user calls it; a dot for this machine. Absent unless hosts were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<&'r str>,
    /// The local day, as in 2026-11-22; null if the sums are not by day, or if the time is unknown.
    pub day: Option<&'r str>,
    /// The week, as in 2026-W47; null if the sums are not by week, or if the time is unknown.
    pub week: Option<&'r str>,
    /// The month, as in 2026-11; null if the sums are not by month, or if the time is unknown.
    pub month: Option<&'r str>,
    /// The directory; null if the sums are not by project, or if the directory is unknown.
    pub project: Option<&'r str>,
    /// The model; null if the sums are not by model, or if the model is unknown.
    pub model: Option<&'r str>,
    /// The id of the session; null if the sums are not by session.
    pub session: Option<&'r str>,
    /// The name of the group; null if the sums are not by group, or if no group has the sessions.
    pub group: Option<&'r str>,
    /// The number of sessions.
    pub sessions: u64,
    /// The number of turns.
    pub turns: u64,
    /// The sum of the durations of the turns, in milliseconds.
    pub duration_ms: i64,
    /// The tokens; null if those of no turn are known.
    pub tokens: Option<Tokens>,
    /// The number of turns whose tokens are unknown; the tokens are a lower bound then.
    pub unknown_turns: u64,
}

impl<'r> StatsRecord<'r> {
    /// The record of one of the sums.
    pub fn new(by: &[By], key: &'r [Option<String>], sums: &Sums) -> StatsRecord<'r> {
        let value = |wanted: By| {
            let at = by.iter().position(|by| *by == wanted)?;
            key.get(at)?.as_deref()
        };
        StatsRecord {
            kind: "stats",
            host: value(By::Host),
            day: value(By::Day),
            week: value(By::Week),
            month: value(By::Month),
            project: value(By::Project),
            model: value(By::Model),
            session: value(By::Session),
            group: value(By::Group),
            sessions: sums.sessions,
            turns: sums.turns,
            duration_ms: sums.duration_ms,
            tokens: sums.tokens,
            unknown_turns: sums.unknown_turns,
        }
    }
}
