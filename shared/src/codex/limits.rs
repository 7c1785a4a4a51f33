//! Usage limits as Codex last saw them: the answers of the service have the used part of each window.
//!
//! The newest rollouts are read from their ends. A window is known by its length and not by its place: the service moved the
//! weekly one to the first place in July 2026. Of several answers the one counts whose window resets last, and of those the
//! newest; an answer that cannot be right if that one is, is kept beside it, since the service contradicts itself at times
//! (September 2026), and several accounts may use one home. Windows that have reset since are left out.

use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use super::index::Index;
use super::rollout::{LimitWindow, RateLimits, lines_from_end};
use crate::error::Result;
use crate::query::{Archived, Filter, Query};
use crate::record::{Field, Id};
use crate::time::Timestamp;

/// The number of sessions that are read.
const SESSIONS: usize = 24;
/// The number of lines of each that are read, from the end.
const LINES: usize = 400;
/// The difference of two times at which one window resets: the service rounds.
const ROUNDING: i64 = 120_000;

/// A window of a usage limit, as it was last seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SeenLimit {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The plan of the account, by the name of the service; null if unknown.
    pub plan: Option<String>,
    /// The id of the limit; null if unknown.
    pub limit: Option<String>,
    /// The name of the limit; null for the usual one.
    pub name: Option<String>,
    /// The length of the window in minutes; null if unknown.
    pub minutes: Option<i64>,
    /// The used part, in percent.
    pub used_percent: f64,
    /// The time when the window resets; null if unknown.
    pub resets_at: Option<Timestamp>,
    /// The time of the answer.
    pub seen_at: Timestamp,
    /// The session of the answer.
    pub session: Option<Id>,
    /// The used parts, in percent, in other answers about the same window that contradict this one.
    pub others: Vec<f64>,
}

impl SeenLimit {
    fn is_of_same(&self, other: &SeenLimit) -> bool {
        (&self.plan, &self.limit, self.minutes) == (&other.plan, &other.limit, other.minutes)
    }

    /// Whether another answer cannot be right if this one is: a used part does not become less before the window resets.
    fn contradicts(&self, other: &SeenLimit) -> bool {
        let is_other_window = match (self.resets_at, other.resets_at) {
            (Some(own), Some(other)) => own.0.abs_diff(other.0) > ROUNDING.unsigned_abs(),
            _ => false,
        };
        let (earlier, later) = if self.seen_at < other.seen_at { (self, other) } else { (other, self) };
        is_other_window || earlier.used_percent > later.used_percent + 1.0
    }
}

/// The windows of the limits that the newest sessions saw, by plan, limit and length.
pub fn seen_limits(index: &mut Index, now: Timestamp) -> Result<Vec<SeenLimit>> {
    let filter = Filter { archived: Archived::With, subagents: true, ..Filter::default() };
    let fields = vec![Field::Id, Field::RolloutPath];
    let query = Query { filter, fields, limit: Some(SESSIONS), ..Query::default() };
    let mut seen = Vec::new();
    index.list(&query, &mut |session| {
        if let Some(path) = &session.rollout_path {
            // A rollout that cannot be read has no answer.
            seen.extend(read(Path::new(&**path), session.id));
        }
        Ok(())
    })?;
    Ok(choose(seen, now))
}

/// The windows in the last answer of a rollout that has any.
fn read(path: &Path, session: Option<Id>) -> Vec<SeenLimit> {
    let (mut left, mut found) = (LINES, Vec::new());
    // The text of a compressed rollout is not read from its end, and old.
    if path.extension().is_some_and(|extension| extension == "zst") {
        return found;
    }
    let _ = lines_from_end(path, &mut |line| {
        left -= 1;
        if let Some((limits, Some(seen_at))) = RateLimits::of_line(line) {
            let seen = |window: LimitWindow| SeenLimit {
                kind: "limit.seen",
                plan: limits.plan_type.clone(),
                limit: limits.limit_id.clone(),
                name: limits.limit_name.clone(),
                minutes: window.minutes,
                used_percent: window.used_percent,
                resets_at: window.resets_at,
                seen_at,
                session,
                others: Vec::new(),
            };
            found = limits.windows().into_iter().map(seen).collect();
        }
        match left == 0 || !found.is_empty() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    found
}

/// The answer that counts for each window that has not reset, with those that contradict it.
fn choose(mut seen: Vec<SeenLimit>, now: Timestamp) -> Vec<SeenLimit> {
    seen.retain(|one| match (one.resets_at, one.minutes) {
        (Some(resets), _) => resets > now,
        (None, Some(minutes)) => one.seen_at.0.saturating_add(minutes.saturating_mul(60_000)) > now.0,
        (None, None) => false,
    });
    let rounded = |one: &SeenLimit| one.resets_at.map(|at| at.0 / ROUNDING);
    seen.sort_by_key(|one| std::cmp::Reverse((rounded(one), one.seen_at)));
    let mut chosen: Vec<SeenLimit> = Vec::new();
    for one in seen {
        match chosen.iter_mut().find(|best| best.is_of_same(&one)) {
            Some(best) if best.contradicts(&one) => {
                let is_new = best.others.iter().all(|other| (other - one.used_percent).abs() >= 1.0);
                if is_new && (best.used_percent - one.used_percent).abs() >= 1.0 {
                    best.others.push(one.used_percent);
                }
            }
            Some(_) => {}
            None => chosen.push(one),
        }
    }
    chosen.sort_by(|a, b| (&a.plan, &a.limit, a.minutes).cmp(&(&b.plan, &b.limit, b.minutes)));
    chosen
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Tests write what Codex would.
mod tests {
    use super::*;

    fn line(at: &str, plan: &str, primary: &str, secondary: &str) -> String {
        format!(
            "{{\"timestamp\":\"{at}\",\"type\":\"event_msg\",\"payload\":{{\"type\":\"token_count\",\"info\":null,\"rate_limits\":\
             {{\"limit_id\":\"codex\",\"limit_name\":null,\"primary\":{primary},\"secondary\":{secondary},\"plan_type\":{plan}}}}}}}\n"
        )
    }

    fn window(percent: f64, minutes: i64, resets: &str) -> String {
        let at = Timestamp::parse(resets).unwrap().0 / 1000;
        format!("{{\"used_percent\":{percent},\"window_minutes\":{minutes},\"resets_at\":{at}}}")
    }

    fn all(files: &[String], now: &str) -> Vec<(Option<i64>, f64, Vec<f64>)> {
        let mut seen = Vec::new();
        for text in files {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            seen.extend(read(file.path(), None));
        }
        let chosen = choose(seen, Timestamp::parse(now).unwrap());
        chosen.into_iter().map(|one| (one.minutes, one.used_percent, one.others)).collect()
    }

    const NOW: &str = "2026-11-29T12:00:00Z";

    #[test]
    fn windows_are_known_by_their_length_and_past_ones_are_left_out() {
        let week = window(88.0, 10080, "2026-12-02T00:00:00Z");
        let hours = window(38.0, 300, "2026-11-29T14:00:00Z");
        let past = window(91.0, 300, "2026-11-29T11:00:00Z");
        let plus = "\"plus\"";
        let newer = line("2026-11-29T11:50:00Z", plus, &week, "null") + "{\"type\":\"x\"}\n";
        let older = line("2026-11-29T11:40:00Z", plus, &hours, &week);
        assert_eq!(
            all(&[newer.clone(), older.clone()], NOW),
            [(Some(300), 38.0, vec![]), (Some(10080), 88.0, vec![])]
        );
        assert_eq!(all(&[older.clone(), line("2026-11-29T10:00:00Z", plus, &past, "null")], NOW).len(), 2);
        // The last answer of a rollout that has a window.
        let both = older + &line("2026-11-29T11:55:00Z", plus, "null", "null");
        assert_eq!(all(&[both], NOW).len(), 2);
        assert_eq!(all(&[newer.replace("88", "\"x\""), String::new()], NOW), []);
    }

    #[test]
    fn what_contradicts_an_answer_is_shown_beside_it() {
        let of =
            |at: &str, percent: f64, resets: &str| line(at, "null", &window(percent, 10080, resets), "null");
        let (first, later) = ("2026-12-02T00:00:00Z", "2026-12-05T00:00:00Z");
        // More is used later: no contradiction.
        let grown = [of("2026-11-29T11:50:00Z", 40.0, first), of("2026-11-29T11:40:00Z", 20.0, first)];
        assert_eq!(all(&grown, NOW), [(Some(10080), 40.0, vec![])]);
        let less = [of("2026-11-29T11:50:00Z", 0.0, first), of("2026-11-29T11:49:57Z", 88.0, first)];
        assert_eq!(all(&less, NOW), [(Some(10080), 0.0, vec![88.0])]);
        let moved = [of("2026-11-29T11:50:00Z", 88.0, first), of("2026-11-29T11:49:00Z", 3.0, later)];
        assert_eq!(all(&moved, NOW), [(Some(10080), 3.0, vec![88.0])]);
        // Accounts of different plans are apart.
        let plans = [
            of("2026-11-29T11:50:00Z", 88.0, first),
            of("2026-11-29T11:49:00Z", 3.0, first).replace("\"plan_type\":null", "\"plan_type\":\"pro\""),
        ];
        assert_eq!(all(&plans, NOW).len(), 2);
    }
}
