//! Times as sides write them: read, and written in the same form to the character.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, Utc};

pub(super) fn strftime(text: &str, pattern: &str) -> Option<DateTime<Utc>> {
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
pub(super) struct Form {
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
    pub(super) fn read(text: &str) -> Option<(DateTime<Utc>, Self)> {
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

    pub(super) fn write(&self, at: DateTime<Utc>) -> String {
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
