//! Durations that do not depend on the wall clock, which may be set.
//!
//! Events have the time of the wall clock. The duration of a job, and whether it took too long, is decided by the time
//! since the boot, which cannot be set. If two moments are of two boots, or one of them has no such time, the duration is
//! the difference of the wall clock.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use codex_agent_shared::time::Timestamp;

/// A point in time by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time of the wall clock.
    pub at: Timestamp,
    /// The milliseconds since the boot, including those in which the system slept.
    pub up: Option<i64>,
}

impl Moment {
    /// The current moment.
    pub fn now() -> Moment {
        Moment { at: Timestamp::now(), up: Some(uptime()) }
    }

    /// The duration since an earlier moment; `same_boot` is whether both are of one boot.
    pub fn since(self, then: Moment, same_boot: bool) -> Duration {
        let ms = match (self.up, then.up) {
            (Some(now), Some(then)) if same_boot => now - then,
            _ => self.at.0 - then.at.0,
        };
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }
}

/// The milliseconds since the boot. On Linux they are read without a system call. The monotonic clock of other systems
/// includes the time in which the system slept.
fn uptime() -> i64 {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let now = clock_gettime(clock);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_clock_that_is_set_changes_no_duration() {
        let begun = Moment { at: Timestamp(1_795_000_000_000), up: Some(5 * HOUR) };
        // The clock is set forwards and backwards; 7 s have passed.
        for jump in [0, 1, 999, HOUR, 24 * HOUR, 400 * 24 * HOUR].into_iter().flat_map(|by| [by, -by]) {
            let now = Moment { at: Timestamp(begun.at.0 + 7000 + jump), up: Some(5 * HOUR + 7000) };
            assert_eq!(now.since(begun, true), Duration::from_secs(7), "{jump}");
            // After another boot the wall clock counts, and no duration is negative.
            let wall = Duration::from_millis(u64::try_from(7000 + jump).unwrap_or(0));
            assert_eq!(now.since(begun, false), wall, "{jump}");
            assert_eq!(now.since(Moment { up: None, ..begun }, true), wall, "{jump}");
        }
    }

    #[test]
    fn this_system_has_the_time_since_the_boot() {
        let then = Moment::now();
        std::thread::sleep(Duration::from_millis(60));
        let passed = Moment::now().since(then, true);
        assert!(then.up.is_some() && passed >= Duration::from_millis(40), "{passed:?}");
    }
}
