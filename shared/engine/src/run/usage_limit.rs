//! The gate of a usage limit: one for all runs on a Codex home.
//!
//! `locks/limit-HASH` says that the limit of a home was reached, until when, and when the next attempt
//! may be made. It is replaced whole and never torn. While it says so, nothing is started on that home but
//! by one runner at a time, the **probe**: the one that holds the kernel lock on `locks/limit-HASH.probe`.
//! What comes of its job opens the gate or closes it for longer; what comes of a job that was begun before
//! tells nothing about the limit, unless it meets it.
//!
//! **When.** Codex prints whole minutes, rounded down. A time that is more than a minute ahead is
//! believed. Where it is nearer, past, or not told at all, the next probe is made after 5, 10, 20 ... s,
//! at most every ten minutes; a time of day that is past is never taken for tomorrow's.
//!
//! **Crash.** A probe that dies gives the lock back, and the next runner probes. A clock that was set back
//! makes the gate's times worthless, and the next runner probes too.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use codex_agent_shared::codex::home::state_folder;
use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::store::{Changed, Store, place};
use codex_agent_shared::text::fingerprint;
use codex_agent_shared::time::Timestamp;

/// The first wait for a limit whose end nobody knows, in milliseconds; each is twice the one before.
const FIRST: i64 = 5000;
/// The longest.
const LONGEST: i64 = 600_000;
/// What is nearer than this may be past: Codex prints whole minutes.
const NEAR: i64 = 60_000;

/// A usage limit that was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ActiveLimit {
    /// The Codex home whose account reached the limit.
    pub codex_home: String,
    /// The time when the limit was first reached.
    pub since: Timestamp,
    /// The time when the limit resets; null if unknown, or if that time has almost come.
    pub until: Option<Timestamp>,
    /// The time when the next attempt is allowed.
    pub next: Timestamp,
    /// The number of failed attempts.
    pub tries: u32,
    /// The message of Codex.
    pub message: String,
}

/// Whether a job may be started.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// There is no limit.
    Free,
    /// There is one, and this runner is the one to try whether it is over.
    Probe,
    /// There is one.
    Shut(ActiveLimit),
}

/// What the file holds.
#[derive(Default, Serialize, Deserialize)]
struct Saved {
    limit: Option<ActiveLimit>,
}

/// The gate of one home.
pub struct LimitGate {
    store: Store,
    probe: PathBuf,
    home: String,
    held: Option<File>,
}

impl LimitGate {
    /// The gate of this Codex home, by its real path. Nothing is made.
    pub fn of(home: &Path) -> Result<LimitGate> {
        let home = fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
        let home = home.to_string_lossy().into_owned();
        let locks = state_folder()?.join("locks");
        // Two homes of one fingerprint would only wait for each other.
        let name = format!("limit-{}", fingerprint(home.as_bytes()));
        let probe = locks.join(format!("{name}.probe"));
        Ok(LimitGate { store: Store::new(locks.join(name)), probe, home, held: None })
    }

    /// The limit that was reached, if one was.
    pub fn closed(&self) -> Result<Option<ActiveLimit>> {
        Ok(self.store.read::<Saved>()?.limit)
    }

    /// Asks to start a job. Who gets [`Admission::Probe`] has the lock until it opens or closes the gate.
    /// `early` tries before the time is there.
    pub fn pass(&mut self, early: bool, now: Timestamp) -> Result<Admission> {
        let Some(closed) = self.closed()? else {
            self.held = None;
            return Ok(Admission::Free);
        };
        let is_due = now >= closed.next || now < closed.since;
        if (is_due || early) && self.take()? {
            return Ok(Admission::Probe);
        }
        Ok(Admission::Shut(closed))
    }

    fn take(&mut self) -> Result<bool> {
        if self.held.is_some() {
            // Our own probe is under way.
            return Ok(false);
        }
        let file = place::lock_file(&self.probe)?;
        let is_ours = place::try_lock(&file, &self.probe)?;
        self.held = is_ours.then_some(file);
        Ok(is_ours)
    }

    /// Gives the turn to probe back, where nothing came of it.
    pub fn release(&mut self) {
        self.held = None;
    }

    /// A job met the limit; `probed` is whether it was the probe, which is over then.
    pub fn close(
        &mut self,
        told: Option<Timestamp>,
        message: &str,
        now: Timestamp,
        probed: bool,
    ) -> Result<ActiveLimit> {
        let home = self.home.clone();
        let closed = self.store.update(|saved: &mut Saved| {
            let before = saved.limit.take().filter(|before| now >= before.since);
            // Of many jobs that meet it at once, only the first one counts.
            let tries = match &before {
                None => 0,
                Some(before) if probed => before.tries + 1,
                Some(before) => before.tries,
            };
            let until = told.filter(|told| told.0 > now.0 + NEAR);
            let wait = (FIRST << tries.min(20)).min(LONGEST);
            let next = match (until, &before) {
                (Some(until), _) => until,
                (None, Some(before)) if !probed && before.next > now => before.next,
                (None, _) => Timestamp(now.0 + wait),
            };
            let since = before.map_or(now, |before| before.since);
            let closed =
                ActiveLimit { codex_home: home, since, until, next, tries, message: message.to_owned() };
            saved.limit = Some(closed.clone());
            Ok((closed, Changed::Yes))
        })?;
        if probed {
            self.held = None;
        }
        Ok(closed)
    }

    /// The probe went through: the limit is over.
    pub fn open(&mut self) -> Result<()> {
        if self.closed()?.is_some() {
            self.store.update(|saved: &mut Saved| {
                saved.limit = None;
                Ok(((), Changed::Yes))
            })?;
        }
        self.held = None;
        Ok(())
    }

    /// The limits of all homes.
    pub fn all() -> Result<Vec<ActiveLimit>> {
        let locks = state_folder()?.join("locks");
        let mut all = Vec::new();
        for entry in fs::read_dir(&locks).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let hash = name.to_str().and_then(|name| name.strip_prefix("limit-"));
            if hash.is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit())) {
                all.extend(Store::new(entry.path()).read::<Saved>()?.limit);
            }
        }
        Ok(all)
    }
}

impl ActiveLimit {
    /// Whether the time is past that Codex told. The next job tries whether that is so.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// The way on, for people.
    pub fn describe_until(&self, now: Timestamp) -> String {
        match self.until {
            Some(until) if self.is_over(now) => format!("since {}, as Codex reported", until.clock()),
            Some(until) => format!("until {}, in {}", until.clock(), until.countdown(now)),
            None if self.next > now => {
                format!("its reset time is unknown, and the next attempt is in {}", self.next.countdown(now))
            }
            None => "its reset time is unknown".to_owned(),
        }
    }

    /// The error of who may not start anything.
    pub fn error(&self, now: Timestamp) -> Error {
        Error::new(format!(
            "the usage limit of '{}' is reached, {}",
            self.codex_home,
            self.describe_until(now)
        ))
        .hint("--on-limit=wait waits until it resets, --on-limit=try starts jobs anyway")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(folder: &Path) -> LimitGate {
        LimitGate {
            store: Store::new(folder.join("limit")),
            probe: folder.join("limit.probe"),
            home: "/home".to_owned(),
            held: None,
        }
    }

    #[test]
    fn one_probe_at_a_time_and_ever_more_seldom() {
        let folder = tempfile::tempdir().unwrap();
        let (mut one, mut two) = (gate(folder.path()), gate(folder.path()));
        let at = |seconds: i64| Timestamp(1_795_000_000_000 + seconds * 1000);
        assert_eq!(one.pass(false, at(0)).unwrap(), Admission::Free);
        // Sixteen jobs meet the limit at once.
        for _ in 0..16 {
            assert_eq!(one.close(Some(at(30)), "limit", at(0), false).unwrap().next, at(5));
        }
        assert!(matches!(two.pass(false, at(4)).unwrap(), Admission::Shut(_)));
        assert_eq!(two.pass(false, at(5)).unwrap(), Admission::Probe);
        assert!(matches!(one.pass(true, at(6)).unwrap(), Admission::Shut(_)), "another one probes");
        assert!(matches!(two.pass(false, at(6)).unwrap(), Admission::Shut(_)), "its own probe is under way");
        // One that was begun before meets it once more, and is not the probe.
        assert_eq!(two.close(None, "limit", at(6), false).unwrap().tries, 0);
        assert!(matches!(one.pass(true, at(6)).unwrap(), Admission::Shut(_)), "it still probes");
        assert_eq!(two.close(None, "limit", at(7), true).unwrap().next, at(17));
        assert_eq!(one.pass(false, at(17)).unwrap(), Admission::Probe);
        // A probe that dies gives the turn back.
        drop(one);
        assert_eq!(two.pass(false, at(18)).unwrap(), Admission::Probe);
        two.release();
        assert_eq!(two.pass(false, at(18)).unwrap(), Admission::Probe);
        let told = two.close(Some(at(7200)), "limit", at(20), true).unwrap();
        assert_eq!((told.until, told.next, told.since), (Some(at(7200)), at(7200), at(0)));
        assert!(matches!(two.pass(false, at(3600)).unwrap(), Admission::Shut(_)));
        // A clock that was set back.
        assert_eq!(two.pass(false, at(-100)).unwrap(), Admission::Probe);
        two.open().unwrap();
        assert_eq!(two.pass(false, at(21)).unwrap(), Admission::Free);
        for tries in 0..12 {
            two.take().unwrap();
            let wait = two.close(None, "limit", at(30), true).unwrap().next.0 - at(30).0;
            assert_eq!(wait, [5000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000][tries.min(7)]);
        }
    }
}
