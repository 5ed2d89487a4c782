//! Points in time as people write them: `2026-11-23T10:41:07+01:00`, `2026-11-23`,
//! `10:41`, `2 h ago`. Without an offset a time is UTC.
//!
//! What is written names a span: a day, a minute, a second. `--from` means its first
//! moment; `--to`, `--at` and `as-of` mean its last one, so that a time copied from a
//! history has in it what is shown beside it. No clock is read here.

use crate::line::short;
use chrono::{DateTime, Days, FixedOffset, NaiveDate, NaiveTime, Utc};
use hms_sync_model::Time;
use std::time::Duration;

/// The longest text that is looked at, in bytes.
const TEXT_MAX: usize = 64;
const DAY: Duration = Duration::from_hours(24);

/// How times are written, for whoever wrote something else.
pub(crate) const HOW: &str = "write 2026-11-23, \"2026-11-23 10:41\" (UTC), 2026-11-23T10:41:07+01:00, \
                              10:41 (when it was that last, UTC), \"2 h ago\" or now";

/// The span that a text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Its first moment.
    pub first: Time,
    /// Its last.
    pub last: Time,
}

/// A text that names no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no time; {HOW}")]
pub struct NoTime {
    /// The text, cut to what a line bears.
    pub text: String,
}

impl Moment {
    /// The span that `text` names, asked at `now`.
    pub fn parse(text: &str, now: Time) -> Result<Self, NoTime> {
        let trimmed = text.trim();
        let known = || relative(trimmed, now).or_else(|| absolute(trimmed, now));
        let found = if trimmed.len() <= TEXT_MAX { known() } else { None };
        found.ok_or_else(|| NoTime { text: short(text) })
    }

    /// So long from `first` on.
    fn lasting(first: Time, long: Duration) -> Self {
        Self { first, last: first.plus(long.saturating_sub(Duration::from_micros(1))) }
    }
}

fn relative(text: &str, now: Time) -> Option<Moment> {
    if text.eq_ignore_ascii_case("now") {
        return Some(Moment { first: now, last: now });
    }
    let at = now.minus(humantime::parse_duration(text.strip_suffix("ago")?.trim_end()).ok()?);
    Some(Moment { first: at, last: at })
}

fn absolute(text: &str, now: Time) -> Option<Moment> {
    let (date, rest) = match text.split_at_checked(10) {
        Some((date, rest)) => match NaiveDate::parse_from_str(date, "%Y-%m-%d") {
            Ok(date) => (Some(date), rest),
            Err(_) => (None, text),
        },
        None => (None, text),
    };
    match date {
        Some(date) if rest.is_empty() => Some(Moment::lasting(instant(date, NaiveTime::MIN, utc()?)?, DAY)),
        Some(date) => {
            let (time, long, offset) = time_of_day(rest.strip_prefix(['T', 't', ' '])?)?;
            Some(Moment::lasting(instant(date, time, offset)?, long))
        }
        None => {
            let (time, long, offset) = time_of_day(rest)?;
            let today = now.to_chrono().with_timezone(&offset).date_naive();
            let first = instant(today, time, offset)?;
            let yesterday = || instant(today.checked_sub_days(Days::new(1))?, time, offset);
            let first = if first > now { yesterday()? } else { first };
            Some(Moment::lasting(first, long))
        }
    }
}

/// A time of day, how long what it names is, and the offset it is meant in.
fn time_of_day(text: &str) -> Option<(NaiveTime, Duration, FixedOffset)> {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | ':' | '.')).unwrap_or(text.len());
    let (time, zone) = text.split_at_checked(end)?;
    let parsed = |form| NaiveTime::parse_from_str(time, form).ok();
    let (parsed, long) = match time.split_once('.') {
        Some((_, digits)) if !digits.is_empty() => {
            let long = 10_u64.checked_pow(u32::try_from(9_usize.checked_sub(digits.len())?).ok()?)?;
            (parsed("%H:%M:%S%.f")?, Duration::from_nanos(long))
        }
        Some(_) => return None,
        None if time.matches(':').count() == 2 => (parsed("%H:%M:%S")?, Duration::from_secs(1)),
        None => (parsed("%H:%M")?, Duration::from_mins(1)),
    };
    Some((parsed, long, offset(zone.trim_start())?))
}

fn offset(zone: &str) -> Option<FixedOffset> {
    if zone.is_empty() || zone.eq_ignore_ascii_case("z") || zone.eq_ignore_ascii_case("utc") {
        return utc();
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (digits, "0"),
        4 => digits.split_at_checked(2)?,
        _ => digits.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2)?,
    };
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i32>().ok())?;
    let (hours, minutes) = (plain(hours)?, plain(minutes)?);
    let fits = hours < 24 && minutes < 60;
    FixedOffset::east_opt(sign * (hours * 3_600 + minutes * 60)).filter(|_| fits)
}

fn instant(date: NaiveDate, time: NaiveTime, offset: FixedOffset) -> Option<Time> {
    let local = date.and_time(time).and_local_timezone(offset).single()?;
    Some(Time::from_chrono(DateTime::<Utc>::from(local)))
}

fn utc() -> Option<FixedOffset> {
    FixedOffset::east_opt(0)
}

/// A point in a record's history: after so many of its events, or at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// After so many events.
    Version(u64),
    /// As it stood at a time.
    At(Time),
}

impl Point {
    /// `v12`, `12`, or a time.
    pub fn parse(text: &str, now: Time) -> Result<Self, NoTime> {
        let digits = text.trim().trim_start_matches(['v', 'V']);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Self::Version(digits.parse().unwrap_or(u64::MAX)));
        }
        Ok(Self::At(Moment::parse(text, now)?.last))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;
    use hms_sync_hostile::Reader;

    const NOW: &str = "2026-11-25T12:00:00Z";

    fn at(text: &str) -> Time {
        Time::from_chrono(DateTime::parse_from_rfc3339(text).unwrap().to_utc())
    }

    /// Whether each text names the span from one moment to another.
    fn check(texts: &[&str], first: &str, last: &str) {
        for text in texts {
            let found = Moment::parse(text, at(NOW)).unwrap();
            assert_eq!((found.first, found.last), (at(first), at(last)), "{text}");
        }
    }

    #[test]
    fn days_minutes_and_seconds_are_spans() {
        check(&["2026-11-23"], "2026-11-23T00:00:00Z", "2026-11-23T23:59:59.999999Z");
        let minute =
            ["2026-11-23 10:41", "2026-11-23T10:41Z", "2026-11-23t11:41+01:00", "2026-11-23 09:11 -0130"];
        check(&minute, "2026-11-23T10:41:00Z", "2026-11-23T10:41:59.999999Z");
        let second = ["2026-11-23T10:41:07Z", " 2026-11-23 10:41:07 UTC ", "2026-11-23T12:41:07+02"];
        check(&second, "2026-11-23T10:41:07Z", "2026-11-23T10:41:07.999999Z");
        check(&["2026-11-23 10:41:07.123"], "2026-11-23T10:41:07.123Z", "2026-11-23T10:41:07.123999Z");
        check(
            &["2026-11-23 10:41:07.123456789"],
            "2026-11-23T10:41:07.123456Z",
            "2026-11-23T10:41:07.123456Z",
        );
    }

    #[test]
    fn a_time_of_day_is_when_it_was_that_last() {
        check(&["10:41", "12:41+02:00"], "2026-11-25T10:41:00Z", "2026-11-25T10:41:59.999999Z");
        check(&["12:00:01"], "2026-11-24T12:00:01Z", "2026-11-24T12:00:01.999999Z");
        // It is the 26th already, fourteen hours east.
        check(&["01:00+14:00"], "2026-11-25T11:00:00Z", "2026-11-25T11:00:59.999999Z");
    }

    #[test]
    fn so_long_ago_is_a_moment() {
        check(
            &["2 h ago", "2h ago", "120 min ago", "1h 60min ago", "2 hours ago"],
            "2026-11-25T10:00:00Z",
            "2026-11-25T10:00:00Z",
        );
        check(&["now", "NOW", "0s ago"], NOW, NOW);
    }

    #[test]
    fn what_names_no_time_is_told_with_examples() {
        let long = "9".repeat(10_000);
        for text in [
            "",
            "soon",
            "ago",
            "2 h",
            "-2 h ago",
            "2026-13-01",
            "2026-11-31",
            "2026-11-23 25:00",
            "2026-11-23 10",
            "2026-11-23T10:41+25:00",
            "2026-11-23T10:41+1",
            "10:41:07.",
            "10:41 pm",
            "20261123",
            "2026-11-23x10:41",
            "+10:41",
            "99999999999999999999 years ago",
            "2026-11-23T10:41:07.1234567890Z",
            "é026-11-23",
            long.as_str(),
        ] {
            let why = Moment::parse(text, at(NOW)).unwrap_err().to_string();
            assert!(why.contains("2 h ago") && why.len() < 500, "{text:?}: {why}");
        }
        let why = Moment::parse("\u{1b}[2J", at(NOW)).unwrap_err();
        assert!(!why.to_string().contains('\u{1b}'), "{why}");
    }

    #[test]
    fn a_point_is_a_version_or_a_time() {
        let point = |text| Point::parse(text, at(NOW)).unwrap();
        assert_eq!([point("v4"), point("4")], [Point::Version(4); 2]);
        assert_eq!(point("99999999999999999999999"), Point::Version(u64::MAX));
        assert_eq!(point("2026-11-23"), Point::At(at("2026-11-23T23:59:59.999999Z")));
        assert!(Point::parse("v", at(NOW)).is_err());
    }

    #[test]
    fn hostile_times() {
        let now = at(NOW);
        Reader::new("times")
            .sound([
                "2026-11-23",
                "2026-11-23 10:41",
                "2026-11-23T10:41:07.5+01:00",
                "10:41",
                "2 h ago",
                "1d 3min ago",
                "now",
            ])
            .words([
                "ago", " ", "h", "years", "ns", "T", ":", "-", "Z", "24:00", "23:59:60", "02-29", "+14:00",
                "-23:59",
            ])
            .texts(|text| match Moment::parse(text, now) {
                Ok(moment) => {
                    assert!(moment.first <= moment.last, "{moment:?}");
                    true
                }
                Err(why) => {
                    assert!(why.to_string().len() < 2_000, "{why}");
                    false
                }
            });
    }
}
