//! The values that a listing is continued from: times in whatever form the side
//! writes them, numbers, and text that only has an order.
//!
//! What is sent back is in the side's own form, to the character: a filter that
//! is given another form answers with nothing, and no error.

use crate::spec::FieldPath;
use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, Utc};
use hms_sync_model::{Decimal, Time};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::fmt::Write;
use std::time::Duration;

/// How far each poll goes back if nothing is configured and the value is a time.
pub(crate) const LOOKBACK: Duration = Duration::from_secs(2);

/// How a side writes its cursor values.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    field: FieldPath,
    format: Option<Format>,
    lookback: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Format {
    Strftime(String),
    EpochSeconds,
    EpochMillis,
}

/// One cursor value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stamp {
    Number(Decimal),
    Time { at: DateTime<Utc>, text: String },
    Text(String),
}

impl Stamp {
    /// Order among values of one kind.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Some(a.cmp(b)),
            (Self::Time { at: a, .. }, Self::Time { at: b, .. }) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// As the side wrote it.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Number(n) => n.as_str(),
            Self::Time { text, .. } | Self::Text(text) => text,
        }
    }

    /// For a token or a cursor of ours.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Number(n) => serde_json::from_str(n.as_str()).unwrap_or(Json::Null),
            Self::Time { text, .. } | Self::Text(text) => Json::String(text.clone()),
        }
    }
}

impl Scale {
    /// The error says what is wrong with the format.
    pub(crate) fn new(
        field: FieldPath,
        format: Option<&str>,
        lookback: Option<Duration>,
    ) -> Result<Self, String> {
        let format = match format {
            None => None,
            Some("epoch_s") => Some(Format::EpochSeconds),
            Some("epoch_ms") => Some(Format::EpochMillis),
            Some(pattern) => {
                if StrftimeItems::new(pattern).any(|item| matches!(item, Item::Error)) {
                    return Err(format!("`{pattern}` is no strftime pattern"));
                }
                Some(Format::Strftime(pattern.to_owned()))
            }
        };
        Ok(Self { field, format, lookback })
    }

    /// Whether both look at the same field in the same way.
    pub(crate) fn same_field(&self, other: &Self) -> bool {
        self.field == other.field && self.format == other.format
    }

    /// Text where a time in the configured form should be. Told, because a
    /// filter in another form would quietly find nothing.
    pub(crate) fn misfit(&self, record: &Json) -> Option<String> {
        let Some(Format::Strftime(pattern)) = &self.format else { return None };
        let text = self.field.get(record)?.as_str().filter(|text| !text.is_empty())?;
        let misfit = strftime(text, pattern).is_none();
        misfit.then(|| format!("`{}` holds {:.60?}, which is not of the form `{pattern}`", self.field, text))
    }

    /// The value of a record; nothing if it has none yet.
    pub(crate) fn of(&self, record: &Json) -> Option<Stamp> {
        self.read(self.field.get(record)?)
    }

    /// Reads a value as the side, or a cursor of ours, has it.
    pub(crate) fn read(&self, value: &Json) -> Option<Stamp> {
        match value {
            Json::Number(n) => Decimal::parse(&n.to_string()).ok().map(Stamp::Number),
            Json::String(text) if text.is_empty() => None,
            Json::String(text) => Some(match self.parse(text) {
                Some(at) => Stamp::Time { at, text: text.clone() },
                None => Stamp::Text(text.clone()),
            }),
            _ => None,
        }
    }

    fn parse(&self, text: &str) -> Option<DateTime<Utc>> {
        match &self.format {
            Some(Format::Strftime(pattern)) => strftime(text, pattern),
            _ => Form::read(text).map(|(at, _)| at),
        }
    }

    /// The instant, if the value is one.
    pub(crate) fn time(&self, stamp: &Stamp) -> Option<Time> {
        match stamp {
            Stamp::Time { at, .. } => Some(Time::from_chrono(*at)),
            Stamp::Number(n) => {
                let unit = self.unit(n)?;
                let whole = integer(n)?;
                whole.checked_mul(1_000_000 / unit).and_then(|n| i64::try_from(n).ok()).map(Time)
            }
            Stamp::Text(_) => None,
        }
    }

    /// An instant in the form of `like`, if that counts time.
    pub(crate) fn at(&self, instant: Time, like: &Stamp) -> Option<Stamp> {
        match like {
            Stamp::Number(n) => {
                let unit = self.unit(n)?;
                let n = i128::from(instant.0).checked_mul(unit)?.div_euclid(1_000_000);
                Decimal::parse(&n.to_string()).ok().map(Stamp::Number)
            }
            Stamp::Time { text, .. } => {
                let text = self.write(instant.to_chrono(), text)?;
                Some(Stamp::Time { at: self.parse(&text)?, text })
            }
            Stamp::Text(_) => None,
        }
    }

    /// In the configured form, or in that of `like`.
    fn write(&self, at: DateTime<Utc>, like: &str) -> Option<String> {
        match &self.format {
            Some(Format::Strftime(pattern)) => {
                let mut out = String::new();
                write!(out, "{}", at.format(pattern)).ok()?;
                Some(out)
            }
            _ => Form::read(like).map(|(_, form)| form.write(at)),
        }
    }

    /// Units per second, if the number counts time.
    fn unit(&self, n: &Decimal) -> Option<i128> {
        match (&self.format, integer(n)?) {
            (Some(Format::EpochSeconds), _) => Some(1),
            (Some(Format::EpochMillis), _) => Some(1_000),
            (_, n) if n >= 100_000_000_000_000 => Some(1_000_000),
            (_, n) if n >= 100_000_000_000 => Some(1_000),
            (_, n) if n >= 1_000_000_000 => Some(1),
            _ => None,
        }
    }

    /// The value that the next poll asks from: earlier by the lookback, in the same form.
    pub(crate) fn before(&self, stamp: &Stamp) -> String {
        self.earlier(stamp).unwrap_or_else(|| stamp.as_str().to_owned())
    }

    fn earlier(&self, stamp: &Stamp) -> Option<String> {
        match stamp {
            Stamp::Number(n) => {
                let (unit, by) = match (self.unit(n), self.lookback) {
                    (Some(unit), by) => (unit, by.unwrap_or(LOOKBACK)),
                    (None, by) => (1, by?),
                };
                let by =
                    i128::try_from(by.as_micros()).ok()?.checked_mul(unit)?.checked_add(999_999)? / 1_000_000;
                (by > 0).then_some(())?;
                Some(integer(n)?.checked_sub(by)?.to_string())
            }
            Stamp::Time { at, text } => {
                let by =
                    TimeDelta::from_std(self.lookback.unwrap_or(LOOKBACK)).ok().filter(|by| !by.is_zero())?;
                self.write(at.checked_sub_signed(by)?, text)
            }
            Stamp::Text(_) => None,
        }
    }

    /// An instant of our own clock, earlier by the lookback, for sides that are
    /// asked by the time of our last pass.
    pub(crate) fn own(&self, at: DateTime<Utc>) -> String {
        let by = TimeDelta::from_std(self.lookback.unwrap_or(LOOKBACK)).unwrap_or_default();
        let at = at.checked_sub_signed(by).unwrap_or(at);
        match &self.format {
            Some(Format::EpochSeconds) => at.timestamp().to_string(),
            Some(Format::EpochMillis) => at.timestamp_millis().to_string(),
            Some(Format::Strftime(pattern)) => {
                let mut out = String::new();
                match write!(out, "{}", at.format(pattern)) {
                    Ok(()) => out,
                    Err(_) => at.to_rfc3339(),
                }
            }
            None => at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        }
    }
}

/// The whole part, rounded down.
fn integer(n: &Decimal) -> Option<i128> {
    let text = n.as_str();
    match text.split_once('.') {
        None => text.parse().ok(),
        Some((whole, _)) => {
            let part: i128 = if whole == "-" { 0 } else { whole.parse().ok()? };
            Some(if text.starts_with('-') { part.checked_sub(1)? } else { part })
        }
    }
}

fn strftime(text: &str, pattern: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_str(text, pattern)
        .map(|at| at.to_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, pattern).map(|at| at.and_utc()))
        .or_else(|_| {
            NaiveDate::parse_from_str(text, pattern).map(|day| day.and_time(NaiveTime::MIN).and_utc())
        })
        .ok()
}

/// Digits and nothing else.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |n, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// How a time is written: `2026-11-23`, then `T` or a blank, the time of day
/// with so many digits after the point, and nothing, `Z` or an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Form {
    /// Nothing for a day without a time.
    separator: Option<char>,
    digits: usize,
    zone: Zone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Zone {
    None,
    Utc,
    Offset { offset: FixedOffset, colon: bool },
}

impl Form {
    fn read(text: &str) -> Option<(DateTime<Utc>, Self)> {
        let day = text.get(..10)?.as_bytes();
        let [.., b'-', _, _, b'-', _, _] = day else { return None };
        let day = NaiveDate::from_ymd_opt(
            i32::try_from(number(day.get(..4)?)?).ok()?,
            number(day.get(5..7)?)?,
            number(day.get(8..)?)?,
        )?;
        let rest = text.get(10..)?;
        let Some(separator) = rest.chars().next() else {
            let form = Self { separator: None, digits: 0, zone: Zone::None };
            return Some((day.and_time(NaiveTime::MIN).and_utc(), form));
        };
        if !matches!(separator, 'T' | 't' | ' ') {
            return None;
        }
        let clock = rest.get(1..9)?.as_bytes();
        let [_, _, b':', _, _, b':', _, _] = clock else { return None };
        let part = |from: usize| number(clock.get(from..from + 2)?);
        let clock = NaiveTime::from_hms_opt(part(0)?, part(3)?, part(6)?)?;
        let rest = rest.get(9..)?;
        let (fraction, zone) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
            None => ("", rest),
        };
        if fraction.len() > 9 || rest.starts_with('.') && fraction.is_empty() {
            return None;
        }
        let scale = 10_u32.pow(9 - u32::try_from(fraction.len()).unwrap_or(9).min(9));
        let nanos = i64::from(number(fraction.as_bytes())?.checked_mul(scale)?);
        let zone = Zone::read(zone)?;
        let at = day.and_time(clock).checked_add_signed(TimeDelta::nanoseconds(nanos))?;
        let at = at.checked_sub_signed(TimeDelta::seconds(zone.seconds().into()))?.and_utc();
        Some((at, Self { separator: Some(separator), digits: fraction.len(), zone }))
    }

    fn write(&self, at: DateTime<Utc>) -> String {
        let local = at.naive_utc();
        let local = local.checked_add_signed(TimeDelta::seconds(self.zone.seconds().into())).unwrap_or(local);
        let mut out = local.format("%Y-%m-%d").to_string();
        let Some(separator) = self.separator else { return out };
        out.push(separator);
        out.push_str(&local.format("%H:%M:%S").to_string());
        if self.digits > 0 {
            let nanos = local.and_utc().timestamp_subsec_nanos() % 1_000_000_000;
            out.push('.');
            out.extend(format!("{nanos:09}").chars().take(self.digits));
        }
        match &self.zone {
            Zone::None => {}
            Zone::Utc => out.push('Z'),
            Zone::Offset { offset, colon: true } => out.push_str(&offset.to_string()),
            Zone::Offset { offset, colon: false } => out.push_str(&offset.to_string().replace(':', "")),
        }
        out
    }
}

impl Zone {
    fn read(text: &str) -> Option<Self> {
        match text {
            "" => return Some(Self::None),
            "Z" => return Some(Self::Utc),
            _ => {}
        }
        let (sign, digits) = match text.split_at_checked(1)? {
            ("+", digits) => (1, digits),
            ("-", digits) => (-1, digits),
            _ => return None,
        };
        let colon = digits.contains(':');
        let (hours, minutes) = if colon { digits.split_once(':')? } else { digits.split_at_checked(2)? };
        let number = |text: &str| (text.len() == 2).then(|| text.parse::<i32>().ok())?;
        let seconds = number(hours)?.checked_mul(3_600)? + number(minutes)?.checked_mul(60)?;
        Some(Self::Offset { offset: FixedOffset::east_opt(sign * seconds)?, colon })
    }

    fn seconds(&self) -> i32 {
        match self {
            Self::None | Self::Utc => 0,
            Self::Offset { offset, .. } => offset.fix().local_minus_utc(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Form, Scale, Stamp};
    use crate::spec::FieldPath;
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};
    use std::time::Duration;

    fn scale(format: Option<&str>, lookback: Option<u64>) -> Scale {
        Scale::new(FieldPath::dotted("at"), format, lookback.map(Duration::from_secs)).unwrap()
    }

    fn before(value: Json, format: Option<&str>, lookback: Option<u64>) -> String {
        let scale = scale(format, lookback);
        scale.before(&scale.of(&json!({ "at": value })).unwrap())
    }

    #[test]
    fn what_is_sent_has_the_sides_own_form() {
        for (value, sent) in [
            (json!("2026-11-23 12:11:20.989Z"), "2026-11-23 12:11:18.989Z"),
            (json!("2026-11-23T12:11:20Z"), "2026-11-23T12:11:18Z"),
            (json!("2026-11-23T12:11:20.000001+02:00"), "2026-11-23T12:11:18.000001+02:00"),
            (json!("2026-11-23T00:00:01-0530"), "2026-11-22T23:59:59-0530"),
            (json!("2026-11-23 12:11:20"), "2026-11-23 12:11:18"),
            (json!("2026-11-23"), "2026-11-22"),
            (json!(1_795_000_000), "1794999998"),
            (json!(1_795_000_000_123_u64), "1794999998123"),
            (json!(42), "42"),
            (json!("01J9ZK"), "01J9ZK"),
            (json!("2026-99-23 12:11:20"), "2026-99-23 12:11:20"),
        ] {
            assert_eq!(before(value.clone(), None, None), sent, "{value}");
        }
        assert_eq!(before(json!("23.11.2026 12:11"), Some("%d.%m.%Y %H:%M"), Some(60)), "23.11.2026 12:10");
        assert_eq!(before(json!(1000), Some("epoch_ms"), Some(1)), "0");
        assert_eq!(before(json!(42), None, Some(2)), "40");
        assert_eq!(before(json!("2026-11-23 12:11:20.989Z"), None, Some(0)), "2026-11-23 12:11:20.989Z");
        assert!(Scale::new(FieldPath::default(), Some("%Q!"), None).is_err());
    }

    #[test]
    fn values_are_compared_as_what_they_are() {
        let scale = scale(None, None);
        let read = |value: Json| scale.read(&value).unwrap();
        let less = |a: Json, b: Json| read(a).compare(&read(b)).unwrap().is_lt();
        assert!(less(json!(9), json!(10)));
        assert!(less(json!("2026-11-23T12:00:00+02:00"), json!("2026-11-23T11:00:00Z")));
        assert!(less(json!("a"), json!("b")));
        assert_eq!(read(json!(1)).compare(&read(json!("x"))), None);
        assert_eq!(scale.read(&json!("")), None);
        assert_eq!(scale.read(&Json::Null), None);
        assert_eq!(scale.time(&read(json!(42))), None);
        let at = scale.time(&read(json!("1970-01-01 00:00:01.5Z"))).unwrap();
        assert_eq!(at, hms_sync_model::Time(1_500_000));
        assert_eq!(scale.time(&read(json!(1_795_000_000_123_u64))).unwrap().0, 1_795_000_000_123_000);
    }

    proptest! {
        /// A form that is read is written back to the character.
        #[test]
        fn forms_come_back(
            seconds in -2_000_000_000i64..20_000_000_000, separator in "[T ]", fraction in "(\\.[0-9]{1,9})?",
            zone in "(Z|[+-](0[0-9]|1[0-3]):?[0-5][0-9])?",
        ) {
            let at = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
            let text = format!("{}{separator}{}{fraction}{zone}", at.format("%Y-%m-%d"), at.format("%H:%M:%S"));
            let zone_is_minus_zero = zone.starts_with("-00") && zone.ends_with("00");
            prop_assume!(!zone_is_minus_zero);
            let (at, form) = Form::read(&text).unwrap();
            prop_assert_eq!(form.write(at), text);
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,40}", n: f64) {
            for format in [None, Some("%Y"), Some("epoch_s")] {
                let scale = scale(format, Some(9));
                for value in [json!(text), json!(n)] {
                    if let Some(stamp) = scale.read(&value) {
                        scale.before(&stamp);
                        scale.time(&stamp);
                        prop_assert!(matches!(stamp, Stamp::Number(_)) == value.is_number());
                    }
                }
            }
        }
    }
}
