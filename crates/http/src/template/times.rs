//! Words of Airbyte's templates for times. In expressions and in what is made of a record:
//! `format_datetime(…)`, `str_to_datetime(…)`, `timestamp(…)`, `duration(…)`, `max(…)`, `min(…)`;
//! they see what they are given and nothing else, so they always come to the same. In requests
//! that read also `now_utc()`, `today_utc()`, `today_with_timezone(…)` and `day_delta(-7)`, which
//! see the clock. What is written has no such words: a write that is tried again says what it
//! said before.

use super::lapse;
use crate::stamp::{read_time, write_time};
use chrono::{DateTime, Datelike, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use minijinja::value::{DynObject, Kwargs, Object, ObjectRepr, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Their names.
const WORDS: [&str; 10] = [
    "now_utc",
    "today_utc",
    "today_with_timezone",
    "day_delta",
    "duration",
    "format_datetime",
    "str_to_datetime",
    "timestamp",
    "max",
    "min",
];

/// As `day_delta` writes times if nobody says how.
const USUAL: &str = "%Y-%m-%dT%H:%M:%S.%f%z";

/// Whether any of them is called in `text`.
pub(crate) fn called(text: &str) -> bool {
    WORDS.iter().any(|word| text.contains(&format!("{word}(")))
}

/// Makes all of them known to templates.
pub(super) fn teach(env: &mut Environment<'static>) {
    teach_lasting(env);
    env.add_function("now_utc", || Value::from_object(Moment { at: Utc::now(), day: false }));
    env.add_function("today_utc", || Value::from_object(Moment::day(Utc::now())));
    env.add_function("today_with_timezone", |zone: String| {
        let there = zone
            .parse::<Tz>()
            .map_err(|_| bad(format!("{zone:.60?} is no time zone; one is `Europe/Berlin`")))?;
        Ok::<_, Error>(Value::from_object(Moment::day(Utc::now().with_timezone(&there))))
    });
    env.add_function("day_delta", |days: i64, format: Option<String>, more: Kwargs| {
        let format = named(format, &more, "format")?;
        let delta = TimeDelta::try_days(days).ok_or_else(|| bad(format!("{days} days are too many")))?;
        let at = Utc::now().checked_add_signed(delta);
        write(at.ok_or_else(|| bad(format!("{days} days are too many")))?, format.as_deref().unwrap_or(USUAL))
    });
}

/// Makes those known that do not see the clock.
pub(crate) fn teach_lasting(env: &mut Environment<'static>) {
    lapse::teach(env);
    env.add_function(
        "format_datetime",
        |value: Value, format: Option<String>, input: Option<String>, more: Kwargs| {
            let input = named(input, &more, "input_format")?;
            let format =
                named(format, &more, "format")?.ok_or_else(|| bad("it needs a format".to_owned()))?;
            if is_nothing(&value) {
                return Ok(String::new());
            }
            write(read(&value, input.as_deref())?, &format)
        },
    );
    env.add_function("str_to_datetime", |value: Value| {
        if is_nothing(&value) {
            return Ok(Value::from(""));
        }
        read(&value, None).map(|at| Value::from_object(Moment { at, day: false }))
    });
    env.add_function("timestamp", |value: Value| {
        if is_nothing(&value) {
            return Ok(Value::from(""));
        }
        if value.is_number()
            && let Ok(seconds) = f64::try_from(value.clone())
            && let Ok(seconds) = i64::try_from(Value::from(seconds.trunc()))
        {
            return Ok(Value::from(seconds));
        }
        read(&value, None).map(|at| Value::from(at.timestamp()))
    });
    env.add_function("max", |state: &State<'_, '_>, of: Rest<Value>| edge(state, of, Ordering::Greater));
    env.add_function("min", |state: &State<'_, '_>, of: Rest<Value>| edge(state, of, Ordering::Less));
}

/// An instant, or a day: its midnight.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) at: DateTime<Utc>,
    pub(super) day: bool,
}

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    /// Its parts, under the names that they have in Python.
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = self.at;
        match key.as_str()? {
            "year" => Some(at.year().into()),
            "month" => Some(at.month().into()),
            "day" => Some(at.day().into()),
            "hour" if !self.day => Some(at.hour().into()),
            "minute" if !self.day => Some(at.minute().into()),
            "second" if !self.day => Some(at.second().into()),
            "microsecond" if !self.day => Some(at.timestamp_subsec_micros().into()),
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
            ("strftime", [format]) => {
                let format = format.as_str().ok_or_else(|| bad("a format is text".to_owned()))?;
                write(self.at, format).map(Value::from)
            }
            ("isoformat", []) if self.day => write(self.at, "%Y-%m-%d").map(Value::from),
            ("isoformat", []) => Ok(self.at.to_rfc3339_opts(self.digits(), false).into()),
            ("timestamp", []) if !self.day => Ok(self.at.timestamp().into()),
            _ => Err(bad(format!("a time has no method `{method}`"))),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        other.downcast_ref::<Self>().map(|other| self.at.cmp(&other.at))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.day {
            return write!(f, "{}", self.at.format("%Y-%m-%d"));
        }
        f.write_str(&self.at.to_rfc3339_opts(self.digits(), false).replacen('T', " ", 1))
    }
}

impl Moment {
    /// The day of an instant, where it is seen.
    fn day(at: DateTime<impl TimeZone>) -> Self {
        Self { at: at.date_naive().and_time(NaiveTime::MIN).and_utc(), day: true }
    }

    /// Parts of a second are written where there are any.
    fn digits(&self) -> SecondsFormat {
        if self.at.timestamp_subsec_micros() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros }
    }
}

pub(super) fn bad(why: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}

/// As the cursor is at the beginning: what is made of it is nothing too, and is left out.
pub(super) fn is_nothing(value: &Value) -> bool {
    value.is_undefined() || value.is_none() || value.as_str().is_some_and(str::is_empty)
}

/// An argument by its place or by its name.
fn named(given: Option<String>, more: &Kwargs, name: &str) -> Result<Option<String>, Error> {
    Ok(if given.is_some() { given } else { more.get(name)? })
}

fn write(at: DateTime<Utc>, format: &str) -> Result<String, Error> {
    write_time(at, format).map_err(bad)
}

fn read(value: &Value, format: Option<&str>) -> Result<DateTime<Utc>, Error> {
    if let Some(moment) = value.downcast_object_ref::<Moment>() {
        return Ok(moment.at);
    }
    let text = value.to_string();
    read_time(&text, format).ok_or_else(|| bad(format!("{text:.60?} is no time")))
}

/// The first or last of what is given, or of the list that is all there is.
fn edge(state: &State<'_, '_>, of: Rest<Value>, wanted: Ordering) -> Result<Value, Error> {
    let better = |best: Value, next: Value| if next.cmp(&best) == wanted { next } else { best };
    let found = match of.0.as_slice() {
        [list] if matches!(list.kind(), ValueKind::Seq | ValueKind::Iterable) => {
            hms_sync_bounds::small(state, list)?;
            list.try_iter()?.reduce(better)
        }
        _ => of.0.into_iter().reduce(better),
    };
    found.ok_or_else(|| bad("there is nothing to choose from".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::super::Compiled;
    use chrono::Utc;
    use minijinja::Value;

    fn filled(text: &str) -> Result<String, String> {
        let compiled = Compiled::asking(text, &[]).map_err(|why| why.to_string())?;
        compiled.fill(&Value::UNDEFINED).map(Into::into).map_err(|why| why.to_string())
    }

    #[test]
    fn templates_of_airbyte_read_as_they_are() {
        for (text, comes_to) in [
            ("{{ format_datetime('2026-11-23T12:11:20Z', '%s') }}", "1795435880"),
            ("{{ format_datetime(1795435880, '%Y-%m-%dT%H:%M:%S.%fZ') }}", "2026-11-23T12:11:20.000000Z"),
            ("{{ format_datetime('23.11.2026', '%Y-%m-%d', '%d.%m.%Y') }}", "2026-11-23"),
            ("{{ format_datetime('2026-11-23', format='%ms') }}", "1795392000000"),
            ("{{ timestamp('2026-11-23T12:11:20Z') * 1000 }}", "1795435880000"),
            ("{{ str_to_datetime('2026-11-23T12:11:20.5Z') }}", "2026-11-23 12:11:20.500000+00:00"),
            ("{{ str_to_datetime('2026-11-23').strftime('%d.%m.%Y') }}", "23.11.2026"),
            ("{{ str_to_datetime('2026-11-23T12:11:20Z').isoformat() }}", "2026-11-23T12:11:20+00:00"),
            (
                "{% set t = str_to_datetime('2026-01-02T03:04:05.000006Z') %}(year:{{ t.year }},month:{{ t.month }},\
              day:{{ t.day }}) {{ t.hour }}:{{ t.minute }}:{{ t.second }} {{ t.microsecond }} {{ t.timestamp() }}",
                "(year:2026,month:1,day:2) 3:4:5 6 1767323045",
            ),
            ("{{ max('2026-11-23', '2026-11-24', '2025-01-01') }}", "2026-11-24"),
            ("{{ min(3, 2) }}{{ max([1, 4, 2]) }}", "24"),
            ("{{ timestamp(1658505815.9) }}", "1658505815"),
            (
                "{{ format_datetime(str_to_datetime('2026-03-31T01:00:00Z') - duration('P1M'), '%Y-%m-%dT%H:%M:%SZ') }}",
                "2026-02-28T01:00:00Z",
            ),
            (
                "{{ (str_to_datetime('2026-03-31') - duration('P30D') + duration('PT90M')).strftime('%d.%m. %H:%M') }}",
                "01.03. 01:30",
            ),
            (
                "{% set t = str_to_datetime('2026-01-02') %}{{ t.year if t - duration('P2D') < t else 0 }}{{                  max(t, t + duration('PT1S'), t).second }}",
                "20261",
            ),
            ("{{ str_to_datetime('') - duration('P1D') }}{{ duration('P1DT2H').total_seconds() }}", "93600"),
            (
                "{% raw %}{{ a - duration('P1D') }}{% endraw %}{{ ' - duration(' }}",
                "{{ a - duration('P1D') }} - duration(",
            ),
            // As the cursor is at the beginning.
            ("{{ format_datetime('', '%s') }}{{ timestamp('') }}{{ str_to_datetime('') }}", ""),
        ] {
            assert_eq!(filled(text).unwrap(), comes_to, "{text}");
        }
        // Over midnight either day is right.
        let days = |text: &str, by: i64| {
            let day = || (Utc::now() + chrono::TimeDelta::days(by)).format("%Y-%m-%d").to_string();
            let (before, is, after) = (day(), filled(text).unwrap(), day());
            assert!(is.starts_with(&before) || is.starts_with(&after), "{text}: {is}");
        };
        days("{{ now_utc() }}", 0);
        days("{{ now_utc().strftime('%Y-%m-%dT%H:%M:%SZ') }}", 0);
        days("{{ now_utc().isoformat() }}", 0);
        days("{{ today_utc() }}", 0);
        days("{{ (now_utc() - duration('P1DT1S') + duration('PT1S')).isoformat() }}", -1);
        days("{{ today_with_timezone('Etc/UTC') - duration('P90D') }}", -90);
        days("{{ today_utc().strftime('%Y-%m-%dT00:00:00.000000Z') }}", 0);
        days("{{ day_delta(-30, format='%Y-%m-%d') }}", -30);
        days("{{ day_delta(1) }}", 1);
        days("{{ format_datetime(now_utc(), '%Y-%m-%d') }}", 0);
    }

    #[test]
    fn what_is_no_time_is_told() {
        for (text, told) in [
            ("{{ format_datetime('tomorrow', '%s') }}", "\"tomorrow\" is no time"),
            ("{{ format_datetime('2026-11-23', '%Q!') }}", "`%Q!` is no strftime pattern"),
            ("{{ day_delta(999999999999) }}", "days are too many"),
            ("{{ now_utc().weekday() }}", "a time has no method `weekday`"),
            ("{{ max() }}", "nothing to choose from"),
            ("{{ max([]) }}", "nothing to choose from"),
            ("{{ now_utc() - duration('1D') }}", "\"1D\" is no length of time"),
            ("{{ '2026-11-23' - duration('P1D') }}", "`str_to_datetime(…)` makes one"),
            ("{{ now_utc() + duration('P999999Y') }}", "beyond the calendar"),
            ("{{ now_utc() - duration('P9999999999999M') }}", "beyond the calendar"),
            ("{{ today_with_timezone('Mars') }}", "\"Mars\" is no time zone"),
            ("{{ str_to_datetime('soon') }}", "\"soon\" is no time"),
            ("{{ today_utc().hour + 1 }}", "undefined"),
        ] {
            let why = filled(text).unwrap_err();
            assert!(why.contains(told), "{text}: {why}");
        }
    }

    /// Kiritimati is 14 hours ahead, Niue 11 behind: no day is theirs together.
    #[test]
    fn today_is_another_day_elsewhere() {
        let text = "{{ today_with_timezone('Pacific/Kiritimati') }} {{ today_with_timezone('Pacific/Niue') }} \
                    {{ today_with_timezone('Pacific/Niue').strftime('%H:%M') }}";
        let filled = filled(text).unwrap();
        let days: Vec<&str> = filled.split(' ').collect();
        assert!(days[0] > days[1], "{filled}");
        assert_eq!(days[2], "00:00");
    }

    /// A write that is tried again must say what it said before.
    #[test]
    fn writes_do_not_see_the_clock() {
        let why = Compiled::text("{{ now_utc() }}", &["record"]).unwrap_err().to_string();
        assert_eq!(why, "the template names `now_utc`; known here: record");
    }
}
