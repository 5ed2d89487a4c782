//! What a connector saw of one record.

use hms_sync_model::{NativeId, Tag, Time};
use serde_json::Value as Json;

/// A record as a side shows it, or that it shows none.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// The whole record in the side's own shape.
    Whole(Json),
    /// Some of its fields; those not mentioned are unchanged. Webhooks of some
    /// systems carry only this.
    Partial(Json),
    /// The side has no such record. Never concluded from a listing.
    Gone,
}

/// One record, seen once.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The side's id of the record.
    pub id: NativeId,
    /// The side's version tag, if it names one.
    pub tag: Option<Tag>,
    /// When the side says the record was last changed, if it says so. Not believed blindly.
    pub modified: Option<Time>,
    /// What was there.
    pub content: Content,
}
