//! How a record stood, and what differs between two points of its history.

use crate::answers::EventReport;
use hms_sync_engine::{ErasedReport, FieldReport, SidePart};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A record as it stood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AsOf {
    /// The record's id.
    pub record: String,
    /// What people called it.
    pub title: String,
    /// The time that was meant, in RFC 3339.
    pub asked: String,
    /// How many events the record had then. Without any, hms-sync did not know it.
    pub version: u64,
    /// How many it has now.
    pub version_now: u64,
    /// When the last of those events was written, in RFC 3339.
    pub changed: Option<String>,
    /// Whether it was there, deleted, or disputed.
    pub presence: String,
    /// Its fields.
    pub fields: Vec<FieldReport>,
    /// What each side was known to hold.
    pub sides: Vec<SidePart>,
    /// What was erased of it, then or since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<ErasedReport>,
}

/// One of the two points that are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointReport {
    /// How many events the record had.
    pub version: u64,
    /// When the last of them was written, in RFC 3339.
    pub at: Option<String>,
    /// Whether it was there, deleted, or disputed.
    pub presence: String,
}

/// What differs in a record between two points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// The record's id.
    pub record: String,
    /// What people call it at the second point.
    pub title: String,
    /// The first point.
    pub from: PointReport,
    /// The second. It may be the earlier one.
    pub to: PointReport,
    /// The fields that differ.
    pub fields: Vec<FieldDiff>,
    /// What made the difference in whether the record is there: at most the last hundred.
    pub presence: Vec<EventReport>,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldDiff {
    /// Its name.
    pub field: String,
    /// Its value at the first point; left out if it had none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub before: Option<Json>,
    /// Its value at the second point; left out if it had none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub after: Option<Json>,
    /// The edits that made the difference, in order: at most the last hundred.
    pub events: Vec<EventReport>,
}

/// A value that is there, `null` too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}
