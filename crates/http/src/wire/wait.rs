//! How long a side says to stay away, in all the ways that sides say it.

use chrono::{DateTime, Utc};
use http::HeaderMap;
use http::header::DATE;
use std::time::{Duration, SystemTime};

/// The longest that a side can send us away for.
pub(crate) const WAIT_MAX: Duration = Duration::from_hours(1);

/// Larger numbers are a time since 1970, smaller ones a length of time.
const EPOCH_FROM: f64 = 1e9;
/// Larger ones count milliseconds.
const EPOCH_MS_FROM: f64 = 1e11;

/// The side's clock as its answer shows it; ours where it shows none. A date that a side
/// tells is one of its clock, which may be an hour off.
pub(crate) fn clock(headers: &HeaderMap) -> DateTime<Utc> {
    let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    date.map_or_else(Utc::now, DateTime::from)
}

/// A length of time in seconds, or a date. What is negative or makes no sense counts for nothing.
pub(crate) fn time(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(seconds) => length(seconds),
        Err(_) => date(text, now),
    }
}

/// A time since 1970 in seconds or milliseconds, a date, or a length of time in seconds.
pub(crate) fn until(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    let Ok(number) = text.parse::<f64>() else { return date(text, now) };
    if number.is_nan() || number < EPOCH_FROM {
        return length(number);
    }
    let seconds = if number < EPOCH_MS_FROM { number } else { number / 1_000.0 };
    let millis = i32::try_from(now.timestamp_subsec_millis()).unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
    let now = now.timestamp() as f64 + f64::from(millis) / 1_000.0;
    length((seconds - now).max(0.0))
}

/// At most [`WAIT_MAX`].
pub(crate) fn clamped(wait: Duration) -> Duration {
    wait.min(WAIT_MAX)
}

/// So many seconds, if that is a length.
pub(crate) fn length(seconds: f64) -> Option<Duration> {
    let sound = seconds.is_finite() && seconds >= 0.0;
    sound.then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn date(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let at = httpdate::parse_http_date(text)
        .or_else(|_| DateTime::parse_from_rfc3339(text).map(SystemTime::from))
        .ok()?;
    Some(at.duration_since(SystemTime::from(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{clamped, clock, length, time, until};
    use chrono::DateTime;
    use hms_sync_hostile::Reader;
    use http::HeaderValue;
    use std::time::Duration;

    #[test]
    fn a_date_is_one_of_the_clock_that_told_it() {
        let mut headers = http::HeaderMap::new();
        headers.insert("date", "Mon, 23 Nov 2020 12:00:00 GMT".parse().unwrap());
        assert_eq!(time("Mon, 23 Nov 2020 12:00:30 GMT", clock(&headers)), Some(Duration::from_secs(30)));
        headers.insert("date", "some day".parse().unwrap());
        assert_eq!(time("Mon, 23 Nov 2020 12:00:30 GMT", clock(&headers)), Some(Duration::ZERO));
    }

    #[test]
    fn waits_in_all_their_forms() {
        let now = DateTime::parse_from_rfc3339("2026-11-23T12:00:00Z").unwrap().to_utc();
        let seconds = |n| Some(Duration::from_secs(n));
        for (given, read) in [
            ("0", seconds(0)),
            (" 7 ", seconds(7)),
            ("1.5", Some(Duration::from_millis(1_500))),
            ("-3", None),
            ("1e12", seconds(3_600)),
            ("99999999999999999999999", seconds(3_600)),
            ("inf", None),
            ("soon", None),
            ("", None),
            ("Mon, 23 Nov 2026 12:00:30 GMT", seconds(30)),
            ("Mon, 23 Nov 2026 11:00:00 GMT", seconds(0)),
            ("Tue, 23 Nov 2027 12:00:30 GMT", seconds(3_600)),
            ("2026-11-23T12:00:30Z", seconds(30)),
        ] {
            assert_eq!(time(given, now).map(clamped), read, "{given}");
        }
        let epoch = now.timestamp();
        for (given, read) in [
            ((epoch + 30).to_string(), seconds(30)),
            (((epoch + 30) * 1_000).to_string(), seconds(30)),
            ((epoch - 30).to_string(), seconds(0)),
            ((epoch + 99_999).to_string(), seconds(3_600)),
            ("45".to_owned(), seconds(45)),
            ("-1".to_owned(), None),
            ("NaN".to_owned(), None),
            ("Mon, 23 Nov 2026 12:00:30 GMT".to_owned(), seconds(30)),
        ] {
            assert_eq!(until(&given, now).map(clamped), read, "{given}");
        }
    }

    /// `Retry-After`, the headers of budgets, and the date by which both are read.
    #[test]
    fn hostile_waits() {
        let now = DateTime::parse_from_rfc3339("2026-11-23T12:00:00Z").unwrap().to_utc();
        Reader::new("waits")
            .sound([
                "120",
                "1.5",
                "1795000000",
                "1795000000123",
                "Mon, 23 Nov 2026 12:00:30 GMT",
                "Monday, 23-Nov-26 12:00:30 GMT",
                "Mon Nov 23 12:00:30 2026",
                "2026-11-23T12:00:30.5+02:00",
            ])
            .words(["GMT", "Mon", ", ", "Feb", "29", "31", ":", "60", "T", "Z", "+14:00", "-23:59", "e", "."])
            .texts(|text| {
                let mut headers = http::HeaderMap::new();
                if let Ok(value) = HeaderValue::from_str(text) {
                    headers.insert("date", value);
                }
                let waits = [time(text, clock(&headers)), time(text, now), until(text, now)];
                let number = text.parse::<f64>().ok().and_then(length);
                waits.into_iter().chain([number]).flatten().map(clamped).count() > 0
            });
    }
}
