//! Points in time: milliseconds since 1970 in memory, RFC 3339 in UTC in records, and the forms that people type
//! on a command line (`2d`, `yesterday`, `2026-11-22`).
//!
//! The calendar and the time zones are jiff's. Only the digits of a printed time are written here, since a listing
//! prints three times a row.
//!
//! ```
//! use codex_agent_shared::time::{Timestamp, parse_duration};
//!
//! let moment = Timestamp::parse("2026-11-22T10:50:16.527593446Z").unwrap();
//! assert_eq!(moment.to_string(), "2026-11-22T10:50:16.527Z");
//! assert_eq!(parse_duration("1h30m").unwrap().as_secs(), 5400);
//! ```

use std::fmt;
use std::ops::Range;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Zoned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// Milliseconds since 1970-01-01T00:00:00Z. Written as `2026-11-22T10:50:06.020Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The current time of the system's clock.
    pub fn now() -> Self {
        Timestamp(jiff::Timestamp::now().as_millisecond())
    }

    /// Parses RFC 3339 (`2026-11-22T10:50:06.020Z`, any offset, any fraction); `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_millisecond()))
    }

    /// The timestamp of a time of the system, such as the last change of a file.
    pub fn from_system(time: std::time::SystemTime) -> Option<Self> {
        jiff::Timestamp::try_from(time).ok().map(|at| Timestamp(at.as_millisecond()))
    }

    /// The same time for jiff. A time before 1970 or after the year 9999 (a broken row) becomes the nearest of these.
    fn clamped(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0.max(0)).unwrap_or(jiff::Timestamp::MAX)
    }

    /// The 24 characters of RFC 3339 in UTC with milliseconds.
    pub fn text(self) -> [u8; 24] {
        let at = Offset::UTC.to_datetime(self.clamped());
        let mut out = *b"0000-00-00T00:00:00.000Z";
        let mut put = |places: Range<usize>, mut value: i16| {
            for place in places.rev() {
                out[place] = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(0..4, at.year());
        put(5..7, at.month().into());
        put(8..10, at.day().into());
        put(11..13, at.hour().into());
        put(14..16, at.minute().into());
        put(17..19, at.second().into());
        put(20..23, at.millisecond());
        out
    }

    /// The local time for people: `14:35`, and before it the date if that is not today.
    pub fn clock(self) -> String {
        let (at, now) = (self.local("%Y-%m-%d %H:%M"), Timestamp::now().local("%Y-%m-%d"));
        at.strip_prefix(&now).map_or(at.clone(), |clock| clock.trim_start().to_owned())
    }

    /// The time between two timestamps, in either order, in two units: `1h05m`, `4m30s`, `12s`.
    pub fn countdown(self, now: Timestamp) -> String {
        let seconds = self.0.saturating_sub(now.0).unsigned_abs().div_ceil(1000);
        match seconds {
            ..60 => format!("{seconds}s"),
            60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
            3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
            _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
        }
    }

    /// The local time in a format of `strftime`.
    pub fn local(self, format: &str) -> String {
        self.clamped().to_zoned(TimeZone::system()).strftime(format).to_string()
    }

    /// The age in a sentence: `just now`, `5m ago`, or `on 2025-11-22` after a year.
    #[doc(hidden)]
    pub fn ago(self, now: Timestamp) -> String {
        match self.age(now) {
            age if age == "now" => "just now".to_owned(),
            age if age.len() == 10 && !age.starts_with("in ") => format!("on {age}"),
            age => format!("{age} ago"),
        }
    }

    /// The age for a table: `now`, `5m`, `3h`, `2d`, `6w`, or the date; `in 5m` for a time in the future.
    pub fn age(self, now: Timestamp) -> String {
        let seconds = now.0.saturating_sub(self.0) / 1000;
        if seconds < -60 {
            return format!("in {}", now.age(self));
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
        serializer.collect_str(self)
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

    /// A record that is read may have any offset and any fraction.
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        if generator.contract().is_deserialize() {
            return schemars::json_schema!({"type": "string", "format": "date-time"});
        }
        let pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$";
        schemars::json_schema!({"type": "string", "format": "date-time", "pattern": pattern})
    }
}

/// Parses a time as people type it: RFC 3339; `2026-11-22`, `2026-11-22T10:50` or `2026-11` in local time (the beginning
/// of that day, minute or month); `now`, `today`, `yesterday`, a weekday (the last one before today); `this week`,
/// `last week`, and so for month and year; or the time since then: `90s`, `30m`, `12h`, `2d`, `3w`, `2mo`, `1y`, also
/// joined, the longest unit first (`1d12h`), and as `3 days ago`. Blanks may be typed as dashes (`last-week`). Days are
/// calendar days of the local time zone, and a week begins on Monday.
pub fn parse_moment(text: &str) -> Result<Timestamp> {
    parse_relative(text, &Zoned::now(), false)
}

/// As [`parse_moment`], but a text that means a whole day, week, month or year is its last millisecond.
pub fn parse_end(text: &str) -> Result<Timestamp> {
    parse_relative(text, &Zoned::now(), true)
}

/// Parses a duration: `90s`, `5m`, `1h30m`, the longest unit first. A day of a duration has 24 hours.
pub fn parse_duration(text: &str) -> Result<std::time::Duration> {
    let span = parse_span(&text.trim().to_lowercase());
    let duration = span.and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok());
    duration.and_then(|duration| duration.try_into().ok()).ok_or_else(|| {
        Error::usage(format!("invalid duration '{text}'")).hint("use a duration such as 90s, 5m or 1h30m")
    })
}

/// Parses a local time in the form of Codex's messages: `12:35 PM`, which is today, or `Nov 25th, 2026 12:35 PM`.
pub fn parse_codex_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    parse_spoken(text, &now.clamped().to_zoned(TimeZone::system()))
}

fn parse_spoken(text: &str, now: &Zoned) -> Option<Timestamp> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = match words[..] {
        [clock, half] => format!("{} {clock} {half}", now.strftime("%b %d %Y")),
        [month, day, year, clock, half] => {
            let day = day.trim_end_matches(|c: char| !c.is_ascii_digit());
            format!("{month} {day} {year} {clock} {half}")
        }
        _ => return None,
    };
    let local = DateTime::strptime("%b %d %Y %I:%M %p", text).ok()?;
    let zoned = local.to_zoned(now.time_zone().clone()).ok()?;
    Some(Timestamp(zoned.timestamp().as_millisecond()))
}

fn parse_relative(text: &str, now: &Zoned, is_end: bool) -> Result<Timestamp> {
    let typed = text.trim();
    let words = typed.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let spaced = match words.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => words.replace(['-', '_'], " "),
        false => words.clone(),
    };
    let edge = |(first, length): (Zoned, Span)| {
        let next = first.checked_add(length).ok()?.start_of_day().ok()?;
        if is_end { next.checked_sub(Span::new().milliseconds(1)).ok() } else { Some(first) }
    };
    let found = match spaced.as_str() {
        "now" => Some(now.clone()),
        spaced => (parse_period(spaced, now).and_then(edge))
            .or_else(|| parse_absolute(typed, now.time_zone()))
            .or_else(|| {
                let dashed = words.split_once(['-', '_']).map(|_| words.replace(['-', '_'], " "));
                parse_span(dashed.as_deref().unwrap_or(&words)).and_then(|span| now.checked_sub(span).ok())
            }),
    };
    found.map(|zoned| Timestamp(zoned.timestamp().as_millisecond())).ok_or_else(|| {
        Error::usage(format!("invalid time '{text}'")).hint(
            "use a time such as 2d, 12h, yesterday, monday, '3 days ago', 'last week', 2026-W47, 2026-11-22 or 2026-11-22T10:50:00Z",
        )
    })
}

/// A day, week, month or year: its beginning, and its length.
fn parse_period(text: &str, now: &Zoned) -> Option<(Zoned, Span)> {
    let (day, week) = (Span::new().days(1), Span::new().weeks(1));
    let (month, year) = (Span::new().months(1), Span::new().years(1));
    let zone = now.time_zone();
    let at = |date: jiff::civil::Date| date.to_zoned(zone.clone()).ok()?.start_of_day().ok();
    let today = now.date();
    let past = |which: &str| match which {
        "this" => Some(0),
        "last" | "previous" => Some(1),
        _ => None,
    };
    let (date, length) = match text.split_once(' ') {
        None => match text {
            "today" => (today, day),
            "yesterday" => (today.yesterday().ok()?, day),
            _ => match parse_weekday(text) {
                Some(weekday) => (today.nth_weekday(-1, weekday).ok()?, day),
                None => match text.len() {
                    4 if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                        (format!("{text}-01-01").parse().ok()?, year)
                    }
                    8 if text.contains("-w") => (parse_week(text)?, week),
                    7 if text.as_bytes()[4] == b'-' => (format!("{text}-01").parse().ok()?, month),
                    8 | 10 => (text.parse().ok()?, day),
                    _ => return None,
                },
            },
        },
        Some(("last", name)) if parse_weekday(name).is_some() => {
            (today.nth_weekday(-1, parse_weekday(name)?).ok()?, day)
        }
        Some((which, "week")) => {
            let since_monday = i64::from(today.weekday().to_monday_zero_offset());
            let back = since_monday + 7 * past(which)?;
            (today.checked_sub(Span::new().days(back)).ok()?, week)
        }
        Some((which, "month")) => {
            (today.first_of_month().checked_sub(Span::new().months(past(which)?)).ok()?, month)
        }
        Some((which, "year")) => {
            (today.first_of_year().checked_sub(Span::new().years(past(which)?)).ok()?, year)
        }
        _ => return None,
    };
    Some((at(date)?, length))
}

/// The Monday of a week such as `2026-w48`.
fn parse_week(text: &str) -> Option<jiff::civil::Date> {
    let (year, week) = text.split_once("-w")?;
    let (year, week) = (year.parse().ok()?, week.parse().ok()?);
    Some(jiff::civil::ISOWeekDate::new(year, week, jiff::civil::Weekday::Monday).ok()?.date())
}

fn parse_weekday(text: &str) -> Option<jiff::civil::Weekday> {
    use jiff::civil::Weekday::*;
    [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday].into_iter().find(|day| {
        let full = format!("{day:?}").to_lowercase();
        text == full || (text.len() == 3 && full.starts_with(text))
    })
}

fn parse_absolute(text: &str, zone: &TimeZone) -> Option<Zoned> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.to_zoned(zone.clone()));
    }
    text.parse::<DateTime>().ok().and_then(|local| local.to_zoned(zone.clone()).ok())
}

/// Parses a span such as `1d12h` or `2 days ago`. jiff also reads signs, fractions and clocks, which could be typed
/// for something else.
fn parse_span(text: &str) -> Option<Span> {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ');
    let is_span = is_plain && text.starts_with(|c: char| c.is_ascii_digit());
    text.parse::<Span>().ok().filter(|_| is_span).map(Span::abs)
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
        assert_eq!(Timestamp(i64::MAX).to_string(), "9999-12-30T22:00:00.999Z");
    }

    #[test]
    fn moments_as_typed() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = "2026-11-22T10:00:00+02:00[+02:00]".parse::<Zoned>().unwrap().with_time_zone(zone);
        let at =
            |text: &str| parse_relative(text, &now, false).map(|t| t.to_string()).map_err(|e| e.to_string());
        assert_eq!(at("2d").unwrap(), "2026-11-20T08:00:00.000Z");
        assert_eq!(at("1d 12h ago").unwrap(), "2026-11-20T20:00:00.000Z");
        assert_eq!(at("today").unwrap(), "2026-11-21T22:00:00.000Z");
        assert_eq!(at("yesterday").unwrap(), "2026-11-20T22:00:00.000Z");
        assert_eq!(at("monday").unwrap(), "2026-11-15T22:00:00.000Z");
        assert_eq!(at("2026-11-01").unwrap(), "2026-10-31T22:00:00.000Z");
        assert_eq!(at("2026-11-01T12:30").unwrap(), "2026-11-01T10:30:00.000Z");
        assert_eq!(at("2026-11-01T12:30:00Z").unwrap(), "2026-11-01T12:30:00.000Z");
        let end = |text: &str| parse_relative(text, &now, true).map(|t| t.to_string()).unwrap();
        assert_eq!(end("yesterday"), "2026-11-21T21:59:59.999Z");
        assert_eq!(end("2026-11-01"), "2026-11-01T21:59:59.999Z");
        assert_eq!(end("2026-11-01T12:30"), "2026-11-01T10:30:00.000Z");
        assert_eq!(end("2d"), at("2d").unwrap());
        for wrong in ["tuesdayish", "5", "", "-2d", "2x", "99999999999999999999d"] {
            assert!(at(wrong).unwrap_err().contains("invalid time"), "{wrong}");
        }
    }

    #[test]
    fn periods_as_typed() {
        let now = "2026-11-25T10:00:00+02:00[+02:00]".parse::<Zoned>().unwrap();
        let both = |text: &str| {
            let of = |is_end| parse_relative(text, &now, is_end).map(|at| at.to_string()).unwrap();
            (of(false), of(true))
        };
        let range =
            |from: &str, upto: &str| (format!("{from}T22:00:00.000Z"), format!("{upto}T21:59:59.999Z"));
        // The 25th of November 2026 is a Wednesday.
        assert_eq!(both("this week"), range("2026-11-22", "2026-11-29"));
        assert_eq!(both("last week"), range("2026-11-15", "2026-11-22"));
        assert_eq!(both("Last-Week"), both("last week"));
        assert_eq!(both("this month"), range("2026-10-31", "2026-11-30"));
        assert_eq!(both("last_month"), range("2026-09-30", "2026-10-31"));
        assert_eq!(both("2026-W48"), both("this week"));
        assert_eq!(both("2027-w01"), range("2027-01-03", "2027-01-10"));
        assert_eq!(both("2026-02"), range("2026-01-31", "2026-02-28"));
        assert_eq!(both("last year"), range("2024-12-31", "2025-12-31"));
        assert_eq!(both("2025"), both("last year"));
        assert_eq!(both("wednesday"), range("2026-11-17", "2026-11-18"));
        assert_eq!(both("last tue"), range("2026-11-23", "2026-11-24"));
        assert_eq!(both("3 days ago"), both("3d"));
        assert_eq!(both("3-days-ago"), both("3d"));
        for wrong in [
            "last",
            "next week",
            "last week ago",
            "this monday",
            "2026-13",
            "2026-W54",
            "2026-W00",
            "2026-W4",
            "abcd-W01",
            "2026-1",
            "week",
            "3-",
            "3-4",
        ] {
            assert!(parse_relative(wrong, &now, false).is_err(), "{wrong}");
        }
    }

    /// At any moment, in zones with every kind of change of the clock: periods are not empty, follow one another without
    /// a gap, and have the moments that they should have.
    #[test]
    fn periods_are_joined_without_gaps() {
        let mut seed = 11_u64;
        let mut next = |limit: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from((seed >> 33) % limit).unwrap()
        };
        let zones = [
            TimeZone::UTC,
            TimeZone::fixed(jiff::tz::offset(-11)),
            TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap(),
            // The clock changes at midnight, so that a day may begin at one.
            TimeZone::posix("<-04>4<-03>,M9.1.0/0,M4.1.0/0").unwrap(),
            TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap(),
        ];
        for _ in 0..1500 {
            let zone = zones[usize::try_from(next(5)).unwrap()].clone();
            let ms = 1_500_000_000_000 + next(700_000_000) * 1000 + next(1000);
            let now = jiff::Timestamp::from_millisecond(ms).unwrap().to_zoned(zone);
            let start = |text: &str| parse_relative(text, &now, false).unwrap().0;
            let end = |text: &str| parse_relative(text, &now, true).unwrap().0;
            for (before, after) in [
                ("yesterday", "today"),
                ("last week", "this week"),
                ("last month", "this month"),
                ("last year", "this year"),
            ] {
                assert_eq!(end(before) + 1, start(after), "{now} {before}");
                assert!(
                    start(before) < end(before) && start(after) <= ms && ms <= end(after),
                    "{now} {after}"
                );
            }
            let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
            let mut starts: Vec<i64> = days.iter().map(|day| start(day)).collect();
            starts.sort_unstable();
            starts.dedup();
            assert!(starts.len() == 7 && starts[6] == start("yesterday"), "{now}");
            assert!(days.iter().all(|day| end(day) < start("today")), "{now}");
            assert!(
                start("this week") >= start("monday") || now.date().weekday() == jiff::civil::Weekday::Monday
            );
            let local = |ms: i64| Timestamp(ms).clamped().to_zoned(now.time_zone().clone());
            assert_eq!(local(start("this week")).date().weekday(), jiff::civil::Weekday::Monday, "{now}");
            assert_eq!(local(start("last month")).date().day(), 1, "{now}");
            // A period of the past by its date is the same.
            let date = local(start("yesterday")).date().to_string();
            assert_eq!((start(&date), end(&date)), (start("yesterday"), end("yesterday")), "{now}");
            let month = local(start("last month")).date().to_string();
            assert_eq!(
                (start(&month[..7]), end(&month[..7])),
                (start("last month"), end("last month")),
                "{now}"
            );
            // A number of days is a moment for both bounds.
            let ago = format!("{} days ago", next(400));
            assert_eq!(start(&ago), end(&ago), "{now} {ago}");
            assert!(start(&ago) <= ms, "{now} {ago}");
        }
    }

    #[test]
    fn times_as_codex_prints_them() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = "2026-11-24T10:00:00+02:00[+02:00]".parse::<Zoned>().unwrap().with_time_zone(zone);
        let at = |text: &str| parse_spoken(text, &now).map(|at| at.to_string());
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
        assert_eq!(Timestamp(now.0 - 300_000).ago(now), "5m ago");
        assert_eq!((&*now.ago(now), &*Timestamp(0).ago(now)), ("just now", "on 1970-01-01"));
    }
}
