//! Lengths of time in templates: `now_utc() - duration('P30D')`.
//!
//! The language adds numbers and texts, and times are neither: where a length is added to a time
//! or taken from it, the sign is read as a filter of ours before the template is built. A length
//! that is no length, and a time that leaves the calendar, are errors.

use super::times::{Moment, bad, is_nothing};
use chrono::{DateTime, Months, TimeDelta, Utc};
use minijinja::value::Object;
use minijinja::{Environment, Error, State, Value};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// How a length is called in templates.
const WORD: &str = "duration";
/// Filters that stand for `+` and `-` before it.
const LATER: &str = "|__later(";
const EARLIER: &str = "|__earlier(";

/// Microseconds in a day.
const DAY: i64 = 86_400_000_000;

/// Makes `duration(…)`, and what stands for the signs before it, known to templates.
pub(super) fn teach(env: &mut Environment<'static>) {
    env.add_function(WORD, |text: Value| {
        let length = text.as_str().and_then(Lapse::read);
        let length = length.ok_or_else(|| bad(format!("{:.60?} is no length of time", text.to_string())))?;
        Ok::<_, Error>(Value::from_object(length))
    });
    env.add_filter("__later", |value: Value, by: Value| moved(&value, &by, false));
    env.add_filter("__earlier", |value: Value, by: Value| moved(&value, &by, true));
}

/// Calendar months, and the rest to the microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lapse {
    months: i64,
    micros: i64,
}

impl Lapse {
    /// As in ISO 8601: `P1Y2M`, `P30D`, `PT1H30M`, `-P1W`, `PT0.5S`. Of years and months none are
    /// broken.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sign, text) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mut length, mut in_day, mut parts) = (Self::default(), false, 0);
        let mut rest = text.strip_prefix('P')?;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('T').filter(|_| !in_day) {
                (rest, in_day) = (after, true);
                continue;
            }
            let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',')))?;
            let (number, after) = rest.split_at_checked(end)?;
            let unit = after.chars().next()?;
            rest = after.get(unit.len_utf8()..)?;
            let micros = match (unit, in_day) {
                ('Y', false) => {
                    length.months =
                        length.months.checked_add(number.parse::<i64>().ok()?.checked_mul(12)?)?;
                    0
                }
                ('M', false) => {
                    length.months = length.months.checked_add(number.parse().ok()?)?;
                    0
                }
                ('W', false) => of_unit(number, DAY * 7)?,
                ('D', false) => of_unit(number, DAY)?,
                ('H', true) => of_unit(number, 3_600_000_000)?,
                ('M', true) => of_unit(number, 60_000_000)?,
                ('S', true) => of_unit(number, 1_000_000)?,
                _ => return None,
            };
            length.micros = length.micros.checked_add(micros)?;
            parts += 1;
        }
        let ends_well = parts > 0 && !text.ends_with('T');
        ends_well.then_some(Self { months: length.months * sign, micros: length.micros * sign })
    }

    fn turned(self) -> Self {
        Self { months: self.months.saturating_neg(), micros: self.micros.saturating_neg() }
    }

    fn plus(self, other: Self) -> Option<Self> {
        let months = self.months.checked_add(other.months)?;
        Some(Self { months, micros: self.micros.checked_add(other.micros)? })
    }

    /// A time that is so much later. The last of a month is that of a shorter one too; a day
    /// counts whole days alone.
    fn after(self, at: DateTime<Utc>, is_day: bool) -> Option<DateTime<Utc>> {
        let months = Months::new(u32::try_from(self.months.unsigned_abs()).ok()?);
        let at = if self.months < 0 { at.checked_sub_months(months) } else { at.checked_add_months(months) };
        let micros = if is_day { self.micros - self.micros % DAY } else { self.micros };
        at?.checked_add_signed(TimeDelta::microseconds(micros))
    }
}

/// `1.5` of a unit, in microseconds.
fn of_unit(number: &str, unit: i64) -> Option<i64> {
    let (whole, part) = number.split_once(['.', ',']).unwrap_or((number, ""));
    let mut micros = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let mut scale = unit;
    for digit in part.chars() {
        scale /= 10;
        micros = micros.checked_add(i64::from(digit.to_digit(10)?) * scale)?;
    }
    (number.split(['.', ',']).count() <= 2 && !number.ends_with(['.', ','])).then_some(micros)
}

impl Object for Lapse {
    fn repr(self: &Arc<Self>) -> minijinja::value::ObjectRepr {
        minijinja::value::ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "days" => Some(self.micros.div_euclid(DAY).into()),
            "seconds" => Some((self.micros.rem_euclid(DAY) / 1_000_000).into()),
            _ => None,
        }
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match (method, args) {
            ("total_seconds", []) if self.months == 0 => Ok((self.micros / 1_000_000).into()),
            _ => Err(bad(format!("a length of time has no method `{method}`"))),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &minijinja::value::DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        (self.months == other.months).then(|| self.micros.cmp(&other.micros))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{}MT{}S", self.months, self.micros / 1_000_000)
    }
}

/// What is so much later, or earlier. What is empty stays empty, as the cursor is at the
/// beginning.
fn moved(value: &Value, by: &Value, is_back: bool) -> Result<Value, Error> {
    let by = by.downcast_object_ref::<Lapse>().ok_or_else(|| bad("it is no length of time".to_owned()))?;
    let by = if is_back { by.turned() } else { *by };
    let too_far = || bad("the time is beyond the calendar".to_owned());
    if is_nothing(value) {
        return Ok(value.clone());
    }
    if let Some(length) = value.downcast_object_ref::<Lapse>() {
        return length.plus(by).map(Value::from_object).ok_or_else(too_far);
    }
    let Some(moment) = value.downcast_object_ref::<Moment>() else {
        let why =
            "only a time has a length added to it or taken away; of text `str_to_datetime(…)` makes one";
        return Err(bad(why.to_owned()));
    };
    let at = by.after(moment.at, moment.day).ok_or_else(too_far)?;
    Ok(Value::from_object(Moment { at, day: moment.day }))
}

/// A part of a template between its marks, or an expression, with what stands for `+` and `-`
/// before a length.
pub(super) fn signs(inside: &str) -> Cow<'_, str> {
    if !inside.contains(WORD) {
        return Cow::Borrowed(inside);
    }
    let mut out = String::with_capacity(inside.len() + 64);
    let (mut quote, mut escaped, mut depth, mut open) = (None, false, 0_usize, Vec::new());
    for (at, sign) in inside.char_indices() {
        match (quote, sign) {
            (Some(_), _) if std::mem::take(&mut escaped) => {}
            (Some(_), '\\') => escaped = true,
            (Some(open), sign) if sign == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(sign),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                if open.last() == Some(&depth) {
                    open.pop();
                    out.push(')');
                }
            }
            (None, '+' | '-') if is_before(inside, at) => {
                out.push_str(if sign == '+' { LATER } else { EARLIER });
                open.push(depth);
                continue;
            }
            (None, _) => {}
        }
        out.push(sign);
    }
    Cow::Owned(out)
}

/// Whether the sign at `at` stands between an operand and a length.
fn is_before(inside: &str, at: usize) -> bool {
    let (before, after) = inside.split_at_checked(at).unwrap_or((inside, ""));
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let before = before.trim_end();
    let word = before.rsplit(|c| !is_name(c)).next().unwrap_or_default();
    let is_operand = before.ends_with(|c: char| is_name(c) || matches!(c, ')' | ']' | '\'' | '"'))
        && !matches!(word, "and" | "or" | "not" | "in" | "is" | "if" | "elif" | "else");
    let after = after.get(1..).unwrap_or_default().trim_start();
    is_operand && after.strip_prefix(WORD).is_some_and(|rest| rest.trim_start().starts_with('('))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{DAY, Lapse, signs};
    use hms_sync_hostile::Reader;

    #[test]
    fn lengths_of_time() {
        for (text, months, micros) in [
            ("P1D", 0, DAY),
            ("P6DT23H", 0, 7 * DAY - 3_600_000_000),
            ("PT1H30M", 0, 5_400_000_000),
            ("P1Y2M", 14, 0),
            ("P2W", 0, 14 * DAY),
            ("-P1MT0.5S", -1, -500_000),
            ("PT1,5H", 0, 5_400_000_000),
        ] {
            assert_eq!(Lapse::read(text), Some(Lapse { months, micros }), "{text}");
        }
        for bad in [
            "",
            "P",
            "PT",
            "P1",
            "P1H",
            "PT1D",
            "PD",
            "P1DT",
            "P1.5M",
            "1D",
            "P1.2.3D",
            "P99999999999999D",
            "P1.D",
        ] {
            assert_eq!(Lapse::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn signs_before_lengths_are_filters() {
        for (text, read) in [
            (" now_utc() - duration('P1D') ", " now_utc() |__earlier( duration('P1D')) "),
            ("f(a + duration ( g('+duration(') ), 1)", "f(a |__later( duration ( g('+duration(') )), 1)"),
            (
                "a['x']-duration('P1D')+duration('PT1H')",
                "a['x']|__earlier(duration('P1D'))|__later(duration('PT1H'))",
            ),
            ("record.duration - 1", "record.duration - 1"),
            ("a if b else -duration('P1D')", "a if b else -duration('P1D')"),
            ("'- duration(' ~ a", "'- duration(' ~ a"),
        ] {
            assert_eq!(signs(text), read, "{text}");
        }
    }

    #[test]
    fn hostile_lengths_of_time() {
        Reader::new("lengths of time")
            .sound(["P1Y2M3DT4H5M6.5S", "-P1W", "PT0,25H", "P400D"])
            .words(["P", "T", "-", "+", "9223372036854775807", ".", ",", "D", "M", "Y"])
            .texts(|text| {
                signs(&format!("a - duration({text}) + duration('{text}'"));
                let Some(length) = Lapse::read(text) else { return false };
                let at = chrono::DateTime::from_timestamp(1_795_000_000, 0).unwrap();
                length.after(at, true);
                length.turned().after(at, false).is_some()
            });
    }
}
