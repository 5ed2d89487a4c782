//! Small things in words: how long ago, how many, a JSON value in a line.

use chrono::{DateTime, Utc};
use hms_sync_management::one_line;
use serde_json::Value as Json;

/// `3 s ago`, of an RFC 3339 time.
pub(crate) fn ago(at: &str, now: DateTime<Utc>) -> String {
    let Ok(at) = DateTime::parse_from_rfc3339(at) else { return one_line(at) };
    let seconds = now.signed_duration_since(at).num_seconds();
    match seconds {
        ..=0 => "just now".to_owned(),
        1..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// `1 event`, `1,204 events`.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

/// `1,204`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A value as people write it: text without quotes.
pub(crate) fn value(value: &Json) -> String {
    match value {
        Json::Null => "(nothing)".to_owned(),
        Json::String(text) if text.is_empty() => "(empty)".to_owned(),
        Json::String(text) => one_line(text),
        other if is_erased(other) => "(erased)".to_owned(),
        other => one_line(&other.to_string()),
    }
}

/// What stands for a value whose key is gone.
fn is_erased(value: &Json) -> bool {
    value.as_object().is_some_and(|of| of.len() == 1 && of.get("erased") == Some(&Json::Bool(true)))
}

/// The time of day of an RFC 3339 time, or all of it if the day is another.
pub(crate) fn clock_time(at: &str) -> String {
    match DateTime::parse_from_rfc3339(at) {
        Ok(at) => at.with_timezone(&Utc).format("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        Err(_) => one_line(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_grouped() {
        let all = [0, 7, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "7", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(count(1, "event", "events"), "1 event");
    }

    #[test]
    fn times_are_told_by_their_distance() {
        let now =
            DateTime::parse_from_rfc3339("2026-01-02T00:00:00Z").map(|at| at.to_utc()).unwrap_or_default();
        let all =
            ["2026-01-02T00:00:00Z", "2026-01-01T23:59:57Z", "2026-01-01T22:00:00Z", "2025-12-25T00:00:00Z"];
        assert_eq!(all.map(|at| ago(at, now)), ["just now", "3 s ago", "2 h ago", "8 days ago"]);
        assert_eq!(ago("soon", now), "soon");
    }

    #[test]
    fn values_are_told_without_quotes() {
        assert_eq!(value(&json!("a\nb")), "a b");
        assert_eq!(value(&json!(null)), "(nothing)");
        assert_eq!(value(&json!([1])), "[1]");
        assert_eq!(value(&json!({ "erased": true })), "(erased)");
        assert_eq!(value(&json!({ "erased": false })), r#"{"erased":false}"#);
    }
}
