//! Points in time: milliseconds since 1970 inside, RFC 3339 in UTC outside, and the ways people
//! say one on a command line (`2d`, `yesterday`, `2026-11-22`).
//!
//! Printing is written out here because a listing prints three times a row; all that needs a
//! calendar or a time zone is jiff's.
//!
//! ```
//! use codex_agent_shared::time::{Timestamp, parse_duration};
//!
//! let moment = Timestamp::parse("2026-11-22T10:50:16.527593446Z").unwrap();
//! assert_eq!(moment.to_string(), "2026-11-22T10:50:16.527Z");
//! assert_eq!(parse_duration("1h30m").unwrap().as_secs(), 5400);
//! ```

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// Milliseconds since 1970-01-01T00:00:00Z. Written as `2026-11-22T10:50:06.020Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// The last moment with four digits in its year; later ones (a broken row) are shown as this one.
const LAST: i64 = 253_402_300_799_999;

impl Timestamp {
    /// Now, by the system's clock.
    pub fn now() -> Self {
        Timestamp(jiff::Timestamp::now().as_millisecond())
    }

    /// Reads RFC 3339 (`2026-11-22T10:50:06.020Z`, any offset, any fraction); `None` if it is not.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_millisecond()))
    }

    /// The moment of a file's last change, for want of better.
    pub fn of(time: std::time::SystemTime) -> Option<Self> {
        jiff::Timestamp::try_from(time).ok().map(|at| Timestamp(at.as_millisecond()))
    }

    /// The 24 characters of RFC 3339 in UTC with milliseconds.
    pub fn text(self) -> [u8; 24] {
        let ms = self.0.clamp(0, LAST);
        let (days, ms) = (ms / 86_400_000, ms % 86_400_000);
        // Days to a civil date in the proleptic Gregorian calendar, counted in eras of 400 years
        // that begin on the first of March, so that a leap day is the last day of its year.
        let z = days + 719_468;
        let era = z / 146_097;
        let day_of_era = z % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let mut out = *b"0000-00-00T00:00:00.000Z";
        let mut put = |at: usize, digits: usize, mut value: i64| {
            for place in (at..at + digits).rev() {
                out[place] = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, ms / 3_600_000);
        put(14, 2, ms / 60_000 % 60);
        put(17, 2, ms / 1000 % 60);
        put(20, 3, ms % 1000);
        out
    }

    /// Local time, for people: `14:35`, and the date where it is not today.
    pub fn clock(self) -> String {
        let (at, now) = (self.local("%Y-%m-%d %H:%M"), Timestamp::now().local("%Y-%m-%d"));
        at.strip_prefix(&now).map_or(at.clone(), |clock| clock.trim_start().to_owned())
    }

    /// How long until then, or since, as two digits of two units: `1h05m`, `4m30s`, `12s`.
    pub fn countdown(self, now: Timestamp) -> String {
        let seconds = self.0.saturating_sub(now.0).unsigned_abs().div_ceil(1000);
        match seconds {
            ..60 => format!("{seconds}s"),
            60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
            3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
            _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
        }
    }

    /// In local time, by the letters of `strftime`.
    pub fn local(self, format: &str) -> String {
        let at = jiff::Timestamp::from_millisecond(self.0.clamp(0, LAST)).unwrap_or_default();
        at.to_zoned(TimeZone::system()).strftime(format).to_string()
    }

    /// How long ago, for a table: `now`, `5m`, `3h`, `2d`, `6w`, else the date. `in 5m` if ahead.
    pub fn age(self, now: Timestamp) -> String {
        let seconds = now.0.saturating_sub(self.0) / 1000;
        if seconds < -60 {
            return format!("in {}", Timestamp(now.0).age(self));
        }
        match seconds {
            ..60 => "now".to_owned(),
            60..3600 => format!("{}m", seconds / 60),
            3600..86_400 => format!("{}h", seconds / 3600),
            86_400..1_209_600 => format!("{}d", seconds / 86_400),
            1_209_600..31_536_000 => format!("{}w", seconds / 604_800),
            _ => self.to_string()[..10].to_owned(),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Timestamp::parse(&text).ok_or_else(|| {
            serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), &"a time in RFC 3339")
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "time".into()
    }

    /// What is read may have any offset and any fraction.
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        if generator.contract().is_deserialize() {
            return schemars::json_schema!({"type": "string", "format": "date-time"});
        }
        let pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$";
        schemars::json_schema!({"type": "string", "format": "date-time", "pattern": pattern})
    }
}

/// Reads a moment as people type it: RFC 3339; `2026-11-22` or `2026-11-22T10:50` in local time
/// (the beginning of that day or minute); `now`, `today`, `yesterday`, a weekday (the last one);
/// or how long ago: `90s`, `30m`, `12h`, `2d`, `3w`, `2mo`, `1y`, also joined (`1d12h`).
/// Days are calendar days of the local time zone.
pub fn parse_moment(text: &str) -> Result<Timestamp> {
    moment(text, &Zoned::now(), false)
}

/// As [`parse_moment`], but what means a whole day means its last millisecond.
pub fn parse_end(text: &str) -> Result<Timestamp> {
    moment(text, &Zoned::now(), true)
}

/// Reads how long something may take: `90s`, `5m`, `1h30m`. Days have 24 hours here.
pub fn parse_duration(text: &str) -> Result<std::time::Duration> {
    let span = ago(&text.trim().to_lowercase());
    let duration = span.and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok());
    duration.and_then(|duration| duration.try_into().ok()).ok_or_else(|| {
        Error::usage(format!("invalid duration '{text}'")).hint("use a duration such as 90s, 5m or 1h30m")
    })
}

/// Reads a time as Codex prints it for people, in local time: `12:35 PM`, which is today, or `Nov 25th,
/// 2026 12:35 PM`.
pub fn parse_spoken(text: &str, now: Timestamp) -> Option<Timestamp> {
    spoken(text, &jiff::Timestamp::from_millisecond(now.0).ok()?.to_zoned(TimeZone::system()))
}

fn spoken(text: &str, now: &Zoned) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let (date, clock, half) = match words[..] {
        [clock, half] => (now.date(), clock, half),
        [month, day, year, clock, half] => {
            let month = MONTHS.iter().position(|name| *name == month)? as i8 + 1;
            let day = day.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()?;
            (jiff::civil::Date::new(year.parse().ok()?, month, day).ok()?, clock, half)
        }
        _ => return None,
    };
    let (hour, minute) = clock.split_once(':')?;
    let hour: i8 = hour.parse().ok().filter(|hour| (1..=12).contains(hour))?;
    let hour = hour % 12 + if half == "PM" { 12 } else { 0 };
    let time = jiff::civil::Time::new(hour, minute.parse().ok()?, 0, 0).ok()?;
    let zoned = date.to_datetime(time).to_zoned(now.time_zone().clone()).ok()?;
    Some(Timestamp(zoned.timestamp().as_millisecond()))
}

fn moment(text: &str, now: &Zoned, end: bool) -> Result<Timestamp> {
    let typed = text.trim();
    let start_of = |zoned: &Zoned| {
        let day = if end { zoned.tomorrow().ok()? } else { zoned.clone() };
        let start = day.start_of_day().ok()?;
        if end { start.checked_sub(Span::new().milliseconds(1)).ok() } else { Some(start) }
    };
    let found = match typed.to_lowercase().as_str() {
        "now" => Some(now.clone()),
        "today" => start_of(now),
        "yesterday" => now.yesterday().ok().as_ref().and_then(start_of),
        lower => weekday(lower)
            .and_then(|day| now.nth_weekday(-1, day).ok())
            .as_ref()
            .and_then(start_of)
            .or_else(|| {
                let day =
                    typed.parse::<jiff::civil::Date>().ok().filter(|_| matches!(typed.len(), 8 | 10))?;
                start_of(&day.to_zoned(now.time_zone().clone()).ok()?)
            })
            .or_else(|| absolute(typed, now.time_zone()))
            .or_else(|| ago(lower).and_then(|span| now.checked_sub(span).ok())),
    };
    found.map(|zoned| Timestamp(zoned.timestamp().as_millisecond())).ok_or_else(|| {
        Error::usage(format!("invalid time '{text}'"))
            .hint("use a time such as 2d, 12h, yesterday, monday, 2026-11-22 or 2026-11-22T10:50:00Z")
    })
}

fn weekday(text: &str) -> Option<jiff::civil::Weekday> {
    use jiff::civil::Weekday::*;
    [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday].into_iter().find(|day| {
        let full = format!("{day:?}").to_lowercase();
        text == full || (text.len() == 3 && full.starts_with(text))
    })
}

fn absolute(text: &str, zone: &TimeZone) -> Option<Zoned> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.to_zoned(zone.clone()));
    }
    text.parse::<DateTime>().ok().and_then(|local| local.to_zoned(zone.clone()).ok())
}

/// `1d12h` as a span. Every number needs a unit: a bare `5` could be anything.
fn ago(text: &str) -> Option<Span> {
    let text = text.strip_suffix(" ago").unwrap_or(text);
    let mut span = Span::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let amount: i64 = rest[..digits].parse().ok()?;
        let unit_on = rest[digits..].trim_start();
        let end = unit_on.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit_on.len());
        span = match &unit_on[..end] {
            "s" | "sec" | "second" | "seconds" => span.try_seconds(span.get_seconds().checked_add(amount)?),
            "m" | "min" | "minute" | "minutes" => span.try_minutes(span.get_minutes().checked_add(amount)?),
            "h" | "hour" | "hours" => span.try_hours(i64::from(span.get_hours()).checked_add(amount)?),
            "d" | "day" | "days" => span.try_days(i64::from(span.get_days()).checked_add(amount)?),
            "w" | "week" | "weeks" => span.try_weeks(i64::from(span.get_weeks()).checked_add(amount)?),
            "mo" | "month" | "months" => span.try_months(i64::from(span.get_months()).checked_add(amount)?),
            "y" | "year" | "years" => span.try_years(i64::from(span.get_years()).checked_add(amount)?),
            _ => return None,
        }
        .ok()?;
        rest = unit_on[end..].trim_start();
    }
    Some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_agrees_with_the_library() {
        for ms in [0, 1, 951_782_399_999, 951_868_800_000, 1_795_344_606_020, 253_402_207_199_999] {
            let want = format!("{:.3}", jiff::Timestamp::from_millisecond(ms).unwrap());
            assert_eq!(Timestamp(ms).to_string(), want);
            assert_eq!(Timestamp::parse(&want), Some(Timestamp(ms)));
        }
        assert_eq!(Timestamp(-5).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn moments_as_typed() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = "2026-11-22T10:00:00+02:00[+02:00]".parse::<Zoned>().unwrap().with_time_zone(zone);
        let at = |text: &str| moment(text, &now, false).map(|t| t.to_string()).map_err(|e| e.to_string());
        assert_eq!(at("2d").unwrap(), "2026-11-20T08:00:00.000Z");
        assert_eq!(at("1d 12h ago").unwrap(), "2026-11-20T20:00:00.000Z");
        assert_eq!(at("today").unwrap(), "2026-11-21T22:00:00.000Z");
        assert_eq!(at("yesterday").unwrap(), "2026-11-20T22:00:00.000Z");
        assert_eq!(at("monday").unwrap(), "2026-11-15T22:00:00.000Z");
        assert_eq!(at("2026-11-01").unwrap(), "2026-10-31T22:00:00.000Z");
        assert_eq!(at("2026-11-01T12:30").unwrap(), "2026-11-01T10:30:00.000Z");
        assert_eq!(at("2026-11-01T12:30:00Z").unwrap(), "2026-11-01T12:30:00.000Z");
        let end = |text: &str| moment(text, &now, true).map(|t| t.to_string()).unwrap();
        assert_eq!(end("yesterday"), "2026-11-21T21:59:59.999Z");
        assert_eq!(end("2026-11-01"), "2026-11-01T21:59:59.999Z");
        assert_eq!(end("2026-11-01T12:30"), "2026-11-01T10:30:00.000Z");
        assert_eq!(end("2d"), at("2d").unwrap());
        for wrong in ["tuesdayish", "5", "", "-2d", "2x", "99999999999999999999d"] {
            assert!(at(wrong).unwrap_err().contains("invalid time"), "{wrong}");
        }
    }

    #[test]
    fn times_as_codex_prints_them() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = "2026-11-24T10:00:00+02:00[+02:00]".parse::<Zoned>().unwrap().with_time_zone(zone);
        let at = |text: &str| spoken(text, &now).map(|at| at.to_string());
        assert_eq!(at("12:35 PM").as_deref(), Some("2026-11-24T10:35:00.000Z"));
        assert_eq!(at("12:05 AM").as_deref(), Some("2026-11-23T22:05:00.000Z"));
        assert_eq!(at("9:05 AM").as_deref(), Some("2026-11-24T07:05:00.000Z"));
        assert_eq!(at("Nov 25th, 2026 1:00 PM").as_deref(), Some("2026-11-25T11:00:00.000Z"));
        assert_eq!(at("Jan 1st, 2027 11:59 PM").as_deref(), Some("2027-01-01T21:59:00.000Z"));
        for wrong in ["noon", "13:00 PM", "0:10 AM", "Foo 1st, 2027 1:00 PM", "1:99 PM", ""] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lengths() {
        assert_eq!(parse_duration("1h30m").unwrap().as_secs(), 5400);
        assert_eq!(parse_duration("90s").unwrap().as_secs(), 90);
        for wrong in ["90", "", "-1s", "soon"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ages() {
        let now = Timestamp(1_795_344_606_020);
        for (seconds, want) in
            [(0, "now"), (300, "5m"), (7300, "2h"), (3 * 86_400, "3d"), (30 * 86_400, "4w")]
        {
            assert_eq!(Timestamp(now.0 - seconds * 1000).age(now), want);
        }
        assert_eq!(Timestamp(now.0 + 300_000).age(now), "in 5m");
        assert_eq!(Timestamp(0).age(now), "1970-01-01");
    }
}
