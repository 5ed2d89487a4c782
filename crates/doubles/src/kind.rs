//! The two systems: how their records look, and how they say things.
//!
//! Two shapes that have little in common, as such systems do: numbers against
//! text for ids, RFC 3339 against milliseconds for times, words against words.

use chrono::{DateTime, NaiveDateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

/// A system that a double stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// County Clerk: `/permits`, `{"items": […], "total": n}`, bearer token
    /// `demo`, numbers as ids, `ETag` and `If-Match`, `updated_at` in RFC 3339
    /// with microseconds, no two records with the same one.
    Clerk,
    /// Fire Marshal: `/inspections`, a bare list, user `sync` with password
    /// `demo`, text ids, no `ETag`, `updatedAt` in milliseconds, shared by many.
    Marshal,
}

impl Kind {
    /// The collection's path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Clerk => "/permits",
            Self::Marshal => "/inspections",
        }
    }

    /// The field that people know a record by.
    pub fn natural_field(self) -> &'static str {
        match self {
            Self::Clerk => "permit_no",
            Self::Marshal => "permitId",
        }
    }

    /// The field with the time of the last change.
    pub fn updated_field(self) -> &'static str {
        match self {
            Self::Clerk => "updated_at",
            Self::Marshal => "updatedAt",
        }
    }

    /// The `Authorization` that is let in.
    pub fn authorization(self) -> &'static str {
        match self {
            Self::Clerk => "Bearer demo",
            Self::Marshal => "Basic c3luYzpkZW1v",
        }
    }

    /// What the `n`-th permit looks like here, without id and time of change.
    pub fn sample(self, n: u64) -> Json {
        let number = format!("P-{n:06}");
        let street = format!("{n} Main Street");
        match self {
            Self::Clerk => json!({
                "permit_no": number, "location": { "address": street }, "applicant": format!("Applicant {n}"),
                "fee": "120.50", "status": "pending", "inspection_at": null, "inspector": null, "notes": "",
            }),
            Self::Marshal => json!({
                "permitId": number, "address": street, "fee": "120.50", "state": "PENDING",
                "scheduledFor": null, "inspector": null, "remarks": "",
            }),
        }
    }

    pub(crate) fn id_json(self, id: u64) -> Json {
        match self {
            Self::Clerk => id.into(),
            Self::Marshal => self.id_text(id).into(),
        }
    }

    /// The id as it stands in a path.
    pub(crate) fn id_text(self, id: u64) -> String {
        match self {
            Self::Clerk => id.to_string(),
            Self::Marshal => format!("INS-{id}"),
        }
    }

    pub(crate) fn parse_id(self, text: &str) -> Option<u64> {
        match self {
            Self::Clerk => text.parse().ok(),
            Self::Marshal => text.strip_prefix("INS-")?.parse().ok(),
        }
    }

    /// The next stamp after `last`, both in microseconds: the clerk's grow with
    /// each change, the marshal's count milliseconds.
    pub(crate) fn stamp(self, now: i64, last: i64) -> i64 {
        match self {
            Self::Clerk => now.max(last.saturating_add(1)),
            Self::Marshal => now.div_euclid(1_000).saturating_mul(1_000).max(last),
        }
    }

    pub(crate) fn stamp_json(self, micros: i64) -> Json {
        match self {
            Self::Clerk => DateTime::from_timestamp_micros(micros)
                .unwrap_or_default()
                .to_rfc3339_opts(SecondsFormat::Micros, true)
                .into(),
            Self::Marshal => micros.div_euclid(1_000).into(),
        }
    }

    /// What `since` means, in microseconds.
    pub(crate) fn parse_since(self, text: &str) -> Option<i64> {
        match self {
            Self::Clerk => DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_micros()),
            Self::Marshal => text.parse::<i64>().ok()?.checked_mul(1_000),
        }
    }

    /// Whether the words of a record are ones that the system knows.
    pub(crate) fn validate(self, record: &Map<String, Json>) -> Result<(), String> {
        let (field, words): (_, &[&str]) = match self {
            Self::Clerk => ("status", &["pending", "approved", "denied", "revoked"]),
            Self::Marshal => ("state", &["PENDING", "OK", "NO", "REVOKED"]),
        };
        match record.get(field) {
            None => {}
            Some(Json::String(word)) if words.contains(&word.as_str()) => {}
            Some(other) => return Err(format!("{field} must be one of {}, not {other}", words.join(", "))),
        }
        let time = match self {
            Self::Clerk => record.get("inspection_at"),
            Self::Marshal => record.get("scheduledFor"),
        };
        match (self, time) {
            (_, None | Some(Json::Null)) => Ok(()),
            (Self::Clerk, Some(Json::String(text))) if DateTime::parse_from_rfc3339(text).is_ok() => Ok(()),
            (Self::Marshal, Some(Json::String(text)))
                if NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").is_ok() =>
            {
                Ok(())
            }
            (_, Some(other)) => Err(format!("{other} is no time of ours")),
        }
    }

    /// Fields of free text: those that a side may store in another form.
    pub(crate) fn texts(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Clerk => &[&["location", "address"], &["applicant"], &["inspector"], &["notes"]],
            Self::Marshal => &[&["address"], &["inspector"], &["remarks"]],
        }
    }
}
