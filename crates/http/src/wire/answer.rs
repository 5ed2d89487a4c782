//! What a side answered, or why it did not.

use crate::error::quote;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use std::time::{Duration, SystemTime};

/// The longest that a side can send us away for.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The whole body, or why it could not be read to its end.
    pub(crate) body: Result<Bytes, String>,
}

/// Why nothing came back.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The request did not leave us.
    NotSent(String),
    /// It did, and what became of it is not known.
    Sent(String),
}

impl Lost {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::NotSent(reason) | Self::Sent(reason) => reason,
        }
    }
}

impl Answer {
    /// What the body says, short, for people.
    pub(crate) fn words(&self) -> String {
        let said = match &self.body {
            Ok(body) => quote(body, 300),
            Err(reason) => reason.clone(),
        };
        let status = self.status.as_u16();
        if self.status.is_redirection() {
            let to = self.header(&LOCATION).unwrap_or_default();
            return format!(
                "answered {status} and points to {}; redirects are not followed",
                quote(to.as_bytes(), 200)
            );
        }
        let name = self.status.canonical_reason().unwrap_or("no known status");
        if said.is_empty() {
            format!("answered {status} {name}")
        } else {
            format!("answered {status} {name}: {said}")
        }
    }

    /// A header of one line of text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the side asked us to stay away.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let values = self.headers.get_all(RETRY_AFTER).iter();
        values.filter_map(|value| wait(value.to_str().ok()?, Utc::now())).max()
    }
}

/// `Retry-After`: seconds or an HTTP date; the longest of several. What is
/// negative or makes no sense counts for nothing.
fn wait(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0)
            .then(|| Duration::try_from_secs_f64(seconds).unwrap_or(RETRY_AFTER_MAX).min(RETRY_AFTER_MAX));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::from(now)).unwrap_or_default().min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::wait;
    use chrono::DateTime;
    use std::time::Duration;

    #[test]
    fn retry_after_in_all_its_forms() {
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
        ] {
            assert_eq!(wait(given, now), read, "{given}");
        }
    }
}
