//! How a side writes what we hold in another form: dates by pattern, instants
//! as seconds, numbers as text.
//!
//! A pattern is tried on samples when it is compiled, so that one that cannot
//! be read back is refused before anything is synchronised.

use crate::canonical::Unfit;
use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use hms_sync_model::{Date, Decimal, FieldType, Time, Value};
use serde_json::Value as Json;
use std::fmt::Write;
use std::sync::Arc;

/// The longest date pattern, in bytes.
const PATTERN_MAX: usize = 1_000;

/// Why a format cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFormat {
    /// The type has no formats, or not this one.
    #[error("`{format}` is no format of this type; {known}")]
    NotForType {
        /// What was written.
        format: String,
        /// What could have been.
        known: &'static str,
    },
    /// Not a pattern as `strftime` knows them.
    #[error("`{0}` is no date pattern: it is written as `%Y-%m-%d %H:%M:%S`")]
    NoPattern(String),
    /// More than a date needs.
    #[error("a date pattern has {PATTERN_MAX} bytes at most, and this one {0}")]
    TooLong(usize),
    /// What the pattern writes, it cannot read.
    #[error("`{format}` cannot be read back: it writes {sample} as \"{written}\"")]
    NotReadBack {
        /// What was written.
        format: String,
        /// An instant.
        sample: String,
        /// What the pattern makes of it.
        written: String,
    },
}

/// A format, ready for use.
#[derive(Debug, Clone)]
pub(crate) enum Format {
    /// Numbers as text: `"12.5"`.
    NumberAsText,
    /// Text as a number: `17`.
    TextAsNumber,
    /// An instant as seconds since 1970.
    Seconds,
    /// An instant as milliseconds since 1970.
    Millis,
    /// A day or an instant by pattern.
    Pattern(Pattern),
}

#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    text: Arc<str>,
    items: Arc<[Item<'static>]>,
    day_only: bool,
}

impl Format {
    /// Compiles what stands behind `format:` for a field of type `ty`.
    pub(crate) fn compile(ty: &FieldType, format: &str) -> Result<Self, InvalidFormat> {
        let refused = |known| Err(InvalidFormat::NotForType { format: format.to_owned(), known });
        match ty {
            FieldType::Integer | FieldType::Decimal if format == "text" => Ok(Self::NumberAsText),
            FieldType::Integer | FieldType::Decimal => refused("for numbers there is `text`"),
            FieldType::String if format == "number" => Ok(Self::TextAsNumber),
            FieldType::String => refused("for `string` there is `number`"),
            FieldType::Datetime if matches!(format, "epoch_s" | "%s") => Ok(Self::Seconds),
            FieldType::Datetime if format == "epoch_ms" => Ok(Self::Millis),
            FieldType::Date | FieldType::Datetime => {
                Ok(Self::Pattern(Pattern::compile(format, *ty == FieldType::Date)?))
            }
            FieldType::Set(of) => Self::compile(of, format),
            FieldType::Text
            | FieldType::Bool
            | FieldType::Enum(_)
            | FieldType::Json
            | FieldType::Object(_) => refused(
                "only string, integer, decimal, date and datetime have formats; \
                         for other words use `values`",
            ),
        }
    }

    pub(crate) fn read(&self, json: &Json) -> Result<Value, Unfit> {
        let text = match json {
            Json::String(text) => text.as_str(),
            Json::Number(number) => number.as_str(),
            Json::Null => return Ok(Value::Null),
            _ => return Err(self.unfit(json)),
        };
        let value = match self {
            Self::NumberAsText => Decimal::parse(text.trim()).ok().map(Value::Number),
            Self::TextAsNumber => Decimal::parse(text.trim()).ok().map(|n| Value::text(n.as_str())),
            Self::Seconds => micros(text, 6).map(Value::Datetime),
            Self::Millis => micros(text, 3).map(Value::Datetime),
            Self::Pattern(pattern) => pattern.read(text),
        };
        value.ok_or_else(|| self.unfit(json))
    }

    pub(crate) fn write(&self, value: &Value) -> Result<Json, Unfit> {
        let written = match (self, value) {
            (Self::NumberAsText, Value::Number(number)) => Some(Json::from(number.as_str())),
            (Self::TextAsNumber, Value::Text(text)) => {
                Decimal::parse(text).ok().and_then(|n| number(n.as_str()))
            }
            (Self::Seconds, Value::Datetime(at)) => Some(Json::from(at.0.div_euclid(1_000_000))),
            (Self::Millis, Value::Datetime(at)) => Some(Json::from(at.0.div_euclid(1_000))),
            (Self::Pattern(pattern), Value::Date(_) | Value::Datetime(_)) => {
                pattern.write(value).map(Json::from)
            }
            _ => None,
        };
        written.ok_or_else(|| Unfit::value(value, self.expected()))
    }

    fn unfit(&self, json: &Json) -> Unfit {
        Unfit::new(json, self.expected())
    }

    fn expected(&self) -> String {
        match self {
            Self::NumberAsText | Self::TextAsNumber => "a number".to_owned(),
            Self::Seconds => "seconds since 1970".to_owned(),
            Self::Millis => "milliseconds since 1970".to_owned(),
            Self::Pattern(pattern) => format!("a date as `{}`", pattern.text),
        }
    }
}

/// A JSON number of exactly these digits.
pub(crate) fn number(digits: &str) -> Option<Json> {
    digits.parse().ok().map(Json::Number)
}

/// Microseconds from a decimal count of units that are `10^shift` of them;
/// finer digits are dropped towards the past.
fn micros(text: &str, shift: usize) -> Option<Time> {
    let number = Decimal::parse(text.trim()).ok()?;
    let (negative, digits) = match number.as_str().strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number.as_str()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = 10_i64.pow(u32::try_from(shift).ok()?);
    let kept: String = fraction.chars().chain(std::iter::repeat('0')).take(shift).collect();
    let finer = fraction.len() > shift;
    let count = whole.parse::<i64>().ok()?.checked_mul(scale)?.checked_add(kept.parse::<i64>().ok()?)?;
    Some(Time(if negative { -count - i64::from(finer) } else { count }))
}

impl Pattern {
    fn compile(format: &str, day_only: bool) -> Result<Self, InvalidFormat> {
        if format.len() > PATTERN_MAX {
            return Err(InvalidFormat::TooLong(format.len()));
        }
        let no_pattern = || InvalidFormat::NoPattern(format.to_owned());
        let items = StrftimeItems::new(format).parse_to_owned().map_err(|_| no_pattern())?;
        let dated = items.iter().any(|i| matches!(i, Item::Numeric(..) | Item::Fixed(_)));
        let pattern = Self { text: format.into(), items: items.into(), day_only };
        if !dated {
            return Err(no_pattern());
        }
        // 2026-11-23T09:08:07.123456Z and two others that differ in every part.
        for sample in [1_795_424_887_123_456, 951_782_400_000_000, 1_719_791_999_999_999].map(Time) {
            pattern.try_on(sample)?;
        }
        Ok(pattern)
    }

    /// Writes and reads a sample twice: what came back once must come back again,
    /// and be the same day to the month at least.
    fn try_on(&self, sample: Time) -> Result<(), InvalidFormat> {
        let value = if self.day_only {
            Value::Date(Date::from_chrono(sample.to_chrono().date_naive()))
        } else {
            Value::Datetime(sample)
        };
        let written = self.write(&value).unwrap_or_default();
        let once = self.read(&written);
        let again = once.as_ref().and_then(|v| self.write(v)).and_then(|w| self.read(&w));
        let near = match &once {
            Some(Value::Date(day)) => {
                sample.to_chrono().date_naive().signed_duration_since(day.to_chrono()).num_days()
            }
            Some(Value::Datetime(at)) => sample.to_chrono().signed_duration_since(at.to_chrono()).num_days(),
            _ => i64::MAX,
        };
        if once != again || !(0..31).contains(&near) {
            let (format, sample) = (self.text.to_string(), value.to_string());
            return Err(InvalidFormat::NotReadBack { format, sample, written });
        }
        Ok(())
    }

    fn write(&self, value: &Value) -> Option<String> {
        let at: DateTime<Utc> = match value {
            Value::Date(day) => day.to_chrono().and_time(NaiveTime::MIN).and_utc(),
            Value::Datetime(at) => at.to_chrono(),
            _ => return None,
        };
        let mut out = String::with_capacity(24);
        write!(out, "{}", at.format_with_items(self.items.iter())).ok()?;
        Some(out)
    }

    fn read(&self, text: &str) -> Option<Value> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter()).ok()?;
        if self.day_only {
            return Some(Value::Date(Date::from_chrono(day_of(&mut parsed)?)));
        }
        if let Some(seconds) = parsed.timestamp() {
            let micros = i64::from(parsed.nanosecond().unwrap_or(0) / 1_000);
            return Some(Value::Datetime(Time(seconds.checked_mul(1_000_000)?.checked_add(micros)?)));
        }
        let at = NaiveDateTime::new(day_of(&mut parsed)?, time_of(&mut parsed)?);
        let offset = FixedOffset::east_opt(parsed.offset().unwrap_or(0))?;
        let at = offset.from_local_datetime(&at).single()?;
        Some(Value::Datetime(Time::from_chrono(at.to_utc())))
    }
}

/// The day; the first of its month if the pattern names none.
fn day_of(parsed: &mut Parsed) -> Option<NaiveDate> {
    if let Ok(day) = parsed.to_naive_date() {
        return Some(day);
    }
    parsed.set_day(1).ok()?;
    parsed.to_naive_date().ok()
}

/// The time of day; what the pattern does not name is zero.
fn time_of(parsed: &mut Parsed) -> Option<NaiveTime> {
    if parsed.hour_div_12().is_none() && parsed.hour_mod_12().is_none() {
        parsed.set_hour(0).ok()?;
    }
    if parsed.minute().is_none() {
        parsed.set_minute(0).ok()?;
    }
    parsed.to_naive_time().ok()
}
