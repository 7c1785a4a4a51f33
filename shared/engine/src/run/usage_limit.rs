//! The gate of a usage limit: one for all runs on a Codex home.
//!
//! `locks/limit-HASH` records that the limit of a home was reached, when it resets, and when the next attempt is
//! allowed. The file is replaced atomically. While a limit is recorded, only one runner at a time starts a job
//! on that home, the **probe**: the runner that holds the kernel lock on `locks/limit-HASH.probe`. The outcome
//! of its job removes the limit or extends it. The outcome of a job that was begun earlier does not
//! change the limit, unless that job reaches the limit.
//!
//! **Reset times.** A probe that fails leaves a session without an answer, so a probe waits until the limit has reset.
//! The rollout has the time to the second, if the service reported it, and it is used if Codex's message does not
//! contradict it. Codex itself prints whole minutes, rounded down: the limit has reset when that minute is over. If the
//! time is past or unknown, the next probe follows after 5, 10, 20 ... s, up to an hour; a time of day that is past
//! never means tomorrow. After `MOST_TRIES` failed probes, which is longer than the window of five hours, runs that
//! wait stop; the run that is continued after the next hour probes once.
//!
//! **Crash.** The lock of a probe that dies is released by the system, and the next runner probes. After the
//! clock was set back the recorded times are invalid, and the next runner probes too.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use codex_agent_shared::codex::home::state_directory;
use codex_agent_shared::codex::rollout::LimitWindow;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::store::lock::Lock;
use codex_agent_shared::store::{Changed, Store};
use codex_agent_shared::text::fingerprint;
use codex_agent_shared::time::Timestamp;

/// The first wait for a limit of unknown reset time, in milliseconds; each further wait is twice as long.
const FIRST: i64 = 5000;
/// The longest wait, in milliseconds.
const LONGEST: i64 = 3_600_000;
/// The number of failed probes after which no run waits for a limit of unknown reset time: each leaves a session.
const MOST_TRIES: u32 = 14;
/// The time after which a limit of unknown reset time is over, in milliseconds: that of the window of five hours.
const WINDOW: i64 = 5 * 3_600_000;
/// The time within which a limit resets after the minute that Codex prints, in milliseconds.
const MINUTE: i64 = 60_000;
/// The time that a probe waits after the second in which a limit resets, in milliseconds.
const AFTER: i64 = 1000;
const DAY: i64 = 86_400_000;

/// A usage limit that was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ActiveLimit {
    /// The Codex home whose account reached the limit.
    pub codex_home: String,
    /// The time when the limit was first reached.
    pub since: Timestamp,
    /// The time when the limit resets; null if unknown.
    pub until: Option<Timestamp>,
    /// The time when the next attempt is allowed.
    pub next: Timestamp,
    /// The number of failed attempts.
    pub tries: u32,
    /// The message of Codex.
    pub message: String,
    /// The windows of the limits of the account, the shortest first; absent if unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<LimitWindow>,
}

/// The time when a limit has reset: to the second if the used-up windows have it, and it is in the minute that Codex
/// printed; otherwise the end of that minute.
pub fn reset_time(printed: Option<Timestamp>, windows: &[LimitWindow]) -> Option<Timestamp> {
    let full = windows.iter().filter(|window| window.used_percent >= 100.0);
    let exact = full.filter_map(|window| window.resets_at).max();
    match (exact, printed) {
        (Some(exact), None) => Some(exact),
        // The message has no date if the limit resets tomorrow.
        (Some(exact), Some(minute)) if (exact.0 - minute.0 + AFTER).rem_euclid(DAY) <= MINUTE + 2 * AFTER => {
            Some(exact)
        }
        (_, minute) => minute.map(|minute| Timestamp(minute.0 + MINUTE)),
    }
}

/// The answer to a request to start a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// No limit is recorded.
    Free,
    /// A limit is recorded, and this runner tests it.
    Probe,
    /// A limit is recorded, and no job may start.
    Shut(ActiveLimit),
}

/// The contents of the file.
#[derive(Default, Serialize, Deserialize)]
struct LimitFile {
    limit: Option<ActiveLimit>,
}

/// The usage limit of one home.
pub struct LimitGate {
    store: Store,
    probe: PathBuf,
    home: String,
    held: Option<Lock>,
}

impl LimitGate {
    /// The usage limit of this Codex home, by its real path. Creates no file.
    pub fn for_home(home: &Path) -> Result<LimitGate> {
        let home = fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
        let home = home.to_string_lossy().into_owned();
        let locks = state_directory()?.join("locks");
        // A collision of fingerprints only makes two homes wait for each other.
        let name = format!("limit-{}", fingerprint(home.as_bytes()));
        let probe = locks.join(format!("{name}.probe"));
        Ok(LimitGate { store: Store::new(locks.join(name)), probe, home, held: None })
    }

    /// The recorded limit, if any.
    pub fn read_recorded(&self) -> Result<Option<ActiveLimit>> {
        Ok(self.store.read::<LimitFile>()?.limit)
    }

    /// Requests to start a job. After [`Admission::Probe`] this runner holds the lock until it calls `remove_limit`,
    /// `record_limit` or `release`. `early` probes before the next attempt is due.
    pub fn request_start(&mut self, early: bool, now: Timestamp) -> Result<Admission> {
        let Some(closed) = self.read_recorded()? else {
            self.held = None;
            return Ok(Admission::Free);
        };
        let is_due = now >= closed.next || now < closed.since;
        if (is_due || early) && self.lock_probe()? {
            return Ok(Admission::Probe);
        }
        Ok(Admission::Shut(closed))
    }

    fn lock_probe(&mut self) -> Result<bool> {
        if self.held.is_some() {
            // This runner is probing already.
            return Ok(false);
        }
        self.held = Lock::wait_within(&self.probe, Duration::ZERO)?;
        Ok(self.held.is_some())
    }

    /// Releases the probe lock without an outcome.
    pub fn release(&mut self) {
        self.held = None;
    }

    /// Records that a job reached the limit, which resets at `reset`; `probed` is whether the job was the probe, which
    /// ends then.
    pub fn record_limit(
        &mut self,
        reset: Option<Timestamp>,
        windows: &[LimitWindow],
        message: &str,
        now: Timestamp,
        probed: bool,
    ) -> Result<ActiveLimit> {
        let home = self.home.clone();
        let closed = self.store.update(|saved: &mut LimitFile| {
            // A limit that no run has met for the time of the longest window is another one.
            let is_same = |before: &ActiveLimit| now >= before.since && now.0 - before.next.0 < WINDOW;
            let before = saved.limit.take().filter(is_same);
            // Only the first of many concurrent jobs counts.
            let tries = match &before {
                None => 0,
                Some(before) if probed => before.tries + 1,
                Some(before) => before.tries,
            };
            let until = reset.filter(|reset| *reset > now);
            let wait = (FIRST << tries.min(20)).min(LONGEST);
            let next = match (until, &before) {
                (Some(until), _) => Timestamp(until.0 + AFTER),
                (None, Some(before)) if !probed && before.next > now => before.next,
                (None, _) => Timestamp(now.0 + wait),
            };
            let since = before.map_or(now, |before| before.since);
            let (message, windows) = (message.to_owned(), windows.to_vec());
            let closed = ActiveLimit { codex_home: home, since, until, next, tries, message, windows };
            saved.limit = Some(closed.clone());
            Ok((closed, Changed::Yes))
        })?;
        if probed {
            self.held = None;
        }
        Ok(closed)
    }

    /// Removes the limit after a probe succeeded.
    pub fn remove_limit(&mut self) -> Result<()> {
        if self.read_recorded()?.is_some() {
            self.store.update(|saved: &mut LimitFile| {
                saved.limit = None;
                Ok(((), Changed::Yes))
            })?;
        }
        self.held = None;
        Ok(())
    }

    /// The limits of all homes.
    pub fn all() -> Result<Vec<ActiveLimit>> {
        let locks = state_directory()?.join("locks");
        let mut all = Vec::new();
        for entry in fs::read_dir(&locks).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let hash = name.to_str().and_then(|name| name.strip_prefix("limit-"));
            if hash.is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit())) {
                all.extend(Store::new(entry.path()).read::<LimitFile>()?.limit);
            }
        }
        Ok(all)
    }
}

impl ActiveLimit {
    /// Whether the reset time is past. The next job tests the limit.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether no run waits any longer, since the reset time is unknown and many attempts failed.
    pub fn is_hopeless(&self, now: Timestamp) -> bool {
        self.until.is_none() && self.tries >= MOST_TRIES && self.next > now
    }

    /// The reset time, as part of a sentence.
    pub fn describe_until(&self, now: Timestamp) -> String {
        match self.until {
            Some(until) if self.is_over(now) => format!("since {}, as Codex reported", until.clock()),
            Some(until) => format!("until {}, in {}", until.clock(), until.countdown(now)),
            None if self.is_hopeless(now) => {
                let (tries, next) = (self.tries, self.next.clock());
                format!("no attempt before {next}, after {tries} that failed; its reset time is unknown")
            }
            None if self.next > now => {
                format!("next attempt in {}; its reset time is unknown", self.next.countdown(now))
            }
            None => "its reset time is unknown".to_owned(),
        }
    }

    /// The error of a run that may not start jobs.
    pub fn error(&self, now: Timestamp) -> Error {
        Error::new(format!(
            "the usage limit of Codex's home '{}' is reached, {}",
            self.codex_home,
            self.describe_until(now)
        ))
        .hint(match self.is_hopeless(now) {
            true => "--on-limit=try starts jobs anyway",
            false => "--on-limit=wait waits until the limit resets, --on-limit=try starts jobs anyway",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(dir: &Path) -> LimitGate {
        LimitGate {
            store: Store::new(dir.join("limit")),
            probe: dir.join("limit.probe"),
            home: "/home".to_owned(),
            held: None,
        }
    }

    #[test]
    fn a_limit_resets_in_the_second_of_its_window_or_at_the_end_of_the_printed_minute() {
        let at = |text: &str| Timestamp::parse(&format!("2026-11-{text}Z")).unwrap();
        let window = |used_percent: f64, resets_at: &str| LimitWindow {
            minutes: Some(300),
            used_percent,
            resets_at: Some(at(resets_at)),
        };
        let minute = at("28T11:22:00");
        for (printed, windows, want) in [
            (None, vec![], None),
            (Some(minute), vec![], Some(at("28T11:23:00"))),
            (Some(minute), vec![window(100.0, "28T11:22:41")], Some(at("28T11:22:41"))),
            // Of several windows that are used up the last to reset counts.
            (
                Some(minute),
                vec![window(100.0, "28T09:00:00"), window(100.0, "28T11:22:41"), window(99.0, "30T11:22:00")],
                Some(at("28T11:22:41")),
            ),
            // The message contradicts the window, or is the time of tomorrow.
            (Some(minute), vec![window(100.0, "28T12:22:41")], Some(at("28T11:23:00"))),
            (Some(at("28T00:00:00")), vec![window(100.0, "29T00:00:10")], Some(at("29T00:00:10"))),
            (None, vec![window(100.0, "28T12:22:41")], Some(at("28T12:22:41"))),
            (None, vec![window(40.0, "28T12:22:41")], None),
        ] {
            assert_eq!(reset_time(printed, &windows), want, "{printed:?} {windows:?}");
        }
    }

    #[test]
    fn one_runner_probes_at_a_time_and_ever_more_seldom() {
        let dir = tempfile::tempdir().unwrap();
        let (mut one, mut two) = (gate(dir.path()), gate(dir.path()));
        let at = |seconds: i64| Timestamp(1_795_000_000_000 + seconds * 1000);
        assert_eq!(one.request_start(false, at(0)).unwrap(), Admission::Free);
        // Sixteen jobs meet the limit at once.
        for _ in 0..16 {
            assert_eq!(one.record_limit(None, &[], "limit", at(0), false).unwrap().next, at(5));
        }
        assert!(matches!(two.request_start(false, at(4)).unwrap(), Admission::Shut(_)));
        assert_eq!(two.request_start(false, at(5)).unwrap(), Admission::Probe);
        assert!(matches!(one.request_start(true, at(6)).unwrap(), Admission::Shut(_)), "another one probes");
        assert!(
            matches!(two.request_start(false, at(6)).unwrap(), Admission::Shut(_)),
            "its own probe is under way"
        );
        // A job that was begun earlier reaches the limit, and is not the probe.
        assert_eq!(two.record_limit(None, &[], "limit", at(6), false).unwrap().tries, 0);
        assert!(matches!(one.request_start(true, at(6)).unwrap(), Admission::Shut(_)), "it still probes");
        assert_eq!(two.record_limit(None, &[], "limit", at(7), true).unwrap().next, at(17));
        assert_eq!(one.request_start(false, at(17)).unwrap(), Admission::Probe);
        // The lock of a probe that dies is released.
        drop(one);
        assert_eq!(two.request_start(false, at(18)).unwrap(), Admission::Probe);
        two.release();
        assert_eq!(two.request_start(false, at(18)).unwrap(), Admission::Probe);
        let reported = two.record_limit(Some(at(7200)), &[], "limit", at(20), true).unwrap();
        assert_eq!((reported.until, reported.next, reported.since), (Some(at(7200)), at(7201), at(0)));
        assert!(matches!(two.request_start(false, at(3600)).unwrap(), Admission::Shut(_)));
        // A clock that was set back.
        assert_eq!(two.request_start(false, at(-100)).unwrap(), Admission::Probe);
        two.remove_limit().unwrap();
        assert_eq!(two.request_start(false, at(21)).unwrap(), Admission::Free);
        let mut waited = 0;
        for tries in 0..20 {
            two.lock_probe().unwrap();
            let limit = two.record_limit(None, &[], "limit", at(30), true).unwrap();
            let wait = limit.next.0 - at(30).0;
            assert_eq!(wait, (5000 << tries).min(3_600_000));
            // Runs wait for longer than the window of five hours, and then no more until the next attempt is due.
            assert_eq!(limit.is_hopeless(at(30)), waited > 5 * 3_600_000, "{tries}: {waited}");
            assert!(!limit.is_hopeless(limit.next));
            waited += wait;
        }
    }
}
